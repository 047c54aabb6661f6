package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"breakglass/store"
)

// opens says what opening a file comes to, its Check included. Whatever it is, the file is free afterwards and still there.
func opens(t *testing.T, path string) error {
	t.Helper()
	db, err := store.Open(path, noon)
	if err != nil {
		return err
	}
	defer db.Close()
	return db.Check()
}

func TestNoStore(t *testing.T) {
	dir := t.TempDir()
	missing := filepath.Join(dir, "missing.db")
	if err := opens(t, missing); !errors.Is(err, store.ErrNoStore) {
		t.Errorf("no file: %v", err)
	}
	if _, err := os.Stat(missing); err == nil {
		t.Error("opening it made it")
	}
	if err := opens(t, filepath.Join(dir, "no", "folder.db")); !errors.Is(err, store.ErrNoStore) {
		t.Errorf("no folder: %v", err)
	}
	if err := opens(t, dir); err == nil || errors.Is(err, store.ErrNoStore) {
		t.Errorf("a folder: %v", err)
	}

	zero := filepath.Join(dir, "zero.db")
	if err := os.WriteFile(zero, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	begun := filepath.Join(dir, "begun.db")
	if err := store.LeaveEmpty(begun); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{zero, begun} {
		before, _ := os.ReadFile(path)
		if err := opens(t, path); !errors.Is(err, store.ErrNoStore) {
			t.Errorf("%s: %v", path, err)
		}
		if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
			t.Errorf("%s: opening it changed it", path)
		}
		// What there is no store in, one can be made in: else nobody could ever start.
		db, err := store.Create(path, noon)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		db.Close()
		if err := opens(t, path); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	if left := store.Leftovers(dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestCreate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "var", "lib", "breakglass.db")
	db, err := store.Create(path, noon)
	if err != nil {
		t.Fatal(err)
	}
	submit(t, db, "ann")
	for name, mode := range map[string]os.FileMode{path: 0o600, path + ".lock": 0o600, filepath.Dir(path): 0o700} {
		if st, err := os.Stat(name); err != nil || st.Mode().Perm() != mode {
			t.Errorf("%s has mode %v: %v", name, st.Mode(), err)
		}
	}
	if len(db.ID()) != 16 || db.Path() != path {
		t.Errorf("id %q path %q", db.ID(), db.Path())
	}
	db = reopen(t, db)
	before := db.Dump()
	if _, err := store.Create(path, noon); !errors.Is(err, store.ErrExists) {
		t.Errorf("over a store that is held: %v", err)
	}
	db.Close()
	if _, err := store.Create(path, noon); !errors.Is(err, store.ErrExists) {
		t.Errorf("over a store: %v", err)
	}
	db, err = store.Open(path, noon)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, db.Dump()); diff != "" {
		t.Error(diff)
	}
	db.Close()

	other := filepath.Join(filepath.Dir(path), "notes.txt")
	if err := os.WriteFile(other, []byte("my notes"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Create(other, noon); !errors.Is(err, store.ErrExists) {
		t.Errorf("over somebody's notes: %v", err)
	}
	if _, err := store.Create(filepath.Join(other, "x.db"), noon); err == nil || errors.Is(err, store.ErrExists) {
		t.Errorf("under a file: %v", err)
	}
}

// Of several that create at once, one does, and the others do not touch it.
func TestCreateAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, before := range []string{"nothing", "an empty file"} {
		path := filepath.Join(dir, before)
		if before != "nothing" {
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		var mu sync.Mutex
		var made []*store.DB
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				db, err := store.Create(path, noon)
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					made = append(made, db)
				} else if !errors.Is(err, store.ErrExists) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if len(made) != 1 {
			t.Fatalf("%s: %d stores were made", before, len(made))
		}
		made[0].Close()
		if err := opens(t, path); err != nil {
			t.Error(err)
		}
	}
	if left := store.Leftovers(dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestUnknownFormat(t *testing.T) {
	db := fresh(t)
	if err := db.Put("meta", []byte("format"), []byte("2")); err != nil {
		t.Fatal(err)
	}
	db.Close()
	err := opens(t, db.Path())
	if !errors.Is(err, store.ErrFormat) {
		t.Fatal(err)
	}
	for _, word := range []string{`"2"`, `"1"`, "start the version that wrote it", db.Path()} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q does not say %s", err, word)
		}
	}
	theirs := filepath.Join(t.TempDir(), "theirs.db")
	if err := store.Foreign(theirs); err != nil {
		t.Fatal(err)
	}
	if err := opens(t, theirs); !errors.Is(err, store.ErrFormat) {
		t.Errorf("another program's file: %v", err)
	}
	if _, err := store.Create(theirs, noon); !errors.Is(err, store.ErrExists) {
		t.Errorf("over another program's file: %v", err)
	}
}

func TestHeld(t *testing.T) {
	t.Parallel()
	db := fresh(t)
	host, _ := os.Hostname()
	name := fmt.Sprintf("pid %d on %s", os.Getpid(), host)
	_, lines := inChild(t, "open", db.Path()) // it waits as long as we do
	_, err := store.Open(db.Path(), noon)
	var held *store.HeldError
	if !errors.As(err, &held) || !strings.HasPrefix(held.By, name) || held.Path != db.Path() {
		t.Errorf("in this process: %v", err)
	}
	lines.Scan()
	if !strings.Contains(lines.Text(), "is held by "+name) || !strings.HasSuffix(lines.Text(), "since 2026-11-21T12:00:00Z") {
		t.Errorf("another process says %s", lines.Text())
	}
	if err := db.Unsigned(); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Open(db.Path(), noon); !errors.As(err, &held) || held.By != "" || !strings.Contains(err.Error(), "another process") {
		t.Errorf("without a name: %v", err)
	}
}

// The name of a process that died holds nothing, and whoever comes next signs over it. A second Close takes nobody else's name away.
func TestLockFile(t *testing.T) {
	t.Parallel()
	db := fresh(t)
	db.Close()
	lock := db.Path() + ".lock"
	if _, err := os.Stat(lock); err == nil {
		t.Error("the name stays after Close")
	}
	child, lines := inChild(t, "hold", db.Path())
	if lines.Scan(); lines.Text() != "open" {
		t.Fatal(lines.Text())
	}
	name := fmt.Sprintf("pid %d on ", child.Process.Pid)
	db.Close()
	if line, _ := os.ReadFile(lock); !strings.HasPrefix(string(line), name) {
		t.Errorf("the second Close took the name of another process away: %q", line)
	}
	var held *store.HeldError
	if _, err := store.Open(db.Path(), noon); !errors.As(err, &held) || !strings.HasPrefix(held.By, name) {
		t.Errorf("held by the child: %v", err)
	}
	_ = child.Process.Kill()
	_ = child.Wait()
	again, err := store.Open(db.Path(), noon)
	if err != nil {
		t.Fatalf("its holder is dead: %v", err)
	}
	defer again.Close()
	if line, _ := os.ReadFile(lock); !strings.HasPrefix(string(line), fmt.Sprintf("pid %d on ", os.Getpid())) {
		t.Errorf("it is signed %q", line)
	}
}

func TestClosedStore(t *testing.T) {
	db := fresh(t)
	r := submit(t, db, "ann")
	db.Close()
	if _, err := db.Touch(byBot(noon), r.ID, r.State, nil); err == nil {
		t.Error("it was changed after Close")
	}
	if _, err := db.Request(r.ID); err == nil {
		t.Error("it was read after Close")
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}
