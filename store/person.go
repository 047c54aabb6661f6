package store

import "time"

// Person is a human being as a request remembers them: the Slack account that acted and the Identity Center user it
// was matched to. UserID is the identity; two Slack accounts with one UserID are one person.
type Person struct {
	SlackID  string `json:"slack,omitempty"` // U…; empty for somebody met only in the directory
	UserID   string `json:"user,omitempty"`  // Identity Center user id
	UserName string `json:"username,omitempty"`
	Email    string `json:"email,omitempty"`
	Name     string `json:"name,omitempty"`
	TimeZone string `json:"tz,omitempty"` // IANA name, as Slack has it; for mail and plain text
	As       string `json:"as,omitempty"` // of an approver: "manager", or the set of people they are in
}

// Label is how a person is named where no mention is possible.
func (p Person) Label() string {
	for _, s := range []string{p.Name, p.UserName, p.Email, p.SlackID, p.UserID} {
		if s != "" {
			return s
		}
	}
	return "somebody"
}

// Who says what kind of being caused a line of the log.
type Who string

// The causes of a line of the log.
const (
	APerson   Who = "person"   // somebody in Slack
	AnOfficer Who = "operator" // the operating system's user, on the command line
	TheBot    Who = "bot"      // the clockwork itself
)

// Actor is who caused a change.
type Actor struct {
	Who    Who    `json:"who"`
	Person Person `json:"person,omitzero"` // for APerson
	Name   string `json:"name,omitempty"`  // for AnOfficer: the operating system's user
}

// Bot is the actor of everything that time alone causes.
func Bot() Actor { return Actor{Who: TheBot} }

// Officer is the operating system's user who typed a command on the machine the bot runs on.
func Officer(name string) Actor { return Actor{Who: AnOfficer, Name: name} }

// Somebody is a person acting in Slack.
func Somebody(p Person) Actor { return Actor{Who: APerson, Person: p} }

// Label names the actor in a sentence.
func (a Actor) Label() string {
	switch a.Who {
	case APerson:
		return a.Person.Label()
	case AnOfficer:
		return "operator " + a.Name
	}
	return "Breakglass"
}

// By is who changes something, when, and by which delivery of Slack's. Every changing call takes one. Delivery may be empty
// (nothing was delivered: time passed, or a command was typed); where it is not, the store refuses the same delivery twice.
type By struct {
	Actor    Actor
	At       time.Time
	Delivery string
}
