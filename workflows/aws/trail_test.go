package aws

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

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

// read is a whole reading of the account, without the access portal.
func (w *world) read(t *testing.T, q store.Query) (records []store.Record, sources []store.Source) {
	t.Helper()
	var k kept
	all := w.conn.Trail().Collect(t.Context(), q, store.Resume{}, k.each, k.mark)
	for _, s := range all {
		if s.Region != portalName {
			sources = append(sources, s)
		}
	}
	return k.records(t, false), sources
}

// kept is what a reading handed over, in the order in which it came.
type kept struct {
	lines []line
	fails func(n int) error // of the nth line, from 1
}

// line is an event with its source, or a mark.
type line struct {
	source string
	record store.Record
	mark   *store.Mark
}

func (k *kept) keep(l line) error {
	if k.fails != nil {
		if err := k.fails(len(k.lines) + 1); err != nil {
			return err
		}
	}
	k.lines = append(k.lines, l)
	return nil
}

func (k *kept) each(source string, r store.Record) error {
	return k.keep(line{source: source, record: r})
}
func (k *kept) mark(m store.Mark) error { return k.keep(line{mark: &m}) }

// progress is what the engine makes of what was kept.
func (k *kept) progress() store.Resume {
	p := store.Resume{Given: map[string]int{}}
	ids, marks := map[string]bool{}, map[string]store.Mark{}
	for _, l := range k.lines {
		if l.mark != nil {
			marks[l.mark.Of] = *l.mark
			continue
		}
		p.Given[l.source]++
		ids[l.record.ID] = true
	}
	for _, m := range marks {
		p.Marks = append(p.Marks, m)
	}
	p.Has = func(id string) bool { return ids[id] }
	return p
}

// records are the events of the access portal or those of the account, oldest first.
func (k *kept) records(t *testing.T, portal bool) (all []store.Record) {
	t.Helper()
	for _, l := range k.lines {
		if l.mark != nil || l.record.Portal != portal {
			continue
		}
		if !json.Valid(l.record.Raw) || strings.HasSuffix(l.source, "/"+portalName) != portal {
			t.Errorf("%s: %s", l.source, l.record.Raw)
		}
		all = append(all, l.record)
	}
	slices.SortStableFunc(all, func(a, b store.Record) int { return a.At.Compare(b.At) })
	return all
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

// One Region fails in the middle of its pages: what it gave before that counts, and the other one is read to the end.
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

// history answers LookupEvents with the same two pages in every Region: one event on both, and one that is no event.
func history(w http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body)
	event := func(id string) string {
		e := fmt.Sprintf(`{"eventID":%q,"eventName":"StopInstances","eventSource":"ec2.amazonaws.com","eventTime":"2026-11-21T10:00:00Z","awsRegion":"us-east-1",
			"readOnly":false,"userIdentity":{"type":"AssumedRole","principalId":"AROA:alice","onBehalfOf":{"userId":"u-alice"},"sessionContext":{"sessionIssuer":
			{"arn":"arn:aws:iam::%s:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_%s_0123456789abcdef"}}}}`, id, wealth, set)
		q, _ := json.Marshal(e)
		return fmt.Sprintf(`{"EventId":%q,"EventTime":1795255200,"CloudTrailEvent":%s}`, id, q)
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	if bytes.Contains(b, []byte("NextToken")) {
		fmt.Fprintf(w, `{"Events":[%s,%s]}`, event("id-1"), event("id-2"))
		return
	}
	fmt.Fprintf(w, `{"Events":[%s,{"EventId":"id-0","EventTime":1795255200,"CloudTrailEvent":"{"}],"NextToken":"more"}`, event("id-1"))
}

func TestEachEventOnce(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.wire.to = http.HandlerFunc(history)
		at := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
		q := w.query(at.Add(-time.Minute), at.Add(time.Minute))
		q.UserID = "u-alice"
		w.connect(t, Config{Now: func() time.Time { return at.Add(time.Hour) }})
		records, sources := w.read(t, q)
		ids := []string{records[0].ID, records[1].ID}
		slices.Sort(ids)
		if len(records) != 2 || !slices.Equal(ids, []string{"id-1", "id-2"}) {
			t.Errorf("%+v", records)
		}
		if n := sources[0].Events + sources[1].Events; n != 2 {
			t.Errorf("%d events counted: %+v", n, sources)
		}
		// The broken one is named once too, and takes nothing else with it.
		if said := sources[0].Error + sources[1].Error; said != "1 event could not be understood" {
			t.Errorf("%q", said)
		}
	})
}

// A reading that is interrupted ends at once and says so. What it leaves running, the SDK's own request for the role's credentials, ends
// by itself soon after: else the bubble would not end.
func TestInterruptedReading(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.connect(t, Config{MemberRole: member})
		w.trusting(wealth)
		w.SetDelay(time.Minute)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begun := time.Now()
		var k kept
		sources := w.conn.Trail().Collect(ctx, w.query(begun, begun), store.Resume{}, k.each, k.mark)
		for _, s := range sources {
			if s.Region == "" || s.Error == "" {
				t.Errorf("%+v", s)
			}
		}
		if d := time.Since(begun); d > 2*time.Second {
			t.Errorf("ended after %s", d)
		}
		time.Sleep(2*reading.timeout + time.Second)
	})
}
