package store_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"

	"breakglass/store"
	"breakglass/store/ledger"
)

// grown is the tree over lines, computed from the lines alone.
func grown(t interface{ Fatal(...any) }, lines []store.LogLine) (root ledger.Hash, stored []tlog.Hash) {
	read := tlog.HashReaderFunc(func(indexes []int64) (out []tlog.Hash, err error) {
		for _, i := range indexes {
			out = append(out, stored[i])
		}
		return out, nil
	})
	for i, l := range lines {
		h, err := tlog.StoredHashes(int64(i), l.Text, read)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, h...)
	}
	root, err := ledger.Root(uint64(len(lines)), read)
	if err != nil {
		t.Fatal(err)
	}
	return root, stored
}

// treeStands compares the tree of a store with one that is computed from its lines.
func treeStands(t interface {
	Fatal(...any)
	Fatalf(string, ...any)
}, db *store.DB) {
	lines, err := db.Lines(1, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	size, root, err := db.Root()
	if err != nil {
		t.Fatal(err)
	}
	want, stored := grown(t, lines)
	if size != uint64(len(lines)) || root != want {
		t.Fatalf("the tree is of %d lines with root %v; there are %d with %v", size, root, len(lines), want)
	}
	kept := db.Dump()["hashes"]
	if len(kept) != len(stored) {
		t.Fatalf("%d hashes are kept, of %d", len(kept), len(stored))
	}
	for i, h := range stored {
		if rec := kept[string(store.Key(uint64(i)))]; len(rec) < len(h) || rec[len(rec)-len(h):] != string(h[:]) {
			t.Fatalf("hash %d is not that of the lines", i)
		}
	}
}

// Whatever is written, alone or with others, the tree is that of the lines: a change that fails leaves nothing in it.
func TestTheTreeIsThatOfTheLines(t *testing.T) {
	dir := t.TempDir()
	stores := 0
	rapid.Check(t, func(t *rapid.T) {
		stores++
		db, err := store.Create(filepath.Join(dir, fmt.Sprintf("%d.db", stores)), noon)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		for range rapid.IntRange(1, 30).Draw(t, "changes") {
			fails := rapid.Bool().Draw(t, "fails")
			_, err := db.Submit(byBot(noon), asked("ann"), func(c *store.Change) error {
				for i := range rapid.IntRange(0, 4).Draw(t, "lines") {
					if err := c.Log("x", map[string]string{"i": fmt.Sprint(i)}); err != nil {
						return err
					}
				}
				if fails {
					return errAny
				}
				return c.Archive(store.PartOpened)
			})
			if fails != (err != nil) {
				t.Fatal(err)
			}
		}
		treeStands(t, db)
		size, root, _ := db.Root()
		if size == 0 {
			return
		}
		// Every line of a request is proved.
		n := rapid.Uint64Range(1, size).Draw(t, "line")
		lines, _ := db.Lines(n, 1)
		all, err := db.Proved("BG-1001", size)
		if err != nil || len(all) == 0 {
			t.Fatal(len(all), err)
		}
		// A checkpoint of any earlier moment is known, and one of other lines is not.
		before, _ := db.Lines(1, int(n))
		was, _ := grown(t, before)
		if err := db.Knows(ledger.Checkpoint{Size: n, Root: was}); err != nil {
			t.Fatal(err)
		}
		was[3] ^= 1
		if err := db.Knows(ledger.Checkpoint{Size: n, Root: was}); !errors.Is(err, ledger.ErrNotPrefix) {
			t.Fatalf("another log's checkpoint: %v", err)
		}
		if err := db.Knows(ledger.Checkpoint{Size: size + 1, Root: root}); !errors.Is(err, ledger.ErrNotPrefix) {
			t.Fatalf("a longer log's checkpoint: %v", err)
		}
		if len(lines) != 1 || lines[0].N != n {
			t.Fatalf("%+v", lines)
		}
	})
}

// A hash that is missing, or another than was written, is damage.
func TestCheckFindsADamagedTree(t *testing.T) {
	for what, harm := range map[string]func(db *store.DB, key []byte, rec string) error{
		"missing": func(db *store.DB, key []byte, _ string) error { return db.Put("hashes", key, nil) },
		"a byte of it": func(db *store.DB, key []byte, rec string) error {
			b := []byte(rec)
			b[len(b)-1] ^= 1
			return db.Put("hashes", key, b)
		},
		"one that follows nothing": func(db *store.DB, _ []byte, rec string) error { return db.Put("hashes", store.Key(1<<40), []byte(rec)) },
		"another's": func(db *store.DB, key []byte, _ string) error {
			return db.Put("hashes", key, []byte(db.Dump()["hashes"][string(store.Key(2))]))
		},
	} {
		t.Run(what, func(t *testing.T) {
			db := worked(t)
			key := store.Key(1)
			if err := errors.Join(db.Check(), harm(db, key, db.Dump()["hashes"][string(key)])); err != nil {
				t.Fatal(err)
			}
			if err := db.Check(); !errors.Is(err, store.ErrDamaged) {
				t.Errorf("it is not found: %v", err)
			}
		})
	}
}

// A store of an earlier version gets its tree when it is opened, and a copy of a store has it.
func TestAnEarlierStoreGetsItsTree(t *testing.T) {
	db := worked(t)
	if err := db.Fill(11_000, closed(), byBot(noon)); err != nil {
		t.Fatal(err)
	}
	lines, root, err := db.Root()
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range []string{"hashes", "parts", "filed", "spoken"} {
		if err := db.DropBucket(b); err != nil {
			t.Fatal(err)
		}
	}
	db = reopen(t, db)
	n, again, err := db.Root()
	if err != nil || n != lines || again != root {
		t.Fatalf("the tree is of %d lines, %v; it was of %d: %v", n, again, lines, err)
	}
	if err := errors.Join(db.Check(), db.Log(byBot(noon), "x", nil), db.Check()); err != nil {
		t.Fatal(err)
	}
	treeStands(t, db)
	path := filepath.Join(t.TempDir(), "copy.db")
	if err := db.Backup(path); err != nil {
		t.Fatal(err)
	}
	copied, err := store.Open(path, noon)
	if err != nil {
		t.Fatal(err)
	}
	defer copied.Close()
	treeStands(t, copied)
}

// BenchmarkEvents is how many lines a second are written with their tree, by one alone and by many.
func BenchmarkEvents(b *testing.B) {
	for _, writers := range []int{1, 50} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			db := fresh(b)
			done := make(chan error, writers)
			began := time.Now()
			for w := range writers {
				go func() {
					var err error
					for i := w; i < b.N && err == nil; i += writers {
						err = db.Log(byBot(noon), "x", map[string]string{"k": "v"})
					}
					done <- err
				}()
			}
			for range writers {
				if err := <-done; err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/time.Since(began).Seconds(), "events/s")
		})
	}
}

// BenchmarkRegrow is the first start on a store of an earlier version.
func BenchmarkRegrow(b *testing.B) {
	db := fresh(b)
	if err := db.Fill(100_000, closed(), byBot(noon)); err != nil { // two lines each
		b.Fatal(err)
	}
	for b.Loop() {
		b.StopTimer()
		if err := errors.Join(db.DropBucket("hashes"), db.Close()); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		var err error
		if db, err = store.Open(db.Path(), noon); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	db.Close()
}
