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

// accept takes the machine's clock for right, although it is behind.
func (s *steady) accept() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last, s.seen, s.back = s.wall(), time.Now(), false
	return s.last
}

// isBack says whether the machine's clock is behind what was seen before.
func (s *steady) isBack() bool {
	s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.back
}

// beatEvery is how often the store remembers how late it is, so that a machine whose clock was set back while the bot was down, or which was killed,
// makes no session longer than that.
const beatEvery = "@every 30s"

// agrees is how far apart the machine's clock and AWS's may be for the machine's to be taken for right.
const agrees = time.Minute

// beat does so, and rights the clock: one that was ahead for a while and was then put right would keep everybody out for ever. It is taken for right once
// nobody may have access, since then nothing could last longer by it, and if AWS has the same time.
func (e *Engine) beat() {
	if e.clock.isBack() {
		e.rebase()
	}
	if err := e.DB.Beat(e.now()); err != nil {
		e.broken("remember the time", err)
	}
}

func (e *Engine) rebase() {
	counts, err := e.DB.Tally()
	if err != nil || counts[store.Granting]+counts[store.Active]+counts[store.Revoking] > 0 {
		return
	}
	if e.Elsewhere == nil {
		return
	}
	if there, ok := e.Elsewhere(); !ok || there.Sub(e.Now()).Abs() > agrees {
		return // it is this machine's clock that is wrong
	}
	// A checkpoint says a time and how many lines there were then: none is signed between the earlier time and the line that tells of it.
	e.turning.Lock()
	defer e.turning.Unlock()
	was := e.now()
	at := e.clock.accept()
	e.Log.Warn("nobody has access and AWS has the same time, so the machine's clock is taken for right", "clock", at, "was", was)
	data := map[string]string{"clock": "taken for right", "was": was.UTC().Format(time.RFC3339)}
	if err := e.DB.Rebase(store.By{Actor: store.Bot(), At: store.Moment(at)}, data); err != nil {
		e.broken("remember that the clock was taken for right", err)
	}
}
