// Package clock is a wall clock that can be moved forward, and its HTTP face for other processes.
//
// The sandbox runs on it: a session of an hour ends when somebody skips an hour. It only ever shows real time plus an
// offset, so it ticks between two skips; timers are not moved. It must not know what the time is used for.
package clock

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// Clock shows time.Now plus an offset. It is safe for concurrent use; make it with New.
type Clock struct {
	mu     sync.Mutex
	offset time.Duration
	moved  chan struct{} // closed at the next Skip
}

// New returns a clock that shows real time.
func New() *Clock { return &Clock{moved: make(chan struct{})} }

// Now is the time the sandbox lives in.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	// The monotonic reading goes, because after a skip it no longer measures what the wall shows.
	return time.Now().Round(0).Add(c.offset)
}

// Skip moves the clock forward by d. Time never goes back: a negative d does nothing.
func (c *Clock) Skip(d time.Duration) {
	if d <= 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offset += d
	close(c.moved)
	c.moved = make(chan struct{})
}

// Offset is how far the clock is ahead of real time.
func (c *Clock) Offset() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.offset
}

// Moved returns a channel that is closed at the next Skip, for whoever waits for a moment on this clock.
func (c *Clock) Moved() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.moved
}

// ServeHTTP answers GET /clock with {"now": RFC 3339 with nanoseconds, "offset": Go duration}, and moves the clock on
// POST /clock/skip?by=1h (answering the same). Mount it at the root or under any prefix that keeps these paths.
func (c *Clock) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/clock" && r.Method == http.MethodGet:
	case r.URL.Path == "/clock/skip" && r.Method == http.MethodPost:
		by, err := time.ParseDuration(r.FormValue("by"))
		if err != nil || by < 0 {
			http.Error(w, fmt.Sprintf("by=%q is not a duration forward in time", r.FormValue("by")), http.StatusBadRequest)
			return
		}
		c.Skip(by)
	case r.URL.Path == "/clock" || r.URL.Path == "/clock/skip":
		http.Error(w, "GET /clock or POST /clock/skip?by=1h", http.StatusMethodNotAllowed)
		return
	default:
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]string{ //nolint:errcheck // a reader that left needs no answer
		"now":    c.Now().UTC().Format(time.RFC3339Nano),
		"offset": c.Offset().String(),
	})
}
