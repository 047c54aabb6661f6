package workflows

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"golang.org/x/sync/errgroup"

	"breakglass/store"
	"breakglass/store/ledger"
)

// What others remember that this store does not: one that was restored from an older copy would give its next requests the numbers of requests that it forgot.

// Recount makes the ids of requests go on past the highest that the dead man's schedules and the archive know. The error is of who did not answer; what the
// other knows was taken up.
func (e *Engine) Recount(ctx context.Context) error {
	var schedules, archive error
	var g errgroup.Group
	g.Go(func() error { schedules = e.pastSchedules(ctx); return nil })
	g.Go(func() error { archive = e.pastArchive(ctx); return nil })
	return errors.Join(g.Wait(), schedules, archive)
}

// pastArchive goes past the requests of lines of the log that the archive has and this store never put there: those of a later copy of it. They are in segments
// that follow on the last one that this store knows of, and in later epochs.
func (e *Engine) pastArchive(ctx context.Context) error {
	if e.Archive == nil {
		return nil
	}
	b, err := e.book()
	if err != nil {
		return err
	}
	highest, read := store.ID(""), 0
	for epoch, from := b.Epoch, b.Lines+1; ; epoch, from = epoch+1, 1 {
		before := read
		for {
			name, err := e.Archive.Newest(ctx, ledger.SegmentFrom(epoch, from))
			if err != nil {
				return fmt.Errorf("look which requests the archive knows: %w", err)
			}
			last := ledger.SegmentLast(name)
			if last < from {
				break
			}
			if highest, err = e.highestIn(ctx, name, highest); err != nil {
				return fmt.Errorf("look which requests the archive knows: read %s: %w", name, err)
			}
			from, read = last+1, read+1
		}
		if read == before && epoch > b.Epoch {
			break
		}
	}
	if highest == "" {
		return nil
	}
	changed, err := e.DB.Past(e.by(), highest)
	if changed {
		e.Log.Error("the archive knows requests that the store does not: it was restored from an older copy. Numbers go on past them", "archive", e.Archive.String(), "request", highest)
	}
	return err
}

// highestIn is the highest of a request's id in the lines of a segment, and another.
func (e *Engine) highestIn(ctx context.Context, name string, highest store.ID) (store.ID, error) {
	r, err := e.Archive.Open(ctx, name)
	if err != nil {
		return highest, err
	}
	defer r.Close()
	lines := bufio.NewReader(r)
	for {
		b, err := lines.ReadBytes('\n')
		var x struct {
			Request store.ID `json:"request"`
		}
		if json.Unmarshal(b, &x) == nil && x.Request.After(highest) {
			highest = x.Request
		}
		if errors.Is(err, io.EOF) {
			return highest, nil
		}
		if err != nil {
			return highest, err
		}
	}
}
