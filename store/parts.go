package store

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// Part is a piece of the archive that is still to be put there: it waits here until the archive has all of it. Parts of a folder are put there one
// after the other, since each names the one before.
type Part struct {
	Seq     uint64    `json:"seq"`
	Base    string    `json:"base"` // sessions/BG-1042 or reviews/2026-10
	Request ID        `json:"request,omitempty"`
	Number  int       `json:"number"`  // of the parts of that folder, from 1
	Kind    string    `json:"kind"`    // see below
	Reading int       `json:"reading"` // the newest reading that it tells of; -1 before the first
	At      time.Time `json:"at"`
	// Manifest is the SHA-256 of the manifest of what is being put there: nothing else may be put under this number. Empty before it is drawn up.
	Manifest string `json:"manifest,omitempty"`
	Line     uint64 `json:"line,omitempty"` // of the log, which says so

	Attempts int       `json:"attempts,omitempty"`
	NotUntil time.Time `json:"not_until,omitzero"`
	Since    time.Time `json:"since,omitzero"` // it has failed since then
	Error    string    `json:"error,omitempty"`
}

// Kinds of parts.
const (
	PartOpened   = "opened"      // access begins
	PartEnded    = "ended"       // the first reading
	PartAgain    = "again"       // what came late
	PartMortem   = "post-mortem" // the post-mortem, or that it was waived
	PartTicket   = "ticket"      // a ticket that followed, or that it was waived
	PartDrawn    = "drawn"       // a monthly review
	PartReviewed = "reviewed"    // and that somebody looked through it
)

// Folder is where a part stands in the archive.
func (p Part) Folder() string { return fmt.Sprintf("%s/%03d-%s", p.Base, p.Number, p.Kind) }

// Filed is what the archive has of a folder.
type Filed struct {
	Parts int    `json:"parts"`           // numbers given
	Done  int    `json:"done,omitempty"`  // and complete
	Last  string `json:"last,omitempty"`  // SHA-256 of the last complete manifest
	Month string `json:"month,omitempty"` // of a review
}

// Archive has the request's evidence put into the archive, once this change is made.
func (c *Change) Archive(kind string) error {
	return file(c.t, c.By.At, Part{Base: "sessions/" + string(c.Request.ID), Request: c.Request.ID, Kind: kind, Reading: len(c.Request.Readings) - 1})
}

// ArchiveReview has a monthly review put into the archive, with the line of the log, what people are to be told, and small facts that go with it.
// click is the one that led to it, 0 where none did.
func (db *DB) ArchiveReview(by By, month, kind, event string, facts map[string]string, click uint64, n ...Notice) error {
	return db.change(by, func(t tx) error {
		for name, value := range facts {
			if err := save(t, "facts", []byte(name), value); err != nil {
				return err
			}
		}
		if click != 0 {
			if err := t.del("inbox", u64(click)); err != nil {
				return err
			}
		}
		data := map[string]string{"month": month}
		if err := appendEvent(t, by, Event{Kind: event, Data: data}); err != nil {
			return err
		}
		for _, n := range n {
			if err := tell(t, by.At, n); err != nil {
				return err
			}
		}
		return file(t, by.At, Part{Base: "reviews/" + month, Kind: kind, Reading: -1})
	})
}

func file(t tx, at time.Time, p Part) error {
	var f Filed
	if _, err := fetch(t, "filed", []byte(p.Base), &f); err != nil {
		return err
	}
	f.Parts++
	seq, err := nextSeq(t, "parts")
	if err != nil {
		return err
	}
	p.Seq, p.Number, p.At = seq, f.Parts, Moment(at)
	return errors.Join(save(t, "filed", []byte(p.Base), f), add(t, "parts", u64(seq), p))
}

// Parts lists what is still to be put into the archive, the oldest first, from after that sequence number, at most that many.
func (db *DB) Parts(after uint64, most int) (out []Part, err error) {
	if after == math.MaxUint64 {
		return nil, nil
	}
	err = db.e.view(func(t tx) error {
		var bad error
		t.scan("parts", u64(after+1), func(k, v []byte) bool {
			if len(out) == most {
				return false
			}
			var p Part
			if bad = decode("parts", k, v, &p); bad != nil {
				return false
			}
			out = append(out, p)
			return true
		})
		return bad
	})
	return out, err
}

// Filed reads what the archive has of a folder.
func (db *DB) Filed(base string) (f Filed, err error) {
	err = db.e.view(func(t tx) error {
		_, err := fetch(t, "filed", []byte(base), &f)
		return err
	})
	return f, err
}

// Archiving writes down what is about to be put into the archive for a part, before any of it is. The line of the log tells what is on its way there from what
// somebody else put there. It gives the line's number; a second time with the same manifest writes nothing.
func (db *DB) Archiving(by By, seq uint64, manifest string, files int) (line uint64, err error) {
	err = db.withPart(by, seq, func(t tx, p *Part) error {
		if p.Manifest == manifest {
			line = p.Line
			return nil
		}
		data := map[string]string{"effect": "archive", "folder": p.Folder(), "manifest": manifest, "files": fmt.Sprint(files)}
		if err := appendEvent(t, by, Event{Kind: EventIntent, Request: p.Request, Data: data}); err != nil {
			return err
		}
		line = size(t)
		p.Manifest, p.Line = manifest, line
		return save(t, "parts", u64(seq), p)
	})
	return line, err
}

// Archived ends a part: the archive has all of it. The log's line has the manifest's SHA-256, which nothing in the archive can be changed without.
func (db *DB) Archived(by By, seq uint64, manifest string, files int) error {
	return db.withPart(by, seq, func(t tx, p *Part) error {
		var f Filed
		if _, err := fetch(t, "filed", []byte(p.Base), &f); err != nil {
			return err
		}
		if p.Number != f.Done+1 {
			return fmt.Errorf("part %d of %s is complete before part %d", p.Number, p.Base, f.Done+1)
		}
		f.Done, f.Last = p.Number, manifest
		data := map[string]string{"folder": p.Folder(), "manifest": manifest, "files": fmt.Sprint(files)}
		return errors.Join(
			appendEvent(t, by, Event{Kind: EventArchived, Request: p.Request, Data: data}),
			save(t, "filed", []byte(p.Base), f), t.del("parts", u64(seq)))
	})
}

// Unarchived keeps a part for later: it could not be put into the archive, and why. The first time is a line of the log.
func (db *DB) Unarchived(by By, seq uint64, until time.Time, why string) error {
	return db.withPart(by, seq, func(t tx, p *Part) error {
		p.Attempts++
		p.NotUntil, p.Error = Moment(until), why
		if p.Since.IsZero() {
			p.Since = Moment(by.At)
			data := map[string]string{"effect": "archive", "folder": p.Folder(), "error": why}
			if err := appendEvent(t, by, Event{Kind: EventFault, Request: p.Request, Data: data}); err != nil {
				return err
			}
		}
		return save(t, "parts", u64(seq), p)
	})
}

// Renumber moves a part, and those of its folder that wait behind it, past what the archive has there already under their numbers: what an earlier drawing
// left behind that was lost since, or what a store put there that this one was restored from an older copy of. number is the part's new one; last is the
// SHA-256 of the manifest before it, which it goes on from. The line of
// the log names the folder under its old number as left: nothing more will be put there.
func (db *DB) Renumber(by By, seq uint64, number int, last string) error {
	return db.withPart(by, seq, func(t tx, p *Part) error {
		var f Filed
		if _, err := fetch(t, "filed", []byte(p.Base), &f); err != nil {
			return err
		}
		further := number - p.Number
		if further <= 0 || p.Number != f.Done+1 {
			return fmt.Errorf("part %d of %s cannot become part %d: %d are complete", p.Number, p.Base, number, f.Done)
		}
		behind, err := behind(t, p.Base)
		if err != nil {
			return err
		}
		left := p.Folder()
		for _, q := range behind {
			q.Number, q.Manifest, q.Line = q.Number+further, "", 0
			if err := save(t, "parts", u64(q.Seq), q); err != nil {
				return err
			}
		}
		f.Parts, f.Done, f.Last = f.Parts+further, number-1, last
		p.Number = number
		data := map[string]string{"effect": "archive", "left": left, "folder": p.Folder(), "error": "the archive has something under that number that this store did not finish"}
		return errors.Join(appendEvent(t, by, Event{Kind: EventFault, Request: p.Request, Data: data}), save(t, "filed", []byte(p.Base), f))
	})
}

// behind are the parts of a folder that wait.
func behind(t tx, base string) (out []Part, err error) {
	t.scan("parts", nil, func(k, v []byte) bool {
		var p Part
		if err = decode("parts", k, v, &p); err == nil && p.Base == base {
			out = append(out, p)
		}
		return err == nil
	})
	return out, err
}

func (db *DB) withPart(by By, seq uint64, fn func(tx, *Part) error) error {
	return db.change(by, func(t tx) error {
		var p Part
		found, err := fetch(t, "parts", u64(seq), &p)
		if err != nil || !found {
			return err
		}
		return fn(t, &p)
	})
}

// Jot keeps a small fact that is of no meaning to people: how far some bookkeeping is. It writes no line of the log.
func (db *DB) Jot(by By, name, value string) error {
	return db.change(by, func(t tx) error { return save(t, "facts", []byte(name), value) })
}
