package handlers

import (
	"context"
	"log/slog"
	"time"

	"github.com/slack-go/slack"
	"github.com/slack-go/slack/slackevents"

	"breakglass/store"
	"breakglass/workflows"
	"breakglass/workflows/policy"
)

// desk is where requests and clicks are handed in: the workflows' engine.
type desk interface {
	// Submit checks everything again and records a request. Errors: workflows.FormFaults, *workflows.Refusal, or a fault.
	Submit(ctx context.Context, by store.By, a workflows.Ask) (store.Request, error)
	// Receive puts a click on disk and returns; it is acted on afterwards. The same Key a second time is no error.
	Receive(ctx context.Context, c store.Click) error
}

// book is what handlers read of the store, to show it.
type book interface {
	Request(id store.ID) (store.Request, error)
	Open() ([]store.Request, error)
	OpenOf(userID string) ([]store.Request, error)
	OfPerson(userID string, most int) ([]store.Request, error)
	// Lockdown is the one in force, if any.
	Lockdown() (l store.Lockdown, inForce bool, err error)
}

// Hooks are called when Slack says that something changed which others remember. Any of them may be nil. They are called on a
// goroutine of their own, with a deadline.
type Hooks struct {
	// ChannelID: a channel goes on under another id (it was shared, or made private on a Grid).
	ChannelID func(ctx context.Context, was, is string)
	// ChannelName: a channel has a new name.
	ChannelName func(ctx context.Context, id, name string)
	// ChannelShared: a channel was opened to another organisation.
	ChannelShared func(ctx context.Context, id string)
}

// Parts is what Handlers is made of. All of them are needed but Hooks and Log.
type Parts struct {
	Slack     *slack.Client
	Desk      desk
	Book      book
	People    *Identity
	Policy    func() *policy.Policy // the one in force
	Workspace Workspace
	Hooks     Hooks
	Now       func() time.Time
	Log       *slog.Logger
}

// Handlers answers what people do in Slack. It implements bot.Handler.
type Handlers struct {
	slack  *slack.Client
	desk   desk
	book   book
	people *Identity
	policy func() *policy.Policy
	home   Workspace
	hooks  Hooks
	now    func() time.Time
	log    *slog.Logger

	work   *work
	offers *memo[offering] // by Slack user, for filling forms
	turns  *turns          // who may update a form next
	paints *paints         // who may publish an App Home next
}

// New puts the parts together. Nothing runs until something is delivered.
func New(p Parts) *Handlers {
	if p.Log == nil {
		p.Log = slog.New(slog.DiscardHandler)
	}
	return &Handlers{
		slack: p.Slack, desk: p.Desk, book: p.Book, people: p.People, policy: p.Policy, home: p.Workspace,
		hooks: p.Hooks, now: p.Now, log: p.Log,
		work:   newWork(p.Log),
		offers: newMemo[offering](formMemory, p.Now),
		turns:  newTurns(p.Now),
		paints: newPaints(),
	}
}

// Close waits for what is still being shown to people (forms being filled, App Homes being painted) until ctx ends, then stops it.
// Nothing that matters is lost: all of it can be shown again.
func (h *Handlers) Close(ctx context.Context) { h.work.close(ctx) }

// Interaction answers a click, a form, a search in a select or a shortcut. What nobody here knows is acknowledged and left alone:
// it belongs to another version of this program.
func (h *Handlers) Interaction(ctx context.Context, in slack.InteractionCallback, delivery string) (any, error) {
	switch in.Type {
	case slack.InteractionTypeBlockActions:
		return nil, h.click(ctx, &in, delivery)
	case slack.InteractionTypeViewSubmission:
		if answer := h.submission(ctx, &in, delivery); answer != nil {
			return answer, nil
		}
		return nil, nil
	case slack.InteractionTypeBlockSuggestion:
		return h.suggest(ctx, &in), nil
	case slack.InteractionTypeShortcut, slack.InteractionTypeMessageAction:
		return nil, h.shortcut(ctx, &in)
	}
	return nil, nil
}

// submission answers a form that was sent. nil closes the form alone.
func (h *Handlers) submission(ctx context.Context, in *slack.InteractionCallback, delivery string) *slack.ViewSubmissionResponse {
	switch in.View.CallbackID {
	case callbackRequest:
		return h.submitRequest(ctx, in, delivery)
	case callbackDeny:
		return h.submitDeny(ctx, in, delivery)
	case callbackTicket:
		return h.submitTicket(ctx, in, delivery)
	case callbackRevoke:
		return h.submitRevoke(ctx, in, delivery)
	case callbackExtend:
		return h.submitExtend(ctx, in, delivery)
	case callbackNoMore:
		return h.submitNoMore(ctx, in, delivery)
	case callbackLock:
		return h.submitLock(ctx, in, delivery, store.ClickLock)
	case callbackUnlock:
		return h.submitLock(ctx, in, delivery, store.ClickUnlock)
	case callbackMortem:
		return h.submitMortem(ctx, in, delivery)
	case callbackWaive:
		return h.submitWaive(ctx, in, delivery)
	}
	return nil
}

// Event takes what Slack tells us without being asked. What it says is a hint, never an authority: it makes us look again.
func (h *Handlers) Event(_ context.Context, e slackevents.EventsAPIEvent, _ string) error {
	if e.TeamID != "" && !h.home.admits(e.TeamID) {
		return nil
	}
	switch ev := e.InnerEvent.Data.(type) {
	case *slackevents.AppHomeOpenedEvent:
		if ev.Tab == "" || ev.Tab == "home" {
			h.paints.opened(ev.User)
			h.Refresh(context.Background(), ev.User)
		}
	case *slackevents.ChannelIDChangedEvent:
		h.people.channelChanged(ev.OldChannelID, ev.NewChannelID)
		if f := h.hooks.ChannelID; f != nil {
			h.work.spawn(hookPatience, func(ctx context.Context) { f(ctx, ev.OldChannelID, ev.NewChannelID) })
		}
	case *slackevents.ChannelRenameEvent:
		if f := h.hooks.ChannelName; f != nil {
			h.work.spawn(hookPatience, func(ctx context.Context) { f(ctx, ev.Channel.ID, ev.Channel.Name) })
		}
	case *slackevents.ChannelSharedEvent:
		h.people.channelChanged(ev.Channel)
		if f := h.hooks.ChannelShared; f != nil {
			h.work.spawn(hookPatience, func(ctx context.Context) { f(ctx, ev.Channel) })
		}
	}
	return nil
}

// hookPatience is how long a hook may take.
const hookPatience = 30 * time.Second
