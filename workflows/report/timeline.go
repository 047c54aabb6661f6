package report

import (
	"fmt"
	"strings"
	"time"

	"breakglass/store"
)

// The timeline's size in CSS pixels. It is made for a phone first, where it is shown at little more than half of it.
const (
	timelineWidth  = 640
	timelineHeight = 340

	laneLeft  = 124.0 // where time begins
	laneRight = 574.0 // where it ends
	laneTop   = 68.0
	laneStep  = 46.0
	laneThick = 22.0
	callWide  = 3.0 // of the stroke that is one call
)

// clock places times on the picture.
type clock struct{ from, to time.Time }

func (k clock) x(t time.Time) float64 {
	if !t.After(k.from) {
		return laneLeft
	}
	if !t.Before(k.to) {
		return laneRight
	}
	return laneLeft + (laneRight-laneLeft)*float64(t.Sub(k.from))/float64(k.to.Sub(k.from))
}

// Timeline draws the session: waiting for a word, the access with its extensions and its end, and the calls of each kind.
func (c Case) Timeline() (store.Picture, error) {
	p := newCanvas(timelineWidth, timelineHeight)
	k := c.clock()
	title := string(c.Request.ID)
	if d, ok := c.open(); ok {
		title += " · open for " + short(d)
	}
	p.write(p.bold, 20, 34, left, title, ink)
	p.write(p.regular, timelineWidth-20, 34, right, k.from.UTC().Format(dayForm)+" UTC", faint)
	if from, to := c.Request.GrantedAt, c.Request.EndedAt; !from.IsZero() && !to.IsZero() {
		p.box(k.x(from), laneTop-10, k.x(to), laneTop+4*laneStep+laneThick+8, band)
	}
	for i, lane := range c.lanes() {
		y := laneTop + float64(i)*laneStep
		p.write(p.regular, laneLeft-12, y+laneThick-3.5, right, lane.name, ink)
		p.box(laneLeft, y, laneRight, y+laneThick, track)
		for _, b := range lane.bars {
			x0 := k.x(b.from)
			p.box(min(x0, laneRight-4), y, max(k.x(b.to), min(x0, laneRight-4)+4), y+laneThick, b.colour)
		}
		for _, b := range lane.calls { // the lines first, so that none hides a stroke
			if b.thin {
				p.box(k.x(b.from), y+laneThick/2-1.5, k.x(b.to), y+laneThick/2+1.5, b.colour)
			}
		}
		for _, b := range lane.calls {
			for _, at := range []time.Time{b.from, b.to} {
				x := min(k.x(at), laneRight-callWide)
				p.box(x, y, x+callWide, y+laneThick, b.colour)
			}
		}
		for _, m := range lane.marks {
			p.diamond(k.x(m.from), y+laneThick/2, laneThick/2+3, ground)
			p.diamond(k.x(m.from), y+laneThick/2, laneThick/2, m.colour)
		}
		if lane.number != "" {
			p.write(p.bold, timelineWidth-12, y+laneThick-3.5, right, lane.number, ink)
		}
	}
	k.ticks(p)
	return p.picture(TimelineName)
}

// clock spans everything that is drawn, with a little room at both sides.
func (c Case) clock() clock {
	r := &c.Request
	k := clock{r.SubmittedAt, r.SubmittedAt}
	reach := func(t time.Time) {
		if !t.IsZero() && t.Before(k.from) {
			k.from = t
		}
		if t.After(k.to) {
			k.to = t
		}
	}
	for _, t := range []time.Time{r.DecidedAt, r.GrantedAt, r.VerifiedAt, r.ExpiresAt, r.End.At, r.EndedAt} {
		reach(t)
	}
	for _, g := range r.Readings {
		for _, d := range append(g.Portal[:len(g.Portal):len(g.Portal)], g.Deeds...) {
			reach(d.First)
			reach(d.Last)
		}
	}
	if k.to.Sub(k.from) < time.Minute {
		k.to = k.from.Add(time.Minute)
	}
	pad := k.to.Sub(k.from) / 50
	return clock{k.from.Add(-pad), k.to.Add(pad)}
}

// lane is one row of the picture.
type lane struct {
	name, number string
	bars, marks  []stretch
	calls        []stretch // thin from the first to the last, with a stroke at each
}

type stretch struct {
	from, to time.Time
	colour   paint
	thin     bool // there were more between, whose times are not kept
}

func (c Case) lanes() []lane {
	r := &c.Request
	t := c.total()
	wait, open := lane{name: "Asked"}, lane{name: "Open"}
	word := r.DecidedAt
	if word.IsZero() {
		word = r.GrantedAt
	}
	if word.IsZero() {
		word = r.ClosedAt
	}
	if !word.IsZero() {
		wait.bars = []stretch{{from: r.SubmittedAt, to: word, colour: waiting}}
	}
	for _, d := range r.Decisions {
		col := looks
		if !d.Approved {
			col = refusal
		}
		wait.marks = append(wait.marks, stretch{from: d.At, to: d.At, colour: col})
	}
	if _, ok := c.open(); ok {
		end := r.EndedAt
		if end.IsZero() {
			end = c.At
		}
		open.bars = append(open.bars, stretch{from: r.GrantedAt, to: end, colour: opened})
		for _, x := range r.Extensions {
			if from := x.Until.Add(-x.By); x.State == store.ExtensionGranted && from.Before(end) {
				open.bars = append(open.bars, stretch{from: from, to: end, colour: longer})
				open.marks = append(open.marks, stretch{from: x.AskedAt, to: x.AskedAt, colour: longer})
			}
		}
		if !r.End.At.IsZero() {
			col := ink
			if c.endTone() != good {
				col = refusal
			}
			open.marks = append(open.marks, stretch{from: r.End.At, to: r.End.At, colour: col})
		}
	}
	change, look, no := lane{name: "Changes", number: number(t.writes)}, lane{name: "Reads", number: number(t.reads)}, lane{name: "Refused", number: number(t.refused)}
	for _, g := range r.Readings {
		for _, d := range g.Deeds {
			on, col := &look, looks
			switch {
			case d.Error != "":
				on, col = &no, refusal
			case d.Write:
				on, col = &change, changes
			}
			on.calls = append(on.calls, stretch{from: d.First, to: d.Last, colour: col, thin: d.Count > 2})
			if d.Outside {
				on.marks = append(on.marks, stretch{from: d.Last, to: d.Last, colour: refusal})
			}
		}
	}
	return []lane{wait, open, change, look, no}
}

// number is a number for where there is room for five characters; elsewhere it is said in full.
func number(n int) string {
	switch {
	case n >= 10_000_000:
		return fmt.Sprint(n/1_000_000) + "M"
	case n >= 1_000_000:
		return fmt.Sprintf("%.1fM", float64(n/100_000)/10)
	case n >= 10_000:
		return fmt.Sprint(n/1000) + "k"
	}
	return grouped(n)
}

// ticks are round times under the lanes, four or so.
func (k clock) ticks(p *canvas) {
	step := 24 * time.Hour
	for _, s := range []time.Duration{15 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute,
		30 * time.Minute, time.Hour, 2 * time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour} {
		if k.to.Sub(k.from)/s <= 5 {
			step = s
			break
		}
	}
	for step*6 < k.to.Sub(k.from) {
		step *= 2
	}
	bottom := laneTop + 4*laneStep + laneThick + 8
	form := "15:04"
	switch {
	case step < time.Minute:
		form = clockForm
	case step >= 12*time.Hour:
		form = "01-02"
	}
	for t := k.from.UTC().Truncate(step).Add(step); t.Before(k.to); t = t.Add(step) {
		x := k.x(t)
		p.box(x, bottom, x+1, bottom+8, faint)
		p.write(p.regular, x, bottom+30, middle, t.Format(form), faint)
	}
}

// Words says what the timeline shows, for whoever does not see it.
func (c Case) Words() string {
	r := &c.Request
	t := c.total()
	s := []string{"Timeline, in UTC: asked " + long(r.SubmittedAt)}
	for _, d := range r.Decisions {
		verb := "approved"
		if !d.Approved {
			verb = "denied"
		}
		if len(s) < 6 {
			s = append(s, verb+" "+clockOn(d.At, r.SubmittedAt)+" by "+name(d.By))
		}
	}
	if _, ok := c.open(); ok {
		s = append(s, "open from "+clockOn(r.GrantedAt, r.SubmittedAt))
		for _, x := range r.Extensions {
			if x.State == store.ExtensionGranted && len(s) < 10 {
				s = append(s, "extended to "+clockOn(x.Until, r.SubmittedAt))
			}
		}
		if !r.EndedAt.IsZero() {
			s = append(s, "gone "+clockOn(r.EndedAt, r.SubmittedAt))
		}
	}
	for _, x := range []struct {
		n      int
		what   string
		belong func(store.Deed) bool
	}{
		{t.writes, "change", func(d store.Deed) bool { return d.Error == "" && d.Write }},
		{t.reads, "read", func(d store.Deed) bool { return d.Error == "" && !d.Write }},
		{t.refused, "refused call", func(d store.Deed) bool { return d.Error != "" }},
	} {
		text := count(x.n, x.what)
		if first, last, ok := c.between(x.belong); ok && x.n > 0 {
			text += " (" + span(first, last, r.SubmittedAt) + ")"
		}
		s = append(s, text)
	}
	return strings.Join(s, "; ") + "."
}

// legend says how the picture is to be read: what of it is drawn.
func (c Case) legend() string {
	s := " The first bar is the wait for a word, each diamond on it a word."
	if _, ok := c.open(); ok {
		s += " The second is the access, lighter where it was extended; its diamonds are when an extension was asked for, and what ended it."
	}
	if c.total().events > 0 {
		s += " Below, a stroke is a call; a thin line joins the first and the last of many of a kind."
	}
	if t := c.total(); t.outside > 0 {
		s += " A red diamond there is a call outside the session's time."
	}
	return s
}

// clockOn is a time of day, with its day where that is another.
func clockOn(t, day time.Time) string { return span(t, t, day) }

// between is when the first and the last of the deeds that belong were done, as far as they are listed.
func (c Case) between(belongs func(store.Deed) bool) (first, last time.Time, ok bool) {
	for _, g := range c.Request.Readings {
		for _, d := range g.Deeds {
			if !belongs(d) {
				continue
			}
			if !ok || d.First.Before(first) {
				first = d.First
			}
			if !ok || d.Last.After(last) {
				last = d.Last
			}
			ok = true
		}
	}
	return first, last, ok
}
