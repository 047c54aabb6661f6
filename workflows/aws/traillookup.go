package aws

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"

	"breakglass/store"
)

// CloudTrail's event history, by LookupEvents: management events of 90 days, one account and Region at a time, by one attribute, two calls a second, no
// data events (S3 objects, table items).

const (
	pageSize     = 50 // the most LookupEvents gives
	globalRegion = "us-east-1"
	needsLookup  = "cloudtrail:LookupEvents"
)

// regionsOf is where an account's events are looked for: its Regions, us-east-1, where global services log, and Identity Center's own,
// where role sessions begin.
func regionsOf(a store.Account, home string) []string {
	var all []string
	for _, r := range slices.Concat(a.Regions, []string{globalRegion, home}) {
		if !slices.Contains(all, r) {
			all = append(all, r)
		}
	}
	return all
}

// regionPlaces are the Regions of the account. What a session does is found by its name. How the session of an IAM role began is found by the role: the
// event is that of the IAM user who assumed it.
func (t *Trail) regionPlaces(q store.Query) []place {
	var all []place
	for _, region := range regionsOf(q.Account, t.c.cfg.Region) {
		ask := func(key types.LookupAttributeKey, value string) func(context.Context, store.Mark, func(batch)) error {
			return func(ctx context.Context, m store.Mark, give func(batch)) error {
				client, quota, err := t.client(ctx, q.Account.ID, region)
				if err != nil {
					return err
				}
				return t.lookup(ctx, client, quota, q.Account.ID, q, m, key, value, give)
			}
		}
		p := place{name: region}
		if q.Role != "" {
			arn := fmt.Sprintf("arn:%s:iam::%s:role/%s", partition(region), q.Account.ID, strings.TrimPrefix(q.Role, "/"))
			p.questions = append(p.questions, question{of: region + " AssumeRole", needs: needsLookup, ask: ask(types.LookupAttributeKeyResourceName, arn)})
		}
		p.questions = append(p.questions, question{of: region, needs: needsLookup, ask: ask(types.LookupAttributeKeyUsername, nameOfSession(q))})
		all = append(all, p)
	}
	return all
}

// collecting is reading for what nobody waits for. The two calls a second are shared with everybody who looks at the account's event history, so a place may be
// throttled for longer than a form could wait; what is given up here is missing from the report until the next reading.
var collecting = manner{timeout: 10 * time.Second, attempts: 3, patience: 2 * time.Minute}

// lookup gives the pages of one attribute. It holds one of them at a time: give returns when it was taken.
func (t *Trail) lookup(ctx context.Context, client *cloudtrail.Client, quota *quota, account string, q store.Query, m store.Mark, key types.LookupAttributeKey, value string, give func(batch)) error {
	if value == "" {
		return told("the session has no name to look for")
	}
	from, to := t.window(q, m)
	in := &cloudtrail.LookupEventsInput{StartTime: &from, EndTime: &to, MaxResults: sdk.Int32(pageSize),
		LookupAttributes: []types.LookupAttribute{{AttributeKey: key, AttributeValue: &value}}}
	for {
		out, err := call(ctx, t.c, quota, "LookupEvents", collecting, func(ctx context.Context) (*cloudtrail.LookupEventsOutput, error) {
			return client.LookupEvents(ctx, in)
		})
		if err != nil {
			return fmt.Errorf("looking up events: %w", err)
		}
		if n := len(out.Events); n > 0 {
			if at := sdk.ToTime(out.Events[n-1].EventTime); !at.IsZero() {
				m.From = at.UTC()
			}
			give(batch{account: account, events: out.Events, mark: m})
		}
		if in.NextToken = out.NextToken; sdk.ToString(in.NextToken) == "" {
			return nil
		}
	}
}

// client is CloudTrail in one account and Region, with the quota that AWS counts for these two.
func (t *Trail) client(ctx context.Context, account, region string) (*cloudtrail.Client, *quota, error) {
	cfg, err := t.c.member(ctx, account)
	if err != nil {
		return nil, nil, err
	}
	return lookupsOf(cfg, region), t.c.trailQuota(account, region), nil
}

func lookupsOf(cfg sdk.Config, region string) *cloudtrail.Client {
	cfg.Region = region
	return cloudtrail.NewFromConfig(cfg, func(o *cloudtrail.Options) { o.Retryer = sdk.NopRetryer{} })
}

// trailQuota is the limit of one account and Region, made at first use. There are as many as there are accounts and Regions in
// the policy, so they are never dropped.
func (c *Connection) trailQuota(account, region string) *quota {
	if c.cfg.MemberRole == "" {
		account = "" // whatever is asked about, it is the bot's own account that is called
	}
	return c.trailQuotaOf(account+" "+region, func() *quota { return newQuota("cloudtrail", c.cfg.Limits.CloudTrail, c.cfg.Limits.Lifted) })
}

// counted is a service of which a few calls are made: counted, and slowed where it throttles, but without a limit of our own.
func (c *Connection) counted(service string) *quota {
	return c.trailQuotaOf(service, func() *quota { return newQuota(service, Rate{}, true) })
}

func (c *Connection) trailQuotaOf(key string, make func() *quota) *quota {
	c.mu.Lock()
	defer c.mu.Unlock()
	q, ok := c.trail[key]
	if !ok {
		q = make()
		c.trail[key] = q
	}
	return q
}

// sessionName is what a permission set's role session is called: the user name, cut at STS's limit. AWS documents it nowhere;
// it is so in practice.
func sessionName(userName string) string {
	return userName[:min(len(userName), maxSessionName)]
}
