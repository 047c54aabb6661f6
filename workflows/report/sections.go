package report

import (
	"fmt"
	"strings"
	"time"

	"breakglass/store"
)

// The names of the two tables, which people look for.
const (
	headPortal  = "Access portal"
	headActions = "Actions in the account"
)

func columns() []string {
	return []string{"Time (first–last)", "Service", "Action", "Resource", "Region", "Calls", "Result"}
}

// reading are the two tables of one reading.
func (c Case) reading(m room, i int) []part {
	g := &c.Request.Readings[i]
	day := c.Request.GrantedAt
	later := i > 0
	portal := part{Head: headPortal, Small: later}
	if len(g.Portal) > 0 {
		portal.Table = deedTable(headPortal, g.Portal, g.PortalLeftOut, min(m.rows, store.MostPortal), day, m)
	} else if !later {
		portal.Notes = []string{"No event of the access portal was found or asked for: when and from where credentials were taken is not known."}
	}
	actions := part{Head: headActions, Small: later}
	if len(g.Deeds) > 0 {
		actions.Table = deedTable(headActions, g.Deeds, g.LeftOut, m.rows, day, m)
	} else {
		actions.Notes = []string{upper(nothing(g)) + "."}
	}
	if later {
		var some []part
		if portal.Table != nil {
			some = append(some, portal)
		}
		if actions.Table != nil {
			some = append(some, actions)
		}
		return some
	}
	actions.Notes = append(actions.Notes, "Changes come before reads. Read "+when(g.At)+", for what was done from "+when(g.From)+" to "+when(g.To)+".")
	return []part{portal, actions}
}

func nothing(g *store.Reading) string {
	if g.Complete() {
		return "CloudTrail shows no call"
	}
	return "nothing was found where CloudTrail answered, and not all of it did"
}

// deedTable lists the first deeds, which weigh most, and counts the rest.
func deedTable(name string, deeds []store.Deed, leftOut, most int, day time.Time, m room) *table {
	t := &table{Name: name, Columns: columns(), Deeds: true}
	lines := 0
	for i, d := range deeds {
		if i >= most {
			leftOut += d.Count
			lines++
			continue
		}
		tone, result := result(d, name == headPortal)
		t.Rows = append(t.Rows, row{tone, []string{span(d.First, d.Last, day), oneLine(d.Service, 40), oneLine(d.Action, 60),
			oneLine(shortARN(d.Resource), min(m.line, 140)), oneLine(d.Region, 30), grouped(d.Count) + "×", result}})
	}
	if leftOut > 0 {
		t.More = "And " + count(leftOut, "call") + " more that the table has no room for"
		if lines > 0 {
			t.More += ", " + count(lines, "line")
		}
		t.More += ". The archive has every event."
	}
	return t
}

// result is what came of a deed, and whether it is to be looked at.
func result(d store.Deed, portal bool) (tone, string) {
	var said string
	t := calm
	switch {
	case d.Error != "":
		t, said = warn, "refused: "+oneLine(d.Error, 60)
	case portal:
		said = "done"
	case d.Write:
		said = "changed"
	default:
		said = "read"
	}
	if d.Sensitive {
		t, said = alarm, said+", sensitive"
	}
	if d.Outside {
		t, said = alarm, said+", outside the session's time"
	}
	return t, said
}

// shortARN is the name of a role in place of its ARN, which fills a phone's screen; other resources stay as they are.
func shortARN(resource string) string {
	first, _, _ := strings.Cut(resource, ",")
	if strings.HasPrefix(first, "arn:") && strings.Contains(first, ":role/") {
		return first[strings.LastIndexByte(first, '/')+1:]
	}
	return resource
}

// late are the later readings, each by itself: what they found is added, nothing of the first is replaced.
func (c Case) late(m room) (out []part) {
	r := &c.Request
	for i := 1; i < len(r.Readings); i++ {
		g := &r.Readings[i]
		s := part{Head: "Came late: read again " + when(g.At)}
		if i > m.late {
			var n int
			for _, g := range r.Readings[i:] {
				n += g.Events + g.PortalEvents
			}
			s.Head = "Came later still"
			s.Texts = []string{fmt.Sprintf("%s found %s more, which this page has no room for. The archive has every event.", counted(len(r.Readings)-i, "further reading", "further readings"), count(n, "call"))}
			return append(out, s)
		}
		switch {
		case g.Events+g.PortalEvents == 0 && g.Complete():
			s.Texts = []string{"Nothing came late."}
		case g.Events+g.PortalEvents == 0:
			s.Texts = []string{"Nothing more was found where CloudTrail answered, and not all of it did."}
		default:
			s.Texts = []string{"Not known when the report was first drawn: " + numbers(g.Events, g.Writes, g.Reads, g.Refused) + extra(g) + "."}
		}
		out = append(out, s)
		out = append(out, c.reading(m, i)...)
	}
	if len(r.Readings) > 0 && !c.Next.IsZero() {
		out = append(out, part{Notes: []string{"CloudTrail is read again " + when(c.Next) + ". What comes late is added, and sent in a mail of its own."}})
	}
	return out
}

// extra counts what the tally of calls does not.
func extra(g *store.Reading) string {
	var s string
	if g.PortalEvents > 0 {
		s += ", and " + count(g.PortalEvents, "event") + " of the access portal"
	}
	if g.Sensitive > 0 {
		s += "; " + grouped(g.Sensitive) + " of sensitive actions"
	}
	if g.Outside > 0 {
		s += "; " + grouped(g.Outside) + " outside the session's time"
	}
	return s
}

// decisions are everybody's words, on the request and on its extensions.
func (c Case) decisions(m room) part {
	r := &c.Request
	s := part{Head: "Who decided"}
	say := func(t tone, text string) {
		switch {
		case len(s.Points) < m.short:
			s.Points = append(s.Points, point{t, text})
		case len(s.Notes) == 0:
			s.Notes = []string{"Further decisions are in the archive."}
		}
	}
	say(calm, "Asked by "+full(r.Requester)+", "+long(r.SubmittedAt)+".")
	if r.NoWord && len(r.Decisions) == 0 {
		say(calm, "Nobody was asked: this way in takes nobody's word and is announced at once.")
	}
	if r.Second {
		say(warn, "It was the second such session within a day, so it needed a word where the first does not.")
	}
	for _, d := range r.Decisions {
		t, text := decision(d, "", m)
		say(t, text)
	}
	for i, x := range r.Extensions {
		text := fmt.Sprintf("Extension %d, %s longer, was %s: asked for %s", i+1, lasting(x.By), x.State, long(x.AskedAt))
		if x.Reason != "" {
			text += ", “" + oneLine(x.Reason, m.line) + "”"
		} else {
			text += "."
		}
		say(calm, text)
		for _, d := range x.Decisions {
			t, text := decision(d, fmt.Sprintf(" (extension %d)", i+1), m)
			say(t, text)
		}
	}
	return s
}

func decision(d store.Decision, of string, m room) (tone, string) {
	t, verb := calm, "Approved by "
	if !d.Approved {
		t, verb = warn, "Denied by "
	}
	s := verb + full(d.By)
	if d.By.As != "" {
		s += ", as " + oneLine(d.By.As, 40)
	}
	s += ", " + long(d.At) + of
	if d.Comment != "" {
		return t, s + ": “" + oneLine(d.Comment, m.line) + "”"
	}
	return t, s + "."
}
