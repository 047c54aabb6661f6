package workflows_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"breakglass/store"
)

// A second request for the same access is prepared while the first one's is being removed: what the listing saw was ours, not standing.
func TestNotStandingBecauseTheFirstWasStillThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start(0)
		defer w.stop()
		a, err := w.submit("emergency", "1h")
		if err != nil {
			t.Fatal(err)
		}
		w.pass(20 * time.Second)
		if got := w.state(a.ID); got != store.Active {
			t.Fatal(got, w.events(a.ID))
		}
		w.takes(5 * time.Second)
		if err := w.click("dana", store.ClickEnd, a.ID); err != nil {
			t.Fatal(err)
		}
		w.pass(2 * time.Second)
		w.look = func() error { time.Sleep(12 * time.Second); return nil } // the directory is slow
		b, err := w.submit("emergency", "1h")
		if err != nil {
			t.Fatal(err)
		}
		w.pass(2 * time.Minute)
		w.look = nil
		r, _ := w.run.db.Request(b.ID)
		t.Logf("%s is %s, standing %v", b.ID, r.State, r.Standing)
		w.pass(2 * time.Hour) // watch fails when access outlives
		if n := w.in(); n > 0 {
			t.Fatalf("%d still in\n%s", n, w.events(b.ID))
		}
	})
}

// The answer to a creation is lost; the next try is refused while the first is still under way.
func TestRefusedAfterALostCreation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.takes(40 * time.Second)
		w.loseCreate, w.refuse, w.refuseAnyhow = 1, 1, true
		w.start(0)
		defer w.stop()
		a, err := w.submit("emergency", "1h")
		if err != nil {
			t.Fatal(err)
		}
		w.pass(2 * time.Hour)
		if n := w.in(); n > 0 {
			t.Fatalf("%d still in\n%s", n, w.events(a.ID))
		}
	})
}

// AWS does the removal but may not be asked how it stands (or does not, and is never asked again).
func TestFollowRefusedAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start(0)
		defer w.stop()
		a, err := w.submit("emergency", "1h")
		if err != nil {
			t.Fatal(err)
		}
		w.pass(20 * time.Second)
		w.follow = func(_ string, removal bool) error {
			if removal {
				return &store.Refusal{Code: "AccessDeniedException", Message: "no"}
			}
			return nil
		}
		w.pass(70 * time.Minute)
		if got := w.state(a.ID); got == store.Revoking {
			t.Fatalf("in AWS %d; %s is %s\n%s", w.in(), a.ID, got, w.events(a.ID))
		}
	})
}

// Many reports are read from a slow trail; a session ends meanwhile.
func TestReportsDoNotHoldUpAnEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for i := range 70 {
			p := w.people["dana"]
			p.UserID = "eng" + string(rune('a'+i/26)) + string(rune('a'+i%26))
			p.UserName, p.Email = p.UserID, p.UserID+"@forge.example"
			w.people[p.UserID] = p
		}
		w.start(0)
		defer w.stop()
		for id := range w.people {
			if len(id) == 5 && id[:3] == "eng" {
				if _, err := w.submitAs(id, "emergency", "prod-wealth", "10m"); err != nil {
					t.Fatal(err)
				}
			}
		}
		w.pass(20 * time.Minute)
		a, err := w.submit("emergency", "9m")
		if err != nil {
			t.Fatal(err)
		}
		var reading atomic.Int64
		w.trail = func(ctx context.Context) { // two requests a second, many pages
			reading.Add(1)
			select {
			case <-ctx.Done():
			case <-time.After(8 * time.Minute):
			}
		}
		w.pass(12 * time.Minute) // watch fails when access outlives
		tally, _ := w.run.db.Tally()
		t.Logf("%d readings, %v", reading.Load(), tally)
		if got := w.state(a.ID); got == store.Active {
			t.Fatalf("%s is %s", a.ID, got)
		}
	})
}

// Slow readings of the trail must not keep a new request from its approvers.
func TestReportsDoNotHoldUpTheQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := crowd(t, 40)
		defer w.stop()
		w.trail = func(ctx context.Context) {
			select {
			case <-ctx.Done():
			case <-time.After(8 * time.Minute):
			}
		}
		w.pass(27 * time.Minute)
		if _, err := w.submit("ec2", "1h"); err != nil {
			t.Fatal(err)
		}
		before := w.heard("ask")
		w.pass(time.Minute)
		if w.heard("ask") == before {
			t.Fatal("no approver was asked within a minute")
		}
	})
}

// More overdue reports than one sweep looks at must not hide the end of a session from it.
func TestManyReportsDoNotHideAnEnd(t *testing.T) {
	if os.Getenv("BREAKGLASS_SWEEP") == "" {
		t.Skip("takes a while: BREAKGLASS_SWEEP=all")
	}
	synctest.Test(t, func(t *testing.T) {
		w := crowd(t, 560)
		defer w.stop()
		w.trail = func(ctx context.Context) {
			select {
			case <-ctx.Done():
			case <-time.After(8 * time.Minute):
			}
		}
		w.pass(20 * time.Minute)
		if _, err := w.submit("emergency", "9m"); err != nil {
			t.Fatal(err)
		}
		w.pass(12 * time.Minute) // watch fails
	})
}

// crowd is n people who each had ten minutes of access.
func crowd(t *testing.T, n int) *world {
	w := newWorld(t)
	ids := []string{}
	for i := range n {
		p := w.people["dana"]
		p.UserID = fmt.Sprintf("eng%d", i)
		p.UserName, p.Email = p.UserID, p.UserID+"@forge.example"
		w.people[p.UserID] = p
		ids = append(ids, p.UserID)
	}
	w.start(0)
	for _, id := range ids {
		if _, err := w.submitAs(id, "emergency", "prod-wealth", "10m"); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// Mail that hangs must not keep Slack messages from being said.
func TestHungMailDoesNotHoldUpSlack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.deliver = func(n store.Notice) error {
			if n.Kind == "mail" {
				time.Sleep(30 * time.Second)
				return errors.New("no answer")
			}
			return nil
		}
		for i := range 24 {
			p := w.people["dana"]
			p.UserID = fmt.Sprintf("eng%d", i)
			p.UserName, p.Email = p.UserID, p.UserID+"@forge.example"
			w.people[p.UserID] = p
		}
		w.start(0)
		defer w.stop()
		for i := range 24 {
			if _, err := w.submitAs(fmt.Sprintf("eng%d", i), "emergency", "prod-wealth", "1h"); err != nil {
				t.Fatal(err)
			}
		}
		w.pass(3 * time.Minute)
		before := w.heard("card")
		a, err := w.submit("ec2", "1h")
		if err != nil {
			t.Fatal(err)
		}
		at := time.Now()
		w.pass(10 * time.Minute)
		for _, d := range w.told {
			if d.n.Kind == "card" && d.n.Request == a.ID {
				if took := d.at.Sub(at); took > 10*time.Second {
					t.Errorf("the card stood after %v", took)
				}
				return
			}
		}
		t.Fatalf("the card never stood within ten minutes (%d cards before)", before)
	})
}

// A reader of the listing that lags behind the removal does not make the access standing.
func TestLaggingListing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start(0)
		defer w.stop()
		a, err := w.submit("emergency", "1h")
		if err != nil {
			t.Fatal(err)
		}
		w.pass(20 * time.Second)
		_ = w.click("dana", store.ClickEnd, a.ID)
		w.pass(10 * time.Second)
		w.mu.Lock()
		w.lag = time.Now().Add(3 * time.Second) // one listing comes from a replica that has not heard of it
		w.mu.Unlock()
		b, err := w.submit("emergency", "1h")
		if err != nil {
			t.Fatal(err)
		}
		w.pass(30 * time.Second)
		r, _ := w.run.db.Request(b.ID)
		t.Logf("%s: %s, standing %v, in AWS %d", b.ID, r.State, r.Standing, w.in())
		if r.Standing {
			t.Fatal("taken for standing access")
		}
	})
}

// The answer about Slack accounts that did not come is asked for again: approvers are asked all the same.
func TestApproversAreAskedAlthoughSlackWasAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.bindAfter = 20 * time.Second
		w.start(0)
		defer w.stop()
		if _, err := w.submit("ec2", "1h"); err != nil {
			t.Fatal(err)
		}
		w.pass(5 * time.Minute)
		if w.heard("ask") == 0 {
			t.Fatal("no approver got a direct message")
		}
	})
}

// A click that was acknowledged before a crash counts after it, although Slack takes a while to be there.
func TestClickBeforeSlackIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start(0)
		defer func() { w.stop() }()
		w.pass(2 * time.Second)
		a, err := w.submit("ec2", "1h")
		if err != nil {
			t.Fatal(err)
		}
		w.pass(5 * time.Second)
		w.run.cancel() // SIGTERM
		synctest.Wait()
		if err := w.click("lee", store.ClickApprove, a.ID); err != nil { // the last envelope in hand is still acknowledged
			t.Fatal(err)
		}
		w.stop()
		w.bindAfter = 5 * time.Second
		w.start(0)
		w.pass(time.Minute)
		if got := w.state(a.ID); got != store.Active {
			t.Fatalf("%s is %s\n%s", a.ID, got, w.events(a.ID))
		}
	})
}

// The clock of the machine is set back an hour during a session: it ends all the same, by the latest time that was seen.
func TestClockSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start(0)
		defer w.stop()
		a, err := w.submit("emergency", "30m")
		if err != nil {
			t.Fatal(err)
		}
		w.pass(20 * time.Minute)
		w.back.Store(int64(time.Hour))
		w.pass(15 * time.Minute) // watch fails
		if got := w.state(a.ID); got == store.Active {
			t.Fatal(got)
		}
	})
}

// The directory hangs while whoever the policy names is told that a session began: End now does not wait for it.
func TestEndNowDoesNotWaitForTheNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start(0)
		defer w.stop()
		w.pass(2 * time.Second)
		a, err := w.submit("emergency", "30m")
		if err != nil {
			t.Fatal(err)
		}
		for w.state(a.ID) != store.Active {
			w.slow.Store(int64(25 * time.Second))
			w.run.e.Nudge()
			time.Sleep(100 * time.Millisecond)
		}
		w.pass(2 * time.Second)
		_ = w.click("dana", store.ClickEnd, a.ID)
		w.pass(8 * time.Second)
		if n := w.in(); n > 0 {
			t.Fatalf("eight seconds after End now (a removal takes three): %s, %d in", w.state(a.ID), n)
		}
	})
}

// A name that a forced end left in AWS is not standing access for the next request.
func TestForcedIsNotStanding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start(0)
		defer w.stop()
		a, err := w.submit("ec2", "30m")
		if err != nil {
			t.Fatal(err)
		}
		w.pass(2 * time.Second)
		_ = w.click("lee", store.ClickApprove, a.ID)
		w.pass(20 * time.Second)
		w.takes(90 * time.Second) // AWS is slow
		_ = w.click("dana", store.ClickEnd, a.ID)
		w.pass(70 * time.Second)
		by := store.By{Actor: store.Officer("root"), At: store.Moment(time.Now())}
		if err := w.run.e.ForceClose(by, a.ID, "looked"); err != nil {
			t.Fatal(err)
		}
		b, err := w.submit("ec2", "30m")
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second) // somebody is in without a request meanwhile: that is what was forced
		_ = w.click("lee", store.ClickApprove, b.ID)
		w.takes(3 * time.Second)
		time.Sleep(2 * time.Minute)
		r, _ := w.run.db.Request(b.ID)
		if r.Standing || w.in() == 0 {
			t.Fatalf("standing %v, %s, in AWS %d", r.Standing, r.State, w.in())
		}
	})
}
