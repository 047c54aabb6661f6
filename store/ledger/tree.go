package ledger

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math"

	"golang.org/x/mod/sumdb/tlog"
)

// Hash is a node of the tree; as JSON it is standard base64.
type Hash = tlog.Hash

// HashReader reads stored hashes by their indexes.
type HashReader = tlog.HashReader

// HashReaderFunc is a function as a HashReader.
type HashReaderFunc = tlog.HashReaderFunc

// ErrProof: what was to be proved does not follow from the proof.
var ErrProof = errors.New("the proof does not hold")

// Append is what a new line adds to the stored hashes of a log that had size lines: they belong at first and the indexes after it. On average
// these are two hashes, and one is read for them.
func Append(size uint64, line []byte, r HashReader) (first int64, hashes []Hash, err error) {
	n, err := count(size)
	if err != nil {
		return 0, nil, err
	}
	hashes, err = tlog.StoredHashes(n, line, r)
	if err != nil {
		return 0, nil, fmt.Errorf("hash line %d: %w", size+1, err)
	}
	return tlog.StoredHashCount(n), hashes, nil
}

// Stored is how many hashes are stored for a log of size lines: their indexes run from 0 to one less.
func Stored(size uint64) int64 {
	n, err := count(size)
	if err != nil {
		return 0
	}
	return tlog.StoredHashCount(n)
}

// Root is the hash over the first size lines.
func Root(size uint64, r HashReader) (Hash, error) {
	n, err := count(size)
	if err != nil {
		return Hash{}, err
	}
	if n == 0 {
		return sha256.Sum256(nil), nil
	}
	h, err := tlog.TreeHash(n, r)
	if err != nil {
		return Hash{}, fmt.Errorf("root of %d lines: %w", size, err)
	}
	return h, nil
}

// Prove is the proof that line n, from 1, stands in the log's first size lines.
func Prove(n, size uint64, r HashReader) ([]Hash, error) {
	t, err := count(size)
	if err != nil {
		return nil, err
	}
	if n == 0 || n > size {
		return nil, fmt.Errorf("prove line %d of %d: there is no such line", n, size)
	}
	p, err := tlog.ProveRecord(t, int64(n-1), r)
	if err != nil {
		return nil, fmt.Errorf("prove line %d of %d: %w", n, size, err)
	}
	if p == nil {
		p = tlog.RecordProof{} // [] and not null in JSON
	}
	return p, nil
}

// CheckLine says whether the proof shows that line n, from 1, is line in the tree of that size and root; what is wrong is ErrProof.
func CheckLine(n uint64, line []byte, proof []Hash, size uint64, root Hash) error {
	return checkLeaf(n, tlog.RecordHash(line), proof, size, root)
}

func checkLeaf(n uint64, leaf Hash, proof []Hash, size uint64, root Hash) error {
	t, err := count(size)
	if err != nil || n == 0 || n > size {
		return fmt.Errorf("%w: line %d of %d", ErrProof, n, size)
	}
	if tlog.CheckRecord(proof, t, root, int64(n-1), leaf) != nil {
		return fmt.Errorf("%w: line %d of %d", ErrProof, n, size)
	}
	return nil
}

// ProvePrefix is the proof that the first lines of a log, as many as before, are a prefix of the first size.
func ProvePrefix(before, size uint64, r HashReader) ([]Hash, error) {
	t, err := count(size)
	if err != nil {
		return nil, err
	}
	if before == 0 || before > size {
		return nil, fmt.Errorf("prove that %d lines are a prefix of %d: they cannot be", before, size)
	}
	p, err := tlog.ProveTree(t, int64(before), r)
	if err != nil {
		return nil, fmt.Errorf("prove that %d lines are a prefix of %d: %w", before, size, err)
	}
	if p == nil {
		p = tlog.TreeProof{}
	}
	return p, nil
}

// CheckPrefix says whether the proof shows that before is a prefix of now; what is wrong is ErrProof.
func CheckPrefix(before, now Checkpoint, proof []Hash) error {
	if before.Size == 0 || before.Size > now.Size || now.Size > math.MaxInt64/4 {
		return fmt.Errorf("%w: %d lines as a prefix of %d", ErrProof, before.Size, now.Size)
	}
	if tlog.CheckTree(proof, int64(now.Size), now.Root, int64(before.Size), before.Root) != nil {
		return fmt.Errorf("%w: %d lines as a prefix of %d", ErrProof, before.Size, now.Size)
	}
	return nil
}

// ErrNotPrefix: a checkpoint tells of other lines than the log has, or of more.
var ErrNotPrefix = errors.New("the checkpoint is not of this log")

// Prefix says whether a checkpoint tells of the first lines of a log that has size lines, for a caller who has its stored hashes. What is wrong is
// ErrNotPrefix: the log was restored from an older copy, or rewritten. The origin is not looked at.
func Prefix(c Checkpoint, size uint64, r HashReader) error {
	if c.Size > size {
		return fmt.Errorf("%w: it knows %d lines, and there are %d", ErrNotPrefix, c.Size, size)
	}
	root, err := Root(c.Size, r)
	if err != nil {
		return err
	}
	if root != c.Root {
		return fmt.Errorf("%w: the first %d lines are others", ErrNotPrefix, c.Size)
	}
	return nil
}

// count refuses sizes whose stored hashes could not be numbered.
func count(size uint64) (int64, error) {
	if size > math.MaxInt64/4 {
		return 0, fmt.Errorf("a log of %d lines is not possible", size)
	}
	return int64(size), nil
}

// tree grows line by line and remembers only its right edge, so that a log of any length is hashed in the memory of a few hashes.
type tree struct {
	size uint64
	edge []Hash // the roots of the complete trees the lines fall into, the biggest first
}

// add takes a leaf; made, where not nil, is given the new nodes in the order in which they are stored.
func (t *tree) add(leaf Hash, made func(Hash)) {
	h := leaf
	if made != nil {
		made(h)
	}
	for n := t.size; n&1 == 1; n >>= 1 {
		last := len(t.edge) - 1
		h = tlog.NodeHash(t.edge[last], h)
		t.edge = t.edge[:last]
		if made != nil {
			made(h)
		}
	}
	t.edge = append(t.edge, h)
	t.size++
}

func (t *tree) root() Hash {
	if len(t.edge) == 0 {
		return sha256.Sum256(nil)
	}
	h := t.edge[len(t.edge)-1]
	for i := len(t.edge) - 2; i >= 0; i-- {
		h = tlog.NodeHash(t.edge[i], h)
	}
	return h
}
