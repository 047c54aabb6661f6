package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"breakglass/deploy/sandbox"
	"breakglass/deploy/sandbox/awstwin"
	"breakglass/store"
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

// unsaid is what of some messages does not stand here.
func (c *cell) unsaid(all map[string]int) (missing []string) {
	now := c.spoken()
	for text, n := range all {
		if now[text] < n {
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

// What lets somebody in and what takes it away, by the operation of AWS's.
var (
	lets  = []string{"sso-admin CreateAccountAssignment", "identitystore CreateGroupMembership"}
	takes = []string{"sso-admin DeleteAccountAssignment", "identitystore DeleteGroupMembership"}
)

// changesAreLogged: every change of AWS's has its intent in the log before it and its outcome after it, and what lets somebody in has its word.
func (c *cell) changesAreLogged(requests map[store.ID]store.Request, events []store.Event) {
	for _, s := range c.applied(lets...) {
		r, ok := owner(requests, s, func(r store.Request) bool { return !r.GrantedAt.IsZero() && !s.arrived.Before(r.GrantedAt.Add(-tick)) })
		if !ok {
			c.breaks("somebody was let in without a request that says so: %s", s.Target)
			continue
		}
		if s.arrived.After(r.ExpiresAt) {
			c.breaks("%s was granted after its end", r.ID)
		}
		c.hasItsWord(r, s)
		c.logged(events, r.ID, "assign", s)
	}
	for _, s := range c.applied(takes...) {
		if strings.Contains(s.Target, "oscar") {
			continue // what nothing explains: see the workflow of that name
		}
		r, ok := owner(requests, s, func(r store.Request) bool { return !r.End.At.IsZero() && !s.arrived.Before(r.End.At.Add(-tick)) })
		if !ok {
			c.breaks("access was taken away without a request that says so: %s", s.Target)
			continue
		}
		c.logged(events, r.ID, "unassign", s)
	}
	c.policiesAreLogged(events)
	c.schedulesAreLogged(events)
}

// policiesAreLogged: a guard is written as the log said before, a fence as the log says at all.
func (c *cell) policiesAreLogged(events []store.Event) {
	for _, s := range c.applied("iam CreatePolicyVersion") {
		var in struct{ PolicyArn string }
		_ = json.Unmarshal(s.input, &in)
		account, name := strings.Split(in.PolicyArn, ":")[4], in.PolicyArn[strings.LastIndex(in.PolicyArn, "/")+1:]
		set, isGuard := strings.CutPrefix(name, sandbox.GuardPrefix+"-")
		told := slices.ContainsFunc(events, func(e store.Event) bool {
			if isGuard {
				return e.Kind == store.EventIntent && e.Data["effect"] == "guard" && e.Data["account"] == account && e.Data["granted"] == set && !e.At.After(s.arrived.Add(tick))
			}
			return (e.Data["effect"] == "fence" || e.Data["what"] == "fence") && (e.Data["account"] == account || e.Data["account"] == c.naming.plain(account))
		})
		if !told {
			c.breaks("%s was written and the log does not say so", c.naming.plain(in.PolicyArn))
		}
	}
}

// schedulesAreLogged: a schedule is named in the log before it is made, and named when it is taken away.
func (c *cell) schedulesAreLogged(events []store.Event) {
	for _, s := range c.applied("scheduler CreateSchedule", "scheduler DeleteSchedule") {
		if !slices.ContainsFunc(events, func(e store.Event) bool {
			for _, v := range e.Data {
				if strings.Contains(v, s.name) {
					return !strings.Contains(s.Operation, "Create") || !e.At.After(s.arrived.Add(tick))
				}
			}
			return false
		}) {
			c.breaks("%s of %s is not in the log", s.Operation, s.name)
		}
	}
	c.world.AWS.Tick()
	for _, name := range c.world.AWS.ScheduleNames() {
		c.breaks("a schedule is left over: %s", name)
	}
}

// tick is how far the program's clock may be behind the twins': it asks them at most every 20 ms.
const tick = 100 * time.Millisecond

func (c *cell) applied(operations ...string) (out []*sighting) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.seen {
		if slices.Contains(operations, s.Operation) && !s.done.IsZero() && s.failed == "" {
			out = append(out, s)
		}
	}
	return out
}

// owner is the request whose access a change is about. Of a membership that is taken away AWS is told its id alone; no workflow has two.
func owner(requests map[store.ID]store.Request, s *sighting, fits func(store.Request) bool) (store.Request, bool) {
	var in struct{ TargetId, PrincipalId string }
	_ = json.Unmarshal(s.input, &in)
	for _, id := range slices.Backward(slices.Sorted(maps.Keys(requests))) { // the newest that fits
		r := requests[id]
		about := r.Account.ID == in.TargetId && r.Requester.UserID == in.PrincipalId && r.PermissionSet != "" && strings.Contains(s.Target, r.PermissionSet)
		if strings.HasPrefix(s.Operation, "identitystore") {
			about = r.Group != ""
		}
		if about && fits(r) {
			return r, true
		}
	}
	return store.Request{}, false
}

// hasItsWord: somebody else said yes before access was made, unless the scenario takes nobody's word.
func (c *cell) hasItsWord(r store.Request, s *sighting) {
	if r.NoWord && r.Scenario == "emergency" {
		return
	}
	for _, d := range r.Decisions {
		if d.Approved && d.By.UserID != r.Requester.UserID && !d.At.After(s.arrived.Add(tick)) {
			return
		}
	}
	c.breaks("%s was granted without a word for it", r.ID)
}

// logged: the intent stands before the effect, an outcome after it.
func (c *cell) logged(events []store.Event, id store.ID, what string, s *sighting) {
	before, after := false, false
	for _, e := range events {
		if e.Request != id || e.Data["effect"] != what {
			continue
		}
		if e.Kind == store.EventIntent && !e.At.After(s.arrived.Add(tick)) {
			before = true
		}
		if e.Kind == store.EventOutcome && !e.At.Before(s.arrived.Add(-tick)) {
			after = true
		}
	}
	if !before {
		c.breaks("%s: %s came without an intent in the log before it", id, s.Operation)
	}
	if !after {
		c.breaks("%s: the log does not say what came of %s", id, s.Operation)
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
		case asked.IsZero():
			c.breaks("%s: its removal was never asked for", id)
		case asked.After(end.Add(onTime)):
			c.breaks("%s: its removal was asked for %v after its end", id, asked.Sub(end).Round(time.Millisecond))
		case did.IsZero():
			c.breaks("%s: its removal was never done", id)
		case did.After(end.Add(onTime + c.slow())):
			c.breaks("%s: its removal was done %v after its end", id, did.Sub(end).Round(time.Millisecond))
		}
	}
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

// saidOnce: nothing was announced twice unless the log says that it may have been.
func (c *cell) saidOnce(events []store.Event) {
	repeated := map[store.ID]int{}
	for _, e := range events {
		if e.Kind == store.EventRepeated {
			repeated[e.Request]++
		}
	}
	posts := map[string]int{}
	for _, s := range c.applied("slack chat.postMessage") {
		notice, id := noticeOf(s.input)
		if posts[notice]++; posts[notice] < 2 || notice == "" {
			continue
		}
		if repeated[id]--; repeated[id] < 0 {
			c.breaks("said twice, and the log does not say so: %s: %s", s.Target, s.text)
		}
	}
	if c.expect == nil {
		return
	}
	allowed := 0
	for _, e := range events {
		if e.Kind == store.EventRepeated {
			allowed++
		}
	}
	for text, n := range c.spoken() {
		if strings.HasPrefix(c.row.Operation, "slack views.") && strings.HasSuffix(text, notOpened) {
			continue
		}
		if allowed -= max(0, n-c.expect.spoken[text]); allowed < 0 {
			c.breaks("said %d times, %d expected, and the log has no such repetition: %s", n, c.expect.spoken[text], text)
			allowed = 0
		}
	}
}

// notOpened is what people are told whose form did not open: they asked, so they are answered.
const notOpened = "The form could not be opened. Press the button again."

// noticeOf is which notice a message is, by its metadata.
func noticeOf(args json.RawMessage) (notice string, id store.ID) {
	var a struct{ Metadata any }
	_ = json.Unmarshal(args, &a)
	text, ok := a.Metadata.(string)
	if !ok {
		b, _ := json.Marshal(a.Metadata)
		text = string(b)
	}
	var m struct {
		Payload struct {
			Notice  json.Number `json:"notice"`
			Request store.ID    `json:"request"`
		} `json:"event_payload"`
	}
	_ = json.Unmarshal([]byte(text), &m)
	return m.Payload.Notice.String(), m.Payload.Request
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
	if strings.Contains(log, "panic") {
		c.breaks("something panicked: %s", fmt.Sprint(log[max(0, strings.Index(log, "panic")-200):][:400]))
	}
}
