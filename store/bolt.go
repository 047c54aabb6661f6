package store

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"
)

// engine is the seam: four verbs over named buckets of ordered keys, in transactions that are on disk when they return.
// It is concrete because there is one of it today; a second engine needs these methods and nothing of the lawful changes above.
type engine struct {
	b     *bolt.DB
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

// openEngine opens the file. A file whose pages are damaged makes bbolt panic; that becomes an error here, so that
// the caller can say what to do instead of dying with a stack.
func openEngine(path string, readOnly bool) (e engine, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: reading it failed with %v", ErrDamaged, p)
		}
	}()
	b, err := bolt.Open(path, 0o600, &bolt.Options{
		Timeout:         lockTimeout,
		FreelistType:    bolt.FreelistMapType,
		InitialMmapSize: initialMmap,
		ReadOnly:        readOnly,
	})
	switch {
	case errors.Is(err, bolt.ErrTimeout):
		return engine{}, errLocked
	case errors.Is(err, bolt.ErrInvalid), errors.Is(err, bolt.ErrChecksum), errors.Is(err, bolt.ErrVersionMismatch):
		return engine{}, fmt.Errorf("%w: %w", ErrDamaged, err)
	case err != nil:
		return engine{}, err
	}
	return engine{b, &group{}}, nil
}

func (e engine) view(fn func(tx) error) error {
	return e.b.View(func(t *bolt.Tx) error { return fn(tx{t}) })
}
func (e engine) update(fn func(tx) error) error {
	return e.b.Update(func(t *bolt.Tx) error { return fn(tx{t}) })
}
func (e engine) close() error { return e.b.Close() }

// check walks every page. It is quick enough (400,000 keys in a tenth of a second) for every backup, and for a start after a crash.
func (e engine) check() error {
	return e.b.View(func(t *bolt.Tx) error {
		var first error
		for err := range t.Check() {
			if first == nil {
				first = err
			}
		}
		return first
	})
}

// copyTo writes a consistent copy to a new file beside path and renames it into place. It goes through a local file, never straight
// to a network: a long read transaction keeps pages from being reused.
func (e engine) copyTo(path string) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".part*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	err = e.b.View(func(t *bolt.Tx) error {
		_, err := t.WriteTo(tmp)
		return err
	})
	if err == nil {
		err = tmp.Chmod(0o600)
	}
	if err == nil {
		err = tmp.Sync()
	}
	if cerr := tmp.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// snapshot streams a consistent copy, for tests that crash.
func (e engine) snapshot(w io.Writer) error {
	return e.b.View(func(t *bolt.Tx) error {
		_, err := t.WriteTo(w)
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

func (t tx) get(bucket string, key []byte) []byte {
	b := t.t.Bucket([]byte(bucket))
	if b == nil {
		return nil
	}
	return b.Get(key)
}

func (t tx) put(bucket string, key, value []byte) error {
	return t.t.Bucket([]byte(bucket)).Put(key, value)
}

func (t tx) del(bucket string, key []byte) error {
	return t.t.Bucket([]byte(bucket)).Delete(key)
}

// scan calls fn for the keys from `from` on (nil: the first) while fn returns true. backwards goes from the last key with
// the prefix `from` down. fn must not change the bucket: bbolt may skip keys then; collect first.
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
	} else if k, v = c.Seek(after(prefix)); k == nil {
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

// after is the first key past everything that begins with prefix.
func after(prefix []byte) []byte {
	p := bytes.Clone(prefix)
	for i := len(p) - 1; i >= 0; i-- {
		if p[i]++; p[i] != 0 {
			return p[:i+1]
		}
	}
	return append(bytes.Clone(prefix), 0xff)
}
