package workflows

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"breakglass/store"
	"breakglass/workflows/policy"
)

// written is what a guard was last to be brought to, and what it may say besides: what it said before, and whatever was tried since without IAM's answer.
type written struct {
	Now    store.Guard   `json:"now"`
	Before []store.Guard `json:"before,omitempty"`
	Done   bool          `json:"done,omitempty"` // IAM has answered
}

// mostBefore bounds what is remembered of tries without an answer.
const mostBefore = 8

func guardFact(g store.Guard) string { return "guard " + g.Account + " " + g.Set + " " + g.Role }

// intendGuard writes down what a guard is about to say, so that what somebody else wrote there can be told from it. The caller has the turn.
func (e *Engine) intendGuard(g store.Guard) error {
	last, _, err := e.writtenGuard(g)
	if err != nil {
		return err
	}
	if same(last.Now, g) {
		return nil
	}
	next := written{Now: g}
	if last.Now.Account != "" {
		if !e.turns.stands(last.Now) {
			next.Before = last.Before
		}
		next.Before = append(next.Before, last.Now)
		next.Before = next.Before[max(0, len(next.Before)-mostBefore):]
	}
	text, err := json.Marshal(next)
	if err != nil {
		return err
	}
	return e.DB.SetFact(e.by(), guardFact(g), string(text), store.EventIntent, toGuard(g))
}

// toGuard is what the log says of writing a guard.
func toGuard(g store.Guard) map[string]string {
	return map[string]string{"effect": "guard", "account": g.Account, "granted": g.Set + g.Role, "lines": fmt.Sprint(len(g.Lines)), "closed": fmt.Sprint(g.Closed)}
}

// guardWritten writes down that IAM has answered. After a crash in between the guard is written again, and then it is written down.
func (e *Engine) guardWritten(g store.Guard) error {
	last, _, err := e.writtenGuard(g)
	if err != nil || last.Done || !same(last.Now, g) {
		return err
	}
	last.Done = true
	text, err := json.Marshal(last)
	if err != nil {
		return err
	}
	return e.DB.SetFact(e.by(), guardFact(g), string(text), store.EventOutcome, toGuard(g))
}

func (e *Engine) writtenGuard(g store.Guard) (w written, known bool, err error) {
	text, known, err := e.DB.Fact(guardFact(g))
	if err != nil || !known {
		return w, false, err
	}
	return w, true, json.Unmarshal([]byte(text), &w)
}

func same(a, b store.Guard) bool {
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && string(x) == string(y)
}

// reconcileGuard puts back a guard that somebody changed, and announces it. Lines whose time is over go with the next writing.
func (e *Engine) reconcileGuard(ctx context.Context, p *policy.Policy, at pair) error {
	rule, ok := p.GuardOf(at.set, at.account)
	if e.Guards == nil || !ok || !opens(p, at) {
		return nil
	}
	of := store.Tuple{Account: at.account, Set: at.set}
	if rule.Mode == policy.GuardNone {
		return e.openGuard(ctx, of)
	}
	if err := e.putBack(ctx, of); err != nil {
		return err
	}
	return e.fence(ctx, at.account)
}

// reconcileRoles does the same for the guards of the roles that scenarios grant, once we have written them.
func (e *Engine) reconcileRoles(ctx context.Context, p *policy.Policy) error {
	if e.Guards == nil {
		return nil
	}
	var errs []error
	for _, role := range p.BreakGlassRoles() {
		for _, a := range p.Opens(policy.Grant{Kind: policy.GrantIAMRole, Name: role}) {
			of := store.Tuple{Account: a.ID, Role: role}
			if _, known, err := e.writtenGuard(store.Guard{Account: a.ID, Role: role}); err != nil || !known {
				errs = append(errs, err)
				continue
			}
			errs = append(errs, e.putBack(ctx, of))
		}
	}
	return errors.Join(errs...)
}

// putBack brings a guard to what it must say, and announces it where somebody had changed it.
func (e *Engine) putBack(ctx context.Context, of store.Tuple) error {
	differs, err := e.surelyDiffers(ctx, of)
	if err != nil {
		return fmt.Errorf("read the guard of %s in %s: %w", of.Set+of.Role, of.Account, err)
	}
	if err := e.writeGuard(ctx, of); err != nil {
		return fmt.Errorf("put back the guard of %s in %s: %w", of.Set+of.Role, of.Account, err)
	}
	if differs == "" {
		return nil
	}
	return e.found(finding{what: FoundGuard, account: of.Account, granted: of.Set + of.Role, detail: differs, done: "It was put back."})
}

// iamLag is how long a reading of IAM may lag behind a writing, before a difference is somebody's doing.
const iamLag = 30 * time.Second

// surelyDiffers says how a guard differs, and still does a while later.
func (e *Engine) surelyDiffers(ctx context.Context, of store.Tuple) (differs string, err error) {
	for _, pause := range []time.Duration{0, iamLag} {
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-time.After(pause):
		}
		// Without the turn, for somebody may wait to be let in; what was written meanwhile is looked at the next time.
		before, _, err := e.writtenGuard(store.Guard{Account: of.Account, Set: of.Set, Role: of.Role})
		if err != nil {
			return "", err
		}
		differs, err = e.differs(ctx, of)
		if after, _, aerr := e.writtenGuard(store.Guard{Account: of.Account, Set: of.Set, Role: of.Role}); aerr != nil || !same(before.Now, after.Now) {
			return "", aerr
		}
		if err != nil || differs == "" {
			return "", err
		}
	}
	return differs, nil
}

// differs says how a guard differs from what was last written; one that was never written by us is only made.
func (e *Engine) differs(ctx context.Context, of store.Tuple) (string, error) {
	last, known, err := e.writtenGuard(store.Guard{Account: of.Account, Set: of.Set, Role: of.Role})
	if err != nil || !known {
		return "", err
	}
	differs, err := e.Guards.Inspect(ctx, last.Now)
	if err != nil || differs == "" {
		return "", err
	}
	if e.turns.stands(last.Now) {
		return differs, nil
	}
	for _, before := range last.Before {
		if other, err := e.Guards.Inspect(ctx, before); err != nil || other == "" {
			return "", err
		}
	}
	if len(last.Before) == 0 {
		return "", nil // the first one may not have been written at all
	}
	return differs, nil
}

// opens says whether the policy can grant a permission set in an account: elsewhere there is no guard of ours.
func opens(p *policy.Policy, at pair) bool {
	return slices.ContainsFunc(p.Opens(policy.Grant{Kind: policy.GrantPermissionSet, Name: at.set}), func(a policy.Account) bool { return a.ID == at.account })
}

// reconcileSchedules puts back schedules of open sessions that are gone, and takes away those that belong to nothing. Rows are read before the listing to
// find what is missing, and after it to find what is too many: a schedule is in its row before it is made and until after it was removed.
func (e *Engine) reconcileSchedules(ctx context.Context, seen *sightings) error {
	if e.DeadMan == nil {
		return nil
	}
	before, err := e.DB.Accesses()
	if err != nil {
		return err
	}
	listed, err := e.DeadMan.List(ctx)
	if err != nil {
		return fmt.Errorf("list the dead man's schedules: %w", err)
	}
	after, err := e.DB.Accesses()
	if err != nil {
		return err
	}
	wanted, known := map[string]bool{}, map[string]bool{}
	for _, a := range after {
		for _, s := range a.Schedules {
			wanted[s.Name], known[s.Name] = true, true
		}
	}
	for _, a := range before {
		for _, s := range a.Schedules {
			known[s.Name] = true
		}
	}
	var errs []error
	for _, name := range listed {
		if m := ours.FindStringSubmatch(name); m != nil && !known[name] {
			errs = append(errs, e.stray(ctx, name, store.ID(m[1]), m[2], seen))
		}
	}
	for _, a := range before {
		errs = append(errs, e.restoreSchedules(ctx, a, listed, wanted))
	}
	return errors.Join(errs...)
}

// stray looks at a schedule that is in no row. It is removed only where this store knows that its session is long over: one that the store knows nothing of, as
// after a restore, or that is another installation's, may be the last end that a session has.
func (e *Engine) stray(ctx context.Context, name string, id store.ID, mark string, seen *sightings) error {
	r, err := e.DB.Request(id)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	over := err == nil && mark == e.mark() && r.State != store.Pending && r.State != store.Approved && !r.State.MayHaveAccess()
	if over && e.now().After(latest(r.EndedAt, r.ClosedAt).Add(listingLag)) {
		return e.dropStray(ctx, name)
	}
	if over {
		return nil // it has only just ended
	}
	detail := "this store does not know its session, as after a restore from an older backup"
	if mark == e.mark() {
		e.restored.Store(true) // its guards may know more than it as well
	}
	if mark != e.mark() {
		detail = "another installation of Breakglass made it"
	}
	f := finding{what: FoundSchedule, granted: name, detail: detail, done: "It was left: it may be the last end that a session has."}
	seen.stands(f.key())
	return e.foundOnce(f.key(), f)
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (e *Engine) dropStray(ctx context.Context, name string) error {
	if err := e.DB.Log(e.by(), store.EventIntent, map[string]string{"effect": "unschedule", "names": name}); err != nil {
		return err
	}
	if err := e.DeadMan.Remove(ctx, name); err != nil {
		return fmt.Errorf("remove schedule %s: %w", name, err)
	}
	return e.found(finding{what: FoundSchedule, granted: name, detail: "it belonged to no session", done: "It was removed."})
}

// restoreSchedules makes anew what a session that is open should have and does not. Sessions that are still being opened make their own. What was written
// down after the listing, as when one of two sessions ended meanwhile, is not missing; and what is missing must be so in a second listing, made in turn.
func (e *Engine) restoreSchedules(ctx context.Context, was store.Access, listed []string, wanted map[string]bool) error {
	if e.switchedOff() {
		return nil
	}
	done, err := e.turns.take(ctx, scheduleTurn(was.Tuple))
	if err != nil {
		return err
	}
	defer done()
	a, _, err := e.DB.Access(was.Tuple)
	if err != nil || !e.allActive(a) {
		return err
	}
	var gone []store.Schedule
	for _, s := range a.Schedules {
		before := slices.ContainsFunc(was.Schedules, func(o store.Schedule) bool { return o.Name == s.Name })
		if before && s.At.After(e.now()) && wanted[s.Name] && !slices.Contains(listed, s.Name) {
			gone = append(gone, s)
		}
	}
	if len(gone) == 0 {
		return nil
	}
	if listed, err = e.DeadMan.List(ctx); err != nil {
		return fmt.Errorf("list the dead man's schedules: %w", err)
	}
	gone = slices.DeleteFunc(gone, func(s store.Schedule) bool { return slices.Contains(listed, s.Name) })
	if len(gone) == 0 {
		return nil
	}
	for _, s := range gone {
		if err := e.DeadMan.Make(ctx, s); err != nil {
			return fmt.Errorf("put back schedule %s: %w", s.Name, err)
		}
	}
	return e.found(finding{
		what: FoundSchedule, account: a.Tuple.Account, granted: a.Tuple.Set + a.Tuple.Group, who: a.Tuple.UserID,
		detail: "missing: " + names(gone), done: "It was put back.",
	})
}

// allActive says whether somebody has the access, and nobody is just being let in or out.
func (e *Engine) allActive(a store.Access) bool {
	for _, id := range a.Live {
		r, err := e.DB.Request(id)
		young := e.now().Before(r.VerifiedAt.Add(listingLag)) // a listing may lag behind what was made
		for _, x := range r.Extensions {
			young = young || e.now().Before(x.DoneAt.Add(listingLag))
		}
		if _, x := r.Extending(); err != nil || r.State != store.Active || !r.Ends.Schedules || x != nil || young {
			return false
		}
	}
	return len(a.Live) > 0 && a.Removing == ""
}

// tidy takes away what ended sessions left behind: schedules that could not be removed, lines of guards whose time is over.
func (e *Engine) tidy(ctx context.Context) error {
	all, err := e.DB.Accesses()
	if err != nil {
		return err
	}
	var errs []error
	for _, a := range all {
		if e.leftovers(a) {
			errs = append(errs, e.tidyOne(ctx, a.Tuple))
		}
	}
	return errors.Join(errs...)
}

// leftovers says whether something is left of an access that nobody has any more.
func (e *Engine) leftovers(a store.Access) bool {
	_, says := a.Line(e.now())
	// What was only vouched for keeps its schedules: they run by themselves.
	return len(a.Live) == 0 && a.Removing == "" && (len(a.Schedules) > 0 && e.DeadMan != nil && !a.Forced || a.Lined && !says)
}

// tidyOne takes away what is left of one, having looked again in its turn: a new session may have come meanwhile.
func (e *Engine) tidyOne(ctx context.Context, of store.Tuple) error {
	done, err := e.turns.take(ctx, scheduleTurn(of))
	if err != nil {
		return err
	}
	defer done()
	a, _, err := e.DB.Access(of)
	if err != nil || !e.leftovers(a) {
		return err
	}
	var gone []string
	if e.DeadMan != nil && len(a.Schedules) > 0 && !a.Forced {
		for _, s := range a.Schedules {
			gone = append(gone, s.Name)
		}
		if err := e.DB.Log(e.by(), store.EventIntent, map[string]string{"effect": "unschedule", "names": strings.Join(gone, " ")}); err != nil {
			return err
		}
		if err := e.removeSchedules(ctx, gone); err != nil {
			return err
		}
	}
	_, says := a.Line(e.now())
	if err := e.DB.Tidy(e.by(), of, gone); err != nil {
		return err
	}
	if a.Lined && !says && e.Guards != nil {
		return e.writeGuard(ctx, of)
	}
	return nil
}
