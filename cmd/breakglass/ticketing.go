package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"breakglass/store"
	"breakglass/workflows"
	"breakglass/workflows/aws"
	"breakglass/workflows/policy"
	"breakglass/workflows/report"
	"breakglass/workflows/tracker"
)

// trackerOf is the tracker that the policy names, nil where it names none.
func trackerOf(env environment, pol *policy.Policy, conn *aws.Connection, client *http.Client) (*tracker.Tracker, error) {
	if pol.Tracker.Kind == "" {
		return nil, nil
	}
	return tracker.New(tracker.Config{Kind: tracker.Kind(pol.Tracker.Kind), URL: pol.Tracker.URL, HTTP: client, Secret: func(ctx context.Context) (string, error) {
		if env.Tracker == "" {
			return "", errors.New("BREAKGLASS_TRACKER is not set, and the policy names a tracker")
		}
		return aws.Secret(ctx, conn, env.Tracker)
	}})
}

// mending is how long a report waits for somebody to mend what keeps it out of the tracker.
const mending = 15 * time.Minute

// ticketed adds a session's report to its ticket, once for each reading.
func (p *program) ticketed(ctx context.Context, n store.Notice, r store.Request) error {
	t, err := trackerOf(p.env, p.pol.Load(), p.aws, p.tracker)
	if err != nil || t == nil || r.Ticket == "" {
		p.log.Warn("a report is not added to its ticket: the policy names no tracker that can be used", "request", r.ID, "err", err)
		return nil
	}
	c, err := p.engine.Case(r, p.engine.Moment())
	if err != nil {
		return err
	}
	_, text, err := c.Write(report.Filed)
	if err != nil {
		return err
	}
	err = t.Add(ctx, r.Ticket, string(r.ID)+"/"+n.Data["reading"], text)
	if err == nil {
		p.log.Info("the report was added to its ticket", "request", r.ID, "ticket", r.Ticket, "tracker", t.String())
		return nil
	}
	u := &workflows.Undelivered{Err: err}
	if busy, ok := errors.AsType[*tracker.Busy](err); ok {
		u.After = busy.After
	}
	if refused, ok := errors.AsType[*store.Refusal](err); ok {
		switch refused.Code {
		case tracker.CodeUnauthorized, tracker.CodeForbidden, tracker.CodeNoTracker:
			u.After = mending // of our account, not of this ticket
		default:
			u.Permanent, u.Certain = true, true
		}
	}
	return u
}

// trackerRow asks the tracker for a ticket that no tracker has.
func trackerRow(ctx context.Context, env environment, pol *policy.Policy, conn *aws.Connection) []aws.Row {
	t, err := trackerOf(env, pol, conn, nil)
	if t == nil && err == nil {
		return nil
	}
	row := aws.Row{What: "tracker", Needed: "an account that may read tickets and add to them", Remedy: "mend tracker in the policy, or BREAKGLASS_TRACKER (EMAIL:TOKEN for Jira Cloud, USER:PASSWORD for ServiceNow, or a token)"}
	if err == nil {
		_, err = t.Find(ctx, "BREAKGLASS-0")
	}
	if refused, ok := errors.AsType[*store.Refusal](err); ok && refused.Code == tracker.CodeNoTicket {
		err = nil
	}
	if err != nil {
		row.Found = err.Error()
		return []aws.Row{row}
	}
	return []aws.Row{{What: "tracker", Found: fmt.Sprintf("%s answers; whether the account may add to tickets shows when it does", t), OK: true}}
}
