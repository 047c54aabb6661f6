// CloudWatch Logs: groups, streams, and their lines in pages. Queries are in insights.go.

package awstwin

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// logGroup is a CloudWatch Logs group with its streams.
type logGroup struct {
	name    string
	created time.Time
	streams map[string][]logLine
}

type logLine struct {
	at       time.Time
	ingested time.Time // zero: at
	text     string
}

func (l logLine) arrived() time.Time {
	if l.ingested.IsZero() {
		return l.at
	}
	return l.ingested
}

// Bounds of a page of lines (CloudWatch Logs API reference, GetLogEvents and FilterLogEvents), and of a list of groups or streams.
const (
	mostLines     = 10_000
	mostLineBytes = 1 << 20
	mostStreams   = 50
)

// AddLogGroup puts a CloudWatch Logs stream with lines into an account and Region; a group that is there gets the stream.
func (o *Organization) AddLogGroup(accountID, region, group, stream string, lines ...string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.settle(o.cfg.Now())
	g := o.must(accountID).in(region).logGroup(group, o.cfg.Now())
	for _, l := range lines {
		g.streams[stream] = append(g.streams[stream], logLine{at: o.cfg.Now(), text: l})
	}
}

// LogLines are the lines of a stream, oldest first.
func (o *Organization) LogLines(accountID, region, group, stream string) []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var all []string
	if g := o.must(accountID).in(region).logGroups[group]; g != nil {
		for _, l := range g.streams[stream] {
			all = append(all, l.text)
		}
	}
	return all
}

// logGroup finds a group, or makes it.
func (r *regional) logGroup(name string, now time.Time) *logGroup {
	if r.logGroups[name] == nil {
		r.logGroups[name] = &logGroup{name: name, created: now, streams: map[string][]logLine{}}
	}
	return r.logGroups[name]
}

func logsService() *service {
	return &service{name: "logs", scope: "logs", target: "Logs_20140328", source: "logs.amazonaws.com", prefix: "logs", proto: protoJSON,
		ops: map[string]*operation{
			"DescribeLogGroups":  reads(describeLogGroups),
			"DescribeLogStreams": reads(describeLogStreams).on(logARN),
			"GetLogEvents":       reads(getLogEvents).on(logARN),
			"FilterLogEvents":    reads(filterLogEvents).on(logARN),
			"StartQuery":         reads(startQuery).on(queryARNs),
			"GetQueryResults":    reads(getQueryResults),
			"StopQuery":          reads(stopQuery),
		}}
}

type logInput struct {
	LogGroupName, LogGroupIdentifier, LogGroupNamePrefix string
	LogStreamName, LogStreamNamePrefix                   string
	LogStreamNames                                       []string
	FilterPattern, OrderBy, NextToken                    string
	Descending, StartFromHead                            bool
	StartTime, EndTime                                   *int64 // milliseconds
	Limit                                                *int
}

// named is a group by its name or its ARN.
func named(name, identifier string) string {
	if _, after, ok := strings.Cut(identifier, ":log-group:"); ok {
		return strings.TrimSuffix(after, ":*")
	}
	return cmp.Or(name, identifier)
}

func logARN(c *call) []string {
	var in logInput
	_ = c.decode(&in)
	return []string{c.place().arn("logs", "log-group:"+named(in.LogGroupName, in.LogGroupIdentifier)+":*")}
}

// streams are those of the group that a call names; of the organisation's trail, as far as it has been delivered.
func (in *logInput) streams(c *call) (*logGroup, map[string][]logLine, error) {
	g := c.place().logGroups[named(in.LogGroupName, in.LogGroupIdentifier)]
	if g == nil {
		return nil, nil, fail("ResourceNotFoundException", "The specified log group does not exist.")
	}
	if c.org.trail.org.delivers(c.place(), g.name) {
		return g, c.org.trailLines(c.at), nil
	}
	return g, g.streams, nil
}

func (in *logInput) page(most int) (paging, error) {
	p := paging{NextToken: in.NextToken}
	if in.Limit != nil {
		if p.MaxResults = *in.Limit; p.MaxResults < 1 || p.MaxResults > most {
			return p, fail("InvalidParameterException", "1 validation error detected: Value '%d' at 'limit' failed to satisfy constraint: Member must have value between 1 and %d", p.MaxResults, most)
		}
	}
	return p, nil
}

func badLogToken() *Error {
	return fail("InvalidParameterException", "The specified nextToken is invalid.")
}

func describeLogGroups(c *call, in *logInput) (any, error) {
	p, err := in.page(mostStreams)
	if err != nil {
		return nil, err
	}
	names := slices.DeleteFunc(sortedKeys(c.place().logGroups), func(n string) bool { return !strings.HasPrefix(n, in.LogGroupNamePrefix) })
	names, next, err := pageSorted(names, self, p, mostStreams, "groups"+in.LogGroupNamePrefix, badLogToken)
	if err != nil {
		return nil, err
	}
	groups := []any{}
	for _, name := range names {
		g, arn := c.place().logGroups[name], c.place().arn("logs", "log-group:"+name)
		groups = append(groups, map[string]any{"logGroupName": name, "creationTime": g.created.UnixMilli(), "arn": arn + ":*", "logGroupArn": arn, "logGroupClass": "STANDARD"})
	}
	return lowerNext(map[string]any{"logGroups": groups}, next), nil
}

// lowerNext adds the token in the spelling of this service.
func lowerNext(out map[string]any, next string) map[string]any {
	if next != "" {
		out["nextToken"] = next
	}
	return out
}

func describeLogStreams(c *call, in *logInput) (any, error) {
	g, streams, err := in.streams(c)
	if err != nil {
		return nil, err
	}
	if in.OrderBy == "LastEventTime" && in.LogStreamNamePrefix != "" {
		return nil, fail("InvalidParameterException", "Cannot order by LastEventTime with a logStreamNamePrefix.")
	}
	p, err := in.page(mostStreams)
	if err != nil {
		return nil, err
	}
	names := slices.DeleteFunc(sortedKeys(streams), func(n string) bool { return !strings.HasPrefix(n, in.LogStreamNamePrefix) })
	// A list that can be turned round is paged by the place in it.
	if in.OrderBy == "LastEventTime" {
		slices.SortStableFunc(names, func(a, b string) int { return last(streams[a]).Compare(last(streams[b])) })
	}
	if in.Descending {
		slices.Reverse(names)
	}
	places := make([]int, len(names))
	for i := range places {
		places[i] = i
	}
	places, next, err := pageSorted(places, func(i int) string { return strconv.Itoa(1e9 + i) }, p, mostStreams, "streams"+g.name+in.LogStreamNamePrefix+in.OrderBy, badLogToken)
	if err != nil {
		return nil, err
	}
	views := []any{}
	for _, i := range places {
		v := map[string]any{"logStreamName": names[i], "creationTime": g.created.UnixMilli(), "arn": c.place().arn("logs", "log-group:"+g.name+":log-stream:"+names[i])}
		if lines := streams[names[i]]; len(lines) > 0 {
			v["firstEventTimestamp"], v["lastEventTimestamp"], v["lastIngestionTime"] = lines[0].at.UnixMilli(), last(lines).UnixMilli(), lines[len(lines)-1].arrived().UnixMilli()
		}
		views = append(views, v)
	}
	return lowerNext(map[string]any{"logStreams": views}, next), nil
}

func last(lines []logLine) time.Time {
	if len(lines) == 0 {
		return time.Time{}
	}
	return lines[len(lines)-1].at
}

// within: the start is inclusive, the end is not (GetLogEvents; FilterLogEvents has both inclusive).
func (in *logInput) within(l logLine, end bool) bool {
	at := l.at.UnixMilli()
	return (in.StartTime == nil || at >= *in.StartTime) && (in.EndTime == nil || at < *in.EndTime || (end && at == *in.EndTime))
}

func (l logLine) view() map[string]any {
	return map[string]any{"timestamp": l.at.UnixMilli(), "ingestionTime": l.arrived().UnixMilli(), "message": l.text}
}

// getLogEvents gives a page and a token for either direction, always: who reads on has come to the end when the token stays the same. Without
// startFromHead the first page is the last of the stream.
func getLogEvents(c *call, in *logInput) (any, error) {
	_, streams, err := in.streams(c)
	if err != nil {
		return nil, err
	}
	lines, ok := streams[in.LogStreamName]
	if !ok {
		return nil, fail("ResourceNotFoundException", "The specified log stream does not exist.")
	}
	p, err := in.page(mostLines)
	if err != nil {
		return nil, err
	}
	lines = slices.DeleteFunc(slices.Clone(lines), func(l logLine) bool { return !in.within(l, false) })
	from, to, err := in.window(lines, cmp.Or(p.MaxResults, mostLines))
	if err != nil {
		return nil, err
	}
	views := []any{}
	for _, l := range lines[from:to] {
		views = append(views, l.view())
	}
	return map[string]any{"events": views, "nextForwardToken": "f/" + strconv.Itoa(to), "nextBackwardToken": "b/" + strconv.Itoa(from)}, nil
}

// window is the part of the lines that a page shows: no more than a number of lines and a megabyte.
func (in *logInput) window(lines []logLine, most int) (from, to int, err error) {
	kind, at, _ := strings.Cut(in.NextToken, "/")
	n := 0
	if in.NextToken != "" {
		if n, err = strconv.Atoi(at); err != nil || n < 0 || (kind != "f" && kind != "b") {
			return 0, 0, badLogToken()
		}
		n = min(n, len(lines))
	} else if !in.StartFromHead {
		kind, n = "b", len(lines)
	}
	size := 0
	if kind == "b" {
		for from = n; from > 0 && n-from < most; from-- {
			if size += len(lines[from-1].text); size > mostLineBytes {
				break
			}
		}
		return from, n, nil
	}
	for to = n; to < len(lines) && to-n < most; to++ {
		if size += len(lines[to].text); size > mostLineBytes {
			break
		}
	}
	return n, to, nil
}

// filterLogEvents takes the pattern for a plain text to be found. It reads the streams interleaved, by time.
func filterLogEvents(c *call, in *logInput) (any, error) {
	_, streams, err := in.streams(c)
	if err != nil {
		return nil, err
	}
	p, err := in.page(mostLines)
	if err != nil {
		return nil, err
	}
	type found struct {
		stream string
		line   logLine
	}
	var all []found
	want := strings.Trim(in.FilterPattern, `"`)
	for _, name := range sortedKeys(streams) {
		if !strings.HasPrefix(name, in.LogStreamNamePrefix) || (len(in.LogStreamNames) > 0 && !slices.Contains(in.LogStreamNames, name)) {
			continue
		}
		for _, l := range streams[name] {
			if in.within(l, true) && strings.Contains(l.text, want) {
				all = append(all, found{name, l})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b found) int { return a.line.at.Compare(b.line.at) })
	from := 0
	if p.NextToken != "" {
		text, ok := openToken(p.NextToken, "filter"+want)
		if from, err = strconv.Atoi(text); err != nil || !ok || from > len(all) {
			return nil, badLogToken()
		}
	}
	views, size, to := []any{}, 0, from
	for ; to < len(all) && to-from < cmp.Or(p.MaxResults, mostLines); to++ {
		if size += len(all[to].line.text); size > mostLineBytes && to > from {
			break
		}
		v := all[to].line.view()
		v["logStreamName"], v["eventId"] = all[to].stream, strconv.FormatInt(all[to].line.at.UnixMilli(), 10)+strconv.Itoa(to)
		views = append(views, v)
	}
	next := ""
	if to < len(all) {
		next = sealToken(strconv.Itoa(to), "filter"+want)
	}
	return lowerNext(map[string]any{"events": views, "searchedLogStreams": []any{}}, next), nil
}
