package aws

import (
	"context"
	"errors"
	"fmt"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssoadmin"
	"github.com/aws/aws-sdk-go-v2/service/ssoadmin/types"

	"breakglass/store"
)

// IdentityCenter makes and removes account assignments: one person, one account, one permission set, always assigned to the person
// themselves and never by a group, because the removal of a USER assignment blocks new sessions at once, that of a
// membership within an hour (Identity Center user guide, authentication sessions).
type IdentityCenter struct {
	c    *Connection
	sets *setNames
	out  *outstanding
}

// IdentityCenter returns the assignments of the instance. Make one for each Connection: it holds the names and counts what is under way.
func (c *Connection) IdentityCenter() *IdentityCenter {
	return &IdentityCenter{c: c, sets: newSetNames(c), out: newOutstanding(c.cfg.Limits.Outstanding)}
}

// Warm looks up the instance and reads the names of the permission sets, at half the pace of the quota so that a grant made
// meanwhile is not held up. Call it once at start, in the background. Its error is worth a line in the log and no more: whatever needs
// a name later looks it up again.
func (ic *IdentityCenter) Warm(ctx context.Context) error { return ic.sets.warm(ctx) }

// placePatience is how long a change waits for one of the others under way to end before it is put off.
const placePatience = 4 * time.Second

// Assign asks for the assignment and returns AWS's id of the change. Asking again for one that exists is accepted and makes no
// second (documented nowhere, relied on by Terraform's provider), so it may be repeated after an answer was lost.
func (ic *IdentityCenter) Assign(ctx context.Context, g store.Grant) (string, error) {
	t := g.Tuple
	keep, err := ic.out.enter(ctx, false, placePatience)
	if err != nil {
		return "", err
	}
	var change string
	defer func() { keep(change) }()
	err = ic.withSet(ctx, t.Set, func(instance, set string) error {
		out, err := call(ctx, ic.c, ic.c.ssoAdmin, "CreateAccountAssignment", writing, func(ctx context.Context) (*ssoadmin.CreateAccountAssignmentOutput, error) {
			return ic.c.admin.CreateAccountAssignment(ctx, &ssoadmin.CreateAccountAssignmentInput{
				InstanceArn: &instance, PermissionSetArn: &set, TargetId: &t.Account, TargetType: types.TargetTypeAwsAccount,
				PrincipalId: &t.UserID, PrincipalType: types.PrincipalTypeUser})
		})
		if err != nil {
			return ic.onlyBusy(ctx, instance, err)
		}
		change, err = changeID(out.AccountAssignmentCreationStatus)
		return err
	})
	return change, explain("creating the assignment", err)
}

// Unassign asks for the removal. store.ErrGone where AWS says at once that there is nothing to remove.
func (ic *IdentityCenter) Unassign(ctx context.Context, t store.Tuple) (string, error) {
	keep, err := ic.out.enter(ctx, true, placePatience)
	if err != nil {
		return "", err
	}
	var change string
	defer func() { keep(change) }()
	var gone bool
	err = ic.withSet(ctx, t.Set, func(instance, set string) error {
		out, err := call(ctx, ic.c, ic.c.ssoAdmin, "DeleteAccountAssignment", writing, func(ctx context.Context) (*ssoadmin.DeleteAccountAssignmentOutput, error) {
			return ic.c.admin.DeleteAccountAssignment(ctx, &ssoadmin.DeleteAccountAssignmentInput{
				InstanceArn: &instance, PermissionSetArn: &set, TargetId: &t.Account, TargetType: types.TargetTypeAwsAccount,
				PrincipalId: &t.UserID, PrincipalType: types.PrincipalTypeUser})
		})
		if gone = missing(err); err != nil {
			return err
		}
		change, err = changeID(out.AccountAssignmentDeletionStatus)
		return err
	})
	// withSet has made sure that it is not the permission set that is missing; an account that is missing has no assignments
	// either. The caller lists in any case.
	if gone && err != nil {
		return "", fmt.Errorf("removing the assignment: %w", store.ErrGone)
	}
	return change, explain("removing the assignment", err)
}

// errBusy stands for a quota that frees itself.
var errBusy = errors.New("as many changes are under way as Identity Center takes")

// onlyBusy tells two things apart that AWS answers with one code, ServiceQuotaExceededException: fifteen creations under way, ours
// of before a restart or others', which passes; and an account or instance that is full, which does not. So where AWS says it, it is
// asked how many are under way.
func (ic *IdentityCenter) onlyBusy(ctx context.Context, instance string, err error) error {
	if code(err) != codeQuota {
		return err
	}
	out, lerr := call(ctx, ic.c, ic.c.ssoAdmin, "ListAccountAssignmentCreationStatus", reading, func(ctx context.Context) (*ssoadmin.ListAccountAssignmentCreationStatusOutput, error) {
		return ic.c.admin.ListAccountAssignmentCreationStatus(ctx, &ssoadmin.ListAccountAssignmentCreationStatusInput{
			InstanceArn: &instance, Filter: &types.OperationStatusFilter{Status: types.StatusValuesInProgress}})
	})
	if lerr == nil && len(out.AccountAssignmentsCreationStatus) < ic.out.most/2 {
		return err
	}
	return errBusy // where that cannot be asked, trying again is the safer reading
}

// changeID is the id of an accepted change. It is polled for even where AWS says that it is done already, so that there is one way.
func changeID(s *types.AccountAssignmentOperationStatus) (string, error) {
	if s == nil || sdk.ToString(s.RequestId) == "" {
		return "", fmt.Errorf("AWS accepted the change without an id")
	}
	return *s.RequestId, nil
}

// Follow asks how a change stands; see workflows.Assigner. A change that AWS no longer knows is store.Forgotten: only a listing can
// tell what came of it.
func (ic *IdentityCenter) Follow(ctx context.Context, _ store.Tuple, change string, removal bool) (store.Progress, string, error) {
	in, err := ic.c.theInstance(ctx)
	if err != nil {
		return "", "", err
	}
	status, err := ic.status(ctx, in.arn, change, removal)
	if missing(err) {
		ic.out.seen(change, false)
		return store.Forgotten, "", nil
	}
	if err != nil {
		return "", "", explain("following the change", err)
	}
	// The reason is AWS's sentence, and may carry names that people chose.
	p, why := store.Progress(status.Status), clean(sdk.ToString(status.FailureReason), 500)
	ic.out.seen(change, p == store.Underway)
	switch p {
	case store.Underway, store.Succeeded:
		return p, "", nil
	case store.Refused:
		if removal && goneReason(sdk.ToString(status.FailureReason)) {
			return p, why, store.ErrGone
		}
		return p, why, nil
	}
	return "", "", fmt.Errorf("following the change: AWS answered with the status %q, which this program does not know", clean(string(p), 40))
}

// status asks for one change. Creations and deletions are kept apart by AWS: the id of one is unknown to the other's call.
func (ic *IdentityCenter) status(ctx context.Context, instance, change string, removal bool) (*types.AccountAssignmentOperationStatus, error) {
	op := "DescribeAccountAssignmentCreationStatus"
	if removal {
		op = "DescribeAccountAssignmentDeletionStatus"
	}
	s, err := call(ctx, ic.c, ic.c.ssoAdmin, op, reading, func(ctx context.Context) (*types.AccountAssignmentOperationStatus, error) {
		if removal {
			out, err := ic.c.admin.DescribeAccountAssignmentDeletionStatus(ctx, &ssoadmin.DescribeAccountAssignmentDeletionStatusInput{
				InstanceArn: &instance, AccountAssignmentDeletionRequestId: &change})
			if err != nil {
				return nil, err
			}
			return out.AccountAssignmentDeletionStatus, nil
		}
		out, err := ic.c.admin.DescribeAccountAssignmentCreationStatus(ctx, &ssoadmin.DescribeAccountAssignmentCreationStatusInput{
			InstanceArn: &instance, AccountAssignmentCreationRequestId: &change})
		if err != nil {
			return nil, err
		}
		return out.AccountAssignmentCreationStatus, nil
	})
	if err == nil && s == nil {
		err = fmt.Errorf("AWS answered %s without a status", op)
	}
	return s, err
}

// Assigned lists whether the person has this assignment themselves.
//
// Of the two listings, ListAccountAssignments is asked: by account and permission set, one call for each hundred principals that have
// this set there, which for a break-glass set is one call. ListAccountAssignmentsForPrincipal would be one call always, but it "must
// be called from the management account" (API reference), where this bot should not live, and it mixes in what comes by groups.
func (ic *IdentityCenter) Assigned(ctx context.Context, t store.Tuple) (bool, error) {
	var assigned bool
	err := ic.withSet(ctx, t.Set, func(instance, set string) error {
		var next *string
		for {
			out, err := call(ctx, ic.c, ic.c.ssoAdmin, "ListAccountAssignments", reading, func(ctx context.Context) (*ssoadmin.ListAccountAssignmentsOutput, error) {
				return ic.c.admin.ListAccountAssignments(ctx, &ssoadmin.ListAccountAssignmentsInput{
					InstanceArn: &instance, AccountId: &t.Account, PermissionSetArn: &set, MaxResults: sdk.Int32(100), NextToken: next})
			})
			if err != nil {
				return err
			}
			for _, a := range out.AccountAssignments {
				if a.PrincipalType == types.PrincipalTypeUser && sdk.ToString(a.PrincipalId) == t.UserID {
					assigned = true
					return nil
				}
			}
			if next = out.NextToken; sdk.ToString(next) == "" {
				return nil
			}
		}
	})
	return assigned, explain("listing the assignments", err)
}

// withSet does something with a permission set known by name. Where AWS then does not know something, the set may have been deleted
// and made anew since its ARN was looked up: that is asked, and the thing is done once more with the new one.
func (ic *IdentityCenter) withSet(ctx context.Context, name string, do func(instance, set string) error) error {
	in, err := ic.c.theInstance(ctx)
	if err != nil {
		return err
	}
	arn, err := ic.sets.lookup(ctx, name)
	if err != nil {
		return err
	}
	if err = do(in.arn, arn); !missing(err) || !ic.sets.moved(ctx, name, arn) {
		return err
	}
	if arn, err = ic.sets.lookup(ctx, name); err != nil {
		return err
	}
	return do(in.arn, arn)
}
