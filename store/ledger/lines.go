package ledger

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"golang.org/x/mod/sumdb/tlog"
)

// checkLines goes through the lines that stand beside a session, with their proofs against the checkpoint beside them: each must be proved, and
// together they must be all lines of the session that the log has up to there. It says only the first thing that is wrong.
func (v *verifier) checkLines(f *folder, name string, r io.Reader) bool {
	if f.claim == nil || !f.claim.trusted {
		return true // which was said, and its file is hashed all the same
	}
	e := v.epochs[f.claim.epoch]
	want := e.of[f.of]
	lines := &lineReader{r: bufio.NewReaderSize(r, 64<<10)}
	last := uint64(0)
	for {
		b, whole, err := lines.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			v.folderFinding(CodeProof, name, fmt.Sprintf("it cannot be read after line %d: %v", last, err), last+1)
			return false
		}
		p, x, err := parseProved(b)
		switch {
		case err != nil || !whole || p.N <= last:
			v.folderFinding(CodeProof, name, fmt.Sprintf("what follows line %d in it is not a later line with its proof", last), last+1)
			return false
		case x.Request != "" && x.Request != f.of:
			v.folderFinding(CodeProof, name, fmt.Sprintf("line %d is of %s", p.N, x.Request), p.N)
			return false
		}
		leaf := tlog.RecordHash([]byte(p.Line))
		if x.Seq != p.N || checkLeaf(p.N, leaf, p.Proof, f.claim.Size, f.claim.Root) != nil {
			v.folderFinding(CodeProof, name, fmt.Sprintf("line %d is not the one that the checkpoint beside it proves", p.N), p.N)
			return false
		}
		last = p.N
		if x.Request == "" {
			continue
		}
		if want = v.against(e, f, name, want, p.N, tag(leaf)); want == nil {
			return false
		}
	}
	if len(want) > 0 && want[0].n <= f.claim.Size && !e.lost(want[0].n) {
		v.leftOut(name, want[0].n)
		return false
	}
	return true
}

// against compares a proved line with what the log has of that session. nil: something is wrong, and was said.
func (v *verifier) against(e *epoch, f *folder, name string, want []marked, n uint64, tag uint64) []marked {
	rest := want
	for len(rest) > 0 && rest[0].n < n {
		if !e.lost(rest[0].n) {
			v.leftOut(name, rest[0].n)
			return nil
		}
		rest = rest[1:]
	}
	same := len(rest) > 0 && rest[0] == marked{n, tag}
	switch {
	case same:
		rest = rest[1:]
	case n > e.total() || e.torn != 0 && n >= e.torn:
		// The log does not reach so far, which was said.
	default:
		object := e.objectsOf(n, n)[0]
		v.out.add(Finding{Code: CodeLineChanged, Object: object, Others: []string{name}, Line: n, rank: rankLog, epoch: e.n,
			Text: fmt.Sprintf("line %d is not the one that was signed: %s has the true one, with its proof", n, name)})
		return nil
	}
	if rest == nil {
		rest = []marked{}
	}
	return rest
}

// lost says whether the log's line n cannot be relied on to be one of the session's: it stands where lines are out of place.
func (e *epoch) lost(n uint64) bool { return e.torn != 0 && n >= e.torn }

func (v *verifier) leftOut(name string, n uint64) {
	v.folderFinding(CodeLeftOut, name, fmt.Sprintf("line %d of the log is of this session, and it is missing here, or stands out of order", n), n)
}

// parseProved reads a line of lines.jsonl, and the line of the log in it.
func parseProved(b []byte) (p ProvedLine, x entry, err error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		return p, x, err
	}
	if d.More() {
		return p, x, errLine
	}
	return p, x, json.Unmarshal([]byte(p.Line), &x)
}

var errLine = errors.New("it is not a line with its proof")
