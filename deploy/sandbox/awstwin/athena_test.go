package awstwin_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/athena"
	athenatypes "github.com/aws/aws-sdk-go-v2/service/athena/types"

	"breakglass/deploy/sandbox/awstwin"
)

func tabled(t *testing.T) (*world, *awstwin.Session) {
	w, s := trailed(t, nil)
	w.TrailTable(management, "us-east-1", "trail", "cloudtrail_logs", "breakglass", "s3://results/athena/")
	return w, s
}

func (w *world) athena() *athena.Client { return athena.NewFromConfig(bot(w.Organization)) }

// sql runs a query to its end: its rows as texts (NULL as -), or why it failed.
func (w *world) sql(t *testing.T, text string, params ...string) (rows []string, reason string) {
	t.Helper()
	out, err := w.athena().StartQueryExecution(ctxOf(t), &athena.StartQueryExecutionInput{QueryString: &text, WorkGroup: aws.String("breakglass"), ExecutionParameters: params})
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	w.skip(3 * time.Second)
	x := must[*athena.GetQueryExecutionOutput](t)(w.athena().GetQueryExecution(ctxOf(t), &athena.GetQueryExecutionInput{QueryExecutionId: out.QueryExecutionId}))
	if x.QueryExecution.Status.State == athenatypes.QueryExecutionStateFailed {
		return nil, *x.QueryExecution.Status.StateChangeReason
	}
	for p := athena.NewGetQueryResultsPaginator(w.athena(), &athena.GetQueryResultsInput{QueryExecutionId: out.QueryExecutionId, MaxResults: aws.Int32(3)}); p.HasMorePages(); {
		page := must[*athena.GetQueryResultsOutput](t)(p.NextPage(ctxOf(t)))
		for _, r := range page.ResultSet.Rows {
			var cells []string
			for _, d := range r.Data {
				if d.VarCharValue == nil {
					cells = append(cells, "-")
				} else {
					cells = append(cells, *d.VarCharValue)
				}
			}
			rows = append(rows, strings.Join(cells, "|"))
		}
	}
	return rows, ""
}

const byUser = "SELECT eventname, errorcode FROM trail.cloudtrail_logs WHERE useridentity.onbehalfof.userid = ? AND eventtime BETWEEN ? AND ?"

// TestSQLOverTheTrail: the header first, in pages of three, and nothing before it was delivered.
func TestSQLOverTheTrail(t *testing.T) {
	w, _ := tabled(t)
	params := []string{"'" + w.alice + "'", "'2026-11-21T09:00:00Z'", "'2026-11-21T11:00:00Z'"}
	if rows, _ := w.sql(t, byUser, params...); fmt.Sprint(rows) != "[eventname|errorcode]" {
		t.Fatalf("before they were delivered: %v", rows)
	}
	w.skip(10 * time.Minute)
	rows, _ := w.sql(t, byUser+" ORDER BY eventname", params...)
	if s := strings.Join(rows, " "); s != "eventname|errorcode Authenticate|- ConsoleLogin|- CreateUser|AccessDenied DescribeInstances|- Federate|- StopInstances|-" {
		t.Error(s)
	}
	for where, want := range map[string]string{
		"errorcode IS NOT NULL AND NOT (eventsource = 's3.amazonaws.com')":                                                                                                                                               "CreateUser",
		"recipientaccountid IN ('" + prod + "', 'x') AND readonly = 'false' AND eventsource LIKE 'ec2.%'":                                                                                                                "StopInstances",
		"strpos(json_format(CAST(useridentity AS JSON)), '" + w.alice + "') > 0 AND eventname <> 'ConsoleLogin' AND eventsource = 'signin.amazonaws.com'":                                                                "",
		"json_extract_scalar(serviceeventdetails, '$.role_name') = 'Forge-Prod-Emergency'":                                                                                                                               "Federate",
		"split_part(useridentity.principalid, ':', 2) = 'alice' AND from_iso8601_timestamp(eventtime) > timestamp '2026-11-21 09:59:59' AND lower(eventname) LIKE 'stop\\_%' ESCAPE '\\' OR eventname = 'StopInstances'": "StopInstances",
		"useridentity.sessioncontext.sessionissuer.username LIKE 'AWSReservedSSO\\_Forge-Prod-Emergency\\_%' ESCAPE '\\' AND eventname NOT IN ('StopInstances', 'CreateUser', 'ConsoleLogin')":                           "DescribeInstances",
	} {
		rows, reason := w.sql(t, `SELECT "eventname" FROM "AwsDataCatalog"."trail"."cloudtrail_logs" WHERE `+where+` LIMIT 5;`)
		if got := strings.Join(rows[min(1, len(rows)):], " "); got != want || reason != "" {
			t.Errorf("%s\n got %s %s\nwant %s", where, got, reason, want)
		}
	}
	rows, _ = w.sql(t, "SELECT json_format(CAST(useridentity.onbehalfof AS JSON)) AS who, useridentity.onbehalfof, resources FROM trail.cloudtrail_logs WHERE eventname = 'StopInstances' -- her")
	if len(rows) != 2 || !strings.HasPrefix(rows[0], "who|onbehalfof|resources") || !strings.HasPrefix(rows[1], `{"userid":"`+w.alice+`","identitystorearn":"arn:`) || !strings.HasSuffix(rows[1], "|[{arn=i-0aaa, accountid="+prod+", type=AWS::EC2::Instance}]") {
		t.Errorf("%v", rows)
	}
}

// TestSQLThatFails: at its end, with Athena's reason; what is no statement at all, at once.
func TestSQLThatFails(t *testing.T) {
	w, _ := tabled(t)
	for text, want := range map[string]string{
		"SELECT nothing FROM trail.cloudtrail_logs":                                                     "COLUMN_NOT_FOUND",
		"SELECT useridentity.email FROM trail.cloudtrail_logs":                                          "COLUMN_NOT_FOUND",
		"SELECT eventname FROM trail.other":                                                             "TABLE_NOT_FOUND",
		"SELECT eventname FROM cloudtrail_logs":                                                         "TABLE_NOT_FOUND", // in the database default
		"SELECT eventname FROM trail.cloudtrail_logs WHERE readonly = true":                             "TYPE_MISMATCH",
		"SELECT eventname FROM trail.cloudtrail_logs WHERE eventtime > timestamp '2026-01-01 00:00:00'": "TYPE_MISMATCH",
		"SELECT eventname FROM trail.cloudtrail_logs WHERE serviceeventdetails.role_name = 'x'":         "TYPE_MISMATCH",
		"SELECT eventname FROM trail.cloudtrail_logs WHERE eventname = ?":                               "INVALID_PARAMETER_USAGE",
		"SELECT eventname FROM trail.cloudtrail_logs WHERE eventname = \"StopInstances\"":               "COLUMN_NOT_FOUND",
		"SELECT count(*) FROM trail.cloudtrail_logs":                                                    "SYNTAX_ERROR",
		"SELECT eventname FROM trail.cloudtrail_logs GROUP BY eventname":                                "SYNTAX_ERROR",
		"SELECT eventname FROM trail.cloudtrail_logs WHERE eventname = 'x":                              "SYNTAX_ERROR",
		"SELECT eventname FROM trail.cloudtrail_logs WHERE md5(eventname) = 'x'":                        "FUNCTION_NOT_FOUND",
		"DROP TABLE trail.cloudtrail_logs":                                                              "SYNTAX_ERROR",
	} {
		if _, reason := w.sql(t, text); !strings.HasPrefix(reason, want) {
			t.Errorf("%s: %q, want %s", text, reason, want)
		}
	}
	if _, reason := w.sql(t, "SELECT eventname FROM trail.cloudtrail_logs WHERE eventname = ?", "StopInstances"); !strings.HasPrefix(reason, "COLUMN_NOT_FOUND") {
		t.Errorf("a parameter without quotes: %q", reason)
	}
	if rows, _ := w.sql(t, "SELECT eventname FROM trail.cloudtrail_logs WHERE eventname = ?", "'x'' OR 1=1 --'"); len(rows) != 1 {
		t.Errorf("a parameter became SQL: %v", rows)
	}
	_, err := w.athena().StartQueryExecution(ctxOf(t), &athena.StartQueryExecutionInput{QueryString: aws.String("please select"), WorkGroup: aws.String("breakglass")})
	wantCode(t, err, "InvalidRequestException")
	_, err = w.athena().StartQueryExecution(ctxOf(t), &athena.StartQueryExecutionInput{QueryString: aws.String(byUser)})
	wantCode(t, err, "InvalidRequestException") // primary has no place for results
}

// TestAnExecution: its states, its idempotency, its end by hand, and the permissions of the services behind it.
func TestAnExecution(t *testing.T) {
	w, _ := tabled(t)
	in := &athena.StartQueryExecutionInput{QueryString: aws.String("SELECT eventname FROM trail.cloudtrail_logs"), WorkGroup: aws.String("breakglass"), ClientRequestToken: aws.String(strings.Repeat("t", 32))}
	first := must[*athena.StartQueryExecutionOutput](t)(w.athena().StartQueryExecution(ctxOf(t), in))
	again := must[*athena.StartQueryExecutionOutput](t)(w.athena().StartQueryExecution(ctxOf(t), in))
	if *first.QueryExecutionId != *again.QueryExecutionId {
		t.Error("the same call started another")
	}
	results := func(id *string) error {
		_, err := w.athena().GetQueryResults(ctxOf(t), &athena.GetQueryResultsInput{QueryExecutionId: id})
		return err
	}
	wantCode(t, results(first.QueryExecutionId), "InvalidRequestException")
	w.SetQueryLimit(1)
	in.ClientRequestToken = nil
	_, err := w.athena().StartQueryExecution(ctxOf(t), in)
	wantCode(t, err, "TooManyRequestsException")
	if _, err := w.athena().StopQueryExecution(ctxOf(t), &athena.StopQueryExecutionInput{QueryExecutionId: first.QueryExecutionId}); err != nil {
		t.Fatal(err)
	}
	wantCode(t, results(first.QueryExecutionId), "InvalidRequestException")
	w.SetBotPolicy(map[string]string{"athena": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"athena:*","Resource":"*"}]}`})
	if _, reason := w.sql(t, *in.QueryString); !strings.Contains(reason, "glue:GetTable") {
		t.Error(reason)
	}
	w.SetBotPolicy(map[string]string{"athena": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["athena:*","glue:GetTable","s3:PutObject"],"Resource":"*"}]}`})
	out := must[*athena.StartQueryExecutionOutput](t)(w.athena().StartQueryExecution(ctxOf(t), in))
	w.skip(time.Minute)
	if err := results(out.QueryExecutionId); err == nil || !strings.Contains(err.Error(), "S3 location") {
		t.Error(err)
	}
}
