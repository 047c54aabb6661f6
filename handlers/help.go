package handlers

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"breakglass/workflows/policy"
)

// helpPatience is how long help waits to learn what its reader may ask for. Without an answer it shows everything.
const helpPatience = 1500 * time.Millisecond

// help says what can be done, by whom, and whom to call. strange is what was not understood before.
func (h *Handlers) help(ctx context.Context, c slack.SlashCommand, strange string) *private {
	p := h.policy()
	if err := h.member(ctx, c.UserID); err != nil {
		return sorry(h.sentence("identify who asks", err))
	}
	ctx, cancel := context.WithTimeout(ctx, helpPatience)
	defer cancel()
	o, err := h.offering(ctx, c.UserID, c.TeamID)
	if err == nil {
		return helpAnswer(p, o.scenarios, true, strange)
	}
	_ = h.sentence("look up offers for help", err) // to the log
	var all []*policy.Scenario
	for i := range p.Scenarios {
		all = append(all, &p.Scenarios[i])
	}
	return helpAnswer(p, all, false, strange)
}

// helpAnswer is the text. own says that the scenarios are those open to the reader.
func helpAnswer(p *policy.Policy, scenarios []*policy.Scenario, own bool, strange string) *private {
	var blocks []slack.Block
	top := "Breakglass: how to get emergency access to AWS"
	if strange != "" {
		blocks = append(blocks, note(strange))
		top = strange + " " + top
	}
	blocks = append(blocks, header("Emergency access to AWS"), bullets(
		words{}.code("/breakglass").say(" opens the form; ").code("/breakglass SCENARIO ACCOUNT DURATION").say(" opens it filled in"),
		words{}.code("/access status").say(" shows who has access now; ").code("@somebody").say(" or an account narrows it down"),
		words{}.code("/access end").say(" ends your session; with several, name it: ").code("/access end BG-1042"),
		words{}.code("/access extend").say(" asks for more time; ").code("/access extend BG-1042 30m").say(" says which and how much"),
		words{}.code("/access ticket BG-1042 OPS-7").say(" adds a ticket"),
		words{}.code("/access history").say(" shows what you asked for"),
		words{}.code("/access lockdown").say(" ends every session and refuses new ones, for those who may; ").code("/access lockdown lift").say(" lifts it"),
	))
	blocks = append(blocks, note("After a session"), bullets(aftermath(p)...))
	last := contacts(p)
	room := mostAck - reserve - sizeOf(blocks...) - sizeOf(last...)
	most := mostHelp
	for most > 1 && sizeOf(tiers(p, scenarios, own, most)...) > room {
		most-- // whom to call must not be what is left out
	}
	blocks = append(blocks, tiers(p, scenarios, own, most)...)
	return privately(inert(top, limitTop), append(blocks, last...)...)
}

// mostMailed is how many addresses of those who get every report the help names.
const mostMailed = 5

// aftermath is what follows a session: where its report goes, and what is owed.
func aftermath(p *policy.Policy) []words {
	report := say("what was done is read from CloudTrail and summed up in its thread; the whole report goes into the archive")
	if to := p.Report.Email; len(to) > 0 {
		var names []string
		for i, a := range to {
			if i == mostMailed {
				names = append(names, fmt.Sprintf("%d more", len(to)-i))
				break
			}
			names = append(names, oneLine(a, limitName))
		}
		report = report.say(", and by e-mail to " + join(names, "and"))
	}
	mortem := say("where the scenario wants a post-mortem, whoever had the session writes it")
	if within := p.Report.PostMortem.Within; within > 0 {
		mortem = mortem.say(" within " + sayDuration(within) + " of its end")
	}
	mortem = mortem.say(": the button ").bold("Write post-mortem").say(" stands in its thread and in the App Home")
	return []words{report, mortem, say("what is still missing after that, a post-mortem or a ticket, their manager hears of; the case stays open until it is there, or the manager closes it without")}
}

// tiers lists the scenarios by tier, a block for each tier.
func tiers(p *policy.Policy, scenarios []*policy.Scenario, own bool, most int) []slack.Block {
	if len(scenarios) == 0 {
		return []slack.Block{note("No scenario of the policy is open to you.")}
	}
	head := "What you may ask for"
	if !own {
		head = "What can be asked for (it could not be looked up what is open to you)"
	}
	blocks := []slack.Block{note(head)}
	for tier := range 4 {
		var ls []words
		left := 0
		for _, s := range scenarios {
			if s.Tier != tier {
				continue
			}
			if len(ls) == most {
				left++
				continue
			}
			ls = append(ls, helpLine(p, s))
		}
		if left > 0 {
			ls = append(ls, say(fmt.Sprintf("and %d more: the form has all of them", left)))
		}
		if len(ls) > 0 {
			blocks = append(blocks, note(fmt.Sprintf("Tier %d", tier)), bullets(ls...))
		}
	}
	return blocks
}

// mostHelp is how many scenarios of a tier are listed, where the acknowledgement has room for them.
const mostHelp = 12

func helpLine(p *policy.Policy, s *policy.Scenario) words {
	w := words{}.code(oneLine(s.Name, limitName)).say(" ").their(s.Title, limitName)
	if p.Unbuilt(*s) != "" {
		return w.say(": not offered yet")
	}
	if s.MaxDuration > 0 {
		w = w.say(", up to " + sayDuration(s.MaxDuration))
	}
	return w.say(": ").say(approvalWords(s.Approval))
}

// approvalWords is whose word it takes.
func approvalWords(a policy.Approval) string {
	sets := slices.Clone(a.Sets())
	for i, s := range sets {
		if s == policy.Manager {
			s = "your manager"
		}
		sets[i] = oneLine(s, 60)
	}
	if len(sets) > 6 {
		sets = append(sets[:5], fmt.Sprintf("%d more", len(sets)-5))
	}
	switch {
	case a.None:
		return "no approval needed, announced at once"
	case len(a.AllOf) > 0:
		return "approved by each of " + join(sets, "and")
	case a.Count > 1:
		return fmt.Sprintf("approved by %d people out of %s", a.Count, join(sets, "and"))
	}
	return "approved by " + join(sets, "or")
}

// mostContacts and mostContactLink bound the list below the help.
const (
	mostContacts    = 12
	mostContactLink = 300
)

func contacts(p *policy.Policy) []slack.Block {
	var ls []words
	for i, c := range p.Contacts {
		if i == mostContacts {
			ls = append(ls, say(fmt.Sprintf("and %d more in the policy", len(p.Contacts)-i)))
			break
		}
		w := words{}.bold(oneLine(c.Role, limitName))
		var ways []string
		for _, s := range []string{c.Who, c.Phone} {
			if s != "" {
				ways = append(ways, oneLine(s, limitName))
			}
		}
		if len(ways) > 0 {
			w = w.say(": " + strings.Join(ways, ", "))
		}
		if c.URL != "" && len(c.URL) <= mostContactLink {
			w = w.say(" ").link(c.URL, "Open")
		}
		ls = append(ls, w)
	}
	if len(ls) == 0 {
		return nil
	}
	return []slack.Block{note("Whom to call"), bullets(ls...)}
}
