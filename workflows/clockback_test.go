package workflows_test

import (
	"os"
	"testing"
	"testing/synctest"
	"time"

	"breakglass/store"
)

// The machine's clock is set back while the program is down, or is killed: what the store remembers counts, not what the machine says.
func TestClockSetBackAcrossAStart(t *testing.T) {
	for name, c := range map[string]struct {
		before  time.Duration // the clock is set back so long before the program ends
		killed  bool
		longest time.Duration // of a session of 30 minutes
	}{
		"stopped, then set back":         {longest: 31 * time.Minute},
		"set back, then killed":          {before: 10 * time.Minute, killed: true, longest: 32 * time.Minute}, // a beat comes every half minute
		"set back, then stopped orderly": {before: 10 * time.Minute, longest: 32 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.start(0)
				a, err := w.submit("emergency", "30m")
				if err != nil {
					t.Fatal(err)
				}
				begun := time.Now()
				w.pass(5 * time.Minute)
				if c.before > 0 {
					w.back.Store(int64(time.Hour))
					w.pass(c.before)
				}
				if c.killed {
					data, err := os.ReadFile(w.run.path)
					if err != nil {
						t.Fatal(err)
					}
					w.run.remains = data
				}
				w.stop()
				w.back.Store(int64(time.Hour))
				w.start(0)
				defer func() { w.stop() }()
				w.pass(c.longest - time.Since(begun))
				if n := w.in(); n > 0 {
					t.Errorf("after %v %s is %s and %d are in", time.Since(begun), a.ID, w.state(a.ID), n)
				}
			})
		})
	}
}

// A clock that was ahead for minutes and is then right keeps nobody out for good, if AWS has the same time and nobody is in; else nothing is granted.
func TestClockThatWasAhead(t *testing.T) {
	for name, c := range map[string]struct {
		aws    func() (time.Time, bool)
		grants bool
	}{
		"AWS has the same time":    {func() (time.Time, bool) { return time.Now(), true }, true},
		"AWS has another time":     {func() (time.Time, bool) { return time.Now().Add(30 * time.Minute), true }, false},
		"AWS was not asked yet":    {func() (time.Time, bool) { return time.Time{}, false }, false},
		"nobody else has the time": {nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.elsewhere = c.aws
				w.start(0)
				defer func() { w.stop() }()
				w.back.Store(-int64(30 * time.Minute))
				w.pass(2 * time.Minute)
				w.back.Store(0)
				w.pass(2 * time.Minute)
				a, err := w.submit("emergency", "20m")
				w.pass(2 * time.Minute)
				switch {
				case !c.grants && err == nil:
					t.Errorf("%s was taken while the clock was not to be trusted", a.ID)
				case c.grants && (err != nil || w.state(a.ID) != store.Active):
					t.Errorf("%v, %s\n%s", err, w.state(a.ID), w.events(a.ID))
				}
			})
		})
	}
}

// While somebody is in, a clock that is behind is never taken for right: the session would last longer by it.
func TestClockThatWasAheadDuringASession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.elsewhere = func() (time.Time, bool) { return time.Now(), true }
		w.noGuards = true // its line would say the end by the time that was ahead
		w.start(0)
		defer func() { w.stop() }()
		w.back.Store(-int64(10 * time.Minute))
		a, err := w.submit("emergency", "30m")
		if err != nil {
			t.Fatal(err)
		}
		w.pass(time.Minute)
		w.back.Store(0)
		w.pass(31 * time.Minute)
		if n := w.in(); n > 0 {
			t.Errorf("%s is %s and %d are in", a.ID, w.state(a.ID), n)
		}
	})
}
