package slacktwin

import (
	"net/http"
	"time"
)

// channelBurst is how many messages a channel takes at once before the rule of one a second binds. Slack promises
// "short bursts" without a number (docs: rate limits, chat.postMessage).
const channelBurst = 10

// quota counts calls: a bucket for each method by its tier, one for each channel posted to. Its caller holds mu.
type quota struct {
	lifted  bool
	buckets map[string]*bucket
}

// bucket refills over time; a call takes one out.
type bucket struct {
	left float64
	at   time.Time
}

func newQuota() quota { return quota{buckets: map[string]*bucket{}} }

// SetQuotas switches Slack's rate limits on (the default) or off, for measurements.
func (w *Workspace) SetQuotas(on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.quota.lifted = !on
}

// spend counts a call of a method with so many calls a minute; 0 means that the method has no tier.
func (q *quota) spend(method string, perMinute int, now time.Time) *apiError {
	if perMinute == 0 {
		return nil
	}
	return q.take("method "+method, float64(perMinute), float64(perMinute)/60, now)
}

// spendChannel counts a message to a channel.
func (q *quota) spendChannel(channel string, now time.Time) *apiError {
	return q.take("channel "+channel, channelBurst, 1, now)
}

func (q *quota) take(key string, size, perSecond float64, now time.Time) *apiError {
	if q.lifted {
		return nil
	}
	b := q.buckets[key]
	if b == nil {
		b = &bucket{left: size, at: now}
		q.buckets[key] = b
	}
	b.left = min(size, b.left+now.Sub(b.at).Seconds()*perSecond)
	b.at = now
	if b.left < 1 {
		wait := time.Duration((1 - b.left) / perSecond * float64(time.Second))
		return &apiError{code: "ratelimited", status: http.StatusTooManyRequests, after: max(wait, time.Second)}
	}
	b.left--
	return nil
}
