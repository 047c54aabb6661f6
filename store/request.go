package store

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ID names a request: short and sayable, as BG-1042.
type ID string

const idPrefix = "BG-"

// firstNumber leaves the first request with four digits, so that all of them look alike for years.
const firstNumber = 1001

func idOf(n uint64) ID { return ID(idPrefix + strconv.FormatUint(n, 10)) }

// number is the key of a request. ok is false for anything that is no id.
func (id ID) number() (n uint64, ok bool) {
	rest, ok := strings.CutPrefix(string(id), idPrefix)
	if !ok || rest == "" || rest[0] == '0' || rest[0] == '+' {
		return 0, false
	}
	n, err := strconv.ParseUint(rest, 10, 63)
	return n, err == nil
}

// ParseID reads what a person typed: BG-1042, bg-1042 or 1042.
func ParseID(s string) (ID, error) {
	t := strings.ToUpper(strings.TrimSpace(s))
	if !strings.HasPrefix(t, idPrefix) {
		t = idPrefix + t
	}
	if _, ok := ID(t).number(); !ok {
		return "", fmt.Errorf("%q is not a request: they look like BG-1042", s)
	}
	return ID(t), nil
}

// Request is the whole case: one person, one account, one grant. Everything that is shown, done and reported is derived from it.
type Request struct {
	ID      ID     `json:"id"`
	State   State  `json:"state"`
	Version uint64 `json:"version"` // counts its changes

	Requester     Person        `json:"requester"`
	Scenario      string        `json:"scenario"` // its name in the policy
	Title         string        `json:"title"`
	Tier          int           `json:"tier"`
	Account       Account       `json:"account"`
	Region        string        `json:"region,omitempty"`
	PermissionSet string        `json:"permission_set"` // its name
	Duration      time.Duration `json:"duration"`
	Reason        string        `json:"reason"`
	Ticket        string        `json:"ticket,omitempty"`
	Answers       []Answer      `json:"answers,omitempty"` // what the scenario asked besides
	Context       string        `json:"context,omitempty"` // link to the alert it was asked from
	Policy        string        `json:"policy"`            // hash of the policy it was asked under

	Asked     []Person   `json:"asked,omitempty"`     // approvers who got a direct message, the manager first
	Decisions []Decision `json:"decisions,omitempty"` // in the order they came
	NoWord    bool       `json:"no_word,omitempty"`   // the scenario takes nobody's word
	Second    bool       `json:"second,omitempty"`    // it would take nobody's, but it is the second within a day: see policy.Scenario.Second

	SubmittedAt time.Time `json:"submitted_at"`
	DecidedAt   time.Time `json:"decided_at,omitzero"`
	GrantedAt   time.Time `json:"granted_at,omitzero"` // the intent to grant: access may exist from here on
	VerifiedAt  time.Time `json:"verified_at,omitzero"`
	ExpiresAt   time.Time `json:"expires_at,omitzero"` // set with the intent; never moved later by anything but an extension
	EndedAt     time.Time `json:"ended_at,omitzero"`   // its absence was verified
	ClosedAt    time.Time `json:"closed_at,omitzero"`

	End      End              `json:"end,omitzero"`
	Standing bool             `json:"standing,omitempty"` // the person had this access before; it is never touched
	Work     Work             `json:"work,omitzero"`
	Clocks   map[Clock]int64  `json:"clocks,omitempty"` // unix nanoseconds; see Set and Stop
	Due      int64            `json:"due,omitempty"`    // the earliest of them: the key in the due bucket
	TicketBy time.Time        `json:"ticket_by,omitzero"`
	Readings []Reading        `json:"readings,omitempty"`
	Guide    string           `json:"guide,omitempty"`
	Notify   []string         `json:"notify,omitempty"` // policy names of people told at the beginning and at the end
	Counts   map[string]int64 `json:"counts,omitempty"` // how often it was reminded, and the like
}

// Account is one AWS account as the policy names it.
type Account struct {
	Name      string   `json:"name"`
	ID        string   `json:"id"` // twelve digits
	Regions   []string `json:"regions,omitempty"`
	Sensitive bool     `json:"sensitive,omitempty"`
}

// Answer is one of the further fields a scenario asks for.
type Answer struct {
	Name  string `json:"name"`
	Label string `json:"label"`
	Value string `json:"value"`
}

// Answer returns what was answered to the field of that name, or "".
func (r *Request) Answer(name string) string {
	for _, a := range r.Answers {
		if a.Name == name {
			return a.Value
		}
	}
	return ""
}

// Decision is one person's word on a request.
type Decision struct {
	By       Person    `json:"by"`
	Approved bool      `json:"approved"`
	At       time.Time `json:"at"`
	Comment  string    `json:"comment,omitempty"` // why not, for a denial
}

// Why a session ended.
const (
	EndExpired   = "expired"   // its time was over
	EndedEarly   = "ended"     // its requester ended it
	EndRevoked   = "revoked"   // somebody else ended it
	EndUncertain = "uncertain" // the grant could not be proved, so it was taken away
	EndVanished  = "vanished"  // somebody removed the assignment behind our back
	EndForced    = "forced"    // an operator vouched that nothing is left
)

// End is why and by whom a session came to its end.
type End struct {
	Why  string    `json:"why,omitempty"`
	By   Actor     `json:"by,omitzero"`
	At   time.Time `json:"at,omitzero"`
	Note string    `json:"note,omitempty"`
}

// Work is the bookkeeping of an effect that is under way.
type Work struct {
	Change    string    `json:"change,omitempty"`   // AWS's id of the change we follow
	Must      bool      `json:"must,omitempty"`     // while granting: what a listing shows is about to go; ask for it all the same
	Creating  string    `json:"creating,omitempty"` // while revoking: the creation that may still be under way
	Doubt     time.Time `json:"doubt,omitzero"`     // while revoking: until then a creation nobody knows of may still come true
	Attempts  int       `json:"attempts,omitempty"`
	Since     time.Time `json:"since,omitzero"` // first attempt of this step
	Error     string    `json:"error,omitempty"`
	Announced time.Time `json:"announced,omitzero"` // when people last heard that it still fails
}

// Tuple is what one person may have in one account by one permission set. Access is kept and compared by it.
type Tuple struct {
	UserID  string `json:"user"`
	Account string `json:"account"` // twelve digits
	Set     string `json:"set"`     // the permission set's name
}

func (t Tuple) key() []byte { return []byte(t.UserID + "\x00" + t.Account + "\x00" + t.Set) }

// Tuple is the access a request is about.
func (r *Request) Tuple() Tuple {
	return Tuple{UserID: r.Requester.UserID, Account: r.Account.ID, Set: r.PermissionSet}
}

// Access is the desired state of one tuple, which requests add to and take from. It exists from the first intent to grant on; nobody has
// anything through us while Live and Removing are empty.
type Access struct {
	Tuple Tuple `json:"tuple"`
	// Standing is what the listing before the first grant found. It is committed with the intent to create and not asked
	// again: what is found after a crash is ours, unless this says otherwise.
	Standing bool `json:"standing"`
	// Live are the requests that want this access now.
	Live []ID `json:"live,omitempty"`
	// Removing is the request whose end takes the assignment away at this moment. A grant waits until it is done.
	Removing ID `json:"removing,omitempty"`
	// Ended is when the last of them was over. Listings of AWS lag: one that was made soon after may show what is gone.
	Ended time.Time `json:"ended,omitzero"`
	// Forced: that nothing is left was vouched for, not verified. What the next listing finds is ours.
	Forced bool `json:"forced,omitempty"`
}

// Holds says whether id is among the live requests.
func (a *Access) Holds(id ID) bool {
	for _, l := range a.Live {
		if l == id {
			return true
		}
	}
	return false
}

func (a *Access) add(id ID) {
	if !a.Holds(id) {
		a.Live = append(a.Live, id)
	}
}

func (a *Access) remove(id ID) {
	kept := a.Live[:0]
	for _, l := range a.Live {
		if l != id {
			kept = append(kept, l)
		}
	}
	a.Live = kept
}

// settle brings every time of a request into the form the store keeps (see Moment), so that what a change returns is what is read later.
func (r *Request) settle() {
	for _, t := range []*time.Time{
		&r.SubmittedAt, &r.DecidedAt, &r.GrantedAt, &r.VerifiedAt, &r.ExpiresAt, &r.EndedAt, &r.ClosedAt,
		&r.End.At, &r.Work.Since, &r.Work.Announced, &r.Work.Doubt, &r.TicketBy,
	} {
		*t = Moment(*t)
	}
	for i := range r.Decisions {
		r.Decisions[i].At = Moment(r.Decisions[i].At)
	}
	for i := range r.Readings {
		g := &r.Readings[i]
		g.At, g.From, g.To = Moment(g.At), Moment(g.From), Moment(g.To)
		g.Deeds = slices.Clone(g.Deeds) // its caller may hold the same ones
		for j := range g.Deeds {
			g.Deeds[j].First, g.Deeds[j].Last = Moment(g.Deeds[j].First), Moment(g.Deeds[j].Last)
		}
	}
}

// clone is a copy that shares nothing a change could alter.
func (r Request) clone() Request {
	r.Account.Regions = slices.Clone(r.Account.Regions)
	r.Clocks = maps.Clone(r.Clocks)
	r.Counts = maps.Clone(r.Counts)
	r.Answers = slices.Clone(r.Answers)
	r.Asked = slices.Clone(r.Asked)
	r.Decisions = slices.Clone(r.Decisions)
	r.Readings = slices.Clone(r.Readings)
	r.Notify = slices.Clone(r.Notify)
	return r
}
