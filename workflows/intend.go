package workflows

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"breakglass/store"
	"breakglass/workflows/policy"
)

// intend commits the intent to grant, and with it the time of the revocation: a crash from here on is still revoked on time.
func (e *Engine) intend(r store.Request, p *policy.Policy, listed bool, began time.Time) (store.Request, error) {
	s, _ := p.Scenario(r.Scenario)
	return e.DB.Transition(e.by(), r.ID, store.Approved, store.Granting, func(c *store.Change) error {
		q, now := c.Request, c.By.At
		a, known, err := c.Access(q.Tuple())
		if err != nil {
			return err
		}
		shared := len(a.Live) > 0
		if shared {
			q.Standing = a.Standing
		} else if q.Standing, err = stands(a, known, listed, began); err != nil {
			return err
		}
		if _, locked, err := c.Lockdown(); err != nil || locked {
			return errors.Join(err, errMoved) // it came in since the last check, which says so the next time
		}
		q.GrantedAt, q.ExpiresAt = now, now.Add(q.Duration)
		if !seeded("due") {
			q.Set(store.ClockEnd, q.ExpiresAt)
		}
		q.Set(store.ClockPoll, now)
		q.Owes = s.PostMortem && q.Lead == ""
		if s.Ticket.Within > 0 && q.Ticket == "" && q.Lead == "" {
			q.TicketBy = now.Add(s.Ticket.Within)
			q.Set(store.ClockTicket, now.Add(s.Ticket.Within/2))
		}
		// What is listed, did not stand before and belongs to no other session is about to go: it is asked for all the same.
		q.Work = store.Work{Since: now, Must: listed && !q.Standing && !shared}
		rule := e.rule(p, *q)
		q.Guard = rule.Mode
		lined := e.guarded(*q, rule.Closed)
		if err := c.Want(q.Standing, lined); err != nil {
			return err
		}
		if lined {
			if lined, err = e.fits(c, rule.Closed); err != nil {
				return err
			}
		}
		if a, _, err = c.Access(q.Tuple()); err != nil {
			return err
		}
		q.Ends.Anew = lined && !a.Before.IsZero()
		data := map[string]string{"effect": "assign", "user": q.Requester.UserID, "granted": q.Granted(), "standing": fmt.Sprint(q.Standing), "expires": q.ExpiresAt.Format(time.RFC3339)}
		if q.Account.ID != "" {
			data["account"] = q.Account.ID
		}
		if lined {
			data["guard"] = q.Guard
		}
		if e.schedulable(*q) && q.Group == "" {
			if a, _, err = c.Access(q.Tuple()); err != nil {
				return err
			}
			_, fresh, _ := e.plan(a, q.ID, "")
			if err := c.Plan(fresh...); err != nil {
				return err
			}
			data["schedules"] = names(fresh)
		}
		return errors.Join(c.Log(store.EventIntent, data), card(c))
	})
}

// names lists schedules for the log.
func names(all []store.Schedule) string {
	out := make([]string, len(all))
	for i, s := range all {
		out[i] = s.Name
	}
	return strings.Join(out, " ")
}

// rule is the guard that a request's grant has: a role's own guard has the lines alone, and a group has none.
func (e *Engine) rule(p *policy.Policy, r store.Request) policy.GuardRule {
	switch {
	case r.Group != "":
		return policy.GuardRule{Mode: policy.GuardNone}
	case r.Role != "":
		return policy.GuardRule{Mode: policy.GuardClosed}
	}
	rule, _ := p.GuardOf(r.PermissionSet, r.Account.ID)
	return rule
}

// listingLag is how long after a removal a listing may still show what is gone. AWS gives no figure; ten minutes is the longest that
// people who automate assignments wait for.
const listingLag = 10 * time.Minute

// stands says whether what a listing found stood before us. What we removed ourselves a moment ago does not, however long a listing shows it,
// and what an operator vouched to be gone is ours if it is there after all.
func stands(a store.Access, known, listed bool, began time.Time) (bool, error) {
	switch {
	case a.Removing != "":
		return false, errBusy
	case !listed || !known || a.Standing:
		return listed, nil
	case a.Forced:
		return false, nil
	case began.Before(a.Ended.Add(listingLag)):
		return false, errBusy
	}
	return true, nil
}

// fits says whether there is room for a line in the guard, with some to spare: an end before its time, or an extension, must always find room. Where the
// guard is closed, no room is a no; a timed one goes on without its line, which is told.
func (e *Engine) fits(c *store.Change, closed bool) (bool, error) {
	g, err := c.Guard()
	if err != nil {
		return false, err
	}
	g.Closed = closed
	if err = e.Guards.Fits(spare(g)); err == nil {
		return true, nil
	}
	var full *store.Refusal
	if !errors.As(err, &full) || c.Request.Guard != policy.GuardTimed {
		return false, err
	}
	c.Request.Ends.Full = true
	return false, c.Unline()
}

// spare adds to a guard what must still fit into it: two people who end at times of their own.
func spare(g store.Guard) store.Guard {
	g.Lines = slices.Clone(g.Lines)
	for n := range 2 {
		who := fmt.Sprintf("00000000-0000-0000-0000-00000000000%d", n)
		g.Lines = append(g.Lines, store.Line{Who: who, Until: time.Unix(int64(1+n), 0), Before: time.Unix(int64(1+n), 0)})
	}
	return g
}

// changed says what of a request the policy has taken back since.
func changed(p *policy.Policy, s policy.Scenario, r store.Request) string {
	now := store.Request{Requester: r.Requester}
	name(&now, p, s)
	switch {
	case now.PermissionSet != r.PermissionSet, now.Group != r.Group, now.Role != r.Role:
		return "The policy now grants something else for this scenario. Ask anew."
	case now.IAMUser != r.IAMUser:
		return "The policy now names another IAM user for you. Ask anew."
	}
	return ""
}

// guardSwitchedOff refuses what a guard that we no longer write would refuse in AWS.
func (e *Engine) guardSwitchedOff(r store.Request) string {
	if e.Guards != nil || r.PermissionSet == "" {
		return ""
	}
	w, known, err := e.writtenGuard(store.Guard{Account: r.Account.ID, Set: r.PermissionSet})
	if err == nil && known && w.Now.Closed {
		return "The guard of this permission set refuses whoever has no line in it, and the operator has switched the guard policies off, so nobody could use it. Whoever runs Breakglass can set BREAKGLASS_GUARD again, or make the policy harmless."
	}
	return ""
}
