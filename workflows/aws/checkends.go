package aws

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"breakglass/store"
)

// CheckEnds asks for what ends access besides the bot: the dead man's schedules, of which it makes one and removes it again, whatever more asks
// (guards and fences, which only their keeper can compare), and the right to end open shells in each account. Rows come in that order, and told
// hears of each as Check's does.
func (c *Connection) CheckEnds(ctx context.Context, accounts []store.Account, more []func(context.Context) Row, told func(Row)) []Row {
	dead, shells := c.DeadMan(), c.Shells()
	asks := append([]func(context.Context) Row{dead.Check}, more...)
	for _, a := range accounts {
		asks = append(asks, func(ctx context.Context) Row { return shells.check(ctx, a) })
	}
	return c.askAll(ctx, asks, told)
}

// checkAhead is how far in the future the schedule of a check lies: it is to be gone long before.
const checkAhead = 365 * 24 * time.Hour

// Check makes a schedule far in the future and removes it again, which proves the group, the role and the right to pass it. Whom it would take
// something from does not exist. That AWS then does what a schedule says is another matter: see Prove.
func (d *DeadMan) Check(ctx context.Context) Row {
	r := Row{What: "end: dead man's schedules", Needed: "access ends when the bot is gone"}
	if d.c.cfg.DeadManRole == "" {
		r.Found, r.OK = "switched off", true
		r.Remedy = "set BREAKGLASS_DEADMAN_ROLE to the role the schedules act by: without it, sessions end only while the bot runs or their guard is written"
		return r
	}
	in, err := d.c.theInstance(ctx)
	if err != nil {
		r.Found, r.Remedy = plain(err), "see the row of Identity Center"
		return r
	}
	name := d.scratchName("breakglass-check-")
	input := assignmentInput(in.arn, strings.Replace(in.arn, ":instance/", ":permissionSet/", 1)+"/ps-0000000000000000", "000000000000",
		user("00000000-0000-0000-0000-000000000000"))
	err = explain("making the schedule "+name, d.put(ctx, name, d.c.now().Add(checkAhead).Truncate(time.Minute), targetAssignment, input))
	if rerr := d.Remove(context.WithoutCancel(ctx), name); rerr != nil && err == nil {
		r.Found = "made one, and could not remove it: " + plain(rerr)
		r.Remedy = fmt.Sprintf("the bot needs scheduler:DeleteSchedule; delete the schedule %s in the group %s by hand", name, scheduleGroup)
		return r
	}
	if err != nil {
		r.Found = plain(err)
		r.Remedy = fmt.Sprintf("make the schedule group %s in %s, let the role %s be assumed by scheduler.amazonaws.com, and give the bot scheduler:CreateSchedule, "+
			"GetSchedule, UpdateSchedule, DeleteSchedule and ListSchedules on that group and iam:PassRole on that role", scheduleGroup, d.c.cfg.Region, roleName(d.c.cfg.DeadManRole))
		return r
	}
	r.Found, r.OK = "made one and removed it", true
	return r
}

// check asks for one open session in each Region of an account.
func (s *Shells) check(ctx context.Context, a store.Account) Row {
	regions := shellRegions(a, s.c.cfg.Region)
	role := cmp.Or(s.c.cfg.MemberRole, "the bot's own credentials")
	r := Row{What: "open shells in " + a.Name, Needed: role + " may call ssm:DescribeSessions and ssm:TerminateSession"}
	faults, _ := each(ctx, len(regions), regions, func(ctx context.Context, region string) (string, error) {
		client, err := s.client(ctx, a.ID, region)
		if err == nil {
			_, err = call(ctx, s.c, s.c.ssmCalls, "DescribeSessions", reading, func(ctx context.Context) (*ssm.DescribeSessionsOutput, error) {
				return client.DescribeSessions(ctx, &ssm.DescribeSessionsInput{State: types.SessionStateActive, MaxResults: sdk.Int32(1)})
			})
		}
		if err != nil {
			return inWords(err, "ssm:DescribeSessions"), nil
		}
		return "", nil
	})
	if wrong := byRegion(regions, faults); wrong != "" {
		r.Found = wrong
		r.Remedy = "deploy the member role to this account, trusting the bot's role, with ssm:DescribeSessions and ssm:TerminateSession: without it an open shell outlives its session"
		return r
	}
	r.Found, r.OK = "looked in "+strings.Join(regions, ", "), true
	return r
}
