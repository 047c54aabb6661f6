// Roles of an account. Those that Identity Center made (AWSReservedSSO_…) can be read and not changed.

package awstwin

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"breakglass/deploy/sandbox/awstwin/iam"
)

// iamService is IAM of the caller's account; it has one endpoint, and its events are in us-east-1.
func iamService() *service {
	ops := map[string]*operation{
		"CreatePolicy":            (&operation{run: createPolicy}).on(newPolicyARN),
		"GetPolicy":               onPolicy(&operation{run: getPolicy, read: true}),
		"ListPolicies":            {run: listPolicies, read: true},
		"CreatePolicyVersion":     onPolicy(&operation{run: createPolicyVersion}),
		"GetPolicyVersion":        onPolicy(&operation{run: getPolicyVersion, read: true}),
		"ListPolicyVersions":      onPolicy(&operation{run: listPolicyVersions, read: true}),
		"DeletePolicyVersion":     onPolicy(&operation{run: deletePolicyVersion}),
		"SetDefaultPolicyVersion": onPolicy(&operation{run: setDefaultPolicyVersion}),
		"DeletePolicy":            onPolicy(&operation{run: deletePolicy}),

		"CreateRole":                    onRole(&operation{run: createRole}),
		"GetRole":                       onRole(&operation{run: getRole, read: true}),
		"ListRoles":                     {run: listRoles, read: true},
		"DeleteRole":                    onRole(&operation{run: deleteRole}),
		"UpdateAssumeRolePolicy":        onRole(&operation{run: updateTrust}),
		"PutRolePolicy":                 onRole(&operation{run: putRolePolicy}),
		"GetRolePolicy":                 onRole(&operation{run: getRolePolicy, read: true}),
		"ListRolePolicies":              onRole(&operation{run: listRolePolicies, read: true}),
		"DeleteRolePolicy":              onRole(&operation{run: deleteRolePolicy}),
		"AttachRolePolicy":              onRole(&operation{run: attachRolePolicy}),
		"DetachRolePolicy":              onRole(&operation{run: detachRolePolicy}),
		"ListAttachedRolePolicies":      onRole(&operation{run: listAttached, read: true}),
		"PutRolePermissionsBoundary":    onRole(&operation{run: putBoundary}),
		"DeleteRolePermissionsBoundary": onRole(&operation{run: deleteBoundary}),
	}
	maps.Copy(ops, iamUserOperations())
	return &service{name: "iam", scope: "iam", source: "iam.amazonaws.com", prefix: "iam", proto: protoQuery, global: true,
		xmlns: "https://iam.amazonaws.com/doc/2010-05-08/", ops: ops}
}

func newPolicyARN(c *call) []string {
	path := c.form.Get("Path")
	if path == "" {
		path = "/"
	}
	return []string{customerRef{Name: c.form.Get("PolicyName"), Path: path}.arn(c.who.account)}
}

func onPolicy(op *operation) *operation {
	return op.on(func(c *call) []string { return []string{c.form.Get("PolicyArn")} })
}

func onRole(op *operation) *operation {
	return op.on(func(c *call) []string {
		if r := c.account().roles[c.form.Get("RoleName")]; r != nil {
			return []string{r.arn}
		}
		return []string{"arn:aws:iam::" + c.who.account + ":role/" + c.form.Get("RoleName")}
	})
}

func (c *call) role() (*role, error) {
	name := c.form.Get("RoleName")
	if r := c.account().roles[name]; r != nil {
		return r, nil
	}
	return nil, noEntity("The role with name %s cannot be found.", name)
}

// ownRole is a role that may be changed: those of permission sets may not, by nobody but Identity Center.
func (c *call) ownRole() (*role, error) {
	r, err := c.role()
	if err != nil {
		return nil, err
	}
	if r.reserved() {
		return nil, fail("UnmodifiableEntity", "Cannot perform the operation on the protected role '%s' - this role is only modifiable by AWS", r.name)
	}
	return r, nil
}

func (r *role) nodes() []node {
	n := []node{val("Path", r.path), val("RoleName", r.name), val("RoleId", r.id), val("Arn", r.arn), val("CreateDate", stamp(r.created)),
		val("AssumeRolePolicyDocument", escaped(r.trust.text)), val("MaxSessionDuration", int(r.maxSession.Seconds()))}
	if r.boundary != "" {
		n = append(n, el("PermissionsBoundary", val("PermissionsBoundaryType", "Policy"), val("PermissionsBoundaryArn", r.boundary)))
	}
	return n
}

func (c *call) trust(name, text string) (*namedPolicy, error) {
	if dense(text) > trustPolicySize {
		return nil, fail("LimitExceeded", "Cannot exceed quota for ACLSizePerRole: %d", trustPolicySize).status(409)
	}
	p, err := parsePolicy("trust policy of "+name, text)
	if err == nil {
		err = p.doc.CheckTrust()
	}
	if err != nil {
		return nil, fail("MalformedPolicyDocument", "%v", err)
	}
	if arn := c.org.unknownPrincipal(p.doc); arn != "" {
		return nil, fail("MalformedPolicyDocument", "Invalid principal in policy: \"AWS\":%q", arn)
	}
	return p, nil
}

// unknownPrincipal is a user or role that a trust policy names and that is not there, which IAM refuses; "" where there is none. Of accounts
// that the twin does not have it knows nothing.
func (o *Organization) unknownPrincipal(doc *iam.Document) string {
	for _, s := range doc.Statements {
		for _, arn := range s.Principals.AWS {
			parts := splitARN(arn)
			if parts == nil || parts[2] != "iam" || o.accounts[parts[4]] == nil {
				continue
			}
			kind, _, _ := strings.Cut(parts[5], "/")
			user := o.accounts[parts[4]].users[arn[strings.LastIndexByte(arn, '/')+1:]]
			if kind == "user" && user == nil || kind == "role" && o.roleByARN(arn) == nil {
				return arn
			}
		}
	}
	return ""
}

func createRole(c *call) (any, error) {
	name, path := c.form.Get("RoleName"), c.form.Get("Path")
	if path == "" {
		path = "/"
	}
	if strings.HasPrefix(name, "AWSReservedSSO_") || strings.HasPrefix(path, "/aws-reserved/") {
		return nil, fail("ValidationError", "The name %s is reserved", name)
	}
	if c.account().roles[name] != nil {
		return nil, fail("EntityAlreadyExists", "Role with name %s already exists.", name).status(409)
	}
	trust, err := c.trust(name, c.form.Get("AssumeRolePolicyDocument"))
	if err != nil {
		return nil, err
	}
	seconds := 3600
	if s := c.form.Get("MaxSessionDuration"); s != "" {
		if seconds, err = strconv.Atoi(s); err != nil || seconds < 3600 || seconds > 43200 {
			return nil, stsInvalid("maxSessionDuration", s, "Member must have value between 3600 and 43200")
		}
	}
	r := c.org.newRole(c.account(), name, path)
	r.trust, r.maxSession, r.boundary = trust, time.Duration(seconds)*time.Second, c.form.Get("PermissionsBoundary")
	return []node{el("Role", r.nodes()...)}, nil
}

func getRole(c *call) (any, error) {
	r, err := c.role()
	if err != nil {
		return nil, err
	}
	return []node{el("Role", r.nodes()...)}, nil
}

func listRoles(c *call) (any, error) {
	var all []*role
	for _, r := range c.account().roles {
		if strings.HasPrefix(r.path, c.form.Get("PathPrefix")) {
			all = append(all, r)
		}
	}
	all, tail, err := iamPage(c, all, func(r *role) string { return r.name })
	if err != nil {
		return nil, err
	}
	return append([]node{list("Roles", "member", all, (*role).nodes)}, tail...), nil
}

func deleteRole(c *call) (any, error) {
	r, err := c.ownRole()
	if err != nil {
		return nil, err
	}
	if len(r.inline)+len(r.attached) > 0 {
		return nil, fail("DeleteConflict", "Cannot delete entity, must detach all policies first.").status(409)
	}
	r.deleted = true
	delete(c.account().roles, r.name)
	return nil, nil
}

func updateTrust(c *call) (any, error) {
	r, err := c.ownRole()
	if err != nil {
		return nil, err
	}
	trust, err := c.trust(r.name, c.form.Get("PolicyDocument"))
	if err != nil {
		return nil, err
	}
	r.putTrust(trust, c.at)
	return nil, nil
}

// putRolePolicy: the inline policies of a role have 10,240 characters together.
func putRolePolicy(c *call) (any, error) {
	r, err := c.ownRole()
	if err != nil {
		return nil, err
	}
	name := c.form.Get("PolicyName")
	p, err := c.iamDocument(name, 1<<20, "")
	if err != nil {
		return nil, err
	}
	total := dense(p.text)
	for n, other := range r.inline {
		if n != name {
			total += dense(other.text)
		}
	}
	if total > roleInlineSize {
		return nil, fail("LimitExceeded", "Maximum policy size of %d bytes exceeded for role %s", roleInlineSize, r.name).status(409)
	}
	r.putInline(name, p, c.at)
	return nil, nil
}

func getRolePolicy(c *call) (any, error) {
	r, err := c.role()
	if err != nil {
		return nil, err
	}
	p := r.inline[c.form.Get("PolicyName")]
	if p == nil {
		return nil, noEntity("The role policy with name %s cannot be found.", c.form.Get("PolicyName"))
	}
	return []node{val("RoleName", r.name), val("PolicyName", c.form.Get("PolicyName")), val("PolicyDocument", escaped(p.text))}, nil
}

func listRolePolicies(c *call) (any, error) {
	r, err := c.role()
	if err != nil {
		return nil, err
	}
	names, tail, err := iamPage(c, slices.Collect(maps.Keys(r.inline)), self)
	if err != nil {
		return nil, err
	}
	n := el("PolicyNames")
	for _, name := range names {
		n.kids = append(n.kids, val("member", name))
	}
	return append([]node{n}, tail...), nil
}

func deleteRolePolicy(c *call) (any, error) {
	r, err := c.ownRole()
	if err != nil {
		return nil, err
	}
	name := c.form.Get("PolicyName")
	if r.inline[name] == nil {
		return nil, noEntity("The role policy with name %s cannot be found.", name)
	}
	r.putInline(name, nil, c.at)
	return nil, nil
}

func attachRolePolicy(c *call) (any, error) {
	r, err := c.ownRole()
	if err != nil {
		return nil, err
	}
	arn := c.form.Get("PolicyArn")
	if c.account().policies[arn] == nil && awsManaged(arn) == nil {
		return nil, noEntity("Policy %s does not exist or is not attachable.", arn)
	}
	if slices.Contains(r.attached, arn) {
		return nil, nil
	}
	if len(r.attached) >= 10 {
		return nil, fail("LimitExceeded", "Cannot exceed quota for PoliciesPerRole: 10").status(409)
	}
	r.attached = append(r.attached, arn)
	return nil, nil
}

func detachRolePolicy(c *call) (any, error) {
	r, err := c.ownRole()
	if err != nil {
		return nil, err
	}
	i := slices.Index(r.attached, c.form.Get("PolicyArn"))
	if i < 0 {
		return nil, noEntity("Policy %s was not found.", c.form.Get("PolicyArn"))
	}
	r.attached = slices.Delete(r.attached, i, i+1)
	return nil, nil
}

func listAttached(c *call) (any, error) {
	r, err := c.role()
	if err != nil {
		return nil, err
	}
	all, tail, err := iamPage(c, slices.Clone(r.attached), self)
	if err != nil {
		return nil, err
	}
	each := func(arn string) []node {
		return []node{val("PolicyName", arn[strings.LastIndexByte(arn, '/')+1:]), val("PolicyArn", arn)}
	}
	return append([]node{list("AttachedPolicies", "member", all, each)}, tail...), nil
}

func putBoundary(c *call) (any, error) {
	r, err := c.ownRole()
	if err != nil {
		return nil, err
	}
	arn := c.form.Get("PermissionsBoundary")
	if c.account().policies[arn] == nil && awsManaged(arn) == nil {
		return nil, noEntity("Policy %s does not exist or is not attachable.", arn)
	}
	r.boundary = arn
	return nil, nil
}

func deleteBoundary(c *call) (any, error) {
	r, err := c.ownRole()
	if err != nil {
		return nil, err
	}
	if r.boundary == "" {
		return nil, noEntity("Role %s does not have a permissions boundary", r.name)
	}
	r.boundary = ""
	return nil, nil
}
