// What tests and the page see: the journal of calls, and a channel that tells of changes.

package awstwin

import (
	"encoding/json"
	"time"
)

// journalLimit is how many calls are kept; the oldest go first.
const journalLimit = 200_000

// Call is one line of the journal: a request as it arrived, with what became of it.
type Call struct {
	At        time.Time
	Service   string // sso-admin, sts, …
	Operation string
	Account   string // of the caller; empty where the caller is unknown
	Region    string
	Caller    string // ARN
	Input     json.RawMessage
	Error     string // the code; empty on success
}

type journal struct{ calls []Call }

func newJournal() journal { return journal{} }

// log writes a call down. Lock held.
func (o *Organization) log(c *call, err *Error) {
	line := Call{At: c.at, Service: c.svc.name, Operation: c.op, Region: c.region, Input: c.input()}
	if c.who != nil {
		line.Account, line.Caller = c.who.account, c.who.arn
	}
	if err != nil {
		line.Error = err.Code
	}
	if len(o.journal.calls) >= journalLimit {
		o.journal.calls = append(o.journal.calls[:0], o.journal.calls[journalLimit/10:]...)
	}
	o.journal.calls = append(o.journal.calls, line)
}

// noteRefusal journals a call that a fault answered before it reached the service.
func (o *Organization) noteRefusal(c *call, cred credential, err *Error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	c.at, c.id = o.cfg.Now(), o.uuid()
	c.who = o.keys[cred.key]
	o.log(c, err)
}

// input is what the caller sent, as JSON whatever the protocol. Objects are left out: they may be large.
func (c *call) input() json.RawMessage {
	switch {
	case c.form != nil:
		m := map[string]string{}
		for k, v := range c.form {
			if k != "Action" && k != "Version" && len(v) > 0 {
				m[k] = v[0]
			}
		}
		b, _ := json.Marshal(m)
		return b
	case c.svc.proto == protoS3:
		b, _ := json.Marshal(c.vars)
		return b
	case json.Valid(c.body):
		return json.RawMessage(c.body)
	case len(c.vars) > 0:
		b, _ := json.Marshal(c.vars)
		return b
	}
	return nil
}

// Calls is the journal: every request that reached the twin over HTTP, oldest first.
func (o *Organization) Calls() []Call {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]Call(nil), o.journal.calls...)
}

// ForgetCalls empties the journal, so that a benchmark measures its own calls only.
func (o *Organization) ForgetCalls() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.journal.calls = nil
}

type watchers struct {
	next int
	all  map[int]chan struct{}
}

// Subscribe gives a channel on which a token lies whenever something may have changed since it was last taken. Many
// changes may share a token. Call cancel when done.
func (o *Organization) Subscribe() (changes <-chan struct{}, cancel func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.subscribe()
}

func (o *Organization) subscribe() (chan struct{}, func()) {
	if o.watchers.all == nil {
		o.watchers.all = map[int]chan struct{}{}
	}
	id, ch := o.watchers.next, make(chan struct{}, 1)
	o.watchers.next++
	o.watchers.all[id] = ch
	return ch, func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		delete(o.watchers.all, id)
	}
}

// changed leaves a token with every watcher. Lock held.
func (o *Organization) changed() {
	for _, ch := range o.watchers.all {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}
