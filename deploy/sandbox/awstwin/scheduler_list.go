// Lists of schedules, and their groups.

package awstwin

import (
	"sort"
	"strconv"
	"strings"
	"time"
)

func sortStrings(s []string) { sort.Strings(s) }

func (c *call) queryPaging() paging {
	n, _ := strconv.Atoi(c.vars["MaxResults"])
	return paging{MaxResults: n, NextToken: c.vars["NextToken"]}
}

func listSchedules(c *call, _ *empty) (any, error) {
	var all []*schedule
	for k, s := range c.org.schedules.byKey {
		group := c.vars["ScheduleGroup"]
		if k.account == c.who.account && k.region == c.region && (group == "" || k.group == group) &&
			strings.HasPrefix(k.name, c.vars["NamePrefix"]) && (c.vars["State"] == "" || c.vars["State"] == s.in.State) {
			all = append(all, s)
		}
	}
	key := func(s *schedule) string { return s.key.group + "/" + s.key.name }
	all, next, err := page(all, key, c.queryPaging(), 100, "schedules"+c.vars["ScheduleGroup"]+c.vars["NamePrefix"], badToken)
	if err != nil {
		return nil, err
	}
	views := []any{}
	for _, s := range all {
		views = append(views, map[string]any{"Arn": s.arn, "Name": s.key.name, "GroupName": s.key.group, "State": s.in.State,
			"CreationDate": epoch(s.created), "LastModificationDate": epoch(s.modified), "Target": map[string]any{"Arn": s.in.Target.Arn}})
	}
	return withNext(map[string]any{"Schedules": views}, next), nil
}

// AddScheduleGroup makes a schedule group in an account and Region; one that is there stays as it is.
func (o *Organization) AddScheduleGroup(accountID, region, name string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.settle(o.cfg.Now())
	o.schedules.addGroup(o.must(accountID).in(region), name, o.cfg.Now())
}

func (t *scheduleTable) addGroup(at *regional, name string, now time.Time) *scheduleGroup {
	k := scheduleKey{account: at.account, region: at.region, group: name}
	if t.groups[k] == nil {
		t.groups[k] = &scheduleGroup{arn: at.arn("scheduler", "schedule-group/"+name), created: now}
	}
	return t.groups[k]
}

func (c *call) groupKey() scheduleKey {
	return scheduleKey{account: c.who.account, region: c.region, group: c.vars["Name"]}
}

func createGroup(c *call, _ *empty) (any, error) {
	k := c.groupKey()
	if k.group == "default" || c.org.schedules.groups[k] != nil {
		return nil, fail("ConflictException", "Schedule group %s already exists.", k.group).status(409)
	}
	g := c.org.schedules.addGroup(c.place(), k.group, c.at)
	return map[string]any{"ScheduleGroupArn": g.arn}, nil
}

func (g *scheduleGroup) view(name string) map[string]any {
	return map[string]any{"Arn": g.arn, "Name": name, "State": "ACTIVE", "CreationDate": epoch(g.created), "LastModificationDate": epoch(g.created)}
}

func (c *call) findGroup() (*scheduleGroup, error) {
	k := c.groupKey()
	if k.group == "default" {
		return &scheduleGroup{arn: c.place().arn("scheduler", "schedule-group/default")}, nil
	}
	if g := c.org.schedules.groups[k]; g != nil {
		return g, nil
	}
	return nil, fail("ResourceNotFoundException", "Schedule group %s does not exist.", k.group).status(404)
}

func getGroup(c *call, _ *empty) (any, error) {
	g, err := c.findGroup()
	if err != nil {
		return nil, err
	}
	return g.view(c.vars["Name"]), nil
}

func listScheduleGroups(c *call, _ *empty) (any, error) {
	names := []string{"default"}
	for k := range c.org.schedules.groups {
		if k.account == c.who.account && k.region == c.region {
			names = append(names, k.group)
		}
	}
	names, next, err := page(names, self, c.queryPaging(), 100, "schedule groups", badToken)
	if err != nil {
		return nil, err
	}
	views := []any{}
	for _, n := range names {
		c.vars["Name"] = n
		g, err := c.findGroup()
		if err != nil {
			return nil, err
		}
		views = append(views, g.view(n))
	}
	return withNext(map[string]any{"ScheduleGroups": views}, next), nil
}

// deleteGroup takes the group's schedules with it.
func deleteGroup(c *call, _ *empty) (any, error) {
	k := c.groupKey()
	if k.group == "default" {
		return nil, fail("ValidationException", "The default schedule group cannot be deleted.")
	}
	if _, err := c.findGroup(); err != nil {
		return nil, err
	}
	delete(c.org.schedules.groups, k)
	for sk := range c.org.schedules.byKey {
		if sk.account == k.account && sk.region == k.region && sk.group == k.group {
			delete(c.org.schedules.byKey, sk)
		}
	}
	return empty{}, nil
}
