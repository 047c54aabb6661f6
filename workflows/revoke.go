package workflows

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"breakglass/store"
)

// beginEnd moves a session into revoking: from here on taking the access away never gives up. click is what asked for it, if one did.
func (e *Engine) beginEnd(r store.Request, from store.State, by store.Actor, why string, click *store.Click) error {
	return e.beginEndNoted(r, from, by, why, "", click)
}

// beginEndNoted is beginEnd with a note, which is somebody's words.
func (e *Engine) beginEndNoted(r store.Request, from store.State, by store.Actor, why, note string, click *store.Click) error {
	_, err := e.DB.Transition(store.By{Actor: by, At: store.Moment(e.now())}, r.ID, from, store.Revoking, func(c *store.Change) error {
		q := c.Request
		q.End = store.End{Why: why, By: by, At: c.By.At, Note: note}
		q.Work = store.Work{Since: c.By.At}
		if from == store.Granting { // what was asked for and not seen may still come true
			if q.Work.Creating = r.Work.Change; r.Work.Change == "" {
				q.Work.Doubt = c.By.At.Add(doubtFor)
			}
		}
		n, x := q.Extending()
		lapse(q, c.By.At)
		q.Stop(store.ClockEnd, store.ClockWarn)
		q.Set(store.ClockPoll, c.By.At)
		a, err := c.Remove()
		if err != nil {
			return err
		}
		data := map[string]string{"effect": "unassign", "why": why, "removing": fmt.Sprint(a.Removing == q.ID)}
		if a.Removing == q.ID && len(a.Schedules) > 0 {
			data["unschedule"] = names(a.Schedules)
		}
		if a.Out {
			data["refuse"] = "outright"
		}
		notice := NoticeEnding
		if why == store.EndVanished {
			notice = NoticeGone
		}
		errs := []error{c.Log(store.EventIntent, data), e.confess(c), card(c), pass(c), line(c, notice, nil)}
		if x != nil {
			errs = append(errs, extensionOf(c, n))
		}
		if click != nil {
			errs = append(errs, c.Done(click.Seq))
		}
		return errors.Join(errs...)
	})
	if err == nil {
		e.meters.ended.WithLabelValues(why).Inc()
		e.confessed(r.ID)
		e.endAlong(r)
	}
	return err
}

// watch looks after a session while it lasts.
func (e *Engine) watch(ctx context.Context, r store.Request) error {
	now := e.now()
	switch {
	case r.Over(store.ClockEnd, now):
		return e.beginEnd(r, store.Active, store.Bot(), store.EndExpired, nil)
	case r.Over(store.ClockPoll, now):
		return e.tend(ctx, r)
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

// revoke takes the access away and proves it. Absence in the listing decides, whatever the status of a change says. Where the session ends before its
// time, the guard refuses the person outright before all else; where it ends on time, it does so already.
func (e *Engine) revoke(ctx context.Context, r store.Request) error {
	ctx = store.Overdue(ctx, dueOf(r))
	a, _, err := e.DB.Access(r.Tuple())
	if err != nil {
		return err
	}
	e.endAlong(r)
	switch {
	case a.Removing == r.ID:
	case seeded("shared"): // deleted although another session needs it
	case a.Standing || r.Standing:
		return e.leave(ctx, r, a, map[string]string{"standing": "true"})
	case len(a.Live) > 0:
		return e.leave(ctx, r, a, map[string]string{"shared": string(a.Live[0])})
	case a.Removing != "":
		return e.ended(r, map[string]string{"shared": string(a.Removing)})
	}
	if a.Removing == "" { // whoever it was left to has ended: no grant may come in between
		if _, err := e.DB.Touch(e.by(), r.ID, store.Revoking, func(c *store.Change) error { return c.Claim() }); err != nil {
			return err
		}
	}
	refused := e.refuse(ctx, &r, a)
	if r.Work.Absent.IsZero() {
		meanwhile := e.refuseMeanwhile(ctx, r, refused)
		gone, err := e.takeAway(ctx, &r)
		refused = meanwhile()
		if err != nil || !gone {
			return err
		}
	}
	return e.settle(ctx, r, a, refused)
}

// refusePause is between two tries to have the guard refuse while the removal goes on.
const refusePause = time.Second

// refuseMeanwhile goes on trying to have the guard refuse while the assignment is taken away. The function it returns ends that, and says what came of it.
func (e *Engine) refuseMeanwhile(ctx context.Context, r store.Request, failed error) func() error {
	if failed == nil {
		return func() error { return nil }
	}
	ctx, cancel := context.WithCancel(ctx)
	result := make(chan error, 1)
	go func() {
		for err := failed; ; {
			select {
			case <-ctx.Done():
				result <- err
				return
			case <-time.After(refusePause):
			}
			if err = e.writeGuard(ctx, r.Tuple()); err == nil {
				result <- nil
				return
			}
		}
	}()
	return func() error {
		cancel()
		return <-result
	}
}

// dueOf is when the access of a request should have been gone.
func dueOf(r store.Request) time.Time {
	if !r.End.At.IsZero() && (r.ExpiresAt.IsZero() || r.End.At.Before(r.ExpiresAt)) {
		return r.End.At
	}
	return r.ExpiresAt
}

// refuse has the guard refuse the person outright where the session ends before its time, and then ends open shells, which no guard ends. Neither
// holds up the removal: what fails is tried again with it.
func (e *Engine) refuse(ctx context.Context, r *store.Request, a store.Access) error {
	if !a.Out || r.Work.Refused || e.Guards == nil {
		return nil
	}
	ask, cancel := context.WithTimeout(ctx, timedPatience)
	defer cancel()
	if err := e.writeGuard(ask, r.Tuple()); err != nil {
		e.Log.Warn("the guard does not refuse yet; the removal goes on meanwhile", "request", r.ID, "err", err)
		return fmt.Errorf("have the guard refuse: %w", err)
	}
	n, _ := e.endShells(ask, *r, a.Since)
	q, err := e.DB.Touch(e.by(), r.ID, store.Revoking, func(c *store.Change) error {
		c.Request.Work.Refused = true
		c.Request.Work.Shells += n
		return c.Log(store.EventOutcome, map[string]string{"effect": "guard", "refused": "outright", "shells": fmt.Sprint(n)})
	})
	if err != nil {
		return err
	}
	*r = q
	return nil
}

// takeAway deletes the assignment, follows that to its end, and lists. gone is false where it is left to the clock.
func (e *Engine) takeAway(ctx context.Context, r *store.Request) (gone bool, err error) {
	if r.Work.Creating != "" {
		if done, err := e.creationOver(ctx, *r); err != nil || !done {
			return false, err
		}
	}
	if r.Work.Change == "" {
		if *r, err = e.unassign(ctx, *r); err != nil {
			return false, err
		}
	}
	if r.Work.Change != "" {
		if p, why, err := e.follow(ctx, *r, r.Work.Change, true); err == nil && p == store.Underway {
			return false, e.later(*r, false)
		} else if err != nil && !errors.Is(err, store.ErrGone) || p == store.Refused {
			e.Log.Warn("the removal cannot be followed, or AWS reports that it failed; the listing decides", "request", r.ID, "reason", why, "err", err)
		}
	}
	there, err := e.assigned(ctx, *r)
	if err != nil {
		return false, err
	}
	if there {
		return false, e.later(*r, true) // whatever AWS says of the change: ask again
	}
	if now := e.now(); now.Before(r.Work.Doubt) {
		_, err := e.DB.Touch(e.by(), r.ID, store.Revoking, func(c *store.Change) error {
			c.Request.Work.Change = ""
			c.Request.Set(store.ClockPoll, now.Add(doubtPause))
			return nil
		})
		return false, err
	}
	return true, nil
}

// shellsFor is how long open shells are looked for after the access is gone. A Region in which AWS refuses to be asked would else keep the case open, and
// the person out, for ever; that it could not be looked is said.
const shellsFor = 15 * time.Minute

// settle does what is left once a listing showed nothing: open shells, a guard that does not refuse yet, schedules. The first two hold up the end of the
// case, since somebody may still be in; a schedule that cannot be taken away finds nothing to do, and is tidied later.
func (e *Engine) settle(ctx context.Context, r store.Request, a store.Access, refused error) error {
	n, err := e.endShells(ctx, r, a.Since)
	noLook := ""
	if err != nil && !r.Work.Absent.IsZero() && e.now().After(r.Work.Absent.Add(shellsFor)) {
		noLook, err = brief(err), nil
	}
	if refused != nil && !r.Ends.Unguarded && !e.now().Before(a.Reach) {
		refused = nil // the line's own date refuses by now
	}
	if err = errors.Join(err, refused); err != nil {
		if _, terr := e.DB.Touch(e.by(), r.ID, store.Revoking, func(c *store.Change) error {
			w := &c.Request.Work
			w.Shells += n
			if w.Absent.IsZero() {
				w.Absent = c.By.At
				return c.Log(store.EventOutcome, map[string]string{"effect": "unassign", "verified": "absent", "left": brief(err)})
			}
			return nil
		}); terr != nil {
			return terr
		}
		return err
	}
	data := map[string]string{}
	if noLook != "" {
		data["no_look"] = noLook
	}
	if n += r.Work.Shells; n > 0 {
		data["shells"] = fmt.Sprint(n)
	}
	var all []string
	for _, s := range a.Schedules {
		all = append(all, s.Name)
	}
	if len(all) > 0 {
		if err := e.dropAll(ctx, r.Tuple(), all); err != nil {
			e.Log.Warn("schedules that have nothing left to do could not be removed; it is tried again", "request", r.ID, "err", err)
			all = nil
		}
	}
	return e.endedClean(r, data, all)
}

// leave ends a request whose access stays, because another session or somebody's standing access needs it. What stands for the others must end
// when theirs does.
func (e *Engine) leave(ctx context.Context, r store.Request, a store.Access, data map[string]string) error {
	if e.Guards != nil && a.Lined {
		if err := e.writeGuard(ctx, r.Tuple()); err != nil {
			return fmt.Errorf("have the guard end with the sessions that are left: %w", err)
		}
	}
	if len(a.Live) > 0 && (e.schedulable(r) || len(a.Schedules) > 0) {
		if err := e.makeSchedules(ctx, r); err != nil {
			return fmt.Errorf("have the dead man's schedules end with the sessions that are left: %w", err)
		}
	}
	return e.ended(r, data)
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

// endPatience is how long a removal may wait for its turn: when thousands end at once, the quota makes the last of them wait a quarter of an hour, and
// to give up would not make it sooner. AWS itself is given far less for each answer.
const endPatience = 15 * time.Minute

// unassign asks for the removal. A change stays "" where there was nothing to remove.
func (e *Engine) unassign(ctx context.Context, r store.Request) (store.Request, error) {
	ctx, cancel := context.WithTimeout(ctx, endPatience)
	defer cancel()
	change, err := e.Assigner.Unassign(ctx, r.Tuple())
	if errors.Is(err, store.ErrGone) {
		return r, nil
	}
	if err != nil {
		return r, fmt.Errorf("delete the assignment: %w", err)
	}
	e.meters.lateness.Observe(max(0, e.now().Sub(r.ExpiresAt).Seconds()))
	q, err := e.DB.Touch(e.by(), r.ID, store.Revoking, func(c *store.Change) error {
		c.Request.Work.Change = change
		c.Request.Work.Since = c.By.At // until here it may have waited for others that were more overdue
		return c.Log(store.EventOutcome, map[string]string{"effect": "unassign", "change": change})
	})
	if err != nil && !moved(err) {
		e.owe(r.ID)
	}
	return q, err
}

// ended records that nothing of this request is left. data says why nothing was removed.
func (e *Engine) ended(r store.Request, data map[string]string) error {
	return e.endedClean(r, data, nil)
}

// endedClean is ended after a removal: unscheduled are the schedules AWS has no more, and data may say how many shells were ended.
func (e *Engine) endedClean(r store.Request, data map[string]string, unscheduled []string) error {
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
		if data["shared"] == "" && data["standing"] == "" {
			outcome["verified"] = "absent"
		}
		if len(unscheduled) > 0 {
			outcome["unscheduled"] = strings.Join(unscheduled, " ")
			if err := c.Unplan(unscheduled...); err != nil {
				return err
			}
		}
		if n, err := strconv.Atoi(data["shells"]); err == nil {
			q.Ends.Shells = n
		}
		q.Ends.NoLook = data["no_look"]
		errs := []error{
			e.confess(c), c.Forget(false, now.Add(e.lasts(*q))), c.Log(store.EventOutcome, outcome), card(c), pass(c), line(c, NoticeEnded, data), owes(c, p),
			direct(c, NoticeGoodbye, q.Requester.SlackID, data),
		}
		if !late.IsZero() {
			errs = append(errs, line(c, NoticeLate, nil), c.Tell(store.Notice{Kind: NoticeUnstuck, Lane: lane(q, "incidents")}))
		}
		return errors.Join(errs...)
	})
	if err == nil {
		e.confessed(r.ID)
	}
	return err
}
