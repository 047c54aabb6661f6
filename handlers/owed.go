package handlers

import (
	"strings"
	"time"

	"github.com/slack-go/slack"

	"breakglass/store"
)

// What is owed for a session after its end, a post-mortem or a ticket: the words and the buttons for it, on every message and page that shows
// the case.

// afterwards says whether the access of a case is gone while the case itself is not closed.
func afterwards(r store.Request) bool { return r.State == store.Revoked || r.State == store.Reported }

// owesMortem says whether a post-mortem is owed: from the end of the access until it is written or waived.
func owesMortem(r store.Request) bool {
	return r.Owes && r.PostMortem == nil && !r.Waives(store.OwedPostMortem) && afterwards(r)
}

// owesTicket says whether a ticket may follow and has not: from the moment access may exist until the case is closed.
func owesTicket(r store.Request) bool {
	if r.Ticket != "" || r.TicketBy.IsZero() || r.Waives(store.OwedTicket) {
		return false
	}
	switch r.State {
	case store.Approved, store.Granting, store.Active, store.Revoking, store.Revoked, store.Reported:
		return true
	}
	return false
}

// owes says whether that is owed: store.OwedPostMortem or store.OwedTicket.
func owes(r store.Request, what string) bool {
	if what == store.OwedTicket {
		return owesTicket(r)
	}
	return what == store.OwedPostMortem && owesMortem(r)
}

// owing says whether a session that is over still owes something.
func owing(r store.Request) bool { return afterwards(r) && (owesMortem(r) || owesTicket(r)) }

// owedThing is what is owed, by its name in a sentence.
func owedThing(what string) string {
	if what == store.OwedTicket {
		return "a ticket"
	}
	return "a post-mortem"
}

// owedButtons are what its requester can do about what a case owes.
func owedButtons(r store.Request) (bs []*slack.ButtonBlockElement) {
	if owesMortem(r) {
		bs = append(bs, mortemButton(r))
	}
	if owesTicket(r) {
		bs = append(bs, ticketButton(r))
	}
	return bs
}

func ticketButton(r store.Request) *slack.ButtonBlockElement {
	return button(actionTicket, "Add ticket", r.ID, "Add ticket to "+string(r.ID))
}

// owed says what is owed and by when, and what became of it.
func (w words) owed(r store.Request) words {
	if owesMortem(r) {
		w = w.due("\nA post-mortem is owed", r, store.OwedPostMortem)
	}
	if owesTicket(r) {
		w = w.due("\nA ticket is owed", r, store.OwedTicket)
	}
	if r.PostMortem != nil {
		w = w.say("\nIts post-mortem is written: it stands in the thread.")
	}
	for _, v := range r.Waived[:min(len(r.Waived), 2)] { // a case owes two things at most
		w = w.say("\nClosed without " + owedThing(v.What) + " by ").who(v.By).say(": the reason is in the thread.")
	}
	return w
}

// dueOf is when something is owed; zero where the record has no time.
func dueOf(r store.Request, what string) time.Time {
	if what == store.OwedTicket {
		return r.TicketBy
	}
	return r.PostMortemBy
}

// due ends a sentence that says what is owed with the time by which it is, where there is one.
func (w words) due(sentence string, r store.Request, what string) words {
	by := dueOf(r, what)
	if by.IsZero() {
		return w.say(sentence + ".")
	}
	return w.say(sentence+", due by ").date(by, dateForm).say(".")
}

// owedLine is a case in a list of those that owe something.
func owedLine(r store.Request) words {
	w := words{}.bold(string(r.ID)).say(" ").their(title(r), limitName).where(r)
	if !r.EndedAt.IsZero() {
		w = w.say(", ended ").date(r.EndedAt, dateForm)
	}
	return w.say(".").owed(r)
}

// standsAt is where a case stands, and that it is not done with its end.
func standsAt(r store.Request) string {
	if s := owedShort(r); s != "" {
		return standing(r) + ", " + s
	}
	return standing(r)
}

// owedShort is what a line in a list says of it; "" where nothing is owed.
func owedShort(r store.Request) string {
	var what []string
	for _, thing := range []string{store.OwedPostMortem, store.OwedTicket} {
		if owes(r, thing) {
			what = append(what, strings.TrimPrefix(owedThing(thing), "a "))
		}
	}
	if len(what) == 0 || !afterwards(r) {
		return ""
	}
	return join(what, "and") + " owed"
}
