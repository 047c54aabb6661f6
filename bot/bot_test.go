package bot

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/slack-go/slack"
	"github.com/slack-go/slack/slackevents"
)

func TestAcknowledgedAfterTheWriteOnly(t *testing.T) {
	var stored atomic.Int64
	h := handlerFuncs{interaction: func(context.Context, slack.InteractionCallback, string) (any, error) {
		time.Sleep(time.Second) // a slow disk
		stored.Store(time.Now().UnixNano())
		return nil, nil
	}}
	story(t, h, nil, func(t *testing.T, w *world) {
		w.one().send(click("e1", "U1", "1.1"))
		w.after(900 * time.Millisecond)
		w.unacked("e1")
		w.after(200 * time.Millisecond)
		a := w.acked("e1")
		if a.at.UnixNano() < stored.Load() {
			t.Errorf("acknowledged before it was stored")
		}
		if a.payload != nil {
			t.Errorf("a click was acknowledged with %s", a.payload)
		}
		if n := w.metric("ack_seconds", "kind=block_actions"); n != 1 {
			t.Errorf("ack_seconds counted %v", n)
		}
	})
}

func TestNotStoredNotAcknowledged(t *testing.T) {
	fault := errors.New("disk full")
	h := handlerFuncs{
		command:     func(context.Context, slack.SlashCommand) (any, error) { return nil, fault },
		interaction: func(context.Context, slack.InteractionCallback, string) (any, error) { return "ignored", fault },
		event:       func(context.Context, slackevents.EventsAPIEvent, string) error { return fault },
	}
	story(t, h, nil, func(t *testing.T, w *world) {
		c := w.one()
		c.send(click("click", "U1", "1.1"))
		c.send(homeOpened("event", "Ev1"))
		c.send(submission("bare form", false))
		c.send(submission("form", true))
		c.send(command("command"))
		w.after(4 * time.Second)
		w.unacked("click")
		w.unacked("event")
		w.unacked("bare form")
		if got := sentenceIn(t, w.acked("command").payload); got != sentenceFailed {
			t.Errorf("the command was answered %q", got)
		}
		want := `{"errors":{"reason":"` + sentenceFailed + `"},"response_action":"errors"}`
		if got := string(w.acked("form").payload); got != want {
			t.Errorf("the form was answered %s, want %s", got, want)
		}
		if n := w.metric("envelopes_total", "outcome=error"); n != 5 {
			t.Errorf("%v errors counted, want 5", n)
		}
		if !strings.Contains(w.logs.String(), "disk full") {
			t.Errorf("the error is not in the log")
		}
	})
}

func TestSlowHandlers(t *testing.T) {
	stubborn := func() { time.Sleep(20 * time.Second) } // heeds no deadline
	h := handlerFuncs{
		command: func(ctx context.Context, c slack.SlashCommand) (any, error) {
			if c.UserID == "U1" {
				stubborn()
				return nil, nil
			}
			<-ctx.Done()
			return nil, fmt.Errorf("ask the directory: %w", ctx.Err())
		},
		interaction: func(context.Context, slack.InteractionCallback, string) (any, error) { stubborn(); return nil, nil },
		event:       func(context.Context, slackevents.EventsAPIEvent, string) error { stubborn(); return nil },
	}
	story(t, h, nil, func(t *testing.T, w *world) {
		c := w.one()
		start := time.Now()
		obedient := command("obedient")
		obedient["payload"].(map[string]any)["user_id"] = "U2"
		c.send(obedient)
		c.send(command("stubborn"))
		c.send(click("click", "U1", "1.1"))
		c.send(homeOpened("event", "Ev1"))
		c.send(submission("form", true))
		w.after(slackPatience)
		for id, want := range map[string]string{"obedient": sentenceLate, "stubborn": sentenceUncertain} {
			a := w.acked(id)
			if got := sentenceIn(t, a.payload); got != want {
				t.Errorf("%s was answered %q, want %q", id, got, want)
			}
			if took := a.at.Sub(start); took >= slackPatience {
				t.Errorf("%s was acknowledged after %v", id, took)
			}
		}
		if got := string(w.acked("form").payload); !strings.Contains(got, sentenceUncertain) {
			t.Errorf("the form was answered %s", got)
		}
		w.after(30 * time.Second) // the handlers return at last, and nothing more is said
		w.unacked("click")
		w.unacked("event")
		w.acked("stubborn")
		w.acked("form")
		if n := w.metric("envelopes_total", "outcome=late"); n != 5 {
			t.Errorf("%v late envelopes counted, want 5", n)
		}
	})
}

func TestPanic(t *testing.T) {
	boom := func() { panic("SECRET text of a person") }
	h := handlerFuncs{
		command: func(context.Context, slack.SlashCommand) (any, error) { boom(); return nil, nil },
		interaction: func(context.Context, slack.InteractionCallback, string) (any, error) {
			var nobody *slack.User
			return nobody.ID, nil
		},
	}
	story(t, h, nil, func(t *testing.T, w *world) {
		c := w.one()
		c.send(click("click", "U1", "1.1"))
		c.send(command("command"))
		w.unacked("click")
		if got := sentenceIn(t, w.acked("command").payload); got != sentencePanicked {
			t.Errorf("the command was answered %q", got)
		}
		c.send(homeOpened("after", "Ev1"))
		w.acked("after")
		if n := w.metric("panics_total"); n != 2 {
			t.Errorf("%v panics counted", n)
		}
		if log := w.logs.String(); !strings.Contains(log, "nil pointer dereference") || !strings.Contains(log, "bot_test.go") {
			t.Errorf("the log does not say what and where:\n%s", log)
		}
	})
}

func TestWhatCannotBeUnderstoodIsAcknowledged(t *testing.T) {
	story(t, handlerFuncs{}, nil, func(t *testing.T, w *world) {
		c := w.one()
		c.send(envelopeOf("new type", "telepathy", map[string]any{"x": 1}))
		c.send(envelopeOf("new event", "events_api", map[string]any{"type": "event_callback", "event": map[string]any{"type": "no_such_event"}}))
		c.send(envelopeOf("no payload", "slash_commands", nil))
		c.send(envelopeOf("odd click", "interactive", []int{1}))
		c.send(envelopeOf("new click", "interactive", map[string]any{"type": "wink"}))
		c.raw(`{"envelope_id":"odd frame","type":17}`)
		c.raw(`[`)
		c.raw(`{"type":"slash_commands"}`)
		for _, id := range []string{"new type", "new event", "no payload", "odd click", "new click", "odd frame"} {
			w.acked(id)
		}
		c.send(command("after"))
		w.acked("after")
		if n := w.metric("envelopes_total", "outcome=bad"); n != 7 { // the handler judges the wink
			t.Errorf("%v bad envelopes counted, want 7", n)
		}
	})
}

func TestFiftyClicksAtOnce(t *testing.T) {
	var running, most atomic.Int64
	h := handlerFuncs{interaction: func(context.Context, slack.InteractionCallback, string) (any, error) {
		n := running.Add(1)
		defer running.Add(-1)
		for {
			m := most.Load()
			if n <= m || most.CompareAndSwap(m, n) {
				break
			}
		}
		time.Sleep(100 * time.Millisecond)
		return nil, nil
	}}
	story(t, h, func(c *Config, _ *fakeSlack) { c.Workers = 10 }, func(t *testing.T, w *world) {
		for i := range 50 {
			w.one().send(click(fmt.Sprint("e", i), "U1", fmt.Sprint(i)))
		}
		w.after(time.Second)
		for i := range 50 {
			w.acked(fmt.Sprint("e", i))
		}
		if most.Load() != 10 {
			t.Errorf("%d handlers ran at once, want 10", most.Load())
		}
	})
}

func TestMoreThanTheQueueHolds(t *testing.T) {
	h := handlerFuncs{command: func(ctx context.Context, _ slack.SlashCommand) (any, error) {
		time.Sleep(20 * time.Second)
		return nil, nil
	}}
	story(t, h, func(c *Config, _ *fakeSlack) { c.Workers, c.Queue = 2, 2 }, func(t *testing.T, w *world) {
		c := w.one()
		for i := range 5 {
			c.send(command(fmt.Sprint("e", i)))
			synctest.Wait()
		}
		if got := sentenceIn(t, w.acked("e4").payload); got != sentenceBusy {
			t.Errorf("the fifth command was answered %q", got)
		}
		w.after(slackPatience)
		var texts []string
		for i := range 4 {
			texts = append(texts, sentenceIn(t, w.acked(fmt.Sprint("e", i)).payload))
		}
		// The two that never reached a handler are told that nothing was recorded.
		if d := cmp.Diff([]string{sentenceUncertain, sentenceUncertain, sentenceLate, sentenceLate}, texts); d != "" {
			t.Error(d)
		}
		c.send(click("starved", "U1", "1.1"))
		w.after(slackPatience)
		w.unacked("starved")
		w.after(10 * time.Second) // so far the two workers have been taken for longer than a handler may
		if err := w.bot.checkWorkers(t.Context()); err == nil {
			t.Errorf("ready although no worker was free for 16 s")
		}
		w.after(20 * time.Second)
		if err := w.bot.checkWorkers(t.Context()); err != nil {
			t.Errorf("workers are free again: %v", err)
		}
	})
}

func TestDrain(t *testing.T) {
	h := handlerFuncs{interaction: func(ctx context.Context, _ slack.InteractionCallback, _ string) (any, error) {
		time.Sleep(time.Second)
		return nil, ctx.Err()
	}}
	story(t, h, nil, func(t *testing.T, w *world) {
		c := w.one()
		c.send(click("in hand", "U1", "1.1"))
		w.after(100 * time.Millisecond)
		w.stop()
		synctest.Wait()
		if h := w.bot.Health(); !h.Draining || w.bot.checkSockets(t.Context()) == nil {
			t.Errorf("ready while draining: %+v", h)
		}
		c.send(command("too late"))
		c.send(homeOpened("event too late", "Ev1"))
		if got := sentenceIn(t, w.acked("too late").payload); got != sentenceDraining {
			t.Errorf("a command during the drain was answered %q", got)
		}
		w.unacked("event too late") // Slack repeats it to our successor
		w.unacked("in hand")
		w.after(2 * time.Second)
		w.acked("in hand")
		if err := w.ended(); err != nil {
			t.Errorf("Run: %v", err)
		}
		<-c.gone
		if c.code != 1000 {
			t.Errorf("the socket was closed with code %d, want a clean close", c.code)
		}
	})
}

func TestDrainIsBounded(t *testing.T) {
	h := handlerFuncs{event: func(ctx context.Context, _ slackevents.EventsAPIEvent, _ string) error {
		time.Sleep(time.Minute)
		return nil
	}}
	story(t, h, nil, func(t *testing.T, w *world) {
		w.one().send(homeOpened("hangs", "Ev1"))
		w.after(time.Second)
		start := time.Now()
		w.stop()
		w.end()
		if took := time.Since(start); took > 7*time.Second {
			t.Errorf("Run took %v to return", took)
		}
		w.after(time.Minute)
	})
}

func TestWhatHandlersGet(t *testing.T) {
	var got []string
	h := handlerFuncs{
		command: func(_ context.Context, c slack.SlashCommand) (any, error) {
			got = append(got, c.Command+" "+c.Text)
			return map[string]string{"text": "a < b"}, nil
		},
		interaction: func(_ context.Context, in slack.InteractionCallback, delivery string) (any, error) {
			got = append(got, in.ActionCallback.BlockActions[0].ActionID+" "+delivery)
			return map[string]string{"text": "clicks take no answer"}, nil
		},
		event: func(_ context.Context, ev slackevents.EventsAPIEvent, delivery string) error {
			got = append(got, ev.InnerEvent.Type+" "+delivery)
			return nil
		},
	}
	story(t, h, nil, func(t *testing.T, w *world) {
		c := w.one()
		for i, env := range []map[string]any{command("e0"), click("e1", "U1", "1.1"), homeOpened("e2", "Ev7")} {
			c.send(env)
			a := w.acked(fmt.Sprint("e", i))
			if want := map[bool]string{true: `{"text":"a < b"}`}[i == 0]; string(a.payload) != want {
				t.Errorf("e%d was acknowledged with %s", i, a.payload)
			}
		}
		want := []string{"/breakglass " + typedText, "approve block_actions:C1/1700000000.000100:U1:1.1:b:approve", "app_home_opened event:Ev7"}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	})
}
