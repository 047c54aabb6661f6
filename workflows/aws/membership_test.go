package aws

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"breakglass/store"
)

func (w *world) inGroup(name string) store.Tuple { return store.Tuple{UserID: w.alice, Group: name} }

func TestMembershipComesAndGoes(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.AddGroup("vpn-prod")
		m, tu := w.conn.Memberships(), w.inGroup("vpn-prod")
		is := func(want bool) {
			t.Helper()
			if got, err := m.Assigned(t.Context(), tu); err != nil || got != want {
				t.Fatalf("Assigned = %v, %v", got, err)
			}
		}
		is(false)
		if _, err := m.Unassign(t.Context(), tu); !errors.Is(err, store.ErrGone) {
			t.Fatalf("removing what is not there: %v", err)
		}
		id, err := m.Assign(t.Context(), store.Grant{Tuple: tu})
		if err != nil || id == "" {
			t.Fatal(id, err)
		}
		is(true)
		// Asking again is answered with the same id, and at once: that it exists is no conflict to be waited out.
		begun := time.Now()
		if again, err := m.Assign(t.Context(), store.Grant{Tuple: tu}); err != nil || again != id || time.Since(begun) > time.Second {
			t.Fatalf("again after %s: %q, %v", time.Since(begun), again, err)
		}
		if p, _, err := m.Follow(t.Context(), tu, id, false); p != store.Succeeded || err != nil {
			t.Fatal(p, err)
		}
		if gone, err := m.Unassign(t.Context(), tu); err != nil || gone != id {
			t.Fatalf("%q, %v", gone, err)
		}
		is(false)
	})
}

// An answer that was lost leaves the membership; asking again finds its id.
func TestMembershipWhoseAnswerWasLost(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.AddGroup("vpn-prod")
		m, tu := w.conn.Memberships(), w.inGroup("vpn-prod")
		w.DropReplyNext("identitystore", "CreateGroupMembership", 1)
		_, err := m.Assign(t.Context(), store.Grant{Tuple: tu})
		isFault(t, err)
		if id, err := m.Assign(t.Context(), store.Grant{Tuple: tu}); err != nil || id == "" {
			t.Fatal(id, err)
		}
		w.DropReplyNext("identitystore", "DeleteGroupMembership", 1)
		_, err = m.Unassign(t.Context(), tu)
		isFault(t, err)
		if _, err := m.Unassign(t.Context(), tu); !errors.Is(err, store.ErrGone) {
			t.Fatal(err)
		}
		w.FailNext("identitystore", "CreateGroupMembership", "ConflictException", 1)
		_, err = m.Assign(t.Context(), store.Grant{Tuple: tu}) // somebody changes the group at this moment
		isFault(t, err)
		w.FailNext("identitystore", "CreateGroupMembership", "AccessDeniedException", 1)
		_, err = m.Assign(t.Context(), store.Grant{Tuple: tu})
		isRefusal(t, err, "AccessDeniedException")
	})
}

// A group that was made anew has another id, and nobody in it; one that is gone has no members.
func TestGroupThatWasMadeAnew(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		m, tu := w.conn.Memberships(), w.inGroup("vpn-prod")
		_, err := m.Assign(t.Context(), store.Grant{Tuple: tu})
		isRefusal(t, err, noGroup)
		if got, err := m.Assigned(t.Context(), tu); got || err != nil {
			t.Fatal(got, err)
		}
		if _, err := m.Unassign(t.Context(), tu); !errors.Is(err, store.ErrGone) {
			t.Fatal(err)
		}
		w.AddGroup("vpn-prod", w.alice)
		time.Sleep(noGroupKept)
		if got, err := m.Assigned(t.Context(), tu); !got || err != nil {
			t.Fatal(got, err)
		}
		w.DeleteGroup("vpn-prod")
		if got, err := m.Assigned(t.Context(), tu); got || err != nil {
			t.Fatal(got, err)
		}
		w.AddGroup("vpn-prod", w.alice)
		time.Sleep(noGroupKept)
		if got, err := m.Assigned(t.Context(), tu); !got || err != nil {
			t.Fatal(got, err)
		}
		w.DeleteGroup("vpn-prod")
		w.AddGroup("vpn-prod", w.alice)
		if _, err := m.Unassign(t.Context(), tu); err != nil {
			t.Fatal(err)
		}
		if got, err := m.Assigned(t.Context(), tu); got || err != nil {
			t.Fatal(got, err)
		}
		_, err = m.Assign(t.Context(), store.Grant{Tuple: store.Tuple{UserID: "00000000-0000-0000-0000-000000000000", Group: "vpn-prod"}})
		isRefusal(t, err, codeNotFound)
		w.Outage("identitystore", true)
		_, err = m.Assigned(t.Context(), tu)
		isFault(t, err)
		_, err = m.Unassign(t.Context(), tu)
		isFault(t, err)
	})
}

// Each kind of grant goes to its own part; what names none, or several, goes to nobody.
func TestAccessByKind(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.AddGroup("vpn-prod")
		role := &fakeRoles{}
		a := &Access{sets: w.ic, groups: w.conn.Memberships(), roles: role}
		for _, tu := range []store.Tuple{w.tuple, w.inGroup("vpn-prod"), {UserID: w.alice, Account: wealth, Role: "BreakGlassDB", Request: "BG-1042"}} {
			change, err := a.Assign(t.Context(), store.Grant{Tuple: tu})
			if err != nil {
				t.Fatal(err)
			}
			for range 10 {
				if p, _, err := a.Follow(t.Context(), tu, change, false); p == store.Succeeded && err == nil {
					break
				}
				time.Sleep(time.Second)
			}
			if got, err := a.Assigned(t.Context(), tu); !got || err != nil {
				t.Fatalf("%+v: %v %v", tu, got, err)
			}
			if _, err := a.Unassign(t.Context(), tu); err != nil {
				t.Fatal(err)
			}
			if a.ByHand(tu) == "" {
				t.Errorf("%+v: no command", tu)
			}
		}
		if role.asked != 4 {
			t.Errorf("the roles were asked %d times", role.asked)
		}
		for _, tu := range []store.Tuple{{UserID: w.alice, Account: wealth}, {UserID: w.alice, Account: wealth, Set: set, Group: "vpn-prod"}} {
			_, err := a.Assign(t.Context(), store.Grant{Tuple: tu})
			isRefusal(t, err, "NoSuchGrant")
			_, err = a.Assigned(t.Context(), tu)
			isRefusal(t, err, "NoSuchGrant")
		}
		_, err := NewAccess(w.ic, w.conn.Memberships(), nil).Unassign(t.Context(), store.Tuple{Account: wealth, Role: "BreakGlassDB", Request: "BG-1042"})
		isRefusal(t, err, "NoSuchGrant")
	})
}

// Commands for groups and roles: quoted, from what is remembered, and for a role in its own account only.
func TestByHandForGroupsAndRoles(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		m := w.conn.Memberships()
		if got := m.ByHand(w.inGroup("vpn'prod")); got != "" {
			t.Errorf("nothing is known and the command is %q", got)
		}
		w.AddGroup("vpn'prod")
		if _, err := m.Assigned(t.Context(), w.inGroup("vpn'prod")); err != nil {
			t.Fatal(err)
		}
		got := m.ByHand(w.inGroup("vpn'prod"))
		for _, want := range []string{"delete-group-membership --region 'us-east-1'", "--identity-store-id '" + w.IdentityStoreID() + "'", "UserId='" + w.alice + "'"} {
			if !strings.Contains(got, want) {
				t.Errorf("%s\nlacks %s", got, want)
			}
		}
		got = handled{}.ByHand(store.Tuple{Account: wealth, Role: "/x/BreakGlass'DB", Request: "BG-1042"})
		for _, want := range []string{`= '` + wealth + `' ] && aws iam put-role-policy --role-name 'BreakGlass'\''DB'`, `"aws:userid":"*:BG-1042"`} {
			if !strings.Contains(got, want) {
				t.Errorf("%s\nlacks %s", got, want)
			}
		}
		if got := (handled{}).ByHand(store.Tuple{Account: wealth, Role: "BreakGlassDB"}); got != "" {
			t.Errorf("without a request: %s", got)
		}
	})
}

// fakeRoles stands for the roles of member accounts where only who is asked matters.
type fakeRoles struct{ asked int }

func (f *fakeRoles) Assign(context.Context, store.Grant) (string, error) { f.asked++; return "x", nil }
func (f *fakeRoles) Unassign(context.Context, store.Tuple) (string, error) {
	f.asked++
	return "x", nil
}
func (f *fakeRoles) Follow(context.Context, store.Tuple, string, bool) (store.Progress, string, error) {
	f.asked++
	return store.Succeeded, "", nil
}
func (f *fakeRoles) Assigned(context.Context, store.Tuple) (bool, error) { f.asked++; return true, nil }
func (f *fakeRoles) ByHand(store.Tuple) string                           { return "x" }
