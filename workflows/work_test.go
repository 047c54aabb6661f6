package workflows

import (
	"path/filepath"
	"testing"
	"time"

	"breakglass/store"
	"breakglass/workflows/policy"
)

// A grant whose time is over while every place for grants is taken, by others that hang on AWS, is ended all the same.
func TestHungGrantsDoNotHoldUpTheEndOfOne(t *testing.T) {
	now := time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)
	db, err := store.Create(filepath.Join(t.TempDir(), "breakglass.db"), now)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	by := store.By{Actor: store.Bot(), At: now.Add(-2 * time.Hour)}
	r, err := db.Submit(by, store.Request{State: store.Approved, Requester: store.Person{UserID: "u"}, Account: store.Account{ID: "100000000003"}},
		func(c *store.Change) error { c.Request.Set(store.ClockPoll, by.At); return nil })
	if err != nil {
		t.Fatal(err)
	}
	if r, err = db.Transition(by, r.ID, store.Approved, store.Granting, func(c *store.Change) error {
		c.Request.GrantedAt, c.Request.ExpiresAt = by.At, now.Add(-time.Minute)
		c.Request.Set(store.ClockEnd, c.Request.ExpiresAt)
		return c.Want(false, false)
	}); err != nil {
		t.Fatal(err)
	}
	e := New(Config{DB: db, Now: func() time.Time { return now }, Policy: func() *policy.Policy { return &policy.Policy{} }})
	e.open(t.Context())
	for range cap(e.rooms.grants) {
		e.rooms.grants <- struct{}{}
	}
	e.sweep(t.Context())
	e.close() // waits for what the sweep began; there is no AWS here, so it stops at the removal
	if r, err = db.Request(r.ID); err != nil || r.State != store.Revoking {
		t.Fatalf("it is %s (%v)", r.State, err)
	}
}
