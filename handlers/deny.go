package handlers

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/slack-go/slack"

	"breakglass/store"
)

// slip is what a small form about a request carries through Slack and back: which request, and where the button stood. It is input
// like all else; the engine decides by its own record.
type slip struct {
	Request store.ID `json:"request"`
	Number  int      `json:"number,omitempty"` // of its extension
	What    string   `json:"what,omitempty"`   // what its case is closed without: store.OwedPostMortem or store.OwedTicket
	Channel string   `json:"channel,omitempty"`
	TS      string   `json:"ts,omitempty"`
}

func (s slip) metadata() string {
	b, _ := json.Marshal(s) // strings and a number: cannot fail
	return string(b)
}

func readSlip(metadata string) (slip, bool) {
	var s slip
	if len(metadata) > mostMetadata || json.Unmarshal([]byte(metadata), &s) != nil {
		return slip{}, false
	}
	id, err := store.ParseID(string(s.Request))
	if err != nil || id != s.Request || s.Number < 0 || s.Number > mostExtensions {
		return slip{}, false
	}
	if s.What != "" && s.What != store.OwedPostMortem && s.What != store.OwedTicket {
		return slip{}, false
	}
	return s.checked(), true
}

// checked leaves out what has not the form of Slack's ids.
func (s slip) checked() slip {
	if !slackID(s.Channel, "CGD") {
		s.Channel = ""
	}
	if !isTS(s.TS) {
		s.TS = ""
	}
	return s
}

// about reads the request that a button is about. ok is false, and the person was told, where there is none.
func (h *Handlers) about(in *slack.InteractionCallback, a *slack.BlockAction) (r store.Request, s slip, ok bool) {
	c := clickerOf(in)
	id, number, ok := readValue(a.Value)
	if !ok {
		h.tell(c, in, "This button does not belong to any request.")
		return r, s, false
	}
	r, err := h.book.Request(id)
	if err != nil {
		h.tell(c, in, h.sentence("read a request", err))
		return r, s, false
	}
	return r, slip{Request: id, Number: number, Channel: c.channel, TS: in.Container.MessageTs}, true
}

// openDeny asks for the reason. Whether this person may deny is decided when it is sent.
func (h *Handlers) openDeny(ctx context.Context, in *slack.InteractionCallback, a *slack.BlockAction) error {
	r, s, ok := h.about(in, a)
	if !ok {
		return nil
	}
	if r.State != store.Pending {
		h.tell(clickerOf(in), in, fmt.Sprintf("%s is %s by now, so there is nothing left to deny.", r.ID, r.State))
		return nil
	}
	return h.openSmall(ctx, in, denyView(r, s))
}

func (h *Handlers) openSmall(ctx context.Context, in *slack.InteractionCallback, v *slack.ModalViewRequest) error {
	if _, err := h.slack.OpenViewContext(ctx, in.TriggerID, *v); err != nil {
		h.log.Warn("cannot open a form", "form", v.CallbackID, "err", err)
		h.tell(clickerOf(in), in, "The form could not be opened. Press the button again.")
	}
	return nil
}

func denyView(r store.Request, s slip) *slack.ModalViewRequest {
	in := slack.NewPlainTextInputBlockElement(plain("What the requester should know", 150), formPrefix+fieldReason).
		WithMultiline(true).WithMaxLength(mostTyped)
	in.FocusOnLoad = true
	v := modal("Deny "+string(r.ID), "Deny", callbackDeny, []slack.Block{
		paragraph(subject(r)),
		slack.NewInputBlock(fieldReason, plain("Reason", limitField), plain("The requester reads it, and it is kept in the log.", limitField), in),
	})
	v.PrivateMetadata = s.metadata()
	return v
}

// subject is what a request asks for, in a sentence.
func subject(r store.Request) words {
	w := words{}.who(r.Requester).say(" asks for ").their(title(r), limitName).where(r)
	if r.Duration > 0 {
		w = w.say(" for " + sayDuration(r.Duration))
	}
	return w.say(".")
}

// submitDeny hands the denial in. An empty reason never reaches the engine: whoever is refused is owed one.
func (h *Handlers) submitDeny(ctx context.Context, in *slack.InteractionCallback, delivery string) *slack.ViewSubmissionResponse {
	reason := strings.TrimSpace(readState(in.View.State)[fieldReason])
	if reason == "" {
		return faultAt(in.View, fieldReason, "Say why: the requester is told.")
	}
	return h.submitSmall(ctx, in, delivery, fieldReason, store.Click{Kind: store.ClickDeny, Text: reason})
}

// submitSmall hands in what a small form says about its request. k brings the kind and what was written.
func (h *Handlers) submitSmall(ctx context.Context, in *slack.InteractionCallback, delivery, field string, k store.Click) *slack.ViewSubmissionResponse {
	s, ok := readSlip(in.View.PrivateMetadata)
	if !ok {
		return faultAt(in.View, field, "It is no longer known which request this is about. Close the form and press the button again.")
	}
	k.Request, k.Number = s.Request, s.Number
	return h.handForm(ctx, in, delivery, field, s, k)
}

// handForm puts what a form says on disk; only then is the form closed.
func (h *Handlers) handForm(ctx context.Context, in *slack.InteractionCallback, delivery, field string, s slip, k store.Click) *slack.ViewSubmissionResponse {
	if !isUser(in.User.ID) || !h.home.admits(teamOf(in)) {
		return faultAt(in.View, field, strangerOther().Why)
	}
	k.Key, k.SlackID, k.TeamID, k.Channel, k.TS, k.At = delivery, in.User.ID, teamOf(in), s.Channel, s.TS, h.now()
	if err := h.desk.Receive(ctx, k); err != nil {
		return faultAt(in.View, field, h.sentence("record a click", err)+" It was not recorded; what you have written stays.")
	}
	return slack.NewClearViewSubmissionResponse()
}
