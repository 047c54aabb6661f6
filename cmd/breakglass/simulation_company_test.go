package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"
	"github.com/prometheus/client_golang/prometheus"

	"breakglass/deploy/sandbox"
	"breakglass/deploy/sandbox/awstwin"
	"breakglass/deploy/sandbox/wire"
	"breakglass/store"
	"breakglass/workflows/policy"
)

// history is one life of the company, drawn from a seed. The goroutine that plays it is the only one that draws.
type history struct {
	seed  uint64
	rnd   *rand.Rand
	mood  mood
	dir   string
	net   *wire.Net
	world *sandbox.World
	pol   *policy.Policy
	wrote []byte // the policy file
	began time.Time
	logs  bytes.Buffer

	run     *flight
	cur     atomic.Pointer[flight] // the same, for the twins' servers
	runs    int
	store   string
	stopped time.Time // the last run

	clock    machineClock
	async    time.Duration        // how long AWS takes for a change
	begin    []awstwin.Assignment // what stands, whatever the bot does
	readings int                  // of CloudTrail, in all reports
	seats    []*seat
	sights   map[string]sight
	looked   time.Time     // the last time
	again    bool          // whether somebody asks once more at the end
	away     atomic.Int32  // outages at this moment
	deathly  bool          // the program dies at the next click
	ends     []*time.Timer // of outages
	undo     func()        // the last change to the directory

	mu     sync.Mutex // guards what follows, which the twins' servers touch
	dirs   []directoryAt
	acks   map[press]int
	tried  map[press]bool
	steps  []string
	wrong  []string
	counts tally
	traps  []*trap
	wires  []wired
	pauses []pause
}

func newHistory(dir string, seed uint64, among []mood) *history {
	h := &history{
		seed: seed, rnd: rand.New(rand.NewPCG(seed, 20)), dir: dir, net: wire.New(), began: time.Now(), counts: tally{},
		acks: map[press]int{}, tried: map[press]bool{}, sights: map[string]sight{}, store: filepath.Join(dir, "breakglass.db"),
	}
	h.mood = among[h.rnd.IntN(len(among))]
	h.again = h.chance(4)
	return h
}

// live plays the history to its end.
func (h *history) live() (out outcome) {
	defer func() {
		out = outcome{mood: h.mood.name, steps: h.steps, wrong: h.wrong, log: h.logs.String(), counts: h.counts}
	}()
	cfg := awstwin.Config{MissingDelete: awstwin.MissingDelete(h.rnd.IntN(3)), Async: h.pick(500*time.Millisecond, 2*time.Second, 2*time.Second, 15*time.Second, 40*time.Second)}
	h.async = cfg.Async
	if h.chance(3) {
		cfg.IAMLag = 10 * time.Second
	}
	h.world = sandbox.Forge(time.Now, slackConfig("http://slack.twin"), cfg)
	slackServer, awsServer := &http.Server{Handler: h.slackWire(h.world.Slack)}, &http.Server{Handler: h.awsWire(h.world.AWS)}
	go func() { _ = slackServer.Serve(h.net.Listen("slack.twin")) }()
	go func() { _ = awsServer.Serve(h.net.Listen("aws.twin")) }()
	defer func() {
		h.record()
		h.stop()
		h.world.Slack.Close()
		_ = slackServer.Close()
		_ = awsServer.Close()
	}()
	if err := h.drawPolicy(); err != nil {
		h.fault("the drawn policy has faults: %v", err)
		return
	}
	h.drawStanding()
	h.snapDirectory()
	h.launch(true)
	h.pass(5 * time.Second)
	for n := 10 + h.rnd.IntN(31); n > 0 && len(h.wrong) == 0; n-- {
		h.deed()
	}
	if len(h.wrong) == 0 {
		h.finish()
	}
	return
}

// say adds a step, in words.
func (h *history) say(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	at := time.Since(h.began)
	h.steps = append(h.steps, fmt.Sprintf("%8s  %s", at.Round(time.Millisecond), fmt.Sprintf(format, args...)))
}

// fault says that something is as it must not be.
func (h *history) fault(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.wrong) < 12 {
		h.wrong = append(h.wrong, fmt.Sprintf("%s  %s", time.Since(h.began).Round(time.Millisecond), fmt.Sprintf(format, args...)))
	}
}

// record adds the log of every request that something is wrong about, as the program's clock has it.
func (h *history) record() {
	db, told := h.db(), map[string]bool{}
	if db == nil {
		return
	}
	for _, id := range regexp.MustCompile(`BG-\d+`).FindAllString(strings.Join(h.wrong, " "), -1) {
		events, err := db.EventsOf(store.ID(id))
		if err != nil || told[id] {
			continue
		}
		told[id] = true
		for _, e := range events {
			h.steps = append(h.steps, fmt.Sprintf("  log of %s  %8s  %s %s %s->%s %v", id, e.At.Sub(h.began).Round(time.Millisecond), e.Actor.Label(), e.Kind, e.From, e.To, e.Data))
		}
	}
}

func (h *history) count(what string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.counts[what]++
}

func (h *history) chance(oneIn int) bool                  { return h.rnd.IntN(oneIn) == 0 }
func (h *history) pick(of ...time.Duration) time.Duration { return of[h.rnd.IntN(len(of))] }
func (h *history) word(of ...string) string               { return of[h.rnd.IntN(len(of))] }
func (h *history) between(from, to time.Duration) time.Duration {
	return from + time.Duration(h.rnd.Int64N(int64(to-from)))
}

// flight is one run of the program.
type flight struct {
	n      int
	cancel context.CancelFunc
	done   chan error
	http   [2]*http.Client
	p      atomic.Pointer[program]

	shut  atomic.Bool
	once  sync.Once
	died  chan struct{}
	fell  time.Time
	after time.Duration // how long nobody starts it again

	mu      sync.Mutex
	looks   int
	dieAt   int
	remains []byte
}

// launch starts the program on the current store.
func (h *history) launch(create bool) {
	r := &flight{n: h.runs, done: make(chan error, 1), died: make(chan struct{})}
	h.clock.started(h.stopped)
	h.runs++
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		if r.shut.Load() {
			return nil, errDead
		}
		c, err := h.net.DialContext(ctx, network, addr)
		if err == nil && r.shut.Load() {
			_ = c.Close()
			return nil, errDead
		}
		return c, err
	}
	for i := range r.http {
		r.http[i] = &http.Client{Transport: &http.Transport{DialContext: dial}}
	}
	set := setting{
		env: environment{
			BotToken: sandbox.BotToken, AppToken: sandbox.AppToken, SlackURL: "http://slack.twin/api/", Policy: h.policyPath(),
			Store: "bolt:" + h.store, Mail: "ses", Sweep: "@every 5s", MemberRole: sandbox.MemberRole, Guard: sandbox.GuardPrefix, DeadmanRole: sandbox.DeadManRole,
		},
		create: create, now: func() time.Time { return h.look(r) }, registry: prometheus.NewRegistry(), noSocket: true,
		log:   slog.New(slog.NewTextHandler(&h.logs, &slog.HandlerOptions{Level: slog.LevelWarn})),
		slack: r.http[0], aws: r.http[1], dialer: &websocket.Dialer{NetDialContext: dial},
		ready: func(p *program) { r.p.Store(p) },
	}
	h.run = r
	h.cur.Store(r)
	go func() { r.done <- serve(ctx, set) }()
}

var errDead = fmt.Errorf("this run is dead")

// look is the program looking at the machine's clock, which it does before and after everything it does or writes: a good moment to be killed.
func (h *history) look(r *flight) time.Time {
	r.mu.Lock()
	r.looks++
	now := r.dieAt > 0 && r.looks >= r.dieAt
	r.mu.Unlock()
	if now {
		h.kill(r, "at a look at the clock")
	}
	return h.clock.now()
}

// kill ends a run as kill -9 does. First nothing of it reaches anybody any more, then what is on disk is what the next run finds: whatever was
// acknowledged or done by then is either in there or lost for good.
func (h *history) kill(r *flight, why string) {
	r.once.Do(func() {
		r.shut.Store(true)
		for _, host := range []string{"slack.twin", "aws.twin"} {
			h.net.Cut(host)
			h.net.Mend(host)
		}
		r.remains = steadyCopy(h.store)
		r.fell = time.Now()
		h.say("killed %s", why)
		h.count("crashes")
		close(r.died)
	})
}

// steadyCopy reads a bbolt file that others write to: its first two pages say which commit is the newest, and while those stay as they are, nothing
// that commit needs is overwritten.
func steadyCopy(path string) []byte {
	const metas = 2 * 4096
	for {
		before, err := os.ReadFile(path)
		if err != nil {
			return nil
		}
		after, err := os.ReadFile(path)
		if err == nil && len(before) >= metas && len(after) >= metas && bytes.Equal(before[:metas], after[:metas]) {
			return before
		}
	}
}

// stop ends the run as SIGTERM does.
func (h *history) stop() {
	r := h.run
	if r == nil {
		return
	}
	h.run, h.stopped = nil, time.Now()
	h.cur.Store(nil)
	r.cancel()
	if err := <-r.done; err != nil && !r.shut.Load() {
		h.fault("the program ended with %v", err)
	}
	for _, c := range r.http {
		c.CloseIdleConnections()
	}
}

// rise starts the program again after it was killed, when somebody has noticed.
func (h *history) rise() {
	r := h.run
	h.stop()
	h.stopped = r.fell
	time.Sleep(r.after)
	h.runs++
	h.store = filepath.Join(h.dir, fmt.Sprintf("after-crash-%d.db", h.runs))
	if r.remains == nil {
		h.fault("the store could not be read at the crash")
	}
	if err := os.WriteFile(h.store, r.remains, 0o600); err != nil {
		h.fault("%v", err)
	}
	h.suspend(r.fell, time.Now(), "the program was down")
	h.say("started again after %v", time.Since(r.fell).Round(time.Millisecond))
	h.launch(false)
}

// pass lets time pass, starts the program again where it was killed, and looks at everything now and then.
func (h *history) pass(d time.Duration) {
	for end := time.Now().Add(d); ; {
		step := min(time.Until(end), 5*time.Minute)
		select {
		case <-h.run.died:
			h.rise()
			continue
		case err := <-h.run.done:
			h.fault("the program ended with %v", err)
			h.run.done <- err
			return
		case <-time.After(step):
		}
		synctest.Wait()
		if h.run.shut.Load() {
			continue
		}
		h.watch()
		if !time.Now().Before(end) || len(h.wrong) > 0 {
			return
		}
	}
}

// db is the store as the running program has it; nil until it has met Slack.
func (h *history) db() *store.DB {
	if h.run == nil || h.run.shut.Load() {
		return nil
	}
	if p := h.run.p.Load(); p != nil {
		return p.db
	}
	return nil
}
