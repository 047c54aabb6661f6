package awstwin_test

import (
	"errors"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssoadmin"
	"github.com/aws/aws-sdk-go-v2/service/ssoadmin/types"

	"breakglass/deploy/sandbox/awstwin"
)

func (w *world) create(user string) *ssoadmin.CreateAccountAssignmentInput {
	return &ssoadmin.CreateAccountAssignmentInput{InstanceArn: aws.String(w.InstanceARN()), PermissionSetArn: &w.set, PrincipalId: &user,
		PrincipalType: types.PrincipalTypeUser, TargetId: aws.String(prod), TargetType: types.TargetTypeAwsAccount}
}

func (w *world) delete(user string) *ssoadmin.DeleteAccountAssignmentInput {
	return &ssoadmin.DeleteAccountAssignmentInput{InstanceArn: aws.String(w.InstanceARN()), PermissionSetArn: &w.set, PrincipalId: &user,
		PrincipalType: types.PrincipalTypeUser, TargetId: aws.String(prod), TargetType: types.TargetTypeAwsAccount}
}

func (w *world) listed(t *testing.T, c *ssoadmin.Client) int {
	t.Helper()
	out, err := c.ListAccountAssignments(ctxOf(t), &ssoadmin.ListAccountAssignmentsInput{AccountId: aws.String(prod), InstanceArn: aws.String(w.InstanceARN()), PermissionSetArn: &w.set})
	if err != nil {
		t.Fatal(err)
	}
	return len(out.AccountAssignments)
}

func TestAssignmentIsAsynchronous(t *testing.T) {
	w := newWorld(t, nil)
	c := ssoadmin.NewFromConfig(bot(w.Organization))
	out, err := c.CreateAccountAssignment(ctxOf(t), w.create(w.alice))
	if err != nil {
		t.Fatal(err)
	}
	st := out.AccountAssignmentCreationStatus
	if st.Status != types.StatusValuesInProgress || w.listed(t, c) != 0 || len(w.Roles(prod)) != 0 {
		t.Fatalf("at once: %v, %d listed, roles %v", st.Status, w.listed(t, c), w.Roles(prod))
	}
	w.skip(3 * time.Second)
	d, err := c.DescribeAccountAssignmentCreationStatus(ctxOf(t), &ssoadmin.DescribeAccountAssignmentCreationStatusInput{
		AccountAssignmentCreationRequestId: st.RequestId, InstanceArn: aws.String(w.InstanceARN())})
	if err != nil || d.AccountAssignmentCreationStatus.Status != types.StatusValuesSucceeded {
		t.Fatalf("after 3 s: %v %v", d, err)
	}
	if w.listed(t, c) != 1 || len(w.Roles(prod)) != 1 {
		t.Fatalf("after 3 s: %d listed, roles %v", w.listed(t, c), w.Roles(prod))
	}
	if _, err = c.CreateAccountAssignment(ctxOf(t), w.create(w.alice)); err != nil {
		t.Fatalf("creating what exists: %v", err)
	}
	w.skip(3 * time.Second)
	if w.listed(t, c) != 1 {
		t.Fatalf("created twice, %d rows", w.listed(t, c))
	}
	del, err := c.DeleteAccountAssignment(ctxOf(t), w.delete(w.alice))
	if err != nil || *del.AccountAssignmentDeletionStatus.RequestId == *st.RequestId {
		t.Fatalf("delete: %v %v", del, err)
	}
	if w.listed(t, c) != 1 {
		t.Fatal("gone before the deletion ended")
	}
	w.skip(3 * time.Second)
	if w.listed(t, c) != 0 || len(w.Roles(prod)) != 0 {
		t.Fatalf("after deletion: %d listed, roles %v", w.listed(t, c), w.Roles(prod))
	}
}

func TestDeletingWhatIsNotThereHasTwoForms(t *testing.T) {
	w := newWorld(t, nil)
	c := ssoadmin.NewFromConfig(bot(w.Organization))
	_, err := c.DeleteAccountAssignment(ctxOf(t), w.delete(w.alice))
	var gone *types.ResourceNotFoundException
	if !errors.As(err, &gone) {
		t.Fatalf("first form: %v", err)
	}
	out, err := c.DeleteAccountAssignment(ctxOf(t), w.delete(w.alice))
	if err != nil {
		t.Fatalf("second form: %v", err)
	}
	w.skip(3 * time.Second)
	d, err := c.DescribeAccountAssignmentDeletionStatus(ctxOf(t), &ssoadmin.DescribeAccountAssignmentDeletionStatusInput{
		AccountAssignmentDeletionRequestId: out.AccountAssignmentDeletionStatus.RequestId, InstanceArn: aws.String(w.InstanceARN())})
	if err != nil || d.AccountAssignmentDeletionStatus.Status != types.StatusValuesFailed {
		t.Fatalf("second form: %+v %v", d, err)
	}
	t.Log(*d.AccountAssignmentDeletionStatus.FailureReason)
}

func TestOneChangeAtATimeForEachAccount(t *testing.T) {
	w := newWorld(t, nil)
	c := ssoadmin.NewFromConfig(bot(w.Organization))
	if _, err := c.CreateAccountAssignment(ctxOf(t), w.create(w.alice)); err != nil {
		t.Fatal(err)
	}
	_, err := c.CreateAccountAssignment(ctxOf(t), w.create(w.carol))
	var conflict *types.ConflictException
	if !errors.As(err, &conflict) {
		t.Fatalf("second change: %v", err)
	}
	w.SetQuotas(false)
	if _, err = c.CreateAccountAssignment(ctxOf(t), w.create(w.carol)); err != nil {
		t.Fatalf("without quotas: %v", err)
	}
	if _, err = c.DeleteAccountAssignment(ctxOf(t), w.delete(w.carol)); !errors.As(err, &conflict) {
		t.Fatalf("same assignment without quotas: %v", err)
	}
	if n := len(w.InFlight()); n != 2 {
		t.Fatalf("%d in flight", n)
	}
}

func TestQuotasOfIdentityCenter(t *testing.T) {
	w := newWorld(t, nil)
	c := ssoadmin.NewFromConfig(bot(w.Organization))
	in := &ssoadmin.ListInstancesInput{}
	var throttled *types.ThrottlingException
	for i := range 21 {
		_, err := c.ListInstances(ctxOf(t), in)
		if want := i == 20; errors.As(err, &throttled) != want {
			t.Fatalf("call %d: %v", i, err)
		}
	}
	w.skip(time.Second)
	if _, err := c.ListInstances(ctxOf(t), in); err != nil {
		t.Fatal(err)
	}
	w.SetQuotas(true)
	var quota *types.ServiceQuotaExceededException
	for i := range 16 {
		w.skip(50 * time.Millisecond)
		id := "2000000000" + string(rune('0'+i/10)) + string(rune('0'+i%10))
		w.AddAccount(id, id)
		req := w.create(w.alice)
		req.TargetId = &id
		_, err := c.CreateAccountAssignment(ctxOf(t), req)
		if want := i == 15; errors.As(err, &quota) != want {
			t.Fatalf("creation %d: %v", i, err)
		}
	}
}

func TestAssignmentsForPrincipalAreInherited(t *testing.T) {
	w := newWorld(t, nil)
	w.Assign("grp-oncall", prod, "Forge-Prod-Emergency")
	w.Assign(w.alice, prod, w.set)
	c := ssoadmin.NewFromConfig(bot(w.Organization))
	p := ssoadmin.NewListAccountAssignmentsForPrincipalPaginator(c, &ssoadmin.ListAccountAssignmentsForPrincipalInput{
		InstanceArn: aws.String(w.InstanceARN()), PrincipalId: &w.alice, PrincipalType: types.PrincipalTypeUser, MaxResults: aws.Int32(1)})
	kinds := map[types.PrincipalType]int{}
	pages := 0
	for p.HasMorePages() {
		out, err := p.NextPage(ctxOf(t))
		if err != nil {
			t.Fatal(err)
		}
		pages++
		for _, a := range out.AccountAssignments {
			kinds[a.PrincipalType]++
		}
	}
	if pages != 2 || kinds[types.PrincipalTypeUser] != 1 || kinds[types.PrincipalTypeGroup] != 1 {
		t.Fatalf("%d pages, %v", pages, kinds)
	}
	if got := w.Access(w.alice); len(got) != 2 || got[0].ViaGroup != "grp-oncall" {
		t.Fatalf("access: %+v", got)
	}
}

func TestValidationOfSSOAdmin(t *testing.T) {
	w := newWorld(t, nil)
	w.SetQuotas(false)
	c := ssoadmin.NewFromConfig(bot(w.Organization))
	for name, change := range map[string]func(*ssoadmin.CreateAccountAssignmentInput){
		"ValidationException 1": func(in *ssoadmin.CreateAccountAssignmentInput) {
			in.InstanceArn = aws.String("arn:aws:sso:::instance/x")
		},
		"ValidationException 2":         func(in *ssoadmin.CreateAccountAssignmentInput) { in.PrincipalId = aws.String("alice") },
		"ValidationException 3":         func(in *ssoadmin.CreateAccountAssignmentInput) { in.TargetId = aws.String("1234") },
		"ValidationException 4":         func(in *ssoadmin.CreateAccountAssignmentInput) { in.PrincipalType = "ROBOT" },
		"ResourceNotFoundException one": func(in *ssoadmin.CreateAccountAssignmentInput) { in.TargetId = aws.String("999999999999") },
		"ResourceNotFoundException two": func(in *ssoadmin.CreateAccountAssignmentInput) {
			in.PermissionSetArn = aws.String((*in.PermissionSetArn)[:len(*in.PermissionSetArn)-4] + "zzzz")
		},
	} {
		in := w.create(w.alice)
		change(in)
		_, err := c.CreateAccountAssignment(ctxOf(t), in)
		if got := code(err); got == "" || got != name[:len(got)] {
			t.Errorf("%s: %v", name, err)
		}
	}
	out, err := c.DescribePermissionSet(ctxOf(t), &ssoadmin.DescribePermissionSetInput{InstanceArn: aws.String(w.InstanceARN()), PermissionSetArn: &w.set})
	if err != nil || *out.PermissionSet.SessionDuration != "PT1H" {
		t.Errorf("permission set: %+v %v", out, err)
	}
}

func TestFaults(t *testing.T) {
	w := newWorld(t, nil)
	w.SetQuotas(false)
	c := ssoadmin.NewFromConfig(bot(w.Organization))
	w.ConflictNext(1)
	_, err := c.CreateAccountAssignment(ctxOf(t), w.create(w.alice))
	wantCode(t, err, "ConflictException")
	w.FailNext("sso-admin", "CreateAccountAssignment", "ThrottlingException", 1)
	_, err = c.CreateAccountAssignment(ctxOf(t), w.create(w.alice))
	wantCode(t, err, "ThrottlingException")
	w.Outage("", true)
	_, err = c.CreateAccountAssignment(ctxOf(t), w.create(w.alice))
	wantCode(t, err, "ServiceUnavailable")
	w.Outage("", false)
	w.DropReplyNext("sso-admin", "CreateAccountAssignment", 1)
	if _, err = c.CreateAccountAssignment(ctxOf(t), w.create(w.alice)); err == nil {
		t.Fatal("the reply was not dropped")
	}
	w.skip(3 * time.Second)
	if len(w.Assignments()) != 1 {
		t.Fatal("the dropped call had no effect")
	}
	calls := w.Calls()
	if n := len(calls); n != 4 || calls[0].Error != "ConflictException" || calls[3].Error != "" || calls[3].Operation != "CreateAccountAssignment" {
		t.Fatalf("journal: %+v", calls)
	}
}

func TestUnknownKeys(t *testing.T) {
	w := newWorld(t, nil)
	cfg := config(w.Organization, "us-east-1", "AKIANOBODY", "x", "")
	_, err := ssoadmin.NewFromConfig(cfg).ListInstances(ctxOf(t), &ssoadmin.ListInstancesInput{})
	wantCode(t, err, "UnrecognizedClientException")
	other := config(w.Organization, "eu-west-1", awstwin.BotAccessKeyID, "x", "")
	out, err := ssoadmin.NewFromConfig(other).ListInstances(ctxOf(t), &ssoadmin.ListInstancesInput{})
	if err != nil || len(out.Instances) != 0 {
		t.Fatalf("another Region: %+v %v", out, err)
	}
}
