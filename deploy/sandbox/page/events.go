package page

import (
	"fmt"
	"net/http"
	"time"
)

const (
	// breath is how long a change waits for those that come with it: one click makes a dozen.
	breath = 80 * time.Millisecond
	// beat is how often the organisation is asked to do what is due: it has no clock of its own, and the bot may be gone.
	beat = time.Second
	// stale is after how many beats a quiet page is drawn again, so that "5 minutes ago" stays true.
	stale = 20
)

// events tells the script when to fetch the page again.
func (s *site) events(w http.ResponseWriter, r *http.Request) {
	out := http.NewResponseController(w)
	_ = out.SetWriteDeadline(time.Time{}) // a server's own limit is for answers that end
	w.Header().Set("Content-Type", "text/event-stream")
	slack, stopSlack := s.world.Slack.Subscribe()
	defer stopSlack()
	aws, stopAWS := s.world.AWS.Subscribe()
	defer stopAWS()
	own, stopOwn := s.subscribe()
	defer stopOwn()
	ticker := time.NewTicker(beat)
	defer ticker.Stop()
	tell := func() bool {
		_, err := fmt.Fprint(w, "event: change\ndata: {}\n\n")
		return err == nil && out.Flush() == nil
	}
	for quiet := 0; tell(); quiet = 0 {
		for waiting := true; waiting; {
			moved := s.clock.Moved()
			select {
			case <-r.Context().Done():
				return
			case <-slack:
				waiting = false
			case <-aws:
				waiting = false
			case <-own:
				waiting = false
			case <-moved:
				waiting = false
			case <-ticker.C:
				s.world.AWS.Tick()
				quiet++
				waiting = quiet < stale
			}
		}
		select {
		case <-r.Context().Done():
			return
		case <-time.After(breath):
		}
	}
}

// subscribe is for what changes in the page itself: what somebody tried in a session, a switch in the faults.
func (s *site) subscribe() (<-chan struct{}, func()) {
	c := make(chan struct{}, 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.poke[c] = true
	return c, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.poke, c)
	}
}

func (s *site) changed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.poke {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}
