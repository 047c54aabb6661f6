package handlers

import (
	"fmt"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"breakglass/store"
)

// standing is the state in words: it must not be told by a colour or a sign alone.
func standing(r store.Request) string {
	switch r.State {
	case store.Pending:
		return "Waiting for approval"
	case store.Approved:
		if r.NoWord {
			return "No approval needed"
		}
		return "Approved"
	case store.Granting:
		return "Opening access"
	case store.Active:
		return "Active"
	case store.Revoking:
		return "Ending"
	case store.Revoked, store.Reported, store.Closed:
		return "Ended"
	case store.Denied:
		return "Denied"
	case store.Cancelled:
		return "Cancelled"
	case store.Expired:
		return "Expired"
	case store.Failed:
		if stopped(r) {
			return "Stopped"
		}
		return "Failed"
	}
	return oneLine(string(r.State), limitName)
}

// status says where the request stands, in one paragraph, with a quote where somebody said why.
func status(r store.Request, f setting) []slack.Block {
	var w words
	switch r.State {
	case store.Pending:
		w = waiting(r, f)
	case store.Approved:
		w = approvedBy(r).say(" Access is being prepared.")
	case store.Granting:
		w = approvedBy(r).say(" Access is being opened.")
	case store.Active:
		w = approvedBy(r).say(" Access is open until ").date(r.ExpiresAt, dateForm).say(".").extending(r)
		if s := unrefused(r); s != "" {
			w = w.say(" " + s + ".")
		}
	case store.Revoking:
		w = say("Access is being taken away: ").ending(r.End).say(".")
		if !r.Work.Announced.IsZero() {
			w = w.say(" AWS has not done it yet. It is tried until it is done.")
		}
	case store.Revoked, store.Reported, store.Closed:
		w = ended(r)
	case store.Denied:
		return denied(r)
	case store.Cancelled:
		w = say("Cancelled by ").who(r.Requester).on(r.ClosedAt).say(". Nothing was opened.")
	case store.Expired:
		w = say("Nobody decided in time").on(r.ClosedAt).say(". Nothing was opened.")
	case store.Failed:
		w = failed(r, "")
	}
	return []slack.Block{paragraph(w.owed(r))}
}

// stopped says whether somebody ended a request before it was opened. What could not be opened is ended by the bot.
func stopped(r store.Request) bool {
	return r.State == store.Failed && (r.End.By.Who == store.APerson || r.End.By.Who == store.AnOfficer)
}

// failed says why a request brought no access although it had its word. Whoever stopped it is named in the reason.
func failed(r store.Request, why string) words {
	head := "Access could not be opened: "
	if stopped(r) {
		head = ""
	}
	return say(head + reasonOf(or(why, whyFailed(r))) + " Nothing was left behind.")
}

// wholeWhy is a reason in full, where a sentence has shown only its beginning.
func wholeWhy(why string) []slack.Block {
	if width(neutral(why, true)) <= limitConfirm {
		return nil
	}
	return []slack.Block{paragraph(say("The whole reason:")), quoted(why, limitQuote)}
}

// whyFailed is what the end of a failed request says, else the last error of the work on it.
func whyFailed(r store.Request) string {
	if r.End.Note != "" {
		return r.End.Note
	}
	return r.Work.Error
}

// on adds a date where there is one.
func (w words) on(t time.Time) words {
	if t.IsZero() {
		return w
	}
	return w.say(" ").date(t, dateForm)
}

// reasonOf makes a sentence of an error, or of there being none.
func reasonOf(s string) string {
	s = oneLine(s, limitConfirm)
	if s == "" {
		return "AWS did not say why."
	}
	if last := s[len(s)-1]; last != '.' && last != '!' && last != '?' && !strings.HasSuffix(s, ellipsis) {
		s += "."
	}
	return s
}

// waiting says whose word it waits for, whose it has, and when it is over. missing is used where the workflow has worked it out: who
// counts for which set only the directory knows.
func waiting(r store.Request, f setting) words {
	yes := approvals(r)
	w := say("Waiting for approval")
	if f.need > 1 {
		w = w.say(fmt.Sprintf(" (%d of %d)", len(yes), f.need))
	}
	w = w.whoseWord(f).say(".")
	if len(yes) > 0 {
		w = w.say(" Approved so far by ").people(yes).say(".")
	}
	if f.missing != "" {
		w = w.say(" Still needed: ").their(f.missing, limitConfirm).say(".")
	}
	if t, ok := r.At(store.ClockExpire); ok {
		w = w.say(" Expires ").date(t, dateForm).say(".")
	}
	return w
}

// whoseWord says out of whom the word has to come.
func (w words) whoseWord(f setting) words {
	switch {
	case len(f.sets) == 0:
		return w
	case f.each:
		return w.say(": one each of ").sets(f.sets, "and")
	case f.need > 1:
		return w.say(fmt.Sprintf(": %d people out of ", f.need)).sets(f.sets, "and")
	}
	return w.say(" by ").sets(f.sets, "or")
}

// people lists persons in a sentence.
func (w words) people(ps []store.Person) words {
	for i, p := range ps {
		switch {
		case i == 0:
		case i == len(ps)-1:
			w = w.say(" and ")
		default:
			w = w.say(", ")
		}
		w = w.who(p)
	}
	return w
}

// approvals are those who said yes.
func approvals(r store.Request) []store.Person {
	var ps []store.Person
	for _, d := range r.Decisions {
		if d.Approved {
			ps = append(ps, d.By)
		}
	}
	return ps
}

// approvedBy names those who answer for the access, wherever it is spoken of.
func approvedBy(r store.Request) words {
	yes := approvals(r)
	if len(yes) == 0 {
		return say("Nobody's word was needed.")
	}
	return say("Approved by ").people(yes).say(".")
}

// ending says why a session ends or ended.
func (w words) ending(e store.End) words {
	switch e.Why {
	case store.EndExpired:
		return w.say("its time is over")
	case store.EndedEarly:
		return w.say("ended early by ").by(e.By)
	case store.EndRevoked:
		w = w.say("revoked by ").by(e.By)
	case store.EndUncertain:
		w = w.say("it could not be confirmed that it was opened as asked")
	case store.EndVanished:
		w = w.say("somebody removed the assignment in AWS")
	case store.EndForced:
		w = w.say("vouched for by ").by(e.By)
	case store.EndLockdown:
		w = w.say("lockdown by ").by(e.By)
	case store.EndLead:
		w = w.say("the session it was granted along with has ended")
	default:
		w = w.say("it is over")
	}
	if e.Note != "" {
		w = w.say(" (").their(e.Note, limitConfirm).say(")")
	}
	return w
}

// ended is the last word of a session on its card.
func ended(r store.Request) words {
	w := approvedBy(r).say(" Ended").on(r.EndedAt).say(": ").ending(r.End).say(".")
	if open := openFor(r); open > 0 {
		w = w.say(" It was open for " + sayDuration(open) + ".")
	}
	if r.Ends.NoLook != "" {
		w = w.say(" Open shells could not be looked for everywhere: see the thread.")
	}
	if r.Standing {
		w = w.say(" They had this access before the request, and keep it.")
	}
	return w
}

// openFor is how long access was open, to the minute above ten of them.
func openFor(r store.Request) time.Duration {
	from := r.VerifiedAt
	if from.IsZero() {
		from = r.GrantedAt
	}
	if from.IsZero() || r.EndedAt.Before(from) {
		return 0
	}
	d := r.EndedAt.Sub(from)
	if d > 10*time.Minute {
		return d.Round(time.Minute)
	}
	return d.Round(time.Second)
}

// denial is the decision that ended a request.
func denial(r store.Request) (store.Decision, bool) {
	for _, d := range r.Decisions {
		if !d.Approved {
			return d, true
		}
	}
	return store.Decision{}, false
}

// denied shows the reason as it was given: the requester, and whoever asks next, should not have to look for it.
func denied(r store.Request) []slack.Block {
	d, ok := denial(r)
	if !ok {
		return []slack.Block{paragraph(say("Denied. Nothing was opened."))}
	}
	w := say("Denied by ").who(d.By).on(d.At).say(". Nothing was opened.")
	if d.Comment == "" {
		return []slack.Block{paragraph(w)}
	}
	return []slack.Block{paragraph(w.say(" Their reason:")), quoted(d.Comment, limitReason)}
}
