// Package wire is a network that exists in memory only: listeners, dials and buffered two-way connections, with the
// faults a network has.
//
// It lets whole programs, HTTP servers and WebSocket clients included, run inside a testing/synctest bubble. There a
// real socket would freeze the clock, because a goroutine that waits for the kernel is never durably blocked; here
// every wait is on a sync.Cond or a channel of the bubble. Make the Net inside the bubble that uses it.
//
// It must not know who speaks over it.
package wire

import (
	"context"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
)

// backlog is how many connections a listener holds that nobody has accepted yet. Further dials are refused.
const backlog = 256

// Net is one network with its hosts. It is safe for concurrent use.
type Net struct {
	mu    sync.Mutex
	hosts map[string]*host
}

// host is a name on the network. It outlives its listener, so that a fault stays in force over a restart.
type host struct {
	ln    *listener
	cut   bool
	hung  bool
	awake chan struct{} // closed by Mend, so that dials held up by Hang go on; nil while not hung
	pairs map[*pair]struct{}
}

// New returns a network without hosts.
func New() *Net { return &Net{hosts: make(map[string]*host)} }

// host returns the record of a name, made at first sight. The caller holds mu.
func (n *Net) host(name string) *host {
	h := n.hosts[name]
	if h == nil {
		h = &host{pairs: make(map[*pair]struct{})}
		n.hosts[name] = h
	}
	return h
}

// Listen makes the host reachable on every port. A closed listener frees the name, so a program can be restarted;
// a second listener on a name that has one is a mistake of the test and panics.
func (n *Net) Listen(name string) net.Listener {
	n.mu.Lock()
	defer n.mu.Unlock()
	h := n.host(name)
	if h.ln != nil {
		panic("wire: " + name + " is listened on already")
	}
	h.ln = &listener{net: n, name: name, conns: make(chan net.Conn, backlog), done: make(chan struct{})}
	return h.ln
}

// DialContext has the signature that http.Transport and websocket.Dialer ask for. The port is ignored. A name without
// a listener, or one that is cut, refuses the connection as the kernel would (syscall.ECONNREFUSED); a name that hangs
// holds the dial until it is mended or ctx ends.
func (n *Net) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	name, _, err := net.SplitHostPort(address)
	if err != nil {
		name = address
	}
	for {
		conn, wait, err := n.dial(name, address)
		if err != nil {
			return nil, &net.OpError{Op: "dial", Net: network, Addr: addr(address), Err: err}
		}
		if wait == nil {
			return conn, nil
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, &net.OpError{Op: "dial", Net: network, Addr: addr(address), Err: ctx.Err()}
		}
	}
}

// dial connects, or returns a channel to wait for while the host hangs.
func (n *Net) dial(name, address string) (net.Conn, <-chan struct{}, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	h := n.host(name)
	switch {
	case h.cut, h.ln == nil && !h.hung:
		return nil, nil, os.NewSyscallError("connect", syscall.ECONNREFUSED)
	case h.hung:
		return nil, h.awake, nil
	}
	p := newPair(n, h, name, address)
	select {
	case h.ln.conns <- p.server:
	default:
		return nil, nil, os.NewSyscallError("connect", syscall.ECONNREFUSED)
	}
	h.pairs[p] = struct{}{}
	return p.client, nil, nil
}

// Cut breaks every connection of the host at both ends (ECONNRESET) and refuses new ones until Mend.
func (n *Net) Cut(name string) {
	n.mu.Lock()
	h := n.host(name)
	h.cut = true
	pairs := h.take()
	n.mu.Unlock()
	for _, p := range pairs {
		p.sever()
	}
}

// Hang makes the host fall silent without a word: what is sent arrives only after Mend, dials wait. Closing one end is
// not noticed at the other. This is what a dead NAT entry or a stopped machine looks like.
func (n *Net) Hang(name string) { n.setHung(name, true) }

// Mend ends Cut and Hang. What was sent while the host hung arrives now.
func (n *Net) Mend(name string) { n.setHung(name, false) }

func (n *Net) setHung(name string, hung bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	h := n.host(name)
	if !hung {
		h.cut = false
	}
	if h.hung == hung {
		return
	}
	h.hung = hung
	if hung {
		h.awake = make(chan struct{})
	} else {
		close(h.awake)
		h.awake = nil
	}
	for p := range h.pairs {
		p.hang(hung)
	}
}

// Conns says how many connections to the host are open.
func (n *Net) Conns(name string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.host(name).pairs)
}

// take empties the host's list of connections and returns what was in it.
func (h *host) take() []*pair {
	var all []*pair
	for p := range h.pairs {
		all = append(all, p)
	}
	clear(h.pairs)
	return all
}

// forget drops a connection whose ends are both closed.
func (n *Net) forget(h *host, p *pair) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(h.pairs, p)
}

// listener hands out the server ends of dialled connections.
type listener struct {
	net   *Net
	name  string
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, &net.OpError{Op: "accept", Net: "wire", Addr: l.Addr(), Err: net.ErrClosed}
	}
}

// Close frees the name. Connections that were accepted live on, as they do in a kernel; those nobody accepted are broken.
func (l *listener) Close() error {
	l.once.Do(func() {
		l.net.mu.Lock()
		if h := l.net.host(l.name); h.ln == l {
			h.ln = nil
		}
		l.net.mu.Unlock()
		close(l.done)
		for {
			select {
			case c := <-l.conns:
				c.(*conn).pair.sever()
			default:
				return
			}
		}
	})
	return nil
}

func (l *listener) Addr() net.Addr { return addr(l.name) }

// addr is the address of an end: a name, with a port where one was dialled.
type addr string

func (addr) Network() string  { return "wire" }
func (a addr) String() string { return string(a) }

// name of a client's end; servers log it and nothing else is done with it.
func clientAddr(name string) addr { return addr(fmt.Sprintf("client-of-%s:1", name)) }
