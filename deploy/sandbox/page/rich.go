package page

import "strings"

// part reads a piece of a rich_text block.
func (w writer) part(e any) part {
	out := part{Kind: str(e, "type"), Indent: int(min(max(whole(at(e, "indent")), 0), 8)), Border: whole(at(e, "border")) > 0}
	switch out.Kind {
	case "rich_text_list":
		if str(e, "style") == "ordered" {
			out.Kind, out.Start = "ordered", int(whole(at(e, "offset")))+1
		}
		for _, item := range list(e, "elements") {
			out.Items = append(out.Items, w.part(item))
		}
	case "rich_text_section", "rich_text_quote", "rich_text_preformatted":
		for _, x := range list(e, "elements") {
			out.Text = append(out.Text, w.run(x))
		}
	}
	return out
}

// run reads one element of rich text. Nothing in it is markup.
func (w writer) run(x any) inline {
	class := class(x)
	switch kind := str(x, "type"); kind {
	case "text":
		if yes(x, "style", "code") {
			return inline{Kind: "code", Kids: []inline{{Kind: "text", Text: str(x, "text"), Class: class}}}
		}
		return inline{Kind: "text", Text: str(x, "text"), Class: class}
	case "link":
		return w.link(str(x, "url"), str(x, "text"), class)
	case "emoji":
		name := str(x, "name")
		if p := emoji[name]; p != "" {
			return inline{Kind: "text", Text: p, Title: ":" + name + ":"}
		}
		return inline{Kind: "text", Text: ":" + name + ":"}
	case "user":
		return w.user(str(x, "user_id"), class)
	case "usergroup":
		return w.group(str(x, "usergroup_id"), class)
	case "channel":
		return inline{Kind: "mention", Text: w.s.channelName(str(x, "channel_id")), Class: class}
	case "broadcast":
		return inline{Kind: "mention", Text: "@" + str(x, "range"), Class: class, Me: true}
	case "date":
		fallback := str(x, "fallback")
		return inline{Kind: "text", Text: w.date(whole(at(x, "timestamp")), str(x, "format"), fallback), Title: fallback, Class: class}
	case "color":
		return inline{Kind: "code", Kids: []inline{{Kind: "text", Text: str(x, "value")}}}
	default:
		return inline{Kind: "unsupported", Text: first(kind, "element without a type")}
	}
}

func class(x any) string {
	var out []string
	for _, s := range [][2]string{{"bold", "b"}, {"italic", "i"}, {"strike", "s"}, {"underline", "u"}, {"highlight", "hl"}} {
		if yes(x, "style", s[0]) {
			out = append(out, s[1])
		}
	}
	return strings.Join(out, " ")
}
