package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"breakglass/deploy/sandbox"
	"breakglass/deploy/sandbox/awstwin"
	"breakglass/store"
	"breakglass/store/ledger"
)

// twinBucket is the archive of the stories as an auditor reads it: the oldest version of each object.
type twinBucket struct{ aws *awstwin.Organization }

func (b twinBucket) List(context.Context) (out []ledger.Object, err error) {
	for _, v := range b.aws.ObjectVersions(sandbox.ArchiveBucket) {
		if n := len(out); n > 0 && out[n-1].Name == v.Key {
			out[n-1].Deleted = out[n-1].Deleted || v.Marker
			if !v.Marker {
				out[n-1].Versions++
			}
			continue
		}
		o := ledger.Object{Name: v.Key, Size: int64(v.Size), Versions: 1, Deleted: v.Marker}
		if v.Marker {
			o.Versions = 0
		}
		out = append(out, o)
	}
	return out, nil
}

func (b twinBucket) Open(_ context.Context, name string) (io.ReadCloser, error) {
	for _, v := range b.aws.Objects(sandbox.ArchiveBucket) {
		if v.Key == name {
			return io.NopCloser(bytes.NewReader(b.aws.ObjectBody(sandbox.ArchiveBucket, name, v.VersionID))), nil
		}
	}
	return nil, fs.ErrNotExist
}

// verified verifies the archive against the store's own log.
func (s *story) verified(db *store.DB) (ledger.Report, error) {
	return verifyWith(db, twinBucket{s.world.AWS})
}

func verifyWith(db *store.DB, archive ledger.Archive, witnessed ...ledger.Named) (ledger.Report, error) {
	led, err := readLedger(db)
	if err != nil {
		return ledger.Report{}, err
	}
	keys, err := readKeys(led.Keys)
	if err != nil {
		return ledger.Report{}, err
	}
	return ledger.Verify(context.Background(), archive, ledger.Options{
		Keys: keys, Store: led.Store, Witnessed: witnessed,
		Live: func(yield func([]byte, error) bool) {
			for from := uint64(1); ; from += linesAtOnce {
				lines, err := db.Lines(from, linesAtOnce)
				for _, l := range lines {
					if !yield(l.Text, err) {
						return
					}
				}
				if len(lines) < linesAtOnce {
					return
				}
			}
		},
	})
}

// archiveHolds: whatever happened in a story, an auditor finds nothing wrong with the archive.
func (s *story) archiveHolds(db *store.DB) {
	s.t.Helper()
	r, err := s.verified(db)
	if err != nil {
		if strings.Contains(err.Error(), "no public key") && len(s.world.AWS.Objects(sandbox.ArchiveBucket)) == 0 {
			return // nothing was ever archived
		}
		s.t.Errorf("the archive: %v", err)
	}
	if !r.OK && !s.tampered {
		for _, f := range r.Findings {
			s.t.Errorf("the archive: %s, line %d: %s [%s]", f.Object, f.Line, f.Text, f.Code)
		}
	}
}

// wordArchive says what is in the archive, and what an auditor finds:
//
//	archive has GLOB REGEXP | archive list | archive outage on | archive away on
//	archive flip NAME | archive erase NAME | archive cover NAME     what an insider may try
//	archive holds | ! archive holds REGEXP
func (s *story) wordArchive(ts *testscript.TestScript, neg bool, args []string) {
	switch args[0] {
	case "has":
		if found := s.archived(args[1]); (len(found) > 0) == neg {
			ts.Fatalf("%s in the archive (not: %v):\n%s", args[1], neg, strings.Join(s.archived("*"), "\n"))
		} else if len(args) > 2 && !neg {
			match(ts, false, args[2], string(s.object(found[len(found)-1])))
		}
	case "list":
		ts.Logf("%s", strings.Join(s.archived("*"), "\n"))
	case "outage":
		s.world.AWS.Outage("s3", args[1] == "on")
	case "flip":
		name := s.archived(args[1])[0]
		b := bytes.Clone(s.object(name))
		b[len(b)/2] ^= 1
		s.world.AWS.OverwriteObject(sandbox.ArchiveBucket, name, b)
		s.tampered = true
	case "erase":
		s.world.AWS.EraseObject(sandbox.ArchiveBucket, s.archived(args[1])[0])
		s.tampered = true
	case "cover":
		name := s.archived(args[1])[0]
		s.world.AWS.CoverObject(sandbox.ArchiveBucket, name, []byte("another"))
		s.tampered = true
	case "holds":
		db := s.run.p.db
		r, err := s.verified(db)
		ts.Check(err)
		var all []string
		for _, f := range r.Findings {
			all = append(all, fmt.Sprintf("%s, line %d: %s [%s]", f.Object, f.Line, f.Text, f.Code))
		}
		if r.OK == neg {
			ts.Fatalf("the archive holds: %v\n%s", r.OK, strings.Join(all, "\n"))
		}
		if len(args) > 1 {
			match(ts, false, args[1], strings.Join(all, "\n"))
		}
	default:
		ts.Fatalf("archive %s?", args[0])
	}
}

func (s *story) archived(glob string) (names []string) {
	seen := map[string]bool{}
	for _, v := range s.world.AWS.Objects(sandbox.ArchiveBucket) {
		ok, _ := filepath.Match(strings.ReplaceAll(glob, "/", ":"), strings.ReplaceAll(v.Key, "/", ":"))
		if (ok || glob == "*") && !seen[v.Key] {
			seen[v.Key] = true
			names = append(names, v.Key)
		}
	}
	sort.Strings(names)
	return names
}

func (s *story) object(name string) []byte {
	r, err := twinBucket{s.world.AWS}.Open(context.Background(), name)
	if err != nil {
		return nil
	}
	b, _ := io.ReadAll(r)
	return b
}

// keepSpool gives the next run what the last one left beside its store.
func (s *story) keepSpool(from, to string) {
	s.t.Helper()
	if b, err := os.ReadFile(from + ".key"); err == nil {
		if err := os.WriteFile(to+".key", b, 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	if _, err := os.Stat(spoolAt(from)); err != nil {
		return
	}
	if err := os.CopyFS(spoolAt(to), os.DirFS(spoolAt(from))); err != nil {
		s.t.Fatal(err)
	}
}

// wordMonth lets the days pass until shortly after the review of a month is due.
func (s *story) wordMonth(*testscript.TestScript, bool, []string) {
	now := time.Now().UTC()
	next := time.Date(now.Year(), now.Month()+1, 1, 9, 2, 0, 0, time.UTC)
	time.Sleep(next.Sub(now)) // with nobody running: a month of sweeps takes a quarter of an hour
}
