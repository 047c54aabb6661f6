package workflows_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"

	"breakglass/store"
	"breakglass/store/ledger"
	"breakglass/workflows"
)

// vault is an archive in memory: what is put there stays as it was first written.
type vault struct {
	mu      sync.Mutex
	objects map[string][]byte
	puts    map[string]int // how often each was really written
	away    bool           // nothing answers
	hangs   bool           // nor ends
	loses   int            // so many answers more are lost
	before  func(name string) error
	name    string
	secret  string
	public  string
}

func newVault() *vault { return &vault{objects: map[string][]byte{}, puts: map[string]int{}} }

type shelf struct{ r *run }

func (s shelf) String() string { return "file:" + cmp.Or(s.r.w.vault.name, "vault") }

func (s shelf) ask(ctx context.Context) (*vault, error) {
	if err := s.r.out(ctx); err != nil {
		return nil, err
	}
	v := s.r.w.vault
	v.mu.Lock()
	hangs, away := v.hangs, v.away
	v.mu.Unlock()
	if hangs {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if away {
		return nil, errors.New("the archive is away")
	}
	return v, nil
}

func (s shelf) Put(ctx context.Context, name string, body io.ReadSeeker, size int64, sum [32]byte, until time.Time) error {
	v, err := s.ask(ctx)
	if err != nil {
		return err
	}
	b, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	if int64(len(b)) != size || sha256.Sum256(b) != sum || !until.After(time.Now()) {
		return &store.Refusal{Code: "BadDigest", Message: name}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.before != nil {
		if err := v.before(name); err != nil {
			return err
		}
	}
	was, there := v.objects[name]
	switch {
	case there && !bytes.Equal(was, b):
		return fmt.Errorf("put: %w", &store.Refusal{Code: "Differs", Message: name})
	case !there:
		v.objects[name] = b
		v.puts[name]++
	}
	if v.loses > 0 {
		v.loses--
		return errors.New("the answer was lost")
	}
	return nil
}

func (s shelf) Newest(ctx context.Context, prefix string) (last string, err error) {
	v, err := s.ask(ctx)
	if err != nil {
		return "", err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for name := range v.objects {
		if strings.HasPrefix(name, prefix) && name > last {
			last = name
		}
	}
	return last, nil
}

func (s shelf) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	v, err := s.ask(ctx)
	if err != nil {
		return nil, err
	}
	return v.Open(ctx, name)
}

func (v *vault) Open(_ context.Context, name string) (io.ReadCloser, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	b, there := v.objects[name]
	if !there {
		return nil, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
	}
	return io.NopCloser(bytes.NewReader(b)), nil
}

func (v *vault) List(context.Context) (out []ledger.Object, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for name, b := range v.objects {
		out = append(out, ledger.Object{Name: name, Size: int64(len(b)), Versions: 1})
	}
	return out, nil
}

// names are those of the objects that begin so, in order.
func (v *vault) names(prefix string) (out []string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for name := range v.objects {
		if strings.HasPrefix(name, prefix) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

func (v *vault) text(name string) string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return string(v.objects[name])
}

// set changes it while a story goes on.
func (v *vault) set(change func(*vault)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	change(v)
}

// keepEvidence gives the engine an archive, a key and a spool.
func (r *run) keepEvidence(c *workflows.Config) {
	c.Archive, c.Spool = shelf{r}, r.spool()
	c.Signer = func(context.Context) (note.Signer, string, error) {
		v := r.w.vault
		v.mu.Lock()
		defer v.mu.Unlock()
		if v.secret == "" {
			var err error
			if v.secret, v.public, err = note.GenerateKey(rand.Reader, ledger.KeyName(r.db.ID())); err != nil {
				return nil, "", err
			}
		}
		s, err := note.NewSigner(v.secret)
		return s, v.public, err
	}
}

func (r *run) spool() string { return filepath.Join(filepath.Dir(r.path), "spool") }

// leaveSpool keeps the spool as it is at this moment, which a run that dies leaves behind.
func (r *run) leaveSpool() {
	if r.w.vault == nil {
		return
	}
	r.spooled = filepath.Join(filepath.Dir(r.path), "left")
	if err := os.CopyFS(r.spooled, os.DirFS(r.spool())); err != nil && !errors.Is(err, fs.ErrNotExist) {
		r.w.t.Error(err)
	}
}

func (r *run) takeSpool(before *run) {
	if before.spooled == "" {
		return
	}
	if err := os.CopyFS(r.spool(), os.DirFS(before.spooled)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		r.w.t.Error(err)
	}
}

// verified verifies the archive, and says what is in it.
func (w *world) verified() ledger.Report {
	w.t.Helper()
	if w.vault.public == "" {
		return ledger.Report{}
	}
	key, err := ledger.ParsePublic(w.vault.public)
	if err != nil {
		w.t.Fatal(err)
	}
	if len(w.vault.names("checkpoints/")) == 0 {
		return ledger.Report{}
	}
	rep, err := ledger.Verify(context.Background(), w.vault, ledger.Options{Keys: []note.Verifier{key}, Store: w.run.db.ID(), Live: w.lines()})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range rep.Findings {
		w.t.Errorf("%s %s line %d: %s", f.Code, f.Object, f.Line, f.Text)
	}
	return rep
}

// lines are the store's own: the archive may be seen between a part of the log and its checkpoint.
func (w *world) lines() iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for from := uint64(1); ; {
			all, err := w.run.db.Lines(from, 1000)
			for _, l := range all {
				if from++; !yield(l.Text, nil) {
					return
				}
			}
			if err != nil {
				yield(nil, err)
			}
			if err != nil || len(all) < 1000 {
				return
			}
		}
	}
}

// archivedOnce: everything that was to be archived is there, once, and the archive verifies.
func (w *world) archivedOnce() {
	w.t.Helper()
	if left, err := w.run.db.Parts(0, 100); err != nil || len(left) > 0 {
		w.t.Errorf("it waits still: %+v %v", left, err)
	}
	rep := w.verified()
	if len(rep.Uncovered) > 0 {
		w.t.Errorf("nobody vouches yet for %+v", rep.Uncovered)
	}
	all, err := w.run.db.Events(0, 1<<20)
	if err != nil {
		w.t.Fatal(err)
	}
	said := map[string]int{}
	for _, e := range all {
		if e.Kind == store.EventArchived {
			said[e.Data["folder"]]++
		}
	}
	for folder, n := range said {
		if n != 1 {
			w.t.Errorf("%s was archived %d times", folder, n)
		}
	}
	for name, n := range w.vault.puts {
		if n != 1 {
			w.t.Errorf("%s was written %d times", name, n)
		}
	}
	if left, err := os.ReadDir(filepath.Join(w.run.spool(), "parts")); err == nil && len(left) > 0 {
		w.t.Errorf("left in the spool: %v", left)
	}
	if uint64(len(all)) > rep.Lines+3 {
		w.t.Errorf("the archive has %d lines, of %d", rep.Lines, len(all))
	}
}
