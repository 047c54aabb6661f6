package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// SecondWithin is how soon after one session without anybody's word another takes somebody's.
const SecondWithin = 24 * time.Hour

// Second is the scenario as a second session within a day sees it, and as an extension does: where it takes nobody's word, it then takes that
// of one other person who may ask for it.
func (s Scenario) Second() Scenario {
	if s.Approval.None {
		s.Approval = Approval{AnyOf: s.Eligible, Count: 1}
	}
	return s
}

// MayDecide says whether a person's Approve or Deny counts on somebody's request. Both are as the
// directory describes them now, not as they were when the request was made.
func (p *Policy) MayDecide(s Scenario, requester, decider Person) Verdict {
	if v, ok := present(decider); !ok {
		return v
	}
	if requester.UserID == "" {
		return no(CodeDirectory, "The directory does not say who the requester is, so nobody can decide. Try again in a minute.")
	}
	if decider.UserID == requester.UserID {
		return no(CodeOwnRequest, "This is your own request, and nobody decides on their own. "+p.word(s))
	}
	if s.Approval.None {
		return no(CodeNoApproval, s.Title+" needs no approval; there is nothing to decide. To end the session, use Revoke.")
	}
	for _, set := range s.Approval.Sets() {
		if p.covers(set, requester, decider) {
			return yes(name(decider) + " decides as " + as(set) + ".")
		}
	}
	return no(CodeDecider, "Your word does not count here. "+p.word(s)+manager(s, requester))
}

// manager explains the one rule that a person cannot look up in the policy.
func manager(s Scenario, requester Person) string {
	if !slices.Contains(s.Approval.Sets(), Manager) {
		return ""
	}
	if requester.ManagerID == "" {
		return " Identity Center has no manager for " + name(requester) + "."
	}
	return " The manager is the one that Identity Center has for " + name(requester) + "."
}

// covers says whether a person stands for a set: by being in it or, for the reserved word, by being the
// requester's manager.
func (p *Policy) covers(set string, requester, who Person) bool {
	if set != Manager {
		return p.In(set, who)
	}
	_, ok := present(who)
	return ok && requester.ManagerID != "" && who.UserID == requester.ManagerID
}

func as(set string) string {
	if set == Manager {
		return "the requester's manager"
	}
	return "one of " + set
}

// word says in a sentence whose word a scenario takes.
func (p *Policy) word(s Scenario) string {
	a := s.Approval
	switch {
	case a.None:
		return "It needs no approval and is announced at once."
	case len(a.AllOf) == 1:
		return "It takes the word of " + as(a.AllOf[0]) + "."
	case len(a.AllOf) > 1:
		return fmt.Sprintf("It takes the word of %d different people: %s.", len(a.AllOf), listed(each(a.AllOf), "and"))
	case a.Count > 1:
		return fmt.Sprintf("It takes the word of %d different people out of %s.", a.Count, listed(whose(a.AnyOf), "and"))
	}
	return "It takes the word of " + listed(each(a.AnyOf), "or") + "."
}

func each(sets []string) (out []string) {
	for _, s := range sets {
		out = append(out, as(s))
	}
	return out
}

func whose(sets []string) (out []string) {
	for _, s := range sets {
		if s == Manager {
			s = as(s)
		}
		out = append(out, s)
	}
	return out
}

// ApprovalVerdict is how far an approval has come: whether enough has been said, and what is missing.
type ApprovalVerdict struct {
	Done    bool     `json:"done"`
	Missing []string `json:"missing,omitempty"` // as "one of platform-leads", in the order of the policy
	Why     string   `json:"why"`
}

// Approved counts the people who approved a request, as the directory describes them now. The requester
// never counts, nobody counts twice, and who has lost the right in the meantime counts no more. The
// order of the deciders makes no difference, and another decider never makes a request less approved.
func (p *Policy) Approved(s Scenario, requester Person, deciders []Person) ApprovalVerdict {
	if s.Approval.None {
		return ApprovalVerdict{Done: true, Why: "It needs no approval."}
	}
	sets := s.Approval.Sets()
	people := p.counting(s, requester, deciders)
	if len(sets) == 0 || len(s.Approval.AllOf) == 0 && s.Approval.Count < 1 {
		return ApprovalVerdict{Why: "The policy names nobody who could approve this."} // Parse lets none through
	}
	var missing []string
	if len(s.Approval.AllOf) > 0 {
		missing = p.unserved(sets, requester, people)
	} else if lack := s.Approval.Count - len(people); lack > 0 {
		missing = []string{lacking(lack, sets)}
	}
	if len(missing) > 0 {
		return ApprovalVerdict{Missing: missing, Why: "Still needed: " + listed(missing, "and") + "."}
	}
	var names []string
	for _, copies := range people {
		names = append(names, name(copies[0]))
	}
	return ApprovalVerdict{Done: true, Why: "Approved by " + listed(names, "and") + "."}
}

func lacking(n int, sets []string) string {
	if n == 1 {
		return listed(each(sets), "or")
	}
	return fmt.Sprintf("%d more people out of %s", n, listed(whose(sets), "and"))
}

// counting are those deciders whose word counts, each person once, with all that was said of them: if
// the directory described somebody twice in one breath, either description may be the one with the right.
func (p *Policy) counting(s Scenario, requester Person, deciders []Person) [][]Person {
	byID := map[string][]Person{}
	for _, d := range deciders {
		if p.MayDecide(s, requester, d).OK {
			byID[d.UserID] = append(byID[d.UserID], d)
		}
	}
	var out [][]Person
	for _, id := range sorted(byID) {
		copies := byID[id]
		slices.SortFunc(copies, func(a, b Person) int {
			return cmp.Or(strings.Compare(a.DisplayName, b.DisplayName), strings.Compare(a.UserName, b.UserName), strings.Compare(a.Email, b.Email))
		})
		out = append(out, copies)
	}
	return out
}

// unserved are the sets of all_of for which no person is left once each has been given at most one.
func (p *Policy) unserved(sets []string, requester Person, people [][]Person) (missing []string) {
	in := make([][]int, len(sets))
	for i, set := range sets {
		for n, copies := range people {
			if slices.ContainsFunc(copies, func(who Person) bool { return p.covers(set, requester, who) }) {
				in[i] = append(in[i], n)
			}
		}
	}
	for i, served := range match(in) {
		if !served {
			missing = append(missing, as(sets[i]))
		}
	}
	return missing
}

// ApproverSets is whom to tell of a request. Whether their word counts is asked again when they decide.
type ApproverSets struct {
	Manager        string   `json:"manager,omitempty"`         // Identity Center user id; tell this one first
	ManagerMissing bool     `json:"manager_missing,omitempty"` // the policy takes the manager's word, and there is none
	Sets           []string `json:"sets,omitempty"`            // names, without Manager
	Groups         []string `json:"groups,omitempty"`
	Emails         []string `json:"emails,omitempty"` // without the requester's
	Mentions       []string `json:"mentions,omitempty"`
}

// Approvers says whom to tell and to mention, in the order of the policy, each once.
func (p *Policy) Approvers(s Scenario, requester Person) ApproverSets {
	var out ApproverSets
	emails := map[string]bool{lower(requester.Email): true}
	for _, set := range s.Approval.Sets() {
		if set == Manager {
			// Somebody entered as their own manager has none.
			if requester.ManagerID != requester.UserID {
				out.Manager = requester.ManagerID
			}
			out.ManagerMissing = out.Manager == ""
			continue
		}
		people := p.People[set]
		out.Sets = append(out.Sets, set)
		out.Groups = append(out.Groups, people.Groups...)
		for _, mail := range people.Emails {
			if !emails[lower(mail)] {
				emails[lower(mail)] = true
				out.Emails = append(out.Emails, mail)
			}
		}
		if people.Mention != "" {
			out.Mentions = append(out.Mentions, people.Mention)
		}
	}
	out.Groups, out.Mentions = once(out.Groups), once(out.Mentions)
	return out
}

// once keeps the first of equal words.
func once(words []string) (out []string) {
	for _, w := range words {
		if !slices.Contains(out, w) {
			out = append(out, w)
		}
	}
	return out
}

// MayRevoke says whether a person may end somebody else's session: whoever could decide on it, the
// lockdown people, and where no approval was needed any other eligible person. The requester does not
// need it: End now is theirs.
func (p *Policy) MayRevoke(s Scenario, requester, who Person) Verdict {
	if v, ok := present(who); !ok {
		return v
	}
	if who.UserID == requester.UserID {
		return yes("It is your own session.")
	}
	if p.inAny(p.Lockdown, who) {
		return yes(name(who) + " is among the lockdown people.")
	}
	if p.MayDecide(s, requester, who).OK {
		return yes(name(who) + " could have decided on the request.")
	}
	if s.Approval.None && p.inAny(s.Eligible, who) {
		return yes(name(who) + " may ask for " + s.Title + " too.")
	}
	return no(CodeDecider, "You cannot end this session. Its requester, its approvers and the lockdown people can.")
}

// MayLockDown says whether a person may end every session and refuse new ones.
func (p *Policy) MayLockDown(who Person) Verdict {
	if v, ok := present(who); !ok {
		return v
	}
	if p.inAny(p.Lockdown, who) {
		return yes(name(who) + " is among the lockdown people.")
	}
	if len(p.Lockdown) == 0 {
		return no(CodeDecider, "The policy names nobody who may lock down. Sessions can be ended one by one.")
	}
	return no(CodeDecider, "Only "+listed(p.Lockdown, "and")+" may lock down. Tell one of them.")
}
