package policy

import (
	"fmt"
	"slices"
	"time"
)

// companions are the scenarios granted along with one, and along with those, each once, in the order
// they are met. Parse refuses rings; this would end in one all the same.
func (p *Policy) companions(s Scenario) (out []Scenario) {
	seen := map[string]bool{s.Name: true}
	var walk func(names []string)
	walk = func(names []string) {
		for _, n := range names {
			if seen[n] {
				continue
			}
			seen[n] = true
			if c, ok := p.Scenario(n); ok {
				out = append(out, c)
				walk(c.With)
			}
		}
	}
	walk(s.With)
	return out
}

// Along says what a person is granted along with a scenario in an account, by name ("" where the grant is
// of none), on the same word: the scenarios of its `with`, those of theirs, and so on, each once. Their
// own approvals are not asked, their own eligible are: where the person may not have one of them, the
// whole request is refused with the reason. What the person has standing is left out. A group is of no
// account; anything else must be open in the lead's. How long they last is the lead's length, which
// MayRequest holds against each of them. The zero list with an OK verdict: nothing goes along.
func (p *Policy) Along(s Scenario, account string, who Person) ([]Scenario, Verdict) {
	if v, ok := present(who); !ok {
		return nil, v
	}
	all := p.companions(s)
	var out []Scenario
	for _, c := range all {
		if v := p.fits(s, c, all, account, who); !v.OK {
			return nil, v
		}
		if p.standing(c, account, who).OK {
			out = append(out, c)
		}
	}
	return out, yes("")
}

// fits says whether a person may have c along with s, which comes with all.
func (p *Policy) fits(s, c Scenario, all []Scenario, account string, who Person) Verdict {
	along := c.Title + " is granted along with " + s.Title + ", "
	if !p.inAny(c.Eligible, who) {
		return no(CodeEligible, along+"and you are not among those who may ask for it: "+listed(c.Eligible, "and")+
			". Whoever runs the directory can put you into one of their groups.")
	}
	if what := p.Unbuilt(c); what != "" {
		return no(CodeUnbuilt, along+"and asks for "+what+", which is not built yet. Choose another scenario.")
	}
	if c.Grant.Kind != GrantGroup && !slices.Contains(c.Accounts, account) {
		v := no(CodeAccount, along+"and does not open "+quote(account)+".")
		if open := common(s, all); len(open) > 0 {
			v.Why += " Choose " + oneOf(open) + "."
		}
		return v
	}
	if v := p.reaches(c, who); !v.OK {
		v.Why = along + "and it cannot be granted to you. " + v.Why
		return v
	}
	return yes("")
}

// common are the accounts of a scenario in which all that goes along can be granted too.
func common(s Scenario, all []Scenario) []string {
	open := slices.Clone(s.Accounts)
	for _, c := range all {
		if c.Grant.Kind == GrantGroup {
			continue
		}
		in := map[string]bool{}
		for _, a := range c.Accounts {
			in[a] = true
		}
		open = slices.DeleteFunc(open, func(a string) bool { return !in[a] })
	}
	return open
}

// longest is how long a session can last with all that is granted along, and the title of what bounds
// it, "" where the scenario itself does. A companion ends with its lead, so it has to bear its length.
func (p *Policy) longest(s Scenario) (d time.Duration, by string) {
	d = s.MaxDuration
	for _, c := range p.companions(s) {
		if 0 < c.MaxDuration && c.MaxDuration < d {
			d, by = c.MaxDuration, c.Title
		}
	}
	return d, by
}

// longestTotal is the same with all extensions.
func (p *Policy) longestTotal(s Scenario) (d time.Duration, by string) {
	d = s.MaxTotal
	for _, c := range p.companions(s) {
		if 0 < c.MaxTotal && c.MaxTotal < d {
			d, by = c.MaxTotal, c.Title
		}
	}
	return d, by
}

// along finds what can never be granted along, and shortens what the form offers to what all can bear.
func (r *reader) along(scenarios []Scenario, f fields) {
	all := &Policy{Scenarios: scenarios}
	for i, s := range scenarios {
		if len(s.With) == 0 {
			continue
		}
		n := f.n.get("scenarios").value.get(s.Name).value
		path := join("scenarios", s.Name)
		at := fields{reader: r, path: path, at: n.at, n: n}
		together := all.companions(s)
		r.grantable(at, s, together)
		r.oncePerGrant(at, s, together)
		if longest, by := all.longest(s); longest < s.MaxDuration {
			r.bearable(at, &scenarios[i], longest, by)
		}
	}
}

// grantable wants an account that all of them open, and an end that all of them can share. Nothing is
// concluded from lists that are at fault themselves.
func (r *reader) grantable(at fields, s Scenario, together []Scenario) {
	if s.Grant.Kind == GrantSealedUser {
		at.bad("with", "a sealed user has no end that anything could share", "remove the key")
		return
	}
	sound := len(s.Accounts) == len(at.elements0("accounts"))
	for _, c := range together {
		switch {
		case c.Grant.Kind == GrantSealedUser:
			if slices.Contains(s.With, c.Name) {
				at.bad("with", c.Name+" grants a sealed user, which only rotation ends", "remove it")
			}
			return
		case c.Grant.Kind == "" || c.Grant.Kind != GrantGroup && len(c.Accounts) == 0:
			return // at fault itself
		case s.Grant.Kind == GrantGroup && c.Grant.Kind != GrantGroup:
			at.bad("with", c.Name+" is granted in an account, and this scenario is of none", "grant this one along with "+c.Name+" instead")
			return
		}
	}
	if s.Grant.Kind != GrantGroup && sound && len(s.Accounts) > 0 && len(common(s, together)) == 0 {
		at.bad("with", "no account of this scenario is open in all that is granted along: "+some(names(together)), "give them an account in common, or remove one")
	}
}

// oncePerGrant refuses one thing granted twice at once: the end of one would be the end of the other.
func (r *reader) oncePerGrant(at fields, s Scenario, together []Scenario) {
	by := map[Grant]string{s.Grant: "this scenario"}
	for _, c := range together {
		if first, twice := by[c.Grant]; twice && c.Grant.Name != "" {
			at.bad("with", fmt.Sprintf("%s grants %s, and so does %s", c.Name, grants(c.Grant), first), "keep one of them")
			return
		}
		by[c.Grant] = c.Name
	}
}

// bearable keeps the form from offering a length that MayRequest would refuse.
func (r *reader) bearable(at fields, s *Scenario, longest time.Duration, by string) {
	if !at.has("durations") {
		s.Durations = steps(longest)
		return
	}
	for _, d := range s.Durations {
		if d > longest {
			at.bad("durations", fmt.Sprintf("%s is more than %s, which is granted along, can last: %s", Span(d), quote(by), Span(longest)),
				"remove it, or raise that one's max_duration")
			return
		}
	}
}

func oneOf(list []string) string {
	if len(list) == 1 {
		return list[0]
	}
	return "one of " + some(list)
}

func names(scenarios []Scenario) (out []string) {
	for _, s := range scenarios {
		out = append(out, s.Name)
	}
	return out
}
