package aws

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// rounds lets those who wait for a quota with the same question be answered by one call. Each of them waits at its own urgency; the first to be let in
// begins the round for all who have asked by then, and the others leave the queue without having cost anything. So no answer is older than
// its question, and a round is as urgent as its most urgent asker.
type rounds[A any] struct {
	q *quota

	mu   sync.Mutex
	open map[string]*round[A] // rounds that have not begun, by their question
}

// round is one call and those it answers.
type round[A any] struct {
	about  []string      // what each asks about
	begun  chan struct{} // closed when somebody was let in
	done   chan struct{} // closed when the answer is there
	answer A
	err    error
	asking int // who still wants the answer
	cancel context.CancelFunc
}

// leading makes the calls of a round. enter stands for the quota at the first of them, which has been let in already. Its context is nobody's:
// it ends when nobody wants the answer any more.
type leading[A any] func(ctx context.Context, enter func(context.Context) error, about []string) (A, error)

func newRounds[A any](q *quota) *rounds[A] {
	return &rounds[A]{q: q, open: map[string]*round[A]{}}
}

// ask returns the answer of a round that begins after this call, and not before after has passed.
func (s *rounds[A]) ask(ctx context.Context, question, about string, after time.Duration, lead leading[A]) (A, error) {
	r := s.join(question, about)
	defer s.leave(question, r)
	var none A
	if err := s.begin(ctx, question, r, after, lead); err != nil {
		return none, err
	}
	select {
	case <-r.done:
		return r.answer, r.err
	case <-ctx.Done():
		return none, fmt.Errorf("waiting for an answer that others asked for too: %w", ctx.Err())
	}
}

func (s *rounds[A]) join(question, about string) *round[A] {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.open[question]
	if r == nil {
		r = &round[A]{begun: make(chan struct{}), done: make(chan struct{})}
		s.open[question] = r
	}
	r.about = append(r.about, about)
	r.asking++
	return r
}

// leave is for whoever has the answer or does not want it any more.
func (s *rounds[A]) leave(question string, r *round[A]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.asking--; r.asking > 0 {
		return
	}
	if s.open[question] == r {
		delete(s.open, question)
	}
	if r.cancel != nil {
		r.cancel()
	}
}

// begin returns when the round has begun, by us or by another.
func (s *rounds[A]) begin(ctx context.Context, question string, r *round[A], after time.Duration, lead leading[A]) error {
	if after > 0 {
		t := time.NewTimer(after)
		defer t.Stop()
		select {
		case <-t.C:
		case <-r.begun:
			return nil
		case <-ctx.Done():
			return s.q.gaveUp(ctx.Err(), false)
		}
	}
	w, err := s.q.enter(ctx, r.begun)
	if w == nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[question] != r {
		s.q.giveBack(w)
		return nil
	}
	delete(s.open, question)
	// Others may still want the answer when whoever leads has gone.
	var lctx context.Context
	lctx, r.cancel = context.WithCancel(context.WithoutCancel(ctx))
	about := r.about
	close(r.begun)
	entered := false
	enter := func(ctx context.Context) error {
		if !entered {
			entered = true
			return nil
		}
		return s.q.wait(ctx)
	}
	go func() {
		r.answer, r.err = lead(lctx, enter, about)
		close(r.done)
	}()
	return nil
}
