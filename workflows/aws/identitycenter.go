package aws

import (
	"context"
	"errors"
	"fmt"
	"maps"
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
	c        *Connection
	sets     *setNames
	out      *outstanding
	created  *statuses
	removed  *statuses
	listings *rounds[map[string]bool]
}

// IdentityCenter returns the assignments of the instance. Make one for each Connection: what those who ask at the same time have in common is
// asked for once.
func (c *Connection) IdentityCenter() *IdentityCenter {
	return &IdentityCenter{c: c, sets: c.sets, out: c.out, created: newStatuses(c, false), removed: newStatuses(c, true),
		listings: newRounds[map[string]bool](c.ssoAdmin)}
}

// Warm looks up the instance and reads the names of the permission sets, after everything that somebody waits for, so that a grant made
// meanwhile is not held up. Call it once at start, in the background. Its error is worth a line in the log and no more: whatever needs
// a name later looks it up again.
func (ic *IdentityCenter) Warm(ctx context.Context) error { return ic.sets.warm(ctx) }

// Names are the ARNs of permission sets by name, as far as they are known: for the next start to Remember.
func (ic *IdentityCenter) Names() map[string]string {
	ic.sets.mu.Lock()
	defer ic.sets.mu.Unlock()
	return maps.Clone(ic.sets.byName)
}

// Remember takes ARNs for known that an earlier run learnt, so that the first removal after a start need not wait until thousands of sets are described. One that
// no longer holds is found out when AWS does not know it; see withSet.
func (ic *IdentityCenter) Remember(names map[string]string) {
	for name, arn := range names {
		ic.sets.learn(name, arn)
	}
}

// placePatience is how long a grant waits for one of the changes under way to end before it is put off.
const placePatience = 4 * time.Second

// assignee is whom an assignment is about.
type assignee struct {
	kind types.PrincipalType
	id   string
}

func user(id string) assignee { return assignee{types.PrincipalTypeUser, id} }

// Assign asks for the assignment and returns AWS's id of the change. Asking again for one that exists is accepted and makes no
// second (documented nowhere, relied on by Terraform's provider), so it may be repeated after an answer was lost.
func (ic *IdentityCenter) Assign(ctx context.Context, g store.Grant) (string, error) {
	return ic.give(ctx, g.Account, g.Set, user(g.UserID))
}

func (ic *IdentityCenter) give(ctx context.Context, account, name string, to assignee) (string, error) {
	keep, err := ic.out.enter(ctx, account, false, placePatience)
	if err != nil {
		return "", err
	}
	var change string
	defer func() { keep(change) }()
	err = ic.withSet(ctx, name, func(instance, set string) error {
		out, err := call(ctx, ic.c, ic.c.ssoAdmin, "CreateAccountAssignment", writing, func(ctx context.Context) (*ssoadmin.CreateAccountAssignmentOutput, error) {
			return ic.c.admin.CreateAccountAssignment(ctx, &ssoadmin.CreateAccountAssignmentInput{
				InstanceArn: &instance, PermissionSetArn: &set, TargetId: &account, TargetType: types.TargetTypeAwsAccount,
				PrincipalId: &to.id, PrincipalType: to.kind})
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
	return ic.take(ctx, t.Account, t.Set, user(t.UserID))
}

func (ic *IdentityCenter) take(ctx context.Context, account, name string, from assignee) (string, error) {
	keep, err := ic.out.enter(ctx, account, true, 0)
	if err != nil {
		return "", err
	}
	var change string
	defer func() { keep(change) }()
	err = ic.withSet(ctx, name, func(instance, set string) error {
		out, err := call(ctx, ic.c, ic.c.ssoAdmin, "DeleteAccountAssignment", writing, func(ctx context.Context) (*ssoadmin.DeleteAccountAssignmentOutput, error) {
			return ic.c.admin.DeleteAccountAssignment(ctx, &ssoadmin.DeleteAccountAssignmentInput{
				InstanceArn: &instance, PermissionSetArn: &set, TargetId: &account, TargetType: types.TargetTypeAwsAccount,
				PrincipalId: &from.id, PrincipalType: from.kind})
		})
		if err != nil {
			return ic.tooMany(err)
		}
		change, err = changeID(out.AccountAssignmentDeletionStatus)
		return err
	})
	// Where something is missing, withSet has made sure that it is not the permission set; an account that is missing has no assignments
	// either. The caller lists in any case.
	if missing(err) || ic.noSet(ctx, name, err) {
		return "", fmt.Errorf("removing the assignment: %w", store.ErrGone)
	}
	return change, explain("removing the assignment", err)
}

// noSet says whether an error means that there are no assignments of a permission set since there is no such set: AWS deletes none that is assigned
// to anybody or provisioned in an account (ConflictException, API reference of DeletePermissionSet). Any doubt is a no: a set that may not be
// described could be the one.
func (ic *IdentityCenter) noSet(ctx context.Context, name string, err error) bool {
	if refusalCode(err) != noSet {
		return false
	}
	lacks, ok := ic.sets.lacks(ctx, name)
	return lacks && ok
}

// tooMany hears of answers to a removal that may mean that too many changes are under way. None of them is a refusal.
func (ic *IdentityCenter) tooMany(err error) error {
	switch outcome := outcomeOf(err); {
	case code(err) == codeQuota:
		ic.out.crowded()
		return errBusy
	case outcome == "conflict", outcome == "throttled":
		ic.out.crowded()
	}
	return err
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
func (ic *IdentityCenter) Follow(ctx context.Context, t store.Tuple, id string, removal bool) (store.Progress, string, error) {
	in, err := ic.c.theInstance(ctx)
	if err != nil {
		return "", "", err
	}
	of := ic.created
	if removal {
		of = ic.removed
	}
	st, err := of.of(ctx, in.arn, id)
	if missing(err) {
		ic.out.follow(id, change{}, false)
		return store.Forgotten, "", nil
	}
	if err != nil {
		return "", "", explain("following the change", err)
	}
	ic.out.follow(id, change{account: t.Account, removal: removal}, st.progress == store.Underway)
	switch st.progress {
	case store.Underway, store.Succeeded:
		return st.progress, "", nil
	case store.Refused:
		// The reason is AWS's sentence, and may carry names that people chose.
		why := clean(st.reason, 500)
		if removal && goneReason(st.reason) {
			return st.progress, why, store.ErrGone
		}
		return st.progress, why, nil
	}
	return "", "", fmt.Errorf("following the change: AWS answered with the status %q, which this program does not know", clean(string(st.progress), 40))
}

// Assigned lists whether the person has this assignment themselves. Nobody has one of a permission set that does not exist. Those who ask for the same account and set while one of them waits
// for the quota share a listing that begins after all of them asked.
//
// Of the two listings, ListAccountAssignments is asked: by account and permission set, one call for each hundred principals that have
// this set there, which for a break-glass set is one call. ListAccountAssignmentsForPrincipal would be one call always, but it "must
// be called from the management account" (API reference), where this bot should not live, and it mixes in what comes by groups.
func (ic *IdentityCenter) Assigned(ctx context.Context, t store.Tuple) (bool, error) {
	var has map[string]bool
	err := ic.withSet(ctx, t.Set, func(instance, set string) (err error) {
		has, err = ic.listings.ask(ctx, t.Account+" "+set, t.UserID, 0, func(ctx context.Context, enter func(context.Context) error, about []string) (map[string]bool, error) {
			return ic.usersAmong(ctx, enter, instance, set, t.Account, about)
		})
		return err
	})
	if ic.noSet(ctx, t.Set, err) {
		return false, nil
	}
	return err == nil && has[t.UserID], explain("listing the assignments", err)
}

// usersAmong says which of these people have the set in the account. It reads no further than it must.
func (ic *IdentityCenter) usersAmong(ctx context.Context, enter func(context.Context) error, instance, set, account string, users []string) (map[string]bool, error) {
	wanted := make(map[string]bool, len(users))
	for _, u := range users {
		wanted[u] = true
	}
	has := make(map[string]bool, len(wanted))
	err := ic.pages(ctx, enter, instance, set, account, func(page []types.AccountAssignment) (more bool) {
		for _, a := range page {
			if id := sdk.ToString(a.PrincipalId); a.PrincipalType == types.PrincipalTypeUser && wanted[id] {
				has[id] = true
			}
		}
		return len(has) < len(wanted)
	})
	return has, err
}

// pages reads the listing of a set in an account until look has seen enough.
func (ic *IdentityCenter) pages(ctx context.Context, enter func(context.Context) error, instance, set, account string, look func([]types.AccountAssignment) (more bool)) error {
	var next *string
	for {
		out, err := calling(ctx, ic.c, ic.c.ssoAdmin, enter, "ListAccountAssignments", reading, func(ctx context.Context) (*ssoadmin.ListAccountAssignmentsOutput, error) {
			return ic.c.admin.ListAccountAssignments(ctx, &ssoadmin.ListAccountAssignmentsInput{
				InstanceArn: &instance, AccountId: &account, PermissionSetArn: &set, MaxResults: sdk.Int32(100), NextToken: next})
		})
		if err != nil {
			return err
		}
		if next = out.NextToken; !look(out.AccountAssignments) || sdk.ToString(next) == "" {
			return nil
		}
	}
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
	if err = do(in.arn, arn); !missing(err) {
		return err
	}
	now, merr := ic.sets.moved(ctx, name, arn)
	if errors.Is(merr, errStands) {
		return err
	}
	if merr != nil {
		return merr
	}
	return do(in.arn, now)
}
