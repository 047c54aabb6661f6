package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"breakglass/deploy/sandbox"
	"breakglass/store"
)

// launch starts serve and does not wait until it is ready: it may never be.
func (o *office) launch(args ...string) *botProcess {
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
	return b
}

func (b *botProcess) kill() {
	_ = b.cmd.Process.Kill()
	<-b.done
}

// answers waits until commands have a way in.
func (o *office) answers() {
	o.t.Helper()
	o.await("the commands' socket", func() bool { // a command would open the store itself while nobody answers there
		c, err := net.Dial("unix", socketPath(filepath.Join(o.dir, "breakglass.db")))
		if err != nil {
			return false
		}
		c.Close()
		return true
	})
}

// letIn opens a session of Dana's and kills the bot in the middle of it.
func (o *office) letIn() {
	o.t.Helper()
	bot := o.serve("--init")
	o.ask("dana", "ec2", "prod-wealth")
	o.press("lee", "Approve")
	o.await("active", func() bool { return o.state("BG-1001") == store.Active })
	bot.kill()
}

// reads counts how often a secret was asked for.
func (o *office) reads() (n int) {
	for _, c := range o.world.AWS.Calls() {
		if c.Operation == "GetSecretValue" {
			n++
		}
	}
	return n
}

// spoil makes a fault in the policy file, which is on its first line.
func (o *office) spoil() {
	o.t.Helper()
	path := filepath.Join(o.dir, "policy.yaml")
	text, err := os.ReadFile(path)
	if err != nil {
		o.t.Fatal(err)
	}
	if err := os.WriteFile(path, append([]byte("chanels: {}\n"), text...), 0o600); err != nil {
		o.t.Fatal(err)
	}
}

// TestStartInTrouble starts the program over an overdue session while its tokens cannot be read, its port is taken and its policy
// file is faulty: the session is ended, each trouble is said, and what passes is tried again.
func TestStartInTrouble(t *testing.T) {
	t.Parallel()
	const set = "Forge-Prod-BreakGlass-EC2"
	o := newOffice(t)
	for name, token := range map[string]string{"slack-bot": sandbox.BotToken, "slack-app": sandbox.AppToken} {
		o.world.AWS.SetSecret(sandbox.BotAccount, "us-east-1", name, token)
	}
	o.env = append(o.env, "BREAKGLASS_DEADMAN_ROLE=", // it must be the bot that takes away
		"SLACK_BOT_TOKEN=secretsmanager:slack-bot", "SLACK_APP_TOKEN=secretsmanager:slack-app")
	o.letIn()
	o.clock.Skip(90 * time.Minute)
	o.world.AWS.FailNext("secretsmanager", "GetSecretValue", "AccessDeniedException", 1000) // an answer that is not asked for again at once
	before := o.reads()
	o.spoil()
	port, err := net.Listen("tcp", o.health)
	if err != nil {
		t.Fatal(err)
	}
	defer port.Close()
	bot := o.launch()
	o.await("the overdue end", func() bool { return !o.has("dana", sandbox.ProdWealth, set) })
	o.answers()
	o.await("its record", func() bool { return o.state("BG-1001") == store.Revoked })
	if o.world.Slack.Sockets() > 0 {
		t.Error("it reached Slack without tokens")
	}
	o.await("a second try, after the first was logged", func() bool { return o.reads() > before+1 })
	o.world.AWS.ClearFaults()
	o.await("Slack", func() bool { return o.world.Slack.Sockets() > 0 })
	if err := bot.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := <-bot.done; err != nil {
		t.Errorf("SIGTERM: %v", err)
	}
	for _, said := range []string{
		"the policy last in force stays in force", "policy.yaml:1:1: chanels", "a Slack token cannot be read", "slack-bot", "health and metrics are not served",
	} {
		if !strings.Contains(bot.log.String(), said) {
			t.Errorf("the log does not say %q", said)
		}
	}
	// Nobody is in any more: what is faulty is to be mended first.
	o.wants(exitUsage, []string{"policy.yaml:1:1: chanels"}, "serve")
}

// TestStartWithoutWords starts the program over an open session with an environment that is wrong in every part that ending it does not need.
func TestStartWithoutWords(t *testing.T) {
	t.Parallel()
	const set = "Forge-Prod-BreakGlass-EC2"
	o := newOffice(t)
	o.env = append(o.env, "BREAKGLASS_DEADMAN_ROLE=")
	o.letIn()
	good := o.env
	o.env = append(o.env[:len(o.env):len(o.env)], "SLACK_APP_TOKEN=", "BREAKGLASS_MAIL=pigeons", "BREAKGLASS_SWEEP=now and then", "BREAKGLASS_LISTEN=nonsense")
	bot := o.launch()
	o.answers()
	o.wants(exitOK, []string{"BG-1001 is ending"}, "end", "1001")
	o.await("the end", func() bool { return !o.has("dana", sandbox.ProdWealth, set) })
	o.await("its record", func() bool { return o.state("BG-1001") == store.Revoked })
	bot.kill()
	for _, said := range []string{"SLACK_APP_TOKEN must be set", "BREAKGLASS_MAIL", "nonsense"} {
		if !strings.Contains(bot.log.String(), said) {
			t.Errorf("the log does not say %q", said)
		}
	}
	for _, wrong := range []string{"SLACK_APP_TOKEN=", "BREAKGLASS_MAIL=pigeons", "BREAKGLASS_SWEEP=now and then", "BREAKGLASS_LISTEN=nonsense"} {
		o.env = append(good[:len(good):len(good)], wrong)
		name, _, _ := strings.Cut(wrong, "=")
		o.wants(exitUsage, []string{name}, "serve")
	}
}

// TestLostStore loses the store while its schedules stand: a new one is not begun by accident, and one that is begun knowingly gives no id twice.
func TestLostStore(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.wants(exitUsage, []string{"--anew goes with --init"}, "serve", "--anew")
	o.letIn()
	path := filepath.Join(o.dir, "breakglass.db")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	o.wants(exitUsage, []string{"3 dead man's schedules of an earlier store stand, the latest of BG-1001", "restore a backup", "--init --anew"}, "serve", "--init")
	o.world.AWS.FailNext("scheduler", "ListSchedules", "AccessDeniedException", 1)
	o.wants(exitFailed, []string{"does not say whether there was an earlier one", "--init --anew"}, "serve", "--init")
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("a store was made: %v", err)
	}
	o.serve("--init", "--anew")
	o.ask("dana", "ec2", "prod-cash")
	o.await("the next id", func() bool { return o.state("BG-1002") == store.Pending })
	if s := o.state("BG-1001"); s != "" {
		t.Errorf("BG-1001 was given twice; it is %s", s)
	}
}

// TestEndOnFullDisk ends a session from the command line while the store cannot be written: the access is taken away, and whoever asked is told that it was
// not written down.
func TestEndOnFullDisk(t *testing.T) {
	t.Parallel()
	const set = "Forge-Prod-BreakGlass-EC2"
	o := newOffice(t)
	o.env = append(o.env, "BREAKGLASS_DEADMAN_ROLE=")
	o.letIn()
	path := filepath.Join(o.dir, "breakglass.db")
	stuff(t, path)
	shell := o.bin
	o.bin = limited(t, shell, sizeOf(t, path))
	o.serve()
	o.bin = shell
	o.wants(exitFailed, []string{"BG-1001", "is being taken away", "the store cannot be written"}, "end", "1001")
	o.await("the end", func() bool { return !o.has("dana", sandbox.ProdWealth, set) })
}

// TestKeepUp: what is served is tried again while it cannot be, and ends with the program.
func TestKeepUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &bytes.Buffer{}
		p := &program{setting: setting{log: slog.New(slog.NewTextHandler(log, nil))}}
		ctx, cancel := context.WithCancel(t.Context())
		began, tries := time.Now(), 0
		p.keepUp(ctx, "nothing is served", func(ctx context.Context) error {
			if tries++; tries < 3 {
				return errors.New("the port is taken")
			}
			time.AfterFunc(time.Hour, cancel)
			<-ctx.Done()
			return nil
		})
		if took := time.Since(began); tries != 3 || took != time.Hour+2*againAfter {
			t.Errorf("%d tries in %v", tries, took)
		}
		if got := log.String(); strings.Count(got, "nothing is served; trying again") != 2 || !strings.Contains(got, "the port is taken") {
			t.Error(got)
		}
	})
}

// TestSessionsTable shows what an operator reads when Slack is not there.
func TestSessionsTable(t *testing.T) {
	now := time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)
	dana := store.Person{Name: "Dana Ruiz", Email: "dana@forge.example"}
	in := func(id store.ID, change func(*store.Request)) store.Request {
		r := store.Request{ID: id, State: store.Active, Requester: dana, Scenario: "ec2", ExpiresAt: now.Add(40 * time.Minute)}
		change(&r)
		return r
	}
	a := answer{
		Lockdown: &store.Lockdown{By: store.Officer("root"), At: now, Why: "leaked\x1b laptop"},
		Sessions: []store.Request{
			in("BG-1", func(r *store.Request) {
				r.Account.Name, r.PermissionSet = "prod-wealth", "Emergency"
				r.Ends.Unguarded, r.Work.Error = true, "IAM said \x1bno"
				r.Extensions = []store.Extension{{By: time.Hour, State: store.ExtensionAsked}}
			}),
			in("BG-2", func(r *store.Request) {
				r.Group = "grp-admins"
				r.Extensions = []store.Extension{{By: time.Hour, State: store.ExtensionGranted}, {By: 90 * time.Minute, State: store.ExtensionApproved}}
			}),
			in("BG-3", func(r *store.Request) {
				r.Account.Name, r.Role, r.ExpiresAt = "prod-cash", "breakglass-role", now.Add(-time.Minute)
			}),
		},
	}
	var out bytes.Buffer
	if err := printSessions(&out, a, now); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(out.String(), "\n")
	for n, words := range [][]string{
		{"LOCKED DOWN", "root", "leaked? laptop"},
		{"ACCOUNT", "GRANT", "TROUBLE"},
		{"BG-1", "prod-wealth", "Emergency", "(40m left, 1h more asked for)", "unguarded", "IAM said ?no"},
		{"BG-2", " -  ", "grp-admins", "1h30m more approved"},
		{"BG-3", "prod-cash", "breakglass-role", "(over)"},
	} {
		for _, w := range words {
			if !strings.Contains(lines[n], w) {
				t.Errorf("line %d lacks %q: %s", n, w, lines[n])
			}
		}
	}
	out.Reset()
	if err := printSessions(&out, answer{}, now); err != nil || out.String() != "Nobody is in, and nobody waits.\n" {
		t.Error(out.String(), err)
	}
}
