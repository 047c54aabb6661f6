// Sessions of roles that people assume: an IAM user by their own key and the code of their MFA device, or a session that goes on to another
// role. The trust policy of the moment decides, and what it refuses is in the trail.

package awstwin

import (
	"context"
	"net/url"
	"strconv"
	"time"
)

// Assume is how a role is asked for.
type Assume struct {
	Role        string        // its name, in the caller's account, or its ARN
	SessionName string        // RoleSessionName
	MFA         bool          // with the serial and a code of the user's device
	Duration    time.Duration // 0: not asked for, which gives an hour
}

// AssumeRole signs in as an IAM user (by its first active key) and assumes a role. The error is an *Error, as STS gives it.
func (o *Organization) AssumeRole(accountID, user string, in Assume) (*Session, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	u := o.must(accountID).users[user]
	if u == nil {
		return nil, fail("InvalidClientTokenId", "The security token included in the request is invalid.").status(403)
	}
	var key string
	for _, k := range u.keys {
		if k.status == "Active" && key == "" {
			key = k.id
		}
	}
	form := url.Values{}
	if in.MFA {
		form.Set("SerialNumber", u.mfa)
		form.Set("TokenCode", "123456")
	}
	return o.assumeAs(credential{key: key}, "203.0.113.20", in, form)
}

// AssumeRole goes on from a session to another role (role chaining): an hour at most, and no longer the session of a permission set.
func (s *Session) AssumeRole(in Assume) (*Session, error) {
	s.org.mu.Lock()
	defer s.org.mu.Unlock()
	return s.org.assumeAs(credential{key: s.AccessKeyID, token: s.SessionToken}, s.ip, in, url.Values{})
}

// assumeAs calls sts:AssumeRole as the owner of a key. Lock held.
func (o *Organization) assumeAs(cred credential, ip string, in Assume, form url.Values) (*Session, error) {
	c := &call{org: o, ctx: context.Background(), at: o.cfg.Now(), svc: o.services["sts"], op: "AssumeRole", region: o.cfg.Region, id: o.uuid(), ip: ip,
		ua: "aws-cli/2.31.0 md/awscrt#0.27.6 ua/2.1 os/macos#24.6.0", form: form, vars: map[string]string{}}
	o.settle(c.at)
	who, aerr := o.authenticate(c, cred)
	if aerr != nil {
		return nil, aerr
	}
	c.who = who
	arn := in.Role
	if splitARN(arn) == nil {
		arn = "arn:aws:iam::" + who.account + ":role/" + in.Role
	}
	form.Set("RoleArn", arn)
	form.Set("RoleSessionName", in.SessionName)
	if in.Duration > 0 {
		form.Set("DurationSeconds", strconv.Itoa(int(in.Duration.Seconds())))
	}
	id, err := c.assume()
	o.changed()
	if err != nil {
		return nil, asError(err)
	}
	id.lenient = false // keys of people always expire
	return o.sessionOf(id, c), nil
}

// sessionOf hands an identity out. Lock held.
func (o *Organization) sessionOf(id *identity, c *call) *Session {
	return &Session{AccessKeyID: id.accessKey, SecretAccessKey: id.secret, SessionToken: id.token, Expires: id.expires, UserID: id.person,
		AccountID: id.account, RoleARN: id.role.arn, org: o, id: id, ip: c.ip, ua: c.ua}
}
