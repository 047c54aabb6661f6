package report

import (
	"bytes"
	"fmt"
	"image/png"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"breakglass/store"
)

// hostileCase is what somebody would write who wants to break the page or to fill it: every text is as long as it can be, and markup.
func hostileCase() Case {
	const evil = `"><script>alert(1)</script><img src=x onerror=alert(2)> </td></table>{{.}}&amp; javascript:x ` + "\u202e\u0000\x1b[31m"
	long := strings.Repeat(evil, 40)
	c := lateCase()
	r := &c.Request
	nasty := store.Person{SlackID: "U1", UserID: long, UserName: long, Email: long, Name: long, As: long}
	r.Requester, r.Reason, r.Title, r.Ticket, r.Region, r.PermissionSet = nasty, long, long, long, long, strings.Repeat("W", 5000)
	r.Account = store.Account{Name: long, ID: long, Sensitive: true}
	for range 50 {
		r.Answers = append(r.Answers, store.Answer{Name: long, Label: long, Value: long})
		r.Decisions = append(r.Decisions, store.Decision{By: nasty, Approved: true, At: past(2), Comment: long})
		r.Extensions = append(r.Extensions, store.Extension{By: time.Hour, Reason: long, State: store.ExtensionGranted, AskedAt: past(5), Until: past(120), Decisions: []store.Decision{{By: nasty, At: past(6), Comment: long}}})
		r.Waived = append(r.Waived, store.Waiver{What: long, By: nasty, At: past(300), Reason: long})
	}
	r.PostMortem = &store.PostMortem{By: nasty, At: past(200), Happened: long, Done: long, FollowUps: long}
	r.End = store.End{Why: store.EndForced, By: store.Officer(long), At: past(70), Note: long}
	r.Ends.Why, r.Ends.NoLook = long, long
	r.Readings = nil
	for n := range 20 {
		g := store.Reading{At: past(100 + float64(n)), From: noon, To: past(75), Events: 100_000, Writes: 60_000, Reads: 30_000, Refused: 10_000, Sensitive: 50_000, Outside: 9, PortalEvents: 5000, LeftOut: 90_000, PortalLeftOut: 4000}
		for i := range store.MostDeeds {
			text := fmt.Sprint(i, long)
			g.Deeds = append(g.Deeds, store.Deed{Service: text, Action: text, Region: text, Resource: text, Error: text, Write: i%2 == 0, Sensitive: true, Outside: true, Count: 1000, First: past(float64(i)), Last: past(float64(i) + 30)})
			g.Sources = append(g.Sources, store.Source{Region: text, Error: text})
			g.Hosts = append(g.Hosts, store.Host{Address: text, Calls: 5, First: past(1), Agent: text})
			g.Tables, g.Changed = append(g.Tables, text), append(g.Changed, text)
		}
		g.Portal = g.Deeds[:store.MostPortal]
		r.Readings = append(r.Readings, g)
	}
	c.Archive = long
	for i := range 5000 {
		c.Lines = append(c.Lines, store.Event{Seq: uint64(i + 1), At: noon, Kind: store.EventRefused, Data: map[string]string{"why": evil}})
	}
	return c
}

// Whatever people wrote, it stays text: the page has the same elements as a harmless one, and nothing that would run or be fetched.
func TestHostileTextStaysText(t *testing.T) {
	html, text, err := hostileCase().Write(Mailed)
	if err != nil {
		t.Fatal(err)
	}
	allowed := map[string]bool{}
	harmless, _, err := lateCase().Write(Mailed)
	if err != nil {
		t.Fatal(err)
	}
	for _, tag := range tags(harmless) {
		allowed[tag] = true
	}
	for _, tag := range tags(html) {
		if !allowed[tag] {
			t.Fatalf("a tag that no harmless report has: %q", tag)
		}
	}
	for _, bad := range []string{"<script", "\u202e", "\x1b", "\x00", "http:", "https:", "url(", "@import"} {
		if strings.Contains(strings.Replace(html, `"http://www.w3.org/1999/xhtml"`, "", 1), bad) {
			t.Errorf("the page has %q", bad)
		}
	}
	if strings.ContainsAny(text, "\u202e\x1b\x00") {
		t.Error("the text has characters that steer a terminal")
	}
}

// tags are the elements of a page with the names of their attributes.
func tags(html string) (all []string) {
	for _, m := range regexp.MustCompile(`<[^>]*>`).FindAllString(html, -1) {
		all = append(all, regexp.MustCompile(`="[^"]*"`).ReplaceAllString(m, ""))
	}
	return all
}

// Gmail hides what comes after 102 KB, so no report is longer, and no picture makes a mail that is refused.
func TestBoundsOfAMail(t *testing.T) {
	c := hostileCase()
	for _, fill := range []string{`"`, "界", "W ", "\U0001f480"} {
		r := &c.Request
		full := strings.Repeat(fill, 4000)
		r.Reason, r.Title, r.PostMortem.Happened, r.PostMortem.Done, r.PostMortem.FollowUps = full, full, full, full, full
		for i := range r.Readings {
			for j := range r.Readings[i].Deeds {
				d := &r.Readings[i].Deeds[j]
				d.Service, d.Action, d.Resource, d.Region, d.Error = full, full, full, full, full
			}
		}
		m, err := c.Mail(nil)
		if err != nil {
			t.Fatalf("%q: %v", fill, err)
		}
		if len(m.HTML) > MostHTML || len(m.Text) > MostHTML || len(m.Inline[0].Data) > 60_000 || len(m.Subject) > 180 {
			t.Errorf("%q: HTML %d, text %d, picture %d, subject %d bytes", fill, len(m.HTML), len(m.Text), len(m.Inline[0].Data), len(m.Subject))
		}
		for l := range strings.SplitSeq(m.Text, "\n") {
			if utf8.RuneCountInString(l) > wide {
				t.Fatalf("%q: a line of %d columns: %q", fill, utf8.RuneCountInString(l), l)
			}
		}
		if !utf8.ValidString(m.HTML) || !utf8.ValidString(m.Text) {
			t.Errorf("%q: broken UTF-8", fill)
		}
	}
}

// A review of a month in which thousands asked, with names as long as names get, is one mail as well.
func TestBoundsOfAReview(t *testing.T) {
	long := strings.Repeat(`"><script>`, 500)
	m := october()
	m.Requests = func(yield func(store.Request) bool) {
		for i := range 3000 {
			p := store.Person{UserID: fmt.Sprint(i), Name: fmt.Sprint(i, long), Email: long}
			r := store.Request{ID: store.ID(fmt.Sprint("BG-", 1001+i)), State: store.Closed, Requester: p, SubmittedAt: m.From.Add(time.Duration(i) * time.Minute), Scenario: fmt.Sprint(i),
				Title: fmt.Sprint(i, long), Account: store.Account{Name: fmt.Sprint(i, long)}, GrantedAt: m.From, EndedAt: m.To, ExpiresAt: m.From, Owes: true, PostMortemBy: m.From, End: store.End{Why: store.EndForced},
				Reason: long, Ticket: long, Decisions: []store.Decision{{By: p, Approved: true}, {By: p, Approved: true}, {By: p, Approved: true}}}
			if !yield(r) {
				return
			}
		}
	}
	for i := range 2000 {
		m.Findings = append(m.Findings, Finding{At: m.From, What: fmt.Sprint(i, long), Where: long, Granted: long, Who: long, Detail: long, Done: long})
	}
	r := NewReview(m)
	mail, err := r.Mail(nil)
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, p := range mail.Inline {
		total += len(p.Data)
	}
	if len(mail.HTML) > MostHTML || total > 60_000 || strings.Contains(mail.HTML, "<script") || r.Requests != 3000 || r.Violations != 2002 {
		t.Errorf("HTML %d, pictures %d bytes, %d requests, %d findings", len(mail.HTML), total, r.Requests, r.Violations)
	}
	if lines := strings.Join(r.Lines(), "\n"); len(lines) > 4000 {
		t.Errorf("the channel's lines have %d bytes", len(lines))
	}
}

// The same case gives the same report, byte for byte: its hash stands in a manifest.
func TestSameCaseSameBytes(t *testing.T) {
	for name, draw := range map[string]func() string{
		"case":    func() string { return all(t, hostileCase()) },
		"late":    func() string { return all(t, lateCase()) },
		"reviews": func() string { m, err := review().Mail(nil); return fmt.Sprint(m, err) },
	} {
		if first, second := draw(), draw(); first != second {
			t.Errorf("%s: drawn twice, and different", name)
		}
	}
}

func all(t *testing.T, c Case) string {
	m, err := c.Mail([]string{"audit@forge.example"})
	if err != nil {
		t.Fatal(err)
	}
	j, err := c.JSON()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(m, string(j))
}

// Cases that differ look different, and the picture's words say so too.
func TestTimelinesDiffer(t *testing.T) {
	seen := map[string]string{}
	for name, c := range cases() {
		p, err := c.Timeline()
		if err != nil {
			t.Fatal(err)
		}
		im, err := png.Decode(bytes.NewReader(p.Data))
		if err != nil {
			t.Fatal(err)
		}
		if b := im.Bounds(); b.Dx() != timelineWidth*scale || b.Dy() != timelineHeight*scale || len(p.Data) > 60_000 {
			t.Errorf("%s: %v in %d bytes", name, b, len(p.Data))
		}
		for _, key := range []string{string(p.Data), c.Words()} {
			if other, ok := seen[key]; ok {
				t.Errorf("%s and %s have the same timeline", name, other)
			}
			seen[key] = name
		}
	}
}
