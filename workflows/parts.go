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
	"slices"
	"strings"
	"time"

	"breakglass/store"
	"breakglass/store/ledger"
)

// Parts of the archive. A part is first drawn up whole on this machine's disk, in the spool beside the store, with its manifest; then it is put, object by object, the
// manifest last; then the log gets its line. A crash before the manifest stands in the spool draws it up anew, one after it puts the same bytes again.

// mostParts is how many are looked at in a round.
const mostParts = 200

// putParts puts what waits, the oldest first; parts of one folder in their order. It says how many it completed, whether some that failed wait for their next try,
// and the first thing that went wrong.
func (e *Engine) putParts(ctx context.Context, f *filing) (done int, waits bool, err error) {
	parts, err := e.DB.Parts(0, mostParts)
	if err != nil {
		return 0, false, err
	}
	stuck := map[string]bool{}
	for _, p := range parts {
		if ctx.Err() != nil {
			return done, waits, ctx.Err()
		}
		if stuck[p.Base] || p.NotUntil.After(e.now()) {
			stuck[p.Base], waits = true, true
			continue
		}
		perr := e.putPart(ctx, f, p)
		if perr == nil {
			done++
			continue
		}
		stuck[p.Base] = true
		if err == nil {
			err = fmt.Errorf("%s: %w", p.Folder(), perr)
		}
		if ctx.Err() == nil {
			err = errors.Join(err, e.DB.Unarchived(e.by(), p.Seq, e.now().Add(backoff(p.Attempts+1)), brief(perr)))
		}
	}
	return done, waits, err
}

func (e *Engine) putPart(ctx context.Context, f *filing, p store.Part) error {
	dir := e.spooled(p)
	manifest, err := os.ReadFile(filepath.Join(dir, ledger.ManifestName))
	if errors.Is(err, os.ErrNotExist) {
		manifest, err = e.drawUp(ctx, f, p, dir)
	}
	if err != nil {
		return fmt.Errorf("draw it up: %w", err)
	}
	m, err := ledger.ReadManifest(manifest)
	if err != nil {
		return fmt.Errorf("draw it up: %w", err)
	}
	for _, file := range m.Files {
		if err := e.putFile(ctx, p.Folder()+"/"+file.Name, filepath.Join(dir, file.Name), file); err != nil {
			return err
		}
	}
	if err := e.put(ctx, p.Folder()+"/"+ledger.ManifestName, manifest); err != nil {
		return err
	}
	if err := e.DB.Archived(e.by(), p.Seq, ledger.Sum(manifest), len(m.Files)); err != nil {
		return err
	}
	e.Log.Info("archived", "folder", p.Folder(), "files", len(m.Files))
	return os.RemoveAll(dir)
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
	d := &drawing{dir: dir + ".new"}
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
	return manifest, os.Rename(d.dir, dir)
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
