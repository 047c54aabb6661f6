package report

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"breakglass/store"
)

// A month that is not over says in each place where one reads it that it is not, and a month of which the log knows nothing is not called good.
func TestReviewOfPartOfAMonth(t *testing.T) {
	m := october()
	m.At = time.Date(2026, 10, 21, 9, 30, 0, 0, time.UTC)
	m.Requests, m.Findings = nil, nil
	const until = "until 2026-10-21 09:30 UTC"
	saysInAll := func(m Month, want string) string {
		t.Helper()
		r := NewReview(m)
		html, text, err := r.Write(Filed)
		if err != nil {
			t.Fatal(err)
		}
		text = strings.Join(strings.Fields(text), " ")
		for where, s := range map[string]string{"subject": r.Subject(), "lead": r.lead(), "text": text, "page": html, "channel": strings.Join(r.Lines(), "\n")} {
			if !strings.Contains(strings.ToLower(s), strings.ToLower(want)) {
				t.Errorf("the %s does not say %q: %.300s", where, want, s)
			}
		}
		return text
	}
	saysInAll(m, until)
	var j struct{ Until, LogBegins time.Time }
	b, err := NewReview(m).JSON()
	if err != nil || json.Unmarshal(b, &j) != nil || !j.Until.Equal(m.At) {
		t.Errorf("review.json says until %v: %v", j.Until, err)
	}
	for name, begins := range map[string]time.Time{"after it": m.To.AddDate(0, 1, 3), "at its end": m.To} {
		m := october()
		m.Requests, m.Findings, m.Begins = nil, nil, begins
		if text := saysInAll(m, "the log begins on "+begins.Format("2006-01-02")); strings.Contains(text, "Good") {
			t.Errorf("%s: nothing is known, and that is good:\n%s", name, text)
		}
	}
	m = october()
	m.Requests, m.Findings, m.Begins = nil, nil, m.From.Add(48*time.Hour)
	if r := NewReview(m); r.remarks(rooms()[0])[0].Tone != warn || !strings.Contains(r.remarks(rooms()[0])[0].Text, "begins on 2026-10-03") {
		t.Errorf("a log that begins on the third: %v", r.remarks(rooms()[0]))
	}
	m.Begins = m.From
	if r := NewReview(m); !r.Begins.IsZero() {
		t.Error("a log as old as the month is said to be younger")
	}
}

// What is asked of the reviewer can be answered from the page: who, on whose word, with which ticket and post-mortem, and why.
func TestReviewTellsItsSessions(t *testing.T) {
	r := review()
	html, text, err := r.Write(Filed)
	if err != nil {
		t.Fatal(err)
	}
	text = strings.Join(strings.Fields(text), " ")
	if len(r.Told) != r.Sessions+r.Along {
		t.Errorf("%d of %d sessions are told", len(r.Told), r.Sessions+r.Along)
	}
	got := map[store.ID]Entry{}
	for _, s := range r.Told {
		got[s.ID] = s
		if !strings.Contains(html, string(s.ID)) || !strings.Contains(text, string(s.ID)) {
			t.Errorf("%s is not on the page", s.ID)
		}
	}
	for id, want := range map[store.ID][2]string{"BG-1114": {owedOnTime, owedOnTime}, "BG-1115": {owedLate, owedOnTime}, "BG-1116": {owedOnTime, owedWaived}, "BG-1117": {owedOnTime, owedNot},
		"BG-1118": {owedOnTime, owedLate}, "BG-1121": {owedOverdue, owedOnTime}} {
		if s := got[id]; s.TicketIs != want[0] || s.MortemIs != want[1] {
			t.Errorf("%s: ticket %s, post-mortem %s; they are %v", id, s.TicketIs, s.MortemIs, want)
		}
	}
	for _, want := range []string{"ticket: OPS-1, late", "post-mortem: no, waived", "post-mortem: yes, late", "ticket: none, overdue", "whose word: nobody's word", "reason: The shop is down",
		"1 session has a post-mortem that came late: BG-1118", "1 session has a ticket that came late: BG-1115", "2 sessions had something missing of which others were told: BG-1115 and BG-1116"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
}

// Of very many sessions those are kept that want to be looked at; the rest is counted, and what is held does not grow with the month.
func TestReviewKeepsFewSessions(t *testing.T) {
	m := october()
	m.Escalated = nil
	const all = 20_000
	widest := 0
	r := &Review{}
	b := newBuilder(r, m)
	for i := range all {
		q := store.Request{ID: store.ID(fmt.Sprint("BG-", 1001+i)), State: store.Closed, Requester: alice(), SubmittedAt: m.From, GrantedAt: m.From, EndedAt: m.From.Add(time.Hour), Group: "g",
			ExpiresAt: m.From.Add(time.Hour), Reason: strings.Repeat("why ", 5000)}
		if i == all-1 {
			q.Readings, q.Group = []store.Reading{{Sensitive: 1}}, ""
		}
		b.add(&q)
		widest = max(widest, cap(r.Told))
	}
	b.finish()
	if len(r.Told) != mostSessions || widest > 4*mostSessions {
		t.Errorf("%d are told, %d were held", len(r.Told), widest)
	}
	if r.Told[0].ID != "BG-21000" || r.Told[1].ID != "BG-1001" || !slices.IsSortedFunc(r.Told[1:], func(a, b Entry) int { return byNumber(a.ID, b.ID) }) {
		t.Errorf("they begin with %s and %s", r.Told[0].ID, r.Told[1].ID)
	}
	if p := r.sessions(rooms()[0]); p.Table == nil || p.Table.More != "And 19,940 more, which are in the archive." {
		t.Errorf("what is left out: %+v", p.Table)
	}
}
