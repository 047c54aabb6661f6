package handlers

import (
	"context"
	"fmt"
	"strings"

	"github.com/slack-go/slack"

	"breakglass/store"
)

// owedNotice tells the requester's manager what is owed, by whom and since when. They may close the case without it.
func owedNotice(n store.Notice, r store.Request, f setting) message {
	what := n.Data["what"]
	w := words{}.bold(string(r.ID)).say(": ").who(r.Requester).say(" had ").access(r)
	if !owes(r, what) { // it was given while this was on its way
		return oneLiner(r, owedThing(what)+" was owed", w.say(". "+owedThing(what)+" was owed for it, and is no longer.").threadLink(f))
	}
	if !r.EndedAt.IsZero() {
		w = w.say(" until ").date(r.EndedAt, dateForm)
	}
	w = w.due(" and owes "+owedThing(what)+" for it", r, what).say(" That time is over, and they were reminded.").threadLink(f)
	why := words{}.say("You are told because you are the manager of ").who(r.Requester).
		say(". Ask them for it; or, where nothing is to be expected any more, close the case without it and say why.")
	return message{
		text:   string(r.ID) + ": " + named(r.Requester) + " owes " + owedThing(what) + " for " + accessText(r),
		blocks: []slack.Block{paragraph(w), quoted(r.Reason, limitReason), paragraph(why), actions(waiveButton(r, what))},
	}
}

// threadLink is the way to the case, where its address is known.
func (w words) threadLink(f setting) words {
	if f.thread == "" {
		return w
	}
	return w.say(" ").link(f.thread, "Open its thread").say(".")
}

// waiveButton closes a case without something it owes. Which of the two things its action says: a value is an id and no more.
func waiveButton(r store.Request, what string) *slack.ButtonBlockElement {
	action := actionWaiveMortem
	if what == store.OwedTicket {
		action = actionWaiveTicket
	}
	return button(action, "Close without it", r.ID, fmt.Sprintf("Close %s without %s", r.ID, owedThing(what)))
}

// openWaive asks why. Whether this person is the manager only the directory knows: that is decided when it is sent.
func (h *Handlers) openWaive(ctx context.Context, in *slack.InteractionCallback, a *slack.BlockAction, what string) error {
	r, s, ok := h.about(in, a)
	if !ok {
		return nil
	}
	for _, why := range []string{h.notTheirOwn(in.User.ID, r), notWaivable(r, what)} {
		if why != "" {
			h.tell(clickerOf(in), in, why)
			return nil
		}
	}
	s.What = what
	return h.openSmall(ctx, in, waiveView(r, s))
}

// notTheirOwn says no to the requester, who is never their own manager here.
func (h *Handlers) notTheirOwn(slackID string, r store.Request) string {
	if !own(r, slackID, h.userOf(slackID)) {
		return ""
	}
	return fmt.Sprintf("You owe it yourself. Only your manager may close %s without it.", r.ID)
}

// notWaivable says why there is nothing to close a case without; "" where there is.
func notWaivable(r store.Request, what string) string {
	if owes(r, what) {
		return ""
	}
	return fmt.Sprintf("%s owes %s no longer.", r.ID, owedThing(what))
}

func waiveView(r store.Request, s slip) *slack.ModalViewRequest {
	in := slack.NewPlainTextInputBlockElement(plain("Why nothing is to be expected any more", 150), formPrefix+fieldReason).
		WithMultiline(true).WithMaxLength(mostTyped)
	in.FocusOnLoad = true
	w := words{}.who(r.Requester).say(" had ").access(r).due(" and owes "+owedThing(s.What)+" for it", r, s.What).
		say(" Without it the case is closed on your word. Only their manager may do this, as Identity Center has it.")
	v := modal("Close "+string(r.ID), "Close without it", callbackWaive, []slack.Block{
		paragraph(w),
		slack.NewInputBlock(fieldReason, plain("Reason", limitField), plain("It goes into the thread and the session's archive, with your name.", limitField), in),
	})
	v.PrivateMetadata = s.metadata()
	return v
}

func (h *Handlers) submitWaive(ctx context.Context, in *slack.InteractionCallback, delivery string) *slack.ViewSubmissionResponse {
	reason := strings.TrimSpace(readState(in.View.State)[fieldReason])
	if neutral(reason, true) == "" {
		return faultAt(in.View, fieldReason, "Say why: it stands in place of what is missing.")
	}
	s, ok := readSlip(in.View.PrivateMetadata)
	if ok && s.What == "" {
		return faultAt(in.View, fieldReason, "It is no longer known what this is about. Close the form and press the button again.")
	}
	if ok {
		if r, err := h.book.Request(s.Request); err == nil && notWaivable(r, s.What) != "" {
			return faultAt(in.View, fieldReason, notWaivable(r, s.What))
		}
	}
	return h.submitSmall(ctx, in, delivery, fieldReason, store.Click{Kind: store.ClickWaive, Text: reason, Reason: s.What})
}

// waived says in the thread that the case is closed without something, by whose word and why.
func waived(r store.Request) message {
	if len(r.Waived) == 0 {
		return oneLiner(r, "closed without what it owed", say("The case is closed without something it owed, but by whose word is not in the record."))
	}
	v := r.Waived[len(r.Waived)-1]
	m := oneLiner(r, "closed without "+owedThing(v.What)+" by "+named(v.By),
		words{}.bold(string(r.ID)).say(": closed without ").bold(strings.TrimPrefix(owedThing(v.What), "a ")).say(" by ").who(v.By).on(v.At).say(". Their reason:"))
	m.blocks = append(m.blocks, quoted(v.Reason, limitQuote))
	return m
}
