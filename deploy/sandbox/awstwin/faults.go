// What can go wrong between a program and AWS, on request. The kinds differ in the one thing that matters afterwards:
// whether the call took effect. FailNext, HangNext, Outage and Unreachable leave no effect; DropReplyNext and StallReplyNext
// do, and the caller cannot tell.

package awstwin

import (
	"errors"
	"time"
)

type dropKind int

const (
	keepReply dropKind = iota
	dropReply
	hangReply
)

// errWaiting is returned by an operation that has nothing to say yet (a long poll); it is tried again after a change.
var errWaiting = errors.New("awstwin: nothing yet")

type faultKind int

const (
	faultError faultKind = iota // refused, not applied
	faultDrop                   // applied, connection cut before the answer
	faultStall                  // applied, no answer ever
	faultHang                   // not applied, no answer ever
	faultCut                    // not applied, connection cut
)

type fault struct {
	kind        faultKind
	service, op string
	left        int
	err         *Error
}

type faultTable struct {
	queued []*fault
	outage map[string]faultKind // by service; "" is all of them
	delay  time.Duration
	slow   map[string]time.Duration // by service, beside delay
}

// effect is what the faults do to one call.
type effect struct {
	err       *Error
	hang, cut bool
	reply     dropKind
	delay     time.Duration
}

// FailNext refuses the next n calls of an operation with an error code, before they do anything. An empty op means any
// operation of the service, an empty service any service. Codes of throttling and of the server's own get the status that belongs to them.
func (o *Organization) FailNext(service, op, code string, n int) {
	o.queue(&fault{kind: faultError, service: service, op: op, left: n, err: coded(code)})
}

// ConflictNext refuses the next n assignments or deletions in AWS's own words: a previous write has not yet propagated.
func (o *Organization) ConflictNext(n int) {
	for _, op := range []string{"CreateAccountAssignment", "DeleteAccountAssignment"} {
		o.queue(&fault{kind: faultError, service: "sso-admin", op: op, left: n, err: conflict()})
	}
}

// DropReplyNext lets the next n calls take effect and cuts the connection before the answer: "timeout after success".
func (o *Organization) DropReplyNext(service, op string, n int) {
	o.queue(&fault{kind: faultDrop, service: service, op: op, left: n})
}

// StallReplyNext lets the next n calls take effect and never answers; the caller has to give up by itself.
func (o *Organization) StallReplyNext(service, op string, n int) {
	o.queue(&fault{kind: faultStall, service: service, op: op, left: n})
}

// HangNext takes the next call of an operation and neither does it nor answers, until the caller gives up.
func (o *Organization) HangNext(service, op string) {
	o.queue(&fault{kind: faultHang, service: service, op: op, left: 1})
}

// Outage answers every call of a service (or, with "", of all) with 503 ServiceUnavailable until it is switched off.
func (o *Organization) Outage(service string, on bool) { o.outage(service, faultError, on) }

// Unreachable cuts every connection to a service (or, with "", to all) before anything happens, until it is switched off.
func (o *Organization) Unreachable(service string, on bool) { o.outage(service, faultCut, on) }

// SetDelay makes every call take d longer, by the real clock (or a bubble's), before it does anything.
func (o *Organization) SetDelay(d time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.faults.delay = d
}

// SetServiceDelay makes every call of one service take d longer, as SetDelay does for all of them; zero takes it back.
func (o *Organization) SetServiceDelay(service string, d time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.faults.slow == nil {
		o.faults.slow = map[string]time.Duration{}
	}
	o.faults.slow[service] = d
}

// ClearFaults takes back everything that FailNext, Outage and their like have asked for.
func (o *Organization) ClearFaults() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.faults = faultTable{}
}

func (o *Organization) queue(f *fault) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.faults.queued = append(o.faults.queued, f)
}

func (o *Organization) outage(service string, kind faultKind, on bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.settle(o.cfg.Now())
	if o.faults.outage == nil {
		o.faults.outage = map[string]faultKind{}
	}
	if on {
		o.faults.outage[service] = kind
	} else {
		delete(o.faults.outage, service)
	}
	o.changed()
}

// takeFault says what happens to a call and uses up what was queued for it.
func (o *Organization) takeFault(c *call) effect {
	o.mu.Lock()
	defer o.mu.Unlock()
	e := effect{delay: o.faults.delay + o.faults.slow[c.svc.name]}
	for _, name := range []string{"", c.svc.name} {
		if kind, on := o.faults.outage[name]; on {
			e.cut = e.cut || kind == faultCut
			e.err = coded("ServiceUnavailable")
		}
	}
	if e.err != nil {
		return e
	}
	for i, f := range o.faults.queued {
		if !f.matches(c) {
			continue
		}
		if f.left--; f.left <= 0 {
			o.faults.queued = append(o.faults.queued[:i:i], o.faults.queued[i+1:]...)
		}
		return f.apply(e)
	}
	return e
}

func (f *fault) matches(c *call) bool {
	return (f.service == "" || f.service == c.svc.name) && (f.op == "" || f.op == c.op)
}

func (f *fault) apply(e effect) effect {
	switch f.kind {
	case faultError:
		err := *f.err
		e.err = &err
	case faultDrop:
		e.reply = dropReply
	case faultStall:
		e.reply = hangReply
	case faultHang:
		e.hang = true
	case faultCut:
		e.cut = true
	}
	return e
}

// coded is an error by its code alone, with the status and words that AWS gives to the common ones.
func coded(code string) *Error {
	switch code {
	case "ConflictException":
		return conflict()
	case "ThrottlingException", "Throttling", "TooManyRequestsException":
		return fail(code, "Rate exceeded")
	case "ServiceUnavailable", "ServiceUnavailableException":
		return fail(code, "Service Unavailable. Please try again later.").status(503)
	case "InternalServerException", "InternalFailure", "InternalServerError", "ServiceException":
		return fail(code, "An internal error has occurred").status(500)
	case "AccessDenied", "ExpiredToken", "InvalidClientTokenId":
		return fail(code, "refused by the test").status(403)
	case "SlowDown":
		return fail(code, "Please reduce your request rate.").status(503)
	case "ConditionalRequestConflict":
		return fail(code, "The conditional request cannot succeed due to a conflicting operation against this resource.").status(409)
	case "PreconditionFailed":
		return fail(code, "At least one of the pre-conditions you specified did not hold").status(412)
	}
	return fail(code, "refused by the test")
}

func conflict() *Error {
	return fail("ConflictException", "A conflict with a previous successful write is detected. "+
		"This generally occurs when the previous write did not have time to propagate to the host serving the current request. "+
		"A retry (with appropriate backoff logic) is the recommended response to this exception.")
}
