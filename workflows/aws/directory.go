package aws

import (
	"context"
	"errors"
	"fmt"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/identitystore"
	"github.com/aws/aws-sdk-go-v2/service/identitystore/document"
	"github.com/aws/aws-sdk-go-v2/service/identitystore/types"
	"golang.org/x/sync/errgroup"

	"breakglass/store"
)

// Directory reads people from Identity Center's identity store. Only the ids of groups are remembered for a while; who is in
// them, and whether somebody is enabled, is asked each time.
type Directory struct {
	c      *Connection
	groups *groupIDs
	plain  *expiring // set while the enterprise extension is known to be refused
}

// Directory returns the identity store of the instance.
func (c *Connection) Directory() *Directory {
	return &Directory{c: c, groups: c.groups, plain: &expiring{now: c.now}}
}

// Warm looks up the ids of groups, so that the first person does not wait for them. Call it at start, in the background.
func (d *Directory) Warm(ctx context.Context, groups []string) error {
	_, err := d.groups.lookup(ctx, groups)
	return err
}

// Find looks a person up by e-mail address and says which of the named groups they are in. Two round trips once the groups are
// known: who it is, then description and memberships at the same time. store.ErrNobody and store.ErrSeveral are answers; any
// other error means that the directory did not answer.
func (d *Directory) Find(ctx context.Context, email string, groups []string) (store.Principal, error) {
	email = strings.TrimSpace(email)
	// The groups' ids are fetched while the person is looked for, so that cold caches cost no round trip more.
	g, gctx := errgroup.WithContext(ctx)
	var userID string
	g.Go(func() (err error) { userID, err = d.userByEmail(gctx, email); return err })
	g.Go(func() error { _, err := d.groups.lookup(gctx, groups); return err })
	if err := g.Wait(); err != nil {
		return store.Principal{}, err
	}
	p, err := d.Look(ctx, userID, groups)
	if err != nil {
		return store.Principal{}, err
	}
	// Whoever was found by a user name that looks like the address, and has another address, is somebody else.
	if p.Email != "" && !strings.EqualFold(p.Email, email) {
		return store.Principal{}, store.ErrNobody
	}
	return p, nil
}

// userByEmail asks for the address as Slack has it and, where that differs, in lower case: whether emails.value is compared with
// case is documented nowhere. Two different people by the two spellings are store.ErrSeveral. The API has no other way to
// say so: an address is unique within an identity store, and GetUserId answers with one user or none.
//
// Where nobody has the address, it is tried as a user name, which is the only other attribute that can be asked for:
// identity providers commonly provision the address as userName and leave emails empty.
func (d *Directory) userByEmail(ctx context.Context, email string) (string, error) {
	if !looksLikeEmail(email) {
		return "", store.ErrNobody
	}
	spellings := []string{email}
	if lower := strings.ToLower(email); lower != email {
		spellings = append(spellings, lower)
	}
	for _, path := range []string{"emails.value", "userName"} {
		ids := make([]string, len(spellings))
		g, gctx := errgroup.WithContext(ctx)
		for i, s := range spellings {
			g.Go(func() (err error) { ids[i], err = d.userBy(gctx, path, s); return err })
		}
		if err := g.Wait(); err != nil {
			return "", err
		}
		first := ""
		for _, id := range ids {
			switch {
			case id == "" || id == first:
			case first == "":
				first = id
			default:
				return "", store.ErrSeveral
			}
		}
		if first != "" {
			return first, nil
		}
	}
	return "", store.ErrNobody
}

// looksLikeEmail keeps what cannot be an address from being tried as a user name.
func looksLikeEmail(s string) bool {
	local, domain, ok := strings.Cut(s, "@")
	return ok && local != "" && strings.Contains(domain, ".") && len(s) <= 254 && !strings.ContainsAny(s, " \t\r\n<>,;\"")
}

// userBy returns the id of the user with that attribute, "" where there is none.
func (d *Directory) userBy(ctx context.Context, path, value string) (string, error) {
	in, err := d.c.theInstance(ctx)
	if err != nil {
		return "", err
	}
	out, err := call(ctx, d.c, d.c.identity, "GetUserId", reading, func(ctx context.Context) (*identitystore.GetUserIdOutput, error) {
		return d.c.directory.GetUserId(ctx, &identitystore.GetUserIdInput{IdentityStoreId: &in.store,
			AlternateIdentifier: unique(path, value)})
	})
	if missing(err) {
		return "", nil
	}
	if err != nil {
		return "", explain("looking up a person by "+path, err)
	}
	return sdk.ToString(out.UserId), nil
}

// unique is the wire's form of "the one whose attribute is": the value is a document there, since attributes have many types.
func unique(path, value string) types.AlternateIdentifier {
	return &types.AlternateIdentifierMemberUniqueAttribute{Value: types.UniqueAttribute{
		AttributePath: &path, AttributeValue: document.NewLazyDocument(value)}}
}

// Look reads a person anew by user id, with the same groups: one round trip once the groups are known.
func (d *Directory) Look(ctx context.Context, userID string, groups []string) (store.Principal, error) {
	var p store.Principal
	var in map[string]bool
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) { p, err = d.describe(gctx, userID); return err })
	g.Go(func() (err error) { in, err = d.memberships(gctx, userID, groups); return err })
	if err := g.Wait(); err != nil {
		// Both ask about the same person: that there is no such person is the better answer, whichever call said it first.
		if errors.Is(err, store.ErrNobody) {
			return store.Principal{}, store.ErrNobody
		}
		return store.Principal{}, err
	}
	p.Groups = in
	return p, nil
}

// Members lists enabled members of a group, at most that many; Groups of each says that they are in this one. It reads no
// more of a large group than it needs, and gives up looking after four times as many disabled ones.
func (d *Directory) Members(ctx context.Context, group string, most int) ([]store.Principal, error) {
	ids, err := d.groups.lookup(ctx, []string{group})
	if err != nil {
		return nil, err
	}
	id := ids[group]
	if id == "" || most <= 0 {
		return nil, nil
	}
	inst, err := d.c.theInstance(ctx)
	if err != nil {
		return nil, err
	}
	var all []store.Principal
	var next *string
	for looked := 0; ; {
		out, err := call(ctx, d.c, d.c.identity, "ListGroupMemberships", reading, func(ctx context.Context) (*identitystore.ListGroupMembershipsOutput, error) {
			return d.c.directory.ListGroupMemberships(ctx, &identitystore.ListGroupMembershipsInput{IdentityStoreId: &inst.store,
				GroupId: &id, MaxResults: sdk.Int32(int32(min(most, 100))), NextToken: next})
		})
		if missing(err) {
			d.groups.forget(group)
			return nil, nil
		}
		if err != nil {
			return nil, explain("listing the members of "+group, err)
		}
		found, err := d.describeAll(ctx, out.GroupMemberships, group)
		if err != nil {
			return nil, err
		}
		all, looked = append(all, found...), looked+len(out.GroupMemberships)
		if next = out.NextToken; len(all) >= most || sdk.ToString(next) == "" || looked >= 4*most+20 {
			return all[:min(len(all), most)], nil
		}
	}
}

// describeAll describes the members of one page at the same time and keeps the enabled ones, in AWS's order.
func (d *Directory) describeAll(ctx context.Context, ms []types.GroupMembership, group string) ([]store.Principal, error) {
	ps := make([]store.Principal, len(ms))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for i, m := range ms {
		user, ok := m.MemberId.(*types.MemberIdMemberUserId)
		if !ok {
			continue
		}
		g.Go(func() error {
			p, err := d.describe(gctx, user.Value)
			if errors.Is(err, store.ErrNobody) {
				return nil // deleted meanwhile
			}
			ps[i] = p
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	var enabled []store.Principal
	for _, p := range ps {
		if p.Enabled {
			p.Groups = map[string]bool{group: true}
			enabled = append(enabled, p)
		}
	}
	return enabled, nil
}

// memberships says for each group whether the person is in it. A group that does not exist has no members.
func (d *Directory) memberships(ctx context.Context, userID string, groups []string) (map[string]bool, error) {
	for attempt := 1; ; attempt++ {
		ids, err := d.groups.lookup(ctx, groups)
		if err != nil {
			return nil, err
		}
		in, err := d.isMember(ctx, userID, ids)
		if missing(err) && attempt == 1 {
			d.groups.forget(groups...) // one of them may have been made anew under its name
			continue
		}
		if missing(err) {
			return nil, fmt.Errorf("asking for memberships: %w", store.ErrNobody)
		}
		if err != nil {
			return nil, explain("asking for memberships", err)
		}
		answer := make(map[string]bool, len(groups)) // never nil: nil means that nobody answered
		for _, name := range groups {
			answer[name] = ids[name] != "" && in[ids[name]]
		}
		return answer, nil
	}
}

// groupsPerCall is how many groups IsMemberInGroups takes (API reference).
const groupsPerCall = 100

// isMember asks for all groups at once, a hundred to a call, by their ids.
func (d *Directory) isMember(ctx context.Context, userID string, ids map[string]string) (map[string]bool, error) {
	var asked []string
	for _, id := range ids {
		if id != "" {
			asked = append(asked, id)
		}
	}
	inst, err := d.c.theInstance(ctx)
	if err != nil {
		return nil, err
	}
	outs := make([]*identitystore.IsMemberInGroupsOutput, (len(asked)+groupsPerCall-1)/groupsPerCall)
	g, gctx := errgroup.WithContext(ctx)
	for i := range outs {
		batch := asked[i*groupsPerCall : min((i+1)*groupsPerCall, len(asked))]
		g.Go(func() (err error) {
			outs[i], err = call(gctx, d.c, d.c.identity, "IsMemberInGroups", reading, func(ctx context.Context) (*identitystore.IsMemberInGroupsOutput, error) {
				return d.c.directory.IsMemberInGroups(ctx, &identitystore.IsMemberInGroupsInput{IdentityStoreId: &inst.store,
					GroupIds: batch, MemberId: &types.MemberIdMemberUserId{Value: userID}})
			})
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	in := map[string]bool{}
	for _, out := range outs {
		for _, r := range out.Results {
			in[sdk.ToString(r.GroupId)] = r.MembershipExists
		}
	}
	return in, nil
}
