package main

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"breakglass/deploy/sandbox"
	"breakglass/store"
)

// What the log must say of what was done, and what must have been said to people once.

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

// tick is how far the program's clock may be behind the twins': it asks them every 20 ms at most, and the answer takes its time where many lives go on at once.
const tick = 500 * time.Millisecond

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

// saidOnce: nothing was announced more than once unless the log says that it may have been. The log says so once for a message, however often it was tried.
func (c *cell) saidOnce(events []store.Event) {
	repeated := map[store.ID]int{}
	for _, e := range events {
		if e.Kind == store.EventRepeated {
			repeated[e.Request]++
		}
	}
	posts, texts := map[string][]string{}, map[string]bool{}
	for _, s := range c.applied("slack chat.postMessage", "sesv2 SendEmail") {
		notice, id := noticeOf(s.input)
		if notice == "" {
			continue // mail has no mark; its text is counted below
		}
		if posts[notice] = append(posts[notice], s.text); len(posts[notice]) == 2 {
			if repeated[id]--; repeated[id] < 0 {
				c.breaks("said twice, and the log does not say so: %s: %s", s.Target, s.text)
			}
		}
	}
	if c.expect == nil || c.short {
		return
	}
	for _, all := range posts {
		for _, text := range all {
			texts[text] = texts[text] || len(all) > 1
		}
	}
	left := 0 // repetitions in the log that are no message of Slack's: mail, and what did not come to stand twice after all
	for _, n := range repeated {
		left += max(0, n)
	}
	for text, n := range c.spoken() {
		_, words, _ := strings.Cut(text, ": ")
		expected := c.expect.spoken[text]
		if cameLate(text) {
			expected = max(expected, 1)
		}
		if n <= expected || c.confesses(text) || texts[words] {
			continue
		}
		if left -= n - expected; left < 0 {
			c.breaks("said %d times, %d expected, and the log has no such repetition: %s", n, expected, text)
			left = 0
		}
	}
}

// confesses says whether a message tells of the stroke itself, as it must.
func (c *cell) confesses(text string) bool {
	switch {
	case strings.HasPrefix(c.row.Operation, "slack views."): // they asked for a form, so they are answered
		return strings.HasSuffix(text, "The form could not be opened. Press the button again.")
	case strings.HasPrefix(c.row.Operation, "iam "): // a timed guard is not waited for
		return strings.HasSuffix(text, "opened without every end standing") || strings.HasSuffix(text, "every end stands now")
	}
	return false
}

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
