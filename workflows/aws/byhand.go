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

// quoted is a word of a POSIX shell, whatever is in it.
func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// known is the instance's ARN if it was looked up already and nobody looks it up at this moment. It waits for nobody.
func (in *instance) known() string {
	select {
	case in.turn <- struct{}{}:
		defer in.turn.leave()
	default:
		return in.wanted
	}
	select {
	case f := <-in.found:
		in.found <- f
		return f.arn
	default:
		return in.wanted
	}
}

// known is the ARN of a permission set if its name was seen already.
func (s *setNames) known(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byName[name]
}
