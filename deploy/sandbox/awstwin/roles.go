// Roles, and the roles of permission sets: made with the first assignment in an account, with a suffix and a unique id that
// are new each time, and gone with the last.

package awstwin

import (
	"slices"
	"strings"
	"time"

	"breakglass/deploy/sandbox/awstwin/iam"
)

// role is an IAM role. Sessions keep pointing to it when it is deleted, since they live on.
type role struct {
	name, path, arn, id, account string
	trust                        *namedPolicy
	trusts                       timeline // of trust, once it was changed
	inline                       map[string]*namedPolicy
	past                         map[string]*timeline // of inline, by name, once they were changed
	attached                     []string             // ARNs of managed policies, AWS's and the account's own
	boundary                     string               // ARN, or ""
	boundaryDoc                  *namedPolicy
	maxSession                   time.Duration
	created                      time.Time
	set                          string // ARN of the permission set for AWSReservedSSO_ roles
	setVersion                   int
	deleted                      bool
	seq                          uint64 // in the order of creation, to list
}

func (r *role) reserved() bool { return r.set != "" }

// sessionARN is the STS form of a session's ARN; it has no path, whatever the role's.
func (r *role) sessionARN(session string) string {
	return "arn:aws:sts::" + r.account + ":assumed-role/" + r.name + "/" + session
}

// SetRole makes a role in an account, or replaces one: its trust policy and its inline policies by name (JSON). Sessions
// may last an hour; see SetRoleMaxSession. Malformed JSON panics: it is a mistake of the test's author.
func (o *Organization) SetRole(accountID, name, trust string, policies map[string]string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.settle(o.cfg.Now())
	a := o.must(accountID)
	r := a.roles[name]
	if r == nil {
		r = o.newRole(a, name, "/")
	}
	r.trust, r.trusts = mustPolicy("trust policy of "+name, trust), nil
	r.inline, r.past = map[string]*namedPolicy{}, nil
	for n, text := range policies {
		r.inline[n] = mustPolicy(n, text)
	}
	o.changed()
}

// SetRoleMaxSession sets how long sessions of a role may last (1 h to 12 h).
func (o *Organization) SetRoleMaxSession(accountID, name string, d time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.settle(o.cfg.Now())
	if r := o.must(accountID).roles[name]; r != nil {
		r.maxSession = d
	}
}

// SetRoleBoundary gives a role a customer managed policy of its account (by name, which may carry a path) as its permissions boundary.
func (o *Organization) SetRoleBoundary(accountID, name, policy string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.settle(o.cfg.Now())
	if r := o.must(accountID).roles[name]; r != nil {
		r.boundary = splitPath(policy).arn(accountID)
	}
}

func (o *Organization) newRole(a *account, name, path string) *role {
	o.seq++
	r := &role{name: name, path: path, arn: "arn:aws:iam::" + a.id + ":role" + path + name, id: o.unique("AROA"), account: a.id,
		inline: map[string]*namedPolicy{}, maxSession: time.Hour, created: o.moment(), seq: o.seq}
	a.roles[name] = r
	return r
}

// Roles are the names of an account's roles, sorted.
func (o *Organization) Roles(accountID string) []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.settle(o.cfg.Now())
	var names []string
	if a := o.accounts[accountID]; a != nil {
		for n := range a.roles {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	return names
}

// RolePolicy is an inline policy of a role as it was last written, as JSON; empty where there is none.
func (o *Organization) RolePolicy(accountID, role, policy string) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.settle(o.cfg.Now())
	if r := o.must(accountID).roles[role]; r != nil && r.inline[policy] != nil {
		return r.inline[policy].text
	}
	return ""
}

// RoleTrust is the trust policy of a role as it was last written, as JSON; empty where there is no such role.
func (o *Organization) RoleTrust(accountID, role string) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.settle(o.cfg.Now())
	if r := o.must(accountID).roles[role]; r != nil {
		return r.trust.text
	}
	return ""
}

// reservedRole is the role of a permission set in an account; nil where nobody has it assigned.
func (o *Organization) reservedRole(tg target) *role {
	for _, r := range o.accounts[tg.account].roles {
		if r.set == tg.set {
			return r
		}
	}
	return nil
}

// provision makes the role of a permission set in an account, or brings it up to the set as it is now. A role made anew has
// another suffix and another unique id ("Referencing permission sets", Identity Center user guide).
func (o *Organization) provision(tg target) {
	a, s := o.accounts[tg.account], o.sets[tg.set]
	r := o.reservedRole(tg)
	if r == nil {
		r = o.newRole(a, "AWSReservedSSO_"+s.name+"_"+o.hex(16), "/aws-reserved/sso.amazonaws.com/"+o.homePath())
		r.set = s.arn
		saml := "arn:aws:iam::" + a.id + ":saml-provider/AWSSSO_" + digest(o.instance.id) + "_DO_NOT_DELETE"
		r.trust = mustPolicy("trust", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Federated":"`+saml+
			`"},"Action":["sts:AssumeRoleWithSAML","sts:TagSession"],"Condition":{"StringEquals":{"SAML:aud":"https://signin.aws.amazon.com/saml"}}}]}`)
		o.recordProvision(a, "CreateRole", r)
	} else if r.setVersion == s.version {
		return
	}
	r.setVersion, r.maxSession = s.version, s.duration
	r.inline, r.boundaryDoc = map[string]*namedPolicy{}, s.boundary
	if s.inline != nil {
		r.inline["AwsSSOInlinePolicy"] = s.inline
	}
	r.attached = append([]string(nil), s.managed...)
	for _, ref := range s.customer {
		r.attached = append(r.attached, ref.arn(a.id))
	}
}

// homePath is the part of a reserved role's path that names the Region; us-east-1 has none.
func (o *Organization) homePath() string {
	if o.cfg.Region == "us-east-1" {
		return ""
	}
	return o.cfg.Region + "/"
}

func (o *Organization) unprovision(tg target) {
	r := o.reservedRole(tg)
	if r == nil {
		return
	}
	r.deleted = true
	delete(o.accounts[tg.account].roles, r.name)
	o.recordProvision(o.accounts[tg.account], "DeleteRole", r)
}

// documents are the identity policies and the boundary that hold for a caller at this moment. They are looked up at each
// call: a new version of a managed policy works on live sessions at once, as it does in AWS within seconds.
func (o *Organization) documents(who *identity) (identity, boundary []*iam.Document, bounded bool) {
	switch {
	case who.role != nil:
		r := who.role
		identity = append(r.inlineDocs(o.moment(), o.cfg.IAMLag), o.attachedDocs(r.account, r.attached)...)
		if r.boundary != "" {
			return identity, o.attachedDocs(r.account, []string{r.boundary}), true
		}
		if r.boundaryDoc != nil {
			return identity, []*iam.Document{r.boundaryDoc.doc}, true
		}
	case who.user != nil:
		u := who.user
		for _, p := range u.inline {
			identity = append(identity, p.doc)
		}
		identity = append(identity, o.attachedDocs(who.account, u.attached)...)
	}
	return identity, nil, false
}

func (o *Organization) attachedDocs(accountID string, attached []string) []*iam.Document {
	var docs []*iam.Document
	for _, arn := range attached {
		if p := o.accounts[accountID].policies[arn]; p != nil {
			docs = append(docs, p.history.decides(o.moment(), o.cfg.IAMLag).doc)
		} else if strings.HasPrefix(arn, "arn:aws:iam::aws:policy/") {
			if doc := awsManaged(arn); doc != nil {
				docs = append(docs, doc)
			}
		}
	}
	return docs
}
