package aws

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/identitystore"
	"github.com/aws/aws-sdk-go-v2/service/ssoadmin/types"

	"breakglass/store"
)

const (
	// proveLead is the least time between making the schedule and its minute: by then the assignment must stand.
	proveLead = 30 * time.Second
	// provePatience is how long after its minute the schedule may take.
	provePatience = 5 * time.Minute
	proveEach     = 5 * time.Second
	// tidyTime bounds the removal of what a proof left, also where its caller has given up.
	tidyTime = 2 * time.Minute
)

// Prove shows, with an empty group in place of a person, that a schedule takes an assignment away: it makes a schedule for the next whole minute, gives
// the group the set in the account, and waits until a listing shows that it is gone. Nobody gets access by it: a group that has members, or has the
// assignment already, is refused. What it made it removes again, whatever happens; say hears of each step.
func (d *DeadMan) Prove(ctx context.Context, group, account, set string, say func(string)) error {
	id, err := d.canary(ctx, group, account, set)
	if err != nil {
		return err
	}
	name := d.scratchName("breakglass-prove-")
	at := d.c.now().Add(proveLead).Truncate(time.Minute).Add(time.Minute)
	if err := d.makeFor(ctx, name, at, account, set, groupOf(id)); err != nil {
		return err
	}
	say(fmt.Sprintf("made the schedule %s for %s", name, at.UTC().Format("15:04 UTC")))
	proof := d.prove(ctx, id, account, set, at, say)
	if proof == nil {
		say("the schedule has taken the assignment away: a listing shows it no more")
		return d.Remove(context.WithoutCancel(ctx), name)
	}
	say("it did not work: " + proof.Error())
	tctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tidyTime)
	defer cancel()
	if err := d.tidy(tctx, id, account, set); err != nil {
		say(fmt.Sprintf("the assignment of %s in %s to the group %s may be left: remove it by hand", set, account, group))
		return errors.Join(proof, err)
	}
	say("a listing shows no assignment")
	if d.c.now().Before(at) {
		say("the schedule stays until its minute, in case an assignment comes after all; then it goes by itself")
		return proof
	}
	return errors.Join(proof, d.Remove(tctx, name))
}

// groupOf is the assignee of a group.
func groupOf(id string) assignee { return assignee{types.PrincipalTypeGroup, id} }

// canary makes sure of the group that a proof is made with, and returns its id.
func (d *DeadMan) canary(ctx context.Context, group, account, set string) (string, error) {
	m := d.c.Memberships()
	var id string
	err := m.with(ctx, group, func(identityStore, found string) error {
		id = found
		out, err := call(ctx, d.c, d.c.identity, "ListGroupMemberships", reading, func(ctx context.Context) (*identitystore.ListGroupMembershipsOutput, error) {
			return d.c.directory.ListGroupMemberships(ctx, &identitystore.ListGroupMembershipsInput{IdentityStoreId: &identityStore, GroupId: &found, MaxResults: sdk.Int32(1)})
		})
		if err == nil && len(out.GroupMemberships) > 0 {
			return &store.Refusal{Code: "NotEmpty", Message: fmt.Sprintf("the group %s has members: a proof takes an empty one, so that nobody gets access by it", group)}
		}
		return err
	})
	if err != nil {
		return "", explain("looking at the group "+group, err)
	}
	there, err := d.assigned(ctx, id, account, set)
	if err != nil {
		return "", err
	}
	if there {
		return "", &store.Refusal{Code: "Assigned", Message: fmt.Sprintf("the group %s has %s in %s already: a proof would take it away", group, set, account)}
	}
	return id, nil
}

// prove gives the assignment, sees it, and waits until it is gone.
func (d *DeadMan) prove(ctx context.Context, group, account, set string, at time.Time, say func(string)) error {
	change, err := d.sets.give(ctx, account, set, groupOf(group))
	if err != nil {
		return err
	}
	if err := d.followTo(ctx, account, change, false); err != nil {
		return err
	}
	there, err := d.assigned(ctx, group, account, set)
	switch {
	case err != nil:
		return err
	case !there && d.c.now().Before(at):
		return errors.New("the assignment was made, and a listing does not show it")
	case !there:
		return errors.New("making the assignment took longer than the schedule waited: try again")
	}
	say("gave the empty group the assignment; waiting for the schedule")
	for begun := time.Now(); ; {
		if err := sleep(ctx, proveEach); err != nil {
			return fmt.Errorf("waiting for the schedule: %w", err)
		}
		if there, err = d.assigned(ctx, group, account, set); err == nil && !there {
			return nil
		}
		// By the clock that schedules go by, and by the process's own in case that one stands still.
		if late := d.c.now().Sub(at); late > provePatience || time.Since(begun) > 2*provePatience {
			return errors.Join(fmt.Errorf("the assignment was still there %s after the schedule's minute", late.Round(time.Second)), err)
		}
	}
}

// followTo waits for the end of a change.
func (d *DeadMan) followTo(ctx context.Context, account, change string, removal bool) error {
	for {
		p, why, err := d.sets.Follow(ctx, store.Tuple{Account: account}, change, removal)
		switch {
		case errors.Is(err, store.ErrGone):
			return nil
		case err != nil:
			return err
		case p == store.Refused:
			return fmt.Errorf("AWS did not do it: %s", why)
		case p != store.Underway:
			return nil
		}
		if err := sleep(ctx, time.Second); err != nil {
			return fmt.Errorf("following the change: %w", err)
		}
	}
}

// tidy removes the assignment and sees that it is gone.
func (d *DeadMan) tidy(ctx context.Context, group, account, set string) error {
	for {
		change, err := d.sets.take(ctx, account, set, groupOf(group))
		if err == nil {
			err = d.followTo(ctx, account, change, true)
		}
		there, lerr := d.assigned(ctx, group, account, set)
		if lerr == nil && !there {
			return nil
		}
		if serr := sleep(ctx, proveEach); serr != nil {
			return errors.Join(errors.New("removing the assignment of the proof"), err, lerr)
		}
	}
}

// assigned lists whether a group has the assignment.
func (d *DeadMan) assigned(ctx context.Context, group, account, set string) (there bool, err error) {
	err = d.sets.withSet(ctx, set, func(instance, arn string) error {
		return d.sets.pages(ctx, d.c.ssoAdmin.wait, instance, arn, account, func(page []types.AccountAssignment) (more bool) {
			for _, a := range page {
				there = there || a.PrincipalType == types.PrincipalTypeGroup && sdk.ToString(a.PrincipalId) == group
			}
			return !there
		})
	})
	return there, explain("listing the assignments", err)
}

// makeFor makes a schedule for an assignment of anybody.
func (d *DeadMan) makeFor(ctx context.Context, name string, at time.Time, account, set string, of assignee) error {
	err := d.sets.withSet(ctx, set, func(instance, arn string) error {
		return d.put(ctx, name, at, targetAssignment, assignmentInput(instance, arn, account, of))
	})
	return explain("making the schedule "+name, err)
}

// scratchName is a name that no other check or proof has.
func (d *DeadMan) scratchName(prefix string) string {
	return prefix + d.c.now().UTC().Format("20060102T150405") + fmt.Sprintf("-%08x", rand.Uint32())
}
