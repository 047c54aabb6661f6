package handlers

import (
	"bytes"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"breakglass/store"
	"breakglass/workflows"
	"breakglass/workflows/policy"
)

var update = flag.Bool("update", false, "write the golden messages anew")

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

var (
	alice = store.Person{SlackID: "UALICE", UserID: "u-alice", UserName: "alice", Email: "alice@forge.example", Name: "Alice Arden"}
	bob   = store.Person{SlackID: "UBOB", UserID: "u-bob", UserName: "bob", Email: "bob@forge.example", Name: "Bob Baker"}
	carol = store.Person{SlackID: "UCAROL", UserID: "u-carol", UserName: "carol", Email: "carol@forge.example", Name: "Carol Cole"}
)

func forgeSetting() setting {
	return setting{
		sets: []approvers{
			{name: policy.Manager},
			{name: "platform-leads", handle: "@platform-leads", group: "S0LEADS"},
			{name: "eng-managers", handle: "@eng-managers"},
		},
		need: 1, portal: "https://forge.awsapps.com/start", ssoRegion: "us-east-1",
		requests: "C0SUPPORT", incidents: "C0INCIDENTS",
	}
}

func asking() store.Request {
	r := store.Request{
		ID: "BG-1042", State: store.Pending, Requester: alice, Scenario: "ec2", Title: "EC2: logs, processes, env vars over SSM", Tier: 1,
		Account: store.Account{Name: "prod-wealth", ID: "100000000003", Regions: []string{"us-east-1", "us-west-2"}, Sensitive: true},
		Region:  "us-west-2", PermissionSet: "Forge-Prod-BreakGlass-EC2", Duration: 2 * time.Hour,
		Reason: "Checkout returns 502 since 11:40.\nNeed the app's logs.", Ticket: "OPS-123",
		Answers:     []store.Answer{{Name: "instance", Label: "Instance", Value: "i-0abc1234def567890"}},
		Context:     "https://forge.slack.com/archives/C0ALERTS/p1700000000000000",
		SubmittedAt: noon, Guide: "ec2-ssm", Asked: []store.Person{bob, carol},
	}
	r.Set(store.ClockExpire, noon.Add(time.Hour))
	return r
}

// in is the request further on in its life.
func in(s store.State) store.Request {
	r := asking()
	r.State = s
	yes := store.Decision{By: bob, Approved: true, At: noon.Add(3 * time.Minute)}
	switch s {
	case store.Pending:
		return r
	case store.Denied:
		r.Decisions = []store.Decision{{By: carol, At: noon.Add(time.Minute), Comment: "Use the read-only console <first>."}}
	case store.Cancelled, store.Expired:
		r.ClosedAt = noon.Add(time.Hour)
	case store.Failed:
		r.Decisions, r.End = []store.Decision{yes}, store.End{Why: "failed", Note: "AWS refused: ServiceQuotaExceededException: too many assignments"}
	default:
		r.Decisions = []store.Decision{yes}
	}
	r.Clocks = nil
	if slices.Contains([]store.State{store.Active, store.Revoking, store.Revoked, store.Reported, store.Closed}, s) {
		r.GrantedAt, r.VerifiedAt, r.ExpiresAt = noon.Add(4*time.Minute), noon.Add(5*time.Minute), noon.Add(124*time.Minute)
		r.Guard, r.Ends = policy.GuardClosed, store.Ends{Guard: true, Schedules: true}
	}
	if slices.Contains([]store.State{store.Revoking, store.Revoked, store.Reported, store.Closed}, s) {
		r.End = store.End{Why: store.EndedEarly, By: store.Somebody(alice), At: noon.Add(time.Hour)}
	}
	if slices.Contains([]store.State{store.Revoked, store.Reported, store.Closed}, s) {
		r.EndedAt = noon.Add(61 * time.Minute)
	}
	return r
}

func tierNought() store.Request {
	r := asking()
	r.ID, r.Scenario, r.Title, r.Tier, r.State = "BG-1050", "emergency", "P1: site down", 0, store.Approved
	r.NoWord, r.Ticket, r.TicketBy, r.Answers, r.Guide = true, "", noon.Add(time.Hour), nil, ""
	r.PermissionSet, r.Duration, r.Asked, r.Clocks, r.Region = "Forge-Prod-Emergency", time.Hour, nil, nil, ""
	return r
}

func reading() store.Reading {
	return store.Reading{
		At: noon.Add(80 * time.Minute), From: noon, To: noon.Add(61 * time.Minute),
		Sources: []store.Source{{Region: "us-east-1", Events: 3}, {Region: "us-west-2", Events: 12}, {Region: "eu-west-1", Error: "AccessDeniedException"}},
		Events:  15, Writes: 2, Reads: 12, Refused: 1, LeftOut: 0, Addresses: []string{"203.0.113.7"},
		Deeds: []store.Deed{
			{Service: "ec2", Action: "RebootInstances", Region: "us-west-2", Resource: "i-0abc1234def567890", Write: true, Count: 1},
			{Service: "ssm", Action: "StartSession", Region: "us-west-2", Resource: "i-0abc1234def567890", Write: true, Count: 1},
			{Service: "ec2", Action: "TerminateInstances", Region: "us-west-2", Error: "Client.UnauthorizedOperation", Write: true, Count: 1},
			{Service: "ec2", Action: "DescribeInstances", Region: "us-west-2", Count: 12},
		},
	}
}

// messages are one of each, in the states in which they look different.
func messages() map[string]message {
	f := forgeSetting()
	all := map[string]message{}
	for _, s := range store.States() {
		all["card-"+string(s)] = card(in(s), f)
		all["ask-"+string(s)] = ask(in(s), f, "UBOB", policy.Manager)
	}
	two := asking()
	two.Decisions = []store.Decision{{By: bob, Approved: true, At: noon}}
	fTwo := f
	fTwo.need, fTwo.missing = 2, "one of platform-leads"
	all["card-pending-one-of-two"] = card(two, fTwo)
	all["ask-pending-said"] = ask(two, fTwo, "UBOB", "platform-leads")
	all["ask-pending-other"] = ask(two, fTwo, "UCAROL", "")
	fAll := f
	fAll.need, fAll.each = 3, true
	all["card-pending-all-of"] = card(asking(), fAll)
	zero := tierNought()
	all["card-tier-zero"] = card(zero, setting{})
	zero.State, zero.ExpiresAt = store.Active, noon.Add(time.Hour)
	all["card-tier-zero-active"] = card(zero, setting{})
	guides(all, f)
	lines(all, f)
	directs(all)
	ends(all, f)
	owes4(all, f)
	evidence(all, f)
	return all
}

func guides(all map[string]message, f setting) {
	active := in(store.Active)
	all["pass-ec2"] = pass(active, f)
	none := active
	none.Answers = nil
	all["pass-ec2-no-instance"] = pass(none, f)
	db := active
	db.Guide, db.Title, db.PermissionSet, db.Region = "rds-iam", "RDS: IAM-authenticated SQL", "Forge-Prod-BreakGlass-RDS", ""
	db.Answers = []store.Answer{
		{Name: "endpoint", Value: "wealth.abc.us-east-1.rds.amazonaws.com"}, {Name: "database", Value: "wealth"},
		{Name: "db_user", Value: "dba_ro"}, {Name: "bastion", Value: "i-0b"},
	}
	fDB := f
	fDB.mayAssume = []string{"developer-rds-access"}
	all["pass-rds"] = pass(db, fDB)
	all["pass-rds-no-role"] = pass(db, f)
	kube := active
	kube.Guide, kube.Answers = "eks-kubectl", []store.Answer{{Name: "cluster", Value: "prod-eks-cluster"}}
	all["pass-eks"] = pass(kube, f)
	console := active
	console.Guide, console.PermissionSet = "console", "Forge-Prod-ReadOnly"
	all["pass-console"] = pass(console, f)
	plain := active
	plain.Guide, plain.Standing = "", true
	all["pass-default-standing"] = pass(plain, f)
	all["pass-revoking"] = pass(in(store.Revoking), f)
	all["pass-ended"] = pass(in(store.Revoked), f)
}

func lines(all map[string]message, f setting) {
	add := func(name, kind string, r store.Request, data map[string]string) {
		n := store.Notice{Kind: kind, Request: r.ID, Data: data}
		if m, ok := threadLine(n, r, f); ok {
			all["thread-"+name] = m
		} else if m, ok := incident(n, r, f); ok {
			all["incident-"+name] = m
		}
	}
	long := asking()
	long.Reason = strings.Repeat("The whole story is long. ", 40)
	add("asked", workflows.NoticeAsked, asking(), nil)
	add("asked-long", workflows.NoticeAsked, long, map[string]string{"no_manager": "true", "silent": "2"})
	add("reminder", workflows.NoticeReminder, asking(), map[string]string{"left": "40m0s"})
	add("denied", workflows.NoticeDecided, in(store.Denied), nil)
	add("approved", workflows.NoticeDecided, in(store.Approved), nil)
	add("approved-one", workflows.NoticeDecided, in(store.Approved), map[string]string{"missing": "one of eng-managers"})
	add("granted", workflows.NoticeGranted, in(store.Active), nil)
	add("granted-shared", workflows.NoticeGranted, in(store.Active), map[string]string{"shared": "BG-1041", "standing": "true"})
	add("failed", workflows.NoticeFailed, in(store.Failed), map[string]string{"why": "AWS refused"})
	add("ending", workflows.NoticeEnding, in(store.Revoking), nil)
	add("ended", workflows.NoticeEnded, in(store.Revoked), nil)
	add("ended-shared", workflows.NoticeEnded, in(store.Revoked), map[string]string{"shared": "BG-1041"})
	add("ended-forced", workflows.NoticeEnded, in(store.Revoked), map[string]string{"forced": "I looked in the console"})
	add("cancelled", workflows.NoticeOver, in(store.Cancelled), nil)
	add("expired", workflows.NoticeOver, in(store.Expired), nil)
	add("ticket", workflows.NoticeTicket, asking(), nil)
	add("no-ticket", workflows.NoticeNoTicket, tierNought(), nil)
	add("uncertain-revoking", workflows.NoticeUncertain, in(store.Revoking), map[string]string{"error": "timeout", "since": "2026-11-21T13:00:00Z"})
	add("uncertain-granting", workflows.NoticeUncertain, in(store.Granting), nil)
	add("late-open", workflows.NoticeLate, in(store.Active), nil)
	add("late-gone", workflows.NoticeLate, in(store.Revoked), nil)
	done := in(store.Reported)
	done.Readings = []store.Reading{reading(), {At: noon.Add(3 * time.Hour), Sources: []store.Source{{Region: "us-east-1"}}}}
	add("summary", workflows.NoticeSummary, done, map[string]string{"reading": "0"})
	add("summary-empty", workflows.NoticeSummary, done, map[string]string{"reading": "1"})
	add("summary-absent", workflows.NoticeSummary, done, map[string]string{"reading": "7"})
	add("tier-zero", workflows.NoticeTierZero, tierNought(), nil)
	add("stuck", workflows.NoticeStuck, in(store.Revoking), map[string]string{"error": "AccessDeniedException", "since": "2026-11-21T13:00:00Z"})
	add("unstuck", workflows.NoticeUnstuck, in(store.Revoked), nil)
	add("ticket-missing", workflows.NoticeTicketOut, tierNought(), nil)
	add("policy", workflows.NoticePolicy, store.Request{}, map[string]string{"hash": strings.Repeat("ab", 32), "diff": "- scenarios.ec2.max_duration: 2h\n+ scenarios.ec2.max_duration: 4h"})
	add("person", workflows.NoticePerson, store.Request{}, map[string]string{"slack": "UALICE", "was": "u-alice", "is": "u-mallory"})
	add("channel", workflows.NoticeChannel, store.Request{}, map[string]string{"was": "platform-support", "is": "platform-help"})
}

func directs(all map[string]message) {
	for _, s := range []store.State{store.Denied, store.Expired, store.Cancelled, store.Failed} {
		all["direct-result-"+string(s)] = result(in(s), "")
	}
	all["direct-warning"] = warning(in(store.Active), setting{})
	all["direct-goodbye"] = goodbye(store.Notice{}, in(store.Revoked))
	all["direct-ask-ticket"] = askTicket(tierNought(), false)
	all["direct-ask-ticket-late"] = askTicket(tierNought(), true)
	all["direct-told-begin"] = told(in(store.Active), "begin")
	all["direct-told-end"] = told(in(store.Revoked), "end")
	all["refusal"] = refusal("You asked for this yourself, and somebody else has to decide")
}

// The files are arrays of blocks, so that others can check them too: against Slack's own types, or in Block Kit Builder.
func TestGoldenMessages(t *testing.T) {
	var texts bytes.Buffer
	all := messages()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		texts.WriteString(name + "\t" + all[name].text + "\n")
		golden(t, "message-"+name+".json", indented(t, all[name].blocks))
	}
	golden(t, "texts.txt", texts.Bytes())
	if *update {
		return
	}
	files, err := filepath.Glob("testdata/message-*.json")
	files = slices.DeleteFunc(files, func(f string) bool { return strings.Contains(f, "message-reply-") }) // of the input side
	if err != nil || len(files) != len(all) {
		t.Errorf("%d golden messages for %d messages (%v); remove what is stale", len(files), len(all), err)
	}
}

func TestGoldenMails(t *testing.T) {
	for what, r := range map[string]store.Request{
		"tier_zero": tierNought(), "begin": in(store.Active), "end": in(store.Revoked), "group": member(store.Active), "role": admin(store.Revoked),
	} {
		m := mail(store.Notice{To: "a@forge.example, b@forge.example,", Data: map[string]string{"what": what}}, r, forgeSetting())
		if diff := cmp.Diff([]string{"a@forge.example", "b@forge.example"}, m.To); diff != "" {
			t.Error(diff)
		}
		golden(t, "mail-"+what+".txt", []byte("Subject: "+m.Subject+"\n\n"+m.Text))
	}
}

func indented(t *testing.T, v any) []byte {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (run with -update to write it)", err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}
