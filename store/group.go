package store

import (
	"errors"
	"sync"
)

// group commits together what arrives together. A commit waits for the disk twice, whatever is in it; while one is under way the changes
// that come meanwhile queue up and share the next. Nobody waits for company: a lone change commits at once.
// (bbolt's own Batch makes a lone caller wait ten milliseconds.)
type group struct {
	mu    sync.Mutex
	queue []*waiting
	busy  bool
}

type waiting struct {
	fn   func(tx) error
	done chan error
}

// mostTogether bounds one commit, so that the first of a crowd does not wait for the last.
const mostTogether = 64

// errAlone sends a change that failed in company back to its caller, to be run alone: what it did must not be committed with the
// others, and its error (or its panic) is its caller's.
var errAlone = errors.New("run it alone")

func (g *group) do(alone func(func(tx) error) error, fn func(tx) error) error {
	w := &waiting{fn: fn, done: make(chan error, 1)}
	g.mu.Lock()
	g.queue = append(g.queue, w)
	lead := !g.busy
	g.busy = true
	g.mu.Unlock()
	if lead {
		g.lead(alone)
	}
	err := <-w.done
	if errors.Is(err, errAlone) {
		return alone(fn)
	}
	return err
}

// lead commits what is queued, its own change first, and hands what came meanwhile to a goroutine, so that no caller works for others
// after its own change is done.
func (g *group) lead(alone func(func(tx) error) error) {
	g.mu.Lock()
	batch := g.queue
	if len(batch) > mostTogether {
		batch = batch[:mostTogether]
	}
	g.queue = g.queue[len(batch):]
	g.mu.Unlock()

	commit(alone, batch)

	g.mu.Lock()
	more := len(g.queue) > 0
	g.busy = more
	g.mu.Unlock()
	if more {
		go g.lead(alone)
	}
}

// commit runs a batch in one transaction. A change that fails takes the transaction with it, so it is sent away and the rest begins anew.
func commit(alone func(func(tx) error) error, batch []*waiting) {
	for len(batch) > 0 {
		failed := -1
		err := alone(func(t tx) (err error) {
			for i, w := range batch {
				if failed = i; !whole(t, w.fn) {
					return errAlone
				}
			}
			failed = -1
			return nil
		})
		if failed < 0 {
			for _, w := range batch {
				w.done <- err
			}
			return
		}
		batch[failed].done <- errAlone
		batch = append(append([]*waiting{}, batch[:failed]...), batch[failed+1:]...)
	}
}

// whole runs fn and says whether it neither failed nor panicked.
func whole(t tx, fn func(tx) error) (ok bool) {
	defer func() { _ = recover() }() // it panics once more in its caller's goroutine, where it belongs
	return fn(t) == nil
}
