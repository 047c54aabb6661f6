package report

import (
	"fmt"
	"time"

	"breakglass/store"
)

// ending is how the access ended, and what was to end it.
func (c Case) ending() part {
	r := &c.Request
	if _, ok := c.open(); !ok || r.EndedAt.IsZero() {
		return part{}
	}
	s := part{Head: "How it ended"}
	s.Points = append(s.Points, point{c.endTone(), c.endWords()})
	if late, ok := overdue(r); ok && late > lateAfter {
		s.Points = append(s.Points, point{warn, "It took " + lasting(late) + " from the moment it should have ended until its absence was verified."})
	}
	if r.Ends.Shells > 0 {
		s.Points = append(s.Points, point{calm, counted(r.Ends.Shells, "open shell was", "open shells were") + " ended with it."})
	}
	if r.Ends.NoLook != "" {
		s.Points = append(s.Points, point{warn, "Open shells could not be looked for everywhere: " + oneLine(r.Ends.NoLook, 200) + "."})
	}
	if r.Ends.Why != "" {
		s.Points = append(s.Points, point{warn, "Not all three ends stood for it: " + oneLine(r.Ends.Why, 200) + "."})
	}
	if r.Standing {
		s.Points = append(s.Points, point{calm, "The person had this access before and has it still; it was not touched."})
	}
	s.Notes = []string{"What none of the ends can cut: an open database connection, or an EKS token, for at most an hour."}
	return s
}

// lateAfter is how long an end may take before it is remarked on.
const lateAfter = 2 * time.Minute

// overdue is how long it took from when the access should have been gone until its absence was verified.
func overdue(r *store.Request) (time.Duration, bool) {
	due := r.End.At
	if r.End.Why == store.EndExpired || due.IsZero() {
		due = r.ExpiresAt
	}
	if r.EndedAt.IsZero() || due.IsZero() {
		return 0, false
	}
	return max(0, r.EndedAt.Sub(due)), true
}

func (c Case) endTone() tone {
	switch c.Request.End.Why {
	case store.EndExpired, store.EndedEarly, store.EndLead:
		return good
	case store.EndForced, store.EndVanished, store.EndUncertain:
		return alarm
	}
	return warn
}

// endWords are why and by whom it ended.
func (c Case) endWords() string {
	r := &c.Request
	by := actor(r.End.By)
	var s string
	switch r.End.Why {
	case store.EndExpired:
		s = "Its time was over"
	case store.EndedEarly:
		s = by + " ended it early"
	case store.EndRevoked:
		s = by + " revoked it"
	case store.EndUncertain:
		s = "That it was granted could not be proved, so it was taken away"
	case store.EndVanished:
		s = "Somebody removed the assignment behind Breakglass's back"
	case store.EndForced:
		s = "It was closed by " + by + ", who vouched that nothing is left; nobody verified it"
	case store.EndLockdown:
		s = "Every session was ended by " + by
	case store.EndLead:
		s = "The session it was granted along with had ended"
	default:
		s = "It ended"
	}
	if r.End.Note != "" {
		s += " (“" + oneLine(r.End.Note, 200) + "”)"
	}
	if r.End.Why == store.EndForced {
		return s + ", " + long(r.EndedAt) + "."
	}
	return s + ". That the access was gone was verified " + long(r.EndedAt) + "."
}

// mortem is the post-mortem as it was written, or that it is owed, and what the case was closed without.
func (c Case) mortem(m room) (out []part) {
	r := &c.Request
	s := part{Head: "Post-mortem"}
	switch {
	case r.PostMortem != nil:
		p := r.PostMortem
		s.Texts = []string{"Written by " + full(p.By) + ", " + long(p.At) + "."}
		s.Quotes = []fact{{"What happened", several(p.Happened, m.quote)}, {"What was done", several(p.Done, m.quote)}}
		if p.FollowUps != "" {
			s.Quotes = append(s.Quotes, fact{"Follow-ups", several(p.FollowUps, m.quote)})
		}
	case r.Owes:
		for _, p := range c.owing() {
			s.Texts = append(s.Texts, p.Text)
			break
		}
	case !r.GrantedAt.IsZero() && r.State != store.Failed:
		s.Texts = []string{"None is owed for this way in."}
	}
	for i, w := range r.Waived {
		if i == m.short {
			break
		}
		s.Points = append(s.Points, point{warn, fmt.Sprintf("Closed without the %s by %s, %s: “%s”", oneLine(w.What, 40), full(w.By), long(w.At), oneLine(w.Reason, m.line))})
	}
	if len(s.Texts)+len(s.Points) == 0 {
		return nil
	}
	return []part{s}
}

// evidence is where more is to be had, and how it can be checked.
func (c Case) evidence() part {
	s := part{Head: "Evidence"}
	if c.Archive != "" {
		s.Facts = append(s.Facts, fact{"Archive", oneLine(c.Archive, 300)})
	}
	if n := len(c.Lines); n > 0 {
		s.Facts = append(s.Facts, fact{"Log", fmt.Sprintf("%s of this session, from line %s to %s", count(n, "line"), fmt.Sprint(c.Lines[0].Seq), fmt.Sprint(c.Lines[n-1].Seq))})
	}
	refused := 0
	for _, e := range c.Lines {
		if e.Kind == store.EventRefused {
			refused++
		}
	}
	if refused > 0 {
		s.Points = append(s.Points, point{warn, counted(refused, "click was", "clicks were") + " refused by Breakglass during this session; the log says whose and why."})
	}
	switch {
	case c.Archive != "":
		s.Texts = []string{"The archive holds the request, every decision, the thread, every event that CloudTrail gave, and the lines of the log with their proofs. With the public key, “breakglass audit verify --archive” checks offline that nothing in it was changed, left out or added later."}
	default:
		s.Texts = []string{"There is no archive of this session."}
	}
	return s
}
