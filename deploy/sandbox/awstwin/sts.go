// STS. Its events are in the Region that was called; AssumeRole across accounts is an event in both.

package awstwin

import (
	"strconv"
	"strings"
	"time"

	"breakglass/deploy/sandbox/awstwin/iam"
)

func stsService() *service {
	return &service{
		name: "sts", scope: "sts", source: "sts.amazonaws.com", prefix: "sts", proto: protoQuery, xmlns: "https://sts.amazonaws.com/doc/2011-06-15/",
		ops: map[string]*operation{
			"GetCallerIdentity": {run: getCallerIdentity, read: true, anyone: true},
			// AssumeRole decides for itself: the trust policy and the caller's own policies play together.
			"AssumeRole":      {run: assumeRole, read: true, anyone: true, ownTrail: true},
			"GetSessionToken": {run: getSessionToken, read: true, anyone: true},
		},
	}
}

// getCallerIdentity needs no permission, and no Deny prevents it (STS API reference).
func getCallerIdentity(c *call) (any, error) {
	return []node{val("UserId", c.who.userID), val("Account", c.who.account), val("Arn", c.who.arn)}, nil
}

// assumeInput is AssumeRole's form, read.
type assumeInput struct {
	arn, session, source string
	duration             time.Duration
	policy               *iam.Document
}

func (c *call) readAssume() (assumeInput, error) {
	in := assumeInput{arn: c.form.Get("RoleArn"), session: c.form.Get("RoleSessionName"), source: c.form.Get("SourceIdentity"), duration: time.Hour}
	const sessionChars = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+=,.@-"
	if n := len(in.session); n < 2 || n > 64 || !only(in.session, sessionChars) {
		return in, stsInvalid("roleSessionName", in.session, `Member must satisfy regular expression pattern: [\w+=,.@-]*, length 2 to 64`)
	}
	if !strings.HasPrefix(in.arn, "arn:aws:iam::") || !strings.Contains(in.arn, ":role/") {
		return in, fail("ValidationError", "%s is invalid", in.arn)
	}
	if s := c.form.Get("DurationSeconds"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 900 || n > 43200 {
			return in, stsInvalid("durationSeconds", s, "Member must have value between 900 and 43200")
		}
		in.duration = time.Duration(n) * time.Second
	}
	if text := c.form.Get("Policy"); text != "" {
		doc, err := iam.Parse([]byte(text))
		if err != nil {
			return in, fail("MalformedPolicyDocument", "%v", err)
		}
		doc.Name, in.policy = "session policy", doc
	}
	return in, nil
}

func stsInvalid(member, value, constraint string) *Error {
	e := invalid(member, value, constraint)
	e.Code = "ValidationError"
	return e
}

// assumeRole checks the trust policy, as moto does not: a role that is not there and one that does not trust the caller are
// refused in the same words. A session of a role that assumes another lasts an hour at most (role chaining).
func assumeRole(c *call) (any, error) {
	id, err := c.assume()
	if err != nil {
		return nil, err
	}
	return []node{credentials(id), el("AssumedRoleUser", val("AssumedRoleId", id.userID), val("Arn", id.arn)),
		opt("SourceIdentity", id.source)}, nil
}

func (c *call) assume() (*identity, error) {
	in, err := c.readAssume()
	if err != nil {
		return nil, err
	}
	o := c.org
	r := o.roleByARN(in.arn)
	if r == nil {
		return nil, o.refuseAssume(c, nil, in, "")
	}
	mfa, err := c.readMFA()
	if err != nil {
		return nil, err
	}
	if why := o.trusts(c, r, in, mfa); why != "" {
		return nil, o.refuseAssume(c, r, in, why)
	}
	if in.duration > r.maxSession && c.form.Get("DurationSeconds") != "" {
		return nil, fail("ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
	}
	if c.who.role != nil && in.duration > time.Hour {
		return nil, fail("ValidationError", "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.")
	}
	id := &identity{kind: kindAssumedRole, account: r.account, arn: r.sessionARN(in.session), userID: r.id + ":" + in.session, name: in.session,
		role: r, source: in.source, mfa: mfa, lenient: o.cfg.LenientRoleKeys}
	if in.policy != nil {
		id.narrowed = []*iam.Document{in.policy}
	}
	o.issue(id, c.at, in.duration)
	o.recordAssume(c, r, in, id, nil)
	return id, nil
}

func credentials(id *identity) node {
	return el("Credentials", val("AccessKeyId", id.accessKey), val("SecretAccessKey", id.secret),
		val("SessionToken", id.token), val("Expiration", stamp(id.expires)))
}

func (o *Organization) refuseAssume(c *call, r *role, in assumeInput, why string) error {
	err := fail("AccessDenied", "User: %s is not authorized to perform: sts:AssumeRole on resource: %s", c.who.arn, in.arn).status(403)
	if why != "" {
		err.Message += " " + why
	}
	o.recordAssume(c, r, in, nil, err)
	return err
}

func (o *Organization) roleByARN(arn string) *role {
	parts := splitARN(arn)
	if parts == nil || o.accounts[parts[4]] == nil {
		return nil
	}
	r := o.accounts[parts[4]].roles[arn[strings.LastIndexByte(arn, '/')+1:]]
	if r == nil || r.arn != arn {
		return nil
	}
	return r
}

// splitARN gives the six parts of an ARN; nil where it is none.
func splitARN(arn string) []string {
	if parts := strings.SplitN(arn, ":", 6); len(parts) == 6 && parts[0] == "arn" {
		return parts
	}
	return nil
}

// trusts is empty where the caller may assume the role. Across accounts both sides must allow; within one it is enough that
// the trust policy names the caller itself.
func (o *Organization) trusts(c *call, r *role, in assumeInput, mfa bool) string {
	ctx := o.requestContext(c)
	ctx.Set("sts:RoleSessionName", in.session)
	if in.source != "" {
		ctx.Set("sts:SourceIdentity", in.source)
	}
	if id := c.form.Get("ExternalId"); id != "" {
		ctx.Set("sts:ExternalId", id)
	}
	if mfa {
		ctx.Set("aws:MultiFactorAuthPresent", "true")
		ctx.Set("aws:MultiFactorAuthAge", "1")
	}
	req := iam.Request{Action: "sts:AssumeRole", Resource: r.arn, Context: ctx, Principal: c.who.principal()}
	trust := r.trustDoc(c.at, o.cfg.IAMLag)
	d := iam.DecideResource(req, trust)
	if !d.Allowed {
		return d.Why
	}
	if c.who.user != nil && c.who.user.admin {
		return ""
	}
	layers := o.layers(c.who)
	own := iam.Decide(req, layers...)
	switch {
	case own.Allowed:
		return ""
	case own.Explicit || d.Delegated || c.who.account != r.account:
		return own.Why
	case c.who.role == nil || len(layers) == 1:
		return ""
	}
	// Where the trust names a role, and not this one session of it, its boundary and session policies must allow too.
	req.Principal.ARNs = []string{c.who.arn}
	if d = iam.DecideResource(req, trust); d.Allowed && !d.Delegated {
		return ""
	}
	limits := iam.Decide(req, layers[1:]...)
	return map[bool]string{false: limits.Why}[limits.Allowed]
}

func (id *identity) principal() iam.Principal {
	p := iam.Principal{ARNs: []string{id.arn}, Account: id.account}
	if id.role != nil {
		p.ARNs = append(p.ARNs, id.role.arn)
	}
	return p
}

// readMFA accepts any six digits for the caller's own device but 000000, which stands for a wrong code.
func (c *call) readMFA() (bool, error) {
	serial, code := c.form.Get("SerialNumber"), c.form.Get("TokenCode")
	if serial == "" && code == "" {
		return c.who.mfa, nil
	}
	u := c.who.user
	if u == nil || u.mfa == "" || u.mfa != serial || len(code) != 6 || !only(code, "0123456789") || code == "000000" {
		return false, fail("AccessDenied", "MultiFactorAuthentication failed with invalid MFA one time pass code.").status(403)
	}
	return true, nil
}

func getSessionToken(c *call) (any, error) {
	if c.who.user == nil {
		return nil, fail("AccessDenied", "Cannot call GetSessionToken with session credentials").status(403)
	}
	mfa, err := c.readMFA()
	if err != nil {
		return nil, err
	}
	seconds, _ := strconv.Atoi(c.form.Get("DurationSeconds"))
	if seconds == 0 {
		seconds = 43200
	}
	if seconds < 900 || seconds > 129600 {
		return nil, stsInvalid("durationSeconds", strconv.Itoa(seconds), "Member must have value between 900 and 129600")
	}
	id := *c.who
	id.mfa = mfa
	c.org.issue(&id, c.at, time.Duration(seconds)*time.Second)
	return []node{credentials(&id)}, nil
}
