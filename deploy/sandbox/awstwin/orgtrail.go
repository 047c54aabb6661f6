// An organisation's trail. It delivers every event of every account to a log group of CloudWatch Logs and to a table that Athena reads, with
// the delay of the trail: what is late in LookupEvents is late here.

package awstwin

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// orgTrail is the trail with the places it delivers to. Events are kept as parts and written out when they are read.
type orgTrail struct {
	trailLog
	account, region string // where its log group is
	group           string
	byDelivery      bool
}

// stampOf is the time that the line of an event has in the log group.
func (t *orgTrail) stampOf(e *event) time.Time {
	if t.byDelivery {
		return e.visible
	}
	return e.at
}

// LinesByDelivery gives the lines of the trail's log group the time of their delivery in place of that of their event. Which of the two AWS
// does is not documented.
func (o *Organization) LinesByDelivery(on bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.trail.org.byDelivery = on
}

// OrganizationTrail turns the organisation's trail on: from now on every event of every account goes to a log group in an account and Region,
// as a delegated administrator of CloudTrail sets it up. There is one; another call moves it.
func (o *Organization) OrganizationTrail(accountID, region, group string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.settle(o.cfg.Now())
	p := o.must(accountID).in(region)
	p.logGroups[group] = &logGroup{name: group, created: o.cfg.Now(), streams: map[string][]logLine{}}
	o.trail.org = &orgTrail{account: accountID, region: region, group: group}
}

// delivers says whether a log group is the one of the organisation's trail.
func (t *orgTrail) delivers(r *regional, group string) bool {
	return t != nil && t.account == r.account && t.region == r.region && t.group == group
}

// between are the events whose lines are of a time, oldest first, that had been delivered by another.
func (t *orgTrail) between(from, to, delivered time.Time) []*event {
	some := t.events
	if !t.byDelivery {
		first := t.upTo(from.Add(-time.Nanosecond), nil)
		some = some[first:max(first, t.upTo(to, nil))]
	}
	var all []*event
	for _, e := range some {
		if at := t.stampOf(e); !e.visible.After(delivered) && !at.Before(from) && !at.After(to) {
			all = append(all, e)
		}
	}
	slices.SortStableFunc(all, func(a, b *event) int { return t.stampOf(a).Compare(t.stampOf(b)) })
	return all
}

// stream is the log stream of an event: the trail has one for each account and Region.
func (o *Organization) stream(e *event) string {
	return o.orgID + "_" + e.account + "_CloudTrail_" + e.region
}

// trailLines are the lines of the trail's log group as they stand now. Lock held.
func (o *Organization) trailLines(now time.Time) map[string][]logLine {
	streams := map[string][]logLine{}
	for _, e := range o.trail.org.between(time.Time{}, now, now) {
		streams[o.stream(e)] = append(streams[o.stream(e)], logLine{at: o.trail.org.stampOf(e), ingested: e.visible, text: string(o.render(e))})
	}
	return streams
}

// dig finds a field by its path in a tree, of which parts may still be JSON: userIdentity.onBehalfOf.userId, resources.0.ARN. Whether the case
// of letters counts is the reader's affair: Insights minds it, the tables of Athena have everything in lower case.
func dig(v any, path []string, fold bool) (any, bool) {
	for _, name := range path {
		if raw, ok := v.(json.RawMessage); ok {
			if json.Unmarshal(raw, &v) != nil {
				return nil, false
			}
		}
		switch t := v.(type) {
		case map[string]any:
			x, ok := t[name]
			if !ok && fold {
				for k := range t {
					if strings.EqualFold(k, name) {
						x, ok = t[k], true
					}
				}
			}
			if !ok {
				return nil, false
			}
			v = x
		case []any:
			i, err := strconv.Atoi(name)
			if err != nil || i < 0 || i >= len(t) {
				return nil, false
			}
			v = t[i]
		default:
			return nil, false
		}
	}
	return v, v != nil
}

// flatText writes a value as the readers of a trail see it: texts bare, all else as JSON.
func flatText(v any) string {
	switch t := v.(type) {
	case string:
		return t
	case json.RawMessage:
		return string(t)
	}
	return string(encoded(v))
}

// sortedKeys are the keys of a map in order.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
