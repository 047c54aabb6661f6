package workflows

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"breakglass/store"
	"breakglass/workflows/policy"
)

// MostReason is the longest reason, in characters: Slack's limit for a text input's max_length.
const MostReason = 3000

// mostAnswer is the longest answer to a further field.
const mostAnswer = 255

// who is a principal as the policy sees them.
func who(p store.Principal) policy.Person {
	return policy.Person{
		UserID: p.UserID, UserName: p.UserName, Email: p.Email, DisplayName: p.DisplayName,
		Enabled: p.Enabled, ManagerID: p.ManagerID, Groups: p.Groups,
	}
}

// Submit records a request. a.Who was matched for this submission; everything else in it is input. Errors: FormFaults, *Refusal, or a
// fault of the store.
func (e *Engine) Submit(ctx context.Context, by store.By, a Ask) (store.Request, error) {
	if e.clock.isBack() {
		return store.Request{}, &Refusal{RefusedState, "The bot's clock was set back, so nothing new is granted until it is right. Tell whoever runs Breakglass; sessions that are open end on time."}
	}
	p := e.Policy()
	r, faults := e.read(p, a)
	if len(faults) > 0 {
		return store.Request{}, faults
	}
	s, _ := p.Scenario(a.Scenario)
	if what := p.Unbuilt(s); what != "" {
		return store.Request{}, &Refusal{RefusedUnbuilt, fmt.Sprintf("%s is not offered yet: it asks for %s.", s.Title, what)}
	}
	if v := p.MayRequest(a.Scenario, a.Account, r.Duration, who(a.Who)); !v.OK {
		return store.Request{}, FormFaults{{Field: fieldOf(v.Code), Why: v.Why}}
	}
	if l, locked, err := e.DB.Lockdown(); err != nil || locked {
		return store.Request{}, errors.Join(err, &Refusal{RefusedLocked, lockedDown(l)})
	}
	if err := e.second(&r); err != nil {
		return store.Request{}, fmt.Errorf("read earlier requests: %w", err)
	}
	submit := func() (store.Request, error) {
		return e.DB.Submit(by, r, func(c *store.Change) error { return e.begin(c, p, s, who(a.Who)) })
	}
	q, err := submit()
	if errors.Is(err, errSecond) { // another came in at the same moment: this one takes somebody's word
		takeWord(&r)
		q, err = submit()
	}
	r = q
	if errors.Is(err, store.ErrSeen) {
		return store.Request{}, err
	}
	var refused *Refusal
	if err != nil && !errors.As(err, &refused) {
		return store.Request{}, errors.Join(&Refusal{RefusedStore, "Breakglass cannot write its own records, so nothing was asked for and nobody was told. " +
			"Its operator has to look at it: its disk may be full."}, fmt.Errorf("record the request: %w", err))
	}
	if err == nil {
		e.meters.submitted.WithLabelValues(s.Name).Inc()
		e.Log.Info("request recorded", "request", r.ID, "scenario", s.Name, "account", r.Account.Name, "state", r.State)
		e.kick(r)
		e.kickAlong(r)
		e.hear()
	}
	return r, err
}

// read turns what was filled in into a request, with every fault of every field at once.
func (e *Engine) read(p *policy.Policy, a Ask) (store.Request, FormFaults) {
	var faults FormFaults
	fault := func(field, why string) { faults = append(faults, FormFault{field, why}) }
	r := store.Request{Requester: a.Person, Policy: p.Hash, Context: a.Context, SubmittedAt: store.Moment(e.now())}

	s, ok := p.Scenario(a.Scenario)
	if !ok {
		return r, FormFaults{{"scenario", "Pick a scenario."}}
	}
	r.Scenario, r.Title, r.Tier, r.Guide, r.Notify = s.Name, s.Title, s.Tier, s.Guide, s.Notify
	name(&r, p, s)
	r.NoWord = s.Approval.None
	if len(s.Accounts) > 0 {
		acct, ok := p.Account(a.Account)
		if !ok {
			fault("account", "Pick an account.")
		}
		r.Account = store.Account{Name: acct.Name, ID: acct.ID, Regions: acct.Regions, Sensitive: acct.Sensitive}
		r.Region = a.Region
		if r.Region == "" && len(acct.Regions) > 0 {
			r.Region = acct.Regions[0]
		}
		if ok && !slices.Contains(acct.Regions, r.Region) {
			fault("region", fmt.Sprintf("%s is not a region of %s in the policy.", clip(r.Region, 40), acct.Name))
		}
	}
	d, err := time.ParseDuration(strings.TrimSpace(a.Duration))
	if err != nil {
		fault("duration", "Write a duration like 30m, 1h or 1h30m.")
	}
	r.Duration = d
	if r.Reason = strings.TrimSpace(a.Reason); r.Reason == "" {
		fault("reason", "Say why: whoever approves and whoever reads the report needs it.")
	} else if utf8.RuneCountInString(r.Reason) > MostReason {
		fault("reason", fmt.Sprintf("At most %d characters.", MostReason))
	}
	r.Ticket = strings.TrimSpace(a.Ticket)
	if v := p.CheckTicket(s, r.Ticket); !v.OK {
		fault("ticket", v.Why)
	}
	for _, q := range s.Ask {
		v := strings.TrimSpace(a.Answers[q.Name])
		switch {
		case v == "" && !q.Optional:
			fault("ask:"+q.Name, "This is needed.")
		case utf8.RuneCountInString(v) > mostAnswer:
			fault("ask:"+q.Name, fmt.Sprintf("At most %d characters.", mostAnswer))
		case v != "":
			r.Answers = append(r.Answers, store.Answer{Name: q.Name, Label: q.Label, Value: v})
		}
	}
	if s.Approval.None {
		r.State = store.Approved
		r.DecidedAt = r.SubmittedAt
	} else {
		r.State = store.Pending
	}
	return r, faults
}

// second finds whether a request that would take nobody's word is the second within a day. Then it waits for one other eligible person.
func (e *Engine) second(r *store.Request) error {
	if !r.NoWord {
		return nil
	}
	recent, err := e.DB.OfPerson(r.Requester.UserID, 500)
	if err != nil {
		return err
	}
	for _, o := range recent {
		if o.NoWord && !o.GrantedAt.IsZero() && r.SubmittedAt.Sub(o.GrantedAt) < policy.SecondWithin {
			takeWord(r)
			return nil
		}
	}
	return nil
}

// errSecond: of two sessions that take nobody's word only the first is let through.
var errSecond = errors.New("another session without anybody's word is open")

// takeWord makes a request that would take nobody's word wait for one other eligible person.
func takeWord(r *store.Request) {
	r.Second, r.NoWord = true, false
	r.State, r.DecidedAt = store.Pending, time.Time{}
}

// begin completes the record of a new request, in the transaction that writes it.
func (e *Engine) begin(c *store.Change, p *policy.Policy, s policy.Scenario, asker policy.Person) error {
	r, now := c.Request, c.By.At
	open, err := c.OpenOf(r.Requester.UserID)
	if err != nil {
		return err
	}
	if l, locked, err := c.Lockdown(); err != nil || locked {
		return errors.Join(err, &Refusal{RefusedLocked, lockedDown(l)})
	}
	for _, o := range open {
		if r.NoWord && o.NoWord && o.ID != r.ID && o.Lead == "" && (o.GrantedAt.IsZero() || now.Sub(o.GrantedAt) < policy.SecondWithin) {
			return errSecond
		}
		if o.Scenario == r.Scenario && o.Account.ID == r.Account.ID && (o.State == store.Pending || o.State == store.Approved || o.State == store.Granting || o.State == store.Active) {
			return &Refusal{RefusedOpen, fmt.Sprintf("%s is the same request and is %s already.", o.ID, o.State)}
		}
	}
	if r.State == store.Pending {
		r.Set(store.ClockTell, now)
		r.Set(store.ClockExpire, now.Add(p.Requests.Expire))
		if len(p.Requests.Remind) > 0 {
			r.Set(store.ClockRemind, now.Add(p.Requests.Remind[0]))
		}
		return card(c)
	}
	r.Set(store.ClockPoll, now)
	return errors.Join(
		e.grantAlong(c, p, s, asker),
		card(c),
		c.Tell(store.Notice{Kind: NoticeTierZero, Lane: lane(r, "incidents")}),
		mail(c, "tier_zero", p.Report.Email),
	)
}

// card tells everybody who looks at the request's message how it stands now.
func card(c *store.Change) error {
	if c.Request.Lead != "" {
		return nil // it has no message of its own
	}
	return c.Tell(store.Notice{Kind: NoticeCard, Message: NoticeCard})
}

// lane keeps what is told elsewhere than in the thread in its own order, so that one broken channel holds up no other.
func lane(r *store.Request, where string) string { return string(r.ID) + " " + where }

// line is a line in the request's thread.
func line(c *store.Change, kind string, data map[string]string) error {
	if c.Request.Lead != "" {
		return lineAlong(c, kind, data)
	}
	return c.Tell(store.Notice{Kind: kind, Data: data})
}

// direct is a direct message to somebody.
func direct(c *store.Change, kind, slackID string, data map[string]string) error {
	if slackID == "" || c.Request.Lead != "" {
		return nil
	}
	return c.Tell(store.Notice{Kind: kind, To: slackID, Lane: lane(c.Request, "dm "+slackID), Data: data})
}

// pass is the requester's message with the way in: posted with the access, edited when it ends.
func pass(c *store.Change) error {
	if c.Request.Lead != "" {
		return nil
	}
	to := c.Request.Requester.SlackID
	return c.Tell(store.Notice{Kind: NoticePass, Message: NoticePass, To: to, Lane: lane(c.Request, "dm "+to)})
}

// asks edits the direct messages of those who were asked: the buttons come with the first and vanish with the decision.
func asks(c *store.Change) error {
	for _, a := range c.Request.Asked {
		n := store.Notice{Kind: NoticeAsk, Message: "ask " + a.SlackID, To: a.SlackID, Lane: lane(c.Request, "dm "+a.SlackID), Data: map[string]string{"why": a.As}}
		if err := c.Tell(n); err != nil {
			return err
		}
	}
	return nil
}

// mail is an e-mail about the request; what says which.
func mail(c *store.Change, what string, to []string) error {
	if len(to) == 0 {
		return nil
	}
	return c.Tell(store.Notice{Kind: NoticeMail, Lane: string(c.Request.ID) + mailLane, To: strings.Join(to, ","), Data: map[string]string{"what": what}})
}

func clip(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}

// fieldOf is the field of the form that a verdict of the policy is about.
func fieldOf(c policy.Code) string {
	switch c {
	case policy.CodeAccount:
		return "account"
	case policy.CodeDuration:
		return "duration"
	case policy.CodeTicket:
		return "ticket"
	}
	return "scenario"
}
