package aws

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// compare says for people how the policy document that stands differs from what it must say, "" where both mean the same. They are compared as
// JSON: a single text is a list of one, and the order of lists and statements says nothing.
func compare(want, have string) string {
	version, need, err := parts(want)
	if err != nil {
		return "what it must say is no policy: " + clean(err.Error(), 200) // ours is
	}
	other, stands, err := parts(have)
	if err != nil {
		return "what it says cannot be read as a policy"
	}
	var lacks, besides []string
	for key, sid := range need {
		if _, ok := stands[key]; !ok {
			lacks = append(lacks, sid)
		}
	}
	for key, sid := range stands {
		if _, ok := need[key]; !ok {
			besides = append(besides, sid)
		}
	}
	var said []string
	if other != version {
		said = append(said, "it is of another version of the policy language")
	}
	for _, x := range []struct {
		of  []string
		how string
	}{{lacks, "it lacks"}, {besides, "it should not have"}} {
		if len(x.of) > 0 {
			slices.Sort(x.of)
			said = append(said, fmt.Sprintf("%s %s", x.how, few(x.of)))
		}
	}
	return strings.Join(said, "; ")
}

// few names some statements and counts the rest.
func few(sids []string) string {
	const shown = 5
	word := "the statement "
	if len(sids) > 1 {
		word = "the statements "
	}
	if n := len(sids) - shown; n > 0 {
		return word + strings.Join(sids[:shown], ", ") + fmt.Sprintf(" and %d more", n)
	}
	return word + strings.Join(sids, ", ")
}

// parts are what a document consists of, in a form that is the same for what means the same, each with a name for people.
func parts(doc string) (version string, named map[string]string, err error) {
	var d struct {
		Version   string
		Statement json.RawMessage
	}
	if err := json.Unmarshal([]byte(doc), &d); err != nil {
		return "", nil, err
	}
	var all []map[string]any
	if err := json.Unmarshal(d.Statement, &all); err != nil {
		var one map[string]any
		if err := json.Unmarshal(d.Statement, &one); err != nil {
			return "", nil, err
		}
		all = []map[string]any{one}
	}
	out := map[string]string{}
	for n, s := range all {
		sid, _ := s["Sid"].(string)
		if sid = clean(sid, 60); sid == "" {
			sid = fmt.Sprintf("number %d", n+1)
		}
		key, err := json.Marshal(plainly(s))
		if err != nil {
			return "", nil, err
		}
		out[string(key)] = sid
	}
	return d.Version, out, nil
}

// plainly brings a value into the form that is compared. Names of objects are sorted by the encoder.
func plainly(x any) any {
	switch x := x.(type) {
	case map[string]any:
		out := make(map[string]any, len(x))
		for k, v := range x {
			out[k] = plainly(v)
		}
		return out
	case []any:
		texts := make([]string, 0, len(x))
		for _, v := range x {
			b, _ := json.Marshal(plainly(v))
			texts = append(texts, string(b))
		}
		slices.Sort(texts)
		texts = slices.Compact(texts)
		if len(texts) == 1 {
			return json.RawMessage(texts[0])
		}
		return texts
	case bool, float64:
		return fmt.Sprint(x) // IAM takes true for "true"
	}
	return x
}
