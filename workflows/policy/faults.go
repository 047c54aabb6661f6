package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// maxFaults is how many faults are told one by one. A file with more has one cause, and whoever reads
// the first pages finds it; without a limit a hostile file makes an answer larger than itself.
const maxFaults = 500

// Fault is one thing wrong with a policy file.
type Fault struct {
	File    string `json:"file"`
	Line    int    `json:"line"`             // counted from 1
	Column  int    `json:"column"`           // counted from 1, in characters, not bytes
	Field   string `json:"field,omitempty"`  // as scenarios.ec2.approval.any_of[1]; "" for the file as a whole
	Problem string `json:"problem"`          // what is wrong
	Remedy  string `json:"remedy,omitempty"` // what to do about it
}

// String is the fault in one line: name:line:col: field: problem; remedy.
func (f Fault) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%d:%d: ", f.File, f.Line, f.Column)
	if f.Field != "" {
		b.WriteString(f.Field + ": ")
	}
	b.WriteString(f.Problem)
	if f.Remedy != "" {
		b.WriteString("; " + f.Remedy)
	}
	return b.String()
}

// Faults is everything wrong with a policy file, in the order of the file. It is the error of Parse.
type Faults []Fault

// Error is one line for each fault.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, one := range f {
		lines[i] = one.String()
	}
	return strings.Join(lines, "\n")
}

// pos is a place in the file.
type pos struct{ line, col int }

// fault notes a fault; nothing stops at one, so that a person can mend them all in one sitting. What it
// says may hold a piece of the file, and goes to terminals and channels: it is kept to what can be seen.
func (r *reader) fault(at pos, field, problem, remedy string) {
	if len(r.faults) >= maxFaults {
		r.untold++
		return
	}
	r.faults = append(r.faults, Fault{File: r.file, Line: max(at.line, 1), Column: max(at.col, 1),
		Field: strings.Map(visible, field), Problem: strings.Map(visible, problem), Remedy: strings.Map(visible, remedy)})
}

// err is what was found, in the order of the file, or nil.
func (r *reader) err() error {
	if len(r.faults) == 0 {
		return nil
	}
	slices.SortStableFunc(r.faults, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	faults := slices.Compact(r.faults)
	if r.untold > 0 {
		last := faults[len(faults)-1]
		faults = append(faults, Fault{File: r.file, Line: last.Line, Column: last.Column,
			Problem: fmt.Sprintf("and %d more", r.untold), Remedy: "mend these first"})
	}
	return Faults(faults)
}

// quote shows a piece of the file inside a fault: quoted, so that no control character reaches a
// terminal or a channel, and cut, so that one value cannot fill the page.
func quote(s string) string {
	const limit = 60
	if r := []rune(s); len(r) > limit {
		s = string(r[:limit]) + "..."
	}
	return strconv.Quote(s)
}

// unknown words the fault of a name that is not in known, with the nearest one that is.
func unknown(what, name string, known []string) (problem, remedy string) {
	problem = fmt.Sprintf("unknown %s %s", what, quote(name))
	if near := nearest(name, known); near != "" {
		return problem, fmt.Sprintf("did you mean %s?", near)
	}
	if len(known) == 0 {
		return problem, "there is none"
	}
	if len(known) > 12 {
		return problem, fmt.Sprintf("there are %d, none of them like it", len(known))
	}
	return problem, "known are " + listed(known, "and")
}

// unknown notes a name that nothing in the file has. Looking for the nearest costs time in proportion to
// all names; a file of thousands of wrong ones gets it for the first.
func (r *reader) unknown(it item, what string, known []string) {
	if r.effort -= len(known); r.effort < 0 {
		known = nil
	}
	problem, remedy := unknown(what, it.text, known)
	if known == nil {
		remedy = "correct the name"
	}
	r.fault(it.at, it.path, problem, remedy)
}

// nearest is the known word that a slip of the fingers most likely meant, or "".
func nearest(name string, known []string) string {
	best, distance := "", max(1, len(name)/3)+1
	for _, k := range known {
		if gap := len(k) - len(name); gap >= distance || -gap >= distance {
			continue
		}
		if d := edits(strings.ToLower(name), strings.ToLower(k)); d < distance {
			best, distance = k, d
		}
	}
	return best
}

// edits counts insertions, deletions, replacements and swaps of neighbours between two words.
func edits(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			step := 1
			if a[i-1] == b[j-1] {
				step = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+step)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}

// listed joins words as a person would: "a, b and c".
func listed(words []string, and string) string {
	switch len(words) {
	case 0:
		return ""
	case 1:
		return words[0]
	}
	return strings.Join(words[:len(words)-1], ", ") + " " + and + " " + words[len(words)-1]
}
