package handlers

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/slack-go/slack"

	"breakglass/store"
)

// extensionOf is the extension a notice or a click is about. ok is false where the record has none of that number.
func extensionOf(r store.Request, number string) (n int, x store.Extension, ok bool) {
	n, err := strconv.Atoi(number)
	if err != nil || n < 0 || n >= len(r.Extensions) {
		return 0, x, false
	}
	return n, r.Extensions[n], true
}

// extension is the message about the wish for a longer session: in the thread, and to each approver who is asked. It is edited until it is decided and
// its later ends stand.
func extension(n store.Notice, r store.Request, f setting) message {
	place, x, ok := extensionOf(r, n.Data["number"])
	if !ok {
		return oneLiner(r, "an extension was asked for", say("An extension was asked for, but it is not in the record."))
	}
	w := words{}.bold(string(r.ID)).say(": ").who(r.Requester).say(asks(x)).bold(sayDuration(x.By)+" more").say(" of ").their(title(r), limitName).where(r).
		say(", until ").date(x.Until, dateForm).say(".")
	blocks := []slack.Block{paragraph(w)}
	if why := n.Data["why"]; why != "" && x.State == store.ExtensionAsked && n.To != "" {
		blocks = append([]slack.Block{paragraph(whyYou(r, why))}, blocks...)
	}
	if x.Reason != "" {
		blocks = append(blocks, quoted(x.Reason, limitReason))
	}
	blocks = append(blocks, extensionState(r, x, f)...)
	if x.State == store.ExtensionAsked && !x.NoWord && mayBeAsked(n.To, r, x) {
		if n.To != "" {
			blocks = append(blocks, small(identity(r), reach(r, f)))
		}
		blocks = append(blocks, actions(extensionButtons(r, place, x)...))
	}
	return message{text: extensionText(r, x), blocks: blocks}
}

// mayBeAsked: in the thread everybody sees the buttons; in a direct message neither its requester nor who has spoken.
func mayBeAsked(to string, r store.Request, x store.Extension) bool {
	for _, d := range x.Decisions {
		if to != "" && d.By.SlackID == to {
			return false
		}
	}
	return to == "" || to != r.Requester.SlackID
}

func asks(x store.Extension) string {
	if x.State == store.ExtensionAsked {
		return " asks for "
	}
	return " asked for "
}

func extensionText(r store.Request, x store.Extension) string {
	s := string(r.ID) + ": " + named(r.Requester) + asks(x) + sayDuration(x.By) + " more of " + accessText(r)
	switch x.State {
	case store.ExtensionAsked:
		if x.Reason == "" {
			return s
		}
		return s + ". " + inert(x.Reason, 200)
	case store.ExtensionApproved:
		return s + ": approved"
	case store.ExtensionGranted:
		return s + ": granted, until " + dateToken(x.Until, dateForm)
	case store.ExtensionDenied:
		return s + ": denied"
	}
	return s + ": it came to nothing"
}

// extensionState says where it stands. That an approved one does not count before its later ends stand is said, or people work on into the end.
func extensionState(r store.Request, x store.Extension, f setting) []slack.Block {
	yes := approvals(store.Request{Decisions: x.Decisions})
	var w words
	switch x.State {
	case store.ExtensionAsked:
		return []slack.Block{paragraph(extensionWaits(r, x, yes, f))}
	case store.ExtensionApproved:
		w = spoken(yes).say(" Its later ends are being made; until they stand, the session ends ").date(r.ExpiresAt, dateForm).say(" as before.")
	case store.ExtensionGranted:
		w = spoken(yes).say(" The session ends ").date(x.Until, dateForm).say(".")
	case store.ExtensionDenied:
		d, _ := denial(store.Request{Decisions: x.Decisions})
		w = say("Denied")
		if d.By != (store.Person{}) {
			w = w.say(" by ").who(d.By)
		}
		w = w.on(x.DoneAt).say(". The session ends ").date(r.ExpiresAt, dateForm).say(" as before.")
		if why := or(d.Comment, x.Note); why != "" {
			return []slack.Block{paragraph(w.say(" The reason:")), quoted(why, limitReason)}
		}
	default:
		w = say("It came to nothing")
		if x.Note != "" {
			w = w.say(": " + reasonOf(x.Note))
		} else {
			w = w.say(".")
		}
		if r.State == store.Active {
			w = w.say(" The session ends ").date(r.ExpiresAt, dateForm).say(" as before.")
		}
	}
	return []slack.Block{paragraph(w)}
}

func spoken(yes []store.Person) words {
	if len(yes) == 0 {
		return say("Nobody's word was needed.")
	}
	return say("Approved by ").people(yes).say(".")
}

func extensionWaits(r store.Request, x store.Extension, yes []store.Person, f setting) words {
	if x.NoWord {
		return say("Nobody's word is needed. The later ends are being made.")
	}
	w := say("Waiting for approval").whoseWord(f).say(".")
	if len(yes) > 0 {
		w = w.say(" Approved so far by ").people(yes).say(".")
	}
	return w.say(" Undecided, the session ends ").date(r.ExpiresAt, dateForm).say(".")
}

func extensionButtons(r store.Request, place int, x store.Extension) []*slack.ButtonBlockElement {
	value := fmt.Sprintf("%s/%d", r.ID, place)
	what := fmt.Sprintf("%s more of %s for %s", sayDuration(x.By), grantText(r), oneLine(r.Requester.Label(), limitName))
	yes := button(actionLonger, "Approve", store.ID(value), "Approve "+what).WithStyle(slack.StylePrimary)
	if r.Account.Sensitive {
		yes.Confirm = confirm("Extend "+string(r.ID)+"?", fmt.Sprintf("%s keeps %s, which is sensitive, for %s more.",
			oneLine(r.Requester.Label(), limitName), grantText(r), sayDuration(x.By)), "Approve")
	}
	return []*slack.ButtonBlockElement{yes, button(actionNoMore, "Deny", store.ID(value), "Deny "+what).WithStyle(slack.StyleDanger)}
}

// openNoMore asks why an extension is denied.
func (h *Handlers) openNoMore(ctx context.Context, in *slack.InteractionCallback, a *slack.BlockAction) error {
	r, s, ok := h.about(in, a)
	if !ok {
		return nil
	}
	_, x, ok := extensionOf(r, strconv.Itoa(s.Number))
	if !ok || x.State != store.ExtensionAsked {
		h.tell(clickerOf(in), in, fmt.Sprintf("That extension of %s is decided by now, so there is nothing left to deny.", r.ID))
		return nil
	}
	return h.openSmall(ctx, in, noMoreView(r, x, s))
}

func noMoreView(r store.Request, x store.Extension, s slip) *slack.ModalViewRequest {
	in := slack.NewPlainTextInputBlockElement(plain("What the requester should know", 150), formPrefix+fieldReason).
		WithMultiline(true).WithMaxLength(mostTyped)
	in.FocusOnLoad = true
	w := words{}.who(r.Requester).say(" asks for "+sayDuration(x.By)+" more of ").their(title(r), limitName).where(r).
		say(". Denied, the session ends ").date(r.ExpiresAt, dateForm).say(" as it does now.")
	v := modal("Deny for "+string(r.ID), "Deny", callbackNoMore, []slack.Block{
		paragraph(w),
		slack.NewInputBlock(fieldReason, plain("Reason", limitField), plain("The requester reads it, and it is kept in the log.", limitField), in),
	})
	v.PrivateMetadata = s.metadata()
	return v
}

func (h *Handlers) submitNoMore(ctx context.Context, in *slack.InteractionCallback, delivery string) *slack.ViewSubmissionResponse {
	reason := strings.TrimSpace(readState(in.View.State)[fieldReason])
	if reason == "" {
		return faultAt(in.View, fieldReason, "Say why: the requester is told.")
	}
	return h.submitSmall(ctx, in, delivery, fieldReason, store.Click{Kind: store.ClickNoMore, Text: reason})
}

// extended tells that a session ends later than it did.
func extended(n store.Notice, r store.Request, f setting) message {
	w := say("The session ends later: ").date(r.ExpiresAt, dateForm)
	if _, x, ok := extensionOf(r, n.Data["number"]); ok {
		w = w.say(" (" + sayDuration(x.By) + " more). ").more(spoken(approvals(store.Request{Decisions: x.Decisions})))
	} else {
		w = w.say(".")
	}
	m := oneLiner(r, "the session ends later, "+dateToken(r.ExpiresAt, dateForm), w)
	if n.To != "" {
		m = message{text: m.text, blocks: []slack.Block{paragraph(words{}.bold(string(r.ID)).say(": your ").access(r).say(". ").more(w))}}
	}
	if r.State == store.Active && f.room > 0 {
		m.blocks = append(m.blocks, actions(sessionButtons(r, f.room)...))
	}
	return m
}

// extending is what the card and the lists say of it.
func (w words) extending(r store.Request) words {
	if n := used(r); n > 0 {
		w = w.say(" Extended " + times(n) + ".")
	}
	if _, x := r.Extending(); x != nil {
		return w.say(" " + sayDuration(x.By) + " more are asked for: see the thread.")
	}
	return w
}
