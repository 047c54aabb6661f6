package slacktwin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrNotOurs says that a button belongs to a message of another app: its clicks go there.
var ErrNotOurs = errors.New("the message is another app's, which gets its clicks")

// button is something to press: a button element, an entry of an overflow menu, or a legacy button.
type button struct {
	text, action, block string
	element             obj
	choice              obj // the chosen entry of an overflow menu
	legacy              obj // the attachment of a legacy button
	attachment          int // index of the attachment it stands in, -1 for none
}

// confirm is what the button's dialog asks, empty if it has none.
func (b button) confirm() string {
	c := b.element["confirm"]
	if b.legacy != nil {
		return strings.TrimSpace(str(c, "title") + "\n" + str(c, "text"))
	}
	return strings.TrimSpace(str(c, "title", "text") + "\n" + str(c, "text", "text"))
}

// state is what an overflow menu adds to its action.
func (b button) state() obj {
	if b.choice == nil {
		return nil
	}
	return obj{"selected_option": b.choice}
}

// buttonsIn lists the buttons of blocks and, after them, of attachments.
func buttonsIn(blocks any, attachments any) []button {
	var out []button
	add := func(blocks any, attachment int) {
		for _, x := range list(obj{"b": blocks}, "b") {
			x, _ := x.(obj)
			for _, e := range elementsOf(x) {
				b := button{action: str(e, "action_id"), block: str(x, "block_id"), element: e, attachment: attachment}
				switch str(e, "type") {
				case "button":
					b.text = str(e, "text", "text")
					out = append(out, b)
				case "overflow":
					for _, o := range list(e, "options") {
						b.choice, _ = o.(obj)
						b.text = str(o, "text", "text")
						out = append(out, b)
					}
				}
			}
		}
	}
	add(blocks, -1)
	for i, a := range list(obj{"a": attachments}, "a") {
		a, _ := a.(obj)
		add(a["blocks"], i)
		for _, act := range list(a, "actions") {
			if act, ok := act.(obj); ok && str(act, "type") == "button" {
				out = append(out, button{text: str(act, "text"), action: str(act, "name"), element: act, legacy: a, attachment: i})
			}
		}
	}
	return out
}

// pick finds a button by text or action id.
func pick(all []button, want string, nth int) (button, error) {
	var fit []button
	var names []string
	for _, b := range all {
		if b.text == want || b.action == want {
			fit = append(fit, b)
		}
		names = append(names, b.text)
	}
	switch {
	case nth >= 0 && nth < len(fit):
		return fit[nth], nil
	case nth < 0 && len(fit) == 1:
		return fit[0], nil
	}
	return button{}, fmt.Errorf("%d buttons are called %q, among %q", len(fit), want, names)
}

// Buttons lists the texts of the message's buttons.
func (m Message) Buttons() []string {
	var out []string
	for _, b := range buttonsIn(decode(m.Blocks), decode(m.Attachments)) {
		out = append(out, b.text)
	}
	return out
}

// Click presses a button of a message the person sees, ephemeral ones and replies included, by its text or action id
// (legacy: name). Two that fit are an error. A confirm dialog is agreed to; ConfirmText says what it asked. A button
// with a URL opens that; Slack tells the app of it too, but nothing that happens there reaches the person.
func (p *Person) Click(ctx context.Context, channel, ts, want string) error {
	return p.click(ctx, channel, ts, want, -1, true)
}

// ClickNth is Click where several buttons fit: nth counts from 0.
func (p *Person) ClickNth(ctx context.Context, channel, ts, want string, nth int) error {
	return p.click(ctx, channel, ts, want, nth, true)
}

// ClickAndCancel presses a button and says no in its confirm dialog; nothing reaches the app.
func (p *Person) ClickAndCancel(ctx context.Context, channel, ts, want string) error {
	return p.click(ctx, channel, ts, want, -1, false)
}

// ConfirmText is what the dialog of the last button asked: title, newline, text; empty if it had none.
func (p *Person) ConfirmText() string {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	return p.w.confirmed[p.id]
}

func (p *Person) click(ctx context.Context, channel, ts, want string, nth int, agree bool) error {
	p.w.mu.Lock()
	payload, b, err := p.clicked(channel, ts, want, nth)
	if err == nil {
		p.w.confirmed[p.id] = b.confirm()
	}
	p.w.mu.Unlock()
	switch {
	case err != nil:
		return fmt.Errorf("clicking %q: %w", want, err)
	case !agree && p.ConfirmText() == "":
		return fmt.Errorf("clicking %q: there is no dialog to say no to", want)
	case !agree:
		return nil
	}
	err = p.w.interact(ctx, payload)
	if str(b.element, "url") != "" {
		return nil
	}
	return err
}

// clicked makes the payload of a click. The caller holds mu.
func (p *Person) clicked(channel, ts, want string, nth int) (obj, button, error) {
	u, err := p.able()
	if err != nil {
		return nil, button{}, err
	}
	ch, m := p.w.channels.get(channel), p.w.message(channel, ts)
	if m == nil || !p.w.sees(u, ch) || m.To != "" && m.To != p.id {
		return nil, button{}, fmt.Errorf("%s sees no message %s in %s: %w", u.Name, ts, channel, ErrNotAllowed)
	}
	b, err := pick(buttonsIn(decode(m.Blocks), decode(m.Attachments)), want, nth)
	switch {
	case err != nil:
		return nil, b, err
	case m.BotID != p.w.cfg.BotID:
		return nil, b, ErrNotOurs
	}
	thread := ""
	if m.ThreadTS != m.TS {
		thread = m.ThreadTS
	}
	url := p.w.newResponseURL("actions", &responseURL{user: p.id, channel: channel, ts: ts, thread: thread})
	if b.legacy != nil {
		return p.w.legacyClick(u, ch, m, b, url), b, nil
	}
	action := obj{"type": str(b.element, "type"), "action_id": b.action, "block_id": b.block, "action_ts": p.w.eventTS()}
	for _, k := range []string{"text", "value", "style", "url", "confirm"} {
		if b.element[k] != nil {
			action[k] = b.element[k]
		}
	}
	if b.choice != nil {
		action["selected_option"] = b.choice
	}
	container := obj{"type": "message", "message_ts": ts, "channel_id": channel, "is_ephemeral": m.To != ""}
	if thread != "" {
		container["thread_ts"] = thread
	}
	if b.attachment >= 0 {
		container["type"], container["attachment_id"], container["is_app_unfurl"] = "message_attachment", b.attachment+1, false
	}
	payload := p.w.act("block_actions", u, "")
	payload["container"], payload["channel"], payload["actions"] = container, channelRef(ch), []any{action}
	payload["response_url"], payload["state"] = url, obj{"values": obj{}}
	if m.To == "" { // of an ephemeral message, Slack sends no copy
		payload["message"] = p.w.messageJSON(m)
	}
	return payload, b, nil
}

// legacyClick is the payload of a button in a legacy attachment. Its user has an id and a name and nothing else. The
// caller holds mu.
func (w *Workspace) legacyClick(u *User, ch *Channel, m *Message, b button, url string) obj {
	return obj{"type": "interactive_message", "token": "verification", "callback_id": str(b.legacy, "callback_id"),
		"actions": []any{obj{"name": b.action, "type": "button", "value": str(b.element, "value")}},
		"team":    obj{"id": w.cfg.TeamID, "domain": w.domain()}, "channel": channelRef(ch), "user": obj{"id": u.ID, "name": u.Name},
		"action_ts": w.eventTS(), "message_ts": m.TS, "attachment_id": fmt.Sprint(b.attachment + 1), "is_app_unfurl": false,
		"enterprise": nil, "is_enterprise_install": false, "original_message": w.messageJSON(m), "response_url": url,
		"trigger_id": w.newTrigger(u.ID, "")}
}

// Say posts a message of the person's own into a channel they are in, or into a thread there.
func (p *Person) Say(channel, threadTS, text string) (string, error) {
	p.w.mu.Lock()
	c := p.w.channels.get(channel)
	in := c != nil && slices.Contains(c.Members, p.id)
	p.w.mu.Unlock()
	if !in {
		return "", fmt.Errorf("%s is not in %s: %w", p.id, channel, ErrNotAllowed)
	}
	return p.w.ReplyAs(p.id, channel, threadTS, text)
}
