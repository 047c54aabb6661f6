package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/slack-go/slack"

	"breakglass/deploy/sandbox/slacktwin"
	"breakglass/store"
	"breakglass/workflows"
	"breakglass/workflows/policy"
)

var _ workflows.Speaker = (*Speaker)(nil)

// stall is a Speaker in front of a Slack workspace of its own.
type stall struct {
	*slacktwin.Workspace
	*Speaker
	t                   *testing.T
	now                 time.Time
	requests, incidents string
	cards               map[store.ID]store.Ref
	mails               []store.Mail
	counted             []string
}

func (s *stall) Send(_ context.Context, m store.Mail) error {
	s.mails = append(s.mails, m)
	return nil
}

func newStall(t *testing.T) *stall {
	t.Helper()
	text, err := os.ReadFile("../deploy/policy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	p, err := policy.Parse("policy.yaml", text)
	if err != nil {
		t.Fatal(err)
	}
	w := slacktwin.New(slacktwin.Config{})
	w.SetQuotas(false)
	s := &stall{Workspace: w, t: t, now: noon, cards: map[store.ID]store.Ref{}}
	for _, u := range []store.Person{alice, bob, carol} {
		w.AddUser(slacktwin.User{ID: u.SlackID, Name: u.UserName, RealName: u.Name, Email: u.Email, EmailConfirmed: true})
	}
	us := []string{"U0000TWIN", "UALICE", "UBOB"}
	s.requests = w.AddChannel(slacktwin.Channel{Name: "platform-support", Members: us})
	s.incidents = w.AddChannel(slacktwin.Channel{Name: "platform-incidents", Members: us})
	w.AddUserGroup(slacktwin.UserGroup{ID: "S0LEADS", Handle: "platform-leads", Name: "Leads"})
	srv := httptest.NewServer(w)
	t.Cleanup(srv.Close)
	s.Speaker = NewSpeaker(SpeakerConfig{
		API:      slack.New("xoxb-twin", slack.OptionAPIURL(srv.URL+"/api/")),
		Policy:   func() *policy.Policy { return p },
		Channels: func(context.Context) (string, string, error) { return s.requests, s.incidents, nil },
		Card:     func(id store.ID) (store.Ref, bool) { ref, ok := s.cards[id]; return ref, ok },
		Mail:     s,
		Counted:  func(what string) { s.counted = append(s.counted, what) },
		Now:      func() time.Time { return s.now },
	})
	return s
}

// say delivers, and fails the test where that fails.
func (s *stall) say(n store.Notice, r store.Request, ref store.Ref) store.Ref {
	s.t.Helper()
	out, err := s.Deliver(s.t.Context(), n, r, ref)
	if err != nil {
		s.t.Fatalf("%s: %v\n%v", n.Kind, err, s.Refusals())
	}
	return out
}

// at says whether two messages stand in the same place, whatever they say.
func at(a, b store.Ref) bool { return a.Channel == b.Channel && a.TS == b.TS }

func (s *stall) card(r store.Request) store.Ref {
	s.t.Helper()
	ref := s.say(store.Notice{Seq: 1, Kind: workflows.NoticeCard, Message: workflows.NoticeCard, Request: r.ID}, r, store.Ref{})
	s.cards[r.ID] = ref
	return ref
}

func (s *stall) refused(n store.Notice, r store.Request, ref store.Ref) *workflows.Undelivered {
	s.t.Helper()
	_, err := s.Deliver(s.t.Context(), n, r, ref)
	var u *workflows.Undelivered
	if !errors.As(err, &u) {
		s.t.Fatalf("%s: %v is no *workflows.Undelivered", n.Kind, err)
	}
	return u
}

func (s *stall) clean() {
	s.t.Helper()
	if bad := s.Refusals(); len(bad) > 0 {
		s.t.Errorf("Slack refused: %v", bad)
	}
}

func TestCardLives(t *testing.T) {
	s := newStall(t)
	ref := s.card(asking())
	if ref.Channel != s.requests {
		t.Errorf("the card stands in %q", ref.Channel)
	}
	m := s.Messages(s.requests)[0]
	if m.UnfurlLinks || m.UnfurlMedia {
		t.Error("links are unfurled")
	}
	var meta slack.SlackMetadata
	if err := json.Unmarshal(m.Metadata, &meta); err != nil || meta.EventType != "breakglass" || meta.EventPayload["notice"] != 1.0 {
		t.Errorf("metadata: %s", m.Metadata)
	}
	if diff := cmp.Diff([]string{"Approve", "Deny", "Cancel request"}, m.Buttons()); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(string(m.Blocks), "S0LEADS") {
		t.Error("the approvers' group is not mentioned")
	}
	again := s.say(store.Notice{Seq: 2, Kind: workflows.NoticeCard, Message: workflows.NoticeCard, Request: "BG-1042"}, in(store.Active), ref)
	m = s.Messages(s.requests)[0]
	if !at(again, ref) || m.Updates != 1 || !slices.Equal(m.Buttons(), []string{"End now", "Revoke"}) {
		t.Errorf("after the edit: %+v, %d updates, %v", again, m.Updates, m.Buttons())
	}
	s.say(store.Notice{Kind: workflows.NoticeGranted, Request: "BG-1042"}, in(store.Active), store.Ref{})
	if thread := s.Thread(s.requests, ref.TS); len(thread) < 1 || !strings.Contains(thread[len(thread)-1].PlainText(), "Approved by") {
		t.Errorf("thread: %v", thread)
	}
	s.clean()
}

// Every kind of notice that the workflows can give has words, goes somewhere, and is taken by Slack.
func TestEveryNoticeIsSaid(t *testing.T) {
	s := newStall(t)
	r := in(store.Active)
	r.Readings = []store.Reading{reading()}
	s.card(r)
	for name, kind := range declaredNotices(t) {
		to := "UBOB"
		if kind == workflows.NoticeMail {
			to = "a@forge.example"
		}
		data := map[string]string{"reading": "0", "channel": s.requests, "slack": "UALICE", "what": "begin"}
		if _, err := s.Deliver(t.Context(), store.Notice{Seq: 9, Kind: kind, Request: r.ID, To: to, Data: data}, r, store.Ref{}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	s.clean()
	u := s.refused(store.Notice{Kind: "new"}, r, store.Ref{})
	if !u.Permanent {
		t.Errorf("an unknown kind: %+v", u)
	}
}

func declaredNotices(t *testing.T) map[string]string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../workflows/notice.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	ast.Inspect(file, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok && len(v.Values) == 1 {
			if lit, ok := v.Values[0].(*ast.BasicLit); ok && strings.HasPrefix(v.Names[0].Name, "Notice") {
				found[v.Names[0].Name], _ = strconv.Unquote(lit.Value)
			}
		}
		return true
	})
	if len(found) < 20 {
		t.Fatalf("only %d kinds found: %v", len(found), found)
	}
	return found
}

func TestPlaces(t *testing.T) {
	s := newStall(t)
	r := in(store.Active)
	s.card(r)
	s.say(store.Notice{Kind: workflows.NoticeTierZero, Request: r.ID}, r, store.Ref{})
	s.say(store.Notice{Kind: workflows.NoticePolicy, Data: map[string]string{"hash": "ab"}}, store.Request{}, store.Ref{})
	s.say(store.Notice{Kind: workflows.NoticePass, Message: workflows.NoticePass, Request: r.ID}, r, store.Ref{})
	s.say(store.Notice{Kind: workflows.NoticeAsk, Message: "ask UBOB", To: "UBOB", Request: r.ID}, asking(), store.Ref{})
	if n := len(s.Messages(s.incidents)); n != 1 {
		t.Errorf("%d messages in the incidents channel", n)
	}
	if n := len(s.Messages(s.requests)); n != 2 {
		t.Errorf("%d messages in the requests channel", n)
	}
	if dm := s.DM("UALICE"); len(dm) != 1 || !slices.Contains(dm[0].Buttons(), "End now") {
		t.Errorf("the requester has %v", dm)
	}
	if dm := s.DM("UBOB"); len(dm) != 1 || !slices.Equal(dm[0].Buttons(), []string{"Approve", "Deny"}) {
		t.Errorf("the approver has %v", dm)
	}
	s.say(store.Notice{Kind: workflows.NoticeMail, Request: r.ID, To: "a@forge.example", Data: map[string]string{"what": "begin"}}, r, store.Ref{})
	if len(s.mails) != 1 || !strings.Contains(s.mails[0].Subject, "access begins") {
		t.Errorf("mails: %v", s.mails)
	}
	s.clean()
}

func TestRefusalIsForOnePerson(t *testing.T) {
	s := newStall(t)
	refuse := func(to, channel string) {
		s.say(store.Notice{Kind: workflows.NoticeRefusal, To: to, Data: map[string]string{"why": "You asked for this yourself.", "channel": channel}}, asking(), store.Ref{})
	}
	refuse("UBOB", s.requests)
	if m := s.As("UBOB").Ephemerals(s.requests); len(m) != 1 || len(s.Messages(s.requests)) != 0 {
		t.Errorf("in the channel: %+v", m)
	}
	refuse("UCAROL", s.requests) // who is no member of it
	if dm := s.DM("UCAROL"); len(dm) != 1 {
		t.Errorf("outsider: %v", dm)
	}
	refuse("UBOB", "D0WHATEVER")
	if dm := s.DM("UBOB"); len(dm) != 1 {
		t.Errorf("in the direct messages: %v", dm)
	}
}

func TestWhatCannotBeEditedIsPostedAnew(t *testing.T) {
	n := store.Notice{Kind: workflows.NoticeCard, Message: workflows.NoticeCard, Request: "BG-1042"}
	for _, code := range []string{"message_not_found", "cant_update_message", "edit_window_closed"} {
		s := newStall(t)
		ref := s.card(asking())
		s.FailNext("chat.update", code, 1)
		next := s.say(n, in(store.Active), ref)
		if at(next, ref) || next.Channel != s.requests {
			t.Errorf("%s: stands at %+v", code, next)
		}
		if thread := s.Thread(s.requests, next.TS); len(thread) == 0 || !strings.Contains(thread[len(thread)-1].PlainText(), "goes on for it") {
			t.Errorf("%s: thread of the new card: %v", code, thread)
		}
		if !slices.Equal(s.counted, []string{"moved"}) {
			t.Errorf("%s: counted %v", code, s.counted)
		}
	}
	// Another channel in the policy, and the old one is archived.
	s := newStall(t)
	ref := s.card(asking())
	s.UpdateChannel(s.requests, func(c *slacktwin.Channel) { c.Archived = true })
	if u := s.refused(n, in(store.Active), ref); u.Permanent || u.After != repairPause {
		t.Errorf("archived: %+v", u)
	}
	s.requests = s.incidents
	if next := s.say(n, in(store.Active), ref); next.Channel != s.incidents {
		t.Errorf("moved channel: %+v", next)
	}
	if at := s.say(store.Notice{Kind: workflows.NoticeGranted, Request: "BG-1042"}, in(store.Active), store.Ref{}); at.Channel != s.incidents {
		t.Errorf("the line stands in %+v", at)
	}
}

func TestClassesOfErrors(t *testing.T) {
	n := store.Notice{Kind: workflows.NoticeTierZero}
	type class struct {
		Permanent, Certain bool
		After              time.Duration
	}
	for how, want := range map[string]class{
		"not_in_channel": {Certain: true, After: repairPause},
		"invalid_auth":   {Certain: true, After: repairPause},
		"user_not_found": {Permanent: true, Certain: true},
		"ratelimited:7":  {Certain: true, After: 7 * time.Second},
		"503":            {},
		"internal_error": {},
		"something_new":  {Certain: true},
	} {
		s := newStall(t)
		s.FailNext("chat.postMessage", how, 1)
		u := s.refused(n, tierNought(), store.Ref{})
		if diff := cmp.Diff(want, class{u.Permanent, u.Certain, u.After}); diff != "" {
			t.Errorf("%s: %s", how, diff)
		}
	}
	s := newStall(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Deliver(ctx, n, tierNought(), store.Ref{})
	if u, ok := errors.AsType[*workflows.Undelivered](err); !ok || u.Permanent || u.Certain || !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	s.FailNext("conversations.open", "503", 1)
	if u := s.refused(store.Notice{Kind: workflows.NoticeWarning, To: "UALICE"}, in(store.Active), store.Ref{}); u.Permanent || !u.Certain {
		t.Errorf("no direct messages: %+v", u)
	}
	if u := s.refused(store.Notice{Kind: workflows.NoticeWarning}, in(store.Active), store.Ref{}); !u.Permanent {
		t.Errorf("nobody to tell: %+v", u)
	}
	s.requests = ""
	if u := s.refused(store.Notice{Kind: workflows.NoticeCard}, asking(), store.Ref{}); u.Permanent || !u.Certain {
		t.Errorf("no channel: %+v", u)
	}
}

func TestMalformedIsSaidInShort(t *testing.T) {
	for _, code := range []string{"invalid_blocks", "msg_too_long", "msg_blocks_too_long"} {
		s := newStall(t)
		s.FailNext("chat.postMessage", code, 1)
		s.card(asking())
		if m := s.Messages(s.requests); len(m) != 1 || !strings.Contains(m[0].PlainText(), "prod-wealth") || !slices.Equal(s.counted, []string{"plain"}) {
			t.Errorf("%s: %v, counted %v", code, m, s.counted)
		}
	}
	s := newStall(t)
	ref := s.card(asking())
	s.FailNext("chat.update", "msg_too_long", 1)
	if next := s.say(store.Notice{Kind: workflows.NoticeCard, Request: "BG-1042"}, in(store.Active), ref); !at(next, ref) {
		t.Errorf("the short form stands at %+v", next)
	}
}

func TestUserGroupsAreRemembered(t *testing.T) {
	s := newStall(t)
	asked := func() (n int) {
		for _, c := range s.Calls() {
			if c.Method == "usergroups.list" {
				n++
			}
		}
		return n
	}
	check := func(want int, why string) {
		t.Helper()
		if got := asked(); got != want {
			t.Errorf("%s: Slack was asked %d times, not %d", why, got, want)
		}
	}
	s.FailNext("usergroups.list", "503", 1)
	s.card(asking())
	check(1, "no answer")
	if m := s.Messages(s.requests)[0]; !strings.Contains(string(m.Blocks), "@platform-leads") {
		t.Errorf("without an answer the handle is not shown: %s", m.Blocks)
	}
	s.card(asking())
	check(1, "left alone after no answer")
	s.now = s.now.Add(groupPause)
	s.card(asking())
	s.card(asking())
	check(2, "remembered")
	if m := s.Messages(s.requests)[2]; !strings.Contains(string(m.Blocks), "S0LEADS") || !strings.Contains(string(m.Blocks), "@eng-managers") {
		t.Errorf("groups: %s", m.Blocks)
	}
	s.now = s.now.Add(groupMemory)
	s.card(asking())
	check(3, "forgotten")
}
