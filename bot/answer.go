package bot

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/slack-go/slack"
)

// The sentences the bot says for a handler that did not. They are constants, because an error's text is for the log.
const (
	sentenceFailed    = "Something went wrong on our side; nothing was recorded. Try again."
	sentencePanicked  = "Something went wrong on our side, and it is not certain what was recorded. Look before you try again."
	sentenceLate      = "This took too long; nothing was recorded. Try again."
	sentenceUncertain = "This took too long, and it is not certain that it was recorded. Look before you try again."
	sentenceBusy      = "Too much is going on at once; nothing was recorded. Try again in a moment."
	sentenceDraining  = "The bot is restarting; nothing was recorded. Try again in a moment."
	sentenceTooLong   = "This was done, but the answer is longer than Slack can carry."
	sentenceTooWrong  = "This form was not accepted, and the reasons are longer than Slack can carry."
)

// largestAck is where Slack begins to drop acknowledgements without a word (slack-go, socketmode maxResponseSize).
const largestAck = 20 << 10

// acknowledgement is what goes over the wire. The payload is left out where there is none: Slack accepts that for every kind.
type acknowledgement struct {
	EnvelopeID string          `json:"envelope_id"`
	Payload    json.RawMessage `json:"payload,omitempty"`
}

// acknowledge writes the acknowledgement on the socket the envelope came on.
func (b *Bot) acknowledge(e *envelope, ack any) {
	frame := b.frame(e, ack)
	if err := e.from.send(frame); err != nil {
		// What was done stays done. Slack sends an event again and its delivery key is known by then; a person sees a
		// warning, clicks again, and is told that it was done.
		b.metrics.acksLost.Inc()
		b.cfg.Log.Warn("an acknowledgement was lost with its socket", "envelope", e.id, "kind", e.kind,
			"slot", e.from.slot, "generation", e.from.generation, "err", err)
		return
	}
	b.metrics.ackSeconds.WithLabelValues(e.kind).Observe(time.Since(e.arrived).Seconds())
}

// frame renders an acknowledgement that Slack will take. Whatever is wrong with the payload, the envelope is
// acknowledged: the handler has done its work.
func (b *Bot) frame(e *envelope, ack any) []byte {
	bare, _ := encode(acknowledgement{EnvelopeID: e.id})
	if ack == nil || !takesPayload(e.kind) {
		return bare
	}
	payload, err := encode(ack)
	if err == nil && string(payload) == "null" {
		return bare // a nil pointer in an interface
	}
	if err == nil {
		frame, err := encode(acknowledgement{EnvelopeID: e.id, Payload: payload})
		if err == nil && len(frame) < largestAck {
			return frame
		}
	}
	b.metrics.oversize.Inc()
	b.cfg.Log.Error("an acknowledgement that Slack would drop was replaced", "envelope", e.id, "kind", e.kind,
		"bytes", len(payload), "err", err)
	frame, err := encode(acknowledgement{EnvelopeID: e.id, Payload: instead(e, payload)})
	if err != nil || len(frame) >= largestAck {
		return bare
	}
	return frame
}

// instead is a short payload for one that was too long: for a form that was refused, a refusal, so that what was typed stays
// on the screen; for any other form nothing, which closes it.
func instead(e *envelope, payload []byte) json.RawMessage {
	var short any
	switch e.kind {
	case kindCommand:
		short = ephemeral(sentenceTooLong)
	case kindSuggestion:
		short = map[string]any{"options": []any{}}
	case kindSubmission:
		var was struct {
			Action string `json:"response_action"`
		}
		if json.Unmarshal(payload, &was) != nil || was.Action != "errors" {
			return nil
		}
		short = underFirstInput(e.payload, sentenceTooWrong)
	}
	if short == nil {
		return nil
	}
	js, _ := encode(short)
	return js
}

// say answers with a sentence where Slack shows one, and leaves the envelope unacknowledged where it does not: Slack then
// shows its own warning beside the button, and repeats an event.
//
// A form is answered with an error under its first input rather than with another view, which would throw away what was
// typed. A form without an input is left unacknowledged: Slack says it had trouble connecting and keeps it open.
func (b *Bot) say(e *envelope, text string) {
	switch e.kind {
	case kindCommand:
		b.acknowledge(e, ephemeral(text))
	case kindSubmission:
		if answer := underFirstInput(e.payload, text); answer != nil {
			b.acknowledge(e, answer)
		}
	}
}

func ephemeral(text string) map[string]string {
	return map[string]string{"response_type": slack.ResponseTypeEphemeral, "text": text}
}

// underFirstInput is the refusal of a form, or nil if the form has no input: Slack takes errors for input blocks only.
func underFirstInput(payload json.RawMessage, text string) any {
	var form struct {
		View struct {
			Blocks []struct {
				Type    string `json:"type"`
				BlockID string `json:"block_id"`
			} `json:"blocks"`
		} `json:"view"`
	}
	if json.Unmarshal(payload, &form) != nil {
		return nil
	}
	for _, block := range form.View.Blocks {
		if block.Type == string(slack.MBTInput) && block.BlockID != "" {
			return map[string]any{"response_action": "errors", "errors": map[string]string{block.BlockID: text}}
		}
	}
	return nil
}

// encode is json.Marshal without its escaping of < > &, which would cost five bytes each out of 20 KB.
func encode(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimRight(buf.Bytes(), "\n"), nil
}
