package report

import (
	"fmt"
	"strings"
	"time"

	"breakglass/store"
)

// What the pictures of a review are called.
const (
	sessionsName = "sessions.png"
	approvalName = "approval.png"
	findingsName = "findings.png"

	barsWidth, barsHeight = 640, 300
)

// trend are the pictures, each with what it says in words.
func (r *Review) trend() (out []part) {
	for i, ch := range r.charts() {
		p := part{Picture: &picture{Name: ch.file, Alt: ch.words(), Width: barsWidth, Height: barsHeight}}
		if i == 0 {
			p.Head = "Twelve months"
		}
		out = append(out, p)
	}
	return out
}

// Pictures are the bar charts of the trend, in the order in which the page shows them.
func (r *Review) Pictures() ([]store.Picture, error) {
	var all []store.Picture
	for _, ch := range r.charts() {
		p, err := ch.draw()
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

// chart is twelve bars, each of up to two pieces that stand on each other.
type chart struct {
	file, title string
	months      []string
	lower       []int64 // the piece that stands out
	upper       []int64
	names       [2]string // of the pieces; "" for one that is not there
	colours     [2]paint
	say         func(int64) string // a value in words
	mark        func(int64) string // and over its bar, where there is room for four characters
}

func (r *Review) charts() []chart {
	if r.unknown() {
		return nil // its bars would say that nothing happened
	}
	plain := func(n int64) string { return number(int(n)) }
	sessions := chart{file: sessionsName, title: "Sessions", names: [2]string{"tier 0", "others"}, colours: [2]paint{refusal, opened}, say: plain, mark: plain}
	wait := chart{file: approvalName, title: "Median time to approval", colours: [2]paint{looks, looks}, say: func(n int64) string {
		if n == 0 {
			return "–"
		}
		return short(roughly(time.Duration(n) * time.Second))
	}}
	wait.mark = func(n int64) string { return strings.ReplaceAll(strings.ReplaceAll(wait.say(n), " min", "m"), " ", "") }
	found := chart{file: findingsName, title: "Findings", colours: [2]paint{changes, changes}, say: plain, mark: plain}
	any := false
	for _, b := range r.Trend {
		sessions.months = append(sessions.months, b.Month)
		sessions.lower, sessions.upper = append(sessions.lower, int64(b.TierZero)), append(sessions.upper, int64(b.Sessions-b.TierZero))
		wait.lower, found.lower = append(wait.lower, b.Approval), append(found.lower, int64(b.Found))
		any = any || b.Found > 0
	}
	wait.months, found.months = sessions.months, sessions.months
	all := []chart{sessions, wait}
	if any {
		all = append(all, found)
	}
	return all
}

// roughly leaves one unit, for where there is no room for two.
func roughly(d time.Duration) time.Duration {
	switch {
	case d >= 48*time.Hour:
		return d.Round(24 * time.Hour)
	case d >= 2*time.Hour:
		return d.Round(time.Hour)
	case d >= time.Minute:
		return d.Round(time.Minute)
	}
	return d
}

func (ch chart) whole(i int) int64 {
	n := ch.lower[i]
	if ch.upper != nil {
		n += ch.upper[i]
	}
	return n
}

// words say what the chart shows.
func (ch chart) words() string {
	var s []string
	for i, m := range ch.months {
		text := m + ": " + ch.say(ch.whole(i))
		if ch.upper != nil && ch.lower[i] > 0 {
			text += fmt.Sprintf(" (%s %s)", ch.say(ch.lower[i]), ch.names[0])
		}
		s = append(s, text)
	}
	return ch.title + " in each month. " + strings.Join(s, ", ") + "."
}

func (ch chart) draw() (store.Picture, error) {
	c := newCanvas(barsWidth, barsHeight)
	const floor, top = 238.0, 78.0
	c.write(c.bold, 20, 36, left, ch.title, ink)
	if ch.upper != nil {
		x := 620.0
		for _, i := range []int{1, 0} {
			c.write(c.regular, x, 36, right, ch.names[i], ink)
			x -= c.width(c.regular, ch.names[i]) + 22
			c.box(x, 22, x+14, 36, ch.colours[i])
			x -= 18
		}
	}
	var high int64 = 1
	for i := range ch.months {
		high = max(high, ch.whole(i))
	}
	step := 600.0 / float64(len(ch.months))
	for i, m := range ch.months {
		x := 20 + float64(i)*step
		scaled := func(n int64) float64 { return (floor - top) * float64(n) / float64(high) }
		low, all := scaled(ch.lower[i]), scaled(ch.whole(i))
		c.box(x+6, floor-2, x+step-6, floor, track)
		if all > low {
			c.box(x+6, floor-all, x+step-6, floor-low, ch.colours[1])
		}
		if low > 0 {
			c.box(x+6, floor-low, x+step-6, floor, ch.colours[0])
		}
		c.write(c.small, x+step/2, floor-all-6, middle, ch.mark(ch.whole(i)), ink)
		month := faint
		if i == len(ch.months)-1 {
			month = ink
		}
		c.write(c.regular, x+step/2, floor+26, middle, short3(m), month)
		if i == 0 || strings.HasSuffix(m, "-01") {
			c.write(c.small, x+step/2, floor+48, middle, m[:min(4, len(m))], faint)
		}
	}
	return c.picture(ch.file)
}

// short3 is a month's name in three letters.
func short3(month string) string {
	t, err := time.Parse("2006-01", month)
	if err != nil {
		return month
	}
	return t.Format("Jan")
}
