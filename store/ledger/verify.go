package ledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/sync/errgroup"
)

// Options is what a verification goes by.
type Options struct {
	Keys      []note.Verifier              // the public keys that are trusted; at least one
	Store     string                       // the store's identity; empty: whichever the checkpoints name, but one
	Witnessed []Named                      // checkpoints from elsewhere, as out of a message
	Live      iter.Seq2[[]byte, error]     // the store's own log from line 1 on, nil where there is none; a line is valid until the next
	Put       Put                          // how far the store brought this archive
	Progress  func(what string, n, of int) // called now and then, never twice at once; of is 0 where it is not known
}

// Put is how far a store says that it brought an archive: the number of its log, and the lines of it. The zero value says nothing.
type Put struct {
	Epoch int
	Lines uint64
}

// Named is a note and where it is from.
type Named struct {
	Name string
	Note []byte
}

// clearly is by how much a time must be before another to be called wrong: a line is written with the time at which what it tells of began, which
// may be minutes before it stands in the log.
const clearly = 5 * time.Minute

// The bounds of reading: requests at once, and how much of an object is held in memory.
const (
	atOnce       = 16
	smallSegment = 256 << 10 // read ahead whole
	mostManifest = 64 << 20
	mostLine     = 16 << 20
)

// ErrNoKey: nothing can be verified without a public key.
var ErrNoKey = errors.New("there is no public key to verify with")

// Verify reads all of an archive and says what does not hold. It goes on as far as it can: the error is only that there is nothing to go by (ErrNoKey), that the
// archive cannot be listed, or ctx's. Memory grows with the number of objects and by some 16 bytes for each line of an archived session, not
// with their sizes.
func Verify(ctx context.Context, a Archive, o Options) (Report, error) {
	if len(o.Keys) == 0 {
		return Report{}, ErrNoKey
	}
	v := newVerifier(o)
	v.archive = a
	list, err := a.List(ctx)
	if err != nil {
		return Report{}, fmt.Errorf("verify: %w", err)
	}
	v.sort(list)
	if err := v.readNotes(ctx); err != nil {
		return Report{}, err
	}
	v.readWitnessed()
	order := v.inOrder()
	for i, e := range order {
		if err := v.read(ctx, e, i == len(order)-1); err != nil {
			return Report{}, err
		}
	}
	v.judge()
	if err := v.checkFolders(ctx); err != nil {
		return Report{}, err
	}
	v.checkArchived()
	return v.report(), nil
}

// verifier is one verification.
type verifier struct {
	Options
	archive Archive
	started time.Time
	out     *findings

	epochs  map[int]*epoch
	folders map[string]*folder
	noted   map[string]bool
	notes   []string // the objects that are checkpoints, those of folders among them
	claims  []*claim
	keys    []note.Verifier // those given, and those the log names under one of them
	public  []string        // as text; of those given only name and hash are known
	store   string

	mu    sync.Mutex // of what follows
	stats struct {
		sessions, folders, manifests, files int
		bytes                               int64
	}
}

func newVerifier(o Options) *verifier {
	v := &verifier{Options: o, started: time.Now(), out: &findings{}, epochs: map[int]*epoch{}, folders: map[string]*folder{}, noted: map[string]bool{}, keys: slices.Clone(o.Keys)}
	for _, k := range o.Keys {
		v.public = append(v.public, fmt.Sprintf("%s+%08x", k.Name(), k.KeyHash()))
	}
	return v
}

func (v *verifier) epoch(n int) *epoch {
	e := v.epochs[n]
	if e == nil {
		e = newEpoch(n, v.out)
		v.epochs[n] = e
	}
	return e
}

// inOrder is every epoch that anything tells of, and the first in any case.
func (v *verifier) inOrder() []*epoch {
	v.epoch(1)
	order := slices.SortedFunc(maps.Values(v.epochs), func(a, b *epoch) int { return cmp.Compare(a.n, b.n) })
	for i, e := range order[1:] {
		e.prev = order[i]
	}
	return order
}

// sort puts the objects where they belong by their names.
func (v *verifier) sort(list []Object) {
	seen := make(map[string]bool, len(list))
	for _, o := range list {
		if seen[o.Name] {
			v.out.add(Finding{Code: CodeListedTwice, Object: o.Name, rank: rankListing, Text: "the archive lists it more than once"})
			continue
		}
		seen[o.Name] = true
		if o.Versions > 1 {
			v.out.add(Finding{Code: CodeVersions, Object: o.Name, rank: rankListing, Text: fmt.Sprintf("it has %d versions: somebody wrote it again; the oldest was verified", o.Versions)})
		}
		if o.Deleted {
			v.out.add(Finding{Code: CodeDeleted, Object: o.Name, rank: rankListing, Text: "it has a delete marker: somebody deleted it"})
		}
		v.place(o)
	}
	for _, e := range v.epochs {
		slices.SortFunc(e.segments, bySegment)
	}
}

func (v *verifier) place(o Object) {
	if s, ok := parseSegment(o.Name); ok {
		e := v.epoch(s.epoch)
		e.segments = append(e.segments, s)
		e.sizes[s.object] = o.Size
		return
	}
	if isCheckpoint(o.Name) {
		v.notes = append(v.notes, o.Name)
		v.noted[o.Name] = true
		return
	}
	p, file, ok := parseFile(o.Name)
	if !ok {
		v.out.add(Finding{Code: CodeUnknown, Object: o.Name, rank: rankListing, Text: "nothing of an archive has such a name: it was added"})
		return
	}
	f := v.folders[p.folder]
	if f == nil {
		f = &folder{place: p, objects: map[string]int64{}}
		v.folders[p.folder] = f
	}
	f.objects[file] = o.Size
	if file == NoteName {
		v.notes = append(v.notes, o.Name)
	}
}

// readNotes reads every checkpoint before the log: while it is read only the roots at their sizes are kept.
func (v *verifier) readNotes(ctx context.Context) error {
	bodies := make([][]byte, len(v.notes))
	var g errgroup.Group
	g.SetLimit(atOnce)
	for i, name := range v.notes {
		g.Go(func() error {
			b, err := v.fetch(ctx, name, mostNote)
			if err != nil {
				v.unreadable(name, rankCheckpoint, err)
				return ctx.Err()
			}
			bodies[i] = b
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for i, name := range v.notes {
		if bodies[i] == nil {
			continue
		}
		c := v.claim(name, bodies[i])
		if c == nil {
			continue
		}
		if p, _, ok := parseFile(name); ok {
			c.where = besideSession
			v.folders[p.folder].claim = c
		} else if CheckpointName(c.Checkpoint) != name {
			v.out.add(Finding{Code: CodeCheckpoint, Object: name, rank: rankCheckpoint, Text: "its name is not that of the checkpoint it holds, which is " + CheckpointName(c.Checkpoint)})
		}
	}
	v.progress("checkpoints", len(v.notes), len(v.notes))
	return ctx.Err()
}

func (v *verifier) readWitnessed() {
	for _, w := range v.Witnessed {
		if c := v.claim(w.Name, Tidy(w.Note)); c != nil {
			c.where = fromElsewhere
		}
	}
}

// fetch reads a small object whole.
func (v *verifier) fetch(ctx context.Context, name string, most int64) ([]byte, error) {
	r, err := v.archive.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, most+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > most {
		return nil, fmt.Errorf("it is longer than the %d bytes that it may have", most)
	}
	if b == nil {
		b = []byte{}
	}
	return b, nil
}

func (v *verifier) unreadable(name string, rank int, err error) {
	v.out.add(Finding{Code: CodeUnreadable, Object: name, rank: rank, Text: "it cannot be read: " + err.Error()})
}

func (v *verifier) progress(what string, n, of int) {
	if v.Progress == nil {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.Progress(what, n, of)
}

func (v *verifier) report() Report {
	r := Report{Keys: v.public, Sessions: v.stats.sessions, Manifests: v.stats.manifests, Files: v.stats.files, Bytes: v.stats.bytes}
	for _, e := range v.inOrder() {
		l := LogReport{Origin: Origin(v.store, e.n), Epoch: e.n, Lines: e.lines, Live: e.live, Newest: e.newest, Broken: e.broken, Unproven: e.unproven}
		l.Uncovered = e.lines + e.live
		if e.newest != nil {
			l.Uncovered -= min(e.newest.Size, l.Uncovered)
			r.Newest = e.newest
		}
		r.Lines += l.Lines
		r.Checkpoints += e.holding
		r.Logs = append(r.Logs, l)
	}
	v.out.into(&r)
	r.Took = time.Since(v.started)
	return r
}
