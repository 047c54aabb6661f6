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
	if err := t.put("seenat", join(timeKey(at), []byte(delivery)), nil); err != nil {
		return err
	}
	var old [][]byte
	limit := uint64(at.Add(-remember).UnixNano())
	t.scan("seenat", nil, func(k, _ []byte) bool {
		if fromU64(k) >= limit || len(old) == forgetAtOnce {
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
		c.Seq = nextSeq(t, "inbox")
		c.At = Moment(by.At)
		return save(t, "inbox", u64(c.Seq), c)
	})
	return c, err
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

// nextSeq is one more than the last key of a bucket of sequences, kept by the engine so that a sequence is never given twice, even
// when the entry was removed.
func nextSeq(t tx, bucket string) uint64 {
	key := []byte("seq " + bucket)
	n := fromU64(t.get("meta", key)) + 1
	if err := t.put("meta", key, u64(n)); err != nil {
		return 0 // the transaction is lost anyway: every put in it fails alike
	}
	return n
}
