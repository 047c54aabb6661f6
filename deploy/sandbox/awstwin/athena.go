// Athena over the files of the organisation's trail: a table as its user guide makes it, and queries that run for a while. A query reads what
// had been delivered when it ended.

package awstwin

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Limits of Athena (StartQueryExecution and GetQueryResults, API reference; service quotas: active DML queries).
const (
	athenaPage       = 1000
	athenaConcurrent = 200
	athenaLength     = 262_144
)

// trailTable is a table over the trail in an account and Region.
type trailTable struct{ database, name string }

// athenaRun is one query.
type athenaRun struct {
	id, token, text, workgroup, output string
	params                             []string
	started, due, stopped              time.Time
	reason                             string // why it fails
	plan                               *sqlQuery
	rows                               [][]*string
	scanned                            int
}

// TrailTable puts a table over the organisation's trail into an account and Region, with a workgroup whose results go to an S3 location
// (s3://bucket/prefix/). The workgroup primary is always there, and has no location.
func (o *Organization) TrailTable(accountID, region, database, table, workgroup, output string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.settle(o.cfg.Now())
	if o.trail.org == nil {
		o.trail.org = &orgTrail{}
	}
	r := o.must(accountID).in(region)
	r.trailTables = append(r.trailTables, trailTable{database, table})
	r.workgroups[workgroup] = output
}

func athenaService() *service {
	onWorkgroup := func(c *call) []string {
		var in athenaInput
		_ = c.decode(&in)
		if run := c.place().athena[in.QueryExecutionId]; run != nil {
			in.WorkGroup = run.workgroup
		}
		return []string{c.place().arn("athena", "workgroup/"+cmp.Or(in.WorkGroup, "primary"))}
	}
	return &service{name: "athena", scope: "athena", target: "AmazonAthena", source: "athena.amazonaws.com", prefix: "athena", proto: protoJSON,
		ops: map[string]*operation{
			"StartQueryExecution": writes(startExecution).on(onWorkgroup),
			"GetQueryExecution":   reads(getExecution).on(onWorkgroup),
			"GetQueryResults":     reads(executionResults).on(onWorkgroup),
			"StopQueryExecution":  writes(stopExecution).on(onWorkgroup),
		}}
}

type athenaInput struct {
	QueryString, ClientRequestToken, WorkGroup string
	QueryExecutionId, NextToken                string
	ExecutionParameters                        []string
	QueryExecutionContext                      struct{ Database, Catalog string }
	ResultConfiguration                        struct{ OutputLocation string }
	MaxResults                                 *int
}

func badQuery(code, format string, args ...any) *Error {
	return fail("InvalidRequestException", format, args...).with("AthenaErrorCode", code)
}

func startExecution(c *call, in *athenaInput) (any, error) {
	r, group := c.place(), cmp.Or(in.WorkGroup, "primary")
	output, known := r.workgroups[group]
	if output == "" {
		output = in.ResultConfiguration.OutputLocation
	}
	switch {
	case !known && group != "primary":
		return nil, badQuery("WORKGROUP_NOT_FOUND", "WorkGroup %s is not found.", group)
	case in.QueryString == "" || len(in.QueryString) > athenaLength:
		return nil, badQuery("INVALID_INPUT", "The query is empty or longer than %d bytes.", athenaLength)
	case in.ClientRequestToken != "" && (len(in.ClientRequestToken) < 32 || len(in.ClientRequestToken) > 128):
		return nil, badQuery("INVALID_INPUT", "ClientRequestToken has between 32 and 128 characters.")
	case output == "":
		return nil, badQuery("INVALID_INPUT", "No output location provided. An output location is required either through the Workgroup result configuration setting or as an API input.")
	}
	running := 0
	for _, x := range r.athena {
		if in.ClientRequestToken != "" && x.token == in.ClientRequestToken {
			if x.text != in.QueryString || !slices.Equal(x.params, in.ExecutionParameters) {
				return nil, badQuery("INVALID_INPUT", "Idempotent parameters do not match")
			}
			return map[string]any{"QueryExecutionId": x.id}, nil
		}
		if s := x.state(c.at); s == "QUEUED" || s == "RUNNING" {
			running++
		}
	}
	if running >= cmp.Or(c.org.queries.concurrent, athenaConcurrent) {
		return nil, fail("TooManyRequestsException", "You have exceeded the limit for the number of queries you can run concurrently. Please reduce the number of concurrent queries submitted by this account.").
			with("Reason", "CONCURRENT_QUERY_LIMIT_EXCEEDED")
	}
	x := &athenaRun{id: c.org.uuid(), token: in.ClientRequestToken, text: in.QueryString, params: in.ExecutionParameters, workgroup: group, output: output, started: c.at,
		due: c.at.Add(c.org.queries.took)}
	if err := x.prepare(c, in); err != nil {
		return nil, err
	}
	r.athena[x.id] = x
	return map[string]any{"QueryExecutionId": x.id}, nil
}

// statements are words that begin one. What begins with another is refused at once; what is wrong further on makes the query fail.
var statements = []string{"select", "with", "insert", "create", "alter", "drop", "show", "describe", "msck", "unload", "explain", "execute", "prepare", "merge", "update", "delete", "values"}

// prepare reads a query, and asks for the permissions of the services behind Athena.
func (x *athenaRun) prepare(c *call, in *athenaInput) error {
	words := strings.Fields(strings.ToLower(x.text))
	if len(words) == 0 || !slices.Contains(statements, words[0]) {
		return badQuery("MALFORMED_QUERY", "line 1:1: mismatched input '%s'", strings.Join(words[:min(1, len(words))], ""))
	}
	plan, err := parseSQL(x.text, x.params)
	if err != nil {
		x.reason = err.Error()
		return nil
	}
	database := cmp.Or(plan.database, in.QueryExecutionContext.Database, "default")
	if !slices.Contains(c.place().trailTables, trailTable{database, plan.table}) {
		x.reason = "TABLE_NOT_FOUND: line 1:1: Table 'awsdatacatalog." + database + "." + plan.table + "' does not exist"
		return nil
	}
	on := func(arn string) func(*call) []string { return func(*call) []string { return []string{arn} } }
	if err := c.also("glue:GetTable", on(c.place().arn("glue", "table/"+database+"/"+plan.table)), nil); err != nil {
		x.reason = "Insufficient permissions to execute the query. " + asError(err).Message
		return nil
	}
	if err := c.also("s3:PutObject", on(x.resultARN()), nil); err != nil {
		x.reason = "Access denied when writing output to url: " + x.resultURL() + " . Please ensure you are allowed to access the S3 bucket."
		return nil
	}
	x.plan = plan
	return nil
}

func (x *athenaRun) resultURL() string {
	return strings.TrimSuffix(x.output, "/") + "/" + x.id + ".csv"
}

func (x *athenaRun) resultARN() string {
	return "arn:aws:s3:::" + strings.TrimPrefix(x.resultURL(), "s3://")
}

func (x *athenaRun) state(now time.Time) string {
	switch {
	case !x.stopped.IsZero():
		return "CANCELLED"
	case now.Sub(x.started) < x.due.Sub(x.started)/4:
		return "QUEUED"
	case now.Before(x.due):
		return "RUNNING"
	case x.reason != "":
		return "FAILED"
	}
	return "SUCCEEDED"
}

func (in *athenaInput) run(c *call) (*athenaRun, error) {
	if x := c.place().athena[in.QueryExecutionId]; x != nil {
		return x, nil
	}
	return nil, badQuery("INVALID_QUERY_EXECUTION_ID", "QueryExecution %s was not found", in.QueryExecutionId)
}

func getExecution(c *call, in *athenaInput) (any, error) {
	x, err := in.run(c)
	if err != nil {
		return nil, err
	}
	state := x.state(c.at)
	status := map[string]any{"State": state, "SubmissionDateTime": epoch(x.started)}
	switch state {
	case "FAILED":
		status["StateChangeReason"] = x.reason
		status["AthenaError"] = map[string]any{"ErrorCategory": 2, "ErrorType": 1006, "Retryable": false, "ErrorMessage": x.reason}
		status["CompletionDateTime"] = epoch(x.due)
	case "CANCELLED":
		status["StateChangeReason"], status["CompletionDateTime"] = "Query cancelled by user", epoch(x.stopped)
	case "SUCCEEDED":
		status["CompletionDateTime"] = epoch(x.due)
		x.execute(c.org)
	}
	return map[string]any{"QueryExecution": map[string]any{"QueryExecutionId": x.id, "Query": x.text, "StatementType": "DML", "WorkGroup": x.workgroup, "Status": status,
		"ResultConfiguration": map[string]any{"OutputLocation": x.resultURL()}, "Statistics": map[string]any{"DataScannedInBytes": x.scanned},
		"ExecutionParameters": some(x.params)}}, nil
}

func stopExecution(c *call, in *athenaInput) (any, error) {
	x, err := in.run(c)
	if err != nil {
		return nil, err
	}
	if c.at.Before(x.due) && x.stopped.IsZero() {
		x.stopped = c.at
	}
	return empty{}, nil // one that has ended stays as it is
}

// executionResults: the first row of the first page names the columns, and counts.
func executionResults(c *call, in *athenaInput) (any, error) {
	x, err := in.run(c)
	if err != nil {
		return nil, err
	}
	switch s := x.state(c.at); s {
	case "SUCCEEDED":
	case "FAILED", "CANCELLED":
		return nil, badQuery("INVALID_QUERY_STATE", "Query did not finish successfully. Final query state: %s", s)
	default:
		return nil, badQuery("INVALID_QUERY_STATE", "Query has not yet finished. Current state: %s", s)
	}
	if c.also("s3:GetObject", func(*call) []string { return []string{x.resultARN()} }, nil) != nil {
		return nil, badQuery("INVALID_INPUT", "You do not seem to have access to the S3 location of your query results. Please confirm your account has access to the S3 location where your query results are saved and try again.")
	}
	size, from := athenaPage, 0
	if in.MaxResults != nil {
		if size = *in.MaxResults; size < 1 || size > athenaPage {
			return nil, badQuery("INVALID_INPUT", "MaxResults is more than maximum allowed length %d.", athenaPage)
		}
	}
	if in.NextToken != "" {
		last, ok := openToken(in.NextToken, x.id)
		if from, err = strconv.Atoi(last); err != nil || !ok {
			return nil, badQuery("INVALID_INPUT", "The NextToken is invalid.")
		}
	}
	x.execute(c.org)
	columns, rows := []any{}, []any{}
	for _, col := range x.plan.columns {
		columns = append(columns, map[string]any{"Name": col.name, "Label": col.name, "Type": col.kind, "CatalogName": "hive", "SchemaName": "", "TableName": "",
			"Nullable": "UNKNOWN", "CaseSensitive": col.kind == sqlText})
	}
	to := min(from+size, len(x.rows))
	for _, row := range x.rows[from:to] {
		data := []any{}
		for _, v := range row {
			cell := map[string]any{}
			if v != nil {
				cell["VarCharValue"] = *v
			}
			data = append(data, cell)
		}
		rows = append(rows, map[string]any{"Data": data})
	}
	out := map[string]any{"UpdateCount": 0, "ResultSet": map[string]any{"Rows": rows, "ResultSetMetadata": map[string]any{"ColumnInfo": columns}}}
	if to < len(x.rows) {
		out["NextToken"] = sealToken(strconv.Itoa(to), x.id)
	}
	return out, nil
}

// execute runs a query once, over what had been delivered when it ended.
func (x *athenaRun) execute(o *Organization) {
	if x.rows != nil {
		return
	}
	head := []*string{}
	for _, col := range x.plan.columns {
		head = append(head, &col.name)
	}
	x.rows = append(x.rows, head)
	var hits []sqlRow
	for _, e := range o.trail.org.events {
		if e.visible.After(x.due) {
			continue
		}
		row := sqlRow{"tree": o.record(e)}
		x.scanned += 1500 // about what an event has in its file
		if x.plan.where == nil || x.plan.where(row) == true {
			hits = append(hits, row)
		}
	}
	x.plan.sort(hits)
	if x.plan.limit >= 0 {
		hits = hits[:min(len(hits), x.plan.limit)]
	}
	for _, row := range hits {
		var cells []*string
		for _, col := range x.plan.columns {
			cells = append(cells, sqlCell(col.value(row)))
		}
		x.rows = append(x.rows, cells)
	}
}
