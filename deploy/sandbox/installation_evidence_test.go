package sandbox_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/athena"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	logs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"breakglass/deploy/sandbox"
)

// TestTheRestrictedBotKeepsEvidence: it puts, locks, lists and reads, and takes nothing away; it signs; it reads the trail by all its doors.
func TestTheRestrictedBotKeepsEvidence(t *testing.T) {
	f, ctx := newForge(t), t.Context()
	f.RestrictBot()
	c, bucket, key := s3.NewFromConfig(f.bot(), func(o *s3.Options) { o.UsePathStyle = true }), aws.String(sandbox.ArchiveBucket), aws.String("log/1.jsonl")
	until := f.now.Add(8760 * time.Hour)
	made, err := c.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: key, Body: strings.NewReader("{}\n"), IfNoneMatch: aws.String("*"), ChecksumAlgorithm: s3types.ChecksumAlgorithmSha256,
		ObjectLockMode: s3types.ObjectLockModeCompliance, ObjectLockRetainUntilDate: &until})
	f.want(err, false, "evidence")
	_, err = c.ListObjectVersions(ctx, &s3.ListObjectVersionsInput{Bucket: bucket})
	f.want(err, false, "its versions")
	_, err = c.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: key, VersionId: made.VersionId})
	f.want(err, false, "a look at it")
	_, err = c.GetObjectLockConfiguration(ctx, &s3.GetObjectLockConfigurationInput{Bucket: bucket})
	f.want(err, false, "the lock of the bucket")
	_, err = c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: bucket, Key: key})
	f.want(err, true, "a delete marker")
	_, err = c.PutObjectLegalHold(ctx, &s3.PutObjectLegalHoldInput{Bucket: bucket, Key: key, LegalHold: &s3types.ObjectLockLegalHold{Status: "ON"}})
	f.want(err, true, "a legal hold")
	_, err = c.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String(sandbox.AthenaResults + "x"), Key: key, Body: strings.NewReader("x")})
	f.want(err, true, "an object elsewhere")
	_, err = kms.NewFromConfig(f.bot()).Sign(ctx, &kms.SignInput{KeyId: aws.String(sandbox.KeyAlias), Message: []byte("x"), SigningAlgorithm: kmstypes.SigningAlgorithmSpecEd25519Sha512})
	f.want(err, false, "a signature")

	query, err := logs.NewFromConfig(f.bot()).StartQuery(ctx, &logs.StartQueryInput{LogGroupName: aws.String(sandbox.TrailGroup), QueryString: aws.String("fields @message"),
		StartTime: aws.Int64(f.now.Unix()), EndTime: aws.Int64(f.now.Unix())})
	f.want(err, false, "a query of the trail")
	_, err = logs.NewFromConfig(f.bot()).GetQueryResults(ctx, &logs.GetQueryResultsInput{QueryId: query.QueryId})
	f.want(err, false, "its results")
	run, err := athena.NewFromConfig(f.bot()).StartQueryExecution(ctx, &athena.StartQueryExecutionInput{WorkGroup: aws.String(sandbox.AthenaGroup),
		QueryString: aws.String("SELECT eventid FROM " + sandbox.TrailDatabase + "." + sandbox.TrailTable)})
	f.want(err, false, "a query of the table")
	f.now = f.now.Add(10 * time.Second)
	_, err = athena.NewFromConfig(f.bot()).GetQueryResults(ctx, &athena.GetQueryResultsInput{QueryExecutionId: run.QueryExecutionId})
	f.want(err, false, "its rows")
}

// TestTheRolesThatReadEvidence: the portal's events in the owner's account, and what was typed in a member account, and no more than that.
func TestTheRolesThatReadEvidence(t *testing.T) {
	f, ctx := newForge(t), t.Context()
	s := f.session("alice", sandbox.ProdWealth, emergency)
	shell, err := s.OpenShell(ctx, "us-east-1", f.AWS.Instances(sandbox.ProdWealth)[0].ID, "")
	if err != nil {
		t.Fatal(err)
	}
	shell.Type("uptime")
	f.now = f.now.Add(61 * time.Minute)
	f.RestrictBot()
	owner := f.in(sandbox.Management, sandbox.PortalReader)
	seen, err := cloudtrail.NewFromConfig(owner).LookupEvents(ctx, nil)
	f.want(err, false, "the portal's events")
	if len(seen.Events) == 0 {
		t.Error("the owner's trail is empty")
	}
	_, err = s3.NewFromConfig(owner, func(o *s3.Options) { o.UsePathStyle = true }).ListBuckets(ctx, nil)
	f.want(err, true, "buckets of the owner")
	member := f.in(sandbox.ProdWealth, sandbox.MemberRole)
	_, err = ssm.NewFromConfig(member).GetDocument(ctx, &ssm.GetDocumentInput{Name: aws.String("SSM-SessionManagerRunShell")})
	f.want(err, false, "the preferences")
	get := func(cfg aws.Config) error {
		_, err := s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true }).GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String(sandbox.ShellBucket), Key: aws.String("shells/" + shell.ID + ".log")})
		return err
	}
	f.want(get(member), false, "what was typed")
	f.want(get(f.in(sandbox.ProdCash, sandbox.MemberRole)), true, "what was typed in another account")
	cash := f.in(sandbox.ProdCash, sandbox.MemberRole)
	_, err = logs.NewFromConfig(cash).GetLogEvents(ctx, &logs.GetLogEventsInput{LogGroupName: aws.String("/forge/prod-cash/api"), LogStreamName: aws.String("api-1")})
	f.want(err, true, "a log that is no shell's")
}
