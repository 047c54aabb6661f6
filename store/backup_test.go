package store_test

import (
	"bytes"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"breakglass/store"
)

func TestBackup(t *testing.T) {
	db := worked(t)
	want := db.Dump()
	path := filepath.Join(t.TempDir(), "copy.db")
	for range 2 { // the second one replaces the first
		if err := db.Backup(path); err != nil {
			t.Fatal(err)
		}
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("its mode is %v: %v", st.Mode(), err)
	}
	again, err := store.Open(path, noon)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if diff := cmp.Diff(want, again.Dump()); diff != "" || again.ID() != db.ID() {
		t.Errorf("the copy differs:\n%s", diff)
	}
	if left := store.Leftovers(filepath.Dir(path)); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// Backups are made while sixteen people write. Each holds a moment of the log, without a gap and with everything that belongs to it.
func TestBackupWhileChanging(t *testing.T) {
	db := fresh(t)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				_, err := db.Submit(byBot(noon), asked("ann"), func(c *store.Change) error { return c.Tell(store.Notice{Kind: "card"}) })
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	path := filepath.Join(t.TempDir(), "copy.db")
	last := 0
	for range 5 {
		least, _ := db.Events(0, math.MaxInt) // what is committed before the backup is in it
		if err := db.Backup(path); err != nil {
			t.Error(err)
			break
		}
		again, err := store.Open(path, noon)
		if err != nil {
			t.Error(err)
			break
		}
		if err := again.Check(); err != nil {
			t.Error(err)
		}
		events, _ := again.Events(0, math.MaxInt)
		notices, _ := again.Notices(0, math.MaxInt)
		open, _ := again.Open()
		if len(events) < len(least) || len(events) != len(notices) || len(events) != len(open) {
			t.Errorf("%d events of at least %d, %d notices, %d requests", len(events), len(least), len(notices), len(open))
		}
		if err := db.Check(); err != nil { // the store itself can be checked while it is in use
			t.Error(err)
		}
		last = len(events)
		again.Close()
	}
	close(stop)
	wg.Wait()
	t.Logf("the last backup has %d requests", last)
}

func TestBackupRefused(t *testing.T) {
	db := worked(t)
	dir := t.TempDir()
	link, soft := filepath.Join(dir, "link.db"), filepath.Join(dir, "soft.db")
	if err := errors.Join(os.Link(db.Path(), link), os.Symlink(db.Path(), soft)); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{db.Path(), link, soft, filepath.Dir(db.Path()) + "/./breakglass.db"} {
		if err := db.Backup(path); err == nil || !strings.Contains(err.Error(), "the store itself") {
			t.Errorf("onto itself by %s: %v", path, err)
		}
	}
	for _, path := range []string{filepath.Join(dir, "no", "folder", "x.db"), dir, "/dev/null", "/proc/x.db", ""} {
		if err := db.Backup(path); err == nil {
			t.Errorf("to %q there was no error", path)
		}
	}
	if err := db.Check(); err != nil {
		t.Error(err)
	}
}

// A copy that is damaged does not replace the last one that was good.
func TestBackupOfADamagedStore(t *testing.T) {
	db := fresh(t)
	submit(t, db, "ann")
	path := filepath.Join(t.TempDir(), "copy.db")
	if err := db.Backup(path); err != nil {
		t.Fatal(err)
	}
	good, _ := os.ReadFile(path)
	if err := db.Put("requests", store.Key(1001), []byte("rubbish")); err != nil {
		t.Fatal(err)
	}
	if err := db.Backup(path); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("the store is damaged, and the backup says %v", err)
	}
	if now, _ := os.ReadFile(path); !bytes.Equal(now, good) {
		t.Error("the good backup is gone")
	}
	if left := store.Leftovers(filepath.Dir(path)); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
