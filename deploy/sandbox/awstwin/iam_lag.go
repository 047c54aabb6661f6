// IAM is eventually consistent: what was written is read back at once, and bears on requests some seconds later (Config.IAMLag). That
// holds for a new version of a managed policy, for a role's inline policy and for its trust policy alike. What the hand of a test writes
// (SetPolicy, SetRole) replaces a first version at once.

package awstwin

import (
	"time"

	"breakglass/deploy/sandbox/awstwin/iam"
)

// written is a policy as it stood from a time on; nil: there was none.
type written struct {
	at     time.Time
	policy *namedPolicy
}

// timeline is what was written in one place, the oldest first; the first holds from the beginning.
type timeline []written

func (t *timeline) write(at time.Time, p *namedPolicy) { *t = append(*t, written{at, p}) }

// decides is the policy that decides at a time. What is older than that decides nothing any more, and is forgotten.
func (t *timeline) decides(now time.Time, lag time.Duration) *namedPolicy {
	all := *t
	for i := len(all) - 1; i > 0; i-- {
		if !all[i].at.Add(lag).After(now) {
			*t = all[i:]
			return all[i].policy
		}
	}
	return all[0].policy
}

// putInline writes an inline policy of a role, or takes it away (nil).
func (r *role) putInline(name string, p *namedPolicy, at time.Time) {
	if r.past == nil {
		r.past = map[string]*timeline{}
	}
	if r.past[name] == nil {
		r.past[name] = &timeline{{policy: r.inline[name]}}
	}
	r.past[name].write(at, p)
	if r.inline[name] = p; p == nil {
		delete(r.inline, name)
	}
}

// inlineDocs are the inline policies that decide at a time.
func (r *role) inlineDocs(now time.Time, lag time.Duration) (docs []*iam.Document) {
	for name, p := range r.inline {
		if r.past[name] == nil {
			docs = append(docs, p.doc)
		}
	}
	for _, t := range r.past {
		if p := t.decides(now, lag); p != nil {
			docs = append(docs, p.doc)
		}
	}
	return docs
}

func (r *role) putTrust(p *namedPolicy, at time.Time) {
	if len(r.trusts) == 0 {
		r.trusts = timeline{{policy: r.trust}}
	}
	r.trusts.write(at, p)
	r.trust = p
}

// trustDoc is the trust policy that decides at a time.
func (r *role) trustDoc(now time.Time, lag time.Duration) *iam.Document {
	if len(r.trusts) > 0 {
		return r.trusts.decides(now, lag).doc
	}
	return r.trust.doc
}

// SetIAMLag changes how long what is written to IAM takes to bear on requests.
func (o *Organization) SetIAMLag(d time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.settle(o.cfg.Now())
	o.cfg.IAMLag = d
}
