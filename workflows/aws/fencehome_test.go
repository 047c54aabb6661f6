package aws

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"breakglass/deploy/sandbox/awstwin"
	"breakglass/store"
)

// TestFenceInTheAccountOfTheSchedules: who may do everything there cannot take the dead man's schedules away, nor what they act by.
func TestFenceInTheAccountOfTheSchedules(t *testing.T) {
	guarded(t, func(t *testing.T, w *world, _ *Guards) {
		w.deadMan(t)
		w.SetRole(management, byMember, botTrusts, map[string]string{"all": allowAll})
		for _, name := range []string{prefix + "-Guarded", FenceName} {
			w.SetPolicy(management, name, bare)
		}
		w.connect(t, Config{MemberRole: byMember, Guard: prefix, DeadManRole: deadManRole})
		d, g := w.conn.DeadMan(), w.conn.Guards()
		fence(t, g, store.Fence{Account: management})
		sch := w.inAMinute("BG-1042-20261121T1000-1", w.tuple)
		if err := d.Make(t.Context(), sch); err != nil {
			t.Fatal(err)
		}
		w.Assign(w.alice, management, "Guarded")
		s, err := w.SignIn(w.alice, management, "Guarded")
		if err != nil {
			t.Fatal(err)
		}
		arn := func(format string) string { return fmt.Sprintf("arn:aws:"+format, management) }
		for _, a := range []awstwin.Action{
			on("scheduler", "DeleteScheduleGroup", arn("scheduler:us-east-1:%s:schedule-group/breakglass")),
			on("scheduler", "DeleteSchedule", arn("scheduler:us-east-1:%s:schedule/breakglass/"+sch.Name)),
			on("scheduler", "UpdateSchedule", arn("scheduler:us-east-1:%s:schedule/breakglass/"+sch.Name)),
			iamCall("DeleteRole", "RoleName", "breakglass-scheduler"),
			iamCall("DeleteRolePolicy", "RoleName", "breakglass-scheduler", "PolicyName", "revoke"),
			iamCall("UpdateAssumeRolePolicy", "RoleName", "breakglass-scheduler", "PolicyDocument", bare),
			iamCall("PutRolePolicy", "RoleName", "breakglass-scheduler", "PolicyName", "revoke", "PolicyDocument", bare),
			on("iam", "PassRole", deadManRole),
			on("iam", "PassRole", arn("iam::%s:role/ops/BreakGlassDB")),
		} {
			may(t, s, a, false)
		}
		for _, a := range []awstwin.Action{
			on("scheduler", "GetSchedule", arn("scheduler:us-east-1:%s:schedule/breakglass/"+sch.Name)),
			on("scheduler", "DeleteSchedule", arn("scheduler:us-east-1:%s:schedule/default/nightly")),
			on("scheduler", "DeleteScheduleGroup", arn("scheduler:us-east-1:%s:schedule-group/nightly")),
			iamCall("GetRole", "RoleName", "breakglass-scheduler"),
		} {
			err := s.Do(t.Context(), a)
			if err != nil && strings.Contains(err.Error(), "explicit deny") {
				t.Errorf("%s %s: %v", a.Name, a.Resource, err)
			}
		}
		w.names(t, d, sch.Name)
		w.assign(t, w.tuple)
		time.Sleep(time.Until(sch.At) + 10*time.Second)
		w.isAssigned(t, w.tuple, false)
	})
}

// TestFenceNamesTheSchedulesRoleWhereItIs and nowhere else; and it leaves room for what the policy adds.
func TestFenceNamesTheSchedulesRoleWhereItIs(t *testing.T) {
	for account, want := range map[string]bool{management: true, wealth: false} {
		doc := FenceDocument(store.Fence{Account: account}, "us-east-1", byMember, deadManRole, prefix)
		if got := strings.Contains(doc, deadManRole); got != want {
			t.Errorf("in %s: %t", account, got)
		}
	}
	f := store.Fence{Account: wealth, MayAssume: map[string][]string{}}
	for n := range 5 {
		f.MayAssume[fmt.Sprintf("Forge-Prod-BreakGlass-%d", n)] = []string{fmt.Sprint("developer-access-", n)}
	}
	if n := dense(FenceDocument(f, "us-east-1", byMember, deadManRole, prefix)); n > managedPolicyLimit {
		t.Errorf("five sets with a role of their own take %d characters", n)
	}
	if n := dense(FenceDocument(store.Fence{Account: management}, "us-east-1", byMember, deadManRole, prefix)); n > managedPolicyLimit/2 {
		t.Errorf("the fence alone takes %d characters", n)
	}
}
