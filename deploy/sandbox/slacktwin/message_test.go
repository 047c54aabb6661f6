package slacktwin_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/slack-go/slack"

	"breakglass/deploy/sandbox/slacktwin"
)

// Where the app may post and where not, by the errors Slack gives.
func TestPlaces(t *testing.T) {
	inBubble(t, slacktwin.Config{}, func(t *testing.T, w *world) {
		bot := w.BotUserID()
		w.AddChannel(slacktwin.Channel{ID: "COUT", Name: "elsewhere"})
		w.AddChannel(slacktwin.Channel{ID: "CPRIV", Name: "secret", Private: true})
		w.AddChannel(slacktwin.Channel{ID: "COLD", Name: "old", Archived: true, Members: []string{bot}})
		w.AddUser(slacktwin.User{ID: "UGONE", Name: "gone", Deleted: true})
		for channel, code := range map[string]string{"COUT": "not_in_channel", "CPRIV": "channel_not_found", "COLD": "is_archived",
			"CNONE": "channel_not_found", "UGONE": "channel_not_found", "COPS": "", "#platform-support": "", "UBOB": ""} {
			_, _, err := w.api.PostMessage(channel, slack.MsgOptionText("x", false))
			if got := errText(err); got != code {
				t.Errorf("%s: %q, want %q", channel, got, code)
			}
		}
		want(t, "bob's direct messages", len(w.bob.DM()), 1)
		_, _, err := w.api.PostMessage("COPS")
		want(t, "nothing to say", errText(err), "no_text")
		for user, code := range map[string]string{"UGONE": "user_disabled", "UNONE": "user_not_found", bot: "cannot_dm_bot", "UBOB": ""} {
			_, _, _, err := w.api.OpenConversation(&slack.OpenConversationParameters{Users: []string{user}})
			want(t, "direct messages with "+user, errText(err), code)
		}
		w.SetScopes([]string{"chat:write", "chat:write.public", "channels:join"})
		_, _, err = w.api.PostMessage("COUT", slack.MsgOptionText("x", false))
		want(t, "with chat:write.public", errText(err), "")
		_, _, _, err = w.api.JoinConversation("COUT")
		want(t, "joining", errText(err), "")
	})
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// Updates and deletions: own messages only, 4,000 characters, and what stays where it is not sent.
func TestUpdate(t *testing.T) {
	inBubble(t, slacktwin.Config{}, func(t *testing.T, w *world) {
		w.AddUser(slacktwin.User{ID: "UPAGER", Name: "pager", Bot: true})
		other, err := w.PostAs("UPAGER", w.ops, "alert", nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		block := slack.MsgOptionBlocks(slack.NewSectionBlock(plain("as block"), nil, nil))
		ts := w.post(t, w.ops, slack.MsgOptionText("fallback", false), block, slack.MsgOptionMetadata(slack.SlackMetadata{EventType: "request", EventPayload: map[string]any{"id": "BG-1"}}))
		update := func(ts string, opts ...slack.MsgOption) string {
			_, _, _, err := w.api.UpdateMessage(w.ops, ts, opts...)
			return errText(err)
		}
		want(t, "another's", update(other, slack.MsgOptionText("x", false)), "cant_update_message")
		want(t, "none", update("1.000001", slack.MsgOptionText("x", false)), "message_not_found")
		want(t, "too long", update(ts, slack.MsgOptionText(strings.Repeat("x", 4001), false)), "msg_too_long")
		want(t, "long enough", update(ts, slack.MsgOptionText(strings.Repeat("x", 4000), false), block), "")
		m, _ := w.Message(w.ops, ts)
		want(t, "blocks", m.PlainText(), "as block")
		has(t, string(m.Metadata), "BG-1")
		want(t, "no (edited) with blocks", m.Edited, "")
		want(t, "text alone", update(ts, slack.MsgOptionText("now text", false)), "")
		m, _ = w.Message(w.ops, ts)
		want(t, "blocks gave way", m.PlainText(), "now text")
		if m.Edited == "" {
			t.Error("no (edited) with text")
		}
		_, _, err = w.api.DeleteMessage(w.ops, other)
		want(t, "deleting another's", errText(err), "cant_delete_message")
		_, _, err = w.api.DeleteMessage(w.ops, ts)
		want(t, "deleting", errText(err), "")
		want(t, "left", len(w.Messages(w.ops)), 1)
		quote := slack.NewRichTextBlock("q", &slack.RichTextQuote{Type: slack.RTEQuote, Elements: []slack.RichTextSectionElement{slack.NewRichTextSectionTextElement("because", nil)}})
		ts = w.post(t, w.ops, slack.MsgOptionBlocks(quote))
		want(t, "rich text gives way to none", update(ts, block), "block_mismatch")
		w.UpdateChannel(w.ops, func(c *slacktwin.Channel) { c.Archived = true })
		want(t, "archived", update(ts, slack.MsgOptionBlocks(quote)), "is_inactive")
	})
}

// Threads, broadcasts, histories in pages, permalinks.
func TestThreads(t *testing.T) {
	inBubble(t, slacktwin.Config{}, func(t *testing.T, w *world) {
		w.SetScopes(append(slacktwin.DefaultScopes(), "channels:history"))
		parent := w.post(t, w.ops, slack.MsgOptionText("request", false))
		reply := w.post(t, w.ops, slack.MsgOptionText("reply", false), slack.MsgOptionTS(parent))
		w.post(t, w.ops, slack.MsgOptionText("summary", false), slack.MsgOptionTS(parent), slack.MsgOptionBroadcast())
		want(t, "in the channel", len(w.Messages(w.ops)), 2)
		want(t, "in the thread", len(w.Thread(w.ops, parent)), 3)
		_, _, err := w.api.PostMessage(w.ops, slack.MsgOptionText("x", false), slack.MsgOptionTS("1.000001"))
		want(t, "reply to nothing", errText(err), "cannot_reply_to_message")
		_, _, err = w.api.PostMessage(w.ops, slack.MsgOptionText("x", false), slack.MsgOptionTS(reply))
		want(t, "reply to a reply", errText(err), "cannot_reply_to_message")
		for range 3 {
			w.post(t, w.ops, slack.MsgOptionText("more", false), slack.MsgOptionMetadata(slack.SlackMetadata{EventType: "e", EventPayload: map[string]any{"id": 1}}))
		}
		h, err := w.api.GetConversationHistory(&slack.GetConversationHistoryParameters{ChannelID: w.ops, Limit: 2, IncludeAllMetadata: true})
		if err != nil || len(h.Messages) != 2 || !h.HasMore || h.Messages[0].Metadata.EventType != "e" {
			t.Errorf("history: %+v, %v", h, err)
		}
		msgs, _, _, err := w.api.GetConversationReplies(&slack.GetConversationRepliesParameters{ChannelID: w.ops, Timestamp: parent})
		if err != nil || len(msgs) != 3 || msgs[0].ReplyCount != 2 || msgs[1].Timestamp != reply {
			t.Errorf("replies: %+v, %v", msgs, err)
		}
		link, err := w.api.GetPermalink(&slack.PermalinkParameters{Channel: w.ops, Ts: reply})
		want(t, "permalink", link, "https://twin.slack.com/archives/COPS/p"+strings.ReplaceAll(reply, ".", "")+"?thread_ts="+parent+"&cid=COPS")
		want(t, "permalink error", errText(err), "")
		w.api.DeleteMessage(w.ops, parent)
		want(t, "a tombstone stands over replies", w.Messages(w.ops)[0].Deleted, true)
		w.SetScopes(slacktwin.DefaultScopes())
		_, err = w.api.GetConversationHistory(&slack.GetConversationHistoryParameters{ChannelID: w.ops})
		want(t, "without channels:history", errText(err), "missing_scope")
	})
}

// The legacy button as another tool put it there: the payload's shape is that of a captured one.
func TestLegacyButton(t *testing.T) {
	inBubble(t, slacktwin.Config{}, func(t *testing.T, w *world) {
		atts := []any{m{"callback_id": "deployment_prod", "fallback": "f", "attachment_type": "default", "actions": []any{
			m{"name": "open", "text": "Break Glass Prod", "type": "button", "style": "danger", "value": "arn:x", "confirm": m{"title": "Sure?", "text": "It is prod."}}}}}
		ts, err := w.PostAs(w.BotUserID(), w.ops, "Deployment failed", nil, atts)
		if err != nil {
			t.Fatal(err)
		}
		var got slack.InteractionCallback
		w.actions(func(c slack.InteractionCallback) any {
			got = c
			w.api.OpenView(c.TriggerID, view("one"))
			return nil
		})
		if err := w.alice.ClickAndCancel(t.Context(), w.ops, ts, "Break Glass Prod"); err != nil {
			t.Fatal(err)
		}
		want(t, "nothing is sent on no", got.Type, "")
		if err := w.alice.Click(t.Context(), w.ops, ts, "Break Glass Prod"); err != nil {
			t.Fatal(err)
		}
		want(t, "dialog", w.alice.ConfirmText(), "Sure?\nIt is prod.")
		a := got.ActionCallback.AttachmentActions[0]
		for what, pair := range map[string][2]string{
			"type": {string(got.Type), "interactive_message"}, "callback_id": {got.CallbackID, "deployment_prod"}, "name": {a.Name, "open"},
			"value": {a.Value, "arn:x"}, "message": {got.MessageTs, ts}, "user": {got.User.ID, "UALICE"}, "no team of the user": {got.User.TeamID, ""},
			"attachment": {got.AttachmentID, "1"}, "original": {got.OriginalMessage.Text, "Deployment failed"}, "channel": {got.Channel.ID, w.ops},
		} {
			want(t, what, pair[0], pair[1])
		}
		if w.alice.View() == nil {
			t.Error("its trigger opened no form")
		}
		w.AddUser(slacktwin.User{ID: "UPAGER", Name: "pager", Bot: true})
		foreign, _ := w.PostAs("UPAGER", w.ops, "alert", nil, atts)
		if err := w.alice.Click(t.Context(), w.ops, foreign, "Break Glass Prod"); !errors.Is(err, slacktwin.ErrNotOurs) {
			t.Errorf("another app's button: %v", err)
		}
	})
}

// Ephemeral messages are one person's, and their buttons work with a response_url that replaces or removes them.
func TestEphemeral(t *testing.T) {
	inBubble(t, slacktwin.Config{}, func(t *testing.T, w *world) {
		ctx := t.Context()
		button := slack.MsgOptionBlocks(slack.NewActionBlock("b", slack.NewButtonBlockElement("go", "1", plain("Go"))))
		ts, err := w.api.PostEphemeral(w.ops, "UALICE", slack.MsgOptionText("psst", false), button)
		if err != nil {
			t.Fatal(err)
		}
		w.AddUser(slacktwin.User{ID: "UEVE", Name: "eve"})
		_, err = w.api.PostEphemeral(w.ops, "UEVE", slack.MsgOptionText("psst", false))
		want(t, "to an outsider", errText(err), "user_not_in_channel")
		_, _, _, err = w.api.UpdateMessage(w.ops, ts, slack.MsgOptionText("x", false))
		want(t, "chat.update", errText(err), "message_not_found")
		want(t, "in the channel for all", len(w.Messages(w.ops)), 0)
		if err := w.bob.Click(ctx, w.ops, ts, "Go"); !errors.Is(err, slacktwin.ErrNotAllowed) {
			t.Errorf("bob clicks alice's: %v", err)
		}
		var got slack.InteractionCallback
		w.actions(func(c slack.InteractionCallback) any { got = c; return nil })
		w.alice.Click(ctx, w.ops, ts, "Go")
		want(t, "container", got.Container.IsEphemeral, true)
		_, _, err = w.api.PostMessage("", slack.MsgOptionReplaceOriginal(got.ResponseURL), slack.MsgOptionText("done", false))
		want(t, "replacing", errText(err), "")
		want(t, "replaced", w.alice.Ephemerals(w.ops)[0].PlainText(), "done")
		_, _, err = w.api.PostMessage("", slack.MsgOptionDeleteOriginal(got.ResponseURL))
		want(t, "deleting", errText(err), "")
		want(t, "left", len(w.alice.Ephemerals("")), 0)
	})
}

// What a message says, to each reader in their own zone.
func TestPlainText(t *testing.T) {
	inBubble(t, slacktwin.Config{}, func(t *testing.T, w *world) { // a bubble begins at 2000-01-01 00:00 UTC
		w.AddUserGroup(slacktwin.UserGroup{ID: "S1", Handle: "leads"})
		ts := w.post(t, w.ops, slack.MsgOptionText("*x* &lt;b&gt; `prod_wealth_x` <@UBOB> <#COPS> <!subteam^S1> <!here> <https://x|link> _it_ a_b_c <!date^946688400^{date_num} {time}|never>", false))
		m, _ := w.Message(w.ops, ts)
		want(t, "in UTC", m.PlainText(), "x <b> prod_wealth_x @bob #platform-support @leads @here link it a_b_c 2000-01-01 1:00 AM")
		has(t, m.For("UALICE").PlainText(), "1999-12-31 8:00 PM")
		time.Sleep(2 * time.Hour)
		want(t, "elapsed", w.Mrkdwn("", "<!date^946688400^{ago}|then>"), "1 hour ago")
		want(t, "pretty", w.Mrkdwn("UBOB", "<!date^946688400^{date_short_pretty} at {time}|then>"), "today at 2:00 AM")
	})
}

// Shortcuts, and who may do what: outsiders, guests, people of other companies, the deactivated.
func TestPeople(t *testing.T) {
	inBubble(t, slacktwin.Config{}, func(t *testing.T, w *world) {
		ctx := t.Context()
		var got slack.InteractionCallback
		w.actions(func(c slack.InteractionCallback) any { got = c; return nil })
		if err := w.alice.Shortcut(ctx, "breakglass_request"); err != nil || got.CallbackID != "breakglass_request" {
			t.Errorf("shortcut: %v, %+v", err, got)
		}
		ts, _ := w.bob.Say(w.ops, "", "the site is down")
		if err := w.alice.MessageShortcut(ctx, "from_message", w.ops, ts); err != nil || got.Message.Text != "the site is down" {
			t.Errorf("message shortcut: %v, %+v", err, got)
		}
		private := w.AddChannel(slacktwin.Channel{Name: "leads", Private: true, Members: []string{"UBOB", w.BotUserID()}})
		go1 := slack.MsgOptionBlocks(slack.NewActionBlock("b", slack.NewButtonBlockElement("go", "1", plain("Go")), slack.NewButtonBlockElement("go2", "2", plain("Go"))))
		ts = w.post(t, private, go1)
		if err := w.alice.Click(ctx, private, ts, "go"); !errors.Is(err, slacktwin.ErrNotAllowed) {
			t.Errorf("alice in bob's private channel: %v", err)
		}
		if err := w.bob.Click(ctx, private, ts, "Go"); err == nil {
			t.Error("two buttons of one name were no error")
		}
		if err := w.bob.Click(ctx, private, ts, "go2"); err != nil || got.ActionCallback.BlockActions[0].Value != "2" {
			t.Errorf("by action id: %v", err)
		}
		w.AddUser(slacktwin.User{ID: "UEXT", Name: "ext", TeamID: "TOTHER", Stranger: true})
		w.UpdateChannel(w.ops, func(c *slacktwin.Channel) { c.Members = append(c.Members, "UEXT") })
		if _, err := w.As("UEXT").In(w.ops).Command(ctx, "/breakglass"); !errors.Is(err, slacktwin.ErrNotAllowed) {
			t.Errorf("a command of another company's person: %v", err)
		}
		ts = w.post(t, w.ops, go1)
		if err := w.As("UEXT").Click(ctx, w.ops, ts, "go"); err != nil || got.User.TeamID != "TOTHER" {
			t.Errorf("their clicks do arrive: %v", err)
		}
		w.UpdateUser("UALICE", func(u *slacktwin.User) { u.Deleted = true })
		if _, err := w.alice.Command(ctx, "/breakglass"); !errors.Is(err, slacktwin.ErrNotAllowed) {
			t.Errorf("a deactivated person: %v", err)
		}
		u, err := w.api.GetUserInfo("UEXT")
		if err != nil || !u.IsStranger || u.TeamID != "TOTHER" || u.Profile.Email != "" {
			t.Errorf("users.info: %+v, %v", u, err)
		}
	})
}
