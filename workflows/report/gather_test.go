package report

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"breakglass/store"
)

// The access portal is counted by itself: who looks there for credentials has done nothing in the account.
func TestPortalApart(t *testing.T) {
	g := NewGather(nil, Session(t0, t0.Add(time.Minute)))
	portal := func(r *store.Record) { r.Portal, r.Service = true, "sso" }
	g.Add(event(1, "Authenticate", portal))
	g.Add(event(2, "GetRoleCredentials", func(r *store.Record) { portal(r); r.Resource = "Forge-Prod-BreakGlass-EC2" }))
	g.Add(event(500, "GetRoleCredentials", func(r *store.Record) { portal(r); r.Error = "ForbiddenException" }))
	g.Add(event(501, "Authenticate", portal)) // whoever signs in to the portal at night takes nothing
	g.Add(event(3, "DescribeInstances", nil))
	r := g.Reading(t0, t0, t0, nil)
	want := []store.Deed{
		{Service: "sso", Action: "GetRoleCredentials", Region: "us-east-1", Error: "ForbiddenException", Outside: true, Count: 1, First: at(500), Last: at(500)},
		{Service: "sso", Action: "Authenticate", Region: "us-east-1", Count: 2, First: at(1), Last: at(501)},
		{Service: "sso", Action: "GetRoleCredentials", Region: "us-east-1", Resource: "Forge-Prod-BreakGlass-EC2", Count: 1, First: at(2), Last: at(2)},
	}
	if d := cmp.Diff(want, r.Portal); d != "" {
		t.Errorf("portal (-want +got):\n%s", d)
	}
	if r.Events != 1 || r.PortalEvents != 4 || r.OutsidePortal != 1 || r.Outside != 0 || r.Refused != 0 {
		t.Errorf("%+v", r)
	}
}

// What lies outside the session's time is told apart, with a minute for the clocks.
func TestOutside(t *testing.T) {
	g := NewGather(nil, Session(t0.Add(10*time.Minute), t0.Add(20*time.Minute)))
	for _, minute := range []int{8, 9, 10, 20, 21, 22} {
		g.Add(event(minute*60, "DescribeInstances", nil))
	}
	r := g.Reading(t0, t0, t0, nil)
	if r.Outside != 2 || len(r.Deeds) != 2 || !r.Deeds[0].Outside || r.Deeds[0].Count != 2 || r.Deeds[1].Count != 4 {
		t.Errorf("%d outside: %+v", r.Outside, r.Deeds)
	}
}

func TestSensitive(t *testing.T) {
	raw := func(s string) func(*store.Record) {
		return func(r *store.Record) { r.Service = "ssm"; r.Raw = json.RawMessage(s) }
	}
	of := func(service string, read bool) func(*store.Record) {
		return func(r *store.Record) { r.Service, r.ReadOnly = service, read }
	}
	for _, c := range []struct {
		action string
		change func(*store.Record)
		want   bool
	}{
		{"CreateUser", of("iam", false), true},
		{"ListUsers", of("iam", true), false},
		{"AssumeRole", of("sts", true), true},
		{"AssumeRoleWithSAML", of("sts", true), false}, // how every session begins
		{"GetCallerIdentity", of("sts", true), false},
		{"ScheduleKeyDeletion", of("kms", false), true},
		{"Decrypt", of("kms", true), false},
		{"LeaveOrganization", of("organizations", false), true},
		{"CreateAccountAssignment", of("sso", false), true},
		{"DeleteTable", of("dynamodb", false), true},
		{"UpdateTable", of("dynamodb", false), false},
		{"DeleteDBInstance", of("rds", false), true},
		{"TerminateInstances", of("ec2", false), true},
		{"StopInstances", of("ec2", false), false}, // the policy of this test adds RebootInstances, no more
		{"RebootInstances", of("ec2", false), true},
		{"GetSecretValue", of("secretsmanager", true), true},
		{"DescribeSecret", of("secretsmanager", true), false},
		{"GetParameter", raw(`{"requestParameters":{"name":"/db","withDecryption":true}}`), true},
		{"GetParameter", raw(`{"requestParameters":{"name":"/db","withDecryption":false}}`), false},
		{"GetParameter", raw(`{"requestParameters":{"name":"withDecryption"}}`), false},
		{"TerminateSession", of("ssm", false), false},
		{"PutBucketPolicy", of("s3", false), true},
		{"StopLogging", of("cloudtrail", false), true},
		{"PutMetricData", of("monitoring", false), false},
		{"DeleteAlarms", of("monitoring", false), true}, // cloudwatch in the policy
		{"DescribeLoadBalancers", of("elasticloadbalancing", true), true},
	} {
		g := NewGather(nil, Sensitive("EC2:RebootInstances", "cloudwatch:Delete*", "*:DescribeLoadBalancers", "nonsense", ":", "x:"))
		g.Add(event(1, c.action, c.change))
		r := g.Reading(t0, t0, t0, nil)
		if got := r.Deeds[0].Sensitive; got != c.want || (r.Sensitive == 1) != c.want {
			t.Errorf("%s:%s sensitive: %v, counted %d", r.Deeds[0].Service, c.action, got, r.Sensitive)
		}
	}
}

// Which tables changed is the first thing that is asked. Keys and parameter groups are no tables, and a read or a refusal changes nothing.
func TestTables(t *testing.T) {
	g := NewGather(nil)
	n := 0
	change := func(service, action, resource string, more func(*store.Record)) {
		n++
		g.Add(event(n, action, func(r *store.Record) {
			r.Service, r.ReadOnly, r.Resource = service, false, resource
			if more != nil {
				more(r)
			}
		}))
	}
	change("dynamodb", "DeleteItem", "arn:aws:dynamodb:us-east-1:100000000003:table/orders/index/by-day", nil)
	change("dynamodb", "UpdateTable", "orders, arn:aws:kms:us-east-1:100000000003:key/1", nil)
	change("rds", "RebootDBInstance", "arn:aws:rds:us-east-1:100000000003:db:checkout", nil)
	change("rds", "ModifyDBParameterGroup", "pg-15", nil)
	change("redshift", "PauseCluster", "warehouse", nil)
	change("cassandra", "AlterTable", "arn:aws:cassandra:us-east-1:1:/keyspace/shop/table/carts", nil)
	change("glue", "DeleteTable", "sales", nil)
	change("glue", "StartJobRun", "nightly", nil)
	change("dynamodb", "DeleteTable", "refused", func(r *store.Record) { r.Error = "AccessDenied" })
	change("dynamodb", "DescribeTable", "seen", func(r *store.Record) { r.ReadOnly = true })
	r := g.Reading(t0, t0, t0, nil)
	if d := cmp.Diff([]string{"DynamoDB orders", "Glue sales", "Keyspaces shop.carts", "RDS checkout", "Redshift warehouse"}, r.Tables); d != "" {
		t.Errorf("tables (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{"glue nightly", "rds pg-15"}, r.Changed); d != "" {
		t.Errorf("changed (-want +got):\n%s", d)
	}
}

// A second address is what stolen credentials look like. AWS's own calls, and the call by which the portal begins a session, are none.
func TestHosts(t *testing.T) {
	r := gather(nil,
		event(9, "ListBuckets", func(r *store.Record) { r.Agent = "later" }),
		event(1, "GetRoleCredentials", func(r *store.Record) { r.Portal, r.Agent = true, "aws-cli/2" }),
		event(2, "ListBuckets", func(r *store.Record) { r.Address, r.Agent = "2001:db8::1", "curl" }),
		event(3, "AssumeRoleWithSAML", func(r *store.Record) { r.Address = "203.0.113.99" }),
		event(4, "ListBuckets", func(r *store.Record) { r.Address = "athena.amazonaws.com" }),
		event(5, "ListBuckets", func(r *store.Record) { r.Address = "::ffff:192.0.2.1" }),
	)
	want := []store.Host{{Address: "192.0.2.1", Calls: 3, First: at(1), Agent: "aws-cli/2"}, {Address: "2001:db8::1", Calls: 1, First: at(2), Agent: "curl"}}
	if d := cmp.Diff(want, r.Hosts); d != "" {
		t.Errorf("hosts (-want +got):\n%s", d)
	}
}

// Events come late and in any order, and a reading may come again and again: each event is told exactly once, portal or not, as long as
// all ids are remembered, and the order of arrival changes nothing.
func TestLateReadingsNeverRepeat(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 60).Draw(t, "events")
		var all []store.Record
		for i := range n {
			all = append(all, event(i, fmt.Sprint("A", rapid.IntRange(0, 5).Draw(t, "action")), func(r *store.Record) {
				r.ReadOnly, r.Portal = rapid.Bool().Draw(t, "read"), rapid.Bool().Draw(t, "portal")
				r.Resource = fmt.Sprint(rapid.IntRange(0, 9).Draw(t, "resource"))
			}))
		}
		arrive := rapid.Permutation(all).Draw(t, "order")
		var readings []store.Reading
		told := 0
		for range rapid.IntRange(1, 4).Draw(t, "readings") {
			upTo := rapid.IntRange(0, n).Draw(t, "arrived")
			r, again := gather(readings, arrive[:upTo]...), gather(readings, reversed(arrive[:upTo])...)
			if d := cmp.Diff(r, again); d != "" {
				t.Fatalf("another order, another reading:\n%s", d)
			}
			told += r.Events + r.PortalEvents
			readings = append(readings, r)
		}
		last := gather(readings, all...)
		if told += last.Events + last.PortalEvents; told != n {
			t.Fatalf("%d events were told as %d", n, told)
		}
	})
}

func reversed(rs []store.Record) []store.Record {
	out := make([]store.Record, 0, len(rs))
	for i := len(rs) - 1; i >= 0; i-- {
		out = append(out, rs[i])
	}
	return out
}
