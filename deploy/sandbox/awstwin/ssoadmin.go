// Identity Center's administration: the instance, permission sets, and who may ask. ARNs are validated by the patterns of
// the API model.

package awstwin

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// ssoAdminService is Identity Center's administration, answered in its home Region, and there only to the management account
// and the delegated administrator.
func ssoAdminService() *service {
	s := &service{
		name: "sso-admin", scope: "sso", target: "SWBExternalService", source: "sso.amazonaws.com", prefix: "sso", proto: protoJSON, home: true,
		ops: map[string]*operation{
			"ListInstances":                                       reads(listInstances),
			"DescribeInstance":                                    onInstance(reads(describeInstance)),
			"ListPermissionSets":                                  onInstance(reads(listPermissionSets)),
			"ListTagsForResource":                                 onInstance(reads(listSetTags)),
			"ListAccountAssignmentCreationStatus":                 onInstance(reads(listCreationStatus)),
			"ListAccountAssignmentDeletionStatus":                 onInstance(reads(listDeletionStatus)),
			"DescribeAccountAssignmentCreationStatus":             onInstance(reads(describeCreation)),
			"DescribeAccountAssignmentDeletionStatus":             onInstance(reads(describeDeletion)),
			"DescribePermissionSetProvisioningStatus":             onInstance(reads(describeProvisioning)),
			"ListAccountAssignmentsForPrincipal":                  onInstance(reads(listForPrincipal)),
			"ListPermissionSetsProvisionedToAccount":              onInstance(reads(listSetsOfAccount)),
			"DescribePermissionSet":                               onSet(reads(describePermissionSet)),
			"ListAccountsForProvisionedPermissionSet":             onSet(reads(listAccountsOfSet)),
			"GetInlinePolicyForPermissionSet":                     onSet(reads(getInlinePolicy)),
			"PutInlinePolicyToPermissionSet":                      onSet(writes(putInlinePolicy)),
			"DeleteInlinePolicyFromPermissionSet":                 onSet(writes(deleteInlinePolicy)),
			"ListManagedPoliciesInPermissionSet":                  onSet(reads(listManaged)),
			"ListCustomerManagedPolicyReferencesInPermissionSet":  onSet(reads(listCustomerManaged)),
			"AttachCustomerManagedPolicyReferenceToPermissionSet": onSet(writes(attachCustomerManaged)),
			"GetPermissionsBoundaryForPermissionSet":              onSet(reads(getBoundary)),
			"ListAccountAssignments":                              onAssignment(reads(listAssignments)),
			"ProvisionPermissionSet":                              onSet(writes(provisionSet)),
			"CreateAccountAssignment":                             onAssignment(writes(createAssignment)),
			"DeleteAccountAssignment":                             onAssignment(writes(deleteAssignment)),
		},
	}
	return s
}

// arnInput is what the resource lookups read of any input.
type arnInput struct {
	InstanceArn, PermissionSetArn, TargetId, AccountId string
}

func (c *call) arns() arnInput {
	var in arnInput
	_ = json.Unmarshal(c.body, &in)
	return in
}

func onInstance(op *operation) *operation {
	return op.on(func(c *call) []string { return []string{c.arns().InstanceArn} })
}

func onSet(op *operation) *operation {
	return op.on(func(c *call) []string {
		in := c.arns()
		return []string{in.InstanceArn, in.PermissionSetArn}
	})
}

// onAssignment: the service authorization reference wants the account, the instance and the set, all three.
func onAssignment(op *operation) *operation {
	return op.on(func(c *call) []string {
		in := c.arns()
		return []string{in.InstanceArn, in.PermissionSetArn, "arn:aws:sso:::account/" + in.TargetId + in.AccountId}
	})
}

type instanceInput struct {
	paging
	InstanceArn string
}

// check: a malformed ARN is a ValidationException, another instance is not there, another Region or account may not ask.
func (in *instanceInput) check(c *call) error {
	if err := c.identityCenterCaller(); err != nil {
		return err
	}
	if in.InstanceArn == "" {
		return fail("ValidationException", "1 validation error detected: Value null at 'instanceArn' failed to satisfy constraint: Member must not be null")
	}
	id, ok := strings.CutPrefix(in.InstanceArn, "arn:aws:sso:::instance/")
	if !ok || !isID(id, "ssoins-", 16) {
		return invalid("instanceArn", in.InstanceArn,
			`Member must satisfy regular expression pattern: arn:(aws|aws-us-gov|aws-cn|aws-iso|aws-iso-b):sso:::instance/(sso)?ins-[a-zA-Z0-9-.]{16}`)
	}
	if in.InstanceArn != c.org.instance.arn {
		return fail("ResourceNotFoundException", "Instance not found")
	}
	return nil
}

func (c *call) identityCenterCaller() error {
	if c.who.account == c.org.cfg.ManagementAccount || c.who.account == c.org.cfg.BotAccount {
		return nil
	}
	return fail("AccessDeniedException", "User: %s is not authorized to perform: %s because the account is neither the management account nor a delegated administrator of IAM Identity Center",
		c.who.arn, c.action())
}

func isID(s, prefix string, n int) bool {
	rest, ok := strings.CutPrefix(s, prefix)
	if !ok || len(rest) != n {
		return false
	}
	return only(rest, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.")
}

func only(s, alphabet string) bool {
	return s != "" && strings.Trim(s, alphabet) == ""
}

type setInput struct {
	instanceInput
	PermissionSetArn string
}

func (in *setInput) set(c *call) (*permissionSet, error) {
	if err := in.check(c); err != nil {
		return nil, err
	}
	rest, ok := strings.CutPrefix(in.PermissionSetArn, "arn:aws:sso:::permissionSet/")
	ins, ps, ok2 := strings.Cut(rest, "/")
	if !ok || !ok2 || !isID(ins, "ssoins-", 16) || !isID(ps, "ps-", 16) {
		return nil, invalid("permissionSetArn", in.PermissionSetArn,
			`Member must satisfy regular expression pattern: arn:(aws|aws-us-gov|aws-cn|aws-iso|aws-iso-b):sso:::permissionSet/(sso)?ins-[a-zA-Z0-9-.]{16}/ps-[a-zA-Z0-9-./]{16}`)
	}
	s := c.org.sets[in.PermissionSetArn]
	if s == nil {
		return nil, fail("ResourceNotFoundException", "PermissionSet not found")
	}
	return s, nil
}

// listInstances is empty in a Region that has none, and for accounts that have nothing to do with it.
func listInstances(c *call, in *instanceInput) (any, error) {
	all := []any{}
	if c.region == c.org.cfg.Region && c.identityCenterCaller() == nil {
		all = append(all, c.org.instanceView())
	}
	return map[string]any{"Instances": all}, nil
}

func (o *Organization) instanceView() map[string]any {
	return map[string]any{"InstanceArn": o.instance.arn, "IdentityStoreId": o.instance.store, "OwnerAccountId": o.cfg.ManagementAccount,
		"Status": "ACTIVE", "CreatedDate": epoch(o.accounts[o.cfg.ManagementAccount].joined)}
}

func describeInstance(c *call, in *instanceInput) (any, error) {
	if err := in.check(c); err != nil {
		return nil, err
	}
	return c.org.instanceView(), nil
}

func listPermissionSets(c *call, in *instanceInput) (any, error) {
	if err := in.check(c); err != nil {
		return nil, err
	}
	all, next, err := page(slices.Collect(maps.Keys(c.org.sets)), self, in.paging, 100, "sets", badToken)
	if err != nil {
		return nil, err
	}
	return withNext(map[string]any{"PermissionSets": some(all)}, next), nil
}

func listSetTags(c *call, in *instanceInput) (any, error) {
	if err := in.check(c); err != nil {
		return nil, err
	}
	return map[string]any{"Tags": []any{}}, nil
}

func describePermissionSet(c *call, in *setInput) (any, error) {
	s, err := in.set(c)
	if err != nil {
		return nil, err
	}
	v := map[string]any{"Name": s.name, "PermissionSetArn": s.arn, "CreatedDate": epoch(s.created), "SessionDuration": iso(s.duration)}
	if s.description != "" {
		v["Description"] = s.description
	}
	if s.relay != "" {
		v["RelayState"] = s.relay
	}
	return map[string]any{"PermissionSet": v}, nil
}
