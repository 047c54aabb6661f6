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

// After says whether a request was asked for after another. What is no id is before all.
func (id ID) After(other ID) bool {
	n, _ := id.number()
	m, _ := other.number()
	return n > m
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

	Requester Person  `json:"requester"`
	Scenario  string  `json:"scenario"` // its name in the policy
	Title     string  `json:"title"`
	Tier      int     `json:"tier"`
	Account   Account `json:"account"`
	Region    string  `json:"region,omitempty"`
	// What is granted, by its name: one of the three.
	PermissionSet string        `json:"permission_set"`
	Group         string        `json:"group,omitempty"`    // a timed membership of an Identity Center group; in no account
	Role          string        `json:"role,omitempty"`     // an IAM role whose trust is opened for IAMUser
	IAMUser       string        `json:"iam_user,omitempty"` // ARN
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

	Lead       ID          `json:"lead,omitempty"`       // granted along with this request, on the same word; it ends with it
	With       []ID        `json:"with,omitempty"`       // requests granted along with this one, once it has its word
	Guard      string      `json:"guard,omitempty"`      // closed, timed or none: what the policy said of its guard when it was granted
	Ends       Ends        `json:"ends,omitzero"`        // which of the three ends stand for it
	Extensions []Extension `json:"extensions,omitempty"` // in the order they were asked for

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

	// What its requester owes when it has ended, and what became of it.
	Owes         bool        `json:"owes,omitempty"` // a post-mortem, as the policy said when it was granted
	PostMortemBy time.Time   `json:"post_mortem_by,omitzero"`
	PostMortem   *PostMortem `json:"post_mortem,omitempty"`
	Waived       []Waiver    `json:"waived,omitempty"` // what the case was closed without
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
	EndLockdown  = "lockdown"  // every session was ended
	EndLead      = "lead"      // the session it was granted along with has ended
)

// End is why and by whom a session came to its end.
type End struct {
	Why  string    `json:"why,omitempty"`
	By   Actor     `json:"by,omitzero"`
	At   time.Time `json:"at,omitzero"`
	Note string    `json:"note,omitempty"`
}

// Ends says which of the three ends stand for a session, besides the bot itself.
type Ends struct {
	Guard     bool   `json:"guard,omitempty"`     // IAM itself refuses it from its expiry on
	Schedules bool   `json:"schedules,omitempty"` // EventBridge Scheduler takes it away if the bot does not
	Unguarded bool   `json:"unguarded,omitempty"` // the guard should stand and does not yet
	Full      bool   `json:"full,omitempty"`      // there was no room for a line in its guard
	Anew      bool   `json:"anew,omitempty"`      // credentials of an earlier session are refused: the person must sign in anew
	NoLook    string `json:"no_look,omitempty"`   // why open shells could not be looked for everywhere, for people
	Why       string `json:"why,omitempty"`       // why one of them does not, for people
	Shells    int    `json:"shells,omitempty"`    // SSM sessions that were ended with it
}

// Extension is the wish for a longer session, and what became of it.
type Extension struct {
	By        time.Duration  `json:"by"` // how much longer
	Reason    string         `json:"reason,omitempty"`
	State     ExtensionState `json:"state"`
	AskedAt   time.Time      `json:"asked_at"`
	Until     time.Time      `json:"until"` // the end it brings
	Decisions []Decision     `json:"decisions,omitempty"`
	NoWord    bool           `json:"no_word,omitempty"` // it takes nobody's word
	DoneAt    time.Time      `json:"done_at,omitzero"`
	Note      string         `json:"note,omitempty"` // why not, for people
}

// ExtensionState is where an extension stands.
type ExtensionState string

// The states of an extension. A session has at most one that is asked or approved.
const (
	ExtensionAsked    ExtensionState = "asked"    // waits for people
	ExtensionApproved ExtensionState = "approved" // has its word; its later ends are being made, and until they stand it does not count
	ExtensionGranted  ExtensionState = "granted"  // the session ends at its Until
	ExtensionDenied   ExtensionState = "denied"
	ExtensionLapsed   ExtensionState = "lapsed" // the session ended first, or its ends could not be made in time
)

// Extending is the extension that is asked for or being made, with its place among them; nil where there is none.
func (r *Request) Extending() (n int, x *Extension) {
	for n := range r.Extensions {
		if x := &r.Extensions[n]; x.State == ExtensionAsked || x.State == ExtensionApproved {
			return n, x
		}
	}
	return 0, nil
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
	Refused   bool      `json:"refused,omitempty"`  // while revoking: the guard refuses the person outright, which an early end does first
	Absent    time.Time `json:"absent,omitzero"`    // while revoking: when a listing showed nothing; what is left are open shells and schedules
	Shells    int       `json:"shells,omitempty"`   // while revoking: open shells that were ended
}

// Tuple is what one person may have: a permission set in an account, the membership of a group, or an IAM role in an account. Access is kept and
// compared by it.
type Tuple struct {
	UserID  string `json:"user"`
	Account string `json:"account"` // twelve digits; "" for a group
	Set     string `json:"set"`     // the permission set's name
	Group   string `json:"group,omitempty"`
	Role    string `json:"role,omitempty"`
	// Request is set for a role only: each request has a trust statement of its own there.
	Request ID `json:"request,omitempty"`
}

func (t Tuple) key() []byte {
	key := t.UserID + "\x00" + t.Account + "\x00" + t.Set
	switch {
	case t.Group != "":
		key += "\x00group\x00" + t.Group
	case t.Role != "":
		key += "\x00role\x00" + t.Role + "\x00" + string(t.Request)
	}
	return []byte(key)
}

// Tuple is the access a request is about.
func (r *Request) Tuple() Tuple {
	t := Tuple{UserID: r.Requester.UserID, Account: r.Account.ID, Set: r.PermissionSet, Group: r.Group, Role: r.Role}
	if r.Role != "" {
		t.Request = r.ID
	}
	return t
}

// Grant is what is asked of AWS for a request.
func (r *Request) Grant() Grant {
	return Grant{Tuple: r.Tuple(), Until: r.ExpiresAt, IAMUser: r.IAMUser}
}

// Granted names what a request grants, by itself.
func (r *Request) Granted() string {
	switch {
	case r.Group != "":
		return r.Group
	case r.Role != "":
		return r.Role
	}
	return r.PermissionSet
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

	// Since is when the first of the sessions that are live, or were until now, came in: shells may be open from then on.
	Since time.Time `json:"since,omitzero"`
	// Until is the latest end of the live requests; what the guard's line and the dead man's schedules go by. Zero while nobody is live.
	Until time.Time `json:"until,omitzero"`
	// Reach is the latest end that the guard's line may have said since the person came in: before it, only an outright refusal ends their credentials.
	Reach time.Time `json:"reach,omitzero"`
	// Lined: the guard has, or is about to have, a line for this person.
	Lined bool `json:"lined,omitempty"`
	// Out: the session ended before the time its line said, so the line refuses outright. Only a new grant replaces that, by Before.
	Out bool `json:"out,omitempty"`
	// Before: credentials issued before then are an earlier session's and are refused.
	Before time.Time `json:"before,omitzero"`
	// BeforeKeep is until when such credentials can be valid: after it the line need not speak of them.
	BeforeKeep time.Time `json:"before_keep,omitzero"`
	// Keep is until when the line must stay: by then no credential of the last session is valid. Zero while somebody is live.
	Keep time.Time `json:"keep,omitzero"`
	// Schedules that may exist: written down before they are made, and taken away only after AWS was seen to have them no more.
	Schedules []Schedule `json:"schedules,omitempty"`
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
		&r.SubmittedAt, &r.DecidedAt, &r.GrantedAt, &r.VerifiedAt, &r.ExpiresAt, &r.EndedAt, &r.ClosedAt, &r.PostMortemBy,
		&r.End.At, &r.Work.Since, &r.Work.Announced, &r.Work.Doubt, &r.Work.Absent, &r.TicketBy,
	} {
		*t = Moment(*t)
	}
	for i := range r.Decisions {
		r.Decisions[i].At = Moment(r.Decisions[i].At)
	}
	for i := range r.Waived {
		r.Waived[i].At = Moment(r.Waived[i].At)
	}
	if r.PostMortem != nil {
		r.PostMortem.At = Moment(r.PostMortem.At)
	}
	for i := range r.Extensions {
		x := &r.Extensions[i]
		x.AskedAt, x.Until, x.DoneAt = Moment(x.AskedAt), Moment(x.Until), Moment(x.DoneAt)
		for j := range x.Decisions {
			x.Decisions[j].At = Moment(x.Decisions[j].At)
		}
	}
	for i := range r.Readings {
		r.Readings[i].settle()
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
	r.With = slices.Clone(r.With)
	r.Waived = slices.Clone(r.Waived)
	r.Extensions = slices.Clone(r.Extensions)
	for i := range r.Extensions {
		r.Extensions[i].Decisions = slices.Clone(r.Extensions[i].Decisions)
	}
	return r
}
