package slacktwin

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Limits of chat.postMessage and chat.update (docs: chat.postMessage, chat.update, "Truncating content").
const (
	textTruncated  = 40_000 // chat.postMessage cuts here, without an error
	textUpdated    = 4_000  // chat.update refuses more: msg_too_long
	maxAttachments = 100
	metadataLimit  = 64 << 10 // bytes; Slack has a limit (metadata_too_large) and publishes no number
	// blocksTextLimit is the text all blocks of a message may hold together. Slack publishes no number for
	// msg_blocks_too_long; others have measured about 13,200.
	blocksTextLimit = 13_200
)

// content is what a message says.
type content struct {
	text                          string
	blocks, attachments, metadata json.RawMessage
	hasText, hasBlocks, hasAtts   bool // given, if only to be emptied
	hasMetadata                   bool
}

// readContent checks text, blocks, attachments and metadata of a call. The caller holds mu.
func (w *Workspace) readContent(c *call) (content, *apiError) {
	var out content
	out.text = c.str("text")
	_, out.hasText = c.args["text"].(string)
	blocks, given, valid := c.json("blocks")
	bl, isList := blocks.([]any)
	if !valid || given && !isList {
		return out, fail("invalid_blocks_format")
	}
	if out.hasBlocks = given; len(bl) > 0 {
		if problems := lintBlocks(bl, onMessage, "/blocks"); len(problems) > 0 {
			return out, invalid("invalid_blocks", problems)
		}
		if textSize(bl) > blocksTextLimit {
			return out, fail("msg_blocks_too_long")
		}
		out.blocks = raw(w.stamp(bl))
	}
	atts, given, valid := c.json("attachments")
	al, isList := atts.([]any)
	switch {
	case !valid || given && !isList:
		return out, fail("invalid_attachments")
	case len(al) > maxAttachments:
		return out, fail("too_many_attachments")
	}
	if out.hasAtts = given; len(al) > 0 {
		if problems := lintAttachments(al); len(problems) > 0 {
			return out, invalid("invalid_attachments", problems)
		}
		out.attachments = raw(w.stampAttachments(al))
	}
	return out, out.readMetadata(c)
}

// readMetadata: an empty object removes what was there, and so does the empty pair that clients send for "none".
func (out *content) readMetadata(c *call) *apiError {
	v, given, valid := c.json("metadata")
	m, isObject := v.(obj)
	if !valid || given && !isObject {
		return fail("invalid_metadata_format")
	}
	out.hasMetadata = given
	if !given || len(m) == 0 || str(m, "event_type") == "" && m["event_payload"] == nil {
		return nil
	}
	if _, ok := m["event_payload"].(obj); str(m, "event_type") == "" || !ok {
		return fail("invalid_metadata_schema")
	}
	if out.metadata = raw(m); len(out.metadata) > metadataLimit {
		return fail("metadata_too_large")
	}
	return nil
}

// textSize adds up the characters of everything that reads as text.
func textSize(v any) int {
	n := 0
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			n += textSize(e)
		}
	case obj:
		for k, e := range v {
			if s, ok := e.(string); ok && k == "text" {
				n += utf8.RuneCountInString(s)
			} else {
				n += textSize(e)
			}
		}
	}
	return n
}

// place resolves where to post: an id, a name, or a person (their direct messages). The caller holds mu.
func (w *Workspace) place(channel string) (*Channel, *apiError) {
	c := w.channels.get(channel)
	if c == nil {
		c = w.channelByName(channel)
	}
	if u := w.users.get(channel); c == nil && u != nil && !u.Deleted && !u.Bot {
		c = w.dm(u.ID)
	}
	switch {
	case c == nil || w.visible(c.ID) == nil:
		return nil, fail("channel_not_found")
	case c.Archived:
		return nil, fail("is_archived")
	case !w.botIn(c) && !w.scopes["chat:write.public"]:
		return nil, fail("not_in_channel")
	}
	return c, nil
}

func postMessage(w *Workspace, c *call) (obj, *apiError) {
	ch, err := w.place(c.str("channel"))
	if err != nil {
		return nil, err
	}
	body, err := w.readContent(c)
	if err != nil {
		return nil, err
	}
	if body.text == "" && body.blocks == nil && body.attachments == nil {
		return nil, fail("no_text")
	}
	if err := w.threadable(ch, c.str("thread_ts")); err != nil {
		return nil, err
	}
	if err := w.quota.spendChannel(ch.ID, w.cfg.Now()); err != nil {
		return nil, err
	}
	m := &Message{
		Channel: ch.ID, User: w.cfg.BotUserID, BotID: w.cfg.BotID, Text: truncate(body.text, textTruncated),
		Blocks: body.blocks, Attachments: body.attachments, Metadata: body.metadata, ThreadTS: c.str("thread_ts"),
		Broadcast:   c.str("thread_ts") != "" && c.flag("reply_broadcast", false),
		UnfurlLinks: c.flag("unfurl_links", false), UnfurlMedia: c.flag("unfurl_media", true),
	}
	w.post(m)
	w.emitMessage(ch, m)
	return obj{"channel": ch.ID, "ts": m.TS, "message": w.messageJSON(m)}, nil
}

// threadable refuses replies to what is not there and to replies. Slack's own answers to both are undocumented; an app
// that does either has lost its place, so the twin is strict. The caller holds mu.
func (w *Workspace) threadable(ch *Channel, ts string) *apiError {
	if ts == "" {
		return nil
	}
	parent := w.message(ch.ID, ts)
	if parent == nil || parent.To != "" || parent.ThreadTS != "" && parent.ThreadTS != parent.TS {
		return fail("cannot_reply_to_message")
	}
	return nil
}

func truncate(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n])
	}
	return s
}

func postEphemeral(w *Workspace, c *call) (obj, *apiError) {
	ch, err := w.place(c.str("channel"))
	if err != nil {
		return nil, err
	}
	body, err := w.readContent(c)
	if err != nil {
		return nil, err
	}
	user := w.users.get(c.str("user"))
	switch {
	case user == nil || user.Deleted:
		return nil, fail("user_not_in_channel")
	case !slices.Contains(ch.Members, user.ID):
		return nil, fail("user_not_in_channel")
	case body.text == "" && body.blocks == nil && body.attachments == nil:
		return nil, fail("no_text")
	}
	m := w.post(&Message{Channel: ch.ID, User: w.cfg.BotUserID, BotID: w.cfg.BotID, Text: truncate(body.text, textTruncated),
		Blocks: body.blocks, Attachments: body.attachments, ThreadTS: c.str("thread_ts"), To: user.ID})
	return obj{"message_ts": m.TS}, nil
}

// own finds a message the app may change: its own, no ephemeral one. The caller holds mu.
func (w *Workspace) own(c *call, cant string) (*Channel, *Message, *apiError) {
	ch := w.visible(c.str("channel"))
	if ch == nil {
		return nil, nil, fail("channel_not_found")
	}
	m := w.message(ch.ID, c.str("ts"))
	switch {
	case m == nil || m.To != "":
		return nil, nil, fail("message_not_found")
	case m.BotID != w.cfg.BotID:
		return nil, nil, fail(cant)
	case ch.Archived:
		return nil, nil, fail("is_inactive")
	}
	return ch, m, nil
}

func updateMessage(w *Workspace, c *call) (obj, *apiError) {
	ch, m, err := w.own(c, "cant_update_message")
	if err != nil {
		return nil, err
	}
	body, err := w.readContent(c)
	if err != nil {
		return nil, err
	}
	switch {
	case utf8.RuneCountInString(body.text) > textUpdated:
		return nil, fail("msg_too_long")
	case !body.hasText && !body.hasBlocks && !body.hasAtts && !body.hasMetadata:
		return nil, fail("no_text")
	case body.hasBlocks && hasRichText(m.Blocks) && len(body.blocks) > 0 && !hasRichText(body.blocks):
		return nil, fail("block_mismatch")
	}
	w.apply(m, body)
	if c.flag("reply_broadcast", false) && m.ThreadTS != "" {
		m.Broadcast = true
	}
	w.changed()
	return obj{"channel": ch.ID, "ts": m.TS, "text": m.Text, "message": w.messageJSON(m)}, nil
}

// apply changes a message. Blocks that are not sent stay, unless a text is: then the text takes their place (docs:
// chat.update). The caller holds mu.
func (w *Workspace) apply(m *Message, body content) {
	if body.hasText {
		m.Text = body.text
	}
	if body.hasBlocks || body.text != "" {
		m.Blocks = body.blocks
	}
	if body.hasAtts {
		m.Attachments = body.attachments
	}
	if body.hasMetadata {
		m.Metadata = body.metadata
	}
	m.Updates++
	if !body.hasBlocks { // an update by blocks carries no "(edited)"
		now := w.cfg.Now().UnixMicro()
		m.Edited = fmt.Sprintf("%d.%06d", now/1e6, now%1e6)
	}
	w.changed()
}

func hasRichText(blocks json.RawMessage) bool {
	for _, b := range list(obj{"b": decode(blocks)}, "b") {
		if str(b, "type") == "rich_text" {
			return true
		}
	}
	return false
}

func deleteMessage(w *Workspace, c *call) (obj, *apiError) {
	ch, m, err := w.own(c, "cant_delete_message")
	if err != nil {
		return nil, err
	}
	w.remove(m)
	return obj{"channel": ch.ID, "ts": m.TS}, nil
}

// remove deletes a message. The caller holds mu.
func (w *Workspace) remove(m *Message) {
	m.Deleted = true
	if parent := w.message(m.Channel, m.ThreadTS); parent != nil && parent != m {
		parent.Replies--
	}
	w.changed()
}

func getPermalink(w *Workspace, c *call) (obj, *apiError) {
	ch := w.visible(c.str("channel"))
	if ch == nil {
		return nil, fail("channel_not_found")
	}
	m := w.message(ch.ID, c.str("message_ts"))
	if m == nil {
		return nil, fail("message_not_found")
	}
	link := fmt.Sprintf("https://%s.slack.com/archives/%s/p%s", w.domain(), ch.ID, strings.ReplaceAll(m.TS, ".", ""))
	if m.ThreadTS != "" && m.ThreadTS != m.TS {
		link += "?thread_ts=" + m.ThreadTS + "&cid=" + ch.ID
	}
	return obj{"channel": ch.ID, "permalink": link}, nil
}

func addReaction(w *Workspace, c *call) (obj, *apiError) {
	ch := w.visible(c.str("channel"))
	if ch == nil {
		return nil, fail("channel_not_found")
	}
	m, name := w.message(ch.ID, c.str("timestamp")), strings.Trim(c.str("name"), ":")
	switch {
	case m == nil:
		return nil, fail("message_not_found")
	case name == "":
		return nil, fail("invalid_name")
	case slices.Contains(m.Reactions[name], w.cfg.BotUserID):
		return nil, fail("already_reacted")
	}
	if m.Reactions == nil {
		m.Reactions = map[string][]string{}
	}
	m.Reactions[name] = append(m.Reactions[name], w.cfg.BotUserID)
	w.changed()
	return obj{}, nil
}

func addPin(w *Workspace, c *call) (obj, *apiError) {
	ch := w.visible(c.str("channel"))
	if ch == nil {
		return nil, fail("channel_not_found")
	}
	m := w.message(ch.ID, c.str("timestamp"))
	switch {
	case m == nil:
		return nil, fail("message_not_found")
	case m.Pinned:
		return nil, fail("already_pinned")
	}
	m.Pinned = true
	w.changed()
	return obj{}, nil
}
