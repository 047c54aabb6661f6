// People at work. A session is what the access portal gave: keys that any client can use, with the policies of the moment
// deciding on each call.

package awstwin

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"sort"
	"strings"
	"time"

	"breakglass/deploy/sandbox/awstwin/iam"
)

// Session is a person's session of a permission set, or of a role, in an account. Its keys work over HTTP with any AWS client too. It
// lives for the set's session duration, also when the assignment is gone: that is how AWS has it.
type Session struct {
	AccessKeyID, SecretAccessKey, SessionToken string
	Expires                                    time.Time
	UserID, AccountID, PermissionSet, RoleARN  string // the first and third are those of Identity Center, empty where a role was assumed

	org *Organization
	id  *identity
	ip  string
	ua  string
}

// Action is one thing that a session does.
type Action struct {
	Service  string         // ec2, s3, logs, rds, dynamodb, iam, ssm, …; one the twin does not have is decided and recorded all the same
	Name     string         // StopInstances
	Region   string         // empty: the home Region of Identity Center
	Params   map[string]any // the API's input, as {"InstanceIds": []string{"i-1"}}
	Resource string         // ARN for the decision, where the twin cannot tell it from Params; empty: "*"
	ReadOnly bool           // for actions that the twin does not have and whose name does not tell (Get, List, Describe do)
}

// SignIn signs a person in to the access portal and takes the credentials of a permission set (a name or an ARN) in an
// account, as the console link does: ForbiddenException without an assignment of their own or of a group.
func (o *Organization) SignIn(userID, accountID, set string) (*Session, error) {
	return o.signIn(userID, accountID, set, "Federate")
}

// SignInCLI is SignIn as "aws sso login" does it: GetRoleCredentials in the trail in place of Federate.
func (o *Organization) SignInCLI(userID, accountID, set string) (*Session, error) {
	return o.signIn(userID, accountID, set, "GetRoleCredentials")
}

func (o *Organization) signIn(userID, accountID, set, how string) (*Session, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := o.cfg.Now()
	o.settle(now)
	p, err := o.portalSignIn(userID, now)
	if err != nil {
		return nil, err
	}
	name := set
	if s := o.findSet(set); s != nil {
		name = s.name
	}
	c := &call{org: o, ctx: context.Background(), at: now, svc: o.services["sso"], op: how, region: o.cfg.Region, id: o.uuid(), ip: "203.0.113.10",
		ua: "Mozilla/5.0", who: &identity{kind: kindPortal, account: o.cfg.ManagementAccount, person: userID, accessKey: p.id}}
	if how == "GetRoleCredentials" {
		c.ua = "aws-cli/2.31.0 md/awscrt#0.27.6 ua/2.1 os/macos#24.6.0"
	} else {
		o.recordPortal(c, "Authenticate", nil, nil)
	}
	id, err := o.takeCredentials(c, how, accountID, name)
	if err != nil {
		return nil, err
	}
	if how == "Federate" {
		o.recordConsoleLogin(c, id)
	}
	o.changed()
	s := o.sessionOf(id, c)
	s.PermissionSet = name
	return s, nil
}

// recordConsoleLogin writes the console's own event into the member account.
func (o *Organization) recordConsoleLogin(c *call, id *identity) {
	o.write(&event{at: c.at.UTC().Truncate(time.Second), who: id, account: id.account, region: o.cfg.Region, source: "signin.amazonaws.com", name: "ConsoleLogin",
		kind: "AwsConsoleSignIn", ip: c.ip, ua: c.ua, requestID: o.uuid(), response: encoded(map[string]any{"ConsoleLogin": "Success"})})
}

// Do does one thing with the session: decided by the policies as they are now, recorded in CloudTrail, done where the twin
// has the operation. The error is an *Error, as the API would give it.
func (s *Session) Do(ctx context.Context, a Action) error {
	_, err := s.Ask(ctx, a)
	return err
}

// Ask is Do with the answer: what the operation returned, as JSON for the JSON services, nil for the others.
func (s *Session) Ask(ctx context.Context, a Action) (json.RawMessage, error) {
	o := s.org
	o.mu.Lock()
	defer o.mu.Unlock()
	c := &call{org: o, ctx: ctx, at: o.cfg.Now(), region: a.Region, id: o.uuid(), ip: s.ip, ua: s.ua, vars: map[string]string{}, headers: nil, waited: true}
	if c.region == "" {
		c.region = o.cfg.Region
	}
	o.settle(c.at)
	o.aim(c, a)
	id, aerr := o.authenticate(c, credential{key: s.AccessKeyID, token: s.SessionToken})
	if aerr != nil {
		return nil, aerr
	}
	c.who = id
	out, err := o.perform(c)
	o.changed()
	if err != nil {
		return nil, asError(err)
	}
	return jsonOf(out), nil
}

// RefusedBy is the name of the policy that denies the session everything at this moment, and of the statement, where it has one; empty
// where none does. Nothing is recorded.
func (s *Session) RefusedBy() (policy, sid string) {
	o := s.org
	o.mu.Lock()
	defer o.mu.Unlock()
	at := o.cfg.Now()
	o.settle(at)
	// An action of no service: what denies it denies all of them.
	c := &call{org: o, at: at, who: s.id, svc: &service{prefix: "sandbox"}, op: "Anything", region: o.cfg.Region, ip: s.ip, ua: s.ua}
	d := iam.Decide(iam.Request{Action: c.action(), Resource: "*", Context: o.requestContext(c)}, o.layers(s.id)...)
	if !d.Explicit {
		return "", ""
	}
	return d.Policy, d.Sid
}

func jsonOf(out any) json.RawMessage {
	switch out.(type) {
	case nil, []node, node, raw:
		return nil
	}
	return encoded(out)
}

// aim points a call at the operation of an action, or at a stand-in for one that the twin does not have.
func (o *Organization) aim(c *call, a Action) {
	c.op = a.Name
	c.body = encoded(a.Params)
	if a.Params == nil {
		c.body = []byte("{}")
	}
	svc := o.services[a.Service]
	if svc != nil && svc.ops[a.Name] != nil && (svc.proto == protoJSON || isQuery(svc.proto)) {
		c.svc = svc
		if isQuery(svc.proto) {
			c.form = flat(a.Params, svc.proto)
		}
		return
	}
	standIn := &operation{read: a.ReadOnly || readsByName(a.Name), run: func(*call) (any, error) { return nil, nil },
		resources: func(*call) []string {
			if a.Resource != "" {
				return []string{a.Resource}
			}
			return []string{"*"}
		}}
	c.svc = &service{name: a.Service, source: a.Service + ".amazonaws.com", prefix: a.Service, proto: protoInternal, global: isGlobal(a.Service),
		ops: map[string]*operation{a.Name: standIn}}
	if svc != nil {
		c.svc.source, c.svc.prefix = svc.source, svc.prefix
	}
	if svc != nil && svc.ops[a.Name] != nil {
		standIn.read, standIn.data, standIn.action = svc.ops[a.Name].read, svc.ops[a.Name].data, svc.ops[a.Name].action
	}
	if a.Resource != "" {
		c.trail.resources = []trailResource{{"", a.Resource}}
	}
}

func isGlobal(service string) bool {
	return service == "iam" || service == "route53" || service == "cloudfront" || service == "organizations"
}

func readsByName(name string) bool {
	for _, p := range []string{"Get", "List", "Describe", "Lookup", "Search", "Head", "BatchGet", "Query", "Scan"} {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}

// flat writes an input as a form: lists as Name.member.1, or as EC2 has them, InstanceId.1 for InstanceIds.
func flat(params map[string]any, proto protocol) url.Values {
	form := url.Values{}
	keys := make([]string, 0, len(params))
	for k := range params {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	for _, k := range keys {
		var list []any
		if json.Unmarshal(encoded(params[k]), &list) != nil {
			form.Set(k, fmt.Sprint(params[k]))
			continue
		}
		for i, v := range list {
			name := fmt.Sprintf("%s.member.%d", k, i+1)
			if proto == protoEC2 {
				name = fmt.Sprintf("%s.%d", strings.TrimSuffix(k, "s"), i+1)
			}
			form.Set(name, fmt.Sprint(v))
		}
	}
	return form
}
