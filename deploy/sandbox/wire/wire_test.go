package wire_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"breakglass/deploy/sandbox/wire"
)

// bubble runs f with a network on which "server" serves h.
func bubble(t *testing.T, h http.Handler, f func(t *testing.T, n *wire.Net, c *http.Client)) {
	synctest.Test(t, func(t *testing.T) {
		n := wire.New()
		srv := &http.Server{Handler: h}
		go srv.Serve(n.Listen("server"))
		tr := &http.Transport{DialContext: n.DialContext}
		f(t, n, &http.Client{Transport: tr})
		tr.CloseIdleConnections()
		srv.Close()
		time.Sleep(time.Minute) // what still sleeps at the other end (net/http lingers, the pinger pauses) ends here
	})
}

// net/http works at both ends, keep-alive and big bodies included, and hours pass at once.
func TestHTTP(t *testing.T) {
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(time.Hour)
		body, _ := io.ReadAll(r.Body) // first all of it: HTTP/1 servers do not read on once they have begun to answer
		w.Write(body)
	})
	bubble(t, echo, func(t *testing.T, n *wire.Net, c *http.Client) {
		body, start := bytes.Repeat([]byte("breakglass"), 400_000), time.Now() // past the window in both directions
		for range 3 {
			resp, err := c.Post("http://server/", "text/plain", bytes.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(resp.Body)
			if err != nil || !bytes.Equal(got, body) {
				t.Fatalf("%d bytes came back of %d, error %v", len(got), len(body), err)
			}
			resp.Body.Close()
		}
		if d := time.Since(start); d != 3*time.Hour {
			t.Errorf("took %v of the bubble's time, want 3h", d)
		}
		if n.Conns("server") != 1 {
			t.Errorf("%d connections, want one kept alive", n.Conns("server"))
		}
	})
}

// A WebSocket with pings in both directions lives for a day, and nothing deadlocks.
func TestWebSocket(t *testing.T) {
	var pings atomic.Int64
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := (&websocket.Upgrader{}).Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer c.Close()
		go func() {
			for c.WriteControl(websocket.PingMessage, nil, time.Now().Add(time.Second)) == nil {
				time.Sleep(5 * time.Second)
			}
		}()
		for {
			kind, msg, err := c.ReadMessage()
			if err != nil || c.WriteMessage(kind, msg) != nil {
				return
			}
		}
	})
	bubble(t, h, func(t *testing.T, n *wire.Net, _ *http.Client) {
		d := websocket.Dialer{NetDialContext: n.DialContext}
		c, _, err := d.Dial("ws://server/link", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetPingHandler(func(data string) error {
			pings.Add(1)
			return c.WriteControl(websocket.PongMessage, []byte(data), time.Now().Add(time.Second))
		})
		read := make(chan string, 1)
		go func() {
			defer close(read)
			for {
				_, msg, err := c.ReadMessage()
				if err != nil {
					return
				}
				read <- string(msg)
			}
		}()
		for range 24 {
			time.Sleep(time.Hour)
			if err := c.WriteMessage(websocket.TextMessage, []byte("still here")); err != nil {
				t.Fatal(err)
			}
			if got := <-read; got != "still here" {
				t.Fatalf("got %q", got)
			}
		}
		if got := pings.Load(); got < 24*720 {
			t.Errorf("%d pings in a day, want one each 5 s", got)
		}
		n.Cut("server")
		if _, open := <-read; open {
			t.Error("the reader outlived the cut")
		}
	})
}

// Nobody there, cut, mended: dials are refused as by a kernel, and connections break at both ends.
func TestRefusedAndCut(t *testing.T) {
	ok := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {})
	bubble(t, ok, func(t *testing.T, n *wire.Net, c *http.Client) {
		if _, err := c.Get("http://nobody/"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("unknown host: %v", err)
		}
		conn, err := n.DialContext(t.Context(), "tcp", "server:80")
		if err != nil {
			t.Fatal(err)
		}
		n.Cut("server")
		if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("read after the cut: %v", err)
		}
		if _, err := c.Get("http://server/"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("get after the cut: %v", err)
		}
		n.Mend("server")
		if resp, err := c.Get("http://server/"); err != nil {
			t.Errorf("get after mending: %v", err)
		} else {
			resp.Body.Close()
		}
	})
}

// A host that hangs says nothing; what was sent arrives when it is mended.
func TestHang(t *testing.T) {
	hello := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") })
	bubble(t, hello, func(t *testing.T, n *wire.Net, c *http.Client) {
		n.Hang("server")
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		req, _ := http.NewRequestWithContext(ctx, "GET", "http://server/", nil)
		if _, err := c.Do(req); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a hung dial ended with %v", err)
		}
		time.AfterFunc(time.Hour, func() { n.Mend("server") })
		start := time.Now()
		resp, err := c.Get("http://server/")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if d := time.Since(start); d != time.Hour {
			t.Errorf("answered after %v, want 1h", d)
		}
	})
}

// Deadlines wake whoever waits, and only then.
func TestDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := wire.New()
		ln := n.Listen("server")
		defer ln.Close()
		client, err := n.DialContext(t.Context(), "tcp", "server")
		if err != nil {
			t.Fatal(err)
		}
		server, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		client.SetReadDeadline(start.Add(time.Minute))
		if _, err := client.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != time.Minute {
			t.Errorf("read: %v after %v", err, time.Since(start))
		}
		client.SetReadDeadline(time.Time{})
		client.SetWriteDeadline(time.Now().Add(time.Minute))
		if _, err := client.Write(make([]byte, 2<<20)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("write past the window: %v", err)
		}
		server.Close()
		client.SetWriteDeadline(time.Time{})
		if _, err := client.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
			t.Errorf("write to a closed peer: %v", err)
		}
		if _, err := client.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("read from a closed peer: %v", err)
		}
		client.Close()
		if _, err := client.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("read from the closed end: %v", err)
		}
		if n.Conns("server") != 0 {
			t.Error("a closed connection is still counted")
		}
	})
}

// A connection that was open when the host began to hang carries nothing either way, a close included, until it is
// mended.
func TestHangOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := wire.New()
		ln := n.Listen("server")
		defer ln.Close()
		client, err := n.DialContext(t.Context(), "tcp", "server:80")
		if err != nil {
			t.Fatal(err)
		}
		server, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		n.Hang("server")
		server.Write([]byte("late"))
		server.Close()
		client.SetReadDeadline(time.Now().Add(time.Hour))
		if _, err := client.Read(make([]byte, 4)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("read while it hangs: %v", err)
		}
		if _, err := client.Write([]byte("x")); err != nil {
			t.Errorf("write while it hangs: %v", err)
		}
		n.Mend("server")
		client.SetReadDeadline(time.Time{})
		if got, err := io.ReadAll(client); string(got) != "late" || err != nil {
			t.Errorf("read after mending: %q, %v", got, err)
		}
		client.Close()
	})
}
