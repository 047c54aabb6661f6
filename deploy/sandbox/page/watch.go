package page

import (
	"slices"
	"strings"
	"time"

	"breakglass/deploy/sandbox"
	"breakglass/deploy/sandbox/awstwin"
	"breakglass/deploy/sandbox/slacktwin"
)

// mostHappenings is how long the log is.
const mostHappenings = 80

// happening is a line of the log.
type happening struct {
	at   time.Time
	Kind string // skip, aws, act (what somebody did in a session), slack, mail, fault
	Time string
	Text string
}

// walked is what the page has seen of the walk. Nothing in it is ever taken back.
type walked struct{ asked, granted, did, ended, read bool }

// seenWorld is what was there when somebody last looked.
type seenWorld struct {
	assigned map[awstwin.Assignment]bool
	messages map[string]string  // conversation -> newest message, replies included
	members  map[[2]string]bool // user id and group
	mails    int
	shells   map[string]bool // open ones
	up       bool            // the app has a socket
}

// observe compares the world with what it was at the last look and writes down what has changed. Nobody runs behind it: while no
// page is open nothing is noticed, and then all of it at once. The caller holds mu.
func (s *site) observe() {
	now := s.clock.Now()
	s.observeAssignments(now)
	s.observeGroups()
	s.observeMessages()
	mails := s.world.AWS.Mails()
	for _, m := range mails[min(s.last.mails, len(mails)):] {
		s.note("mail", "Mail to "+strings.Join(m.To, ", ")+": "+m.Subject)
	}
	s.last.mails = len(mails)
	open := map[string]bool{}
	for _, id := range []string{sandbox.ProdWealth, sandbox.ProdCash, sandbox.Prod9Squid} {
		for _, x := range s.world.AWS.SSMSessions(id) {
			if x.Active {
				open[x.ID] = true
			} else if s.last.shells[x.ID] {
				s.note("aws", "The shell on "+x.Target+" in "+s.account(id)+" was ended")
			}
		}
	}
	s.last.shells = open
	if up := s.world.Slack.Sockets() > 0; up != s.last.up {
		s.last.up = up
		s.note("fault", map[bool]string{true: s.product + " is connected to Slack", false: s.product + " lost its connection to Slack"}[up])
	}
}

// observeAssignments: what is new, and what is gone.
func (s *site) observeAssignments(now time.Time) {
	is := map[awstwin.Assignment]bool{}
	for _, a := range s.world.AWS.Assignments() {
		is[a] = true
		if s.last.assigned[a] {
			continue
		}
		s.since[a] = now
		s.walked.granted = s.walked.granted || a.PrincipalType == "USER"
		s.note("aws", s.principal(a)+" was given "+a.PermissionSet+" in "+s.account(a.AccountID))
	}
	for a := range s.last.assigned {
		if is[a] {
			continue
		}
		delete(s.since, a)
		if !s.standing[a] && s.walked.granted && !s.walked.ended {
			s.walked.ended, s.endedAt = true, now
		}
		s.note("aws", s.principal(a)+" no longer has "+a.PermissionSet+" in "+s.account(a.AccountID))
	}
	s.last.assigned = is
}

// observeMessages counts what the app has said in channels and to each person.
func (s *site) observeMessages() {
	type place struct{ id, name string }
	var all []place
	for _, c := range s.world.Slack.Channels() {
		all = append(all, place{c.ID, "#" + c.Name})
	}
	for _, p := range s.world.People {
		for _, c := range s.world.Slack.As(p.Slack).Conversations() {
			if c.IM {
				all = append(all, place{c.ID, "a direct message to " + p.Name})
			}
		}
	}
	for _, c := range all {
		newest, n := s.last.messages[c.id], 0
		for _, m := range recent(s.world.Slack.Messages(c.id)) {
			all := []slacktwin.Message{m}
			if m.Replies > 0 {
				all = s.world.Slack.Thread(c.id, m.TS)
			}
			for _, x := range all {
				if x.User == s.world.Slack.BotUserID() && later(x.TS, s.last.messages[c.id]) {
					n++
				}
				if later(x.TS, newest) {
					newest = x.TS
				}
			}
		}
		if n > 0 {
			s.note("slack", s.product+" wrote in "+c.name)
		}
		s.last.messages[c.id] = newest
	}
}

// recent keeps the end of a conversation: older messages are as good as read, and every refresh goes through them.
func recent(all []slacktwin.Message) []slacktwin.Message {
	return all[max(0, len(all)-mostMessages):]
}

// observeGroups: memberships that came and went, which is how access to a network is given.
func (s *site) observeGroups() {
	is := map[[2]string]bool{}
	for _, g := range s.world.AWS.Groups() {
		for _, m := range g.Members {
			k := [2]string{m, g.Name}
			if is[k] = true; !s.last.members[k] {
				s.note("aws", s.awsName(m)+" is now in the group "+g.Name)
			}
		}
	}
	for k := range s.last.members {
		if !is[k] {
			s.note("aws", s.awsName(k[0])+" is no longer in the group "+k[1])
		}
	}
	s.last.members = is
}

// note adds a line to the log. The caller holds mu.
func (s *site) note(kind, text string) {
	s.happened = append(s.happened, happening{at: s.clock.Now(), Kind: kind, Text: text})
	if over := len(s.happened) - mostHappenings; over > 0 {
		s.happened = slices.Delete(s.happened, 0, over)
	}
}

// log is what happened, newest first. The caller holds mu.
func (s *site) log(w writer) []happening {
	out := slices.Clone(s.happened)
	slices.Reverse(out)
	for i := range out {
		out[i].Time = w.when(out[i].at, "{time}")
	}
	return out
}

// since is what happened after the clock was moved.
type since struct {
	Title string
	Lines []happening // oldest first
	More  int
}

// mostSince is how many lines of it stand beside everything else.
const mostSince = 7

// sinceSkip picks out of the log (newest first) what came after the last skip; nil where there was none or it was put away. The caller
// holds mu.
func (s *site) sinceSkip(log []happening) *since {
	for i, h := range log {
		if h.Kind != "skip" {
			continue
		}
		if !h.at.After(s.sinceRead) {
			return nil
		}
		lines := slices.DeleteFunc(slices.Clone(log[:i]), func(h happening) bool { return h.Kind == "act" })
		slices.Reverse(lines)
		out := &since{Title: h.Text, Lines: lines[:min(len(lines), mostSince)]}
		out.More = len(lines) - len(out.Lines)
		return out
	}
	return nil
}

// step is a step of the walk for newcomers.
type step struct {
	N           int
	Text, Hint  string
	GoText, URL string
	Type        string // what the link puts into the message box
	Done, Next  bool
}

// steps is the walk: who to be, what to do, and whether it is done. The caller holds mu.
func (s *site) steps(l look) []step {
	as := func(key, tab string) string {
		return look{who: s.someone(key), tab: tab}.at("", "")
	}
	dana := s.someone("dana")
	channel := look{who: dana}.at(s.world.Slack.ChannelID("platform-support"), "")
	out := []step{
		{Text: "Ask", Hint: "As Dana, send /breakglass. Pick EC2, an account, one hour; write a reason and a ticket such as OPS-1.",
			GoText: "Be Dana", URL: channel, Type: "/breakglass", Done: s.walked.asked},
		{Text: "Approve", Hint: "Lee is Dana's manager. His direct messages have the buttons; so has the channel.",
			GoText: "Be Lee", URL: as("lee", ""), Done: s.walked.granted},
		{Text: "Use it", Hint: "As Dana, sign in on the right and try things. Some are allowed, some are refused. Leave a shell open.",
			GoText: "Be Dana", URL: as("dana", ""), Done: s.walked.did},
		{Text: "Skip an hour", Hint: "The access ends by itself, and open shells with it. Look on the right, then try the open session again.", GoText: "", URL: "", Done: s.walked.ended},
		{Text: "Read the summary", Hint: "Half an hour later the thread says what was done. Skip 30 minutes and open it.",
			GoText: "Open the channel", URL: channel, Done: s.walked.read},
	}
	next := true
	for i := range out {
		out[i].N = i + 1
		out[i].Next = next && !out[i].Done
		next = next && out[i].Done
	}
	return out
}

// someone finds a person of the walk; the first of all where the world has other people.
func (s *site) someone(key string) *sandbox.Person {
	if p := s.world.Person(key); p != nil {
		return p
	}
	return s.world.People[0]
}

// walkSaw ticks the last step: the open thread has something of the app's that speaks of CloudTrail, from after the end. The caller holds mu.
func (s *site) walkSaw(l look) {
	if !s.walked.ended || l.thread == "" || s.walked.read {
		return
	}
	for _, m := range s.world.Slack.Thread(l.room, l.thread) {
		if m.BotID != "" && sentAt(m.TS).After(s.endedAt) && strings.Contains(m.PlainText(), "CloudTrail") {
			s.walked.read = true
		}
	}
}
