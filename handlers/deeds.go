package handlers

import (
	"fmt"
	"slices"
	"strings"

	"github.com/slack-go/slack"

	"breakglass/store"
)

// deeds are those that belong, as a headed list. It takes its room out of left, which all lists share; what does not fit is counted.
func deeds(head string, all []store.Deed, show func(store.Deed) words, belongs func(store.Deed) bool, left *int) []slack.Block {
	var lines []words
	room, more, calls := min(mostOfGroup, *left), 0, 0
	for _, d := range all {
		if !belongs(d) {
			continue
		}
		l := show(d)
		if n := l.width(); n <= room {
			room, *left = room-n, *left-n
			lines = append(lines, l)
			continue
		}
		room = 0 // they are in order: what comes after one that is left out matters less
		more++
		calls += d.Count
	}
	if len(lines) == 0 && more == 0 {
		return nil
	}
	if more > 0 {
		lines = append(lines, say(fmt.Sprintf("and %d more (%s)", more, count(calls, "call"))))
	}
	return []slack.Block{paragraph(words{}.bold(head)), bullets(lines...)}
}

// width is how much text a sentence has.
func (w words) width() int {
	n := 0
	for _, e := range w {
		switch e := e.(type) {
		case *slack.RichTextSectionTextElement:
			n += width(e.Text)
		case *slack.RichTextSectionDateElement:
			n += len("2006-01-02 15:04 UTC")
		}
	}
	return n
}

// short is the name of a role in place of its ARN, which fills a phone's screen; other resources stay as they are.
func short(resource string) string {
	first, _, _ := strings.Cut(resource, ",")
	if strings.HasPrefix(first, "arn:") && strings.Contains(first, ":role/") {
		return first[strings.LastIndexByte(first, '/')+1:]
	}
	return resource
}

// deed is one line: what, how often, on what, where, and AWS's error code where it was refused.
func deed(d store.Deed) words {
	w := words{}.code(oneLine(d.Service, 40) + ":" + oneLine(d.Action, 60))
	if d.Count > 1 {
		w = w.say(fmt.Sprintf(" %d times", d.Count))
	}
	if d.Resource != "" {
		w = w.say(" on ").code(oneLine(short(d.Resource), 140))
	}
	if d.Region != "" {
		w = w.say(" in ").their(d.Region, 40)
	}
	if d.Error != "" {
		w = w.say(": ").bold(oneLine(d.Error, 80))
	}
	if d.Outside {
		w = w.say(", ").bold("outside the session").on(d.First)
	}
	return w
}

// dated is a deed that somebody will ask about: with its time.
func dated(d store.Deed) words {
	if d.Outside { // has it already
		return deed(d)
	}
	return deed(d).spell(d)
}

// portalDeed is something done in the access portal, where credentials are taken.
func portalDeed(d store.Deed) words {
	what := map[string]string{"Authenticate": "signed in", "Federate": "opened an account", "GetRoleCredentials": "took credentials"}[d.Action]
	w := words{}.code(oneLine(d.Action, 60))
	if what != "" {
		w = say(what + " (").code(oneLine(d.Action, 60)).say(")")
	}
	if d.Count > 1 {
		w = w.say(fmt.Sprintf(" %d times", d.Count))
	}
	if d.Resource != "" {
		w = w.say(" for ").code(oneLine(short(d.Resource), 140))
	}
	if d.Error != "" {
		w = w.say(": ").bold(oneLine(d.Error, 80))
	}
	w = w.spell(d)
	if d.Outside {
		w = w.say(", ").bold("outside the session")
	}
	return w
}

// spell adds when something was done, from the first time to the last.
func (w words) spell(d store.Deed) words {
	if d.First.IsZero() {
		return w
	}
	w = w.say(", ").date(d.First, dateForm)
	if d.Count > 1 && d.Last.After(d.First) {
		w = w.say(" to ").date(d.Last, timeForm)
	}
	return w
}

// strange is what a session does not do by itself: calls before it began or after it ended, and calls from several places.
func strange(r store.Request, g store.Reading, i int) words {
	var w words
	line := func() words {
		if len(w) > 0 {
			return w.say("\n")
		}
		return w
	}
	if g.Outside > 0 {
		w = line().bold("Outside the session").say(": " + count(g.Outside, "call") + " before it was opened or after it was gone.")
	}
	if g.OutsidePortal > 0 {
		w = line().bold("Taken outside the session").say(": credentials or the console, from the access portal, " + times(g.OutsidePortal) + ".")
	}
	if fresh := unseen(r, g, i); len(fresh) > 0 {
		w = line().bold("From another address than before").say(": ").more(from(fresh)).say(".")
	} else if len(g.Hosts) > 1 {
		w = line().bold(fmt.Sprintf("From %d addresses", len(g.Hosts))).say(": ").more(from(g.Hosts)).say(".")
	}
	return w
}

// unseen are the addresses of a later reading that no earlier one had.
func unseen(r store.Request, g store.Reading, i int) (fresh []store.Host) {
	var before []string
	for _, e := range r.Readings[:i] {
		before = append(before, e.Addresses...)
	}
	if len(before) == 0 {
		return nil
	}
	for _, h := range g.Hosts {
		if !slices.Contains(before, h.Address) {
			fresh = append(fresh, h)
		}
	}
	return fresh
}

// from lists addresses with what came from them.
func from(hosts []store.Host) words {
	var w words
	for i, h := range hosts {
		if i == mostHosts {
			return w.say(fmt.Sprintf("; and %d more", len(hosts)-i))
		}
		if i > 0 {
			w = w.say("; ")
		}
		w = w.code(oneLine(or(h.Address, nothingToShow), 60)).say(" (" + count(h.Calls, "call"))
		if !h.First.IsZero() {
			w = w.say(", first ").date(h.First, dateForm)
		}
		if h.Agent != "" {
			w = w.say(", ").their(h.Agent, 40)
		}
		w = w.say(")")
	}
	return w
}

// tables are those that changes went to.
func tables(g store.Reading) words {
	if len(g.Tables) == 0 {
		return nil
	}
	w := words{}.bold("Tables changed").say(": ")
	for i, t := range g.Tables {
		if i == mostTables {
			return w.say(fmt.Sprintf(" and %d more", len(g.Tables)-i)).say(".")
		}
		if i > 0 {
			w = w.say(", ")
		}
		w = w.code(oneLine(or(t, nothingToShow), 60))
	}
	if g.MoreNames > 0 {
		w = w.say(fmt.Sprintf(", and %s more that a list has no room for", count(g.MoreNames, "name")))
	}
	return w.say(".")
}
