package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"breakglass/deploy/sandbox/awstwin"
)

// The simulation draws histories by chance: random people ask, decide, overlap, end and work, under random policies, while AWS, Slack, the process and
// the clock fail at random; then everything is mended, time passes until all is closed, and what must always hold is asserted (simulation_wire_test.go
// at the moment of each effect, simulation_eyes_test.go at every step, simulation_end_test.go at the end).
//
//	BREAKGLASS_SIM=500 go test ./cmd/breakglass -run TestSimulation       so many histories
//	BREAKGLASS_SIM_SEED=7 go test ./cmd/breakglass -run TestSimulation    one of them again, its steps in words
//	BREAKGLASS_SIM_FROM=1000                                              begin with another seed
//
// A seed is a whole history: who does what and when, and which fault meets which call. The order of goroutines within one instant is Go's own, so one
// of them is played up to replays times until it fails.
const (
	histories = 15 // where nothing else is said
	replays   = 25
)

// trackRecord are seeds that found a fault of the product, with what it was and how it was mended: testdata/simulation.md. They are played each time.
func trackRecord(t *testing.T) (seeds []uint64) {
	data, err := os.ReadFile("testdata/simulation.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range strings.Split(string(data), "\n") {
		cells := strings.Split(row, "|")
		if len(cells) < 3 {
			continue
		}
		if seed, err := strconv.ParseUint(strings.TrimSpace(cells[1]), 10, 64); err == nil {
			seeds = append(seeds, seed)
		}
	}
	return seeds
}

// TestSimulation plays the histories of the track record and a fixed number of others.
func TestSimulation(t *testing.T) {
	simulationEnvironment(t)
	if one := os.Getenv("BREAKGLASS_SIM_SEED"); one != "" {
		seed, err := strconv.ParseUint(one, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		replay(t, seed)
		return
	}
	seeds := trackRecord(t)
	first, n := uint64(0), uint64(histories)
	for name, v := range map[string]*uint64{"BREAKGLASS_SIM": &n, "BREAKGLASS_SIM_FROM": &first} {
		if s := os.Getenv(name); s != "" {
			var err error
			if *v, err = strconv.ParseUint(s, 10, 64); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
	}
	for seed := first; seed < first+n; seed++ {
		seeds = append(seeds, seed)
	}
	began, sum, bad := time.Now(), tally{}, 0
	playAll(t, seeds, moods, func(seed uint64, out outcome) (enough bool) {
		sum.add(out.counts)
		if len(out.wrong) > 0 {
			t.Errorf("seed %d (%s):\n\t%s\n%s\n%s\nagain: BREAKGLASS_SIM_SEED=%d go test ./cmd/breakglass -run 'TestSimulation$'",
				seed, out.mood, strings.Join(out.wrong, "\n\t"), strings.Join(out.steps, "\n"), tail(out.log, 3000), seed)
			bad++
		}
		return bad >= 5
	})
	t.Logf("%d histories, %v each: %v", len(seeds), (time.Since(began) / time.Duration(max(1, len(seeds)))).Round(time.Millisecond), sum)
	if n >= 10 {
		sum.demand(t, "grants", "ends on time", "crashes", "shared", "extensions", "sessions", "faults met", "clicks acknowledged", "approved by others")
	}
}

// playAll plays histories side by side, as many as there are cores, and tells of each. It stops where that has had enough.
func playAll(t *testing.T, seeds []uint64, among []mood, tell func(uint64, outcome) (enough bool)) {
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // much is thrown away, and little is kept
	var mu sync.Mutex
	var all sync.WaitGroup
	next, done := 0, false
	for range runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for {
				mu.Lock()
				if done || next == len(seeds) {
					mu.Unlock()
					return
				}
				seed := seeds[next]
				next++
				mu.Unlock()
				out := play(t, seed, among)
				mu.Lock()
				done = tell(seed, out) || done
				mu.Unlock()
			}
		})
	}
	all.Wait()
}

// replay plays one history until it fails, and tells it.
func replay(t *testing.T, seed uint64) {
	for i := range replays {
		out := play(t, seed, moods)
		if len(out.wrong) == 0 && i+1 < replays {
			continue
		}
		t.Logf("seed %d (%s), played %d times:\n%s\n%v", seed, out.mood, i+1, strings.Join(out.steps, "\n"), out.counts)
		if len(out.wrong) > 0 {
			t.Errorf("%s\n%s", strings.Join(out.wrong, "\n"), tail(out.log, 20000))
		}
		return
	}
}

// outcome is what became of a history.
type outcome struct {
	mood   string
	steps  []string
	wrong  []string // what must not be
	log    string   // the program's own
	counts tally
}

// play plays one history in a bubble of its own. What is wrong is carried out as words, so that a test may also demand it.
func play(t *testing.T, seed uint64, among []mood) (out outcome) {
	t.Run(fmt.Sprintf("seed-%d", seed), func(t *testing.T) { // a panic in the bubble then names its seed
		dir := fastDir(t)
		synctest.Test(t, func(t *testing.T) { out = newHistory(dir, seed, among).live() })
	})
	return out
}

// fastDir is a folder in memory where there is one: a history commits hundreds of times, and kill -9 keeps the page cache anyway. Its path is short, as those
// of sockets must be.
func fastDir(t testing.TB) string {
	dir, err := os.MkdirTemp("/dev/shm", "breakglass-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func simulationEnvironment(t *testing.T) {
	t.Setenv("AWS_ENDPOINT_URL", "http://aws.twin")
	t.Setenv("AWS_ACCESS_KEY_ID", awstwin.BotAccessKeyID)
	t.Setenv("AWS_SECRET_ACCESS_KEY", awstwin.BotSecretAccessKey)
	t.Setenv("AWS_REGION", "us-east-1")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(t.TempDir(), "none"))
}

// tally counts what happened, so that a simulation in which nothing happens does not pass for one in which nothing went wrong.
type tally map[string]int

func (t tally) add(o tally) {
	for k, n := range o {
		t[k] += n
	}
}

func (t tally) demand(tb testing.TB, keys ...string) {
	tb.Helper()
	for _, k := range keys {
		if t[k] == 0 {
			tb.Errorf("in all these histories there were no %s: they prove nothing about them", k)
		}
	}
}
