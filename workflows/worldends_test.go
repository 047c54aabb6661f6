package workflows_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
	"unsafe"

	"go.etcd.io/bbolt"

	"breakglass/store"
	"breakglass/workflows"
)

// ends is what stands in AWS besides the assignments: guards, schedules, open shells, and what nobody asked us for.
type ends struct {
	oneAtATime  bool // AWS takes one change of an account at a time
	since       map[store.Tuple]time.Time
	members     map[store.Tuple]string // ids of memberships
	trust       map[store.Tuple]time.Time
	memberships int

	noGuards, noDeadMan, noShells, noInventory bool // switched off
	// fault is what a call meets: after says that it was done all the same. op is write, fence, ready, inspect, make, remove, list, shells, where,
	// holders, members, take, assign, unassign or assigned.
	fault func(ctx context.Context, op string, t store.Tuple) (after bool, err error)
	calls []call

	guards    map[string]store.Guard
	fences    map[string]string // how they differ
	schedules map[string]store.Schedule
	shells    map[store.Tuple]int
	strangers map[string][]store.Holder // by account and set, or group
	taken     []string                  // what nothing explained and was removed
	creds     map[store.Tuple][]time.Time

	unguarded   bool // this story opens access without a guard
	unscheduled bool // or without schedules
	findings    bool // a reconciliation finds something in this story
	blind       bool // nothing is watched at this moment
	complaints  map[string]bool
}

type call struct {
	at time.Time
	op string
	t  store.Tuple
	of string
}

func newEnds() ends {
	return ends{
		since: map[store.Tuple]time.Time{}, members: map[store.Tuple]string{}, trust: map[store.Tuple]time.Time{},
		guards: map[string]store.Guard{}, fences: map[string]string{}, schedules: map[string]store.Schedule{}, shells: map[store.Tuple]int{},
		strangers: map[string][]store.Holder{}, creds: map[store.Tuple][]time.Time{}, complaints: map[string]bool{},
	}
}

type (
	guards    struct{ r *run }
	deadMan   struct{ r *run }
	shells    struct{ r *run }
	inventory struct{ r *run }
)

// equip gives the engine the ends that are not switched off.
func (r *run) equip(c *workflows.Config) {
	if !r.w.noGuards {
		c.Guards = guards{r}
	}
	if !r.w.noDeadMan {
		c.DeadMan = deadMan{r}
	}
	if !r.w.noShells {
		c.Shells = shells{r}
	}
	if !r.w.noInventory {
		c.Inventory = inventory{r}
	}
	if r.w.vault != nil {
		r.keepEvidence(c)
	}
}

// meet sets the fault that calls meet from now on.
func (w *world) meet(fault func(ctx context.Context, op string, t store.Tuple) (after bool, err error)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fault = fault
}

// call is one call: it reaches nobody where the run is dead, and may meet a fault.
func (r *run) call(ctx context.Context, op string, t store.Tuple) (after bool, err error) {
	return r.callOf(ctx, op, t, "")
}

func (r *run) callOf(ctx context.Context, op string, t store.Tuple, of string) (after bool, err error) {
	if err := r.out(ctx); err != nil {
		return false, err
	}
	w := r.w
	w.mu.Lock()
	fault := w.fault
	w.mu.Unlock()
	if fault != nil {
		after, err = fault(ctx, op, t)
	}
	w.settle()
	if err == nil || after {
		w.mu.Lock()
		w.calls = append(w.calls, call{time.Now(), op, t, of})
		w.mu.Unlock()
	}
	return after, err
}

// Guards.

func nameOf(g store.Guard) string { return g.Account + " " + g.Set + " " + g.Role }

func guardTuple(g store.Guard) store.Tuple {
	return store.Tuple{Account: g.Account, Set: g.Set, Role: g.Role}
}

func (g guards) Ready(ctx context.Context, account, _ string) {
	_, _ = g.r.call(ctx, "ready", store.Tuple{Account: account})
}

func (g guards) Write(ctx context.Context, doc store.Guard) error {
	after, err := g.r.call(ctx, "write", guardTuple(doc))
	if err != nil && !after {
		return err
	}
	w := g.r.w
	w.mu.Lock()
	defer w.mu.Unlock()
	var last struct{ Now store.Guard }
	text, _, ferr := g.r.db.Fact("guard " + nameOf(doc))
	if ferr = errors.Join(ferr, json.Unmarshal([]byte(text), &last)); ferr != nil || !sameGuard(last.Now, doc) {
		w.complain("a guard is written that was not recorded before: %v", ferr)
	}
	doc.Lines = slices.Clone(doc.Lines)
	w.guards[nameOf(doc)] = doc
	return err
}

func sameGuard(a, b store.Guard) bool {
	return a.Closed == b.Closed && slices.EqualFunc(a.Lines, b.Lines, func(x, y store.Line) bool {
		return x.Who == y.Who && x.Out == y.Out && x.Until.Equal(y.Until) && x.Before.Equal(y.Before)
	})
}

func (g guards) Inspect(ctx context.Context, doc store.Guard) (string, error) {
	if _, err := g.r.call(ctx, "inspect", guardTuple(doc)); err != nil {
		return "", err
	}
	w := g.r.w
	w.mu.Lock()
	defer w.mu.Unlock()
	if is := w.guards[nameOf(doc)]; !sameGuard(is, doc) {
		return fmt.Sprintf("it says %v, not %v", is, doc), nil
	}
	return "", nil
}

func (g guards) Fence(ctx context.Context, f store.Fence, about func(string) error) (string, error) {
	w := g.r.w
	w.mu.Lock()
	differed, known := w.fences[f.Account]
	w.mu.Unlock()
	if !known {
		differed = "it is as it was installed"
	}
	if differed != "" {
		if err := about(differed); err != nil {
			return "", err
		}
	}
	if _, err := g.r.call(ctx, "fence", store.Tuple{Account: f.Account}); err != nil {
		return "", err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fences[f.Account] = ""
	return differed, nil
}

// lets says whether the guard lets a call through that is made at a time with a credential issued at another. w.mu is held.
func (w *world) lets(t store.Tuple, issued, at time.Time) bool {
	g, known := w.guards[t.Account+" "+t.Set+" "+t.Role]
	if !known || t.Group != "" {
		return true
	}
	who := t.UserID
	if t.Role != "" {
		who = string(t.Request)
	}
	for _, l := range g.Lines {
		if l.Who == who {
			return !l.Out && at.Before(l.Until) && !issued.Before(l.Before)
		}
	}
	return !g.Closed
}

// DeadMan.

func (d deadMan) Make(ctx context.Context, s store.Schedule) error {
	after, err := d.r.callOf(ctx, "make", s.Tuple, s.Name)
	if err != nil && !after {
		return err
	}
	w := d.r.w
	w.mu.Lock()
	defer w.mu.Unlock()
	a, _, aerr := d.r.db.Access(s.Tuple)
	if aerr != nil || !slices.ContainsFunc(a.Schedules, func(o store.Schedule) bool { return o.Name == s.Name }) {
		w.complain("schedule %s is made and not in its row (%v)", s.Name, aerr)
	}
	if !d.r.said(s.Name) {
		w.complain("a schedule is made and the log had no word of it before")
	}
	if s.At.Second() != 0 || !s.At.After(time.Now()) || s.Tuple.Group != "" && s.Membership == "" {
		w.complain("AWS takes no such schedule: %+v", s)
	}
	w.schedules[s.Name] = s
	return err
}

func (d deadMan) Remove(ctx context.Context, name string) error {
	after, err := d.r.callOf(ctx, "remove", store.Tuple{}, name)
	if err != nil && !after {
		return err
	}
	d.r.w.mu.Lock()
	defer d.r.w.mu.Unlock()
	if _, there := d.r.w.schedules[name]; there && !d.r.said(name) {
		d.r.w.complain("a schedule is removed and the log had no word of it before")
	}
	delete(d.r.w.schedules, name)
	return err
}

// said says whether the log of the run has a word already. w.mu is held.
func (r *run) said(word string) bool {
	all, err := r.db.Events(r.heardTo, 1<<20)
	if err != nil {
		return false
	}
	for _, e := range all {
		r.heardTo = e.Seq
		for _, v := range e.Data {
			r.heard.WriteString(v + "\n")
		}
	}
	return strings.Contains(r.heard.String(), word)
}

func (d deadMan) List(ctx context.Context) ([]string, error) {
	if _, err := d.r.call(ctx, "list", store.Tuple{}); err != nil {
		return nil, err
	}
	d.r.w.mu.Lock()
	defer d.r.w.mu.Unlock()
	return slices.Sorted(maps.Keys(d.r.w.schedules)), nil
}

// fire lets the schedules act whose time has come, whether or not the program runs. w.mu is held.
func (w *world) fire(now time.Time) {
	for _, name := range slices.Sorted(maps.Keys(w.schedules)) {
		s := w.schedules[name]
		if s.At.After(now) {
			continue
		}
		t := s.Tuple
		if t.Set != "" && w.busy(t) {
			continue // ConflictException: Scheduler tries again
		}
		delete(w.schedules, name)
		if !w.has[t] || t.Group != "" && w.members[t] != s.Membership {
			continue
		}
		w.cutOff(s)
		if t.Group != "" {
			delete(w.has, t)
			delete(w.members, t)
			continue
		}
		w.changes[fmt.Sprintf("fired-%d", len(w.changes))] = &change{t: t, removal: true, done: s.At.Add(w.async)}
	}
}

// Shells.

func (x shells) End(ctx context.Context, s store.Shells) (int, error) {
	t := store.Tuple{UserID: s.UserName, Account: s.Account.ID, Set: s.Set, Role: s.Role}
	if s.Role != "" {
		t.Request = s.Request
	}
	after, err := x.r.call(ctx, "shells", t)
	if err != nil && !after {
		return 0, err
	}
	x.r.w.mu.Lock()
	defer x.r.w.mu.Unlock()
	n := x.r.w.shells[t]
	delete(x.r.w.shells, t)
	return n, err
}

// Inventory.

func (i inventory) Where(ctx context.Context, set string) (out []string, err error) {
	if _, err := i.r.call(ctx, "where", store.Tuple{Set: set}); err != nil {
		return nil, err
	}
	i.r.w.mu.Lock()
	defer i.r.w.mu.Unlock()
	for t := range i.r.w.has {
		if t.Set == set && !slices.Contains(out, t.Account) {
			out = append(out, t.Account)
		}
	}
	return out, nil
}

func (i inventory) Holders(ctx context.Context, account, set string) ([]store.Holder, error) {
	if _, err := i.r.call(ctx, "holders", store.Tuple{Account: account, Set: set}); err != nil {
		return nil, err
	}
	return i.r.w.holders(account, set, ""), nil
}

func (i inventory) Members(ctx context.Context, group string) ([]store.Holder, error) {
	if _, err := i.r.call(ctx, "members", store.Tuple{Group: group}); err != nil {
		return nil, err
	}
	return i.r.w.holders("", "", group), nil
}

func (w *world) holders(account, set, group string) []store.Holder {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := slices.Clone(w.strangers[account+set+group])
	for t := range w.has {
		if t.Account == account && t.Set == set && t.Group == group && t.Role == "" {
			out = append(out, store.Holder{UserID: t.UserID, Name: t.UserID, Membership: w.members[t]})
		}
	}
	return out
}

func (i inventory) Remove(ctx context.Context, account, set, group string, h store.Holder) error {
	if _, err := i.r.call(ctx, "take", store.Tuple{UserID: h.UserID, Account: account, Set: set, Group: group}); err != nil {
		return err
	}
	w := i.r.w
	w.mu.Lock()
	defer w.mu.Unlock()
	w.taken = append(w.taken, account+set+group+" "+h.UserID+h.GroupID)
	key := account + set + group
	w.strangers[key] = slices.DeleteFunc(w.strangers[key], func(o store.Holder) bool { return o == h })
	t := store.Tuple{UserID: h.UserID, Account: account, Set: set, Group: group}
	delete(w.has, t)
	delete(w.members, t)
	return nil
}

// inside is the file below a store, for what only tests do to it.
func inside(db *store.DB) *bbolt.DB {
	f := reflect.ValueOf(db).Elem().FieldByName("e").FieldByName("b")
	return (*bbolt.DB)(unsafe.Pointer(f.Pointer()))
}

// breakDisk makes every write of a store fail as on a full disk; the function it returns mends that.
func breakDisk(db *store.DB) (mend func()) {
	f := reflect.ValueOf(inside(db)).Elem().FieldByName("ops").FieldByName("writeAt")
	at := (*func([]byte, int64) (int, error))(unsafe.Pointer(f.UnsafeAddr()))
	was := *at
	set := func(to func([]byte, int64) (int, error)) { // between two changes, as its writer holds the lock
		_ = inside(db).Update(func(*bbolt.Tx) error {
			*at = to
			return errors.New("nothing is to be written")
		})
	}
	set(func([]byte, int64) (int, error) { return 0, errors.New("no space left on device") })
	return func() { set(was) }
}

// Fits: the world's guards have room for everybody unless a story says otherwise.
func (g guards) Fits(gu store.Guard) error {
	if most := g.r.w.guardRoom; most > 0 && len(gu.Lines) > most {
		return &store.Refusal{Code: "GuardFull", Message: "there is no room in the guard"}
	}
	return nil
}

func (guards) Lasts(string) time.Duration { return 12 * time.Hour }

// Lines are what the guard says now.
func (g guards) Lines(_ context.Context, account, set, role string) ([]store.Line, error) {
	g.r.w.mu.Lock()
	defer g.r.w.mu.Unlock()
	return g.r.w.guards[nameOf(store.Guard{Account: account, Set: set, Role: role})].Lines, nil
}
