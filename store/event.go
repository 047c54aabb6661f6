package store

import "time"

// Event is one line of the log: append only, in the order things were committed.
type Event struct {
	Seq     uint64            `json:"seq"`
	At      time.Time         `json:"at"`
	Actor   Actor             `json:"actor"`
	Request ID                `json:"request,omitempty"`
	Kind    string            `json:"kind"`
	From    State             `json:"from,omitempty"`
	To      State             `json:"to,omitempty"`
	Data    map[string]string `json:"data,omitempty"`
}

// Kinds of events. "moved" is written by the store itself with each transition; the others are said by the workflows.
const (
	EventSubmitted = "submitted" // Data: what was asked for, as in the request
	EventDecided   = "decided"   // somebody's word; Data "by": user id, "approved", "comment"
	EventMoved     = "moved"
	EventRefused   = "refused"  // a click that was not counted, and why
	EventIntent    = "intent"   // an effect on the outside is about to be tried; Data "effect". Of "archive" also "folder", "manifest", "files": as below
	EventOutcome   = "outcome"  // what came of it
	EventReminded  = "reminded" // people were asked again
	EventTicket    = "ticket"
	EventFault     = "fault"    // something did not work and will be tried again
	EventRepeated  = "repeated" // a message may stand twice, because the answer to its first posting was lost
	EventStarted   = "started"
	EventStopped   = "stopped"
	EventPolicy    = "policy"
	EventPerson    = "person" // whom a Slack account was matched to, or that it no longer matches
	EventChannel   = "channel"
	EventLockdown  = "lockdown"
	EventExtension = "extension" // asked for, decided, counted or not
	EventFound     = "found"     // what a reconciliation found, and did about it
	EventProof     = "proof"     // what check --prove saw
	EventOwed      = "owed"      // a post-mortem or a ticket: asked for, escalated, written, waived
	EventArchived  = "archived"  // a part of the archive is complete; Data "folder", "manifest": SHA-256 of its manifest, "files": how many
	EventArchive   = "archive"   // evidence goes to another place from here on; Data "archive", "was"
	EventKey       = "key"       // the key that signs checkpoints was made or changed; Data "key": as verifiers write it
	EventWitnessed = "witnessed" // a checkpoint stands where nobody can change it; Data "size", "root", "where"
	EventReview    = "review"    // a month's review was drawn up; Data "month"
	EventReviewed  = "reviewed"  // somebody looked through it; Data "month"
)

// Notice is something people are to be told: an entry of the outbox, written with the change it tells of. It holds facts, not words:
// the words are made when it is delivered, from the request as it then is.
type Notice struct {
	Seq     uint64 `json:"seq"`
	Request ID     `json:"request,omitempty"`
	Kind    string `json:"kind"`
	// Lane keeps order: notices of one lane are delivered one after the other, lanes do not wait for each other.
	Lane string `json:"lane"`
	// Message names a message that is posted once and edited from then on ("card", "ask U123", "pass"). Empty: a line of its own.
	Message string            `json:"message,omitempty"`
	To      string            `json:"to,omitempty"` // Slack user id, for direct messages; e-mail addresses for mail
	Data    map[string]string `json:"data,omitempty"`
	At      time.Time         `json:"at"`

	Attempts int       `json:"attempts,omitempty"` // begun so far; more than one means the message may stand twice
	NotUntil time.Time `json:"not_until,omitzero"`
	Error    string    `json:"error,omitempty"`
}

// Ref is where a message stands in Slack.
type Ref struct {
	Channel string `json:"channel"`
	TS      string `json:"ts"`
	// Said is what it says by now, in plain words: for the archive, which keeps it apart.
	Said string `json:"said,omitempty"`
}

// Click is something a person did in Slack that was recorded and acknowledged, and is then acted on: acknowledging waits for the
// disk, never for a directory.
type Click struct {
	Seq     uint64 `json:"seq"`
	Key     string `json:"key"` // the delivery
	Kind    string `json:"kind"`
	Request ID     `json:"request"`
	SlackID string `json:"slack"`
	TeamID  string `json:"team,omitempty"`
	Channel string `json:"channel,omitempty"` // where the button stood
	TS      string `json:"ts,omitempty"`
	Text    string `json:"text,omitempty"` // a reason, a ticket
	Reason  string `json:"reason,omitempty"`
	Number  int    `json:"number,omitempty"` // of the request's extension
	// Form is what was written into a form of several fields, by the names that the kinds below give.
	Form  map[string]string `json:"form,omitempty"`
	At    time.Time         `json:"at"`
	Tries int               `json:"tries,omitempty"`
}

// Kinds of clicks.
const (
	ClickApprove = "approve"
	ClickDeny    = "deny"
	ClickCancel  = "cancel"
	ClickEnd     = "end"
	ClickTicket  = "ticket"
	ClickRevoke  = "revoke"         // Text: why
	ClickExtend  = "extend"         // Text: how much longer, as Go writes durations; Reason: why
	ClickLonger  = "extend_approve" // the word for an extension; Number: which
	ClickNoMore  = "extend_deny"    // and against it; Text: why
	ClickLock    = "lockdown"       // ends every session and refuses new ones; of no request; Text: why
	ClickUnlock  = "lockdown_lift"
	ClickMortem  = "post_mortem" // Form: happened, done, follow_ups
	ClickWaive   = "waive"       // the manager closes the case without something owed; Text: why; Reason: what (OwedPostMortem, OwedTicket)
	ClickReview  = "reviewed"    // somebody looked through a month; of no request; Text: the month, as 2026-10
)
