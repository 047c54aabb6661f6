package store

import (
	"bytes"
	"fmt"
	"slices"
	"time"
)

// Access reads the desired state of a tuple. known is false where no grant of ours is in force or being undone.
func (c *Change) Access(t Tuple) (a Access, known bool, err error) {
	known, err = fetch(c.t, "access", t.key(), &a)
	if !known {
		a.Tuple = t
	}
	return a, known, err
}

// Want adds this request to those that want the access. standing is what the listing found, and counts only for the first of them; lined says
// that the guard gets a line for the person. What an earlier session left in the guard gives way to a line that refuses its credentials only.
func (c *Change) Want(standing, lined bool) error {
	a, known, err := c.Access(c.Request.Tuple())
	if err != nil {
		return err
	}
	if !known || len(a.Live) == 0 {
		a.Standing = standing
		if a.Before = (time.Time{}); a.Lined && c.By.At.Before(a.Keep) {
			if a.Before, a.BeforeKeep = a.Ended, a.Keep; a.Forced {
				a.Before = c.By.At // nobody verified when the earlier one was gone
			}
		}
		a.Out, a.Keep, a.Reach, a.Since = false, time.Time{}, time.Time{}, c.By.At
	}
	a.Lined = a.Lined && len(a.Live) > 0 || lined
	a.Forced = false
	a.add(c.Request.ID)
	return c.saveAccess(a)
}

// Extend makes the access reach as far as the approved extension of this request says, before it counts.
func (c *Change) Extend() (Access, error) {
	a, _, err := c.Access(c.Request.Tuple())
	if err != nil {
		return a, err
	}
	return a, c.saveAccess(a)
}

// Remove claims the removal of the access for this request: it no longer wants it, and if nobody else does and it was not standing
// before, the assignment is to be deleted, and grants of the same access wait until that is done. An end before the time that the guard's
// line says makes that line refuse outright, as does one whose line was never written.
func (c *Change) Remove() (Access, error) {
	a, _, err := c.Access(c.Request.Tuple())
	if err != nil {
		return a, err
	}
	a.remove(c.Request.ID)
	if len(a.Live) == 0 {
		a.Out = a.Lined && (c.By.At.Before(a.Reach) || c.Request.Ends.Unguarded)
		if !a.Standing {
			a.Removing = c.Request.ID
		}
	}
	return a, c.saveAccess(a)
}

// Claim takes the removal over where nobody has it and nobody wants the access: another session that needed it has ended meanwhile.
func (c *Change) Claim() error {
	a, known, err := c.Access(c.Request.Tuple())
	if err != nil || !known || len(a.Live) > 0 || a.Removing != "" || a.Standing {
		return err
	}
	a.Removing = c.Request.ID
	return c.saveAccess(a)
}

// Forget ends the removal: absence was verified, or there was nothing of ours to remove. forced: nobody verified it, an operator vouched for it.
// keep is until when credentials of the session may be valid: the guard's line stays so long. The row stays, with the time: a listing made
// soon after may still show what was just removed, and that is nobody's standing access.
func (c *Change) Forget(forced bool, keep time.Time) error {
	a, known, err := c.Access(c.Request.Tuple())
	if err != nil || !known {
		return err
	}
	a.remove(c.Request.ID)
	if a.Removing == c.Request.ID {
		a.Removing = ""
	}
	if len(a.Live) == 0 && a.Removing == "" {
		a.Ended, a.Forced = c.By.At, forced
		if a.Lined {
			a.Keep = keep
		}
	}
	return c.saveAccess(a)
}

// Unwant undoes the wish of a grant of which nothing came: no credential of it exists, so its line goes at once, unless it keeps an earlier session's out.
func (c *Change) Unwant(keep time.Time) error {
	if err := c.Forget(false, keep); err != nil {
		return err
	}
	a, known, err := c.Access(c.Request.Tuple())
	if err != nil || !known || len(a.Live) > 0 || a.Removing != "" || !a.Before.IsZero() {
		return err
	}
	a.Lined = false
	return c.saveAccess(a)
}

// Adopt gives somebody who is in a line in a guard that they were let in without.
func (c *Change) Adopt() error {
	a, known, err := c.Access(c.Request.Tuple())
	if err != nil || !known || len(a.Live) == 0 {
		return err
	}
	a.Lined = true
	return c.saveAccess(a)
}

// Unline takes the line of this access out of its guard: there is no room for it.
func (c *Change) Unline() error {
	a, known, err := c.Access(c.Request.Tuple())
	if err != nil || !known {
		return err
	}
	a.Lined = false
	return c.saveAccess(a)
}

// Guard reads, in the transaction, the lines of the guard that this request's access belongs to.
func (c *Change) Guard() (Guard, error) { return guardLines(c.t, c.Request.Tuple(), c.By.At) }

// Plan writes down schedules that are about to be made for this access.
func (c *Change) Plan(all ...Schedule) error {
	a, _, err := c.Access(c.Request.Tuple())
	if err != nil {
		return err
	}
	for _, s := range all {
		same := func(o Schedule) bool { return o.Name == s.Name }
		if !slices.ContainsFunc(a.Schedules, same) {
			a.Schedules = append(a.Schedules, s)
		}
	}
	return c.saveAccess(a)
}

// Unplan forgets schedules that AWS was seen to have no more.
func (c *Change) Unplan(names ...string) error {
	a, known, err := c.Access(c.Request.Tuple())
	if err != nil || !known {
		return err
	}
	a.unplan(names)
	return c.saveAccess(a)
}

func (a *Access) unplan(names []string) {
	a.Schedules = slices.DeleteFunc(a.Schedules, func(s Schedule) bool { return slices.Contains(names, s.Name) })
}

// Reach is when a request's access ends, the approved extension whose ends are being made among it.
func (r *Request) Reach() time.Time {
	if _, x := r.Extending(); x != nil && x.State == ExtensionApproved && x.Until.After(r.ExpiresAt) {
		return x.Until
	}
	return r.ExpiresAt
}

// saveAccess puts a row with what is derived from it: the latest end of those who are live, and the index of the guard's lines.
func (c *Change) saveAccess(a Access) error {
	a.Until = time.Time{}
	for _, id := range a.Live {
		r := *c.Request
		if id != r.ID {
			n, ok := id.number()
			if !ok {
				return fmt.Errorf("%q is no id", id)
			}
			r = Request{}
			if err := must(c.t, "requests", u64(n), &r); err != nil {
				return err
			}
		}
		if end := r.Reach(); end.After(a.Until) {
			a.Until = end
		}
	}
	if a.Until.After(a.Reach) {
		a.Reach = a.Until
	}
	return putAccess(c.t, a)
}

func putAccess(t tx, a Access) error {
	a.settle()
	key := join([]byte(a.Tuple.guard()), a.Tuple.key())
	var err error
	if a.Lined {
		err = mark(t, "lines", key)
	} else {
		err = t.del("lines", key)
	}
	if err != nil {
		return err
	}
	return save(t, "access", a.Tuple.key(), a)
}

func (a *Access) settle() {
	for _, t := range []*time.Time{&a.Ended, &a.Since, &a.Until, &a.Reach, &a.Before, &a.BeforeKeep, &a.Keep} {
		*t = Moment(*t)
	}
	for i := range a.Schedules {
		a.Schedules[i].At = Moment(a.Schedules[i].At)
	}
}

// guard is the beginning of the keys of all lines of the guard that a tuple belongs to.
func (t Tuple) guard() string { return t.Account + "\x00" + t.Set + "\x00" + t.Role + "\x00" }

// Line is what the guard must say of this access at a time; ok is false where it says nothing.
func (a *Access) Line(now time.Time) (l Line, ok bool) {
	who := a.Tuple.UserID
	if a.Tuple.Role != "" {
		who = string(a.Tuple.Request)
	}
	switch {
	case !a.Lined, len(a.Live) == 0 && a.Removing == "" && !a.Keep.IsZero() && !now.Before(a.Keep):
		return l, false
	case len(a.Live) == 0:
		return Line{Who: who, Out: true}, true
	}
	l = Line{Who: who, Until: a.Until, Before: a.Before}
	if !now.Before(a.BeforeKeep) {
		l.Before = time.Time{} // no credential is so old any more
	}
	return l, true
}

// Guard reads the lines of the guard that an access belongs to, as they must stand at a time. Closed is the policy's to say.
func (db *DB) Guard(of Tuple, now time.Time) (g Guard, err error) {
	err = db.e.view(func(t tx) error {
		g, err = guardLines(t, of, now)
		return err
	})
	return g, err
}

func guardLines(t tx, of Tuple, now time.Time) (Guard, error) {
	g := Guard{Account: of.Account, Set: of.Set, Role: of.Role}
	prefix := []byte(of.guard())
	var err error
	t.scan("lines", prefix, func(k, _ []byte) bool {
		if !bytes.HasPrefix(k, prefix) {
			return false
		}
		var a Access
		if err = must(t, "access", k[len(prefix):], &a); err != nil {
			return false
		}
		if l, ok := a.Line(now); ok {
			g.Lines = append(g.Lines, l)
		}
		return true
	})
	slices.SortFunc(g.Lines, func(a, b Line) int {
		switch {
		case a.Who < b.Who:
			return -1
		case a.Who > b.Who:
			return 1
		}
		return 0
	})
	return g, err
}

// Accesses reads the desired state of every tuple there ever was.
func (db *DB) Accesses() (out []Access, err error) {
	err = db.e.view(func(t tx) error {
		var bad error
		t.scan("access", nil, func(k, v []byte) bool {
			var a Access
			if bad = decode("access", k, v, &a); bad != nil {
				return false
			}
			out = append(out, a)
			return true
		})
		return bad
	})
	return out, err
}

// Tidy forgets of an access nobody has any more what AWS was seen to be rid of: schedules by their names and, where its time is over, the
// line of the guard. It says whether anything changed.
func (db *DB) Tidy(by By, of Tuple, gone []string) error {
	return db.change(by, func(t tx) error {
		var a Access
		known, err := fetch(t, "access", of.key(), &a)
		if err != nil || !known {
			return err
		}
		a.unplan(gone)
		if _, says := a.Line(by.At); !says {
			a.Lined = false
		}
		return putAccess(t, a)
	})
}
