package awstwin

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Keys of the bot where Config names none. They belong to the IAM user breakglass-bot of Config.BotAccount.
const (
	BotAccessKeyID     = "AKIASANDBOXBOT000000"
	BotSecretAccessKey = "sandbox-secret-of-the-bot-0000000000000"
)

// Config is what an Organization is made of. The zero value is usable: an organisation in us-east-1 on the system's clock.
type Config struct {
	// Now is the only clock of the twin: statuses, schedules, delivery delays and quotas all follow it, so that time can be skipped.
	Now func() time.Time
	// Region is the home Region of Identity Center; its calls are answered there only. Default us-east-1.
	Region string
	// ManagementAccount owns the organisation and the Identity Center instance. Default 100000000000.
	ManagementAccount, ManagementName string
	// BotAccount is the account of the bot's own keys. Default: the management account. Another one is taken as the
	// delegated administrator of Identity Center, with the limits that AWS sets to those.
	BotAccount string
	// BotAccessKey and BotSecretKey default to BotAccessKeyID and BotSecretAccessKey.
	BotAccessKey, BotSecretKey string
	// Async is how long an assignment stays IN_PROGRESS. Default 2 s; negative: done at once.
	Async time.Duration
	// TrailDelay is how long after a call LookupEvents shows it. Default 5 min (AWS: usually minutes, up to 15); negative: none.
	TrailDelay time.Duration
	// MissingDelete chooses how the deletion of a missing assignment is answered; AWS is seen to do both.
	MissingDelete MissingDelete
	// GroupLag is how long a new group membership does not open sessions yet, and a removed one still does (AWS: up to an
	// hour). Default none.
	GroupLag time.Duration
	// IAMLag is how long a new version of a customer managed policy, and a changed inline or trust policy of a role, takes to
	// bear on requests ("might take a few minutes", usually seconds). Default none.
	IAMLag time.Duration
	// ScheduleLate is how far into its minute a schedule fires: EventBridge Scheduler is precise to 60 s. Default none.
	ScheduleLate time.Duration
	// LenientRoleKeys lets keys from sts:AssumeRole outlive their expiration. For a sandbox whose clock is skipped while the
	// SDK of the bot keeps its own and caches keys by it. Keys of people always expire.
	LenientRoleKeys bool
	// DeletedRoleEndsSessions ends live sessions with the role, when the last assignment of a set in an account goes.
	// Off by default: AWS documents that sessions last to their duration.
	DeletedRoleEndsSessions bool
	// OrphanRows keeps assignments of deleted users in the listings.
	OrphanRows bool
	// Seed makes the identifiers reproducible. Default 1.
	Seed uint64
}

func (c Config) withDefaults() Config {
	or := func(s *string, d string) {
		if *s == "" {
			*s = d
		}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	or(&c.Region, "us-east-1")
	or(&c.ManagementAccount, "100000000000")
	or(&c.ManagementName, "management")
	or(&c.BotAccount, c.ManagementAccount)
	or(&c.BotAccessKey, BotAccessKeyID)
	or(&c.BotSecretKey, BotSecretAccessKey)
	c.Async = defaultDuration(c.Async, 2*time.Second)
	c.TrailDelay = defaultDuration(c.TrailDelay, 5*time.Minute)
	if c.Seed == 0 {
		c.Seed = 1
	}
	return c
}

func defaultDuration(d, def time.Duration) time.Duration {
	switch {
	case d == 0:
		return def
	case d < 0:
		return 0
	}
	return d
}

// Organization is the twin: an http.Handler that speaks AWS's protocols, and the hand of the test or page that sets it up.
// All methods may be called at the same time from several goroutines; it has none of its own.
type Organization struct {
	cfg      Config
	services map[string]*service

	interceptor atomic.Pointer[func(Moment, Passing) Order]
	passed      atomic.Uint64

	mu       sync.Mutex // guards everything below
	ids      *rand.Rand
	orgID    string
	settling time.Time // when what is being done was due; zero: nothing is
	seq      uint64    // numbers events and journal lines in the order they happened
	keys     map[string]*identity
	portals  map[string]*portalSession

	accounts  map[string]*account
	buckets   map[string]*bucket // S3 names are global
	dir       directory
	instance  instance
	sets      map[string]*permissionSet // by ARN
	rows      assignmentTable
	changes   changeLog
	schedules scheduleTable
	trail     trailSettings
	limits    quotaState
	faults    faultTable
	journal   journal
	watchers  watchers
	mail      mailbox
	rules     []rule
	queries   queryClock
	shells    []*ssmSession // of which the log is still to be written
}

type instance struct {
	arn, id, store string // arn:aws:sso:::instance/ssoins-…, ssoins-…, d-…
}

// account is one AWS account with everything that lives in it.
type account struct {
	id, name, email, ou string
	state               string // ACTIVE, SUSPENDED, …
	tags                map[string]string
	joined              time.Time
	roles               map[string]*role
	policies            map[string]*managedPolicy // by ARN
	users               map[string]*iamUser
	scp                 []*namedPolicy
	trail               map[string]*trailLog // by Region
	regions             map[string]*regional
}

// New makes an organisation that has its management account, the Identity Center instance and the bot's keys, and nothing else.
func New(cfg Config) *Organization {
	cfg = cfg.withDefaults()
	o := &Organization{
		cfg: cfg, ids: rand.New(rand.NewPCG(cfg.Seed, 0x9e3779b97f4a7c15)),
		keys: map[string]*identity{}, portals: map[string]*portalSession{},
		accounts: map[string]*account{}, buckets: map[string]*bucket{}, sets: map[string]*permissionSet{},
		dir: newDirectory(), rows: newAssignmentTable(), changes: newChangeLog(),
		schedules: newScheduleTable(), journal: newJournal(),
	}
	o.trail = trailSettings{delay: cfg.TrailDelay}
	o.limits = newQuotaState()
	o.queries = queryClock{took: 2 * time.Second}
	o.orgID = "o-" + o.lower(10)
	id := "ssoins-" + o.hex(16)
	o.instance = instance{arn: "arn:aws:sso:::instance/" + id, id: id, store: "d-" + o.hex(10)}
	o.addAccount(cfg.ManagementAccount, cfg.ManagementName, "", nil)
	if cfg.BotAccount != cfg.ManagementAccount {
		o.addAccount(cfg.BotAccount, "breakglass", "", nil)
	}
	o.addBot()
	o.services = o.allServices()
	return o
}

// addBot gives the bot its long-term keys. Without policies of its own (SetBotPolicy) it may do everything.
func (o *Organization) addBot() {
	u := o.newIAMUser(o.accounts[o.cfg.BotAccount], "breakglass-bot")
	u.admin = true
	o.keys[o.cfg.BotAccessKey] = &identity{
		kind: kindIAMUser, account: o.cfg.BotAccount, arn: u.arn, userID: u.id, name: u.name, user: u,
		accessKey: o.cfg.BotAccessKey, secret: o.cfg.BotSecretKey,
	}
}

// AddOption widens AddAccount.
type AddOption func(*account)

// InOU puts the account into an organisational unit; it is made when it is new. Without it the account is under the root.
func InOU(id string) AddOption { return func(a *account) { a.ou = id } }

// WithTag adds a tag that organizations:ListTagsForResource returns.
func WithTag(key, value string) AddOption {
	return func(a *account) { a.tags[key] = value }
}

// AddAccount adds a member account of 12 digits. Adding one that is there already changes its name and options.
func (o *Organization) AddAccount(id, name string, opts ...AddOption) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.settle(o.cfg.Now())
	o.addAccount(id, name, "", opts)
	o.changed()
}

func (o *Organization) addAccount(id, name, ou string, opts []AddOption) *account {
	a := o.accounts[id]
	if a == nil {
		a = &account{id: id, state: "ACTIVE", joined: o.cfg.Now(), tags: map[string]string{}, roles: map[string]*role{},
			policies: map[string]*managedPolicy{}, users: map[string]*iamUser{}, trail: map[string]*trailLog{},
			regions: map[string]*regional{}}
		o.accounts[id] = a
	}
	a.name, a.ou = name, ou
	a.email = "aws+" + strings.ToLower(strings.ReplaceAll(name, " ", "-")) + "@example.com"
	for _, opt := range opts {
		opt(a)
	}
	return a
}

// must is an account that the author of a test or page says is there.
func (o *Organization) must(id string) *account {
	a := o.accounts[id]
	if a == nil {
		panic("awstwin: there is no account " + id)
	}
	return a
}

// SetAccountState puts an account into another state, as SUSPENDED: assignments in it then fail.
func (o *Organization) SetAccountState(id, state string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.settle(o.cfg.Now())
	if a := o.accounts[id]; a != nil {
		a.state = state
	}
	o.changed()
}

// InstanceARN is the ARN of the Identity Center instance, IdentityStoreID the id of its directory.
func (o *Organization) InstanceARN() string { return o.instance.arn }

// IdentityStoreID is the id of the directory (d-…).
func (o *Organization) IdentityStoreID() string { return o.instance.store }

// AccountName is the name of an account, or its id where there is none.
func (o *Organization) AccountName(id string) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	if a := o.accounts[id]; a != nil {
		return a.name
	}
	return id
}

// Tick does what is due by now: statuses that end, schedules that fire. Every call does the same first, so it is
// needed only where nobody calls, as when a test has let hours pass and looks at what happened meanwhile.
func (o *Organization) Tick() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.settle(o.cfg.Now())
	o.changed()
}

// SetAsync changes how long assignments stay IN_PROGRESS from now on; zero: done at once.
func (o *Organization) SetAsync(d time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.settle(o.cfg.Now())
	o.cfg.Async = d
}

// SetMissingDelete changes how the deletion of a missing assignment is answered.
func (o *Organization) SetMissingDelete(m MissingDelete) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.settle(o.cfg.Now())
	o.cfg.MissingDelete = m
}

// SetGroupLag changes how long changes of groups take to reach the access portal.
func (o *Organization) SetGroupLag(d time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.settle(o.cfg.Now())
	o.cfg.GroupLag = d
}

func (o *Organization) pick(alphabet string, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[o.ids.IntN(len(alphabet))]
	}
	return string(b)
}

func (o *Organization) hex(n int) string   { return o.pick("0123456789abcdef", n) }
func (o *Organization) lower(n int) string { return o.pick("abcdefghijklmnopqrstuvwxyz0123456789", n) }

// unique is the alphabet of AWS's unique ids (AROA…, AIDA…, ASIA…).
func (o *Organization) unique(prefix string) string {
	return prefix + o.pick("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 20-len(prefix))
}

func (o *Organization) uuid() string {
	h := o.hex(32)
	return fmt.Sprintf("%s-%s-4%s-a%s-%s", h[:8], h[8:12], h[13:16], h[17:20], h[20:])
}
