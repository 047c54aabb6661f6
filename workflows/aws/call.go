package aws

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
)

// manner is how a call is made: how long one attempt may take, and what is tried again here. The engine tries everything
// again in its own time, from the store; what is repeated here is only what is cheaper to repeat at once.
type manner struct {
	timeout  time.Duration // of one attempt; nothing hangs for ever
	attempts int           // for faults that leave open whether AWS acted: reads only
	patience time.Duration // how long Conflict and Throttling, which say that AWS did not act, are repeated; time in the queue does not count
	least    time.Duration // what must be left of the caller's time after the queue; with less the attempt would only leave a doubt behind
	taken    bool          // ConflictException says that there is one already, and is an answer
}

var (
	// reading is harmless to repeat, and somebody may be looking at a form: one repetition.
	reading = manner{timeout: 10 * time.Second, attempts: 2, patience: 3 * time.Second}
	// writing is never repeated after an answer was lost: the caller records the doubt and looks. ConflictException is
	// AWS's word for "your previous write has not propagated, try again" (API reference of CreateAccountAssignment),
	// and is not repeated by the SDK.
	writing = manner{timeout: 15 * time.Second, attempts: 1, patience: 5 * time.Second, least: time.Second}
	// making is writing where ConflictException means that the thing exists: a schedule of that name, a membership.
	making = manner{timeout: 15 * time.Second, attempts: 1, patience: 5 * time.Second, least: time.Second, taken: true}
)

// call is the one way in which AWS is called: within the quota, with a timeout for each attempt, counted. The error is the SDK's,
// to be read by errors.go.
func call[O any](ctx context.Context, c *Connection, q *quota, op string, m manner, f func(context.Context) (O, error)) (O, error) {
	return calling(ctx, c, q, q.wait, op, m, f)
}

// calling is call for those who may have been let in already: enter stands in for the quota's queue.
func calling[O any](ctx context.Context, c *Connection, q *quota, enter func(context.Context) error, op string, m manner, f func(context.Context) (O, error)) (O, error) {
	var spent time.Duration // on attempts and the pauses between them
	var last error
	for attempt := 1; ; attempt++ {
		if err := m.queue(ctx, q, enter, op); err != nil {
			var none O
			return none, cmp.Or(last, err) // the answer we have says more than that we waited
		}
		// Patience and latency are measured by the process's clock, never by Config.Now, which a test may move.
		begun := time.Now()
		out, err := once(ctx, c, q, op, m.timeout, f)
		if err == nil {
			return out, nil
		}
		spent += time.Since(begun)
		wait, again := m.again(attempt, spent, err)
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < wait {
			again = false // the answer we have says more than "context deadline exceeded"
		}
		if !again || sleep(ctx, wait) != nil {
			return out, err
		}
		spent, last = spent+wait, err
	}
}

// shortWait is a wait in the queue that is not worth a word.
const shortWait = 100 * time.Millisecond

// queue waits until the quota has room. Whoever had to wait so long that nearly nothing is left of their time does not begin: a call that was not
// made is tried again, one that was cut off leaves open whether AWS acted.
func (m manner) queue(ctx context.Context, q *quota, enter func(context.Context) error, op string) error {
	queued := time.Now()
	if err := enter(ctx); err != nil {
		return err
	}
	deadline, ok := ctx.Deadline()
	if ok && time.Since(queued) > shortWait && time.Until(deadline) < m.least {
		return fmt.Errorf("the wait for the quota of %s left no time for %s: %w", q.service, op, context.DeadlineExceeded)
	}
	return nil
}

// once is one attempt. The timeout is the attempt's own, so that a connection that died in silence costs one attempt and not the
// caller's whole patience.
func once[O any](ctx context.Context, c *Connection, q *quota, op string, timeout time.Duration, f func(context.Context) (O, error)) (O, error) {
	actx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	begun := time.Now()
	out, err := f(actx)
	outcome := outcomeOf(err)
	if outcome == "throttled" {
		q.pause(retryAfter(err))
	}
	c.meter.calls.WithLabelValues(q.service, op, outcome).Inc()
	c.meter.seconds.WithLabelValues(q.service, op).Observe(time.Since(begun).Seconds())
	// The SDK reports its own context as cancelled by the caller; it was not, and whoever reads the error should know.
	if err != nil && ctx.Err() == nil && actx.Err() != nil {
		err = &timeoutError{op: op, after: timeout, err: err}
	}
	return out, err
}

// again says whether an attempt that failed is repeated at once, and after what pause.
func (m manner) again(attempt int, spent time.Duration, err error) (time.Duration, bool) {
	switch outcome := outcomeOf(err); outcome {
	case "conflict", "throttled":
		if m.taken && outcome == "conflict" {
			return 0, false
		}
		wait := backoff(attempt)
		return wait, spent+wait < m.patience
	case "fault", "timeout":
		return backoff(attempt), attempt < m.attempts
	}
	return 0, false
}

// backoff doubles from 200 ms to 2 s, with a quarter of jitter, so that those who collided do not collide again.
func backoff(attempt int) time.Duration {
	d := min(200*time.Millisecond<<min(attempt-1, 8), 2*time.Second)
	return d - d/8 + rand.N(d/4)
}

// meters count calls. Labels are names of services, operations and outcomes: no account, no person.
type meters struct {
	calls   *prometheus.CounterVec
	seconds *prometheus.HistogramVec
}

func newMeters(r prometheus.Registerer) (*meters, error) {
	m := &meters{
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "breakglass_aws_calls_total", Help: "Calls to AWS, each attempt by itself.",
		}, []string{"service", "operation", "outcome"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "breakglass_aws_call_seconds", Help: "Duration of calls to AWS, without waiting for the quota.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 15},
		}, []string{"service", "operation"}),
	}
	if r == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.calls, m.seconds} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// each asks about several things at the same time, at most width of them. The first error ends the others.
func each[I, O any](ctx context.Context, width int, all []I, ask func(context.Context, I) (O, error)) ([]O, error) {
	out := make([]O, len(all))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(width)
	for i, x := range all {
		g.Go(func() (err error) { out[i], err = ask(gctx, x); return err })
	}
	return out, g.Wait()
}
