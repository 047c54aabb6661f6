package slacktwin

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
)

// View is a form or a Home as its person sees it now.
type View struct {
	ID, Type, CallbackID, ExternalID, Hash, PrivateMetadata string
	Title, Submit, Close                                    string
	Blocks                                                  json.RawMessage   // every block and action id filled in
	State                                                   json.RawMessage   // block id -> action id -> state, as in payloads
	Errors                                                  map[string]string // by block id
	Depth                                                   int               // 1 for the first of a stack

	w      *Workspace
	reader string
}

// Field is something a person can fill in.
type Field struct {
	Label, Hint, Placeholder string
	Type                     string // Slack's element type
	BlockID, ActionID        string
	Value                    string   // text, date, time, or the value of the option or user that is chosen
	Shown                    string   // what the person sees as the value
	Values                   []string // of multi-selects and checkboxes
	Options                  []Option // empty for external selects
	Optional, Multiline      bool
	Error                    string

	view string
}

// View returns the form on top of the person's stack, nil if none is open.
func (p *Person) View() *View {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	return p.w.showView(p.w.top(p.id), len(p.w.stacks[p.id]))
}

// Home returns what the app has published to the person's Home tab, nil if nothing yet.
func (p *Person) Home() *View {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	return p.w.showView(p.w.homes[p.id], 1)
}

// showView copies a view. The caller holds mu.
func (w *Workspace) showView(v *view, depth int) *View {
	if v == nil {
		return nil
	}
	return &View{ID: v.id, Type: v.kind(), CallbackID: str(v.body, "callback_id"), ExternalID: str(v.body, "external_id"), Hash: v.hash,
		PrivateMetadata: str(v.body, "private_metadata"), Title: str(v.body, "title", "text"), Submit: str(v.body, "submit", "text"),
		Close: str(v.body, "close", "text"), Blocks: raw(list(v.body, "blocks")), State: raw(v.values()),
		Errors: maps.Clone(v.errors), Depth: depth, w: w, reader: v.user}
}

// Fields lists what can be filled in, from top to bottom.
func (v *View) Fields() []Field {
	state := decode(v.State)
	var out []Field
	for _, b := range list(obj{"b": decode(v.Blocks)}, "b") {
		b, _ := b.(obj)
		for _, e := range elementsOf(b) {
			kind := str(e, "type")
			if stateful[kind] == "" {
				continue
			}
			f := Field{Label: labelOf(b, e), Hint: str(b, "hint", "text"), Placeholder: str(e, "placeholder", "text"), Type: kind,
				BlockID: str(b, "block_id"), ActionID: str(e, "action_id"), Options: options(e), view: v.ID,
				Optional: yes(b, "optional"), Multiline: yes(e, "multiline"), Error: v.Errors[str(b, "block_id")]}
			f.read(at(state, f.BlockID, f.ActionID, stateful[kind]), v.w)
			out = append(out, f)
		}
	}
	return out
}

// labelOf is what stands above or beside an element: the label of an input, the text of a section; else the placeholder.
func labelOf(b, e obj) string {
	for _, s := range []string{str(b, "label", "text"), str(b, "text", "text"), str(e, "placeholder", "text")} {
		if s != "" {
			return s
		}
	}
	return str(e, "action_id")
}

// read takes the value out of an element's state.
func (f *Field) read(s any, w *Workspace) {
	switch s := s.(type) {
	case string:
		f.Value, f.Shown = s, s
		if strings.Contains(f.Type, "users_select") {
			f.Shown = "@" + w.nameOf(s)
		}
	case obj:
		f.Value, f.Shown = str(s, "value"), str(s, "text", "text")
	case []any:
		var shown []string
		for _, one := range s {
			if id, ok := one.(string); ok {
				f.Values, shown = append(f.Values, id), append(shown, "@"+w.nameOf(id))
				continue
			}
			f.Values, shown = append(f.Values, str(one, "value")), append(shown, str(one, "text", "text"))
		}
		f.Value, f.Shown = strings.Join(f.Values, ","), strings.Join(shown, ", ")
	}
}

// Field finds an input by its label; nil if there is none or more than one.
func (v *View) Field(label string) *Field {
	f, err := v.find(label)
	if err != nil {
		return nil
	}
	return f
}

// find goes by the whole label first, then without regard to case and markup.
func (v *View) find(label string) (*Field, error) {
	all := v.Fields()
	for _, same := range []func(string) bool{
		func(s string) bool { return s == label },
		func(s string) bool { return strings.EqualFold(strings.Trim(s, "*_ "), label) },
	} {
		var found []Field
		for _, f := range all {
			if same(f.Label) {
				found = append(found, f)
			}
		}
		if len(found) == 1 {
			return &found[0], nil
		}
		if len(found) > 1 {
			return nil, fmt.Errorf("%d fields are labelled %q", len(found), label)
		}
	}
	return nil, fmt.Errorf("no field %q in the form %q, only %q", label, v.Title, v.Labels())
}

// Labels lists the labels of the fields.
func (v *View) Labels() []string {
	var out []string
	for _, f := range v.Fields() {
		out = append(out, f.Label)
	}
	return out
}

// Buttons lists the texts of the buttons in the view's blocks; submit and close are not among them.
func (v *View) Buttons() []string {
	var out []string
	for _, b := range buttonsIn(decode(v.Blocks), nil) {
		out = append(out, b.text)
	}
	return out
}

// PlainText renders the view as a person would read it out.
func (v *View) PlainText() string {
	r := v.w.renderer(v.reader)
	out := r.blocks(decode(v.Blocks))
	if v.Title != "" {
		out = v.Title + "\n" + out
	}
	return out
}

// ClickView presses a button in the open form by its text or action id; nth counts from 0 among those that fit, -1
// demands that exactly one does.
func (p *Person) ClickView(ctx context.Context, button string, nth int) error {
	p.w.mu.Lock()
	v := p.w.top(p.id)
	p.w.mu.Unlock()
	return p.clickIn(ctx, v, button, nth)
}

// ClickHome presses a button on the person's Home tab; nth as in ClickView.
func (p *Person) ClickHome(ctx context.Context, button string, nth int) error {
	p.w.mu.Lock()
	v := p.w.homes[p.id]
	p.w.mu.Unlock()
	return p.clickIn(ctx, v, button, nth)
}

func (p *Person) clickIn(ctx context.Context, v *view, button string, nth int) error {
	if v == nil {
		return ErrNoView
	}
	p.w.mu.Lock()
	b, err := pick(buttonsIn(list(v.body, "blocks"), nil), button, nth)
	if err == nil {
		p.w.confirmed[p.id] = b.confirm()
	}
	p.w.mu.Unlock()
	if err != nil {
		return err
	}
	return p.report(ctx, v, b.block, b.element, b.state())
}
