package aws

import (
	"context"
	"fmt"
	"time"

	"breakglass/store"
)

// fenceFresh is how long what a fence was seen to say is believed.
const fenceFresh = time.Hour

// fenceAhead is how much sooner it is read again where that is done ahead, so that it does not go stale between that and the write.
const fenceAhead = 10 * time.Minute

// fenceState is what is known of the fence of one account. It belongs to whoever has the policy's turn.
type fenceState struct {
	document string    // what stood when it was read
	at       time.Time // when, by Config.Now
}

// Fence makes sure of the fence of an account: what stands is read once an hour at most, or when what must stand has changed, and put right where it
// says something else. differed says for people how it did. A *store.Refusal: the policy does not exist (NoSuchEntity), may not be written
// (AccessDenied), or would be too long (FenceFull).
//
// Without a prefix for guards there is no fence either, and nothing is done.
func (g *Guards) Fence(ctx context.Context, f store.Fence, about func(differed string) error) (differed string, err error) {
	if g.prefix == "" {
		return "", nil
	}
	doc := FenceDocument(f, g.c.cfg.Region, g.c.cfg.MemberRole, g.c.cfg.DeadManRole, g.prefix)
	if n := dense(doc); n > managedPolicyLimit {
		return "", &store.Refusal{Code: "FenceFull", Message: fmt.Sprintf("the fence of account %s would have %d characters, and IAM takes %d: let fewer permission sets go on "+
			"to other roles (may_assume), or the same ones to the same roles, which share a statement", f.Account, n, managedPolicyLimit)}
	}
	p, state := g.managed(f.Account, FenceName), g.fenceOf(f.Account)
	if err := p.turn.take(ctx); err != nil {
		return "", fmt.Errorf("waiting for another look at the fence of account %s: %w", f.Account, err)
	}
	have, err := g.fenceNow(ctx, p, state, fenceFresh)
	if err == nil {
		differed = compare(doc, have)
	}
	p.turn.leave()
	if err != nil || differed == "" {
		return "", wrap("reading the fence", err)
	}
	if err := about(differed); err != nil {
		return "", wrap("writing the fence", err)
	}
	if err := g.put(ctx, p, doc); err != nil {
		return "", wrap("writing the fence", err)
	}
	g.c.log.Warn("the fence was put right", "account", f.Account, "differed", differed)
	return differed, g.remember(ctx, p, state, doc)
}

func (g *Guards) fenceOf(account string) *fenceState {
	return entry(g.book, g.book.fences, account, func() *fenceState { return &fenceState{} })
}

// lookAtFence reads a fence ahead.
func (g *Guards) lookAtFence(ctx context.Context, account string) error {
	p, state := g.managed(account, FenceName), g.fenceOf(account)
	if err := p.turn.take(ctx); err != nil {
		return err
	}
	defer p.turn.leave()
	_, err := g.fenceNow(ctx, p, state, fenceFresh-fenceAhead)
	return err
}

// fenceNow is what the fence says, as read within the hour. p.turn is held.
func (g *Guards) fenceNow(ctx context.Context, p *policy, s *fenceState, fresh time.Duration) (string, error) {
	now := g.c.now()
	if age := now.Sub(s.at); s.document != "" && age >= 0 && age < fresh {
		return s.document, nil
	}
	doc, err := g.read(ctx, p)
	if err != nil {
		return "", err
	}
	s.document, s.at = doc, now
	p.document = "" // put must not take for standing what somebody has changed since
	return doc, nil
}

// remember is what stands now, without reading it again.
func (g *Guards) remember(ctx context.Context, p *policy, s *fenceState, doc string) error {
	if err := p.turn.take(ctx); err != nil {
		return nil // it will be read again
	}
	defer p.turn.leave()
	s.document, s.at = doc, g.c.now()
	return nil
}

func wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", doing, err)
}
