package awstwin_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"breakglass/deploy/sandbox/awstwin"
)

// look is a call that is decided and does nothing.
var look = awstwin.Action{Service: "ec2", Name: "DescribeInstances"}

func wantRefused(t *testing.T, err error, words string) {
	t.Helper()
	var refused *awstwin.Error
	if !errors.As(err, &refused) || !strings.Contains(refused.Message, words) {
		t.Errorf("%v, want a refusal with %q", err, words)
	}
}

const explicit = "with an explicit deny in an identity-based policy"

// closedGuard lets in these users alone, each until a time.
func closedGuard(until time.Time, users ...string) string {
	lines := ""
	for _, u := range users {
		lines += `,{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringEquals":{"identitystore:userId":"` + u +
			`"},"DateGreaterThanEquals":{"aws:CurrentTime":"` + until.Format(time.RFC3339) + `"}}}`
	}
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringNotEquals":{"identitystore:userId":["` +
		strings.Join(append(users, "nobody"), `","`) + `"]}}}` + lines + `]}`
}

// guarded is a world in which everybody's set has a guard that lets nobody in.
func guarded(t *testing.T, change func(*awstwin.Config)) *world {
	w := newWorld(t, change)
	w.SetPolicy(prod, "Guard", closedGuard(w.now()))
	w.set = w.AddPermissionSet(awstwin.PermissionSet{Name: "Guarded", ManagedPolicies: []string{"AdministratorAccess"}, CustomerManaged: []string{"Guard"}})
	return w
}

// guard writes the guard as the bot does, by a new version.
func (w *world) guard(t *testing.T, document string) {
	t.Helper()
	if _, err := w.iamOf(t).CreatePolicyVersion(ctxOf(t), &iam.CreatePolicyVersionInput{PolicyArn: aws.String("arn:aws:iam::" + prod + ":policy/Guard"),
		PolicyDocument: &document, SetAsDefault: true}); err != nil {
		t.Fatal(err)
	}
}

// TestAGuardEndsALiveSession: nobody is there to end it, and the assignment stands. IAM alone refuses, from the second on.
func TestAGuardEndsALiveSession(t *testing.T) {
	w := guarded(t, nil)
	w.Assign(w.alice, prod, w.set)
	s := must[*awstwin.Session](t)(w.SignIn(w.alice, prod, w.set))
	wantRefused(t, s.Do(ctxOf(t), look), explicit) // an assignment made by hand opens nothing
	w.guard(t, closedGuard(w.now().Add(30*time.Minute), w.alice))
	if err := s.Do(ctxOf(t), look); err != nil {
		t.Fatal(err)
	}
	w.skip(30*time.Minute - time.Second)
	if err := s.Do(ctxOf(t), look); err != nil {
		t.Fatalf("a second before the end: %v", err)
	}
	w.skip(time.Second)
	wantRefused(t, s.Do(ctxOf(t), look), explicit)
	again := must[*awstwin.Session](t)(w.SignIn(w.alice, prod, w.set))
	wantRefused(t, again.Do(ctxOf(t), look), explicit)
	// A later grant to the same person lets in what was issued after it began, and not what was issued before.
	w.guard(t, strings.Replace(closedGuard(w.now().Add(time.Hour), w.alice), `,{"Effect"`, `,{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringEquals":{"identitystore:userId":"`+
		w.alice+`"},"DateLessThan":{"aws:TokenIssueTime":"`+w.now().Format(time.RFC3339)+`"}}},{"Effect"`, 1))
	wantRefused(t, s.Do(ctxOf(t), look), explicit)
	if err := again.Do(ctxOf(t), look); err != nil {
		t.Fatal(err)
	}
}

// TestWhichKeysAreThere: a policy that denies where a key is absent tells who has it.
func TestWhichKeysAreThere(t *testing.T) {
	w := newWorld(t, nil)
	w.set = w.AddPermissionSet(awstwin.PermissionSet{Name: "Admin", ManagedPolicies: []string{"AdministratorAccess"}})
	w.Assign(w.alice, prod, w.set)
	w.AddIAMUser(prod, awstwin.IAMUser{Name: "oncall", MFA: true, Policies: map[string]string{"all": admin}})
	w.SetRole(prod, "Next", strings.Replace(botTrust, management, prod, 1), map[string]string{"all": admin})
	person := must[*awstwin.Session](t)(w.SignIn(w.alice, prod, w.set))
	chained := must[*awstwin.Session](t)(person.AssumeRole(awstwin.Assume{Role: "Next", SessionName: "alice"}))
	withMFA := must[*awstwin.Session](t)(w.AssumeRole(prod, "oncall", awstwin.Assume{Role: "Next", SessionName: "BG-1", MFA: true}))
	for _, c := range []struct {
		key                              string
		person, chained, withMFA, longOf bool // has the key: a person's session, a role they went on to, an IAM user's role, long-term keys
	}{
		{"identitystore:userId", true, false, false, false},
		{"aws:CurrentTime", true, true, true, true},
		{"aws:userid", true, true, true, true},
		{"aws:PrincipalArn", true, true, true, true},
		{"aws:TokenIssueTime", true, true, true, false},
		{"aws:MultiFactorAuthPresent", true, true, true, false},
		{"aws:username", false, false, false, true},
		{"aws:SourceIdentity", false, false, false, false},
	} {
		w.SetSCP(prod, `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","NotAction":"sts:*","Resource":"*","Condition":{"Null":{"`+c.key+`":"true"}}}]}`)
		for name, who := range map[string]struct {
			s    *awstwin.Session
			want bool
		}{"person": {person, c.person}, "chained": {chained, c.chained}, "with MFA": {withMFA, c.withMFA}} {
			if got := who.s.Do(ctxOf(t), look) == nil; got != who.want {
				t.Errorf("%s of a %s session is there: %v", c.key, name, got)
			}
		}
	}
	if !strings.Contains(person.RoleARN, ":role/aws-reserved/") || person.UserID != w.alice || chained.UserID != "" {
		t.Errorf("%+v", person)
	}
	// What they are: the values that a guard compares.
	w.SetSCP(prod, `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringNotLike":{"aws:userid":"AROA*:BG-1"}}}]}`)
	if err := withMFA.Do(ctxOf(t), look); err != nil {
		t.Errorf("aws:userid of a role's session: %v", err)
	}
	w.SetSCP(prod, `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"ArnNotLike":{"aws:PrincipalArn":"`+person.RoleARN+`"}}}]}`)
	if err := person.Do(ctxOf(t), look); err != nil {
		t.Errorf("aws:PrincipalArn is the role's: %v", err)
	}
	w.SetSCP(prod, `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"Bool":{"aws:MultiFactorAuthPresent":"true"}}}]}`)
	if err := person.Do(ctxOf(t), look); err != nil {
		t.Errorf("a session of Identity Center counts as MFA: %v", err)
	}
	if withMFA.Do(ctxOf(t), look) == nil {
		t.Error("a role assumed with MFA does not")
	}
}

// breakGlassTrust opens a role to the user for a request, with MFA, until a time.
func breakGlassTrust(until time.Time) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + prod + `:user/oncall"},"Action":"sts:AssumeRole","Condition":{
	 "Bool":{"aws:MultiFactorAuthPresent":"true"},"StringEquals":{"sts:RoleSessionName":"BG-7"},"DateLessThan":{"aws:CurrentTime":"` + until.Format(time.RFC3339) + `"}}}]}`
}

// TestABreakGlassRole: opened by its trust policy, closed by time and by an inline deny, fenced by its boundary.
func TestABreakGlassRole(t *testing.T) {
	w := newWorld(t, nil)
	w.AddIAMUser(prod, awstwin.IAMUser{Name: "oncall", MFA: true})
	w.SetRole(prod, "Admin", `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}]}`, map[string]string{"all": admin})
	w.SetPolicy(prod, "Fence", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":"iam:CreateUser","Resource":"*"}]}`)
	w.SetRoleBoundary(prod, "Admin", "Fence")
	in := awstwin.Assume{Role: "Admin", SessionName: "BG-7", MFA: true}
	if _, err := w.AssumeRole(prod, "oncall", in); err == nil {
		t.Fatal("a closed role was assumed")
	}
	c, end := w.iamOf(t), w.now().Add(30*time.Minute)
	trust := func(document string) error {
		_, err := c.UpdateAssumeRolePolicy(ctxOf(t), &iam.UpdateAssumeRolePolicyInput{RoleName: aws.String("Admin"), PolicyDocument: &document})
		return err
	}
	if err := trust(breakGlassTrust(end)); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*awstwin.Assume){
		"no MFA":       func(a *awstwin.Assume) { a.MFA = false },
		"another name": func(a *awstwin.Assume) { a.SessionName = "BG-8" },
		"two hours":    func(a *awstwin.Assume) { a.Duration = 2 * time.Hour },
	} {
		wrong := in
		change(&wrong)
		if _, err := w.AssumeRole(prod, "oncall", wrong); err == nil {
			t.Errorf("%s: assumed", name)
		}
	}
	s := must[*awstwin.Session](t)(w.AssumeRole(prod, "oncall", in))
	if err := s.Do(ctxOf(t), look); err != nil {
		t.Fatal(err)
	}
	wantRefused(t, s.Do(ctxOf(t), awstwin.Action{Service: "iam", Name: "CreateUser", Params: map[string]any{"UserName": "x"}}), "explicit deny in a permissions boundary")
	ends := `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringLike":{"aws:userid":"*:BG-7"},"DateGreaterThanEquals":{"aws:CurrentTime":"` + end.Format(time.RFC3339) + `"}}}]}`
	if _, err := c.PutRolePolicy(ctxOf(t), &iam.PutRolePolicyInput{RoleName: aws.String("Admin"), PolicyName: aws.String("end"), PolicyDocument: &ends}); err != nil {
		t.Fatal(err)
	}
	if w.RolePolicy(prod, "Admin", "end") != ends || w.RoleTrust(prod, "Admin") != breakGlassTrust(end) {
		t.Error("what was written is not what is read")
	}
	if err := s.Do(ctxOf(t), look); err != nil {
		t.Fatal(err)
	}
	w.skip(30 * time.Minute)
	wantRefused(t, s.Do(ctxOf(t), look), explicit)
	if _, err := w.AssumeRole(prod, "oncall", in); err == nil {
		t.Error("assumed after the end")
	}
	err := trust(strings.Replace(breakGlassTrust(end), "user/oncall", "user/ghost", 1))
	var malformed *types.MalformedPolicyDocumentException
	if !errors.As(err, &malformed) {
		t.Errorf("a trust policy that names nobody there: %v", err)
	}
}

// TestGoingOnToAnotherRole: whom the trust of a role names, and what the caller's own policies say of it (IAM user guide, "Policy evaluation
// logic": an account is not enough, the caller itself is, and a deny always wins; a role that is named is still held by its boundary).
func TestGoingOnToAnotherRole(t *testing.T) {
	const nothing, assume = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:*","Resource":"*"}]}`,
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"}]}`
	fence := strings.Replace(assume, "Allow", "Deny", 1)
	for _, c := range []struct {
		name, trusts string // the principal: account, role or session
		policies     map[string]string
		boundary     string
		want         bool
	}{
		{"the account, and the caller may", "account", map[string]string{"a": assume}, "", true},
		{"the account, and the caller may not", "account", map[string]string{"a": nothing}, "", false},
		{"the role itself", "role", map[string]string{"a": nothing}, "", true},
		{"the role itself, with a deny of its own", "role", map[string]string{"a": assume, "b": fence}, "", false},
		{"the role itself, and its boundary is silent", "role", map[string]string{"a": assume}, nothing, false},
		{"the role itself, and its boundary allows", "role", map[string]string{"a": nothing}, assume, true},
		{"the session itself, and its boundary is silent", "session", map[string]string{"a": nothing}, nothing, true},
		{"somebody else", "nobody", map[string]string{"a": assume}, "", false},
	} {
		w := newWorld(t, nil)
		w.AddIAMUser(prod, awstwin.IAMUser{Name: "oncall", Policies: map[string]string{"all": admin}})
		w.SetRole(prod, "First", strings.Replace(botTrust, management, prod, 1), c.policies)
		if c.boundary != "" {
			w.SetPolicy(prod, "Boundary", c.boundary)
			w.SetRoleBoundary(prod, "First", "Boundary")
		}
		principal := map[string]string{"account": "arn:aws:iam::" + prod + ":root", "role": "arn:aws:iam::" + prod + ":role/First",
			"session": "arn:aws:sts::" + prod + ":assumed-role/First/BG-1", "nobody": "arn:aws:iam::" + prod + ":role/Other"}[c.trusts]
		w.SetRole(prod, "Second", strings.Replace(botTrust, "arn:aws:iam::"+management+":root", principal, 1), nil)
		s := must[*awstwin.Session](t)(w.AssumeRole(prod, "oncall", awstwin.Assume{Role: "First", SessionName: "BG-1"}))
		_, err := s.AssumeRole(awstwin.Assume{Role: "Second", SessionName: "anna"})
		var refused *awstwin.Error
		if denied := errors.As(err, &refused) && refused.Code == "AccessDenied"; denied == c.want || !denied && err != nil {
			t.Errorf("trust names %s: %v, want %v", c.name, err, c.want)
		}
	}
}

// TestIAMTakesItsTime: what is read back at once bears on requests later, in each of the three places.
func TestIAMTakesItsTime(t *testing.T) {
	w := guarded(t, nil)
	w.AddIAMUser(prod, awstwin.IAMUser{Name: "oncall", MFA: true, Policies: map[string]string{"all": admin}})
	w.SetRole(prod, "Admin", strings.Replace(botTrust, management, prod, 1), map[string]string{"all": admin})
	w.Assign(w.alice, prod, w.set)
	s := must[*awstwin.Session](t)(w.SignIn(w.alice, prod, w.set))
	in := awstwin.Assume{Role: "Admin", SessionName: "BG-7", MFA: true}
	r := must[*awstwin.Session](t)(w.AssumeRole(prod, "oncall", in))
	w.SetIAMLag(10 * time.Second)
	deny, never := denyAfter(1), strings.Replace(botTrust, "Allow", "Deny", 1)
	c := w.iamOf(t)
	w.guard(t, closedGuard(w.now().Add(time.Hour), w.alice))
	if _, err := c.PutRolePolicy(ctxOf(t), &iam.PutRolePolicyInput{RoleName: aws.String("Admin"), PolicyName: aws.String("end"), PolicyDocument: &deny}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.UpdateAssumeRolePolicy(ctxOf(t), &iam.UpdateAssumeRolePolicyInput{RoleName: aws.String("Admin"), PolicyDocument: &never}); err != nil {
		t.Fatal(err)
	}
	check := func(settled bool) {
		t.Helper()
		if (s.Do(ctxOf(t), look) == nil) != settled {
			t.Errorf("guard, settled %v", settled)
		}
		if (r.Do(ctxOf(t), look) != nil) != settled {
			t.Errorf("inline policy, settled %v", settled)
		}
		if _, err := w.AssumeRole(prod, "oncall", in); (err != nil) != settled {
			t.Errorf("trust, settled %v: %v", settled, err)
		}
	}
	w.skip(9 * time.Second)
	check(false)
	w.skip(time.Second)
	check(true)
	if _, err := c.DeleteRolePolicy(ctxOf(t), &iam.DeleteRolePolicyInput{RoleName: aws.String("Admin"), PolicyName: aws.String("end")}); err != nil {
		t.Fatal(err)
	}
	if r.Do(ctxOf(t), look) == nil {
		t.Error("a deleted policy stopped at once")
	}
	w.skip(10 * time.Second)
	if err := r.Do(ctxOf(t), look); err != nil {
		t.Error(err)
	}
}
