package aws

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssoadmin"
	"golang.org/x/sync/errgroup"

	"breakglass/store"
)

// setNames knows the ARN of each permission set by its name. Identity Center cannot be asked for a set by name, only for all
// of them (ListPermissionSets, ARNs only) and for each one's description, so they are read once at start, at a pace that
// leaves room for grants, and again when a name is missed. A set's name never changes (UpdatePermissionSet cannot), so a set that
// was described once is not described again.
type setNames struct {
	c *Connection

	mu      sync.Mutex // never held while a call is on its way
	byName  map[string]string
	byARN   map[string]string
	listed  time.Time     // the end of the last complete listing
	listing chan struct{} // closed when the listing that is under way ends; nil while none is
	learnt  chan struct{} // closed, and replaced, whenever a name is learnt
	failed  error         // of the last listing
	hurry   atomic.Bool   // somebody waits for the listing
}

// relist is how old a listing must be before a missed name causes another.
const relist = 30 * time.Second

// listingTime bounds one listing: 3,500 sets (the most an instance has) at the slower pace would take ten minutes.
const listingTime = 15 * time.Minute

func newSetNames(c *Connection) *setNames {
	return &setNames{c: c, byName: map[string]string{}, byARN: map[string]string{}, learnt: make(chan struct{})}
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
				return "", fmt.Errorf("looking up permission set %q: %w", name, &store.Refusal{Code: "NoSuchPermissionSet",
					Message: fmt.Sprintf("Identity Center has no permission set named %q", name)})
			}
			s.begin(ctx)
		}
		mine = s.listing
		learnt := s.learnt
		s.mu.Unlock()
		s.hurry.Store(true)
		select {
		case <-learnt:
		case <-mine:
		case <-ctx.Done():
			return "", fmt.Errorf("looking up permission set %q: %w", name, ctx.Err())
		}
	}
}

// warm begins the listing and waits for its end, at the slow pace as long as nobody else waits for it.
func (s *setNames) warm(ctx context.Context) error {
	s.mu.Lock()
	if s.listing == nil {
		s.begin(ctx)
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

// begin starts a listing that outlives the caller who needed it first: others may be waiting for it too. s.mu is held.
func (s *setNames) begin(ctx context.Context) {
	done := make(chan struct{})
	s.listing = done
	s.hurry.Store(false)
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
		out, err := call(ctx, s.c, s.c.ssoAdmin, "ListPermissionSets", reading, func(ctx context.Context) (*ssoadmin.ListPermissionSetsOutput, error) {
			return s.c.admin.ListPermissionSets(ctx, &ssoadmin.ListPermissionSetsInput{
				InstanceArn: &in.arn, MaxResults: sdk.Int32(100), NextToken: next})
		})
		if err != nil {
			return errors.Join(g.Wait(), explain("listing the permission sets", err))
		}
		for _, arn := range out.PermissionSets {
			if s.nameOf(arn) == "" {
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
	if !s.hurry.Load() {
		if err := s.c.slow.wait(ctx); err != nil {
			return err
		}
	}
	name, err := s.ask(ctx, instance, arn)
	var refused *store.Refusal
	switch err = explain("describing permission set "+arn, err); {
	case errors.As(err, &refused):
		s.c.log.Debug("permission set passed over", "arn", arn, "error", err)
		return nil
	case err != nil:
		return err
	}
	s.learn(name, arn)
	return nil
}

// ask describes a set. Its error is the SDK's, for missing and explain to read.
func (s *setNames) ask(ctx context.Context, instance, arn string) (string, error) {
	out, err := call(ctx, s.c, s.c.ssoAdmin, "DescribePermissionSet", reading, func(ctx context.Context) (*ssoadmin.DescribePermissionSetOutput, error) {
		return s.c.admin.DescribePermissionSet(ctx, &ssoadmin.DescribePermissionSetInput{InstanceArn: &instance, PermissionSetArn: &arn})
	})
	if err != nil || out.PermissionSet == nil {
		return "", err
	}
	return sdk.ToString(out.PermissionSet.Name), nil
}

// learn makes a name known and wakes everybody who waits for one.
func (s *setNames) learn(name, arn string) {
	if name == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.byName[name], s.byARN[arn] = arn, name
	close(s.learnt)
	s.learnt = make(chan struct{})
}

func (s *setNames) nameOf(arn string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byARN[arn]
}

// moved is asked when AWS knew something of a call not: whether that was the permission set, because it was deleted and
// perhaps made anew under the same name since it was looked up. If so, the name is looked up afresh. It costs one call where
// the set still stands.
func (s *setNames) moved(ctx context.Context, name, arn string) bool {
	in, err := s.c.theInstance(ctx)
	if err != nil {
		return false
	}
	if _, err := s.ask(ctx, in.arn, arn); !missing(err) {
		return false
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
	return err == nil && now != arn
}
