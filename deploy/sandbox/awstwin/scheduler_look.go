// Schedules as tests and the page see them.

package awstwin

import (
	"sort"
	"time"
)

// Firing is a schedule that has called its target.
type Firing struct {
	At     time.Time
	Name   string
	Target string
	Error  string // code; empty: the API accepted the call
	Final  bool   // not tried again
}

// Firings are the calls that schedules have made, oldest first.
func (o *Organization) Firings() []Firing {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.settle(o.cfg.Now())
	return append([]Firing(nil), o.schedules.fired...)
}

// ScheduleNames are the names of all schedules that exist, as group/name.
func (o *Organization) ScheduleNames() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.settle(o.cfg.Now())
	var names []string
	for k := range o.schedules.byKey {
		names = append(names, k.group+"/"+k.name)
	}
	sortStrings(names)
	return names
}

// Schedule is a schedule that exists.
type Schedule struct {
	AccountID, Group, Name string
	Expression             string    // at(2026-11-21T10:00:00)
	At                     time.Time // zero: a kind that never fires here
	Enabled, Done          bool      // Done: it has fired, and stays (ActionAfterCompletion NONE)
	Target, RoleARN, Input string
}

// Schedules are all schedules, by the time they fire.
func (o *Organization) Schedules() []Schedule {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.settle(o.cfg.Now())
	var all []Schedule
	for k, s := range o.schedules.byKey {
		all = append(all, Schedule{AccountID: k.account, Group: k.group, Name: k.name, Expression: s.in.ScheduleExpression, At: s.due,
			Enabled: s.in.State == "ENABLED", Done: s.done, Target: s.in.Target.Arn, RoleARN: s.in.Target.RoleArn, Input: s.in.Target.Input})
	}
	sort.Slice(all, func(i, j int) bool {
		if !all[i].At.Equal(all[j].At) {
			return all[i].At.Before(all[j].At)
		}
		return all[i].Name < all[j].Name
	})
	return all
}
