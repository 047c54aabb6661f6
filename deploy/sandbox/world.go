// Package sandbox is a company to try the product in: a Slack workspace, an AWS organisation and a clock that can be skipped, all on
// this machine, with Forge's people, accounts and permission sets as the example policy names them.
//
// It knows nothing of the product. It speaks Slack's and AWS's own protocols (slacktwin, awstwin), so that the bot that runs against it is the
// bot that runs against the real ones.
package sandbox

import (
	"maps"
	"slices"
	"time"

	"breakglass/deploy/sandbox/awstwin"
	"breakglass/deploy/sandbox/slacktwin"
)

// World is the company: its workspace, its organisation, and whom to find in both.
type World struct {
	Slack  *slacktwin.Workspace
	AWS    *awstwin.Organization
	People []*Person // in the order of the switch between them
}

// Person is somebody who works for Forge, or does not.
type Person struct {
	Key   string // short name, as alice
	Name  string
	Role  string // who they are, for the page
	Email string
	Slack string // user id
	AWS   string // Identity Center user id; "" for who has none
	IAM   string // name of the IAM user in prod-wealth; "" for who has none
}

// Tokens and keys of the sandbox's bot. They open nothing but the sandbox.
const (
	BotToken = "xoxb-sandbox-bot"
	AppToken = "xapp-sandbox-app"
)

// Forge's accounts, as the example policy has them.
const (
	Dev        = "100000000001"
	QA         = "100000000002"
	ProdWealth = "100000000003"
	ProdCash   = "100000000004"
	Prod9Squid = "100000000005"
	BotAccount = "100000000009" // the bot's own; the delegated administrator of Identity Center
)

const domain = "@forge.example"

// Person finds somebody by key; nil where there is nobody.
func (w *World) Person(key string) *Person {
	for _, p := range w.People {
		if p.Key == key {
			return p
		}
	}
	return nil
}

// Forge makes the company. now is the clock of everything in it; aws and slack add to what the twins are made with.
func Forge(now func() time.Time, slack slacktwin.Config, aws awstwin.Config) *World {
	slack.Now, slack.TeamName = now, "Forge"
	slack.BotToken, slack.AppToken = BotToken, AppToken
	slack.Commands = []string{"/breakglass", "/access"}
	aws.Now, aws.BotAccount, aws.ManagementName = now, BotAccount, "forge-management"
	w := &World{Slack: slacktwin.New(slack), AWS: awstwin.New(aws)}
	w.accounts()
	w.people()
	w.channels()
	w.sets()
	w.install()
	w.evidence()
	return w
}

func (w *World) accounts() {
	for _, a := range []struct{ id, name string }{
		{Dev, "dev"}, {QA, "qa"}, {ProdWealth, "prod-wealth"}, {ProdCash, "prod-cash"}, {Prod9Squid, "prod-9squid"}, {BotAccount, "platform"},
	} {
		w.AWS.AddAccount(a.id, a.name)
		w.AWS.SetRole(a.id, MemberRole, trustOf("arn:aws:iam::"+BotAccount+":root"), map[string]string{"breakglass": memberPolicy(a.id)})
	}
	w.AWS.SetSES(BotAccount, "us-east-1", true, "breakglass"+domain)
	for _, id := range prods() {
		name := w.AWS.AccountName(id)
		w.AWS.AddInstance(id, "us-east-1", "i-0"+id[4:]+"a1", name+"-api-1")
		w.AWS.AddInstance(id, "us-east-1", "i-0"+id[4:]+"b2", name+"-worker-1")
		w.AWS.AddLogGroup(id, "us-east-1", "/forge/"+name+"/api", "api-1",
			"02:03:11 ERROR connection pool exhausted (200/200)", "02:03:12 WARN  retrying checkout", "02:03:14 ERROR upstream timed out")
		w.AWS.AddDatabase(id, "us-east-1", name+"-main", "postgres")
		w.AWS.AddTable(id, "us-east-1", name+"-sessions")
	}
}

// forger is somebody who works there: who they are, whom they report to, and their groups.

type forger struct {
	key, name, role, email, boss string
	iam                          string
	groups                       []string
	guest, noAWS                 bool
}

func forgers() []forger {
	return []forger{
		{key: "lee", name: "Lee Novak", role: "engineering manager", boss: "casey", groups: []string{"grp-forge-eng-managers"}},
		{key: "casey", name: "Casey Brandt", role: "CTO", groups: []string{"grp-forge-wealth-prod"}},
		{key: "alice", name: "Alice Okafor", role: "on-call engineer", email: "oncall" + domain, boss: "lee", iam: OnCallUser, groups: []string{"grp-forge-sre-oncall", "grp-forge-developers"}},
		{key: "dana", name: "Dana Ruiz", role: "developer", boss: "lee", groups: []string{"grp-forge-developers"}},
		{key: "pat", name: "Pat Lindqvist", role: "platform lead", boss: "casey", groups: []string{"grp-forge-platform-leads", "grp-forge-platform-admins"}},
		{key: "sam", name: "Sam Ito", role: "senior engineer", boss: "pat", groups: []string{"grp-forge-platform-admins"}},
		{key: "sec", name: "Rosa Haddad", role: "security lead", email: "security.lead" + domain, boss: "casey"},
		{key: "inc", name: "Tomas Weil", role: "incident manager", email: "incident.manager" + domain, boss: "casey"},
		{key: "oscar", name: "Oscar Bell", role: "outsider: works here, has no rights", boss: "lee"},
		{key: "gus", name: "Gus Merino", role: "guest of the workspace", guest: true, noAWS: true},
	}
}

func (w *World) people() {
	all := forgers()
	byKey := map[string]*Person{}
	for _, f := range all {
		if f.email == "" {
			f.email = f.key + domain
		}
		p := &Person{Key: f.key, Name: f.name, Role: f.role, Email: f.email, IAM: f.iam}
		p.Slack = w.Slack.AddUser(slacktwin.User{Name: f.key, RealName: f.name, Email: f.email, EmailConfirmed: true, Restricted: f.guest, TZ: "Europe/Berlin"})
		byKey[f.key] = p
		w.People = append(w.People, p)
	}
	members := map[string][]string{"grp-forge-breakglass-anchor": nil, CanaryGroup: nil,
		"grp-forge-vpn-prod-wealth": nil, "grp-forge-vpn-prod-cash": nil}
	// Bosses come first: the directory names a manager by their id.
	for done := 0; done < len(all); {
		for _, f := range all {
			p := byKey[f.key]
			if p.AWS != "" || f.noAWS {
				continue
			}
			boss := ""
			if f.boss != "" {
				if boss = byKey[f.boss].AWS; boss == "" {
					continue
				}
			}
			p.AWS = w.AWS.AddUser(awstwin.User{UserName: f.key, Email: p.Email, DisplayName: f.name, ManagerID: boss, Title: f.role})
			for _, g := range f.groups {
				members[g] = append(members[g], p.AWS)
			}
		}
		done = 0
		for _, f := range all {
			if f.noAWS || byKey[f.key].AWS != "" {
				done++
			}
		}
	}
	for _, g := range slices.Sorted(maps.Keys(members)) {
		w.AWS.AddGroup(g, members[g]...)
	}
	// The order of the switch: who asks, who decides, who must not.
	var order []*Person
	for _, k := range []string{"alice", "dana", "lee", "pat", "sam", "sec", "inc", "casey", "oscar", "gus"} {
		order = append(order, byKey[k])
	}
	w.People = order
}

func (w *World) channels() {
	bot := w.Slack.BotUserID()
	everybody := []string{bot}
	for _, p := range w.People {
		everybody = append(everybody, p.Slack)
	}
	w.Slack.AddChannel(slacktwin.Channel{Name: "platform-support", Members: everybody})
	w.Slack.AddChannel(slacktwin.Channel{Name: "platform-incidents", Members: everybody})
	id := func(keys ...string) (out []string) {
		for _, k := range keys {
			out = append(out, w.Person(k).Slack)
		}
		return out
	}
	w.Slack.AddUserGroup(slacktwin.UserGroup{Handle: "sre-oncall", Name: "SRE on call", Members: id("alice")})
	w.Slack.AddUserGroup(slacktwin.UserGroup{Handle: "platform-leads", Name: "Platform leads", Members: id("pat")})
	w.Slack.AddUserGroup(slacktwin.UserGroup{Handle: "eng-managers", Name: "Engineering managers", Members: id("lee")})
}
