package bot

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
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

// Secrets that no log line may hold.
const (
	botToken  = "xoxb-SECRET"
	appToken  = "xapp-SECRET"
	trigger   = "13345224609.SECRETTRIGGER"
	typedText = "SECRETTEXT because the payment queue is stuck"
)

// fakeSlack is Slack's end of Socket Mode, as small as the protocol allows: apps.connections.open with single-use tickets, hello,
// PINGs, envelopes, acknowledgements, disconnects.
type fakeSlack struct {
	t   testing.TB
	url string // of the Web API
	ws  string
	srv *http.Server

	mu      sync.Mutex
	tickets map[string]bool
	serial  int
	conns   []*fakeConn        // all that ever were
	acks    map[string]fakeAck // by envelope id
	opens   []time.Time

	refuse string                                                 // error of apps.connections.open
	door   func(c *fakeConn) bool                                 // false: no hello
	slow   time.Duration                                          // how long apps.connections.open takes
	count  func() int                                             // num_connections, if not the true one
	call   func(w http.ResponseWriter, r *http.Request, m string) // any other method
	heard  func(id string)                                        // told of each acknowledgement
}

// A fakeConn is one socket as Slack sees it.
type fakeConn struct {
	n     int
	fake  *fakeSlack
	ws    *websocket.Conn
	write sync.Mutex
	gone  chan struct{}
	code  int // close code that the other side sent, or -1
	quiet chan struct{}
}

type fakeAck struct {
	conn    int
	at      time.Time
	payload json.RawMessage
	times   int
}

func newFake(t testing.TB, ln net.Listener, host string) *fakeSlack {
	f := &fakeSlack{
		t: t, url: "http://" + host + "/api", ws: "ws://" + host + "/link/?ticket=",
		tickets: map[string]bool{}, acks: map[string]fakeAck{},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/api/apps.connections.open", f.open)
	mux.HandleFunc("/link/", f.link)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if f.call != nil {
			f.call(w, r, strings.TrimPrefix(r.URL.Path, "/api/"))
		}
	})
	f.srv = &http.Server{Handler: mux}
	go f.srv.Serve(ln)
	return f
}

func (f *fakeSlack) close() {
	f.srv.Close()
	for _, c := range f.all() {
		c.ws.Close()
		<-c.gone
	}
}

func (f *fakeSlack) open(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.opens = append(f.opens, time.Now())
	f.serial++
	ticket := fmt.Sprintf("TICKETSECRET%d", f.serial)
	f.tickets[ticket] = true
	refuse, slow := f.refuse, f.slow
	f.mu.Unlock()
	time.Sleep(slow)
	if r.Header.Get("Authorization") != "Bearer "+appToken {
		refuse = "not_authed"
	}
	if refuse != "" {
		reply(w, map[string]any{"ok": false, "error": refuse})
		return
	}
	reply(w, map[string]any{"ok": true, "url": f.ws + ticket})
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	json.NewEncoder(w).Encode(v)
}

func (f *fakeSlack) link(w http.ResponseWriter, r *http.Request) {
	ticket := r.URL.Query().Get("ticket")
	f.mu.Lock()
	known := f.tickets[ticket]
	delete(f.tickets, ticket)
	f.mu.Unlock()
	if !known {
		http.Error(w, "no ticket", http.StatusForbidden)
		return
	}
	ws, err := (&websocket.Upgrader{}).Upgrade(w, r, nil)
	if err != nil {
		return
	}
	c := &fakeConn{fake: f, ws: ws, gone: make(chan struct{}), code: -1, quiet: make(chan struct{})}
	ws.SetPingHandler(c.pong)
	f.mu.Lock()
	c.n = len(f.conns) + 1
	f.conns = append(f.conns, c)
	door, count := f.door, f.count
	f.mu.Unlock()
	n := len(f.alive())
	if count != nil {
		n = count()
	}
	if door == nil || door(c) {
		c.send(map[string]any{"type": "hello", "num_connections": n, "connection_info": map[string]any{"app_id": "A1"},
			"debug_info": map[string]any{"host": "applink-1", "approximate_connection_time": 3600}})
	}
	go c.pings()
	c.read()
}

// pings every two seconds, as Slack does.
func (c *fakeConn) pings() {
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-c.gone:
			return
		case <-c.quiet:
			return
		case <-tick.C:
			c.ws.WriteControl(websocket.PingMessage, []byte("Ping from applink-1"), time.Now().Add(time.Second))
		}
	}
}

func (c *fakeConn) read() {
	defer close(c.gone)
	defer c.ws.Close()
	for {
		_, msg, err := c.ws.ReadMessage()
		select {
		case <-c.quiet: // half-open: what arrives goes nowhere, and nothing ends
			for err == nil {
				_, _, err = c.ws.ReadMessage()
			}
			return
		default:
		}
		if err != nil {
			if e, ok := err.(*websocket.CloseError); ok {
				c.code = e.Code
			}
			return
		}
		var ack acknowledgement
		if err := json.Unmarshal(msg, &ack); err != nil || ack.EnvelopeID == "" {
			c.fake.t.Errorf("Slack got a frame that is no acknowledgement: %s", msg)
			continue
		}
		c.fake.mu.Lock()
		had := c.fake.acks[ack.EnvelopeID]
		c.fake.acks[ack.EnvelopeID] = fakeAck{c.n, time.Now(), ack.Payload, had.times + 1}
		c.fake.mu.Unlock()
		if c.fake.heard != nil {
			c.fake.heard(ack.EnvelopeID)
		}
	}
}

// mute makes the connection half-open: this end hears and says nothing any more, and does not close.
func (c *fakeConn) mute() { close(c.quiet) }

// pong answers a PING, unless the connection is half-open.
func (c *fakeConn) pong(data string) error {
	select {
	case <-c.quiet:
		return nil
	default:
		return c.ws.WriteControl(websocket.PongMessage, []byte(data), time.Now().Add(time.Second))
	}
}

func (c *fakeConn) send(v any) {
	js, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	c.raw(string(js))
}

func (c *fakeConn) raw(s string) {
	c.write.Lock()
	defer c.write.Unlock()
	c.ws.WriteMessage(websocket.TextMessage, []byte(s))
}

func (c *fakeConn) disconnect(reason string) {
	c.send(map[string]any{"type": "disconnect", "reason": reason, "debug_info": map[string]any{"host": "applink-1"}})
}

func (f *fakeSlack) all() []*fakeConn {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]*fakeConn(nil), f.conns...)
}

func (f *fakeSlack) alive() []*fakeConn {
	var open []*fakeConn
	for _, c := range f.all() {
		select {
		case <-c.gone:
		default:
			open = append(open, c)
		}
	}
	return open
}

// one is the only open connection.
func (f *fakeSlack) one() *fakeConn {
	f.t.Helper()
	open := f.alive()
	if len(open) != 1 {
		f.t.Fatalf("%d connections are open, want 1", len(open))
	}
	return open[0]
}

func (f *fakeSlack) ack(id string) (fakeAck, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	a, ok := f.acks[id]
	return a, ok
}

func (f *fakeSlack) opened() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.opens)
}

// Envelopes, with the fields Slack sends.

func envelopeOf(id, outer string, payload any) map[string]any {
	return map[string]any{"envelope_id": id, "type": outer, "payload": payload, "accepts_response_payload": outer == "slash_commands"}
}

func command(id string) map[string]any {
	return envelopeOf(id, "slash_commands", map[string]any{
		"token": "t", "team_id": "T1", "user_id": "U1", "command": "/breakglass", "text": typedText,
		"trigger_id": trigger, "response_url": "https://hooks.slack.com/commands/T1/1/SECRETURL", "is_enterprise_install": "false",
	})
}

func click(id, user, ts string) map[string]any {
	return envelopeOf(id, "interactive", map[string]any{
		"type": "block_actions", "user": map[string]any{"id": user, "team_id": "T1"}, "trigger_id": trigger,
		"response_url": "https://hooks.slack.com/actions/T1/1/SECRETURL",
		"container":    map[string]any{"type": "message", "message_ts": "1700000000.000100", "channel_id": "C1"},
		"actions":      []any{map[string]any{"type": "button", "block_id": "b", "action_id": "approve", "value": "BG-1", "action_ts": ts}},
	})
}

func submission(id string, withInput bool) map[string]any {
	blocks := []any{map[string]any{"type": "section", "block_id": "head", "text": map[string]any{"type": "mrkdwn", "text": "x"}}}
	if withInput {
		blocks = append(blocks, map[string]any{
			"type": "input", "block_id": "reason", "label": map[string]any{"type": "plain_text", "text": "Reason"},
			"element": map[string]any{"type": "plain_text_input", "action_id": "reason"},
		})
	}
	return envelopeOf(id, "interactive", map[string]any{
		"type": "view_submission", "user": map[string]any{"id": "U1"}, "trigger_id": trigger,
		"view": map[string]any{"id": "V1", "type": "modal", "hash": "1.a", "blocks": blocks, "state": map[string]any{
			"values": map[string]any{"reason": map[string]any{"reason": map[string]any{"type": "plain_text_input", "value": typedText}}},
		}},
	})
}

func homeOpened(id, eventID string) map[string]any {
	return envelopeOf(id, "events_api", map[string]any{
		"type": "event_callback", "team_id": "T1", "api_app_id": "A1", "event_id": eventID,
		"event": map[string]any{"type": "app_home_opened", "user": "U1", "channel": "D1", "tab": "home", "event_ts": "1.2"},
	})
}

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
func story(t *testing.T, h Handler, change func(*Config, *fakeSlack), tell func(*world)) {
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
			synctest.Wait()
			w.noSecrets()
		}()
		tell(w)
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
