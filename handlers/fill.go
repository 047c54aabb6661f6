package handlers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/slack-go/slack"

	"breakglass/store"
	"breakglass/workflows"
)

const (
	// directoryPatience is how long an open form waits for the directory before it says that there is no answer.
	// The identity store's quota (20 calls a second for everybody) makes the last of fifty wait for nine seconds.
	directoryPatience = 20 * time.Second
	// showPatience is how long drawing a view may take after that.
	showPatience = 10 * time.Second
	// submitPatience leaves room within the 2.5 s the bot gives for the answer to be written.
	submitPatience = 2300 * time.Millisecond
)

// clicker is who did something in Slack, and where. Nothing in it is proved yet.
type clicker struct {
	user, team, channel string
}

// teamOf is the team of whoever acts. Legacy payloads name none with the user.
func teamOf(in *slack.InteractionCallback) string { return cmp.Or(in.User.TeamID, in.Team.ID) }

func clickerOf(in *slack.InteractionCallback) clicker {
	return clicker{user: in.User.ID, team: teamOf(in), channel: cmp.Or(in.Container.ChannelID, in.Channel.ID)}
}

// openForm opens the form at once, with what is known without asking anybody: a trigger is good for three seconds, and a directory may
// take longer. It is filled afterwards.
func (h *Handlers) openForm(ctx context.Context, c clicker, trigger string, d draft) error {
	p := h.policy()
	d.Channel = c.channel
	shared, channelKnown := h.people.glanceShared(c.channel)
	if o, ok := h.offers.get(c.user); ok && o.policy == p && len(o.scenarios) > 0 && channelKnown && !shared {
		o.lock = h.locked()
		if _, err := h.slack.OpenViewContext(ctx, trigger, *formView(o, d)); err != nil {
			return fmt.Errorf("open the form: %w", err)
		}
		return nil
	}
	opened, err := h.slack.OpenViewContext(ctx, trigger, *loadingView(d))
	if err != nil {
		return fmt.Errorf("open the form: %w", err)
	}
	h.fill(c, opened.ID, opened.Hash, "", d)
	return nil
}

// fill asks the directory and puts what it says into an open form, on a goroutine of its own.
func (h *Handlers) fill(c clicker, view, hash, actionTS string, d draft) {
	order := h.turns.arrive(actionTS)
	h.work.spawn(directoryPatience+showPatience, func(ctx context.Context) {
		h.show(ctx, view, hash, order, h.filledView(ctx, c, d))
	})
}

// filledView is the form as the directory's answer makes it, or what to say instead.
func (h *Handlers) filledView(ctx context.Context, c clicker, d draft) *slack.ModalViewRequest {
	ctx, cancel := context.WithTimeout(ctx, directoryPatience)
	defer cancel()
	if h.people.sharedOutside(ctx, d.Channel) {
		return refusedView(sharedRefusal().Why)
	}
	o, err := h.offering(ctx, c.user, c.team)
	if r, ok := errors.AsType[*workflows.Refusal](err); ok && r.Code != workflows.RefusedNoAnswer {
		return refusedView(h.sentence("fill the form", err))
	}
	if err != nil {
		return failedView(d, h.sentence("fill the form", err)+" What you have written stays.")
	}
	if len(o.scenarios) == 0 {
		return refusedView(nothingOffered(o))
	}
	o.lock = h.locked()
	return formView(o, d)
}

// offering is what somebody may ask for. An answer of the last minute will do: it fills forms and decides nothing.
func (h *Handlers) offering(ctx context.Context, slackID, team string) (offering, error) {
	p := h.policy()
	if !h.home.admits(team) {
		return offering{}, strangerOther()
	}
	if o, ok := h.offers.get(slackID); ok && o.policy == p {
		return o, nil
	}
	principal, person, err := h.people.Match(ctx, slackID, team, p.Groups())
	if err != nil {
		return offering{}, err
	}
	if principal.Groups == nil {
		return offering{}, noAnswer("AWS Identity Center did not say which groups you are in, so nothing can be offered. Try again in a minute.",
			errors.New("the directory answered without groups"))
	}
	o := offeringOf(p, principal, person)
	h.offers.put(slackID, o)
	return o, nil
}

// cascade draws the form anew after a choice on which other fields depend.
func (h *Handlers) cascade(in *slack.InteractionCallback, a *slack.BlockAction) {
	d := readDraft(in.View.PrivateMetadata).chosen(readState(in.View.State))
	switch v := typed(*a); a.ActionID {
	case formPrefix + fieldScenario:
		if d.Scenario = v; v == "" {
			return
		}
	case formPrefix + fieldAccount:
		if d.Account = v; v == "" {
			return
		}
	}
	h.fill(clickerOf(in), in.View.ID, in.View.Hash, a.ActionTs, d)
}

// show updates an open view. A view that was closed or sent meanwhile is left alone.
func (h *Handlers) show(ctx context.Context, view, hash string, order order, v *slack.ModalViewRequest) {
	t := h.turns.of(view)
	select {
	case t.taken <- struct{}{}:
		defer func() { <-t.taken }()
	case <-ctx.Done():
		return
	}
	if !t.isNewest(order) {
		return // a later choice has been drawn already
	}
	updated, err := h.slack.UpdateViewContext(ctx, *v, "", cmp.Or(t.hash, hash), view)
	if slackCode(err) == "hash_conflict" {
		// Somebody drew it in between; ours is the newest choice we know of, and typed text is kept either way.
		updated, err = h.slack.UpdateViewContext(ctx, *v, "", "", view)
	}
	switch {
	case err == nil:
		t.hash = updated.Hash
	case slackCode(err) == "not_found":
		h.log.Debug("the form was closed before it was filled")
	default:
		h.log.Warn("cannot update the form", "err", err)
	}
}

// submitRequest takes the form. Whatever is wrong is said in it, so that nothing typed is lost; only a recorded request closes it.
func (h *Handlers) submitRequest(ctx context.Context, in *slack.InteractionCallback, delivery string) *slack.ViewSubmissionResponse {
	ctx, cancel := context.WithTimeout(ctx, submitPatience)
	defer cancel()
	f := readState(in.View.State)
	if shown, _ := inputs(in.View); shown[fieldScenario] == "" {
		return faultAt(in.View, fieldReason, "What you may ask for is still being looked up. Wait until the scenarios are there, then send again.")
	}
	if l := h.locked(); l.on {
		return faultAt(in.View, fieldScenario, l.plain()+" What you have written stays.")
	}
	p := h.policy()
	if s, ok := p.Scenario(f[fieldScenario]); ok {
		if what := p.Unbuilt(s); what != "" {
			return faultAt(in.View, fieldScenario, fmt.Sprintf("%s is not offered yet: it asks for %s. Choose another scenario.", s.Title, what))
		}
	}
	// What the directory said within the last minute, when it filled this form, is answer enough to record a request: everybody is asked
	// about anew before anything is opened. Asking again would cost three calls of a quota that is short exactly when many ask.
	o, err := h.offering(ctx, in.User.ID, teamOf(in))
	if err != nil {
		return faultAt(in.View, fieldScenario, h.sentence("identify who sends the form", err)+stillThere(err))
	}
	by := store.By{Actor: store.Somebody(o.person), At: h.now(), Delivery: delivery}
	_, err = h.desk.Submit(ctx, by, filledIn(p, o.principal, o.person, readDraft(in.View.PrivateMetadata), f))
	if faults, ok := errors.AsType[workflows.FormFaults](err); ok {
		return faultsIn(in.View, faults)
	}
	if err != nil && !errors.Is(err, store.ErrSeen) {
		return faultAt(in.View, fieldScenario, h.sentence("submit a request", err))
	}
	return slack.NewClearViewSubmissionResponse()
}

// stillThere comforts where trying again helps.
func stillThere(err error) string {
	if r, ok := errors.AsType[*workflows.Refusal](err); ok && r.Code == workflows.RefusedNoAnswer {
		return " Nothing was sent, and what you have written stays."
	}
	return ""
}

// turns decides whose drawing of a view stands when two of them overtake each other.
type turns struct {
	now     func() time.Time
	mu      sync.Mutex
	at      map[string]*turn
	arrived uint64
}

// order is when a choice was made: by Slack's clock, and by when it came to us where that does not tell.
type order struct {
	ts string // action_ts; "" for the first filling
	n  uint64
}

func (t *turns) arrive(actionTS string) order {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.arrived++
	return order{ts: actionTS, n: t.arrived}
}

// before takes Slack's timestamps as they are: digits, a point, six digits, so that longer is later, and else the order of the text.
func (o order) before(p order) bool {
	return cmp.Or(cmp.Compare(len(o.ts), len(p.ts)), cmp.Compare(o.ts, p.ts), cmp.Compare(o.n, p.n)) < 0
}

type turn struct {
	taken  chan struct{} // holds one while somebody draws; guards what follows
	newest order
	hash   string    // of the view as we last drew it
	used   time.Time // guarded by turns.mu
}

func newTurns(now func() time.Time) *turns { return &turns{now: now, at: map[string]*turn{}} }

// mostTurns and turnMemory bound what is remembered of forms: a form is open for minutes.
const (
	mostTurns  = 1000
	turnMemory = time.Hour
)

func (t *turns) of(view string) *turn {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	if len(t.at) >= mostTurns {
		for k, v := range t.at {
			if now.Sub(v.used) > turnMemory {
				delete(t.at, k)
			}
		}
	}
	v := t.at[view]
	if v == nil {
		v = &turn{taken: make(chan struct{}, 1)}
		t.at[view] = v
	}
	v.used = now
	return v
}

func (t *turn) isNewest(o order) bool {
	if o.before(t.newest) {
		return false
	}
	t.newest = o
	return true
}
