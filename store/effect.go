package store

import (
	"cmp"
	"errors"
	"fmt"
)

// Principal is a user of Identity Center as the directory has just described them. Groups has an entry for each group that was asked
// about; nil means that the directory did not answer for them.
type Principal struct {
	UserID      string
	UserName    string
	Email       string
	DisplayName string
	Enabled     bool
	ManagerID   string // "" where the directory knows none
	Groups      map[string]bool
}

// Person is the principal as a request remembers them.
func (p Principal) Person(slackID string) Person {
	return Person{SlackID: slackID, UserID: p.UserID, UserName: p.UserName, Email: p.Email, Name: p.DisplayName}
}

// Progress is where an asynchronous change of an assignment stands.
type Progress string

// Identity Center's statuses of a change, and what it means when it no longer knows one.
const (
	Underway  Progress = "IN_PROGRESS"
	Succeeded Progress = "SUCCEEDED"
	Refused   Progress = "FAILED"
	Forgotten Progress = "" // AWS no longer knows the change; only a listing can tell
)

// What the outside can answer. Everything else is a fault that may pass, and is tried again.
var (
	// ErrNobody: the directory answered, and there is no such person.
	ErrNobody = errors.New("no such person in Identity Center")
	// ErrSeveral: the directory answered, and more than one person has that e-mail address.
	ErrSeveral = errors.New("several people in Identity Center have that e-mail address")
	// ErrGone: what was to be deleted does not exist. For a revocation this is success.
	ErrGone = errors.New("no such assignment")
)

// Refusal is an answer that trying again will not change: a permission the bot lacks, a permission set or account that does not
// exist, a quota that is full.
type Refusal struct {
	Code    string // AWS's error code, or the failure reason of a change
	Message string
	By      string // who refused, for people; empty: AWS
}

func (r *Refusal) Error() string {
	return fmt.Sprintf("%s refused: %s: %s", cmp.Or(r.By, "AWS"), r.Code, r.Message)
}
