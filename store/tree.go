package store

import (
	"fmt"

	"breakglass/store/ledger"
)

// The Merkle tree over the lines of the log: every line adds its hashes in its own transaction, so that the log and its proofs are never apart. Line
// n is the exact text of the event with sequence n.

// LogLine is a line of the log as it is hashed, signed for and archived.
type LogLine struct {
	N    uint64 // from 1
	Text []byte // the event's JSON
}

// hashes reads the tree within a transaction.
func hashes(t tx) ledger.HashReader {
	return ledger.HashReaderFunc(func(indexes []int64) ([]ledger.Hash, error) {
		out := make([]ledger.Hash, len(indexes))
		for i, n := range indexes {
			key := u64(uint64(n))
			rec := t.get("hashes", key)
			if rec == nil {
				return nil, fmt.Errorf("%w: hashes/%x is missing", ErrDamaged, key)
			}
			b, err := body("hashes", key, rec)
			if err != nil {
				return nil, err
			}
			if len(b) != len(out[i]) {
				return nil, fmt.Errorf("%w: hashes/%x is %d bytes long", ErrDamaged, key, len(b))
			}
			copy(out[i][:], b)
		}
		return out, nil
	})
}

// grow adds a line to the tree.
func grow(t tx, n uint64, text []byte) error {
	first, made, err := ledger.Append(n-1, text, hashes(t))
	if err != nil {
		return fmt.Errorf("add line %d to the log's tree: %w", n, err)
	}
	for i, h := range made {
		key := u64(uint64(first) + uint64(i))
		if err := t.insert("hashes", key, append(sum(key, h[:]), h[:]...)); err != nil {
			return err
		}
	}
	return nil
}

// growing is where meta has how many lines have their hashes while the tree of a store that an earlier version wrote is made: some lines in each
// transaction, so that a log of a million neither fills the memory nor begins anew after a crash. There is none once it is done.
const (
	growing     = "growing"
	grownAtOnce = 20_000
)

// regrow makes some more of that tree.
func regrow(t tx) (err error) {
	done := fromU64(t.get("meta", []byte(growing)))
	first := done
	t.scan("events", u64(done+1), func(k, v []byte) bool {
		var text []byte
		if text, err = body("events", k, v); err == nil {
			err = grow(t, fromU64(k), text)
		}
		done = fromU64(k)
		return err == nil && done-first < grownAtOnce
	})
	switch {
	case err != nil:
		return err
	case done == first:
		return t.del("meta", []byte(growing))
	}
	return t.put("meta", []byte(growing), u64(done))
}

func size(t tx) uint64 { return fromU64(t.get("meta", seqKey("events"))) }

// Root is how many lines the log has and the hash over all of them.
func (db *DB) Root() (lines uint64, root ledger.Hash, err error) {
	err = db.e.view(func(t tx) error {
		lines = size(t)
		root, err = ledger.Root(lines, hashes(t))
		return err
	})
	return lines, root, err
}

// Lines reads the log's lines from n on, at most that many.
func (db *DB) Lines(from uint64, most int) (out []LogLine, err error) {
	err = db.e.view(func(t tx) error {
		var bad error
		t.scan("events", u64(max(from, 1)), func(k, v []byte) bool {
			if len(out) == most {
				return false
			}
			var text []byte
			if text, bad = body("events", k, v); bad != nil {
				return false
			}
			out = append(out, LogLine{N: fromU64(k), Text: append([]byte(nil), text...)})
			return true
		})
		return bad
	})
	return out, err
}

// Proved is the lines of a request among the log's first so many, each with its proof, as lines of JSON: what stands in an archive as lines.jsonl.
func (db *DB) Proved(id ID, lines uint64) (out [][]byte, err error) {
	number, ok := id.number()
	if !ok {
		return nil, ErrNotFound
	}
	err = db.e.view(func(t tx) error {
		var bad error
		t.scan("eventsof", u64(number), func(k, _ []byte) bool {
			n := fromU64(k[8:])
			if fromU64(k) != number || n > lines {
				return false
			}
			var b, text []byte
			if text, bad = body("events", k[8:], t.get("events", k[8:])); bad == nil {
				b, bad = ledger.ProveLine(n, text, lines, hashes(t))
			}
			out = append(out, b)
			return bad == nil
		})
		return bad
	})
	return out, err
}

// Knows says whether a checkpoint tells of this log: ledger.ErrNotPrefix where the log was restored from an older copy, or rewritten.
func (db *DB) Knows(c ledger.Checkpoint) error {
	return db.e.view(func(t tx) error { return ledger.Prefix(c, size(t), hashes(t)) })
}

// checkTree proves that there are as many hashes as the log's lines have; each has a checksum of its own.
func checkTree(t tx, f *faults) {
	n := int64(0)
	t.scan("hashes", nil, func(_, _ []byte) bool { n++; return true })
	if want := ledger.Stored(size(t)); n != want {
		f.addf("the log's tree has %d hashes, of %d", n, want)
	}
}
