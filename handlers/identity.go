package handlers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"breakglass/store"
	"breakglass/workflows"
	"breakglass/workflows/policy"
)

// facts are the small things remembered across restarts.
type facts interface {
	Fact(name string) (string, bool, error)
	SetFact(by store.By, name, value, eventKind string, data map[string]string) error
}

// Workspace is the one Slack workspace the bot serves.
type Workspace struct {
	TeamID       string // T…
	EnterpriseID string // E… where the workspace belongs to an Enterprise organisation
	URL          string // https://forge.slack.com/
}

// Pin asks Slack which workspace the bot token belongs to (auth.test).
func Pin(ctx context.Context, api *slack.Client) (Workspace, error) {
	a, err := api.AuthTestContext(ctx)
	if err != nil {
		return Workspace{}, fmt.Errorf("ask Slack which workspace this is: %w", err)
	}
	return Workspace{TeamID: a.TeamID, EnterpriseID: a.EnterpriseID, URL: a.URL}, nil
}

// admits says whether a payload of that team is worth looking at. In an Enterprise organisation a person's payload can name their
// home workspace, so there only users.info decides. A legacy payload names no team.
func (w Workspace) admits(team string) bool {
	return team == "" || team == w.TeamID || w.EnterpriseID != ""
}

// has says whether users.info shows a member of this workspace.
func (w Workspace) has(u *slack.User) bool {
	if u.TeamID == w.TeamID {
		return true
	}
	return w.EnterpriseID != "" && u.Enterprise.EnterpriseID == w.EnterpriseID && slices.Contains(u.Enterprise.Teams, w.TeamID)
}

// IdentityParts is what an Identity is made of. All are needed but OnChanged and Log.
type IdentityParts struct {
	Slack     *slack.Client
	Directory workflows.Directory
	Facts     facts
	Policy    func() *policy.Policy
	Workspace Workspace
	Now       func() time.Time
	// OnChanged is told, once for each such change, that a Slack account matches another Identity Center user than it did before.
	OnChanged func(ctx context.Context, slackID, was, is string)
	Log       *slog.Logger
}

// Identity knows who a Slack user is. It implements workflows.People.
type Identity struct {
	p      IdentityParts
	seen   *memo[slack.User] // for showing things; a decision always asks anew
	shared *memo[bool]       // channel id -> open to another organisation
}

// How long an answer is good enough for showing things.
const (
	formMemory    = time.Minute
	accountMemory = 5 * time.Minute
	channelMemory = 10 * time.Minute
)

// NewIdentity puts the parts together.
func NewIdentity(p IdentityParts) *Identity {
	if p.Log == nil {
		p.Log = slog.New(slog.DiscardHandler)
	}
	return &Identity{p: p, seen: newMemo[slack.User](accountMemory, p.Now), shared: newMemo[bool](channelMemory, p.Now)}
}

// SetOnChanged replaces IdentityParts.OnChanged, for who is made after the Identity. Call it before anything is delivered.
func (d *Identity) SetOnChanged(f func(ctx context.Context, slackID, was, is string)) {
	d.p.OnChanged = f
}

// Match finds the one enabled Identity Center user of a Slack account, as Slack and Identity Center say at this moment.
// Everything that is not certain is a *workflows.Refusal; the cause of one that may pass is wrapped with it.
func (d *Identity) Match(ctx context.Context, slackID, teamID string, groups []string) (store.Principal, store.Person, error) {
	none := func(err error) (store.Principal, store.Person, error) { return store.Principal{}, store.Person{}, err }
	if !d.p.Workspace.admits(teamID) {
		return none(strangerOther())
	}
	u, err := d.account(ctx, slackID)
	if err != nil {
		return none(err)
	}
	email, err := d.email(u)
	if err != nil {
		return none(err)
	}
	who, err := d.p.Directory.Find(ctx, email, groups)
	if err != nil {
		return none(unmatched(email, err))
	}
	if !who.Enabled {
		return none(refuse(workflows.RefusedUnmatched, "Your user in AWS Identity Center (%s) is disabled. Ask whoever runs Identity Center to enable it.", email))
	}
	if who.UserID == "" {
		return none(unmatched(email, errors.New("the directory gave a user without an id")))
	}
	if err := d.pin(ctx, u.ID, who.UserID); err != nil {
		return none(err)
	}
	person := who.Person(u.ID)
	person.TimeZone = u.TZ
	if person.Name == "" {
		person.Name = u.RealName
	}
	return who, person, nil
}

// account asks Slack who that is, and refuses everybody who is not a full, living member of this workspace.
func (d *Identity) account(ctx context.Context, slackID string) (*slack.User, error) {
	if !isUser(slackID) {
		return nil, strangerOther()
	}
	u, err := d.p.Slack.GetUserInfoContext(ctx, slackID)
	if err != nil {
		if unknownUser(err) {
			return nil, strangerOther()
		}
		return nil, noAnswer("Slack did not say who you are, so nothing was done. Try again in a minute.", fmt.Errorf("users.info: %w", err))
	}
	if u.ID != slackID {
		return nil, noAnswer("Slack did not say who you are, so nothing was done. Try again in a minute.", errors.New("users.info: answered for somebody else"))
	}
	if err := d.verify(u); err != nil {
		return nil, err
	}
	d.seen.put(slackID, *u)
	return u, nil
}

// glance is account for showing things only: an answer of the last few minutes will do.
func (d *Identity) glance(ctx context.Context, slackID string) (*slack.User, error) {
	if u, ok := d.seen.get(slackID); ok {
		return &u, nil
	}
	return d.account(ctx, slackID)
}

// unknownUser says whether Slack answered that there is no such user here (docs.slack.dev, errors of users.info and users.lookupByEmail).
func unknownUser(err error) bool {
	code := slackCode(err)
	return code == "user_not_found" || code == "user_not_visible" || code == "users_not_found"
}

// verify applies the rules for an account, whatever its address.
func (d *Identity) verify(u *slack.User) error {
	switch {
	case u.IsBot || u.IsAppUser || u.IsConnectorBot || u.IsWorkflowBot || u.ID == "USLACKBOT":
		return refuse(workflows.RefusedStranger, "Only people can do this, and this Slack account is a bot's.")
	case u.Deleted:
		return refuse(workflows.RefusedStranger, "This Slack account is deactivated.")
	case u.IsStranger || !d.p.Workspace.has(u):
		return strangerOther()
	case u.IsRestricted || u.IsUltraRestricted:
		return refuse(workflows.RefusedStranger, "Guests of this workspace cannot use Breakglass. Ask a full member to request what is needed.")
	case u.IsInvitedUser:
		return refuse(workflows.RefusedStranger, "This Slack account has not accepted its invitation yet. Sign in to Slack once, then try again.")
	}
	return nil
}

// email is the address a Slack account is looked up by: the policy's own word where it has one, else the confirmed address.
func (d *Identity) email(u *slack.User) (string, error) {
	p := d.p.Policy()
	if e := p.Identities[u.ID]; e != "" {
		return e, nil
	}
	e := strings.TrimSpace(u.Profile.Email)
	switch {
	case e == "":
		return "", refuse(workflows.RefusedStranger, "Slack knows no e-mail address of yours, so you cannot be found in AWS Identity Center. Add one to your Slack profile.")
	case !u.IsEmailConfirmed:
		return "", refuse(workflows.RefusedStranger, "Your e-mail address in Slack is not confirmed, so it proves nothing. Confirm it from the message Slack sent to it, then try again.")
	case !inDomains(e, p.Slack.Domains):
		return "", refuse(workflows.RefusedStranger, "Your e-mail address in Slack is not one of the company's. Change it in your Slack profile, or ask for an entry in the policy's identities.")
	}
	return e, nil
}

// inDomains compares the part after the last @ with the domains, which are lower case. Only ASCII is folded: a domain that merely
// looks alike is another domain.
func inDomains(email string, domains []string) bool {
	if len(domains) == 0 {
		return true
	}
	i := strings.LastIndexByte(email, '@')
	return i >= 0 && slices.Contains(domains, asciiLower(email[i+1:]))
}

func asciiLower(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + ('a' - 'A')
		}
		return r
	}, s)
}

// Facts by which a match is remembered. The second says under which entry of the policy's identities the first was made, so that
// a new entry, which somebody wrote and which was announced, may change it, and nothing else can.
const (
	factPerson   = "person:"
	factPersonBy = "person-by:"
	factChanged  = "person-changed:"
)

// pin remembers whom a Slack account was matched to, and refuses another match.
func (d *Identity) pin(ctx context.Context, slackID, userID string) error {
	was, known, err := d.p.Facts.Fact(factPerson + slackID)
	if err != nil {
		return noStore(fmt.Errorf("read whom %s was matched to: %w", slackID, err))
	}
	if known && was == userID {
		return nil
	}
	override := d.p.Policy().Identities[slackID]
	if !known {
		return d.remember(slackID, userID, override, map[string]string{"slack": slackID, "is": userID})
	}
	before, _, err := d.p.Facts.Fact(factPersonBy + slackID)
	if err != nil {
		return noStore(fmt.Errorf("read how %s was matched: %w", slackID, err))
	}
	if override != "" && override != before {
		return d.remember(slackID, userID, override, map[string]string{"slack": slackID, "was": was, "is": userID, "identities": override})
	}
	d.announce(ctx, slackID, was, userID)
	return refuse(workflows.RefusedChanged, "Your Slack account now matches another AWS user than before, so it is not trusted, and the incidents channel was told. "+
		"If this is right, ask whoever keeps the policy to add you to its identities.")
}

func (d *Identity) remember(slackID, userID, override string, data map[string]string) error {
	by := store.By{Actor: store.Bot(), At: d.p.Now()}
	if err := d.p.Facts.SetFact(by, factPerson+slackID, userID, store.EventPerson, data); err != nil {
		return noStore(fmt.Errorf("remember whom %s was matched to: %w", slackID, err))
	}
	if override == "" {
		return nil
	}
	if err := d.p.Facts.SetFact(by, factPersonBy+slackID, override, store.EventPerson, map[string]string{"slack": slackID, "identities": override}); err != nil {
		return noStore(fmt.Errorf("remember how %s was matched: %w", slackID, err))
	}
	return nil
}

// announce tells of a changed match once, however often the person tries. It is remembered first: to be told twice by a
// restart in between is better than by each click.
func (d *Identity) announce(ctx context.Context, slackID, was, is string) {
	said, known, err := d.p.Facts.Fact(factChanged + slackID)
	if err == nil && known && said == is {
		return
	}
	by := store.By{Actor: store.Bot(), At: d.p.Now()}
	data := map[string]string{"slack": slackID, "was": was, "is": is, "refused": "changed"}
	if d.p.OnChanged != nil {
		d.p.OnChanged(ctx, slackID, was, is)
	}
	if err := d.p.Facts.SetFact(by, factChanged+slackID, is, store.EventPerson, data); err != nil {
		d.p.Log.Error("cannot remember that a changed match was announced", "slack", slackID, "err", err)
	}
}

// UserOf is the Identity Center user a Slack account was matched to last, "" where it never was. It asks nobody: for showing
// a person their own requests while the directory is away.
func (d *Identity) UserOf(slackID string) (string, error) {
	v, _, err := d.p.Facts.Fact(factPerson + slackID)
	if err != nil {
		return "", fmt.Errorf("read whom %s was matched to: %w", slackID, err)
	}
	return v, nil
}

// SlackOf finds the Slack account of an Identity Center user by the same rules as Match, "" where there is none that would
// be believed. An error means that Slack did not answer.
func (d *Identity) SlackOf(ctx context.Context, p store.Principal) (string, error) {
	ids := d.p.Policy().Identities
	for _, id := range sortedKeys(ids) {
		if strings.EqualFold(ids[id], p.Email) {
			u, err := d.account(ctx, id)
			return d.believed(u, p, err)
		}
	}
	if p.Email == "" {
		return "", nil
	}
	u, err := d.p.Slack.GetUserByEmailContext(ctx, p.Email)
	if err != nil {
		if unknownUser(err) {
			return "", nil
		}
		return "", fmt.Errorf("users.lookupByEmail: %w", err)
	}
	if _, elsewhere := ids[u.ID]; elsewhere { // the policy says that this account is somebody else
		return "", nil
	}
	if err := d.verify(u); err != nil {
		return d.believed(u, p, err)
	}
	email, err := d.email(u)
	if err == nil && !strings.EqualFold(email, p.Email) {
		return "", nil
	}
	return d.believed(u, p, err)
}

// believed turns what the rules said into an answer: a refusal is "none", a missing answer stays an error.
func (d *Identity) believed(u *slack.User, p store.Principal, err error) (string, error) {
	if r, ok := errors.AsType[*workflows.Refusal](err); ok {
		if r.Code == workflows.RefusedNoAnswer {
			return "", err
		}
		return "", nil
	}
	if err != nil {
		return "", err
	}
	was, known, err := d.p.Facts.Fact(factPerson + u.ID)
	if err != nil {
		return "", fmt.Errorf("read whom %s was matched to: %w", u.ID, err)
	}
	if known && was != p.UserID {
		return "", nil
	}
	return u.ID, nil
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
