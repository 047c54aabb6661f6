package aws

import (
	"context"
	"errors"
	"sync"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/identitystore"
	identity "github.com/aws/aws-sdk-go-v2/service/identitystore/types"
	"github.com/aws/aws-sdk-go-v2/service/ssoadmin"
	"github.com/aws/aws-sdk-go-v2/service/ssoadmin/types"

	"breakglass/store"
)

// Inventory lists what stands in AWS: who is assigned what, and who is in a group. Nobody waits for it, so its calls come after all others unless
// their context says more.
type Inventory struct {
	c      *Connection
	ic     *IdentityCenter
	groups *Memberships

	mu    sync.Mutex // never held while a call is on its way
	names map[string]groupName
}

// Inventory returns what stands in the instance. It makes its listings by itself, so make one for each Connection: it holds the groups' names.
func (c *Connection) Inventory() *Inventory {
	return &Inventory{c: c, ic: c.IdentityCenter(), groups: c.Memberships(), names: map[string]groupName{}}
}

// idly marks a context that carries no mark.
func idly(ctx context.Context) context.Context {
	if store.UrgencyOf(ctx) == (store.Urgency{}) {
		return store.Idly(ctx)
	}
	return ctx
}

// Where lists the accounts a permission set is provisioned in: those where it has, or had, an assignment.
func (v *Inventory) Where(ctx context.Context, set string) (accounts []string, err error) {
	ctx = idly(ctx)
	err = v.ic.withSet(ctx, set, func(instance, arn string) error {
		accounts = nil
		var next *string
		for {
			out, err := call(ctx, v.c, v.c.ssoAdmin, "ListAccountsForProvisionedPermissionSet", reading, func(ctx context.Context) (*ssoadmin.ListAccountsForProvisionedPermissionSetOutput, error) {
				return v.c.admin.ListAccountsForProvisionedPermissionSet(ctx, &ssoadmin.ListAccountsForProvisionedPermissionSetInput{
					InstanceArn: &instance, PermissionSetArn: &arn, MaxResults: sdk.Int32(100), NextToken: next})
			})
			if err != nil {
				return err
			}
			accounts = append(accounts, out.AccountIds...)
			if next = out.NextToken; sdk.ToString(next) == "" {
				return nil
			}
		}
	})
	if err != nil {
		return nil, explain("listing the accounts of permission set "+set, err)
	}
	return accounts, nil
}

// Holders lists who is assigned a permission set in an account, people and groups; the groups with their names, "" for one that is gone.
func (v *Inventory) Holders(ctx context.Context, account, set string) ([]store.Holder, error) {
	ctx = idly(ctx)
	var all []store.Holder
	err := v.ic.withSet(ctx, set, func(instance, arn string) error {
		all = nil
		return v.ic.pages(ctx, v.c.ssoAdmin.wait, instance, arn, account, func(page []types.AccountAssignment) (more bool) {
			for _, a := range page {
				if a.PrincipalType == types.PrincipalTypeGroup {
					all = append(all, store.Holder{GroupID: sdk.ToString(a.PrincipalId)})
				} else {
					all = append(all, store.Holder{UserID: sdk.ToString(a.PrincipalId)})
				}
			}
			return true
		})
	})
	for i := range all {
		if err == nil && all[i].GroupID != "" {
			all[i].Name, err = v.nameOf(ctx, all[i].GroupID)
		}
	}
	if err != nil {
		return nil, explain("listing who has permission set "+set, err)
	}
	return all, nil
}

// Members lists the members of a group by its name. A group that does not exist has none.
func (v *Inventory) Members(ctx context.Context, group string) ([]store.Holder, error) {
	ctx = idly(ctx)
	var all []store.Holder
	err := v.groups.with(ctx, group, func(identityStore, id string) error {
		all = nil
		var next *string
		for {
			out, err := call(ctx, v.c, v.c.identity, "ListGroupMemberships", reading, func(ctx context.Context) (*identitystore.ListGroupMembershipsOutput, error) {
				return v.c.directory.ListGroupMemberships(ctx, &identitystore.ListGroupMembershipsInput{
					IdentityStoreId: &identityStore, GroupId: &id, MaxResults: sdk.Int32(100), NextToken: next})
			})
			if err != nil {
				return err
			}
			for _, m := range out.GroupMemberships {
				if user, ok := m.MemberId.(*identity.MemberIdMemberUserId); ok {
					all = append(all, store.Holder{UserID: user.Value, Membership: sdk.ToString(m.MembershipId)})
				}
			}
			if next = out.NextToken; sdk.ToString(next) == "" {
				return nil
			}
		}
	})
	var r *store.Refusal
	switch {
	case missing(err), errors.As(err, &r) && r.Code == noGroup:
		return nil, nil
	case err != nil:
		return nil, explain("listing the members of "+group, err)
	}
	return all, nil
}

// Remove takes away an assignment of set in account, or a membership of group, and does not wait for its end. One that is gone is success.
func (v *Inventory) Remove(ctx context.Context, account, set, group string, h store.Holder) error {
	ctx = idly(ctx)
	switch {
	case set != "" && group == "" && (h.UserID == "") != (h.GroupID == ""):
		from := user(h.UserID)
		if h.GroupID != "" {
			from = assignee{types.PrincipalTypeGroup, h.GroupID}
		}
		_, err := v.ic.take(ctx, account, set, from)
		return ungone(err)
	case group != "" && set == "" && h.Membership != "":
		in, err := v.c.theInstance(ctx)
		if err != nil {
			return err
		}
		if err = v.groups.remove(ctx, in.store, h.Membership); missing(err) {
			return nil
		}
		return explain("removing a member from the group "+group, err)
	case group != "" && set == "" && h.UserID != "":
		_, err := v.groups.Unassign(ctx, store.Tuple{UserID: h.UserID, Group: group})
		return ungone(err)
	}
	return &store.Refusal{Code: "NoHolder", Message: "it is not said whose assignment or membership is to be removed"}
}

func ungone(err error) error {
	if errors.Is(err, store.ErrGone) {
		return nil
	}
	return err
}

// groupName is a group's name, believed for as long as groups' ids are.
type groupName struct {
	name  string
	until time.Time
}

// nameOf returns the display name of a group, "" for one that is gone. The error is the SDK's.
func (v *Inventory) nameOf(ctx context.Context, id string) (string, error) {
	now := v.c.now()
	v.mu.Lock()
	known, ok := v.names[id]
	v.mu.Unlock()
	if ok && now.Before(known.until) {
		return known.name, nil
	}
	in, err := v.c.theInstance(ctx)
	if err != nil {
		return "", err
	}
	out, err := call(ctx, v.c, v.c.identity, "DescribeGroup", reading, func(ctx context.Context) (*identitystore.DescribeGroupOutput, error) {
		return v.c.directory.DescribeGroup(ctx, &identitystore.DescribeGroupInput{IdentityStoreId: &in.store, GroupId: &id})
	})
	if missing(err) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	name := sdk.ToString(out.DisplayName)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.names[id] = groupName{name, now.Add(groupKept)}
	return name, nil
}
