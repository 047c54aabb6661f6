package aws

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// roleError is a role that could not be assumed.
type roleError struct {
	role string // ARN
	err  error
}

func (e *roleError) Error() string { return fmt.Sprintf("assuming %s: %v", e.role, e.err) }
func (e *roleError) Unwrap() error { return e.err }

// member is the configuration for calls into an account: through the member role, or with the bot's own credentials where no role is
// configured. The credentials of each account are kept and renewed by the SDK. A *roleError says that there are none.
func (c *Connection) member(ctx context.Context, account string) (sdk.Config, error) {
	cfg := c.home.Copy()
	if c.cfg.MemberRole == "" {
		return cfg, nil
	}
	arn := fmt.Sprintf("arn:%s:iam::%s:role/%s", partition(c.cfg.Region), account, strings.TrimPrefix(c.cfg.MemberRole, "/"))
	cfg.Credentials = c.role(arn)
	// Asked here and not by the first call, so that what the role refuses and what the service refuses are told apart.
	if _, err := cfg.Credentials.Retrieve(ctx); err != nil {
		return cfg, &roleError{role: arn, err: err}
	}
	return cfg, nil
}

// role returns the credentials of a role, the same for everybody who asks.
func (c *Connection) role(arn string) sdk.CredentialsProvider {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, ok := c.roles[arn]
	if !ok {
		p = sdk.NewCredentialsCache(stscreds.NewAssumeRoleProvider(assumer{c}, arn, func(o *stscreds.AssumeRoleOptions) {
			o.RoleSessionName = "breakglass"
			o.Duration = time.Hour
		}), func(o *sdk.CredentialsCacheOptions) { o.ExpiryWindow = 20 * time.Minute })
		c.roles[arn] = p
	}
	return p
}

// assumer makes the SDK's role credentials go through call, with its timeouts and counters.
type assumer struct{ c *Connection }

func (a assumer) AssumeRole(ctx context.Context, in *sts.AssumeRoleInput, _ ...func(*sts.Options)) (*sts.AssumeRoleOutput, error) {
	return call(ctx, a.c, a.c.stsCalls, "AssumeRole", reading, func(ctx context.Context) (*sts.AssumeRoleOutput, error) {
		return a.c.sts.AssumeRole(ctx, in)
	})
}

// partition is the part of AWS that a Region belongs to, as ARNs name it.
func partition(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(region, "us-gov-"):
		return "aws-us-gov"
	}
	return "aws"
}

// inWords says in plain words, for people who read a summary, why a call into an account failed. what is the permission it needs.
func inWords(err error, what string) string {
	var role *roleError
	if errors.As(err, &role) {
		name := clean(role.role[strings.LastIndexByte(role.role, '/')+1:], 64)
		if refusals[code(err)] {
			return fmt.Sprintf("the role %s cannot be assumed: does it exist there, and trust the bot?", name)
		}
		return fmt.Sprintf("the role %s could not be assumed: %s", name, faultInWords(err))
	}
	switch code(err) {
	case "AccessDeniedException", "AccessDenied", "UnauthorizedOperation":
		return "AWS refuses it: the role needs " + what
	case "UnrecognizedClientException", "InvalidClientTokenId", "AuthFailure", "OptInRequired":
		return "AWS does not take our credentials there: is the Region enabled in this account?"
	}
	return faultInWords(err)
}

// faultInWords is for everything that is nobody's fault and may be over by the next reading.
func faultInWords(err error) string {
	switch outcomeOf(err) {
	case "throttled":
		return "AWS throttled it"
	case "timeout":
		return "AWS did not answer in time"
	case "cancelled":
		return "it was interrupted"
	}
	if c := code(err); c != "" {
		return "AWS answered " + clean(c, 80)
	}
	return "AWS could not be reached"
}
