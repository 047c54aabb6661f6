package bot

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/slack-go/slack"
)

// NewAPI makes the Web API client of a bot for a program that only asks. It registers the same metrics as New; both may share
// a registry.
func NewAPI(cfg Config) *slack.Client {
	cfg = cfg.withDefaults()
	return newAPI(cfg, newMetrics(cfg.Registry))
}

// newAPI never turns on slack-go's debug mode: it logs what people wrote, and asks Slack to recycle the sockets every 360 s.
func newAPI(cfg Config, m *metrics) *slack.Client {
	return slack.New(cfg.BotToken,
		slack.OptionAppLevelToken(cfg.AppToken),
		slack.OptionAPIURL(cfg.APIURL),
		slack.OptionLog(log.New(io.Discard, "", 0)),
		slack.OptionHTTPClient(newCaller(cfg, m)),
		// 429 is the only answer that says the call was not carried out. A broken connection or a 5xx says nothing of the
		// kind, and chat.postMessage would speak twice; who wants to repeat those has to know what it repeats.
		slack.OptionRetryConfig(slack.RetryConfig{
			MaxRetries:         3,
			RetryAfterDuration: 5 * time.Second,
			RetryAfterJitter:   time.Second,
		}),
	)
}

// A caller carries out slack-go's requests. It stands in the place of an http.Client rather than inside one, because the
// client wraps every error with the whole URL, and a response_url is a secret.
type caller struct {
	http    *http.Client
	base    string
	metrics *metrics
	log     *slog.Logger
	opens   pace
}

func newCaller(cfg Config, m *metrics) *caller {
	client := *cfg.HTTP
	if client.Timeout == 0 {
		client.Timeout = cfg.CallTimeout
	}
	if client.CheckRedirect == nil {
		// The token is in the body of most calls: it goes to the address that was configured or nowhere.
		client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}
	return &caller{http: &client, base: cfg.APIURL, metrics: m, log: cfg.Log, opens: pace{every: pauseMin}}
}

// methodOpen asks for the address of a new socket (rate limit Tier 3, 50 a minute and more).
const methodOpen = "apps.connections.open"

// Do sends one request. An error names the method and the cause, never the address.
func (c *caller) Do(req *http.Request) (*http.Response, error) {
	method := c.method(req.URL)
	if method == methodOpen {
		if err := c.opens.wait(req.Context()); err != nil {
			return nil, fmt.Errorf("%s: %w", method, err)
		}
	}
	start := time.Now()
	resp, outcome, code, err := c.send(req)
	took := time.Since(start)
	c.metrics.calls.WithLabelValues(method, outcome).Inc()
	c.metrics.callSeconds.WithLabelValues(method).Observe(took.Seconds())
	if outcome != "ok" {
		c.log.Debug("Slack call", "method", method, "outcome", outcome, "code", code, "took", took)
	}
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err
		}
		return nil, fmt.Errorf("%s: %w", method, err)
	}
	return resp, nil
}

// send returns the response with its body read, what came of it in one of a few words, and Slack's own error code or the
// HTTP status. The body is read here so that an answer that dries up counts as the timeout it is.
func (c *caller) send(req *http.Request) (resp *http.Response, outcome, code string, err error) {
	resp, err = c.http.Do(req)
	if err != nil {
		return nil, outcomeOf(err), "", err
	}
	code = strconv.Itoa(resp.StatusCode)
	switch {
	case resp.StatusCode == http.StatusTooManyRequests:
		return resp, "rate_limited", code, nil
	case resp.StatusCode >= 500:
		return resp, "http_5xx", code, nil
	case resp.StatusCode >= 300:
		return resp, "http_4xx", code, nil
	case !strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json"):
		return resp, "ok", code, nil
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil {
		return nil, outcomeOf(err), code, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	var said struct {
		OK    *bool  `json:"ok"`
		Error string `json:"error"`
	}
	if json.Unmarshal(body, &said) == nil && said.OK != nil && !*said.OK {
		return resp, "refused", said.Error, nil
	}
	return resp, "ok", code, nil
}

func outcomeOf(err error) string {
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() || errors.Is(err, context.DeadlineExceeded) {
		return "timeout"
	}
	if errors.Is(err, context.Canceled) {
		return "cancelled"
	}
	return "network"
}

// method names the Web API method of an address, or "response_url" for any address elsewhere: those are made up by Slack
// for each click, and would be as many labels as clicks.
func (c *caller) method(u *url.URL) string {
	at := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}
	if rest, ok := strings.CutPrefix(at.String(), c.base); ok {
		return rest
	}
	return "response_url"
}

// A pace keeps calls apart.
type pace struct {
	every time.Duration
	mu    sync.Mutex
	next  time.Time
}

func (p *pace) wait(ctx context.Context) error {
	p.mu.Lock()
	now := time.Now()
	at := now
	if p.next.After(now) {
		at = p.next
	}
	p.next = at.Add(p.every)
	p.mu.Unlock()
	if !sleep(ctx, at.Sub(now)) {
		return ctx.Err()
	}
	return nil
}
