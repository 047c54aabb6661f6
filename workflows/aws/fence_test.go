package aws

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"breakglass/deploy/sandbox/awstwin"
	"breakglass/deploy/sandbox/awstwin/iam"
	"breakglass/store"
)

// fenced is the fence of the account, in which sessions of the set may go on to one role.
func fenced() store.Fence {
	return store.Fence{Account: wealth, MayAssume: map[string][]string{"Guarded": {"developer-rds-access"}, "BreakGlassAdminRole": nil}}
}

func untold(string) error { return nil }

func fence(t *testing.T, g *Guards, f store.Fence) string {
	t.Helper()
	differed, err := g.Fence(t.Context(), f, untold)
	if err != nil {
		t.Fatalf("Fence: %v", err)
	}
	return differed
}

// iamCall is something a session tries in IAM.
func iamCall(name string, params ...string) awstwin.Action {
	a := awstwin.Action{Service: "iam", Name: name, Params: map[string]any{}}
	for n := 0; n+1 < len(params); n += 2 {
		a.Params[params[n]] = params[n+1]
	}
	return a
}

func on(service, name, resource string) awstwin.Action {
	return awstwin.Action{Service: service, Name: name, Resource: resource}
}

// TestFenceStopsUndoing: a session that may do everything cannot undo its own end, nor go on as somebody else, and can still work.
func TestFenceStopsUndoing(t *testing.T) {
	guarded(t, func(t *testing.T, w *world, g *Guards) {
		fence(t, g, fenced())
		write(t, g, timed(store.Line{Who: w.alice, Until: time.Now().Add(time.Hour)}))
		w.AddIAMUser(wealth, awstwin.IAMUser{Name: "old", Password: true})
		w.SetRole(wealth, "app", botTrusts, map[string]string{"p": bare})
		w.SetRole(wealth, "BreakGlassAdminRole", botTrusts, map[string]string{"p": bare, prefix: bare})
		s := w.signIn(t, w.alice)
		guard, fenceARN := "arn:aws:iam::"+wealth+":policy/"+prefix+"-Guarded", "arn:aws:iam::"+wealth+":policy/"+FenceName
		here := func(format string) string { return fmt.Sprintf(format, wealth) }
		for _, a := range []awstwin.Action{
			iamCall("CreatePolicyVersion", "PolicyArn", guard, "PolicyDocument", allowAll, "SetAsDefault", "true"),
			iamCall("SetDefaultPolicyVersion", "PolicyArn", guard, "VersionId", "v1"),
			iamCall("DeletePolicyVersion", "PolicyArn", guard, "VersionId", "v1"),
			iamCall("DeletePolicy", "PolicyArn", fenceARN),
			iamCall("CreatePolicyVersion", "PolicyArn", fenceARN, "PolicyDocument", allowAll),
			iamCall("DeleteRole", "RoleName", byMember),
			iamCall("DeleteRolePolicy", "RoleName", byMember, "PolicyName", "all"),
			iamCall("UpdateAssumeRolePolicy", "RoleName", byMember, "PolicyDocument", bare),
			iamCall("DeleteRolePolicy", "RoleName", "BreakGlassAdminRole", "PolicyName", prefix),
			iamCall("DeleteRolePermissionsBoundary", "RoleName", "BreakGlassAdminRole"),
			iamCall("CreateUser", "UserName", "mallory"),
			iamCall("CreateAccessKey", "UserName", "old"),
			iamCall("UpdateAccessKey", "UserName", "old", "AccessKeyId", "AKIA", "Status", "Active"),
			iamCall("CreateLoginProfile", "UserName", "old"),
			iamCall("UpdateLoginProfile", "UserName", "old"),
			iamCall("CreateRole", "RoleName", "mine", "AssumeRolePolicyDocument", botTrusts),
			iamCall("UpdateAssumeRolePolicy", "RoleName", "app", "PolicyDocument", botTrusts),
			iamCall("AttachRolePolicy", "RoleName", "app", "PolicyArn", guard),
			iamCall("PutRolePolicy", "RoleName", "app", "PolicyName", "x", "PolicyDocument", allowAll),
			on("iam", "AttachUserPolicy", here("arn:aws:iam::%s:user/old")),
			on("iam", "PutUserPolicy", here("arn:aws:iam::%s:user/old")),
			on("iam", "AddUserToGroup", here("arn:aws:iam::%s:group/admins")),
			on("iam", "CreateSAMLProvider", "*"),
			on("iam", "UploadSSHPublicKey", here("arn:aws:iam::%s:user/old")),
			on("iam", "PassRole", here("arn:aws:iam::%s:role/"+byMember)),
			on("cloudtrail", "StopLogging", "*"), on("cloudtrail", "DeleteTrail", "*"), on("cloudtrail", "UpdateTrail", "*"), on("cloudtrail", "PutEventSelectors", "*"),
			on("events", "DisableRule", here("arn:aws:events:us-west-2:%s:rule/breakglass-use")),
			on("events", "RemoveTargets", here("arn:aws:events:us-east-1:%s:rule/BreakGlassUse")),
			on("events", "PutRule", here("arn:aws:events:us-east-1:%s:rule/breakglass-use")),
			on("scheduler", "DeleteSchedule", here("arn:aws:scheduler:us-east-1:%s:schedule/breakglass/BG-1042-20261121T1000-1")),
			on("ssm", "UpdateDocument", here("arn:aws:ssm:eu-west-1:%s:document/SSM-SessionManagerRunShell")),
			on("ssm", "DeleteDocument", here("arn:aws:ssm:us-east-1:%s:document/SSM-SessionManagerRunShell")),
			on("sso", "CreateAccountAssignment", "*"), on("account-access", "CreateEntitlement", "*"), on("identitystore", "CreateGroupMembership", "*"),
			on("rolesanywhere", "CreateTrustAnchor", "*"), on("organizations", "LeaveOrganization", "*"), on("sts", "GetFederationToken", "*"), on("sts", "AssumeRoot", "*"),
		} {
			time.Sleep(time.Second) // CloudTrail takes two calls a second
			may(t, s, a, false)
		}
		for _, a := range []awstwin.Action{
			look, iamCall("GetPolicy", "PolicyArn", guard), iamCall("GetRole", "RoleName", byMember), iamCall("ListRolePolicies", "RoleName", "BreakGlassAdminRole"),
			iamCall("DeleteRolePolicy", "RoleName", "app", "PolicyName", "p"), iamCall("DeleteLoginProfile", "UserName", "old"),
			on("iam", "PassRole", here("arn:aws:iam::%s:role/app")), on("iam", "CreateServiceLinkedRole", "*"), on("cloudtrail", "DescribeTrails", "*"),
			on("events", "DisableRule", here("arn:aws:events:us-east-1:%s:rule/nightly-batch")),
			on("ssm", "UpdateDocument", here("arn:aws:ssm:us-east-1:%s:document/restart-workers")), on("ecs", "UpdateService", "*"),
		} {
			may(t, s, a, true)
		}
	})
}

// TestGoingOnToAnotherRole: only where may_assume says so, and only for the set it says it of.
func TestGoingOnToAnotherRole(t *testing.T) {
	guarded(t, func(t *testing.T, w *world, g *Guards) {
		w.AddPermissionSet(awstwin.PermissionSet{Name: "Guarded_Too", InlinePolicy: allowAll, CustomerManaged: []string{FenceName}})
		trusts := strings.ReplaceAll(botTrusts, "100000000000", wealth)
		for _, name := range []string{"developer-rds-access", "other"} {
			w.SetRole(wealth, name, trusts, map[string]string{"all": allowAll})
		}
		w.SetRole(cash, "far", strings.ReplaceAll(botTrusts, "100000000000", wealth), map[string]string{"all": allowAll})
		f := fenced()
		f.MayAssume["Guarded"] = append(f.MayAssume["Guarded"], "arn:aws:iam::"+cash+":role/far")
		fence(t, g, f)
		s := w.signIn(t, w.alice)
		w.Assign(w.alice, wealth, "Guarded_Too")
		too, err := w.SignIn(w.alice, wealth, "Guarded_Too")
		if err != nil {
			t.Fatal(err)
		}
		far := "arn:aws:iam::" + cash + ":role/far"
		for _, c := range []struct {
			by   *awstwin.Session
			role string
			want bool
		}{{s, "developer-rds-access", true}, {s, "other", false}, {s, far, true}, {s, byMember, false}, {too, "developer-rds-access", false}, {too, "other", false}} {
			_, err := c.by.AssumeRole(awstwin.Assume{Role: c.role, SessionName: "alice"})
			if (err == nil) != c.want {
				t.Errorf("%s from %s: %v, want %t", c.role, c.by.PermissionSet, err, c.want)
			}
		}
		may(t, too, look, true)
	})
}

// TestFenceAsABoundary: as the boundary of a break-glass role it leaves the role what it is allowed, less what a fence takes; as a policy it gives a permission set
// nothing.
func TestFenceAsABoundary(t *testing.T) {
	guarded(t, func(t *testing.T, w *world, g *Guards) {
		w.AddPermissionSet(awstwin.PermissionSet{Name: "Bare", InlinePolicy: bare, CustomerManaged: []string{FenceName}})
		fence(t, g, fenced())
		w.SetRole(wealth, "BreakGlassAdminRole", strings.ReplaceAll(botTrusts, "100000000000", wealth), map[string]string{"all": allowAll})
		w.SetRoleBoundary(wealth, "BreakGlassAdminRole", FenceName)
		w.AddIAMUser(wealth, awstwin.IAMUser{Name: "oncall", MFA: true, Policies: map[string]string{"all": allowAll}})
		s, err := w.AssumeRole(wealth, "oncall", awstwin.Assume{Role: "BreakGlassAdminRole", SessionName: "BG-1042"})
		if err != nil {
			t.Fatal(err)
		}
		may(t, s, look, true)
		may(t, s, iamCall("CreateUser", "UserName", "mallory"), false)
		may(t, s, iamCall("DeleteRolePermissionsBoundary", "RoleName", "BreakGlassAdminRole"), false)
		w.Assign(w.alice, wealth, "Bare")
		poor, err := w.SignIn(w.alice, wealth, "Bare")
		if err != nil {
			t.Fatal(err)
		}
		var refused *awstwin.Error
		if err := poor.Do(t.Context(), look); !errors.As(err, &refused) || !strings.Contains(refused.Message, "no identity-based policy allows") {
			t.Errorf("the fence gave something: %v", err)
		}
	})
}

// TestBoundaryGivesNothingToAPerson: each of the facts that keep it from permission sets is enough, should the others be wrong.
func TestBoundaryGivesNothingToAPerson(t *testing.T) {
	doc, err := iam.Parse([]byte(FenceDocument(fenced(), "us-east-1", byMember, deadManRole, prefix)))
	if err != nil || doc.CheckIdentity() != nil {
		t.Fatal(err)
	}
	role := "arn:aws:iam::" + wealth + ":role/"
	for _, c := range []struct {
		arn, session, person string
		want                 bool
	}{
		{role + "BreakGlassAdminRole", "BG-1042", "", true},
		{role + "BreakGlassAdminRole", "alice", "", false},
		{role + "BreakGlassAdminRole", "BG-1042", "u", false},
		{role + "AWSReservedSSO_Guarded_0123456789abcdef", "BG-1042", "", false},
		{role + "aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_Guarded_0123456789abcdef", "BG-1042", "", false},
		{"arn:aws:iam::" + wealth + ":user/oncall", "BG-1042", "", false},
		{"", "BG-1042", "", false},
	} {
		ctx := iam.Context{}
		ctx.Set("aws:userid", "AROA:"+c.session)
		if c.arn != "" {
			ctx.Set("aws:PrincipalArn", c.arn)
		}
		if c.person != "" {
			ctx.Set("identitystore:userId", c.person)
		}
		got := iam.Decide(iam.Request{Action: "ec2:StopInstances", Resource: "*", Context: ctx}, iam.Layer{Kind: iam.Identity, Documents: []*iam.Document{doc}})
		if got.Allowed != c.want {
			t.Errorf("%+v: %+v", c, got)
		}
	}
}

// TestFenceIsCheapToAskAgain: once an hour it is read, at once where what must stand has changed, and put right where it differs.
func TestFenceIsCheapToAskAgain(t *testing.T) {
	guarded(t, func(t *testing.T, w *world, g *Guards) {
		if d := fence(t, g, fenced()); !strings.Contains(d, "it lacks the statements") {
			t.Errorf("the first: %q", d)
		}
		if ops := w.operations(); ops != "GetPolicy GetPolicyVersion CreatePolicyVersion" {
			t.Errorf("the first: %s", ops)
		}
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() { fence(t, g, fenced()) })
		}
		wg.Wait()
		time.Sleep(59 * time.Minute)
		fence(t, g, fenced())
		if ops := w.operations(); ops != "" {
			t.Errorf("within the hour: %s", ops)
		}
		w.SetPolicy(wealth, FenceName, bare) // somebody takes it down
		time.Sleep(2 * time.Minute)
		if d := fence(t, g, fenced()); !strings.Contains(d, "it should not have the statement number 1") {
			t.Errorf("after an hour: %q", d)
		}
		if ops := w.operations(); ops != "GetPolicy GetPolicyVersion CreatePolicyVersion" {
			t.Errorf("after an hour: %s", ops)
		}
		f := fenced()
		f.MayAssume["Guarded"] = append(f.MayAssume["Guarded"], "another")
		if d := fence(t, g, f); !strings.Contains(d, "it lacks the statement MayAssume1") {
			t.Errorf("another policy: %q", d)
		}
		if ops := w.operations(); ops != "CreatePolicyVersion" {
			t.Errorf("another policy: %s", ops)
		}
		w.connect(t, Config{MemberRole: byMember, Guard: prefix})
		g = w.conn.Guards()
		g.Ready(t.Context(), wealth, "")
		w.operations()
		if d := fence(t, g, f); d != "" {
			t.Errorf("after a restart: %q", d)
		}
		if ops := w.operations(); ops != "" {
			t.Errorf("after a look ahead: %s", ops)
		}
	})
}

func TestFenceRefusals(t *testing.T) {
	guarded(t, func(t *testing.T, w *world, g *Guards) {
		f := fenced()
		f.Account = "100000000000"
		w.SetRole(f.Account, byMember, botTrusts, map[string]string{"all": allowAll})
		_, err := g.Fence(t.Context(), f, untold)
		wantRefusal(t, err, codeNoEntity, FenceName, f.Account)
		for n := range 40 {
			f.MayAssume[fmt.Sprintf("Forge-Prod-BreakGlass-%d", n)] = []string{fmt.Sprint("role-", n)}
		}
		w.operations()
		_, err = g.Fence(t.Context(), f, untold)
		wantRefusal(t, err, "FenceFull", "may_assume", f.Account)
		if ops := w.operations(); ops != "" {
			t.Errorf("asked: %s", ops)
		}
		w.FailNext("iam", "CreatePolicyVersion", "ServiceFailure", 1)
		if d, err := g.Fence(t.Context(), fenced(), untold); err == nil {
			t.Fatalf("a fence that was not written: %q", d)
		}
		if d := fence(t, g, fenced()); d == "" {
			t.Error("what failed was taken for done")
		}
	})
}
