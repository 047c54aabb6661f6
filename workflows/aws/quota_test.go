package aws

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"breakglass/store"
)

// accounts adds so many accounts and returns their ids.
func (w *world) accounts(n int) (ids []string) {
	for i := range n {
		id := fmt.Sprintf("3000%08d", i)
		w.AddAccount(id, id)
		ids = append(ids, id)
	}
	return ids
}

// listed are the accounts whose assignments were listed, in the order of the wire.
func (w *world) listed() (ids []string) {
	for _, c := range w.Calls() {
		if c.Operation == "ListAccountAssignments" {
			var in struct{ AccountId string }
			_ = json.Unmarshal(c.Input, &in)
			ids = append(ids, in.AccountId)
		}
	}
	return ids
}

// spend uses the quota up for a while: n calls that nobody listens to.
func (w *world) spend(t *testing.T, n int) {
	for range n {
		go func() { _ = w.conn.ssoAdmin.wait(store.Overdue(t.Context(), time.Unix(1, 0))) }()
	}
	synctest.Wait()
}

// Whoever takes away goes first, the most overdue before the others; then people, as they came; what nobody waits for goes last.
func TestQuotaIsGivenByUrgency(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.isAssigned(t, w.tuple, false) // the names are known
		ids := w.accounts(6)
		now := time.Now()
		w.spend(t, 60)
		w.ForgetCalls()
		var all sync.WaitGroup
		for i, ctx := range []context.Context{
			store.Idly(t.Context()), t.Context(), t.Context(), store.Overdue(t.Context(), now), store.Overdue(t.Context(), now.Add(-time.Hour)),
			store.Overdue(t.Context(), now.Add(-time.Minute)),
		} {
			all.Go(func() {
				if _, err := w.ic.Assigned(ctx, store.Tuple{UserID: w.alice, Account: ids[i], Set: set}); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait() // in this order
		}
		all.Wait()
		want := []string{ids[4], ids[5], ids[3], ids[1], ids[2], ids[0]}
		if got := w.listed(); !slices.Equal(got, want) {
			t.Errorf("on the wire in the order\n%v, want\n%v", got, want)
		}
	})
}

// Under load nearly all of the quota is used, and never more of it in any second.
func TestQuotaIsUsedUp(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.isAssigned(t, w.tuple, false)
		time.Sleep(10 * time.Second)
		w.ForgetCalls()
		const calls = 2000
		ids := w.accounts(calls)
		begun := time.Now()
		var all sync.WaitGroup
		for _, id := range ids {
			all.Go(func() { _, _ = w.ic.Assigned(t.Context(), store.Tuple{UserID: w.alice, Account: id, Set: set}) })
		}
		all.Wait()
		rate := calls / time.Since(begun).Seconds()
		if rate < 19 {
			t.Errorf("%.2f calls a second of the 20 there are", rate)
		}
		if n := w.refused("ThrottlingException"); n > 0 {
			t.Errorf("throttled %d times", n)
		}
		journal := w.Calls()
		for i := 20; i < len(journal); i++ {
			if d := journal[i].At.Sub(journal[i-20].At); d < time.Second {
				t.Fatalf("21 calls within %s", d)
			}
		}
		t.Logf("%.2f calls a second", rate)
	})
}

// However much a reconciliation asks, whoever comes is let in at once, and waits for no more than other people's calls.
func TestIdleCallsLeaveRoom(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		q := w.conn.ssoAdmin
		ctx, stop := context.WithCancel(t.Context())
		var idle sync.WaitGroup
		var done atomic.Int64
		for range 300 {
			idle.Go(func() {
				if q.wait(store.Idly(ctx)) == nil {
					done.Add(1)
				}
			})
		}
		time.Sleep(10 * time.Second)
		for range 20 {
			begun := time.Now()
			if err := q.wait(t.Context()); err != nil || time.Since(begun) > 0 {
				t.Fatalf("a person waited for %s: %v", time.Since(begun), err)
			}
			time.Sleep(137 * time.Millisecond)
		}
		stop()
		idle.Wait()
		if n := done.Load(); n < 170 {
			t.Errorf("of the calls nobody waits for %d were made in 13 s: the quota was not used", n)
		}
	})
}

// Who gives up leaves the queue and costs nothing.
func TestWaitersLeave(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		q := newQuota("test", Rate{PerSecond: 1, Burst: 1}, false)
		if err := q.wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				if err := q.wait(store.Overdue(ctx, time.Now())); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("err = %v", err)
				}
			})
		}
		all.Wait()
		begun := time.Now()
		if err := q.wait(t.Context()); err != nil || time.Since(begun) != 500*time.Millisecond {
			t.Errorf("waited for %s behind people who had left: %v", time.Since(begun), err)
		}
		if len(q.waiting.all) != 0 {
			t.Errorf("%d are left in the queue", len(q.waiting.all))
		}
		begun = time.Now()
		served := make(chan struct{})
		close(served)
		if x, err := q.enter(t.Context(), served); x != nil || err != nil {
			t.Errorf("somebody else's call served us: %v %v", x, err)
		}
		if err := q.wait(t.Context()); err != nil || time.Since(begun) != time.Second {
			t.Errorf("after %s: %v", time.Since(begun), err)
		}
	})
}

// One throttling answer slows everybody who shares the quota, whatever their urgency.
func TestThrottlingSlowsEverybody(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.isAssigned(t, w.tuple, false)
		w.FailNext("sso-admin", "ListAccountAssignments", "ThrottlingException", 1)
		begun := time.Now()
		go func() { _, _ = w.ic.Assigned(t.Context(), w.tuple) }()
		synctest.Wait()
		other := store.Tuple{UserID: w.alice, Account: cash, Set: set}
		if _, err := w.ic.Assigned(store.Overdue(t.Context(), begun), other); err != nil || time.Since(begun) < time.Second {
			t.Errorf("a second call came %s after AWS throttled: %v", time.Since(begun), err)
		}
		time.Sleep(time.Minute)
	})
}

// The wait in the queue takes nothing from the time of the call, nor from how long a conflict is repeated.
func TestQueueDoesNotEatTheCallsTime(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.assign(t, w.tuple)
		w.spend(t, 400) // twenty seconds of the quota
		w.ConflictNext(3)
		if _, err := w.ic.Unassign(t.Context(), w.tuple); err != nil {
			t.Fatalf("a conflict after the queue was not tried again: %v", err)
		}
		time.Sleep(time.Minute)
		w.assign(t, w.tuple)
		w.spend(t, 400)
		w.wire.lag = writing.timeout - time.Second
		begun := time.Now()
		if _, err := w.ic.Unassign(t.Context(), w.tuple); err != nil {
			t.Fatalf("after %s: %v", time.Since(begun), err)
		}
		// Who has no time left after the queue does not begin what could only be cut off.
		time.Sleep(time.Minute)
		w.spend(t, 100)
		w.wire.trips()
		w.wire.lag = 700 * time.Millisecond // the call would be cut off on its way
		ctx, cancel := context.WithTimeout(t.Context(), 5600*time.Millisecond)
		defer cancel()
		_, err := w.ic.Assign(ctx, store.Grant{Tuple: w.tuple})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("err = %v", err)
		}
		time.Sleep(time.Minute)
		if _, calls := w.wire.trips(); calls != 0 {
			t.Errorf("%d calls were made", calls)
		}
	})
}

func TestRanks(t *testing.T) {
	at := time.Unix(1000, 0)
	ordered := []rank{
		{removing, at, 9}, {removing, at, 10}, {removing, at.Add(1), 1}, {removing, time.Time{}, 2}, {asked, time.Time{}, 3}, {asked, time.Time{}, 4}, {idling, time.Time{}, 0},
	}
	for i := range ordered {
		for j := range ordered {
			if got, want := ordered[i].compare(ordered[j]), i-j; (got < 0) != (want < 0) || (got > 0) != (want > 0) {
				t.Errorf("%+v and %+v compare as %d", ordered[i], ordered[j], got)
			}
		}
	}
}
