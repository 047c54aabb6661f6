package aws

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	vault = "forge-breakglass-archive"
	year  = 365 * 24 * time.Hour
)

// vaulted is an archive in a bucket of the twin.
func (w *world) vaulted(t testing.TB, at string) *Archive {
	t.Helper()
	a, err := w.conn.Archive(at)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// inBothPlaces plays a story in a bucket, under a prefix, and in a folder.
func inBothPlaces(t *testing.T, story func(t *testing.T, w *world, a *Archive)) {
	t.Run("bucket", func(t *testing.T) {
		bubble(t, func(t *testing.T, w *world) {
			w.AddBucket(management, "us-east-1", vault, true)
			story(t, w, w.vaulted(t, "s3://"+vault+"/evidence/"))
		})
	})
	t.Run("folder", func(t *testing.T) {
		dir := t.TempDir()
		bubble(t, func(t *testing.T, w *world) { story(t, w, w.vaulted(t, "file:"+filepath.Join(dir, "a", "archive"))) })
	})
}

func put(t *testing.T, a *Archive, name, text string) error {
	t.Helper()
	return a.Put(t.Context(), name, strings.NewReader(text), int64(len(text)), sha256.Sum256([]byte(text)), time.Now().Add(year))
}

func mustPut(t *testing.T, a *Archive, name, text string) {
	t.Helper()
	if err := put(t, a, name, text); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

func holds(t *testing.T, a *Archive, name, want string) {
	t.Helper()
	r, err := a.Open(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if b, err := io.ReadAll(r); string(b) != want || err != nil {
		t.Errorf("%s: %q, %v; want %q", name, b, err, want)
	}
}

func names(t *testing.T, a *Archive, prefix string) string {
	t.Helper()
	all, err := a.Objects(t.Context(), prefix)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, o := range all {
		if o.Versions != 1 || o.Deleted || o.Modified.IsZero() {
			t.Errorf("%+v", o)
		}
		list = append(list, o.Name)
	}
	return strings.Join(list, " ")
}

func TestEverythingIsWrittenOnce(t *testing.T) {
	inBothPlaces(t, func(t *testing.T, w *world, a *Archive) {
		if got := names(t, a, ""); got != "" {
			t.Fatal(got)
		}
		for _, n := range []string{"log/000000000001-000000000137.jsonl", "sessions/BG-1042/001-opened/request.json", "sessions/BG-1042/002-ended/report.html",
			"sessions/BG-1042.x", "checkpoints/000000000137-0a1b2c3d.note"} {
			mustPut(t, a, n, n)
			mustPut(t, a, n, n) // the record of it was lost, and it is done again
			isRefusal(t, put(t, a, n, "lies"), CodeDiffers)
			isRefusal(t, put(t, a, n, ""), CodeDiffers)
			holds(t, a, n, n)
		}
		mustPut(t, a, "empty.txt", "")
		mustPut(t, a, "empty.txt", "")
		isRefusal(t, put(t, a, "empty.txt", "x"), CodeDiffers)
		holds(t, a, "empty.txt", "")
		for prefix, want := range map[string]string{"sessions/BG-1042/": "sessions/BG-1042/001-opened/request.json sessions/BG-1042/002-ended/report.html",
			"sessions/BG-104": "sessions/BG-1042.x sessions/BG-1042/001-opened/request.json sessions/BG-1042/002-ended/report.html",
			"checkpoints/":    "checkpoints/000000000137-0a1b2c3d.note", "nothing/": "", "../": "", "sessions/BG-1042/002-ended/report.html/": ""} {
			if got := names(t, a, prefix); got != want {
				t.Errorf("%q: %s; want %s", prefix, got, want)
			}
			last := want[strings.LastIndexByte(want, ' ')+1:]
			if got, err := a.Newest(t.Context(), prefix); got != last || err != nil {
				t.Errorf("newest of %q: %s, %v; want %s", prefix, got, err, last)
			}
		}
		for _, n := range []string{"sessions/BG-1042/none", "sessions/BG-1042", "sessions/BG-1042/002-ended/report.htm"} {
			if _, err := a.Open(t.Context(), n); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("opening %s: %v", n, err)
			}
		}
	})
}

func TestArchiveTakesNoOtherNames(t *testing.T) {
	inBothPlaces(t, func(t *testing.T, w *world, a *Archive) {
		for _, n := range []string{"", ".", "..", "/a", "a/", "a//b", "../a", "a/../b", "a/./b", ".part/a", "a/.b", "-rf", "a b", "a\\b", "ä", "a\x00", "a\n", "a?b", "a%2fb",
			strings.Repeat("a", 201), strings.Repeat("a/", 300) + "a"} {
			isRefusal(t, put(t, a, n, "x"), CodeBadName)
			_, err := a.Open(t.Context(), n)
			isRefusal(t, err, CodeBadName)
		}
		if got := names(t, a, ""); got != "" {
			t.Error(got)
		}
	})
}

// What is stored is what its checksum says, or nothing.
func TestArchiveTakesNothingElse(t *testing.T) {
	inBothPlaces(t, func(t *testing.T, w *world, a *Archive) {
		err := a.Put(t.Context(), "a.json", strings.NewReader("changed"), 7, sha256.Sum256([]byte("as it was")), time.Now().Add(year))
		isRefusal(t, err, CodeChanged)
		if err := a.Put(t.Context(), "a.json", failing{}, 7, [32]byte{}, time.Now().Add(year)); err == nil {
			t.Error("a body that cannot be read")
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if err := a.Put(gone, "a.json", strings.NewReader("x"), 1, sha256.Sum256([]byte("x")), time.Now().Add(year)); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if got := names(t, a, ""); got != "" {
			t.Error(got)
		}
		// Whoever calls may have read it before.
		body := strings.NewReader("read to its end")
		_, _ = io.Copy(io.Discard, body)
		if err := a.Put(t.Context(), "b.json", body, body.Size(), sha256.Sum256([]byte("read to its end")), time.Now().Add(year)); err != nil {
			t.Fatal(err)
		}
		holds(t, a, "b.json", "read to its end")
	})
}

type failing struct{}

func (failing) Read([]byte) (int, error)       { return 0, errors.New("the disk is broken") }
func (failing) Seek(int64, int) (int64, error) { return 0, nil }

func TestArchiveURLs(t *testing.T) {
	env(t)
	w := newWorld(t, twinDefaults, Config{})
	for _, at := range []string{"", "file:x", "s3://bucket", "s3://bucket/", "s3://bucket/a/b/", "s3://bucket/a?region=eu-west-1&owner=100000000000"} {
		if a, err := w.conn.Archive(at); err != nil || (at != "" && a.String() != at) {
			t.Errorf("%s: %v", at, err)
		}
	}
	for _, at := range []string{"file:", "s3://", "s3:///a", "s3://B_UCKET", "s3://u:p@bucket", "s3://bucket/../a", "s3://bucket/a b", "s3://bucket?x=y", "s3://bucket#a", "http://bucket", "archive"} {
		if a, err := w.conn.Archive(at); err == nil {
			t.Errorf("%s: %+v", at, a)
		}
	}
	// An auditor has no AWS.
	var none *Connection
	if _, err := none.Archive("file:" + t.TempDir()); err != nil || ArchiveNeedsAWS("file:x") {
		t.Error(err)
	}
	if _, err := none.Archive("s3://bucket"); err == nil || !ArchiveNeedsAWS("s3://bucket") {
		t.Error("a bucket without a connection")
	}
}

func TestFolderIsReady(t *testing.T) {
	dir := t.TempDir()
	var none *Connection
	check := func(at string) Row {
		t.Helper()
		a, err := none.Archive(at)
		if err != nil {
			t.Fatal(err)
		}
		rows := a.Ready(t.Context())
		if len(rows) != 1 || rows[0].Found == "" || rows[0].Remedy == "" {
			t.Fatalf("%+v", rows)
		}
		return rows[0]
	}
	if r := check("file:" + filepath.Join(dir, "later")); !r.OK {
		t.Errorf("%+v", r)
	}
	if r := check("file:" + dir); !r.OK {
		t.Errorf("%+v", r)
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if r := check("file:" + filepath.Join(dir, "file")); r.OK {
		t.Errorf("%+v", r)
	}
	if all, _ := os.ReadDir(dir); len(all) != 1 {
		t.Errorf("the check left %v", all)
	}
}

// zeros is a file of n bytes that takes no room.
type zeros struct{ n, at int64 }

func (z *zeros) Read(p []byte) (int, error) {
	if z.at >= z.n {
		return 0, io.EOF
	}
	n := min(int64(len(p)), z.n-z.at)
	clear(p[:n])
	z.at += n
	return int(n), nil
}

func (z *zeros) Seek(to int64, whence int) (int64, error) {
	switch whence {
	case io.SeekStart:
		z.at = to
	case io.SeekCurrent:
		z.at += to
	case io.SeekEnd:
		z.at = z.n + to
	}
	return z.at, nil
}

func sumOf(t *testing.T, r io.ReadSeeker) [32]byte {
	t.Helper()
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		t.Fatal(err)
	}
	return [32]byte(h.Sum(nil))
}
