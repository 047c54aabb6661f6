package handlers

import (
	"strconv"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"breakglass/store"
	"breakglass/workflows"
)

// threadLine is a line in the thread of a request. ok is false for a kind of notice that is no line.
func threadLine(n store.Notice, r store.Request, f setting) (m message, ok bool) {
	switch n.Kind {
	case workflows.NoticeAsked:
		return asked(n, r, f), true
	case workflows.NoticeReminder:
		return reminder(n, r, f), true
	case workflows.NoticeDecided:
		return decided(n, r), true
	case workflows.NoticeGranted:
		return granted(n, r, f), true
	case workflows.NoticeFailed:
		return failedLine(n, r), true
	case workflows.NoticeEnding:
		return endingLine(r), true
	case workflows.NoticeEnded:
		return endedLine(n, r, f), true
	case workflows.NoticeOver:
		return over(r), true
	case workflows.NoticeTicket:
		return oneLiner(r, "Ticket added", say("Ticket ").bold(oneLine(r.Ticket, limitName)).say(" was added.")), true
	case workflows.NoticeNoTicket:
		return oneLiner(r, "Ticket missing", words{}.who(r.Requester).
			say(": the ticket for this session has not come, and its time is over. The incidents channel was told.")), true
	case workflows.NoticeSummary:
		return summary(n, r), true
	case workflows.NoticeUncertain:
		return uncertain(n, r), true
	case workflows.NoticeLate:
		return late(r), true
	case workflows.NoticeExtension:
		return extension(n, r, f), true
	case workflows.NoticeExtended:
		return extended(n, r, f), true
	case workflows.NoticeEnds:
		return withoutEnd(n, r), n.Data["incidents"] == ""
	case workflows.NoticeWith:
		return withLine(n, r), true
	case workflows.NoticeGone:
		return gone(r), true
	case workflows.NoticeOwing:
		return owingLine(n, r), true
	case workflows.NoticeMortem:
		return written(r), true
	case workflows.NoticeNoMortem:
		return noMortem(n, r), true
	case workflows.NoticeWaived:
		return waived(r), true
	}
	return message{}, false
}

// failedLine says that nothing came of a request that had its word.
func failedLine(n store.Notice, r store.Request) message {
	why := n.Data["why"]
	if !stopped(r) {
		return oneLiner(r, "Access could not be opened", failed(r, why))
	}
	m := oneLiner(r, "stopped before access was opened", failed(r, why))
	m.blocks = append(m.blocks, wholeWhy(or(why, whyFailed(r)))...)
	return m
}

// oneLiner is a message of one paragraph. text is our own.
func oneLiner(r store.Request, text string, w words) message {
	return message{text: string(r.ID) + ": " + text, blocks: []slack.Block{paragraph(w)}}
}

// or is the first of two that says something.
func or(s, other string) string {
	if s != "" {
		return s
	}
	return other
}

// asked says who was asked and who could not be, so that nobody waits for a person who knows of nothing.
func asked(n store.Notice, r store.Request, f setting) message {
	w := say("Asked by direct message: ").people(r.Asked).say(".")
	if len(r.Asked) == 0 {
		w = say("Nobody could be asked by direct message: whoever may approve has to see it here.")
	}
	if n.Data["no_manager"] != "" {
		w = w.say(" Identity Center knows no manager of ").who(r.Requester)
		if len(f.sets) > 1 {
			w = w.say(", so this is up to the others")
		}
		w = w.say(".")
	}
	if k, err := strconv.Atoi(n.Data["silent"]); err == nil && k > 0 {
		w = w.say(" " + count(k, "approver") + " could not be found in Slack.")
	}
	m := oneLiner(r, "approvers were asked", w)
	return withReason(m, r)
}

// withReason adds the whole reason where the card shows only its beginning.
func withReason(m message, r store.Request) message {
	if cutShort(r) {
		m.blocks = append(m.blocks, paragraph(say("The whole reason:")), quoted(r.Reason, limitQuote))
	}
	return m
}

// reminder mentions again, in the thread, those whose word is missing: the card's own mentions notified once, when it was posted.
func reminder(n store.Notice, r store.Request, f setting) message {
	w := say("Still waiting for approval")
	if len(f.sets) > 0 {
		w = w.say(" by ").sets(f.sets, "or")
	}
	w = w.say(".")
	if left, err := time.ParseDuration(n.Data["left"]); err == nil && left > 0 {
		w = w.say(" It expires in " + sayDuration(left) + ".")
	}
	var open []store.Person
	for _, p := range r.Asked {
		if _, said := wordOf(r, p.SlackID); !said {
			open = append(open, p)
		}
	}
	if len(open) > 0 {
		w = w.say(" Asked: ").people(open).say(".")
	}
	return oneLiner(r, "still waiting for approval", w)
}

// decided is one person's word, at the moment it was given.
func decided(n store.Notice, r store.Request) message {
	if len(r.Decisions) == 0 {
		return oneLiner(r, "decided", say("A decision was made."))
	}
	d := r.Decisions[len(r.Decisions)-1]
	if !d.Approved {
		m := oneLiner(r, "denied by "+named(d.By), say("Denied by ").who(d.By).say("."))
		if d.Comment != "" {
			m.blocks = append(m.blocks, quoted(d.Comment, limitQuote))
		}
		return m
	}
	w := say("Approved by ").who(d.By).say(".")
	if missing := n.Data["missing"]; missing != "" {
		w = w.say(" Still needed: ").say(reasonOf(missing))
	}
	return oneLiner(r, "approved by "+named(d.By), w)
}

// granted says that access was verified, and what its end will not end.
func granted(n store.Notice, r store.Request, f setting) message {
	w := words{}.who(r.Requester).say(" has ").grant(r).say(" until ").date(r.ExpiresAt, dateForm).say(". ").more(approvedBy(r))
	if n.Data["standing"] != "" {
		w = w.say(" They had this access before the request, and keep it afterwards.")
	}
	if id := n.Data["shared"]; id != "" {
		w = w.say(" ").their(id, 20).say(" is open for the same access: it stays until both have ended.")
	}
	m := oneLiner(r, "access is open until "+dateToken(r.ExpiresAt, dateForm), w.say("\n"+reach(r, f)))
	if r.NoWord {
		m = withReason(m, r)
	}
	if r.State == store.Active && f.room > 0 {
		m.blocks = append(m.blocks, actions(sessionButtons(r, f.room)...))
	}
	return m
}

// endedLine says that access is gone and by whose word: a listing's, or an operator's. Access that stays because somebody else holds
// it, or because it stood before, is said, or the next reader takes the listing for a fault.
func endedLine(n store.Notice, r store.Request, f setting) message {
	w := say("Access has ended: ").ending(r.End).say(".")
	if open := openFor(r); open > 0 {
		w = w.say(" It was open for " + sayDuration(open) + ".")
	}
	switch {
	case n.Data["forced"] != "":
		w = w.say(" This is an operator's word, not a listing's: ").say(reasonOf(n.Data["forced"]))
	case n.Data["standing"] != "" || r.Standing:
		w = w.say(" They had this access before the request, and keep it.")
	case n.Data["shared"] != "":
		w = w.say(" ").their(n.Data["shared"], 20).say(" is open for the same access: it stays until that ends.")
	case r.Role != "":
		w = w.say(" The role's trust is closed to it.")
	default:
		w = w.say(" Identity Center no longer lists it.")
	}
	w = w.say(shellsEnded(n, r) + stillOpen(n, r))
	return oneLiner(r, "access has ended", w.say(" What was done is read from CloudTrail and follows here."))
}

// endingLine says that a revocation has begun, and at an early end what holds the person off until it is through.
func endingLine(r store.Request) message {
	w := say("Access is being taken away: ").ending(r.End).say(".")
	if early(r) && r.Ends.Guard {
		w = w.say(" IAM is told first to refuse them outright, sessions they have open included; then the rest is taken away.")
	}
	return oneLiner(r, "Access is being taken away", w)
}

// early says whether a session was ended by somebody before its time was over.
func early(r store.Request) bool {
	switch r.End.Why {
	case store.EndedEarly, store.EndRevoked, store.EndLockdown:
		return true
	case store.EndLead:
		return r.End.At.Before(r.ExpiresAt)
	}
	return false
}

// over ends a request that never had access.
func over(r store.Request) message {
	if r.State == store.Cancelled {
		return oneLiner(r, "cancelled", say("Cancelled by ").who(r.Requester).say("."))
	}
	return oneLiner(r, "expired", say("Expired: nobody decided in time. ").who(r.Requester).say(" can ask again."))
}

// uncertain says that an effect takes longer than it should.
func uncertain(n store.Notice, r store.Request) message {
	since, _ := time.Parse(time.RFC3339, n.Data["since"])
	why := reasonOf(or(n.Data["error"], r.Work.Error))
	if r.State == store.Revoking {
		return oneLiner(r, "access is not taken away yet",
			say("AWS has not taken the access away yet").onSince(since).say(": "+why+" It is tried until it is done, and the incidents channel knows."))
	}
	return oneLiner(r, "opening access takes long",
		say("Opening access takes longer than usual").onSince(since).say(": "+why+" It is tried again; if it stays uncertain, everything is taken back."))
}

// onSince adds since when, where that is known.
func (w words) onSince(t time.Time) words {
	if t.IsZero() {
		return w
	}
	return w.say(", since ").date(t, dateForm)
}

// late follows uncertain: what was announced as not working is done.
func late(r store.Request) message {
	switch {
	case r.State.MayHaveAccess() && r.State != store.Revoking:
		return oneLiner(r, "access is open after all", say("AWS has done it after all: access is open."))
	case strings.HasPrefix(r.End.Why, store.EndForced):
		return oneLiner(r, "closed by an operator", say("An operator closed this session."))
	}
	return oneLiner(r, "access is gone after all", say("AWS has done it after all: access is gone."))
}
