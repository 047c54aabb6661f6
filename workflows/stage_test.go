package workflows_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"breakglass/store"
)

// event is one that CloudTrail has.
func event(id string, at time.Time) store.Record {
	return store.Record{ID: id, At: at, Service: "ec2", Action: "RebootInstances", Region: "us-east-1", Address: "198.51.100.7", Raw: []byte(`{"eventID":"` + id + `"}`)}
}

// twoThenOne is a trail that has two events at once and one an hour late, and gives each as often as it is asked.
func twoThenOne(w *world) func(context.Context, store.Resume, func(string, store.Record) error, func(store.Mark) error) []store.Source {
	began := time.Now()
	return func(ctx context.Context, r store.Resume, each func(string, store.Record) error, mark func(store.Mark) error) []store.Source {
		ids := []string{"one", "two"}
		if time.Since(began) > 2*time.Hour {
			ids = append(ids, "late")
		}
		const source = "prod-wealth/us-east-1"
		for _, id := range ids {
			if r.Has != nil && r.Has(id) {
				continue
			}
			if err := each(source, event(id, began.Add(time.Minute))); err != nil {
				return []store.Source{{Region: "us-east-1", Error: err.Error()}}
			}
		}
		if err := mark(store.Mark{Of: source, Done: true}); err != nil {
			return []store.Source{{Region: "us-east-1", Error: err.Error()}}
		}
		return []store.Source{{Region: "us-east-1", Events: len(ids)}}
	}
}

// A reading that is cut off by its time goes on from where it was, and what a power failure tore is asked for again.
func TestAReadingGoesOn(t *testing.T) {
	evident(t, func(s *legend) {
		const all = 40
		asked := map[string]int{}
		s.collect = func(ctx context.Context, r store.Resume, each func(string, store.Record) error, mark func(store.Mark) error) []store.Source {
			for i := range all {
				id := fmt.Sprint("event-", i)
				if r.Has(id) {
					continue
				}
				select {
				case <-ctx.Done():
					return []store.Source{{Region: "us-east-1", Error: "cut off"}}
				case <-time.After(time.Minute):
				}
				asked[id]++
				if err := errors.Join(each("a", event(id, time.Now())), mark(store.Mark{Of: "a", From: time.Now()})); err != nil {
					s.t.Error(err)
				}
			}
			return []store.Source{{Region: "us-east-1", Events: all}}
		}
		id := s.active("ec2", "30m", "lee")
		s.pass(29 * time.Minute)
		s.until(id, store.Revoked, 3*time.Minute)
		s.pass(28 * time.Minute)
		s.stop() // in the middle
		found, err := filepath.Glob(filepath.Join(s.run.spooled, "readings", "*"))
		if err != nil || len(found) != 1 {
			s.t.Fatal(found, err)
		}
		f, err := os.OpenFile(found[0], os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			s.t.Fatal(err)
		}
		_, err = f.WriteString(`{"source":"a","record":{"ID":"torn`)
		if err := errors.Join(err, f.Close()); err != nil {
			s.t.Fatal(err)
		}
		s.start(0)
		s.until(id, store.Reported, time.Hour)
		s.pass(12 * time.Minute)
		if n := s.record(id).Readings[0].Events; n != all {
			s.t.Errorf("%d events, of %d", n, all)
		}
		lines := strings.Split(strings.TrimSpace(s.vault.text("sessions/"+string(id)+"/002-ended/events.jsonl")), "\n")
		once := map[string]bool{}
		for _, l := range lines {
			once[l] = true
		}
		if len(lines) != all || len(once) != all {
			s.t.Errorf("the archive has %d events, %d of them different", len(lines), len(once))
		}
		twice := 0
		for _, n := range asked {
			twice += n - 1
		}
		if twice > 1 { // that which was under way when the program was stopped
			s.t.Errorf("%d events were asked for again", twice)
		}
	})
}
