package ledger_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"breakglass/store/ledger"
)

// An archive of some weeks holds, from the bucket as from a directory, with the store beside it and without.
func TestHolds(t *testing.T) {
	w := months(t)
	r := verify(t, w.bucket, ledger.Options{Keys: w.keys()})
	clean(t, r)
	b, err := json.MarshalIndent(r, "", " ")
	check(t, err)
	t.Logf("%s", b)
	if r.Lines != w.size() || r.Sessions != 3 || r.Manifests != 9 || r.Newest == nil || r.Newest.Size != w.size() || len(r.Keys) != 2 {
		t.Errorf("%+v", r)
	}
	w.log("", "stopped", nil)
	r = verify(t, w.bucket, ledger.Options{Keys: w.keys(), Live: w.live()})
	clean(t, r)
	if r.Logs[0].Live != 1 || r.Logs[0].Uncovered != 1 {
		t.Errorf("%+v", r.Logs)
	}
}

// What is on its way is no finding, since the log says so before any of it is there: the same without that line is one, and so is another manifest.
func TestUnderWay(t *testing.T) {
	w := months(t)
	o := ledger.Options{Keys: w.keys()}
	m := ledger.Manifest{Folder: "reviews/2026-11/001-drawn", Part: 1, Kind: "drawn", At: w.now, Files: []ledger.File{ledger.FileOf("review.json", []byte("{}"))}}
	manifest, sum, err := m.Encode()
	check(t, err)
	some := map[string][]byte{m.Folder + "/review.json": []byte("{}")}
	all := map[string][]byte{m.Folder + "/review.json": []byte("{}"), m.Folder + "/manifest.json": manifest}
	other := map[string][]byte{m.Folder + "/review.json": []byte("{}"), m.Folder + "/manifest.json": append(manifest, '\n')}
	found(t, verify(t, w.bucket.but(some), o), ledger.CodeUnfinished, m.Folder, 0)
	found(t, verify(t, w.bucket.but(all), o), ledger.CodeNotInLog, m.Folder+"/manifest.json", 0)

	w.log("", "intent", map[string]string{"effect": "archive", "folder": m.Folder, "manifest": sum, "files": "1"})
	w.checkpoint()
	clean(t, verify(t, w.bucket, o))
	for _, tt := range []struct {
		code  string
		there map[string][]byte
	}{{ledger.CodeUnfinished, some}, {ledger.CodeNotInLog, all}} {
		r := verify(t, w.bucket.but(tt.there), o)
		clean(t, r)
		if len(r.Uncovered) != 1 || r.Uncovered[0].Code != tt.code || r.Uncovered[0].Line != w.size() {
			t.Errorf("%+v", r.Uncovered)
		}
	}
	found(t, verify(t, w.bucket.but(other), o), ledger.CodeManifest, m.Folder+"/manifest.json", w.size())

	w.log("", "archived", map[string]string{"folder": m.Folder, "manifest": sum, "files": "1"})
	w.checkpoint()
	found(t, verify(t, w.bucket.but(some), o), ledger.CodeNoManifest, m.Folder+"/manifest.json", w.size())
	r := verify(t, w.bucket.but(all), o)
	clean(t, r)
	if len(r.Uncovered) != 0 {
		t.Errorf("%+v", r.Uncovered)
	}
}

// Progress is told in order, and a verification that is stopped says so.
func TestStopped(t *testing.T) {
	w := months(t)
	ctx, cancel := context.WithCancel(t.Context())
	told := map[string]int{}
	o := ledger.Options{Keys: w.keys(), Progress: func(what string, n, of int) {
		if n > of {
			t.Errorf("%d of %d %s", n, of, what)
		}
		told[what]++
	}}
	_, err := ledger.Verify(ctx, w.bucket, o)
	check(t, err)
	if told["checkpoints"] == 0 || told["lines"] != len(w.bucket.names("log/")) || told["folders"] != 9 {
		t.Errorf("%v", told)
	}
	o.Progress = func(what string, _, _ int) {
		if what == "lines" {
			cancel()
		}
	}
	if _, err := ledger.Verify(ctx, w.bucket, o); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// An archive that was begun later than the log holds, where the log says which one was before; what went to this one must be here all the same.
func TestMovedArchive(t *testing.T) {
	w := months(t)
	was := w.bucket.objects
	w.log("", "archive", map[string]string{"archive": "s3://new", "was": "s3://old"})
	moved := w.size()
	w.bucket.objects, w.done = map[string][]byte{}, 0
	w.checkpoint()
	added := w.part("BG-1042", "again", map[string]string{"report.json": "{}"})
	w.checkpoint()
	o := ledger.Options{Keys: w.keys()}
	r := verify(t, w.bucket, o)
	clean(t, r)
	elsewhere := func(f ledger.Finding) bool {
		return f.Code == ledger.CodeElsewhere && f.Object == "s3://old" && f.Line == moved
	}
	if !slices.ContainsFunc(r.Notes, elsewhere) || !strings.HasSuffix(added, "/003-again") {
		t.Errorf("%s: %+v", added, r.Notes)
	}
	gone := map[string][]byte{}
	for _, name := range w.bucket.names(added) {
		gone[name] = nil
	}
	found(t, verify(t, w.bucket.but(gone), o), ledger.CodeFolder, added, 0)

	// Without that line, what is missing is missing.
	w = months(t)
	w.bucket.objects, w.done = map[string][]byte{}, 0
	w.checkpoint()
	if r := verify(t, w.bucket, ledger.Options{Keys: w.keys()}); r.OK || !names(r, "sessions/BG-1042/001-opened") {
		t.Errorf("%d of %d objects are missing: %+v", len(was), len(was), r.Findings)
	}
}
