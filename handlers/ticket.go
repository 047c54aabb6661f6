package handlers

import (
	"context"
	"fmt"
	"strings"

	"github.com/slack-go/slack"

	"breakglass/store"
)

// mostTicket is the longest ticket, in characters.
const mostTicket = 200

func (h *Handlers) openTicket(ctx context.Context, in *slack.InteractionCallback, a *slack.BlockAction) error {
	r, s, ok := h.about(in, a)
	if !ok {
		return nil
	}
	return h.openSmall(ctx, in, ticketView(r, s))
}

func ticketView(r store.Request, s slip) *slack.ModalViewRequest {
	in := slack.NewPlainTextInputBlockElement(nil, formPrefix+fieldTicket).WithMaxLength(mostTicket).
		WithInitialValue(oneLine(r.Ticket, mostTicket))
	in.FocusOnLoad = true
	v := modal(fmt.Sprintf("Ticket for %s", r.ID), "Add ticket", callbackTicket, []slack.Block{
		paragraph(subject(r)),
		slack.NewInputBlock(fieldTicket, plain("Ticket", limitField), nil, in),
	})
	v.PrivateMetadata = s.metadata()
	return v
}

func (h *Handlers) submitTicket(ctx context.Context, in *slack.InteractionCallback, delivery string) *slack.ViewSubmissionResponse {
	key := strings.TrimSpace(readState(in.View.State)[fieldTicket])
	if s, ok := readSlip(in.View.PrivateMetadata); ok {
		if why := h.ticketFault(s.Request, key); why != "" {
			return faultAt(in.View, fieldTicket, why)
		}
	}
	return h.submitSmall(ctx, in, delivery, fieldTicket, store.Click{Kind: store.ClickTicket, Text: key})
}

// ticketFault says what is wrong with a ticket, as far as can be told here; "" where nothing is.
func (h *Handlers) ticketFault(id store.ID, key string) string {
	if key == "" {
		return "Write the ticket's key."
	}
	if width(key) > mostTicket {
		return fmt.Sprintf("At most %d characters.", mostTicket)
	}
	r, err := h.book.Request(id)
	if err != nil {
		return h.sentence("read a request", err)
	}
	p := h.policy()
	s, ok := p.Scenario(r.Scenario)
	if !ok {
		return "" // the scenario has left the policy; the request lives on, and its ticket is still wanted
	}
	if v := p.CheckTicket(s, key); !v.OK {
		return v.Why
	}
	return ""
}
