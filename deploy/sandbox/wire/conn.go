package wire

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// window is how many bytes may be on their way in one direction before a writer has to wait, as with TCP.
const window = 1 << 20

// pair is one connection with its two ends.
type pair struct {
	net            *Net
	host           *host
	client, server *conn
	mu             sync.Mutex
	open           int
}

// newPair makes a connection whose ends read what the other writes. The window between them is needed: with the
// unbuffered net.Pipe a WebSocket's PONG, written from the reading goroutine, waits for a peer that waits for it.
func newPair(n *Net, h *host, name, address string) *pair {
	up, down := newStream(), newStream()
	p := &pair{net: n, host: h, open: 2}
	p.client = &conn{pair: p, in: down, out: up, local: clientAddr(name), remote: addr(address)}
	p.server = &conn{pair: p, in: up, out: down, local: addr(address), remote: clientAddr(name)}
	return p
}

// sever ends the connection at both ends at once.
func (p *pair) sever() {
	p.client.in.fail(syscall.ECONNRESET)
	p.client.out.fail(syscall.ECONNRESET)
	p.net.forget(p.host, p)
}

func (p *pair) hang(on bool) {
	p.client.in.hang(on)
	p.client.out.hang(on)
}

// closed counts the ends; the network forgets the connection with the second.
func (p *pair) closed() {
	p.mu.Lock()
	p.open--
	gone := p.open == 0
	p.mu.Unlock()
	if gone {
		p.net.forget(p.host, p)
	}
}

// conn is one end.
type conn struct {
	pair          *pair
	in, out       *stream
	local, remote addr
	once          sync.Once
}

func (c *conn) Read(b []byte) (int, error) {
	n, err := c.in.read(b)
	return n, c.wrap("read", err)
}

func (c *conn) Write(b []byte) (int, error) {
	n, err := c.out.write(b)
	return n, c.wrap("write", err)
}

// wrap dresses an error as package net does. io.EOF stays bare, since readers compare it.
func (c *conn) wrap(op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return &net.OpError{Op: op, Net: "wire", Source: c.local, Addr: c.remote, Err: err}
}

// Close ends this end: its own reads and writes fail, the peer reads what is on the way and then io.EOF.
func (c *conn) Close() error {
	c.once.Do(func() {
		c.in.closeReader()
		c.out.closeWriter()
		c.pair.closed()
	})
	return nil
}

func (c *conn) LocalAddr() net.Addr  { return c.local }
func (c *conn) RemoteAddr() net.Addr { return c.remote }

func (c *conn) SetDeadline(t time.Time) error {
	c.in.setReadDeadline(t)
	c.out.setWriteDeadline(t)
	return nil
}

func (c *conn) SetReadDeadline(t time.Time) error  { c.in.setReadDeadline(t); return nil }
func (c *conn) SetWriteDeadline(t time.Time) error { c.out.setWriteDeadline(t); return nil }

// stream carries bytes one way.
type stream struct {
	mu         sync.Mutex
	cond       *sync.Cond
	buf        []byte
	hung       bool
	writerGone bool  // the writing end was closed
	readerGone bool  // the reading end was closed
	err        error // the connection was cut
	readBy     deadline
	writeBy    deadline
}

func newStream() *stream {
	s := &stream{}
	s.cond = sync.NewCond(&s.mu)
	return s
}

func (s *stream) read(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.readerGone:
			return 0, net.ErrClosed
		case s.err != nil:
			return 0, s.err
		case s.readBy.passed():
			return 0, os.ErrDeadlineExceeded
		case len(b) == 0:
			return 0, nil
		case s.hung:
		case len(s.buf) > 0:
			n := copy(b, s.buf)
			s.buf = s.buf[n:]
			if len(s.buf) == 0 {
				s.buf = nil
			}
			s.cond.Broadcast()
			return n, nil
		case s.writerGone:
			return 0, io.EOF
		}
		s.cond.Wait()
	}
}

func (s *stream) write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	done := 0
	for {
		switch {
		case s.writerGone:
			return done, net.ErrClosed
		case s.err != nil:
			return done, s.err
		case s.writeBy.passed():
			return done, os.ErrDeadlineExceeded
		case s.readerGone && !s.hung:
			return done, syscall.EPIPE
		}
		if room := window - len(s.buf); room > 0 {
			n := min(room, len(b)-done)
			s.buf = append(s.buf, b[done:done+n]...)
			done += n
			s.cond.Broadcast()
		}
		if done == len(b) {
			return done, nil
		}
		s.cond.Wait()
	}
}

// change runs f under the lock and wakes whoever waits.
func (s *stream) change(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
	s.cond.Broadcast()
}

func (s *stream) hang(on bool)                 { s.change(func() { s.hung = on }) }
func (s *stream) closeWriter()                 { s.change(func() { s.writerGone = true }) }
func (s *stream) closeReader()                 { s.change(func() { s.readerGone = true }) }
func (s *stream) setReadDeadline(t time.Time)  { s.change(func() { s.readBy.set(t, s.wake) }) }
func (s *stream) setWriteDeadline(t time.Time) { s.change(func() { s.writeBy.set(t, s.wake) }) }
func (s *stream) wake()                        { s.change(func() {}) }

// fail ends the stream for both ends, unless it has ended already.
func (s *stream) fail(err error) {
	s.change(func() {
		if s.err == nil {
			s.err = err
		}
	})
}

// deadline is a moment after which waiting is over; the zero value is none.
type deadline struct {
	at    time.Time
	timer *time.Timer
}

func (d *deadline) passed() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }

// set moves the deadline. wake is called when it passes, so that a waiting goroutine looks again.
func (d *deadline) set(t time.Time, wake func()) {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	d.at = t
	if left := time.Until(t); !t.IsZero() && left > 0 {
		d.timer = time.AfterFunc(left, wake)
	}
}
