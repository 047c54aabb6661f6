package awstwin_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"breakglass/deploy/sandbox/awstwin"
)

// watch is the pattern that finds the use of break-glass roles.
const watch = `{"source":["aws.sts","aws.signin"],
 "detail-type":["AWS API Call via CloudTrail","AWS Console Sign In via CloudTrail"],
 "detail":{"eventName":["AssumeRole","AssumeRoleWithSAML","ConsoleLogin"],
  "$or":[{"requestParameters":{"roleArn":[{"wildcard":"arn:aws:iam::*:role/*BreakGlass*"},{"wildcard":"arn:aws:iam::*:role/*Emergency*"}]}},
         {"userIdentity":{"sessionContext":{"sessionIssuer":{"arn":[{"wildcard":"*BreakGlass*"},{"wildcard":"*Emergency*"}]}}}}]}}`

func TestRuleForwardsTheUseOfARole(t *testing.T) {
	w := newWorld(t, nil)
	other := w.AddPermissionSet(awstwin.PermissionSet{Name: "ReadOnly", ManagedPolicies: []string{"ReadOnlyAccess"}})
	for _, name := range []string{"all", "plain"} {
		w.AddQueue(management, "us-east-1", name, "http://aws.sandbox")
		w.AddRule(prod, "us-east-1", awstwin.Rule{Pattern: watch, QueueARN: "arn:aws:sqs:us-east-1:" + management + ":" + name, ReadOnly: name == "all", Delay: 10 * time.Second})
	}
	w.Assign(w.alice, prod, w.set)
	w.Assign(w.alice, prod, other)
	for _, set := range []string{w.set, other} {
		if _, err := w.SignIn(w.alice, prod, set); err != nil {
			t.Fatal(err)
		}
	}
	names := func(queue string) (all []string) {
		out, err := sqs.NewFromConfig(bot(w.Organization)).ReceiveMessage(ctxOf(t), &sqs.ReceiveMessageInput{
			QueueUrl: aws.String("http://aws.sandbox/" + management + "/" + queue), MaxNumberOfMessages: 10})
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range out.Messages {
			var e struct {
				Account string
				Detail  struct{ EventName string }
			}
			if err := json.Unmarshal([]byte(*m.Body), &e); err != nil || e.Account != prod {
				t.Fatalf("%s: %v", *m.Body, err)
			}
			all = append(all, e.Detail.EventName)
		}
		return all
	}
	if got := names("all"); len(got) != 0 {
		t.Fatalf("at once: %v", got)
	}
	w.skip(11 * time.Second)
	if got := names("all"); len(got) != 2 || got[0] != "AssumeRoleWithSAML" || got[1] != "ConsoleLogin" {
		t.Errorf("with read-only events: %v", got)
	}
	if got := names("plain"); len(got) != 1 || got[0] != "ConsoleLogin" {
		t.Errorf("without: %v", got)
	}
}
