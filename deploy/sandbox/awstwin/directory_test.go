package awstwin_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/identitystore"
	"github.com/aws/aws-sdk-go-v2/service/identitystore/document"
	"github.com/aws/aws-sdk-go-v2/service/identitystore/types"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	orgtypes "github.com/aws/aws-sdk-go-v2/service/organizations/types"
)

func byAttribute(path, value string) types.AlternateIdentifier {
	return &types.AlternateIdentifierMemberUniqueAttribute{Value: types.UniqueAttribute{AttributePath: &path, AttributeValue: document.NewLazyDocument(value)}}
}

func TestDirectory(t *testing.T) {
	w := newWorld(t, nil)
	c, store := identitystore.NewFromConfig(bot(w.Organization)), aws.String(w.IdentityStoreID())
	for path, value := range map[string]string{"userName": "alice", "emails.value": "alice@forge.example"} {
		out, err := c.GetUserId(ctxOf(t), &identitystore.GetUserIdInput{IdentityStoreId: store, AlternateIdentifier: byAttribute(path, value)})
		if err != nil || *out.UserId != w.alice {
			t.Fatalf("%s: %+v %v", path, out, err)
		}
	}
	_, err := c.GetUserId(ctxOf(t), &identitystore.GetUserIdInput{IdentityStoreId: store, AlternateIdentifier: byAttribute("emails.value", "Alice@forge.example")})
	var gone *types.ResourceNotFoundException
	if !errors.As(err, &gone) || gone.ResourceType != types.ResourceTypeUser {
		t.Fatalf("other case: %v", err)
	}
	plain, err := c.DescribeUser(ctxOf(t), &identitystore.DescribeUserInput{IdentityStoreId: store, UserId: &w.alice})
	if err != nil || plain.Extensions != nil || plain.UserStatus != types.UserStatusEnabled || *plain.Emails[0].Value != "alice@forge.example" {
		t.Fatalf("%+v %v", plain, err)
	}
	full, err := c.DescribeUser(ctxOf(t), &identitystore.DescribeUserInput{IdentityStoreId: store, UserId: &w.alice, Extensions: []string{"aws:identitystore:enterprise"}})
	if err != nil {
		t.Fatal(err)
	}
	var any map[string]any
	if err := full.Extensions["aws:identitystore:enterprise"].UnmarshalSmithyDocument(&any); err != nil || fmt.Sprint(any) != "map[manager:map[value:"+w.carol+"]]" {
		t.Fatalf("extension: %v %v", any, err)
	}
	bob, err := c.DescribeUser(ctxOf(t), &identitystore.DescribeUserInput{IdentityStoreId: store, UserId: &w.bob})
	if err != nil || bob.UserStatus != types.UserStatusDisabled {
		t.Fatalf("%+v %v", bob, err)
	}
}

func TestMemberships(t *testing.T) {
	w := newWorld(t, nil)
	c, store := identitystore.NewFromConfig(bot(w.Organization)), aws.String(w.IdentityStoreID())
	is := func(user string) bool {
		out, err := c.IsMemberInGroups(ctxOf(t), &identitystore.IsMemberInGroupsInput{IdentityStoreId: store, GroupIds: []string{w.oncall},
			MemberId: &types.MemberIdMemberUserId{Value: user}})
		if err != nil || *out.Results[0].GroupId != w.oncall {
			t.Fatal(err)
		}
		return out.Results[0].MembershipExists
	}
	if !is(w.alice) || is(w.carol) {
		t.Fatal("wrong members")
	}
	in := &identitystore.CreateGroupMembershipInput{IdentityStoreId: store, GroupId: &w.oncall, MemberId: &types.MemberIdMemberUserId{Value: w.carol}}
	made, err := c.CreateGroupMembership(ctxOf(t), in)
	if err != nil || !is(w.carol) {
		t.Fatal(err)
	}
	_, err = c.CreateGroupMembership(ctxOf(t), in)
	var conflict *types.ConflictException
	if !errors.As(err, &conflict) || conflict.Reason != types.ConflictExceptionReasonUniquenessConstraintViolation {
		t.Fatalf("twice: %v", err)
	}
	found, err := c.GetGroupMembershipId(ctxOf(t), &identitystore.GetGroupMembershipIdInput{IdentityStoreId: store, GroupId: &w.oncall, MemberId: in.MemberId})
	if err != nil || *found.MembershipId != *made.MembershipId {
		t.Fatalf("%+v %v", found, err)
	}
	p := identitystore.NewListGroupMembershipsPaginator(c, &identitystore.ListGroupMembershipsInput{IdentityStoreId: store, GroupId: &w.oncall, MaxResults: aws.Int32(1)})
	n := 0
	for p.HasMorePages() {
		out, err := p.NextPage(ctxOf(t))
		if err != nil {
			t.Fatal(err)
		}
		n += len(out.GroupMemberships)
	}
	if n != 2 {
		t.Fatalf("%d members", n)
	}
	del := &identitystore.DeleteGroupMembershipInput{IdentityStoreId: store, MembershipId: made.MembershipId}
	if _, err = c.DeleteGroupMembership(ctxOf(t), del); err != nil || is(w.carol) {
		t.Fatal(err)
	}
	_, err = c.DeleteGroupMembership(ctxOf(t), del)
	wantCode(t, err, "ResourceNotFoundException")
}

func TestOrganization(t *testing.T) {
	w := newWorld(t, nil)
	for i := range 45 {
		w.AddAccount(fmt.Sprintf("3000000000%02d", i), fmt.Sprintf("acct-%d", i))
	}
	c := organizations.NewFromConfig(bot(w.Organization))
	p := organizations.NewListAccountsPaginator(c, &organizations.ListAccountsInput{})
	n, pages := 0, 0
	for p.HasMorePages() {
		out, err := p.NextPage(ctxOf(t))
		if err != nil {
			t.Fatal(err)
		}
		n, pages = n+len(out.Accounts), pages+1
	}
	if n != 47 || pages != 3 {
		t.Fatalf("%d accounts on %d pages", n, pages)
	}
	under, err := c.ListAccountsForParent(ctxOf(t), &organizations.ListAccountsForParentInput{ParentId: aws.String("ou-prod")})
	if err != nil || len(under.Accounts) != 1 || under.Accounts[0].State != orgtypes.AccountStateActive {
		t.Fatalf("%+v %v", under, err)
	}
	tags, err := c.ListTagsForResource(ctxOf(t), &organizations.ListTagsForResourceInput{ResourceId: aws.String(prod)})
	if err != nil || *tags.Tags[0].Value != "prod" {
		t.Fatalf("%+v %v", tags, err)
	}
	_, err = c.DescribeAccount(ctxOf(t), &organizations.DescribeAccountInput{AccountId: aws.String("999999999999")})
	var gone *orgtypes.AccountNotFoundException
	if !errors.As(err, &gone) {
		t.Fatal(err)
	}
	_, err = organizations.NewFromConfig(w.member(t, prod)).ListAccounts(ctxOf(t), &organizations.ListAccountsInput{})
	wantCode(t, err, "AccessDeniedException")
}

func TestLeastPrivilege(t *testing.T) {
	w := newWorld(t, nil)
	c, store := identitystore.NewFromConfig(bot(w.Organization)), aws.String(w.IdentityStoreID())
	w.SetBotPolicy(map[string]string{"bot": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"identitystore:DescribeUser","Resource":"*"}]}`})
	if _, err := c.DescribeUser(ctxOf(t), &identitystore.DescribeUserInput{IdentityStoreId: store, UserId: &w.alice}); err != nil {
		t.Fatal(err)
	}
	_, err := c.ListGroups(ctxOf(t), &identitystore.ListGroupsInput{IdentityStoreId: store})
	wantCode(t, err, "AccessDeniedException")
	w.SetBotPolicy(nil)
	if _, err := c.ListGroups(ctxOf(t), &identitystore.ListGroupsInput{IdentityStoreId: store}); err != nil {
		t.Fatal(err)
	}
}
