package report

import (
	"flag"
	"time"

	"breakglass/store"
)

var update = flag.Bool("update", false, "write the golden reports anew")

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func past(minutes float64) time.Time { return noon.Add(time.Duration(minutes * float64(time.Minute))) }

func alice() store.Person {
	return store.Person{SlackID: "UALICE", UserID: "u-alice", UserName: "alice", Email: "alice@forge.example", Name: "Alice Arden"}
}

func bob() store.Person {
	return store.Person{SlackID: "UBOB", UserID: "u-bob", UserName: "bob", Email: "bob@forge.example", Name: "Bob Baker", As: "manager"}
}

func carol() store.Person {
	return store.Person{SlackID: "UCAROL", UserID: "u-carol", UserName: "carol", Email: "carol@forge.example", Name: "Carol Cole", As: "platform-leads"}
}

// plainCase is a session as most are: approved, extended, ended early, its post-mortem written, one place that could not be read at first.
func plainCase() Case {
	r := store.Request{
		ID: "BG-1042", State: store.Reported, Requester: alice(), Scenario: "ec2", Title: "EC2: logs, processes, env vars over SSM", Tier: 1,
		Account: store.Account{Name: "prod-wealth", ID: "100000000003", Regions: []string{"us-east-1", "us-west-2"}, Sensitive: true},
		Region:  "us-west-2", PermissionSet: "Forge-Prod-BreakGlass-EC2", Duration: 2 * time.Hour,
		Reason: "Checkout returns 502 since 11:40.\nNeed the app's logs & <env>.", Ticket: "OPS-123",
		Answers:     []store.Answer{{Name: "instance", Label: "Instance", Value: "i-0abc1234def567890"}},
		Decisions:   []store.Decision{{By: bob(), Approved: true, At: past(3), Comment: "Go ahead; call me when it is back."}},
		SubmittedAt: noon, DecidedAt: past(3), GrantedAt: past(3.2), VerifiedAt: past(3.5), ExpiresAt: past(93.2), EndedAt: past(75.4),
		End:        store.End{Why: store.EndedEarly, By: store.Somebody(alice()), At: past(75)},
		Extensions: []store.Extension{{By: 30 * time.Minute, Reason: "Restart takes longer", State: store.ExtensionGranted, AskedAt: past(50), Until: past(93.2), Decisions: []store.Decision{{By: carol(), Approved: true, At: past(51)}}}},
		Ends:       store.Ends{Guard: true, Schedules: true, Shells: 1}, Owes: true, PostMortemBy: past(24 * 60),
	}
	r.Readings = []store.Reading{plainReading()}
	return Case{Request: r, At: past(91), Archive: "s3://forge-breakglass-archive/sessions/BG-1042", Next: past(195), Lines: lines(r.ID)}
}

func lines(id store.ID) []store.Event {
	return []store.Event{
		{Seq: 1021, At: noon, Actor: store.Somebody(alice()), Request: id, Kind: store.EventSubmitted},
		{Seq: 1022, At: past(2), Actor: store.Somebody(carol()), Request: id, Kind: store.EventRefused, Data: map[string]string{"why": "not theirs to decide"}},
		{Seq: 1025, At: past(3), Actor: store.Somebody(bob()), Request: id, Kind: store.EventMoved, From: store.Pending, To: store.Approved},
	}
}

func plainReading() store.Reading {
	return store.Reading{
		At: past(90.5), From: past(1.2), To: past(75.4),
		Sources: []store.Source{{Region: "us-east-1", Events: 3}, {Region: "us-west-2", Events: 14}, {Region: "access portal", Events: 3}},
		Events:  18, Writes: 4, Reads: 13, Refused: 1, Sensitive: 2, PortalEvents: 3,
		Addresses: []string{"203.0.113.7", "198.51.100.20"},
		Hosts:     []store.Host{{Address: "203.0.113.7", Calls: 19, First: past(4), Agent: "aws-cli/2.31.0 md/awscrt#0.27"}, {Address: "198.51.100.20", Calls: 2, First: past(40), Agent: "[Mozilla/5.0 (Macintosh)]"}},
		Tables:    []string{"DynamoDB checkout-sessions"},
		Changed:   []string{"ec2 i-0abc1234def567890", "ssm i-0abc1234def567890"},
		Portal: []store.Deed{
			{Service: "sso", Action: "Authenticate", Region: "us-east-1", Count: 1, First: past(3.8), Last: past(3.8)},
			{Service: "sso", Action: "GetRoleCredentials", Region: "us-east-1", Resource: "Forge-Prod-BreakGlass-EC2", Count: 2, First: past(4), Last: past(39.6)},
		},
		Deeds: []store.Deed{
			{Service: "dynamodb", Action: "DeleteTable", Region: "us-west-2", Resource: "checkout-sessions", Write: true, Sensitive: true, Count: 1, First: past(44), Last: past(44)},
			{Service: "ec2", Action: "RebootInstances", Region: "us-west-2", Resource: "i-0abc1234def567890", Write: true, Count: 1, First: past(32), Last: past(32)},
			{Service: "ssm", Action: "StartSession", Region: "us-west-2", Resource: "i-0abc1234def567890", Write: true, Count: 2, First: past(6), Last: past(41)},
			{Service: "ec2", Action: "TerminateInstances", Region: "us-west-2", Error: "Client.UnauthorizedOperation", Resource: "i-0abc1234def567890", Write: true, Sensitive: true, Count: 1, First: past(30), Last: past(30)},
			{Service: "ec2", Action: "DescribeInstances", Region: "us-west-2", Count: 12, First: past(5), Last: past(68)},
			{Service: "sts", Action: "GetCallerIdentity", Region: "us-east-1", Count: 1, First: past(4.3), Last: past(4.3)},
		},
	}
}

// lateCase is the same a while later: something came late, the post-mortem is there, and one place never answered.
func lateCase() Case {
	c := plainCase()
	r := &c.Request
	r.Readings[0].Sources = append(r.Readings[0].Sources, store.Source{Region: "eu-west-1", Error: "the bot may not assume the role breakglass-bot-member there"})
	r.Readings = append(r.Readings, store.Reading{At: past(195.5), From: past(1.2), To: past(75.4), Events: 2, Writes: 1, Reads: 1, Outside: 1,
		Sources: r.Readings[0].Sources, Tables: []string{"RDS checkout"},
		Deeds: []store.Deed{
			{Service: "rds", Action: "RebootDBInstance", Region: "us-west-2", Resource: "checkout", Write: true, Outside: true, Count: 1, First: past(80), Last: past(80)},
			{Service: "rds", Action: "DescribeDBInstances", Region: "us-west-2", Count: 1, First: past(43), Last: past(43)},
		}})
	r.PostMortem = &store.PostMortem{By: alice(), At: past(180), Happened: "The checkout pods kept a stale session table.", Done: "Deleted the table, rebooted one instance; the deployment made the table anew.", FollowUps: "OPS-140: a runbook for it."}
	c.At, c.Next = past(196), time.Time{}
	return c
}

// quietCase is what one hopes for: looked, found, left.
func quietCase() Case {
	c := plainCase()
	r := &c.Request
	r.Extensions, r.Ends.Shells, r.Owes, r.End, r.EndedAt = nil, 0, false, store.End{Why: store.EndExpired, By: store.Bot(), At: past(63.2)}, past(63.4)
	r.ExpiresAt, r.Duration = past(63.2), time.Hour
	g := &r.Readings[0]
	g.Deeds, g.Writes, g.Refused, g.Sensitive, g.Events, g.Tables, g.Changed, g.Hosts = g.Deeds[4:], 0, 0, 0, 13, nil, nil, g.Hosts[:1]
	c.Lines = nil
	return c
}

// deniedCase never had access.
func deniedCase() Case {
	c := plainCase()
	r := &c.Request
	*r = store.Request{ID: r.ID, State: store.Denied, Requester: r.Requester, Title: r.Title, Tier: 1, Account: r.Account, PermissionSet: r.PermissionSet,
		Duration: r.Duration, Reason: r.Reason, SubmittedAt: noon, DecidedAt: past(4), ClosedAt: past(4),
		Decisions: []store.Decision{{By: carol(), At: past(4), Comment: "Use the read-only console <first>."}}}
	c.At, c.Next = past(5), time.Time{}
	return c
}
