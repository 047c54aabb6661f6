package workflows

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"breakglass/store"
	"breakglass/store/ledger"
)

// Archive is where evidence is put that nobody can rewrite: a bucket under Object Lock, or a directory.
type Archive interface {
	// Put writes an object once, kept until that time at least. The same bytes a second time are success; others are a *store.Refusal, as is
	// whatever trying again will not help.
	Put(ctx context.Context, name string, body io.ReadSeeker, size int64, sum [32]byte, until time.Time) error
	// Newest is the last name in order that begins so, "" where there is none.
	Newest(ctx context.Context, prefix string) (string, error)
	// Open reads an object as it was first written.
	Open(ctx context.Context, name string) (io.ReadCloser, error)
	// String is where it is, for people.
	String() string
}

// The pace of the archive.
const (
	checkpointEvery = 5 * time.Minute  // the log is brought to the archive, if it has grown
	filePatience    = 10 * time.Minute // for one object
	fileComplaint   = 10 * time.Minute // so long it fails before people hear of it
	longestSegment  = 20_000           // lines of the log in one object
)

// bookFact is the small fact in which the archivist keeps how far it is. What it is about to put is in it before it is put, byte for byte, so that a
// crash repeats it and never puts something else under a name that is taken.
const bookFact = "archive"

// book is how far the archive has the log.
type book struct {
	Place string    `json:"place"`          // the archive that it is of
	Epoch int       `json:"epoch"`          // of the log: one more after each restore from an older copy
	Lines uint64    `json:"lines"`          // that the archive has, checkpoint and all
	At    time.Time `json:"at,omitzero"`    // of the last checkpoint
	To    uint64    `json:"to,omitempty"`   // a segment up to this line is being put, then
	Note  string    `json:"note,omitempty"` // this checkpoint
	Day   string    `json:"day,omitempty"`  // on which a checkpoint was last said in the requests channel
}

// filing is what the archivist keeps between its rounds; it can be lost.
type filing struct {
	begun    bool // what an earlier run left was read
	signer   note.Signer
	whole    map[uint64]bool // parts whose drawing in the spool was looked through since the start
	compared bool            // the archive's newest checkpoint was compared with the log since the start
	failing  time.Time       // since when nothing could be put
	told     bool            // and people know
}

// archivist brings evidence to the archive, a round for each sweep, until ctx is done.
func (e *Engine) archivist(ctx context.Context) {
	var f filing
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.filed:
			e.guard("the archive", func() { e.archive(ctx, &f) })
		}
	}
}

// archive brings to the archive what is waiting: parts of sessions, then the log, with a checkpoint. It is one goroutine's.
func (e *Engine) archive(ctx context.Context, f *filing) {
	if e.Archive == nil || e.Signer == nil || e.Spool == "" {
		return
	}
	if !f.begun {
		if err := e.beginFiling(f); err != nil {
			e.broken("read how the archive was", err)
			return
		}
	}
	waits, err := e.archiveAll(ctx, f)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		e.archiveFails(f, err)
	case waits: // what failed is not tried in this round
	case f.told:
		if !e.tellArchive("", map[string]string{"done": "true"}) {
			return
		}
		fallthrough
	default:
		f.failing, f.told = time.Time{}, false
	}
}

// failsFact is since when people know that nothing can be put; "" while it can. It outlives the program: who was told that it fails is told that it works.
const failsFact = "archive fails"

// beginFiling takes up what an earlier run left behind.
func (e *Engine) beginFiling(f *filing) error {
	since, _, err := e.DB.Fact(failsFact)
	if err != nil {
		return err
	}
	if at, err := time.Parse(time.RFC3339, since); err == nil {
		f.failing, f.told = at, true
	}
	f.begun, f.whole = true, map[uint64]bool{}
	e.tidySpool()
	return nil
}

// archiveAll is one round. waits: a part that failed before waits for its next try.
func (e *Engine) archiveAll(ctx context.Context, f *filing) (waits bool, err error) {
	if f.signer == nil {
		signer, key, err := e.Signer(ctx)
		if err != nil {
			return false, fmt.Errorf("the key that signs checkpoints: %w", err)
		}
		if err := e.takeKey(key); err != nil {
			return false, err
		}
		f.signer = signer
	}
	if !f.compared {
		if err := e.compareArchive(ctx); err != nil {
			return false, err
		}
		f.compared = true
	}
	parts, waits, errParts := e.putParts(ctx, f)
	b, err := e.book()
	if err != nil {
		return waits, errors.Join(errParts, err)
	}
	lines, _, err := e.DB.Root()
	if err != nil {
		return waits, errors.Join(errParts, err)
	}
	if b.To == 0 && (lines == b.Lines || parts == 0 && soon(e.now(), b.At.Add(checkpointEvery), checkpointEvery)) {
		return waits, errParts
	}
	return waits, errors.Join(errParts, e.putLog(ctx, f, b))
}

// soon says whether t is still to come. What lies further ahead than it was ever put is of a clock that was ahead and was set right since.
func soon(now, t time.Time, most time.Duration) bool {
	return t.After(now) && !t.After(now.Add(most))
}

func (e *Engine) book() (book, error) { return bookOf(e.DB) }

func bookOf(db *store.DB) (b book, err error) {
	s, known, err := db.Fact(bookFact)
	if err != nil || !known {
		return book{Epoch: 1}, err
	}
	if err := json.Unmarshal([]byte(s), &b); err != nil {
		return b, fmt.Errorf("read how far the archive is: %w", err)
	}
	return b, nil
}

// BroughtTo says how far a store brought its archive: where that is, the number of its log there, and how many lines of it. An empty place: nowhere yet.
func BroughtTo(db *store.DB) (place string, epoch int, lines uint64, err error) {
	b, err := bookOf(db)
	return b.Place, b.Epoch, b.Lines, err
}

func (e *Engine) keepBook(b book) error {
	s, err := json.Marshal(b)
	if err != nil {
		return err
	}
	return e.DB.Jot(e.by(), bookFact, string(s))
}

// sign makes a checkpoint of the log as it is.
func (e *Engine) sign(f *filing, epoch int) (c ledger.Checkpoint, signed []byte, err error) {
	e.turning.RLock()
	lines, root, err := e.DB.Root()
	now := e.now()
	e.turning.RUnlock()
	if err != nil {
		return c, nil, err
	}
	c = ledger.Checkpoint{Origin: ledger.Origin(e.DB.ID(), epoch), Size: lines, Root: root, At: now}
	signed, err = ledger.Sign(c, f.signer)
	return c, signed, err
}

// putLog brings the log to the archive: what the archive does not have yet, then a checkpoint over all of it.
func (e *Engine) putLog(ctx context.Context, f *filing, b book) error {
	if b.To == 0 {
		c, signed, err := e.sign(f, b.Epoch)
		if err != nil {
			return err
		}
		b.To, b.Note = c.Size, string(signed)
		if err := e.keepBook(b); err != nil {
			return err
		}
	}
	c, err := ledger.Read([]byte(b.Note))
	if err != nil {
		return err
	}
	for from := b.Lines + 1; from <= b.To; from += longestSegment {
		to := min(b.To, from+longestSegment-1)
		text, err := e.segment(from, to)
		if err != nil {
			return err
		}
		if err := e.put(ctx, ledger.SegmentName(b.Epoch, from, to), text); err != nil {
			return err
		}
	}
	if err := e.put(ctx, ledger.CheckpointName(c), []byte(b.Note)); err != nil {
		return err
	}
	b.Lines, b.At, b.To = b.To, store.Moment(e.now()), 0
	return e.witness(b, c)
}

func (e *Engine) segment(from, to uint64) ([]byte, error) {
	lines, err := e.DB.Lines(from, int(to-from+1))
	if err != nil {
		return nil, err
	}
	if uint64(len(lines)) != to-from+1 {
		return nil, fmt.Errorf("the log has no lines %d to %d", from, to)
	}
	var b strings.Builder
	for _, l := range lines {
		b.Write(l.Text)
		b.WriteByte('\n')
	}
	return []byte(b.String()), nil
}

// witness writes down that the archive has a checkpoint, and once a day says it in the requests channel, where many see it and nobody can take it back unseen.
func (e *Engine) witness(b book, c ledger.Checkpoint) error {
	day := e.now().UTC().Format(time.DateOnly)
	if b.Day == day {
		return e.keepBook(b)
	}
	b.Day = day
	data := map[string]string{"size": fmt.Sprint(c.Size), "root": c.Root.String(), "note": b.Note}
	told := map[string]string{"size": data["size"], "root": data["root"], "where": "the requests channel"}
	return e.sayBook(b, saying{store.EventWitnessed, told, &store.Notice{Kind: NoticeWitness, Lane: "witness", Data: data}})
}

// keyFact is the public key of the last start.
const keyFact = "key"

// takeKey makes sure that the log names the key that signs its checkpoints, before it signs one.
func (e *Engine) takeKey(key string) error {
	was, _, err := e.DB.Fact(keyFact)
	if err != nil || was == key {
		return err
	}
	data := map[string]string{"key": key}
	if was != "" {
		data["was"] = was
	}
	return e.DB.SetFact(e.by(), keyFact, key, store.EventKey, data)
}

// nameKey names the key once more: a new epoch's log is read by itself.
func (e *Engine) nameKey() error {
	key, _, err := e.DB.Fact(keyFact)
	if err != nil {
		return err
	}
	return e.DB.SetFact(e.by(), keyFact, key, store.EventKey, map[string]string{"key": key})
}

// archiveFails notes that nothing can be put, and tells people when that lasts.
func (e *Engine) archiveFails(f *filing, err error) {
	now := e.now()
	if f.failing.IsZero() {
		f.failing = now
		e.Log.Warn("evidence could not be put into the archive; it waits and is tried again", "archive", e.Archive.String(), "err", err)
	}
	if f.told || now.Before(f.failing.Add(fileComplaint)) {
		return
	}
	waiting, _ := e.DB.Parts(0, 1000)
	since := f.failing.UTC().Format(time.RFC3339)
	f.told = e.tellArchive(since, map[string]string{"error": brief(err), "since": since, "waiting": fmt.Sprint(len(waiting))})
}

func (e *Engine) tellArchive(since string, data map[string]string) (told bool) {
	err := e.DB.Announce(e.by(), failsFact, since, store.EventFault, data, &store.Notice{Kind: NoticeArchive, Lane: "archive", Data: data})
	if err != nil {
		e.broken("say how the archive is", err)
	}
	e.hear()
	return err == nil
}
