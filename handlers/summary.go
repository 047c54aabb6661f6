package handlers

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/slack-go/slack"

	"breakglass/store"
)

// What a summary shows at most, so that a session with thousands of calls stays one message. A rich_text block has no limit of its own
// in Slack's reference; the whole message does (msg_blocks_too_long), at about 13,000 characters.
const (
	mostOfLists = 6600 // characters in all lists together; those that matter most come first and take what they need
	mostOfGroup = 2600 // characters in each of them
	mostSources = 8
	mostRegions = 16
	mostTables  = 12
	mostHosts   = 5
)

// summary is one reading of CloudTrail: what was done, what was refused, what could not be read, and how far to trust it.
func summary(n store.Notice, r store.Request) message {
	i, err := strconv.Atoi(n.Data["reading"])
	if err != nil || i < 0 || i >= len(r.Readings) {
		return oneLiner(r, "what was done", say("CloudTrail was read, but the reading is not in the record."))
	}
	g := r.Readings[i]
	blocks := append([]slack.Block{paragraph(summaryHead(r, g, i))}, lists(r, g, i)...)
	if w := unread(g); len(w) > 0 {
		blocks = append(blocks, paragraph(w))
	}
	if s := unseenShells(n, r); s != "" && i == 0 {
		blocks = append(blocks, paragraph(say(s)))
	}
	blocks = append(blocks, paragraph(trust(g, len(g.Hosts) > 1 || len(unseen(r, g, i)) > 0)))
	return message{
		text:   fmt.Sprintf("%s: %s: %s", r.ID, map[bool]string{false: "what was done", true: "read again"}[i > 0], tally(g, i > 0)),
		blocks: blocks,
	}
}

// lists are what was done, what matters most first: what is sensitive, what is unlike the rest of the session, then changes before reads.
func lists(r store.Request, g store.Reading, i int) (blocks []slack.Block) {
	left := mostOfLists
	add := func(head string, of []store.Deed, show func(store.Deed) words, belongs func(store.Deed) bool) {
		blocks = append(blocks, deeds(head, of, show, belongs, &left)...)
	}
	add("Sensitive actions", g.Deeds, dated, func(d store.Deed) bool { return d.Sensitive })
	if w := strange(r, g, i); len(w) > 0 {
		blocks = append(blocks, paragraph(w))
	}
	if w := tables(g); len(w) > 0 {
		blocks = append(blocks, paragraph(w))
	}
	changes := "Changes"
	if g.Sensitive > 0 {
		changes = "Other changes"
	}
	add(changes, g.Deeds, deed, func(d store.Deed) bool { return !d.Sensitive && d.Error == "" && d.Write })
	add("Refused", g.Deeds, deed, func(d store.Deed) bool { return !d.Sensitive && d.Error != "" })
	add("Access portal", g.Portal, portalDeed, func(store.Deed) bool { return true })
	add("Reads", g.Deeds, deed, func(d store.Deed) bool { return !d.Sensitive && d.Error == "" && !d.Write })
	if n := g.LeftOut + g.PortalLeftOut; n > 0 {
		blocks = append(blocks, small(fmt.Sprintf("And %s that the list has no room for.", count(n, "call"))))
	}
	return blocks
}

// summaryHead: the first reading has everything that was there, each later one only what came late.
func summaryHead(r store.Request, g store.Reading, i int) words {
	var w words
	if i == 0 {
		w = w.bold("What was done").say(" by ")
	} else {
		w = w.bold("Read again").say(": what came late of the session of ")
	}
	w = w.who(r.Requester)
	if r.Group != "" {
		w = w.say(" as a member of ").bold(oneLine(r.Group, limitName))
	} else {
		w = w.say(" on ").place(r)
	}
	if open := openFor(r); open > 0 {
		w = w.say(", open for " + sayDuration(open))
	}
	return w.say(": " + tally(g, i > 0) + ".")
}

// tally is the reading in one line of numbers. later: it is not the first.
func tally(g store.Reading, later bool) string {
	switch {
	case g.Events > 0:
	case !g.Complete():
		return "nothing was found where CloudTrail answered"
	case later:
		return "nothing came late"
	default:
		return "CloudTrail shows no call"
	}
	s := count(g.Events, "call") + ": " + count(g.Writes, "change") + ", " + count(g.Reads, "read")
	if g.Refused > 0 {
		s += fmt.Sprintf(", %d refused", g.Refused)
	}
	if g.Sensitive > 0 {
		s += fmt.Sprintf("; %d of them sensitive", g.Sensitive)
	}
	return s
}

// unread names the places that did not answer: what was done there is not in the reading.
func unread(g store.Reading) words {
	var bad []store.Source
	for _, s := range g.Sources {
		if s.Error != "" {
			bad = append(bad, s)
		}
	}
	if len(bad) == 0 {
		return nil
	}
	w := words{}.bold("Not read").say(fmt.Sprintf(" (%d of %s), so what was done there is missing: ", len(bad), count(len(g.Sources), "place")))
	for i, s := range bad {
		if i == mostSources {
			return w.say(fmt.Sprintf(" and %d more.", len(bad)-mostSources))
		}
		if i > 0 {
			w = w.say("; ")
		}
		w = w.their(s.Region, 40).say(" (").their(s.Error, 120).say(")")
	}
	return w.say(".")
}

// trust says when and where it was read and what no reading can show. A summary that is taken for complete is worse than none. told: where the calls
// came from is said already.
func trust(g store.Reading, told bool) words {
	var regions []string
	for _, s := range g.Sources {
		if s.Error == "" && len(regions) < mostRegions {
			regions = append(regions, oneLine(s.Region, 40))
		}
	}
	w := say("Read from CloudTrail ").date(g.At, dateForm)
	if len(regions) > 0 {
		w = w.say(", in " + strings.Join(regions, ", "))
	}
	w = w.say(". Best effort: calls can arrive late, reads of data are not in CloudTrail's history, and what was typed into a shell or a database never is.")
	if len(g.Addresses) > 0 && !told {
		var from []string
		for i, a := range g.Addresses {
			if i == mostSources {
				from = append(from, fmt.Sprintf("%d more", len(g.Addresses)-mostSources))
				break
			}
			from = append(from, oneLine(a, 60))
		}
		w = w.say(" From " + join(from, "and") + ".")
	}
	return w
}
