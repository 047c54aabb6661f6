package awstwin_test

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"breakglass/deploy/sandbox/awstwin"
)

const archive = "forge-breakglass-archive"

// keeper is a bot whose policy lets it put and read, and nothing else.
const keeper = `{"Version":"2012-10-17","Statement":[
 {"Effect":"Allow","Action":["s3:PutObject","s3:PutObjectRetention","s3:GetObject","s3:GetObjectVersion"],"Resource":"arn:aws:s3:::forge-breakglass-archive/*"},
 {"Effect":"Allow","Action":["s3:ListBucket","s3:ListBucketVersions"],"Resource":"arn:aws:s3:::forge-breakglass-archive"}]}`

func sealed(key, body string, until time.Time) *s3.PutObjectInput {
	return &s3.PutObjectInput{Bucket: aws.String(archive), Key: &key, Body: strings.NewReader(body), ChecksumAlgorithm: s3types.ChecksumAlgorithmSha256,
		ObjectLockMode: s3types.ObjectLockModeCompliance, ObjectLockRetainUntilDate: &until, IfNoneMatch: aws.String("*")}
}

// TestListsOfABucketInPages: objects, folders and versions, each in pages of two, none twice and none left out.
func TestListsOfABucketInPages(t *testing.T) {
	w := newWorld(t, nil)
	w.AddBucket(management, "us-east-1", archive, true)
	c := s3of(w)
	var want []string
	for _, k := range []string{"log/1", "log/2", "log/3", "sessions/BG-1/a", "sessions/BG-1/b", "sessions/BG-2/a", "top"} {
		want = append(want, k)
		for range 2 {
			in := sealed(k, k, w.now().Add(time.Hour))
			in.IfNoneMatch = nil
			if _, err := c.PutObject(ctxOf(t), in); err != nil {
				t.Fatal(err)
			}
		}
	}
	w.HideObject(archive, "log/2")
	var keys, folders []string
	for p := s3.NewListObjectsV2Paginator(c, &s3.ListObjectsV2Input{Bucket: aws.String(archive), MaxKeys: aws.Int32(2)}); p.HasMorePages(); {
		out := must[*s3.ListObjectsV2Output](t)(p.NextPage(ctxOf(t)))
		for _, o := range out.Contents {
			keys = append(keys, *o.Key)
		}
	}
	if all := slices.DeleteFunc(slices.Clone(want), func(s string) bool { return s == "log/2" }); !slices.Equal(keys, all) {
		t.Errorf("%v", keys)
	}
	for size := range int32(3) {
		for p := s3.NewListObjectsV2Paginator(c, &s3.ListObjectsV2Input{Bucket: aws.String(archive), MaxKeys: aws.Int32(size + 1), Delimiter: aws.String("/")}); p.HasMorePages(); {
			out := must[*s3.ListObjectsV2Output](t)(p.NextPage(ctxOf(t)))
			for _, f := range out.CommonPrefixes {
				folders = append(folders, *f.Prefix)
			}
		}
		if !slices.Equal(folders, []string{"log/", "sessions/"}) {
			t.Errorf("%v in pages of %d", folders, size+1)
		}
		folders = nil
	}
	versions, markers := map[string]int{}, 0
	for p := s3.NewListObjectVersionsPaginator(c, &s3.ListObjectVersionsInput{Bucket: aws.String(archive), MaxKeys: aws.Int32(2)}); p.HasMorePages(); {
		out := must[*s3.ListObjectVersionsOutput](t)(p.NextPage(ctxOf(t)))
		for _, v := range out.Versions {
			versions[*v.Key+*v.VersionId]++
		}
		markers += len(out.DeleteMarkers)
	}
	if len(versions) != 2*len(want) || markers != 1 {
		t.Errorf("%d versions and %d markers", len(versions), markers)
	}
}

// TestWhoMayWhatWithVersions: reading or taking away a version is another permission than the same of the object, and who may not list is
// not told what is missing.
func TestWhoMayWhatWithVersions(t *testing.T) {
	w := newWorld(t, nil)
	w.AddBucket(management, "us-east-1", archive, true)
	w.SetBotPolicy(map[string]string{"keeper": keeper})
	c := s3of(w)
	made := must[*s3.PutObjectOutput](t)(c.PutObject(ctxOf(t), sealed("a", "1", w.now().Add(time.Hour))))
	_, err := c.DeleteObject(ctxOf(t), &s3.DeleteObjectInput{Bucket: aws.String(archive), Key: aws.String("a")})
	wantCode(t, err, "AccessDenied")
	_, err = c.DeleteObject(ctxOf(t), &s3.DeleteObjectInput{Bucket: aws.String(archive), Key: aws.String("a"), VersionId: made.VersionId})
	wantCode(t, err, "AccessDenied")
	w.CoverObject(archive, "a", []byte("2"))
	got := must[*s3.GetObjectOutput](t)(c.GetObject(ctxOf(t), &s3.GetObjectInput{Bucket: aws.String(archive), Key: aws.String("a"), VersionId: made.VersionId,
		ChecksumMode: s3types.ChecksumModeEnabled}))
	if b, _ := io.ReadAll(got.Body); string(b) != "1" || got.ChecksumSHA256 == nil {
		t.Errorf("%q %+v", b, got)
	}
	_, err = c.GetObject(ctxOf(t), &s3.GetObjectInput{Bucket: aws.String(archive), Key: aws.String("none")})
	wantCode(t, err, "NoSuchKey")
	w.SetBotPolicy(map[string]string{"keeper": strings.Replace(keeper, "s3:ListBucket", "s3:ListNothing", 1)})
	_, err = c.GetObject(ctxOf(t), &s3.GetObjectInput{Bucket: aws.String(archive), Key: aws.String("none")})
	wantCode(t, err, "AccessDenied")
}

// TestAnInsiderAtTheStorage: what each of the hands does to an object under lock, as a reader sees it.
func TestAnInsiderAtTheStorage(t *testing.T) {
	w := newWorld(t, nil)
	w.AddBucket(management, "us-east-1", archive, true)
	c := s3of(w)
	for _, k := range []string{"changed", "covered", "hidden", "erased"} {
		if _, err := c.PutObject(ctxOf(t), sealed(k, "truth", w.now().Add(time.Hour))); err != nil {
			t.Fatal(err)
		}
	}
	if !w.OverwriteObject(archive, "changed", []byte("lies!")) || !w.CoverObject(archive, "covered", []byte("lies!")) ||
		!w.HideObject(archive, "hidden") || !w.EraseObject(archive, "erased") || w.EraseObject(archive, "none") {
		t.Fatal("a hand slipped")
	}
	w.PlaceObject(archive, "placed", []byte("lies!"))
	if now := fmt.Sprintf("%s", w.CurrentObjects(archive)); now != "map[changed:lies! covered:lies! placed:lies!]" {
		t.Error(now)
	}
	// The SDK checks the checksum that the object was put with: the overwritten one passes, since whoever can do that can also do the sum.
	got := must[*s3.GetObjectOutput](t)(c.GetObject(ctxOf(t), &s3.GetObjectInput{Bucket: aws.String(archive), Key: aws.String("changed"), ChecksumMode: s3types.ChecksumModeEnabled}))
	if b, err := io.ReadAll(got.Body); err != nil || string(b) != "lies!" || got.ObjectLockMode != s3types.ObjectLockModeCompliance {
		t.Errorf("%q %v %+v", b, err, got)
	}
	if n := len(w.ObjectVersions(archive)); n != 6 { // one, two, one and a marker, none, and the placed one
		t.Errorf("%d versions", n)
	}
}

// TestS3HasBadDays: conflicts that the protocol wants tried again, a service that is away, and one that is slow.
func TestS3HasBadDays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := awstwin.New(awstwin.Config{})
		o.AddBucket(management, "us-east-1", archive, true)
		c := s3.NewFromConfig(bot(o), func(o *s3.Options) { o.UsePathStyle = true })
		put := func() error {
			_, err := c.PutObject(t.Context(), sealed("a", "1", time.Now().Add(time.Hour)))
			return err
		}
		o.FailNext("s3", "PutObject", "ConditionalRequestConflict", 1)
		wantCode(t, put(), "ConditionalRequestConflict")
		o.Outage("s3", true)
		wantCode(t, put(), "ServiceUnavailable")
		o.Outage("s3", false)
		o.SetServiceDelay("s3", 3*time.Second)
		start := time.Now()
		if err := put(); err != nil || time.Since(start) != 3*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		wantCode(t, put(), "PreconditionFailed")
		_, err := c.GetBucketPolicyStatus(t.Context(), &s3.GetBucketPolicyStatusInput{Bucket: aws.String(archive)})
		wantCode(t, err, "NoSuchBucketPolicy")
		block, err := c.GetPublicAccessBlock(t.Context(), &s3.GetPublicAccessBlockInput{Bucket: aws.String(archive)})
		if err != nil || !*block.PublicAccessBlockConfiguration.BlockPublicAcls {
			t.Error(err)
		}
		in := sealed("b", "1", time.Now().Add(time.Hour))
		in.ChecksumAlgorithm, in.ContentMD5 = "", aws.String("AAAAAAAAAAAAAAAAAAAAAA==")
		_, err = c.PutObject(t.Context(), in)
		wantCode(t, err, "BadDigest")
	})
}

// TestPartsOfAnObject: ranges, a version that must not have changed meanwhile, another owner, another Region, another account.
func TestPartsOfAnObject(t *testing.T) {
	w := newWorld(t, nil)
	w.AddBucket(management, "us-east-1", "logs", false)
	w.AddBucket(management, "eu-west-1", "elsewhere", false)
	w.AddBucket(prod, "us-east-1", "theirs", false)
	w.PlaceObject("logs", "a", []byte("0123456789"))
	w.PlaceObject("logs", "empty", nil)
	w.PlaceObject("theirs", "a", []byte("x"))
	c := s3of(w)
	for r, want := range map[string]string{"bytes=0-3": "0123 bytes 0-3/10", "bytes=8-99": "89 bytes 8-9/10", "bytes=7-": "789 bytes 7-9/10", "bytes=-2": "89 bytes 8-9/10", "lines=1-2": "0123456789 "} {
		out, err := c.GetObject(ctxOf(t), &s3.GetObjectInput{Bucket: aws.String("logs"), Key: aws.String("a"), Range: &r})
		if err != nil {
			t.Fatal(err)
		}
		if b, _ := io.ReadAll(out.Body); string(b)+" "+aws.ToString(out.ContentRange) != want {
			t.Errorf("%s: %s %s", r, b, aws.ToString(out.ContentRange))
		}
	}
	get := func(change func(*s3.GetObjectInput)) error {
		in := &s3.GetObjectInput{Bucket: aws.String("logs"), Key: aws.String("a")}
		change(in)
		_, err := c.GetObject(ctxOf(t), in)
		return err
	}
	wantCode(t, get(func(in *s3.GetObjectInput) { in.Key, in.Range = aws.String("empty"), aws.String("bytes=0-3") }), "InvalidRange")
	wantCode(t, get(func(in *s3.GetObjectInput) { in.IfMatch = aws.String("other") }), "PreconditionFailed")
	wantCode(t, get(func(in *s3.GetObjectInput) { in.ExpectedBucketOwner = aws.String(prod) }), "AccessDenied")
	wantCode(t, get(func(in *s3.GetObjectInput) { in.Bucket = aws.String("theirs") }), "AccessDenied")
	w.ShareBucket("theirs", management)
	if err := get(func(in *s3.GetObjectInput) { in.Bucket = aws.String("theirs") }); err != nil {
		t.Error(err)
	}
	err := get(func(in *s3.GetObjectInput) { in.Bucket = aws.String("elsewhere") })
	var answer *smithyhttp.ResponseError
	if code(err) != "PermanentRedirect" || !errors.As(err, &answer) || answer.Response.Header.Get("X-Amz-Bucket-Region") != "eu-west-1" {
		t.Error(err)
	}
}
