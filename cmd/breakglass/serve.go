package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"regexp"
	"strconv"
	"syscall"
	"time"

	"github.com/gorilla/websocket"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"

	"breakglass/store"
	"breakglass/workflows/aws"
	"breakglass/workflows/policy"
)

func serveCommand() *cobra.Command {
	var create, anew bool
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run the bot",
		Long: `Run the bot until it is told to stop (SIGTERM, Ctrl-C). SIGHUP takes up a changed policy file.

serve never makes a store: a lost volume must not look like a first start. The first time, use serve --init.
That asks AWS whether dead man's schedules of an earlier store stand, and the archive whether it has the log of one, and refuses where they do or where there is no answer; --anew does not ask.

A faulty environment or policy ends it only where nobody may have access: while somebody is in, it goes on with the policy that was last in force, or
without Slack, until they are out.`,
		Args: exactly(0, "[--init [--anew]]"),
		RunE: func(c *cobra.Command, _ []string) error {
			if anew && !create {
				return usagef("--anew goes with --init: it is for making a store")
			}
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
			return serve(c.Context(), setting{env: env, create: create, anew: anew, now: theClock(), log: log, registry: registry, hup: hup})
		},
	}
	c.Flags().BoolVar(&create, "init", false, "make the store if there is none")
	c.Flags().BoolVar(&anew, "anew", false, "begin a new store although schedules of an earlier one stand")
	return c
}

// setting is everything a running bot gets from its surroundings. Tests and the sandbox give it other networks and another clock.
type setting struct {
	env      environment
	create   bool // make the store if there is none
	anew     bool // even where schedules show an earlier one
	now      func() time.Time
	log      *slog.Logger
	registry *prometheus.Registry
	slack    *http.Client      // nil: an ordinary one
	dialer   *websocket.Dialer // nil: an ordinary one
	aws      *http.Client      // nil: the SDK's
	tracker  *http.Client      // nil: an ordinary one
	noSocket bool              // commands have no way in: for tests inside a bubble
	lifted   bool              // our own rate limits are off, for benchmarks
	hup      <-chan os.Signal  // SIGHUP: take up a changed policy
	ready    func(*program)    // called when Slack is connected
}

// serve runs one bot: what is overdue first, then Slack, until ctx is done.
//
// A fault of the environment or of the policy file ends the start only where nobody may have access: to end a session takes neither Slack nor the newest
// policy, so while somebody is in, it goes on with what there is.
func serve(ctx context.Context, s setting) error {
	path, err := s.env.storePath()
	if err != nil {
		return err
	}
	wrong := s.env.faults()
	pol, text, faulty := readPolicy(s.env.Policy)
	db, err := openStore(path, s.now())
	if err != nil {
		switch {
		case wrong != nil:
			return wrong
		case faulty != nil:
			return faulty
		case !s.create || !errors.Is(err, store.ErrNoStore):
			return err
		}
		if db, err = s.firstStore(ctx, path, pol); err != nil {
			return err
		}
	}
	defer db.Close()
	if wrong != nil {
		if err := stay(db, s.log, wrong); err != nil {
			return err
		}
		s.env.Sweep = "" // its default, lest the fault be there
	}
	if faulty != nil {
		if pol, text, err = lastPolicy(db, s.log, faulty); err != nil {
			return err
		}
	}
	p, err := newProgram(ctx, s, db, pol)
	if err != nil {
		return err
	}
	p.begin(ctx, text)
	return p.run(ctx)
}

// stay says whether a start goes on in spite of a fault: nil, having said so, where somebody may have access; else the fault.
func stay(db *store.DB, log *slog.Logger, fault error) error {
	open, err := inside(db)
	if err != nil {
		return errors.Join(fault, err)
	}
	if open == 0 {
		return fault
	}
	log.Error("going on all the same, to end the sessions that are open. Mend it and restart", "open", open, "err", fault)
	return nil
}

// inside counts the sessions that may have access.
func inside(db *store.DB) (open int, err error) {
	counts, err := db.Tally()
	for _, s := range store.States() {
		if s.MayHaveAccess() {
			open += counts[s]
		}
	}
	return open, err
}

// lastPolicy is the policy that was in force last, for a start at which the file is faulty and somebody may have access. The error is the fault of the file
// where nobody has, or where that one is not known.
func lastPolicy(db *store.DB, log *slog.Logger, faulty error) (*policy.Policy, []byte, error) {
	text, known, err := db.Fact(factPolicy)
	if err != nil || !known {
		return nil, nil, errors.Join(faulty, err)
	}
	pol, err := policy.Parse("the policy last in force", []byte(text))
	if err != nil {
		return nil, nil, errors.Join(faulty, err)
	}
	if err := stay(db, log, fmt.Errorf("the policy last in force stays in force (hash %.12s); SIGHUP takes the file up when it is mended, which is faulty: %w", pol.Hash, faulty)); err != nil {
		return nil, nil, faulty
	}
	return pol, []byte(text), nil
}

// firstStore makes the store of a first start, unless the dead man's schedules or the archive show that it is none.
func (s setting) firstStore(ctx context.Context, path string, pol *policy.Policy) (*store.DB, error) {
	if !s.anew {
		if err := s.noEarlier(ctx, pol); err != nil {
			return nil, err
		}
	}
	return store.Create(path, s.now())
}

// ofStore is how the schedules of a store's sessions are named: by the request's id.
var ofStore = regexp.MustCompile(`^BG-([0-9]+)-`)

// askEarlier is how long AWS has to say whether there was an earlier store.
const askEarlier = 10 * time.Second

// noEarlier refuses where schedules stand that another store's sessions were given, or the archive has a log: that store knows who is in, a new one would not.
// No answer is a no.
func (s setting) noEarlier(ctx context.Context, pol *policy.Policy) error {
	cfg := s.connection(pol)
	cfg.Meters = nil // they are the program's own, which comes later
	conn, err := aws.Connect(ctx, cfg)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, askEarlier)
	defer cancel()
	if s.env.DeadmanRole != "" {
		if err := s.noSchedules(ctx, conn, cfg.Region); err != nil {
			return err
		}
	}
	return s.noLog(ctx, conn, pol)
}

// noLog refuses where the archive has the log of an earlier store.
func (s setting) noLog(ctx context.Context, conn *aws.Connection, pol *policy.Policy) error {
	archive, err := conn.Archive(s.env.archiveAt(pol))
	if err != nil {
		return nil // said where it is used
	}
	for _, prefix := range []string{"checkpoints", "log"} {
		name, err := archive.Newest(ctx, prefix)
		var refused *store.Refusal
		if errors.As(err, &refused) && refused.Code == "NoSuchBucket" {
			return nil // what is not there has no log; check says that it is missing
		}
		if err != nil {
			return fmt.Errorf("no store was made, since the archive does not say whether there was an earlier one: %w. Mend that and start again; breakglass check says "+
				"what is needed. Where you know that there never was a store: breakglass serve --init --anew", err)
		}
		if name != "" {
			return usagef("no store was made: %s has the log of an earlier store (%s). Its sessions are in that store: bring its volume back, or restore a backup. "+
				"If it is lost for good, end by hand what it had granted, name another archive, or another prefix in it (BREAKGLASS_ARCHIVE), and: breakglass serve --init", archive, name)
		}
	}
	return nil
}

// noSchedules refuses where schedules of an earlier store stand.
func (s setting) noSchedules(ctx context.Context, conn *aws.Connection, region string) error {
	names, err := conn.DeadMan().List(ctx)
	if err != nil {
		return fmt.Errorf("no store was made, since AWS does not say whether there was an earlier one: %w. Mend that and start again; breakglass check says "+
			"what is needed. Where you know that there never was a store: breakglass serve --init --anew", err)
	}
	n, latest := 0, uint64(0)
	for _, name := range names {
		if m := ofStore.FindStringSubmatch(name); m != nil {
			n++
			id, _ := strconv.ParseUint(m[1], 10, 64)
			latest = max(latest, id)
		}
	}
	if n == 0 {
		return nil
	}
	return usagef("no store was made: %d dead man's schedules of an earlier store stand, the latest of BG-%d. Its sessions are in that store: bring its volume "+
		"back, or restore a backup. If it is lost for good, wait until the schedules have run (EventBridge Scheduler, group breakglass, in %s): they end "+
		"those sessions. Then, or knowing that nobody is in: breakglass serve --init --anew", n, latest, region)
}

// openStore opens the store. Its errors say what to do; store.ErrNoStore is among them.
func openStore(path string, now time.Time) (*store.DB, error) {
	db, err := store.Open(path, now)
	var held *store.HeldError
	switch {
	case err == nil:
	case errors.Is(err, store.ErrNoStore):
		return nil, usagef("%w at %s. For a first start: breakglass serve --init. If there was one, its volume is missing: "+
			"bring it back, or restore a backup; live sessions are in it", store.ErrNoStore, path)
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
