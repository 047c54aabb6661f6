package store_test

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"breakglass/store"
)

// Many at once, some of which refuse, panic or end their goroutine: those fail alone, everybody else's change is there, once, and what
// their functions told their callers is of the run that counted.
func TestManyAtOnce(t *testing.T) {
	db := fresh(t)
	base := submit(t, db, "ann")
	const writers, each = 40, 8
	var runs atomic.Int64
	var wg sync.WaitGroup
	for g := range writers {
		for i := range each {
			wg.Go(func() {
				name := fmt.Sprintf("%d-%d", g, i)
				var saw uint64
				fn := func(c *store.Change) error {
					runs.Add(1)
					saw = c.Request.Version
					if err := errors.Join(c.Log(name, nil), c.Tell(store.Notice{Kind: name}), c.Fact(name, "x")); err != nil {
						return err
					}
					switch g % 8 {
					case 1:
						return errRefuse
					case 2:
						panic(name)
					case 3:
						runtime.Goexit()
					}
					c.Request.Reason = name
					return nil
				}
				ended := true
				defer func() {
					if p := recover(); (p != nil) != (g%8 == 2) || p != nil && p != name {
						t.Errorf("%s: panic %v", name, p)
					} else if p == nil && ended != (g%8 == 3) {
						t.Errorf("%s: ended its goroutine: %v", name, ended)
					}
				}()
				r, err := db.Touch(byBot(noon), base.ID, store.Pending, fn)
				ended = false
				if g%8 == 1 {
					if !errors.Is(err, errRefuse) {
						t.Errorf("%s: %v", name, err)
					}
					return
				}
				if err != nil || r.Reason != name || r.Version != saw+1 {
					t.Errorf("%s: got %q at version %d, saw %d: %v", name, r.Reason, r.Version, saw, err)
				}
			})
		}
	}
	wg.Wait()
	db = reopen(t, db)
	events, err := db.Events(1, math.MaxInt)
	if err != nil {
		t.Fatal(err)
	}
	notices, _ := db.Notices(0, math.MaxInt)
	const good = writers / 8 * 5 * each
	r, _ := db.Request(base.ID)
	if len(events) != good || len(notices) != good || r.Version != base.Version+good {
		t.Errorf("%d events, %d notices, version %d of %d changes", len(events), len(notices), r.Version, good)
	}
	times := map[string]int{}
	for i, e := range events {
		times[e.Kind]++
		if e.Seq != uint64(i+2) || notices[i].Kind != e.Kind || notices[i].Seq != uint64(i+1) {
			t.Fatalf("line %d is %+v, its notice %+v", i, e, notices[i])
		}
	}
	for g := range writers {
		for i := range each {
			want := 1
			if k := g % 8; k == 1 || k == 2 || k == 3 {
				want = 0
			}
			name := fmt.Sprintf("%d-%d", g, i)
			if _, known, _ := db.Fact(name); times[name] != want || known != (want == 1) {
				t.Errorf("%s stands %d times in the log, not %d", name, times[name], want)
			}
		}
	}
	if err := db.Check(); err != nil {
		t.Error(err)
	}
	t.Logf("%d changes ran %d times", writers*each, runs.Load())
}

// Alone, a change that is refused runs once, and one that panics panics where it was asked for.
func TestAloneRunsOnce(t *testing.T) {
	db := fresh(t)
	r := submit(t, db, "ann")
	runs := 0
	for _, want := range []error{nil, errRefuse} {
		runs = 0
		_, err := db.Touch(byBot(noon), r.ID, r.State, func(*store.Change) error { runs++; return want })
		if !errors.Is(err, want) || runs != 1 {
			t.Errorf("it ran %d times: %v", runs, err)
		}
	}
	err := caught(func() error {
		_, err := db.Touch(byBot(noon), r.ID, r.State, func(*store.Change) error { panic("for the test") })
		return err
	})
	if !errors.Is(err, errPanic) {
		t.Error(err)
	}
	submit(t, db, "bob") // and the store goes on
}

// Approve, deny and cancel at the same moment: exactly one of them is counted.
func TestRaceOfClicks(t *testing.T) {
	db := fresh(t)
	for range 30 {
		r := submit(t, db, "ann")
		var won atomic.Int64
		var wg sync.WaitGroup
		for _, to := range []store.State{store.Approved, store.Denied, store.Cancelled, store.Expired, store.Denied} {
			wg.Go(func() {
				_, err := db.Transition(byBot(noon), r.ID, store.Pending, to, nil)
				var moved *store.TransitionError
				switch {
				case err == nil:
					won.Add(1)
				case !errors.As(err, &moved):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if events, _ := db.EventsOf(r.ID); won.Load() != 1 || len(events) != 2 {
			t.Errorf("%d of them won, %d events", won.Load(), len(events))
		}
	}
}

// The same delivery twenty times at once is taken once.
func TestRaceOfDeliveries(t *testing.T) {
	db := fresh(t)
	for i := range 10 {
		by := byBot(noon)
		by.Delivery = fmt.Sprint("delivery ", i)
		var taken atomic.Int64
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				_, err := db.Submit(by, asked("ann"), nil)
				if err == nil {
					taken.Add(1)
				} else if !errors.Is(err, store.ErrSeen) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if taken.Load() != 1 {
			t.Errorf("it was taken %d times", taken.Load())
		}
	}
	if open, _ := db.Open(); len(open) != 10 || open[9].ID != "BG-1010" {
		t.Errorf("%d requests", len(open))
	}
}

// Close comes in the middle. Everybody gets an answer, and what was answered with success is there.
func TestCloseWhileChanging(t *testing.T) {
	for range 5 {
		db := fresh(t)
		var done atomic.Int64
		var wg sync.WaitGroup
		started := make(chan struct{}, 1000)
		for range 16 {
			wg.Go(func() {
				for {
					if err := db.Log(byBot(noon), "x", nil); err != nil {
						return
					}
					done.Add(1)
					select {
					case started <- struct{}{}:
					default:
					}
				}
			})
		}
		for range 20 {
			<-started
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
		wg.Wait()
		again, err := store.Open(db.Path(), noon)
		if err != nil {
			t.Fatal(err)
		}
		events, err := again.Events(0, math.MaxInt)
		if int64(len(events)) != done.Load() || err != nil {
			t.Errorf("%d lines, %d were promised: %v", len(events), done.Load(), err)
		}
		again.Close()
	}
}

// The disk is full: changes fail, nothing of them is left, what was there can be read and backed up, and when there is room work goes on.
// (A limit on the file stands for the disk: bbolt then fails where it would fail to grow the file.)
func TestFullDisk(t *testing.T) {
	db := fresh(t)
	submit(t, db, "ann")
	big := make([]byte, 200_000)
	for i := range big {
		big[i] = 'x'
	}
	db.Limit(16 << 20)
	var failed error
	accepted := 1
	for i := 0; i < 300 && failed == nil; i++ {
		r := asked("bob")
		r.Context = string(big)
		if _, failed = db.Submit(byBot(noon), r, nil); failed == nil {
			accepted++
		}
	}
	if failed == nil {
		t.Fatal("it never was full")
	}
	if err := db.Check(); err != nil {
		t.Fatal(err)
	}
	open, err := db.Open()
	if err != nil || len(open) != accepted {
		t.Errorf("%d of %d are there: %v", len(open), accepted, err)
	}
	if err := db.Backup(db.Path() + ".copy"); err != nil {
		t.Error(err)
	}
	// What frees more than it takes may still go through, so that revoking goes on.
	if _, err := db.Transition(byBot(noon), open[0].ID, store.Pending, store.Denied, nil); err != nil {
		t.Logf("a small change on a full disk: %v", err)
	}
	db.Limit(0)
	r := submit(t, db, "eve")
	if want := store.ID(fmt.Sprintf("BG-%d", 1001+accepted)); r.ID != want {
		t.Errorf("after it the next is %s, not %s", r.ID, want)
	}
	if err := db.Check(); err != nil {
		t.Error(err)
	}
}
