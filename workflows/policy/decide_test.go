package policy

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// somebody is enabled, known to the directory, and in the groups named.
func somebody(id string, groups ...string) Person {
	p := Person{UserID: id, UserName: id, Email: id + "@forge.example", DisplayName: "User " + id, Enabled: true, Groups: map[string]bool{}}
	for _, g := range groups {
		p.Groups["grp-forge-"+g] = true
	}
	return p
}

func TestIn(t *testing.T) {
	p := example(t)
	lead := somebody("lead")
	lead.Email = "Security.LEAD@forge.example"
	gone := somebody("gone", "developers")
	gone.Enabled = false
	silent := lead
	silent.Groups = nil
	lookalike := somebody("k")
	lookalike.Email = "\u017fecurity.lead@forge.example" // the long s, which Unicode folds onto s
	unnamed := somebody("", "developers")
	tests := []struct {
		name, set string
		who       Person
		want      bool
	}{
		{"by group", "developers", somebody("a", "developers"), true},
		{"by another group", "developers", somebody("a", "sre-oncall"), false},
		{"a group that is false", "developers", Person{UserID: "a", Enabled: true, Groups: map[string]bool{"grp-forge-developers": false}}, false},
		{"by address in another case", "security-lead", lead, true},
		{"by an address that looks alike", "security-lead", lookalike, false},
		{"disabled", "developers", gone, false},
		{"no answer of the directory", "security-lead", silent, false},
		{"no user id", "developers", unnamed, false},
		{"no such set", "nobody", somebody("a", "developers"), false},
		{"manager is no set", "manager", somebody("a", "developers"), false},
	}
	for _, tt := range tests {
		if got := p.In(tt.set, tt.who); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestMayRequest(t *testing.T) {
	p := example(t)
	dev, oncall := somebody("dev", "developers"), somebody("oncall", "sre-oncall")
	disabled, silent := dev, dev
	disabled.Enabled, silent.Groups = false, nil
	standing, nameless := somebody("dev", "developers", "wealth-prod"), somebody("n", "sre-oncall")
	nameless.Email = ""
	tests := []struct {
		name, scenario, account string
		d                       time.Duration
		who                     Person
		code                    Code
		why                     string
	}{
		{"may", "ec2", "prod-wealth", time.Hour, dev, CodeOK, "It takes the word of the requester's manager, one of platform-leads or one of eng-managers."},
		{"may at once", "emergency", "prod-cash", time.Hour, oncall, CodeOK, "It needs no approval and is announced at once."},
		{"longest", "ec2", "prod-wealth", 2 * time.Hour, dev, CodeOK, "You may ask for EC2"},
		{"shortest", "ec2", "prod-wealth", time.Minute, dev, CodeOK, ""},
		{"typed duration", "ec2", "prod-wealth", 47 * time.Minute, dev, CodeOK, ""},
		{"too long", "ec2", "prod-wealth", 2*time.Hour + time.Second, dev, CodeDuration, "2h0m1s is too long: EC2: logs, processes, env vars over SSM lasts 2h at most. Ask for 1m to 2h."},
		{"too short", "ec2", "prod-wealth", 59 * time.Second, dev, CodeDuration, "A session lasts a minute at least. Ask for 1m to 2h."},
		{"nothing", "ec2", "prod-wealth", 0, dev, CodeDuration, "a minute at least"},
		{"negative", "ec2", "prod-wealth", -time.Hour, dev, CodeDuration, "a minute at least"},
		{"part of a second", "ec2", "prod-wealth", time.Minute + time.Millisecond, dev, CodeDuration, "whole number of seconds"},
		{"not eligible", "emergency", "prod-wealth", time.Hour, dev, CodeEligible, "You are not among those who may ask for P1: site down: sre-oncall. Ask somebody who is"},
		{"nobody at all", "ec2", "prod-wealth", time.Hour, somebody("x"), CodeEligible, "sre-oncall and developers"},
		{"no such scenario", "ec3", "prod-wealth", time.Hour, dev, CodeScenario, `Unknown scenario "ec3". Did you mean ec2?`},
		{"no such scenario, told to a stranger", "ec3", "prod-wealth", time.Hour, somebody("x"), CodeScenario, "There is none that you may ask for."},
		{"no such account", "ec2", "prod-weath", time.Hour, dev, CodeAccount, `does not open "prod-weath". Did you mean prod-wealth?`},
		{"another account", "ec2", "dev", time.Hour, dev, CodeAccount, `does not open "dev". It opens prod-wealth, prod-cash and prod-9squid.`},
		{"no account", "ec2", "", time.Hour, dev, CodeAccount, "needs an account: choose one of prod-wealth, prod-cash and prod-9squid."},
		{"disabled", "ec2", "prod-wealth", time.Hour, disabled, CodeDisabled, "User dev is disabled in Identity Center."},
		{"directory silent", "ec2", "prod-wealth", time.Hour, silent, CodeDirectory, "Try again in a minute."},
		{"group", "vpn-prod-cash", "", time.Hour, dev, CodeOK, "You may ask for VPN: Prod-Cash network. It takes the word of one of platform-leads."},
		{"group in an account", "vpn-prod-cash", "prod-cash", time.Hour, dev, CodeAccount, "is not of one account. Leave the account out."},
		{"group for long", "vpn-prod-cash", "", 5 * time.Hour, dev, CodeDuration, "lasts 4h at most"},
		{"role", "admin-role", "prod-wealth", time.Hour, oncall, CodeOK, "It takes the word of 2 different people"},
		{"role, without an IAM user", "admin-role", "prod-wealth", time.Hour, somebody("bob", "sre-oncall"), CodeIAMUser,
			"An IAM role is granted to an IAM user with MFA, and the policy names none of yours. Whoever keeps the policy can add it to iam_users, under bob@forge.example."},
		{"role, without an address", "admin-role", "prod-wealth", time.Hour, nameless, CodeIAMUser, "under your e-mail address, which Identity Center does not have yet."},
		{"standing", "console", "prod-wealth", time.Hour, standing, CodeStanding,
			"You have this access already: Forge-Prod-ReadOnly in prod-wealth comes with the group grp-forge-wealth-prod. Sign in at https://forge.awsapps.com/start; there is nothing to ask for."},
		{"standing, however long", "console", "prod-wealth", 99 * time.Hour, standing, CodeStanding, ""},
		{"standing elsewhere", "console", "prod-cash", time.Hour, standing, CodeOK, ""},
		{"standing in another set", "ec2", "prod-wealth", time.Hour, standing, CodeOK, ""},
		{"standing, and not eligible", "console", "prod-wealth", time.Hour, somebody("x", "wealth-prod"), CodeEligible, ""},
		{"sealed user", "offline", "prod-wealth", 0, oncall, CodeUnbuilt, "Identity Center is down: sealed IAM user is not yet offered: it asks for a grant of kind sealed_user, which is not built yet."},
		{"unbuilt, of others", "offline", "prod-wealth", 0, dev, CodeEligible, ""},
	}
	for _, tt := range tests {
		got := p.MayRequest(tt.scenario, tt.account, tt.d, tt.who)
		if got.Code != tt.code || got.OK != (tt.code == CodeOK) || !strings.Contains(got.Why, tt.why) || got.Why == "" {
			t.Errorf("%s: %+v, want %s %q", tt.name, got, tt.code, tt.why)
		}
	}
}

// What a kind of grant without an account or without an end may be asked for is decided already, so
// that the day it is built is not the day it is first tried.
func TestOtherKinds(t *testing.T) {
	p := example(t)
	vpn, _ := p.Scenario("vpn-prod-cash")
	offline, _ := p.Scenario("offline")
	if v := p.opens(vpn, ""); !v.OK {
		t.Error(v)
	}
	if v := p.opens(vpn, "dev"); v.OK || v.Code != CodeAccount {
		t.Error(v)
	}
	if v := p.lasts(offline, 0); !v.OK {
		t.Error(v)
	}
	if v := p.lasts(offline, time.Hour); v.OK || !strings.Contains(v.Why, "until its keys are rotated") {
		t.Error(v)
	}
	if d := p.DefaultDuration(offline); d != 0 {
		t.Error(d)
	}
}

func TestOffers(t *testing.T) {
	p := example(t)
	list := func(who Person) (out []string) {
		for _, o := range p.Offers(who) {
			names := []string{}
			for _, a := range o.Accounts {
				names = append(names, a.Name)
			}
			out = append(out, o.Scenario.Name+": "+strings.Join(names, " "))
		}
		return out
	}
	dev := []string{"ec2: prod-wealth prod-cash prod-9squid", "rds: prod-wealth prod-cash", "eks: prod-wealth prod-cash",
		"console: prod-wealth prod-cash prod-9squid", "vpn-prod-wealth: ", "vpn-prod-cash: "}
	oncall := append([]string{"emergency: prod-wealth prod-cash prod-9squid"}, dev...)
	standing := slices.Clone(dev)
	standing[3] = "console: prod-cash prod-9squid"
	silent := somebody("a", "developers")
	silent.Groups = nil
	for name, tt := range map[string]struct {
		who  Person
		want []string
	}{
		"developer": {somebody("a", "developers"), dev},
		"on call":   {somebody("a", "sre-oncall"), oncall},
		"IAM user":  {somebody("oncall", "sre-oncall"), append(slices.Clone(oncall), "admin-role: prod-wealth")},
		"standing":  {somebody("a", "developers", "wealth-prod"), standing},
		"lead":      {somebody("a", "platform-leads"), nil},
		"silent":    {silent, nil},
	} {
		if diff := cmp.Diff(tt.want, list(tt.who)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestUnbuilt(t *testing.T) {
	p := parsed(t, "#: accounts_from: []", "accounts_from: [{tag: env=prod}]",
		"    tier: 2\n    accounts: [prod-wealth, prod-cash, prod-9squid]", "    tier: 2\n    accounts: [from-the-organisation]")
	console, _ := p.Scenario("console")
	if got := p.Unbuilt(console); got != "accounts_from" {
		t.Errorf("%q", got)
	}
	ec2, _ := p.Scenario("ec2")
	if got := p.Unbuilt(ec2); got != "" {
		t.Errorf("%q", got)
	}
	for want, change := range map[string]func(*Scenario){
		"":                            func(s *Scenario) { s.With = []string{"vpn-prod-cash"} },
		"step_up":                     func(s *Scenario) { s.StepUp = true },
		"a grant of kind sealed_user": func(s *Scenario) { s.Grant.Kind = GrantSealedUser },
		"a grant of kind sealed_user in offline, which is granted along": func(s *Scenario) { s.With = []string{"eks", "offline"} },
		"start: later": func(s *Scenario) { s.Start = StartLater },
		"on_call":      func(s *Scenario) { s.OnCall = "P1" },
		"escalate":     func(s *Scenario) { s.Escalate = []Escalation{{}} },
	} {
		s := ec2
		change(&s)
		if got := p.Unbuilt(s); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestDefaultDuration(t *testing.T) {
	p := example(t)
	const m = time.Minute
	for _, tt := range []struct {
		offered []time.Duration
		want    time.Duration
	}{
		{[]time.Duration{30 * m, 60 * m, 240 * m}, 60 * m},
		{[]time.Duration{15 * m, 45 * m, 120 * m}, 45 * m},
		{[]time.Duration{120 * m, 240 * m}, 120 * m},
		{[]time.Duration{5 * m}, 5 * m},
		{nil, 0},
	} {
		if got := p.DefaultDuration(Scenario{Durations: tt.offered}); got != tt.want {
			t.Errorf("%v: %v, want %v", tt.offered, got, tt.want)
		}
	}
}

func TestSteps(t *testing.T) {
	for longest, want := range map[time.Duration]string{
		time.Minute: "1m", 5 * time.Minute: "5m", 10 * time.Minute: "5m 10m", time.Hour: "15m 30m 1h", 2 * time.Hour: "15m 30m 1h 2h",
		4 * time.Hour: "30m 1h 2h 4h", 12 * time.Hour: "2h 4h 8h 12h", 720 * time.Hour: "168h 720h", 0: "",
	} {
		var got []string
		for _, d := range steps(longest) {
			got = append(got, Span(d))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%v: %v, want %v", longest, got, want)
		}
	}
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "0s", 90 * time.Second: "90s", time.Minute: "1m", 15 * time.Minute: "15m",
		time.Hour: "1h", 90 * time.Minute: "1h30m", 25 * time.Hour: "25h", time.Hour + time.Second: "1h0m1s", 10 * time.Second: "10s",
		2*time.Minute + 30*time.Second: "2m30s", 20 * time.Hour: "20h", 10 * time.Minute: "10m"} {
		if got := Span(d); got != want {
			t.Errorf("%d: %s, want %s", d, got, want)
		}
	}
}

func TestCheckTicket(t *testing.T) {
	p := example(t)
	required, within, optional := Scenario{Title: "S", Ticket: TicketRule{Required: true}}, Scenario{Ticket: TicketRule{Within: time.Hour}}, Scenario{}
	open := parsed(t, `tracker: {pattern: "^(OPS|SEC)-[0-9]+$"}`, "tracker: {}")
	for _, tt := range []struct {
		name   string
		p      *Policy
		s      Scenario
		ticket string
		ok     bool
		why    string
	}{
		{"given", p, required, "OPS-1", true, ""},
		{"given with space around", p, required, " SEC-22 ", true, ""},
		{"missing", p, required, "", false, "S needs a ticket. It must match ^(OPS|SEC)-[0-9]+$."},
		{"only space", p, required, " \n", false, "needs a ticket"},
		{"wrong form", p, required, "ops-1", false, `"ops-1" is not a ticket of this tracker.`},
		{"two lines", p, required, "OPS-1\nx", false, `"OPS-1\nx" is not a ticket`},
		{"to follow", p, within, "", true, "may follow within 1h"},
		{"to follow, wrong form", p, within, "later", false, "is not a ticket"},
		{"optional", p, optional, "", true, "No ticket is needed."},
		{"optional, wrong form", p, optional, "x", false, "is not a ticket"},
		{"no tracker", open, required, "whatever", true, ""},
		{"no tracker, missing", open, required, "", false, "S needs a ticket."},
	} {
		got := tt.p.CheckTicket(tt.s, tt.ticket)
		if got.OK != tt.ok || !strings.Contains(got.Why, tt.why) {
			t.Errorf("%s: %+v, want %v %q", tt.name, got, tt.ok, tt.why)
		}
	}
}
