// Package bot talks to Slack over Socket Mode: it keeps the sockets open, hands each envelope to a Handler,
// acknowledges it in time, and says whether it is well.
//
// It knows nothing of access. It must not learn who asks, what for, or what is stored: it imports nothing of this module,
// never reads a payload further than it takes to name its kind and its delivery, and never logs one.
//
// The loop is our own, on gorilla/websocket and the types of slack-go, rather than on slack-go's socketmode.Client.
// Four of its habits cannot be mended from outside (slack-go v0.34.0): it hides the reason of a disconnect and redials at
// once, about 800 times a second when Slack says no at the door; it queues acknowledgements across connections,
// so that one may leave on a socket Slack never asked on; it sends no PING, so that a half-open socket is
// noticed by its silence alone; and it closes on Slack's warning before it has another socket.
package bot

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/slack-go/slack"
	"github.com/slack-go/slack/slackevents"
)

// Handler is what the bot calls. Each call has a deadline (Config.AckWithin after the envelope arrived) and may run beside
// others; nothing is promised about order. A nil error means that what was asked is stored: only then does Slack get its
// acknowledgement, with ack as its payload where the kind takes one. An error means that nothing was stored. With an error, or
// no answer in time, an event and a click stay unacknowledged (Slack repeats events at once, after a minute and after
// five; a person sees a warning sign), while a command and a form are answered with a sentence, which the error does not
// reach.
type Handler interface {
	// Command answers a slash command. ack is a message (ephemeral unless it says otherwise) or nil.
	// Its delivery key is c.TriggerID, which is not to be logged.
	Command(ctx context.Context, c slack.SlashCommand) (ack any, err error)
	// Interaction answers a click, form, shortcut or search. ack is a *slack.ViewSubmissionResponse for view_submission, the
	// options for block_suggestion, and is ignored for the other kinds, which Slack does not read.
	// delivery is equal for two deliveries of one click.
	Interaction(ctx context.Context, in slack.InteractionCallback, delivery string) (ack any, err error)
	// Event takes an event of the Events API. delivery is its event_id.
	Event(ctx context.Context, ev slackevents.EventsAPIEvent, delivery string) error
}

// ErrRunning is returned by a second call of Run.
var ErrRunning = errors.New("the bot runs once only")

// A Bot keeps Config.Sockets connections to Slack and the work that came in over them.
type Bot struct {
	cfg     Config
	handler Handler
	api     *slack.Client
	metrics *metrics
	health  *health

	ran  atomic.Bool
	base context.Context // of every handler; outlives the context of Run by the drain

	workers  chan struct{} // a token for each handler that runs
	mu       sync.Mutex    // guards what follows
	draining bool
	admitted int            // envelopes that are queued or running
	inflight sync.WaitGroup // the same; Add only under mu and only while not draining
	sockets  map[*socket]struct{}
	dialling int // sockets that Slack may count already and that are not in sockets yet
}

// New makes a bot that is not connected yet. The error says what Config lacks.
func New(cfg Config, h Handler) (*Bot, error) {
	if h == nil {
		return nil, errors.New("bot: no handler")
	}
	if cfg.BotToken == "" || cfg.AppToken == "" {
		return nil, errors.New("bot: both the bot token (xoxb-) and the app-level token (xapp-) are needed")
	}
	cfg = cfg.withDefaults()
	if cfg.AnswerBy >= slackPatience || cfg.AckWithin > cfg.AnswerBy {
		return nil, fmt.Errorf("bot: AckWithin %v, AnswerBy %v: the first must not be after the second, and both under %v",
			cfg.AckWithin, cfg.AnswerBy, slackPatience)
	}
	m := newMetrics(cfg.Registry)
	return &Bot{
		cfg:     cfg,
		handler: h,
		api:     newAPI(cfg, m),
		metrics: m,
		health:  newHealth(cfg),
		base:    context.Background(),
		workers: make(chan struct{}, cfg.Workers),
		sockets: map[*socket]struct{}{},
	}, nil
}

// API is the Web API client: it retries 429 alone and as Slack asks, times out, counts, and does not follow redirects.
func (b *Bot) API() *slack.Client { return b.api }

// Run connects and serves until ctx ends, then drains: what is in hand is finished and acknowledged, what still arrives is
// refused with a sentence where Slack shows one, and the sockets are closed with a close frame, because Slack keeps
// routing to a socket that merely went away. It then returns nil. It returns an error when Slack refuses the tokens
// for good (errors.Is with ErrRefused), so that the process ends and its supervisor tells somebody.
func (b *Bot) Run(ctx context.Context) error {
	if !b.ran.CompareAndSwap(false, true) {
		return ErrRunning
	}
	base, abandon := context.WithCancel(context.WithoutCancel(ctx))
	defer abandon()
	b.base = base
	live, stop := context.WithCancelCause(ctx)
	defer stop(nil)

	var keepers sync.WaitGroup
	for slot := range b.cfg.Sockets {
		keepers.Go(func() {
			if !sleep(live, time.Duration(slot)*b.cfg.Stagger) {
				return
			}
			if err := b.keep(live, slot); err != nil {
				stop(err)
			}
		})
	}
	<-live.Done()
	b.drain(abandon)
	keepers.Wait()
	b.closeSockets()
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("connect to Slack: %w", context.Cause(live))
}

// drain refuses new envelopes and waits for those in hand. Handlers that outlast Config.DrainWithin lose their context.
func (b *Bot) drain(abandon context.CancelFunc) {
	b.mu.Lock()
	b.draining = true
	left := b.admitted
	b.mu.Unlock()
	b.cfg.Log.Info("draining", "in_hand", left)

	done := make(chan struct{})
	go func() { b.inflight.Wait(); close(done) }()
	timer := time.NewTimer(b.cfg.DrainWithin)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
		b.mu.Lock()
		left = b.admitted
		b.mu.Unlock()
		b.cfg.Log.Error("drained in vain: handlers are still running", "left", left, "after", b.cfg.DrainWithin)
		abandon()
	}
}

// sleep waits for d and reports whether it did; false means that ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
