package policy

import (
	"fmt"
	"slices"
	"time"
)

// ExtensionCloses is how long before the end of a session it can no longer be extended: its later ends
// have to be made, and seen, before the earlier ones come.
const ExtensionCloses = 2 * time.Minute

// Session is what the rules of extensions ask of a session that is open.
type Session struct {
	Account string        // by name; "" where the grant is of none
	Used    int           // extensions it has got so far
	Total   time.Duration // from its beginning to its end as it stands
	Left    time.Duration // from now to that end
}

// MayExtend says whether a session may be asked to last longer by so much. The scenario is as the policy
// has it now, the person its requester as the directory describes them now. Whoever may decide is
// whoever decides of s.Second(): where the scenario takes nobody's word, an extension takes that of one
// other eligible person. What was granted along is extended with its lead, on the same word: of its own
// rules only max_total counts.
func (p *Policy) MayExtend(s Scenario, open Session, by time.Duration, who Person) Verdict {
	if v, ok := present(who); !ok {
		return v
	}
	if v := p.stillTheirs(s, open.Account, who); !v.OK {
		return v
	}
	room, v := p.room(s, open)
	if !v.OK {
		return v
	}
	possible := "Ask for " + upTo(room) + "."
	switch {
	case by < time.Minute:
		return no(CodeDuration, "An extension is a minute at least. "+possible)
	case by%time.Second != 0:
		return no(CodeDuration, "An extension is a whole number of seconds. "+possible)
	case by > room:
		_, bound := p.longestTotal(s)
		if bound == "" {
			bound = s.Title
		} else {
			bound += ", which was granted along,"
		}
		return no(CodeDuration, fmt.Sprintf("%s is too long: %s lasts %s at most with its extensions. %s", Span(by), bound, Span(max(0, open.Total)+room), possible))
	}
	return yes(fmt.Sprintf("The session may be extended by %s. %s", Span(by), p.word(s.Second())))
}

// stillTheirs says whether a requester could still ask for what they have: a policy that has changed
// applies to decisions, and an extension is one.
func (p *Policy) stillTheirs(s Scenario, account string, who Person) Verdict {
	for _, s := range append([]Scenario{s}, p.companions(s)...) {
		if !p.inAny(s.Eligible, who) {
			return no(CodeEligible, "You are no longer among those who may ask for "+s.Title+": "+listed(s.Eligible, "and")+". The session ends when it was to.")
		}
		if s.Grant.Kind != GrantGroup && !slices.Contains(s.Accounts, account) {
			return no(CodeAccount, s.Title+" no longer opens "+quote(account)+". The session ends when it was to.")
		}
		if v := p.reaches(s, who); !v.OK {
			return v
		}
	}
	if what := p.Unbuilt(s); what != "" {
		return no(CodeUnbuilt, s.Title+" now asks for "+what+", which is not built yet. The session ends when it was to.")
	}
	return yes("")
}

// room is how much longer a session may become, a minute at least, or why it may not.
func (p *Policy) room(s Scenario, open Session) (time.Duration, Verdict) {
	const anew = " Ask for a new one when it is over."
	longest, by := p.longestTotal(s)
	room := (longest - max(0, open.Total)).Truncate(time.Second)
	switch {
	case s.MaxDuration == 0:
		return 0, no(CodeExtension, s.Title+" has no end that could be moved: it is open until its keys are rotated.")
	case s.MaxExtensions == 0:
		return 0, no(CodeExtension, "A session of "+s.Title+" cannot be extended."+anew)
	case open.Used >= s.MaxExtensions:
		return 0, no(CodeExtension, fmt.Sprintf("This session has been extended %s, which is as often as the policy allows.", times(open.Used))+anew)
	case open.Left <= ExtensionCloses:
		return 0, no(CodeExtension, fmt.Sprintf("A session can be extended until %s before its end, and that time is over.", Span(ExtensionCloses))+anew)
	case room < time.Minute && by != "":
		return 0, no(CodeExtension, fmt.Sprintf("This session lasts as long as it may: %s, which was granted along, ends after %s with all extensions.", by, Span(longest))+anew)
	case room < time.Minute:
		return 0, no(CodeExtension, fmt.Sprintf("This session lasts as long as it may: %s with all extensions.", Span(longest))+anew)
	}
	return room, yes("")
}

// ExtensionSteps are the lengths to offer for an extension, rising: those of the scenario's form that
// there is room for, and all the room that is left. Empty where the session cannot be extended.
func (p *Policy) ExtensionSteps(s Scenario, open Session) (out []time.Duration) {
	room, v := p.room(s, open)
	if !v.OK {
		return nil
	}
	for _, d := range s.Durations {
		if d < room {
			out = append(out, d)
		}
	}
	if len(out) > 0 && room > s.MaxDuration {
		return out // a round length is offered already; no slip of the fingers should take all that is left
	}
	return append(out, room)
}

// upTo says which lengths there are.
func upTo(most time.Duration) string {
	if most <= time.Minute {
		return Span(most)
	}
	return "1m to " + Span(most)
}
