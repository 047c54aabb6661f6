package report

import (
	"strings"
	"testing"
	"time"

	"breakglass/store"
)

// What could not be read comes before all that was found where it could.
func TestIncompleteComesFirst(t *testing.T) {
	c := lateCase()
	c.Request.PostMortem, c.Request.PostMortemBy = nil, past(100) // overdue, which is an alarm as well
	if p := c.summary(rooms()[0]).Points[0]; !strings.HasPrefix(p.Text, "This report is incomplete") {
		t.Errorf("the first of all remarks: %s", p.Text)
	}
	c.Request.Readings = nil
	if p := c.summary(rooms()[0]).Points[0]; !strings.HasPrefix(p.Text, "CloudTrail has not been read") {
		t.Errorf("where nothing was read, the first of all remarks: %s", p.Text)
	}
	m := october()
	m.Requests = func(yield func(store.Request) bool) {
		yield(store.Request{ID: "BG-1", SubmittedAt: m.From, GrantedAt: m.From, EndedAt: m.From.Add(time.Hour), TicketBy: m.From})
	}
	if p := NewReview(m).remarks(rooms()[0])[0]; !strings.Contains(p.Text, "could not be read in full") {
		t.Errorf("the first of all remarks of a review: %s", p.Text)
	}
}

// "Every place answered" is not "everything was asked": the Regions are named, and that there are others, unless a trail of all of them was read.
func TestSaysWhichRegionsWereAsked(t *testing.T) {
	for name, x := range map[string]struct {
		sources []store.Source
		others  bool
	}{
		"Regions":            {[]store.Source{{Region: "us-east-1"}, {Region: "us-gov-west-1"}, {Region: "access portal"}}, true},
		"one failed":         {[]store.Source{{Region: "us-east-1"}, {Region: "eu-west-1", Error: "no"}}, true},
		"a table of a trail": {[]store.Source{{Region: "table events"}, {Region: "us-east-1"}}, false},
		"a group of logs":    {[]store.Source{{Region: "log group org-trail"}, {Region: "access portal"}}, false},
		"nothing":            {nil, false},
	} {
		c := plainCase()
		c.Request.Readings[0].Sources = x.sources
		p := c.complete(c.total(), rooms()[0])
		if strings.Contains(p.Text, "Other Regions were not asked") != x.others {
			t.Errorf("%s: %s", name, p.Text)
		}
	}
}

// A duration is never said to be longer than it was, so nobody has had more than they were granted for some seconds.
func TestDurationsAreNotRoundedUp(t *testing.T) {
	for d, want := range map[time.Duration][2]string{
		0: {"less than a minute", "0 s"}, -time.Minute: {"less than a minute", "0 s"}, 42 * time.Second: {"42 seconds", "42 s"},
		60*time.Minute + 40*time.Second: {"1 hour", "1 h"}, 61 * time.Minute: {"61 minutes", "61 min"}, 2*time.Hour + 59*time.Second: {"2 hours", "2 h"},
		3*time.Hour + 20*time.Minute + 59*time.Second: {"3 hours 20 minutes", "3 h 20 min"}, 100*time.Hour + 59*time.Minute: {"4 days 4 hours", "4 d 4 h"},
	} {
		if got := [2]string{lasting(d), short(d)}; got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
	c := quietCase()
	c.Request.EndedAt = c.Request.VerifiedAt
	if s := c.lead(); !strings.Contains(s, "for less than a minute") {
		t.Error(s)
	}
}

// Whoever approved an extension stands among those on whose word it was, and one that was not granted has nobody's.
func TestWhoseWordNamesExtensions(t *testing.T) {
	word := func(c Case) string {
		for _, f := range c.facts(rooms()[0]) {
			if f.Name == "Whose word" {
				return f.Value
			}
		}
		return ""
	}
	c := plainCase()
	if s := word(c); !strings.Contains(s, "Bob Baker") || !strings.Contains(s, "extension 1 (30 minutes) Carol Cole") {
		t.Error(s)
	}
	c.Request.Extensions[0].State = store.ExtensionLapsed
	if s := word(c); s != "Bob Baker" {
		t.Error(s)
	}
}

// Single changes are strokes, not one bar from the first to the last; and the page says how the picture is to be read.
func TestTimelineHasStrokesAndALegend(t *testing.T) {
	c := lateCase()
	for _, l := range c.lanes()[2:] {
		if len(l.bars) > 0 {
			t.Errorf("%s are drawn as %d bars", l.name, len(l.bars))
		}
		for _, s := range l.calls {
			if s.thin != (l.name == "Reads" && s.to.After(s.from)) {
				t.Errorf("%s: from %v to %v, joined: %v", l.name, s.from, s.to, s.thin)
			}
		}
	}
	html, text, err := c.Write(Filed)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(html, ">"+c.Words()+" The first bar is") || strings.Contains(text, "diamond") || !strings.Contains(text, "Timeline, in UTC") {
		t.Error("the page has no legend under its timeline, or the text has one")
	}
}
