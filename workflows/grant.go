package workflows

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"breakglass/store"
	"breakglass/workflows/policy"
)

// How long the engine stays with a change of AWS's before it leaves it to the clock, and how often it asks meanwhile. AWS mostly
// takes 3 to 30 s; asking often at first is what a waiting engineer feels.
const (
	followFor   = 20 * time.Second
	followFirst = 250 * time.Millisecond
	followMost  = 500 * time.Millisecond
	askAgain    = 2 * time.Second // when a step has left a change to the clock
)

// askPatience bounds one round of questions to AWS within a step, so that a hang becomes another try.
const askPatience = 30 * time.Second

// uncertainAfter is how long a grant may stay unproved before it is taken away.
const uncertainAfter = 15 * time.Minute

// warnBefore is how long before its end a session's requester is reminded.
const warnBefore = 10 * time.Minute

// errBusy: the same access is being taken away for another request at this moment; the grant comes after it.
var errBusy = errors.New("the same access is being removed for another request")

// prepare takes an approved request to the intent to grant. The directory is asked once more about everybody, and AWS about what the
// person has already; both at once. What the listing found is committed with the intent and not asked again.
func (e *Engine) prepare(ctx context.Context, r store.Request) error {
	p := e.Policy()
	if now := e.now(); now.After(r.DecidedAt.Add(p.Requests.Expire)) {
		return e.fail(r, fmt.Sprintf("It could not be opened within %s: %s. Ask anew if it is still needed.", p.Requests.Expire, orSilence(r.Work.Error)))
	}
	if e.clock.isBack() {
		return errors.New("the machine's clock was set back")
	}
	if a, _, err := e.DB.Access(r.Tuple()); err != nil {
		return err
	} else if a.Removing != "" {
		return errBusy
	}
	ask, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	began := e.now() // of the listing: what it shows may be older than what was removed since
	var listed bool
	var no string
	g, gctx := errgroup.WithContext(ask)
	g.Go(func() (err error) { no, err = e.lastCheck(gctx, p, r); return err })
	g.Go(func() (err error) { listed, err = e.Assigner.Assigned(gctx, r.Tuple()); return err })
	e.readyGuard(ctx, r)
	if err := g.Wait(); err != nil {
		var refused *store.Refusal
		if errors.As(err, &refused) {
			return e.fail(r, refused.Error()+".")
		}
		return err
	}
	if no != "" {
		return e.fail(r, no)
	}
	if seeded("intent") { // the effect before its record
		g := r.Grant()
		g.Until = e.now().Add(r.Duration)
		_, _ = e.Assigner.Assign(ctx, g)
	}
	q, err := e.intend(r, p, listed, began)
	var full *store.Refusal
	if errors.As(err, &full) {
		return e.fail(r, strings.TrimRight(full.Message, ".")+".")
	}
	if err != nil {
		return err
	}
	r = q
	return e.letIn(ctx, r, !listed || r.Work.Must)
}

func orSilence(s string) string {
	if s == "" {
		return "AWS did not answer"
	}
	return s
}

// lastCheck asks once more what every answer so far rested on: the policy, the requester, every decider. "" is a yes.
func (e *Engine) lastCheck(ctx context.Context, p *policy.Policy, r store.Request) (no string, err error) {
	s, ok := scenario(p, r)
	if !ok {
		return "The policy no longer has this scenario.", nil
	}
	if no := changed(p, s, r); no != "" {
		return no, nil
	}
	if what := p.Unbuilt(s); what != "" {
		return "The policy now asks for " + what + ", which is not offered yet.", nil
	}
	if acct, ok := p.Account(r.Account.Name); r.Account.ID != "" && (!ok || acct.ID != r.Account.ID) {
		return "The policy no longer has this account.", nil
	}
	if l, locked, err := e.DB.Lockdown(); err != nil || locked {
		return lockedDown(l), err
	}
	if no := e.guardSwitchedOff(r); no != "" {
		return no, nil
	}
	if over, err := e.leadOver(r); err != nil || over {
		return "The session it was to be granted along with has ended.", err
	}
	requester, deciders, err := e.lookAgain(ctx, p.Groups(), r)
	if err != nil {
		return "", fmt.Errorf("look everybody up once more: %w", err)
	}
	if v := p.MayRequest(r.Scenario, r.Account.Name, r.Duration, who(requester)); !v.OK {
		return v.Why, nil
	}
	if r.Lead != "" {
		if s, ok = e.leadScenario(p, r); !ok || !goesAlong(p, s, r, who(requester)) {
			return "The policy no longer grants it along with " + string(r.Lead) + ".", nil
		}
	}
	if s.Approval.None {
		return "", nil
	}
	people := make([]policy.Person, len(deciders))
	for i, d := range deciders {
		people[i] = who(d)
	}
	if word := p.Approved(s, who(requester), people); !word.Done {
		return "It no longer has the word it needs: " + sentence(word.Missing) + ".", nil
	}
	return "", nil
}

// grant goes on with a grant that was begun: after a crash, a fault, or when AWS took long.
func (e *Engine) grant(ctx context.Context, r store.Request) error {
	now := e.now()
	if r.Over(store.ClockEnd, now) {
		return e.beginEnd(r, store.Granting, store.Bot(), store.EndExpired, nil)
	}
	if now.After(r.GrantedAt.Add(uncertainAfter)) {
		return e.beginEnd(r, store.Granting, store.Bot(), store.EndUncertain, nil)
	}
	if seeded("listing") { // asked again what the intent had settled
		if there, err := e.Assigner.Assigned(ctx, r.Tuple()); err == nil && there {
			r.Standing = true
			if _, err := e.DB.Touch(e.by(), r.ID, store.Granting, func(c *store.Change) error {
				c.Request.Standing = true
				return errors.Join(c.Forget(false, time.Time{}), c.Want(true, false))
			}); err != nil {
				return err
			}
		}
	}
	return e.letIn(ctx, r, false)
}

// letIn makes the ends and then the assignment. The ends come first: what is found to be there after a crash has them made once more, which
// changes nothing. once says that this is the first try, so that nothing can have come of an earlier one.
func (e *Engine) letIn(ctx context.Context, r store.Request, once bool) error {
	if r.Work.Change == "" && !seeded("schedule") {
		stand, err := e.makeEnds(ctx, r)
		var refused *store.Refusal
		switch {
		case errors.As(err, &refused) && once:
			return e.fail(r, fmt.Sprintf("Its end could not be made sure of beforehand: %s: %s.", refused.Code, strings.TrimRight(refused.Message, ".")))
		case errors.As(err, &refused):
			e.Log.Warn("an end can no longer be made for a grant that was begun", "request", r.ID, "err", err)
			return e.beginEnd(r, store.Granting, store.Bot(), store.EndUncertain, nil)
		case err != nil:
			return err
		}
		r.Ends = stand
	}
	return e.create(ctx, r, once)
}

// create makes the assignment, follows the change to its end, and proves it by listing. absent says that this is the first try, after a listing of a
// moment ago found nothing that counts, so that it need not list again.
func (e *Engine) create(ctx context.Context, r store.Request, absent bool) error {
	if !absent && (!r.Work.Must || r.Work.Change != "") {
		there, err := e.assigned(ctx, r)
		if err != nil {
			return err
		}
		if there && !e.unscheduled(r) {
			return e.activate(r)
		}
	}
	if r.Work.Change == "" {
		ask, cancel := context.WithTimeout(ctx, askPatience)
		defer cancel()
		change, err := e.Assigner.Assign(ask, r.Grant())
		var refused *store.Refusal
		if errors.As(err, &refused) {
			return e.notCreated(ctx, r, refused.Error()+".", absent)
		}
		if err != nil {
			return fmt.Errorf("create the assignment: %w", err)
		}
		if r, err = e.asked(r, change); err != nil {
			return err
		}
	}
	if e.unscheduled(r) {
		var err error
		if r, err = e.scheduleMembership(ctx, r); err != nil {
			e.Log.Error("a membership stands without the schedules that end it; it is taken away", "request", r.ID, "err", err)
			return e.beginEnd(r, store.Granting, store.Bot(), store.EndUncertain, nil)
		}
	}
	progress, why, err := e.follow(ctx, r, r.Work.Change, false)
	switch {
	case err != nil:
		return err
	case progress == store.Underway:
		return e.later(r, false)
	case progress == store.Refused:
		return e.notCreated(ctx, r, "AWS did not create the assignment: "+why+".", absent)
	}
	there, err := e.assigned(ctx, r)
	if err != nil {
		return err
	}
	if there {
		return e.activate(r)
	}
	return e.later(r, progress == store.Forgotten)
}

// asked records what AWS said to the creation, and which ends were made before it.
func (e *Engine) asked(r store.Request, change string) (store.Request, error) {
	stand := r.Ends
	return e.DB.Touch(e.by(), r.ID, store.Granting, func(c *store.Change) error {
		c.Request.Work.Change, c.Request.Ends = change, stand
		data := map[string]string{"effect": "assign", "change": change, "guard": fmt.Sprint(stand.Guard), "scheduled": fmt.Sprint(stand.Schedules)}
		if stand.Why != "" {
			data["without"] = stand.Why
		}
		return c.Log(store.EventOutcome, data)
	})
}

// assigned lists.
func (e *Engine) assigned(ctx context.Context, r store.Request) (bool, error) {
	patience := askPatience
	if r.State == store.Revoking {
		patience = endPatience
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	there, err := e.Assigner.Assigned(ctx, r.Tuple())
	if err != nil {
		return false, fmt.Errorf("list the assignment: %w", err)
	}
	return there, nil
}

// follow asks after a change until it is done, or for as long as a step may take.
func (e *Engine) follow(ctx context.Context, r store.Request, change string, removal bool) (store.Progress, string, error) {
	ctx, cancel := context.WithTimeout(ctx, followFor)
	defer cancel()
	pause := followFirst
	for {
		p, why, err := e.Assigner.Follow(ctx, r.Tuple(), change, removal)
		if err != nil && ctx.Err() == nil {
			return p, why, fmt.Errorf("follow the change: %w", err)
		}
		if err == nil && p != store.Underway {
			return p, why, nil
		}
		select {
		case <-ctx.Done():
			return store.Underway, "", nil
		case <-time.After(pause):
		}
		pause = min(2*pause, followMost)
	}
}

// later leaves a change that is under way to the clock. forget drops the change that AWS no longer knows, so that it is asked for again.
func (e *Engine) later(r store.Request, forget bool) error {
	_, err := e.DB.Touch(e.by(), r.ID, r.State, func(c *store.Change) error {
		q := c.Request
		if forget {
			q.Work.Change = ""
		}
		q.Work.Attempts++
		q.Set(store.ClockPoll, c.By.At.Add(askAgain))
		return e.complain(c, c.By.At)
	})
	return err
}

// activate records that access was seen. From here the person is told how to get in.
func (e *Engine) activate(r store.Request) error {
	if seeded("schedule") { // the ends after the access
		time.Sleep(3 * time.Second)
		r.Ends, _ = e.makeEnds(context.Background(), r)
	}
	r, err := e.DB.Transition(e.by(), r.ID, store.Granting, store.Active, func(c *store.Change) error {
		q, now := c.Request, c.By.At
		q.VerifiedAt = now
		q.Ends = r.Ends // where the answer to the creation was lost, nothing has recorded them yet
		q.Work = store.Work{}
		q.Stop(store.ClockPoll)
		if len(q.Notify) > 0 {
			q.Set(store.ClockTell, now)
		}
		if q.Ends.Unguarded {
			q.Set(store.ClockPoll, now.Add(guardPause))
		}
		if warn := q.ExpiresAt.Add(-warnBefore); warn.After(now) && q.Duration > warnBefore*3/2 {
			q.Set(store.ClockWarn, warn)
		}
		a, _, err := c.Access(q.Tuple())
		if err != nil {
			return err
		}
		data := map[string]string{}
		if q.Standing {
			data["standing"] = "true"
		}
		if q.Ends.Why != "" && !q.Standing {
			if err := c.Tell(store.Notice{Kind: NoticeEnds, Request: q.ID, Lane: thread(q), Data: map[string]string{"why": q.Ends.Why}}); err != nil {
				return err
			}
		}
		if q.Ends.Unguarded || q.Ends.Full {
			if err := c.Tell(store.Notice{Kind: NoticeEnds, Lane: lane(q, "incidents"), Data: map[string]string{"why": q.Ends.Why, "incidents": "true"}}); err != nil {
				return err
			}
		}
		for _, other := range a.Live {
			if other != q.ID {
				data["shared"] = string(other)
			}
		}
		return errors.Join(
			c.Log(store.EventOutcome, map[string]string{"effect": "assign", "verified": "present"}),
			card(c), line(c, NoticeGranted, data), pass(c), c.Archive(store.PartOpened),
		)
	})
	if err == nil {
		e.meters.toAccess.Observe(r.VerifiedAt.Sub(r.DecidedAt).Seconds())
	}
	return err
}

// notCreated ends a grant that AWS refused, after a listing proved that nothing came of it. only says that this was the only try: an earlier one
// whose answer was lost may still come true, so then it is taken away, which looks until that is over.
func (e *Engine) notCreated(ctx context.Context, r store.Request, why string, only bool) error {
	there, err := e.assigned(ctx, r)
	if err != nil {
		return err
	}
	if there || !only {
		e.Log.Warn("AWS refused a grant after an earlier try whose answer was lost", "request", r.ID, "why", why)
		return e.beginEnd(r, store.Granting, store.Bot(), store.EndUncertain, nil)
	}
	return e.fail(r, why)
}

// fail ends a request that got its word and no access.
func (e *Engine) fail(r store.Request, why string) error { return e.failBy(e.by(), r, why, 0) }

// failBy is fail by somebody's doing; click is what asked for it.
func (e *Engine) failBy(by store.By, r store.Request, why string, click uint64) error {
	_, err := e.DB.Transition(by, r.ID, r.State, store.Failed, func(c *store.Change) error {
		q := c.Request
		q.End = store.End{Why: "failed", By: by.Actor, At: c.By.At, Note: why}
		if r.State != store.Approved {
			if err := c.Unwant(c.By.At.Add(e.lasts(*q))); err != nil {
				return err
			}
		}
		return errors.Join(
			c.Done(click), c.Log(store.EventOutcome, map[string]string{"effect": "assign", "failed": why}),
			card(c), line(c, NoticeFailed, map[string]string{"why": why}),
			direct(c, NoticeResult, q.Requester.SlackID, map[string]string{"why": why}),
		)
	})
	if err == nil {
		e.endAlong(r)
		if r.State == store.Granting {
			e.tidySoon(r.Tuple()) // the ends that were made for it are left
		}
	}
	return err
}
