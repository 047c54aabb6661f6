package store

import (
	"math"
	"time"
)

// Clock names one of the reasons for which a request must be looked at again. Its due time is the earliest of its clocks, computed
// anew in each transaction, so no promise is kept in a timer.
type Clock string

// The clocks of a request.
const (
	ClockExpire Clock = "expire" // pending: nobody decided
	ClockRemind Clock = "remind" // pending: approvers are asked again
	ClockPoll   Clock = "poll"   // the engine has something to do or to look at again
	ClockEnd    Clock = "end"    // the session's time is over: revoke
	ClockWarn   Clock = "warn"   // the requester is told that the end is near
	ClockTicket Clock = "ticket" // a ticket that may follow is asked for, then escalated
	ClockReport Clock = "report" // the next reading of CloudTrail
	ClockOwed   Clock = "owed"   // a post-mortem is asked for, then escalated
	ClockTell   Clock = "tell"   // people are to be found in the directory and told; nothing else waits for it
)

// Set makes the request due at t for that reason. Before 1970, the zero time among it, is at once, and past the year 2262, where
// nanoseconds end, is at that end: as keys both would be sorted past everything, and a session whose time nobody set would never end.
func (r *Request) Set(c Clock, t time.Time) {
	if r.Clocks == nil {
		r.Clocks = map[Clock]int64{}
	}
	switch {
	case t.Unix() < 1:
		r.Clocks[c] = 1
	case t.After(time.Unix(0, math.MaxInt64)):
		r.Clocks[c] = math.MaxInt64
	default:
		r.Clocks[c] = t.UnixNano()
	}
}

// Stop takes a reason away.
func (r *Request) Stop(cs ...Clock) {
	for _, c := range cs {
		delete(r.Clocks, c)
	}
}

// At is when a clock goes off; ok is false where it is not set.
func (r *Request) At(c Clock) (t time.Time, ok bool) {
	n, ok := r.Clocks[c]
	if !ok {
		return time.Time{}, false
	}
	return time.Unix(0, n).UTC(), true
}

// Over says whether a clock is set and has gone off by now.
func (r *Request) Over(c Clock, now time.Time) bool {
	t, ok := r.At(c)
	return ok && !t.After(now)
}

// DueBut is the earliest of the clocks but one, in unix nanoseconds; 0 where there is none.
func (r *Request) DueBut(c Clock) int64 {
	var due int64
	for k, n := range r.Clocks {
		if k != c && (due == 0 || n < due) {
			due = n
		}
	}
	return due
}

// earliest is the due time that the clocks make; 0 where there is none. What is not a time is due at once, as in Set.
func (r *Request) earliest() int64 {
	var due int64
	for _, n := range r.Clocks {
		n = max(n, 1)
		if due == 0 || n < due {
			due = n
		}
	}
	return due
}
