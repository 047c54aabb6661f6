package store_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"breakglass/store"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func byBot(at time.Time) store.By { return store.By{Actor: store.Bot(), At: at} }

func person(id string) store.Person {
	return store.Person{SlackID: "U" + id, UserID: id, UserName: id, Email: id + "@example.org"}
}

// asked is a request in its first state that expires in an hour.
func asked(user string) store.Request {
	r := store.Request{
		State: store.Pending, Requester: person(user), Scenario: "database", Title: "Database", Tier: 1,
		Account: store.Account{Name: "production", ID: "111111111111"}, PermissionSet: "BreakGlassDB",
		Duration: time.Hour, Reason: "the database is down", Policy: "sha256:1", SubmittedAt: noon,
	}
	r.Set(store.ClockExpire, noon.Add(time.Hour))
	return r
}

func fresh(t testing.TB) *store.DB {
	t.Helper()
	db, err := store.Create(filepath.Join(t.TempDir(), "breakglass.db"), noon)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func submit(t testing.TB, db *store.DB, user string) store.Request {
	t.Helper()
	r, err := db.Submit(byBot(noon), asked(user), nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// lawful is the chart of the design, written down a second time.
var lawful = map[store.State][]store.State{
	"pending":  {"approved", "denied", "cancelled", "expired"},
	"approved": {"granting", "failed", "cancelled"},
	"granting": {"active", "failed", "revoking"},
	"active":   {"revoking"},
	"revoking": {"revoked"},
	"revoked":  {"reported"},
	"reported": {"closed"},
}

// way is how a new request gets to each state.
var way = map[store.State][]store.State{
	"pending":   {},
	"approved":  {"approved"},
	"granting":  {"approved", "granting"},
	"active":    {"approved", "granting", "active"},
	"revoking":  {"approved", "granting", "active", "revoking"},
	"revoked":   {"approved", "granting", "active", "revoking", "revoked"},
	"reported":  {"approved", "granting", "active", "revoking", "revoked", "reported"},
	"closed":    {"approved", "granting", "active", "revoking", "revoked", "reported", "closed"},
	"denied":    {"denied"},
	"cancelled": {"cancelled"},
	"expired":   {"expired"},
	"failed":    {"approved", "failed"},
}

// bring submits a request and moves it to a state.
func bring(t testing.TB, db *store.DB, user string, to store.State) store.Request {
	t.Helper()
	r := submit(t, db, user)
	for _, next := range way[to] {
		var err error
		if r, err = db.Transition(byBot(noon), r.ID, r.State, next, nil); err != nil {
			t.Fatal(err)
		}
	}
	if r.State != to {
		t.Fatalf("it is %s, not %s", r.State, to)
	}
	return r
}

// reopen closes a store and opens it again.
func reopen(t testing.TB, db *store.DB) *store.DB {
	t.Helper()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := store.Open(db.Path(), noon)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { again.Close() })
	return again
}

// caught runs fn and turns its panic into an error.
func caught(fn func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errPanic, p)
		}
	}()
	return fn()
}

var (
	errPanic  = errors.New("it panicked")
	errRefuse = errors.New("refused for the test")
)

// TestMain lets the test binary play another process: see inChild.
func TestMain(m *testing.M) {
	if role := os.Getenv("STORE_TEST_ROLE"); role != "" {
		os.Exit(play(role, os.Getenv("STORE_TEST_PATH")))
	}
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "rapid.checks" })
	if !given { // each history is a few dozen commits on a real disk: -rapid.checks=5000 for a night
		_ = flag.Set("rapid.checks", "25")
	}
	os.Exit(m.Run())
}
