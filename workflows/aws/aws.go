package aws

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/identitystore"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"
	"github.com/aws/aws-sdk-go-v2/service/ssoadmin"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/prometheus/client_golang/prometheus"
)

// Config is what Connect needs to know. Keys, profile, container and instance credentials come from the SDK's own
// environment, as does AWS_ENDPOINT_URL.
type Config struct {
	Region      string // Identity Center's home Region; its calls are answered there only
	InstanceARN string // empty: looked up, which works where the account sees exactly one instance
	MemberRole  string // name of the role assumed in each account to read its CloudTrail; empty: the bot's own credentials
	Guard       string // prefix of the guard policies; empty: none
	OwnerRole   string // role in the account that owns Identity Center, for the access portal's events: a name or an ARN
	DeadManRole string // ARN of the role the schedules act by; empty: none

	// HTTP carries the calls in place of the SDK's own client; what the credentials' chain asks (instance metadata, single sign-on)
	// still goes by the SDK's. nil: the SDK's for all.
	HTTP   sdk.HTTPClient
	Limits Limits
	Log    *slog.Logger          // nil: slog.Default()
	Now    func() time.Time      // nil: time.Now
	Meters prometheus.Registerer // nil: nothing is counted
}

// Connection is AWS as the bot's credentials see it. Everything made from one Connection shares its rate limits, since AWS counts
// calls by account and Region, whoever in the process makes them.
type Connection struct {
	cfg   Config
	base  sdk.Config // in the bot's own Region
	home  sdk.Config // in Identity Center's Region
	log   *slog.Logger
	now   func() time.Time
	meter *meters

	ssoAdmin *quota
	identity *quota
	// Services of which a few calls an hour are made: counted, and slowed where they throttle, but without a limit of our own.
	stsCalls, ssmCalls, secretCalls, mailCalls, orgCalls, scheduleCalls *quota

	admin     *ssoadmin.Client
	directory *identitystore.Client
	sts       *sts.Client
	scheduler *scheduler.Client
	instance  instance
	date      *serverTime
	guards    *guardBook

	// Shared by everything made from the connection: the names of sets, the ids of groups, and which changes are under way.
	sets   *setNames
	groups *groupIDs
	out    *outstanding

	mu    sync.Mutex // guards what follows; never held while a call is on its way
	roles map[string]sdk.CredentialsProvider
	trail map[string]*quota // LookupEvents, by account and Region
}

// Connect loads the SDK's configuration. It calls AWS only where the credentials' chain does (nothing is signed yet); what is wrong
// with the credentials shows at the first call.
func Connect(ctx context.Context, cfg Config) (*Connection, error) {
	if cfg.Region == "" {
		return nil, fmt.Errorf("the Region of Identity Center is not set: identity_center.region in the policy")
	}
	base, err := config.LoadDefaultConfig(ctx, config.WithDefaultRegion(cfg.Region))
	if err != nil {
		return nil, fmt.Errorf("loading the AWS configuration: %w", err)
	}
	if cfg.HTTP != nil {
		base.HTTPClient = cfg.HTTP // not by an option: the SDK refuses to combine that with AWS_CA_BUNDLE
	}
	if base.HTTPClient == nil {
		base.HTTPClient = awshttp.NewBuildableClient()
	}
	date := &serverTime{next: base.HTTPClient}
	base.HTTPClient = date
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	c := &Connection{date: date, cfg: cfg, base: base, home: base.Copy(), log: cfg.Log, now: cfg.Now,
		roles: map[string]sdk.CredentialsProvider{}, trail: map[string]*quota{}}
	// Identity Center, its identity store and STS are called in Identity Center's Region, whatever Region the machine is in; secrets and
	// mail belong to the bot and stay in its own.
	c.home.Region = cfg.Region
	if c.meter, err = newMeters(cfg.Meters); err != nil {
		return nil, fmt.Errorf("registering the metrics of AWS: %w", err)
	}
	l := cfg.Limits.withDefaults()
	c.cfg.Limits = l
	c.ssoAdmin = newQuota("sso-admin", l.SSOAdmin, l.Lifted)
	c.identity = newQuota("identitystore", l.IdentityStore, l.Lifted)
	for service, q := range map[string]**quota{"sts": &c.stsCalls, "ssm": &c.ssmCalls, "secretsmanager": &c.secretCalls,
		"ses": &c.mailCalls, "organizations": &c.orgCalls, "scheduler": &c.scheduleCalls} {
		*q = newQuota(service, Rate{}, true)
	}
	// The SDK's own retries are switched off everywhere: three attempts of a write whose answer was lost would hide the doubt from
	// whoever has to record it, and none of its retries knows our limits. See call.
	c.admin = ssoadmin.NewFromConfig(c.home, func(o *ssoadmin.Options) { o.Retryer = sdk.NopRetryer{} })
	c.directory = identitystore.NewFromConfig(c.home, func(o *identitystore.Options) { o.Retryer = sdk.NopRetryer{} })
	c.sts = sts.NewFromConfig(c.home, func(o *sts.Options) { o.Retryer = sdk.NopRetryer{} })
	c.scheduler = scheduler.NewFromConfig(c.home, func(o *scheduler.Options) { o.Retryer = sdk.NopRetryer{} })
	c.instance = newInstance(cfg.InstanceARN)
	c.sets, c.groups, c.out = newSetNames(c), newGroupIDs(c), newOutstanding(l.Outstanding)
	c.guards = newGuardBook()
	return c, nil
}
