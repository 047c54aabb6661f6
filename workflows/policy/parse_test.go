package policy

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func exampleBytes(t testing.TB) string {
	t.Helper()
	data, err := os.ReadFile("../../deploy/policy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func example(t testing.TB) *Policy {
	t.Helper()
	p, err := Parse("policy.yaml", []byte(exampleBytes(t)))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// changed is the example with some of its text replaced, pairwise.
func changed(t testing.TB, pairs ...string) string {
	t.Helper()
	s := exampleBytes(t)
	for i := 0; i < len(pairs); i += 2 {
		if strings.Count(s, pairs[i]) == 0 {
			t.Fatalf("the example has no %q", pairs[i])
		}
		s = strings.Replace(s, pairs[i], pairs[i+1], 1)
	}
	return s
}

func parsed(t testing.TB, pairs ...string) *Policy {
	t.Helper()
	p, err := Parse("policy.yaml", []byte(changed(t, pairs...)))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestExample(t *testing.T) {
	p := example(t)
	var names []string
	for _, s := range p.Scenarios {
		names = append(names, s.Name)
	}
	want := []string{"emergency", "ec2", "rds", "eks", "console", "vpn-prod-wealth", "vpn-prod-cash", "admin-role", "offline"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Error(diff)
	}
	console, _ := p.Scenario("console")
	wantConsole := Scenario{Name: "console", Title: "Console: read-only dashboards", Tier: 2,
		Accounts: []string{"prod-wealth", "prod-cash", "prod-9squid"}, Eligible: []string{"sre-oncall", "developers"},
		Grant:    Grant{GrantPermissionSet, "Forge-Prod-ReadOnly"},
		Approval: Approval{AnyOf: []string{"senior-engineers"}, Count: 1}, Guard: GuardTimed,
		MaxDuration: 4 * time.Hour, MaxTotal: 4 * time.Hour,
		Durations: []time.Duration{30 * time.Minute, time.Hour, 4 * time.Hour}, Start: StartNow, Guide: "console"}
	if diff := cmp.Diff(wantConsole, console); diff != "" {
		t.Error(diff)
	}
	wealth, ok := p.AccountByID("100000000003")
	if diff := cmp.Diff(Account{"prod-wealth", "100000000003", []string{"us-east-1", "us-west-2"}, true}, wealth); diff != "" || !ok {
		t.Error(diff)
	}
	if p.Timezone != time.UTC || p.Trail.Source != TrailLookup || p.Report.Retain != 8760*time.Hour || p.Report.Monthly != "0 9 1 * *" {
		t.Errorf("sections: %v %+v %+v", p.Timezone, p.Trail, p.Report)
	}
	if len(p.Hash) != 64 {
		t.Errorf("hash %q", p.Hash)
	}
	wantGroups := []string{"grp-forge-developers", "grp-forge-eng-managers", "grp-forge-platform-admins",
		"grp-forge-platform-leads", "grp-forge-sre-oncall", "grp-forge-wealth-prod"}
	if diff := cmp.Diff(wantGroups, p.Groups()); diff != "" {
		t.Error(diff)
	}
	if arn, ok := p.IAMUser(Person{Email: "OnCall@forge.example"}); !ok || arn != "arn:aws:iam::100000000003:user/oncall" {
		t.Errorf("IAM user %q %v", arn, ok)
	}
}

// The five sections that must be there are enough, and the rest has the defaults of the format.
func TestDefaults(t *testing.T) {
	p, err := Parse("p.yaml", []byte(`
identity_center: {region: us-east-1, access_portal: https://example.awsapps.com/start}
channels: {requests: "#a", incidents: C0123ABCD9}
accounts:
  one: {id: "000000000001", regions: [us-east-1]}
people:
  all: {groups: [everybody]}
scenarios:
  s: {title: T, tier: 2, accounts: [one], eligible: [all], grant: {permission_set: P}, approval: {any_of: [all]}, max_duration: 90m}
`))
	if err != nil {
		t.Fatal(err)
	}
	s := p.Scenarios[0]
	if !s.PostMortem || s.StepUp || s.Instant || s.Guard != GuardClosed || s.Start != StartNow || s.MaxExtensions != 0 ||
		s.MaxTotal != 90*time.Minute || s.Ticket != (TicketRule{}) || s.Approval.Count != 1 {
		t.Errorf("scenario %+v", s)
	}
	if diff := cmp.Diff([]time.Duration{15 * time.Minute, 30 * time.Minute, time.Hour, 90 * time.Minute}, s.Durations); diff != "" {
		t.Error(diff)
	}
	if p.Requests.Expire != time.Hour || len(p.Requests.Remind) != 2 || p.Reconcile.Unexplained != UnexplainedAnnounce ||
		p.Report.Settle != 15*time.Minute || len(p.Report.Again) != 1 || p.Report.PostMortem.Within != 24*time.Hour || p.Report.Monthly != "" {
		t.Errorf("%+v %+v %+v", p.Requests, p.Reconcile, p.Report)
	}
}

// Every optional key that the format shows in a comment is read, with the value shown and another.
func TestOptionalKeys(t *testing.T) {
	p := parsed(t,
		"  #: instance_arn: (looked up)", "  instance_arn: arn:aws:sso:::instance/ssoins-1234567890abcdef",
		"#: timezone: UTC", "timezone: America/New_York",
		"#: slack: {domains: []}", "slack: {domains: [Forge.example]}",
		"#: accounts_from: []", "accounts_from: [{ou: ou-ab12-cdef3456}, {tag: env=prod}]",
		"#: identities: {}", "identities: {U012ABCDEF: other@forge.example}",
		"#: trail: {source: lookup}", "trail: {source: {athena: trail_table, workgroup: primary}}",
		"  #: sensitive_actions: []", "  sensitive_actions: [EC2:TerminateInstances]",
		`    title: "EC2: logs, processes, env vars over SSM"`, `    title: EC2
    durations: [10m, 1h]
    max_extensions: 2
    max_total: 6h
    post_mortem: false
    step_up: true
    escalate: [{after: 10m, to: [manager, eng-managers], page: true}, {after: 30m, to: [security-lead]}]
    with: [vpn-prod-wealth]
    guard: timed
    may_assume: [a-role, "arn:aws:iam::100000000003:role/path/b"]
    start: later
    on_call: PABC123`)
	s, _ := p.Scenario("ec2")
	want := Scenario{Name: "ec2", Title: "EC2", Tier: 1, Accounts: s.Accounts, Eligible: s.Eligible, Grant: s.Grant,
		Approval: s.Approval, Guard: GuardTimed, MaxDuration: 2 * time.Hour, MaxTotal: 6 * time.Hour,
		Durations: []time.Duration{10 * time.Minute, time.Hour}, MaxExtensions: 2, Ticket: TicketRule{Required: true},
		StepUp: true, Escalate: []Escalation{{10 * time.Minute, []string{"manager", "eng-managers"}, true},
			{30 * time.Minute, []string{"security-lead"}, false}}, With: []string{"vpn-prod-wealth"},
		MayAssume: []string{"a-role", "arn:aws:iam::100000000003:role/path/b"}, Start: StartLater, OnCall: "PABC123",
		Guide: "ec2-ssm", Ask: s.Ask}
	if diff := cmp.Diff(want, s); diff != "" {
		t.Error(diff)
	}
	if p.Timezone.String() != "America/New_York" || p.Slack.Domains[0] != "forge.example" || len(p.AccountsFrom) != 2 ||
		p.Identities["U012ABCDEF"] != "other@forge.example" || p.Trail != (Trail{TrailAthena, "", "trail_table", "primary"}) ||
		len(p.Report.SensitiveActions) != 1 || p.IdentityCenter.InstanceARN == "" {
		t.Errorf("%+v", p)
	}
	parsed(t, "#: timezone: UTC", "timezone: UTC", "#: slack: {domains: []}", "slack: {domains: []}",
		"#: accounts_from: []", "accounts_from: []", "#: identities: {}", "identities: {}",
		"#: trail: {source: lookup}", "trail: {logs_insights: a-log-group}", "  #: sensitive_actions: []", "  sensitive_actions: []",
		`    title: "EC2: logs, processes, env vars over SSM"`, `    title: EC2
    max_extensions: 0
    escalate: []
    with: []
    guard: closed
    may_assume: []
    start: now
    on_call: ""`)
}

// A value may be anchored and used again; it then means what it would mean written out.
func TestAliases(t *testing.T) {
	p := parsed(t, "approval: {any_of: [manager, platform-leads, eng-managers]}   #", "approval: &usual {any_of: [manager, platform-leads, eng-managers]}   #",
		"    may_assume: [developer-rds-access]\n    approval: {any_of: [manager, platform-leads, eng-managers]}",
		"    may_assume: [developer-rds-access]\n    approval: *usual")
	if diff := cmp.Diff(example(t).Scenarios, p.Scenarios); diff != "" {
		t.Error(diff)
	}
}

func TestFaultsAreAnError(t *testing.T) {
	_, err := Parse("some.yaml", []byte(changed(t, "tier: 0", "tier: 9")))
	var f Faults
	if !errors.As(err, &f) || len(f) != 1 {
		t.Fatalf("%v", err)
	}
	want := "some.yaml:59:11: scenarios.emergency.tier: is 9; write a whole number from 0 to 3"
	if err.Error() != want {
		t.Errorf("got  %s\nwant %s", err, want)
	}
}
