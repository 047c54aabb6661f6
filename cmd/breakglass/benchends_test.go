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
	name   string
	before func(w *town) // happens before the request, or the form of Tier 0, is there
	after  func(w *town) // happens between that and the click
	tier0  bool
}

// TestFiveTrips counts round trips by a bubble's clock, in which nothing but AWS takes time: what is not a whole number of trips is our own waiting for
// a quota, or for somebody who is at the same thing.
func TestFiveTrips(t *testing.T) {
	simulationEnvironment(t)
	for _, o := range []struct {
		name string
		size townSize
	}{{"Forge", townSize{people: 60}}, {"45 accounts, 30 sets, 350 people", grownUp()}} {
		t.Run(o.name, func(t *testing.T) {
			dir := fastDir(t)
			synctest.Test(t, func(t *testing.T) { fiveTrips(t, newTown(t, dir, o.size, awstwin.Config{})) })
		})
	}
}

func fiveTrips(t *testing.T, w *town) {
	defer w.demolish()
	w.world.AWS.SetDelay(oneTrip)
	w.launch(true)
	w.open()
	at := w.places[len(w.places)-1]
	w.twentyLive(at)
	sleep := func(d time.Duration) func(*town) { return func(*town) { time.Sleep(d) } }
	for i, x := range []way{
		{name: "while a session began there a minute ago", after: sleep(time.Minute)},
		{name: "after half an hour of quiet", after: sleep(33 * time.Minute)},
		{name: "when the keys of the account's role have just lapsed", before: sleep(4 * time.Minute), after: sleep(14 * time.Minute)},
		{name: "during a reconciliation", after: (*town).censusBegins},
		{name: "Tier 0", tier0: true, after: sleep(20 * time.Second)},
		{name: "Tier 0, from a form that lay about", tier0: true, after: sleep(5 * time.Minute)},
		{name: "Tier 0, first in the account after a start", tier0: true, before: (*town).again, after: sleep(5 * time.Second)},
		{name: "first in the account after a start", after: (*town).again},
	} {
		if x.before != nil {
			x.before(w)
		}
		w.onWire(t, x, w.devs[30+i], at)
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
	var click func() store.ID
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
	t.Logf("%s: %.2f round trips\n%s", x.name, trips, w.journey(began, created))
	if trips > mostTrips {
		t.Errorf("%s: %.2f round trips before the creation is on the wire, %d are promised", x.name, trips, mostTrips)
	}
}

// journey tells what was asked of AWS until then, a line for each moment.
func (w *town) journey(began, until time.Time) string {
	var out strings.Builder
	var last time.Time
	for _, c := range w.since(began) {
		if c.at.After(until) {
			break
		}
		if !c.at.Equal(last) {
			fmt.Fprintf(&out, "\n  %6.1f ms ", float64(c.at.Sub(began).Microseconds())/1000)
			last = c.at
		}
		out.WriteString(" " + c.op)
	}
	return strings.TrimPrefix(out.String(), "\n")
}

// BenchmarkApprove is what one person feels who is approved while nobody else is, in an organisation of 45 accounts, 30 sets and 350 people, with every end made
// first and 30 ms added to each call. SSO Elevator, measured in the same
// way, takes 787 ms and 22 calls to the wire, and makes no end first.
func BenchmarkApprove(b *testing.B) {
	s := newSite(b, siteOptions{delay: oneTrip, people: 350 - 2*crowd, sets: 25, accounts: 40})
	defer s.stop()
	var wire, access []time.Duration
	calls, n := 0, 0
	for b.Loop() {
		dev, account := s.developers[n%crowd], []string{"prod-wealth", "prod-cash", "prod-9squid"}[n/crowd%3]
		card := s.asks(dev, account, n)
		n++
		s.world.AWS.ForgetCalls()
		began := time.Now()
		if err := s.world.Slack.As(s.managers[0]).Click(context.Background(), s.world.Slack.ChannelID("platform-support"), card, "Approve"); err != nil {
			b.Fatal(err)
		}
		var r store.Request
		s.wait("access", func() bool {
			all, err := s.prog.db.OfPerson(s.users[dev], 1)
			if err != nil || len(all) == 0 || all[0].State != store.Active {
				return false
			}
			r = all[0]
			return true
		})
		access = append(access, r.VerifiedAt.Sub(began))
		for i, c := range s.world.AWS.Calls() {
			if c.Operation == "CreateAccountAssignment" { // the twin writes down when it acts, a trip after it was asked
				wire, calls = append(wire, c.At.Add(-oneTrip).Sub(began)), calls+i+1
			}
		}
		<-time.After(time.Second) // the next person comes when the quotas are at rest
	}
	printed(b, "approve-to-wire", wire)
	printed(b, "approve-to-access", access)
	b.ReportMetric(float64(calls)/float64(n), "aws-calls-to-wire")
}

// asks has somebody ask for ec2, and returns where the card stands.
func (s *site) asks(dev, account string, before int) (ts string) {
	s.b.Helper()
	ctx, channel := context.Background(), s.world.Slack.ChannelID("platform-support")
	p := s.world.Slack.As(dev).In(channel)
	if _, err := p.Command(ctx, "/breakglass ec2 "+account+" 1h"); err != nil {
		s.b.Fatal(err)
	}
	s.wait("a filled form", func() bool {
		v := p.View()
		return v != nil && v.Field("Duration") != nil && v.Field("Duration").Value != ""
	})
	for label, value := range map[string]string{"Reason": "it is down", "Ticket": "OPS-1"} {
		if err := p.Fill(ctx, label, value); err != nil {
			s.b.Fatal(err)
		}
	}
	if errs, err := p.Submit(ctx); err != nil || len(errs) > 0 {
		s.b.Fatal(errs, err)
	}
	s.wait("its card", func() bool { return len(s.world.Slack.Messages(channel)) > before })
	s.wait("a quiet workspace", func() bool { n, err := s.prog.db.Notices(0, 1); return err == nil && len(n) == 0 })
	cards := s.world.Slack.Messages(channel)
	return cards[len(cards)-1].TS
}
