package policy

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// fact is one thing a policy says: of a subject (a scenario, an account, a section) and a key.
type fact struct {
	key   string
	value string   // of a single value
	list  []string // of a list, in its order
	many  bool
}

// subject is what a person would name in saying what changed.
type subject struct {
	name  string
	facts []fact
}

// Diff says in words what differs between two policies, one line for each thing, in the order of the
// new file, what was removed last. Formatting and comments make no difference; then it is empty though
// the hashes differ. Every key is compared by reflection, so that none added later can change in silence.
func Diff(before, after *Policy) []string {
	was, is := subjects(before), subjects(after)
	old, now := map[string]subject{}, map[string]bool{}
	for _, s := range was {
		old[s.name] = s
	}
	var out []string
	for _, s := range is {
		now[s.name] = true
		if o, known := old[s.name]; known {
			out = append(out, changes(s.name, o.facts, s.facts)...)
		} else {
			out = append(out, s.name+" is new"+summary(s.facts))
		}
	}
	for _, s := range was {
		if !now[s.name] {
			out = append(out, s.name+" is removed")
		}
	}
	return slices.Concat(out, reordered(was, is), unclosed(before, after))
}

// unclosed says which guards are closed no more, or again, though no scenario says otherwise: a line under
// reconcile does that, and nobody would look for it there.
func unclosed(before, after *Policy) (out []string) {
	for _, set := range after.BreakGlassSets() {
		var opened, shut []string
		for _, a := range after.Opens(Grant{GrantPermissionSet, set}) {
			was, _ := before.GuardOf(set, a.Name)
			is, _ := after.GuardOf(set, a.Name)
			switch {
			case was.Mode != GuardClosed || is.Mode != GuardClosed || was.Closed == is.Closed:
			case is.Closed:
				shut = append(shut, a.Name)
			default:
				opened = append(opened, a.Name)
			}
		}
		if len(opened) > 0 {
			out = append(out, "guard of "+set+": no longer refuses whoever has no session in "+some(opened)+", where it stands for some now")
		}
		if len(shut) > 0 {
			out = append(out, "guard of "+set+": refuses whoever has no session in "+some(shut)+" again, where it stood for some")
		}
	}
	return out
}

// reordered notices scenarios and accounts that merely moved: the form shows them in their order.
func reordered(was, is []subject) (out []string) {
	for _, prefix := range []string{"account ", "scenario "} {
		a, b := withPrefix(was, prefix), withPrefix(is, prefix)
		if slices.Equal(a, b) {
			continue
		}
		slices.Sort(a)
		sortedB := slices.Sorted(slices.Values(b))
		if !slices.Equal(a, sortedB) {
			continue
		}
		line := strings.TrimSpace(prefix) + "s have a new order"
		if len(b) <= 20 {
			line += ": " + strings.Join(b, ", ")
		}
		out = append(out, line)
	}
	return out
}

func withPrefix(list []subject, prefix string) (out []string) {
	for _, s := range list {
		if name, ok := strings.CutPrefix(s.name, prefix); ok {
			out = append(out, name)
		}
	}
	return out
}

// summary is what a new subject says, defaults left out.
func summary(facts []fact) string {
	var parts []string
	for _, f := range facts {
		switch v := f.shown(); v {
		case "none", "false", "0":
		default:
			parts = append(parts, strings.TrimSpace(f.key+" "+v))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return ": " + strings.Join(parts, "; ")
}

func (f fact) shown() string {
	if !f.many {
		return f.value
	}
	if len(f.list) == 0 {
		return "none"
	}
	return strings.Join(f.list, ", ")
}

func changes(name string, before, after []fact) (out []string) {
	old := map[string]fact{}
	for _, f := range before {
		old[f.key] = f
	}
	for _, f := range after {
		o := old[f.key]
		if f.value == o.value && slices.Equal(f.list, o.list) {
			continue
		}
		label := name + ": " + f.key
		if f.key == "" {
			label = name
		}
		if !f.many {
			out = append(out, fmt.Sprintf("%s is now %s, was %s", label, f.value, o.value))
			continue
		}
		gained, lost := without(f.list, o.list), without(o.list, f.list)
		var parts []string
		if len(gained) > 0 {
			parts = append(parts, "gained "+strings.Join(gained, ", "))
		}
		if len(lost) > 0 {
			parts = append(parts, "lost "+strings.Join(lost, ", "))
		}
		if len(parts) == 0 {
			parts = append(parts, "has a new order: "+strings.Join(f.list, ", "))
		}
		out = append(out, label+" "+strings.Join(parts, "; "))
	}
	return out
}

func without(a, b []string) (out []string) {
	for _, s := range a {
		if !slices.Contains(b, s) {
			out = append(out, s)
		}
	}
	return out
}

// subjects takes a policy apart.
func subjects(p *Policy) (out []subject) {
	v := reflect.ValueOf(*p)
	for i := range v.NumField() {
		key := v.Type().Field(i).Tag.Get("yaml")
		if key == "-" || key == "" {
			continue
		}
		field := v.Field(i)
		switch x := field.Interface().(type) {
		case []Account:
			for _, a := range x {
				out = append(out, subject{"account " + a.Name, facts("", reflect.ValueOf(a))})
			}
		case []Scenario:
			for _, s := range x {
				out = append(out, subject{"scenario " + s.Name, facts("", reflect.ValueOf(s))})
			}
		case map[string]People:
			for _, name := range sorted(x) {
				out = append(out, subject{"people " + name, facts("", reflect.ValueOf(x[name]))})
			}
		case map[string]string:
			for _, name := range sorted(x) {
				out = append(out, subject{key + " " + name, []fact{{value: text(reflect.ValueOf(x[name]))}}})
			}
		default:
			out = append(out, subject{key, facts("", field)})
		}
	}
	return out
}

// facts takes a value apart into single values and lists, by their keys in the file.
func facts(key string, v reflect.Value) []fact {
	if whole(v) || v.Kind() != reflect.Struct {
		if v.Kind() != reflect.Slice {
			return []fact{{key: key, value: text(v)}}
		}
		f := fact{key: key, many: true}
		for i := range v.Len() {
			f.list = append(f.list, text(v.Index(i)))
		}
		return []fact{f}
	}
	var out []fact
	for i := range v.NumField() {
		if tag := v.Type().Field(i).Tag.Get("yaml"); tag != "-" {
			name := tag
			if key != "" {
				name = key + "." + tag
			}
			out = append(out, facts(name, v.Field(i))...)
		}
	}
	return out
}

// whole says which structures people read as one thing.
func whole(v reflect.Value) bool {
	switch v.Interface().(type) {
	case Approval, Grant, TicketRule:
		return true
	}
	return false
}

// text is a value in a few words.
func text(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case Approval:
		return x.words()
	case Grant:
		return string(x.Kind) + " " + x.Name
	case TicketRule:
		return x.words()
	case time.Duration:
		if x == 0 {
			return "none"
		}
		return Span(x)
	case *time.Location:
		return x.String()
	case *regexp.Regexp:
		if x == nil {
			return "none"
		}
		return x.String()
	}
	switch v.Kind() {
	case reflect.String:
		if v.String() == "" {
			return "none"
		}
		return v.String()
	case reflect.Bool:
		return strconv.FormatBool(v.Bool())
	case reflect.Int:
		return strconv.FormatInt(v.Int(), 10)
	case reflect.Struct:
		var parts []string
		for _, f := range facts("", v) {
			if s := f.shown(); s != "none" {
				parts = append(parts, f.key+" "+s)
			}
		}
		return "{" + strings.Join(parts, "; ") + "}"
	}
	return fmt.Sprint(v.Interface())
}

func (a Approval) words() string {
	switch {
	case a.None:
		return "none needed" // not "none": that an approval was dropped must stand out in a summary too
	case len(a.AllOf) > 0:
		return "all of " + strings.Join(a.AllOf, ", ")
	}
	return fmt.Sprintf("%d of %s", a.Count, strings.Join(a.AnyOf, ", "))
}

func (t TicketRule) words() string {
	switch {
	case t.Required:
		return "required"
	case t.Within > 0:
		return "may follow within " + Span(t.Within)
	}
	return "optional"
}
