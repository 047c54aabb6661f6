package handlers

import (
	"errors"
	"strings"
	"testing"
	"time"

	"breakglass/deploy/sandbox/slacktwin"
	"breakglass/store"
	"breakglass/workflows"
)

func match(t *testing.T, r *rig, slackID, team string) (store.Principal, *workflows.Refusal) {
	t.Helper()
	p, _, err := r.people.Match(t.Context(), slackID, team, []string{"grp-forge-sre-oncall"})
	if err == nil {
		return p, nil
	}
	no, ok := errors.AsType[*workflows.Refusal](err)
	if !ok {
		t.Fatalf("%s: not a refusal: %v", slackID, err)
	}
	return p, no
}

func TestMatch(t *testing.T) {
	withDomains := example(t, func(s string) string {
		return s + "\nslack: {domains: [forge.example]}\nidentities: {UOTHER: alice@forge.example}\n"
	})
	inBubble(t, withDomains, func(t *testing.T, r *rig) {
		add := func(id string, f func(*slacktwin.User)) {
			u := slacktwin.User{ID: id, Name: strings.ToLower(id), Email: "alice@forge.example", EmailConfirmed: true}
			f(&u)
			r.AddUser(u)
		}
		add("UGUEST", func(u *slacktwin.User) { u.Restricted = true })
		add("UGUEST1", func(u *slacktwin.User) { u.UltraRestricted = true })
		add("UGONE", func(u *slacktwin.User) { u.Deleted = true })
		add("UBOT", func(u *slacktwin.User) { u.Bot = true })
		add("UPARTNER", func(u *slacktwin.User) { u.TeamID = "T0OTHERS" })
		add("USTRANGER", func(u *slacktwin.User) { u.Stranger = true })
		add("UUNSURE", func(u *slacktwin.User) { u.EmailConfirmed = false })
		add("UNOMAIL", func(u *slacktwin.User) { u.Email = "" })
		add("UELSEWHERE", func(u *slacktwin.User) { u.Email = "alice@evil-forge.example" })
		add("ULOOKALIKE", func(u *slacktwin.User) { u.Email = "alice@forge.example.evil.example" })
		add("UOTHER", func(u *slacktwin.User) { u.Email = "alice@private.example"; u.EmailConfirmed = false })
		add("USEVERAL", func(u *slacktwin.User) { u.Email = "several@forge.example" })
		add("UDISABLED", func(u *slacktwin.User) { u.Email = "disabled@forge.example" })
		r.dir.set(func() {
			p := principal("disabled")
			p.Enabled = false
			r.dir.by[p.Email] = p
		})
		for _, c := range []struct{ id, team, code string }{
			{"UALICE", "T0000TWIN", ""}, {"UALICE", "", ""}, {"UOTHER", "T0000TWIN", ""},
			{"UALICE", "T0OTHERS", workflows.RefusedStranger},
			{"UGUEST", "", workflows.RefusedStranger}, {"UGUEST1", "", workflows.RefusedStranger},
			{"UGONE", "", workflows.RefusedStranger}, {"UBOT", "", workflows.RefusedStranger}, {"USLACKBOT", "", workflows.RefusedStranger},
			{"UPARTNER", "", workflows.RefusedStranger}, {"USTRANGER", "", workflows.RefusedStranger},
			{"UUNSURE", "", workflows.RefusedStranger}, {"UNOMAIL", "", workflows.RefusedStranger},
			{"UELSEWHERE", "", workflows.RefusedStranger}, {"ULOOKALIKE", "", workflows.RefusedStranger},
			{"UNOBODY", "", workflows.RefusedStranger}, {"", "", workflows.RefusedStranger}, {"U../../x", "", workflows.RefusedStranger},
			{"UNEW", "", workflows.RefusedUnmatched}, {"UDISABLED", "", workflows.RefusedUnmatched},
		} {
			p, no := match(t, r, c.id, c.team)
			switch {
			case no == nil && c.code != "":
				t.Errorf("%s was let in as %s", c.id, p.UserID)
			case no == nil && p.UserID != "aws-alice":
				t.Errorf("%s is %s", c.id, p.UserID)
			case no != nil && no.Code != c.code:
				t.Errorf("%s was refused with %s: %s", c.id, no.Code, no.Why)
			case no != nil && p.UserID != "":
				t.Errorf("%s was refused and named %s", c.id, p.UserID)
			}
		}
		r.dir.set(func() { r.dir.err = store.ErrSeveral })
		if _, no := match(t, r, "USEVERAL", ""); no == nil || no.Code != workflows.RefusedUnmatched || !strings.Contains(no.Why, "Several") {
			t.Errorf("several people: %+v", no)
		}
		r.dir.set(func() { r.dir.err = errors.New("throttled") })
		if _, no := match(t, r, "UALICE", ""); no == nil || no.Code != workflows.RefusedNoAnswer || strings.Contains(no.Why, "throttled") {
			t.Errorf("no answer: %+v", no)
		}
		r.dir.set(func() { r.dir.err = nil })
		r.Outage(true)
		if _, no := match(t, r, "UALICE", ""); no == nil || no.Code != workflows.RefusedNoAnswer {
			t.Errorf("Slack away: %+v", no)
		}
		r.Outage(false)
		r.ForgetRefusals() // of people who are not there
	})
}

// Who is deactivated between request and click is refused at the click: a decision never goes by what is remembered.
func TestMatchAsksEachTime(t *testing.T) {
	inBubble(t, example(t, nil), func(t *testing.T, r *rig) {
		if _, no := match(t, r, "UALICE", ""); no != nil {
			t.Fatal(no)
		}
		r.UpdateUser("UALICE", func(u *slacktwin.User) { u.Deleted = true })
		if _, no := match(t, r, "UALICE", ""); no == nil {
			t.Error("a deactivated account was let in")
		}
	})
}

func TestMatchThatChanges(t *testing.T) {
	inBubble(t, example(t, nil), func(t *testing.T, r *rig) {
		if _, no := match(t, r, "UALICE", ""); no != nil {
			t.Fatal(no)
		}
		r.UpdateUser("UALICE", func(u *slacktwin.User) { u.Email = "bob@forge.example" })
		for range 3 {
			p, no := match(t, r, "UALICE", "")
			if no == nil || no.Code != workflows.RefusedChanged || p.UserID != "" {
				t.Fatalf("%+v, %+v", p, no)
			}
		}
		if got := strings.Join(r.changes, "; "); got != "UALICE aws-alice aws-bob" {
			t.Errorf("announced: %q", got)
		}
		// An entry in the policy, which is announced itself, settles it; a change below the entry does not.
		settled := example(t, func(s string) string { return s + "\nidentities: {UALICE: bob@forge.example}\n" })
		r.policy = settled
		if p, no := match(t, r, "UALICE", ""); no != nil || p.UserID != "aws-bob" {
			t.Fatalf("%+v, %+v", p, no)
		}
		r.dir.set(func() {
			other := principal("bob")
			other.UserID = "aws-another"
			r.dir.by["bob@forge.example"] = other
		})
		if _, no := match(t, r, "UALICE", ""); no == nil || no.Code != workflows.RefusedChanged {
			t.Errorf("%+v", no)
		}
	})
}

func TestSlackOf(t *testing.T) {
	p := example(t, func(s string) string {
		return s + "\nidentities: {UBOB: robert@forge.example, UGUEST: guest@forge.example}\n"
	})
	inBubble(t, p, func(t *testing.T, r *rig) {
		r.AddUser(slacktwin.User{ID: "UGUEST", Name: "guest", Restricted: true})
		r.AddUser(slacktwin.User{ID: "UUNSURE", Name: "unsure", Email: "unsure@forge.example"})
		robert := principal("robert")
		for who, want := range map[string]string{
			"alice": "UALICE", "robert": "UBOB", "bob": "", "nobody": "", "guest": "", "unsure": "",
		} {
			q := principal(who)
			if who == "robert" {
				q = robert
			}
			got, err := r.people.SlackOf(t.Context(), q)
			if err != nil || got != want {
				t.Errorf("%s is %q in Slack, not %q: %v", who, got, want, err)
			}
		}
		match(t, r, "UALICE", "")
		impostor := principal("alice")
		impostor.UserID = "aws-impostor"
		if got, err := r.people.SlackOf(t.Context(), impostor); got != "" || err != nil {
			t.Errorf("an account matched to somebody else was taken: %q, %v", got, err)
		}
		r.Outage(true)
		if _, err := r.people.SlackOf(t.Context(), principal("alice")); err == nil {
			t.Error("no answer was taken for nobody")
		}
		r.Outage(false)
		r.ForgetRefusals()
	})
}

func TestWorkspaceInAnEnterprise(t *testing.T) {
	alone, grid := Workspace{TeamID: "T1"}, Workspace{TeamID: "T1", EnterpriseID: "E1"}
	if alone.admits("T2") || alone.admits("E1") || !alone.admits("T1") || !alone.admits("") {
		t.Error("a workspace of its own admits other teams")
	}
	if !grid.admits("E1") || !grid.admits("T1") {
		t.Error("a workspace of an organisation does not admit its own")
	}
}

func TestSharedChannelsAreRemembered(t *testing.T) {
	inBubble(t, example(t, nil), func(t *testing.T, r *rig) {
		for range 5 {
			if r.people.sharedOutside(t.Context(), r.ops) {
				t.Error("the channel is taken for shared")
			}
		}
		n := 0
		for _, c := range r.Calls() {
			if c.Method == "conversations.info" {
				n++
			}
		}
		if n != 1 {
			t.Errorf("asked %d times", n)
		}
		r.UpdateChannel(r.ops, func(c *slacktwin.Channel) { c.ExtShared = true })
		time.Sleep(channelMemory + time.Second)
		if !r.people.sharedOutside(t.Context(), r.ops) {
			t.Error("the channel is not seen to be shared")
		}
	})
}
