package bot

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"

	"github.com/slack-go/slack"
	"github.com/slack-go/slack/slackevents"
	"github.com/slack-go/slack/socketmode"
)

// Kinds of envelopes; metric labels, a closed list. The interactive ones are Slack's own words.
const (
	kindCommand    = "command"
	kindEvent      = "event"
	kindSubmission = string(slack.InteractionTypeViewSubmission)
	kindSuggestion = string(slack.InteractionTypeBlockSuggestion)
	kindOther      = "other_interaction"
	kindUnknown    = "unknown"
)

// kindOf names an envelope without trusting its words: what is not on the list becomes one of the last two.
func kindOf(req socketmode.Request) string {
	switch req.Type {
	case socketmode.RequestTypeSlashCommands:
		return kindCommand
	case socketmode.RequestTypeEventsAPI:
		return kindEvent
	case socketmode.RequestTypeInteractive:
	default:
		return kindUnknown
	}
	var in struct {
		Type slack.InteractionType `json:"type"`
	}
	_ = json.Unmarshal(req.Payload, &in)
	switch in.Type {
	case slack.InteractionTypeBlockActions, slack.InteractionTypeBlockSuggestion, slack.InteractionTypeViewSubmission,
		slack.InteractionTypeViewClosed, slack.InteractionTypeShortcut, slack.InteractionTypeMessageAction,
		slack.InteractionTypeInteractionMessage:
		return string(in.Type)
	}
	return kindOther
}

// takesPayload tells which kinds Slack reads an answer from. Slack's own flag in the envelope is not asked: its
// documentation and its test data disagree about it.
func takesPayload(kind string) bool {
	return kind == kindCommand || kind == kindSubmission || kind == kindSuggestion
}

// eventKey is the event_id, which a repetition keeps. What has none (app_rate_limited) is told apart by its envelope.
func eventKey(ev slackevents.EventsAPIEvent, envelopeID string) string {
	if cb, ok := ev.Data.(*slackevents.EventsAPICallbackEvent); ok && cb.EventID != "" {
		return key(kindEvent, cb.EventID)
	}
	return key(kindEvent, "envelope", envelopeID)
}

// clickKey is equal for two deliveries of one click and for nothing else.
//
// A form's key holds a digest of what was typed: Slack leaves view.hash as it is when it shows errors, so without the
// digest the corrected form would look like the delivery of the refused one. trigger_id is digested where it is all there
// is, because keys end up in stores and logs, and it is a secret while it lives.
func clickKey(in slack.InteractionCallback, envelopeID string) string {
	kind, user := string(in.Type), in.User.ID
	switch in.Type {
	case slack.InteractionTypeBlockActions:
		where := in.Container.ViewID
		if where == "" {
			where = in.Container.ChannelID + "/" + in.Container.MessageTs
		}
		if acts := in.ActionCallback.BlockActions; len(acts) > 0 {
			return key(kind, where, user, acts[0].ActionTs, acts[0].BlockID, acts[0].ActionID)
		}
	case slack.InteractionTypeViewSubmission:
		var typed any
		if in.View.State != nil {
			typed = in.View.State.Values
		}
		js, _ := json.Marshal(typed) // maps are written in the order of their keys
		return key(kind, in.View.ID, user, in.View.Hash, digest(js))
	case slack.InteractionTypeViewClosed:
		return key(kind, in.View.ID, user, in.View.Hash)
	case slack.InteractionTypeInteractionMessage, slack.InteractionTypeMessageAction:
		return key(kind, in.Channel.ID+"/"+in.MessageTs, user, in.ActionTs, in.CallbackID)
	case slack.InteractionTypeShortcut:
		if in.TriggerID != "" {
			return key(kind, user, in.CallbackID, digest([]byte(in.TriggerID)))
		}
	}
	// Searches (block_suggestion) change nothing, and of other kinds nothing lasting is known.
	return key(kind, "envelope", envelopeID)
}

func key(parts ...string) string { return strings.Join(parts, ":") }

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}
