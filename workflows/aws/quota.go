package aws

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"
)

// Rate is how many calls are made: PerSecond in the long run, Burst at once. Whatever the burst, no stretch of a second sees more than PerSecond,
// rounded up: AWS counts a burst into the same second.
type Rate struct {
	PerSecond float64
	Burst     int
}

// Limits are the rates this process keeps to. Zero fields get the defaults. They use nearly all of what AWS gives, since taking access away needs
// it when many are in; what others in the same account use (a Terraform run, the console) makes AWS throttle, and then everybody here slows down.
type Limits struct {
	SSOAdmin      Rate // quota 20/s for all of Identity Center's APIs together (Identity Center user guide, limits)
	IdentityStore Rate // quota 20/s for the identity store's (same page)
	CloudTrail    Rate // quota 2/s for LookupEvents in each account and Region (API reference of LookupEvents)
	// Outstanding is how many assignments may be IN_PROGRESS at once: 15, which AWS does not raise (same page).
	Outstanding int
	// Lifted takes all of them away, to measure what is left.
	Lifted bool
}

func (l Limits) withDefaults() Limits {
	or := func(r *Rate, d Rate) {
		if r.PerSecond <= 0 {
			*r = d
		}
		if r.Burst <= 0 {
			r.Burst = d.Burst
		}
	}
	// 20 calls in 1.03 s: what counts is when they arrive, and they do not all travel equally long. A burst of four is what one click asks at once.
	or(&l.SSOAdmin, Rate{PerSecond: 19.5, Burst: 4})
	or(&l.IdentityStore, Rate{PerSecond: 19.5, Burst: 20})
	// No burst: two calls are the whole second. A little slower than the quota, since what counts is when a call arrives.
	or(&l.CloudTrail, Rate{PerSecond: 1.8, Burst: 1})
	switch {
	case l.Lifted:
		l.Outstanding = math.MaxInt
	case l.Outstanding <= 0:
		l.Outstanding = 15
	}
	return l
}

// quota is one of AWS's rate limits, kept by waiting in the order of store.Urgency. Where AWS throttles all the same, because others use the
// quota too, everybody who shares it waits a little.
//
// There is no goroutine behind it: whoever comes, leaves or is woken by the alarm lets in whom it can. Time is the process's own, as AWS goes
// by its own: a clock that a test moves has nothing to do with it.
type quota struct {
	service string
	rate    Rate
	lifted  bool
	spare   int           // tokens that calls nobody waits for leave to the others
	span    time.Duration // no stretch of this length sees more calls than recent has room for

	mu      sync.Mutex
	tokens  float64 // as they were at filled
	filled  time.Time
	recent  []time.Time // a ring of the last calls
	next    int         // its oldest
	until   time.Time   // no call before this
	waiting queue
	arrived uint64
	alarm   *time.Timer // rings when the first may go; of no importance while nobody waits
}

func newQuota(service string, r Rate, lifted bool) *quota {
	q := &quota{service: service, rate: r, lifted: lifted, tokens: float64(r.Burst)}
	if lifted {
		return q
	}
	// Without a burst there is nothing to keep a token of: the calls nobody waits for then simply come last.
	q.spare = min(3, r.Burst-1)
	n := math.Ceil(r.PerSecond)
	q.recent = make([]time.Time, int(n))
	q.span = time.Duration(math.Ceil(n / r.PerSecond * float64(time.Second)))
	return q
}

// wait returns when a call may be made, or an error when ctx has ended first.
func (q *quota) wait(ctx context.Context) error {
	_, err := q.enter(ctx, nil)
	return err
}

// enter is wait for callers whom somebody else's call may serve as well: it returns nil when begun is closed first. Who was let in and then needs
// no call gives the place back.
func (q *quota) enter(ctx context.Context, begun <-chan struct{}) (*waiter, error) {
	if err := ctx.Err(); err != nil {
		return nil, q.gaveUp(err, false)
	}
	q.mu.Lock()
	w := &waiter{rank: rankOf(ctx, q.arrived), ready: make(chan struct{})}
	q.arrived++
	q.waiting.add(w)
	q.admit()
	q.mu.Unlock()
	var err error
	select {
	case <-w.ready:
		return w, nil
	case <-begun:
	case <-ctx.Done():
		err = ctx.Err()
	}
	q.mu.Lock()
	paused := time.Until(q.until) > 0
	if !q.waiting.remove(w) {
		q.undo(w)
	}
	q.admit()
	q.mu.Unlock()
	if err != nil {
		err = q.gaveUp(err, paused)
	}
	return nil, err
}

func (q *quota) gaveUp(err error, paused bool) error {
	if paused {
		return fmt.Errorf("waiting because %s throttles: %w", q.service, err)
	}
	return fmt.Errorf("waiting for room in the quota of %s: %w", q.service, err)
}

// giveBack returns the place of a call that is not made after all.
func (q *quota) giveBack(w *waiter) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.undo(w)
	q.admit()
}

// admit lets in whoever may go now, in their order, and sets the alarm for the next. q.mu is held.
func (q *quota) admit() {
	now := time.Now()
	for {
		w := q.waiting.first()
		if w == nil {
			if q.alarm != nil {
				q.alarm.Stop()
			}
			return
		}
		if d := q.delay(w, now); d > 0 {
			if q.alarm == nil {
				q.alarm = time.AfterFunc(d, q.ring)
			} else {
				q.alarm.Reset(d)
			}
			return
		}
		q.waiting.remove(w)
		q.take(w, now)
		close(w.ready)
	}
}

func (q *quota) ring() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.admit()
}

// delay is how long one who waits must go on waiting. q.mu is held.
func (q *quota) delay(w *waiter, now time.Time) time.Duration {
	d := q.until.Sub(now)
	if q.lifted {
		return d
	}
	q.tokens = min(float64(q.rate.Burst), q.tokens+now.Sub(q.filled).Seconds()*q.rate.PerSecond)
	q.filled = now
	leave := 0
	if w.idle() {
		leave = q.spare
	}
	if short := float64(1+leave) - q.tokens; short > 0 {
		d = max(d, time.Duration(math.Ceil(short/q.rate.PerSecond*float64(time.Second))))
	}
	if oldest := q.recent[(q.next+leave)%len(q.recent)]; !oldest.IsZero() {
		d = max(d, oldest.Add(q.span).Sub(now))
	}
	return d
}

// take spends what one call costs. q.mu is held.
func (q *quota) take(w *waiter, now time.Time) {
	if q.lifted {
		return
	}
	q.tokens--
	w.place, w.at = q.next, now
	q.recent[q.next] = now
	q.next = (q.next + 1) % len(q.recent)
}

// undo is the reverse of take. q.mu is held.
func (q *quota) undo(w *waiter) {
	if q.lifted {
		return
	}
	q.tokens++
	if q.recent[w.place].Equal(w.at) {
		q.recent[w.place] = time.Time{}
	}
}

// longestPause bounds what a throttling answer may ask for: a wrong figure must not hold up a revocation.
const longestPause = 5 * time.Second

// pause keeps everybody from calling for d.
func (q *quota) pause(d time.Duration) {
	t := time.Now().Add(min(d, longestPause))
	q.mu.Lock()
	defer q.mu.Unlock()
	if t.After(q.until) {
		q.until = t
		q.admit() // nobody goes; the alarm is set anew
	}
}

// sleep waits for d or for the end of ctx.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
