package aws

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"

	"breakglass/store"
)

// Trail reads CloudTrail's event history, by LookupEvents in each account and Region. It is best effort by nature: management events
// of 90 days, minutes late, no data events (S3 objects, table items). What is asked here is how it is found, trailevent.go how
// it is read.
type Trail struct{ c *Connection }

// Trail returns the event history of the accounts.
func (c *Connection) Trail() *Trail { return &Trail{c} }

const (
	// before and after widen the window. Before: the clocks of the two sides. After: credentials taken during a session live
	// on for up to an hour after the assignment is gone (break-glass sets have PT1H; Identity Center user guide,
	// authentication sessions), and what was done with them is the session's. See belongs for what is counted then.
	before = time.Minute
	after  = time.Hour

	pageSize       = 50 // the most LookupEvents gives
	maxSessionName = 64 // STS's limit of a role session's name; a longer user name is cut
	globalRegion   = "us-east-1"
)

// page is one answer, on its way from a Region's reader to the one who counts.
type page struct {
	source int
	events []types.Event
	end    bool
	err    error
}

// Read reads what q asks for: all Regions at the same time, a page of each in memory, each event once. each is called from this
// goroutine only. The sources come in the order of the account's Regions, then us-east-1, where global services log, then
// Identity Center's own Region, where role sessions begin; a Region that failed says so in plain words, and the others go on.
func (t *Trail) Read(ctx context.Context, q store.Query, each func(store.Record)) []store.Source {
	regions := regionsOf(q.Account, t.c.cfg.Region)
	pages := make(chan page)
	// One goroutine for each Region, of which an account has a handful; the quota of each keeps its pace.
	for i, region := range regions {
		go t.region(ctx, q, region, i, pages)
	}
	sources := make([]store.Source, len(regions))
	unreadable := make([]int, len(regions))
	oldest := make([]time.Time, len(regions))
	seen := map[[16]byte]struct{}{}
	for open := len(regions); open > 0; {
		p := <-pages // every reader ends with a last page, at the latest when ctx does
		s := &sources[p.source]
		for _, raw := range p.events {
			id := idOf(sdk.ToString(raw.EventId))
			if _, twice := seen[id]; twice {
				continue
			}
			seen[id] = struct{}{}
			oldest[p.source] = sdk.ToTime(raw.EventTime)
			e, err := parse(raw)
			if err != nil {
				unreadable[p.source]++
				continue
			}
			if e.belongs(q) {
				s.Events++
				each(e.record(raw))
			}
		}
		if p.end {
			open--
			s.Region = regions[p.source]
			s.Error = troubles(p.err, oldest[p.source], unreadable[p.source])
		}
	}
	return sources
}

// troubles says what is missing from a source, "" where nothing is. LookupEvents gives the newest events first, so
// a reading that broke off lacks the older ones.
func troubles(err error, oldest time.Time, unreadable int) string {
	var s string
	if err != nil {
		s = inWords(err, "cloudtrail:LookupEvents")
		if !oldest.IsZero() {
			s += "; nothing before " + oldest.UTC().Format("15:04:05 UTC") + " was read"
		}
	}
	if unreadable > 0 {
		if s != "" {
			s += "; "
		}
		if unreadable == 1 {
			return s + "1 event could not be understood"
		}
		s += fmt.Sprintf("%d events could not be understood", unreadable)
	}
	return s
}

// regionsOf is where an account's events are looked for.
func regionsOf(a store.Account, home string) []string {
	var all []string
	for _, r := range slices.Concat(a.Regions, []string{globalRegion, home}) {
		if !slices.Contains(all, r) {
			all = append(all, r)
		}
	}
	return all
}

// region reads one Region page by page and ends with a page that says so.
func (t *Trail) region(ctx context.Context, q store.Query, region string, source int, pages chan<- page) {
	pages <- page{source: source, end: true, err: t.lookup(ctx, q, region, func(events []types.Event) {
		pages <- page{source: source, events: events}
	})}
}

// lookup gives one Region's pages to give, newest first. It holds one of them at a time: give returns when it was taken.
func (t *Trail) lookup(ctx context.Context, q store.Query, region string, give func([]types.Event)) error {
	client, quota, err := t.client(ctx, q.Account.ID, region)
	if err != nil {
		return err
	}
	from, to := t.window(q)
	in := &cloudtrail.LookupEventsInput{StartTime: &from, EndTime: &to, MaxResults: sdk.Int32(pageSize),
		LookupAttributes: []types.LookupAttribute{{AttributeKey: types.LookupAttributeKeyUsername, AttributeValue: sdk.String(nameOfSession(q))}}}
	for {
		out, err := call(ctx, t.c, quota, "LookupEvents", reading, func(ctx context.Context) (*cloudtrail.LookupEventsOutput, error) {
			return client.LookupEvents(ctx, in)
		})
		if err != nil {
			return fmt.Errorf("looking up events: %w", err)
		}
		give(out.Events)
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
	cfg.Region = region
	return cloudtrail.NewFromConfig(cfg, func(o *cloudtrail.Options) { o.Retryer = sdk.NopRetryer{} }), t.c.trailQuota(account, region), nil
}

// trailQuota is the limit of one account and Region, made at first use. There are as many as there are accounts and Regions in
// the policy, so they are never dropped.
func (c *Connection) trailQuota(account, region string) *quota {
	if c.cfg.MemberRole == "" {
		account = "" // whatever is asked about, it is the bot's own account that is called
	}
	key := account + " " + region
	c.mu.Lock()
	defer c.mu.Unlock()
	q, ok := c.trail[key]
	if !ok {
		q = newQuota("cloudtrail", c.cfg.Limits.CloudTrail, c.cfg.Limits.Lifted)
		c.trail[key] = q
	}
	return q
}

// window is what LookupEvents is asked for. It never reaches into the future.
func (t *Trail) window(q store.Query) (from, to time.Time) {
	from, to = q.From.Add(-before), q.To.Add(after)
	if now := t.c.now(); to.After(now) {
		to = now
	}
	if !to.After(from) {
		to = from.Add(time.Second)
	}
	return from, to
}

// sessionName is what a permission set's role session is called: the user name, cut at STS's limit. AWS documents it nowhere;
// it is so in practice.
func sessionName(userName string) string {
	return userName[:min(len(userName), maxSessionName)]
}

// idOf shortens an event id, so that remembering a hundred thousand of them stays cheap.
func idOf(eventID string) [16]byte {
	sum := sha256.Sum256([]byte(eventID))
	return [16]byte(sum[:16])
}
