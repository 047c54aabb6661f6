package aws

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// outstanding keeps the number of changes that are IN_PROGRESS within AWS's limit of 15 ("CreateAccountAssignment: maximum
// outstanding async calls", Identity Center user guide, limits). AWS counts a change until it is done, so a place is given back
// when Follow has seen its end.
//
// What it counts is a courtesy, not a lock: changes of an earlier run or of others are not in it, so AWS's own answer decides.
type outstanding struct {
	most int

	mu    sync.Mutex
	calls int                  // places taken by calls that are on their way
	open  map[string]time.Time // changes that were accepted, and when they were last seen underway
	freed chan struct{}        // closed, and replaced, when a place is given back
}

// stale is when a change that nobody follows any more stops counting.
const stale = 30 * time.Second

// reserve for removals: so many places are kept free of grants, because the way out must never queue behind the way in.
const reserve = 3

func newOutstanding(most int) *outstanding {
	return &outstanding{most: most, open: map[string]time.Time{}, freed: make(chan struct{})}
}

// enter waits for a place, at most patience. A removal goes on without one after that: if AWS has no room either it says so,
// and our count may be wrong. keep must be called once, with the change AWS accepted or "".
func (o *outstanding) enter(ctx context.Context, removal bool, patience time.Duration) (keep func(change string), err error) {
	limit := o.most
	if !removal {
		limit = max(1, limit-reserve)
	}
	deadline := time.Now().Add(patience)
	for {
		o.mu.Lock()
		o.forgetStale()
		left := time.Until(deadline)
		if o.calls+len(o.open) < limit || removal && left <= 0 {
			o.calls++
			o.mu.Unlock()
			return o.keep, nil
		}
		freed := o.freed
		o.mu.Unlock()
		if left <= 0 {
			return nil, fmt.Errorf("%d changes are under way in Identity Center already: waiting for one of them to end", limit)
		}
		t := time.NewTimer(min(left, time.Second)) // a stale one ends without a word
		select {
		case <-freed:
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return nil, fmt.Errorf("waiting for one of %d changes under way to end: %w", limit, ctx.Err())
		}
		t.Stop()
	}
}

// keep turns the place of a call into that of the change it began, or gives it back.
func (o *outstanding) keep(change string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.calls--
	if change != "" {
		o.open[change] = time.Now()
		return
	}
	o.wake()
}

// seen records what Follow was told: a change that is underway takes a place, one that has ended gives it back.
func (o *outstanding) seen(change string, underway bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if underway {
		o.open[change] = time.Now()
		return
	}
	if _, ok := o.open[change]; ok {
		delete(o.open, change)
		o.wake()
	}
}

// wake tells everybody who waits; which of them gets the place, the lock decides. o.mu is held.
func (o *outstanding) wake() {
	close(o.freed)
	o.freed = make(chan struct{})
}

// forgetStale drops changes that nobody asks about any more: the engine follows each change every few seconds, so these were given
// up, by a crash of whoever followed them or by an operator. o.mu is held.
func (o *outstanding) forgetStale() {
	for change, at := range o.open {
		if time.Since(at) > stale {
			delete(o.open, change)
		}
	}
}
