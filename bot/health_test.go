package bot

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/slack-go/slack"
)

func get(b *Bot, path string) (int, string) {
	rec := httptest.NewRecorder()
	HealthHandler(b, nil).ServeHTTP(rec, httptest.NewRequest(http.MethodGet, path, nil))
	return rec.Code, rec.Body.String()
}

func TestHealthHandler(t *testing.T) {
	story(t, handlerFuncs{}, nil, func(t *testing.T, w *world) {
		var fault error
		w.bot.AddCheck("store", func(context.Context) error { return fault })
		w.bot.AddCheck("slow", func(ctx context.Context) error {
			if fault == nil {
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		})
		if code, body := get(w.bot, "/readyz"); code != 200 || body != "[+] sockets ok\n[+] workers ok\n[+] store ok\n[+] slow ok\n" {
			t.Errorf("readyz: %d %q", code, body)
		}
		fault = errors.New("the disk is full")
		if code, body := get(w.bot, "/readyz"); code != 503 || !strings.Contains(body, "[-] store the disk is full\n[-] slow context deadline exceeded\n") {
			t.Errorf("readyz with a fault: %d %q", code, body)
		}
		code, body := get(w.bot, "/readyz?verbose")
		var verbose struct {
			Ready  bool
			Checks []verdict
			Slack  Health
		}
		if err := json.Unmarshal([]byte(body), &verbose); err != nil || code != 503 || verbose.Ready || len(verbose.Checks) != 4 {
			t.Errorf("readyz?verbose: %d %s %v", code, body, err)
		}
		if s := verbose.Slack; s.Live != 1 || s.Want != 1 || s.Slots[0].State != StateLive {
			t.Errorf("readyz?verbose: %+v", s)
		}
		if code, body := get(w.bot, "/livez"); code != 200 || body != "ok\n" {
			t.Errorf("livez: %d %q", code, body)
		}
		w.one().send(command("e1"))
		w.acked("e1")
		_, body = get(w.bot, "/metrics")
		for _, line := range []string{
			"breakglass_slack_sockets_live 1",
			`breakglass_slack_envelopes_total{kind="command",outcome="ok"} 1`,
			`breakglass_slack_ack_seconds_count{kind="command"} 1`,
			`breakglass_slack_calls_total{method="apps.connections.open",outcome="ok"} 1`,
		} {
			if !strings.Contains(body, line) {
				t.Errorf("no %q in /metrics", line)
			}
		}
		w.net.Cut("slack")
		w.after(time.Second)
		if code, body := get(w.bot, "/readyz"); code != 503 || !strings.Contains(body, "[-] sockets none of 1") {
			t.Errorf("readyz without a socket: %d %q", code, body)
		}
		if code, _ := get(w.bot, "/livez"); code != 200 {
			t.Errorf("livez without a socket: %d, but a restart would not help", code)
		}
	})
}

// Handlers that never come back take all workers: only a restart helps, so /livez says it.
func TestHungWorkersAreNotSurvivedInSilence(t *testing.T) {
	release := make(chan struct{})
	h := handlerFuncs{command: func(context.Context, slack.SlashCommand) (any, error) { <-release; return nil, nil }}
	story(t, h, func(c *Config, _ *fakeSlack) { c.Workers = 1; release = make(chan struct{}) }, func(t *testing.T, w *world) {
		w.one().send(command("e1"))
		w.after(30 * time.Second)
		if code, _ := get(w.bot, "/readyz"); code != 503 {
			t.Errorf("readyz: %d", code)
		}
		if code, _ := get(w.bot, "/livez"); code != 200 {
			t.Errorf("livez after 30 s: %d", code)
		}
		w.after(40 * time.Second)
		if code, body := get(w.bot, "/livez"); code != 503 {
			t.Errorf("livez after 70 s: %d %s", code, body)
		}
		close(release)
		w.after(time.Second)
		if code, body := get(w.bot, "/livez"); code != 200 {
			t.Errorf("livez after the handler returned: %d %s", code, body)
		}
	})
}
