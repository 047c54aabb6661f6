package ledger_test

import (
	"bytes"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"testing"
	"time"

	"breakglass/store/ledger"
)

// forge is an archive as somebody leaves it who can write into it and has no key: an object with further lines of the log, and objects that they explain.
func forge(w *world, epoch int, objects map[string][]byte, lines ...map[string]string) *bucket {
	b := w.bucket.but(nil)
	first := w.size() + 1
	if epoch > 1 {
		first = 1
	}
	var text bytes.Buffer
	for i, data := range lines {
		kind, request := data["kind"], data["request"]
		fmt.Fprintf(&text, `{"seq":%d,"at":%q,"actor":{"kind":"bot"},"kind":%q`, first+uint64(i), w.now.Format(time.RFC3339), kind)
		if request != "" {
			fmt.Fprintf(&text, `,"request":%q`, request)
		}
		text.WriteString(`,"data":{`)
		sep := ""
		for k, v := range data {
			if k != "kind" && k != "request" {
				fmt.Fprintf(&text, "%s%q:%q", sep, k, v)
				sep = ","
			}
		}
		text.WriteString("}}\n")
	}
	b.objects[ledger.SegmentName(epoch, first, first+uint64(len(lines))-1)] = text.Bytes()
	maps.Copy(b.objects, objects)
	return b
}

// Whoever can add to an archive and has no key adds nothing that is believed: not a line, not what a line would explain.
func TestAddedWithoutAKey(t *testing.T) {
	w := months(t)
	o := ledger.Options{Keys: w.keys()}
	clean(t, verify(t, w.bucket, o))
	last := w.size()
	part := func(folder, session string, number int, kind string) (objects map[string][]byte, sum, files string) {
		m := ledger.Manifest{Folder: folder, Session: session, Part: number, Kind: kind, At: w.now, Files: []ledger.File{ledger.FileOf("report.json", []byte("{}"))}}
		b, sum, err := m.Encode()
		check(t, err)
		return map[string][]byte{folder + "/report.json": []byte("{}"), folder + "/manifest.json": b}, sum, strconv.Itoa(len(m.Files))
	}
	all, sum, files := part("reviews/2026-12/001-drawn", "", 1, "drawn")
	named := map[string]string{"kind": "archived", "folder": "reviews/2026-12/001-drawn", "manifest": sum, "files": files}
	coming := map[string]string{"kind": "intent", "effect": "archive", "folder": "reviews/2026-12/001-drawn", "manifest": sum, "files": files}
	left := map[string]string{"kind": "fault", "left": "reviews/2026-12/001-drawn"}
	moved := map[string]string{"kind": "archive", "was": "s3://old", "archive": "s3://new"}
	approval := map[string]string{"kind": "moved", "request": "BG-1042", "why": "approved"}
	gone := map[string][]byte{}
	for _, name := range w.bucket.names("sessions/BG-1041/") {
		gone[name] = nil
	}
	uncovered := func(r ledger.Report, object string, line uint64) {
		t.Helper()
		found(t, r, ledger.CodeUncovered, object, line)
	}
	segment := ledger.SegmentName(1, last+1, last+1)

	uncovered(verify(t, forge(w, 1, nil, approval), o), segment, last+1)
	for what, line := range map[string]map[string]string{"archived": named, "left": left} {
		r := verify(t, forge(w, 1, all, line), o)
		uncovered(r, segment, last+1)
		found(t, r, ledger.CodeNotInLog, "reviews/2026-12/001-drawn/manifest.json", 0)
		if r.Manifests != 9 {
			t.Errorf("%s: it counts %d manifests", what, r.Manifests)
		}
	}
	some := maps.Clone(all)
	delete(some, "reviews/2026-12/001-drawn/manifest.json")
	r := verify(t, forge(w, 1, some, coming), o)
	uncovered(r, segment, last+1)
	found(t, r, ledger.CodeUnfinished, "reviews/2026-12/001-drawn", 0)

	r = verify(t, forge(w, 1, nil, moved), o)
	uncovered(r, segment, last+1)
	b := forge(w, 1, nil, moved)
	for name := range gone {
		delete(b.objects, name)
	}
	r = verify(t, b, o)
	uncovered(r, segment, last+1)
	found(t, r, ledger.CodeFolder, "sessions/BG-1041/001-opened", 0)

	// A second log that nobody signed, with or without something that it names.
	r = verify(t, forge(w, 2, nil, approval), o)
	uncovered(r, ledger.SegmentName(2, 1, 1), 1)
	r = verify(t, forge(w, 2, all, named), o)
	uncovered(r, ledger.SegmentName(2, 1, 1), 1)
	found(t, r, ledger.CodeNotInLog, "reviews/2026-12/001-drawn/manifest.json", 0)
	// It cannot vouch for lines of the first either.
	b = forge(w, 2, nil, map[string]string{"kind": "fault", "epoch": "2", "archive": strconv.FormatUint(last+1, 10)})
	maps.Copy(b.objects, forge(w, 1, nil, approval).objects)
	r = verify(t, b, o)
	uncovered(r, segment, last+1)
	uncovered(r, ledger.SegmentName(2, 1, 1), 1)

	// The newest checkpoint taken away leaves lines that nobody vouches for.
	notes := w.bucket.names("checkpoints/")
	r = verify(t, w.bucket.but(map[string][]byte{notes[len(notes)-1]: nil}), o)
	if r.OK || !strings.Contains(fmt.Sprint(r.Findings), "no checkpoint vouches") {
		t.Errorf("the newest checkpoint was taken away: %v", r.Findings)
	}

	// With the store at hand its own lines vouch for themselves, and what it does not have is found.
	w.log("", "stopped", nil)
	w.segment()
	clean(t, verify(t, w.bucket, ledger.Options{Keys: w.keys(), Live: w.live()}))
	r = verify(t, forge(w, 1, nil, approval), ledger.Options{Keys: w.keys(), Live: w.live()})
	found(t, r, ledger.CodeLiveShort, "", 0)
}
