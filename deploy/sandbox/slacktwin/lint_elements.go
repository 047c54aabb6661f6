package slacktwin

import (
	"fmt"
	"reflect"
	"time"
)

// stateful names the elements that hold a value, and where their state keeps it.
var stateful = map[string]string{
	"plain_text_input": "value", "static_select": "selected_option", "external_select": "selected_option",
	"users_select": "selected_user", "multi_static_select": "selected_options", "multi_external_select": "selected_options",
	"multi_users_select": "selected_users", "checkboxes": "selected_options", "radio_buttons": "selected_option",
	"datepicker": "selected_date", "timepicker": "selected_time",
}

// interactive names everything with an action_id.
var interactive = map[string]bool{
	"button": true, "overflow": true, "plain_text_input": true, "static_select": true, "external_select": true,
	"users_select": true, "multi_static_select": true, "multi_external_select": true, "multi_users_select": true,
	"checkboxes": true, "radio_buttons": true, "datepicker": true, "timepicker": true,
}

// in names where an element may stand.
type in int

const (
	inSection in = iota
	inActions
	inInput
)

// element is the rule for an element in a section's accessory, an actions block or an input block.
func element(place in) rule {
	return func(l *lint, ptr string, v any) {
		kind := str(v, "type")
		table := elementTable(kind)
		switch {
		case v != nil && table == nil,
			kind == "button" && place == inInput, kind == "overflow" && place == inInput, kind == "image" && place != inSection,
			kind == "plain_text_input" && place != inInput:
			l.bad(ptr+"/type", "unsupported type: %s", kind)
			return
		}
		if interactive[kind] {
			table["action_id"] = may(uniqueAction)
		}
		if kind != "image" && kind != "overflow" && kind != "button" {
			table["focus_on_load"] = may(focus)
		}
		if place == inInput {
			delete(table, "confirm") // the form's submit is the confirmation
		}
		if !l.object(ptr, v, table) {
			return
		}
		checkMenu(l, ptr, v.(obj))
	}
}

// elementTable is the fields of an element, nil if the twin does not know it.
func elementTable(kind string) fields {
	dialog, hint := may(confirm), may(plain(150))
	menu := fields{"placeholder": hint, "confirm": dialog}
	add := func(more fields) fields {
		for k, f := range more {
			menu[k] = f
		}
		return menu
	}
	opts, groups := may(items(1, 100, option(false, false))), may(items(1, 100, optionGroup))
	switch kind {
	case "button":
		return fields{"text": must(plain(75)), "url": may(text(1, 3000)), "value": may(text(0, 2000)), "style": may(oneOf("primary", "danger")),
			"confirm": dialog, "accessibility_label": may(text(0, 75))}
	case "image":
		return fields{"image_url": must(text(1, 3000)), "alt_text": must(text(1, 2000))}
	case "overflow":
		return fields{"options": must(items(1, 5, option(false, true))), "confirm": dialog}
	case "static_select":
		return add(fields{"options": opts, "option_groups": groups, "initial_option": may(option(false, false))})
	case "multi_static_select":
		return add(fields{"options": opts, "option_groups": groups, "max_selected_items": may(whole(1, 1000)),
			"initial_options": may(items(1, 100, option(false, false)))})
	case "external_select":
		return add(fields{"min_query_length": may(whole(0, 1000)), "initial_option": may(option(false, false))})
	case "multi_external_select":
		return add(fields{"min_query_length": may(whole(0, 1000)), "max_selected_items": may(whole(1, 1000)),
			"initial_options": may(items(1, 100, option(false, false)))})
	case "users_select":
		return add(fields{"initial_user": may(text(1, 255))})
	case "multi_users_select":
		return add(fields{"initial_users": may(items(0, 100, text(1, 255))), "max_selected_items": may(whole(1, 1000))})
	case "datepicker":
		return add(fields{"initial_date": may(moment(time.DateOnly, "YYYY-MM-DD"))})
	case "timepicker":
		return add(fields{"initial_time": may(moment("15:04", "HH:mm")), "timezone": may(text(1, 100))})
	case "checkboxes":
		return fields{"options": must(items(1, 10, option(true, false))), "initial_options": may(items(1, 10, option(true, false))), "confirm": dialog}
	case "radio_buttons":
		return fields{"options": must(items(1, 10, option(true, false))), "initial_option": may(option(true, false)), "confirm": dialog}
	case "plain_text_input":
		return fields{"initial_value": may(text(0, 3000)), "multiline": may(boolean), "min_length": may(whole(0, 3000)),
			"max_length": may(whole(1, 3000)), "placeholder": hint, "dispatch_action_config": may(dispatchConfig)}
	}
	return nil
}

func dispatchConfig(l *lint, ptr string, v any) {
	l.object(ptr, v, fields{"trigger_actions_on": may(items(1, 2, oneOf("on_enter_pressed", "on_character_entered")))})
}

// moment is a date or a time of day in Slack's form.
func moment(layout, shown string) rule {
	return func(l *lint, ptr string, v any) {
		s, _ := v.(string)
		if _, err := time.Parse(layout, s); err != nil {
			l.bad(ptr, "must be in the format %s", shown)
		}
	}
}

// uniqueAction: an action id belongs to one element of its block.
func uniqueAction(l *lint, ptr string, v any) {
	text(1, 255)(l, ptr, v)
	s, _ := v.(string)
	if l.actions[s] {
		l.bad(ptr, "`action_id` %q already exists", s)
	}
	l.actions[s] = true
}

// focus: one element of a view may have it, and no message.
func focus(l *lint, ptr string, v any) {
	boolean(l, ptr, v)
	if on, _ := v.(bool); !on {
		return
	}
	if l.focused++; l.focused > 1 {
		l.bad(ptr, "only one element can have focus_on_load set to true")
	}
	if l.on == onMessage {
		l.bad(ptr, "invalid additional property: focus_on_load")
	}
}

// checkMenu: what a table cannot say. Options or groups, one of them; what is chosen at first must be on offer.
func checkMenu(l *lint, ptr string, e obj) {
	switch str(e, "type") {
	case "static_select", "multi_static_select":
		if (e["options"] == nil) == (e["option_groups"] == nil) {
			l.bad(ptr, "must define either `options` or `option_groups`")
		}
	case "checkboxes", "radio_buttons":
	case "plain_text_input":
		lo, _ := number(e["min_length"])
		if hi, ok := number(e["max_length"]); ok && lo > hi {
			l.bad(ptr+"/min_length", "must be less than or equal to max_length")
		}
		return
	default:
		return
	}
	on := offered(e)
	if one := e["initial_option"]; one != nil && !among(on, one) {
		l.bad(ptr+"/initial_option", "initial option must match one of the options")
	}
	for i, c := range list(e, "initial_options") {
		if !among(on, c) {
			l.bad(fmt.Sprintf("%s/initial_options/%d", ptr, i), "initial option must match one of the options")
		}
	}
}

// among says whether exactly this option is offered.
func among(offered []any, o any) bool {
	for _, x := range offered {
		if reflect.DeepEqual(x, o) {
			return true
		}
	}
	return false
}

// offered lists the options of a menu, groups unfolded.
func offered(e any) []any {
	all := append([]any(nil), list(e, "options")...)
	for _, g := range list(e, "option_groups") {
		all = append(all, list(g, "options")...)
	}
	return all
}
