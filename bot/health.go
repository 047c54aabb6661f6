package bot

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// States of a slot in Health.
const (
	StateWaiting    = "waiting"    // between two attempts, or not started
	StateConnecting = "connecting" // asking for an address, dialling, or waiting for hello
	StateLive       = "live"       // had its hello
)

// Health is how the bot stands at one moment.
type Health struct {
	Live         int            `json:"live"` // connections that had their hello, those that Slack will cut soon included
	Want         int            `json:"want"` // Config.Sockets
	Strangers    int            `json:"strangers"`
	Draining     bool           `json:"draining"`
	LastEnvelope time.Time      `json:"last_envelope,omitzero"`
	Slots        []SocketHealth `json:"slots"`
}

// SocketHealth is how one slot stands.
type SocketHealth struct {
	Slot       int       `json:"slot"`
	State      string    `json:"state"`
	Since      time.Time `json:"since,omitzero"`
	Generation int       `json:"generation"`            // connections and attempts so far
	LastReason string    `json:"last_reason,omitempty"` // why the one before was replaced
}

type check struct {
	name string
	ask  func(context.Context) error
}

type health struct {
	now func() time.Time

	mu      sync.Mutex
	slots   []SocketHealth
	open    map[*socket]struct{}
	strange int
	last    time.Time
	full    time.Time // since when every worker is taken, by the runtime's clock; zero while one is free
	checks  []check
}

func newHealth(cfg Config) *health {
	h := &health{now: cfg.Now, slots: make([]SocketHealth, cfg.Sockets), open: map[*socket]struct{}{}}
	for i := range h.slots {
		h.slots[i] = SocketHealth{Slot: i, State: StateWaiting}
	}
	return h
}

func (h *health) state(slot int, state string, generation int, reason string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := &h.slots[slot]
	s.State, s.Since, s.Generation = state, h.now(), generation
	if reason != "" {
		s.LastReason = reason
	}
}

func (h *health) live(s *socket) {
	h.state(s.slot, StateLive, s.generation, "")
	h.mu.Lock()
	defer h.mu.Unlock()
	h.open[s] = struct{}{}
}

func (h *health) gone(s *socket) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.open, s)
}

func (h *health) strangers(n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.strange = n
}

func (h *health) envelope() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last = h.now()
}

// busy looks at the workers after one was taken or given back. It looks under the lock, so that the last look is the latest.
func (h *health) busy(workers chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case len(workers) < cap(workers):
		h.full = time.Time{}
	case h.full.IsZero():
		h.full = time.Now()
	}
}

// stuck says for how long no worker has been free.
func (h *health) stuck() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.full.IsZero() {
		return 0
	}
	return time.Since(h.full)
}

// Health reports how the bot stands.
func (b *Bot) Health() Health {
	b.mu.Lock()
	draining := b.draining
	b.mu.Unlock()
	h := b.health
	h.mu.Lock()
	defer h.mu.Unlock()
	return Health{
		Live: len(h.open), Want: len(h.slots), Strangers: h.strange, Draining: draining, LastEnvelope: h.last,
		Slots: append([]SocketHealth(nil), h.slots...),
	}
}

// AddCheck adds a named check to /readyz. ask gets two seconds and is called on each request, several at once; its error is shown
// to whoever reads /readyz, so it must not hold secrets.
func (b *Bot) AddCheck(name string, ask func(context.Context) error) {
	b.health.mu.Lock()
	defer b.health.mu.Unlock()
	b.health.checks = append(b.health.checks, check{name, ask})
}

// How long every worker may be taken. A handler has seconds; workers that are all taken for a minute hang on something, and
// only a new process helps.
const (
	stuckUnready = 10 * time.Second
	stuckDead    = time.Minute
)

// HealthHandler serves /livez, /readyz and /metrics. /livez fails only where a restart would help. /readyz fails when no
// connection is live, the bot drains, or an added check fails; it shows a line for each check, with ?verbose JSON. g is
// what /metrics shows; nil means Config.Registry if that can be gathered from.
func HealthHandler(b *Bot, g prometheus.Gatherer) http.Handler {
	if g == nil {
		g, _ = b.cfg.Registry.(prometheus.Gatherer)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		if d := b.health.stuck(); d > stuckDead {
			http.Error(w, fmt.Sprintf("every worker has been taken for %v", d.Round(time.Second)), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET /readyz", b.readyz)
	if g != nil {
		mux.Handle("GET /metrics", promhttp.HandlerFor(g, promhttp.HandlerOpts{}))
	}
	return mux
}

type verdict struct {
	Name    string  `json:"name"`
	OK      bool    `json:"ok"`
	Error   string  `json:"error,omitempty"`
	Seconds float64 `json:"seconds"`
}

func (b *Bot) readyz(w http.ResponseWriter, r *http.Request) {
	verdicts := b.ask(r.Context())
	ready, status := true, http.StatusOK
	for _, v := range verdicts {
		ready = ready && v.OK
	}
	if !ready {
		status = http.StatusServiceUnavailable
	}
	if r.URL.Query().Has("verbose") {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]any{"ready": ready, "checks": verdicts, "slack": b.Health()})
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	for _, v := range verdicts {
		if v.OK {
			fmt.Fprintf(w, "[+] %s ok\n", v.Name)
		} else {
			fmt.Fprintf(w, "[-] %s %s\n", v.Name, v.Error)
		}
	}
}

// ask runs every check, all at once, in the order they were added.
func (b *Bot) ask(ctx context.Context) []verdict {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	b.health.mu.Lock()
	checks := append([]check{{"sockets", b.checkSockets}, {"workers", b.checkWorkers}}, b.health.checks...)
	b.health.mu.Unlock()
	verdicts := make([]verdict, len(checks))
	var wg sync.WaitGroup
	for i, c := range checks {
		wg.Go(func() {
			start := time.Now()
			err := c.ask(ctx)
			verdicts[i] = verdict{Name: c.name, OK: err == nil, Seconds: time.Since(start).Seconds()}
			if err != nil {
				verdicts[i].Error = err.Error()
			}
		})
	}
	wg.Wait()
	return verdicts
}

func (b *Bot) checkSockets(context.Context) error {
	h := b.Health()
	switch {
	case h.Draining:
		return fmt.Errorf("draining")
	case h.Live == 0:
		return fmt.Errorf("none of %d connections to Slack is live", h.Want)
	}
	return nil
}

func (b *Bot) checkWorkers(context.Context) error {
	if d := b.health.stuck(); d > stuckUnready {
		return fmt.Errorf("every worker has been taken for %v", d.Round(time.Second))
	}
	return nil
}
