package aws

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"breakglass/store"
)

// bucket is an archive in S3. Object Lock protects versions and not names: a deletion puts a marker in front of what is locked, and another
// version may be put over it. So what counts is the oldest version of a name, and the rest is reported.
type bucket struct {
	c      *Connection
	client *s3.Client
	calls  *quota
	name   string
	prefix string // "" or ending in "/"
	region string
	owner  *string // the account that must own the bucket; nil: any
}

// openBucket makes the client. S3 under an endpoint that is not AWS's own is addressed by path, since bucket.localhost resolves nowhere.
func (c *Connection) openBucket(at string) (*bucket, error) {
	name, prefix, region, owner, err := bucketAt(at)
	if err != nil {
		return nil, err
	}
	b := &bucket{c: c, calls: newQuota("s3", Rate{}, true), name: name, prefix: prefix, region: c.base.Region}
	if region != "" {
		b.region = region
	}
	if owner != "" {
		b.owner = &owner
	}
	b.client = s3.NewFromConfig(c.base, func(o *s3.Options) {
		o.Retryer = sdk.NopRetryer{}
		o.Region = b.region
		o.UsePathStyle = o.BaseEndpoint != nil
		o.DisableLogOutputChecksumValidationSkipped = true // what others put there has none
	})
	return b, nil
}

const (
	// largestObject is what one PutObject takes (S3 user guide, quotas). Evidence is far smaller, so there are no uploads in parts: their
	// checksum is one of checksums, which nobody could compare with the manifest's, and one that was broken off stays in the bucket, unlocked.
	largestObject = 5 << 30
	// slowest is the rate in bytes a second below which an upload is given up.
	slowest = 1 << 20
)

// uploading is writing with time for the bytes.
func uploading(size int64) manner {
	m := writing
	m.timeout = 30*time.Second + time.Duration(size/slowest)*time.Second
	return m
}

// Codes of S3 that are read here (S3 API reference, error responses). HEAD has no body, so the SDK makes the code from the status.
const (
	codeThere   = "PreconditionFailed"
	codeMeeting = "ConditionalRequestConflict"
	codeNoKey   = "NoSuchKey"
)

// meetings is how often a write is repeated that met another of the same name: S3 has done neither, and asks for it.
const meetings = 4

func (b *bucket) put(ctx context.Context, name string, x blob, until time.Time) error {
	doing := "storing " + name
	if x.size > largestObject {
		return fmt.Errorf("%s: %w", doing, &store.Refusal{Code: CodeTooLarge, Message: "S3 takes at most 5 GiB in one object"})
	}
	var err error
	for try := 1; ; try++ {
		err = b.upload(ctx, name, x, until)
		if code(err) != codeMeeting || try == meetings || sleep(ctx, backoff(try)) != nil {
			break
		}
	}
	if code(err) == codeThere {
		err = b.same(ctx, name, x, until)
	}
	return b.explain(doing, err)
}

// upload is one PutObject. It is made on the condition that the name is free, with the checksum that S3 has to find, and with a lock that even
// the bucket's owner cannot take off.
func (b *bucket) upload(ctx context.Context, name string, x blob, until time.Time) error {
	_, err := call(ctx, b.c, b.calls, "PutObject", uploading(x.size), func(ctx context.Context) (*s3.PutObjectOutput, error) {
		if _, err := x.body.Seek(0, io.SeekStart); err != nil {
			return nil, fmt.Errorf("reading it: %w", err)
		}
		return b.client.PutObject(ctx, &s3.PutObjectInput{Bucket: &b.name, Key: b.key(name), ExpectedBucketOwner: b.owner,
			Body: x.body, ContentLength: &x.size, ContentType: sdk.String(contentType(name)), IfNoneMatch: sdk.String("*"),
			ChecksumAlgorithm: types.ChecksumAlgorithmSha256, ChecksumSHA256: sdk.String(base64.StdEncoding.EncodeToString(x.sum[:])),
			ObjectLockMode: types.ObjectLockModeCompliance, ObjectLockRetainUntilDate: &until})
	})
	return err
}

// same is what a name that is taken comes to: success where its oldest version is what was to be put there, as after a crash between the
// upload and its record. A lock that does not show (reading it needs a permission of its own) is put on again, which only ever lengthens it.
func (b *bucket) same(ctx context.Context, name string, x blob, until time.Time) error {
	version, err := b.oldest(ctx, name)
	if err != nil {
		return err
	}
	head, err := call(ctx, b.c, b.calls, "HeadObject", reading, func(ctx context.Context) (*s3.HeadObjectOutput, error) {
		return b.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &b.name, Key: b.key(name), VersionId: version, ExpectedBucketOwner: b.owner,
			ChecksumMode: types.ChecksumModeEnabled})
	})
	if err != nil {
		return err
	}
	sum, err := base64.StdEncoding.DecodeString(sdk.ToString(head.ChecksumSHA256))
	if head.ChecksumType == types.ChecksumTypeComposite || err != nil || len(sum) != sha256.Size {
		if sum, err = b.hash(ctx, name, version); err != nil {
			return err
		}
	}
	if !bytes.Equal(sum, x.sum[:]) {
		return differs()
	}
	if head.ObjectLockMode == types.ObjectLockModeCompliance {
		return nil
	}
	_, err = call(ctx, b.c, b.calls, "PutObjectRetention", writing, func(ctx context.Context) (*s3.PutObjectRetentionOutput, error) {
		return b.client.PutObjectRetention(ctx, &s3.PutObjectRetentionInput{Bucket: &b.name, Key: b.key(name), VersionId: version, ExpectedBucketOwner: b.owner,
			ChecksumAlgorithm: types.ChecksumAlgorithmSha256,
			Retention:         &types.ObjectLockRetention{Mode: types.ObjectLockRetentionModeCompliance, RetainUntilDate: &until}})
	})
	return err
}

// hash reads an object that S3 has no SHA-256 of.
func (b *bucket) hash(ctx context.Context, name string, version *string) ([]byte, error) {
	r, err := b.get(ctx, name, version)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		return nil, err
	}
	return h.Sum(nil), nil
}

func (b *bucket) open(ctx context.Context, name string) (io.ReadCloser, error) {
	doing := "opening " + name
	version, err := b.oldest(ctx, name)
	if err != nil {
		return nil, b.explain(doing, err)
	}
	r, err := b.get(ctx, name, version)
	return r, b.explain(doing, err)
}

// silence is how long a body may come to nothing before it is given up.
const silence = time.Minute

// get begins to read a version. Its body outlives the attempt that asked for it, so that ends it only until the answer is here; from then on
// silence does, or the caller's context.
func (b *bucket) get(ctx context.Context, name string, version *string) (io.ReadCloser, error) {
	bctx, cancel := context.WithCancel(ctx)
	out, err := call(ctx, b.c, b.calls, "GetObject", reading, func(actx context.Context) (*s3.GetObjectOutput, error) {
		// An attempt that was given up takes its own context along, and the next has another.
		gctx, end := context.WithCancel(bctx)
		stop := context.AfterFunc(actx, end)
		out, err := b.client.GetObject(gctx, &s3.GetObjectInput{Bucket: &b.name, Key: b.key(name), VersionId: version, ExpectedBucketOwner: b.owner})
		if err == nil && !stop() { // the attempt's time was up as the answer came
			_ = out.Body.Close()
			err = actx.Err()
		}
		if err != nil {
			end()
		}
		return out, err
	})
	if err != nil {
		cancel()
		return nil, err
	}
	return &body{ReadCloser: out.Body, end: cancel, alarm: time.AfterFunc(silence, cancel)}, nil
}

// body is an object's bytes on their way.
type body struct {
	io.ReadCloser
	end   context.CancelFunc
	alarm *time.Timer
}

// Read puts off the alarm. Whoever reads so slowly that it rings between two reads gets an error and may begin again.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.alarm.Stop() {
		b.alarm.Reset(silence)
	}
	return n, err
}

// Close ends the connection of a body that was not read to its end.
func (b *body) Close() error {
	b.alarm.Stop()
	b.end()
	return b.ReadCloser.Close()
}

func (b *bucket) key(name string) *string { return sdk.String(b.prefix + name) }

// explain is errors.go's explain for S3, whose codes are its own. A bucket in another Region says so in a header.
func (b *bucket) explain(doing string, err error) error {
	if err == nil {
		return nil
	}
	c := code(err)
	words, lasting := bucketWords[c]
	switch {
	case c == codeNoKey || c == "NoSuchVersion":
		return fmt.Errorf("%s: %w", doing, fs.ErrNotExist)
	case wrongRegion[c]:
		where := regionHeader(err)
		if where == "" {
			return fmt.Errorf("%s: %w", doing, err)
		}
		return refusedBy(doing, c, fmt.Sprintf("the bucket %s is in %s, not in %s: write ?region=%s after the archive's URL", b.name, where, b.region, where))
	case lasting:
		words = fmt.Sprintf(words, b.name)
		var api smithy.APIError
		if errors.As(err, &api) && api.ErrorMessage() != "" { // some codes stand for many things
			words += " (S3: " + clean(api.ErrorMessage(), 300) + ")"
		}
		return refusedBy(doing, c, words)
	}
	return explain(doing, err)
}

func refusedBy(doing, code, words string) error {
	return fmt.Errorf("%s: %w", doing, &store.Refusal{Code: code, Message: words})
}

// bucketWords are the answers that last, and what they mean.
var bucketWords = map[string]string{
	"NoSuchBucket": "there is no bucket %s",
	"AccessDenied": "the bot may not do this in the bucket %s: it needs s3:PutObject, s3:PutObjectRetention, s3:GetObject, s3:GetObjectVersion and " +
		"s3:ListBucketVersions there, and the right to use its KMS key if it has one",
	"Forbidden":             "the bot may not read in the bucket %s: it needs s3:GetObject and s3:GetObjectVersion there, and the right to use its KMS key if it has one",
	"InvalidRequest":        "the bucket %s does not take a lock with an object: switch Object Lock on, which cannot be undone",
	"InvalidBucketState":    "the bucket %s is in no state for that: it needs versioning and Object Lock",
	"InvalidArgument":       "S3 does not take the date until which an object is to be kept in %s: see report.retain in the policy",
	"MethodNotAllowed":      "the bucket %s does not take it",
	"EntityTooLarge":        "S3 takes no object as large as this in %s",
	"AllAccessDisabled":     "all access to the bucket %s is switched off",
	CodeChanged:             "what was to be stored in %s is not what its checksum says",
	"KMS.DisabledException": "the KMS key of the bucket %s is disabled",
}

// wrongRegion are S3's ways of saying that a bucket is elsewhere.
var wrongRegion = map[string]bool{"PermanentRedirect": true, "AuthorizationHeaderMalformed": true, "MovedPermanently": true, "IllegalLocationConstraintException": true}

// regionHeader is where S3 says that the bucket is; "" where it does not.
func regionHeader(err error) string {
	var answer *smithyhttp.ResponseError
	if !errors.As(err, &answer) || answer.Response == nil || answer.Response.Response == nil {
		return ""
	}
	return clean(http.Header.Get(answer.Response.Header, "X-Amz-Bucket-Region"), 40)
}
