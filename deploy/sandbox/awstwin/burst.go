// Many events at once: sessions that were busy, without the hours that they took.

package awstwin

import (
	"context"
	"time"
)

// Burst is what a session did so often that nobody wants to wait for it.
type Burst struct {
	Actions []Action // in turns
	N       int
	// From and To are the times of the first event and of the last; what lies between is spread evenly.
	From, To time.Time
	// Late is by how much more than the trail's delay the events come.
	Late time.Duration
	// Error is the code of a refusal, as AccessDenied; empty: the calls went through.
	Error string
}

// Burst writes the events of calls as if the session had made them. Nothing is decided, done, or forwarded by rules; the events are those that
// Do would have left. It gives their ids in order.
func (s *Session) Burst(b Burst) []string {
	o := s.org
	o.mu.Lock()
	defer o.mu.Unlock()
	o.settle(o.cfg.Now())
	makers := make([]func(time.Time) *event, len(b.Actions))
	for i, a := range b.Actions {
		makers[i] = o.eventMaker(s, a, b.Error)
	}
	ids := make([]string, 0, b.N)
	rules := o.rules
	o.rules = nil // a hundred thousand messages help nobody
	defer func() { o.rules = rules }()
	for i := range b.N {
		at := b.From
		if b.N > 1 {
			at = at.Add(time.Duration(float64(b.To.Sub(b.From)) * float64(i) / float64(b.N-1)))
		}
		e := makers[i%len(makers)](at.UTC().Truncate(time.Second))
		e.late = b.Late
		o.write(e)
		ids = append(ids, e.id)
	}
	o.changed()
	return ids
}

// eventMaker works out once what the events of an action have in common.
func (o *Organization) eventMaker(s *Session, a Action, code string) func(time.Time) *event {
	c := &call{org: o, ctx: context.Background(), at: o.cfg.Now(), region: a.Region, ip: s.ip, ua: s.ua, vars: map[string]string{}, who: s.id}
	if c.region == "" {
		c.region = o.cfg.Region
	}
	o.aim(c, a)
	op := c.svc.ops[c.op]
	if op.notes != nil {
		op.notes(c)
	}
	var err *Error
	if code != "" {
		err = o.denied(c, "*", "because no identity-based policy allows the "+c.action()+" action")
		if code != "AccessDenied" { // that one has another name with some services
			err.Code = code
		}
	}
	like := o.eventOf(c, err)
	like.read = op.read
	return func(at time.Time) *event {
		e := *like
		e.at, e.requestID = at, o.uuid()
		return &e
	}
}

// From is the same session at another address and with another client (empty: the same one), as when somebody takes its keys elsewhere.
func (s *Session) From(address, agent string) *Session {
	other := *s
	if address != "" {
		other.ip = address
	}
	if agent != "" {
		other.ua = agent
	}
	return &other
}

// AWSEvent is an event that something other than a caller of the twin left.
type AWSEvent struct {
	Account, Region string
	At              time.Time // zero: now
	Source, Name    string    // sso.amazonaws.com, Federate
	Type            string    // empty: AwsApiCall
	ReadOnly        bool
	Address, Agent  string
	ErrorCode       string
	Identity        map[string]any // userIdentity
	Params          map[string]any
	Extra           map[string]any // further fields, as additionalEventData; they replace those of the same name
	Late            time.Duration  // by how much more than the trail's delay it comes
}

// AddEvent writes an event into a trail and gives its id.
func (o *Organization) AddEvent(in AWSEvent) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.settle(o.cfg.Now())
	o.must(in.Account)
	if in.At.IsZero() {
		in.At = o.cfg.Now()
	}
	e := &event{at: in.At.UTC().Truncate(time.Second), account: in.Account, region: in.Region, source: in.Source, name: in.Name, kind: in.Type, read: in.ReadOnly,
		ip: in.Address, ua: in.Agent, requestID: o.uuid(), code: in.ErrorCode, identity: in.Identity, extra: in.Extra, late: in.Late}
	if in.Identity == nil {
		e.identity = map[string]any{}
	}
	if in.Params != nil {
		e.params = encoded(in.Params)
	}
	o.write(e)
	o.changed()
	return e.id
}
