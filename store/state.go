package store

import "fmt"

// State is where a request stands. One list, one record; a grant has no second status of its own.
//
//	pending -> approved -> granting -> active -> revoking -> revoked -> reported -> closed
//	   |-> denied   |          |                    ^
//	   |-> cancelled|          |--------------------|  uncertain: always take away
//	   |-> expired  |-> failed <-|  AWS refused, nothing was created
//
// A transition names the state it starts from. The same state is an error, so a second click is refused and not counted;
// bookkeeping within a state is Touch, which cannot move it.
type State string

const (
	// Pending waits for people. In: Submit. Out: the last approval (approved), one denial (denied), the requester
	// (cancelled), time (expired). Moved by clicks and, for expiry and reminders, by the sweep. A crash leaves the record
	// with its clocks, and clicks that were acknowledged in the inbox: both are taken up again at start.
	Pending State = "pending"

	// Approved has its word and no access. In: the last approval, or at once where the scenario takes none. Out: granting, as
	// soon as the engine has asked the directory once more and listed what the person has; failed, where that says no.
	// Moved by the engine alone. A crash leaves nothing outside.
	Approved State = "approved"

	// Granting may have access from this moment: the intent, the expiry and the clock of the revocation were committed together.
	// Out: active, after a listing shows the assignment; failed, where AWS refused and a listing shows nothing;
	// revoking, when it stays uncertain or its time is over. Moved by the engine. A crash may leave an assignment that nobody
	// recorded: the next step lists, and what it finds is ours.
	Granting State = "granting"

	// Active is a session: access was verified. Out: revoking, by expiry, by the requester, by others. Moved by the sweep or a click.
	// A crash leaves access and the clock that ends it.
	Active State = "active"

	// Revoking takes access away and never gives up; it escalates. In: from active or granting. Out: revoked, when a listing
	// shows nothing, or an operator vouches for it (force-close). Moved by the engine. A crash leaves perhaps a deletion under way:
	// it is asked for again, and both forms of "already gone" are success.
	Revoking State = "revoking"

	// Revoked has no access, proved by a listing. Out: reported, after CloudTrail was given time and read. Moved by the sweep.
	Revoked State = "revoked"

	// Reported has its summary. Out: closed, after the last reading. Moved by the sweep. A crash between reading and record
	// repeats the reading.
	Reported State = "reported"

	// Closed is the end of a session. Nothing moves it.
	Closed State = "closed"

	// Denied is the end by one Deny. Nothing was created.
	Denied State = "denied"
	// Cancelled is the end by the requester before a decision. Nothing was created.
	Cancelled State = "cancelled"
	// Expired is the end by nobody deciding in time. Nothing was created.
	Expired State = "expired"
	// Failed is the end of a grant that AWS or the last check refused. That nothing was created was verified.
	Failed State = "failed"
)

// transitions is the whole law: what is not in it cannot happen.
var transitions = map[State][]State{
	Pending:  {Approved, Denied, Cancelled, Expired},
	Approved: {Granting, Failed, Cancelled},
	Granting: {Active, Failed, Revoking},
	Active:   {Revoking},
	Revoking: {Revoked},
	Revoked:  {Reported},
	Reported: {Closed},
}

// States are all of them, in the order of a life.
func States() []State {
	return []State{Pending, Approved, Granting, Active, Revoking, Revoked, Reported, Closed, Denied, Cancelled, Expired, Failed}
}

// Ended says whether nothing will ever happen to a request in this state. A state that is not in the list has not ended: what is not
// understood is looked at, not forgotten.
func (s State) Ended() bool {
	switch s {
	case Closed, Denied, Cancelled, Expired, Failed:
		return true
	}
	return false
}

// MayHaveAccess says whether a request in this state can have access in AWS, known or not.
func (s State) MayHaveAccess() bool { return s == Granting || s == Active || s == Revoking }

func (s State) leadsTo(to State) bool {
	for _, t := range transitions[s] {
		if t == to {
			return true
		}
	}
	return false
}

// TransitionError is a change that does not start where the record stands. It is what the second of two clicks gets.
type TransitionError struct {
	ID       ID
	Is       State // where the record stands
	From, To State // what was asked for
}

func (e *TransitionError) Error() string {
	return fmt.Sprintf("%s is %s: it cannot go from %s to %s", e.ID, e.Is, e.From, e.To)
}
