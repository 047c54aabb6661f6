package workflows

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"breakglass/store"
	"breakglass/store/ledger"
)

// Parts of the archive. A part is first drawn up whole on this machine's disk, in the spool beside the store, with its manifest; then it is put, object by object, the
// manifest last; then the log gets its line. A crash before the manifest stands in the spool draws it up anew, one after it puts the same bytes again.
//
// Before anything of it is put, a line says what will be, and the archive has that line: whoever reads the archive meanwhile knows what is on its way there, and
// that what no line names was put there by somebody else.

// partsAtOnce is how many are read in one go, and mostFailures after how many a round is over: an archive that hangs is not asked for each part in turn.
const (
	partsAtOnce  = 200
	mostFailures = 3
	longestWait  = time.Minute // of a part that failed; backoff is less
)

// putParts puts what waits, the oldest first; parts of one folder in their order. It says how many it completed, whether some that failed wait for their next try,
// and the first thing that went wrong.
func (e *Engine) putParts(ctx context.Context, f *filing) (done int, waits bool, err error) {
	stuck := map[string]bool{}
	failed := 0
	for after := uint64(0); ; {
		parts, perr := e.DB.Parts(after, partsAtOnce)
		if perr != nil || len(parts) == 0 {
			return done, waits, errors.Join(err, perr)
		}
		for _, p := range parts {
			after = p.Seq
			if ctx.Err() != nil {
				return done, waits, ctx.Err()
			}
			if stuck[p.Base] || failed == mostFailures || soon(e.now(), p.NotUntil, longestWait) {
				stuck[p.Base], waits = true, true
				continue
			}
			perr := e.tryPart(ctx, f, p)
			if perr == nil {
				done++
				continue
			}
			stuck[p.Base] = true
			failed++
			if err == nil {
				err = fmt.Errorf("%s: %w", p.Folder(), perr)
			}
			if ctx.Err() == nil {
				err = errors.Join(err, e.DB.Unarchived(e.by(), p.Seq, e.now().Add(backoff(p.Attempts+1)), brief(perr)))
			}
		}
	}
}

// tryPart makes an error of a panic, so that a part that makes one is put off like any that fails.
func (e *Engine) tryPart(ctx context.Context, f *filing, p store.Part) (err error) {
	defer func() {
		if r := recover(); r != nil {
			e.meters.panics.Inc()
			e.Log.Error("a part of the archive panicked; the others go on", "folder", p.Folder(), "panic", r, "stack", string(debug.Stack()))
			err = fmt.Errorf("a defect of Breakglass: %v", r)
		}
	}()
	return e.putPart(ctx, f, p)
}

// What an archive refuses for good: something else is there, or what is to be put is not what its manifest says.
const (
	codeDiffers = "Differs"
	codeChanged = "BadDigest"
)

func (e *Engine) putPart(ctx context.Context, f *filing, p store.Part) error {
	p, manifest, err := e.drawn(ctx, f, p)
	if err != nil {
		return fmt.Errorf("draw it up: %w", err)
	}
	dir := e.spooled(p)
	m, err := ledger.ReadManifest(manifest)
	if err != nil {
		return fmt.Errorf("draw it up: %w", err)
	}
	sum := ledger.Sum(manifest)
	line, err := e.DB.Archiving(e.by(), p.Seq, sum, len(m.Files))
	if err != nil {
		return err
	}
	if err := e.logBefore(ctx, f, line); err != nil {
		return err
	}
	if err := e.putAll(ctx, p, dir, manifest, m); err != nil {
		var refused *store.Refusal
		if errors.As(err, &refused) && refused.Code == codeDiffers {
			return errors.Join(err, os.RemoveAll(dir)) // it is drawn up anew, under a number that is free
		}
		if errors.As(err, &refused) && refused.Code == codeChanged {
			delete(f.whole, p.Seq) // on its way, or here: the next try looks, and puts the same bytes again where they are still here
		}
		return err
	}
	if err := e.DB.Archived(e.by(), p.Seq, sum, len(m.Files)); err != nil {
		return err
	}
	delete(f.whole, p.Seq)
	e.Log.Info("archived", "folder", p.Folder(), "files", len(m.Files))
	if err := e.clear(p, dir); err != nil { // the next start does it
		e.Log.Warn("what the archive has could not be removed here", "folder", p.Folder(), "err", err)
	}
	return nil
}

// logBefore brings the log to the archive up to the line that says what will be put there, which stands after the checkpoint beside a session's lines.
func (e *Engine) logBefore(ctx context.Context, f *filing, line uint64) error {
	for {
		b, err := e.book()
		if err != nil || b.Lines >= line {
			return err
		}
		if err := e.putLog(ctx, f, b); err != nil {
			return err
		}
	}
}

func (e *Engine) putAll(ctx context.Context, p store.Part, dir string, manifest []byte, m ledger.Manifest) error {
	for _, file := range m.Files {
		if err := e.putFile(ctx, p.Folder()+"/"+file.Name, filepath.Join(dir, file.Name), file); err != nil {
			return err
		}
	}
	return e.put(ctx, p.Folder()+"/"+ledger.ManifestName, manifest)
}

// spooled is where a part is drawn up.
func (e *Engine) spooled(p store.Part) string {
	return filepath.Join(e.Spool, "parts", strings.ReplaceAll(p.Folder(), "/", "_"))
}

// put puts an object that is small enough to be held.
func (e *Engine) put(ctx context.Context, name string, b []byte) error {
	ctx, cancel := context.WithTimeout(ctx, filePatience)
	defer cancel()
	if err := e.Archive.Put(ctx, name, bytes.NewReader(b), int64(len(b)), sha256.Sum256(b), e.retained()); err != nil {
		return fmt.Errorf("put %s into the archive: %w", name, err)
	}
	return nil
}

// putFile puts one of any size.
func (e *Engine) putFile(ctx context.Context, name, path string, f ledger.File) error {
	ctx, cancel := context.WithTimeout(ctx, filePatience)
	defer cancel()
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	var sum [32]byte
	if b, err := hex.DecodeString(f.SHA256); err != nil || copy(sum[:], b) != len(sum) {
		return fmt.Errorf("the checksum of %s cannot be read", f.Name)
	}
	if err := e.Archive.Put(ctx, name, file, f.Size, sum, e.retained()); err != nil {
		return fmt.Errorf("put %s into the archive: %w", name, err)
	}
	return nil
}

func (e *Engine) retained() time.Time { return e.now().Add(e.Policy().Report.Retain) }

// drawing is a part while it is drawn up.
type drawing struct {
	dir   string
	files []ledger.File
}

func (d *drawing) add(name string, b []byte) error {
	if err := writeWhole(filepath.Join(d.dir, name), b); err != nil {
		return err
	}
	d.files = append(d.files, ledger.FileOf(name, b))
	return nil
}

func (d *drawing) json(name string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return d.add(name, append(b, '\n'))
}

// stream adds a file of any size; fill writes it.
func (d *drawing) stream(name string, fill func(io.Writer) error) error {
	path := filepath.Join(d.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	h := sha256.New()
	n := &counted{w: io.MultiWriter(f, h)}
	err = errors.Join(fill(n), f.Sync(), f.Close())
	if err != nil {
		return err
	}
	d.files = append(d.files, ledger.File{Name: name, Size: n.n, SHA256: hex.EncodeToString(h.Sum(nil))})
	return nil
}

type counted struct {
	w io.Writer
	n int64
}

func (c *counted) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

func writeWhole(path string, b []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Sync(), f.Close())
}

// drawUp draws a part up in a directory beside the one it will have, and gives it its name when it is whole.
func (e *Engine) drawUp(ctx context.Context, f *filing, p store.Part, dir string) (manifest []byte, err error) {
	d := &drawing{dir: dir + newDrawing}
	defer func() {
		if err != nil { // above all where the disk is full
			_ = os.RemoveAll(d.dir)
		}
	}()
	if err := errors.Join(os.RemoveAll(d.dir), os.MkdirAll(d.dir, 0o700), os.RemoveAll(dir)); err != nil {
		return nil, err
	}
	if p.Request != "" {
		err = e.drawSession(ctx, f, p, d)
	} else {
		err = e.drawReview(p, d)
	}
	if err != nil {
		return nil, err
	}
	filed, err := e.DB.Filed(p.Base)
	if err != nil {
		return nil, err
	}
	m := ledger.Manifest{Folder: p.Folder(), Session: string(p.Request), Part: p.Number, Kind: p.Kind, At: p.At, Previous: filed.Last, Files: d.files}
	manifest, _, err = m.Encode()
	if err != nil {
		return nil, err
	}
	if err := writeWhole(filepath.Join(d.dir, ledger.ManifestName), manifest); err != nil {
		return nil, err
	}
	if err := errors.Join(syncDir(d.dir), os.Rename(d.dir, dir)); err != nil {
		return nil, err
	}
	return manifest, syncDir(filepath.Dir(dir))
}

// proofs adds the session's lines of the log with their proofs, and the checkpoint they are proved against.
func (e *Engine) proofs(f *filing, d *drawing, id store.ID) error {
	b, err := e.book()
	if err != nil {
		return err
	}
	c, signed, err := e.sign(f, b.Epoch)
	if err != nil {
		return err
	}
	lines, err := e.DB.Proved(id, c.Size)
	if err != nil {
		return err
	}
	return errors.Join(d.add(ledger.LinesName, slices.Concat(lines...)), d.add(ledger.NoteName, signed))
}
