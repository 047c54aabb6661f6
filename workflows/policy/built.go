package policy

// feature is something a scenario can ask for that the program does not do yet.
type feature struct {
	name string // as in: it asks for NAME, which is not built yet
	used func(*Policy, Scenario) bool
}

// notBuilt is the one list of what is read and checked, and refused where it is used. Whoever builds
// something takes its line away.
func notBuilt() []feature {
	return []feature{
		{"a grant of kind sealed_user", func(_ *Policy, s Scenario) bool { return s.Grant.Kind == GrantSealedUser }},
		{"step_up", func(_ *Policy, s Scenario) bool { return s.StepUp }},
		{"start: later", func(_ *Policy, s Scenario) bool { return s.Start == StartLater }},
		{"on_call", func(_ *Policy, s Scenario) bool { return s.OnCall != "" }},
		{"escalate", func(_ *Policy, s Scenario) bool { return len(s.Escalate) > 0 }},
		{"accounts_from", fromOrganizations},
	}
}

// fromOrganizations says whether a scenario names an account that only Organizations could know.
func fromOrganizations(p *Policy, s Scenario) bool {
	if len(p.AccountsFrom) == 0 {
		return false // then Parse has seen to it that all are known
	}
	for _, a := range s.Accounts {
		if _, known := p.Account(a); !known {
			return true
		}
	}
	return false
}

// Unbuilt is the name of something this scenario asks for that is not built yet, or "". What is granted
// along with it counts as well: it comes on the same word or not at all.
func (p *Policy) Unbuilt(s Scenario) string {
	for _, f := range notBuilt() {
		if f.used(p, s) {
			return f.name
		}
	}
	for _, c := range p.companions(s) {
		for _, f := range notBuilt() {
			if f.used(p, c) {
				return f.name + " in " + c.Name + ", which is granted along"
			}
		}
	}
	return ""
}
