package page

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"breakglass/deploy/sandbox"
	"breakglass/deploy/sandbox/awstwin"
)

// panel is what AWS knows.
type panel struct {
	HasUser   bool // a guest has no user in Identity Center
	Access    []access
	Coming    []inFlight
	Groups    []group
	Sessions  []sessionCard
	Now       []assignment // made since the sandbox began
	Standing  []assignment // there from the beginning
	Instances []instance
	Shells    []shell
	Schedules []schedule
	Guards    []guardPolicy
	Quiet     int    // guards that name nobody
	Role      string // a role that the chosen person's IAM user may assume; "" for none
	IAMUser   string
	Mails     []mail
	Archive   *archive
	Log       []happening
	Since     *since // what came of the last skip
	SlackDown bool
	AWSDown   bool
	Refusals  []string
}

// access is one way in for the chosen person.
type access struct {
	Account, AccountID, Set, Via, Since string
	Standing                            bool
	TestID                              string
}

// group is a group of the directory that the chosen person is in.
type group struct {
	Name string
	New  bool // since the sandbox began
}

type inFlight struct{ Kind, Account, Set, Who string }

type assignment struct {
	Who, Kind, Account, Set, Since, Members string
	Live                                    bool // it is in the middle of being taken away
}

type instance struct{ ID, Name, Account, State string }

type shell struct {
	Target, Owner, Account, Started, Ended string
	Active                                 bool
}

type mail struct {
	N                           int
	To, From, Subject, At, Body string
	HTML                        string // where it is shown; "" for a mail of text alone
	Files                       []mailFile
}

type mailFile struct {
	Name, URL string
	Size      int
}

func (s *site) account(id string) string { return s.world.AWS.AccountName(id) }

// panel asks AWS's twin. The caller holds mu.
func (s *site) panel(l look) panel {
	w := writer{s, l.who.Slack}
	o := s.world.AWS
	p := panel{HasUser: l.who.AWS != "", Sessions: s.cards(l, w), Schedules: s.schedules(w), SlackDown: s.slackDown, AWSDown: s.awsDown}
	if p.HasUser {
		for _, e := range o.Access(l.who.AWS) {
			p.Access = append(p.Access, s.access(w, e))
		}
		for _, g := range o.Groups() {
			if slices.Contains(g.Members, l.who.AWS) {
				p.Groups = append(p.Groups, group{g.Name, !s.joined[[2]string{l.who.AWS, g.Name}]})
			}
		}
	}
	for _, op := range o.InFlight() {
		if op.PrincipalID == l.who.AWS {
			p.Coming = append(p.Coming, inFlight{op.Kind, s.account(op.AccountID), op.PermissionSet, s.principal(op.Assignment)})
		}
	}
	if l.who.IAM != "" {
		p.IAMUser, p.Role = l.who.IAM, sandbox.AdminRole
	}
	p.Guards, p.Quiet = s.guards(w)
	s.assignments(w, &p)
	s.estate(w, &p)
	for i, m := range o.Mails() {
		p.Mails = append(p.Mails, s.mail(w, i, m))
	}
	slices.Reverse(p.Mails)
	if l.tab == "archive" {
		p.Archive = s.archive(w)
	}
	p.Log = s.log(w)
	if l.tab != "log" {
		p.Since = s.sinceSkip(p.Log)
	}
	for _, r := range s.world.Slack.Refusals() {
		p.Refusals = append(p.Refusals, r.Method+": "+r.Error+" "+r.Detail)
	}
	return p
}

func (s *site) access(w writer, e awstwin.Effective) access {
	a := access{Account: s.account(e.AccountID), AccountID: e.AccountID, Set: e.PermissionSet, Via: e.ViaGroup, Standing: s.standing[e.Assignment],
		TestID: s.account(e.AccountID) + "-" + e.PermissionSet}
	if since, known := s.since[e.Assignment]; known {
		a.Since = w.when(since, "{time}")
	}
	return a
}

// principal is who an assignment is for.
func (s *site) principal(a awstwin.Assignment) string {
	if a.PrincipalType == "USER" {
		return s.awsName(a.PrincipalID)
	}
	for _, g := range s.world.AWS.Groups() {
		if g.ID == a.PrincipalID {
			return g.Name
		}
	}
	return a.PrincipalID
}

func (s *site) assignments(w writer, p *panel) {
	members := map[string]int{}
	for _, g := range s.world.AWS.Groups() {
		members[g.ID] = len(g.Members)
	}
	leaving := map[awstwin.Assignment]bool{}
	for _, op := range s.world.AWS.InFlight() {
		leaving[op.Assignment] = op.Kind == "delete"
	}
	for _, a := range s.world.AWS.Assignments() {
		row := assignment{Who: s.principal(a), Kind: "person", Account: s.account(a.AccountID), Set: a.PermissionSet, Live: leaving[a]}
		if a.PrincipalType != "USER" {
			row.Kind, row.Members = "group", plural(members[a.PrincipalID], "member")
		}
		if s.standing[a] {
			p.stand(row)
			continue
		}
		row.Since = w.when(s.since[a], "{time}")
		p.Now = append(p.Now, row)
	}
}

// stand adds an assignment that was there from the beginning; those of one group and set share a row.
func (p *panel) stand(row assignment) {
	for i := range p.Standing {
		if same := &p.Standing[i]; same.Who == row.Who && same.Set == row.Set {
			same.Account += ", " + row.Account
			return
		}
	}
	p.Standing = append(p.Standing, row)
}

// estate lists what there is to work on: instances, and the shells that are open on them.
func (s *site) estate(w writer, p *panel) {
	for _, id := range []string{sandbox.ProdWealth, sandbox.ProdCash, sandbox.Prod9Squid} {
		for _, i := range s.world.AWS.Instances(id) {
			p.Instances = append(p.Instances, instance{i.ID, i.Name, s.account(id), i.State})
		}
		all := s.world.AWS.SSMSessions(id)
		slices.SortFunc(all, func(a, b awstwin.SSMSession) int {
			return cmp.Or(b.Started.Compare(a.Started), cmp.Compare(a.ID, b.ID))
		})
		for _, x := range all {
			one := shell{Target: x.Target, Owner: x.Owner[strings.LastIndex(x.Owner, "/")+1:], Account: s.account(id), Active: x.Active, Started: w.when(x.Started, "{time}")}
			if !x.Active {
				one.Ended = w.when(x.Ended, "{time}")
			}
			p.Shells = append(p.Shells, one)
		}
	}
}

func (s *site) mail(w writer, n int, m awstwin.Mail) mail {
	out := mail{N: n, To: strings.Join(slices.Concat(m.To, m.Cc), ", "), From: m.From, Subject: m.Subject, At: w.when(m.At, "{date_short_pretty} at {time}"),
		Body: first(strings.TrimSpace(m.Text), "(This message has no plain text.)")}
	if m.HTML != "" {
		out.HTML = letterURL(n)
	}
	for i, a := range m.Attachments {
		out.Files = append(out.Files, mailFile{a.Name, mailURL(n, i), len(a.Content)})
	}
	return out
}

// clockFace is the time in the sandbox.
type clockFace struct {
	Day, Time string
	Unix      int64 // milliseconds
	Ahead     string
	Zone      string
}

func (s *site) face(l look) clockFace {
	w, now := writer{s, l.who.Slack}, s.clock.Now()
	f := clockFace{Day: w.when(now, "{date_short}"), Time: w.when(now, "{time}"), Unix: now.UnixMilli()}
	if ahead := s.clock.Offset().Round(time.Minute); ahead > 0 {
		f.Ahead = span(ahead)
	}
	for _, u := range s.world.Slack.Users() {
		if u.ID == l.who.Slack {
			f.Zone = u.TZ
		}
	}
	return f
}

// span writes a duration as people say it.
func span(d time.Duration) string {
	var out []string
	if h := int(d.Hours()); h > 0 {
		out = append(out, plural(h, "hour"))
	}
	if m := int(d.Minutes()) % 60; m > 0 {
		out = append(out, plural(m, "minute"))
	}
	return first(strings.Join(out, " "), "0 minutes")
}
