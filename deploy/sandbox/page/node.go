package page

import (
	"encoding/json"
	"strings"
)

// Blocks arrive as JSON that the page did not write. These read from it and find nothing where something else stands.

type obj = map[string]any

func decode(raw json.RawMessage) any {
	var v any
	if json.Unmarshal(raw, &v) != nil {
		return nil
	}
	return v
}

func at(v any, path ...string) any {
	for _, k := range path {
		m, _ := v.(obj)
		v = m[k]
	}
	return v
}

func str(v any, path ...string) string {
	s, _ := at(v, path...).(string)
	return s
}

func yes(v any, path ...string) bool {
	b, _ := at(v, path...).(bool)
	return b
}

func list(v any, path ...string) []any {
	l, _ := at(v, path...).([]any)
	return l
}

func whole(v any) int64 {
	f, _ := v.(float64)
	return int64(f)
}

func first(ss ...string) string {
	for _, s := range ss {
		if s != "" {
			return s
		}
	}
	return ""
}

// emoji are the short names that people use most; others stay words between colons, as in a client that lacks the picture.
var emoji = map[string]string{
	"white_check_mark": "✅", "heavy_check_mark": "✔️", "x": "❌", "warning": "⚠️", "rotating_light": "🚨", "lock": "🔒", "unlock": "🔓",
	"key": "🔑", "hourglass": "⌛", "hourglass_flowing_sand": "⏳", "alarm_clock": "⏰", "fire": "🔥", "eyes": "👀", "tada": "🎉",
	"no_entry": "⛔", "no_entry_sign": "🚫", "bell": "🔔", "memo": "📝", "mag": "🔍", "wave": "👋", "thumbsup": "👍", "+1": "👍",
	"thumbsdown": "👎", "-1": "👎", "smile": "😄", "rocket": "🚀", "large_green_circle": "🟢", "red_circle": "🔴", "large_yellow_circle": "🟡",
	"large_blue_circle": "🔵", "white_circle": "⚪", "hammer": "🔨", "wrench": "🔧", "shield": "🛡️", "clipboard": "📋", "email": "📧",
	"information_source": "ℹ️", "question": "❓", "exclamation": "❗", "point_right": "👉", "clock1": "🕐", "skull": "💀", "pray": "🙏",
}

// pictures replaces :name: by the picture.
func pictures(s string) string {
	if !strings.Contains(s, ":") {
		return s
	}
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(s, ":")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		name, after, closed := strings.Cut(rest, ":")
		if p := emoji[name]; closed && p != "" {
			b.WriteString(p)
			s = after
			continue
		}
		b.WriteString(":")
		s = rest
	}
}
