package workflows_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"breakglass/store"
)

// tale is the main story, told so that every person does what they would after a crash: what was acknowledged is not done again.
type tale struct {
	w  *world
	id store.ID
}

func (s *tale) submit(scenario string) {
	for range 5 {
		open, err := s.w.run.db.Open()
		if err != nil {
			s.w.t.Fatal(err)
		}
		if len(open) > 0 {
			s.id = open[0].ID
			return
		}
		run := s.w.run
		r, err := s.w.submit(scenario, "1h")
		if err == nil && !run.dead.Load() {
			s.id = r.ID
			return
		}
		s.w.pass(5 * time.Second)
	}
	s.w.t.Fatal("it cannot be submitted")
}

// press is a click; it is made again only where it was not acknowledged.
func (s *tale) press(who, kind string) {
	for range 5 {
		run := s.w.run
		err := s.w.click(who, kind, s.id)
		if err == nil && !run.dead.Load() {
			return
		}
		s.w.pass(5 * time.Second)
		if r, err := s.w.run.db.Request(s.id); err == nil && kind == store.ClickApprove && r.State != store.Pending {
			return
		}
		if r, err := s.w.run.db.Request(s.id); err == nil && kind == store.ClickEnd && r.State != store.Active {
			return
		}
	}
	s.w.t.Fatal("the click is never acknowledged")
}

func (s *tale) until(want store.State, within time.Duration) {
	s.w.t.Helper()
	for end := time.Now().Add(within); ; s.w.pass(time.Second) {
		if s.w.state(s.id) == want && !s.w.run.dead.Load() {
			return
		}
		if time.Now().After(end) {
			s.w.t.Fatalf("%s is %s, not %s\n%s", s.id, s.w.state(s.id), want, s.w.events(s.id))
		}
	}
}

func tell(t *testing.T, scenario string, early bool, lose bool, dieAt int) (moments []int) {
	w := newWorld(t)
	if lose {
		w.loseCreate = 1
	}
	w.tell.Store(dieAt == 0)
	w.start(dieAt)
	defer func() { w.stop() }()
	w.pass(2 * time.Second)
	s := &tale{w: w}
	s.submit(scenario)
	w.pass(3 * time.Second)
	if scenario != "emergency" {
		s.press("lee", store.ClickApprove)
	}
	s.until(store.Active, 90*time.Second)
	if early {
		w.pass(20 * time.Minute)
		s.press("dana", store.ClickEnd)
		s.until(store.Revoked, 90*time.Second)
	} else {
		w.pass(59 * time.Minute)
		s.until(store.Revoked, 2*time.Minute)
	}
	if n := w.in(); n != 0 {
		t.Errorf("%d still in", n)
	}
	w.pass(2*time.Hour + 20*time.Minute)
	s.until(store.Closed, time.Minute)
	s.check(scenario, early)
	return w.run.moments()
}

func (s *tale) check(scenario string, early bool) {
	w, t := s.w, s.w.t
	log := w.events(s.id)
	for _, step := range []string{"approved->granting", "granting->active", "active->revoking", "revoking->revoked", "revoked->reported", "reported->closed"} {
		if n := strings.Count(log, "moved "+step); n != 1 {
			t.Errorf("%s is %d times in the log\n%s", step, n, log)
		}
	}
	if w.creates > 1 || w.deletes > 2 {
		t.Errorf("%d creations, %d removals", w.creates, w.deletes)
	}
	want := []string{"card", "granted", "pass", "ending", "ended", "goodbye", "summary"}
	if scenario != "emergency" {
		want = append(want, "ask", "asked", "decided")
	} else {
		want = append(want, "tier_zero", "mail", "told")
	}
	if !early {
		want = append(want, "warning")
	}
	seen := map[string]int{}
	for _, d := range w.told {
		seen[fmt.Sprintf("%s %s %v", d.n.Kind, d.n.To, d.n.Seq)]++
	}
	again := 0
	for _, n := range seen {
		again += n - 1
	}
	if again > w.run.n*4 {
		t.Errorf("%d messages were said again", again)
	}
	for _, kind := range want {
		if w.heard(kind) == 0 {
			t.Errorf("nobody was told: %s\n%s", kind, log)
		}
	}
	if left, _ := w.run.db.Clicks(5); len(left) > 0 {
		t.Errorf("a click is left: %+v", left)
	}
	if left, _ := w.run.db.Notices(0, 5); len(left) > 0 {
		t.Errorf("a notice is left: %+v", left)
	}
	if err := w.run.db.Check(); err != nil {
		t.Error(err)
	}
}

// TestKilledAnywhere kills the program when it looks at the clock, which it does before and after everything it does or writes: at some
// such moments, at more of them with BREAKGLASS_SWEEP (see swept).
func TestKilledAnywhere(t *testing.T) {
	for _, c := range []struct {
		name, scenario string
		early, lose    bool
	}{
		{"expiry", "ec2", false, false},
		{"early", "ec2", true, false},
		{"tier zero", "emergency", false, false},
		{"lost reply", "ec2", false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var moments []int
			synctest.Test(t, func(t *testing.T) { moments = tell(t, c.scenario, c.early, c.lose, 0) })
			t.Logf("%d moments", len(moments))
			for _, n := range swept(t, c.name, moments, 20) {
				t.Run(fmt.Sprint(n), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) { tell(t, c.scenario, c.early, c.lose, n) })
				})
			}
		})
	}
}

// swept are the moments at which a story is killed: a few, all with BREAKGLASS_SWEEP=all, every n-th with BREAKGLASS_SWEEP=n.
func swept(t *testing.T, story string, all []int, few int) (chosen []int) {
	stride := max(1, len(all)/few)
	if want := os.Getenv("BREAKGLASS_SWEEP"); want == "all" {
		stride = 1
	} else if want != "" {
		n, err := strconv.Atoi(want)
		if err != nil || n < 1 {
			t.Fatalf("BREAKGLASS_SWEEP is %q: all, or a number", want)
		}
		stride = min(n, stride)
	}
	for i, n := range all {
		if i%stride == len(story)%stride {
			chosen = append(chosen, n)
		}
	}
	return chosen
}
