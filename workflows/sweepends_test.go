package workflows_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"breakglass/store"
)

// TestEndsKilledAnywhere kills the program at moments of stories in which access ends in every way, as TestKilledAnywhere does: at a few of
// them, at more with BREAKGLASS_SWEEP.
func TestEndsKilledAnywhere(t *testing.T) {
	for _, c := range []struct {
		name  string
		story func(*legend)
	}{
		{"expiry", toExpiry},
		{"end now", endNow},
		{"end now, timed", endNowTimed},
		{"the first ends early", firstEndsEarly},
		{"the second is longer", secondIsLonger},
		{"again", again},
		{"extension", extended},
		{"group", group},
		{"group twice", groupTwice},
		{"role", role},
		{"with", with},
		{"lockdown", lockdown},
		{"standing", standing},
	} {
		t.Run(c.name, func(t *testing.T) {
			var moments []int
			synctest.Test(t, func(t *testing.T) { moments = live(t, c.story, 0) })
			t.Logf("%d moments", len(moments))
			for _, n := range swept(t, c.name, moments, 5) {
				t.Run(fmt.Sprint(n), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) { live(t, c.story, n) })
				})
			}
		})
	}
}

func live(t *testing.T, story func(*legend), dieAt int) []int {
	w := newEndsWorld(t)
	w.tell.Store(dieAt == 0)
	w.start(dieAt)
	defer func() { w.stop() }()
	w.pass(2 * time.Second)
	story(legendOf(w))
	moments := w.run.moments()
	w.tell.Store(false)
	w.pass(2 * time.Minute)
	w.ended()
	if dieAt == 0 {
		w.hours(14 * time.Hour)
		w.tidied()
	}
	if err := w.run.db.Check(); err != nil {
		t.Error(err)
	}
	return moments
}

// ended: nobody has anything that did not stand before, and no request is between.
func (w *world) ended() {
	w.t.Helper()
	w.settle()
	open, err := w.run.db.Open()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, r := range open {
		if r.State.MayHaveAccess() {
			w.t.Errorf("%s is %s at the end\n%s", r.ID, r.State, w.events(r.ID))
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for t := range w.has {
		if !w.isStanding(t) {
			w.t.Errorf("somebody still has %v", t)
		}
	}
	for name, s := range w.schedules {
		if time.Until(s.At) > 20*time.Minute {
			w.t.Errorf("%s is left", name)
		}
	}
}

func toExpiry(s *legend) {
	id := s.active("ec2", "30m", "lee")
	s.pass(29 * time.Minute)
	s.until(id, store.Revoked, 3*time.Minute)
}

func endNow(s *legend) {
	id := s.active("ec2", "1h", "lee")
	s.pass(5 * time.Minute)
	before := len(s.calls)
	s.press("dana", store.Click{Kind: store.ClickEnd, Request: id})
	s.until(id, store.Revoked, 2*time.Minute)
	for _, c := range s.calls[before:] {
		if c.op == "write" {
			return
		}
		if c.op == "unassign" {
			s.t.Errorf("it was removed before it was refused\n%s", lines(s.world))
		}
	}
}

// endNowTimed ends early what a guard lets in that refuses nobody else: its line alone keeps the credentials out, for as long as they live.
func endNowTimed(s *legend) {
	id := s.active("emergency", "1h")
	s.pass(5 * time.Minute)
	s.press("dana", store.Click{Kind: store.ClickEnd, Request: id})
	s.until(id, store.Revoked, 2*time.Minute)
}

func firstEndsEarly(s *legend) {
	a := s.active("ec2", "1h", "lee")
	b := s.active("console", "1h", "pat")
	s.pass(5 * time.Minute)
	s.press("dana", store.Click{Kind: store.ClickEnd, Request: a})
	s.until(a, store.Revoked, 2*time.Minute)
	if s.state(b) != store.Active || !s.has[ec2Of] {
		s.t.Fatalf("the end of the one took the other's: %s", s.state(b))
	}
	s.pass(54 * time.Minute)
	s.until(b, store.Revoked, 4*time.Minute)
}

func secondIsLonger(s *legend) {
	a := s.active("ec2", "30m", "lee")
	b := s.active("console", "1h", "pat")
	s.pass(31 * time.Minute)
	s.until(a, store.Revoked, 2*time.Minute)
	if s.state(b) != store.Active || !s.has[ec2Of] {
		s.t.Fatalf("the end of the one took the other's: %s", s.state(b))
	}
	s.pass(20 * time.Minute) // past what was scheduled for the first
	if s.state(b) != store.Active {
		s.t.Fatalf("%s is %s", b, s.state(b))
	}
	s.pass(8 * time.Minute)
	s.until(b, store.Revoked, 4*time.Minute)
}

// again is a session that is ended and another of the same access: the credentials of the first stay refused.
func again(s *legend) {
	a := s.active("ec2", "1h", "lee")
	s.pass(5 * time.Minute)
	s.press("dana", store.Click{Kind: store.ClickEnd, Request: a})
	s.until(a, store.Revoked, 2*time.Minute)
	b := s.active("ec2", "10m", "lee")
	s.pass(9 * time.Minute)
	s.until(b, store.Revoked, 3*time.Minute)
}

func extended(s *legend) {
	id := s.active("ec2", "30m", "lee")
	was := s.record(id).ExpiresAt
	s.pass(10 * time.Minute)
	s.extend("dana", id, "1h")
	s.press("lee", store.Click{Kind: store.ClickLonger, Request: id, Number: 0})
	for end := time.Now().Add(2 * time.Minute); !s.record(id).ExpiresAt.After(was); s.pass(time.Second) {
		if time.Now().After(end) {
			s.t.Fatalf("it is not extended\n%s", s.events(id))
		}
	}
	if got := s.record(id).ExpiresAt; !got.Equal(was.Add(time.Hour)) {
		s.t.Fatalf("it ends at %v, not an hour after %v", got, was)
	}
	for name, x := range s.schedules {
		if x.At.Before(was.Add(time.Hour)) {
			s.t.Errorf("%s is still there", name)
		}
	}
	s.pass(79 * time.Minute)
	s.until(id, store.Revoked, 3*time.Minute)
}

func group(s *legend) {
	id := s.active("vpn-prod-wealth", "30m", "pat")
	if len(s.schedules) == 0 {
		s.t.Error("a membership without schedules")
	}
	s.pass(29 * time.Minute)
	s.until(id, store.Revoked, 3*time.Minute)
}

// groupTwice is a membership that another session needs longer.
func groupTwice(s *legend) {
	a := s.active("vpn-prod-wealth", "30m", "pat")
	lead := s.active("eks", "1h", "lee")
	s.pass(10 * time.Second)
	b := s.record(lead).With[0]
	s.pass(45 * time.Minute)
	if s.state(a).MayHaveAccess() {
		s.t.Errorf("%s is %s", a, s.state(a))
	}
	if s.state(b) != store.Active || !s.has[vpnOf] {
		s.t.Fatalf("the end of the one took the other's: %s", s.state(b))
	}
	s.pass(14 * time.Minute)
	s.until(b, store.Revoked, 4*time.Minute)
}

func role(s *legend) {
	id := s.active("admin-role", "30m", "security.lead", "incident.manager")
	s.pass(29 * time.Minute)
	s.until(id, store.Revoked, 3*time.Minute)
}

func with(s *legend) {
	id := s.active("eks", "1h", "lee")
	for end := time.Now().Add(time.Minute); !s.has[vpnOf]; s.pass(time.Second) {
		if time.Now().After(end) {
			s.t.Fatal("nothing was granted along")
		}
	}
	s.pass(5 * time.Minute)
	s.press("dana", store.Click{Kind: store.ClickEnd, Request: id})
	s.until(id, store.Revoked, 2*time.Minute)
	s.pass(30 * time.Second)
	if s.has[vpnOf] {
		s.t.Error("what was granted along is still there")
	}
}

// lockdown begins while one session is open and another is being opened.
func lockdown(s *legend) {
	s.active("ec2", "1h", "lee")
	s.ask("emergency", "1h")
	s.pass(time.Second)
	s.press("security.lead", store.Click{Kind: store.ClickLock, Text: "leaked"})
	s.pass(time.Minute)
	if n := s.in(); n > 0 {
		s.t.Errorf("%d still in", n)
	}
	if _, err := s.submitAs("pat", "ec2", "prod-wealth", "1h"); err == nil {
		s.t.Error("somebody may ask during a lockdown")
	}
	s.press("security.lead", store.Click{Kind: store.ClickUnlock})
	s.pass(2 * time.Second)
	id := s.active("vpn-prod-wealth", "10m", "pat")
	s.pass(9 * time.Minute)
	s.until(id, store.Revoked, 3*time.Minute)
}

// standing is a session of somebody who had the access before.
func standing(s *legend) {
	s.mu.Lock()
	s.stands = &store.Tuple{UserID: "dana", Account: "100000000003", Set: "Forge-Prod-Emergency"}
	s.put(*s.stands, time.Now())
	s.mu.Unlock()
	id := s.active("emergency", "30m")
	if !s.record(id).Standing {
		s.t.Error("it was not seen to stand")
	}
	s.pass(29 * time.Minute)
	s.until(id, store.Revoked, 3*time.Minute)
}
