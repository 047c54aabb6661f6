package aws

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/smithy-go"

	"breakglass/store"
)

// IAM's error codes that are read here; see errors.go for the others'.
const (
	codeNoEntity    = "NoSuchEntity"
	codeLimit       = "LimitExceeded"
	codeMalformed   = "MalformedPolicyDocument"
	codeProtected   = "UnmodifiableEntity"
	codeAtOnce      = "ConcurrentModification"
	codeTemporarily = "EntityTemporarilyUnmodifiable"
)

// steadilyFor is how long a change is repeated that IAM did not take because of another of the same thing.
const steadilyFor = 5 * time.Second

// steadily repeats a change that met another's: IAM says so, and has not acted (API reference, common errors of CreatePolicyVersion and
// UpdateAssumeRolePolicy).
func steadily[O any](ctx context.Context, change func() (O, error)) (O, error) {
	begun := time.Now()
	for attempt := 1; ; attempt++ {
		out, err := change()
		wait := backoff(attempt)
		if c := code(err); c != codeAtOnce && c != codeTemporarily || time.Since(begun)+wait > steadilyFor || sleep(ctx, wait) != nil {
			return out, err
		}
	}
}

// iamRefusal turns an error into a *store.Refusal where trying again will not help, in words that say what to do. Everything else may pass.
func (c *Connection) iamRefusal(err error, p *policy) error {
	var already *store.Refusal
	switch {
	case err == nil, errors.As(err, &already):
		return err
	case code(err) == "AccessDenied":
		need := "iam:CreatePolicyVersion, DeletePolicyVersion, ListPolicyVersions, GetPolicy and GetPolicyVersion on " + p.arn
		if p.role != "" {
			need = "iam:PutRolePolicy, GetRolePolicy and DeleteRolePolicy on " + p.arn
		}
		return &store.Refusal{Code: code(err), Message: fmt.Sprintf("account %s: %s", p.account, inWords(err, need))}
	case code(err) == codeNoEntity && p.role != "":
		return &store.Refusal{Code: codeNoEntity, Message: fmt.Sprintf("there is no role %s in account %s: the Terraform for member accounts lays it", clean(p.role, 64), p.account)}
	case code(err) == codeNoEntity:
		return &store.Refusal{Code: codeNoEntity, Message: fmt.Sprintf("there is no policy %s in account %s: the Terraform for member accounts (a StackSet where "+
			"there are many) lays it, once for each permission set", clean(p.name, 128), p.account)}
	case code(err) == codeLimit, code(err) == codeMalformed, code(err) == codeProtected:
		return explainAs(fmt.Sprintf("%s in account %s", clean(p.name, 128), p.account), err)
	}
	return explain(fmt.Sprintf("%s in account %s", clean(p.name, 128), p.account), err)
}

// explainAs is explain for codes that are final in IAM and unknown, or not final, elsewhere.
func explainAs(doing string, err error) error {
	return fmt.Errorf("%s: %w", doing, &store.Refusal{Code: code(err), Message: clean(plainMessage(err), 500)})
}

// plainMessage is AWS's own sentence.
func plainMessage(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorMessage()
	}
	return faultInWords(err)
}
