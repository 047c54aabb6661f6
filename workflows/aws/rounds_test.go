package aws

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"breakglass/store"
)

// Fifty people ask for one account while the quota is used up: one listing answers all of them, each about themselves.
func TestListingIsShared(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.isAssigned(t, w.tuple, false)
		users := w.addUsers(50)
		w.spend(t, 60)
		w.ForgetCalls()
		var all sync.WaitGroup
		for i, u := range users {
			all.Go(func() {
				if got, err := w.ic.Assigned(t.Context(), store.Tuple{UserID: u, Account: wealth, Set: set}); err != nil || got != (i%2 == 0) {
					t.Errorf("user %d: %v %v", i, got, err)
				}
			})
		}
		synctest.Wait()
		// What is made after they asked and before the listing begins is seen: it is no older than the question.
		for i, u := range users {
			if i%2 == 0 {
				w.Assign(u, wealth, set)
			}
		}
		all.Wait()
		if n := len(w.listed()); n != 1 {
			t.Errorf("%d listings", n)
		}
	})
}

// A listing that has begun is not for those who ask later.
func TestListingIsNeverOlderThanItsQuestion(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.isAssigned(t, w.tuple, false)
		w.wire.lag = time.Second // on the way there
		w.ForgetCalls()
		first := make(chan bool)
		go func() {
			got, _ := w.ic.Assigned(t.Context(), w.tuple)
			first <- got
		}()
		time.Sleep(500 * time.Millisecond)
		go func() { // reaches the twin after the first listing did
			time.Sleep(700 * time.Millisecond)
			w.Assign(w.alice, wealth, set)
		}()
		w.isAssigned(t, w.tuple, true)
		if <-first || len(w.listed()) != 2 {
			t.Errorf("%d listings", len(w.listed()))
		}
	})
}

// A shared listing is as urgent as its most urgent asker, and outlives whoever began it.
func TestSharedListingIsUrgentAndOutlivesItsLeader(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.isAssigned(t, w.tuple, false)
		ids := w.accounts(1)
		w.spend(t, 60)
		w.ForgetCalls()
		w.wire.lag = 2 * time.Second
		var all sync.WaitGroup
		all.Go(func() { w.isAssigned(t, store.Tuple{UserID: w.alice, Account: ids[0], Set: set}, false) })
		synctest.Wait()
		all.Go(func() { w.isAssigned(t, w.tuple, false) })
		synctest.Wait()
		ctx, cancel := context.WithTimeout(store.Overdue(t.Context(), time.Now()), 4*time.Second)
		defer cancel()
		if _, err := w.ic.Assigned(ctx, w.tuple); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the leader: %v", err)
		}
		all.Wait()
		if got := w.listed(); len(got) != 2 || got[0] != wealth {
			t.Errorf("listed %v", got)
		}
		if n := len(w.ic.listings.open); n != 0 {
			t.Errorf("%d rounds are left open", n)
		}
	})
}

// When nobody wants the answer any more, nothing goes on.
func TestRoundEndsWithItsLastAsker(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		q := newQuota("test", Rate{PerSecond: 100, Burst: 1}, false)
		s := newRounds[int](q)
		ended := make(chan error, 1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := s.ask(ctx, "q", "a", 0, func(ctx context.Context, enter func(context.Context) error, _ []string) (int, error) {
			_ = enter(ctx)
			<-ctx.Done()
			ended <- ctx.Err()
			return 0, ctx.Err()
		})
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(<-ended, context.Canceled) {
			t.Errorf("err = %v", err)
		}
	})
}

// An engine's three steps for a removal: ask, follow, prove.
func (w *world) revoke(ctx context.Context, tu store.Tuple) error {
	change, err := w.ic.Unassign(ctx, tu)
	if err != nil {
		return err
	}
	for pause := 250 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		p, why, err := w.ic.Follow(ctx, tu, change, true)
		if err != nil || p == store.Refused {
			return fmt.Errorf("%s %s: %w", p, why, err)
		}
		if p != store.Underway {
			break
		}
		time.Sleep(pause)
	}
	if there, err := w.ic.Assigned(ctx, tu); err != nil || there {
		return fmt.Errorf("there: %v, %w", there, err)
	}
	return nil
}

// Thousands end in the same minute: AWS's quota is used up, and as few calls as possible are spent on each.
func TestManyRevocationsAtOnce(t *testing.T) {
	for _, async := range []time.Duration{2 * time.Second, 8 * time.Second} {
		t.Run(async.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				const n = 1000
				ids := w.accounts(300)
				users := w.addUsers(n)
				w.isAssigned(t, w.tuple, false)
				for i, u := range users {
					w.Assign(u, ids[i%len(ids)], set)
				}
				w.SetAsync(async)
				time.Sleep(10 * time.Second)
				w.ForgetCalls()
				due := time.Now()
				var all sync.WaitGroup
				for i, u := range users {
					all.Go(func() {
						ctx := store.Overdue(t.Context(), due.Add(time.Duration(i)*time.Millisecond))
						if err := w.revoke(ctx, store.Tuple{UserID: u, Account: ids[i%len(ids)], Set: set}); err != nil {
							t.Errorf("%d: %v", i, err)
						}
					})
				}
				all.Wait()
				took, calls := time.Since(due), w.Calls()
				per := map[string]int{}
				for _, c := range calls {
					per[c.Operation]++
				}
				// The last ones wait for AWS and for each other's accounts, which is no load.
				loaded := calls[:len(calls)*3/4]
				rate := float64(len(loaded)) / loaded[len(loaded)-1].At.Sub(due).Seconds()
				t.Logf("%d revocations in %s: %.2f calls a second, %.2f for each: %v", n, took.Round(time.Second), rate, float64(len(calls))/n, per)
				if each := float64(len(calls)) / n; each > 2.6 {
					t.Errorf("%.2f calls for each", each)
				}
				if rate < 19 {
					t.Errorf("%.2f calls a second", rate)
				}
				for _, c := range []string{"ThrottlingException", "ConflictException"} {
					if n := w.refused(c); n > 0 {
						t.Errorf("%s %d times", c, n)
					}
				}
			})
		})
	}
}
