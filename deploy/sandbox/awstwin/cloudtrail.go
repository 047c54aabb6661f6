// CloudTrail's event history (LookupEvents). What a caller must live with: one account and one Region at a time, one
// attribute at a time, two calls a second, pages of fifty, events minutes late, and no data events at all.

package awstwin

import (
	"fmt"
	"sort"
	"strconv"
	"strings"
	"time"
)

func cloudTrailService() *service {
	return &service{
		name: "cloudtrail", scope: "cloudtrail", target: "CloudTrail_20131101", source: "cloudtrail.amazonaws.com", prefix: "cloudtrail", proto: protoJSON,
		ops: map[string]*operation{"LookupEvents": reads(lookupEvents)},
	}
}

type lookupInput struct {
	LookupAttributes   []struct{ AttributeKey, AttributeValue string }
	StartTime, EndTime *float64
	EventCategory      string
	MaxResults         *int
	NextToken          string
}

// lookupEvents: management events of 90 days, of the caller's account and the Region called, newest first, by one attribute at most.
func lookupEvents(c *call, in *lookupInput) (any, error) {
	if len(in.LookupAttributes) > 1 {
		return nil, fail("InvalidLookupAttributesException", "Only one lookup attribute is allowed")
	}
	match, err := in.matcher()
	if err != nil {
		return nil, err
	}
	size := 50
	if in.MaxResults != nil {
		if size = *in.MaxResults; size < 1 || size > 50 {
			return nil, fail("InvalidMaxResultsException", "A max results value of %d is invalid. Specify max results between 1 and 50.", size)
		}
	}
	from, to := c.at.Add(-trailKept), c.at
	if in.StartTime != nil {
		from = later(from, unix(*in.StartTime))
	}
	if in.EndTime != nil {
		to = unix(*in.EndTime)
	}
	if in.StartTime != nil && in.EndTime != nil && *in.StartTime > *in.EndTime {
		return nil, fail("InvalidTimeRangeException", "The start time must be before the end time.")
	}
	after, err := in.position(c)
	if err != nil {
		return nil, err
	}
	return c.lookup(match, from, to, size, after, in.question(c)), nil
}

func unix(s float64) time.Time { return time.UnixMilli(int64(s * 1000)) }

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// position is the place in the trail after which a page goes on: events that arrive meanwhile do not shift it.
type position struct {
	at  int64
	seq uint64
}

func (in *lookupInput) question(c *call) string {
	return fmt.Sprint(c.who.account, c.region, in.LookupAttributes, deref(in.StartTime), deref(in.EndTime))
}

func deref(f *float64) string {
	if f == nil {
		return "-"
	}
	return strconv.FormatFloat(*f, 'f', -1, 64)
}

func (in *lookupInput) position(c *call) (*position, error) {
	if in.NextToken == "" {
		return nil, nil
	}
	last, ok := openToken(in.NextToken, in.question(c))
	at, seq, ok2 := strings.Cut(last, ",")
	a, err1 := strconv.ParseInt(at, 10, 64)
	s, err2 := strconv.ParseUint(seq, 10, 64)
	if !ok || !ok2 || err1 != nil || err2 != nil {
		return nil, fail("InvalidNextTokenException", "Invalid NextToken")
	}
	return &position{a, s}, nil
}

func (e *event) before(p *position) bool {
	t := e.at.UnixNano()
	return t < p.at || (t == p.at && e.seq < p.seq)
}

// upTo is how many events there are until a time and before a position.
func (l *trailLog) upTo(to time.Time, after *position) int {
	if l == nil {
		return 0
	}
	return sort.Search(len(l.events), func(i int) bool {
		return l.events[i].at.After(to) || (after != nil && !l.events[i].before(after))
	})
}

func (c *call) lookup(match func(*event) bool, from, to time.Time, size int, after *position, question string) any {
	found := []any{}
	var last *event
	more := false
	log := c.account().trail[c.region]
	for i := log.upTo(to, after) - 1; i >= 0; i-- {
		e := log.events[i]
		if e.at.Before(from) {
			break
		}
		if e.visible.After(c.at) || !match(e) {
			continue
		}
		if len(found) == size {
			more = true
			break
		}
		found, last = append(found, c.org.lookupView(e)), e
	}
	out := map[string]any{"Events": found}
	if more {
		out["NextToken"] = sealToken(fmt.Sprintf("%d,%d", last.at.UnixNano(), last.seq), question)
	}
	return out
}

func (o *Organization) lookupView(e *event) map[string]any {
	resources := []any{}
	for _, r := range e.resources {
		resources = append(resources, map[string]any{"ResourceType": r.Type, "ResourceName": r.Name})
	}
	v := map[string]any{"EventId": e.id, "EventName": e.name, "ReadOnly": strconv.FormatBool(e.read), "EventTime": epoch(e.at), "EventSource": e.source,
		"Resources": resources, "CloudTrailEvent": string(o.render(e))}
	if n := e.username(); n != "" {
		v["Username"] = n
	}
	if k := e.accessKey(); k != "" {
		v["AccessKeyId"] = k
	}
	return v
}

// username is what LookupEvents calls Username: a user's name, or the name of a role's session. Events of Identity Center
// users no longer have one (Identity Center user guide, CloudTrail use cases).
func (e *event) username() string {
	if e.who == nil || e.who.kind == kindPortal || e.who.kind == kindService {
		return ""
	}
	return e.who.name
}

func (e *event) accessKey() string {
	if e.who == nil || e.who.kind == kindPortal {
		return ""
	}
	return e.who.accessKey
}

func (in *lookupInput) matcher() (func(*event) bool, error) {
	if len(in.LookupAttributes) == 0 {
		return func(*event) bool { return true }, nil
	}
	value := in.LookupAttributes[0].AttributeValue
	if value == "" {
		return nil, fail("InvalidLookupAttributesException", "The attribute value is empty")
	}
	of := map[string]func(*event) string{
		"EventId":     func(e *event) string { return e.id },
		"EventName":   func(e *event) string { return e.name },
		"EventSource": func(e *event) string { return e.source },
		"ReadOnly":    func(e *event) string { return strconv.FormatBool(e.read) },
		"Username":    (*event).username,
		"AccessKeyId": (*event).accessKey,
	}
	switch key := in.LookupAttributes[0].AttributeKey; key {
	case "ResourceType":
		return func(e *event) bool { return e.touches(func(r trailResource) bool { return r.Type == value }) }, nil
	case "ResourceName":
		return func(e *event) bool { return e.touches(func(r trailResource) bool { return r.Name == value }) }, nil
	default:
		get := of[key]
		if get == nil {
			return nil, fail("InvalidLookupAttributesException", "Unknown lookup attribute %s", key)
		}
		return func(e *event) bool { return get(e) == value }, nil
	}
}

func (e *event) touches(f func(trailResource) bool) bool {
	for _, r := range e.resources {
		if f(r) {
			return true
		}
	}
	return false
}
