package workflows

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"breakglass/store"
	"breakglass/workflows/policy"
)

// The ends that stand besides the bot, made before the assignment in this order: the guard, in which IAM itself refuses the session after its expiry,
// then the dead man's schedules. What they must say is in the store, written in the transaction of the intent; here AWS is brought to it.
// Everything here may be repeated: a crash anywhere repeats it.

// timedPatience is how long a grant whose guard is timed waits for IAM: an emergency must not wait for its control plane.
const timedPatience = 10 * time.Second

// credentialsLive is how long credentials taken at the last moment may be valid: a permission set's sessions, as an IAM role's, last
// twelve hours at most (Identity Center user guide, session duration; IAM's MaxSessionDuration).
const credentialsLive = 12 * time.Hour

// schedulable says whether Scheduler can end an access: it acts in the account of Identity Center only, so not on an IAM role elsewhere.
func (e *Engine) schedulable(r store.Request) bool {
	return !e.switchedOff() && r.Role == "" && !r.Standing
}

// switchedOff says whether no schedules are made. Those of before are removed all the same.
func (e *Engine) switchedOff() bool { return e.DeadMan == nil || e.NoSchedules }

// guarded says whether a request gets a line in a guard. Where the guard is not closed, a line would cut off what stood before at the
// end of the session; such a person gets none.
func (e *Engine) guarded(r store.Request, closed bool) bool {
	return e.Guards != nil && r.Group == "" && r.Guard != policy.GuardNone && (!r.Standing || closed)
}

// makeEnds makes what must stand before access is opened, and says what does. An error means that nothing may be opened; a
// *store.Refusal in it that trying again will not help.
func (e *Engine) makeEnds(ctx context.Context, r store.Request) (store.Ends, error) {
	stand := store.Ends{Full: r.Ends.Full, Anew: r.Ends.Anew}
	var missing []string
	a, _, err := e.DB.Access(r.Tuple())
	if err != nil {
		return stand, err
	}
	if r.Standing && !a.Lined {
		return stand, nil // it is never taken away, so nothing may end it
	}
	var unguarded error
	switch {
	case e.Guards == nil && r.Group == "":
		missing = append(missing, "the operator has switched the guard policies off, so credentials that were taken live on for as long as their session lasts")
	case a.Lined:
		if unguarded = e.makeGuard(ctx, r); unguarded == nil {
			stand.Guard = true
		} else if r.Guard != policy.GuardTimed {
			return stand, fmt.Errorf("write the guard: %w", unguarded)
		}
	case r.Ends.Full:
		missing = append(missing, "there is no room for another person in its guard, so credentials that were taken live on for as long as their session lasts")
	case r.Guard == policy.GuardNone && r.Group == "":
		if err := e.openGuard(ctx, r.Tuple()); err != nil {
			return stand, fmt.Errorf("open the guard that was closed before: %w", err)
		}
		missing = append(missing, "the policy gives this scenario no guard, so credentials that were taken live on for as long as their session lasts")
	}
	switch {
	case r.Group != "": // the membership's id is known only when it exists
	case e.schedulable(r):
		if err := e.makeSchedules(ctx, r); err != nil {
			return stand, fmt.Errorf("make the dead man's schedules: %w", err)
		}
		stand.Schedules = true
	case e.switchedOff() && r.Role == "":
		if len(a.Schedules) > 0 { // made before they were switched off, for an end that comes too soon
			if err := e.makeSchedules(ctx, r); err != nil {
				return stand, fmt.Errorf("remove the dead man's schedules of before: %w", err)
			}
		}
		missing = append(missing, "the operator has switched the dead man's schedules off, so if Breakglass is gone nobody takes the assignment away")
	}
	if unguarded != nil {
		if !stand.Schedules {
			return stand, fmt.Errorf("write the guard: %w", unguarded)
		}
		stand.Unguarded = true
		missing = append(missing, "the guard could not be written in time ("+brief(unguarded)+"); it is tried on")
	}
	stand.Why = strings.Join(missing, "; ")
	return stand, nil
}

// openGuard writes a guard that refuses nobody in place of one that was closed, where the policy has none any more: it would refuse whoever is let in.
func (e *Engine) openGuard(ctx context.Context, of store.Tuple) error {
	if e.Guards == nil || of.Set == "" {
		return nil
	}
	w, known, err := e.writtenGuard(store.Guard{Account: of.Account, Set: of.Set})
	if err != nil || !known || !w.Now.Closed {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	return e.writeGuard(ctx, of)
}

// lasts is how long credentials of a request's session may be valid after it.
func (e *Engine) lasts(r store.Request) time.Duration {
	if e.Guards == nil {
		return credentialsLive
	}
	return min(credentialsLive, e.Guards.Lasts(r.PermissionSet))
}

// makeGuard makes sure of the fence and writes the guard's line. A timed one waits for IAM only so long.
func (e *Engine) makeGuard(ctx context.Context, r store.Request) error {
	patience := askPatience
	if r.Guard == policy.GuardTimed {
		patience = timedPatience
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := e.fence(ctx, r.Account.ID); err != nil {
		return fmt.Errorf("make sure of the fence: %w", err)
	}
	return e.writeGuard(ctx, r.Tuple())
}

// readyGuard fetches ahead what the guard will need, beside the questions to the directory. Nothing waits for it: what is wrong shows when the guard is
// written.
func (e *Engine) readyGuard(ctx context.Context, r store.Request) {
	if e.Guards == nil || r.Account.ID == "" {
		return
	}
	e.work.Add(1)
	go func() {
		defer e.work.Done()
		ctx, cancel := context.WithTimeout(ctx, timedPatience)
		defer cancel()
		e.guard("the guard's preparation", func() {
			e.Guards.Ready(ctx, r.Account.ID, r.PermissionSet)
			_ = e.fence(ctx, r.Account.ID)
		})
	}()
}

// fence makes sure of the fence of an account, and announces it where somebody changed it. The first one we write replaces what the installation laid there,
// and another policy asks for another one: neither is anybody's doing.
func (e *Engine) fence(ctx context.Context, account string) error {
	f := store.Fence{Account: account, MayAssume: e.Policy().MayAssume(account)}
	text, err := json.Marshal(f)
	if err != nil {
		return err
	}
	name := "fence " + account
	wrote, _, err := e.DB.Fact(name)
	if err != nil {
		return err
	}
	differed, err := e.Guards.Fence(ctx, f, func(differed string) error {
		return e.DB.Log(e.by(), store.EventIntent, map[string]string{"effect": "fence", "account": account, "differed": clip(differed, 300)})
	})
	if err != nil {
		return err
	}
	if wrote != string(text) {
		return e.DB.SetFact(e.by(), name, string(text), store.EventOutcome, map[string]string{"effect": "fence", "account": account, "differed": brief(errors.New(differed))})
	}
	if differed == "" {
		return nil
	}
	return e.found(finding{what: FoundFence, account: account, detail: differed, done: "It was put back."})
}

// turns lets one writer at a time work on each guard of this process, so that what is read from the store is what is written last.
type turns struct {
	mu        sync.Mutex
	all       map[string]chan struct{}
	strangers map[string][]store.Line // what guards said of people the store does not know, after a restore
	said      map[string]store.Guard  // what each guard was last brought to in this run, as far as IAM has answered
}

func (t *turns) wrote(g store.Guard) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.said == nil {
		t.said = map[string]store.Guard{}
	}
	t.said[guardFact(g)] = g
}

// stands says whether IAM has answered that a guard says this.
func (t *turns) stands(g store.Guard) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	said, ok := t.said[guardFact(g)]
	return ok && same(said, g)
}

func (t *turns) take(ctx context.Context, name string) (done func(), err error) {
	t.mu.Lock()
	if t.all == nil {
		t.all = map[string]chan struct{}{}
	}
	c := t.all[name]
	if c == nil {
		c = make(chan struct{}, 1)
		t.all[name] = c
	}
	t.mu.Unlock()
	select {
	case c <- struct{}{}:
		return func() { <-c }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for another change of the same guard: %w", ctx.Err())
	}
}

// writeGuard brings the guard that an access belongs to to what the store says. It is read after the turn was taken: of several that
// wait, the first writes for all of them.
func (e *Engine) writeGuard(ctx context.Context, of store.Tuple) error {
	done, err := e.turns.take(ctx, of.Account+" "+of.Set+" "+of.Role)
	if err != nil {
		return err
	}
	defer done()
	g, err := e.guardOf(ctx, of)
	if err != nil {
		return err
	}
	if err := e.intendGuard(g); err != nil {
		return err
	}
	if err := e.Guards.Write(ctx, g); err != nil {
		return err
	}
	e.turns.wrote(g)
	if err := e.guardWritten(g); err != nil {
		e.broken("note that a guard was written", err) // the guard says it all the same
	}
	return nil
}

// guardOf is what the guard that an access belongs to must say now.
func (e *Engine) guardOf(ctx context.Context, of store.Tuple) (store.Guard, error) {
	g, err := e.DB.Guard(of, e.now())
	if err == nil && of.Set != "" {
		g.Closed, err = e.closed(of)
	}
	if err == nil && e.restored.Load() {
		g.Lines, err = e.withStrangers(ctx, of, g.Lines)
	}
	return g, err
}

// withStrangers adds the lines that AWS has of people this store knows nothing of, until their time: a store that was restored has forgotten sessions, and the
// line may be what ends one.
func (e *Engine) withStrangers(ctx context.Context, of store.Tuple, lines []store.Line) ([]store.Line, error) {
	name := guardFact(store.Guard{Account: of.Account, Set: of.Set, Role: of.Role})
	e.turns.mu.Lock()
	all, read := e.turns.strangers[name]
	e.turns.mu.Unlock()
	if !read {
		var err error
		if all, err = e.Guards.Lines(ctx, of.Account, of.Set, of.Role); err != nil {
			return nil, fmt.Errorf("read the guard before the first writing after a restore: %w", err)
		}
		e.turns.mu.Lock()
		if e.turns.strangers == nil {
			e.turns.strangers = map[string][]store.Line{}
		}
		e.turns.strangers[name] = all
		e.turns.mu.Unlock()
	}
	for _, l := range all {
		known := slices.ContainsFunc(lines, func(k store.Line) bool { return k.Who == l.Who })
		if !known && !l.Out && l.Until.After(e.now()) {
			lines = append(lines, l)
		}
	}
	slices.SortFunc(lines, func(a, b store.Line) int { return compare(a.Who, b.Who) })
	return lines, nil
}

// closed says whether the guard of a permission set refuses whoever has no session. A set that the policy no longer grants there stays as it was.
func (e *Engine) closed(of store.Tuple) (bool, error) {
	rule, ok := e.Policy().GuardOf(of.Set, of.Account)
	if ok && opens(e.Policy(), pair{of.Account, of.Set}) {
		return rule.Closed, nil
	}
	w, _, err := e.writtenGuard(store.Guard{Account: of.Account, Set: of.Set})
	return w.Now.Closed, err
}

// endShells ends what outlives the credentials. A group opens none.
func (e *Engine) endShells(ctx context.Context, r store.Request, since time.Time) (int, error) {
	if since.IsZero() || r.Role != "" {
		since = r.GrantedAt
	}
	if e.Shells == nil || r.Group != "" || r.Standing {
		return 0, nil
	}
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	n, err := e.Shells.End(ctx, store.Shells{
		Account: r.Account, Set: r.PermissionSet, Role: r.Role, Request: r.ID, UserName: r.Requester.UserName, Since: since,
	})
	if err != nil {
		return n, fmt.Errorf("end open shells: %w", err)
	}
	return n, nil
}

// guardPause is between two tries to write a guard that a session was opened without.
const guardPause = 30 * time.Second

// guardSaid is how many of them go by until the log says once more that it still fails.
const guardSaid = 20

// guardLate writes the guard that an emergency did not wait for.
func (e *Engine) guardLate(ctx context.Context, r store.Request) error {
	err := e.makeGuard(ctx, r)
	_, terr := e.DB.Touch(e.by(), r.ID, store.Active, func(c *store.Change) error {
		q := c.Request
		if err != nil {
			q.Set(store.ClockPoll, c.By.At.Add(guardPause))
			if q.Work.Attempts++; q.Work.Attempts%guardSaid != 1 {
				return nil
			}
			return c.Log(store.EventFault, map[string]string{"effect": "guard", "error": brief(err)})
		}
		q.Work = store.Work{}
		q.Stop(store.ClockPoll)
		q.Ends.Guard, q.Ends.Unguarded, q.Ends.Why = true, false, ""
		return errors.Join(
			c.Log(store.EventOutcome, map[string]string{"effect": "guard", "stands": "true"}), card(c),
			c.Tell(store.Notice{Kind: NoticeEnds, Lane: thread(q), Data: map[string]string{"stands": "true"}}),
			c.Tell(store.Notice{Kind: NoticeEnds, Lane: lane(q, "incidents"), Data: map[string]string{"stands": "true", "incidents": "true"}}),
		)
	})
	return terr
}
