package workflows_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"breakglass/store"
)

// AWS as the engine meets it: a directory, and access that comes and goes by changes that take their time.

// settle lets everything come true whose time has come: changes that are done, and schedules that fire.
func (w *world) settle() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.finish(time.Now())
	w.fire(time.Now())
	w.finish(time.Now())
}

// finish ends the changes that are done. w.mu is held.
func (w *world) finish(now time.Time) {
	for _, c := range w.changes {
		if c.applied || c.done.After(now) {
			continue
		}
		c.applied = true
		switch {
		case !c.removal:
			w.put(c.t, c.done)
		case w.has[c.t]:
			delete(w.has, c.t)
		default:
			c.failed = true
		}
	}
}

// put is that somebody has something from a moment on.
func (w *world) put(t store.Tuple, at time.Time) {
	if !w.has[t] {
		w.since[t] = at
	}
	w.has[t] = true
}

var errAWS = errors.New("AWS did not answer")

// Directory.

func (r *run) Look(ctx context.Context, id string, _ []string) (store.Principal, error) {
	if err := r.out(ctx); err != nil {
		return store.Principal{}, err
	}
	time.Sleep(time.Duration(r.w.slow.Load()))
	if r.w.look != nil {
		if err := r.w.look(); err != nil {
			return store.Principal{}, err
		}
	}
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	p, ok := r.w.people[id]
	if !ok {
		return p, store.ErrNobody
	}
	return p, nil
}

func (r *run) Find(ctx context.Context, email string, g []string) (store.Principal, error) {
	return r.Look(ctx, strings.TrimSuffix(email, "@forge.example"), g)
}

func (r *run) Members(ctx context.Context, group string, most int) (out []store.Principal, err error) {
	if err := r.out(ctx); err != nil {
		return nil, err
	}
	for _, id := range []string{"dana", "lee", "pat", "sam"} {
		if p := r.w.people[id]; p.Groups[group] {
			out = append(out, p)
		}
	}
	return out, nil
}

// Assigner.

// busy says whether AWS is at work on an access, or on anything in its account where it takes one change at a time.
func (w *world) busy(t store.Tuple) bool {
	for _, c := range w.changes {
		if !c.applied && (c.t == t || w.oneAtATime && c.t.Account == t.Account) {
			return true
		}
	}
	return false
}

func (r *run) Assign(ctx context.Context, g store.Grant) (string, error) {
	t, w := g.Tuple, r.w
	after, err := r.call(ctx, "assign", t)
	if err != nil && !after {
		return "", err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.loseCreate == 0 && w.refuse > 0 && (w.refuseAnyhow || !w.busy(t)) {
		w.refuse--
		return "", fmt.Errorf("create: %w", &store.Refusal{Code: "AccessDeniedException", Message: "no"})
	}
	if t.Set != "" && w.busy(t) {
		return "", errors.New("ConflictException")
	}
	w.creates++
	r.intended(t)
	r.endsStand(g)
	id := w.open(g)
	if w.loseCreate > 0 {
		w.loseCreate--
		return "", errAWS
	}
	return id, err
}

// open begins an assignment, or makes a membership or a trust, which are there at once.
func (w *world) open(g store.Grant) (id string) {
	t, now := g.Tuple, time.Now()
	switch {
	case t.Group != "":
		if !w.has[t] {
			w.memberships++
			w.members[t] = fmt.Sprintf("member-%d", w.memberships)
		}
		w.put(t, now)
		return w.members[t]
	case t.Role != "":
		w.put(t, now)
		w.trust[t] = g.Until
		return "trust-" + string(t.Request)
	}
	id = fmt.Sprintf("create-%d", len(w.changes))
	w.changes[id] = &change{t: t, done: now.Add(w.async)}
	return id
}

func (r *run) Unassign(ctx context.Context, t store.Tuple) (string, error) {
	w := r.w
	after, err := r.call(ctx, "unassign", t)
	if err != nil && !after {
		return "", err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if t.Set != "" && w.busy(t) {
		return "", errors.New("ConflictException")
	}
	w.deletes++
	r.removalIntended(t)
	if !w.has[t] {
		return "", store.ErrGone
	}
	if t.Set == "" {
		delete(w.has, t)
		delete(w.members, t)
		delete(w.trust, t)
		return "gone", err
	}
	id := fmt.Sprintf("delete-%d", len(w.changes))
	w.changes[id] = &change{t: t, removal: true, done: time.Now().Add(w.async)}
	return id, err
}

func (r *run) Follow(ctx context.Context, t store.Tuple, id string, removal bool) (store.Progress, string, error) {
	if err := r.out(ctx); err != nil {
		return "", "", err
	}
	if r.w.follow != nil {
		if err := r.w.follow(id, removal); err != nil {
			return "", "", err
		}
	}
	if t.Set == "" {
		return store.Succeeded, "", nil
	}
	r.w.settle()
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	c := r.w.changes[id]
	switch {
	case c == nil:
		return store.Forgotten, "", nil
	case !c.applied:
		return store.Underway, "", nil
	case c.failed:
		return store.Refused, "gone", store.ErrGone
	}
	return store.Succeeded, "", nil
}

func (r *run) Assigned(ctx context.Context, t store.Tuple) (bool, error) {
	if _, err := r.call(ctx, "assigned", t); err != nil {
		return false, err
	}
	r.w.mu.Lock()
	there := r.w.has[t] || time.Now().Before(r.w.lag)
	r.w.mu.Unlock()
	time.Sleep(time.Duration(r.w.slowList.Load()))
	return there, nil
}

// Trail.

func (r *run) Collect(ctx context.Context, _ store.Query, resume store.Resume, each func(string, store.Record) error, mark func(store.Mark) error) []store.Source {
	if err := r.out(ctx); err != nil {
		return nil
	}
	if r.w.collect != nil {
		return r.w.collect(ctx, resume, each, mark)
	}
	if r.w.trail != nil {
		r.w.trail(ctx)
	}
	return []store.Source{{Region: "us-east-1"}}
}
