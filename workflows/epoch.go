package workflows

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"breakglass/store"
	"breakglass/store/ledger"
)

// compareArchive asks the archive, once after each start, whether it knows this log: its newest checkpoint must be of the log's first lines, and it must have no
// lines that were never put there. Else the store was restored from an older copy, or the log was cut; that is said, and the log goes on beside the other one, in a
// new epoch, since nothing there is overwritten. An archive that has less than it was given, as a new one, is given the rest again.
func (e *Engine) compareArchive(ctx context.Context) error {
	b, err := e.book()
	if err == nil {
		b, err = e.placed(ctx, b)
	}
	if err != nil {
		return err
	}
	for {
		c, last, err := e.newest(ctx, b.Epoch)
		if err != nil {
			return err
		}
		why := error(nil)
		if c.Size > 0 {
			if id, _, err := ledger.ParseOrigin(c.Origin); err != nil || id != e.DB.ID() {
				return fmt.Errorf("%s has the log of another store, %s: name another archive, or another prefix in it", e.Archive, c.Origin)
			}
			if why = e.DB.Knows(c); why != nil && !errors.Is(why, ledger.ErrNotPrefix) {
				return why
			}
		}
		if why == nil && last > max(b.Lines, b.To) {
			why = fmt.Errorf("it has lines up to %d, and this log was brought there up to %d", last, max(b.Lines, b.To))
		}
		switch {
		case why != nil:
			b, err = e.nextEpoch(b, max(c.Size, last), why)
		case last < b.Lines:
			return e.bringAgain(b, last)
		default:
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// placed makes the book one of the archive in use. Another one than before is said, in the log as well: what was put into the one before stays there, and a
// verification of this one would miss it.
func (e *Engine) placed(ctx context.Context, b book) (book, error) {
	where := Place(e.Archive.String())
	if b.Place == where {
		return b, nil
	}
	was := b.Place
	if b.Place = where; was == "" {
		return b, e.keepBook(b)
	}
	_, last, err := e.newest(ctx, b.Epoch)
	if err != nil {
		return b, err
	}
	b.Lines, b.To, b.Note = min(b.Lines, last), 0, "" // all of the log is put there, and nothing is missing there
	e.Log.Warn("evidence goes to another archive from now on; what the one before has stays there", "archive", where, "was", was)
	data := map[string]string{"archive": where, "was": was}
	return b, e.sayBook(b, saying{store.EventArchive, data, &store.Notice{Kind: NoticeMoved, Lane: "archive", Data: data}})
}

// Place is an archive's address without what only says how it is reached.
func Place(at string) string {
	at, _, _ = strings.Cut(at, "?")
	return strings.TrimRight(at, "/")
}

// nextEpoch begins a new one.
func (e *Engine) nextEpoch(b book, there uint64, why error) (book, error) {
	lines, _, err := e.DB.Root()
	if err != nil {
		return b, err
	}
	e.Log.Error("the archive has what is no part of this log: the store was restored from an older copy, or lines are missing", "archive", there, "log", lines, "why", why)
	b = book{Place: b.Place, Epoch: b.Epoch + 1, Day: b.Day}
	data := map[string]string{"archive": fmt.Sprint(there), "log": fmt.Sprint(lines), "why": why.Error(), "epoch": fmt.Sprint(b.Epoch)}
	err = e.sayBook(b, saying{store.EventFault, data, &store.Notice{Kind: NoticeRolled, Lane: "archive", Data: data}})
	if err == nil {
		err = e.nameKey()
	}
	return b, err
}

// bringAgain has the log brought there from the first line that the archive lacks.
func (e *Engine) bringAgain(b book, has uint64) error {
	e.Log.Error("the archive has fewer lines of the log than it was given; the rest is put there again", "archive", e.Archive.String(), "has", has, "given", b.Lines)
	data := map[string]string{"effect": "archive", "error": "the archive has fewer lines than it was given; the rest is put there again", "archive": fmt.Sprint(has), "given": fmt.Sprint(b.Lines)}
	return e.sayBook(book{Place: b.Place, Epoch: b.Epoch, Lines: has, Day: b.Day}, saying{store.EventFault, data, nil})
}

// saying is a line of the log and what people are told with it.
type saying struct {
	kind   string
	data   map[string]string
	notice *store.Notice
}

// sayBook keeps the book with a line of the log, and what people are told, in one change: a crash leaves all of it or nothing.
func (e *Engine) sayBook(b book, s saying) error {
	text, err := json.Marshal(b)
	if err != nil {
		return err
	}
	return e.DB.Announce(e.by(), bookFact, string(text), s.kind, s.data, s.notice)
}

// newest is an epoch's newest checkpoint in the archive, and the last line that it has; zeros where there are none.
func (e *Engine) newest(ctx context.Context, epoch int) (c ledger.Checkpoint, last uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	name, err := e.Archive.Newest(ctx, ledger.SegmentPrefix(epoch))
	if err != nil {
		return c, 0, err
	}
	last = ledger.SegmentLast(name)
	if name, err = e.Archive.Newest(ctx, ledger.CheckpointPrefix(epoch)); err != nil || name == "" {
		return c, last, err
	}
	text, err := e.readSmall(ctx, name, 1<<16)
	if err != nil {
		return c, 0, err
	}
	if c, err = ledger.Read(text); err != nil {
		return c, 0, fmt.Errorf("%s in the archive: %w", name, err)
	}
	return c, last, nil
}

// readSmall reads a small object of the archive.
func (e *Engine) readSmall(ctx context.Context, name string, most int64) ([]byte, error) {
	r, err := e.Archive.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(io.LimitReader(r, most))
}
