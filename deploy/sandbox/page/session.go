package page

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"breakglass/deploy/sandbox"
	"breakglass/deploy/sandbox/awstwin"
)

// signedIn is a session that somebody opened from the page, with what was tried in it.
type signedIn struct {
	n       int
	opened  time.Time
	session *awstwin.Session
	tried   []attempt
}

type attempt struct {
	at      time.Time
	what    string // as ec2:StopInstances i-0…
	allowed bool
	said    string
}

// mostTried is how many attempts a session's card keeps.
const mostTried = 12

// sessionCard is a session as it is drawn.
type sessionCard struct {
	N                            int
	Account, Set, Opened, Expire string
	Expired, Assigned            bool
	RefusedBy                    string // the policy that denies it everything; "" for none
	Acts                         []act
	Tried                        []tried
}

type tried struct {
	At, What, Said string
	Allowed        bool
}

// act is a thing to do in a session.
type act struct{ Name, Text, Kind string }

// acts are offered in every session, whatever its permission set allows: that AWS refuses some is the point.
var acts = []struct {
	act
	do func(*site, *awstwin.Session) awstwin.Action
}{
	{act{"describe-instances", "List instances", "read"}, plainAct("ec2", "DescribeInstances")},
	{act{"list-buckets", "List buckets", "read"}, plainAct("s3", "ListBuckets")},
	{act{"read-log", "Read the log", "read"}, func(s *site, x *awstwin.Session) awstwin.Action {
		return awstwin.Action{Service: "logs", Name: "GetLogEvents", Params: map[string]any{
			"logGroupName": "/forge/" + s.account(x.AccountID) + "/api", "logStreamName": "api-1"}}
	}},
	{act{"start-shell", "Open a shell (SSM)", "change"}, func(s *site, x *awstwin.Session) awstwin.Action {
		return awstwin.Action{Service: "ssm", Name: "StartSession", Params: map[string]any{"Target": s.instance(x)}}
	}},
	{act{"stop-instance", "Stop an instance", "change"}, instanceAct("StopInstances")},
	{act{"start-instance", "Start it again", "change"}, instanceAct("StartInstances")},
	{act{"describe-databases", "List databases", "read"}, plainAct("rds", "DescribeDBInstances")},
	{act{"delete-table", "Delete a table", "danger"}, func(s *site, x *awstwin.Session) awstwin.Action {
		return awstwin.Action{Service: "dynamodb", Name: "DeleteTable", Params: map[string]any{"TableName": s.account(x.AccountID) + "-sessions"}}
	}},
	{act{"create-user", "Create an IAM user", "danger"}, func(*site, *awstwin.Session) awstwin.Action {
		return awstwin.Action{Service: "iam", Name: "CreateUser", Params: map[string]any{"UserName": "backdoor"}}
	}},
}

func plainAct(service, name string) func(*site, *awstwin.Session) awstwin.Action {
	return func(*site, *awstwin.Session) awstwin.Action { return awstwin.Action{Service: service, Name: name} }
}

func instanceAct(name string) func(*site, *awstwin.Session) awstwin.Action {
	return func(s *site, x *awstwin.Session) awstwin.Action {
		return awstwin.Action{Service: "ec2", Name: name, Params: map[string]any{"InstanceIds": []string{s.instance(x)}}}
	}
}

// instance is the one of the account that the card works on: the last, a worker, so that a stop does no visible harm to the first.
func (s *site) instance(x *awstwin.Session) string {
	all := s.world.AWS.Instances(x.AccountID)
	if len(all) == 0 {
		return "i-0000000000000000"
	}
	return all[len(all)-1].ID
}

func (s *site) signIn(p *sandbox.Person, account, set string) error {
	if p.AWS == "" {
		return errors.New("guests have no user in Identity Center")
	}
	x, err := s.world.AWS.SignIn(p.AWS, account, set)
	if err != nil {
		return fmt.Errorf("AWS answered: %w", err)
	}
	s.opened(p, x, p.Name+" signed in to "+s.account(account)+" as "+set)
	return nil
}

// opened keeps a session on the page.
func (s *site) opened(p *sandbox.Person, x *awstwin.Session, note string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.signIns++
	s.sessions[p.Key] = append([]*signedIn{{n: s.signIns, opened: s.clock.Now(), session: x}}, s.sessions[p.Key]...)
	s.note("act", note)
}

// do tries something in a session and writes down what AWS said.
func (s *site) do(ctx context.Context, p *sandbox.Person, n int, name string) error {
	x := s.find(p, n)
	if x == nil {
		return errors.New("that session is gone from the page")
	}
	for _, a := range acts {
		if a.Name != name {
			continue
		}
		action := a.do(s, x.session)
		answer, err := x.session.Ask(ctx, action)
		one := attempt{at: s.clock.Now(), what: action.Service + ":" + action.Name, allowed: err == nil, said: s.words(action, x.session, answer)}
		if err != nil {
			one.said = err.Error()
		} else if action.Name == "StartSession" {
			s.typeInto(str(decode(answer), "SessionId"))
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		x.tried = append([]attempt{one}, x.tried[:min(len(x.tried), mostTried-1)]...)
		s.walked.did = true
		s.note("act", p.Name+": "+one.what+" in "+s.account(x.session.AccountID)+map[bool]string{true: " was allowed", false: " was refused"}[one.allowed])
		return nil
	}
	return fmt.Errorf("there is nothing called %q to do", name)
}

// typeInto is what somebody does in a shell that they opened here, so that there is something to log.
func (s *site) typeInto(id string) {
	if shell := s.world.AWS.ShellOf(id); shell != nil {
		shell.Type("$ uptime", " 02:14:07 up 41 days,  3:02,  1 user,  load average: 9.87, 8.12, 5.40", "$ sudo systemctl restart api", "$ systemctl is-active api", "active")
	}
}

func (s *site) find(p *sandbox.Person, n int) *signedIn {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range s.sessions[p.Key] {
		if x.n == n {
			return x
		}
	}
	return nil
}

func (s *site) signOut(p *sandbox.Person, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, x := range s.sessions[p.Key] {
		if x.n == n {
			s.sessions[p.Key] = append(s.sessions[p.Key][:i:i], s.sessions[p.Key][i+1:]...)
			return
		}
	}
}

// words says in a line what came back. EC2 and S3 answer in XML, which Ask does not hand out: what they list is read from the twin.
func (s *site) words(a awstwin.Action, x *awstwin.Session, answer json.RawMessage) string {
	switch a.Name {
	case "DescribeInstances", "StopInstances", "StartInstances":
		var out []string
		for _, i := range s.world.AWS.Instances(x.AccountID) {
			out = append(out, i.Name+" "+i.State)
		}
		return strings.Join(out, ", ")
	case "GetLogEvents":
		var out []string
		for _, e := range list(decode(answer), "events") {
			out = append(out, str(e, "message"))
		}
		return strings.Join(out, "\n")
	case "StartSession":
		return "Connected to " + fmt.Sprint(a.Params["Target"]) + ": " + str(decode(answer), "SessionId")
	case "DeleteTable":
		return fmt.Sprint(a.Params["TableName"]) + " is gone."
	case "CreateUser":
		return "User backdoor was created."
	}
	return "OK"
}

// cards draws the sessions of one person, newest first. The caller holds mu.
func (s *site) cards(l look, w writer) []sessionCard {
	now := s.clock.Now()
	var out []sessionCard
	for _, x := range s.sessions[l.who.Key] {
		c := sessionCard{N: x.n, Account: s.account(x.session.AccountID), Set: x.session.PermissionSet, Opened: w.when(x.opened, "{time}"),
			Expire: w.when(x.session.Expires, "{time}"), Expired: !now.Before(x.session.Expires)}
		c.RefusedBy, _ = x.session.RefusedBy()
		c.Assigned = x.session.UserID == "" // a role that was assumed has no assignment
		for _, e := range s.world.AWS.Access(l.who.AWS) {
			c.Assigned = c.Assigned || e.AccountID == x.session.AccountID && e.PermissionSet == x.session.PermissionSet
		}
		for _, a := range acts {
			c.Acts = append(c.Acts, a.act)
		}
		for _, t := range x.tried {
			c.Tried = append(c.Tried, tried{w.when(t.at, "{time_secs}"), t.what, t.said, t.allowed})
		}
		out = append(out, c)
	}
	return out
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}
