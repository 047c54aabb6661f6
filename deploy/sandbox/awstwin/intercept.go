// A test that stands between a caller and AWS: it sees every call that changes something at three moments, and may stop it at each. What
// it does meanwhile is its own affair: it may end the caller's process.

package awstwin

import (
	"encoding/json"
	"net/http"
)

// Moment is how far a call has come.
type Moment int

// The moments of a call, in their order. One that is refused or silenced at an earlier moment never comes to a later one.
const (
	Arrived  Moment = iota // nothing was done yet
	Done                   // done, or refused by AWS's own rules, and not answered
	Answered               // the answer is written, and leaves as soon as the interceptor returns
)

// Passing is a call on its way. Only calls that change something pass: a call that reads has nothing to be stopped before.
type Passing struct {
	Nr                 uint64 // the same at each of its moments
	Service, Operation string
	Path               string // of the request: REST services name there what they act on
	Input              json.RawMessage
	Error              string // the code with which AWS refused it; from Done on
}

// Order is what becomes of a call. The zero value lets it pass.
type Order struct {
	Refuse string // an error code, at Arrived only: it is not done
	Silent bool   // no answer ever: at Arrived it is not done, at Done it stays done
	Gone   func() // called when the caller of a silenced call has given up; may be nil
}

// Intercept has f called for every call that changes something, at each of its moments, on the goroutine that serves it and without a lock.
// There is one interceptor; nil takes it away. People's own actions (Session.Do) do not pass.
func (o *Organization) Intercept(f func(Moment, Passing) Order) {
	if f == nil {
		o.interceptor.Store(nil)
		return
	}
	o.interceptor.Store(&f)
}

// pass asks the interceptor about a call. A silenced call ends here, when its caller gives up.
func (o *Organization) pass(m Moment, c *call, err *Error) *Error {
	f := o.interceptor.Load()
	if f == nil || c.svc.ops[c.op].read {
		return nil
	}
	if c.nr == 0 {
		c.nr = o.passed.Add(1)
	}
	p := Passing{Nr: c.nr, Service: c.svc.name, Operation: c.op, Path: c.req.URL.Path, Input: c.input()}
	if err != nil {
		p.Error = err.Code
	}
	order := (*f)(m, p)
	if order.Silent && m != Answered {
		<-c.ctx.Done()
		if order.Gone != nil {
			order.Gone()
		}
		panic(http.ErrAbortHandler)
	}
	if order.Refuse != "" && m == Arrived {
		return coded(order.Refuse)
	}
	return nil
}
