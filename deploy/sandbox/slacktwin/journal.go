package slacktwin

import (
	"encoding/json"
	"regexp"
	"slices"
	"time"
)

// journalSize is how many calls are kept where Config does not say; older ones go first.
const journalSize = 20_000

// Call is one Web API call or use of a response_url, tokens and URLs of it redacted.
type Call struct {
	At     time.Time
	Method string // "response_url" for those
	Args   json.RawMessage
	OK     bool
	Error  string // Slack's error word, empty if OK
	Took   time.Duration
	Fault  string // the fault that was asked for, if this call met it
}

// Refusal is something the app sent that Slack would not have taken.
type Refusal struct {
	Method  string // Web API method, "response_url", or "ack:" and what was acknowledged
	Error   string // Slack's error word
	Detail  string // what was wrong, with JSON pointers
	Payload string // what was sent, redacted
}

// Calls returns the journal, oldest first.
func (w *Workspace) Calls() []Call {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.calls)
}

// Refusals returns what was refused, oldest first, those excepted that FailNext asked for. It should be empty at the
// end of a story.
func (w *Workspace) Refusals() []Refusal {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.refusals)
}

// ForgetRefusals empties the list, for a story that expects one on the way.
func (w *Workspace) ForgetRefusals() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refusals = nil
}

// secret matches tokens and the secret part of response URLs.
var secret = regexp.MustCompile(`xox[a-z]-[\w-]+|xapp-[\w-]+|/(?:actions|commands)/[\w/]+`)

// redact removes what must not stand in a log.
func redact(s string) string { return secret.ReplaceAllString(s, "[redacted]") }

// journal records a call and, where it was refused for a reason of its own, the refusal.
func (w *Workspace) journal(c *call, _ obj, err *apiError, start time.Time, f fault) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil && w.cfg.Journal < 0 {
		w.changed()
		return
	}
	args := redact(string(raw(c.args)))
	rec := Call{At: start, Method: c.method, Args: json.RawMessage(args), OK: err == nil, Took: w.cfg.Now().Sub(start), Fault: f.how}
	if err != nil {
		rec.Error = err.code
		if f.how == "" {
			w.refuse(c.method, err, args)
		}
	}
	if size := w.cfg.Journal; size > 0 {
		w.calls = append(w.calls, rec)
		if len(w.calls) > size+size/10 { // cut now and then, not each time
			w.calls = slices.Clone(w.calls[len(w.calls)-size:])
		}
	}
	w.changed()
}

// refuse: the caller holds mu.
func (w *Workspace) refuse(method string, err *apiError, payload string) {
	w.refusals = append(w.refusals, Refusal{Method: method, Error: err.code, Detail: err.Error(), Payload: redact(payload)})
	w.changed()
}
