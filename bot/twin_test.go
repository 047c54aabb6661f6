package bot_test

import (
	"context"
	"errors"
	"log"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"breakglass/bot"
	"breakglass/deploy/sandbox/slacktwin"
	"breakglass/deploy/sandbox/wire"

	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/websocket"
	"github.com/slack-go/slack"
	"github.com/slack-go/slack/slackevents"
)

// app is a handler as small as a real one: a command opens a form, the form may fail, events are stored.
type app struct {
	api *slack.Client

	mu     sync.Mutex
	slow   time.Duration
	broken int // calls that are still to fail
	heard  []string
}

func (a *app) fails() error {
	a.mu.Lock()
	slow := a.slow
	broken := a.broken > 0
	if broken {
		a.broken--
	}
	a.mu.Unlock()
	time.Sleep(slow)
	if broken {
		return errors.New("the disk is full")
	}
	return nil
}

func (a *app) set(slow time.Duration, broken int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.slow, a.broken = slow, broken
}

func (a *app) Command(ctx context.Context, c slack.SlashCommand) (any, error) {
	if err := a.fails(); err != nil {
		return nil, err
	}
	if c.Text == "" {
		plain := func(s string) *slack.TextBlockObject { return slack.NewTextBlockObject("plain_text", s, false, false) }
		_, err := a.api.OpenViewContext(ctx, c.TriggerID, slack.ModalViewRequest{
			Type: slack.VTModal, Title: plain("Break glass"), Submit: plain("Request"), Close: plain("Cancel"),
			Blocks: slack.Blocks{BlockSet: []slack.Block{
				slack.NewSectionBlock(plain("Say why."), nil, nil),
				slack.NewInputBlock("reason", plain("Reason"), nil, slack.NewPlainTextInputBlockElement(nil, "reason")),
			}},
		})
		return nil, err
	}
	return slack.Msg{Text: "heard " + c.Text}, nil
}

func (a *app) Interaction(context.Context, slack.InteractionCallback, string) (any, error) {
	return nil, a.fails()
}

func (a *app) Event(_ context.Context, ev slackevents.EventsAPIEvent, delivery string) error {
	err := a.fails()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.heard = append(a.heard, delivery)
	return err
}

// withTwin runs a story between a bot and the Slack twin, which knows nothing of it.
func withTwin(t *testing.T, story func(t *testing.T, w *slacktwin.Workspace, a *app, b *bot.Bot)) {
	synctest.Test(t, func(t *testing.T) {
		network := wire.New()
		w := slacktwin.New(slacktwin.Config{})
		srv := &http.Server{Handler: w, ErrorLog: log.New(t.Output(), "", 0)}
		go srv.Serve(network.Listen("slack"))
		w.AddUser(slacktwin.User{ID: "UALICE", Name: "alice", RealName: "Alice", Email: "alice@forge.example", EmailConfirmed: true})
		w.AddChannel(slacktwin.Channel{ID: "COPS", Name: "ops", Members: []string{"UALICE", w.BotUserID()}})
		tr := &http.Transport{DialContext: network.DialContext}
		a := &app{}
		b, err := bot.New(bot.Config{
			BotToken: "xoxb-twin", AppToken: "xapp-twin", APIURL: "http://slack/api",
			HTTP: &http.Client{Transport: tr}, Dialer: &websocket.Dialer{NetDialContext: network.DialContext},
			OnStranger: func(n int) { t.Errorf("the bot took %d of its own sockets for strangers", n) },
		}, a)
		if err != nil {
			t.Fatal(err)
		}
		a.api = b.API()
		ctx, stop := context.WithCancel(t.Context())
		ran := make(chan error, 1)
		go func() { ran <- b.Run(ctx) }()
		defer func() {
			stop()
			if err := <-ran; err != nil {
				t.Errorf("Run: %v", err)
			}
			w.Close()
			srv.Close()
			tr.CloseIdleConnections()
			time.Sleep(time.Hour) // whoever still sleeps ends within the bubble
		}()
		time.Sleep(15 * time.Second)
		if n := w.Sockets(); n != 2 {
			t.Fatalf("%d sockets are open, want 2", n)
		}
		story(t, w, a, b)
	})
}

func TestADayWithSlack(t *testing.T) {
	withTwin(t, func(t *testing.T, w *slacktwin.Workspace, a *app, b *bot.Bot) {
		alice := w.As("UALICE").In("COPS")
		works := func(when string) {
			t.Helper()
			for range 4 { // both sockets, twice
				if r, err := alice.Command(t.Context(), "/breakglass help"); err != nil || r.Text != "heard help" {
					t.Fatalf("%s: %+v %v", when, r, err)
				}
			}
		}
		works("at first")
		for range 5 {
			time.Sleep(4 * time.Hour)
			w.DropSockets("refresh_requested")
			time.Sleep(5 * time.Second)
			works("after a refresh")
		}
		w.HangSockets()
		time.Sleep(30 * time.Second)
		works("after both sockets went silent")
		w.Outage(true)
		time.Sleep(time.Hour)
		if h := b.Health(); h.Live != 0 {
			t.Errorf("%d sockets live in an outage", h.Live)
		}
		w.Outage(false)
		time.Sleep(75 * time.Second)
		works("after an outage")
		w.DropSockets("too_many_websockets")
		time.Sleep(2 * time.Minute) // the longest pause before a socket that did not last comes back
		works("after too_many_websockets")
	})
}

func TestWhatAPersonSeesWhenItFails(t *testing.T) {
	withTwin(t, func(t *testing.T, w *slacktwin.Workspace, a *app, _ *bot.Bot) {
		alice := w.As("UALICE").In("COPS")
		a.set(0, 1)
		if r, err := alice.Command(t.Context(), "/breakglass help"); err != nil || !strings.Contains(r.Text, "nothing was recorded") {
			t.Errorf("a failed command: %+v %v", r, err)
		}
		a.set(20*time.Second, 0)
		if r, err := alice.Command(t.Context(), "/breakglass help"); err != nil || !strings.Contains(r.Text, "not certain") {
			t.Errorf("a slow command: %+v %v", r, err)
		}
		a.set(0, 0)
		if _, err := alice.Command(t.Context(), "/breakglass"); err != nil {
			t.Fatal(err)
		}
		if err := alice.Fill(t.Context(), "Reason", "the site is down"); err != nil {
			t.Fatal(err)
		}
		a.set(0, 1)
		faults, err := alice.Submit(t.Context())
		if err != nil || !strings.Contains(faults["Reason"], "nothing was recorded") {
			t.Errorf("a failed form: %v %v", faults, err)
		}
		if faults, err = alice.Submit(t.Context()); err != nil || len(faults) != 0 { // what was typed is still there
			t.Errorf("the form once more: %v %v", faults, err)
		}
		a.set(0, 2)
		if err := alice.OpenHome(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute) // Slack repeats the event until it is stored
		a.mu.Lock()
		defer a.mu.Unlock()
		if len(a.heard) != 3 {
			t.Fatalf("heard %d deliveries, want 3: %v", len(a.heard), a.heard)
		}
		if d := cmp.Diff([]string{a.heard[0], a.heard[0]}, a.heard[1:]); d != "" {
			t.Errorf("deliveries of one event have several keys: %s", d)
		}
	})
}
