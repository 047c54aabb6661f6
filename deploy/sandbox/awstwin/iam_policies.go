// Customer managed policies. They are the one place in which a live session of a permission set can be cut off: the roles
// of Identity Center cannot be edited, but a policy they refer to can, in the member account and without provisioning.

package awstwin

import (
	"fmt"
	"net/url"
	"slices"
	"sort"
	"strings"
	"time"
)

// Limits of IAM on policies (IAM and AWS STS quotas). White space does not count.
const (
	managedPolicySize = 6144
	policyVersions    = 5
	trustPolicySize   = 2048
	roleInlineSize    = 10240
)

// managedPolicy is a customer managed policy with its versions, the oldest first.
type managedPolicy struct {
	arn, name, path, id string
	created, updated    time.Time
	versions            []*policyVersion
	def                 int // number of the default version
	next                int
	history             timeline // of default versions
}

func (p *managedPolicy) makeDefault(v *policyVersion, now time.Time) {
	p.def, p.updated = v.n, now
	p.history.write(now, v.policy)
}

type policyVersion struct {
	n       int
	policy  *namedPolicy
	created time.Time
}

func (p *managedPolicy) current() *namedPolicy {
	return p.version(p.def).policy
}

func (p *managedPolicy) version(n int) *policyVersion {
	for _, v := range p.versions {
		if v.n == n {
			return v
		}
	}
	return nil
}

func (p *managedPolicy) add(policy *namedPolicy, now time.Time, makeDefault bool) *policyVersion {
	p.next++
	v := &policyVersion{n: p.next, policy: policy, created: now}
	p.versions = append(p.versions, v)
	if makeDefault || p.def == 0 {
		p.makeDefault(v, now)
	}
	return v
}

// SetPolicy makes a customer managed policy in an account, or gives the one that is there this document as its only
// version. The name may carry a path. It returns the ARN.
func (o *Organization) SetPolicy(accountID, name, document string) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.settle(o.cfg.Now())
	ref := splitPath(name)
	p := o.must(accountID).policies[ref.arn(accountID)]
	if p == nil {
		p = o.newPolicy(accountID, ref)
	}
	p.versions = nil
	p.add(mustPolicy(ref.Name, document), o.cfg.Now(), true)
	o.changed()
	return p.arn
}

// Policy is the default version of a customer managed policy, as JSON; empty where there is none of that name.
func (o *Organization) Policy(accountID, name string) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.settle(o.cfg.Now())
	if p := o.must(accountID).policies[splitPath(name).arn(accountID)]; p != nil {
		return p.current().text
	}
	return ""
}

// Policies are the names of an account's customer managed policies, with their paths where they have one, sorted.
func (o *Organization) Policies(accountID string) []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.settle(o.cfg.Now())
	var names []string
	for _, p := range o.must(accountID).policies {
		names = append(names, strings.TrimPrefix(p.path+p.name, "/"))
	}
	slices.Sort(names)
	return names
}

func (o *Organization) newPolicy(accountID string, ref customerRef) *managedPolicy {
	now := o.cfg.Now()
	p := &managedPolicy{arn: ref.arn(accountID), name: ref.Name, path: ref.Path, id: o.unique("ANPA"), created: now, updated: now}
	o.must(accountID).policies[p.arn] = p
	return p
}

// iamDocument reads a policy document from the form, within a limit.
func (c *call) iamDocument(name string, limit int, quota string) (*namedPolicy, error) {
	text := c.form.Get("PolicyDocument")
	if n := dense(text); n > limit {
		return nil, fail("LimitExceeded", "Cannot exceed quota for %s: %d", quota, limit).status(409)
	}
	p, err := parsePolicy(name, text)
	if err == nil {
		err = p.doc.CheckIdentity()
	}
	if err != nil {
		return nil, fail("MalformedPolicyDocument", "%v", err)
	}
	return p, nil
}

func noEntity(format string, args ...any) *Error {
	return fail("NoSuchEntity", format, args...).status(404)
}

func createPolicy(c *call) (any, error) {
	name, path := c.form.Get("PolicyName"), c.form.Get("Path")
	if path == "" {
		path = "/"
	}
	const chars = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+=,.@-"
	if len(name) > 128 || !only(name, chars) {
		return nil, stsInvalid("policyName", name, `Member must satisfy regular expression pattern: [\w+=,.@-]+`)
	}
	ref := customerRef{Name: name, Path: path}
	if c.account().policies[ref.arn(c.who.account)] != nil {
		return nil, fail("EntityAlreadyExists", "A policy called %s already exists. Duplicate names are not allowed.", name).status(409)
	}
	doc, err := c.iamDocument(name, managedPolicySize, "PolicySize")
	if err != nil {
		return nil, err
	}
	p := c.org.newPolicy(c.who.account, ref)
	p.add(doc, c.at, true)
	return []node{c.account().node(p, "Policy")}, nil
}

// attachments counts the roles and users that have a policy attached; a boundary is not an attachment.
func (a *account) attachments(arn string) int {
	n := 0
	for _, r := range a.roles {
		if slices.Contains(r.attached, arn) {
			n++
		}
	}
	for _, u := range a.users {
		if slices.Contains(u.attached, arn) {
			n++
		}
	}
	return n
}

func (a *account) node(p *managedPolicy, name string) node {
	return el(name, val("PolicyName", p.name), val("PolicyId", p.id), val("Arn", p.arn), val("Path", p.path),
		val("DefaultVersionId", fmt.Sprintf("v%d", p.def)), val("AttachmentCount", a.attachments(p.arn)), val("IsAttachable", true),
		val("CreateDate", stamp(p.created)), val("UpdateDate", stamp(p.updated)))
}

func (c *call) policy() (*managedPolicy, error) {
	arn := c.form.Get("PolicyArn")
	if p := c.account().policies[arn]; p != nil {
		return p, nil
	}
	return nil, noEntity("Policy %s was not found.", arn)
}

func getPolicy(c *call) (any, error) {
	p, err := c.policy()
	if err != nil {
		return nil, err
	}
	return []node{c.account().node(p, "Policy")}, nil
}

func listPolicies(c *call) (any, error) {
	var all []*managedPolicy
	if c.form.Get("Scope") != "AWS" {
		for _, p := range c.account().policies {
			if strings.HasPrefix(p.path, c.form.Get("PathPrefix")) {
				all = append(all, p)
			}
		}
	}
	all, tail, err := iamPage(c, all, func(p *managedPolicy) string { return p.arn })
	if err != nil {
		return nil, err
	}
	return append([]node{list("Policies", "member", all, func(p *managedPolicy) []node { return c.account().node(p, "").kids })}, tail...), nil
}

// iamPage cuts a page as IAM does it: MaxItems and Marker, 100 by default, 1,000 at most.
func iamPage[T any](c *call, all []T, key func(T) string) ([]T, []node, error) {
	size := 100
	if s := c.form.Get("MaxItems"); s != "" {
		if _, err := fmt.Sscan(s, &size); err != nil || size < 1 || size > 1000 {
			return nil, nil, stsInvalid("maxItems", s, "Member must have value between 1 and 1000")
		}
	}
	all, next, err := page(all, key, paging{MaxResults: size, NextToken: c.form.Get("Marker")}, 1000, c.op,
		func() *Error { return fail("ValidationError", "Invalid Marker") })
	if err != nil {
		return nil, nil, err
	}
	return all, []node{val("IsTruncated", next != ""), opt("Marker", next)}, nil
}

// createPolicyVersion: five versions at most; the oldest has to be deleted first.
func createPolicyVersion(c *call) (any, error) {
	p, err := c.policy()
	if err != nil {
		return nil, err
	}
	doc, err := c.iamDocument(p.name, managedPolicySize, "PolicySize")
	if err != nil {
		return nil, err
	}
	if len(p.versions) >= policyVersions {
		return nil, fail("LimitExceeded", "A managed policy can have up to %d versions. Before you create a new version, you must delete an existing version.",
			policyVersions).status(409)
	}
	v := p.add(doc, c.at, c.form.Get("SetAsDefault") == "true")
	return []node{el("PolicyVersion", p.versionNodes(v, false)...)}, nil
}

func (p *managedPolicy) versionNodes(v *policyVersion, withDocument bool) []node {
	n := []node{val("VersionId", fmt.Sprintf("v%d", v.n)), val("IsDefaultVersion", v.n == p.def), val("CreateDate", stamp(v.created))}
	if withDocument {
		n = append(n, val("Document", escaped(v.policy.text)))
	}
	return n
}

// escaped is a document as IAM returns it: URL-encoded by RFC 3986.
func escaped(text string) string { return strings.ReplaceAll(url.QueryEscape(text), "+", "%20") }

func (c *call) policyVersion() (*managedPolicy, *policyVersion, error) {
	p, err := c.policy()
	if err != nil {
		return nil, nil, err
	}
	id := c.form.Get("VersionId")
	for _, v := range p.versions {
		if fmt.Sprintf("v%d", v.n) == id {
			return p, v, nil
		}
	}
	return nil, nil, noEntity("Policy %s version %s does not exist or is not attachable.", p.arn, id)
}

func getPolicyVersion(c *call) (any, error) {
	p, v, err := c.policyVersion()
	if err != nil {
		return nil, err
	}
	return []node{el("PolicyVersion", p.versionNodes(v, true)...)}, nil
}

func listPolicyVersions(c *call) (any, error) {
	p, err := c.policy()
	if err != nil {
		return nil, err
	}
	all := append([]*policyVersion(nil), p.versions...)
	sort.Slice(all, func(i, j int) bool { return all[i].n > all[j].n })
	all, tail, err := iamPage(c, all, func(v *policyVersion) string { return fmt.Sprintf("%08d", 1<<20-v.n) })
	if err != nil {
		return nil, err
	}
	return append([]node{list("Versions", "member", all, func(v *policyVersion) []node { return p.versionNodes(v, false) })}, tail...), nil
}

func deletePolicyVersion(c *call) (any, error) {
	p, v, err := c.policyVersion()
	if err != nil {
		return nil, err
	}
	if v.n == p.def {
		return nil, fail("DeleteConflict", "Cannot delete the default version of a policy.").status(409)
	}
	for i, x := range p.versions {
		if x == v {
			p.versions = append(p.versions[:i:i], p.versions[i+1:]...)
		}
	}
	return nil, nil
}

func setDefaultPolicyVersion(c *call) (any, error) {
	p, v, err := c.policyVersion()
	if err != nil {
		return nil, err
	}
	p.makeDefault(v, c.at)
	return nil, nil
}

// deletePolicy refuses what is still attached or has other versions than the default.
func deletePolicy(c *call) (any, error) {
	p, err := c.policy()
	if err != nil {
		return nil, err
	}
	if len(p.versions) > 1 {
		return nil, fail("DeleteConflict", "This policy has more than one version. Before you delete a policy, you must delete the policy's versions.").status(409)
	}
	for _, r := range c.account().roles {
		for _, arn := range append([]string{r.boundary}, r.attached...) {
			if arn == p.arn {
				return nil, fail("DeleteConflict", "Cannot delete a policy attached to entities.").status(409)
			}
		}
	}
	delete(c.account().policies, p.arn)
	return nil, nil
}
