package aws

import (
	"context"
	"fmt"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"breakglass/store"
)

// CanaryRole is the powerless role on which a guard is proved: it trusts the bot and is allowed nothing but iam:GetRole on itself.
const CanaryRole = "BreakGlassCanary"

const (
	canaryLasts   = time.Minute     // from the writing of the guard to the end it says
	canaryWaits   = 5 * time.Minute // how long after that IAM is given ("a few minutes", IAM user guide, on changed policies)
	canaryLooks   = 5 * time.Second // between two calls
	canaryCleanup = 15 * time.Second
)

// Prove shows in an account that IAM itself ends a live session: it writes the canary's guard for a session that ends a minute from now,
// opens that session, sees a call allowed, and then sees the same credentials refused. The guard is taken away again. say hears, in sentences
// for people, what is being done. An error says what was seen instead. It takes about a minute, six at most.
//
// What it cannot show is that Identity Center puts identitystore:userId into the sessions of permission sets: the canary's guard goes by the session's
// name, in the same document.
func (g *Guards) Prove(ctx context.Context, account string, say func(string)) error {
	if g.prefix == "" {
		return fmt.Errorf("the guard policies are switched off (BREAKGLASS_GUARD is empty): IAM ends no session in account %s", account)
	}
	return g.prove(ctx, account, canaryLasts, say)
}

func (g *Guards) prove(ctx context.Context, account string, lasts time.Duration, say func(string)) error {
	now := g.c.now().UTC()
	session, end := "breakglass-prove-"+stamp(now), now.Add(lasts).Truncate(time.Second)
	gu := store.Guard{Account: account, Role: CanaryRole, Lines: []store.Line{{Who: session, Until: end}}}
	say(fmt.Sprintf("writing a guard for the session %s of %s in account %s, which ends it at %s", session, CanaryRole, account, end.Format(time.TimeOnly)))
	defer g.unprove(ctx, gu)
	if err := g.Write(ctx, gu); err != nil {
		return fmt.Errorf("the guard of %s could not be written: %w", CanaryRole, err)
	}
	ask, err := g.canary(ctx, account, session)
	if err != nil {
		return err
	}
	if err := ask(ctx); err != nil {
		return fmt.Errorf("the session was refused before its end, so its refusal after it would show nothing (the role must be allowed iam:GetRole on itself): %w", err)
	}
	say("its call was allowed; now the same credentials must be refused")
	return g.watchItEnd(ctx, end, ask, say)
}

// watchItEnd repeats the call until it is refused.
func (g *Guards) watchItEnd(ctx context.Context, end time.Time, ask func(context.Context) error, say func(string)) error {
	for left := end.Sub(g.c.now()); left > 0; left = end.Sub(g.c.now()) {
		if err := sleep(ctx, min(left, canaryLooks)); err != nil {
			return fmt.Errorf("it was interrupted before the end of the session: %w", err)
		}
	}
	last := error(nil)
	for begun := time.Now(); time.Since(begun) < canaryWaits; {
		err := ask(ctx)
		if code(err) == "AccessDenied" {
			say(fmt.Sprintf("refused %s after its end", g.c.now().Sub(end).Round(time.Second)))
			return nil
		}
		if err != nil {
			last = err // neither allowed nor refused: it is asked again
		}
		if err := sleep(ctx, canaryLooks); err != nil {
			return fmt.Errorf("it was interrupted while waiting for the refusal: %w", err)
		}
	}
	if last != nil {
		return fmt.Errorf("no refusal was seen within %s after the end of the session, and some of the calls failed otherwise: %w", canaryWaits, last)
	}
	return fmt.Errorf("the session was still allowed %s after the end that its guard says: IAM does not end it", canaryWaits)
}

// canary opens the session and returns the one call that it may make.
func (g *Guards) canary(ctx context.Context, account, session string) (func(context.Context) error, error) {
	arn := fmt.Sprintf("arn:%s:iam::%s:role/%s", partition(g.c.cfg.Region), account, CanaryRole)
	out, err := call(ctx, g.c, g.c.stsCalls, "AssumeRole", reading, func(ctx context.Context) (*sts.AssumeRoleOutput, error) {
		return g.c.sts.AssumeRole(ctx, &sts.AssumeRoleInput{RoleArn: &arn, RoleSessionName: &session})
	})
	if err != nil {
		return nil, fmt.Errorf("the role %s of account %s could not be assumed; it must trust the bot: %w", CanaryRole, account, err)
	}
	if out.Credentials == nil {
		return nil, fmt.Errorf("AWS answered AssumeRole without credentials")
	}
	k := out.Credentials
	cfg := g.c.home.Copy()
	cfg.Credentials = credentials.NewStaticCredentialsProvider(sdk.ToString(k.AccessKeyId), sdk.ToString(k.SecretAccessKey), sdk.ToString(k.SessionToken))
	client := iam.NewFromConfig(cfg, func(o *iam.Options) { o.Retryer = sdk.NopRetryer{} })
	return func(ctx context.Context) error {
		_, err := call(ctx, g.c, g.c.guards.quota(account), "GetRole", reading, func(ctx context.Context) (*iam.GetRoleOutput, error) {
			return client.GetRole(ctx, &iam.GetRoleInput{RoleName: sdk.String(CanaryRole)})
		})
		return err
	}, nil
}

// unprove takes the canary's guard away, whatever became of the proof.
func (g *Guards) unprove(ctx context.Context, gu store.Guard) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), canaryCleanup)
	defer cancel()
	p := g.policyOf(gu)
	if p.turn.take(ctx) != nil {
		return
	}
	defer p.turn.leave()
	p.forget()
	client, quota, err := g.c.iam(ctx, gu.Account)
	if err == nil {
		_, err = call(ctx, g.c, quota, "DeleteRolePolicy", writing, func(ctx context.Context) (*iam.DeleteRolePolicyOutput, error) {
			return client.DeleteRolePolicy(ctx, &iam.DeleteRolePolicyInput{RoleName: &p.role, PolicyName: &p.name})
		})
	}
	if err != nil && code(err) != codeNoEntity {
		g.c.log.Warn("the canary's guard was left behind; it refuses one session that has ended", "account", gu.Account, "error", err)
	}
}
