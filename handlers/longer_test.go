package handlers

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"breakglass/store"
)

// show posts a request's card as it stands under the policy, with the button that extends where there is room.
func show(t *testing.T, r *rig, q store.Request) (ts string) {
	t.Helper()
	most, _ := room(r.policy, q, time.Now())
	return postMessage(t, r, card(q, setting{room: most}))
}

// want makes sure of the one click that was recorded.
func want(t *testing.T, r *rig, c store.Click) {
	t.Helper()
	c.TeamID = "T0000TWIN"
	if diff := cmp.Diff([]store.Click{c}, clicks(t, r), anyKey); diff != "" {
		t.Error(diff)
	}
}

func TestRevokeAsksWhy(t *testing.T) {
	inBubble(t, example(t, nil), func(t *testing.T, r *rig) {
		q := record(t, r, "alice", "ec2", "prod-9squid", store.Active)
		ts := show(t, r, q)
		must(t, r.eve.Click(t.Context(), r.ops, ts, "Revoke")) // who may is not decided here
		settle()
		if v := r.eve.View(); v == nil || v.Title != "Revoke "+string(q.ID) || !strings.Contains(v.PlainText(), "at once") {
			t.Fatalf("the form is %+v", v)
		}
		fill(t, r.eve, "Reason", " ")
		if errs := submit(t, r.eve); len(errs) != 1 {
			t.Errorf("an empty reason brings %v", errs)
		}
		fill(t, r.eve, "Reason", "that is <not> her shift")
		if errs := submit(t, r.eve); len(errs) > 0 || r.eve.View() != nil {
			t.Fatalf("the form is refused: %v", errs)
		}
		want(t, r, store.Click{Kind: store.ClickRevoke, Request: q.ID, SlackID: "UEVE", Channel: r.ops, TS: ts, Text: "that is <not> her shift"})
	})
}

func TestRevokeTooLate(t *testing.T) {
	inBubble(t, example(t, nil), func(t *testing.T, r *rig) {
		q := record(t, r, "alice", "ec2", "prod-9squid", store.Active)
		ts := show(t, r, q)
		must(t, r.bob.Click(t.Context(), r.ops, ts, "Revoke"))
		settle()
		_, err := r.db.Transition(store.By{Actor: store.Bot(), At: time.Now()}, q.ID, store.Active, store.Revoking, nil)
		must(t, err)
		fill(t, r.bob, "Reason", "enough")
		if errs := submit(t, r.bob); len(errs) != 1 || !strings.Contains(r.bob.View().Field("Reason").Error, "not a running session") || r.bob.View().Field("Reason").Value != "enough" {
			t.Fatalf("the form says %v", errs)
		}
		must(t, r.bob.CloseAll(t.Context()))
		must(t, r.bob.Click(t.Context(), r.ops, ts, "Revoke"))
		settle()
		if r.bob.View() != nil || len(clicks(t, r)) != 0 {
			t.Error("a session that is ending can be revoked")
		}
		if e := r.bob.Ephemerals(r.ops); len(e) != 1 || !strings.Contains(e[0].PlainText(), "stands at “ending”") {
			t.Errorf("told: %+v", e)
		}
	})
}

func TestExtend(t *testing.T) {
	inBubble(t, extendable(t), func(t *testing.T, r *rig) {
		q := record(t, r, "alice", "ec2", "prod-9squid", store.Active) // an hour of four
		ts := show(t, r, q)
		must(t, r.alice.Click(t.Context(), r.ops, ts, "Extend"))
		settle()
		v := r.alice.View()
		if v == nil || !strings.Contains(v.PlainText(), "at most 3 hours") || !strings.Contains(v.PlainText(), "approved by your manager") {
			t.Fatalf("the form is %+v", v)
		}
		for typed, shown := range map[string]string{"": "30 minutes, 1 hour, 2 hours, 3 hours", "45 minutes": "45 minutes", "45": "45 minutes", "4h": ""} {
			var got []string
			found, err := r.alice.Options(t.Context(), "Duration", typed)
			must(t, err)
			for _, o := range found {
				got = append(got, o.Text)
			}
			if strings.Join(got, ", ") != shown {
				t.Errorf("for %q: %v", typed, got)
			}
		}
		fill(t, r.alice, "Duration", "1h", "Reason", "the rollback is slow")
		if errs := submit(t, r.alice); len(errs) > 0 || r.alice.View() != nil {
			t.Fatalf("the form is refused: %v", errs)
		}
		want(t, r, store.Click{Kind: store.ClickExtend, Request: q.ID, SlackID: "UALICE", Channel: r.ops, TS: ts, Text: "1h", Reason: "the rollback is slow"})
	})
}

// What has changed between opening the form and sending it is said in it, and what was written stays.
func TestExtendTooLate(t *testing.T) {
	inBubble(t, extendable(t), func(t *testing.T, r *rig) {
		q := record(t, r, "alice", "ec2", "prod-9squid", store.Active)
		ts := show(t, r, q)
		must(t, r.alice.Click(t.Context(), r.ops, ts, "Extend"))
		settle()
		fill(t, r.alice, "Reason", "the rollback is slow")
		time.Sleep(58*time.Minute + time.Second)
		if errs := submit(t, r.alice); len(errs) != 1 || !strings.Contains(r.alice.View().Field("Duration").Error, "within two minutes") {
			t.Fatalf("the form says %v", errs)
		}
		if got := r.alice.View().Field("Reason").Value; got != "the rollback is slow" {
			t.Errorf("the reason has become %q", got)
		}
		must(t, r.alice.CloseAll(t.Context()))
		must(t, r.alice.Click(t.Context(), r.ops, ts, "Extend"))
		settle()
		if e := r.alice.Ephemerals(r.ops); r.alice.View() != nil || len(e) != 1 || !strings.Contains(e[0].PlainText(), "too late to extend") {
			t.Errorf("told: %+v", e)
		}
	})
}

func TestExtendOfAnother(t *testing.T) {
	inBubble(t, extendable(t), func(t *testing.T, r *rig) {
		match(t, r, "UBOB", "")
		q := record(t, r, "alice", "ec2", "prod-9squid", store.Active)
		must(t, r.bob.Click(t.Context(), r.ops, show(t, r, q), "Extend"))
		settle()
		if e := r.bob.Ephemerals(r.ops); r.bob.View() != nil || len(e) != 1 || !strings.Contains(e[0].PlainText(), "Only alice may extend") {
			t.Errorf("told: %+v", e)
		}
		if got := command(t, r.bob, "/access extend "+string(q.ID)+" 30m"); !strings.Contains(got, "Only alice may extend") {
			t.Error(got)
		}
		if c := clicks(t, r); len(c) != 0 {
			t.Errorf("recorded: %+v", c)
		}
	})
}

func TestExtendByCommand(t *testing.T) {
	inBubble(t, extendable(t), func(t *testing.T, r *rig) {
		if got := command(t, r.alice, "/access extend"); !strings.Contains(got, "no running session") {
			t.Error(got)
		}
		fixed := record(t, r, "alice", "eks", "prod-cash", store.Active)
		if got := command(t, r.alice, "/access extend 30m"); !strings.Contains(got, "cannot be extended") {
			t.Error(got)
		}
		q := record(t, r, "alice", "ec2", "prod-9squid", store.Active)
		id := string(q.ID)
		for line, want := range map[string]string{
			"/access extend " + id + " 5h": "at most", "/access extend " + id + " soon": "Say how much longer", "/access extend *x*": "is not a request",
			"/access extend BG-9999 1h": "no such request", "/access extend " + string(fixed.ID): "cannot be extended",
		} {
			if got := command(t, r.alice, line); !strings.Contains(got, want) {
				t.Errorf("%s: %s", line, got)
			}
		}
		command(t, r.alice, "/access extend "+id) // no duration: the form asks for it
		if v := r.alice.View(); v == nil || v.CallbackID != callbackExtend {
			t.Fatalf("the form is %+v", v)
		}
		must(t, r.alice.CloseAll(t.Context()))
		if got := command(t, r.alice, "/access extend "+strings.ToLower(id)+" 1 hour 30 min"); !strings.Contains(got, "90 minutes more are asked for "+id) {
			t.Error(got)
		}
		want(t, r, store.Click{Kind: store.ClickExtend, Request: q.ID, SlackID: "UALICE", Channel: r.ops, Text: "1h30m"})
		two := record(t, r, "alice", "ec2", "prod-cash", store.Active)
		got := command(t, r.alice, "/access extend 30m")
		if !strings.Contains(got, "Which one") || !strings.Contains(got, id) || !strings.Contains(got, string(two.ID)) || strings.Contains(got, string(fixed.ID)) {
			t.Error(got)
		}
	})
}

func TestRoom(t *testing.T) {
	p, now := extendable(t), noon.Add(time.Hour)
	for name, c := range map[string]struct {
		change func(*store.Request)
		most   time.Duration
		why    string
	}{
		"whole minutes of what is left of max_total": {func(q *store.Request) { q.ExpiresAt = q.ExpiresAt.Add(90 * time.Second) }, 118 * time.Minute, ""},
		"not while it opens":                         {func(q *store.Request) { q.State = store.Granting }, 0, "not a running session"},
		"not apart from what it came with":           {func(q *store.Request) { q.Lead = "BG-1041" }, 0, "Extend that one"},
		"not without a rule":                         {func(q *store.Request) { q.Scenario = "gone" }, 0, "scenario no more"},
		"not where the policy knows none":            {func(q *store.Request) { q.Scenario = "eks" }, 0, "cannot be extended"},
		"not beside another":                         {func(q *store.Request) { q.Extensions = []store.Extension{wish(store.ExtensionAsked)} }, 0, "being decided"},
		"a denied one does not count": {func(q *store.Request) {
			q.Extensions = []store.Extension{wish(store.ExtensionDenied), wish(store.ExtensionGranted)}
		}, 2 * time.Hour, ""},
		"not oftener than allowed": {func(q *store.Request) {
			q.Extensions = []store.Extension{wish(store.ExtensionGranted), wish(store.ExtensionGranted)}
		}, 0, "extended 2 times already"},
		"not within two minutes of the end": {func(q *store.Request) { q.ExpiresAt = now.Add(119 * time.Second) }, 0, "within two minutes"},
		"at two minutes it still can be":    {func(q *store.Request) { q.ExpiresAt = now.Add(2 * time.Minute) }, 182 * time.Minute, ""},
		"not past max_total":                {func(q *store.Request) { q.ExpiresAt = q.GrantedAt.Add(4*time.Hour - time.Second) }, 0, "as long as the policy allows"},
	} {
		q := in(store.Active)
		c.change(&q)
		if most, why := room(p, q, now); most != c.most || (why == "") != (c.why == "") || !strings.Contains(why, c.why) {
			t.Errorf("%s: %v, %q", name, most, why)
		}
	}
}

func TestExtensionIsDecided(t *testing.T) {
	inBubble(t, extendable(t), func(t *testing.T, r *rig) {
		q := record(t, r, "alice", "ec2", "prod-9squid", store.Active)
		q, err := r.db.Touch(store.By{Actor: store.Bot(), At: time.Now()}, q.ID, store.Active, func(c *store.Change) error {
			c.Request.Extensions = []store.Extension{wish(store.ExtensionLapsed), wish(store.ExtensionAsked)}
			return nil
		})
		must(t, err)
		n := store.Notice{Data: map[string]string{"number": "1"}}
		ts := postMessage(t, r, extension(n, q, setting{}))
		must(t, r.bob.Click(t.Context(), r.ops, ts, "Approve"))
		must(t, r.bob.Click(t.Context(), r.ops, ts, "Deny"))
		settle()
		if errs := submit(t, r.bob); len(errs) != 1 {
			t.Errorf("no reason brings %v", errs)
		}
		fill(t, r.bob, "Reason", "hand over")
		if errs := submit(t, r.bob); len(errs) > 0 {
			t.Fatal(errs)
		}
		said := store.Click{Request: q.ID, Number: 1, SlackID: "UBOB", TeamID: "T0000TWIN", Channel: r.ops, TS: ts}
		yes, no := said, said
		yes.Kind, no.Kind, no.Text = store.ClickLonger, store.ClickNoMore, "hand over"
		if diff := cmp.Diff([]store.Click{yes, no}, clicks(t, r), anyKey); diff != "" {
			t.Error(diff)
		}
		_, err = r.db.Touch(store.By{Actor: store.Bot(), At: time.Now()}, q.ID, store.Active, func(c *store.Change) error {
			c.Request.Extensions[1].State = store.ExtensionApproved
			return nil
		})
		must(t, err)
		must(t, r.bob.Click(t.Context(), r.ops, ts, "Deny"))
		settle()
		if e := r.bob.Ephemerals(r.ops); r.bob.View() != nil || len(e) != 1 || !strings.Contains(e[0].PlainText(), "decided by now") {
			t.Errorf("told: %+v", e)
		}
	})
}

// smallForms opens each of the small forms for the worst session there is, and has the workspace look at it.
func smallForms(t *testing.T, r *rig, book fixedBook) {
	t.Helper()
	q := &book[1]
	q.State, q.Scenario, q.Lead, q.Extensions, q.Requester.SlackID = store.Active, r.policy.Scenarios[0].Name, "", nil, "UALICE"
	q.GrantedAt, q.ExpiresAt = time.Now(), time.Now().Add(time.Hour)
	ts := postMessage(t, r, card(*q, setting{room: time.Hour}))
	for _, b := range []string{"Revoke", "Extend"} {
		must(t, r.alice.Click(t.Context(), r.ops, ts, b))
		settle()
		if v := r.alice.View(); v == nil || v.Title != b+" "+string(q.ID) {
			t.Errorf("%s opens %+v", b, v)
			continue
		}
		must(t, r.alice.CloseAll(t.Context()))
	}
	q.Extensions = []store.Extension{wish(store.ExtensionAsked)}
	ts = postMessage(t, r, extension(store.Notice{Data: map[string]string{"number": "0"}}, *q, setting{}))
	must(t, r.bob.Click(t.Context(), r.ops, ts, "Deny"))
	settle()
	if v := r.bob.View(); v == nil || v.CallbackID != callbackNoMore {
		t.Errorf("Deny opens %+v", v)
	}
	must(t, r.bob.CloseAll(t.Context()))
	command(t, r.bob, "/access lockdown")
	if v := r.bob.View(); v == nil || v.CallbackID != callbackLock {
		t.Errorf("the lockdown opens %+v", v)
	}
	must(t, r.bob.CloseAll(t.Context()))
}
