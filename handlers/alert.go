package handlers

import (
	"cmp"
	"html"
	"regexp"
	"strings"

	"github.com/slack-go/slack"
)

// fromMessage is the draft of a request that was asked for from a message.
func (h *Handlers) fromMessage(in *slack.InteractionCallback) draft {
	m := in.Message
	d := draft{Context: h.home.permalink(in.Channel.ID, cmp.Or(m.Timestamp, in.MessageTs), m.ThreadTimestamp)}
	if text := readable(messageText(m)); text != "" {
		d.Reason = "About this message: " + cut(text, mostPrefill-40)
	}
	return d
}

// permalink is the address of a message. It is made here rather than asked for (chat.getPermalink), since the bot need not be in the
// channel, and the trigger of the form does not wait.
func (w Workspace) permalink(channel, ts, thread string) string {
	if w.URL == "" || !slackID(channel, "CGD") || !isTS(ts) {
		return ""
	}
	link := strings.TrimSuffix(w.URL, "/") + "/archives/" + channel + "/p" + strings.ReplaceAll(ts, ".", "")
	if isTS(thread) && thread != ts {
		link += "?thread_ts=" + thread + "&cid=" + channel
	}
	return httpsLink(link)
}

func isTS(s string) bool {
	seconds, micros, ok := strings.Cut(s, ".")
	return ok && digits(seconds) && digits(micros) && len(s) <= 30
}

func digits(s string) bool {
	for _, c := range s {
		if c < '0' || c > '9' {
			return false
		}
	}
	return s != ""
}

// messageText is what a message says: alerts of other tools often have it in an attachment only.
func messageText(m slack.Message) string {
	if strings.TrimSpace(m.Text) != "" {
		return m.Text
	}
	for _, a := range m.Attachments {
		if s := strings.TrimSpace(strings.Join([]string{cmp.Or(a.Title, a.Pretext), cmp.Or(a.Text, a.Fallback)}, " ")); s != "" {
			return s
		}
	}
	return ""
}

// readable takes Slack's markup out of a text, for a field in which it would stand as it is written.
func readable(s string) string {
	s = cut(s, 4*mostPrefill)
	s = regexp.MustCompile(`<([^<>|]*)(?:\|([^<>]*))?>`).ReplaceAllStringFunc(s, func(token string) string {
		to, label, _ := strings.Cut(strings.Trim(token, "<>"), "|")
		if label != "" {
			return label
		}
		if strings.HasPrefix(to, "!") {
			return "@" + strings.TrimPrefix(to, "!")
		}
		return to
	})
	return manyLines(html.UnescapeString(s), mostPrefill)
}
