package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"breakglass/store"
)

func FuzzParseID(f *testing.F) {
	for _, s := range []string{"BG-1042", "bg-1042", " 1042\n", "BG-0", "BG-01042", "BG-", "", "BG-BG-1", "-1", "+1", "1_000", "٣", "99999999999999999999", "9223372036854775807", "ſg-1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, err := store.ParseID(s)
		if err != nil {
			if id != "" {
				t.Errorf("%q is no id and %q", s, id)
			}
			return
		}
		digits, ok := strings.CutPrefix(string(id), "BG-")
		if !ok || digits == "" || strings.Trim(digits, "0123456789") != "" || digits[0] == '0' || len(digits) > 19 {
			t.Errorf("%q became %q", s, id)
		}
		if again, err := store.ParseID(string(id)); err != nil || again != id {
			t.Errorf("%q became %q and that %q: %v", s, id, again, err)
		}
		if again, err := store.ParseID(strings.ToLower(string(id))); err != nil || again != id {
			t.Errorf("%q in small letters: %q %v", id, again, err)
		}
	})
}

func TestParseIDRefuses(t *testing.T) {
	for _, s := range []string{"", "BG-", "BG-0", "BG-01", "BG--1", "BG-+1", "BG-1.5", "BG-1 2", "BG-0x10", "BG-1e3", "XX-1", "BG-9223372036854775808", "1042 or 1=1"} {
		if id, err := store.ParseID(s); err == nil {
			t.Errorf("%q is %s", s, id)
		}
	}
	for _, s := range []string{"BG-1042", "bg-1042", "1042", " Bg-1042 "} {
		if id, err := store.ParseID(s); err != nil || id != "BG-1042" {
			t.Errorf("%q is %q: %v", s, id, err)
		}
	}
}

// A record that was not written by us is refused, and never panics; one that was is read as it was written, and its state can be
// read without the rest of it.
func FuzzDecodeRequest(f *testing.F) {
	good, err := store.Encode(nil, asked("ann"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good, "reason", "pending")
	f.Add([]byte{}, "", "")
	f.Add([]byte{0, 0, 0, 0}, `","state":"closed"`, "active")
	f.Add([]byte(`abcd{"id":1}`), "\x00\xff", `clo"sed`)
	f.Fuzz(func(t *testing.T, rec []byte, text, state string) {
		if _, err := store.DecodeRequest(rec); err != nil && !errors.Is(err, store.ErrDamaged) {
			t.Errorf("%q: %v", rec, err)
		}
		store.StateOf(rec)

		r := asked("ann")
		r.ID, r.Reason, r.Title, r.State = "BG-1042", text, text, store.State(state)
		rec, err := store.Encode(nil, r)
		if err != nil {
			t.Fatal(err)
		}
		got, err := store.DecodeRequest(rec)
		if err != nil {
			t.Fatal(err)
		}
		r.Reason, r.Title, r.State = valid(text), valid(text), store.State(valid(state))
		if diff := cmp.Diff(r, got); diff != "" {
			t.Errorf("it came back otherwise:\n%s", diff)
		}
		if s, ok := store.StateOf(rec); ok && plainWord(state) && s != got.State {
			t.Errorf("%q was read as state %q", state, s)
		}
		if len(rec) > 10 {
			rec[len(rec)/2] ^= 4
			if _, err := store.DecodeRequest(rec); !errors.Is(err, store.ErrDamaged) {
				t.Errorf("a bit was turned: %v", err)
			}
		}
	})
}

// valid is text as JSON keeps it: what is no UTF-8 becomes U+FFFD, byte by byte.
func valid(s string) string { return string([]rune(s)) }

func plainWord(s string) bool { return strings.Trim(s, "abcdefghijklmnopqrstuvwxyz") == "" }

// FuzzOpen writes rubbish into a store and opens it. Nothing may panic, and no error may be one that a start does not know.
func FuzzOpen(f *testing.F) {
	db, err := store.Create(filepath.Join(f.TempDir(), "seed.db"), noon)
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range store.States() {
		bring(f, db, "ann", s)
	}
	path := filepath.Join(f.TempDir(), "whole.db")
	if err := db.Backup(path); err != nil {
		f.Fatal(err)
	}
	db.Close()
	whole, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(uint32(16), []byte{0xff}, uint32(0))
	f.Add(uint32(4096*2+12), []byte{0xff, 0xff, 0xff, 0xff}, uint32(0))
	f.Add(uint32(4096*3), []byte{9, 9, 9, 9, 9, 9, 9, 9, 1, 0}, uint32(5000))
	f.Fuzz(func(t *testing.T, at uint32, what []byte, cut uint32) {
		torn := append([]byte{}, whole...)
		copy(torn[int(at)%len(torn):], what)
		torn = torn[:len(torn)-int(cut)%len(torn)]
		path := filepath.Join(t.TempDir(), "torn.db")
		if err := os.WriteFile(path, torn, 0o600); err != nil {
			t.Fatal(err)
		}
		err := opens(t, path)
		if err != nil && !errors.Is(err, store.ErrDamaged) && !errors.Is(err, store.ErrNoStore) && !errors.Is(err, store.ErrFormat) {
			t.Error(err)
		}
	})
}
