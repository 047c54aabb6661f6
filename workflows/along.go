package workflows

import (
	"fmt"
	"slices"

	"breakglass/store"
	"breakglass/workflows/policy"
)

// What is granted along with a request is a request of its own (one person, one grant), recorded in the transaction in which its lead got its word.
// It has no message of its own: its lines stand in its lead's thread. It ends with its lead, or at its own time, which is the same.

// grantAlong records what is granted along with a request that has just got its word.
func (e *Engine) grantAlong(c *store.Change, p *policy.Policy, s policy.Scenario, who policy.Person) error {
	r := c.Request
	if r.Lead != "" || len(r.With) > 0 {
		return nil
	}
	along, v := p.Along(s, r.Account.Name, who)
	if !v.OK {
		return nil // the last check says why, and nothing is opened
	}
	for _, s := range along {
		q := store.Request{
			State: store.Approved, Requester: r.Requester, Scenario: s.Name, Title: s.Title, Tier: s.Tier,
			Duration: r.Duration, Reason: r.Reason, Ticket: r.Ticket, Policy: p.Hash, Context: r.Context,
			Decisions: r.Decisions, NoWord: r.NoWord, Second: r.Second, SubmittedAt: r.SubmittedAt, DecidedAt: r.DecidedAt, Guide: s.Guide,
		}
		if s.Grant.Kind != policy.GrantGroup {
			q.Account, q.Region = r.Account, r.Region
		}
		name(&q, p, s)
		q.Set(store.ClockPoll, c.By.At)
		if err := c.Along(q); err != nil {
			return fmt.Errorf("record what is granted along: %w", err)
		}
	}
	return nil
}

// name writes down what a scenario grants.
func name(r *store.Request, p *policy.Policy, s policy.Scenario) {
	switch s.Grant.Kind {
	case policy.GrantGroup:
		r.Group = s.Grant.Name
	case policy.GrantIAMRole:
		r.Role = s.Grant.Name
		r.IAMUser, _ = p.IAMUser(policy.Person{UserID: r.Requester.UserID, UserName: r.Requester.UserName, Email: r.Requester.Email})
	default:
		r.PermissionSet = s.Grant.Name
	}
}

// kickAlong begins what was recorded along with a request.
func (e *Engine) kickAlong(r store.Request) {
	for _, id := range r.With {
		e.kickID(id)
	}
}

// endAlong ends what was granted along with a session that ends. It is asked again with every try to end the lead, so a crash in between loses nothing.
func (e *Engine) endAlong(lead store.Request) {
	for _, id := range lead.With {
		for again := true; again; {
			again = e.endCompanion(id)
		}
	}
}

// endCompanion ends one of them, wherever it stands. again says that it moved meanwhile.
func (e *Engine) endCompanion(id store.ID) (again bool) {
	r, err := e.DB.Request(id)
	if err != nil {
		e.broken("read what was granted along", err)
		return false
	}
	switch r.State {
	case store.Approved:
		err = e.fail(r, "The session it was to be granted along with has ended.")
	case store.Granting, store.Active:
		err = e.beginEnd(r, r.State, store.Bot(), store.EndLead, nil)
	default:
		return false
	}
	if moved(err) {
		return true
	}
	if err != nil {
		e.broken("end what was granted along", err)
		return false
	}
	e.kickID(id)
	return false
}

// leadOver says whether the request that this one is granted along with is over, or on its way out.
func (e *Engine) leadOver(r store.Request) (bool, error) {
	if r.Lead == "" {
		return false, nil
	}
	lead, err := e.DB.Request(r.Lead)
	if err != nil {
		return false, err
	}
	switch lead.State {
	case store.Approved, store.Granting, store.Active:
		return false, nil
	}
	return true, nil
}

// orphans ends what was granted along with something that is over: a crash may have come between the two ends.
func (e *Engine) orphans() {
	open, err := e.DB.Open()
	if err != nil {
		e.broken("read what was granted along", err)
		return
	}
	for _, r := range open {
		if over, err := e.leadOver(r); err == nil && over {
			e.endCompanion(r.ID)
		}
	}
}

// goesAlong says whether the policy still grants a request along with its lead.
func goesAlong(p *policy.Policy, lead policy.Scenario, r store.Request, who policy.Person) bool {
	along, v := p.Along(lead, r.Account.Name, who)
	return v.OK && slices.ContainsFunc(along, func(s policy.Scenario) bool { return s.Name == r.Scenario })
}

// leadScenario is the scenario whose word a companion rests on.
func (e *Engine) leadScenario(p *policy.Policy, r store.Request) (policy.Scenario, bool) {
	lead, err := e.DB.Request(r.Lead)
	if err != nil {
		return policy.Scenario{}, false
	}
	return scenario(p, lead)
}

// thread is the lane of a request's thread: that of its lead, where it has one.
func thread(r *store.Request) string {
	if r.Lead != "" {
		return string(r.Lead)
	}
	return string(r.ID)
}

// lineAlong is what the lead's thread hears of a companion: how it stands, and whatever is wrong with it.
func lineAlong(c *store.Change, kind string, data map[string]string) error {
	r := c.Request
	state := ""
	switch kind {
	case NoticeGranted:
		state = "active"
	case NoticeFailed:
		state = "failed"
	case NoticeEnded:
		state = "ended"
	case NoticeUncertain, NoticeLate, NoticeSummary, NoticeGone:
		return c.Tell(store.Notice{Kind: kind, Lane: thread(r), Data: data})
	default:
		return nil
	}
	told := map[string]string{"id": string(r.ID), "granted": r.Granted(), "kind": kindOf(r), "state": state}
	for k, v := range data {
		told[k] = v
	}
	return c.Tell(store.Notice{Kind: NoticeWith, Request: r.Lead, Lane: thread(r), Data: told})
}

func kindOf(r *store.Request) string {
	switch {
	case r.Group != "":
		return "group"
	case r.Role != "":
		return "role"
	}
	return "set"
}
