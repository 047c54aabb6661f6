package aws

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"

	"breakglass/store"
	"breakglass/workflows"
)

// What the workflows ask for is what is here.
var (
	_ workflows.Assigner  = (*Access)(nil)
	_ workflows.DeadMan   = (*DeadMan)(nil)
	_ workflows.Shells    = (*Shells)(nil)
	_ workflows.Inventory = (*Inventory)(nil)
)

const (
	management  = "100000000000"
	deadManRole = "arn:aws:iam::" + management + ":role/breakglass-scheduler"

	schedulerTrust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"scheduler.amazonaws.com"},"Action":"sts:AssumeRole"}]}`
	revokeOnly     = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["sso:DeleteAccountAssignment","identitystore:DeleteGroupMembership"],"Resource":"*"}]}`
)

// deadMan gives the world the role and the group that Terraform makes, and connects with them.
func (w *world) deadMan(t *testing.T) *DeadMan {
	t.Helper()
	w.SetRole(management, "breakglass-scheduler", schedulerTrust, map[string]string{"revoke": revokeOnly})
	w.connect(t, Config{DeadManRole: deadManRole})
	name := scheduleGroup
	if _, err := w.conn.scheduler.CreateScheduleGroup(t.Context(), &scheduler.CreateScheduleGroupInput{Name: &name}); err != nil {
		t.Fatal(err)
	}
	return w.conn.DeadMan()
}

// inAMinute is a schedule for a person's access at the first whole minute that is not sooner than that.
func (w *world) inAMinute(name string, tu store.Tuple) store.Schedule {
	return store.Schedule{Name: name, At: time.Now().Add(time.Minute).Truncate(time.Minute).Add(time.Minute), Tuple: tu}
}

func (w *world) names(t *testing.T, d *DeadMan, want ...string) {
	t.Helper()
	got, err := d.List(t.Context())
	if err != nil || !slices.Equal(got, want) {
		t.Fatalf("List = %v, %v; want %v", got, err, want)
	}
}

// The bot makes a schedule and is never heard of again: at its minute the assignment goes all the same.
func TestScheduleTakesAnAssignmentAway(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		d := w.deadMan(t)
		s := w.inAMinute("bg-1042-1", w.tuple)
		if err := d.Make(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		w.assign(t, w.tuple)
		w.names(t, d, s.Name)
		time.Sleep(time.Until(s.At) - time.Second)
		w.isAssigned(t, w.tuple, true)
		time.Sleep(10 * time.Second)
		w.isAssigned(t, w.tuple, false)
		w.names(t, d) // it went with its firing
		if f := w.Firings(); len(f) != 1 || f[0].Error != "" {
			t.Errorf("%+v", f)
		}
	})
}

func TestScheduleTakesAMembershipAway(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		d := w.deadMan(t)
		w.AddGroup("vpn-prod")
		m, tu := w.conn.Memberships(), w.inGroup("vpn-prod")
		id, err := m.Assign(t.Context(), store.Grant{Tuple: tu})
		if err != nil {
			t.Fatal(err)
		}
		s := w.inAMinute("bg-1043-1", tu)
		isRefusal(t, d.Make(t.Context(), s), "NoTarget") // by its id only
		s.Membership = id
		if err := d.Make(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Until(s.At) + time.Second)
		if got, err := m.Assigned(t.Context(), tu); got || err != nil {
			t.Fatalf("%v %v, firings %+v", got, err, w.Firings())
		}
	})
}

// What the schedule says is what AWS's references say, to the letter.
func TestWhatAScheduleSays(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		d := w.deadMan(t)
		w.isAssigned(t, w.tuple, false)
		w.ForgetCalls()
		at := time.Date(2030, 1, 2, 3, 4, 0, 0, time.FixedZone("", 3600))
		if err := d.Make(t.Context(), store.Schedule{Name: "bg-1", At: at, Tuple: w.tuple}); err != nil {
			t.Fatal(err)
		}
		var said struct {
			GroupName, ScheduleExpression, ScheduleExpressionTimezone, ActionAfterCompletion, ClientToken, State string
			FlexibleTimeWindow                                                                                   struct{ Mode string }
			Target                                                                                               struct {
				Arn, RoleArn, Input string
				RetryPolicy         struct{ MaximumRetryAttempts, MaximumEventAgeInSeconds int }
			}
		}
		if err := json.Unmarshal(w.Calls()[0].Input, &said); err != nil {
			t.Fatal(err)
		}
		var input map[string]string
		if err := json.Unmarshal([]byte(said.Target.Input), &input); err != nil {
			t.Fatal(err)
		}
		set, _ := w.conn.sets.lookup(t.Context(), set)
		for got, want := range map[string]string{
			said.GroupName: "breakglass", said.ScheduleExpression: "at(2030-01-02T02:04:00)", said.ScheduleExpressionTimezone: "UTC", said.ActionAfterCompletion: "DELETE",
			said.State: "ENABLED", said.FlexibleTimeWindow.Mode: "OFF", said.Target.Arn: "arn:aws:scheduler:::aws-sdk:ssoadmin:deleteAccountAssignment",
			said.Target.RoleArn: deadManRole, fmt.Sprint(said.Target.RetryPolicy): "{185 86400}",
			fmt.Sprint(input): fmt.Sprint(map[string]string{"InstanceArn": w.InstanceARN(), "PermissionSetArn": set, "PrincipalId": w.alice, "PrincipalType": "USER",
				"TargetId": wealth, "TargetType": "AWS_ACCOUNT"}),
		} {
			if got != want {
				t.Errorf("it says %s, want %s", got, want)
			}
		}
		if n := len(said.ClientToken); n == 0 || n > 64 {
			t.Errorf("client token %q", said.ClientToken)
		}
	})
}

// Making it twice, or after a lost answer, makes one; at the same name with another time, it is moved.
func TestScheduleIsMadeAgain(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		d := w.deadMan(t)
		s := w.inAMinute("bg-1042-1", w.tuple)
		w.DropReplyNext("scheduler", "CreateSchedule", 1)
		isFault(t, d.Make(t.Context(), s))
		for range 2 {
			begun := time.Now()
			if err := d.Make(t.Context(), s); err != nil || time.Since(begun) > time.Second {
				t.Fatalf("after %s: %v", time.Since(begun), err)
			}
		}
		s.At = s.At.Add(time.Hour)
		if err := d.Make(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		w.names(t, d, s.Name)
		w.assign(t, w.tuple)
		time.Sleep(time.Until(s.At) - time.Second)
		w.isAssigned(t, w.tuple, true)
		time.Sleep(5 * time.Second)
		w.isAssigned(t, w.tuple, false)
	})
}

// AWS says that there is one of this name: what it says is read and compared, whatever the client token did.
func TestScheduleThatExists(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		d := w.deadMan(t)
		s := w.inAMinute("bg-1042-1", w.tuple)
		if err := d.Make(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		w.FailNext("scheduler", "CreateSchedule", "ConflictException", 1)
		w.ForgetCalls()
		if err := d.Make(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		if n := len(w.Calls()); n != 2 {
			t.Errorf("%d calls where it says the same", n)
		}
		if err := d.Remove(t.Context(), s.Name); err != nil {
			t.Fatal(err)
		}
		w.FailNext("scheduler", "CreateSchedule", "ConflictException", 1)
		isFault(t, d.Make(t.Context(), s)) // it went between the two calls
		for _, code := range []string{"ThrottlingException", "InternalServerException"} {
			w.FailNext("scheduler", "CreateSchedule", code, 100)
			isFault(t, d.Make(t.Context(), s))
			w.ClearFaults()
		}
	})
}

func TestSchedulesAreRefusedRemovedAndListed(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		s := w.inAMinute("bg-1", w.tuple)
		w.SetRole(management, "breakglass-scheduler", schedulerTrust, nil)
		w.connect(t, Config{DeadManRole: deadManRole})
		isRefusal(t, w.conn.DeadMan().Make(t.Context(), s), codeNotFound) // no group of schedules
		_, err := w.conn.DeadMan().List(t.Context())
		isRefusal(t, err, codeNotFound)
		w.FailNext("scheduler", "GetScheduleGroup", "AccessDeniedException", 1)
		w.names(t, w.conn.DeadMan()) // who may not ask is believed
		w.FailNext("scheduler", "GetScheduleGroup", "InternalServerException", 2)
		_, err = w.conn.DeadMan().List(t.Context())
		isFault(t, err)
		d := w.deadMan(t)
		w.names(t, d)
		w.AddScheduleGroup(management, "us-east-1", "nightly")
		theirs := d.schedule("nightly", s.At, targetAssignment, "{}")
		theirs.GroupName = sdk.String("nightly")
		if _, err := w.conn.scheduler.CreateSchedule(t.Context(), theirs); err != nil {
			t.Fatal(err)
		}
		w.names(t, d)
		past := s
		past.At = time.Now().Add(-time.Minute).Truncate(time.Minute)
		isRefusal(t, d.Make(t.Context(), past), "ValidationException")
		isRefusal(t, d.Make(t.Context(), store.Schedule{Name: "bg-2", At: s.At, Tuple: store.Tuple{UserID: w.alice, Account: wealth, Role: "R", Request: "BG-1"}}), "NoTarget")
		if err := d.Remove(t.Context(), "never-made"); err != nil {
			t.Error(err)
		}
		var want []string
		for i := range 230 {
			s.Name = fmt.Sprintf("bg-%03d", i)
			want = append(want, s.Name)
			if err := d.Make(t.Context(), s); err != nil {
				t.Fatal(err)
			}
		}
		w.names(t, d, want...)
		if err := d.Remove(t.Context(), want[0]); err != nil {
			t.Fatal(err)
		}
		w.names(t, d, want[1:]...)
		w.FailNext("scheduler", "DeleteSchedule", "AccessDeniedException", 1)
		isRefusal(t, d.Remove(t.Context(), want[1]), "AccessDeniedException")
		w.connect(t, Config{})
		isRefusal(t, w.conn.DeadMan().Make(t.Context(), s), "NoRole")
	})
}

// The proof: an empty group, a schedule, and a listing that shows that it worked.
func TestProve(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		d := w.deadMan(t)
		w.AddGroup("canary")
		var said []string
		say := func(s string) { said = append(said, s) }
		if err := d.Prove(t.Context(), "canary", wealth, set, say); err != nil {
			t.Fatal(err, said)
		}
		if len(w.Assignments()) != 0 || len(w.ScheduleNames()) != 0 || len(w.Firings()) != 1 || !strings.Contains(said[len(said)-1], "taken the assignment away") {
			t.Errorf("%v %v %v", w.Assignments(), w.ScheduleNames(), said)
		}
		// Nobody gets access by a proof, and nobody loses it.
		isRefusal(t, d.Prove(t.Context(), "nobody", wealth, set, say), noGroup)
		group := w.AddGroup("canary2", w.alice)
		isRefusal(t, d.Prove(t.Context(), "canary2", wealth, set, say), "NotEmpty")
		w.RemoveMember("canary2", w.alice)
		w.Assign(group, wealth, set)
		isRefusal(t, d.Prove(t.Context(), "canary2", wealth, set, say), "Assigned")
		if len(w.Assignments()) != 1 {
			t.Error("the standing assignment is gone")
		}
	})
}

// Where the schedule does not work, that is said, and nothing is left.
func TestProofThatFails(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		d := w.deadMan(t)
		w.AddGroup("canary")
		w.SetRole(management, "breakglass-scheduler", schedulerTrust, nil) // it may do nothing
		var said []string
		begun := time.Now()
		err := d.Prove(t.Context(), "canary", wealth, set, func(s string) { said = append(said, s) })
		if err == nil || !strings.Contains(strings.Join(said, "\n"), "it did not work") || time.Since(begun) > 9*time.Minute {
			t.Errorf("after %s: %v, %v", time.Since(begun), err, said)
		}
		if len(w.Assignments()) != 0 || len(w.ScheduleNames()) != 0 {
			t.Errorf("left: %v %v", w.Assignments(), w.ScheduleNames())
		}
		// An answer that was lost: the assignment may come after all, so the schedule stays.
		w.SetRole(management, "breakglass-scheduler", schedulerTrust, map[string]string{"revoke": revokeOnly})
		w.SetAsync(20 * time.Second)
		w.DropReplyNext("sso-admin", "CreateAccountAssignment", 1)
		if err := d.Prove(t.Context(), "canary", wealth, set, func(string) {}); err == nil {
			t.Error("a lost answer proves nothing")
		}
		time.Sleep(5 * time.Minute)
		if len(w.Assignments()) != 0 || len(w.ScheduleNames()) != 0 {
			t.Errorf("left: %v %v", w.Assignments(), w.ScheduleNames())
		}
	})
}

func TestCheckEnds(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.deadMan(t)
		w.connect(t, Config{DeadManRole: deadManRole, MemberRole: member})
		w.lookingAfterShells(wealth)
		accounts := []store.Account{{Name: "prod-wealth", ID: wealth, Regions: []string{"us-west-2"}}, {Name: "prod-cash", ID: cash}}
		check := func(want ...bool) []Row {
			t.Helper()
			var told int
			rows := w.conn.CheckEnds(t.Context(), accounts, nil, func(Row) { told++ })
			if len(rows) != 3 || told != 3 {
				t.Fatalf("%d told, %+v", told, rows)
			}
			for i, r := range rows {
				if r.OK != want[i] || r.Found == "" || !r.OK && r.Remedy == "" {
					t.Errorf("%+v", r)
				}
			}
			return rows
		}
		check(true, true, false)
		if names := w.ScheduleNames(); len(names) != 0 {
			t.Errorf("the check left %v", names)
		}
		w.FailNext("scheduler", "DeleteSchedule", "AccessDeniedException", 1)
		if r := check(false, true, false)[0]; !strings.Contains(r.Remedy, "breakglass-check-") {
			t.Errorf("%+v", r)
		}
		w.SetRole(management, "breakglass-scheduler", strings.ReplaceAll(schedulerTrust, "scheduler", "lambda"), nil)
		check(false, true, false)
		w.connect(t, Config{MemberRole: member})
		if r := check(true, true, false)[0]; r.Remedy == "" {
			t.Errorf("without schedules, nobody is warned: %+v", r)
		}
	})
}
