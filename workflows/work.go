package workflows

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"

	"breakglass/store"
)

// claim is that somebody works on something. again: there was reason to look once more meanwhile.
type claim struct{ again bool }

// rooms bound how much goes on at once, each kind for itself: grants that hang on AWS must not stand in the way of revocations,
// nor a slow reading of CloudTrail in the way of either. Steps mostly wait; the adapters keep AWS's quotas.
type rooms struct {
	clicks, grants, ends, quiet, voices chan struct{}
}

func newRooms() rooms {
	of := func(n int) chan struct{} { return make(chan struct{}, n) }
	return rooms{clicks: of(64), grants: of(32), ends: of(64), quiet: of(16), voices: of(4)}
}

// kick begins the next step of a request, unless somebody is at it: they will look once more.
func (e *Engine) kick(r store.Request) {
	e.spawn(string(r.ID), e.room(r), func(ctx context.Context) { e.step(ctx, r.ID) }, nil)
}

func (e *Engine) kickClick(c store.Click) {
	e.spawn(fmt.Sprintf("click %d", c.Seq), e.rooms.clicks, func(ctx context.Context) { e.click(ctx, c) }, nil)
}

func (e *Engine) room(r store.Request) chan struct{} {
	switch {
	case r.State == store.Active, r.State == store.Revoking, r.State == store.Granting && r.Over(store.ClockEnd, e.Now()):
		return e.rooms.ends
	case r.State == store.Approved, r.State == store.Granting:
		return e.rooms.grants
	}
	return e.rooms.quiet
}

func (e *Engine) busy(name string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	c := e.claimed[name]
	if c != nil {
		c.again = true
	}
	return c != nil
}

// spawn runs fn in a goroutine unless somebody works on the same thing, who then looks once more, or there is no room; then a sweep
// follows as soon as there is. also is told when fn is done.
func (e *Engine) spawn(name string, room chan struct{}, fn func(context.Context), also *sync.WaitGroup) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ctx == nil || e.ctx.Err() != nil {
		return // it is in the store: the next start finds it
	}
	if c := e.claimed[name]; c != nil {
		c.again = true
		return
	}
	select {
	case room <- struct{}{}:
	default:
		e.full = true
		return
	}
	e.claimed[name] = &claim{}
	e.work.Add(1)
	if also != nil {
		also.Add(1)
	}
	ctx := e.ctx
	go func() {
		defer e.work.Done()
		for again := true; again; again = e.release(name) {
			e.guard(name, func() { fn(ctx) })
		}
		<-room
		if also != nil {
			also.Done()
		}
		e.hear()
		e.mu.Lock()
		full := e.full
		e.full = false
		e.mu.Unlock()
		if full {
			e.Nudge()
		}
	}()
}

// release gives up a claim, unless there was reason to look once more.
func (e *Engine) release(name string) (again bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	c := e.claimed[name]
	if c.again && e.ctx != nil {
		c.again = false
		return true
	}
	delete(e.claimed, name)
	return false
}

// guard keeps a panic to the one thing it happened in.
func (e *Engine) guard(name string, fn func()) {
	defer func() {
		if p := recover(); p != nil {
			e.meters.panics.Inc()
			e.Log.Error("something panicked; the rest goes on", "at", name, "panic", p, "stack", string(debug.Stack()))
		}
	}()
	fn()
}
