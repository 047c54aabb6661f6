package main

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"breakglass/deploy/sandbox"
	"breakglass/deploy/sandbox/awstwin"
	"breakglass/deploy/sandbox/slacktwin"
	"breakglass/store"
)

// The words of the stories. A line begins with who acts:
//
//	start [wait]                 the program, for the first time or again (wait: on Slack)
//	restart | crash              SIGTERM, or kill -9 with what was on disk at that moment; then start
//	sleep 1h                     time passes
//	alice command '/access status'
//	alice request SCENARIO ACCOUNT DURATION REASON [TICKET] [Label=value…]   the form, filled and sent
//	alice fill LABEL VALUE | alice submit | alice close
//	alice click BUTTON           on the newest card; dm: in the direct messages; home: on App Home
//	alice deny REASON | alice ticket KEY | alice mortem HAPPENED DONE | alice waive REASON
//	alice reads PLACE REGEXP     form, reply, dm, card, thread, requests, incidents, whispers (ephemeral), home
//	state BG-1001 active         what the store says
//	aws has alice prod-wealth SET | aws outage on | aws fail sso-admin CreateAccountAssignment CODE N | aws stand alice prod-wealth SET
//	slack outage on | slack fail METHOD ERROR N | slack drop
//	directory remove alice GROUP | directory disable alice
//	policy OLD NEW               edits the file; reload takes it up
//	log BG-1001 REGEXP           a line of the log
//	session alice prod-wealth SET SERVICE:ACTION…   what she does with her access
//
// "!" before a line says that it must not be so.
func (s *story) words() map[string]func(*testscript.TestScript, bool, []string) {
	w := map[string]func(*testscript.TestScript, bool, []string){
		"start": s.wordStart, "restart": s.wordRestart, "crash": s.wordCrash, "sleep": s.wordSleep, "state": s.wordState, "aws": s.wordAWS,
		"slack": s.wordSlack, "directory": s.wordDirectory, "policy": s.wordPolicy, "log": s.wordLog, "session": s.wordSession, "reload": s.wordReload,
		"many-accounts": s.wordManyAccounts, "mailed": s.wordMailed, "halt": s.wordHalt, "ready": s.wordReady,
		"kill": s.wordKill, "sign-in": s.wordSignIn, "call": s.wordCall, "ends": s.wordEnds, "operator": s.wordOperator, "scenario": s.wordWith,
		"archive": s.wordArchive, "month": s.wordMonth, "tracker": s.wordTracker,
	}
	s.evidenceWords(w)
	w["dana2"] = func(ts *testscript.TestScript, neg bool, args []string) { s.person(ts, s.who(ts, "dana2"), neg, args) }
	for _, p := range s.world.People {
		w[p.Key] = func(ts *testscript.TestScript, neg bool, args []string) { s.person(ts, p, neg, args) }
	}
	return w
}

func (s *story) wordStart(ts *testscript.TestScript, neg bool, args []string) {
	s.start(s.runs == 0)
	if len(args) > 0 && args[0] == "nowait" {
		return
	}
	s.awaitReady()
	s.settle(2 * time.Second)
}

func (s *story) wordRestart(ts *testscript.TestScript, neg bool, args []string) {
	if err := s.stop(); err != nil {
		ts.Fatalf("the program ended with %v", err)
	}
	s.wordStart(ts, neg, args)
}

func (s *story) wordCrash(ts *testscript.TestScript, neg bool, args []string) {
	s.crash()
	s.wordStart(ts, neg, args)
}

func (s *story) wordHalt(ts *testscript.TestScript, _ bool, _ []string) { ts.Check(s.stop()) }

func (s *story) wordReady(*testscript.TestScript, bool, []string) {
	s.awaitReady()
	s.settle(5 * time.Second)
}

func (s *story) wordSleep(ts *testscript.TestScript, _ bool, args []string) {
	d, err := time.ParseDuration(args[0])
	ts.Check(err)
	s.settle(d)
}

func (s *story) wordState(ts *testscript.TestScript, neg bool, args []string) {
	id, err := store.ParseID(args[0])
	ts.Check(err)
	r, err := s.run.p.db.Request(id)
	ts.Check(err)
	if (string(r.State) == args[1]) == neg {
		ts.Fatalf("%s is %s (%+v)", id, r.State, r.Work)
	}
}

func (s *story) wordLog(ts *testscript.TestScript, neg bool, args []string) {
	id, err := store.ParseID(args[0])
	ts.Check(err)
	events, err := s.run.p.db.EventsOf(id)
	ts.Check(err)
	var lines []string
	for _, e := range events {
		lines = append(lines, fmt.Sprintf("%s %s %s->%s %v", e.Actor.Label(), e.Kind, e.From, e.To, e.Data))
	}
	match(ts, neg, args[1], strings.Join(lines, "\n"))
}

func match(ts *testscript.TestScript, neg bool, pattern, text string) {
	re, err := regexp.Compile("(?s)" + pattern)
	ts.Check(err)
	if re.MatchString(text) == neg {
		ts.Fatalf("looking for %q (not: %v) in:\n%s", pattern, neg, text)
	}
}

func (s *story) who(ts *testscript.TestScript, key string) *sandbox.Person {
	p := s.world.Person(key)
	if p == nil {
		ts.Fatalf("nobody is called %s", key)
	}
	return p
}

func (s *story) account(ts *testscript.TestScript, name string) string {
	if s.accounts[name] == "" {
		ts.Fatalf("no account is called %s", name)
	}
	return s.accounts[name]
}

func (s *story) wordAWS(ts *testscript.TestScript, neg bool, args []string) {
	switch args[0] {
	case "has":
		p, account := s.who(ts, args[1]), s.account(ts, args[2])
		n := 0
		for _, a := range s.world.AWS.Assignments() {
			if a.PrincipalID == p.AWS && a.AccountID == account && a.PermissionSet == args[3] {
				n++
			}
		}
		if n > 1 || (n == 1) == neg {
			ts.Fatalf("%s has it %d times", p.Key, n)
		}
	case "stand":
		p := s.who(ts, args[1])
		s.world.AWS.Assign(p.AWS, s.account(ts, args[2]), args[3])
		s.begin = s.world.AWS.Assignments()
	case "outage":
		s.world.AWS.Outage("", args[1] == "on")
	case "fail":
		var n int
		_, err := fmt.Sscan(args[4], &n)
		ts.Check(err)
		s.world.AWS.FailNext(args[1], args[2], args[3], n)
	case "unreachable":
		s.world.AWS.Unreachable(args[1], args[2] == "on")
	case "stall-reply":
		s.world.AWS.StallReplyNext(args[1], args[2], 1)
	case "lose-reply":
		s.world.AWS.DropReplyNext(args[1], args[2], 1)
	case "async":
		d, err := time.ParseDuration(args[1])
		ts.Check(err)
		s.world.AWS.SetAsync(d)
	case "calls", "calls-ok":
		n := 0
		for _, c := range s.world.AWS.Calls() {
			if c.Operation == args[1] && (args[0] == "calls" || c.Error == "") {
				n++
			}
		}
		if (fmt.Sprint(n) == args[2]) == neg {
			ts.Fatalf("%d calls of %s", n, args[1])
		}
	case "wait": // until a call of that operation was made
		for range 2000 {
			for _, c := range s.world.AWS.Calls() {
				if c.Operation == args[1] {
					return
				}
			}
			time.Sleep(5 * time.Millisecond)
		}
		ts.Fatalf("%s was never called", args[1])
	default:
		ts.Fatalf("aws %s?", args[0])
	}
}

func (s *story) wordSlack(ts *testscript.TestScript, _ bool, args []string) {
	switch args[0] {
	case "outage":
		s.world.Slack.Outage(args[1] == "on")
	case "drop":
		s.world.Slack.DropSockets("refresh_requested")
		s.settle(5 * time.Second)
	case "fail":
		var n int
		_, err := fmt.Sscan(args[3], &n)
		ts.Check(err)
		s.world.Slack.FailNext(args[1], args[2], n)
		s.expect += n
	case "rename":
		s.world.Slack.RenameChannel(s.world.Slack.ChannelID(args[1]), args[2])
		s.settle(2 * time.Second)
	case "another-account": // a second Slack account of the same person
		p := s.who(ts, args[1])
		id := s.world.Slack.AddUser(slacktwin.User{Name: args[2], RealName: p.Name, Email: p.Email, EmailConfirmed: true})
		for _, ch := range s.world.Slack.Channels() {
			s.world.Slack.UpdateChannel(ch.ID, func(c *slacktwin.Channel) { c.Members = append(c.Members, id) })
		}
		s.world.People = append(s.world.People, &sandbox.Person{Key: args[2], Name: p.Name, Email: p.Email, Slack: id, AWS: p.AWS})
	default:
		ts.Fatalf("slack %s?", args[0])
	}
}

func (s *story) wordDirectory(ts *testscript.TestScript, _ bool, args []string) {
	p := s.who(ts, args[1])
	switch args[0] {
	case "remove":
		s.world.AWS.RemoveMember(args[2], p.AWS)
	case "add":
		s.world.AWS.AddMember(args[2], p.AWS)
	case "disable":
		u, _ := s.world.AWS.GetUser(p.AWS)
		u.Disabled = true
		s.world.AWS.UpdateUser(u)
	default:
		ts.Fatalf("directory %s?", args[0])
	}
}

func (s *story) wordPolicy(ts *testscript.TestScript, _ bool, args []string) {
	data, err := os.ReadFile(s.policy)
	ts.Check(err)
	if !strings.Contains(string(data), args[0]) {
		ts.Fatalf("the policy has no %q", args[0])
	}
	ts.Check(os.WriteFile(s.policy, []byte(strings.Replace(string(data), args[0], args[1], 1)), 0o600))
}

// wordManyAccounts gives the company and the scenario ec2 that many accounts, acct-0001 and so on.
func (s *story) wordManyAccounts(ts *testscript.TestScript, _ bool, args []string) {
	var n int
	_, err := fmt.Sscan(args[0], &n)
	ts.Check(err)
	data, err := os.ReadFile(s.policy)
	ts.Check(err)
	entries, names := "", ""
	for i := 1; i <= n; i++ {
		id := fmt.Sprintf("2%011d", i)
		name := fmt.Sprintf("acct-%04d", i)
		s.world.AddAccount(id, name)
		s.accounts[name] = id
		entries += fmt.Sprintf("  %s: {id: %q, regions: [us-east-1]}\n", name, id)
		names += ", " + name
	}
	text := strings.Replace(string(data), "accounts:\n", "accounts:\n"+entries, 1)
	at := strings.Index(text, "  ec2:\n")
	text = text[:at] + strings.Replace(text[at:], "prod-9squid]", "prod-9squid"+names+"]", 1)
	ts.Check(os.WriteFile(s.policy, []byte(text), 0o600))
}

func (s *story) wordReload(ts *testscript.TestScript, neg bool, _ []string) {
	if err := s.run.p.reload(); (err == nil) == neg {
		ts.Fatalf("reload: %v", err)
	}
	s.settle(2 * time.Second)
}

func (s *story) wordMailed(ts *testscript.TestScript, neg bool, args []string) {
	var all []string
	for _, m := range s.world.AWS.Mails() {
		all = append(all, fmt.Sprintf("to %v: %s\n%s", m.To, m.Subject, m.Text))
	}
	match(ts, neg, args[0], strings.Join(all, "\n---\n"))
}

// wordSession signs somebody in through the portal and does things with the access.
func (s *story) wordSession(ts *testscript.TestScript, neg bool, args []string) {
	p := s.who(ts, args[0])
	session, err := s.world.AWS.SignIn(p.AWS, s.account(ts, args[1]), args[2])
	if err != nil {
		if neg {
			return
		}
		ts.Fatalf("sign in: %v", err)
	}
	if neg {
		ts.Fatalf("%s got in", p.Key)
	}
	for _, a := range args[3:] {
		service, action, _ := strings.Cut(a, ":")
		err := session.Do(context.Background(), awstwin.Action{Service: service, Name: action, Params: map[string]any{}})
		ts.Logf("%s: %v", a, err)
	}
}
