package iam

import (
	"fmt"
	"strings"
)

// Request is what somebody wants to do.
type Request struct {
	Action   string // ec2:StopInstances
	Resource string // an ARN, or "*" where the action has no resource
	Context  Context
	// Principal is matched by resource-based policies only.
	Principal Principal
}

// Principal is the caller, as resource-based policies name callers.
type Principal struct {
	ARNs    []string // a user's ARN, or a session's STS ARN and its role's IAM ARN
	Account string
	Service string // scheduler.amazonaws.com
}

// Layer is one kind of policy. All layers that are present must allow; within a layer one document is enough.
type Layer struct {
	Kind      string // as AWS words it in its refusals: "identity-based policy"
	Documents []*Document
}

// The kinds of layers, in AWS's words.
const (
	Identity = "identity-based policy"
	Boundary = "permissions boundary"
	Session  = "session policy"
	Service  = "service control policy"
	Resource = "resource-based policy"
)

// Decision is the answer, with what made it.
type Decision struct {
	Allowed  bool
	Explicit bool   // refused by a Deny, not by silence
	Why      string // as AWS ends its message: "with an explicit deny in an identity-based policy"
	Policy   string // name of the document that decided
	Sid      string // of the statement that decided
	// Delegated is set where a resource-based policy allowed the caller's account as a whole: then within that account the
	// caller's own policies must allow too.
	Delegated bool
}

// Decide evaluates a request against the layers.
func Decide(r Request, layers ...Layer) Decision {
	for _, l := range layers {
		for _, d := range l.Documents {
			for _, s := range d.Statements {
				if s.Deny && s.matches(r, d, false) {
					return Decision{Explicit: true, Why: fmt.Sprintf("with an explicit deny in %s %s", article(l.Kind), l.Kind), Policy: d.Name, Sid: s.Sid}
				}
			}
		}
	}
	last := Decision{}
	for i, l := range layers {
		d, ok := l.allows(r)
		if !ok {
			return Decision{Why: fmt.Sprintf("because no %s allows the %s action", l.Kind, r.Action)}
		}
		if i == 0 {
			last = d
		}
	}
	return last
}

func article(kind string) string {
	if strings.HasPrefix(kind, "i") {
		return "an"
	}
	return "a"
}

func (l Layer) allows(r Request) (Decision, bool) {
	for _, d := range l.Documents {
		for _, s := range d.Statements {
			if !s.Deny && s.matches(r, d, false) {
				return Decision{Allowed: true, Why: "allowed by " + d.Name, Policy: d.Name, Sid: s.Sid}, true
			}
		}
	}
	return Decision{}, false
}

// DecideResource evaluates a resource-based document, as a role's trust policy, for the request's principal.
func DecideResource(r Request, d *Document) Decision {
	for _, s := range d.Statements {
		if s.Deny && s.matches(r, d, true) {
			return Decision{Explicit: true, Why: "with an explicit deny in a resource-based policy", Policy: d.Name, Sid: s.Sid}
		}
	}
	found := Decision{Why: fmt.Sprintf("because no resource-based policy allows the %s action", r.Action)}
	for _, s := range d.Statements {
		if s.Deny || !s.matches(r, d, true) {
			continue
		}
		direct := s.NotPrincipal || s.Principals.direct(r.Principal)
		if !found.Allowed || direct {
			found = Decision{Allowed: true, Why: "allowed by " + d.Name, Policy: d.Name, Sid: s.Sid, Delegated: !direct}
		}
	}
	return found
}

func (s Statement) matches(r Request, d *Document, principals bool) bool {
	variables := d.Version == "2012-10-17"
	if principals && !s.speaksOf(r.Principal) {
		return false
	}
	if !s.coversAction(r.Action) || !s.coversResource(r, variables) {
		return false
	}
	for _, c := range s.Conditions {
		if !c.holds(r.Context, variables) {
			return false
		}
	}
	return true
}

func (s Statement) coversAction(action string) bool {
	hit := func(p string) bool { return actionLike(p, action) }
	if len(s.NotActions) > 0 {
		return !some(s.NotActions, hit)
	}
	return some(s.Actions, hit)
}

func (s Statement) coversResource(r Request, variables bool) bool {
	hit := func(p string) bool { return p == "*" || arnLike(p, r.Resource, r.Context, variables, false) }
	switch {
	case len(s.NotResources) > 0:
		return !some(s.NotResources, hit)
	case len(s.Resources) == 0:
		return true // a trust policy: the role itself
	}
	return some(s.Resources, hit)
}

func (s Statement) speaksOf(p Principal) bool {
	if s.Principals == nil {
		return false
	}
	hit := s.Principals.direct(p) || s.Principals.byAccount(p)
	return hit != s.NotPrincipal
}

// direct: the statement names the caller itself, or everyone.
func (ps *Principals) direct(p Principal) bool {
	if ps.Everyone {
		return true
	}
	for _, arn := range p.ARNs {
		for _, want := range ps.AWS {
			if want == arn {
				return true
			}
		}
	}
	for _, want := range ps.Service {
		if p.Service != "" && want == p.Service {
			return true
		}
	}
	return false
}

// byAccount: the statement names the caller's account, which leaves it to that account's policies.
func (ps *Principals) byAccount(p Principal) bool {
	for _, want := range ps.AWS {
		if p.Account != "" && (want == p.Account || want == "arn:aws:iam::"+p.Account+":root") {
			return true
		}
	}
	return false
}
