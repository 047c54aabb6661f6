package handlers

import (
	"context"
	"fmt"
	"strings"

	"github.com/slack-go/slack"

	"breakglass/store"
)

// revokeButton ends somebody else's session. It stands on the card for all to see; whose click counts is decided when the form is sent.
func revokeButton(r store.Request) *slack.ButtonBlockElement {
	what := fmt.Sprintf("Revoke %s: %s of %s", r.ID, grantText(r), oneLine(r.Requester.Label(), limitName))
	return button(actionRevoke, "Revoke", r.ID, what).WithStyle(slack.StyleDanger)
}

// openRevoke asks why. Whether this person may revoke is decided when it is sent.
func (h *Handlers) openRevoke(ctx context.Context, in *slack.InteractionCallback, a *slack.BlockAction) error {
	r, s, ok := h.about(in, a)
	if !ok {
		return nil
	}
	if why := notEndable(r); why != "" {
		h.tell(clickerOf(in), in, why)
		return nil
	}
	return h.openSmall(ctx, in, revokeView(r, s))
}

// notRunning says why there is no session to take away; "" where there is one.
func notRunning(r store.Request) string {
	if r.State == store.Active || r.State == store.Granting {
		return ""
	}
	return fmt.Sprintf("%s is not a running session: it stands at “%s”.", r.ID, strings.ToLower(standing(r)))
}

// notEndable says why there is nothing to end; "" where there is a session, or one that is about to be opened.
func notEndable(r store.Request) string {
	if r.State == store.Approved {
		return ""
	}
	return notRunning(r)
}

func revokeView(r store.Request, s slip) *slack.ModalViewRequest {
	in := slack.NewPlainTextInputBlockElement(plain("What they and the reviewers should know", 150), formPrefix+fieldReason).
		WithMultiline(true).WithMaxLength(mostTyped)
	in.FocusOnLoad = true
	v := modal("Revoke "+string(r.ID), "Revoke", callbackRevoke, append(revokeTerms(r),
		slack.NewInputBlock(fieldReason, plain("Reason", limitField), plain("It goes into the thread, to whoever asked for it, and into the log.", limitField), in)))
	v.PrivateMetadata = s.metadata()
	return v
}

// revokeTerms says what is taken away and what that does not reach; of what is not open yet, nothing is left.
func revokeTerms(r store.Request) []slack.Block {
	if r.State == store.Approved {
		return []slack.Block{paragraph(words{}.who(r.Requester).say(" is about to get ").grant(r).say(" for " + sayDuration(r.Duration) +
			". Revoke stops it before it is opened, or takes it away at once if it is open by then; it cannot be undone, and asking again takes a new request."))}
	}
	w := words{}.who(r.Requester).say(" has ").grant(r)
	if !r.ExpiresAt.IsZero() {
		w = w.say(" until ").date(r.ExpiresAt, dateForm)
	}
	w = w.say(". Revoke takes it away at once; it cannot be undone, and asking again takes a new request.")
	if first := firstRefused(r); first != "" {
		w = w.say(" " + first)
	}
	return []slack.Block{paragraph(w), small(reached(r))}
}

func (h *Handlers) submitRevoke(ctx context.Context, in *slack.InteractionCallback, delivery string) *slack.ViewSubmissionResponse {
	reason := strings.TrimSpace(readState(in.View.State)[fieldReason])
	if reason == "" {
		return faultAt(in.View, fieldReason, "Say why: whoever has the session is told.")
	}
	if s, ok := readSlip(in.View.PrivateMetadata); ok {
		if r, err := h.book.Request(s.Request); err == nil && notEndable(r) != "" {
			return faultAt(in.View, fieldReason, notEndable(r))
		}
	}
	return h.submitSmall(ctx, in, delivery, fieldReason, store.Click{Kind: store.ClickRevoke, Text: reason})
}

// firstRefused says what an early end does before anything else, where the guard stands: it works on sessions that are open.
func firstRefused(r store.Request) string {
	if !r.Ends.Guard {
		return ""
	}
	return "Before that IAM is told to refuse them outright, sessions they have open included."
}
