package tracker

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"breakglass/store"
)

// The codes of refusals.
const (
	CodeNoTicket     = "NoTicket"     // there is no such ticket, or the account may not see it
	CodeNoTracker    = "NoTracker"    // nothing at this address speaks the tracker's language
	CodeUnauthorized = "Unauthorized" // the credentials are not accepted, or there are none
	CodeForbidden    = "Forbidden"    // the account may not do this
	CodeBadRequest   = "BadRequest"   // the tracker does not take what it was sent
	CodeFull         = "Full"         // the ticket has as many comments as it may have
	CodeBadMark      = "BadMark"      // the mark cannot be written into a query
	CodeNoText       = "NoText"       // nothing was left of the text
)

// longest is the longest time that a tracker is left alone because it says so. ServiceNow counts by the hour (Inbound REST API rate limiting); what is
// longer is a mistake, and asking once an hour is polite.
const longest = time.Hour

// Busy is a tracker that takes nothing at the moment.
type Busy struct {
	After time.Duration // from now; 0 where it does not say. At most an hour
	Err   error
}

func (b *Busy) Error() string {
	if b.After == 0 {
		return "busy: " + b.Err.Error()
	}
	return fmt.Sprintf("busy for %s: %v", b.After.Round(time.Second), b.Err)
}

func (b *Busy) Unwrap() error { return b.Err }

// fault is an answer with a status that is no success.
type fault struct {
	status int
	said   string // the tracker's own words, without the secret
	json   bool   // so it was the tracker that spoke, not something in front of it
	after  time.Duration
	asked  bool // Retry-After was there
	nobody bool // the credentials were not accepted, and the answer is one for strangers
}

func (f *fault) Error() string {
	s := strconv.Itoa(f.status)
	if text := http.StatusText(f.status); text != "" {
		s += " " + text
	}
	if f.said != "" {
		s += ": " + f.said
	}
	return s
}

// has reports whether err is an answer with one of these statuses.
func has(err error, status ...int) bool {
	var f *fault
	return errors.As(err, &f) && slices.Contains(status, f.status)
}

// explain tells the refusals from what may pass. Statuses are those of Jira Cloud REST v3 (Add comment, Get comments, Get issue; 413 is the limit of
// comments in one issue) and of ServiceNow's Table API; 5xx with a Retry-After is Atlassian's too (Rate limiting).
func (t *Tracker) explain(key string, err error) error {
	var f *fault
	if !errors.As(err, &f) {
		return err
	}
	refuse := func(code, message string) error {
		if f.said != "" {
			message += " It says: " + f.said
		}
		return &store.Refusal{By: t.name(), Code: code, Message: message}
	}
	switch {
	case f.status == http.StatusTooManyRequests, f.status == http.StatusServiceUnavailable, f.status >= 500 && f.asked:
		return &Busy{After: f.after, Err: err}
	case f.status == http.StatusUnauthorized, f.nobody:
		return refuse(CodeUnauthorized, t.String()+" does not accept the credentials. "+t.howToLogIn())
	case f.status == http.StatusForbidden:
		return refuse(CodeForbidden, fmt.Sprintf("The account may not do this with %s in %s. %s", key, t, t.whatItNeeds()))
	case f.status == http.StatusNotFound && f.json:
		return refuse(CodeNoTicket, fmt.Sprintf("There is no ticket %s in %s, or the account may not see it.", key, t))
	case f.status == http.StatusNotFound:
		return refuse(CodeNoTracker, fmt.Sprintf("No %s answers at %s. Check tracker.url in the policy.", t.name(), t.base.Host))
	case f.status == http.StatusBadRequest:
		return refuse(CodeBadRequest, fmt.Sprintf("%s does not take this for %s.", t, key))
	case f.status == http.StatusRequestEntityTooLarge && t.kind == Jira:
		return refuse(CodeFull, fmt.Sprintf("%s has as many comments as %s allows. Remove some, or name another ticket.", key, t))
	}
	return err
}

func (t *Tracker) howToLogIn() string {
	if t.kind == ServiceNow {
		return "They must be USER:PASSWORD of an active account with web service access, or an OAuth token that has not expired."
	}
	return "They must be EMAIL:TOKEN of an active account, with a token that has not expired; a token with scopes is taken only at " +
		"https://api.atlassian.com/ex/jira/CLOUD-ID (tracker.url)."
}

func (t *Tracker) whatItNeeds() string {
	if t.kind == ServiceNow {
		return "It needs to read and write the task table (role itil, or rights to work_notes)."
	}
	return "It needs Browse projects and Add comments in that project; a token with scopes needs read:jira-work and write:jira-work."
}

// said is what an answer says in the forms in which the two speak: errorMessages and errors (Jira Cloud REST v3, Status codes), error with message and
// detail (ServiceNow, Table API). An answer that is no JSON was not the tracker's, and is not repeated.
func said(body []byte) (text string, isJSON bool) {
	if !json.Valid(body) {
		return "", false
	}
	var a struct {
		ErrorMessages []string          `json:"errorMessages"`
		Errors        map[string]string `json:"errors"`
		Message       string            `json:"message"`
		Error         struct {
			Message string `json:"message"`
			Detail  string `json:"detail"`
		} `json:"error"`
	}
	_ = json.Unmarshal(body, &a) // what is of another form stays empty
	parts := a.ErrorMessages
	for _, field := range slices.Sorted(maps.Keys(a.Errors)) {
		parts = append(parts, field+": "+a.Errors[field])
	}
	parts = append(parts, a.Message, a.Error.Message, a.Error.Detail)
	parts = slices.DeleteFunc(parts, func(s string) bool { return strings.TrimSpace(s) == "" })
	return strings.Join(parts, "; "), true
}

// retryAfter reads a Retry-After header: seconds, or a date (RFC 9110, section 10.2.3).
func retryAfter(h http.Header, now time.Time) (after time.Duration, asked bool) {
	v := strings.TrimSpace(h.Get("Retry-After"))
	if v == "" {
		return 0, false
	}
	if n, err := strconv.ParseFloat(v, 64); err == nil {
		if n >= longest.Seconds() {
			return longest, true
		}
		if n > 0 { // and no NaN
			after = time.Duration(n * float64(time.Second))
		}
		return after, true
	}
	if at, err := http.ParseTime(v); err == nil {
		return min(max(at.Sub(now), 0), longest), true
	}
	return 0, true
}
