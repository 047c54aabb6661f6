package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"breakglass/deploy/sandbox/awstwin"
	"breakglass/store"
)

// mostTrips is the promise: so many round trips to AWS, one after the other, lie between a click that completes the approval (or sends a request
// at Tier 0) and the request that creates the access, with every end made before it, however large the organisation.
const mostTrips = 5

// oneTrip is how long the twin takes for each call.
const oneTrip = 30 * time.Millisecond

// way is one path from a click to the creation on the wire.
type way struct {
	name  string
	after func(w *town) // what happens before the click
	tier0 bool
	cold  bool // nothing of the account is known yet: said, and no more is promised than that it gets there
}

// TestFiveTrips counts round trips by a bubble's clock, in which nothing but AWS takes time: what is not a whole number of trips is our own waiting for
// a quota.
func TestFiveTrips(t *testing.T) {
	simulationEnvironment(t)
	for _, o := range []struct {
		name string
		size townSize
	}{{"Forge", townSize{people: 60}}, {"45 accounts, 30 sets, 350 people", grownUp()}} {
		for _, lifted := range []bool{false, true} {
			name := o.name
			if lifted {
				name += ", our own limits lifted"
			}
			t.Run(name, func(t *testing.T) {
				dir := fastDir(t)
				synctest.Test(t, func(t *testing.T) {
					w := newTown(t, dir, o.size, awstwin.Config{})
					w.lifted = lifted
					fiveTrips(t, w)
				})
			})
		}
	}
}

func fiveTrips(t *testing.T, w *town) {
	defer w.demolish()
	w.world.AWS.SetDelay(oneTrip)
	w.launch(true)
	w.open()
	at := w.places[len(w.places)-1]
	w.twentyLive(at)
	n := 30
	for _, x := range []way{
		{name: "while a session began there a minute ago", after: func(*town) { time.Sleep(time.Minute) }},
		{name: "after half an hour of quiet", after: func(*town) { time.Sleep(33 * time.Minute) }},
		{name: "during a reconciliation", after: (*town).censusBegins},
		{name: "Tier 0", tier0: true, after: func(*town) { time.Sleep(time.Minute) }},
		{name: "Tier 0, first in the account after a start", tier0: true, cold: true, after: (*town).again},
		{name: "first in the account after a start", cold: true, after: (*town).again},
	} {
		n++
		w.onWire(t, x, w.devs[n], at)
	}
}

// twentyLive has twenty people in: eight with the same set in the same account, the others all over the place.
func (w *town) twentyLive(at store.Account) {
	for i := range 20 {
		place := at
		if i >= 8 {
			place = w.places[i%len(w.places)]
		}
		scenario := "ec2"
		if i >= 8 && len(w.sets) > 0 {
			scenario = scenarioOf(w.sets[i%len(w.sets)])
		}
		r := w.ask(w.devs[i], scenario, place.Name, "2h")
		w.approve(w.bosses[i%len(w.bosses)], w.card(r.ID))
		w.active(r.ID)
	}
}

// again starts the program anew, as an upgrade does: it knows nothing but its store. What it reads ahead at a start is done by then.
func (w *town) again() {
	w.halt()
	w.launch(false)
	w.open()
	time.Sleep(10 * time.Second)
}

// censusBegins waits until a reconciliation is under way.
func (w *town) censusBegins() {
	quiet := func() bool {
		n := 0
		for _, c := range w.since(time.Now().Add(-5 * time.Second)) {
			if c.op == "ListAccountAssignments" {
				n++
			}
		}
		return n == 0
	}
	w.await("quiet", time.Hour, quiet)
	w.await("a reconciliation", 20*time.Minute, func() bool { return !quiet() })
}

// onWire measures one way and asserts it.
func (w *town) onWire(t *testing.T, x way, dev string, at store.Account) {
	t.Helper()
	click := func() store.ID { return "" }
	if x.tier0 {
		p := w.fillIn(dev, "emergency", at.Name, "1h")
		x.after(w)
		click = func() store.ID {
			if errs, err := p.Submit(context.Background()); err != nil || len(errs) > 0 {
				t.Fatalf("%s: submit: %v %v", x.name, errs, err)
			}
			return w.newest(dev).ID
		}
	} else {
		r := w.ask(dev, "ec2", at.Name, "1h")
		ref := w.card(r.ID)
		x.after(w)
		click = func() store.ID { w.approve(w.bosses[0], ref); return r.ID }
	}
	w.forget()
	began := time.Now()
	id := click()
	var created time.Time
	w.await("the creation on the wire", time.Minute, func() bool {
		for _, c := range w.since(began) {
			if c.op == "CreateAccountAssignment" && bytes.Contains(c.body, []byte(w.users[dev])) {
				created = c.at
				return true
			}
		}
		return false
	})
	w.active(id)
	trips := float64(created.Sub(began)) / float64(oneTrip)
	text, deep := w.journey(began, created)
	t.Logf("%s: %.2f round trips' time, %d of them in sequence\n%s", x.name, trips, deep, text)
	switch {
	case x.cold:
	case deep > mostTrips:
		t.Errorf("%s: %d round trips in sequence before the creation is on the wire, %d are promised", x.name, deep, mostTrips)
	case trips > mostTrips:
		t.Errorf("%s: %.2f round trips' time before the creation is on the wire, of which %d were calls: the rest is our own waiting", x.name, trips, deep)
	}
}

// journey tells what was asked of AWS until then, a line for each moment, and the longest chain of calls of which each began after the one before
// was answered.
func (w *town) journey(began, until time.Time) (text string, deep int) {
	var out strings.Builder
	var last, end time.Time
	for _, c := range w.since(began) {
		if c.at.After(until) {
			break
		}
		if !c.at.Equal(last) {
			fmt.Fprintf(&out, "\n  %6.1f ms ", float64(c.at.Sub(began).Microseconds())/1000)
			last = c.at
		}
		out.WriteString(" " + c.op)
		if end.IsZero() || !c.at.Before(end) {
			deep++
			end = c.at.Add(oneTrip)
		}
	}
	return strings.TrimPrefix(out.String(), "\n"), deep - 1 // the creation itself is no trip before it
}
