package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"breakglass/store"
)

// caseJSON is report.json. Fields are only ever added to it; "format" would change if one had to be taken away. Times are RFC 3339 in UTC,
// durations whole seconds.
type caseJSON struct {
	Format  int       `json:"format"` // 1
	Kind    string    `json:"kind"`   // session
	Session store.ID  `json:"session"`
	State   string    `json:"state"` // as the design names them
	DrawnAt time.Time `json:"drawn_at"`
	Subject string    `json:"subject"` // of the mail
	Lead    string    `json:"lead"`    // it all in a sentence
	Remarks []string  `json:"remarks"` // what wants to be looked at, in words; empty where nothing does

	Who      store.Person   `json:"who"`
	Account  store.Account  `json:"account,omitzero"` // absent for a membership
	Region   string         `json:"region,omitempty"`
	Scenario string         `json:"scenario"` // its name in the policy
	Title    string         `json:"title"`
	Tier     int            `json:"tier"`
	Granted  grantedJSON    `json:"granted"`
	Reason   string         `json:"reason"`
	Ticket   string         `json:"ticket,omitempty"`
	Context  string         `json:"context,omitempty"` // link to the alert it was asked from
	Answers  []store.Answer `json:"answers,omitempty"`
	Policy   string         `json:"policy"` // hash of the policy it was asked under
	Along    store.ID       `json:"granted_along_with,omitempty"`

	AskedAt   time.Time `json:"asked_at"`
	DecidedAt time.Time `json:"decided_at,omitzero"`
	GrantedAt time.Time `json:"granted_at,omitzero"` // access may exist from here on
	OpenFrom  time.Time `json:"open_from,omitzero"`  // it was verified
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	EndedAt   time.Time `json:"ended_at,omitzero"`     // its absence was verified
	OpenFor   int64     `json:"open_seconds,omitzero"` // until ended_at, or drawn_at

	Decisions  []store.Decision  `json:"decisions"`
	Extensions []store.Extension `json:"extensions,omitempty"`
	End        store.End         `json:"end,omitzero"`
	Ends       store.Ends        `json:"ends,omitzero"` // which of the three ends stood for it

	Summary  *summaryJSON  `json:"summary,omitempty"` // absent where CloudTrail was not read
	Readings []readingJSON `json:"readings"`          // the first has what was there, each later one what came late

	PostMortem postMortemJSON `json:"post_mortem"`
	TicketDue  time.Time      `json:"ticket_due,omitzero"`
	Waived     []store.Waiver `json:"waived,omitempty"`

	Archive string        `json:"archive,omitempty"`
	Log     []store.Event `json:"log"` // the session's lines of the log, in their order
	Trust   string        `json:"trust"`
}

type grantedJSON struct {
	Kind string `json:"kind"` // permission_set, group or iam_role
	Name string `json:"name"`
}

// summaryJSON is what all readings come to.
type summaryJSON struct {
	Events        int            `json:"events"` // writes, reads and refused
	Writes        int            `json:"writes"`
	Reads         int            `json:"reads"`
	Refused       int            `json:"refused"`
	Sensitive     int            `json:"sensitive"`      // of events: calls of sensitive actions, refused ones among them
	Outside       int            `json:"outside"`        // of events: outside the session's time
	OutsidePortal int            `json:"outside_portal"` // credentials asked of the portal outside the session's time
	Portal        int            `json:"portal_events"`
	Tables        []string       `json:"tables"`
	Changed       []string       `json:"changed"`
	MoreNames     int            `json:"more_names,omitempty"` // of tables and other things, left out of the two lists
	Hosts         []store.Host   `json:"hosts"`
	Complete      bool           `json:"complete"`
	Unread        []store.Source `json:"unread,omitempty"` // places that no reading could read
}

// readingJSON is one reading without what only later readings need.
type readingJSON struct {
	Number        int            `json:"number"` // from 1
	At            time.Time      `json:"at"`
	From          time.Time      `json:"from"`
	To            time.Time      `json:"to"`
	Sources       []store.Source `json:"sources"`
	Events        int            `json:"events"`
	Writes        int            `json:"writes"`
	Reads         int            `json:"reads"`
	Refused       int            `json:"refused"`
	Sensitive     int            `json:"sensitive"`
	Outside       int            `json:"outside"`
	Actions       []store.Deed   `json:"actions"` // Actions in the account: changes before reads
	LeftOut       int            `json:"left_out,omitempty"`
	Portal        []store.Deed   `json:"portal"` // Access portal
	PortalEvents  int            `json:"portal_events"`
	PortalLeftOut int            `json:"portal_left_out,omitempty"`
}

type postMortemJSON struct {
	Owed    bool              `json:"owed"`
	Due     time.Time         `json:"due,omitzero"`
	Written *store.PostMortem `json:"written,omitempty"`
}

// JSON is the report for programs, indented, with a newline at its end.
func (c Case) JSON() ([]byte, error) {
	r := &c.Request
	j := caseJSON{
		Format: 1, Kind: "session", Session: r.ID, State: string(r.State), DrawnAt: store.Moment(c.At), Subject: c.Subject(), Lead: c.lead(), Remarks: []string{},
		Who: r.Requester, Account: r.Account, Region: r.Region, Scenario: r.Scenario, Title: r.Title, Tier: r.Tier,
		Granted: grantedJSON{"permission_set", r.Granted()}, Reason: r.Reason, Ticket: r.Ticket, Context: r.Context, Answers: r.Answers,
		Policy: r.Policy, Along: r.Lead,
		AskedAt: r.SubmittedAt, DecidedAt: r.DecidedAt, GrantedAt: r.GrantedAt, OpenFrom: r.VerifiedAt, ExpiresAt: r.ExpiresAt, EndedAt: r.EndedAt,
		Decisions: none(r.Decisions), Extensions: r.Extensions, End: r.End, Ends: r.Ends, Readings: []readingJSON{},
		PostMortem: postMortemJSON{r.Owes, r.PostMortemBy, r.PostMortem}, TicketDue: r.TicketBy, Waived: r.Waived,
		Archive: c.Archive, Log: none(c.Lines), Trust: trust,
	}
	if r.Group != "" {
		j.Granted.Kind = "group"
	} else if r.Role != "" {
		j.Granted.Kind = "iam_role"
	}
	if d, ok := c.open(); ok {
		j.OpenFor = int64(d / time.Second)
	}
	for _, p := range c.remarks() {
		j.Remarks = append(j.Remarks, p.Text)
	}
	j.Summary, j.Readings = c.readingsJSON()
	return indented(j)
}

func (c Case) readingsJSON() (*summaryJSON, []readingJSON) {
	all := []readingJSON{}
	for i, g := range c.Request.Readings {
		all = append(all, readingJSON{Number: i + 1, At: g.At, From: g.From, To: g.To, Sources: none(g.Sources), Events: g.Events, Writes: g.Writes,
			Reads: g.Reads, Refused: g.Refused, Sensitive: g.Sensitive, Outside: g.Outside, Actions: none(g.Deeds), LeftOut: g.LeftOut,
			Portal: none(g.Portal), PortalEvents: g.PortalEvents, PortalLeftOut: g.PortalLeftOut})
	}
	if len(all) == 0 {
		return nil, all
	}
	t := c.total()
	return &summaryJSON{Events: t.events, Writes: t.writes, Reads: t.reads, Refused: t.refused, Sensitive: t.sensitive, Outside: t.outside,
		OutsidePortal: t.taken, Portal: t.portal, Tables: none(t.tables), Changed: none(t.changed), MoreNames: t.more, Hosts: none(t.hosts),
		Complete: len(t.unread) == 0, Unread: t.unread}, all
}

// none makes a list that is empty an empty list.
func none[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// indented leaves < and & as they are: the file is read by people and by programs, and shown by no browser.
func indented(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("writing the report as JSON: %w", err)
	}
	return b.Bytes(), nil
}
