package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"breakglass/deploy/sandbox"
	"breakglass/deploy/sandbox/awstwin"
	"breakglass/store/ledger"
	"breakglass/workflows/report"
)

// witnesses is what the stories about evidence keep besides the rest.
type witnesses struct {
	throttled atomic.Value // the Region in which CloudTrail throttles, a string
	closed    atomic.Value // the account whose member role cannot be assumed, a string
	shells    map[string]*awstwin.Shell
	kept      map[string][]byte // checkpoints that somebody copied out of Slack
}

// The words of the stories about evidence:
//
//	trail throttle REGION | trail calm          every LookupEvents there is throttled, in any account
//	trail late NAME DURATION N                  the next N events of that name come later than usual
//	trail slow DURATION                         every call takes so much longer
//	trail trust ACCOUNT off|on                  whether the member role there can be assumed
//	trail burst SESSION N SPAN SERVICE:ACTION…  N events of a kept session, spread over the last SPAN
//	trail from NEW SESSION ADDRESS AGENT        the same keys at another address
//	trail taken alice ACCOUNT SET [cli]         somebody asks the portal for credentials; with ! is refused
//	trail once BG-1001 N                        N events in all parts of its archive, none of them twice
//	trail exactly GLOB NAME[,NAME…]             the names of the events in one file, sorted
//	shell open NAME SESSION TARGET [DOCUMENT] | shell type NAME LINE… | shell close NAME
//	ses production on|off | ses paused on|off | ses away on|off
//	mails REGEXP N                              so many mails have such a subject; mails bounded: none is over its bounds
//	said REGEXP N                               so many messages in the threads of the requests channel say it
//	crash-torn                                  kill -9 with what was on disk then, a torn line of the evidence and all
//	witness keep NAME [N] | witness holds NAME | witness count N     the Nth newest checkpoint in the requests channel; with !, after a letter of it was changed
func (s *story) evidenceWords(w map[string]func(*testscript.TestScript, bool, []string)) {
	w["trail"], w["shell"], w["ses"], w["mails"], w["said"] = s.wordTrail, s.wordShell, s.wordSES, s.wordMails, s.wordSaid
	w["crash-torn"], w["witness"] = s.wordCrashTorn, s.wordWitness
	s.seen.shells, s.seen.kept = map[string]*awstwin.Shell{}, map[string][]byte{}
}

// throttling stands before AWS: it throttles CloudTrail in one Region, as AWS does when others in the account ask it too much, and keeps the bot out of one
// account's member role, as where somebody changed whom it trusts.
func (s *story) throttling(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		region, _ := s.seen.throttled.Load().(string)
		if region != "" && strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".LookupEvents") && strings.Contains(r.Header.Get("Authorization"), "/"+region+"/cloudtrail/") {
			answerWith(w, "application/x-amz-json-1.1", http.StatusBadRequest, `{"__type":"ThrottlingException","message":"Rate exceeded"}`)
			return
		}
		if account, _ := s.seen.closed.Load().(string); account != "" && strings.Contains(r.Header.Get("Authorization"), "/sts/") {
			body, err := io.ReadAll(r.Body)
			if r.Body = io.NopCloser(bytes.NewReader(body)); err == nil && bytes.Contains(body, []byte("Action=AssumeRole")) && bytes.Contains(body, []byte(account)) {
				answerWith(w, "text/xml", http.StatusForbidden, `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>AccessDenied</Code>`+
					`<Message>not authorized to perform: sts:AssumeRole</Message></Error><RequestId>1</RequestId></ErrorResponse>`)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

func answerWith(w http.ResponseWriter, kind string, status int, body string) {
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

func (s *story) wordTrail(ts *testscript.TestScript, neg bool, args []string) {
	switch args[0] {
	case "throttle":
		s.seen.throttled.Store(args[1])
	case "calm":
		s.seen.throttled.Store("")
	case "late":
		by, err := time.ParseDuration(args[2])
		ts.Check(err)
		s.world.AWS.DelayEvents(args[1], by, numberIn(ts, args[3]))
	case "slow":
		by, err := time.ParseDuration(args[1])
		ts.Check(err)
		s.world.AWS.SetServiceDelay("cloudtrail", by)
	case "trust":
		closed := ""
		if args[2] == "off" {
			closed = s.account(ts, args[1])
		}
		s.seen.closed.Store(closed)
	case "burst":
		s.burst(ts, args[1:])
	case "from":
		session := s.sessions[args[2]]
		if session == nil {
			ts.Fatalf("nobody is signed in as %s", args[2])
		}
		s.sessions[args[1]] = session.From(args[3], args[4])
	case "taken":
		take := s.world.AWS.SignIn
		if len(args) > 4 {
			take = s.world.AWS.SignInCLI
		}
		if _, err := take(s.who(ts, args[1]).AWS, s.account(ts, args[2]), args[3]); (err == nil) == neg {
			ts.Fatalf("%v: %v", args, err)
		}
	case "once":
		s.once(ts, args[1], numberIn(ts, args[2]))
	case "exactly":
		s.exactly(ts, args[1], args[2])
	default:
		ts.Fatalf("trail %s?", args[0])
	}
}

func numberIn(ts *testscript.TestScript, text string) (n int) {
	_, err := fmt.Sscan(text, &n)
	ts.Check(err)
	return n
}

func (s *story) burst(ts *testscript.TestScript, args []string) {
	session := s.sessions[args[0]]
	if session == nil {
		ts.Fatalf("nobody is signed in as %s", args[0])
	}
	span, err := time.ParseDuration(args[2])
	ts.Check(err)
	b := awstwin.Burst{N: numberIn(ts, args[1]), From: time.Now().Add(-span), To: time.Now()}
	for i, a := range args[3:] {
		service, action, _ := strings.Cut(a, ":")
		b.Actions = append(b.Actions, awstwin.Action{Service: service, Name: action, Params: map[string]any{"nr": i}})
	}
	session.Burst(b)
}

// event is what a line of events.jsonl is known by.
type event struct {
	Source string
	Event  struct {
		EventID   string `json:"eventID"`
		EventName string `json:"eventName"`
	}
}

func (s *story) eventsOf(ts *testscript.TestScript, name string) (all []event) {
	for line := range bytes.Lines(s.object(name)) {
		var e event
		if err := json.Unmarshal(line, &e); err != nil || e.Event.EventID == "" || e.Source == "" {
			ts.Fatalf("%s: %v in %s", name, err, line)
		}
		all = append(all, e)
	}
	return all
}

// once counts the events in all parts of a session's archive, and finds none of them a second time.
func (s *story) once(ts *testscript.TestScript, id string, want int) {
	at, n := map[string]string{}, 0
	for _, name := range s.archived("sessions/" + id + "/*/events.jsonl") {
		for _, e := range s.eventsOf(ts, name) {
			if before := at[e.Event.EventID]; before != "" {
				ts.Fatalf("%s %s is in %s and in %s", e.Event.EventName, e.Event.EventID, before, name)
			}
			at[e.Event.EventID] = name
			n++
		}
	}
	if n != want {
		ts.Fatalf("%d events are in the archive of %s", n, id)
	}
}

func (s *story) exactly(ts *testscript.TestScript, glob, want string) {
	found := s.archived(glob)
	if len(found) != 1 {
		ts.Fatalf("%s: %v", glob, found)
	}
	var names []string
	for _, e := range s.eventsOf(ts, found[0]) {
		names = append(names, e.Event.EventName)
	}
	sort.Strings(names)
	if got := strings.Join(names, ","); got != want {
		ts.Fatalf("%s has %q", found[0], got)
	}
}

func (s *story) wordShell(ts *testscript.TestScript, neg bool, args []string) {
	shell := s.seen.shells[args[1]]
	switch args[0] {
	case "open":
		document := ""
		if len(args) > 4 {
			document = args[4]
		}
		opened, err := s.sessions[args[2]].OpenShell(context.Background(), "us-east-1", args[3], document)
		if (err == nil) == neg {
			ts.Fatalf("%v: %v", args, err)
		}
		s.seen.shells[args[1]] = opened
	case "type":
		if shell.Type(args[2:]...) == neg {
			ts.Fatalf("typing into %s (not: %v)", args[1], neg)
		}
	case "close":
		shell.Close()
	default:
		ts.Fatalf("shell %s?", args[0])
	}
}

func (s *story) wordSES(ts *testscript.TestScript, _ bool, args []string) {
	switch args[0] {
	case "production":
		s.world.AWS.SetSES(sandbox.BotAccount, "us-east-1", args[1] == "on")
	case "away":
		s.world.AWS.Outage("sesv2", args[1] == "on")
	case "paused":
		s.world.AWS.SetSESPaused(sandbox.BotAccount, "us-east-1", args[1] == "on")
	default:
		ts.Fatalf("ses %s?", args[0])
	}
}

func (s *story) wordMails(ts *testscript.TestScript, neg bool, args []string) {
	var subjects []string
	for _, m := range s.world.AWS.Mails() {
		if len(m.HTML) > report.MostHTML || len(m.Raw) > 2<<20 {
			ts.Fatalf("%s: %d bytes of HTML, %d in all", m.Subject, len(m.HTML), len(m.Raw))
		}
		subjects = append(subjects, m.Subject)
	}
	if args[0] == "bounded" {
		return
	}
	counted(ts, neg, args, subjects)
}

func (s *story) wordSaid(ts *testscript.TestScript, neg bool, args []string) {
	sp := s.world.Slack.As(s.who(ts, "dana").Slack).In(s.requests())
	var all []string
	for _, m := range sp.Messages(s.requests()) {
		for _, reply := range sp.Thread(m.Channel, m.TS) {
			all = append(all, reply.PlainText())
		}
	}
	counted(ts, neg, args, all)
}

// counted counts the texts that a pattern fits.
func counted(ts *testscript.TestScript, neg bool, args []string, texts []string) {
	re, err := regexp.Compile("(?s)" + args[0])
	ts.Check(err)
	n := 0
	for _, t := range texts {
		if re.MatchString(t) {
			n++
		}
	}
	if (n == numberIn(ts, args[1])) == neg {
		ts.Fatalf("%d say %q:\n%s", n, args[0], strings.Join(texts, "\n---\n"))
	}
}

// wordCrashTorn is a crash that leaves the evidence as it was on the disk at that moment, with a line that was half written, and not as a run
// leaves it that still had time to close its files.
func (s *story) wordCrashTorn(ts *testscript.TestScript, neg bool, args []string) {
	then := filepath.Join(s.dir, fmt.Sprintf("then-%d", s.runs))
	ts.Check(os.CopyFS(then, os.DirFS(spoolAt(s.store))))
	under, err := filepath.Glob(filepath.Join(then, "readings", "*.jsonl"))
	ts.Check(err)
	if len(under) == 0 {
		ts.Fatalf("no reading is under way")
	}
	for _, name := range under {
		f, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0o600)
		ts.Check(err)
		_, err = f.WriteString(`{"source":"torn/us-east-1","record":{"ID":"to`)
		ts.Check(errors.Join(err, f.Close()))
	}
	s.crash()
	ts.Check(os.RemoveAll(spoolAt(s.store)))
	ts.Check(os.CopyFS(spoolAt(s.store), os.DirFS(then)))
	s.wordStart(ts, neg, args)
}

// wordWitness copies a checkpoint out of the requests channel, as people do, and later verifies the archive against it.
func (s *story) wordWitness(ts *testscript.TestScript, neg bool, args []string) {
	switch args[0] {
	case "keep":
		all := s.checkpointsSaid(ts)
		back := 1
		if len(args) > 2 {
			back = numberIn(ts, args[2])
		}
		if len(all) < back {
			ts.Fatalf("%d checkpoints stand in the channel", len(all))
		}
		s.seen.kept[args[1]] = all[len(all)-back]
	case "count":
		if n := len(s.checkpointsSaid(ts)); (n == numberIn(ts, args[1])) == neg {
			ts.Fatalf("%d checkpoints stand in the channel", n)
		}
	case "holds":
		kept := slices.Clone(s.seen.kept[args[1]])
		if neg { // one letter of the root
			at := bytes.Index(ledger.Tidy(kept), []byte("\n")) // the origin's line end
			kept = ledger.Tidy(kept)
			at += 1 + bytes.IndexByte(kept[at+1:], '\n') + 3
			kept[at] ^= 1
		}
		r, err := verifyWith(s.run.p.db, twinBucket{s.world.AWS}, ledger.Named{Name: args[1], Note: kept})
		ts.Check(err)
		if r.OK == neg {
			ts.Fatalf("against %s it holds: %v\n%+v\n%s", args[1], r.OK, r.Findings, kept)
		}
	default:
		ts.Fatalf("witness %s?", args[0])
	}
}

// checkpointsSaid are the checkpoints in the requests channel, as they look there, oldest first.
func (s *story) checkpointsSaid(ts *testscript.TestScript) (all [][]byte) {
	for _, m := range s.world.Slack.As(s.who(ts, "dana").Slack).Messages(s.requests()) {
		text := m.PlainText()
		from, to := strings.Index(text, "breakglass/"), strings.Index(text, "To check")
		if strings.Contains(text, "Checkpoint of the log") && from >= 0 && to > from {
			all = append(all, []byte(text[from:to]))
		}
	}
	return all
}
