package aws

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"breakglass/store"
)

// Shells ends sessions of SSM's Session Manager. Such a session is a connection that was opened once: neither the end of its credentials nor a
// refusal in IAM closes it, only TerminateSession does (SSM user guide, end a session).
type Shells struct{ c *Connection }

// Shells returns the open sessions of the accounts.
func (c *Connection) Shells() *Shells { return &Shells{c} }

// clockSlack is how much earlier than its session a shell may seem to have begun, by another machine's clock.
const clockSlack = time.Minute

// codeNoSession is SSM's answer for a session that has ended and been forgotten.
const codeNoSession = "DoesNotExistException"

// End ends the open sessions of one person, or of one request's role, in every Region of the account, and returns how many. All Regions are tried, and
// the error names each that failed: there, sessions may be open still. It is a *store.Refusal, with the Regions and the reasons for people, where
// AWS refused in every one that failed, as by a service control policy, so that trying again will not help; anything that may pass in any makes it
// no refusal. A session that is gone is fine.
func (s *Shells) End(ctx context.Context, sh store.Shells) (int, error) {
	whose := ownerOf(sh)
	if whose == nil {
		return 0, errors.New("ending open shells: neither a permission set with a user name nor a role with a request was named")
	}
	regions := shellRegions(sh.Account, s.c.cfg.Region)
	counts, faults := make([]int, len(regions)), make([][]error, len(regions))
	var all sync.WaitGroup
	for i, region := range regions {
		all.Go(func() { counts[i], faults[i] = s.endIn(ctx, sh, region, whose) })
	}
	all.Wait()
	ended := 0
	for _, n := range counts {
		ended += n
	}
	return ended, shellsLeft(sh.Account.ID, regions, faults)
}

// shellsLeft is what went wrong, in words that name the Regions: those with the same reason together.
func shellsLeft(account string, regions []string, faults [][]error) error {
	first, passes := "", false
	var whys []string
	where := map[string][]string{}
	for i, errs := range faults {
		var said []string
		for _, err := range errs {
			c := code(err)
			if refusals[c] {
				first = cmp.Or(first, c)
			} else {
				passes = true
			}
			if why := shellRefusal(err); !slices.Contains(said, why) {
				said = append(said, why)
			}
		}
		why := strings.Join(said, "; ")
		if why != "" && where[why] == nil {
			whys = append(whys, why)
		}
		where[why] = append(where[why], regions[i])
	}
	if len(whys) == 0 {
		return nil
	}
	for i, why := range whys {
		whys[i] = "in " + strings.Join(where[why], ", ") + ": " + why
	}
	// One reason for each session that was refused would be too much to read.
	said := clean(fmt.Sprintf("in account %s open shells may have been left: %s", account, strings.Join(whys, "; ")), 1000)
	if passes {
		return fmt.Errorf("ending open shells: %s", said)
	}
	return fmt.Errorf("ending open shells: %w", &store.Refusal{Code: first, Message: said})
}

// shellRefusal is one reason in words. AWS's own sentence says what kind of policy refuses; the permissions that are needed, it does not.
func shellRefusal(err error) string {
	said := inWords(err, "ssm:DescribeSessions and ssm:TerminateSession")
	var role *roleError
	if refusals[code(err)] && !errors.As(err, &role) {
		said += " (" + clean(plainMessage(err), 300) + ")"
	}
	return said
}

// shellRegions are the account's Regions, and Identity Center's own, where sessions begin when none is named.
func shellRegions(a store.Account, home string) []string {
	all := slices.Clone(a.Regions)
	if !slices.Contains(all, home) {
		all = append(all, home)
	}
	return all
}

// endIn ends what is open in one Region. One session that cannot be ended does not spare the others. The errors are the SDK's.
func (s *Shells) endIn(ctx context.Context, sh store.Shells, region string, whose func(owner string) bool) (ended int, errs []error) {
	client, err := s.client(ctx, sh.Account.ID, region)
	if err != nil {
		return 0, []error{err}
	}
	open, err := s.open(ctx, client, sh.Since, whose)
	if err != nil {
		errs = append(errs, err)
	}
	for _, id := range open {
		_, err := call(ctx, s.c, s.c.ssmCalls, "TerminateSession", writing, func(ctx context.Context) (*ssm.TerminateSessionOutput, error) {
			return client.TerminateSession(ctx, &ssm.TerminateSessionInput{SessionId: &id})
		})
		switch {
		case err == nil:
			ended++
		case code(err) != codeNoSession:
			errs = append(errs, err)
		}
	}
	return ended, errs
}

// open lists the sessions that are whose, through all pages. What was found before a page failed is returned with the error.
//
// The Owner filter takes whole ARNs, and the role's suffix in them is not known here, so the owners are compared here.
func (s *Shells) open(ctx context.Context, client *ssm.Client, since time.Time, whose func(owner string) bool) (ids []string, err error) {
	in := &ssm.DescribeSessionsInput{State: types.SessionStateActive}
	if !since.IsZero() {
		in.Filters = []types.SessionFilter{{Key: types.SessionFilterKeyInvokedAfter,
			Value: sdk.String(since.Add(-clockSlack).UTC().Format("2006-01-02T15:04:05Z"))}}
	}
	for {
		out, err := call(ctx, s.c, s.c.ssmCalls, "DescribeSessions", reading, func(ctx context.Context) (*ssm.DescribeSessionsOutput, error) {
			return client.DescribeSessions(ctx, in)
		})
		if err != nil {
			return ids, err
		}
		for _, x := range out.Sessions {
			if whose(sdk.ToString(x.Owner)) {
				ids = append(ids, sdk.ToString(x.SessionId))
			}
		}
		if in.NextToken = out.NextToken; sdk.ToString(in.NextToken) == "" {
			return ids, nil
		}
	}
}

func (s *Shells) client(ctx context.Context, account, region string) (*ssm.Client, error) {
	cfg, err := s.c.member(ctx, account)
	if err != nil {
		return nil, err
	}
	cfg.Region = region
	return ssm.NewFromConfig(cfg, func(o *ssm.Options) { o.Retryer = sdk.NopRetryer{} }), nil
}

// ownerOf tells the owners that are meant from all others; nil where nobody is named. An owner is the ARN of an assumed role's session,
// arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION, without the role's path.
func ownerOf(sh store.Shells) func(owner string) bool {
	switch {
	case sh.Set != "" && sh.Role == "" && sh.UserName != "":
		return func(owner string) bool {
			role, session, ok := assumedRole(owner)
			return ok && session == sessionName(sh.UserName) && reservedFor(role, sh.Set)
		}
	case sh.Role != "" && sh.Set == "" && sh.Request != "":
		return func(owner string) bool {
			role, session, ok := assumedRole(owner)
			return ok && session == string(sh.Request) && role == roleName(sh.Role)
		}
	}
	return nil
}

func assumedRole(arn string) (role, session string, ok bool) {
	_, rest, ok := strings.Cut(arn, ":assumed-role/")
	if !ok {
		return "", "", false
	}
	role, session, ok = strings.Cut(rest, "/")
	return role, session, ok && role != "" && session != ""
}

// reservedFor says whether a role is Identity Center's own for the permission set: AWSReservedSSO_SET_SUFFIX. The suffix has no underscore, which
// tells the set X from another that is called X_Read.
func reservedFor(role, set string) bool {
	suffix, ok := strings.CutPrefix(role, "AWSReservedSSO_"+set+"_")
	return ok && suffix != "" && !strings.Contains(suffix, "_")
}
