package slacktwin

import (
	"encoding/json"
	"fmt"
	"slices"
)

// Message is one message as it stands now. Values are copies; PlainText and Buttons render them.
type Message struct {
	TS          string // identity within the channel
	ThreadTS    string // parent's TS for replies; the message's own once it has replies
	Channel     string
	User        string
	BotID       string // empty for people
	Text        string // mrkdwn; what notifications show where there are blocks
	Blocks      json.RawMessage
	Attachments json.RawMessage
	Metadata    json.RawMessage
	Edited      string // TS of the last visible edit, empty if there was none
	Updates     int    // how often chat.update or a response_url has changed it
	Deleted     bool
	Broadcast   bool   // a reply that is shown in the channel too
	To          string // whom an ephemeral message is shown to, empty for all others
	Replies     int
	UnfurlLinks bool
	UnfurlMedia bool
	Reactions   map[string][]string // emoji name to user ids
	Pinned      bool

	reader string // whose zone PlainText uses
	w      *Workspace
}

// Ephemeral says whether only one person sees the message.
func (m Message) Ephemeral() bool { return m.To != "" }

// post appends a message to its channel. The caller holds mu and has checked everything.
func (w *Workspace) post(m *Message) *Message {
	m.TS = w.ts()
	w.messages[m.Channel] = append(w.messages[m.Channel], m)
	if parent := w.message(m.Channel, m.ThreadTS); parent != nil && m.To == "" {
		parent.Replies++
		parent.ThreadTS = parent.TS
	}
	w.changed()
	return m
}

// message finds one by its timestamp, deleted ones excepted. The caller holds mu.
func (w *Workspace) message(channel, ts string) *Message {
	if ts == "" {
		return nil
	}
	all := w.messages[channel]
	i, found := slices.BinarySearchFunc(all, ts, func(m *Message, ts string) int { return compareTS(m.TS, ts) })
	if !found || all[i].Deleted {
		return nil
	}
	return all[i]
}

// Message finds one message by its identity, without going through the whole channel; false if there is none.
func (w *Workspace) Message(channel, ts string) (Message, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	m := w.message(channel, ts)
	if m == nil {
		return Message{}, false
	}
	return w.show(m, ""), true
}

// compareTS orders timestamps; those of one century have one length, so text would do, tests in the year 2000 and
// after a long skip do not.
func compareTS(a, b string) int {
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// Messages returns what stands in a channel at top level, oldest first: replies only where they were broadcast, no
// ephemeral ones, deleted ones only as tombstones over replies.
func (w *Workspace) Messages(channel string) []Message {
	return w.filter(channel, "", func(m *Message) bool {
		return m.To == "" && (m.ThreadTS == "" || m.ThreadTS == m.TS || m.Broadcast) && (!m.Deleted || m.Replies > 0)
	})
}

// Thread returns a message and its replies, oldest first.
func (w *Workspace) Thread(channel, ts string) []Message {
	return w.filter(channel, "", func(m *Message) bool {
		return m.To == "" && (m.TS == ts || m.ThreadTS == ts) && (!m.Deleted || m.TS == ts)
	})
}

// DM returns the messages between a person and the app's bot, replies included.
func (w *Workspace) DM(user string) []Message {
	w.mu.Lock()
	id := w.dm(user).ID
	w.mu.Unlock()
	return w.filter(id, user, func(m *Message) bool { return m.To == "" && !m.Deleted })
}

// filter copies the messages of a channel that pass, for a reader.
func (w *Workspace) filter(channel, reader string, pass func(*Message) bool) []Message {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []Message
	for _, m := range w.messages[channel] {
		if pass(m) {
			out = append(out, w.show(m, reader))
		}
	}
	return out
}

// show copies a message for a reader. The caller holds mu.
func (w *Workspace) show(m *Message, reader string) Message {
	c := *m
	c.reader, c.w = reader, w
	c.Reactions = make(map[string][]string, len(m.Reactions))
	for k, v := range m.Reactions {
		c.Reactions[k] = slices.Clone(v)
	}
	return c
}

// PostAs posts in the name of a person or of another tool. Posting as the app's own bot makes buttons that reach the
// app; those of others do not, as in Slack. blocks and attachments are anything that encodes to a JSON array, or nil.
// It returns the message's ts.
func (w *Workspace) PostAs(user, channel, text string, blocks, attachments any) (string, error) {
	return w.postAs(user, channel, "", text, blocks, attachments)
}

// ReplyAs is PostAs into a thread.
func (w *Workspace) ReplyAs(user, channel, threadTS, text string) (string, error) {
	return w.postAs(user, channel, threadTS, text, nil, nil)
}

func (w *Workspace) postAs(user, channel, threadTS, text string, blocks, attachments any) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	u, c := w.users.get(user), w.channels.get(channel)
	if u == nil || c == nil {
		return "", fmt.Errorf("posting as %q in %q: no such user or channel", user, channel)
	}
	m := &Message{Channel: channel, User: user, Text: text, ThreadTS: threadTS}
	if user == w.cfg.BotUserID {
		m.BotID = w.cfg.BotID
	} else if u.Bot {
		m.BotID = "B" + u.ID
	}
	if bl, _ := clone(blocks).([]any); len(bl) > 0 {
		if errs := lintBlocks(bl, onMessage, "/blocks"); len(errs) > 0 {
			return "", fmt.Errorf("posting as %s: %s", user, errs[0])
		}
		m.Blocks = raw(w.stamp(bl))
	}
	if at, _ := clone(attachments).([]any); len(at) > 0 {
		if errs := lintAttachments(at); len(errs) > 0 {
			return "", fmt.Errorf("posting as %s: %s", user, errs[0])
		}
		m.Attachments = raw(w.stampAttachments(at))
	}
	w.post(m)
	w.emitMessage(c, m)
	return m.TS, nil
}

// emitMessage tells the app of a message where it subscribed to such events. The caller holds mu.
func (w *Workspace) emitMessage(c *Channel, m *Message) {
	if !w.botIn(c) || !w.scopes[c.historyScope()] || !w.events["message."+c.kind()] {
		return
	}
	ev := w.messageJSON(m)
	ev["channel"], ev["event_ts"] = c.ID, m.TS
	ev["channel_type"] = map[string]string{"channels": "channel", "groups": "group", "im": "im"}[c.kind()]
	w.send(ev)
}

// messageJSON is a message as histories, payloads and answers show it. The caller holds mu.
func (w *Workspace) messageJSON(m *Message) obj {
	o := obj{"type": "message", "user": m.User, "ts": m.TS, "text": m.Text, "team": w.cfg.TeamID}
	if m.BotID != "" {
		o["bot_id"] = m.BotID
		if m.BotID == w.cfg.BotID {
			o["app_id"] = w.cfg.AppID
			o["bot_profile"] = w.botJSON()
		}
	}
	if m.Deleted {
		return obj{"type": "message", "subtype": "tombstone", "user": "USLACKBOT", "ts": m.TS, "hidden": true,
			"text": "This message was deleted.", "thread_ts": m.ThreadTS, "reply_count": m.Replies}
	}
	for k, v := range map[string]json.RawMessage{"blocks": m.Blocks, "attachments": m.Attachments, "metadata": m.Metadata} {
		if len(v) > 0 {
			o[k] = decode(v)
		}
	}
	if m.Edited != "" {
		o["edited"] = obj{"user": m.User, "ts": m.Edited}
	}
	if m.ThreadTS != "" {
		o["thread_ts"] = m.ThreadTS
		if m.ThreadTS != m.TS {
			if parent := w.message(m.Channel, m.ThreadTS); parent != nil {
				o["parent_user_id"] = parent.User
			}
		} else {
			o["reply_count"] = m.Replies
		}
	}
	if m.Broadcast {
		o["subtype"] = "thread_broadcast"
	}
	if m.To != "" {
		o["is_ephemeral"] = true
	}
	return o
}

func (w *Workspace) botJSON() obj {
	return obj{"id": w.cfg.BotID, "deleted": false, "name": w.cfg.BotName, "updated": 0, "app_id": w.cfg.AppID,
		"user_id": w.cfg.BotUserID, "team_id": w.cfg.TeamID, "icons": obj{}}
}

// stamp gives every block and element an id where the app gave none, as Slack does. The caller holds mu.
func (w *Workspace) stamp(blocks []any) []any {
	for _, b := range blocks {
		b, ok := b.(obj)
		if !ok {
			continue
		}
		if str(b, "block_id") == "" {
			b["block_id"] = w.id("b")
		}
		for _, e := range elementsOf(b) {
			if str(e, "action_id") == "" && interactive[str(e, "type")] {
				e["action_id"] = w.id("a")
			}
		}
	}
	return blocks
}

// stampAttachments numbers attachments and their actions, and stamps their blocks. The caller holds mu.
func (w *Workspace) stampAttachments(atts []any) []any {
	n := 0
	for i, a := range atts {
		a, ok := a.(obj)
		if !ok {
			continue
		}
		a["id"] = i + 1
		for _, act := range list(a, "actions") {
			if act, ok := act.(obj); ok {
				n++
				act["id"] = fmt.Sprint(n)
			}
		}
		if bl := list(a, "blocks"); bl != nil {
			a["blocks"] = w.stamp(bl)
		}
	}
	return atts
}

// elementsOf lists the interactive and other elements of a block: of actions and context, the accessory of a section,
// the element of an input.
func elementsOf(b obj) []obj {
	var out []obj
	switch str(b, "type") {
	case "section":
		if a, ok := b["accessory"].(obj); ok {
			out = append(out, a)
		}
	case "input":
		if e, ok := b["element"].(obj); ok {
			out = append(out, e)
		}
	case "actions", "context":
		for _, e := range list(b, "elements") {
			if e, ok := e.(obj); ok {
				out = append(out, e)
			}
		}
	}
	return out
}
