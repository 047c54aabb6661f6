package aws

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"
	"github.com/aws/aws-sdk-go-v2/service/scheduler/types"

	"breakglass/store"
)

// DeadMan keeps the schedules of EventBridge Scheduler that take access away when the bot is gone. Each calls one API at one time, by a role of its own
// that may do nothing else, in the bot's account and in Identity Center's Region: a universal target is called where its schedule is
// (EventBridge Scheduler user guide, universal targets).
//
// A schedule is done when the API has accepted its call; that Identity Center fails the removal later it never learns. So there is more than one
// for each access, which is not decided here.
type DeadMan struct {
	c    *Connection
	sets *IdentityCenter
}

// DeadMan returns the schedules. Where no role is configured none can be made, but those that are there can be listed and removed.
func (c *Connection) DeadMan() *DeadMan { return &DeadMan{c: c, sets: c.IdentityCenter()} }

const (
	// scheduleGroup holds the schedules, and the role's trust names it. It is made with the bot's own role, not by the bot.
	scheduleGroup = "breakglass"

	targetAssignment = "ssoadmin:deleteAccountAssignment"
	targetMembership = "identitystore:deleteGroupMembership"

	// The most that Scheduler takes: it goes on for a day.
	scheduleAttempts = 185
	scheduleAge      = 24 * time.Hour
)

// Make makes a schedule; one of that name that says the same is success, one that says something else is changed. A *store.Refusal where trying again
// will not help: a time that is past, a role that cannot be passed, no group of schedules.
func (d *DeadMan) Make(ctx context.Context, s store.Schedule) error {
	err := d.withTarget(ctx, s, func(arn, input string) error { return d.put(ctx, s.Name, s.At, arn, input) })
	return explain("making the schedule "+s.Name, err)
}

// withTarget works out what a schedule calls and with what, and does something with it.
func (d *DeadMan) withTarget(ctx context.Context, s store.Schedule, do func(target, input string) error) error {
	t := s.Tuple
	switch {
	case t.Set != "" && t.Group == "" && t.Role == "" && t.Account != "" && t.UserID != "":
		// The ARN of a set may be that of one which was deleted and made anew under its name; a schedule is not told so by AWS when it is made. Here
		// the set was listed a moment ago, which finds that out.
		in, err := d.c.theInstance(ctx)
		if err != nil {
			return err
		}
		set, err := d.c.sets.lookup(ctx, t.Set)
		if err != nil {
			return err
		}
		return do(targetAssignment, assignmentInput(in.arn, set, t.Account, user(t.UserID)))
	case t.Group != "" && t.Set == "" && t.Role == "" && s.Membership != "":
		in, err := d.c.theInstance(ctx)
		if err != nil {
			return err
		}
		return do(targetMembership, encoded(struct{ IdentityStoreId, MembershipId string }{in.store, s.Membership}))
	}
	return &store.Refusal{Code: "NoTarget", Message: "no schedule can end this: it takes a permission set of somebody in an account, or a group's membership by its id"}
}

// assignmentInput is the input of DeleteAccountAssignment, with the names of the API (API reference).
func assignmentInput(instance, set, account string, of assignee) string {
	return encoded(struct{ InstanceArn, TargetId, TargetType, PermissionSetArn, PrincipalType, PrincipalId string }{
		instance, account, "AWS_ACCOUNT", set, string(of.kind), of.id})
}

func encoded(x any) string {
	b, err := json.Marshal(x)
	if err != nil {
		panic(err) // a struct of strings
	}
	return string(b)
}

// put creates a schedule or brings one of that name to what it must say. The error is the SDK's.
func (d *DeadMan) put(ctx context.Context, name string, at time.Time, target, input string) error {
	if d.c.cfg.DeadManRole == "" {
		return &store.Refusal{Code: "NoRole", Message: "no role is configured that schedules could act by: BREAKGLASS_DEADMAN_ROLE"}
	}
	want := d.schedule(name, at, target, input)
	_, err := call(ctx, d.c, d.c.scheduleCalls, "CreateSchedule", making, func(ctx context.Context) (*scheduler.CreateScheduleOutput, error) {
		return d.c.scheduler.CreateSchedule(ctx, want)
	})
	if code(err) != codeConflict {
		return err
	}
	have, gerr := call(ctx, d.c, d.c.scheduleCalls, "GetSchedule", reading, func(ctx context.Context) (*scheduler.GetScheduleOutput, error) {
		return d.c.scheduler.GetSchedule(ctx, &scheduler.GetScheduleInput{GroupName: want.GroupName, Name: want.Name})
	})
	switch {
	case missing(gerr):
		return err // it has gone this moment: a conflict, which is tried again
	case gerr != nil:
		return gerr
	case says(have, want):
		return nil
	}
	_, err = call(ctx, d.c, d.c.scheduleCalls, "UpdateSchedule", writing, func(ctx context.Context) (*scheduler.UpdateScheduleOutput, error) {
		return d.c.scheduler.UpdateSchedule(ctx, &scheduler.UpdateScheduleInput{ // what is left out falls back to its default
			Name: want.Name, GroupName: want.GroupName, ClientToken: want.ClientToken, State: want.State, Target: want.Target,
			ScheduleExpression: want.ScheduleExpression, ScheduleExpressionTimezone: want.ScheduleExpressionTimezone,
			FlexibleTimeWindow: want.FlexibleTimeWindow, ActionAfterCompletion: want.ActionAfterCompletion})
	})
	return err
}

// schedule is all that Scheduler is told. It fires once, in the minute of at, and then goes away by itself.
//
// The client token comes from the name and from all that the schedule says: asking again after a lost answer is the same call, asking for another
// time is not.
func (d *DeadMan) schedule(name string, at time.Time, target, input string) *scheduler.CreateScheduleInput {
	expression := "at(" + at.UTC().Format("2006-01-02T15:04:05") + ")"
	arn := "arn:" + partition(d.c.cfg.Region) + ":scheduler:::aws-sdk:" + target
	sum := sha256.Sum256([]byte(name + "\n" + expression + "\n" + arn + "\n" + d.c.cfg.DeadManRole + "\n" + input))
	return &scheduler.CreateScheduleInput{
		Name: &name, GroupName: sdk.String(scheduleGroup), ClientToken: sdk.String(hex.EncodeToString(sum[:16])),
		ScheduleExpression: &expression, ScheduleExpressionTimezone: sdk.String("UTC"), State: types.ScheduleStateEnabled,
		FlexibleTimeWindow:    &types.FlexibleTimeWindow{Mode: types.FlexibleTimeWindowModeOff},
		ActionAfterCompletion: types.ActionAfterCompletionDelete,
		Target: &types.Target{Arn: &arn, RoleArn: sdk.String(d.c.cfg.DeadManRole), Input: &input,
			RetryPolicy: &types.RetryPolicy{MaximumRetryAttempts: sdk.Int32(scheduleAttempts), MaximumEventAgeInSeconds: sdk.Int32(int32(scheduleAge / time.Second))}},
	}
}

// says tells whether a schedule that exists will do what it must.
func says(have *scheduler.GetScheduleOutput, want *scheduler.CreateScheduleInput) bool {
	h, w := have.Target, want.Target
	return h != nil && sdk.ToString(h.Arn) == *w.Arn && sdk.ToString(h.RoleArn) == *w.RoleArn && sameJSON(sdk.ToString(h.Input), *w.Input) &&
		h.RetryPolicy != nil && sdk.ToInt32(h.RetryPolicy.MaximumRetryAttempts) == *w.RetryPolicy.MaximumRetryAttempts &&
		sdk.ToInt32(h.RetryPolicy.MaximumEventAgeInSeconds) == *w.RetryPolicy.MaximumEventAgeInSeconds &&
		sdk.ToString(have.ScheduleExpression) == *want.ScheduleExpression && sdk.ToString(have.ScheduleExpressionTimezone) == *want.ScheduleExpressionTimezone &&
		have.State == want.State && have.ActionAfterCompletion == want.ActionAfterCompletion &&
		have.FlexibleTimeWindow != nil && have.FlexibleTimeWindow.Mode == want.FlexibleTimeWindow.Mode
}

// sameJSON compares without regard to spaces and order.
func sameJSON(a, b string) bool {
	var x, y map[string]string
	if json.Unmarshal([]byte(a), &x) != nil || json.Unmarshal([]byte(b), &y) != nil {
		return a == b
	}
	return bytes.Equal([]byte(encoded(x)), []byte(encoded(y))) // maps are written in the order of their keys
}

// Remove takes a schedule away; one that is gone is success.
func (d *DeadMan) Remove(ctx context.Context, name string) error {
	_, err := call(ctx, d.c, d.c.scheduleCalls, "DeleteSchedule", writing, func(ctx context.Context) (*scheduler.DeleteScheduleOutput, error) {
		return d.c.scheduler.DeleteSchedule(ctx, &scheduler.DeleteScheduleInput{GroupName: sdk.String(scheduleGroup), Name: &name})
	})
	if missing(err) {
		return nil
	}
	return explain("removing the schedule "+name, err)
}

// List reads the names of all schedules in our group, whoever made them. A *store.Refusal where there is no such group.
func (d *DeadMan) List(ctx context.Context) ([]string, error) {
	var names []string
	in := &scheduler.ListSchedulesInput{GroupName: sdk.String(scheduleGroup), MaxResults: sdk.Int32(100)}
	for {
		out, err := call(ctx, d.c, d.c.scheduleCalls, "ListSchedules", reading, func(ctx context.Context) (*scheduler.ListSchedulesOutput, error) {
			return d.c.scheduler.ListSchedules(ctx, in)
		})
		if err != nil {
			return nil, fmt.Errorf("after %d of them: %w", len(names), explain("listing the schedules", err))
		}
		for _, s := range out.Schedules {
			if sdk.ToString(s.GroupName) == scheduleGroup {
				names = append(names, sdk.ToString(s.Name))
			}
		}
		if in.NextToken = out.NextToken; sdk.ToString(in.NextToken) != "" {
			continue
		}
		if len(names) == 0 {
			return nil, d.hasGroup(ctx)
		}
		return names, nil
	}
}

// hasGroup makes sure that an empty list is one of a group that is there. Whoever may list but not ask for the group is believed to have one.
func (d *DeadMan) hasGroup(ctx context.Context) error {
	_, err := call(ctx, d.c, d.c.scheduleCalls, "GetScheduleGroup", reading, func(ctx context.Context) (*scheduler.GetScheduleGroupOutput, error) {
		return d.c.scheduler.GetScheduleGroup(ctx, &scheduler.GetScheduleGroupInput{Name: sdk.String(scheduleGroup)})
	})
	if c := code(err); refusals[c] && c != codeNotFound {
		return nil
	}
	return explain("listing the schedules", err)
}
