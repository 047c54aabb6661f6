package workflows_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"breakglass/store"
	"breakglass/workflows"
)

func (s *legend) extension(id store.ID, n int) store.Extension {
	s.t.Helper()
	r := s.record(id)
	if len(r.Extensions) <= n {
		s.t.Fatalf("%s has no extension %d\n%s", id, n, s.events(id))
	}
	return r.Extensions[n]
}

func (s *legend) longer(who string, id store.ID, n int) {
	s.press(who, store.Click{Kind: store.ClickLonger, Request: id, Number: n})
	s.pass(5 * time.Second)
}

// notices are those of a kind about a request, in the order they were said.
func (w *world) notices(kind string, id store.ID) (out []store.Notice) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, t := range w.told {
		if t.n.Kind == kind && t.n.Request == id {
			out = append(out, t.n)
		}
	}
	return out
}

func TestExtensionDenied(t *testing.T) {
	single(t, func(s *legend) {
		id := s.active("ec2", "30m", "lee")
		end := s.record(id).ExpiresAt
		s.extend("dana", id, "1h")
		s.press("lee", store.Click{Kind: store.ClickNoMore, Request: id, Number: 0, Text: "enough"})
		s.pass(5 * time.Second)
		if x := s.extension(id, 0); x.State != store.ExtensionDenied || len(x.Decisions) != 1 || x.Decisions[0].Comment != "enough" {
			t.Errorf("%+v", x)
		}
		s.longer("pat", id, 0)
		if !s.record(id).ExpiresAt.Equal(end) || !strings.Contains(s.refused(), "no longer waiting") {
			t.Errorf("it ends at %v; %s", s.record(id).ExpiresAt, s.refused())
		}
		s.pass(30 * time.Minute)
		s.until(id, store.Revoked, time.Minute)
	})
}

// An extension that nobody decides lapses with the session, and whoever was asked sees that.
func TestExtensionLapses(t *testing.T) {
	single(t, func(s *legend) {
		id := s.active("ec2", "30m", "lee")
		s.extend("dana", id, "1h")
		asked := len(s.notices(workflows.NoticeExtension, id))
		s.pass(31 * time.Minute)
		s.until(id, store.Revoked, time.Minute)
		if x := s.extension(id, 0); x.State != store.ExtensionLapsed {
			t.Errorf("%+v", x)
		}
		s.pass(10 * time.Second)
		if now := len(s.notices(workflows.NoticeExtension, id)); now <= asked {
			t.Errorf("its buttons stay: told %d times before, %d now", asked, now)
		}
	})
}

// An extension that has its word but whose ends cannot be made does not count: the end it had is the end.
func TestExtensionWhoseEndsCannotBeMade(t *testing.T) {
	for _, op := range []string{"write", "make", "remove"} {
		t.Run(op, func(t *testing.T) {
			single(t, func(s *legend) {
				id := s.active("ec2", "30m", "lee")
				end := s.record(id).ExpiresAt
				s.extend("dana", id, "1h")
				s.meet(fails(errAWS, op))
				s.longer("lee", id, 0)
				s.pass(20 * time.Minute)
				if !s.record(id).ExpiresAt.Equal(end) {
					t.Error("it counts")
				}
				s.pass(time.Until(end) + 5*time.Second)
				s.meet(nil)
				r := s.until(id, store.Revoked, 2*time.Minute)
				if x := r.Extensions[0]; x.State != store.ExtensionLapsed || r.End.Why != store.EndExpired {
					t.Errorf("%+v, %+v", x, r.End)
				}
				s.pass(time.Hour)
				s.ended()
			})
		})
	}
}

// The ends of an extension are made late, but in time.
func TestExtensionIsMadeLate(t *testing.T) {
	single(t, func(s *legend) {
		id := s.active("ec2", "30m", "lee")
		end := s.record(id).ExpiresAt
		s.extend("dana", id, "1h")
		s.meet(fails(errAWS, "remove"))
		s.longer("lee", id, 0)
		s.pass(10 * time.Minute)
		s.meet(nil)
		s.pass(time.Minute)
		if !s.record(id).ExpiresAt.Equal(end.Add(time.Hour)) {
			t.Fatalf("it ends at %v", s.record(id).ExpiresAt)
		}
		s.pass(80 * time.Minute)
		s.until(id, store.Revoked, 2*time.Minute)
	})
}

// Who may not extend, and what not.
func TestExtensionsThatAreRefused(t *testing.T) {
	single(t, func(s *legend) {
		id := s.active("ec2", "2h", "lee")
		for _, c := range []struct{ who, by, why string }{
			{"lee", "30m", "Only dana may extend it."},
			{"dana", "soon", "Write a duration"},
			{"dana", "1h30m", "too long"},
			{"dana", "-1h", "a minute at least"},
		} {
			s.extend(c.who, id, c.by)
			if !strings.Contains(s.refused(), c.why) || len(s.record(id).Extensions) > 0 {
				t.Errorf("%s by %s: %q, %v", c.by, c.who, s.refused(), s.record(id).Extensions)
			}
		}
		s.extend("dana", id, "30m")
		s.extend("dana", id, "10m")
		if !strings.Contains(s.refused(), "decided already") {
			t.Error(s.refused())
		}
		for _, c := range []struct{ who, why string }{{"dana", "own request"}, {"eve", "does not count"}, {"sam", "does not count"}} {
			s.longer(c.who, id, 0)
			if !strings.Contains(s.refused(), c.why) || s.extension(id, 0).State != store.ExtensionAsked {
				t.Errorf("%s: %q", c.who, s.refused())
			}
		}
		s.longer("lee", id, 7)
		s.longer("lee", id, 0)
		if s.extension(id, 0).State != store.ExtensionGranted {
			t.Fatalf("%+v %s", s.extension(id, 0), s.refused())
		}
		s.extend("dana", id, "31m")
		if !strings.Contains(s.refused(), "too long") {
			t.Error(s.refused())
		}
		s.extend("dana", id, "30m")
		s.longer("pat", id, 1)
		if r := s.record(id); !r.ExpiresAt.Equal(r.GrantedAt.Add(3 * time.Hour)) {
			t.Errorf("%v", r.ExpiresAt)
		}
		s.extend("dana", id, "1m")
		if len(s.record(id).Extensions) != 2 {
			t.Errorf("past max_total: %+v", s.record(id).Extensions)
		}
	})
}

// Two minutes before the end it is too late to ask, and to decide.
func TestExtensionTooLate(t *testing.T) {
	single(t, func(s *legend) {
		a := s.active("ec2", "10m", "lee")
		s.extend("dana", a, "30m")
		end := s.record(a).ExpiresAt
		s.pass(time.Until(end) - 2*time.Minute + time.Second)
		s.longer("lee", a, 0)
		if !strings.Contains(s.refused(), "too late") || !s.record(a).ExpiresAt.Equal(end) {
			t.Errorf("%q", s.refused())
		}
		s.until(a, store.Revoked, 5*time.Minute)
		b := s.active("ec2", "10m", "lee")
		s.pass(time.Until(s.record(b).ExpiresAt) - 2*time.Minute + time.Second)
		s.extend("dana", b, "30m")
		if !strings.Contains(s.refused(), "before its end") || len(s.record(b).Extensions) != 0 {
			t.Errorf("%q", s.refused())
		}
	})
}

// At Tier 0 an extension takes the word of one other eligible person.
func TestExtensionAtTierZero(t *testing.T) {
	single(t, func(s *legend) {
		id := s.active("emergency", "1h")
		s.extend("dana", id, "30m")
		s.pass(5 * time.Second)
		asked := false
		for _, n := range s.notices(workflows.NoticeExtension, id) {
			asked = asked || n.To == "USAM"
		}
		if !asked {
			t.Error("nobody who may decide was asked")
		}
		for _, who := range []string{"dana", "lee", "eve"} {
			s.longer(who, id, 0)
			if s.extension(id, 0).State != store.ExtensionAsked {
				t.Fatalf("%s decided", who)
			}
		}
		s.longer("sam", id, 0)
		if r := s.record(id); !r.ExpiresAt.Equal(r.GrantedAt.Add(90 * time.Minute)) {
			t.Errorf("it ends at %v: %+v", r.ExpiresAt, r.Extensions)
		}
		s.pass(92 * time.Minute)
		s.until(id, store.Revoked, 2*time.Minute)
	})
}

// Whom the policy names is told of a beginning, although an extension was asked for before they could be.
func TestNamedAreToldAlthoughAnExtensionWasAsked(t *testing.T) {
	single(t, func(s *legend) {
		var away atomic.Bool
		s.takes(time.Second)
		s.look = func() error {
			if away.Load() {
				return errAWS
			}
			return nil
		}
		id := s.ask("emergency", "1h")
		for s.created() == 0 {
			time.Sleep(100 * time.Millisecond)
		}
		away.Store(true)
		s.until(id, store.Active, 10*time.Second)
		s.pass(time.Second)
		told := s.heard(workflows.NoticeTold)
		away.Store(false)
		s.extend("dana", id, "30m")
		s.pass(3 * time.Minute)
		if n := s.heard(workflows.NoticeTold); n < 2 {
			t.Errorf("told %d times before, %d now", told, n)
		}
	})
}

// An extension of one of two overlapping sessions moves the end of what both use, and the other still ends on time.
func TestExtensionOfAnOverlap(t *testing.T) {
	single(t, func(s *legend) {
		a := s.active("ec2", "30m", "lee")
		b := s.active("console", "1h", "pat")
		s.extend("dana", a, "1h")
		s.longer("lee", a, 0)
		end := s.record(a).ExpiresAt
		s.pass(62 * time.Minute)
		s.until(b, store.Revoked, time.Minute)
		if s.state(a) != store.Active || !s.has[ec2Of] {
			t.Fatalf("%s", s.state(a))
		}
		s.pass(time.Until(end) - time.Minute)
		if s.state(a) != store.Active || !s.has[ec2Of] {
			t.Fatalf("%s", s.state(a))
		}
		s.until(a, store.Revoked, 4*time.Minute)
	})
}

// The longer of two ends first: what is left ends with the other, in the guard and in the schedules.
func TestTheLongerEndsFirst(t *testing.T) {
	single(t, func(s *legend) {
		a := s.active("ec2", "30m", "lee")
		b := s.active("console", "1h", "pat")
		end := s.record(a).ExpiresAt
		s.press("dana", store.Click{Kind: store.ClickEnd, Request: b})
		s.until(b, store.Revoked, time.Minute)
		for name, x := range s.schedules {
			if x.At.Sub(end) > 16*time.Minute {
				t.Errorf("%s is of the one that has ended", name)
			}
		}
		if now := time.Now(); s.lets(ec2Of, now, end) || !s.lets(ec2Of, now, now) {
			t.Errorf("the guard does not end with what is left: %+v", s.guards)
		}
		s.pass(time.Until(end))
		s.until(a, store.Revoked, 2*time.Minute)
	})
}

// What was granted along is extended with its lead.
func TestExtensionWithACompanion(t *testing.T) {
	single(t, func(s *legend) {
		id := s.active("eks", "1h", "lee")
		s.pass(10 * time.Second)
		s.extend("dana", id, "1h")
		s.longer("lee", id, 0)
		s.pass(5 * time.Second)
		lead := s.record(id)
		along := s.record(lead.With[0])
		if !along.ExpiresAt.Equal(lead.ExpiresAt) || lead.ExpiresAt.Sub(lead.GrantedAt) != 2*time.Hour {
			t.Errorf("the lead ends at %v, what goes along at %v: %+v", lead.ExpiresAt, along.ExpiresAt, along.Extensions)
		}
		s.pass(90 * time.Minute)
		if !s.has[vpnOf] {
			t.Error("it was cut off")
		}
		s.pass(31 * time.Minute)
		s.until(id, store.Revoked, time.Minute)
		s.until(along.ID, store.Revoked, time.Minute)
	})
}
