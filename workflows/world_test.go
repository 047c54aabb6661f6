package workflows_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"breakglass/store"
	"breakglass/workflows"
	"breakglass/workflows/policy"
)

// world is a small outside for the engine: people, an AWS with asynchronous changes, and somebody who listens. It lives in a bubble, outlives
// the runs of the program, and can be told when a run dies.
type world struct {
	t   *testing.T
	pol *policy.Policy
	run *run
	log *strings.Builder

	tell atomic.Bool // note at which looks at the clock something was going on

	mu      sync.Mutex
	people  map[string]store.Principal
	has     map[store.Tuple]bool
	changes map[string]*change
	ends
	creates int
	deletes int
	told    []told

	async          time.Duration
	bindAfter      time.Duration // how long after a start Slack is there
	look           func() error  // what a look into the directory does first
	loseCreate     int           // so many creations are done and the answer is lost
	refuseAnyhow   bool
	refuse         int          // so many creations after those are refused
	slow, slowList atomic.Int64 // how long a look into the directory, and a listing, take
	lag            time.Time    // until then a listing shows what is not there any more
	back           atomic.Int64 // how far the machine's clock was set back
	elsewhere      func() (time.Time, bool)
	stands         *store.Tuple // was there before
	guardRoom      int          // how many lines a guard has room for; 0: any number
	trail          func(context.Context)
	collect        func(context.Context, store.Resume, func(string, store.Record) error, func(store.Mark) error) []store.Source
	vault          *vault // where evidence is put; nil: nothing is
	deliver        func(store.Notice) error
	follow         func(change string, removal bool) error
}

type change struct {
	t       store.Tuple
	removal bool
	done    time.Time
	applied bool
	failed  bool
}

type told struct {
	at  time.Time
	n   store.Notice
	run int
}

// run is one run of the program, which may die at the n-th time it looks at the clock.
type run struct {
	w       *world
	n       int
	db      *store.DB
	e       *workflows.Engine
	path    string
	cancel  context.CancelFunc
	done    chan error
	begun   time.Time
	dead    atomic.Bool
	mu      sync.Mutex
	looks   int
	dieAt   int
	remains []byte
	spooled string // the spool as it was left
	outs    atomic.Int64
	marks   []string
	heardTo uint64 // of the log
	heard   strings.Builder
}

var groups = []string{
	"grp-forge-sre-oncall", "grp-forge-developers", "grp-forge-platform-leads", "grp-forge-eng-managers", "grp-forge-platform-admins",
}

func newWorld(t *testing.T) *world {
	data, err := os.ReadFile("../deploy/policy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	pol, err := policy.Parse("policy.yaml", data)
	if err != nil {
		t.Fatal(err)
	}
	for i := range pol.Scenarios { // what is owed after a session has tests of its own
		pol.Scenarios[i].PostMortem = false
	}
	w := &world{
		t: t, pol: pol, people: map[string]store.Principal{}, has: map[store.Tuple]bool{}, changes: map[string]*change{},
		async: 3 * time.Second, bindAfter: 300 * time.Millisecond, log: &strings.Builder{}, ends: newEnds(),
	}
	add := func(id, manager string, in ...string) {
		p := store.Principal{UserID: id, UserName: id, Email: id + "@forge.example", DisplayName: id, Enabled: true, ManagerID: manager, Groups: map[string]bool{}}
		for _, g := range groups {
			p.Groups[g] = false
		}
		for _, g := range in {
			p.Groups[g] = true
		}
		w.people[id] = p
	}
	add("dana", "lee", "grp-forge-developers", "grp-forge-sre-oncall")
	add("lee", "", "grp-forge-eng-managers")
	add("pat", "", "grp-forge-platform-leads", "grp-forge-platform-admins")
	add("sam", "", "grp-forge-sre-oncall")
	add("eve", "")
	add("security.lead", "")
	add("incident.manager", "")
	t.Cleanup(func() {
		if t.Failed() {
			l := w.log.String()
			t.Logf("log:\n%s", l[max(0, len(l)-4000):])
		}
	})
	return w
}

// txFile is where a run keeps its store: in memory where the machine can, since thousands of runs are about to be made.
func txFile(w *world, n int) string {
	dir, err := os.MkdirTemp("/dev/shm", "breakglass-engine-")
	if err != nil {
		dir = w.t.TempDir()
	}
	w.t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, fmt.Sprintf("run-%d.db", n))
}

// start begins the first run, or the next one with what the last one left on disk.
func (w *world) start(dieAt int) {
	w.t.Helper()
	r := &run{w: w, done: make(chan error, 1), begun: time.Now(), dieAt: dieAt}
	var err error
	if w.run == nil {
		r.path = txFile(w, 0)
		r.db, err = store.Create(r.path, time.Now())
	} else {
		r.n = w.run.n + 1
		r.path = txFile(w, r.n)
		r.takeSpool(w.run)
		if err := os.WriteFile(r.path, w.run.remains, 0o600); err != nil {
			w.t.Fatal(err)
		}
		r.db, err = store.Open(r.path, time.Now())
	}
	if err != nil {
		w.t.Fatal(err)
	}
	if err := r.db.Check(); err != nil {
		w.t.Fatal(err)
	}
	inside(r.db).NoSync = true // a run dies here by its file, never by a disk that forgets
	c := workflows.Config{
		DB: r.db, Policy: func() *policy.Policy { return w.pol }, Directory: r, Assigner: r, Trail: r, People: r, Speaker: r, Now: r.now, Elsewhere: w.elsewhere,
		Log: slog.New(slog.NewTextHandler(&lockedWriter{b: w.log}, nil)),
	}
	r.equip(&c)
	r.e = workflows.New(c)
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	w.run = r
	catch, stop := context.WithTimeout(ctx, 5*time.Second)
	if err := r.e.CatchUp(catch, ctx); err != nil {
		w.t.Fatal(err)
	}
	stop()
	go func() { r.done <- r.e.Run(ctx) }()
	time.AfterFunc(w.bindAfter+time.Millisecond, r.e.Nudge)
}

var logMu sync.Mutex

type lockedWriter struct{ b *strings.Builder }

func (l *lockedWriter) Write(p []byte) (int, error) {
	logMu.Lock()
	defer logMu.Unlock()
	return l.b.Write(p)
}

// stop ends a run; remains is what it leaves when it did not die before.
func (w *world) stop() {
	r := w.run
	r.cancel()
	<-r.done
	_ = r.db.Close()
	if r.remains == nil {
		data, err := os.ReadFile(r.path)
		if err != nil {
			w.t.Fatal(err)
		}
		r.remains = data
		r.leaveSpool()
	}
}

// pass lets time pass; a run that died is followed by another.
func (w *world) pass(d time.Duration) {
	w.t.Helper()
	step := time.Second
	if d > 2*time.Minute {
		step = 10 * time.Second
	}
	for end := time.Now().Add(d); time.Now().Before(end); {
		time.Sleep(min(step, time.Until(end)))
		synctest.Wait()
		if w.run.dead.Load() {
			w.stop()
			w.start(0)
			if w.vault != nil {
				w.verified()
			}
		}
		w.watch()
	}
}

func (r *run) now() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.looks++
	if r.w.tell.Load() {
		r.marks = append(r.marks, fmt.Sprint(txid(head(r.path)), r.outs.Load()))
	}
	if r.dieAt > 0 && r.looks == r.dieAt && !r.dead.Load() {
		data, err := os.ReadFile(r.path)
		if err != nil {
			panic(err)
		}
		r.remains = data
		r.leaveSpool()
		r.dead.Store(true)
	}
	return time.Now().Add(-time.Duration(r.w.back.Load()))
}

// head is the part of a bbolt file that says which transaction is its newest.
func head(path string) []byte {
	data := make([]byte, 8192)
	if f, err := os.Open(path); err == nil {
		defer f.Close()
		_, _ = f.ReadAt(data, 0)
	}
	return data
}

// txid is the newest transaction in a bbolt file.
func txid(data []byte) uint64 {
	return max(binary.LittleEndian.Uint64(data[64:]), binary.LittleEndian.Uint64(data[4096+64:]))
}

// moments are the looks at the clock before or after which something was done or written.
func (r *run) moments() (out []int) {
	for i, m := range r.marks {
		if i > 0 && m != r.marks[i-1] || i+1 < len(r.marks) && m != r.marks[i+1] {
			out = append(out, i+1)
		}
	}
	return out
}

// out says that a dead run reaches nobody.
func (r *run) out(ctx context.Context) error {
	r.outs.Add(1)
	if r.dead.Load() {
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}

// created is how many creations were asked for so far.
func (w *world) created() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.creates
}
