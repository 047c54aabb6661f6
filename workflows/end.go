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

// endNow is the requester's End now.
func (e *Engine) endNow(ctx context.Context, c store.Click) error {
	r, err := e.DB.Request(c.Request)
	if err != nil {
		return err
	}
	if r.State != store.Active && r.State != store.Granting && r.State != store.Approved {
		return &Refusal{RefusedState, Standing(r)}
	}
	person, err := e.requester(ctx, c, r, "end it")
	if err != nil {
		return err
	}
	if r.State == store.Approved {
		return e.stopped(e.named(person), r, "", c.Seq)
	}
	return e.beginEnd(r, r.State, store.Somebody(person), store.EndedEarly, &c)
}

// revokeClick is Revoke, by somebody else than the requester: whoever could decide, the lockdown people, and where nobody's word was
// needed any other eligible person.
func (e *Engine) revokeClick(ctx context.Context, c store.Click) error {
	r, err := e.DB.Request(c.Request)
	if err != nil {
		return err
	}
	if r.State != store.Active && r.State != store.Granting && r.State != store.Approved {
		return &Refusal{RefusedState, Standing(r)}
	}
	if c.SlackID == r.Requester.SlackID && r.State != store.Approved {
		return e.beginEndNoted(r, r.State, store.Somebody(r.Requester), store.EndedEarly, c.Text, &c)
	}
	p := e.Policy()
	s, ok := scenario(p, r)
	if !ok { // the lockdown people may all the same
		s = policy.Scenario{Name: r.Scenario, Title: r.Title}
	}
	w, err := e.lookUp(ctx, p, store.Request{Requester: r.Requester}, c)
	if err != nil {
		return err
	}
	if v := p.MayRevoke(s, who(w.requester), who(w.newcomer)); !v.OK {
		return &Refusal{string(v.Code), v.Why}
	}
	if r.State == store.Approved {
		return e.stopped(e.named(w.person), r, c.Text, c.Seq)
	}
	return e.beginEndNoted(r, r.State, store.Somebody(w.person), store.EndRevoked, c.Text, &c)
}

// stopped ends a request that got its word and is not open yet.
func (e *Engine) stopped(by store.By, r store.Request, note string, click uint64) error {
	why := fmt.Sprintf("Stopped by %s before access was opened", by.Actor.Label())
	if note != "" {
		why += ": " + strings.TrimRight(note, ".")
	}
	return e.failBy(by, r, why+".", click)
}

// End ends a session from the command line, when Slack is not there.
func (e *Engine) End(by store.By, id store.ID, note string) error {
	for tries := 0; ; tries++ {
		r, err := e.DB.Request(id)
		if err != nil {
			return err
		}
		switch r.State {
		case store.Approved:
			err = e.stopped(by, r, note, 0)
		case store.Active, store.Granting:
			err = e.beginEndNoted(r, r.State, by.Actor, store.EndRevoked, note, nil)
		default:
			return &Refusal{RefusedState, Standing(r)}
		}
		if moved(err) && tries < mostTries {
			continue
		}
		if err != nil {
			return e.outAnyway(r, err)
		}
		e.kickID(id)
		return nil
	}
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
			c.Forget(true, c.By.At.Add(credentialsLive)), c.Log(store.EventOutcome, map[string]string{"effect": "unassign", "forced": verified}),
			card(c), pass(c), line(c, NoticeEnded, map[string]string{"forced": verified}), owes(c, p),
			c.Tell(store.Notice{Kind: NoticeUnstuck, Lane: lane(q, "incidents"), Data: map[string]string{"forced": verified}}),
		)
	})
	if err == nil {
		e.Nudge()
	}
	return err
}
