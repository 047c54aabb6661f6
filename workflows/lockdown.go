package workflows

import (
	"context"
	"errors"
	"fmt"

	"breakglass/store"
)

// A lockdown ends every session and refuses new ones until it is lifted. It is one fact in the store: what follows from it is worked out by every sweep,
// so that a crash in the middle leaves nobody in.

func lockedDown(l store.Lockdown) string {
	return fmt.Sprintf("Nothing is granted: %s has locked everything down. The lockdown people lift it with /access lockdown lift.", l.By.Label())
}

// lockClick is /access lockdown and its lifting.
func (e *Engine) lockClick(ctx context.Context, c store.Click) error {
	p := e.Policy()
	principal, person, err := e.match(ctx, p, c)
	if err != nil {
		return err
	}
	if v := p.MayLockDown(who(principal)); !v.OK {
		return &Refusal{string(v.Code), v.Why}
	}
	by := e.named(person)
	if c.Kind == store.ClickLock {
		return e.lock(by, c.Text, c.Seq)
	}
	return e.unlock(by, c.Text, c.Seq)
}

// Lock is the lockdown from the command line, when Slack is not there.
func (e *Engine) Lock(by store.By, why string) error { return e.lock(by, why, 0) }

// Unlock lifts it from the command line.
func (e *Engine) Unlock(by store.By, why string) error { return e.unlock(by, why, 0) }

func (e *Engine) lock(by store.By, why string, click uint64) error {
	n, err := e.mayHaveAccess()
	if err != nil {
		return err
	}
	err = e.DB.Lock(by, why, click, lockNotices(by, map[string]string{"why": why, "ended": fmt.Sprint(n)})...)
	if errors.Is(err, store.ErrLocked) {
		return &Refusal{RefusedState, "A lockdown is in force already. Lift it with /access lockdown lift."}
	}
	if err == nil {
		e.Nudge()
		e.hear()
		return nil
	}
	return e.everybodyOut(err)
}

// everybodyOut ends every session that it can although a lockdown could not be written down.
func (e *Engine) everybodyOut(cause error) error {
	open, err := e.DB.Open()
	if err != nil {
		return cause
	}
	out := cause
	for _, r := range open {
		if r.State == store.Granting || r.State == store.Active {
			out = e.outAnyway(r, cause)
		}
	}
	return out
}

func (e *Engine) unlock(by store.By, why string, click uint64) error {
	err := e.DB.Unlock(by, why, click, lockNotices(by, map[string]string{"why": why, "lift": "true"})...)
	if errors.Is(err, store.ErrNotLocked) {
		return &Refusal{RefusedState, "No lockdown is in force."}
	}
	if err == nil {
		e.Nudge()
		e.hear()
	}
	return err
}

func lockNotices(by store.By, data map[string]string) (out []store.Notice) {
	data["by"] = by.Actor.Label()
	for _, channel := range []string{"incidents", "requests"} {
		d := map[string]string{"channel": channel}
		for k, v := range data {
			d[k] = v
		}
		out = append(out, store.Notice{Kind: NoticeLockdown, Lane: "lockdown " + channel, Data: d})
	}
	return out
}

// mayHaveAccess counts the sessions that a lockdown ends.
func (e *Engine) mayHaveAccess() (n int, err error) {
	counts, err := e.DB.Tally()
	return counts[store.Granting] + counts[store.Active], err
}

// enforce ends whatever a lockdown that is in force must end. Sweeps ask it; while none is in force it reads one fact.
func (e *Engine) enforce() {
	l, locked, err := e.DB.Lockdown()
	if err != nil {
		e.broken("read whether a lockdown is in force", err)
		return
	}
	if !locked {
		return
	}
	if n, err := e.mayHaveAccess(); err != nil || n == 0 {
		return
	}
	open, err := e.DB.Open()
	if err != nil {
		e.broken("read the sessions a lockdown ends", err)
		return
	}
	for _, r := range open {
		if r.State != store.Granting && r.State != store.Active {
			continue
		}
		why := l.Why
		if r.State != store.Active {
			why = "" // what an end before the beginning notes is why there was no access
		}
		err := e.beginEndNoted(r, r.State, l.By, store.EndLockdown, why, nil)
		var moved *store.TransitionError
		if err != nil && !errors.As(err, &moved) {
			e.broken("end a session for the lockdown", err)
			continue
		}
		e.kickID(r.ID)
	}
}
