package slacktwin

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// Facts of Socket Mode (docs: "Using Socket Mode"), and times Slack shows in practice.
const (
	maxSockets    = 10
	ticketLife    = 30 * time.Second
	pingEvery     = 5 * time.Second
	pongPatience  = 30 * time.Second // a socket that owes a PONG this long is taken for dead
	warningAhead  = 10 * time.Second // between the "warning" frame and the cut
	writePatience = 5 * time.Second
	ackLimit      = 20 << 10 // an acknowledgement's payload of this size or more is dropped without a word
)

// connectionsOpen gives out a ticket for one socket.
func connectionsOpen(w *Workspace, _ *call) (obj, *apiError) {
	ticket := random()
	w.tickets[ticket] = time.Now()
	url := strings.Replace(w.base(), "http", "ws", 1) + "/link/?ticket=" + ticket + "&app_id=" + w.cfg.AppID
	return obj{"url": url}, nil
}

// random makes an unguessable word.
func random() string {
	b := make([]byte, 12)
	rand.Read(b) //nolint:errcheck // never fails
	return hex.EncodeToString(b)
}

// socket is one live WebSocket of the app. Frames go through a queue and one writing goroutine, so that a peer that
// does not read never holds up the workspace.
type socket struct {
	conn   *websocket.Conn
	frames chan []byte
	once   sync.Once
	gone   chan struct{} // closed when the socket is given up

	mu     sync.Mutex
	hung   bool
	silent time.Time // when the first PING that is not answered yet went out; zero: none
}

// serveSocket upgrades the holder of a ticket and lives as long as the socket.
func (w *Workspace) serveSocket(rw http.ResponseWriter, r *http.Request) {
	ticket := r.URL.Query().Get("ticket")
	w.mu.Lock()
	made, known := w.tickets[ticket]
	delete(w.tickets, ticket) // single use, whatever comes of it
	w.mu.Unlock()
	if !known || time.Since(made) > ticketLife {
		http.Error(rw, "invalid ticket", http.StatusForbidden)
		return
	}
	up := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
	conn, err := up.Upgrade(rw, r, nil)
	if err != nil {
		return
	}
	s := &socket{conn: conn, frames: make(chan []byte, 1024), gone: make(chan struct{})}
	n, ok := w.join(s)
	if !ok {
		conn.WriteMessage(websocket.TextMessage, disconnectFrame("too_many_websockets")) //nolint:errcheck // it is refused anyway
		conn.Close()
		return
	}
	defer w.leave(s)
	s.push(helloFrame(w.cfg.AppID, n))
	go s.write()
	w.read(s)
}

// join takes a socket in and says how many there are now; false if there are ten already.
func (w *Workspace) join(s *socket) (int, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.sockets) >= maxSockets || w.ctx.Err() != nil {
		return 0, false
	}
	w.sockets = append(w.sockets, s)
	w.changed()
	return len(w.sockets), true
}

func (w *Workspace) leave(s *socket) {
	s.close()
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, other := range w.sockets {
		if other == s {
			w.sockets = append(w.sockets[:i:i], w.sockets[i+1:]...)
			break
		}
	}
	w.changed()
}

// Sockets says how many the app has open.
func (w *Workspace) Sockets() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.sockets)
}

func helloFrame(app string, n int) []byte {
	return raw(obj{"type": "hello", "num_connections": n, "connection_info": obj{"app_id": app},
		"debug_info": obj{"host": "applink-twin", "build_number": 1, "approximate_connection_time": 18060}})
}

func disconnectFrame(reason string) []byte {
	return raw(obj{"type": "disconnect", "reason": reason, "debug_info": obj{"host": "applink-twin"}})
}

// push queues a frame. A socket that cannot take it is not reading and is given up.
func (s *socket) push(frame []byte) {
	select {
	case s.frames <- frame:
	case <-s.gone:
	default:
		s.close()
	}
}

func (s *socket) close() {
	s.once.Do(func() {
		close(s.gone)
		s.conn.Close()
	})
}

// half says that the socket is half-open: the twin neither sends nor hears.
func (s *socket) half() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hung
}

// write sends queued frames, and a PING every few seconds; clients measure a connection's health by those. It gives the
// socket up when PINGs stay unanswered.
func (s *socket) write() {
	defer s.close()
	tick := time.NewTicker(pingEvery)
	defer tick.Stop()
	for {
		var err error
		select {
		case frame := <-s.frames:
			if s.half() {
				continue
			}
			s.conn.SetWriteDeadline(time.Now().Add(writePatience)) //nolint:errcheck // the write tells
			err = s.conn.WriteMessage(websocket.TextMessage, frame)
		case <-tick.C:
			if s.overdue() {
				return
			}
			if !s.half() {
				err = s.conn.WriteControl(websocket.PingMessage, []byte("Ping from applink-twin"), time.Now().Add(writePatience))
			}
		case <-s.gone:
			return
		}
		if err != nil {
			return
		}
	}
}

// overdue notes that a PING goes out and says whether an earlier one has waited too long for its PONG.
func (s *socket) overdue() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.silent.IsZero() {
		s.silent = time.Now()
	}
	return time.Since(s.silent) > pongPatience
}

// read takes acknowledgements until the socket ends. Any socket may bring any of them.
func (w *Workspace) read(s *socket) {
	s.conn.SetPongHandler(func(string) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		if !s.hung {
			s.silent = time.Time{}
		}
		return nil
	})
	s.conn.SetPingHandler(func(data string) error {
		if s.half() {
			return nil
		}
		return s.conn.WriteControl(websocket.PongMessage, []byte(data), time.Now().Add(writePatience))
	})
	for {
		_, frame, err := s.conn.ReadMessage()
		if err != nil {
			return
		}
		if s.half() {
			continue
		}
		var ack struct {
			EnvelopeID string          `json:"envelope_id"`
			Payload    json.RawMessage `json:"payload"`
		}
		if json.Unmarshal(frame, &ack) == nil {
			taken, lost := w.acknowledging(ack.EnvelopeID, ack.Payload)
			if lost {
				continue
			}
			w.acknowledged(ack.EnvelopeID, ack.Payload)
			taken()
		}
	}
}

// acknowledged hands an acknowledgement to whoever waits for it. One that is too large is dropped, as Slack drops it.
func (w *Workspace) acknowledged(envelope string, payload json.RawMessage) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(payload) >= ackLimit {
		w.refuse("ack", &apiError{code: "ack_too_large", messages: []string{"payload of 20 KB or more, dropped silently"}}, string(payload[:200]))
		return
	}
	if done := w.pending[envelope]; done != nil {
		delete(w.pending, envelope)
		done(payload)
	}
}

// DropSockets ends every socket. reason is one of Slack's ("refresh_requested", "link_disabled",
// "too_many_websockets"): a disconnect frame goes out first; "warning": the frame now, the cut ten seconds later; "":
// the line goes dead without a word.
func (w *Workspace) DropSockets(reason string) {
	w.mu.Lock()
	all := append([]*socket(nil), w.sockets...)
	w.mu.Unlock()
	for _, s := range all {
		switch reason {
		case "":
			s.close()
		case "warning":
			s.push(disconnectFrame(reason))
			time.AfterFunc(warningAhead, s.close)
		default:
			s.push(disconnectFrame(reason))
			time.AfterFunc(100*time.Millisecond, s.close) // lets the frame out
		}
	}
}

// HangSockets makes every open socket half-open: nothing arrives in either direction, and neither side is told. The
// twin gives them up when it misses their PONGs for 30 s; what it sent them until then is lost. New sockets work.
func (w *Workspace) HangSockets() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.sockets {
		s.mu.Lock()
		s.hung = true
		s.mu.Unlock()
	}
}
