package aws

import (
	"fmt"
	"slices"
	"time"

	"breakglass/store"
)

// Fits says whether a guard has room for all of its lines, without asking AWS: a *store.Refusal with code GuardFull where it has not.
func (g *Guards) Fits(gu store.Guard) error { return g.fits(gu, guardDocument(gu)) }

func (g *Guards) fits(gu store.Guard, doc string) error {
	n := dense(doc)
	if n <= roomOf(gu) {
		return nil
	}
	what, other := "permission set "+gu.Set, "another account or another permission set"
	if gu.Role != "" {
		what, other = "role "+gu.Role, "another account or another role"
	}
	now := g.c.now()
	in, ended := 0, 0
	for _, l := range gu.Lines {
		if l.Out || !l.Until.After(now) {
			ended++
		} else {
			in++
		}
	}
	lasts := g.Lasts(gu.Set)
	return &store.Refusal{Code: "GuardFull", Message: fmt.Sprintf("the guard of the %s in account %s has no room for one more: %s, %s, and IAM takes a policy of %d characters "+
		"where %d would be needed. %s. Or ask for %s, which has a guard of its own",
		clean(what, 140), gu.Account, areIn(in-1), areOut(ended, lasts), roomOf(gu), n, roomAgain(gu, now, lasts), other)}
}

// roomOf is how many characters IAM takes.
func roomOf(g store.Guard) int {
	if g.Role != "" {
		return roleInlineLimit
	}
	return managedPolicyLimit
}

// roomAgain says when there will be room. An ended session stays in the guard for a while, but shares one statement with all others that have.
func roomAgain(g store.Guard, now time.Time, lasts time.Duration) string {
	var ends []time.Time
	for _, l := range g.Lines {
		if !l.Out && l.Until.After(now) {
			ends = append(ends, l.Until)
		}
	}
	slices.SortFunc(ends, time.Time.Compare)
	for _, t := range slices.Compact(ends) {
		if hasRoomAt(g, now, t) {
			return fmt.Sprintf("There is room again by %s unless sessions are extended, and sooner where somebody ends theirs", clock(t, now))
		}
	}
	return fmt.Sprintf("There is room again as ended sessions leave the guard, the last of them by %s", clock(now.Add(lasts), now))
}

// hasRoomAt says whether somebody comes in at a time when those whose end it is have ended. Which line is theirs is not known here, so any of those
// who are in may be meant; theirs will then end when nobody else's does.
func hasRoomAt(g store.Guard, now, at time.Time) bool {
	for i, fresh := range g.Lines {
		if fresh.Out || !fresh.Until.After(now) {
			continue
		}
		then := g
		then.Lines = nil
		for j, l := range g.Lines {
			switch {
			case i == j:
				l.Until = l.Until.AddDate(1, 0, 0)
			case !l.Until.After(at):
				l = store.Line{Who: l.Who, Out: true}
			}
			then.Lines = append(then.Lines, l)
		}
		if dense(guardDocument(then)) > roomOf(g) {
			return false
		}
	}
	return true
}

// clock is a time for people, in minutes that are not too early, with the day where it is another.
func clock(t, now time.Time) string {
	t, now = t.Add(time.Minute-1).UTC(), now.UTC()
	if t.Format(time.DateOnly) == now.Format(time.DateOnly) {
		return t.Format("15:04 UTC")
	}
	return t.Format("15:04 UTC on 2 January")
}

// areIn is a count in words; the one who did not fit is not among them.
func areIn(n int) string {
	if n == 1 {
		return "1 person is in"
	}
	return fmt.Sprintf("%d people are in", max(n, 0))
}

// areOut is how many are refused still, and why.
func areOut(n int, lasts time.Duration) string {
	const why = "still refused, for as long as credentials of theirs may be valid (%s after the end)"
	if n == 1 {
		return fmt.Sprintf("1 has ended and is "+why, inHours(lasts))
	}
	return fmt.Sprintf("%d have ended and are "+why, n, inHours(lasts))
}

// inHours is a duration of whole minutes as people write it.
func inHours(d time.Duration) string {
	h, m := int(d/time.Hour), int(d%time.Hour/time.Minute)
	if m == 0 {
		return fmt.Sprintf("%d h", h)
	}
	return fmt.Sprintf("%d h %d min", h, m)
}
