package main

import (
	"context"
	"sync/atomic"

	"github.com/slack-go/slack"
	"github.com/slack-go/slack/slackevents"

	"breakglass/handlers"
	"breakglass/store"
	"breakglass/workflows"
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
