package workflows

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"breakglass/store"
)

// unwritten are removals that were made while the store could not be written, until the log has them.
type unwritten struct {
	mu sync.Mutex
	at map[store.ID]time.Time
}

// anywayPause is between two removals of the same access while the store cannot be written: nothing but memory knows that one was made.
const anywayPause = time.Minute

// anyway takes access away that is over, although that it ends could not be written down: a full disk stops new requests and never a revocation. It is the one effect
// that is not recorded before it is tried; the log has it as soon as it can be written again.
func (e *Engine) anyway(ctx context.Context, r store.Request) {
	now := e.now()
	if r.State != store.Active && r.State != store.Granting || r.Standing || !r.Over(store.ClockEnd, now) {
		return // a removal that was recorded asks AWS before it writes anything
	}
	e.owed.mu.Lock()
	last, again := e.owed.at[r.ID]
	e.owed.mu.Unlock()
	if again && now.Before(last.Add(anywayPause)) {
		return
	}
	a, known, err := e.DB.Access(r.Tuple())
	if err != nil || !known || a.Standing || e.othersLive(a, r.ID, now) {
		return // what cannot be read may be somebody else's
	}
	ctx, cancel := context.WithTimeout(store.Overdue(ctx, dueOf(r)), askPatience)
	defer cancel()
	_, err = e.Assigner.Unassign(ctx, r.Tuple())
	if err != nil && !errors.Is(err, store.ErrGone) {
		e.Log.Error("the store cannot be written, and access that is over could not be removed either", "request", r.ID, "err", err)
		return
	}
	e.Log.Error("the store cannot be written; access that is over was removed all the same, and the log will say so when it can", "request", r.ID)
	e.owe(r.ID)
}

// Unrecorded is that a session is being ended, and that nothing of it could be written down: what was asked for will not be remembered after a restart.
type Unrecorded struct{ Err error }

func (u *Unrecorded) Error() string {
	return fmt.Sprintf("the store cannot be written (%v): the assignment is being deleted all the same, but Breakglass will not remember that it was asked to. Make room, and end the session again", u.Err)
}

func (u *Unrecorded) Unwrap() error { return u.Err }

// outAnyway is an end that somebody asked for and that could not be written down: AWS is asked to take the access away, if nobody else needs it.
func (e *Engine) outAnyway(r store.Request, cause error) error {
	a, known, err := e.DB.Access(r.Tuple())
	if err != nil || !known || r.Standing || a.Standing || r.State == store.Approved || e.othersLive(a, r.ID, e.now()) || e.Assigner == nil {
		return cause
	}
	ctx, cancel := context.WithTimeout(store.Overdue(context.Background(), e.now()), askPatience)
	defer cancel()
	if _, err := e.Assigner.Unassign(ctx, r.Tuple()); err != nil && !errors.Is(err, store.ErrGone) {
		return errors.Join(cause, err)
	}
	e.owe(r.ID)
	return &Unrecorded{cause}
}

// owe remembers a removal that the log does not have yet.
func (e *Engine) owe(id store.ID) {
	e.owed.mu.Lock()
	defer e.owed.mu.Unlock()
	if e.owed.at == nil {
		e.owed.at = map[store.ID]time.Time{}
	}
	e.owed.at[id] = e.now()
}

// othersLive says whether another session that is not over needs the access.
func (e *Engine) othersLive(a store.Access, but store.ID, now time.Time) bool {
	for _, id := range a.Live {
		if id == but {
			continue
		}
		if r, err := e.DB.Request(id); err != nil || r.ExpiresAt.After(now) {
			return true
		}
	}
	return a.Removing != "" && a.Removing != but
}

// confess writes down a removal that was made while the store could not be written.
func (e *Engine) confess(c *store.Change) error {
	e.owed.mu.Lock()
	at, owed := e.owed.at[c.Request.ID]
	e.owed.mu.Unlock()
	if !owed {
		return nil
	}
	return c.Log(store.EventOutcome, map[string]string{
		"effect": "unassign", "unrecorded": "the store could not be written when it was asked for", "at": fmt.Sprint(at.UTC().Format(time.RFC3339)),
	})
}

// confessed forgets what the log has now.
func (e *Engine) confessed(id store.ID) {
	e.owed.mu.Lock()
	defer e.owed.mu.Unlock()
	delete(e.owed.at, id)
}
