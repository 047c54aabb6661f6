// CloudWatch Logs Insights: queries that run for a while and are asked for again and again. What had not been delivered when a query ends is not
// in its results, and the next query is another one.

package awstwin

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Limits of Insights (StartQuery and GetQueryResults, API reference).
const (
	insightsConcurrent = 100
	insightsPage       = 10_000
	insightsMost       = 100_000
	insightsLength     = 10_000
	insightsKept       = 7 * 24 * time.Hour
)

// queryClock says how long queries take and how many may run at once.
type queryClock struct {
	took       time.Duration
	concurrent int
}

// SetQueryTime changes how long queries of Logs Insights and Athena run. Default 2 s, the first quarter of which they wait; zero: done at once.
func (o *Organization) SetQueryTime(d time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.queries.took = d
}

// SetQueryLimit changes how many queries of Logs Insights (or of Athena) may run at once in an account and Region. Default 100.
func (o *Organization) SetQueryLimit(n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.queries.concurrent = n
}

// query is one that was started.
type query struct {
	id            string
	groups        []string
	text          string
	plan          *insightsQuery
	from, to      time.Time
	limit         int
	started, due  time.Time
	stopped       bool
	done          bool
	rows          [][]field
	scanned, read int
	matched       int
}

type field struct {
	Field string `json:"field"`
	Value string `json:"value"`
}

type queryInput struct {
	LogGroupName                       string
	LogGroupNames, LogGroupIdentifiers []string
	StartTime, EndTime                 *int64 // seconds
	QueryString, QueryLanguage         string
	Limit                              *int
}

func (in *queryInput) groups() []string {
	all := slices.Clone(in.LogGroupNames)
	if in.LogGroupName != "" {
		all = append(all, in.LogGroupName)
	}
	for _, id := range in.LogGroupIdentifiers {
		all = append(all, named("", id))
	}
	return all
}

func queryARNs(c *call) []string {
	var in queryInput
	_ = c.decode(&in)
	var arns []string
	for _, g := range in.groups() {
		arns = append(arns, c.place().arn("logs", "log-group:"+g+":*"))
	}
	return arns
}

func malformed(format string, args ...any) *Error {
	err := fail("MalformedQueryException", format, args...)
	return err.with("queryCompileError", map[string]any{"message": err.Message, "location": map[string]any{"startCharOffset": 0, "endCharOffset": 0}})
}

func startQuery(c *call, in *queryInput) (any, error) {
	q, err := in.plan(c)
	if err != nil {
		return nil, err
	}
	running := 0
	for _, other := range c.place().queries {
		if !other.stopped && c.at.Before(other.due) {
			running++
		}
	}
	if running >= cmp.Or(c.org.queries.concurrent, insightsConcurrent) {
		return nil, fail("LimitExceededException", "Account maximum query concurrency limit of [%d] reached.", cmp.Or(c.org.queries.concurrent, insightsConcurrent))
	}
	q.id, q.started, q.due = c.org.uuid(), c.at, c.at.Add(c.org.queries.took)
	c.place().queries[q.id] = q
	return map[string]any{"queryId": q.id}, nil
}

// plan checks a query as StartQuery does: what is wrong with it is said at once.
func (in *queryInput) plan(c *call) (*query, error) {
	bad := func(format string, args ...any) error { return fail("InvalidParameterException", format, args...) }
	groups := in.groups()
	named := 0
	for _, given := range []bool{in.LogGroupName != "", len(in.LogGroupNames) > 0, len(in.LogGroupIdentifiers) > 0} {
		if given {
			named++
		}
	}
	switch {
	case in.StartTime == nil || in.EndTime == nil:
		return nil, bad("startTime and endTime must be specified")
	case named != 1:
		return nil, bad("Exactly one of logGroupName, logGroupNames and logGroupIdentifiers must be specified.")
	case len(groups) > 50:
		return nil, bad("At most 50 log groups can be queried.")
	case len(in.QueryString) > insightsLength:
		return nil, bad("1 validation error detected: Value at 'queryString' failed to satisfy constraint: Member must have length less than or equal to %d", insightsLength)
	case in.QueryLanguage != "" && in.QueryLanguage != "CWLI":
		return nil, bad("Only Logs Insights QL (CWLI) is modelled here.")
	case *in.EndTime < *in.StartTime:
		return nil, malformed("End time should not be less than the start time.")
	}
	q := &query{groups: groups, text: in.QueryString, from: time.Unix(*in.StartTime, 0), to: time.Unix(*in.EndTime, 0).Add(time.Second - time.Millisecond), limit: insightsPage}
	if in.Limit != nil {
		if q.limit = *in.Limit; q.limit < 1 || q.limit > insightsMost {
			return nil, bad("1 validation error detected: Value '%d' at 'limit' failed to satisfy constraint: Member must have value between 1 and %d", q.limit, insightsMost)
		}
	}
	for _, name := range groups {
		g := c.place().logGroups[name]
		if g == nil {
			return nil, fail("ResourceNotFoundException", "Log group '%s' does not exist for account ID '%s'", name, c.who.account)
		}
		if q.to.Before(g.created.Truncate(time.Second)) {
			return nil, malformed("Query's end date and time is either before the log groups creation time or exceeds the log groups log retention settings")
		}
	}
	plan, err := parseInsights(in.QueryString)
	if err != nil {
		return nil, malformed("%v", err)
	}
	if q.plan = plan; plan.limit > 0 {
		q.limit = plan.limit
	}
	return q, nil
}

func (q *query) status(now time.Time) string {
	switch {
	case q.stopped:
		return "Cancelled"
	case !now.Before(q.due):
		return "Complete"
	case now.Sub(q.started) < q.due.Sub(q.started)/4:
		return "Scheduled"
	}
	return "Running"
}

func (c *call) query(id string) (*query, error) {
	q := c.place().queries[id]
	if q == nil || c.at.Sub(q.started) > insightsKept {
		return nil, fail("ResourceNotFoundException", "Query id %s does not exist.", id)
	}
	return q, nil
}

type resultsInput struct {
	QueryId, NextToken string
	MaxItems           *int
}

func getQueryResults(c *call, in *resultsInput) (any, error) {
	q, err := c.query(in.QueryId)
	if err != nil {
		return nil, err
	}
	status := q.status(c.at)
	out := map[string]any{"status": status, "queryLanguage": "CWLI", "results": []any{},
		"statistics": map[string]any{"recordsMatched": 0.0, "recordsScanned": 0.0, "bytesScanned": 0.0}}
	if status != "Complete" {
		return out, nil // what it has found so far is found nothing here
	}
	q.run(c.org, c.place())
	from, size := 0, insightsPage
	if in.MaxItems != nil && *in.MaxItems > 0 {
		size = min(*in.MaxItems, insightsPage)
	}
	if in.NextToken != "" {
		last, ok := openToken(in.NextToken, q.id)
		if from, err = strconv.Atoi(last); err != nil || !ok {
			return nil, badLogToken()
		}
	}
	to := min(from+size, len(q.rows))
	out["results"] = some(q.rows[from:to])
	out["statistics"] = map[string]any{"recordsMatched": float64(q.matched), "recordsScanned": float64(q.scanned), "resultCount": float64(len(q.rows)), "bytesScanned": float64(q.read), "logGroupsScanned": float64(len(q.groups))}
	if to < len(q.rows) {
		out["nextToken"] = sealToken(strconv.Itoa(to), q.id)
	}
	return out, nil
}

func stopQuery(c *call, in *resultsInput) (any, error) {
	q, err := c.query(in.QueryId)
	if err != nil {
		return nil, err
	}
	if q.stopped || !c.at.Before(q.due) {
		return nil, fail("InvalidParameterException", "The specified query is not running.")
	}
	q.stopped = true
	return map[string]any{"success": true}, nil
}

// run does a query once, with what had been delivered when it ended.
func (q *query) run(o *Organization, r *regional) {
	if q.done {
		return
	}
	q.done = true
	var hits []record
	for _, name := range q.groups {
		for _, rec := range o.records(r, name, q) {
			q.scanned++
			if q.plan.keeps(rec) {
				hits = append(hits, rec)
			}
		}
	}
	q.matched = len(hits)
	q.plan.order(hits)
	for _, rec := range hits[:min(len(hits), q.limit)] {
		row := q.plan.row(rec)
		for _, f := range row {
			q.read += len(f.Value)
		}
		q.rows = append(q.rows, row)
	}
}

// records are the log events of a group within the times of a query.
func (o *Organization) records(r *regional, name string, q *query) []record {
	g, all := r.logGroups[name], []record{}
	if g == nil {
		return nil
	}
	if o.trail.org.delivers(r, name) {
		for _, e := range o.trail.org.between(q.from, q.to, q.due) {
			all = append(all, record{at: o.trail.org.stampOf(e), ingested: e.visible, stream: o.stream(e), group: r.account + ":" + name, ptr: e.id, tree: o.record(e), event: e, org: o})
		}
		return all
	}
	for _, stream := range sortedKeys(g.streams) {
		for i, l := range g.streams[stream] {
			if !l.at.Before(q.from) && !l.at.After(q.to) && !l.arrived().After(q.due) {
				all = append(all, record{at: l.at, ingested: l.arrived(), stream: stream, group: r.account + ":" + name, ptr: digest(stream + strconv.Itoa(i)),
					tree: lineTree(l.text), text: strings.TrimSuffix(l.text, "\n")})
			}
		}
	}
	return all
}
