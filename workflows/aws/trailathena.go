package aws

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/athena"
	athenatypes "github.com/aws/aws-sdk-go-v2/service/athena/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"

	"breakglass/store"
)

// A trail's bucket, by Athena: a table over it as AWS documents it (Athena user guide, CloudTrail logs). How the table is partitioned is not known here, so the
// window is compared with the events' own times; what a query may scan is bounded by its workgroup. trailathenarow.go makes events of the rows.

const (
	athenaPage  = 500 // rows of an answer; AWS gives 1000 at most
	needsAthena = "athena:StartQueryExecution on the workgroup, and to read the table, the trail's bucket and the query's results"
)

// athenaColumns are read as they are; useridentity and resources are structures, and written as JSON by the query. All of them are in every version of the
// table that AWS has documented.
var athenaColumns = []string{"eventversion", "eventtime", "eventsource", "eventname", "awsregion", "sourceipaddress", "useragent", "errorcode", "errormessage",
	"requestparameters", "responseelements", "additionaleventdata", "requestid", "eventid", "eventtype", "apiversion", "readonly", "recipientaccountid",
	"serviceeventdetails", "sharedeventid", "vpcendpointid"}

func (t *Trail) athenaPlace(q store.Query) place {
	name := "table " + clean(t.table, maxField)
	return place{name: name, sorted: true, questions: []question{{of: name, needs: needsAthena,
		ask: func(ctx context.Context, m store.Mark, give func(batch)) error { return t.athena(ctx, q, m, give) }}}}
}

// athenaQuery is the statement with its parameters, which Athena puts in for the question marks. Parameters are SQL literals (Athena user guide, parameterized queries).
// Like Insights', it asks for what may be the session's.
func athenaQuery(table string, q store.Query, from, to time.Time) (statement string, params []string, err error) {
	named, err := quotedTable(table)
	if err != nil {
		return "", nil, err
	}
	stamp := func(t time.Time) string { return sqlText(t.UTC().Format("2006-01-02T15:04:05Z")) }
	params = []string{stamp(from), stamp(to), sqlText(q.Account.ID)}
	var either []string
	is := func(condition, value string) {
		if value != "" {
			either, params = append(either, condition), append(params, sqlText(value))
		}
	}
	is("split_part(useridentity.principalid, ':', 2) = ?", nameOfSession(q))
	if q.Role == "" {
		is("strpos("+whoColumn+", ?) > 0", q.UserID) // not by its column, which older tables lack
	} else {
		is("strpos(requestparameters, ?) > 0", nameOfSession(q))
	}
	if len(either) == 0 {
		return "", nil, told("the session has no name to look for")
	}
	return athenaSelect(named) +
		"\nWHERE eventtime >= ? AND eventtime <= ?" +
		"\nAND (recipientaccountid = ? OR eventsource = '" + portalSource + "')" +
		"\nAND (" + strings.Join(either, " OR ") + ")" +
		"\nORDER BY eventtime DESC", params, nil
}

// whoColumn is the structure of the identity as text.
const whoColumn = "json_format(CAST(useridentity AS JSON))"

// athenaSelect is what is asked of each row.
func athenaSelect(table string) string {
	return "SELECT " + strings.Join(athenaColumns, ", ") + ", " + whoColumn + " AS useridentity, json_format(CAST(resources AS JSON)) AS resources" +
		"\nFROM " + table
}

// quotedTable is the name of a table as SQL has it: each part quoted.
func quotedTable(table string) (string, error) {
	parts := strings.Split(table, ".")
	if len(parts) > 3 || slices.Contains(parts, "") {
		return "", told("the name of the table in trail.athena is not one: " + clean(table, maxField))
	}
	for i, p := range parts {
		parts[i] = `"` + strings.ReplaceAll(p, `"`, `""`) + `"`
	}
	return strings.Join(parts, "."), nil
}

// sqlText is a string of SQL.
func sqlText(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// athena runs the query and gives its pages, newest first.
func (t *Trail) athena(ctx context.Context, q store.Query, m store.Mark, give func(batch)) error {
	from, to := t.window(q, m)
	statement, params, err := athenaQuery(t.table, q, from, to)
	if err != nil {
		return err
	}
	client, quota := t.athenaClient(), t.c.counted("athena")
	in := &athena.StartQueryExecutionInput{QueryString: &statement, ExecutionParameters: params}
	if t.workgroup != "" {
		in.WorkGroup = &t.workgroup
	}
	// The SDK makes up a token for the request, so that repeating it starts nothing twice.
	out, err := call(ctx, t.c, quota, "StartQueryExecution", collecting, func(ctx context.Context) (*athena.StartQueryExecutionOutput, error) {
		return client.StartQueryExecution(ctx, in)
	})
	if err != nil {
		return unasked(err)
	}
	if err := t.athenaEnd(ctx, client, quota, out.QueryExecutionId); err != nil {
		return err
	}
	page := &athena.GetQueryResultsInput{QueryExecutionId: out.QueryExecutionId, MaxResults: sdk.Int32(athenaPage)}
	var columns []string
	for {
		res, err := call(ctx, t.c, quota, "GetQueryResults", collecting, func(ctx context.Context) (*athena.GetQueryResultsOutput, error) {
			return client.GetQueryResults(ctx, page)
		})
		if err != nil {
			return fmt.Errorf("reading the results of a query: %w", err)
		}
		if res.ResultSet == nil {
			return told("the query had no result")
		}
		rows := res.ResultSet.Rows
		if columns == nil { // the first row of all names the columns
			if len(rows) == 0 {
				return nil
			}
			columns, rows = cells(rows[0]), rows[1:]
		}
		events := make([]types.Event, 0, len(rows))
		for _, row := range rows {
			e := eventOfRow(columns, row)
			if at := sdk.ToTime(e.EventTime); !at.IsZero() {
				m.From = at
			}
			events = append(events, e)
		}
		if len(events) > 0 {
			give(batch{account: q.Account.ID, events: events, mark: m})
		}
		if page.NextToken = res.NextToken; sdk.ToString(page.NextToken) == "" {
			return nil
		}
	}
}

// athenaEnd waits until a query has succeeded.
func (t *Trail) athenaEnd(ctx context.Context, client *athena.Client, quota *quota, id *string) error {
	ended := false
	defer func() {
		if !ended {
			_, _ = call(context.WithoutCancel(ctx), t.c, quota, "StopQueryExecution", writing, func(ctx context.Context) (*athena.StopQueryExecutionOutput, error) {
				return client.StopQueryExecution(ctx, &athena.StopQueryExecutionInput{QueryExecutionId: id})
			})
		}
	}()
	for begun, wait := time.Now(), pollFirst; ; wait = min(2*wait, pollLast) {
		out, err := call(ctx, t.c, quota, "GetQueryExecution", collecting, func(ctx context.Context) (*athena.GetQueryExecutionOutput, error) {
			return client.GetQueryExecution(ctx, &athena.GetQueryExecutionInput{QueryExecutionId: id})
		})
		if err != nil {
			return fmt.Errorf("waiting for a query: %w", err)
		}
		var state athenatypes.QueryExecutionState
		var why string
		if x := out.QueryExecution; x != nil && x.Status != nil {
			state, why = x.Status.State, sdk.ToString(x.Status.StateChangeReason)
		}
		switch state {
		case athenatypes.QueryExecutionStateSucceeded:
			ended = true
			return nil
		case athenatypes.QueryExecutionStateFailed, athenatypes.QueryExecutionStateCancelled:
			ended = true
			return told(clean("the query ended as "+string(state)+": "+why, 120))
		}
		if time.Since(begun) > queryPatience {
			return told(fmt.Sprintf("the query did not end within %.0f minutes", queryPatience.Minutes()))
		}
		if err := sleep(ctx, wait); err != nil {
			return fmt.Errorf("waiting for a query: %w", err)
		}
	}
}

func (t *Trail) athenaClient() *athena.Client {
	return athena.NewFromConfig(t.c.base, func(o *athena.Options) { o.Retryer = sdk.NopRetryer{} })
}
