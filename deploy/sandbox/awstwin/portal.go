// The access portal, through which people take credentials. Its events are in the account that owns Identity Center and
// have no user name; the role session it starts leaves AssumeRoleWithSAML in the member account. Nothing but time, account
// and permission set joins the two.

package awstwin

import (
	"net/http"
	"strings"
	"time"
)

// portalSession is a person's sign-in to the access portal. Its id is the credentialId of the portal's events.
type portalSession struct {
	id, user, token string
	expires         time.Time
}

// portalLifetime is the default length of a session of the access portal.
const portalLifetime = 8 * time.Hour

// portalService is the API behind the access portal and "aws sso": a bearer token in place of a signature.
func portalService() *service {
	return &service{
		name: "sso", scope: "awsssoportal", source: "sso.amazonaws.com", prefix: "sso", proto: protoREST, open: true, route: portalRoute,
		ops: map[string]*operation{
			"GetRoleCredentials": {run: getRoleCredentials, read: true, ownTrail: true},
			"ListAccounts":       {run: portalAccounts, read: true, ownTrail: true},
			"ListAccountRoles":   {run: portalRoles, read: true, ownTrail: true},
			"Logout":             {run: portalLogout, ownTrail: true},
		},
	}
}

func portalRoute(c *call) string {
	q := c.req.URL.Query()
	c.vars["roleName"], c.vars["accountId"] = q.Get("role_name"), q.Get("account_id")
	switch strings.TrimSuffix(c.req.URL.Path, "/") {
	case "/federation/credentials":
		return "GetRoleCredentials"
	case "/assignment/accounts":
		return "ListAccounts"
	case "/assignment/roles":
		return "ListAccountRoles"
	case "/logout":
		return "Logout"
	}
	return ""
}

// PortalSignIn signs a person in to the access portal and returns the bearer token that "aws sso" would keep.
func (o *Organization) PortalSignIn(userID string) (string, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.settle(o.cfg.Now())
	p, err := o.portalSignIn(userID, o.cfg.Now())
	if err != nil {
		return "", err
	}
	return p.token, nil
}

func (o *Organization) portalSignIn(userID string, now time.Time) (*portalSession, error) {
	u := o.dir.users[userID]
	if u == nil || u.Disabled {
		return nil, fail("UnauthorizedException", "the user is not there or is disabled").status(http.StatusUnauthorized)
	}
	p := &portalSession{id: o.uuid(), user: userID, token: "portal-" + o.lower(40), expires: now.Add(portalLifetime)}
	o.portals[p.token] = p
	return p, nil
}

// recordPortal writes an event of the portal: in the account that owns the instance, in the home Region, with the
// account and role in serviceEventDetails and requestParameters null.
func (o *Organization) recordPortal(c *call, name string, details map[string]any, err *Error) {
	e := &event{at: c.at.UTC().Truncate(time.Second), who: c.who, account: o.cfg.ManagementAccount, region: o.cfg.Region, source: "sso.amazonaws.com",
		name: name, kind: "AwsServiceEvent", read: true, ip: c.ip, ua: c.ua, requestID: c.id}
	if details != nil {
		e.details = encoded(details)
	}
	if err != nil {
		e.code, e.message = err.Code, err.Message
	}
	o.write(e)
}

func getRoleCredentials(c *call) (any, error) {
	id, err := c.org.takeCredentials(c, "GetRoleCredentials", c.vars["accountId"], c.vars["roleName"])
	if err != nil {
		return nil, err
	}
	return map[string]any{"roleCredentials": map[string]any{"accessKeyId": id.accessKey, "secretAccessKey": id.secret,
		"sessionToken": id.token, "expiration": id.expires.UnixMilli()}}, nil
}

// takeCredentials gives a person the credentials of a permission set, if an assignment of theirs or of a group allows it now.
// It is refused in the portal's own words: ForbiddenException, "No access".
func (o *Organization) takeCredentials(c *call, how, accountID, setName string) (*identity, error) {
	details := map[string]any{"account_id": accountID, "role_name": setName}
	s := o.findSet(setName)
	if s == nil || s.name != setName || o.accounts[accountID] == nil || !o.enters(c.who.person, target{accountID, s.arn}, c.at) {
		err := fail("ForbiddenException", "No access").status(http.StatusForbidden)
		o.recordPortal(c, how, details, err)
		return nil, err
	}
	o.recordPortal(c, how, details, nil)
	return o.samlSession(c, s, accountID), nil
}

// samlSession starts the role session in the member account, with the event that CloudTrail has of it there.
func (o *Organization) samlSession(c *call, s *permissionSet, accountID string) *identity {
	r := o.reservedRole(target{accountID, s.arn})
	name := o.dir.users[c.who.person].UserName
	if len(name) > 64 {
		name = name[:64] // the limit of RoleSessionName
	}
	id := &identity{kind: kindAssumedRole, account: accountID, arn: r.sessionARN(name), userID: r.id + ":" + name, name: name, role: r, person: c.who.person}
	o.issue(id, c.at, r.maxSession)
	saml := "arn:aws:iam::" + accountID + ":saml-provider/AWSSSO_" + digest(o.instance.id) + "_DO_NOT_DELETE"
	o.write(&event{at: c.at.UTC().Truncate(time.Second), account: accountID, region: o.cfg.Region, source: "sts.amazonaws.com", name: "AssumeRoleWithSAML",
		read: true, ip: "sso.amazonaws.com", ua: "sso.amazonaws.com", requestID: o.uuid(),
		who:      &identity{kind: kindAssumedRole, name: name, accessKey: o.unique("ASIA")},
		identity: map[string]any{"type": "SAMLUser", "principalId": digest(saml) + ":" + name, "userName": name, "identityProvider": digest(saml)},
		params: encoded(map[string]any{"roleArn": r.arn, "principalArn": saml, "roleSessionName": name,
			"durationSeconds": int(r.maxSession.Seconds())}),
		// The key in this event is another than the one the session then uses: joining on it finds nothing, as in AWS.
		response: encoded(map[string]any{"credentials": map[string]any{"accessKeyId": o.unique("ASIA"), "expiration": id.expires.Format("Jan 2, 2006, 3:04:05 PM")},
			"assumedRoleUser": map[string]any{"assumedRoleId": id.userID, "arn": id.arn}}),
		resources: []trailResource{{"AWS::IAM::Role", r.arn}, {"AWS::IAM::SAMLProvider", saml}},
	})
	o.changed()
	return id
}

func portalAccounts(c *call) (any, error) {
	c.org.recordPortal(c, "ListAccounts", nil, nil)
	accounts, seen := []any{}, map[string]bool{}
	for _, e := range c.org.access(c.who.person, c.at) {
		if a := c.org.accounts[e.AccountID]; !seen[a.id] {
			seen[a.id] = true
			accounts = append(accounts, map[string]any{"accountId": a.id, "accountName": a.name, "emailAddress": a.email})
		}
	}
	return map[string]any{"accountList": accounts}, nil
}

func portalRoles(c *call) (any, error) {
	c.org.recordPortal(c, "ListAccountRoles", map[string]any{"account_id": c.vars["accountId"]}, nil)
	roles, seen := []any{}, map[string]bool{}
	for _, e := range c.org.access(c.who.person, c.at) {
		if e.AccountID == c.vars["accountId"] && !seen[e.PermissionSet] {
			seen[e.PermissionSet] = true
			roles = append(roles, map[string]any{"roleName": e.PermissionSet, "accountId": e.AccountID})
		}
	}
	return map[string]any{"roleList": roles}, nil
}

// portalLogout ends the portal's session; sessions of roles live on.
func portalLogout(c *call) (any, error) {
	delete(c.org.portals, bearer(c.req))
	return empty{}, nil
}
