package store

import (
	"math"
	"time"
)

func appendEvent(t tx, by By, e Event) error {
	seq, err := nextSeq(t, "events")
	if err != nil {
		return err
	}
	e.Seq, e.At, e.Actor = seq, Moment(by.At), by.Actor
	if err := seen(t, e.At); err != nil {
		return err
	}
	rec, err := encode(u64(seq), e)
	if err != nil {
		return err
	}
	if err := t.insert("events", u64(seq), rec); err != nil {
		return err
	}
	if err := grow(t, seq, rec[sumBytes:]); err != nil {
		return err
	}
	if n, ok := e.Request.number(); ok {
		return mark(t, "eventsof", join(u64(n), u64(e.Seq)))
	}
	return nil
}

// Log writes a line about the program as a whole.
func (db *DB) Log(by By, kind string, data map[string]string) error {
	return db.change(by, func(t tx) error {
		return appendEvent(t, by, Event{Kind: kind, Data: data})
	})
}

// LogOf writes a line about a request that is not moved by it: an effect is about to be tried, or a click was refused.
func (db *DB) LogOf(by By, id ID, kind string, data map[string]string) error {
	return db.change(by, func(t tx) error {
		return appendEvent(t, by, Event{Kind: kind, Request: id, Data: data})
	})
}

// EventsOf reads the log of one request, in order.
func (db *DB) EventsOf(id ID) (out []Event, err error) {
	n, ok := id.number()
	if !ok {
		return nil, ErrNotFound
	}
	err = db.e.view(func(t tx) error {
		var bad error
		t.scan("eventsof", u64(n), func(k, _ []byte) bool {
			if fromU64(k) != n {
				return false
			}
			var e Event
			if bad = must(t, "events", k[8:], &e); bad != nil {
				return false
			}
			out = append(out, e)
			return true
		})
		return bad
	})
	return out, err
}

// latest is where meta has the latest time that was ever seen, in unix nanoseconds. It is not that of the last line: somebody may set a clock back.
const latest = "latest"

func seen(t tx, at time.Time) error {
	if n := at.UnixNano(); n > int64(fromU64(t.get("meta", []byte(latest)))) {
		return t.put("meta", []byte(latest), u64(uint64(n)))
	}
	return nil
}

// Beat remembers that it was this late, while nothing else is written.
func (db *DB) Beat(at time.Time) error {
	return db.e.update(func(t tx) error { return seen(t, at) })
}

// Rebase takes an earlier time for right, with the line of the log that says so: nothing that was written may depend on the later one any more.
func (db *DB) Rebase(by By, data map[string]string) error {
	return db.change(by, func(t tx) error {
		if err := t.put("meta", []byte(latest), u64(uint64(by.At.UnixNano()))); err != nil {
			return err
		}
		return appendEvent(t, by, Event{Kind: EventFault, Data: data})
	})
}

// Latest is the latest time that was ever seen; the zero time in a store nothing was ever written to.
func (db *DB) Latest() (at time.Time, err error) {
	err = db.e.view(func(t tx) error {
		if v := t.get("meta", []byte(latest)); v != nil {
			at = time.Unix(0, int64(fromU64(v))).UTC()
			return nil
		}
		var bad error // written by a version that did not keep it
		t.scanBack("events", nil, func(k, v []byte) bool {
			var e Event
			bad = decode("events", k, v, &e)
			at = e.At
			return false
		})
		return bad
	})
	return at, err
}

// Events reads the log from after a sequence number on, at most that many lines.
func (db *DB) Events(after uint64, most int) (out []Event, err error) {
	if after == math.MaxUint64 {
		return nil, nil
	}
	err = db.e.view(func(t tx) error {
		var bad error
		t.scan("events", u64(after+1), func(k, v []byte) bool {
			if len(out) == most {
				return false
			}
			var e Event
			if bad = decode("events", k, v, &e); bad != nil {
				return false
			}
			out = append(out, e)
			return true
		})
		return bad
	})
	return out, err
}

// Fact reads a small fact.
func (db *DB) Fact(name string) (value string, known bool, err error) {
	err = db.e.view(func(t tx) error {
		known, err = fetch(t, "facts", []byte(name), &value)
		return err
	})
	return value, known, err
}

// SetFact writes a small fact with the line of the log that tells of it; no such fact changes in silence.
func (db *DB) SetFact(by By, name, value, kind string, data map[string]string) error {
	return db.Announce(by, name, value, kind, data, nil)
}

// Announce is SetFact with what people are to be told of it, in one transaction. n may be nil.
func (db *DB) Announce(by By, name, value, kind string, data map[string]string, n *Notice) error {
	return db.change(by, func(t tx) error {
		if err := appendEvent(t, by, Event{Kind: kind, Data: data}); err != nil {
			return err
		}
		if n != nil {
			if err := tell(t, by.At, *n); err != nil {
				return err
			}
		}
		return save(t, "facts", []byte(name), value)
	})
}
