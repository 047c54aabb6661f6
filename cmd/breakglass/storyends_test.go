package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"breakglass/deploy/sandbox"
	"breakglass/deploy/sandbox/awstwin"
)

// The words of the stories about ends: sessions that stay signed in and try again, guards and schedules as AWS has them, and whatever somebody does behind
// our back.

// wordKill ends the program for good, as a machine that burns down does.
func (s *story) wordKill(*testscript.TestScript, bool, []string) { s.crash() }

// wordSignIn signs somebody in with a permission set, or an IAM user with MFA by a role, and keeps the session under a name.
func (s *story) wordSignIn(ts *testscript.TestScript, neg bool, args []string) {
	if s.sessions == nil {
		s.sessions = map[string]*awstwin.Session{}
	}
	var session *awstwin.Session
	var err error
	if args[1] == "role" { // sign-in NAME role USER ACCOUNT ROLE SESSION-NAME [no-mfa]
		session, err = s.world.AWS.AssumeRole(s.account(ts, args[3]), args[2], awstwin.Assume{
			Role: args[4], SessionName: args[5], MFA: len(args) < 7,
		})
	} else {
		session, err = s.world.AWS.SignIn(s.who(ts, args[1]).AWS, s.account(ts, args[2]), args[3])
	}
	if (err == nil) == neg {
		ts.Fatalf("sign in %v: %v", args, err)
	}
	if err == nil {
		s.sessions[args[0]] = session
	}
}

// wordCall does something with a session that was kept: it is let, or with ! refused.
func (s *story) wordCall(ts *testscript.TestScript, neg bool, args []string) {
	session := s.sessions[args[0]]
	if session == nil {
		ts.Fatalf("nobody is signed in as %s", args[0])
	}
	service, action, _ := strings.Cut(args[1], ":")
	params := map[string]any{}
	for _, p := range args[2:] {
		k, v, _ := strings.Cut(p, "=")
		params[k] = v
	}
	var err error
	if action == "AssumeRole" {
		_, err = session.AssumeRole(awstwin.Assume{Role: args[2], SessionName: "onward"})
	} else {
		err = session.Do(context.Background(), awstwin.Action{Service: service, Name: action, Params: params})
	}
	if (err == nil) == neg {
		ts.Fatalf("%s: %v", args[1], err)
	}
	ts.Logf("%s: %v", args[1], err)
}

// wordEnds looks at the ends as AWS has them, and meddles with them.
func (s *story) wordEnds(ts *testscript.TestScript, neg bool, args []string) {
	switch args[0] {
	case "schedules":
		if got := s.world.AWS.ScheduleNames(); (fmt.Sprint(len(got)) == args[1]) == neg {
			ts.Fatalf("schedules: %v", got)
		}
	case "guard":
		match(ts, neg, args[3], s.world.AWS.Policy(s.account(ts, args[1]), sandbox.Guard(args[2])))
	case "tamper":
		s.world.AWS.SetPolicy(s.account(ts, args[1]), sandbox.Guard(args[2]), sandbox.FirstGuard("somebody's own"))
	case "shells":
		n := 0
		for _, sh := range s.world.AWS.SSMSessions(s.account(ts, args[1])) {
			if sh.Active {
				n++
			}
		}
		if (fmt.Sprint(n) == args[2]) == neg {
			ts.Fatalf("%d shells are open", n)
		}
	case "member":
		in := false
		for _, g := range s.world.AWS.Groups() {
			for _, m := range g.Members {
				in = in || g.Name == args[2] && m == s.who(ts, args[1]).AWS
			}
		}
		if in == neg {
			ts.Fatalf("%s in %s: %v", args[1], args[2], in)
		}
	case "by-hand":
		s.world.AWS.Assign(s.who(ts, args[1]).AWS, s.account(ts, args[2]), args[3])
	case "take-by-hand":
		s.world.AWS.Unassign(s.who(ts, args[1]).AWS, s.account(ts, args[2]), args[3])
	default:
		ts.Fatalf("ends %s?", args[0])
	}
}

// wordOperator is what somebody does on the machine, when Slack is not there.
func (s *story) wordOperator(ts *testscript.TestScript, neg bool, args []string) {
	c := command{Do: args[0]}
	if len(args) > 1 {
		c.Why = args[1]
	}
	a := do(s.run.p.engine, s.run.p.db, officer("root", time.Now()), c)
	if (a.Refused+a.Error == "") == neg {
		ts.Fatalf("%v: %+v", args, a)
	}
	s.settle(3 * time.Second)
}

// wordWith writes into the policy what a scenario lacks: a line under the scenario's title.
func (s *story) wordWith(ts *testscript.TestScript, _ bool, args []string) {
	data, err := os.ReadFile(s.policy)
	ts.Check(err)
	at := strings.Index(string(data), "  "+args[0]+":\n")
	if at < 0 {
		ts.Fatalf("no scenario %s", args[0])
	}
	end := at + len("  "+args[0]+":\n")
	text := string(data[:end]) + "    " + args[1] + "\n" + string(data[end:])
	ts.Check(os.WriteFile(s.policy, []byte(text), 0o600))
}
