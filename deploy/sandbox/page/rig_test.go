package page

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/slack-go/slack"
	"github.com/slack-go/slack/socketmode"

	"breakglass/deploy/sandbox"
	"breakglass/deploy/sandbox/awstwin"
	"breakglass/deploy/sandbox/clock"
	"breakglass/deploy/sandbox/slacktwin"
)

// rig is the sandbox on loopback, its page, and a browser that has no script.
type rig struct {
	t     *testing.T
	world *sandbox.World
	clock *clock.Clock
	url   string
	api   *slack.Client
}

func newRig(t *testing.T) *rig {
	t.Helper()
	c := clock.New()
	w := sandbox.Forge(c.Now, slacktwin.Config{}, awstwin.Config{Async: -1})
	mux := http.NewServeMux()
	mux.Handle("/api/", w.Slack)
	mux.Handle("/link/", w.Slack)
	mux.Handle("/", New(Config{World: w, Clock: c, Product: "Break Glass", Note: "for tests"}))
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	t.Cleanup(w.Slack.Close) // before the server: it has sockets open
	w.Slack.SetBaseURL(srv.URL)
	return &rig{t: t, world: w, clock: c, url: srv.URL,
		api: slack.New(sandbox.BotToken, slack.OptionAppLevelToken(sandbox.AppToken), slack.OptionAPIURL(srv.URL+"/api/"))}
}

// app connects an app to the workspace; what it is sent goes to handle, whose result is the acknowledgement's payload.
func (r *rig) app(handle func(data any) any) {
	r.t.Helper()
	sm := socketmode.New(r.api)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = sm.RunContext(ctx) }()
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case ev := <-sm.Events:
				if ev.Request == nil || ev.Type == socketmode.EventTypeHello {
					continue
				}
				if out := handle(ev.Data); out != nil {
					_ = sm.Ack(*ev.Request, out)
				} else {
					_ = sm.Ack(*ev.Request)
				}
			}
		}
	}()
	r.t.Cleanup(func() { stop(); <-done })
	r.until("a socket", func() bool { return r.world.Slack.Sockets() > 0 })
}

func (r *rig) until(what string, cond func() bool) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 5*time.Second)
	defer cancel()
	if err := r.world.Slack.WaitFor(ctx, cond); err != nil {
		r.t.Fatalf("waiting for %s: %v", what, err)
	}
}

func (r *rig) get(path string) string {
	r.t.Helper()
	resp, err := http.Get(r.url + path)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		r.t.Fatalf("GET %s: %d %v %s", path, resp.StatusCode, err, b)
	}
	return string(b)
}

// look is the page of one person in one conversation.
func (r *rig) look(as, in string) string { return r.get("/view?as=" + as + "&in=" + in) }

func (r *rig) do(verb string, in request) answer {
	r.t.Helper()
	body, _ := json.Marshal(in)
	resp, err := http.Post(r.url+"/do/"+verb, "application/json", bytes.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	var out answer
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil || resp.StatusCode != http.StatusOK {
		r.t.Fatalf("POST %s: %d %v", verb, resp.StatusCode, err)
	}
	return out
}

func (r *rig) channel(name string) string { return r.world.Slack.ChannelID(name) }

func (r *rig) post(user, channel, text string, blocks, attachments any) string {
	r.t.Helper()
	ts, err := r.world.Slack.PostAs(user, channel, text, blocks, attachments)
	if err != nil {
		r.t.Fatal(err)
	}
	return ts
}

// guard writes the guard of a set in prod-wealth: it lets one person in, until a time.
func (r *rig) guard(user, set string, until time.Time) {
	r.world.AWS.SetPolicy(sandbox.ProdWealth, sandbox.Guard(set), `{"Version":"2012-10-17","Statement":[
	 {"Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringNotEquals":{"identitystore:userId":["`+user+`"]}}},
	 {"Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringEquals":{"identitystore:userId":"`+user+`"},"DateGreaterThanEquals":{"aws:CurrentTime":"`+
		until.UTC().Format(time.RFC3339)+`"}}}]}`)
}

// schedule makes a schedule as the bot does, that takes a set in prod-wealth from a user.
func (r *rig) schedule(name, user, set string, at time.Time) {
	r.t.Helper()
	var arn string
	for _, p := range r.world.AWS.PermissionSets() {
		if p.Name == set {
			arn = p.ARN
		}
	}
	input, _ := json.Marshal(map[string]string{"InstanceArn": r.world.AWS.InstanceARN(), "TargetId": sandbox.ProdWealth, "TargetType": "AWS_ACCOUNT",
		"PermissionSetArn": arn, "PrincipalType": "USER", "PrincipalId": user})
	body, _ := json.Marshal(map[string]any{"GroupName": sandbox.ScheduleGroup, "ScheduleExpression": at.UTC().Format("at(2006-01-02T15:04:05)"), "ActionAfterCompletion": "DELETE",
		"FlexibleTimeWindow": map[string]string{"Mode": "OFF"}, "Target": map[string]string{"Arn": "arn:aws:scheduler:::aws-sdk:ssoadmin:deleteAccountAssignment",
			"RoleArn": sandbox.DeadManRole, "Input": string(input)}})
	req := httptest.NewRequest("POST", "http://aws.sandbox/schedules/"+name, bytes.NewReader(body))
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+awstwin.BotAccessKeyID+"/20261121/us-east-1/scheduler/aws4_request, SignedHeaders=host, Signature=00")
	w := httptest.NewRecorder()
	r.world.AWS.ServeHTTP(w, req)
	if w.Code != http.StatusOK {
		r.t.Fatalf("%d %s", w.Code, w.Body)
	}
}

// has wants every one of these in the page.
func has(t *testing.T, page string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(page, w) {
			t.Errorf("the page lacks %q in:\n%s", w, around(page))
		}
	}
}

func hasNot(t *testing.T, page string, bad ...string) {
	t.Helper()
	for _, b := range bad {
		if i := strings.Index(page, b); i >= 0 {
			t.Errorf("the page has %q: …%s…", b, page[max(0, i-100):min(len(page), i+200)])
		}
	}
}

// around is the part of a page that tests are about: the conversation and the panel.
func around(page string) string {
	if i := strings.Index(page, `class="chat"`); i > 0 {
		page = page[i:]
	}
	return page[:min(len(page), 6000)]
}

func plainObj(s string) *slack.TextBlockObject {
	return slack.NewTextBlockObject("plain_text", s, false, false)
}
