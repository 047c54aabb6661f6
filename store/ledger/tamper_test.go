package ledger_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"breakglass/store/ledger"
)

// Any byte of any object changed is found, and the object named.
func TestEveryByte(t *testing.T) {
	w := months(t)
	o := ledger.Options{Keys: w.keys()}
	tried := 0
	for _, name := range w.bucket.names("") {
		body := w.bucket.objects[name]
		step := max(1, len(body)/24)
		for i := 0; i < len(body); i += step {
			flipped := slices.Clone(body)
			flipped[i] ^= 1 << (i % 8)
			r := verify(t, w.bucket.but(map[string][]byte{name: flipped}), o)
			tried++
			if r.OK || !names(r, name) {
				t.Fatalf("byte %d of %s was changed, and is not found: %v", i, name, r.Findings)
			}
		}
	}
	t.Logf("%d bytes", tried)
}

// Any object cut, made longer, emptied, or taken away is found, and named: all but a checkpoint, of which every later one is a witness, and whose own place
// only the log can name.
func TestEveryObject(t *testing.T) {
	w := months(t)
	o := ledger.Options{Keys: w.keys()}
	for _, name := range w.bucket.names("") {
		body := w.bucket.objects[name]
		for what, changed := range map[string][]byte{"cut": body[:len(body)/2], "longer": append(slices.Clone(body), '\n'), "doubled": append(slices.Clone(body), body...)} {
			if bytes.Equal(changed, body) {
				continue
			}
			if r := verify(t, w.bucket.but(map[string][]byte{name: changed}), o); r.OK || !names(r, name) {
				t.Errorf("%s, %s: %v", name, what, r.Findings)
			}
		}
		r := verify(t, w.bucket.but(map[string][]byte{name: nil}), o)
		switch {
		case strings.HasPrefix(name, "checkpoints/"):
		case strings.HasPrefix(name, "log/"):
			if r.OK || r.Logs[0].Broken == 0 {
				t.Errorf("%s was taken away: %+v", name, r)
			}
		case r.OK || !names(r, name):
			t.Errorf("%s was taken away: %v", name, r.Findings)
		}
		c := w.bucket.but(nil)
		c.broken = map[string]bool{name: true}
		if r := verify(t, c, o); !slices.ContainsFunc(r.Findings, func(f ledger.Finding) bool { return f.Code == ledger.CodeUnreadable && f.Object == name }) {
			t.Errorf("%s cannot be read: %v", name, r.Findings)
		}
		c = w.bucket.but(nil)
		c.versions = map[string]int{name: 2}
		found(t, verify(t, c, o), ledger.CodeVersions, name, 0)
		c = w.bucket.but(nil)
		c.deleted = map[string]bool{name: true}
		found(t, verify(t, c, o), ledger.CodeDeleted, name, 0)
	}
}

// relog is the archive with its segments written again by somebody who can change lines but not sign.
func relog(w *world, change func(lines [][]byte) [][]byte) *bucket {
	b := w.bucket.but(nil)
	for _, name := range b.names("log/") {
		lines := bytes.Split(bytes.TrimSuffix(b.objects[name], []byte("\n")), []byte("\n"))
		b.objects[name] = append(bytes.Join(change(slices.Clone(lines)), []byte("\n")), '\n')
	}
	return b
}

func number(line []byte) int {
	var x struct{ Seq int }
	_ = json.Unmarshal(line, &x)
	return x.Seq
}

func renumber(line []byte, n int) []byte {
	return bytes.Replace(line, []byte(fmt.Sprintf(`{"seq":%d,`, number(line))), []byte(fmt.Sprintf(`{"seq":%d,`, n)), 1)
}

// Any line removed, exchanged with the next, doubled, or changed is found; where the numbers give it away, so is its own.
func TestEveryLine(t *testing.T) {
	w := months(t)
	o := ledger.Options{Keys: append(w.keys(), seeded(t, 1).Verifier)}
	for n := 1; n <= len(w.lines); n++ {
		at := func(lines [][]byte) int {
			return slices.IndexFunc(lines, func(l []byte) bool { return number(l) == n })
		}
		r := verify(t, relog(w, func(lines [][]byte) [][]byte {
			if i := at(lines); i >= 0 {
				lines = slices.Delete(lines, i, i+1)
			}
			return lines
		}), o)
		if r.OK || r.Logs[0].Broken != uint64(n) {
			t.Errorf("line %d was removed: %d, %v", n, r.Logs[0].Broken, r.Findings)
		}
		r = verify(t, relog(w, func(lines [][]byte) [][]byte {
			if i := at(lines); i >= 0 {
				lines = slices.Insert(lines, i, renumber(lines[i], n))
			}
			return lines
		}), o)
		if !slices.ContainsFunc(r.Findings, func(f ledger.Finding) bool { return f.Line > 0 && f.Line <= uint64(n+1) }) {
			t.Errorf("line %d was doubled: %v", n, r.Findings)
		}
		swapped := false
		r = verify(t, relog(w, func(lines [][]byte) [][]byte {
			if i := at(lines); i >= 0 && i+1 < len(lines) {
				swapped = true
				lines[i], lines[i+1] = renumber(lines[i+1], n), renumber(lines[i], n+1)
			}
			return lines
		}), o)
		if swapped && (r.OK || r.Logs[0].Broken > uint64(n)) {
			t.Errorf("the lines %d and %d were exchanged: %d, %v", n, n+1, r.Logs[0].Broken, r.Findings)
		}
	}
}

// A line of a session that was changed is named itself, as the session's folder has the true one with its proof.
func TestNamesTheLine(t *testing.T) {
	w := months(t)
	n := w.of["BG-1041"][1]
	r := verify(t, relog(w, func(lines [][]byte) [][]byte {
		for i := range lines {
			if number(lines[i]) == int(n) {
				lines[i] = bytes.Replace(lines[i], []byte("ann"), []byte("bob"), 1)
			}
		}
		return lines
	}), ledger.Options{Keys: w.keys()})
	found(t, r, ledger.CodeLineChanged, "", n)
	found(t, r, ledger.CodeRoot, "", 0)
	// With the store beside it any line is named.
	m := uint64(2)
	r = verify(t, relog(w, func(lines [][]byte) [][]byte {
		for i := range lines {
			lines[i] = bytes.Replace(lines[i], []byte(`"version":"1"`), []byte(`"version":"2"`), 1)
		}
		return lines
	}), ledger.Options{Keys: w.keys(), Live: w.live()})
	found(t, r, ledger.CodeLiveDiffers, ledger.SegmentName(1, 1, 2), m)
}

// Whoever has the key and rewrites everything is found by what was witnessed elsewhere before.
func TestWitnessed(t *testing.T) {
	w := months(t)
	early := w.bucket.names("checkpoints/")[4]
	witness := ledger.Named{Name: "slack.txt", Note: append([]byte("```\r\n"), append(bytes.ReplaceAll(w.bucket.objects[early], []byte("\n"), []byte("\r\n")), "```  "...)...)}
	clean(t, verify(t, w.bucket, ledger.Options{Keys: w.keys(), Witnessed: []ledger.Named{witness}}))

	forged := newWorld(t)
	forged.log("", "started", map[string]string{"version": "1"})
	for i := range 40 {
		forged.log("", "policy", map[string]string{"hash": strconv.Itoa(i)})
	}
	forged.checkpoint()
	keys := append(w.keys(), seeded(t, 1).Verifier)
	clean(t, verify(t, forged.bucket, ledger.Options{Keys: keys}))
	r := verify(t, forged.bucket, ledger.Options{Keys: keys, Witnessed: []ledger.Named{witness}})
	found(t, r, ledger.CodeFork, "slack.txt", 1)

	// A log that was cut off cleanly is whole in itself.
	short := newWorld(t)
	short.log("", "started", map[string]string{"version": "1"})
	short.checkpoint()
	clean(t, verify(t, short.bucket, ledger.Options{Keys: keys}))
	r = verify(t, short.bucket, ledger.Options{Keys: keys, Witnessed: []ledger.Named{witness}})
	found(t, r, ledger.CodeCut, "slack.txt", 3)

	mangled := ledger.Named{Name: "slack.txt", Note: bytes.Replace(witness.Note, []byte("at 2026"), []byte("at 2025"), 1)}
	r = verify(t, w.bucket, ledger.Options{Keys: keys, Witnessed: []ledger.Named{mangled}})
	found(t, r, ledger.CodeSignature, "slack.txt", 0)
}

// The store was restored from an older copy, or went on differently, or lost a line in the middle.
func TestStore(t *testing.T) {
	w := months(t)
	o := ledger.Options{Keys: w.keys(), Live: linesOf(w.lines[:20])}
	found(t, verify(t, w.bucket, o), ledger.CodeLiveShort, "the store", 21)
	o.Live = linesOf(append(slices.Clone(w.lines[:20]), w.lines[21:]...))
	found(t, verify(t, w.bucket, o), ledger.CodeLiveDiffers, "", 21)
	o.Live = linesOf(nil)
	found(t, verify(t, w.bucket, o), ledger.CodeLiveShort, "the store", 1)
	// The archive was cut, and the store has the rest: what is given from elsewhere holds against that.
	b := w.bucket.but(nil)
	last := b.names("log/")
	delete(b.objects, last[len(last)-1])
	o.Live = w.live()
	clean(t, verify(t, b, o))
}

func TestLogCut(t *testing.T) {
	w := months(t)
	o := ledger.Options{Keys: w.keys()}
	segments := w.bucket.names("log/")
	last := segments[len(segments)-1]
	r := verify(t, w.bucket.but(map[string][]byte{last: nil}), o)
	found(t, r, ledger.CodeCut, "", 35)
	r = verify(t, w.bucket.but(map[string][]byte{segments[3]: nil}), o)
	found(t, r, ledger.CodeGap, segments[4], 0)
	body := w.bucket.objects[last]
	found(t, verify(t, w.bucket.but(map[string][]byte{last: body[:len(body)-1]}), o), ledger.CodeSegment, last, w.size())
	none := map[string][]byte{}
	for _, s := range segments {
		none[s] = nil
	}
	found(t, verify(t, w.bucket.but(none), o), ledger.CodeCut, "", 1)
	found(t, verify(t, &bucket{}, o), ledger.CodeUnsigned, "", 0)
	found(t, verify(t, w.bucket.but(map[string][]byte{"log/000000000001-000000000009.jsonl": w.bucket.objects[segments[0]]}), o), ledger.CodeOverlap, "", 0)
}

// A line that is not one any more is named, and what comes before it still holds.
func TestTornLine(t *testing.T) {
	w := months(t)
	r := verify(t, relog(w, func(lines [][]byte) [][]byte {
		for i := range lines {
			if number(lines[i]) == 16 {
				lines[i] = lines[i][:len(lines[i])-1]
			}
		}
		return lines
	}), ledger.Options{Keys: append(w.keys(), seeded(t, 1).Verifier)})
	found(t, r, ledger.CodeLine, "log/000000000014-000000000018.jsonl", 16)
	if r.Logs[0].Broken != 16 || r.Newest == nil || r.Newest.Size < 13 || r.Logs[0].Unproven == 0 {
		t.Errorf("%+v", r)
	}
}

func TestFolders(t *testing.T) {
	w := months(t)
	o := ledger.Options{Keys: w.keys()}
	without := func(prefix string) *bucket {
		c := map[string][]byte{}
		for _, name := range w.bucket.names(prefix) {
			c[name] = nil
		}
		return w.bucket.but(c)
	}
	found(t, verify(t, without("sessions/BG-1041/"), o), ledger.CodeFolder, "sessions/BG-1041/001-opened", 0)
	r := verify(t, without("sessions/BG-1040/002-ended/"), o)
	found(t, r, ledger.CodeFolder, "sessions/BG-1040/002-ended", 0)
	found(t, r, ledger.CodePart, "sessions/BG-1040/002-", 0)
	found(t, verify(t, without("reviews/2026-10/001"), o), ledger.CodePart, "reviews/2026-10/001-", 0)

	for _, name := range []string{"x", "log/x", "log-1/000000000001-000000000002.jsonl", "sessions/BG-1040/x", "sessions/BG-1040/004-evil/x", "sessions/BG-1040/002-ended/x", "sessions/BG-1040/002-ended/a/../x", "checkpoints/1.note", "sessions/BG-1040/002-ended/shells//s", ".x"} {
		if r := verify(t, w.bucket.but(map[string][]byte{name: []byte("x")}), o); r.OK || !names(r, name) && !names(r, "sessions/BG-1040/004-evil") {
			t.Errorf("%s was added: %v", name, r.Findings)
		}
	}
	// Another session's folder under a new name, and one that says it is of a month before, or newer than anything that was signed.
	copied := map[string][]byte{}
	for _, name := range w.bucket.names("sessions/BG-1040/001-opened/") {
		copied[strings.Replace(name, "BG-1040", "BG-2000", 1)] = w.bucket.objects[name]
	}
	found(t, verify(t, w.bucket.but(copied), o), ledger.CodeManifest, "sessions/BG-2000/001-opened/manifest.json", 0)
	forged := w.bucket.but(nil)
	for _, later := range []time.Duration{-time.Hour, time.Hour} {
		m := ledger.Manifest{Folder: "reviews/2026-09/001-drawn", Part: 1, Kind: "drawn", At: w.now.Add(later)}
		b, _, err := m.Encode()
		check(t, err)
		forged.objects[m.Folder+"/manifest.json"] = b
		found(t, verify(t, forged, o), ledger.CodeNotInLog, m.Folder+"/manifest.json", 0)
	}
}

// The proofs beside a session must be of all its lines, as the log has them, although whoever writes them can sign the folder.
func TestProofs(t *testing.T) {
	for what, change := range map[string]func(w *world, lines [][]byte) [][]byte{
		ledger.CodeLeftOut: func(_ *world, l [][]byte) [][]byte { return slices.Delete(l, 1, 2) },
		"left-out ":        func(_ *world, l [][]byte) [][]byte { return l[:len(l)-1] },
		"proof ":           func(_ *world, l [][]byte) [][]byte { return slices.Insert(l, 1, l[1]) },
		"left-out  ": func(_ *world, l [][]byte) [][]byte {
			l[0], l[1] = l[1], l[0]
			return l
		},
		"proof   ": func(_ *world, l [][]byte) [][]byte {
			l[1] = bytes.Replace(l[1], []byte("moved"), []byte("mowed"), 1)
			return l
		},
		"proof    ": func(w *world, l [][]byte) [][]byte {
			b, err := ledger.ProveLine(w.of["BG-2"][0], w.lines[w.of["BG-2"][0]-1], w.size(), w)
			check(w.tb, err)
			return append(l[:1], append([][]byte{bytes.TrimSuffix(b, []byte("\n"))}, l[1:]...)...)
		},
	} {
		w := newWorld(t)
		w.log("BG-1", "submitted", nil)
		w.log("BG-2", "submitted", nil)
		w.log("BG-1", "moved", nil)
		w.log("BG-1", "moved", nil)
		_, b := w.sign()
		lines := change(w, bytes.Split(bytes.TrimSuffix(w.proved("BG-1"), []byte("\n")), []byte("\n")))
		all := map[string][]byte{ledger.NoteName: b, ledger.LinesName: append(bytes.Join(lines, []byte("\n")), '\n')}
		folder := w.folder(ledger.Manifest{Folder: "sessions/BG-1/001-opened", Session: "BG-1", Part: 1, Kind: "opened"}, all)
		w.checkpoint()
		found(t, verify(t, w.bucket, ledger.Options{Keys: w.keys()}), strings.TrimSpace(what), folder+"/lines.jsonl", 0)
	}
}

// Several bad objects at once are all named, and one with very many faults does not hide another.
func TestNoneHidesAnother(t *testing.T) {
	w := months(t)
	bad := []string{"sessions/BG-1040/001-opened/request.json", "sessions/BG-1041/002-ended/lines.jsonl", "reviews/2026-10/001-drawn/trend.png", w.bucket.names("checkpoints/")[1], w.bucket.names("log/")[2]}
	change := map[string][]byte{}
	for _, name := range bad {
		b := slices.Clone(w.bucket.objects[name])
		b[len(b)/2] ^= 4
		change[name] = b
	}
	for i := range 3000 {
		change[fmt.Sprintf("junk/%d", i)] = []byte("x")
	}
	r := verify(t, w.bucket.but(change), ledger.Options{Keys: w.keys()})
	for _, name := range bad {
		if !names(r, name) {
			t.Errorf("%s is not named", name)
		}
	}
	if len(r.Findings) != ledger.MostFindings || r.More < 2900 {
		t.Errorf("%d findings and %d more", len(r.Findings), r.More)
	}
}
