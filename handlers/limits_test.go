package handlers

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/slack-go/slack"
	"pgregory.net/rapid"

	"breakglass/deploy/sandbox/slacktwin"
	"breakglass/store"
	"breakglass/workflows"
	"breakglass/workflows/policy"
)

// faultsOf are the limits of Slack that a message breaks, and our own rule that no block of ours is read as mrkdwn.
func faultsOf(m message) (bad []string) {
	fault := func(format string, args ...any) { bad = append(bad, fmt.Sprintf(format, args...)) }
	if n := utf8.RuneCountInString(m.text); n == 0 || n > 4000 {
		fault("text of %d characters", n)
	}
	if n := len(m.blocks); n == 0 || n > limitBlocks {
		fault("%d blocks", n)
	}
	raw, err := json.Marshal(m.blocks)
	if err != nil {
		return append(bad, err.Error())
	}
	var blocks []map[string]any
	if err := json.Unmarshal(raw, &blocks); err != nil {
		return append(bad, err.Error())
	}
	total := 0
	for i, b := range blocks {
		at := fmt.Sprintf("/%d(%s)", i, b["type"])
		total += lintValue(b, at, fault)
		lintBlock(b, at, fault)
	}
	if total > 12_000 {
		fault("%d characters of text in all", total)
	}
	return bad
}

// lintValue walks everything: each object that has a text is checked by what it is.
func lintValue(v any, at string, fault func(string, ...any)) (total int) {
	switch v := v.(type) {
	case []any:
		for i, e := range v {
			total += lintValue(e, fmt.Sprintf("%s/%d", at, i), fault)
		}
	case map[string]any:
		if s, ok := v["text"].(string); ok {
			total += utf8.RuneCountInString(s)
			if s == "" {
				fault("%s: empty text", at)
			}
		}
		switch v["type"] {
		case "mrkdwn", "markdown":
			fault("%s: is read as markup", at)
		case "plain_text":
			if v["emoji"] != false {
				fault("%s: turns words into emoji", at)
			}
		case "button":
			lintButton(v, at, fault)
		}
		for k, e := range v {
			total += lintValue(e, at+"/"+k, fault)
		}
	}
	return total
}

func textOf(v any) string {
	o, _ := v.(map[string]any)
	s, _ := o["text"].(string)
	return s
}

func lintButton(v map[string]any, at string, fault func(string, ...any)) {
	limit := func(what, s string, least, most int) {
		if n := width(s); n < least || n > most {
			fault("%s: %s of %d characters", at, what, n)
		}
	}
	limit("button text", textOf(v["text"]), 1, 75)
	label, _ := v["accessibility_label"].(string)
	limit("accessibility label", label, 1, 75)
	value, _ := v["value"].(string)
	limit("value", value, 1, 2000)
	if c, ok := v["confirm"].(map[string]any); ok {
		limit("confirm title", textOf(c["title"]), 1, 100)
		limit("confirm text", textOf(c["text"]), 1, 300)
		limit("confirm", textOf(c["confirm"]), 1, 30)
		limit("confirm deny", textOf(c["deny"]), 1, 30)
	}
}

func lintBlock(b map[string]any, at string, fault func(string, ...any)) {
	es, _ := b["elements"].([]any)
	switch b["type"] {
	case "header":
		if n := width(textOf(b["text"])); n > 150 {
			fault("%s: header of %d", at, n)
		}
	case "section":
		if n := width(textOf(b["text"])); n > 3000 {
			fault("%s: section of %d", at, n)
		}
	case "context":
		if len(es) == 0 || len(es) > 10 {
			fault("%s: %d elements", at, len(es))
		}
	case "actions":
		seen := map[any]bool{}
		for _, e := range es {
			id := e.(map[string]any)["action_id"]
			if seen[id] {
				fault("%s: %v twice", at, id)
			}
			seen[id] = true
		}
		if len(es) == 0 || len(es) > 25 {
			fault("%s: %d elements", at, len(es))
		}
	case "rich_text":
		for _, e := range es {
			if inner, _ := e.(map[string]any)["elements"].([]any); len(inner) == 0 {
				fault("%s: an element without anything in it", at)
			}
		}
	default:
		fault("%s: not one of the blocks we use", at)
	}
}

// ourTokens is everything that may stand between angle brackets in a top-level text.
var ourTokens = regexp.MustCompile(`<(@U(?:ALICE|BOB|CAROL)|!subteam\^S0LEADS|!date\^-?\d+\^[a-z_{} ]+\|[^<>|]+)>`)

// forged are the ways in which user text would have become more than text.
func forged(m message) (bad []string) {
	rest := ourTokens.ReplaceAllString(m.text, "")
	quiet(collector(&bad), rest)
	for _, b := range m.blocks {
		rich, ok := b.(*slack.RichTextBlock)
		if !ok {
			continue
		}
		for _, e := range rich.Elements {
			bad = append(bad, forgedIn(e)...)
		}
	}
	return bad
}

type collects func(string, ...any)

func (c collects) Fatalf(format string, args ...any) { c(format, args...) }

func collector(into *[]string) collects {
	return func(format string, args ...any) { *into = append(*into, fmt.Sprintf(format, args...)) }
}

func forgedIn(e slack.RichTextElement) (bad []string) {
	var es []slack.RichTextSectionElement
	switch e := e.(type) {
	case *slack.RichTextSection:
		es = e.Elements
	case *slack.RichTextQuote:
		es = e.Elements
	case *slack.RichTextPreformatted:
		es = e.Elements
	case *bulletList:
		for _, item := range e.Elements {
			bad = append(bad, forgedIn(item)...)
		}
	}
	for _, x := range es {
		switch x := x.(type) {
		case *slack.RichTextSectionTextElement:
			harmless(collector(&bad), x.Text, true)
		case *slack.RichTextSectionUserElement:
			if !slices.Contains([]string{"UALICE", "UBOB", "UCAROL"}, x.UserID) {
				bad = append(bad, "mentions "+x.UserID)
			}
		case *slack.RichTextSectionUserGroupElement:
			if x.UsergroupID != "S0LEADS" {
				bad = append(bad, "mentions "+x.UsergroupID)
			}
		case *slack.RichTextSectionLinkElement:
			if u, err := url.Parse(x.URL); err != nil || u.Host != "forge.awsapps.com" && u.Host != "forge.slack.com" {
				bad = append(bad, "links to "+x.URL)
			}
		}
	}
	return bad
}

func TestEveryMessageKeepsTheLimits(t *testing.T) {
	for name, m := range messages() {
		for _, f := range append(faultsOf(m), forged(m)...) {
			t.Errorf("%s: %s", name, f)
		}
	}
}

// worst is a request with everything in it that people and directories can make of it.
func worst(t *rapid.T) store.Request {
	text := func(what string) string { return nastyText().Draw(t, what) }
	r := in(rapid.SampledFrom(store.States()).Draw(t, "state"))
	if rapid.Bool().Draw(t, "strangers") { // met only in the directory
		r.Requester = store.Person{UserID: "u", UserName: text("username"), Email: text("email"), Name: text("name")}
	}
	r.Title, r.Scenario, r.PermissionSet, r.Region = text("title"), text("scenario"), text("set"), text("region")
	r.Account.Name, r.Account.ID, r.Account.Sensitive = text("account"), text("account id"), rapid.Bool().Draw(t, "sensitive")
	r.Reason, r.Ticket, r.Context = text("reason"), text("ticket"), text("context")
	r.Duration = time.Duration(rapid.Int64Range(0, int64(400*time.Hour)).Draw(t, "duration"))
	r.Guide = rapid.SampledFrom([]string{guideEC2, guideRDS, guideEKS, guideConsole, "assume-role", ""}).Draw(t, "guide")
	r.Answers = nil
	for _, name := range []string{"instance", "endpoint", "database", "db_user", "bastion", "cluster", "a", "b", "c", "d", "e"} {
		r.Answers = append(r.Answers, store.Answer{Name: name, Label: text("label"), Value: text(name)})
	}
	for i := range r.Decisions {
		r.Decisions[i].Comment = text("comment")
	}
	r.End.Note, r.Work.Error = text("note"), text("error")
	r.End.Why = rapid.SampledFrom([]string{r.End.Why, store.EndLockdown, store.EndLead, store.EndVanished, store.EndRevoked}).Draw(t, "end")
	switch rapid.SampledFrom([]string{"set", "group", "role"}).Draw(t, "kind") {
	case "group":
		r.Group, r.PermissionSet, r.Account, r.Region = text("group"), "", store.Account{}, ""
	case "role":
		r.Role, r.PermissionSet, r.IAMUser = text("role"), "", text("iam user")
	}
	r.Ends = store.Ends{Guard: rapid.Bool().Draw(t, "guard"), Schedules: rapid.Bool().Draw(t, "schedules"), Why: text("no end"), Shells: rapid.IntRange(0, 3).Draw(t, "shells")}
	r.Ends.Full, r.Ends.Unguarded, r.Ends.Anew = rapid.Bool().Draw(t, "full"), rapid.Bool().Draw(t, "unguarded"), rapid.Bool().Draw(t, "anew")
	r.Ends.NoLook = text("no look")
	r.End.By = rapid.SampledFrom([]store.Actor{store.Bot(), store.Somebody(carol), {Who: store.AnOfficer, Name: text("operator")}}).Draw(t, "ended by")
	for range rapid.IntRange(0, 3).Draw(t, "extensions") {
		x := store.Extension{By: time.Hour, Until: noon, Reason: text("reason"), Note: text("note"), DoneAt: noon, NoWord: rapid.Bool().Draw(t, "no word")}
		x.State = rapid.SampledFrom([]store.ExtensionState{"asked", "approved", "granted", "denied", "lapsed"}).Draw(t, "extension")
		x.Decisions = []store.Decision{{By: bob, Approved: rapid.Bool().Draw(t, "word"), Comment: text("comment")}}
		r.Extensions = append(r.Extensions, x)
	}
	for range rapid.IntRange(0, 20).Draw(t, "with") {
		r.With = append(r.With, "BG-1043")
	}
	if rapid.Bool().Draw(t, "led") {
		r.Lead = "BG-1041"
	}
	if rapid.Bool().Draw(t, "owed") {
		r.Ticket, r.TicketBy = "", noon.Add(time.Hour)
	}
	r.Standing, r.NoWord = rapid.Bool().Draw(t, "standing"), rapid.Bool().Draw(t, "no word")
	for range rapid.IntRange(0, 10).Draw(t, "asked") {
		r.Asked = append(r.Asked, bob)
	}
	r.Readings = []store.Reading{worstReading(t)}
	r.Owes = rapid.Bool().Draw(t, "owes")
	if rapid.Bool().Draw(t, "written") {
		r.PostMortem = &store.PostMortem{By: r.Requester, At: noon, Happened: text("happened"), Done: text("done"), FollowUps: text("follow-ups")}
	}
	for range rapid.IntRange(0, 3).Draw(t, "waived") {
		what := rapid.SampledFrom([]string{store.OwedPostMortem, store.OwedTicket, text("what")}).Draw(t, "of")
		r.Waived = append(r.Waived, store.Waiver{What: what, By: store.Person{Name: text("manager")}, At: noon, Reason: text("waiver")})
	}
	return r
}

func worstReading(t *rapid.T) store.Reading {
	text := func(what string) string { return nastyText().Draw(t, what) }
	g := store.Reading{At: noon, Events: 100_000, Writes: 5, Reads: 6, Refused: 7, LeftOut: rapid.IntRange(0, 9999).Draw(t, "left out")}
	long := text("long")
	for i := range rapid.IntRange(0, store.MostDeeds).Draw(t, "deeds") {
		g.Deeds = append(g.Deeds, store.Deed{
			Service: long, Action: long, Region: long, Resource: long, Error: []string{"", long}[i%2], Write: i%3 == 0, Count: i,
			Sensitive: i%5 == 0, Outside: i%7 == 0, First: noon, Last: noon.Add(time.Hour),
		})
	}
	for i := range rapid.IntRange(0, 40).Draw(t, "sources") {
		g.Sources = append(g.Sources, store.Source{Region: long, Error: []string{"", long}[i%2]})
		g.Addresses = append(g.Addresses, long)
	}
	for i := range rapid.IntRange(0, store.MostPortal).Draw(t, "portal") {
		g.Portal = append(g.Portal, store.Deed{Action: []string{"GetRoleCredentials", long}[i%2], Resource: long, Error: []string{"", long}[i%2], Outside: i%3 == 0, Count: i, First: noon})
	}
	for i := range rapid.IntRange(0, 30).Draw(t, "hosts") {
		g.Hosts = append(g.Hosts, store.Host{Address: long, Agent: long, Calls: i, First: noon})
		g.Tables = append(g.Tables, long)
	}
	g.Sensitive, g.Outside, g.OutsidePortal = rapid.IntRange(0, 9).Draw(t, "sensitive"), rapid.IntRange(0, 9).Draw(t, "outside"), rapid.IntRange(0, 9).Draw(t, "outside portal")
	g.MoreNames, g.PortalLeftOut = rapid.IntRange(0, 9).Draw(t, "more names"), rapid.IntRange(0, 9).Draw(t, "portal left out")
	return g
}

// anyOf makes every kind of message of one request.
func anyOf(t *rapid.T, r store.Request) map[string]message {
	text := func(what string) string { return nastyText().Draw(t, what) }
	f := forgeSetting()
	f.missing, f.mayAssume, f.portal, f.instance = text("missing"), []string{rdsRole}, "https://forge.awsapps.com/start", text("instance arn")
	for range rapid.IntRange(0, 20).Draw(t, "along") {
		f.with = append(f.with, text("with"))
	}
	f.room, f.guard = time.Duration(rapid.IntRange(0, 1).Draw(t, "room"))*time.Hour, rapid.SampledFrom([]string{"", policy.GuardNone}).Draw(t, "guard")
	f.ends = rapid.SampledFrom([]*policy.Ends{nil, {}, {Guard: true}}).Draw(t, "ends")
	f.sets[2].handle, f.need, f.each = text("handle"), rapid.IntRange(0, 3).Draw(t, "need"), rapid.Bool().Draw(t, "each")
	all := map[string]message{
		"card": card(r, f), "ask": ask(r, f, "UCAROL", rapid.SampledFrom([]string{policy.Manager, "", text("why")}).Draw(t, "because")),
		"pass": pass(r, f), "result": result(r, text("why not")), "warning": warning(r, f), "goodbye": goodbye(store.Notice{Data: map[string]string{"shells": text("shells")}}, r),
		"ask-ticket": askTicket(r, rapid.Bool().Draw(t, "late")), "told": told(r, rapid.SampledFrom([]string{"begin", "end"}).Draw(t, "when")),
		"refusal": refusal(text("refusal")),
	}
	data := map[string]string{"reading": "0", "slack": "UALICE", "number": rapid.SampledFrom([]string{"0", "1", text("number")}).Draw(t, "which")}
	for _, k := range []string{"why", "error", "shared", "forced", "missing", "diff", "hash", "was", "is", "silent", "left", "since", "no_manager",
		"id", "granted", "kind", "state", "by", "lift", "ended", "what", "account", "who", "detail", "done", "incidents", "shells", "no_look", "manager", "note", "size", "root", "month", "text", "at", "waiting", "archive", "log", "late"} {
		data[k] = text(k)
	}
	month := maps.Clone(data)
	month["month"], month["by"] = "2026-10", rapid.SampledFrom([]string{"", text("reviewer")}).Draw(t, "reviewed by")
	all["review"], all["review-odd"] = review(store.Notice{Data: month}), review(store.Notice{Data: data})
	owed := maps.Clone(data)
	owed["what"] = rapid.SampledFrom([]string{store.OwedPostMortem, store.OwedTicket, text("what")}).Draw(t, "owed")
	f.thread = rapid.SampledFrom([]string{"", "https://forge.slack.com/archives/C1/p1"}).Draw(t, "thread")
	all["owed"], all["ask-mortem"] = owedNotice(store.Notice{Data: owed}, r, f), askMortem(store.Notice{Data: data}, r, f)
	for _, kind := range kinds() {
		n := store.Notice{Kind: kind, Data: data}
		if m, ok := threadLine(n, r, f); ok {
			all[kind] = m
		} else if m, ok := incident(n, r, f); ok {
			all[kind] = m
		}
	}
	for _, what := range finds() {
		data := maps.Clone(data)
		data["what"] = what
		all["found-"+what] = found(store.Notice{Kind: workflows.NoticeFound, Data: data})
	}
	all["extension-dm"] = extension(store.Notice{To: "UCAROL", Data: data}, r, f)
	all["extended-dm"] = extended(store.Notice{To: "UALICE", Data: data}, r, f)
	short := shortForm(store.Notice{Kind: text("kind"), Request: r.ID}, all["card"])
	all["short"] = short
	return all
}

func kinds() []string {
	return []string{
		workflows.NoticeAsked, workflows.NoticeReminder, workflows.NoticeDecided, workflows.NoticeGranted, workflows.NoticeFailed,
		workflows.NoticeEnding, workflows.NoticeEnded, workflows.NoticeOver, workflows.NoticeTicket, workflows.NoticeNoTicket,
		workflows.NoticeSummary, workflows.NoticeUncertain, workflows.NoticeLate, workflows.NoticeTierZero, workflows.NoticeStuck,
		workflows.NoticeExtension, workflows.NoticeExtended, workflows.NoticeEnds, workflows.NoticeWith, workflows.NoticeLockdown,
		workflows.NoticeFound, workflows.NoticeGone, workflows.NoticeOwing, workflows.NoticeMortem, workflows.NoticeNoMortem,
		workflows.NoticeWaived, workflows.NoticeWitness, workflows.NoticeArchive, workflows.NoticeRolled, workflows.NoticeMoved,
		workflows.NoticeUnstuck, workflows.NoticeTicketOut, workflows.NoticePolicy, workflows.NoticePerson, workflows.NoticeChannel,
	}
}

// Whatever people type and directories say, Slack takes every message, as our own linter and the twin see it, and text stays text.
func TestWorstMessagesKeepTheLimits(t *testing.T) {
	w := slacktwin.New(slacktwin.Config{})
	w.SetQuotas(false)
	channel := w.AddChannel(slacktwin.Channel{Name: "platform-support", Members: []string{"U0000TWIN"}})
	srv := httptest.NewServer(w)
	defer srv.Close()
	api := slack.New("xoxb-twin", slack.OptionAPIURL(srv.URL+"/api/"))
	rapid.Check(t, func(t *rapid.T) {
		all := anyOf(t, worst(t))
		for name, m := range all {
			for _, f := range faultsOf(m) {
				t.Fatalf("%s: %s", name, f)
			}
			if name == "short" || name == workflows.NoticePerson { // made of the flattened card; names a bare Slack id
				continue
			}
			for _, f := range forged(m) {
				t.Fatalf("%s: %s", name, f)
			}
		}
		name := rapid.SampledFrom(slices.Sorted(maps.Keys(all))).Draw(t, "posted")
		m := all[name]
		if _, _, err := api.PostMessage(channel, slack.MsgOptionText(m.text, false), slack.MsgOptionBlocks(m.blocks...)); err != nil {
			t.Fatalf("%s: %v\n%v", name, err, w.Refusals())
		}
	})
}
