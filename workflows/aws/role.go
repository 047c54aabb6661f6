package aws

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/iam"

	"breakglass/store"
)

// Roles opens the trust of IAM roles to IAM users, for grants of an IAM role. Each request has a statement of its own in the role's trust policy,
// named by its id (roletrust.go); AWS ends it by itself, since it holds only until the end of the session, and the role's guard refuses what was
// taken before. Changes are done when IAM has answered ("IAM JSON policy elements", "AWS global condition context keys", IAM user guide, for the keys).
type Roles struct{ c *Connection }

// Roles returns the roles of all accounts. What is known of them is the Connection's.
func (c *Connection) Roles() *Roles { return &Roles{c} }

// trust is a role's trust policy as this process knows it.
type trust struct {
	turn turn
	// What this process changed a moment ago: a reading made just after a change may not have it yet (IAM is "eventually consistent"), and
	// writing that back would take somebody's access away, or give it back. Belongs to whoever has the turn.
	recent map[store.ID]recently
}

type recently struct {
	at        time.Time       // by the process's clock
	statement json.RawMessage // nil: taken away
}

// settled is after how long a reading is believed.
const settled = 30 * time.Second

// Assign lets the grant's IAM user assume the role, with MFA, in sessions named after the request, until the grant's end. Doing it again brings
// the statement to what the grant says now, so that is also how a session is extended. *store.Refusal: TrustFull, where the policy has no room,
// found before anything is written; MalformedPolicyDocument, where there is no such IAM user.
func (r *Roles) Assign(ctx context.Context, g store.Grant) (string, error) {
	if g.IAMUser == "" || g.Request == "" || g.Until.IsZero() {
		return "", &store.Refusal{Code: "Incomplete", Message: fmt.Sprintf("the grant of the role %s names no IAM user, no request or no end", clean(g.Role, 64))}
	}
	err := r.edit(ctx, g.Tuple, func(t *trustPolicy) error {
		t.set(g.Request, admits(g))
		if n := dense(t.document()); n > trustPolicyLimit {
			return &store.Refusal{Code: "TrustFull", Message: fmt.Sprintf("the trust policy of the role %s in account %s has no room for one more: %s by it now, and IAM "+
				"takes %d characters where %d would be needed. End a session of it that is not needed any more, or wait until one has ended",
				clean(g.Role, 64), g.Account, areIn(len(t.in())-1), trustPolicyLimit, n)}
		}
		return nil
	})
	if code := refusalCode(err); code == codeMalformed {
		err = &store.Refusal{Code: codeMalformed, Message: fmt.Sprintf("IAM does not take %s into the trust policy of the role %s: is there such an IAM user?",
			clean(g.IAMUser, 200), clean(g.Role, 64))}
	}
	return changeOf(g.Request, err), wrap("opening the role's trust", err)
}

// Unassign takes the request's statement away. store.ErrGone where there is none.
func (r *Roles) Unassign(ctx context.Context, t store.Tuple) (string, error) {
	err := r.edit(ctx, t, func(p *trustPolicy) error {
		if !p.set(t.Request, nil) {
			return store.ErrGone
		}
		return nil
	})
	return changeOf(t.Request, err), wrap("closing the role's trust", err)
}

// Follow is at once at the end: a change of IAM is done when it was answered.
func (r *Roles) Follow(context.Context, store.Tuple, string, bool) (store.Progress, string, error) {
	return store.Succeeded, "", nil
}

// Assigned reads whether the request has its statement. One that was altered is an error: it is neither the access that was granted, nor is it gone.
func (r *Roles) Assigned(ctx context.Context, t store.Tuple) (bool, error) {
	p, _, err := r.read(ctx, t)
	if err != nil {
		return false, wrap("reading the role's trust", err)
	}
	said, ok := p.find(t.Request)
	if ok && !said.right(t.Request) {
		return false, fmt.Errorf("the statement %s in the trust policy of the role %s was altered: it does not ask for what it must", sidOf(t.Request), t.Role)
	}
	return ok, nil
}

// changeOf is what a change is called: there is nothing to follow.
func changeOf(id store.ID, err error) string {
	if err != nil {
		return ""
	}
	return "trust-" + string(id)
}

// edit reads the trust policy, changes it and writes it back, one at a time for each role in this process. Terraform or a person who writes in
// the same second can be overwritten, as with any other tool: IAM has no way to write only what was read.
func (r *Roles) edit(ctx context.Context, t store.Tuple, change func(*trustPolicy) error) error {
	st := r.c.guards.trust(t)
	if err := st.turn.take(ctx); err != nil {
		return fmt.Errorf("waiting for another change of the role %s: %w", t.Role, err)
	}
	defer st.turn.leave()
	p, was, err := r.read(ctx, t)
	if err != nil {
		return err
	}
	st.bring(p)
	err = change(p)
	doc := p.document()
	if err != nil && !errors.Is(err, store.ErrGone) || doc == was {
		return err
	}
	if werr := r.write(ctx, t, doc); werr != nil {
		delete(st.recent, t.Request) // nobody knows
		return werr
	}
	st.note(p, t.Request)
	return err
}

// bring makes what was read what it must be by now. st.turn is held.
func (st *trust) bring(p *trustPolicy) {
	for id, change := range st.recent {
		if time.Since(change.at) > settled {
			delete(st.recent, id)
			continue
		}
		p.set(id, change.statement)
	}
}

// note is what was written of a request. st.turn is held.
func (st *trust) note(p *trustPolicy, id store.ID) {
	change := recently{at: time.Now()}
	for _, s := range p.statements {
		if other, _, ok := oursIn(s); ok && other == id {
			change.statement = s
		}
	}
	st.recent[id] = change
}

func (b *guardBook) trust(t store.Tuple) *trust {
	return entry(b, b.trusts, t.Account+" "+t.Role, func() *trust { return &trust{turn: newTurn(), recent: map[store.ID]recently{}} })
}

// read is the trust policy, with its text as it would be written again unchanged.
func (r *Roles) read(ctx context.Context, t store.Tuple) (*trustPolicy, string, error) {
	client, quota, err := r.c.iam(ctx, t.Account)
	var out *iam.GetRoleOutput
	if err == nil {
		out, err = call(ctx, r.c, quota, "GetRole", reading, func(ctx context.Context) (*iam.GetRoleOutput, error) {
			return client.GetRole(ctx, &iam.GetRoleInput{RoleName: &t.Role})
		})
	}
	if err != nil {
		return nil, "", r.refusal(err, t)
	}
	if out.Role == nil {
		return nil, "", fmt.Errorf("AWS answered GetRole without a role")
	}
	doc, err := unescaped(out.Role.AssumeRolePolicyDocument)
	if err != nil {
		return nil, "", err
	}
	p, err := readTrust(doc)
	if err != nil {
		return nil, "", fmt.Errorf("the trust policy of the role %s: %w", t.Role, err)
	}
	return p, p.document(), nil
}

func (r *Roles) write(ctx context.Context, t store.Tuple, doc string) error {
	client, quota, err := r.c.iam(ctx, t.Account)
	if err == nil {
		_, err = steadily(ctx, func() (*iam.UpdateAssumeRolePolicyOutput, error) {
			return call(ctx, r.c, quota, "UpdateAssumeRolePolicy", writing, func(ctx context.Context) (*iam.UpdateAssumeRolePolicyOutput, error) {
				return client.UpdateAssumeRolePolicy(ctx, &iam.UpdateAssumeRolePolicyInput{RoleName: &t.Role, PolicyDocument: &doc})
			})
		})
	}
	return r.refusal(err, t)
}

// refusal is as for guards: the permissions asked for are others.
func (r *Roles) refusal(err error, t store.Tuple) error {
	if code(err) == "AccessDenied" {
		return &store.Refusal{Code: "AccessDenied", Message: fmt.Sprintf("account %s: %s", t.Account,
			inWords(err, "iam:GetRole and iam:UpdateAssumeRolePolicy on the role "+clean(t.Role, 64)))}
	}
	return r.c.iamRefusal(err, &policy{account: t.Account, role: t.Role, name: "the trust policy of the role " + t.Role, arn: t.Role})
}

// refusalCode is the code of a *store.Refusal, "" for anything else.
func refusalCode(err error) string {
	var r *store.Refusal
	if errors.As(err, &r) {
		return r.Code
	}
	return ""
}
