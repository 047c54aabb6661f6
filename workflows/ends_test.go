package workflows_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"breakglass/store"
	"breakglass/workflows"
)

// tale of one thing that goes wrong.
func single(t *testing.T, fn func(*legend), more ...string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newEndsWorld(t, more...)
		w.start(0)
		defer func() { w.stop() }()
		w.pass(2 * time.Second)
		fn(legendOf(w))
	})
}

// fails makes some calls fail.
func fails(err error, ops ...string) func(context.Context, string, store.Tuple) (bool, error) {
	return func(_ context.Context, op string, _ store.Tuple) (bool, error) {
		for _, o := range ops {
			if o == op {
				return false, err
			}
		}
		return false, nil
	}
}

// hangs makes some calls take until whoever made them gives up.
func hangs(ops ...string) func(context.Context, string, store.Tuple) (bool, error) {
	return func(ctx context.Context, op string, _ store.Tuple) (bool, error) {
		for _, o := range ops {
			if o == op {
				<-ctx.Done()
				return false, ctx.Err()
			}
		}
		return false, nil
	}
}

var errFull = &store.Refusal{Code: "GuardFull", Message: "the guard is full"}

// A guard that is closed and cannot be written lets nobody in.
func TestGuardRefused(t *testing.T) {
	single(t, func(s *legend) {
		s.meet(fails(errFull, "write"))
		id := s.ask("ec2", "30m")
		s.pass(2 * time.Second)
		s.approve("lee", id)
		r := s.until(id, store.Failed, time.Minute)
		if s.creates != 0 || !strings.Contains(r.End.Note, "GuardFull") {
			t.Errorf("%d creations; %q", s.creates, r.End.Note)
		}
		s.meet(nil)
		s.hours(13 * time.Hour)
		s.tidied()
	})
}

// A guard that is timed and cannot be written is said, and written later.
func TestTimedGuardIsLate(t *testing.T) {
	for name, fault := range map[string]func(context.Context, string, store.Tuple) (bool, error){
		"refused": fails(errFull, "write"), "failing": fails(errAWS, "write", "fence"), "hanging": hangs("write"), "all hanging": hangs("ready", "fence", "write", "inspect"),
	} {
		t.Run(name, func(t *testing.T) {
			single(t, func(s *legend) {
				s.unguarded = true
				s.meet(fault)
				began := time.Now()
				id := s.active("emergency", "30m")
				if took := time.Since(began); took > 20*time.Second {
					t.Errorf("the emergency waited %v", took)
				}
				if r := s.record(id); !r.Ends.Unguarded || r.Ends.Guard || !r.Ends.Schedules || s.heard(workflows.NoticeEnds) != 2 {
					t.Errorf("%+v, said %d times", r.Ends, s.heard(workflows.NoticeEnds))
				}
				s.pass(5 * time.Minute)
				s.meet(nil)
				s.pass(90 * time.Second)
				s.unguarded = false
				if r := s.record(id); r.Ends.Unguarded || !r.Ends.Guard || s.heard(workflows.NoticeEnds) != 4 {
					t.Errorf("%+v, said %d times", r.Ends, s.heard(workflows.NoticeEnds))
				}
				s.pass(22 * time.Minute)
				s.until(id, store.Revoked, 4*time.Minute)
				s.pass(time.Minute)
			})
		})
	}
}

// A guard that could not be written while the session lasted has no line of its own to end it: it must refuse at the end.
func TestGuardDownUntilTheEnd(t *testing.T) {
	single(t, func(s *legend) {
		s.unguarded = true
		s.meet(fails(errAWS, "write"))
		id := s.active("emergency", "30m")
		s.pass(33 * time.Minute)
		if s.has[emergencyOf] {
			t.Error("the deletion was held up")
		}
		if got := s.state(id); got != store.Revoking {
			t.Errorf("it is called %s while its credentials work", got)
		}
		s.meet(nil)
		s.pass(40 * time.Second)
		s.unguarded = false
		s.pass(time.Second)
		s.until(id, store.Revoked, time.Minute)
	})
}

// Without its schedules nothing is opened.
func TestNoSchedulesNoGrant(t *testing.T) {
	single(t, func(s *legend) {
		s.meet(fails(&store.Refusal{Code: "AccessDeniedException", Message: "no"}, "make"))
		id := s.ask("ec2", "30m")
		s.pass(2 * time.Second)
		s.approve("lee", id)
		s.until(id, store.Failed, time.Minute)
		s.meet(fails(errAWS, "make"))
		b := s.ask("emergency", "30m")
		s.pass(3 * time.Minute)
		if s.creates != 0 || s.state(b) == store.Active {
			t.Errorf("%d creations, %s", s.creates, s.state(b))
		}
		s.meet(nil)
		s.until(b, store.Active, 2*time.Minute)
	})
}

// A membership whose schedules cannot be made is taken away at once.
func TestMembershipWithoutSchedules(t *testing.T) {
	single(t, func(s *legend) {
		s.unscheduled = true
		s.meet(fails(errAWS, "make"))
		id := s.ask("vpn-prod-wealth", "30m")
		s.pass(2 * time.Second)
		s.approve("pat", id)
		s.pass(10 * time.Second)
		if s.has[vpnOf] || s.creates == 0 {
			t.Errorf("in: %v, %d creations", s.has[vpnOf], s.creates)
		}
		r := s.until(id, store.Revoked, 10*time.Minute)
		if r.End.Why != store.EndUncertain || !r.VerifiedAt.IsZero() {
			t.Errorf("%+v %v", r.End, r.VerifiedAt)
		}
	})
}

// Scheduler is down when a session ends: it ends all the same, and the schedules go later.
func TestSchedulesAreTidiedLater(t *testing.T) {
	for name, fault := range map[string]func(context.Context, string, store.Tuple) (bool, error){"failing": fails(errAWS, "remove", "list"), "hanging": hangs("remove", "list")} {
		t.Run(name, func(t *testing.T) {
			single(t, func(s *legend) {
				id := s.active("ec2", "2h", "lee")
				s.meet(fault)
				s.press("dana", store.Click{Kind: store.ClickEnd, Request: id})
				s.until(id, store.Revoked, time.Minute)
				if len(s.schedules) == 0 {
					t.Fatal("they are gone already")
				}
				s.meet(nil)
				s.pass(16 * time.Minute)
				if len(s.schedules) > 0 {
					t.Errorf("they are left: %v", s.schedules)
				}
			})
		})
	}
}

// The guard is down at End now: the deletion goes on, and the session is not called ended before the guard refuses, or its own date does.
func TestGuardDownAtEndNow(t *testing.T) {
	for _, comesBack := range []bool{true, false} {
		single(t, func(s *legend) {
			id := s.active("ec2", "30m", "lee")
			end := s.record(id).ExpiresAt
			s.meet(fails(errAWS, "write"))
			s.press("dana", store.Click{Kind: store.ClickEnd, Request: id})
			s.pass(20 * time.Second)
			if s.has[ec2Of] {
				t.Error("the deletion was held up")
			}
			s.pass(5 * time.Minute)
			if got := s.state(id); got != store.Revoking || s.heard(workflows.NoticeStuck) == 0 {
				t.Errorf("it is %s; escalated %d times", got, s.heard(workflows.NoticeStuck))
			}
			if comesBack {
				s.meet(nil)
				s.until(id, store.Revoked, time.Minute)
				if s.lets(ec2Of, s.creds[ec2Of][0], time.Now()) {
					t.Error("it is called ended and not refused")
				}
			} else {
				s.pass(time.Until(end) - time.Second)
				if got := s.state(id); got != store.Revoking {
					t.Errorf("it is %s before its date", got)
				}
				s.until(id, store.Revoked, 2*time.Minute)
			}
		})
	}
}

// The guard hangs at End now: the deletion does not wait for it long.
func TestGuardHangsAtEndNow(t *testing.T) {
	single(t, func(s *legend) {
		id := s.active("ec2", "30m", "lee")
		s.meet(hangs("write", "shells"))
		s.press("dana", store.Click{Kind: store.ClickEnd, Request: id})
		s.pass(15 * time.Second)
		if s.has[ec2Of] {
			t.Error("the deletion waits")
		}
		s.meet(nil)
		s.until(id, store.Revoked, 2*time.Minute)
	})
}

// Open shells that cannot be ended keep a session from being called ended.
func TestShellsThatCannotBeEnded(t *testing.T) {
	single(t, func(s *legend) {
		id := s.active("ec2", "30m", "lee")
		s.meet(fails(errAWS, "shells"))
		s.press("dana", store.Click{Kind: store.ClickEnd, Request: id})
		s.pass(6 * time.Minute)
		if got := s.state(id); got != store.Revoking || s.has[ec2Of] || s.heard(workflows.NoticeStuck) == 0 {
			t.Fatalf("%s, in %v, escalated %d times", got, s.has[ec2Of], s.heard(workflows.NoticeStuck))
		}
		s.meet(nil)
		r := s.until(id, store.Revoked, time.Minute)
		if r.Ends.Shells != 1 || s.heard(workflows.NoticeUnstuck) == 0 {
			t.Errorf("%d shells, unstuck %d", r.Ends.Shells, s.heard(workflows.NoticeUnstuck))
		}
	})
}

// Shells that hang at End now do not hold up the deletion.
func TestShellsHangAtEndNow(t *testing.T) {
	single(t, func(s *legend) {
		id := s.active("ec2", "30m", "lee")
		s.meet(hangs("shells"))
		s.press("dana", store.Click{Kind: store.ClickEnd, Request: id})
		s.pass(15 * time.Second)
		if s.has[ec2Of] {
			t.Error("the deletion waits")
		}
	})
}

// A store that cannot be written at the expiry holds up no deletion, and the log says so when it can.
func TestFullDiskAtTheExpiry(t *testing.T) {
	for _, scenario := range []string{"ec2", "vpn-prod-wealth"} {
		single(t, func(s *legend) {
			decider := map[string]string{"ec2": "lee", "vpn-prod-wealth": "pat"}[scenario]
			id := s.active(scenario, "30m", decider)
			s.pass(29 * time.Minute)
			mend := breakDisk(s.run.db)
			s.blind = true
			s.pass(75 * time.Second)
			if s.has[ec2Of] || s.has[vpnOf] {
				t.Error("the full disk held up the deletion")
			}
			if got := s.state(id); got != store.Active {
				t.Errorf("it is %s, though nothing can be written", got)
			}
			mend()
			s.blind = false
			s.until(id, store.Revoked, 2*time.Minute)
			if !strings.Contains(s.events(id), "could not be written") {
				t.Errorf("the log does not say so\n%s", s.events(id))
			}
		})
	}
}

// The disk is full only after the end was recorded: the deletion is sent, and the log says so.
func TestFullDiskDuringTheRevocation(t *testing.T) {
	single(t, func(s *legend) {
		id := s.active("ec2", "30m", "lee")
		s.meet(fails(errors.New("throttled"), "unassign"))
		s.pass(30*time.Minute + 10*time.Second)
		mend := breakDisk(s.run.db)
		s.blind = true
		s.meet(nil)
		s.pass(2 * time.Minute)
		if s.has[ec2Of] {
			t.Error("the full disk held up the deletion")
		}
		mend()
		s.blind = false
		s.until(id, store.Revoked, 2*time.Minute)
		if !strings.Contains(s.events(id), "could not be written") {
			t.Errorf("the log does not say so\n%s", s.events(id))
		}
	})
}
