package workflows_test

import (
	"slices"
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
