package awstwin

import "fmt"

// Error is an error as an AWS API gives it. Session.Do returns it; over HTTP it takes the shape of the protocol.
type Error struct {
	Code    string // ResourceNotFoundException, AccessDenied, Client.UnauthorizedOperation, …
	Message string
	Status  int            // of HTTP
	Fields  map[string]any // further members of the error's shape, as Reason or ResourceType
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// fail makes an error of status 400, which is what most of AWS's client errors have.
func fail(code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...), Status: 400}
}

func (e *Error) status(n int) *Error { e.Status = n; return e }

func (e *Error) with(key string, value any) *Error {
	if e.Fields == nil {
		e.Fields = map[string]any{}
	}
	e.Fields[key] = value
	return e
}

// invalid words a violated constraint as AWS's front ends do.
func invalid(member, value, constraint string) *Error {
	return fail("ValidationException", "1 validation error detected: Value '%s' at '%s' failed to satisfy constraint: %s", value, member, constraint)
}
