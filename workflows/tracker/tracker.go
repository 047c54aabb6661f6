// Package tracker adds to tickets and looks them up, in Jira Cloud and in ServiceNow, over their REST interfaces: a comment there, a work note
// here. tracker.go says what can be asked, jira.go and servicenow.go how each is asked, call.go is the one way in which a call is made, errors.go
// the one place where refusals are told from faults that may pass, and text.go makes plain text of whatever it is given.
//
// It must not know what the text is about, nor when it is due: no requests, no policy, no Slack. It keeps nothing and tries nothing twice; whether
// a text was added already is asked of the tracker each time, so that an answer that was lost, or a crash, adds nothing twice.
package tracker

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"breakglass/store"
)

// Kind is the make of a tracker, as the policy spells it.
type Kind string

const (
	Jira       Kind = "jira"
	ServiceNow Kind = "servicenow"
)

// Config is what a tracker is made of.
type Config struct {
	Kind Kind
	// URL is the site, as https://forge.atlassian.net or https://forge.service-now.com. A path is kept: tokens of Jira that have scopes are taken at
	// https://api.atlassian.com/ex/jira/CLOUD-ID only (Atlassian, Manage API tokens).
	URL string
	// Secret is asked at each Find and Add, so that it can be changed while the program runs. EMAIL:TOKEN or USER:PASSWORD is sent as Basic, anything
	// without a colon as Bearer.
	Secret func(context.Context) (string, error)
	// HTTP carries the calls. Its redirects and cookies are not used. Default a client of its own.
	HTTP *http.Client
	// Now is the clock against which a Retry-After that is a date is read. Default time.Now.
	Now func() time.Time
}

// Tracker is one tracker. It is safe for concurrent use.
type Tracker struct {
	kind   Kind
	base   *url.URL
	secret func(context.Context) (string, error)
	http   *http.Client
	now    func() time.Time
}

// Ticket is what there is to say of one ticket. Title and Status are the tracker's own words, on one line.
type Ticket struct {
	Key    string // as the tracker spells it; a ticket of Jira that was moved has another than was asked for
	Title  string
	Status string // as "In Progress"
	Link   string // for a browser; empty where the site cannot be told from the URL (api.atlassian.com)
}

// What a key and a mark may be. Both go into addresses and queries.
var (
	keyForm  = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]*-?[0-9]+$`)
	markForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/-]{0,99}$`)
)

// maxKey is the length in bytes of the longest key that is asked for; Jira's project keys end at 10 characters unless an administrator says otherwise.
const maxKey = 100

// New makes a tracker, and asks it nothing. Its errors are faults of the configuration; none repeats the URL where a password may be in it.
func New(cfg Config) (*Tracker, error) {
	if cfg.Kind != Jira && cfg.Kind != ServiceNow {
		return nil, fmt.Errorf("the tracker's kind is %q; known are %s and %s", cfg.Kind, Jira, ServiceNow)
	}
	base, err := url.Parse(cfg.URL)
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Hostname() == "" {
		return nil, errors.New("the tracker's url must be http(s)://HOST")
	}
	if base.User != nil || base.RawQuery != "" || base.Fragment != "" {
		return nil, errors.New("the tracker's url must have no user, query or fragment: the credentials are given apart")
	}
	if cfg.Secret == nil {
		return nil, errors.New("the tracker has no credentials")
	}
	t := &Tracker{kind: cfg.Kind, base: base, secret: cfg.Secret, http: &http.Client{}, now: cfg.Now}
	if cfg.HTTP != nil {
		t.http = &http.Client{Transport: cfg.HTTP.Transport, Timeout: cfg.HTTP.Timeout}
	}
	// No redirect is followed: another host must not see the credentials, and a POST that is redirected becomes a GET, whose answer says nothing of
	// whether anything was added.
	t.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if t.now == nil {
		t.now = time.Now
	}
	return t, nil
}

// String is the tracker for people: "Jira at forge.atlassian.net".
func (t *Tracker) String() string { return t.name() + " at " + t.base.Host }

func (t *Tracker) name() string {
	if t.kind == ServiceNow {
		return "ServiceNow"
	}
	return "Jira"
}

// Find looks a ticket up. A ticket that is not there, or that the account may not see (the trackers do not tell these apart), is a *store.Refusal
// with CodeNoTicket. For the other errors see Add.
func (t *Tracker) Find(ctx context.Context, key string) (Ticket, error) {
	doing := fmt.Sprintf("looking up %s in %s", clean(key, maxKey), t)
	s, err := t.begin(ctx, key)
	if err != nil {
		return Ticket{}, fmt.Errorf("%s: %w", doing, err)
	}
	var found Ticket
	if t.kind == ServiceNow {
		var r record
		r, err = s.record(ctx, key)
		found = r.ticket(t)
	} else {
		found, err = s.issue(ctx, key)
	}
	if err != nil {
		return Ticket{}, fmt.Errorf("%s: %w", doing, t.explain(key, err))
	}
	found.Title, found.Status = clean(found.Title, 500), clean(found.Status, 100)
	return found, nil
}

// Add adds a text to a ticket, once for each mark (as "BG-1042/1": letters, digits, and . _ / -). The text arrives as plain text, cut where the
// tracker would not take all of it, and is for the people who work on the ticket: where Jira is a service desk, its customers are not shown it.
// Calls with the same mark must follow each other; two at the same time may both add.
//
// A *store.Refusal is an answer that trying again will not change, with one of the codes of this package and a Message that says what to do. A
// *Busy says when to come again. Every other error may pass; the text may have been added nevertheless, and the next call with this mark finds out.
func (t *Tracker) Add(ctx context.Context, key, mark, text string) error {
	doing := fmt.Sprintf("adding to %s in %s", clean(key, maxKey), t)
	if !markForm.MatchString(mark) {
		return fmt.Errorf("%s: %w", doing, &store.Refusal{By: t.name(), Code: CodeBadMark, Message: fmt.Sprintf("%q is no mark", clean(mark, 100))})
	}
	if text = plain(text); strings.TrimSpace(text) == "" {
		return fmt.Errorf("%s: %w", doing, &store.Refusal{By: t.name(), Code: CodeNoText, Message: "there is no text to add"})
	}
	s, err := t.begin(ctx, key)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	if t.kind == ServiceNow {
		err = s.note(ctx, key, mark, text)
	} else {
		err = s.comment(ctx, key, mark, text)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", doing, t.explain(key, err))
	}
	return nil
}

// begin checks the key and asks for the credentials.
func (t *Tracker) begin(ctx context.Context, key string) (*asking, error) {
	if len(key) > maxKey || !keyForm.MatchString(key) {
		return nil, &store.Refusal{By: t.name(), Code: CodeNoTicket,
			Message: fmt.Sprintf("%q has not the form of a ticket (as OPS-123 or INC0010001)", clean(key, maxKey))}
	}
	secret, err := t.secret(ctx)
	if err != nil {
		return nil, fmt.Errorf("asking for the credentials: %w", err)
	}
	return t.with(secret)
}

// site is the address that browsers are sent to, without a slash at its end; "" where the URL is that of Atlassian's common entrance, which has no pages.
func (t *Tracker) site() string {
	if t.base.Hostname() == "api.atlassian.com" {
		return ""
	}
	return strings.TrimRight(t.base.String(), "/")
}
