package policy

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestGuardOf(t *testing.T) {
	p := rich(t)
	for _, tt := range []struct {
		name, set, account string
		want               GuardRule
		known              bool
	}{
		{"closed", "EC2", "prod-wealth", GuardRule{GuardClosed, true, nil}, true},
		{"closed, by id", "EC2", "000000000001", GuardRule{GuardClosed, true, nil}, true},
		{"closed, but it stands", "RDS", "prod-wealth", GuardRule{GuardClosed, false, []string{"grp-forge-dba"}}, true},
		{"closed, but it stands, by id", "RDS", "000000000001", GuardRule{GuardClosed, false, []string{"grp-forge-dba"}}, true},
		{"closed, and stands elsewhere", "RDS", "dev", GuardRule{GuardClosed, true, nil}, true},
		{"timed", "Zero", "prod-wealth", GuardRule{GuardTimed, false, nil}, true},
		{"timed, and stands", "Zero", "000000000002", GuardRule{GuardTimed, false, []string{"grp-forge-noc"}}, true},
		{"none", "Open", "dev", GuardRule{GuardNone, false, nil}, true},
		{"no longer granted", "Old", "dev", GuardRule{GuardNone, false, nil}, false},
		{"a role is no set", "Role", "prod-wealth", GuardRule{GuardNone, false, nil}, false},
		{"an account that has left the policy", "EC2", "999999999999", GuardRule{GuardClosed, true, nil}, true},
	} {
		got, known := p.GuardOf(tt.set, tt.account)
		if diff := cmp.Diff(tt.want, got); diff != "" || known != tt.known {
			t.Errorf("%s: known %v %s", tt.name, known, diff)
		}
	}
}

func TestStands(t *testing.T) {
	p := rich(t)
	dba := somebody("dba", "dba")
	gone, silent := dba, dba
	gone.Enabled, silent.Groups = false, nil
	for _, tt := range []struct {
		name, account, set string
		who                Person
		want               bool
	}{
		{"by name", "prod-wealth", "RDS", dba, true},
		{"by id", "000000000001", "RDS", dba, true},
		{"another account", "dev", "RDS", dba, false},
		{"another set", "prod-wealth", "EC2", dba, false},
		{"another group", "prod-wealth", "RDS", somebody("x", "noc"), false},
		{"disabled", "prod-wealth", "RDS", gone, false},
		{"no answer of the directory", "prod-wealth", "RDS", silent, false},
	} {
		if why, got := p.Stands(tt.account, tt.set, tt.who); got != tt.want || got != (why != "") {
			t.Errorf("%s: %v %q", tt.name, got, why)
		}
	}
	for _, tt := range []struct {
		name, account, set, group string
		want                      bool
	}{
		{"standing", "000000000001", "RDS", "grp-forge-dba", true},
		{"standing elsewhere", "000000000002", "RDS", "grp-forge-dba", false},
		{"another set", "000000000001", "EC2", "grp-forge-dba", false},
		{"an anchor", "000000000003", "EC2", "grp-forge-anchor", true},
		{"a person", "000000000001", "RDS", "", false},
	} {
		if got := p.StandsFor(tt.account, tt.set, tt.group); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
	for _, g := range []string{"grp-forge-dba", "grp-forge-noc"} {
		if !strings.Contains(strings.Join(p.Groups(), " "), g) {
			t.Errorf("%s is not asked for", g)
		}
	}
}

// What stands in an account that only Organizations knows is found by what the account is called.
func TestStandsFromOrganizations(t *testing.T) {
	p := rich(t, "reconcile:", "accounts_from: [{tag: a=b}]\nreconcile:", "{account: prod-wealth, permission_set: RDS", "{account: far, permission_set: RDS")
	if rule, _ := p.GuardOf("RDS", "far"); rule.Closed {
		t.Errorf("%+v", rule)
	}
	if rule, _ := p.GuardOf("RDS", "prod-wealth"); !rule.Closed {
		t.Errorf("%+v", rule)
	}
}

func TestGranted(t *testing.T) {
	p := rich(t)
	for name, tt := range map[string]struct{ got, want []string }{
		"sets":   {p.BreakGlassSets(), []string{"EC2", "Open", "RDS", "Zero"}},
		"roles":  {p.BreakGlassRoles(), []string{"Role"}},
		"groups": {p.GrantedGroups(), []string{"vpn"}},
	} {
		if diff := cmp.Diff(tt.want, tt.got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	var opens []string
	for _, a := range p.Opens(Grant{GrantPermissionSet, "EC2"}) {
		opens = append(opens, a.Name)
	}
	if diff := cmp.Diff([]string{"prod-wealth", "prod-cash", "dev"}, opens); diff != "" {
		t.Error(diff)
	}
	if got := p.Opens(Grant{GrantGroup, "vpn"}); got != nil {
		t.Error(got)
	}
}

func TestMayAssume(t *testing.T) {
	p := rich(t)
	const far = "arn:aws:iam::000000000009:role/far"
	for account, want := range map[string]map[string][]string{
		"prod-wealth":  {"EC2": {"a", "b"}, "Role": {"c"}},
		"000000000001": {"EC2": {"a", "b"}, "Role": {"c"}},
		"prod-cash":    {"EC2": {"a", far, "b"}}, // of two scenarios, each role once
		"000000000003": {"EC2": {far, "b"}},
		"nowhere":      {},
	} {
		if diff := cmp.Diff(want, p.MayAssume(account)); diff != "" {
			t.Errorf("%s: %s", account, diff)
		}
	}
	none := rich(t, "max_duration: 1h, may_assume: [c]", "max_duration: 1h").MayAssume("prod-wealth")
	if roles, known := none["Role"]; !known || len(roles) > 0 {
		t.Errorf("the fence would not keep this role: %v", none)
	}
	p.MayAssume("prod-cash")["EC2"][0] = "changed"
	if got := p.MayAssume("prod-cash")["EC2"][0]; got != "a" {
		t.Errorf("the caller changed the policy: %s", got)
	}
	if ec2, _ := p.Scenario("ec2"); ec2.MayAssume[0] != "b" {
		t.Errorf("asking sorted the policy: %v", ec2.MayAssume)
	}
}

func TestIAMUser(t *testing.T) {
	p := rich(t)
	who := somebody("oncall")
	who.Email = "OnCall@Forge.Example"
	if arn, ok := p.IAMUser(who); !ok || arn != "arn:aws:iam::000000000009:user/oncall" {
		t.Errorf("%q %v", arn, ok)
	}
	for _, mail := range []string{"", "bob@forge.example", "oncall@forge.example.org", "on\u212aall@forge.example"} {
		who.Email = mail
		if arn, ok := p.IAMUser(who); ok {
			t.Errorf("%q: %s", mail, arn)
		}
	}
}

// A line under reconcile takes the closed statement out of a guard: that is told as what it means.
func TestDiffOfGuards(t *testing.T) {
	before := rich(t)
	after := rich(t, "  anchors:", "    - {account: dev, permission_set: EC2, group: grp-x}\n  anchors:")
	want := []string{"reconcile: standing gained {account dev; permission_set EC2; group grp-x}",
		"guard of EC2: no longer refuses whoever has no session in dev, where it stands for some now"}
	if diff := cmp.Diff(want, Diff(before, after)); diff != "" {
		t.Error(diff)
	}
	want = []string{"reconcile: standing lost {account dev; permission_set EC2; group grp-x}",
		"guard of EC2: refuses whoever has no session in dev again, where it stood for some"}
	if diff := cmp.Diff(want, Diff(after, before)); diff != "" {
		t.Error(diff)
	}
}
