package slacktwin

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Submit presses the form's submit button. What the form itself or the app's answer finds wrong comes back by the label
// above the field, and the form stays; otherwise the app's response_action is applied. err is ErrTrouble where the
// person sees "We had some trouble connecting", which is also what a missing or unlawful acknowledgement looks like.
func (p *Person) Submit(ctx context.Context) (map[string]string, error) {
	p.w.mu.Lock()
	u, err := p.able()
	v := p.w.top(p.id)
	if err != nil || v == nil {
		p.w.mu.Unlock()
		return nil, firstErr(err, ErrNoView)
	}
	if str(v.body, "submit", "text") == "" {
		p.w.mu.Unlock()
		return nil, fmt.Errorf("the form has no submit button: %w", ErrNotAllowed)
	}
	if v.errors = v.check(); len(v.errors) > 0 {
		defer p.w.mu.Unlock()
		p.w.changed()
		return v.labelled(), nil
	}
	payload := p.w.act("view_submission", u, v.id)
	payload["view"], payload["response_urls"] = p.w.viewJSON(v), []any{}
	p.w.mu.Unlock()
	ack, err := p.w.deliver(ctx, envelope{kind: "interactive", payload: payload, accepts: true})
	if err != nil {
		return nil, fmt.Errorf("%w (%w)", ErrTrouble, err)
	}
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	if p.w.views[v.id] != v { // closed while the app thought
		return nil, nil
	}
	if err := p.w.submitted(v, ack); err != nil {
		return nil, err
	}
	if p.w.views[v.id] != v {
		return nil, nil
	}
	return v.labelled(), nil
}

func firstErr(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// check finds what Slack's client does not send: required inputs left empty, texts too short or too long.
func (v *view) check() map[string]string {
	errs := map[string]string{}
	for _, b := range list(v.body, "blocks") {
		if str(b, "type") != "input" {
			continue
		}
		block, e := str(b, "block_id"), at(b, "element")
		s := v.state[block][str(e, "action_id")]
		value := s[stateful[str(e, "type")]]
		if empty(value) {
			if !yes(b, "optional") {
				errs[block] = "Please complete this required field."
			}
			continue
		}
		entered, _ := value.(string)
		n := utf8.RuneCountInString(entered)
		if lo, ok := number(at(e, "min_length")); ok && n < lo {
			errs[block] = fmt.Sprintf("Must be at least %d characters.", lo)
		}
		if hi, ok := number(at(e, "max_length")); str(e, "type") == "plain_text_input" && n > textMax(hi, ok) {
			errs[block] = fmt.Sprintf("Must be at most %d characters.", textMax(hi, ok))
		}
	}
	return errs
}

// textMax is what a text input takes: its own max_length, or Slack's 3,000.
func textMax(n int, given bool) int {
	if given {
		return n
	}
	return 3000
}

func empty(v any) bool {
	switch v := v.(type) {
	case string:
		return strings.TrimSpace(v) == ""
	case []any:
		return len(v) == 0
	}
	return v == nil
}

// labelled is the form's errors by the label of the input.
func (v *view) labelled() map[string]string {
	if len(v.errors) == 0 {
		return nil
	}
	out := map[string]string{}
	for _, b := range list(v.body, "blocks") {
		if said := v.errors[str(b, "block_id")]; said != "" {
			out[str(b, "label", "text")] = said
		}
	}
	return out
}

// CloseView presses the form's close button (or Back, where forms are stacked). The app learns of it where the view
// asked for notify_on_close.
func (p *Person) CloseView(ctx context.Context) error { return p.closeView(ctx, false) }

// CloseAll presses the X in the corner, which closes all stacked forms.
func (p *Person) CloseAll(ctx context.Context) error { return p.closeView(ctx, true) }

func (p *Person) closeView(ctx context.Context, all bool) error {
	p.w.mu.Lock()
	u, err := p.able()
	v := p.w.top(p.id)
	if err != nil || v == nil {
		p.w.mu.Unlock()
		return firstErr(err, ErrNoView)
	}
	var told []obj
	for _, each := range p.w.stacks[p.id] {
		if yes(each.body, "notify_on_close") && (all || each == v) {
			payload := p.w.act("view_closed", u, "")
			delete(payload, "trigger_id")
			payload["view"], payload["is_cleared"] = p.w.viewJSON(each), all
			told = append(told, payload)
		}
	}
	if all || yes(v.body, "clear_on_close") {
		p.w.clear(p.id)
	} else {
		p.w.pop(p.id)
	}
	p.w.mu.Unlock()
	for _, payload := range told {
		if err := p.w.interact(ctx, payload); err != nil {
			return err
		}
	}
	return nil
}

// Fill enters a value into the input with the given label: text as it is; a choice by its shown text, its value or the
// only beginning that fits; several choices separated by commas; a person as @name or id; a date as 2006-01-02, a time
// as 15:04. An empty value clears. An external select is asked for what was typed. Elements that report at once
// (dispatch_action, or outside input blocks) do so, and an error says that the app did not acknowledge.
func (p *Person) Fill(ctx context.Context, label, value string) error {
	f, err := p.field(label)
	if err != nil {
		return err
	}
	return p.FillElement(ctx, f.view, f.BlockID, f.ActionID, value)
}

// field finds an input of the open form by its label.
func (p *Person) field(label string) (*Field, error) {
	v := p.View()
	if v == nil {
		return nil, ErrNoView
	}
	return v.find(label)
}

// FillElement is Fill for a page that knows the ids. viewID is an open form or a Home.
func (p *Person) FillElement(ctx context.Context, viewID, block, action, value string) error {
	p.w.mu.Lock()
	v := p.w.views[viewID]
	if v == nil || v.user != p.id {
		p.w.mu.Unlock()
		return ErrNoView
	}
	b, e := v.element(block, action)
	external := strings.Contains(str(e, "type"), "external_select")
	p.w.mu.Unlock()
	if e == nil {
		return fmt.Errorf("the form has no element %s/%s", block, action)
	}
	offered := offered(e)
	if external && value != "" {
		var err error
		if offered, err = p.offer(ctx, viewID, block, action, value); err != nil {
			return err
		}
	}
	p.w.mu.Lock()
	s, err := p.w.entered(e, offered, value)
	if err != nil {
		p.w.mu.Unlock()
		return fmt.Errorf("%q: %w", value, err)
	}
	if p.w.views[viewID] != v || v.state[block][action] == nil {
		p.w.mu.Unlock()
		return fmt.Errorf("the form has changed: %w", ErrNoView)
	}
	v.state[block][action] = s
	delete(v.errors, block)
	p.w.changed()
	tells := str(b, "type") != "input" || yes(b, "dispatch_action")
	p.w.mu.Unlock()
	if !tells {
		return nil
	}
	return p.report(ctx, v, block, e, s)
}

// entered makes the state of an element out of what a person entered. The caller holds mu.
func (w *Workspace) entered(e obj, offered []any, value string) (obj, error) {
	kind := str(e, "type")
	field := stateful[kind]
	s := obj{"type": kind, field: nil}
	var err error
	switch field {
	case "value":
		if value != "" {
			s[field] = value
		}
	case "selected_option":
		if value != "" {
			s[field], err = choose(offered, value)
		}
	case "selected_options":
		s[field], err = each(value, func(one string) (any, error) { return choose(offered, one) })
	case "selected_user":
		if value != "" {
			s[field], err = w.chooseUser(value)
		}
	case "selected_users":
		s[field], err = each(value, w.chooseUser)
	case "selected_date", "selected_time":
		layout := map[string]string{"selected_date": time.DateOnly, "selected_time": "15:04"}[field]
		if value != "" {
			_, err = time.Parse(layout, value)
			s[field] = value
		}
	default:
		err = fmt.Errorf("nothing can be entered into a %s", kind)
	}
	return s, err
}

// each applies f to values separated by commas.
func each(value string, f func(string) (any, error)) ([]any, error) {
	out := []any{}
	for one := range strings.SplitSeq(value, ",") {
		if one = strings.TrimSpace(one); one == "" {
			continue
		}
		v, err := f(one)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

// choose finds the option a person means: by text, by value, or by the only text that begins so.
func choose(offered []any, said string) (any, error) {
	var names []string
	var begins []any
	for _, o := range offered {
		if str(o, "text", "text") == said {
			return o, nil
		}
	}
	for _, o := range offered {
		shown := str(o, "text", "text")
		if str(o, "value") == said {
			return o, nil
		}
		if strings.HasPrefix(strings.ToLower(shown), strings.ToLower(said)) {
			begins = append(begins, o)
		}
		names = append(names, shown)
	}
	if len(begins) == 1 {
		return begins[0], nil
	}
	return nil, fmt.Errorf("%d options begin so, of %q", len(begins), names)
}

func (w *Workspace) chooseUser(said string) (any, error) {
	if u := w.users.get(said); u != nil {
		return u.ID, nil
	}
	if u := w.userByHandle(strings.TrimPrefix(said, "@")); u != nil {
		return u.ID, nil
	}
	return nil, fmt.Errorf("no such person")
}

// report sends block_actions for an element of a view.
func (p *Person) report(ctx context.Context, v *view, block string, e, state obj) error {
	p.w.mu.Lock()
	u, err := p.able()
	if err != nil {
		p.w.mu.Unlock()
		return err
	}
	action := obj{"type": str(e, "type"), "block_id": block, "action_id": str(e, "action_id"), "action_ts": p.w.eventTS()}
	for _, k := range []string{"text", "value", "style", "placeholder"} {
		if e[k] != nil {
			action[k] = e[k]
		}
	}
	for k, val := range state {
		action[k] = val
	}
	payload := p.w.act("block_actions", u, v.id)
	payload["container"] = obj{"type": "view", "view_id": v.id}
	payload["view"], payload["actions"] = p.w.viewJSON(v), []any{action}
	p.w.mu.Unlock()
	return p.w.interact(ctx, payload)
}

// Option is one choice of a select.
type Option struct {
	Text, Value, Description string
	Group                    string // title of its group, empty if none
}

// Options says what the select with that label offers. An external select asks the app for what was typed; where that
// is shorter than its min_query_length (3 unless set), Slack does not ask and nothing is offered.
func (p *Person) Options(ctx context.Context, label, typed string) ([]Option, error) {
	f, err := p.field(label)
	if err != nil {
		return nil, err
	}
	return p.OptionsOf(ctx, f.view, f.BlockID, f.ActionID, typed)
}

// OptionsOf is Options for a page that knows the ids.
func (p *Person) OptionsOf(ctx context.Context, viewID, block, action, typed string) ([]Option, error) {
	p.w.mu.Lock()
	v := p.w.views[viewID]
	var e obj
	if v != nil && v.user == p.id {
		_, e = v.element(block, action)
	}
	p.w.mu.Unlock()
	if e == nil {
		return nil, ErrNoView
	}
	menu := e
	if strings.Contains(str(e, "type"), "external_select") {
		if least := minQuery(e); utf8.RuneCountInString(typed) < least {
			return nil, nil
		}
		var err error
		if menu, err = p.suggest(ctx, v, block, action, typed); err != nil {
			return nil, err
		}
	}
	return options(menu), nil
}

// options lists what a menu offers.
func options(menu obj) []Option {
	var out []Option
	add := func(group string, os []any) {
		for _, o := range os {
			out = append(out, Option{Text: str(o, "text", "text"), Value: str(o, "value"), Description: str(o, "description", "text"), Group: group})
		}
	}
	add("", list(menu, "options"))
	for _, g := range list(menu, "option_groups") {
		add(str(g, "label", "text"), list(g, "options"))
	}
	return out
}

func minQuery(e obj) int {
	if n, ok := number(e["min_query_length"]); ok {
		return n
	}
	return 3
}

// offer asks for what was typed and, where that matches nothing and an empty query is allowed, for the whole list.
func (p *Person) offer(ctx context.Context, viewID, block, action, typed string) ([]any, error) {
	p.w.mu.Lock()
	v := p.w.views[viewID]
	_, e := v.element(block, action)
	p.w.mu.Unlock()
	if least := minQuery(e); utf8.RuneCountInString(typed) < least {
		return nil, fmt.Errorf("Slack asks for options after %d characters", least)
	}
	menu, err := p.suggest(ctx, v, block, action, typed)
	if err == nil && len(offered(menu)) == 0 && minQuery(e) == 0 {
		menu, err = p.suggest(ctx, v, block, action, "")
	}
	return offered(menu), err
}

// suggest sends a block_suggestion and returns the menu in the acknowledgement.
func (p *Person) suggest(ctx context.Context, v *view, block, action, typed string) (obj, error) {
	p.w.mu.Lock()
	u, err := p.able()
	if err != nil {
		p.w.mu.Unlock()
		return nil, err
	}
	payload := p.w.act("block_suggestion", u, "")
	delete(payload, "trigger_id")
	payload["container"], payload["view"] = obj{"type": "view", "view_id": v.id}, p.w.viewJSON(v)
	payload["block_id"], payload["action_id"], payload["value"] = block, action, typed
	p.w.mu.Unlock()
	ack, err := p.w.deliver(ctx, envelope{kind: "interactive", payload: payload, accepts: true})
	if err != nil {
		return nil, fmt.Errorf("asking for options: %w", err)
	}
	menu, err := p.w.optionsAck(ack)
	return menu, err
}

// optionsAck checks the options in an acknowledgement. Slack's client shows "No results" for what it cannot read.
func (w *Workspace) optionsAck(ack json.RawMessage) (obj, error) {
	menu, _ := decode(ack).(obj)
	if problems := lintOptionsAck(menu); len(problems) > 0 {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.refuse("ack:block_suggestion", invalid("invalid_response", problems), string(ack))
		return nil, fmt.Errorf("the options were refused: %s", problems[0])
	}
	return menu, nil
}
