package store

import (
	"errors"
	"fmt"
	"maps"
	"strconv"
	"time"
)

// What a change can be refused with, besides *TransitionError.
var (
	// ErrNotFound: there is no such request.
	ErrNotFound = errors.New("there is no such request")
	// ErrSeen: this delivery was taken already. It is success for whoever acknowledges it.
	ErrSeen = errors.New("this delivery was taken already")
	// ErrNoClock: the change would leave a request that is not at its end with nothing that will ever move it. A defect of ours.
	ErrNoClock = errors.New("nothing would ever move this request again")

	errAltered = errors.New("a change altered what it may not: who, where and what a request is about, its id, or its state")
)

// Change is one lawful change while it is being made: the record as it will stand, and what goes with it. It lives in one
// transaction; if the function that was given it returns an error, nothing of it happened.
//
// That function may run several times, on another goroutine, since changes that come together share a commit (see group): it sets what it
// tells its caller, and adds to nothing outside. It changes no id, no state, and not who gets what where; it must not
// call the DB, and nothing that waits for a network: everybody waits for it.
type Change struct {
	Request *Request
	By      By
	t       tx
}

// Submit records a new request in its first state (Pending, or Approved where nobody's word is needed) and gives it its id. fn sees the request with
// that id; it may refuse, add events and notices.
func (db *DB) Submit(by By, r Request, fn func(*Change) error) (Request, error) {
	asked := r
	err := db.change(by, func(t tx) error {
		r = asked.clone()
		return enter(t, by, &r, fn)
	})
	if err != nil {
		return Request{}, err
	}
	return r, nil
}

// Along records another request that is granted on this one's word, in the same transaction. It begins approved, and ends with this one.
func (c *Change) Along(r Request) error {
	if r.State != Approved {
		return fmt.Errorf("a request that is granted along with another begins approved, not %s", r.State)
	}
	r = r.clone()
	r.Lead = c.Request.ID
	if err := enter(c.t, c.By, &r, nil); err != nil {
		return err
	}
	c.Request.With = append(c.Request.With, r.ID)
	return nil
}

// enter gives a new request its id and writes it, with what is derived from it.
func enter(t tx, by By, r *Request, fn func(*Change) error) error {
	if r.State != Pending && r.State != Approved {
		return fmt.Errorf("a request begins pending or approved, not %s", r.State)
	}
	n := fromU64(t.get("meta", []byte("next")))
	if err := t.put("meta", []byte("next"), u64(n+1)); err != nil {
		return err
	}
	r.ID, r.Version = idOf(n), 0
	c := &Change{Request: r, By: by, t: t}
	if err := c.Log(EventSubmitted, asked(r)); err != nil {
		return err
	}
	if err := run(c, fn); err != nil {
		return err
	}
	if t.get("requests", u64(n)) != nil {
		return fmt.Errorf("%w: the number of %s was given before", ErrDamaged, r.ID)
	}
	if err := mark(t, "person", ofPerson(r, u64(n))); err != nil {
		return err
	}
	return c.write(0)
}

// asked is what somebody asks for, in the log itself: the record can be changed by whoever has the store, and of a request that is never granted there is nothing else.
func asked(r *Request) map[string]string {
	data := map[string]string{
		"state": string(r.State), "scenario": r.Scenario, "tier": strconv.Itoa(r.Tier), "account": r.Account.ID, "region": r.Region, "granted": r.Granted(), "user": r.Requester.UserID,
		"duration": r.Duration.String(), "reason": r.Reason, "ticket": r.Ticket, "context": r.Context, "policy": r.Policy,
	}
	for _, a := range r.Answers {
		data["asked "+a.Name] = a.Value
	}
	maps.DeleteFunc(data, func(_, v string) bool { return v == "" })
	return data
}

// Transition moves a request from one state to the next. The record must stand in `from`, and the table must allow the step: else
// *TransitionError. The line of the log is written here; fn adds the rest. Errors besides: ErrNotFound, ErrSeen, ErrNoClock, and what fn returns.
func (db *DB) Transition(by By, id ID, from, to State, fn func(*Change) error) (Request, error) {
	return db.alter(by, id, func(c *Change) error {
		if c.Request.State != from || !from.leadsTo(to) {
			return &TransitionError{ID: id, Is: c.Request.State, From: from, To: to}
		}
		c.Request.State = to
		if err := c.event(Event{Kind: EventMoved, From: from, To: to}); err != nil {
			return err
		}
		return run(c, fn)
	})
}

// Touch changes a request within its state: attempts, clocks, decisions that do not decide yet. The record must stand in `in`.
func (db *DB) Touch(by By, id ID, in State, fn func(*Change) error) (Request, error) {
	return db.alter(by, id, func(c *Change) error {
		if c.Request.State != in {
			return &TransitionError{ID: id, Is: c.Request.State, From: in, To: in}
		}
		return run(c, fn)
	})
}

// run is the caller's part. The id, the state and the tuple are keys elsewhere (the indexes, the log, the access): a change that
// altered them here would leave those behind.
func run(c *Change, fn func(*Change) error) error {
	if fn == nil {
		return nil
	}
	r := c.Request
	id, state, version, tuple := r.ID, r.State, r.Version, r.Tuple()
	if err := fn(c); err != nil {
		return err
	}
	if c.Request != r || r.ID != id || r.State != state || r.Version != version || r.Tuple() != tuple {
		return fmt.Errorf("%s in state %s: %w", id, state, errAltered)
	}
	return nil
}

func (db *DB) alter(by By, id ID, fn func(*Change) error) (Request, error) {
	var r Request
	err := db.change(by, func(t tx) error {
		r = Request{}
		n, ok := id.number()
		if !ok {
			return fmt.Errorf("%s: %w", id, ErrNotFound)
		}
		found, err := fetch(t, "requests", u64(n), &r)
		if err != nil {
			return err
		}
		if !found {
			return fmt.Errorf("%s: %w", id, ErrNotFound)
		}
		before := r.Due
		c := &Change{Request: &r, By: by, t: t}
		if err := fn(c); err != nil {
			return err
		}
		return c.write(before)
	})
	if err != nil {
		return Request{}, err
	}
	return r, nil
}

// change runs fn in one transaction, after it made sure that this delivery was not taken before.
func (db *DB) change(by By, fn func(tx) error) error {
	if by.At.IsZero() || by.Actor.Who == "" {
		return errors.New("a change was asked for without saying who makes it, or when")
	}
	return db.e.update(func(t tx) error {
		if by.Delivery != "" {
			if t.get("seen", []byte(by.Delivery)) != nil {
				return ErrSeen
			}
			if err := see(t, by.Delivery, by.At); err != nil {
				return err
			}
		}
		return fn(t)
	})
}

// write puts the record and everything that is derived from it. before is the due time it had.
func (c *Change) write(before int64) error {
	r := c.Request
	n, ok := r.ID.number()
	if !ok {
		return fmt.Errorf("%q is no id", r.ID)
	}
	key := u64(n)
	r.Version++
	if r.State.Ended() {
		r.Clocks = nil
		if r.ClosedAt.IsZero() {
			r.ClosedAt = c.By.At
		}
	}
	r.settle()
	r.Due = r.earliest()
	if r.Due == 0 && !r.State.Ended() {
		return fmt.Errorf("%s in state %s: %w", r.ID, r.State, ErrNoClock)
	}
	if err := c.index(key, before); err != nil {
		return err
	}
	return save(c.t, "requests", key, r)
}

func (c *Change) index(key []byte, before int64) error {
	r := c.Request
	if before != 0 && before != r.Due {
		if err := c.t.del("due", join(u64(uint64(before)), key)); err != nil {
			return err
		}
	}
	if r.Due != 0 && before != r.Due {
		if err := mark(c.t, "due", join(u64(uint64(r.Due)), key)); err != nil {
			return err
		}
	}
	of := ofPerson(r, key)
	if r.State.Ended() {
		return errors.Join(c.t.del("open", key), c.t.del("openof", of))
	}
	return errors.Join(c.t.put("open", key, []byte(r.State)), mark(c.t, "openof", of))
}

// ofPerson is the key of a request among those of its person.
func ofPerson(r *Request, key []byte) []byte {
	return join([]byte(r.Requester.UserID), []byte{0}, key)
}

// Log adds a line to the log about this request.
func (c *Change) Log(kind string, data map[string]string) error {
	return c.event(Event{Kind: kind, Data: data})
}

func (c *Change) event(e Event) error {
	if c.Request != nil {
		e.Request = c.Request.ID
	}
	return appendEvent(c.t, c.By, e)
}

// Tell puts a notice into the outbox. Its lane is the request's thread unless it names another.
func (c *Change) Tell(n Notice) error {
	if n.Request == "" && c.Request != nil {
		n.Request = c.Request.ID
	}
	if n.Lane == "" {
		n.Lane = string(n.Request)
	}
	return tell(c.t, c.By.At, n)
}

// Done takes a click out of the inbox, in the same transaction as what it led to.
func (c *Change) Done(click uint64) error {
	if click == 0 {
		return nil
	}
	return c.t.del("inbox", u64(click))
}

// OpenOf reads, in the transaction, the requests of a person that are not at their end, the newest first.
func (c *Change) OpenOf(userID string) ([]Request, error) {
	return openOf(c.t, userID)
}

func openOf(t tx, userID string) (out []Request, err error) {
	prefix := join([]byte(userID), []byte{0})
	t.scanBack("openof", prefix, func(k, _ []byte) bool {
		var r Request
		if err = must(t, "requests", k[len(prefix):], &r); err != nil {
			return false
		}
		out = append(out, r)
		return true
	})
	return out, err
}

// Fact sets a small fact in the same transaction.
func (c *Change) Fact(name, value string) error { return save(c.t, "facts", []byte(name), value) }

// Moment is a point in time as the store keeps it: UTC, so that a record reads the same on every machine.
func Moment(t time.Time) time.Time { return t.UTC().Round(0) }
