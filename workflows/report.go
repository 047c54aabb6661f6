package workflows

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"breakglass/store"
	"breakglass/workflows/policy"
	"breakglass/workflows/report"
)

// A reading that no region answered is tried again this often and this far apart before it is recorded as what it is.
const (
	readTries = 3
	readPause = 5 * time.Minute
	// readPatience bounds one reading; CloudTrail allows two requests a second for each region of an account.
	readPatience = 10 * time.Minute
	// margin widens the window: the clocks of AWS's services are not ours.
	margin = 2 * time.Minute
)

// report reads CloudTrail when its clock says so: first after it was given time to settle, then again for what came late. What a reading
// found is added, never replaced. With the last one, and no ticket outstanding, the case is closed.
func (e *Engine) report(ctx context.Context, r store.Request) error {
	p := e.Policy()
	if r.Group != "" {
		return e.nothingToRead(r)
	}
	if len(r.Readings) > len(p.Report.Again) {
		return e.closeCase(r)
	}
	reading, cut, err := e.read1(ctx, r)
	if err != nil || ctx.Err() != nil {
		return errors.Join(err, ctx.Err())
	}
	if cut && r.Counts["rounds"] < mostRounds { // it goes on from there
		_, err := e.DB.Touch(e.by(), r.ID, r.State, func(c *store.Change) error {
			count(c.Request, "rounds")
			c.Request.Set(store.ClockReport, c.By.At)
			return nil
		})
		return err
	}
	if silent(reading) && r.Work.Attempts < readTries-1 {
		_, err := e.DB.Touch(e.by(), r.ID, r.State, func(c *store.Change) error {
			c.Request.Work.Attempts++
			c.Request.Set(store.ClockReport, c.By.At.Add(readPause))
			return c.Log(store.EventFault, map[string]string{"error": "no region's trail answered"})
		})
		return err
	}
	add := func(c *store.Change) error {
		q := c.Request
		q.Work = store.Work{}
		delete(q.Counts, "rounds")
		q.Readings = append(q.Readings, reading)
		n := len(q.Readings)
		q.Set(store.ClockReport, c.By.At)
		if n <= len(p.Report.Again) {
			next := q.EndedAt.Add(p.Report.Again[n-1])
			if next.After(c.By.At) {
				q.Set(store.ClockReport, next)
			}
		}
		data := map[string]string{"reading": fmt.Sprint(n - 1)}
		return errors.Join(
			c.Log(store.EventOutcome, map[string]string{"effect": "read trail", "events": fmt.Sprint(reading.Events), "complete": fmt.Sprint(reading.Complete())}),
			card(c), line(c, NoticeSummary, data), e.sendReport(c, p), c.Archive(partOf(n)),
		)
	}
	if r.State == store.Revoked {
		_, err = e.DB.Transition(e.by(), r.ID, store.Revoked, store.Reported, add)
	} else {
		_, err = e.DB.Touch(e.by(), r.ID, store.Reported, add)
	}
	return err
}

// mostRounds bounds how often a reading that takes longer than its time goes on: CloudTrail gives a hundred events a second, and nobody makes more than
// that for a day without being noticed.
const mostRounds = 60

// partOf is which part of the archive the n-th reading completes.
func partOf(n int) string {
	if n == 1 {
		return store.PartEnded
	}
	return store.PartAgain
}

// sendReport has the report sent by mail: after the first reading, and after a later one that found something.
func (e *Engine) sendReport(c *store.Change, p *policy.Policy) error {
	q := c.Request
	n := len(q.Readings)
	last := q.Readings[n-1]
	if n > 1 && last.Events+last.PortalEvents == 0 || q.Lead != "" {
		return nil
	}
	if err := toTicket(c, p); err != nil {
		return err
	}
	to := slices.Clone(p.Report.Email)
	for _, a := range addresses(p, q.Notify) {
		if !slices.Contains(to, a) {
			to = append(to, a)
		}
	}
	if len(to) == 0 {
		return nil
	}
	return c.Tell(store.Notice{Kind: NoticeReport, Lane: string(q.ID) + mailLane, To: strings.Join(to, ","), Data: map[string]string{"reading": fmt.Sprint(n - 1)}})
}

// toTicket has the report as it is now added to the request's ticket, where the policy names a tracker.
func toTicket(c *store.Change, p *policy.Policy) error {
	q := c.Request
	if p.Tracker.Kind == "" || q.Ticket == "" || len(q.Readings) == 0 {
		return nil
	}
	return c.Tell(store.Notice{Kind: NoticeTracker, Lane: string(q.ID) + " tracker" + mailLane, Data: map[string]string{"reading": fmt.Sprint(len(q.Readings) - 1)}})
}

// read1 is one reading. Events that an earlier one had are left out of it. cut: its time was over before it was done, and it can go on from where it is.
func (e *Engine) read1(ctx context.Context, r store.Request) (reading store.Reading, cut bool, err error) {
	within, cancel := context.WithTimeout(ctx, readPatience)
	defer cancel()
	q := store.Query{
		Account: r.Account, UserID: r.Requester.UserID, UserName: r.Requester.UserName, Set: r.PermissionSet, Role: r.Role, Request: r.ID,
		From: r.GrantedAt.Add(-margin), To: r.EndedAt, // what the session's keys did after it is the trail's to tell
	}
	told, whole, err := e.keptBefore(r)
	if err != nil {
		return reading, false, fmt.Errorf("look what earlier readings kept: %w", err)
	}
	earlier := r.Readings
	if whole {
		earlier = nil // the evidence knows each of their events, the readings only so many
	}
	g := report.NewGather(earlier, report.Session(r.GrantedAt, r.EndedAt), report.Sensitive(e.Policy().Report.SensitiveActions...))
	keep, mark := func(_ string, r store.Record) error { g.Add(r); return nil }, func(store.Mark) error { return nil }
	var progress store.Resume
	var s *stage
	if e.Spool != "" {
		s, progress, err = openStage(e.evidenceOf(r.ID, len(r.Readings)), func(_ string, r store.Record) { g.Add(r) })
		if err != nil {
			return reading, false, fmt.Errorf("keep what CloudTrail says: %w", err)
		}
		has := progress.Has
		progress.Has = func(id string) bool { return told[id] || has(id) }
		mark = s.mark
		keep = func(source string, r store.Record) error {
			g.Add(r)
			return s.keep(source, r)
		}
	}
	sources := e.Trail.Collect(within, q, progress, keep, mark)
	if s != nil {
		if err := s.close(); err != nil {
			return reading, false, fmt.Errorf("keep what CloudTrail says: %w", err)
		}
		cut = s.grew && errors.Is(within.Err(), context.DeadlineExceeded)
	}
	return g.Reading(store.Moment(e.now()), q.From, q.To, sources), cut, nil
}

// silent says whether nobody answered at all.
func silent(r store.Reading) bool {
	for _, s := range r.Sources {
		if s.Error == "" {
			return false
		}
	}
	return true
}

// closeCase ends the case, unless something is still owed: then the clock of that does.
func (e *Engine) closeCase(r store.Request) error {
	if len(outstanding(&r)) > 0 {
		_, err := e.DB.Touch(e.by(), r.ID, store.Reported, func(c *store.Change) error {
			q := c.Request
			q.Stop(store.ClockReport)
			_, ticket := q.At(store.ClockTicket)
			if _, owed := q.At(store.ClockOwed); !owed && !ticket {
				q.Set(store.ClockOwed, c.By.At)
			}
			return nil
		})
		return err
	}
	_, err := e.DB.Transition(e.by(), r.ID, store.Reported, store.Closed, func(c *store.Change) error { return card(c) })
	return err
}

// nothingToRead closes a membership's case: what was done with it is in no account's trail that we could name.
func (e *Engine) nothingToRead(r store.Request) error {
	if r.State == store.Reported {
		return e.closeCase(r)
	}
	_, err := e.DB.Transition(e.by(), r.ID, store.Revoked, store.Reported, func(c *store.Change) error {
		c.Request.Set(store.ClockReport, c.By.At)
		return errors.Join(c.Archive(store.PartEnded), c.Log(store.EventOutcome, map[string]string{"effect": "read trail", "nothing": "a membership leaves no events in an account"}))
	})
	return err
}
