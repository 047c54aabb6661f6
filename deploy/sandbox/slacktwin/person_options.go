package slacktwin

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

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
func (p *Person) offer(ctx context.Context, v *view, e obj, block, typed string) ([]any, error) {
	least := minQuery(e)
	if utf8.RuneCountInString(typed) < least {
		return nil, fmt.Errorf("options are asked for after %d characters only", least)
	}
	menu, err := p.suggest(ctx, v, block, str(e, "action_id"), typed)
	if err == nil && len(offered(menu)) == 0 && least == 0 {
		menu, err = p.suggest(ctx, v, block, str(e, "action_id"), "")
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
