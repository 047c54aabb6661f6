package aws

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"breakglass/store"
)

// TestFullGuardSaysWhatToDo: who is in, who is refused still, and a time from which somebody comes in.
func TestFullGuardSaysWhatToDo(t *testing.T) {
	guarded(t, func(t *testing.T, w *world, g *Guards) {
		if err := w.ic.Warm(t.Context()); err != nil {
			t.Fatal(err)
		}
		now := time.Now().UTC().Truncate(time.Minute).Add(15 * time.Second)
		time.Sleep(time.Until(now))
		who := func(n int) string { return fmt.Sprintf("90674fe4-5091-70a1-%04d-ceb3b3f0b6a2", n) }
		end := func(n int) time.Time { return now.Add(time.Duration(30+n) * time.Minute) }
		gu := closed(store.Line{Who: who(900), Out: true}, store.Line{Who: who(901), Out: true}, store.Line{Who: who(902), Out: true})
		for n := 0; g.Fits(gu) == nil; n++ {
			gu.Lines = append(gu.Lines, store.Line{Who: who(n), Until: end(n)})
		}
		in := len(gu.Lines) - 3
		wantRefusal(t, g.Fits(gu), "GuardFull", fmt.Sprintf("%d people are in", in-1), "3 have ended and are still refused", "(1 h after the end)",
			"There is room again by "+clock(end(2), now), "another account or another permission set")
		// It is true: at that time, whoever asked, with an end of their own.
		for late := range in {
			then := gu
			then.Lines = slices.Clone(gu.Lines)
			for i, l := range then.Lines {
				switch {
				case i == 3+late:
					then.Lines[i].Until = l.Until.Add(24 * time.Hour)
				case !l.Until.After(end(2)):
					then.Lines[i] = store.Line{Who: l.Who, Out: true}
				}
			}
			if err := g.Fits(then); err != nil {
				t.Errorf("%d came too early: %v", late, err)
			}
		}
		// A guard that those who have ended fill: they go in time.
		gu = closed(store.Line{Who: who(0), Until: end(0)})
		for n := 1; g.Fits(gu) == nil; n++ {
			gu.Lines = append(gu.Lines, store.Line{Who: who(n), Out: true})
		}
		wantRefusal(t, g.Fits(gu), "GuardFull", "0 people are in", fmt.Sprintf("%d have ended", len(gu.Lines)-1), "the last of them by "+clock(now.Add(time.Hour), now))
		gu = store.Guard{Account: wealth, Role: "BreakGlassAdminRole"}
		for n := 1000; g.Fits(gu) == nil; n++ {
			gu.Lines = append(gu.Lines, store.Line{Who: fmt.Sprint("BG-", n), Until: end(n - 1000)})
		}
		wantRefusal(t, g.Fits(gu), "GuardFull", "0 have ended", "(12 h after the end)", "another role")
	})
}

// TestEarlierSessionsFillAGuard: everybody's own time in a statement of their own is what a guard has least room for.
func TestEarlierSessionsFillAGuard(t *testing.T) {
	guarded(t, func(t *testing.T, w *world, g *Guards) {
		gu, now := closed(), time.Now()
		for n := 0; g.Fits(gu) == nil; n++ {
			gu.Lines = append(gu.Lines, store.Line{Who: fmt.Sprintf("90674fe4-5091-70a1-%04d-ceb3b3f0b6a2", n), Until: now.Add(time.Duration(60+n) * time.Minute),
				Before: now.Add(-time.Duration(60+n) * time.Second)})
		}
		if n := len(gu.Lines) - 1; n < 11 {
			t.Errorf("room for %d", n)
		}
		var r *store.Refusal
		if err := g.Fits(gu); !errors.As(err, &r) || strings.Contains(r.Message, "  ") {
			t.Errorf("%v", err)
		}
	})
}

func TestClock(t *testing.T) {
	now := time.Date(2026, 11, 21, 22, 30, 0, 0, time.UTC)
	for d, want := range map[time.Duration]string{time.Hour: "23:30 UTC", time.Hour + time.Second: "23:31 UTC", 2 * time.Hour: "00:30 UTC on 22 November"} {
		if got := clock(now.Add(d), now); got != want {
			t.Errorf("%s: %q, want %q", d, got, want)
		}
	}
}
