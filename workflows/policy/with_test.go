package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// rich is a small policy of all that the example does without: things granted along, extensions, guards
// that cannot be closed.
func rich(t testing.TB, pairs ...string) *Policy {
	t.Helper()
	p, err := Parse("rich.yaml", []byte(strings.NewReplacer(pairs...).Replace(richText)))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const richText = `
identity_center: {region: us-east-1, access_portal: https://example.awsapps.com/start}
channels: {requests: "#a", incidents: "#b"}
accounts:
  prod-wealth: {id: "000000000001", regions: [us-east-1]}
  prod-cash: {id: "000000000002", regions: [us-east-1]}
  dev: {id: "000000000003", regions: [us-east-1]}
people:
  developers: {groups: [grp-forge-developers]}
  sre-oncall: {groups: [grp-forge-sre-oncall]}
  leads: {groups: [grp-forge-leads]}
iam_users: {oncall@forge.example: "arn:aws:iam::000000000009:user/oncall"}
scenarios:
  ec2: {title: EC2, tier: 1, accounts: [prod-wealth, prod-cash], eligible: [developers, sre-oncall], grant: {permission_set: EC2}, approval: {any_of: [leads]},
    max_duration: 2h, max_total: 6h, max_extensions: 2, with: [rds], may_assume: [b, a]}
  rds: {title: RDS, tier: 1, accounts: [prod-wealth, dev], eligible: [developers], grant: {permission_set: RDS}, approval: {any_of: [leads]},
    max_duration: 90m, max_total: 5h, with: [vpn]}
  vpn: {title: VPN, tier: 1, eligible: [developers, sre-oncall], grant: {group: vpn}, approval: {any_of: [leads]}, max_duration: 4h, max_total: 8h}
  zero: {title: Site down, tier: 0, accounts: [prod-wealth], eligible: [sre-oncall], grant: {permission_set: Zero}, approval: none, guard: timed,
    max_duration: 1h, max_extensions: 1, with: [role]}
  role: {title: Role, tier: 1, accounts: [prod-wealth], eligible: [sre-oncall], grant: {iam_role: Role}, approval: {any_of: [leads]}, max_duration: 1h, may_assume: [c]}
  dev: {title: Dev, tier: 1, accounts: [dev, prod-cash], eligible: [developers], grant: {permission_set: EC2}, approval: {any_of: [leads]},
    max_duration: 1h, max_total: 3h, may_assume: [b, "arn:aws:iam::000000000009:role/far"]}
  open: {title: Open, tier: 2, accounts: [dev], eligible: [developers], grant: {permission_set: Open}, approval: none, guard: none, max_duration: 1h}
reconcile:
  standing:
    - {account: prod-wealth, permission_set: RDS, group: grp-forge-dba}
    - {account: prod-cash, permission_set: Zero, group: grp-forge-noc}
  anchors: [grp-forge-anchor]
`

func TestAlong(t *testing.T) {
	p := rich(t)
	dev, oncall := somebody("dev", "developers"), somebody("oncall", "sre-oncall")
	silent := dev
	silent.Groups = nil
	for _, tt := range []struct {
		name, scenario, account string
		who                     Person
		want                    string
		code                    Code
		why                     string
	}{
		{"each once, those of those too", "ec2", "prod-wealth", dev, "rds vpn", CodeOK, ""},
		{"what stands is left out", "ec2", "prod-wealth", somebody("dba", "developers", "dba"), "vpn", CodeOK, ""},
		{"nothing", "vpn", "", dev, "", CodeOK, ""},
		{"account", "ec2", "prod-cash", dev, "", CodeAccount, `RDS is granted along with EC2, and does not open "prod-cash". Choose prod-wealth.`},
		{"not eligible", "ec2", "prod-wealth", oncall, "", CodeEligible, "RDS is granted along with EC2, and you are not among those who may ask for it: developers. Whoever runs the directory"},
		{"an IAM user", "zero", "prod-wealth", oncall, "role", CodeOK, ""},
		{"no IAM user", "zero", "prod-wealth", somebody("bob", "sre-oncall"), "", CodeIAMUser, "Role is granted along with Site down, and it cannot be granted to you. An IAM role is granted to an IAM user"},
		{"directory silent", "ec2", "prod-wealth", silent, "", CodeDirectory, ""},
	} {
		s, _ := p.Scenario(tt.scenario)
		got, v := p.Along(s, tt.account, tt.who)
		if v.Code != tt.code || v.OK != (tt.code == CodeOK) || strings.Join(names(got), " ") != tt.want || !strings.Contains(v.Why, tt.why) {
			t.Errorf("%s: %v %+v, want %s %q", tt.name, names(got), v, tt.code, tt.why)
		}
	}
}

// The request is refused where what goes along cannot be had: nobody gets half of what they asked for.
func TestMayRequestAlong(t *testing.T) {
	p := rich(t)
	dev := somebody("dev", "developers")
	for _, tt := range []struct {
		scenario, account string
		d                 time.Duration
		who               Person
		code              Code
		why               string
	}{
		{"ec2", "prod-wealth", 90 * time.Minute, dev, CodeOK, "You may ask for EC2. It takes the word of one of leads. Granted along with it, on the same word: RDS and VPN."},
		{"ec2", "prod-wealth", 2 * time.Hour, dev, CodeDuration, "2h is too long: RDS, which is granted along, lasts 90s at most."},
		{"ec2", "prod-wealth", 3 * time.Hour, dev, CodeDuration, "Ask for 1m to 1h30m."},
		{"ec2", "prod-wealth", time.Second, dev, CodeDuration, "Ask for 1m to 1h30m."},
		{"ec2", "prod-cash", time.Hour, dev, CodeAccount, "does not open"},
		{"ec2", "prod-wealth", time.Hour, somebody("a", "sre-oncall"), CodeEligible, "granted along"},
	} {
		why := strings.Replace(tt.why, "90s", "1h30m", 1)
		if got := p.MayRequest(tt.scenario, tt.account, tt.d, tt.who); got.Code != tt.code || !strings.Contains(got.Why, why) {
			t.Errorf("%s %v: %+v, want %s %q", tt.scenario, tt.d, got, tt.code, why)
		}
	}
	both := rich(t, "with: [rds],", "with: [vpn, rds],")
	s, _ := both.Scenario("ec2")
	if got, _ := both.Along(s, "prod-wealth", dev); strings.Join(names(got), " ") != "vpn rds" {
		t.Errorf("not each once, in their order: %v", names(got))
	}
	ec2, _ := p.Scenario("ec2")
	if diff := cmp.Diff([]time.Duration{15 * time.Minute, 30 * time.Minute, time.Hour, 90 * time.Minute}, ec2.Durations); diff != "" {
		t.Error("the form offers what would be refused:", diff)
	}
}

func TestFaultsOfWith(t *testing.T) {
	for name, tt := range map[string]struct {
		change []string
		want   string // "": no fault
	}{
		"as it stands":            {nil, ""},
		"a sealed user along":     {[]string{"grant: {group: vpn}", "grant: {sealed_user: vpn}, accounts: [dev]"}, "scenarios.rds.with: vpn grants a sealed user, which only rotation ends; remove it"},
		"along with a sealed one": {[]string{"grant: {permission_set: Zero}", "grant: {sealed_user: zero}", "guard: timed,", ""}, "scenarios.zero.with: a sealed user has no end that anything could share; remove the key"},
		"no account in common":    {[]string{"accounts: [prod-wealth, dev], eligible", "accounts: [dev], eligible"}, "scenarios.ec2.with: no account of this scenario is open in all that is granted along: rds and vpn; give them an account in common, or remove one"},
		"an account at fault":     {[]string{"accounts: [prod-wealth, dev], eligible", "accounts: [dve], eligible"}, `scenarios.rds.accounts[0]: unknown account "dve"; did you mean dev?`},
		"a group's":               {[]string{"grant: {group: vpn}", "grant: {group: vpn}, with: [dev]"}, "scenarios.vpn.with: dev is granted in an account, and this scenario is of none; grant this one along with dev instead"},
		"the same grant":          {[]string{"grant: {permission_set: RDS}", "grant: {permission_set: EC2}"}, "scenarios.ec2.with: rds grants the permission set EC2, and so does this scenario; keep one of them"},
		"the same grant, twice":   {[]string{"grant: {permission_set: RDS}, approval", "grant: {group: vpn}, approval", "accounts: [prod-wealth, dev],", "", "    max_duration: 90m", "    max_duration: 90m", "permission_set: RDS, group", "permission_set: Zero, group"}, "so does rds"},
		"longer than it can":      {[]string{"max_duration: 2h,", "max_duration: 2h, durations: [1h, 2h],"}, `scenarios.ec2.durations: 2h is more than "RDS", which is granted along, can last: 1h30m; remove it, or raise that one's max_duration`},
		"as long as it can":       {[]string{"max_duration: 2h,", "max_duration: 2h, durations: [1h, 90m],"}, ""},
	} {
		_, err := Parse("p", []byte(strings.NewReplacer(tt.change...).Replace(richText)))
		var faults Faults
		if err != nil && !errors.As(err, &faults) {
			t.Fatal(err)
		}
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !slices.ContainsFunc(faults, func(f Fault) bool { return strings.Contains(f.String(), tt.want) })) {
			t.Errorf("%s: got %v\nwant %s", name, err, tt.want)
		}
		if strings.HasPrefix(tt.want, "scenarios") && len(faults) > 3 {
			t.Errorf("%s: %d faults, where one was made:\n%v", name, len(faults), err)
		}
	}
}

// Names that AWS may take for one are not told apart here either.
func TestFaultsOfNames(t *testing.T) {
	for name, tt := range map[string]struct{ from, to, want string }{
		"people's group, granted":   {"{group: vpn}", "{group: GRP-forge-leads}", "stands in people.leads too"},
		"standing group, granted":   {"{group: vpn}", "{group: grp-forge-DBA}", "stands in reconcile.standing too"},
		"anchor, granted":           {"{group: vpn}", "{group: Grp-Forge-Anchor}", "stands in reconcile.anchors too"},
		"granted, then an anchor":   {"anchors: [grp-forge-anchor]", "anchors: [VPN]", "stands in reconcile.anchors too"},
		"granted, then standing":    {"group: grp-forge-noc", "group: vpn", "stands in reconcile.standing too"},
		"granted, then people":      {"groups: [grp-forge-leads]", "groups: [vpn]", "stands in people.leads too"},
		"standing, then an anchor":  {"anchors: [grp-forge-anchor]", "anchors: [GRP-FORGE-DBA]", "stands in reconcile.standing too"},
		"two spellings of a set":    {"grant: {permission_set: RDS}", "grant: {permission_set: ec2}", `"ec2" differs from "EC2" in case only`},
		"an id for a name":          {"  dev: {id", "  \"000000000002\": {id", "accounts.000000000002: looks like the id of another account; name it in words, or by its own id"},
		"a role and a set":          {"{iam_role: Role}", "{iam_role: Zero}", "scenarios.role.may_assume: is not that of zero, which grants a permission set of the same name in prod-wealth"},
		"a role and a set, equally": {"{iam_role: Role}, approval: {any_of: [leads]}, max_duration: 1h, may_assume: [c]", "{iam_role: Zero}, approval: {any_of: [leads]}, max_duration: 1h", ""},
	} {
		if strings.Count(richText, tt.from) != 1 {
			t.Fatalf("%s: %q", name, tt.from)
		}
		_, err := Parse("p", []byte(strings.Replace(richText, tt.from, tt.to, 1)))
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: got %v, want %s", name, err, tt.want)
		}
	}
}

// What is offered can be asked for, and what can be asked for is offered.
func TestOffersAreWhatMayBeAsked(t *testing.T) {
	policies := []*Policy{example(t), rich(t)}
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.SampledFrom(policies).Draw(t, "policy")
		who := somebody(rapid.SampledFrom([]string{"dev", "oncall"}).Draw(t, "id"),
			rapid.SliceOf(rapid.SampledFrom([]string{"developers", "sre-oncall", "wealth-prod", "dba", "noc", "leads"})).Draw(t, "groups")...)
		offered := map[string]bool{}
		for _, o := range p.Offers(who) {
			for _, a := range o.Accounts {
				offered[o.Scenario.Name+" "+a.Name] = true
			}
			if len(o.Scenario.Accounts) == 0 {
				offered[o.Scenario.Name+" "] = true
			}
			for _, d := range o.Scenario.Durations {
				for _, a := range append(o.Accounts, Account{})[:max(1, len(o.Accounts))] {
					if v := p.MayRequest(o.Scenario.Name, a.Name, d, who); !v.OK {
						t.Fatalf("%s in %s for %v is offered: %+v", o.Scenario.Name, a.Name, d, v)
					}
				}
			}
		}
		for _, s := range p.Scenarios {
			for _, a := range append([]Account{{}}, p.Accounts...) {
				if v := p.MayRequest(s.Name, a.Name, p.DefaultDuration(s), who); v.OK != offered[s.Name+" "+a.Name] {
					t.Fatalf("%s in %q: offered %v, %+v", s.Name, a.Name, !v.OK, v)
				}
			}
		}
	})
}

// A file of nothing but scenarios granted along with each other is read in good time.
func TestHostileWith(t *testing.T) {
	var b strings.Builder
	const n, accounts = 100, 1500
	b.WriteString("identity_center: {region: us-east-1, access_portal: https://example.awsapps.com/start}\n" +
		"channels: {requests: \"#a\", incidents: \"#b\"}\npeople:\n  all: {groups: [everybody]}\naccounts:\n")
	for i := range accounts {
		fmt.Fprintf(&b, "  a%d: {id: \"%012d\", regions: [us-east-1]}\n", i, i)
	}
	b.WriteString("scenarios:\n")
	list := func(prefix string, from, to int) string {
		var out []string
		for i := from; i < to; i++ {
			out = append(out, fmt.Sprintf("%s%d", prefix, i))
		}
		return "[" + strings.Join(out, ",") + "]"
	}
	fmt.Fprintf(&b, "  s0: {title: T0, tier: 2, eligible: [all], grant: {permission_set: P0}, approval: {any_of: [all]}, max_duration: 1h, with: %s, accounts: &a %s}\n",
		list("s", 1, n), list("a", 0, accounts))
	for i := 1; i < n; i++ {
		fmt.Fprintf(&b, "  s%d: {title: T%d, tier: 2, eligible: [all], grant: {permission_set: P%d}, approval: {any_of: [all]}, max_duration: 1h, with: %s, accounts: *a}\n",
			i, i, i, list("s", i+1, n))
	}
	start := time.Now()
	if _, err := Parse("p", []byte(b.String())); err != nil {
		t.Fatalf("%.500v", err)
	}
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("took %v", took)
	} else {
		t.Log(took)
	}
}
