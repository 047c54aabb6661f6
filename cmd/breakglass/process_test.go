package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"breakglass/deploy/sandbox"
	"breakglass/deploy/sandbox/awstwin"
	"breakglass/deploy/sandbox/clock"
	"breakglass/deploy/sandbox/slacktwin"
	"breakglass/store"
)

// office is a machine on which the real program runs as its own process, with Slack and AWS on loopback.
type office struct {
	t      testing.TB
	bin    string
	dir    string
	world  *sandbox.World
	clock  *clock.Clock
	env    []string
	health string
}

// binary builds the program once, with the clock that tests can move.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "breakglass-test-")
	if err != nil {
		return "", err
	}
	bin := filepath.Join(dir, "breakglass")
	out, err := exec.Command("go", "build", "-tags", "twinclock", "-o", bin, ".").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return bin, nil
})

func newOffice(t testing.TB) *office {
	t.Helper()
	bin, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	o := &office{t: t, bin: bin, dir: fastDir(t), clock: clock.New()}
	slackServer := httptest.NewUnstartedServer(nil)
	slackURL := "http://" + slackServer.Listener.Addr().String()
	o.world = sandbox.Forge(o.clock.Now, slackConfig(slackURL), awstwin.Config{LenientRoleKeys: true, Async: 200 * time.Millisecond})
	slackServer.Config.Handler = o.world.Slack
	slackServer.Start()
	awsServer := httptest.NewServer(o.world.AWS)
	clockServer := httptest.NewServer(o.clock)
	t.Cleanup(func() {
		o.world.Slack.Close()
		slackServer.CloseClientConnections()
		slackServer.Close()
		awsServer.Close()
		clockServer.Close()
	})
	policy, err := os.ReadFile("../../deploy/policy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(o.dir, "policy.yaml"), policy, 0o600); err != nil {
		t.Fatal(err)
	}
	o.health = freePort(t)
	o.env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + o.dir, "TMPDIR=" + o.dir,
		"SLACK_BOT_TOKEN=" + sandbox.BotToken, "SLACK_APP_TOKEN=" + sandbox.AppToken, "SLACK_API_URL=" + slackURL + "/api/",
		"BREAKGLASS_DEADMAN_ROLE=" + sandbox.DeadManRole, "AWS_ENDPOINT_URL=" + awsServer.URL, "AWS_ACCESS_KEY_ID=" + awstwin.BotAccessKeyID, "AWS_SECRET_ACCESS_KEY=" + awstwin.BotSecretAccessKey,
		"AWS_REGION=us-east-1", "AWS_EC2_METADATA_DISABLED=true", "BREAKGLASS_SWEEP=@every 1s",
		"BREAKGLASS_LISTEN=" + o.health, "BREAKGLASS_TWIN_CLOCK=" + clockServer.URL + "/clock",
	}
	return o
}

// freePort is a port that nothing listens on, from below those that the system gives out by itself: dozens of servers of other tests come and go meanwhile, and
// would take one of these before the program has it.
func freePort(t testing.TB) string {
	t.Helper()
	for range 100 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 15000+rand.IntN(15000)))
		if err == nil {
			defer l.Close()
			return l.Addr().String()
		}
	}
	t.Fatal("no port is free")
	return ""
}

// command runs the program to its end.
func (o *office) command(args ...string) (out, errOut string, code int) {
	o.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, o.bin, args...)
	c.Dir, c.Env = o.dir, o.env
	var a, b bytes.Buffer
	c.Stdout, c.Stderr = &a, &b
	_ = c.Run()
	return a.String(), b.String(), c.ProcessState.ExitCode()
}

// wants runs a command and checks its exit code and that what it printed has all the words.
func (o *office) wants(code int, words []string, args ...string) string {
	o.t.Helper()
	out, errOut, got := o.command(args...)
	all := out + errOut
	if got != code {
		o.t.Fatalf("breakglass %v: exit %d, want %d:\n%s", args, got, code, all)
	}
	for _, w := range words {
		if !strings.Contains(all, w) {
			o.t.Errorf("breakglass %v does not say %q:\n%s", args, w, all)
		}
	}
	return out
}

// bot is a running serve.
type botProcess struct {
	cmd  *exec.Cmd
	log  *bytes.Buffer
	done chan error
}

func (o *office) serve(args ...string) *botProcess {
	o.t.Helper()
	b := &botProcess{cmd: exec.Command(o.bin, append([]string{"serve"}, args...)...), log: &bytes.Buffer{}, done: make(chan error, 1)}
	b.cmd.Dir, b.cmd.Env, b.cmd.Stderr = o.dir, o.env, b.log
	if err := b.cmd.Start(); err != nil {
		o.t.Fatal(err)
	}
	go func() { b.done <- b.cmd.Wait() }()
	o.t.Cleanup(func() {
		_ = b.cmd.Process.Kill()
		if o.t.Failed() {
			o.t.Logf("the bot's log:\n%s", tail(b.log.String(), 8000))
		}
	})
	o.await("the bot is ready", func() bool {
		res, err := http.Get("http://" + o.health + "/readyz")
		if err != nil {
			return false
		}
		defer res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
	return b
}

func (o *office) await(what string, cond func() bool) {
	o.t.Helper()
	deadline := time.After(90 * time.Second) // the machine may be busy
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-deadline:
			o.t.Fatalf("never: %s", what)
		case <-tick.C:
		}
	}
}

// ask has somebody fill in the form and send it.
func (o *office) ask(who, scenario, account string) {
	o.t.Helper()
	if errs, err := o.tryToAsk(who, scenario, account); err != nil || len(errs) > 0 {
		o.t.Fatalf("submit: %v %v", errs, err)
	}
}

// tryToAsk is ask that may be refused: errs is what the form says at its fields.
func (o *office) tryToAsk(who, scenario, account string) (errs map[string]string, err error) {
	o.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	p := o.world.Slack.As(o.world.Person(who).Slack).In(o.world.Slack.ChannelID("platform-support"))
	if _, err := p.Command(ctx, "/breakglass "+scenario+" "+account+" 1h"); err != nil {
		o.t.Fatal(err)
	}
	o.await("the form is filled", func() bool { v := p.View(); return v != nil && v.Field("Duration") != nil && v.Field("Account") != nil })
	for label, value := range map[string]string{"Reason": "it is down", "Ticket": "OPS-1"} {
		if err := p.Fill(ctx, label, value); err != nil {
			o.t.Fatal(err)
		}
	}
	return p.Submit(ctx)
}

// press has somebody press a button on the newest card, when it is there.
func (o *office) press(who, button string) {
	o.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	channel := o.world.Slack.ChannelID("platform-support")
	var card slacktwin.Message
	o.await("a card with "+button, func() bool {
		for _, m := range slices.Backward(o.world.Slack.Messages(channel)) {
			if slices.Contains(m.Buttons(), button) {
				card = m
				return true
			}
		}
		return false
	})
	if err := o.world.Slack.As(o.world.Person(who).Slack).Click(ctx, channel, card.TS, button); err != nil {
		o.t.Fatal(err)
	}
}

func (o *office) state(id store.ID) store.State {
	o.t.Helper()
	out, errOut, code := o.command("sessions", "--json")
	var all []store.Request
	if code != 0 || json.Unmarshal([]byte(out), &all) != nil {
		o.t.Fatalf("sessions --json: exit %d: %s%s", code, out, errOut)
	}
	for _, r := range all {
		if r.ID == id {
			return r.State
		}
	}
	return ""
}

func (o *office) has(who, account, set string) bool {
	for _, a := range o.world.AWS.Assignments() {
		if a.PrincipalID == o.world.Person(who).AWS && a.AccountID == account && a.PermissionSet == set {
			return true
		}
	}
	return false
}

// TestProcess lives through a day of the real program: first start, commands beside it, a kill, a restart, an orderly stop.
func TestProcess(t *testing.T) {
	t.Parallel()
	const set = "Forge-Prod-BreakGlass-EC2"
	o := newOffice(t)
	o.env = append(o.env, "BREAKGLASS_DEADMAN_ROLE=") // the story needs access that outlives a dead bot
	o.wants(exitUsage, []string{"there is no store", "serve --init"}, "serve")
	o.wants(exitUsage, []string{"there is no store"}, "sessions")
	bot := o.serve("--init")
	o.wants(exitOK, []string{"Nobody is in"}, "sessions")
	o.wants(exitFailed, []string{"is held by pid", "serve"}, "serve")

	o.ask("dana", "ec2", "prod-wealth")
	o.press("lee", "Approve")
	o.await("access", func() bool { return o.has("dana", sandbox.ProdWealth, set) })
	o.await("active", func() bool { return o.state("BG-1001") == store.Active })
	o.wants(exitOK, []string{"BG-1001", "active", "Dana Ruiz", "prod-wealth"}, "sessions")
	o.wants(exitUsage, []string{"Only a session that is ending"}, "force-close", "1001", "--verified", "looked")
	o.wants(exitUsage, []string{"--verified is needed"}, "force-close", "1001")
	o.wants(exitUsage, []string{"There is no request BG-7"}, "end", "7")
	o.wants(exitUsage, []string{"look like BG-1042"}, "end", "nonsense")
	o.wants(exitOK, []string{"the copy was read"}, "store", "backup", "copy.db")

	// Killed in the middle of the session, and back after its end.
	if err := bot.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-bot.done
	o.wants(exitOK, []string{"BG-1001"}, "sessions")
	o.clock.Skip(90 * time.Minute)
	if !o.has("dana", sandbox.ProdWealth, set) {
		t.Fatal("the story needs access that outlived a dead bot")
	}
	bot = o.serve()
	o.await("the overdue end", func() bool { return !o.has("dana", sandbox.ProdWealth, set) })

	// Ended from the command line.
	o.ask("dana", "ec2", "prod-cash")
	o.press("lee", "Approve")
	o.await("active", func() bool { return o.state("BG-1002") == store.Active })
	o.wants(exitOK, []string{"BG-1002 is ending"}, "end", "bg-1002")
	o.await("the end", func() bool { return !o.has("dana", sandbox.ProdCash, set) })
	o.await("revoked", func() bool { return o.state("BG-1002") == store.Revoked })

	// An orderly stop.
	if err := bot.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := <-bot.done; err != nil {
		t.Errorf("SIGTERM: %v", err)
	}
	for _, secret := range []string{sandbox.BotToken, sandbox.AppToken} {
		if strings.Contains(bot.log.String(), secret) {
			t.Error("a token is in the log")
		}
	}
	// The backup is a store of its own, with the session that was live when it was made.
	db, err := store.Open(filepath.Join(o.dir, "copy.db"), o.clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if r, err := db.Request("BG-1001"); err != nil || r.State != store.Active {
		t.Errorf("the backup has %s: %v", r.State, err)
	}
}

// TestCheck asks for everything the example policy needs, where all is well and where something is not.
func TestCheck(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.wants(exitOK, []string{"Forge-Prod-Emergency", "platform-support", "#platform-incidents", "prod-wealth", "not offered", "made one and removed it", "never seen"}, "check")
	var report struct {
		OK   bool
		Rows []map[string]any
	}
	if err := json.Unmarshal([]byte(o.wants(exitOK, nil, "check", "--json")), &report); err != nil || !report.OK || len(report.Rows) < 20 {
		t.Errorf("check --json: %v, ok %v, %d rows", err, report.OK, len(report.Rows))
	}
	o.world.Slack.SetScopes([]string{"commands", "chat:write", "channels:read", "groups:read", "users:read"})
	o.wants(exitFailed, []string{"users:read.email", "install it again"}, "check")
	data, err := os.ReadFile(filepath.Join(o.dir, "policy.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(data), "Forge-Prod-Emergency", "Forge-Prod-Emergenzy")
	text = strings.ReplaceAll(text, "#platform-support", "#no-such-channel")
	if err := os.WriteFile(filepath.Join(o.dir, "policy.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	o.wants(exitFailed, []string{"Forge-Prod-Emergenzy", "no such channel"}, "check")
}

// TestCommands are the commands that need nobody.
func TestCommands(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.wants(exitOK, []string{"breakglass"}, "version")
	o.wants(exitOK, []string{"no faults"}, "policy", "check")
	o.wants(exitOK, []string{"SLACK_BOT_TOKEN", "(set, not shown)", "BREAKGLASS_SWEEP"}, "config")
	o.wants(exitOK, []string{"users:read.email", "/breakglass"}, "manifest")
	o.wants(exitOK, []string{"P1: site down"}, "policy", "explain")
	o.wants(exitOK, []string{"EC2"}, "policy", "explain", "--user", "dana@forge.example")
	o.wants(exitOK, []string{"platform-leads"}, "policy", "explain", "ec2", "prod-wealth", "2h", "--user", "dana@forge.example", "--approver", "lee@forge.example")
	o.wants(exitUsage, []string{"nobody in Identity Center"}, "policy", "explain", "--user", "nobody@forge.example")
	o.wants(exitOK, []string{"sandbox", "serve"}, "--help")
	o.wants(exitOK, []string{"bash completion"}, "completion", "bash")
	o.wants(exitUsage, []string{"usage"}, "end")
	o.wants(exitUsage, []string{"--help"}, "serve", "--nonsense")
	if err := os.WriteFile(filepath.Join(o.dir, "policy.yaml"), []byte("chanels: {}\naccounts: 7\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	o.wants(exitFailed, []string{"policy.yaml:1:1: chanels", "policy.yaml:2:11: accounts"}, "policy", "check")
	o.wants(exitUsage, []string{"policy.yaml:1:1: chanels"}, "serve", "--init")
	o.env = append(o.env, "SLACK_BOT_TOKEN=")
	o.wants(exitUsage, []string{"SLACK_BOT_TOKEN must be set"}, "serve")
}
