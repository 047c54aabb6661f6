package workflows

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"breakglass/store"
	"breakglass/workflows/policy"
)

// The reconciliation compares what stands in AWS with what the store and the policy explain, and says what they do not. It asks AWS at the lowest
// urgency: nobody waits for it, and nobody may wait because of it.

// reconcileEvery is how often. Three thousand pairs of account and permission set take some five minutes of half the quota.
const reconcileEvery = "@every 15m"

// reconcileWidth is how many pairs are asked about at the same time.
const reconcileWidth = 4

// census is how far a reconciliation is.
type census struct {
	mu          sync.Mutex
	running     bool
	done, total int
	said        time.Time
}

// sayEvery is how often a long one says how far it is.
const sayEvery = 30 * time.Second

// beginCensus begins a reconciliation in the background, unless one is under way.
func (e *Engine) beginCensus() {
	e.spawn("reconcile", e.rooms.census, func(ctx context.Context) {
		if err := e.Reconcile(ctx); err != nil && ctx.Err() == nil {
			e.Log.Warn("the reconciliation is not complete; it is repeated", "err", err)
		}
	}, nil)
}

// tidySoon takes away what a grant that came to nothing left behind.
func (e *Engine) tidySoon(of store.Tuple) {
	e.spawn("tidy "+scheduleTurn(of), e.rooms.quiet, func(ctx context.Context) {
		if err := e.tidyOne(ctx, of); err != nil && ctx.Err() == nil {
			e.Log.Warn("what a failed grant left behind could not be taken away yet", "err", err)
		}
	}, nil)
}

// Reconcile compares once. What could not be asked is in the error; all else was done.
func (e *Engine) Reconcile(ctx context.Context) error {
	ctx = store.Idly(ctx)
	p := e.Policy()
	began := e.now()
	var pairs []pair
	var errs []error
	if e.Inventory != nil {
		var err error
		if pairs, err = e.pairs(ctx, p); err != nil {
			errs = append(errs, err)
		}
	}
	e.census.begin(len(pairs), began)
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(reconcileWidth)
	var mu sync.Mutex
	add := func(err error) {
		mu.Lock()
		defer mu.Unlock()
		if err != nil && len(errs) < 20 {
			errs = append(errs, err)
		}
	}
	seen := newSightings()
	for _, at := range pairs {
		g.Go(func() error {
			add(e.reconcilePair(gctx, p, at, seen))
			e.census.step(e)
			return gctx.Err()
		})
	}
	_ = g.Wait()
	if e.Inventory != nil {
		add(e.reconcileGroups(ctx, p, seen))
	}
	add(e.reconcileRoles(ctx, p))
	add(e.reconcileSchedules(ctx, seen))
	add(e.tidy(ctx))
	add(e.sessionsGone(ctx, seen))
	if ctx.Err() == nil {
		add(e.remember(seen))
	}
	e.census.end(e, began)
	return errors.Join(append(errs, ctx.Err())...)
}

// pair is one permission set in one account, by its twelve digits.
type pair struct{ account, set string }

// pairs are where break-glass permission sets are provisioned, and where the policy can grant them.
func (e *Engine) pairs(ctx context.Context, p *policy.Policy) (out []pair, err error) {
	for _, set := range p.BreakGlassSets() {
		at := map[string]bool{}
		for _, a := range p.Opens(policy.Grant{Kind: policy.GrantPermissionSet, Name: set}) {
			at[a.ID] = true
		}
		accounts, werr := e.Inventory.Where(ctx, set)
		err = errors.Join(err, werr)
		for _, a := range accounts {
			at[a] = true
		}
		for a := range at {
			out = append(out, pair{a, set})
		}
	}
	slices.SortFunc(out, func(a, b pair) int {
		if a.account != b.account {
			return compare(a.account, b.account)
		}
		return compare(a.set, b.set)
	})
	return out, err
}

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// sightings are what was seen: who holds what, and which findings stand.
type sightings struct {
	mu     sync.Mutex
	listed map[store.Tuple]bool // of access that was listed
	asked  map[pair]bool        // pairs, and groups without an account, that answered
	stand  map[string]bool      // findings that are not mended by themselves
}

func newSightings() *sightings {
	return &sightings{listed: map[store.Tuple]bool{}, asked: map[pair]bool{}, stand: map[string]bool{}}
}

func (s *sightings) holds(t store.Tuple) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listed[t] = true
}

func (s *sightings) answered(at pair) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked[at] = true
}

func (s *sightings) stands(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stand[key] = true
}

// reconcilePair looks at one permission set in one account: who holds it, its guard, the fence of the account.
func (e *Engine) reconcilePair(ctx context.Context, p *policy.Policy, at pair, seen *sightings) error {
	holders, err := e.Inventory.Holders(ctx, at.account, at.set)
	if err != nil {
		return fmt.Errorf("list who has %s in %s: %w", at.set, at.account, err)
	}
	seen.answered(at)
	for _, h := range holders {
		if h.UserID != "" {
			seen.holds(store.Tuple{UserID: h.UserID, Account: at.account, Set: at.set})
		}
		if err := e.explain(ctx, p, at, "", h, seen); err != nil {
			return err
		}
	}
	return e.reconcileGuard(ctx, p, at)
}

// explain finds out whether anything explains a holder, and acts where nothing does. What the store knows is read after the listing: the intent to grant
// comes before the assignment, so whatever we made has its row by then.
func (e *Engine) explain(ctx context.Context, p *policy.Policy, at pair, group string, h store.Holder, seen *sightings) error {
	if h.GroupID != "" && p.StandsFor(at.account, at.set, h.Name) {
		return nil
	}
	if h.UserID != "" {
		a, known, err := e.DB.Access(store.Tuple{UserID: h.UserID, Account: at.account, Set: at.set, Group: group})
		if err != nil {
			return err
		}
		if known && (len(a.Live) > 0 || a.Removing != "" || e.now().Before(a.Ended.Add(listingLag))) {
			return nil
		}
	}
	f := finding{what: FoundUnexplained, account: at.account, granted: at.set + group, who: holder(h)}
	key := f.key()
	f.who = e.nameOf(ctx, h)
	seen.stands(key)
	revoke := p.Reconcile.Unexplained == policy.UnexplainedRevoke
	if !revoke {
		return e.foundOnce(key, f)
	}
	f.done = "It is being removed, as the policy says."
	seen.stands(key + " removed")
	known, err := e.standingFindings()
	if err != nil {
		return err
	}
	fresh := !slices.Contains(known, key+" removed")
	if err := e.foundOnce(key+" removed", f); err != nil { // said once more where it was only announced until now
		return err
	}
	data := map[string]string{"effect": "remove unexplained", "account": at.account, "granted": f.granted, "who": f.who}
	if fresh { // what cannot be removed is tried for ever, and written down once
		if err := e.DB.Log(e.by(), store.EventIntent, data); err != nil {
			return err
		}
	}
	if err := e.Inventory.Remove(ctx, at.account, at.set, group, h); err != nil && !errors.Is(err, store.ErrGone) {
		return fmt.Errorf("remove what nothing explains: %w", err)
	}
	return e.DB.Log(e.by(), store.EventOutcome, data)
}

// nameOf is a holder as people know them; the id where the directory does not answer.
func (e *Engine) nameOf(ctx context.Context, h store.Holder) string {
	if h.UserID == "" || h.Name != "" {
		return holder(h)
	}
	p, err := e.Directory.Look(ctx, h.UserID, nil)
	if err != nil {
		return h.UserID
	}
	return p.Person("").Label()
}

func holder(h store.Holder) string {
	switch {
	case h.GroupID != "" && h.Name != "":
		return "group " + h.Name
	case h.GroupID != "":
		return "group " + h.GroupID
	case h.Name != "":
		return h.Name
	}
	return h.UserID
}

// reconcileGroups looks at the groups that scenarios grant, and at the anchors, which must be empty.
func (e *Engine) reconcileGroups(ctx context.Context, p *policy.Policy, seen *sightings) error {
	var errs []error
	for _, group := range p.GrantedGroups() {
		members, err := e.Inventory.Members(ctx, group)
		if err != nil {
			errs = append(errs, fmt.Errorf("list the members of %s: %w", group, err))
			continue
		}
		seen.answered(pair{set: group})
		for _, h := range members {
			seen.holds(store.Tuple{UserID: h.UserID, Group: group})
			errs = append(errs, e.explain(ctx, p, pair{}, group, h, seen))
		}
	}
	for _, group := range p.Reconcile.Anchors {
		members, err := e.Inventory.Members(ctx, group)
		if err != nil {
			errs = append(errs, fmt.Errorf("list the members of the anchor %s: %w", group, err))
			continue
		}
		seen.answered(pair{set: group})
		for _, h := range members {
			f := finding{what: FoundAnchor, granted: group, who: holder(h)}
			key := f.key()
			f.who = e.nameOf(ctx, h)
			seen.stands(key)
			errs = append(errs, e.foundOnce(key, f))
		}
	}
	return errors.Join(errs...)
}

// sessionsGone ends sessions whose assignment somebody removed behind our back. A listing may lag behind a grant, so a young session is left alone, and
// it is listed once more.
func (e *Engine) sessionsGone(ctx context.Context, seen *sightings) error {
	open, err := e.DB.Open()
	if err != nil {
		return err
	}
	var errs []error
	for _, r := range open {
		t := r.Tuple()
		at := pair{t.Account, t.Set + t.Group}
		if r.State != store.Active || r.Role != "" || !seen.asked[at] || seen.listed[t] || e.now().Before(r.VerifiedAt.Add(listingLag)) {
			continue
		}
		there, err := e.assigned(ctx, r)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if there {
			continue
		}
		f := finding{what: FoundVanished, account: t.Account, granted: r.Granted(), who: r.Requester.Label(), request: r.ID, done: "The session is noted as ended."}
		errs = append(errs, e.found(f))
		var moved *store.TransitionError
		if err := e.beginEnd(r, store.Active, store.Bot(), store.EndVanished, nil); err != nil && !errors.As(err, &moved) {
			errs = append(errs, err)
		}
		e.kickID(r.ID)
	}
	return errors.Join(errs...)
}

func (c *census) begin(total int, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running, c.done, c.total, c.said = true, 0, total, now
}

func (c *census) step(e *Engine) {
	c.mu.Lock()
	c.done++
	done, total, now := c.done, c.total, e.now()
	say := now.Sub(c.said) >= sayEvery
	if say {
		c.said = now
	}
	c.mu.Unlock()
	e.meters.census.Set(float64(done))
	if say {
		e.Log.Info("reconciling", "done", done, "of", total)
	}
}

func (c *census) end(e *Engine, began time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running = false
	e.Log.Info("reconciled", "pairs", c.done, "of", c.total, "took", e.now().Sub(began).Round(time.Second).String())
}

// Census says how far the reconciliation is: pairs of account and permission set.
func (e *Engine) Census() (done, total int, running bool) {
	e.census.mu.Lock()
	defer e.census.mu.Unlock()
	return e.census.done, e.census.total, e.census.running
}
