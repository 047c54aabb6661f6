package store

import (
	"encoding/json"
	"slices"
	"time"
)

// Record is one CloudTrail event of a session, reduced to what a report says.
type Record struct {
	ID       string // CloudTrail's event id
	At       time.Time
	Service  string // the event source without its suffix, as s3
	Action   string // ListBuckets
	Region   string
	ReadOnly bool
	Resource string // what it was done to, where the event says so
	Error    string // CloudTrail's errorCode; "" when the call went through
	Address  string // sourceIPAddress
	Agent    string
	Portal   bool            // an event of the access portal, where people take their credentials, and not of the account
	Raw      json.RawMessage // the event as CloudTrail gave it; valid during the call that hands it over
}

// Query asks the trail for what one person did in one account through one permission set.
type Query struct {
	Account  Account
	UserID   string // matched against onBehalfOf.userId where the event has it
	UserName string // the role session's name, for events that have none
	Set      string // the permission set's name; or
	Role     string // the IAM role's, with
	Request  ID     // the request, which is the role session's name
	From, To time.Time
}

// Source is one place the trail was read: how complete a reading is.
type Source struct {
	Region string `json:"region"`
	Events int    `json:"events"` // that were the session's
	Error  string `json:"error,omitempty"`
}

// Mark says how far a reading got with one of its questions: what a reading that was cut off goes on from. Every source gives its newest events first, so
// one time says it.
type Mark struct {
	Of     string    `json:"of"`               // the question: of no meaning but to whoever asks it
	From   time.Time `json:"from"`             // everything from here on, by the source's clock, was handed over
	Done   bool      `json:"done,omitempty"`   // and there is nothing more
	Unread int       `json:"unread,omitempty"` // events so far that could not be understood
}

// Resume is what an earlier attempt at the same reading left behind. Its zero value is a reading that begins.
type Resume struct {
	Marks []Mark               // the last of each question
	Given map[string]int       // how many events of each source were kept, those after the last mark too
	Has   func(id string) bool // whether the event with a Record's ID was kept; nil: none was
}

// Deed is one thing that was done, as often as it was done.
type Deed struct {
	Service  string    `json:"service"`
	Action   string    `json:"action"`
	Region   string    `json:"region"`
	Resource string    `json:"resource,omitempty"`
	Error    string    `json:"error,omitempty"`
	Write    bool      `json:"write,omitempty"`
	Count    int       `json:"count"`
	First    time.Time `json:"first"`
	Last     time.Time `json:"last"`
	// Sensitive: its action is on the list of those that are always looked at.
	Sensitive bool `json:"sensitive,omitempty"`
	// Outside: it was done before the access was granted or after it was gone.
	Outside bool `json:"outside,omitempty"`
}

// Host is an address that calls came from.
type Host struct {
	Address string    `json:"address"`
	Calls   int       `json:"calls"`
	First   time.Time `json:"first"`
	Agent   string    `json:"agent,omitempty"` // what the first call from there said it was made with
}

// Reading is one look into CloudTrail after a session: best effort, dated, and never replaced by a later one.
type Reading struct {
	At        time.Time `json:"at"`
	From      time.Time `json:"from"`
	To        time.Time `json:"to"`
	Sources   []Source  `json:"sources"`
	Events    int       `json:"events"`
	Writes    int       `json:"writes"`
	Reads     int       `json:"reads"`
	Refused   int       `json:"refused"`
	Deeds     []Deed    `json:"deeds,omitempty"` // writes before reads; at most MostDeeds of them
	LeftOut   int       `json:"left_out,omitempty"`
	Addresses []string  `json:"addresses,omitempty"`
	Seen      []string  `json:"seen,omitempty"` // event ids, so that a later reading knows what came late; at most MostSeen

	// The access portal, where credentials are taken. Its events are in none of the numbers above.
	Portal        []Deed `json:"portal,omitempty"` // at most MostPortal of them
	PortalEvents  int    `json:"portal_events,omitempty"`
	PortalLeftOut int    `json:"portal_left_out,omitempty"` // events of the portal that no deed counts

	// Of Events, refused ones among them: those of sensitive actions, and those outside the session's time.
	Sensitive int `json:"sensitive,omitempty"`
	Outside   int `json:"outside,omitempty"`
	// OutsidePortal: how often credentials or the console were taken from the portal outside the session's time.
	OutsidePortal int `json:"outside_portal,omitempty"`

	Hosts     []Host   `json:"hosts,omitempty"`      // Addresses with what they did, the portal's events among it
	Tables    []string `json:"tables,omitempty"`     // tables and databases that changes went to, as "DynamoDB orders"; at most MostNames
	Changed   []string `json:"changed,omitempty"`    // what else they went to, as "ec2 i-0abc"; at most MostNames
	MoreNames int      `json:"more_names,omitempty"` // tables and other things that Tables and Changed have no room for
}

// Complete says whether every place answered.
func (r *Reading) Complete() bool {
	for _, s := range r.Sources {
		if s.Error != "" {
			return false
		}
	}
	return true
}

// The bounds of a reading, so that a session with a hundred thousand events neither fills a record nor floods a thread.
const (
	MostDeeds  = 60
	MostPortal = 20
	MostNames  = 40
	MostSeen   = 5000
)

// Mail is a message by e-mail: plain text, and where there is more to show the same as HTML.
type Mail struct {
	To      []string
	Subject string
	Text    string
	HTML    string    // "": text alone
	Inline  []Picture // what the HTML shows by cid:
}

// Picture is a drawing that travels with a message or a report.
type Picture struct {
	Name string // timeline.png: its file name, and its content id in a mail
	Type string // image/png
	Data []byte
}

// settle is that of a request, for a reading. What it shares with its caller is copied.
func (r *Reading) settle() {
	r.At, r.From, r.To = Moment(r.At), Moment(r.From), Moment(r.To)
	for _, deeds := range []*[]Deed{&r.Deeds, &r.Portal} {
		*deeds = slices.Clone(*deeds)
		for i := range *deeds {
			d := &(*deeds)[i]
			d.First, d.Last = Moment(d.First), Moment(d.Last)
		}
	}
	r.Hosts = slices.Clone(r.Hosts)
	for i := range r.Hosts {
		r.Hosts[i].First = Moment(r.Hosts[i].First)
	}
}
