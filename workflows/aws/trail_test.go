package aws

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"
	"github.com/google/go-cmp/cmp"

	sdk "github.com/aws/aws-sdk-go-v2/aws"

	"breakglass/deploy/sandbox/awstwin"
	"breakglass/store"
)

const member = "breakglass-bot-member"

// trusting gives the accounts the member role, trusting the bot.
func (w *world) trusting(accounts ...string) {
	for _, a := range accounts {
		w.SetRole(a, member, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}]}`,
			map[string]string{"trail": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"cloudtrail:LookupEvents","Resource":"*"}]}`})
	}
}

func (w *world) read(t *testing.T, q store.Query) (records []store.Record, sources []store.Source) {
	t.Helper()
	sources = w.conn.Trail().Read(t.Context(), q, func(r store.Record) { records = append(records, r) })
	slices.SortFunc(records, func(a, b store.Record) int { return a.At.Compare(b.At) })
	return records, sources
}

func actions(rs []store.Record) (names []string) {
	for _, r := range rs {
		names = append(names, strings.TrimSpace(r.Service+":"+r.Action+" "+r.Error))
	}
	return names
}

func (w *world) query(from, to time.Time) store.Query {
	return store.Query{Account: store.Account{Name: "prod-wealth", ID: wealth, Regions: []string{"us-east-1", "us-west-2"}}, UserID: w.alice,
		UserName: "alice", Set: set, From: from, To: to}
}

// A session does things in two Regions, another session of the same person through another set and somebody with a similar
// name do things beside it.
func TestWhatASessionDid(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.connect(t, Config{MemberRole: member})
		w.trusting(wealth)
		w.AddPermissionSet(awstwin.PermissionSet{Name: set + "_Read", InlinePolicy: allowAll})
		alice2 := w.AddUser(awstwin.User{UserName: "alice2", Email: "alice2@forge.example"})
		from := time.Now()
		w.Assign(w.alice, wealth, set)
		w.Assign(w.alice, wealth, set+"_Read")
		w.Assign(alice2, wealth, set)
		do := func(who, set string, as ...awstwin.Action) {
			t.Helper()
			s, err := w.SignInCLI(who, wealth, set)
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range as {
				time.Sleep(time.Second)
				_ = s.Do(t.Context(), a)
			}
		}
		do(w.alice, set, awstwin.Action{Service: "ec2", Name: "DescribeInstances"}, awstwin.Action{Service: "ec2", Name: "DescribeInstances", Region: "us-west-2"})
		do(w.alice, set+"_Read", awstwin.Action{Service: "ec2", Name: "DescribeVolumes"})
		do(alice2, set, awstwin.Action{Service: "ec2", Name: "DescribeSubnets"})
		to := time.Now()
		time.Sleep(20 * time.Minute)

		records, sources := w.read(t, w.query(from, to))
		want := []string{"sts:AssumeRoleWithSAML", "ec2:DescribeInstances", "ec2:DescribeInstances"}
		if d := cmp.Diff(want, actions(records)); d != "" {
			t.Errorf("records (-want +got):\n%s", d)
		}
		wantSources := []store.Source{{Region: "us-east-1", Events: 2}, {Region: "us-west-2", Events: 1}}
		if d := cmp.Diff(wantSources, sources); d != "" {
			t.Errorf("sources (-want +got):\n%s", d)
		}
		for _, r := range records {
			if r.ID == "" || r.Region == "" || r.Address == "" || !r.ReadOnly || r.At.Before(from.Add(-time.Second)) {
				t.Errorf("%+v", r)
			}
		}
	})
}

// Credentials live on after the end: what is done with them then is still the session's, what a later session does is not.
func TestWhatIsDoneAfterTheEnd(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.connect(t, Config{MemberRole: member})
		w.trusting(wealth)
		w.Assign(w.alice, wealth, set)
		from := time.Now()
		first, err := w.SignInCLI(w.alice, wealth, set)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
		to := time.Now()
		time.Sleep(10 * time.Minute)
		_ = first.Do(t.Context(), awstwin.Action{Service: "ec2", Name: "DescribeInstances"})
		second, err := w.SignInCLI(w.alice, wealth, set)
		if err != nil {
			t.Fatal(err)
		}
		_ = second.Do(t.Context(), awstwin.Action{Service: "ec2", Name: "DescribeVolumes"})
		time.Sleep(20 * time.Minute)
		records, _ := w.read(t, w.query(from, to))
		if d := cmp.Diff([]string{"sts:AssumeRoleWithSAML", "ec2:DescribeInstances"}, actions(records)); d != "" {
			t.Errorf("records (-want +got):\n%s", d)
		}
	})
}

func TestManyPagesWithinTwoASecond(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.connect(t, Config{MemberRole: member})
		w.trusting(wealth)
		w.Assign(w.alice, wealth, set)
		from := time.Now()
		s, err := w.SignInCLI(w.alice, wealth, set)
		if err != nil {
			t.Fatal(err)
		}
		for range 1000 {
			_ = s.Do(t.Context(), awstwin.Action{Service: "s3", Name: "ListBuckets"})
		}
		to := time.Now()
		time.Sleep(20 * time.Minute)
		records, sources := w.read(t, w.query(from, to))
		if len(records) != 1001 || sources[0].Error != "" {
			t.Errorf("%d records, %+v", len(records), sources)
		}
		if n := w.refused("ThrottlingException"); n > 0 {
			t.Errorf("throttled %d times", n)
		}
	})
}

func TestSourcesThatFail(t *testing.T) {
	for what, story := range map[string]struct {
		happens func(w *world)
		says    []string // in us-east-1 and us-west-2
	}{
		"no role": {func(w *world) {}, []string{"cannot be assumed", "cannot be assumed"}},
		"no trust": {func(w *world) {
			w.SetRole(wealth, member, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::100000000009:root"},"Action":"sts:AssumeRole"}]}`, nil)
		}, []string{"cannot be assumed", "cannot be assumed"}},
		"no permission": {func(w *world) {
			w.SetRole(wealth, member, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}]}`, nil)
		}, []string{"cloudtrail:LookupEvents", "cloudtrail:LookupEvents"}},
		"outage":      {func(w *world) { w.trusting(wealth); w.Outage("cloudtrail", true) }, []string{"ServiceUnavailable", "ServiceUnavailable"}},
		"unreachable": {func(w *world) { w.trusting(wealth); w.Unreachable("cloudtrail", true) }, []string{"could not be reached", "could not be reached"}},
		"throttled": {func(w *world) {
			w.trusting(wealth)
			w.FailNext("cloudtrail", "LookupEvents", "ThrottlingException", 1000)
		}, []string{"throttled", "throttled"}},
		"silent": {func(w *world) { w.trusting(wealth); w.HangNext("cloudtrail", ""); w.HangNext("cloudtrail", "") }, []string{"", ""}},
	} {
		t.Run(what, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				w.connect(t, Config{MemberRole: member})
				story.happens(w)
				_, sources := w.read(t, w.query(time.Now(), time.Now().Add(time.Minute)))
				for i, s := range sources {
					if !strings.Contains(s.Error, story.says[i]) || story.says[i] == "" && s.Error != "" || len(s.Error) > 120 {
						t.Errorf("%s: %q, want %q", s.Region, s.Error, story.says[i])
					}
				}
			})
		})
	}
}

// oneRegionDown fails in one Region in the middle of the pages.
func TestOneRegionFailsTheOtherGoesOn(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.connect(t, Config{MemberRole: member})
		w.trusting(wealth)
		w.Assign(w.alice, wealth, set)
		from := time.Now()
		s, err := w.SignInCLI(w.alice, wealth, set)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 120 {
			time.Sleep(time.Second)
			_ = s.Do(t.Context(), awstwin.Action{Service: "s3", Name: "ListBuckets", Region: []string{"us-east-1", "us-west-2"}[i%2]})
		}
		to := time.Now()
		time.Sleep(20 * time.Minute)
		w.wire.to = failsLater{w.Organization, "us-west-2"}
		records, sources := w.read(t, w.query(from, to))
		if sources[0].Error != "" || sources[0].Events != 61 {
			t.Errorf("us-east-1: %+v", sources[0])
		}
		if sources[1].Events != 50 || !strings.Contains(sources[1].Error, "nothing before ") {
			t.Errorf("us-west-2: %+v", sources[1])
		}
		if len(records) != 111 {
			t.Errorf("%d records", len(records))
		}
	})
}

// failsLater answers no second page in one Region.
type failsLater struct {
	next   http.Handler
	region string
}

func (f failsLater) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(b))
	if strings.Contains(r.Header.Get("Authorization"), "/"+f.region+"/cloudtrail/") && bytes.Contains(b, []byte("NextToken")) {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	f.next.ServeHTTP(w, r)
}

func TestWhoseEventItIs(t *testing.T) {
	at := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	q := store.Query{Account: store.Account{ID: wealth}, UserID: "u-alice", UserName: "alice", Set: "Admin", From: at.Add(-time.Minute), To: at.Add(time.Minute)}
	role := "arn:aws:iam::" + wealth + ":role/aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_Admin_0123456789abcdef"
	session := func(behalf, name, role, created string) string {
		of := ""
		if behalf != "" {
			of = fmt.Sprintf(`"onBehalfOf":{"userId":%q,"identityStoreArn":"arn:aws:identitystore::1:identitystore/d-1"},`, behalf)
		}
		return fmt.Sprintf(`{"eventName":"X","eventTime":"2026-11-21T10:00:00Z","userIdentity":{"type":"AssumedRole","principalId":"AROA1:%s",%s
			"sessionContext":{"sessionIssuer":{"arn":%q},"attributes":{"creationDate":%q}}}}`, name, of, role, created)
	}
	now := at.Format(time.RFC3339)
	later := func(s string) string { return strings.Replace(s, "T10:00:00Z", "T10:30:00Z", 1) }
	for name, c := range map[string]struct {
		event string
		want  bool
	}{
		"on her behalf":                      {session("u-alice", "alice", role, now), true},
		"on her behalf, whatever the name":   {session("u-alice", "al", role, now), true},
		"on another's behalf, her name":      {session("u-mallory", "alice", role, now), false},
		"no word on whose, her name":         {session("", "alice", role, now), true},
		"no word on whose, a longer name":    {session("", "alice2", role, now), false},
		"another set that begins alike":      {session("u-alice", "alice", strings.Replace(role, "Admin_", "Admin_Read_", 1), now), false},
		"another account":                    {session("u-alice", "alice", strings.Replace(role, wealth, cash, 1), now), false},
		"a role of that name made by people": {session("u-alice", "alice", "arn:aws:iam::"+wealth+":role/AWSReservedSSO_Admin_0123", now), false},
		"a set without a suffix":             {session("u-alice", "alice", strings.TrimSuffix(role, "_0123456789abcdef"), now), false},
		"after the end, credentials of then": {later(session("u-alice", "alice", role, now)), true},
		"after the end, later credentials":   {later(session("u-alice", "alice", role, "2026-11-21T10:20:00Z")), false},
		"after the end, no word on when":     {strings.Replace(later(session("u-alice", "alice", role, now)), `"creationDate"`, `"x"`, 1), false},
		"long before":                        {strings.Replace(session("u-alice", "alice", role, now), "T10:00:00Z", "T09:00:00Z", 1), false},
		"the session begins": {`{"eventName":"AssumeRoleWithSAML","eventTime":"2026-11-21T10:00:00Z","userIdentity":{"type":"SAMLUser","principalId":"q:alice",
			"userName":"alice"},"requestParameters":{"roleArn":"` + role + `","roleSessionName":"alice"}}`, true},
		"another's session begins": {`{"eventName":"AssumeRoleWithSAML","eventTime":"2026-11-21T10:00:00Z","userIdentity":{"type":"SAMLUser",
			"userName":"bob"},"requestParameters":{"roleArn":"` + role + `","roleSessionName":"alice"}}`, false},
		"an IAM user called the same": {`{"eventName":"X","eventTime":"2026-11-21T10:00:00Z","userIdentity":{"type":"IAMUser","userName":"alice","principalId":"AIDA1"}}`, false},
		"received by another account": {strings.Replace(session("u-alice", "alice", role, now), `"eventName"`, `"recipientAccountId":"`+cash+`","eventName"`, 1), false},
	} {
		e, err := parse(types.Event{CloudTrailEvent: sdk.String(c.event)})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := e.belongs(q); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestEventsThatAreNone(t *testing.T) {
	for _, s := range []string{"", "{", "[]", `"x"`, `{"eventName":7}`, `{}`, `{"eventName":"X","eventTime":"yesterday"}`} {
		if _, err := parse(types.Event{CloudTrailEvent: &s}); err == nil {
			t.Errorf("%q was taken for an event", s)
		}
	}
	if got := troubles(nil, time.Time{}, 3); got != "3 events could not be understood" {
		t.Error(got)
	}
	if got := troubles(errors.New("x"), time.Time{}, 1); !strings.Contains(got, "; 1 event could") {
		t.Error(got)
	}
}

func TestWhatAnEventSays(t *testing.T) {
	for name, c := range map[string]struct {
		event     map[string]any
		resources []string
		want      store.Record
	}{
		"the list of resources":  {map[string]any{"readOnly": false, "requestParameters": map[string]any{"bucketName": "b"}}, []string{"i-1", "i-2", "i-1"}, store.Record{Resource: "i-1, i-2"}},
		"too many":               {map[string]any{"readOnly": true}, []string{"a", "b", "c", "d", "e"}, store.Record{ReadOnly: true, Resource: "a and 4 more"}},
		"an object":              {map[string]any{"requestParameters": map[string]any{"bucketName": "b", "key": "k/1"}}, nil, store.Record{Resource: "b/k/1"}},
		"instances":              {map[string]any{"requestParameters": map[string]any{"instancesSet": map[string]any{"items": []any{map[string]any{"instanceId": "i-9"}, 7}}}}, nil, store.Record{Resource: "i-9"}},
		"a name in another case": {map[string]any{"requestParameters": map[string]any{"dBInstanceIdentifier": "db"}}, nil, store.Record{Resource: "db"}},
		"a hidden one":           {map[string]any{"requestParameters": map[string]any{"name": "HIDDEN_DUE_TO_SECURITY_REASONS"}}, nil, store.Record{}},
		"not an object":          {map[string]any{"requestParameters": []any{1}}, nil, store.Record{}},
		"control characters":     {map[string]any{"requestParameters": map[string]any{"name": "a\nb\x1b[31m\u202ec"}}, nil, store.Record{Resource: "a b [31m c"}},
		"a long one":             {map[string]any{"requestParameters": map[string]any{"name": strings.Repeat("ä", 200)}}, nil, store.Record{Resource: strings.Repeat("ä", 78) + "…"}},
		"no word on reading":     {map[string]any{"eventName": "ListThings"}, nil, store.Record{ReadOnly: true}},
		"signing in":             {map[string]any{"eventName": "ConsoleLogin", "eventSource": "signin.amazonaws.com", "readOnly": false}, nil, store.Record{ReadOnly: true}},
	} {
		if c.event["eventName"] == nil {
			c.event["eventName"] = "DoIt"
		}
		b, err := json.Marshal(c.event)
		if err != nil {
			t.Fatal(err)
		}
		raw := types.Event{CloudTrailEvent: sdk.String(string(b))}
		for _, r := range c.resources {
			raw.Resources = append(raw.Resources, types.Resource{ResourceName: &r})
		}
		e, err := parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		if got := e.record(raw); got.Resource != c.want.Resource || got.ReadOnly != c.want.ReadOnly || len(got.Resource) > maxResource {
			t.Errorf("%s: %q, read %v", name, got.Resource, got.ReadOnly)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`{"eventName":"X","requestParameters":{"name":"a"}}`)
	f.Fuzz(func(t *testing.T, s string) {
		raw := types.Event{CloudTrailEvent: &s}
		e, err := parse(raw)
		if err != nil {
			return
		}
		e.belongs(store.Query{})
		r := e.record(raw)
		for _, v := range []string{r.ID, r.Service, r.Action, r.Region, r.Resource, r.Error, r.Address, r.Agent} {
			if len(v) > maxResource || strings.ContainsAny(v, "\n\r\x00\x1b\u2028") {
				t.Errorf("%q", v)
			}
		}
	})
}
