package page

import (
	"hash/fnv"
	"strings"

	"breakglass/deploy/sandbox"
	"breakglass/deploy/sandbox/slacktwin"
)

// person is a line in the switch between people.
type person struct {
	Key, Name, Role, Initials string
	Tint                      uint32 // 0 to 9: the colour of the initials
	Unread                    int
	Chosen                    bool
	Form                      bool // has a form open
	URL                       string
}

// room is a line in the sidebar: a channel, the direct messages with the app, or its Home.
type room struct {
	ID, Name, TestID, Mark, URL string
	Unread                      int
	Chosen                      bool
}

// faces are initials and a colour that stay with a name.
func face(name string) (initials string, tint uint32) {
	for _, word := range strings.Fields(name) {
		initials += string([]rune(word)[:1])
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(name))
	if r := []rune(strings.ToUpper(initials)); len(r) > 2 {
		initials = string(r[:2])
	}
	return initials, h.Sum32() % 10
}

// userName is the full name of somebody of the workspace; the id where there is nobody.
func (s *site) userName(id string) string {
	for _, p := range s.world.People {
		if p.Slack == id {
			return p.Name
		}
	}
	if id == s.world.Slack.BotUserID() {
		return s.product
	}
	for _, u := range s.world.Slack.Users() {
		if u.ID == id {
			return first(u.RealName, u.Name)
		}
	}
	return id
}

func (s *site) channelName(id string) string {
	for _, c := range s.world.Slack.Channels() {
		if c.ID == id {
			return "#" + c.Name
		}
	}
	return "#" + id
}

// group is the handle of a user group. The twin has no call for it; what it renders for a mention is the handle.
func (s *site) group(id string) string {
	return strings.TrimPrefix(s.world.Slack.Mrkdwn("", "<!subteam^"+strings.Map(idRune, id)+">"), "@")
}

func idRune(r rune) rune {
	if r == '<' || r == '>' || r == '|' {
		return -1
	}
	return r
}

// awsName is the name of a user of the directory.
func (s *site) awsName(id string) string {
	for _, p := range s.world.People {
		if p.AWS == id && id != "" {
			return p.Name
		}
	}
	if u, ok := s.world.AWS.GetUser(id); ok {
		return first(u.DisplayName, u.UserName)
	}
	return id
}

// rooms lists the sidebar of the chosen person. The caller holds mu.
func (s *site) rooms(l look) []room {
	var out []room
	for _, c := range s.world.Slack.As(l.who.Slack).Conversations() {
		r := room{ID: c.ID, Name: c.Name, Mark: "#", TestID: "channel-" + c.Name, URL: l.at(c.ID, ""), Chosen: c.ID == l.room}
		if c.IM {
			r.Name, r.TestID, r.Mark = s.product, "channel-dm", "@"
		} else if c.Private {
			r.Mark = "🔒"
		}
		r.Unread = s.unreadIn(l.who, c)
		out = append(out, r)
	}
	return append(out, room{ID: homeRoom, Name: "Home", TestID: "channel-home", Mark: "⌂", URL: l.at(homeRoom, ""), Chosen: l.room == homeRoom})
}

// people lists the switch. The caller holds mu.
func (s *site) people(l look) []person {
	var out []person
	for _, p := range s.world.People {
		one := person{Key: p.Key, Name: p.Name, Role: p.Role, Chosen: p == l.who, URL: (look{who: p}).at("", "")}
		one.Initials, one.Tint = face(p.Name)
		who := s.world.Slack.As(p.Slack)
		for _, c := range who.Conversations() {
			one.Unread += s.unreadIn(p, c)
		}
		one.Form = p != l.who && who.View() != nil
		out = append(out, one)
	}
	return out
}

// unreadIn counts the direct messages, mentions and messages for their eyes only that somebody has not seen. The caller holds mu.
func (s *site) unreadIn(p *sandbox.Person, c slacktwin.Conversation) int {
	seen, n := s.seen[p.Key+" "+c.ID], 0
	who := s.world.Slack.As(p.Slack)
	for _, m := range recent(who.Messages(c.ID)) {
		if later(m.TS, seen) && m.User != p.Slack && !m.Deleted && (c.IM || m.To != "" || mentions(m, p.Slack)) {
			n++
		}
		n += s.unreadBelow(p, m, c.IM)
	}
	return n
}

// unreadBelow is unreadIn for the thread under a message. The caller holds mu.
func (s *site) unreadBelow(p *sandbox.Person, m slacktwin.Message, direct bool) int {
	if m.Replies == 0 {
		return 0
	}
	read, n := s.seen[p.Key+" "+m.Channel+" "+m.TS], 0
	for _, r := range s.world.Slack.As(p.Slack).Thread(m.Channel, m.TS) {
		if r.TS != m.TS && later(r.TS, read) && r.User != p.Slack && (direct || r.To != "" || mentions(r, p.Slack)) {
			n++
		}
	}
	return n
}

// mentions looks for somebody in text and blocks, by mention or by element. It may be wrong where a text only speaks of the id; the badge is
// no more than a hint.
func mentions(m slacktwin.Message, id string) bool {
	return strings.Contains(m.Text, "<@"+id) || strings.Contains(string(m.Blocks), `"user_id":"`+id+`"`) || strings.Contains(string(m.Blocks), `<@`+id) ||
		strings.Contains(string(m.Blocks), `\u003c@`+id)
}

// later compares timestamps, which are seconds and a counter: longer is later.
func later(a, b string) bool {
	return len(a) > len(b) || len(a) == len(b) && a > b
}

// saw remembers what somebody has looked at. The caller holds mu.
func (s *site) saw(l look) {
	if l.room == homeRoom {
		return
	}
	who := s.world.Slack.As(l.who.Slack)
	note := func(place string, all []slacktwin.Message) {
		if n := len(all); n > 0 && later(all[n-1].TS, s.seen[place]) {
			s.seen[place] = all[n-1].TS
		}
	}
	note(l.who.Key+" "+l.room, who.Messages(l.room))
	if l.thread != "" {
		note(l.who.Key+" "+l.room+" "+l.thread, who.Thread(l.room, l.thread))
	}
}
