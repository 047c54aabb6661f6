package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rogpeppe/go-internal/testscript"

	"breakglass/deploy/sandbox"
	"breakglass/deploy/sandbox/awstwin"
	"breakglass/deploy/sandbox/trackertwin"
	"breakglass/deploy/sandbox/wire"
	"breakglass/store"
)

// TestStories runs each script of testdata/stories: the whole program, with Slack and AWS over in-memory connections, in a bubble in which hours
// pass in milliseconds. The people of the scripts are Forge's; what they can do is in storywords_test.go.
func TestStories(t *testing.T) {
	files, err := filepath.Glob("testdata/stories/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	t.Setenv("AWS_ENDPOINT_URL", "http://aws.twin")
	t.Setenv("AWS_ACCESS_KEY_ID", awstwin.BotAccessKeyID)
	t.Setenv("AWS_SECRET_ACCESS_KEY", awstwin.BotSecretAccessKey)
	t.Setenv("AWS_REGION", "us-east-1")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(t.TempDir(), "none"))
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".txtar"), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { playStory(t, f) })
		})
	}
}

// story is one script being played.
type story struct {
	t        *testing.T
	accounts map[string]string // name -> id

	dir      string
	net      *wire.Net
	world    *sandbox.World
	policy   string
	runs     int // starts of the program so far: each works on its own copy of the store after a crash
	store    string
	run      *running
	logs     *bytes.Buffer
	expect   int // refusals of the twin that the story provoked
	begin    []awstwin.Assignment
	sessions map[string]*awstwin.Session // who stays signed in, by the story's names
	tampered bool                        // somebody altered the archive
	tickets  *trackertwin.Tracker        // nil: the company has none
	tracker  *http.Server                // which serves it
	seen     witnesses                   // what the stories about evidence keep
	keep     bool                        // the story says itself what must stand in AWS at the end
}

// running is one run of the program.
type running struct {
	cancel  context.CancelFunc
	done    chan error
	slack   *http.Client
	aws     *http.Client
	tracker *http.Client
	prog    chan *program
	p       *program
	cut     *gate
}

// gate is the network as one run sees it: a crash closes it for good, so that nothing the dying run does reaches the outside.
type gate struct {
	net  *wire.Net
	shut bool
}

func (g *gate) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if g.shut {
		return nil, fmt.Errorf("this run is dead")
	}
	return g.net.DialContext(ctx, network, addr)
}

func playStory(t *testing.T, file string) {
	s := &story{t: t, dir: fastDir(t), net: wire.New(), logs: &bytes.Buffer{}, accounts: map[string]string{
		"dev": sandbox.Dev, "qa": sandbox.QA, "prod-wealth": sandbox.ProdWealth, "prod-cash": sandbox.ProdCash, "prod-9squid": sandbox.Prod9Squid,
	}}
	s.world = sandbox.Forge(time.Now, slackConfig("http://slack.twin"), awstwin.Config{})
	slackServer := &http.Server{Handler: s.world.Slack}
	awsServer := &http.Server{Handler: s.throttling(s.world.AWS)}
	go func() { _ = slackServer.Serve(s.net.Listen("slack.twin")) }()
	go func() { _ = awsServer.Serve(s.net.Listen("aws.twin")) }()
	defer func() {
		s.stop()
		s.world.Slack.Close()
		_ = slackServer.Close()
		_ = awsServer.Close()
		if s.tracker != nil {
			_ = s.tracker.Close()
		}
		if t.Failed() || testing.Verbose() {
			t.Logf("the program's log:\n%s", tail(s.logs.String(), 12000))
		}
	}()
	s.begin = s.world.AWS.Assignments()
	testscript.RunT(bubbleT{t}, testscript.Params{
		Files: []string{file},
		Setup: func(env *testscript.Env) error {
			s.store = filepath.Join(s.dir, "breakglass.db")
			s.policy = filepath.Join(env.WorkDir, "policy.yaml")
			data, err := os.ReadFile("../../deploy/policy.yaml")
			if err != nil {
				return err
			}
			if _, err := os.Stat(s.policy); err == nil {
				return nil // the story brings its own
			}
			return os.WriteFile(s.policy, data, 0o600)
		},
		Condition: func(name string) (bool, error) {
			if name != "long" {
				return false, fmt.Errorf("unknown condition %q", name)
			}
			return os.Getenv("BREAKGLASS_LONG") != "", nil
		},
		Cmds: s.words(),
	})
	s.invariants()
}

// start runs the program on the current store.
func (s *story) start(create bool) {
	s.t.Helper()
	g := &gate{net: s.net}
	r := &running{done: make(chan error, 1), prog: make(chan *program, 1), cut: g}
	r.slack = &http.Client{Transport: &http.Transport{DialContext: g.dial}}
	r.aws = &http.Client{Transport: &http.Transport{DialContext: g.dial}}
	r.tracker = &http.Client{Transport: &http.Transport{DialTLSContext: g.dial}} // its address must be https, and there is nobody between
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	set := setting{
		env: environment{
			BotToken: sandbox.BotToken, AppToken: sandbox.AppToken, SlackURL: "http://slack.twin/api/", Policy: s.policy,
			Store: "bolt:" + s.store, Mail: "ses", Sweep: "@every 5s", MemberRole: sandbox.MemberRole, OwnerRole: sandbox.PortalReader, Guard: sandbox.GuardPrefix, DeadmanRole: sandbox.DeadManRole, Tracker: trackerAccount,
		},
		create: create, now: time.Now, registry: prometheus.NewRegistry(), noSocket: true,
		log:   slog.New(slog.NewTextHandler(s.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
		slack: r.slack, aws: r.aws, tracker: r.tracker, dialer: &websocket.Dialer{NetDialContext: g.dial},
		ready: func(p *program) { r.prog <- p },
	}
	go func() { r.done <- serve(ctx, set) }()
	s.run = r
	s.runs++
}

// awaitReady waits until the program has met Slack.
func (s *story) awaitReady() {
	s.t.Helper()
	select {
	case s.run.p = <-s.run.prog:
	case err := <-s.run.done:
		s.t.Fatalf("the program ended: %v", err)
	case <-time.After(2 * time.Minute):
		s.t.Fatal("the program does not come up")
	}
	for range 100 {
		if s.world.Slack.Sockets() > 0 {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// stop ends the run as SIGTERM does.
func (s *story) stop() error {
	if s.run == nil {
		return nil
	}
	s.run.cancel()
	err := <-s.run.done
	s.run.slack.CloseIdleConnections()
	s.run.aws.CloseIdleConnections()
	s.run.tracker.CloseIdleConnections()
	s.run = nil
	return err
}

// crash ends the run as kill -9 does: what the file held at this moment is what the next run finds, and nothing that the old one still
// tries reaches anybody.
func (s *story) crash() {
	s.t.Helper()
	s.run.cut.shut = true
	data, err := os.ReadFile(s.store)
	if err != nil {
		s.t.Fatal(err)
	}
	s.net.Cut("slack.twin")
	s.net.Cut("aws.twin")
	_ = s.stop()
	s.net.Mend("slack.twin")
	s.net.Mend("aws.twin")
	was := s.store
	s.store = filepath.Join(s.dir, fmt.Sprintf("after-crash-%d.db", s.runs))
	s.keepSpool(was, s.store)
	if err := os.WriteFile(s.store, data, 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// settle lets the program come to rest: a few seconds pass in which Slack's and AWS's answers arrive.
func (s *story) settle(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// invariants hold after every story, whatever happened in it.
func (s *story) invariants() {
	s.t.Helper()
	if s.t.Failed() {
		return
	}
	if s.run != nil {
		s.settle(time.Minute)
		s.openHaveAccess()
		if err := s.stop(); err != nil {
			s.t.Errorf("the program ended with %v", err)
		}
	}
	db, err := store.Open(s.store, time.Now())
	if err != nil {
		s.t.Fatal(err)
	}
	defer db.Close()
	if err := db.Check(); err != nil {
		s.t.Errorf("the store: %v", err)
	}
	s.archiveHolds(db)
	if got := s.world.Slack.Refusals(); len(got) > s.expect {
		s.t.Errorf("Slack refused %d messages, %d expected; the last: %+v", len(got), s.expect, got[len(got)-1])
	}
	for _, secret := range []string{sandbox.BotToken, sandbox.AppToken, "/response/"} {
		if strings.Contains(s.logs.String(), secret) {
			s.t.Errorf("the log holds %q", secret)
		}
	}
}

// openHaveAccess: nobody has access in AWS without a live request or a standing entry from before, and none past its expiry.
func (s *story) openHaveAccess() {
	s.t.Helper()
	if s.keep || s.run.p == nil {
		return
	}
	live := map[store.Tuple]bool{}
	open, err := s.run.p.db.Open()
	if err != nil {
		s.t.Fatal(err)
	}
	for _, r := range open {
		if r.State.MayHaveAccess() {
			live[r.Tuple()] = true
			if time.Since(r.ExpiresAt) > 2*time.Minute {
				s.t.Errorf("%s is %s %v after its expiry", r.ID, r.State, time.Since(r.ExpiresAt))
			}
		}
	}
	for _, a := range s.world.AWS.Assignments() {
		if s.stood(a) || live[store.Tuple{UserID: a.PrincipalID, Account: a.AccountID, Set: a.PermissionSet}] {
			continue
		}
		s.t.Errorf("access without a request: %+v", a)
	}
}

func (s *story) stood(a awstwin.Assignment) bool {
	for _, b := range s.begin {
		if b.PrincipalID == a.PrincipalID && b.AccountID == a.AccountID && b.PermissionSet == a.PermissionSet {
			return true
		}
	}
	return false
}

func tail(s string, n int) string {
	if len(s) > n {
		return "…" + s[len(s)-n:]
	}
	return s
}

// bubbleT runs a script's subtest in place: a bubble may not start subtests.
type bubbleT struct{ t *testing.T }

func (b bubbleT) Skip(args ...any)                   { b.t.Skip(args...) }
func (b bubbleT) Fatal(args ...any)                  { b.t.Helper(); b.t.Fatal(args...) }
func (b bubbleT) Parallel()                          {}
func (b bubbleT) Log(args ...any)                    { b.t.Helper(); b.t.Log(args...) }
func (b bubbleT) FailNow()                           { b.t.FailNow() }
func (b bubbleT) Run(_ string, f func(testscript.T)) { f(b) }
func (b bubbleT) Verbose() bool                      { return testing.Verbose() }
