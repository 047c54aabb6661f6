package handlers

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"breakglass/store"
)

// What a card shows of long texts. Slack folds a long message away, so an approver on a phone would decide without having seen the end of
// it; what is cut here stands in full in the thread.
const (
	limitReason = 700
	limitAnswer = 200
	mostAnswers = 8
)

// card is the one message of a request in the requests channel, as the request now stands.
func card(r store.Request, f setting) message {
	blocks := []slack.Block{header(string(r.ID) + ": " + standsAt(r))}
	blocks = append(blocks, about(r, f)...)
	blocks = append(blocks, status(r, f)...)
	if bs := cardButtons(r, f.room); len(bs) > 0 {
		blocks = append(blocks, actions(bs...))
	}
	blocks = append(blocks, small(identity(r), cardReach(r, f)))
	return message{text: cardText(r, f), blocks: blocks}
}

// about says who, where, how long, what and why: the part that never changes.
func about(r store.Request, f setting) []slack.Block {
	verb := " asks for "
	if r.State != store.Pending {
		verb = " asked for "
	}
	w := words{}.who(r.Requester).say(verb)
	if r.Group != "" || r.Role != "" {
		w = w.access(r)
	} else {
		w = w.place(r) // what is granted there stands below, as AWS has it
	}
	w = w.say(" for ").bold(sayDuration(r.Duration)).say(".\n").
		their(title(r), limitName).say(fmt.Sprintf(" · Tier %d", r.Tier))
	if r.Region != "" {
		w = w.say(" · ").their(r.Region, limitName)
	}
	if r.Ticket != "" {
		w = w.say(" · Ticket ").bold(oneLine(r.Ticket, limitName))
	}
	blocks := []slack.Block{paragraph(w), quoted(r.Reason, limitReason)}
	if d := details(r, f); len(d) > 0 {
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

// title is what the scenario is called; a policy may leave it out.
func title(r store.Request) string {
	if r.Title != "" {
		return r.Title
	}
	return r.Scenario
}

// details are what is granted along with it, the answers to the scenario's own questions, one line each, and where to read on.
func details(r store.Request, f setting) words {
	var w words
	line := func() {
		if len(w) > 0 {
			w = w.say("\n")
		}
	}
	if along := along(r, f); len(along) > 0 {
		w = w.more(along)
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

// along says what else comes with this request, or what this one came with.
func along(r store.Request, f setting) words {
	var w words
	if r.Lead != "" {
		return w.say("Granted along with ").their(string(r.Lead), 40).say(", on the same word; it ends with it.")
	}
	var also []string
	for i, title := range f.with {
		if i == mostAnswers {
			also = append(also, fmt.Sprintf("%d more", len(f.with)-i))
			break
		}
		title = oneLine(title, limitName)
		if len(r.With) == len(f.with) { // they are recorded in the order of the policy
			title += " (" + oneLine(string(r.With[i]), 40) + ")"
		}
		also = append(also, title)
	}
	if len(also) == 0 {
		for _, id := range r.With[:min(len(r.With), mostAnswers)] { // the scenario has left the policy
			also = append(also, oneLine(string(id), 40))
		}
	}
	if len(also) > 0 {
		w = w.say("Also: " + join(also, "and") + ".")
	}
	return w
}

// cardReach is what the ends of a session are and do not reach, in short.
func cardReach(r store.Request, f setting) string {
	switch r.State {
	case store.Pending, store.Approved, store.Granting:
		return shortReach(r, f)
	}
	return endsLine(r)
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
	s := grantKind(r)
	if r.IAMUser != "" {
		s += " · IAM user " + oneLine(r.IAMUser, 120)
	}
	if r.Requester.UserName != "" {
		s += " · AWS user " + oneLine(r.Requester.UserName, limitName)
	}
	if r.Requester.Email != "" {
		s += " · " + oneLine(r.Requester.Email, 120)
	}
	return s
}

// cardButtons are what can be done to a request in its state. A button that would only be refused is not offered; one on an
// older copy of the message is refused by the state.
func cardButtons(r store.Request, room time.Duration) []*slack.ButtonBlockElement {
	var bs []*slack.ButtonBlockElement
	switch r.State {
	case store.Pending:
		bs = append(decisionButtons(r), button(actionCancel, "Cancel request", r.ID, "Cancel request "+string(r.ID)))
	case store.Approved:
		bs = append(bs, revokeButton(r))
	case store.Granting:
		bs = append(bs, endButton(r), revokeButton(r))
	case store.Active:
		bs = append(sessionButtons(r, room), revokeButton(r))
	}
	return append(bs, owedButtons(r)...)
}

// sessionButtons are what its requester can do about a session.
func sessionButtons(r store.Request, room time.Duration) []*slack.ButtonBlockElement {
	bs := []*slack.ButtonBlockElement{endButton(r)}
	if room > 0 {
		bs = append(bs, extendButton(r))
	}
	return bs
}

// decisionButtons are Approve and Deny. Everybody in the channel sees them; who may is decided when they are pressed.
func decisionButtons(r store.Request) []*slack.ButtonBlockElement {
	what := fmt.Sprintf("%s's request for %s", oneLine(r.Requester.Label(), limitName), grantText(r))
	yes := button(actionApprove, "Approve", r.ID, "Approve "+what).WithStyle(slack.StylePrimary)
	if r.Account.Sensitive {
		yes.Confirm = confirm("Approve "+string(r.ID)+"?", fmt.Sprintf(
			"%s gets %s, which is sensitive, for %s.", oneLine(r.Requester.Label(), limitName), grantText(r), sayDuration(r.Duration)), "Approve")
	}
	return []*slack.ButtonBlockElement{yes, button(actionDeny, "Deny", r.ID, "Deny "+what).WithStyle(slack.StyleDanger)}
}

// endButton ends a session. It stands on the card for all to see; only the requester's click counts.
func endButton(r store.Request) *slack.ButtonBlockElement {
	b := button(actionEnd, "End now", r.ID, fmt.Sprintf("End %s on %s now", r.ID, label(r))).WithStyle(slack.StyleDanger)
	text := fmt.Sprintf("Access to %s is taken away at once. Asking again takes a new request.", label(r))
	switch {
	case r.State == store.Approved:
		text = fmt.Sprintf("%s is stopped before it is opened. Asking again takes a new request.", r.ID)
	case r.Group != "":
		text = fmt.Sprintf("Membership of %s is taken away at once. %s", label(r), slowRemoval)
	}
	b.Confirm = confirm("End "+string(r.ID)+" now?", text, "End now")
	return b
}

// cardText is what a phone's lock screen and a screen reader get of the card.
func cardText(r store.Request, f setting) string {
	where := inert(r.Account.Name, limitName)
	if r.Group != "" || r.Role != "" {
		where = accessText(r)
	}
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
	return string(r.ID) + ": " + standsAt(r) + ". " + named(r.Requester) + " asked for " + where + ", " + what
}

// named is a person in mrkdwn: a mention, or their name made harmless.
func named(p store.Person) string {
	if m := mention(p.SlackID); m != "" {
		return m
	}
	return inert(p.Label(), limitName)
}
