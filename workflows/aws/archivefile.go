package aws

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"breakglass/store"
)

// folder is an archive on this machine. All paths go through os.Root, so that no link in it leads out of it. Nothing in it is locked: who
// is root here can rewrite it, which only checkpoints that are kept elsewhere will show.
type folder struct{ path string }

const (
	partFolder = ".part" // what is being written; no name begins with a dot
	partLife   = 24 * time.Hour
)

// put writes to a file of its own and links it to its name, which fails where the name is taken: whoever reads the name sees all of it or
// nothing. What a crash leaves is a file in the part folder, which goes a day later.
func (f folder) put(ctx context.Context, name string, b blob, _ time.Time) error {
	doing := "storing " + name
	if err := os.MkdirAll(f.path, 0o700); err != nil {
		return fmt.Errorf("making the archive: %w", err)
	}
	root, err := os.OpenRoot(f.path)
	if err != nil {
		return fmt.Errorf("opening the archive: %w", err)
	}
	defer root.Close()
	for _, dir := range []string{partFolder, path.Dir(name)} {
		if err := root.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("%s: %w", doing, err)
		}
	}
	sweepParts(root)
	part := path.Join(partFolder, rand.Text())
	defer func() { _ = root.Remove(part) }()
	if err = writePart(ctx, root, part, b); err == nil {
		err = root.Link(part, name)
	}
	switch {
	case errors.Is(err, fs.ErrExist):
		err = sameFile(ctx, root, name, b)
	case errors.Is(err, syscall.EPERM), errors.Is(err, errors.ErrUnsupported):
		err = &store.Refusal{Code: "NoLinks", Message: "the file system of the archive has no hard links, without which a name cannot be written exactly once"}
	}
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	// The name is in its folder, and the folder in its own, only once they are written: else a power cut takes what the log says is there.
	for dir := path.Dir(name); ; dir = path.Dir(dir) {
		if err := syncFolder(root, dir); err != nil {
			return fmt.Errorf("%s: %w", doing, err)
		}
		if dir == "." {
			return nil
		}
	}
}

// writePart writes and flushes the bytes, and makes sure that they are those that were announced.
func writePart(ctx context.Context, root *os.Root, part string, b blob) error {
	if _, err := b.body.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("reading it: %w", err)
	}
	w, err := root.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o400)
	if err != nil {
		return err
	}
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(w, h), heeding{ctx, b.body})
	if err == nil {
		err = w.Sync()
	}
	if cerr := w.Close(); err == nil {
		err = cerr
	}
	if err == nil && (n != b.size || [32]byte(h.Sum(nil)) != b.sum) {
		err = changed()
	}
	return err
}

// sameFile compares what stands under a name with what was to be put there.
func sameFile(ctx context.Context, root *os.Root, name string, b blob) error {
	info, err := root.Lstat(name)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || info.Size() != b.size {
		return differs()
	}
	r, err := root.Open(name)
	if err != nil {
		return err
	}
	defer r.Close()
	h := sha256.New()
	if _, err := io.Copy(h, heeding{ctx, r}); err != nil {
		return err
	}
	if [32]byte(h.Sum(nil)) != b.sum {
		return differs()
	}
	return nil
}

func syncFolder(root *os.Root, dir string) error {
	d, err := root.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// sweepParts removes what crashes have left. Younger files may be another process's, which is at work.
func sweepParts(root *os.Root) {
	all, _ := fs.ReadDir(root.FS(), partFolder)
	for _, e := range all {
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > partLife {
			_ = root.Remove(path.Join(partFolder, e.Name()))
		}
	}
}

// objects walks the folder that a prefix lies in. Links and devices are not of the archive, and are left out.
func (f folder) objects(ctx context.Context, prefix string) ([]Object, error) {
	top := "."
	if i := strings.LastIndexByte(prefix, '/'); i >= 0 {
		if top = prefix[:i]; !fs.ValidPath(top) {
			return nil, nil
		}
	}
	root, err := os.OpenRoot(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listing the archive: %w", err)
	}
	defer root.Close()
	var all []Object
	err = fs.WalkDir(root.FS(), top, func(name string, e fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist) && name == top:
			return fs.SkipAll
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case e.IsDir() && strings.HasPrefix(name, partFolder):
			return fs.SkipDir
		case !e.Type().IsRegular() || !strings.HasPrefix(name, prefix):
			return nil
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		all = append(all, Object{Name: name, Size: info.Size(), Modified: info.ModTime(), Versions: 1})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing the archive: %w", err)
	}
	// By whole names, as S3 has them; a walk sorts each folder by itself.
	slices.SortFunc(all, func(a, b Object) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

func (f folder) newest(ctx context.Context, prefix string) (string, error) {
	all, err := f.objects(ctx, prefix)
	if err != nil || len(all) == 0 {
		return "", err
	}
	return all[len(all)-1].Name, nil
}

func (f folder) open(ctx context.Context, name string) (io.ReadCloser, error) {
	root, err := os.OpenRoot(f.path)
	if err != nil {
		return nil, fmt.Errorf("opening the archive: %w", err)
	}
	defer root.Close()
	// Not before it is known to be a file: opening a pipe that somebody left there would wait for its writer.
	info, err := root.Lstat(name)
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("it is no file: %w", fs.ErrNotExist)
	}
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", name, err)
	}
	r, err := root.Open(name)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", name, err)
	}
	return struct {
		io.Reader
		io.Closer
	}{heeding{ctx, r}, r}, nil
}

// heeding is a reader that ends with its context.
type heeding struct {
	ctx context.Context
	r   io.Reader
}

func (h heeding) Read(p []byte) (int, error) {
	if err := h.ctx.Err(); err != nil {
		return 0, err
	}
	return h.r.Read(p)
}

// ready looks at the folder and tries to write into it, where it is there.
func (f folder) ready(context.Context) []Row {
	r := Row{What: "archive " + inFile + f.path, Needed: "a place that nobody can rewrite"}
	const warning = "name an S3 bucket with Object Lock (report.archive or BREAKGLASS_ARCHIVE): whoever is root on this machine can rewrite a folder"
	info, err := os.Stat(f.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		r.Found, r.Remedy, r.OK = "not there yet: it is made when it is needed", warning, true
		return []Row{r}
	case err == nil && !info.IsDir():
		err = errors.New("it is no folder")
	case err == nil:
		err = f.tryWrite()
	}
	if err != nil {
		r.Found, r.Remedy = clean(err.Error(), 300), "let the bot's user write to it, on a file system with hard links"
		return []Row{r}
	}
	r.Found, r.Remedy, r.OK = "a folder on this machine, which the bot can write to", warning, true
	if info.Mode().Perm()&0o077 != 0 {
		r.Found += fmt.Sprintf("; open to others (mode %04o)", info.Mode().Perm())
	}
	return []Row{r}
}

func (f folder) tryWrite() error {
	d, err := os.MkdirTemp(f.path, partFolder+"-check-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(d)
	if err := os.WriteFile(path.Join(d, "a"), nil, 0o400); err != nil {
		return err
	}
	return os.Link(path.Join(d, "a"), path.Join(d, "b"))
}
