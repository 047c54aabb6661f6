package awstwin_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/identitystore"
	"github.com/aws/aws-sdk-go-v2/service/ssoadmin"

	"breakglass/deploy/sandbox/awstwin"
)

// TestLeastPrivilegeByResource: permissions on single resources are enough where all that an action touches is covered, and
// no more than that.
func TestLeastPrivilegeByResource(t *testing.T) {
	w := newWorld(t, nil)
	other := w.AddPermissionSet(awstwin.PermissionSet{Name: "AdministratorAccess"})
	policy := func(passRole string) {
		w.SetBotPolicy(map[string]string{"bot": `{"Version":"2012-10-17","Statement":[
		 {"Effect":"Allow","Action":["sso:CreateAccountAssignment","sso:DeleteAccountAssignment"],"Resource":["` + w.InstanceARN() + `","` + w.set + `","arn:aws:sso:::account/` + prod + `"]},
		 {"Effect":"Allow","Action":["identitystore:DescribeUser","identitystore:GetUserId"],"Resource":["arn:aws:identitystore::100000000000:identitystore/*","arn:aws:identitystore:::user/*"]},
		 {"Effect":"Allow","Action":["scheduler:*"],"Resource":"arn:aws:scheduler:*:*:schedule*/breakglass*"}` + passRole + `]}`})
	}
	policy("")
	c := ssoadmin.NewFromConfig(bot(w.Organization))
	if _, err := c.CreateAccountAssignment(ctxOf(t), w.create(w.alice)); err != nil {
		t.Fatal(err)
	}
	w.skip(3 * time.Second)
	in := w.create(w.alice)
	in.PermissionSetArn = &other
	_, err := c.CreateAccountAssignment(ctxOf(t), in)
	wantCode(t, err, "AccessDeniedException")
	store := identitystore.NewFromConfig(bot(w.Organization))
	if _, err := store.DescribeUser(ctxOf(t), &identitystore.DescribeUserInput{IdentityStoreId: aws.String(w.IdentityStoreID()), UserId: &w.alice}); err != nil {
		t.Fatal(err)
	}
	_, err = store.ListGroups(ctxOf(t), &identitystore.ListGroupsInput{IdentityStoreId: aws.String(w.IdentityStoreID())})
	wantCode(t, err, "AccessDeniedException")

	sched := w.deadMan(t, revokeOnly)
	_, err = sched.CreateSchedule(ctxOf(t), w.revokeAt("bg-1", "2026-11-21T11:00:00"))
	if err == nil || !strings.Contains(err.Error(), "iam:PassRole") {
		t.Fatalf("without PassRole: %v", err)
	}
	policy(`,{"Effect":"Allow","Action":"iam:PassRole","Resource":"arn:aws:iam::100000000000:role/breakglass-scheduler",
	 "Condition":{"StringEquals":{"iam:PassedToService":"scheduler.amazonaws.com"}}}`)
	if _, err = sched.CreateSchedule(ctxOf(t), w.revokeAt("bg-1", "2026-11-21T11:00:00")); err != nil {
		t.Fatal(err)
	}
}

func TestPolicyChangesTakeTheirTime(t *testing.T) {
	w := newWorld(t, func(c *awstwin.Config) { c.IAMLag = 10 * time.Second })
	set := w.AddPermissionSet(awstwin.PermissionSet{Name: "Guarded", ManagedPolicies: []string{"AdministratorAccess"}, CustomerManaged: []string{"Guard"}})
	w.SetPolicy(prod, "Guard", admin)
	w.Assign(w.alice, prod, set)
	s := must[*awstwin.Session](t)(w.SignIn(w.alice, prod, set))
	w.skip(time.Minute)
	w.SetPolicy(prod, "Guard", denyAfter(1))
	act := awstwin.Action{Service: "ec2", Name: "DescribeInstances"}
	if err := s.Do(ctxOf(t), act); err != nil {
		t.Fatalf("at once: %v", err)
	}
	w.skip(10 * time.Second)
	if err := s.Do(ctxOf(t), act); err == nil {
		t.Fatal("never")
	}
}
