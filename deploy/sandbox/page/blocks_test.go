package page

import (
	"bytes"
	"encoding/json"
	"html/template"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"breakglass/deploy/sandbox"
	"breakglass/deploy/sandbox/awstwin"
	"breakglass/deploy/sandbox/clock"
	"breakglass/deploy/sandbox/slacktwin"
)

func testSite(t *testing.T) *site {
	t.Helper()
	c := clock.New()
	s := &site{world: sandbox.Forge(c.Now, slacktwin.Config{}, awstwin.Config{}), clock: c, product: "Break Glass"}
	s.tmpl = template.Must(template.New("page").Funcs(template.FuncMap{"dict": dict}).ParseFS(files, "templates/*.html"))
	t.Cleanup(s.world.Slack.Close)
	return s
}

// drawn renders blocks as a message shows them.
func drawn(t *testing.T, s *site, blocks string) string {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(blocks), &v); err != nil {
		t.Fatal(err)
	}
	on := &surface{w: writer{s, s.world.Person("dana").Slack}, kind: "message", ch: "C1", ts: "1.000001"}
	var b bytes.Buffer
	if err := s.tmpl.ExecuteTemplate(&b, "blocks", on.blocks(v)); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestEveryBlockIsDrawn(t *testing.T) {
	s := testSite(t)
	dana := s.world.Person("dana").Slack
	for name, c := range map[string]struct {
		blocks string
		want   []string
	}{
		"header":  {`[{"type":"header","text":{"type":"plain_text","text":"A :fire:"}}]`, []string{`<h3 class="block header">A 🔥</h3>`}},
		"literal": {`[{"type":"header","text":{"type":"plain_text","text":"A :fire:","emoji":false}}]`, []string{`A :fire:`}},
		"section": {`[{"type":"section","text":{"type":"mrkdwn","text":"*b* and _i_"},"fields":[{"type":"plain_text","text":"f1"}],
			"accessory":{"type":"button","text":{"type":"plain_text","text":"Go"},"action_id":"go","url":"https://x.example/"}}]`,
			[]string{`<span class="b">b</span> and <span class="i">i</span>`, `f1`, `data-testid="button-Go"`, `data-href="https://x.example/"`}},
		"context": {`[{"type":"context","elements":[{"type":"plain_text","text":"small"},{"type":"image","image_url":"https://x","alt_text":"a cat"}]}]`,
			[]string{"small", "Image: a cat"}},
		"divider": {`[{"type":"divider"}]`, []string{`<hr class="block">`}},
		"actions": {`[{"type":"actions","elements":[{"type":"button","style":"danger","text":{"type":"plain_text","text":"End"},"action_id":"e",
			"accessibility_label":"End it","confirm":{"title":{"type":"plain_text","text":"Sure?"},"text":{"type":"mrkdwn","text":"*All* of it"},
			"confirm":{"type":"plain_text","text":"Yes"},"deny":{"type":"plain_text","text":"No"}}},
			{"type":"overflow","action_id":"o","options":[{"text":{"type":"plain_text","text":"One"},"value":"1"},{"text":{"type":"plain_text","text":"Two"},"value":"2"}]},
			{"type":"static_select","action_id":"s","placeholder":{"type":"plain_text","text":"Pick"},"options":[]}]}]`,
			[]string{`class="btn danger"`, `aria-label="End it"`, `data-ask="Sure?"`, `data-ask-text="All of it"`, `data-ask-ok="Yes"`, `data-ask-cancel="No"`,
				`data-want="o" data-nth="0" data-testid="button-One"`, `data-want="o" data-nth="1" data-testid="button-Two"`, `disabled title="Menus in messages`}},
		"rich text": {`[{"type":"rich_text","elements":[{"type":"rich_text_section","elements":[{"type":"text","text":"x<y","style":{"bold":true,"strike":true}},
			{"type":"text","text":"id","style":{"code":true}},{"type":"link","url":"https://a.example/?q=1","text":"here"},{"type":"emoji","name":"tada"},
			{"type":"user","user_id":"` + dana + `"},{"type":"broadcast","range":"here"},{"type":"date","timestamp":0,"format":"{date_num}","fallback":"then"}]},
			{"type":"rich_text_quote","elements":[{"type":"text","text":"quoted"}]},{"type":"rich_text_preformatted","elements":[{"type":"text","text":"a\n b"}]},
			{"type":"rich_text_list","style":"ordered","offset":2,"indent":1,"elements":[{"type":"rich_text_section","elements":[{"type":"text","text":"third"}]}]},
			{"type":"rich_text_list","style":"bullet","elements":[{"type":"rich_text_section","elements":[{"type":"text","text":"dot"}]}]}]}]`,
			[]string{`<span class="b s">x&lt;y</span>`, `<code>id</code>`, `href="https://a.example/?q=1"`, `🎉`, `<span class="mention me ">@Dana Ruiz</span>`,
				`@here`, `1970-01-01`, `<blockquote>quoted</blockquote>`, "<pre>a\n b</pre>", `<ol class="in-1" start="3"><li>third</li></ol>`, `<ul class="in-0"><li>dot</li></ul>`}},
		"image":           {`[{"type":"image","image_url":"https://x.example/i.png","alt_text":"graph"}]`, []string{"Image: graph"}},
		"unknown block":   {`[{"type":"carousel","elements":[]}]`, []string{`data-testid="unsupported">unsupported: carousel`}},
		"unknown element": {`[{"type":"actions","elements":[{"type":"workflow_button"}]}]`, []string{`unsupported: workflow_button`}},
		"unknown run":     {`[{"type":"rich_text","elements":[{"type":"rich_text_section","elements":[{"type":"hologram"}]}]}]`, []string{`unsupported: hologram`}},
		"no block at all": {`["x", {}]`, []string{"unsupported: block without a type"}},
	} {
		t.Run(name, func(t *testing.T) {
			out := drawn(t, s, c.blocks)
			has(t, out, c.want...)
			if !strings.HasPrefix(name, "unknown") && !strings.HasPrefix(name, "no ") {
				hasNot(t, out, "unsupported", "image_url", "<img")
			}
		})
	}
}

// text writes runs as a line, to compare: [class|text], kinds in braces.
func text(runs []inline) string {
	var b strings.Builder
	for _, r := range runs {
		switch r.Kind {
		case "text":
			if r.Class != "" {
				b.WriteString("[" + r.Class + "|" + r.Text + "]")
			} else {
				b.WriteString(r.Text)
			}
		case "link":
			b.WriteString("{" + r.Href + " " + r.Text + "}")
		default:
			b.WriteString("{" + r.Kind + " " + r.Text + text(r.Kids) + "}")
		}
	}
	return b.String()
}

func TestMrkdwn(t *testing.T) {
	s := testSite(t)
	w := writer{s, s.world.Person("dana").Slack}
	lee := s.world.Person("lee").Slack
	for in, want := range map[string]string{
		"plain":                            "plain",
		"*b* _i_ ~s~ `c`":                  "[b|b] [i|i] [s|s] {code c}",
		"*_both_*":                         "[b i|both]",
		"a*b*c snake_case_name 2*3*4":      "a*b*c snake_case_name 2*3*4",
		"*not\nclosed*":                    "*not\nclosed*",
		"* no *":                           "* no *",
		"a &lt;b&gt; &amp;amp;":            "a <b> &amp;",
		"`*raw*`":                          "{code *raw*}",
		"```x *y*\nz```after":              "{pre x *y*\nz}after",
		"&gt; one\n&gt; two\nthree":        "{quote one\ntwo}three",
		"<https://a.example/x_y_z|*text*>": "{https://a.example/x_y_z *text*}",
		"<https://a.example/?a=1&amp;b=2>": "{https://a.example/?a=1&b=2 https://a.example/?a=1&b=2}",
		"<mailto:a@b.example|a@b.example>": "{mailto:a@b.example a@b.example}",
		"<javascript:alert(1)|click>":      "click",
		"<@" + lee + ">":                   "{mention @Lee Novak}",
		"<!here> <!channel>":               "{mention @here} {mention @channel}",
		"<#" + s.world.Slack.ChannelID("platform-support") + ">": "{mention #platform-support}",
		"<!date^0^{date_num}|never>":                             "1970-01-01",
		"<!date^soon^{date_num}|never>":                          "never",
		"<!date^>":                                               "",
		"unclosed < tag":                                         "unclosed < tag",
		":fire: 12:30:45 :nothing_such:":                         "🔥 12:30:45 :nothing_such:",
	} {
		if diff := cmp.Diff(want, text(w.mrkdwn(in))); diff != "" {
			t.Errorf("mrkdwn %q (-want +got):\n%s", in, diff)
		}
	}
}

func FuzzMrkdwn(f *testing.F) {
	for _, seed := range []string{"*a _b_* <@U1|x> <!date^1^{ago}|f> ```c``` &gt; q", "<!subteam^S1> <!date^^^>", "`_*~<>|^"} {
		f.Add(seed)
	}
	c := clock.New()
	s := &site{world: sandbox.Forge(c.Now, slacktwin.Config{}, awstwin.Config{}), clock: c}
	f.Fuzz(func(t *testing.T, in string) { _ = (writer{s, ""}).mrkdwn(in) })
}

func TestColor(t *testing.T) {
	for in, want := range map[string]string{"good": "#2eb67d", "#E01E5A": "#e01e5a", "36a64f": "#36a64f", "red": "", "#12345": "", "": "",
		`#000"/><script>`: "", "#+1+2+3": ""} {
		if got := color(in); got != want {
			t.Errorf("color(%q) = %q, want %q", in, got, want)
		}
	}
}
