// Whether a caller may: the policies that hold for it at this moment, the global condition keys of its request, and the
// refusal in the words of the service asked. Every call passes here, those of the bot included, though its own user is
// allowed everything until SetBotPolicy gives it a policy to live by.

package awstwin

import (
	"fmt"
	"maps"
	"strconv"
	"time"

	"breakglass/deploy/sandbox/awstwin/iam"
)

// action is the IAM action of a call.
func (c *call) action() string {
	if op := c.svc.ops[c.op]; op != nil && op.actionOf != nil {
		return op.actionOf(c)
	} else if op != nil && op.action != "" {
		return op.action
	}
	return c.svc.prefix + ":" + c.op
}

// authorise decides whether the caller may, for every resource that the action needs.
func (o *Organization) authorise(c *call, op *operation) error {
	if c.svc.home && c.region != o.cfg.Region && c.op != "ListInstances" {
		return o.denied(c, "*", "because IAM Identity Center has no instance in "+c.region)
	}
	if op.anyone || c.who.kind == kindPortal || (c.who.user != nil && c.who.user.admin) {
		return nil
	}
	resources := []string{"*"}
	if op.resources != nil {
		resources = op.resources(c)
	}
	ctx := o.requestContext(c)
	if op.context != nil {
		extra := map[string]string{}
		op.context(c, extra)
		for k, v := range extra {
			ctx.Set(k, v)
		}
	}
	for _, res := range resources {
		d := iam.Decide(iam.Request{Action: c.action(), Resource: res, Context: ctx}, o.layers(c.who)...)
		if !d.Allowed {
			return o.denied(c, res, d.Why)
		}
	}
	return nil
}

// also asks for a further permission that a call needs, as iam:PassRole.
func (c *call) also(action string, resources func(*call) []string, context func(*call, map[string]string)) error {
	op := &operation{action: action, resources: resources, context: context}
	svc := *c.svc
	svc.ops = map[string]*operation{c.op: op}
	again := *c
	again.svc = &svc
	return c.org.authorise(&again, op)
}

func (o *Organization) layers(who *identity) []iam.Layer {
	docs, boundary, bounded := o.documents(who)
	layers := []iam.Layer{{Kind: iam.Identity, Documents: docs}}
	if bounded {
		layers = append(layers, iam.Layer{Kind: iam.Boundary, Documents: boundary})
	}
	if len(who.narrowed) > 0 {
		layers = append(layers, iam.Layer{Kind: iam.Session, Documents: who.narrowed})
	}
	// Service control policies do not bear on the management account.
	if a := o.accounts[who.account]; len(a.scp) > 0 && a.id != o.cfg.ManagementAccount {
		l := iam.Layer{Kind: iam.Service, Documents: []*iam.Document{awsManaged("AdministratorAccess")}}
		for _, p := range a.scp {
			l.Documents = append(l.Documents, p.doc)
		}
		layers = append(layers, l)
	}
	return layers
}

// denied is the refusal in the form and words of the service's protocol.
func (o *Organization) denied(c *call, resource, why string) *Error {
	text := fmt.Sprintf("User: %s is not authorized to perform: %s on resource: %s %s", c.who.arn, c.action(), resource, why)
	switch c.svc.proto {
	case protoEC2:
		return fail("UnauthorizedOperation", "You are not authorized to perform this operation. %s", text).status(403)
	case protoQuery, protoS3, protoInternal:
		return fail("AccessDenied", "%s", text).status(403)
	case protoREST:
		return fail("AccessDeniedException", "%s", text).status(403)
	}
	return fail("AccessDeniedException", "%s", text)
}

// requestContext holds the global condition keys of a call. Keys that AWS leaves out for a kind of caller are left out here:
// aws:TokenIssueTime and aws:MultiFactorAuthPresent with long-term keys, aws:username with roles.
func (o *Organization) requestContext(c *call) iam.Context {
	who, ctx := c.who, iam.Context{}
	ctx.Set("aws:CurrentTime", c.at.UTC().Format(time.RFC3339))
	ctx.Set("aws:EpochTime", strconv.FormatInt(c.at.Unix(), 10))
	ctx.Set("aws:SecureTransport", "true") // the loopback stands for TLS
	ctx.Set("aws:RequestedRegion", c.region)
	ctx.Set("aws:SourceIp", c.ip)
	ctx.Set("aws:UserAgent", c.ua)
	ctx.Set("aws:PrincipalAccount", who.account)
	ctx.Set("aws:PrincipalOrgID", o.orgID)
	ctx.Set("aws:userid", who.userID)
	ctx.Set("aws:PrincipalArn", who.arn)
	ctx.Set("aws:PrincipalType", "User")
	if who.user != nil {
		ctx.Set("aws:username", who.name)
	}
	if who.role != nil {
		ctx.Set("aws:PrincipalArn", who.role.arn)
		ctx.Set("aws:PrincipalType", "AssumedRole")
	}
	if who.temporary() {
		ctx.Set("aws:TokenIssueTime", who.issued.UTC().Format(time.RFC3339))
		ctx.Set("aws:MultiFactorAuthPresent", strconv.FormatBool(who.mfa))
	}
	if who.source != "" {
		ctx.Set("aws:SourceIdentity", who.source)
	}
	if who.person != "" {
		ctx.Set("identitystore:userId", who.person)
		ctx.Set("identitystore:IdentityStoreArn", o.storeARN())
		ctx.Set("saml:sub", who.name)
	}
	return ctx
}

func (o *Organization) storeARN() string {
	return "arn:aws:identitystore::" + o.cfg.ManagementAccount + ":identitystore/" + o.instance.store
}

// SetBotPolicy gives the bot's own user these policies (name to JSON) in place of being allowed everything, so that a
// least-privilege policy can be tried. nil gives everything back.
func (o *Organization) SetBotPolicy(policies map[string]string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.settle(o.cfg.Now())
	u := o.keys[o.cfg.BotAccessKey].user
	u.admin, u.inline = policies == nil, map[string]*namedPolicy{}
	for name := range maps.Keys(policies) {
		u.inline[name] = mustPolicy(name, policies[name])
	}
}

// SetSCP puts service control policies on an account, beside FullAWSAccess, which stays. They do not bear on the management account.
func (o *Organization) SetSCP(accountID string, policies ...string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.settle(o.cfg.Now())
	a := o.must(accountID)
	a.scp = nil
	for _, text := range policies {
		a.scp = append(a.scp, mustPolicy("service control policy", text))
	}
}
