package page

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"breakglass/deploy/sandbox/slacktwin"
)

// mostMessages is how many messages of a conversation are drawn; older ones are counted only.
const mostMessages = 120

// message is a message as the templates draw it.
type message struct {
	TS, Author, Initials, Time, Full string
	Channel                          string
	Tint                             uint32
	App, Follows                     bool   // Follows: goes on from the message above, without a head
	Day                              string // of the first message of a day
	Text                             []inline
	Blocks                           []block
	Attachments                      []attachment
	Edited, Ephemeral, Deleted       bool
	Broadcast                        string // the thread it was sent to the channel from
	Replies, NewReplies              int    // NewReplies: those that mention the reader and were not looked at
	LastReply, ThreadURL             string
	Chosen                           bool // its thread is open
	New                              bool
	Reactions                        []reaction
	Menu                             []Shortcut
	InThread                         bool
}

type reaction struct {
	Picture, Who string
	Count        int
}

// conversation is what stands in the middle.
type conversation struct {
	ID, Name, Topic string
	IM              bool
	Earlier         int
	Messages        []message
	Home            *form
	IsHome          bool
}

// thread is the open thread.
type thread struct {
	TS, CloseURL string
	Messages     []message
}

func (s *site) conversation(l look, rooms []room) conversation {
	c := conversation{ID: l.room, IsHome: l.room == homeRoom}
	for _, r := range rooms {
		if r.ID == l.room {
			c.Name, c.IM = r.Name, r.Mark == "@"
		}
	}
	if c.IsHome {
		c.Home = s.form(l.who.Slack, s.world.Slack.As(l.who.Slack).Home())
		return c
	}
	for _, known := range s.world.Slack.Channels() {
		if known.ID == l.room {
			c.Topic = strconv.Itoa(len(known.Members)) + " members"
		}
	}
	all := s.world.Slack.As(l.who.Slack).Messages(l.room)
	if over := len(all) - mostMessages; over > 0 {
		c.Earlier, all = over, all[over:]
	}
	c.Messages = s.messages(l, all, false)
	return c
}

func (s *site) thread(l look) *thread {
	if l.thread == "" {
		return nil
	}
	all := s.world.Slack.As(l.who.Slack).Thread(l.room, l.thread)
	if len(all) == 0 {
		return nil
	}
	return &thread{TS: l.thread, CloseURL: l.at(l.room, ""), Messages: s.messages(l, all, true)}
}

// groupGap is how long after a message another of the same author still goes without a head.
const groupGap = 5 * time.Minute

func (s *site) messages(l look, all []slacktwin.Message, inThread bool) []message {
	var out []message
	w := writer{s, l.who.Slack}
	read := s.seen[l.who.Key+" "+l.room]
	if inThread {
		read = s.seen[l.who.Key+" "+l.room+" "+l.thread]
	}
	var before slacktwin.Message
	var beforeAt time.Time
	day := ""
	for _, m := range all {
		one, sent := s.message(l, w, m, inThread), sentAt(m.TS)
		if d := w.when(sent, "{day_divider}"); d != day && !inThread {
			one.Day, day = strings.ToUpper(d[:1])+d[1:], d
		}
		one.Follows = one.Day == "" && before.User == m.User && before.User != "" && sent.Sub(beforeAt) < groupGap && before.To == m.To &&
			before.Replies == 0 && one.Broadcast == "" && !before.Deleted && !one.card()
		one.New = later(m.TS, read) && read != "" && m.User != l.who.Slack
		before, beforeAt = m, sent
		out = append(out, one)
	}
	return out
}

// card says that a message begins with a heading of its own: it stands for itself and never goes on from the one above.
func (m message) card() bool { return len(m.Blocks) > 0 && m.Blocks[0].Kind == "header" }

// sentAt is the moment in a timestamp.
func sentAt(ts string) time.Time {
	secs, _, _ := strings.Cut(ts, ".")
	n, _ := strconv.ParseInt(secs, 10, 64)
	return time.Unix(n, 0)
}

func (s *site) message(l look, w writer, m slacktwin.Message, inThread bool) message {
	sent := sentAt(m.TS)
	one := message{TS: m.TS, Channel: m.Channel, Author: s.userName(m.User), Time: w.when(sent, "{time}"), Full: w.when(sent, "{date_long} at {time_secs}"),
		App: m.BotID != "", Edited: m.Edited != "", Ephemeral: m.To != "", Deleted: m.Deleted, InThread: inThread, Menu: s.onMessages()}
	one.Initials, one.Tint = face(one.Author)
	if m.Deleted {
		one.Menu = nil
		return one
	}
	on := &surface{w: w, kind: "message", ch: m.Channel, ts: m.TS}
	if m.BotID != "" && m.User != s.world.Slack.BotUserID() {
		on.off = "The buttons of another tool's message go to that tool, not here."
	}
	if one.Blocks = on.blocks(decode(m.Blocks)); len(one.Blocks) == 0 && m.Text != "" {
		one.Text = w.mrkdwn(m.Text)
	}
	one.Attachments = on.attachments(decode(m.Attachments))
	if m.ThreadTS != "" && m.ThreadTS != m.TS && !inThread {
		one.Broadcast = l.at(l.room, m.ThreadTS)
	}
	if m.Replies > 0 && !inThread {
		one.Replies, one.Chosen = m.Replies, l.thread == m.TS
		if !one.Chosen {
			one.NewReplies = s.unreadBelow(l.who, m, false)
		}
		if all := s.world.Slack.As(l.who.Slack).Thread(l.room, m.TS); len(all) > 0 {
			one.LastReply = w.when(sentAt(all[len(all)-1].TS), "{date_short_pretty} at {time}")
		}
	}
	one.ThreadURL = l.at(l.room, first(m.ThreadTS, m.TS))
	for _, name := range slices.Sorted(maps.Keys(m.Reactions)) {
		var who []string
		for _, id := range m.Reactions[name] {
			who = append(who, s.userName(id))
		}
		one.Reactions = append(one.Reactions, reaction{first(emoji[name], ":"+name+":"), strings.Join(who, ", "), len(who)})
	}
	return one
}
