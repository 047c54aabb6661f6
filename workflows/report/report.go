// Package report goes from evidence to what is said of a session: it takes the events of CloudTrail one by one and makes of
// them a store.Reading, small enough to be kept in a record and read by a person.
//
// It must not know where events come from, nor how a reading is shown. It asks nobody anything, has no clock, and what it holds is
// bounded whatever a session did.
package report

import (
	"cmp"
	"container/heap"
	"net/netip"
	"slices"
	"strings"
	"time"

	"breakglass/store"
)

// Bounds of what is held while gathering, besides those of store. A person with many resources, or an attacker with many made-up
// names, meets them and is counted, not listed.
const (
	mostKinds     = 4000 // different service, action, Region and error; the rest is only counted
	fewWrites     = 20   // different resources of one kind of write that are listed one by one
	fewReads      = 3    // and of one kind of read
	mostHosts     = 1000 // different addresses that are counted
	mostAddresses = 20   // that are said
)

// Gather accumulates the events of one reading. Its zero value is not usable; call NewGather.
type Gather struct {
	known  map[string]struct{} // ids that earlier readings had
	closed time.Time           // reads up to this were told earlier, though their ids were not kept
	kinds  map[kind]*variety
	hosts  map[netip.Addr]int
	seen   remembered

	events, writes, reads, refused, uncounted int
}

// kind is what events are grouped by.
type kind struct {
	service, action, region, err string
	write                        bool
}

// variety is one kind with its resources, as long as they are few.
type variety struct {
	tally
	resources map[string]*tally // nil once there are too many
}

// tally is how often something was done, and when.
type tally struct {
	count       int
	first, last time.Time
}

func (t *tally) add(at time.Time) {
	t.count++
	if t.first.IsZero() || at.Before(t.first) {
		t.first = at
	}
	if at.After(t.last) {
		t.last = at
	}
}

// NewGather begins a reading. Events that the earlier readings of the same session had are passed over, so that a later
// reading holds what came late and nothing else.
func NewGather(earlier []store.Reading) *Gather {
	g := &Gather{known: map[string]struct{}{}, kinds: map[kind]*variety{}, hosts: map[netip.Addr]int{}}
	for _, r := range earlier {
		for _, id := range r.Seen {
			if t, ok := isMark(id); ok {
				if t.After(g.closed) {
					g.closed = t
				}
				continue
			}
			g.known[id] = struct{}{}
		}
	}
	return g
}

// Add takes one event. Events come in any order, each once.
func (g *Gather) Add(r store.Record) {
	plain := r.ReadOnly && r.Error == ""
	if _, ok := g.known[r.ID]; ok || plain && !r.At.After(g.closed) {
		return
	}
	g.events++
	g.seen.add(stamp{r.ID, r.At, plain})
	switch {
	case r.Error != "":
		g.refused++
	case r.ReadOnly:
		g.reads++
	default:
		g.writes++
	}
	if a, err := netip.ParseAddr(r.Address); err == nil { // AWS puts a service's name here for calls that it makes itself
		if _, ok := g.hosts[a]; ok || len(g.hosts) < mostHosts {
			g.hosts[a]++
		}
	}
	g.group(r)
}

// group counts an event under its kind and, as long as there are few, under what it was done to.
func (g *Gather) group(r store.Record) {
	k := kind{r.Service, r.Action, r.Region, r.Error, !r.ReadOnly}
	s := g.kinds[k]
	if s == nil {
		if len(g.kinds) >= mostKinds {
			g.uncounted++
			return
		}
		s = &variety{resources: map[string]*tally{}}
		g.kinds[k] = s
	}
	s.add(r.At)
	if s.resources == nil {
		return
	}
	few := fewReads
	if k.write {
		few = fewWrites
	}
	t := s.resources[r.Resource]
	if t == nil {
		if len(s.resources) == few {
			s.resources = nil // from here on they are one line together
			return
		}
		t = new(tally)
		s.resources[r.Resource] = t
	}
	t.add(r.At)
}

// Reading is the result. at is when CloudTrail was read, from and to what it was asked for, sources what answered.
//
// Events is the sum of Writes, Reads and Refused; a call that AWS answered with an error is counted as refused, whichever
// it would have been. LeftOut is the number of calls that no deed counts.
func (g *Gather) Reading(at, from, to time.Time, sources []store.Source) store.Reading {
	r := store.Reading{At: at, From: from, To: to, Sources: sources, Events: g.events, Writes: g.writes, Reads: g.reads,
		Refused: g.refused, Deeds: g.deeds(), LeftOut: g.uncounted, Addresses: g.addresses(), Seen: g.seen.ids()}
	if len(r.Deeds) > store.MostDeeds {
		for _, d := range r.Deeds[store.MostDeeds:] {
			r.LeftOut += d.Count
		}
		r.Deeds = slices.Clip(r.Deeds[:store.MostDeeds])
	}
	return r
}

// deeds are all of them, the most important first: what is cut off at the end matters least.
func (g *Gather) deeds() []store.Deed {
	var all []store.Deed
	for k, s := range g.kinds {
		d := store.Deed{Service: k.service, Action: k.action, Region: k.region, Error: k.err, Write: k.write}
		if s.resources == nil {
			all = append(all, s.tally.deed(d))
			continue
		}
		for name, t := range s.resources {
			d.Resource = name
			all = append(all, t.deed(d))
		}
	}
	slices.SortFunc(all, func(a, b store.Deed) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), a.First.Compare(b.First), cmp.Compare(a.Service, b.Service),
			cmp.Compare(a.Action, b.Action), cmp.Compare(a.Region, b.Region), cmp.Compare(a.Resource, b.Resource), cmp.Compare(a.Error, b.Error))
	})
	return all
}

func (t *tally) deed(d store.Deed) store.Deed {
	d.Count, d.First, d.Last = t.count, t.first, t.last
	return d
}

// rank puts writes before reads. Among the writes those come first that take away or that open doors, then all others, then what was
// refused; among the reads the refused ones, since they show what somebody tried.
func rank(d store.Deed) int {
	switch {
	case d.Write && d.Error == "" && grave(d):
		return 0
	case d.Write && d.Error == "":
		return 1
	case d.Write:
		return 2
	case d.Error != "":
		return 3
	}
	return 4
}

// grave says whether an action destroys, stops, or changes who may do what.
func grave(d store.Deed) bool {
	switch d.Service {
	case "iam", "sts", "sso", "identitystore", "organizations", "kms", "cloudtrail":
		return true
	}
	for _, verb := range []string{"Delete", "Terminate", "Stop", "Remove", "Detach", "Disable", "Deregister", "Revoke", "Purge", "Reboot", "Modify"} {
		if strings.HasPrefix(d.Action, verb) {
			return true
		}
	}
	return strings.Contains(d.Action, "Policy")
}

// addresses are those that were used most, most used first.
func (g *Gather) addresses() []string {
	all := make([]netip.Addr, 0, len(g.hosts))
	for a := range g.hosts {
		all = append(all, a)
	}
	slices.SortFunc(all, func(a, b netip.Addr) int { return cmp.Or(cmp.Compare(g.hosts[b], g.hosts[a]), a.Compare(b)) })
	var said []string
	for _, a := range all[:min(len(all), mostAddresses)] {
		said = append(said, a.String())
	}
	return said
}

// remembered keeps the ids by which a later reading knows what it need not tell again: store.MostSeen of them, of reads that went
// through only the newest, since nothing hides in front of them as well as behind a flood of reads. The least worth keeping is on top
// of the heap.
type remembered struct {
	kept []stamp
	lost time.Time // the newest read whose id was not kept
}

type stamp struct {
	id    string
	at    time.Time
	plain bool // a read that went through
}

// add keeps an event, or what is more worth keeping.
func (m *remembered) add(s stamp) {
	const room = store.MostSeen - 1 // one is left for the mark
	if len(m.kept) < room {
		heap.Push(m, s)
		return
	}
	if less(m.kept[0], s) {
		s, m.kept[0] = m.kept[0], s
		heap.Fix(m, 0)
	}
	if s.plain && s.at.After(m.lost) {
		m.lost = s.at
	}
}

// ids are the memory as it is stored: oldest first, after a mark where reads were left out. Reads up to the mark are taken for known
// by a later reading. Writes and refusals never are: where even they are too many, a later reading tells some of them twice,
// which is better than once too few.
func (m *remembered) ids() []string {
	if len(m.kept) == 0 {
		return nil
	}
	kept := slices.Clone(m.kept)
	slices.SortFunc(kept, func(a, b stamp) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.id, b.id)) })
	ids := make([]string, 0, len(kept)+1)
	if !m.lost.IsZero() {
		ids = append(ids, mark(m.lost))
	}
	for _, s := range kept {
		ids = append(ids, s.id)
	}
	return ids
}

// mark is an entry among the ids that is none.
func mark(t time.Time) string { return "<" + t.UTC().Format(time.RFC3339Nano) }

// isMark reads a mark; ok is false for an id.
func isMark(s string) (time.Time, bool) {
	rest, ok := strings.CutPrefix(s, "<")
	if !ok {
		return time.Time{}, false
	}
	t, err := time.Parse(time.RFC3339Nano, rest)
	return t, err == nil
}

// less says whether a is less worth keeping than b.
func less(a, b stamp) bool {
	if a.plain != b.plain {
		return a.plain
	}
	return a.at.Before(b.at)
}

// The five methods of container/heap.
func (m *remembered) Len() int           { return len(m.kept) }
func (m *remembered) Less(i, j int) bool { return less(m.kept[i], m.kept[j]) }
func (m *remembered) Swap(i, j int)      { m.kept[i], m.kept[j] = m.kept[j], m.kept[i] }
func (m *remembered) Push(x any)         { m.kept = append(m.kept, x.(stamp)) }
func (m *remembered) Pop() any {
	last := len(m.kept) - 1
	x := m.kept[last]
	m.kept = m.kept[:last]
	return x
}
