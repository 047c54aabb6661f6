package page

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

// inline is a run of text as it is shown, or something that holds runs.
type inline struct {
	Kind  string // text, link, mention, code, pre, quote
	Text  string
	Href  string // of a link, http(s) or mailto only
	Title string // where a link leads, for a link whose text does not say so
	Class string // b i s u hl: bold, italic, struck, underlined, highlighted
	Me    bool   // a mention of the reader
	Kids  []inline
}

// writer turns markup into runs for one reader.
type writer struct {
	s      *site
	reader string // Slack user id
}

var (
	fence  = regexp.MustCompile("(?s)```\n?(.*?)\n?```")
	styles = []struct {
		sign  string
		class string
	}{{"*", "b"}, {"_", "i"}, {"~", "s"}}
)

// mrkdwn reads Slack's markup: fences, quoted lines, emphasis, code, and what stands between angle brackets.
func (w writer) mrkdwn(s string) []inline {
	var out []inline
	for s != "" {
		m := fence.FindStringSubmatchIndex(s)
		if m == nil {
			return append(out, w.lines(s)...)
		}
		out = append(out, w.lines(strings.TrimSuffix(s[:m[0]], "\n"))...)
		out = append(out, inline{Kind: "pre", Kids: w.tags(s[m[2]:m[3]], "")})
		s = strings.TrimPrefix(s[m[1]:], "\n")
	}
	return out
}

// lines separates quoted lines from the others.
func (w writer) lines(s string) []inline {
	var out []inline
	var run []string
	quoted := false
	flush := func() {
		if len(run) == 0 {
			return
		}
		if kids := w.spans(strings.Join(run, "\n"), ""); quoted {
			out = append(out, inline{Kind: "quote", Kids: kids})
		} else {
			out = append(out, kids...)
		}
		run = nil
	}
	if s == "" {
		return nil
	}
	for line := range strings.SplitSeq(s, "\n") {
		rest, q := strings.CutPrefix(line, "&gt;")
		if !q {
			rest, q = strings.CutPrefix(line, ">")
		}
		if q != quoted {
			flush()
			quoted = q
		}
		run = append(run, strings.TrimPrefix(rest, map[bool]string{true: " ", false: ""}[q]))
	}
	flush()
	return out
}

// spans reads emphasis and code within a paragraph. class is that of the emphasis around it.
func (w writer) spans(s, class string) []inline {
	var out []inline
	plainFrom := 0
	for i := 0; i < len(s); {
		if s[i] == '<' { // what stands in a tag is no markup
			if end := strings.IndexByte(s[i:], '>'); end > 0 {
				i += end + 1
				continue
			}
		}
		kid, next, ok := w.span(s, i, class)
		if !ok {
			i++
			continue
		}
		out = append(append(out, w.tags(s[plainFrom:i], class)...), kid...)
		i, plainFrom = next, next
	}
	return append(out, w.tags(s[plainFrom:], class)...)
}

// span reads one piece of code or emphasis that begins at i: after a space or at the beginning, and closed on the same line before a
// character that is no letter, as Slack has it.
func (w writer) span(s string, i int, class string) (kids []inline, next int, ok bool) {
	if i > 0 && wordy(s[i-1]) {
		return nil, 0, false
	}
	signs := append(styles[:len(styles):len(styles)], struct{ sign, class string }{"`", "code"})
	for _, st := range signs {
		if s[i] != st.sign[0] {
			continue
		}
		for from := i + 1; ; {
			n := strings.IndexByte(s[from:], st.sign[0])
			if n < 0 || strings.Contains(s[i+1:from+n], "\n") {
				return nil, 0, false
			}
			end := from + n
			if inner := s[i+1 : end]; inner != "" && inner[0] != ' ' && (end+1 == len(s) || !wordy(s[end+1])) {
				if st.class == "code" {
					return []inline{{Kind: "code", Kids: w.tags(inner, class)}}, end + 1, true
				}
				return w.spans(inner, strings.TrimSpace(class+" "+st.class)), end + 1, true
			}
			from = end + 1
		}
	}
	return nil, 0, false
}

func wordy(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c >= 0x80
}

var entities = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&")

// tags reads what stands between angle brackets; the rest is text.
func (w writer) tags(s, class string) []inline {
	var out []inline
	text := func(t string) {
		if t != "" {
			out = append(out, inline{Kind: "text", Text: pictures(entities.Replace(t)), Class: class})
		}
	}
	for {
		before, rest, found := strings.Cut(s, "<")
		tag, after, closed := strings.Cut(rest, ">")
		if !found || !closed {
			text(s)
			return out
		}
		text(before)
		out = append(out, w.tag(tag, class))
		s = after
	}
}

func (w writer) tag(t, class string) inline {
	what, shown, _ := strings.Cut(t, "|")
	shown = entities.Replace(shown)
	switch {
	case strings.HasPrefix(what, "@"):
		return w.user(what[1:], class)
	case strings.HasPrefix(what, "#"):
		return inline{Kind: "mention", Text: w.s.channelName(what[1:]), Class: class}
	case strings.HasPrefix(what, "!subteam^"):
		return w.group(strings.TrimPrefix(what, "!subteam^"), class)
	case strings.HasPrefix(what, "!date^"):
		part := strings.SplitN(what, "^", 4)
		if secs, err := strconv.ParseInt(part[1], 10, 64); err == nil && len(part) > 2 {
			return inline{Kind: "text", Text: w.date(secs, part[2], shown), Class: class, Title: shown}
		}
		return inline{Kind: "text", Text: shown, Class: class}
	case strings.HasPrefix(what, "!"):
		return inline{Kind: "mention", Text: "@" + what[1:], Class: class, Me: true}
	}
	return w.link(entities.Replace(what), shown, class)
}

func (w writer) user(id, class string) inline {
	return inline{Kind: "mention", Text: "@" + w.s.userName(id), Class: class, Me: id == w.reader}
}

func (w writer) group(id, class string) inline {
	return inline{Kind: "mention", Text: "@" + w.s.group(id), Class: class}
}

// link keeps addresses of the web and of mail; any other scheme stays text.
func (w writer) link(url, shown, class string) inline {
	text := first(shown, strings.TrimPrefix(url, "mailto:"))
	if !strings.HasPrefix(url, "https://") && !strings.HasPrefix(url, "http://") && !strings.HasPrefix(url, "mailto:") {
		return inline{Kind: "text", Text: text, Class: class}
	}
	return inline{Kind: "link", Text: text, Href: url, Title: url, Class: class}
}

// date renders a moment in the reader's zone by Slack's format, through the twin, so that page and tests read the same.
func (w writer) date(secs int64, format, fallback string) string {
	if strings.ContainsAny(format, "<>^|&*~`") {
		return fallback
	}
	return w.s.world.Slack.Mrkdwn(w.reader, "<!date^"+strconv.FormatInt(secs, 10)+"^"+format+"|"+strings.NewReplacer("<", "", ">", "").Replace(fallback)+">")
}

func (w writer) when(t time.Time, format string) string { return w.date(t.Unix(), format, "") }
