package slacktwin

import (
	"bytes"
	"encoding/json"
	"strconv"
)

// at follows keys (string) and indices (int) into decoded JSON; nil where the way ends.
func at(v any, path ...any) any {
	for _, step := range path {
		switch step := step.(type) {
		case string:
			m, _ := v.(obj)
			v = m[step]
		case int:
			l, _ := v.([]any)
			if step >= len(l) {
				return nil
			}
			v = l[step]
		}
	}
	return v
}

// str is the string at the end of the path, empty where there is none.
func str(v any, path ...any) string {
	s, _ := at(v, path...).(string)
	return s
}

// list is the array at the end of the path.
func list(v any, path ...any) []any {
	l, _ := at(v, path...).([]any)
	return l
}

// yes is the boolean at the end of the path.
func yes(v any, path ...any) bool {
	b, _ := at(v, path...).(bool)
	return b
}

// raw encodes without escaping <, > and &, which stand in Slack's own markup.
func raw(v any) json.RawMessage {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return json.RawMessage("null")
	}
	return bytes.TrimSpace(b.Bytes())
}

// decode reads JSON; nil where it is none.
func decode(b []byte) any {
	if len(b) == 0 {
		return nil
	}
	var v any
	if json.Unmarshal(b, &v) != nil {
		return nil
	}
	return v
}

// clone copies decoded JSON deeply, so that what one holder changes the other does not see.
func clone(v any) any { return decode(raw(v)) }

// number reads an integer that came as JSON number or as text.
func number(v any) (int, bool) {
	switch v := v.(type) {
	case float64:
		return int(v), true
	case string:
		n, err := strconv.Atoi(v)
		return n, err == nil
	}
	return 0, false
}
