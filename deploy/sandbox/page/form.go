package page

import (
	"slices"

	"breakglass/deploy/sandbox/slacktwin"
)

// field is something to fill in.
type field struct {
	Kind                            string // text, select, search, people, many, checkboxes, radio, date, time
	Label, Placeholder, Value       string
	Shown                           string
	Error                           string
	ID, View, Block, Action, TestID string
	Optional, Multiline, Focus      bool
	Multi                           bool // of a search
	Dispatch                        bool // the app hears of every change
	OnEnter                         bool // the app hears of text when Enter is pressed
	Least                           int  // characters before a search asks the app
	MaxLength                       int
	Groups                          []optionGroup
	Confirm                         *confirm
}

type optionGroup struct {
	Title   string
	Options []option
}

type option struct {
	Text, Value, Description string
	Chosen                   bool
}

// form is a modal as it is drawn; home is the same without a frame.
type form struct {
	ID, Title, Submit, Close string
	Depth                    int
	Blocks                   []block
	Errors                   int
}

func (s *site) form(reader string, v *slacktwin.View) *form {
	if v == nil {
		return nil
	}
	on := &surface{w: writer{s, reader}, kind: "view", view: v, fields: map[[2]string]slacktwin.Field{}}
	if v.Type == "home" {
		on.kind = "home"
	}
	for _, f := range v.Fields() {
		on.fields[[2]string{f.BlockID, f.ActionID}] = f
	}
	return &form{ID: v.ID, Title: v.Title, Submit: v.Submit, Close: first(v.Close, "Close"), Depth: v.Depth,
		Blocks: on.blocks(decode(v.Blocks)), Errors: len(v.Errors)}
}

var fieldKinds = map[string]string{"plain_text_input": "text", "static_select": "select", "external_select": "search", "users_select": "select",
	"multi_static_select": "many", "multi_external_select": "search", "multi_users_select": "many", "checkboxes": "many",
	"radio_buttons": "radio", "datepicker": "date", "timepicker": "time"}

// field makes the control of an element from its JSON and from what the twin says is in it now.
func (s *surface) field(b, e any) *field {
	kind, block, action := str(e, "type"), str(b, "block_id"), str(e, "action_id")
	now := s.fields[[2]string{block, action}]
	f := &field{Kind: fieldKinds[kind], Label: now.Label, Placeholder: now.Placeholder, Value: now.Value, Shown: now.Shown, Error: now.Error,
		View: s.view.ID, Block: block, Action: action, ID: "f-" + s.view.ID + "-" + block + "-" + action, TestID: "field-" + now.Label,
		Optional: now.Optional, Multiline: now.Multiline, Focus: yes(e, "focus_on_load"), Multi: kind == "multi_external_select", Least: 3,
		MaxLength: int(whole(at(e, "max_length"))), Dispatch: str(b, "type") != "input" || yes(b, "dispatch_action")}
	if n, ok := at(e, "min_query_length").(float64); ok {
		f.Least = int(n)
	}
	f.OnEnter = kind == "plain_text_input" && f.Dispatch && !slices.Contains(list(e, "dispatch_action_config", "trigger_actions_on"), any("on_character_entered"))
	switch kind {
	case "users_select", "multi_users_select":
		f.Groups = []optionGroup{{Options: s.w.s.everybody()}}
	default:
		f.Groups = groups(now.Options)
	}
	if kind == "multi_external_select" { // what is chosen is all that is known of it
		f.Groups = []optionGroup{{Options: chosenOf(now)}}
	}
	for g := range f.Groups {
		for i := range f.Groups[g].Options {
			o := &f.Groups[g].Options[i]
			o.Chosen = o.Chosen || o.Value == now.Value && len(now.Values) == 0 && now.Value != "" || slices.Contains(now.Values, o.Value)
		}
	}
	return f
}

// groups puts options under the titles of their groups.
func groups(all []slacktwin.Option) []optionGroup {
	var out []optionGroup
	for _, o := range all {
		if len(out) == 0 || out[len(out)-1].Title != o.Group {
			out = append(out, optionGroup{Title: o.Group})
		}
		g := &out[len(out)-1]
		g.Options = append(g.Options, option{Text: o.Text, Value: o.Value, Description: o.Description})
	}
	return out
}

func chosenOf(f slacktwin.Field) []option {
	var out []option
	for _, v := range f.Values {
		out = append(out, option{Text: v, Value: v, Chosen: true})
	}
	return out
}

// everybody is what a select of people offers.
func (s *site) everybody() []option {
	var out []option
	for _, p := range s.world.People {
		out = append(out, option{Text: p.Name, Value: p.Slack})
	}
	return out
}
