package report

import (
	"cmp"
	"iter"
	"slices"
	"time"

	"breakglass/store"
)

// Bounds of a review's lists. What goes past them is counted, and every session is in the archive.
const (
	mostRows     = 40  // of people, places and scenarios
	mostCited    = 60  // sessions, and things that were found, that are named one by one
	mostSessions = 200 // that are told one by one; a page shows as many of them as it has room for
	months       = 12  // of the trend, the month itself among them
)

// Finding is what a reconciliation or the watch found in the month.
type Finding struct {
	At      time.Time `json:"at"`
	What    string    `json:"what"`              // as workflows names it: unexplained, guard, …
	Where   string    `json:"where,omitempty"`   // the account
	Granted string    `json:"granted,omitempty"` // the permission set, role or group
	Who     string    `json:"who,omitempty"`
	Detail  string    `json:"detail,omitempty"`
	Done    string    `json:"done,omitempty"` // what was done about it
}

// Month is what a review is drawn from.
type Month struct {
	// From and To are the month's first moment and the next one's, in the policy's time zone, which they carry.
	From, To time.Time
	At       time.Time // when it is drawn
	// Requests are those submitted in the twelve months until To, in any order, each once; others are passed over.
	Requests iter.Seq[store.Request]
	// Findings are those of this month, in any order.
	Findings []Finding
	// Found is how much was found in each of the twelve months, this one last; shorter or nil where that is not known.
	Found   []int
	Refused int // clicks that were refused in this month
	// Begins is when the log's first line was written; zero where that is not known. What was before it nobody can tell.
	Begins time.Time
	// Escalated are the requests whose ticket was not there when its time was over, as the log has it.
	Escalated map[store.ID]bool
	Archive   string // where the review is kept; "" where there is no archive
}

// Review is what a month comes to, and review.json: fields are only ever added. Durations are whole seconds.
type Review struct {
	Format  int       `json:"format"` // 1
	Kind    string    `json:"kind"`   // review
	Month   string    `json:"month"`  // 2026-10
	From    time.Time `json:"from"`
	To      time.Time `json:"to"`
	DrawnAt time.Time `json:"drawn_at"`
	Until   time.Time `json:"until,omitzero"`      // as far as the review goes, where the month was not over
	Begins  time.Time `json:"log_begins,omitzero"` // where that was after the month had begun: what was before is not known

	Requests  int `json:"requests"`            // submitted in the month; those granted along with another are not counted again
	Along     int `json:"granted_along"`       // and these were
	Sessions  int `json:"sessions"`            // of the requests: access was granted
	Undecided int `json:"undecided,omitempty"` // still open when the review was drawn
	Denied    int `json:"denied"`
	Cancelled int `json:"cancelled"`
	Expired   int `json:"expired"`
	Failed    int `json:"failed"`
	Unasked   int `json:"on_nobodys_word"` // of the sessions
	Refused   int `json:"refused_clicks"`

	ByPerson   []Row `json:"by_person"`
	ByPlace    []Row `json:"by_place"`
	ByScenario []Row `json:"by_scenario"`
	ByTier     []Row `json:"by_tier"`
	ByEnd      []Row `json:"by_end"` // how sessions ended: expired, ended, revoked, …
	Trend      []Bar `json:"trend"`  // twelve months, this one last

	Approval  Spread `json:"time_to_approval"`
	Open      Spread `json:"open"`
	Late      Cited  `json:"longest_late_end,omitzero"` // from when a session should have ended until its absence was verified
	Extended  int    `json:"extensions_granted"`
	NotLonger int    `json:"extensions_not_granted"`

	NoMortem   List `json:"without_post_mortem"` // owed, its time over, not written
	NoTicket   List `json:"without_ticket"`      // likewise
	Waived     List `json:"waived"`              // closed without something that was owed
	LateMortem List `json:"post_mortem_late"`    // written after its time
	LateTicket List `json:"ticket_late"`         // there, but its time was over first, and others were told
	Escalated  List `json:"escalated"`           // others were told that something owed was missing
	Sensitive  List `json:"with_sensitive_actions"`
	Outside    List `json:"with_calls_outside_their_time"`
	Incomplete List `json:"with_incomplete_readings"`
	Forced     List `json:"closed_unverified"` // an operator vouched that nothing is left

	Told []Entry `json:"session_list"` // at most 200 of them, those to look at first

	Violations int       `json:"violations"`
	Findings   []Finding `json:"findings"` // at most 60 of them
	Questions  []string  `json:"questions"`
	Archive    string    `json:"archive,omitempty"`
}

// Row is one line of a breakdown.
type Row struct {
	Name     string `json:"name"`
	Requests int    `json:"requests"`
	Sessions int    `json:"sessions"`
	Open     int64  `json:"open_seconds"`
}

// Bar is one month of the trend.
type Bar struct {
	Month    string `json:"month"`
	Sessions int    `json:"sessions"`
	TierZero int    `json:"tier_zero"` // of the sessions
	Refused  int    `json:"not_granted"`
	Approval int64  `json:"median_approval_seconds"` // 0 where nothing was approved
	Found    int    `json:"found"`
}

// Spread is how long something took: half of them at most Median, nine of ten at most P90.
type Spread struct {
	Count   int   `json:"count"`
	Median  int64 `json:"p50_seconds"`
	P90     int64 `json:"p90_seconds"`
	Slowest Cited `json:"slowest,omitzero"`
}

// Cited is one request with what it is cited for.
type Cited struct {
	ID      store.ID `json:"id,omitempty"`
	Seconds int64    `json:"seconds"`
}

// List names requests, at most 60 of them.
type List struct {
	Count int        `json:"count"`
	IDs   []store.ID `json:"ids,omitempty"`
}

func (l *List) add(id store.ID) {
	l.Count++
	if len(l.IDs) < mostCited {
		l.IDs = append(l.IDs, id)
	}
}

// NewReview draws up a month.
func NewReview(m Month) *Review {
	r := &Review{Format: 1, Kind: "review", Month: m.From.Format("2006-01"), From: m.From, To: m.To, DrawnAt: m.At, Refused: m.Refused,
		Questions: questions(), Archive: m.Archive, Violations: len(m.Findings)}
	if m.At.Before(m.To) {
		r.Until = m.At
	}
	if m.Begins.After(m.From) {
		r.Begins = m.Begins
	}
	b := newBuilder(r, m)
	if m.Requests != nil {
		for q := range m.Requests {
			b.add(&q)
		}
	}
	b.finish()
	r.Findings = slices.Clone(m.Findings)
	slices.SortStableFunc(r.Findings, func(a, b Finding) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.What, b.What), cmp.Compare(a.Where, b.Where), cmp.Compare(a.Detail, b.Detail))
	})
	r.Findings = none(r.Findings[:min(len(r.Findings), mostCited)])
	return r
}

// questions are asked of whoever reviews a month, the same each time: a list of numbers answers none of them.
func questions() []string {
	return []string{
		"Does each session have a reason and a ticket that somebody outside the team would understand?",
		"Does what was done fit the reason that was given?",
		"Was each change explained in a post-mortem, and did its follow-ups happen?",
		"Do the sensitive actions, and the calls from a second address or outside a session's time, have an explanation?",
		"Is every finding explained, and is its cause gone?",
		"Is the same glass broken again and again? Then what is missing is a tool or a permission, not an emergency.",
		"Were decisions made by people who could judge them, and not at a glance?",
		"Were those who may ask, decide and end still the right people at the end of the month?",
		"Could every place be read? A place that cannot be read is a place where nobody looks.",
	}
}
