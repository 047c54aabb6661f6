package awstwin_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/identitystore"
	storetypes "github.com/aws/aws-sdk-go-v2/service/identitystore/types"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"
	"github.com/aws/aws-sdk-go-v2/service/ssoadmin"
	"github.com/aws/aws-sdk-go-v2/service/ssoadmin/types"

	"breakglass/deploy/sandbox/awstwin"
)

// crowd makes an organisation with n people, and a set.
func crowd(t testing.TB, n int, cfg awstwin.Config) (*world, []string) {
	w := &world{clock: newClock()}
	cfg.Now = w.now
	w.Organization = awstwin.New(cfg)
	w.SetQuotas(false)
	w.AddAccount(prod, "prod")
	w.set = w.AddPermissionSet(awstwin.PermissionSet{Name: "Set"})
	var people []string
	for i := range n {
		people = append(people, w.AddUser(awstwin.User{UserName: fmt.Sprint("user", i)}))
	}
	return w, people
}

// TestListsComeInPages: each list that a program counts or waits by, asked for in pages of a few.
func TestListsComeInPages(t *testing.T) {
	w, people := crowd(t, 250, awstwin.Config{})
	ctx, ins := t.Context(), aws.String(w.InstanceARN())
	c := ssoadmin.NewFromConfig(bot(w.Organization))
	for _, p := range people {
		if _, err := c.CreateAccountAssignment(ctx, w.create(p)); err != nil {
			t.Fatal(err)
		}
	}
	statuses := func(status types.StatusValues) (n int, newest time.Time) {
		t.Helper()
		var next *string
		for page := 0; page == 0 || next != nil; page++ {
			out, err := c.ListAccountAssignmentCreationStatus(ctx, &ssoadmin.ListAccountAssignmentCreationStatusInput{InstanceArn: ins, NextToken: next,
				Filter: &types.OperationStatusFilter{Status: status}})
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range out.AccountAssignmentsCreationStatus {
				if n++; n == 1 {
					newest = *s.CreatedDate
				}
			}
			next = out.NextToken
		}
		return n, newest
	}
	if n, newest := statuses(types.StatusValuesInProgress); n != 250 || !newest.Equal(w.now()) {
		t.Errorf("%d in progress, the newest of %s", n, newest)
	}
	w.skip(3 * time.Second)
	if n, _ := statuses(types.StatusValuesInProgress); n != 0 {
		t.Errorf("%d still in progress", n)
	}
	if n, _ := statuses(types.StatusValuesSucceeded); n != 250 {
		t.Errorf("%d succeeded", n)
	}
	rows := map[string]bool{}
	for p := ssoadmin.NewListAccountAssignmentsPaginator(c, &ssoadmin.ListAccountAssignmentsInput{InstanceArn: ins, AccountId: aws.String(prod), PermissionSetArn: &w.set}); p.HasMorePages(); {
		for _, a := range must[*ssoadmin.ListAccountAssignmentsOutput](t)(p.NextPage(ctx)).AccountAssignments {
			rows[*a.PrincipalId] = true
		}
	}
	if len(rows) != 250 {
		t.Errorf("%d listed", len(rows))
	}
	if _, err := c.DeleteAccountAssignment(ctx, w.delete(people[0])); err != nil {
		t.Fatal(err)
	}
	gone, err := c.ListAccountAssignmentDeletionStatus(ctx, &ssoadmin.ListAccountAssignmentDeletionStatusInput{InstanceArn: ins})
	if err != nil || len(gone.AccountAssignmentsDeletionStatus) != 1 {
		t.Errorf("%+v %v", gone, err)
	}
	for i := range 120 {
		id := fmt.Sprintf("2000000%05d", i)
		w.AddAccount(id, id)
		w.Assign(people[1], id, w.set)
	}
	var next *string
	for n := 0; ; {
		out, err := c.ListAccountsForProvisionedPermissionSet(ctx, &ssoadmin.ListAccountsForProvisionedPermissionSetInput{InstanceArn: ins, PermissionSetArn: &w.set, NextToken: next, MaxResults: aws.Int32(50)})
		if err != nil {
			t.Fatal(err)
		}
		if n += len(out.AccountIds); out.NextToken == nil {
			if n != 121 {
				t.Errorf("%d accounts", n)
			}
			break
		}
		next = out.NextToken
	}
}

func TestSchedulesAndMembersInPages(t *testing.T) {
	w := newWorld(t, nil)
	c := w.deadMan(t, revokeOnly)
	for i := range 130 {
		if _, err := c.CreateSchedule(ctxOf(t), w.revokeAt(fmt.Sprintf("bg-%03d", i), "2026-11-21T11:00:00")); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	for p := scheduler.NewListSchedulesPaginator(c, &scheduler.ListSchedulesInput{GroupName: aws.String("breakglass"), MaxResults: aws.Int32(60)}); p.HasMorePages(); {
		page := must[*scheduler.ListSchedulesOutput](t)(p.NextPage(ctxOf(t)))
		n += len(page.Schedules)
	}
	if n != 130 {
		t.Errorf("%d schedules", n)
	}
	store := identitystore.NewFromConfig(bot(w.Organization))
	other := w.AddGroup("grp-other")
	in, err := store.IsMemberInGroups(ctxOf(t), &identitystore.IsMemberInGroupsInput{IdentityStoreId: aws.String(w.IdentityStoreID()),
		MemberId: &storetypes.MemberIdMemberUserId{Value: w.alice}, GroupIds: []string{other, w.oncall}})
	if err != nil || len(in.Results) != 2 || in.Results[0].MembershipExists || !in.Results[1].MembershipExists {
		t.Errorf("%+v %v", in, err)
	}
	id, err := store.GetGroupMembershipId(ctxOf(t), &identitystore.GetGroupMembershipIdInput{IdentityStoreId: aws.String(w.IdentityStoreID()), GroupId: &w.oncall,
		MemberId: &storetypes.MemberIdMemberUserId{Value: w.alice}})
	if err != nil || *id.MembershipId == "" {
		t.Errorf("%+v %v", id, err)
	}
}

// BenchmarkCallsAmongMany is one call of each kind that a revocation makes, with ten thousand assignments made and ten thousand more under
// way. The time for a call must not follow their number.
func BenchmarkCallsAmongMany(b *testing.B) {
	for _, n := range []int{1_000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			w, people := crowd(b, 2*n, awstwin.Config{Async: time.Hour})
			c := ssoadmin.NewFromConfig(bot(w.Organization))
			for _, p := range people[:n] {
				w.Assign(p, prod, w.set)
			}
			var id *string
			for _, p := range people[n:] {
				out, err := c.CreateAccountAssignment(b.Context(), w.create(p))
				if err != nil {
					b.Fatal(err)
				}
				id = out.AccountAssignmentCreationStatus.RequestId
			}
			b.ResetTimer()
			for i := range b.N {
				if _, err := c.DescribeAccountAssignmentCreationStatus(b.Context(), &ssoadmin.DescribeAccountAssignmentCreationStatusInput{
					InstanceArn: aws.String(w.InstanceARN()), AccountAssignmentCreationRequestId: id}); err != nil {
					b.Fatal(err)
				}
				if _, err := c.ListAccountAssignments(b.Context(), &ssoadmin.ListAccountAssignmentsInput{InstanceArn: aws.String(w.InstanceARN()),
					AccountId: aws.String(prod), PermissionSetArn: &w.set}); err != nil {
					b.Fatal(err)
				}
				_, _ = c.DeleteAccountAssignment(b.Context(), w.delete(people[i%n]))
			}
		})
	}
}
