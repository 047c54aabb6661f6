package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"breakglass/deploy/sandbox"
	"breakglass/deploy/sandbox/awstwin"
	"breakglass/store"
	"breakglass/workflows/policy"
)

// BenchmarkFirstRevocation is the real process, started on a store with a hundred thousand closed requests and ten thousand sessions, of which one is overdue: how long
// from its start until AWS is asked to take that away, and what it holds in memory then. The promise is a second.
func BenchmarkFirstRevocation(b *testing.B) {
	for _, n := range [][2]int{{0, 0}, {100_000, 10_000}} {
		b.Run(fmt.Sprintf("%d closed, %d active", n[0], n[1]), func(b *testing.B) {
			o := newOffice(b)
			path := filepath.Join(o.dir, "breakglass.db")
			fillStore(b, path, n[0], n[1])
			for b.Loop() {
				b.StopTimer()
				o.overdue(b, path)
				asked := make(chan time.Time, 1)
				o.world.AWS.Intercept(func(m awstwin.Moment, p awstwin.Passing) awstwin.Order {
					if m == awstwin.Arrived && p.Operation == "DeleteAccountAssignment" {
						select {
						case asked <- time.Now():
						default:
						}
					}
					return awstwin.Order{}
				})
				b.StartTimer()
				began := time.Now()
				bot := exec.Command(o.bin, "serve")
				bot.Dir, bot.Env = o.dir, o.env
				if err := bot.Start(); err != nil {
					b.Fatal(err)
				}
				var at time.Time
				select {
				case at = <-asked:
				case <-time.After(time.Minute):
					b.Fatal("the overdue session was never taken away")
				}
				b.ReportMetric(at.Sub(began).Seconds(), "start-to-wire-s")
				b.ReportMetric(memoryMB(b, bot.Process.Pid, "RssAnon"), "memory-MB")
				b.ReportMetric(memoryMB(b, bot.Process.Pid, "RssFile"), "mapped-file-MB")
				if err := bot.Process.Kill(); err != nil {
					b.Fatal(err)
				}
				_ = bot.Wait()
			}
		})
	}
}

// overdue puts a session into the store that should have ended while nobody ran.
func (o *office) overdue(b *testing.B, path string) {
	b.Helper()
	now := time.Now()
	db, err := store.Open(path, now)
	if err != nil {
		b.Fatal(err)
	}
	who := o.world.Person("dana")
	r := store.Request{
		State: store.Pending, Requester: store.Person{SlackID: who.Slack, UserID: who.AWS, UserName: who.Key, Name: who.Name}, Scenario: "ec2", Title: "EC2", Tier: 1,
		Account:       store.Account{Name: "prod-wealth", ID: sandbox.ProdWealth, Regions: []string{"us-east-1"}},
		PermissionSet: "Forge-Prod-BreakGlass-EC2", Duration: time.Hour, Reason: "it is down", Ticket: "OPS-1",
		SubmittedAt: store.Moment(now.Add(-2 * time.Hour)), ExpiresAt: store.Moment(now.Add(-time.Hour)), Guard: policy.GuardClosed, Ends: store.Ends{Guard: true},
	}
	if err := makeActive(db, store.Moment(now.Add(-2*time.Hour)), r); err != nil {
		b.Fatal(err)
	}
	o.world.AWS.Assign(who.AWS, sandbox.ProdWealth, r.PermissionSet)
	if err := db.Close(); err != nil {
		b.Fatal(err)
	}
}

// TestFirstRevocation starts the program in a bubble with one session overdue, in the last of the permission sets by name: what the bubble's clock shows is what
// AWS's answers take, 30 ms each, and our waiting for its quotas; the processor's part is BenchmarkFirstRevocation's.
func TestFirstRevocation(t *testing.T) {
	simulationEnvironment(t)
	for _, o := range []struct {
		name string
		size townSize
	}{{"Forge", townSize{people: 60, sets: 6}}, {"45 accounts, 30 sets, 350 people", grownUp()}} {
		t.Run(o.name, func(t *testing.T) {
			dir := fastDir(t)
			synctest.Test(t, func(t *testing.T) {
				w := newTown(t, dir, o.size, awstwin.Config{})
				defer w.demolish()
				w.world.AWS.SetDelay(oneTrip)
				w.sets = w.sets[len(w.sets)-1:]
				m := w.seedMany(1, time.Hour, 0)
				w.launch(false) // the run that granted it has learnt the names of the sets, and the store keeps them
				w.open()
				time.Sleep(time.Minute)
				w.halt()
				time.Sleep(time.Until(m.first) + time.Hour)
				w.forget()
				w.launch(false)
				var asked time.Time
				w.await("the removal on the wire", time.Minute, func() bool {
					for _, c := range w.since(w.run.began) {
						if c.op == "DeleteAccountAssignment" {
							asked = c.at
							return true
						}
					}
					return false
				})
				took := asked.Sub(w.run.began)
				t.Logf("%v from the start to the wire\n%s", took, w.journey(w.run.began, asked))
				if took > time.Second {
					t.Errorf("the first removal is on the wire %v after the start: a second is promised", took)
				}
				w.open()
				time.Sleep(time.Minute) // the names of the sets are read to their end, whatever becomes of the program
			})
		})
	}
}
