// Asynchronous changes. Identity Center answers Create, Delete and Provision with a request id and IN_PROGRESS, decides
// later, and tells only who asks. What was accepted may still fail, and the reasons are texts: the codes of the services
// behind it ("Received a 404 status error") are all a caller gets. Outcomes are decided at their due time by the state of
// that time, so that a change made meanwhile is seen by it.

package awstwin

import (
	"container/heap"
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
	seq     uint64 // in the order they were accepted
	id      string
	kind    string // create, delete, provision
	created time.Time
	due     time.Time
	status  string
	reason  string
}

// keptChanges is how many finished changes the status lists remember.
const keptChanges = 20_000

// changeLog keeps what is under way by its time, and counts it by what the limits ask about: nothing here walks through all of it.
type changeLog struct {
	byID       map[string]*change
	order      []*change
	pending    changeQueue
	rows       map[row]int    // under way, by assignment
	accounts   map[string]int // and by account
	creates    int            // and those that are creations
	seq        uint64
	nextAsync  bool // which form the next deletion of a missing assignment takes
	nextReason string
	failNext   map[string]int
}

// changeQueue has the change that ends first on top; of two that end at once, the one that was accepted first.
type changeQueue []*change

func (q changeQueue) Len() int { return len(q) }
func (q changeQueue) Less(i, j int) bool {
	if q[i].due.Equal(q[j].due) {
		return q[i].seq < q[j].seq
	}
	return q[i].due.Before(q[j].due)
}
func (q changeQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }

// Push and Pop are heap.Interface's.
func (q *changeQueue) Push(x any) { *q = append(*q, x.(*change)) }

// Pop takes the last element, as heap.Interface wants it.
func (q *changeQueue) Pop() any {
	old := *q
	c := old[len(old)-1]
	*q = old[:len(old)-1]
	return c
}

func newChangeLog() changeLog {
	return changeLog{byID: map[string]*change{}, rows: map[row]int{}, accounts: map[string]int{}, failNext: map[string]int{}}
}

func (l *changeLog) nextDue(now time.Time) *change {
	if len(l.pending) == 0 || l.pending[0].due.After(now) {
		return nil
	}
	return l.pending[0]
}

// count keeps the numbers of what is under way. by is 1 or -1.
func (l *changeLog) count(c *change, by int) {
	if c.kind == "create" {
		l.creates += by
	}
	if l.rows[c.row] += by; l.rows[c.row] == 0 {
		delete(l.rows, c.row)
	}
	if l.accounts[c.account] += by; l.accounts[c.account] == 0 {
		delete(l.accounts, c.account)
	}
}

func (o *Organization) begin(kind string, r row, now time.Time) *change {
	l := &o.changes
	l.seq++
	c := &change{row: r, seq: l.seq, id: o.uuid(), kind: kind, created: now, due: now.Add(o.cfg.Async), status: inProgress}
	l.byID[c.id] = c
	l.order = append(l.order, c)
	heap.Push(&l.pending, c)
	l.count(c, 1)
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

// finish decides the change that ends first, at its due time. Lock held.
func (o *Organization) finish() {
	l := &o.changes
	c := heap.Pop(&l.pending).(*change)
	l.count(c, -1)
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

// underWay are the changes that have not ended, in the order they were accepted.
func (l *changeLog) underWay() []*change {
	all := append([]*change(nil), l.pending...)
	sort.Slice(all, func(i, j int) bool { return all[i].seq < all[j].seq })
	return all
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
	for _, c := range o.changes.underWay() {
		all = append(all, o.operation(c))
	}
	return all
}

func (o *Organization) operation(c *change) Operation {
	return Operation{Assignment: o.view(c.row), RequestID: c.id, Kind: c.kind, Status: c.status, Reason: c.reason, Created: c.created}
}
