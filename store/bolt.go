package store

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// engine is the seam: four verbs over named buckets of ordered keys, in transactions that are on disk when they return.
// It is concrete because there is one of it today; a second engine needs these methods and nothing of the lawful changes above.
type engine struct {
	b     *bolt.DB
	file  *os.File // bbolt's own
	group *group
}

// tx is one transaction. Slices it returns are valid until it ends; callers decode or copy.
type tx struct{ t *bolt.Tx }

// How bbolt is opened. InitialMmapSize is address space, not memory: without it a file that grows while somebody reads
// stalls every writer until the reader is done. The timeout is how long a second process waits before it is told who holds the file.
const (
	lockTimeout = 2 * time.Second
	initialMmap = 1 << 30
)

// How a file is opened. Only making lets an empty file pass: bbolt would take it for a first start.
type opening int

const (
	writing opening = iota
	reading         // beside other readers, never beside a writer
	making
)

// openEngine opens the file. A file whose pages are damaged makes bbolt panic, or the processor fault where a page lies beyond the
// end of the file; both become an error here, so that the caller can say what to do instead of dying with a stack, and the lock
// that bbolt leaves behind then is given back.
func openEngine(path string, how opening) (e engine, err error) {
	var file *os.File
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			unlock(file)
			e, err = engine{}, fmt.Errorf("%w: reading it failed with %v", ErrDamaged, p)
		}
	}()
	b, err := bolt.Open(path, 0o600, &bolt.Options{
		Timeout:         lockTimeout,
		FreelistType:    bolt.FreelistMapType,
		PreLoadFreelist: true,
		InitialMmapSize: initialMmap,
		ReadOnly:        how == reading,
		OpenFile: func(name string, flag int, perm os.FileMode) (*os.File, error) {
			f, err := openFile(name, flag, perm, how)
			file = f
			return f, err
		},
	})
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return engine{}, errLocked
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrChecksum), errors.Is(err, bolterrors.ErrVersionMismatch):
		return engine{}, fmt.Errorf("%w: %w", ErrDamaged, err)
	case err != nil:
		if st, serr := os.Stat(path); serr == nil && 0 < st.Size() && st.Size() < int64(2*os.Getpagesize()) {
			return engine{}, fmt.Errorf("%w: it is %d bytes long: %w", ErrDamaged, st.Size(), err)
		}
		return engine{}, err
	}
	e = engine{b, file, &group{}}
	if err := e.whole(); err != nil {
		b.Close()
		return engine{}, err
	}
	return e, nil
}

// openFile is how bbolt gets its file. It makes one only where one is to be made: a volume that vanishes between the question whether
// there is a store and its opening must not come back as an empty one.
func openFile(name string, flag int, perm os.FileMode, how opening) (*os.File, error) {
	if how == making {
		return os.OpenFile(name, flag, perm)
	}
	f, err := os.OpenFile(name, flag&^os.O_CREATE, perm)
	if errors.Is(err, os.ErrNotExist) {
		return nil, ErrNoStore
	}
	if err != nil {
		return nil, err
	}
	if st, err := f.Stat(); err != nil || st.Size() == 0 {
		f.Close()
		return nil, errors.Join(ErrNoStore, err)
	}
	return f, nil
}

// whole finds a file that was cut short: what is missing lies in the map of memory and reading it there ends the program.
func (e engine) whole() error {
	st, err := e.file.Stat()
	if err != nil {
		return err
	}
	return e.view(func(t tx) error {
		if st.Size() < t.t.Size() {
			return fmt.Errorf("%w: it is %d bytes long and should have %d: its end was cut off", ErrDamaged, st.Size(), t.t.Size())
		}
		return nil
	})
}

// view runs fn on what is committed. fn is ours alone, so a panic or a fault in it is damage that was met on the way.
func (e engine) view(fn func(tx) error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: reading it failed with %v", ErrDamaged, p)
		}
	}()
	return e.b.View(func(t *bolt.Tx) error { return fn(tx{t}) })
}

// update runs fn in a transaction that is on disk when it returns. fn may run several times, on another goroutine: see group.
func (e engine) update(fn func(tx) error) error { return e.group.do(e.alone, fn) }

func (e engine) alone(fn func(tx) error) error {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	return e.b.Update(func(t *bolt.Tx) error { return fn(tx{t}) })
}

func (e engine) empty() (empty bool, err error) {
	err = e.view(func(t tx) error {
		empty = t.none()
		return nil
	})
	return empty, err
}

func (e engine) close() error { return e.b.Close() }

// check walks every page that is committed.
func (e engine) check() error {
	return e.view(func(t tx) error { return walkPages(t.t, e.file, e.b.Info().PageSize) })
}

// copyTo writes a consistent copy to a new file beside path, lets good look at it, and only then renames it into place: a copy that
// is no good must not replace the last one that was. It goes through a local file, never straight to a network: a long read
// transaction keeps pages from being reused. A crash leaves a file named .part behind, which nothing reads.
func (e engine) copyTo(path string, good func(part string) error) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".part*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	err = e.snapshot(tmp)
	if err == nil {
		err = tmp.Chmod(0o600)
	}
	if err == nil {
		err = tmp.Sync()
	}
	if cerr := tmp.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = good(tmp.Name())
	}
	if err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// snapshot streams a consistent copy.
func (e engine) snapshot(w io.Writer) error {
	return e.view(func(t tx) error {
		_, err := t.t.WriteTo(w)
		return err
	})
}

// syncDir makes a created or renamed name survive a power failure.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

func (t tx) bucket(name string) error {
	_, err := t.t.CreateBucketIfNotExists([]byte(name))
	return err
}

// none says that nothing was ever put into the file: bbolt makes one in a step of its own, which a crash may end after.
func (t tx) none() bool {
	k, _ := t.t.Cursor().First()
	return k == nil
}

func (t tx) get(bucket string, key []byte) []byte {
	b := t.t.Bucket([]byte(bucket))
	if b == nil {
		return nil
	}
	return b.Get(key)
}

func (t tx) put(bucket string, key, value []byte) error {
	b := t.t.Bucket([]byte(bucket))
	if b == nil {
		return fmt.Errorf("%w: it has no bucket %s", ErrDamaged, bucket)
	}
	return b.Put(key, value)
}

// insert is put for a key that must be new: a sequence that came to be counted twice would write over what is kept under it.
func (t tx) insert(bucket string, key, value []byte) error {
	if t.get(bucket, key) != nil {
		return fmt.Errorf("%w: %s/%x is taken already", ErrDamaged, bucket, key)
	}
	return t.put(bucket, key, value)
}

func (t tx) del(bucket string, key []byte) error {
	b := t.t.Bucket([]byte(bucket))
	if b == nil {
		return fmt.Errorf("%w: it has no bucket %s", ErrDamaged, bucket)
	}
	return b.Delete(key)
}

// scan calls fn for the keys from `from` on (nil: the first) while fn returns true. fn must not change the bucket: bbolt may skip
// keys then; collect first.
func (t tx) scan(bucket string, from []byte, fn func(k, v []byte) bool) {
	b := t.t.Bucket([]byte(bucket))
	if b == nil {
		return
	}
	c := b.Cursor()
	for k, v := c.Seek(from); k != nil; k, v = c.Next() {
		if !fn(k, v) {
			return
		}
	}
}

// scanBack is scan over the keys that begin with prefix, the last first.
func (t tx) scanBack(bucket string, prefix []byte, fn func(k, v []byte) bool) {
	b := t.t.Bucket([]byte(bucket))
	if b == nil {
		return
	}
	c := b.Cursor()
	var k, v []byte
	if len(prefix) == 0 {
		k, v = c.Last()
	} else if end := after(prefix); end == nil {
		k, v = c.Last()
	} else if at, _ := c.Seek(end); at == nil {
		k, v = c.Last()
	} else {
		k, v = c.Prev()
	}
	for ; k != nil && bytes.HasPrefix(k, prefix); k, v = c.Prev() {
		if !fn(k, v) {
			return
		}
	}
}

// after is the first key past everything that begins with prefix; nil where there is none, since prefix is all 0xff.
func after(prefix []byte) []byte {
	p := bytes.Clone(prefix)
	for i := len(p) - 1; i >= 0; i-- {
		if p[i]++; p[i] != 0 {
			return p[:i+1]
		}
	}
	return nil
}
