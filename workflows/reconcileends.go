package workflows

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"breakglass/store"
	"breakglass/workflows/policy"
)

// written is what a guard was last brought to, and what it said before: after a crash between the record and the effect it may say either.
type written struct {
	Now    store.Guard `json:"now"`
	Before store.Guard `json:"before"`
}

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
	text, err := json.Marshal(written{Now: g, Before: last.Now})
	if err != nil {
		return err
	}
	data := map[string]string{"effect": "guard", "account": g.Account, "granted": g.Set + g.Role, "lines": fmt.Sprint(len(g.Lines)), "closed": fmt.Sprint(g.Closed)}
	return e.DB.SetFact(e.by(), guardFact(g), string(text), store.EventIntent, data)
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
	if e.Guards == nil || !ok || rule.Mode == policy.GuardNone || !opens(p, at) {
		return nil
	}
	of := store.Tuple{Account: at.account, Set: at.set}
	done, err := e.turns.take(ctx, of.Account+" "+of.Set+" "+of.Role)
	if err != nil {
		return err
	}
	differs, err := e.differs(ctx, of)
	done()
	if err != nil {
		return fmt.Errorf("read the guard of %s in %s: %w", at.set, at.account, err)
	}
	if err := e.writeGuard(ctx, of); err != nil {
		return fmt.Errorf("put back the guard of %s in %s: %w", at.set, at.account, err)
	}
	if differs != "" {
		if err := e.found(finding{what: FoundGuard, account: at.account, granted: at.set, detail: differs, done: "It was put back."}); err != nil {
			return err
		}
	}
	return e.fence(ctx, at.account)
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
	if last.Before.Account == "" {
		return differs, nil // the first one that was written
	}
	if before, err := e.Guards.Inspect(ctx, last.Before); err != nil || before == "" {
		return "", err
	}
	return differs, nil
}

// opens says whether the policy can grant a permission set in an account: elsewhere there is no guard of ours.
func opens(p *policy.Policy, at pair) bool {
	return slices.ContainsFunc(p.Opens(policy.Grant{Kind: policy.GrantPermissionSet, Name: at.set}), func(a policy.Account) bool { return a.ID == at.account })
}

// ours is the form of the names of our schedules.
var ours = regexp.MustCompile(`^BG-[0-9]+-[0-9]{8}T[0-9]{4}-[0-9]$`)

// reconcileSchedules puts back schedules of open sessions that are gone, and takes away those that belong to nothing. Rows are read before the listing to
// find what is missing, and after it to find what is too many: a schedule is in its row before it is made and until after it was removed.
func (e *Engine) reconcileSchedules(ctx context.Context) error {
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
	wanted := map[string]bool{}
	for _, a := range after {
		for _, s := range a.Schedules {
			wanted[s.Name] = true
		}
	}
	var errs []error
	for _, name := range listed {
		if ours.MatchString(name) && !wanted[name] {
			errs = append(errs, e.dropStray(ctx, name))
		}
	}
	for _, a := range before {
		errs = append(errs, e.restoreSchedules(ctx, a, listed, wanted))
	}
	return errors.Join(errs...)
}

func (e *Engine) dropStray(ctx context.Context, name string) error {
	if err := e.DeadMan.Remove(ctx, name); err != nil {
		return fmt.Errorf("remove schedule %s: %w", name, err)
	}
	return e.found(finding{what: FoundSchedule, granted: name, detail: "it belonged to no session", done: "It was removed."})
}

// restoreSchedules makes anew what a session that is open should have and does not. Sessions that are still being opened make their own.
func (e *Engine) restoreSchedules(ctx context.Context, a store.Access, listed []string, wanted map[string]bool) error {
	if !e.allActive(a) {
		return nil
	}
	var gone []store.Schedule
	for _, s := range a.Schedules {
		if s.At.After(e.now()) && wanted[s.Name] && !slices.Contains(listed, s.Name) {
			gone = append(gone, s)
		}
	}
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
		if _, x := r.Extending(); err != nil || r.State != store.Active || !r.Ends.Schedules || x != nil {
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
		if len(a.Live) > 0 || a.Removing != "" {
			continue
		}
		var names []string
		for _, s := range a.Schedules {
			names = append(names, s.Name)
		}
		_, says := a.Line(e.now())
		if len(names) == 0 && (!a.Lined || says) {
			continue
		}
		if len(names) > 0 {
			if err := e.removeSchedules(ctx, names); err != nil {
				errs = append(errs, err)
				continue
			}
			errs = append(errs, e.DB.Log(e.by(), store.EventOutcome, map[string]string{"effect": "unschedule", "names": strings.Join(names, " ")}))
		}
		errs = append(errs, e.DB.Tidy(e.by(), a.Tuple, names))
		if a.Lined && !says && e.Guards != nil {
			errs = append(errs, e.writeGuard(ctx, a.Tuple))
		}
	}
	return errors.Join(errs...)
}
