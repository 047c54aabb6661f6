package handlers

import (
	"context"
	"errors"
	"fmt"

	"breakglass/store"
	"breakglass/workflows"
)

// mail without a mailer is no error: an operator may have said BREAKGLASS_MAIL=none, and then it would be tried for ever.
func (s *Speaker) mail(ctx context.Context, n store.Notice, r store.Request) error {
	f, _, _ := s.terms(n, r)
	m := mail(n, r, f)
	if s.Mail == nil || len(m.To) == 0 {
		s.Log.Warn("mail is not sent: it is not configured, or there is no address", "request", n.Request, "what", n.Data["what"])
		return nil
	}
	return s.Mail.Send(ctx, m)
}

// report sends the mail about a session or a month, which somebody else renders. It may be large and is asked for only where it can be sent.
func (s *Speaker) report(ctx context.Context, n store.Notice, r store.Request) error {
	to := addresses(n.To)
	if s.Mail == nil || s.Report == nil || len(to) == 0 {
		s.Log.Warn("a report is not sent: mail is not configured, or there is no address", "request", n.Request, "month", n.Data["month"])
		return nil
	}
	m, err := s.Report(ctx, n, r)
	if err != nil {
		if u, ok := errors.AsType[*workflows.Undelivered](err); ok {
			return u
		}
		return &workflows.Undelivered{Certain: true, Err: fmt.Errorf("render a report: %w", err)} // nothing was sent yet
	}
	if len(m.To) == 0 {
		m.To = to
	}
	return s.Mail.Send(ctx, m)
}
