package bot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/slack-go/slack"
	"github.com/slack-go/slack/slackevents"
	"github.com/slack-go/slack/socketmode"
)

// What came of an envelope; metric labels, a closed list.
const (
	outcomeOK       = "ok"
	outcomeError    = "error"    // the handler returned an error
	outcomePanic    = "panic"    // the handler panicked
	outcomeLate     = "late"     // no answer by Config.AnswerBy
	outcomeBusy     = "busy"     // Config.Queue was full
	outcomeDraining = "draining" // it came while the bot was going down
	outcomeBad      = "bad"      // it cannot be decoded; acknowledged, because a repetition would be no better
)

var (
	errPanic = errors.New("the handler panicked")
	errBad   = errors.New("the payload cannot be decoded")
)

// States of an envelope. It is answered once: by its handler, or by the clock if that comes first.
const (
	queued int32 = iota
	running
	answered
)

// An envelope is one thing Slack waits to have acknowledged.
type envelope struct {
	id      string
	kind    string
	outer   string // events_api, slash_commands or interactive
	payload json.RawMessage
	from    *socket
	arrived time.Time
	state   atomic.Int32
	wrote   chan struct{} // closed when the answer of the clock is written
}

// take admits an envelope or refuses it, without waiting.
func (b *Bot) take(s *socket, req socketmode.Request) {
	e := &envelope{
		id: req.EnvelopeID, kind: kindOf(req), outer: req.Type, payload: req.Payload, from: s,
		arrived: time.Now(), wrote: make(chan struct{}),
	}
	b.health.envelope()
	if e.id == "" {
		b.metrics.envelopes.WithLabelValues(e.kind, outcomeBad).Inc()
		b.cfg.Log.Warn("an envelope without an id", "kind", e.kind)
		return
	}
	if req.RetryAttempt > 0 {
		b.cfg.Log.Info("Slack repeats an envelope", "envelope", e.id, "kind", e.kind, "attempt", req.RetryAttempt)
	}
	b.mu.Lock()
	refusal := ""
	switch {
	case b.draining:
		refusal = outcomeDraining
	case b.admitted >= b.cfg.Workers+b.cfg.Queue:
		refusal = outcomeBusy
	default:
		b.admitted++
		b.inflight.Add(1)
	}
	b.mu.Unlock()
	if refusal != "" {
		go b.refuse(e, refusal)
		return
	}
	go b.handle(e)
}

// handle sees one envelope through: a worker, the handler, the answer. It returns when the handler has returned, however
// late, because until then the handler may still write.
func (b *Bot) handle(e *envelope) {
	defer func() {
		b.mu.Lock()
		b.admitted--
		b.mu.Unlock()
		b.inflight.Done()
	}()
	ctx, cancel := context.WithDeadline(b.base, e.arrived.Add(b.cfg.AckWithin))
	defer cancel()
	clock := time.AfterFunc(time.Until(e.arrived.Add(b.cfg.AnswerBy)), func() { b.late(e) })
	defer clock.Stop()

	select {
	case b.workers <- struct{}{}:
		defer b.release()
	case <-ctx.Done():
		b.late(e)
		return
	}
	b.health.busy(b.workers)
	if !e.state.CompareAndSwap(queued, running) {
		<-e.wrote
		return
	}
	ack, err := b.call(ctx, e)
	if !e.state.CompareAndSwap(running, answered) {
		<-e.wrote
		b.cfg.Log.Warn("a handler finished after its answer was due", "envelope", e.id, "kind", e.kind,
			"took", time.Since(e.arrived), "err", err)
		return
	}
	b.answer(e, ack, err)
}

func (b *Bot) release() {
	<-b.workers
	b.health.busy(b.workers)
}

// answer turns what the handler returned into an acknowledgement, a sentence, or silence.
func (b *Bot) answer(e *envelope, ack any, err error) {
	switch {
	case err == nil:
		b.count(e, outcomeOK)
		b.acknowledge(e, ack)
	case errors.Is(err, errBad):
		b.count(e, outcomeBad)
		b.cfg.Log.Warn("a payload that cannot be decoded", "envelope", e.id, "kind", e.kind)
		b.acknowledge(e, nil)
	case errors.Is(err, errPanic):
		b.count(e, outcomePanic)
		b.say(e, sentencePanicked)
	case errors.Is(err, context.DeadlineExceeded) && time.Since(e.arrived) >= b.cfg.AckWithin:
		b.count(e, outcomeLate)
		b.cfg.Log.Error("a handler gave up at its deadline", "envelope", e.id, "kind", e.kind, "err", err)
		b.say(e, sentenceLate)
	default:
		b.count(e, outcomeError)
		b.cfg.Log.Error("a handler failed", "envelope", e.id, "kind", e.kind, "err", err)
		b.say(e, sentenceFailed)
	}
}

// late answers for a handler that has not. If none was started nothing was recorded; if one still runs nobody knows.
func (b *Bot) late(e *envelope) {
	text := sentenceLate
	if !e.state.CompareAndSwap(queued, answered) {
		if !e.state.CompareAndSwap(running, answered) {
			return
		}
		text = sentenceUncertain
	}
	defer close(e.wrote)
	b.count(e, outcomeLate)
	b.cfg.Log.Error("no answer in time", "envelope", e.id, "kind", e.kind, "took", time.Since(e.arrived))
	b.say(e, text)
}

// refuse answers an envelope that no handler saw.
func (b *Bot) refuse(e *envelope, outcome string) {
	b.count(e, outcome)
	b.cfg.Log.Warn("an envelope was refused", "envelope", e.id, "kind", e.kind, "why", outcome)
	if outcome == outcomeDraining {
		b.say(e, sentenceDraining)
		return
	}
	b.say(e, sentenceBusy)
}

func (b *Bot) count(e *envelope, outcome string) {
	b.metrics.envelopes.WithLabelValues(e.kind, outcome).Inc()
}

// call decodes the payload and calls the handler. A panic in either becomes errPanic.
func (b *Bot) call(ctx context.Context, e *envelope) (ack any, err error) {
	defer func() {
		if r := recover(); r != nil {
			b.metrics.panics.Inc()
			b.cfg.Log.Error("a handler panicked", "envelope", e.id, "kind", e.kind, "panic", describe(r),
				"stack", string(debug.Stack()))
			ack, err = nil, errPanic
		}
	}()
	if len(e.payload) == 0 || string(e.payload) == "null" {
		return nil, errBad // it would decode into a command of nobody
	}
	switch e.outer {
	case socketmode.RequestTypeSlashCommands:
		var c slack.SlashCommand
		if json.Unmarshal(e.payload, &c) != nil {
			return nil, errBad
		}
		return b.handler.Command(ctx, c)
	case socketmode.RequestTypeInteractive:
		var in slack.InteractionCallback
		if json.Unmarshal(e.payload, &in) != nil {
			return nil, errBad
		}
		return b.handler.Interaction(ctx, in, clickKey(in, e.id))
	case socketmode.RequestTypeEventsAPI:
		// ParseEvent knows no event that slack-go does not; what it does not know we did not subscribe to.
		ev, err := slackevents.ParseEvent(e.payload, slackevents.OptionNoVerifyToken())
		if err != nil {
			return nil, errBad
		}
		return nil, b.handler.Event(ctx, ev, eventKey(ev, e.id))
	}
	return nil, errBad
}

// describe tells a panic apart without its text, which may be a person's: the stack says where it was.
func describe(r any) string {
	if e, ok := r.(runtime.Error); ok {
		return e.Error()
	}
	return fmt.Sprintf("%T", r)
}
