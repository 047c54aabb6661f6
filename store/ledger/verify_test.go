package ledger_test

import (
	"context"
	"encoding/json"
	"errors"
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

// What is being uploaded is no finding for whoever knows that it is.
func TestUnderWay(t *testing.T) {
	w := months(t)
	b := w.bucket.but(map[string][]byte{"sessions/BG-1042/003-again/report.json": []byte("{}")})
	o := ledger.Options{Keys: w.keys()}
	found(t, verify(t, b, o), ledger.CodeUnfinished, "sessions/BG-1042/003-again", 0)
	o.UnderWay = func(folder string) bool { return folder == "sessions/BG-1042/003-again" }
	r := verify(t, b, o)
	clean(t, r)
	if len(r.Uncovered) != 1 || r.Uncovered[0].Code != ledger.CodeUnfinished {
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
