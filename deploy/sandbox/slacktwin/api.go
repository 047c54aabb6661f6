package slacktwin

import (
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// bodyLimit is the largest request the twin reads; the largest thing Slack takes here is a view of 250 KB.
const bodyLimit = 4 << 20

// call is one Web API call while it is answered.
type call struct {
	method string
	args   obj // form values are strings, JSON bodies keep their types
	token  string
	r      *http.Request
	nr     uint64 // for the interceptor
}

// apiError is an answer with ok:false, or with another HTTP status.
type apiError struct {
	code     string
	messages []string      // for response_metadata
	extra    obj           // needed, provided
	status   int           // HTTP status if not 200
	after    time.Duration // Retry-After
}

func (e *apiError) Error() string {
	if len(e.messages) > 0 {
		return e.code + ": " + strings.Join(e.messages, "; ")
	}
	return e.code
}

func fail(code string) *apiError { return &apiError{code: code} }

// invalid is the answer to blocks or views that break a rule: what is wrong, each with its JSON pointer.
func invalid(code string, problems []problem) *apiError {
	e := &apiError{code: code, extra: obj{}}
	var plain []string
	for _, p := range problems {
		e.messages = append(e.messages, "[ERROR] "+p.String())
		plain = append(plain, p.String())
	}
	if code == "invalid_blocks" {
		e.extra["errors"] = plain
	}
	return e
}

// apiMethod is how one method is answered. run holds mu.
type apiMethod struct {
	tier   int    // calls a minute: 1, 20, 50, 100; 0 for special rules of its own
	scope  string // of the bot token; empty: none, or checked by run
	forApp bool   // takes the app-level token, no other
	run    func(*Workspace, *call) (obj, *apiError)
}

// methodTable is what the twin answers; all else is unknown_method.
func methodTable() map[string]apiMethod {
	return map[string]apiMethod{
		"auth.test":             {run: authTest},
		"apps.connections.open": {tier: 50, forApp: true, run: connectionsOpen},
		"team.info":             {tier: 50, scope: "team:read", run: teamInfo},
		"bots.info":             {tier: 50, scope: "users:read", run: botsInfo},
		"chat.postMessage":      {scope: "chat:write", run: postMessage},
		"chat.postEphemeral":    {tier: 100, scope: "chat:write", run: postEphemeral},
		"chat.update":           {tier: 50, scope: "chat:write", run: updateMessage},
		"chat.delete":           {tier: 50, scope: "chat:write", run: deleteMessage},
		"chat.getPermalink":     {run: getPermalink},
		"reactions.add":         {tier: 50, scope: "reactions:write", run: addReaction},
		"pins.add":              {tier: 20, scope: "pins:write", run: addPin},
		"conversations.info":    {tier: 50, run: conversationsInfo},
		"conversations.list":    {tier: 20, run: conversationsList},
		"conversations.open":    {tier: 50, scope: "im:write", run: conversationsOpen},
		"conversations.join":    {tier: 50, scope: "channels:join", run: conversationsJoin},
		"conversations.members": {tier: 100, run: conversationsMembers},
		"conversations.history": {tier: 50, run: conversationsHistory},
		"conversations.replies": {tier: 50, run: conversationsReplies},
		"users.info":            {tier: 100, scope: "users:read", run: usersInfo},
		"users.list":            {tier: 20, scope: "users:read", run: usersList},
		"users.lookupByEmail":   {tier: 50, scope: "users:read.email", run: lookupByEmail},
		"usergroups.list":       {tier: 20, scope: "usergroups:read", run: usergroupsList},
		"usergroups.users.list": {tier: 20, scope: "usergroups:read", run: usergroupsUsers},
		"views.open":            {tier: 100, run: viewsOpen},
		"views.push":            {tier: 100, run: viewsPush},
		"views.update":          {tier: 100, run: viewsUpdate},
		"views.publish":         {tier: 100, run: viewsPublish},
		"api.test":              {tier: 100, run: func(*Workspace, *call) (obj, *apiError) { return obj{}, nil }},
		"users.conversations":   {tier: 50, run: conversationsList},
	}
}

// serveAPI reads a call, applies the faults asked for, answers and writes the journal.
func (w *Workspace) serveAPI(rw http.ResponseWriter, r *http.Request, method string) {
	c, err := readCall(r, method)
	if err != nil {
		http.Error(rw, err.Error(), http.StatusBadRequest)
		return
	}
	w.mu.Lock()
	w.inflight++
	w.host = r.Host
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		w.inflight--
		w.mu.Unlock()
	}()
	start := w.cfg.Now()
	w.faults.delay(r.Context(), method)
	fault := w.faults.take(method)
	if asked := w.pass(Arrived, c, nil); asked.how != "" {
		fault = asked
	}
	var answer obj
	var apiErr *apiError
	if fault.before() {
		apiErr = fault.err()
	} else {
		answer, apiErr = w.answer(c)
	}
	w.journal(c, answer, apiErr, start, fault)
	w.pass(Done, c, apiErr)
	if fault.hangs() { // the work is done, the caller never learns of it
		w.hangUp(r)
	}
	w.write(rw, c, answer, apiErr)
	w.pass(Answered, c, apiErr)
}

// answer checks token, scope and quota, and runs the method.
func (w *Workspace) answer(c *call) (obj, *apiError) {
	w.mu.Lock()
	defer w.mu.Unlock()
	m, known := w.methods[c.method]
	if !known {
		return nil, fail("unknown_method")
	}
	if err := w.authorise(c, m); err != nil {
		return nil, err
	}
	if err := w.quota.spend(c.method, m.tier, w.cfg.Now()); err != nil {
		return nil, err
	}
	return m.run(w, c)
}

// authorise: the caller holds mu.
func (w *Workspace) authorise(c *call, m apiMethod) *apiError {
	switch {
	case c.token == "":
		return fail("not_authed")
	case c.token != w.cfg.BotToken && c.token != w.cfg.AppToken:
		return fail("invalid_auth")
	case (c.token == w.cfg.AppToken) != m.forApp && c.method != "auth.test":
		return fail("not_allowed_token_type")
	case m.forApp:
		return nil
	}
	return w.need(m.scope)
}

// need is the error for a scope the token lacks. Several alternatives are separated by commas. The caller holds mu.
func (w *Workspace) need(scope string) *apiError {
	if scope == "" {
		return nil
	}
	for s := range strings.SplitSeq(scope, ",") {
		if w.scopes[s] {
			return nil
		}
	}
	return &apiError{code: "missing_scope", extra: obj{"needed": scope, "provided": strings.Join(w.cfg.Scopes, ",")}}
}

// write sends the answer as Slack does: HTTP 200 with ok:false for errors, the scopes in a header.
func (w *Workspace) write(rw http.ResponseWriter, c *call, answer obj, err *apiError) {
	w.mu.Lock()
	scopes := strings.Join(w.cfg.Scopes, ",")
	w.mu.Unlock()
	if c.token == w.cfg.AppToken {
		scopes = "connections:write"
	}
	h := rw.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("X-Oauth-Scopes", scopes)
	out := obj{"ok": err == nil}
	for k, v := range answer {
		out[k] = v
	}
	status := http.StatusOK
	if err != nil {
		out["error"] = err.code
		for k, v := range err.extra {
			out[k] = v
		}
		if err.messages != nil {
			out["response_metadata"] = obj{"messages": err.messages}
		}
		if err.after > 0 {
			h.Set("Retry-After", strconv.Itoa(int((err.after+time.Second-1)/time.Second)))
		}
		if err.status != 0 {
			status = err.status
		}
	}
	rw.WriteHeader(status)
	rw.Write(raw(out)) //nolint:errcheck // a caller that left needs no answer
}

// readCall takes arguments from query, form or JSON body, and the token from the header or, for forms, the arguments.
func readCall(r *http.Request, method string) (*call, error) {
	c := &call{method: method, args: obj{}, r: r}
	r.Body = http.MaxBytesReader(nil, r.Body, bodyLimit)
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind == "application/json" {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, fmt.Errorf("reading the body: %w", err)
		}
		if len(body) > 0 {
			if err := json.Unmarshal(body, &c.args); err != nil {
				return nil, fmt.Errorf("invalid_json: %w", err)
			}
		}
	} else {
		if err := r.ParseForm(); err != nil { // a caller who was killed leaves half a body: it asked for nothing
			return nil, fmt.Errorf("invalid_form_data: %w", err)
		}
		if err := r.ParseMultipartForm(bodyLimit); err != nil && err != http.ErrNotMultipart {
			return nil, fmt.Errorf("invalid_form_data: %w", err)
		}
	}
	for k, v := range r.Form {
		c.args[k] = v[0]
	}
	c.token, _ = c.args["token"].(string)
	if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		c.token = bearer
	}
	delete(c.args, "token")
	return c, nil
}

// str is a text argument.
func (c *call) str(name string) string {
	switch v := c.args[name].(type) {
	case string:
		return v
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return ""
}

// flag is a boolean argument, def where it was not given.
func (c *call) flag(name string, def bool) bool {
	switch v := c.args[name].(type) {
	case bool:
		return v
	case string:
		if v != "" {
			return v == "true" || v == "1"
		}
	}
	return def
}

// json is an argument that is JSON, or JSON in a string as forms have it. given is false where it is absent, null or
// empty; valid is false where it does not parse.
func (c *call) json(name string) (v any, given, valid bool) {
	v = c.args[name]
	if s, ok := v.(string); ok {
		if s == "" || s == "null" {
			return nil, false, true
		}
		v = nil
		if json.Unmarshal([]byte(s), &v) != nil {
			return nil, true, false
		}
	}
	return v, v != nil, true
}
