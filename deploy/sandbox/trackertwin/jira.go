package trackertwin

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// noIssue is what Jira says of an issue that is not there and of one that the account may not see.
const noIssue = "Issue does not exist or you do not have permission to see it."

// jiraTime is Jira's form of a time.
const jiraTime = "2006-01-02T15:04:05.000-0700"

// issue finds the issue of a request, and answers where there is none. The caller holds mu.
func (t *Tracker) issue(w http.ResponseWriter, r *http.Request, write bool) *ticket {
	if !t.may(w, r, write) {
		return nil
	}
	is := t.tickets[strings.ToUpper(r.PathValue("key"))]
	if is == nil {
		t.refuse(w, http.StatusNotFound, noIssue)
	}
	return is
}

// jiraIssue is Get issue, with the fields that are asked for.
func (t *Tracker) jiraIssue(w http.ResponseWriter, r *http.Request) {
	t.mu.Lock()
	defer t.mu.Unlock()
	is := t.issue(w, r, false)
	if is == nil {
		return
	}
	fields := map[string]any{"summary": is.Title, "status": map[string]any{"name": is.Status, "id": "3"}, "issuetype": map[string]any{"name": "Task"}}
	if asked := r.URL.Query().Get("fields"); asked != "" {
		for name := range fields {
			if !slices.Contains(strings.Split(asked, ","), name) {
				delete(fields, name)
			}
		}
	}
	answer(w, http.StatusOK, map[string]any{"id": is.id, "key": is.Key, "self": "https://" + r.Host + "/rest/api/3/issue/" + is.id, "fields": fields})
}

// jiraComments is Get comments: at most 100 of them, by default the oldest first.
func (t *Tracker) jiraComments(w http.ResponseWriter, r *http.Request) {
	t.mu.Lock()
	defer t.mu.Unlock()
	is := t.issue(w, r, false)
	if is == nil {
		return
	}
	q := r.URL.Query()
	list := slices.Clone(is.comments)
	switch q.Get("orderBy") {
	case "-created":
		slices.Reverse(list)
	case "", "created", "+created":
	default:
		t.refuse(w, http.StatusBadRequest, "The orderBy parameter is not valid.")
		return
	}
	start, size := number(q.Get("startAt"), 0), number(q.Get("maxResults"), 100)
	start, size = max(start, 0), min(max(size, 1), 100)
	from := min(start, len(list))
	page := []any{}
	for _, c := range list[from:min(from+size, len(list))] {
		page = append(page, c.jira(strings.Contains(q.Get("expand"), "properties")))
	}
	answer(w, http.StatusOK, map[string]any{"startAt": start, "maxResults": size, "total": len(list), "comments": page})
}

func number(s string, otherwise int) int {
	if n, err := strconv.Atoi(s); err == nil {
		return n
	}
	return otherwise
}

func (c comment) jira(properties bool) map[string]any {
	out := map[string]any{"id": c.id, "body": c.body, "created": c.at.Format(jiraTime), "updated": c.at.Format(jiraTime), "jsdPublic": !c.internal()}
	if properties {
		out["properties"] = append([]property{}, c.properties...)
	}
	return out
}

// internal reports whether a service desk keeps the comment from its customers.
func (c comment) internal() bool {
	for _, p := range c.properties {
		var v struct {
			Internal bool `json:"internal"`
		}
		if p.Key == "sd.public.comment" && json.Unmarshal(p.Value, &v) == nil && v.Internal {
			return true
		}
	}
	return false
}

// jiraAdd is Add comment.
func (t *Tracker) jiraAdd(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Body       json.RawMessage `json:"body"`
		Properties []property      `json:"properties"`
	}
	err := json.NewDecoder(r.Body).Decode(&in)
	t.mu.Lock()
	defer t.mu.Unlock()
	is := t.issue(w, r, true)
	if is == nil {
		return
	}
	if err != nil {
		t.notTaken(w, "There was an error parsing JSON. Check that your request body is valid.")
		return
	}
	read, why := readDocument(in.Body)
	for _, p := range in.Properties {
		if why == "" && (p.Key == "" || len(p.Key) > 255 || len(p.Value) > 32768) {
			why = "a property has no key, or its key or value is too long"
		}
	}
	if why != "" {
		t.notTaken(w, why)
		return
	}
	if len(is.comments) >= t.mostComments {
		t.refuse(w, http.StatusRequestEntityTooLarge, "The limit of comments in an issue was reached.")
		return
	}
	c := t.add(is, comment{text: read.text(), markup: read.markup, body: in.Body, properties: in.Properties})
	answer(w, http.StatusCreated, c.jira(false))
}

// notTaken refuses a comment and notes why. The caller holds mu.
func (t *Tracker) notTaken(w http.ResponseWriter, why string) {
	t.refused = append(t.refused, why)
	answer(w, http.StatusBadRequest, map[string]any{"errorMessages": []string{}, "errors": map[string]string{"comment": why}})
}

// stamp is ServiceNow's form of a time, in UTC.
func stamp(at time.Time) string { return at.UTC().Format("2006-01-02 15:04:05") }
