package handlers

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/slack-go/slack"

	"breakglass/store"
	"breakglass/workflows/policy"
)

// lock is the lockdown in force, as far as pages show it.
type lock struct {
	on bool
	store.Lockdown
}

// locked reads it. Where the store cannot be read nothing is shown of it: whatever would be granted is refused by the engine, which reads it anew.
func (h *Handlers) locked() lock {
	l, on, err := h.book.Lockdown()
	if err != nil {
		h.log.Error("cannot read whether a lockdown is in force", "err", err)
	}
	return lock{on: on && err == nil, Lockdown: l}
}

// words say what is in force, since when and by whom.
func (l lock) words() words {
	w := words{}.bold("A lockdown is in force").say(", since ").date(l.At, dateForm).say(", by ").by(l.By)
	if l.Why != "" {
		w = w.say(": ").say(reasonOf(l.Why))
	} else {
		w = w.say(".")
	}
	return w.say(" Every session was ended, and nothing new is granted until it is lifted.")
}

// plain is words for the error of a field, in which nobody can be mentioned.
func (l lock) plain() string {
	s := "A lockdown is in force, since " + utc(l.At) + ", by " + oneLine(l.By.Label(), limitName)
	if l.Why != "" {
		s += ": " + reasonOf(cut(l.Why, 200))
	} else {
		s += "."
	}
	return s + " Nothing is granted until it is lifted."
}

// banner stands above everything else while a lockdown is in force; there is none otherwise.
func (l lock) banner() []slack.Block {
	if !l.on {
		return nil
	}
	return []slack.Block{paragraph(l.words())}
}

// lockdown is the command: /access lockdown [lift]. Who may is decided when the form is sent.
func (h *Handlers) lockdown(ctx context.Context, c slack.SlashCommand, words []string) *private {
	lift := len(words) == 1 && strings.EqualFold(words[0], "lift")
	if len(words) > 0 && !lift {
		return sorry("Write /access lockdown, or /access lockdown lift.")
	}
	in := h.locked()
	switch {
	case lift && !in.on:
		return sorry("No lockdown is in force.")
	case !lift && in.on:
		return privately("A lockdown is in force already.", append(in.banner(), note("To lift it, write /access lockdown lift."))...)
	case lift:
		return h.openByCommand(ctx, c, unlockView(h.policy(), in, c.ChannelID))
	}
	open, err := h.book.Open()
	if err != nil {
		return sorry(h.sentence("read the sessions", err))
	}
	return h.openByCommand(ctx, c, lockView(h.policy(), open, c.ChannelID))
}

// mostEnding is how many sessions the form of a lockdown names.
const mostEnding = 15

// lockView says what will happen before it is asked for: it is pressed in a hurry, and takes everybody's access away.
func lockView(p *policy.Policy, open []store.Request, channel string) *slack.ModalViewRequest {
	var running, waiting []store.Request
	for _, r := range open {
		switch {
		case r.State.MayHaveAccess():
			running = append(running, r)
		case r.State == store.Pending || r.State == store.Approved:
			waiting = append(waiting, r)
		}
	}
	w := words{}.bold(map[bool]string{true: "No session is running.", false: count(len(running), "session") + " will be ended at once."}[len(running) == 0])
	w = w.say(" From then on nothing new is granted")
	if len(waiting) > 0 {
		w = w.say(", also not to the " + count(len(waiting), "request") + " that " + map[bool]string{true: "waits", false: "wait"}[len(waiting) == 1])
	}
	w = w.say(", until somebody lifts it with ").code("/access lockdown lift").say(". Access that people have by other ways than Breakglass is not touched.")
	blocks := []slack.Block{paragraph(w)}
	var ls []words
	for i, r := range running {
		if i == mostEnding {
			ls = append(ls, say(fmt.Sprintf("and %d more", len(running)-i)))
			break
		}
		ls = append(ls, sessionLine(r))
	}
	if len(ls) > 0 {
		blocks = append(blocks, bullets(ls...))
	}
	return lockForm("Lockdown", "Lock down", callbackLock, channel, append(blocks, small(lockers(p))))
}

func unlockView(p *policy.Policy, l lock, channel string) *slack.ModalViewRequest {
	w := say("Lifted, access can be asked for and granted again. Sessions that were ended stay ended: their people ask anew.")
	return lockForm("Lift the lockdown", "Lift it", callbackUnlock, channel, append(l.banner(), paragraph(w), small(lockers(p))))
}

// lockers says who may, as the policy has it.
func lockers(p *policy.Policy) string {
	if len(p.Lockdown) == 0 {
		return "The policy names nobody who may do this."
	}
	var names []string
	for i, s := range p.Lockdown {
		if i == mostAnswers {
			names = append(names, fmt.Sprintf("%d more", len(p.Lockdown)-i))
			break
		}
		names = append(names, oneLine(s, limitName))
	}
	return "Only " + join(names, "and") + " may do this."
}

func lockForm(title, submit, callback, channel string, blocks []slack.Block) *slack.ModalViewRequest {
	in := slack.NewPlainTextInputBlockElement(plain("What has happened", 150), formPrefix+fieldReason).WithMultiline(true).WithMaxLength(mostTyped)
	in.FocusOnLoad = true
	hint := plain("Everybody in the requests and the incidents channel reads it, and it is kept in the log.", limitField)
	v := modal(title, submit, callback, append(blocks, slack.NewInputBlock(fieldReason, plain("Reason", limitField), hint, in)))
	b, _ := json.Marshal(slip{Channel: channel}) // one string: cannot fail
	v.PrivateMetadata = string(b)
	return v
}

// submitLock hands in a lockdown or its lifting: a click of no request.
func (h *Handlers) submitLock(ctx context.Context, in *slack.InteractionCallback, delivery, kind string) *slack.ViewSubmissionResponse {
	why := strings.TrimSpace(readState(in.View.State)[fieldReason])
	if why == "" {
		return faultAt(in.View, fieldReason, "Say why: everybody is told.")
	}
	switch l, on, err := h.book.Lockdown(); { // what cannot be read is left to the engine
	case err == nil && on && kind == store.ClickLock:
		return faultAt(in.View, fieldReason, lock{on: true, Lockdown: l}.plain())
	case err == nil && !on && kind == store.ClickUnlock:
		return faultAt(in.View, fieldReason, "No lockdown is in force any more: somebody has lifted it.")
	}
	var s slip
	if len(in.View.PrivateMetadata) > mostMetadata || json.Unmarshal([]byte(in.View.PrivateMetadata), &s) != nil {
		s = slip{} // only where the answer goes
	}
	return h.handForm(ctx, in, delivery, fieldReason, s.checked(), store.Click{Kind: kind, Text: why})
}

// lockdownTold tells a channel that everything is being ended, or may begin again.
func lockdownTold(n store.Notice) message {
	by, why := oneLine(or(n.Data["by"], "somebody"), limitName), n.Data["why"]
	head, w := "Lockdown", words{}.bold(by).say(" has put a lockdown in force. ")
	if n.Data["lift"] != "" {
		head, w = "Lockdown lifted", words{}.bold(by).say(" has lifted the lockdown. Access can be asked for again with ").code("/breakglass").
			say(". Sessions that were ended stay ended.")
	} else {
		switch ended := oneLine(n.Data["ended"], 10); ended {
		case "", "0":
			w = w.say("No session was running.")
		case "1":
			w = w.say("1 session is being ended; its thread says when its access is gone.")
		default:
			w = w.say(ended + " sessions are being ended; their threads say when their access is gone.")
		}
		w = w.say(" Nothing new is granted until it is lifted with ").code("/access lockdown lift").say(".")
	}
	m := message{text: head + ", by " + inert(by, limitName), blocks: []slack.Block{header(head), paragraph(w)}}
	if why != "" {
		m.text += ": " + inert(why, 200)
		m.blocks = append(m.blocks, quoted(why, limitReason))
	}
	return m
}
