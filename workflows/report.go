package workflows

import (
	"context"
	"errors"
	"fmt"
	"time"

	"breakglass/store"
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
	reading := e.read1(ctx, r)
	if ctx.Err() != nil {
		return ctx.Err()
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
			card(c), line(c, NoticeSummary, data),
		)
	}
	var err error
	if r.State == store.Revoked {
		_, err = e.DB.Transition(e.by(), r.ID, store.Revoked, store.Reported, add)
	} else {
		_, err = e.DB.Touch(e.by(), r.ID, store.Reported, add)
	}
	return err
}

// read1 is one reading. Events that an earlier one had are left out of it.
func (e *Engine) read1(ctx context.Context, r store.Request) store.Reading {
	ctx, cancel := context.WithTimeout(ctx, readPatience)
	defer cancel()
	q := store.Query{
		Account: r.Account, UserID: r.Requester.UserID, UserName: r.Requester.UserName, Set: r.PermissionSet, Role: r.Role, Request: r.ID,
		From: r.GrantedAt.Add(-margin), To: r.EndedAt, // what the session's keys did after it is the trail's to tell
	}
	g := report.NewGather(r.Readings)
	sources := e.Trail.Read(ctx, q, g.Add)
	return g.Reading(store.Moment(e.now()), q.From, q.To, sources)
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

// closeCase ends the case, unless a ticket is still owed; then the ticket's clock does.
func (e *Engine) closeCase(r store.Request) error {
	if _, owed := r.At(store.ClockTicket); owed {
		_, err := e.DB.Touch(e.by(), r.ID, store.Reported, func(c *store.Change) error {
			c.Request.Stop(store.ClockReport)
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
		return c.Log(store.EventOutcome, map[string]string{"effect": "read trail", "nothing": "a membership leaves no events in an account"})
	})
	return err
}
