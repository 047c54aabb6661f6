package aws

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"breakglass/deploy/sandbox/awstwin"
	"breakglass/store"
)

func TestFind(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.AddGroup("oncall", w.alice)
		w.AddGroup("leads")
		alice, _ := w.GetUser(w.alice)
		want := store.Principal{UserID: w.alice, UserName: "alice", Email: "alice@forge.example", DisplayName: "Alice", Enabled: true,
			ManagerID: alice.ManagerID, Groups: map[string]bool{"oncall": true, "leads": false, "no-such-group": false}}
		groups := []string{"oncall", "leads", "no-such-group", "oncall"}
		for _, email := range []string{"alice@forge.example", "Alice@Forge.Example", " alice@forge.example "} {
			got, err := w.dir.Find(t.Context(), email, groups)
			if d := cmp.Diff(want, got); d != "" || err != nil {
				t.Errorf("Find(%q): %v (-want +got):\n%s", email, err, d)
			}
		}
		got, err := w.dir.Look(t.Context(), w.alice, nil)
		if err != nil || got.Groups == nil || len(got.Groups) != 0 {
			t.Errorf("without groups: %#v, %v", got.Groups, err)
		}
	})
}

func TestWhoIsNobody(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		// Whoever is called by somebody's address, and has another address, is not that somebody.
		w.AddUser(awstwin.User{UserName: "mallory@forge.example", Email: "other@forge.example"})
		carol := w.AddUser(awstwin.User{UserName: "carol@forge.example"}) // provisioned without emails
		for _, email := range []string{"nobody@forge.example", "mallory@forge.example", "alice", "", "a b@forge.example", "@x.y"} {
			if _, err := w.dir.Find(t.Context(), email, nil); !errors.Is(err, store.ErrNobody) {
				t.Errorf("Find(%q): %v", email, err)
			}
		}
		if p, err := w.dir.Find(t.Context(), "carol@forge.example", nil); err != nil || p.UserID != carol {
			t.Errorf("by user name: %+v, %v", p, err)
		}
		if _, err := w.dir.Look(t.Context(), "11111111-2222-4333-a444-555555555555", []string{}); !errors.Is(err, store.ErrNobody) {
			t.Errorf("Look: %v", err)
		}
		w.DeleteUser(carol)
		if _, err := w.dir.Look(t.Context(), carol, nil); !errors.Is(err, store.ErrNobody) {
			t.Errorf("Look at somebody deleted: %v", err)
		}
		w.AddUser(awstwin.User{UserName: "d1", Email: "Dan@forge.example"})
		w.AddUser(awstwin.User{UserName: "d2", Email: "dan@forge.example"})
		if _, err := w.dir.Find(t.Context(), "Dan@forge.example", nil); !errors.Is(err, store.ErrSeveral) {
			t.Errorf("two spellings, two people: %v", err)
		}
	})
}

func TestMembershipsAreNeverRemembered(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.AddGroup("oncall", w.alice)
		in := func() bool {
			t.Helper()
			p, err := w.dir.Look(t.Context(), w.alice, []string{"oncall"})
			if err != nil {
				t.Fatal(err)
			}
			return p.Groups["oncall"]
		}
		if !in() {
			t.Error("not in it")
		}
		w.RemoveMember("oncall", w.alice)
		if in() {
			t.Error("still in it")
		}
		u, _ := w.GetUser(w.alice)
		u.Disabled = true
		w.UpdateUser(u)
		if p, err := w.dir.Look(t.Context(), w.alice, nil); err != nil || p.Enabled {
			t.Errorf("disabled: %+v, %v", p, err)
		}
	})
}

// No answer is an error, and never an answer.
func TestDirectoryAway(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.AddGroup("oncall", w.alice)
		for _, op := range []string{"GetUserId", "DescribeUser", "IsMemberInGroups", "GetGroupId"} {
			w.connect(t, Config{})
			w.FailNext("identitystore", op, "InternalServerException", 5)
			p, err := w.dir.Find(t.Context(), "alice@forge.example", []string{"oncall"})
			if isFault(t, err); errors.Is(err, store.ErrNobody) || p.Groups != nil {
				t.Errorf("%s fails: %+v, %v", op, p, err)
			}
			w.ClearFaults()
			w.FailNext("identitystore", op, "ThrottlingException", 1)
			if p, err := w.dir.Find(t.Context(), "alice@forge.example", []string{"oncall"}); err != nil || !p.Groups["oncall"] {
				t.Errorf("%s is throttled once: %+v, %v", op, p, err)
			}
			w.ClearFaults()
		}
		w.HangNext("identitystore", "DescribeUser")
		if _, err := w.dir.Look(t.Context(), w.alice, nil); err != nil {
			t.Errorf("one answer is lost: %v", err)
		}
	})
}

func TestManyGroupsAreAskedInBatches(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var groups []string
		for i := range 230 {
			groups = append(groups, fmt.Sprint("g", i))
			w.AddGroup(groups[i])
		}
		w.AddMember("g229", w.alice)
		p, err := w.dir.Look(t.Context(), w.alice, groups)
		if err != nil || len(p.Groups) != 230 || !p.Groups["g229"] || p.Groups["g0"] {
			t.Fatalf("%d groups, %v", len(p.Groups), err)
		}
		if n := w.counted(t, "IsMemberInGroups", "ok"); n != 3 {
			t.Errorf("%v batches", n)
		}
	})
}

func TestMembers(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		users := w.addUsers(40)
		w.AddGroup("leads", users...)
		for _, id := range users[:7] {
			u, _ := w.GetUser(id)
			u.Disabled = true
			w.UpdateUser(u)
		}
		ps, err := w.dir.Members(t.Context(), "leads", 10)
		if err != nil || len(ps) != 10 {
			t.Fatalf("%d members, %v", len(ps), err)
		}
		for _, p := range ps {
			if !p.Enabled || !p.Groups["leads"] || p.UserID == "" {
				t.Errorf("%+v", p)
			}
		}
		if n := w.counted(t, "DescribeUser", "ok"); n > 20 {
			t.Errorf("%v people were read to find ten", n)
		}
		if ps, err := w.dir.Members(t.Context(), "leads", 100); err != nil || len(ps) != 33 {
			t.Errorf("all: %d members, %v", len(ps), err)
		}
		if ps, err := w.dir.Members(t.Context(), "nothing", 10); err != nil || ps != nil {
			t.Errorf("a group that is not there: %v, %v", ps, err)
		}
	})
}

// A group that nobody made is said once, not at each look.
func TestUnknownGroupIsSaidOnce(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var log bytes.Buffer
		w.connect(t, Config{Log: slog.New(slog.NewTextHandler(&log, nil))})
		for range 3 {
			if _, err := w.dir.Look(t.Context(), w.alice, []string{"ghosts"}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(noGroupKept + time.Second)
		}
		if n := strings.Count(log.String(), "ghosts"); n != 1 {
			t.Errorf("said %d times:\n%s", n, log.String())
		}
		w.AddGroup("ghosts", w.alice)
		if p, err := w.dir.Look(t.Context(), w.alice, []string{"ghosts"}); err != nil || !p.Groups["ghosts"] {
			t.Errorf("made meanwhile: %+v, %v", p, err)
		}
	})
}

// plainStore answers DescribeUser as an identity store that knows no extension and no status.
type plainStore struct{ next http.Handler }

func (p plainStore) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("X-Amz-Target") != "AWSIdentityStore.DescribeUser" {
		p.next.ServeHTTP(w, r)
		return
	}
	b, _ := io.ReadAll(r.Body)
	var in struct {
		UserId     string
		Extensions []string
	}
	_ = json.Unmarshal(b, &in)
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	if len(in.Extensions) > 0 {
		w.WriteHeader(400)
		fmt.Fprint(w, `{"__type":"ValidationException","Message":"unknown member"}`)
		return
	}
	fmt.Fprintf(w, `{"IdentityStoreId":"d-1","UserId":%q,"UserName":"alice","Emails":[{"Value":"alice@forge.example"}]}`, in.UserId)
}

func TestStoreWithoutExtensions(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.wire.to = plainStore{w.Organization}
		w.wire.trips()
		for i, calls := range []int{5, 2} { // the instance, twice the description, and who is in nothing: asked only once
			p, err := w.dir.Look(t.Context(), w.alice, []string{"oncall"})
			if err != nil || !p.Enabled || p.ManagerID != "" || p.Email != "alice@forge.example" {
				t.Fatalf("%+v, %v", p, err)
			}
			if _, n := w.wire.trips(); n > calls {
				t.Errorf("look %d took %d calls", i, n)
			}
		}
	})
}

func TestShapesOfTheManager(t *testing.T) {
	const id = "a1b2c3d4-5678-90ab-cdef-0123456789ab"
	for shape, want := range map[string]string{
		`{"manager":{"value":"` + id + `"}}`:                           id,
		`{"Manager":{"Value":"` + id + `"}}`:                           id,
		`{"manager":"` + id + `"}`:                                     id,
		`{"manager":{"$ref":"https://scim.example/Users/` + id + `"}}`: id,
		`{"manager":{"displayName":"The Boss"}}`:                       "",
		`{"manager":{"value":"<script>"}}`:                             "",
		`{"manager":{"value":"0123456789-` + id + `"}}`:                "0123456789-" + id,
		`{"manager":{"value":"boss@forge.example"}}`:                   "",
		`{"manager":{"value":"4711"}}`:                                 "",
		`{"manager":{"value":7}}`:                                      "",
		`{"manager":null,"department":"x"}`:                            "",
		`{"manager":{"value":"` + strings.Repeat("a", 48) + `"}}`:      "",
	} {
		var v map[string]any
		if err := json.Unmarshal([]byte(shape), &v); err != nil {
			t.Fatal(err)
		}
		if got := managerIn(v); got != want {
			t.Errorf("%s: %q, want %q", shape, got, want)
		}
	}
	if managerOf(nil) != "" {
		t.Error("no extension at all")
	}
}

// organisation is one of a certain size, with 30 ms on each call and no limits.
func organisation(t testing.TB, accounts, sets, users int) (w *world, groups []string) {
	w = newWorld(t, awstwin.Config{}, Config{Limits: Limits{Lifted: true}})
	w.SetQuotas(false)
	for i := range accounts - 2 {
		w.AddAccount(fmt.Sprintf("3000000000%02d", i), fmt.Sprint("acct-", i))
	}
	for i := range sets - 1 {
		w.AddPermissionSet(awstwin.PermissionSet{Name: fmt.Sprint("Set-", i)})
	}
	all := append(w.addUsers(users-2), w.alice)
	for i := range 8 {
		groups = append(groups, fmt.Sprint("group-", i))
		w.AddGroup(groups[i], all...)
	}
	w.wire.lag = lag
	w.wire.trips()
	return w, groups
}

const lag = 30 * time.Millisecond

var sizes = []struct{ accounts, sets, users int }{{2, 1, 2}, {45, 30, 350}}

// BenchmarkLook is what a click waits for, with 30 ms on each call. It must not grow with the organisation.
func BenchmarkLook(b *testing.B) {
	for _, n := range sizes {
		env(b)
		w, groups := organisation(b, n.accounts, n.sets, n.users)
		of := fmt.Sprintf("of=%d-accounts-%d-sets-%d-users", n.accounts, n.sets, n.users)
		run := func(what string, do func() error) {
			b.Run(what+"/"+of, func(b *testing.B) {
				w.wire.trips()
				rounds := 0
				for b.Loop() {
					rounds++
					if err := do(); err != nil {
						b.Fatal(err)
					}
				}
				trips, calls := w.wire.trips()
				b.ReportMetric(float64(trips)/float64(rounds), "trips/op")
				b.ReportMetric(float64(calls)/float64(rounds), "calls/op")
			})
		}
		run("find", func() error { _, err := w.dir.Find(b.Context(), "alice@forge.example", groups); return err })
		run("look", func() error { _, err := w.dir.Look(b.Context(), w.alice, groups); return err })
	}
}

type measured struct {
	took         time.Duration
	trips, calls int
}

func (w *world) measure(t *testing.T, do func() error) (m measured) {
	t.Helper()
	begun := time.Now()
	if err := do(); err != nil {
		t.Fatal(err)
	}
	m.took = time.Since(begun)
	m.trips, m.calls = w.wire.trips()
	return m
}

// The same as a promise: two round trips to find somebody, one to look again, whatever the size.
func TestLookDoesNotGrow(t *testing.T) {
	env(t)
	for _, n := range sizes {
		synctest.Test(t, func(t *testing.T) {
			w, groups := organisation(t, n.accounts, n.sets, n.users)
			findAlice := func() error { _, err := w.dir.Find(t.Context(), "alice@forge.example", groups); return err }
			cold := w.measure(t, findAlice)
			find := w.measure(t, findAlice)
			look := w.measure(t, func() error { _, err := w.dir.Look(t.Context(), w.alice, groups); return err })
			if find != (measured{2 * lag, 2, 3}) || look != (measured{lag, 1, 2}) || cold.took > 4*lag {
				t.Errorf("%v: cold %+v, find %+v, look %+v", n, cold, find, look)
			}
		})
	}
}
