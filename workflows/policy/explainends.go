package policy

import (
	"fmt"
	"slices"
	"strings"
)

func (p *Policy) lasting(s Scenario) string {
	if s.MaxDuration == 0 {
		return "It is open until its keys and password are rotated."
	}
	longest, by := p.longest(s)
	out := "It lasts " + Span(longest) + " at most"
	if by != "" {
		out += ", as " + by + " does, which is granted along"
	}
	var offered []string
	for _, d := range s.Durations {
		offered = append(offered, Span(d))
	}
	if len(offered) > 1 {
		out += "; the form offers " + listed(offered, "and")
	}
	return out + "."
}

// extending says how a session is made longer; "" where it cannot be.
func (p *Policy) extending(s Scenario) string {
	if s.MaxExtensions == 0 || s.MaxDuration == 0 {
		return ""
	}
	longest, by := p.longestTotal(s)
	out := fmt.Sprintf("It can be extended %s, to %s in all", times(s.MaxExtensions), Span(longest))
	if by != "" {
		out += ", as long as " + by + " can, which is granted along"
	}
	return out + fmt.Sprintf(", until %s before the end. %s", Span(ExtensionCloses), strings.Replace(p.word(s.Second()), "It takes", "That takes", 1))
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// alongWords says what is granted along, and who is left out by it.
func (p *Policy) alongWords(s Scenario) (out []string) {
	for _, c := range p.companions(s) {
		out = append(out, fmt.Sprintf("%s (%s): %s, on the same word, to those who may ask for it themselves: %s.",
			c.Title, c.Name, grants(c.Grant), listed(c.Eligible, "and")))
	}
	return out
}

func onwardWords(roles []string) string {
	if len(roles) == 0 {
		return ""
	}
	return "Its sessions may go on to assume " + listed(roles, "and") + "."
}

// guardWord is the mode of the guard; only permission sets have one.
func guardWord(s Scenario) string {
	if s.Grant.Kind != GrantPermissionSet {
		return ""
	}
	return s.Guard
}

// ends says what takes access in these accounts away, and what nothing can take away at once.
func (p *Policy) ends(s Scenario, accounts []string, stand Ends) (out []string) {
	switch s.Grant.Kind {
	case GrantSealedUser:
		return []string{"Only the rotation of its keys and password ends it."}
	case GrantGroup:
		return []string{"The bot removes the membership and verifies it.", schedule(stand),
			"A group has no guard, and AWS may take up to an hour to follow."}
	case GrantIAMRole:
		out = append(out, "The bot takes the trust in the IAM user away and verifies it.")
	default:
		out = append(out, "The bot takes the assignment away and verifies it.")
	}
	if stand.SSM {
		out = append(out, "It ends live SSM sessions.")
	}
	if s.Grant.Kind == GrantIAMRole {
		out = append(out, "No schedule can act in another account: if the bot is gone, IAM alone ends it.")
	} else {
		out = append(out, schedule(stand))
	}
	return append(out, p.guarding(s, accounts, stand), "An open database connection or an EKS token may outlive it, by an hour at most.")
}

func schedule(stand Ends) string {
	if stand.Schedules {
		return "EventBridge schedules do so at its end and twice after it, if the bot is gone."
	}
	return "No schedule stands by: if the bot is gone, so is this end."
}

// guarding says what IAM itself refuses. A trust statement with its end is no guard, and is not switched
// off with it; it lets nobody in anew, and leaves who is in.
func (p *Policy) guarding(s Scenario, accounts []string, stand Ends) string {
	const open = "credentials that are out work until they expire."
	const early = " When it is ended early, IAM is first made to refuse the person outright."
	role := s.Grant.Kind == GrantIAMRole
	switch {
	case role && stand.Guard:
		return "IAM refuses the session after its end, by a deny in the role and by the trust statement." + early
	case role:
		return "After its end the trust statement lets nobody in. There is no guard: " + open
	case !stand.Guard:
		return "There is no guard: " + open
	case s.Guard == GuardNone:
		return "There is no guard, as the scenario wants none: " + open
	case s.Guard == GuardClosed:
		return p.closing(s, accounts) + early
	case stand.Schedules:
		return "The guard (timed) makes IAM refuse the session after its end; where IAM is slow, access does not wait for it, since schedules stand by." + early
	}
	return "The guard (timed) makes IAM refuse the session after its end." + early
}

// closing says what a closed guard refuses, and where it is not closed.
func (p *Policy) closing(s Scenario, accounts []string) string {
	const ends = " makes IAM refuse the session after its end"
	const shut = "The guard (closed)" + ends + ", and at any time whoever has no live session"
	switch open, _ := p.unclosedIn(s, accounts); len(open) {
	case 0:
		return shut + "."
	case len(accounts):
		return "The guard" + ends + "; it is not closed, since some have the set standing."
	default:
		return shut + ", except in " + some(open) + ", where some have the set standing."
	}
}

// unclosedIn are the accounts in which somebody has the set of a closed scenario standing, and who.
func (p *Policy) unclosedIn(s Scenario, accounts []string) (open, groups []string) {
	for _, a := range accounts {
		if rule, _ := p.GuardOf(s.Grant.Name, a); len(rule.Standing) > 0 {
			open = append(open, a)
			groups = append(groups, rule.Standing...)
		}
	}
	slices.Sort(groups)
	return open, slices.Compact(groups)
}

// Notes are what is no fault of a scenario, and might surprise whoever reads the policy.
func (p *Policy) Notes(s Scenario) (out []string) {
	if s.Grant.Kind == GrantPermissionSet && s.Guard == GuardClosed {
		if open, groups := p.unclosedIn(s, s.Accounts); len(open) > 0 {
			out = append(out, fmt.Sprintf("%s has %s standing in %s, so the guard is not closed there: it ends sessions, and does not refuse whoever has none. Write guard: timed, or give them a permission set of their own.",
				listed(groups, "and"), s.Grant.Name, some(open)))
		}
	}
	if s.Grant.Kind == GrantIAMRole {
		out = append(out, "It can be granted to those only whose IAM user stands in iam_users: "+some(sorted(p.IAMUsers))+".")
	}
	if s.MaxExtensions == 0 && s.MaxTotal > s.MaxDuration && !p.goesAlong(s) {
		out = append(out, fmt.Sprintf("max_total, %s, is never reached: without max_extensions nothing is extended.", Span(s.MaxTotal)))
	}
	if s.MaxExtensions > 0 && s.MaxTotal == s.MaxDuration && s.MaxDuration > 0 {
		out = append(out, fmt.Sprintf("Only a session that was shorter than %s can be extended: max_total is no more than max_duration.", Span(s.MaxDuration)))
	}
	return out
}

// goesAlong says whether a scenario is granted along with another, whose extensions it then follows.
func (p *Policy) goesAlong(s Scenario) bool {
	return slices.ContainsFunc(p.Scenarios, func(o Scenario) bool { return slices.Contains(o.With, s.Name) })
}
