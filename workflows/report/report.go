// Package report goes from evidence to words and pictures. Gather takes the events of CloudTrail one by one and makes of them a
// store.Reading, small enough to be kept in a record and read by a person. A Case is one session, with its readings and its lines of the
// log, and is written as a mail, as a page, as plain text, as JSON and as a timeline. A Review is the same for a month of sessions.
//
// It must not know where events come from or where a report goes. It asks nobody anything, has no clock, and what it holds is bounded
// whatever a session did; the same case gives the same bytes. It knows no Slack: what is said in a thread is made in handlers.
package report

import (
	"cmp"
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
	mostThings    = 1000 // different tables and other things that are remembered
	mostKindsSeen = 200  // different service, action, Region and error in the access portal
)

// Tolerance is how far outside a session's time an event may lie and still count as inside: the clocks of AWS's services are not the bot's,
// and CloudTrail's times are whole seconds.
const Tolerance = time.Minute

// Gather accumulates the events of one reading. Its zero value is not usable; call NewGather.
type Gather struct {
	known  map[string]struct{} // ids that earlier readings had
	closed time.Time           // reads up to this were told earlier, though their ids were not kept
	hosts  map[netip.Addr]*host
	things things
	seen   remembered

	begun, ended time.Time // the session's time; zero where nobody said it
	sensitive    []pattern // besides the built-in list

	account, portal              pile // what was done, by kind
	events, writes, reads        int
	refused                      int
	grave, outside, outsideLogin int
}

// pile is what was done in one place.
type pile struct {
	kinds     map[kind]*variety
	most      int // different kinds that are kept apart
	events    int
	uncounted int // events of kinds beyond those
}

// Option is something a gathering is told besides the events.
type Option func(*Gather)

// Session says when the access was granted and when it was gone. What was done before or after, by more than Tolerance, is marked as
// outside. A zero time leaves that side open.
func Session(granted, gone time.Time) Option {
	return func(g *Gather) { g.begun, g.ended = granted, gone }
}

// Sensitive adds actions to the built-in list of those that are always looked at, written as the policy does: EC2:TerminateInstances.
// A star at the end stands for any rest, a star for the service for any service; case does not matter. What cannot be read so is passed over.
func Sensitive(actions ...string) Option {
	return func(g *Gather) { g.sensitive = append(g.sensitive, patterns(actions)...) }
}

// kind is what events are grouped by.
type kind struct {
	service, action, region, err string
	write, sensitive, outside    bool
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
func NewGather(earlier []store.Reading, options ...Option) *Gather {
	g := &Gather{known: map[string]struct{}{}, hosts: map[netip.Addr]*host{},
		account: pile{kinds: map[kind]*variety{}, most: mostKinds}, portal: pile{kinds: map[kind]*variety{}, most: mostKindsSeen}}
	for _, o := range options {
		o(g)
	}
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

// Add takes one event. Events come in any order, each once. What r.Raw holds is looked at and not kept.
func (g *Gather) Add(r store.Record) {
	// Only reads of the account come in floods. Events of the portal are few, and each tells when somebody took credentials.
	plain := r.ReadOnly && r.Error == "" && !r.Portal
	if _, ok := g.known[r.ID]; ok || plain && !r.At.After(g.closed) {
		return
	}
	g.seen.add(stamp{r.ID, r.At, plain})
	g.visit(r)
	k := kind{service: r.Service, action: r.Action, region: r.Region, err: r.Error, write: !r.ReadOnly, outside: g.away(r.At)}
	if r.Portal {
		g.portalEvent(k, r)
		return
	}
	k.sensitive = g.watched(r)
	g.events++
	switch {
	case r.Error != "":
		g.refused++
	case r.ReadOnly:
		g.reads++
	default:
		g.writes++
		g.things.add(r)
	}
	if k.sensitive {
		g.grave++
	}
	if k.outside {
		g.outside++
	}
	g.account.add(k, r)
}

// portalEvent counts what was done in the access portal. Signing in to it and looking around there is everybody's right at any time; only
// taking credentials or opening the console can be outside a session's time.
func (g *Gather) portalEvent(k kind, r store.Record) {
	k.write = false
	if k.outside = k.outside && (r.Action == "GetRoleCredentials" || r.Action == "Federate"); k.outside {
		g.outsideLogin++
	}
	g.portal.add(k, r)
}

// away says whether a time lies outside the session.
func (g *Gather) away(at time.Time) bool {
	return !g.begun.IsZero() && at.Before(g.begun.Add(-Tolerance)) || !g.ended.IsZero() && at.After(g.ended.Add(Tolerance))
}

// add counts an event under its kind and, as long as there are few, under what it was done to.
func (p *pile) add(k kind, r store.Record) {
	p.events++
	s := p.kinds[k]
	if s == nil {
		if len(p.kinds) >= p.most {
			p.uncounted++
			return
		}
		s = &variety{resources: map[string]*tally{}}
		p.kinds[k] = s
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
		Refused: g.refused, Seen: g.seen.ids(), PortalEvents: g.portal.events,
		Sensitive: g.grave, Outside: g.outside, OutsidePortal: g.outsideLogin}
	r.Deeds, r.LeftOut = g.account.first(store.MostDeeds)
	r.Portal, r.PortalLeftOut = g.portal.first(store.MostPortal)
	r.Addresses, r.Hosts = g.addresses()
	r.Tables, r.Changed, r.MoreNames = g.things.names()
	return r
}

// first are the deeds that matter most, at most n, and the number of events that they do not count.
func (p *pile) first(n int) (deeds []store.Deed, leftOut int) {
	all := p.deeds()
	leftOut = p.uncounted
	if len(all) > n {
		for _, d := range all[n:] {
			leftOut += d.Count
		}
		all = slices.Clip(all[:n])
	}
	return all, leftOut
}

// deeds are all of them, the most important first: what is cut off at the end matters least.
func (p *pile) deeds() []store.Deed {
	var all []store.Deed
	for k, s := range p.kinds {
		d := store.Deed{Service: k.service, Action: k.action, Region: k.region, Error: k.err, Write: k.write, Sensitive: k.sensitive, Outside: k.outside}
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
			cmp.Compare(a.Action, b.Action), cmp.Compare(a.Region, b.Region), cmp.Compare(a.Resource, b.Resource), cmp.Compare(a.Error, b.Error),
			order(a.Sensitive, b.Sensitive), order(a.Outside, b.Outside))
	})
	return all
}

func (t *tally) deed(d store.Deed) store.Deed {
	d.Count, d.First, d.Last = t.count, store.Moment(t.first), store.Moment(t.last)
	return d
}

// order puts what is marked first.
func order(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// rank puts writes before reads. Among the writes those come first that take away, that open doors, or that were made outside the session's
// time, then all others, then what was refused; among the reads those of secrets and outside the time, then the refused ones, since they
// show what somebody tried.
func rank(d store.Deed) int {
	switch {
	case d.Write && d.Error == "" && (d.Sensitive || d.Outside || grave(d)):
		return 0
	case d.Write && d.Error == "":
		return 1
	case d.Write:
		return 2
	case d.Error == "" && (d.Sensitive || d.Outside):
		return 3
	case d.Error != "":
		return 4
	}
	return 5
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
