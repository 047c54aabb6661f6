package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/gorilla/websocket"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"

	"breakglass/store"
	"breakglass/workflows/policy"
)

func serveCommand() *cobra.Command {
	var create bool
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run the bot",
		Long: `Run the bot until it is told to stop (SIGTERM, Ctrl-C). SIGHUP takes up a changed policy file.

serve never makes a store: a lost volume must not look like a first start. The first time, use serve --init.`,
		Args: exactly(0, "[--init]"),
		RunE: func(c *cobra.Command, _ []string) error {
			env, err := readEnvironment()
			if err != nil {
				return err
			}
			log, err := env.logger(c.ErrOrStderr())
			if err != nil {
				return err
			}
			registry := prometheus.NewRegistry()
			registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
			hup := make(chan os.Signal, 1)
			signal.Notify(hup, syscall.SIGHUP)
			defer signal.Stop(hup)
			return serve(c.Context(), setting{env: env, create: create, now: theClock(), log: log, registry: registry, hup: hup})
		},
	}
	c.Flags().BoolVar(&create, "init", false, "make the store if there is none")
	return c
}

// setting is everything a running bot gets from its surroundings. Tests and the sandbox give it other networks and another clock.
type setting struct {
	env      environment
	create   bool
	now      func() time.Time
	log      *slog.Logger
	registry *prometheus.Registry
	slack    *http.Client      // nil: an ordinary one
	dialer   *websocket.Dialer // nil: an ordinary one
	aws      *http.Client      // nil: the SDK's
	noSocket bool              // commands have no way in: for tests inside a bubble
	lifted   bool              // our own rate limits are off, for benchmarks
	hup      <-chan os.Signal  // SIGHUP: take up a changed policy
	ready    func(*program)    // called when Slack is connected
}

// serve runs one bot: what is overdue first, then Slack, until ctx is done.
func serve(ctx context.Context, s setting) error {
	if err := s.env.needed(); err != nil {
		return err
	}
	pol, text, err := readPolicy(s.env.Policy)
	if err != nil {
		return err
	}
	path, err := s.env.storePath()
	if err != nil {
		return err
	}
	db, err := openStore(path, s.create, s.now())
	if err != nil {
		return err
	}
	defer db.Close()
	p, err := newProgram(ctx, s, db, pol)
	if err != nil {
		return err
	}
	p.begin(ctx, text)
	return p.run(ctx)
}

// openStore opens the store, or makes it when asked to. Its errors say what to do.
func openStore(path string, create bool, now time.Time) (*store.DB, error) {
	if create {
		db, err := store.Create(path, now)
		if !errors.Is(err, store.ErrExists) {
			return db, err
		}
	}
	db, err := store.Open(path, now)
	var held *store.HeldError
	switch {
	case err == nil:
	case errors.Is(err, store.ErrNoStore):
		return nil, usagef("there is no store at %s. For a first start: breakglass serve --init. If there was one, its volume is missing: "+
			"bring it back, or restore a backup; live sessions are in it", path)
	case errors.As(err, &held):
		return nil, fmt.Errorf("%w. Only one process may hold it: stop that one, or let this one be its replacement", err)
	case errors.Is(err, store.ErrDamaged):
		return nil, damaged(err)
	default:
		return nil, err
	}
	if err := db.Check(); err != nil {
		db.Close()
		return nil, damaged(err)
	}
	return db, nil
}

func damaged(err error) error {
	return fmt.Errorf("%w. Nothing was changed. Keep the file, restore the newest backup in its place, and end by hand what "+
		"was granted since it was made: aws sso-admin list-account-assignments shows it", err)
}

// readPolicy reads the policy file, and returns its text as well. Its faults are printed whole.
func readPolicy(path string) (*policy.Policy, []byte, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, usagef("read the policy: %w (BREAKGLASS_POLICY names it; deploy/policy.yaml of the source is one to start from)", err)
	}
	p, err := policy.Parse(path, data)
	if err != nil {
		return nil, nil, usageError{err}
	}
	return p, data, nil
}
