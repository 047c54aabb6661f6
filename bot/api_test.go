package bot

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"breakglass/deploy/sandbox/wire"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/slack-go/slack"
)

func TestRetriesOnlyWhatWasNotCarriedOut(t *testing.T) {
	for name, tc := range map[string]struct {
		answer  func(w http.ResponseWriter, nth int64)
		calls   int64
		outcome string
		waits   time.Duration
	}{
		"429 twice": {func(w http.ResponseWriter, nth int64) {
			if nth > 2 {
				reply(w, map[string]any{"ok": true, "ts": "1.1", "channel": "C1"})
				return
			}
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(http.StatusTooManyRequests)
		}, 3, "rate_limited", 14 * time.Second},
		"a server error":      {func(w http.ResponseWriter, _ int64) { w.WriteHeader(http.StatusBadGateway) }, 1, "http_5xx", 0},
		"a broken connection": {func(http.ResponseWriter, int64) { panic(http.ErrAbortHandler) }, 1, "network", 0},
		"a refusal":           {func(w http.ResponseWriter, _ int64) { reply(w, map[string]any{"error": "not_in_channel", "ok": false}) }, 1, "refused", 0},
		"no answer in time":   {func(w http.ResponseWriter, _ int64) { time.Sleep(time.Minute) }, 1, "timeout", 10 * time.Second},
		"an answer that dries up": {func(w http.ResponseWriter, _ int64) {
			w.Header().Set("Content-Type", "application/json")
			w.Write([]byte(`{"ok":true,`))
			w.(http.Flusher).Flush()
			time.Sleep(time.Minute)
		}, 1, "timeout", 10 * time.Second},
		"a redirect": {func(w http.ResponseWriter, _ int64) {
			w.Header().Set("Location", "http://slack/api/elsewhere")
			w.WriteHeader(http.StatusTemporaryRedirect)
		}, 1, "http_4xx", 0},
	} {
		t.Run(name, func(t *testing.T) {
			story(t, handlerFuncs{}, func(_ *Config, f *fakeSlack) { f.srv.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0) }, func(t *testing.T, w *world) {
				var calls atomic.Int64
				w.call = func(rw http.ResponseWriter, r *http.Request, method string) { tc.answer(rw, calls.Add(1)) }
				start := time.Now()
				_, _, err := w.bot.API().PostMessageContext(t.Context(), "C1", slack.MsgOptionText(typedText, true))
				took := time.Since(start)
				if (err == nil) != (name == "429 twice") {
					t.Errorf("error: %v", err)
				}
				if n := calls.Load(); n != tc.calls {
					t.Errorf("%d calls, want %d", n, tc.calls)
				}
				if took < tc.waits || took > tc.waits+3*time.Second {
					t.Errorf("took %v, want about %v", took, tc.waits)
				}
				if n := w.metric("calls_total", "method=chat.postMessage", "outcome="+tc.outcome); n == 0 {
					t.Errorf("no call counted as %s", tc.outcome)
				}
				w.after(time.Minute)
			})
		})
	}
}

// The address of a response_url is a bearer secret; an http.Client would quote it in its error.
func TestErrorsDoNotQuoteAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := wire.New() // nobody listens
		reg := prometheus.NewRegistry()
		api := NewAPI(Config{BotToken: botToken, AppToken: appToken, Registry: reg,
			HTTP: &http.Client{Transport: &http.Transport{DialContext: network.DialContext}}})
		_, _, err := api.PostMessageContext(t.Context(), "C1", slack.MsgOptionText("x", false),
			slack.MsgOptionResponseURL("http://hooks.slack.com/actions/T1/1/SECRETURL", slack.ResponseTypeEphemeral))
		if err == nil || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("error: %v", err)
		}
		if e, ok := errors.AsType[*net.OpError](err); !ok {
			t.Errorf("the cause is lost: %v", e)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := api.AuthTestContext(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("a cancelled call returned %v", err)
		}
		w := &world{t: t, reg: reg}
		if n := w.metric("calls_total", "method=response_url", "outcome=network"); n != 1 {
			t.Errorf("%v calls counted as response_url", n)
		}
	})
}

// Even without the loop, nobody can ask for sockets faster than once a second.
func TestOpensAreKeptApart(t *testing.T) {
	story(t, handlerFuncs{}, nil, func(t *testing.T, w *world) {
		start := time.Now()
		for range 10 {
			if _, _, err := w.bot.API().StartSocketModeContext(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(start); took < 10*time.Second {
			t.Errorf("ten sockets in %v", took)
		}
	})
}

func TestPlainSocketBehindTLSIsRefused(t *testing.T) {
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reply(w, map[string]any{"ok": true, "url": "ws://" + r.Host + "/link/?ticket=TICKETSECRET"})
	}))
	defer srv.Close()
	b, err := New(Config{BotToken: botToken, AppToken: appToken, APIURL: srv.URL + "/api/", HTTP: srv.Client()}, handlerFuncs{})
	if err != nil {
		t.Fatal(err)
	}
	if _, reason, err := b.connect(t.Context(), 0, 1); !errors.Is(err, errNoAddress) || reason != reasonOpen {
		t.Errorf("connect: %s, %v", reason, err)
	}
}

func TestConfigFaults(t *testing.T) {
	good := Config{BotToken: botToken, AppToken: appToken}
	for name, tc := range map[string]struct {
		change func(*Config)
		h      Handler
		fails  bool
	}{
		"good":              {func(*Config) {}, handlerFuncs{}, false},
		"no handler":        {func(*Config) {}, nil, true},
		"no bot token":      {func(c *Config) { c.BotToken = "" }, handlerFuncs{}, true},
		"no app token":      {func(c *Config) { c.AppToken = "" }, handlerFuncs{}, true},
		"answers too late":  {func(c *Config) { c.AnswerBy = slackPatience }, handlerFuncs{}, true},
		"deadline too late": {func(c *Config) { c.AckWithin = 2900 * time.Millisecond }, handlerFuncs{}, true},
	} {
		cfg := good
		tc.change(&cfg)
		if _, err := New(cfg, tc.h); (err != nil) != tc.fails {
			t.Errorf("%s: %v", name, err)
		} else if err != nil && strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%s: the error quotes a token: %v", name, err)
		}
	}
	reg := prometheus.NewRegistry()
	good.Registry = reg
	NewAPI(good)
	if _, err := New(good, handlerFuncs{}); err != nil { // shares the registry with NewAPI
		t.Error(err)
	}
}
