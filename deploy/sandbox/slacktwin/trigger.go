package slacktwin

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// Times of what an interaction gives the app (docs: "Handling user interaction").
const (
	triggerLife  = 3 * time.Second
	responseLife = 30 * time.Minute
	responseUses = 5

	// How long an old one is told from an unknown one.
	triggerRemember  = 10 * time.Minute
	responseRemember = 2 * responseLife
)

// trigger lets the app open one view for the person who acted.
type trigger struct {
	user string
	view string // the view it happened in; empty: elsewhere
	at   time.Time
	used bool
}

// newTrigger: the caller holds mu.
func (w *Workspace) newTrigger(user, view string) string {
	now := w.cfg.Now()
	for len(w.triggerAge) > 0 && now.Sub(w.triggers[w.triggerAge[0]].at) > triggerRemember {
		delete(w.triggers, w.triggerAge[0])
		w.triggerAge = w.triggerAge[1:]
	}
	w.seq++
	id := fmt.Sprintf("%d.%d.%s", now.UnixMilli(), w.seq, random())
	w.triggers[id] = &trigger{user: user, view: view, at: now}
	w.triggerAge = append(w.triggerAge, id)
	return id
}

// exchange uses a trigger up. The caller holds mu.
func (w *Workspace) exchange(id string) (*trigger, *apiError) {
	t := w.triggers[id]
	switch {
	case t == nil:
		return nil, fail("invalid_trigger_id")
	case t.used:
		return nil, fail("exchanged_trigger_id")
	case w.cfg.Now().Sub(t.at) > triggerLife:
		return nil, fail("expired_trigger_id")
	}
	t.used = true
	return t, nil
}

// responseURL lets the app answer an interaction without belonging to the channel.
type responseURL struct {
	user, channel string
	ts            string // the message acted on; empty for slash commands
	thread        string
	at            time.Time
	uses          int
	posted        []string // ts of what it has posted
}

// newResponseURL: kind is "commands" or "actions". The caller holds mu.
func (w *Workspace) newResponseURL(kind string, u *responseURL) string {
	u.at = w.cfg.Now()
	for len(w.urlAge) > 0 && u.at.Sub(w.urls[w.urlAge[0]].at) > responseRemember {
		delete(w.urls, w.urlAge[0])
		w.urlAge = w.urlAge[1:]
	}
	path := "/" + kind + "/" + w.cfg.TeamID + "/" + random()
	w.urls[path] = u
	w.urlAge = append(w.urlAge, path)
	return w.base() + path
}

// serveResponseURL takes what the app sends to a response_url.
func (w *Workspace) serveResponseURL(rw http.ResponseWriter, r *http.Request) {
	c := &call{method: "response_url", args: obj{}, r: r}
	body, err := io.ReadAll(http.MaxBytesReader(rw, r.Body, bodyLimit))
	if err != nil || json.Unmarshal(body, &c.args) != nil {
		http.Error(rw, "invalid_payload", http.StatusBadRequest)
		return
	}
	start := w.cfg.Now()
	w.faults.delay(r.Context(), c.method)
	fault := w.faults.take(c.method)
	if asked := w.pass(Arrived, c, nil); asked.how != "" {
		fault = asked
	}
	var apiErr *apiError
	if fault.before() {
		apiErr = fault.err()
	} else {
		apiErr = w.respond(r.URL.Path, c)
	}
	w.journal(c, nil, apiErr, start, fault)
	w.pass(Done, c, apiErr)
	if fault.hangs() {
		w.hangUp(r)
	}
	if apiErr == nil {
		io.WriteString(rw, "ok") //nolint:errcheck // a caller that left needs no answer
		w.pass(Answered, c, nil)
		return
	}
	if apiErr.status == 0 { // unlike the Web API, these say it with the status too
		apiErr.status = http.StatusBadRequest
	}
	w.write(rw, c, nil, apiErr)
}

// respond does what a response_url was asked for.
func (w *Workspace) respond(path string, c *call) *apiError {
	w.mu.Lock()
	defer w.mu.Unlock()
	u := w.urls[path]
	switch {
	case u == nil:
		return &apiError{code: "no_such_url", status: http.StatusNotFound}
	case w.cfg.Now().Sub(u.at) > responseLife:
		return &apiError{code: "expired_url", status: http.StatusNotFound}
	case u.uses >= responseUses:
		return &apiError{code: "used_url", status: http.StatusNotFound}
	}
	u.uses++
	return w.answerInteraction(u, c)
}

// answerInteraction replaces or deletes the original, or posts a message. The caller holds mu.
func (w *Workspace) answerInteraction(u *responseURL, c *call) *apiError {
	original := w.message(u.channel, u.ts)
	if c.flag("delete_original", false) {
		if original == nil {
			return fail("message_not_found")
		}
		w.remove(original)
		return nil
	}
	body, err := w.readContent(c)
	if err != nil {
		return err
	}
	if c.flag("replace_original", false) && original != nil {
		body.hasText, body.hasBlocks, body.hasAtts = true, true, true // what is not sent is gone
		w.apply(original, body)
		return nil
	}
	if body.text == "" && body.blocks == nil && body.attachments == nil {
		return fail("no_text")
	}
	m := &Message{Channel: u.channel, User: w.cfg.BotUserID, BotID: w.cfg.BotID, Text: body.text, Blocks: body.blocks,
		Attachments: body.attachments, Metadata: body.metadata, ThreadTS: u.thread}
	if ts := c.str("thread_ts"); ts != "" {
		m.ThreadTS = ts
	}
	if !strings.EqualFold(c.str("response_type"), "in_channel") {
		m.To = u.user
	}
	w.post(m)
	u.posted = append(u.posted, m.TS)
	return nil
}
