package policy

import "time"

// Ends says which of the ends besides the bot stand: what the operator has switched on, and what the
// program does. An explanation must not promise one that is not there.
type Ends struct {
	Guard     bool // policies that make IAM refuse a session after its end
	Schedules bool // EventBridge schedules that revoke when the bot is gone
	SSM       bool // live SSM sessions are ended
}

// Explanation is a whole policy in words.
type Explanation struct {
	Hash      string                `json:"hash"`
	Scenarios []ScenarioExplanation `json:"scenarios"`
	Lockdown  []SetExplanation      `json:"lockdown,omitempty"` // who may end every session
}

// ScenarioExplanation is who may ask for a scenario, whose word it takes, and what ends it.
type ScenarioExplanation struct {
	Name      string           `json:"name"`
	Title     string           `json:"title"`
	Tier      int              `json:"tier"`
	Grants    string           `json:"grants"`
	Accounts  []string         `json:"accounts,omitempty"`
	MayAsk    []SetExplanation `json:"may_ask"`
	Approval  string           `json:"approval"`
	Approvers []SetExplanation `json:"approvers,omitempty"`
	Lasts     string           `json:"lasts"`
	Extends   string           `json:"extends,omitempty"`    // how it is made longer, and on whose word
	Along     []string         `json:"along,omitempty"`      // what is granted along with it
	MayAssume []string         `json:"may_assume,omitempty"` // roles that its sessions may go on to assume
	Guard     string           `json:"guard,omitempty"`      // of a permission set: closed, timed or none
	Ends      []string         `json:"ends"`
	Ticket    string           `json:"ticket"`
	After     []string         `json:"after,omitempty"` // what follows the end, and who is told
	NotYet    string           `json:"not_yet,omitempty"`
	Notes     []string         `json:"notes,omitempty"` // what is no fault, and might surprise
}

// SetExplanation is who is in a set of people.
type SetExplanation struct {
	Set    string   `json:"set"`
	Groups []string `json:"groups,omitempty"`
	Emails []string `json:"emails,omitempty"`
}

// PersonExplanation is what somebody may ask for, as the directory describes them now.
type PersonExplanation struct {
	Person string             `json:"person"`
	In     []string           `json:"in,omitempty"` // the sets of people they are in
	Why    string             `json:"why,omitempty"`
	Offers []OfferExplanation `json:"offers,omitempty"`
	Not    []OfferRefusal     `json:"not_offered,omitempty"`
}

// OfferExplanation is one scenario that somebody may ask for.
type OfferExplanation struct {
	Scenario string   `json:"scenario"`
	Title    string   `json:"title"`
	Accounts []string `json:"accounts,omitempty"`
	Not      []string `json:"not,omitempty"` // accounts of the scenario where it is not to be had, and why
	Along    []string `json:"along,omitempty"`
	Lasts    string   `json:"lasts"`
	Approval string   `json:"approval"`
}

// OfferRefusal is one scenario that somebody may not ask for.
type OfferRefusal struct {
	Scenario string `json:"scenario"`
	Title    string `json:"title"`
	Why      string `json:"why"`
}

// RequestExplanation is what would become of a request.
type RequestExplanation struct {
	Person    string          `json:"person"`
	Scenario  string          `json:"scenario"`
	Account   string          `json:"account,omitempty"`
	Duration  string          `json:"duration,omitempty"`
	Verdict   Verdict         `json:"verdict"`
	Approval  string          `json:"approval,omitempty"`
	Asked     *ApproverSets   `json:"asked,omitempty"`
	Deciders  []PersonVerdict `json:"deciders,omitempty"` // of those whom the caller asked about
	Along     []string        `json:"along,omitempty"`    // titles of what would be granted along
	Ends      []string        `json:"ends,omitempty"`
	ManagerOf string          `json:"no_manager,omitempty"` // said when the manager's word is taken and there is none
}

// PersonVerdict is whether somebody's word counts.
type PersonVerdict struct {
	Person  string  `json:"person"`
	Verdict Verdict `json:"verdict"`
}

// Explain puts the whole policy into words, in the order of the file.
func (p *Policy) Explain(stand Ends) Explanation {
	out := Explanation{Hash: p.Hash, Lockdown: p.setsExplained(p.Lockdown)}
	for _, s := range p.Scenarios {
		out.Scenarios = append(out.Scenarios, p.explain(s, stand))
	}
	return out
}

func (p *Policy) explain(s Scenario, stand Ends) ScenarioExplanation {
	return ScenarioExplanation{
		Name: s.Name, Title: s.Title, Tier: s.Tier,
		Grants:    grants(s.Grant),
		Accounts:  s.Accounts,
		MayAsk:    p.setsExplained(s.Eligible),
		Approval:  p.word(s),
		Approvers: p.setsExplained(s.Approval.Sets()),
		Lasts:     p.lasting(s),
		Extends:   p.extending(s),
		Along:     p.alongWords(s),
		MayAssume: p.onward(s.Grant),
		Guard:     guardWord(s),
		Ends:      p.ends(s, s.Accounts, stand),
		Ticket:    ticketWords(s.Ticket),
		After:     p.after(s),
		NotYet:    p.Unbuilt(s),
		Notes:     p.Notes(s),
	}
}

func (p *Policy) setsExplained(names []string) (out []SetExplanation) {
	for _, n := range names {
		set := p.People[n]
		out = append(out, SetExplanation{Set: n, Groups: set.Groups, Emails: set.Emails})
	}
	return out
}

func ticketWords(t TicketRule) string {
	if t.Within > 0 {
		return "A ticket " + t.words() + "."
	}
	return "A ticket is " + t.words() + "."
}

func grants(g Grant) string {
	switch g.Kind {
	case GrantGroup:
		return "membership of the Identity Center group " + g.Name
	case GrantIAMRole:
		return "the IAM role " + g.Name
	case GrantSealedUser:
		return "the sealed IAM user " + g.Name
	}
	return "the permission set " + g.Name
}

func (p *Policy) after(s Scenario) (out []string) {
	if s.Approval.None {
		out = append(out, "It is announced in "+p.Channels.Incidents+" and by mail at once.")
	}
	if len(s.Notify) > 0 {
		out = append(out, "Told at the beginning and at the end: "+listed(whose(s.Notify), "and")+".")
	}
	if s.PostMortem {
		out = append(out, "A post-mortem is owed within "+Span(p.Report.PostMortem.Within)+".")
	}
	return out
}

// ExplainPerson says what somebody may ask for, and why not the rest.
func (p *Policy) ExplainPerson(who Person) PersonExplanation {
	out := PersonExplanation{Person: name(who)}
	if v, ok := present(who); !ok {
		out.Why = v.Why
		return out
	}
	for _, set := range sorted(p.People) {
		if p.In(set, who) {
			out.In = append(out.In, set)
		}
	}
	for _, s := range p.Scenarios {
		switch what := p.Unbuilt(s); {
		case !p.inAny(s.Eligible, who):
			out.Not = append(out.Not, OfferRefusal{s.Name, s.Title, "It is for " + listed(s.Eligible, "and") + "."})
		case what != "":
			out.Not = append(out.Not, OfferRefusal{s.Name, s.Title, "It is not yet offered: " + what + " is not built yet."})
		default:
			p.offer(&out, s, who)
		}
	}
	return out
}

// offer adds a scenario that somebody is eligible for, where they can be given it, and why not elsewhere.
func (p *Policy) offer(out *PersonExplanation, s Scenario, who Person) {
	o := OfferExplanation{Scenario: s.Name, Title: s.Title, Along: p.alongWords(s), Lasts: p.lasting(s), Approval: p.word(s)}
	places := s.Accounts
	if len(places) == 0 {
		places = []string{""}
	}
	last := Verdict{}
	for _, a := range places {
		v := p.obtains(s, a, who)
		switch {
		case !v.OK:
			last = v
			o.Not = append(o.Not, v.Why)
		case a != "":
			o.Accounts = append(o.Accounts, a)
		}
	}
	if o.Not = once(o.Not); len(o.Not) > 0 && len(o.Accounts) == 0 {
		out.Not = append(out.Not, OfferRefusal{s.Name, s.Title, last.Why})
		return
	}
	out.Offers = append(out.Offers, o)
}

// ExplainRequest says what would become of a request, and who could approve it. People in others, if
// the caller looked some up, are told apart one by one.
func (p *Policy) ExplainRequest(scenario, account string, d time.Duration, who Person, others []Person, stand Ends) RequestExplanation {
	out := RequestExplanation{Person: name(who), Scenario: scenario, Account: account,
		Verdict: p.MayRequest(scenario, account, d, who)}
	if d != 0 {
		out.Duration = Span(d)
	}
	s, known := p.Scenario(scenario)
	if !known || !out.Verdict.OK {
		return out
	}
	out.Approval, out.Ends = p.word(s), p.ends(s, []string{account}, stand)
	along, _ := p.Along(s, account, who)
	for _, c := range along {
		out.Along = append(out.Along, c.Title)
	}
	if !s.Approval.None {
		asked := p.Approvers(s, who)
		out.Asked = &asked
		if asked.ManagerMissing {
			out.ManagerOf = "Identity Center has no manager for " + name(who) + "; the other sets decide."
			if len(asked.Sets) == 0 {
				out.ManagerOf = "Identity Center has no manager for " + name(who) + ", so nobody can approve this."
			}
		}
	}
	for _, o := range others {
		out.Deciders = append(out.Deciders, PersonVerdict{name(o), p.MayDecide(s, who, o)})
	}
	return out
}
