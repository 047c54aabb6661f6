package handlers

import (
	"encoding/json"
	"strings"
)

// said is a message in plain words, as the archive keeps it: what people read, without buttons and colours. People are named by their ids, since a name can
// change.
func (m message) said() string {
	b, err := json.Marshal(m.blocks)
	if err != nil {
		return m.text
	}
	var blocks []map[string]any
	if json.Unmarshal(b, &blocks) != nil {
		return m.text
	}
	var lines []string
	for _, block := range blocks {
		if s := strings.TrimSpace(wordsIn(block)); s != "" {
			lines = append(lines, s)
		}
	}
	if len(lines) == 0 {
		return m.text
	}
	return strings.Join(lines, "\n")
}

// wordsIn are the words of a block or of an element in it. Slack's reference of blocks has the fields.
func wordsIn(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case []any:
		var b strings.Builder
		for _, x := range v {
			b.WriteString(wordsIn(x))
		}
		return b.String()
	case map[string]any:
		return wordsOf(v)
	}
	return ""
}

func wordsOf(v map[string]any) string {
	kind, _ := v["type"].(string)
	switch kind {
	case "actions", "button", "overflow":
		return ""
	case "divider":
		return "---"
	case "user":
		return "@" + wordsIn(v["user_id"])
	case "usergroup":
		return "@" + wordsIn(v["usergroup_id"])
	case "channel":
		return "#" + wordsIn(v["channel_id"])
	case "date":
		return wordsIn(v["fallback"])
	case "emoji":
		return ":" + wordsIn(v["name"]) + ":"
	case "link":
		text, url := wordsIn(v["text"]), wordsIn(v["url"])
		if text == "" || text == url {
			return url
		}
		return text + " (" + url + ")"
	case "rich_text_section", "rich_text_preformatted", "rich_text_quote":
		return wordsIn(v["elements"]) + "\n"
	}
	if kind == "section" || kind == "header" {
		return wordsIn(v["text"]) + " " + wordsIn(v["fields"])
	}
	if text, ok := v["text"]; ok {
		return wordsIn(text)
	}
	return wordsIn(v["elements"])
}
