package slacktwin

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// FailTimeout, as the fault of FailNext, does the work and never answers: the caller cannot know whether it happened.
const FailTimeout = "timeout after success"

// faults are what a test asked to go wrong. They have a lock of their own, since an outage is asked about before all
// else.
type faults struct {
	mu     sync.Mutex
	outage bool
	next   map[string][]fault
	delays map[string]time.Duration
}

// fault is one call that is to fail. The zero value is none.
type fault struct{ how string }

// Outage makes Slack answer 503 to everything and drops the sockets, until it is called with false. People cannot act
// meanwhile (ErrOutage).
func (w *Workspace) Outage(on bool) {
	w.faults.mu.Lock()
	w.faults.outage = on
	w.faults.mu.Unlock()
	if on {
		w.DropSockets("")
	}
}

// FailNext makes the next n calls of a method fail. how is an error word of Slack's ("internal_error"), an HTTP status
// ("503"), "ratelimited:30" (429 with Retry-After 30) or FailTimeout. The method "response_url" works too, and "*" is
// any method.
func (w *Workspace) FailNext(method, how string, n int) {
	w.faults.mu.Lock()
	defer w.faults.mu.Unlock()
	if w.faults.next == nil {
		w.faults.next = map[string][]fault{}
	}
	for range n {
		w.faults.next[method] = append(w.faults.next[method], fault{how})
	}
}

// Delay makes every call of a method ("*": of any) take this much longer; 0 ends it.
func (w *Workspace) Delay(method string, d time.Duration) {
	w.faults.mu.Lock()
	defer w.faults.mu.Unlock()
	if w.faults.delays == nil {
		w.faults.delays = map[string]time.Duration{}
	}
	w.faults.delays[method] = d
}

func (f *faults) down() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.outage
}

// take returns the fault the next call of the method is to meet.
func (f *faults) take(method string) fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range []string{method, "*"} {
		if q := f.next[m]; len(q) > 0 {
			f.next[m] = q[1:]
			return q[0]
		}
	}
	return fault{}
}

func (f *faults) delay(ctx context.Context, method string) {
	f.mu.Lock()
	d := f.delays[method] + f.delays["*"]
	f.mu.Unlock()
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// hangUp never answers: it waits until the caller gives up.
func (w *Workspace) hangUp(r *http.Request) {
	select {
	case <-r.Context().Done():
	case <-w.ctx.Done():
	}
	panic(http.ErrAbortHandler)
}

// hangs says that the work is done and no answer given.
func (f fault) hangs() bool { return f.how == FailTimeout }

// before says that the call fails without doing its work.
func (f fault) before() bool { return f.how != "" && !f.hangs() }

func (f fault) err() *apiError {
	if s, ok := strings.CutPrefix(f.how, "ratelimited"); ok {
		secs, err := strconv.Atoi(strings.TrimPrefix(s, ":"))
		if err != nil {
			secs = 1
		}
		return &apiError{code: "ratelimited", status: http.StatusTooManyRequests, after: time.Duration(secs) * time.Second}
	}
	if status, err := strconv.Atoi(f.how); err == nil {
		return &apiError{code: "internal_error", status: status}
	}
	return fail(f.how)
}
