package slacktwin_test

import (
	"context"
	"encoding/json"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"
	"github.com/slack-go/slack"
	"github.com/slack-go/slack/slackevents"
	"github.com/slack-go/slack/socketmode"

	"breakglass/deploy/sandbox/slacktwin"
	"breakglass/deploy/sandbox/wire"
)

// world is a workspace with a few people, and an app written with slack-go, which shares no code with the twin.
type world struct {
	*slacktwin.Workspace
	api    *slack.Client
	socket *socketmode.Client
	net    *wire.Net
	alice  *slacktwin.Person // the requester
	bob    *slacktwin.Person // the manager
	ops    string            // a channel with both and the bot
	stop   func()            // takes the app away

	mu        sync.Mutex
	onCommand func(slack.SlashCommand) any
	onAction  func(slack.InteractionCallback) any
	onEvent   func(slackevents.EventsAPIEvent)
	seen      []socketmode.Event
}

// people of every world.
func (w *world) people() {
	w.AddUser(slacktwin.User{ID: "UALICE", Name: "alice", RealName: "Alice Ames", Email: "alice@forge.example", EmailConfirmed: true, TZ: "America/New_York"})
	w.AddUser(slacktwin.User{ID: "UBOB", Name: "bob", RealName: "Bob Bern", Email: "bob@forge.example", EmailConfirmed: true, TZ: "Europe/Berlin"})
	w.ops = w.AddChannel(slacktwin.Channel{ID: "COPS", Name: "platform-support", Members: []string{"UALICE", "UBOB", w.BotUserID()}})
	w.alice, w.bob = w.As("UALICE").In(w.ops), w.As("UBOB").In(w.ops)
}

// inBubble runs a story on an in-memory network, where hours pass in no time.
func inBubble(t *testing.T, cfg slacktwin.Config, story func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{Workspace: slacktwin.New(cfg), net: wire.New()}
		w.people()
		srv := &http.Server{Handler: w, ErrorLog: log.New(t.Output(), "", 0)}
		go srv.Serve(w.net.Listen("slack.test"))
		tr := &http.Transport{DialContext: w.net.DialContext}
		w.api = slack.New("xoxb-twin", slack.OptionAppLevelToken("xapp-twin"), slack.OptionAPIURL("http://slack.test/api/"),
			slack.OptionHTTPClient(&http.Client{Transport: tr}))
		w.stop = w.run(socketmode.OptionDialer(&websocket.Dialer{NetDialContext: w.net.DialContext}))
		story(t, w)
		w.stop()
		w.Close()
		srv.Close()
		tr.CloseIdleConnections()
		time.Sleep(time.Hour) // whatever still sleeps ends within the bubble
	})
}

// onLoopback runs a story over real sockets.
func onLoopback(t *testing.T, story func(t *testing.T, w *world)) {
	t.Helper()
	w := &world{Workspace: slacktwin.New(slacktwin.Config{})}
	w.people()
	srv := httptest.NewServer(w)
	defer srv.Close()
	defer w.Close()
	w.api = slack.New("xoxb-twin", slack.OptionAppLevelToken("xapp-twin"), slack.OptionAPIURL(srv.URL+"/api/"))
	stop := w.run()
	defer stop()
	story(t, w)
}

// run connects the app and handles what comes until the returned function is called.
func (w *world) run(opts ...socketmode.Option) func() {
	ctx, cancel := context.WithCancel(context.Background())
	w.socket = socketmode.New(w.api, append(opts, socketmode.OptionLog(log.New(discard{}, "", 0)))...)
	var wg sync.WaitGroup
	wg.Go(func() { w.socket.RunContext(ctx) })
	wg.Go(func() {
		for {
			select {
			case ev := <-w.socket.Events:
				go w.handle(ctx, ev)
			case <-ctx.Done():
				return
			}
		}
	})
	w.WaitFor(ctx, func() bool { return w.Sockets() == 1 })
	return func() {
		cancel()
		wg.Wait()
		w.WaitFor(context.Background(), func() bool { return w.Sockets() == 0 })
	}
}

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }

// handle acknowledges with what the story's handler returns; a handler that returns noAck leaves it out.
func (w *world) handle(ctx context.Context, ev socketmode.Event) {
	w.mu.Lock()
	w.seen = append(w.seen, ev)
	onCommand, onAction, onEvent := w.onCommand, w.onAction, w.onEvent
	w.mu.Unlock()
	var answer any
	switch data := ev.Data.(type) {
	case slack.SlashCommand:
		if onCommand != nil {
			answer = onCommand(data)
		}
	case slack.InteractionCallback:
		if onAction != nil {
			answer = onAction(data)
		}
	case slackevents.EventsAPIEvent:
		if onEvent != nil {
			onEvent(data)
		}
	default:
		return
	}
	if answer == noAck {
		return
	}
	w.socket.AckCtx(ctx, ev.Request.EnvelopeID, answer)
}

// commands, actions and listen say what the app does from now on.
func (w *world) commands(f func(slack.SlashCommand) any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.onCommand = f
}

func (w *world) actions(f func(slack.InteractionCallback) any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.onAction = f
}

func (w *world) listen(f func(slackevents.EventsAPIEvent)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.onEvent = f
}

// pause lets time pass and whatever it sets off come to rest.
func pause(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// noAck says that the app stays silent.
const noAck = "no acknowledgement"

// got returns the events of a kind the app has seen.
func (w *world) got(kind socketmode.EventType) []socketmode.Event {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []socketmode.Event
	for _, ev := range w.seen {
		if ev.Type == kind {
			out = append(out, ev)
		}
	}
	return out
}

// clean demands that nothing the app sent was refused.
func (w *world) clean(t *testing.T) {
	t.Helper()
	for _, r := range w.Refusals() {
		t.Errorf("refused: %s: %s (%s)", r.Method, r.Error, r.Detail)
	}
}

// post sends a message and returns its ts.
func (w *world) post(t *testing.T, channel string, opts ...slack.MsgOption) string {
	t.Helper()
	_, ts, err := w.api.PostMessageContext(t.Context(), channel, opts...)
	if err != nil {
		t.Fatalf("posting: %v", err)
	}
	return ts
}

// decode reads JSON into a value the test wrote down.
func decode[T any](t *testing.T, s string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(s), &v); err != nil {
		t.Fatalf("%v in %s", err, s)
	}
	return v
}

// want compares.
func want[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// has demands that a text contains others.
func has(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("no %q in %q", p, text)
		}
	}
}

// refusedOnly demands exactly these refusals, in order.
func (w *world) refusedOnly(t *testing.T, codes ...string) {
	t.Helper()
	var got []string
	for _, r := range w.Refusals() {
		got = append(got, r.Error)
	}
	if !slices.Equal(got, codes) {
		t.Errorf("refused %q, want %q", got, codes)
	}
}
