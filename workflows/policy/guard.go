package policy

import (
	"fmt"
	"slices"
)

// GuardRule is what the guard of one permission set in one account must be.
type GuardRule struct {
	Mode string // GuardClosed, GuardTimed or GuardNone
	// Closed: the guard refuses whoever has no live session. It is left out, though the mode is closed,
	// where somebody has the set standing: they never get a line, and the statement would lock them out.
	Closed   bool
	Standing []string // the groups that have the set standing in this account
}

// GuardOf says what the guard of a permission set must be in an account, by the account's name or its
// twelve digits. ok is false for a set that no scenario grants: a session in it that is still open is
// then guarded as the policy said when it was granted. The mode belongs to the set, whichever account.
func (p *Policy) GuardOf(set, account string) (rule GuardRule, ok bool) {
	for _, s := range p.Scenarios {
		if s.Grant == (Grant{GrantPermissionSet, set}) {
			rule.Mode, ok = s.Guard, true
			break
		}
	}
	if !ok {
		return GuardRule{Mode: GuardNone}, false
	}
	for _, st := range p.Reconcile.Standing {
		if p.standsAt(st, account, set) {
			rule.Standing = append(rule.Standing, st.Group)
		}
	}
	rule.Standing = once(rule.Standing)
	rule.Closed = rule.Mode == GuardClosed && len(rule.Standing) == 0
	return rule, true
}

// place is the one name of an account that was given by name or by id. One that the policy does not list
// (from Organizations, or removed since) keeps what it was called.
func (p *Policy) place(account string) string {
	if a, ok := p.Account(account); ok {
		return a.Name
	}
	if a, ok := p.AccountByID(account); ok {
		return a.Name
	}
	return account
}

// standsAt says whether a standing entry is about this permission set in this account.
func (p *Policy) standsAt(st Standing, account, set string) bool {
	return st.PermissionSet == set && (st.Account == account || p.place(st.Account) == p.place(account))
}

// Stands says whether a person has a permission set in an account without any request, as
// reconcile.standing has it, and by what; the account by name or id. It explains their use of the set,
// and their requests for it are refused. Of a person about whom the directory did not answer it says no:
// whoever asks about such a person must have refused already.
func (p *Policy) Stands(account, set string, who Person) (why string, stands bool) {
	if _, ok := present(who); !ok {
		return "", false
	}
	for _, st := range p.Reconcile.Standing {
		if p.standsAt(st, account, set) && who.Groups[st.Group] {
			return fmt.Sprintf("%s in %s comes with the group %s", set, p.place(account), st.Group), true
		}
	}
	return "", false
}

// StandsFor says whether the policy explains that a group is assigned a permission set in an account, by
// name or id: as an entry of reconcile.standing, or as an anchor, which keeps the role in place and must
// be empty. No person's own assignment is explained by the policy, whatever groups they are in: the
// format has standing access for groups only.
func (p *Policy) StandsFor(account, set, group string) bool {
	if group == "" {
		return false
	}
	if slices.Contains(p.Reconcile.Anchors, group) {
		return true
	}
	return slices.ContainsFunc(p.Reconcile.Standing, func(st Standing) bool {
		return st.Group == group && p.standsAt(st, account, set)
	})
}

// standing refuses somebody what they have anyway. Only permission sets can stand.
func (p *Policy) standing(s Scenario, account string, who Person) Verdict {
	if s.Grant.Kind != GrantPermissionSet {
		return yes("")
	}
	if why, stands := p.Stands(account, s.Grant.Name, who); stands {
		return no(CodeStanding, "You have this access already: "+why+". Sign in at "+p.IdentityCenter.AccessPortal+"; there is nothing to ask for.")
	}
	return yes("")
}
