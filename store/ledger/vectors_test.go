package ledger_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"breakglass/store/ledger"
)

var update = flag.Bool("update", false, "write the vectors in testdata anew")

// vectors are for verifiers in other languages: see testdata/README.
type vectors struct {
	Key    string         `json:"key"`
	Lines  []string       `json:"lines"`
	Leaves []string       `json:"leaves_hex"`
	Roots  []string       `json:"roots_hex"`
	Proofs []proofVector  `json:"proofs"`
	Prefix []prefixVector `json:"prefixes"`
	Notes  []noteVector   `json:"notes"`
}

type proofVector struct {
	N     uint64        `json:"n"`
	Size  uint64        `json:"size"`
	Proof []ledger.Hash `json:"proof"`
}

type prefixVector struct {
	Before uint64        `json:"before"`
	Size   uint64        `json:"size"`
	Proof  []ledger.Hash `json:"proof"`
}

type noteVector struct {
	What string `json:"what"`
	Note string `json:"note"`
	Good bool   `json:"good"`
}

func vectorsOf(t *testing.T, w *world, lines int) vectors {
	v := vectors{Key: seeded(t, 1).public}
	for n := uint64(1); n <= uint64(lines); n++ {
		leaf := tlog.RecordHash(w.lines[n-1])
		root, err := ledger.Root(n, w)
		check(t, err)
		v.Lines, v.Leaves, v.Roots = append(v.Lines, string(w.lines[n-1])), append(v.Leaves, hex.EncodeToString(leaf[:])), append(v.Roots, hex.EncodeToString(root[:]))
		p, err := ledger.Prove(n, uint64(lines), w)
		check(t, err)
		v.Proofs = append(v.Proofs, proofVector{n, uint64(lines), p})
		p, err = ledger.ProvePrefix(n, uint64(lines), w)
		check(t, err)
		v.Prefix = append(v.Prefix, prefixVector{n, uint64(lines), p})
	}
	_, b := signed(t, seeded(t, 1))
	_, other := signed(t, seeded(t, 2))
	_, both := signed(t, seeded(t, 1), seeded(t, 2))
	v.Notes = []noteVector{
		{"as it must be", string(b), true},
		{"another size", string(bytes.Replace(b, []byte("\n137\n"), []byte("\n138\n"), 1)), false},
		{"a size with a zero before it", string(bytes.Replace(b, []byte("\n137\n"), []byte("\n0137\n"), 1)), false},
		{"signed by an unknown key", string(other), false},
		{"signed by an unknown key as well", string(both), false},
		{"a line too many", string(b) + "\n", false},
	}
	return v
}

// What is in testdata is what is computed today: the format is a promise to whoever keeps an archive.
func TestVectors(t *testing.T) {
	w := months(t)
	want, err := json.MarshalIndent(vectorsOf(t, w, 13), "", " ")
	check(t, err)
	path, archive := filepath.Join("testdata", "vectors.json"), filepath.Join("testdata", "archive")
	if *update {
		check(t, os.RemoveAll(archive))
		write(t, "testdata", "vectors.json", append(want, '\n'))
		for name, body := range w.bucket.objects {
			write(t, archive, name, body)
		}
	}
	got, err := os.ReadFile(path)
	check(t, err)
	if !bytes.Equal(bytes.TrimSpace(got), want) {
		t.Error("testdata/vectors.json is not what is computed; archives that exist could no longer be verified")
	}
	var v vectors
	check(t, json.Unmarshal(got, &v))
	k, err := ledger.ParsePublic(v.Key)
	check(t, err)
	for _, n := range v.Notes {
		if _, err := ledger.Open([]byte(n.Note), k); (err == nil) != n.Good {
			t.Errorf("%s: %v", n.What, err)
		}
	}
	r := verify(t, ledger.Dir(archive), ledger.Options{Keys: []note.Verifier{k}})
	clean(t, r)
	if r.Lines != w.size() || r.Manifests != 9 {
		t.Errorf("%+v", r)
	}
}

// A directory is verified as a bucket is; what is not a plain file in it is found.
func TestDir(t *testing.T) {
	w := months(t)
	dir := t.TempDir()
	for name, body := range w.bucket.objects {
		write(t, dir, name, body)
	}
	write(t, dir, ".part/x", []byte("half"))
	clean(t, verify(t, ledger.Dir(dir+"/."), ledger.Options{Keys: w.keys()}))
	write(t, dir, "sessions/.part/x", []byte("half"))
	found(t, verify(t, ledger.Dir(dir), ledger.Options{Keys: w.keys()}), ledger.CodeUnknown, "sessions/.part/x", 0)
	name := w.bucket.names("sessions/")[0]
	path := filepath.Join(dir, filepath.FromSlash(name))
	moved := filepath.Join(t.TempDir(), "x")
	check(t, os.Rename(path, moved))
	if err := os.Symlink(moved, path); err != nil {
		t.Skip(err)
	}
	found(t, verify(t, ledger.Dir(dir), ledger.Options{Keys: w.keys()}), ledger.CodeUnreadable, name, 0)
	if _, err := ledger.Dir(dir).Open(t.Context(), "../x"); err == nil {
		t.Error("opened what is outside")
	}
	if _, err := ledger.Verify(t.Context(), ledger.Dir(filepath.Join(dir, "none")), ledger.Options{Keys: w.keys()}); err == nil {
		t.Error("there is no such directory")
	}
}
