package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/slack-go/slack"
	"github.com/slack-go/slack/slackevents"

	"breakglass/bot"
	"breakglass/handlers"
	"breakglass/store"
	"breakglass/workflows"
	"breakglass/workflows/aws"
)

// slackSide stands for everything that needs Slack until Slack has answered once. The engine runs without it: what is due is done, what
// is to be said waits, and whoever clicks is not known yet.
type slackSide struct {
	bound atomic.Pointer[slackParts]
}

type slackParts struct {
	handlers *handlers.Handlers
	people   *handlers.Identity
	speaker  *handlers.Speaker
}

// Command implements bot.Handler.
func (s *slackSide) Command(ctx context.Context, c slack.SlashCommand) (any, error) {
	if p := s.bound.Load(); p != nil {
		return p.handlers.Command(ctx, c)
	}
	return nil, workflows.ErrNotYet
}

// Interaction implements bot.Handler.
func (s *slackSide) Interaction(ctx context.Context, in slack.InteractionCallback, delivery string) (any, error) {
	if p := s.bound.Load(); p != nil {
		return p.handlers.Interaction(ctx, in, delivery)
	}
	return nil, workflows.ErrNotYet
}

// Event implements bot.Handler.
func (s *slackSide) Event(ctx context.Context, ev slackevents.EventsAPIEvent, delivery string) error {
	if p := s.bound.Load(); p != nil {
		return p.handlers.Event(ctx, ev, delivery)
	}
	return workflows.ErrNotYet
}

// Match implements workflows.People.
func (s *slackSide) Match(ctx context.Context, slackID, teamID string, groups []string) (store.Principal, store.Person, error) {
	if p := s.bound.Load(); p != nil {
		return p.people.Match(ctx, slackID, teamID, groups)
	}
	return store.Principal{}, store.Person{}, workflows.ErrNotYet
}

// SlackOf implements workflows.People.
func (s *slackSide) SlackOf(ctx context.Context, who store.Principal) (string, error) {
	if p := s.bound.Load(); p != nil {
		return p.people.SlackOf(ctx, who)
	}
	return "", workflows.ErrNotYet
}

// Deliver implements workflows.Speaker.
func (s *slackSide) Deliver(ctx context.Context, n store.Notice, r store.Request, ref store.Ref) (store.Ref, error) {
	if p := s.bound.Load(); p != nil {
		stands, err := p.speaker.Deliver(ctx, n, r, ref)
		if err == nil && (n.Kind == workflows.NoticeCard || n.Kind == workflows.NoticeAsk) {
			p.handlers.Repaint(ctx, involved(r)...)
		}
		return stands, err
	}
	return store.Ref{}, &workflows.Undelivered{Certain: true, Err: workflows.ErrNotYet}
}

// involved are the people whose App Home shows this request: who asked, and who was asked.
func involved(r store.Request) []string {
	ids := []string{r.Requester.SlackID}
	for _, a := range r.Asked {
		ids = append(ids, a.SlackID)
	}
	return ids
}

// makeBot makes the side that talks to Slack, once its tokens could be read. It does not call Slack yet.
func (p *program) makeBot(ctx context.Context) error {
	botToken, appToken, err := p.tokens(ctx)
	if err != nil {
		return err
	}
	p.bot, err = bot.New(bot.Config{
		BotToken: botToken, AppToken: appToken, APIURL: p.env.SlackURL,
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
	well := bot.HealthHandler(p.bot, p.registry)
	p.well.Store(&well)
	return nil
}

// tokens reads Slack's tokens, again and again while the place they are kept in does not give them: that may be AWS, and sessions end meanwhile.
func (p *program) tokens(ctx context.Context) (botToken, appToken string, err error) {
	if err := p.env.needed(); err != nil {
		return "", "", err
	}
	for pause := time.Second; ; pause = min(2*pause, time.Minute) {
		botToken, err = aws.Secret(ctx, p.aws, p.env.BotToken)
		if err == nil {
			appToken, err = aws.Secret(ctx, p.aws, p.env.AppToken)
		}
		if err == nil {
			return botToken, appToken, nil
		}
		if ctx.Err() != nil {
			return "", "", ctx.Err()
		}
		p.log.Error("a Slack token cannot be read: nobody can ask for anything; what is over is taken away all the same. Trying again", "in", pause.String(), "err", err)
		if err := wait(ctx, pause); err != nil {
			return "", "", err
		}
	}
}

// talk reads the tokens, connects to Slack and stays connected. Tokens that Slack refuses end the process, but never while somebody may have access: then it
// goes on without Slack until they are out, and says so.
func (p *program) talk(ctx context.Context) error {
	if err := p.makeBot(ctx); err != nil {
		return p.outlive(ctx, err)
	}
	if err := p.bind(ctx); err != nil {
		return p.outlive(ctx, refusedBySlack(err))
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
	return p.outlive(ctx, refusedBySlack(err))
}

func refusedBySlack(err error) error {
	return fmt.Errorf("refused by Slack: %w. Check SLACK_BOT_TOKEN and SLACK_APP_TOKEN; breakglass check says more", err)
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
		if err := wait(ctx, pause); err != nil {
			return err
		}
	}
}

func (p *program) connect(home handlers.Workspace) {
	api := p.bot.API()
	people := handlers.NewIdentity(handlers.IdentityParts{
		Slack: api, Directory: p.dir, Facts: p.db, Policy: p.pol.Load, Workspace: home, Now: p.engine.Moment, Log: p.log, OnChanged: p.personChanged,
	})
	ends := otherEnds(p.env)
	speaker := handlers.NewSpeaker(handlers.SpeakerConfig{
		Ends: &ends, API: api, Policy: p.pol.Load, Channels: p.channels, Mail: p.mail, Now: p.engine.Moment, Log: p.log,
		Report: p.report, Ticket: p.ticketed, Workspace: home,
		Card: func(id store.ID) (store.Ref, bool) {
			if r, err := p.db.Request(id); err == nil && r.Lead != "" { // its thread is that of what it was granted along with
				id = r.Lead
			}
			ref, known, err := p.db.Ref(id, workflows.NoticeCard)
			return ref, known && err == nil
		},
	})
	h := handlers.New(handlers.Parts{
		Slack: api, Desk: p.engine, Book: p.db, People: people, Policy: p.pol.Load, Workspace: home, Now: p.engine.Moment, Log: p.log,
		Hooks: handlers.Hooks{ChannelName: p.channelRenamed, ChannelID: p.channelMoved, ChannelShared: p.channelShared},
	})
	p.side.bound.Store(&slackParts{handlers: h, people: people, speaker: speaker})
	p.engine.Nudge()
}

// outlive keeps the revocations going while somebody may have access, although there is no way to Slack, and then ends the process so that its
// supervisor tells somebody.
func (p *program) outlive(ctx context.Context, cause error) error {
	for ctx.Err() == nil {
		open, err := inside(p.db)
		if err != nil {
			return errors.Join(cause, err)
		}
		if open == 0 {
			return cause
		}
		p.log.Error("going on without Slack, only to end the sessions that are open. Mend what is wrong and restart", "open", open, "err", cause)
		if err := wait(ctx, time.Minute); err != nil {
			return err
		}
	}
	return ctx.Err()
}
