package slacktwin

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// renderer turns blocks and mrkdwn into the words one reader sees.
type renderer struct {
	w   *Workspace
	loc *time.Location
	now time.Time
}

// renderer for a reader; UTC for none.
func (w *Workspace) renderer(reader string) renderer {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := renderer{w: w, loc: time.UTC, now: w.cfg.Now()}
	if u := w.users.get(reader); u != nil {
		r.loc = location(u.TZ)
	}
	return r
}

// PlainText renders the whole message, blocks and attachments, into readable text: dates in the reader's zone, mentions
// as @name, channels as #name, buttons as [text]. The text field is used where there are no blocks, as Slack does.
func (m Message) PlainText() string {
	r := m.w.renderer(m.reader)
	var parts []string
	if len(m.Blocks) > 0 {
		parts = append(parts, r.blocks(decode(m.Blocks)))
	} else if m.Text != "" {
		parts = append(parts, r.mrkdwn(m.Text))
	}
	for _, a := range list(obj{"a": decode(m.Attachments)}, "a") {
		parts = append(parts, r.attachment(a))
	}
	return strings.Join(parts, "\n")
}

// For is the message as another person reads it.
func (m Message) For(userID string) Message {
	m.reader = userID
	return m
}

// Mrkdwn renders text with Slack's markup for a reader; the page uses it for what it draws itself.
func (w *Workspace) Mrkdwn(reader, s string) string { return w.renderer(reader).mrkdwn(s) }

// nameOf is a user's handle, the id where there is no such user.
func (w *Workspace) nameOf(id string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if u := w.users.get(id); u != nil {
		return u.Name
	}
	return id
}

func (r renderer) channel(id string) string {
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	if c := r.w.channels.get(id); c != nil {
		return "#" + c.Name
	}
	return "#" + id
}

func (r renderer) group(id string) string {
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	if g := r.w.groups.get(id); g != nil {
		return "@" + g.Handle
	}
	return "@" + id
}

func (r renderer) blocks(v any) string {
	var lines []string
	for _, b := range list(obj{"b": v}, "b") {
		if s := r.block(b); s != "" {
			lines = append(lines, s)
		}
	}
	return strings.Join(lines, "\n")
}

func (r renderer) block(b any) string {
	var parts []string
	add := func(s string) {
		if s != "" {
			parts = append(parts, s)
		}
	}
	switch str(b, "type") {
	case "section":
		add(r.text(at(b, "text")))
		for _, f := range list(b, "fields") {
			add(r.text(f))
		}
		add(r.element(at(b, "accessory")))
	case "header":
		add(r.text(at(b, "text")))
	case "divider":
		add("---")
	case "image":
		add("[image: " + str(b, "alt_text") + "]")
	case "input":
		add(r.text(at(b, "label")) + ": " + r.element(at(b, "element")))
		add(r.text(at(b, "hint")))
	case "rich_text":
		for _, e := range list(b, "elements") {
			add(r.rich(e, ""))
		}
	case "context", "actions":
		var row []string
		for _, e := range list(b, "elements") {
			row = append(row, r.element(e))
		}
		return strings.Join(row, " ")
	default:
		add("[unsupported block " + str(b, "type") + "]")
	}
	return strings.Join(parts, "\n")
}

// text renders a text object.
func (r renderer) text(t any) string {
	if str(t, "type") == "mrkdwn" {
		return r.mrkdwn(str(t, "text"))
	}
	return str(t, "text")
}

func (r renderer) element(e any) string {
	switch kind := str(e, "type"); kind {
	case "":
		return ""
	case "mrkdwn", "plain_text":
		return r.text(e)
	case "button":
		return "[" + str(e, "text", "text") + "]"
	case "image":
		return "[image: " + str(e, "alt_text") + "]"
	default:
		return "[" + firstOf(str(e, "placeholder", "text"), kind) + "]"
	}
}

func firstOf(ss ...string) string {
	for _, s := range ss {
		if s != "" {
			return s
		}
	}
	return ""
}

// rich renders a part of a rich_text block.
func (r renderer) rich(e any, indent string) string {
	switch str(e, "type") {
	case "rich_text_list":
		var lines []string
		for i, item := range list(e, "elements") {
			bullet := "• "
			if str(e, "style") == "ordered" {
				bullet = fmt.Sprintf("%d. ", i+1)
			}
			lines = append(lines, indent+bullet+r.rich(item, indent+"  "))
		}
		return strings.Join(lines, "\n")
	case "rich_text_quote":
		return "> " + r.inline(e)
	}
	return r.inline(e)
}

func (r renderer) inline(e any) string {
	var b strings.Builder
	for _, x := range list(e, "elements") {
		switch str(x, "type") {
		case "text":
			b.WriteString(str(x, "text"))
		case "link":
			b.WriteString(firstOf(str(x, "text"), str(x, "url")))
		case "emoji":
			b.WriteString(":" + str(x, "name") + ":")
		case "user":
			b.WriteString("@" + r.w.nameOf(str(x, "user_id")))
		case "usergroup":
			b.WriteString(r.group(str(x, "usergroup_id")))
		case "channel":
			b.WriteString(r.channel(str(x, "channel_id")))
		case "broadcast":
			b.WriteString("@" + str(x, "range"))
		case "date":
			secs, _ := number(at(x, "timestamp"))
			b.WriteString(r.date(int64(secs), str(x, "format")))
		}
	}
	return b.String()
}

func (r renderer) attachment(a any) string {
	var parts []string
	add := func(s string) {
		if s != "" {
			parts = append(parts, s)
		}
	}
	add(r.mrkdwn(str(a, "pretext")))
	add(str(a, "author_name"))
	add(str(a, "title"))
	add(r.mrkdwn(str(a, "text")))
	for _, f := range list(a, "fields") {
		add(str(f, "title") + ": " + r.mrkdwn(str(f, "value")))
	}
	add(r.blocks(at(a, "blocks")))
	var row []string
	for _, act := range list(a, "actions") {
		row = append(row, "["+str(act, "text")+"]")
	}
	add(strings.Join(row, " "))
	add(str(a, "footer"))
	return strings.Join(parts, "\n")
}

var (
	tag      = regexp.MustCompile(`<([^<>]+)>`)
	emphasis = []*regexp.Regexp{
		regexp.MustCompile("(^|[\\s(>])```([^`]+)```"),
		regexp.MustCompile("(^|[\\s(>])`([^`\n]+)`"),
		regexp.MustCompile(`(^|[\s(>])\*([^*\n]+)\*`),
		regexp.MustCompile(`(^|[\s(>])_([^_\n]+)_`),
		regexp.MustCompile(`(^|[\s(>])~([^~\n]+)~`),
	}
)

// mrkdwn renders Slack's markup: the signs of emphasis go, tags become what is shown for them, entities characters.
func (r renderer) mrkdwn(s string) string {
	for _, e := range emphasis {
		s = e.ReplaceAllString(s, "$1$2")
	}
	s = tag.ReplaceAllStringFunc(s, func(t string) string { return r.tag(t[1 : len(t)-1]) })
	return strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&").Replace(s)
}

// tag renders what stands between angle brackets.
func (r renderer) tag(t string) string {
	what, shown, _ := strings.Cut(t, "|")
	switch {
	case strings.HasPrefix(what, "@"):
		return "@" + r.w.nameOf(what[1:])
	case strings.HasPrefix(what, "#"):
		return r.channel(what[1:])
	case strings.HasPrefix(what, "!subteam^"):
		return r.group(strings.TrimPrefix(what, "!subteam^"))
	case strings.HasPrefix(what, "!date^"):
		part := strings.SplitN(what, "^", 4)
		secs, err := strconv.ParseInt(part[1], 10, 64)
		if err != nil || len(part) < 3 {
			return shown
		}
		return r.date(secs, part[2])
	case strings.HasPrefix(what, "!"):
		return "@" + what[1:]
	}
	return firstOf(shown, what)
}

// dateTokens are the parts of a date format (docs: "Formatting text for app surfaces", date formatting).
var dateTokens = regexp.MustCompile(`\{(\w+)\}`)

// date renders a moment in the reader's zone.
func (r renderer) date(secs int64, format string) string {
	t := time.Unix(secs, 0).In(r.loc)
	return dateTokens.ReplaceAllStringFunc(format, func(token string) string {
		pretty := strings.HasSuffix(token, "_pretty}")
		if pretty {
			if day := r.near(t); day != "" {
				return day
			}
		}
		switch strings.TrimSuffix(strings.Trim(token, "{}"), "_pretty") {
		case "date_num":
			return t.Format("2006-01-02")
		case "date_slash":
			return t.Format("01/02/2006")
		case "date":
			return t.Format("January 2, 2006")
		case "date_short":
			return t.Format("Jan 2, 2006")
		case "date_long":
			return t.Format("Monday, January 2, 2006")
		case "time":
			return t.Format("3:04 PM")
		case "time_secs":
			return t.Format("3:04:05 PM")
		case "ago":
			return r.ago(t)
		case "day_divider":
			return firstOf(r.near(t), t.Format("Monday, January 2"))
		}
		return token
	})
}

// near names yesterday, today and tomorrow.
func (r renderer) near(t time.Time) string {
	day := func(t time.Time) int {
		y, m, d := t.Date()
		return int(time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / 86400)
	}
	switch day(t) - day(r.now.In(r.loc)) {
	case -1:
		return "yesterday"
	case 0:
		return "today"
	case 1:
		return "tomorrow"
	}
	return ""
}

// ago is how Slack tells elapsed and coming time.
func (r renderer) ago(t time.Time) string {
	d := r.now.Sub(t)
	form := "%s ago"
	if d < 0 {
		d, form = -d, "in %s"
	}
	unit := func(n int, name string) string {
		if n == 1 {
			return fmt.Sprintf(form, "1 "+name)
		}
		return fmt.Sprintf(form, fmt.Sprintf("%d %ss", n, name))
	}
	switch {
	case d < time.Minute:
		return unit(int(d.Seconds()), "second")
	case d < time.Hour:
		return unit(int(d.Minutes()), "minute")
	case d < 24*time.Hour:
		return unit(int(d.Hours()), "hour")
	}
	return unit(int(d.Hours()/24), "day")
}
