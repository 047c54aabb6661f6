package ledger_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"breakglass/store/ledger"
)

func ownOf(w *world) (ledger.Own, ledger.Options) {
	own := ledger.Own{Lines: w.live(), Size: w.size(), Hashes: w}
	for _, name := range w.bucket.names("checkpoints/") {
		own.Checkpoints = append(own.Checkpoints, ledger.Named{Name: name, Note: w.bucket.objects[name]})
	}
	return own, ledger.Options{Keys: w.keys()}
}

// A store's own log: whole, with a line changed, a line cut off, one too many, a stored hash changed, each of them.
func TestOwnLog(t *testing.T) {
	w := months(t)
	ctx := context.Background()
	own, o := ownOf(w)
	r, err := ledger.VerifyLog(ctx, own, o)
	check(t, err)
	clean(t, r)
	if r.Lines != w.size() || r.Newest.Size != w.size() {
		t.Errorf("%+v", r)
	}
	for n := range w.size() {
		changed := slices.Clone(w.lines)
		changed[n] = append(slices.Clone(changed[n]), ' ')
		own.Lines = linesOf(changed)
		r, err := ledger.VerifyLog(ctx, own, o)
		check(t, err)
		found(t, r, ledger.CodeHash, "the store", n+1)
		found(t, r, ledger.CodeRoot, "the store", 0)
	}
	own.Lines = linesOf(w.lines[:30])
	r, err = ledger.VerifyLog(ctx, own, o)
	check(t, err)
	found(t, r, ledger.CodeHash, "the store", 31)
	found(t, r, ledger.CodeCut, "", 31)
	own.Lines = linesOf(append(slices.Clone(w.lines), w.lines[3]))
	r, err = ledger.VerifyLog(ctx, own, o)
	check(t, err)
	found(t, r, ledger.CodeLine, "the store", w.size()+1)
	own.Lines = func(yield func([]byte, error) bool) {
		_ = yield(w.lines[0], nil) && yield(nil, errors.New("torn page"))
	}
	r, err = ledger.VerifyLog(ctx, own, o)
	check(t, err)
	found(t, r, ledger.CodeUnreadable, "the store", 2)
	own.Lines = w.live()
	for i := range w.hashes {
		w.hashes[i][7] ^= 1
		r, err := ledger.VerifyLog(ctx, own, o)
		check(t, err)
		found(t, r, ledger.CodeHash, "the store", 0)
		w.hashes[i][7] ^= 1
	}
	// Restored from an older copy, which was told elsewhere.
	old := ledger.Own{Lines: linesOf(w.lines[:10]), Size: 10, Hashes: w}
	names := w.bucket.names("checkpoints/")
	for _, name := range names[:2] {
		old.Checkpoints = append(old.Checkpoints, ledger.Named{Name: name, Note: w.bucket.objects[name]})
	}
	last := names[len(names)-1]
	o.Witnessed = []ledger.Named{{Name: "slack", Note: w.bucket.objects[last]}}
	o.Keys = append(o.Keys, seeded(t, 1).Verifier)
	r, err = ledger.VerifyLog(ctx, old, o)
	check(t, err)
	found(t, r, ledger.CodeCut, "slack", 11)
}
