package aws

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/athena"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"
)

// Elsewhere says whether CloudTrail is read from one place for the whole organisation, so that the accounts' own event histories are not asked.
func (t *Trail) Elsewhere() bool { return t.logGroup != "" || t.table != "" }

// Ready asks the place that is read for all accounts for the least that it has: the log group or the table where the policy names one, else the trail of
// the access portal (the event histories of the accounts are among Check's rows). A query costs what a query costs: a few minutes of the log group, one row of the table.
func (t *Trail) Ready(ctx context.Context) []Row {
	switch {
	case t.logGroup != "":
		return []Row{t.checkInsights(ctx)}
	case t.table != "":
		return []Row{t.checkAthena(ctx)}
	}
	return []Row{t.checkPortal(ctx)}
}

// checkPortal reads one event of the account that owns Identity Center. Without its events a report lacks one of its two tables, and says so: where
// nobody asked for them that is a warning.
func (t *Trail) checkPortal(ctx context.Context) Row {
	role := t.c.cfg.OwnerRole
	r := Row{What: "CloudTrail of the access portal",
		Needed: cmp.Or(role, "the bot's own credentials") + " may call " + needsLookup + " in the account that owns Identity Center"}
	cfg, account, err := t.c.owner(ctx)
	if err == nil {
		_, err = call(ctx, t.c, t.c.trailQuota(account, t.c.cfg.Region), "LookupEvents", reading, func(ctx context.Context) (*cloudtrail.LookupEventsOutput, error) {
			return lookupsOf(cfg, t.c.cfg.Region).LookupEvents(ctx, &cloudtrail.LookupEventsInput{MaxResults: sdk.Int32(1)})
		})
	}
	if err == nil {
		r.Found, r.OK = fmt.Sprintf("read in account %s, %s", clean(account, 12), t.c.cfg.Region), true
		return r
	}
	r.Found, r.OK = saidOf(err, needsLookup), role == ""
	r.Remedy = "make a role in that account that trusts the bot's and may call " + needsLookup + ", and set BREAKGLASS_OWNER_ROLE to it: without it reports do not say who signed in " +
		"at the portal and took credentials there"
	return r
}

// latest is how far back the log group is asked: CloudTrail delivers within some five minutes.
const latest = 15 * time.Minute

// checkInsights asks for one line of the last minutes. An organisation always makes some, so none at all is a warning.
func (t *Trail) checkInsights(ctx context.Context) Row {
	r := Row{What: "CloudTrail in the log group " + clean(t.logGroup, maxField), Needed: "an organisation trail's log group; the bot may call " + needsInsights}
	now := t.c.now()
	_, n, err := t.insightsOnce(ctx, t.logs(), "fields @timestamp, @message", 1, now.Add(-latest), now, func([]types.Event, time.Time) {})
	switch {
	case err != nil:
		r.Found = saidOf(err, needsInsights)
		r.Remedy = "correct trail.logs_insights in the policy, and give the bot " + needsInsights + " (and logs:StopQuery): without it there is no summary"
	case n == 0:
		r.OK, r.Found = true, fmt.Sprintf("a query ran, and the log group has no line of the last %.0f minutes", latest.Minutes())
		r.Remedy = "see whether the trail still delivers to this log group"
	default:
		r.OK, r.Found = true, "a query ran and found lines"
	}
	return r
}

// checkAthena asks for one row of the table with every column that a reading asks for, so that a table of another layout shows before it is needed.
func (t *Trail) checkAthena(ctx context.Context) Row {
	r := Row{What: "CloudTrail in the table " + clean(t.table, maxField), Needed: "a table over an organisation trail's bucket; the bot may call " + needsAthena}
	err := t.oneRow(ctx)
	if err != nil {
		r.Found = saidOf(err, needsAthena)
		r.Remedy = "correct trail.athena and its workgroup in the policy, and see that the workgroup has a place for results that the bot can write to: without it there is no summary"
		return r
	}
	r.OK, r.Found = true, "a query ran; the table has the columns that are needed"
	return r
}

func (t *Trail) oneRow(ctx context.Context) error {
	table, err := quotedTable(t.table)
	if err != nil {
		return err
	}
	statement := athenaSelect(table) + "\nLIMIT 1"
	client, quota := t.athenaClient(), t.c.counted("athena")
	in := &athena.StartQueryExecutionInput{QueryString: &statement}
	if t.workgroup != "" {
		in.WorkGroup = &t.workgroup
	}
	out, err := call(ctx, t.c, quota, "StartQueryExecution", reading, func(ctx context.Context) (*athena.StartQueryExecutionOutput, error) {
		return client.StartQueryExecution(ctx, in)
	})
	if err != nil {
		return unasked(err)
	}
	if err := t.athenaEnd(ctx, client, quota, out.QueryExecutionId); err != nil {
		return err
	}
	_, err = call(ctx, t.c, quota, "GetQueryResults", reading, func(ctx context.Context) (*athena.GetQueryResultsOutput, error) {
		return client.GetQueryResults(ctx, &athena.GetQueryResultsInput{QueryExecutionId: out.QueryExecutionId, MaxResults: sdk.Int32(2)})
	})
	return err
}

// saidOf is what a table says of an error: its own words where it has plain ones, else what AWS's mean.
func saidOf(err error, needs string) string {
	var t told
	if errors.As(err, &t) {
		return strings.TrimSpace(clean(string(t), 300))
	}
	return inWords(err, needs)
}
