package workflows

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"breakglass/store"
)

// later are the dead man's schedules: at the end, and twice after it, since Scheduler takes a deletion for done once AWS has accepted it.
func later() []time.Duration { return []time.Duration{0, 3 * time.Minute, 15 * time.Minute} }

// plan is which schedules must stand for an access, and which that may stand must not. Scheduler knows no seconds: the end is rounded up.
func (e *Engine) plan(a store.Access, id store.ID, membership string) (want []store.Schedule, fresh []store.Schedule, stale []string) {
	if e.switchedOff() { // those of before stay, unless they come before the end
		for _, o := range a.Schedules {
			if o.At.Before(a.Until) {
				stale = append(stale, o.Name)
			}
		}
		return nil, nil, stale
	}
	if !a.Until.IsZero() {
		end := a.Until.Add(time.Minute - 1).Truncate(time.Minute)
		for n, after := range later() {
			s := store.Schedule{Name: fmt.Sprintf("%s-%s-%s-%d", id, e.mark(), end.Format("20060102T1504"), n+1), At: end.Add(after), Tuple: a.Tuple, Membership: membership}
			if i := slices.IndexFunc(a.Schedules, func(o store.Schedule) bool { return o.At.Equal(s.At) && o.Membership == membership }); i >= 0 {
				s = a.Schedules[i]
			} else {
				fresh = append(fresh, s)
			}
			want = append(want, s)
		}
	}
	for _, o := range a.Schedules {
		if !slices.ContainsFunc(want, func(s store.Schedule) bool { return s.Name == o.Name }) {
			stale = append(stale, o.Name)
		}
	}
	return want, fresh, stale
}

// makeSchedules makes the schedules that are written down for an access and takes away, after that, those of an earlier end: they would
// cut a later one off.
//
// Whoever changes the schedules of an access has its turn, and reads what they must be after having got it: a slow one would else put back what a
// later session's had replaced.
func (e *Engine) makeSchedules(ctx context.Context, r store.Request) error {
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	done, err := e.turns.take(ctx, scheduleTurn(r.Tuple()))
	if err != nil {
		return err
	}
	defer done()
	for {
		a, _, err := e.DB.Access(r.Tuple())
		if err != nil {
			return err
		}
		if err := e.makeFor(ctx, r, a); err != nil {
			return err
		}
		b, _, err := e.DB.Access(r.Tuple())
		if err != nil || b.Until.Equal(a.Until) {
			return err
		} // the end has moved meanwhile, by another session of the same access
	}
}

// makeFor makes the schedules of an access as it stands, and drops the others. The caller has the turn.
func (e *Engine) makeFor(ctx context.Context, r store.Request, a store.Access) error {
	want, fresh, stale := e.plan(a, r.ID, membershipOf(a, r))
	if len(fresh) > 0 || len(stale) > 0 { // most are written down with the intent; these follow from what came in between
		if _, err := e.DB.Touch(e.by(), r.ID, r.State, func(c *store.Change) error {
			data := map[string]string{"effect": "schedule"}
			if len(fresh) > 0 {
				data["names"] = names(fresh)
			}
			if len(stale) > 0 {
				data["instead of"] = strings.Join(stale, " ")
			}
			return errors.Join(c.Plan(fresh...), c.Log(store.EventIntent, data))
		}); err != nil {
			return err
		}
	}
	g, gctx := errgroup.WithContext(ctx)
	now := e.now()
	for _, s := range want {
		if s.At.After(now) {
			g.Go(func() error { return e.DeadMan.Make(gctx, s) })
		}
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return e.dropSchedules(ctx, r, stale)
}

// membershipOf is the membership that schedules of a group take away.
func membershipOf(a store.Access, r store.Request) string {
	if r.Group != "" && r.State != store.Revoking && r.Work.Change != "" {
		return r.Work.Change
	}
	for _, s := range a.Schedules {
		if s.Membership != "" {
			return s.Membership
		}
	}
	return ""
}

// dropSchedules takes schedules away and forgets them.
func (e *Engine) dropSchedules(ctx context.Context, r store.Request, names []string) error {
	if len(names) == 0 {
		return nil
	}
	if err := e.removeSchedules(ctx, names); err != nil {
		return err
	}
	_, err := e.DB.Touch(e.by(), r.ID, r.State, func(c *store.Change) error {
		return errors.Join(c.Unplan(names...), c.Log(store.EventOutcome, map[string]string{"effect": "unschedule", "names": strings.Join(names, " ")}))
	})
	return err
}

func (e *Engine) removeSchedules(ctx context.Context, names []string) error {
	if e.DeadMan == nil {
		return errors.New("the dead man's schedules are switched off; those made before stand until they have run")
	}
	g, gctx := errgroup.WithContext(ctx)
	for _, name := range names {
		g.Go(func() error {
			if err := e.DeadMan.Remove(gctx, name); err != nil {
				return fmt.Errorf("remove schedule %s: %w", name, err)
			}
			return nil
		})
	}
	return g.Wait()
}

// scheduleMembership makes the schedules of a membership, whose id is known only now. They are written down first.
func (e *Engine) scheduleMembership(ctx context.Context, r store.Request) (store.Request, error) {
	q, err := e.DB.Touch(e.by(), r.ID, store.Granting, func(c *store.Change) error {
		a, _, err := c.Access(c.Request.Tuple())
		if err != nil {
			return err
		}
		_, fresh, _ := e.plan(a, c.Request.ID, c.Request.Work.Change)
		return errors.Join(c.Plan(fresh...), c.Log(store.EventIntent, map[string]string{"effect": "schedule", "names": names(fresh)}))
	})
	if err != nil {
		return r, err
	}
	if err := e.makeSchedules(ctx, q); err != nil {
		return q, err
	}
	return e.DB.Touch(e.by(), q.ID, store.Granting, func(c *store.Change) error {
		c.Request.Ends.Schedules = true
		return c.Log(store.EventOutcome, map[string]string{"effect": "schedule", "scheduled": "true"})
	})
}

// dropAll takes away the schedules of an access that nobody has any more; no grant of it comes in between while its removal is not over.
func (e *Engine) dropAll(ctx context.Context, of store.Tuple, names []string) error {
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	done, err := e.turns.take(ctx, scheduleTurn(of))
	if err != nil {
		return err
	}
	defer done()
	return e.removeSchedules(ctx, names)
}

// mark is what tells our schedules from another installation's: the beginning of the store's identity.
func (e *Engine) mark() string { return e.DB.ID()[:6] }

func scheduleTurn(t store.Tuple) string {
	return "schedules " + t.UserID + " " + t.Account + " " + t.Set + " " + t.Group
}

// unscheduled says whether a membership still lacks the schedules that end it.
func (e *Engine) unscheduled(r store.Request) bool {
	return r.Group != "" && !r.Ends.Schedules && e.schedulable(r)
}

// scheduleLate makes the schedules of a session that was opened while they were switched off.
func (e *Engine) scheduleLate(ctx context.Context, r store.Request) error {
	if r.Group != "" {
		change, err := e.Assigner.Assign(ctx, r.Grant()) // the same membership, and its id
		if err != nil {
			return fmt.Errorf("ask for the membership's id: %w", err)
		}
		r.Work.Change = change
	}
	if err := e.makeSchedules(ctx, r); err != nil {
		return err
	}
	_, err := e.DB.Touch(e.by(), r.ID, store.Active, func(c *store.Change) error {
		q := c.Request
		q.Stop(store.ClockPoll)
		q.Ends.Schedules = true
		if q.Ends.Guard {
			q.Ends.Why = ""
		}
		return errors.Join(c.Log(store.EventOutcome, map[string]string{"effect": "schedule", "scheduled": "true"}), card(c))
	})
	return err
}
