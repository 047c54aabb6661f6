package slacktwin

import (
	"fmt"
)

// Limits of messages and views (docs: Block Kit reference).
const (
	messageBlocks = 50
	viewBlocks    = 100
)

// lintBlocks checks the blocks of a message or a view.
func lintBlocks(blocks []any, on surface, ptr string) []problem {
	l := &lint{on: on, blockIDs: map[string]bool{}}
	l.blocks(ptr, blocks)
	return l.problems
}

func (l *lint) blocks(ptr string, blocks []any) {
	max := viewBlocks
	if l.on == onMessage {
		max = messageBlocks
	}
	items(0, max, block)(l, ptr, blocks)
}

// block checks one block by its type.
func block(l *lint, ptr string, v any) {
	l.actions = map[string]bool{}
	kind := str(v, "type")
	if _, ok := v.(obj); !ok {
		l.bad(ptr, "must provide an object")
		return
	}
	if kind == "" {
		l.bad(ptr, "missing required field: type")
		return
	}
	table := blockTable(kind)
	if table == nil || kind == "input" && l.on == onMessage {
		l.bad(ptr+"/type", "unsupported type: %s", kind)
		return
	}
	table["block_id"] = may(uniqueBlock)
	l.object(ptr, v, table)
	if kind == "section" && at(v, "text") == nil && at(v, "fields") == nil {
		l.bad(ptr, "must define either `text` or `fields`")
	}
}

// blockTable is the fields of a block, nil if it is none of the classic ones.
func blockTable(kind string) fields {
	switch kind {
	case "section":
		return fields{"text": may(rich(3000)), "fields": may(items(1, 10, rich(2000))), "accessory": may(element(inSection)), "expand": may(boolean)}
	case "header":
		return fields{"text": must(plain(150))}
	case "divider":
		return fields{}
	case "context":
		return fields{"elements": must(items(1, 10, contextElement))}
	case "actions":
		return fields{"elements": must(items(1, 25, element(inActions)))}
	case "input":
		return fields{"label": must(plain(2000)), "hint": may(plain(2000)), "optional": may(boolean), "dispatch_action": may(boolean),
			"element": must(element(inInput))}
	case "image":
		return fields{"image_url": must(text(1, 3000)), "alt_text": must(text(1, 2000)), "title": may(plain(2000))}
	case "rich_text":
		return fields{"elements": must(items(1, 1000, richElement))}
	}
	return nil
}

// uniqueBlock: a block id belongs to one block of its message or view.
func uniqueBlock(l *lint, ptr string, v any) {
	text(1, 255)(l, ptr, v)
	s, _ := v.(string)
	if l.blockIDs[s] {
		l.bad(ptr, "`block_id` %q already exists", s)
	}
	l.blockIDs[s] = true
}

func contextElement(l *lint, ptr string, v any) {
	if str(v, "type") == "image" {
		l.object(ptr, v, elementTable("image"))
		return
	}
	rich(3000)(l, ptr, v)
}

// richElement is a part of a rich_text block.
func richElement(l *lint, ptr string, v any) {
	inline := must(items(0, 1000, richInline))
	switch kind := str(v, "type"); kind {
	case "rich_text_section":
		l.object(ptr, v, fields{"elements": inline})
	case "rich_text_preformatted", "rich_text_quote":
		l.object(ptr, v, fields{"elements": inline, "border": may(whole(0, 1))})
	case "rich_text_list":
		l.object(ptr, v, fields{"elements": must(items(1, 1000, listItem)), "style": must(oneOf("bullet", "ordered")),
			"indent": may(whole(0, 8)), "offset": may(whole(0, 1_000_000)), "border": may(whole(0, 1))})
	default:
		l.bad(ptr+"/type", "unsupported type: %s", kind)
	}
}

// listItem: a list holds sections and nothing else; deeper lists are lists of their own with an indent.
func listItem(l *lint, ptr string, v any) {
	if kind := str(v, "type"); kind != "rich_text_section" {
		l.bad(ptr+"/type", "unsupported type: %s", kind)
		return
	}
	richElement(l, ptr, v)
}

// richInline is a run of text, a mention, a link or the like in a rich_text block.
func richInline(l *lint, ptr string, v any) {
	style := may(richStyle)
	switch kind := str(v, "type"); kind {
	case "text":
		l.object(ptr, v, fields{"text": must(text(1, 12_000)), "style": style})
	case "link":
		l.object(ptr, v, fields{"url": must(text(1, 3000)), "text": may(text(0, 3000)), "unsafe": may(boolean), "style": style})
	case "emoji":
		l.object(ptr, v, fields{"name": must(text(1, 255)), "unicode": may(text(0, 255)), "skin_tone": may(whole(1, 6))})
	case "user":
		l.object(ptr, v, fields{"user_id": must(text(1, 255)), "style": style})
	case "usergroup":
		l.object(ptr, v, fields{"usergroup_id": must(text(1, 255)), "style": style})
	case "channel":
		l.object(ptr, v, fields{"channel_id": must(text(1, 255)), "style": style})
	case "broadcast":
		l.object(ptr, v, fields{"range": must(oneOf("here", "channel", "everyone"))})
	case "date":
		l.object(ptr, v, fields{"timestamp": must(whole(0, 1<<40)), "format": must(text(1, 255)), "url": may(text(1, 3000)), "fallback": may(text(0, 3000))})
	case "color":
		l.object(ptr, v, fields{"value": must(text(1, 255))})
	default:
		l.bad(ptr+"/type", "unsupported type: %s", kind)
	}
}

func richStyle(l *lint, ptr string, v any) {
	l.object(ptr, v, fields{"bold": may(boolean), "italic": may(boolean), "strike": may(boolean), "code": may(boolean),
		"underline": may(boolean), "highlight": may(boolean), "client_highlight": may(boolean), "unlink": may(boolean)})
}

// lintView checks a whole view.
func lintView(v obj) []problem {
	l := &lint{on: onModal, blockIDs: map[string]bool{}}
	table := fields{"blocks": must(func(l *lint, ptr string, v any) {
		if bl, ok := v.([]any); ok {
			l.blocks(ptr, bl)
		} else {
			l.bad(ptr, "must provide an array")
		}
	}), "private_metadata": may(text(0, 3000)), "callback_id": may(text(0, 255)), "external_id": may(text(0, 255))}
	switch kind := str(v, "type"); kind {
	case "modal":
		for k, f := range (fields{"title": must(plain(24)), "submit": may(plain(24)), "close": may(plain(24)),
			"clear_on_close": may(boolean), "notify_on_close": may(boolean), "submit_disabled": may(boolean)}) {
			table[k] = f
		}
	case "home":
		l.on = onHome
	case "":
		l.bad("/view", "missing required field: type")
		return l.problems
	default:
		l.bad("/view/type", "unsupported type: %s", kind)
		return l.problems
	}
	l.object("/view", v, table)
	if l.on == onModal && v["submit"] == nil {
		for i, b := range list(v, "blocks") {
			if str(b, "type") == "input" {
				l.bad(fmt.Sprintf("/view/blocks/%d/input", i), "must define `submit` to use an `input` block in modals")
			}
		}
	}
	return l.problems
}
