package workflows

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"breakglass/store"
	"breakglass/workflows/policy"
)

// An extension is asked for, gets its word, and then its later ends are made: the guard's line, the schedules, and only when they stand and the
// earlier schedules are gone does the session end later. Until then, and whatever goes wrong, the end it had is the end.

// extend is the wish of a requester for a longer session.
func (e *Engine) extend(ctx context.Context, c store.Click) error {
	r, err := e.DB.Request(c.Request)
	if err != nil {
		return err
	}
	if r.State != store.Active {
		return &Refusal{RefusedState, Standing(r) + " Only an open session can be extended."}
	}
	if _, x := r.Extending(); x != nil {
		return &Refusal{RefusedState, fmt.Sprintf("An extension of %s is being decided already.", r.ID)}
	}
	if r.Lead != "" {
		return &Refusal{RefusedState, fmt.Sprintf("%s was granted along with %s; extend that.", r.ID, r.Lead)}
	}
	p := e.Policy()
	s, ok := p.Scenario(r.Scenario)
	if !ok {
		return &Refusal{RefusedState, fmt.Sprintf("The policy no longer has the scenario of %s, so it ends when it was to.", r.ID)}
	}
	by, err := time.ParseDuration(strings.TrimSpace(c.Text))
	if err != nil {
		return &Refusal{string(policy.CodeDuration), "Write a duration like 30m or 1h."}
	}
	principal, person, err := e.match(ctx, p, c)
	if err != nil {
		return err
	}
	if person.UserID != r.Requester.UserID {
		return &Refusal{RefusedNotYours, fmt.Sprintf("Only %s may extend it.", r.Requester.Label())}
	}
	if v := p.MayExtend(s, session(r, e.now()), by, who(principal)); !v.OK {
		return &Refusal{string(v.Code), v.Why}
	}
	if l, locked, err := e.DB.Lockdown(); err != nil || locked {
		return errors.Join(err, &Refusal{RefusedLocked, lockedDown(l)})
	}
	_, err = e.DB.Touch(e.named(person), r.ID, store.Active, func(ch *store.Change) error {
		q := ch.Request
		if _, x := q.Extending(); x != nil || !q.ExpiresAt.Equal(r.ExpiresAt) {
			return errMoved
		}
		q.Extensions = append(q.Extensions, store.Extension{
			By: by, Reason: strings.TrimSpace(c.Reason), State: store.ExtensionAsked, AskedAt: ch.By.At, Until: q.ExpiresAt.Add(by),
		})
		n := len(q.Extensions) - 1
		if len(q.Asked) == 0 {
			q.Set(store.ClockTell, ch.By.At) // nobody was asked for the session itself: find who may
		}
		data := map[string]string{"asked": by.String(), "number": fmt.Sprint(n)}
		return errors.Join(ch.Done(c.Seq), ch.Log(store.EventExtension, data), card(ch), pass(ch), extension(ch, n))
	})
	return err
}

// session is what the rules of extensions ask of a session.
func session(r store.Request, now time.Time) policy.Session {
	used := 0
	for _, x := range r.Extensions {
		if x.State == store.ExtensionGranted {
			used++
		}
	}
	return policy.Session{Account: r.Account.Name, Used: used, Total: r.ExpiresAt.Sub(r.GrantedAt), Left: r.ExpiresAt.Sub(now)}
}

// match finds who clicked, with the groups that decisions turn on.
func (e *Engine) match(ctx context.Context, p *policy.Policy, c store.Click) (store.Principal, store.Person, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupPatience)
	defer cancel()
	principal, person, err := e.People.Match(ctx, c.SlackID, c.TeamID, p.Groups())
	if err != nil {
		return principal, person, asRefusal(err)
	}
	e.clickers.Store(c.Seq, person)
	return principal, person, nil
}

// extension tells of an extension: in the thread, and to everybody who was asked for the session.
func extension(c *store.Change, n int) error {
	r := c.Request
	data := map[string]string{"number": fmt.Sprint(n)}
	message := fmt.Sprintf("extension %d", n)
	errs := []error{c.Tell(store.Notice{Kind: NoticeExtension, Message: message, Lane: thread(r), Data: data})}
	for _, a := range r.Asked {
		errs = append(errs, c.Tell(store.Notice{
			Kind: NoticeExtension, Message: message + " " + a.SlackID, To: a.SlackID, Lane: lane(r, "dm "+a.SlackID),
			Data: map[string]string{"number": data["number"], "why": a.As},
		}))
	}
	return errors.Join(errs...)
}

// decideLonger counts one person's word on an extension. It asks what the scenario asks; where that is nobody's, it takes one other eligible person's.
func (e *Engine) decideLonger(ctx context.Context, c store.Click) error {
	r, err := e.DB.Request(c.Request)
	if err != nil {
		return err
	}
	n, x := r.Extending()
	if r.State != store.Active || x == nil || n != c.Number || x.State != store.ExtensionAsked {
		return &Refusal{RefusedState, fmt.Sprintf("That extension of %s is no longer waiting. %s", r.ID, Standing(r))}
	}
	if !e.now().Before(r.ExpiresAt.Add(-policy.ExtensionCloses)) {
		return &Refusal{RefusedState, fmt.Sprintf("It is too late: %s ends at %s, and an extension closes %s before.", r.ID, clock(r.ExpiresAt), policy.Span(policy.ExtensionCloses))}
	}
	p := e.Policy()
	s, ok := p.Scenario(r.Scenario)
	if !ok {
		return &Refusal{RefusedState, fmt.Sprintf("The policy no longer has the scenario of %s, so it ends when it was to.", r.ID)}
	}
	s = s.Second()
	asked := r
	asked.Decisions = x.Decisions
	w, err := e.lookUp(ctx, p, asked, c)
	if err != nil {
		return err
	}
	if v := p.MayDecide(s, who(w.requester), who(w.newcomer)); !v.OK {
		return &Refusal{string(v.Code), v.Why}
	}
	if decidedBy(asked, w.person.UserID) {
		return &Refusal{RefusedTwice, fmt.Sprintf("You have already approved this extension of %s.", r.ID)}
	}
	if c.Kind == store.ClickNoMore {
		return e.noLonger(c, r, n, w.person)
	}
	deciders := []policy.Person{who(w.newcomer)}
	for _, d := range w.deciders {
		deciders = append(deciders, who(d))
	}
	open := session(r, e.now())
	if v := p.MayExtend(s, open, x.By, who(w.requester)); !v.OK {
		return &Refusal{string(v.Code), "It can no longer be extended: " + v.Why}
	}
	return e.longer(c, r, n, w.person, p.Approved(s, who(w.requester), deciders))
}

func (e *Engine) noLonger(c store.Click, r store.Request, n int, by store.Person) error {
	_, err := e.DB.Touch(e.named(by), r.ID, store.Active, func(ch *store.Change) error {
		m, x := ch.Request.Extending()
		if x == nil || m != n || x.State != store.ExtensionAsked {
			return errMoved
		}
		x.State, x.DoneAt = store.ExtensionDenied, ch.By.At
		x.Decisions = append(x.Decisions, store.Decision{By: by, At: ch.By.At, Comment: c.Text})
		data := map[string]string{"denied": "true", "number": fmt.Sprint(n)}
		return errors.Join(ch.Done(c.Seq), ch.Log(store.EventExtension, data), card(ch), pass(ch), extension(ch, n))
	})
	return err
}

// longer counts an approval, and with the last of them writes down the later ends that are now to be made.
func (e *Engine) longer(c store.Click, r store.Request, n int, by store.Person, word policy.ApprovalVerdict) error {
	_, before := r.Extending()
	_, err := e.DB.Touch(e.named(by), r.ID, store.Active, func(ch *store.Change) error {
		q := ch.Request
		m, x := q.Extending()
		if x == nil || m != n || x.State != store.ExtensionAsked || len(x.Decisions) != len(before.Decisions) {
			return errMoved
		}
		x.Decisions = append(x.Decisions, store.Decision{By: by, Approved: true, At: ch.By.At})
		data := map[string]string{"approved": by.UserID, "number": fmt.Sprint(n)}
		if word.Done {
			if err := e.mean(ch, x, data); err != nil {
				return err
			}
		}
		return errors.Join(ch.Done(c.Seq), ch.Log(store.EventExtension, data), card(ch), extension(ch, n))
	})
	return err
}

// mean writes down that an extension is to be made: from here on the access may reach further in AWS than it does here.
func (e *Engine) mean(c *store.Change, x *store.Extension, data map[string]string) error {
	q := c.Request
	x.State = store.ExtensionApproved
	a, err := c.Extend()
	if err != nil {
		return err
	}
	if a.Lined && e.Guards != nil {
		g, err := c.Guard()
		if err != nil {
			return err
		}
		g.Closed = q.Guard == policy.GuardClosed
		var full *store.Refusal
		if err := e.Guards.Fits(g); errors.As(err, &full) {
			return &Refusal{RefusedState, "It cannot be extended: " + full.Message}
		}
	}
	if a, _, err = c.Access(q.Tuple()); err != nil {
		return err
	}
	if e.schedulable(*q) {
		_, fresh, _ := e.plan(a, q.ID, membershipOf(a, *q))
		if err := c.Plan(fresh...); err != nil {
			return err
		}
		data["schedules"] = names(fresh)
	}
	data["until"] = x.Until.Format(time.RFC3339)
	q.Set(store.ClockPoll, c.By.At)
	return nil
}

// tend looks after what is still to be made for an open session: an extension, or a guard it was opened without.
func (e *Engine) tend(ctx context.Context, r store.Request) error {
	n, x := r.Extending()
	switch {
	case x != nil && x.State == store.ExtensionApproved:
		return e.lengthen(ctx, r, n, *x)
	case r.Ends.Unguarded && e.Guards != nil:
		return e.guardLate(ctx, r)
	case !r.Ends.Schedules && e.schedulable(r):
		return e.scheduleLate(ctx, r)
	}
	_, err := e.DB.Touch(e.by(), r.ID, store.Active, func(c *store.Change) error { c.Request.Stop(store.ClockPoll); return nil })
	return err
}

// lengthen makes the later ends, and then counts the extension.
func (e *Engine) lengthen(ctx context.Context, r store.Request, n int, x store.Extension) error {
	a, _, err := e.DB.Access(r.Tuple())
	if err != nil {
		return err
	}
	if err := e.lengthenAlong(r, x); err != nil {
		return err
	}
	if a.Lined && e.Guards != nil {
		ask, cancel := context.WithTimeout(ctx, askPatience)
		defer cancel()
		if err := e.writeGuard(ask, r.Tuple()); err != nil {
			return fmt.Errorf("write the guard for the extension: %w", err)
		}
	}
	if e.schedulable(r) || len(a.Schedules) > 0 {
		if err := e.makeSchedules(ctx, r); err != nil {
			return fmt.Errorf("make the later schedules: %w", err)
		}
	}
	if r.Role != "" { // its trust has a date of its own
		ask, cancel := context.WithTimeout(ctx, askPatience)
		defer cancel()
		g := r.Grant()
		g.Until = x.Until
		if _, err := e.Assigner.Assign(ask, g); err != nil {
			return fmt.Errorf("extend the role's trust: %w", err)
		}
	}
	_, err = e.DB.Touch(e.by(), r.ID, store.Active, func(c *store.Change) error {
		q, now := c.Request, c.By.At
		m, x := q.Extending()
		if x == nil || m != n || x.State != store.ExtensionApproved || !now.Before(q.ExpiresAt) {
			return errMoved
		}
		x.State, x.DoneAt = store.ExtensionGranted, now
		q.ExpiresAt = x.Until
		q.Set(store.ClockEnd, q.ExpiresAt)
		q.Stop(store.ClockPoll)
		q.Work = store.Work{}
		if q.Ends.Unguarded { // its guard was written just now
			q.Ends.Unguarded, q.Ends.Why = false, ""
		}
		q.Ends.Guard = a.Lined && e.Guards != nil
		if warn := q.ExpiresAt.Add(-warnBefore); warn.After(now) {
			q.Set(store.ClockWarn, warn)
		}
		data := map[string]string{"granted": "true", "until": q.ExpiresAt.Format(time.RFC3339), "number": fmt.Sprint(n)}
		return errors.Join(
			c.Log(store.EventExtension, data), card(c), pass(c), extensionOf(c, n), line(c, NoticeExtended, map[string]string{"number": fmt.Sprint(n)}),
		)
	})
	return err
}

// extensionOf tells of an extension, but not of a companion's: its lead's is told.
func extensionOf(c *store.Change, n int) error {
	if c.Request.Lead != "" {
		return nil
	}
	return extension(c, n)
}

// lengthenAlong extends what was granted along, on the same word. It is repeated with the lead's own try.
func (e *Engine) lengthenAlong(lead store.Request, x store.Extension) error {
	for _, id := range lead.With {
		r, err := e.DB.Request(id)
		if err != nil {
			return err
		}
		if r.State == store.Approved || r.State == store.Granting {
			return fmt.Errorf("%s, which is granted along, is still being opened", id)
		}
		if r.State != store.Active || !r.ExpiresAt.Before(x.Until) {
			continue
		}
		if _, x := r.Extending(); x != nil {
			continue
		}
		_, err = e.DB.Touch(e.by(), id, store.Active, func(c *store.Change) error {
			q := c.Request
			if _, x := q.Extending(); x != nil {
				return errMoved
			}
			q.Extensions = append(q.Extensions, store.Extension{
				By: x.By, State: store.ExtensionApproved, AskedAt: c.By.At, Until: x.Until, Decisions: x.Decisions, NoWord: x.NoWord,
			})
			data := map[string]string{"with": string(lead.ID)}
			if err := e.mean(c, &q.Extensions[len(q.Extensions)-1], data); err != nil {
				return err
			}
			return c.Log(store.EventExtension, data)
		})
		if err != nil && !moved(err) {
			return fmt.Errorf("extend what was granted along: %w", err)
		}
		e.kickID(id)
	}
	return nil
}

// lapse ends an extension with the session that did not get it.
func lapse(r *store.Request, now time.Time) {
	if _, x := r.Extending(); x != nil {
		x.State, x.DoneAt = store.ExtensionLapsed, now
	}
}

// waits says whether an extension waits for people.
func waits(r store.Request) bool {
	_, x := r.Extending()
	return x != nil && x.State == store.ExtensionAsked
}

// summonLonger finds who may decide on an extension, where nobody was asked for the session itself. Whoever the policy names is told first that it
// began, if that is still owed.
func (e *Engine) summonLonger(ctx context.Context, r store.Request) error {
	p := e.Policy()
	s, ok := p.Scenario(r.Scenario)
	n, _ := r.Extending()
	var people []store.Person
	if ok {
		ctx, cancel := context.WithTimeout(ctx, askPatience)
		defer cancel()
		sets := p.Approvers(s.Second(), policy.Person{UserID: r.Requester.UserID, Email: r.Requester.Email})
		var failed int
		people, _, failed = e.find(ctx, p, "", sets.Sets, r.Requester.UserID)
		if err := e.patient(r.Extensions[n].AskedAt, failed); err != nil {
			return err
		}
	}
	_, err := e.DB.Touch(e.by(), r.ID, store.Active, func(c *store.Change) error {
		q := c.Request
		q.Stop(store.ClockTell)
		if q.Counts == nil {
			q.Counts = map[string]int64{}
		}
		q.Counts["longer asked"]++
		q.Asked = people
		return errors.Join(c.Log("asked", map[string]string{"people": fmt.Sprint(len(people)), "for": "the extension"}), card(c), extension(c, n))
	})
	return err
}
