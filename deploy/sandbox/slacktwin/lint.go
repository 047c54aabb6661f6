package slacktwin

import (
	"fmt"
	"maps"
	"slices"
	"unicode/utf8"
)

// This file is the machine of the linter: rules are data, a table of fields for each type of object, and every problem
// is told with the JSON pointer and the constraint that Slack's own answers name. The rules stand in lint_*.go.
//
// The twin is stricter than Slack in one thing: what is not among the classic blocks is refused, because a bot that
// uses something newer should notice here that old clients cannot show it.

// problem is one broken rule.
type problem struct{ pointer, constraint string }

func (p problem) String() string { return p.constraint + " [json-pointer:" + p.pointer + "]" }

// surface is where blocks are to appear.
type surface int

const (
	onMessage surface = iota
	onModal
	onHome
)

// lint collects problems.
type lint struct {
	on       surface
	problems []problem
	focused  int             // elements with focus_on_load
	blockIDs map[string]bool // ids seen so far
	actions  map[string]bool // action ids of the block at hand
}

func (l *lint) bad(ptr, format string, args ...any) {
	l.problems = append(l.problems, problem{ptr, fmt.Sprintf(format, args...)})
}

// rule checks one value.
type rule func(l *lint, ptr string, v any)

// field is one key of an object.
type field struct {
	required bool
	check    rule
}

func must(r rule) field { return field{true, r} }
func may(r rule) field  { return field{false, r} }

// fields is the table for one type of object; keys not in it are refused. "type" is checked by whoever chose the table.
type fields map[string]field

// object checks an object against its table. null counts as absent, as in Slack.
func (l *lint) object(ptr string, v any, table fields) bool {
	o, ok := v.(obj)
	if !ok {
		l.bad(ptr, "must provide an object")
		return false
	}
	for _, key := range slices.Sorted(maps.Keys(table)) {
		if table[key].required && o[key] == nil {
			l.bad(ptr, "missing required field: %s", key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(o)) {
		f, known := table[key]
		switch {
		case o[key] == nil, key == "type":
		case !known:
			l.bad(ptr, "invalid additional property: %s", key)
		case f.check != nil:
			f.check(l, ptr+"/"+key, o[key])
		}
	}
	return true
}

// text of at least min and at most max characters.
func text(min, max int) rule {
	return func(l *lint, ptr string, v any) {
		s, ok := v.(string)
		if !ok {
			l.bad(ptr, "must provide a string")
			return
		}
		n := utf8.RuneCountInString(s)
		if n < min {
			l.bad(ptr, "must be more than %d characters", min-1)
		}
		if n > max {
			l.bad(ptr, "must be less than %d characters", max+1)
		}
	}
}

// oneOf a few words.
func oneOf(words ...string) rule {
	return func(l *lint, ptr string, v any) {
		if s, ok := v.(string); !ok || !slices.Contains(words, s) {
			l.bad(ptr, "must be a valid enum value")
		}
	}
}

// boolean is true or false.
func boolean(l *lint, ptr string, v any) {
	if _, ok := v.(bool); !ok {
		l.bad(ptr, "must provide a boolean")
	}
}

// whole number between two bounds.
func whole(min, max int) rule {
	return func(l *lint, ptr string, v any) {
		f, ok := v.(float64)
		if !ok || f != float64(int(f)) || int(f) < min || int(f) > max {
			l.bad(ptr, "must be an integer from %d to %d", min, max)
		}
	}
}

// anything is left to others.
func anything(*lint, string, any) {}

// items is a list of min to max things, each checked.
func items(min, max int, each rule) rule {
	return func(l *lint, ptr string, v any) {
		all, ok := v.([]any)
		if !ok {
			l.bad(ptr, "must provide an array")
			return
		}
		if len(all) < min {
			l.bad(ptr, "must provide at least %d items", min)
		}
		if len(all) > max {
			l.bad(ptr, "no more than %d items allowed", max)
		}
		for i, e := range all {
			each(l, fmt.Sprintf("%s/%d", ptr, i), e)
		}
	}
}

// textObject is plain_text, or mrkdwn where that is allowed too.
func textObject(max int, mrkdwn bool) rule {
	return func(l *lint, ptr string, v any) {
		table := fields{"type": must(nil), "text": must(text(1, max))}
		switch kind := str(v, "type"); {
		case kind == "plain_text":
			table["emoji"] = may(boolean)
		case kind == "mrkdwn" && mrkdwn:
			table["verbatim"] = may(boolean)
		case kind == "mrkdwn":
			l.bad(ptr+"/type", "must be plain_text")
			return
		default:
			if _, ok := v.(obj); ok {
				l.bad(ptr+"/type", "unsupported type: %s", kind)
				return
			}
		}
		l.object(ptr, v, table)
	}
}

// plain is a plain_text object, rich one that may be mrkdwn.
func plain(max int) rule { return textObject(max, false) }
func rich(max int) rule  { return textObject(max, true) }

// confirm is a confirmation dialog.
func confirm(l *lint, ptr string, v any) {
	l.object(ptr, v, fields{"title": must(plain(100)), "text": must(rich(300)), "confirm": must(plain(30)),
		"deny": must(plain(30)), "style": may(oneOf("primary", "danger"))})
}

// option of a menu; mrkdwn is for checkboxes and radio buttons, url for overflow menus.
func option(mrkdwn, url bool) rule {
	return func(l *lint, ptr string, v any) {
		table := fields{"text": must(textObject(75, mrkdwn)), "value": must(text(1, 150)), "description": may(textObject(75, mrkdwn))}
		if url {
			table["url"] = may(text(1, 3000))
		}
		l.object(ptr, v, table)
	}
}

// optionGroup is a titled part of a menu.
func optionGroup(l *lint, ptr string, v any) {
	l.object(ptr, v, fields{"label": must(plain(75)), "options": must(items(1, 100, option(false, false)))})
}
