package awstwin_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/smithy-go"

	"breakglass/deploy/sandbox/awstwin"
)

// direct carries requests to the twin without a network, so that no listener stands in the way of a bubble's clock.
type direct struct{ http.Handler }

func (d direct) RoundTrip(r *http.Request) (resp *http.Response, err error) {
	defer func() {
		if v := recover(); v != nil {
			resp, err = nil, errors.New("connection reset by peer")
		}
	}()
	if r.Body == nil {
		r.Body = http.NoBody
	}
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return w.Result(), nil
}

// clock is a clock that a test moves by hand.
type clock struct{ t time.Time }

func newClock() *clock                { return &clock{time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)} }
func (c *clock) now() time.Time       { return c.t }
func (c *clock) skip(d time.Duration) { c.t = c.t.Add(d) }

// config is an SDK configuration that reaches a twin with some keys and does not retry.
func config(o *awstwin.Organization, region, key, secret, token string) aws.Config {
	return aws.Config{
		Region:           region,
		BaseEndpoint:     aws.String("http://aws.sandbox"),
		Credentials:      credentials.NewStaticCredentialsProvider(key, secret, token),
		HTTPClient:       &http.Client{Transport: direct{o}},
		RetryMaxAttempts: 1,
	}
}

func bot(o *awstwin.Organization) aws.Config {
	return config(o, "us-east-1", awstwin.BotAccessKeyID, awstwin.BotSecretAccessKey, "")
}

func as(o *awstwin.Organization, s *awstwin.Session) aws.Config {
	return config(o, "us-east-1", s.AccessKeyID, s.SecretAccessKey, s.SessionToken)
}

const prod = "100000000003"

const readAndStop = `{"Version":"2012-10-17","Statement":[
 {"Effect":"Allow","Action":["ec2:Describe*","ec2:StopInstances","s3:ListAllMyBuckets","logs:*","ssm:*","rds:Describe*","dynamodb:*"],"Resource":"*"}]}`

// world is an organisation with one account, one permission set, three people and a group.
type world struct {
	*awstwin.Organization
	*clock
	set               string
	alice, bob, carol string
	oncall            string
}

func newWorld(t *testing.T, change func(*awstwin.Config)) *world {
	t.Helper()
	w := &world{clock: newClock()}
	cfg := awstwin.Config{Now: w.now}
	if change != nil {
		change(&cfg)
	}
	w.Organization = awstwin.New(cfg)
	w.AddAccount(prod, "prod-wealth", awstwin.InOU("ou-prod"), awstwin.WithTag("env", "prod"))
	w.set = w.AddPermissionSet(awstwin.PermissionSet{Name: "Forge-Prod-Emergency", InlinePolicy: readAndStop})
	w.carol = w.AddUser(awstwin.User{UserName: "carol", Email: "carol@forge.example", DisplayName: "Carol"})
	w.alice = w.AddUser(awstwin.User{UserName: "alice", Email: "alice@forge.example", DisplayName: "Alice", ManagerID: w.carol})
	w.bob = w.AddUser(awstwin.User{UserName: "bob", Email: "bob@forge.example", Disabled: true})
	w.oncall = w.AddGroup("grp-oncall", w.alice)
	return w
}

func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

func wantCode(t *testing.T, err error, want string) {
	t.Helper()
	if got := code(err); got != want {
		t.Errorf("error code = %q (%v), want %q", got, err, want)
	}
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func ctxOf(t *testing.T) context.Context { return t.Context() }
