package aws

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// The last of many names is found in a few pages, whatever their numbers are, and it is the last.
func TestNewestOfMany(t *testing.T) {
	number := func(n int) string { return fmt.Sprintf("checkpoints/%012d-%08x.note", n, n) }
	for what, all := range map[string]func(r *rand.Rand, i int) string{
		"each number":     func(_ *rand.Rand, i int) string { return number(i + 1) },
		"with gaps":       func(r *rand.Rand, i int) string { return number(i*137 + r.IntN(100)) },
		"far apart":       func(r *rand.Rand, i int) string { return number(r.IntN(999_999_999_999)) },
		"one very far":    func(_ *rand.Rand, i int) string { return number(i + (i/5999)*900_000_000_000) },
		"many of one":     func(_ *rand.Rand, i int) string { return fmt.Sprintf("checkpoints/%012d-%08x.note", 7+i/5000, i) },
		"without numbers": func(r *rand.Rand, i int) string { return fmt.Sprintf("checkpoints/x%x", r.Uint64()) },
		"of two widths":   func(_ *rand.Rand, i int) string { return fmt.Sprintf("checkpoints/%d", i) },
	} {
		t.Run(what, func(t *testing.T) {
			inVault(t, func(t *testing.T, w *world, a *Archive) {
				r, last := rand.New(rand.NewPCG(1, 2)), ""
				for i := range 6000 {
					n := all(r, i)
					last = max(last, n)
					w.PlaceObject(vault, n, []byte("x"))
				}
				w.PlaceObject(vault, "checkpoints-2/000000000001-00000000.note", nil) // another epoch's
				w.PlaceObject(vault, "a", nil)
				w.ForgetCalls()
				got, err := a.Newest(t.Context(), "checkpoints/")
				if got != last || err != nil {
					t.Errorf("%s, %v; want %s", got, err, last)
				}
				if n := len(w.Calls()); n > 50 {
					t.Errorf("%d calls", n)
				} else {
					t.Logf("%d calls", n)
				}
				if got, err := a.Newest(t.Context(), "checkpoints-2/"); got != "checkpoints-2/000000000001-00000000.note" || err != nil {
					t.Error(got, err)
				}
			})
		})
	}
}

// Forty pages are not read to find the last of them.
func TestNewestIsLookedForByHalves(t *testing.T) {
	inVault(t, func(t *testing.T, w *world, a *Archive) {
		const many = 40_000
		for i := range many {
			w.PlaceObject(vault, fmt.Sprintf("log/%012d-%012d.jsonl", 50*i+1, 50*i+50), nil)
		}
		w.ForgetCalls()
		got, err := a.Newest(t.Context(), "log/")
		if want := fmt.Sprintf("log/%012d-%012d.jsonl", 50*many-49, 50*many); got != want || err != nil {
			t.Errorf("%s, %v; want %s", got, err, want)
		}
		if n := len(w.Calls()); n > 25 {
			t.Errorf("%d calls", n)
		}
	})
}

// Names of many pages come once each and in order, and the names of others do not break the list.
func TestListsInPages(t *testing.T) {
	inVault(t, func(t *testing.T, w *world, a *Archive) {
		var want []string
		for i := range 2500 {
			want = append(want, fmt.Sprintf("log/%05d", i))
		}
		want = append(want, "log/a b+c%41", "log/ü\u202e")
		for _, n := range want {
			w.PlaceObject(vault, n, []byte("x"))
		}
		slices.Sort(want)
		if got := names(t, a, "log/"); got != strings.Join(want, " ") {
			t.Errorf("%d bytes of names, want %d: …%q", len(got), len(strings.Join(want, " ")), got[len(got)-60:])
		}
	})
}

// Names that no XML can hold come in an encoding of their own; S3 that hides how its list goes on is an error, and no end.
func TestListsOfOddNames(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		answer := `<ListVersionsResult><EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>` +
			`<Version><Key>log/a+b%2Bc%01</Key><VersionId>1</VersionId><Size>7</Size><LastModified>2026-11-21T09:30:00.000Z</LastModified></Version></ListVersionsResult>`
		w.wire.to = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("encoding-type") != "url" {
				t.Error(r.URL)
			}
			fmt.Fprint(rw, answer)
		})
		a := w.vaulted(t, "s3://"+vault)
		if got := names(t, a, "log/"); got != "log/a b+c\x01" {
			t.Errorf("%q", got)
		}
		answer = strings.Replace(answer, ">false<", ">true<", 1)
		_, err := a.Objects(t.Context(), "log/")
		isFault(t, err)
	})
}
