package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// reader reads a tree into a Policy and notes every fault on the way. A value that is at fault is
// replaced by its default, so that one slip does not look like five; names that are at fault stay
// known, so that nothing refers to "an unknown scenario" that stands in the file.
type reader struct {
	forms
	file   string
	faults []Fault
	untold int // faults past maxFaults
	effort int // names that may still be compared for "did you mean"
	policy *Policy

	broken    map[string]bool   // sets of people at fault: nothing is concluded from them
	sets      []string          // names of the sets of people, as in the file
	accounts  []string          // names of the accounts, as in the file
	known     map[string]bool   // the same, to find one of thousands
	scenarios []string          // names of the scenarios, as in the file
	reserved  map[string]string // groups that must not be granted, folded -> where they stand
	granted   map[Grant]string  // what is granted, folded -> as it was written first

	iamUsersNamed bool                // iam_users has entries, at fault or not
	guards        map[string]Scenario // by permission set: the first scenario that grants it
}

// fields is a mapping of which the allowed keys are known.
type fields struct {
	*reader
	path string
	at   pos // where to point when a key is missing
	n    *node
}

// item is a text of a list with its place.
type item struct {
	text string
	at   pos
	path string
}

// open takes a value for a mapping with these keys. Every other key is a fault.
func (r *reader) open(n *node, at pos, path string, known ...string) (fields, bool) {
	f := fields{reader: r, path: path, at: at, n: n}
	if !r.is(n, isMap, path) {
		return f, false
	}
	for _, k := range n.keys {
		if !slices.Contains(known, k.name) {
			r.unknown(item{k.name, k.at, join(path, k.name)}, "key", known)
		}
	}
	return f, true
}

// is checks what kind of value stands there.
func (r *reader) is(n *node, want kind, path string) bool {
	if n.kind == want {
		return true
	}
	if n.kind == isSpoilt {
		return false
	}
	if n.kind == isNull {
		r.fault(n.at, path, "has no value", `give one or remove the key; "#" begins a comment unless the text is in quotes`)
		return false
	}
	remedy := "write " + want.String()
	switch {
	case want == isText && (n.kind == isNumber || n.kind == isFlag):
		remedy = "put it in quotes: " + quote(n.text)
	case want == isList && n.kind == isText:
		remedy = "write a list: [" + shown(n.text) + "]"
	case want == isFlag && n.kind == isText:
		remedy = "write true or false, without quotes"
	case want == isNumber && n.kind == isText:
		remedy = "write a number, without quotes"
	}
	r.fault(n.at, path, fmt.Sprintf("must be %s and is %s", want, n.kind), remedy)
	return false
}

// shown is a word as it would stand in the file.
func shown(s string) string {
	if s != "" && len(s) <= 60 && !strings.ContainsFunc(s, func(c rune) bool {
		return !unicode.IsLetter(c) && !unicode.IsDigit(c) && c != '-' && c != '_' && c != '.'
	}) {
		return s
	}
	return quote(s)
}

func (f fields) has(key string) bool { return f.n.get(key) != nil }

// where is the place of a key's value, else of the mapping.
func (f fields) where(key string) pos {
	if e := f.n.get(key); e != nil {
		return e.value.at
	}
	return f.at
}

// need notes a key that is missing.
func (f fields) need(key, remedy string) bool {
	if f.has(key) {
		return true
	}
	f.fault(f.at, join(f.path, key), "is missing", remedy)
	return false
}

// bad notes a fault of a key's value.
func (f fields) bad(key, problem, remedy string) {
	f.fault(f.where(key), join(f.path, key), problem, remedy)
}

// plain checks text that people will read: one line, without control characters, not empty, not longer
// than limit characters as Slack counts them (UTF-16 units, the most pessimistic reading of its limits).
func (r *reader) plain(n *node, path string, limit int) (string, bool) {
	if !r.is(n, isText, path) {
		return "", false
	}
	if strings.TrimSpace(n.text) == "" {
		r.fault(n.at, path, "is empty", "write something or remove the key")
		return "", false
	}
	if n.text != strings.TrimSpace(n.text) {
		r.fault(n.at, path, "begins or ends with white space", "remove it")
		return "", false
	}
	if strings.ContainsFunc(n.text, func(c rune) bool { return !unicode.IsPrint(c) }) {
		r.fault(n.at, path, "has a line break or a character that cannot be seen", "write it in one line of plain text")
		return "", false
	}
	if units := utf16Length(n.text); units > limit {
		r.fault(n.at, path, fmt.Sprintf("has %d characters, more than %d", units, limit), "make it shorter")
		return "", false
	}
	return n.text, true
}

func utf16Length(s string) int {
	n := 0
	for _, c := range s {
		n++
		if c > 0xffff {
			n++
		}
	}
	return n
}

// text reads optional text in a given form; zero form: any.
func (f fields) text(key string, is form) string {
	e := f.n.get(key)
	if e == nil {
		return ""
	}
	path := join(f.path, key)
	s, ok := f.plain(e.value, path, is.limit())
	if !ok || !f.formed(item{s, e.value.at, path}, is) {
		return ""
	}
	return s
}

// must is text that has to be there.
func (f fields) must(key string, is form) string {
	if !f.need(key, is.remedy) {
		return ""
	}
	return f.text(key, is)
}

// formed checks text against a form.
func (r *reader) formed(it item, is form) bool {
	if is.match == nil || is.match(it.text) {
		return true
	}
	r.fault(it.at, it.path, quote(it.text)+" is not "+is.what, is.remedy)
	return false
}

// choice reads one of a few words.
func (f fields) choice(key, otherwise string, words ...string) string {
	e := f.n.get(key)
	if e == nil {
		return otherwise
	}
	if !f.is(e.value, isText, join(f.path, key)) {
		return otherwise
	}
	if !slices.Contains(words, e.value.text) {
		problem, remedy := unknown("value", e.value.text, words)
		f.bad(key, problem, remedy)
		return otherwise
	}
	return e.value.text
}

func (f fields) flag(key string, otherwise bool) bool {
	e := f.n.get(key)
	if e == nil || !f.is(e.value, isFlag, join(f.path, key)) {
		return otherwise
	}
	return e.value.flag
}

// number reads a whole number between two bounds, both allowed.
func (f fields) number(key string, otherwise, least, most int) int {
	e := f.n.get(key)
	if e == nil || !f.is(e.value, isNumber, join(f.path, key)) {
		return otherwise
	}
	i, err := strconv.Atoi(e.value.text)
	if err != nil || i < least || i > most {
		f.bad(key, "is "+shown(e.value.text), fmt.Sprintf("write a whole number from %d to %d", least, most))
		return otherwise
	}
	return i
}

// maxSpan bounds every duration of the file. Ten years is past any retention; a larger number is a slip.
const maxSpan = 10 * 365 * 24 * time.Hour

// duration reads one duration of at least the given length.
func (f fields) duration(key string, otherwise, least time.Duration) time.Duration {
	e := f.n.get(key)
	if e == nil {
		return otherwise
	}
	if d, ok := f.span(e.value, join(f.path, key), least); ok {
		return d
	}
	return otherwise
}

// span checks a duration's form and its least length.
func (r *reader) span(n *node, path string, least time.Duration) (time.Duration, bool) {
	const remedy = "write it as 90s, 15m, 2h or 1h30m"
	switch n.kind {
	case isNumber:
		r.fault(n.at, path, "is the number "+shown(n.text)+" without a unit", remedy)
		return 0, false
	case isText:
	default:
		r.is(n, isText, path)
		return 0, false
	}
	d, err := time.ParseDuration(n.text)
	switch {
	case err != nil:
		r.fault(n.at, path, quote(n.text)+" is not a duration", remedy+daysHint(n.text))
	case d < 0:
		r.fault(n.at, path, quote(n.text)+" is negative", remedy)
	case d%time.Second != 0:
		r.fault(n.at, path, quote(n.text)+" is not a whole number of seconds", remedy)
	case d < least:
		r.fault(n.at, path, quote(n.text)+" is too short", "write "+Span(least)+" or more")
	case d > maxSpan:
		r.fault(n.at, path, quote(n.text)+" is too long", "write "+Span(maxSpan)+" or less")
	default:
		return d, true
	}
	return 0, false
}

// daysHint helps those who know other tools: Go's durations end at the hour.
func daysHint(s string) string {
	if strings.HasSuffix(s, "d") || strings.HasSuffix(s, "w") || strings.Contains(s, "day") {
		return "; there are no days: 24h is one"
	}
	return ""
}

// durations reads a rising list.
func (f fields) durations(key string, otherwise []time.Duration, least time.Duration) []time.Duration {
	e := f.n.get(key)
	if e == nil {
		return otherwise
	}
	path := join(f.path, key)
	if !f.is(e.value, isList, path) {
		return otherwise
	}
	var out []time.Duration
	for i, n := range e.value.items {
		at := fmt.Sprintf("%s[%d]", path, i)
		d, ok := f.span(n, at, least)
		if !ok {
			continue
		}
		if len(out) > 0 && d <= out[len(out)-1] {
			f.fault(n.at, at, Span(d)+" does not come after "+Span(out[len(out)-1]), "write them rising, each once")
			continue
		}
		out = append(out, d)
	}
	return out
}

// list reads a list of texts, each once. Absent is empty.
func (f fields) list(key string, is form) []item {
	e := f.n.get(key)
	if e == nil {
		return nil
	}
	path := join(f.path, key)
	if !f.is(e.value, isList, path) {
		return nil
	}
	var out []item
	seen := map[string]bool{}
	for i, n := range e.value.items {
		at := fmt.Sprintf("%s[%d]", path, i)
		s, ok := f.plain(n, at, is.limit())
		if !ok || !f.formed(item{s, n.at, at}, is) {
			continue
		}
		if same := is.same(s); seen[same] {
			f.fault(n.at, at, quote(s)+" stands twice", "keep one of them")
			continue
		} else {
			seen[same] = true
		}
		out = append(out, item{s, n.at, at})
	}
	return out
}

// filled is a list that must have something in it.
func (f fields) filled(key string, is form, remedy string) []item {
	if !f.need(key, remedy) {
		return nil
	}
	if e := f.n.get(key); e.value.kind == isList && len(e.value.items) == 0 {
		f.bad(key, "is empty", remedy)
	}
	return f.list(key, is)
}

func texts(items []item) []string {
	var out []string
	for _, it := range items {
		out = append(out, it.text)
	}
	return out
}

// Span writes a duration as a person would: 90s, 15m, 2h, 1h30m.
func Span(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	if d == 90*time.Second {
		return "90s"
	}
	return s
}
