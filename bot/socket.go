package bot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
	"github.com/slack-go/slack/socketmode"
)

// Reasons for which a socket is replaced, beside Slack's own ("warning", "refresh_requested", "link_disabled",
// "too_many_websockets"). They are metric labels: the list is closed.
const (
	reasonWarning = "warning"
	reasonRefresh = "refresh_requested"
	reasonOff     = "link_disabled"
	reasonTooMany = "too_many_websockets"
	reasonOther   = "other"  // a disconnect with a reason we do not know
	reasonClosed  = "closed" // Slack or the network closed it
	reasonSilent  = "silent" // nothing was heard for Config.SilentFor: half-open
	reasonNoHello = "no_hello"
	reasonOpen    = "open_failed" // apps.connections.open
	reasonDial    = "dial_failed"
)

var errNoAddress = errors.New("apps.connections.open gave no usable address")

// A socket is one connection, from the dial to the close. An envelope keeps the socket it came on, and its acknowledgement goes
// there or nowhere: on a later connection Slack would not know the envelope, and the write would still look like a success.
type socket struct {
	slot       int
	generation int // counts the connections of a slot from 1
	conn       *websocket.Conn

	write sync.Mutex // one writer of data frames at a time (gorilla/websocket)

	helloed   chan struct{} // closed with the first hello
	helloOnce sync.Once
	leaving   chan struct{} // closed when Slack said it will cut the connection
	leaveOnce sync.Once
	why       string // Slack's reason; set before leaving is closed
	done      chan struct{}
	ended     string // why the reader stopped; set before done is closed

	opened    time.Time // of the hello, by the runtime's clock
	lastFrame atomic.Int64
}

// connect opens, dials and waits for hello. On success the socket reads until it is closed.
func (b *Bot) connect(ctx context.Context, slot, generation int) (*socket, string, error) {
	b.mu.Lock()
	b.dialling++ // before Slack can count it
	b.mu.Unlock()
	s, reason, err := b.dial(ctx, slot, generation)
	b.mu.Lock()
	b.dialling--
	if err == nil {
		b.sockets[s] = struct{}{}
	}
	b.mu.Unlock()
	if err != nil {
		return nil, reason, err
	}
	go b.read(s)
	go b.ping(s)
	timer := time.NewTimer(helloWithin)
	defer timer.Stop()
	select {
	case <-s.helloed:
		return s, "", nil
	case <-s.done:
		return nil, s.ended, errors.New("the socket closed before its hello")
	case <-s.leaving: // Slack may say no before it says hello
		reason, err = s.why, errors.New("the socket was closed in place of a hello")
	case <-timer.C:
		reason, err = reasonNoHello, fmt.Errorf("no hello within %v", helloWithin)
	case <-ctx.Done():
		err = ctx.Err()
	}
	s.close()
	return nil, reason, err
}

func (b *Bot) dial(ctx context.Context, slot, generation int) (*socket, string, error) {
	_, address, err := b.api.StartSocketModeContext(ctx)
	if err != nil {
		return nil, reasonOpen, err
	}
	u, err := url.Parse(address)
	// A plain ws:// where the Web API speaks TLS would carry every click in the open.
	if err != nil || u.Host == "" || u.Scheme != "wss" && (u.Scheme != "ws" || strings.HasPrefix(b.cfg.APIURL, "https:")) {
		return nil, reasonOpen, errNoAddress
	}
	d := *b.cfg.Dialer
	if d.HandshakeTimeout == 0 {
		d.HandshakeTimeout = helloWithin
	}
	if d.WriteBufferSize == 0 {
		d.WriteBufferSize = writeBuffer
	}
	conn, resp, err := d.DialContext(ctx, address, nil)
	if err != nil {
		if resp != nil {
			return nil, reasonDial, fmt.Errorf("dial %s: %w (HTTP %d)", u.Host, err, resp.StatusCode)
		}
		// The address holds a ticket, so an error that may quote it is cut down to its cause.
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err
		}
		return nil, reasonDial, fmt.Errorf("dial %s: %w", u.Host, err)
	}
	conn.SetReadLimit(largestFrame)
	s := &socket{
		slot: slot, generation: generation, conn: conn,
		helloed: make(chan struct{}), leaving: make(chan struct{}), done: make(chan struct{}),
	}
	conn.SetPingHandler(func(data string) error {
		s.heard(b.cfg.SilentFor)
		// A pong that cannot be written shows as silence from the other side soon enough.
		_ = conn.WriteControl(websocket.PongMessage, []byte(data), time.Now().Add(writeWithin))
		return nil
	})
	conn.SetPongHandler(func(string) error { s.heard(b.cfg.SilentFor); return nil })
	return s, "", nil
}

// heard puts off the moment at which the socket counts as dead.
func (s *socket) heard(silentFor time.Duration) {
	now := time.Now()
	s.lastFrame.Store(now.UnixNano())
	_ = s.conn.SetReadDeadline(now.Add(silentFor))
}

// read is the one reader of a socket. It must never wait for a handler: while it waits no PING is answered, and Slack cuts
// the connection.
func (b *Bot) read(s *socket) {
	defer func() {
		s.conn.Close()
		b.mu.Lock()
		delete(b.sockets, s)
		b.mu.Unlock()
		close(s.done)
	}()
	for {
		s.heard(b.cfg.SilentFor)
		_, frame, err := s.conn.ReadMessage()
		if err != nil {
			s.ended = reasonClosed
			if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
				s.ended = reasonSilent
			}
			return
		}
		b.receive(s, frame)
	}
}

// receive sorts one frame.
func (b *Bot) receive(s *socket, frame []byte) {
	var req socketmode.Request
	if err := json.Unmarshal(frame, &req); err != nil {
		b.malformed(s, frame)
		return
	}
	switch req.Type {
	case socketmode.RequestTypeHello:
		b.hello(s, req)
	case socketmode.RequestTypeDisconnect:
		s.leave(req.Reason)
	default:
		b.take(s, req)
	}
}

// malformed acknowledges a frame that is no envelope as far as its id can be made out, because Slack would send it again
// and it would be no better.
func (b *Bot) malformed(s *socket, frame []byte) {
	var only struct {
		ID string `json:"envelope_id"`
	}
	_ = json.Unmarshal(frame, &only)
	b.metrics.envelopes.WithLabelValues(kindUnknown, outcomeBad).Inc()
	b.cfg.Log.Warn("a frame that is no envelope", "envelope", only.ID, "slot", s.slot, "bytes", len(frame))
	if only.ID != "" {
		go b.acknowledge(&envelope{id: only.ID, kind: kindUnknown, from: s, arrived: time.Now()}, nil)
	}
}

// hello makes the socket count as live, and compares Slack's count of connections with ours.
func (b *Bot) hello(s *socket, req socketmode.Request) {
	s.helloOnce.Do(func() {
		s.opened = time.Now()
		close(s.helloed)
	})
	b.mu.Lock()
	ours := len(b.sockets) + b.dialling
	b.mu.Unlock()
	more := max(0, req.NumConnections-ours)
	b.metrics.strangers.Set(float64(more))
	b.health.strangers(more)
	b.cfg.Log.Info("connected to Slack", "slot", s.slot, "generation", s.generation, "host", req.DebugInfo.Host,
		"connections", req.NumConnections, "lasts_about", req.DebugInfo.ApproximateConnectionTime)
	if more == 0 {
		return
	}
	b.cfg.Log.Error("Slack counts connections that are not ours: another holder of the app-level token, or a dead connection "+
		"that Slack still routes to; clicks that go there are lost", "ours", ours, "counted", req.NumConnections)
	if b.cfg.OnStranger != nil {
		go b.cfg.OnStranger(more)
	}
}

// leave notes that Slack will cut the connection.
func (s *socket) leave(reason string) {
	s.leaveOnce.Do(func() {
		switch reason {
		case reasonWarning, reasonRefresh, reasonOff, reasonTooMany:
			s.why = reason
		default:
			s.why = reasonOther
		}
		close(s.leaving)
	})
}

// ping keeps NAT and proxies from forgetting the connection and makes a dead peer show: an answer is a frame, and without
// frames the read deadline closes the socket. Slack's own PINGs are not relied on.
func (b *Bot) ping(s *socket) {
	ticker := time.NewTicker(b.cfg.PingEvery)
	defer ticker.Stop()
	for {
		select {
		case <-s.done:
			return
		case <-ticker.C:
			if err := s.conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(writeWithin)); err != nil {
				s.conn.Close() // a failed write leaves a gorilla connection unusable; the reader ends with it
				return
			}
		}
	}
}

// send writes one data frame.
func (s *socket) send(frame []byte) error {
	s.write.Lock()
	defer s.write.Unlock()
	if err := s.conn.SetWriteDeadline(time.Now().Add(writeWithin)); err != nil {
		return err
	}
	return s.conn.WriteMessage(websocket.TextMessage, frame)
}

// close says goodbye, so that Slack stops routing here at once, waits a second for the answer, and closes.
func (s *socket) close() {
	bye := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	if s.conn.WriteControl(websocket.CloseMessage, bye, time.Now().Add(time.Second)) == nil {
		timer := time.NewTimer(time.Second)
		defer timer.Stop()
		select {
		case <-s.done:
		case <-timer.C:
		}
	}
	s.conn.Close()
	<-s.done
}
