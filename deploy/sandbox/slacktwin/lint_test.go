package slacktwin_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"breakglass/deploy/sandbox/slacktwin"
)

// ask calls the Web API without a client, so that a payload arrives as it was written.
func ask(t *testing.T, w *slacktwin.Workspace, method string, args map[string]any) (string, []string) {
	t.Helper()
	body, err := json.Marshal(args)
	if err != nil {
		t.Fatal(err)
	}
	req := httptest.NewRequest("POST", "/api/"+method, bytes.NewReader(body))
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer xoxb-twin")
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, req)
	answer := decode[struct {
		OK       bool
		Error    string
		Metadata struct{ Messages []string } `json:"response_metadata"`
	}](t, rec.Body.String())
	return answer.Error, answer.Metadata.Messages
}

type m = map[string]any

func s(n int) string { return strings.Repeat("é", n) } // Slack counts characters, not bytes

func text(kind string, n int) m { return m{"type": kind, "text": s(n)} }

// many makes n things.
func many(n int, f func(i int) any) []any {
	out := make([]any, 0, n)
	for i := range n {
		out = append(out, f(i))
	}
	return out
}

func one(v any) []any { return []any{v} }

func opts(n int) []any {
	return many(n, func(i int) any { return m{"text": text("plain_text", 5), "value": fmt.Sprint(i)} })
}

func actions(els ...any) m          { return m{"type": "actions", "elements": els} }
func input(e any) m                 { return m{"type": "input", "label": text("plain_text", 5), "element": e} }
func with(o m, key string, v any) m { o[key] = v; return o }
func btn() m                        { return m{"type": "button", "text": text("plain_text", 5)} }
func menu(opts []any) m             { return m{"type": "static_select", "action_id": "a", "options": opts} }
func section() m                    { return m{"type": "section", "text": text("mrkdwn", 5)} }
func entry(key string, v any) []any {
	return one(with(m{"text": text("plain_text", 5), "value": "v"}, key, v))
}
func dialog(key string, v any) m {
	return with(m{"title": text("plain_text", 5), "text": text("plain_text", 5), "confirm": text("plain_text", 5), "deny": text("plain_text", 5)}, key, v)
}

// A limit: at it a thing passes, one past it is refused with this pointer and constraint.
type limit struct {
	name    string
	at      int
	make    func(n int) m
	pointer string
	says    string
}

func chars(n int) string { return fmt.Sprintf("must be less than %d characters", n+1) }
func count(n int) string { return fmt.Sprintf("no more than %d items allowed", n) }

func blockLimits() []limit {
	return []limit{
		{"section text", 3000, func(n int) m { return m{"type": "section", "text": text("mrkdwn", n)} }, "/text/text", chars(3000)},
		{"section field", 2000, func(n int) m { return m{"type": "section", "fields": one(text("mrkdwn", n))} }, "/fields/0/text", chars(2000)},
		{"section fields", 10, func(n int) m {
			return m{"type": "section", "fields": many(n, func(int) any { return text("mrkdwn", 3) })}
		}, "/fields", count(10)},
		{"header", 150, func(n int) m { return m{"type": "header", "text": text("plain_text", n)} }, "/text/text", chars(150)},
		{"context elements", 10, func(n int) m {
			return m{"type": "context", "elements": many(n, func(int) any { return text("mrkdwn", 3) })}
		}, "/elements", count(10)},
		{"actions elements", 25, func(n int) m { return actions(many(n, func(int) any { return btn() })...) }, "/elements", count(25)},
		{"block_id", 255, func(n int) m { return with(section(), "block_id", s(n)) }, "/block_id", chars(255)},
		{"action_id", 255, func(n int) m { return actions(with(btn(), "action_id", s(n))) }, "/elements/0/action_id", chars(255)},
		{"button text", 75, func(n int) m { return actions(with(btn(), "text", text("plain_text", n))) }, "/elements/0/text/text", chars(75)},
		{"button value", 2000, func(n int) m { return actions(with(btn(), "value", s(n))) }, "/elements/0/value", chars(2000)},
		{"button url", 3000, func(n int) m { return actions(with(btn(), "url", s(n))) }, "/elements/0/url", chars(3000)},
		{"accessibility_label", 75, func(n int) m { return actions(with(btn(), "accessibility_label", s(n))) }, "/elements/0/accessibility_label", chars(75)},
		{"confirm title", 100, func(n int) m { return actions(with(btn(), "confirm", dialog("title", text("plain_text", n)))) }, "/elements/0/confirm/title/text", chars(100)},
		{"confirm text", 300, func(n int) m { return actions(with(btn(), "confirm", dialog("text", text("mrkdwn", n)))) }, "/elements/0/confirm/text/text", chars(300)},
		{"confirm yes", 30, func(n int) m { return actions(with(btn(), "confirm", dialog("confirm", text("plain_text", n)))) }, "/elements/0/confirm/confirm/text", chars(30)},
		{"confirm no", 30, func(n int) m { return actions(with(btn(), "confirm", dialog("deny", text("plain_text", n)))) }, "/elements/0/confirm/deny/text", chars(30)},
		{"select options", 100, func(n int) m { return actions(menu(opts(n))) }, "/elements/0/options", count(100)},
		{"select groups", 100, func(n int) m {
			return actions(m{"type": "static_select", "option_groups": many(n, func(int) any { return m{"label": text("plain_text", 5), "options": opts(1)} })})
		}, "/elements/0/option_groups", count(100)},
		{"group options", 100, func(n int) m {
			return actions(m{"type": "static_select", "option_groups": one(m{"label": text("plain_text", 5), "options": opts(n)})})
		}, "/elements/0/option_groups/0/options", count(100)},
		{"option text", 75, func(n int) m { return actions(menu(entry("text", text("plain_text", n)))) }, "/elements/0/options/0/text/text", chars(75)},
		{"option value", 150, func(n int) m { return actions(menu(entry("value", s(n)))) }, "/elements/0/options/0/value", chars(150)},
		{"option description", 75, func(n int) m { return actions(menu(entry("description", text("plain_text", n)))) }, "/elements/0/options/0/description/text", chars(75)},
		{"placeholder", 150, func(n int) m { return actions(with(menu(opts(1)), "placeholder", text("plain_text", n))) }, "/elements/0/placeholder/text", chars(150)},
		{"overflow", 5, func(n int) m { return with(section(), "accessory", m{"type": "overflow", "options": opts(n)}) }, "/accessory/options", count(5)},
		{"checkboxes", 10, func(n int) m { return actions(m{"type": "checkboxes", "options": opts(n)}) }, "/elements/0/options", count(10)},
		{"radio buttons", 10, func(n int) m { return actions(m{"type": "radio_buttons", "options": opts(n)}) }, "/elements/0/options", count(10)},
		{"image alt", 2000, func(n int) m { return m{"type": "image", "image_url": "https://x", "alt_text": s(n)} }, "/alt_text", chars(2000)},
	}
}

func formLimits() []limit {
	area := func(key string, v any) m { return input(with(m{"type": "plain_text_input"}, key, v)) }
	return []limit{
		{"label", 2000, func(n int) m { return with(input(m{"type": "plain_text_input"}), "label", text("plain_text", n)) }, "/label/text", chars(2000)},
		{"hint", 2000, func(n int) m { return with(input(m{"type": "plain_text_input"}), "hint", text("plain_text", n)) }, "/hint/text", chars(2000)},
		{"input max_length", 3000, func(n int) m { return area("max_length", n) }, "/element/max_length", "must be an integer from 1 to 3000"},
		{"input placeholder", 150, func(n int) m { return area("placeholder", text("plain_text", n)) }, "/element/placeholder/text", chars(150)},
		{"input initial_value", 3000, func(n int) m { return area("initial_value", s(n)) }, "/element/initial_value", chars(3000)},
	}
}

func modal(blocks []any) m {
	return m{"type": "modal", "title": text("plain_text", 5), "submit": text("plain_text", 5), "blocks": blocks}
}

func viewLimits() []limit {
	return []limit{
		{"title", 24, func(n int) m { return with(modal(one(section())), "title", text("plain_text", n)) }, "/title/text", chars(24)},
		{"submit", 24, func(n int) m { return with(modal(one(section())), "submit", text("plain_text", n)) }, "/submit/text", chars(24)},
		{"close", 24, func(n int) m { return with(modal(one(section())), "close", text("plain_text", n)) }, "/close/text", chars(24)},
		{"private_metadata", 3000, func(n int) m { return with(modal(one(section())), "private_metadata", s(n)) }, "/private_metadata", chars(3000)},
		{"callback_id", 255, func(n int) m { return with(modal(one(section())), "callback_id", s(n)) }, "/callback_id", chars(255)},
		{"external_id", 255, func(n int) m { return with(modal(one(section())), "external_id", s(n)) }, "/external_id", chars(255)},
		{"blocks", 100, func(n int) m { return modal(many(n, func(int) any { return section() })) }, "/blocks", count(100)},
	}
}

// Each limit of Slack's: at it a thing passes, one past it is refused and named.
func TestLimits(t *testing.T) {
	w := slacktwin.New(slacktwin.Config{})
	w.SetQuotas(false)
	w.AddChannel(slacktwin.Channel{ID: "C1", Name: "x", Members: []string{w.BotUserID()}})
	message := func(b any) (string, []string) { return ask(t, w, "chat.postMessage", m{"channel": "C1", "blocks": b}) }
	view := func(v any) (string, []string) { // the view is checked before the trigger
		code, msgs := ask(t, w, "views.open", m{"trigger_id": "none", "view": v})
		if code == "invalid_trigger_id" {
			code = ""
		}
		return code, msgs
	}
	try := func(kind, root string, ls []limit, send func(m) (string, []string), want string) {
		for _, l := range ls {
			t.Run(kind+" "+l.name, func(t *testing.T) {
				if code, msgs := send(l.make(l.at)); code != "" {
					t.Errorf("at the limit of %d: %s %q", l.at, code, msgs)
				}
				code, msgs := send(l.make(l.at + 1))
				says := "[ERROR] " + l.says + " [json-pointer:" + root + l.pointer + "]"
				if code != want || len(msgs) != 1 || msgs[0] != says {
					t.Errorf("past the limit of %d: %s %q, want %s %q", l.at, code, msgs, want, says)
				}
			})
		}
	}
	try("message", "/blocks/0", blockLimits(), func(b m) (string, []string) { return message(one(b)) }, "invalid_blocks")
	try("form", "/view/blocks/0", append(blockLimits(), formLimits()...), func(b m) (string, []string) { return view(modal(one(b))) }, "invalid_arguments")
	try("view", "/view", viewLimits(), func(v m) (string, []string) { return view(v) }, "invalid_arguments")
	try("message", "", []limit{{"blocks", 50, func(n int) m { return m{"b": many(n, func(int) any { return section() })} }, "/blocks", count(50)}},
		func(b m) (string, []string) { return message(b["b"]) }, "invalid_blocks")
	legacy := func(actions []any) m {
		return m{"callback_id": "c", "fallback": "f", "actions": actions}
	}
	act := func(n int) m { return m{"name": "n", "text": "t", "type": "button", "value": s(n)} }
	try("attachment", "/attachments/0", []limit{
		{"actions", 5, func(n int) m { return legacy(many(n, func(int) any { return act(3) })) }, "/actions", count(5)},
		{"value", 2000, func(n int) m { return legacy(one(act(n))) }, "/actions/0/value", chars(2000)},
	}, func(a m) (string, []string) {
		return ask(t, w, "chat.postMessage", m{"channel": "C1", "attachments": one(a)})
	}, "invalid_attachments")
}

// What has no number: things that are missing, foreign, twice there, or in the wrong place.
func TestRules(t *testing.T) {
	w := slacktwin.New(slacktwin.Config{})
	w.SetQuotas(false)
	w.AddChannel(slacktwin.Channel{ID: "C1", Name: "x", Members: []string{w.BotUserID()}})
	for _, c := range []struct{ name, blocks, says string }{
		{"no type", `[{}]`, "missing required field: type [json-pointer:/blocks/0]"},
		{"unknown block", `[{"type":"carousel"}]`, "unsupported type: carousel [json-pointer:/blocks/0/type]"},
		{"unknown field", `[{"type":"divider","colour":"red"}]`, "invalid additional property: colour [json-pointer:/blocks/0]"},
		{"input in a message", `[{"type":"input","label":{"type":"plain_text","text":"x"},"element":{"type":"plain_text_input"}}]`, "unsupported type: input [json-pointer:/blocks/0/type]"},
		{"empty text", `[{"type":"section","text":{"type":"mrkdwn","text":""}}]`, "must be more than 0 characters [json-pointer:/blocks/0/text/text]"},
		{"text that is a string", `[{"type":"section","text":"x"}]`, "must provide an object [json-pointer:/blocks/0/text]"},
		{"empty section", `[{"type":"section"}]`, "must define either `text` or `fields` [json-pointer:/blocks/0]"},
		{"mrkdwn header", `[{"type":"header","text":{"type":"mrkdwn","text":"x"}}]`, "must be plain_text [json-pointer:/blocks/0/text/type]"},
		{"no elements", `[{"type":"actions"}]`, "missing required field: elements [json-pointer:/blocks/0]"},
		{"no options", `[{"type":"actions","elements":[{"type":"static_select","options":[]}]}]`, "must provide at least 1 items [json-pointer:/blocks/0/elements/0/options]"},
		{"neither options nor groups", `[{"type":"actions","elements":[{"type":"static_select"}]}]`, "must define either `options` or `option_groups` [json-pointer:/blocks/0/elements/0]"},
		{"empty value", `[{"type":"actions","elements":[{"type":"static_select","options":[{"text":{"type":"plain_text","text":"x"},"value":""}]}]}]`, "must be more than 0 characters [json-pointer:/blocks/0/elements/0/options/0/value]"},
		{"initial option not on offer", `[{"type":"actions","elements":[{"type":"static_select","options":[{"text":{"type":"plain_text","text":"x"},"value":"x"}],"initial_option":{"text":{"type":"plain_text","text":"y"},"value":"y"}}]}]`, "initial option must match one of the options [json-pointer:/blocks/0/elements/0/initial_option]"},
		{"two of one block_id", `[{"type":"divider","block_id":"a"},{"type":"divider","block_id":"a"}]`, "`block_id` \"a\" already exists [json-pointer:/blocks/1/block_id]"},
		{"two of one action_id", `[{"type":"actions","elements":[{"type":"button","text":{"type":"plain_text","text":"x"},"action_id":"a"},{"type":"button","text":{"type":"plain_text","text":"y"},"action_id":"a"}]}]`, "`action_id` \"a\" already exists [json-pointer:/blocks/0/elements/1/action_id]"},
		{"loud button", `[{"type":"actions","elements":[{"type":"button","text":{"type":"plain_text","text":"x"},"style":"loud"}]}]`, "must be a valid enum value [json-pointer:/blocks/0/elements/0/style]"},
		{"text input among actions", `[{"type":"actions","elements":[{"type":"plain_text_input"}]}]`, "unsupported type: plain_text_input [json-pointer:/blocks/0/elements/0/type]"},
		{"unknown element", `[{"type":"actions","elements":[{"type":"workflow_button"}]}]`, "unsupported type: workflow_button [json-pointer:/blocks/0/elements/0/type]"},
		{"rich text of nothing known", `[{"type":"rich_text","elements":[{"type":"rich_text_section","elements":[{"type":"canvas"}]}]}]`, "unsupported type: canvas [json-pointer:/blocks/0/elements/0/elements/0/type]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, msgs := ask(t, w, "chat.postMessage", m{"channel": "C1", "blocks": json.RawMessage(c.blocks)})
			if code != "invalid_blocks" || len(msgs) != 1 || msgs[0] != "[ERROR] "+c.says {
				t.Errorf("%s %q, want %q", code, msgs, c.says)
			}
		})
	}
	for _, c := range []struct {
		name string
		view m
		says string
	}{
		{"no title", m{"type": "modal", "blocks": one(section())}, "missing required field: title [json-pointer:/view]"},
		{"no submit", m{"type": "modal", "title": text("plain_text", 3), "blocks": one(input(m{"type": "plain_text_input"}))}, "must define `submit` to use an `input` block in modals [json-pointer:/view/blocks/0/input]"},
		{"home with a title", m{"type": "home", "title": text("plain_text", 3), "blocks": one(section())}, "invalid additional property: title [json-pointer:/view]"},
		{"button as an input", modal(one(input(btn()))), "unsupported type: button [json-pointer:/view/blocks/0/element/type]"},
		{"two with focus", modal([]any{input(m{"type": "plain_text_input", "focus_on_load": true}), input(m{"type": "plain_text_input", "focus_on_load": true})}), "only one element can have focus_on_load set to true [json-pointer:/view/blocks/1/element/focus_on_load]"},
		{"min over max", modal(one(input(m{"type": "plain_text_input", "min_length": 5, "max_length": 4}))), "must be less than or equal to max_length [json-pointer:/view/blocks/0/element/min_length]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, msgs := ask(t, w, "views.open", m{"trigger_id": "x", "view": c.view})
			if code != "invalid_arguments" || len(msgs) != 1 || msgs[0] != "[ERROR] "+c.says {
				t.Errorf("%s %q, want %q", code, msgs, c.says)
			}
		})
	}
	big := modal(many(100, func(i int) any { return m{"type": "section", "text": text("mrkdwn", 3000)} }))
	if code, _ := ask(t, w, "views.open", m{"trigger_id": "x", "view": big}); code != "view_too_large" {
		t.Errorf("a view of 600 KB: %s", code)
	}
	long := many(5, func(i int) any { return m{"type": "section", "text": text("mrkdwn", 2900)} })
	if code, _ := ask(t, w, "chat.postMessage", m{"channel": "C1", "blocks": long}); code != "msg_blocks_too_long" {
		t.Errorf("14,500 characters of blocks: %s", code)
	}
}
