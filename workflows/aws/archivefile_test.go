package aws

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"breakglass/store"
)

// inFolder is an archive in a folder, without AWS.
func inFolder(t *testing.T) (*Archive, string) {
	t.Helper()
	dir := t.TempDir()
	a, err := (*Connection)(nil).Archive("file:" + dir)
	if err != nil {
		t.Fatal(err)
	}
	return a, dir
}

func TestFolderIsForTheBotAlone(t *testing.T) {
	a, dir := inFolder(t)
	mustPut(t, a, "sessions/BG-1/001-opened/request.json", "x")
	for path, want := range map[string]fs.FileMode{"sessions": fs.ModeDir | 0o700, "sessions/BG-1/001-opened": fs.ModeDir | 0o700, partFolder: fs.ModeDir | 0o700,
		"sessions/BG-1/001-opened/request.json": 0o400} {
		if info, err := os.Stat(filepath.Join(dir, path)); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v", path, info, err)
		}
	}
	if parts, _ := os.ReadDir(filepath.Join(dir, partFolder)); len(parts) != 0 {
		t.Errorf("left: %v", parts)
	}
}

// Many write the same names at once, some of them something else: one content wins, whole, and everybody hears the truth.
func TestFolderWithManyWriters(t *testing.T) {
	a, _ := inFolder(t)
	b, err := (*Connection)(nil).Archive(a.String()) // another process
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	heard := make([]error, 40)
	text := func(i int) string { return strings.Repeat(fmt.Sprint(i%3), 1000) }
	for i := range heard {
		wg.Go(func() { heard[i] = put(t, []*Archive{a, b}[i%2], "log/1.jsonl", text(i)) })
	}
	wg.Wait()
	r, err := a.Open(t.Context(), "log/1.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var first [1]byte
	_, _ = r.Read(first[:])
	holds(t, a, "log/1.jsonl", strings.Repeat(string(first[:]), 1000))
	for i, err := range heard {
		if text(i)[0] == first[0] && err != nil {
			t.Errorf("%d: %v", i, err)
		} else if text(i)[0] != first[0] {
			isRefusal(t, err, CodeDiffers)
		}
	}
}

// What a crash left while writing is never seen, and goes after a day; what another process is writing stays.
func TestFolderAfterACrash(t *testing.T) {
	a, dir := inFolder(t)
	mustPut(t, a, "a.json", "x")
	old, young := filepath.Join(dir, partFolder, "OLD"), filepath.Join(dir, partFolder, "YOUNG")
	for _, p := range []string{old, young} {
		if err := os.WriteFile(p, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	before := time.Now().Add(-partLife - time.Minute)
	if err := os.Chtimes(old, before, before); err != nil {
		t.Fatal(err)
	}
	mustPut(t, a, "b.json", "x")
	if got := names(t, a, ""); got != "a.json b.json" {
		t.Error(got)
	}
	if _, err := os.Stat(old); !errors.Is(err, fs.ErrNotExist) {
		t.Error("the old one is there still")
	}
	if _, err := os.Stat(young); err != nil {
		t.Error(err)
	}
}

// Links lead nowhere: not out of the folder, and not to what counts.
func TestFolderWithLinks(t *testing.T) {
	a, dir := inFolder(t)
	outside := t.TempDir()
	mustPut(t, a, "a.json", "x")
	for link, to := range map[string]string{"out": outside, "passwd": "/etc/passwd", "same.json": "a.json"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Skip("no links: ", err)
		}
	}
	if err := put(t, a, "out/a.json", "x"); err == nil {
		t.Error("written outside")
	}
	if all, _ := os.ReadDir(outside); len(all) != 0 {
		t.Error(all)
	}
	isRefusal(t, put(t, a, "passwd", "x"), CodeDiffers)
	isRefusal(t, put(t, a, "same.json", "x"), CodeDiffers)
	for _, n := range []string{"passwd", "same.json", "out/a.json"} {
		if r, err := a.Open(t.Context(), n); err == nil {
			r.Close()
			t.Errorf("%s was opened", n)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err == nil {
		if _, err := a.Open(t.Context(), "pipe"); !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
	}
	if got := names(t, a, ""); got != "a.json" {
		t.Error(got)
	}
}

func TestFolderThatMayNotBeWritten(t *testing.T) {
	a, err := (*Connection)(nil).Archive("file:/proc/self/nowhere")
	if err != nil {
		t.Fatal(err)
	}
	var r *store.Refusal
	err = a.Put(t.Context(), "a.json", strings.NewReader("x"), 1, sha256.Sum256([]byte("x")), time.Now())
	if err == nil || errors.As(err, &r) {
		t.Error(err) // somebody may mount it yet
	}
}
