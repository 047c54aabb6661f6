package handlers

import (
	"context"
	"fmt"

	"github.com/slack-go/slack"

	"breakglass/store"
)

// inThread posts a line to the request's thread. Where the card could never be posted, or its channel is closed to us and the policy
// names another, the line stands alone, with the request's id.
func (s *Speaker) inThread(ctx context.Context, n store.Notice, r store.Request, m message, f setting) (store.Ref, error) {
	ref, ok := s.Card(r.ID)
	if ok {
		at, err := s.post(ctx, n, toChannel(ref.Channel), ref.TS, m)
		if err == nil || !lost(err) && !(closed(slackCode(err)) && moved(ctx, toChannel(f.requests), ref)) {
			return at, err
		}
	}
	m.blocks = append([]slack.Block{small(string(r.ID) + " · " + label(r))}, m.blocks...)
	return s.post(ctx, n, toChannel(f.requests), "", m)
}

// thread is the address of a request's thread, "" where its card does not stand yet.
func (s *Speaker) thread(id store.ID) string {
	ref, ok := s.Card(id)
	if !ok {
		return ""
	}
	return s.Workspace.permalink(ref.Channel, ref.TS, "")
}

// lost says whether the message a thread hangs on is gone: somebody deleted the card.
func lost(err error) bool {
	code := slackCode(err)
	return code == "thread_not_found" || code == "message_not_found"
}

// standInThread posts a line that is edited later, or edits it. Where Slack will not have it edited any more, it is posted anew: the newest line of
// the thread is right.
func (s *Speaker) standInThread(ctx context.Context, n store.Notice, r store.Request, m message, ref store.Ref, f setting) (store.Ref, error) {
	if ref.TS == "" {
		return s.inThread(ctx, n, r, m, f)
	}
	err := s.edit(ctx, n, m, ref)
	if err == nil {
		return ref, nil
	}
	if code := slackCode(err); !uneditable(code) && !(closed(code) && moved(ctx, toChannel(f.requests), ref)) {
		return ref, fmt.Errorf("chat.update: %w", err)
	}
	s.Log.Warn("line cannot be edited any more, posting it anew", "request", n.Request, "message", n.Message, "err", err)
	s.Counted("moved")
	return s.inThread(ctx, n, r, m, f)
}
