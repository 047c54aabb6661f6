package ledger_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"breakglass/store/ledger"
)

const storeID = "0123456789abcdef"

// bucket is an archive in memory.
type bucket struct {
	objects  map[string][]byte
	versions map[string]int
	deleted  map[string]bool
	broken   map[string]bool // cannot be opened
}

func (b *bucket) List(context.Context) ([]ledger.Object, error) {
	var out []ledger.Object
	for name, body := range b.objects {
		out = append(out, ledger.Object{Name: name, Size: int64(len(body)), Versions: max(1, b.versions[name]), Deleted: b.deleted[name]})
	}
	return out, nil
}

func (b *bucket) Open(_ context.Context, name string) (io.ReadCloser, error) {
	body, ok := b.objects[name]
	if !ok || b.broken[name] {
		return nil, fs.ErrNotExist
	}
	return io.NopCloser(bytes.NewReader(body)), nil
}

// but is the bucket with some objects changed; nil takes one away.
func (b *bucket) but(change map[string][]byte) *bucket {
	c := &bucket{objects: maps.Clone(b.objects)}
	for name, body := range change {
		if body == nil {
			delete(c.objects, name)
		} else {
			c.objects[name] = body
		}
	}
	return c
}

func (b *bucket) names(prefix string) []string {
	var out []string
	for name := range b.objects {
		if strings.HasPrefix(name, prefix) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// key is an Ed25519 key that is the same in every run.
type key struct {
	note.Signer
	note.Verifier
	public string
}

func (k *key) Name() string    { return k.Signer.Name() }
func (k *key) KeyHash() uint32 { return k.Signer.KeyHash() }

func seeded(tb testing.TB, seed byte) *key {
	tb.Helper()
	private := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
	s, public, err := ledger.NewSigner(ledger.KeyName(storeID), private.Public().(ed25519.PublicKey), func(msg []byte) ([]byte, error) { return ed25519.Sign(private, msg), nil })
	check(tb, err)
	v, err := ledger.ParsePublic(public)
	check(tb, err)
	return &key{Signer: s, Verifier: v, public: public}
}

func check(tb asserter, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// world writes a log and its archive as the product does.
type world struct {
	tb       testing.TB
	bucket   *bucket
	epoch    int
	lines    [][]byte
	hashes   []ledger.Hash
	of       map[string][]uint64 // lines of each request
	done     uint64              // lines that are archived
	key      *key
	now      time.Time
	previous map[string]string
	parts    map[string]int
}

func newWorld(tb testing.TB) *world {
	w := &world{tb: tb, bucket: &bucket{objects: map[string][]byte{}}, epoch: 1, now: time.Date(2026, 10, 5, 9, 0, 0, 0, time.UTC), of: map[string][]uint64{}, previous: map[string]string{}, parts: map[string]int{}}
	w.use(seeded(tb, 1))
	return w
}

func (w *world) ReadHashes(indexes []int64) ([]ledger.Hash, error) {
	out := make([]ledger.Hash, len(indexes))
	for i, x := range indexes {
		out[i] = w.hashes[x]
	}
	return out, nil
}

func (w *world) size() uint64 { return uint64(len(w.lines)) }

type event struct {
	Seq     uint64            `json:"seq"`
	At      time.Time         `json:"at"`
	Actor   map[string]string `json:"actor"`
	Request string            `json:"request,omitempty"`
	Kind    string            `json:"kind"`
	From    string            `json:"from,omitempty"`
	To      string            `json:"to,omitempty"`
	Data    map[string]string `json:"data,omitempty"`
}

func (w *world) log(request, kind string, data map[string]string) {
	w.tb.Helper()
	w.now = w.now.Add(17 * time.Second)
	line, err := json.Marshal(event{Seq: w.size() + 1, At: w.now, Actor: map[string]string{"who": "bot"}, Request: request, Kind: kind, Data: data})
	check(w.tb, err)
	first, hashes, err := ledger.Append(w.size(), line, w)
	check(w.tb, err)
	if first != int64(len(w.hashes)) {
		w.tb.Fatalf("the hashes of line %d belong at %d, and there are %d", w.size()+1, first, len(w.hashes))
	}
	w.hashes = append(w.hashes, hashes...)
	w.lines = append(w.lines, line)
	if request != "" {
		w.of[request] = append(w.of[request], w.size())
	}
}

func (w *world) use(k *key) {
	w.key = k
	w.log("", "key", map[string]string{"key": k.public})
}

func (w *world) sign() (ledger.Checkpoint, []byte) {
	w.tb.Helper()
	root, err := ledger.Root(w.size(), w)
	check(w.tb, err)
	c := ledger.Checkpoint{Origin: ledger.Origin(storeID, w.epoch), Size: w.size(), Root: root, At: w.now.Truncate(time.Second)}
	b, err := ledger.Sign(c, w.key)
	check(w.tb, err)
	return c, b
}

func (w *world) put(name string, body []byte) {
	w.tb.Helper()
	if _, ok := w.bucket.objects[name]; ok {
		w.tb.Fatalf("%s is there already", name)
	}
	w.bucket.objects[name] = body
}

// segment archives the lines that are not yet.
func (w *world) segment() {
	w.put(ledger.SegmentName(w.epoch, w.done+1, w.size()), append(bytes.Join(w.lines[w.done:], []byte("\n")), '\n'))
	w.done = w.size()
}

// checkpoint archives the lines that are not yet, and a checkpoint.
func (w *world) checkpoint() []byte {
	w.segment()
	c, b := w.sign()
	w.put(ledger.CheckpointName(c), b)
	return b
}

// part archives a part of a session.
func (w *world) part(session, kind string, files map[string]string) string {
	w.tb.Helper()
	_, b := w.sign()
	all := map[string][]byte{ledger.NoteName: b, ledger.LinesName: w.proved(session)}
	for name, body := range files {
		all[name] = []byte(body)
	}
	w.parts[session]++
	m := ledger.Manifest{Folder: ledger.SessionFolder(session, w.parts[session], kind), Session: session, Part: w.parts[session], Kind: kind}
	return w.folder(m, all)
}

func (w *world) folder(m ledger.Manifest, all map[string][]byte) string {
	w.tb.Helper()
	m.At, m.Previous = w.now, w.previous[strings.Join(strings.Split(m.Folder, "/")[:2], "/")]
	for name, body := range all {
		m.Files = append(m.Files, ledger.FileOf(name, body))
		w.put(m.Folder+"/"+name, body)
	}
	b, sum, err := m.Encode()
	check(w.tb, err)
	w.put(m.Folder+"/"+ledger.ManifestName, b)
	w.previous[strings.Join(strings.Split(m.Folder, "/")[:2], "/")] = sum
	w.log(m.Session, "archived", map[string]string{"folder": m.Folder, "manifest": sum, "files": strconv.Itoa(len(m.Files))})
	return m.Folder
}

func (w *world) proved(session string) []byte {
	var out []byte
	for _, n := range w.of[session] {
		b, err := ledger.ProveLine(n, w.lines[n-1], w.size(), w)
		check(w.tb, err)
		out = append(out, b...)
	}
	return out
}

func (w *world) live() iter.Seq2[[]byte, error] { return linesOf(w.lines) }

func linesOf(lines [][]byte) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for _, l := range lines {
			if !yield(l, nil) {
				return
			}
		}
	}
}

func (w *world) keys() []note.Verifier { return []note.Verifier{w.key.Verifier} }

// months is an archive as it is after some weeks: sessions with several parts, reviews, a new key.
func months(tb testing.TB) *world {
	w := newWorld(tb)
	w.log("", "started", map[string]string{"version": "1"})
	w.checkpoint()
	for i := range 3 {
		id := fmt.Sprintf("BG-%d", 1040+i)
		w.log(id, "submitted", map[string]string{"reason": "orders are stuck <b>& more</b>"})
		w.log("", "policy", map[string]string{"hash": strconv.Itoa(i)})
		w.log(id, "moved", map[string]string{"by": "ann"})
		w.log("BG-9", "refused", map[string]string{"why": "not you"})
		w.part(id, "opened", map[string]string{"request.json": `{"id":"` + id + `"}`, "policy.yaml": "version: 1\n"})
		w.checkpoint()
		w.log(id, "intent", nil)
		w.log(id, "outcome", map[string]string{"error": ""})
		w.checkpoint()
		w.now = w.now.Add(time.Hour)
		w.log(id, "moved", map[string]string{"to": "ended"})
		if i == 1 {
			w.rotate(seeded(tb, 2))
		}
		w.part(id, "ended", map[string]string{"request.json": `{"ended":true}`, "events.jsonl": strings.Repeat(`{"source":"111122223333/eu-west-1"}`+"\n", 3), "shells/s-1.log": "$ ls\n", "report.html": "<p>hello</p>", "empty": ""})
		w.log("", "reminded", nil)
		if i == 0 {
			w.part(id, "post-mortem", map[string]string{"post-mortem.json": `{}`})
		}
		w.checkpoint()
	}
	w.folder(ledger.Manifest{Folder: ledger.ReviewFolder("2026-10", 1, "drawn"), Part: 1, Kind: "drawn"}, map[string][]byte{"review.json": []byte("{}"), "trend.png": {0, 1, 2}})
	w.log("", "reviewed", map[string]string{"month": "2026-10"})
	w.folder(ledger.Manifest{Folder: ledger.ReviewFolder("2026-10", 2, "reviewed"), Part: 2, Kind: "reviewed"}, map[string][]byte{"review.json": []byte("{1}")})
	w.checkpoint()
	return w
}

// rotate changes the key: the old one signs the line that names the new one.
func (w *world) rotate(k *key) {
	old := w.key
	w.use(k)
	w.key = old
	w.checkpoint()
	w.key = k
}

func verify(tb asserter, a ledger.Archive, o ledger.Options) ledger.Report {
	tb.Helper()
	r, err := ledger.Verify(context.Background(), a, o)
	check(tb, err)
	return r
}

func clean(tb testing.TB, r ledger.Report) {
	tb.Helper()
	for _, f := range r.Findings {
		tb.Errorf("%s: %s", f.Code, f)
	}
	if !r.OK {
		tb.FailNow()
	}
}

// names says whether a finding tells of that object.
func names(r ledger.Report, object string) bool {
	return slices.ContainsFunc(r.Findings, func(f ledger.Finding) bool {
		return f.Object == object || slices.Contains(f.Others, object)
	})
}

// found asks for a finding with that code, of that object ("" for any), at that line (0 for any).
func found(tb testing.TB, r ledger.Report, code, object string, line uint64) {
	tb.Helper()
	for _, f := range r.Findings {
		if f.Code == code && (object == "" || f.Object == object) && (line == 0 || f.Line == line) {
			return
		}
	}
	tb.Errorf("no finding %s of %q at line %d, but:", code, object, line)
	for _, f := range r.Findings {
		tb.Logf("%s [%s] line %d-%d others %v", f, f.Code, f.Line, f.Last, f.Others)
	}
}

// write puts an object into a directory.
func write(tb testing.TB, dir, name string, body []byte) {
	tb.Helper()
	path := filepath.Join(dir, filepath.FromSlash(name))
	check(tb, os.MkdirAll(filepath.Dir(path), 0o755))
	check(tb, os.WriteFile(path, body, 0o644))
}

// asserter is what testing.TB and rapid.T have in common.
type asserter interface {
	Helper()
	Fatal(args ...any)
}
