package aws

import (
	"container/heap"
	"context"
	"time"

	"breakglass/store"
)

// rank is somebody's place among those who wait: what takes access away first, and of that what should have been gone the longest; then what people
// wait for, as it came; what nobody waits for last.
type rank struct {
	class class
	due   time.Time
	n     uint64 // order of arrival
}

type class int

const (
	removing class = iota
	asked
	idling
)

// rankOf reads the mark of a context.
func rankOf(ctx context.Context, n uint64) rank { return ranked(store.UrgencyOf(ctx), n) }

func ranked(u store.Urgency, n uint64) rank {
	switch {
	case !u.Due.IsZero():
		return rank{class: removing, due: u.Due, n: n}
	case u.Idle:
		return rank{class: idling, n: n}
	}
	return rank{class: asked, n: n}
}

func (r rank) idle() bool { return r.class == idling }

// compare orders two of them; it is never 0 for two that arrived at the same place.
func (r rank) compare(o rank) int {
	switch {
	case r.class != o.class:
		return int(r.class) - int(o.class)
	case !r.due.Equal(o.due):
		// A removal that does not say when it was due comes after those that do.
		if r.due.IsZero() != o.due.IsZero() {
			if r.due.IsZero() {
				return 1
			}
			return -1
		}
		return r.due.Compare(o.due)
	case r.n < o.n:
		return -1
	case r.n > o.n:
		return 1
	}
	return 0
}

// waiter is one who waits for a quota.
type waiter struct {
	rank
	ready chan struct{} // closed when it may go
	index int           // in the queue
	place int           // what it took, once it may go
	at    time.Time
}

// queue is those who wait, the first of them at hand.
type queue struct{ all waiters }

func (q *queue) add(w *waiter) { heap.Push(&q.all, w) }

func (q *queue) first() *waiter {
	if len(q.all) == 0 {
		return nil
	}
	return q.all[0]
}

// remove takes one out. ok is false where it had left already.
func (q *queue) remove(w *waiter) (ok bool) {
	if w.index < 0 {
		return false
	}
	heap.Remove(&q.all, w.index)
	return true
}

// waiters is the heap behind it.
type waiters []*waiter

func (h waiters) Len() int           { return len(h) }
func (h waiters) Less(i, j int) bool { return h[i].compare(h[j].rank) < 0 }
func (h waiters) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push adds a *waiter at the end.
func (h *waiters) Push(x any) {
	w := x.(*waiter)
	w.index = len(*h)
	*h = append(*h, w)
}

// Pop takes the last one.
func (h *waiters) Pop() any {
	old := *h
	w := old[len(old)-1]
	old[len(old)-1] = nil
	*h, w.index = old[:len(old)-1], -1
	return w
}
