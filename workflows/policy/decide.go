package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
)

// Person is somebody as the directory has just described them. The zero Groups (nil) means that the
// directory did not answer, and such a person may do nothing: no answer is a no.
type Person struct {
	UserID      string // Identity Center's; two Slack users with one of these are one person
	UserName    string
	Email       string
	DisplayName string
	Enabled     bool
	ManagerID   string          // "": the directory gives none
	Groups      map[string]bool // by name, of those that Policy.Groups lists
}

// Code classes a verdict for programs; people read Why.
type Code string

// The codes of verdicts.
const (
	CodeOK         Code = "ok"
	CodeDirectory  Code = "directory"   // the directory did not answer
	CodeDisabled   Code = "disabled"    // the person is disabled in Identity Center
	CodeScenario   Code = "scenario"    // there is no such scenario
	CodeUnbuilt    Code = "unbuilt"     // the scenario asks for something not offered yet
	CodeEligible   Code = "eligible"    // the person is not among those who may ask
	CodeAccount    Code = "account"     // the scenario does not open that account
	CodeStanding   Code = "standing"    // the person has this access without any request
	CodeIAMUser    Code = "iam_user"    // the policy knows no IAM user of the person, which an IAM role is granted to
	CodeDuration   Code = "duration"    // too short, too long
	CodeTicket     Code = "ticket"      // missing, or not of the tracker's form
	CodeOwnRequest Code = "own_request" // nobody decides on their own request
	CodeDecider    Code = "decider"     // not among those whose word it takes
	CodeNoApproval Code = "no_approval" // there is nothing to decide
	CodeExtension  Code = "extension"   // this session cannot be extended, whatever the length
)

// Verdict is a decision with its reason. Why is a sentence or two for the person concerned: what is so,
// and what they can do. It contains names from the policy and the directory, and is not markup.
type Verdict struct {
	OK   bool   `json:"ok"`
	Code Code   `json:"code"`
	Why  string `json:"why"`
}

func yes(why string) Verdict { return Verdict{OK: true, Code: CodeOK, Why: why} }

func no(code Code, why string) Verdict { return Verdict{Code: code, Why: why} }

// present refuses whoever the directory did not vouch for.
func present(who Person) (Verdict, bool) {
	switch {
	case who.Groups == nil || who.UserID == "":
		return no(CodeDirectory, "The directory did not answer, so nobody can be let through. Try again in a minute."), false
	case !who.Enabled:
		return no(CodeDisabled, name(who)+" is disabled in Identity Center. Whoever runs the directory can enable the user."), false
	}
	return Verdict{}, true
}

// name is how a person is called in a sentence.
func name(who Person) string {
	for _, s := range []string{who.DisplayName, who.UserName, who.Email} {
		// Names come from the directory, where people may type anything.
		if s = strings.TrimSpace(strings.Map(visible, s)); s != "" {
			return s
		}
	}
	return "This person"
}

func visible(c rune) rune {
	if unicode.IsPrint(c) {
		return c
	}
	return -1
}

// In says whether a person is in a set: by one of its groups, or by an e-mail address, whose case does
// not matter. A disabled person is in nothing, nor is one about whom the directory did not answer.
// Manager is no set: it needs a requester.
func (p *Policy) In(set string, who Person) bool {
	if _, ok := present(who); !ok {
		return false
	}
	s, ok := p.People[set]
	if !ok {
		return false
	}
	for _, g := range s.Groups {
		if who.Groups[g] {
			return true
		}
	}
	return who.Email != "" && slices.ContainsFunc(s.Emails, func(mail string) bool { return lower(mail) == lower(who.Email) })
}

func (p *Policy) inAny(sets []string, who Person) bool {
	return slices.ContainsFunc(sets, func(s string) bool { return p.In(s, who) })
}

// Groups are the names of all groups that a decision can turn on, sorted, each once: what to ask the
// directory about a person, in one go.
func (p *Policy) Groups() []string {
	var out []string
	add := func(sets []string) {
		for _, s := range sets {
			out = append(out, p.People[s].Groups...)
		}
	}
	add(p.Lockdown)
	for _, s := range p.Scenarios {
		add(s.Eligible)
		add(s.Approval.Sets())
		add(s.Notify)
		for _, e := range s.Escalate {
			add(e.To)
		}
	}
	for _, st := range p.Reconcile.Standing {
		out = append(out, st.Group)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Offer is a scenario that the form offers somebody, with the accounts it opens; none for a group.
type Offer struct {
	Scenario Scenario
	Accounts []Account
}

// Offers are what a person may ask for, in the order of the policy, in the accounts where they may. What
// is not built yet is left out, and so is what they have anyway.
func (p *Policy) Offers(who Person) []Offer {
	var out []Offer
	for _, s := range p.Scenarios {
		if p.Unbuilt(s) != "" || !p.inAny(s.Eligible, who) {
			continue
		}
		o := Offer{Scenario: s}
		for _, a := range s.Accounts {
			if account, ok := p.Account(a); ok && p.obtains(s, a, who).OK {
				o.Accounts = append(o.Accounts, account)
			}
		}
		if len(o.Accounts) > 0 || len(s.Accounts) == 0 && p.obtains(s, "", who).OK {
			out = append(out, o)
		}
	}
	return out
}

// DefaultDuration is what the form has chosen beforehand: the longest it offers up to an hour, else the
// shortest; 0 for a grant without an end of its own.
func (p *Policy) DefaultDuration(s Scenario) time.Duration {
	var best time.Duration
	for _, d := range s.Durations {
		if best == 0 || d <= time.Hour && d > best {
			best = d
		}
	}
	return best
}

// MayRequest says whether a person may ask for a scenario in an account ("" where the grant is of none)
// for so long. Nothing is told about a scenario to somebody who may not ask for it, beyond who may.
func (p *Policy) MayRequest(scenario, account string, d time.Duration, who Person) Verdict {
	if v, ok := present(who); !ok {
		return v
	}
	s, ok := p.Scenario(scenario)
	if !ok {
		offered := p.offered(who)
		problem, remedy := unknown("scenario", scenario, offered)
		if len(offered) == 0 {
			remedy = "there is none that you may ask for"
		}
		return no(CodeScenario, sentence(problem)+" "+sentence(remedy))
	}
	if !p.inAny(s.Eligible, who) {
		return no(CodeEligible, fmt.Sprintf("You are not among those who may ask for %s: %s. %s",
			s.Title, listed(s.Eligible, "and"), "Ask somebody who is, or whoever runs the directory to put you into one of their groups."))
	}
	if what := p.Unbuilt(s); what != "" {
		return no(CodeUnbuilt, fmt.Sprintf("%s is not yet offered: it asks for %s, which is not built yet. Choose another scenario.", s.Title, what))
	}
	if v := p.opens(s, account); !v.OK {
		return v
	}
	if v := p.obtains(s, account, who); !v.OK {
		return v
	}
	if v := p.lasts(s, d); !v.OK {
		return v
	}
	along, _ := p.Along(s, account, who)
	return yes("You may ask for " + s.Title + ". " + p.word(s) + alongTitles(along))
}

// obtains says whether somebody who may ask for a scenario can be given it in an account that it opens,
// with all that goes along.
func (p *Policy) obtains(s Scenario, account string, who Person) Verdict {
	if v := p.standing(s, account, who); !v.OK {
		return v
	}
	if v := p.reaches(s, who); !v.OK {
		return v
	}
	_, v := p.Along(s, account, who)
	return v
}

// reaches refuses an IAM role to whoever has no IAM user that its trust could be opened for. The user may
// be in another account than the role.
func (p *Policy) reaches(s Scenario, who Person) Verdict {
	if s.Grant.Kind != GrantIAMRole {
		return yes("")
	}
	if _, ok := p.IAMUser(who); !ok {
		mail := who.Email
		if mail == "" {
			mail = "your e-mail address, which Identity Center does not have yet"
		}
		return no(CodeIAMUser, "An IAM role is granted to an IAM user with MFA, and the policy names none of yours. Whoever keeps the policy can add it to iam_users, under "+
			strings.Map(visible, mail)+".")
	}
	return yes("")
}

func alongTitles(along []Scenario) string {
	if len(along) == 0 {
		return ""
	}
	var titles []string
	for _, c := range along {
		titles = append(titles, c.Title)
	}
	return " Granted along with it, on the same word: " + listed(titles, "and") + "."
}

// offered are the names of the scenarios somebody may ask for: what "did you mean" may give away.
func (p *Policy) offered(who Person) (out []string) {
	for _, o := range p.Offers(who) {
		out = append(out, o.Scenario.Name)
	}
	return out
}

func (p *Policy) opens(s Scenario, account string) Verdict {
	if s.Grant.Kind == GrantGroup {
		if account != "" {
			return no(CodeAccount, s.Title+" is not of one account. Leave the account out.")
		}
		return yes("")
	}
	if account == "" {
		return no(CodeAccount, s.Title+" needs an account: choose one of "+some(s.Accounts)+".")
	}
	if _, known := p.Account(account); !known || !slices.Contains(s.Accounts, account) {
		problem := s.Title + " does not open " + quote(account) + "."
		if near := nearest(account, s.Accounts); near != "" && !known {
			return no(CodeAccount, problem+" Did you mean "+near+"?")
		}
		return no(CodeAccount, problem+" It opens "+some(s.Accounts)+".")
	}
	return yes("")
}

// some lists names as far as a sentence can bear.
func some(names []string) string {
	if len(names) > 12 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:10], ", "), len(names)-10)
	}
	return listed(names, "and")
}

// lasts says whether a session may last so long. What is granted along has to bear it as well.
func (p *Policy) lasts(s Scenario, d time.Duration) Verdict {
	longest, by := p.longest(s)
	possible := "Ask for " + upTo(longest) + "."
	if s.MaxDuration == 0 {
		if d != 0 {
			return no(CodeDuration, s.Title+" has no duration: it is open until its keys are rotated. Leave the duration out.")
		}
		return yes("")
	}
	if d < time.Minute {
		return no(CodeDuration, "A session lasts a minute at least. "+possible)
	}
	if d%time.Second != 0 {
		return no(CodeDuration, "A duration is a whole number of seconds. "+possible)
	}
	if d > longest {
		title := s.Title
		if by != "" {
			title = by + ", which is granted along,"
		}
		return no(CodeDuration, fmt.Sprintf("%s is too long: %s lasts %s at most. %s", Span(d), title, Span(longest), possible))
	}
	return yes("")
}

// sentence gives a fragment its capital and its full stop.
func sentence(s string) string {
	if s == "" {
		return ""
	}
	s = strings.ToUpper(s[:1]) + s[1:]
	if strings.HasSuffix(s, "?") || strings.HasSuffix(s, ".") {
		return s
	}
	return s + "."
}

// CheckTicket says whether what stands in the ticket field will do. White space around it does not count.
func (p *Policy) CheckTicket(s Scenario, ticket string) Verdict {
	ticket = strings.TrimSpace(ticket)
	if ticket == "" {
		if s.Ticket.Required {
			return no(CodeTicket, s.Title+" needs a ticket."+p.ticketForm())
		}
		if s.Ticket.Within > 0 {
			return yes("The ticket may follow within " + Span(s.Ticket.Within) + ".")
		}
		return yes("No ticket is needed.")
	}
	if re := p.Tracker.Pattern; re != nil && !re.MatchString(ticket) {
		return no(CodeTicket, quote(ticket)+" is not a ticket of this tracker."+p.ticketForm())
	}
	return yes("The ticket will do.")
}

func (p *Policy) ticketForm() string {
	if p.Tracker.Pattern == nil {
		return ""
	}
	return " It must match " + p.Tracker.Pattern.String() + "."
}
