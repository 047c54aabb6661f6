package workflows

import (
	"log/slog"
	"sync"
	"time"

	"breakglass/store"
)

// steady is the clock the engine goes by: the machine's, but never backwards. A clock that is set back an hour would make every session an
// hour longer; so from then on the time goes on from the latest that was ever seen, at the pace of the monotonic clock, until the machine's
// has caught up. A clock that is set forward ends sessions early, which is the safe side.
type steady struct {
	wall func() time.Time
	log  *slog.Logger

	mu   sync.Mutex
	last time.Time // the latest time given out
	seen time.Time // when that was, by the monotonic clock
	back bool
}

// setBack is how far behind the machine's clock may be before it counts as set back: NTP slews by less.
const setBack = time.Minute

func newSteady(wall func() time.Time, log *slog.Logger) *steady {
	return &steady{wall: wall, log: log}
}

// remember starts from the latest line of the log, so that a restart does not forget.
func (s *steady) remember(db *store.DB) error {
	at, err := db.Latest()
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if at.After(s.last) {
		s.last, s.seen = at, time.Now()
	}
	return nil
}

func (s *steady) now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.wall()
	if s.last.IsZero() {
		s.last, s.seen = w, time.Now()
		return w
	}
	at := s.last.Add(time.Since(s.seen))
	back := w.Before(at.Add(-setBack))
	if back != s.back {
		s.back = back
		if back {
			s.log.Error("the machine's clock was set back: sessions end by the time before, and nothing new is granted until it is right", "clock", w, "by", at.Sub(w).String())
		} else {
			s.log.Warn("the machine's clock has caught up")
		}
	}
	if !back {
		at = w
	}
	s.last, s.seen = at, time.Now()
	return at
}

// isBack says whether the machine's clock is behind what was seen before.
func (s *steady) isBack() bool {
	s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.back
}
