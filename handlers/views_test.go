package handlers

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/slack-go/slack"
	"pgregory.net/rapid"

	"breakglass/store"
	"breakglass/workflows"
	"breakglass/workflows/policy"
)

// ofTheHouse is the offering of somebody on call, under the policy that ships.
func ofTheHouse(p *policy.Policy) offering {
	alice := principal("alice", "grp-forge-sre-oncall")
	return offeringOf(p, alice, alice.Person("UALICE"))
}

func TestGoldenViews(t *testing.T) {
	p := example(t, nil)
	o := ofTheHouse(p)
	one := o
	one.scenarios = o.scenarios[:1]
	waiting, running, owed := asking(), in(store.Active), in(store.Active)
	owed.Ticket, owed.TicketBy = "", noon.Add(time.Hour)
	calm := scene{policy: p, now: noon.Add(time.Hour)}
	elastic := scene{policy: extendable(t), now: noon.Add(time.Hour)}
	longer := running
	longer.Extensions = []store.Extension{wish(store.ExtensionAsked)}
	locked := o
	locked.lock = lock{on: true, Lockdown: store.Lockdown{By: store.Somebody(carol), At: noon, Why: "A laptop was <stolen>"}}
	many := []store.Request{member(store.Active), admin(store.Active)}
	for i := range mostRevocable {
		q := running
		q.ID = store.ID(fmt.Sprintf("BG-%d", 1100+i))
		many = append(many, q)
	}
	several := overviewFor([]store.Request{running, unwritten(), waiting, in(store.Revoking), in(store.Granting)}, "UNOT", "")
	mine := overviewFor([]store.Request{running, waiting, owed}, running.Requester.SlackID, "")
	for name, v := range map[string]any{
		"form-loading":  loadingView(draft{Context: "https://forge.slack.com/archives/C1/p1", Reason: "About this message: x"}),
		"form-failed":   failedView(draft{Scenario: "ec2"}, "AWS Identity Center did not answer."),
		"form-refused":  refusedView(nothingOffered(offeringOf(p, principal("eve"), store.Person{Name: "Eve"}))),
		"form-first":    formView(o, draft{}),
		"form-single":   formView(one, draft{}),
		"form-ec2":      formView(o, draft{Scenario: "ec2", Account: "prod-wealth", Duration: "45m"}),
		"form-rds":      formView(o, draft{Scenario: "rds", Account: "prod-9squid", Context: "https://forge.slack.com/archives/C1/p1"}),
		"form-unbuilt":  formView(o, draft{Scenario: "offline"}),
		"form-group":    formView(o, draft{Scenario: "vpn-prod-cash", Account: "prod-cash", Region: "us-east-1"}),
		"form-role":     formView(ofTheHouse(withIAMUser(t)), draft{Scenario: "admin-role"}),
		"form-with":     formView(ofTheHouse(withVPN(t)), draft{Scenario: "ec2", Account: "prod-wealth"}),
		"form-locked":   formView(locked, draft{}),
		"revoke-early":  revokeView(in(store.Approved), slip{Request: running.ID}),
		"revoke":        revokeView(running, slip{Request: running.ID, Channel: "C1", TS: "1.2"}),
		"extend":        extendView(p, running, 2*time.Hour, slip{Request: running.ID}),
		"extend-deny":   noMoreView(longer, longer.Extensions[0], slip{Request: longer.ID, Number: 0}),
		"lockdown":      lockView(p, []store.Request{running, waiting, owed}, "C1"),
		"lockdown-none": lockView(p, nil, ""),
		"lockdown-lift": unlockView(p, locked.lock, "C1"),
		"form-not-ours": formView(offering{principal: principal("eve"), scenarios: o.scenarios[4:5], policy: p}, draft{Scenario: "ec2"}),
		"deny":          denyView(waiting, slip{Request: waiting.ID, Channel: "C1", TS: "1.2"}),
		"ticket":        ticketView(owed, slip{Request: owed.ID}),
		"home-nothing":  homeTab(homeBlocks(nil, "UALICE", "", calm)...),
		"home-decider":  homeTab(homeBlocks([]store.Request{asked4(waiting, "UBOB"), running}, "UBOB", "", calm)...),
		"home-wish":     homeTab(homeBlocks([]store.Request{asked4(longer, "UBOB")}, "UBOB", "", elastic)...),
		"home-mine":     homeTab(homeBlocks([]store.Request{waiting, owed}, waiting.Requester.SlackID, "", calm)...),
		"home-longer":   homeTab(homeBlocks([]store.Request{longer, running}, longer.Requester.SlackID, "", elastic)...),
		"home-locked":   homeTab(homeBlocks(nil, "UALICE", "", scene{policy: p, now: noon, lock: locked.lock})...),
		"status-locked": statusAnswer(overview{}, "", scene{policy: p, now: noon, lock: locked.lock}),
		"status-many":   statusAnswer(overviewFor(many, "UNOT", ""), "", calm),
		"status-none":   statusAnswer(overview{}, " on prod-cash", calm),
		"status":        statusAnswer(several, "", calm),
		"status-mine":   statusAnswer(mine, "", elastic),
		"post-mortem":   mortemView(owe(), slip{Request: running.ID, Channel: "C1", TS: "1.2"}),
		"waive":         waiveView(owe(), slip{Request: running.ID, What: store.OwedPostMortem}),
		"waive-ticket":  waiveView(unticketed(), slip{Request: "BG-1052", What: store.OwedTicket}),
		"home-owed":     homeTab(homeBlocks([]store.Request{owe(), unticketed()}, "UALICE", "", calm)...),
		"status-owed":   statusAnswer(overviewFor([]store.Request{running, owe(), unticketed()}, "UALICE", ""), "", calm),
		"status-owing":  historyAnswer([]store.Request{owe(), unticketed(), waiting, running}),
		"help":          helpAnswer(p, o.scenarios, true, ""),
		"help-strange":  helpAnswer(p, o.scenarios, false, "“nope” was not understood."),
		"sorry":         sorry("You have no <running> *session*."),
	} {
		kind := "view-"
		if reply := strings.HasPrefix(name, "status") || strings.HasPrefix(name, "help") || name == "sorry"; reply {
			kind = "message-reply-"
		}
		golden(t, kind+name+".json", indented(t, v))
	}
}

// extendable is the policy that ships, with EC2 sessions that can be extended.
func extendable(t *testing.T) *policy.Policy {
	return example(t, func(s string) string {
		return strings.Replace(s, "    guide: ec2-ssm", "    max_extensions: 2\n    max_total: 4h\n    guide: ec2-ssm", 1)
	})
}

// withIAMUser is the policy that ships, with an IAM user for Alice.
func withIAMUser(t *testing.T) *policy.Policy {
	return example(t, func(s string) string { return strings.Replace(s, "oncall@forge.example:", "alice@forge.example:", 1) })
}

// withVPN is the policy that ships, with a VPN granted along with EC2.
func withVPN(t *testing.T) *policy.Policy {
	return example(t, func(s string) string {
		return strings.Replace(s, "    guide: ec2-ssm", "    with: [vpn-prod-wealth]\n    guide: ec2-ssm", 1)
	})
}

// unwritten is a session whose guard has no line for it.
func unwritten() store.Request {
	r := in(store.Active)
	r.Ends = store.Ends{Schedules: true, Unguarded: true}
	return r
}

func asked4(r store.Request, slackID string) store.Request {
	r.Asked = []store.Person{{SlackID: slackID}}
	return r
}

// large is a policy at the edge of what can be written, for somebody who may ask for all of it.
func large(base *policy.Policy, scenarios, accounts, asks int) *rapid.Generator[*policy.Policy] {
	return rapid.Custom(func(t *rapid.T) *policy.Policy {
		p := policy.Policy{People: base.People, Requests: base.Requests, Channels: base.Channels, Timezone: base.Timezone}
		p.Hash = rapid.StringN(8, 8, -1).Draw(t, "hash")
		long := func(kind string, i int) string {
			return fmt.Sprintf("%s-%03d-%s", kind, i, strings.Repeat("x", 60))[:60]
		}
		title := func(what string) string { return nastyText().Draw(t, what) }
		var names []string
		for i := range accounts {
			a := policy.Account{Name: long("account", i), ID: fmt.Sprintf("%012d", i), Regions: []string{"us-east-1"}, Sensitive: true}
			if i%2 == 0 {
				a.Regions = strings.Fields(strings.Repeat("us-west-2 ap-southeast-1 ", 15))
				for j := range a.Regions {
					a.Regions[j] += fmt.Sprint(j)
				}
			}
			p.Accounts, names = append(p.Accounts, a), append(names, a.Name)
		}
		sets := []string{policy.Manager}
		for i := range 12 {
			sets = append(sets, long("people", i))
		}
		var further []policy.Ask
		for q := range asks {
			further = append(further, policy.Ask{Name: fmt.Sprintf("ask_%02d_%s", q, strings.Repeat("y", 30)), Label: title("label"), Optional: q%3 > 0})
		}
		for i := range scenarios {
			s := policy.Scenario{
				Name: long("scenario", i), Title: title("title"), Tier: i % 4, Accounts: names, Eligible: []string{"sre-oncall"},
				Grant:    policy.Grant{Kind: policy.GrantPermissionSet, Name: strings.Repeat("P", 32)},
				Approval: policy.Approval{AnyOf: sets, Count: 1 + i%3}, Guard: policy.GuardTimed, Start: policy.StartNow,
				MaxDuration: 12 * time.Hour, MaxTotal: 48 * time.Hour, MaxExtensions: 3, Ticket: policy.TicketRule{Required: i%2 == 0},
			}
			for d := range 150 {
				s.Durations = append(s.Durations, time.Duration(d+1)*time.Minute)
			}
			s.Ask = further
			p.Scenarios = append(p.Scenarios, s)
		}
		for range 40 {
			p.Contacts = append(p.Contacts, policy.Contact{Role: title("role"), Who: title("who"), Phone: title("phone"), URL: "https://forge.example/" + strings.Repeat("z", 1900)})
		}
		return &p
	})
}

// fixedBook is a store whose content a test makes up.
type fixedBook []store.Request

func (b fixedBook) Request(id store.ID) (store.Request, error) {
	for _, r := range b {
		if r.ID == id {
			return r, nil
		}
	}
	return store.Request{}, store.ErrNotFound
}

func (b fixedBook) Lockdown() (store.Lockdown, bool, error)       { return store.Lockdown{}, false, nil }
func (b fixedBook) Open() ([]store.Request, error)                { return append([]store.Request{}, b...), nil }
func (b fixedBook) OpenOf(string) ([]store.Request, error)        { return b.Open() }
func (b fixedBook) OfPerson(string, int) ([]store.Request, error) { return b.Open() }

// Nothing that a policy, a directory or a person can put into our views is refused by Slack: the twin checks every call and every
// acknowledgement, and the rig fails for each refusal.
func TestLargestViewsKeepTheLimits(t *testing.T) {
	base := example(t, nil)
	people := rapid.Custom(worst)
	var book fixedBook
	for i := range 40 {
		q := people.Example(i)
		q.ID = store.ID(fmt.Sprintf("BG-%d", 900000+i))
		q.State = []store.State{store.Pending, store.Active, store.Granting, store.Revoking}[i%4]
		q.Asked = []store.Person{{SlackID: "UBOB"}}
		if i%3 == 0 {
			q.Requester.SlackID = "UALICE"
		}
		book = append(book, q)
	}
	for seed, n := range [][3]int{{150, 600, 60}, {1, 1, 100}, {100, 100, 1}} {
		p := large(base, n[0], n[1], n[2]).Example(seed)
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			inBubble(t, p, func(t *testing.T, r *rig) { largest(t, r, book) })
		})
	}
}

func largest(t *testing.T, r *rig, book fixedBook) {
	p := r.policy
	r.h.book = book
	_, err := r.alice.Command(t.Context(), "/breakglass")
	must(t, err)
	settle()
	last := p.Scenarios[len(p.Scenarios)-1]
	if len(p.Scenarios) > mostOptions {
		found, err := r.alice.Options(t.Context(), "Scenario", "")
		must(t, err)
		if len(found) == 0 {
			t.Error("no scenario is shown before anything is typed")
		}
	}
	fill(t, r.alice, "Scenario", last.Name)
	account := p.Accounts[len(p.Accounts)-1]
	if len(p.Accounts) > mostOptions {
		for typed, least := range map[string]int{"": 50, account.ID: 1, "ACCOUNT-0": 50, "nothing": 0} {
			found, err := r.alice.Options(t.Context(), "Account", typed)
			must(t, err)
			if len(found) < least || len(found) > mostOptions {
				t.Errorf("%d accounts are shown for %q", len(found), typed)
			}
		}
	}
	fill(t, r.alice, "Account", account.Name)
	if v := r.alice.View(); v.Field("Scenario").Value != last.Name || v.Field("Account").Value != account.Name {
		t.Errorf("chosen: %q, %q", v.Field("Scenario").Value, v.Field("Account").Value)
	}
	if _, err := r.alice.Options(t.Context(), "Duration", ""); err != nil {
		t.Error(err)
	}
	fill(t, r.alice, "Reason", strings.Repeat("&", 3000))
	submit(t, r.alice)
	for _, line := range []string{"/access status", "/access status @bob", "/access end", "/access history", "/access help", "/access extend", "/access extend BG-1 x", "/breakglass " + strings.Repeat("<", 300)} {
		ack, err := r.h.Command(t.Context(), slack.SlashCommand{
			Command: strings.Fields(line)[0], Text: strings.Join(strings.Fields(line)[1:], " "), UserID: "UALICE", TeamID: "T0000TWIN", TriggerID: line,
		})
		raw, _ := json.Marshal(ack)
		if err != nil || len(raw) > 20_000 {
			t.Errorf("%s: an acknowledgement of %d bytes, %v", line, len(raw), err)
		}
		command(t, r.alice, line)
	}
	smallForms(t, r, book)
	r.h.Refresh(t.Context(), "UALICE", "UBOB")
	settle()
	if r.bob.Home() == nil || r.alice.Home() == nil {
		t.Error("no App Home was published")
	}
	for _, q := range book[:8] {
		raw, err := json.Marshal(denyView(q, slip{Request: q.ID}))
		if err != nil || len(raw) > 250_000 {
			t.Errorf("deny: %d bytes, %v", len(raw), err)
		}
		r.h.homeView(t.Context(), "UALICE")
	}
}

// An answer to a search stays below what one acknowledgement carries, however long its texts become in JSON.
func TestSuggestionsKeepTheLimit(t *testing.T) {
	var all []*slack.OptionBlockObject
	for range 300 {
		all = append(all, option(strings.Repeat("<", limitButton), strings.Repeat("x", 60)))
	}
	s := bounded(all)
	raw, err := json.Marshal(s)
	if err != nil || len(raw) > mostAck || len(s.Options) < 20 {
		t.Errorf("%d options in %d bytes, %v", len(s.Options), len(raw), err)
	}
	if raw, _ := json.Marshal(bounded(nil)); string(raw) != `{"options":[]}` {
		t.Errorf("nothing found is %s", raw)
	}
}

// Status says how many it leaves out, whatever it leaves out.
func TestStatusCounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var o overview
		for _, to := range []*[]store.Request{&o.mine, &o.others, &o.waiting} {
			for i := range rapid.IntRange(0, 60).Draw(t, "n") {
				r := in(store.Active)
				r.ID = store.ID(fmt.Sprintf("BG-%d", 2000+i))
				r.Title = strings.Repeat("t", rapid.IntRange(0, 80).Draw(t, "title"))
				*to = append(*to, r)
			}
		}
		p := statusAnswer(o, "", scene{policy: &policy.Policy{}})
		raw, err := json.Marshal(p)
		if err != nil || len(raw) > 20_000 || len(p.Blocks) > limitBlocks {
			t.Fatalf("%d bytes, %d blocks, %v", len(raw), len(p.Blocks), err)
		}
		left := 0
		for _, b := range p.Blocks {
			if s, ok := b.(*slack.SectionBlock); ok {
				n := 0
				if _, err := fmt.Sscanf(s.Text.Text, "… and %d more", &n); err == nil {
					left += n
				}
			}
		}
		if shown := strings.Count(string(raw), `"text":"BG-2`); shown+left < len(o.mine)+len(o.others)+len(o.waiting) {
			t.Fatalf("%d shown and %d said to be left out of %d, %d and %d", shown, left, len(o.mine), len(o.others), len(o.waiting))
		}
	})
}

func FuzzCommandText(f *testing.F) {
	for _, s := range []string{"", "ec2 prod-cash 1h", "help", "<@U1|x> <!channel>", "ec2 “45 minutes”", "\x00\xff", strings.Repeat("a ", 5000)} {
		f.Add(s)
	}
	p := &policy.Policy{
		Accounts:  []policy.Account{{Name: "prod-cash", ID: "100000000004"}, {Name: "prod-wealth", ID: "100000000003"}},
		Scenarios: []policy.Scenario{{Name: "ec2"}, {Name: "eks"}},
	}
	f.Fuzz(func(t *testing.T, s string) {
		words := fields(s)
		if len(words) > mostWords {
			t.Fatalf("%d words", len(words))
		}
		d, strange := prefill(p, words)
		if strange != "" && d != (draft{}) {
			t.Fatalf("%+v with %q", d, strange)
		}
		if _, ok := p.Scenario(d.Scenario); d.Scenario != "" && !ok {
			t.Fatalf("made up %q", d.Scenario)
		}
		if _, ok := p.Account(d.Account); d.Account != "" && !ok {
			t.Fatalf("made up %q", d.Account)
		}
		if again := readDraft(d.metadata()); again != d {
			t.Fatalf("%+v came back as %+v", d, again)
		}
		if id, ok := userMention(s); ok && !isUser(id) {
			t.Fatalf("%q is a user", id)
		}
		if t2, ok := readDuration(s); ok && t2 < time.Minute {
			t.Fatalf("%q is %v", s, t2)
		}
	})
}

func FuzzViewState(f *testing.F) {
	f.Add(`{"values":{"scenario":{"form:scenario":{"selected_option":{"value":"ec2"}}}}}`, `{"s":"ec2","c":"https://x.example"}`)
	f.Add(`{"values":{"a":{"form:ask:x":{"value":"1"}},"b":null}}`, `{"request":"BG-1001","ts":"1.2","channel":"C1"}`)
	f.Add(`{"values":{"a":{"form:reason":{"value":"\u0000\ud800"}}}}`, `[]`)
	f.Fuzz(func(t *testing.T, state, metadata string) {
		var s slack.ViewState
		if json.Unmarshal([]byte(state), &s) != nil {
			return
		}
		v := readState(&s)
		if len(v) > mostFields {
			t.Fatalf("%d fields", len(v))
		}
		for k, x := range v {
			if width(x) > 4*mostTyped {
				t.Fatalf("%s has %d characters", k, width(x))
			}
		}
		d := readDraft(metadata).chosen(v)
		if width(d.metadata()) > mostMetadata {
			t.Fatalf("metadata of %d characters", width(d.metadata()))
		}
		if c := readDraft(d.metadata()).Context; c != "" && !strings.HasPrefix(c, "https://") {
			t.Fatalf("a link to %q", c)
		}
		if s, ok := readSlip(metadata); ok && (s.Channel != "" && !slackID(s.Channel, "CGD") || s.TS != "" && !isTS(s.TS)) {
			t.Fatalf("%+v", s)
		}
		view := slack.View{Blocks: slack.Blocks{BlockSet: []slack.Block{reasonInput(d), ticketInput(policy.TicketRule{})}}}
		if a := faultsIn(view, workflows.FormFaults{{Field: state, Why: metadata}, {Field: fieldReason, Why: state}}); len(a.Errors) == 0 {
			t.Fatal("faults without an error")
		}
	})
}
