package store_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"breakglass/store"
)

func delivered(at time.Time, name string) store.By {
	by := byBot(at)
	by.Delivery = name
	return by
}

func TestSameDeliveryTwice(t *testing.T) {
	db := fresh(t)
	c := store.Click{Key: "click", Kind: store.ClickApprove, Request: "BG-1001", SlackID: "U1"}
	got, err := db.Receive(byBot(noon), c)
	if err != nil || got.Seq != 1 || !got.At.Equal(noon) {
		t.Fatal(got, err)
	}
	r, err := db.Submit(delivered(noon, "form"), asked("ann"), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, later := range []time.Duration{0, time.Minute, 10 * time.Minute, 23 * time.Hour, -time.Hour} {
		if got, err := db.Receive(byBot(noon.Add(later)), c); !errors.Is(err, store.ErrSeen) || !reflect.DeepEqual(got, store.Click{}) {
			t.Errorf("the click again after %s: %+v %v", later, got, err)
		}
		if _, err := db.Submit(delivered(noon.Add(later), "form"), asked("ann"), nil); !errors.Is(err, store.ErrSeen) {
			t.Errorf("the form again after %s: %v", later, err)
		}
	}
	if err := db.Dismiss(byBot(noon), got, store.EventRefused, nil, nil); err != nil {
		t.Fatal(err)
	}
	db = reopen(t, db)
	if _, err := db.Receive(byBot(noon), c); !errors.Is(err, store.ErrSeen) {
		t.Errorf("the click again after it was dealt with, and a restart: %v", err)
	}
	if clicks, _ := db.Clicks(10); len(clicks) != 0 {
		t.Errorf("%d clicks wait", len(clicks))
	}
	// A change that failed was not taken: it may come again.
	refuse := func(*store.Change) error { return errRefuse }
	if _, err := db.Touch(delivered(noon, "again"), r.ID, r.State, refuse); !errors.Is(err, errRefuse) {
		t.Fatal(err)
	}
	if _, err := db.Touch(delivered(noon, "again"), r.ID, r.State, nil); err != nil {
		t.Errorf("what failed cannot come again: %v", err)
	}
}

// Deliveries are forgotten after a day, a bounded number with each change, until none that is old is left.
func TestForgetting(t *testing.T) {
	db := fresh(t)
	const old = 3*store.ForgetAtOnce + 5
	for i := range old {
		if err := db.Log(delivered(noon, fmt.Sprint("old ", i)), "x", nil); err != nil {
			t.Fatal(err)
		}
	}
	later := noon.Add(store.Remember + time.Second)
	left := old
	for i := 0; left > 0; i++ {
		if err := db.Log(delivered(later, fmt.Sprint("new ", i)), "x", nil); err != nil {
			t.Fatal(err)
		}
		left = max(0, left-store.ForgetAtOnce)
		d := db.Dump()
		if want := left + i + 1; len(d["seen"]) != want || len(d["seenat"]) != want {
			t.Fatalf("%d and %d are remembered, not %d", len(d["seen"]), len(d["seenat"]), want)
		}
	}
	if err := db.Log(delivered(later, "old 3"), "x", nil); err != nil {
		t.Errorf("a delivery of the day before yesterday: %v", err)
	}
	if err := db.Log(delivered(later, "new 0"), "x", nil); !errors.Is(err, store.ErrSeen) {
		t.Errorf("a new one: %v", err)
	}
}

// A machine whose clock starts in 1970 must not forget what is younger than its clock.
func TestForgettingWithAWrongClock(t *testing.T) {
	db := fresh(t)
	if err := db.Log(delivered(noon, "a"), "x", nil); err != nil {
		t.Fatal(err)
	}
	for _, at := range []time.Time{time.Unix(60, 0), time.Unix(-60, 0), time.Date(1, 1, 1, 0, 0, 1, 0, time.UTC)} {
		if err := db.Log(delivered(at, at.String()), "x", nil); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"a", at.String()} {
			if err := db.Log(delivered(noon, name), "x", nil); !errors.Is(err, store.ErrSeen) {
				t.Errorf("at %s %s was forgotten: %v", at, name, err)
			}
		}
	}
}

func TestOddDeliveries(t *testing.T) {
	db := fresh(t)
	for _, name := range []string{"\x00", "\xff\xff", string(make([]byte, 40_000))} {
		err := db.Log(delivered(noon, name), "x", nil)
		if len(name) > 32768 {
			if err == nil {
				t.Error("a delivery of 40 kB was taken")
			}
			continue
		}
		if err != nil || !errors.Is(db.Log(delivered(noon, name), "x", nil), store.ErrSeen) {
			t.Errorf("%q: %v", name, err)
		}
	}
	if err := db.Check(); err != nil {
		t.Error(err)
	}
}

func TestScanBack(t *testing.T) {
	db := fresh(t)
	keys := []string{"a", "a\x00", "a\x00b", "a\x01", "b", "\xff", "\xff\x01", "\xff\xff", "\xff\xff\xff"}
	for _, k := range keys {
		if err := db.Put("facts", []byte(k), []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	for _, prefix := range append(keys, "", "0", "c", "a\x00b\x00", "\xff\xff\xff\xff") {
		var want []string
		for _, k := range keys {
			if len(k) >= len(prefix) && k[:len(prefix)] == prefix {
				want = append(want, k)
			}
		}
		slices.Sort(want)
		slices.Reverse(want)
		got, err := db.ScanBack("facts", []byte(prefix))
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %q, not %q: %v", prefix, got, want, err)
		}
	}
	if got, err := db.ScanBack("outbox", nil); err != nil || got != nil {
		t.Errorf("an empty bucket: %q %v", got, err)
	}
}

// People whose ids begin alike are not taken for each other.
func TestPeopleAreKeptApart(t *testing.T) {
	db := fresh(t)
	for _, u := range []string{"ann", "anna", "an", "ann-2"} {
		submit(t, db, u)
		submit(t, db, u)
	}
	for _, u := range []string{"ann", "anna", "an", "ann-2", "a", ""} {
		of, err := db.OpenOf(u)
		if err != nil {
			t.Fatal(err)
		}
		want := 2
		if u == "a" || u == "" {
			want = 0
		}
		if len(of) != want {
			t.Errorf("%q has %d requests", u, len(of))
		}
		for _, r := range of {
			if r.Requester.UserID != u {
				t.Errorf("%q has a request of %s", u, r.Requester.UserID)
			}
		}
		if want == 2 && of[0].ID < of[1].ID {
			t.Error("the newest is not the first")
		}
	}
}

func TestEventsPastTheEnd(t *testing.T) {
	db := fresh(t)
	submit(t, db, "ann")
	for _, after := range []uint64{1, 1 << 40, 1<<64 - 1} {
		events, err1 := db.Events(after, 10)
		notices, err2 := db.Notices(after, 10)
		if len(events)+len(notices) > 0 || err1 != nil || err2 != nil {
			t.Errorf("after %d: %v %v", after, events, notices)
		}
	}
}
