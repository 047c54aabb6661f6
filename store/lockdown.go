package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Lockdown is that every session was ended and no new one is granted until it is lifted.
type Lockdown struct {
	By  Actor     `json:"by"`
	At  time.Time `json:"at"`
	Why string    `json:"why,omitempty"`
}

// What a lockdown can be refused with.
var (
	ErrLocked    = errors.New("a lockdown is in force already")
	ErrNotLocked = errors.New("no lockdown is in force")
)

const lockdownFact = "lockdown"

// Lockdown reads the one in force.
func (db *DB) Lockdown() (l Lockdown, inForce bool, err error) {
	err = db.e.view(func(t tx) error {
		l, inForce, err = lockdown(t)
		return err
	})
	return l, inForce, err
}

// Lockdown reads the one in force, in the transaction: what it would let in is not let in.
func (c *Change) Lockdown() (Lockdown, bool, error) { return lockdown(c.t) }

func lockdown(t tx) (l Lockdown, inForce bool, err error) {
	var text string
	if known, err := fetch(t, "facts", []byte(lockdownFact), &text); err != nil || !known || text == "" {
		return l, false, err
	}
	if err := json.Unmarshal([]byte(text), &l); err != nil {
		return l, false, fmt.Errorf("%w: the lockdown cannot be read: %w", ErrDamaged, err)
	}
	return l, true, nil
}

// Lock puts a lockdown in force, with what people are to be told, in one transaction. click is what asked for it, 0 where none did. ErrLocked where
// one is in force.
func (db *DB) Lock(by By, why string, click uint64, tell ...Notice) error {
	return db.lockdown(by, click, tell, map[string]string{"lockdown": "in force", "why": why}, func(inForce bool) (string, error) {
		if inForce {
			return "", ErrLocked
		}
		text, err := json.Marshal(Lockdown{By: by.Actor, At: Moment(by.At), Why: why})
		return string(text), err
	})
}

// Unlock lifts it. ErrNotLocked where none is in force.
func (db *DB) Unlock(by By, why string, click uint64, tell ...Notice) error {
	return db.lockdown(by, click, tell, map[string]string{"lockdown": "lifted", "why": why}, func(inForce bool) (string, error) {
		if !inForce {
			return "", ErrNotLocked
		}
		return "", nil
	})
}

func (db *DB) lockdown(by By, click uint64, notices []Notice, data map[string]string, next func(inForce bool) (string, error)) error {
	return db.change(by, func(t tx) error {
		_, inForce, err := lockdown(t)
		if err != nil {
			return err
		}
		text, err := next(inForce)
		if err != nil {
			return err
		}
		c := &Change{By: by, t: t}
		errs := []error{c.Done(click), appendEvent(t, by, Event{Kind: EventLockdown, Data: data}), c.Fact(lockdownFact, text)}
		for _, n := range notices {
			errs = append(errs, tell(t, by.At, n))
		}
		return errors.Join(errs...)
	})
}
