// Statuses and listings. The listings are the truth; a status tells only how one request ended.

package awstwin

import (
	"fmt"
	"sort"
)

type describeInput struct {
	instanceInput
	AccountAssignmentCreationRequestId string
	AccountAssignmentDeletionRequestId string
	ProvisionPermissionSetRequestId    string
}

func (in *describeInput) find(c *call, kind, id string) (*change, error) {
	if err := in.check(c); err != nil {
		return nil, err
	}
	if len(id) != 36 || !isPrincipalID(id) {
		return nil, invalid("requestId", id, `Member must satisfy regular expression pattern: \b[0-9a-f]{8}\b-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-\b[0-9a-f]{12}\b`)
	}
	ch := c.org.changes.byID[id]
	if ch == nil || ch.kind != kind {
		return nil, fail("ResourceNotFoundException", "Request %s not found", id)
	}
	return ch, nil
}

func describeCreation(c *call, in *describeInput) (any, error) {
	ch, err := in.find(c, "create", in.AccountAssignmentCreationRequestId)
	if err != nil {
		return nil, err
	}
	return map[string]any{"AccountAssignmentCreationStatus": ch.full()}, nil
}

func describeDeletion(c *call, in *describeInput) (any, error) {
	ch, err := in.find(c, "delete", in.AccountAssignmentDeletionRequestId)
	if err != nil {
		return nil, err
	}
	return map[string]any{"AccountAssignmentDeletionStatus": ch.full()}, nil
}

func describeProvisioning(c *call, in *describeInput) (any, error) {
	ch, err := in.find(c, "provision", in.ProvisionPermissionSetRequestId)
	if err != nil {
		return nil, err
	}
	return map[string]any{"PermissionSetProvisioningStatus": ch.provisioning()}, nil
}

type statusListInput struct {
	instanceInput
	Filter struct{ Status string }
}

func listCreationStatus(c *call, in *statusListInput) (any, error) {
	return in.list(c, "create", "AccountAssignmentsCreationStatus")
}

func listDeletionStatus(c *call, in *statusListInput) (any, error) {
	return in.list(c, "delete", "AccountAssignmentsDeletionStatus")
}

// list gives the newest requests first.
func (in *statusListInput) list(c *call, kind, member string) (any, error) {
	if err := in.check(c); err != nil {
		return nil, err
	}
	all := c.org.changes.order
	if in.Filter.Status == inProgress {
		all = c.org.changes.underWay()
	}
	var fits []*change
	for i := len(all) - 1; i >= 0; i-- {
		if ch := all[i]; ch.kind == kind && (in.Filter.Status == "" || in.Filter.Status == ch.status) {
			fits = append(fits, ch)
		}
	}
	key := func(ch *change) string { return fmt.Sprintf("%020d", 1<<62-ch.seq) }
	fits, next, err := pageSorted(fits, key, in.paging, 100, kind+in.Filter.Status, badToken)
	if err != nil {
		return nil, err
	}
	views := []any{}
	for _, ch := range fits {
		views = append(views, ch.brief())
	}
	return withNext(map[string]any{member: views}, next), nil
}

type listAssignmentsInput struct {
	setInput
	AccountId string
}

// listAssignments has what exists: an assignment that is still being created is not there, one still being deleted is.
func listAssignments(c *call, in *listAssignmentsInput) (any, error) {
	s, err := in.set(c)
	if err != nil {
		return nil, err
	}
	if !isAccountID(in.AccountId) {
		return nil, invalid("accountId", in.AccountId, `Member must satisfy regular expression pattern: \d{12}`)
	}
	if c.org.accounts[in.AccountId] == nil {
		return nil, fail("ResourceNotFoundException", "Account %s not found", in.AccountId)
	}
	return c.org.assignmentPage(c.org.rows.ofTarget(target{in.AccountId, s.arn}), in.paging, "assignments"+in.AccountId+s.arn)
}

// assignmentPage takes rows that are sorted by their keys.
func (o *Organization) assignmentPage(rows []row, p paging, question string) (any, error) {
	rows, next, err := pageSorted(rows, row.key, p, 100, question, badToken)
	if err != nil {
		return nil, err
	}
	views := []any{}
	for _, r := range rows {
		views = append(views, map[string]any{"AccountId": r.account, "PermissionSetArn": r.set, "PrincipalType": r.kind, "PrincipalId": r.principal.id})
	}
	return withNext(map[string]any{"AccountAssignments": views}, next), nil
}

type forPrincipalInput struct {
	instanceInput
	PrincipalId, PrincipalType string
	Filter                     struct{ AccountId string }
}

// listForPrincipal gives a user's rows and those of the user's groups, the latter under the group's name.
func listForPrincipal(c *call, in *forPrincipalInput) (any, error) {
	if err := in.check(c); err != nil {
		return nil, err
	}
	o := c.org
	rows := o.rows.ofPrincipal(principal{in.PrincipalType, in.PrincipalId})
	switch in.PrincipalType {
	case "USER":
		if o.dir.users[in.PrincipalId] == nil && len(rows) == 0 {
			return nil, fail("ResourceNotFoundException", "USER not found")
		}
		for id := range o.dir.ofUser[in.PrincipalId] {
			rows = append(rows, o.rows.ofPrincipal(principal{"GROUP", id})...)
		}
	case "GROUP":
		if o.dir.groups[in.PrincipalId] == nil && len(rows) == 0 {
			return nil, fail("ResourceNotFoundException", "GROUP not found")
		}
	default:
		return nil, invalid("principalType", in.PrincipalType, "Member must satisfy enum value set: [GROUP, USER]")
	}
	if id := in.Filter.AccountId; id != "" {
		kept := rows[:0]
		for _, r := range rows {
			if r.account == id {
				kept = append(kept, r)
			}
		}
		rows = kept
	}
	sort.Slice(rows, func(i, j int) bool { return rows[i].key() < rows[j].key() })
	return o.assignmentPage(rows, in.paging, "principal"+in.PrincipalId+in.Filter.AccountId)
}

type accountSetsInput struct {
	instanceInput
	AccountId string
}

func listSetsOfAccount(c *call, in *accountSetsInput) (any, error) {
	if err := in.check(c); err != nil {
		return nil, err
	}
	if c.org.accounts[in.AccountId] == nil {
		return nil, fail("ResourceNotFoundException", "Account %s not found", in.AccountId)
	}
	var all []string
	for tg := range c.org.rows.byTarget {
		if tg.account == in.AccountId {
			all = append(all, tg.set)
		}
	}
	all, next, err := page(all, self, in.paging, 100, "sets of "+in.AccountId, badToken)
	if err != nil {
		return nil, err
	}
	return withNext(map[string]any{"PermissionSets": some(all)}, next), nil
}

func (o *Organization) accountsOf(set string) []string {
	var ids []string
	for tg := range o.rows.byTarget {
		if tg.set == set {
			ids = append(ids, tg.account)
		}
	}
	sort.Strings(ids)
	return ids
}

func listAccountsOfSet(c *call, in *setInput) (any, error) {
	s, err := in.set(c)
	if err != nil {
		return nil, err
	}
	all, next, err := page(c.org.accountsOf(s.arn), self, in.paging, 100, "accounts of "+s.arn, badToken)
	if err != nil {
		return nil, err
	}
	return withNext(map[string]any{"AccountIds": some(all)}, next), nil
}
