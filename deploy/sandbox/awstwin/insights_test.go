package awstwin_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	logs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"breakglass/deploy/sandbox/awstwin"
)

const orgGroup = "aws-cloudtrail-logs-org"

// trailed is a world with an organisation's trail, in which Alice has done a few things.
func trailed(t *testing.T, change func(*awstwin.Config)) (*world, *awstwin.Session) {
	w := newWorld(t, change)
	w.SetQuotas(false)
	w.OrganizationTrail(management, "us-east-1", orgGroup)
	w.AddInstance(prod, "us-east-1", "i-0aaa", "web")
	w.Assign(w.alice, prod, w.set)
	s := must[*awstwin.Session](t)(w.SignIn(w.alice, prod, w.set))
	_ = s.Do(ctxOf(t), awstwin.Action{Service: "ec2", Name: "DescribeInstances"})
	_ = s.Do(ctxOf(t), awstwin.Action{Service: "ec2", Name: "StopInstances", Params: map[string]any{"InstanceIds": []string{"i-0aaa"}}})
	_ = s.Do(ctxOf(t), awstwin.Action{Service: "iam", Name: "CreateUser", Params: map[string]any{"UserName": "mallory"}})
	return w, s
}

func (w *world) logs() *logs.Client { return logs.NewFromConfig(bot(w.Organization)) }

func (w *world) start(t *testing.T, text string) (*string, error) {
	t.Helper()
	out, err := w.logs().StartQuery(ctxOf(t), &logs.StartQueryInput{LogGroupName: aws.String(orgGroup), QueryString: &text,
		StartTime: aws.Int64(w.now().Add(-3 * time.Hour).Unix()), EndTime: aws.Int64(w.now().Unix())})
	if err != nil {
		return nil, err
	}
	return out.QueryId, nil
}

// ask runs a query to its end and gives the rows as maps.
func (w *world) ask(t *testing.T, text string) []map[string]string {
	t.Helper()
	id, err := w.start(t, text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	w.skip(3 * time.Second)
	out, err := w.logs().GetQueryResults(ctxOf(t), &logs.GetQueryResultsInput{QueryId: id})
	if err != nil || out.Status != logtypes.QueryStatusComplete {
		t.Fatalf("%s: %+v %v", text, out, err)
	}
	var rows []map[string]string
	for _, r := range out.Results {
		m := map[string]string{}
		for _, f := range r {
			m[*f.Field] = *f.Value
		}
		rows = append(rows, m)
	}
	return rows
}

func names(rows []map[string]string) string {
	var all []string
	for _, r := range rows {
		all = append(all, r["eventName"])
	}
	return strings.Join(all, " ")
}

// TestInsightsOnTheOrganisationsTrail: events of all accounts in one group, when they have been delivered, by the fields of their JSON.
func TestInsightsOnTheOrganisationsTrail(t *testing.T) {
	w, _ := trailed(t, nil)
	mine := `fields @timestamp, eventName, userIdentity.onBehalfOf.userId | filter userIdentity.onBehalfOf.userId = "` + w.alice + `"`
	if rows := w.ask(t, mine); len(rows) != 0 {
		t.Fatalf("before they were delivered: %v", rows)
	}
	w.skip(10 * time.Minute)
	for query, want := range map[string]string{
		mine + ` | sort @timestamp asc, eventName asc`:                                                                                                           "Authenticate ConsoleLogin CreateUser DescribeInstances Federate StopInstances",
		mine + ` and eventSource like /^(ec2|iam)/ | sort eventName asc`:                                                                                         "CreateUser DescribeInstances StopInstances",
		mine + ` and recipientAccountId = "` + prod + `" and not ispresent(errorCode) | sort eventName | limit 2`:                                                "StopInstances DescribeInstances",
		mine + ` and errorCode like "AccessDenied"`:                                                                                                              "CreateUser",
		mine + ` and eventName in ['StopInstances', "CreateUser"] | filter readOnly = 0 | sort eventName asc`:                                                    "CreateUser StopInstances",
		mine + ` and (serviceEventDetails.account_id == '` + prod + `' or requestParameters.instancesSet.items.0.instanceId = "i-0aaa") | sort eventName asc`:    "Federate StopInstances",
		"# a comment\n" + strings.ReplaceAll(mine, `userIdentity.onBehalfOf.userId =`, "`userIdentity.onBehalfOf.userId` =") + ` | sort eventName asc | limit 1`: "Authenticate",
		mine + ` and eventName != "Federate" and @timestamp > 0 and eventName not like /Instances|Login/ and not (eventName = "Authenticate")`:                   "CreateUser",
	} {
		if got := names(w.ask(t, query)); got != want {
			t.Errorf("%s\n got %s\nwant %s", query, got, want)
		}
	}
	rows := w.ask(t, `filter eventName = "StopInstances"`)
	var e struct {
		UserIdentity struct{ OnBehalfOf struct{ UserId string } }
	}
	if len(rows) != 1 || json.Unmarshal([]byte(rows[0]["@message"]), &e) != nil || e.UserIdentity.OnBehalfOf.UserId != w.alice || rows[0]["@ptr"] == "" || !strings.HasPrefix(rows[0]["@timestamp"], "2026-11-21 10:00:00.000") {
		t.Errorf("%v", rows)
	}
}

// TestInsightsRefusesWhatItDoesNotKnow: at the start, not at the end.
func TestInsightsRefusesWhatItDoesNotKnow(t *testing.T) {
	w, _ := trailed(t, nil)
	for _, text := range []string{"", "fields", "stats count(*)", "filter eventName", `filter eventName = "x`, `filter eventName = 'x' or`, "filter a-b = 1", "filter 'x' = eventName",
		"sort", "limit 0", "limit many", "fields @message | | limit 1", `filter eventName like (x)`, `filter eventName =~ "x"`, `filter eventName like /(/`, "select * from x", `filter a ! b`,
		`filter eventName = other`, `fields @message; limit 1`, strings.Repeat(" ", 10_001)} {
		_, err := w.start(t, text)
		want := "MalformedQueryException"
		if len(text) > 10_000 {
			want = "InvalidParameterException"
		}
		if code(err) != want {
			t.Errorf("%.60s: %v", text, err)
		}
	}
	_, err := w.logs().StartQuery(ctxOf(t), &logs.StartQueryInput{LogGroupName: aws.String("none"), QueryString: aws.String("fields @message"), StartTime: aws.Int64(0), EndTime: aws.Int64(1)})
	wantCode(t, err, "ResourceNotFoundException")
	_, err = w.logs().StartQuery(ctxOf(t), &logs.StartQueryInput{LogGroupName: aws.String(orgGroup), QueryString: aws.String("fields @message"), StartTime: aws.Int64(0), EndTime: aws.Int64(1)})
	wantCode(t, err, "MalformedQueryException") // before the group was there
	_, err = w.logs().GetQueryResults(ctxOf(t), &logs.GetQueryResultsInput{QueryId: aws.String("none")})
	wantCode(t, err, "ResourceNotFoundException")
	w.SetBotPolicy(map[string]string{"other": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"logs:*","Resource":"arn:aws:logs:*:*:log-group:other:*"}]}`})
	_, err = w.start(t, "fields @message")
	wantCode(t, err, "AccessDeniedException")
}

// TestAQueryTakesItsTime: waiting, running, done; too many at once; stopped.
func TestAQueryTakesItsTime(t *testing.T) {
	w, _ := trailed(t, nil)
	w.SetQueryTime(8 * time.Second)
	w.SetQueryLimit(2)
	id := must[*string](t)(w.start(t, "fields @message"))
	other := must[*string](t)(w.start(t, "fields @message"))
	_, err := w.start(t, "fields @message")
	wantCode(t, err, "LimitExceededException")
	status := func() logtypes.QueryStatus {
		return must[*logs.GetQueryResultsOutput](t)(w.logs().GetQueryResults(ctxOf(t), &logs.GetQueryResultsInput{QueryId: id})).Status
	}
	var seen []logtypes.QueryStatus
	for range 4 {
		seen = append(seen, status())
		w.skip(3 * time.Second)
	}
	if s := fmt.Sprint(seen); s != "[Scheduled Running Running Complete]" {
		t.Error(s)
	}
	_, err = w.logs().StopQuery(ctxOf(t), &logs.StopQueryInput{QueryId: other})
	wantCode(t, err, "InvalidParameterException")
	id = must[*string](t)(w.start(t, "fields @message"))
	if _, err := w.logs().StopQuery(ctxOf(t), &logs.StopQueryInput{QueryId: id}); err != nil || status() != logtypes.QueryStatusCancelled {
		t.Error(err, status())
	}
}

// TestAHundredThousandEvents: written in no time, read in pages, by Insights and by LookupEvents, each once.
func TestAHundredThousandEvents(t *testing.T) {
	w, s := trailed(t, nil)
	begin := w.now()
	w.skip(2 * time.Hour)
	ids := s.Burst(awstwin.Burst{N: 100_000, From: begin.Add(time.Minute), To: begin.Add(time.Hour), Actions: []awstwin.Action{
		{Service: "ec2", Name: "DescribeInstances"}, {Service: "s3", Name: "PutBucketPolicy", Params: map[string]any{"bucketName": "x"}}}})
	if len(ids) != 100_000 {
		t.Fatal(len(ids))
	}
	text := `fields eventID | filter userIdentity.onBehalfOf.userId = "` + w.alice + `" and eventName in ["DescribeInstances", "PutBucketPolicy"]`
	out := must[*logs.StartQueryOutput](t)(w.logs().StartQuery(ctxOf(t), &logs.StartQueryInput{LogGroupName: aws.String(orgGroup), QueryString: &text, Limit: aws.Int32(100_000),
		StartTime: aws.Int64(begin.Add(time.Second).Unix()), EndTime: aws.Int64(w.now().Unix())}))
	w.skip(time.Minute)
	seen, in := map[string]bool{}, &logs.GetQueryResultsInput{QueryId: out.QueryId}
	for pages := 1; ; pages++ {
		page := must[*logs.GetQueryResultsOutput](t)(w.logs().GetQueryResults(ctxOf(t), in))
		for _, r := range page.Results {
			seen[*r[0].Value] = true
		}
		if in.NextToken = page.NextToken; in.NextToken == nil {
			if pages != 10 {
				t.Errorf("%d pages", pages)
			}
			break
		}
	}
	if len(seen) != len(ids) {
		t.Errorf("%d of %d", len(seen), len(ids))
	}
}

// TestLinesOfALogGroup: pages forward and back, streams by name and by age, lines of all streams by time.
func TestLinesOfALogGroup(t *testing.T) {
	w := newWorld(t, nil)
	for i := range 25 {
		w.AddLogGroup(management, "us-east-1", "/app", fmt.Sprint("s", i%2), fmt.Sprint("line ", i))
		w.skip(time.Second)
	}
	c, group := w.logs(), aws.String("/app")
	var read []string
	in := &logs.GetLogEventsInput{LogGroupName: group, LogStreamName: aws.String("s0"), StartFromHead: aws.Bool(true), Limit: aws.Int32(5)}
	for {
		out := must[*logs.GetLogEventsOutput](t)(c.GetLogEvents(ctxOf(t), in))
		for _, e := range out.Events {
			read = append(read, *e.Message)
		}
		if in.NextToken != nil && *in.NextToken == *out.NextForwardToken {
			break
		}
		in.NextToken = out.NextForwardToken
	}
	if len(read) != 13 || read[0] != "line 0" || read[12] != "line 24" {
		t.Errorf("%v", read)
	}
	tail := must[*logs.GetLogEventsOutput](t)(c.GetLogEvents(ctxOf(t), &logs.GetLogEventsInput{LogGroupName: group, LogStreamName: aws.String("s0"), Limit: aws.Int32(2)}))
	if len(tail.Events) != 2 || *tail.Events[1].Message != "line 24" {
		t.Errorf("without startFromHead: %+v", tail.Events)
	}
	n := 0
	for p := logs.NewFilterLogEventsPaginator(c, &logs.FilterLogEventsInput{LogGroupName: group, Limit: aws.Int32(4), StartTime: aws.Int64(w.now().Add(-10 * time.Second).UnixMilli())}); p.HasMorePages(); {
		n += len(must[*logs.FilterLogEventsOutput](t)(p.NextPage(ctxOf(t))).Events)
	}
	if n != 10 {
		t.Errorf("%d lines of the last ten seconds", n)
	}
	streams := must[*logs.DescribeLogStreamsOutput](t)(c.DescribeLogStreams(ctxOf(t), &logs.DescribeLogStreamsInput{LogGroupName: group, OrderBy: logtypes.OrderByLastEventTime, Descending: aws.Bool(true), Limit: aws.Int32(1)}))
	if len(streams.LogStreams) != 1 || *streams.LogStreams[0].LogStreamName != "s0" || streams.NextToken == nil {
		t.Errorf("%+v", streams)
	}
	_, err := c.GetLogEvents(ctxOf(t), &logs.GetLogEventsInput{LogGroupName: group, LogStreamName: aws.String("none")})
	wantCode(t, err, "ResourceNotFoundException")
}
