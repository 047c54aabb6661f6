package store_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"breakglass/store"
)

// Every pair of states is tried from every state a record can stand in, the same state included.
func TestTransitionTable(t *testing.T) {
	if want := 12; len(store.States()) != want || len(way) != want {
		t.Fatalf("%d states, %d ways: the chart has %d", len(store.States()), len(way), want)
	}
	for _, is := range store.States() {
		t.Run(string(is), func(t *testing.T) {
			t.Parallel()
			db := fresh(t)
			r := bring(t, db, "ann", is)
			before := db.Dump()
			for _, from := range store.States() {
				for _, to := range append(store.States(), "", "elsewhere") {
					if from == is && slices.Contains(lawful[is], to) {
						continue
					}
					_, err := db.Transition(byBot(noon), r.ID, from, to, nil)
					want := store.TransitionError{ID: r.ID, Is: is, From: from, To: to}
					var got *store.TransitionError
					if !errors.As(err, &got) || *got != want {
						t.Errorf("%s -> %s while it is %s: %v", from, to, is, err)
					}
				}
			}
			if diff := cmp.Diff(before, db.Dump()); diff != "" {
				t.Errorf("a refused transition left something:\n%s", diff)
			}
			for _, to := range lawful[is] {
				r := bring(t, db, "bob", is)
				r, err := db.Transition(byBot(noon), r.ID, is, to, nil)
				if err != nil || r.State != to {
					t.Errorf("%s -> %s is lawful: %v", is, to, err)
				}
			}
			if is.Ended() != (len(lawful[is]) == 0) {
				t.Errorf("Ended is %v", is.Ended())
			}
		})
	}
}

func TestUnknownStateHasNotEnded(t *testing.T) {
	for _, s := range []store.State{"", "granted"} {
		if s.Ended() {
			t.Errorf("%q has ended: nobody would look at it again", s)
		}
	}
}

func TestSecondClickIsRefused(t *testing.T) {
	db := fresh(t)
	r := submit(t, db, "ann")
	deny := func(c *store.Change) error {
		c.Request.Decisions = append(c.Request.Decisions, store.Decision{By: person("bob"), At: c.By.At})
		return nil
	}
	if _, err := db.Transition(byBot(noon), r.ID, store.Pending, store.Denied, deny); err != nil {
		t.Fatal(err)
	}
	_, err := db.Transition(byBot(noon), r.ID, store.Pending, store.Denied, deny)
	var moved *store.TransitionError
	if !errors.As(err, &moved) || moved.Is != store.Denied {
		t.Errorf("the second click: %v", err)
	}
	if r, _ = db.Request(r.ID); len(r.Decisions) != 1 {
		t.Errorf("%d decisions were counted", len(r.Decisions))
	}
}

// No function that is given to a change may alter what other keys are made of.
func TestChangeCannotAlterKeys(t *testing.T) {
	alter := map[string]func(*store.Change){
		"state":   func(c *store.Change) { c.Request.State = store.Closed },
		"id":      func(c *store.Change) { c.Request.ID = "BG-1" },
		"version": func(c *store.Change) { c.Request.Version = 0 },
		"person":  func(c *store.Change) { c.Request.Requester.UserID = "eve" },
		"account": func(c *store.Change) { c.Request.Account.ID = "222222222222" },
		"set":     func(c *store.Change) { c.Request.PermissionSet = "Admin" },
		"pointer": func(c *store.Change) { r := *c.Request; c.Request = &r },
	}
	db := fresh(t)
	r := bring(t, db, "ann", store.Active)
	before := db.Dump()
	for name, do := range alter {
		fn := func(c *store.Change) error { do(c); return nil }
		if _, err := db.Touch(byBot(noon), r.ID, store.Active, fn); err == nil {
			t.Errorf("Touch let %s pass", name)
		}
		if _, err := db.Transition(byBot(noon), r.ID, store.Active, store.Revoking, fn); err == nil {
			t.Errorf("Transition let %s pass", name)
		}
		if name == "version" {
			continue // it is 0 there
		}
		if _, err := db.Submit(byBot(noon), asked("ann"), fn); err == nil {
			t.Errorf("Submit let %s pass", name)
		}
	}
	if diff := cmp.Diff(before, db.Dump()); diff != "" {
		t.Errorf("a refused change left something:\n%s", diff)
	}
}

func TestSubmitBeginsPendingOrApproved(t *testing.T) {
	db := fresh(t)
	for _, s := range store.States() {
		r := asked("ann")
		r.State = s
		_, err := db.Submit(byBot(noon), r, nil)
		if ok := s == store.Pending || s == store.Approved; (err == nil) != ok {
			t.Errorf("%s: %v", s, err)
		}
	}
}

func TestTouchNeedsItsState(t *testing.T) {
	db := fresh(t)
	r := submit(t, db, "ann")
	var moved *store.TransitionError
	if _, err := db.Touch(byBot(noon), r.ID, store.Active, nil); !errors.As(err, &moved) || moved.Is != store.Pending {
		t.Errorf("a touch of an active request met %v", err)
	}
	if _, err := db.Touch(byBot(noon), "BG-9999", store.Active, nil); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a touch of no request met %v", err)
	}
}

// A request that is not at its end must always be due, and a time that nobody set is now, not never.
func TestEveryOpenRequestIsDue(t *testing.T) {
	db := fresh(t)
	r := submit(t, db, "ann")
	_, err := db.Touch(byBot(noon), r.ID, store.Pending, func(c *store.Change) error { c.Request.Stop(store.ClockExpire); return nil })
	if !errors.Is(err, store.ErrNoClock) {
		t.Errorf("it has no clock left: %v", err)
	}
	for name, at := range map[string]time.Time{
		"zero": {}, "1970": time.Unix(0, 0), "before": time.Unix(-5, 0), "year 1700": time.Date(1700, 1, 1, 0, 0, 0, 0, time.UTC),
	} {
		r, err = db.Touch(byBot(noon), r.ID, store.Pending, func(c *store.Change) error { c.Request.Set(store.ClockEnd, at); return nil })
		if err != nil {
			t.Fatal(err)
		}
		if due, _ := db.Due(noon, 10); len(due) != 1 || due[0].ID != r.ID {
			t.Errorf("%s: it is not due", name)
		}
	}
	r, err = db.Touch(byBot(noon), r.ID, store.Pending, func(c *store.Change) error {
		c.Request.Set(store.ClockEnd, time.Date(3000, 1, 1, 0, 0, 0, 0, time.UTC))
		return nil
	})
	if due, _ := db.Due(noon, 10); err != nil || len(due) != 0 {
		t.Errorf("the year 3000 is due now: %v", err)
	}
	r, err = db.Touch(byBot(noon), r.ID, store.Pending, func(c *store.Change) error { c.Request.Clocks["odd"] = -7; return nil })
	if due, _ := db.Due(noon, 10); err != nil || len(due) != 1 {
		t.Errorf("a negative clock is never due: %v", err)
	}
	if err := db.Check(); err != nil {
		t.Error(err)
	}
}

func TestChangeNeedsActorAndTime(t *testing.T) {
	db := fresh(t)
	for _, by := range []store.By{{}, {Actor: store.Bot()}, {At: noon}} {
		if err := db.Log(by, store.EventStarted, nil); err == nil {
			t.Errorf("%+v was let pass", by)
		}
	}
}

// What a change returns is what is read later, on a machine in any zone.
func TestTimesAreUTC(t *testing.T) {
	db := fresh(t)
	local := time.Now().In(time.FixedZone("far", 11*3600))
	r := asked("ann")
	r.SubmittedAt, r.TicketBy, r.End.At, r.Work.Since = local, local, local, local
	r.Decisions = []store.Decision{{By: person("bob"), At: local}}
	deeds := []store.Deed{{Service: "s3", First: local, Last: local}}
	r.Readings = []store.Reading{{At: local, From: local, To: local, Deeds: deeds}}
	got, err := db.Submit(byBot(local), r, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, at := range timesOf(got) {
		if !at.IsZero() && (at.Location() != time.UTC || !at.Equal(local)) {
			t.Errorf("%s is %s", name, at)
		}
	}
	if deeds[0].First.Location() == time.UTC {
		t.Error("the caller's own slice was altered")
	}
	read, err := db.Request(got.ID)
	if diff := cmp.Diff(got, read); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	events, _ := db.Events(0, 10)
	if events[0].At.Location() != time.UTC {
		t.Error("an event is in local time")
	}
}
