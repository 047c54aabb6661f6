package aws

import (
	"fmt"
	"testing"
	"time"

	"breakglass/store"
)

// The way out does not queue behind the way in.
func TestRemovalsHavePlacesOfTheirOwn(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.assign(t, w.tuple)
		w.SetAsync(time.Minute)
		full := 0
		for i, u := range w.addUsers(14) {
			w.AddAccount(fmt.Sprintf("2000000000%02d", i), "")
			if _, err := w.ic.Assign(t.Context(), store.Grant{Tuple: store.Tuple{UserID: u, Account: fmt.Sprintf("2000000000%02d", i), Set: set}}); err != nil {
				full++
			}
		}
		if full != 2 {
			t.Fatalf("%d grants were put off, want 2 of 14", full)
		}
		begun := time.Now()
		if _, err := w.ic.Unassign(t.Context(), w.tuple); err != nil || time.Since(begun) > time.Second {
			t.Fatalf("the removal took %s: %v", time.Since(begun), err)
		}
	})
}

func TestOutstandingPlacesAreGivenBack(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		o := newOutstanding(5)
		for i := range 2 {
			keep, err := o.enter(t.Context(), false, time.Second)
			if err != nil {
				t.Fatal(err)
			}
			keep(fmt.Sprint("change", i))
		}
		if _, err := o.enter(t.Context(), false, time.Second); err == nil {
			t.Fatal("a third grant found a place of two")
		}
		o.seen("change0", false)
		keep, err := o.enter(t.Context(), false, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		keep("")
		time.Sleep(stale + time.Second) // nobody follows the other any more
		for range 2 {
			if _, err := o.enter(t.Context(), false, 0); err != nil {
				t.Fatal(err)
			}
		}
	})
}
