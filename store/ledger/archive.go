package ledger

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Archive is what is verified: a flat space of names with slashes. Open is called from several goroutines.
type Archive interface {
	List(ctx context.Context) ([]Object, error)
	// Open reads an object: where there are several versions the oldest, which is the one that was written when it was true.
	Open(ctx context.Context, name string) (io.ReadCloser, error)
}

// Object is one name of an archive.
type Object struct {
	Name     string
	Size     int64 // bytes
	Versions int   // how many there are; 0 where the place keeps none. More than one is a finding: nothing is ever overwritten.
	Deleted  bool  // it has a delete marker
}

// Dir is an archive in a directory: one that was written there, or a downloaded copy.
func Dir(path string) Archive { return dir(path) }

type dir string

// unfinished is how the folders at the top begin in which an archive in a directory keeps what is still being written; no object's name does.
const unfinished = ".part"

// List has every file, and whatever else is not a directory: what cannot be read is a finding when it is opened.
func (d dir) List(ctx context.Context) ([]Object, error) {
	var out []Object
	err := filepath.WalkDir(string(d), func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if e.IsDir() {
			if strings.HasPrefix(e.Name(), unfinished) && filepath.Dir(path) == filepath.Clean(string(d)) {
				return fs.SkipDir
			}
			return nil
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(string(d), path)
		if err != nil {
			return err
		}
		out = append(out, Object{Name: filepath.ToSlash(name), Size: info.Size()})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list the archive: %w", err)
	}
	return out, nil
}

// Open refuses what is not a plain file of the directory: a link would be verified here and be something else tomorrow.
func (d dir) Open(_ context.Context, name string) (io.ReadCloser, error) {
	root, err := os.OpenRoot(string(d))
	if err != nil {
		return nil, fmt.Errorf("open the archive: %w", err)
	}
	defer root.Close()
	info, err := root.Lstat(filepath.FromSlash(name))
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", name, err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("open %s: it is not a plain file", name)
	}
	f, err := root.Open(filepath.FromSlash(name))
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", name, err)
	}
	return f, nil
}
