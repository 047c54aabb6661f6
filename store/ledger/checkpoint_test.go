package ledger_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"breakglass/store/ledger"
)

func signed(tb testing.TB, by ...note.Signer) (ledger.Checkpoint, []byte) {
	c := ledger.Checkpoint{Origin: ledger.Origin(storeID, 1), Size: 137, Root: ledger.Hash{1, 2, 3}, At: time.Date(2026, 10, 5, 14, 2, 11, 0, time.UTC)}
	b, err := ledger.Sign(c, by...)
	check(tb, err)
	return c, b
}

func TestCheckpoint(t *testing.T) {
	k, other := seeded(t, 1), seeded(t, 2)
	c, b := signed(t, k)
	got, err := ledger.Open(b, k.Verifier)
	check(t, err)
	if got != c {
		t.Errorf("%+v", got)
	}
	if got, err := ledger.Read(b); err != nil || got != c {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := ledger.Open(b, other.Verifier); !errors.Is(err, ledger.ErrUnknown) {
		t.Error(err)
	}
	if _, err := ledger.Open(b); !errors.Is(err, ledger.ErrUnknown) {
		t.Error(err)
	}
	_, both := signed(t, k, other)
	if _, err := ledger.Open(both, k.Verifier); !errors.Is(err, ledger.ErrUnknown) {
		t.Error(err)
	}
	_, err = ledger.Open(both, k.Verifier, other.Verifier)
	check(t, err)
	// What the note package reads of it is the same, and with fractions of a second it is written without.
	n, err := note.Open(b, note.VerifierList(k.Verifier))
	check(t, err)
	c.At = c.At.Add(999 * time.Millisecond)
	if n.Text != c.Text() {
		t.Errorf("%q", n.Text)
	}
}

// No byte of a checkpoint can be another, none can be added or taken away.
func TestOneForm(t *testing.T) {
	k, other := seeded(t, 1), seeded(t, 2)
	_, b := signed(t, k)
	_, both := signed(t, k, other)
	refused := func(what string, b []byte) {
		if _, err := ledger.Open(b, k.Verifier, other.Verifier); err == nil {
			t.Errorf("%s: %q", what, b)
		}
	}
	for i := range b {
		for bit := range 8 {
			c := slices.Clone(b)
			c[i] ^= 1 << bit
			refused("flipped", c)
		}
		refused("taken away", slices.Delete(slices.Clone(b), i, i+1))
		for _, x := range []byte("\n a0=") {
			refused("added", slices.Insert(slices.Clone(b), i, x))
		}
	}
	refused("longer", append(slices.Clone(b), '\n'))
	refused("empty", nil)
	refused("twice", append(slices.Clone(b), b[bytes.LastIndexByte(b[:len(b)-1], '\n')+1:]...))
	refused("long", append(slices.Clone(b), bytes.Repeat([]byte("— x AAAAAAA=\n"), 10000)...))
	swap := bytes.SplitAfter(both, []byte("\n"))
	refused("unknown line", append(slices.Clone(both), "— x+y AAAAAAA=\n"...))
	if len(swap) != 8 {
		t.Fatalf("%q", swap)
	}
	for _, text := range []string{
		"breakglass/x\n1\n", "breakglass/x/1\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\nat 2026-01-01T00:00:00Z\n",
		"breakglass/x\n01\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\nat 2026-01-01T00:00:00Z\n",
		"breakglass/x\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB=\nat 2026-01-01T00:00:00Z\n",
		"breakglass/x\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\nat 2026-01-01T00:00:00.5Z\n",
		"breakglass/x\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\nat 2026-01-01T00:00:00+01:00\n",
		"glass/x\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\nat 2026-01-01T00:00:00Z\n",
		"breakglass/x\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\nat 2026-01-01T00:00:00Z\nmore\n",
	} {
		b, err := note.Sign(&note.Note{Text: text}, k)
		check(t, err)
		if _, err := ledger.Open(b, k.Verifier); !errors.Is(err, ledger.ErrMalformed) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := ledger.Sign(ledger.Checkpoint{Origin: "breakglass/a b"}, k); err == nil {
		t.Error("signed a name with a blank")
	}
	if _, err := ledger.Sign(ledger.Checkpoint{Origin: "breakglass/a"}); err == nil {
		t.Error("signed with no key")
	}
}

func TestTidy(t *testing.T) {
	_, b := signed(t, seeded(t, 1))
	for _, s := range []string{string(b), "```\n" + string(b) + "```", "```" + string(b) + "```\n", strings.ReplaceAll(string(b), "\n", "\r\n"), "\n\n  " + strings.ReplaceAll(string(b), "\n", " \n") + "\n\n", strings.TrimSpace(string(b))} {
		if got := ledger.Tidy([]byte(s)); !bytes.Equal(got, b) {
			t.Errorf("%q becomes %q", s, got)
		}
	}
}

func TestKey(t *testing.T) {
	private, public, err := ledger.NewKey(ledger.KeyName(storeID))
	check(t, err)
	s, again, err := ledger.ParseKey(" " + private + "\n")
	check(t, err)
	if again != public {
		t.Errorf("%s and %s", again, public)
	}
	v, err := ledger.ParsePublic(public + "\n")
	check(t, err)
	_, b := signed(t, s)
	_, err = ledger.Open(b, v)
	check(t, err)
	for _, bad := range []string{"", "PRIVATE+KEY", public, private[:len(private)-4], strings.Replace(private, "breakglass", "breakGlass", 1)} {
		if _, _, err := ledger.ParseKey(bad); !errors.Is(err, ledger.ErrKey) || len(bad) > 20 && strings.Contains(err.Error(), bad) {
			t.Errorf("%v", err)
		}
	}
	if _, err := ledger.ParsePublic(private); !errors.Is(err, ledger.ErrKey) {
		t.Error(err)
	}
	if _, _, err := ledger.NewKey("a+b"); err == nil {
		t.Error("a name with a plus sign")
	}
}

// A key that is elsewhere signs as one at hand does, and what another key signed is never used.
func TestKeyElsewhere(t *testing.T) {
	pub, private, err := ed25519.GenerateKey(nil)
	check(t, err)
	_, wrong, err := ed25519.GenerateKey(nil)
	check(t, err)
	use, fail := private, error(nil)
	s, public, err := ledger.NewSigner("kms", pub, func(msg []byte) ([]byte, error) { return ed25519.Sign(use, msg), fail })
	check(t, err)
	v, err := ledger.ParsePublic(public)
	check(t, err)
	_, b := signed(t, s)
	_, err = ledger.Open(b, v)
	check(t, err)
	c, err := ledger.Read(b)
	check(t, err)
	use = wrong
	if _, err := ledger.Sign(c, s); !errors.Is(err, ledger.ErrSignature) {
		t.Error(err)
	}
	use, fail = private, errors.New("throttled")
	if _, err := ledger.Sign(c, s); !errors.Is(err, fail) {
		t.Error(err)
	}
}

// Whatever is read as a checkpoint is what would be written.
func FuzzRead(f *testing.F) {
	_, b := signed(f, seeded(f, 1))
	f.Add(b)
	f.Add(ledger.Tidy(b[:40]))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := ledger.Read(b)
		if err == nil && !bytes.HasPrefix(b, []byte(c.Text()+"\n— ")) {
			t.Errorf("%q", b)
		}
		if once := ledger.Tidy(b); !bytes.Equal(ledger.Tidy(once), once) && err == nil {
			t.Errorf("%q", once)
		}
	})
}
