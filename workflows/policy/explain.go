package policy

import (
	"fmt"
	"time"
)

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
	Ends      []string         `json:"ends"`
	Ticket    string           `json:"ticket"`
	After     []string         `json:"after,omitempty"` // what follows the end, and who is told
	NotYet    string           `json:"not_yet,omitempty"`
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
		Lasts:     lasting(s),
		Ends:      ends(s, stand),
		Ticket:    ticketWords(s.Ticket),
		After:     p.after(s),
		NotYet:    p.Unbuilt(s),
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

func lasting(s Scenario) string {
	if s.MaxDuration == 0 {
		return "It is open until its keys and password are rotated."
	}
	out := "It lasts " + Span(s.MaxDuration) + " at most"
	var offered []string
	for _, d := range s.Durations {
		offered = append(offered, Span(d))
	}
	if len(offered) > 1 {
		out += "; the form offers " + listed(offered, "and")
	}
	if s.MaxExtensions > 0 {
		out += fmt.Sprintf("; it can be extended %s, to %s in all", times(s.MaxExtensions), Span(s.MaxTotal))
	}
	return out + "."
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// ends says what takes access away, and what nothing can take away at once.
func ends(s Scenario, stand Ends) (out []string) {
	switch s.Grant.Kind {
	case GrantSealedUser:
		return []string{"Only the rotation of its keys and password ends it."}
	case GrantIAMRole:
		return []string{"IAM refuses the session after its end, by a deny in the role and by the trust statement.",
			"The bot takes both the trust and the session away. No schedule can act in another account."}
	case GrantGroup:
		out = []string{"The bot removes the membership and verifies it.", schedule(stand),
			"AWS may take up to an hour to follow."}
		return out
	}
	out = append(out, "The bot takes the assignment away and verifies it.")
	if stand.SSM {
		out = append(out, "It ends live SSM sessions.")
	}
	out = append(out, schedule(stand))
	switch {
	case !stand.Guard || s.Guard == GuardNone:
		out = append(out, "There is no guard: credentials that are out work until they expire.")
	case s.Guard == GuardClosed:
		out = append(out, "The guard makes IAM refuse the session after its end, and at any time whoever has no live session.")
	default:
		out = append(out, "The guard makes IAM refuse the session after its end.")
	}
	return append(out, "An open database connection or an EKS token may outlive it, by an hour at most.")
}

func schedule(stand Ends) string {
	if stand.Schedules {
		return "An EventBridge schedule does so if the bot is gone."
	}
	return "No schedule stands by: if the bot is gone, so is this end."
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
			out.Offers = append(out.Offers, OfferExplanation{s.Name, s.Title, s.Accounts, lasting(s), p.word(s)})
		}
	}
	return out
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
	out.Approval, out.Ends = p.word(s), ends(s, stand)
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
