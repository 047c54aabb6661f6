package aws

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
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

// roomAgain says when those who are in will have ended so that all of the lines fit: an ended session stays in the guard, but shares one statement
// with all others that have. Where even all of those ends are not enough, lines must go.
func roomAgain(g store.Guard, now time.Time, lasts time.Duration) string {
	later := g
	later.Lines = slices.Clone(g.Lines)
	slices.SortStableFunc(later.Lines, func(a, b store.Line) int { return cmp.Or(a.Until.Compare(b.Until), strings.Compare(a.Who, b.Who)) })
	for i, l := range later.Lines {
		later.Lines[i] = store.Line{Who: l.Who, Out: true}
		if l.Out || !l.Until.After(now) {
			continue
		}
		if dense(guardDocument(later)) <= roomOf(g) {
			return fmt.Sprintf("There is room again at %s, unless sessions are extended, or as soon as somebody ends theirs sooner", clock(l.Until, now))
		}
	}
	return fmt.Sprintf("There is room again when ended sessions have left the guard, at %s at the latest", clock(now.Add(lasts), now))
}

// clock is a time for people, with the day where it is another.
func clock(t, now time.Time) string {
	t, now = t.UTC(), now.UTC()
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
