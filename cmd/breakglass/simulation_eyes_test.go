package main

import (
	"context"
	"strings"
	"time"

	"breakglass/deploy/sandbox/awstwin"
	"breakglass/store"
)

// What must hold at every moment, whatever happens: looked at whenever everything has come to rest for an instant.

// onWire is how soon after its time the deletion must be on the wire while AWS and the program are there.
const onWire = 10 * time.Second

// watch looks at everything once.
func (h *history) watch() {
	h.seated()
	db := h.db()
	if db == nil {
		return
	}
	open, err := db.Open()
	if err != nil {
		h.fault("read what is open: %v", err)
		return
	}
	h.notice(open)
	explained := map[store.Tuple][]store.Request{}
	for _, r := range open {
		if r.State.MayHaveAccess() {
			explained[r.Tuple()] = append(explained[r.Tuple()], r)
		}
	}
	here := map[store.Tuple]bool{}
	for _, a := range h.world.AWS.Assignments() {
		t := store.Tuple{UserID: a.PrincipalID, Account: a.AccountID, Set: a.PermissionSet}
		here[t] = true
		if h.stood(a) {
			continue
		}
		why := explained[t]
		if len(why) == 0 {
			h.fault("%s has access without a request", h.name(t))
			continue
		}
		h.overdue(t, why)
	}
	for t, rs := range explained {
		for _, r := range rs {
			if r.State == store.Active && !here[t] && time.Now().Before(h.due(r)) { // after it, a schedule may have been quicker
				h.fault("%s is active and %s has nothing", r.ID, h.name(t))
			}
		}
	}
	for _, b := range h.begin {
		if !here[store.Tuple{UserID: b.PrincipalID, Account: b.AccountID, Set: b.PermissionSet}] {
			h.fault("standing access is gone: %+v", b)
		}
	}
}

// overdue: access that is there was due to go long ago. Async changes and doubts take their time; here is only the outer bound.
func (h *history) overdue(t store.Tuple, why []store.Request) {
	var last time.Time
	for _, r := range why {
		if e := h.due(r); e.After(last) {
			last = e
		}
	}
	if late := time.Since(h.allow(last, t.Account).Add(7 * time.Minute)); late > 0 {
		h.fault("%s has access %v after its end (%s)", h.name(t), time.Since(last), why[0].ID)
	}
}

// sight is when something was first seen in the store, and when it was last not there.
type sight struct{ since, seen time.Time }

// notice keeps when each request was first seen to be granted, and to end.
func (h *history) notice(open []store.Request) {
	now := time.Now()
	for _, r := range open {
		for what, at := range map[string]time.Time{"granted": r.GrantedAt, "end": r.End.At} {
			k := string(r.ID) + " " + what
			if _, known := h.sights[k]; !known && !at.IsZero() {
				h.sights[k] = sight{h.looked, now}
			}
		}
	}
	h.looked = now
}

// real is when a request was granted, or its end began, by a right clock.
func (h *history) real(r store.Request, what string, at time.Time) time.Time {
	s, known := h.sights[string(r.ID)+" "+what]
	if !known {
		s.seen = time.Now()
	}
	return h.clock.real(at, s.since, s.seen)
}

// due is when, by a right clock, a request's access has to go.
func (h *history) due(r store.Request) time.Time {
	if r.GrantedAt.IsZero() {
		return time.Now()
	}
	due := h.real(r, "granted", r.GrantedAt).Add(r.ExpiresAt.Sub(r.GrantedAt))
	if !r.End.At.IsZero() && r.End.Why != store.EndExpired {
		if end := h.real(r, "end", r.End.At); end.Before(due) {
			return end
		}
	}
	return due
}

// allow adds to a time what the program cannot help: it was down, AWS did not answer, it was started while the machine's clock was behind and so
// cannot know how long it was down, or AWS was at another change in that account, of which it does one at a time. After the first two it tries again within half a minute. In the queue of an account removals go first: only a creation that
// was begun before is waited for.
func (h *history) allow(due time.Time, account string) time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	at := due.Add(h.clock.forgot(due))
	for again := true; again; {
		again = false
		for _, p := range h.pauses {
			if p.guard && account != "" {
				continue // the deletion does not wait for the guard
			}
			if p.from.Before(at.Add(onWire)) && p.to.After(at) {
				at, again = p.to.Add(answerPatience), true
			}
		}
		for _, w := range h.wires {
			over := w.at.Add(h.async + 4*time.Second) // it is asked about every two seconds
			first := w.op == "DeleteAccountAssignment" && w.at.Before(at.Add(onWire)) || !w.at.After(due)
			if w.tuple.Account == account && first && over.After(at) {
				at, again = over, true
			}
		}
	}
	return at
}

func (h *history) stood(a awstwin.Assignment) bool {
	for _, b := range h.begin {
		if b == a {
			return true
		}
	}
	return false
}

// name is a tuple for people.
func (h *history) name(t store.Tuple) string {
	who := t.UserID
	for _, p := range h.world.People {
		if p.AWS == t.UserID {
			who = p.Key
		}
	}
	return strings.TrimSpace(who + " " + h.world.AWS.AccountName(t.Account) + " " + t.Set + t.Group + t.Role)
}

func (h *history) setName(arn string) string {
	for _, s := range h.world.AWS.PermissionSets() {
		if s.ARN == arn {
			return s.Name
		}
	}
	return arn
}

// seated lets everybody who is signed in try something. Past the end of their access IAM itself refuses it wherever the guard stands.
func (h *history) seated() {
	db := h.db()
	if db == nil {
		return
	}
	kept := h.seats[:0]
	for _, s := range h.seats {
		if time.Now().After(s.session.Expires) {
			continue
		}
		kept = append(kept, s)
		r, err := db.Request(s.id)
		if err != nil {
			h.fault("read %s: %v", s.id, err)
			continue
		}
		until, live, guarded := h.until(db, r)
		if !guarded {
			continue
		}
		err = s.session.Do(context.Background(), awstwin.Action{Service: "ec2", Name: "DescribeInstances"})
		if live {
			if err == nil {
				h.count("calls in time")
			}
			continue
		}
		h.count("tries past the end")
		if err == nil && time.Now().After(h.allow(until, "").Add(h.guardSlack())) {
			h.fault("%s is allowed a call %v after the end of %s", s.who.Key, time.Since(until), s.id)
		}
	}
	h.seats = kept
}

// guardSlack is how long IAM may take to heed a guard.
func (h *history) guardSlack() time.Duration { return 12 * time.Second }

// until is when a person's credentials have to open nothing any more: past the end of every request that shared the access.
func (h *history) until(db *store.DB, r store.Request) (until time.Time, live, guarded bool) {
	until = h.due(r)
	all, err := db.OfPerson(r.Requester.UserID, 100)
	if err != nil {
		h.fault("read the requests of a person: %v", err)
	}
	for _, o := range all {
		if o.Tuple() != r.Tuple() || o.GrantedAt.IsZero() {
			continue
		}
		if o.State == store.Granting || o.State == store.Active && time.Now().Before(h.due(o)) {
			live = true
		}
		due := h.due(o)
		if o.End.Why == store.EndExpired && o.ExpiresAt.After(due) {
			due = o.ExpiresAt // the machine's clock was ahead when it was granted: the guard's date is by AWS's
		}
		if due.After(until) {
			until = due
		}
	}
	return until, live || time.Now().Before(until), r.Ends.Guard
}
