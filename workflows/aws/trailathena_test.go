package aws

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	athenatypes "github.com/aws/aws-sdk-go-v2/service/athena/types"
	"github.com/google/go-cmp/cmp"

	"breakglass/deploy/sandbox/awstwin"
	"breakglass/store"
)

// One query has the events of all Regions and those of the access portal, and each reads as it does in the event history.
func TestAthenaOnATrailsBucket(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.connect(t, Config{MemberRole: member})
		w.orgTrail(t)
		bob := w.AddUser(awstwin.User{UserName: "bob", Email: "bob@forge.example"})
		w.Assign(bob, wealth, set)
		s, err := w.SignIn(bob, wealth, set)
		if err != nil {
			t.Fatal(err)
		}
		_ = s.Do(t.Context(), awstwin.Action{Service: "ec2", Name: "DescribeInstances"})
		q := w.busy(t, 20)
		var k, looked kept
		sources := w.conn.TrailFrom("", "trail", "breakglass").Collect(t.Context(), q, store.Resume{}, k.each, k.mark)
		want := []store.Source{{Region: "table trail"}, {Region: portalName, Events: 2}, {Region: "us-east-1", Events: 12}, {Region: "us-west-2", Events: 10}}
		if d := cmp.Diff(want, sources); d != "" {
			t.Errorf("sources (-want +got):\n%s", d)
		}
		w.conn.Trail().Collect(t.Context(), q, store.Resume{}, looked.each, looked.mark)
		plain := func(k kept) map[string]store.Record {
			m := map[string]store.Record{}
			for _, portal := range []bool{false, true} {
				for _, r := range k.records(t, portal) {
					r.Raw = nil
					m[r.ID] = r
				}
			}
			return m
		}
		if d := cmp.Diff(plain(looked), plain(k)); d != "" {
			t.Errorf("records (-looked up +by Athena):\n%s", d)
		}
	})
}

// More than a page of rows.
func TestAthenaThroughAllPages(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.connect(t, Config{})
		w.orgTrail(t)
		w.Assign(w.alice, wealth, set)
		s, err := w.SignInCLI(w.alice, wealth, set)
		if err != nil {
			t.Fatal(err)
		}
		from := time.Now()
		time.Sleep(time.Hour)
		s.Burst(awstwin.Burst{Actions: []awstwin.Action{{Service: "ec2", Name: "DescribeInstances"}}, N: 3*athenaPage + 1, From: from.Add(time.Minute), To: from.Add(50 * time.Minute)})
		time.Sleep(time.Hour)
		var k kept
		sources := w.conn.TrailFrom("", "trail", "breakglass").Collect(t.Context(), w.query(from, from.Add(time.Hour)), store.Resume{}, k.each, k.mark)
		if n := len(k.ids(t)); n != 3*athenaPage+3 || sources[0].Error != "" {
			t.Errorf("%d events, %+v", n, sources)
		}
	})
}

// athenaSays answers every query with a state.
type athenaSays struct{ state, why string }

func (s athenaSays) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	switch op := r.Header.Get("X-Amz-Target"); {
	case strings.HasSuffix(op, ".StartQueryExecution"):
		fmt.Fprint(w, `{"QueryExecutionId":"q"}`)
	case strings.HasSuffix(op, ".StopQueryExecution"):
		fmt.Fprint(w, `{}`)
	case strings.HasSuffix(op, ".GetQueryExecution"):
		fmt.Fprintf(w, `{"QueryExecution":{"Status":{"State":%q,"StateChangeReason":%q}}}`, s.state, s.why)
	default:
		fmt.Fprint(w, `{"ResultSet":{"Rows":[{"Data":[{"VarCharValue":"eventid"},{"VarCharValue":"eventname"}]},{"Data":[{"VarCharValue":"1"},{}]}]}}`)
	}
}

func TestAthenaThatFails(t *testing.T) {
	for what, c := range map[string]struct {
		table   string
		answers http.Handler
		happens func(w *world)
		says    string
	}{
		"failed":       {answers: athenaSays{"FAILED", "COLUMN_NOT_FOUND: line 1:8: " + strings.Repeat("x", 300)}, says: "the query ended as FAILED: COLUMN_NOT_FOUND"},
		"cancelled":    {answers: athenaSays{"CANCELLED", "Bytes scanned limit was exceeded"}, says: "Bytes scanned limit"},
		"never ends":   {answers: athenaSays{"RUNNING", ""}, says: "did not end within 5 minutes"},
		"a broken row": {answers: athenaSays{"SUCCEEDED", ""}, says: "1 event could not be understood"},
		"no table":     {table: "a..b", answers: athenaSays{}, says: "is not one: a..b"},
		"too deep":     {table: "a.b.c.d", answers: athenaSays{}, says: "is not one"},
		"no workgroup": {happens: func(*world) {}, says: "AWS answered InvalidRequestException: WorkGroup breakglass is not found"},
		"not allowed":  {happens: func(w *world) { w.FailNext("athena", "StartQueryExecution", "AccessDeniedException", 100) }, says: "needs athena:StartQueryExecution"},
		"throttled":    {happens: func(w *world) { w.FailNext("athena", "StartQueryExecution", "ThrottlingException", 1000) }, says: "AWS throttled it"},
	} {
		t.Run(what, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				w.connect(t, Config{})
				if c.happens != nil {
					c.happens(w)
				} else {
					w.wire.to = c.answers
				}
				table := c.table
				if table == "" {
					table = "trail"
				}
				var k kept
				sources := w.conn.TrailFrom("", table, "breakglass").Collect(t.Context(), w.query(time.Now(), time.Now()), store.Resume{}, k.each, k.mark)
				if len(sources) != 1 || !strings.Contains(sources[0].Error, c.says) || len(sources[0].Error) > 180 {
					t.Errorf("%+v, want %q", sources, c.says)
				}
				if n := w.counted(t, "StopQueryExecution", "ok"); (n > 0) != (what == "never ends") {
					t.Errorf("stopped %v times", n)
				}
			})
		})
	}
}

// What people are called is a parameter and a literal; what the table is called is quoted. Nothing of either is read as SQL.
func TestNamesInSQL(t *testing.T) {
	at := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	q := store.Query{Account: store.Account{ID: wealth}, UserID: "u'--", UserName: `a'); DROP TABLE x; --"\` + "\n?", Set: set}
	text, params, err := athenaQuery(`cat.d"b.t; DROP`, q, at, at.Add(time.Hour))
	if err != nil || !strings.Contains(text, `FROM "cat"."d""b"."t; DROP"`) || strings.Contains(text, "a'") || strings.Count(text, "?") != len(params) {
		t.Errorf("%v: %s", err, text)
	}
	want := []string{"'2026-11-21T10:00:00Z'", "'2026-11-21T11:00:00Z'", "'" + wealth + "'", `'a''); DROP TABLE x; --"\` + "\n?'", "'u''--'"}
	if d := cmp.Diff(want, params); d != "" {
		t.Error(d)
	}
	role, params, err := athenaQuery("t", store.Query{Account: store.Account{ID: wealth}, Role: "R", Request: "BG-1", UserID: "u"}, at, at)
	if err != nil || strings.Count(role, "?") != len(params) || params[4] != "'BG-1'" || strings.Contains(role, "'u'") {
		t.Errorf("%v: %s %v", err, role, params)
	}
	if _, _, err := athenaQuery("t", store.Query{Set: set}, at, at); err == nil {
		t.Error("a query for nobody")
	}
}

// A row becomes the event it was: CloudTrail's names, numbers as they were written, and no field for what the event did not have.
func TestAnEventOutOfARow(t *testing.T) {
	columns := []string{"eventid", "eventname", "eventtime", "readonly", "errorcode", "requestparameters", "serviceeventdetails", "useridentity", "resources", "elsewhere"}
	var row athenatypes.Row
	for _, v := range []string{"e-1", "StopInstances", "2026-11-21T10:00:00Z", "false", "-", `{"n":12345678901234567890,"s":"<&>"}`, "no JSON {",
		`{"type":"AssumedRole","principalid":"AROA:alice","username":null,"onbehalfof":{"userid":"u-1","identitystorearn":null},"sessioncontext":{"sessionissuer":{"arn":"a","username":"r"},
		"attributes":{"creationdate":"2026-11-21T09:00:00Z","mfaauthenticated":"false"},"webidfederationdata":{"federatedprovider":null}}}`,
		`[{"arn":"arn:x","accountid":"1","type":null}]`, "x"} {
		d := athenatypes.Datum{VarCharValue: &v}
		if v == "-" {
			d.VarCharValue = nil
		}
		row.Data = append(row.Data, d)
	}
	raw := eventOfRow(columns, row)
	want := `{"eventID":"e-1","eventName":"StopInstances","eventTime":"2026-11-21T10:00:00Z","readOnly":false,"requestParameters":{"n":12345678901234567890,"s":"<&>"},
		"resources":[{"ARN":"arn:x","accountId":"1"}],"serviceEventDetails":"no JSON {","userIdentity":{"onBehalfOf":{"userId":"u-1"},"principalId":"AROA:alice",
		"sessionContext":{"attributes":{"creationDate":"2026-11-21T09:00:00Z","mfaAuthenticated":"false"},"sessionIssuer":{"arn":"a","userName":"r"}},"type":"AssumedRole"}}`
	var a, b any
	_ = json.Unmarshal([]byte(*raw.CloudTrailEvent), &a)
	if err := json.Unmarshal([]byte(want), &b); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(b, a); d != "" || !strings.Contains(*raw.CloudTrailEvent, "12345678901234567890") || raw.EventTime == nil {
		t.Errorf("%s\n%s", *raw.CloudTrailEvent, d)
	}
	if e := eventOfRow(columns[:1], athenatypes.Row{Data: row.Data}); *e.CloudTrailEvent != `{"eventID":"e-1"}` {
		t.Errorf("%s", *e.CloudTrailEvent)
	}
}
