package aws

import (
	"context"
	"fmt"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"golang.org/x/sync/errgroup"

	"breakglass/store"
)

// Guards keeps the policies in which IAM itself refuses a session after its end: the guard of each permission set, which is a customer
// managed policy of the account ("customer managed policies that are used by the permission sets", Identity Center user guide,
// "Revoke active IAM role sessions created by permission sets": it works on live sessions and needs no provisioning), the inline guard of
// each break-glass role, and the fence. What they say is in guarddoc.go and fencedoc.go, how a version is made in guardversion.go.
//
// All Guards of one Connection are the same: what is known of the policies is the Connection's.
type Guards struct {
	c      *Connection
	prefix string
	book   *guardBook
}

// Guards returns the guard policies that the member role can write. Without a prefix there are none: Write refuses, the others do nothing.
func (c *Connection) Guards() *Guards {
	return &Guards{c: c, prefix: c.cfg.Guard, book: c.guards}
}

// readyPatience bounds Ready: somebody is waiting for what comes after it.
const readyPatience = 5 * time.Second

// Ready fetches ahead what Write and Fence will need in an account: the member role's credentials, how many versions the guards have that were
// written or inspected before and of this permission set's ("" for none), what the fence says, and how long the set's sessions last, which
// somebody may have changed (see Lasts). It returns when all of that has been asked, or after five seconds; what went wrong shows in Write and
// Fence.
func (g *Guards) Ready(ctx context.Context, account, set string) {
	if g.prefix == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, readyPatience)
	defer cancel()
	var all errgroup.Group
	if set != "" {
		all.Go(func() error { return g.c.sets.refresh(ctx, set) })
	}
	all.Go(func() error { _, err := g.c.member(ctx, account); return err }) // what is known of the policies may need none, and the write does
	all.Go(func() error { return g.lookAtFence(ctx, account) })
	if set != "" {
		all.Go(func() error { return g.tidy(ctx, g.policyOf(store.Guard{Account: account, Set: set})) })
	}
	_ = all.Wait() // as its doc says
}

// Write brings a guard to exactly what gu says, and returns when IAM has taken it; sessions feel it some seconds later ("changes that I make
// are not always immediately visible", IAM user guide, troubleshooting). It is one call in the ordinary case and none where the last write of
// this process said the same. Of several writers of one guard, each waits for the one before.
//
// A *store.Refusal says that trying again will not help: GuardFull, found before anything was asked; NoSuchEntity, where the account lacks the
// policy; AccessDenied, where the member role may not. After an answer that was lost nothing is taken for known, and the next Write
// writes in any case.
func (g *Guards) Write(ctx context.Context, gu store.Guard) error {
	if g.prefix == "" {
		return &store.Refusal{Code: "GuardOff", Message: "the guard policies are switched off (BREAKGLASS_GUARD is empty)"}
	}
	doc := guardDocument(gu)
	if err := g.fits(gu, doc); err != nil {
		return err
	}
	if err := g.put(ctx, g.policyOf(gu), doc); err != nil {
		return fmt.Errorf("writing the guard: %w", err)
	}
	return nil
}

// Inspect reads what a guard says and compares it with what it must say, as policies and not as texts. A guard whose policy does not exist
// is a *store.Refusal: nothing here can make it.
func (g *Guards) Inspect(ctx context.Context, gu store.Guard) (string, error) {
	if g.prefix == "" {
		return "", nil
	}
	p, want := g.policyOf(gu), guardDocument(gu)
	// Read without the turn: somebody may wait to be let in, for whom two round trips are long.
	seen := p.writes.Load()
	have, err := g.read(ctx, p)
	if err := p.turn.take(ctx); err != nil {
		return "", fmt.Errorf("waiting for another change of %s: %w", p.name, err)
	}
	defer p.turn.leave()
	if p.writes.Load() != seen {
		return "", nil // written meanwhile: what was read says nothing of what stands
	}
	if err != nil {
		p.forget()
		return "", fmt.Errorf("reading the guard: %w", err)
	}
	if have == "" {
		p.document = ""
		return fmt.Sprintf("the role %s has no inline policy %s", clean(p.role, 64), p.name), nil
	}
	differs := compare(want, have)
	if p.document = ""; differs == "" {
		p.document = want
	}
	return differs, nil
}

// policyOf is the policy that a guard is written to.
func (g *Guards) policyOf(gu store.Guard) *policy {
	if gu.Role != "" {
		return g.book.policy(gu.Account, gu.Role, g.prefix, fmt.Sprintf("arn:%s:iam::%s:role/%s", partition(g.c.cfg.Region), gu.Account, gu.Role))
	}
	return g.managed(gu.Account, g.prefix+"-"+gu.Set)
}

func (g *Guards) managed(account, name string) *policy {
	return g.book.policy(account, "", name, fmt.Sprintf("arn:%s:iam::%s:policy/%s", partition(g.c.cfg.Region), account, name))
}

// iam is IAM of an account, by the member role there, with what counts its calls. IAM throttles each account by itself and does not say at what rate.
func (c *Connection) iam(ctx context.Context, account string) (*iam.Client, *quota, error) {
	cfg, err := c.member(ctx, account)
	if err != nil {
		return nil, nil, err
	}
	return iam.NewFromConfig(cfg, func(o *iam.Options) { o.Retryer = sdk.NopRetryer{} }), c.guards.quota(account), nil
}
