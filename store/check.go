package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// mostFaults bounds what Check says: a torn file has one fault for each record.
const mostFaults = 20

// summed are the buckets whose values carry a checksum.
var summed = []string{"requests", "access", "inbox", "outbox", "messages", "events", "facts", "hashes", "parts", "filed", "spoken"}

// indexes are those whose keys do, and whose values are nothing else.
var indexes = []string{"due", "openof", "person", "eventsof", "seenat", "lines"}

// faults collects what is wrong, as far as it is worth saying.
type faults struct {
	list []error
	more int
}

func (f *faults) add(err error) {
	if err == nil {
		return
	}
	if len(f.list) == mostFaults {
		f.more++
		return
	}
	if !errors.Is(err, ErrDamaged) {
		err = fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	f.list = append(f.list, err)
}

func (f *faults) addf(format string, args ...any) { f.add(fmt.Errorf(format, args...)) }

func (f *faults) err() error {
	if f.more > 0 {
		return errors.Join(append(f.list, fmt.Errorf("and %d faults more", f.more))...)
	}
	return errors.Join(f.list...)
}

// Check reads every page and every record, and proves what a start relies on: no record was altered, every request that is not at its
// end is open and has exactly one due key, and no number can be given a second time. All it finds is ErrDamaged. It takes about
// a second for a gigabyte, and holds up no change.
func (db *DB) Check() error {
	if err := db.e.check(); err != nil {
		if errors.Is(err, ErrDamaged) {
			return err
		}
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return db.e.view(checkRecords)
}

func checkRecords(t tx) error {
	f := &faults{}
	for _, b := range buckets {
		if t.t.Bucket([]byte(b)) == nil {
			f.addf("it has no bucket %s", b)
		}
	}
	for _, b := range summed {
		t.scan(b, nil, func(k, v []byte) bool {
			_, err := body(b, k, v)
			f.add(err)
			return true
		})
	}
	for _, b := range indexes {
		t.scan(b, nil, func(k, v []byte) bool {
			if len(v) != sumBytes || binary.BigEndian.Uint32(v) != crc(k, nil) {
				f.addf("the checksum of %s/%x does not match", b, k)
			}
			return true
		})
	}
	checkRequests(t, f)
	checkNumbers(t, f)
	checkTree(t, f)
	return f.err()
}

// checkRequests compares every request with what is derived from it. Only those that are open are decoded whole: there are few, and
// a hundred thousand others.
func checkRequests(t tx, f *faults) {
	open := map[uint64]State{}
	t.scan("open", nil, func(k, v []byte) bool {
		open[fromU64(k)] = State(v)
		return true
	})
	dues := map[uint64]int64{}
	t.scan("due", nil, func(k, _ []byte) bool {
		n := fromU64(k[8:])
		if _, twice := dues[n]; twice {
			f.addf("%s has two due times", idOf(n))
		}
		dues[n] = int64(fromU64(k))
		return true
	})
	of := 0
	t.scan("openof", nil, func(_, _ []byte) bool { of++; return true })
	if of != len(open) {
		f.addf("%d requests are open, and %d by person", len(open), of)
	}
	t.scan("requests", nil, func(k, v []byte) bool {
		n := fromU64(k)
		state, known := stateOf(v)
		if !known || !state.Ended() || open[n] != "" || dues[n] != 0 {
			checkOpen(t, f, k, v, open[n], dues[n])
		}
		delete(open, n)
		delete(dues, n)
		return true
	})
	for n := range open {
		f.addf("%s is open and has no record", idOf(n))
	}
	for n := range dues {
		f.addf("%s is due and has no record", idOf(n))
	}
}

// checkOpen looks at one request that is not at its end, or that some index believes not to be.
func checkOpen(t tx, f *faults, k, v []byte, open State, due int64) {
	var r Request
	id := idOf(fromU64(k))
	if err := decode("requests", k, v, &r); err != nil {
		if _, bad := body("requests", k, v); bad == nil { // else it was said already
			f.add(err)
		}
		return
	}
	switch {
	case r.ID != id:
		f.addf("%s is kept as %s", r.ID, id)
	case !slices.Contains(States(), r.State):
		f.addf("%s is in a state %.20q that there is not", id, r.State)
	case r.State.Ended() && (open != "" || due != 0):
		f.addf("%s is %s, and open or due", id, r.State)
	case r.State.Ended():
	case open != r.State:
		f.addf("%s is %s, and open as %q", id, r.State, open)
	case due == 0 || due != r.Due || due != r.earliest():
		f.addf("%s is %s and its due time does not stand", id, r.State)
	case t.get("openof", ofPerson(&r, k)) == nil, t.get("person", ofPerson(&r, k)) == nil:
		f.addf("%s is missing among those of its person", id)
	}
}

// stateOf reads the state at the head of a record, where encode puts it: decoding every closed request would take a start
// a hundred times as long.
func stateOf(rec []byte) (State, bool) {
	if len(rec) < sumBytes {
		return "", false
	}
	head, rest, ok := bytes.Cut(rec[sumBytes:min(len(rec), sumBytes+80)], []byte(`","state":"`))
	if !ok || !bytes.HasPrefix(head, []byte(`{"id":"`+idPrefix)) {
		return "", false
	}
	s, _, ok := bytes.Cut(rest, []byte{'"'})
	return State(s), ok
}

// checkNumbers proves that what is counted on from lies past everything that was counted. The counters carry no checksum.
func checkNumbers(t tx, f *faults) {
	count := func(bucket string) (n uint64) {
		t.scan(bucket, nil, func(_, _ []byte) bool { n++; return true })
		return n
	}
	// Nothing ever leaves these three.
	if r, p := count("requests"), count("person"); r != p {
		f.addf("there are %d requests, and %d by person", r, p)
	}
	if n, seq := count("events"), fromU64(t.get("meta", seqKey("events"))); n != seq {
		f.addf("there are %d lines of the log, of %d", n, seq)
	}
	last := func(bucket string) (n uint64) {
		t.scanBack(bucket, nil, func(k, _ []byte) bool {
			n = fromU64(k)
			return false
		})
		return n
	}
	if next := fromU64(t.get("meta", []byte("next"))); next < firstNumber || next <= last("requests") {
		f.addf("the next request would be %s, and there is one", idOf(next))
	}
	for _, b := range []string{"events", "outbox", "inbox", "parts"} {
		if n := last(b); n > fromU64(t.get("meta", seqKey(b))) {
			f.addf("%s counts to less than %d, which is taken", b, n)
		}
	}
}
