package awstwin_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	trailtypes "github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"
	"github.com/aws/aws-sdk-go-v2/service/identitystore"
	storetypes "github.com/aws/aws-sdk-go-v2/service/identitystore/types"
	"github.com/aws/aws-sdk-go-v2/service/ssoadmin"
	"github.com/aws/aws-sdk-go-v2/service/ssoadmin/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"pgregory.net/rapid"

	"breakglass/deploy/sandbox/awstwin"
)

// outcome begins a creation or deletion and follows it to its end.
func (w *world) outcome(t *testing.T, c *ssoadmin.Client, begin string, user string) (types.StatusValues, string) {
	t.Helper()
	if begin == "create" {
		out, err := c.CreateAccountAssignment(ctxOf(t), w.create(user))
		if err != nil {
			t.Fatal(err)
		}
		w.skip(3 * time.Second)
		d, err := c.DescribeAccountAssignmentCreationStatus(ctxOf(t), &ssoadmin.DescribeAccountAssignmentCreationStatusInput{
			InstanceArn: aws.String(w.InstanceARN()), AccountAssignmentCreationRequestId: out.AccountAssignmentCreationStatus.RequestId})
		if err != nil {
			t.Fatal(err)
		}
		return d.AccountAssignmentCreationStatus.Status, aws.ToString(d.AccountAssignmentCreationStatus.FailureReason)
	}
	out, err := c.DeleteAccountAssignment(ctxOf(t), w.delete(user))
	if err != nil {
		t.Fatal(err)
	}
	w.skip(3 * time.Second)
	d, err := c.DescribeAccountAssignmentDeletionStatus(ctxOf(t), &ssoadmin.DescribeAccountAssignmentDeletionStatusInput{
		InstanceArn: aws.String(w.InstanceARN()), AccountAssignmentDeletionRequestId: out.AccountAssignmentDeletionStatus.RequestId})
	if err != nil {
		t.Fatal(err)
	}
	return d.AccountAssignmentDeletionStatus.Status, aws.ToString(d.AccountAssignmentDeletionStatus.FailureReason)
}

func TestWhatFailsAsynchronously(t *testing.T) {
	w := newWorld(t, nil)
	c := ssoadmin.NewFromConfig(bot(w.Organization))
	want := func(begin, user, reason string) {
		t.Helper()
		if st, why := w.outcome(t, c, begin, user); st != types.StatusValuesFailed || !strings.Contains(why, reason) {
			t.Errorf("%s: %s %q, want FAILED %q", begin, st, why, reason)
		}
	}
	want("create", "11111111-2222-4333-a444-555555555555", "was not found in directory")
	w.Assign(w.alice, prod, w.set)
	w.DeleteUser(w.alice)
	if n := len(w.Assignments()); n != 0 {
		t.Errorf("%d assignments of a deleted user", n)
	}
	want("delete", w.alice, "USER assignee")
	w.FailAsyncNext("create", "Received a 500 status error: try later", 1)
	want("create", w.carol, "try later")
	w.SetAccountState(prod, "SUSPENDED")
	want("create", w.carol, "SUSPENDED")
	w.SetAccountState(prod, "ACTIVE")
	w.set = w.AddPermissionSet(awstwin.PermissionSet{Name: "Guarded", CustomerManaged: []string{"Guard"}})
	want("create", w.carol, "policy/Guard")
	w.SetPolicy(prod, "Guard", admin)
	if st, why := w.outcome(t, c, "create", w.carol); st != types.StatusValuesSucceeded {
		t.Errorf("with its policy: %s %q", st, why)
	}
	list, err := c.ListAccountAssignmentCreationStatus(ctxOf(t), &ssoadmin.ListAccountAssignmentCreationStatusInput{InstanceArn: aws.String(w.InstanceARN()),
		Filter: &types.OperationStatusFilter{Status: types.StatusValuesFailed}})
	if err != nil || len(list.AccountAssignmentsCreationStatus) != 4 {
		t.Errorf("%+v %v", list, err)
	}
}

func TestDelegatedAdministrator(t *testing.T) {
	w := newWorld(t, func(c *awstwin.Config) { c.BotAccount = "100000000007" })
	c := ssoadmin.NewFromConfig(bot(w.Organization))
	in := w.create(w.alice)
	in.TargetId = aws.String(management)
	_, err := c.CreateAccountAssignment(ctxOf(t), in)
	wantCode(t, err, "AccessDeniedException")
	if _, err = c.CreateAccountAssignment(ctxOf(t), w.create(w.alice)); err != nil {
		t.Fatal(err)
	}
	w.skip(3 * time.Second)
	w.Assign(w.carol, management, w.set) // the set is used in the management account now, and out of reach
	_, err = c.DeleteAccountAssignment(ctxOf(t), w.delete(w.alice))
	wantCode(t, err, "AccessDeniedException")
	who, err := sts.NewFromConfig(bot(w.Organization)).GetCallerIdentity(ctxOf(t), nil)
	if err != nil || *who.Account != "100000000007" {
		t.Fatalf("%+v %v", who, err)
	}
}

func TestProvisioning(t *testing.T) {
	w := newWorld(t, nil)
	w.Assign(w.alice, prod, w.set)
	s := must[*awstwin.Session](t)(w.SignIn(w.alice, prod, w.set))
	create := awstwin.Action{Service: "iam", Name: "CreateUser", Params: map[string]any{"UserName": "x"}}
	c := ssoadmin.NewFromConfig(bot(w.Organization))
	if _, err := c.PutInlinePolicyToPermissionSet(ctxOf(t), &ssoadmin.PutInlinePolicyToPermissionSetInput{InstanceArn: aws.String(w.InstanceARN()),
		PermissionSetArn: &w.set, InlinePolicy: aws.String(admin)}); err != nil {
		t.Fatal(err)
	}
	if s.Do(ctxOf(t), create) == nil {
		t.Fatal("a changed permission set works before it is provisioned")
	}
	if _, err := c.ProvisionPermissionSet(ctxOf(t), &ssoadmin.ProvisionPermissionSetInput{InstanceArn: aws.String(w.InstanceARN()), PermissionSetArn: &w.set,
		TargetType: types.ProvisionTargetTypeAllProvisionedAccounts}); err != nil {
		t.Fatal(err)
	}
	w.skip(3 * time.Second)
	if err := s.Do(ctxOf(t), create); err != nil {
		t.Fatal(err)
	}
}

func TestGroupsLag(t *testing.T) {
	w := newWorld(t, func(c *awstwin.Config) { c.GroupLag = time.Hour })
	w.Assign("grp-oncall", prod, w.set)
	w.RemoveMember("grp-oncall", w.alice)
	if len(w.Access(w.alice)) != 1 {
		t.Error("gone at once")
	}
	w.skip(time.Hour)
	if len(w.Access(w.alice)) != 0 {
		t.Error("still there after an hour")
	}
	w.AddMember("grp-oncall", w.bob)
	if len(w.Access(w.bob)) != 0 {
		t.Error("a disabled user has access")
	}
	store, in := identitystore.NewFromConfig(bot(w.Organization)), &identitystore.CreateGroupMembershipInput{IdentityStoreId: aws.String(w.IdentityStoreID()),
		GroupId: &w.oncall, MemberId: &storetypes.MemberIdMemberUserId{Value: w.carol}}
	join := func() *string {
		t.Helper()
		m, err := store.CreateGroupMembership(ctxOf(t), in)
		if err != nil {
			t.Fatal(err)
		}
		return m.MembershipId
	}
	leave := func(id *string) {
		t.Helper()
		if _, err := store.DeleteGroupMembership(ctxOf(t), &identitystore.DeleteGroupMembershipInput{IdentityStoreId: in.IdentityStoreId, MembershipId: id}); err != nil {
			t.Fatal(err)
		}
	}
	first := join()
	if len(w.Access(w.carol)) != 0 {
		t.Error("a new member got in at once")
	}
	leave(first)
	w.skip(30 * time.Minute)
	if len(w.Access(w.carol)) != 0 {
		t.Error("somebody who had left before AWS saw them join got in")
	}
	second := join()
	w.skip(time.Hour)
	if len(w.Access(w.carol)) != 1 {
		t.Error("not in after an hour")
	}
	leave(second)
	join()
	if len(w.Access(w.carol)) != 1 {
		t.Error("out, though AWS has not seen them leave")
	}
}

func TestServiceControlPolicy(t *testing.T) {
	w := newWorld(t, nil)
	w.Assign(w.alice, prod, w.set)
	s := must[*awstwin.Session](t)(w.SignIn(w.alice, prod, w.set))
	w.SetSCP(prod, `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":["*"],"Resource":"*","Condition":{"StringEquals":{"identitystore:userId":["`+w.alice+`"]}}}]}`)
	var refused *awstwin.Error
	if err := s.Do(ctxOf(t), awstwin.Action{Service: "ec2", Name: "DescribeInstances"}); !errors.As(err, &refused) || !strings.Contains(refused.Message, "service control policy") {
		t.Fatal(err)
	}
}

func TestTheBotsOwnCallsAreEvents(t *testing.T) {
	w := newWorld(t, func(c *awstwin.Config) { c.TrailDelay = -1 })
	w.DelayEvents("DeleteAccountAssignment", time.Hour, 1)
	c := ssoadmin.NewFromConfig(bot(w.Organization))
	w.outcome(t, c, "create", w.alice)
	w.outcome(t, c, "delete", w.alice)
	cfg := w.member(t, prod)
	mine := lookup(t, bot(w.Organization), trailtypes.LookupAttributeKeyUsername, "breakglass-bot")
	names := map[string]int{}
	for _, e := range mine {
		names[*e.EventName]++
	}
	if names["CreateAccountAssignment"] != 1 || names["DeleteAccountAssignment"] != 0 || names["AssumeRole"] != 1 {
		t.Errorf("%v", names)
	}
	if both := lookup(t, cfg, trailtypes.LookupAttributeKeyEventName, "AssumeRole"); len(both) != 1 || !strings.Contains(*both[0].CloudTrailEvent, "sharedEventID") {
		t.Errorf("%+v", both)
	}
	roles := lookup(t, cfg, trailtypes.LookupAttributeKeyEventSource, "iam.amazonaws.com")
	if len(roles) != 2 { // Identity Center made the role and took it away
		t.Errorf("%d events of IAM", len(roles))
	}
}

func TestSubscribe(t *testing.T) {
	w := newWorld(t, nil)
	changes, cancel := w.Subscribe()
	defer cancel()
	for len(changes) > 0 {
		<-changes
	}
	w.Assign(w.alice, prod, w.set)
	select {
	case <-changes:
	default:
		t.Fatal("no word of a change")
	}
}

func TestLenientRoleKeys(t *testing.T) {
	w := newWorld(t, func(c *awstwin.Config) { c.LenientRoleKeys = true })
	cfg := w.member(t, prod)
	w.Assign(w.alice, prod, w.set)
	s := must[*awstwin.Session](t)(w.SignIn(w.alice, prod, w.set))
	w.skip(10 * time.Hour)
	if _, err := sts.NewFromConfig(cfg).GetCallerIdentity(ctxOf(t), nil); err != nil {
		t.Error(err)
	}
	if s.Do(ctxOf(t), awstwin.Action{Service: "ec2", Name: "DescribeInstances"}) == nil {
		t.Error("a person's keys outlived their session")
	}
}

// TestRowsAgreeWithASet: whatever is assigned and taken away by anybody in any order, the listings say what a plain set says.
func TestRowsAgreeWithASet(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, func(c *awstwin.Config) { c.Async = -1; c.MissingDelete = awstwin.MissingFails })
		w.SetQuotas(false)
		c := ssoadmin.NewFromConfig(bot(w.Organization))
		have := map[string]bool{}
		people := []string{w.alice, w.bob, w.carol}
		for range rapid.IntRange(1, 20).Draw(rt, "steps") {
			who := rapid.SampledFrom(people).Draw(rt, "who")
			switch rapid.SampledFrom([]string{"create", "delete", "assign", "unassign"}).Draw(rt, "what") {
			case "create":
				if _, err := c.CreateAccountAssignment(ctxOf(t), w.create(who)); err != nil {
					rt.Fatal(err)
				}
				have[who] = true
			case "delete":
				if _, err := c.DeleteAccountAssignment(ctxOf(t), w.delete(who)); err != nil {
					rt.Fatal(err)
				}
				delete(have, who)
			case "assign":
				w.Assign(who, prod, w.set)
				have[who] = true
			case "unassign":
				w.Unassign(who, prod, w.set)
				delete(have, who)
			}
		}
		if n := w.listed(t, c); n != len(have) || len(w.Assignments()) != n {
			rt.Fatalf("%d listed, want %d", n, len(have))
		}
		if roles := len(w.Roles(prod)); (roles == 1) != (len(have) > 0) {
			rt.Fatalf("%d roles for %d assignments", roles, len(have))
		}
	})
}

// TestManyAtOnce is for the race detector: people and the bot at work together, each call whole.
func TestManyAtOnce(t *testing.T) {
	w := newWorld(t, func(c *awstwin.Config) { c.Now = time.Now; c.Async, c.TrailDelay = -1, -1 })
	w.SetQuotas(false)
	w.Assign(w.carol, prod, w.set)
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			user := w.AddUser(awstwin.User{UserName: fmt.Sprint("user", i)})
			c := ssoadmin.NewFromConfig(bot(w.Organization))
			if _, err := c.CreateAccountAssignment(ctxOf(t), w.create(user)); err != nil {
				t.Error(err)
			}
			s, err := w.SignIn(user, prod, w.set)
			if err != nil {
				t.Error(err)
				return
			}
			if err := s.Do(ctxOf(t), awstwin.Action{Service: "ec2", Name: "DescribeInstances"}); err != nil {
				t.Error(err)
			}
			_, _, _ = w.Calls(), w.Access(user), w.TrailEvents(prod)
			if _, err := c.DeleteAccountAssignment(ctxOf(t), w.delete(user)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := len(w.Assignments()); n != 1 {
		t.Errorf("%d assignments left", n)
	}
}

func BenchmarkCreateAndDelete(b *testing.B) {
	o := awstwin.New(awstwin.Config{Async: -1})
	o.SetQuotas(false)
	o.AddAccount(prod, "prod")
	set := o.AddPermissionSet(awstwin.PermissionSet{Name: "Set"})
	for i := range 10_000 {
		o.Assign(o.AddUser(awstwin.User{UserName: fmt.Sprint("user", i)}), prod, set)
	}
	user := o.AddUser(awstwin.User{UserName: "alice"})
	c := ssoadmin.NewFromConfig(bot(o))
	w := &world{Organization: o, set: set}
	b.ResetTimer()
	for range b.N {
		if _, err := c.CreateAccountAssignment(b.Context(), w.create(user)); err != nil {
			b.Fatal(err)
		}
		if _, err := c.DeleteAccountAssignment(b.Context(), w.delete(user)); err != nil {
			b.Fatal(err)
		}
	}
}
