package ledger_test

import (
	"slices"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"breakglass/store/ledger"
)

// A line that stands after a checkpoint and says a time before it is named; unless the log tells that the clock was set back.
func TestBackDated(t *testing.T) {
	for _, told := range []bool{false, true} {
		w := newWorld(t)
		w.log("", "started", nil)
		w.checkpoint()
		w.log("", "policy", nil)
		w.now = w.now.Add(-time.Hour)
		data := map[string]string{"clock": "taken for right", "was": "x"}
		if !told {
			data = nil
		}
		w.log("", "fault", data)
		w.log("BG-1", "submitted", nil)
		w.checkpoint()
		r := verify(t, w.bucket, ledger.Options{Keys: w.keys()})
		if told {
			clean(t, r)
			if len(r.Notes) != 1 || r.Notes[0].Line != 4 {
				t.Errorf("%+v", r.Notes)
			}
			continue
		}
		found(t, r, ledger.CodeBackDated, ledger.SegmentName(1, 3, 5), 4)
		found(t, r, ledger.CodeTime, "", 5)
	}
	// A line that was on its way when the clock was set back says the time before; one that says another does not.
	for _, off := range []time.Duration{0, 10 * time.Minute} {
		w := newWorld(t)
		w.log("", "started", nil)
		w.checkpoint()
		was := w.now
		w.now = was.Add(-time.Hour)
		w.log("", "fault", map[string]string{"clock": "taken for right", "was": was.Format(time.RFC3339)})
		w.now = was.Add(off)
		w.log("", "policy", nil)
		w.now = was.Add(-time.Hour)
		w.log("", "policy", nil)
		w.checkpoint()
		if r := verify(t, w.bucket, ledger.Options{Keys: w.keys()}); off == 0 {
			clean(t, r)
		} else {
			found(t, r, ledger.CodePostDated, "", 4)
		}
	}
	// A line with a time to come.
	w := newWorld(t)
	w.now = w.now.Add(time.Hour)
	w.log("", "policy", nil)
	w.now = w.now.Add(-time.Hour)
	w.checkpoint()
	found(t, verify(t, w.bucket, ledger.Options{Keys: w.keys()}), ledger.CodePostDated, "", 2)
}

func TestKeys(t *testing.T) {
	w := months(t)
	// Both keys alone are enough: the old one signed the line that names the new one, and the new one all lines before.
	clean(t, verify(t, w.bucket, ledger.Options{Keys: []note.Verifier{seeded(t, 1).Verifier}}))
	clean(t, verify(t, w.bucket, ledger.Options{Keys: []note.Verifier{seeded(t, 2).Verifier}}))
	r := verify(t, w.bucket, ledger.Options{Keys: []note.Verifier{seeded(t, 3).Verifier}})
	found(t, r, ledger.CodeKeyUnknown, "", 0)
	if len(r.Findings) != 3 {
		t.Errorf("each unknown key is told once, and not: %v", r.Findings)
	}
	found(t, r, ledger.CodeUnsigned, "", 0)
	if _, err := ledger.Verify(t.Context(), w.bucket, ledger.Options{}); err == nil {
		t.Error("verified with no key")
	}

	// A key that the log never named, although it is known.
	stranger := seeded(t, 3)
	w.key = stranger
	w.log("", "stopped", nil)
	w.checkpoint()
	r = verify(t, w.bucket, ledger.Options{Keys: []note.Verifier{seeded(t, 2).Verifier, stranger.Verifier}})
	found(t, r, ledger.CodeKeyUnnamed, "", w.size())

	// One that it had replaced.
	w = months(t)
	w.log("", "stopped", nil)
	w.key = seeded(t, 1)
	w.checkpoint()
	found(t, verify(t, w.bucket, ledger.Options{Keys: w.keys()}), ledger.CodeKeyRetired, "", 22)
}

// After a restore from an older copy the log begins anew, with the lines of the copy.
func TestEpochs(t *testing.T) {
	w := months(t)
	keep := 15
	before := w.bucket
	w2 := newWorld(t)
	w2.bucket = before
	w2.lines, w2.hashes, w2.of = nil, nil, map[string][]uint64{}
	w2.epoch, w2.now = 2, w.now.Add(time.Hour)
	for _, line := range w.lines[:keep] {
		_, h, err := ledger.Append(w2.size(), line, w2)
		check(t, err)
		w2.lines, w2.hashes = append(w2.lines, line), append(w2.hashes, h...)
	}
	w2.key = seeded(t, 1)
	w2.log("", "started", map[string]string{"epoch": "2"})
	w2.use(seeded(t, 2))
	w2.log("BG-2000", "submitted", nil)
	w2.part("BG-2000", "opened", map[string]string{"request.json": "{}"})
	w2.checkpoint()
	r := verify(t, w2.bucket, ledger.Options{Keys: w2.keys()})
	clean(t, r)
	i := slices.IndexFunc(r.Notes, func(f ledger.Finding) bool { return f.Code == ledger.CodeLogBegins })
	if len(r.Logs) != 2 || i < 0 || r.Notes[i].Line == 0 || r.Notes[i].Line > uint64(keep+1) || r.Newest.Origin != "breakglass/"+storeID+"/2" {
		t.Errorf("%+v", r)
	}
	// A checkpoint of one epoch says nothing of the other.
	for _, name := range w2.bucket.names("log-2/") {
		b := slices.Clone(w2.bucket.objects[name])
		b[len(b)/2] ^= 1
		if r := verify(t, w2.bucket.but(map[string][]byte{name: b}), ledger.Options{Keys: w2.keys()}); !names(r, name) || r.Logs[1].Broken == 0 || r.Logs[0].Broken != 0 {
			t.Errorf("%+v", r)
		}
	}
}

// A checkpoint of which the log says that it stands in the archive must be there.
func TestShown(t *testing.T) {
	w := newWorld(t)
	w.log("", "started", nil)
	w.checkpoint()
	name := w.bucket.names("checkpoints/")[0]
	w.log("", "witnessed", map[string]string{"size": "2", "root": "x", "where": "s3://bucket/prefix/" + name})
	w.log("", "witnessed", map[string]string{"size": "2", "root": "x", "where": "C0123 1696.1"})
	w.checkpoint()
	clean(t, verify(t, w.bucket, ledger.Options{Keys: w.keys()}))
	found(t, verify(t, w.bucket.but(map[string][]byte{name: nil}), ledger.Options{Keys: w.keys()}), ledger.CodeNoCheckpoint, name, 3)
}

// Two stores' checkpoints in one archive, and the store that was asked for.
func TestOtherStore(t *testing.T) {
	w := months(t)
	r := verify(t, w.bucket, ledger.Options{Keys: w.keys(), Store: "fedcba9876543210"})
	found(t, r, ledger.CodeOtherLog, "", 0)
	found(t, r, ledger.CodeUnsigned, "", 0)
	c, _ := w.sign()
	c.Origin = ledger.Origin("fedcba9876543210", 1)
	b, err := ledger.Sign(c, w.key)
	check(t, err)
	found(t, verify(t, w.bucket, ledger.Options{Keys: w.keys(), Witnessed: []ledger.Named{{Name: "x", Note: b}}}), ledger.CodeOtherLog, "x", 0)
}

// What is signed and in the log may still be wrong in itself: a manifest that names another one before it, a checkpoint under another's name, a
// manifest with another number of files than the log says.
func TestWrongThoughSigned(t *testing.T) {
	w := newWorld(t)
	w.log("BG-1", "submitted", nil)
	w.part("BG-1", "opened", nil)
	w.previous["sessions/BG-1"] = ledger.Sum([]byte("another"))
	second := w.part("BG-1", "ended", nil)
	w.checkpoint()
	found(t, verify(t, w.bucket, ledger.Options{Keys: w.keys()}), ledger.CodePrevious, second+"/manifest.json", 0)

	w = months(t)
	name := w.bucket.names("checkpoints/")[2]
	other := "checkpoints/000000000099-00000000.note"
	found(t, verify(t, w.bucket.but(map[string][]byte{name: nil, other: w.bucket.objects[name]}), ledger.Options{Keys: w.keys()}), ledger.CodeCheckpoint, other, 0)

	w = newWorld(t)
	b, sum, err := ledger.Manifest{Folder: "reviews/2026-10/001-drawn", Part: 1, Kind: "drawn", At: w.now}.Encode()
	check(t, err)
	w.put("reviews/2026-10/001-drawn/manifest.json", b)
	w.log("", "archived", map[string]string{"folder": "reviews/2026-10/001-drawn", "manifest": sum, "files": "2"})
	w.checkpoint()
	found(t, verify(t, w.bucket, ledger.Options{Keys: w.keys()}), ledger.CodeManifest, "reviews/2026-10/001-drawn/manifest.json", 2)
}
