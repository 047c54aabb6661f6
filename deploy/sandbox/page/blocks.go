package page

import (
	"fmt"

	"breakglass/deploy/sandbox/slacktwin"
)

// block is a block as the templates draw it.
type block struct {
	Kind     string // header, section, context, actions, divider, image, input, rich_text; anything else is drawn as unsupported
	ID       string
	Text     []inline
	Fields   [][]inline
	Parts    []part
	Elements []element // of context and actions; the accessory of a section
	Field    *field    // of an input
	Label    string
	Hint     string
}

// part is a piece of a rich_text block: a section, quote, preformatted text, or a list with its items.
type part struct {
	Kind   string
	Text   []inline
	Items  []part
	Indent int
	Start  int // of an ordered list
	Border bool
}

// element is something in a block: text, an image, a button, a menu, or a field to fill in.
type element struct {
	Kind   string // text, image, button, overflow, field, off
	Text   []inline
	Alt    string
	Button *button
	Menu   []*button // entries of an overflow menu
	Field  *field
	Label  string
}

// button is something to press. Want and Nth are how the twin finds it again.
type button struct {
	Text, Label, Style, URL, TestID string
	Want                            string
	Nth                             int
	Surface                         string // message, view, home
	Channel, TS                     string
	Confirm                         *confirm
	Off                             string // why it cannot be pressed
}

type confirm struct{ Title, Text, OK, Cancel, Style string }

// surface is where blocks stand: a message of ours or of another tool, a form, a Home.
type surface struct {
	w      writer
	kind   string // message, view, home
	ch, ts string
	off    string
	view   *slacktwin.View
	fields map[[2]string]slacktwin.Field
	names  []string // of the buttons so far, text and action id in turn, as the twin counts them
}

func (s *surface) blocks(v any) []block {
	all, _ := v.([]any)
	var out []block
	for _, b := range all {
		out = append(out, s.block(b))
	}
	return out
}

func (s *surface) block(b any) block {
	out := block{Kind: str(b, "type"), ID: str(b, "block_id")}
	switch out.Kind {
	case "header":
		out.Text = s.text(at(b, "text"))
	case "section":
		out.Text = s.text(at(b, "text"))
		for _, f := range list(b, "fields") {
			out.Fields = append(out.Fields, s.text(f))
		}
		if a := at(b, "accessory"); a != nil {
			out.Elements = []element{s.element(b, a)}
		}
	case "context", "actions":
		for _, e := range list(b, "elements") {
			out.Elements = append(out.Elements, s.element(b, e))
		}
	case "rich_text":
		for _, e := range list(b, "elements") {
			out.Parts = append(out.Parts, s.w.part(e))
		}
	case "input":
		out.Label, out.Hint = str(b, "label", "text"), str(b, "hint", "text")
		if e := s.element(b, at(b, "element")); e.Field != nil {
			out.Field = e.Field
			break
		}
		out.Kind = "input " + str(b, "element", "type")
	case "image":
		out.Label = first(str(b, "alt_text"), str(b, "title", "text"))
	case "divider":
	case "":
		out.Kind = "block without a type"
	}
	return out
}

// text renders a text object. Emoji in plain text are pictures unless the app said otherwise.
func (s *surface) text(t any) []inline {
	words := str(t, "text")
	if words == "" {
		return nil
	}
	if str(t, "type") == "mrkdwn" {
		return s.w.mrkdwn(words)
	}
	return []inline{{Kind: "text", Text: plainText(t)}}
}

func plainText(t any) string {
	if on, said := at(t, "emoji").(bool); said && !on {
		return str(t, "text")
	}
	return pictures(str(t, "text"))
}

func (s *surface) element(b, e any) element {
	switch kind := str(e, "type"); kind {
	case "mrkdwn", "plain_text":
		return element{Kind: "text", Text: s.text(e)}
	case "image":
		return element{Kind: "image", Alt: str(e, "alt_text")}
	case "button":
		return element{Kind: "button", Button: s.button(e, at(e, "text"), e)}
	case "overflow":
		out := element{Kind: "overflow", Label: "More"}
		for _, o := range list(e, "options") {
			out.Menu = append(out.Menu, s.button(e, at(o, "text"), o))
		}
		return out
	case "plain_text_input", "static_select", "external_select", "users_select", "multi_static_select", "multi_external_select",
		"multi_users_select", "checkboxes", "radio_buttons", "datepicker", "timepicker":
		if s.kind == "message" { // the twin does not choose from menus in messages
			return element{Kind: "off", Label: first(str(e, "placeholder", "text"), kind)}
		}
		return element{Kind: "field", Field: s.field(b, e)}
	default:
		return element{Kind: first(kind, "element without a type")}
	}
}

// button makes a button of an element; an entry of an overflow menu has its own text and address and the element's action id.
func (s *surface) button(e, text, own any) *button {
	out := &button{Text: plainText(text), Label: str(own, "accessibility_label"), Style: str(own, "style"), URL: str(own, "url"),
		TestID: "button-" + str(text, "text"), Want: str(e, "action_id"), Surface: s.kind, Channel: s.ch, TS: s.ts, Off: s.off}
	if c := at(e, "confirm"); c != nil {
		out.Confirm = &confirm{Title: plainText(at(c, "title")), Text: flat(s.text(at(c, "text"))), OK: str(c, "confirm", "text"),
			Cancel: str(c, "deny", "text"), Style: str(c, "style")}
	}
	s.count(out, str(text, "text"))
	return out
}

// count finds the number of a button among those that answer to the same name, in the order in which the twin goes through them.
func (s *surface) count(b *button, text string) {
	if b.Want == "" {
		b.Want = text
	}
	for i := 0; i < len(s.names); i += 2 {
		if s.names[i] == b.Want || s.names[i+1] == b.Want {
			b.Nth++
		}
	}
	s.names = append(s.names, text, b.Want)
}

// flat is the text of runs without their looks.
func flat(runs []inline) string {
	out := ""
	for _, r := range runs {
		out += r.Text + flat(r.Kids)
	}
	return out
}

// attachment is a legacy attachment: a coloured bar with a title, text, fields, buttons, and newer ones with blocks.
type attachment struct {
	Color                          string // #rrggbb, empty: grey
	Pretext, Title, Text, Fallback []inline
	TitleLink                      string
	Author, Footer                 string
	Fields                         []attachmentField
	Blocks                         []block
	Buttons                        []element
}

type attachmentField struct {
	Title string
	Value []inline
	Short bool
}

func (s *surface) attachments(v any) []attachment {
	all, _ := v.([]any)
	var out []attachment
	for _, a := range all {
		one := attachment{Color: color(str(a, "color")), Pretext: s.w.mrkdwn(str(a, "pretext")), Text: s.w.mrkdwn(str(a, "text")),
			Author: str(a, "author_name"), Footer: str(a, "footer"), Blocks: s.blocks(at(a, "blocks"))}
		if t := str(a, "title"); t != "" {
			one.Title = []inline{{Kind: "text", Text: t}}
			if link := str(a, "title_link"); link != "" {
				one.Title = []inline{s.w.link(link, t, "")}
			}
		}
		for _, f := range list(a, "fields") {
			one.Fields = append(one.Fields, attachmentField{str(f, "title"), s.w.mrkdwn(str(f, "value")), yes(f, "short")})
		}
		for _, act := range list(a, "actions") {
			one.Buttons = append(one.Buttons, s.legacy(act))
		}
		if len(one.Blocks) == 0 && len(one.Text)+len(one.Title)+len(one.Pretext)+len(one.Fields) == 0 {
			one.Fallback = []inline{{Kind: "text", Text: str(a, "fallback")}}
		}
		out = append(out, one)
	}
	return out
}

// legacy is a button of a legacy attachment; menus there can be looked at only.
func (s *surface) legacy(act any) element {
	text := str(act, "text")
	if str(act, "type") != "button" {
		return element{Kind: "off", Label: text}
	}
	b := &button{Text: pictures(text), Style: str(act, "style"), URL: str(act, "url"), TestID: "button-" + text, Want: str(act, "name"),
		Surface: s.kind, Channel: s.ch, TS: s.ts, Off: s.off}
	if c := at(act, "confirm"); c != nil {
		b.Confirm = &confirm{Title: str(c, "title"), Text: str(c, "text"), OK: str(c, "ok_text"), Cancel: str(c, "dismiss_text")}
	}
	s.count(b, text)
	return element{Kind: "button", Button: b}
}

// color reads an attachment's colour: one of Slack's three names, or six hexadecimal digits.
func color(s string) string {
	switch s {
	case "good":
		return "#2eb67d"
	case "warning":
		return "#ecb22e"
	case "danger":
		return "#e01e5a"
	}
	var r, g, b uint8
	if len(s) > 0 && s[0] == '#' {
		s = s[1:]
	}
	if n, err := fmt.Sscanf(s, "%02x%02x%02x", &r, &g, &b); n != 3 || err != nil || len(s) != 6 {
		return ""
	}
	return fmt.Sprintf("#%02x%02x%02x", r, g, b)
}
