package handlers

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"breakglass/store"
	"breakglass/workflows"
)

// The review of a month is one message, edited when somebody has looked through it.
func TestReviewLives(t *testing.T) {
	s := newStall(t)
	n := store.Notice{Seq: 3, Kind: workflows.NoticeReview, Message: "review 2026-10", Data: map[string]string{"month": "2026-10", "text": figures}}
	ref := s.say(n, store.Request{}, store.Ref{})
	if m := s.Messages(s.requests); len(m) != 1 || !slices.Equal(m[0].Buttons(), []string{"Reviewed"}) || ref.Channel != s.requests {
		t.Fatalf("posted: %+v at %+v", m, ref)
	}
	n.Data["by"], n.Data["at"] = "Bob <Baker>", "2026-11-03T10:00:00Z"
	if again := s.say(n, store.Request{}, ref); !at(again, ref) {
		t.Errorf("it was posted anew at %+v", again)
	}
	if m := s.Messages(s.requests); len(m) != 1 || len(m[0].Buttons()) != 0 || !strings.Contains(m[0].PlainText(), "Bob <Baker>") {
		t.Errorf("edited: %+v", m)
	}
	s.clean()
}

func TestPlacesOfEvidence(t *testing.T) {
	s := newStall(t)
	r := owe()
	ref := s.card(r)
	s.Workspace.ForgetRefusals()
	s.Speaker.Workspace = Workspace{URL: "https://forge.slack.com/"}
	say := func(kind, to string, data map[string]string) {
		t.Helper()
		s.say(store.Notice{Kind: kind, Request: r.ID, To: to, Data: data}, r, store.Ref{})
	}
	say(workflows.NoticeOwing, "", nil)
	say(workflows.NoticeWitness, "", map[string]string{"note": checkpoint, "size": "137"})
	say(workflows.NoticeArchive, "", map[string]string{"error": "AccessDenied", "waiting": "2"})
	say(workflows.NoticeRolled, "", map[string]string{"archive": "9", "log": "8"})
	say(workflows.NoticeOwed, "UBOB", map[string]string{"what": store.OwedPostMortem})
	say(workflows.NoticeAskMortem, "UALICE", nil)
	thread := s.Thread(s.requests, ref.TS)
	if m := thread[len(thread)-1]; !slices.Equal(m.Buttons(), []string{"Write post-mortem"}) {
		t.Errorf("in the thread: %+v", m)
	}
	last := s.Messages(s.requests)
	if m := last[len(last)-1]; !strings.Contains(m.PlainText(), "breakglass+0123456789abcdef") {
		t.Errorf("the checkpoint stands at %+v", m)
	}
	if n := len(s.Messages(s.incidents)); n != 2 {
		t.Errorf("%d messages in the incidents channel", n)
	}
	link := "https://forge.slack.com/archives/" + ref.Channel + "/p" + strings.ReplaceAll(ref.TS, ".", "")
	for _, who := range []string{"UBOB", "UALICE"} {
		if dm := s.DM(who); len(dm) != 1 || !strings.Contains(string(dm[0].Blocks), link) {
			t.Errorf("%s has %+v without %s", who, dm, link)
		}
	}
	s.clean()
}

// A report is rendered by whoever knows how, and sent to those the notice names; what cannot be rendered now is tried again.
func TestReportByMail(t *testing.T) {
	s := newStall(t)
	n := store.Notice{Kind: workflows.NoticeReport, Request: "BG-1042", To: "a@forge.example, b@forge.example", Data: map[string]string{"reading": "0"}}
	s.say(n, owe(), store.Ref{}) // nobody renders it: it is dropped, and that is in the log
	var fault error
	s.Report = func(_ context.Context, n store.Notice, r store.Request) (store.Mail, error) {
		return store.Mail{Subject: string(r.ID) + " " + n.Data["reading"], Text: "text", HTML: "<p>html</p>"}, fault
	}
	s.say(n, owe(), store.Ref{})
	if len(s.mails) != 1 || !slices.Equal(s.mails[0].To, []string{"a@forge.example", "b@forge.example"}) || s.mails[0].HTML == "" || s.mails[0].Subject != "BG-1042 0" {
		t.Errorf("sent: %+v", s.mails)
	}
	fault = errors.New("the picture could not be drawn")
	if u := s.refused(n, owe(), store.Ref{}); u.Permanent || !u.Certain || !errors.Is(u, fault) {
		t.Errorf("not rendered: %+v", u)
	}
	fault = &workflows.Undelivered{Permanent: true, Certain: true, Err: errors.New("there is no such reading")}
	if u := s.refused(n, owe(), store.Ref{}); !u.Permanent {
		t.Errorf("never to be rendered: %+v", u)
	}
	n.To = " , "
	s.say(n, owe(), store.Ref{})
	if len(s.mails) != 1 {
		t.Errorf("%d mails", len(s.mails))
	}
}
