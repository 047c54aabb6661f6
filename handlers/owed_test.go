package handlers

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/slack-go/slack"

	"breakglass/store"
	"breakglass/workflows"
)

// owe is a session that is over and owes a post-mortem.
func owe() store.Request {
	r := in(store.Reported)
	r.Owes, r.PostMortemBy = true, noon.Add(25*time.Hour)
	return r
}

// unticketed is one that owes a ticket besides.
func unticketed() store.Request {
	r := owe()
	r.ID, r.Ticket, r.TicketBy = "BG-1052", "", noon.Add(3*time.Hour)
	return r
}

func mortem(text string) *store.PostMortem {
	return &store.PostMortem{By: alice, At: noon.Add(20 * time.Hour), Happened: text, Done: text, FollowUps: text}
}

// owes4 are the messages about what is owed for a session, in the states in which they look different.
func owes4(all map[string]message, f setting) {
	far := f
	far.thread = "https://forge.slack.com/archives/C0SUPPORT/p1763726400000000"
	r, bare := owe(), unticketed()
	all["card-owed"], all["card-owed-both"] = card(r, f), card(bare, f)
	all["direct-goodbye-owed"] = goodbye(store.Notice{}, bare)
	say := func(name, kind string, r store.Request, data map[string]string) {
		all["thread-"+name], _ = threadLine(store.Notice{Kind: kind, Request: r.ID, Data: data}, r, f)
	}
	by := map[string]string{"by": r.PostMortemBy.Format(time.RFC3339)}
	say("owing", workflows.NoticeOwing, r, by)
	say("no-post-mortem", workflows.NoticeNoMortem, r, map[string]string{"manager": "Bob <Baker>"})
	say("no-post-mortem-no-manager", workflows.NoticeNoMortem, r, nil)
	all["direct-ask-post-mortem"] = askMortem(store.Notice{Data: by}, r, far)
	all["direct-ask-post-mortem-late"] = askMortem(store.Notice{Data: map[string]string{"late": "true"}}, r, f)
	all["direct-owed-post-mortem"] = owedNotice(store.Notice{Data: map[string]string{"what": store.OwedPostMortem}}, r, far)
	all["direct-owed-ticket"] = owedNotice(store.Notice{Data: map[string]string{"what": store.OwedTicket}}, bare, f)

	done := owe()
	done.PostMortem = mortem("The deploy of 11:32 <broke> checkout.\nSee <!channel> and <https://evil.example|the log>.")
	all["card-post-mortem"] = card(done, f)
	say("post-mortem", workflows.NoticeMortem, done, nil)
	all["direct-owed-no-longer"] = owedNotice(store.Notice{Data: map[string]string{"what": store.OwedPostMortem}}, done, far)
	say("owing-no-longer", workflows.NoticeOwing, done, by)
	brief := owe()
	brief.PostMortem = mortem("A short outage.")
	brief.PostMortem.FollowUps = ""
	say("post-mortem-brief", workflows.NoticeMortem, brief, nil)
	long := owe()
	long.PostMortem = mortem(strings.Repeat("It is a long story 🔥. ", 3000/21))
	long.PostMortem.Done = strings.Repeat("🔥", 3000) // two units each, which is more than is shown
	say("post-mortem-long", workflows.NoticeMortem, long, nil)

	let := owe()
	let.State, let.ClosedAt = store.Closed, noon.Add(48*time.Hour)
	let.Waived = []store.Waiver{{What: store.OwedPostMortem, By: bob, At: noon.Add(48 * time.Hour), Reason: "Alice has <left> us; INC-9 tells all of it."}}
	all["card-waived"] = card(let, f)
	say("waived", workflows.NoticeWaived, let, nil)
	let.Waived[0].What = store.OwedTicket
	say("waived-ticket", workflows.NoticeWaived, let, nil)
}

const checkpoint = `breakglass/0123456789abcdef
137
/SwKGdRXMbGm5k7ImoOO6Rl1UPz8CbDWvFzcsfHnZQM=
at 2026-11-21T12:00:00Z

— breakglass+0123456789abcdef 9TpzLjpAB2FpL1Ik1qkYZkVKvHjTr8S0Yw7nYQHyY1Vl5eZ7GZ8RyNBQKlM2ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghij=
`

const figures = `12 sessions of 5 people (9 in September), 18 hours in all
Tier 0: 1, tier 1: 9, tier 2: 2
Half of the approvals came within 4 minutes
2 sessions without a post-mortem: BG-1042, BG-1047
Is each of these people still to have this access?`

// evidence are the messages about the log, the archive and the review of a month, and the summaries that have something to say.
func evidence(all map[string]message, f setting) {
	add := func(name, kind string, r store.Request, data map[string]string) {
		n := store.Notice{Kind: kind, Data: data}
		if m, ok := threadLine(n, r, f); ok {
			all["thread-"+name] = m
		} else if m, ok := incident(n, r, f); ok {
			all["incident-"+name] = m
		}
	}
	none := store.Request{}
	add("witness", workflows.NoticeWitness, none, map[string]string{"note": checkpoint, "size": "137", "root": "/SwKGdRXMbGm5k7ImoOO6Rl1UPz8CbDWvFzcsfHnZQM="})
	add("archive", workflows.NoticeArchive, none, map[string]string{"error": "AccessDenied: not authorised to perform s3:PutObject", "since": "2026-11-21T09:00:00Z", "waiting": "3"})
	add("archive-done", workflows.NoticeArchive, none, map[string]string{"done": "true"})
	add("rolled-back", workflows.NoticeRolled, none, map[string]string{"archive": "137", "log": "120", "why": "the store was opened with fewer lines than the archive has"})
	add("rolled-back-changed", workflows.NoticeRolled, none, map[string]string{"archive": "120", "log": "137"})
	add("archive-moved", workflows.NoticeMoved, none, map[string]string{"archive": "s3://forge-evidence/breakglass", "was": "s3://forge-breakglass-archive"})
	data := map[string]string{"month": "2026-10", "text": figures}
	all["review"] = review(store.Notice{Data: data})
	all["review-reviewed"] = review(store.Notice{Data: map[string]string{"month": "2026-10", "text": figures, "by": "Bob Baker", "at": "2026-11-03T10:00:00Z"}})

	rich := in(store.Reported)
	rich.Readings = []store.Reading{telling(), {
		At: noon.Add(3 * time.Hour), Sources: []store.Source{{Region: "us-west-2", Events: 1}}, Events: 1, Writes: 1, Addresses: []string{"198.51.100.77"},
		Deeds: []store.Deed{{Service: "ec2", Action: "CreateTags", Region: "us-west-2", Write: true, Count: 1}},
		Hosts: []store.Host{{Address: "198.51.100.77", Calls: 1, First: noon.Add(30 * time.Minute), Agent: "aws-cli/2.31"}},
	}}
	add("summary-rich", workflows.NoticeSummary, rich, map[string]string{"reading": "0"})
	add("summary-late-address", workflows.NoticeSummary, rich, map[string]string{"reading": "1"})
}

// telling is a reading in which everything a summary can say is to be said.
func telling() store.Reading {
	at := func(m int) time.Time { return noon.Add(time.Duration(m) * time.Minute) }
	g := reading()
	g.Sources = append(g.Sources, store.Source{Region: "access portal", Events: 3})
	g.Deeds = append([]store.Deed{
		{Service: "ec2", Action: "TerminateInstances", Region: "us-west-2", Resource: "i-0abc1234def567890", Write: true, Sensitive: true, Count: 1, First: at(20), Last: at(20)},
		{Service: "iam", Action: "CreateUser", Region: "us-east-1", Error: "AccessDenied", Write: true, Sensitive: true, Count: 3, First: at(21), Last: at(25)},
		{Service: "dynamodb", Action: "PutItem", Region: "us-west-2", Resource: "orders", Write: true, Outside: true, Count: 2, First: at(90), Last: at(91)},
	}, g.Deeds...)
	g.Events, g.Writes, g.Refused, g.Sensitive, g.Outside, g.OutsidePortal = 21, 5, 4, 4, 2, 1
	g.Portal = []store.Deed{
		{Service: "sso", Action: "Authenticate", Count: 1, First: at(5), Last: at(5)},
		{Service: "sso", Action: "GetRoleCredentials", Resource: "prod-wealth Forge-Prod-BreakGlass-EC2", Count: 2, First: at(6), Last: at(40)},
		{Service: "sso", Action: "Federate", Count: 1, First: at(95), Last: at(95), Outside: true},
	}
	g.PortalEvents, g.Tables, g.MoreNames = 4, []string{"DynamoDB orders", "RDS wealth"}, 2
	g.Addresses = []string{"203.0.113.7", "198.51.100.9"}
	g.Hosts = []store.Host{{Address: "203.0.113.7", Calls: 22, First: at(5), Agent: "aws-cli/2.31 <x>"}, {Address: "198.51.100.9", Calls: 2, First: at(30)}}
	return g
}

// A session of a hundred thousand calls with the longest of all names is one message that Slack takes, and what it leaves out is counted.
func TestLongestSummary(t *testing.T) {
	long := strings.Repeat("m", 400)
	g := store.Reading{At: noon, Events: 100_000, Writes: 1, Reads: 2, Refused: 3, LeftOut: 90_000, Sensitive: 999, Outside: 999, OutsidePortal: 999, MoreNames: 99}
	for i := range store.MostDeeds {
		g.Deeds = append(g.Deeds, store.Deed{
			Service: long, Action: long, Region: long, Resource: long, Error: []string{"", long}[i%2], Write: i%3 == 0, Sensitive: i%4 == 0, Outside: true, Count: 999, First: noon, Last: noon.Add(time.Hour),
		})
	}
	for range store.MostPortal {
		g.Portal = append(g.Portal, store.Deed{Action: long, Resource: long, Error: long, Outside: true, Count: 999, First: noon, Last: noon.Add(time.Hour)})
	}
	for i := range 60 {
		g.Sources = append(g.Sources, store.Source{Region: long, Error: []string{"", long}[i%2]})
		g.Tables = append(g.Tables, long)
		g.Addresses = append(g.Addresses, long)
		g.Hosts = append(g.Hosts, store.Host{Address: long, Agent: long, Calls: 999, First: noon})
	}
	r := in(store.Reported)
	r.Account.Name, r.Ends.NoLook, r.Readings = long, long, []store.Reading{g}
	m := summary(store.Notice{Data: map[string]string{"reading": "0"}}, r)
	for _, bad := range faultsOf(m) {
		t.Error(bad)
	}
	total := 0
	for _, b := range m.blocks {
		raw, err := json.Marshal(b)
		must(t, err)
		var v map[string]any
		must(t, json.Unmarshal(raw, &v))
		total += lintValue(v, "", func(string, ...any) {})
	}
	t.Logf("%d characters", total)
	shown, counted := 0, 0
	for _, b := range m.blocks {
		if rich, ok := b.(*slack.RichTextBlock); ok {
			if l, ok := rich.Elements[0].(*bulletList); ok {
				for _, item := range l.Elements {
					text := flatten(message{blocks: []slack.Block{slack.NewRichTextBlock("", item)}})
					var more, calls int
					if n, _ := fmt.Sscanf(strings.ReplaceAll(text, ",", ""), "and %d more (%d", &more, &calls); n == 2 {
						counted += calls
						continue
					}
					shown += 999
				}
			}
		}
	}
	if want := 999 * (store.MostDeeds + store.MostPortal); shown+counted != want {
		t.Errorf("%d calls are shown and %d said to be left out, of %d", shown, counted, want)
	}
}

// What is sensitive comes first and once; what is unlike the rest of a session is said in a line of its own.
func TestSummarySaysWhatMatters(t *testing.T) {
	m := messages()["thread-summary-rich"]
	text := flatten(m)
	for _, bl := range m.blocks {
		if rich, ok := bl.(*slack.RichTextBlock); ok {
			if l, ok := rich.Elements[0].(*bulletList); ok {
				for _, item := range l.Elements {
					text += flatten(message{blocks: []slack.Block{slack.NewRichTextBlock("", item)}})
				}
			}
		}
	}
	for _, want := range []string{
		"4 of them sensitive", "Sensitive actions", "Other changes", "Outside the session: 2 calls", "Taken outside the session", "From 2 addresses: 203.0.113.7 (22 calls",
		"Tables changed: DynamoDB orders, RDS wealth", "took credentials (GetRoleCredentials) 2 times", "(1 of 4 places)", "access portal",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("it does not say %q: %s", want, text)
		}
	}
	if n := strings.Count(text, "TerminateInstances on"); n != 1 {
		t.Errorf("a sensitive action is told %d times", n)
	}
	if a, b := strings.Index(text, "Sensitive actions"), strings.Index(text, "Other changes"); a > b {
		t.Error("what is sensitive does not come first")
	}
	late := flatten(messages()["thread-summary-late-address"])
	if !strings.Contains(late, "From another address than before: 198.51.100.77") {
		t.Errorf("an address that no earlier reading had: %s", late)
	}
}

// A checkpoint is signed to the letter: whoever copies the block has what verifies, and nobody's words can pass for one.
func TestWitnessIsToTheLetter(t *testing.T) {
	shown := func(note string) string {
		m := witness(store.Notice{Data: map[string]string{"note": note}})
		pre := m.blocks[1].(*slack.RichTextBlock).Elements[0].(*slack.RichTextPreformatted)
		return pre.Elements[0].(*slack.RichTextSectionTextElement).Text
	}
	if got := shown(checkpoint); got+"\n" != checkpoint {
		t.Errorf("shown is %q", got)
	}
	for _, odd := range []string{checkpoint + "\u202e", "a\u200bb", strings.Repeat("x", 5000), "a\n\n\n\n\nb", "a\x00b", "a\tb"} {
		harmless(t, shown(odd), true)
		if got := shown(odd); width(got) > mostNote || strings.Contains(got, "\n\n\n") {
			t.Errorf("%q is shown as %q", odd, got)
		}
	}
}

// Nothing is asked for that is not owed, and the button that gives it stands wherever it is.
func TestButtonsFollowWhatIsOwed(t *testing.T) {
	buttons := func(m message) string {
		raw, err := json.Marshal(m.blocks)
		must(t, err)
		var found []string
		for _, label := range []string{"Write post-mortem", "Add ticket", "Close without it", "Reviewed"} {
			if strings.Contains(string(raw), `"text":"`+label+`"`) && strings.Contains(string(raw), `"button"`) {
				found = append(found, label)
			}
		}
		return strings.Join(found, ", ")
	}
	all := messages()
	for name, want := range map[string]string{
		"card-owed": "Write post-mortem", "card-owed-both": "Write post-mortem, Add ticket", "card-post-mortem": "", "card-waived": "", "card-active": "",
		"thread-owing": "Write post-mortem", "thread-owing-no-longer": "", "thread-no-post-mortem": "Write post-mortem",
		"direct-ask-post-mortem": "Write post-mortem", "direct-goodbye-owed": "Write post-mortem, Add ticket",
		"direct-owed-post-mortem": "Close without it", "direct-owed-ticket": "Close without it", "direct-owed-no-longer": "", "review": "Reviewed",
	} {
		if got := buttons(all[name]); got != want {
			t.Errorf("%s has %q, not %q", name, got, want)
		}
	}
	if got := buttons(all["review-reviewed"]); got != "" {
		t.Errorf("a month that was reviewed has %q", got)
	}
	spared := unticketed()
	spared.Waived = []store.Waiver{{What: store.OwedTicket, By: bob, Reason: "no tracker that night"}}
	if got := buttons(card(spared, setting{})); got != "Write post-mortem" {
		t.Errorf("with its ticket waived, a case has %q", got)
	}
	for _, s := range store.States() {
		r := owe()
		r.State = s
		if got := strings.Contains(buttons(card(r, setting{})), "post-mortem"); got != afterwards(r) {
			t.Errorf("%s: asked for is %v", s, got)
		}
	}
}
