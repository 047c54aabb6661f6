package aws

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"breakglass/store"
)

// An organisation trail's log group, by CloudWatch Logs Insights: every account and Region at once, the access portal's events among them, data events
// where the trail has them. A query answers with so many events at most; more are asked for by ending the next query where the last one got to.

const (
	insightsLimit = 10_000  // of a query by itself (CloudWatch Logs quotas)
	insightsMost  = 100_000 // the most that can be asked for (API reference of StartQuery)
	insightsPage  = 1_000   // of an answer: what is in memory at once
	// delivery is how much later than the event its line may be in the log group. Lines are found by their own time, events chosen by theirs.
	delivery = time.Hour
	// queryPatience bounds one query of Logs Insights or Athena.
	queryPatience = 5 * time.Minute
	needsInsights = "logs:StartQuery and logs:GetQueryResults"
)

func (t *Trail) insightsPlace(q store.Query) place {
	name := "log group " + clean(t.logGroup, maxField)
	return place{name: name, sorted: true, questions: []question{{of: name, needs: needsInsights,
		ask: func(ctx context.Context, m store.Mark, give func(batch)) error { return t.insights(ctx, q, m, give) }}}}
}

// insights reads the window downwards, a query at a time. Where as many events as a query gives are within two seconds, so that its end cannot be brought down, it
// asks for the most there is, and says so if that is not enough.
func (t *Trail) insights(ctx context.Context, q store.Query, m store.Mark, give func(batch)) error {
	text, err := insightsQuery(q)
	if err != nil {
		return err
	}
	client := t.logs()
	from, to := t.window(store.Query{From: q.From, To: q.To.Add(delivery)}, m)
	var left error
	for limit := insightsLimit; ; {
		oldest, n, err := t.insightsOnce(ctx, client, text, limit, from, to, func(events []types.Event, at time.Time) {
			if !at.IsZero() {
				m.From = at
			}
			give(batch{account: q.Account.ID, events: events, mark: m})
		})
		if err != nil || n < limit {
			return first(err, left)
		}
		next := upTo(from, to, store.Mark{From: oldest})
		switch {
		case next.Before(to):
			to, limit = next, insightsLimit
		case limit < insightsMost:
			limit = insightsMost
		default:
			left = told(fmt.Sprintf("more than %d events at %s, not all were read", limit, oldest.Format("15:04:05 UTC")))
			if to = to.Add(-2 * time.Second); !to.After(from) {
				return left
			}
			limit = insightsLimit
		}
	}
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// insightsQuery asks for what may be the session's; which of it is, is decided by the events. Accounts are not compared here: of a large event, Insights knows only the
// fields that come first, and an event's account comes last.
func insightsQuery(q store.Query) (string, error) {
	name := nameOfSession(q)
	var either []string
	if q.UserID != "" && q.Role == "" {
		either = append(either, "userIdentity.onBehalfOf.userId like /^"+likeness(q.UserID)+"$/")
	}
	if name != "" {
		either = append(either, "userIdentity.principalId like /:"+likeness(name)+"$/")
	}
	if q.Role != "" && name != "" {
		either = append(either, "requestParameters.roleSessionName like /^"+likeness(name)+"$/")
	}
	if len(either) == 0 {
		return "", told("the session has no name to look for")
	}
	return "fields @timestamp, @message\n| filter " + strings.Join(either, " or ") + "\n| sort @timestamp desc", nil
}

// notPlain is what could mean something in a regular expression or to whoever reads it out of the query.
var notPlain = regexp.MustCompile(`[^A-Za-z0-9_@=,-]+`)

// likeness is a regular expression that matches s, and perhaps more, in which nothing of s can be taken for anything but itself: how strings are quoted in this language
// is not documented.
func likeness(s string) string { return notPlain.ReplaceAllString(s, ".+") }

// insightsOnce runs one query and gives its pages, newest first. It returns the time of the last event, and how many there were.
func (t *Trail) insightsOnce(ctx context.Context, client *cloudwatchlogs.Client, text string, limit int, from, to time.Time, give func([]types.Event, time.Time)) (oldest time.Time, n int, err error) {
	quota := t.c.counted("logs")
	in := &cloudwatchlogs.StartQueryInput{StartTime: sdk.Int64(from.Unix()), EndTime: sdk.Int64(to.Unix()),
		QueryString: sdk.String(fmt.Sprintf("%s\n| limit %d", text, limit)), Limit: sdk.Int32(int32(limit))}
	if strings.HasPrefix(t.logGroup, "arn:") {
		in.LogGroupIdentifiers = []string{strings.TrimSuffix(t.logGroup, ":*")}
	} else {
		in.LogGroupName = &t.logGroup
	}
	out, err := call(ctx, t.c, quota, "StartQuery", collecting, func(ctx context.Context) (*cloudwatchlogs.StartQueryOutput, error) {
		return client.StartQuery(ctx, in)
	})
	if err != nil {
		return oldest, 0, unasked(err)
	}
	ended := false
	defer func() {
		if !ended { // nobody waits for it any more; what it scans costs money
			_, _ = call(context.WithoutCancel(ctx), t.c, quota, "StopQuery", writing, func(ctx context.Context) (*cloudwatchlogs.StopQueryOutput, error) {
				return client.StopQuery(ctx, &cloudwatchlogs.StopQueryInput{QueryId: out.QueryId})
			})
		}
	}()
	page := &cloudwatchlogs.GetQueryResultsInput{QueryId: out.QueryId, MaxItems: sdk.Int32(insightsPage)}
	for begun, wait := time.Now(), pollFirst; ; {
		res, err := call(ctx, t.c, quota, "GetQueryResults", collecting, func(ctx context.Context) (*cloudwatchlogs.GetQueryResultsOutput, error) {
			return client.GetQueryResults(ctx, page)
		})
		if err != nil {
			return oldest, n, fmt.Errorf("reading the results of a query: %w", err)
		}
		switch res.Status {
		case logs.QueryStatusComplete:
			ended = true
		case logs.QueryStatusScheduled, logs.QueryStatusRunning, logs.QueryStatusUnknown:
			if time.Since(begun) > queryPatience {
				return oldest, n, told(fmt.Sprintf("the query did not end within %.0f minutes", queryPatience.Minutes()))
			}
			if err := sleep(ctx, wait); err != nil {
				return oldest, n, fmt.Errorf("waiting for a query: %w", err)
			}
			wait = min(2*wait, pollLast)
			continue // what it has found so far is neither all nor in order
		default:
			ended = true
			return oldest, n, told("the query ended as " + clean(string(res.Status), 40))
		}
		events, last := rows(res.Results)
		n += len(events)
		if !last.IsZero() {
			oldest = last
		}
		if len(events) > 0 {
			give(events, oldest)
		}
		if page.NextToken = res.NextToken; sdk.ToString(page.NextToken) == "" {
			if s := res.Statistics; s != nil && int(s.ResultCount) > n {
				return oldest, n, told(fmt.Sprintf("AWS gave %d of the %.0f events it found", n, s.ResultCount))
			}
			return oldest, n, nil
		}
	}
}

// unasked is a query that AWS did not take. What is wrong with it, or with the workgroup, only its sentence says.
func unasked(err error) error {
	switch c := code(err); c {
	case "InvalidRequestException", "InvalidParameterException", "MalformedQueryException", codeNotFound:
		return told(clean("AWS answered "+c+": "+plainMessage(err), 120))
	}
	return fmt.Errorf("starting a query: %w", err)
}

// How often a query is looked after.
const (
	pollFirst = 500 * time.Millisecond
	pollLast  = 5 * time.Second
)

// rows are the events of a page of results, and the time of the last line.
func rows(results [][]logs.ResultField) (events []types.Event, last time.Time) {
	for _, row := range results {
		var e types.Event
		for _, f := range row {
			switch sdk.ToString(f.Field) {
			case "@message":
				e.CloudTrailEvent = f.Value
			case "@timestamp":
				if at, err := time.Parse("2006-01-02 15:04:05.000", sdk.ToString(f.Value)); err == nil {
					last = at
				}
			}
		}
		events = append(events, e)
	}
	return events, last
}

// logs is CloudWatch Logs where the log group is: in the bot's own account, and its own Region unless an ARN names another.
func (t *Trail) logs() *cloudwatchlogs.Client {
	cfg := t.c.base.Copy()
	if parts := strings.SplitN(t.logGroup, ":", 6); len(parts) == 6 && parts[0] == "arn" && parts[3] != "" {
		cfg.Region = parts[3]
	}
	return cloudwatchlogs.NewFromConfig(cfg, func(o *cloudwatchlogs.Options) { o.Retryer = sdk.NopRetryer{} })
}
