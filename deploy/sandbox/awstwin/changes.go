// Asynchronous changes. Identity Center answers Create, Delete and Provision with a request id and IN_PROGRESS, decides
// later, and tells only who asks. What was accepted may still fail, and the reasons are texts: the codes of the services
// behind it ("Received a 404 status error") are all a caller gets. Outcomes are decided at their due time by the state of
// that time, so that a change made meanwhile is seen by it.

package awstwin

import (
	"sort"
	"strings"
	"time"
)

// MissingDelete is how the deletion of an assignment that does not exist is answered. AWS is seen to do both.
type MissingDelete int

const (
	// MissingAlternates gives one form, then the other.
	MissingAlternates MissingDelete = iota
	// MissingRefused gives ResourceNotFoundException at once.
	MissingRefused
	// MissingFails accepts the call, and its status becomes FAILED with "EntitlementItem doesn't exist".
	MissingFails
)

const (
	inProgress = "IN_PROGRESS"
	succeeded  = "SUCCEEDED"
	failed     = "FAILED"
)

// change is an asynchronous creation, deletion or provisioning: accepted at created, decided at due.
type change struct {
	row
	id      string
	kind    string // create, delete, provision
	created time.Time
	due     time.Time
	status  string
	reason  string
}

// keptChanges is how many finished changes the status lists remember.
const keptChanges = 20_000

type changeLog struct {
	byID       map[string]*change
	order      []*change
	pending    []*change
	nextAsync  bool // which form the next deletion of a missing assignment takes
	nextReason string
	failNext   map[string]int
}

func newChangeLog() changeLog {
	return changeLog{byID: map[string]*change{}, failNext: map[string]int{}}
}

func (l *changeLog) nextDue(now time.Time) *change {
	var first *change
	for _, c := range l.pending {
		if !c.due.After(now) && (first == nil || c.due.Before(first.due)) {
			first = c
		}
	}
	return first
}

// busy says whether a change is under way that fits.
func (l *changeLog) busy(fits func(*change) bool) int {
	n := 0
	for _, c := range l.pending {
		if fits(c) {
			n++
		}
	}
	return n
}

func (o *Organization) begin(kind string, r row, now time.Time) *change {
	c := &change{row: r, id: o.uuid(), kind: kind, created: now, due: now.Add(o.cfg.Async), status: inProgress}
	l := &o.changes
	l.byID[c.id] = c
	l.order = append(l.order, c)
	l.pending = append(l.pending, c)
	if len(l.order) > keptChanges {
		for _, old := range l.order[:keptChanges/10] {
			if old.status != inProgress {
				delete(l.byID, old.id)
			}
		}
		l.order = append([]*change(nil), l.order[keptChanges/10:]...)
	}
	return c
}

// FailAsyncNext lets the next n creations ("create") or deletions ("delete") be accepted and become FAILED with this reason.
func (o *Organization) FailAsyncNext(kind, reason string, n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.settle(o.cfg.Now())
	o.changes.failNext[kind] = n
	o.changes.nextReason = reason
}

// finish decides a change at its due time. Lock held.
func (o *Organization) finish(c *change) {
	l := &o.changes
	for i, p := range l.pending {
		if p == c {
			l.pending = append(l.pending[:i:i], l.pending[i+1:]...)
			break
		}
	}
	c.reason = o.refusal(c)
	if l.failNext[c.kind] > 0 {
		l.failNext[c.kind]--
		c.reason = l.nextReason
	}
	if c.reason != "" {
		c.status = failed
		return
	}
	c.status = succeeded
	switch c.kind {
	case "create":
		o.addRow(c.row)
		o.provision(c.target) // an assignment also brings the role up to date
	case "delete":
		o.removeRow(c.row)
	case "provision":
		o.provision(c.target)
	}
}

// refusal is the reason for which a change fails, as Identity Center words it; empty: it does not.
func (o *Organization) refusal(c *change) string {
	a := o.accounts[c.account]
	if c.kind != "delete" {
		if a.state != "ACTIVE" {
			return "Received a 400 status error: Account " + c.account + " is " + a.state
		}
		for _, ref := range o.sets[c.set].customer {
			if a.policies[ref.arn(c.account)] == nil {
				return "Received a 404 status error: Not supported policy " + ref.arn(c.account) + "."
			}
		}
	}
	if c.kind == "provision" {
		return ""
	}
	if !o.dir.has(c.principal) {
		return "Received a 404 status error: The " + c.principal.kind + " assignee " + c.principal.id + " was not found in directory " + o.instance.store
	}
	if c.kind == "delete" && !o.rows.has(c.target, c.principal) {
		return "Received a 404 status error: EntitlementItem doesn't exist with the given entitlement key " +
			strings.Join([]string{c.account, c.set, c.principal.kind, c.principal.id}, "/")
	}
	return ""
}

// Operation is a change that Identity Center has been asked for.
type Operation struct {
	Assignment
	RequestID string
	Kind      string // create, delete, provision
	Status    string // IN_PROGRESS, SUCCEEDED, FAILED
	Reason    string
	Created   time.Time
}

// InFlight are the creations and deletions that are IN_PROGRESS now, oldest first.
func (o *Organization) InFlight() []Operation {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.settle(o.cfg.Now())
	var all []Operation
	for _, c := range o.changes.pending {
		all = append(all, o.operation(c))
	}
	sort.SliceStable(all, func(i, j int) bool { return all[i].Created.Before(all[j].Created) })
	return all
}

func (o *Organization) operation(c *change) Operation {
	return Operation{Assignment: o.view(c.row), RequestID: c.id, Kind: c.kind, Status: c.status, Reason: c.reason, Created: c.created}
}
