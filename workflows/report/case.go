package report

import (
	"fmt"
	"strings"
	"time"

	"breakglass/store"
)

// Case is what the report of one session is drawn from. Nothing else goes into it, so the same case gives the same report, byte for byte.
type Case struct {
	Request store.Request
	Lines   []store.Event // the session's lines of the log, in their order
	At      time.Time     // when the report is drawn
	Archive string        // where its archive is, as s3://bucket/sessions/BG-1042; "" where there is none
	Next    time.Time     // when CloudTrail is read again; zero where it will not be
	Settles time.Time     // when it is read the first time, where it has not been; zero where nobody can say
}

// TimelineName is what the timeline is called as a file, and by which the mail shows it.
const TimelineName = "timeline.png"

// Subject is the mail's. It begins with a fixed word to filter by and the id to find the thread by, and says what was found as far as
// a line can.
func (c Case) Subject() string {
	r := &c.Request
	s := fmt.Sprintf("[Breakglass] %s: ", r.ID)
	if n := len(r.Readings); n > 1 {
		last := &r.Readings[n-1]
		if late := last.Events + last.PortalEvents; late == 0 {
			s += "read again, nothing came late"
		} else {
			s += "read again, " + count(late, "call") + " came late"
		}
	} else if _, ok := c.open(); !ok {
		s += "not let in"
	} else if n == 1 {
		t := c.total()
		s += count(t.writes, "change") + " in " + count(t.events, "call")
	} else {
		s += "what is known"
	}
	s += ", " + name(r.Requester) + " " + on(r)
	if t := c.total(); len(t.unread) > 0 {
		s += " (incomplete)"
	} else if n := len(c.remarks()); n > 0 {
		s += " (" + count(n, "thing") + " to look at)"
	}
	return oneLine(s, 180)
}

// Write is the report as a page and in plain text of 76 columns, which say the same. The page is for a mail with its picture inside, or for
// a file with the picture beside it; it is at most MostHTML bytes long, has no scripts and fetches nothing.
func (c Case) Write(place Place) (html, text string, err error) { return written(place, c.page) }

// Mail is the report as it goes out.
func (c Case) Mail(to []string) (store.Mail, error) {
	html, text, err := c.Write(Mailed)
	if err != nil {
		return store.Mail{}, err
	}
	p, err := c.Timeline()
	if err != nil {
		return store.Mail{}, err
	}
	return store.Mail{To: to, Subject: c.Subject(), Text: text, HTML: html, Inline: []store.Picture{p}}, nil
}

// page is what the report says, as far as there is room.
func (c Case) page(m room) page {
	r := &c.Request
	p := page{Kind: "Breakglass: report of a session, drawn " + when(c.At), Title: string(r.ID) + ": " + name(r.Requester) + " " + on(r),
		Lead: c.lead(), Tiles: c.tiles()}
	p.add(part{Facts: c.facts(m)})
	p.add(c.asked(m))
	p.add(c.summary(m))
	if !r.GrantedAt.IsZero() {
		p.add(part{Head: "Timeline", Picture: &picture{Name: TimelineName, Alt: c.Words(), Under: c.Words() + c.legend(), Width: timelineWidth, Height: timelineHeight}})
	}
	for i := range r.Readings {
		if i == 0 {
			p.add(c.reading(m, i)...)
		}
	}
	p.add(c.late(m)...)
	p.add(c.decisions(m))
	p.add(c.ending())
	p.add(c.mortem(m)...)
	p.add(c.evidence())
	p.Foot = append([]string{trust}, "Times are in UTC. Numbers and tables are drawn from what CloudTrail had when it was read, and from Breakglass's own log; nothing was added by hand.")
	return p
}

// add appends what has something to say.
func (p *page) add(parts ...part) {
	for _, s := range parts {
		if s.Head == "" && len(s.Facts)+len(s.Points)+len(s.Texts)+len(s.Quotes)+len(s.Notes) == 0 && s.Table == nil && s.Picture == nil {
			continue
		}
		p.Parts = append(p.Parts, s)
	}
}

// trust is what no reading can show. A report that is taken for complete is worse than none.
const trust = "CloudTrail is best effort: calls can arrive late, reads of data are not in CloudTrail's history, and what was typed into a shell " +
	"or a database never is. That a call is not listed here does not prove that it was not made."

// on is where the access was, in a sentence.
func on(r *store.Request) string {
	if r.Group != "" {
		return "in " + oneLine(r.Group, 80)
	}
	return "on " + oneLine(r.Account.Name, 60)
}

// open is how long there was access, as far as the report goes. ok is false where there was none.
func (c Case) open() (d time.Duration, ok bool) {
	r := &c.Request
	from := r.VerifiedAt
	if from.IsZero() {
		from = r.GrantedAt
	}
	if from.IsZero() || r.State == store.Failed {
		return 0, false
	}
	until := r.EndedAt
	if until.IsZero() {
		until = c.At
	}
	return until.Sub(from), true
}

// lead is the whole session in one or two sentences.
func (c Case) lead() string {
	r := &c.Request
	who := name(r.Requester)
	d, ok := c.open()
	if !ok {
		return fmt.Sprintf("%s asked for %s %s and was not let in: %s.", who, oneLine(r.Granted(), 80), on(r), c.standing())
	}
	has := "had"
	if r.EndedAt.IsZero() {
		has = "has had"
	}
	s := fmt.Sprintf("%s %s %s %s for %s, %s.", who, has, oneLine(r.Granted(), 80), on(r), lasting(d), c.word())
	if r.EndedAt.IsZero() {
		return s + " The session is not over, and this report is not its last."
	}
	return s + " " + upper(c.total().sentence()) + "."
}

// standing is why somebody was not let in.
func (c Case) standing() string {
	r := &c.Request
	switch r.State {
	case store.Denied:
		for _, d := range r.Decisions {
			if !d.Approved {
				return name(d.By) + " denied it"
			}
		}
		return "it was denied"
	case store.Cancelled:
		return "it was cancelled"
	case store.Expired:
		return "nobody decided in time"
	case store.Failed:
		return "the grant failed, and that nothing was created was verified"
	}
	return "it is " + string(r.State)
}

// word is on whose word somebody was let in.
func (c Case) word() string {
	var by []string
	for _, d := range c.Request.Decisions {
		if d.Approved {
			by = append(by, name(d.By))
		}
	}
	if len(by) == 0 && c.Request.NoWord {
		return "on nobody's word: this way in asks for none"
	}
	if len(by) == 0 {
		return "on nobody's word: " + c.standing()
	}
	return "on the word of " + list(by, 4)
}

// longer is on whose word it was extended.
func (c Case) longer() string {
	var all []string
	for i, x := range c.Request.Extensions {
		if x.State != store.ExtensionGranted {
			continue
		}
		var by []string
		for _, d := range x.Decisions {
			if d.Approved {
				by = append(by, name(d.By))
			}
		}
		if len(by) == 0 {
			by = []string{"nobody's word"}
		}
		all = append(all, fmt.Sprintf("for extension %d (%s) %s", i+1, lasting(x.By), list(by, 4)))
	}
	if len(all) == 0 {
		return ""
	}
	return "; " + list(all, 4)
}

// tiles are the numbers that are looked for first.
func (c Case) tiles() []tile {
	d, ok := c.open()
	if !ok {
		return nil
	}
	t := c.total()
	tiles := []tile{{Number: short(d), Name: "open"}}
	if len(c.Request.Readings) == 0 {
		return tiles
	}
	refused, grave := calm, calm
	if t.refused > 0 {
		refused = warn
	}
	if t.sensitive > 0 {
		grave = alarm
	}
	return append(tiles, tile{Number: number(t.writes), Name: noun(t.writes, "change")}, tile{Number: number(t.refused), Name: "refused", Tone: refused},
		tile{Number: number(t.sensitive), Name: "sensitive", Tone: grave})
}

func noun(n int, what string) string {
	if n == 1 {
		return what
	}
	return what + "s"
}

// facts are the head of the report: who, where, how long, on whose word.
func (c Case) facts(m room) []fact {
	r := &c.Request
	f := []fact{{"Who", full(r.Requester)}}
	if r.Group == "" {
		where := oneLine(r.Account.Name, 60) + " (" + oneLine(r.Account.ID, 20) + ")"
		if r.Region != "" {
			where += ", " + oneLine(r.Region, 30)
		}
		if r.Account.Sensitive {
			where += ", a sensitive account"
		}
		f = append(f, fact{"Where", where})
	}
	f = append(f, fact{"What", fmt.Sprintf("%s (tier %d): %s", oneLine(r.Title, 120), r.Tier, granted(r))})
	if d, ok := c.open(); ok {
		s := lasting(d) + " of the " + lasting(r.ExpiresAt.Sub(r.GrantedAt)) + " granted, "
		if r.EndedAt.IsZero() {
			s += "from " + long(r.GrantedAt)
		} else {
			s += r.GrantedAt.UTC().Format(dayForm) + " " + span(r.GrantedAt, r.EndedAt, r.GrantedAt) + " UTC"
		}
		f = append(f, fact{"How long", s})
	} else {
		f = append(f, fact{"How long", lasting(r.Duration) + " was asked for; it was never open"})
	}
	f = append(f, fact{"Whose word", upper(strings.TrimPrefix(strings.TrimPrefix(c.word(), "on the word of "), "on ")) + c.longer()}, fact{"Ticket", c.ticket()})
	for i, a := range r.Answers {
		if i == 6 {
			break
		}
		if a.Value != "" {
			f = append(f, fact{oneLine(a.Label, 40), oneLine(a.Value, m.line)})
		}
	}
	return f
}

// granted names what was granted, with its kind.
func granted(r *store.Request) string {
	switch {
	case r.Group != "":
		return "membership of " + oneLine(r.Group, 80)
	case r.Role != "":
		return "IAM role " + oneLine(r.Role, 80)
	}
	return "permission set " + oneLine(r.PermissionSet, 80)
}

// ticket is the ticket, or what became of it.
func (c Case) ticket() string {
	r := &c.Request
	switch {
	case r.Ticket != "":
		return oneLine(r.Ticket, 80)
	case r.Waives(store.OwedTicket):
		return "none: the case was closed without it"
	case !r.TicketBy.IsZero() && c.At.After(r.TicketBy):
		return "none, and it was due " + when(r.TicketBy)
	case !r.TicketBy.IsZero():
		return "none yet; it is due " + when(r.TicketBy)
	}
	return "none was asked for"
}

// asked is the reason in the requester's own words.
func (c Case) asked(m room) part {
	return part{Quotes: []fact{{"Why, in " + name(c.Request.Requester) + "'s words", several(c.Request.Reason, m.quote)}}}
}
