package workflows

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/robfig/cron/v3"
	"golang.org/x/mod/sumdb/note"

	"breakglass/store"
	"breakglass/workflows/policy"
)

// Config is what an Engine is made of. All of it must be there but Guards, DeadMan, Shells and Inventory, which the operator may switch off, and
// ByHand, Log, Registry and Sweep.
type Config struct {
	DB        *store.DB
	Policy    func() *policy.Policy // the one in force at this moment
	Directory Directory
	Assigner  Assigner
	Guards    Guards  // nil: no guard policies
	DeadMan   DeadMan // nil: no dead man's schedules
	// NoSchedules: none are made; DeadMan only removes those of before.
	NoSchedules bool
	Shells      Shells    // nil: open shells are not ended
	Inventory   Inventory // nil: nothing is reconciled
	Trail       Trail
	ShellLogs   ShellLogs // nil: none are kept
	// Archive is where evidence is put; nil: nothing is archived. Signer gives the key that signs checkpoints, which may be kept elsewhere, and its public half
	// as verifiers write it.
	Archive Archive
	Signer  func(context.Context) (note.Signer, string, error)
	// Spool is a directory of ours beside the store: evidence stands there until the archive has it. "": what CloudTrail says is not kept event by event.
	Spool   string
	People  People
	Speaker Speaker
	Now     func() time.Time
	// Elsewhere is the time by another clock than the machine's, AWS's; ok is false while it is not known. May be nil.
	Elsewhere func() (now time.Time, ok bool)
	Log       *slog.Logger
	Registry  prometheus.Registerer
	// ByHand is the command that takes an access away by hand, for people who are told that it is stuck; "" where it is not known. May be nil.
	ByHand func(store.Tuple) string
	Sweep  string // cron spec of the sweep; "" is every five seconds
}

// Engine moves every request that is due one step forward. What it keeps between steps can be lost: the sweep asks the store what is due,
// and a step reads the record, acts, and writes what came of it. Everything else here only makes it look sooner.
type Engine struct {
	Config
	nudged    chan struct{} // look at what is due
	spoken    chan struct{} // look at what is to be said
	filed     chan struct{} // look at what is to be archived
	meters    meters
	rooms     rooms
	outbox    outbox
	clock     *steady
	turning   sync.RWMutex // of the clock, to an earlier time; who signs a checkpoint reads
	turns     turns        // of those who write a guard
	finding   sync.Mutex   // findings are announced one at a time, so that each is announced once
	reviewing sync.Mutex   // of those who press Reviewed
	clickers  sync.Map     // the number of a click that is acted on -> store.Person who made it, once that is known
	restored  atomic.Bool  // AWS has ends of sessions that the store knows nothing of
	owed      unwritten    // removals that were made while the store could not be written
	census    census       // how far the reconciliation is

	work sync.WaitGroup
	mu   sync.Mutex // guards what follows
	// ctx is that of the work under way; nil while the engine does not run.
	ctx     context.Context
	claimed map[string]*claim // requests, clicks and lanes that somebody works on at this moment
	full    bool              // somebody found no room: look again when there is some
	alarm   *time.Timer       // makes the next sweep come sooner than the cron would
	rings   time.Time
}

// How much one sweep looks at. A request that is due costs it a microsecond, and one it begins a read.
const (
	mostDue    = 100_000
	mostClicks = 512
)

// New makes an engine. It does nothing until CatchUp or Run.
func New(c Config) *Engine {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Sweep == "" {
		c.Sweep = "@every 5s"
	}
	e := &Engine{
		Config:  c,
		nudged:  make(chan struct{}, 1),
		spoken:  make(chan struct{}, 1),
		filed:   make(chan struct{}, 1),
		claimed: map[string]*claim{},
		rooms:   newRooms(),
		outbox:  outbox{lanes: map[string][]store.Notice{}},
		clock:   newSteady(c.Now, c.Log),
		meters:  newMeters(c.Registry, c.DB, c.Now),
	}
	if err := e.clock.remember(c.DB); err != nil { // CatchUp asks again, and says so
		c.Log.Warn("it is not known when the last line of the log was written", "err", err)
	}
	return e
}

// Run sweeps until ctx is done, then waits for the steps under way. A step that is cut off is repeated at the next start.
func (e *Engine) Run(ctx context.Context) error {
	c := cron.New(cron.WithChain(cron.Recover(cron.DiscardLogger), cron.SkipIfStillRunning(cron.DiscardLogger)))
	if _, err := c.AddFunc(e.Sweep, e.Nudge); err != nil {
		return fmt.Errorf("the sweep's schedule %q: %w", e.Sweep, err)
	}
	e.open(ctx)
	if _, err := c.AddFunc(reconcileEvery, func() { e.beginCensus() }); err != nil {
		return fmt.Errorf("the reconciliation's schedule: %w", err)
	}
	if _, err := c.AddFunc(beatEvery, e.beat); err != nil {
		return fmt.Errorf("the clock's schedule: %w", err)
	}
	if _, err := c.AddFunc(calendarEvery, e.calendar); err != nil {
		return fmt.Errorf("the calendar's schedule: %w", err)
	}
	c.Start()
	defer e.close()
	defer func() { <-c.Stop().Done() }()
	e.orphans()
	e.adopt()
	e.Nudge()
	e.beginCensus()
	speaking := make(chan struct{})
	go func() {
		defer close(speaking)
		for {
			select {
			case <-ctx.Done():
				return
			case <-e.spoken:
				e.pump(ctx)
			}
		}
	}()
	defer func() { <-speaking }()
	filing := make(chan struct{})
	go func() {
		defer close(filing)
		e.archivist(ctx)
	}()
	defer func() { <-filing }()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-e.nudged:
			e.sweep(ctx)
			e.hear()
			e.file()
		}
	}
}

func (e *Engine) open(ctx context.Context) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.ctx = ctx
}

func (e *Engine) close() {
	e.mu.Lock()
	e.ctx = nil
	if e.alarm != nil {
		e.alarm.Stop()
	}
	e.mu.Unlock()
	e.work.Wait()
}

// Nudge makes the engine look at the store at once.
func (e *Engine) Nudge() {
	select {
	case e.nudged <- struct{}{}:
	default: // it is about to look anyway
	}
}

// hear makes it look at what is to be said.
func (e *Engine) hear() {
	select {
	case e.spoken <- struct{}{}:
	default:
	}
}

// file makes it look at what is to be archived.
func (e *Engine) file() {
	select {
	case e.filed <- struct{}{}:
	default:
	}
}

// wake makes a sweep come at t, if that is soon: what is due later is the cron's business. Losing it costs seconds, never a promise.
func (e *Engine) wake(t time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.now()
	in := t.Sub(now)
	if e.ctx == nil || in > time.Minute || e.alarm != nil && e.rings.After(now) && !e.rings.After(t) {
		return
	}
	if e.alarm == nil {
		e.alarm = time.AfterFunc(max(in, 0), e.Nudge)
	} else {
		e.alarm.Reset(max(in, 0))
	}
	e.rings = t
}

// CatchUp begins every revocation that is overdue, before Slack is connected, and waits for them, but not past ctx. work is the context of what it
// begins, which goes on.
func (e *Engine) CatchUp(ctx, work context.Context) error {
	if err := e.clock.remember(e.DB); err != nil {
		return fmt.Errorf("read when the last line of the log was written: %w", err)
	}
	due, err := e.DB.Due(e.now(), mostDue)
	if err != nil {
		return fmt.Errorf("read what is overdue: %w", err)
	}
	e.open(work)
	var all sync.WaitGroup
	for _, d := range due {
		if !d.State.MayHaveAccess() {
			continue
		}
		r, err := e.DB.Request(d.ID)
		if err != nil { // the others must not wait for it
			e.broken("read a request that is overdue", err)
			continue
		}
		if !r.ExpiresAt.After(e.now()) {
			e.spawn(string(r.ID), e.rooms.ends, func(ctx context.Context) { e.step(ctx, r.ID) }, &all)
		}
	}
	done := make(chan struct{})
	go func() { all.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
	}
	return nil
}

// sweep begins everything that is due, access before all else. It is how work is found after a start; while the engine runs, most of it was begun
// already by who caused it. Kinds of work whose room is full are passed over: a long queue of one kind hides no other.
func (e *Engine) sweep(ctx context.Context) {
	e.enforce()
	clicks, err := e.DB.Clicks(mostClicks)
	if err != nil {
		e.broken("read the inbox", err)
	}
	for _, c := range clicks {
		e.kickClick(c)
	}
	due, err := e.DB.Due(e.now(), mostDue)
	if err != nil {
		e.broken("read what is due", err)
	}
	for _, access := range []bool{true, false} {
		for _, d := range due {
			if ctx.Err() != nil || d.State.MayHaveAccess() != access || e.passOver(d) {
				continue
			}
			r, err := e.DB.Request(d.ID)
			if err != nil {
				e.broken("read a request that is due", err)
				continue
			}
			e.kick(r)
		}
	}
}

// step moves one request as far as it goes without waiting for a clock.
func (e *Engine) step(ctx context.Context, id store.ID) {
	for {
		r, err := e.DB.Request(id)
		if err != nil {
			e.broken("read a request that is due", err)
			return
		}
		e.kickTell(r, e.now())
		due := r.DueBut(store.ClockTell)
		if ctx.Err() != nil || r.State.Ended() || due == 0 || due > e.now().UnixNano() {
			if due != 0 {
				e.wake(time.Unix(0, due))
			}
			return
		}
		if err := e.tryStep(ctx, r); err != nil {
			if ctx.Err() == nil && !moved(err) {
				e.anyway(ctx, r)
			}
			if ctx.Err() != nil || !e.stumble(r, err) {
				return // cut off, or not even the failure could be recorded
			}
		}
		e.hear()
	}
}

// tryStep makes an error of a panic, so that the request that makes one is put off like any that fails.
func (e *Engine) tryStep(ctx context.Context, r store.Request) (err error) {
	defer func() {
		if p := recover(); p != nil {
			e.meters.panics.Inc()
			e.Log.Error("a step panicked; the others go on", "request", r.ID, "state", r.State, "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("a defect of Breakglass: %v", p)
		}
	}()
	return e.advance(ctx, r)
}

// advance does what the earliest clock of the request asks for. Access goes before tickets: nothing that is merely owed may come
// between a session and its end.
func (e *Engine) advance(ctx context.Context, r store.Request) error {
	now := e.now()
	busy := r.State.MayHaveAccess() && (r.Over(store.ClockEnd, now) || r.Over(store.ClockPoll, now))
	if r.Over(store.ClockTicket, now) && !busy {
		return e.ticketDue(ctx, r)
	}
	if r.Over(store.ClockOwed, now) && (r.State == store.Revoked || r.State == store.Reported) {
		return e.owedDue(ctx, r)
	}
	switch r.State {
	case store.Pending:
		return e.waiting(ctx, r)
	case store.Approved:
		return e.prepare(ctx, r)
	case store.Granting:
		return e.grant(ctx, r)
	case store.Active:
		return e.watch(ctx, r)
	case store.Revoking:
		return e.revoke(ctx, r)
	case store.Revoked, store.Reported:
		return e.report(ctx, r)
	}
	return fmt.Errorf("%s is %s and due: nothing is known to do", r.ID, r.State)
}

// stumble keeps a request whose step failed for another try: what it was about is still due, later each time. It returns false where
// not even that could be recorded; then the next sweep of the cron comes back to it, so that a broken disk makes no hot loop.
func (e *Engine) stumble(r store.Request, cause error) (recorded bool) {
	if moved(cause) {
		return true // look again at once
	}
	var elsewhere *store.TransitionError
	e.Log.Warn("a step failed and will be tried again", "request", r.ID, "state", r.State, "attempts", r.Work.Attempts+1, "err", cause)
	now := e.now()
	_, err := e.DB.Touch(e.by(), r.ID, r.State, func(c *store.Change) error {
		w := &c.Request.Work
		w.Attempts++
		w.Error = brief(cause)
		if w.Since.IsZero() {
			w.Since = store.Moment(now)
		}
		next := now.Add(backoff(w.Attempts))
		for _, clock := range pollers(c.Request.State) {
			if c.Request.Over(clock, now) {
				c.Request.Set(clock, next)
			}
		}
		return e.complain(c, now)
	})
	if err != nil && !errors.As(err, &elsewhere) {
		e.broken("record that a step failed", err)
		return false
	}
	return true
}

// moved says whether a step failed because somebody else moved the request meanwhile.
func moved(err error) bool {
	var elsewhere *store.TransitionError
	return errors.As(err, &elsewhere) || errors.Is(err, errMoved)
}

// pollers are the clocks that a failed step puts off. The end of a session is among them only while it is being revoked: until then
// nothing moves it.
func pollers(s store.State) []store.Clock {
	all := []store.Clock{store.ClockPoll, store.ClockReport, store.ClockRemind, store.ClockExpire, store.ClockWarn, store.ClockTicket, store.ClockOwed}
	if s == store.Revoking || s == store.Active {
		all = append(all, store.ClockEnd)
	}
	return all
}

// backoff is how long the n-th failure waits: quickly at first, since most faults of AWS pass in seconds, and never longer than half a minute,
// since somebody is in or wants to be.
func backoff(n int) time.Duration {
	d := 500 * time.Millisecond
	for ; n > 1 && d < 30*time.Second; n-- {
		d *= 2
	}
	return min(d, 30*time.Second)
}

// now is the engine's time: see steady.
func (e *Engine) now() time.Time { return e.clock.now() }

// Moment is the time by the engine's clock, which never goes back. Whoever writes to the store goes by it: a line of the log that said an earlier time than a
// checkpoint before it would look added later.
func (e *Engine) Moment() time.Time { return e.now() }

func (e *Engine) by() store.By { return store.By{Actor: store.Bot(), At: store.Moment(e.now())} }

// broken is a fault of the store itself: nothing can be recorded about it but in the log of the program.
func (e *Engine) broken(doing string, err error) {
	e.meters.faults.Inc()
	e.Log.Error("the store does not answer", "doing", doing, "err", err)
}

// errMoved: the record changed between reading it and writing; the step begins again.
var errMoved = errors.New("the request changed meanwhile")
