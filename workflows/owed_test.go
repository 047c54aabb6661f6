package workflows_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"breakglass/store"
	"breakglass/workflows"
)

// owing is what somebody was told, by whom it went to.
func (w *world) heardBy(kind, who string) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, t := range w.told {
		if t.n.Kind == kind && t.n.To == who {
			n++
		}
	}
	return n
}

func (s *legend) waive(who string, id store.ID, what, why string) string {
	s.press(who, store.Click{Kind: store.ClickWaive, Request: id, Reason: what, Text: why})
	s.pass(2 * time.Second)
	return s.refused()
}

// Nobody writes: the requester is asked, then their manager is told, who closes it with a reason; nobody else may.
func TestNobodyWritesThePostMortem(t *testing.T) {
	evident(t, func(s *legend) {
		id := s.over("emergency")
		s.hours(6 * time.Hour)
		if s.state(id) != store.Reported {
			s.t.Fatalf("%s is %s without its post-mortem", id, s.state(id))
		}
		s.waive("lee", id, store.OwedPostMortem, "too early")
		s.hours(20 * time.Hour)
		if s.heardBy(workflows.NoticeAskMortem, "UDANA") < 2 || s.heardBy(workflows.NoticeOwed, "ULEE") == 0 || s.heard(workflows.NoticeNoMortem) != 1 {
			s.t.Errorf("asked %d times, the manager %d, the thread %d", s.heardBy(workflows.NoticeAskMortem, "UDANA"), s.heardBy(workflows.NoticeOwed, "ULEE"), s.heard(workflows.NoticeNoMortem))
		}
		s.waive("dana", id, store.OwedPostMortem, "I close it myself")
		s.waive("sam", id, store.OwedPostMortem, "as a stranger")
		s.waive("lee", id, store.OwedPostMortem, " ")
		if got := s.record(id); len(got.Waived) > 0 || got.State != store.Reported {
			s.t.Fatalf("it was closed: %+v", got.Waived)
		}
		was := s.people["dana"]
		left := was
		left.ManagerID = "pat" // lee is her manager no more
		s.people["dana"] = left
		s.waive("lee", id, store.OwedPostMortem, "as before")
		if got := s.record(id); len(got.Waived) > 0 {
			s.t.Fatalf("a former manager closed it: %+v", got.Waived)
		}
		s.people["dana"] = was
		s.waive("lee", id, store.OwedPostMortem, "a drill")
		s.until(id, store.Closed, time.Minute)
		s.pass(11 * time.Minute)
		s.archivedOnce()
		if got := folders(s.world, "sessions/"+string(id)); !slices.Contains(got, "004-post-mortem") {
			s.t.Errorf("%v", got)
		}
	})
}

// The requester left the company: those of the lockdown answer for it.
func TestTheRequesterLeft(t *testing.T) {
	evident(t, func(s *legend) {
		id := s.over("emergency")
		delete(s.people, "dana")
		s.hours(26 * time.Hour)
		if s.heardBy(workflows.NoticeOwed, "USECURITY.LEAD") == 0 {
			s.t.Error("nobody was told")
		}
		s.waive("security.lead", id, store.OwedPostMortem, "she left")
		s.until(id, store.Closed, time.Minute)
	})
}

// A directory that does not answer for hours does not keep the requester from being asked.
func TestNoManagerCanBeFound(t *testing.T) {
	evident(t, func(s *legend) {
		id := s.over("emergency")
		s.hours(20 * time.Hour)
		s.look = func() error { return errAWS }
		s.hours(8 * time.Hour)
		if s.heard(workflows.NoticeNoMortem) != 1 {
			s.t.Error("the thread does not hear of it")
		}
		s.look = nil
		s.mortem("dana", id)
		s.until(id, store.Closed, time.Minute)
	})
}

// What is written while the case goes on to its next state is not lost, and of two at once one counts.
func TestThePostMortemIsWrittenAsTheCaseMoves(t *testing.T) {
	evident(t, func(s *legend) {
		id := s.active("emergency", "30m")
		s.pass(29 * time.Minute)
		r := s.until(id, store.Revoked, 3*time.Minute)
		at, _ := r.At(store.ClockReport)
		s.people["dana2"] = s.people["dana"] // her other Slack account, which is looked up first
		s.pass(time.Until(at) - time.Second)
		s.slow.Store(int64(5 * time.Second))
		form := map[string]string{"happened": "slow", "done": "restarted"}
		s.press("dana2", store.Click{Kind: store.ClickMortem, Request: id, Form: form})
		s.until(id, store.Reported, 2*time.Minute)
		s.pass(20 * time.Second)
		s.slow.Store(0)
		if s.record(id).PostMortem == nil {
			s.t.Fatalf("what was written is lost: %s\n%s", s.refused(), s.events(id))
		}
		s.press("dana", store.Click{Kind: store.ClickMortem, Request: id, Form: form})
		s.pass(2*time.Hour + time.Minute)
		s.until(id, store.Closed, time.Minute)
		s.pass(11 * time.Minute)
		s.archivedOnce()
	})
}

// A ticket that is missing for a day does not keep the post-mortem's own time from being kept, and what was waived is asked for no more.
func TestTicketAndPostMortemAreMissing(t *testing.T) {
	evident(t, func(s *legend) {
		p := s.people["dana"]
		by := store.By{Actor: store.Somebody(p.Person("UDANA")), At: store.Moment(time.Now())}
		r, err := s.run.e.Submit(context.Background(), by, workflows.Ask{Who: p, Person: p.Person("UDANA"), Scenario: "emergency", Account: "prod-wealth", Duration: "30m", Reason: "api is slow"})
		if err != nil {
			s.t.Fatal(err)
		}
		s.until(r.ID, store.Active, time.Minute)
		s.pass(29 * time.Minute)
		due := s.until(r.ID, store.Revoked, 3*time.Minute).PostMortemBy
		for time.Until(due) > 10*time.Minute {
			s.hours(10 * time.Minute)
		}
		if s.heard(workflows.NoticeNoTicket) != 1 || s.heardBy(workflows.NoticeOwed, "ULEE") == 0 || s.heard(workflows.NoticeNoMortem) != 0 {
			s.t.Errorf("before its time: %d, %d, %d\n%s", s.heard(workflows.NoticeNoTicket), s.heardBy(workflows.NoticeOwed, "ULEE"), s.heard(workflows.NoticeNoMortem), s.events(r.ID))
		}
		s.hours(30 * time.Minute)
		if s.heard(workflows.NoticeNoMortem) != 1 {
			s.t.Errorf("the thread heard %d times that the post-mortem is missing\n%s", s.heard(workflows.NoticeNoMortem), s.events(r.ID))
		}
		s.waive("lee", r.ID, store.OwedTicket, "nobody writes tickets at night")
		asked := s.heard(workflows.NoticeAskTicket)
		s.hours(50 * time.Hour)
		if n := s.heard(workflows.NoticeAskTicket); n != asked {
			s.t.Errorf("a ticket that was waived was asked for %d times more", n-asked)
		}
		if got := s.state(r.ID); got != store.Reported {
			s.t.Errorf("it is %s without its post-mortem", got)
		}
		s.mortem("dana", r.ID)
		s.until(r.ID, store.Closed, time.Minute)
		s.pass(11 * time.Minute)
		s.archivedOnce()
	})
}
