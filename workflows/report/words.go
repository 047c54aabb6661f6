package report

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"breakglass/store"
)

// cut shortens to n bytes, at a whole character, and says that it did.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	const more = "…"
	n -= len(more)
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return strings.TrimRightFunc(s[:max(n, 0)], unicode.IsSpace) + more
}

// oneLine is what somebody else wrote as part of a sentence: no line breaks, nothing that cannot be seen or that turns the reading
// direction, at most n bytes.
func oneLine(s string, n int) string {
	s, more := beginning(s, n)
	return cut(strings.Join(strings.Fields(plain(s)), " ")+more, n)
}

// several is what somebody wrote, in the lines they wrote, at most n bytes. No two empty lines follow each other.
func several(s string, n int) string {
	s, more := beginning(s, n)
	var lines []string
	for l := range strings.SplitSeq(plain(s), "\n") {
		l = strings.TrimRightFunc(l, unicode.IsSpace)
		if l == "" && (len(lines) == 0 || lines[len(lines)-1] == "") {
			continue
		}
		lines = append(lines, l)
	}
	return cut(strings.TrimSpace(strings.Join(lines, "\n"))+more, n)
}

// beginning is as much of a text as can matter for n bytes of it, so that nobody's megabyte is gone through for a line.
func beginning(s string, n int) (begin, more string) {
	if len(s) <= 8*n {
		return s, ""
	}
	return cut(s, 8*n), "…"
}

// plain takes out what is no text: control and formatting characters, broken UTF-8.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n':
			return r
		case r == utf8.RuneError:
			return '?'
		case unicode.IsSpace(r):
			return ' '
		case unicode.Is(unicode.C, r):
			return -1
		}
		return r
	}, strings.ReplaceAll(s, "\r\n", "\n"))
}

// Forms of times, all in UTC: the readers of one report live in several zones.
const (
	longForm  = "2006-01-02 15:04:05 UTC"
	plainForm = "2006-01-02 15:04 UTC"
	dayForm   = "2006-01-02"
	clockForm = "15:04:05"
)

func long(t time.Time) string {
	if t.IsZero() {
		return "a time that is not known"
	}
	return t.UTC().Format(longForm)
}

func when(t time.Time) string {
	if t.IsZero() {
		return "a time that is not known"
	}
	return t.UTC().Format(plainForm)
}

// span is a time or two of one day that the reader knows; other days are said.
func span(first, last, day time.Time) string {
	clock := func(t, near time.Time) string {
		if t.UTC().Format(dayForm) == near.UTC().Format(dayForm) {
			return t.UTC().Format(clockForm)
		}
		return t.UTC().Format("01-02 " + clockForm)
	}
	from := clock(first, day)
	if last.Sub(first) < time.Second {
		return from
	}
	return from + "–" + clock(last, first)
}

// lasting is a duration as people say it, to the precision that matters and never more than it was: "42 seconds", "61 minutes", "3 hours 20 minutes", "2 days 4 hours".
func lasting(d time.Duration) string {
	switch d = d.Round(time.Second); {
	case d <= 0:
		return "less than a minute"
	case d < time.Minute:
		return count(int(d/time.Second), "second")
	case d < 10*time.Minute && d%time.Minute != 0:
		return count(int(d/time.Minute), "minute") + " " + count(int(d%time.Minute/time.Second), "second")
	case d%time.Hour == 0 && d < 72*time.Hour:
		return count(int(d/time.Hour), "hour")
	case d.Truncate(time.Minute) == time.Hour:
		return "1 hour"
	case d < 2*time.Hour:
		return count(int(d/time.Minute), "minute")
	case d < 72*time.Hour:
		return both(int(d/time.Hour), "hour", int(d%time.Hour/time.Minute), "minute")
	}
	return both(int(d/(24*time.Hour)), "day", int(d%(24*time.Hour)/time.Hour), "hour")
}

func both(n int, big string, m int, small string) string {
	if m == 0 {
		return count(n, big)
	}
	return count(n, big) + " " + count(m, small)
}

// short is the same for where there is no room: 42 s, 61 min, 3 h 20 min, 2 d 4 h.
func short(d time.Duration) string {
	if d.Round(time.Second) <= 0 {
		return "0 s"
	}
	s := lasting(d)
	for _, unit := range [][2]string{{"second", "s"}, {"minute", "min"}, {"hour", "h"}, {"day", "d"}} {
		s = strings.ReplaceAll(strings.ReplaceAll(s, unit[0]+"s", unit[1]), unit[0], unit[1])
	}
	return s
}

// count is a number with its noun, for nouns that take an s.
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return grouped(n) + " " + what + "s"
}

// grouped is a number that can be read at a glance: 100,000.
func grouped(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// list joins names in a sentence, the first n of them.
func list(names []string, n int) string {
	if left := len(names) - n; left > 0 {
		names = append(append([]string{}, names[:n]...), fmt.Sprintf("%d more", left))
	}
	switch len(names) {
	case 0:
		return ""
	case 1:
		return names[0]
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}

// upper begins a sentence.
func upper(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(r)) + s[n:]
}

// name is a person in a sentence.
func name(p store.Person) string { return oneLine(p.Label(), 80) }

// full is a person with the address that tells two of a name apart.
func full(p store.Person) string {
	s := name(p)
	if p.Email != "" && p.Email != p.Label() {
		s += " <" + oneLine(p.Email, 100) + ">"
	}
	return s
}

// actor is who did something.
func actor(a store.Actor) string { return oneLine(a.Label(), 80) }
