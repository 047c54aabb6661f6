package handlers

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"breakglass/store"
	"breakglass/workflows"
)

const (
	// channelPatience is how long a click may wait to learn whether its channel is open to strangers.
	channelPatience = 800 * time.Millisecond
	// tellPatience is how long an answer to somebody may take to be posted.
	tellPatience = 15 * time.Second
)

func sharedRefusal() *workflows.Refusal {
	return refuse(workflows.RefusedStranger, "This channel is shared with another organisation, so Breakglass does nothing here. Use it in a channel of this workspace alone.")
}

// click takes the buttons. It looks only at what is at hand: who may is decided afterwards, from the record on disk.
func (h *Handlers) click(ctx context.Context, in *slack.InteractionCallback, delivery string) error {
	c := clickerOf(in)
	for n, a := range in.ActionCallback.BlockActions {
		if a == nil {
			continue
		}
		if !isUser(c.user) || !h.home.admits(c.team) {
			h.tell(c, in, strangerOther().Why)
			return nil
		}
		if h.inSharedChannel(ctx, c.channel) {
			h.tell(c, in, sharedRefusal().Why)
			return nil
		}
		key := delivery
		if n > 0 { // Slack sends one action at a time; if it ever sends more, each is a click of its own
			key = fmt.Sprintf("%s#%d", delivery, n)
		}
		if err := h.act(ctx, in, a, key); err != nil {
			return err
		}
	}
	return nil
}

func (h *Handlers) inSharedChannel(ctx context.Context, channel string) bool {
	ctx, cancel := context.WithTimeout(ctx, channelPatience)
	defer cancel()
	return h.people.sharedOutside(ctx, channel)
}

func (h *Handlers) act(ctx context.Context, in *slack.InteractionCallback, a *slack.BlockAction, key string) error {
	switch a.ActionID {
	case actionApprove:
		return h.hand(ctx, in, a, key, store.ClickApprove)
	case actionCancel:
		return h.hand(ctx, in, a, key, store.ClickCancel)
	case actionEnd:
		return h.hand(ctx, in, a, key, store.ClickEnd)
	case actionLonger:
		return h.hand(ctx, in, a, key, store.ClickLonger)
	case actionNoMore:
		return h.openNoMore(ctx, in, a)
	case actionRevoke:
		return h.openRevoke(ctx, in, a)
	case actionExtend:
		return h.openExtend(ctx, in, a)
	case actionDeny:
		return h.openDeny(ctx, in, a)
	case actionTicket:
		return h.openTicket(ctx, in, a)
	case actionMortem:
		return h.openMortem(ctx, in, a)
	case actionWaiveMortem:
		return h.openWaive(ctx, in, a, store.OwedPostMortem)
	case actionWaiveTicket:
		return h.openWaive(ctx, in, a, store.OwedTicket)
	case actionReview:
		return h.reviewed(ctx, in, a, key)
	case actionRequest:
		return h.openFor(ctx, in, draft{})
	case actionRetry:
		h.fill(clickerOf(in), in.View.ID, in.View.Hash, a.ActionTs, readDraft(in.View.PrivateMetadata))
	case formPrefix + fieldScenario, formPrefix + fieldAccount:
		h.cascade(in, a)
	}
	return nil
}

// openFor opens the form for whoever clicked, and says so where that fails.
func (h *Handlers) openFor(ctx context.Context, in *slack.InteractionCallback, d draft) error {
	if err := h.openForm(ctx, clickerOf(in), in.TriggerID, d); err != nil {
		h.log.Warn("cannot open the form", "err", err)
		h.tell(clickerOf(in), in, "The form could not be opened. Try again.")
	}
	return nil
}

// hand puts a click on disk. Only then is it acknowledged, so a crash after the acknowledgement loses none.
func (h *Handlers) hand(ctx context.Context, in *slack.InteractionCallback, a *slack.BlockAction, key, kind string) error {
	id, number, ok := readValue(a.Value)
	if !ok {
		h.tell(clickerOf(in), in, "This button does not belong to any request.")
		return nil
	}
	return h.take(ctx, in, key, store.Click{Kind: kind, Request: id, Number: number})
}

// take adds to a click who made it and where, and puts it on disk.
func (h *Handlers) take(ctx context.Context, in *slack.InteractionCallback, key string, k store.Click) error {
	c := clickerOf(in)
	k.Key, k.SlackID, k.TeamID, k.Channel = key, c.user, c.team, c.channel
	k.TS, k.At = cmp.Or(in.Container.MessageTs, in.MessageTs), h.now()
	if err := h.desk.Receive(ctx, k); err != nil {
		h.tell(c, in, h.sentence("record a click", err)+" Your click was not recorded.")
		return fmt.Errorf("record a click: %w", err)
	}
	return nil
}

// mostExtensions bounds the place of an extension among those of its request.
const mostExtensions = 1000

// readValue reads what a button carries: a request's id, alone or with the place of one of its extensions (BG-1042/0).
func readValue(s string) (id store.ID, number int, ok bool) {
	before, after, about := strings.Cut(s, "/")
	id, err := store.ParseID(before)
	if err != nil || string(id) != before {
		return "", 0, false
	}
	if about {
		if number, err = strconv.Atoi(after); err != nil || number < 0 || number > mostExtensions || strconv.Itoa(number) != after {
			return "", 0, false
		}
	}
	return id, number, true
}

// tell answers whoever clicked, in the place they clicked and to them alone; where there is no such place, by direct message.
func (h *Handlers) tell(c clicker, in *slack.InteractionCallback, why string) {
	if !isUser(c.user) {
		return
	}
	thread := in.Container.ThreadTs
	h.work.spawn(tellPatience, func(ctx context.Context) {
		opts := []slack.MsgOption{
			slack.MsgOptionText(inert(why, limitTop), false),
			slack.MsgOptionBlocks(note(why)), slack.MsgOptionDisableLinkUnfurl(), slack.MsgOptionDisableMediaUnfurl(),
		}
		var err error
		if slackID(c.channel, "CG") {
			if thread != "" {
				opts = append(opts, slack.MsgOptionTS(thread))
			}
			_, err = h.slack.PostEphemeralContext(ctx, c.channel, c.user, opts...)
		} else {
			_, _, err = h.slack.PostMessageContext(ctx, c.user, opts...)
		}
		if err != nil {
			h.log.Warn("cannot answer a click", "err", err)
		}
	})
}

// shortcut opens the form from Slack's own menus. From a message, its link goes with the request and its text into the reason,
// where the person sees and can change it.
func (h *Handlers) shortcut(ctx context.Context, in *slack.InteractionCallback) error {
	c := clickerOf(in)
	if !isUser(c.user) || !h.home.admits(c.team) {
		h.tell(c, in, strangerOther().Why)
		return nil
	}
	switch in.CallbackID {
	case callbackRequest:
		return h.openFor(ctx, in, draft{})
	case callbackFromMessage:
		return h.openFor(ctx, in, h.fromMessage(in))
	}
	return nil
}
