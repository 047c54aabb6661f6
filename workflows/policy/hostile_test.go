package policy

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// many is a policy of n accounts that one scenario opens all.
func many(n int) string {
	var b strings.Builder
	b.WriteString("identity_center: {region: us-east-1, access_portal: https://example.awsapps.com/start}\n" +
		"channels: {requests: \"#a\", incidents: \"#b\"}\npeople:\n  all: {groups: [everybody]}\naccounts:\n")
	for i := range n {
		fmt.Fprintf(&b, "  account-%d: {id: \"%012d\", regions: [us-east-1, eu-west-1], sensitive: true}\n", i, i)
	}
	b.WriteString("scenarios:\n  s:\n    title: T\n    tier: 2\n    eligible: [all]\n    grant: {permission_set: P}\n" +
		"    approval: {any_of: [all]}\n    max_duration: 1h\n    accounts:\n")
	for i := range n {
		fmt.Fprintf(&b, "      - account-%d\n", i)
	}
	return b.String()
}

func BenchmarkParse(b *testing.B) {
	for _, n := range []int{5, 600, 2000} {
		text := []byte(many(n))
		b.Run(fmt.Sprintf("accounts=%d", n), func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Parse("p", text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// Asking must cost the same whether there are few accounts or many: it happens while somebody waits.
func BenchmarkMayRequest(b *testing.B) {
	for _, n := range []int{5, 2000} {
		p, err := Parse("p", []byte(many(n)))
		if err != nil {
			b.Fatal(err)
		}
		who := Person{UserID: "u", Enabled: true, Groups: map[string]bool{"everybody": true}}
		b.Run(fmt.Sprintf("accounts=%d", n), func(b *testing.B) {
			for b.Loop() {
				if v := p.MayRequest("s", "account-1", time.Hour, who); !v.OK {
					b.Fatal(v)
				}
			}
		})
	}
}

func TestManyAccounts(t *testing.T) {
	p, err := Parse("p", []byte(many(2000)))
	if err != nil {
		t.Fatal(err)
	}
	if a, ok := p.Account("account-1999"); len(p.Accounts) != 2000 || !ok || a.ID != "000000001999" || p.Accounts[1999].Name != a.Name {
		t.Errorf("%d %+v", len(p.Accounts), a)
	}
	if v := p.MayRequest("s", "account-20000", time.Hour, Person{UserID: "u", Enabled: true, Groups: map[string]bool{"everybody": true}}); v.OK || len(v.Why) > 300 {
		t.Errorf("%+v", v)
	}
}

// Files made to hurt are refused, each in good time: without the bounds most of these take minutes, or
// the whole stack.
func TestHostile(t *testing.T) {
	const full = maxBytes / 4 // enough for what is quadratic to take its minutes, and quick where it is not
	repeat := func(s string) string { return strings.Repeat(s, full/len(s)) }
	nested := []string{"lists in lists", "mappings", "keys in a line", "items in a line", "anchors", "anchors on lines",
		"anchors in a list", "tags", "question marks", "aliases"}
	for name, text := range map[string]string{
		"too large":          strings.Repeat("#", maxBytes+1),
		"lists in lists":     repeat("["),
		"mappings":           repeat("{a: "),
		"keys in a line":     repeat("a: "),
		"items in a line":    repeat("- "),
		"anchors":            repeat("&a "),
		"anchors on lines":   repeat("&a\n"),
		"anchors in a list":  "[" + repeat("&a "),
		"tags":               repeat("!a "),
		"question marks":     repeat("? "),
		"questions on lines": repeat("?\n"),
		"aliases":            repeat("*a "),
		"one key":            repeat("a: b\n"),
		"documents":          repeat("---\na\n"),
		"literals":           repeat("a: |\n  x\n"),
		"quotes":             repeat("\""),
		"zeros":              repeat("\x00"),
		"not UTF-8":          "a: \xff\xfe",
		"deep":               deep(2000),
		"wrong names":        "accounts: [" + repeat("x, ") + "]",
		"wrong keys":         "{" + keys(60_000) + "}",
		"wrong accounts":     many(2000) + strings.Repeat("      - acount-1\n", 20_000),
		"long key":           "\"" + repeat("x\\n") + "\": 1\n",
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			_, err := Parse("p", []byte(text))
			took := time.Since(start)
			var f Faults
			if !errors.As(err, &f) || len(f) == 0 {
				t.Fatalf("no faults: %v", err)
			}
			if len(f) > maxFaults+1 || len(err.Error()) > 500_000 {
				t.Errorf("%d faults in %d bytes", len(f), len(err.Error()))
			}
			if slices.Contains(nested, name) && f[0].Problem != "nested too deep" {
				t.Errorf("came as far as the parser: %v", f[0])
			}
			if took > 20*time.Second { // a second alone; the race detector and a busy machine multiply it
				t.Errorf("took %v", took)
			}
			t.Logf("%d faults, %d bytes, %v: %.120s", len(f), len(err.Error()), took, f[0])
		})
	}
}

func deep(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat(" ", i%300) + "a:\n")
	}
	return b.String()
}

func keys(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "scenarois%d: 1, ", i)
	}
	return b.String()
}

// Whatever the bytes, Parse answers: a policy, or faults that stand in the file and fit on a screen.
func FuzzParse(f *testing.F) {
	data, err := os.ReadFile("../../deploy/policy.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	files, _ := filepath.Glob("testdata/*.yaml")
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(many(2)))
	f.Add([]byte(richText))
	f.Add([]byte("a: *\x1b0")) // an alias by a name that cannot be seen
	f.Add([]byte("scenarios:\n  a: &x {approval: *x, grant: [], ticket: , with: [a]}\naccounts: {1: {id: 0x1}}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := Parse("p", data)
		if (p == nil) == (err == nil) {
			t.Fatalf("%v, %v", p, err)
		}
		if err != nil {
			var faults Faults
			if !errors.As(err, &faults) || len(faults) == 0 {
				t.Fatalf("%T", err)
			}
			for i, one := range faults {
				if one.Line < 1 || one.Column < 1 || one.Problem == "" || strings.ContainsAny(one.String(), "\n\r\x1b") {
					t.Fatalf("%q", one)
				}
				if i > 0 && (one.Line < faults[i-1].Line || one.Line == faults[i-1].Line && one.Column < faults[i-1].Column) {
					t.Fatal("not in the order of the file")
				}
			}
			return
		}
		for _, s := range p.Scenarios {
			a := s.Approval
			if len(s.Eligible) == 0 || !a.None && len(a.Sets()) == 0 || a.None && len(a.Sets()) > 0 || s.Grant.Name == "" {
				t.Fatalf("%+v", s)
			}
			if s.Grant.Kind != GrantSealedUser && (s.MaxDuration < time.Minute || s.MaxTotal < s.MaxDuration || len(s.Durations) == 0) {
				t.Fatalf("%+v", s)
			}
		}
		if d := Diff(p, p); len(d) > 0 {
			t.Fatal(d)
		}
		usable(t, p)
	})
}

// usable asks a policy everything once: nothing may panic, and what is offered is what may be had.
func usable(t *testing.T, p *Policy) {
	if err := p.Explain(Ends{Guard: true, Schedules: true, SSM: true}).WriteText(io.Discard); err != nil {
		t.Fatal(err)
	}
	who := Person{UserID: "u", UserName: "u", Enabled: true, Groups: map[string]bool{}}
	for _, g := range p.Groups() {
		who.Groups[g] = true
		if slices.ContainsFunc(p.GrantedGroups(), func(granted string) bool { return strings.EqualFold(granted, g) }) {
			t.Fatalf("%q can be granted, and the policy rests on it", g)
		}
	}
	for _, o := range p.Offers(who) {
		s := o.Scenario
		account := ""
		if len(o.Accounts) > 0 {
			account = o.Accounts[0].Name
			if rule, ok := p.GuardOf(s.Grant.Name, account); ok != (s.Grant.Kind == GrantPermissionSet) || rule.Closed && s.Guard != GuardClosed {
				t.Fatalf("%+v", rule)
			}
			p.MayAssume(o.Accounts[0].ID)
		}
		for _, d := range s.Durations {
			if v := p.MayRequest(s.Name, account, d, who); !v.OK {
				t.Fatalf("%s in %q for %v: %+v", s.Name, account, d, v)
			}
		}
		along, v := p.Along(s, account, who)
		if !v.OK || len(along) > len(p.Scenarios) {
			t.Fatalf("%+v", v)
		}
		p.ExtensionSteps(s, Session{Account: account, Total: time.Minute, Left: time.Hour})
	}
}
