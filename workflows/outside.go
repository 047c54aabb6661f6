package workflows

import (
	"context"

	"breakglass/store"
)

// What the workflows need of the outside. AWS's side is met by workflows/aws, Slack's by handlers; the stories of the tests meet
// neither, but run both against the twins.

// Directory is Identity Center's identity store. An error other than store.ErrNobody and store.ErrSeveral means that it did
// not answer, which is a no.
type Directory interface {
	// Find looks a person up by e-mail address and says which of the named groups they are in.
	Find(ctx context.Context, email string, groups []string) (store.Principal, error)
	// Look reads a person anew by user id, with the same groups.
	Look(ctx context.Context, userID string, groups []string) (store.Principal, error)
	// Members lists enabled members of a group, at most that many.
	Members(ctx context.Context, group string, most int) ([]store.Principal, error)
}

// Assigner makes and removes account assignments. Both changes are asynchronous and idempotent: what they return is followed to its end,
// and only Assigned tells what is.
type Assigner interface {
	// Assign asks for the assignment and returns AWS's id of the change.
	Assign(ctx context.Context, t store.Tuple) (change string, err error)
	// Unassign asks for its removal. store.ErrGone: there is nothing to remove.
	Unassign(ctx context.Context, t store.Tuple) (change string, err error)
	// Follow asks how a change stands. why is AWS's reason for a FAILED one; err is store.ErrGone for a removal that failed because there
	// was nothing to remove.
	Follow(ctx context.Context, change string, removal bool) (p store.Progress, why string, err error)
	// Assigned lists: whether the person has this assignment themselves (a group's does not count).
	Assigned(ctx context.Context, t store.Tuple) (bool, error)
}

// Trail reads what was done. Records come in no promised order, each once for each reading; sources say which regions answered.
type Trail interface {
	Read(ctx context.Context, q store.Query, each func(store.Record)) []store.Source
}

// Mailer sends e-mail.
type Mailer interface {
	Send(ctx context.Context, m store.Mail) error
}

// People knows who a Slack user is. Everybody it does not know for certain is refused with a *Refusal.
type People interface {
	// Match finds the one enabled Identity Center user of a Slack account, as both directories say at this moment.
	Match(ctx context.Context, slackID, teamID string, groups []string) (store.Principal, store.Person, error)
	// SlackOf finds the Slack account of an Identity Center user, "" where there is none.
	SlackOf(ctx context.Context, p store.Principal) (string, error)
}

// Speaker says things to people. It posts, or edits where ref says that the message stands already, and returns where it stands now.
type Speaker interface {
	Deliver(ctx context.Context, n store.Notice, r store.Request, ref store.Ref) (store.Ref, error)
}
