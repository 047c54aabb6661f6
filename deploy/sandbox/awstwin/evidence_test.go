package awstwin_test

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	logs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	secrettypes "github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"breakglass/deploy/sandbox/awstwin"
)

func sign(id string, message []byte) *kms.SignInput {
	return &kms.SignInput{KeyId: &id, Message: message, MessageType: kmstypes.MessageTypeRaw, SigningAlgorithm: kmstypes.SigningAlgorithmSpecEd25519Sha512}
}

// TestAKeyThatSigns: what it signs holds against the public key it gives, under each of its names; and what it refuses.
func TestAKeyThatSigns(t *testing.T) {
	w := newWorld(t, nil)
	arn := w.AddKey(management, "us-east-1", "alias/breakglass")
	c := kms.NewFromConfig(bot(w.Organization))
	pub := must[*kms.GetPublicKeyOutput](t)(c.GetPublicKey(ctxOf(t), &kms.GetPublicKeyInput{KeyId: aws.String("alias/breakglass")}))
	parsed, err := x509.ParsePKIXPublicKey(pub.PublicKey)
	key, ok := parsed.(ed25519.PublicKey)
	if err != nil || !ok || !key.Equal(w.KeyPublic(arn)) || pub.KeySpec != kmstypes.KeySpecEccNistEdwards25519 {
		t.Fatalf("%v %T %+v", err, parsed, pub)
	}
	for _, id := range []string{arn, arn[strings.LastIndex(arn, "/")+1:], "alias/breakglass", "arn:aws:kms:us-east-1:" + management + ":alias/breakglass"} {
		out, err := c.Sign(ctxOf(t), sign(id, []byte("a checkpoint")))
		if err != nil || !ed25519.Verify(key, []byte("a checkpoint"), out.Signature) || *out.KeyId != arn {
			t.Errorf("%s: %+v %v", id, out, err)
		}
	}
	refused := func(want, id string, change func(*kms.SignInput)) {
		t.Helper()
		in := sign(id, []byte("x"))
		change(in)
		_, err := c.Sign(ctxOf(t), in)
		wantCode(t, err, want)
	}
	refused("ValidationException", arn, func(in *kms.SignInput) { in.Message = make([]byte, 4097) })
	refused("ValidationException", arn, func(in *kms.SignInput) { in.MessageType = kmstypes.MessageTypeDigest })
	refused("InvalidKeyUsageException", arn, func(in *kms.SignInput) { in.SigningAlgorithm = kmstypes.SigningAlgorithmSpecEcdsaSha256 })
	refused("NotFoundException", "alias/none", func(*kms.SignInput) {})
	refused("InvalidKeyUsageException", w.AddEncryptionKey(management, "us-east-1"), func(*kms.SignInput) {})
	refused("AccessDeniedException", w.AddKey(prod, "us-east-1"), func(*kms.SignInput) {})
	w.SetKeyState(arn, "Disabled")
	refused("DisabledException", arn, func(*kms.SignInput) {})
	d := must[*kms.DescribeKeyOutput](t)(c.DescribeKey(ctxOf(t), &kms.DescribeKeyInput{KeyId: &arn}))
	if d.KeyMetadata.Enabled || d.KeyMetadata.KeyState != kmstypes.KeyStateDisabled {
		t.Errorf("%+v", d.KeyMetadata)
	}
	w.SetKeyState(arn, "PendingDeletion")
	refused("KMSInvalidStateException", arn, func(*kms.SignInput) {})
	w.SetKeyState(arn, "Enabled")
	w.SetBotPolicy(map[string]string{"read": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"kms:GetPublicKey","Resource":"` + arn + `"}]}`})
	refused("AccessDeniedException", "alias/breakglass", func(*kms.SignInput) {})
}

// TestVersionsOfASecret: the one before stays by its label, the same call twice is one, and what was never put is not found.
func TestVersionsOfASecret(t *testing.T) {
	w := newWorld(t, nil)
	c := secretsmanager.NewFromConfig(bot(w.Organization))
	name, token := aws.String("breakglass/key"), aws.String(strings.Repeat("t", 32))
	create := &secretsmanager.CreateSecretInput{Name: name, SecretString: aws.String("one"), ClientRequestToken: token}
	made := must[*secretsmanager.CreateSecretOutput](t)(c.CreateSecret(ctxOf(t), create))
	if again := must[*secretsmanager.CreateSecretOutput](t)(c.CreateSecret(ctxOf(t), create)); *again.VersionId != *made.VersionId {
		t.Error("the same call made another")
	}
	_, err := c.CreateSecret(ctxOf(t), &secretsmanager.CreateSecretInput{Name: name, SecretString: aws.String("other")})
	var exists *secrettypes.ResourceExistsException
	if !errors.As(err, &exists) {
		t.Error(err)
	}
	if _, err := c.PutSecretValue(ctxOf(t), &secretsmanager.PutSecretValueInput{SecretId: made.ARN, SecretBinary: []byte{1, 2}}); err != nil {
		t.Fatal(err)
	}
	now := must[*secretsmanager.GetSecretValueOutput](t)(c.GetSecretValue(ctxOf(t), &secretsmanager.GetSecretValueInput{SecretId: name}))
	before := must[*secretsmanager.GetSecretValueOutput](t)(c.GetSecretValue(ctxOf(t), &secretsmanager.GetSecretValueInput{SecretId: name, VersionStage: aws.String("AWSPREVIOUS")}))
	if string(now.SecretBinary) != "\x01\x02" || now.SecretString != nil || *before.SecretString != "one" || *before.VersionId != *token {
		t.Errorf("%+v %+v", now, before)
	}
	_, err = c.GetSecretValue(ctxOf(t), &secretsmanager.GetSecretValueInput{SecretId: name, VersionId: aws.String(strings.Repeat("n", 32))})
	var gone *secrettypes.ResourceNotFoundException
	if !errors.As(err, &gone) {
		t.Error(err)
	}
	for _, e := range w.TrailEvents(management) {
		if strings.Contains(string(e), `"one"`) {
			t.Errorf("a secret in the trail: %s", e)
		}
	}
}

// TestWhatWasTypedIsLogged: to the bucket when the session ends, however it ends; to the log group at the end or line by line; nowhere for a
// forwarded port or without preferences.
func TestWhatWasTypedIsLogged(t *testing.T) {
	w := newWorld(t, nil)
	w.AddInstance(prod, "us-east-1", "i-0aaa", "web")
	w.AddBucket(prod, "us-east-1", "shell-logs", false)
	w.Assign(w.alice, prod, w.set)
	s := must[*awstwin.Session](t)(w.SignIn(w.alice, prod, w.set))
	c := ssm.NewFromConfig(as(w.Organization, s))
	_, err := c.GetDocument(ctxOf(t), &ssm.GetDocumentInput{Name: aws.String("SSM-SessionManagerRunShell")})
	var none *ssmtypes.InvalidDocument
	if !errors.As(err, &none) {
		t.Fatal(err)
	}
	open := func(s *awstwin.Session, document string) *awstwin.Shell {
		t.Helper()
		return must[*awstwin.Shell](t)(s.OpenShell(ctxOf(t), "us-east-1", "i-0aaa", document))
	}
	unlogged := open(s, "")
	w.SetSessionPreferences(prod, "us-east-1", &awstwin.SessionPreferences{S3Bucket: "shell-logs", S3Prefix: "ssm", LogGroup: "/ssm", Longest: time.Hour})
	doc := must[*ssm.GetDocumentOutput](t)(c.GetDocument(ctxOf(t), &ssm.GetDocumentInput{Name: aws.String("SSM-SessionManagerRunShell")}))
	var content struct{ Inputs map[string]any }
	if json.Unmarshal([]byte(*doc.Content), &content) != nil || content.Inputs["s3BucketName"] != "shell-logs" || content.Inputs["maxSessionDuration"] != "60" {
		t.Errorf("%s", *doc.Content)
	}
	terminated, left, forwarded := open(s, ""), open(s, ""), open(s, "AWS-StartPortForwardingSession")
	terminated.Type("sudo systemctl restart api")
	left.Type("cat /etc/passwd")
	forwarded.Type("not a shell")
	unlogged.Type("nobody sees this")
	unlogged.Close()
	if len(w.Objects("shell-logs")) != 0 {
		t.Error("logged before its end, or without preferences")
	}
	if _, err := c.TerminateSession(ctxOf(t), &ssm.TerminateSessionInput{SessionId: &terminated.ID}); err != nil {
		t.Fatal(err)
	}
	w.skip(time.Hour)
	w.Tick()
	got := w.CurrentObjects("shell-logs")
	if len(got) != 2 || !strings.Contains(string(got["ssm/"+terminated.ID+".log"]), "restart api") || !strings.Contains(string(got["ssm/"+left.ID+".log"]), "/etc/passwd") {
		t.Errorf("%s", got)
	}
	if lines := w.LogLines(prod, "us-east-1", "/ssm", left.ID); !strings.Contains(strings.Join(lines, "\n"), "/etc/passwd") {
		t.Errorf("%v", lines)
	}
	if left.Type("too late") {
		t.Error("typed into a session that has ended")
	}
	again := must[*awstwin.Session](t)(w.SignIn(w.alice, prod, w.set))
	old := must[*ssm.DescribeSessionsOutput](t)(ssm.NewFromConfig(as(w.Organization, again)).DescribeSessions(ctxOf(t), &ssm.DescribeSessionsInput{State: ssmtypes.SessionStateHistory}))
	limited := 0
	for _, x := range old.Sessions {
		if aws.ToString(x.MaxSessionDuration) == "60" {
			limited++
		}
	}
	if len(old.Sessions) != 4 || limited != 3 {
		t.Errorf("%d of them limited: %+v", limited, old.Sessions)
	}
	w.SetSessionPreferences(prod, "us-east-1", &awstwin.SessionPreferences{LogGroup: "/ssm", Streaming: true})
	live := open(again, "")
	live.Type("whoami")
	lines := must[*logs.GetLogEventsOutput](t)(logs.NewFromConfig(as(w.Organization, again)).GetLogEvents(ctxOf(t), &logs.GetLogEventsInput{LogGroupName: aws.String("/ssm"), LogStreamName: &live.ID}))
	var one struct{ SessionData []string }
	if len(lines.Events) != 1 || json.Unmarshal([]byte(*lines.Events[0].Message), &one) != nil || one.SessionData[0] != "whoami" {
		t.Errorf("%+v", lines.Events)
	}
	live.Close()
	if n := len(w.LogLines(prod, "us-east-1", "/ssm", live.ID)); n != 1 {
		t.Errorf("%d lines after a streamed session", n)
	}
}

// TestThePortalsEvents: in the owner's account and nowhere else, without a user name, in either type of identity, and late where asked.
func TestThePortalsEvents(t *testing.T) {
	w := newWorld(t, nil)
	w.SetQuotas(false)
	w.Assign(w.alice, prod, w.set)
	w.DelayEventsIn(management, "Federate", time.Hour, -1)
	_ = must[*awstwin.Session](t)(w.SignIn(w.alice, prod, w.set))
	cli := must[*awstwin.Session](t)(w.SignInCLI(w.alice, prod, w.set)).From("198.51.100.7", "aws-cli/2")
	w.SetPortalIdentity("Unknown")
	if err := cli.Do(ctxOf(t), awstwin.Action{Service: "ec2", Name: "DescribeInstances"}); err != nil {
		t.Fatal(err)
	}
	seen := func() map[string]string {
		t.Helper()
		out := map[string]string{}
		for _, e := range lookup(t, bot(w.Organization), "EventSource", "sso.amazonaws.com") {
			if e.Username != nil {
				t.Errorf("%s has a user name", *e.EventName)
			}
			var v struct {
				UserIdentity struct {
					Type       string
					OnBehalfOf struct{ UserId string }
				}
				RequestParameters   any
				ServiceEventDetails map[string]string
			}
			if err := json.Unmarshal([]byte(*e.CloudTrailEvent), &v); err != nil {
				t.Fatal(err)
			}
			if v.UserIdentity.OnBehalfOf.UserId == w.alice {
				if v.UserIdentity.Type != "Unknown" || v.RequestParameters != nil {
					t.Errorf("%s", *e.CloudTrailEvent)
				}
				out[*e.EventName] = v.ServiceEventDetails["account_id"] + v.ServiceEventDetails["role_name"]
			}
		}
		return out
	}
	w.skip(10 * time.Minute)
	if s := seen(); s["GetRoleCredentials"] != prod+"Forge-Prod-Emergency" || s["Federate"] != "" {
		t.Errorf("%v", s)
	}
	w.skip(time.Hour)
	if s := seen(); s["Federate"] != prod+"Forge-Prod-Emergency" {
		t.Errorf("an hour later: %v", s)
	}
	id := w.AddEvent(awstwin.AWSEvent{Account: prod, Region: "us-east-1", Source: "signin.amazonaws.com", Name: "ConsoleLogin", Type: "AwsConsoleSignIn",
		Identity: map[string]any{"type": "Root"}, Extra: map[string]any{"additionalEventData": map[string]any{"MFAUsed": "Yes"}}})
	all := w.TrailEvents(prod)
	if last := string(all[len(all)-1]); !strings.Contains(last, id) || !strings.Contains(last, `"MFAUsed":"Yes"`) || !strings.Contains(string(all[len(all)-2]), "198.51.100.7") {
		t.Errorf("%s", last)
	}
}
