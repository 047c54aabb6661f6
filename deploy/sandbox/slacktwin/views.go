package slacktwin

import (
	"encoding/json"
	"maps"
)

// Limits of views (docs: "Modals", views.open).
const (
	maxStack  = 3
	viewBytes = 250_000
)

// view is one modal in somebody's stack, or somebody's App Home.
type view struct {
	id, user, hash string
	root, previous string
	body           obj                       // as the app sent it, with every block and action id filled in
	state          map[string]map[string]obj // what the person has entered, by block and action
	errors         map[string]string         // by block, shown under its input
}

func (v *view) kind() string { return str(v.body, "type") }

// readView decodes and checks the view of a call.
func readView(c *call) (obj, *apiError) {
	v, given, valid := c.json("view")
	body, isObject := v.(obj)
	if !given || !valid || !isObject {
		return nil, invalid("invalid_arguments", []problem{{"/view", "must be a view object"}})
	}
	return body, checkView(body)
}

// checkView says what Slack would say to a view.
func checkView(body obj) *apiError {
	if len(raw(body)) > viewBytes {
		return fail("view_too_large")
	}
	if problems := lintView(body); len(problems) > 0 {
		return invalid("invalid_arguments", problems)
	}
	return nil
}

// newView makes a view out of a checked body. The caller holds mu.
func (w *Workspace) newView(user string, body obj) (*view, *apiError) {
	if id := str(body, "external_id"); id != "" && w.byExternal(id) != nil {
		return nil, fail("duplicate_external_id")
	}
	v := &view{id: w.id("V"), user: user}
	v.root = v.id
	w.fill(v, body)
	w.views[v.id] = v
	return v, nil
}

// fill gives a view its content, keeping what the person has entered where block and action are the same. The caller
// holds mu.
func (w *Workspace) fill(v *view, body obj) {
	body = clone(body).(obj)
	body["blocks"] = w.stamp(list(body, "blocks"))
	v.body, v.hash, v.errors = body, w.eventTS()+"."+random()[:8], nil
	old := v.state
	v.state = map[string]map[string]obj{}
	for _, b := range list(body, "blocks") {
		b, _ := b.(obj)
		for _, e := range elementsOf(b) {
			kind, block, action := str(e, "type"), str(b, "block_id"), str(e, "action_id")
			if stateful[kind] == "" {
				continue
			}
			if v.state[block] == nil {
				v.state[block] = map[string]obj{}
			}
			if was := old[block][action]; was != nil && was["type"] == kind {
				v.state[block][action] = was
				continue
			}
			v.state[block][action] = initial(e)
		}
	}
}

// initial is the state of an element nobody has touched.
func initial(e obj) obj {
	kind := str(e, "type")
	field := stateful[kind]
	s := obj{"type": kind, field: nil}
	switch field {
	case "selected_options", "selected_users":
		s[field] = []any{}
	}
	for _, from := range []string{"initial_value", "initial_option", "initial_options", "initial_user", "initial_users", "initial_date", "initial_time"} {
		if v, ok := e[from]; ok && v != nil {
			s[field] = clone(v)
		}
	}
	return s
}

// byExternal finds an open view by the id the app gave it. The caller holds mu.
func (w *Workspace) byExternal(id string) *view {
	for _, v := range w.views {
		if str(v.body, "external_id") == id {
			return v
		}
	}
	return nil
}

// push puts a view on top of a person's stack. The caller holds mu.
func (w *Workspace) push(user string, v *view) {
	stack := w.stacks[user]
	if len(stack) > 0 {
		v.root, v.previous = stack[0].id, stack[len(stack)-1].id
	}
	w.stacks[user] = append(stack, v)
	w.changed()
}

// pop takes the top view away. The caller holds mu.
func (w *Workspace) pop(user string) {
	stack := w.stacks[user]
	if len(stack) == 0 {
		return
	}
	delete(w.views, stack[len(stack)-1].id)
	w.stacks[user] = stack[:len(stack)-1]
	w.changed()
}

// clear closes all of a person's modals. The caller holds mu.
func (w *Workspace) clear(user string) {
	for len(w.stacks[user]) > 0 {
		w.pop(user)
	}
}

// top is the modal a person sees; nil if none. The caller holds mu.
func (w *Workspace) top(user string) *view {
	stack := w.stacks[user]
	if len(stack) == 0 {
		return nil
	}
	return stack[len(stack)-1]
}

func viewsOpen(w *Workspace, c *call) (obj, *apiError) {
	body, err := readView(c)
	if err != nil {
		return nil, err
	}
	if str(body, "type") != "modal" {
		return nil, invalid("invalid_arguments", []problem{{"/view/type", "must be modal"}})
	}
	t, err := w.exchange(c.str("trigger_id"))
	if err != nil {
		return nil, err
	}
	v, err := w.newView(t.user, body)
	if err != nil {
		return nil, err
	}
	w.clear(t.user) // a person has one stack; opening another replaces it
	w.push(t.user, v)
	return obj{"view": w.viewJSON(v)}, nil
}

func viewsPush(w *Workspace, c *call) (obj, *apiError) {
	body, err := readView(c)
	if err != nil {
		return nil, err
	}
	if str(body, "type") != "modal" {
		return nil, invalid("invalid_arguments", []problem{{"/view/type", "must match the `type` of the root view whose stack we're pushing onto"}})
	}
	t, err := w.exchange(c.str("trigger_id"))
	if err != nil {
		return nil, err
	}
	switch from := w.views[t.view]; {
	case from == nil || from.kind() != "modal":
		return nil, fail("not_found")
	case len(w.stacks[t.user]) >= maxStack:
		return nil, fail("push_limit_reached")
	}
	v, err := w.newView(t.user, body)
	if err != nil {
		return nil, err
	}
	w.push(t.user, v)
	return obj{"view": w.viewJSON(v)}, nil
}

func viewsUpdate(w *Workspace, c *call) (obj, *apiError) {
	body, err := readView(c)
	if err != nil {
		return nil, err
	}
	v := w.views[c.str("view_id")]
	if id := c.str("external_id"); v == nil && id != "" {
		v = w.byExternal(id)
	}
	switch {
	case v == nil:
		return nil, fail("not_found")
	case c.str("hash") != "" && c.str("hash") != v.hash:
		return nil, fail("hash_conflict")
	case v.kind() != str(body, "type"):
		return nil, invalid("invalid_arguments", []problem{{"/view/type", "must match the type of the view that is updated"}})
	}
	if id := str(body, "external_id"); id != "" && w.byExternal(id) != nil && w.byExternal(id) != v {
		return nil, fail("duplicate_external_id")
	}
	w.fill(v, body)
	w.changed()
	return obj{"view": w.viewJSON(v)}, nil
}

func viewsPublish(w *Workspace, c *call) (obj, *apiError) {
	body, err := readView(c)
	if err != nil {
		return nil, err
	}
	if str(body, "type") != "home" {
		return nil, invalid("invalid_arguments", []problem{{"/view/type", "must be home"}})
	}
	u := w.users.get(c.str("user_id"))
	if u == nil || u.Deleted {
		return nil, invalid("invalid_arguments", []problem{{"/user_id", "invalid user"}})
	}
	v := w.homes[u.ID]
	switch {
	case c.str("hash") != "" && (v == nil || c.str("hash") != v.hash):
		return nil, fail("hash_conflict")
	case v == nil:
		if v, err = w.newView(u.ID, body); err != nil {
			return nil, err
		}
		w.homes[u.ID] = v
	default:
		w.fill(v, body)
	}
	w.changed()
	return obj{"view": w.viewJSON(v)}, nil
}

// viewJSON is a view as answers and payloads show it. The caller holds mu.
func (w *Workspace) viewJSON(v *view) obj {
	o := obj{"id": v.id, "team_id": w.cfg.TeamID, "app_id": w.cfg.AppID, "bot_id": w.cfg.BotID, "hash": v.hash,
		"app_installed_team_id": w.cfg.TeamID, "root_view_id": v.root, "previous_view_id": nil, "title": nil, "submit": nil,
		"close": nil, "callback_id": "", "private_metadata": "", "external_id": "", "clear_on_close": false, "notify_on_close": false}
	if v.previous != "" {
		o["previous_view_id"] = v.previous
	}
	maps.Copy(o, v.body)
	o["state"] = obj{"values": v.values()}
	return clone(o).(obj)
}

// values is the state of a view's inputs.
func (v *view) values() obj {
	out := obj{}
	for block, actions := range v.state {
		m := obj{}
		for action, s := range actions {
			m[action] = s
		}
		out[block] = m
	}
	return out
}

// element finds a block and an element of it by their ids.
func (v *view) element(block, action string) (b, e obj) {
	for _, x := range list(v.body, "blocks") {
		x, _ := x.(obj)
		if str(x, "block_id") != block {
			continue
		}
		for _, e := range elementsOf(x) {
			if str(e, "action_id") == action {
				return x, e
			}
		}
	}
	return nil, nil
}

// submitted applies the acknowledgement of a view_submission as Slack does; an error is what the person sees. The
// caller holds mu.
func (w *Workspace) submitted(v *view, payload json.RawMessage) error {
	ack, _ := decode(payload).(obj)
	if problems := lintSubmissionAck(v.body, ack); len(problems) > 0 {
		w.refuse("ack:view_submission", invalid("invalid_response", problems), string(payload))
		return ErrTrouble
	}
	body, _ := ack["view"].(obj)
	switch str(ack, "response_action") {
	case "errors":
		v.errors = map[string]string{}
		for block, text := range ack["errors"].(obj) {
			v.errors[block] = text.(string)
		}
	case "clear":
		w.clear(v.user)
	case "update":
		w.fill(v, body)
	case "push":
		if len(w.stacks[v.user]) >= maxStack {
			w.refuse("ack:view_submission", fail("push_limit_reached"), string(payload))
			return ErrTrouble
		}
		next, err := w.newView(v.user, body)
		if err != nil {
			w.refuse("ack:view_submission", err, string(payload))
			return ErrTrouble
		}
		w.push(v.user, next)
	default:
		if w.top(v.user) == v { // the app may have pushed another on top meanwhile
			w.pop(v.user)
		}
	}
	w.changed()
	return nil
}
