package handlers

import (
	"context"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"
)

// work keeps count of what goes on after Slack got its acknowledgement, so that a shutdown can wait for it.
type work struct {
	log  *slog.Logger
	base context.Context
	stop context.CancelFunc

	mu     sync.Mutex
	closed bool
	wg     sync.WaitGroup
}

func newWork(log *slog.Logger) *work {
	base, stop := context.WithCancel(context.Background())
	return &work{log: log, base: base, stop: stop}
}

// spawn runs f on a goroutine with a context that ends after the given time, or when the work is closed. A panic ends f
// alone: a view that cannot be drawn must not take the revocations down with it.
func (w *work) spawn(within time.Duration, f func(context.Context)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	w.wg.Add(1)
	go func() {
		defer w.wg.Done()
		defer func() {
			if p := recover(); p != nil {
				w.log.Error("handler panicked", "panic", p, "stack", string(debug.Stack()))
			}
		}()
		ctx, cancel := context.WithTimeout(w.base, within)
		defer cancel()
		f(ctx)
	}()
}

func (w *work) close(ctx context.Context) {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	done := make(chan struct{})
	go func() { w.wg.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
	}
	w.stop()
	<-done
}

// memo remembers answers for a short while. It is for showing things, never for deciding.
type memo[V any] struct {
	keep time.Duration
	now  func() time.Time

	mu sync.Mutex
	at map[string]remembered[V]
}

type remembered[V any] struct {
	value V
	until time.Time
}

// mostRemembered bounds a memo: past it everything that is over is forgotten, and if that is not enough, everything.
const mostRemembered = 5000

func newMemo[V any](keep time.Duration, now func() time.Time) *memo[V] {
	return &memo[V]{keep: keep, now: now, at: map[string]remembered[V]{}}
}

func (m *memo[V]) get(key string) (v V, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.at[key]
	if !ok || !m.now().Before(r.until) {
		return v, false
	}
	return r.value, true
}

func (m *memo[V]) put(key string, v V) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	if len(m.at) >= mostRemembered {
		for k, r := range m.at {
			if !now.Before(r.until) {
				delete(m.at, k)
			}
		}
		if len(m.at) >= mostRemembered {
			clear(m.at)
		}
	}
	m.at[key] = remembered[V]{value: v, until: now.Add(m.keep)}
}

func (m *memo[V]) drop(keys ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, k := range keys {
		delete(m.at, k)
	}
}
