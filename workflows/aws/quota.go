package aws

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Rate is how many calls are made: PerSecond in the long run, Burst at once. AWS counts a burst into the same second, so the sum of
// both is what must stay below its quota.
type Rate struct {
	PerSecond float64
	Burst     int
}

// Limits are the rates this process keeps to. Zero fields get the defaults, which leave a tenth of each quota to
// others in the same account (a Terraform run, the console): when many are in, taking access away needs the rest.
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
	or(&l.SSOAdmin, Rate{PerSecond: 18, Burst: 4})
	or(&l.IdentityStore, Rate{PerSecond: 18, Burst: 4})
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

// quota is one of AWS's rate limits, kept by waiting. Where AWS throttles all the same, because others use the quota too,
// everybody who shares it waits a little.
type quota struct {
	service string
	tokens  *rate.Limiter

	mu    sync.Mutex
	until time.Time // no call before this
}

func newQuota(service string, r Rate, lifted bool) *quota {
	if lifted {
		return &quota{service: service, tokens: rate.NewLimiter(rate.Inf, 1)}
	}
	return &quota{service: service, tokens: rate.NewLimiter(rate.Limit(r.PerSecond), r.Burst)}
}

// wait returns when a call may be made, or an error when ctx would end first. It measures by the process's own clock, as
// AWS does by its own: a clock that a test moves has nothing to do with it.
func (q *quota) wait(ctx context.Context) error {
	for {
		q.mu.Lock()
		d := time.Until(q.until)
		q.mu.Unlock()
		if d <= 0 {
			break
		}
		if err := sleep(ctx, d); err != nil {
			return fmt.Errorf("waiting because %s throttles: %w", q.service, err)
		}
	}
	if err := q.tokens.Wait(ctx); err != nil {
		return fmt.Errorf("waiting for room in the quota of %s: %w", q.service, err)
	}
	return nil
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
