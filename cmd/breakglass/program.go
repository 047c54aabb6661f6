package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"

	"breakglass/bot"
	"breakglass/handlers"
	"breakglass/store"
	"breakglass/workflows"
	"breakglass/workflows/aws"
	"breakglass/workflows/policy"
)

// program is one running bot: the rooms, joined.
type program struct {
	setting
	db     *store.DB
	pol    atomic.Pointer[policy.Policy]
	aws    *aws.Connection
	dir    *aws.Directory
	idc    *aws.IdentityCenter
	mail   workflows.Mailer
	side   slackSide
	engine *workflows.Engine

	// What needs Slack's tokens; whoever uses these has seen side.bound.
	bot   *bot.Bot
	rooms *handlers.Channels
	well  atomic.Pointer[http.Handler] // the bot's own health; nil until there is a bot
}

// catchUpFor is how long overdue revocations may hold up the connection to Slack.
const catchUpFor = 5 * time.Second

// newProgram joins what needs no Slack. It calls neither AWS nor Slack.
func newProgram(ctx context.Context, s setting, db *store.DB, pol *policy.Policy) (*program, error) {
	p := &program{setting: s, db: db}
	p.pol.Store(pol)
	var err error
	if p.aws, err = aws.Connect(ctx, s.connection(pol)); err != nil {
		return nil, err
	}
	if p.mail, err = p.mailer(pol); err != nil {
		return nil, err
	}
	p.dir, p.idc = p.aws.Directory(), p.aws.IdentityCenter()
	p.knownNames()
	access := aws.NewAccess(p.idc, p.aws.Memberships(), p.aws.Roles())
	engine := workflows.Config{
		DB: db, Policy: p.pol.Load, Directory: p.dir, Assigner: access, Shells: p.aws.Shells(), Inventory: p.aws.Inventory(),
		People: &p.side, Speaker: &p.side, Now: s.now, Elsewhere: p.aws.ServerTime, Log: s.log, Registry: s.registry, Sweep: s.env.Sweep, ByHand: access.ByHand,
		DeadMan: p.aws.DeadMan(), NoSchedules: s.env.DeadmanRole == "", // those that were made before they were switched off are removed all the same
	}
	if s.env.Guard != "" { // an interface that holds a nil pointer is not nil
		engine.Guards = p.aws.Guards()
	}
	if err := p.evidence(&engine, pol); err != nil {
		return nil, err
	}
	p.engine = workflows.New(engine)
	return p, nil
}

// connection is what AWS is reached by.
func (s setting) connection(pol *policy.Policy) aws.Config {
	cfg := aws.Config{
		Region: pol.IdentityCenter.Region, InstanceARN: pol.IdentityCenter.InstanceARN,
		MemberRole: s.env.MemberRole, OwnerRole: s.env.OwnerRole, Guard: s.env.Guard, DeadManRole: s.env.DeadmanRole,
		Limits: aws.Limits{Lifted: s.lifted}, Log: s.log, Now: s.now, Meters: s.registry,
	}
	if s.aws != nil {
		cfg.HTTP = s.aws
	}
	return cfg
}

// mailer sends by what BREAKGLASS_MAIL names. A fault there ends the start only where nobody may have access.
func (p *program) mailer(pol *policy.Policy) (workflows.Mailer, error) {
	m, err := p.aws.Mailer(p.env.Mail, pol.Report.From)
	if err == nil {
		return m, nil
	}
	fault := usagef("BREAKGLASS_MAIL: %w", err)
	if err := stay(p.db, p.log, fault); err != nil {
		return nil, err
	}
	return unmailed{fault}, nil
}

// unmailed is mail that cannot go out until the environment is mended. What is to be mailed waits in the store.
type unmailed struct{ fault error }

func (u unmailed) Send(context.Context, store.Mail) error { return u.fault }

// run is the order of a start: what is overdue, then what the schedules know, then the commands' socket and health, then Slack, whose tokens may be kept in AWS. It returns when ctx is
// done, after what was in hand is finished.
func (p *program) run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	catchUp, cancel := context.WithTimeout(ctx, catchUpFor)
	err := p.engine.CatchUp(catchUp, ctx)
	cancel()
	if err != nil {
		return fmt.Errorf("begin what is overdue: %w", err)
	}
	p.recount(ctx)
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return p.engine.Run(gctx) })
	g.Go(func() error { p.keepUp(gctx, "health and metrics are not served", p.listen); return nil })
	g.Go(func() error { p.keepUp(gctx, "commands have no way in", p.admin); return nil })
	g.Go(func() error { p.watchPolicy(gctx); return nil })
	g.Go(func() error { p.warm(gctx); return nil })
	g.Go(func() error { return p.talk(gctx) })
	err = g.Wait()
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		err = nil
	}
	by := store.By{Actor: store.Bot(), At: store.Moment(p.engine.Moment())}
	if lerr := p.db.Log(by, store.EventStopped, map[string]string{"version": version()}); err == nil {
		err = lerr
	}
	return err
}

// recountFor is how long the schedules may hold up what comes after the overdue ends.
const recountFor = 5 * time.Second

// recount makes ids go on past those that the dead man's schedules know, before anybody can ask for anything and before schedules are compared with the
// store: one that was restored has forgotten some.
func (p *program) recount(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, recountFor)
	defer cancel()
	if err := p.engine.Recount(ctx); err != nil {
		p.log.Warn("it is not known whether the dead man's schedules know later requests than the store: should it come from a backup, ids may be given twice", "err", err)
	}
}

// begin writes the start down and says which ends are switched off. A store that cannot be written, as on a full disk, does not keep the program from
// starting: what is over must be taken away. It is tried again until it works.
func (p *program) begin(ctx context.Context, policyText []byte) {
	if p.env.DeadmanRole == "" {
		p.log.Warn("the dead man's schedules are switched off: if this process is gone, nobody takes an assignment away until it is back. Set BREAKGLASS_DEADMAN_ROLE")
	}
	if p.env.Guard == "" {
		p.log.Warn("the guard policies are switched off: credentials that were taken live on after the end, for as long as their session lasts. Set BREAKGLASS_GUARD")
	}
	err := p.started(policyText)
	if err == nil {
		return
	}
	p.log.Error("the store cannot be written: nothing new can be asked for until it can; what is over is taken away all the same. Make room on its disk", "err", err)
	go func() {
		for ; err != nil; err = p.started(policyText) {
			if wait(ctx, againAfter) != nil {
				return
			}
		}
		p.log.Info("the store can be written again")
	}()
}

// started writes the start into the log, and announces a policy that is not the one of the last run.
func (p *program) started(policyText []byte) error {
	by := store.By{Actor: store.Bot(), At: store.Moment(p.engine.Moment())}
	pol := p.pol.Load()
	if err := p.db.Log(by, store.EventStarted, map[string]string{"version": version(), "policy": pol.Hash}); err != nil {
		return fmt.Errorf("write to the store: %w", err)
	}
	return errors.Join(p.announcePolicy(by, pol, policyText), p.engine.KeepPolicy())
}

// warm reads ahead what every request needs, so that the first one does not wait for it. Failing is no fault: it is asked again when needed.
func (p *program) warm(ctx context.Context) {
	err := p.idc.Warm(ctx)
	p.keepNames()
	if err != nil && ctx.Err() == nil {
		p.log.Warn("could not read the permission sets ahead", "err", err)
	}
	if err := p.dir.Warm(ctx, p.pol.Load().Groups()); err != nil && ctx.Err() == nil {
		p.log.Warn("could not read the groups ahead", "err", err)
	}
}

// againAfter is between two tries of what the program can do without for a while.
const againAfter = 30 * time.Second

// keepUp serves something until ctx is done. Where that fails it says what is missing and tries again: nothing that is merely served may end the process
// that takes access away.
func (p *program) keepUp(ctx context.Context, missing string, serve func(context.Context) error) {
	for {
		err := serve(ctx)
		if err == nil || ctx.Err() != nil {
			return
		}
		p.log.Error(missing+"; trying again", "in", againAfter.String(), "err", err)
		if wait(ctx, againAfter) != nil {
			return
		}
	}
}

// wait returns after d, or with the error of ctx when that is done first.
func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// listen serves health and metrics.
func (p *program) listen(ctx context.Context) error {
	if p.env.Listen == "" {
		return nil
	}
	l, err := net.Listen("tcp", p.env.Listen)
	if err != nil {
		return fmt.Errorf("BREAKGLASS_LISTEN: %w", err)
	}
	p.log.Info("health and metrics", "url", "http://"+l.Addr().String())
	return serveHTTP(ctx, l, p.health())
}

// health answers from the first moment on. Until Slack's tokens are read there is no bot to ask: the program is alive, and not ready.
func (p *program) health() http.Handler {
	early := http.NewServeMux()
	early.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	early.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "Slack's tokens are not read yet; the log says why", http.StatusServiceUnavailable)
	})
	early.Handle("GET /metrics", promhttp.HandlerFor(p.registry, promhttp.HandlerOpts{}))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h := p.well.Load(); h != nil {
			(*h).ServeHTTP(w, r)
			return
		}
		early.ServeHTTP(w, r)
	})
}

// serveHTTP serves until ctx is done.
func serveHTTP(ctx context.Context, l net.Listener, h http.Handler) error {
	return serveOn(ctx, l, &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second})
}

func serveOn(ctx context.Context, l net.Listener, srv *http.Server) error {
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	_ = srv.Shutdown(closing)
	return nil
}
