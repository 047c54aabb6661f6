package handlers

import (
	"fmt"

	"github.com/slack-go/slack"

	"breakglass/store"
	"breakglass/workflows/policy"
)

// ask is the direct message to somebody whose word counts. why says why they were asked: policy.Manager, a set of people, or "".
func ask(r store.Request, f setting, to, why string) message {
	blocks := []slack.Block{header(string(r.ID) + ": " + standing(r))}
	if r.State == store.Pending {
		blocks = append(blocks, paragraph(whyYou(r, why)))
	}
	blocks = append(blocks, about(r, f)...)
	if r.State == store.Pending {
		if _, said := wordOf(r, to); said {
			blocks = append(blocks, paragraph(say("You have approved. ").more(waiting(r, f))))
		} else {
			blocks = append(blocks, paragraph(waiting(r, f).say("\n"+reach(r, f))), actions(decisionButtons(r)...))
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
	text := string(r.ID) + ": your " + accessText(r)
	switch yours := say("Your ").access(r); r.State {
	case store.Active:
	case store.Approved, store.Granting:
		return passOver(r, text+" is being opened", paragraph(yours.say(" is being opened.")))
	case store.Revoking:
		return passOver(r, text+" is being taken away", paragraph(yours.say(" is being taken away: ").ending(r.End).say(".")))
	default:
		return passOver(r, text+" has ended", paragraph(yours.say(" has ended").on(r.EndedAt).say(": ").ending(r.End).say(".")))
	}
	w := say("You have ").grant(r).say(" until ").date(r.ExpiresAt, dateForm).say(".").extending(r)
	if link := portalLink(r, f); link != "" {
		w = w.say("\n").link(link, "Open the AWS console").say(" or ").link(f.portal, "the access portal").say(".")
	}
	blocks := []slack.Block{header(string(r.ID) + ": you are in"), paragraph(w)}
	for _, s := range append(anew(r), guide(r, f)...) {
		blocks = append(blocks, paragraph(say(s.say)))
		if len(s.lines) > 0 {
			blocks = append(blocks, listing(s.lines...))
		}
	}
	if r.Standing {
		blocks = append(blocks, paragraph(say("You had this access before the request, and keep it afterwards.")))
	}
	blocks = append(blocks, small(passReach(r, f), endsLine(r)), actions(sessionButtons(r, f.room)...))
	return message{text: text + " is open until " + dateToken(r.ExpiresAt, dateForm), blocks: blocks}
}

// passReach is reach where the guide does not say it already.
func passReach(r store.Request, f setting) string {
	if r.Group != "" {
		return ""
	}
	return reach(r, f)
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
	w := words{}.bold(string(r.ID)).say(": your request for ").access(r)
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
		if stopped(r) {
			w = words{}.bold(string(r.ID)).say(": nothing comes of your request for ").access(r).say(". ").more(failed(r, why))
			more = wholeWhy(or(why, whyFailed(r)))
			break
		}
		w = w.say(" failed: ").say(reasonOf(or(why, whyFailed(r)))).say(" Nothing was left behind.")
	}
	return message{
		text:   string(r.ID) + ": your request for " + accessText(r) + ": " + standing(r),
		blocks: append([]slack.Block{paragraph(w)}, more...),
	}
}

// warning tells the requester that the end is near, while it can still be put off.
func warning(r store.Request, f setting) message {
	w := words{}.bold(string(r.ID)).say(": your ").access(r).say(" ends at ").date(r.ExpiresAt, timeForm).
		say(". Save what you are doing. ").say(reached(r))
	m := message{
		text:   string(r.ID) + ": your " + accessText(r) + " ends at " + dateToken(r.ExpiresAt, timeForm),
		blocks: []slack.Block{paragraph(w)},
	}
	if notRunning(r) == "" {
		m.blocks = append(m.blocks, actions(sessionButtons(r, f.room)...))
	}
	return m
}

// goodbye tells the requester that access has ended, and what may still be open.
func goodbye(n store.Notice, r store.Request) message {
	w := words{}.bold(string(r.ID)).say(": your ").access(r).say(" has ended: ").ending(r.End).say("." + shellsEnded(n, r) + stillOpen(n, r))
	if r.Standing {
		w = w.say(" You had this access before the request, and keep it.")
	}
	if owesMortem(r) {
		w = w.due(" A post-mortem is still owed", r, store.OwedPostMortem)
	}
	if owesTicket(r) {
		w = w.due(" A ticket is still owed", r, store.OwedTicket)
	}
	return message{text: string(r.ID) + ": your " + accessText(r) + " has ended", blocks: withActions(w, owedButtons(r))}
}

// askTicket asks the requester for the ticket they owe. late: its time is over, and others were told.
func askTicket(r store.Request, late bool) message {
	w := words{}.bold(string(r.ID)).say(": a ticket is owed for your ").access(r)
	if !r.TicketBy.IsZero() {
		w = w.say(", by ").date(r.TicketBy, dateForm)
	}
	if late {
		w = w.say(". That time is over, and the incidents channel was told. Add it all the same.")
	} else {
		w = w.say(". Without it the incidents channel is told.")
	}
	m := message{text: string(r.ID) + ": a ticket is owed for your " + accessText(r), blocks: []slack.Block{paragraph(w)}}
	if owesTicket(r) {
		m.blocks = append(m.blocks, actions(ticketButton(r)))
	}
	return m
}

// told tells somebody the policy names that access began or ended.
func told(r store.Request, when string) message {
	w := words{}.bold(string(r.ID)).say(": ").who(r.Requester)
	head := string(r.ID) + ": " + named(r.Requester)
	if when == "end" {
		w = w.say(" no longer has ").grant(r).say(": ").ending(r.End).say(".")
		head += " no longer has " + accessText(r)
	} else {
		w = w.say(" has ").grant(r).say(" until ").date(r.ExpiresAt, dateForm).
			say(fmt.Sprintf(" (%s). ", sayDuration(r.Duration))).more(approvedBy(r))
		head += " has " + accessText(r)
	}
	return message{text: head, blocks: []slack.Block{paragraph(w), quoted(r.Reason, limitReason)}}
}

// refusal answers somebody whose click was not taken, with the reason as the rules gave it.
func refusal(why string) message {
	t := reasonOf(why)
	return message{text: inert(t, limitTop), blocks: []slack.Block{paragraph(say(t))}}
}
