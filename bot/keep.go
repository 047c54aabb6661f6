package bot

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/slack-go/slack"
)

// ErrRefused means that Slack will not have these tokens however often it is asked.
var ErrRefused = errors.New("the token is refused by Slack")

// keep holds one connection open until ctx ends: connect, serve until Slack warns or the connection breaks, again. The old
// socket goes on reading while its successor is made, so that a refresh leaves no gap. It returns an error only for
// ErrRefused.
func (b *Bot) keep(ctx context.Context, slot int) error {
	var p pause
	for generation := 1; ; generation++ {
		if !sleep(ctx, p.next()) {
			return nil
		}
		b.health.state(slot, StateConnecting, generation, "")
		s, reason, err := b.connect(ctx, slot, generation)
		switch {
		case ctx.Err() != nil:
			return nil // Run closes the socket after the drain
		case refused(err):
			b.cfg.Log.Error("Slack refuses to connect this app for good", "err", err)
			return fmt.Errorf("%w: %w", ErrRefused, err)
		case err != nil:
			p.failed(err)
		default:
			reason = b.serve(ctx, s)
			if reason == "" {
				return nil
			}
			p.lived(time.Since(s.opened))
		}
		b.metrics.reconnects.WithLabelValues(reason).Inc()
		b.health.state(slot, StateWaiting, generation, reason)
		b.report(slot, generation, reason, p.d, err)
	}
}

// serve waits until the socket needs a successor and says why; "" means that ctx ended first.
func (b *Bot) serve(ctx context.Context, s *socket) string {
	b.health.live(s)
	b.metrics.live.Inc()
	go func() {
		<-s.done
		b.metrics.live.Dec()
		b.health.gone(s)
	}()
	select {
	case <-ctx.Done():
		return ""
	case <-s.done:
		return s.ended
	case <-s.leaving:
		go b.retire(s)
		return s.why
	}
}

// retire closes a socket that Slack announced it will cut, unless Slack does so first. After a warning it serves on for a
// while, because Slack may route to it until the cut; after any other reason just long enough to answer what is in hand.
func (b *Bot) retire(s *socket) {
	d := slackPatience
	if s.why == reasonWarning || s.why == reasonRefresh {
		d = overlap
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-s.done:
	case <-timer.C:
		s.close()
	}
}

func (b *Bot) report(slot, generation int, reason string, pause time.Duration, err error) {
	log := b.cfg.Log.With("slot", slot, "generation", generation, "reason", reason, "pause", pause)
	switch {
	case err != nil:
		log.Warn("no connection to Slack", "err", err)
	case reason == reasonWarning || reason == reasonRefresh:
		log.Info("Slack refreshes the connection")
	case reason == reasonOff:
		log.Error("Socket Mode is switched off in the app's settings")
	case reason == reasonTooMany:
		log.Error("too many connections for this app: Slack allows 10")
	default:
		log.Warn("connection to Slack lost")
	}
}

// closeSockets closes what is open, all at once.
func (b *Bot) closeSockets() {
	b.mu.Lock()
	open := make([]*socket, 0, len(b.sockets))
	for s := range b.sockets {
		open = append(open, s)
	}
	b.mu.Unlock()
	var wg sync.WaitGroup
	for _, s := range open {
		wg.Go(s.close)
	}
	wg.Wait()
}

// refused tells errors that no waiting mends (docs.slack.dev/reference/methods/apps.connections.open) from the rest.
// not_allowed_token_type is a bot token in the place of the app-level one, missing_scope one without connections:write.
func refused(err error) bool {
	e, ok := errors.AsType[slack.SlackErrorResponse](err)
	if !ok {
		return false
	}
	switch e.Err {
	case "invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired",
		"not_allowed_token_type", "missing_scope", "forbidden_app":
		return true
	}
	return false
}

// A pause is the time before the next attempt. It doubles from pauseMin to pauseMax as long as attempts fail or sockets
// die young, whatever the reason, and is gone once a socket settled. What slack-go does instead is dial at once
// after every dial that succeeded, which is a hot loop when Slack hangs up at the door.
type pause struct {
	d     time.Duration // without jitter
	least time.Duration // Retry-After, if Slack said one
}

func (p *pause) failed(err error) {
	p.grow()
	if e, ok := errors.AsType[*slack.RateLimitedError](err); ok {
		p.least = e.RetryAfter
	}
}

func (p *pause) lived(age time.Duration) {
	if age >= settled {
		p.d = 0
		return
	}
	p.grow()
}

func (p *pause) grow() { p.d = min(max(2*p.d, pauseMin), pauseMax) }

// next adds up to a fifth, so that sockets and processes that fell together do not rise together.
func (p *pause) next() time.Duration {
	d := max(p.d, p.least)
	p.least = 0
	if d == 0 {
		return 0
	}
	return d + rand.N(d/5+1) // #nosec G404 -- not a secret
}
