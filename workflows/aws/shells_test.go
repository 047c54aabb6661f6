package aws

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"breakglass/deploy/sandbox/awstwin"
	"breakglass/store"
)

// lookingAfterShells gives accounts the member role with what ending shells needs.
func (w *world) lookingAfterShells(accounts ...string) {
	for _, a := range accounts {
		w.SetRole(a, member, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}]}`,
			map[string]string{"shells": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["ssm:DescribeSessions","ssm:TerminateSession"],"Resource":"*"}]}`})
	}
}

// shell opens a Session Manager session as a person with a permission set does.
func (w *world) shell(t *testing.T, userID, account, set, region string) {
	t.Helper()
	w.Assign(userID, account, set)
	w.AddInstance(account, region, "i-0aaa", "web")
	s, err := w.SignIn(userID, account, set)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Do(t.Context(), awstwin.Action{Service: "ssm", Name: "StartSession", Region: region, Params: map[string]any{"Target": "i-0aaa"}}); err != nil {
		t.Fatal(err)
	}
}

func (w *world) openShells(account string) (n int) {
	for _, s := range w.SSMSessions(account) {
		if s.Active {
			n++
		}
	}
	return n
}

// Alice's shells of this set end, in every Region; nobody else's do, nor hers of another set or of an earlier time.
func TestShellsEnd(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.connect(t, Config{MemberRole: member})
		w.lookingAfterShells(wealth)
		w.AddPermissionSet(awstwin.PermissionSet{Name: "X", InlinePolicy: allowAll})
		w.AddPermissionSet(awstwin.PermissionSet{Name: "X_Read", InlinePolicy: allowAll})
		malice := w.AddUser(awstwin.User{UserName: "m/alice", Email: "malice@forge.example"})
		bob := w.AddUser(awstwin.User{UserName: "bob", Email: "bob@forge.example"})
		w.shell(t, w.alice, wealth, "X", "eu-west-1") // long ago
		time.Sleep(time.Hour)
		since := time.Now()
		time.Sleep(time.Second)
		w.shell(t, bob, wealth, "X", "eu-west-1")
		w.shell(t, malice, wealth, "X", "eu-west-1")
		w.shell(t, w.alice, wealth, "X_Read", "eu-west-1")
		w.shell(t, w.alice, cash, "X", "us-east-1")
		const others = 4
		for _, region := range []string{"eu-west-1", "eu-west-1", "us-west-2", "us-east-1"} {
			w.shell(t, w.alice, wealth, "X", region)
		}
		sh := store.Shells{Account: store.Account{ID: wealth, Regions: []string{"eu-west-1", "us-west-2"}}, Set: "X", UserName: "alice", Since: since}
		if n, err := w.conn.Shells().End(t.Context(), sh); n != 4 || err != nil {
			t.Fatalf("ended %d, %v: %+v", n, err, w.SSMSessions(wealth))
		}
		if n := w.openShells(wealth); n != others {
			t.Errorf("%d shells are open, want those of others and the old one: %+v", n, w.SSMSessions(wealth))
		}
		if w.openShells(cash) != 1 {
			t.Error("a shell of another account was ended")
		}
		if n, err := w.conn.Shells().End(t.Context(), sh); n != 0 || err != nil {
			t.Errorf("again: %d, %v", n, err)
		}
	})
}

// A role's session is named after its request: that one's shells end, another's stay.
func TestShellsOfARole(t *testing.T) {
	for _, c := range []struct {
		owner string
		want  bool
	}{
		{"arn:aws:sts::100000000003:assumed-role/BreakGlassDB/BG-1042", true},
		{"arn:aws-us-gov:sts::100000000003:assumed-role/BreakGlassDB/BG-1042", true},
		{"arn:aws:sts::100000000003:assumed-role/BreakGlassDB/BG-10421", false},
		{"arn:aws:sts::100000000003:assumed-role/BreakGlassDB2/BG-1042", false},
		{"arn:aws:iam::100000000003:user/BG-1042", false},
		{"", false},
	} {
		if got := ownerOf(store.Shells{Role: "/ops/BreakGlassDB", Request: "BG-1042"})(c.owner); got != c.want {
			t.Errorf("%s: %v", c.owner, got)
		}
	}
	long := fmt.Sprintf("%070d", 7)
	if !ownerOf(store.Shells{Set: "X", UserName: long})("arn:aws:sts::1:assumed-role/AWSReservedSSO_X_0f/" + long[:64]) {
		t.Error("a session's name is cut at 64")
	}
	for _, sh := range []store.Shells{{}, {Set: "X"}, {Role: "R"}, {Set: "X", Role: "R", UserName: "a", Request: "BG-1"}} {
		if ownerOf(sh) != nil {
			t.Errorf("%+v names somebody", sh)
		}
		if _, err := (&Shells{}).End(t.Context(), sh); err == nil {
			t.Errorf("%+v is no error", sh)
		}
	}
}

// One Region that fails, or one session that cannot be ended, does not spare the others, and the error says where shells may be open.
func TestShellsWhereSomethingFails(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.connect(t, Config{MemberRole: member})
		w.lookingAfterShells(wealth)
		regions := []string{"eu-west-1", "us-west-2", "us-east-1"}
		for _, r := range regions {
			w.shell(t, w.alice, wealth, set, r)
			w.shell(t, w.alice, wealth, set, r)
		}
		sh := store.Shells{Account: store.Account{ID: wealth, Regions: regions}, Set: set, UserName: "alice"}
		w.FailNext("ssm", "DescribeSessions", "AccessDeniedException", 1)
		n, err := w.conn.Shells().End(t.Context(), sh)
		if n != 4 || err == nil {
			t.Fatalf("%d, %v", n, err)
		}
		w.FailNext("ssm", "TerminateSession", "InternalServerError", 1)
		if n, err = w.conn.Shells().End(t.Context(), sh); n != 1 || err == nil {
			t.Fatalf("%d, %v", n, err)
		}
		w.FailNext("ssm", "TerminateSession", codeNoSession, 1)
		if n, err = w.conn.Shells().End(t.Context(), sh); n != 0 || err != nil { // gone between the two calls
			t.Fatalf("%d, %v", n, err)
		}
		w.SetRole(wealth, member, `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}]}`, nil)
		w.connect(t, Config{MemberRole: member})
		_, err = w.conn.Shells().End(t.Context(), sh)
		isRefusal(t, err, "AccessDenied")
	})
}

// More than a page of sessions.
func TestShellsThroughAllPages(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.connect(t, Config{MemberRole: member})
		w.lookingAfterShells(wealth)
		w.AddInstance(wealth, "us-east-1", "i-0aaa", "web")
		w.Assign(w.alice, wealth, set)
		s, err := w.SignIn(w.alice, wealth, set)
		if err != nil {
			t.Fatal(err)
		}
		for range 230 {
			if err := s.Do(t.Context(), awstwin.Action{Service: "ssm", Name: "StartSession", Params: map[string]any{"Target": "i-0aaa"}}); err != nil {
				t.Fatal(err)
			}
		}
		if n, err := w.conn.Shells().End(t.Context(), store.Shells{Account: store.Account{ID: wealth}, Set: set, UserName: "alice"}); n != 230 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	})
}

// What AWS refuses everywhere will not pass by being asked again, and people are told where and why; what may pass anywhere is no refusal.
func TestShellsThatAWSKeepsFromUs(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.connect(t, Config{MemberRole: member})
		w.lookingAfterShells(wealth)
		regions := []string{"eu-west-1", "us-west-2", "us-east-1"}
		for _, r := range regions {
			w.shell(t, w.alice, wealth, set, r)
		}
		sh := store.Shells{Account: store.Account{ID: wealth, Regions: regions}, Set: set, UserName: "alice"}
		scp := func(regions string) {
			w.SetSCP(wealth, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":"ssm:*","Resource":"*","Condition":{"StringEquals":{"aws:RequestedRegion":`+regions+`}}}]}`)
		}
		end := func(ended int) error {
			t.Helper()
			n, err := w.conn.Shells().End(t.Context(), sh)
			if n != ended {
				t.Errorf("ended %d, want %d (%v)", n, ended, err)
			}
			return err
		}
		scp(`["eu-west-1","us-west-2"]`)
		err := end(1)
		wantRefusal(t, err, "AccessDeniedException", "in eu-west-1, us-west-2:", wealth, "ssm:DescribeSessions", "service control policy")
		if strings.Contains(err.Error(), "us-east-1") {
			t.Errorf("%v", err)
		}
		w.shell(t, w.alice, wealth, set, "us-east-1")
		w.FailNext("ssm", "TerminateSession", "InternalServerError", 1)
		err = end(0)
		isFault(t, err)
		if !strings.Contains(err.Error(), "in us-east-1: AWS answered InternalServerError") {
			t.Errorf("%v", err)
		}
		scp(`"nowhere"`)
		w.FailNext("ssm", "DescribeSessions", "ThrottlingException", 100)
		isFault(t, end(0))
		w.ClearFaults()
		w.FailNext("ssm", "TerminateSession", "AccessDeniedException", 1)
		wantRefusal(t, end(2), "AccessDeniedException", "in account "+wealth)
		if err := end(1); err != nil {
			t.Error(err)
		}
	})
}
