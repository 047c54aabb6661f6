package workflows

import (
	"errors"

	"breakglass/store"
)

// ErrNotYet is what People says before Slack was reached for the first time: nobody can be known yet. It is not a no: what was
// acknowledged before a restart waits for it.
var ErrNotYet = errors.New("no answer from Slack yet")

// Refusal is a no to a person, with its reason as a full sentence: what was refused, and what they can do.
// Code is one of the constants below or a policy code; handlers adds nothing to Why.
type Refusal struct {
	Code string
	Why  string
}

func (r *Refusal) Error() string { return r.Why }

// Codes of refusals that are not the policy's.
const (
	RefusedStranger  = "stranger"   // guest, bot, deactivated, other workspace, no confirmed e-mail
	RefusedUnmatched = "unmatched"  // nobody, or several people, in Identity Center
	RefusedChanged   = "changed"    // matches another AWS user than before
	RefusedNoAnswer  = "no_answer"  // a directory did not answer
	RefusedNotYours  = "not_yours"  // only the requester may
	RefusedState     = "state"      // it is already decided, over, ...
	RefusedTwice     = "twice"      // the same person has already said so
	RefusedOpen      = "open"       // the same request is open already
	RefusedUnbuilt   = "unbuilt"    // the scenario asks for what is not offered yet
	RefusedStore     = "store"      // the store cannot be written
	RefusedLocked    = "lockdown"   // a lockdown is in force
	RefusedUnknown   = "no_request" // there is no such request
)

// FormFault is what is wrong with one field of the form. Field is one of the form's fields: scenario, account, region, duration,
// reason, ticket, or "ask:" and the name of a further one.
type FormFault struct {
	Field string
	Why   string
}

// FormFaults are all that is wrong with a submission.
type FormFaults []FormFault

func (f FormFaults) Error() string {
	s := ""
	for i, x := range f {
		if i > 0 {
			s += "; "
		}
		s += x.Field + ": " + x.Why
	}
	return s
}

// Ask is what somebody filled in.
type Ask struct {
	Who      store.Principal // as matched just now
	Person   store.Person
	Scenario string
	Account  string // its name in the policy
	Region   string
	Duration string // Go's, as typed: 90m, 2h
	Reason   string
	Ticket   string
	Answers  map[string]string // by the ask's name
	Context  string            // link to the alert it was asked from
}

// brief is an error as a record and a message keep it: one line, bounded.
func brief(err error) string {
	s := []rune(err.Error())
	if len(s) > 300 {
		s = append(s[:299], '…')
	}
	for i, r := range s {
		if r < ' ' {
			s[i] = ' '
		}
	}
	return string(s)
}
