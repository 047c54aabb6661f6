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
	mostOfGroup = 2600 // characters in each of the three groups
	mostSources = 8
)

// summary is one reading of CloudTrail: what was done, what was refused, what could not be read, and how far to trust it.
func summary(n store.Notice, r store.Request) message {
	i, err := strconv.Atoi(n.Data["reading"])
	if err != nil || i < 0 || i >= len(r.Readings) {
		return oneLiner(r, "what was done", say("CloudTrail was read, but the reading is not in the record."))
	}
	g := r.Readings[i]
	blocks := []slack.Block{paragraph(summaryHead(r, g, i))}
	blocks = append(blocks, deeds("Changes", g.Deeds, func(d store.Deed) bool { return d.Error == "" && d.Write })...)
	blocks = append(blocks, deeds("Refused", g.Deeds, func(d store.Deed) bool { return d.Error != "" })...)
	blocks = append(blocks, deeds("Reads", g.Deeds, func(d store.Deed) bool { return d.Error == "" && !d.Write })...)
	if g.LeftOut > 0 {
		blocks = append(blocks, small(fmt.Sprintf("And %s that the list has no room for.", count(g.LeftOut, "call"))))
	}
	if w := unread(g); len(w) > 0 {
		blocks = append(blocks, paragraph(w))
	}
	if s := unseenShells(n, r); s != "" && i == 0 {
		blocks = append(blocks, paragraph(say(s)))
	}
	blocks = append(blocks, paragraph(trust(g)))
	return message{
		text:   fmt.Sprintf("%s: %s: %s", r.ID, map[bool]string{false: "what was done", true: "read again"}[i > 0], tally(g, i > 0)),
		blocks: blocks,
	}
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
	return s
}

// deeds are those that belong, as a headed list, the newest limit respected. What does not fit is counted.
func deeds(head string, all []store.Deed, belongs func(store.Deed) bool) []slack.Block {
	var lines []words
	room, left, calls := mostOfGroup, 0, 0
	for _, d := range all {
		if !belongs(d) {
			continue
		}
		l := deed(d)
		if room -= l.width(); room < 0 {
			left++
			calls += d.Count
			continue
		}
		lines = append(lines, l)
	}
	if len(lines) == 0 && left == 0 {
		return nil
	}
	if left > 0 {
		lines = append(lines, say(fmt.Sprintf("and %d more (%s)", left, count(calls, "call"))))
	}
	return []slack.Block{paragraph(words{}.bold(head)), bullets(lines...)}
}

// width is how much text a sentence has.
func (w words) width() int {
	n := 0
	for _, e := range w {
		if t, ok := e.(*slack.RichTextSectionTextElement); ok {
			n += width(t.Text)
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
	return w
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
	w := words{}.bold("Not read").say(", so what was done there is missing: ")
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

// trust says when and where it was read and what no reading can show. A summary that is taken for complete is worse than none.
func trust(g store.Reading) words {
	var regions []string
	for _, s := range g.Sources {
		if s.Error == "" && len(regions) < mostSources*2 {
			regions = append(regions, oneLine(s.Region, 40))
		}
	}
	w := say("Read from CloudTrail ").date(g.At, dateForm)
	if len(regions) > 0 {
		w = w.say(", in " + strings.Join(regions, ", "))
	}
	w = w.say(". Best effort: calls can arrive late, reads of data are not in CloudTrail's history, and what was typed into a shell or a database never is.")
	if len(g.Addresses) > 0 {
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
