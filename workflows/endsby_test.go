package workflows_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"breakglass/store"
	"breakglass/workflows"
)

// Revoke is for whoever could decide, the lockdown people, and where nobody's word is needed any other eligible person.
func TestWhoMayRevoke(t *testing.T) {
	for _, c := range []struct {
		scenario, who string
		may           bool
	}{
		{"ec2", "lee", true}, {"ec2", "pat", true}, {"ec2", "security.lead", true}, {"ec2", "incident.manager", true},
		{"ec2", "eve", false}, {"ec2", "sam", false}, {"emergency", "sam", true}, {"emergency", "lee", false}, {"emergency", "security.lead", true},
		{"ec2", "dana", true},
	} {
		t.Run(c.scenario+" by "+c.who, func(t *testing.T) {
			single(t, func(s *legend) {
				decider := map[string][]string{"ec2": {"lee"}}[c.scenario]
				id := s.active(c.scenario, "30m", decider...)
				s.press(c.who, store.Click{Kind: store.ClickRevoke, Request: id, Text: "not now"})
				s.pass(5 * time.Second)
				if !c.may {
					if s.state(id) != store.Active || !strings.Contains(s.refused(), "cannot end this session") {
						t.Fatalf("%s: %s", s.state(id), s.refused())
					}
					return
				}
				r := s.until(id, store.Revoked, time.Minute)
				why := store.EndRevoked
				if c.who == "dana" {
					why = store.EndedEarly
				}
				if r.End.Why != why || r.End.Note != "not now" || r.End.By.Label() == "" {
					t.Errorf("%+v", r.End)
				}
			})
		})
	}
}

// End now is its requester's.
func TestEndNowOfAnother(t *testing.T) {
	single(t, func(s *legend) {
		id := s.active("ec2", "30m", "lee")
		s.press("eve", store.Click{Kind: store.ClickEnd, Request: id})
		s.pass(5 * time.Second)
		if s.state(id) != store.Active || !strings.Contains(s.refused(), "Only dana") {
			t.Fatal(s.state(id), s.refused())
		}
	})
}

func TestWhoMayLockDown(t *testing.T) {
	single(t, func(s *legend) {
		id := s.active("ec2", "30m", "lee")
		for _, who := range []string{"dana", "lee", "eve"} {
			s.press(who, store.Click{Kind: store.ClickLock, Text: "so"})
			s.pass(3 * time.Second)
			if _, locked, _ := s.run.db.Lockdown(); locked || s.state(id) != store.Active || !strings.Contains(s.refused(), "may lock down") {
				t.Fatalf("%s: %v, %s, %q", who, locked, s.state(id), s.refused())
			}
		}
		s.press("incident.manager", store.Click{Kind: store.ClickLock, Text: "leaked"})
		r := s.until(id, store.Revoked, time.Minute)
		if r.End.Why != store.EndLockdown || s.heard(workflows.NoticeLockdown) != 2 {
			t.Errorf("%+v, told %d times", r.End, s.heard(workflows.NoticeLockdown))
		}
		s.press("lee", store.Click{Kind: store.ClickUnlock})
		s.pass(3 * time.Second)
		if _, locked, _ := s.run.db.Lockdown(); !locked {
			t.Fatal("it was lifted by somebody who may not")
		}
		b := s.ask0("emergency")
		if !strings.Contains(b, "locked everything down") {
			t.Errorf("asking is answered with %q", b)
		}
	})
}

// ask0 asks and says what is wrong with it.
func (s *legend) ask0(scenario string) string {
	_, err := s.submitAs("dana", scenario, "prod-wealth", "30m")
	if err == nil {
		return ""
	}
	return err.Error()
}

// What waits for its word when a lockdown begins is opened by nobody until it is lifted.
func TestLockdownBetweenTheAskingAndTheWord(t *testing.T) {
	single(t, func(s *legend) {
		id := s.ask("ec2", "30m")
		s.pass(2 * time.Second)
		by := store.By{Actor: store.Officer("root"), At: store.Moment(time.Now())}
		if err := s.run.e.Lock(by, "leaked"); err != nil {
			t.Fatal(err)
		}
		s.approve("lee", id)
		s.pass(10 * time.Second)
		if s.state(id) != store.Pending || s.creates > 0 {
			t.Fatalf("%s, %d creations", s.state(id), s.creates)
		}
		if err := s.run.e.Unlock(by, ""); err != nil {
			t.Fatal(err)
		}
		s.approve("lee", id)
		s.until(id, store.Active, time.Minute)
	})
}

// A lead that fails, or is cancelled, takes what was granted along with it.
func TestLeadThatFails(t *testing.T) {
	for name, fn := range map[string]func(*legend, store.ID){
		"refused by AWS": func(s *legend, id store.ID) { s.until(id, store.Failed, time.Minute) },
		"cancelled": func(s *legend, id store.ID) {
			s.press("dana", store.Click{Kind: store.ClickCancel, Request: id})
			s.until(id, store.Cancelled, time.Minute)
		},
	} {
		t.Run(name, func(t *testing.T) {
			single(t, func(s *legend) {
				s.meet(func(_ context.Context, op string, at store.Tuple) (bool, error) {
					switch {
					case name == "cancelled" && op == "assigned" && at.Set != "":
						return false, errAWS // it is not prepared yet
					case name != "cancelled" && op == "assign" && at.Set != "":
						return false, &store.Refusal{Code: "AccessDeniedException", Message: "no"}
					}
					return false, nil
				})
				id := s.ask("eks", "1h")
				s.pass(2 * time.Second)
				s.approve("lee", id)
				s.pass(5 * time.Second)
				fn(s, id)
				s.pass(30 * time.Second)
				if s.has[vpnOf] {
					t.Error("its companion is still in AWS")
				}
				// Where its creation was under way, AWS is looked at for as long as that may still come true.
				for end := time.Now().Add(7 * time.Minute); s.record(s.record(id).With[0]).State.MayHaveAccess(); s.pass(10 * time.Second) {
					if time.Now().After(end) {
						t.Fatalf("its companion is %s", s.record(s.record(id).With[0]).State)
					}
				}
				if s.has[vpnOf] {
					t.Error("its companion came back")
				}
			})
		})
	}
}
