package handlers

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/slack-go/slack"
)

// Everything a person typed, and every name a directory gave us, passes through this file before it is shown. The order of
// preference: a plain_text object or a text element of rich_text, which parse nothing; then inert, where only mrkdwn will do (the
// top-level text of a message). What is put into a command goes through shellQuote.

// Slack's limits on what we send, in characters. Source: reference of Block Kit and of chat.postMessage.
const (
	limitHeader   = 150
	limitSection  = 3000
	limitField    = 2000
	limitButton   = 75 // also its accessibility label, and the text of an option
	limitTitle    = 24 // of a modal, its submit and close; also of a shortcut
	limitConfirm  = 300
	limitTop      = 1000 // our own: chat.update refuses a top-level text of more than 4,000
	limitBlocks   = 50
	limitFields   = 10
	limitContext  = 10
	limitName     = 80 // our own: names of people, accounts, scenarios inside a sentence
	limitQuote    = 3000
	mostMarks     = 3 // accents stacked on one letter
	ellipsis      = "…"
	wordJoiner    = "\u2060"
	isolate       = "\u2068" // FIRST STRONG ISOLATE
	isolateEnd    = "\u2069"
	nothingToShow = "-"
)

// neutral takes from s everything that could change how the text around it is read: control characters, direction
// overrides, characters of no width, broken UTF-8 and stacked accents. Lines stay only where lines is set.
func neutral(s string, lines bool) string {
	var b strings.Builder
	b.Grow(len(s))
	marks, newlines, space := 0, 0, false
	for _, c := range strings.ReplaceAll(s, "\r\n", "\n") {
		switch {
		case c == '\n' || c == '\r' || c == '\u0085' || c == '\u2028' || c == '\u2029' || c == '\v' || c == '\f':
			if !lines {
				space = true
				continue
			}
			space, marks = false, 0
			newlines++
			continue
		case unicode.IsSpace(c) || unicode.Is(unicode.Zs, c):
			space = true
			continue
		case invisible(c):
			continue
		case unicode.Is(unicode.M, c):
			if marks++; marks > mostMarks {
				continue
			}
		default:
			marks = 0
		}
		if b.Len() > 0 {
			switch {
			case newlines > 0:
				b.WriteString(strings.Repeat("\n", min(newlines, 2)))
			case space:
				b.WriteByte(' ')
			}
		}
		newlines, space = 0, false
		b.WriteRune(c)
	}
	return b.String()
}

// invisible are characters that show nothing or that nobody can tell apart from nothing: category C (control, format with the bidi
// overrides and the zero-width ones, surrogates, private use, unassigned) and the letters that are blank by design.
func invisible(c rune) bool {
	switch c {
	case '\u115f', '\u1160', '\u3164', '\uffa0', '\u2800', '\u17b4', '\u17b5', '\u034f', '\ufffd':
		return true
	}
	return unicode.Is(unicode.C, c) || !unicode.IsGraphic(c)
}

// width counts as Slack's strictest counter does, in UTF-16 units: never less than the number of runes.
func width(s string) int {
	n := 0
	for _, c := range s {
		if n++; c > 0xffff {
			n++
		}
	}
	return n
}

// cut shortens s to at most that many characters, between two runes, and says so with an ellipsis.
func cut(s string, most int) string {
	if width(s) <= most {
		return s
	}
	n := 0
	for i, c := range s {
		w := 1
		if c > 0xffff {
			w = 2
		}
		if n += w; n > most-1 {
			return strings.TrimRight(s[:i], " \n") + ellipsis
		}
	}
	return s
}

// oneLine is user text for a label or a sentence: neutral, on one line, at most that many characters. Text with letters that run from
// right to left is wrapped in isolates, so that it cannot reorder the sentence around it.
func oneLine(s string, most int) string {
	t := neutral(s, false)
	if !rightToLeft(t) {
		return cut(t, most)
	}
	return isolate + cut(t, most-2) + isolateEnd
}

// manyLines is user text for a block of its own, where its lines may stay.
func manyLines(s string, most int) string { return cut(neutral(s, true), most) }

// rightToLeft looks for the scripts whose letters reorder a line of Latin text around them. Their direction marks are gone by then;
// the letters are enough.
func rightToLeft(s string) bool {
	for _, c := range s {
		if unicode.In(c, unicode.Hebrew, unicode.Arabic, unicode.Syriac, unicode.Thaana, unicode.Nko, unicode.Adlam) {
			return true
		}
	}
	return false
}

// plain is a plain_text object of user text: nothing in it is markup, a mention or an emoji code. Slack refuses an empty one.
func plain(s string, most int) *slack.TextBlockObject {
	t := oneLine(s, most)
	if t == "" {
		t = nothingToShow
	}
	return slack.NewTextBlockObject(slack.PlainTextType, t, false, false)
}

// inert is user text for a place that Slack reads as mrkdwn, which is the top-level text of a message and nothing else of ours. Besides the three
// characters that Slack wants escaped, it takes their power from the four marks of formatting, from @ and from the colons
// of links and emoji. most is what is seen; escapes come on top.
func inert(s string, most int) string {
	t := []rune(oneLine(s, most))
	var b strings.Builder
	for i, c := range t {
		switch c {
		case '&':
			b.WriteString("&amp;")
		case '<':
			b.WriteString("&lt;")
		case '>':
			b.WriteString("&gt;")
		case '*':
			b.WriteRune('∗')
		case '~':
			b.WriteRune('∼')
		case '`':
			b.WriteRune('ˋ')
		case '_': // inside a word it is no mark, and names are full of it
			if i > 0 && i+1 < len(t) && alnum(t[i-1]) && alnum(t[i+1]) {
				b.WriteRune(c)
			} else {
				b.WriteRune('ˍ')
			}
		case '@':
			b.WriteString("@" + wordJoiner)
		case ':':
			b.WriteRune(c)
			if i+1 < len(t) && t[i+1] != ' ' {
				b.WriteString(wordJoiner)
			}
		default:
			b.WriteRune(c)
		}
	}
	return b.String()
}

func alnum(c rune) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// slackID says whether id has the form of one of Slack's ids that begins with one of the letters. Ids come from Slack and from the
// store, and are still not trusted to be spliced into markup.
func slackID(id, letters string) bool {
	if len(id) < 2 || len(id) > 40 || !strings.ContainsRune(letters, rune(id[0])) {
		return false
	}
	for _, c := range id {
		if !(c >= 'A' && c <= 'Z' || c >= '0' && c <= '9') {
			return false
		}
	}
	return true
}

// Which of Slack's ids something is, by its first letter. W is a user of an Enterprise organisation, G an old private channel.
func isUser(id string) bool    { return slackID(id, "UW") }
func isGroup(id string) bool   { return slackID(id, "S") }
func isChannel(id string) bool { return slackID(id, "CG") }

// mention is a person in mrkdwn, "" for what is no user id.
func mention(id string) string {
	if !isUser(id) {
		return ""
	}
	return "<@" + id + ">"
}

// mentionGroup is a user group in mrkdwn, "" for what is no group's id.
func mentionGroup(id string) string {
	if !isGroup(id) {
		return ""
	}
	return "<!subteam^" + id + ">"
}

// The forms in which times are shown; each reader sees their own zone. Source: Slack, "Formatting text", date formatting.
const (
	dateForm = "{date_short_pretty} at {time}"
	timeForm = "{time}"
	noTime   = "a time that is not known"
)

// dateToken is a time in mrkdwn. Where it is not rendered, people read the fallback, with its zone.
func dateToken(t time.Time, form string) string {
	if t.Unix() <= 0 {
		return noTime
	}
	return fmt.Sprintf("<!date^%d^%s|%s>", t.Unix(), form, utc(t))
}

// utc is a time for places that know no zone of their reader.
func utc(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// sayDuration is a duration as people say it: "2 hours", "90 minutes", "1 hour", "4 hours 30 minutes".
func sayDuration(d time.Duration) string {
	d = d.Round(time.Second)
	switch {
	case d <= 0:
		return "no time"
	case d < time.Minute || d < 10*time.Minute && d%time.Minute != 0:
		if d < time.Minute {
			return count(int(d/time.Second), "second")
		}
		return count(int(d/time.Minute), "minute") + " " + count(int(d%time.Minute/time.Second), "second")
	case d%time.Hour == 0 && d < 72*time.Hour:
		return count(int(d/time.Hour), "hour")
	case d < 2*time.Hour:
		return count(int(d.Round(time.Minute)/time.Minute), "minute")
	case d < 72*time.Hour:
		m := d.Round(time.Minute)
		if m%time.Hour == 0 {
			return count(int(m/time.Hour), "hour")
		}
		return count(int(m/time.Hour), "hour") + " " + count(int(m%time.Hour/time.Minute), "minute")
	}
	days, rest := int(d/(24*time.Hour)), d%(24*time.Hour)
	if h := int(rest / time.Hour); h > 0 {
		return count(days, "day") + " " + count(h, "hour")
	}
	return count(days, "day")
}

// count is a number with its noun, for nouns that take an s.
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return thousands(n) + " " + what + "s"
}

// thousands writes a number as the report does.
func thousands(n int) string {
	if n < 1000 {
		return strconv.Itoa(n)
	}
	return fmt.Sprintf("%s,%03d", thousands(n/1000), n%1000)
}

// join lists names in a sentence: "a", "a or b", "a, b or c".
func join(names []string, last string) string {
	switch len(names) {
	case 0:
		return ""
	case 1:
		return names[0]
	}
	return strings.Join(names[:len(names)-1], ", ") + " " + last + " " + names[len(names)-1]
}

// shellQuote makes one POSIX shell word of s, whatever it holds: in single quotes only the single quote itself means anything.
// NUL cannot be in a word and is dropped. Source: POSIX.1-2024, Shell Command Language 2.2.2.
func shellQuote(s string) string {
	s = strings.ReplaceAll(s, "\x00", "")
	if s != "" && plainWord(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// plainWord: nothing in it means anything to a shell, at any place in a word. A leading ~ or = (zsh) does, hence the first byte.
func plainWord(s string) bool {
	if !utf8.ValidString(s) || s[0] == '=' {
		return false
	}
	for _, c := range s {
		if !alnum(c) && !strings.ContainsRune("-_./:@%+,=", c) {
			return false
		}
	}
	return true
}
