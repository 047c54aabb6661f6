package store_test

import (
	"testing"
	"time"

	"breakglass/store"
)

// Of two sessions that shared an access the first leaves it to the other. When that has ended as well, the first takes the removal over: the store says
// so, and a grant waits for it. While somebody wants the access, or removes it, nobody takes it over.
func TestClaim(t *testing.T) {
	db := fresh(t)
	open := func() store.Request {
		t.Helper()
		r := submit(t, db, "ann")
		now := noon
		for _, step := range [][2]store.State{{store.Pending, store.Approved}, {store.Approved, store.Granting}, {store.Granting, store.Active}} {
			now = now.Add(time.Second)
			var err error
			r, err = db.Transition(byBot(now), r.ID, step[0], step[1], func(c *store.Change) error {
				c.Request.Set(store.ClockEnd, noon.Add(time.Hour))
				c.Request.ExpiresAt = noon.Add(time.Hour)
				if step[1] != store.Granting {
					return nil
				}
				return c.Want(false, false)
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		return r
	}
	ends := func(r store.Request) {
		t.Helper()
		_, err := db.Transition(byBot(noon.Add(time.Minute)), r.ID, store.Active, store.Revoking, func(c *store.Change) error {
			_, err := c.Remove()
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	claims := func(r store.Request) store.ID {
		t.Helper()
		if _, err := db.Touch(byBot(noon.Add(2*time.Minute)), r.ID, store.Revoking, func(c *store.Change) error { return c.Claim() }); err != nil {
			t.Fatal(err)
		}
		a, known, err := db.Access(r.Tuple())
		if err != nil || !known {
			t.Fatal(known, err)
		}
		return a.Removing
	}
	first, second := open(), open()
	ends(first)
	if by := claims(first); by != "" {
		t.Errorf("%s removes what %s still needs", by, second.ID)
	}
	ends(second)
	if by := claims(first); by != second.ID {
		t.Errorf("%q removes what %s began to remove", by, second.ID)
	}
	_, err := db.Transition(byBot(noon.Add(3*time.Minute)), second.ID, store.Revoking, store.Revoked, func(c *store.Change) error {
		c.Request.Set(store.ClockReport, noon.Add(time.Hour))
		return c.Forget(false, time.Time{})
	})
	if err != nil {
		t.Fatal(err)
	}
	if by := claims(first); by != first.ID {
		t.Errorf("%q removes what nobody needs, and not %s, which is at it", by, first.ID)
	}
}
