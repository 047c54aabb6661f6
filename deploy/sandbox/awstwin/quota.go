// Rates, in token buckets on the twin's clock. A bucket begins full and holds one second's
// worth; how large a burst AWS really lets through is not documented.

package awstwin

import (
	"time"
)

// Quotas as AWS publishes them (Identity Center quotas; CloudTrail LookupEvents).
const (
	identityCenterTPS  = 20 // collective, for all of sso-admin
	identityStoreTPS   = 20 // collective, its own
	lookupTPS          = 2  // for each account and Region
	outstandingCreates = 15 // asynchronous CreateAccountAssignment calls
)

type quotaState struct {
	off     bool
	buckets map[string]*tokens
}

func newQuotaState() quotaState { return quotaState{buckets: map[string]*tokens{}} }

// tokens is a token bucket on the twin's clock.
type tokens struct {
	left float64
	at   time.Time
}

func (t *tokens) take(now time.Time, rate float64) bool {
	if d := now.Sub(t.at).Seconds(); d > 0 {
		t.left = min(rate, t.left+d*rate)
		t.at = now
	}
	if t.left < 1 {
		return false
	}
	t.left--
	return true
}

// SetQuotas switches the limits on rates and concurrency on (the default) or off: 20 calls a second for Identity Center
// and for the identity store each, 2 a second for LookupEvents, 15 outstanding creations, one change at a time for each account.
func (o *Organization) SetQuotas(on bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.settle(o.cfg.Now())
	o.limits.off = !on
}

func (o *Organization) throttle(c *call) error {
	if o.limits.off {
		return nil
	}
	key, rate := "", 0.0
	switch c.svc.name {
	case "sso-admin":
		key, rate = "sso-admin", identityCenterTPS
	case "identitystore":
		key, rate = "identitystore", identityStoreTPS
	case "cloudtrail":
		key, rate = "cloudtrail/"+c.who.account+"/"+c.region, lookupTPS
	default:
		return nil
	}
	b := o.limits.buckets[key]
	if b == nil {
		b = &tokens{left: rate, at: c.at}
		o.limits.buckets[key] = b
	}
	if b.take(c.at, rate) {
		return nil
	}
	err := fail("ThrottlingException", "Rate exceeded")
	if c.svc.name == "identitystore" {
		err.with("RetryAfterSeconds", 1)
	}
	return err
}
