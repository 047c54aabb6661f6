package workflows

import (
	"context"
	"errors"
	"fmt"
	"time"

	"breakglass/store"
)

// lookupPatience is how long a click waits for the directories before it is answered that they did not. It was acknowledged already; the
// identity store's quota makes the last of fifty wait for half of this.
const lookupPatience = 30 * time.Second

// Receive records what somebody clicked and returns: the caller acknowledges after it. It is acted on at once, and again after a crash.
// A delivery that was taken before is fine.
func (e *Engine) Receive(_ context.Context, c store.Click) error {
	by := store.By{Actor: store.Somebody(store.Person{SlackID: c.SlackID}), At: store.Moment(e.now())}
	if seeded("ack") { // acknowledged before it is on disk
		time.AfterFunc(2*time.Second, func() {
			if c, err := e.DB.Receive(by, c); err == nil {
				e.kickClick(c)
			}
		})
		return nil
	}
	c, err := e.DB.Receive(by, c)
	if errors.Is(err, store.ErrSeen) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("record the click: %w", err)
	}
	e.kickClick(c)
	return nil
}

// click acts on what was acknowledged. It ends the click in the same transaction as what it led to; a crash before that repeats it.
func (e *Engine) click(ctx context.Context, c store.Click) {
	defer e.clickers.Delete(c.Seq)
	for tries := 0; ; tries++ {
		// Whoever begins it may have read it before somebody else was done with it: what was answered is not acted on once more.
		if waits, err := e.DB.Waits(c.Seq); err != nil || !waits {
			return
		}
		err := e.act(ctx, c)
		var refused *Refusal
		var moved *store.TransitionError
		switch {
		case err == nil:
			if c.Request != "" {
				e.kickID(c.Request)
			}
			return
		case ctx.Err() != nil, errors.Is(err, ErrNotYet):
			return // cut off, or before Slack was reached: it is still in the inbox
		case errors.Is(err, errMoved):
			continue
		case errors.As(err, &refused):
			e.turnDown(c, refused)
		case errors.As(err, &moved) && ends(c.Kind) && moved.Is.MayHaveAccess() && moved.Is != store.Revoking && tries < mostTries:
			continue // it went from being opened to open meanwhile, and is to end all the same
		case errors.As(err, &moved) && writes(c.Kind) && !moved.Is.Ended() && tries < mostTries:
			continue // what somebody wrote is not lost because the case went on meanwhile
		case errors.As(err, &moved):
			e.turnDown(c, &Refusal{RefusedState, e.standing(moved.ID)})
		case errors.Is(err, store.ErrNotFound):
			e.turnDown(c, &Refusal{RefusedUnknown, "There is no such request."})
		default:
			e.broken("act on a click", err)
		}
		return
	}
}

// mostTries bounds how often an end is tried anew because the session moved on.
const mostTries = 5

// ends says whether a click takes access away.
func ends(kind string) bool {
	return kind == store.ClickEnd || kind == store.ClickRevoke || kind == store.ClickLock
}

// writes says whether a click adds something to a case, in whichever state it stands.
func writes(kind string) bool {
	return kind == store.ClickMortem || kind == store.ClickTicket || kind == store.ClickWaive
}

// kickID begins what a click has made due.
func (e *Engine) kickID(id store.ID) {
	r, err := e.DB.Request(id)
	if err != nil {
		e.broken("read the request of a click", err)
		return
	}
	e.kick(r)
	e.kickAlong(r)
}

func (e *Engine) act(ctx context.Context, c store.Click) error {
	switch c.Kind {
	case store.ClickApprove, store.ClickDeny:
		return e.decide(ctx, c)
	case store.ClickCancel:
		return e.cancel(ctx, c)
	case store.ClickEnd:
		return e.endNow(ctx, c)
	case store.ClickTicket:
		return e.addTicket(ctx, c)
	case store.ClickRevoke:
		return e.revokeClick(ctx, c)
	case store.ClickExtend:
		return e.extend(ctx, c)
	case store.ClickLonger, store.ClickNoMore:
		return e.decideLonger(ctx, c)
	case store.ClickLock, store.ClickUnlock:
		return e.lockClick(ctx, c)
	case store.ClickMortem:
		return e.writeMortem(ctx, c)
	case store.ClickWaive:
		return e.waive(ctx, c)
	case store.ClickReview:
		return e.reviewed(ctx, c)
	}
	return &Refusal{RefusedUnknown, "This button is not known to this version of Breakglass."}
}

// turnDown answers a click that is not counted, and writes down that it was made.
func (e *Engine) turnDown(c store.Click, why *Refusal) {
	e.meters.refused.WithLabelValues(c.Kind, why.Code).Inc()
	who := store.Person{SlackID: c.SlackID}
	if known, ok := e.clickers.Load(c.Seq); ok { // the log names them, and not their account in Slack alone
		who = known.(store.Person)
	}
	by := store.By{Actor: store.Somebody(who), At: store.Moment(e.now())}
	answer := &store.Notice{
		Kind: NoticeRefusal, Request: c.Request, To: c.SlackID, Lane: string(c.Request) + " refusal " + c.SlackID,
		Data: map[string]string{"why": why.Why, "channel": c.Channel, "click": c.Kind},
	}
	data := map[string]string{"click": c.Kind, "code": why.Code, "why": why.Why}
	if err := e.DB.Dismiss(by, c, store.EventRefused, data, answer); err != nil {
		e.broken("answer a click", err)
	}
}

// standing says how a request stands, to somebody who clicked too late.
func (e *Engine) standing(id store.ID) string {
	r, err := e.DB.Request(id)
	if err != nil {
		return "It has changed meanwhile."
	}
	return Standing(r)
}

// Standing is how a request stands, in a sentence.
func Standing(r store.Request) string {
	last := ""
	if n := len(r.Decisions); n > 0 {
		last = " by " + r.Decisions[n-1].By.Label()
	}
	switch r.State {
	case store.Pending:
		return fmt.Sprintf("%s is still waiting for a decision.", r.ID)
	case store.Approved, store.Granting:
		return fmt.Sprintf("%s is already approved%s; access is being opened.", r.ID, last)
	case store.Active:
		return fmt.Sprintf("%s is already approved%s and active until %s.", r.ID, last, clock(r.ExpiresAt))
	case store.Revoking:
		return fmt.Sprintf("%s is ending at this moment.", r.ID)
	case store.Denied:
		return fmt.Sprintf("%s was already denied%s.", r.ID, last)
	case store.Cancelled:
		return fmt.Sprintf("%s was cancelled by its requester.", r.ID)
	case store.Expired:
		return fmt.Sprintf("%s expired before anybody decided.", r.ID)
	case store.Failed:
		return fmt.Sprintf("%s failed; no access was opened.", r.ID)
	}
	return fmt.Sprintf("%s has ended.", r.ID)
}

func clock(t time.Time) string { return t.UTC().Format("15:04 UTC") }

// requester makes sure that whoever clicked is the one the request is for. The Slack account that asked is enough: what only a requester may do takes
// access away or adds to the record, and must work while the directory does not. Another account of the same person is looked up.
func (e *Engine) requester(ctx context.Context, c store.Click, r store.Request, may string) (store.Person, error) {
	if c.SlackID == r.Requester.SlackID {
		return r.Requester, nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookupPatience)
	defer cancel()
	_, person, err := e.People.Match(ctx, c.SlackID, c.TeamID, nil)
	if err == nil {
		e.clickers.Store(c.Seq, person)
	}
	if err != nil {
		return person, asRefusal(err)
	}
	if person.UserID != r.Requester.UserID {
		return person, &Refusal{RefusedNotYours, fmt.Sprintf("Only %s may %s.", r.Requester.Label(), may)}
	}
	return person, nil
}

// asRefusal makes a no of a directory that did not answer: fail closed.
func asRefusal(err error) error {
	var refused *Refusal
	switch {
	case errors.As(err, &refused):
		return refused
	case errors.Is(err, context.Canceled), errors.Is(err, ErrNotYet):
		return err
	}
	return &Refusal{RefusedNoAnswer, "The directory did not answer, so this was not counted. Press the button again in a moment."}
}

// named is by whom and when a click changed something.
func (e *Engine) named(p store.Person) store.By {
	return store.By{Actor: store.Somebody(p), At: store.Moment(e.now())}
}
