package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"breakglass/deploy/sandbox"
	"breakglass/store"
)

// BenchmarkStart is the real process: how long from its start until it is ready, and what it then holds in memory, with nothing behind
// it, with a hundred thousand closed requests, and with ten thousand sessions besides.
func BenchmarkStart(b *testing.B) {
	for _, n := range [][2]int{{0, 0}, {100_000, 0}, {100_000, 10_000}} {
		b.Run(fmt.Sprintf("%d closed, %d active", n[0], n[1]), func(b *testing.B) {
			o := newOffice(b)
			fillStore(b, filepath.Join(o.dir, "breakglass.db"), n[0], n[1])
			for b.Loop() {
				began := time.Now()
				bot := o.serve()
				b.ReportMetric(time.Since(began).Seconds(), "start-to-ready-s")
				b.ReportMetric(memoryMB(b, bot.cmd.Process.Pid, "RssAnon"), "memory-MB")
				b.ReportMetric(memoryMB(b, bot.cmd.Process.Pid, "RssFile"), "mapped-file-MB")
				if err := bot.cmd.Process.Signal(syscall.SIGTERM); err != nil {
					b.Fatal(err)
				}
				<-bot.done
			}
		})
	}
}

// memoryMB is what the operating system says a process holds: its own memory (RssAnon), and the pages of its store and its program that are in the
// page cache and mapped (RssFile), which it gives back when somebody else needs them.
func memoryMB(b *testing.B, pid int, what string) float64 {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Skip("skipped: no /proc here to read the memory from")
	}
	for line := range strings.Lines(string(data)) {
		var kb float64
		if _, err := fmt.Sscanf(line, what+": %f kB", &kb); err == nil {
			return kb / 1000
		}
	}
	b.Fatalf("no %s", what)
	return 0
}

// BenchmarkSweep is one look at what is due, with nothing due, whatever was closed before.
func BenchmarkSweep(b *testing.B) {
	for _, n := range []int{1_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprintf("%d closed", n), func(b *testing.B) {
			if n > 100_000 && testing.Short() {
				b.Skip("skipped: -short")
			}
			path := filepath.Join(b.TempDir(), "breakglass.db")
			fillStore(b, path, n, 0)
			db, err := store.Open(path, time.Now())
			if err != nil {
				b.Fatal(err)
			}
			defer db.Close()
			for b.Loop() {
				if _, err := db.Clicks(1); err != nil {
					b.Fatal(err)
				}
				if due, err := db.Due(time.Now(), 512); err != nil || len(due) > 0 {
					b.Fatal(err, len(due))
				}
			}
		})
	}
}

// fillStore writes closed and active requests by the lawful way, many at a time.
func fillStore(b *testing.B, path string, closed, active int) {
	b.Helper()
	db, err := store.Create(path, time.Now())
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	var all sync.WaitGroup
	work := make(chan bool, 256)
	for range 64 {
		all.Go(func() {
			for ends := range work {
				if err := writeOne(db, ends); err != nil {
					b.Error(err)
				}
			}
		})
	}
	for range closed {
		work <- true
	}
	for range active {
		work <- false
	}
	close(work)
	all.Wait()
}

func writeOne(db *store.DB, ends bool) error {
	now := store.Moment(time.Now())
	by := store.By{Actor: store.Bot(), At: now}
	r := store.Request{
		State: store.Pending, Requester: store.Person{SlackID: "U1", UserID: fmt.Sprint("user-", now.UnixNano()%1000), Name: "Somebody"},
		Scenario: "ec2", Title: "EC2", Account: store.Account{Name: "prod-wealth", ID: sandbox.ProdWealth, Regions: []string{"us-east-1"}},
		PermissionSet: "Forge-Prod-BreakGlass-EC2", Duration: time.Hour, Reason: "it is down", Ticket: "OPS-1", SubmittedAt: now,
	}
	r, err := db.Submit(by, r, func(c *store.Change) error { c.Request.Set(store.ClockExpire, now.Add(time.Hour)); return nil })
	if err != nil || ends {
		if err == nil {
			_, err = db.Transition(by, r.ID, store.Pending, store.Cancelled, nil)
		}
		return err
	}
	for _, step := range [][2]store.State{{store.Pending, store.Approved}, {store.Approved, store.Granting}, {store.Granting, store.Active}} {
		_, err = db.Transition(by, r.ID, step[0], step[1], func(c *store.Change) error {
			c.Request.GrantedAt, c.Request.ExpiresAt = now, now.Add(10*time.Hour)
			c.Request.Stop(store.ClockExpire)
			c.Request.Set(store.ClockEnd, c.Request.ExpiresAt)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
