package aws

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"
)

// outstanding keeps changes of assignments within what Identity Center takes at a time (Identity Center user guide, limits): 15 creations that are
// IN_PROGRESS, and one change in each account. AWS counts a change until it is done, so a place is given back when Follow has seen its
// end. Who waits is let in by store.Urgency, removals before grants; one for an account that is busy holds up none for another.
//
// AWS's limit of 15 names creations only, and the model of DeleteAccountAssignment knows no ServiceQuotaExceededException. So removals go
// beyond it, which is what ends thousands of sessions in minutes. Tools are seen to be throttled or to meet conflicts when many changes run; where that
// happens to a removal beyond the fifteen, all changes together keep to them for a while.
//
// What it counts is a courtesy, not a lock: changes of an earlier run or of others are not in it, so AWS's own answer decides.
type outstanding struct {
	most       int
	perAccount bool

	mu      sync.Mutex
	open    map[string]*change // by AWS's id: accepted, and not seen at its end
	held    counts             // places of calls on their way and of open changes
	busy    map[string]int     // the same by account
	tight   time.Time          // until then removals count too
	waiting []*entrant         // in the order of their ranks
	arrived uint64
	alarm   *time.Timer // rings when a change that nobody follows stops counting
}

// change is a place that is taken.
type change struct {
	account string // "" where it is not known, as for a change of before a restart
	removal bool
	seen    time.Time // last seen underway
}

type counts struct{ grants, removals int }

// entrant is one who waits for a place.
type entrant struct {
	rank
	change
	ready chan struct{}
	in    bool
}

const (
	// stale is when a change that nobody follows any more stops counting.
	stale = 30 * time.Second
	// reserve for removals: so many places are kept free of grants, because the way out must never queue behind the way in.
	reserve = 3
	// mostRemovals is how many keep the quota of calls busy while AWS takes 20 s for each: two calls each, 20 a second.
	mostRemovals = 200
	// tightFor is how long removals keep to the fifteen after AWS did not like more.
	tightFor = 10 * time.Minute
)

func newOutstanding(most int) *outstanding {
	return &outstanding{most: most, perAccount: most < math.MaxInt, open: map[string]*change{}, busy: map[string]int{}}
}

// enter waits for a place: a removal as long as ctx allows, a grant at most patience. keep must be called once, with the change AWS
// accepted or "".
func (o *outstanding) enter(ctx context.Context, account string, removal bool, patience time.Duration) (keep func(change string), err error) {
	e := &entrant{change: change{account: account, removal: removal}, ready: make(chan struct{})}
	o.mu.Lock()
	e.rank = rankOf(ctx, o.arrived)
	if removal && e.class == asked {
		e.class = removing
	}
	o.arrived++
	at, _ := slices.BinarySearchFunc(o.waiting, e, func(a, b *entrant) int { return a.compare(b.rank) })
	o.waiting = slices.Insert(o.waiting, at, e)
	o.admit()
	o.mu.Unlock()
	var late <-chan time.Time
	if !removal {
		t := time.NewTimer(patience)
		defer t.Stop()
		late = t.C
	}
	select {
	case <-e.ready:
	case <-late:
	case <-ctx.Done():
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if e.in {
		return func(change string) { o.keep(&e.change, change) }, nil
	}
	o.waiting = slices.DeleteFunc(o.waiting, func(w *entrant) bool { return w == e })
	err = o.full(account)
	if ctx.Err() != nil {
		err = fmt.Errorf("%w: %w", err, ctx.Err())
	}
	return nil, err
}

// full says what a change waits for. o.mu is held.
func (o *outstanding) full(account string) error {
	if o.busy[account] > 0 {
		return fmt.Errorf("another change in account %s is under way in Identity Center: waiting for its end", account)
	}
	return fmt.Errorf("%d changes are under way in Identity Center already: waiting for one of them to end", o.held.grants+o.held.removals)
}

// admit lets in everybody for whom there is a place, in their order. o.mu is held.
func (o *outstanding) admit() {
	o.forgetStale()
	kept := o.waiting[:0]
	for _, e := range o.waiting {
		if !o.room(&e.change) {
			kept = append(kept, e)
			continue
		}
		o.count(&e.change, 1)
		e.in = true
		close(e.ready)
	}
	clear(o.waiting[len(kept):])
	o.waiting = kept
	o.watch()
}

// room says whether there is a place. o.mu is held.
func (o *outstanding) room(c *change) bool {
	if o.perAccount && c.account != "" && o.busy[c.account] > 0 {
		return false
	}
	limit, taken := max(1, o.most-reserve), o.held.grants
	switch tight := time.Until(o.tight) > 0; {
	case tight && c.removal:
		limit, taken = o.most, o.held.grants+o.held.removals
	case tight:
		taken = o.held.grants + o.held.removals
	case c.removal:
		limit, taken = max(o.most, mostRemovals), o.held.removals
	}
	return taken < limit
}

// count takes a place, or gives it back. o.mu is held.
func (o *outstanding) count(c *change, n int) {
	if c.removal {
		o.held.removals += n
	} else {
		o.held.grants += n
	}
	if c.account == "" {
		return
	}
	if o.busy[c.account] += n; o.busy[c.account] <= 0 {
		delete(o.busy, c.account)
	}
}

// keep turns the place of a call into that of the change it began, or gives it back.
func (o *outstanding) keep(c *change, id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if id == "" {
		o.count(c, -1)
		o.admit()
		return
	}
	o.end(id) // the same id twice would be counted twice
	c.seen = time.Now()
	o.open[id] = c
	o.watch()
}

// follow records what was told of a change that somebody follows: one that is underway takes a place, also where an earlier run began it; one that
// has ended gives it back.
func (o *outstanding) follow(id string, c change, underway bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !underway {
		o.end(id)
		o.admit()
		return
	}
	known := o.open[id]
	if known == nil {
		known = &c
		o.open[id] = known
		o.count(known, 1)
	}
	known.seen = time.Now()
	o.watch()
}

// hear is follow for what was told unasked: it says whether the change is one of ours.
func (o *outstanding) hear(id string, underway bool) (ours bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	c := o.open[id]
	if c == nil {
		return false
	}
	if c.seen = time.Now(); !underway {
		o.end(id)
		o.admit()
	}
	return true
}

// end gives the place of a change back. o.mu is held.
func (o *outstanding) end(id string) {
	if c := o.open[id]; c != nil {
		delete(o.open, id)
		o.count(c, -1)
	}
}

// many is how many changes of a kind are underway as far as is known.
func (o *outstanding) many(removal bool) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	if removal {
		return o.held.removals
	}
	return o.held.grants
}

// crowded hears that AWS refused a removal for something that may be the number of changes.
func (o *outstanding) crowded() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.held.grants+o.held.removals > o.most {
		o.tight = time.Now().Add(tightFor)
	}
}

// watch sets the alarm for the next change that stops counting, if anybody waits. o.mu is held.
func (o *outstanding) watch() {
	if len(o.waiting) == 0 {
		if o.alarm != nil {
			o.alarm.Stop()
		}
		return
	}
	d := stale // also for the end of a tight time
	for _, c := range o.open {
		d = min(d, time.Until(c.seen.Add(stale)))
	}
	d = max(d, 0) + time.Millisecond
	if o.alarm == nil {
		o.alarm = time.AfterFunc(d, o.ring)
	} else {
		o.alarm.Reset(d)
	}
}

func (o *outstanding) ring() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.admit()
}

// forgetStale drops changes that nobody asks about any more: the engine follows each change every few seconds, so these were given
// up, by a crash of whoever followed them or by an operator. o.mu is held.
func (o *outstanding) forgetStale() {
	for id, c := range o.open {
		if time.Since(c.seen) > stale {
			o.end(id)
		}
	}
}
