package workflows

import (
	"context"
	"errors"
	"fmt"
	"time"

	"breakglass/store"
)

// Undelivered is why a Speaker could not say something. What a plain error means is not known to the engine: the message may or may not stand.
type Undelivered struct {
	Permanent bool          // trying again will not help
	Certain   bool          // it does not stand, for sure
	After     time.Duration // not before; 0: as the engine sees fit
	Err       error
}

func (u *Undelivered) Error() string { return u.Err.Error() }
func (u *Undelivered) Unwrap() error { return u.Err }

// sayPatience bounds one message.
const sayPatience = 30 * time.Second

// mostNotices is how much of the outbox one sweep looks at.
const mostNotices = 2000

// pump delivers what people are to be told: lanes side by side, each in order. Slack being away keeps the outbox as it is and holds up
// nothing else.
func (e *Engine) pump(ctx context.Context) {
	all, err := e.DB.Notices(0, mostNotices)
	if err != nil {
		e.broken("read the outbox", err)
		return
	}
	lanes := map[string][]store.Notice{}
	var order []string
	for _, n := range all {
		if _, known := lanes[n.Lane]; !known {
			order = append(order, n.Lane)
		}
		lanes[n.Lane] = append(lanes[n.Lane], n)
	}
	now := e.Now()
	for _, l := range order {
		if first := lanes[l][0]; first.NotUntil.After(now) {
			e.wake(first.NotUntil)
			continue
		}
		e.spawn("lane "+l, e.voices, func() bool { return e.drain(ctx, lanes[l]) }, nil)
	}
}

// drain says one lane's notices in order, until one of them must wait.
func (e *Engine) drain(ctx context.Context, notices []store.Notice) bool {
	for i, n := range notices {
		if ctx.Err() != nil {
			return false
		}
		if superseded(n, notices[i+1:]) {
			if ref, stands, err := e.DB.Ref(n.Request, n.Message); err == nil && stands {
				if err := e.DB.Told(e.by(), n.Seq, ref, ""); err != nil {
					e.broken("skip a notice", err)
					return false
				}
				continue
			}
		}
		if !e.say(ctx, n) {
			return i > 0
		}
	}
	return true
}

// superseded says whether a later notice edits the same message: it is made from the request as it stands, so the last edit has it all.
func superseded(n store.Notice, later []store.Notice) bool {
	if n.Message == "" {
		return false
	}
	for _, l := range later {
		if l.Message == n.Message {
			return true
		}
	}
	return false
}

// say delivers one notice. That it is begun is written first: after a crash or a lost answer it is said again, and the log tells that it may
// stand twice.
func (e *Engine) say(ctx context.Context, n store.Notice) bool {
	var r store.Request
	var ref store.Ref
	var err error
	if n.Request != "" {
		if r, err = e.DB.Request(n.Request); err != nil && !errors.Is(err, store.ErrNotFound) {
			e.broken("read the request of a notice", err)
			return false
		}
	}
	if n.Message != "" {
		if ref, _, err = e.DB.Ref(n.Request, n.Message); err != nil {
			e.broken("read where a message stands", err)
			return false
		}
	}
	edits := ref.TS != ""
	if err := e.DB.Begin(e.by(), n.Seq, !edits); err != nil {
		e.broken("begin a notice", err)
		return false
	}
	n.Attempts++
	ctx, cancel := context.WithTimeout(ctx, sayPatience)
	defer cancel()
	stands, err := e.Speaker.Deliver(ctx, n, r, ref)
	return e.said(n, stands, err)
}

func (e *Engine) said(n store.Notice, stands store.Ref, err error) bool {
	if err == nil {
		e.meters.told.WithLabelValues(n.Kind, "told").Inc()
		if err := e.DB.Told(e.by(), n.Seq, stands, ""); err != nil {
			e.broken("end a notice", err)
			return false
		}
		return true
	}
	var u *Undelivered
	if !errors.As(err, &u) {
		u = &Undelivered{Err: err}
	}
	if u.Permanent {
		e.meters.told.WithLabelValues(n.Kind, "dropped").Inc()
		e.Log.Error("a message can never be delivered", "request", n.Request, "notice", n.Kind, "err", err)
		if err := e.DB.Told(e.by(), n.Seq, store.Ref{}, brief(err)); err != nil {
			e.broken("end a notice", err)
			return false
		}
		return true
	}
	wait := u.After
	if wait <= 0 {
		wait = min(backoff(n.Attempts+1), time.Minute)
	}
	e.meters.told.WithLabelValues(n.Kind, "postponed").Inc()
	e.Log.Warn("a message waits", "request", n.Request, "notice", n.Kind, "for", fmt.Sprint(wait), "err", err)
	until := e.Now().Add(wait)
	if err := e.DB.Postpone(e.by(), n.Seq, until, !u.Certain, brief(err)); err != nil {
		e.broken("postpone a notice", err)
	}
	e.wake(until)
	return false
}
