package store

import (
	"slices"
	"time"
)

// PostMortem is what the requester wrote of a session after its end.
type PostMortem struct {
	By        Person    `json:"by"`
	At        time.Time `json:"at"`
	Happened  string    `json:"happened"`
	Done      string    `json:"done"`
	FollowUps string    `json:"follow_ups,omitempty"`
}

// What can be owed, and waived.
const (
	OwedPostMortem = "post-mortem"
	OwedTicket     = "ticket"
)

// Waiver is the word of the requester's manager that a case is closed without something it owes.
type Waiver struct {
	What   string    `json:"what"` // OwedPostMortem or OwedTicket
	By     Person    `json:"by"`
	At     time.Time `json:"at"`
	Reason string    `json:"reason"`
}

// Waives says whether somebody closed the case without that.
func (r *Request) Waives(what string) bool {
	return slices.ContainsFunc(r.Waived, func(w Waiver) bool { return w.What == what })
}
