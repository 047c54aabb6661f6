package aws

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"breakglass/store"
)

// What stands in AWS, all pages of it, with the names of groups, and under whose ids it can be taken away.
func TestInventory(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		v := w.conn.Inventory()
		ids := w.accounts(120)
		for _, id := range ids {
			w.Assign(w.alice, id, set)
		}
		got, err := v.Where(t.Context(), set)
		if slices.Sort(got); err != nil || !slices.Equal(got, ids) {
			t.Fatalf("%d accounts, %v", len(got), err)
		}
		users := w.addUsers(130)
		anchor, other := w.AddGroup("anchor"), w.AddGroup("other", users...)
		for _, p := range append(slices.Clone(users), anchor, other) {
			w.Assign(p, wealth, set)
		}
		holders, err := v.Holders(t.Context(), wealth, set)
		if err != nil || len(holders) != 132 {
			t.Fatalf("%d holders, %v", len(holders), err)
		}
		for _, h := range holders {
			group := map[string]string{anchor: "anchor", other: "other"}[h.GroupID]
			if (h.UserID == "") == (h.GroupID == "") || h.Name != group || h.Membership != "" {
				t.Fatalf("%+v", h)
			}
		}
		members, err := v.Members(t.Context(), "other")
		if err != nil || len(members) != 130 {
			t.Fatalf("%d members, %v", len(members), err)
		}
		if none, err := v.Members(t.Context(), "no such group"); len(none) != 0 || err != nil {
			t.Errorf("%v, %v", none, err)
		}
		_, err = v.Holders(t.Context(), wealth, "NoSuchSet")
		isRefusal(t, err, "NoSuchPermissionSet")
		w.Outage("sso-admin", true)
		_, err = v.Where(t.Context(), set)
		isFault(t, err)
	})
}

// Each kind of holder is removed by what the listing said of it, and nobody else.
func TestInventoryRemoves(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		v := w.conn.Inventory()
		bob := w.addUsers(1)[0]
		group := w.AddGroup("other", w.alice, bob)
		for _, p := range []string{w.alice, bob, group} {
			w.Assign(p, wealth, set)
		}
		remove := func(account, set, group string, h store.Holder) {
			t.Helper()
			for range 2 { // one that is gone is fine
				if err := v.Remove(t.Context(), account, set, group, h); err != nil {
					t.Fatal(err)
				}
				time.Sleep(stale + time.Second)
			}
		}
		remove(wealth, set, "", store.Holder{UserID: w.alice})
		remove(wealth, set, "", store.Holder{GroupID: group})
		holders, err := v.Holders(t.Context(), wealth, set)
		if diff := cmp.Diff([]store.Holder{{UserID: bob}}, holders); err != nil || diff != "" {
			t.Fatal(err, diff)
		}
		members, err := v.Members(t.Context(), "other")
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range members {
			if m.UserID == w.alice {
				remove("", "", "other", m)
			} else {
				remove("", "", "other", store.Holder{UserID: bob})
			}
		}
		if members, err = v.Members(t.Context(), "other"); err != nil || len(members) != 0 {
			t.Fatal(members, err)
		}
		for _, h := range []store.Holder{{}, {UserID: "a", GroupID: "b"}} {
			isRefusal(t, v.Remove(t.Context(), wealth, set, "", h), "NoHolder")
		}
		isRefusal(t, v.Remove(t.Context(), wealth, set, "other", store.Holder{UserID: bob}), "NoHolder")
	})
}

// A reconciliation of a hundred accounts comes after whatever people ask meanwhile.
func TestInventoryIsIdle(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		v, ids := w.conn.Inventory(), w.accounts(100)
		if _, err := v.Where(t.Context(), set); err != nil {
			t.Fatal(err)
		}
		for _, id := range ids {
			go func() { _, _ = v.Holders(t.Context(), id, set) }()
		}
		time.Sleep(2 * time.Second)
		begun := time.Now()
		w.isAssigned(t, w.tuple, false)
		if d := time.Since(begun); d > 0 {
			t.Errorf("a person waited %s for it", d)
		}
		time.Sleep(time.Minute)
		if n := len(w.Calls()); !strings.Contains(fmt.Sprint(w.Calls()[n-1].Operation), "ListAccountAssignments") || w.refused("ThrottlingException") > 0 {
			t.Errorf("%d calls", n)
		}
	})
}
