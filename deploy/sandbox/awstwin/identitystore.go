// The directory's API for users and groups. Facts from the Identity Store API reference: alternate identifiers are userName
// and emails.value (users) or displayName (groups), one filter at most, the enterprise extension only when it is named.

package awstwin

import (
	"fmt"
	"maps"
	"slices"
)

// identityStoreService is the directory's API, answered in Identity Center's home Region only.
func identityStoreService() *service {
	const users, groups, memberships = "user", "group", "membership"
	return &service{
		name: "identitystore", scope: "identitystore", target: "AWSIdentityStore", source: "identitystore.amazonaws.com",
		prefix: "identitystore", proto: protoJSON, home: true,
		ops: map[string]*operation{
			"GetUserId":                     onStore(reads(getUserID), users),
			"DescribeUser":                  onStore(reads(describeUser), users),
			"ListUsers":                     onStore(reads(listUsers), users),
			"GetGroupId":                    onStore(reads(getGroupID), groups),
			"DescribeGroup":                 onStore(reads(describeGroup), groups),
			"ListGroups":                    onStore(reads(listGroups), groups),
			"IsMemberInGroups":              onStore(reads(isMemberInGroups), groups, users, memberships),
			"ListGroupMemberships":          onStore(reads(listGroupMemberships), groups, memberships),
			"ListGroupMembershipsForMember": onStore(reads(listMembershipsOf), users, memberships),
			"GetGroupMembershipId":          onStore(reads(getMembershipID), groups, users, memberships),
			"DescribeGroupMembership":       onStore(reads(describeMembership), memberships),
			"CreateGroupMembership":         onStore(writes(createMembership), groups, users, memberships),
			"DeleteGroupMembership":         onStore(writes(deleteMembership), memberships),
		},
	}
}

// onStore authorises for the store and for each kind of thing that the action touches: one, where the input names it, else
// all of them (service authorization reference, Identity Store).
func onStore(op *operation, kinds ...string) *operation {
	return op.on(func(c *call) []string {
		var in struct {
			UserId, GroupId, MembershipId string
			MemberId                      struct{ UserId string }
		}
		_ = c.decode(&in)
		named := map[string]string{"user": in.UserId + in.MemberId.UserId, "group": in.GroupId, "membership": in.MembershipId}
		arns := []string{c.org.storeARN()}
		for _, k := range kinds {
			id := named[k]
			if id == "" {
				id = "*"
			}
			arns = append(arns, "arn:aws:identitystore:::"+k+"/"+id)
		}
		return arns
	})
}

type storeInput struct {
	IdentityStoreId string
}

func (in storeInput) check(c *call) error {
	if in.IdentityStoreId == "" {
		return fail("ValidationException", "1 validation error detected: Value null at 'identityStoreId' failed to satisfy constraint: Member must not be null")
	}
	if in.IdentityStoreId != c.org.instance.store {
		return missing("IDENTITY_STORE", "IdentityStore")
	}
	return nil
}

func missing(kind, what string) *Error {
	return fail("ResourceNotFoundException", "%s not found.", what).with("ResourceType", kind)
}

type alternateInput struct {
	storeInput
	AlternateIdentifier struct {
		ExternalId      *struct{ Issuer, Id string }
		UniqueAttribute *struct {
			AttributePath  string
			AttributeValue any
		}
	}
}

func (in *alternateInput) attribute() (path, value string, err error) {
	u := in.AlternateIdentifier.UniqueAttribute
	if u == nil {
		return "", "", missing("USER", "USER") // no user of the twin comes from a provider with external ids
	}
	s, ok := u.AttributeValue.(string)
	if !ok {
		return "", "", fail("ValidationException", "AttributeValue must be a string")
	}
	return u.AttributePath, s, nil
}

// getUserID compares exactly, as e-mail case is not documented. Valid paths: userName and emails.value (API_GetUserId).
func getUserID(c *call, in *alternateInput) (any, error) {
	if err := in.check(c); err != nil {
		return nil, err
	}
	path, value, err := in.attribute()
	if err != nil {
		return nil, err
	}
	id := ""
	switch path {
	case "userName", "username":
		id = c.org.dir.byName[value]
	case "emails.value", "Emails.Value":
		id = c.org.dir.byEmail[value]
	default:
		return nil, fail("ValidationException", "The attribute path %s is not supported", path)
	}
	if id == "" {
		return nil, missing("USER", "USER")
	}
	return map[string]any{"IdentityStoreId": in.IdentityStoreId, "UserId": id}, nil
}

type userInput struct {
	storeInput
	UserId     string
	Extensions []string
}

func describeUser(c *call, in *userInput) (any, error) {
	if err := in.check(c); err != nil {
		return nil, err
	}
	if err := checkExtensions(in.Extensions); err != nil {
		return nil, err
	}
	u := c.org.dir.users[in.UserId]
	if u == nil {
		return nil, missing("USER", "USER")
	}
	return c.org.userView(u, len(in.Extensions) > 0), nil
}

const enterprise = "aws:identitystore:enterprise"

func checkExtensions(names []string) error {
	for _, n := range names {
		if n != enterprise {
			return fail("ValidationException", "The extension %s is not supported", n)
		}
	}
	return nil
}

// userView has the manager only where the enterprise extension was asked for, and only where the directory knows one.
func (o *Organization) userView(u *user, extended bool) map[string]any {
	status := "ENABLED"
	if u.Disabled {
		status = "DISABLED"
	}
	v := map[string]any{
		"IdentityStoreId": o.instance.store, "UserId": u.ID, "UserName": u.UserName, "DisplayName": u.DisplayName, "UserStatus": status,
		"Name":      map[string]any{"GivenName": u.GivenName, "FamilyName": u.FamilyName},
		"CreatedAt": epoch(u.created), "UpdatedAt": epoch(u.updated),
	}
	if u.Email != "" {
		v["Emails"] = []any{map[string]any{"Value": u.Email, "Type": "work", "Primary": true}}
	}
	if u.Title != "" {
		v["Title"] = u.Title
	}
	if ext := u.enterprise(); extended && len(ext) > 0 {
		v["Extensions"] = map[string]any{enterprise: ext}
	}
	return v
}

func (u *user) enterprise() map[string]any {
	ext := map[string]any{}
	if u.ManagerID != "" {
		ext["manager"] = map[string]any{"value": u.ManagerID}
	}
	if u.Department != "" {
		ext["department"] = u.Department
	}
	return ext
}

type filter struct{ AttributePath, AttributeValue string }

type listInput struct {
	storeInput
	paging
	Extensions []string
	Filters    []filter
}

// one is the value that the only filter asks for; more than one filter is refused, as is another attribute.
func (in *listInput) one(path string) (string, error) {
	switch {
	case len(in.Filters) == 0:
		return "", nil
	case len(in.Filters) > 1:
		return "", invalid("filters", fmt.Sprint(in.Filters), "Member must have length less than or equal to 1")
	case in.Filters[0].AttributePath != path:
		return "", fail("ValidationException", "The filter attribute path %s is not supported", in.Filters[0].AttributePath)
	}
	return in.Filters[0].AttributeValue, nil
}

func listUsers(c *call, in *listInput) (any, error) {
	if err := in.check(c); err != nil {
		return nil, err
	}
	if err := checkExtensions(in.Extensions); err != nil {
		return nil, err
	}
	name, err := in.one("UserName")
	if err != nil {
		return nil, err
	}
	var all []*user
	for _, u := range c.org.dir.users {
		if name == "" || u.UserName == name {
			all = append(all, u)
		}
	}
	all, next, err := page(all, func(u *user) string { return u.ID }, in.paging, 100, "users"+name, badToken)
	if err != nil {
		return nil, err
	}
	views := []any{}
	for _, u := range all {
		views = append(views, c.org.userView(u, len(in.Extensions) > 0))
	}
	return withNext(map[string]any{"Users": views}, next), nil
}

func withNext(m map[string]any, next string) map[string]any {
	if next != "" {
		m["NextToken"] = next
	}
	return m
}

func getGroupID(c *call, in *alternateInput) (any, error) {
	if err := in.check(c); err != nil {
		return nil, err
	}
	path, value, err := in.attribute()
	if err != nil {
		return nil, missing("GROUP", "GROUP")
	}
	if path != "displayName" && path != "DisplayName" {
		return nil, fail("ValidationException", "The attribute path %s is not supported", path)
	}
	g := c.org.dir.groupNamed(value)
	if g == nil {
		return nil, missing("GROUP", "GROUP")
	}
	return map[string]any{"IdentityStoreId": in.IdentityStoreId, "GroupId": g.id}, nil
}

type groupInput struct {
	storeInput
	paging
	GroupId  string
	MemberId struct{ UserId string }
}

func (in *groupInput) group(c *call) (*group, error) {
	if err := in.check(c); err != nil {
		return nil, err
	}
	g := c.org.dir.groups[in.GroupId]
	if g == nil {
		return nil, missing("GROUP", "GROUP")
	}
	return g, nil
}

func describeGroup(c *call, in *groupInput) (any, error) {
	g, err := in.group(c)
	if err != nil {
		return nil, err
	}
	return c.org.groupView(g), nil
}

func (o *Organization) groupView(g *group) map[string]any {
	return map[string]any{"IdentityStoreId": o.instance.store, "GroupId": g.id, "DisplayName": g.name, "CreatedAt": epoch(g.created)}
}

func listGroups(c *call, in *listInput) (any, error) {
	if err := in.check(c); err != nil {
		return nil, err
	}
	name, err := in.one("DisplayName")
	if err != nil {
		return nil, err
	}
	all := slices.Collect(maps.Values(c.org.dir.groups))
	all = slices.DeleteFunc(all, func(g *group) bool { return name != "" && g.name != name })
	all, next, err := page(all, func(g *group) string { return g.id }, in.paging, 100, "groups"+name, badToken)
	if err != nil {
		return nil, err
	}
	views := []any{}
	for _, g := range all {
		views = append(views, c.org.groupView(g))
	}
	return withNext(map[string]any{"Groups": views}, next), nil
}
