package store

import (
	"errors"
	"time"
)

// remember is how long a delivery is known again. Slack redelivers events for five minutes; a day leaves room for a workspace that comes back.
const remember = 24 * time.Hour

// forgetAtOnce bounds how many old deliveries one change forgets, so that no change pays for a quiet week.
const forgetAtOnce = 20

func see(t tx, delivery string, at time.Time) error {
	if err := t.put("seen", []byte(delivery), timeKey(at)); err != nil {
		return err
	}
	if err := mark(t, "seenat", join(timeKey(at), []byte(delivery))); err != nil {
		return err
	}
	limit := at.Add(-remember).UnixNano()
	if limit <= 0 {
		return nil // a clock that starts in 1970 must not forget everything
	}
	var old [][]byte
	t.scan("seenat", nil, func(k, _ []byte) bool {
		if fromU64(k) >= uint64(limit) || len(old) == forgetAtOnce {
			return false
		}
		old = append(old, join(k))
		return true
	})
	for _, k := range old {
		if err := errors.Join(t.del("seenat", k), t.del("seen", k[8:])); err != nil {
			return err
		}
	}
	return nil
}

// Receive records a click so that it can be acknowledged. ErrSeen where the same delivery was taken before.
func (db *DB) Receive(by By, c Click) (Click, error) {
	by.Delivery = c.Key
	err := db.change(by, func(t tx) error {
		seq, err := nextSeq(t, "inbox")
		if err != nil {
			return err
		}
		c.Seq, c.At = seq, Moment(by.At)
		return add(t, "inbox", u64(seq), c)
	})
	if err != nil {
		return Click{}, err
	}
	return c, nil
}

// Clicks lists what was acknowledged and not yet acted on, the oldest first, at most that many.
func (db *DB) Clicks(most int) (out []Click, err error) {
	err = db.e.view(func(t tx) error {
		var bad error
		t.scan("inbox", nil, func(k, v []byte) bool {
			if len(out) == most {
				return false
			}
			var c Click
			if bad = decode("inbox", k, v, &c); bad != nil {
				return false
			}
			out = append(out, c)
			return true
		})
		return bad
	})
	return out, err
}

// Waits says whether a click was not acted on yet.
func (db *DB) Waits(seq uint64) (waits bool, err error) {
	err = db.e.view(func(t tx) error {
		waits = t.get("inbox", u64(seq)) != nil
		return nil
	})
	return waits, err
}

// Dismiss ends a click that led to no change of its request, with the line of the log and the answer to whoever clicked.
func (db *DB) Dismiss(by By, c Click, kind string, data map[string]string, answer *Notice) error {
	return db.change(by, func(t tx) error {
		if t.get("inbox", u64(c.Seq)) == nil {
			return nil
		}
		if err := t.del("inbox", u64(c.Seq)); err != nil {
			return err
		}
		if err := appendEvent(t, by, Event{Kind: kind, Request: c.Request, Data: data}); err != nil {
			return err
		}
		if answer == nil {
			return nil
		}
		return tell(t, by.At, *answer)
	})
}

// nextSeq is one more than any entry of that bucket ever had. It is counted in meta, so that a sequence is never given twice, even when
// the entry was removed.
func nextSeq(t tx, bucket string) (uint64, error) {
	n := fromU64(t.get("meta", seqKey(bucket))) + 1
	return n, t.put("meta", seqKey(bucket), u64(n))
}

func seqKey(bucket string) []byte { return []byte("seq " + bucket) }
