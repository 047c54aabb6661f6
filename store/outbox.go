package store

import (
	"math"
	"time"
)

func tell(t tx, at time.Time, n Notice) error {
	seq, err := nextSeq(t, "outbox")
	if err != nil {
		return err
	}
	n.Seq, n.At = seq, Moment(at)
	return add(t, "outbox", u64(seq), n)
}

// Tell puts a notice that belongs to no request into the outbox, with a line of the log.
func (db *DB) Tell(by By, n Notice, kind string, data map[string]string) error {
	return db.change(by, func(t tx) error {
		if err := appendEvent(t, by, Event{Kind: kind, Request: n.Request, Data: data}); err != nil {
			return err
		}
		return tell(t, by.At, n)
	})
}

// Notices lists what is still to be told, the oldest first, from after that sequence number, at most that many.
func (db *DB) Notices(after uint64, most int) (out []Notice, err error) {
	if after == math.MaxUint64 {
		return nil, nil
	}
	err = db.e.view(func(t tx) error {
		var bad error
		t.scan("outbox", u64(after+1), func(k, v []byte) bool {
			if len(out) == most {
				return false
			}
			var n Notice
			if bad = decode("outbox", k, v, &n); bad != nil {
				return false
			}
			out = append(out, n)
			return true
		})
		return bad
	})
	return out, err
}

// Begin records that a notice is about to be told, before it is. When it was begun before and never finished, the answer was
// lost and the message may come to stand twice: that is a line of the log, since Slack has no key by which to ask.
func (db *DB) Begin(by By, seq uint64, twice bool) error {
	return db.withNotice(by, seq, func(t tx, n *Notice) error {
		n.Attempts++
		if n.Attempts > 1 && twice { // tries that certainly came to nothing are not counted
			data := map[string]string{"notice": n.Kind, "message": n.Message}
			if err := appendEvent(t, by, Event{Kind: EventRepeated, Request: n.Request, Data: data}); err != nil {
				return err
			}
		}
		return save(t, "outbox", u64(seq), n)
	})
}

// Told ends a notice: it stands at ref. dropped says why it never will, where it cannot be told; that is a line of the log.
func (db *DB) Told(by By, seq uint64, ref Ref, dropped string) error {
	return db.withNotice(by, seq, func(t tx, n *Notice) error {
		if dropped != "" {
			data := map[string]string{"notice": n.Kind, "to": n.To, "error": dropped}
			if err := appendEvent(t, by, Event{Kind: EventFault, Request: n.Request, Data: data}); err != nil {
				return err
			}
		} else if n.Message != "" && ref.TS != "" {
			if err := save(t, "messages", refKey(n.Request, n.Message), Ref{Channel: ref.Channel, TS: ref.TS}); err != nil {
				return err
			}
		}
		if dropped == "" {
			if err := speak(t, by.At, n, ref); err != nil {
				return err
			}
		}
		return t.del("outbox", u64(seq))
	})
}

// Postpone keeps a notice for later: it was not told, for sure (unsure: perhaps), and why.
func (db *DB) Postpone(by By, seq uint64, until time.Time, unsure bool, why string) error {
	return db.withNotice(by, seq, func(t tx, n *Notice) error {
		n.NotUntil, n.Error = Moment(until), why
		if !unsure && n.Attempts > 0 {
			n.Attempts--
		}
		return save(t, "outbox", u64(seq), n)
	})
}

func (db *DB) withNotice(by By, seq uint64, fn func(tx, *Notice) error) error {
	return db.change(by, func(t tx) error {
		var n Notice
		found, err := fetch(t, "outbox", u64(seq), &n)
		if err != nil || !found {
			return err
		}
		return fn(t, &n)
	})
}

func refKey(id ID, name string) []byte {
	n, _ := id.number()
	return join(u64(n), []byte{0}, []byte(name))
}

// Ref says where a message that is edited through the life of a request stands; known is false before it was posted.
func (db *DB) Ref(id ID, name string) (ref Ref, known bool, err error) {
	err = db.e.view(func(t tx) error {
		known, err = fetch(t, "messages", refKey(id, name), &ref)
		return err
	})
	return ref, known, err
}
