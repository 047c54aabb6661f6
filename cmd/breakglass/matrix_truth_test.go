package main

import (
	"context"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"breakglass/deploy/sandbox"
	"breakglass/deploy/sandbox/awstwin"
	"breakglass/store"
	"breakglass/store/ledger"
)

// onTime is how soon after the expiry the removal is asked for, while AWS answers.
const onTime = 10 * time.Second

// standing is the access that is there in a company.
type standing struct {
	assignments map[string]bool
	members     map[string]bool
}

func whatStands(w *sandbox.World) standing {
	s := standing{map[string]bool{}, map[string]bool{}}
	for _, a := range w.AWS.Assignments() {
		s.assignments[strings.Join([]string{a.PrincipalType, a.PrincipalID, a.AccountID, a.PermissionSet}, " ")] = true
	}
	for _, g := range w.AWS.Groups() {
		for _, m := range g.Members {
			s.members[g.Name+" "+m] = true
		}
	}
	return s
}

// entry is somebody's own use of their access.
type entry struct {
	id      store.ID
	who     string
	session *awstwin.Session
	said    bool
}

// enter has somebody sign in and use the access they were given. From then on they try again and again. The membership of a group is no door of AWS's.
func (c *cell) enter(who string, id store.ID) {
	e := &entry{id: id, who: who}
	c.await("they get in", 30*time.Second, func() bool {
		all, _ := c.sessions()
		at := slices.IndexFunc(all, func(r store.Request) bool { return r.ID == id })
		if at < 0 || all[at].Group != "" {
			return at >= 0
		}
		var err error
		r := all[at]
		if r.Role != "" {
			e.session, err = c.world.AWS.AssumeRole(r.Account.ID, sandbox.OnCallUser, awstwin.Assume{Role: r.Role, SessionName: string(r.ID), MFA: true})
		} else {
			e.session, err = c.world.AWS.SignIn(c.world.Person(who).AWS, r.Account.ID, r.PermissionSet)
		}
		return err == nil && e.session.Do(context.Background(), glance) == nil
	})
	if e.session == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.entered = append(c.entered, e)
}

var glance = awstwin.Action{Service: "ec2", Name: "DescribeInstances", Params: map[string]any{}, ReadOnly: true}

const guardOn = "BREAKGLASS_GUARD=" + sandbox.GuardPrefix

// prowl has everybody who got in try what they can still do: after the end of their session a guard refuses every call, with the old credentials
// and with new ones.
func (c *cell) prowl() {
	c.mu.Lock()
	all := slices.Clone(c.entered)
	c.mu.Unlock()
	for _, e := range all {
		end, known := c.endOf(e.id)
		if !known || e.said || !c.clock.Now().After(end.Add(50*time.Millisecond)) {
			continue
		}
		if err := e.session.Do(context.Background(), glance); err == nil {
			e.said = true
			c.breaks("%s was let past the guard %v after the end of %s", e.who, c.clock.Now().Sub(end).Round(time.Millisecond), e.id)
		}
	}
}

// endOf is when the access of a session is over: with the last of those that share it.
func (c *cell) endOf(id store.ID) (end time.Time, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for other, at := range c.ends {
		if c.tuples[other] == c.tuples[id] && at.After(end) {
			end, known = at, true
		}
	}
	return end, known
}

// asAsked is the text of a direct message to an approver after the decision: it tells how the request stood when it was edited the last time, which may
// be later than the decision.
var asAsked = regexp.MustCompile(`^(BG-\d+: )[A-Z][a-z ]+\. (<@\w+> asked for .*?)(, until .*)?$`)

// spoken is every message that stands, by place and words.
func (c *cell) spoken() map[string]int {
	out := map[string]int{}
	add := func(where, text string) { out[where+": "+said(c.naming.plain(text))]++ }
	for _, ch := range c.world.Slack.Channels() {
		for _, m := range c.world.Slack.Messages(ch.ID) {
			add("#"+ch.Name, m.Text)
			if m.Replies == 0 {
				continue
			}
			for _, r := range c.world.Slack.Thread(ch.ID, m.TS)[1:] {
				add("#"+ch.Name+" thread", r.Text)
			}
		}
	}
	for _, p := range c.world.People {
		for _, m := range c.world.Slack.DM(p.Slack) {
			add("dm "+p.Key, asAsked.ReplaceAllString(m.Text, "$1(standing). $2"))
		}
	}
	for _, m := range c.world.AWS.Mails() {
		add("mail to "+strings.Join(m.To, ","), m.Subject)
	}
	return out
}

// cameLate says whether a mail is the one about a later reading, which is sent where that found something: where two sessions are of one access, it finds
// what the other was used for since, if anything.
func cameLate(text string) bool {
	return strings.Contains(text, " calls came late") || strings.Contains(text, " call came late")
}

// unsaid is what of some messages does not stand here.
func (c *cell) unsaid(all map[string]int) (missing []string) {
	now := c.spoken()
	for text, n := range all {
		if now[text] < n && !cameLate(text) {
			missing = append(missing, text)
		}
	}
	slices.Sort(missing)
	return missing
}

// audit holds what happened against what must be so, from what AWS and Slack saw and what the store says.
func (c *cell) audit() {
	if left := c.left(); left != "" {
		c.breaks("not at its end: %s", left)
	}
	db, err := store.Open(c.storePath(), c.clock.Now())
	if err != nil {
		c.breaks("the store does not open: %v", err)
		return
	}
	defer db.Close()
	if err := db.Check(); err != nil {
		c.breaks("the store: %v", err)
	}
	requests, events, err := everything(db)
	if err != nil {
		c.breaks("the store cannot be read: %v", err)
		return
	}
	c.everyEnd(requests)
	c.standingIsAsItWas(requests)
	c.changesAreLogged(requests, events)
	c.endsOnTime(requests)
	c.saidOnce(events)
	c.nothingRefused()
	c.noSecrets()
	c.archiveHolds(db)
}

// archiveHolds: an auditor finds nothing wrong with the archive.
func (c *cell) archiveHolds(db *store.DB) {
	var archive ledger.Archive = ledger.Dir(filepath.Join(c.dir, "archive"))
	if c.flow.bucket {
		archive = twinBucket{c.world.AWS}
	}
	r, err := verifyWith(db, archive)
	if err != nil {
		c.breaks("the archive: %v", err)
	}
	for _, f := range r.Findings {
		c.breaks("the archive: %s, line %d: %s", f.Object, f.Line, f.Text)
	}
	if err == nil && r.Manifests == 0 && !c.short && !c.flow.first {
		c.breaks("nothing was archived")
	}
}

func everything(db *store.DB) (requests map[store.ID]store.Request, events []store.Event, err error) {
	if events, err = db.Events(0, 100_000); err != nil {
		return nil, nil, err
	}
	requests = map[store.ID]store.Request{}
	for _, e := range events {
		if e.Request == "" {
			continue
		}
		if requests[e.Request], err = db.Request(e.Request); err != nil {
			return nil, nil, err
		}
	}
	return requests, events, nil
}

// everyEnd: each request reaches its end, and nothing is left to do.
func (c *cell) everyEnd(requests map[store.ID]store.Request) {
	if len(requests) == 0 {
		c.breaks("there is no request")
	}
	for id, r := range requests {
		if !r.State.Ended() || r.Due != 0 {
			c.breaks("%s is %s and not at its end", id, r.State)
		}
	}
}

// standingIsAsItWas: at the end there is the access that was there before, no more and no less.
func (c *cell) standingIsAsItWas(map[store.ID]store.Request) {
	now := whatStands(c.world)
	for _, d := range []struct {
		what     string
		was, now map[string]bool
	}{{"assignment", c.begin.assignments, now.assignments}, {"membership", c.begin.members, now.members}} {
		for a := range d.now {
			if !d.was[a] {
				c.breaks("%s is left over: %s", d.what, c.naming.plain(a))
			}
		}
		for a := range d.was {
			if !d.now[a] {
				c.breaks("%s that stood before is gone: %s", d.what, c.naming.plain(a))
			}
		}
	}
}

// endsOnTime: the removal is on the wire within ten seconds of the end, and has been done then, but for what the fault itself held up.
func (c *cell) endsOnTime(requests map[store.ID]store.Request) {
	for id, r := range requests {
		if r.GrantedAt.IsZero() || r.Standing || r.End.At.IsZero() || r.Role != "" { // of a role IAM is the end: see prowl
			continue
		}
		end := r.ExpiresAt
		if r.End.At.Before(end) {
			end = r.End.At
		}
		var asked, did time.Time
		for _, s := range c.seen {
			if !slices.Contains(takes, s.Operation) || s.arrived.Before(end.Add(-tick)) {
				continue
			}
			if o, ok := owner(requests, s, func(o store.Request) bool { return o.ID == id }); !ok || o.ID != id {
				continue
			}
			if asked.IsZero() {
				asked = s.arrived
			}
			if did.IsZero() && !s.done.IsZero() && (s.failed == "" || s.failed == "ResourceNotFoundException") { // somebody, or a schedule, was quicker
				did = s.done
			}
		}
		switch {
		case c.shared(requests, r):
		case asked.IsZero() && c.scheduleWasQuicker(end, onTime):
		case asked.IsZero():
			c.breaks("%s: its removal was never asked for", id)
		case asked.After(end.Add(onTime + c.firstToldIAM(r))):
			c.breaks("%s: its removal was asked for %v after its end", id, asked.Sub(end).Round(time.Millisecond))
		case did.IsZero() && c.scheduleWasQuicker(end, onTime+c.slow()):
		case did.IsZero():
			c.breaks("%s: its removal was never done", id)
		case did.After(end.Add(onTime + c.slow())):
			c.breaks("%s: its removal was done %v after its end", id, did.Sub(end).Round(time.Millisecond))
		}
	}
}

// scheduleWasQuicker: an end just before the full minute is followed by a schedule that may find the access before the program does.
func (c *cell) scheduleWasQuicker(end time.Time, within time.Duration) bool {
	return slices.ContainsFunc(c.world.AWS.Firings(), func(f awstwin.Firing) bool {
		return f.Error == "" && !f.At.Before(end.Add(-tick)) && !f.At.After(end.Add(within))
	})
}

// firstToldIAM: an early end has IAM refuse first. Where IAM hangs, the removal waits for that, ten seconds at most.
func (c *cell) firstToldIAM(r store.Request) time.Duration {
	if r.End.At.Before(r.ExpiresAt) && c.stroke != nil && c.stroke.silent && strings.HasPrefix(c.row.Operation, "iam ") {
		return time.Second
	}
	return 0
}

func (c *cell) slow() time.Duration {
	if c.stroke == nil {
		return 0
	}
	return c.stroke.slow
}

// shared: another request wanted the same access when this one ended, which then has nothing to take away.
func (c *cell) shared(requests map[store.ID]store.Request, r store.Request) bool {
	for _, o := range requests {
		if o.ID != r.ID && o.Tuple() == r.Tuple() && !o.GrantedAt.IsZero() && o.GrantedAt.Before(r.End.At) && o.EndedAt.After(r.EndedAt) {
			return true
		}
	}
	return false
}

// nothingRefused: Slack takes every message as it is, but for forms whose time is over.
func (c *cell) nothingRefused() {
	for _, r := range c.world.Slack.Refusals() {
		if strings.HasPrefix(r.Method, "views.") && (strings.Contains(r.Error, "expired") || strings.Contains(r.Error, "exchanged") || r.Error == "not_found") {
			continue
		}
		c.breaks("Slack refused %s: %s %s", r.Method, r.Error, r.Detail)
	}
}

func (c *cell) noSecrets() {
	log := c.log.String()
	for _, secret := range []string{sandbox.BotToken, sandbox.AppToken, awstwin.BotSecretAccessKey} {
		if strings.Contains(log, secret) {
			c.breaks("the program's log holds a secret")
		}
	}
	if _, after, ok := strings.Cut(log, "panic"); ok {
		c.breaks("something panicked: %.400s", after)
	}
}
