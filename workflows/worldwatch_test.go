package workflows_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"breakglass/store"
)

// What must be true at every moment, whatever fails.

// complain is about something that must never be; it is said once. w.mu is held.
func (w *world) complain(format string, a ...any) {
	text := fmt.Sprintf(format, a...)
	if !w.complaints[text] {
		w.complaints[text] = true
		w.t.Errorf("%s: %s", time.Now().Format("15:04:05"), text)
	}
}

// watch: nobody is in without a live request, nor a minute past its end; IAM lets nobody's call through past the end; whoever is in is let through.
func (w *world) watch() {
	w.t.Helper()
	w.settle()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.run.dead.Load() || w.blind {
		return
	}
	open, err := w.run.db.Open()
	if err != nil {
		w.t.Fatal(err)
	}
	for t := range w.has {
		ok := w.isStanding(t)
		for _, r := range open {
			ok = ok || r.Tuple() == t && r.State.MayHaveAccess() && time.Since(r.ExpiresAt) < time.Minute
		}
		if !ok {
			w.t.Fatalf("%v: access without a live request: %v", time.Now(), t)
		}
	}
	w.signIn()
	w.watchCalls(open)
	w.watchShells(open)
	w.watchSessions(open)
	for _, n := range w.told {
		if n.n.Kind == "found" && !w.findings && w.stands == nil {
			w.complain("a reconciliation found %v", n.n.Data)
		}
	}
}

func (w *world) isStanding(t store.Tuple) bool { return w.stands != nil && *w.stands == t }

// signIn has everybody who is in take credentials and open a shell: a cautious intruder would.
func (w *world) signIn() {
	now := time.Now()
	for t := range w.has {
		all := w.creds[t]
		if n := len(all); n < 2 || now.Sub(all[n-2]) > 5*time.Minute {
			w.creds[t] = append(all, now)
		} else {
			all[n-1] = now
		}
		if t.Group == "" && !w.isStanding(t) && w.lets(t, now, now) && !w.noShells {
			w.shells[t] = 1
		}
	}
	for t, all := range w.creds {
		w.creds[t] = slices.DeleteFunc(all, func(c time.Time) bool { return now.Sub(c) > 12*time.Hour })
	}
}

// watchCalls has everybody who ever was in make a call.
func (w *world) watchCalls(open []store.Request) {
	now := time.Now()
	if w.noGuards || w.unguarded {
		return
	}
	for t, all := range w.creds {
		if t.Group != "" || w.isStanding(t) {
			continue
		}
		a, _, err := w.run.db.Access(t)
		if err != nil {
			w.t.Fatal(err)
		}
		may := false
		for _, r := range open {
			may = may || r.Tuple() == t && r.State.MayHaveAccess() && (now.Before(r.ExpiresAt) || r.State == store.Revoking && now.Before(a.Reach))
		}
		for _, issued := range all {
			if !w.lets(t, issued, now) {
				continue
			}
			if !may {
				w.complain("%v: a call of %s with a credential of %s is let through: %+v", now.Format("15:04:05"), t.UserID, issued.Format("15:04:05"), a)
			} else if w.has[t] && issued.Before(w.since[t]) {
				w.complain("a call with a credential of an earlier session (%s) is let through", issued.Format("15:04:05"))
			}
		}
	}
}

func (w *world) watchShells(open []store.Request) {
	for t := range w.shells {
		ok := false
		for _, r := range open {
			ok = ok || r.Tuple() == t && r.State.MayHaveAccess()
		}
		if !ok {
			w.complain("a shell of %v is open without a session", t)
			delete(w.shells, t)
		}
	}
}

// watchSessions: whoever is told to have access has it, IAM lets them through, and the ends stand that the record names.
func (w *world) watchSessions(open []store.Request) {
	now := time.Now()
	byID := map[store.ID]store.Request{}
	for _, r := range open {
		byID[r.ID] = r
	}
	for _, r := range open {
		t := r.Tuple()
		if lead, ok := byID[r.Lead]; r.Lead != "" && (r.State == store.Granting || r.State == store.Active) {
			if over := ok && (lead.State == store.Revoked || lead.State == store.Reported) && now.Sub(lead.EndedAt) > time.Minute; over || !ok {
				w.complain("%s is %s and its lead has ended", r.ID, r.State)
			}
		}
		if l, locked, err := w.run.db.Lockdown(); err == nil && locked && now.Sub(l.At) > 10*time.Second && (r.State == store.Granting || r.State == store.Active) {
			w.complain("%s is %s during a lockdown", r.ID, r.State)
		}
		if r.State != store.Active || !now.Before(r.ExpiresAt) || now.Sub(r.VerifiedAt) < 2*time.Second {
			continue
		}
		if w.has[t] && !w.lets(t, now, now) {
			w.complain("%s is active and IAM refuses its calls: %+v", r.ID, w.guards[t.Account+" "+t.Set+" "+t.Role])
		}
		if w.isStanding(t) {
			continue
		}
		w.watchEnds(r)
	}
}

func (w *world) watchEnds(r store.Request) {
	t := r.Tuple()
	if !w.noDeadMan && !w.unscheduled && r.Role == "" {
		stands := false
		for _, s := range w.schedules {
			stands = stands || s.Tuple == t && !s.At.Before(r.ExpiresAt) && (t.Group == "" || s.Membership == w.members[t])
		}
		if !stands {
			w.complain("%s is active until %s and nothing is scheduled at its end: %v", r.ID, r.ExpiresAt.Format("15:04:05"), w.schedules)
		} else if !r.Ends.Schedules {
			w.complain("%s is active and its record does not know of its schedules: %+v", r.ID, r.Ends)
		}
	}
	if !w.noGuards && r.Group == "" && !w.unguarded {
		far := time.Now().Add(240 * time.Hour)
		if w.lets(t, far, far) {
			w.complain("%s is active and no guard will end it", r.ID)
		} else if !r.Ends.Guard {
			w.complain("%s is active and its record does not know of its guard: %+v", r.ID, r.Ends)
		}
	}
}

// endsStand: when the assignment is asked for, its guard and its schedules are there. w.mu is held.
func (r *run) endsStand(g store.Grant) {
	w, t := r.w, g.Tuple
	if w.isStanding(t) {
		return
	}
	a, _, err := r.db.Access(t)
	if err != nil {
		w.t.Fatal(err)
	}
	if !w.noGuards && !w.unguarded && t.Group == "" && w.lets(t, g.Until, g.Until) && w.lets(t, a.Until, a.Until) {
		w.complain("%v is asked for until %s and the guard does not end it: %+v", t, g.Until.Format("15:04:05"), w.guards)
	}
	if w.noDeadMan || w.unscheduled || t.Set == "" {
		return
	}
	n := 0
	for _, s := range w.schedules {
		if s.Tuple == t && !s.At.Before(a.Until) && s.At.Sub(a.Until) < 20*time.Minute {
			n++
		}
	}
	if n < 3 {
		w.complain("%v is asked for until %s and %d schedules stand: %v", t, a.Until.Format("15:04:05"), n, w.schedules)
	}
}

// intended: the log has the intent to grant. w.mu is held.
func (r *run) intended(t store.Tuple) {
	a, _, err := r.db.Access(t)
	if err != nil {
		r.w.t.Fatal(err)
	}
	for _, id := range a.Live {
		if r.logged(id, store.EventIntent, "assign") {
			return
		}
	}
	// It was meant when the call was sent, and ended while that was on its way.
	meant := false
	err = r.db.EachRequest(func(q store.Request) bool {
		meant = q.Tuple() == t && !q.End.At.IsZero() && time.Since(q.End.At) < time.Minute && r.logged(q.ID, store.EventIntent, "assign")
		return !meant
	})
	if err != nil || !meant {
		r.w.complain("%v is asked for without an intent in the log: %v", t, err)
	}
}

// removalIntended: the log has the intent to take it away. w.mu is held.
func (r *run) removalIntended(t store.Tuple) {
	a, _, err := r.db.Access(t)
	if err != nil {
		r.w.t.Fatal(err)
	}
	if !r.w.blind && (a.Removing == "" || !r.logged(a.Removing, store.EventIntent, "unassign")) {
		r.w.complain("%v is removed without an intent in the log", t)
	}
}

func (r *run) logged(id store.ID, kind, effect string) bool {
	all, err := r.db.EventsOf(id)
	if err != nil {
		r.w.t.Fatal(err)
	}
	return slices.ContainsFunc(all, func(e store.Event) bool { return e.Kind == kind && e.Data["effect"] == effect })
}

// cutOff: no schedule takes away what a session still needs. w.mu is held.
func (w *world) cutOff(s store.Schedule) {
	if w.isStanding(s.Tuple) {
		w.complain("a schedule takes standing access away: %v", s)
	}
	open, err := w.run.db.Open()
	if err != nil {
		return // the store of a run that is over
	}
	for _, r := range open {
		if r.Tuple() == s.Tuple && r.State == store.Active && r.ExpiresAt.After(s.At) {
			w.complain("%s cuts off %s, which lasts until %s", s.Name, r.ID, r.ExpiresAt.Format("15:04:05"))
		}
	}
}

// tidied: nothing of ours is left in AWS.
func (w *world) tidied() {
	w.t.Helper()
	w.settle()
	w.mu.Lock()
	defer w.mu.Unlock()
	for t := range w.has {
		if !w.isStanding(t) {
			w.t.Errorf("somebody still has %v", t)
		}
	}
	if w.stands != nil && !w.has[*w.stands] {
		w.t.Error("standing access is gone")
	}
	if len(w.schedules) > 0 {
		w.t.Errorf("schedules are left: %v", w.schedules)
	}
	if len(w.shells) > 0 {
		w.t.Errorf("shells are left: %v", w.shells)
	}
	for name, g := range w.guards {
		for _, l := range g.Lines {
			w.t.Errorf("the guard %s still has a line: %+v", name, l)
		}
	}
	rows, err := w.run.db.Accesses()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, a := range rows {
		if len(a.Schedules) > 0 || a.Lined || len(a.Live) > 0 || a.Removing != "" {
			w.t.Errorf("a row is not tidied: %+v", a)
		}
	}
}

func lines(w *world) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []string
	for _, c := range w.calls {
		out = append(out, c.at.Format("15:04:05")+" "+c.op+" "+c.of)
	}
	return strings.Join(out, "\n")
}
