package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"breakglass/store"
)

// summary is what a reader wants to know who has a minute.
func (c Case) summary(m room) part {
	s := part{Head: "In short"}
	r := &c.Request
	var missing point // that not all was read comes before what was found where it was
	if len(r.Readings) == 0 {
		missing = point{c.unreadTone(), c.notRead()}
		s.Points = append(s.Points, missing)
	} else {
		t := c.total()
		s.Points = append(s.Points, tables(t, m))
		if len(t.changed) > 0 {
			s.Points = append(s.Points, point{calm, "Else changed: " + names(t.changed, m) + "."})
		}
		s.Points = append(s.Points, calls(t))
		s.Points = append(s.Points, c.look(t, m)...)
		p := c.complete(t, m)
		if p.Tone != good {
			missing = p
		}
		s.Points = append(s.Points, p)
	}
	s.Points = append(s.Points, c.owing()...)
	slices.SortStableFunc(s.Points, func(a, b point) int {
		return cmp.Or(order(a == missing, b == missing), order(a.Tone == alarm, b.Tone == alarm))
	})
	return s
}

// remarks are the findings that want to be looked at.
func (c Case) remarks() (out []point) {
	for _, p := range c.summary(rooms()[0]).Points {
		if p.Tone == alarm || p.Tone == warn {
			out = append(out, p)
		}
	}
	return out
}

func (c Case) unreadTone() tone {
	if c.Request.Group != "" || c.Request.EndedAt.IsZero() {
		return calm
	}
	return warn
}

// notRead says why there is no reading.
func (c Case) notRead() string {
	r := &c.Request
	switch {
	case r.GrantedAt.IsZero() || r.State == store.Failed:
		return "There was no access, so there is nothing to read."
	case r.Group != "":
		return "A membership leaves no events in an account of its own: what was done with it is not in this report."
	case r.EndedAt.IsZero():
		return "CloudTrail is read after the session's end."
	case !c.Settles.IsZero():
		return "CloudTrail has not been read yet; it is given time until " + when(c.Settles) + "."
	}
	return "CloudTrail has not been read: what was done is not in this report."
}

func tables(t total, m room) point {
	switch {
	case len(t.tables) > 0:
		text := "Tables and databases changed: " + names(t.tables, m)
		if t.more > 0 {
			text += ", among others that the record has no room for"
		}
		return point{warn, text + "."}
	case t.events > 0 && t.writes == 0:
		return point{good, "No table, database or anything else was changed through the AWS API."}
	}
	return point{calm, "No table or database was changed through the AWS API. What was typed into a database is not in CloudTrail."}
}

// things1 are names in a sentence, each made safe and short.
func names(names []string, m room) string {
	clean := make([]string, 0, len(names))
	for _, n := range names {
		clean = append(clean, oneLine(n, min(m.line, 120)))
	}
	return list(clean, m.places)
}

func calls(t total) point {
	text := upper(t.sentence())
	if t.portal > 0 {
		text += fmt.Sprintf("; and %s of the access portal, where credentials are taken", count(t.portal, "event"))
	}
	return point{calm, text + "."}
}

// look are the findings that a good session does not have. Where there is none, that is said in one line.
func (c Case) look(t total, m room) (out []point) {
	if t.sensitive > 0 {
		out = append(out, point{alarm, fmt.Sprintf("%s of sensitive actions: %s.", count(t.sensitive, "call"), names(c.deedNames(func(d store.Deed) bool { return d.Sensitive }), m))})
	}
	if t.outside > 0 {
		out = append(out, point{alarm, fmt.Sprintf("%s outside the session's time: %s. Credentials that were taken in time can be valid for up to an hour longer where the guard does not end them.",
			count(t.outside, "call"), names(c.deedNames(func(d store.Deed) bool { return d.Outside }), m))})
	}
	if t.taken > 0 {
		out = append(out, point{alarm, fmt.Sprintf("Credentials were asked of the access portal %s outside the session's time.", times(t.taken))})
	}
	if t.refused > 0 {
		out = append(out, point{warn, fmt.Sprintf("%s refused by AWS: %s.", counted(t.refused, "call was", "calls were"), names(c.deedNames(func(d store.Deed) bool { return d.Error != "" }), m))})
	}
	if p, ok := addresses(t, m); ok {
		out = append(out, p)
	}
	var clear []string
	for _, x := range []struct {
		n    int
		what string
	}{{t.sensitive, "no sensitive action"}, {t.outside + t.taken, "nothing outside the session's time"}, {t.refused, "no refused call"}} {
		if x.n == 0 {
			clear = append(clear, x.what)
		}
	}
	if len(clear) > 0 && t.events > 0 {
		out = append(out, point{good, upper(list(clear, 3)) + "."})
	}
	return out
}

func counted(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return grouped(n) + " " + more
}

func times(n int) string {
	switch n {
	case 1:
		return "once"
	case 2:
		return "twice"
	}
	return grouped(n) + " times"
}

// addresses says where the calls came from. A second address is said: it is how stolen credentials look, and how a laptop looks that
// changed its network.
func addresses(t total, m room) (point, bool) {
	switch len(t.hosts) {
	case 0:
		return point{}, false
	case 1:
		return point{good, "All from one address, " + address(t.hosts[0]) + "."}, true
	}
	var all []string
	for _, h := range t.hosts {
		all = append(all, fmt.Sprintf("%s (%s, first %s%s)", address(h), count(h.Calls, "call"), h.First.UTC().Format(clockForm), with(h.Agent)))
	}
	return point{warn, fmt.Sprintf("From %d addresses: %s. That is how a laptop looks that changed its network, and how stolen credentials look.", len(all), list(all, m.places))}, true
}

func address(h store.Host) string { return oneLine(h.Address, 50) }

// with names the program, by its first word: the rest are versions.
func with(agent string) string {
	fields := strings.Fields(plain(agent))
	if len(fields) == 0 {
		return ""
	}
	return ", " + cut(strings.Trim(fields[0], "[]"), 40)
}

// deedNames are the different actions of the deeds that belong, in the order of their weight.
func (c Case) deedNames(belongs func(store.Deed) bool) (names []string) {
	seen := map[string]bool{}
	for _, g := range c.Request.Readings {
		for _, d := range g.Deeds {
			n := d.Service + ":" + d.Action
			if belongs(d) && !seen[n] {
				seen[n] = true
				names = append(names, n)
			}
		}
	}
	if len(names) == 0 {
		return []string{"of kinds that the list has no room for"}
	}
	return names
}

// complete says how far the reading can be trusted.
func (c Case) complete(t total, m room) point {
	if len(t.unread) == 0 {
		return point{good, "Every place that was asked answered: " + names(t.read, m) + "." + c.elsewhere()}
	}
	var bad []string
	for _, s := range t.unread {
		bad = append(bad, oneLine(s.Region, 60)+" ("+oneLine(s.Error, min(m.line, 200))+")")
	}
	text := "This report is incomplete. Not read: " + list(bad, m.places) + ". What was done there is missing from it"
	if len(t.read) > 0 {
		text += "; read were " + names(t.read, m)
	}
	return point{alarm, text + "." + c.elsewhere()}
}

// elsewhere says that there are Regions that were not asked. Where something was read that holds the events of all Regions, and is
// called by its own name, there are none.
func (c Case) elsewhere() string {
	n := len(c.Request.Readings)
	if n == 0 || len(c.Request.Readings[n-1].Sources) == 0 {
		return ""
	}
	for _, s := range c.Request.Readings[n-1].Sources {
		if s.Region != portalSource && !isRegion(s.Region) {
			return ""
		}
	}
	return " Other Regions were not asked: only those that the policy names for the account, us-east-1 and Identity Center's."
}

// portalSource is what the access portal is called among the places that were read.
const portalSource = "access portal"

// isRegion says whether a name looks like us-east-1 or us-gov-west-1: lower-case words, and a number at the end.
func isRegion(s string) bool {
	words := strings.Split(s, "-")
	if len(words) < 3 {
		return false
	}
	for i, w := range words {
		low, high := 'a', 'z'
		if i == len(words)-1 {
			low, high = '0', '9'
		}
		if w == "" || strings.ContainsFunc(w, func(r rune) bool { return r < low || r > high }) {
			return false
		}
	}
	return true
}

// owing says what the requester owes, or owed.
func (c Case) owing() (out []point) {
	r := &c.Request
	if r.GrantedAt.IsZero() || r.State == store.Failed {
		return nil
	}
	switch {
	case r.PostMortem != nil:
		out = append(out, point{good, "The post-mortem is written."})
	case r.Waives(store.OwedPostMortem):
		out = append(out, point{warn, "There is no post-mortem: the case was closed without it."})
	case r.Owes && !r.PostMortemBy.IsZero() && c.At.After(r.PostMortemBy):
		out = append(out, point{alarm, "The post-mortem is overdue: it was due " + when(r.PostMortemBy) + "."})
	case r.Owes && !r.PostMortemBy.IsZero():
		out = append(out, point{calm, "A post-mortem is owed by " + when(r.PostMortemBy) + "."})
	case r.Owes:
		out = append(out, point{calm, "A post-mortem is owed."})
	}
	if r.Ticket == "" && !r.TicketBy.IsZero() && c.At.After(r.TicketBy) && !r.Waives(store.OwedTicket) {
		out = append(out, point{alarm, "The ticket is missing: it was due " + when(r.TicketBy) + "."})
	}
	return out
}
