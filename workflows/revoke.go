package workflows

import (
	"context"
	"errors"
	"fmt"
	"time"

	"breakglass/store"
)

// beginEnd moves a session into revoking: from here on taking the access away never gives up. seq is the click that asked for it, if one did.
func (e *Engine) beginEnd(r store.Request, from store.State, by store.Actor, why string, click *store.Click) error {
	_, err := e.DB.Transition(store.By{Actor: by, At: store.Moment(e.Now())}, r.ID, from, store.Revoking, func(c *store.Change) error {
		q := c.Request
		q.End = store.End{Why: why, By: by, At: c.By.At}
		q.Work = store.Work{Since: c.By.At}
		q.Stop(store.ClockEnd, store.ClockWarn)
		q.Set(store.ClockPoll, c.By.At)
		a, err := c.Remove()
		if err != nil {
			return err
		}
		data := map[string]string{"effect": "unassign", "why": why, "removing": fmt.Sprint(a.Removing == q.ID)}
		errs := []error{c.Log(store.EventIntent, data), card(c), pass(c), line(c, NoticeEnding, nil)}
		if click != nil {
			errs = append(errs, c.Done(click.Seq))
		}
		return errors.Join(errs...)
	})
	if err == nil {
		e.meters.ended.WithLabelValues(why).Inc()
	}
	return err
}

// watch looks after a session while it lasts.
func (e *Engine) watch(ctx context.Context, r store.Request) error {
	now := e.Now()
	switch {
	case r.Over(store.ClockEnd, now):
		return e.beginEnd(r, store.Active, store.Bot(), store.EndExpired, nil)
	case r.Over(store.ClockWarn, now):
		_, err := e.DB.Touch(e.by(), r.ID, store.Active, func(c *store.Change) error {
			c.Request.Stop(store.ClockWarn)
			return errors.Join(c.Log(store.EventReminded, map[string]string{"of": "the end"}), direct(c, NoticeWarning, c.Request.Requester.SlackID, nil))
		})
		return err
	default:
		return e.tellNamed(ctx, r, "begin")
	}
}

// revoke takes the access away and proves it. Absence in the listing decides, whatever the status of a change says.
func (e *Engine) revoke(ctx context.Context, r store.Request) error {
	a, _, err := e.DB.Access(r.Tuple())
	if err != nil {
		return err
	}
	switch {
	case a.Standing || r.Standing:
		return e.ended(r, map[string]string{"standing": "true"})
	case a.Removing != r.ID && len(a.Live) > 0:
		return e.ended(r, map[string]string{"shared": string(a.Live[0])})
	case a.Removing != r.ID && a.Removing != "":
		return e.ended(r, map[string]string{"shared": string(a.Removing)})
	}
	if r.Work.Change == "" {
		if r, err = e.unassign(ctx, r); err != nil {
			return err
		}
	}
	if r.Work.Change != "" {
		p, why, err := e.follow(ctx, r.Work.Change, true)
		switch {
		case err != nil && !errors.Is(err, store.ErrGone):
			return err
		case err == nil && p == store.Underway:
			return e.later(r, false)
		case err == nil && p == store.Refused:
			e.Log.Warn("AWS reports a failed removal; the listing decides", "request", r.ID, "reason", why)
		}
	}
	there, err := e.assigned(ctx, r)
	if err != nil {
		return err
	}
	if there {
		return e.later(r, true) // AWS says it is done and still lists it: ask again
	}
	return e.ended(r, nil)
}

// unassign asks for the removal. A change stays "" where there was nothing to remove.
func (e *Engine) unassign(ctx context.Context, r store.Request) (store.Request, error) {
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	change, err := e.Assigner.Unassign(ctx, r.Tuple())
	if errors.Is(err, store.ErrGone) {
		return r, nil
	}
	if err != nil {
		return r, fmt.Errorf("delete the assignment: %w", err)
	}
	e.meters.lateness.Observe(max(0, e.Now().Sub(r.ExpiresAt).Seconds()))
	return e.DB.Touch(e.by(), r.ID, store.Revoking, func(c *store.Change) error {
		c.Request.Work.Change = change
		return c.Log(store.EventOutcome, map[string]string{"effect": "unassign", "change": change})
	})
}

// ended records that nothing of this request is left. data says why nothing was removed, where nothing was.
func (e *Engine) ended(r store.Request, data map[string]string) error {
	p := e.Policy()
	_, err := e.DB.Transition(e.by(), r.ID, store.Revoking, store.Revoked, func(c *store.Change) error {
		q, now := c.Request, c.By.At
		q.EndedAt = now
		late := q.Work.Announced
		q.Work = store.Work{}
		q.Stop(store.ClockPoll)
		q.Set(store.ClockReport, now.Add(p.Report.Settle))
		if len(q.Notify) > 0 {
			q.Set(store.ClockPoll, now)
		}
		outcome := map[string]string{"effect": "unassign", "verified": "absent"}
		for k, v := range data {
			outcome[k] = v
		}
		errs := []error{
			c.Forget(), c.Log(store.EventOutcome, outcome), card(c), pass(c), line(c, NoticeEnded, data),
			direct(c, NoticeGoodbye, q.Requester.SlackID, data),
		}
		if !late.IsZero() {
			errs = append(errs, line(c, NoticeLate, nil), c.Tell(store.Notice{Kind: NoticeUnstuck, Lane: lane(q, "incidents")}))
		}
		return errors.Join(errs...)
	})
	return err
}

// endNow is the requester's End now.
func (e *Engine) endNow(ctx context.Context, c store.Click) error {
	r, err := e.DB.Request(c.Request)
	if err != nil {
		return err
	}
	if r.State != store.Active && r.State != store.Granting {
		return &Refusal{RefusedState, Standing(r)}
	}
	person, err := e.requester(ctx, c, r, "end it")
	if err != nil {
		return err
	}
	return e.beginEnd(r, r.State, store.Somebody(person), store.EndedEarly, &c)
}

// End ends a session from the command line, when Slack is not there.
func (e *Engine) End(by store.By, id store.ID, note string) error {
	r, err := e.DB.Request(id)
	if err != nil {
		return err
	}
	if r.State != store.Active && r.State != store.Granting {
		return &Refusal{RefusedState, Standing(r)}
	}
	if err := e.beginEnd(r, r.State, by.Actor, store.EndRevoked, nil); err != nil {
		return err
	}
	e.kickID(id)
	return nil
}

// ForceClose ends a revocation that AWS will never answer, as when the account no longer exists. Somebody vouches that they looked:
// it is the only way out of revoking that no listing proved.
func (e *Engine) ForceClose(by store.By, id store.ID, verified string) error {
	if verified == "" {
		return &Refusal{RefusedState, "Say how you verified that no access is left."}
	}
	r, err := e.DB.Request(id)
	if err != nil {
		return err
	}
	if r.State != store.Revoking {
		return &Refusal{RefusedState, Standing(r) + " Only a session that is ending can be closed by force; end it first."}
	}
	p := e.Policy()
	_, err = e.DB.Transition(by, id, store.Revoking, store.Revoked, func(c *store.Change) error {
		q := c.Request
		q.End.Why, q.End.Note = store.EndForced, verified
		q.EndedAt = c.By.At
		q.Work = store.Work{}
		q.Stop(store.ClockPoll)
		q.Set(store.ClockReport, c.By.At.Add(p.Report.Settle))
		return errors.Join(
			c.Forget(), c.Log(store.EventOutcome, map[string]string{"effect": "unassign", "forced": verified}),
			card(c), pass(c), line(c, NoticeEnded, map[string]string{"forced": verified}),
			c.Tell(store.Notice{Kind: NoticeUnstuck, Lane: lane(q, "incidents"), Data: map[string]string{"forced": verified}}),
		)
	})
	if err == nil {
		e.Nudge()
	}
	return err
}

// When people hear that a step still does not work: after a minute, and again ever more rarely.
var complaints = []time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour}

// complain adds to a failed try what people must hear of it by now. A revocation that fails is the incidents channel's business; a grant that
// takes long is the thread's.
func (e *Engine) complain(c *store.Change, now time.Time) error {
	q := c.Request
	w := &q.Work
	if w.Since.IsZero() {
		w.Since = now
	}
	heard := w.Announced
	var due time.Time
	for _, after := range complaints {
		if at := w.Since.Add(after); heard.Before(at) && !at.After(now) {
			due = at
		}
	}
	if last := complaints[len(complaints)-1]; due.IsZero() && !heard.IsZero() && now.Sub(heard) >= last {
		due = now
	}
	if due.IsZero() {
		return nil
	}
	w.Announced = now
	data := map[string]string{"error": w.Error, "since": w.Since.Format(time.RFC3339), "attempts": fmt.Sprint(w.Attempts)}
	if err := c.Log(store.EventFault, data); err != nil {
		return err
	}
	if q.State == store.Revoking {
		e.meters.stuck.Inc()
		return errors.Join(line(c, NoticeUncertain, data), c.Tell(store.Notice{Kind: NoticeStuck, Lane: lane(q, "incidents"), Data: data}))
	}
	if q.State == store.Approved || q.State == store.Granting {
		return line(c, NoticeUncertain, data)
	}
	return nil
}
