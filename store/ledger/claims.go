package ledger

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// claim is a checkpoint that somebody shows.
type claim struct {
	Checkpoint
	object string
	where  int
	store  string
	epoch  int
	sigs   []signature

	tried   bool // its signatures were looked at, and all keys are known
	trusted bool
}

const (
	inArchive = iota
	besideSession
	fromElsewhere
)

func bySize(a, b *claim) int {
	return cmp.Or(cmp.Compare(a.Size, b.Size), a.At.Compare(b.At), cmp.Compare(a.object, b.object))
}

// claim reads a note; nil where it cannot be read.
func (v *verifier) claim(object string, b []byte) *claim {
	cp, sigs, err := parseNote(b)
	if err != nil {
		v.out.add(Finding{Code: CodeCheckpoint, Object: object, rank: rankCheckpoint, Text: err.Error()})
		return nil
	}
	c := &claim{Checkpoint: cp, object: object, sigs: sigs}
	c.store, c.epoch, _ = ParseOrigin(cp.Origin)
	v.claims = append(v.claims, c)
	v.epoch(c.epoch)
	return c
}

// judge says which checkpoints can be believed, and compares the logs with them.
func (v *verifier) judge() {
	v.trust()
	v.checkSigned()
	v.sameStore()
	order := v.inOrder()
	any := slices.ContainsFunc(v.claims, func(c *claim) bool { return c.trusted && v.epoch(c.epoch).holds(c) })
	if !any {
		v.out.add(Finding{Code: CodeUnsigned, Object: v.firstLog(), rank: rankLog, Text: "no checkpoint that is signed by a known key vouches for any line of this log: is this the archive, and are these its keys?"})
	}
	for _, e := range order {
		v.checkEpoch(e)
	}
	for i, e := range slices.Backward(order) { // a later log says how much of an earlier one it knew
		v.cover(e, any, i == len(order)-1)
	}
}

// firstLog is how the first log is called where there is an archive.
func (v *verifier) firstLog() string {
	if v.archive == nil {
		return theStore
	}
	return ofEpoch("log", 1) + "/"
}

// trust finds the keys. Those that were given are known; so is every key that a line of the log names, once a checkpoint by a known key vouches for
// that line. So an auditor with the newest key can read what was signed with the ones before it, and where an old key signed the line that
// names its successor, also the other way round.
func (v *verifier) trust() {
	for more := true; more; {
		more = false
		for _, c := range v.claims {
			v.trySigned(c)
		}
		for _, e := range v.epochs {
			covered := uint64(0)
			for _, c := range v.claims {
				if c.trusted && c.epoch == e.n && e.holds(c) {
					covered = max(covered, c.Size)
				}
			}
			for _, k := range e.keys {
				if k.line <= covered && !known(v.keys, k.key) {
					v.keys = append(v.keys, k.key)
					v.public = append(v.public, k.public)
					more = true
				}
			}
		}
	}
}

func known(keys []note.Verifier, k note.Verifier) bool {
	return slices.ContainsFunc(keys, func(o note.Verifier) bool { return o.Name() == k.Name() && o.KeyHash() == k.KeyHash() })
}

// trySigned looks at the signatures of a checkpoint once, when all its keys are known.
func (v *verifier) trySigned(c *claim) {
	if c.tried {
		return
	}
	for _, s := range c.sigs {
		if s.of(v.keys) == nil {
			return
		}
	}
	c.tried, c.trusted = true, true
	for _, s := range c.sigs {
		c.trusted = c.trusted && s.of(v.keys).Verify([]byte(c.Text()), s.sig)
	}
}

// holds says whether the log has the lines that the checkpoint tells of.
func (e *epoch) holds(c *claim) bool {
	root, ok := e.roots[c.Size]
	return ok && root == c.Root
}

// checkSigned says which checkpoints cannot be believed; of an unknown key once, however many it signed.
func (v *verifier) checkSigned() {
	by := map[string]int{}
	var unknown []Finding
	for _, c := range v.claims {
		if c.trusted {
			continue
		}
		i := slices.IndexFunc(c.sigs, func(s signature) bool { return s.of(v.keys) == nil })
		if i < 0 {
			v.out.add(Finding{Code: CodeSignature, Object: c.object, Line: c.Size, rank: rankCheckpoint, epoch: c.epoch, Text: fmt.Sprintf("its signature is not of its text: it was changed, or %s did not sign it", c.sigs[0].name)})
			continue
		}
		s := c.sigs[i]
		who := fmt.Sprintf("%s+%08x", s.name, s.hash)
		if n, told := by[who]; told {
			unknown[n].Others = append(unknown[n].Others, c.object)
			continue
		}
		by[who] = len(unknown)
		unknown = append(unknown, Finding{Code: CodeKeyUnknown, Object: c.object, Line: c.Size, rank: rankCheckpoint, epoch: c.epoch,
			Text: fmt.Sprintf("it is signed by %q with key %08x, which is none of the known keys%s", s.name, s.hash, v.namedAt(s))})
	}
	for _, f := range unknown {
		v.out.add(f)
	}
}

// namedAt says where a log names an unknown key.
func (v *verifier) namedAt(s signature) string {
	for _, e := range v.inOrder() {
		for _, k := range e.keys {
			if s.of([]note.Verifier{k.key}) != nil {
				return fmt.Sprintf("; line %d of %s names it, but no checkpoint by a known key vouches for that line", k.line, ofEpoch("log", e.n))
			}
		}
	}
	return ", and no line of the log names it"
}

// sameStore takes the store that was named, or the one most checkpoints are of, and believes no other.
func (v *verifier) sameStore() {
	v.store = v.Store
	if v.store == "" {
		times := map[string]int{}
		for _, c := range v.claims {
			if c.trusted {
				times[c.store]++
			}
		}
		for s, n := range times {
			if n > times[v.store] || n == times[v.store] && s < v.store {
				v.store = s
			}
		}
	}
	for _, c := range v.claims {
		if c.trusted && c.store != v.store {
			c.trusted = false
			v.out.add(Finding{Code: CodeOtherLog, Object: c.object, rank: rankCheckpoint, epoch: c.epoch, Text: fmt.Sprintf("it is of the log of store %s, and this archive is of %s", c.store, v.store)})
		}
	}
}

// checkEpoch compares a log with the checkpoints that can be believed.
func (v *verifier) checkEpoch(e *epoch) {
	var by []*claim
	for _, c := range v.claims {
		if c.trusted && c.epoch == e.n {
			by = append(by, c)
		}
	}
	slices.SortStableFunc(by, bySize)
	good := uint64(0) // as many lines are those that were signed
	for _, c := range by {
		if !e.holds(c) {
			continue
		}
		e.holding++
		v.checkKey(e, c)
		e.newest, good = &c.Checkpoint, c.Size
	}
	v.checkRoots(e, by, good)
	if v.Put.Epoch == e.n && e.lines < v.Put.Lines && e.torn == 0 {
		e.breaks(e.lines + 1)
		v.out.add(Finding{Code: CodeCut, Object: ofEpoch("log", e.n) + "/", Line: e.lines + 1, Last: v.Put.Lines, rank: rankLog, epoch: e.n,
			Text: fmt.Sprintf("the store put the lines up to %d into this archive, and the log there ends at line %d: what follows was taken away", v.Put.Lines, e.lines)})
	}
	if e.torn != 0 {
		e.breaks(e.torn)
	}
	e.checkTimes(slices.DeleteFunc(by, func(c *claim) bool { return c.Size <= good && !e.holds(c) }))
	v.checkShown(e)
	v.checkBegins(e)
}

// cover says which lines nobody vouches for, and forgets what they said: whoever can write into the archive can add a line after the last that was signed, and
// would explain by it whatever else was added or taken away. The lines of the newest log were compared with the store's, where that is at hand.
func (v *verifier) cover(e *epoch, any, newest bool) {
	if e.newest != nil {
		e.covered = e.newest.Size
	}
	if v.archive == nil || newest && v.Live != nil || !any { // where nothing is signed, which was said, the rest is still told by what the lines say
		e.covered = e.total()
	}
	said := slices.ContainsFunc(v.claims, func(c *claim) bool { return c.trusted && c.epoch == e.n && c.Size > e.covered })
	if e.lines > e.covered && !said {
		first := e.covered + 1
		objects := e.objectsOf(first, e.lines)
		f := Finding{Code: CodeUncovered, Object: objects[0], Others: objects[1:], Line: first, Last: e.lines, rank: rankLog, epoch: e.n,
			Text: fmt.Sprintf("no checkpoint vouches for the lines %d to %d: they were added, or the bot stopped between the two, and puts one as soon as it runs; nothing that they say was believed", first, e.lines)}
		if e.lines <= v.known(e) {
			v.out.tell(f) // the log that goes on in its place tells of them
		} else {
			v.out.add(f)
			e.breaks(first)
		}
	}
	e.believe(e.covered)
}

// known is how many lines of a log a later one that can be believed tells of.
func (v *verifier) known(e *epoch) (lines uint64) {
	for _, o := range v.epochs {
		if o.n > e.n {
			lines = max(lines, o.gone[e.n].known)
		}
	}
	return lines
}

// believe forgets what lines after that one said.
func (e *epoch) believe(last uint64) {
	e.archived = slices.DeleteFunc(e.archived, func(a archivedLine) bool { return a.line > last })
	e.shown = slices.DeleteFunc(e.shown, func(w witnessedLine) bool { return w.line > last })
	e.moves = slices.DeleteFunc(e.moves, func(m movedLine) bool { return m.line > last })
	maps.DeleteFunc(e.gone, func(_ int, g goneLine) bool { return g.line > last })
	maps.DeleteFunc(e.left, func(_ string, line uint64) bool { return line > last })
	for folder, all := range e.coming {
		if e.coming[folder] = slices.DeleteFunc(all, func(a archivedLine) bool { return a.line > last }); len(e.coming[folder]) == 0 {
			delete(e.coming, folder)
		}
	}
}

// lastMove is the last line that says that the archive is another from there on; zero: none does.
func (e *epoch) lastMove() (m movedLine) {
	if n := len(e.moves); n > 0 {
		m = e.moves[n-1]
	}
	return m
}

// checkRoots says what the checkpoints that do not hold mean. One that a later one contradicts is of another log. Of the others the first tells
// between which lines something was changed, and those after it tell nothing more, as every root is over all lines before it.
func (v *verifier) checkRoots(e *epoch, by []*claim, good uint64) {
	var cut []*claim
	told := false
	for _, c := range by {
		switch {
		case e.holds(c):
		case c.Size <= good:
			v.fork(e, c, by)
		case c.Size > e.total():
			cut = append(cut, c)
		case e.torn != 0 && e.torn <= c.Size || told:
			e.unproven++
		default:
			told = true
			e.breaks(good + 1)
			others := e.objectsOf(good+1, c.Size)
			v.out.add(Finding{Code: CodeRoot, Object: others[0], Others: append(others[1:], c.object), Line: good + 1, Last: c.Size, rank: rankLog, epoch: e.n,
				Text: fmt.Sprintf("the lines %d to %d are not those that were signed at %s: one of them was changed, or the log was rewritten from there on", good+1, c.Size, stamp(c.At))})
		}
	}
	if len(cut) == 0 {
		return
	}
	most := cut[len(cut)-1]
	f := Finding{Code: CodeCut, Object: most.object, Line: e.total() + 1, Last: most.Size, rank: rankLog, epoch: e.n,
		Text: fmt.Sprintf("it knows %d lines, and the log ends at line %d: what follows was cut off", most.Size, e.total())}
	for _, c := range cut[:len(cut)-1] {
		f.Others = append(f.Others, c.object)
	}
	v.out.add(f)
	e.breaks(e.total() + 1)
}

// breaks remembers the first line that does not hold.
func (e *epoch) breaks(n uint64) {
	if e.broken == 0 || n < e.broken {
		e.broken = n
	}
}

// fork is a checkpoint that is signed, and that a later one which holds contradicts. The lines are only known to agree as far as another of the same
// place does: whoever could sign could also replace all the others.
func (v *verifier) fork(e *epoch, c *claim, by []*claim) {
	agreed := uint64(0)
	for _, o := range by {
		if o.Size < c.Size && o.where == c.where && e.holds(o) {
			agreed = o.Size
		}
	}
	f := Finding{Code: CodeFork, Object: c.object, Others: e.objectsOf(agreed+1, c.Size), Line: agreed + 1, Last: c.Size, rank: rankLog, epoch: e.n}
	f.Text = fmt.Sprintf("it was signed at %s for %d lines, and those of the log are others: the first that differs is one of the lines %d to %d; the log was rewritten and signed again", stamp(c.At), c.Size, agreed+1, c.Size)
	e.breaks(agreed + 1)
	v.out.add(f)
}

// checkKey asks whether the log had named the key by then. The last checkpoint by a key may be the one that ends with the line that names its successor.
func (v *verifier) checkKey(e *epoch, c *claim) {
	var current *keyLine
	named := false
	signed := func(k note.Verifier) bool {
		return slices.ContainsFunc(c.sigs, func(s signature) bool { return s.name == k.Name() && s.hash == k.KeyHash() })
	}
	for i := range e.keys {
		if k := &e.keys[i]; k.line <= c.Size {
			current = k
			named = named || signed(k.key)
		}
	}
	switch {
	case !named:
		v.out.add(Finding{Code: CodeKeyUnnamed, Object: c.object, Line: c.Size, rank: rankCheckpoint, epoch: e.n,
			Text: fmt.Sprintf("it is signed with key %08x, which no line of the log up to %d names", c.sigs[0].hash, c.Size)})
	case !signed(current.key) && current.line < c.Size:
		v.out.add(Finding{Code: CodeKeyRetired, Object: c.object, Line: current.line, rank: rankCheckpoint, epoch: e.n,
			Text: fmt.Sprintf("it is signed with key %08x, which line %d of the log had replaced", c.sigs[0].hash, current.line)})
	}
}

// checkShown looks for the checkpoints that the log says stand in the archive.
func (v *verifier) checkShown(e *epoch) {
	for _, w := range e.shown {
		i := strings.LastIndex(w.where, "checkpoints")
		if v.archive == nil || i < 0 || !isCheckpoint(w.where[i:]) || v.noted[w.where[i:]] {
			continue
		}
		v.out.add(Finding{Code: CodeNoCheckpoint, Object: w.where[i:], Others: []string{w.object}, Line: w.line, rank: rankCheckpoint, epoch: e.n,
			Text: fmt.Sprintf("line %d of the log says that a checkpoint stands there, and there is none", w.line)})
	}
}

// checkBegins says where a log begins anew.
func (v *verifier) checkBegins(e *epoch) {
	if e.prev == nil {
		if e.total() == 0 && len(v.epochs) > 1 {
			v.out.add(Finding{Code: CodeCut, Object: "log/", Line: 1, rank: rankLog, epoch: 1, Text: "the archive has a later log of this store, and nothing of its first"})
		}
		return
	}
	name := ofEpoch("log", e.n) + "/"
	if e.n != e.prev.n+1 {
		v.out.add(Finding{Code: CodeCut, Object: name, rank: rankLog, epoch: e.n, Text: fmt.Sprintf("the logs between number %d and number %d of this store are missing altogether", e.prev.n, e.n)})
	}
	agreed := uint64(0)
	for _, c := range v.claims {
		if c.trusted && c.epoch == e.prev.n && e.holds(c) {
			agreed = max(agreed, c.Size)
		}
	}
	v.out.tell(Finding{Code: CodeLogBegins, Object: name, Line: agreed + 1, rank: rankLog, epoch: e.n,
		Text: fmt.Sprintf("the log begins anew here, because the store was restored from an older copy: it agrees with the one before for at least %d of that one's %d lines; what came after those stands in that one alone", agreed, e.prev.total())})
}
