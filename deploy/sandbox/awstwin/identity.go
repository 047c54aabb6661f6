// Who is calling. The access key alone tells, as it does in CloudTrail; temporary keys need their token as well, and both
// end with their expiration, not with the assignment through which they were got.

package awstwin

import (
	"net/http"
	"strings"
	"time"

	"breakglass/deploy/sandbox/awstwin/iam"
)

type identityKind string

const (
	kindIAMUser     identityKind = "IAMUser"
	kindAssumedRole identityKind = "AssumedRole"
	kindPortal      identityKind = "IdentityCenterUser" // a person in the access portal: a bearer token, no keys
	kindService     identityKind = "AWSService"         // EventBridge Scheduler, Identity Center itself
)

// identity is who a key belongs to: an IAM user's long-term key, or a session of a role.
type identity struct {
	kind      identityKind
	account   string
	arn       string // arn:aws:iam::…:user/… or arn:aws:sts::…:assumed-role/<role>/<session>
	userID    string // AIDA… or AROA…:<session>
	name      string // user name or session name: what LookupEvents calls Username
	user      *iamUser
	role      *role
	person    string // Identity Center user id of a permission set's session
	source    string // sts:SourceIdentity
	issued    time.Time
	expires   time.Time // zero: a long-term key
	lenient   bool      // expires, but is not held to it (Config.LenientRoleKeys)
	mfa       bool
	narrowed  []*iam.Document
	accessKey string
	secret    string
	token     string
}

// temporary says whether the keys came from STS.
func (id *identity) temporary() bool { return id.token != "" }

// issue makes a set of temporary keys for an identity.
func (o *Organization) issue(id *identity, now time.Time, lifetime time.Duration) *identity {
	id.accessKey, id.secret = o.unique("ASIA"), o.lower(40)
	id.token = "FwoGZXIvYXdzE" + o.lower(80)
	id.issued, id.expires = now.UTC().Truncate(time.Second), now.Add(lifetime).UTC().Truncate(time.Second)
	o.keys[id.accessKey] = id
	return id
}

// authenticate finds the caller by the key id. Unknown, unsigned, expired: the error that the service's protocol has for it.
func (o *Organization) authenticate(c *call, cred credential) (*identity, *Error) {
	if c.svc.open {
		return o.portalCaller(c)
	}
	if cred.key == "" {
		return nil, missingToken(c)
	}
	id := o.keys[cred.key]
	if id == nil || id.token != cred.token || (id.user != nil && !id.user.active(cred.key)) {
		return nil, unknownKey(c)
	}
	if !id.expires.IsZero() && !id.lenient && !c.at.Before(id.expires) {
		return nil, expiredKey(c)
	}
	if id.role != nil && id.role.deleted && o.cfg.DeletedRoleEndsSessions {
		return nil, unknownKey(c)
	}
	if id.user != nil {
		id.user.noteUse(c, cred.key)
	}
	return id, nil
}

func missingToken(c *call) *Error {
	switch c.svc.proto {
	case protoQuery:
		return fail("MissingAuthenticationToken", "Request is missing Authentication Token").status(403)
	case protoEC2:
		return fail("MissingParameter", "The request must contain the parameter AWSAccessKeyId")
	case protoS3:
		return fail("AccessDenied", "Access Denied").status(403)
	case protoREST:
		return fail("MissingAuthenticationTokenException", "Missing Authentication Token").status(403)
	}
	return fail("MissingAuthenticationTokenException", "Missing Authentication Token")
}

func unknownKey(c *call) *Error {
	const text = "The security token included in the request is invalid."
	switch c.svc.proto {
	case protoQuery:
		return fail("InvalidClientTokenId", text).status(403)
	case protoEC2:
		return fail("AuthFailure", "AWS was not able to validate the provided access credentials").status(401)
	case protoS3:
		return fail("InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.").status(403)
	case protoREST:
		return fail("UnrecognizedClientException", text).status(403)
	}
	return fail("UnrecognizedClientException", text)
}

func expiredKey(c *call) *Error {
	const text = "The security token included in the request is expired"
	switch c.svc.proto {
	case protoQuery:
		return fail("ExpiredToken", text).status(403)
	case protoEC2:
		return fail("RequestExpired", "Request has expired.")
	case protoS3:
		return fail("ExpiredToken", "The provided token has expired.")
	case protoREST:
		return fail("ExpiredTokenException", text).status(403)
	}
	return fail("ExpiredTokenException", text)
}

// portalCaller takes the bearer token of the access portal in place of a signature.
func (o *Organization) portalCaller(c *call) (*identity, *Error) {
	p := o.portals[bearer(c.req)]
	if p == nil || !c.at.Before(p.expires) {
		return nil, fail("UnauthorizedException", "Session token not found or invalid").status(http.StatusUnauthorized)
	}
	u := o.dir.users[p.user]
	if u == nil || u.Disabled {
		return nil, fail("UnauthorizedException", "Session token not found or invalid").status(http.StatusUnauthorized)
	}
	return &identity{kind: kindPortal, account: o.cfg.ManagementAccount, person: p.user, name: u.UserName, accessKey: p.id}, nil
}

func bearer(r *http.Request) string {
	if r == nil {
		return ""
	}
	if t := r.Header.Get("X-Amz-Sso_bearer_token"); t != "" {
		return t
	}
	return strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
}
