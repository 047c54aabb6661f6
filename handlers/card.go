package handlers

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"breakglass/store"
	"breakglass/workflows/policy"
)

// setting is what a message needs besides its request: what the policy says now of its scenario, and what Slack calls the people.
type setting struct {
	sets      []approvers // whose word the scenario takes, in the order of the policy
	need      int         // how many people's word
	each      bool        // one out of each set, rather than any of all
	missing   string      // in words, whose word is still missing, where somebody worked it out
	portal    string      // start URL of the access portal
	ssoRegion string      // Region of Identity Center
	instance  string      // ARN of Identity Center's instance, where the policy has it
	mayAssume []string    // roles that a session may go on to assume
	requests  string      // id of the requests channel
	incidents string      // id of the incidents channel
}

// approvers are one set of people, with its user group in Slack where it has one.
type approvers struct {
	name   string // as the policy has it, or policy.Manager
	handle string // "@platform-leads"; shown where the group is not known to Slack
	group  string // Slack's id of the user group; ""
}

func (w words) set(a approvers) words {
	switch {
	case a.name == policy.Manager:
		return w.say("their manager")
	case isGroup(a.group):
		return append(w, slack.NewRichTextSectionUserGroupElement(a.group))
	case a.handle != "":
		return w.bold(oneLine(a.handle, limitName))
	}
	return w.bold(oneLine(a.name, limitName))
}

func (w words) sets(as []approvers, last string) words {
	for i, a := range as {
		switch {
		case i == 0:
		case i == len(as)-1:
			w = w.say(" " + last + " ")
		default:
			w = w.say(", ")
		}
		w = w.set(a)
	}
	return w
}

// What a card shows of long texts. Slack folds a long message away, so an approver on a phone would decide without having seen the end of
// it; what is cut here stands in full in the thread.
const (
	limitReason = 700
	limitAnswer = 200
	mostAnswers = 8
)

// card is the one message of a request in the requests channel, as the request now stands.
func card(r store.Request, f setting) message {
	blocks := []slack.Block{header(string(r.ID) + ": " + standing(r))}
	blocks = append(blocks, about(r)...)
	blocks = append(blocks, status(r, f)...)
	if bs := cardButtons(r); len(bs) > 0 {
		blocks = append(blocks, actions(bs...))
	}
	blocks = append(blocks, small(identity(r)))
	return message{text: cardText(r, f), blocks: blocks}
}

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
		return "Failed"
	}
	return oneLine(string(r.State), limitName)
}

// about says who, where, how long, what and why: the part that never changes.
func about(r store.Request) []slack.Block {
	verb := " asks for "
	if r.State != store.Pending {
		verb = " asked for "
	}
	w := words{}.who(r.Requester).say(verb).place(r).say(" for ").bold(sayDuration(r.Duration)).say(".\n").
		their(title(r), limitName).say(fmt.Sprintf(" · Tier %d", r.Tier))
	if r.Region != "" {
		w = w.say(" · ").their(r.Region, limitName)
	}
	if r.Ticket != "" {
		w = w.say(" · Ticket ").bold(oneLine(r.Ticket, limitName))
	}
	blocks := []slack.Block{paragraph(w), quoted(r.Reason, limitReason)}
	if d := details(r); len(d) > 0 {
		blocks = append(blocks, paragraph(d))
	}
	return blocks
}

// place is the account by name and number; that it is sensitive is said in words.
func (w words) place(r store.Request) words {
	w = w.bold(oneLine(r.Account.Name, limitName)).say(" (").their(r.Account.ID, 20)
	if r.Account.Sensitive {
		w = w.say(", sensitive")
	}
	return w.say(")")
}

func title(r store.Request) string {
	if r.Title != "" {
		return r.Title
	}
	return r.Scenario
}

func details(r store.Request) words {
	var w words
	line := func() {
		if len(w) > 0 {
			w = w.say("\n")
		}
	}
	for i, a := range r.Answers {
		if i == mostAnswers {
			line()
			w = w.say(fmt.Sprintf("and %d more", len(r.Answers)-mostAnswers))
			break
		}
		if a.Value == "" {
			continue
		}
		label := a.Label
		if label == "" {
			label = a.Name
		}
		line()
		w = w.their(label, limitName).say(": ").code(oneLine(a.Value, limitAnswer))
	}
	if inSlack(r.Context) {
		line()
		w = w.link(r.Context, "The message it was asked from")
	}
	if cutShort(r) {
		line()
		w = w.say("The whole reason is in the thread.")
	}
	return w
}

// inSlack says whether an address is Slack's own. The alert a request was asked from is a message there; anything else under our
// words would be a lure.
func inSlack(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Scheme == "https" && u.User == nil &&
		(strings.HasSuffix(u.Hostname(), ".slack.com") || strings.HasSuffix(u.Hostname(), ".slack-gov.com"))
}

// cutShort says whether the card shows less of the reason than there is.
func cutShort(r store.Request) bool { return width(neutral(r.Reason, true)) > limitReason }

// identity is the AWS side of the requester: a display name in Slack can be anybody's.
func identity(r store.Request) string {
	s := "Permission set " + oneLine(r.PermissionSet, limitName)
	if r.Requester.UserName != "" {
		s += " · AWS user " + oneLine(r.Requester.UserName, limitName)
	}
	if r.Requester.Email != "" {
		s += " · " + oneLine(r.Requester.Email, 120)
	}
	return s
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
		w = approvedBy(r).say(" Access is open until ").date(r.ExpiresAt, dateForm).say(".")
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
		w = say("Access could not be opened: ").say(reasonOf(whyFailed(r))).say(" Nothing was left behind.")
	}
	if owesTicket(r) {
		w = w.say("\nA ticket is owed by ").date(r.TicketBy, dateForm).say(".")
	}
	return []slack.Block{paragraph(w)}
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
	return w.say(" on ").date(t, dateForm)
}

// reasonOf makes a sentence of an error, or of there being none.
func reasonOf(s string) string {
	s = oneLine(s, limitConfirm)
	if s == "" {
		return "AWS did not say why."
	}
	if last := s[len(s)-1]; last != '.' && last != '!' && last != '?' {
		s += "."
	}
	return s
}

func waiting(r store.Request, f setting) words {
	yes := approvals(r)
	w := say("Waiting for approval")
	if f.need > 1 {
		w = w.say(fmt.Sprintf(" (%d of %d)", len(yes), f.need))
	}
	switch {
	case len(f.sets) == 0:
	case f.each:
		w = w.say(": one each of ").sets(f.sets, "and")
	case f.need > 1:
		w = w.say(fmt.Sprintf(": %d people out of ", f.need)).sets(f.sets, "and")
	default:
		w = w.say(" by ").sets(f.sets, "or")
	}
	w = w.say(".")
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
	default:
		w = w.say("it is over")
	}
	if e.Note != "" {
		w = w.say(" (").their(e.Note, limitConfirm).say(")")
	}
	return w
}

func ended(r store.Request) words {
	w := approvedBy(r).say(" Ended").on(r.EndedAt).say(": ").ending(r.End).say(".")
	if open := openFor(r); open > 0 {
		w = w.say(" It was open for " + sayDuration(open) + ".")
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

// owesTicket says whether a ticket may follow and has not: from the moment access may exist until the case is closed.
func owesTicket(r store.Request) bool {
	if r.Ticket != "" || r.TicketBy.IsZero() {
		return false
	}
	switch r.State {
	case store.Approved, store.Granting, store.Active, store.Revoking, store.Revoked, store.Reported:
		return true
	}
	return false
}

func cardButtons(r store.Request) []*slack.ButtonBlockElement {
	var bs []*slack.ButtonBlockElement
	switch r.State {
	case store.Pending:
		bs = append(decisionButtons(r), button(actionCancel, "Cancel request", r.ID, "Cancel request "+string(r.ID)))
	case store.Granting, store.Active:
		bs = append(bs, endButton(r))
	}
	if owesTicket(r) {
		bs = append(bs, button(actionTicket, "Add ticket", r.ID, "Add ticket to "+string(r.ID)))
	}
	return bs
}

// decisionButtons are Approve and Deny. Everybody in the channel sees them; who may is decided when they are pressed.
func decisionButtons(r store.Request) []*slack.ButtonBlockElement {
	what := fmt.Sprintf("%s's request for %s on %s",
		oneLine(r.Requester.Label(), limitName), oneLine(r.PermissionSet, limitName), oneLine(r.Account.Name, limitName))
	yes := button(actionApprove, "Approve", r.ID, "Approve "+what).WithStyle(slack.StylePrimary)
	if r.Account.Sensitive {
		yes.Confirm = confirm("Approve "+string(r.ID)+"?", fmt.Sprintf(
			"%s gets %s on %s, which is sensitive, for %s.", oneLine(r.Requester.Label(), limitName),
			oneLine(r.PermissionSet, limitName), oneLine(r.Account.Name, limitName), sayDuration(r.Duration)), "Approve")
	}
	return []*slack.ButtonBlockElement{yes, button(actionDeny, "Deny", r.ID, "Deny "+what).WithStyle(slack.StyleDanger)}
}

// endButton ends a session. It stands on the card for all to see; only the requester's click counts.
func endButton(r store.Request) *slack.ButtonBlockElement {
	b := button(actionEnd, "End now", r.ID, fmt.Sprintf("End %s on %s now", r.ID, oneLine(r.Account.Name, limitName))).
		WithStyle(slack.StyleDanger)
	b.Confirm = confirm("End "+string(r.ID)+" now?", fmt.Sprintf(
		"Access to %s is taken away at once. Asking again takes a new request.", oneLine(r.Account.Name, limitName)), "End now")
	return b
}

// cardText is what a phone's lock screen and a screen reader get of the card.
func cardText(r store.Request, f setting) string {
	where := inert(r.Account.Name, limitName)
	if r.Account.Sensitive {
		where += " (sensitive)"
	}
	where += " for " + sayDuration(r.Duration)
	what := inert(title(r), limitName)
	switch r.State {
	case store.Pending:
		s := string(r.ID) + ": " + named(r.Requester) + " asks for " + where + ", " + what + ". " + inert(r.Reason, 200)
		for _, a := range f.sets {
			if m := mentionGroup(a.group); m != "" {
				s += " " + m
			}
		}
		return s
	case store.Active:
		what += ", until " + dateToken(r.ExpiresAt, dateForm)
	}
	return string(r.ID) + ": " + standing(r) + ". " + named(r.Requester) + " asked for " + where + ", " + what
}

// named is a person in mrkdwn: a mention, or their name made harmless.
func named(p store.Person) string {
	if m := mention(p.SlackID); m != "" {
		return m
	}
	return inert(p.Label(), limitName)
}
