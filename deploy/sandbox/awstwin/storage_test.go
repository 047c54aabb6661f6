package awstwin_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"
	sestypes "github.com/aws/aws-sdk-go-v2/service/sesv2/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"breakglass/deploy/sandbox/awstwin"
)

func s3of(w *world) *s3.Client {
	return s3.NewFromConfig(bot(w.Organization), func(o *s3.Options) { o.UsePathStyle = true })
}

func TestObjectLock(t *testing.T) {
	w := newWorld(t, nil)
	w.AddBucket(management, "us-east-1", "forge-breakglass-archive", true)
	c, bucket, key := s3of(w), aws.String("forge-breakglass-archive"), aws.String("2026/BG-1042.json")
	until := w.now().Add(24 * time.Hour)
	put := func() *s3.PutObjectInput {
		return &s3.PutObjectInput{Bucket: bucket, Key: key, Body: strings.NewReader("evidence"), ChecksumAlgorithm: s3types.ChecksumAlgorithmSha256,
			ObjectLockMode: s3types.ObjectLockModeCompliance, ObjectLockRetainUntilDate: &until, IfNoneMatch: aws.String("*")}
	}
	made, err := c.PutObject(ctxOf(t), put())
	if err != nil || made.VersionId == nil {
		t.Fatalf("%+v %v", made, err)
	}
	_, err = c.PutObject(ctxOf(t), put())
	wantCode(t, err, "PreconditionFailed")
	past := w.now().Add(-time.Hour)
	in := put()
	in.Key, in.ObjectLockRetainUntilDate = aws.String("other"), &past
	_, err = c.PutObject(ctxOf(t), in)
	wantCode(t, err, "InvalidArgument")
	_, err = c.DeleteObject(ctxOf(t), &s3.DeleteObjectInput{Bucket: bucket, Key: key, VersionId: made.VersionId, BypassGovernanceRetention: aws.Bool(true)})
	wantCode(t, err, "AccessDenied")
	shorter := w.now().Add(time.Hour)
	_, err = c.PutObjectRetention(ctxOf(t), &s3.PutObjectRetentionInput{Bucket: bucket, Key: key, VersionId: made.VersionId,
		Retention: &s3types.ObjectLockRetention{Mode: s3types.ObjectLockRetentionModeCompliance, RetainUntilDate: &shorter}})
	wantCode(t, err, "AccessDenied")
	head, err := c.HeadObject(ctxOf(t), &s3.HeadObjectInput{Bucket: bucket, Key: key})
	if err != nil || head.ObjectLockMode != s3types.ObjectLockModeCompliance || !head.ObjectLockRetainUntilDate.Equal(until) {
		t.Fatalf("%+v %v", head, err)
	}
	r, err := c.GetObjectRetention(ctxOf(t), &s3.GetObjectRetentionInput{Bucket: bucket, Key: key})
	if err != nil || r.Retention.Mode != s3types.ObjectLockRetentionModeCompliance {
		t.Fatalf("%+v %v", r, err)
	}
	// A plain delete only puts a marker; what is locked stays, and If-None-Match no longer sees it.
	if _, err = c.DeleteObject(ctxOf(t), &s3.DeleteObjectInput{Bucket: bucket, Key: key}); err != nil {
		t.Fatal(err)
	}
	_, err = c.GetObject(ctxOf(t), &s3.GetObjectInput{Bucket: bucket, Key: key})
	var gone *s3types.NoSuchKey
	if !errors.As(err, &gone) {
		t.Fatal(err)
	}
	if n := len(w.Objects("forge-breakglass-archive")); n != 1 {
		t.Fatalf("%d versions", n)
	}
	w.skip(25 * time.Hour)
	if _, err = c.DeleteObject(ctxOf(t), &s3.DeleteObjectInput{Bucket: bucket, Key: key, VersionId: made.VersionId}); err != nil {
		t.Fatalf("after its time: %v", err)
	}
}

func TestObjects(t *testing.T) {
	w := newWorld(t, nil)
	c := s3of(w)
	bucket := aws.String("plain")
	if _, err := c.CreateBucket(ctxOf(t), &s3.CreateBucketInput{Bucket: bucket}); err != nil {
		t.Fatal(err)
	}
	for _, k := range []string{"a/1", "a/2", "a/3", "b/1 with space+plus"} {
		if _, err := c.PutObject(ctxOf(t), &s3.PutObjectInput{Bucket: bucket, Key: &k, Body: bytes.NewReader([]byte(k)), ContentType: aws.String("text/plain")}); err != nil {
			t.Fatal(err)
		}
	}
	p := s3.NewListObjectsV2Paginator(c, &s3.ListObjectsV2Input{Bucket: bucket, Prefix: aws.String("a/"), MaxKeys: aws.Int32(2)})
	n := 0
	for p.HasMorePages() {
		out, err := p.NextPage(ctxOf(t))
		if err != nil {
			t.Fatal(err)
		}
		n += len(out.Contents)
	}
	if n != 3 {
		t.Fatalf("%d keys", n)
	}
	got, err := c.GetObject(ctxOf(t), &s3.GetObjectInput{Bucket: bucket, Key: aws.String("b/1 with space+plus")})
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := io.ReadAll(got.Body); string(b) != "b/1 with space+plus" {
		t.Fatalf("%q", b)
	}
	_, err = c.PutObject(ctxOf(t), &s3.PutObjectInput{Bucket: bucket, Key: aws.String("x"), ObjectLockMode: "COMPLIANCE", ObjectLockRetainUntilDate: aws.Time(w.now().Add(time.Hour))})
	wantCode(t, err, "InvalidRequest")
	_, err = c.HeadObject(ctxOf(t), &s3.HeadObjectInput{Bucket: bucket, Key: aws.String("none")})
	var missing *s3types.NotFound
	if !errors.As(err, &missing) {
		t.Fatal(err)
	}
	_, err = c.GetObject(ctxOf(t), &s3.GetObjectInput{Bucket: aws.String("nowhere"), Key: aws.String("none")})
	wantCode(t, err, "NoSuchBucket")
}

func TestQueue(t *testing.T) {
	w := newWorld(t, nil)
	c := sqs.NewFromConfig(bot(w.Organization))
	q, err := c.CreateQueue(ctxOf(t), &sqs.CreateQueueInput{QueueName: aws.String("breakglass-events")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.SendMessage(ctxOf(t), &sqs.SendMessageInput{QueueUrl: q.QueueUrl, MessageBody: aws.String(`{"a":1}`)}); err != nil {
		t.Fatal(err)
	}
	get := func() []sqstypes.Message {
		out, err := c.ReceiveMessage(ctxOf(t), &sqs.ReceiveMessageInput{QueueUrl: q.QueueUrl, MaxNumberOfMessages: 10})
		if err != nil {
			t.Fatal(err)
		}
		return out.Messages
	}
	first := get()
	if len(first) != 1 || *first[0].Body != `{"a":1}` || len(get()) != 0 {
		t.Fatalf("%+v", first)
	}
	w.skip(31 * time.Second)
	again := get()
	if len(again) != 1 || again[0].Attributes["ApproximateReceiveCount"] != "2" {
		t.Fatalf("%+v", again)
	}
	if _, err := c.ChangeMessageVisibility(ctxOf(t), &sqs.ChangeMessageVisibilityInput{QueueUrl: q.QueueUrl, ReceiptHandle: again[0].ReceiptHandle, VisibilityTimeout: 0}); err != nil {
		t.Fatal(err)
	}
	third := get()
	if _, err := c.DeleteMessage(ctxOf(t), &sqs.DeleteMessageInput{QueueUrl: q.QueueUrl, ReceiptHandle: third[0].ReceiptHandle}); err != nil {
		t.Fatal(err)
	}
	attrs, err := c.GetQueueAttributes(ctxOf(t), &sqs.GetQueueAttributesInput{QueueUrl: q.QueueUrl, AttributeNames: []sqstypes.QueueAttributeName{"All"}})
	if err != nil || attrs.Attributes["ApproximateNumberOfMessages"] != "0" || attrs.Attributes["QueueArn"] != "arn:aws:sqs:us-east-1:"+management+":breakglass-events" {
		t.Fatalf("%+v %v", attrs, err)
	}
	_, err = c.GetQueueUrl(ctxOf(t), &sqs.GetQueueUrlInput{QueueName: aws.String("none")})
	var gone *sqstypes.QueueDoesNotExist
	if !errors.As(err, &gone) {
		t.Fatal(err)
	}
}

// TestLongPoll runs in a bubble: the poll waits on the bubble's clock and wakes with the message.
func TestLongPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := awstwin.New(awstwin.Config{})
		url := o.AddQueue(management, "us-east-1", "q", "http://aws.sandbox")
		c := sqs.NewFromConfig(bot(o))
		start := time.Now()
		out, err := c.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &url, WaitTimeSeconds: 20})
		if err != nil || len(out.Messages) != 0 || time.Since(start) != 20*time.Second {
			t.Fatalf("empty: %+v %v after %v", out, err, time.Since(start))
		}
		start = time.Now()
		time.AfterFunc(7*time.Second, func() { o.Enqueue(management, "us-east-1", "q", "hello") })
		out, err = c.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &url, WaitTimeSeconds: 20})
		if err != nil || len(out.Messages) != 1 || time.Since(start) != 7*time.Second {
			t.Fatalf("woken: %+v %v after %v", out, err, time.Since(start))
		}
	})
}

func TestMail(t *testing.T) {
	w := newWorld(t, nil)
	c := sesv2.NewFromConfig(bot(w.Organization))
	acct, err := c.GetAccount(ctxOf(t), &sesv2.GetAccountInput{})
	if err != nil || acct.ProductionAccessEnabled {
		t.Fatalf("%+v %v", acct, err)
	}
	in := &sesv2.SendEmailInput{FromEmailAddress: aws.String("Breakglass <breakglass@forge.example>"), Destination: &sestypes.Destination{ToAddresses: []string{"audit@partner.example"}},
		Content: &sestypes.EmailContent{Simple: &sestypes.Message{Subject: &sestypes.Content{Data: aws.String("BG-1042")}, Body: &sestypes.Body{Text: &sestypes.Content{Data: aws.String("done")}}}}}
	_, err = c.SendEmail(ctxOf(t), in)
	var rejected *sestypes.MessageRejected
	if !errors.As(err, &rejected) {
		t.Fatal(err)
	}
	w.SetSES(management, "us-east-1", false, "forge.example")
	if _, err = c.SendEmail(ctxOf(t), in); !errors.As(err, &rejected) || strings.Contains(err.Error(), "breakglass@") {
		t.Fatalf("unverified recipient in the sandbox: %v", err)
	}
	w.SetSES(management, "us-east-1", true)
	if _, err = c.SendEmail(ctxOf(t), in); err != nil {
		t.Fatal(err)
	}
	in.Content = &sestypes.EmailContent{Raw: &sestypes.RawMessage{Data: []byte("Subject: =?utf-8?q?r=C3=A9sum=C3=A9?=\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n" +
		"--x\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<b>a=3Db</b>\r\n" +
		"--x\r\nContent-Type: application/json\r\nContent-Disposition: attachment; filename=report.json\r\nContent-Transfer-Encoding: base64\r\n\r\ne30=\r\n--x--\r\n")}}
	if _, err = c.SendEmail(ctxOf(t), in); err != nil {
		t.Fatal(err)
	}
	mails := w.Mails()
	if len(mails) != 2 || mails[0].Subject != "BG-1042" || mails[0].Text != "done" || mails[1].Subject != "résumé" || mails[1].HTML != "<b>a=b</b>" ||
		len(mails[1].Attachments) != 1 || string(mails[1].Attachments[0].Content) != "{}" {
		t.Fatalf("%+v", mails)
	}
	id, err := c.GetEmailIdentity(ctxOf(t), &sesv2.GetEmailIdentityInput{EmailIdentity: aws.String("forge.example")})
	if err != nil || !id.VerifiedForSendingStatus {
		t.Fatalf("%+v %v", id, err)
	}
	_, err = c.GetEmailIdentity(ctxOf(t), &sesv2.GetEmailIdentityInput{EmailIdentity: aws.String("none@forge.example")})
	var gone *sestypes.NotFoundException
	if !errors.As(err, &gone) {
		t.Fatal(err)
	}
}

func TestSecrets(t *testing.T) {
	w := newWorld(t, nil)
	w.SetParameter(management, "us-east-1", "/breakglass/slack", "xoxb-1")
	w.SetSecret(management, "us-east-1", "breakglass", "s3cret")
	c := ssm.NewFromConfig(bot(w.Organization))
	p, err := c.GetParameter(ctxOf(t), &ssm.GetParameterInput{Name: aws.String("/breakglass/slack"), WithDecryption: aws.Bool(true)})
	if err != nil || *p.Parameter.Value != "xoxb-1" {
		t.Fatalf("%+v %v", p, err)
	}
	_, err = c.GetParameter(ctxOf(t), &ssm.GetParameterInput{Name: aws.String("/none")})
	var gone *ssmtypes.ParameterNotFound
	if !errors.As(err, &gone) {
		t.Fatal(err)
	}
	s, err := secretsmanager.NewFromConfig(bot(w.Organization)).GetSecretValue(ctxOf(t), &secretsmanager.GetSecretValueInput{SecretId: aws.String("breakglass")})
	if err != nil || *s.SecretString != "s3cret" {
		t.Fatalf("%+v %v", s, err)
	}
}

// TestAMailWithPictures: what is shown in the HTML is told from what is attached, and 40 MB are the most, encoded.
func TestAMailWithPictures(t *testing.T) {
	w := newWorld(t, nil)
	w.SetSES(management, "us-east-1", true, "forge.example")
	c := sesv2.NewFromConfig(bot(w.Organization))
	send := func(a ...sestypes.Attachment) error {
		_, err := c.SendEmail(ctxOf(t), &sesv2.SendEmailInput{FromEmailAddress: aws.String("breakglass@forge.example"), Destination: &sestypes.Destination{ToAddresses: []string{"sec@forge.example"}},
			Content: &sestypes.EmailContent{Simple: &sestypes.Message{Subject: &sestypes.Content{Data: aws.String("BG-1042")}, Attachments: a,
				Body: &sestypes.Body{Html: &sestypes.Content{Data: aws.String(`<img src="cid:timeline">`)}}}}})
		return err
	}
	if err := send(sestypes.Attachment{FileName: aws.String("timeline.png"), ContentType: aws.String("image/png"), ContentId: aws.String("timeline"),
		ContentDisposition: sestypes.AttachmentContentDispositionInline, RawContent: []byte("PNG")},
		sestypes.Attachment{FileName: aws.String("report.json"), RawContent: []byte("{}")}); err != nil {
		t.Fatal(err)
	}
	a := w.Mails()[0].Attachments
	if len(a) != 2 || !a[0].Inline || a[0].ContentID != "timeline" || a[1].Inline || string(a[1].Content) != "{}" {
		t.Errorf("%+v", a)
	}
	err := send(sestypes.Attachment{FileName: aws.String("all.bin"), RawContent: make([]byte, 31<<20)})
	wantCode(t, err, "BadRequestException")
	if err = send(sestypes.Attachment{FileName: aws.String("some.bin"), RawContent: make([]byte, 29<<20)}); err != nil {
		t.Error(err)
	}
}
