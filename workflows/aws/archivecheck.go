package aws

import (
	"context"
	"fmt"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// ready asks for what makes a bucket an archive. Without the bucket it ends early: the rest would only repeat that.
func (b *bucket) ready(ctx context.Context) []Row {
	first := b.checkBucket(ctx)
	if !first.OK {
		return []Row{first}
	}
	return append([]Row{first}, b.c.askAll(ctx, []func(context.Context) Row{b.checkVersioning, b.checkLock, b.checkReading}, nil)...)
}

// checkBucket asks whether the bucket is there, where, and whether it is the bot's own account's.
func (b *bucket) checkBucket(ctx context.Context) Row {
	r := Row{What: "archive " + inBucket + b.name + "/" + strings.TrimSuffix(b.prefix, "/"), Needed: "a bucket that the bot reaches"}
	head, err := b.head(ctx, b.owner)
	if err != nil {
		r.Found = plain(b.explain("asking for the bucket", err))
		r.Remedy = "make the bucket with Object Lock, or correct report.archive (BREAKGLASS_ARCHIVE); the bot needs s3:ListBucket and s3:ListBucketVersions on it"
		if code(err) == "Forbidden" && b.owner != nil {
			r.Found = "not to be reached, or not owned by account " + *b.owner
		}
		return r
	}
	r.Found, r.OK = "there, in "+b.region, true
	if where := sdk.ToString(head.BucketRegion); where != "" {
		r.Found = "there, in " + where
	}
	r.Found += b.owned(ctx)
	return r
}

func (b *bucket) head(ctx context.Context, owner *string) (*s3.HeadBucketOutput, error) {
	return call(ctx, b.c, b.calls, "HeadBucket", reading, func(ctx context.Context) (*s3.HeadBucketOutput, error) {
		return b.client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &b.name, ExpectedBucketOwner: owner})
	})
}

// owned says whose the bucket is, as far as S3 tells: it answers with Forbidden where the account is not the one that is expected.
func (b *bucket) owned(ctx context.Context) string {
	if b.owner != nil {
		return ", owned by account " + *b.owner
	}
	me, err := call(ctx, b.c, b.c.stsCalls, "GetCallerIdentity", reading, func(ctx context.Context) (*sts.GetCallerIdentityOutput, error) {
		return b.c.sts.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	})
	if err != nil {
		return ", owner not known"
	}
	switch _, err := b.head(ctx, me.Account); {
	case err == nil:
		return ", owned by the bot's own account " + sdk.ToString(me.Account)
	case code(err) == "Forbidden":
		return ", owned by another account than the bot's"
	}
	return ", owner not known"
}

func (b *bucket) checkVersioning(ctx context.Context) Row {
	r := Row{What: "versions in " + b.name, Needed: "versioning enabled"}
	out, err := call(ctx, b.c, b.calls, "GetBucketVersioning", reading, func(ctx context.Context) (*s3.GetBucketVersioningOutput, error) {
		return b.client.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: &b.name, ExpectedBucketOwner: b.owner})
	})
	switch {
	case err != nil:
		return b.unknown(r, err, "s3:GetBucketVersioning")
	case out.Status != types.BucketVersioningStatusEnabled:
		r.Found, r.Remedy = "not enabled", "enable versioning, and then Object Lock"
	default:
		r.Found, r.OK = "enabled", true
	}
	return r
}

// checkLock asks for Object Lock. A default retention is not needed: every object comes with its own.
func (b *bucket) checkLock(ctx context.Context) Row {
	r := Row{What: "Object Lock of " + b.name, Needed: "enabled"}
	out, err := call(ctx, b.c, b.calls, "GetObjectLockConfiguration", reading, func(ctx context.Context) (*s3.GetObjectLockConfigurationOutput, error) {
		return b.client.GetObjectLockConfiguration(ctx, &s3.GetObjectLockConfigurationInput{Bucket: &b.name, ExpectedBucketOwner: b.owner})
	})
	lock := &types.ObjectLockConfiguration{}
	switch {
	case code(err) == "ObjectLockConfigurationNotFoundError":
	case err != nil:
		return b.unknown(r, err, "s3:GetBucketObjectLockConfiguration")
	case out.ObjectLockConfiguration != nil:
		lock = out.ObjectLockConfiguration
	}
	if lock.ObjectLockEnabled != types.ObjectLockEnabledEnabled {
		r.Found = "not enabled"
		r.Remedy = "switch Object Lock on, which cannot be undone: without it the bucket refuses the evidence, which then waits on the bot's machine"
		return r
	}
	r.Found, r.OK = "enabled, "+defaultLock(lock.Rule), true
	return r
}

func defaultLock(rule *types.ObjectLockRule) string {
	if rule == nil || rule.DefaultRetention == nil || rule.DefaultRetention.Mode == "" {
		return "without a default retention; each object comes with its own"
	}
	d := rule.DefaultRetention
	span := fmt.Sprintf("%d days", sdk.ToInt32(d.Days))
	if sdk.ToInt32(d.Years) > 0 {
		span = fmt.Sprintf("%d years", sdk.ToInt32(d.Years))
	}
	return fmt.Sprintf("default retention %s for %s; each object comes with its own", strings.ToLower(string(d.Mode)), span)
}

// checkReading lists one version, which what was stored is read and compared by.
func (b *bucket) checkReading(ctx context.Context) Row {
	r := Row{What: "reading " + b.name, Needed: "the bot may call s3:ListBucketVersions"}
	if _, _, err := b.versions(ctx, "", spot{}, 1); err != nil {
		r.Found = plain(b.explain("listing the archive", err))
		r.Remedy = "give the bot s3:ListBucketVersions on the bucket and s3:GetObject, s3:GetObjectVersion on its objects: without them it cannot tell whether what is there is its own"
		return r
	}
	r.Found, r.OK = "versions are listed; writing is not tried, since nobody could remove what was written", true
	return r
}

// unknown is the row of something that the bot may not ask for: no fault of the bucket's, and an upload would tell.
func (b *bucket) unknown(r Row, err error, action string) Row {
	r.Found = plain(b.explain("asking for it", err))
	if c := code(err); c == "AccessDenied" || c == "Forbidden" {
		r.OK, r.Found, r.Remedy = true, "not known: the bot may not ask", "optional: "+action+", so that this is known before it is needed"
		return r
	}
	r.Remedy = "try again: S3 did not answer this"
	return r
}
