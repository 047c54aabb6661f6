package slacktwin_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/slack-go/slack"
	"github.com/slack-go/slack/slackevents"

	"breakglass/deploy/sandbox/slacktwin"
)

// form is what the app of these stories opens.
func form() slack.ModalViewRequest {
	reason := slack.NewPlainTextInputBlockElement(nil, "reason")
	reason.Multiline, reason.MaxLength = true, 500
	account := slack.NewOptionsSelectBlockElement(slack.OptTypeExternal, plain("Which one"), "account")
	zero := 0
	account.MinQueryLength = &zero
	scenario := slack.NewOptionsSelectBlockElement(slack.OptTypeStatic, nil, "scenario", option("P1: site down", "emergency"), option("EC2 shell", "ec2"))
	first := slack.NewInputBlock("scenario", plain("Scenario"), nil, scenario)
	first.DispatchAction = true
	note := slack.NewInputBlock("note", plain("Ticket"), nil, slack.NewPlainTextInputBlockElement(nil, "ticket"))
	note.Optional = true
	return slack.ModalViewRequest{Type: slack.VTModal, CallbackID: "request", Title: plain("Break glass"), Submit: plain("Request"), Close: plain("Cancel"),
		NotifyOnClose: true,
		Blocks: slack.Blocks{BlockSet: []slack.Block{
			slack.NewSectionBlock(slack.NewTextBlockObject("mrkdwn", "*Emergency* access", false, false), nil, nil),
			first, slack.NewInputBlock("account", plain("Account"), nil, account), slack.NewInputBlock("reason", plain("Reason"), plain("Seen by all"), reason), note}}}
}

func plain(s string) *slack.TextBlockObject {
	return slack.NewTextBlockObject("plain_text", s, false, false)
}

func option(text, value string) *slack.OptionBlockObject {
	return slack.NewOptionBlockObject(value, plain(text), nil)
}

// requestApp opens the form on a command, answers its fields, refuses a short reason and posts a message with buttons.
func requestApp(t *testing.T, w *world) {
	w.commands(func(c slack.SlashCommand) any {
		if c.Text == "help" {
			return map[string]any{"text": "Ask for *access*"}
		}
		if _, err := w.api.OpenView(c.TriggerID, form()); err != nil {
			t.Errorf("opening the form: %v", err)
		}
		return nil
	})
	w.actions(func(c slack.InteractionCallback) any {
		switch c.Type {
		case slack.InteractionTypeBlockSuggestion:
			var opts []*slack.OptionBlockObject
			for _, name := range []string{"prod-wealth", "prod-cash", "qa"} {
				if len(c.Value) == 0 || len(name) >= len(c.Value) && name[:len(c.Value)] == c.Value {
					opts = append(opts, option(name, "acct-"+name))
				}
			}
			return slack.OptionsResponse{Options: opts}
		case slack.InteractionTypeViewSubmission:
			v := c.View.State.Values
			reason := v["reason"]["reason"].Value
			if len(reason) < 10 {
				return slack.NewErrorsViewSubmissionResponse(map[string]string{"reason": "Say more."})
			}
			approve := slack.NewButtonBlockElement("approve", "BG-1", plain("Approve")).WithStyle(slack.StylePrimary).
				WithConfirm(slack.NewConfirmationBlockObject(plain("Approve?"), plain("For prod."), plain("Yes"), plain("No")))
			text := fmt.Sprintf("<@%s> asks for %s: %s", c.User.ID, v["account"]["account"].SelectedOption.Value, reason)
			w.api.PostMessage(w.ops, slack.MsgOptionText("A request", false), slack.MsgOptionBlocks(
				slack.NewSectionBlock(slack.NewTextBlockObject("mrkdwn", text, false, false), nil, nil),
				slack.NewActionBlock("decide", approve, slack.NewButtonBlockElement("deny", "BG-1", plain("Deny")))))
		case slack.InteractionTypeBlockActions:
			if a := c.ActionCallback.BlockActions[0]; a.ActionID == "approve" {
				w.api.UpdateMessage(c.Channel.ID, c.Message.Timestamp, slack.MsgOptionText("approved", false), slack.MsgOptionBlocks(
					slack.NewSectionBlock(slack.NewTextBlockObject("mrkdwn", "Approved by <@"+c.User.ID+">", false, false), nil, nil)))
			}
		}
		return nil
	})
}

// askAndApprove is the whole way from the command to the decision.
func askAndApprove(t *testing.T, w *world) {
	requestApp(t, w)
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	reply, err := w.alice.Command(ctx, "/breakglass help")
	must(err)
	want(t, "help", reply.Text, "Ask for *access*")
	want(t, "help is ephemeral", w.alice.Ephemerals(w.ops)[0].PlainText(), "Ask for access")

	_, err = w.alice.Command(ctx, "/breakglass ec2")
	must(err)
	errs, err := w.alice.Submit(ctx)
	must(err)
	want(t, "required fields that are empty", len(errs), 3)
	must(w.alice.Fill(ctx, "Scenario", "EC2"))
	must(w.alice.Fill(ctx, "Account", "prod-w"))
	must(w.alice.Fill(ctx, "Reason", "down"))
	opts, err := w.alice.Options(ctx, "Account", "")
	must(err)
	want(t, "accounts offered", len(opts), 3)
	errs, err = w.alice.Submit(ctx)
	must(err)
	want(t, "error of the app", errs["Reason"], "Say more.")
	want(t, "nothing typed is lost", w.alice.View().Field("Account").Value, "acct-prod-wealth")
	must(w.alice.Fill(ctx, "Reason", "the site is down"))
	errs, err = w.alice.Submit(ctx)
	must(err)
	if len(errs) > 0 || w.alice.View() != nil {
		t.Fatalf("the form is still there: %v", errs)
	}
	must(w.WaitFor(ctx, func() bool { return len(w.Messages(w.ops)) == 1 }))
	m := w.Messages(w.ops)[0]
	has(t, m.PlainText(), "@alice asks for acct-prod-wealth: the site is down", "[Approve] [Deny]")
	must(w.bob.Click(ctx, w.ops, m.TS, "Approve"))
	want(t, "the dialog", w.bob.ConfirmText(), "Approve?\nFor prod.")
	must(w.WaitFor(ctx, func() bool { return w.Messages(w.ops)[0].PlainText() == "Approved by @bob" }))
	want(t, "buttons left", len(w.Messages(w.ops)[0].Buttons()), 0)
	w.clean(t)
}

// The same story over real sockets and in a bubble.
func TestRequest(t *testing.T) {
	t.Run("loopback", func(t *testing.T) { onLoopback(t, func(t *testing.T, w *world) { askAndApprove(t, w) }) })
	t.Run("bubble", func(t *testing.T) { inBubble(t, slacktwin.Config{}, askAndApprove) })
}

// Mentions and markup in a command arrive as should_escape sends them.
func TestCommandEscapes(t *testing.T) {
	inBubble(t, slacktwin.Config{}, func(t *testing.T, w *world) {
		var text string
		w.commands(func(c slack.SlashCommand) any { text = c.Text; return nil })
		w.AddUserGroup(slacktwin.UserGroup{ID: "SONCALL", Handle: "sre-oncall"})
		if _, err := w.alice.Command(t.Context(), "/access status @bob #platform-support @sre-oncall @nobody <b> & co"); err != nil {
			t.Fatal(err)
		}
		want(t, "text", text, "status <@UBOB|bob> <#COPS|platform-support> <!subteam^SONCALL|@sre-oncall> @nobody &lt;b&gt; &amp; co")
	})
}

// What a person sees whose command the app does not answer in time, or at all.
func TestNoAnswer(t *testing.T) {
	inBubble(t, slacktwin.Config{}, func(t *testing.T, w *world) {
		w.commands(func(slack.SlashCommand) any { return noAck })
		start := time.Now()
		_, err := w.alice.Command(t.Context(), "/breakglass")
		if !errors.Is(err, slacktwin.ErrOperationTimeout) || time.Since(start) != 3*time.Second {
			t.Errorf("no acknowledgement: %v after %v", err, time.Since(start))
		}
		w.commands(func(slack.SlashCommand) any { time.Sleep(4 * time.Second); return nil })
		if _, err = w.alice.Command(t.Context(), "/breakglass"); !errors.Is(err, slacktwin.ErrOperationTimeout) {
			t.Errorf("late acknowledgement: %v", err)
		}
		w.FailNext("apps.connections.open", "internal_error", 3)
		w.DropSockets("")
		if err := w.WaitFor(t.Context(), func() bool { return w.Sockets() == 0 }); err != nil {
			t.Fatal(err)
		}
		if _, err = w.alice.Command(t.Context(), "/breakglass"); !errors.Is(err, slacktwin.ErrDispatchFailed) {
			t.Errorf("no socket: %v", err)
		}
		want(t, "commands are never sent again", len(w.got("slash_commands")), 2)
	})
}

// A reply may come by the response_url, five times within half an hour.
func TestResponseURL(t *testing.T) {
	inBubble(t, slacktwin.Config{}, func(t *testing.T, w *world) {
		var url string
		w.commands(func(c slack.SlashCommand) any { url = c.ResponseURL; return nil })
		reply, err := w.alice.Command(t.Context(), "/access status")
		if err != nil {
			t.Fatal(err)
		}
		send := func() error {
			_, _, err := w.api.PostMessage("", slack.MsgOptionResponseURL(url, slack.ResponseTypeEphemeral), slack.MsgOptionText("nobody", false))
			return err
		}
		time.AfterFunc(time.Minute, func() { send() })
		m, err := reply.Await(t.Context())
		if err != nil || m.Text != "nobody" || !m.Ephemeral() {
			t.Errorf("the reply: %q, %v", m.Text, err)
		}
		for range 4 {
			if err := send(); err != nil {
				t.Errorf("within five uses: %v", err)
			}
		}
		if send() == nil {
			t.Error("a sixth use was taken")
		}
		if _, err := w.alice.Command(t.Context(), "/access status"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(31 * time.Minute)
		if send() == nil {
			t.Error("a use after half an hour was taken")
		}
		w.refusedOnly(t, "used_url", "expired_url")
		want(t, "bob sees nothing of it", len(w.bob.Messages(w.ops)), 0)
	})
}

// A response_url may overtake the acknowledgement; the reply begins with the acknowledgement's message all the same.
func TestReplyOrder(t *testing.T) {
	inBubble(t, slacktwin.Config{}, func(t *testing.T, w *world) {
		w.commands(func(c slack.SlashCommand) any {
			w.api.PostMessage("", slack.MsgOptionResponseURL(c.ResponseURL, slack.ResponseTypeEphemeral), slack.MsgOptionText("second", false))
			return map[string]any{"text": "first"}
		})
		r, err := w.alice.Command(t.Context(), "/breakglass help")
		if err != nil {
			t.Fatal(err)
		}
		want(t, "the reply", r.Text, "first")
		want(t, "messages", len(r.Messages()), 2)
		want(t, "then", r.Messages()[1].Text, "second")
	})
}

// Ten sockets, no eleventh; every reason to end one; the app is back after each.
func TestSockets(t *testing.T) {
	inBubble(t, slacktwin.Config{}, func(t *testing.T, w *world) {
		back := func(what string) {
			t.Helper()
			if err := w.WaitFor(t.Context(), func() bool { return w.Sockets() == 1 }); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			if _, err := w.alice.Command(t.Context(), "/breakglass"); err != nil {
				t.Errorf("after %s: %v", what, err)
			}
		}
		for _, reason := range []string{"warning", "refresh_requested", "link_disabled", ""} {
			w.DropSockets(reason)
			time.Sleep(15 * time.Second)
			back("reason " + reason)
		}
		w.HangSockets()
		if _, err := w.alice.Command(t.Context(), "/breakglass"); !errors.Is(err, slacktwin.ErrOperationTimeout) {
			t.Errorf("a half-open socket: %v", err)
		}
		time.Sleep(2 * time.Minute) // slack-go misses the PINGs after 30 s, the twin the PONGs
		back("half-open")
		w.Outage(true)
		if _, err := w.api.AuthTest(); err == nil {
			t.Error("Slack answered in an outage")
		}
		if _, err := w.alice.Command(t.Context(), "/breakglass"); !errors.Is(err, slacktwin.ErrOutage) {
			t.Errorf("acting in an outage: %v", err)
		}
		time.Sleep(time.Hour)
		w.Outage(false)
		time.Sleep(10 * time.Minute)
		back("outage")
	})
}

// A delivery may come twice; the app then has to notice by itself.
func TestRepeated(t *testing.T) {
	inBubble(t, slacktwin.Config{}, func(t *testing.T, w *world) {
		w.RepeatNext(1)
		for range 2 {
			if _, err := w.alice.Command(t.Context(), "/breakglass"); err != nil {
				t.Fatal(err)
			}
		}
		pause(time.Second)
		got := w.got("slash_commands")
		want(t, "deliveries of two commands", len(got), 3)
		triggers, envelopes := map[string]int{}, map[string]int{} // handlers run at once, so order says nothing
		for _, ev := range got {
			triggers[ev.Data.(slack.SlashCommand).TriggerID]++
			envelopes[ev.Request.EnvelopeID]++
		}
		want(t, "commands among them", len(triggers), 2)
		want(t, "envelopes", len(envelopes), 3)
	})
}

// Events come again at once, after a minute and after five, and no more.
func TestEventRedelivery(t *testing.T) {
	inBubble(t, slacktwin.Config{}, func(t *testing.T, w *world) {
		start := time.Now()
		var at []time.Duration
		var ids []string
		w.listen(func(ev slackevents.EventsAPIEvent) {
			w.mu.Lock()
			at = append(at, time.Since(start).Round(time.Second))
			ids = append(ids, ev.Data.(*slackevents.EventsAPICallbackEvent).EventID)
			w.mu.Unlock()
			time.Sleep(5 * time.Second) // past the deadline
		})
		if err := w.alice.OpenHome(t.Context()); err != nil {
			t.Fatal(err)
		}
		pause(time.Hour)
		want(t, "deliveries", fmt.Sprint(at), fmt.Sprint([]time.Duration{0, 3 * time.Second, 66 * time.Second, 369 * time.Second}))
		for i, ev := range w.got("events_api") {
			want(t, "attempt", ev.Request.RetryAttempt, i)
			want(t, "event id", ids[i], ids[0])
		}
		w.SetEvents(nil)
		w.alice.OpenHome(t.Context())
		time.Sleep(time.Minute)
		want(t, "events the app did not subscribe to", len(at), 4)
	})
}
