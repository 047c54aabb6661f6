package workflows

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"breakglass/store"
	"breakglass/store/ledger"
)

// The spool can be lost, torn by a power failure, or of another store than this one after a copy was restored. The archive keeps what was put of a drawing all the
// same, and takes nothing else under its names: then a part goes on under the next number that is free.

// newDrawing ends the name of a directory in which something is still being drawn.
const newDrawing = ".new"

// drawn is a part's manifest, with everything that it lists in the spool. The part comes back under a later number where the archive has something under its own.
func (e *Engine) drawn(ctx context.Context, f *filing, p store.Part) (store.Part, []byte, error) {
	dir := e.spooled(p)
	manifest, err := e.isDrawn(f, p, dir)
	if err != nil || manifest != nil {
		return p, manifest, err
	}
	if err := os.RemoveAll(dir); err != nil { // under the number that it has now
		return p, nil, err
	}
	if p, err = e.pastOthers(ctx, p); err != nil {
		return p, nil, err
	}
	manifest, err = e.drawUp(ctx, f, p, e.spooled(p))
	if err == nil {
		f.whole[p.Seq] = true
	}
	return p, manifest, err
}

// isDrawn is the manifest of what stands in the spool; nil where nothing does, or not all of it, or something else: of a store that this one was
// restored from a copy of.
func (e *Engine) isDrawn(f *filing, p store.Part, dir string) ([]byte, error) {
	manifest, err := os.ReadFile(filepath.Join(dir, ledger.ManifestName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil || f.whole[p.Seq] {
		return manifest, err
	}
	filed, err := e.DB.Filed(p.Base)
	if err != nil {
		return nil, err
	}
	m, err := ledger.ReadManifest(manifest)
	if err != nil || m.Folder != p.Folder() || !m.At.Equal(p.At) || m.Previous != filed.Last {
		return nil, nil
	}
	for _, file := range m.Files {
		if !isFile(filepath.Join(dir, file.Name), file) {
			e.Log.Warn("what was drawn up for the archive is damaged on this machine's disk; it is drawn up anew", "folder", p.Folder(), "file", file.Name)
			return nil, nil
		}
	}
	if ours, err := e.provesOurs(p, dir); err != nil || !ours {
		return nil, err
	}
	f.whole[p.Seq] = true
	return manifest, nil
}

// provesOurs says whether the checkpoint beside a session's lines is of this log as it stands.
func (e *Engine) provesOurs(p store.Part, dir string) (bool, error) {
	if p.Request == "" {
		return true, nil
	}
	b, err := e.book()
	if err != nil {
		return false, err
	}
	text, err := os.ReadFile(filepath.Join(dir, ledger.NoteName))
	if err != nil {
		return false, err
	}
	c, err := ledger.Read(text)
	if err != nil || c.Origin != ledger.Origin(e.DB.ID(), b.Epoch) {
		return false, nil
	}
	err = e.DB.Knows(c)
	if errors.Is(err, ledger.ErrNotPrefix) {
		return false, nil
	}
	return err == nil, err
}

func isFile(path string, want ledger.File) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	return err == nil && n == want.Size && hex.EncodeToString(h.Sum(nil)) == want.SHA256
}

// pastOthers gives a part that is about to be drawn up the next number, where the archive has something under its own or a later one. It goes on
// from the last manifest that is there.
func (e *Engine) pastOthers(ctx context.Context, p store.Part) (store.Part, error) {
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	name, err := e.Archive.Newest(ctx, p.Base+"/")
	if err != nil {
		return p, fmt.Errorf("look what the archive has of %s: %w", p.Base, err)
	}
	_, there := folderOf(p.Base, name)
	if there < p.Number {
		return p, nil // nothing of an earlier drawing came there, whatever the log says of it
	}
	filed, err := e.DB.Filed(p.Base)
	if err != nil {
		return p, err
	}
	last := filed.Last
	for n := there; n > filed.Done; n-- {
		sum, err := e.manifestOf(ctx, p.Base, n)
		if err != nil {
			return p, err
		}
		if sum != "" {
			last = sum
			break
		}
	}
	e.Log.Warn("the archive has something under the number of a part that is to be put there; it goes on after that", "folder", p.Folder(), "archive", name)
	if err := e.DB.Renumber(e.by(), p.Seq, there+1, last); err != nil {
		return p, err
	}
	p.Number = there + 1
	return p, nil
}

// folderOf takes the name of an object in a folder apart: its part's folder, and number; 0 where it is none.
func folderOf(base, name string) (folder string, number int) {
	rest, ok := strings.CutPrefix(name, base+"/")
	part, _, ok2 := strings.Cut(rest, "/")
	digits, _, _ := strings.Cut(part, "-")
	n, err := strconv.Atoi(digits)
	if !ok || !ok2 || err != nil || n < 1 {
		return "", 0
	}
	return base + "/" + part, n
}

// manifestOf is the SHA-256 of the manifest of a part in the archive; "" where there is none that can be read.
func (e *Engine) manifestOf(ctx context.Context, base string, number int) (string, error) {
	name, err := e.Archive.Newest(ctx, fmt.Sprintf("%s/%03d-", base, number))
	if err != nil {
		return "", err
	}
	folder, n := folderOf(base, name)
	if n != number {
		return "", nil
	}
	b, err := e.readSmall(ctx, folder+"/"+ledger.ManifestName, 64<<20)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	if m, err := ledger.ReadManifest(b); err != nil || m.Folder != folder {
		return "", nil
	}
	return ledger.Sum(b), nil
}

// clear removes what the archive has by now: a drawing, and the events that it was drawn from.
func (e *Engine) clear(p store.Part, dir string) error {
	err := os.RemoveAll(dir)
	if p.Kind != store.PartEnded && p.Kind != store.PartAgain {
		return err
	}
	if p.Reading < len(e.Policy().Report.Again) { // a later reading asks which events were told
		err = errors.Join(err, e.keepIDs(p.Request, p.Reading))
	} else {
		for n := range p.Reading {
			err = errors.Join(err, os.RemoveAll(e.idsOf(p.Request, n)))
		}
	}
	if gone := os.Remove(e.evidenceOf(p.Request, p.Reading)); !errors.Is(gone, fs.ErrNotExist) {
		err = errors.Join(err, gone)
	}
	return err
}

// tidySpool removes drawings that no part waits for: a crash came between the last of an upload and their removal.
func (e *Engine) tidySpool() {
	entries, err := os.ReadDir(filepath.Join(e.Spool, "parts"))
	if err != nil {
		return // there is none yet
	}
	waiting := map[string]bool{}
	for after := uint64(0); ; {
		parts, err := e.DB.Parts(after, partsAtOnce)
		if err != nil {
			return
		}
		if len(parts) == 0 {
			break
		}
		for _, p := range parts {
			waiting[filepath.Base(e.spooled(p))] = true
			after = p.Seq
		}
	}
	for _, entry := range entries {
		if !waiting[entry.Name()] {
			_ = os.RemoveAll(filepath.Join(e.Spool, "parts", entry.Name()))
		}
	}
}

// syncDir makes names in a directory survive a power failure.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
