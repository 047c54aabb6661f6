package iam_test

import (
	"errors"
	"testing"

	"pgregory.net/rapid"

	"breakglass/deploy/sandbox/awstwin/iam"
)

func parse(t *testing.T, text string) *iam.Document {
	t.Helper()
	d, err := iam.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	d.Name = "test"
	return d
}

// ask is a request with context keys given in pairs; several values of a key follow by repeating it.
func ask(action, resource string, pairs ...string) iam.Request {
	ctx := iam.Context{}
	for i := 0; i < len(pairs); i += 2 {
		ctx.Set(pairs[i], append(ctx[lower(pairs[i])], pairs[i+1])...)
	}
	return iam.Request{Action: action, Resource: resource, Context: ctx}
}

func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 32
		}
	}
	return string(b)
}

func identity(docs ...*iam.Document) iam.Layer {
	return iam.Layer{Kind: iam.Identity, Documents: docs}
}

const allowAll = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`

// withDeny wraps a condition into the usual pair: everything allowed, and denied where the condition holds.
func withDeny(condition string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"},
	 {"Sid":"No","Effect":"Deny","Action":"*","Resource":"*","Condition":` + condition + `}]}`
}

// TestConditions: one condition, one request, whether the condition holds. The cases are those of the IAM User Guide,
// "Condition operators", "Multivalued context keys" and the pages on single operators.
func TestConditions(t *testing.T) {
	for _, c := range []struct {
		name, condition string
		pairs           []string
		holds           bool
	}{
		{"equals", `{"StringEquals":{"aws:PrincipalTag/job":"iamuser-admin"}}`, []string{"aws:PrincipalTag/job", "iamuser-admin"}, true},
		{"equals has case", `{"StringEquals":{"aws:PrincipalTag/job":"iamuser-admin"}}`, []string{"aws:PrincipalTag/job", "Iamuser-Admin"}, false},
		{"key names have no case", `{"StringEquals":{"AWS:principaltag/JOB":"x"}}`, []string{"aws:PrincipalTag/job", "x"}, true},
		{"ignore case", `{"StringEqualsIgnoreCase":{"aws:PrincipalTag/job":"x"}}`, []string{"aws:PrincipalTag/job", "X"}, true},
		{"not equals ignore case", `{"StringNotEqualsIgnoreCase":{"aws:PrincipalTag/job":"x"}}`, []string{"aws:PrincipalTag/job", "X"}, false},
		{"a wildcard is text to equals", `{"StringEquals":{"s3:prefix":"a*"}}`, []string{"s3:prefix", "ab"}, false},
		{"like", `{"StringLike":{"s3:prefix":["","home/","home/${aws:username}/*"]}}`, []string{"s3:prefix", "home/anna/x", "aws:username", "anna"}, true},
		{"like another user", `{"StringLike":{"s3:prefix":["home/${aws:username}/*"]}}`, []string{"s3:prefix", "home/bert/x", "aws:username", "anna"}, false},
		{"like one character", `{"StringLike":{"k":"a?c"}}`, []string{"k", "abc"}, true},
		{"several values of a key are alternatives", `{"StringEquals":{"k":["a","b"]}}`, []string{"k", "b"}, true},
		{"several keys must all hold", `{"StringEquals":{"k":"a","l":"b"}}`, []string{"k", "a"}, false},

		{"absent key, positive", `{"StringEquals":{"k":"a"}}`, nil, false},
		{"absent key, StringNotEquals", `{"StringNotEquals":{"k":"a"}}`, nil, true},
		{"absent key, StringNotLike", `{"StringNotLike":{"k":"a*"}}`, nil, true},
		{"absent key, NumericNotEquals", `{"NumericNotEquals":{"k":"1"}}`, nil, true},
		{"absent key, DateNotEquals", `{"DateNotEquals":{"k":"2026-01-01"}}`, nil, true},
		{"absent key, NotIpAddress", `{"NotIpAddress":{"aws:SourceIp":"10.0.0.0/8"}}`, nil, true},
		{"absent key, ArnNotLike", `{"ArnNotLike":{"k":"arn:aws:iam::*:role/x"}}`, nil, true},
		{"absent key, IfExists", `{"StringEqualsIfExists":{"k":"a"}}`, nil, true},
		{"present key, IfExists", `{"StringEqualsIfExists":{"k":"a"}}`, []string{"k", "b"}, false},
		{"not equals, any listed", `{"StringNotEquals":{"k":["a","b"]}}`, []string{"k", "b"}, false},
		{"not equals, none listed", `{"StringNotEquals":{"k":["a","b"]}}`, []string{"k", "c"}, true},
		{"nobody in the list, key absent", `{"StringNotEquals":{"identitystore:userId":["nobody"]}}`, nil, true},

		{"null true, absent", `{"Null":{"aws:TokenIssueTime":"true"}}`, nil, true},
		{"null true, present", `{"Null":{"aws:TokenIssueTime":"true"}}`, []string{"aws:TokenIssueTime", "x"}, false},
		{"null false, present", `{"Null":{"aws:TokenIssueTime":false}}`, []string{"aws:TokenIssueTime", "x"}, true},

		{"bool", `{"Bool":{"aws:SecureTransport":"false"}}`, []string{"aws:SecureTransport", "false"}, true},
		{"bool as JSON", `{"Bool":{"aws:SecureTransport":true}}`, []string{"aws:SecureTransport", "true"}, true},
		{"BoolIfExists denies long-term keys without MFA", `{"BoolIfExists":{"aws:MultiFactorAuthPresent":"false"}}`, nil, true},
		{"Bool does not", `{"Bool":{"aws:MultiFactorAuthPresent":"false"}}`, nil, false},

		{"numeric", `{"NumericLessThanEquals":{"s3:max-keys":"10"}}`, []string{"s3:max-keys", "9"}, true},
		{"numeric as a number", `{"NumericEquals":{"k":10}}`, []string{"k", "10.0"}, true},
		{"numeric is not alphabetic", `{"NumericLessThan":{"k":"9"}}`, []string{"k", "10"}, false},
		{"numeric greater", `{"NumericGreaterThan":{"k":"9"}}`, []string{"k", "10"}, true},
		{"numeric nonsense", `{"NumericGreaterThan":{"k":"9"}}`, []string{"k", "ten"}, false},

		{"date less", `{"DateLessThan":{"aws:TokenIssueTime":"2026-11-21T10:00:00Z"}}`, []string{"aws:TokenIssueTime", "2026-11-21T09:59:59Z"}, true},
		{"date equal is not less", `{"DateLessThan":{"aws:TokenIssueTime":"2026-11-21T10:00:00Z"}}`, []string{"aws:TokenIssueTime", "2026-11-21T10:00:00Z"}, false},
		{"date absent", `{"DateLessThan":{"aws:TokenIssueTime":"2026-11-21T10:00:00Z"}}`, nil, false},
		{"date with a zone", `{"DateGreaterThan":{"aws:CurrentTime":"2026-11-21T10:00:00+02:00"}}`, []string{"aws:CurrentTime", "2026-11-21T08:00:01Z"}, true},
		{"date against epoch", `{"DateGreaterThan":{"aws:EpochTime":"2026-11-21T10:00:00Z"}}`, []string{"aws:EpochTime", "1795255201"}, true},
		{"date, day only", `{"DateGreaterThanEquals":{"aws:CurrentTime":"2026-11-21"}}`, []string{"aws:CurrentTime", "2026-11-21T00:00:00Z"}, true},

		{"ip in range", `{"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}}`, []string{"aws:SourceIp", "203.0.113.77"}, true},
		{"ip out of range", `{"NotIpAddress":{"aws:SourceIp":["192.0.2.0/24","203.0.113.0/24"]}}`, []string{"aws:SourceIp", "198.51.100.1"}, true},
		{"ip alone", `{"IpAddress":{"aws:SourceIp":"2001:db8::1"}}`, []string{"aws:SourceIp", "2001:db8::1"}, true},

		{"arn like", `{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/aws-reserved/sso.amazonaws.com/*AWSReservedSSO_Emergency_*"}}`,
			[]string{"aws:PrincipalArn", "arn:aws:iam::123456789012:role/aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_Emergency_0123"}, true},
		{"arn wildcard stays in its part", `{"ArnLike":{"k":"arn:aws:*:role/x"}}`, []string{"k", "arn:aws:iam::123456789012:role/x"}, false},
		{"arn equals takes wildcards", `{"ArnEquals":{"k":"arn:aws:sns:*:123456789012:t"}}`, []string{"k", "arn:aws:sns:eu-west-1:123456789012:t"}, true},

		{"all values listed", `{"ForAllValues:StringEquals":{"aws:TagKeys":["a","b"]}}`, []string{"aws:TagKeys", "a", "aws:TagKeys", "b"}, true},
		{"one value not listed", `{"ForAllValues:StringEquals":{"aws:TagKeys":["a","b"]}}`, []string{"aws:TagKeys", "a", "aws:TagKeys", "c"}, false},
		{"ForAllValues with no values", `{"ForAllValues:StringEquals":{"aws:TagKeys":["a"]}}`, nil, true},
		{"any value listed", `{"ForAnyValue:StringEquals":{"aws:TagKeys":["a","b"]}}`, []string{"aws:TagKeys", "x", "aws:TagKeys", "b"}, true},
		{"ForAnyValue with no values", `{"ForAnyValue:StringEquals":{"aws:TagKeys":["a"]}}`, nil, false},
		{"any value different", `{"ForAnyValue:StringNotEquals":{"aws:TagKeys":["a"]}}`, []string{"aws:TagKeys", "a", "aws:TagKeys", "b"}, true},
		{"all values different", `{"ForAllValues:StringNotLike":{"aws:TagKeys":["a*"]}}`, []string{"aws:TagKeys", "ab", "aws:TagKeys", "b"}, false},

		{"variable without a value matches nothing", `{"StringEquals":{"k":"${aws:username}"}}`, []string{"k", ""}, false},
		{"variable with a default", `{"StringEquals":{"k":"${aws:username, 'nobody'}"}}`, []string{"k", "nobody"}, true},
		{"a star in a variable is text", `{"StringLike":{"k":"${aws:username}"}}`, []string{"k", "anything", "aws:username", "*"}, false},
		{"the star itself", `{"StringLike":{"k":"a${*}"}}`, []string{"k", "a*"}, true},
		{"binary", `{"BinaryEquals":{"k":"QmluYXJ5VmFsdWVJbkJhc2U2NA=="}}`, []string{"k", "QmluYXJ5VmFsdWVJbkJhc2U2NA=="}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := iam.Decide(ask("ec2:StopInstances", "*", c.pairs...), identity(parse(t, withDeny(c.condition))))
			if d.Explicit != c.holds || d.Allowed == c.holds {
				t.Errorf("%s with %v: %+v, want holds = %v", c.condition, c.pairs, d, c.holds)
			}
		})
	}
}

func TestActionsAndResources(t *testing.T) {
	for _, c := range []struct {
		name, statement, action, resource string
		allowed                           bool
	}{
		{"action has no case", `"Action":"EC2:stopinstances","Resource":"*"`, "ec2:StopInstances", "*", true},
		{"action wildcard", `"Action":["ec2:Describe*"],"Resource":"*"`, "ec2:DescribeInstances", "*", true},
		{"action wildcard stays with its service", `"Action":"s3:*","Resource":"*"`, "s3-object-lambda:GetObject", "*", false},
		{"not action", `"NotAction":"iam:*","Resource":"*"`, "ec2:StopInstances", "*", true},
		{"not action, excluded", `"NotAction":["iam:*","aws-portal:*"],"Resource":"*"`, "iam:CreateUser", "*", false},
		{"bucket is not its objects", `"Action":"s3:*","Resource":"arn:aws:s3:::forge"`, "s3:GetObject", "arn:aws:s3:::forge/a", false},
		{"objects", `"Action":"s3:*","Resource":"arn:aws:s3:::forge/*"`, "s3:GetObject", "arn:aws:s3:::forge/a/b:c", true},
		{"resource has case", `"Action":"s3:*","Resource":"arn:aws:s3:::forge/*"`, "s3:GetObject", "arn:aws:s3:::Forge/a", false},
		{"wildcard stays in its part", `"Action":"*","Resource":"arn:aws:ec2:*:111111111111:instance/*"`, "ec2:StopInstances", "arn:aws:ec2:us-east-1:222222222222:instance/i-1", false},
		{"not resource", `"Action":"s3:*","NotResource":"arn:aws:s3:::secret/*"`, "s3:GetObject", "arn:aws:s3:::forge/a", true},
		{"not resource, excluded", `"Action":"s3:*","NotResource":"arn:aws:s3:::secret/*"`, "s3:GetObject", "arn:aws:s3:::secret/a", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := iam.Decide(ask(c.action, c.resource), identity(parse(t, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow",`+c.statement+`}]}`)))
			if d.Allowed != c.allowed {
				t.Errorf("%+v, want %v", d, c.allowed)
			}
		})
	}
}

func TestVariablesNeedTheNewVersion(t *testing.T) {
	const body = `"Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::b/${aws:username}/*"}]}`
	req := ask("s3:GetObject", "arn:aws:s3:::b/anna/x", "aws:username", "anna")
	if d := iam.Decide(req, identity(parse(t, `{"Version":"2012-10-17",`+body))); !d.Allowed {
		t.Errorf("2012-10-17: %+v", d)
	}
	if d := iam.Decide(req, identity(parse(t, `{"Version":"2008-10-17",`+body))); d.Allowed {
		t.Errorf("2008-10-17: %+v", d)
	}
}

func TestLayers(t *testing.T) {
	all, none := parse(t, allowAll), parse(t, `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}`)
	ec2 := parse(t, `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"ec2:*","Resource":"*"}}`)
	req, other := ask("ec2:StopInstances", "*"), ask("s3:ListAllMyBuckets", "*")
	boundary := iam.Layer{Kind: iam.Boundary, Documents: []*iam.Document{ec2}}
	for name, c := range map[string]struct {
		req    iam.Request
		layers []iam.Layer
		want   bool
		why    string
	}{
		"nothing":             {req, []iam.Layer{identity()}, false, "because no identity-based policy allows the ec2:StopInstances action"},
		"deny wins":           {req, []iam.Layer{identity(all, none)}, false, "with an explicit deny in an identity-based policy"},
		"boundary allows":     {req, []iam.Layer{identity(all), boundary}, true, "allowed by test"},
		"boundary is silent":  {other, []iam.Layer{identity(all), boundary}, false, "because no permissions boundary allows the s3:ListAllMyBuckets action"},
		"boundary gives none": {req, []iam.Layer{identity(), boundary}, false, "because no identity-based policy allows the ec2:StopInstances action"},
		"control policy":      {req, []iam.Layer{identity(all), {Kind: iam.Service, Documents: []*iam.Document{all, none}}}, false, "with an explicit deny in a service control policy"},
	} {
		if d := iam.Decide(c.req, c.layers...); d.Allowed != c.want || d.Why != c.why {
			t.Errorf("%s: %+v, want %v %q", name, d, c.want, c.why)
		}
	}
}

// TestGuard is the policy that ends a session at its time: a line for each live one, and everything denied to the rest.
func TestGuard(t *testing.T) {
	guard := parse(t, `{"Version":"2012-10-17","Statement":[
	 {"Sid":"Closed","Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringNotEquals":{"identitystore:userId":["anna"]}}},
	 {"Sid":"Anna","Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringEquals":{"identitystore:userId":"anna"},"DateGreaterThan":{"aws:CurrentTime":"2026-11-21T10:00:00Z"}}}]}`)
	layers := identity(parse(t, allowAll), guard)
	for name, c := range map[string]struct {
		pairs []string
		sid   string
	}{
		"in time":     {[]string{"identitystore:UserId", "anna", "aws:CurrentTime", "2026-11-21T10:00:00Z"}, ""},
		"expired":     {[]string{"identitystore:UserId", "anna", "aws:CurrentTime", "2026-11-21T10:00:01Z"}, "Anna"},
		"nobody's":    {[]string{"identitystore:UserId", "bert", "aws:CurrentTime", "2026-11-21T09:00:00Z"}, "Closed"},
		"no user key": {[]string{"aws:CurrentTime", "2026-11-21T09:00:00Z"}, "Closed"},
	} {
		if d := iam.Decide(ask("ec2:StopInstances", "*", c.pairs...), layers); d.Sid != c.sid || d.Allowed != (c.sid == "") {
			t.Errorf("%s: %+v", name, d)
		}
	}
}

func TestTrust(t *testing.T) {
	account := parse(t, `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:root"},"Action":"sts:AssumeRole",
	 "Condition":{"Bool":{"aws:MultiFactorAuthPresent":"true"},"DateLessThan":{"aws:CurrentTime":"2026-11-21T10:00:00Z"}}}}`)
	user := parse(t, `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:user/anna"},"Action":"sts:AssumeRole"}}`)
	anna := iam.Principal{ARNs: []string{"arn:aws:iam::111111111111:user/anna"}, Account: "111111111111"}
	req := func(p iam.Principal, pairs ...string) iam.Request {
		r := ask("sts:AssumeRole", "arn:aws:iam::222222222222:role/x", pairs...)
		r.Principal = p
		return r
	}
	good := []string{"aws:MultiFactorAuthPresent", "true", "aws:CurrentTime", "2026-11-21T09:00:00Z"}
	if d := iam.DecideResource(req(anna, good...), account); !d.Allowed || !d.Delegated {
		t.Errorf("account: %+v", d)
	}
	if d := iam.DecideResource(req(anna, good[2:]...), account); d.Allowed {
		t.Errorf("without MFA: %+v", d)
	}
	if d := iam.DecideResource(req(anna, "aws:MultiFactorAuthPresent", "true", "aws:CurrentTime", "2026-11-21T11:00:00Z"), account); d.Allowed {
		t.Errorf("too late: %+v", d)
	}
	if d := iam.DecideResource(req(anna), user); !d.Allowed || d.Delegated {
		t.Errorf("user: %+v", d)
	}
	if d := iam.DecideResource(req(iam.Principal{ARNs: []string{"arn:aws:iam::111111111111:user/bert"}, Account: "111111111111"}), user); d.Allowed {
		t.Errorf("another user: %+v", d)
	}
}

func TestParseRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"not JSON":         `{`,
		"no statement":     `{"Version":"2012-10-17","Statement":[]}`,
		"version":          `{"Version":"2012-10-18","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`,
		"effect":           `{"Statement":{"Effect":"allow","Action":"*","Resource":"*"}}`,
		"no action":        `{"Statement":{"Effect":"Allow","Resource":"*"}}`,
		"both actions":     `{"Statement":{"Effect":"Allow","Action":"*","NotAction":"iam:*","Resource":"*"}}`,
		"no vendor":        `{"Statement":{"Effect":"Allow","Action":"StopInstances","Resource":"*"}}`,
		"unknown element":  `{"Statement":{"Effect":"Allow","Action":"*","Resource":"*","Conditions":{}}}`,
		"unknown operator": `{"Statement":{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringIs":{"k":"v"}}}}`,
		"effect twice":     `{"Statement":{"Effect":"Allow","Effect":"Deny","Action":"*","Resource":"*"}}`,
		"operator twice":   `{"Statement":{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringEquals":{"k":"a"},"StringEquals":{"l":"b"}}}}`,
		"key twice":        `{"Statement":[{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringEquals":{"k":["a"],"k":["b"]}}}]}`,
		"text after":       `{"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}} x`,
	} {
		if _, err := iam.Parse([]byte(text)); !errors.Is(err, iam.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := parse(t, `{"Statement":{"Effect":"Allow","Action":"*"}}`).CheckIdentity(); err == nil {
		t.Error("identity policy without resource accepted")
	}
	for name, text := range map[string]string{
		"a Sid with a hyphen":  `{"Statement":{"Sid":"BG-1","Effect":"Allow","Action":"*","Resource":"*"}}`,
		"two of the same Sid":  `{"Statement":[{"Sid":"A","Effect":"Allow","Action":"*","Resource":"*"},{"Sid":"A","Effect":"Deny","Action":"*","Resource":"*"}]}`,
		"a resource by a name": `{"Statement":{"Effect":"Allow","Action":"*","Resource":"BreakGlassGuard"}}`,
	} {
		if err := parse(t, text).CheckIdentity(); !errors.Is(err, iam.ErrMalformed) {
			t.Errorf("identity policy with %s: %v", name, err)
		}
	}
	if err := parse(t, `{"Statement":{"Effect":"Deny","NotPrincipal":{"AWS":"*"},"Action":"sts:AssumeRole"}}`).CheckTrust(); err == nil {
		t.Error("trust policy with NotPrincipal accepted")
	}
	if err := parse(t, allowAll).CheckTrust(); err == nil {
		t.Error("trust policy with a resource and no principal accepted")
	}
}

// TestWildcardsAgreeWithThePlainDefinition compares the matcher with the textbook recursion on small alphabets.
func TestWildcardsAgreeWithThePlainDefinition(t *testing.T) {
	var slow func(p, s string) bool
	slow = func(p, s string) bool {
		switch {
		case p == "":
			return s == ""
		case p[0] == '*':
			return slow(p[1:], s) || (s != "" && slow(p, s[1:]))
		case s == "":
			return false
		}
		return (p[0] == '?' || p[0] == s[0]) && slow(p[1:], s[1:])
	}
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.StringOfN(rapid.RuneFrom([]rune("ab*?")), 0, 8, -1).Draw(t, "pattern")
		s := rapid.StringOfN(rapid.RuneFrom([]rune("ab")), 0, 8, -1).Draw(t, "text")
		doc, err := iam.Parse([]byte(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringLike":{"k":"` + p + `"}}}}`))
		if err != nil {
			t.Fatal(err)
		}
		if got := iam.Decide(ask("a:B", "*", "k", s), iam.Layer{Documents: []*iam.Document{doc}}).Allowed; got != slow(p, s) {
			t.Fatalf("%q like %q: %v", s, p, got)
		}
	})
}
