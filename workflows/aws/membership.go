package aws

import (
	"context"
	"errors"
	"fmt"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/identitystore"
	"github.com/aws/aws-sdk-go-v2/service/identitystore/types"

	"breakglass/store"
)

// Memberships makes and removes memberships of Identity Center groups. They are done when AWS has answered; what a new one opens, AWS shows at
// once, what a removed one opened it may show for up to an hour (Identity Center user guide, authentication sessions).
//
// Each membership has an id of its own, and joining again gives another. That id is the change here: a dead man's schedule needs it.
type Memberships struct {
	c      *Connection
	groups *groupIDs
}

// Memberships returns the groups of the instance's identity store.
func (c *Connection) Memberships() *Memberships { return &Memberships{c: c, groups: c.groups} }

// Assign adds the person to the group and returns the id of the membership, also where it existed already.
func (m *Memberships) Assign(ctx context.Context, g store.Grant) (string, error) {
	var id string
	err := m.with(ctx, g.Group, func(identityStore, group string) error {
		out, err := call(ctx, m.c, m.c.identity, "CreateGroupMembership", making, func(ctx context.Context) (*identitystore.CreateGroupMembershipOutput, error) {
			return m.c.directory.CreateGroupMembership(ctx, &identitystore.CreateGroupMembershipInput{
				IdentityStoreId: &identityStore, GroupId: &group, MemberId: memberID(g.UserID)})
		})
		switch {
		case code(err) == codeConflict:
			// Either there is one, or somebody changes the group at this moment; the second is a fault, and passes.
			found, ferr := m.find(ctx, identityStore, group, g.UserID)
			if ferr != nil || found == "" {
				return errors.Join(err, ferr)
			}
			id = found
			return nil
		case err != nil:
			return err
		}
		if id = sdk.ToString(out.MembershipId); id == "" {
			return errors.New("AWS made a membership without an id")
		}
		return nil
	})
	return id, explain("adding a member to the group "+g.Group, err)
}

// Unassign removes the membership the person has now, whoever made it, and returns its id. store.ErrGone: there is none.
func (m *Memberships) Unassign(ctx context.Context, t store.Tuple) (string, error) {
	const doing = "removing a member from the group"
	var id string
	err := m.with(ctx, t.Group, func(identityStore, group string) (err error) {
		if id, err = m.find(ctx, identityStore, group, t.UserID); err != nil || id == "" {
			return err
		}
		return m.remove(ctx, identityStore, id)
	})
	var r *store.Refusal
	switch {
	case err == nil && id == "", missing(err), errors.As(err, &r) && r.Code == noGroup:
		return "", fmt.Errorf("%s %s: %w", doing, t.Group, store.ErrGone)
	case err != nil:
		return "", explain(doing+" "+t.Group, err)
	}
	return id, nil
}

// Follow says that the change is done: AWS answers when it is.
func (m *Memberships) Follow(context.Context, store.Tuple, string, bool) (store.Progress, string, error) {
	return store.Succeeded, "", nil
}

// Assigned asks whether the person is in the group.
func (m *Memberships) Assigned(ctx context.Context, t store.Tuple) (bool, error) {
	var id string
	err := m.with(ctx, t.Group, func(identityStore, group string) (err error) {
		id, err = m.find(ctx, identityStore, group, t.UserID)
		return err
	})
	var r *store.Refusal
	if missing(err) || errors.As(err, &r) && r.Code == noGroup {
		return false, nil // neither a group nor a person that is gone has memberships
	}
	return err == nil && id != "", explain("looking for a member of the group "+t.Group, err)
}

func memberID(userID string) *types.MemberIdMemberUserId {
	return &types.MemberIdMemberUserId{Value: userID}
}

// find returns the id of a membership, "" where there is none. That the group or the person is missing is an error.
func (m *Memberships) find(ctx context.Context, identityStore, group, userID string) (string, error) {
	out, err := call(ctx, m.c, m.c.identity, "GetGroupMembershipId", reading, func(ctx context.Context) (*identitystore.GetGroupMembershipIdOutput, error) {
		return m.c.directory.GetGroupMembershipId(ctx, &identitystore.GetGroupMembershipIdInput{
			IdentityStoreId: &identityStore, GroupId: &group, MemberId: memberID(userID)})
	})
	var none *types.ResourceNotFoundException
	if errors.As(err, &none) && none.ResourceType == types.ResourceTypeGroupMembership {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return sdk.ToString(out.MembershipId), nil
}

// remove deletes a membership by its id, which is never given to another. One that is gone is missing.
func (m *Memberships) remove(ctx context.Context, identityStore, id string) error {
	_, err := call(ctx, m.c, m.c.identity, "DeleteGroupMembership", writing, func(ctx context.Context) (*identitystore.DeleteGroupMembershipOutput, error) {
		return m.c.directory.DeleteGroupMembership(ctx, &identitystore.DeleteGroupMembershipInput{IdentityStoreId: &identityStore, MembershipId: &id})
	})
	return err
}

// noGroup is the code of our own refusal where a group does not exist.
const noGroup = "NoSuchGroup"

// with does something with a group known by name. Where AWS then does not know something, the group may have been deleted and made anew since
// its id was looked up: that is asked, and the thing is done once more with the new one.
func (m *Memberships) with(ctx context.Context, name string, do func(identityStore, group string) error) error {
	in, err := m.c.theInstance(ctx)
	if err != nil {
		return err
	}
	id, err := m.id(ctx, name)
	if err != nil {
		return err
	}
	if err = do(in.store, id); !missing(err) {
		return err
	}
	m.groups.forget(name)
	now, lerr := m.id(ctx, name)
	if lerr != nil {
		return lerr
	}
	if now == id {
		return err
	}
	return do(in.store, now)
}

func (m *Memberships) id(ctx context.Context, name string) (string, error) {
	ids, err := m.groups.lookup(ctx, []string{name})
	if err != nil {
		return "", err
	}
	if ids[name] == "" {
		return "", &store.Refusal{Code: noGroup, Message: fmt.Sprintf("Identity Center has no group named %q", clean(name, 200))}
	}
	return ids[name], nil
}
