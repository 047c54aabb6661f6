package handlers

import (
	"os/exec"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/slack-go/slack"
	"pgregory.net/rapid"

	"breakglass/store"
)

// nasty is what people paste, and what people try.
var nasty = []string{
	"<!channel>", "<!here>", "@here", "@channel", "@everyone", "<@UEVIL>", "<!subteam^SEVIL>", "<https://evil.example|the policy>", "https://evil.example",
	"*Approved by* Bob", "_x_", "~x~", "`x`", "```x```", "> quote", "\n*Approved*", "\r\n", "\u2028", "\u202eevil\u202c", "\u200b", "\u200f", "\u2066", "\ufeff",
	":white_check_mark:", ":tada:", "مرحبا", "שלום", "👩‍👩‍👧‍👦", "🇩🇪", "e\u0301\u0302\u0303\u0304\u0305\u0306", "\x00", "\x1b[31m", "\xff\xfe", "&amp;", "&lt;!channel&gt;",
	"'; evil; '", "$(evil)", "`evil`", "\"; evil #", "| evil", "&& evil", "\\'; evil", "${IFS}evil", "--profile=evil", "file:///etc/passwd", "%s%n", "\t",
	"<!date^1^{ago}|x>", "mailto:x@evil.example", strings.Repeat("long ", 900), strings.Repeat("😀", 200), " ", "",
}

func nastyText() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		parts := rapid.SliceOfN(rapid.OneOf(rapid.SampledFrom(nasty), rapid.String()), 0, 8).Draw(t, "parts")
		return strings.Join(parts, rapid.SampledFrom([]string{"", " ", "\n"}).Draw(t, "between"))
	})
}

// harmless fails for anything that could change how the text around it is read.
func harmless(t interface{ Fatalf(string, ...any) }, s string, lines bool) {
	if !utf8.ValidString(s) {
		t.Fatalf("broken UTF-8 in %q", s)
	}
	for _, c := range strings.NewReplacer(isolate, "", isolateEnd, "").Replace(s) {
		switch {
		case c == '\n' && lines:
		case unicode.IsControl(c), unicode.Is(unicode.C, c), invisible(c), c != ' ' && unicode.IsSpace(c):
			t.Fatalf("%U survived in %q", c, s)
		}
	}
	if strings.Count(s, isolate) != strings.Count(s, isolateEnd) {
		t.Fatalf("isolates are not closed in %q", s)
	}
}

func checkText(t interface{ Fatalf(string, ...any) }, s string, most int) {
	one := oneLine(s, most)
	harmless(t, one, false)
	if width(one) > most || utf8.RuneCountInString(one) > most {
		t.Fatalf("oneLine(%q, %d) has %d characters", s, most, width(one))
	}
	many := manyLines(s, most)
	harmless(t, many, true)
	if width(many) > most || strings.Contains(many, "\n\n\n") {
		t.Fatalf("manyLines(%q, %d) = %q", s, most, many)
	}
	if p := plain(s, most); p.Text == "" || p.Type != "plain_text" || p.Emoji == nil || *p.Emoji {
		t.Fatalf("plain(%q) = %+v", s, p)
	}
	quiet(t, inert(s, most))
}

// quiet fails for text in which Slack would see more than text.
func quiet(t interface{ Fatalf(string, ...any) }, s string) {
	harmless(t, strings.ReplaceAll(s, wordJoiner, ""), false)
	if strings.ContainsAny(s, "<>*~`\n") {
		t.Fatalf("markup survived in %q", s)
	}
	rest := strings.NewReplacer("&amp;", "", "&lt;", "", "&gt;", "").Replace(s)
	if strings.Contains(rest, "&") || strings.Contains(s, "://") {
		t.Fatalf("an entity or a link survived in %q", s)
	}
	runes := []rune(s)
	for i, c := range runes {
		before, after := i > 0 && alnum(runes[i-1]), i+1 < len(runes) && alnum(runes[i+1])
		switch {
		case c == '@' && after:
			t.Fatalf("a mention survived in %q", s)
		case c == ':' && after:
			t.Fatalf("an emoji or a link survived in %q", s)
		case c == '_' && !(before && after):
			t.Fatalf("markup survived in %q", s)
		}
	}
}

func TestTextIsHarmless(t *testing.T) {
	for _, s := range nasty {
		checkText(t, s, 75)
	}
	rapid.Check(t, func(t *rapid.T) {
		checkText(t, nastyText().Draw(t, "text"), rapid.IntRange(4, 3000).Draw(t, "most"))
	})
}

func FuzzText(f *testing.F) {
	for _, s := range nasty {
		f.Add(s, 75)
	}
	f.Fuzz(func(t *testing.T, s string, most int) {
		checkText(t, s, 4+abs(most)%3000)
	})
}

func abs(n int) int { return max(n, -(n + 1)) }

func TestOneLine(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"plain", "plain"},
		{" a \n\n b\tc\u00a0d ", "a b c d"},
		{"x\u202ey\u200bz\x00", "xyz"},
		{"0123456789ab", "012345678…"},
		{"😀😀😀😀😀😀", "😀😀😀😀…"},
		{"e\u0301\u0301\u0301\u0301\u0301", "e\u0301\u0301\u0301"},
		{"שלום", isolate + "שלום" + isolateEnd},
		{"a\xffb", "ab"},
	} {
		if got := oneLine(tt.in, 10); got != tt.want {
			t.Errorf("oneLine(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestMentionsAreValidated(t *testing.T) {
	for id, want := range map[string]string{
		"U123": "<@U123>", "W1A": "<@W1A>", "": "", "U": "", "C123": "", "U12>": "", "U1|x": "", "u123": "", "!channel": "", "U1 <!here>": "",
		"U" + strings.Repeat("1", 50): "",
	} {
		if got := mention(id); got != want {
			t.Errorf("mention(%q) = %q, want %q", id, got, want)
		}
	}
	if got := mentionGroup("S1") + mentionGroup("U1") + mentionGroup("S1>"); got != "<!subteam^S1>" {
		t.Errorf("groups: %q", got)
	}
}

// What is no id of Slack's is shown as text, in rich text as well.
func TestTypedMentionsAreValidated(t *testing.T) {
	w := words{}.who(store.Person{SlackID: "!channel", Name: "Mallory"}).set(approvers{name: "leads", group: "!here"}).channel("D1|x").
		link("javascript:alert(1)", "a").link("http://x.example", "b").link("https://", "c")
	for i, e := range w {
		if e.RichTextSectionElementType() != slack.RTSEText {
			t.Errorf("element %d is a %s", i, e.RichTextSectionElementType())
		}
	}
	w = words{}.who(alice).set(approvers{group: "S1"}).channel("C1").link("https://x.example", "x")
	for i, e := range w {
		if e.RichTextSectionElementType() == slack.RTSEText {
			t.Errorf("element %d is only text", i)
		}
	}
}

func TestInSlack(t *testing.T) {
	for address, want := range map[string]bool{
		"https://forge.slack.com/archives/C1/p1": true, "https://forge.slack-gov.com/archives/C1/p1": true,
		"http://forge.slack.com/": false, "https://evil.example/": false, "https://forge.slack.com@evil.example/": false,
		"https://user@forge.slack.com/": false, "https://evilslack.com/": false, "https://forge.slack.com.evil.example/": false, "": false, "%": false,
	} {
		if got := inSlack(address); got != want {
			t.Errorf("inSlack(%q) = %v", address, got)
		}
	}
}

func TestDateToken(t *testing.T) {
	at := time.Date(2023, 11, 14, 23, 13, 0, 0, time.FixedZone("", 3600))
	if got, want := dateToken(at, dateForm), "<!date^1699999980^{date_short_pretty} at {time}|2023-11-14 22:13 UTC>"; got != want {
		t.Errorf("dateToken = %q, want %q", got, want)
	}
}

func TestSayDuration(t *testing.T) {
	for in, want := range map[string]string{
		"2h": "2 hours", "1h": "1 hour", "90m": "90 minutes", "30m": "30 minutes", "1m": "1 minute", "90s": "1 minute 30 seconds",
		"45s": "45 seconds", "4h30m": "4 hours 30 minutes", "24h": "24 hours", "100h": "4 days 4 hours", "72h": "3 days", "0s": "no time",
		"1h0m30s": "61 minutes", "56m10s": "56 minutes", "71h59m50s": "72 hours",
	} {
		d, err := time.ParseDuration(in)
		if err != nil {
			t.Fatal(err)
		}
		if got := sayDuration(d); got != want {
			t.Errorf("sayDuration(%s) = %q, want %q", in, got, want)
		}
	}
}

// lex lets a real shell say which words it reads. It is given no command and no PATH, so nothing else can be run.
func lex(t interface{ Fatalf(string, ...any) }, shell, words string) string {
	cmd := exec.Command(shell, "-c", "printf %s "+words)
	cmd.Env = []string{"PATH=/nonexistent"}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s -c 'printf %%s %s': %v\n%s", shell, words, err, out)
	}
	return string(out)
}

func shells(t *testing.T) []string {
	t.Helper()
	var found []string
	for _, s := range []string{"sh", "bash", "zsh"} {
		if path, err := exec.LookPath(s); err == nil {
			found = append(found, path)
		}
	}
	if len(found) == 0 {
		t.Skip("no shell on this machine: quoting is not checked by one")
	}
	return found
}

func TestShellQuote(t *testing.T) {
	for _, shell := range shells(t) {
		for _, s := range nasty {
			want := strings.ReplaceAll(s, "\x00", "")
			if got := lex(t, shell, shellQuote(s)); got != want {
				t.Errorf("%s reads %s as %q, want %q", shell, shellQuote(s), got, want)
			}
		}
	}
	sh := shells(t)[0]
	rapid.Check(t, func(t *rapid.T) {
		s := nastyText().Draw(t, "text")
		if got, want := lex(t, sh, shellQuote(s)), strings.ReplaceAll(s, "\x00", ""); got != want {
			t.Fatalf("sh reads %s as %q, want %q", shellQuote(s), got, want)
		}
	})
	for in, want := range map[string]string{"i-0abc": "i-0abc", "": "''", "a b": "'a b'", "<X>": "'<X>'", "~root": "'~root'", "=ls": "'=ls'", "it's": `'it'\''s'`} {
		if got := shellQuote(in); got != want {
			t.Errorf("shellQuote(%q) = %s, want %s", in, got, want)
		}
	}
}

func FuzzShellQuote(f *testing.F) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		f.Skip("no shell")
	}
	for _, s := range nasty {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got, want := lex(t, sh, shellQuote(s)), strings.ReplaceAll(s, "\x00", ""); got != want {
			t.Errorf("sh reads %s as %q, want %q", shellQuote(s), got, want)
		}
	})
}
