package tracker

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf16"
)

// closing is the last line of a text that was cut.
const closing = "… (cut here: the tracker takes no more)"

// direction reports whether r turns the direction of writing, by which a text can be made to read as another.
func direction(r rune) bool { return r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 }

// plain is a text of lines that end in \n, valid UTF-8, and without control characters other than \n and \t.
func plain(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	s = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u2028", "\n", "\u2029", "\n").Replace(s)
	return strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && unicode.IsControl(r) || direction(r) {
			return -1
		}
		return r
	}, s)
}

// clean is a text on one line of at most n characters.
func clean(s string, n int) string {
	r := []rune(strings.Join(strings.Fields(plain(s)), " "))
	if len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return string(r)
}

// width is the size of a text in UTF-16 units, as Java and so both trackers count it, with this much for the end of a line.
func width(s string, line int) int {
	n := 0
	for _, r := range s {
		n += runeWidth(r, line)
	}
	return n
}

func runeWidth(r rune, line int) int {
	if r == '\n' {
		return line
	}
	return utf16.RuneLen(r)
}

// cut shortens a text to a width and says so in its last line.
func cut(s string, most, line int) string {
	if width(s, line) <= most {
		return s
	}
	room := most - width("\n"+closing, line)
	for i, r := range s {
		if room -= runeWidth(r, line); room < 0 {
			return strings.TrimRight(s[:i], "\n") + "\n" + closing
		}
	}
	return s
}

// codeTag is where ServiceNow begins or ends to read HTML.
var codeTag = regexp.MustCompile(`(?i)\[(/?code)`)

// harmless breaks up what makes HTML of a journal entry: [code]...[/code] (ServiceNow, Journal field type). The zero-width space is not seen.
func harmless(s string) string { return codeTag.ReplaceAllString(s, "[\u200b$1") }
