// Package trackertwin is a ticket tracker on loopback, as Jira Cloud or as ServiceNow: for programs that add to tickets over REST, and for what a
// tracker may answer them. It knows nothing of the program it is a twin for.
//
// It speaks as much of Jira Cloud's REST v3 (Get issue, Get comments, Add comment) or of ServiceNow's Table API (task, sys_journal_field) as such
// a program meets. It refuses what they refuse, shows what a person would read (Comments), and tells apart what became more than text (Markup). Faults
// are asked for by FailNext, LoseAnswerNext, HideJournal, LimitComments and AnswerStrangers.
package trackertwin

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The kinds that New takes.
const (
	Jira       = "jira"
	ServiceNow = "servicenow"
)

// maxBody is how many bytes of a request are read.
const maxBody = 4 << 20

// Tracker is a tracker. It is an http.Handler, and safe for concurrent use.
type Tracker struct {
	kind string
	now  func() time.Time
	mux  *http.ServeMux

	mu           sync.Mutex // guards everything below
	tickets      map[string]*ticket
	tokens       map[string]bool // secret -> may write
	next         []failure
	requests     []string
	refused      []string
	hidden       bool
	strangers    bool
	mostComments int
	serial       int
}

// Ticket is a ticket as AddTicket made it.
type Ticket struct{ Key, Title, Status string }

type ticket struct {
	Ticket
	id       string
	comments []comment
}

// comment is a comment of Jira or a work note of ServiceNow.
type comment struct {
	id         string
	at         time.Time
	text       string          // as a person reads it
	markup     []string        // what in it is more than text
	body       json.RawMessage // Jira's document
	properties []property
	raw        string // ServiceNow's value, as it was sent
}

type property struct {
	Key   string          `json:"key"`
	Value json.RawMessage `json:"value"`
}

// failure is what the next requests like pattern meet: a status, or a lost answer.
type failure struct {
	pattern string
	status  int
	after   time.Duration
	left    int
}

// New is a tracker without tickets that lets nobody in. A kind that is neither Jira nor ServiceNow is a mistake of the test and panics.
func New(kind string, now func() time.Time) *Tracker {
	t := &Tracker{kind: kind, now: now, mux: http.NewServeMux(), tickets: map[string]*ticket{}, tokens: map[string]bool{}, mostComments: 5000}
	switch kind {
	case Jira:
		t.mux.HandleFunc("GET /rest/api/3/issue/{key}", t.jiraIssue)
		t.mux.HandleFunc("GET /rest/api/3/issue/{key}/comment", t.jiraComments)
		t.mux.HandleFunc("POST /rest/api/3/issue/{key}/comment", t.jiraAdd)
	case ServiceNow:
		t.mux.HandleFunc("GET /api/now/table/task", t.snowTasks)
		t.mux.HandleFunc("GET /api/now/table/sys_journal_field", t.snowJournal)
		t.mux.HandleFunc("PATCH /api/now/table/task/{id}", t.snowPatch)
	default:
		panic("trackertwin: unknown kind " + kind)
	}
	return t
}

// Allow lets a secret in: EMAIL:TOKEN or USER:PASSWORD for Basic, anything without a colon for Bearer.
func (t *Tracker) Allow(secret string) { t.allow(secret, true) }

// AllowReading lets a secret in that may not write.
func (t *Tracker) AllowReading(secret string) { t.allow(secret, false) }

func (t *Tracker) allow(secret string, write bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tokens[secret] = write
}

// Forget takes a secret back.
func (t *Tracker) Forget(secret string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.tokens, secret)
}

// AddTicket makes a ticket, or changes the one of this key.
func (t *Tracker) AddTicket(key, title, status string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	is := t.tickets[strings.ToUpper(key)]
	if is == nil {
		t.serial++
		is = &ticket{id: fmt.Sprintf("%032x", t.serial)}
		t.tickets[strings.ToUpper(key)] = is
	}
	is.Ticket = Ticket{key, title, status}
}

// Tickets are the tickets, by key.
func (t *Tracker) Tickets() []Ticket {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []Ticket
	for _, key := range slices.Sorted(maps.Keys(t.tickets)) {
		out = append(out, t.tickets[key].Ticket)
	}
	return out
}

// AddComment adds plain text as a person does at the screen.
func (t *Tracker) AddComment(key, text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := comment{text: text, raw: text}
	if t.kind == Jira {
		c.body, _ = json.Marshal(doc(text))
	} else {
		c.text, c.markup = readNote(text)
	}
	t.add(t.tickets[strings.ToUpper(key)], c)
}

// add gives a comment its id and time. The caller holds mu.
func (t *Tracker) add(is *ticket, c comment) comment {
	t.serial++
	c.id, c.at = strconv.Itoa(10000+t.serial), t.now()
	is.comments = append(is.comments, c)
	return c
}

// Comments are the comments or work notes of a ticket as a person reads them, oldest first.
func (t *Tracker) Comments(key string) []string {
	return t.each(key, func(c comment) []string { return []string{c.text} })
}

// Markup is what in the comments of a ticket is more than text: a node or mark of Jira's such as "mention" or "mark link", HTML of a [code] of ServiceNow's.
func (t *Tracker) Markup(key string) []string {
	return t.each(key, func(c comment) []string { return c.markup })
}

// Public are the comments that the customers of a service desk would see: Jira shows them all that are not marked as internal, ServiceNow no work note.
func (t *Tracker) Public(key string) []string {
	return t.each(key, func(c comment) []string {
		if t.kind == ServiceNow || c.internal() {
			return nil
		}
		return []string{c.text}
	})
}

func (t *Tracker) each(key string, f func(comment) []string) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []string
	if is := t.tickets[strings.ToUpper(key)]; is != nil {
		for _, c := range is.comments {
			out = append(out, f(c)...)
		}
	}
	return out
}

// Refused is why bodies were refused with 400, oldest first.
func (t *Tracker) Refused() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.refused)
}

// Requests are the requests that came, as "GET /rest/api/3/issue/OPS-1", oldest first, and forgets them.
func (t *Tracker) Requests() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := t.requests
	t.requests = nil
	return out
}

// FailNext answers the next n requests like pattern with a status, and a Retry-After where it is more than 0. A pattern is a method and a path, as
// "POST /rest/api/3/issue/*/comment" (see path.Match); "" is any.
func (t *Tracker) FailNext(pattern string, status int, retryAfter time.Duration, n int) {
	t.fail(failure{pattern, status, retryAfter, n})
}

// LoseAnswerNext does what the next request like pattern asks, and hangs up without a word.
func (t *Tracker) LoseAnswerNext(pattern string) { t.fail(failure{pattern: pattern, left: 1}) }

func (t *Tracker) fail(f failure) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.next = append(t.next, f)
}

// HideJournal refuses everybody sys_journal_field (403), as many instances of ServiceNow do.
func (t *Tracker) HideJournal(on bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.hidden = on
}

// LimitComments is how many comments an issue of Jira's may have; one more is 413. It is 5,000.
func (t *Tracker) LimitComments(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.mostComments = n
}

// AnswerStrangers treats whom it does not know as a stranger (404 for every ticket), as Jira does where a project is open to the public and with a
// token that has scopes; otherwise they are refused with 401.
func (t *Tracker) AnswerStrangers(on bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.strangers = on
}

// ServeHTTP is the tracker's REST interface.
func (t *Tracker) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	f, failing := t.arrives(r.Method + " " + r.URL.Path)
	if failing && f.status != 0 {
		if f.after > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(f.after.Seconds()))))
		}
		t.refuse(w, f.status, http.StatusText(f.status))
		return
	}
	if failing {
		t.mux.ServeHTTP(discard{http.Header{}}, r)
		panic(http.ErrAbortHandler)
	}
	t.mux.ServeHTTP(w, r)
}

// arrives notes a request and takes the failure that waits for it.
func (t *Tracker) arrives(what string) (failure, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.requests = append(t.requests, what)
	for i := range t.next {
		f := t.next[i]
		if ok, _ := path.Match(f.pattern, what); f.pattern != "" && !ok {
			continue
		}
		if t.next[i].left--; t.next[i].left <= 0 {
			t.next = slices.Delete(t.next, i, i+1)
		}
		return f, true
	}
	return failure{}, false
}

// may reports whether the request's secret may do this, and answers it where not. The caller holds mu.
func (t *Tracker) may(w http.ResponseWriter, r *http.Request, write bool) bool {
	scheme, value, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if scheme == "Basic" {
		b, _ := base64.StdEncoding.DecodeString(value)
		value = string(b)
	}
	writes, known := t.tokens[value]
	switch {
	case known && (writes || !write) && (scheme == "Basic") == strings.Contains(value, ":"):
		return true
	case known && write && !writes:
		t.refuse(w, http.StatusForbidden, "You do not have the permission to do this.")
	case t.strangers && t.kind == Jira:
		w.Header().Set("X-Seraph-Loginreason", "AUTHENTICATED_FAILED")
		t.refuse(w, http.StatusNotFound, noIssue)
	default:
		w.Header().Set("X-Seraph-Loginreason", "AUTHENTICATED_FAILED")
		t.refuse(w, http.StatusUnauthorized, "Client must be authenticated to access this resource.")
	}
	return false
}

// refuse answers in the form that the kind has for errors.
func (t *Tracker) refuse(w http.ResponseWriter, status int, text string) {
	if t.kind == ServiceNow {
		answer(w, status, map[string]any{"error": map[string]string{"message": http.StatusText(status), "detail": text}, "status": "failure"})
		return
	}
	answer(w, status, map[string]any{"errorMessages": []string{text}, "errors": map[string]string{}})
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json;charset=UTF-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// discard is where a lost answer goes.
type discard struct{ h http.Header }

func (d discard) Header() http.Header         { return d.h }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}
