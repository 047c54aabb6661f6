package page

import (
	"net/http"
	"net/url"
	"slices"

	"breakglass/deploy/sandbox"
	"breakglass/deploy/sandbox/slacktwin"
)

// homeRoom stands in the address for the App Home.
const homeRoom = "home"

// look is where somebody looks: as whom, at which conversation, with which thread open, and at which part of the AWS panel.
type look struct {
	who    *sandbox.Person
	room   string // a conversation's id, or home
	thread string
	tab    string // access, org, mail, archive, log, faults
}

var tabs = []string{"access", "org", "mail", "archive", "log", "faults"}

// lookAt reads an address. What it names and is not there is replaced by what is: an old bookmark is no error.
func (s *site) lookAt(r *http.Request) look {
	q := r.URL.Query()
	l := look{who: s.world.Person(q.Get("as")), room: q.Get("in"), thread: q.Get("thread"), tab: "access"}
	for _, t := range tabs {
		if q.Get("tab") == t {
			l.tab = t
		}
	}
	if l.who == nil {
		l.who = s.world.People[0]
	}
	if l.room == homeRoom {
		l.thread = ""
		return l
	}
	all := s.world.Slack.As(l.who.Slack).Conversations()
	for _, c := range all {
		if c.ID == l.room || l.room == "dm" && c.IM {
			l.room = c.ID
			return l
		}
	}
	l.room, l.thread = s.landing(l.who, all), ""
	return l
}

// landing is where somebody begins: at what waits for them, direct messages before channels, else where they were.
func (s *site) landing(p *sandbox.Person, all []slacktwin.Conversation) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range slices.Backward(all) { // direct messages come last
		if s.unreadIn(p, c) > 0 {
			return c.ID
		}
	}
	return first(s.was[p.Key], all[0].ID)
}

// at is the address of another place for the same person.
func (l look) at(room, thread string) string {
	q := url.Values{"as": {l.who.Key}}
	if room != "" {
		q.Set("in", room)
	}
	if thread != "" {
		q.Set("thread", thread)
	}
	if l.tab != "" && l.tab != "access" {
		q.Set("tab", l.tab)
	}
	return "/?" + q.Encode()
}

func (l look) on(tab string) string {
	l.tab = tab
	return l.at(l.room, l.thread)
}

func (l look) as(p *sandbox.Person) look { return look{who: p, tab: l.tab} }

// screen is everything the templates draw.
type screen struct {
	Product, Note string
	Alarm         string
	Who           person
	Guest         bool
	People        []person
	Rooms         []room
	Here          conversation
	Thread        *thread
	Form          *form
	Commands      []Suggestion
	Shortcuts     []Shortcut
	AWS           panel
	Tabs          []tab
	Tab           string
	Clock         clockFace
	Walk          []step
	Bot           int // sockets open
	Look          string
}

type tab struct {
	ID, Name, URL string
	Count         int
	Chosen        bool
}

// screen puts everything together for one look. It is also where the page learns what has changed since the last look of anybody.
func (s *site) screen(l look) *screen {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.observe()
	out := &screen{Product: s.product, Note: s.banner, Rooms: s.rooms(l), Thread: s.thread(l), Commands: s.suggestions(),
		Shortcuts: s.global(), Clock: s.face(l), Bot: s.world.Slack.Sockets(), Tab: l.tab, Look: l.at(l.room, l.thread)}
	out.Here = s.conversation(l, out.Rooms)
	s.saw(l)
	s.was[l.who.Key] = l.room
	s.walkSaw(l)
	out.Rooms, out.People = s.rooms(l), s.people(l)
	for i := range out.People {
		out.People[i].URL = l.as(s.world.People[i]).at("", "")
		if out.People[i].Chosen {
			out.Who = out.People[i]
		}
	}
	out.Form = s.form(l.who.Slack, s.world.Slack.As(l.who.Slack).View())
	out.AWS = s.panel(l)
	if s.alarm != nil {
		out.Alarm = s.alarm()
	}
	out.Walk = s.steps(l)
	for _, t := range [][2]string{{"access", "Access"}, {"org", "Everyone"}, {"mail", "Mail"}, {"archive", "Archive"}, {"log", "Log"}, {"faults", "Faults"}} {
		out.Tabs = append(out.Tabs, tab{ID: t[0], Name: t[1], URL: l.on(t[0]), Chosen: t[0] == l.tab})
	}
	out.Tabs[2].Count = len(out.AWS.Mails)
	return out
}
