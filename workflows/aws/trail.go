package aws

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"

	"breakglass/store"
)

// Trail reads what was done from CloudTrail: its event history by LookupEvents (traillookup.go), an organisation trail's log group by Logs Insights
// (trailinsights.go), or the trail's bucket by Athena (trailathena.go). It is best effort by nature: minutes late, and without what the trail does not
// record. Here is what the three have in common; trailevent.go has how an event is read.
type Trail struct {
	c                *Connection
	logGroup         string
	table, workgroup string
}

// Trail returns the event history of the accounts.
func (c *Connection) Trail() *Trail { return &Trail{c: c} }

// TrailFrom returns the trail that the policy names: a log group (a name in the bot's own account and Region, or an ARN), or a table of Athena
// ("table", "database.table" or "catalog.database.table") with its workgroup, or the accounts' event history where both are empty. It is cheap.
func (c *Connection) TrailFrom(logGroup, table, workgroup string) *Trail {
	return &Trail{c: c, logGroup: logGroup, table: table, workgroup: workgroup}
}

const (
	// before and after widen the window. Before: the clocks of the two sides. After: credentials taken during a session live
	// on for up to an hour after the assignment is gone (break-glass sets have PT1H; Identity Center user guide,
	// authentication sessions), and what was done with them is the session's. See belongs for what is counted then.
	before = time.Minute
	after  = time.Hour

	maxSessionName = 64 // STS's limit of a role session's name; a longer user name is cut
)

// Collect reads what q asks for, from all places at the same time, and goes on where an earlier attempt stopped. Each event is handed over once, with the
// source it comes from ("<account>/<Region>", "<account>/access portal"); then a mark that covers it. Whoever keeps both in this order can lose any of it to a
// crash and resume: what was kept is neither handed over nor counted again. Both are called from this goroutine only; an error of either ends the reading.
//
// The sources come in a fixed order. One that failed, or that the end of ctx cut off, says so in plain words, and the others go on. Memory is bounded by a page for
// each place and 16 bytes for each event.
func (t *Trail) Collect(ctx context.Context, q store.Query, p store.Resume, each func(source string, r store.Record) error, mark func(store.Mark) error) []store.Source {
	rctx, cancel := context.WithCancel(ctx)
	defer cancel()
	places := t.places(q)
	c := newCollection(q, places, p)
	c.each, c.mark = each, mark
	batches := make(chan batch)
	// One goroutine for each place, of which there are a handful; the quota of each keeps its pace.
	for i, pl := range places {
		go pl.read(rctx, i, c.marks, batches)
	}
	var lost error
	for open := len(places); open > 0; {
		b := <-batches // every reader ends with a last one, at the latest when ctx does
		if lost == nil {
			if lost = c.take(b); lost != nil {
				cancel() // nothing of what follows can be kept
			}
		}
		if b.last {
			open--
			c.failed[b.place], c.needs[b.place] = b.err, b.needs
		}
	}
	return c.sources(ctx)
}

// place is where events are read.
type place struct {
	name      string // as people read it
	questions []question
	sorted    bool // its events are counted by the Region they happened in
}

// question is one series of pages, newest first. ask goes on from m, gives each page with the mark that it brings, and returns nil when there is nothing more.
type question struct {
	of    string
	needs string // the permission
	ask   func(ctx context.Context, m store.Mark, give func(batch)) error
}

// batch is what was found at once, on its way from a place's reader to the one who counts.
type batch struct {
	place   int
	account string // whose trail it is in
	events  []types.Event
	mark    store.Mark
	last    bool // the place's reader ends
	needs   string
	err     error
}

// places is where the events of q are, by what the policy says.
func (t *Trail) places(q store.Query) []place {
	switch {
	case t.logGroup != "":
		return []place{t.insightsPlace(q)}
	case t.table != "":
		return []place{t.athenaPlace(q)}
	case q.Set != "" && q.Role == "":
		return append(t.regionPlaces(q), t.portalPlace(q))
	}
	return t.regionPlaces(q) // nobody comes to an IAM role through the access portal
}

// read asks a place its questions, one after the other, and ends with a batch that says so.
func (pl place) read(ctx context.Context, i int, marks map[string]store.Mark, batches chan<- batch) {
	for _, a := range pl.questions {
		m := marks[a.of]
		if m.Done {
			continue
		}
		give := func(b batch) {
			b.place, b.mark.Of = i, a.of
			m = b.mark
			batches <- b
		}
		if err := a.ask(ctx, m, give); err != nil {
			batches <- batch{place: i, last: true, err: err, needs: a.needs}
			return
		}
		m.Of, m.Done = a.of, true
		batches <- batch{place: i, mark: m}
	}
	batches <- batch{place: i, last: true}
}

// collection is one reading as it grows. It belongs to one goroutine; marks is not changed and read by all.
type collection struct {
	q      store.Query
	places []place
	marks  map[string]store.Mark // that it goes on from
	has    func(string) bool
	each   func(string, store.Record) error
	mark   func(store.Mark) error

	seen   map[[16]byte]struct{}
	given  map[string]int // events, by source
	unread map[string]int // events that could not be understood, by question
	oldest []time.Time    // by place
	failed []error
	needs  []string
}

func newCollection(q store.Query, places []place, p store.Resume) *collection {
	c := &collection{q: q, places: places, marks: map[string]store.Mark{}, has: p.Has, seen: map[[16]byte]struct{}{}, given: map[string]int{}, unread: map[string]int{},
		oldest: make([]time.Time, len(places)), failed: make([]error, len(places)), needs: make([]string, len(places))}
	for _, m := range p.Marks {
		c.marks[m.Of], c.unread[m.Of] = m, m.Unread
	}
	for source, n := range p.Given {
		c.given[source] = n
	}
	for i, pl := range places {
		for _, a := range pl.questions {
			c.oldest[i] = c.marks[a.of].From
		}
	}
	return c
}

// take hands a batch over, and then its mark.
func (c *collection) take(b batch) error {
	for _, raw := range b.events {
		e, err := parse(raw)
		if err != nil {
			if c.first(sdk.ToString(raw.EventId), sdk.ToString(raw.CloudTrailEvent)) {
				c.unread[b.mark.Of]++
			}
			continue
		}
		mine, portal := e.of(c.q)
		if !mine {
			continue
		}
		r := e.record(raw, portal)
		if !c.first(r.ID, sdk.ToString(raw.CloudTrailEvent)) || c.has != nil && c.has(r.ID) {
			continue
		}
		source := c.source(b, e, portal)
		if err := c.each(source, r); err != nil {
			return fmt.Errorf("keeping an event of %s: %w", source, err)
		}
		c.given[source]++
	}
	if b.mark.Of == "" {
		return nil
	}
	b.mark.Unread = c.unread[b.mark.Of]
	c.oldest[b.place] = b.mark.From
	if err := c.mark(b.mark); err != nil {
		return fmt.Errorf("keeping how far %s was read: %w", b.mark.Of, err)
	}
	return nil
}

// first says whether an event is seen for the first time. One without an id is known by its text.
func (c *collection) first(id, text string) bool {
	if id == "" {
		id = text
	}
	short := idOf(id)
	_, twice := c.seen[short]
	c.seen[short] = struct{}{}
	return !twice
}

// portalName is what people read as the source of the access portal's events.
const portalName = "access portal"

// source names where an event comes from.
func (c *collection) source(b batch, e *trailEvent, portal bool) string {
	switch {
	case portal:
		return cmp.Or(clean(e.Recipient, maxField), b.account) + "/" + portalName
	case c.places[b.place].sorted:
		return b.account + "/" + clean(e.AWSRegion, maxField)
	}
	return b.account + "/" + c.places[b.place].name
}

// sources says how the reading went: each place, and after one that has the events of all Regions what it had of each.
func (c *collection) sources(ctx context.Context) []store.Source {
	var all []store.Source
	named := map[string]bool{}
	for i, pl := range c.places {
		unread := 0
		for _, a := range pl.questions {
			unread += c.unread[a.of]
		}
		oldest := c.oldest[i]
		if len(pl.questions) > 1 {
			oldest = time.Time{} // each got as far as it got
		}
		named[pl.name] = true
		all = append(all, store.Source{Region: pl.name, Events: c.count(pl.name), Error: troubles(ctx, c.failed[i], c.needs[i], oldest, unread)})
	}
	var others []string
	for source := range c.given {
		if _, name, _ := strings.Cut(source, "/"); !named[name] {
			named[name] = true
			others = append(others, name)
		}
	}
	slices.Sort(others)
	for _, name := range others {
		all = append(all, store.Source{Region: name, Events: c.count(name)})
	}
	return all
}

func (c *collection) count(name string) (n int) {
	for source, m := range c.given {
		if _, s, _ := strings.Cut(source, "/"); s == name {
			n += m
		}
	}
	return n
}

// told is an error that is in plain words already.
type told string

func (t told) Error() string { return string(t) }

// troubles says what is missing from a source, "" where nothing is. The newest events come first, so a reading that broke off lacks the older ones.
func troubles(ctx context.Context, err error, needs string, oldest time.Time, unread int) string {
	var said []string
	var plain told
	switch {
	case err == nil:
	case errors.As(err, &plain):
		said = append(said, string(plain))
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		said = append(said, "the time for one reading was over")
	default:
		said = append(said, inWords(err, needs))
	}
	if err != nil && !oldest.IsZero() {
		said = append(said, "nothing before "+oldest.UTC().Format("15:04:05 UTC")+" was read")
	}
	switch {
	case unread == 1:
		said = append(said, "1 event could not be understood")
	case unread > 1:
		said = append(said, fmt.Sprintf("%d events could not be understood", unread))
	}
	return strings.Join(said, "; ")
}

// window is what is asked for. It never reaches into the future, and ends where an earlier attempt got to: a second later, since events carry
// whole seconds, of which only a part may have been handed over.
func (t *Trail) window(q store.Query, m store.Mark) (from, to time.Time) {
	from, to = q.From.Add(-before), q.To.Add(after)
	if now := t.c.now(); to.After(now) {
		to = now
	}
	return from, upTo(from, to, m)
}

// upTo is the end of a window that was read down to m.
func upTo(from, to time.Time, m store.Mark) time.Time {
	if got := m.From.Truncate(time.Second).Add(time.Second); !m.From.IsZero() && got.Before(to) {
		to = got
	}
	if !to.After(from) {
		to = from.Add(time.Second)
	}
	return to
}

// idOf shortens an event id, so that remembering a hundred thousand of them stays cheap.
func idOf(eventID string) [16]byte {
	sum := sha256.Sum256([]byte(eventID))
	return [16]byte(sum[:16])
}
