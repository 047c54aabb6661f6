package aws

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"breakglass/deploy/sandbox/awstwin"
	"breakglass/store"
)

const orgGroup = "aws-cloudtrail-logs-org"

// orgTrail turns an organisation's trail on, into the bot's own account: a log group, and a table over its bucket.
func (w *world) orgTrail(t *testing.T) {
	t.Helper()
	bot := w.bot(t)
	w.OrganizationTrail(bot, "us-east-1", orgGroup)
	w.AddBucket(bot, "us-east-1", "athena-results", false)
	w.TrailTable(bot, "us-east-1", "default", "trail", "breakglass", "s3://athena-results/")
}

// One query has the events of all Regions and those of the access portal; whoever else was busy is not in it.
func TestInsightsOnAnOrganisationsTrail(t *testing.T) {
	for _, byDelivery := range []bool{false, true} {
		bubble(t, func(t *testing.T, w *world) {
			w.connect(t, Config{})
			w.orgTrail(t)
			w.LinesByDelivery(byDelivery)
			bob := w.AddUser(awstwin.User{UserName: "bob", Email: "bob@forge.example"})
			w.Assign(bob, wealth, set)
			s, err := w.SignIn(bob, wealth, set)
			if err != nil {
				t.Fatal(err)
			}
			_ = s.Do(t.Context(), awstwin.Action{Service: "ec2", Name: "DescribeInstances"})
			q := w.busy(t, 20)
			var k kept
			sources := w.conn.TrailFrom(orgGroup, "", "").Collect(t.Context(), q, store.Resume{}, k.each, k.mark)
			want := []store.Source{{Region: "log group " + orgGroup}, {Region: portalName, Events: 2}, {Region: "us-east-1", Events: 12}, {Region: "us-west-2", Events: 10}}
			if fmt.Sprint(sources) != fmt.Sprint(want) {
				t.Errorf("%+v", sources)
			}
			if got := strings.Join(actions(k.records(t, true)), ", "); got != "sso:Authenticate, sso:Federate" {
				t.Errorf("portal: %s", got)
			}
			if n := len(k.records(t, false)); n != 22 { // AssumeRoleWithSAML, ConsoleLogin and what was done
				t.Errorf("%d records", n)
			}
			if n := w.refused(""); n == 0 {
				t.Error("nothing was asked")
			}
		})
	}
}

// A person who does more than a query answers with is read to the end, and each thing once.
func TestInsightsBeyondWhatAQueryAnswers(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.connect(t, Config{})
		w.orgTrail(t)
		w.Assign(w.alice, wealth, set)
		s, err := w.SignInCLI(w.alice, wealth, set)
		if err != nil {
			t.Fatal(err)
		}
		from, n := time.Now(), 2*insightsLimit+500
		time.Sleep(time.Hour)
		s.Burst(awstwin.Burst{Actions: []awstwin.Action{{Service: "ec2", Name: "DescribeInstances"}}, N: n, From: from.Add(time.Minute), To: from.Add(50 * time.Minute)})
		time.Sleep(time.Hour)
		var k kept
		sources := w.conn.TrailFrom(orgGroup, "", "").Collect(t.Context(), w.query(from, from.Add(time.Hour)), store.Resume{}, k.each, k.mark)
		if sources[0].Error != "" {
			t.Errorf("%+v", sources)
		}
		if got := len(k.ids(t)); got != n+2 { // and AssumeRoleWithSAML and GetRoleCredentials
			t.Errorf("%d events, want %d", got, n+2)
		}
		if n := int(w.counted(t, "StartQuery", "ok")); n != 3 {
			t.Errorf("%d queries", n)
		}
	})
}

// insights answers every query with a status and, where its end is not before 10:00:00, with that many lines of this second.
type insights struct {
	status string
	lines  int
	count  int // what it says it found
}

func (s insights) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	var in struct {
		Limit     int
		EndTime   int64
		QueryID   string `json:"queryId"`
		NextToken string
	}
	_ = json.NewDecoder(r.Body).Decode(&in)
	switch op := r.Header.Get("X-Amz-Target"); {
	case strings.HasSuffix(op, ".StartQuery"):
		if in.EndTime < time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC).Unix() {
			in.Limit = 0
		}
		fmt.Fprintf(w, `{"queryId":"%d"}`, in.Limit)
	case strings.HasSuffix(op, ".StopQuery"):
		fmt.Fprint(w, `{"success":true}`)
	default:
		limit, from := 0, 0
		_, _ = fmt.Sscan(in.QueryID, &limit)
		_, _ = fmt.Sscan(in.NextToken, &from)
		n := min(s.lines, limit)
		var rows []string
		for i := from; i < n && len(rows) < insightsPage; i++ {
			rows = append(rows, fmt.Sprintf(`[{"field":"@timestamp","value":"2026-11-21 10:00:00.%03d"},{"field":"@message","value":"{\"eventName\":\"X\",\"eventID\":\"%d\"}"}]`, i%1000, i))
		}
		next := ""
		if from+len(rows) < n {
			next = fmt.Sprintf(`,"nextToken":"%d"`, from+len(rows))
		}
		fmt.Fprintf(w, `{"status":%q,"results":[%s],"statistics":{"resultCount":%d}%s}`, s.status, strings.Join(rows, ","), s.count, next)
	}
}

func TestInsightsThatFail(t *testing.T) {
	for what, c := range map[string]struct {
		answers http.Handler
		happens func(w *world)
		says    string
	}{
		"failed":              {answers: insights{status: "Failed"}, says: "the query ended as Failed"},
		"timed out":           {answers: insights{status: "Timeout"}, says: "the query ended as Timeout"},
		"cancelled":           {answers: insights{status: "Cancelled"}, says: "the query ended as Cancelled"},
		"never ends":          {answers: insights{status: "Running"}, says: "did not end within 5 minutes"},
		"less than was found": {answers: insights{status: "Complete", lines: 3, count: 5}, says: "AWS gave 3 of the 5 events it found"},
		"too many at once":    {answers: insights{status: "Complete", lines: 2 * insightsMost}, says: "more than 100000 events at 10:00:00 UTC, not all were read"},
		"no such group":       {happens: func(w *world) {}, says: "ResourceNotFoundException"},
		"throttled": {happens: func(w *world) { w.FailNext("logs", "StartQuery", "ThrottlingException", 1000) },
			says: "AWS throttled it"},
		"not allowed": {happens: func(w *world) { w.FailNext("logs", "StartQuery", "AccessDeniedException", 1000) }, says: "needs logs:StartQuery"},
		"outage":      {happens: func(w *world) { w.Outage("logs", true) }, says: "ServiceUnavailable"},
	} {
		t.Run(what, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				w.connect(t, Config{})
				if c.answers != nil {
					w.wire.to = c.answers
				} else {
					c.happens(w)
				}
				at := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
				w.conn.now = func() time.Time { return at.Add(3 * time.Hour) }
				var k kept
				sources := w.conn.TrailFrom("a-group", "", "").Collect(t.Context(), w.query(at.Add(-time.Minute), at.Add(time.Minute)), store.Resume{}, k.each, k.mark)
				if len(sources) != 1 || !strings.Contains(sources[0].Error, c.says) || len(sources[0].Error) > 120 {
					t.Errorf("%+v, want %q", sources, c.says)
				}
				if n := w.counted(t, "StopQuery", "ok"); (n > 0) != (what == "never ends") {
					t.Errorf("stopped %v times", n)
				}
			})
		})
	}
}

// Whatever a person is called, the query finds them, finds nobody else in the end, and is never anything but a filter.
func TestNamesInQueries(t *testing.T) {
	for _, name := range []string{
		"alice.smith+test@forge.example", `al"ice`, `al'ice`, `al\ice`, `alice\`, `a/ or 1=1 |limit 1`, "a`b", "a|b", "ä-ö.ü", "a\nb | fields @message", "a$/b", "(a", "[", "*", "#a", "日本",
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				w.connect(t, Config{})
				w.orgTrail(t)
				id := w.AddUser(awstwin.User{UserName: name, Email: "x@forge.example"})
				w.Assign(id, wealth, set)
				w.Assign(w.alice, wealth, set)
				from := time.Now()
				for _, who := range []string{id, w.alice} {
					s, err := w.SignInCLI(who, wealth, set)
					if err != nil {
						t.Fatal(err)
					}
					_ = s.Do(t.Context(), awstwin.Action{Service: "ec2", Name: "DescribeInstances"})
				}
				to := time.Now()
				time.Sleep(20 * time.Minute)
				q := w.query(from, to)
				q.UserID, q.UserName = id, name
				for what, trail := range map[string]*Trail{"insights": w.conn.TrailFrom(orgGroup, "", ""), "athena": w.conn.TrailFrom("", "trail", "breakglass")} {
					var k kept
					sources := trail.Collect(t.Context(), q, store.Resume{}, k.each, k.mark)
					if sources[0].Error != "" {
						t.Errorf("%s: %+v", what, sources)
					}
					want := "sts:AssumeRoleWithSAML, ec2:DescribeInstances"
					if what == "insights" && strings.Contains(name, "\n") { // no name has a line break; such a person is found by their id
						want = "ec2:DescribeInstances"
					}
					if got := strings.Join(actions(k.records(t, false)), ", "); got != want {
						t.Errorf("%s: %s", what, got)
					}
				}
				text, err := insightsQuery(q)
				if err != nil || strings.Count(text, "|") != 2 || strings.ContainsAny(text, "\"'`\\#") || strings.Count(text, "\n") != 2 {
					t.Errorf("%v: %s", err, text)
				}
			})
		})
	}
}
