package aws

import (
	"context"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"golang.org/x/sync/errgroup"

	"breakglass/store"
)

// mostVersions is how many versions a customer managed policy may have; one must be deleted before the next is made (API reference of
// CreatePolicyVersion).
const mostVersions = 5

// guardBook is what this process knows of the policies it writes: nothing that could not be read again, so that a crash loses nothing.
type guardBook struct {
	mu       sync.Mutex // guards the maps; never held while a call is on its way
	policies map[string]*policy
	fences   map[string]*fenceState // by account
	trusts   map[string]*trust      // by account and role
	quotas   map[string]*quota      // by account
}

func newGuardBook() *guardBook {
	return &guardBook{policies: map[string]*policy{}, fences: map[string]*fenceState{}, trusts: map[string]*trust{}, quotas: map[string]*quota{}}
}

// policy is a customer managed policy, or an inline policy of a role, that is written whole each time.
type policy struct {
	account, name string
	role          string // of an inline policy
	arn           string // of the managed policy, or the role
	turn          turn
	writes        atomic.Int64 // begun: a reading without the turn can tell whether one came in between
	// What follows belongs to whoever has the turn.
	document string // what the default version says as we last wrote it; "" where that is not known
	listed   bool   // versions are all there are
	versions []int  // their numbers, the oldest first
	standing int    // the default one
}

// forget is for answers that leave open what AWS did.
func (p *policy) forget() { p.document, p.listed, p.versions = "", false, nil }

// entry is one of these in the book, made at first sight. Policies and accounts are as many as the configuration names, so none is ever dropped.
func entry[T any](b *guardBook, m map[string]T, key string, fresh func() T) T {
	b.mu.Lock()
	defer b.mu.Unlock()
	x, ok := m[key]
	if !ok {
		x = fresh()
		m[key] = x
	}
	return x
}

func (b *guardBook) policy(account, role, name, arn string) *policy {
	return entry(b, b.policies, arn+" "+name, func() *policy {
		return &policy{account: account, role: role, name: name, arn: arn, turn: newTurn()}
	})
}

func (b *guardBook) quota(account string) *quota {
	return entry(b, b.quotas, account, func() *quota { return newQuota("iam", Rate{}, true) })
}

// put makes a document what stands. Where that took the last place for a version, room is made at once, in one more round trip: the write has been
// taken by then, and the next one, which may shut somebody out, is one call again.
func (g *Guards) put(ctx context.Context, p *policy, doc string) error {
	if err := p.turn.take(ctx); err != nil {
		return err
	}
	defer p.turn.leave()
	if p.document == doc {
		return nil
	}
	p.writes.Add(1)
	if err := g.write(ctx, p, doc); err != nil {
		p.forget()
		return g.c.iamRefusal(err, p)
	}
	p.document = doc
	if p.listed && len(p.versions) >= mostVersions {
		ctx, cancel := context.WithTimeout(store.Idly(ctx), tidyPatience)
		defer cancel()
		_ = g.room(ctx, p) // a list that stays full is met by the next write
	}
	return nil
}

// tidyPatience is how long a write that is done waits for the room after it.
const tidyPatience = 3 * time.Second

// keep is how many versions are left when some are deleted: the standing one, and the one before it for people to look at. So one write in three is followed
// by a deletion, if nobody looked ahead.
const keep = 2

// write is the one call, or two more where there is no room for a version. p.turn is held.
func (g *Guards) write(ctx context.Context, p *policy, doc string) error {
	client, quota, err := g.c.iam(ctx, p.account)
	if err != nil {
		return err
	}
	if p.role != "" {
		_, err := steadily(ctx, func() (*iam.PutRolePolicyOutput, error) {
			return call(ctx, g.c, quota, "PutRolePolicy", writing, func(ctx context.Context) (*iam.PutRolePolicyOutput, error) {
				return client.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: &p.role, PolicyName: &p.name, PolicyDocument: &doc})
			})
		})
		return err
	}
	create := func() (*iam.CreatePolicyVersionOutput, error) {
		return call(ctx, g.c, quota, "CreatePolicyVersion", writing, func(ctx context.Context) (*iam.CreatePolicyVersionOutput, error) {
			return client.CreatePolicyVersion(ctx, &iam.CreatePolicyVersionInput{PolicyArn: &p.arn, PolicyDocument: &doc, SetAsDefault: true})
		})
	}
	out, err := steadily(ctx, create)
	if code(err) == codeLimit {
		p.listed = false       // what was known of the versions was wrong
		full := g.room(ctx, p) // some of the deletions may have done: one place is enough
		if out, err = steadily(ctx, create); code(err) == codeLimit && full != nil {
			return full
		}
	}
	if err != nil {
		return err
	}
	if out.PolicyVersion != nil {
		p.standing = number(out.PolicyVersion.VersionId)
		p.versions = append(p.versions, p.standing)
	}
	return nil
}

// tidy makes sure that there is room for two writes: the one that is about to come, and the one that ends it. It is called ahead of them.
func (g *Guards) tidy(ctx context.Context, p *policy) error {
	if err := p.turn.take(ctx); err != nil {
		return err
	}
	defer p.turn.leave()
	if !p.listed {
		if err := g.list(ctx, p); err != nil {
			return err
		}
	}
	if len(p.versions)+2 < mostVersions {
		return nil
	}
	return g.room(ctx, p)
}

// room deletes the oldest versions that do not stand, at the same time. p.turn is held.
func (g *Guards) room(ctx context.Context, p *policy) error {
	if !p.listed {
		if err := g.list(ctx, p); err != nil {
			return err
		}
	}
	client, quota, err := g.c.iam(ctx, p.account)
	if err != nil {
		return err
	}
	old := slices.DeleteFunc(slices.Clone(p.versions), func(v int) bool { return v == p.standing })
	old = old[:max(len(old)-keep+1, 0)]
	p.listed = false // until all of them are known to be gone
	var all errgroup.Group
	for _, v := range old {
		all.Go(func() error {
			_, err := call(ctx, g.c, quota, "DeletePolicyVersion", writing, func(ctx context.Context) (*iam.DeletePolicyVersionOutput, error) {
				return client.DeletePolicyVersion(ctx, &iam.DeletePolicyVersionInput{PolicyArn: &p.arn, VersionId: sdk.String("v" + strconv.Itoa(v))})
			})
			if code(err) == codeNoEntity {
				return nil
			}
			return err
		})
	}
	if err := all.Wait(); err != nil {
		return err
	}
	p.versions = slices.DeleteFunc(p.versions, func(v int) bool { return slices.Contains(old, v) })
	p.listed = true
	return nil
}

// list reads which versions there are. p.turn is held.
func (g *Guards) list(ctx context.Context, p *policy) error {
	client, quota, err := g.c.iam(ctx, p.account)
	if err != nil {
		return err
	}
	out, err := call(ctx, g.c, quota, "ListPolicyVersions", reading, func(ctx context.Context) (*iam.ListPolicyVersionsOutput, error) {
		return client.ListPolicyVersions(ctx, &iam.ListPolicyVersionsInput{PolicyArn: &p.arn})
	})
	if err != nil {
		return err
	}
	before := p.standing
	p.versions = nil
	for _, v := range out.Versions {
		p.versions = append(p.versions, number(v.VersionId))
		if v.IsDefaultVersion {
			p.standing = number(v.VersionId)
		}
	}
	if p.standing != before {
		p.document = "" // somebody else's stands
	}
	slices.Sort(p.versions)
	p.listed = true
	return nil
}

// read is the document that stands, "" for an inline policy that does not exist. Identity Center has nothing to do with it: what the policy says
// is what live sessions meet. p.turn is held.
func (g *Guards) read(ctx context.Context, p *policy) (string, error) {
	client, quota, err := g.c.iam(ctx, p.account)
	if err != nil {
		return "", g.c.iamRefusal(err, p)
	}
	if p.role != "" {
		out, err := call(ctx, g.c, quota, "GetRolePolicy", reading, func(ctx context.Context) (*iam.GetRolePolicyOutput, error) {
			return client.GetRolePolicy(ctx, &iam.GetRolePolicyInput{RoleName: &p.role, PolicyName: &p.name})
		})
		if code(err) == codeNoEntity {
			return "", nil
		}
		if err != nil {
			return "", g.c.iamRefusal(err, p)
		}
		return unescaped(out.PolicyDocument)
	}
	head, err := call(ctx, g.c, quota, "GetPolicy", reading, func(ctx context.Context) (*iam.GetPolicyOutput, error) {
		return client.GetPolicy(ctx, &iam.GetPolicyInput{PolicyArn: &p.arn})
	})
	if err != nil || head.Policy == nil {
		return "", g.c.iamRefusal(err, p)
	}
	out, err := call(ctx, g.c, quota, "GetPolicyVersion", reading, func(ctx context.Context) (*iam.GetPolicyVersionOutput, error) {
		return client.GetPolicyVersion(ctx, &iam.GetPolicyVersionInput{PolicyArn: &p.arn, VersionId: head.Policy.DefaultVersionId})
	})
	if err != nil || out.PolicyVersion == nil {
		return "", g.c.iamRefusal(err, p)
	}
	return unescaped(out.PolicyVersion.Document)
}

// unescaped is a document as it was written: IAM returns them URL-encoded by RFC 3986, in which a plus is a plus.
func unescaped(doc *string) (string, error) { return url.PathUnescape(sdk.ToString(doc)) }

// number of a version: v12 is 12. The numbers of a policy only grow.
func number(id *string) int {
	n, _ := strconv.Atoi(strings.TrimPrefix(sdk.ToString(id), "v"))
	return n
}
