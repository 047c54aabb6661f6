package store

import (
	"errors"
	"fmt"
	"sync"
)

// group commits together what arrives together. A commit waits for the disk twice, whatever is in it; while one is under way the changes
// that come meanwhile queue up and share the next. Nobody waits for company: a lone change commits at once.
// (bbolt's own Batch makes a lone caller wait ten milliseconds.)
//
// What is shared is the commit alone. A change that fails or panics takes nobody with it; and since a transaction cannot lose one
// of its parts, the others then run anew. So a change may run several times, and its last run is the one that counts: it
// sets what its caller reads, and adds to nothing outside.
type group struct {
	mu    sync.Mutex
	queue []*waiting
	busy  bool // a worker is under way, and looks into the queue before it goes
}

// waiting is one change and its answer, of which there is exactly one.
type waiting struct {
	fn   func(tx) error
	done chan error // holds one, so that answering never waits
}

// mostTogether bounds one commit, so that the first of a crowd does not wait for the last.
const mostTogether = 64

// errAlone sends a change back to its caller, to be run alone: what it did must not be committed with the others, and its error or
// its panic is its caller's.
var errAlone = errors.New("run it alone")

// committing runs one function in one transaction.
type committing func(func(tx) error) error

func (g *group) do(alone committing, fn func(tx) error) error {
	w := &waiting{fn: fn, done: make(chan error, 1)}
	g.mu.Lock()
	g.queue = append(g.queue, w)
	if !g.busy {
		g.busy = true
		go g.work(alone)
	}
	g.mu.Unlock()
	if err := <-w.done; err != errAlone {
		return err
	}
	return alone(fn)
}

// work commits what is queued until nothing is. It has a goroutine of its own, so that no caller works for others after its own change is done,
// and so that a change which ends its goroutine (as a failing test does) ends nobody else's.
func (g *group) work(alone committing) {
	finished := false
	defer func() {
		if !finished {
			go g.work(alone)
		}
	}()
	for batch := g.take(); len(batch) > 0; batch = g.take() {
		commitAll(alone, batch)
	}
	finished = true
}

// take is the next batch. Where there is none the worker is over, in the same breath: whoever comes later starts another.
func (g *group) take() []*waiting {
	g.mu.Lock()
	defer g.mu.Unlock()
	batch := g.queue
	if len(batch) > mostTogether {
		batch = batch[:mostTogether:mostTogether]
	}
	if g.queue = g.queue[len(batch):]; len(g.queue) == 0 {
		g.queue = nil // not to hold on to what was answered
	}
	g.busy = len(batch) > 0
	return batch
}

// commitAll answers everybody in the batch.
func commitAll(alone committing, batch []*waiting) {
	defer func() { // a change ended this goroutine: nothing was committed
		for _, w := range batch {
			w.done <- errAlone
		}
	}()
	for len(batch) > 0 {
		failed, err := commit(alone, batch)
		if failed < 0 {
			for _, w := range batch {
				w.done <- err
			}
			batch = nil
			return
		}
		batch[failed].done <- err
		batch = append(append([]*waiting{}, batch[:failed]...), batch[failed+1:]...)
	}
}

// commit runs a batch in one transaction. failed is the change that did not let it be committed, and err its answer; where there is none,
// failed is -1 and err everybody's.
func commit(alone committing, batch []*waiting) (failed int, err error) {
	defer func() {
		if p := recover(); p != nil { // the engine itself: no change's own panic comes this far
			failed, err = -1, fmt.Errorf("%w: writing it failed with %v", ErrDamaged, p)
		}
	}()
	failed = -1
	err = alone(func(t tx) error {
		for i, w := range batch {
			err, panicked := try(t, w.fn)
			if err == nil && !panicked {
				continue
			}
			if failed = i; panicked || len(batch) > 1 {
				return errAlone // in company an error may be another's doing, and a panic belongs into its caller's goroutine
			}
			return err
		}
		return nil
	})
	return failed, err
}

// try runs fn and keeps its panic.
func try(t tx, fn func(tx) error) (err error, panicked bool) {
	defer func() { panicked = recover() != nil }()
	return fn(t), false
}
