package workflows

import (
	"context"
	"errors"
	"fmt"
	"time"

	"breakglass/store"
)

// beginEnd moves a session into revoking: from here on taking the access away never gives up. click is what asked for it, if one did.
func (e *Engine) beginEnd(r store.Request, from store.State, by store.Actor, why string, click *store.Click) error {
	_, err := e.DB.Transition(store.By{Actor: by, At: store.Moment(e.now())}, r.ID, from, store.Revoking, func(c *store.Change) error {
		q := c.Request
		q.End = store.End{Why: why, By: by, At: c.By.At}
		q.Work = store.Work{Since: c.By.At}
		if from == store.Granting { // what was asked for and not seen may still come true
			if q.Work.Creating = r.Work.Change; r.Work.Change == "" {
				q.Work.Doubt = c.By.At.Add(doubtFor)
			}
		}
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
func (e *Engine) watch(_ context.Context, r store.Request) error {
	now := e.now()
	switch {
	case r.Over(store.ClockEnd, now):
		return e.beginEnd(r, store.Active, store.Bot(), store.EndExpired, nil)
	case r.Over(store.ClockWarn, now):
		_, err := e.DB.Touch(e.by(), r.ID, store.Active, func(c *store.Change) error {
			c.Request.Stop(store.ClockWarn)
			return errors.Join(c.Log(store.EventReminded, map[string]string{"of": "the end"}), direct(c, NoticeWarning, c.Request.Requester.SlackID, nil))
		})
		return err
	}
	return fmt.Errorf("%s is active and due: nothing is known to do", r.ID)
}

// doubtFor is how long a creation whose answer was lost may take to come true. Nothing is taken for gone before.
const doubtFor = 5 * time.Minute

// doubtPause is between two looks meanwhile.
const doubtPause = 15 * time.Second

// revoke takes the access away and proves it. Absence in the listing decides, whatever the status of a change says.
func (e *Engine) revoke(ctx context.Context, r store.Request) error {
	a, _, err := e.DB.Access(r.Tuple())
	if err != nil {
		return err
	}
	switch {
	case a.Removing == r.ID:
	case a.Standing || r.Standing:
		return e.ended(r, map[string]string{"standing": "true"})
	case len(a.Live) > 0:
		return e.ended(r, map[string]string{"shared": string(a.Live[0])})
	case a.Removing != "":
		return e.ended(r, map[string]string{"shared": string(a.Removing)})
	}
	if r.Work.Creating != "" {
		if done, err := e.creationOver(ctx, r); err != nil || !done {
			return err
		}
	}
	if r.Work.Change == "" {
		if r, err = e.unassign(ctx, r); err != nil {
			return err
		}
	}
	if r.Work.Change != "" {
		if p, why, err := e.follow(ctx, r, r.Work.Change, true); err == nil && p == store.Underway {
			return e.later(r, false)
		} else if err != nil && !errors.Is(err, store.ErrGone) || p == store.Refused {
			e.Log.Warn("the removal cannot be followed, or AWS reports that it failed; the listing decides", "request", r.ID, "reason", why, "err", err)
		}
	}
	there, err := e.assigned(ctx, r)
	if err != nil {
		return err
	}
	if there {
		return e.later(r, true) // whatever AWS says of the change: ask again
	}
	if now := e.now(); now.Before(r.Work.Doubt) {
		_, err := e.DB.Touch(e.by(), r.ID, store.Revoking, func(c *store.Change) error {
			c.Request.Work.Change = ""
			c.Request.Set(store.ClockPoll, now.Add(doubtPause))
			return nil
		})
		return err
	}
	return e.ended(r, nil)
}

// creationOver follows a creation that was under way when the end began: taking away what is not there yet takes nothing away.
func (e *Engine) creationOver(ctx context.Context, r store.Request) (done bool, err error) {
	p, _, err := e.follow(ctx, r, r.Work.Creating, false)
	if err == nil && p == store.Underway {
		return false, e.later(r, false)
	}
	_, terr := e.DB.Touch(e.by(), r.ID, store.Revoking, func(c *store.Change) error {
		w := &c.Request.Work
		if w.Creating = ""; err != nil || p == store.Forgotten { // nobody knows how it stands: look for as long as it may take
			w.Doubt = c.By.At.Add(doubtFor)
		}
		return nil
	})
	return false, terr // with the record as it is now
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
	e.meters.lateness.Observe(max(0, e.now().Sub(r.ExpiresAt).Seconds()))
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
			q.Set(store.ClockTell, now)
		}
		outcome := map[string]string{"effect": "unassign"}
		for k, v := range data {
			outcome[k] = v
		}
		if len(data) == 0 {
			outcome["verified"] = "absent"
		}
		errs := []error{
			c.Forget(false), c.Log(store.EventOutcome, outcome), card(c), pass(c), line(c, NoticeEnded, data),
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

// forceAfter is how long a revocation is left to AWS before somebody's word may stand for it: when people first hear that it is stuck.
const forceAfter = time.Minute

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
	if e.now().Before(r.Work.Since.Add(forceAfter)) {
		return &Refusal{RefusedState, fmt.Sprintf("%s began to end less than %s ago, and AWS mostly needs that long. See breakglass sessions, and come back if it is stuck.", r.ID, forceAfter)}
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
			c.Forget(true), c.Log(store.EventOutcome, map[string]string{"effect": "unassign", "forced": verified}),
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
	if e.ByHand != nil {
		data["command"] = e.ByHand(q.Tuple())
	}
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
