package sandbox_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/identitystore"
	storetypes "github.com/aws/aws-sdk-go-v2/service/identitystore/types"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"
	"github.com/aws/aws-sdk-go-v2/service/scheduler/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssoadmin"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"breakglass/deploy/sandbox"
	"breakglass/deploy/sandbox/awstwin"
	"breakglass/deploy/sandbox/slacktwin"
)

const (
	ec2Set    = "Forge-Prod-BreakGlass-EC2"
	emergency = "Forge-Prod-Emergency"
)

// forge is the company with a clock that is moved by hand.
type forge struct {
	*sandbox.World
	t   *testing.T
	now time.Time
}

func newForge(t *testing.T) *forge {
	f := &forge{t: t, now: time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)}
	f.World = sandbox.Forge(func() time.Time { return f.now }, slacktwin.Config{}, awstwin.Config{})
	t.Cleanup(f.Slack.Close)
	return f
}

// RoundTrip carries requests to the organisation without a network.
func (f *forge) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		r.Body = http.NoBody
	}
	w := httptest.NewRecorder()
	f.AWS.ServeHTTP(w, r)
	return w.Result(), nil
}

func (f *forge) config(key, secret, token string) aws.Config {
	return aws.Config{Region: "us-east-1", BaseEndpoint: aws.String("http://aws.sandbox"), RetryMaxAttempts: 1, HTTPClient: &http.Client{Transport: f},
		Credentials: credentials.NewStaticCredentialsProvider(key, secret, token)}
}

func (f *forge) bot() aws.Config {
	return f.config(awstwin.BotAccessKeyID, awstwin.BotSecretAccessKey, "")
}

// in is the bot in a role of an account.
func (f *forge) in(account, role string) aws.Config {
	f.t.Helper()
	out, err := sts.NewFromConfig(f.bot()).AssumeRole(f.t.Context(), &sts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::" + account + ":role/" + role), RoleSessionName: aws.String("breakglass")})
	if err != nil {
		f.t.Fatal(err)
	}
	return f.config(*out.Credentials.AccessKeyId, *out.Credentials.SecretAccessKey, *out.Credentials.SessionToken)
}

func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

func (f *forge) want(err error, refused bool, what string) {
	f.t.Helper()
	if c := code(err); refused != strings.HasPrefix(c, "AccessDenied") || (!refused && err != nil) {
		f.t.Errorf("%s: refused must be %v: %v", what, refused, err)
	}
}

func (f *forge) session(person, account, set string) *awstwin.Session {
	f.t.Helper()
	f.AWS.Assign(f.Person(person).AWS, account, set)
	s, err := f.AWS.SignIn(f.Person(person).AWS, account, set)
	if err != nil {
		f.t.Fatal(err)
	}
	return s
}

var look = awstwin.Action{Service: "ec2", Name: "DescribeInstances"}

func policy(account, name string) string { return "arn:aws:iam::" + account + ":policy/" + name }

// TestTheMemberRoleIsHeldToItsPolicy: guards, fence and break-glass roles of its account, and nothing else of IAM.
func TestTheMemberRoleIsHeldToItsPolicy(t *testing.T) {
	f, ctx := newForge(t), t.Context()
	f.AWS.SetPolicy(sandbox.ProdWealth, "Payroll", sandbox.FirstGuard(emergency))
	cfg := f.in(sandbox.ProdWealth, sandbox.MemberRole)
	c, doc := iam.NewFromConfig(cfg), aws.String(sandbox.FirstGuard(emergency))
	for name, refused := range map[string]bool{sandbox.Guard(ec2Set): false, sandbox.Fence: false, "Payroll": true} {
		arn := aws.String(policy(sandbox.ProdWealth, name))
		_, err := c.CreatePolicyVersion(ctx, &iam.CreatePolicyVersionInput{PolicyArn: arn, PolicyDocument: doc, SetAsDefault: true})
		f.want(err, refused, "a version of "+name)
		_, err = c.DeletePolicyVersion(ctx, &iam.DeletePolicyVersionInput{PolicyArn: arn, VersionId: aws.String("v1")})
		f.want(err, refused, "the end of a version of "+name)
		_, err = c.ListPolicyVersions(ctx, &iam.ListPolicyVersionsInput{PolicyArn: arn})
		f.want(err, refused, "the versions of "+name)
		_, err = c.GetPolicy(ctx, &iam.GetPolicyInput{PolicyArn: arn})
		f.want(err, refused, "a look at "+name)
	}
	for name, refused := range map[string]bool{sandbox.AdminRole: false, "developer-rds-access": true} {
		role := aws.String(name)
		_, err := c.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: role, PolicyName: aws.String("guard"), PolicyDocument: doc})
		f.want(err, refused, "an inline policy of "+name)
		_, err = c.UpdateAssumeRolePolicy(ctx, &iam.UpdateAssumeRolePolicyInput{RoleName: role, PolicyDocument: aws.String(sandbox.NobodyTrusted)})
		f.want(err, refused, "the trust of "+name)
	}
	_, err := c.CreateUser(ctx, &iam.CreateUserInput{UserName: aws.String("x")})
	f.want(err, true, "a new user")
	_, err = c.DeletePolicy(ctx, &iam.DeletePolicyInput{PolicyArn: aws.String(policy(sandbox.ProdWealth, sandbox.Fence))})
	f.want(err, true, "the end of the fence")
	_, err = ssm.NewFromConfig(cfg).DescribeSessions(ctx, &ssm.DescribeSessionsInput{State: "Active"})
	f.want(err, false, "the shells")
	_, err = ssm.NewFromConfig(cfg).StartSession(ctx, &ssm.StartSessionInput{Target: aws.String("i-1")})
	f.want(err, true, "a shell of its own")
	_, err = iam.NewFromConfig(f.in(sandbox.ProdWealth, sandbox.CanaryRole)).GetRole(ctx, &iam.GetRoleInput{RoleName: aws.String(sandbox.AdminRole)})
	f.want(err, true, "the canary's look at another role")
}

// TestGuardsAreWhereTheyMustBe: each set carries its guard and the fence in each account, and what is assigned by hand opens a closed set for nobody.
func TestGuardsAreWhereTheyMustBe(t *testing.T) {
	f, ctx := newForge(t), t.Context()
	c := ssoadmin.NewFromConfig(f.bot())
	for _, set := range f.AWS.PermissionSets() {
		out, err := c.ListCustomerManagedPolicyReferencesInPermissionSet(ctx, &ssoadmin.ListCustomerManagedPolicyReferencesInPermissionSetInput{
			InstanceArn: aws.String(f.AWS.InstanceARN()), PermissionSetArn: &set.ARN})
		if err != nil || len(out.CustomerManagedPolicyReferences) != 2 {
			t.Fatalf("%s: %+v %v", set.Name, out, err)
		}
		for _, account := range []string{sandbox.ProdWealth, sandbox.ProdCash, sandbox.Prod9Squid} {
			for _, ref := range out.CustomerManagedPolicyReferences {
				if aws.ToString(ref.Path) != "/" || f.AWS.Policy(account, *ref.Name) == "" {
					t.Errorf("%s refers to %s, which is not in %s", set.Name, *ref.Name, account)
				}
			}
			closed := strings.Contains(set.Name, "BreakGlass") // Emergency and ReadOnly are timed
			if err := f.session("dana", account, set.Name).Do(ctx, look); (err != nil) != closed {
				t.Errorf("%s in %s, closed %v: %v", set.Name, account, closed, err)
			}
		}
	}
}

// TestEmergencyMeetsTheFence: it may do anything to IAM but undo what ends it, from the first version of the fence on.
func TestEmergencyMeetsTheFence(t *testing.T) {
	f, ctx := newForge(t), t.Context()
	s := f.session("alice", sandbox.ProdWealth, emergency)
	guard := policy(sandbox.ProdWealth, sandbox.Guard(emergency))
	do := func(name string, params map[string]any) error {
		return s.Do(ctx, awstwin.Action{Service: "iam", Name: name, Params: params})
	}
	if err := do("CreateUser", map[string]any{"UserName": "x"}); err != nil {
		t.Fatal(err)
	}
	for name, params := range map[string]map[string]any{
		"CreatePolicyVersion":     {"PolicyArn": guard, "PolicyDocument": sandbox.FirstGuard(emergency), "SetAsDefault": "true"},
		"SetDefaultPolicyVersion": {"PolicyArn": policy(sandbox.ProdWealth, sandbox.Fence), "VersionId": "v1"},
		"PutRolePolicy":           {"RoleName": sandbox.MemberRole, "PolicyName": "x", "PolicyDocument": "{}"},
	} {
		var refused *awstwin.Error
		if err := do(name, params); !errors.As(err, &refused) || !strings.Contains(refused.Message, "explicit deny") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := s.AssumeRole(awstwin.Assume{Role: sandbox.MemberRole, SessionName: "alice"}); err == nil {
		t.Error("a session went on as the bot")
	}
}

// TestTheAdminRole: nobody's between sessions; the on-call user's, with MFA, while its trust says so; and its boundary lets it work.
func TestTheAdminRole(t *testing.T) {
	f := newForge(t)
	in := awstwin.Assume{Role: sandbox.AdminRole, SessionName: "BG-1", MFA: true}
	if _, err := f.AWS.AssumeRole(sandbox.ProdWealth, sandbox.OnCallUser, in); err == nil {
		t.Fatal("the role was open")
	}
	trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + sandbox.OnCallARN + `"},"Action":"sts:AssumeRole","Condition":{"Bool":{"aws:MultiFactorAuthPresent":"true"}}}]}`
	if _, err := iam.NewFromConfig(f.in(sandbox.ProdWealth, sandbox.MemberRole)).UpdateAssumeRolePolicy(t.Context(),
		&iam.UpdateAssumeRolePolicyInput{RoleName: aws.String(sandbox.AdminRole), PolicyDocument: &trust}); err != nil {
		t.Fatal(err)
	}
	s, err := f.AWS.AssumeRole(sandbox.ProdWealth, sandbox.OnCallUser, in)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Do(t.Context(), look); err != nil {
		t.Fatal(err)
	}
}

// TestTheRestrictedBot: with the least it needs it gives and takes away, and can do neither to groups and roles that are not its own.
func TestTheRestrictedBot(t *testing.T) {
	f, ctx := newForge(t), t.Context()
	f.RestrictBot()
	var set string
	groups := map[string]string{}
	for _, s := range f.AWS.PermissionSets() {
		if s.Name == ec2Set {
			set = s.ARN
		}
	}
	for _, g := range f.AWS.Groups() {
		groups[g.Name] = g.ID
	}
	alice := f.Person("alice").AWS
	if _, err := ssoadmin.NewFromConfig(f.bot()).CreateAccountAssignment(ctx, &ssoadmin.CreateAccountAssignmentInput{InstanceArn: aws.String(f.AWS.InstanceARN()),
		TargetId: aws.String(sandbox.ProdCash), TargetType: "AWS_ACCOUNT", PermissionSetArn: &set, PrincipalType: "USER", PrincipalId: &alice}); err != nil {
		t.Fatal(err)
	}
	f.now = f.now.Add(5 * time.Second)
	store := identitystore.NewFromConfig(f.bot())
	for name, refused := range map[string]bool{"grp-forge-vpn-prod-wealth": false, sandbox.CanaryGroup: false, "grp-forge-sre-oncall": true, "grp-forge-platform-admins": true} {
		_, err := store.CreateGroupMembership(ctx, &identitystore.CreateGroupMembershipInput{IdentityStoreId: aws.String(f.AWS.IdentityStoreID()),
			GroupId: aws.String(groups[name]), MemberId: &storetypes.MemberIdMemberUserId{Value: f.Person("dana").AWS}})
		f.want(err, refused, "a member of "+name)
	}
	input, _ := json.Marshal(map[string]string{"InstanceArn": f.AWS.InstanceARN(), "TargetId": sandbox.ProdCash, "TargetType": "AWS_ACCOUNT", "PermissionSetArn": set,
		"PrincipalType": "USER", "PrincipalId": alice})
	plan := func(name, action, group string) error {
		_, err := scheduler.NewFromConfig(f.bot()).CreateSchedule(ctx, &scheduler.CreateScheduleInput{Name: &name, GroupName: &group, ScheduleExpression: aws.String("at(2026-11-21T11:00:00)"),
			FlexibleTimeWindow: &types.FlexibleTimeWindow{Mode: types.FlexibleTimeWindowModeOff}, ActionAfterCompletion: types.ActionAfterCompletionDelete,
			Target: &types.Target{Arn: aws.String("arn:aws:scheduler:::aws-sdk:ssoadmin:" + action), RoleArn: aws.String(sandbox.DeadManRole), Input: aws.String(string(input))}})
		return err
	}
	f.want(plan("bg-1", "deleteAccountAssignment", "default"), true, "a schedule outside the group")
	f.want(plan("bg-1", "deleteAccountAssignment", sandbox.ScheduleGroup), false, "a schedule that takes away")
	f.want(plan("bg-2", "createAccountAssignment", sandbox.ScheduleGroup), false, "a schedule that gives")
	f.now = f.now.Add(61 * time.Minute)
	for _, a := range f.AWS.Assignments() {
		if a.PrincipalID == alice {
			t.Errorf("still there: %+v", a)
		}
	}
	for _, x := range f.AWS.Firings() {
		if gives := strings.Contains(x.Target, "create"); gives != (x.Error == "AccessDeniedException") {
			t.Errorf("%+v", x)
		}
	}
	if n := len(f.AWS.Firings()); n != 2 {
		t.Errorf("%d firings", n)
	}
}
