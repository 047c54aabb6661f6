package workflows

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"breakglass/store"
	"breakglass/workflows/policy"
)

// parties are the people a decision is about, as the directory describes them at this moment.
type parties struct {
	requester store.Principal
	deciders  []store.Principal // who approved so far, in order
	newcomer  store.Principal   // who decides now
	person    store.Person
}

// decide counts one person's word. Everybody it depends on is looked up again first; what the count comes to is worked out inside the
// transaction's own view of the decisions, so that two words at the same moment cannot both be the first.
func (e *Engine) decide(ctx context.Context, c store.Click) error {
	r, err := e.DB.Request(c.Request)
	if err != nil {
		return err
	}
	if r.State != store.Pending {
		return &Refusal{RefusedState, Standing(r)}
	}
	p := e.Policy()
	s, ok := scenario(p, r)
	if !ok {
		return &Refusal{RefusedState, fmt.Sprintf("The policy no longer has the scenario of %s. It will expire; ask anew.", r.ID)}
	}
	if c.Kind == store.ClickApprove {
		e.readyGuard(ctx, r)
	}
	who3, err := e.lookUp(ctx, p, r, c)
	if err != nil {
		return err
	}
	if v := p.MayDecide(s, who(who3.requester), who(who3.newcomer)); !v.OK {
		return &Refusal{string(v.Code), v.Why}
	}
	if decidedBy(r, who3.person.UserID) {
		return &Refusal{RefusedTwice, fmt.Sprintf("You have already approved %s.", r.ID)}
	}
	if c.Kind == store.ClickDeny {
		return e.deny(c, r, who3.person)
	}
	if l, locked, err := e.DB.Lockdown(); err != nil || locked {
		return errors.Join(err, &Refusal{RefusedLocked, lockedDown(l) + " Approve it then, if it has not expired."})
	}
	return e.approve(c, r, p, s, who3)
}

// scenario is what a request was asked under, as the policy has it now.
func scenario(p *policy.Policy, r store.Request) (policy.Scenario, bool) {
	s, ok := p.Scenario(r.Scenario)
	if r.Second {
		s = s.Second()
	}
	return s, ok
}

// lookUp asks for everybody at once: the slowest answer is what it costs.
func (e *Engine) lookUp(ctx context.Context, p *policy.Policy, r store.Request, c store.Click) (out parties, err error) {
	ctx, cancel := context.WithTimeout(ctx, lookupPatience)
	defer cancel()
	groups := p.Groups()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		if out.newcomer, out.person, err = e.People.Match(ctx, c.SlackID, c.TeamID, groups); err == nil {
			e.clickers.Store(c.Seq, out.person)
		}
		return err
	})
	g.Go(func() (err error) {
		out.requester, out.deciders, err = e.lookAgain(ctx, groups, r)
		return err
	})
	if err := g.Wait(); err != nil {
		return out, asRefusal(err)
	}
	return out, nil
}

// lookAgain reads the requester and everybody who approved so far anew.
func (e *Engine) lookAgain(ctx context.Context, groups []string, r store.Request) (requester store.Principal, deciders []store.Principal, err error) {
	approved := approvals(r)
	deciders = make([]store.Principal, len(approved))
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		requester, err = e.Directory.Look(ctx, r.Requester.UserID, groups)
		return orGone(&requester, r.Requester, err)
	})
	for i, d := range approved {
		g.Go(func() (err error) {
			deciders[i], err = e.Directory.Look(ctx, d.By.UserID, groups)
			return orGone(&deciders[i], d.By, err)
		})
	}
	return requester, deciders, g.Wait()
}

// orGone makes of a person the directory no longer has one who is disabled and in no group: an answer, unlike silence.
func orGone(p *store.Principal, was store.Person, err error) error {
	if errors.Is(err, store.ErrNobody) {
		*p = store.Principal{UserID: was.UserID, UserName: was.UserName, Email: was.Email, Groups: map[string]bool{}}
		return nil
	}
	return err
}

func approvals(r store.Request) (out []store.Decision) {
	for _, d := range r.Decisions {
		if d.Approved {
			out = append(out, d)
		}
	}
	return out
}

func decidedBy(r store.Request, userID string) bool {
	for _, d := range r.Decisions {
		if d.By.UserID == userID {
			return true
		}
	}
	return false
}

func (e *Engine) deny(c store.Click, r store.Request, by store.Person) error {
	_, err := e.DB.Transition(e.named(by), r.ID, store.Pending, store.Denied, func(ch *store.Change) error {
		q := ch.Request
		q.Decisions = append(q.Decisions, store.Decision{By: by, At: ch.By.At, Comment: c.Text})
		q.DecidedAt = ch.By.At
		return errors.Join(
			ch.Done(c.Seq), ch.Log(store.EventDecided, map[string]string{"by": by.UserID, "approved": "false", "comment": c.Text}), card(ch), asks(ch), line(ch, NoticeDecided, nil),
			direct(ch, NoticeResult, q.Requester.SlackID, nil),
		)
	})
	return err
}

func (e *Engine) approve(c store.Click, r store.Request, p *policy.Policy, s policy.Scenario, w parties) error {
	deciders := make([]policy.Person, 0, len(w.deciders)+1)
	for _, d := range w.deciders {
		deciders = append(deciders, who(d))
	}
	word := p.Approved(s, who(w.requester), append(deciders, who(w.newcomer)))
	count := func(ch *store.Change) error {
		q := ch.Request
		if len(q.Decisions) != len(r.Decisions) {
			return errMoved // somebody's word came in between: count again
		}
		q.Decisions = append(q.Decisions, store.Decision{By: w.person, Approved: true, At: ch.By.At})
		return errors.Join(ch.Done(c.Seq), card(ch))
	}
	if !word.Done {
		_, err := e.DB.Touch(e.named(w.person), r.ID, store.Pending, func(ch *store.Change) error {
			if err := count(ch); err != nil {
				return err
			}
			data := map[string]string{"by": w.person.UserID, "approved": "true"}
			return errors.Join(ch.Log(store.EventDecided, data), asks(ch), line(ch, NoticeDecided, map[string]string{"missing": sentence(word.Missing)}))
		})
		return err
	}
	_, err := e.DB.Transition(e.named(w.person), r.ID, store.Pending, store.Approved, func(ch *store.Change) error {
		if err := count(ch); err != nil {
			return err
		}
		if err := ch.Log(store.EventDecided, map[string]string{"by": w.person.UserID, "approved": "true"}); err != nil {
			return err
		}
		q := ch.Request
		q.DecidedAt = ch.By.At
		q.Work = store.Work{}
		q.Stop(store.ClockExpire, store.ClockRemind, store.ClockTell)
		q.Set(store.ClockPoll, ch.By.At)
		return errors.Join(e.grantAlong(ch, p, s, who(w.requester)), asks(ch), line(ch, NoticeDecided, nil))
	})
	return err
}

func sentence(parts []string) string {
	out := ""
	for i, p := range parts {
		switch {
		case i == 0:
		case i == len(parts)-1:
			out += " and "
		default:
			out += ", "
		}
		out += p
	}
	return out
}

// cancel is the requester's own way out before there is access.
func (e *Engine) cancel(ctx context.Context, c store.Click) error {
	r, err := e.DB.Request(c.Request)
	if err != nil {
		return err
	}
	if r.State != store.Pending && r.State != store.Approved {
		return &Refusal{RefusedState, Standing(r)}
	}
	person, err := e.requester(ctx, c, r, "cancel it")
	if err != nil {
		return err
	}
	_, err = e.DB.Transition(e.named(person), r.ID, r.State, store.Cancelled, func(ch *store.Change) error {
		return errors.Join(ch.Done(c.Seq), card(ch), asks(ch), line(ch, NoticeOver, nil))
	})
	if err == nil {
		e.endAlong(r)
	}
	return err
}
