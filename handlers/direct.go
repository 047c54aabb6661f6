package handlers

import (
	"fmt"

	"github.com/slack-go/slack"

	"breakglass/store"
	"breakglass/workflows/policy"
)

// outlives is said to the requester and to whoever approves: what no end of ours can cut off.
const outlives = "What was opened before access ends can outlive it by up to an hour: keys already taken, a shell, a database connection, an EKS token."

// ask is the direct message to somebody whose word counts. why says why they were asked: policy.Manager, a set of people, or "".
func ask(r store.Request, f setting, to, why string) message {
	blocks := []slack.Block{header(string(r.ID) + ": " + standing(r))}
	if r.State == store.Pending {
		blocks = append(blocks, paragraph(whyYou(r, why)))
	}
	blocks = append(blocks, about(r)...)
	if r.State == store.Pending {
		if _, said := wordOf(r, to); said {
			blocks = append(blocks, paragraph(say("You have approved. ").more(waiting(r, f))))
		} else {
			blocks = append(blocks, paragraph(waiting(r, f).say("\n"+outlives)), actions(decisionButtons(r)...))
		}
	} else {
		blocks = append(blocks, status(r, f)...)
	}
	blocks = append(blocks, small(identity(r)))
	return message{text: cardText(r, setting{}), blocks: blocks}
}

// whyYou tells approvers why they of all people are asked: it is the first question of somebody who is woken by it.
func whyYou(r store.Request, why string) words {
	switch why {
	case policy.Manager:
		return say("You are asked because you are the manager of ").who(r.Requester).say(".")
	case "":
		return say("You are asked because your word counts here.")
	}
	return say("You are asked because you are in ").bold(oneLine(why, limitName)).say(".")
}

// wordOf is what a Slack account has said to a request.
func wordOf(r store.Request, slackID string) (store.Decision, bool) {
	for _, d := range r.Decisions {
		if d.By.SlackID == slackID {
			return d, true
		}
	}
	return store.Decision{}, false
}

// pass tells the requester how to get in; once it is over, that it is.
func pass(r store.Request, f setting) message {
	where := inert(r.Account.Name, limitName)
	switch r.State {
	case store.Active:
	case store.Approved, store.Granting:
		return passOver(r, string(r.ID)+": your access to "+where+" is being opened", paragraph(say("Access to ").place(r).say(" is being opened.")))
	case store.Revoking:
		return passOver(r, string(r.ID)+": your access to "+where+" is being taken away", paragraph(say("Access to ").place(r).say(" is being taken away: ").ending(r.End).say(".")))
	default:
		return passOver(r, string(r.ID)+": your access to "+where+" has ended", paragraph(say("Access to ").place(r).say(" has ended").on(r.EndedAt).say(": ").ending(r.End).say(".")))
	}
	w := say("You have ").code(oneLine(r.PermissionSet, limitName)).say(" on ").place(r).say(" until ").date(r.ExpiresAt, dateForm).say(".")
	if link := portalLink(r, f); link != "" {
		w = w.say("\n").link(link, "Open the AWS console").say(" or ").link(f.portal, "the access portal").say(".")
	}
	blocks := []slack.Block{header(string(r.ID) + ": you are in"), paragraph(w)}
	for _, s := range guide(r, f) {
		blocks = append(blocks, paragraph(say(s.say)), listing(s.lines...))
	}
	if r.Standing {
		blocks = append(blocks, paragraph(say("You had this access before the request, and keep it afterwards.")))
	}
	blocks = append(blocks, small(outlives), actions(endButton(r)))
	return message{
		text:   string(r.ID) + ": you are in " + where + " until " + dateToken(r.ExpiresAt, dateForm),
		blocks: blocks,
	}
}

// passOver takes the place of the pass before and after the session: no button, no commands that would only fail.
func passOver(r store.Request, text string, b slack.Block) message {
	blocks := []slack.Block{header(string(r.ID) + ": " + standing(r)), b}
	if r.Standing {
		blocks = append(blocks, paragraph(say("You had this access before the request, and keep it.")))
	}
	return message{text: text, blocks: blocks}
}

// result tells the requester how a request ended that never gave access.
func result(r store.Request, why string) message {
	w := words{}.bold(string(r.ID)).say(": your request for ").place(r)
	var more []slack.Block
	switch r.State {
	case store.Denied:
		d, _ := denial(r)
		w = w.say(" was denied by ").who(d.By).say(".")
		if d.Comment != "" {
			more = append(more, quoted(d.Comment, limitQuote))
		}
	case store.Expired:
		w = w.say(" expired: nobody decided in time. Ask again, or call somebody who may approve.")
	case store.Cancelled:
		w = w.say(" was cancelled.")
	default:
		w = w.say(" failed: ").say(reasonOf(or(why, whyFailed(r)))).say(" Nothing was left behind.")
	}
	return message{
		text:   string(r.ID) + ": your request for " + inert(r.Account.Name, limitName) + ": " + standing(r),
		blocks: append([]slack.Block{paragraph(w)}, more...),
	}
}

// warning tells the requester that the end is near.
func warning(r store.Request) message {
	w := words{}.bold(string(r.ID)).say(": your access to ").place(r).say(" ends at ").date(r.ExpiresAt, timeForm).
		say(". Save what you are doing. ").say(outlives)
	return message{
		text:   string(r.ID) + ": your access to " + inert(r.Account.Name, limitName) + " ends at " + dateToken(r.ExpiresAt, timeForm),
		blocks: []slack.Block{paragraph(w), actions(endButton(r))},
	}
}

// goodbye tells the requester that access has ended.
func goodbye(r store.Request) message {
	w := words{}.bold(string(r.ID)).say(": your access to ").place(r).say(" has ended: ").ending(r.End).say(".")
	if r.Standing {
		w = w.say(" You had this access before the request, and keep it.")
	}
	if owesTicket(r) {
		w = w.say(" A ticket is still owed, due by ").date(r.TicketBy, dateForm).say(".")
	}
	m := message{
		text:   string(r.ID) + ": your access to " + inert(r.Account.Name, limitName) + " has ended",
		blocks: []slack.Block{paragraph(w)},
	}
	if owesTicket(r) {
		m.blocks = append(m.blocks, actions(button(actionTicket, "Add ticket", r.ID, "Add ticket to "+string(r.ID))))
	}
	return m
}

// askTicket asks the requester for the ticket they owe. late: its time is over, and others were told.
func askTicket(r store.Request, late bool) message {
	w := words{}.bold(string(r.ID)).say(": a ticket is owed for your access to ").place(r)
	if !r.TicketBy.IsZero() {
		w = w.say(", by ").date(r.TicketBy, dateForm)
	}
	if late {
		w = w.say(". That time is over, and the incidents channel was told. Add it all the same.")
	} else {
		w = w.say(". Without it the incidents channel is told.")
	}
	m := message{text: string(r.ID) + ": a ticket is owed for your access to " + inert(r.Account.Name, limitName), blocks: []slack.Block{paragraph(w)}}
	if owesTicket(r) {
		m.blocks = append(m.blocks, actions(button(actionTicket, "Add ticket", r.ID, "Add ticket to "+string(r.ID))))
	}
	return m
}

// told tells somebody the policy names that access began or ended.
func told(r store.Request, when string) message {
	w := words{}.bold(string(r.ID)).say(": ").who(r.Requester)
	head := string(r.ID) + ": " + named(r.Requester)
	if when == "end" {
		w = w.say(" no longer has ").code(oneLine(r.PermissionSet, limitName)).say(" on ").place(r).say(": ").ending(r.End).say(".")
		head += " no longer has access to " + inert(r.Account.Name, limitName)
	} else {
		w = w.say(" has ").code(oneLine(r.PermissionSet, limitName)).say(" on ").place(r).say(" until ").date(r.ExpiresAt, dateForm).
			say(fmt.Sprintf(" (%s). ", sayDuration(r.Duration))).more(approvedBy(r))
		head += " has access to " + inert(r.Account.Name, limitName)
	}
	return message{text: head, blocks: []slack.Block{paragraph(w), quoted(r.Reason, limitReason)}}
}

// refusal answers somebody whose click was not taken, with the reason as the rules gave it.
func refusal(why string) message {
	t := reasonOf(why)
	return message{text: inert(t, limitTop), blocks: []slack.Block{paragraph(say(t))}}
}
