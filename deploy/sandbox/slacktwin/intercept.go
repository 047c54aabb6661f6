package slacktwin

import (
	"encoding/json"
	"strings"
)

// Moment is how far something the app sends has come.
type Moment int

// The moments of a call, in their order. One that fails or is silenced at an earlier moment never comes to a later one.
const (
	Arrived  Moment = iota // nothing was done yet
	Done                   // done, or refused by Slack's own rules, and not answered
	Answered               // the answer is written, and leaves as soon as the interceptor returns
)

// Passing is something the app sends: a call that changes what people see (Web API, response_url), or the acknowledgement of a delivery.
// Calls that only read do not pass.
type Passing struct {
	Nr     uint64 // the same at each of its moments
	Method string // chat.postMessage; "response_url"; "ack", which has the moments Arrived and Done only
	Of     string // for an acknowledgement, what of: interactive block_actions approve, for example
	User   string // and whose
	Args   json.RawMessage
	Error  string // Slack's error word; from Done on
}

// Order is what becomes of it. The zero value lets it pass.
type Order struct {
	Fail   string // as FailNext's how, at Arrived only: it is not done
	Silent bool   // no answer ever, nor anything done where it has only arrived; an acknowledgement is lost
	Gone   func() // called when the caller of a silenced call has given up; may be nil
}

// Intercept has f called for everything that passes, at each of its moments, on the goroutine that serves it and without a lock. There is one
// interceptor; nil takes it away.
func (w *Workspace) Intercept(f func(Moment, Passing) Order) {
	if f == nil {
		w.interceptor.Store(nil)
		return
	}
	w.interceptor.Store(&f)
}

// passes says whether a method is one that changes something. Asking for a socket or for the channel with somebody changes nothing that
// anybody sees, but a conversation is opened once and then used, so it counts.
func passes(method string) bool {
	switch method {
	case "chat.getPermalink":
		return false
	case "conversations.open", "conversations.join", "response_url":
		return true
	}
	group, _, _ := strings.Cut(method, ".")
	return group == "chat" || group == "views" || group == "reactions" || group == "pins"
}

// pass asks the interceptor about a call. A silenced call ends here, when its caller gives up.
func (w *Workspace) pass(m Moment, c *call, err *apiError) fault {
	f := w.interceptor.Load()
	if f == nil || !passes(c.method) {
		return fault{}
	}
	if c.nr == 0 {
		c.nr = w.passed.Add(1)
	}
	p := Passing{Nr: c.nr, Method: c.method, Args: raw(c.args)}
	if err != nil {
		p.Error = err.code
	}
	order := (*f)(m, p)
	if order.Silent && m != Answered {
		if m == Arrived {
			w.journal(c, nil, fail("silenced"), w.cfg.Now(), fault{"silence"})
		}
		if order.Gone != nil {
			defer order.Gone()
		}
		w.hangUp(c.r)
	}
	if m != Arrived {
		return fault{}
	}
	return fault{order.Fail}
}

// delivery is what an acknowledgement is of, and whose.
type delivery struct{ of, user string }

// delivered remembers what an envelope was, for the interceptor. The caller holds mu.
func (w *Workspace) delivered(id string, e envelope) {
	if w.interceptor.Load() == nil {
		return
	}
	d := delivery{of: e.kind}
	add := func(word string) {
		if word != "" {
			d.of += " " + word
		}
	}
	d.user = str(e.payload, "user", "id") + str(e.payload, "user_id") + str(e.payload, "event", "user")
	add(str(e.payload, "type"))
	add(str(e.payload, "command"))
	add(str(e.payload, "view", "callback_id"))
	add(str(e.payload, "event", "type"))
	for _, a := range list(e.payload, "actions") {
		a, _ := a.(obj)
		add(str(a, "action_id"))
	}
	if w.deliveries == nil {
		w.deliveries = map[string]delivery{}
	}
	w.deliveries[id] = d
}

// acknowledging asks the interceptor about an acknowledgement, which then returns what to tell it once it was taken. lost: it never came.
func (w *Workspace) acknowledging(id string, payload json.RawMessage) (taken func(), lost bool) {
	f := w.interceptor.Load()
	w.mu.Lock()
	d, known := w.deliveries[id]
	delete(w.deliveries, id)
	w.mu.Unlock()
	if f == nil || !known {
		return func() {}, false
	}
	p := Passing{Nr: w.passed.Add(1), Method: "ack", Of: d.of, User: d.user, Args: payload}
	if (*f)(Arrived, p).Silent {
		return nil, true
	}
	return func() { (*f)(Done, p) }, false
}
