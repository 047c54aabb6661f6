// From an HTTP request to a call and back. Which protocol a request speaks is found in this order: X-Amz-Target, Action in
// form or query, then verb and path with the service of the credential scope.

package awstwin

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// maxBody is more than anybody here sends in one request; S3 takes 5 GiB.
const maxBody = 1 << 30

// credential is what a SigV4 signature says about its maker. The signature itself is not verified: the key id alone tells
// the caller, since whoever can reach this loopback service may be anybody in it anyway.
type credential struct {
	key, region, service, token string
	query                       bool // presigned
}

func credentialOf(r *http.Request) credential {
	scope, token, query := "", r.Header.Get("X-Amz-Security-Token"), false
	if auth := r.Header.Get("Authorization"); strings.HasPrefix(auth, "AWS4-") {
		if _, rest, ok := strings.Cut(auth, "Credential="); ok {
			scope, _, _ = strings.Cut(rest, ",")
		}
	} else if q := r.URL.Query(); q.Get("X-Amz-Credential") != "" {
		scope, token, query = q.Get("X-Amz-Credential"), q.Get("X-Amz-Security-Token"), true
	}
	parts := strings.Split(strings.TrimSpace(scope), "/")
	if len(parts) != 5 {
		return credential{}
	}
	return credential{key: parts[0], region: parts[2], service: parts[3], token: token, query: query}
}

// ServeHTTP answers one AWS request.
func (o *Organization) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		return // the caller has gone
	}
	cred := credentialOf(r)
	c := o.newCall(r, cred, body)
	if c.svc == nil {
		writeError(w, c, fail("UnknownOperationException", "no such service or operation here").status(404))
		return
	}
	if c.svc.ops[c.op] == nil {
		writeError(w, c, unknownOperation(c))
		return
	}
	if stopped := o.pass(Arrived, c, nil); stopped != nil {
		o.noteRefusal(c, cred, stopped)
		writeError(w, c, stopped)
		return
	}
	out, aerr, drop := o.serve(c, cred)
	o.pass(Done, c, aerr)
	if drop == dropReply {
		panic(http.ErrAbortHandler) // the connection is cut; net/http does not log this one
	}
	if drop == hangReply {
		<-c.ctx.Done()
		panic(http.ErrAbortHandler)
	}
	if aerr != nil {
		writeError(w, c, aerr)
	} else {
		writeAnswer(w, c, out)
	}
	o.pass(Answered, c, aerr)
}

func unknownOperation(c *call) *Error {
	switch c.svc.proto {
	case protoQuery, protoEC2:
		return fail("InvalidAction", "Could not find operation %s", c.op)
	case protoS3:
		return fail("NotImplemented", "A header or operation you provided implies functionality that is not implemented: %s", c.op).status(501)
	}
	return fail("UnknownOperationException", "operation %q is not modelled", c.op)
}

// newCall finds out what is asked; svc stays nil where nothing fits.
func (o *Organization) newCall(r *http.Request, cred credential, body []byte) *call {
	c := &call{org: o, ctx: r.Context(), req: r, body: body, region: cred.region, vars: map[string]string{},
		ua: r.UserAgent(), headers: http.Header{}}
	if c.region == "" || c.region == "aws-global" {
		c.region = "us-east-1"
	}
	c.ip, _, _ = net.SplitHostPort(r.RemoteAddr)
	if c.ip == "" {
		c.ip = "127.0.0.1"
	}
	if target := r.Header.Get("X-Amz-Target"); target != "" {
		o.byTarget(c, target)
		return c
	}
	if form := formOf(r, body); form.Get("Action") != "" {
		c.form, c.op = form, form.Get("Action")
		c.svc = o.findService(func(s *service) bool { return s.scope == cred.service && isQuery(s.proto) })
		if c.svc == nil && cred.service == "" {
			c.svc = o.services["sts"] // unsigned: say so in the query protocol
		}
		return c
	}
	o.byPath(c, cred)
	return c
}

func isQuery(p protocol) bool { return p == protoQuery || p == protoEC2 }

// byTarget splits "prefix.Operation"; the AWS CLI writes CloudTrail's prefix with its Java package, the Go SDK without.
func (o *Organization) byTarget(c *call, target string) {
	i := strings.LastIndexByte(target, '.')
	if i < 0 {
		return
	}
	prefix := target[:i]
	prefix = prefix[strings.LastIndexByte(prefix, '.')+1:]
	c.op = target[i+1:]
	c.svc = o.findService(func(s *service) bool { return s.target != "" && s.target == prefix })
}

func formOf(r *http.Request, body []byte) url.Values {
	q := r.URL.Query()
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		if f, err := url.ParseQuery(string(body)); err == nil {
			for k, v := range f {
				q[k] = append(q[k], v...)
			}
		}
	}
	return q
}

func (o *Organization) byPath(c *call, cred credential) {
	c.svc = o.findService(func(s *service) bool {
		return s.route != nil && s.scope == cred.service && cred.service != ""
	})
	if c.svc == nil && cred.service == "" {
		p := c.req.URL.Path
		portal := strings.HasPrefix(p, "/federation/") || strings.HasPrefix(p, "/assignment/") || p == "/logout"
		if c.svc = o.services["s3"]; portal {
			c.svc = o.services["sso"]
		}
	}
	if c.svc != nil {
		c.op = c.svc.route(c)
	}
}

// serve runs a call to its end: faults, delay, and then, under the lock, who, how fast, whether, and what.
func (o *Organization) serve(c *call, cred credential) (any, *Error, dropKind) {
	f := o.takeFault(c)
	if f.hang {
		<-c.ctx.Done()
		return nil, nil, dropReply
	}
	if f.cut {
		return nil, nil, dropReply
	}
	if !wait(c.ctx, f.delay) {
		return nil, nil, dropReply
	}
	if f.err != nil {
		o.noteRefusal(c, cred, f.err)
		return nil, f.err, keepReply
	}
	out, err := o.attempt(c, cred)
	if err == errWaiting {
		out, err = o.poll(c, cred)
	}
	return out, asError(err), f.reply
}

func asError(err error) *Error {
	if err == nil {
		return nil
	}
	if e, ok := err.(*Error); ok {
		return e
	}
	return (&Error{Code: "InternalServerException", Message: err.Error()}).status(500)
}

func wait(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// attempt does the call once, under the lock.
func (o *Organization) attempt(c *call, cred credential) (any, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	c.at = o.cfg.Now()
	if c.id == "" {
		c.id = o.uuid()
	}
	o.settle(c.at)
	who, aerr := o.authenticate(c, cred)
	if aerr != nil {
		o.log(c, aerr)
		return nil, aerr
	}
	c.who = who
	out, err := o.perform(c)
	if err == errWaiting {
		return nil, err
	}
	o.log(c, asError(err))
	if err != nil {
		return nil, asError(err)
	}
	if !c.svc.ops[c.op].read {
		o.changed()
	}
	return out, nil
}

// perform is the part that people's own sessions share with HTTP: quota, permission, the act, the trail. Lock held.
func (o *Organization) perform(c *call) (any, error) {
	op := c.svc.ops[c.op]
	if op.notes != nil {
		op.notes(c)
	}
	if err := o.throttle(c); err != nil {
		return nil, err // throttled calls leave no event
	}
	if err := o.authorise(c, op); err != nil {
		o.recordCall(c, asError(err))
		return nil, err
	}
	out, err := op.run(c)
	if err == errWaiting {
		return nil, err
	}
	if err != nil {
		o.recordCall(c, asError(err))
		return nil, err
	}
	o.recordCall(c, nil)
	return out, nil
}

var _ http.Handler = (*Organization)(nil)
