package policy

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestMayExtend(t *testing.T) {
	p := rich(t)
	const m, h = time.Minute, time.Hour
	dev, oncall := somebody("dev", "developers"), somebody("oncall", "sre-oncall")
	silent := dev
	silent.Groups = nil
	open := Session{Account: "prod-wealth", Total: h, Left: 30 * m}
	with := func(change func(*Session)) Session {
		s := open
		change(&s)
		return s
	}
	for _, tt := range []struct {
		name, scenario string
		open           Session
		by             time.Duration
		who            Person
		code           Code
		why            string
	}{
		{"yes", "ec2", open, h, dev, CodeOK, "The session may be extended by 1h. It takes the word of one of leads."},
		{"all there is", "ec2", open, 4 * h, dev, CodeOK, ""},
		{"a minute", "ec2", open, m, dev, CodeOK, ""},
		{"the last time", "ec2", with(func(s *Session) { s.Used = 1 }), h, dev, CodeOK, ""},
		{"nobody's word is not enough", "zero", with(func(s *Session) { s.Total = 30 * m }), 30 * m, oncall, CodeOK, "It takes the word of one of sre-oncall."},
		{"past the total of what goes along", "ec2", open, 4*h + time.Second, dev, CodeDuration, "4h0m1s is too long: RDS, which was granted along, lasts 5h at most with its extensions. Ask for 1m to 4h."},
		{"past its own total", "zero", with(func(s *Session) { s.Total = 45 * m }), 20 * m, oncall, CodeDuration, "20m is too long: Site down lasts 1h at most with its extensions. Ask for 1m to 15m."},
		{"eternity", "ec2", open, (1<<63 - 1) / time.Duration(time.Second) * time.Second, dev, CodeDuration, "is too long"},
		{"too short", "ec2", open, 59 * time.Second, dev, CodeDuration, "An extension is a minute at least. Ask for 1m to 4h."},
		{"nothing", "ec2", open, 0, dev, CodeDuration, "a minute at least"},
		{"backwards", "ec2", open, -h, dev, CodeDuration, "a minute at least"},
		{"part of a second", "ec2", open, m + time.Millisecond, dev, CodeDuration, "An extension is a whole number of seconds. Ask for"},
		{"a last minute", "ec2", with(func(s *Session) { s.Total = 5*h - m }), 2 * m, dev, CodeDuration, "Ask for 1m."},
		{"used up", "ec2", with(func(s *Session) { s.Used = 2 }), h, dev, CodeExtension, "This session has been extended 2 times, which is as often as the policy allows. Ask for a new one when it is over."},
		{"never", "vpn", Session{Total: h, Left: h}, h, dev, CodeExtension, "A session of VPN cannot be extended. Ask for a new one"},
		{"no room", "ec2", with(func(s *Session) { s.Total = 5*h - m + time.Second }), m, dev, CodeExtension, "This session lasts as long as it may: RDS, which was granted along, ends after 5h with all extensions."},
		{"no room of its own", "zero", with(func(s *Session) { s.Total = h }), m, oncall, CodeExtension, "This session lasts as long as it may: 1h with all extensions."},
		{"just in time", "ec2", with(func(s *Session) { s.Left = 2*m + 1 }), h, dev, CodeOK, ""},
		{"too late", "ec2", with(func(s *Session) { s.Left = 2 * m }), h, dev, CodeExtension, "A session can be extended until 2m before its end, and that time is over."},
		{"after the end", "ec2", with(func(s *Session) { s.Left = -h }), h, dev, CodeExtension, "that time is over"},
		{"longer than the policy has it now", "zero", with(func(s *Session) { s.Total = 9 * h }), m, oncall, CodeExtension, "as long as it may"},
		{"no longer eligible", "ec2", open, h, somebody("x"), CodeEligible, "You are no longer among those who may ask for EC2: developers and sre-oncall. The session ends when it was to."},
		{"no longer eligible for what goes along", "ec2", open, h, oncall, CodeEligible, "no longer among those who may ask for RDS"},
		{"the account is gone", "ec2", with(func(s *Session) { s.Account = "dev" }), h, dev, CodeAccount, `EC2 no longer opens "dev"`},
		{"the IAM user is gone", "zero", open, m, somebody("bob", "sre-oncall"), CodeIAMUser, "names none of yours"},
		{"directory silent", "ec2", open, h, silent, CodeDirectory, ""},
	} {
		s, ok := p.Scenario(tt.scenario)
		if !ok {
			t.Fatal(tt.scenario)
		}
		got := p.MayExtend(s, tt.open, tt.by, tt.who)
		if got.Code != tt.code || got.OK != (tt.code == CodeOK) || !strings.Contains(got.Why, tt.why) || got.Why == "" {
			t.Errorf("%s: %+v, want %s %q", tt.name, got, tt.code, tt.why)
		}
	}
	sealed := Scenario{Title: "Sealed", Eligible: []string{"developers"}, Accounts: []string{"prod-wealth"}, MaxExtensions: 1}
	if v := p.MayExtend(sealed, open, h, dev); v.Code != CodeExtension || !strings.Contains(v.Why, "no end that could be moved") {
		t.Errorf("%+v", v)
	}
	later := rich(t, "max_extensions: 2, with", "max_extensions: 2, step_up: true, with")
	ec2, _ := later.Scenario("ec2")
	if v := later.MayExtend(ec2, open, h, dev); v.Code != CodeUnbuilt {
		t.Errorf("%+v", v)
	}
}

func TestExtensionSteps(t *testing.T) {
	p := rich(t)
	for _, tt := range []struct {
		scenario string
		open     Session
		want     string
	}{
		{"ec2", Session{Total: time.Hour, Left: time.Hour}, "15m 30m 1h 1h30m"},
		{"ec2", Session{Total: 4 * time.Hour, Left: time.Hour}, "15m 30m 1h"},
		{"ec2", Session{Total: 4*time.Hour + 20*time.Minute, Left: time.Hour}, "15m 30m 40m"},
		{"ec2", Session{Total: 4*time.Hour + 55*time.Minute, Left: time.Hour}, "5m"},
		{"ec2", Session{Total: 5 * time.Hour, Left: time.Hour}, ""},
		{"ec2", Session{Total: time.Hour, Left: time.Hour, Used: 2}, ""},
		{"ec2", Session{Total: time.Hour, Left: time.Minute}, ""},
		{"vpn", Session{Total: time.Hour, Left: time.Hour}, ""},
	} {
		s, _ := p.Scenario(tt.scenario)
		var got []string
		for _, d := range p.ExtensionSteps(s, tt.open) {
			got = append(got, Span(d))
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%s %+v: %v, want %s", tt.scenario, tt.open, got, tt.want)
		}
	}
}

// However a session is extended, it stays within the policy, every step offered is granted, and where
// none is offered none would be.
func TestExtensionLaws(t *testing.T) {
	p := rich(t)
	who := somebody("oncall", "developers", "sre-oncall")
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.SampledFrom(p.Scenarios).Draw(t, "scenario")
		s.MaxExtensions = rapid.IntRange(0, 4).Draw(t, "extensions")
		open := Session{Total: time.Duration(rapid.Int64Range(60, 7200).Draw(t, "total")) * time.Second}
		if len(s.Accounts) > 0 {
			open.Account = "prod-wealth"
			s.Accounts = append(s.Accounts, open.Account)
		}
		longest, _ := p.longestTotal(s)
		beyond := open.Total > longest
		for {
			open.Left = time.Duration(rapid.Int64Range(0, int64(open.Total)).Draw(t, "left"))
			steps := p.ExtensionSteps(s, open)
			for i, d := range steps {
				if v := p.MayExtend(s, open, d, who); !v.OK {
					t.Fatalf("%v is offered: %+v", d, v)
				}
				if i > 0 && d <= steps[i-1] {
					t.Fatalf("not rising: %v", steps)
				}
			}
			by := time.Duration(rapid.Int64Range(-1, 8*3600).Draw(t, "by"))*time.Second + time.Duration(rapid.SampledFrom([]int{0, 0, 0, 1}).Draw(t, "part"))
			v := p.MayExtend(s, open, by, who)
			if v.OK && (len(steps) == 0 || by < time.Minute || by%time.Second != 0) {
				t.Fatalf("%v although %v is offered: %+v", by, steps, v)
			}
			if !v.OK {
				break
			}
			open.Used++
			open.Total += by
			if open.Used > s.MaxExtensions || open.Total > longest || open.Left <= ExtensionCloses || beyond {
				t.Fatalf("%+v, longest %v, of %d extensions", open, longest, s.MaxExtensions)
			}
		}
	})
}
