package workflows

import (
	"context"
	"errors"
	"fmt"
	"regexp"

	"breakglass/store"
	"breakglass/workflows/policy"
)

// What changes under open sessions: the policy, what the operator has switched on or off, the store itself after a restore.

// PolicyChanged takes up what a new policy means for the sessions that are open, and compares everything with it.
func (e *Engine) PolicyChanged() {
	e.adopt()
	e.beginCensus()
}

// adopt gives whoever is in a line in a guard that has come to be, before it is closed, and has schedules made that were switched off when they came in.
func (e *Engine) adopt() {
	open, err := e.DB.Open()
	if err != nil {
		e.broken("read the open sessions", err)
		return
	}
	p := e.Policy()
	for _, r := range open {
		if r.State != store.Active {
			continue
		}
		a, known, err := e.DB.Access(r.Tuple())
		if err != nil || !known {
			continue
		}
		rule := e.rule(p, r)
		line := !a.Lined && !r.Ends.Full && rule.Mode != policy.GuardNone && e.guarded(store.Request{Guard: rule.Mode, Group: r.Group, Standing: r.Standing}, rule.Closed)
		if !line && (r.Ends.Schedules || !e.schedulable(r)) {
			continue
		}
		_, err = e.DB.Touch(e.by(), r.ID, store.Active, func(c *store.Change) error {
			q := c.Request
			q.Set(store.ClockPoll, c.By.At)
			if !line {
				return nil
			}
			q.Guard, q.Ends.Unguarded = rule.Mode, true // until its line is written
			return errors.Join(c.Adopt(), c.Log(store.EventIntent, map[string]string{"effect": "guard", "adopted": rule.Mode}))
		})
		if err != nil && !moved(err) {
			e.broken("give an open session a line in its guard", err)
		}
	}
}

// ours is the form of the names of schedules: the request, the store it is in, the end.
var ours = regexp.MustCompile(`^(BG-[0-9]+)-([0-9a-f]{6})-[0-9]{8}T[0-9]{4}-[0-9]$`)

// pastSchedules goes past the requests that the dead man's schedules know: their sessions may still be open.
func (e *Engine) pastSchedules(ctx context.Context) error {
	if e.DeadMan == nil {
		return nil
	}
	names, err := e.DeadMan.List(ctx)
	if err != nil {
		return fmt.Errorf("list the dead man's schedules: %w", err)
	}
	rows, err := e.DB.Accesses()
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, a := range rows {
		for _, s := range a.Schedules {
			known[s.Name] = true
		}
	}
	for _, name := range names {
		m := ours.FindStringSubmatch(name)
		if m == nil || known[name] {
			continue
		}
		if r, err := e.DB.Request(store.ID(m[1])); err != nil || !r.State.Ended() {
			e.restored.Store(true)
		}
		changed, err := e.DB.Past(e.by(), store.ID(m[1]))
		if err != nil {
			return err
		}
		if changed {
			e.Log.Error("the schedules know a request that the store does not: it was restored from an older backup, or is not the one that granted it. Such sessions end by their schedules", "request", m[1])
		}
	}
	return nil
}
