package workflows_test

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"breakglass/store"
	"breakglass/workflows"
)

// found counts findings of a kind that were told.
func (w *world) found(what, who string) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, t := range w.told {
		if t.n.Kind == workflows.NoticeFound && t.n.Data["what"] == what && (who == "" || t.n.Data["who"] == who) {
			n++
		}
	}
	return n
}

func (w *world) stranger(key string, all ...store.Holder) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.findings = true
	w.strangers[key] = append(w.strangers[key], all...)
}

var hands = store.Holder{UserID: "mallory", Name: "mallory"}

// What nothing explains is announced once, however often it is seen, and again after it was gone. Nobody touches it.
func TestUnexplainedIsAnnounced(t *testing.T) {
	single(t, func(s *legend) {
		s.meet(func(_ context.Context, op string, _ store.Tuple) (bool, error) {
			if op == "holders" {
				time.Sleep(time.Second) // all of them answer at the same moment
			}
			return false, nil
		})
		where := []string{"100000000003Forge-Prod-BreakGlass-EC2", "100000000003Forge-Prod-BreakGlass-EKS", "100000000003Forge-Prod-BreakGlass-RDS", "100000000003Forge-Prod-Emergency", "100000000004Forge-Prod-BreakGlass-EC2", "100000000004Forge-Prod-BreakGlass-EKS"}
		for _, at := range where {
			s.stranger(at, hands)
		}
		s.stranger("grp-forge-vpn-prod-cash", store.Holder{UserID: "trudy", Name: "trudy", Membership: "m-0"})
		s.pass(80 * time.Minute)
		if n := s.found(workflows.FoundUnexplained, "mallory"); n != len(where) {
			t.Errorf("announced %d times, and there are %d", n, len(where))
		}
		if n := s.found(workflows.FoundUnexplained, "trudy"); n != 1 || len(s.taken) > 0 {
			t.Errorf("announced %d times; removed %v", n, s.taken)
		}
		s.mu.Lock()
		s.strangers = map[string][]store.Holder{}
		s.mu.Unlock()
		s.pass(20 * time.Minute)
		s.stranger(where[0], hands)
		s.pass(40 * time.Minute)
		if n := s.found(workflows.FoundUnexplained, "mallory"); n != len(where)+1 {
			t.Errorf("announced %d times after it came back", n)
		}
	})
}

// Where the policy says so it is removed, but never what stands, an anchor, or a session's.
func TestUnexplainedIsRemoved(t *testing.T) {
	single(t, func(s *legend) {
		s.stranger("100000000003Forge-Prod-Emergency", hands)
		s.stranger("100000000003Forge-Prod-BreakGlass-RDS",
			store.Holder{GroupID: "g-1", Name: "grp-forge-wealth-prod"}, store.Holder{GroupID: "g-2", Name: "grp-forge-breakglass-anchor"}, store.Holder{GroupID: "g-3", Name: "grp-other"})
		s.stranger("grp-forge-vpn-prod-wealth", store.Holder{UserID: "trudy", Name: "trudy", Membership: "m-0"})
		s.stranger("grp-forge-breakglass-anchor", store.Holder{UserID: "eve", Name: "eve", Membership: "m-1"})
		id := s.active("ec2", "2h", "lee")
		vpn := s.active("vpn-prod-wealth", "2h", "pat")
		s.pass(50 * time.Minute)
		want := []string{"100000000003Forge-Prod-BreakGlass-RDS g-3", "100000000003Forge-Prod-Emergency mallory", "grp-forge-vpn-prod-wealth trudy"}
		slices.Sort(s.taken)
		if !slices.Equal(s.taken, want) {
			t.Errorf("removed %v", s.taken)
		}
		if s.state(id) != store.Active || s.state(vpn) != store.Active {
			t.Errorf("%s, %s", s.state(id), s.state(vpn))
		}
		if n := s.found(workflows.FoundAnchor, "eve"); n != 1 {
			t.Errorf("the member of the anchor was announced %d times", n)
		}
	}, "unexplained: announce ", "unexplained: revoke ", "{account: prod-wealth, permission_set: Forge-Prod-ReadOnly, group: grp-forge-wealth-prod}",
		"{account: prod-wealth, permission_set: Forge-Prod-BreakGlass-RDS, group: grp-forge-wealth-prod}")
}

// A guard that somebody changed is put back and announced, once.
func TestGuardTampered(t *testing.T) {
	single(t, func(s *legend) {
		id := s.active("ec2", "2h", "lee")
		s.mu.Lock()
		s.findings, s.unguarded = true, true
		for name, g := range s.guards {
			g.Lines, g.Closed = nil, false
			s.guards[name] = g
		}
		s.fences["100000000003"] = "it allows sts:AssumeRole"
		s.mu.Unlock()
		s.pass(16 * time.Minute)
		s.unguarded = false
		s.pass(40 * time.Minute)
		if n := s.found(workflows.FoundGuard, ""); n == 0 {
			t.Error("nobody was told of the guard")
		}
		if n := s.found(workflows.FoundFence, ""); n != 1 {
			t.Errorf("%d times told of the fence", n)
		}
		s.pass(66 * time.Minute)
		s.until(id, store.Revoked, time.Minute)
	})
}

// A guard that could not be written for a while was changed by nobody.
func TestGuardThatWasDownWasNotTampered(t *testing.T) {
	single(t, func(s *legend) {
		a := s.active("ec2", "2h", "lee")
		s.meet(fails(errAWS, "write"))
		s.press("dana", store.Click{Kind: store.ClickEnd, Request: a})
		s.pass(20 * time.Second)
		b := s.ask("console", "1h")
		s.pass(time.Second)
		s.approve("pat", b)
		s.pass(time.Minute)
		s.meet(nil)
		s.pass(30 * time.Minute)
	})
}

// Schedules that are missing are put back, those of sessions that are long over go, and what the store knows nothing of stays: it may be the last end
// that a session has which a restored store has forgotten.
func TestSchedulesMissingAndStray(t *testing.T) {
	single(t, func(s *legend) {
		over := s.active("console", "1h", "pat")
		s.press("dana", store.Click{Kind: store.ClickEnd, Request: over})
		s.pass(15 * time.Minute)
		id := s.active("ec2", "2h", "lee")
		s.mu.Lock()
		s.findings, s.unscheduled = true, true
		names := slices.Sorted(maps.Keys(s.schedules))
		delete(s.schedules, names[0])
		at := time.Now().Add(3 * time.Hour).Truncate(time.Minute)
		mark := strings.Split(names[0], "-")[2]
		stray, unknown := string(over)+"-"+mark+"-20260101T0000-1", "BG-1900-"+mark+"-20260101T0000-1"
		s.schedules[stray] = store.Schedule{Name: stray, At: at}
		s.schedules[unknown] = store.Schedule{Name: unknown, At: at}
		s.schedules["somebody-elses"] = store.Schedule{Name: "somebody-elses", At: at}
		s.mu.Unlock()
		s.pass(16 * time.Minute)
		s.unscheduled = false
		left := slices.Sorted(maps.Keys(s.schedules))
		if !slices.Equal(left, append(names, unknown, "somebody-elses")) {
			t.Errorf("there are %v", left)
		}
		s.pass(31 * time.Minute)
		if n := s.found(workflows.FoundSchedule, ""); n != 3 {
			t.Errorf("announced %d times", n)
		}
		s.pass(75 * time.Minute)
		s.until(id, store.Revoked, time.Minute)
	})
}

// An assignment that somebody removed ends its session, but not one that is only just there.
func TestAssignmentGone(t *testing.T) {
	single(t, func(s *legend) {
		id := s.active("ec2", "2h", "lee")
		vpn := s.active("vpn-prod-wealth", "2h", "pat")
		s.pass(11 * time.Minute)
		s.mu.Lock()
		s.findings = true
		s.has = map[store.Tuple]bool{}
		s.mu.Unlock()
		s.pass(5 * time.Minute)
		for _, id := range []store.ID{id, vpn} {
			if r := s.until(id, store.Revoked, time.Minute); r.End.Why != store.EndVanished {
				t.Errorf("%+v", r.End)
			}
			if len(s.notices(workflows.NoticeGone, id)) != 1 {
				t.Errorf("its thread was not told that it is gone")
			}
		}
		if n := s.found(workflows.FoundVanished, ""); n != 2 {
			t.Errorf("announced %d times", n)
		}
		if s.lets(ec2Of, s.creds[ec2Of][0], time.Now()) {
			t.Error("its credentials are let through")
		}
	})
}

// The bot is gone for two hours: the schedules and the guard end what it cannot, and it finds its sessions ended.
func TestTheBotIsGone(t *testing.T) {
	single(t, func(s *legend) {
		id := s.active("ec2", "30m", "lee")
		vpn := s.active("vpn-prod-wealth", "30m", "pat")
		end := s.record(vpn).ExpiresAt
		s.stop()
		time.Sleep(time.Until(end) + 75*time.Second)
		s.settle()
		if s.has[ec2Of] || s.has[vpnOf] {
			t.Errorf("somebody still has %v", s.has)
		}
		if now := time.Now(); s.lets(ec2Of, now.Add(-40*time.Minute), now) {
			t.Error("its credentials are let through")
		}
		time.Sleep(2 * time.Hour)
		s.shells = map[store.Tuple]int{}
		s.start(0)
		s.until(id, store.Revoked, time.Minute)
		s.until(vpn, store.Revoked, time.Minute)
		s.hours(14 * time.Hour)
		s.tidied()
	})
}

// Schedules that are being tidied are not the next session's: those it relies on stand.
func TestTidyingDoesNotTakeTheNextSessionsSchedules(t *testing.T) {
	single(t, func(s *legend) {
		a := s.active("ec2", "1h", "lee")
		end := s.record(a).ExpiresAt.Add(time.Minute - 1).Truncate(time.Minute)
		s.meet(fails(errAWS, "remove"))
		s.press("dana", store.Click{Kind: store.ClickEnd, Request: a})
		s.until(a, store.Revoked, time.Minute)
		var slow atomic.Bool
		s.meet(func(_ context.Context, op string, _ store.Tuple) (bool, error) {
			if op == "remove" {
				slow.Store(true)
				time.Sleep(15 * time.Second)
			}
			return false, nil
		})
		for !slow.Load() { // until the reconciliation tidies
			s.pass(time.Second)
		}
		left := time.Until(end) - 20*time.Second
		b := s.active("console", left.Truncate(time.Second).String(), "pat")
		s.pass(20 * time.Minute)
		s.until(b, store.Active, 0)
	})
}

// Two sessions of the same access begin together: the shorter one's schedules do not outlive the decision that they must not stand.
func TestSchedulesOfTwoThatBeginTogether(t *testing.T) {
	single(t, func(s *legend) {
		a, b := s.ask("ec2", "30m"), s.ask("console", "1h")
		s.pass(2 * time.Second)
		var later atomic.Bool
		s.meet(func(_ context.Context, op string, _ store.Tuple) (bool, error) {
			if op == "make" && !later.Swap(true) {
				time.Sleep(20 * time.Second)
			}
			return false, nil
		})
		s.approve("lee", a)
		s.approve("pat", b)
		s.until(b, store.Active, time.Minute)
		s.pass(30 * time.Minute)
		s.until(a, store.Revoked, 2*time.Minute)
		s.pass(20 * time.Minute)
		s.until(b, store.Active, 0)
	})
}
