package aws

import (
	"strings"
	"testing"
	"time"

	"breakglass/deploy/sandbox/awstwin"
	"breakglass/store"
)

// bot is the account of the bot's credentials.
func (w *world) bot(t *testing.T) string {
	t.Helper()
	_, account, err := w.conn.owner(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return account
}

func (w *world) portalOf(t *testing.T, q store.Query) (records []store.Record, source store.Source) {
	t.Helper()
	var k kept
	all := w.conn.Trail().Collect(t.Context(), q, store.Resume{}, k.each, k.mark)
	return k.records(t, true), all[len(all)-1]
}

// What a person does in the access portal for this session is seen, whatever CloudTrail calls the kind of the person; for another set, another account, by another
// person, or after the end is not.
func TestAccessPortal(t *testing.T) {
	for _, kind := range []string{"IdentityCenterUser", "Unknown"} {
		bubble(t, func(t *testing.T, w *world) {
			w.SetPortalIdentity(kind)
			w.connect(t, Config{MemberRole: member})
			w.trusting(wealth)
			bob := w.AddUser(awstwin.User{UserName: "bob", Email: "bob@forge.example"})
			w.AddPermissionSet(awstwin.PermissionSet{Name: "Other", InlinePolicy: allowAll})
			for _, who := range []string{w.alice, bob} {
				w.Assign(who, wealth, set)
				w.Assign(who, wealth, "Other")
				w.Assign(who, cash, set)
			}
			enter := func(who, account, set string) {
				t.Helper()
				if _, err := w.SignInCLI(who, account, set); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
			}
			from := time.Now()
			enter(w.alice, wealth, set)
			if _, err := w.SignIn(w.alice, wealth, set); err != nil {
				t.Fatal(err)
			}
			enter(bob, wealth, set)
			enter(w.alice, wealth, "Other")
			enter(w.alice, cash, set)
			to := time.Now()
			time.Sleep(10 * time.Minute)
			enter(w.alice, wealth, set)
			time.Sleep(20 * time.Minute)
			records, source := w.portalOf(t, w.query(from, to))
			if got := strings.Join(actions(records), ", "); !strings.HasPrefix(got, "sso:GetRoleCredentials, sso:") || len(records) != 3 || strings.Count(got, "GetRoleCredentials") != 1 {
				t.Errorf("%s: %s", kind, got)
			}
			if source.Region != portalName || source.Events != 3 || source.Error != "" {
				t.Errorf("%+v", source)
			}
			for _, r := range records {
				if !r.Portal || !r.ReadOnly || r.Address != "203.0.113.10" || r.Action != "Authenticate" && r.Resource != set {
					t.Errorf("%+v", r)
				}
			}
		})
	}
}

func TestWhosePortalEventItIs(t *testing.T) {
	at := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	q := store.Query{Account: store.Account{ID: wealth}, Set: set, UserID: "u-1", UserName: "alice", From: at, To: at.Add(time.Hour)}
	event := func(name, user, details, clock string) string {
		return `{"eventName":"` + name + `","eventSource":"sso.amazonaws.com","eventTime":"2026-11-21T` + clock + `Z","recipientAccountId":"` + management + `","userIdentity":{"type":"Unknown",
			"onBehalfOf":{"userId":"` + user + `"}},"serviceEventDetails":` + details + `}`
	}
	of := func(account, set string) string { return `{"account_id":"` + account + `","role_name":"` + set + `"}` }
	for what, c := range map[string]struct {
		event string
		want  bool
	}{
		"credentials taken":       {event("GetRoleCredentials", "u-1", of(wealth, set), "10:30:00"), true},
		"the console":             {event("Federate", "u-1", of(wealth, set), "10:30:00"), true},
		"signing in":              {event("Authenticate", "u-1", "null", "10:30:00"), true},
		"details of another kind": {event("ListAccounts", "u-1", `"x"`, "10:30:00"), true},
		"after the end":           {event("GetRoleCredentials", "u-1", of(wealth, set), "11:30:00"), false},
		"before the grant":        {event("GetRoleCredentials", "u-1", of(wealth, set), "09:30:00"), false},
		"another person":          {event("GetRoleCredentials", "u-2", of(wealth, set), "10:30:00"), false},
		"another account":         {event("GetRoleCredentials", "u-1", of(cash, set), "10:30:00"), false},
		"another set":             {event("GetRoleCredentials", "u-1", of(wealth, set+"_Read"), "10:30:00"), false},
		"administration":          {event("CreateAccountAssignment", "u-1", "null", "10:30:00"), false},
	} {
		e, err := parse(eventOf(c.event))
		if err != nil {
			t.Fatal(err)
		}
		if mine, portal := e.of(q); mine != c.want || portal != c.want {
			t.Errorf("%s: %v, %v", what, mine, portal)
		}
	}
}

// Where the portal's events cannot be read, that is said; the account is read all the same.
func TestAccessPortalThatCannotBeRead(t *testing.T) {
	const owner = "breakglass-owner"
	trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}]}`
	for what, c := range map[string]struct {
		role    string
		happens func(w *world, owning string)
		says    string
	}{
		"no such role":  {owner, func(*world, string) {}, "the role breakglass-owner cannot be assumed"},
		"not permitted": {owner, func(w *world, owning string) { w.SetRole(owning, owner, trust, nil) }, "needs cloudtrail:LookupEvents"},
		"by its name": {owner, func(w *world, owning string) {
			w.SetRole(owning, owner, trust, map[string]string{"t": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"cloudtrail:LookupEvents","Resource":"*"}]}`})
		}, ""},
		"by its ARN": {"arn:aws:iam::" + management + ":role/" + owner, func(w *world, owning string) {
			w.SetRole(management, owner, trust, map[string]string{"t": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"cloudtrail:LookupEvents","Resource":"*"}]}`})
		}, ""},
		"instances that may not be listed": {"", func(w *world, _ string) {
			w.conn.instance = newInstance("")
			w.FailNext("sso-admin", "ListInstances", "AccessDeniedException", 10)
		}, "it is not known which account owns Identity Center"},
	} {
		t.Run(what, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				w.connect(t, Config{})
				owning := w.bot(t)
				if strings.HasPrefix(c.role, "arn:") && owning != management {
					t.Fatalf("the twin's owner is %s", owning)
				}
				w.connect(t, Config{MemberRole: member, OwnerRole: c.role})
				q := w.busy(t, 3)
				c.happens(w, owning)
				var k kept
				sources := w.conn.Trail().Collect(t.Context(), q, store.Resume{}, k.each, k.mark)
				portal := sources[len(sources)-1]
				if portal.Region != portalName || len(portal.Error) > 120 || (c.says == "") != (portal.Error == "") || !strings.Contains(portal.Error, c.says) {
					t.Errorf("%+v, want %q", portal, c.says)
				}
				if sources[0].Error != "" || sources[0].Events != 4 || (portal.Events == 2) != (c.says == "") {
					t.Errorf("%+v", sources)
				}
			})
		})
	}
}

// Whoever takes an IAM role has no portal: what begins the session is the IAM user's own call.
func TestTheSessionOfARoleBegins(t *testing.T) {
	e := func(user, role, session, at string) *trailEvent {
		t.Helper()
		text := `{"eventName":"AssumeRole","eventSource":"sts.amazonaws.com","eventTime":"` + at + `","recipientAccountId":"` + wealth + `","userIdentity":{"type":"IAMUser","userName":"` +
			user + `"},"requestParameters":{"roleArn":"` + role + `","roleSessionName":"` + session + `"}}`
		e, err := parse(eventOf(text))
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	at := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	q := store.Query{Account: store.Account{ID: wealth}, Role: "ops/BreakGlassDB", Request: "BG-1042", UserID: "u-1", UserName: "oncall", From: at, To: at.Add(time.Hour)}
	role := "arn:aws:iam::" + wealth + ":role/ops/BreakGlassDB"
	for what, c := range map[string]struct {
		e    *trailEvent
		want bool
	}{
		"it begins":        {e("oncall", role, "BG-1042", "2026-11-21T10:10:00Z"), true},
		"after the end":    {e("oncall", role, "BG-1042", "2026-11-21T11:10:00Z"), false},
		"another request":  {e("oncall", role, "BG-10421", "2026-11-21T10:10:00Z"), false},
		"another role":     {e("oncall", role+"2", "BG-1042", "2026-11-21T10:10:00Z"), false},
		"another account":  {e("oncall", strings.Replace(role, wealth, cash, 1), "BG-1042", "2026-11-21T10:10:00Z"), false},
		"no role at all":   {e("oncall", "x", "BG-1042", "2026-11-21T10:10:00Z"), false},
		"before the grant": {e("oncall", role, "BG-1042", "2026-11-21T09:10:00Z"), false},
	} {
		if got, _ := c.e.of(q); got != c.want {
			t.Errorf("%s: %v", what, got)
		}
	}
	bubble(t, func(t *testing.T, w *world) {
		w.connect(t, Config{})
		q.Account.Regions = []string{"us-east-1"}
		for _, s := range w.conn.Trail().Collect(t.Context(), q, store.Resume{}, func(string, store.Record) error { return nil }, func(store.Mark) error { return nil }) {
			if s.Region == portalName || s.Error != "" {
				t.Errorf("%+v", s)
			}
		}
		if n := w.counted(t, "LookupEvents", "ok"); n != 2 {
			t.Errorf("%v calls", n)
		}
	})
}
