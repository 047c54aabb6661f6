package iam_test

import (
	"testing"

	"breakglass/deploy/sandbox/awstwin/iam"
)

// The pages of AWS's documentation that the cases below are taken from.
const (
	pageOperators  = "IAM User Guide, reference_policies_elements_condition_operators"
	pageMulti      = "IAM User Guide, reference_policies_condition-single-vs-multi-valued-context-keys"
	pageMultiOlder = "IAM User Guide, reference_policies_multi-value-conditions"
	pageLogic      = "IAM User Guide, reference_policies_condition-logic-multiple-context-keys-or-values"
	pageNotAction  = "IAM User Guide, reference_policies_elements_notaction"
	pageNotRes     = "IAM User Guide, reference_policies_elements_notresource"
	pageResource   = "IAM User Guide, reference_policies_elements_resource"
	pageVariables  = "IAM User Guide, reference_policies_variables"
	pageBoundary   = "IAM User Guide, access_policies_boundaries"
	pageEvaluation = "IAM User Guide, reference_policies_evaluation-logic_policy-eval-denyallow"
	pageRevokeRole = "IAM User Guide, id_roles_use_revoke-sessions"
	pageRevokeUser = "IAM Identity Center User Guide, prereqs-revoking-user-permissions"
)

// documented is one case of a page: what the policies say and who asks, and what the page says comes of it.
type documented struct {
	page, name string
	identity   []string // statements of identity-based policies, each a policy of its own
	boundary   []string // nil: none
	session    []string
	control    []string
	action     string
	resource   string
	context    []string // pairs
	want       outcome
}

type outcome int

const (
	allowed outcome = iota
	silent          // implicitly denied: nothing allows it
	denied          // explicitly
)

func (o outcome) String() string {
	return [...]string{"allowed", "implicitly denied", "explicitly denied"}[o]
}

func (d documented) decide(t *testing.T) outcome {
	t.Helper()
	docs := func(statements []string) (all []*iam.Document) {
		for _, s := range statements {
			p := parse(t, `{"Version":"2012-10-17","Statement":[`+s+`]}`)
			if err := p.CheckIdentity(); err != nil {
				t.Fatal(err)
			}
			all = append(all, p)
		}
		return all
	}
	layers := []iam.Layer{{Kind: iam.Identity, Documents: docs(d.identity)}}
	for _, l := range []struct {
		kind       string
		statements []string
	}{{iam.Boundary, d.boundary}, {iam.Session, d.session}, {iam.Service, d.control}} {
		if l.statements != nil {
			layers = append(layers, iam.Layer{Kind: l.kind, Documents: docs(l.statements)})
		}
	}
	got := iam.Decide(ask(d.action, d.resource, d.context...), layers...)
	switch {
	case got.Allowed:
		return allowed
	case got.Explicit:
		return denied
	}
	return silent
}

const (
	all     = `{"Effect":"Allow","Action":"*","Resource":"*"}`
	object  = "arn:aws:s3:::amzn-s3-demo-bucket/a"
	bucket  = "arn:aws:s3:::amzn-s3-demo-bucket"
	anyRole = "arn:aws:iam::111122223333:role/Admin"
)

// TestAsAWSDocumentsIt runs the examples of the documentation. Each says on which page it stands; where a page gives a policy and tells of
// several requests, each request is a case.
func TestAsAWSDocumentsIt(t *testing.T) {
	for _, group := range [][]documented{operatorCases(), setCases(), elementCases(), layerCases(), revocationCases()} {
		for _, d := range group {
			t.Run(d.name, func(t *testing.T) {
				if got := d.decide(t); got != d.want {
					t.Errorf("%v, but %s (%s)", got, d.want, d.page)
				}
			})
		}
	}
}

func operatorCases() []documented {
	keys := func(condition string) []string {
		return []string{`{"Effect":"Allow","Action":"iam:*AccessKey*","Resource":"arn:aws:iam::111122223333:user/*","Condition":` + condition + `}`}
	}
	const key, user = "iam:CreateAccessKey", "arn:aws:iam::111122223333:user/anna"
	job := keys(`{"StringEquals":{"aws:PrincipalTag/job-category":"iamuser-admin"}}`)
	fresh := keys(`{"DateGreaterThan":{"aws:TokenIssueTime":"2020-01-01T00:00:01Z"}}`)
	network := keys(`{"IpAddress":{"aws:SourceIp":["203.0.113.0/24","2001:DB8:1234:5678::/64"]}}`)
	home := []string{`{"Effect":"Allow","Action":"s3:ListBucket","Resource":"` + bucket + `","Condition":{"StringLike":{"s3:prefix":["","home/","home/${aws:username}/"]}}}`}
	ten := []string{`{"Effect":"Allow","Action":"s3:ListBucket","Resource":"` + bucket + `","Condition":{"NumericLessThanEquals":{"s3:max-keys":"10"}}}`}
	tls := []string{all, `{"Sid":"BooleanExample","Effect":"Deny","Action":"s3:*","Resource":["` + bucket + `","` + bucket + `/*"],"Condition":{"Bool":{"aws:SecureTransport":"false"}}}`}
	small := func(operator string) []string {
		return []string{`{"Effect":"Allow","Action":"ec2:RunInstances","Resource":"*","Condition":{"` + operator + `":{"ec2:InstanceType":["t1.*","t2.*","m3.*"]}}}`}
	}
	longTerm := []string{`{"Effect":"Allow","Action":"ec2:*","Resource":"*","Condition":{"Null":{"aws:TokenIssueTime":"true"}}}`}
	finance := func(operator string) []string {
		return []string{`{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"` + operator + `":{"aws:SourceArn":"arn:aws:someservice:*:111122223333:finance/*"}}}`}
	}
	const tricky = "arn:aws:someservice:us-east-2:999999999999:store/abc:111122223333:finance/document.txt"
	untagged := []string{all, `{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringNotEqualsIfExists":{"aws:PrincipalTag/team":"blue"}}}`}
	p := pageOperators
	return []documented{
		{page: p, name: "the tag is there", identity: job, action: key, resource: user, context: []string{"aws:PrincipalTag/job-category", "iamuser-admin"}},
		{page: p, name: "a user without the tag", identity: job, action: key, resource: user, want: silent},
		{page: p, name: "case counts", identity: job, action: key, resource: user, context: []string{"aws:PrincipalTag/job-category", "IamUser-Admin"}, want: silent},
		{page: p, name: "home directory", identity: home, action: "s3:ListBucket", resource: bucket, context: []string{"s3:prefix", "home/anna/", "aws:username", "anna"}},
		{page: p, name: "home directory of another", identity: home, action: "s3:ListBucket", resource: bucket, context: []string{"s3:prefix", "home/bert/", "aws:username", "anna"}, want: silent},
		{page: p, name: "ten keys", identity: ten, action: "s3:ListBucket", resource: bucket, context: []string{"s3:max-keys", "10"}},
		{page: p, name: "eleven keys", identity: ten, action: "s3:ListBucket", resource: bucket, context: []string{"s3:max-keys", "11"}, want: silent},
		{page: p, name: "fresh credentials", identity: fresh, action: key, resource: user, context: []string{"aws:TokenIssueTime", "2020-01-01T00:00:02Z"}},
		{page: p, name: "issued that very second", identity: fresh, action: key, resource: user, context: []string{"aws:TokenIssueTime", "2020-01-01T00:00:01Z"}, want: silent},
		{page: p, name: "a user's own keys have no issue time", identity: fresh, action: key, resource: user, want: silent},
		{page: p, name: "without TLS", identity: tls, action: "s3:GetObject", resource: object, context: []string{"aws:SecureTransport", "false"}, want: denied},
		{page: p, name: "with TLS", identity: tls, action: "s3:GetObject", resource: object, context: []string{"aws:SecureTransport", "true"}},
		{page: p, name: "IPv4 of the network", identity: network, action: key, resource: user, context: []string{"aws:SourceIp", "203.0.113.255"}},
		{page: p, name: "IPv6 of the network", identity: network, action: key, resource: user, context: []string{"aws:SourceIp", "2001:db8:1234:5678::1"}},
		{page: p, name: "through an endpoint there is no address", identity: network, action: key, resource: user, want: silent},
		{page: p, name: "a string runs over colons", identity: finance("StringLike"), action: "sqs:SendMessage", resource: "*", context: []string{"aws:SourceArn", tricky}},
		{page: p, name: "an ARN does not", identity: finance("ArnLike"), action: "sqs:SendMessage", resource: "*", context: []string{"aws:SourceArn", tricky}, want: silent},
		{page: p, name: "ArnEquals is ArnLike", identity: finance("ArnEquals"), action: "sqs:SendMessage", resource: "*", context: []string{"aws:SourceArn", "arn:aws:someservice:us-east-2:111122223333:finance/x"}},
		{page: p, name: "an image has no instance type", identity: small("StringLike"), action: "ec2:RunInstances", resource: "arn:aws:ec2:us-east-1::image/ami-1", want: silent},
		{page: p, name: "IfExists lets it pass", identity: small("StringLikeIfExists"), action: "ec2:RunInstances", resource: "arn:aws:ec2:us-east-1::image/ami-1"},
		{page: p, name: "IfExists still looks at what is there", identity: small("StringLikeIfExists"), action: "ec2:RunInstances", resource: "*", context: []string{"ec2:InstanceType", "x1.32xlarge"}, want: silent},
		{page: p, name: "a Deny with StringNotEqualsIfExists holds without the tag", identity: untagged, action: "ec2:RunInstances", resource: "*", want: denied},
		{page: p, name: "Null true with a user's own keys", identity: longTerm, action: "ec2:StopInstances", resource: "*"},
		{page: p, name: "Null true with temporary ones", identity: longTerm, action: "ec2:StopInstances", resource: "*", context: []string{"aws:TokenIssueTime", "2026-11-21T10:00:00Z"}, want: silent},
	}
}

func setCases() []documented {
	const get, put, table = "dynamodb:GetItem", "dynamodb:PutItem", "arn:aws:dynamodb:us-east-1:111122223333:table/Thread"
	some := func(list ...string) (pairs []string) {
		for _, v := range list {
			pairs = append(pairs, "dynamodb:requestedAttributes", v)
		}
		return pairs
	}
	only := []string{`{"Effect":"Allow","Action":"dynamodb:GetItem","Resource":"` + table + `","Condition":{"ForAllValues:StringLike":{"dynamodb:requestedAttributes":["PostDateTime","Message","Tags"]}}}`}
	never := []string{all, `{"Effect":"Deny","Action":"dynamodb:PutItem","Resource":"` + table + `","Condition":{"ForAnyValue:StringLike":{"dynamodb:requestedAttributes":["ID","PostDateTime"]}}}`}
	tags := []string{all, `{"Effect":"Deny","Action":"iam:Tag*","Resource":"*","Condition":{"ForAllValues:StringLike":{"aws:TagKeys":["key1*","key2*"]},"Null":{"aws:TagKeys":"false"}}}`}
	two := []string{`{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalTag/department":["finance","hr","legal"],"aws:PrincipalTag/role":["audit","security"]},"ArnLike":{"aws:PrincipalArn":"` + anyRole + `"}}}`}
	norole := []string{all, `{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringNotEquals":{"aws:PrincipalTag/role":["audit","security"]}}}`}
	return []documented{
		{page: pageMultiOlder, name: "all attributes are listed", identity: only, action: get, resource: table, context: some("PostDateTime", "Message")},
		{page: pageMultiOlder, name: "one is not", identity: only, action: get, resource: table, context: some("PostDateTime", "UserName"), want: silent},
		{page: pageMultiOlder, name: "ForAllValues of nothing", identity: only, action: get, resource: table},
		{page: pageMultiOlder, name: "ForAllValues of an empty text", identity: only, action: get, resource: table, context: some("")},
		{page: pageMultiOlder, name: "one forbidden attribute", identity: never, action: put, resource: table, context: some("UserName", "Message", "PostDateTime"), want: denied},
		{page: pageMultiOlder, name: "no forbidden attribute", identity: never, action: put, resource: table, context: some("UserName")},
		{page: pageMultiOlder, name: "ForAnyValue of nothing", identity: never, action: put, resource: table},
		{page: pageMulti, name: "every tag key has a prefix of the list", identity: tags, action: "iam:TagUser", resource: "*", context: []string{"aws:TagKeys", "key1:legal", "aws:TagKeys", "key2:hr"}, want: denied},
		{page: pageMulti, name: "one tag key has not", identity: tags, action: "iam:TagUser", resource: "*", context: []string{"aws:TagKeys", "key1:legal", "aws:TagKeys", "costCenter"}},
		{page: pageMulti, name: "Null keeps ForAllValues from holding for nothing", identity: tags, action: "iam:TagUser", resource: "*"},
		{page: pageLogic, name: "values are alternatives, keys and operators are not", identity: two, action: "ec2:StopInstances", resource: "*",
			context: []string{"aws:PrincipalTag/department", "hr", "aws:PrincipalTag/role", "audit", "aws:PrincipalArn", anyRole}},
		{page: pageLogic, name: "one of the keys does not match", identity: two, action: "ec2:StopInstances", resource: "*",
			context: []string{"aws:PrincipalTag/department", "hr", "aws:PrincipalTag/role", "cook", "aws:PrincipalArn", anyRole}, want: silent},
		{page: pageLogic, name: "negated: none of the values", identity: norole, action: "ec2:StopInstances", resource: "*", context: []string{"aws:PrincipalTag/role", "cook"}, want: denied},
		{page: pageLogic, name: "negated: one of the values", identity: norole, action: "ec2:StopInstances", resource: "*", context: []string{"aws:PrincipalTag/role", "security"}},
		{page: pageLogic, name: "negated: no such key", identity: norole, action: "ec2:StopInstances", resource: "*", want: denied},
	}
}
