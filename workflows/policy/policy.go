// Package policy is who may: the policy file with its faults, and the pure decisions that follow from
// it, each with its reason in words for a person.
//
// It must not know Slack, AWS, the store or the clock. People come in as the directory has just
// described them (Person); what comes out is a verdict. Nothing here remembers anything, so that a
// decision made twice with the same directory is the same decision.
package policy

import (
	"regexp"
	"time"
)

// Manager is the reserved word that stands in approval and escalation lists for the requester's own
// manager, as Identity Center has it. No set of people can have this name.
const Manager = "manager"

// Policy is one policy file, read and found without fault. It is never changed after Parse; any number
// of goroutines may ask it. The yaml tags are the keys of the file, by which Diff names what changed.
type Policy struct {
	Hash           string            `yaml:"-"` // SHA-256 of the file's bytes, in hex
	Text           []byte            `yaml:"-"` // those bytes
	IdentityCenter IdentityCenter    `yaml:"identity_center"`
	Channels       Channels          `yaml:"channels"`
	Timezone       *time.Location    `yaml:"timezone"` // for calendars; UTC when the file says nothing
	Slack          Slack             `yaml:"slack"`
	Accounts       []Account         `yaml:"accounts"` // in the order of the file
	AccountsFrom   []AccountSource   `yaml:"accounts_from"`
	People         map[string]People `yaml:"people"`
	Identities     map[string]string `yaml:"identities"` // Slack user id -> e-mail in Identity Center
	IAMUsers       map[string]string `yaml:"iam_users"`  // e-mail, as written -> ARN of the IAM user
	Scenarios      []Scenario        `yaml:"scenarios"`  // in the order of the file
	Requests       Requests          `yaml:"requests"`
	Lockdown       []string          `yaml:"lockdown"` // sets of people who may end every session and refuse new ones
	Reconcile      Reconcile         `yaml:"reconcile"`
	Tracker        Tracker           `yaml:"tracker"`
	Watch          Watch             `yaml:"watch"`
	Trail          Trail             `yaml:"trail"`
	Report         Report            `yaml:"report"`
	Contacts       []Contact         `yaml:"contacts"`

	// byName and byID find an account among thousands, which every form does. A Policy that was not made
	// by Parse has none and is searched.
	byName, byID map[string]int
}

// IdentityCenter says where Identity Center lives.
type IdentityCenter struct {
	Region       string `yaml:"region"`
	AccessPortal string `yaml:"access_portal"` // the start URL people sign in at
	InstanceARN  string `yaml:"instance_arn"`  // "": looked up
}

// Channels are Slack channels, as "#name" or as an id.
type Channels struct {
	Requests  string `yaml:"requests"`
	Incidents string `yaml:"incidents"`
}

// Slack restricts whose e-mail address is believed.
type Slack struct {
	Domains []string `yaml:"domains"` // lower case; empty: any confirmed address
}

// Account is an AWS account that scenarios may open.
type Account struct {
	Name      string   `yaml:"-"`
	ID        string   `yaml:"id"`      // twelve digits
	Regions   []string `yaml:"regions"` // at least one; the first is the form's default
	Sensitive bool     `yaml:"sensitive"`
}

// AccountSource adds accounts from AWS Organizations: by organisational unit, or by tag.
type AccountSource struct {
	OU  string `yaml:"ou"`
	Tag string `yaml:"tag"` // KEY=VALUE
}

// People is a named set: members of Identity Center groups, and single addresses.
type People struct {
	Groups  []string `yaml:"groups"`
	Emails  []string `yaml:"emails"`
	Mention string   `yaml:"mention"` // a Slack user group; whom to mention, never who may decide
}

// GrantKind is what a scenario gives.
type GrantKind string

// The kinds of grant, by their key in the file.
const (
	GrantPermissionSet GrantKind = "permission_set"
	GrantGroup         GrantKind = "group"
	GrantIAMRole       GrantKind = "iam_role"
	GrantSealedUser    GrantKind = "sealed_user"
)

// Grant is what a scenario gives, by name.
type Grant struct {
	Kind GrantKind `yaml:"kind"`
	Name string    `yaml:"name"`
}

// Approval is whose word a scenario takes. Exactly one of None, AnyOf and AllOf is set: an approval
// that is missing or empty is a fault of the file, never "none".
type Approval struct {
	None  bool     `yaml:"none"`
	AnyOf []string `yaml:"any_of"`
	AllOf []string `yaml:"all_of"`
	Count int      `yaml:"count"` // with AnyOf: how many different people; at least 1
}

// Sets are the names in the approval, in the order of the file, whichever list they stand in.
func (a Approval) Sets() []string {
	if len(a.AllOf) > 0 {
		return a.AllOf
	}
	return a.AnyOf
}

// TicketRule says whether a ticket must be given at once, may follow, or is left to the requester.
type TicketRule struct {
	Required bool          `yaml:"required"`
	Within   time.Duration `yaml:"within"` // 0: none; else how long after the beginning it may follow
}

// Escalation asks further people when nobody has decided.
type Escalation struct {
	After time.Duration `yaml:"after"`
	To    []string      `yaml:"to"` // sets of people, or Manager
	Page  bool          `yaml:"page"`
}

// Ask is a further field of the form, for the scenario's guide.
type Ask struct {
	Name     string `yaml:"name"`
	Label    string `yaml:"label"`
	Optional bool   `yaml:"optional"`
}

// The values of Scenario.Guard and Scenario.Start.
const (
	GuardClosed = "closed" // without a live line in the guard, the permission set opens nothing
	GuardTimed  = "timed"  // the guard only ends sessions
	GuardNone   = "none"
	StartNow    = "now"
	StartLater  = "later"
)

// Scenario is one way in: what a requester picks in the form.
type Scenario struct {
	Name          string          `yaml:"-"`
	Title         string          `yaml:"title"`
	Tier          int             `yaml:"tier"`     // 0 to 3
	Accounts      []string        `yaml:"accounts"` // names; empty for grants of kind group
	Eligible      []string        `yaml:"eligible"`
	Grant         Grant           `yaml:"grant"`
	Approval      Approval        `yaml:"approval"`
	Instant       bool            `yaml:"instant"`
	Guard         string          `yaml:"guard"`
	MaxDuration   time.Duration   `yaml:"max_duration"` // 0 only for a sealed user, which rotation ends
	MaxTotal      time.Duration   `yaml:"max_total"`    // never less than MaxDuration
	Durations     []time.Duration `yaml:"durations"`    // what the form offers, rising; never past MaxDuration
	MaxExtensions int             `yaml:"max_extensions"`
	Ticket        TicketRule      `yaml:"ticket"`
	PostMortem    bool            `yaml:"post_mortem"`
	StepUp        bool            `yaml:"step_up"`
	Escalate      []Escalation    `yaml:"escalate"`
	With          []string        `yaml:"with"` // scenarios granted along with this one
	MayAssume     []string        `yaml:"may_assume"`
	Start         string          `yaml:"start"`
	OnCall        string          `yaml:"on_call"`
	Notify        []string        `yaml:"notify"`
	Guide         string          `yaml:"guide"`
	Ask           []Ask           `yaml:"ask"`
}

// Requests is what the scenarios leave open about waiting for a decision.
type Requests struct {
	Expire time.Duration   `yaml:"expire"`
	Remind []time.Duration `yaml:"remind"` // after the request, rising, each below Expire
}

// The values of Reconcile.Unexplained.
const (
	UnexplainedAnnounce = "announce"
	UnexplainedRevoke   = "revoke"
)

// Reconcile says what to make of assignments that no request explains.
type Reconcile struct {
	Unexplained string     `yaml:"unexplained"`
	Standing    []Standing `yaml:"standing"`
	Anchors     []string   `yaml:"anchors"` // groups that must stay empty
}

// Standing is an assignment that is meant to stand.
type Standing struct {
	Account       string `yaml:"account"`
	PermissionSet string `yaml:"permission_set"`
	Group         string `yaml:"group"`
}

// Tracker is where tickets live. With a Pattern, a ticket that is given must match it.
type Tracker struct {
	Pattern *regexp.Regexp `yaml:"pattern"` // nil: anything goes
	Kind    string         `yaml:"kind"`    // "", jira, servicenow
	URL     string         `yaml:"url"`
}

// Watch names roles whose use is watched besides those the scenarios grant; * and ? are wildcards.
type Watch struct {
	Roles []string `yaml:"roles"`
}

// The values of Trail.Source.
const (
	TrailLookup       = "lookup" // CloudTrail LookupEvents
	TrailLogsInsights = "logs_insights"
	TrailAthena       = "athena"
)

// Trail is where CloudTrail is read.
type Trail struct {
	Source    string `yaml:"source"`
	LogGroup  string `yaml:"log_group"` // with TrailLogsInsights
	Table     string `yaml:"table"`     // with TrailAthena
	Workgroup string `yaml:"workgroup"` // with TrailAthena
}

// Report says when and to whom a session is reported.
type Report struct {
	Settle           time.Duration   `yaml:"settle"`
	Again            []time.Duration `yaml:"again"` // after the end, rising, each past Settle
	Email            []string        `yaml:"email"`
	From             string          `yaml:"from"`
	Archive          string          `yaml:"archive"` // s3://BUCKET[/PREFIX], file:PATH, or "": the environment says
	Retain           time.Duration   `yaml:"retain"`
	Monthly          string          `yaml:"monthly"` // cron, in Timezone; "": none
	PostMortem       PostMortem      `yaml:"post_mortem"`
	SensitiveActions []string        `yaml:"sensitive_actions"` // as EC2:TerminateInstances, added to the built-in list
}

// PostMortem says how long after the end one may be owed.
type PostMortem struct {
	Within time.Duration `yaml:"within"`
}

// Contact is somebody to reach when all else fails.
type Contact struct {
	Role  string `yaml:"role"`
	Who   string `yaml:"who"` // an e-mail address, or ""
	Phone string `yaml:"phone"`
	URL   string `yaml:"url"`
}

// Scenario finds a scenario by its name.
func (p *Policy) Scenario(name string) (Scenario, bool) {
	for _, s := range p.Scenarios {
		if s.Name == name {
			return s, true
		}
	}
	return Scenario{}, false
}

// Account finds an account by its name in the policy.
func (p *Policy) Account(name string) (Account, bool) {
	if p.byName != nil {
		i, ok := p.byName[name]
		if !ok {
			return Account{}, false
		}
		return p.Accounts[i], true
	}
	for _, a := range p.Accounts {
		if a.Name == name {
			return a, true
		}
	}
	return Account{}, false
}

// AccountByID finds an account by AWS's twelve digits.
func (p *Policy) AccountByID(id string) (Account, bool) {
	if p.byID != nil {
		i, ok := p.byID[id]
		if !ok {
			return Account{}, false
		}
		return p.Accounts[i], true
	}
	for _, a := range p.Accounts {
		if a.ID == id {
			return a, true
		}
	}
	return Account{}, false
}

// IAMUser finds the ARN of a person's IAM user by their e-mail address, whose case does not matter.
func (p *Policy) IAMUser(who Person) (arn string, ok bool) {
	for mail, arn := range p.IAMUsers {
		if lower(mail) == lower(who.Email) {
			return arn, true
		}
	}
	return "", false
}
