package store

import "time"

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
	MostDeeds = 60
	MostSeen  = 5000
)

// Mail is a message by e-mail, in plain text.
type Mail struct {
	To      []string
	Subject string
	Text    string
}
