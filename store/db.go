package store

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
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
	line string // what we wrote there

	closing sync.Once
}

var buckets = []string{
	"meta", "requests", "due", "open", "openof", "person", "access", "inbox", "seen", "seenat",
	"outbox", "messages", "events", "eventsof", "facts", "lines",
	"hashes", "parts", "filed", "spoken",
}

// since are the buckets that stores made by earlier versions lack. They begin empty, which is what those stores mean by not having them; but for the log's
// tree, which is grown.
var since = []string{"lines", "hashes", "parts", "filed", "spoken"}

// Create makes an empty store at path and opens it. It is made whole under another name and then given this one, so that a crash
// leaves either no store or an empty one, never half of one. What is at path already is ErrExists, whatever it is; only an
// empty file, or a bbolt file nothing was ever put into, counts as nothing.
func Create(path string, now time.Time) (*DB, error) {
	if err := create(path, now); errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("%s: %w", path, ErrExists)
	} else if err != nil {
		return nil, fmt.Errorf("create the store: %w", err)
	}
	return Open(path, now)
}

func create(path string, now time.Time) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	old, vacant, err := claim(path)
	if err != nil {
		return err
	}
	if vacant {
		defer old.close()
	}
	tmp, err := os.CreateTemp(dir, filepath.Base(path)+".new*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	tmp.Close()
	e, err := openEngine(tmp.Name(), making)
	if err != nil {
		return err
	}
	err = errors.Join(e.alone(func(t tx) error { return furnish(t, now) }), e.close())
	if err != nil {
		return err
	}
	if vacant {
		err = os.Rename(tmp.Name(), path)
	} else {
		err = os.Link(tmp.Name(), path) // unlike a renaming it fails where another was quicker
	}
	if err != nil {
		return err
	}
	return errors.Join(syncDir(dir), syncDir(filepath.Dir(dir)))
}

// claim looks at what is at path already: os.ErrExist where it is anything. Where it is a file nothing was ever put into, vacant is
// true and old holds its lock, so that of two that would replace it only one does.
func claim(path string) (old engine, vacant bool, err error) {
	st, err := os.Lstat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return engine{}, false, nil
	case err != nil:
		return engine{}, false, err
	case !st.Mode().IsRegular():
		return engine{}, false, os.ErrExist
	}
	old, err = openEngine(path, making)
	if err != nil {
		return engine{}, false, os.ErrExist
	}
	empty, err := old.empty()
	mine, err1 := old.file.Stat()
	there, err2 := os.Lstat(path) // another may have replaced it while we waited for the lock
	if err != nil || !empty || err1 != nil || err2 != nil || !os.SameFile(mine, there) {
		old.close()
		return engine{}, false, os.ErrExist
	}
	return old, true, nil
}

// furnish is what an empty store holds.
func furnish(t tx, now time.Time) error {
	for _, b := range buckets {
		if err := t.bucket(b); err != nil {
			return err
		}
	}
	id := make([]byte, 8)
	_, _ = rand.Read(id) // never fails: crypto/rand aborts the program instead
	for k, v := range map[string]string{"format": format, "store": hex.EncodeToString(id), "created": now.UTC().Format(time.RFC3339)} {
		if err := t.put("meta", []byte(k), []byte(v)); err != nil {
			return err
		}
	}
	return t.put("meta", []byte("next"), u64(firstNumber))
}

// Open opens the store at path for this process alone. It makes nothing and changes nothing, but for the buckets that an earlier version did not
// know. Errors: ErrNoStore (no file, an empty one, or one that
// nothing was ever put into), ErrFormat, ErrDamaged, *HeldError after two seconds.
func Open(path string, now time.Time) (*DB, error) {
	if st, err := os.Stat(path); err == nil && st.IsDir() {
		return nil, fmt.Errorf("open the store: %s is a folder", path)
	}
	e, err := openEngine(path, writing)
	if err != nil {
		return nil, heldBy(path, err)
	}
	db := &DB{e: e, path: path, lock: path + ".lock"}
	err = db.e.view(db.known)
	if err == nil {
		err = db.refurnish()
	}
	if err != nil {
		e.close()
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	db.sign(now)
	return db, nil
}

// refurnish adds what an earlier version did not know.
func (db *DB) refurnish() error {
	missing := false
	err := db.e.view(func(t tx) error {
		for _, b := range since {
			missing = missing || t.t.Bucket([]byte(b)) == nil
		}
		return nil
	})
	if err == nil && missing {
		err = db.e.alone(func(t tx) error {
			treeless := t.t.Bucket([]byte("hashes")) == nil
			for _, b := range since {
				if err := t.bucket(b); err != nil {
					return err
				}
			}
			if treeless {
				return t.put("meta", []byte(growing), u64(0))
			}
			return nil
		})
	}
	for more := true; err == nil && more; {
		err = db.e.view(func(t tx) error { more = t.get("meta", []byte(growing)) != nil; return nil })
		if err == nil && more {
			err = db.e.alone(regrow)
		}
	}
	return err
}

// known refuses what this program did not write.
func (db *DB) known(t tx) error {
	f := t.get("meta", []byte("format"))
	switch {
	case string(f) == format:
		db.id = string(t.get("meta", []byte("store")))
		return nil
	case f != nil:
		return fmt.Errorf("%w: it says %.20q, this version knows %q; start the version that wrote it, or restore a backup of this one",
			ErrFormat, f, format)
	case t.none():
		return ErrNoStore
	}
	return fmt.Errorf("%w: it says none, so another program may have written it; name the right file, or restore a backup", ErrFormat)
}

// sign leaves our name beside the file for whoever finds it held. It is a courtesy: the lock itself is the operating system's, and a
// name that a crash left behind holds nothing and is written over here.
func (db *DB) sign(now time.Time) {
	host, _ := os.Hostname()
	line := fmt.Sprintf("pid %d on %s, %s, since %s", os.Getpid(), host, strings.Join(program(), " "), now.UTC().Format(time.RFC3339))
	if os.WriteFile(db.lock, []byte(line), 0o600) == nil {
		db.line = line
	}
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

// Close lets go of the file, after the changes under way. Everything that was changed is on disk already; changes that come later
// get an error. Closing twice is no error.
func (db *DB) Close() (err error) {
	db.closing.Do(func() {
		// The name goes before the lock, and only if it is ours: whoever takes the lock next signs at once.
		if line, rerr := os.ReadFile(db.lock); rerr == nil && string(line) == db.line {
			_ = os.Remove(db.lock)
		}
		err = db.e.close()
	})
	return err
}

// mostForgotten is by how many requests a store can be behind: whoever can write one name into an archive, or a schedule, must not use up all numbers.
const mostForgotten = 1_000_000

// Past makes the next request's number go past one that was given by an earlier store. It says whether that changed anything.
func (db *DB) Past(by By, id ID) (changed bool, err error) {
	n, ok := id.number()
	if !ok {
		return false, fmt.Errorf("%q is no id", id)
	}
	err = db.change(by, func(t tx) error {
		next := fromU64(t.get("meta", []byte("next")))
		if changed = n >= next; !changed {
			return nil
		}
		if n-next > mostForgotten {
			changed = false
			return fmt.Errorf("%s is of no earlier copy of this store, whose next request is %s: somebody else gave that number", id, idOf(next))
		}
		data := map[string]string{"requests": "go on past those of an earlier store", "next": string(idOf(n + 1))}
		return errors.Join(t.put("meta", []byte("next"), u64(n+1)), appendEvent(t, by, Event{Kind: EventFault, Data: data}))
	})
	return changed, err
}

// Path is where the store is.
func (db *DB) Path() string { return db.path }

// ID is the random identity of the store, which survives backups and copies.
func (db *DB) ID() string { return db.id }

// Backup writes a consistent copy to path while the store is in use, reads all of it as Check does, and only then puts it in place
// of what was there. It holds up no change.
func (db *DB) Backup(path string) error {
	if same(path, db.path) {
		return errors.New("back up: that is the store itself; name another file")
	}
	if st, err := os.Stat(path); err == nil && !st.Mode().IsRegular() {
		return fmt.Errorf("back up: %s is no file", path)
	}
	err := db.e.copyTo(path, func(part string) error {
		e, err := openEngine(part, reading)
		if err != nil {
			return fmt.Errorf("read the copy: %w", err)
		}
		defer e.close()
		return (&DB{e: e}).Check()
	})
	if err != nil {
		return fmt.Errorf("back up: %w", err)
	}
	return nil
}

func same(a, b string) bool {
	x, err1 := os.Stat(a)
	y, err2 := os.Stat(b)
	return err1 == nil && err2 == nil && os.SameFile(x, y)
}
