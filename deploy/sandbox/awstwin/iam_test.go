package awstwin_test

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"breakglass/deploy/sandbox/awstwin"
)

const admin = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`

// iamOf is IAM of the member account, by a role that may do everything.
func (w *world) iamOf(t *testing.T) *iam.Client {
	t.Helper()
	cfg := w.member(t, prod)
	w.SetRole(prod, "breakglass-bot-member", botTrust, map[string]string{"all": admin})
	return iam.NewFromConfig(cfg)
}

func denyAfter(n int) string {
	return fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Sid":"S%d","Effect":"Deny","Action":"*","Resource":"*"}]}`, n)
}

func TestPolicyVersions(t *testing.T) {
	w := newWorld(t, nil)
	c := w.iamOf(t)
	arn := aws.String("arn:aws:iam::" + prod + ":policy/BreakGlassGuard")
	_, err := c.GetPolicy(ctxOf(t), &iam.GetPolicyInput{PolicyArn: arn})
	var gone *types.NoSuchEntityException
	if !errors.As(err, &gone) {
		t.Fatal(err)
	}
	made, err := c.CreatePolicy(ctxOf(t), &iam.CreatePolicyInput{PolicyName: aws.String("BreakGlassGuard"), PolicyDocument: aws.String(denyAfter(1))})
	if err != nil || *made.Policy.Arn != *arn {
		t.Fatalf("%+v %v", made, err)
	}
	_, err = c.CreatePolicy(ctxOf(t), &iam.CreatePolicyInput{PolicyName: aws.String("BreakGlassGuard"), PolicyDocument: aws.String(denyAfter(1))})
	var exists *types.EntityAlreadyExistsException
	if !errors.As(err, &exists) {
		t.Fatal(err)
	}
	for i := 2; i <= 5; i++ {
		if _, err := c.CreatePolicyVersion(ctxOf(t), &iam.CreatePolicyVersionInput{PolicyArn: arn, PolicyDocument: aws.String(denyAfter(i)), SetAsDefault: true}); err != nil {
			t.Fatal(err)
		}
	}
	_, err = c.CreatePolicyVersion(ctxOf(t), &iam.CreatePolicyVersionInput{PolicyArn: arn, PolicyDocument: aws.String(denyAfter(6)), SetAsDefault: true})
	var limit *types.LimitExceededException
	if !errors.As(err, &limit) {
		t.Fatalf("sixth version: %v", err)
	}
	_, err = c.DeletePolicyVersion(ctxOf(t), &iam.DeletePolicyVersionInput{PolicyArn: arn, VersionId: aws.String("v5")})
	var conflict *types.DeleteConflictException
	if !errors.As(err, &conflict) {
		t.Fatalf("default version: %v", err)
	}
	if _, err = c.DeletePolicyVersion(ctxOf(t), &iam.DeletePolicyVersionInput{PolicyArn: arn, VersionId: aws.String("v1")}); err != nil {
		t.Fatal(err)
	}
	all, err := c.ListPolicyVersions(ctxOf(t), &iam.ListPolicyVersionsInput{PolicyArn: arn})
	if err != nil || len(all.Versions) != 4 || *all.Versions[0].VersionId != "v5" || !all.Versions[0].IsDefaultVersion {
		t.Fatalf("%+v %v", all, err)
	}
	v, err := c.GetPolicyVersion(ctxOf(t), &iam.GetPolicyVersionInput{PolicyArn: arn, VersionId: aws.String("v5")})
	if err != nil {
		t.Fatal(err)
	}
	if text, _ := url.QueryUnescape(*v.PolicyVersion.Document); text != denyAfter(5) || w.Policy(prod, "BreakGlassGuard") != text {
		t.Fatalf("document %q", text)
	}
	long := strings.Replace(denyAfter(1), "S1", strings.Repeat("S", 6144), 1)
	_, err = c.CreatePolicyVersion(ctxOf(t), &iam.CreatePolicyVersionInput{PolicyArn: arn, PolicyDocument: &long})
	if !errors.As(err, &limit) {
		t.Fatalf("too long: %v", err)
	}
	spaced := strings.Replace(denyAfter(7), "{", "{"+strings.Repeat(" ", 7000), 1)
	if _, err = c.CreatePolicyVersion(ctxOf(t), &iam.CreatePolicyVersionInput{PolicyArn: arn, PolicyDocument: &spaced}); err != nil {
		t.Fatalf("white space counts: %v", err)
	}
	_, err = c.CreatePolicy(ctxOf(t), &iam.CreatePolicyInput{PolicyName: aws.String("x"), PolicyDocument: aws.String(`{"Statement":{}}`)})
	var malformed *types.MalformedPolicyDocumentException
	if !errors.As(err, &malformed) {
		t.Fatal(err)
	}
}

func TestRolesOfPermissionSetsAreProtected(t *testing.T) {
	w := newWorld(t, nil)
	w.Assign(w.alice, prod, w.set)
	c := w.iamOf(t)
	list, err := c.ListRoles(ctxOf(t), &iam.ListRolesInput{PathPrefix: aws.String("/aws-reserved/sso.amazonaws.com/")})
	if err != nil || len(list.Roles) != 1 {
		t.Fatalf("%+v %v", list, err)
	}
	_, err = c.PutRolePolicy(ctxOf(t), &iam.PutRolePolicyInput{RoleName: list.Roles[0].RoleName, PolicyName: aws.String("AWSRevokeOlderSessions"), PolicyDocument: aws.String(denyAfter(1))})
	var protected *types.UnmodifiableEntityException
	if !errors.As(err, &protected) {
		t.Fatal(err)
	}
	first := *list.Roles[0].RoleName
	w.Unassign(w.alice, prod, w.set)
	w.Assign(w.alice, prod, w.set)
	if names := w.Roles(prod); strings.Contains(strings.Join(names, " "), first) {
		t.Errorf("the role came back under its old name: %v", names)
	}
}

func TestOwnRoles(t *testing.T) {
	w := newWorld(t, nil)
	c := w.iamOf(t)
	name := aws.String("BreakGlassAdminRole")
	w.SetRole(prod, *name, botTrust, map[string]string{"all": admin})
	if _, err := c.PutRolePolicy(ctxOf(t), &iam.PutRolePolicyInput{RoleName: name, PolicyName: aws.String("end"), PolicyDocument: aws.String(denyAfter(1))}); err != nil {
		t.Fatal(err)
	}
	got, err := c.GetRolePolicy(ctxOf(t), &iam.GetRolePolicyInput{RoleName: name, PolicyName: aws.String("end")})
	if err != nil || !strings.Contains(*got.PolicyDocument, "%22S1%22") {
		t.Fatalf("%+v %v", got, err)
	}
	if _, err = c.DeleteRolePolicy(ctxOf(t), &iam.DeleteRolePolicyInput{RoleName: name, PolicyName: aws.String("end")}); err != nil {
		t.Fatal(err)
	}
	long := strings.Replace(botTrust, "100000000000:root", "100000000000:role/"+strings.Repeat("x", 2048), 1)
	_, err = c.UpdateAssumeRolePolicy(ctxOf(t), &iam.UpdateAssumeRolePolicyInput{RoleName: name, PolicyDocument: &long})
	var limit *types.LimitExceededException
	if !errors.As(err, &limit) {
		t.Fatal(err)
	}
	denyAll := strings.Replace(botTrust, "Allow", "Deny", 1)
	if _, err = c.UpdateAssumeRolePolicy(ctxOf(t), &iam.UpdateAssumeRolePolicyInput{RoleName: name, PolicyDocument: &denyAll}); err != nil {
		t.Fatal(err)
	}
	role, err := c.GetRole(ctxOf(t), &iam.GetRoleInput{RoleName: name})
	if err != nil || !strings.Contains(*role.Role.AssumeRolePolicyDocument, "Deny") {
		t.Fatalf("%+v %v", role, err)
	}
	boundary := w.SetPolicy(prod, "BreakGlassFence", denyAfter(2))
	if _, err = c.PutRolePermissionsBoundary(ctxOf(t), &iam.PutRolePermissionsBoundaryInput{RoleName: name, PermissionsBoundary: &boundary}); err != nil {
		t.Fatal(err)
	}
	if role, _ = c.GetRole(ctxOf(t), &iam.GetRoleInput{RoleName: name}); *role.Role.PermissionsBoundary.PermissionsBoundaryArn != boundary {
		t.Fatalf("%+v", role.Role)
	}
}

func TestSealedUser(t *testing.T) {
	w := newWorld(t, nil)
	c := w.iamOf(t)
	keys := w.AddIAMUser(prod, awstwin.IAMUser{Name: "break-glass-wealth", Password: true, Policies: map[string]string{"all": admin}})
	name := aws.String("break-glass-wealth")
	used, err := c.GetAccessKeyLastUsed(ctxOf(t), &iam.GetAccessKeyLastUsedInput{AccessKeyId: &keys.AccessKeyID})
	if err != nil || used.AccessKeyLastUsed.LastUsedDate != nil || *used.AccessKeyLastUsed.ServiceName != "N/A" {
		t.Fatalf("%+v %v", used, err)
	}
	sealed := iam.NewFromConfig(config(w.Organization, "us-east-1", keys.AccessKeyID, keys.SecretAccessKey, ""))
	if _, err := sealed.GetUser(ctxOf(t), &iam.GetUserInput{}); err != nil {
		t.Fatal(err)
	}
	if used, _ = c.GetAccessKeyLastUsed(ctxOf(t), &iam.GetAccessKeyLastUsedInput{AccessKeyId: &keys.AccessKeyID}); used.AccessKeyLastUsed.LastUsedDate == nil {
		t.Fatal("no trace of use")
	}
	before, _ := c.GetLoginProfile(ctxOf(t), &iam.GetLoginProfileInput{UserName: name})
	w.skip(time.Hour)
	if _, err := c.UpdateLoginProfile(ctxOf(t), &iam.UpdateLoginProfileInput{UserName: name, Password: aws.String("x")}); err == nil {
		t.Fatal("the session of an hour still works") // the role's session has ended meanwhile
	}
	c = w.iamOf(t)
	if _, err := c.UpdateLoginProfile(ctxOf(t), &iam.UpdateLoginProfileInput{UserName: name, Password: aws.String("x")}); err != nil {
		t.Fatal(err)
	}
	after, err := c.GetLoginProfile(ctxOf(t), &iam.GetLoginProfileInput{UserName: name})
	if err != nil || !after.LoginProfile.CreateDate.Equal(*before.LoginProfile.CreateDate) {
		t.Fatalf("GetLoginProfile shows a rotation: %+v %v", after, err)
	}
	report, err := c.GetCredentialReport(ctxOf(t), &iam.GetCredentialReportInput{})
	if err != nil || !strings.Contains(string(report.Content), "2026-11-21T11:00:00Z") {
		t.Fatalf("report: %s %v", report.Content, err)
	}
	if _, err := c.UpdateAccessKey(ctxOf(t), &iam.UpdateAccessKeyInput{UserName: name, AccessKeyId: &keys.AccessKeyID, Status: "Inactive"}); err != nil {
		t.Fatal(err)
	}
	_, err = sealed.GetUser(ctxOf(t), &iam.GetUserInput{})
	wantCode(t, err, "InvalidClientTokenId")
}
