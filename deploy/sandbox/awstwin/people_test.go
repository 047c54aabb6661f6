package awstwin_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	trailtypes "github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/sso"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"breakglass/deploy/sandbox/awstwin"
)

const botTrust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::100000000000:root"},"Action":"sts:AssumeRole"}]}`

const lookupOnly = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["cloudtrail:LookupEvents","ssm:DescribeSessions","ssm:TerminateSession"],"Resource":"*"}]}`

func (w *world) member(t *testing.T, account string) aws.Config {
	t.Helper()
	w.SetRole(account, "breakglass-bot-member", botTrust, map[string]string{"read": lookupOnly})
	out, err := sts.NewFromConfig(bot(w.Organization)).AssumeRole(ctxOf(t), &sts.AssumeRoleInput{
		RoleArn: aws.String("arn:aws:iam::" + account + ":role/breakglass-bot-member"), RoleSessionName: aws.String("breakglass")})
	if err != nil {
		t.Fatal(err)
	}
	c := out.Credentials
	return config(w.Organization, "us-east-1", *c.AccessKeyId, *c.SecretAccessKey, *c.SessionToken)
}

func lookup(t *testing.T, cfg aws.Config, key trailtypes.LookupAttributeKey, value string) []trailtypes.Event {
	t.Helper()
	in := &cloudtrail.LookupEventsInput{}
	if key != "" {
		in.LookupAttributes = []trailtypes.LookupAttribute{{AttributeKey: key, AttributeValue: &value}}
	}
	out, err := cloudtrail.NewFromConfig(cfg).LookupEvents(ctxOf(t), in)
	if err != nil {
		t.Fatal(err)
	}
	return out.Events
}

func TestSessionOfAPerson(t *testing.T) {
	w := newWorld(t, nil)
	if _, err := w.SignIn(w.alice, prod, "Forge-Prod-Emergency"); err == nil {
		t.Fatal("signed in without an assignment")
	}
	w.Assign(w.alice, prod, w.set)
	w.AddInstance(prod, "us-east-1", "i-0aaa", "web")
	s := must[*awstwin.Session](t)(w.SignIn(w.alice, prod, "Forge-Prod-Emergency"))
	if err := s.Do(ctxOf(t), awstwin.Action{Service: "ec2", Name: "StopInstances", Params: map[string]any{"InstanceIds": []string{"i-0aaa"}}}); err != nil {
		t.Fatal(err)
	}
	if got := w.Instances(prod)[0].State; got != "stopped" {
		t.Fatalf("instance is %s", got)
	}
	err := s.Do(ctxOf(t), awstwin.Action{Service: "ec2", Name: "TerminateInstances", Params: map[string]any{"InstanceIds": []string{"i-0aaa"}}})
	var refused *awstwin.Error
	if !errors.As(err, &refused) || refused.Code != "UnauthorizedOperation" || !strings.Contains(refused.Message, "no identity-based policy allows") {
		t.Fatalf("terminate: %v", err)
	}
	err = s.Do(ctxOf(t), awstwin.Action{Service: "iam", Name: "CreateUser", Params: map[string]any{"UserName": "mallory"}})
	if !errors.As(err, &refused) || refused.Code != "AccessDenied" {
		t.Fatalf("create user: %v", err)
	}
	if _, err := s3.NewFromConfig(as(w.Organization, s), func(o *s3.Options) { o.UsePathStyle = true }).ListBuckets(ctxOf(t), &s3.ListBucketsInput{}); err != nil {
		t.Fatal(err)
	}
	// The assignment goes and the session lives on, to its end.
	w.Unassign(w.alice, prod, w.set)
	stop := awstwin.Action{Service: "ec2", Name: "DescribeInstances"}
	w.skip(59 * time.Minute)
	if err := s.Do(ctxOf(t), stop); err != nil {
		t.Fatalf("after the assignment is gone: %v", err)
	}
	w.skip(2 * time.Minute)
	if err := s.Do(ctxOf(t), stop); !errors.As(err, &refused) || refused.Code != "RequestExpired" {
		t.Fatalf("after its end: %v", err)
	}
}

func TestTrailOfASession(t *testing.T) {
	w := newWorld(t, nil)
	w.Assign(w.alice, prod, w.set)
	w.AddInstance(prod, "us-east-1", "i-0aaa", "web")
	s := must[*awstwin.Session](t)(w.SignIn(w.alice, prod, w.set))
	_ = s.Do(ctxOf(t), awstwin.Action{Service: "ec2", Name: "StopInstances", Params: map[string]any{"InstanceIds": []string{"i-0aaa"}}})
	_ = s.Do(ctxOf(t), awstwin.Action{Service: "ec2", Name: "TerminateInstances", Params: map[string]any{"InstanceIds": []string{"i-0aaa"}}})
	_ = s.Do(ctxOf(t), awstwin.Action{Service: "iam", Name: "CreateUser", Region: "us-west-2", Params: map[string]any{"UserName": "mallory"}})
	_ = s.Do(ctxOf(t), awstwin.Action{Service: "kms", Name: "DisableKey", Resource: "arn:aws:kms:us-east-1:100000000003:key/1"})
	cfg := w.member(t, prod)
	if n := len(lookup(t, cfg, trailtypes.LookupAttributeKeyUsername, "alice")); n != 0 {
		t.Fatalf("%d events before they are delivered", n)
	}
	w.skip(6 * time.Minute)
	got := map[string]trailtypes.Event{}
	for _, e := range lookup(t, cfg, trailtypes.LookupAttributeKeyUsername, "alice") {
		got[*e.EventName] = e
	}
	for _, name := range []string{"StopInstances", "TerminateInstances", "CreateUser", "DisableKey", "AssumeRoleWithSAML", "ConsoleLogin"} {
		if _, ok := got[name]; !ok {
			t.Errorf("no %s in the trail", name)
		}
	}
	var stop struct {
		UserIdentity struct {
			Type, PrincipalId, Arn string
			SessionContext         struct {
				SessionIssuer struct{ Arn, UserName string }
				Attributes    struct{ MfaAuthenticated string }
			}
			OnBehalfOf struct{ UserId, IdentityStoreArn string }
		}
		ErrorCode, AwsRegion string
		ReadOnly             bool
		RequestParameters    struct {
			InstancesSet struct{ Items []struct{ InstanceId string } }
		}
	}
	if err := json.Unmarshal([]byte(*got["StopInstances"].CloudTrailEvent), &stop); err != nil {
		t.Fatal(err)
	}
	id := stop.UserIdentity
	if id.Type != "AssumedRole" || id.OnBehalfOf.UserId != w.alice || !strings.HasSuffix(id.PrincipalId, ":alice") || !strings.HasPrefix(id.PrincipalId, "AROA") ||
		!strings.Contains(id.SessionContext.SessionIssuer.Arn, ":role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Forge-Prod-Emergency_") ||
		strings.Contains(id.Arn, "aws-reserved") || id.SessionContext.Attributes.MfaAuthenticated != "false" {
		t.Errorf("identity: %+v", id)
	}
	if stop.ReadOnly || len(stop.RequestParameters.InstancesSet.Items) != 1 {
		t.Errorf("event: %+v", stop)
	}
	if !strings.Contains(*got["TerminateInstances"].CloudTrailEvent, `"errorCode":"Client.UnauthorizedOperation"`) ||
		!strings.Contains(*got["CreateUser"].CloudTrailEvent, `"errorCode":"AccessDenied"`) || !strings.Contains(*got["CreateUser"].CloudTrailEvent, `"awsRegion":"us-east-1"`) {
		t.Errorf("refusals: %s\n%s", *got["TerminateInstances"].CloudTrailEvent, *got["CreateUser"].CloudTrailEvent)
	}
	w.skip(time.Second)
	portal := lookup(t, bot(w.Organization), trailtypes.LookupAttributeKeyEventName, "Federate")
	if len(portal) != 1 || portal[0].Username != nil || !strings.Contains(*portal[0].CloudTrailEvent, `"role_name":"Forge-Prod-Emergency"`) {
		t.Errorf("portal: %+v", portal)
	}
}

func TestLookupEventsPagesAndLimits(t *testing.T) {
	w := newWorld(t, func(c *awstwin.Config) { c.TrailDelay = -1 })
	w.Assign(w.alice, prod, w.set)
	s := must[*awstwin.Session](t)(w.SignIn(w.alice, prod, w.set))
	cfg := w.member(t, prod)
	for range 120 {
		w.skip(time.Second)
		if err := s.Do(ctxOf(t), awstwin.Action{Service: "ec2", Name: "DescribeInstances"}); err != nil {
			t.Fatal(err)
		}
	}
	c := cloudtrail.NewFromConfig(cfg)
	p := cloudtrail.NewLookupEventsPaginator(c, &cloudtrail.LookupEventsInput{LookupAttributes: []trailtypes.LookupAttribute{
		{AttributeKey: trailtypes.LookupAttributeKeyEventName, AttributeValue: aws.String("DescribeInstances")}}})
	seen, pages := map[string]bool{}, 0
	last := w.now().Add(time.Hour)
	for p.HasMorePages() {
		out, err := p.NextPage(ctxOf(t))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range out.Events {
			if seen[*e.EventId] || e.EventTime.After(last) {
				t.Fatalf("event %s repeated or out of order", *e.EventId)
			}
			seen[*e.EventId], last = true, *e.EventTime
		}
		pages++
		w.skip(time.Second)
		_ = s.Do(ctxOf(t), awstwin.Action{Service: "ec2", Name: "DescribeInstances"}) // does not shift the pages
	}
	if len(seen) != 120 || pages != 3 {
		t.Fatalf("%d events on %d pages", len(seen), pages)
	}
	in := &cloudtrail.LookupEventsInput{}
	for i := range 3 {
		_, err := c.LookupEvents(ctxOf(t), in)
		if want := i == 2; (code(err) == "ThrottlingException") != want {
			t.Fatalf("call %d: %v", i, err)
		}
	}
	two := &cloudtrail.LookupEventsInput{LookupAttributes: make([]trailtypes.LookupAttribute, 2)}
	for i := range two.LookupAttributes {
		two.LookupAttributes[i] = trailtypes.LookupAttribute{AttributeKey: trailtypes.LookupAttributeKeyEventName, AttributeValue: aws.String("x")}
	}
	w.skip(time.Second)
	_, err := c.LookupEvents(ctxOf(t), two)
	wantCode(t, err, "InvalidLookupAttributesException")
	_, err = c.LookupEvents(ctxOf(t), &cloudtrail.LookupEventsInput{MaxResults: aws.Int32(51)})
	wantCode(t, err, "InvalidMaxResultsException")
}

func TestAssumeRoleChecksTrust(t *testing.T) {
	w := newWorld(t, nil)
	c := sts.NewFromConfig(bot(w.Organization))
	in := &sts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::" + prod + ":role/breakglass-bot-member"), RoleSessionName: aws.String("bot")}
	_, err := c.AssumeRole(ctxOf(t), in)
	wantCode(t, err, "AccessDenied")
	w.SetRole(prod, "breakglass-bot-member", strings.Replace(botTrust, "100000000000", "100000000009", 1), nil)
	_, err = c.AssumeRole(ctxOf(t), in)
	wantCode(t, err, "AccessDenied")
	cfg := w.member(t, prod)
	who, err := sts.NewFromConfig(cfg).GetCallerIdentity(ctxOf(t), &sts.GetCallerIdentityInput{})
	if err != nil || *who.Arn != "arn:aws:sts::"+prod+":assumed-role/breakglass-bot-member/breakglass" {
		t.Fatalf("%+v %v", who, err)
	}
	in.DurationSeconds = aws.Int32(7200)
	_, err = c.AssumeRole(ctxOf(t), in)
	wantCode(t, err, "ValidationError")
	w.skip(61 * time.Minute)
	_, err = sts.NewFromConfig(cfg).GetCallerIdentity(ctxOf(t), &sts.GetCallerIdentityInput{})
	wantCode(t, err, "ExpiredToken")
	_, err = sts.NewFromConfig(config(w.Organization, "us-east-1", "AKIANOBODY", "x", "")).GetCallerIdentity(ctxOf(t), nil)
	wantCode(t, err, "InvalidClientTokenId")
}

func TestRoleThatAsksForMFAAndATime(t *testing.T) {
	w := newWorld(t, nil)
	keys := w.AddIAMUser(prod, awstwin.IAMUser{Name: "oncall", MFA: true})
	w.SetRole(prod, "BreakGlassAdminRole", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::100000000003:user/oncall"},
	 "Action":"sts:AssumeRole","Condition":{"Bool":{"aws:MultiFactorAuthPresent":"true"},"DateLessThan":{"aws:CurrentTime":"2026-11-21T11:00:00Z"},
	 "StringEquals":{"sts:RoleSessionName":"BG-1042"}}}]}`, nil)
	c := sts.NewFromConfig(config(w.Organization, "us-east-1", keys.AccessKeyID, keys.SecretAccessKey, ""))
	in := &sts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::" + prod + ":role/BreakGlassAdminRole"), RoleSessionName: aws.String("BG-1042")}
	_, err := c.AssumeRole(ctxOf(t), in)
	wantCode(t, err, "AccessDenied")
	in.SerialNumber, in.TokenCode = aws.String("arn:aws:iam::"+prod+":mfa/oncall"), aws.String("123456")
	if _, err = c.AssumeRole(ctxOf(t), in); err != nil {
		t.Fatal(err)
	}
	in.RoleSessionName = aws.String("BG-1043")
	_, err = c.AssumeRole(ctxOf(t), in)
	wantCode(t, err, "AccessDenied")
	in.RoleSessionName = aws.String("BG-1042")
	w.skip(time.Hour)
	_, err = c.AssumeRole(ctxOf(t), in)
	wantCode(t, err, "AccessDenied")
}

func TestPortal(t *testing.T) {
	w := newWorld(t, nil)
	w.Assign("grp-oncall", prod, w.set)
	token := must[string](t)(w.PortalSignIn(w.alice))
	c := sso.NewFromConfig(config(w.Organization, "us-east-1", "", "", ""))
	roles, err := c.ListAccountRoles(ctxOf(t), &sso.ListAccountRolesInput{AccessToken: &token, AccountId: aws.String(prod)})
	if err != nil || len(roles.RoleList) != 1 {
		t.Fatalf("%+v %v", roles, err)
	}
	creds, err := c.GetRoleCredentials(ctxOf(t), &sso.GetRoleCredentialsInput{AccessToken: &token, AccountId: aws.String(prod), RoleName: roles.RoleList[0].RoleName})
	if err != nil {
		t.Fatal(err)
	}
	k := creds.RoleCredentials
	who, err := sts.NewFromConfig(config(w.Organization, "us-east-1", *k.AccessKeyId, *k.SecretAccessKey, *k.SessionToken)).GetCallerIdentity(ctxOf(t), nil)
	if err != nil || !strings.HasSuffix(*who.Arn, "/alice") {
		t.Fatalf("%+v %v", who, err)
	}
	w.RemoveMember("grp-oncall", w.alice)
	_, err = c.GetRoleCredentials(ctxOf(t), &sso.GetRoleCredentialsInput{AccessToken: &token, AccountId: aws.String(prod), RoleName: roles.RoleList[0].RoleName})
	wantCode(t, err, "ForbiddenException")
	if _, err := w.SignIn(w.bob, prod, w.set); err == nil {
		t.Error("a disabled user signed in")
	}
}

// TestGuardEndsALiveSession: a customer managed policy of the account, referenced by the permission set, works on sessions that live.
func TestGuardEndsALiveSession(t *testing.T) {
	w := newWorld(t, nil)
	set := w.AddPermissionSet(awstwin.PermissionSet{Name: "Guarded", ManagedPolicies: []string{"AdministratorAccess"}, CustomerManaged: []string{"BreakGlassGuard-Guarded"}})
	w.SetPolicy(prod, "BreakGlassGuard-Guarded", `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*","Condition":{
	 "StringEquals":{"identitystore:userId":"`+w.alice+`"},"DateGreaterThan":{"aws:CurrentTime":"2026-11-21T10:30:00Z"}}}]}`)
	w.Assign(w.alice, prod, set)
	s := must[*awstwin.Session](t)(w.SignIn(w.alice, prod, set))
	act := awstwin.Action{Service: "ec2", Name: "DescribeInstances"}
	if err := s.Do(ctxOf(t), act); err != nil {
		t.Fatal(err)
	}
	w.skip(31 * time.Minute)
	var refused *awstwin.Error
	if err := s.Do(ctxOf(t), act); !errors.As(err, &refused) || !strings.Contains(refused.Message, "explicit deny") {
		t.Fatalf("after its end: %v", err)
	}
}

func TestSSMSessionOutlivesItsCredentials(t *testing.T) {
	w := newWorld(t, nil)
	w.Assign(w.alice, prod, w.set)
	w.AddInstance(prod, "us-east-1", "i-0aaa", "web")
	s := must[*awstwin.Session](t)(w.SignIn(w.alice, prod, w.set))
	started, err := ssm.NewFromConfig(as(w.Organization, s)).StartSession(ctxOf(t), &ssm.StartSessionInput{Target: aws.String("i-0aaa"), Reason: aws.String("INC-1")})
	if err != nil || !strings.HasPrefix(*started.SessionId, "alice-") {
		t.Fatalf("%+v %v", started, err)
	}
	w.skip(2 * time.Hour)
	c := ssm.NewFromConfig(w.member(t, prod))
	open, err := c.DescribeSessions(ctxOf(t), &ssm.DescribeSessionsInput{State: "Active"})
	if err != nil || len(open.Sessions) != 1 || !strings.Contains(*open.Sessions[0].Owner, "AWSReservedSSO_Forge-Prod-Emergency_") {
		t.Fatalf("%+v %v", open, err)
	}
	if _, err := c.TerminateSession(ctxOf(t), &ssm.TerminateSessionInput{SessionId: started.SessionId}); err != nil {
		t.Fatal(err)
	}
	if open, _ = c.DescribeSessions(ctxOf(t), &ssm.DescribeSessionsInput{State: "Active"}); len(open.Sessions) != 0 {
		t.Fatal("still open")
	}
	past, err := c.DescribeSessions(ctxOf(t), &ssm.DescribeSessionsInput{State: "History"})
	if err != nil || len(past.Sessions) != 1 || past.Sessions[0].EndDate == nil {
		t.Fatalf("%+v %v", past, err)
	}
	_, err = c.StartSession(ctxOf(t), &ssm.StartSessionInput{Target: aws.String("i-0aaa")})
	wantCode(t, err, "AccessDeniedException")
}

// ec2 drives EC2 by hand: its SDK module is larger than all else together.
func ec2(t *testing.T, w *world, s *awstwin.Session, form url.Values) (int, string) {
	t.Helper()
	form.Set("Version", "2016-11-15")
	req, _ := http.NewRequestWithContext(ctxOf(t), "POST", "http://aws.sandbox/", strings.NewReader(form.Encode()))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+s.AccessKeyID+"/20261121/us-east-1/ec2/aws4_request, SignedHeaders=host, Signature=00")
	req.Header.Set("X-Amz-Security-Token", s.SessionToken)
	resp, err := direct{w}.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	_ = resp.Write(&b)
	return resp.StatusCode, b.String()
}

func TestEC2OverHTTP(t *testing.T) {
	w := newWorld(t, nil)
	w.Assign(w.alice, prod, w.set)
	w.AddInstance(prod, "us-east-1", "i-0aaa", "web")
	s := must[*awstwin.Session](t)(w.SignInCLI(w.alice, prod, w.set))
	if n, body := ec2(t, w, s, url.Values{"Action": {"DescribeInstances"}}); n != 200 || !strings.Contains(body, "<instanceId>i-0aaa</instanceId>") {
		t.Errorf("%d %s", n, body)
	}
	if n, body := ec2(t, w, s, url.Values{"Action": {"StopInstances"}, "InstanceId.1": {"i-none"}}); n != 400 || !strings.Contains(body, "<Code>InvalidInstanceID.NotFound</Code>") {
		t.Errorf("%d %s", n, body)
	}
	if n, body := ec2(t, w, s, url.Values{"Action": {"TerminateInstances"}, "InstanceId.1": {"i-0aaa"}}); n != 403 || !strings.Contains(body, "<Code>UnauthorizedOperation</Code>") {
		t.Errorf("%d %s", n, body)
	}
}
