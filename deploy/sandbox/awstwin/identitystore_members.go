// Group memberships. A membership has an id of its own, and joining again gives another: whoever ends one by an old id
// finds nothing, which is what makes a late schedule harmless.

package awstwin

import "fmt"

type isMemberInput struct {
	storeInput
	MemberId struct{ UserId string }
	GroupIds []string
}

// isMemberInGroups answers in the order asked; a group that is not there has no members.
func isMemberInGroups(c *call, in *isMemberInput) (any, error) {
	if err := in.check(c); err != nil {
		return nil, err
	}
	if n := len(in.GroupIds); n < 1 || n > 100 {
		return nil, invalid("groupIds", fmt.Sprint(in.GroupIds), "Member must have length between 1 and 100")
	}
	results := []any{}
	for _, id := range in.GroupIds {
		g := c.org.dir.groups[id]
		results = append(results, map[string]any{"GroupId": id, "MemberId": map[string]any{"UserId": in.MemberId.UserId},
			"MembershipExists": g != nil && g.members[in.MemberId.UserId] != ""})
	}
	return map[string]any{"Results": results}, nil
}

func (o *Organization) membershipView(m *membership) map[string]any {
	return map[string]any{"IdentityStoreId": o.instance.store, "MembershipId": m.id, "GroupId": m.group,
		"MemberId": map[string]any{"UserId": m.user}, "CreatedAt": epoch(m.created)}
}

func listGroupMemberships(c *call, in *groupInput) (any, error) {
	g, err := in.group(c)
	if err != nil {
		return nil, err
	}
	var all []*membership
	for _, id := range g.members {
		all = append(all, c.org.dir.memberships[id])
	}
	return c.org.membershipPage(all, in.paging, "of group "+g.id)
}

func listMembershipsOf(c *call, in *groupInput) (any, error) {
	if err := in.check(c); err != nil {
		return nil, err
	}
	if c.org.dir.users[in.MemberId.UserId] == nil {
		return nil, missing("USER", "USER")
	}
	var all []*membership
	for _, id := range c.org.dir.ofUser[in.MemberId.UserId] {
		all = append(all, c.org.dir.memberships[id])
	}
	return c.org.membershipPage(all, in.paging, "of user "+in.MemberId.UserId)
}

func (o *Organization) membershipPage(all []*membership, p paging, question string) (any, error) {
	all, next, err := page(all, func(m *membership) string { return m.id }, p, 100, question, badToken)
	if err != nil {
		return nil, err
	}
	views := []any{}
	for _, m := range all {
		views = append(views, o.membershipView(m))
	}
	return withNext(map[string]any{"GroupMemberships": views}, next), nil
}

func getMembershipID(c *call, in *groupInput) (any, error) {
	g, err := in.group(c)
	if err != nil {
		return nil, err
	}
	id := g.members[in.MemberId.UserId]
	if id == "" {
		return nil, missing("GROUP_MEMBERSHIP", "GROUP_MEMBERSHIP")
	}
	return map[string]any{"IdentityStoreId": in.IdentityStoreId, "MembershipId": id}, nil
}

type membershipInput struct {
	storeInput
	MembershipId string
}

func describeMembership(c *call, in *membershipInput) (any, error) {
	if err := in.check(c); err != nil {
		return nil, err
	}
	m := c.org.dir.memberships[in.MembershipId]
	if m == nil {
		return nil, missing("GROUP_MEMBERSHIP", "GROUP_MEMBERSHIP")
	}
	return c.org.membershipView(m), nil
}

func createMembership(c *call, in *groupInput) (any, error) {
	g, err := in.group(c)
	if err != nil {
		return nil, err
	}
	if c.org.dir.users[in.MemberId.UserId] == nil {
		return nil, missing("USER", "USER")
	}
	if g.members[in.MemberId.UserId] != "" {
		return nil, fail("ConflictException", "Member and Group relationship already exists.").with("Reason", "UNIQUENESS_CONSTRAINT_VIOLATION")
	}
	id := c.org.addMember(g, in.MemberId.UserId)
	return map[string]any{"IdentityStoreId": in.IdentityStoreId, "MembershipId": id}, nil
}

// deleteMembership of one that is gone is a ResourceNotFoundException; a stale id never touches a newer membership.
func deleteMembership(c *call, in *membershipInput) (any, error) {
	if err := in.check(c); err != nil {
		return nil, err
	}
	if c.org.dir.memberships[in.MembershipId] == nil {
		return nil, missing("GROUP_MEMBERSHIP", "GROUP_MEMBERSHIP")
	}
	c.org.removeMembership(in.MembershipId, c.at)
	return empty{}, nil
}
