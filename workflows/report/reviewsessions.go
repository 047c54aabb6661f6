package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"breakglass/store"
)

// Entry is one of the month's sessions as a reviewer looks at it, and as review.json has it.
type Entry struct {
	ID       store.ID  `json:"id"`
	AskedAt  time.Time `json:"asked_at"`
	Who      string    `json:"who"`
	Where    string    `json:"where"`
	Scenario string    `json:"scenario"`
	Tier     int       `json:"tier"`
	Open     int64     `json:"open_seconds"`
	Still    bool      `json:"still_open,omitempty"`
	Along    store.ID  `json:"granted_along_with,omitempty"`
	Approved []string  `json:"approved_by"` // empty: on nobody's word
	Ticket   string    `json:"ticket"`      // "" for none
	// What became of them: on_time, late, waived, overdue, due, not_owed. Of a ticket, late is one that had to be asked for of others.
	TicketIs string `json:"ticket_is"`
	MortemIs string `json:"post_mortem_is"`
	Reason   string `json:"reason"` // its beginning
	Look     bool   `json:"to_look_at"`

	short string // Who, without the address
}

// What becomes of what is owed.
const (
	owedOnTime  = "on_time"
	owedLate    = "late"
	owedWaived  = "waived"
	owedOverdue = "overdue"
	owedDue     = "due"
	owedNot     = "not_owed"
)

// mostWord is how many approvers of one session are named, and mostReason how much of its reason is kept, in bytes.
const (
	mostWord   = 4
	mostReason = 160
)

// ticketIs is what became of the ticket.
func (b *builder) ticketIs(r *store.Request) string {
	switch {
	case r.Ticket != "" && b.escalated[r.ID]:
		return owedLate
	case r.Ticket != "":
		return owedOnTime
	case r.Waives(store.OwedTicket):
		return owedWaived
	case r.TicketBy.IsZero():
		return owedNot
	case b.at.After(r.TicketBy):
		return owedOverdue
	}
	return owedDue
}

// mortemIs is what became of the post-mortem.
func (b *builder) mortemIs(r *store.Request) string {
	switch {
	case r.PostMortem != nil && !r.PostMortemBy.IsZero() && r.PostMortem.At.After(r.PostMortemBy):
		return owedLate
	case r.PostMortem != nil:
		return owedOnTime
	case r.Waives(store.OwedPostMortem):
		return owedWaived
	case !r.Owes:
		return owedNot
	case !r.PostMortemBy.IsZero() && b.at.After(r.PostMortemBy):
		return owedOverdue
	}
	return owedDue
}

// tell puts a session among those that are told one by one. Of very many those are kept that want to be looked at, and of these the first.
func (b *builder) tell(r *store.Request, look bool) {
	d, _ := (Case{Request: *r, At: b.at}).open()
	s := Entry{ID: r.ID, AskedAt: r.SubmittedAt, Who: full(r.Requester), short: name(r.Requester), Where: where(r), Scenario: oneLine(r.Title, 80), Tier: r.Tier, Open: max(0, seconds(d)),
		Still: r.EndedAt.IsZero(), Along: r.Lead, Approved: []string{}, Ticket: oneLine(r.Ticket, 80), TicketIs: b.ticketIs(r), MortemIs: b.mortemIs(r),
		Reason: oneLine(r.Reason, mostReason), Look: look}
	for _, d := range r.Decisions {
		if d.Approved && len(s.Approved) < mostWord {
			s.Approved = append(s.Approved, name(d.By))
		}
	}
	b.Told = append(b.Told, s)
	if len(b.Told) >= 2*mostSessions {
		b.fewer()
	}
}

// fewer keeps as many sessions as are told.
func (b *builder) fewer() {
	slices.SortFunc(b.Told, func(x, y Entry) int { return cmp.Or(order(x.Look, y.Look), byNumber(x.ID, y.ID)) })
	b.Told = none(b.Told[:min(len(b.Told), mostSessions)])
}

// where is the place of an access as the breakdown names it.
func where(r *store.Request) string {
	if r.Group != "" {
		return "group " + oneLine(r.Group, 60)
	}
	return oneLine(r.Account.Name, 60)
}

// sessions is the table of them.
func (r *Review) sessions(m room) part {
	all := r.Sessions + r.Along
	if all == 0 {
		return part{}
	}
	t := &table{Name: "Sessions", Cards: true, Columns: []string{"Session", "Who", "Where", "What", "Open", "Whose word", "Ticket", "Post-mortem", "Reason"}}
	for i, s := range r.Told {
		if i == m.rows {
			break
		}
		t.Rows = append(t.Rows, row{calm, s.cells(m)})
	}
	if more := all - len(t.Rows); more > 0 {
		t.More = "And " + grouped(more) + " more, which are in the archive."
	}
	return part{Head: "The sessions", Notes: []string{"Those that want to be looked at come first. Of a reason its beginning is shown."}, Table: t}
}

func (s Entry) cells(m room) []string {
	open, word := short(time.Duration(s.Open)*time.Second), "nobody's word"
	if s.Still {
		open += " so far"
	}
	if len(s.Approved) > 0 {
		word = strings.Join(s.Approved[:min(len(s.Approved), 2)], ", ")
		if more := len(s.Approved) - 2; more > 0 {
			word += fmt.Sprintf(" and %d more", more)
		}
		word = oneLine(word, m.line)
	}
	what := oneLine(s.Scenario, m.line) + fmt.Sprintf(" (tier %d)", s.Tier)
	if s.Along != "" {
		what += ", along with " + oneLine(string(s.Along), 24)
	}
	ticket := oneLine(s.Ticket, min(m.line, 60))
	switch s.TicketIs {
	case owedLate:
		ticket += ", late"
	case owedWaived:
		ticket = "none, waived"
	case owedOverdue:
		ticket = "none, overdue"
	case owedDue:
		ticket = "none yet"
	case owedNot:
		ticket = "none"
	}
	why := oneLine(s.Reason, min(m.line, 90))
	if why == "" {
		why = "none"
	}
	mortem := map[string]string{owedOnTime: "yes", owedLate: "yes, late", owedWaived: "no, waived", owedOverdue: "no, overdue", owedDue: "not yet", owedNot: "none owed"}[s.MortemIs]
	return []string{oneLine(string(s.ID), 24), oneLine(s.short, m.line), oneLine(s.Where, m.line), what, open, word, ticket, mortem, why}
}
