package store_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"pgregory.net/rapid"

	"breakglass/store"
)

// filing is a store with parts of two folders, and what must come of them.
type filing struct {
	db      *store.DB
	waiting []store.Part // in the order in which they were filed
	done    map[string]int
	given   map[string]int
}

func (f *filing) check(t *rapid.T) {
	got, err := f.db.Parts(0, 1000)
	if err != nil || len(got) != len(f.waiting) {
		t.Fatalf("%d wait, of %d: %v", len(got), len(f.waiting), err)
	}
	for i, p := range got {
		if w := f.waiting[i]; p.Base != w.Base || p.Number != w.Number || p.Seq != w.Seq {
			t.Fatalf("%s waits, not %s", p.Folder(), w.Folder())
		}
	}
	for base, n := range f.given {
		filed, err := f.db.Filed(base)
		if err != nil || filed.Parts != n || filed.Done != f.done[base] {
			t.Fatalf("%s has %+v, not %d of %d: %v", base, filed, f.done[base], n, err)
		}
	}
}

// Parts are complete in the order of their folder, each once; those that go on under later numbers take those behind them along.
func TestPartsAreCompletedInOrder(t *testing.T) {
	dir := t.TempDir()
	stores := 0
	rapid.Check(t, func(t *rapid.T) {
		stores++
		db, err := store.Create(filepath.Join(dir, fmt.Sprintf("%d.db", stores)), noon)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		f := &filing{db: db, done: map[string]int{}, given: map[string]int{}}
		t.Repeat(map[string]func(*rapid.T){
			"file": func(t *rapid.T) {
				month := rapid.SampledFrom([]string{"2026-10", "2026-11"}).Draw(t, "month")
				base := "reviews/" + month
				if err := db.ArchiveReview(byBot(noon), month, store.PartDrawn, store.EventReview, nil, 0); err != nil {
					t.Fatal(err)
				}
				f.given[base]++
				all, err := db.Parts(0, 1000)
				if err != nil {
					t.Fatal(err)
				}
				p := all[len(all)-1]
				if p.Base != base || p.Number != f.given[base] {
					t.Fatalf("it is %s, and the %d. of %s", p.Folder(), f.given[base], base)
				}
				f.waiting = append(f.waiting, p)
			},
			"complete": func(t *rapid.T) {
				if len(f.waiting) == 0 {
					return
				}
				i := rapid.IntRange(0, len(f.waiting)-1).Draw(t, "part")
				p := f.waiting[i]
				err := db.Archived(byBot(noon), p.Seq, "sum", 3)
				if next := p.Number == f.done[p.Base]+1; next != (err == nil) {
					t.Fatalf("%s after %d: %v", p.Folder(), f.done[p.Base], err)
				}
				if err == nil {
					f.done[p.Base] = p.Number
					f.waiting = append(f.waiting[:i:i], f.waiting[i+1:]...)
					if err := db.Archived(byBot(noon), p.Seq, "sum", 3); err != nil { // its answer was lost
						t.Fatal(err)
					}
				}
			},
			"fail": func(t *rapid.T) {
				if len(f.waiting) == 0 {
					return
				}
				p := f.waiting[rapid.IntRange(0, len(f.waiting)-1).Draw(t, "part")]
				before, _, _ := db.Root()
				known, _ := db.Parts(p.Seq-1, 1)
				if err := db.Unarchived(byBot(noon), p.Seq, noon.Add(time.Minute), "away"); err != nil {
					t.Fatal(err)
				}
				after, _, _ := db.Root()
				if first := known[0].Attempts == 0; (after > before) != first {
					t.Fatalf("the log has %d lines more; it had failed %d times", after-before, known[0].Attempts)
				}
			},
			"go on under a later number": func(t *rapid.T) {
				if len(f.waiting) == 0 {
					return
				}
				p := f.waiting[rapid.IntRange(0, len(f.waiting)-1).Draw(t, "part")]
				by := rapid.IntRange(-1, 3).Draw(t, "by")
				err := db.Renumber(byBot(noon), p.Seq, p.Number+by, "theirs")
				if may := by > 0 && p.Number == f.done[p.Base]+1; may != (err == nil) {
					t.Fatalf("%s by %d after %d: %v", p.Folder(), by, f.done[p.Base], err)
				}
				if err != nil {
					return
				}
				for i := range f.waiting {
					if f.waiting[i].Base == p.Base {
						f.waiting[i].Number += by
					}
				}
				f.done[p.Base] = p.Number + by - 1
				f.given[p.Base] += by
				if filed, _ := db.Filed(p.Base); filed.Last != "theirs" {
					t.Fatalf("it goes on from %q", filed.Last)
				}
			},
			"": f.check,
		})
		if err := db.Check(); err != nil {
			t.Fatal(err)
		}
		treeStands(t, db)
	})
}

// A change that fails files nothing, and what people heard of a request is kept for it alone.
func TestNothingIsFiledByWhatFails(t *testing.T) {
	db := fresh(t)
	r := submit(t, db, "ann")
	_, err := db.Touch(byBot(noon), r.ID, r.State, func(c *store.Change) error { return errors.Join(c.Archive(store.PartOpened), errAny) })
	if all, perr := db.Parts(0, 10); !errors.Is(err, errAny) || perr != nil || len(all) > 0 {
		t.Errorf("%v, %v, %+v", err, perr, all)
	}
	other := submit(t, db, "bob")
	_, err = db.Touch(byBot(noon), r.ID, r.State, func(c *store.Change) error {
		return errors.Join(c.Tell(store.Notice{Kind: "card", Message: "card"}), c.Tell(store.Notice{Kind: "line"}))
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, said := range []string{"the first text", ""} { // the second was skipped: a later edit says it all
		if err := db.Told(byBot(noon), uint64(i+1), store.Ref{Channel: "C", TS: "1", Said: said}, ""); err != nil {
			t.Fatal(err)
		}
	}
	mine, err := db.SpokenOf(r.ID)
	theirs, err2 := db.SpokenOf(other.ID)
	if errors.Join(err, err2) != nil || len(mine) != 1 || mine[0].Text != "the first text" || len(theirs) != 0 {
		t.Errorf("%+v, %+v, %v %v", mine, theirs, err, err2)
	}
}
