package main

import (
	"net/http"
	"regexp"
	"strconv"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"breakglass/deploy/sandbox/trackertwin"
)

// trackerAccount is the bot's account in the tracker of the stories.
const trackerAccount = "breakglass@forge.example:tracker-token-1"

// wordTracker is the tracker of the company, beside the twins of Slack and AWS; the policy must name https://tracker.twin:
//
//	tracker jira|servicenow KEY…     there is one, with these tickets
//	tracker says KEY REGEXP N        so many comments of a ticket say it
//	tracker plain KEY                nothing in its comments became more than text
//	tracker fails STATUS N           the next N calls are refused so
//	tracker loses                    the answer to the next comment is lost
//	tracker forgets | tracker knows  the bot's account
func (s *story) wordTracker(ts *testscript.TestScript, neg bool, args []string) {
	switch args[0] {
	case trackertwin.Jira, trackertwin.ServiceNow:
		s.tickets = trackertwin.New(args[0], time.Now)
		s.tickets.Allow(trackerAccount)
		for _, key := range args[1:] {
			s.tickets.AddTicket(key, "Checkout is down", "In Progress")
		}
		s.tracker = &http.Server{Handler: s.tickets}
		go func() { _ = s.tracker.Serve(s.net.Listen("tracker.twin")) }()
	case "says":
		want, err := strconv.Atoi(args[3])
		ts.Check(err)
		re, n := regexp.MustCompile(args[2]), 0
		for _, c := range s.tickets.Comments(args[1]) {
			if re.MatchString(c) {
				n++
			}
		}
		if (n == want) == neg {
			ts.Fatalf("%d comments of %s say %s: %q", n, args[1], args[2], s.tickets.Comments(args[1]))
		}
	case "plain":
		if m := s.tickets.Markup(args[1]); len(m) > 0 {
			ts.Fatalf("it is no plain text: %q", m)
		}
	case "fails":
		status, err := strconv.Atoi(args[1])
		ts.Check(err)
		n, err := strconv.Atoi(args[2])
		ts.Check(err)
		s.tickets.FailNext("", status, time.Minute, n)
	case "loses":
		s.tickets.LoseAnswerNext("POST /rest/api/3/issue/*/comment")
	case "forgets":
		s.tickets.Forget(trackerAccount)
	case "knows":
		s.tickets.Allow(trackerAccount)
	default:
		ts.Fatalf("tracker %s?", args[0])
	}
}
