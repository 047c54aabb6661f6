// AWS Organizations, for the accounts and what they are tagged with.

package awstwin

import (
	"maps"
	"slices"
	"sort"
	"strings"
)

// organizationsService answers the management account and the delegated administrator; it has one endpoint, in us-east-1.
func organizationsService() *service {
	return &service{
		name: "organizations", scope: "organizations", target: "AWSOrganizationsV20161128", source: "organizations.amazonaws.com",
		prefix: "organizations", proto: protoJSON, global: true,
		ops: map[string]*operation{
			"ListAccounts":                     reads(listOrgAccounts),
			"DescribeAccount":                  reads(describeAccount),
			"DescribeOrganization":             reads(describeOrganization),
			"ListAccountsForParent":            reads(listAccountsForParent),
			"ListTagsForResource":              reads(listAccountTags),
			"ListRoots":                        reads(listRoots),
			"ListParents":                      reads(listParents),
			"ListOrganizationalUnitsForParent": reads(listUnits),
		},
	}
}

func (c *call) orgCaller() error {
	if c.who.account == c.org.cfg.ManagementAccount || c.who.account == c.org.cfg.BotAccount {
		return nil
	}
	return fail("AccessDeniedException", "You don't have permissions to access this resource.")
}

func (o *Organization) rootID() string { return "r-" + strings.TrimPrefix(o.orgID, "o-")[:4] }

func (o *Organization) parentOf(a *account) string {
	if a.ou == "" {
		return o.rootID()
	}
	return a.ou
}

// accountView has State and the older Status; AWS retires the latter.
func (o *Organization) accountView(a *account) map[string]any {
	path := o.orgID + "/" + o.rootID() + "/"
	if a.ou != "" {
		path += a.ou + "/"
	}
	return map[string]any{"Id": a.id, "Name": a.name, "Email": a.email, "Status": a.state, "State": a.state, "JoinedMethod": "CREATED",
		"JoinedTimestamp": epoch(a.joined), "Paths": []string{path + a.id + "/"},
		"Arn": "arn:aws:organizations::" + o.cfg.ManagementAccount + ":account/" + o.orgID + "/" + a.id}
}

type parentInput struct {
	paging
	ParentId, AccountId, ResourceId, ChildId string
}

func listOrgAccounts(c *call, in *parentInput) (any, error) {
	return in.accounts(c, func(*account) bool { return true })
}

// accounts pages by 20 at most, which is the limit of Organizations' lists.
func (in *parentInput) accounts(c *call, keep func(*account) bool) (any, error) {
	if err := c.orgCaller(); err != nil {
		return nil, err
	}
	all := slices.Collect(maps.Values(c.org.accounts))
	all = slices.DeleteFunc(all, func(a *account) bool { return !keep(a) })
	all, next, err := page(all, func(a *account) string { return a.id }, in.paging, 20, "accounts"+in.ParentId, badInput)
	if err != nil {
		return nil, err
	}
	views := []any{}
	for _, a := range all {
		views = append(views, c.org.accountView(a))
	}
	return withNext(map[string]any{"Accounts": views}, next), nil
}

func badInput() *Error {
	return fail("InvalidInputException", "You specified an invalid value.").with("Reason", "INVALID_NEXT_TOKEN")
}

func describeAccount(c *call, in *parentInput) (any, error) {
	if err := c.orgCaller(); err != nil {
		return nil, err
	}
	a := c.org.accounts[in.AccountId]
	if a == nil {
		return nil, fail("AccountNotFoundException", "You specified an account that doesn't exist.")
	}
	return map[string]any{"Account": c.org.accountView(a)}, nil
}

func describeOrganization(c *call, _ *empty) (any, error) {
	m := c.org.accounts[c.org.cfg.ManagementAccount]
	base := "arn:aws:organizations::" + m.id
	return map[string]any{"Organization": map[string]any{"Id": c.org.orgID, "Arn": base + ":organization/" + c.org.orgID, "FeatureSet": "ALL",
		"MasterAccountId": m.id, "MasterAccountEmail": m.email, "MasterAccountArn": base + ":account/" + c.org.orgID + "/" + m.id}}, nil
}

func listAccountsForParent(c *call, in *parentInput) (any, error) {
	if !c.org.isParent(in.ParentId) {
		return nil, fail("ParentNotFoundException", "You specified parent that doesn't exist.")
	}
	return in.accounts(c, func(a *account) bool { return c.org.parentOf(a) == in.ParentId })
}

func (o *Organization) units() []string {
	seen := map[string]bool{}
	for _, a := range o.accounts {
		if a.ou != "" {
			seen[a.ou] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

func (o *Organization) isParent(id string) bool {
	return id == o.rootID() || slices.Contains(o.units(), id)
}

func listAccountTags(c *call, in *parentInput) (any, error) {
	if err := c.orgCaller(); err != nil {
		return nil, err
	}
	a := c.org.accounts[in.ResourceId]
	if a == nil {
		return nil, fail("TargetNotFoundException", "You specified a target that doesn't exist.")
	}
	tags := []any{}
	keys := slices.Collect(maps.Keys(a.tags))
	sort.Strings(keys)
	for _, k := range keys {
		tags = append(tags, map[string]any{"Key": k, "Value": a.tags[k]})
	}
	return map[string]any{"Tags": tags}, nil
}

func listRoots(c *call, _ *parentInput) (any, error) {
	if err := c.orgCaller(); err != nil {
		return nil, err
	}
	id := c.org.rootID()
	arn := "arn:aws:organizations::" + c.org.cfg.ManagementAccount + ":root/" + c.org.orgID + "/" + id
	return map[string]any{"Roots": []any{map[string]any{"Id": id, "Name": "Root", "Arn": arn, "PolicyTypes": []any{}}}}, nil
}

func listParents(c *call, in *parentInput) (any, error) {
	if err := c.orgCaller(); err != nil {
		return nil, err
	}
	a := c.org.accounts[in.ChildId]
	if a == nil {
		return nil, fail("ChildNotFoundException", "You specified a child that doesn't exist.")
	}
	kind := "ROOT"
	if a.ou != "" {
		kind = "ORGANIZATIONAL_UNIT"
	}
	return map[string]any{"Parents": []any{map[string]any{"Id": c.org.parentOf(a), "Type": kind}}}, nil
}

// listUnits: the units of the twin all hang under the root.
func listUnits(c *call, in *parentInput) (any, error) {
	if err := c.orgCaller(); err != nil {
		return nil, err
	}
	units := []any{}
	if in.ParentId == c.org.rootID() {
		for _, id := range c.org.units() {
			units = append(units, map[string]any{"Id": id, "Name": id,
				"Arn": "arn:aws:organizations::" + c.org.cfg.ManagementAccount + ":ou/" + c.org.orgID + "/" + id})
		}
	}
	return map[string]any{"OrganizationalUnits": units}, nil
}
