package handlers

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"breakglass/store"
	"breakglass/workflows"
)

func refuse(code, format string, args ...any) *workflows.Refusal {
	return &workflows.Refusal{Code: code, Why: fmt.Sprintf(format, args...)}
}

func strangerOther() *workflows.Refusal {
	return refuse(workflows.RefusedStranger, "Only members of this workspace can use Breakglass.")
}

// caused is a refusal that may pass, with its cause. People read the refusal, the log has both.
type caused struct {
	refusal *workflows.Refusal
	cause   error
}

func (c *caused) Error() string   { return c.refusal.Why + " (" + c.cause.Error() + ")" }
func (c *caused) Unwrap() []error { return []error{c.refusal, c.cause} }

func noAnswer(why string, cause error) error {
	return &caused{refusal: refuse(workflows.RefusedNoAnswer, "%s", why), cause: cause}
}

func noStore(cause error) error {
	return &caused{refusal: refuse(workflows.RefusedStore, "Breakglass cannot read or write its own records, so nothing was done. Its operator has to look at it."), cause: cause}
}

// unmatched says why nobody, or nobody certain, was found in Identity Center.
func unmatched(email string, err error) error {
	switch {
	case errors.Is(err, store.ErrNobody):
		return refuse(workflows.RefusedUnmatched, "Nobody in AWS Identity Center has your e-mail address, %s. Ask whoever runs Identity Center to add you, "+
			"or whoever keeps the policy to name your other address in its identities.", email)
	case errors.Is(err, store.ErrSeveral):
		return refuse(workflows.RefusedUnmatched, "Several people in AWS Identity Center have your e-mail address, %s, so it is not certain who you are. "+
			"Ask whoever runs Identity Center to give it to one of them only.", email)
	}
	return noAnswer("AWS Identity Center did not answer, so it is not known who you are, and nothing was done. Try again in a minute.",
		fmt.Errorf("find %s: %w", email, err))
}

// sentence is the one place that turns an error into what a person reads. What is not meant for people is answered with a
// reference, under which the log has all of it.
func (h *Handlers) sentence(what string, err error) string {
	if r, ok := errors.AsType[*workflows.Refusal](err); ok {
		if _, withCause := errors.AsType[*caused](err); withCause || r.Code == workflows.RefusedStore {
			h.log.Warn("refused", "what", what, "code", r.Code, "err", err)
		}
		return r.Why
	}
	if f, ok := errors.AsType[workflows.FormFaults](err); ok {
		var all []string
		for _, x := range f {
			all = append(all, x.Why)
		}
		return strings.Join(all, " ")
	}
	if t, ok := errors.AsType[*store.TransitionError](err); ok {
		return fmt.Sprintf("%s is %s by now, so nothing was changed.", t.ID, t.Is)
	}
	if errors.Is(err, store.ErrNotFound) {
		return "There is no such request."
	}
	ref := reference()
	h.log.Error("failed", "what", what, "reference", ref, "err", err)
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return "That took too long, and it is not certain whether it was done. See /access status before you try again. (Reference " + ref + ".)"
	}
	return "Something went wrong on our side. Try again; if it happens again, give the operator this reference: " + ref + "."
}

// reference is short enough to be read out.
func reference() string {
	b := make([]byte, 4)
	_, _ = rand.Read(b) // never fails: crypto/rand aborts the program instead
	return hex.EncodeToString(b)
}
