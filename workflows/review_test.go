package workflows_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"breakglass/store"
	"breakglass/workflows"
)

// The month is drawn up once, whoever was down at its time; one reviewer says so, and no stranger does.
func TestTheMonthIsReviewed(t *testing.T) {
	evident(t, func(s *legend) {
		s.pass(2 * time.Minute)
		now := time.Now().In(s.pol.Timezone)
		first := time.Date(now.Year(), now.Month()+1, 1, 9, 0, 0, 0, s.pol.Timezone)
		month := now.Format("2006-01")
		s.stop()
		time.Sleep(time.Until(first) + 5*time.Hour) // it is down when the month is over
		s.start(0)
		s.pass(5 * time.Minute)
		if n := s.heard(workflows.NoticeReview); n != 1 {
			s.t.Fatalf("it was said %d times", n)
		}
		for _, who := range []string{"sam", "dana"} {
			s.press(who, store.Click{Kind: store.ClickReview, Text: month})
			s.pass(time.Second)
		}
		s.press("security.lead", store.Click{Kind: store.ClickReview, Text: "2020-01"})
		s.pass(2 * time.Second)
		if n := s.heard(workflows.NoticeReview); n != 1 {
			s.t.Error("a stranger reviewed it")
		}
		s.slow.Store(int64(2 * time.Second)) // both are looked up at the same time
		s.press("security.lead", store.Click{Kind: store.ClickReview, Text: month})
		s.press("incident.manager", store.Click{Kind: store.ClickReview, Text: month})
		s.pass(20 * time.Second)
		s.slow.Store(0)
		s.pass(11 * time.Minute)
		s.archivedOnce()
		if got := folders(s.world, "reviews/"+month); !slices.Equal(got, []string{"001-drawn", "002-reviewed"}) {
			s.t.Errorf("%v", got)
		}
	})
}

// A month that has not begun is refused in words that say which can be had; one of before the log is drawn, and is not called good.
func TestWhichMonthsCanBeReviewed(t *testing.T) {
	evident(t, func(s *legend) {
		s.pass(2 * time.Minute)
		e, now := s.run.e, time.Now().In(s.pol.Timezone)
		this := now.Format("2006-01")
		for month, want := range map[string]string{"2099-01": "has not begun: there is a review of " + this, now.AddDate(0, 0, 1-now.Day()).AddDate(0, 1, 0).Format("2006-01"): "has not begun",
			"2026-13": "look like 2026-10", "2026-00": "look like 2026-10"} {
			var refused *workflows.Refusal
			if err := e.Reviewable(month, now); !errors.As(err, &refused) || !strings.Contains(refused.Why, want) {
				s.t.Errorf("%s: %v", month, err)
			}
		}
		if err := e.Reviewable(this, now); err != nil {
			s.t.Error(err)
		}
		if r, err := e.Review(this, now); err != nil || !r.Until.Equal(now) {
			s.t.Errorf("the month under way: %v, until %v", err, r.Until)
		}
		r, err := e.Review("1999-12", now)
		if err != nil || !strings.Contains(r.Lines()[0], "The log begins on "+r.Begins.In(s.pol.Timezone).Format("2006-01-02")) {
			s.t.Errorf("a month before the log: %v", err)
		}
	})
}

// A ticket that comes when its time is over is there, and late: only the log knows that, since the record has no time for it.
func TestTheReviewKnowsLateTickets(t *testing.T) {
	evident(t, func(s *legend) {
		p := s.people["dana"]
		by := store.By{Actor: store.Somebody(p.Person("UDANA")), At: store.Moment(time.Now())}
		r, err := s.run.e.Submit(context.Background(), by, workflows.Ask{Who: p, Person: p.Person("UDANA"), Scenario: "emergency", Account: "prod-wealth", Duration: "30m", Reason: "api is slow"})
		if err != nil {
			s.t.Fatal(err)
		}
		s.until(r.ID, store.Active, time.Minute)
		for s.heard(workflows.NoticeNoTicket) == 0 {
			s.hours(10 * time.Minute)
		}
		s.press("dana", store.Click{Kind: store.ClickTicket, Request: r.ID, Text: "OPS-7"})
		s.pass(5 * time.Second)
		now := time.Now().In(s.pol.Timezone)
		got, err := s.run.e.Review(now.Format("2006-01"), now)
		if err != nil || len(got.Told) != 1 || got.Told[0].Ticket != "OPS-7" || got.Told[0].TicketIs != "late" || got.LateTicket.Count != 1 || got.Escalated.Count != 1 {
			s.t.Errorf("%v: %+v", err, got.Told)
		}
		s.mortem("dana", r.ID)
		s.hours(24 * time.Hour)
		s.archivedOnce()
	})
}

// A clock that was a year ahead for a while keeps no review from its time.
func TestAClockAheadSkipsNoReview(t *testing.T) {
	evident(t, func(s *legend) {
		if err := s.run.db.Jot(store.By{Actor: store.Bot(), At: time.Now()}, "monthly", time.Now().AddDate(1, 0, 0).Format(time.RFC3339)); err != nil {
			s.t.Fatal(err)
		}
		s.hours(12 * time.Hour) // the first of a month, past nine
		if n := s.heard(workflows.NoticeReview); n != 1 {
			s.t.Errorf("it was said %d times", n)
		}
	})
}
