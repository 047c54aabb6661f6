package bot

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slack-go/slack"
	"github.com/slack-go/slack/slackevents"
)

func TestDroppedConnection(t *testing.T) {
	h := handlerFuncs{interaction: func(context.Context, slack.InteractionCallback, string) (any, error) {
		time.Sleep(2 * time.Second)
		return nil, nil
	}}
	story(t, h, nil, func(t *testing.T, w *world) {
		w.after(time.Minute)
		first := w.one()
		first.send(click("orphan", "U1", "1.1"))
		w.after(100 * time.Millisecond)
		first.ws.Close()
		w.after(time.Second)
		second := w.one()
		if second.n != 2 {
			t.Fatalf("connection %d is open, want the second", second.n)
		}
		w.after(5 * time.Second)
		w.unacked("orphan") // its socket is gone, and the next one is not for it
		if n := w.metric("acks_lost_total"); n != 1 {
			t.Errorf("%v lost acknowledgements counted", n)
		}
		second.send(command("next"))
		w.acked("next")
		if n := w.metric("reconnects_total", "reason=closed"); n != 1 {
			t.Errorf("%v reconnects counted", n)
		}
	})
}

// A half-open socket: Slack's end hears and says nothing, and nobody closes.
func TestHalfOpenConnection(t *testing.T) {
	story(t, handlerFuncs{}, nil, func(t *testing.T, w *world) {
		w.after(time.Minute)
		w.one().mute()
		w.after(14 * time.Second)
		if n := len(w.all()); n != 1 {
			t.Fatalf("redialled after 14 s")
		}
		w.after(5 * time.Second)
		if n := w.metric("reconnects_total", "reason=silent"); n != 1 {
			t.Errorf("%v silent sockets counted, want 1", n)
		}
		if n := len(w.all()); n != 2 {
			t.Fatalf("%d connections, want a second one", n)
		}
		w.all()[1].send(command("next"))
		w.acked("next")
	})
}

// The network is silent for an hour: no socket is live, that is said, and all is well again when it is back.
func TestNetworkFallsSilent(t *testing.T) {
	story(t, handlerFuncs{}, func(c *Config, _ *fakeSlack) { c.Sockets = 2 }, func(t *testing.T, w *world) {
		w.after(time.Minute)
		if h := w.bot.Health(); h.Live != 2 || w.bot.checkSockets(t.Context()) != nil {
			t.Fatalf("not ready: %+v", h)
		}
		w.net.Hang("slack")
		w.after(20 * time.Second)
		if h := w.bot.Health(); h.Live != 0 || w.bot.checkSockets(t.Context()) == nil {
			t.Errorf("ready without a network: %+v", h)
		}
		w.after(time.Hour)
		w.net.Mend("slack")
		w.after(90 * time.Second)
		if h := w.bot.Health(); h.Live != 2 || w.bot.checkSockets(t.Context()) != nil {
			t.Errorf("not ready again: %+v", h)
		}
	})
}

func TestNoReasonMakesAHotLoop(t *testing.T) {
	soon := func(f func()) { go func() { time.Sleep(time.Millisecond); f() }() }
	for name, tc := range map[string]struct {
		reason string
		door   func(*fakeConn) bool
	}{
		"switched off": {reasonOff, func(c *fakeConn) bool {
			soon(func() { c.disconnect("link_disabled"); time.Sleep(time.Millisecond); c.ws.Close() })
			return true
		}},
		"too many, in place of hello": {reasonTooMany, func(c *fakeConn) bool { c.disconnect("too_many_websockets"); return false }},
		"warning after hello":         {reasonWarning, func(c *fakeConn) bool { soon(func() { c.disconnect("warning") }); return true }},
		"unknown reason":              {reasonOther, func(c *fakeConn) bool { soon(func() { c.disconnect("mercury") }); return true }},
		"closed at once":              {reasonClosed, func(c *fakeConn) bool { c.ws.Close(); return false }},
		"no hello ever":               {reasonNoHello, func(*fakeConn) bool { return false }},
		"closed after a second":       {reasonClosed, func(c *fakeConn) bool { go func() { time.Sleep(time.Second); c.ws.Close() }(); return true }},
	} {
		t.Run(name, func(t *testing.T) {
			most := 0
			story(t, handlerFuncs{}, func(c *Config, f *fakeSlack) {
				c.Sockets = 2
				f.door = func(c *fakeConn) bool { most = max(most, len(f.alive())); return tc.door(c) }
			}, func(t *testing.T, w *world) {
				w.after(time.Hour)
				// Two slots, a minute apart once they have slowed down.
				if n := w.opened(); n < 100 || n > 140 {
					t.Errorf("%d attempts in an hour", n)
				}
				for i, at := range w.opens[1:] {
					if d := at.Sub(w.opens[i]); d < pauseMin {
						t.Errorf("attempts %d and %d are %v apart", i, i+1, d)
					}
				}
				if most > 10 {
					t.Errorf("%d connections at once: Slack allows 10", most)
				}
				if all, n := w.metric("reconnects_total"), w.metric("reconnects_total", "reason="+tc.reason); n < 100 || n != all {
					t.Errorf("%v of %v counted as %s", n, all, tc.reason)
				}
			})
		})
	}
}

func TestOutageOfAnHour(t *testing.T) {
	for name, cut := range map[string]func(w *world) (mend func()){
		"network": func(w *world) func() { w.net.Cut("slack"); return func() { w.net.Mend("slack") } },
		"Slack's servers": func(w *world) func() {
			w.mu.Lock()
			w.refuse = "internal_error"
			w.mu.Unlock()
			for _, c := range w.alive() {
				c.ws.Close()
			}
			return func() { w.mu.Lock(); w.refuse = ""; w.mu.Unlock() }
		},
	} {
		t.Run(name, func(t *testing.T) {
			story(t, handlerFuncs{}, func(c *Config, _ *fakeSlack) { c.Sockets = 2 }, func(t *testing.T, w *world) {
				w.after(time.Minute)
				before := w.metric("calls_total", "method="+methodOpen)
				mend := cut(w)
				w.after(time.Hour)
				if n := w.metric("calls_total", "method="+methodOpen) - before; n < 100 || n > 140 {
					t.Errorf("%v attempts in an hour", n)
				}
				if n := w.metric("sockets_live"); n != 0 {
					t.Errorf("%v sockets live", n)
				}
				mend()
				w.after(75 * time.Second)
				if n := w.metric("sockets_live"); n != 2 {
					t.Errorf("%v sockets live after the outage", n)
				}
			})
		})
	}
}

// Slack refreshes a connection every few hours. Nothing may be lost, with one socket only: its successor is there before it goes.
func TestRefreshLeavesNoGap(t *testing.T) {
	story(t, handlerFuncs{}, func(_ *Config, f *fakeSlack) { f.slow = 500 * time.Millisecond }, func(t *testing.T, w *world) {
		w.after(time.Hour)
		old := w.one()
		old.disconnect("warning")
		go func() { time.Sleep(10 * time.Second); old.ws.Close() }()
		for i := range 300 {
			w.after(100 * time.Millisecond)
			open := w.alive()
			if len(open) == 0 {
				t.Fatalf("no connection %d ms after the warning", 100*(i+1))
			}
			id := fmt.Sprint("e", i)
			open[i%len(open)].send(homeOpened(id, id)) // Slack may choose any
			w.acked(id)
		}
		if n := len(w.all()); n != 2 {
			t.Errorf("%d connections, want 2", n)
		}
		if n := w.metric("sockets_live"); n != 1 {
			t.Errorf("%v sockets live", n)
		}
	})
}

// A socket that Slack announced to cut and then forgot is closed by us.
func TestForgottenSocketIsClosed(t *testing.T) {
	story(t, handlerFuncs{}, nil, func(t *testing.T, w *world) {
		w.after(time.Hour)
		old := w.one()
		old.disconnect("refresh_requested")
		w.after(overlap + time.Second)
		if w.one() == old || old.code != 1000 {
			t.Errorf("the old socket is still open, or was not closed cleanly (%d)", old.code)
		}
	})
}

func TestRefusedForGood(t *testing.T) {
	for _, code := range []string{"invalid_auth", "account_inactive", "token_revoked", "not_authed", "missing_scope"} {
		story(t, handlerFuncs{}, func(_ *Config, f *fakeSlack) { f.refuse = code }, func(t *testing.T, w *world) {
			err := w.ended()
			var said slack.SlackErrorResponse
			if !errors.Is(err, ErrRefused) || !errors.As(err, &said) || said.Err != code {
				t.Errorf("%s: Run returned %v", code, err)
			}
			if n := w.opened(); n != 1 {
				t.Errorf("%s: asked %d times", code, n)
			}
		})
	}
}

// A token that is revoked while all goes well ends Run too, and what is in hand is finished before.
func TestRevokedWhileServing(t *testing.T) {
	h := handlerFuncs{event: func(context.Context, slackevents.EventsAPIEvent, string) error {
		time.Sleep(2 * time.Second)
		return nil
	}}
	story(t, h, func(c *Config, _ *fakeSlack) { c.Sockets = 2 }, func(t *testing.T, w *world) {
		w.after(time.Hour)
		w.mu.Lock()
		w.refuse = "token_revoked"
		w.mu.Unlock()
		open := w.alive()
		open[0].send(homeOpened("in hand", "Ev1"))
		synctest.Wait()
		open[1].ws.Close()
		if err := w.ended(); !errors.Is(err, ErrRefused) {
			t.Errorf("Run returned %v", err)
		}
		w.acked("in hand")
	})
}

func TestRateLimitedOpen(t *testing.T) {
	var opens atomic.Int64
	story(t, handlerFuncs{}, func(c *Config, f *fakeSlack) {
		inner := f.srv.Handler
		f.srv.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/api/"+methodOpen && opens.Add(1) <= 6 {
				w.Header().Set("Retry-After", "30")
				w.WriteHeader(http.StatusTooManyRequests)
				return
			}
			inner.ServeHTTP(w, r)
		})
	}, func(t *testing.T, w *world) {
		w.after(170 * time.Second)
		if n := opens.Load(); n > 6 {
			t.Errorf("%d attempts in 170 s although Slack asked for 30 s between them", n)
		}
		w.after(time.Minute)
		w.one()
	})
}

func TestStrangers(t *testing.T) {
	told := make(chan int, 10)
	story(t, handlerFuncs{}, func(c *Config, f *fakeSlack) {
		c.Sockets = 2
		c.OnStranger = func(n int) { told <- n }
		f.count = func() int { return len(f.alive()) }
	}, func(t *testing.T, w *world) {
		w.after(time.Minute)
		if len(told) != 0 {
			t.Fatalf("an alarm about our own sockets")
		}
		w.mu.Lock()
		w.count = func() int { return 5 }
		w.mu.Unlock()
		w.all()[0].disconnect("refresh_requested")
		w.after(2 * time.Second)
		if n := <-told; n != 2 { // two slots and the one that goes
			t.Errorf("told of %d strangers, want 2", n)
		}
		if n := w.metric("sockets_strange"); n != 2 || w.bot.Health().Strangers != 2 {
			t.Errorf("%v strangers in the metric", n)
		}
	})
}

func TestRunTwice(t *testing.T) {
	story(t, handlerFuncs{}, nil, func(t *testing.T, w *world) {
		if err := w.bot.Run(t.Context()); !errors.Is(err, ErrRunning) {
			t.Errorf("the second Run returned %v", err)
		}
	})
}
