package workflows

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"breakglass/store"
)

// claim is that somebody works on something. again: there was reason to look once more meanwhile.
type claim struct{ again bool }

// rooms bound how much goes on at once, each kind for itself: grants that hang on AWS must not stand in the way of revocations,
// nor a slow reading of CloudTrail or a mail server that hangs in the way of anything. Steps mostly wait; the adapters keep AWS's quotas.
type rooms struct {
	clicks, exits, grants, ends, quiet, tells, reports, voices, mails, census chan struct{}
}

func newRooms() rooms {
	of := func(n int) chan struct{} { return make(chan struct{}, n) }
	return rooms{clicks: of(64), exits: of(64), grants: of(32), ends: of(1024), quiet: of(16), tells: of(16), reports: of(8), voices: of(4), mails: of(2), census: of(1)}
}

// kick begins the next step of a request, unless somebody is at it: they will look once more. Telling people has a claim of its own: it
// waits for the directory, and no end of a session may wait for that.
func (e *Engine) kick(r store.Request) {
	now := e.now()
	e.kickTell(r, now)
	if due := r.DueBut(store.ClockTell); due != 0 && due <= now.UnixNano() {
		e.spawn(string(r.ID), e.room(r.State, r.Over(store.ClockEnd, now)), func(ctx context.Context) { e.step(ctx, r.ID) }, nil)
	}
}

// kickTell begins the telling of a request's people, where it is due. A step does it as well: a sweep passes over what somebody is at.
func (e *Engine) kickTell(r store.Request, now time.Time) {
	if r.Over(store.ClockTell, now) {
		e.spawn("tell "+string(r.ID), e.rooms.tells, func(ctx context.Context) { e.tellStep(ctx, r.ID) }, nil)
	}
}

func (e *Engine) kickClick(c store.Click) {
	room := e.rooms.clicks
	if ends(c.Kind) { // no crowd that waits for the directory may hold up an end
		room = e.rooms.exits
	}
	e.spawn(fmt.Sprintf("click %d", c.Seq), room, func(ctx context.Context) { e.click(ctx, c) }, nil)
}

// room is where the next step of a request is done. A grant whose time is over is an end, and waits for no grant.
func (e *Engine) room(s store.State, over bool) chan struct{} {
	switch {
	case s == store.Active, s == store.Revoking, s == store.Granting && over:
		return e.rooms.ends
	case s == store.Approved, s == store.Granting:
		return e.rooms.grants
	case s == store.Revoked, s == store.Reported:
		return e.rooms.reports
	}
	return e.rooms.quiet
}

// passOver says whether a sweep need not look at a request: somebody is at it, who will look once more, or there is no room for its kind. It does not
// know whether a grant's time is over, so while there is room for ends each grant is looked at.
func (e *Engine) passOver(d store.Due) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if c := e.claimed[string(d.ID)]; c != nil {
		c.again = true
		return true
	}
	for _, over := range []bool{false, true} {
		if room := e.room(d.State, over); len(room) < cap(room) {
			return false
		}
	}
	e.full = true
	return true
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

// taken says whether somebody is at something; who is will look once more.
func (e *Engine) taken(name string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	c := e.claimed[name]
	if c != nil {
		c.again = true
	}
	return c != nil
}
