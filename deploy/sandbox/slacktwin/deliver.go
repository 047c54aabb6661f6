package slacktwin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// ackDeadline is how long Slack waits for an acknowledgement (docs: "Handling user interaction").
const ackDeadline = 3 * time.Second

// What a person sees where the app does not answer. Slack's own words for slash commands; buttons show a warning
// triangle, forms "We had some trouble connecting".
var (
	ErrDispatchFailed   = errors.New("dispatch_failed: the app has no socket open")
	ErrOperationTimeout = errors.New("operation_timeout: the app did not acknowledge within 3 s")
	ErrOutage           = errors.New("outage: no answer from Slack")
	ErrTrouble          = errors.New("form not taken: We had some trouble connecting. Try again?")
)

// envelope is one delivery to the app.
type envelope struct {
	kind    string // events_api, slash_commands, interactive
	payload obj
	accepts bool // whether the acknowledgement may carry a payload
	attempt int  // redelivery, for events only

	// done applies what the acknowledgement says as soon as it is read, with mu held. An app's later call nearly always
	// finds its effect; nothing promises it, here or at Slack, because the call travels on another connection and may
	// overtake the acknowledgement.
	done func(payload json.RawMessage)
}

// RepeatNext makes the next n deliveries arrive twice, under two envelope ids, as has been seen of Slack's own. Only the
// first copy's acknowledgement counts.
func (w *Workspace) RepeatNext(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.repeat = n
}

// deliver sends to one socket, each in its turn, and waits for the acknowledgement. It returns the payload of the
// acknowledgement, nil if it had none.
func (w *Workspace) deliver(ctx context.Context, e envelope) (json.RawMessage, error) {
	if w.faults.down() {
		return nil, ErrOutage
	}
	wait := make(chan json.RawMessage, 1)
	id, err := w.dispatch(e, wait)
	if err != nil {
		return nil, err
	}
	defer func() {
		w.mu.Lock()
		delete(w.pending, id)
		w.mu.Unlock()
	}()
	timer := time.NewTimer(ackDeadline)
	defer timer.Stop()
	select {
	case payload := <-wait:
		return payload, nil
	case <-timer.C:
		return nil, ErrOperationTimeout
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for the acknowledgement: %w", ctx.Err())
	case <-w.ctx.Done():
		return nil, ErrOutage
	}
}

// dispatch sends an envelope and arranges that its acknowledgement arrives at wait.
func (w *Workspace) dispatch(e envelope, wait chan<- json.RawMessage) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.sockets) == 0 {
		return "", ErrDispatchFailed
	}
	id := random()
	w.pending[id] = func(payload json.RawMessage) {
		if e.done != nil {
			e.done(payload)
		}
		wait <- payload
	}
	w.delivered(id, e)
	w.pushNext(e.frame(id))
	if w.repeat > 0 {
		w.repeat--
		w.pushNext(e.frame(random()))
	}
	return id, nil
}

// pushNext queues a frame on the next socket. The caller holds mu.
func (w *Workspace) pushNext(frame []byte) {
	w.turn++
	w.sockets[w.turn%len(w.sockets)].push(frame)
}

// frame is the envelope on the wire.
func (e envelope) frame(id string) []byte {
	frame := obj{"envelope_id": id, "type": e.kind, "payload": e.payload, "accepts_response_payload": e.accepts}
	if e.kind == "events_api" {
		frame["retry_attempt"], frame["retry_reason"] = e.attempt, ""
		if e.attempt > 0 {
			frame["retry_reason"] = "timeout"
		}
	}
	return raw(frame)
}

// redelivery is when an event that was not acknowledged comes again, after the attempt before it (docs: Events API).
var redelivery = [...]time.Duration{0, time.Minute, 5 * time.Minute}

// emit sends an event if the app subscribed to its type. The caller holds mu.
func (w *Workspace) emit(event obj) {
	if w.events[str(event, "type")] {
		w.send(event)
	}
}

// send delivers an event in the background, again where it is not acknowledged. The caller holds mu.
func (w *Workspace) send(event obj) {
	payload := obj{"token": "verification", "team_id": w.cfg.TeamID, "api_app_id": w.cfg.AppID, "event": clone(event),
		"type": "event_callback", "event_id": w.id("Ev"), "event_time": w.cfg.Now().Unix(), "is_ext_shared_channel": false,
		"event_context":  "twin",
		"authorizations": []obj{{"enterprise_id": nil, "team_id": w.cfg.TeamID, "user_id": w.cfg.BotUserID, "is_bot": true, "is_enterprise_install": false}}}
	go func() {
		for attempt := 0; ; attempt++ {
			_, err := w.deliver(w.ctx, envelope{kind: "events_api", payload: payload, attempt: attempt})
			if err == nil || attempt == len(redelivery) {
				return
			}
			timer := time.NewTimer(redelivery[attempt])
			select {
			case <-timer.C:
			case <-w.ctx.Done():
				timer.Stop()
				return
			}
		}
	}()
}

// eventTS is the time of an event in Slack's form. The caller holds mu.
func (w *Workspace) eventTS() string {
	now := w.cfg.Now().UnixMicro()
	return fmt.Sprintf("%d.%06d", now/1e6, now%1e6)
}
