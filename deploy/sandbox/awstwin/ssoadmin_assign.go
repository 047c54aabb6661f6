// Creating and deleting assignments. Neither takes a client token: repeating a creation is harmless, since there is one
// row for each principal; repeating a deletion meets "not there", in one of two forms.

package awstwin

import "strings"

type assignmentInput struct {
	setInput
	TargetId, TargetType, PrincipalType, PrincipalId string
}

// rowOf validates an input of Create or Delete and gives the assignment it is about.
func (in *assignmentInput) rowOf(c *call) (row, error) {
	s, err := in.set(c)
	if err != nil {
		return row{}, err
	}
	switch {
	case !isAccountID(in.TargetId):
		return row{}, invalid("targetId", in.TargetId, `Member must satisfy regular expression pattern: \d{12}`)
	case in.TargetType != "AWS_ACCOUNT":
		return row{}, invalid("targetType", in.TargetType, "Member must satisfy enum value set: [AWS_ACCOUNT]")
	case in.PrincipalType != "USER" && in.PrincipalType != "GROUP":
		return row{}, invalid("principalType", in.PrincipalType, "Member must satisfy enum value set: [GROUP, USER]")
	case !isPrincipalID(in.PrincipalId):
		return row{}, invalid("principalId", in.PrincipalId,
			`Member must satisfy regular expression pattern: ([0-9a-f]{10}-|)[A-Fa-f0-9]{8}-[A-Fa-f0-9]{4}-[A-Fa-f0-9]{4}-[A-Fa-f0-9]{4}-[A-Fa-f0-9]{12}`)
	case c.org.accounts[in.TargetId] == nil:
		return row{}, fail("ResourceNotFoundException", "Account %s not found", in.TargetId)
	}
	return row{target{in.TargetId, s.arn}, principal{in.PrincipalType, in.PrincipalId}}, c.org.delegated(c, s, in.TargetId)
}

func isAccountID(s string) bool { return len(s) == 12 && only(s, "0123456789") }

// isPrincipalID takes a GUID, or a GUID after ten hex digits and a hyphen.
func isPrincipalID(s string) bool {
	const hexDigits = "0123456789abcdefABCDEF"
	parts := strings.Split(s, "-")
	if len(parts) == 6 {
		if len(parts[0]) != 10 || !only(parts[0], "0123456789abcdef") {
			return false
		}
		parts = parts[1:]
	}
	if len(parts) != 5 {
		return false
	}
	for i, n := range []int{8, 4, 4, 4, 12} {
		if len(parts[i]) != n || !only(parts[i], hexDigits) {
			return false
		}
	}
	return true
}

// delegated holds a delegated administrator to its limits: nothing in the management account, nor with permission sets that
// are provisioned there (Identity Center user guide, delegated administration).
func (o *Organization) delegated(c *call, s *permissionSet, accountID string) error {
	if c.who.account == o.cfg.ManagementAccount {
		return nil
	}
	if accountID == o.cfg.ManagementAccount || len(o.rows.ofTarget(target{o.cfg.ManagementAccount, s.arn})) > 0 {
		return fail("AccessDeniedException", "User: %s is not authorized to perform: %s: a delegated administrator cannot manage access to the management account",
			c.who.arn, c.action())
	}
	return nil
}

func createAssignment(c *call, in *assignmentInput) (any, error) {
	r, err := in.rowOf(c)
	if err != nil {
		return nil, err
	}
	o := c.org
	if err := o.conflicts(r); err != nil {
		return nil, err
	}
	if !o.limits.off && o.changes.creates >= outstandingCreates {
		return nil, fail("ServiceQuotaExceededException", "You have exceeded the limit of %d outstanding CreateAccountAssignment requests", outstandingCreates)
	}
	ch := o.begin("create", r, c.at)
	c.noteAssignment(ch)
	return map[string]any{"AccountAssignmentCreationStatus": ch.full()}, nil
}

func deleteAssignment(c *call, in *assignmentInput) (any, error) {
	r, err := in.rowOf(c)
	if err != nil {
		return nil, err
	}
	o := c.org
	if err := o.conflicts(r); err != nil {
		return nil, err
	}
	// A principal that has left the directory takes the asynchronous way, and its own reason.
	if o.dir.has(r.principal) && !o.rows.has(r.target, r.principal) && o.refuseMissing() {
		return nil, fail("ResourceNotFoundException", "Account assignment not found")
	}
	ch := o.begin("delete", r, c.at)
	c.noteAssignment(ch)
	return map[string]any{"AccountAssignmentDeletionStatus": ch.full()}, nil
}

// refuseMissing chooses between the two forms in which AWS answers the deletion of what is not there.
func (o *Organization) refuseMissing() bool {
	switch o.cfg.MissingDelete {
	case MissingRefused:
		return true
	case MissingFails:
		return false
	}
	o.changes.nextAsync = !o.changes.nextAsync
	return o.changes.nextAsync
}

// conflicts: a change of the same assignment that is still under way always conflicts; any other in the same account does
// as long as quotas are on ("number of IAM roles in the account that can be updated at a time: 1").
func (o *Organization) conflicts(r row) error {
	if o.changes.rows[r] > 0 || !o.limits.off && o.changes.accounts[r.account] > 0 {
		return conflict()
	}
	return nil
}

func (c *call) noteAssignment(ch *change) {
	key, v := "accountAssignmentCreationStatus", map[string]any{"status": ch.status, "requestId": ch.id, "targetId": ch.account, "targetType": "AWS_ACCOUNT",
		"permissionSetArn": ch.set, "principalType": ch.principal.kind, "principalId": ch.principal.id}
	if ch.kind == "delete" {
		key = "accountAssignmentDeletionStatus"
	}
	c.trail.response = map[string]any{key: v}
}

// full is a change as Create, Delete and Describe return it; the lists give the brief form.
func (ch *change) full() map[string]any {
	v := ch.brief()
	v["TargetId"], v["TargetType"] = ch.account, "AWS_ACCOUNT"
	v["PermissionSetArn"], v["PrincipalType"], v["PrincipalId"] = ch.set, ch.principal.kind, ch.principal.id
	if ch.reason != "" {
		v["FailureReason"] = ch.reason
	}
	return v
}

func (ch *change) brief() map[string]any {
	return map[string]any{"Status": ch.status, "RequestId": ch.id, "CreatedDate": epoch(ch.created)}
}

type provisionInput struct {
	setInput
	TargetId, TargetType string
}

// provisionSet brings roles up to their permission set: in one account, or in all that have it.
func provisionSet(c *call, in *provisionInput) (any, error) {
	s, err := in.set(c)
	if err != nil {
		return nil, err
	}
	o := c.org
	targets := []string{in.TargetId}
	if in.TargetType == "ALL_PROVISIONED_ACCOUNTS" {
		targets = o.accountsOf(s.arn)
	} else if o.accounts[in.TargetId] == nil {
		return nil, fail("ResourceNotFoundException", "Account %s not found", in.TargetId)
	}
	var first *change
	for _, id := range targets {
		if len(o.rows.ofTarget(target{id, s.arn})) == 0 {
			return nil, fail("ResourceNotFoundException", "PermissionSet is not provisioned in account %s", id)
		}
		if first == nil {
			first = o.begin("provision", row{target: target{id, s.arn}}, c.at)
		} else {
			o.begin("provision", row{target: target{id, s.arn}}, c.at)
		}
	}
	if first == nil {
		return nil, fail("ResourceNotFoundException", "PermissionSet is not provisioned anywhere")
	}
	return map[string]any{"PermissionSetProvisioningStatus": first.provisioning()}, nil
}

func (ch *change) provisioning() map[string]any {
	v := ch.brief()
	v["AccountId"], v["PermissionSetArn"] = ch.account, ch.set
	if ch.reason != "" {
		v["FailureReason"] = ch.reason
	}
	return v
}
