package handlers

import (
	"strings"
	"testing"
	"time"

	"breakglass/store"
	"breakglass/workflows"
	"breakglass/workflows/policy"
)

// An extension is one line of the thread through its life; where that line is lost, the newest one is right.
func TestExtensionLivesInTheThread(t *testing.T) {
	s := newStall(t)
	r := in(store.Active)
	top := s.card(r)
	r.Extensions = []store.Extension{wish(store.ExtensionAsked)}
	n := store.Notice{Kind: workflows.NoticeExtension, Message: "extension 0", Request: r.ID, Data: map[string]string{"number": "0"}}
	ref := s.say(n, r, store.Ref{})
	line := s.Thread(s.requests, top.TS)
	if len(line) != 2 || strings.Join(line[1].Buttons(), ", ") != "Approve, Deny" || !strings.Contains(string(line[1].Blocks), "S0LEADS") {
		t.Fatalf("the thread: %+v", line)
	}
	r.Extensions = []store.Extension{wish(store.ExtensionGranted)}
	if again := s.say(n, r, ref); !at(again, ref) {
		t.Errorf("it moved to %+v", again)
	}
	line = s.Thread(s.requests, top.TS)
	if len(line) != 2 || len(line[1].Buttons()) != 0 || !strings.Contains(line[1].PlainText(), "Approved by") {
		t.Errorf("after the decision: %+v", line)
	}
	s.FailNext("chat.update", "message_not_found", 1)
	if again := s.say(n, r, ref); at(again, ref) || again.TS == "" {
		t.Errorf("it was not said anew: %+v", again)
	}
	if line = s.Thread(s.requests, top.TS); len(line) != 3 {
		t.Errorf("%d lines in the thread", len(line))
	}
	s.FailNext("chat.update", "internal_error", 1)
	if u := s.refused(n, r, ref); u.Permanent {
		t.Errorf("a fault of Slack's ends it: %+v", u)
	}
}

// Approvers are asked by direct message; whoever has spoken, and whoever asks, gets no buttons.
func TestExtensionIsAskedOf(t *testing.T) {
	s := newStall(t)
	r := in(store.Active)
	r.Extensions = []store.Extension{wish(store.ExtensionAsked)}
	ask := func(to string) store.Ref {
		return s.say(store.Notice{Kind: workflows.NoticeExtension, Message: "extension 0 " + to, To: to, Request: r.ID, Data: map[string]string{"number": "0", "why": "manager"}}, r, store.Ref{})
	}
	ask("UBOB")
	ask("UALICE")
	if m := s.DM("UBOB"); len(m) != 1 || strings.Join(m[0].Buttons(), ", ") != "Approve, Deny" || !strings.Contains(m[0].PlainText(), "because you are the manager") {
		t.Errorf("asked: %+v", m)
	}
	if m := s.DM("UALICE"); len(m) != 1 || len(m[0].Buttons()) != 0 {
		t.Errorf("the requester was asked: %+v", m)
	}
	r.Extensions[0].Decisions = []store.Decision{{By: carol, Approved: true}}
	ask("UCAROL")
	if m := s.DM("UCAROL"); len(m) != 1 || len(m[0].Buttons()) != 0 {
		t.Errorf("asked twice: %+v", m)
	}
	s.clean()
}

func TestEndsAreAnnouncedWhereTheyBelong(t *testing.T) {
	s := newStall(t)
	r := in(store.Active)
	top := s.card(r)
	s.say(store.Notice{Kind: workflows.NoticeEnds, Request: r.ID, Data: map[string]string{"why": "IAM did not answer"}}, r, store.Ref{})
	s.say(store.Notice{Kind: workflows.NoticeEnds, Request: r.ID, Data: map[string]string{"why": "IAM did not answer", "incidents": "true"}}, r, store.Ref{})
	if in, at := len(s.Messages(s.incidents)), len(s.Thread(s.requests, top.TS)); in != 1 || at != 2 {
		t.Errorf("%d in the incidents channel, %d in the thread", in, at)
	}
	for _, channel := range []string{RoleRequests, RoleIncidents} {
		s.say(store.Notice{Kind: workflows.NoticeLockdown, Data: map[string]string{"by": "Carol", "why": "theft", "ended": "2", "channel": channel}}, store.Request{}, store.Ref{})
	}
	s.say(store.Notice{Kind: workflows.NoticeFound, Data: map[string]string{"what": workflows.FoundGuard, "account": "prod-wealth", "granted": "X"}}, store.Request{}, store.Ref{})
	if got := s.Messages(s.requests); len(got) != 2 || !strings.Contains(got[1].PlainText(), "lockdown in force") {
		t.Errorf("the requests channel: %+v", got)
	}
	if got := s.Messages(s.incidents); len(got) != 3 {
		t.Errorf("%d in the incidents channel", len(got))
	}
	s.clean()
}

// A session can be extended from its messages as long as the policy and the time allow it.
func TestRoomIsShown(t *testing.T) {
	s := newStall(t)
	p := extendable(t)
	s.Policy, s.now = func() *policy.Policy { return p }, noon.Add(time.Hour)
	r := in(store.Active)
	ref := s.card(r)
	if got := strings.Join(s.Messages(s.requests)[0].Buttons(), ", "); got != "End now, Extend, Revoke" {
		t.Errorf("on the card: %s", got)
	}
	s.say(store.Notice{Kind: workflows.NoticeGranted, Request: r.ID}, r, store.Ref{})
	if line := s.Thread(s.requests, ref.TS); strings.Join(line[1].Buttons(), ", ") != "End now, Extend" {
		t.Errorf("in the thread: %v", line[1].Buttons())
	}
	s.now = r.ExpiresAt.Add(-lastCall + time.Second)
	s.say(store.Notice{Kind: workflows.NoticeCard, Message: workflows.NoticeCard, Request: r.ID}, r, ref)
	if got := strings.Join(s.Messages(s.requests)[0].Buttons(), ", "); got != "End now, Revoke" {
		t.Errorf("within two minutes of the end: %s", got)
	}
	s.clean()
}
