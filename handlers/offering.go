package handlers

import (
	"fmt"
	"slices"

	"breakglass/store"
	"breakglass/workflows/policy"
)

// offering is what one person may ask for, as the directory said a moment ago. It points into the policy rather than copying from it: many of
// them are remembered, and a policy can have hundreds of accounts in each of its scenarios.
type offering struct {
	principal store.Principal
	person    store.Person
	scenarios []*policy.Scenario
	some      map[string][]string // by scenario, the names of its accounts, where not all of them can be had
	policy    *policy.Policy      // that it was made from
	lock      lock                // as it was when the form was drawn; never remembered
}

// who is a principal as the policy sees them.
func who(p store.Principal) policy.Person {
	return policy.Person{
		UserID: p.UserID, UserName: p.UserName, Email: p.Email, DisplayName: p.DisplayName,
		Enabled: p.Enabled, ManagerID: p.ManagerID, Groups: p.Groups,
	}
}

// offeringOf is exactly what the policy would grant, in its order: what would only be refused is not shown. Whoever names it all the same, in a
// command, is told why (see whyNot).
func offeringOf(p *policy.Policy, principal store.Principal, person store.Person) offering {
	o := offering{principal: principal, person: person, policy: p, some: map[string][]string{}}
	offers := p.Offers(who(principal))
	for i := range p.Scenarios {
		s := &p.Scenarios[i]
		if len(offers) == 0 || offers[0].Scenario.Name != s.Name {
			continue
		}
		o.scenarios = append(o.scenarios, s)
		if have := offers[0].Accounts; len(have) < len(s.Accounts) {
			for _, a := range have {
				o.some[s.Name] = append(o.some[s.Name], a.Name)
			}
		}
		offers = offers[1:]
	}
	return o
}

// accounts are those in which this person may ask for a scenario.
func (o offering) accounts(s *policy.Scenario) []policy.Account {
	names, limited := o.some[s.Name]
	if !limited {
		names = s.Accounts
	}
	var out []policy.Account
	for _, name := range names {
		if a, ok := o.policy.Account(name); ok {
			out = append(out, a)
		}
	}
	return out
}

// scenario is the one of that name, nil where it is not offered.
func (o offering) scenario(name string) *policy.Scenario {
	for _, s := range o.scenarios {
		if s.Name == name {
			return s
		}
	}
	return nil
}

// whyNot is the policy's word on a scenario, in the account if it is one of its own, else in its first.
func (o offering) whyNot(scenario, account string) policy.Verdict {
	s, ok := o.policy.Scenario(scenario)
	if ok && !slices.Contains(s.Accounts, account) {
		if account = ""; len(s.Accounts) > 0 {
			account = s.Accounts[0]
		}
	}
	return o.policy.MayRequest(scenario, account, o.policy.DefaultDuration(s), who(o.principal))
}

// nothingOffered says why there is no form to fill in: nothing is open to this person, or nothing that they could be given.
func nothingOffered(o offering) string {
	for _, s := range o.policy.Scenarios {
		if v := o.whyNot(s.Name, ""); !v.OK && v.Code != policy.CodeEligible {
			return "There is nothing you may ask for. " + v.Why
		}
	}
	return fmt.Sprintf("There is nothing you may ask for: no scenario of the policy is open to %s (%s). "+
		"If that is wrong, ask whoever runs Identity Center to put you into the right group, or whoever keeps the policy.",
		oneLine(o.person.Label(), limitName), oneLine(o.principal.Email, limitName))
}
