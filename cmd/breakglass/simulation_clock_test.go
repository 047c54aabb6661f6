package main

import (
	"sync"
	"time"
)

// machineClock is the clock of the machine the program runs on. Slack's and AWS's own are right; this one may be moved.
type machineClock struct {
	mu     sync.Mutex
	offset time.Duration
	most   time.Duration // the furthest it ever was ahead
	past   []shift
	losses []loss
}

// loss is time that a program which was started while the clock was behind cannot know of, until the clock is right again.
type loss struct {
	from, to time.Time
	d        time.Duration
}

// beat is how old the time may be that the store remembers: a program that is killed loses as much when the machine's clock is behind.
const beat = time.Minute

// started notes what a program that starts now cannot know: how long nobody ran, if the machine's clock is behind what it was.
func (c *machineClock) started(stopped time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !stopped.IsZero() && c.offset < c.most {
		c.losses = append(c.losses, loss{from: time.Now(), d: time.Since(stopped) + beat})
	}
}

// forgot is how much of the time up to then the program cannot know of.
func (c *machineClock) forgot(due time.Time) (d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range c.losses {
		if l.from.Before(due.Add(d+onWire)) && (l.to.IsZero() || l.to.After(due)) {
			d += l.d
		}
	}
	return d
}

// shift is that the machine's clock was off by so much from then on.
type shift struct {
	from   time.Time
	offset time.Duration
}

func (c *machineClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.offset)
}

func (c *machineClock) set(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offset, c.most = d, max(d, c.most)
	for i := range c.losses {
		if c.losses[i].to.IsZero() && d >= c.most {
			c.losses[i].to = time.Now()
		}
	}
	c.past = append(c.past, shift{time.Now(), d})
}

// real is when it was, by a right clock, that the program called a moment so: between since, when the record did not have it yet, and seen, when it
// had. The program goes by the machine's clock or, while that is behind, by what it was before; what fits neither is taken for as late as can be.
func (c *machineClock) real(at, since, seen time.Time) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	best := seen
	for _, s := range append(c.past[:len(c.past):len(c.past)], shift{}) {
		if t := at.Add(-s.offset); !t.Before(since) && t.Before(best) {
			best = t
		}
	}
	return best
}

// moments are all the times that the program may have called so.
func (c *machineClock) moments(at time.Time) (all []time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range append(c.past[:len(c.past):len(c.past)], shift{}) {
		if t := at.Add(-s.offset); !t.After(time.Now()) {
			all = append(all, t)
		}
	}
	return all
}
