package bot

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
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
