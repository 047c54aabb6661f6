package workflows_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"breakglass/store"
	"breakglass/workflows"
)

// newEvidenceWorld has an archive, and a trail that gives two events in its first reading and one that came late in the next.
func newEvidenceWorld(t *testing.T) *world {
	w := newEndsWorld(t)
	w.vault = newVault()
	w.collect = twoThenOne(w)
	return w
}

// told with evidence: a story in a world with an archive.
func evident(t *testing.T, story func(s *legend)) {
	synctest.Test(t, func(t *testing.T) {
		w := newEvidenceWorld(t)
		w.start(0)
		defer func() { w.stop() }()
		w.pass(2 * time.Second)
		story(legendOf(w))
		w.verified()
		if err := w.run.db.Check(); err != nil {
			t.Error(err)
		}
	})
}

func folders(w *world, base string) (out []string) {
	for _, name := range w.vault.names(base + "/") {
		if f, ok := strings.CutSuffix(strings.TrimPrefix(name, base+"/"), "/manifest.json"); ok {
			out = append(out, f)
		}
	}
	return out
}

// ended is a session that is over and read for the first time.
func (s *legend) over(scenario string, who ...string) store.ID {
	s.t.Helper()
	id := s.active(scenario, "30m", who...)
	s.pass(29 * time.Minute)
	s.until(id, store.Revoked, 3*time.Minute)
	s.pass(15 * time.Minute)
	s.until(id, store.Reported, 2*time.Minute)
	return id
}

func (s *legend) mortem(who string, id store.ID) {
	s.press(who, store.Click{Kind: store.ClickMortem, Request: id, Form: map[string]string{"happened": "the api was slow", "done": "restarted it"}})
	s.pass(2 * time.Second)
}

// The whole life of a session's evidence.
func TestASessionIsArchived(t *testing.T) {
	evident(t, func(s *legend) {
		id := s.over("emergency")
		s.mortem("dana", id)
		s.pass(2*time.Hour + time.Minute)
		s.until(id, store.Closed, time.Minute)
		s.pass(11 * time.Minute)
		s.archivedOnce()
		want := []string{"001-opened", "002-ended", "003-post-mortem", "004-again"}
		if got := folders(s.world, "sessions/"+string(id)); !slices.Equal(got, want) {
			s.t.Errorf("%v, not %v", got, want)
		}
		first := s.vault.text("sessions/" + string(id) + "/002-ended/events.jsonl")
		again := s.vault.text("sessions/" + string(id) + "/004-again/events.jsonl")
		if strings.Count(first, "\n") != 2 || strings.Count(again, `"late"`) != 1 {
			s.t.Errorf("the first reading has\n%s\nand the next\n%s", first, again)
		}
		if n := s.heard(workflows.NoticeWitness); n != 1 {
			s.t.Errorf("a checkpoint was said %d times on one day", n)
		}
		if left, _ := filepath.Glob(filepath.Join(s.run.spool(), "*", "*")); len(left) > 0 {
			s.t.Errorf("left on this machine's disk: %v", left)
		}
	})
}

// An archive that is away for a day loses nothing, is announced once, and once more when it is back, whatever dies meanwhile.
func TestTheArchiveIsAwayForADay(t *testing.T) {
	for _, hangs := range []bool{false, true} {
		t.Run(fmt.Sprint("hangs=", hangs), func(t *testing.T) {
			evident(t, func(s *legend) {
				s.vault.set(func(v *vault) { v.away, v.hangs = !hangs, hangs })
				ids := []store.ID{s.over("emergency"), s.over("ec2", "lee")}
				s.mortem("dana", ids[0])
				s.stop() // and the shutdown does not wait for it
				s.start(0)
				s.hours(12 * time.Hour)
				if n := s.heard(workflows.NoticeArchive); n != 1 {
					s.t.Errorf("it was announced %d times", n)
				}
				s.stop()
				s.start(0)
				s.hours(11 * time.Hour)
				if n := s.heard(workflows.NoticeArchive); n != 1 {
					s.t.Errorf("it was announced %d times after another start", n)
				}
				s.vault.set(func(v *vault) { v.away, v.hangs = false, false })
				s.hours(time.Hour)
				if n := s.heard(workflows.NoticeArchive); n != 2 {
					s.t.Errorf("that it is back was said %d times", n-1)
				}
				s.archivedOnce()
			})
		})
	}
}

// Answers that are lost make nothing twice.
func TestLostAnswersOfTheArchive(t *testing.T) {
	evident(t, func(s *legend) {
		s.vault.set(func(v *vault) { v.loses = 7 })
		s.over("ec2", "lee")
		s.pass(11 * time.Minute)
		s.archivedOnce()
	})
}

// A full or broken spool holds up no end of a session, and what could not be drawn up is drawn up later.
func TestABrokenSpoolHoldsUpNothing(t *testing.T) {
	evident(t, func(s *legend) {
		if err := errors.Join(os.RemoveAll(s.run.spool()), os.WriteFile(s.run.spool(), nil, 0o600)); err != nil {
			s.t.Fatal(err)
		}
		id := s.active("ec2", "30m", "lee")
		s.pass(29 * time.Minute)
		s.until(id, store.Revoked, 3*time.Minute)
		if err := os.Remove(s.run.spool()); err != nil {
			s.t.Fatal(err)
		}
		s.pass(20 * time.Minute)
		s.until(id, store.Reported, 2*time.Minute)
		s.pass(11 * time.Minute)
		s.archivedOnce()
	})
}

// A part that was half put, and whose drawing was lost or torn since, goes on under the next number, and the log says so.
func TestALostDrawingGoesOnUnderTheNextNumber(t *testing.T) {
	for what, harm := range map[string]func(dir string) error{
		"lost": os.RemoveAll,
		"torn": func(dir string) error {
			found, err := filepath.Glob(filepath.Join(dir, "parts", "*", "lines.jsonl"))
			if err != nil || len(found) == 0 {
				return fmt.Errorf("nothing is there: %v", err)
			}
			return os.Truncate(found[0], 40)
		},
	} {
		for _, part := range []string{"001-opened", "002-ended"} {
			t.Run(what+" "+part, func(t *testing.T) {
				evident(t, func(s *legend) {
					s.vault.before = func(name string) error {
						if strings.Contains(name, part+"/manifest.json") {
							return errors.New("away")
						}
						return nil
					}
					id := s.over("ec2", "lee")
					s.pass(time.Minute)
					s.stop()
					if err := harm(s.run.spooled); err != nil {
						s.t.Fatal(err)
					}
					s.vault.set(func(v *vault) { v.before = nil })
					s.start(0)
					s.pass(11 * time.Minute)
					s.archivedOnce()
					got := folders(s.world, "sessions/"+string(id))
					if slices.Contains(got, part) || len(got) != 2 {
						s.t.Errorf("%v", got)
					}
					if rep := s.verified(); len(rep.Notes) != 1 || rep.Notes[0].Object != "sessions/"+string(id)+"/"+part {
						s.t.Errorf("the auditor is told %+v", rep.Notes)
					}
				})
			})
		}
	}
}

// A store that is restored from an older copy goes on beside what the archive has: nothing is overwritten, and nothing stands still.
func TestARestoredStoreGoesOnBeside(t *testing.T) {
	evident(t, func(s *legend) {
		id := s.active("ec2", "30m", "lee")
		s.pass(11 * time.Minute)
		old, err := os.ReadFile(s.run.path)
		if err != nil {
			s.t.Fatal(err)
		}
		s.pass(18 * time.Minute)
		s.until(id, store.Revoked, 3*time.Minute)
		s.pass(16 * time.Minute)
		s.until(id, store.Reported, 2*time.Minute)
		s.pass(6 * time.Minute)
		if got := folders(s.world, "sessions/"+string(id)); len(got) != 2 {
			s.t.Fatalf("%v", got)
		}
		s.stop()
		s.run.remains, s.findings = old, true // its guard says another end
		s.start(0)
		s.pass(40 * time.Minute)
		if n := s.heard(workflows.NoticeRolled); n != 1 {
			s.t.Errorf("it was announced %d times", n)
		}
		s.archivedOnce()
		if got := folders(s.world, "sessions/"+string(id)); len(got) != 3 || got[2] != "003-ended" {
			s.t.Errorf("%v", got)
		}
		s.stop() // and once is enough
		s.start(0)
		s.pass(20 * time.Minute)
		if n := s.heard(workflows.NoticeRolled); n != 1 {
			s.t.Errorf("it was announced %d times", n)
		}
	})
}

// Lines that were put and never covered by a checkpoint are known for what they are: of a store that this one is an older copy of.
func TestARestoredStoreKnowsLinesWithoutACheckpoint(t *testing.T) {
	evident(t, func(s *legend) {
		s.over("ec2", "lee")
		s.pass(11 * time.Minute)
		s.stop()
		old := s.run.remains
		s.start(0)
		s.vault.set(func(v *vault) {
			v.before = func(name string) error {
				if strings.HasPrefix(name, "checkpoints") {
					return errors.New("away")
				}
				return nil
			}
		})
		s.ask("console", "30m")
		s.pass(15 * time.Minute)
		s.stop()
		s.vault.set(func(v *vault) { v.before = nil })
		s.run.remains = old
		s.start(0)
		s.pass(15 * time.Minute)
		if n := s.heard(workflows.NoticeRolled); n != 1 {
			s.t.Errorf("it was announced %d times", n)
		}
	})
}

// A new place is given the whole log, and what was put into the one before is known to be there.
func TestAMovedArchive(t *testing.T) {
	evident(t, func(s *legend) {
		id := s.over("emergency") // which owes a post-mortem
		s.pass(11 * time.Minute)
		s.stop()
		was := s.vault
		s.vault = newVault()
		s.vault.name, s.vault.secret, s.vault.public = "second", was.secret, was.public
		s.start(0)
		s.mortem("dana", id)
		s.pass(11 * time.Minute)
		rep := s.verified()
		if rep.Lines == 0 || len(rep.Notes) == 0 || rep.Notes[0].Object != "file:vault" {
			s.t.Errorf("the new archive: %d lines, %v", rep.Lines, rep.Notes)
		}
		if n := s.heard(workflows.NoticeMoved); n != 1 {
			s.t.Errorf("it was announced %d times", n)
		}
		if got := folders(s.world, "sessions/"+string(id)); len(got) != 1 || got[0] != "003-post-mortem" {
			s.t.Errorf("%v", got)
		}
	})
}

// The place of another store is given nothing.
func TestAnotherArchive(t *testing.T) {
	evident(t, func(s *legend) {
		s.pass(11 * time.Minute)
		s.stop()
		mine := s.run
		s.run = nil // another store
		theirs := s.vault
		n := len(theirs.names(""))
		s.start(0)
		s.pass(30 * time.Minute)
		if got := len(theirs.names("")); got != n {
			s.t.Errorf("%d objects were put beside the log of another store", got-n)
		}
		if s.heard(workflows.NoticeArchive) != 1 {
			s.t.Error("nobody was told")
		}
		s.stop()
		s.run = mine
		s.start(0)
	})
}

// A panic while a part is put is that part's alone.
func TestAPanicOfTheArchive(t *testing.T) {
	evident(t, func(s *legend) {
		s.vault.before = func(name string) error {
			if name == "sessions/BG-1001/001-opened/request.json" {
				panic("a defect")
			}
			return nil
		}
		id := s.active("ec2", "30m", "lee")
		other := s.active("emergency", "30m")
		s.pass(29 * time.Minute)
		s.until(id, store.Revoked, 3*time.Minute)
		s.pass(20 * time.Minute)
		if got := folders(s.world, "sessions/"+string(other)); len(got) != 2 {
			s.t.Errorf("of the other session %v", got)
		}
		s.vault.set(func(v *vault) { v.before = nil })
		s.pass(11 * time.Minute)
		s.archivedOnce()
	})
}

// TestEvidenceKilledAnywhere kills the program at moments of a story with an archive, two readings, a post-mortem, a waiver and a review.
func TestEvidenceKilledAnywhere(t *testing.T) {
	var moments []int
	synctest.Test(t, func(t *testing.T) { moments = evidence(t, 0) })
	t.Logf("%d moments", len(moments))
	for _, n := range swept(t, "evidence", moments, 8) {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { evidence(t, n) })
		})
	}
}

func evidence(t *testing.T, dieAt int) []int {
	w := newEvidenceWorld(t)
	w.pol.Report.Monthly = "0 * * * *" // every hour, so that one comes in this story
	w.tell.Store(dieAt == 0)
	w.start(dieAt)
	defer func() { w.stop() }()
	w.pass(2 * time.Second)
	s := legendOf(w)
	id := s.over("emergency")
	w.verified()
	s.mortem("dana", id)
	month := time.Now().UTC().AddDate(0, -1, 0).Format("2006-01")
	s.press("security.lead", store.Click{Kind: store.ClickReview, Text: month})
	s.pass(2*time.Hour + time.Minute)
	s.until(id, store.Closed, 2*time.Minute)
	moments := w.run.moments()
	w.tell.Store(false)
	s.pass(12 * time.Minute)
	w.archivedOnce()
	if got := s.record(id); got.PostMortem == nil || len(got.Readings) != 2 {
		t.Errorf("post-mortem %v, %d readings", got.PostMortem, len(got.Readings))
	}
	if got := folders(w, "sessions/"+string(id)); len(got) != 4 {
		t.Errorf("%v", got)
	}
	seen := map[string]int{}
	for _, d := range w.told {
		seen[fmt.Sprintf("%s %v", d.n.Kind, d.n.Seq)]++
	}
	again := 0
	for _, n := range seen {
		again += n - 1
	}
	if again > w.run.n*4 {
		t.Errorf("%d messages were said again", again)
	}
	for _, kind := range []string{workflows.NoticeRolled, workflows.NoticeArchive} {
		if w.heard(kind) > 0 {
			t.Errorf("somebody was told: %s", kind)
		}
	}
	if err := w.run.db.Check(); err != nil {
		t.Error(err)
	}
	return moments
}
