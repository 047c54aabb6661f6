package store

import (
	"context"
	"time"
)

// Grant is what is asked of AWS to let somebody in: the access, and what the kinds that end by themselves need to know of the end.
type Grant struct {
	Tuple
	Until   time.Time // no access from here on
	IAMUser string    // ARN of the requester's IAM user, for a grant of an IAM role
}

// Guard is what a guard must say: the customer managed policy of one permission set in one account, or the inline policy of one
// break-glass role. It is worked out from what the store knows each time it is written, never kept.
type Guard struct {
	Account string // twelve digits
	Set     string // the permission set's name; or
	Role    string // the IAM role's
	// Closed: whoever has no line that lets them in is refused. Only for permission sets.
	Closed bool
	Lines  []Line // sorted by Who
}

// Line is what a guard says of one person.
type Line struct {
	// Who is the person's user id (identitystore:userId); in the guard of a role, the request whose id their session's name is (aws:userid ends in it).
	Who string
	// Out: refuse everything, whatever the time. Such a person is not let in where the guard is closed.
	Out bool
	// Until: refuse everything from then on. Zero where Out.
	Until time.Time
	// Before: refuse credentials issued before then, which are those of an earlier session; zero where there was none.
	Before time.Time
}

// Fence is what the fence of one account must say: which roles the sessions of a permission set, or of a break-glass role, may go on to assume.
// Nobody else may assume any, and nobody may undo the guard, the fence, the member role or the trail.
type Fence struct {
	Account   string
	MayAssume map[string][]string // by permission set's or role's name; roles' names in the same account
}

// Schedule is a dead man's schedule: at At, EventBridge Scheduler takes the access away by itself.
type Schedule struct {
	Name  string    `json:"name"`
	At    time.Time `json:"at"` // a whole minute: Scheduler knows no seconds
	Tuple Tuple     `json:"tuple"`
	// Membership is AWS's id of the membership, for a grant of a group.
	Membership string `json:"membership,omitempty"`
}

// Shells is whose open SSM sessions are to end: they outlive the credentials they were opened with.
type Shells struct {
	Account  Account
	Set      string // the permission set's name; or
	Role     string // the IAM role's, with
	Request  ID     // the request, which is the role session's name
	UserName string // the role session's name of a permission set's session
	Since    time.Time
}

// Holder is whom AWS lists for a permission set in an account, or as a member of a group.
type Holder struct {
	UserID  string // or
	GroupID string
	Name    string // the group's name, or the user's where it was asked
	// Membership is AWS's id of it, for a member of a group.
	Membership string
}

type urgencyKey struct{}

// Urgency is how calls to AWS wait for each other where a quota makes them wait: what takes access away first, and of that what should have been
// done the longest ago; then what people wait for; what nobody waits for last.
type Urgency struct {
	Due  time.Time // when the access should have been gone; zero for what takes none away
	Idle bool      // nobody waits for it
}

// Overdue marks the calls made with a context as those of a removal that was due then.
func Overdue(ctx context.Context, due time.Time) context.Context {
	return context.WithValue(ctx, urgencyKey{}, Urgency{Due: due})
}

// Idly marks them as those nobody waits for.
func Idly(ctx context.Context) context.Context {
	return context.WithValue(ctx, urgencyKey{}, Urgency{Idle: true})
}

// UrgencyOf reads the mark.
func UrgencyOf(ctx context.Context) Urgency {
	u, _ := ctx.Value(urgencyKey{}).(Urgency)
	return u
}
