package awstwin_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"
	"github.com/aws/aws-sdk-go-v2/service/scheduler/types"

	"breakglass/deploy/sandbox/awstwin"
)

const management = "100000000000"

const schedulerTrust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"scheduler.amazonaws.com"},"Action":"sts:AssumeRole",
 "Condition":{"StringEquals":{"aws:SourceAccount":"100000000000"}}}]}`

func (w *world) deadMan(t *testing.T, policy string) *scheduler.Client {
	t.Helper()
	w.SetRole(management, "breakglass-scheduler", schedulerTrust, map[string]string{"revoke": policy})
	c := scheduler.NewFromConfig(bot(w.Organization))
	if _, err := c.CreateScheduleGroup(ctxOf(t), &scheduler.CreateScheduleGroupInput{Name: aws.String("breakglass")}); err != nil {
		t.Fatal(err)
	}
	return c
}

const revokeOnly = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["sso:DeleteAccountAssignment","identitystore:DeleteGroupMembership"],"Resource":"*"}]}`

func (w *world) revokeAt(name, when string) *scheduler.CreateScheduleInput {
	input, _ := json.Marshal(map[string]string{"InstanceArn": w.InstanceARN(), "TargetId": prod, "TargetType": "AWS_ACCOUNT", "PermissionSetArn": w.set,
		"PrincipalType": "USER", "PrincipalId": w.alice})
	return &scheduler.CreateScheduleInput{Name: &name, GroupName: aws.String("breakglass"), ClientToken: aws.String(name), ScheduleExpression: aws.String("at(" + when + ")"),
		ScheduleExpressionTimezone: aws.String("UTC"), FlexibleTimeWindow: &types.FlexibleTimeWindow{Mode: types.FlexibleTimeWindowModeOff},
		ActionAfterCompletion: types.ActionAfterCompletionDelete,
		Target: &types.Target{Arn: aws.String("arn:aws:scheduler:::aws-sdk:ssoadmin:deleteAccountAssignment"),
			RoleArn: aws.String("arn:aws:iam::" + management + ":role/breakglass-scheduler"), Input: aws.String(string(input))}}
}

func TestScheduleFires(t *testing.T) {
	w := newWorld(t, nil)
	w.Assign(w.alice, prod, w.set)
	c := w.deadMan(t, revokeOnly)
	if _, err := c.CreateSchedule(ctxOf(t), w.revokeAt("bg-1", "2026-11-21T11:00:00")); err != nil {
		t.Fatal(err)
	}
	got, err := c.GetSchedule(ctxOf(t), &scheduler.GetScheduleInput{Name: aws.String("bg-1"), GroupName: aws.String("breakglass")})
	if err != nil || got.State != types.ScheduleStateEnabled || *got.ScheduleExpression != "at(2026-11-21T11:00:00)" {
		t.Fatalf("%+v %v", got, err)
	}
	w.skip(59 * time.Minute)
	if len(w.Assignments()) != 1 {
		t.Fatal("revoked too early")
	}
	w.skip(time.Minute + 5*time.Second) // the deletion it began has ended as well
	if n := len(w.Assignments()); n != 0 {
		t.Fatalf("%d assignments, firings %+v", n, w.Firings())
	}
	if names := w.ScheduleNames(); len(names) != 0 {
		t.Fatalf("left over: %v", names)
	}
	if f := w.Firings(); len(f) != 1 || f[0].Error != "" || !f[0].At.Equal(time.Date(2026, 11, 21, 11, 0, 0, 0, time.UTC)) {
		t.Fatalf("%+v", f)
	}
}

func TestScheduleIsRefused(t *testing.T) {
	w := newWorld(t, nil)
	c := w.deadMan(t, revokeOnly)
	for name, change := range map[string]func(*scheduler.CreateScheduleInput){
		"past":    func(in *scheduler.CreateScheduleInput) { in.ScheduleExpression = aws.String("at(2026-11-21T09:00:00)") },
		"garbage": func(in *scheduler.CreateScheduleInput) { in.ScheduleExpression = aws.String("at(garbage)") },
		"read target": func(in *scheduler.CreateScheduleInput) {
			in.Target.Arn = aws.String("arn:aws:scheduler:::aws-sdk:ssoadmin:listInstances")
		},
		"no role": func(in *scheduler.CreateScheduleInput) {
			in.Target.RoleArn = aws.String("arn:aws:iam::" + management + ":role/none")
		},
		"other role": func(in *scheduler.CreateScheduleInput) {
			in.Target.RoleArn = aws.String("arn:aws:iam::" + prod + ":role/x")
		},
		"long name": func(in *scheduler.CreateScheduleInput) { in.Name = aws.String(string(make([]byte, 0)) + "a b") },
	} {
		in := w.revokeAt("bg-1", "2026-11-21T11:00:00")
		change(in)
		_, err := c.CreateSchedule(ctxOf(t), in)
		var refused *types.ValidationException
		if !errors.As(err, &refused) {
			t.Errorf("%s: %v", name, err)
		}
	}
	in := w.revokeAt("bg-1", "2026-11-21T11:00:00")
	for range 2 { // the same client token again is the same call
		if _, err := c.CreateSchedule(ctxOf(t), in); err != nil {
			t.Fatal(err)
		}
	}
	in.ClientToken = aws.String("another")
	_, err := c.CreateSchedule(ctxOf(t), in)
	var conflict *types.ConflictException
	if !errors.As(err, &conflict) {
		t.Fatalf("another token: %v", err)
	}
	del := &scheduler.DeleteScheduleInput{Name: aws.String("bg-1"), GroupName: aws.String("breakglass")}
	if _, err = c.DeleteSchedule(ctxOf(t), del); err != nil {
		t.Fatal(err)
	}
	_, err = c.DeleteSchedule(ctxOf(t), del)
	var gone *types.ResourceNotFoundException
	if !errors.As(err, &gone) {
		t.Fatal(err)
	}
}

func TestUpdateResetsWhatIsLeftOut(t *testing.T) {
	w := newWorld(t, nil)
	c := w.deadMan(t, revokeOnly)
	in := w.revokeAt("bg-1", "2026-11-21T11:00:00")
	if _, err := c.CreateSchedule(ctxOf(t), in); err != nil {
		t.Fatal(err)
	}
	_, err := c.UpdateSchedule(ctxOf(t), &scheduler.UpdateScheduleInput{Name: in.Name, GroupName: in.GroupName, ScheduleExpression: aws.String("at(2026-11-21T12:00:00)"),
		FlexibleTimeWindow: in.FlexibleTimeWindow, Target: in.Target})
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.GetSchedule(ctxOf(t), &scheduler.GetScheduleInput{Name: in.Name, GroupName: in.GroupName})
	if err != nil || got.ActionAfterCompletion != types.ActionAfterCompletionNone {
		t.Fatalf("%+v %v", got, err)
	}
	w.Assign(w.alice, prod, w.set)
	w.skip(61 * time.Minute)
	if len(w.Firings()) != 0 {
		t.Fatal("fired at the old time")
	}
	w.skip(time.Hour)
	if len(w.Firings()) != 1 || len(w.ScheduleNames()) != 1 {
		t.Fatalf("%+v %v", w.Firings(), w.ScheduleNames())
	}
	list, err := c.ListSchedules(ctxOf(t), &scheduler.ListSchedulesInput{GroupName: in.GroupName, NamePrefix: aws.String("bg-")})
	if err != nil || len(list.Schedules) != 1 {
		t.Fatalf("%+v %v", list, err)
	}
}

func TestScheduleRetriesAndGivesUp(t *testing.T) {
	w := newWorld(t, nil)
	w.Assign(w.alice, prod, w.set)
	c := w.deadMan(t, revokeOnly)
	w.AddQueue(management, "us-east-1", "dlq", "http://aws.sandbox")
	in := w.revokeAt("bg-1", "2026-11-21T11:00:00")
	if _, err := c.CreateSchedule(ctxOf(t), in); err != nil {
		t.Fatal(err)
	}
	w.skip(59 * time.Minute)
	w.Outage("sso-admin", true)
	w.skip(5 * time.Minute)
	w.Tick()
	w.Outage("sso-admin", false)
	w.skip(20 * time.Minute)
	if len(w.Assignments()) != 0 {
		t.Fatalf("never revoked: %+v", w.Firings())
	}
	w.SetRole(management, "breakglass-scheduler", schedulerTrust, nil) // no permission any more
	in = w.revokeAt("bg-2", "2026-11-21T13:00:00")
	in.Target.DeadLetterConfig = &types.DeadLetterConfig{Arn: aws.String("arn:aws:sqs:us-east-1:" + management + ":dlq")}
	if _, err := c.CreateSchedule(ctxOf(t), in); err != nil {
		t.Fatal(err)
	}
	w.skip(3 * time.Hour)
	f := w.Firings()
	if last := f[len(f)-1]; last.Error != "AccessDeniedException" || !last.Final {
		t.Fatalf("%+v", last)
	}
}

// TestEverythingInOrder: hours that are skipped at once happen in the order of their times.
func TestEverythingInOrder(t *testing.T) {
	w := newWorld(t, func(c *awstwin.Config) { c.MissingDelete = awstwin.MissingFails })
	w.Assign(w.alice, prod, w.set)
	c := w.deadMan(t, revokeOnly)
	for i, when := range []string{"2026-11-21T11:00:00", "2026-11-21T11:03:00", "2026-11-21T11:15:00"} {
		if _, err := c.CreateSchedule(ctxOf(t), w.revokeAt("bg-"+string(rune('1'+i)), when)); err != nil {
			t.Fatal(err)
		}
	}
	w.skip(24 * time.Hour)
	f := w.Firings()
	if len(f) != 3 || f[0].Name != "bg-1" || f[2].Name != "bg-3" || len(w.Assignments()) != 0 {
		t.Fatalf("%+v", f)
	}
}

// TestTheRoleIsForOneGroup: a role that trusts Scheduler for one group only is of no use to schedules of another.
func TestTheRoleIsForOneGroup(t *testing.T) {
	w := newWorld(t, func(c *awstwin.Config) { c.ScheduleLate = 40 * time.Second })
	w.Assign(w.alice, prod, w.set)
	c := w.deadMan(t, revokeOnly)
	group := "arn:aws:scheduler:us-east-1:" + management + ":schedule-group/breakglass"
	trust := strings.Replace(schedulerTrust, `"aws:SourceAccount":"100000000000"`, `"aws:SourceAccount":"100000000000","aws:SourceArn":"`+group+`"`, 1)
	w.SetRole(management, "breakglass-scheduler", trust, map[string]string{"revoke": revokeOnly})
	in := w.revokeAt("bg-1", "2026-11-21T11:00:00")
	in.GroupName = nil
	_, err := c.CreateSchedule(ctxOf(t), in)
	var refused *types.ValidationException
	if !errors.As(err, &refused) {
		t.Errorf("in the default group: %v", err)
	}
	if _, err = c.CreateSchedule(ctxOf(t), w.revokeAt("bg-1", "2026-11-21T11:00:00")); err != nil {
		t.Fatal(err)
	}
	if all := w.Schedules(); len(all) != 1 || all[0].Group != "breakglass" || !all[0].At.Equal(w.now().Add(time.Hour)) || !all[0].Enabled || !strings.Contains(all[0].Input, w.alice) {
		t.Errorf("%+v", all)
	}
	w.skip(time.Hour + 39*time.Second)
	if len(w.Firings()) != 0 {
		t.Error("to the second, which Scheduler does not promise")
	}
	w.skip(time.Second)
	if f := w.Firings(); len(f) != 1 || f[0].Error != "" {
		t.Errorf("%+v", f)
	}
	if flying := w.InFlight(); len(flying) != 1 || flying[0].Kind != "delete" { // to Scheduler that was success
		t.Errorf("%+v", flying)
	}
}
