package workflows

import (
	"context"
	"io"
	"time"

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

// Assigner gives and takes: account assignments, memberships of groups, trust in IAM roles. Every change is idempotent, and may be asynchronous: what
// it returns is followed to its end, and only Assigned tells what is. Contexts carry store.Overdue where access is taken away.
type Assigner interface {
	// Assign asks for the access and returns AWS's id of the change. For a group that is the id of the membership, which its schedules need.
	Assign(ctx context.Context, g store.Grant) (change string, err error)
	// Unassign asks for its removal. store.ErrGone: there is nothing to remove.
	Unassign(ctx context.Context, t store.Tuple) (change string, err error)
	// Follow asks how a change stands. why is AWS's reason for a FAILED one; err is store.ErrGone for a removal that failed because there
	// was nothing to remove.
	Follow(ctx context.Context, t store.Tuple, change string, removal bool) (p store.Progress, why string, err error)
	// Assigned lists: whether the person has this access themselves (a group's does not count).
	Assigned(ctx context.Context, t store.Tuple) (bool, error)
}

// Guards keeps the guard policies and fences, in which IAM itself refuses a session after its end.
type Guards interface {
	// Ready fetches ahead whatever Write and Fence will need for a permission set in this account ("" for a role), so that each is one call. What goes
	// wrong shows there.
	Ready(ctx context.Context, account, set string)
	// Fits says, without a call, whether there is room for a guard; a *store.Refusal says why not, for people.
	Fits(g store.Guard) error
	// Lasts is how long credentials of a permission set's session, or with "" of a role's, can be valid; the longest there is where that is not known. It
	// makes no call.
	Lasts(set string) time.Duration
	// Lines reads what a guard says now, as far as it is in our form: a store that was restored does not know all of it.
	Lines(ctx context.Context, account, set, role string) ([]store.Line, error)
	// Write brings a guard to exactly what g says, and returns when IAM has taken it. *store.Refusal where trying again will not help: it is
	// full, or the account lacks the policy.
	Write(ctx context.Context, g store.Guard) error
	// Inspect says how a guard differs from what it must say, "" where it does not.
	Inspect(ctx context.Context, g store.Guard) (differs string, err error)
	// Fence makes sure of the fence of an account, and says how it differed, "" where it did not. Before it writes, it tells about how, and does not where that
	// is an error. It is cheap to ask again.
	Fence(ctx context.Context, f store.Fence, about func(differed string) error) (differed string, err error)
}

// DeadMan keeps the schedules that take access away when the bot is gone.
type DeadMan interface {
	// Make makes a schedule; one of the same name that says the same is success.
	Make(ctx context.Context, s store.Schedule) error
	// Remove takes one away; one that is gone is success.
	Remove(ctx context.Context, name string) error
	// List reads the names of all that exist, ours and whatever else stands in the group.
	List(ctx context.Context) (names []string, err error)
}

// Shells ends what outlives the credentials it was opened with: SSM sessions. It returns how many it ended, and an error where it could not look, or end one.
type Shells interface {
	End(ctx context.Context, s store.Shells) (ended int, err error)
}

// Inventory lists what stands in AWS, for the reconciliation.
type Inventory interface {
	// Where lists the accounts a permission set is provisioned in.
	Where(ctx context.Context, set string) (accounts []string, err error)
	// Holders lists who is assigned a permission set in an account.
	Holders(ctx context.Context, account, set string) ([]store.Holder, error)
	// Members lists the members of a group by its name.
	Members(ctx context.Context, group string) ([]store.Holder, error)
	// Remove takes an assignment or a membership of a holder away that no request explains. It does not wait for its end.
	Remove(ctx context.Context, account, set, group string, h store.Holder) error
}

// Trail reads what was done.
type Trail interface {
	// Collect hands over each event once, with the source it comes from, in no promised order, and now and then a mark that covers what was handed over; with
	// those of an attempt that was cut off it goes on from there. An error of either function ends it. What it returns says which places answered.
	Collect(ctx context.Context, q store.Query, p store.Resume, each func(source string, r store.Record) error, mark func(store.Mark) error) []store.Source
}

// ShellLogs reads what was typed and shown in SSM sessions, where the account keeps it.
type ShellLogs interface {
	Logs(ctx context.Context, q store.Query, each func(id string, started time.Time, body io.Reader) error) []store.Source
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
