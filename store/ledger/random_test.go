package ledger_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"breakglass/store/ledger"
)

// Whatever is done to an archive that changes any of its bytes or names, but for taking away a checkpoint of which there are later ones, is found.
func TestRandomTampering(t *testing.T) {
	w := months(t)
	all := w.bucket.names("")
	o := ledger.Options{Keys: w.keys()}
	rapid.Check(t, func(t *rapid.T) {
		b := w.bucket.but(nil)
		for range rapid.IntRange(1, 3).Draw(t, "times") {
			name := rapid.SampledFrom(all).Draw(t, "object")
			body, ok := b.objects[name]
			if !ok {
				continue
			}
			switch rapid.SampledFrom([]string{"flip", "remove", "insert", "cut", "take", "rename", "exchange", "lines"}).Draw(t, "what") {
			case "flip":
				if len(body) > 0 {
					body = slices.Clone(body)
					body[rapid.IntRange(0, len(body)-1).Draw(t, "at")] ^= rapid.ByteRange(1, 255).Draw(t, "by")
				}
			case "remove":
				if len(body) > 0 {
					at := rapid.IntRange(0, len(body)-1).Draw(t, "at")
					body = slices.Delete(slices.Clone(body), at, at+1)
				}
			case "insert":
				at := rapid.IntRange(0, len(body)).Draw(t, "at")
				body = slices.Insert(slices.Clone(body), at, rapid.Byte().Draw(t, "byte"))
			case "cut":
				body = body[:rapid.IntRange(0, len(body)).Draw(t, "at")]
			case "take":
				body = nil
			case "rename":
				b.objects[rapid.StringMatching(`[a-z0-9/.-]{1,40}`).Draw(t, "name")] = body
				body = nil
			case "exchange":
				other := rapid.SampledFrom(all).Draw(t, "other")
				b.objects[other], body = body, b.objects[other]
			case "lines":
				lines := strings.SplitAfter(string(body), "\n")
				body = []byte(strings.Join(rapid.Permutation(lines).Draw(t, "order"), ""))
			}
			if body == nil {
				delete(b.objects, name)
			} else {
				b.objects[name] = body
			}
		}
		if r := verify(t, b, o); r.OK && !onlyCheckpointsLess(w.bucket, b) {
			t.Fatal("nothing was found")
		}
	})
}

func onlyCheckpointsLess(a, b *bucket) bool {
	for name, body := range b.objects {
		if was, ok := a.objects[name]; !ok || !bytes.Equal(was, body) {
			return false
		}
	}
	for name := range a.objects {
		if _, ok := b.objects[name]; !ok && !strings.HasPrefix(name, "checkpoints/") {
			return false
		}
	}
	return true
}

// Roots and proofs of logs of any size hold, and no other line, place or size does.
func TestProofsHold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &world{}
		var lines [][]byte
		var roots []ledger.Hash
		for i := range rapid.IntRange(1, 70).Draw(t, "lines") {
			line := append([]byte{byte(i)}, rapid.SliceOf(rapid.Byte()).Draw(t, "line")...)
			_, h, err := ledger.Append(uint64(len(lines)), line, w)
			check(t, err)
			w.hashes, lines = append(w.hashes, h...), append(lines, line)
			root, err := ledger.Root(uint64(len(lines)), w)
			check(t, err)
			roots = append(roots, root)
		}
		size := rapid.Uint64Range(1, uint64(len(lines))).Draw(t, "size")
		n := rapid.Uint64Range(1, size).Draw(t, "n")
		if got := ledger.Stored(uint64(len(lines))); got != int64(len(w.hashes)) {
			t.Fatalf("%d hashes are stored, not %d", len(w.hashes), got)
		}
		proof, err := ledger.Prove(n, size, w)
		check(t, err)
		check(t, ledger.CheckLine(n, lines[n-1], proof, size, roots[size-1]))
		if ledger.CheckLine(n, append(slices.Clone(lines[n-1]), 0), proof, size, roots[size-1]) == nil {
			t.Fatal("another line was proved")
		}
		if ledger.CheckLine(n+1, lines[n-1], proof, size, roots[size-1]) == nil || ledger.CheckLine(0, lines[n-1], proof, size, roots[size-1]) == nil {
			t.Fatal("another place was proved")
		}
		before := ledger.Checkpoint{Size: n, Root: roots[n-1]}
		now := ledger.Checkpoint{Size: size, Root: roots[size-1]}
		prefix, err := ledger.ProvePrefix(n, size, w)
		check(t, err)
		check(t, ledger.CheckPrefix(before, now, prefix))
		check(t, ledger.Prefix(before, size, w))
		before.Root = ledger.Hash{9}
		if ledger.CheckPrefix(before, now, prefix) == nil || ledger.Prefix(before, size, w) == nil {
			t.Fatal("another log was proved to be a prefix")
		}
	})
}
