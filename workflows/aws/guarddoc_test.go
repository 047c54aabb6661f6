package aws

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"breakglass/deploy/sandbox/awstwin/iam"
	"breakglass/store"
)

// TestWhatGuardsSay pins the documents: people read them in the console.
func TestWhatGuardsSay(t *testing.T) {
	at := func(h, m int) time.Time { return time.Date(2026, 11, 21, h, m, 0, 0, time.UTC) }
	every := `"Effect":"Deny","Action":"*","Resource":"*","Condition":`
	for name, c := range map[string]struct {
		guard store.Guard
		want  string
	}{
		"nothing to say": {store.Guard{Set: "s"}, `{"Sid":"Nobody",` + every + `{"StringEquals":{"identitystore:userId":"nobody"}}}`},
		"nobody is in":   {store.Guard{Set: "s", Closed: true}, `{"Sid":"Closed",` + every + `{"StringNotEquals":{"identitystore:userId":"nobody"}}}`},
		"two that end together, one of them anew, one who is out": {
			store.Guard{Set: "s", Closed: true, Lines: []store.Line{{Who: "a", Until: at(10, 30)}, {Who: "b", Until: at(10, 30), Before: at(9, 0)}, {Who: "c", Out: true}}},
			`{"Sid":"Out",` + every + `{"StringEquals":{"identitystore:userId":"c"}}},` +
				`{"Sid":"End20261121T103000Z",` + every + `{"DateGreaterThanEquals":{"aws:CurrentTime":"2026-11-21T10:30:00Z"},"StringEquals":{"identitystore:userId":["a","b"]}}},` +
				`{"Sid":"Earlier20261121T090000Z",` + every + `{"DateLessThan":{"aws:TokenIssueTime":"2026-11-21T09:00:00Z"},"StringEquals":{"identitystore:userId":"b"}}},` +
				`{"Sid":"Closed",` + every + `{"StringNotEquals":{"identitystore:userId":["a","b"]}}}`},
		"half seconds refuse rather too much": {
			store.Guard{Set: "s", Lines: []store.Line{{Who: "a", Until: at(10, 0).Add(500 * time.Millisecond), Before: at(9, 0).Add(time.Millisecond)}}},
			`{"Sid":"End20261121T100000Z",` + every + `{"DateGreaterThanEquals":{"aws:CurrentTime":"2026-11-21T10:00:00Z"},"StringEquals":{"identitystore:userId":"a"}}},` +
				`{"Sid":"Earlier20261121T090001Z",` + every + `{"DateLessThan":{"aws:TokenIssueTime":"2026-11-21T09:00:01Z"},"StringEquals":{"identitystore:userId":"a"}}}`},
		"a role": {
			store.Guard{Role: "r", Closed: true, Lines: []store.Line{{Who: "BG-1", Until: at(10, 0)}, {Who: "BG-2", Out: true}}},
			`{"Sid":"Out",` + every + `{"StringLike":{"aws:userid":"*:BG-2"}}},` +
				`{"Sid":"End20261121T100000Z",` + every + `{"DateGreaterThanEquals":{"aws:CurrentTime":"2026-11-21T10:00:00Z"},"StringLike":{"aws:userid":"*:BG-1"}}}`},
		"ids that would be read as something else": {
			store.Guard{Role: "r", Lines: []store.Line{{Who: `"},${aws:username}*?`, Out: true}}},
			`{"Sid":"Out",` + every + `{"StringLike":{"aws:userid":"*:\"},${$}{aws:username}${*}${?}"}}}`},
	} {
		if got, want := guardDocument(c.guard), `{"Version":"2012-10-17","Statement":[`+c.want+`]}`; got != want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, want)
		}
	}
}

// TestGuardSaysWhatItsLinesMean: whatever the lines, the document decides as they do, in any order of the lines, and always in the same bytes.
func TestGuardSaysWhatItsLinesMean(t *testing.T) {
	base := time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	rapid.Check(t, func(t *rapid.T) {
		minute := rapid.Custom(func(t *rapid.T) time.Time {
			return base.Add(time.Duration(rapid.IntRange(1, 6).Draw(t, "m")) * time.Minute)
		})
		g := store.Guard{Set: "s", Closed: rapid.Bool().Draw(t, "closed")}
		for _, who := range []string{"a", "b", "c"} {
			l := store.Line{Who: who}
			switch rapid.IntRange(0, 3).Draw(t, "kind of "+who) {
			case 0:
				continue
			case 1:
				l.Out = true
			case 2:
				l.Until = minute.Draw(t, "until")
			case 3:
				l.Until, l.Before = minute.Draw(t, "until"), minute.Draw(t, "before")
			}
			g.Lines = append(g.Lines, l)
		}
		text := guardDocument(g)
		turned := g
		turned.Lines = slices.Clone(g.Lines)
		slices.Reverse(turned.Lines)
		if guardDocument(turned) != text {
			t.Fatalf("the order of the lines shows: %s", text)
		}
		doc, err := iam.Parse([]byte(text))
		if err != nil || doc.CheckIdentity() != nil {
			t.Fatalf("%s: %v", text, err)
		}
		allow, _ := iam.Parse([]byte(allowAll))
		who := rapid.SampledFrom([]string{"a", "b", "c", "d", ""}).Draw(t, "who")
		now, issued := minute.Draw(t, "now"), minute.Draw(t, "issued")
		ctx := iam.Context{}
		ctx.Set("aws:CurrentTime", iso(now))
		ctx.Set("aws:TokenIssueTime", iso(issued))
		if who != "" {
			ctx.Set("identitystore:userId", who)
		}
		got := iam.Decide(iam.Request{Action: "ec2:StopInstances", Resource: "*", Context: ctx}, iam.Layer{Kind: iam.Identity, Documents: []*iam.Document{allow, doc}})
		if want := admitted(g, who, now, issued); got.Allowed != want {
			t.Fatalf("%s at %s with credentials of %s: allowed = %t, want %t: %s", who, iso(now), iso(issued), got.Allowed, want, text)
		}
	})
}

// admitted is what the lines mean.
func admitted(g store.Guard, who string, now, issued time.Time) bool {
	for _, l := range g.Lines {
		if l.Who == who {
			return !l.Out && now.Before(l.Until) && !issued.Before(l.Before)
		}
	}
	return !g.Closed
}

func TestALineWithoutAnEndLetsNobodyIn(t *testing.T) {
	doc := guardDocument(store.Guard{Set: "s", Closed: true, Lines: []store.Line{{Who: "a"}, {Who: "b", Until: time.Unix(1, 0)}, {Who: "b", Out: true}}})
	var d struct{ Statement []statement }
	if err := json.Unmarshal([]byte(doc), &d); err != nil {
		t.Fatal(err)
	}
	for _, s := range d.Statement {
		if s.Sid == "Closed" && !slices.Equal(s.Condition["StringNotEquals"]["identitystore:userId"], values{nobody}) {
			t.Errorf("somebody is in: %s", doc)
		}
		if s.Sid == "Out" && !slices.Equal(s.Condition["StringEquals"]["identitystore:userId"], values{"a", "b"}) {
			t.Errorf("not out: %s", doc)
		}
	}
}
