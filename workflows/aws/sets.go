package aws

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssoadmin"
	"github.com/aws/aws-sdk-go-v2/service/ssoadmin/types"
	"golang.org/x/sync/errgroup"

	"breakglass/store"
)

// setNames knows the ARN of each permission set by its name. Identity Center cannot be asked for a set by name, only for all
// of them (ListPermissionSets, ARNs only) and for each one's description, so they are read once at start, as what nobody waits for,
// and again when a name is missed. A set's name never changes (UpdatePermissionSet cannot), so a set that was described once is not
// described again; its session duration may, and is read again where that matters (lasting.go).
type setNames struct {
	c *Connection

	mu       sync.Mutex // never held while a call is on its way
	byName   map[string]string
	byARN    map[string]string
	lasts    map[string]duration // by name
	listed   time.Time           // the end of the last complete listing
	listing  chan struct{}       // closed when the listing that is under way ends; nil while none is
	learnt   chan struct{}       // closed, and replaced, whenever a name is learnt
	failed   error               // of the last listing
	hidden   bool                // it saw sets whose name it could not learn
	none     bool                // it saw no set at all
	waiting  store.Urgency       // of the most urgent who waits for the listing that is under way
	hurrying chan struct{}       // closed, and replaced, when somebody more urgent comes to wait
}

// relist is how old a listing must be before a missed name causes another.
const relist = 30 * time.Second

// listingTime bounds one listing: 3,500 sets (the most an instance has) take three minutes of the whole quota, of which others have their part.
const listingTime = 15 * time.Minute

func newSetNames(c *Connection) *setNames {
	return &setNames{c: c, byName: map[string]string{}, byARN: map[string]string{}, lasts: map[string]duration{}, learnt: make(chan struct{}),
		hurrying: make(chan struct{})}
}

// lookup returns the ARN of a permission set. Where it is known, that costs nothing; else it waits for the listing no
// longer than until the name appears.
func (s *setNames) lookup(ctx context.Context, name string) (string, error) {
	var mine chan struct{} // a listing that began before, or with, this call and whose failure is its answer
	for {
		s.mu.Lock()
		if arn, ok := s.byName[name]; ok {
			s.mu.Unlock()
			return arn, nil
		}
		if s.listing == nil {
			switch {
			// A listing that failed while we waited answers us too; else everybody who waits would begin one of their own.
			case mine != nil && s.failed != nil:
				err := s.failed
				s.mu.Unlock()
				return "", err
			case !s.listed.IsZero() && s.c.now().Sub(s.listed) < relist && s.failed == nil:
				s.mu.Unlock()
				return "", fmt.Errorf("looking up permission set %q: %w", name, &store.Refusal{Code: noSet,
					Message: fmt.Sprintf("Identity Center has no permission set named %q", name)})
			}
			s.begin(ctx)
		}
		mine = s.listing
		learnt := s.learnt
		s.hurry(store.UrgencyOf(ctx))
		s.mu.Unlock()
		select {
		case <-learnt:
		case <-mine:
		case <-ctx.Done():
			return "", fmt.Errorf("looking up permission set %q: %w", name, ctx.Err())
		}
	}
}

// noSet is the code of our own refusal where a permission set does not exist.
const noSet = "NoSuchPermissionSet"

// warm begins the listing and waits for its end, after all others as long as nobody else waits for it.
func (s *setNames) warm(ctx context.Context) error {
	s.mu.Lock()
	if s.listing == nil {
		s.begin(store.Idly(ctx))
	}
	done := s.listing
	s.mu.Unlock()
	select {
	case <-done:
	case <-ctx.Done():
		return ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

// lacks says whether there is no permission set of a name, by a listing that begins after the question and whose every set is known by its name. ok is
// false where that cannot be said: the listing failed, hid something, or was empty, which is rather another instance than one whose sets are all
// gone.
func (s *setNames) lacks(ctx context.Context, name string) (lacks, ok bool) {
	for fresh := false; ; {
		s.mu.Lock()
		if fresh && s.listing == nil {
			_, known := s.byName[name]
			ok := s.failed == nil && !s.hidden && !s.none
			s.mu.Unlock()
			return ok && !known, ok
		}
		if s.listing == nil {
			s.begin(ctx)
			fresh = true
		}
		running := s.listing
		s.hurry(store.UrgencyOf(ctx))
		s.mu.Unlock()
		select {
		case <-running:
		case <-ctx.Done():
			return false, false
		}
	}
}

// begin starts a listing that outlives the caller who needed it first: others may be waiting for it too. s.mu is held.
func (s *setNames) begin(ctx context.Context) {
	done := make(chan struct{})
	s.listing, s.waiting, s.hidden, s.none = done, store.UrgencyOf(ctx), false, true
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), listingTime)
	go func() {
		defer cancel()
		err := s.list(ctx)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.failed, s.listing = err, nil
		if err == nil {
			s.listed = s.c.now()
		}
		close(done)
	}()
}

// list reads all pages, and describes what is not known yet. A set that may not be described (the bot's role may be limited
// to the break-glass sets) is passed over: what is not found then is refused by name.
func (s *setNames) list(ctx context.Context) error {
	in, err := s.c.theInstance(ctx)
	if err != nil {
		return err
	}
	// The pages go on while sets of earlier ones are described: the first names are known after two round trips.
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	var next *string
	for {
		out, err := calling(ctx, s.c, s.c.ssoAdmin, s.enter, "ListPermissionSets", reading, func(ctx context.Context) (*ssoadmin.ListPermissionSetsOutput, error) {
			return s.c.admin.ListPermissionSets(ctx, &ssoadmin.ListPermissionSetsInput{
				InstanceArn: &in.arn, MaxResults: sdk.Int32(100), NextToken: next})
		})
		if err != nil {
			return errors.Join(g.Wait(), explain("listing the permission sets", err))
		}
		for _, arn := range out.PermissionSets {
			if s.knows(arn) == "" {
				g.Go(func() error { return s.describe(gctx, in.arn, arn) })
			}
		}
		if next = out.NextToken; sdk.ToString(next) == "" {
			return g.Wait()
		}
	}
}

// describe learns one set's name.
func (s *setNames) describe(ctx context.Context, instance, arn string) error {
	set, err := s.ask(ctx, s.enter, instance, arn)
	var refused *store.Refusal
	switch err = explain("describing permission set "+arn, err); {
	case errors.As(err, &refused):
		s.c.log.Debug("permission set passed over", "arn", arn, "error", err)
	case err != nil:
		return err
	}
	s.note(set)
	s.learn(sdk.ToString(set.Name), arn)
	return nil
}

// ask describes a set. Its error is the SDK's, for missing and explain to read.
func (s *setNames) ask(ctx context.Context, enter func(context.Context) error, instance, arn string) (types.PermissionSet, error) {
	out, err := calling(ctx, s.c, s.c.ssoAdmin, enter, "DescribePermissionSet", reading, func(ctx context.Context) (*ssoadmin.DescribePermissionSetOutput, error) {
		return s.c.admin.DescribePermissionSet(ctx, &ssoadmin.DescribePermissionSetInput{InstanceArn: &instance, PermissionSetArn: &arn})
	})
	if err != nil || out.PermissionSet == nil {
		return types.PermissionSet{}, err
	}
	return *out.PermissionSet, nil
}

// hurry makes the listing as urgent as somebody who waits for it. s.mu is held.
func (s *setNames) hurry(u store.Urgency) {
	if ranked(u, 0).compare(ranked(s.waiting, 0)) < 0 {
		s.waiting = u
		close(s.hurrying)
		s.hurrying = make(chan struct{})
	}
}

// enter waits for the quota with the urgency of those who wait for the listing, also of those who come while it waits.
func (s *setNames) enter(ctx context.Context) error {
	for {
		s.mu.Lock()
		u, hurrying := s.waiting, s.hurrying
		s.mu.Unlock()
		as := store.Overdue(ctx, u.Due)
		if u.Idle {
			as = store.Idly(ctx)
		}
		if w, err := s.c.ssoAdmin.enter(as, hurrying); w != nil || err != nil {
			return err
		}
	}
}

// learn makes a name known and wakes everybody who waits for one. A set without a name is known to be hidden.
func (s *setNames) learn(name, arn string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if name == "" {
		s.hidden = true
		return
	}
	s.byName[name], s.byARN[arn] = arn, name
	close(s.learnt)
	s.learnt = make(chan struct{})
}

// knows is the name of a set that a listing shows, "" where it must be described.
func (s *setNames) knows(arn string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.none = false
	return s.byARN[arn]
}

// errStands says that a permission set is still there under the ARN that is known.
var errStands = errors.New("the permission set stands")

// moved is asked when AWS knew something of a call not: whether that was the permission set, because it was deleted and perhaps made anew under
// the same name since it was looked up. If so, the name is looked up afresh, and its new ARN returned. errStands where the set still stands, or AWS
// does not let us see whether it does; any other error is of the looking. It costs one call where the set still stands.
func (s *setNames) moved(ctx context.Context, name, arn string) (string, error) {
	in, err := s.c.theInstance(ctx)
	if err != nil {
		return "", err
	}
	_, err = s.ask(ctx, s.c.ssoAdmin.wait, in.arn, arn)
	switch {
	case err == nil, !missing(err) && refusals[code(err)]:
		return "", errStands
	case !missing(err):
		return "", err
	}
	s.mu.Lock()
	delete(s.byARN, arn)
	// Somebody else may have found out before us and learnt the new one already: that stays.
	if s.byName[name] == arn {
		delete(s.byName, name)
		s.listed = time.Time{}
	}
	s.mu.Unlock()
	now, err := s.lookup(ctx, name)
	if err == nil && now == arn {
		return "", errStands // a listing that began before it went
	}
	return now, err
}
