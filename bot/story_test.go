package bot

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"breakglass/deploy/sandbox/wire"

	"github.com/gorilla/websocket"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/slack-go/slack"
	"github.com/slack-go/slack/slackevents"
)

// handlerFuncs is a Handler made of functions; those that are nil answer at once.
type handlerFuncs struct {
	command     func(context.Context, slack.SlashCommand) (any, error)
	interaction func(context.Context, slack.InteractionCallback, string) (any, error)
	event       func(context.Context, slackevents.EventsAPIEvent, string) error
}

func (h handlerFuncs) Command(ctx context.Context, c slack.SlashCommand) (any, error) {
	if h.command == nil {
		return nil, nil
	}
	return h.command(ctx, c)
}

func (h handlerFuncs) Interaction(ctx context.Context, in slack.InteractionCallback, delivery string) (any, error) {
	if h.interaction == nil {
		return nil, nil
	}
	return h.interaction(ctx, in, delivery)
}

func (h handlerFuncs) Event(ctx context.Context, ev slackevents.EventsAPIEvent, delivery string) error {
	if h.event == nil {
		return nil
	}
	return h.event(ctx, ev, delivery)
}

// A world is a bot and its Slack on a network in memory, inside a bubble.
type world struct {
	*fakeSlack
	t    *testing.T
	net  *wire.Net
	bot  *Bot
	reg  *prometheus.Registry
	logs *lockedBuffer
	stop context.CancelFunc
	ran  chan error
}

type lockedBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.String()
}

// story runs a test inside a bubble with a bot that has one socket, unless change says otherwise. When the story ends the bot
// must end too, and whatever was logged must hold no secret.
func story(t *testing.T, h Handler, change func(*Config, *fakeSlack), tell func(*testing.T, *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		network := wire.New()
		w := &world{t: t, net: network, reg: prometheus.NewRegistry(), logs: &lockedBuffer{}, ran: make(chan error, 1)}
		w.fakeSlack = newFake(t, network.Listen("slack"), "slack")
		transport := &http.Transport{DialContext: network.DialContext}
		cfg := Config{
			BotToken: botToken, AppToken: appToken, APIURL: w.url,
			HTTP:     &http.Client{Transport: transport},
			Dialer:   &websocket.Dialer{NetDialContext: network.DialContext},
			Log:      slog.New(slog.NewTextHandler(w.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
			Registry: w.reg, Sockets: 1,
		}
		if change != nil {
			change(&cfg, w.fakeSlack)
		}
		b, err := New(cfg, h)
		if err != nil {
			t.Fatal(err)
		}
		w.bot = b
		ctx, cancel := context.WithCancel(t.Context())
		w.stop = cancel
		go func() { w.ran <- b.Run(ctx) }()
		synctest.Wait()
		defer func() {
			w.end()
			network.Mend("slack")
			w.close()
			transport.CloseIdleConnections()
			w.after(time.Minute) // for whoever still sleeps: the clock of a bubble stops with its test
			w.noSecrets()
		}()
		tell(t, w)
	})
}

// end stops the bot, if it has not ended by itself, and returns what Run returned.
func (w *world) end() error {
	w.stop()
	err := <-w.ran
	w.ran <- err
	return err
}

// ended is what Run returned by itself.
func (w *world) ended() error {
	w.t.Helper()
	select {
	case err := <-w.ran:
		w.ran <- err
		return err
	case <-time.After(time.Minute):
		w.t.Fatal("Run goes on")
		return nil
	}
}

func (w *world) noSecrets() {
	w.t.Helper()
	for line := range strings.Lines(w.logs.String()) {
		if strings.Contains(line, "SECRET") || strings.Contains(line, "hooks.slack.com") {
			w.t.Errorf("a secret was logged: %s", line)
		}
	}
}

// after lets time pass.
func (w *world) after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (w *world) acked(id string) fakeAck {
	w.t.Helper()
	synctest.Wait()
	a, ok := w.ack(id)
	if !ok {
		w.t.Fatalf("%s was not acknowledged", id)
	}
	if a.times != 1 {
		w.t.Errorf("%s was acknowledged %d times", id, a.times)
	}
	return a
}

func (w *world) unacked(id string) {
	w.t.Helper()
	synctest.Wait()
	if a, ok := w.ack(id); ok {
		w.t.Errorf("%s was acknowledged with %s", id, a.payload)
	}
}

func (w *world) metric(name string, labels ...string) float64 {
	w.t.Helper()
	families, err := w.reg.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	var sum float64
	for _, f := range families {
		if f.GetName() != prefix+name {
			continue
		}
		for _, m := range f.GetMetric() {
			var got []string
			for _, l := range m.GetLabel() {
				got = append(got, l.GetName()+"="+l.GetValue())
			}
			if all := strings.Join(got, ","); matches(all, labels) {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return sum
}

func matches(all string, labels []string) bool {
	for _, l := range labels {
		if !strings.Contains(","+all+",", ","+l+",") {
			return false
		}
	}
	return true
}

func sentenceIn(t *testing.T, payload json.RawMessage) string {
	t.Helper()
	var m struct {
		Type string `json:"response_type"`
		Text string `json:"text"`
	}
	if err := json.Unmarshal(payload, &m); err != nil || m.Type != "ephemeral" {
		t.Fatalf("not an ephemeral message: %s", payload)
	}
	return m.Text
}
