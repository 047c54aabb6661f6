package aws

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"breakglass/deploy/sandbox/awstwin"
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
			keep, err := o.enter(t.Context(), "", false, time.Second)
			if err != nil {
				t.Fatal(err)
			}
			keep(fmt.Sprint("change", i))
		}
		if _, err := o.enter(t.Context(), "", false, time.Second); err == nil {
			t.Fatal("a third grant found a place of two")
		}
		o.follow("change0", change{}, false)
		keep, err := o.enter(t.Context(), "", false, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		keep("")
		time.Sleep(stale + time.Second) // nobody follows the other any more
		for range 2 {
			if _, err := o.enter(t.Context(), "", false, 0); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// waitingFor starts an enter and says when it was let in; the entrant then holds its place.
func waitingFor(ctx context.Context, t *testing.T, o *outstanding, account string, removal bool, in chan<- string, name string) {
	t.Helper()
	go func() {
		if _, err := o.enter(ctx, account, removal, time.Hour); err == nil {
			in <- name
		}
	}()
	synctest.Wait()
}

func drained(in <-chan string) (names []string) {
	synctest.Wait()
	for {
		select {
		case n := <-in:
			names = append(names, n)
		default:
			return names
		}
	}
}

// One change in an account at a time; who waits for a busy one holds up nobody else, and the most overdue removal goes first.
func TestOneChangeAnAccount(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		o, in, now := newOutstanding(15), make(chan string, 20), time.Now()
		ctx, stop := context.WithCancel(t.Context())
		keep, err := o.enter(ctx, wealth, false, 0)
		if err != nil {
			t.Fatal(err)
		}
		keep("granting")
		waitingFor(ctx, t, o, wealth, false, in, "a grant")
		waitingFor(ctx, t, o, wealth, true, in, "a removal")
		waitingFor(store.Overdue(ctx, now), t, o, wealth, true, in, "due now")
		waitingFor(store.Overdue(ctx, now.Add(-time.Hour)), t, o, wealth, true, in, "long overdue")
		waitingFor(store.Overdue(ctx, now), t, o, cash, true, in, "elsewhere")
		if got := drained(in); len(got) != 1 || got[0] != "elsewhere" {
			t.Fatalf("let in: %v", got)
		}
		for i, want := range []string{"long overdue", "due now", "a removal", "a grant"} {
			if i == 0 {
				o.follow("granting", change{}, false)
			} else {
				o.keep(&change{account: wealth, removal: i < 4}, "")
			}
			if got := drained(in); len(got) != 1 || got[0] != want {
				t.Fatalf("let in: %v, want %s", got, want)
			}
		}
		stop()
	})
}

// On the wire: two removals in one account come one after the other, without a conflict.
func TestRemovalsInOneAccountAreOneAfterTheOther(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		users := w.addUsers(5)
		for _, u := range users {
			w.Assign(u, wealth, set)
		}
		w.Assign(users[0], cash, set)
		begun := time.Now()
		var all sync.WaitGroup
		for _, u := range users {
			all.Go(func() {
				if err := w.revoke(store.Overdue(t.Context(), begun), store.Tuple{UserID: u, Account: wealth, Set: set}); err != nil {
					t.Error(err)
				}
			})
		}
		if err := w.revoke(t.Context(), store.Tuple{UserID: users[0], Account: cash, Set: set}); err != nil || time.Since(begun) > 5*time.Second {
			t.Errorf("the removal in a free account took %s: %v", time.Since(begun), err)
		}
		all.Wait()
		if n := w.refused("ConflictException"); n > 0 || time.Since(begun) > 25*time.Second {
			t.Errorf("%d conflicts in %s", n, time.Since(begun))
		}
	})
}

// A removal waits as long as its context allows; a grant only for a while.
func TestHowLongAPlaceIsWaitedFor(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.SetAsync(time.Hour)
		if _, err := w.ic.Assign(t.Context(), store.Grant{Tuple: w.tuple}); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		_, err := w.ic.Assign(t.Context(), store.Grant{Tuple: w.tuple})
		isFault(t, err)
		if d := time.Since(begun); d != placePatience {
			t.Errorf("the grant was put off after %s", d)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		begun = time.Now()
		if _, err = w.ic.Unassign(ctx, w.tuple); !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) != 20*time.Second {
			t.Errorf("the removal was put off after %s: %v", time.Since(begun), err)
		}
		// Nobody follows the first grant any more: after a while it stops counting, and AWS's own answer decides.
		begun = time.Now()
		_, err = w.ic.Unassign(t.Context(), w.tuple)
		if code(err) != codeConflict || time.Since(begun) > stale {
			t.Errorf("after %s: %v", time.Since(begun), err)
		}
		if n := len(w.out().waiting); n != 0 {
			t.Errorf("%d are left waiting", n)
		}
	})
}

func (w *world) out() *outstanding { return w.conn.out }

// Removals go beyond the fifteen, which AWS names for creations only, until AWS shows that it counts them too.
func TestRemovalsGoBeyondTheFifteenWhileAWSTakesThem(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.isAssigned(t, w.tuple, false)
		ids, users := w.accounts(40), w.addUsers(40)
		for i, u := range users {
			w.Assign(u, ids[i], set)
		}
		w.SetAsync(20 * time.Second)
		unassign := func(i int) error {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			_, err := w.ic.Unassign(ctx, store.Tuple{UserID: users[i], Account: ids[i], Set: set})
			return err
		}
		for i := range 20 {
			if err := unassign(i); err != nil {
				t.Fatal(err)
			}
		}
		w.FailNext("sso-admin", "DeleteAccountAssignment", "ServiceQuotaExceededException", 1)
		isFault(t, unassign(20))
		if err := unassign(20); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("one more beyond what AWS takes: %v", err)
		}
		time.Sleep(stale)
		for i := 20; i < 35; i++ {
			if err := unassign(i); err != nil {
				t.Fatal(i, err)
			}
		}
		if err := unassign(35); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("the sixteenth: %v", err)
		}
	})
}

// Where the list of statuses may not be read, each change is asked after by itself.
func TestFollowWithoutTheList(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		ids, users := w.accounts(10), w.addUsers(10)
		for i, u := range users {
			w.Assign(u, ids[i], set)
		}
		w.FailNext("sso-admin", "ListAccountAssignmentDeletionStatus", "AccessDeniedException", 100)
		var all sync.WaitGroup
		for i, u := range users {
			all.Go(func() {
				if err := w.revoke(t.Context(), store.Tuple{UserID: u, Account: ids[i], Set: set}); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if n := w.refused("AccessDeniedException"); n != 1 {
			t.Errorf("the list was asked for %d times", n)
		}
	})
}

// Failures among many changes that are followed together come with their reasons, each to its own.
func TestFailuresAmongMany(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		ids, users := w.accounts(12), w.addUsers(12)
		w.SetMissingDelete(awstwin.MissingFails)
		for i, u := range users {
			if i%3 != 0 {
				w.Assign(u, ids[i], set)
			}
		}
		var all sync.WaitGroup
		for i, u := range users {
			all.Go(func() {
				err := w.revoke(t.Context(), store.Tuple{UserID: u, Account: ids[i], Set: set})
				if gone := errors.Is(err, store.ErrGone); gone != (i%3 == 0) || err != nil && !gone {
					t.Errorf("%d: %v", i, err)
				}
			})
		}
		all.Wait()
		if len(w.out().open) != 0 || len(w.out().busy) != 0 || w.out().held != (counts{}) {
			t.Errorf("places are left: %+v", w.out())
		}
	})
}
