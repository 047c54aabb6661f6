package ledger

import (
	"fmt"
	"slices"
	"time"
)

// span is a run of lines between two sizes at which there is a checkpoint, or from a line that tells of a clock set back on. Which checkpoints can be
// believed is known only after the log was read, so of every span as much is kept as tells the first line that is too early for any time.
type span struct {
	first, last uint64
	turned      bool     // its first line takes an earlier time for right
	lows        []moment // each line that is earlier than all before it
	high        moment   // the latest
}

type moment struct {
	line uint64
	at   time.Time
}

// flight are the times of lines that were on their way into the log when it took an earlier time for right: they come after the line that tells of it, and say what the
// clock had said before.
type flight struct {
	until    uint64
	from, to time.Time
}

// Lines on their way are few, and say the time of the turn.
const (
	mostInFlight = 100
	inFlight     = time.Minute
)

func (e *epoch) turned(n uint64, was string) {
	if at, err := time.Parse(time.RFC3339, was); err == nil {
		e.flight = flight{n + mostInFlight, at.Add(-inFlight), at.Add(inFlight)}
	}
}

// mostLows bounds a span whose times only ever go back; the last stands for what follows.
const mostLows = 64

// nextSpan begins a new one with the next line.
func (e *epoch) nextSpan() {
	if n := len(e.spans); n == 0 || e.spans[n-1].first != 0 {
		e.spans = append(e.spans, span{})
	}
}

func (e *epoch) when(n uint64, at time.Time, turned bool) {
	if f := e.flight; !turned && n <= f.until && at.After(f.from) && at.Before(f.to) {
		return
	}
	if len(e.spans) == 0 {
		e.nextSpan()
	}
	s := &e.spans[len(e.spans)-1]
	m := moment{n, at}
	if s.first == 0 {
		*s = span{first: n, turned: turned, lows: []moment{m}, high: m}
	}
	s.last = n
	if low := len(s.lows) - 1; at.Before(s.lows[low].at) {
		if len(s.lows) == mostLows {
			s.lows = s.lows[:low]
		}
		s.lows = append(s.lows, m)
	}
	if at.After(s.high.at) {
		s.high = m
	}
}

// checkTimes compares the times that lines say with those of the checkpoints they stand after and before, by. A clock that was taken for right
// although it was behind sets a new beginning, which the log itself tells.
func (e *epoch) checkTimes(by []*claim) {
	slices.SortStableFunc(by, bySize)
	var floor, ceiling moment // the latest time of a checkpoint before, with its size; and of a line
	var of string
	next := 0
	for i := range e.spans {
		s := &e.spans[i]
		if s.first == 0 {
			continue
		}
		for ; next < len(by) && by[next].Size < s.first; next++ {
			c := by[next]
			if c.At.Add(clearly).Before(floor.at) {
				e.out.add(Finding{Code: CodeTime, Object: c.object, Others: []string{of}, Line: c.Size, rank: rankCheckpoint, epoch: e.n,
					Text: fmt.Sprintf("it is of %d lines at %s, and one of %d lines is later, of %s", c.Size, stamp(c.At), floor.line, stamp(floor.at))})
			}
			if c.At.After(floor.at) {
				floor, of = moment{c.Size, c.At}, c.object
			}
		}
		if s.turned {
			floor, ceiling = moment{s.first, s.lows[0].at}, moment{}
			of = ""
		}
		e.backDated(s, floor, of)
		if s.high.at.After(ceiling.at) {
			ceiling = s.high
		}
		for j := next; j < len(by) && by[j].Size == s.last; j++ {
			if ceiling.at.After(by[j].At.Add(clearly)) {
				e.out.add(Finding{Code: CodePostDated, Object: e.objectsOf(ceiling.line, ceiling.line)[0], Others: []string{by[j].object}, Line: ceiling.line, rank: rankLog, epoch: e.n,
					Text: fmt.Sprintf("line %d says %s, but it stands before a checkpoint of %s", ceiling.line, stamp(ceiling.at), stamp(by[j].At))})
				ceiling = moment{}
				break
			}
		}
	}
	e.lastTimes(by[next:], floor, of)
}

// lastTimes is for the checkpoints at the very end, which no line follows.
func (e *epoch) lastTimes(by []*claim, floor moment, of string) {
	for _, c := range by {
		if c.At.Add(clearly).Before(floor.at) {
			e.out.add(Finding{Code: CodeTime, Object: c.object, Others: []string{of}, Line: c.Size, rank: rankCheckpoint, epoch: e.n,
				Text: fmt.Sprintf("it is of %d lines at %s, and one of %d lines is later, of %s", c.Size, stamp(c.At), floor.line, stamp(floor.at))})
		}
	}
}

func (e *epoch) backDated(s *span, floor moment, of string) {
	if of == "" {
		return
	}
	for _, m := range s.lows {
		if m.at.Add(clearly).Before(floor.at) {
			e.out.add(Finding{Code: CodeBackDated, Object: e.objectsOf(m.line, m.line)[0], Others: []string{of}, Line: m.line, rank: rankLog, epoch: e.n,
				Text: fmt.Sprintf("line %d says %s, but it stands after a checkpoint of %d lines that was signed at %s, and no line between tells of a clock that was set back", m.line, stamp(m.at), floor.line, stamp(floor.at))})
			return
		}
	}
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
