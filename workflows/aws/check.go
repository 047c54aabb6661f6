package aws

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/ssoadmin"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"breakglass/store"
)

// Row is one thing that was asked for: what was found, what is needed, and what to do about the difference. A row that is OK
// and has a Remedy is a warning.
type Row struct {
	What   string `json:"what"`
	Found  string `json:"found"`
	Needed string `json:"needed,omitempty"`
	Remedy string `json:"remedy,omitempty"`
	OK     bool   `json:"ok"`
}

// Needs are what a policy names, and so what AWS must have.
type Needs struct {
	Accounts []store.Account
	Sets     []string // permission sets
	Groups   []string
	Emails   []string
	// Elsewhere: CloudTrail is read from one place for all accounts, so that their own event histories are not needed.
	Elsewhere bool
}

// checking bounds how much is asked at the same time. The quotas are kept below it in any case.
const checking = 8

// Check asks AWS for all that a policy needs, and changes nothing. Rows come in a fixed order, whichever was answered first;
// told, where it is not nil, hears of each as it comes, from one goroutine at a time. Without usable credentials or an
// instance it ends early: the rest would only repeat that.
func (c *Connection) Check(ctx context.Context, n Needs, told func(Row)) []Row {
	if told == nil {
		told = func(Row) {}
	}
	var rows []Row
	for _, first := range []func(context.Context) Row{c.checkCredentials, c.checkInstance} {
		r := first(ctx)
		told(r)
		if rows = append(rows, r); !r.OK {
			return rows
		}
	}
	ic, dir, trail := c.IdentityCenter(), c.Directory(), c.Trail()
	accounts := c.activeAccounts(ctx)
	var asks []func(context.Context) Row
	for _, name := range n.Sets {
		asks = append(asks, func(ctx context.Context) Row { return ic.check(ctx, name) })
	}
	for _, a := range n.Accounts {
		asks = append(asks, func(context.Context) Row { return accounts.check(a) })
	}
	if !n.Elsewhere {
		for _, a := range n.Accounts {
			asks = append(asks, func(ctx context.Context) Row { return trail.check(ctx, a) })
		}
	}
	for _, name := range n.Groups {
		asks = append(asks, func(ctx context.Context) Row { return dir.checkGroup(ctx, name) })
	}
	for _, email := range n.Emails {
		asks = append(asks, func(ctx context.Context) Row { return dir.checkEmail(ctx, email) })
	}
	return append(rows, c.askAll(ctx, asks, told)...)
}

// askAll asks at the same time; the rows come in the order of the questions.
func (c *Connection) askAll(ctx context.Context, asks []func(context.Context) Row, told func(Row)) []Row {
	one := newTurn()
	rows, _ := each(ctx, checking, asks, func(ctx context.Context, ask func(context.Context) Row) (Row, error) {
		r := ask(ctx)
		if err := one.take(context.WithoutCancel(ctx)); err == nil {
			defer one.leave()
			if told != nil {
				told(r)
			}
		}
		return r, nil
	})
	return rows
}

// plain is what an error says in a table: AWS's words where it answered, ours where it did not.
func plain(err error) string {
	var r *store.Refusal
	switch {
	case errors.As(err, &r):
		return r.Code + ": " + r.Message
	case code(err) != "":
		return faultInWords(err)
	case outcomeOf(err) == "fault":
		return clean(err.Error(), 300)
	}
	return faultInWords(err)
}

// checkCredentials asks who we are. GetCallerIdentity needs no permission, so its failure is the credentials' own.
func (c *Connection) checkCredentials(ctx context.Context) Row {
	r := Row{What: "AWS credentials", Needed: "credentials that AWS accepts"}
	out, err := call(ctx, c, c.stsCalls, "GetCallerIdentity", reading, func(ctx context.Context) (*sts.GetCallerIdentityOutput, error) {
		return c.sts.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	})
	if err != nil {
		r.Found = plain(err)
		r.Remedy = "give the bot a role (instance profile, task role), or set AWS_PROFILE or AWS_ACCESS_KEY_ID as the AWS SDK reads them"
		return r
	}
	r.Found, r.OK = sdk.ToString(out.Arn), true
	return r
}

// checkInstance looks up what everything else is asked by.
func (c *Connection) checkInstance(ctx context.Context) Row {
	r := Row{What: "Identity Center in " + c.cfg.Region, Needed: "one instance"}
	in, err := c.theInstance(ctx)
	if err != nil {
		r.Found = plain(err)
		r.Remedy = "check identity_center.region and identity_center.instance_arn, and sso:ListInstances for the bot"
		return r
	}
	r.Found, r.OK = in.arn, true
	return r
}

// check asks for one permission set. More than an hour is a warning: AWS lets credentials live on for that long after the end.
func (ic *IdentityCenter) check(ctx context.Context, name string) Row {
	r := Row{What: "permission set " + name, Needed: "exists, SessionDuration PT1H"}
	in, err := ic.c.theInstance(ctx)
	if err != nil {
		r.Found = plain(err)
		return r
	}
	arn, err := ic.sets.lookup(ctx, name)
	var out *ssoadmin.DescribePermissionSetOutput
	if err == nil {
		out, err = call(ctx, ic.c, ic.c.ssoAdmin, "DescribePermissionSet", reading, func(ctx context.Context) (*ssoadmin.DescribePermissionSetOutput, error) {
			return ic.c.admin.DescribePermissionSet(ctx, &ssoadmin.DescribePermissionSetInput{InstanceArn: &in.arn, PermissionSetArn: &arn})
		})
	}
	if err != nil {
		r.Found = plain(explain("reading the permission set", err))
		r.Remedy = "create it in Identity Center, or correct grant.permission_set; the bot needs sso:ListPermissionSets and sso:DescribePermissionSet"
		return r
	}
	duration := "PT1H" // AWS's default where none is set
	if out.PermissionSet != nil {
		duration = cmp.Or(sdk.ToString(out.PermissionSet.SessionDuration), duration)
	}
	r.Found, r.OK = duration, true
	if duration != "PT1H" && duration != "PT60M" && duration != "PT3600S" {
		r.Remedy = "set its session duration to 1 hour: credentials taken during a session live on for that long after its end"
	}
	return r
}

// accountStates are the accounts of the organisation; err where they may not be listed.
type accountStates struct {
	states map[string]string
	err    error
}

// activeAccounts lists the organisation's accounts once, for all rows. Only the management account and delegated administrators may,
// so that it is refused is no fault of the policy.
func (c *Connection) activeAccounts(ctx context.Context) accountStates {
	client := organizations.NewFromConfig(c.home, func(o *organizations.Options) { o.Retryer = sdk.NopRetryer{} })
	s := accountStates{states: map[string]string{}}
	var next *string
	for {
		out, err := call(ctx, c, c.orgCalls, "ListAccounts", reading, func(ctx context.Context) (*organizations.ListAccountsOutput, error) {
			return client.ListAccounts(ctx, &organizations.ListAccountsInput{NextToken: next})
		})
		if err != nil {
			s.err = explain("listing the accounts", err)
			return s
		}
		for _, a := range out.Accounts {
			// State replaced Status in 2026; whichever is there says the same.
			s.states[sdk.ToString(a.Id)] = cmp.Or(string(a.State), string(a.Status))
		}
		if next = out.NextToken; sdk.ToString(next) == "" {
			return s
		}
	}
}

// check says what the organisation says of one account. Not being allowed to ask is no fault of the account.
func (s accountStates) check(a store.Account) Row {
	r := Row{What: fmt.Sprintf("account %s (%s)", a.Name, a.ID), Needed: "active in the organisation"}
	switch state, ok := s.states[a.ID]; {
	case s.err != nil:
		r.OK = true
		r.Found = "not known: " + plain(s.err)
		r.Remedy = "optional: organizations:ListAccounts, so that accounts can be checked before they are needed"
	case !ok:
		r.Found, r.Remedy = "not in this organisation", "correct its id in accounts"
	case state != "ACTIVE":
		r.Found, r.Remedy = state, "take it out of accounts, or reactivate it"
	default:
		r.Found, r.OK = state, true
	}
	return r
}

// check reads one event in each Region of an account, which proves the member role, its permission and the Region.
func (t *Trail) check(ctx context.Context, a store.Account) Row {
	regions := regionsOf(a, t.c.cfg.Region)
	role := cmp.Or(t.c.cfg.MemberRole, "the bot's own credentials")
	r := Row{What: fmt.Sprintf("CloudTrail of %s", a.Name), Needed: role + " may call cloudtrail:LookupEvents"}
	faults, _ := each(ctx, len(regions), regions, func(ctx context.Context, region string) (string, error) {
		client, quota, err := t.client(ctx, a.ID, region)
		if err == nil {
			_, err = call(ctx, t.c, quota, "LookupEvents", reading, func(ctx context.Context) (*cloudtrail.LookupEventsOutput, error) {
				return client.LookupEvents(ctx, &cloudtrail.LookupEventsInput{MaxResults: sdk.Int32(1)})
			})
		}
		if err != nil {
			return inWords(err, "cloudtrail:LookupEvents"), nil
		}
		return "", nil
	})
	if wrong := byRegion(regions, faults); wrong != "" {
		r.Found = wrong
		r.Remedy = "deploy the member role to this account, trusting the bot's role, with cloudtrail:LookupEvents: without it there is no summary"
		return r
	}
	r.Found, r.OK = "read in "+strings.Join(regions, ", "), true
	return r
}

// byRegion says which Regions failed and why, each reason once; "" where none did.
func byRegion(regions, faults []string) string {
	var wrong []string
	for i, f := range faults {
		if f != "" && !slices.ContainsFunc(wrong, func(w string) bool { return strings.HasSuffix(w, f) }) {
			wrong = append(wrong, regions[i]+": "+f)
		}
	}
	return strings.Join(wrong, "; ")
}

// checkGroup asks for a group by the name in the policy.
func (d *Directory) checkGroup(ctx context.Context, name string) Row {
	r := Row{What: "group " + name, Needed: "exists in Identity Center"}
	ids, err := d.groups.lookup(ctx, []string{name})
	switch {
	case err != nil:
		r.Found, r.Remedy = plain(err), "the bot needs identitystore:GetGroupId"
	case ids[name] == "":
		r.Found, r.Remedy = "not there", "create it, or correct its name in people: nobody counts as a member now"
	default:
		r.Found, r.OK = "exists", true
	}
	return r
}

// checkEmail looks a person up exactly as a click of theirs would.
func (d *Directory) checkEmail(ctx context.Context, email string) Row {
	r := Row{What: "person " + email, Needed: "one enabled user in Identity Center"}
	p, err := d.Find(ctx, email, nil)
	switch {
	case errors.Is(err, store.ErrNobody):
		r.Found, r.Remedy = "nobody", "correct the address in the policy, or give the user this e-mail address in Identity Center"
	case errors.Is(err, store.ErrSeveral):
		r.Found, r.Remedy = "several users", "leave the address with one of them"
	case err != nil:
		r.Found, r.Remedy = plain(err), "the bot needs identitystore:GetUserId, DescribeUser and IsMemberInGroups"
	case !p.Enabled:
		r.Found, r.Remedy = p.UserName+", disabled", "enable the user, or name somebody else"
	default:
		r.Found, r.OK = p.UserName, true
	}
	return r
}
