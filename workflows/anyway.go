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
