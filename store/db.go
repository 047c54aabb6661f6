package store

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// format is what this program writes and reads. A store with another one is refused: guessing at a record may lose a session.
const format = "1"

// What opening a store can say.
var (
	// ErrNoStore: there is no file. A lost volume must not look like a first start, so nothing but Create makes one.
	ErrNoStore = errors.New("there is no store")
	// ErrExists: Create found a file.
	ErrExists = errors.New("there is a store already")
	// ErrFormat: another version of the program wrote it.
	ErrFormat = errors.New("the store has a format this version does not know")

	errLocked = errors.New("locked")
)

// HeldError is what the second process that opens a store is told.
type HeldError struct {
	Path string
	By   string // "pid 4711 on host7, breakglass serve, since 2026-11-21T02:00:00Z", or "" where nobody left a name
}

func (e *HeldError) Error() string {
	by := e.By
	if by == "" {
		by = "another process"
	}
	return fmt.Sprintf("%s is held by %s", e.Path, by)
}

// DB is an open store. Its methods may be called from several goroutines; changes happen one after the other.
type DB struct {
	e    engine
	path string
	id   string
	lock string // the file that names us while we hold the store
}

var buckets = []string{
	"meta", "requests", "due", "open", "openof", "person", "access", "inbox", "seen", "seenat",
	"outbox", "messages", "events", "eventsof", "facts",
}

// Create makes an empty store at path and opens it. The file is made ready in one transaction; a crash before it leaves a file
// without a format, which Open takes for none.
func Create(path string, now time.Time) (*DB, error) {
	if st, err := os.Stat(path); err == nil && st.Size() > 0 {
		return nil, fmt.Errorf("%s: %w", path, ErrExists)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("create the store's folder: %w", err)
	}
	e, err := openEngine(path, false)
	if err != nil {
		return nil, heldBy(path, err)
	}
	id := make([]byte, 8)
	_, _ = rand.Read(id) // never fails: crypto/rand aborts the program instead
	err = e.update(func(t tx) error {
		for _, b := range buckets {
			if err := t.bucket(b); err != nil {
				return err
			}
		}
		for k, v := range map[string]string{"format": format, "store": hex.EncodeToString(id), "created": now.UTC().Format(time.RFC3339)} {
			if err := t.put("meta", []byte(k), []byte(v)); err != nil {
				return err
			}
		}
		return t.put("meta", []byte("next"), u64(firstNumber))
	})
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		e.close()
		return nil, fmt.Errorf("create the store: %w", err)
	}
	return opened(e, path, now)
}

// Open opens the store at path for this process alone. Errors: ErrNoStore, ErrFormat, ErrDamaged, *HeldError.
func Open(path string, now time.Time) (*DB, error) {
	if st, err := os.Stat(path); errors.Is(err, os.ErrNotExist) || err == nil && st.Size() == 0 {
		return nil, fmt.Errorf("%s: %w", path, ErrNoStore)
	} else if err != nil {
		return nil, fmt.Errorf("open the store: %w", err)
	}
	e, err := openEngine(path, false)
	if err != nil {
		return nil, heldBy(path, err)
	}
	return opened(e, path, now)
}

func opened(e engine, path string, now time.Time) (*DB, error) {
	db := &DB{e: e, path: path, lock: path + ".lock"}
	err := e.view(func(t tx) error {
		switch f := string(t.get("meta", []byte("format"))); f {
		case format:
		case "":
			return fmt.Errorf("%s: %w", path, ErrNoStore)
		default:
			return fmt.Errorf("%s: %w: it says %.20q, this version knows %q; start the version that wrote it, or restore a backup of this one",
				path, ErrFormat, f, format)
		}
		db.id = string(t.get("meta", []byte("store")))
		return nil
	})
	if err != nil {
		e.close()
		return nil, err
	}
	db.sign(now)
	return db, nil
}

// sign leaves our name beside the file for whoever finds it held. It is a courtesy: the lock itself is the operating system's.
func (db *DB) sign(now time.Time) {
	host, _ := os.Hostname()
	line := fmt.Sprintf("pid %d on %s, %s, since %s", os.Getpid(), host, strings.Join(program(), " "), now.UTC().Format(time.RFC3339))
	_ = os.WriteFile(db.lock, []byte(line), 0o600)
}

// program is the command without its arguments: those may hold secrets.
func program() []string {
	words := []string{filepath.Base(os.Args[0])}
	if len(os.Args) > 1 && !strings.HasPrefix(os.Args[1], "-") {
		words = append(words, os.Args[1])
	}
	return words
}

func heldBy(path string, err error) error {
	if !errors.Is(err, errLocked) {
		return fmt.Errorf("open %s: %w", path, err)
	}
	line, _ := os.ReadFile(path + ".lock")
	return &HeldError{Path: path, By: strings.TrimSpace(string(line))}
}

// Close lets go of the file. Everything that was changed is on disk already.
func (db *DB) Close() error {
	_ = os.Remove(db.lock)
	return db.e.close()
}

// Path is where the store is; ID is its random identity, which survives backups and copies.
func (db *DB) Path() string { return db.path }

// ID is the random identity of the store.
func (db *DB) ID() string { return db.id }

// Check reads every page and every record. It finds what a start must not trust.
func (db *DB) Check() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: reading it failed with %v", ErrDamaged, p)
		}
	}()
	if err := db.e.check(); err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return db.e.view(db.checkOpen)
}

// Backup writes a consistent copy to path while the store is in use, reads the copy's pages, and only then puts it in place.
func (db *DB) Backup(path string) error {
	if same(path, db.path) {
		return errors.New("back up: that is the store itself; name another file")
	}
	if err := db.e.copyTo(path); err != nil {
		return fmt.Errorf("back up: %w", err)
	}
	e, err := openEngine(path, true)
	if err != nil {
		return fmt.Errorf("back up: read the copy: %w", err)
	}
	defer e.close()
	if err := e.check(); err != nil {
		return fmt.Errorf("back up: the copy is damaged: %w", err)
	}
	return nil
}

func same(a, b string) bool {
	x, err1 := os.Stat(a)
	y, err2 := os.Stat(b)
	return err1 == nil && err2 == nil && os.SameFile(x, y)
}
