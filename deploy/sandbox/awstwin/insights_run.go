package awstwin

import (
	"cmp"
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// record is one log event as a query sees it.
type record struct {
	at, ingested       time.Time
	stream, group, ptr string
	tree               any // the JSON of the message, where it is JSON
	text               string
	event              *event // of the organisation's trail: the message is written out when it is asked for
	org                *Organization
}

// lineTree is what Insights discovers in a line: the fields of its JSON.
func lineTree(text string) any {
	i := strings.IndexByte(text, '{')
	var v any
	if i < 0 || json.Unmarshal([]byte(text[i:]), &v) != nil {
		return nil
	}
	return v
}

func (r *record) message() string {
	if r.event != nil {
		return string(r.org.render(r.event))
	}
	return r.text
}

// insightsTime is how Insights writes a time, and how it reads one.
const insightsTime = "2006-01-02 15:04:05.000"

// get is the value of a field; a field that is not there has none.
func (r *record) get(f insightsField) (string, bool) {
	switch f.name {
	case "@timestamp":
		return r.at.UTC().Format(insightsTime), true
	case "@ingestionTime":
		return r.ingested.UTC().Format(insightsTime), true
	case "@message":
		return r.message(), true
	case "@logStream":
		return r.stream, true
	case "@log":
		return r.group, true
	case "@ptr":
		return r.ptr, true
	}
	if r.tree == nil {
		return "", false
	}
	v, ok := dig(r.tree, f.path, false)
	if !ok {
		return "", false
	}
	if b, is := v.(bool); is {
		return map[bool]string{true: "1", false: "0"}[b], true // Insights shows the booleans of JSON as numbers
	}
	return flatText(v), true
}

// insightsField is a field by its name and the way to it.
type insightsField struct {
	name, as string
	path     []string
}

type insightsOrder struct {
	field insightsField
	down  bool
}

// insightsQuery is a query that was read.
type insightsQuery struct {
	fields  []insightsField
	filters []func(*record) bool
	sorts   []insightsOrder
	limit   int
}

func (p *insightsQuery) keeps(r record) bool {
	for _, f := range p.filters {
		if !f(&r) {
			return false
		}
	}
	return true
}

// order sorts as asked; without a sort the newest come first.
func (p *insightsQuery) order(all []record) {
	sorts := p.sorts
	if len(sorts) == 0 {
		sorts = []insightsOrder{{insightsField{name: "@timestamp"}, true}}
	}
	slices.SortStableFunc(all, func(a, b record) int {
		for _, s := range sorts {
			n := 0
			if s.field.name == "@timestamp" {
				n = a.at.Compare(b.at)
			} else {
				x, _ := a.get(s.field)
				y, _ := b.get(s.field)
				n = compareValues(x, y)
			}
			if s.down {
				n = -n
			}
			if n != 0 {
				return n
			}
		}
		return 0
	})
}

// row is what a query shows of a record: only the fields it has, and always its pointer.
func (p *insightsQuery) row(r record) []field {
	fields := p.fields
	if len(fields) == 0 {
		fields = []insightsField{{name: "@timestamp"}, {name: "@message"}}
	}
	row := []field{}
	for _, f := range fields {
		if v, ok := r.get(f); ok {
			row = append(row, field{cmp.Or(f.as, f.name), v})
		}
	}
	return append(row, field{"@ptr", r.ptr})
}

// compareValues compares as numbers where both are, else as texts.
func compareValues(a, b string) int {
	x, err1 := strconv.ParseFloat(a, 64)
	y, err2 := strconv.ParseFloat(b, 64)
	if err1 == nil && err2 == nil {
		return cmp.Compare(x, y)
	}
	return strings.Compare(a, b)
}

// compareField: a field that is not there compares with nothing. Times are compared in milliseconds.
func compareField(f insightsField, op, want string) func(*record) bool {
	return func(r *record) bool {
		have, ok := r.get(f)
		if f.name == "@timestamp" || f.name == "@ingestionTime" {
			at := r.at
			if f.name == "@ingestionTime" {
				at = r.ingested
			}
			have = strconv.FormatInt(at.UnixMilli(), 10)
		}
		if !ok {
			return false
		}
		n := compareValues(have, want)
		switch op {
		case "=", "==":
			return n == 0
		case "!=":
			return n != 0
		case "<":
			return n < 0
		case "<=":
			return n <= 0
		case ">":
			return n > 0
		}
		return n >= 0
	}
}

func likeField(f insightsField, text string, pattern *regexp.Regexp) func(*record) bool {
	return func(r *record) bool {
		have, ok := r.get(f)
		if pattern != nil {
			return ok && pattern.MatchString(have)
		}
		return ok && strings.Contains(have, text)
	}
}
