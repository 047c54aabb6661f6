package policy

import "slices"

// BreakGlassSets are the permission sets that scenarios can grant, sorted, each once: those whose
// assignments a request, or a standing entry, must explain.
func (p *Policy) BreakGlassSets() []string { return p.granted(GrantPermissionSet) }

// BreakGlassRoles are the IAM roles that scenarios can grant, sorted, each once.
func (p *Policy) BreakGlassRoles() []string { return p.granted(GrantIAMRole) }

// GrantedGroups are the groups that scenarios can grant, sorted, each once: those whose members a request
// must explain. None of them stands in people, standing or anchors; that would be a fault.
func (p *Policy) GrantedGroups() []string { return p.granted(GrantGroup) }

func (p *Policy) granted(kind GrantKind) (out []string) {
	for _, s := range p.Scenarios {
		if s.Grant.Kind == kind {
			out = append(out, s.Grant.Name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Opens are the accounts in which scenarios can grant this, in the order of the policy's accounts, each
// once; none for a group. Accounts that only Organizations knows are not among them.
func (p *Policy) Opens(g Grant) (out []Account) {
	in := map[string]bool{}
	for _, s := range p.Scenarios {
		if s.Grant == g {
			for _, a := range s.Accounts {
				in[a] = true
			}
		}
	}
	for _, a := range p.Accounts {
		if in[a.Name] {
			out = append(out, a)
		}
	}
	return out
}

// MayAssume says which roles the sessions in an account, given by name or id, may go on to assume: by
// the name of the permission set or the IAM role, what all scenarios that grant it there allow, sorted,
// each once. It is a property of the set, since IAM cannot tell by which scenario somebody came. What may
// be assumed is a name, then of a role of this account, or a whole ARN. Every IAM role that is granted
// there has a key, with nothing where it may assume nothing: the fence keeps sessions from changing these
// roles, and knows them from here. A permission set that may assume nothing has none.
func (p *Policy) MayAssume(account string) map[string][]string {
	out, here := map[string][]string{}, p.place(account)
	for _, s := range p.Scenarios {
		role := s.Grant.Kind == GrantIAMRole
		fenced := role || s.Grant.Kind == GrantPermissionSet && len(s.MayAssume) > 0
		if fenced && slices.Contains(s.Accounts, here) {
			out[s.Grant.Name] = append(out[s.Grant.Name], s.MayAssume...)
		}
	}
	for name, roles := range out {
		slices.Sort(roles)
		out[name] = slices.Compact(roles)
	}
	return out
}

// onward are the roles that the sessions of a grant may go on to assume somewhere, whichever scenario they
// came by, sorted.
func (p *Policy) onward(g Grant) (out []string) {
	for _, s := range p.Scenarios {
		if s.Grant == g {
			out = append(out, s.MayAssume...)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// onwards refuses an IAM role and a permission set of one name in one account that may go on to assume
// different roles: the fence tells them apart by that name, and each would have what the other has.
func (r *reader) onwards(scenarios []Scenario, f fields) {
	p := &Policy{Scenarios: scenarios}
	opened := map[string]string{} // name and account -> the scenario that grants the permission set there
	for _, s := range scenarios {
		for _, a := range s.Accounts {
			if s.Grant.Kind == GrantPermissionSet {
				opened[s.Grant.Name+"\x00"+a] = s.Name
			}
		}
	}
	for _, s := range scenarios {
		if s.Grant.Kind != GrantIAMRole {
			continue
		}
		for _, a := range s.Accounts {
			by, taken := opened[s.Grant.Name+"\x00"+a]
			if !taken {
				continue
			}
			if !slices.Equal(p.onward(s.Grant), p.onward(Grant{GrantPermissionSet, s.Grant.Name})) {
				n := f.n.get("scenarios").value.get(s.Name).value
				fields{reader: r, path: join("scenarios", s.Name), at: n.at, n: n}.bad("may_assume",
					"is not that of "+by+", which grants a permission set of the same name in "+a,
					"say the same in both, or rename the role: the fence knows them by that name")
			}
			break
		}
	}
}
