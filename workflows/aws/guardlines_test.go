package aws

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ssoadmin/types"
	"pgregory.net/rapid"

	"breakglass/deploy/sandbox/awstwin"
	"breakglass/store"
)

// expressible is what a document can say of lines: whole seconds, one line for each person, sorted.
func expressible(lines []store.Line) []store.Line {
	var all []store.Line
	for _, l := range lines {
		if l.Out || l.Until.IsZero() {
			l = store.Line{Who: l.Who, Out: true}
		}
		l.Until = l.Until.UTC().Truncate(time.Second)
		if !l.Before.IsZero() {
			l.Before = l.Before.UTC().Add(time.Second - 1).Truncate(time.Second)
		}
		all = append(all, l)
	}
	slices.SortFunc(all, func(a, b store.Line) int { return cmp.Compare(a.Who, b.Who) })
	return all
}

// TestLinesAreReadBack: whatever was written comes back, whoever the people are called.
func TestLinesAreReadBack(t *testing.T) {
	base := time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	rapid.Check(t, func(t *rapid.T) {
		moment := rapid.Custom(func(t *rapid.T) time.Time {
			return base.Add(time.Duration(rapid.IntRange(1, 4000).Draw(t, "ms")) * time.Millisecond)
		})
		g := store.Guard{Set: "s", Closed: rapid.Bool().Draw(t, "closed")}
		if rapid.Bool().Draw(t, "role") {
			g.Set, g.Role = "", "r"
		}
		who := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-c$*?{}"\\<é]{1,6}`), 0, 6, rapid.ID)
		for _, w := range who.Draw(t, "who") {
			l := store.Line{Who: w, Out: rapid.Bool().Draw(t, "out")}
			if !l.Out {
				l.Until = moment.Draw(t, "until")
				if rapid.Bool().Draw(t, "again") {
					l.Before = moment.Draw(t, "before")
				}
			}
			g.Lines = append(g.Lines, l)
		}
		doc := guardDocument(g)
		if got, want := linesOf(doc, g.Role != ""), expressible(g.Lines); !slices.Equal(got, want) {
			t.Fatalf("%s\n got %v\nwant %v", doc, got, want)
		}
	})
}

// TestLinesOfARestoredStore come from what stands in the account.
func TestLinesOfARestoredStore(t *testing.T) {
	guarded(t, func(t *testing.T, w *world, g *Guards) {
		end := time.Now().UTC().Add(time.Hour).Truncate(time.Second)
		lines := []store.Line{{Who: "a", Until: end}, {Who: "b", Until: end, Before: end.Add(-2 * time.Hour)}, {Who: "c", Out: true}}
		read := func(set, role string, want ...store.Line) {
			t.Helper()
			if got, err := g.Lines(t.Context(), wealth, set, role); err != nil || !slices.Equal(got, want) {
				t.Errorf("Lines = %v, %v; want %v", got, err, want)
			}
		}
		read("Guarded", "") // as Terraform laid it
		write(t, g, closed(lines...))
		w.connect(t, Config{MemberRole: byMember, Guard: prefix})
		g = w.conn.Guards()
		read("Guarded", "", lines...)
		read("Unlaid", "")
		read("", "Nowhere")
		w.SetRole(wealth, "BreakGlassAdminRole", botTrusts, nil)
		read("", "BreakGlassAdminRole")
		write(t, g, store.Guard{Account: wealth, Role: "BreakGlassAdminRole", Lines: []store.Line{{Who: "BG-1042", Until: end}}})
		read("", "BreakGlassAdminRole", store.Line{Who: "BG-1042", Until: end})

		write(t, g, closed(lines...))
		w.SetPolicy(wealth, prefix+"-Guarded", bare) // somebody takes it down
		read("Guarded", "")
		w.operations()
		write(t, g, closed(lines...)) // what this process wrote last does not stand
		if ops := w.operations(); !strings.HasPrefix(ops, "CreatePolicyVersion") {
			t.Errorf("%q", ops)
		}
		w.FailNext("iam", "GetPolicyVersion", "ServiceFailure", 2)
		_, err := g.Lines(t.Context(), wealth, "Guarded", "")
		isFault(t, err)
		w.SetRole(wealth, byMember, botTrusts, nil)
		_, err = g.Lines(t.Context(), wealth, "Guarded", "")
		wantRefusal(t, err, "AccessDenied")
		w.connect(t, Config{})
		if got, err := w.conn.Guards().Lines(t.Context(), wealth, "Guarded", ""); got != nil || err != nil {
			t.Errorf("switched off: %v %v", got, err)
		}
	})
}

// TestLinesOfOthers are nobody's: what does not refuse everything, to named people, at one time of ours, is not what we wrote.
func TestLinesOfOthers(t *testing.T) {
	every := `"Effect":"Deny","Action":"*","Resource":"*"`
	who := `"StringEquals":{"identitystore:userId":"a"}`
	doc := func(all ...string) string {
		return `{"Version":"2012-10-17","Statement":[` + strings.Join(all, ",") + `]}`
	}
	out := []store.Line{{Who: "a", Out: true}}
	for text, want := range map[string][]store.Line{
		doc(`{"Sid":"Mine",` + every + `,"Condition":{` + who + `}}`):            out,
		doc(`{`+every+`,"Condition":{`+who+`}}`, `{`+every+`,"Condition":true}`): out,
		doc(`{` + every + `}`): nil,
		doc(`{` + every + `,"Condition":{"StringEquals":{"identitystore:userId":"a","aws:RequestedRegion":"us-east-1"}}}`): nil,
		doc(`{` + every + `,"Condition":{` + who + `,"StringLike":{"aws:userid":"*:a"}}}`):                                 nil,
		doc(`{` + every + `,"Condition":{` + who + `,"DateGreaterThanEquals":{"aws:CurrentTime":"tomorrow"}}}`):            nil,
		doc(`{` + every + `,"Condition":{` + who + `,"DateLessThan":{"aws:CurrentTime":"2026-11-21T10:00:00Z"}}}`):         nil,
		doc(`{` + every + `,"Condition":{` + who + `,"DateLessThan":{"aws:TokenIssueTime":"2026-11-21T10:00:00Z"}}}`):      nil,
		doc(`{` + every + `,"Condition":{"StringNotEquals":{"identitystore:userId":"a"}}}`):                                nil,
		doc(`{` + every + `,"Condition":{"StringEquals":{"identitystore:userId":["a","${aws:username}","b$"]}}}`):          out,
		doc(`{"Effect":"Allow","Action":"*","Resource":"*","Condition":{` + who + `}}`):                                    nil,
		doc(`{"Effect":"Deny","Action":"ec2:*","Resource":"*","Condition":{` + who + `}}`):                                 nil,
		doc(`{"Effect":"Deny","NotAction":"ec2:*","Action":"*","Resource":"*","Condition":{` + who + `}}`):                 nil,
		strings.Replace(doc(`{`+every+`,"Condition":{`+who+`}}`), "2012-10-17", "2008-10-17", 1):                           nil,
		`{"Version":"2012-10-17","Statement":{` + every + `}}`:                                                             nil,
		"": nil,
	} {
		if got := linesOf(text, false); !slices.Equal(got, want) {
			t.Errorf("%s\n says %v, want %v", text, got, want)
		}
	}
	// What is said twice of somebody: the end that is felt first, and of earlier sessions all.
	end := func(h int) string {
		return fmt.Sprintf(`{%s,"Condition":{%s,"DateGreaterThanEquals":{"aws:CurrentTime":"2026-11-21T%02d:00:00Z"}}}`, every, who, h)
	}
	earlier := func(h int) string {
		return fmt.Sprintf(`{%s,"Condition":{%s,"DateLessThan":{"aws:TokenIssueTime":"2026-11-21T%02d:00:00Z"}}}`, every, who, h)
	}
	at := func(h int) time.Time { return time.Date(2026, 11, 21, h, 0, 0, 0, time.UTC) }
	want := []store.Line{{Who: "a", Until: at(12), Before: at(11)}}
	if got := linesOf(doc(earlier(11), end(13), end(12), earlier(10)), false); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if got := linesOf(doc(end(12), `{`+every+`,"Condition":{`+who+`}}`, end(11)), false); !slices.Equal(got, out) {
		t.Errorf("%v, want %v", got, out)
	}
}

// TestHowLongSessionsLast: never less than credentials of the set may be valid.
func TestHowLongSessionsLast(t *testing.T) {
	guarded(t, func(t *testing.T, w *world, g *Guards) {
		w.AddPermissionSet(awstwin.PermissionSet{Name: "Long", SessionDuration: 4*time.Hour + 30*time.Minute})
		lasts := func(set string, want time.Duration) {
			t.Helper()
			if got := g.Lasts(set); got != want {
				t.Errorf("%q lasts %s, want %s", set, got, want)
			}
		}
		lasts("Guarded", 12*time.Hour)
		if err := w.ic.Warm(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.ForgetCalls()
		lasts("Guarded", time.Hour)
		lasts("Long", 4*time.Hour+30*time.Minute)
		lasts("Unknown", 12*time.Hour)
		lasts("", 12*time.Hour)
		if n := len(w.Calls()); n > 0 {
			t.Errorf("%d calls", n)
		}
		g.Ready(t.Context(), wealth, "Guarded")
		if n := w.counted(t, "DescribePermissionSet", "ok"); n != 3 {
			t.Errorf("%v sets were described, of three that were read a moment ago", n)
		}
		name, eight, two := "Guarded", "PT8H", "PT2H"
		w.conn.sets.mu.Lock() // as of a set that was made longer after it had been read
		w.conn.sets.lasts["Long"] = duration{longest: time.Hour, at: time.Now()}
		w.conn.sets.mu.Unlock()
		time.Sleep(durationFresh)
		g.Ready(t.Context(), wealth, "Long")
		lasts("Long", 4*time.Hour+30*time.Minute)
		w.conn.sets.note(types.PermissionSet{Name: &name, SessionDuration: &eight})
		lasts("Guarded", 8*time.Hour)
		w.conn.sets.note(types.PermissionSet{Name: &name, SessionDuration: &two}) // those who came before have eight hours
		lasts("Guarded", 8*time.Hour)
		w.conn.sets.note(types.PermissionSet{Name: &name})
		lasts("Guarded", 12*time.Hour)
	})
	for text, want := range map[string]time.Duration{"PT1H": time.Hour, "PT12H": 12 * time.Hour, "PT90M": 90 * time.Minute, "PT3600S": time.Hour, "PT1H30M15S": 90*time.Minute + 15*time.Second,
		"": 0, "PT": 0, "P1D": 0, "PT30M": 0, "PT13H": 0, "1h": 0, "PT-1H": 0} {
		if got, ok := isoDuration(text); ok != (want > 0) || ok && got != want {
			t.Errorf("%q is %s, %t; want %s", text, got, ok, want)
		}
	}
}
