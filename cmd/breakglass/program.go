package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

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
	mail   *aws.Mailer
	bot    *bot.Bot
	side   slackSide
	engine *workflows.Engine
	rooms  *handlers.Channels
}

// catchUpFor is how long overdue revocations may hold up the connection to Slack.
const catchUpFor = 5 * time.Second

func newProgram(ctx context.Context, s setting, db *store.DB, pol *policy.Policy) (*program, error) {
	p := &program{setting: s, db: db}
	p.pol.Store(pol)
	cfg := aws.Config{
		Region: pol.IdentityCenter.Region, InstanceARN: pol.IdentityCenter.InstanceARN,
		MemberRole: s.env.MemberRole, OwnerRole: s.env.OwnerRole, Guard: s.env.Guard, DeadManRole: s.env.DeadmanRole,
		Limits: aws.Limits{Lifted: s.lifted}, Log: s.log, Now: s.now, Meters: s.registry,
	}
	if s.aws != nil {
		cfg.HTTP = s.aws
	}
	var err error
	if p.aws, err = aws.Connect(ctx, cfg); err != nil {
		return nil, err
	}
	p.dir, p.idc = p.aws.Directory(), p.aws.IdentityCenter()
	access := aws.NewAccess(p.idc, p.aws.Memberships(), p.aws.Roles())
	if p.mail, err = p.aws.Mailer(s.env.Mail, pol.Report.From); err != nil {
		return nil, usagef("BREAKGLASS_MAIL: %w", err)
	}
	engine := workflows.Config{
		DB: db, Policy: p.pol.Load, Directory: p.dir, Assigner: access, Trail: p.aws.Trail(), Shells: p.aws.Shells(), Inventory: p.aws.Inventory(),
		People: &p.side, Speaker: &p.side, Now: s.now, Log: s.log, Registry: s.registry, Sweep: s.env.Sweep, ByHand: access.ByHand,
	}
	if s.env.Guard != "" { // an interface that holds a nil pointer is not nil
		engine.Guards = p.aws.Guards()
	}
	if s.env.DeadmanRole != "" {
		engine.DeadMan = p.aws.DeadMan()
	}
	p.engine = workflows.New(engine)
	return p, p.makeBot(ctx)
}

// makeBot makes the side that talks to Slack. It does not call Slack yet.
func (p *program) makeBot(ctx context.Context) error {
	tokens := map[string]string{p.env.BotToken: "", p.env.AppToken: ""}
	for ref := range tokens {
		value, err := aws.Secret(ctx, p.aws, ref)
		if err != nil {
			return fmt.Errorf("read a Slack token: %w", err)
		}
		tokens[ref] = value
	}
	var err error
	p.bot, err = bot.New(bot.Config{
		BotToken: tokens[p.env.BotToken], AppToken: tokens[p.env.AppToken], APIURL: p.env.SlackURL,
		HTTP: p.slack, Dialer: p.dialer, Log: p.log, Registry: p.registry, Now: p.now,
		OnStranger: func(n int) {
			p.log.Error("Slack counts connections that are not ours: clicks may vanish", "strangers", n)
		},
	}, &p.side)
	if err != nil {
		return err
	}
	p.bot.AddCheck("slack", func(context.Context) error {
		if p.side.bound.Load() == nil {
			return workflows.ErrNotYet
		}
		return nil
	})
	p.bot.AddCheck("store", func(context.Context) error { _, err := p.db.Tally(); return err })
	p.rooms = handlers.NewChannels(p.bot.API(), p.db, func() (string, string) {
		c := p.pol.Load().Channels
		return c.Requests, c.Incidents
	}, p.now)
	return nil
}

// run is the order of a start: what is overdue, then the commands' socket and health, then Slack. It returns when ctx is done, after what was
// in hand is finished.
func (p *program) run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	catchUp, cancel := context.WithTimeout(ctx, catchUpFor)
	err := p.engine.CatchUp(catchUp, ctx)
	cancel()
	if err != nil {
		return fmt.Errorf("begin what is overdue: %w", err)
	}
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return p.engine.Run(gctx) })
	g.Go(func() error { return p.listen(gctx) })
	g.Go(func() error { return p.admin(gctx) })
	g.Go(func() error { p.watchPolicy(gctx); return nil })
	g.Go(func() error { p.warm(gctx); return nil })
	g.Go(func() error { return p.talk(gctx) })
	err = g.Wait()
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		err = nil
	}
	by := store.By{Actor: store.Bot(), At: store.Moment(p.now())}
	if lerr := p.db.Log(by, store.EventStopped, map[string]string{"version": version()}); err == nil {
		err = lerr
	}
	return err
}

// startPause is between two tries to write down that the program started.
const startPause = 30 * time.Second

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
			select {
			case <-ctx.Done():
				return
			case <-time.After(startPause):
			}
		}
		p.log.Info("the store can be written again")
	}()
}

// started writes the start into the log, and announces a policy that is not the one of the last run.
func (p *program) started(policyText []byte) error {
	by := store.By{Actor: store.Bot(), At: store.Moment(p.now())}
	pol := p.pol.Load()
	if err := p.db.Log(by, store.EventStarted, map[string]string{"version": version(), "policy": pol.Hash}); err != nil {
		return fmt.Errorf("write to the store: %w", err)
	}
	return p.announcePolicy(by, pol, policyText)
}

// warm reads ahead what every request needs, so that the first one does not wait for it. Failing is no fault: it is asked again when needed.
func (p *program) warm(ctx context.Context) {
	if err := p.idc.Warm(ctx); err != nil && ctx.Err() == nil {
		p.log.Warn("could not read the permission sets ahead", "err", err)
	}
	if err := p.dir.Warm(ctx, p.pol.Load().Groups()); err != nil && ctx.Err() == nil {
		p.log.Warn("could not read the groups ahead", "err", err)
	}
}

// talk connects to Slack and stays connected. Tokens that Slack refuses end the process, but never while somebody may have access: then it
// goes on without Slack until they are out, and says so.
func (p *program) talk(ctx context.Context) error {
	if err := p.bind(ctx); err != nil {
		return p.outlive(ctx, err)
	}
	if p.ready != nil {
		p.ready(p)
	}
	err := p.bot.Run(ctx)
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	p.side.bound.Load().handlers.Close(closing)
	if err == nil {
		return ctx.Err()
	}
	return p.outlive(ctx, err)
}

// bind asks Slack who we are, again and again while it does not answer, and puts the handlers together.
func (p *program) bind(ctx context.Context) error {
	api := p.bot.API()
	for pause := time.Second; ; pause = min(2*pause, time.Minute) {
		home, err := handlers.Pin(ctx, api)
		if err == nil {
			p.connect(home)
			return nil
		}
		if bot.RefusesTokens(err) {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		p.log.Warn("Slack does not answer; trying again", "in", pause.String(), "err", err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

func (p *program) connect(home handlers.Workspace) {
	api := p.bot.API()
	people := handlers.NewIdentity(handlers.IdentityParts{
		Slack: api, Directory: p.dir, Facts: p.db, Policy: p.pol.Load, Workspace: home, Now: p.now, Log: p.log, OnChanged: p.personChanged,
	})
	ends := otherEnds(p.env)
	speaker := handlers.NewSpeaker(handlers.SpeakerConfig{
		Ends: &ends, API: api, Policy: p.pol.Load, Channels: p.channels, Mail: p.mail, Now: p.now, Log: p.log,
		Card: func(id store.ID) (store.Ref, bool) {
			if r, err := p.db.Request(id); err == nil && r.Lead != "" { // its thread is that of what it was granted along with
				id = r.Lead
			}
			ref, known, err := p.db.Ref(id, workflows.NoticeCard)
			return ref, known && err == nil
		},
	})
	h := handlers.New(handlers.Parts{
		Slack: api, Desk: p.engine, Book: p.db, People: people, Policy: p.pol.Load, Workspace: home, Now: p.now, Log: p.log,
		Hooks: handlers.Hooks{ChannelName: p.channelRenamed, ChannelID: p.channelMoved, ChannelShared: p.channelShared},
	})
	p.side.bound.Store(&slackParts{handlers: h, people: people, speaker: speaker})
	p.engine.Nudge()
}

// outlive keeps the revocations going while somebody may have access, although Slack will not have us, and then ends the process so that its
// supervisor tells somebody.
func (p *program) outlive(ctx context.Context, cause error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	for {
		counts, err := p.db.Tally()
		if err != nil {
			return errors.Join(cause, err)
		}
		open := 0
		for _, s := range store.States() {
			if s.MayHaveAccess() {
				open += counts[s]
			}
		}
		if open == 0 {
			return fmt.Errorf("refused by Slack: %w. Check SLACK_BOT_TOKEN and SLACK_APP_TOKEN; breakglass check says more", cause)
		}
		p.log.Error("Slack refuses us; going on only to end the sessions that are open. Mend the tokens and restart", "open", open, "err", cause)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Minute):
		}
	}
}

// listen serves health and metrics.
func (p *program) listen(ctx context.Context) error {
	if p.env.Listen == "" {
		return nil
	}
	l, err := net.Listen("tcp", p.env.Listen)
	if err != nil {
		return usagef("BREAKGLASS_LISTEN: %w", err)
	}
	p.log.Info("health and metrics", "url", "http://"+l.Addr().String())
	return serveHTTP(ctx, l, bot.HealthHandler(p.bot, p.registry))
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
