package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"breakglass/deploy"
	"breakglass/deploy/manifest"
	"breakglass/deploy/sandbox"
	"breakglass/deploy/sandbox/awstwin"
	"breakglass/deploy/sandbox/clock"
	"breakglass/deploy/sandbox/page"
	"breakglass/deploy/sandbox/slacktwin"
)

func sandboxCommand() *cobra.Command {
	var box sandboxFlags
	c := &cobra.Command{
		Use:   "sandbox",
		Short: "Try it: the bot, a Slack workspace and an AWS organisation, all on this machine",
		Long: `Start the bot against a Slack workspace and an AWS organisation that live in this process, and a page to click through as requester, approver or outsider.
Nothing outside this machine is called, no account is needed, and nothing is kept: the next start begins anew. Time can be skipped on the page.`,
		Args: exactly(0, "[--listen ADDRESS]"),
		RunE: func(c *cobra.Command, _ []string) error {
			return box.run(c.Context(), c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	c.Flags().StringVar(&box.listen, "listen", "127.0.0.1:8181", "loopback address of the page; port 0 picks a free one")
	c.Flags().BoolVar(&box.verbose, "verbose", false, "show the bot's log")
	return c
}

type sandboxFlags struct {
	listen  string
	verbose bool
}

// slackConfig is a workspace in which the app is installed as its manifest says.
func slackConfig(base string) slacktwin.Config {
	cfg := slacktwin.Config{BaseURL: base}
	for _, s := range manifest.Scopes() {
		cfg.Scopes = append(cfg.Scopes, s.Name)
	}
	for _, e := range manifest.Events() {
		cfg.Events = append(cfg.Events, e.Name)
	}
	return cfg
}

// run starts the company, the bot and the page. The bot gets nothing but addresses and a clock: it has no second path for a sandbox.
func (f sandboxFlags) run(ctx context.Context, out, errOut io.Writer) error {
	front, err := f.open()
	if err != nil {
		return err
	}
	defer front.Close()
	slackAt, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen for the workspace: %w", err)
	}
	defer slackAt.Close()
	awsAt, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen for the organisation: %w", err)
	}
	defer awsAt.Close()
	dir, err := os.MkdirTemp("", "breakglass-sandbox-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	policyFile := filepath.Join(dir, "policy.yaml")
	if err := os.WriteFile(policyFile, deploy.ExamplePolicy, 0o600); err != nil {
		return err
	}
	if err := onlyTheTwin("http://" + awsAt.Addr().String()); err != nil {
		return err
	}
	clk := clock.New()
	slackURL := "http://" + slackAt.Addr().String()
	world := sandbox.Forge(clk.Now, slackConfig(slackURL), awstwin.Config{LenientRoleKeys: true})
	defer world.Slack.Close()

	level := slog.LevelError
	if f.verbose {
		level = slog.LevelInfo
	}
	var bot atomic.Pointer[program]
	set := setting{
		env: environment{
			BotToken: sandbox.BotToken, AppToken: sandbox.AppToken, SlackURL: slackURL + "/api/", Policy: policyFile,
			Store: "bolt:" + filepath.Join(dir, "breakglass.db"), Mail: "ses", Sweep: "@every 1s", MemberRole: sandbox.MemberRole, Guard: sandbox.GuardPrefix, DeadmanRole: sandbox.DeadManRole, OwnerRole: sandbox.PortalReader,
		},
		create: true, now: clk.Now, registry: prometheus.NewRegistry(),
		log: slog.New(slog.NewTextHandler(errOut, &slog.HandlerOptions{Level: level})),
		ready: func(p *program) {
			bot.Store(p)
			f.greet(out, front.Addr())
		},
	}
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return serveHTTP(gctx, slackAt, world.Slack) })
	g.Go(func() error { return serveHTTP(gctx, awsAt, world.AWS) })
	g.Go(func() error {
		return serveHTTP(gctx, front, page.New(page.Config{World: world, Clock: clk, Product: "Breakglass", Alarm: func() string { return lockedDown(bot.Load()) }}))
	})
	g.Go(func() error {
		defer world.Slack.Close() // its sockets would keep the servers from closing
		return serve(gctx, set)
	})
	if err := g.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// lockedDown is what the page says while a lockdown is in force.
func lockedDown(p *program) string {
	if p == nil {
		return ""
	}
	l, locked, err := p.db.Lockdown()
	if err != nil || !locked {
		return ""
	}
	return fmt.Sprintf("A lockdown by %s is in force: nobody is given access until it is lifted (/access lockdown lift)", l.By.Label())
}

// open listens for the page, on loopback only: whoever reaches it may act as anybody.
func (f sandboxFlags) open() (net.Listener, error) {
	host, _, err := net.SplitHostPort(f.listen)
	if err != nil {
		return nil, usagef("--listen %q: write it like 127.0.0.1:8181", f.listen)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, usagef("--listen %q: the sandbox is for this machine only; use 127.0.0.1", f.listen)
	}
	l, err := net.Listen("tcp", f.listen)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, usagef("%s is in use; stop what runs there (another sandbox?), or use --listen 127.0.0.1:0", f.listen)
	}
	return l, err
}

func (f sandboxFlags) greet(out io.Writer, at net.Addr) {
	fmt.Fprintf(out, `
  The sandbox is up:   http://%s

  Be Dana and type /breakglass. Be Lee and press Approve. Then sign in, do something, skip an hour, and read the thread.
  Everything here is on this machine and gone when you press Ctrl-C.

`, at)
}

// onlyTheTwin points the AWS SDK of this process at the twin, and takes away whatever could lead it anywhere else.
func onlyTheTwin(url string) error {
	for _, kv := range os.Environ() {
		if name, _, _ := strings.Cut(kv, "="); strings.HasPrefix(name, "AWS_") {
			if err := os.Unsetenv(name); err != nil {
				return err
			}
		}
	}
	for k, v := range map[string]string{
		"AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": awstwin.BotAccessKeyID, "AWS_SECRET_ACCESS_KEY": awstwin.BotSecretAccessKey,
		"AWS_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
	} {
		if err := os.Setenv(k, v); err != nil {
			return err
		}
	}
	return nil
}
