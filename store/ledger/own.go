package ledger

import (
	"context"
	"fmt"
	"iter"
)

// Own is a store's own log, without an archive.
type Own struct {
	Lines       iter.Seq2[[]byte, error] // from line 1 on; a line is valid until the next
	Size        uint64                   // how many lines the stored hashes are of
	Hashes      HashReader               // the stored hashes; nil: they are not compared
	Checkpoints []Named                  // what the store kept of its own, of its present epoch
}

// VerifyLog recomputes a store's own log and compares it with its stored hashes, each of them, with its own checkpoints and with those of
// o.Witnessed. Of o, Live is not used.
func VerifyLog(ctx context.Context, own Own, o Options) (Report, error) {
	if len(o.Keys) == 0 {
		return Report{}, ErrNoKey
	}
	v := newVerifier(o)
	for _, c := range own.Checkpoints {
		v.claim(c.Name, c.Note)
	}
	v.readWitnessed()
	order := v.inOrder() // the store has but one log: the newest that its checkpoints tell of
	e := order[len(order)-1]
	e.prev = nil
	v.epochs = map[int]*epoch{e.n: e}
	var want []uint64
	for _, c := range v.claims {
		if c.epoch == e.n {
			want = append(want, c.Size)
		}
	}
	stored := &storedHashes{e: e, r: own.Hashes, most: Stored(own.Size), out: v.out}
	if own.Hashes != nil {
		e.made = stored.made
	}
	e.begin(want)
	if err := v.readOwn(ctx, e, own); err != nil {
		return Report{}, err
	}
	stored.compare()
	v.judge()
	return v.report(), nil
}

func (v *verifier) readOwn(ctx context.Context, e *epoch, own Own) error {
	for b, err := range own.Lines {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := e.lines + 1
		if err != nil {
			v.out.add(Finding{Code: CodeUnreadable, Object: theStore, Line: n, rank: rankLog, epoch: e.n, Text: fmt.Sprintf("line %d cannot be read: %v", n, err)})
			e.tear(n)
			break
		}
		e.lines = n
		e.line(theStore, n, b)
		if n%10000 == 0 {
			v.progress("lines", int(n), int(own.Size))
		}
	}
	if own.Hashes != nil && e.lines != own.Size {
		v.out.add(Finding{Code: CodeHash, Object: theStore, Line: min(e.lines, own.Size) + 1, rank: rankLog, epoch: e.n, Text: fmt.Sprintf("it has %d lines, and hashes of %d", e.lines, own.Size)})
	}
	return nil
}

// storedHashes compares the nodes of the tree with those that are stored, some at a time.
type storedHashes struct {
	e       *epoch
	r       HashReader
	out     *findings
	most    int64 // so many are stored
	indexes []int64
	hashes  []Hash
	next    int64
	told    bool
}

const hashesAtOnce = 1024

func (s *storedHashes) made(h Hash) {
	if s.next < s.most && !s.told {
		s.indexes, s.hashes = append(s.indexes, s.next), append(s.hashes, h)
	}
	s.next++
	if len(s.indexes) == hashesAtOnce {
		s.compare()
	}
}

func (s *storedHashes) compare() {
	if s.r == nil || len(s.indexes) == 0 || s.told {
		return
	}
	got, err := s.r.ReadHashes(s.indexes)
	if err != nil || len(got) != len(s.indexes) {
		s.told = true
		s.out.add(Finding{Code: CodeHash, Object: theStore, rank: rankLog, epoch: s.e.n, Text: fmt.Sprintf("its stored hashes from %d on cannot be read: %v", s.indexes[0], err)})
		return
	}
	for i := range got {
		if got[i] != s.hashes[i] {
			s.told = true
			line := lineOf(s.indexes[i])
			s.out.add(Finding{Code: CodeHash, Object: theStore, Line: line, rank: rankLog, epoch: s.e.n, Text: fmt.Sprintf("its stored hash %d is not that of its lines: line %d is another than when it was written, or the hash is", s.indexes[i], line)})
			return
		}
	}
	s.indexes, s.hashes = s.indexes[:0], s.hashes[:0]
}

// lineOf is the line with which the stored hash of that index came.
func lineOf(index int64) uint64 {
	lo, hi := uint64(1), uint64(index)+1
	for lo < hi { // the first line whose hashes end after index
		mid := lo + (hi-lo)/2
		if Stored(mid) > index {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return lo
}
