package report

import (
	"slices"

	"breakglass/store"
)

// total is what all readings of a session come to. Each later reading holds only what came late, so their numbers add up.
type total struct {
	events, writes, reads, refused, sensitive, outside, taken, portal int

	tables, changed []string
	more            int
	hosts           []store.Host
	unread          []store.Source // places that no reading could read
	read            []string       // places that the newest reading read
}

func (c Case) total() total {
	var t total
	silent := map[string]store.Source{}
	for _, g := range c.Request.Readings {
		t.events, t.writes, t.reads, t.refused = t.events+g.Events, t.writes+g.Writes, t.reads+g.Reads, t.refused+g.Refused
		t.sensitive, t.outside, t.taken, t.portal = t.sensitive+g.Sensitive, t.outside+g.Outside, t.taken+g.OutsidePortal, t.portal+g.PortalEvents
		t.tables, t.changed, t.more = append(t.tables, g.Tables...), append(t.changed, g.Changed...), t.more+g.MoreNames
		t.visit(g.Hosts)
		for _, s := range g.Sources {
			if s.Error != "" {
				silent[s.Region] = s
				continue
			}
			delete(silent, s.Region) // a place is read whole each time: what failed first was made good
		}
	}
	if n := len(c.Request.Readings); n > 0 {
		for _, s := range c.Request.Readings[n-1].Sources {
			if s.Error == "" {
				t.read = append(t.read, s.Region)
			}
		}
	}
	for _, s := range silent {
		t.unread = append(t.unread, s)
	}
	slices.SortFunc(t.unread, func(a, b store.Source) int { return compare(a.Region, b.Region) })
	t.tables, t.changed = sorted(t.tables), sorted(t.changed)
	return t
}

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func sorted(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}

// visit adds addresses to those that earlier readings had.
func (t *total) visit(hosts []store.Host) {
	for _, h := range hosts {
		i := slices.IndexFunc(t.hosts, func(o store.Host) bool { return o.Address == h.Address })
		if i < 0 {
			t.hosts = append(t.hosts, h)
			continue
		}
		t.hosts[i].Calls += h.Calls
		if h.First.Before(t.hosts[i].First) {
			t.hosts[i].First, t.hosts[i].Agent = h.First, h.Agent
		}
	}
}

// sentence is the total in words, as part of a sentence.
func (t total) sentence() string {
	if t.events == 0 {
		if len(t.unread) > 0 {
			return "nothing was found where CloudTrail answered, and not all of it did"
		}
		return "CloudTrail shows no call"
	}
	return numbers(t.events, t.writes, t.reads, t.refused)
}

func numbers(events, writes, reads, refused int) string {
	s := count(events, "call") + ": " + count(writes, "change") + ", " + count(reads, "read")
	if refused > 0 {
		s += ", " + grouped(refused) + " refused"
	}
	return s
}
