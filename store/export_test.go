package store

import (
	"io"
	"os"
	"path/filepath"
)

// What tests from outside need of the inside. Nothing of it is in a build.

// Snapshot streams what is committed.
func (db *DB) Snapshot(w io.Writer) error { return db.e.snapshot(w) }

// Dump is every key and value, by bucket.
func (db *DB) Dump() map[string]map[string]string {
	all := map[string]map[string]string{}
	err := db.e.view(func(t tx) error {
		for _, b := range buckets {
			all[b] = map[string]string{}
			t.scan(b, nil, func(k, v []byte) bool {
				all[b][string(k)] = string(v)
				return true
			})
		}
		return nil
	})
	if err != nil {
		panic(err)
	}
	return all
}

// Put writes past all law; a nil value deletes.
func (db *DB) Put(bucket string, key, value []byte) error {
	return db.e.update(func(t tx) error {
		if value == nil {
			return t.del(bucket, key)
		}
		return t.put(bucket, key, value)
	})
}

// DropBucket takes a whole bucket away.
func (db *DB) DropBucket(name string) error {
	return db.e.update(func(t tx) error { return t.t.DeleteBucket([]byte(name)) })
}

// Fill writes closed requests with two events each in large transactions, as years of work would have left them.
func (db *DB) Fill(count int, r Request, by By) error {
	for done := 0; done < count; {
		err := db.e.alone(func(t tx) error {
			for i := 0; i < 10_000 && done < count; i++ {
				n := fromU64(t.get("meta", []byte("next")))
				if err := t.put("meta", []byte("next"), u64(n+1)); err != nil {
					return err
				}
				q := r.clone()
				q.ID, q.Due = idOf(n), 0
				c := &Change{Request: &q, By: by, t: t}
				if err := c.Log(EventSubmitted, nil); err != nil {
					return err
				}
				if err := c.Log(EventMoved, nil); err != nil {
					return err
				}
				if err := mark(t, "person", ofPerson(&q, u64(n))); err != nil {
					return err
				}
				if err := c.write(0); err != nil {
					return err
				}
				done++
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Limit bounds the file, as a full disk would; 0 takes the bound away.
func (db *DB) Limit(size int) { db.e.b.MaxSize = size }

// ID bytes, records and keys.
var (
	Key    = u64
	Encode = encode
	After  = after
	Marked = func(key []byte) []byte { return sum(key, nil) }
)

// DecodeRequest reads a record of a request.
func DecodeRequest(rec []byte) (r Request, err error) {
	err = decode("requests", nil, rec, &r)
	return r, err
}

// StateOf is the quick reading of a state that Check relies on.
func StateOf(rec []byte) (State, bool) { return stateOf(rec) }

// ScanBack lists the keys with a prefix, the last first.
func (db *DB) ScanBack(bucket string, prefix []byte) (keys []string, err error) {
	err = db.e.view(func(t tx) error {
		t.scanBack(bucket, prefix, func(k, _ []byte) bool {
			keys = append(keys, string(k))
			return true
		})
		return nil
	})
	return keys, err
}

// LeaveEmpty makes what an interrupted beginning leaves: the pages of bbolt and nothing in them.
func LeaveEmpty(path string) error {
	e, err := openEngine(path, making)
	if err != nil {
		return err
	}
	return e.close()
}

// Foreign makes a bbolt file of another program.
func Foreign(path string) error {
	e, err := openEngine(path, making)
	if err != nil {
		return err
	}
	err = e.alone(func(t tx) error { return t.bucket("theirs") })
	e.close()
	return err
}

// The bounds of forgetting.
const (
	Remember     = remember
	ForgetAtOnce = forgetAtOnce
)

// Leftovers are files beside the store that nobody needs.
func Leftovers(dir string) []string {
	var names []string
	for _, pattern := range []string{"*.new*", "*.part*"} {
		found, _ := filepath.Glob(filepath.Join(dir, pattern))
		names = append(names, found...)
	}
	return names
}

// Unsigned takes the name away that says who holds the store.
func (db *DB) Unsigned() error { return os.Remove(db.lock) }

// Alone changes without a group, for comparison.
func (db *DB) Alone(by By, kind string) error {
	return db.e.alone(func(t tx) error { return appendEvent(t, by, Event{Kind: kind}) })
}
