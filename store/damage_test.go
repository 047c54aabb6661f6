package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"breakglass/store"
)

// worked is a store with enough in it to be worth tearing: branch pages, a freelist, several sessions.
func worked(t *testing.T) *store.DB {
	t.Helper()
	db := fresh(t)
	if err := db.Fill(400, closed(), byBot(noon)); err != nil {
		t.Fatal(err)
	}
	for _, s := range store.States() {
		bring(t, db, "ann", s)
	}
	return db
}

// bytesOf is the file without the room bbolt keeps at its end.
func bytesOf(t *testing.T, db *store.DB) []byte {
	t.Helper()
	var buf bytes.Buffer
	if err := db.Snapshot(&buf); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func closed() store.Request {
	r := asked("cleo")
	r.State, r.ClosedAt = store.Closed, noon
	return r
}

// A file that was cut anywhere is refused as damaged, and nothing dies of it: the lock is given back each time.
func TestTruncated(t *testing.T) {
	whole := bytesOf(t, worked(t))
	path := filepath.Join(t.TempDir(), "cut.db")
	for _, size := range []int{1, 100, 4095, 4096, 8191, 8192, 12288, 16384, len(whole) / 3, len(whole) / 2, len(whole) / 4 * 3} {
		if err := os.WriteFile(path, whole[:size], 0o600); err != nil {
			t.Fatal(err)
		}
		for range 2 { // the second time would wait for a lock that was left
			if err := opens(t, path); !errors.Is(err, store.ErrDamaged) {
				t.Errorf("cut to %d of %d bytes: %v", size, len(whole), err)
			}
		}
		if _, err := store.Create(path, noon); !errors.Is(err, store.ErrExists) {
			t.Errorf("cut to %d bytes, and created over: %v", size, err)
		}
	}
}

// Pages full of rubbish, and single bytes turned over, all through the file. What lies in use must be found; what lies in free pages
// need not. Nothing may panic.
func TestGarbage(t *testing.T) {
	db := worked(t)
	want := db.Dump()
	whole := bytesOf(t, db)
	path := filepath.Join(t.TempDir(), "torn.db")
	// What has no checksum: the counters are compared otherwise, and the name and age of a store may be torn unseen.
	plain := cmpopts.IgnoreMapEntries(func(bucket string, _ map[string]string) bool { return bucket == "meta" })
	rnd := rand.New(rand.NewPCG(1, 2))
	try := func(what string, torn []byte) (found bool) {
		t.Helper()
		if err := os.WriteFile(path, torn, 0o600); err != nil {
			t.Fatal(err)
		}
		again, err := store.Open(path, noon)
		if err == nil {
			defer again.Close()
			err = again.Check()
		}
		switch {
		case err == nil:
			if diff := cmp.Diff(want, again.Dump(), plain); diff != "" {
				t.Errorf("%s: it passed, and reads otherwise:\n%.500s", what, diff)
			}
			return false
		case !errors.Is(err, store.ErrDamaged) && !errors.Is(err, store.ErrNoStore) && !errors.Is(err, store.ErrFormat):
			t.Errorf("%s: %v", what, err)
		}
		return true
	}
	const page = 4096
	found := 0
	pages := len(whole) / page
	for i := 0; i < pages; i += max(1, pages/60) {
		for _, how := range []string{"rubbish", "zeroes", "moved"} {
			torn := bytes.Clone(whole)
			p := torn[i*page : (i+1)*page]
			switch how {
			case "rubbish":
				for j := range p {
					p[j] = byte(rnd.Uint32())
				}
			case "zeroes":
				clear(p)
			case "moved":
				copy(p, whole[(i+7)%pages*page:])
			}
			if try(fmt.Sprintf("page %d %s", i, how), torn) {
				found++
			}
		}
	}
	if found < 10 {
		t.Errorf("only %d torn pages were found", found)
	}
	found = 0
	for range 300 {
		torn := bytes.Clone(whole)
		at := rnd.IntN(len(torn))
		if rnd.IntN(2) == 0 {
			at = at/page*page + rnd.IntN(64) // heads of pages do the most harm
		}
		torn[at] ^= 1 << rnd.IntN(8)
		if try(fmt.Sprintf("a bit of byte %d", at), torn) {
			found++
		}
	}
	t.Logf("%d of 300 turned bits lay where it mattered", found)
}

// Each kind of record, altered in its value alone: bbolt itself would not notice.
func TestAlteredRecords(t *testing.T) {
	db := fresh(t)
	r := bring(t, db, "ann", store.Active)
	_, err := db.Touch(byBot(noon), r.ID, r.State, func(c *store.Change) error {
		return errors.Join(c.Want(false, false), c.Tell(store.Notice{Kind: "card"}), c.Fact("channel", "C1"))
	})
	if err != nil {
		t.Fatal(err)
	}
	bring(t, db, "bob", store.Closed)
	if _, err := db.Receive(byBot(noon), store.Click{Key: "k", Kind: store.ClickEnd}); err != nil {
		t.Fatal(err)
	}
	if err := db.Tell(byBot(noon), store.Notice{Kind: "x", Message: "x"}, store.EventStarted, nil); err != nil {
		t.Fatal(err)
	}
	if err := db.Told(byBot(noon), 2, store.Ref{Channel: "C1", TS: "1.2"}, ""); err != nil {
		t.Fatal(err)
	}
	for bucket, records := range db.Dump() {
		switch bucket {
		case "requests", "access", "inbox", "outbox", "messages", "events", "facts":
		default:
			continue
		}
		if len(records) == 0 {
			t.Errorf("there is no record in %s to alter", bucket)
		}
		for k, v := range records {
			for _, bad := range []string{v[:len(v)-1] + "x", v[:3], "", "\x00\x00\x00\x00" + v[4:], v + " "} {
				if err := db.Put(bucket, []byte(k), []byte(bad)); err != nil {
					t.Fatal(err)
				}
				if err := db.Check(); !errors.Is(err, store.ErrDamaged) {
					t.Errorf("%s/%x altered: %v", bucket, k, err)
				}
			}
			if err := db.Put(bucket, []byte(k), []byte(v)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := db.Check(); err != nil {
		t.Error(err)
	}
}

// What does not fit together, though every record is sound.
func TestCheckFindsWhatDoesNotFit(t *testing.T) {
	r1, r2 := store.Key(1001), store.Key(1002) // active, closed
	record := func(key []byte, r store.Request) []byte {
		rec, err := store.Encode(key, r)
		if err != nil {
			t.Fatal(err)
		}
		return rec
	}
	index := func(db *store.DB, bucket string, key []byte) error { return db.Put(bucket, key, store.Marked(key)) }
	due := append(store.Key(uint64(noon.Add(3600e9).UnixNano())), r1...)
	cases := map[string]func(db *store.DB, a, c store.Request) error{
		"no due key": func(db *store.DB, a, c store.Request) error { return db.Put("due", due, nil) },
		"two due keys": func(db *store.DB, a, c store.Request) error {
			return index(db, "due", append(store.Key(5), r1...))
		},
		"due though ended": func(db *store.DB, a, c store.Request) error {
			return index(db, "due", append(store.Key(5), r2...))
		},
		"due, no record": func(db *store.DB, a, c store.Request) error {
			return index(db, "due", append(store.Key(5), store.Key(77)...))
		},
		"not open":          func(db *store.DB, a, c store.Request) error { return db.Put("open", r1, nil) },
		"open though ended": func(db *store.DB, a, c store.Request) error { return db.Put("open", r2, []byte("active")) },
		"open, no record":   func(db *store.DB, a, c store.Request) error { return db.Put("open", store.Key(1000), []byte("active")) },
		"open as another":   func(db *store.DB, a, c store.Request) error { return db.Put("open", r1, []byte("pending")) },
		"not of its person": func(db *store.DB, a, c store.Request) error {
			return db.Put("openof", append([]byte("ann\x00"), r1...), nil)
		},
		"of nobody": func(db *store.DB, a, c store.Request) error {
			return db.Put("person", append([]byte("ann\x00"), r1...), nil)
		},
		"of another": func(db *store.DB, a, c store.Request) error {
			return index(db, "openof", append([]byte("eve\x00"), r2...))
		},
		"no record":        func(db *store.DB, a, c store.Request) error { return db.Put("requests", r1, nil) },
		"another's record": func(db *store.DB, a, c store.Request) error { return db.Put("requests", r1, record(r1, c)) },
		"no such state": func(db *store.DB, a, c store.Request) error {
			c.State = "paused"
			return db.Put("requests", r2, record(r2, c))
		},
		"not ended, not due": func(db *store.DB, a, c store.Request) error {
			c.State = store.Active
			return db.Put("requests", r2, record(r2, c))
		},
		"no JSON": func(db *store.DB, a, c store.Request) error {
			return db.Put("requests", r1, []byte("\x00\x00\x00\x00"))
		},
		"clocks": func(db *store.DB, a, c store.Request) error {
			a.Clocks = nil
			return db.Put("requests", r1, record(r1, a))
		},
		"number again": func(db *store.DB, a, c store.Request) error { return db.Put("meta", []byte("next"), store.Key(1002)) },
		"no number":    func(db *store.DB, a, c store.Request) error { return db.Put("meta", []byte("next"), nil) },
		"sequence again": func(db *store.DB, a, c store.Request) error {
			return db.Put("meta", []byte("seq events"), store.Key(1))
		},
		"an event less":     func(db *store.DB, a, c store.Request) error { return db.Put("events", store.Key(3), nil) },
		"no bucket":         func(db *store.DB, a, c store.Request) error { return db.DropBucket("openof") },
		"no bucket of seen": func(db *store.DB, a, c store.Request) error { return db.DropBucket("seenat") },
	}
	for name, tear := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := fresh(t)
			a, c := bring(t, db, "ann", store.Active), bring(t, db, "bob", store.Closed)
			if err := db.Check(); err != nil {
				t.Fatal(err)
			}
			if err := tear(db, a, c); err != nil {
				t.Fatal(err)
			}
			if err := db.Check(); !errors.Is(err, store.ErrDamaged) {
				t.Errorf("Check says %v", err)
			}
		})
	}
}

// An index that leads nowhere must not become an empty request, and a counter that fell back must not write over what is there.
func TestDamageInUse(t *testing.T) {
	db := fresh(t)
	submit(t, db, "ann")
	if err := db.Put("meta", []byte("next"), store.Key(1001)); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Submit(byBot(noon), asked("bob"), nil); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("a number was given twice: %v", err)
	}
	if err := db.Put("meta", []byte("seq events"), store.Key(0)); err != nil {
		t.Fatal(err)
	}
	if err := db.Log(byBot(noon), store.EventStarted, nil); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("a line of the log was written over: %v", err)
	}
	if err := db.Put("requests", store.Key(1001), nil); err != nil {
		t.Fatal(err)
	}
	_, err1 := db.Open()
	_, err2 := db.OpenOf("ann")
	_, err3 := db.OfPerson("ann", 5)
	for _, err := range []error{err1, err2, err3} {
		if !errors.Is(err, store.ErrDamaged) {
			t.Errorf("a record is missing: %v", err)
		}
	}
	if err := db.DropBucket("events"); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Submit(byBot(noon), asked("bob"), nil); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("a bucket is missing: %v", err)
	}
}
