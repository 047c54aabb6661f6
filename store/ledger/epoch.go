package ledger

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// epoch is one log, and what was seen while it was read once from its first line to its last.
type epoch struct {
	n        int
	prev     *epoch // the one before; nil for the first
	out      *findings
	segments []segment // in order
	sizes    map[string]int64

	// what is to be looked out for, before reading
	want []uint64            // the sizes at which the root is asked for, ascending
	of   map[string][]marked // by session, for those that have a folder

	tree  tree
	made  func(Hash) // given each new node, where somebody compares them
	roots map[uint64]Hash
	lines uint64 // read from the archive
	live  uint64 // read from the store after those
	// torn is the first line from which on the numbers no longer hold: from there on no root can be computed. 0: none.
	torn     uint64
	keys     []keyLine
	archived []archivedLine
	coming   map[string][]archivedLine // folders that the log says are about to be put there
	shown    []witnessedLine
	moves    []movedLine
	gone     map[int]goneLine  // of earlier epochs: so many lines of theirs were known when this log began anew beside them
	left     map[string]uint64 // folders that the log says were left unfinished, and the line
	spans    []span
	flight   flight // lines that were on their way when the clock was set back

	// what came of it
	covered  uint64 // lines that somebody vouches for: a checkpoint, or the store
	broken   uint64
	unproven int
	holding  int
	newest   *Checkpoint
}

// marked is a line of a session: its number and the beginning of its leaf's hash. That proves nothing, the roots do; it tells which line is another where they do not hold.
type marked struct {
	n, tag uint64
}

type keyLine struct {
	line   uint64
	public string
	key    note.Verifier
}

type archivedLine struct {
	line             uint64
	object           string
	folder, manifest string
	files            string
	live             bool // only the store has the line: what it names may have come after the archive was listed
}

// movedLine says that the archive is another from there on, and which one was before.
type movedLine struct {
	line uint64
	was  string
}

// goneLine says how many lines of an earlier log were known when this one began anew beside it.
type goneLine struct {
	line, known uint64
}

type witnessedLine struct {
	line          uint64
	object, where string
}

func newEpoch(n int, out *findings) *epoch {
	return &epoch{n: n, out: out, sizes: map[string]int64{}, of: map[string][]marked{}, roots: map[uint64]Hash{}, left: map[string]uint64{}, coming: map[string][]archivedLine{}, gone: map[int]goneLine{}}
}

func bySegment(a, b segment) int {
	return cmp.Or(cmp.Compare(a.first, b.first), cmp.Compare(b.last, a.last))
}

// begin makes it ready to be read.
func (e *epoch) begin(want []uint64) {
	slices.Sort(want)
	e.want = slices.Compact(want)
	e.keepRoot()
}

// keepRoot keeps the root where somebody will ask for it.
func (e *epoch) keepRoot() {
	for len(e.want) > 0 && e.want[0] <= e.tree.size {
		if e.want[0] == e.tree.size && e.torn == 0 {
			e.roots[e.tree.size] = e.tree.root()
		}
		e.want = e.want[1:]
		e.nextSpan()
	}
}

// tear remembers that from line n on nothing is where it belongs.
func (e *epoch) tear(n uint64) {
	if e.torn == 0 || n < e.torn {
		e.torn = n
	}
}

// line takes the next line. It must have number n; where it does not, that is said by the caller's object, once.
func (e *epoch) line(object string, n uint64, b []byte) {
	leaf := tlog.RecordHash(b)
	var x entry
	err := json.Unmarshal(b, &x)
	switch {
	case e.torn != 0:
	case err != nil:
		e.finding(CodeLine, object, n, fmt.Sprintf("line %d cannot be read: it is not what a line of the log looks like", n))
		e.tear(n)
	case x.Seq != n:
		e.finding(CodeLine, object, n, fmt.Sprintf("where line %d must stand is one that says it is line %d: lines were removed, added or put in another order", n, x.Seq))
		e.tear(n)
	}
	if err == nil {
		e.look(object, n, &x, leaf)
	}
	e.tree.add(leaf, e.made)
	e.keepRoot()
}

// look remembers what is needed of a line when the rest is checked.
func (e *epoch) look(object string, n uint64, x *entry, leaf Hash) {
	turned := false
	switch x.Kind {
	case kindIntent:
		if d := x.data(); d["effect"] == "archive" {
			e.coming[d["folder"]] = append(e.coming[d["folder"]], archivedLine{line: n, object: object, folder: d["folder"], manifest: d["manifest"], files: d["files"]})
		}
	case kindArchived:
		d := x.data()
		e.archived = append(e.archived, archivedLine{line: n, object: object, folder: d["folder"], manifest: d["manifest"], files: d["files"], live: e.live > 0})
	case kindMoved:
		e.moves = append(e.moves, movedLine{n, x.data()["was"]})
	case kindKey:
		e.addKey(object, n, x.data()["key"])
	case kindWitnessed:
		e.shown = append(e.shown, witnessedLine{line: n, object: object, where: x.data()["where"]})
	case kindFault:
		d := x.data()
		turned = d["clock"] != ""
		if _, told := e.left[d["left"]]; d["left"] != "" && !told {
			e.left[d["left"]] = n
		}
		if epoch, err := strconv.Atoi(d["epoch"]); err == nil && d["archive"] != "" {
			known, _ := strconv.ParseUint(d["archive"], 10, 64)
			e.gone[epoch-1] = goneLine{n, known}
		}
	}
	if x.Request != "" {
		if list, ok := e.of[x.Request]; ok {
			e.of[x.Request] = append(list, marked{n: n, tag: tag(leaf)})
		}
	}
	if turned {
		e.turned(n, x.data()["was"])
		e.out.tell(Finding{Code: CodeClock, Object: object, Line: n, rank: rankLog, epoch: e.n,
			Text: "here the log says that the clock had been ahead and was set back: lines after it may say earlier times, from " + x.At.UTC().Format(time.RFC3339) + " on"})
		e.nextSpan()
	}
	e.when(n, x.At, turned)
}

func tag(leaf Hash) uint64 { return binary.BigEndian.Uint64(leaf[:8]) }

func (e *epoch) addKey(object string, n uint64, public string) {
	key, err := ParsePublic(public)
	if err != nil {
		e.finding(CodeLine, object, n, fmt.Sprintf("line %d names a key that cannot be read", n))
		return
	}
	if last := len(e.keys) - 1; last >= 0 && e.keys[last].public != public {
		e.out.tell(Finding{Code: CodeKeyNamed, Object: object, Line: n, rank: rankLog, epoch: e.n, Text: "here the log names a new key, which signs from then on: " + public})
	}
	e.keys = append(e.keys, keyLine{line: n, public: public, key: key})
}

func (e *epoch) finding(code, object string, line uint64, text string) {
	e.out.add(Finding{Code: code, Object: object, Line: line, rank: rankLog, epoch: e.n, Text: text})
}

// total is how many lines are known, those of the store among them.
func (e *epoch) total() uint64 { return e.lines + e.live }

// objectsOf are the segments that have lines from first to last.
func (e *epoch) objectsOf(first, last uint64) (out []string) {
	for _, s := range e.segments {
		if s.first <= last && s.last >= first {
			out = append(out, s.object)
		}
	}
	if last > e.lines && e.live > 0 || len(out) == 0 {
		out = append(out, theStore)
	}
	return out
}

// theStore stands for an object's name where lines are the store's own.
const theStore = "the store"
