package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/slack-go/slack"

	"breakglass/deploy/sandbox/slacktwin"
	"breakglass/store"
)

// record puts a request into the store in any state that has access or waits.
func record(t *testing.T, r *rig, who, scenario, account string, to store.State) store.Request {
	t.Helper()
	s, _ := r.policy.Scenario(scenario)
	a, _ := r.policy.Account(account)
	now := time.Now()
	by := store.By{Actor: store.Bot(), At: now}
	q := store.Request{
		State: store.Pending, Scenario: s.Name, Title: s.Title, Tier: s.Tier, Duration: time.Hour, Reason: "because",
		Account:       store.Account{Name: a.Name, ID: a.ID, Regions: a.Regions, Sensitive: a.Sensitive},
		Requester:     store.Person{SlackID: "U" + strings.ToUpper(who), UserID: "aws-" + who, Name: who},
		PermissionSet: s.Grant.Name, SubmittedAt: now, Asked: []store.Person{{SlackID: "UBOB", UserID: "aws-bob"}},
	}
	q.Set(store.ClockPoll, now.Add(time.Hour))
	q, err := r.db.Submit(by, q, nil)
	must(t, err)
	steps := []store.State{store.Pending, store.Approved, store.Granting, store.Active, store.Revoking, store.Revoked}
	for i := 0; q.State != to; i++ {
		q, err = r.db.Transition(by, q.ID, steps[i], steps[i+1], func(c *store.Change) error {
			switch steps[i+1] {
			case store.Approved:
				c.Request.Decisions = []store.Decision{{By: store.Person{SlackID: "UBOB", UserID: "aws-bob"}, Approved: true, At: now}}
			case store.Granting:
				c.Request.GrantedAt, c.Request.ExpiresAt = now, now.Add(time.Hour)
			}
			return nil
		})
		must(t, err)
	}
	return q
}

// post shows a request's card in the channel, as the other half of this package makes it.
func post(t *testing.T, r *rig, q store.Request) (ts string) {
	t.Helper()
	return postMessage(t, r, card(q, setting{}))
}

func postMessage(t *testing.T, r *rig, m message) (ts string) {
	t.Helper()
	_, ts, err := r.api.PostMessageContext(t.Context(), r.ops, slack.MsgOptionText(m.text, false), slack.MsgOptionBlocks(m.blocks...))
	must(t, err)
	return ts
}

func clicks(t *testing.T, r *rig) []store.Click {
	t.Helper()
	all, err := r.db.Clicks(100)
	must(t, err)
	return all
}

var anyKey = cmpopts.IgnoreFields(store.Click{}, "Seq", "Key", "At")

func TestClicksAreRecorded(t *testing.T) {
	inBubble(t, example(t, nil), func(t *testing.T, r *rig) {
		waiting := record(t, r, "alice", "ec2", "prod-9squid", store.Pending)
		running := record(t, r, "alice", "ec2", "prod-cash", store.Active)
		w, a := post(t, r, waiting), post(t, r, running)
		must(t, r.bob.Click(t.Context(), r.ops, w, "Approve"))
		must(t, r.eve.Click(t.Context(), r.ops, w, "Approve")) // who may is not decided here
		must(t, r.alice.Click(t.Context(), r.ops, w, "Cancel request"))
		must(t, r.alice.Click(t.Context(), r.ops, a, "End now"))
		settle()
		at := func(id store.ID, kind, who, ts string) store.Click {
			return store.Click{Kind: kind, Request: id, SlackID: who, TeamID: "T0000TWIN", Channel: r.ops, TS: ts}
		}
		want := []store.Click{
			at(waiting.ID, store.ClickApprove, "UBOB", w), at(waiting.ID, store.ClickApprove, "UEVE", w),
			at(waiting.ID, store.ClickCancel, "UALICE", w), at(running.ID, store.ClickEnd, "UALICE", a),
		}
		if diff := cmp.Diff(want, clicks(t, r), anyKey); diff != "" {
			t.Error(diff)
		}
	})
}

func TestDenyAsksForAReason(t *testing.T) {
	inBubble(t, example(t, nil), func(t *testing.T, r *rig) {
		q := record(t, r, "alice", "ec2", "prod-9squid", store.Pending)
		ts := post(t, r, q)
		must(t, r.bob.Click(t.Context(), r.ops, ts, "Deny"))
		settle()
		if v := r.bob.View(); v == nil || v.Title != "Deny "+string(q.ID) {
			t.Fatalf("the form is %+v", v)
		}
		fill(t, r.bob, "Reason", "   ")
		if errs := submit(t, r.bob); len(errs) != 1 {
			t.Errorf("an empty reason brings %v", errs)
		}
		fill(t, r.bob, "Reason", "not *today*")
		if errs := submit(t, r.bob); len(errs) > 0 || r.bob.View() != nil {
			t.Fatalf("the form is refused: %v", errs)
		}
		want := []store.Click{{
			Kind: store.ClickDeny, Request: q.ID, SlackID: "UBOB", TeamID: "T0000TWIN", Channel: r.ops, TS: ts, Text: "not *today*",
		}}
		if diff := cmp.Diff(want, clicks(t, r), anyKey); diff != "" {
			t.Error(diff)
		}
	})
}

func TestDenyTooLate(t *testing.T) {
	inBubble(t, example(t, nil), func(t *testing.T, r *rig) {
		q := record(t, r, "alice", "ec2", "prod-9squid", store.Pending)
		ts := post(t, r, q)
		_, err := r.db.Transition(store.By{Actor: store.Bot(), At: time.Now()}, q.ID, store.Pending, store.Cancelled, nil)
		must(t, err)
		must(t, r.bob.Click(t.Context(), r.ops, ts, "Deny"))
		settle()
		if r.bob.View() != nil {
			t.Error("a form opened")
		}
		if e := r.bob.Ephemerals(r.ops); len(e) != 1 || !strings.Contains(e[0].PlainText(), "nothing left to deny") {
			t.Errorf("told: %+v", e)
		}
	})
}

func TestAddTicket(t *testing.T) {
	inBubble(t, example(t, nil), func(t *testing.T, r *rig) {
		q := record(t, r, "alice", "emergency", "prod-cash", store.Active)
		q.TicketBy = time.Now().Add(time.Hour)
		ts := post(t, r, q)
		must(t, r.alice.Click(t.Context(), r.ops, ts, "Add ticket"))
		settle()
		fill(t, r.alice, "Ticket", "what")
		if errs := submit(t, r.alice); len(errs) != 1 {
			t.Errorf("a wrong ticket brings %v", errs)
		}
		fill(t, r.alice, "Ticket", "SEC-12")
		if errs := submit(t, r.alice); len(errs) > 0 {
			t.Fatal(errs)
		}
		if c := clicks(t, r); len(c) != 1 || c[0].Kind != store.ClickTicket || c[0].Text != "SEC-12" || c[0].Request != q.ID {
			t.Errorf("recorded: %+v", c)
		}
	})
}

func TestClicksOfStrangers(t *testing.T) {
	inBubble(t, example(t, nil), func(t *testing.T, r *rig) {
		q := record(t, r, "alice", "ec2", "prod-9squid", store.Pending)
		ts := post(t, r, q)
		r.AddUser(slacktwin.User{ID: "UPARTNER", Name: "partner", TeamID: "T0OTHERS"})
		r.UpdateChannel(r.ops, func(c *slacktwin.Channel) { c.Members = append(c.Members, "UPARTNER") })
		must(t, r.As("UPARTNER").Click(t.Context(), r.ops, ts, "Approve"))
		settle()
		if c := clicks(t, r); len(c) != 0 {
			t.Errorf("recorded: %+v", c)
		}
		r.ShareChannel(r.ops, "T0OTHERS")
		settle()
		must(t, r.bob.Click(t.Context(), r.ops, ts, "Approve"))
		settle()
		if c := clicks(t, r); len(c) != 0 {
			t.Errorf("recorded in a shared channel: %+v", c)
		}
		if e := r.bob.Ephemerals(r.ops); len(e) != 1 || !strings.Contains(e[0].PlainText(), "another organisation") {
			t.Errorf("told: %+v", e)
		}
	})
}

// Whatever comes in place of a payload, the answer is none or a plain one, never a panic.
func TestMalformedPayloads(t *testing.T) {
	inBubble(t, example(t, nil), func(t *testing.T, r *rig) {
		user := `"user":{"id":"UALICE","team_id":"T0000TWIN"},"team":{"id":"T0000TWIN"},"trigger_id":"x"`
		for _, payload := range []string{
			`{"type":"block_actions",` + user + `}`,
			`{"type":"block_actions",` + user + `,"actions":[null]}`,
			`{"type":"block_actions",` + user + `,"actions":[{"block_id":"b","action_id":"approve","value":"BG-x"}]}`,
			`{"type":"block_actions",` + user + `,"actions":[{"block_id":"b","action_id":"approve","value":"bg-1001"}]}`,
			`{"type":"block_actions",` + user + `,"actions":[{"block_id":"b","action_id":"deny","value":"BG-9999"}]}`,
			`{"type":"block_actions",` + user + `,"actions":[{"block_id":"b","action_id":"request"}]}`,
			`{"type":"block_actions",` + user + `,"actions":[{"block_id":"b","action_id":"form:scenario"}]}`,
			`{"type":"block_actions",` + user + `,"actions":[{"block_id":"b","action_id":"retry"}]}`,
			`{"type":"block_actions",` + user + `,"actions":[{"block_id":"b","action_id":"somebody else's"}]}`,
			`{"type":"block_actions","user":{"id":"not a user"},"actions":[{"block_id":"b","action_id":"approve","value":"BG-1001"}]}`,
			`{"type":"view_submission",` + user + `,"view":{"callback_id":"breakglass_request"}}`,
			`{"type":"view_submission",` + user + `,"view":{"callback_id":"breakglass_deny","private_metadata":"{"}}`,
			`{"type":"view_submission",` + user + `,"view":{"callback_id":"breakglass_ticket","private_metadata":"{\"request\":7}","state":{"values":{"a":{"form:ticket":{"value":"OPS-1"}}}}}}`,
			`{"type":"view_submission",` + user + `,"view":{"callback_id":"other"}}`,
			`{"type":"block_suggestion",` + user + `,"block_id":"account/nope","value":"x"}`,
			`{"type":"block_suggestion",` + user + `}`,
			`{"type":"shortcut",` + user + `,"callback_id":"other"}`,
			`{"type":"message_action",` + user + `,"callback_id":"breakglass_from_message"}`,
			`{"type":"block_actions",` + user + `,"actions":[{"block_id":"b","action_id":"extend_approve","value":"BG-1001/x"}]}`,
			`{"type":"block_actions",` + user + `,"actions":[{"block_id":"b","action_id":"extend_approve","value":"BG-1001/01"}]}`,
			`{"type":"block_actions",` + user + `,"actions":[{"block_id":"b","action_id":"extend_deny","value":"BG-9999/0"}]}`,
			`{"type":"block_actions",` + user + `,"actions":[{"block_id":"b","action_id":"extend","value":"BG-9999"}]}`,
			`{"type":"block_actions",` + user + `,"actions":[{"block_id":"b","action_id":"revoke","value":"/"}]}`,
			`{"type":"view_submission",` + user + `,"view":{"callback_id":"breakglass_revoke","private_metadata":"{}"}}`,
			`{"type":"view_submission",` + user + `,"view":{"callback_id":"breakglass_extend","private_metadata":"{\"request\":\"BG-9999\"}"}}`,
			`{"type":"view_submission",` + user + `,"view":{"callback_id":"breakglass_extend_deny","private_metadata":"{\"request\":\"BG-1001\",\"number\":-1}","state":{"values":{"a":{"form:reason":{"value":"x"}}}}}}`,
			`{"type":"view_submission",` + user + `,"view":{"callback_id":"breakglass_lockdown","private_metadata":"["}}`,
			`{"type":"view_submission","user":{"id":"none"},"view":{"callback_id":"breakglass_lockdown","state":{"values":{"a":{"form:reason":{"value":"x"}}}}}}`,
			`{"type":"block_suggestion",` + user + `,"block_id":"duration/extend/BG-9999","value":"x"}`,
			`{"type":"block_suggestion",` + user + `,"block_id":"duration/extend/","value":"1"}`,
			`{"type":"view_closed",` + user + `}`,
			`{"type":"something new",` + user + `}`,
			`{}`,
		} {
			var in slack.InteractionCallback
			must(t, json.Unmarshal([]byte(payload), &in))
			ack, err := r.h.Interaction(t.Context(), in, "delivery")
			if err != nil {
				t.Errorf("%s: %v", payload, err)
			}
			if raw, err := json.Marshal(ack); err != nil || len(raw) > mostAck {
				t.Errorf("%s: the answer is %s, %v", payload, raw, err)
			}
		}
		settle()
		if c := clicks(t, r); len(c) != 0 {
			t.Errorf("recorded: %+v", c)
		}
		about := func(m slacktwin.Message) bool {
			return strings.Contains(m.PlainText(), "does not belong to any request")
		}
		if told := r.alice.DM(); !slices.ContainsFunc(told, about) { // answers are given side by side, in no promised order
			t.Errorf("told: %+v", told)
		}
		r.ForgetRefusals() // the triggers above are made up
	})
}

// A click that cannot be written is not acknowledged, and the person hears of it.
func TestClickThatCannotBeRecorded(t *testing.T) {
	inBubble(t, example(t, nil), func(t *testing.T, r *rig) {
		q := record(t, r, "alice", "ec2", "prod-9squid", store.Pending)
		ts := post(t, r, q)
		r.h.desk = brokenDesk{r.h.desk}
		if err := r.bob.Click(t.Context(), r.ops, ts, "Approve"); err == nil {
			t.Error("the click was acknowledged")
		}
		settle()
		e := r.bob.Ephemerals(r.ops)
		if len(e) != 1 || !strings.Contains(e[0].PlainText(), "not recorded") || strings.Contains(e[0].PlainText(), "disk is full") {
			t.Errorf("told: %+v", e)
		}
	})
}

type brokenDesk struct{ desk }

func (brokenDesk) Receive(context.Context, store.Click) error { return errors.New("disk is full") }
