package handlers

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/slack-go/slack"

	"breakglass/store"
)

// overdue puts a session that is over into the store, with a post-mortem owed, and its card into the channel.
func overdue(t *testing.T, r *rig, change func(*store.Request)) (q store.Request, ts string) {
	t.Helper()
	q = record(t, r, "alice", "ec2", "prod-9squid", store.Revoked)
	q = amend(t, r, q, func(q *store.Request) {
		q.Owes, q.PostMortemBy, q.EndedAt = true, time.Now().Add(24*time.Hour), time.Now()
		if change != nil {
			change(q)
		}
	})
	return q, post(t, r, q)
}

func amend(t *testing.T, r *rig, q store.Request, change func(*store.Request)) store.Request {
	t.Helper()
	q, err := r.db.Touch(store.By{Actor: store.Bot(), At: time.Now()}, q.ID, q.State, func(c *store.Change) error { change(c.Request); return nil })
	must(t, err)
	return q
}

func told1(t *testing.T, r *rig, of string, want string) {
	t.Helper()
	e := r.As(of).In(r.ops).Ephemerals(r.ops)
	if len(e) == 0 || !strings.Contains(e[len(e)-1].PlainText(), want) {
		t.Errorf("%s is told %+v, not %q", of, e, want)
	}
}

func TestWritePostMortem(t *testing.T) {
	inBubble(t, example(t, nil), func(t *testing.T, r *rig) {
		q, ts := overdue(t, r, nil)
		for _, other := range []string{"UBOB", "UNEW"} { // nobody else gets the form: what they wrote would be lost
			must(t, r.As(other).In(r.ops).Click(t.Context(), r.ops, ts, "Write post-mortem"))
			settle()
			if r.As(other).View() != nil {
				t.Errorf("a form opened for %s", other)
			}
			told1(t, r, other, "Only alice may write the post-mortem")
		}
		must(t, r.alice.Click(t.Context(), r.ops, ts, "Write post-mortem"))
		settle()
		v := r.alice.View()
		if v == nil || strings.Join(v.Labels(), ", ") != "What happened, What was done, Follow-ups" {
			t.Fatalf("the form is %+v", v)
		}
		fill(t, r.alice, "What happened", " \u200b ", "What was done", "\u2060", "Follow-ups", "Fix the *alarm*.")
		if errs := submit(t, r.alice); len(errs) != 2 {
			t.Errorf("two empty fields bring %v", errs)
		}
		v = r.alice.View()
		if v.Field("What happened").Error != "Say what happened." || v.Field("What was done").Error != "Say what was done." || v.Field("Follow-ups").Value != "Fix the *alarm*." {
			t.Errorf("the form says %+v", v.Errors)
		}
		long := strings.Repeat("🔥", mostTyped) // as many as Slack takes, by the count that takes most
		fill(t, r.alice, "What happened", "  A deploy <broke>\ncheckout. ", "What was done", long)
		if errs := submit(t, r.alice); len(errs) > 0 || r.alice.View() != nil {
			t.Fatalf("the form is refused: %v", errs)
		}
		want(t, r, store.Click{Kind: store.ClickMortem, Request: q.ID, SlackID: "UALICE", Channel: r.ops, TS: ts, Form: map[string]string{
			"happened": "A deploy <broke>\ncheckout.", "done": long, "follow_ups": "Fix the *alarm*.",
		}})
	})
}

// What has changed between opening the form and sending it is said in it, and what was written stays.
func TestPostMortemTooLate(t *testing.T) {
	inBubble(t, example(t, nil), func(t *testing.T, r *rig) {
		q, ts := overdue(t, r, nil)
		open := func() {
			t.Helper()
			must(t, r.alice.Click(t.Context(), r.ops, ts, "Write post-mortem"))
			settle()
		}
		open()
		fill(t, r.alice, "What happened", "A deploy.", "What was done", "Rolled back.")
		desk := r.h.desk
		r.h.desk = brokenDesk{desk}
		if errs := submit(t, r.alice); len(errs) != 1 || !strings.Contains(r.alice.View().Field("What happened").Error, "what you have written stays") {
			t.Errorf("a disk that is full: %v", errs)
		}
		r.h.desk = desk
		q = amend(t, r, q, func(q *store.Request) { q.Waived = []store.Waiver{{What: store.OwedPostMortem, Reason: "she left"}} })
		if errs := submit(t, r.alice); len(errs) != 1 || !strings.Contains(r.alice.View().Field("What happened").Error, "closed without its post-mortem") || r.alice.View().Field("What was done").Value != "Rolled back." {
			t.Errorf("the form says %v", errs)
		}
		must(t, r.alice.CloseAll(t.Context()))
		open()
		told1(t, r, "UALICE", "closed without its post-mortem")
		amend(t, r, q, func(q *store.Request) { q.Waived, q.PostMortem = nil, mortem("x") })
		open()
		told1(t, r, "UALICE", "has its post-mortem already")
		if len(clicks(t, r)) != 0 || r.alice.View() != nil {
			t.Error("it can be written all the same")
		}
		running := record(t, r, "alice", "rds", "prod-cash", store.Active)
		if why := notWritable(running); !strings.Contains(why, "owes no post-mortem") {
			t.Error(why)
		}
		running.Owes = true
		if why := notWritable(running); !strings.Contains(why, "has not ended yet") {
			t.Error(why)
		}
	})
}

func TestCloseWithoutIt(t *testing.T) {
	inBubble(t, example(t, nil), func(t *testing.T, r *rig) {
		q, _ := overdue(t, r, func(q *store.Request) { q.TicketBy = time.Now() })
		for _, what := range []string{store.OwedPostMortem, store.OwedTicket} {
			before := len(clicks(t, r))
			ts := postMessage(t, r, owedNotice(store.Notice{Data: map[string]string{"what": what}}, q, setting{}))
			must(t, r.alice.Click(t.Context(), r.ops, ts, "Close without it"))
			settle()
			told1(t, r, "UALICE", "You owe it yourself")
			must(t, r.bob.Click(t.Context(), r.ops, ts, "Close without it"))
			settle()
			if v := r.bob.View(); v == nil || !strings.Contains(v.PlainText(), owedThing(what)) {
				t.Fatalf("%s: the form is %+v", what, v)
			}
			fill(t, r.bob, "Reason", "\u2060")
			if errs := submit(t, r.bob); len(errs) != 1 {
				t.Errorf("an empty reason brings %v", errs)
			}
			fill(t, r.bob, "Reason", "INC-9 has it <all>")
			if errs := submit(t, r.bob); len(errs) > 0 {
				t.Fatalf("the form is refused: %v", errs)
			}
			c := clicks(t, r)
			if len(c) != before+1 {
				t.Fatalf("recorded: %+v", c)
			}
			if k := c[before]; k.Kind != store.ClickWaive || k.Reason != what || k.Text != "INC-9 has it <all>" || k.Request != q.ID || k.SlackID != "UBOB" || k.TS != ts {
				t.Errorf("recorded: %+v", k)
			}
		}
		ts := postMessage(t, r, owedNotice(store.Notice{Data: map[string]string{"what": store.OwedTicket}}, q, setting{}))
		must(t, r.bob.Click(t.Context(), r.ops, ts, "Close without it"))
		settle()
		fill(t, r.bob, "Reason", "enough")
		amend(t, r, q, func(q *store.Request) { q.Ticket = "OPS-7" })
		if errs := submit(t, r.bob); len(errs) != 1 || !strings.Contains(r.bob.View().Field("Reason").Error, "owes a ticket no longer") || r.bob.View().Field("Reason").Value != "enough" {
			t.Errorf("the form says %v", errs)
		}
	})
}

func TestReviewed(t *testing.T) {
	inBubble(t, example(t, nil), func(t *testing.T, r *rig) {
		ts := postMessage(t, r, review(store.Notice{Data: map[string]string{"month": "2026-10", "text": figures}}))
		must(t, r.bob.Click(t.Context(), r.ops, ts, "Reviewed"))
		settle()
		want(t, r, store.Click{Kind: store.ClickReview, SlackID: "UBOB", Channel: r.ops, TS: ts, Text: "2026-10"})
		for _, odd := range []string{"", "2026-13", "2026-1", "BG-1042", " 2026-10", "2026-10-01"} {
			in := slack.InteractionCallback{Type: slack.InteractionTypeBlockActions, User: slack.User{ID: "UBOB", TeamID: "T0000TWIN"}}
			in.ActionCallback.BlockActions = []*slack.BlockAction{{ActionID: actionReview, Value: odd}}
			_, err := r.h.Interaction(t.Context(), in, "odd"+odd)
			must(t, err)
		}
		settle()
		if n := len(clicks(t, r)); n != 1 {
			t.Errorf("%d clicks are recorded", n)
		}
	})
}

// What somebody owes stands where they look: in the App Home, in their history and in the status, for them and for nobody else.
func TestOwedIsShown(t *testing.T) {
	inBubble(t, example(t, nil), func(t *testing.T, r *rig) {
		q, _ := overdue(t, r, func(q *store.Request) { q.TicketBy = time.Now().Add(time.Hour) })
		must(t, r.db.SetFact(store.By{Actor: store.Bot(), At: time.Now()}, factPerson+"UALICE", q.Requester.UserID, store.EventPerson, nil))
		r.h.Refresh(t.Context(), "UALICE", "UBOB")
		settle()
		if home := r.alice.Home(); home == nil || !strings.Contains(home.PlainText(), "What you still owe") || !strings.Contains(home.PlainText(), "Write post-mortem") {
			t.Errorf("her App Home: %+v", home)
		}
		if strings.Contains(r.bob.Home().PlainText(), "owe") {
			t.Error("his App Home has it as well")
		}
		for line, want := range map[string]string{"/access status": "What you still owe", "/access history": "ended; post-mortem and ticket owed"} {
			if got := command(t, r.alice, line); !strings.Contains(got, want) || !strings.Contains(got, "post-mortem is owed, due by") {
				t.Errorf("%s: %s", line, got)
			}
		}
		if got := command(t, r.bob, "/access status"); strings.Contains(got, "owe") {
			t.Errorf("for somebody else: %s", got)
		}
		if got := command(t, r.bob, "/access help"); !strings.Contains(got, "After a session") || !strings.Contains(got, "platform-audit@forge.example") || !strings.Contains(got, "within 24 hours") {
			t.Errorf("help: %s", got)
		}
	})
}

func FuzzPostMortem(f *testing.F) {
	f.Add("A deploy broke checkout.", "Rolled it back.", "", `{"request":"BG-1042","what":"post-mortem"}`)
	f.Add("\u200b\u2060 ", "\x00\xff", strings.Repeat("🔥", 3001), `{"request":"BG-1042","what":"everything"}`)
	f.Add("<!channel> <@U1> *x* `y`", "\u202egnp.exe", strings.Repeat("a\n", 4000), `{"request":"BG-1042","number":-1}`)
	f.Fuzz(func(t *testing.T, happened, done, follow, metadata string) {
		values := map[string]map[string]slack.BlockAction{}
		for name, v := range map[string]string{fieldHappened: happened, fieldDone: done, fieldFollowUps: follow, "other": happened} {
			values[name] = map[string]slack.BlockAction{formPrefix + name: {Value: v}}
		}
		form, faults := readMortem(readState(&slack.ViewState{Values: values}))
		said := map[string]bool{}
		for _, fault := range faults {
			said[fault.Field] = true
		}
		for _, m := range mortemFields() {
			text, there := form[m.name]
			if there == said[m.name] && (there || m.missing != "") {
				t.Fatalf("%s is %q and has a fault: %v", m.name, text, said[m.name])
			}
			if there && (neutral(text, true) == "" || utf8.RuneCountInString(text) > mostTyped || !utf8.ValidString(text)) {
				t.Fatalf("%s was taken: %q", m.name, text)
			}
		}
		if len(form) > 3 {
			t.Fatalf("%d fields", len(form))
		}
		r := owe()
		r.PostMortem = &store.PostMortem{By: alice, Happened: form[fieldHappened], Done: form[fieldDone], FollowUps: form[fieldFollowUps]}
		for _, bad := range append(faultsOf(written(r)), forged(written(r))...) {
			t.Fatal(bad)
		}
		if s, ok := readSlip(metadata); ok && s.What != "" && s.What != store.OwedPostMortem && s.What != store.OwedTicket {
			t.Fatalf("%+v", s)
		}
		view, err := json.Marshal(waiveView(r, slip{Request: r.ID, What: store.OwedPostMortem}))
		if err != nil || !strings.Contains(string(view), "Reason") {
			t.Fatal(err)
		}
	})
}
