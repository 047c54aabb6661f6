package aws

import (
	"strings"

	"breakglass/store"
)

// ByHand is the AWS CLI's command that removes an assignment, ready to paste, from what is remembered: when it is needed AWS may not answer. It is ""
// where the instance or the permission set has not been seen yet. Source: AWS CLI reference, sso-admin delete-account-assignment.
func (ic *IdentityCenter) ByHand(t store.Tuple) string {
	instance, set := ic.c.instance.known(), ic.sets.known(t.Set)
	if instance == "" || set == "" {
		return ""
	}
	words := []string{
		"aws sso-admin delete-account-assignment", "--region", quoted(ic.c.cfg.Region), "--instance-arn", quoted(instance),
		"--permission-set-arn", quoted(set), "--target-type AWS_ACCOUNT", "--target-id", quoted(t.Account),
		"--principal-type USER", "--principal-id", quoted(t.UserID),
	}
	return strings.Join(words, " ")
}

// ByHand is the AWS CLI's command that removes a membership, which it looks up first: the id is in no record. Source: AWS CLI reference, identitystore
// get-group-membership-id and delete-group-membership.
func (m *Memberships) ByHand(t store.Tuple) string {
	identityStore, group := m.c.instance.knownStore(), m.groups.remembered(t.Group)
	if identityStore == "" || group == "" {
		return ""
	}
	where := " --region " + quoted(m.c.cfg.Region) + " --identity-store-id " + quoted(identityStore)
	return "aws identitystore delete-group-membership" + where + ` --membership-id "$(aws identitystore get-group-membership-id` + where +
		" --group-id " + quoted(group) + " --member-id UserId=" + quoted(t.UserID) + ` --query MembershipId --output text)"`
}

// ByHand is the AWS CLI's command that refuses everything to the sessions of one request, whose name they bear (aws:userid ends in it), in a role that
// others may be in. Roles are an account's own, so it first makes sure of the account. Source: AWS CLI reference, iam put-role-policy.
func (handled) ByHand(t store.Tuple) string {
	deny := `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringLike":{"aws:userid":"*:` + string(t.Request) + `"}}}]}`
	if t.Request == "" {
		return "" // it would refuse everybody
	}
	return `[ "$(aws sts get-caller-identity --query Account --output text)" = ` + quoted(t.Account) + " ] && aws iam put-role-policy --role-name " +
		quoted(roleName(t.Role)) + " --policy-name " + quoted("breakglass-by-hand-"+string(t.Request)) + " --policy-document " + quoted(deny)
}

// roleName is a role's name without its path, as IAM's calls and STS's ARNs have it.
func roleName(role string) string { return role[strings.LastIndexByte(role, '/')+1:] }

// quoted is a word of a POSIX shell, whatever is in it.
func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// known is the instance's ARN if it was looked up already and nobody looks it up at this moment. It waits for nobody.
func (in *instance) known() string {
	if f := in.peek(); f.arn != "" {
		return f.arn
	}
	return in.wanted
}

// knownStore is the same for its identity store.
func (in *instance) knownStore() string { return in.peek().store }

func (in *instance) peek() found {
	select {
	case in.turn <- struct{}{}:
		defer in.turn.leave()
	default:
		return found{}
	}
	select {
	case f := <-in.found:
		in.found <- f
		return f
	default:
		return found{}
	}
}

// known is the ARN of a permission set if its name was seen already.
func (s *setNames) known(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byName[name]
}

// remembered is the id of a group if its name was looked up already, however long ago.
func (g *groupIDs) remembered(name string) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.known[name].id
}
