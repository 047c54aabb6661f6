package handlers

import (
	"time"

	"github.com/slack-go/slack"

	"breakglass/workflows/policy"
)

// setting is what a message needs besides its request: what the policy says now of its scenario, and what Slack calls the people.
type setting struct {
	sets      []approvers   // whose word the scenario takes, in the order of the policy
	need      int           // how many people's word
	each      bool          // one out of each set, rather than any of all
	missing   string        // in words, whose word is still missing, where somebody worked it out
	portal    string        // start URL of the access portal
	ssoRegion string        // Region of Identity Center
	instance  string        // ARN of Identity Center's instance, where the policy has it
	mayAssume []string      // roles that a session may go on to assume
	guard     string        // what the policy says of the permission set's guard: policy.GuardClosed and so on
	with      []string      // titles of the scenarios granted along with it
	room      time.Duration // how much longer the session may be made; 0: not at all
	ends      *policy.Ends  // which ends the operator has switched on; nil where that is not known
	requests  string        // id of the requests channel
	incidents string        // id of the incidents channel
	thread    string        // address of the request's thread; "" where it is not known
}

// approvers are one set of people, with its user group in Slack where it has one.
type approvers struct {
	name   string // as the policy has it, or policy.Manager
	handle string // "@platform-leads"; shown where the group is not known to Slack
	group  string // Slack's id of the user group; ""
}

// set names one set of approvers. A mention of their group notifies them; without one they are named as the policy does, and only
// the direct messages reach them.
func (w words) set(a approvers) words {
	switch {
	case a.name == policy.Manager:
		return w.say("their manager")
	case isGroup(a.group):
		return append(w, slack.NewRichTextSectionUserGroupElement(a.group))
	case a.handle != "":
		return w.bold(oneLine(a.handle, limitName))
	}
	return w.bold(oneLine(a.name, limitName))
}

// sets lists them in a sentence.
func (w words) sets(as []approvers, last string) words {
	for i, a := range as {
		switch {
		case i == 0:
		case i == len(as)-1:
			w = w.say(" " + last + " ")
		default:
			w = w.say(", ")
		}
		w = w.set(a)
	}
	return w
}
