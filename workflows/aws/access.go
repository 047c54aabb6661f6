package aws

import (
	"context"
	"fmt"

	"breakglass/store"
)

// Access gives and takes every kind of grant; each kind is another part's business.
type Access struct {
	sets, groups, roles giver
}

// giver is one kind of grant.
type giver interface {
	Assign(ctx context.Context, g store.Grant) (change string, err error)
	Unassign(ctx context.Context, t store.Tuple) (change string, err error)
	Follow(ctx context.Context, t store.Tuple, change string, removal bool) (p store.Progress, why string, err error)
	Assigned(ctx context.Context, t store.Tuple) (bool, error)
	ByHand(t store.Tuple) string
}

// NewAccess brings the kinds together: permission sets, memberships of groups, and the roles of member accounts, which may be nil: then none can be
// given.
func NewAccess(sets *IdentityCenter, groups *Memberships, roles *Roles) *Access {
	a := &Access{sets: sets, groups: groups}
	if roles != nil {
		a.roles = handled{roles}
	}
	return a
}

// handled adds to the roles the command that takes one away, which needs nothing that they know.
type handled struct{ *Roles }

// part finds whose a tuple is. One that names no kind, or several, is nobody's: to guess could leave the other standing.
func (a *Access) part(t store.Tuple) (giver, error) {
	var part giver
	kinds := 0
	for _, k := range []struct {
		name string
		part giver
	}{{t.Set, a.sets}, {t.Group, a.groups}, {t.Role, a.roles}} {
		if k.name != "" {
			kinds, part = kinds+1, k.part
		}
	}
	if kinds != 1 || part == nil {
		return nil, &store.Refusal{Code: "NoSuchGrant", Message: fmt.Sprintf("a grant names one permission set, one group or one role that can be given here; this one names %d", kinds)}
	}
	return part, nil
}

// Assign asks for the access; see workflows.Assigner.
func (a *Access) Assign(ctx context.Context, g store.Grant) (string, error) {
	p, err := a.part(g.Tuple)
	if err != nil {
		return "", err
	}
	return p.Assign(ctx, g)
}

// Unassign asks for its removal; see workflows.Assigner.
func (a *Access) Unassign(ctx context.Context, t store.Tuple) (string, error) {
	p, err := a.part(t)
	if err != nil {
		return "", err
	}
	return p.Unassign(ctx, t)
}

// Follow asks how a change stands; see workflows.Assigner.
func (a *Access) Follow(ctx context.Context, t store.Tuple, change string, removal bool) (store.Progress, string, error) {
	p, err := a.part(t)
	if err != nil {
		return "", "", err
	}
	return p.Follow(ctx, t, change, removal)
}

// Assigned lists; see workflows.Assigner.
func (a *Access) Assigned(ctx context.Context, t store.Tuple) (bool, error) {
	p, err := a.part(t)
	if err != nil {
		return false, err
	}
	return p.Assigned(ctx, t)
}

// ByHand is the command that takes an access away by hand, "" where it is not known.
func (a *Access) ByHand(t store.Tuple) string {
	p, err := a.part(t)
	if err != nil {
		return ""
	}
	return p.ByHand(t)
}
