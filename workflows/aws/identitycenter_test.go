package aws

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"breakglass/deploy/sandbox/awstwin"
	"breakglass/store"
)

func isRefusal(t *testing.T, err error, code string) {
	t.Helper()
	var r *store.Refusal
	if !errors.As(err, &r) || r.Code != code {
		t.Fatalf("err = %v, want a refusal %s", err, code)
	}
}

// isFault: an error that the engine tries again.
func isFault(t *testing.T, err error) {
	t.Helper()
	var r *store.Refusal
	if err == nil || errors.As(err, &r) || errors.Is(err, store.ErrGone) {
		t.Fatalf("err = %v, want a fault", err)
	}
}

func TestAccessComesAndGoes(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.isAssigned(t, w.tuple, false)
		w.assign(t, w.tuple)
		w.isAssigned(t, w.tuple, true)
		w.assign(t, w.tuple) // asking again makes no second
		if n := len(w.Assignments()); n != 1 {
			t.Fatalf("%d assignments", n)
		}
		change, err := w.ic.Unassign(t.Context(), w.tuple)
		if err != nil {
			t.Fatal(err)
		}
		if p, _, err := w.follow(t, change, true); p != store.Succeeded || err != nil {
			t.Fatalf("Follow: %q, %v", p, err)
		}
		w.isAssigned(t, w.tuple, false)
		if n := w.counted(t, "CreateAccountAssignment", "ok"); n != 2 {
			t.Errorf("%v creations counted", n)
		}
	})
}

func TestConflictIsTriedAgain(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.ConflictNext(3)
		w.assign(t, w.tuple)
		w.ClearFaults()
		begun := time.Now()
		w.ConflictNext(1000)
		_, err := w.ic.Unassign(t.Context(), w.tuple)
		isFault(t, err)
		if code(err) != codeConflict || time.Since(begun) > 6*time.Second {
			t.Fatalf("after %s: %v", time.Since(begun), err)
		}
	})
}

func TestThrottlingIsWaitedFor(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.FailNext("sso-admin", "CreateAccountAssignment", "ThrottlingException", 2)
		begun := time.Now()
		w.assign(t, w.tuple)
		if d := time.Since(begun); d < 2*time.Second {
			t.Errorf("AWS throttled twice, and was asked again within %s", d)
		}
	})
}

// An answer that is lost leaves open whether AWS acted: that is a fault, never a refusal, and only the listing tells.
func TestAnswerIsLost(t *testing.T) {
	for name, lose := range map[string]func(w *world, op string){
		"cut":     func(w *world, op string) { w.DropReplyNext("sso-admin", op, 1) },
		"silence": func(w *world, op string) { w.StallReplyNext("sso-admin", op, 1) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				lose(w, "CreateAccountAssignment")
				begun := time.Now()
				_, err := w.ic.Assign(t.Context(), store.Grant{Tuple: w.tuple})
				isFault(t, err)
				if d := time.Since(begun); d > writing.timeout+time.Second {
					t.Errorf("gave up after %s", d)
				}
				time.Sleep(5 * time.Second)
				w.isAssigned(t, w.tuple, true)
				lose(w, "DeleteAccountAssignment")
				_, err = w.ic.Unassign(t.Context(), w.tuple)
				isFault(t, err)
				time.Sleep(5 * time.Second)
				w.isAssigned(t, w.tuple, false)
			})
		})
	}
}

func TestBothFormsOfAlreadyGone(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.SetMissingDelete(awstwin.MissingRefused)
		if _, err := w.ic.Unassign(t.Context(), w.tuple); !errors.Is(err, store.ErrGone) {
			t.Fatalf("refused at once: %v", err)
		}
		w.SetMissingDelete(awstwin.MissingFails)
		change, err := w.ic.Unassign(t.Context(), w.tuple)
		if err != nil {
			t.Fatal(err)
		}
		p, why, err := w.follow(t, change, true)
		if p != store.Refused || !errors.Is(err, store.ErrGone) || why == "" {
			t.Fatalf("accepted and failed: %q %q %v", p, why, err)
		}
	})
}

func TestFailedChanges(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.FailAsyncNext("create", "Received a 409 status error: the role\x1b[2J cannot be made", 1)
		change, err := w.ic.Assign(t.Context(), store.Grant{Tuple: w.tuple})
		if err != nil {
			t.Fatal(err)
		}
		p, why, err := w.follow(t, change, false)
		if p != store.Refused || err != nil || !strings.Contains(why, "cannot be made") || strings.Contains(why, "\x1b") {
			t.Fatalf("%q %q %v", p, why, err)
		}
		w.assign(t, w.tuple)
		w.FailAsyncNext("delete", "Received a 500 status error", 1)
		change, err = w.ic.Unassign(t.Context(), w.tuple)
		if err != nil {
			t.Fatal(err)
		}
		if p, why, err := w.follow(t, change, true); p != store.Refused || err != nil || why == "" {
			t.Fatalf("%q %q %v", p, why, err)
		}
		w.isAssigned(t, w.tuple, true)
		p, _, err = w.ic.Follow(t.Context(), store.Tuple{}, "11111111-2222-4333-a444-555555555555", false)
		if p != store.Forgotten || err != nil {
			t.Fatalf("a change nobody knows: %q, %v", p, err)
		}
	})
}

func TestRefusalsAndOutages(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.isAssigned(t, w.tuple, false) // the names are known
		for _, c := range []string{"AccessDeniedException", "ValidationException"} {
			w.FailNext("sso-admin", "CreateAccountAssignment", c, 1)
			_, err := w.ic.Assign(t.Context(), store.Grant{Tuple: w.tuple})
			isRefusal(t, err, c)
		}
		_, err := w.ic.Assign(t.Context(), store.Grant{Tuple: store.Tuple{UserID: w.alice, Account: "999999999999", Set: set}})
		isRefusal(t, err, codeNotFound)
		_, err = w.ic.Assign(t.Context(), store.Grant{Tuple: store.Tuple{UserID: w.alice, Account: wealth, Set: "Nothing"}})
		isRefusal(t, err, "NoSuchPermissionSet")
		w.Outage("sso-admin", true)
		_, err = w.ic.Assigned(t.Context(), w.tuple)
		isFault(t, err)
		w.Unreachable("sso-admin", true)
		_, err = w.ic.Assign(t.Context(), store.Grant{Tuple: w.tuple})
		isFault(t, err)
	})
}

// A quota of the account is full for good; fifteen changes under way are not, though AWS answers both with one code.
func TestQuotaThatPassesAndOneThatDoesNot(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.FailNext("sso-admin", "CreateAccountAssignment", "ServiceQuotaExceededException", 1)
		_, err := w.ic.Assign(t.Context(), store.Grant{Tuple: w.tuple})
		isRefusal(t, err, "ServiceQuotaExceededException")

		w.SetAsync(time.Minute)
		for i, u := range w.addUsers(15) {
			acct := fmt.Sprintf("2000000000%02d", i)
			w.AddAccount(acct, acct)
			if _, err := w.ic.Assign(t.Context(), store.Grant{Tuple: store.Tuple{UserID: u, Account: acct, Set: set}}); err != nil && i < 12 {
				t.Fatal(err)
			}
			if i >= 11 {
				w.connect(t, Config{}) // a restart: what was under way is not counted any more
			}
		}
		_, err = w.ic.Assign(t.Context(), store.Grant{Tuple: w.tuple})
		isFault(t, err)
		if w.refused("ServiceQuotaExceededException") == 0 {
			t.Fatal("the twin never refused: the story is not told")
		}
	})
}

// Fifty people at once, with AWS's quotas on: everybody gets in, and AWS has nothing to throttle.
func TestFiftyAtOnceStayWithinTheQuotas(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		users := w.addUsers(50)
		for i := range users {
			w.AddAccount(fmt.Sprintf("2000000000%02d", i), "")
		}
		var g sync.WaitGroup
		for i, u := range users {
			tu := store.Tuple{UserID: u, Account: fmt.Sprintf("2000000000%02d", i), Set: set}
			g.Go(func() {
				for {
					change, err := w.ic.Assign(t.Context(), store.Grant{Tuple: tu})
					if err != nil {
						isFault(t, err)
						time.Sleep(time.Second)
						continue
					}
					for {
						p, _, err := w.ic.Follow(t.Context(), store.Tuple{}, change, false)
						if p == store.Succeeded {
							return
						}
						if err != nil || p != store.Underway {
							t.Errorf("%q %v", p, err)
							return
						}
						time.Sleep(3 * time.Second)
					}
				}
			})
		}
		g.Wait()
		for _, c := range []string{"ThrottlingException", "ServiceQuotaExceededException"} {
			if n := w.refused(c); n > 0 {
				t.Errorf("AWS answered %s %d times", c, n)
			}
		}
		if n := len(w.Assignments()); n != 50 {
			t.Errorf("%d assignments", n)
		}
	})
}

func TestManySetsAreFoundByPages(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		for i := range 250 {
			w.AddPermissionSet(awstwin.PermissionSet{Name: fmt.Sprint("Set-", i)})
		}
		if err := w.ic.Warm(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.ForgetCalls()
		for i := range 250 {
			if _, err := w.ic.sets.lookup(t.Context(), fmt.Sprint("Set-", i)); err != nil {
				t.Fatal(err)
			}
		}
		if n := len(w.Calls()); n > 0 {
			t.Errorf("%d calls for names that were known", n)
		}
		if n := w.refused("ThrottlingException"); n > 0 {
			t.Errorf("throttled %d times", n)
		}
		// A set made later is found; one that is not there is looked for at most every half minute.
		time.Sleep(relist)
		w.AddPermissionSet(awstwin.PermissionSet{Name: "Late"})
		if _, err := w.ic.sets.lookup(t.Context(), "Late"); err != nil {
			t.Error(err)
		}
		time.Sleep(5 * time.Second) // the name came before the listing's end
		w.ForgetCalls()
		for range 5 {
			_, err := w.ic.sets.lookup(t.Context(), "Never")
			isRefusal(t, err, "NoSuchPermissionSet")
		}
		if n := len(w.Calls()); n > 0 {
			t.Errorf("%d calls for a name that was looked for just now", n)
		}
	})
}

// Somebody who needs a name while the names are still being read waits for that name only, and hurries the rest.
func TestGrantWhileNamesAreRead(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		for i := range 100 {
			w.AddPermissionSet(awstwin.PermissionSet{Name: fmt.Sprint("Set-", i)})
		}
		done := make(chan error)
		go func() { done <- w.ic.Warm(t.Context()) }()
		time.Sleep(100 * time.Millisecond)
		begun := time.Now()
		w.isAssigned(t, w.tuple, false)
		took := time.Since(begun)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if took > 9*time.Second {
			t.Errorf("the name came after %s", took)
		}
	})
}

func TestSetThatWasMadeAnew(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.isAssigned(t, w.tuple, false)
		w.ic.sets.mu.Lock()
		gone := strings.Replace(w.InstanceARN(), ":instance/", ":permissionSet/", 1) + "/ps-0123456789abcdef"
		w.ic.sets.byName[set], w.ic.sets.byARN[gone] = gone, set
		w.ic.sets.byARN = map[string]string{gone: set}
		w.ic.sets.mu.Unlock()
		w.assign(t, w.tuple)
		w.isAssigned(t, w.tuple, true)
	})
}

func TestAssignedLooksThroughAllPages(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		users := append(w.addUsers(230), w.alice)
		group := w.AddGroup("team", w.alice)
		slices.Sort(users)
		w.Assign(group, wealth, set)
		for _, u := range users {
			if u != w.alice {
				w.Assign(u, wealth, set)
			}
		}
		w.isAssigned(t, w.tuple, false) // what comes by a group does not count
		w.Assign(w.alice, wealth, set)
		w.isAssigned(t, w.tuple, true)
		last := store.Tuple{UserID: users[len(users)-1], Account: wealth, Set: set}
		w.isAssigned(t, last, true)
	})
}

func TestInstances(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.connect(t, Config{InstanceARN: "arn:aws:sso:::instance/ssoins-0000000000000000"})
		_, err := w.ic.Assigned(t.Context(), w.tuple)
		isRefusal(t, err, "NoInstance")
		w.connect(t, Config{InstanceARN: w.InstanceARN()})
		w.isAssigned(t, w.tuple, false)
		w.connect(t, Config{})
		w.Outage("sso-admin", true)
		_, err = w.ic.Assigned(t.Context(), w.tuple)
		isFault(t, err)
		w.Outage("sso-admin", false)
		w.isAssigned(t, w.tuple, false) // a failed lookup is not remembered
	})
}
