package slacktwin

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
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
	var trouble error
	var errs map[string]string
	_, err = p.w.deliver(ctx, envelope{kind: "interactive", payload: payload, accepts: true, done: func(ack json.RawMessage) {
		if p.w.views[v.id] != v { // closed while the app thought
			return
		}
		trouble = p.w.submitted(v, ack)
		errs = v.labelled()
	}})
	if err != nil {
		return nil, fmt.Errorf("%w (%w)", ErrTrouble, err)
	}
	return errs, trouble
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
		if offered, err = p.offer(ctx, v, e, block, value); err != nil {
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
