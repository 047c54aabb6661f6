package aws

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	identity "github.com/aws/aws-sdk-go-v2/service/identitystore/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"breakglass/store"
)

// AWS's error codes that are read here. They are part of the services' models; the texts beside them are not.
const (
	codeNotFound = "ResourceNotFoundException"
	codeConflict = "ConflictException"
	codeQuota    = "ServiceQuotaExceededException"
)

// refusals are the codes of answers that trying again will not change. Everything else is a fault that may pass: throttling, a 5xx, a
// lost connection, and credentials that are about to be rotated too.
var refusals = map[string]bool{
	"AccessDeniedException": true,
	"AccessDenied":          true, // STS and other query protocols
	"UnauthorizedOperation": true,
	"ValidationException":   true,
	"ValidationError":       true, // the same in query protocols
	codeNotFound:            true,
	codeQuota:               true,
}

// code is AWS's error code, "" where AWS did not answer.
func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

// missing says whether AWS answered that something it was asked about does not exist.
func missing(err error) bool { return code(err) == codeNotFound }

// explain turns an error into what callers tell apart: a *store.Refusal where trying again will not help, and a wrapped error, to be
// tried again, in every other case. doing says what was being done.
func explain(doing string, err error) error {
	if err == nil {
		return nil
	}
	var api smithy.APIError
	if errors.As(err, &api) && refusals[api.ErrorCode()] {
		return fmt.Errorf("%s: %w", doing, &store.Refusal{Code: api.ErrorCode(), Message: clean(api.ErrorMessage(), 500)})
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// timeoutError is an attempt that was given up. Whether AWS acted is not known.
type timeoutError struct {
	op    string
	after time.Duration
	err   error
}

func (e *timeoutError) Error() string {
	return fmt.Sprintf("AWS did not answer %s within %s", e.op, e.after)
}
func (e *timeoutError) Unwrap() error { return e.err }
func (e *timeoutError) Timeout() bool { return true }

var throttles = retry.ThrottleErrorCode{Codes: retry.DefaultThrottleErrorCodes}

// outcomeOf sorts an answer into the few classes that are counted and repeated by.
func outcomeOf(err error) string {
	var late *timeoutError
	var answer *smithyhttp.ResponseError
	switch c := code(err); {
	case err == nil:
		return "ok"
	case c == codeConflict:
		return "conflict"
	case throttles.IsErrorThrottle(err).Bool():
		return "throttled"
	case c == codeNotFound:
		return "missing"
	case refusals[c]:
		return "refused"
	case errors.As(err, &late), errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case errors.Is(err, context.Canceled):
		return "cancelled"
	case errors.As(err, &answer) && answer.HTTPStatusCode() >= 400 && answer.HTTPStatusCode() < 500:
		return "rejected" // our credentials, mostly: it may pass, but not at once
	}
	return "fault"
}

// retryAfter is how long a throttling answer asks us to wait; a second where it does not say.
func retryAfter(err error) time.Duration {
	var t *identity.ThrottlingException
	if errors.As(err, &t) && t.RetryAfterSeconds > 0 {
		return time.Duration(t.RetryAfterSeconds) * time.Second
	}
	return time.Second
}

// goneReason says whether the FailureReason of a deletion means that there was nothing to delete.
//
// This is the one place where a text decides. Identity Center has two ways of answering the deletion of an assignment that does not
// exist: ResourceNotFoundException at once, or acceptance and then FAILED with nothing but this sentence ("Received a 404
// status error: EntitlementItem doesn't exist with the given entitlement key"). No code comes with it (API reference of
// AccountAssignmentOperationStatus). Reading it wrongly does no harm: the caller lists the assignments either way.
func goneReason(reason string) bool {
	return strings.Contains(reason, "EntitlementItem doesn't exist")
}

// clean makes a text from AWS fit to be stored and shown: no control characters, at most n bytes.
func clean(s string, n int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || (r >= 0x80 && r < 0xa0) || r == 0x2028 || r == 0x2029 || (r >= 0x202a && r <= 0x202e) || (r >= 0x2066 && r <= 0x2069) {
			return ' '
		}
		return r
	}, s)
	if len(s) <= n {
		return s
	}
	cut := n - len("…")
	for cut > 0 && s[cut]&0xc0 == 0x80 {
		cut--
	}
	return s[:cut] + "…"
}
