package handlers

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"breakglass/store"
	"breakglass/workflows"
	"breakglass/workflows/policy"
)

// afterExtend marks the searched select of the extension's form: its block is duration/extend/BG-1042. No scenario has a slash in its name.
const afterExtend = "extend/"

func extendButton(r store.Request) *slack.ButtonBlockElement {
	return button(actionExtend, "Extend", r.ID, fmt.Sprintf("Extend %s on %s", r.ID, label(r)))
}

// openExtend asks for how much longer. It tells those it knows to be somebody else; of all others the engine decides.
func (h *Handlers) openExtend(ctx context.Context, in *slack.InteractionCallback, a *slack.BlockAction) error {
	r, s, ok := h.about(in, a)
	if !ok {
		return nil
	}
	if why := h.notTheirs(in.User.ID, r); why != "" {
		h.tell(clickerOf(in), in, why)
		return nil
	}
	p := h.policy()
	most, why := room(p, r, h.now())
	if why != "" {
		h.tell(clickerOf(in), in, why)
		return nil
	}
	return h.openSmall(ctx, in, extendView(p, r, most, s))
}

// notTheirs says no to somebody who was matched to another person than the requester; "" to the requester and to whoever was matched to nobody yet.
func (h *Handlers) notTheirs(slackID string, r store.Request) string {
	user := h.userOf(slackID)
	if own(r, slackID, user) || user == "" {
		return ""
	}
	return fmt.Sprintf("Only %s may extend %s.", oneLine(r.Requester.Label(), limitName), r.ID)
}

func extendView(p *policy.Policy, r store.Request, most time.Duration, s slip) *slack.ModalViewRequest {
	until := words{}.bold(string(r.ID)).say(": your ").access(r).say(" ends ").date(r.ExpiresAt, dateForm).
		say(". It may last until ").date(r.ExpiresAt.Add(most), dateForm).say(" at most.")
	sel := &slack.SelectBlockElement{ActionID: formPrefix + fieldDuration, Placeholder: plain("Pick one, or type 20m or 1h", 150)}
	searched(sel)
	first := steps(most)[0]
	for _, d := range steps(most) {
		if d <= 30*time.Minute {
			first = d
		}
	}
	sel.InitialOption = durationOption(first)
	hint := fmt.Sprintf("How much longer: at most %s. Pick one, or type another, as 20m or 1h.", sayDuration(most))
	in := slack.NewPlainTextInputBlockElement(plain("What is still to be done", 150), formPrefix+fieldReason).WithMultiline(true).WithMaxLength(mostTyped)
	blocks := []slack.Block{paragraph(until)}
	if sc, ok := p.Scenario(r.Scenario); ok {
		blocks = append(blocks, slack.NewContextBlock("", plain("It has to be "+approvalWords(sc.Second().Approval)+". Until then your session ends as it does now.", limitField)))
	}
	blocks = append(blocks,
		slack.NewInputBlock(fieldDuration+"/"+afterExtend+string(r.ID), plain("Duration", limitField), plain(hint, limitField), sel),
		slack.NewInputBlock(fieldReason, plain("Reason", limitField), plain("Whoever decides reads this.", limitField), in).WithOptional(true),
	)
	v := modal("Extend "+string(r.ID), "Ask for it", callbackExtend, blocks)
	v.PrivateMetadata = s.metadata()
	return v
}

// suggestLonger answers a search in the select of an extension: steps that fit, and what is typed where it fits.
func (h *Handlers) suggestLonger(id, query string) []*slack.OptionBlockObject {
	r, err := h.book.Request(store.ID(id))
	if err != nil {
		return nil
	}
	most, _ := room(h.policy(), r, h.now())
	if most == 0 {
		return nil
	}
	return durations(policy.Scenario{MaxDuration: most, Durations: steps(most)}, query)
}

func (h *Handlers) submitExtend(ctx context.Context, in *slack.InteractionCallback, delivery string) *slack.ViewSubmissionResponse {
	f := readState(in.View.State)
	s, ok := readSlip(in.View.PrivateMetadata)
	if !ok {
		return faultAt(in.View, fieldDuration, "It is no longer known which request this is about. Close the form and press the button again.")
	}
	k, why := h.longer(s.Request, f[fieldDuration])
	if why != "" {
		return faultAt(in.View, fieldDuration, why)
	}
	reason := strings.TrimSpace(f[fieldReason])
	if n := width(reason); n > workflows.MostReason {
		return faultAt(in.View, fieldReason, fmt.Sprintf("At most %d characters.", workflows.MostReason))
	}
	k.Reason = reason
	return h.submitSmall(ctx, in, delivery, fieldDuration, k)
}

// longer is the click that asks for so much more, or why that cannot be.
func (h *Handlers) longer(id store.ID, duration string) (k store.Click, why string) {
	r, err := h.book.Request(id)
	if err != nil {
		return k, h.sentence("read a request", err)
	}
	most, why := room(h.policy(), r, h.now())
	if why != "" {
		return k, why
	}
	d, ok := readDuration(duration)
	switch {
	case !ok:
		return k, fmt.Sprintf("Say how much longer, as 20m or 1h; a minute at least, %s at most.", sayDuration(most))
	case d > most:
		return k, fmt.Sprintf("%s is too long: %s may go on for %s at most.", sayDuration(d), id, sayDuration(most))
	}
	return store.Click{Kind: store.ClickExtend, Request: id, Text: spell(d)}, ""
}

// extend is the command: /access extend [ID] [DURATION]. With one session the id can be left out; without a duration the form asks for it.
func (h *Handlers) extend(ctx context.Context, c slack.SlashCommand, words []string) *private {
	var id store.ID
	if len(words) > 0 {
		if found, err := store.ParseID(words[0]); err == nil {
			id, words = found, words[1:]
		} else if _, ok := readDuration(strings.Join(words, " ")); !ok {
			return sorry(fmt.Sprintf("“%s” is not a request, which look like BG-1042, nor a duration, as 30m.", oneLine(words[0], 60)))
		}
	}
	r, answer := h.toExtend(c, id)
	if answer != nil {
		return answer
	}
	if len(words) == 0 {
		most, why := room(h.policy(), r, h.now())
		if why != "" {
			return sorry(why)
		}
		return h.openByCommand(ctx, c, extendView(h.policy(), r, most, slip{Request: r.ID, Channel: c.ChannelID}))
	}
	k, why := h.longer(r.ID, strings.Join(words, " "))
	if why != "" {
		return sorry(why)
	}
	d, _ := readDuration(k.Text)
	return h.handIn(ctx, c, k, fmt.Sprintf("%s more are asked for %s. Its thread says what becomes of it; until then it ends as it does now.", sayDuration(d), r.ID))
}

// toExtend is the session a command means, or what to answer instead.
func (h *Handlers) toExtend(c slack.SlashCommand, id store.ID) (r store.Request, answer *private) {
	if id != "" {
		r, err := h.book.Request(id)
		if err != nil {
			return r, sorry(h.sentence("read a request", err))
		}
		if why := h.notTheirs(c.UserID, r); why != "" {
			return r, sorry(why)
		}
		return r, nil
	}
	mine, err := h.running(c.UserID)
	if err != nil {
		return r, sorry(h.sentence("read the sessions", err))
	}
	var can []store.Request
	why := "You have no running session."
	for _, r := range mine {
		if _, no := room(h.policy(), r, h.now()); no == "" {
			can = append(can, r)
		} else {
			why = no
		}
	}
	switch len(can) {
	case 0:
		return r, sorry(why)
	case 1:
		return can[0], nil
	}
	const which = "You have several sessions that can be extended. Which one?"
	blocks := []slack.Block{note(which)}
	for _, r := range can {
		blocks = append(blocks, paragraph(sessionLine(r)), actions(extendButton(r)))
	}
	return r, privately(which, blocks...)
}

// openByCommand opens a small form for a command.
func (h *Handlers) openByCommand(ctx context.Context, c slack.SlashCommand, v *slack.ModalViewRequest) *private {
	if _, err := h.slack.OpenViewContext(ctx, c.TriggerID, *v); err != nil {
		h.log.Warn("cannot open a form", "form", v.CallbackID, "err", err)
		return sorry("The form could not be opened. Type the command again.")
	}
	return nil
}
