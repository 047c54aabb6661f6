package aws

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"breakglass/deploy/sandbox/awstwin"
	"breakglass/store"
)

// What was assigned of a set that was deleted is gone: AWS deletes none that anybody has. That is believed only of a listing that hid nothing and
// began after the question.
func TestSetThatWasDeleted(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		tu := store.Tuple{UserID: w.alice, Account: wealth, Set: "Deleted"}
		gone := func() {
			t.Helper()
			if _, err := w.ic.Unassign(t.Context(), tu); !errors.Is(err, store.ErrGone) {
				t.Errorf("Unassign: %v", err)
			}
			w.isAssigned(t, tu, false)
		}
		notSaid := func(what string) {
			t.Helper()
			if _, err := w.ic.Unassign(t.Context(), tu); err == nil || errors.Is(err, store.ErrGone) {
				t.Errorf("%s: Unassign: %v", what, err)
			}
			if has, err := w.ic.Assigned(t.Context(), tu); err == nil {
				t.Errorf("%s: Assigned: %t", what, has)
			}
		}
		forget := func() { w.connect(t, Config{}) }
		known := func() { // as before it was deleted
			forget()
			arn := strings.Replace(w.InstanceARN(), ":instance/", ":permissionSet/", 1) + "/ps-0123456789abcdef"
			w.ic.sets.learn(tu.Set, arn)
		}
		gone()
		known()
		gone()
		_, err := w.ic.Assign(t.Context(), store.Grant{Tuple: tu})
		isRefusal(t, err, noSet)

		forget()
		w.FailNext("sso-admin", "DescribePermissionSet", "AccessDeniedException", 3)
		notSaid("a set that may not be described")
		w.ClearFaults()
		forget()
		w.FailNext("sso-admin", "ListPermissionSets", "AccessDeniedException", 100)
		notSaid("a listing that is refused")
		w.ClearFaults()
		known()
		w.FailNext("sso-admin", "ListPermissionSets", "InternalServerException", 100)
		notSaid("a listing that fails")
		w.ClearFaults()
		known()
		w.FailNext("sso-admin", "DescribePermissionSet", "InternalServerException", 4)
		notSaid("nobody knows whether the set stands")
		w.ClearFaults()

		// A set that was made a moment after a listing is found, although names are not looked for again so soon.
		gone()
		w.AddPermissionSet(awstwin.PermissionSet{Name: tu.Set, InlinePolicy: allowAll})
		w.Assign(w.alice, wealth, tu.Set)
		if has, err := w.ic.Assigned(t.Context(), tu); err == nil && !has {
			t.Error("an assignment that stands was said to be none")
		}
	})
}

// An instance without a single set is more likely the wrong one.
func TestNoSetsAtAll(t *testing.T) {
	env(t)
	synctest.Test(t, func(t *testing.T) {
		o := awstwin.New(awstwin.Config{})
		o.AddAccount(wealth, "prod-wealth")
		w := &world{Organization: o, wire: &handed{to: o}}
		w.connect(t, Config{})
		_, err := w.ic.Assigned(t.Context(), store.Tuple{UserID: "u", Account: wealth, Set: set})
		isRefusal(t, err, noSet)
	})
}

// Reading ahead is nobody's business: whoever waits for something goes first, and a removal that needs a name makes the reading as urgent as itself.
func TestReadingAheadGivesWay(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		for i := range 200 {
			w.AddPermissionSet(awstwin.PermissionSet{Name: fmt.Sprint("Set-", i)})
		}
		w.connect(t, Config{})
		warm := make(chan error, 1)
		go func() { warm <- w.ic.Warm(t.Context()) }()
		time.Sleep(2 * time.Second) // the reading is in full swing
		for range 10 {
			begun := time.Now()
			if err := w.conn.ssoAdmin.wait(t.Context()); err != nil || time.Since(begun) > 150*time.Millisecond {
				t.Errorf("somebody waited %s for a reading that nobody waits for (%v)", time.Since(begun), err)
			}
			time.Sleep(200 * time.Millisecond)
		}
		if err := <-warm; err != nil {
			t.Fatal(err)
		}

		// Others use all of the quota, so a reading ahead gets nowhere; who must take something away waits for no more than the reading itself.
		w.connect(t, Config{})
		stop := make(chan struct{})
		for range 40 {
			go func() {
				for {
					select {
					case <-stop:
						return
					default:
						_ = w.conn.ssoAdmin.wait(t.Context())
					}
				}
			}()
		}
		go func() { warm <- w.ic.Warm(t.Context()) }()
		time.Sleep(5 * time.Second)
		begun := time.Now()
		if _, err := w.ic.sets.lookup(store.Overdue(t.Context(), begun), "Set-199"); err != nil {
			t.Error(err)
		}
		if took := time.Since(begun); took > 12*time.Second {
			t.Errorf("a removal waited %s for a name", took)
		}
		if err := <-warm; err != nil {
			t.Error(err)
		}
		close(stop)
	})
}
