package handlers

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/slack-go/slack"

	"breakglass/store"
	"breakglass/workflows"
)

// The fields of a post-mortem, by the names of store.Click.Form.
const (
	fieldHappened  = "happened"
	fieldDone      = "done"
	fieldFollowUps = "follow_ups"
)

// mortemField is one of them, as the form and the thread show it.
type mortemField struct {
	name, label, placeholder, missing string // missing: what is said where it is empty; "" where it may be
}

func mortemFields() []mortemField {
	return []mortemField{
		{fieldHappened, "What happened", "What was broken, since when, and how it was noticed", "Say what happened."},
		{fieldDone, "What was done", "What you did with the access, and what came of it", "Say what was done."},
		{fieldFollowUps, "Follow-ups", "What is still to be done, and by whom", ""},
	}
}

func mortemButton(r store.Request) *slack.ButtonBlockElement {
	return button(actionMortem, "Write post-mortem", r.ID, "Write the post-mortem of "+string(r.ID))
}

// openMortem opens the form. Whoever may not is told before they write anything: a refusal afterwards would lose what they wrote.
func (h *Handlers) openMortem(ctx context.Context, in *slack.InteractionCallback, a *slack.BlockAction) error {
	r, s, ok := h.about(in, a)
	if !ok {
		return nil
	}
	for _, why := range []string{h.notItsAuthor(in.User.ID, r), notWritable(r)} {
		if why != "" {
			h.tell(clickerOf(in), in, why)
			return nil
		}
	}
	return h.openSmall(ctx, in, mortemView(r, s))
}

// notItsAuthor says no to everybody who is not known to be the requester, "" to them. An account that was never matched may be the requester's
// other one, and is told so.
func (h *Handlers) notItsAuthor(slackID string, r store.Request) string {
	user := h.userOf(slackID)
	if own(r, slackID, user) {
		return ""
	}
	why := fmt.Sprintf("Only %s may write the post-mortem of %s.", oneLine(r.Requester.Label(), limitName), r.ID)
	if user == "" {
		why += " If that is you, use the Slack account that asked for it."
	}
	return why
}

// notWritable says why there is no post-mortem to write; "" where there is.
func notWritable(r store.Request) string {
	switch {
	case owesMortem(r):
		return ""
	case r.PostMortem != nil:
		return fmt.Sprintf("%s has its post-mortem already: it stands in the thread.", r.ID)
	case r.Waives(store.OwedPostMortem):
		return fmt.Sprintf("%s was closed without its post-mortem: the thread says by whom and why.", r.ID)
	case r.Owes && !r.State.Ended():
		return fmt.Sprintf("%s has not ended yet. Its post-mortem is written after its end.", r.ID)
	}
	return fmt.Sprintf("%s owes no post-mortem.", r.ID)
}

func mortemView(r store.Request, s slip) *slack.ModalViewRequest {
	w := words{}.bold(string(r.ID)).say(": your ").access(r)
	if open := openFor(r); open > 0 {
		w = w.say(" was open for " + sayDuration(open))
	} else {
		w = w.say(" is over")
	}
	if !r.EndedAt.IsZero() {
		w = w.say("; it ended ").date(r.EndedAt, dateForm)
	}
	w = w.say(". What you write here goes into its thread and its archive, and cannot be changed afterwards.").dueLine(r)
	blocks := []slack.Block{paragraph(w)}
	for i, f := range mortemFields() {
		in := slack.NewPlainTextInputBlockElement(plain(f.placeholder, 150), formPrefix+f.name).WithMultiline(true).WithMaxLength(mostTyped)
		in.FocusOnLoad = i == 0
		blocks = append(blocks, slack.NewInputBlock(f.name, plain(f.label, limitField), nil, in).WithOptional(f.missing == ""))
	}
	v := modal("Post-mortem "+string(r.ID), "Hand in", callbackMortem, blocks)
	v.PrivateMetadata = s.metadata()
	return v
}

func (w words) dueLine(r store.Request) words {
	if r.PostMortemBy.IsZero() {
		return w
	}
	return w.say(" It is due by ").date(r.PostMortemBy, dateForm).say(".")
}

// readMortem reads the form: what was written, and what is wrong with it, at its field.
func readMortem(f filled) (form map[string]string, faults workflows.FormFaults) {
	form = map[string]string{}
	for _, m := range mortemFields() {
		text := strings.TrimSpace(f[m.name])
		switch {
		case neutral(text, true) == "": // blanks, or characters that nobody sees
			if m.missing != "" {
				faults = append(faults, workflows.FormFault{Field: m.name, Why: m.missing})
			}
		case utf8.RuneCountInString(text) > mostTyped: // Slack's own form takes no more
			faults = append(faults, workflows.FormFault{Field: m.name, Why: "At most 3,000 characters."})
		default:
			form[m.name] = text
		}
	}
	return form, faults
}

// submitMortem hands it in. What can be told here is told in the form, in which everything that was typed still stands.
func (h *Handlers) submitMortem(ctx context.Context, in *slack.InteractionCallback, delivery string) *slack.ViewSubmissionResponse {
	form, faults := readMortem(readState(in.View.State))
	if len(faults) > 0 {
		return faultsIn(in.View, faults)
	}
	if s, ok := readSlip(in.View.PrivateMetadata); ok {
		r, err := h.book.Request(s.Request)
		if err != nil {
			return faultAt(in.View, fieldHappened, h.sentence("read a request", err)+" It was not recorded; what you have written stays.")
		}
		for _, why := range []string{h.notItsAuthor(in.User.ID, r), notWritable(r)} {
			if why != "" {
				return faultAt(in.View, fieldHappened, why)
			}
		}
	}
	return h.submitSmall(ctx, in, delivery, fieldHappened, store.Click{Kind: store.ClickMortem, Form: form})
}

// mostMortem bounds each of its three parts in the thread. What the form takes is cut only where it is full of characters that Slack counts twice.
const mostMortem = 3000

// written is the post-mortem in the thread, whole: nobody has to look elsewhere.
func written(r store.Request) message {
	p := r.PostMortem
	if p == nil {
		return oneLiner(r, "its post-mortem", say("A post-mortem was written, but it is not in the record."))
	}
	m := oneLiner(r, "post-mortem by "+named(p.By), words{}.bold("Post-mortem").say(" of "+string(r.ID)+" by ").who(p.By).on(p.At).say("."))
	cutShort := false
	for i, text := range []string{p.Happened, p.Done, p.FollowUps} {
		shown := neutral(text, true)
		if shown == "" && i == 2 {
			continue
		}
		cutShort = cutShort || width(shown) > mostMortem
		m.blocks = append(m.blocks, paragraph(words{}.bold(mortemFields()[i].label)), quoted(text, mostMortem))
	}
	if cutShort {
		m.blocks = append(m.blocks, small("It is cut short here. The whole of it stands in the session's archive."))
	}
	return m
}

// owingLine asks for the post-mortem in the thread, when the session has ended.
func owingLine(n store.Notice, r store.Request) message {
	w := words{}.bold(string(r.ID)).say(": ").who(r.Requester).say(", a post-mortem is owed for your ").access(r).noticeDue(n, r).
		say(": what happened, what was done, what follows from it. It goes into this thread and the session's archive.")
	return withOwed(oneLiner(r, "a post-mortem is owed", w), r)
}

// noticeDue adds when it is due: as the notice has it, else the record.
func (w words) noticeDue(n store.Notice, r store.Request) words {
	by, err := time.Parse(time.RFC3339, n.Data["by"])
	if err != nil {
		by = r.PostMortemBy
	}
	if by.IsZero() {
		return w
	}
	return w.say(", by ").date(by, dateForm)
}

// withOwed adds the button that writes it, as long as it is owed: a message may be delivered late.
func withOwed(m message, r store.Request) message {
	if owesMortem(r) {
		m.blocks = append(m.blocks, actions(mortemButton(r)))
	}
	return m
}

// askMortem reminds the requester of it. late: its time is over, and others were told.
func askMortem(n store.Notice, r store.Request, f setting) message {
	w := words{}.bold(string(r.ID)).say(": a post-mortem is owed for your ").access(r).noticeDue(n, r)
	if n.Data["late"] != "" {
		w = w.say(". That time is over. Write it all the same: your case stays open without it.")
	} else {
		w = w.say(". Without it your manager is told, and your case stays open.")
	}
	return withOwed(message{text: string(r.ID) + ": a post-mortem is owed for your " + accessText(r), blocks: []slack.Block{paragraph(w.threadLink(f))}}, r)
}

// noMortem says in the thread that its time is over, and who was told.
func noMortem(n store.Notice, r store.Request) message {
	w := words{}.bold(string(r.ID)).say(": the post-mortem of ").who(r.Requester).say(" has not come, and its time is over. ")
	if manager := oneLine(n.Data["manager"], limitName); manager != "" {
		w = w.say("Their manager, ").bold(manager).say(", was told and may close the case without it.")
	} else {
		w = w.say("Nobody else could be told: their manager could not be found in Identity Center and Slack.")
	}
	return withOwed(oneLiner(r, "the post-mortem is missing", w.say(" Until then the case stays open.")), r)
}
