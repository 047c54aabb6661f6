package workflows

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"breakglass/store"
)

// stage is the evidence of one reading while it is gathered: a file of lines in the spool, each an event as CloudTrail gave it or a mark of how far the reading is.
// A reading that was cut off, by a crash or by its time, goes on from there, and asks CloudTrail for nothing twice.
type stage struct {
	path string
	f    *os.File
	w    *bufio.Writer
	grew bool
}

// staged is a line of it.
type staged struct {
	Source string          `json:"source,omitempty"`
	Record *store.Record   `json:"record,omitempty"`
	Event  json.RawMessage `json:"event,omitempty"`
	Mark   *store.Mark     `json:"mark,omitempty"`
}

// evidenceOf is where the evidence of a request's reading stands. The store has a part in the name: one that is begun anew beside what an earlier one left
// gives the same ids to other requests.
func (e *Engine) evidenceOf(id store.ID, reading int) string {
	return filepath.Join(e.Spool, "readings", fmt.Sprintf("%.6s-%s-%d.jsonl", e.DB.ID(), id, reading))
}

// openStage opens the evidence of a reading, and gives what is there already to again.
func openStage(path string, again func(string, store.Record)) (s *stage, p store.Resume, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, p, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, p, err
	}
	marks, ids, given := map[string]store.Mark{}, map[string]bool{}, map[string]int{}
	whole, err := scanStage(f, func(l staged) error {
		switch {
		case l.Mark != nil:
			marks[l.Mark.Of] = *l.Mark
		case l.Record != nil:
			l.Record.Raw = l.Event
			ids[l.Record.ID] = true
			given[l.Source]++
			again(l.Source, *l.Record)
		}
		return nil
	})
	if err == nil { // what a crash left of a last line goes
		err = f.Truncate(whole)
	}
	if err == nil {
		_, err = f.Seek(whole, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, p, fmt.Errorf("go on with a reading: %w", err)
	}
	for _, m := range marks {
		p.Marks = append(p.Marks, m)
	}
	p.Given, p.Has = given, func(id string) bool { return ids[id] }
	return &stage{path: path, f: f, w: bufio.NewWriterSize(f, 1<<16)}, p, nil
}

// idsOf is where the ids of a reading's events stand once its evidence is in the archive and no longer here.
func (e *Engine) idsOf(id store.ID, reading int) string {
	return filepath.Join(e.Spool, "readings", fmt.Sprintf("%.6s-%s-%d.ids", e.DB.ID(), id, reading))
}

// keepIDs leaves the ids of a reading's events behind, a line each. A crash in between leaves the evidence itself, or a reading that tells some of it again.
func (e *Engine) keepIDs(id store.ID, reading int) error {
	f, err := os.Open(e.evidenceOf(id, reading))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var ids bytes.Buffer
	_, err = scanStage(f, func(l staged) error {
		if l.Record != nil {
			fmt.Fprintln(&ids, l.Record.ID)
		}
		return nil
	})
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return writeWhole(e.idsOf(id, reading), ids.Bytes())
}

// keptBefore are the ids of the events that the earlier readings of a session kept: a later reading is of what came late, and nothing else. whole: all of them
// are known.
func (e *Engine) keptBefore(r store.Request) (ids map[string]bool, whole bool, err error) {
	ids, whole = map[string]bool{}, e.Spool != ""
	for n := 0; e.Spool != "" && n < len(r.Readings); n++ {
		text, err := os.ReadFile(e.idsOf(r.ID, n))
		if err == nil {
			for id := range strings.FieldsSeq(string(text)) {
				ids[id] = true
			}
			continue
		}
		f, err := os.Open(e.evidenceOf(r.ID, n)) // it waits for the archive
		if errors.Is(err, os.ErrNotExist) {
			whole = false
			continue
		}
		if err != nil {
			return nil, false, err
		}
		_, err = scanStage(f, func(l staged) error {
			if l.Record != nil {
				ids[l.Record.ID] = true
			}
			return nil
		})
		if err = errors.Join(err, f.Close()); err != nil {
			return nil, false, err
		}
	}
	return ids, whole, nil
}

// scanStage reads the whole lines of a stage and says where they end.
func scanStage(r io.Reader, each func(staged) error) (whole int64, err error) {
	b := bufio.NewReaderSize(r, 1<<16)
	for {
		line, err := b.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return whole, nil
		}
		if err != nil {
			return whole, err
		}
		var l staged
		if err := json.Unmarshal(line, &l); err != nil {
			return whole, nil // torn by a crash, and so is what follows
		}
		if err := each(l); err != nil {
			return whole, err
		}
		whole += int64(len(line))
	}
}

func (s *stage) write(l staged) error {
	b, err := json.Marshal(l)
	if err != nil {
		return err
	}
	_, err = s.w.Write(append(b, '\n'))
	return err
}

// keep adds an event.
func (s *stage) keep(source string, r store.Record) error {
	s.grew = true
	raw := r.Raw
	r.Raw = nil
	if !json.Valid(raw) {
		raw = nil
	}
	return s.write(staged{Source: source, Record: &r, Event: raw})
}

// mark adds how far the reading is, once what it covers is on its way to the disk.
func (s *stage) mark(m store.Mark) error {
	s.grew = true // also where all of what it covers was told earlier
	if err := s.write(staged{Mark: &m}); err != nil {
		return err
	}
	return s.w.Flush()
}

func (s *stage) close() error {
	return errors.Join(s.w.Flush(), s.f.Sync(), s.f.Close())
}

// copyEvents writes the evidence of a reading as the archive has it: an event a line, with its source.
func copyEvents(w io.Writer, r io.Reader) error {
	b := bufio.NewWriterSize(w, 1<<16)
	_, err := scanStage(r, func(l staged) error {
		if l.Record == nil {
			return nil
		}
		event := l.Event
		if event == nil {
			event = json.RawMessage("null")
		}
		var one bytes.Buffer
		if err := json.Compact(&one, event); err != nil {
			return err
		}
		source, err := json.Marshal(l.Source)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(b, "{\"source\":%s,\"event\":%s}\n", source, one.Bytes())
		return err
	})
	return errors.Join(err, b.Flush())
}
