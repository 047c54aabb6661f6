package store

import (
	"fmt"
	"time"
)

// Request reads one request. ErrNotFound where there is none.
func (db *DB) Request(id ID) (Request, error) {
	var r Request
	n, ok := id.number()
	if !ok {
		return r, fmt.Errorf("%s: %w", id, ErrNotFound)
	}
	err := db.e.view(func(t tx) error {
		found, err := fetch(t, "requests", u64(n), &r)
		if err == nil && !found {
			err = fmt.Errorf("%s: %w", id, ErrNotFound)
		}
		return err
	})
	return r, err
}

// Open reads all requests that are not at their end, the oldest first.
func (db *DB) Open() (out []Request, err error) {
	err = db.e.view(func(t tx) error {
		var bad error
		t.scan("open", nil, func(k, _ []byte) bool {
			var r Request
			if bad = must(t, "requests", k, &r); bad != nil {
				return false
			}
			out = append(out, r)
			return true
		})
		return bad
	})
	return out, err
}

// Tally counts the requests that are not at their end, by state, without reading them.
func (db *DB) Tally() (map[State]int, error) {
	counts := map[State]int{}
	err := db.e.view(func(t tx) error {
		t.scan("open", nil, func(_, v []byte) bool {
			counts[State(v)]++
			return true
		})
		return nil
	})
	return counts, err
}

// OpenOf reads the requests of a person that are not at their end, the newest first.
func (db *DB) OpenOf(userID string) (out []Request, err error) {
	err = db.e.view(func(t tx) error {
		out, err = openOf(t, userID)
		return err
	})
	return out, err
}

// OfPerson reads the newest requests of a person, at most that many, ended ones included.
func (db *DB) OfPerson(userID string, most int) (out []Request, err error) {
	prefix := join([]byte(userID), []byte{0})
	err = db.e.view(func(t tx) error {
		var bad error
		t.scanBack("person", prefix, func(k, _ []byte) bool {
			if len(out) == most {
				return false
			}
			var r Request
			if bad = must(t, "requests", k[len(prefix):], &r); bad != nil {
				return false
			}
			out = append(out, r)
			return true
		})
		return bad
	})
	return out, err
}

// Due is a request that must be looked at, since when, and where it stands.
type Due struct {
	ID    ID
	Since time.Time
	State State
}

// Due lists what is due by now, the most overdue first, at most that many. Its cost is what it returns, not what the store holds.
func (db *DB) Due(now time.Time, most int) (out []Due, err error) {
	limit := uint64(now.UnixNano())
	err = db.e.view(func(t tx) error {
		t.scan("due", nil, func(k, _ []byte) bool {
			at := fromU64(k)
			if at > limit || len(out) == most {
				return false
			}
			d := Due{ID: idOf(fromU64(k[8:])), Since: time.Unix(0, int64(at)).UTC()}
			d.State = State(t.get("open", k[8:]))
			out = append(out, d)
			return true
		})
		return nil
	})
	return out, err
}

// Access reads the desired state of a tuple; known is false where nothing of ours is in force there.
func (db *DB) Access(tu Tuple) (a Access, known bool, err error) {
	err = db.e.view(func(t tx) error {
		known, err = fetch(t, "access", tu.key(), &a)
		return err
	})
	return a, known, err
}

// EachRequest reads every request, the oldest first, while each returns true.
func (db *DB) EachRequest(each func(Request) bool) error {
	for from := uint64(0); ; {
		var page []Request
		err := db.e.view(func(t tx) error {
			var bad error
			t.scan("requests", u64(from), func(k, v []byte) bool {
				var r Request
				if bad = decode("requests", k, v, &r); bad != nil {
					return false
				}
				from = fromU64(k) + 1
				page = append(page, r)
				return len(page) < 500 // a long read would keep pages of the file from being used again
			})
			return bad
		})
		if err != nil || len(page) == 0 {
			return err
		}
		for _, r := range page {
			if !each(r) {
				return nil
			}
		}
	}
}
