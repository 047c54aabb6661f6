package aws

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"breakglass/store"
)

// trustPolicy is a role's trust policy that is edited without touching what is not ours: each member and each statement keeps its bytes.
type trustPolicy struct {
	members    []trustMember // of the document, in its order; the statements' place is kept by an empty one
	statements []json.RawMessage
}

type trustMember struct {
	name string
	text json.RawMessage
}

// readTrust takes a document apart. One statement without a list becomes a list.
func readTrust(doc string) (*trustPolicy, error) {
	all, err := membersOf([]byte(doc))
	if err != nil {
		return nil, err
	}
	t := &trustPolicy{members: all}
	for i, m := range all {
		if m.name != "Statement" {
			continue
		}
		if text := bytes.TrimSpace(m.text); len(text) > 0 && text[0] == '{' {
			t.statements = []json.RawMessage{text}
		} else if err := json.Unmarshal(text, &t.statements); err != nil {
			return nil, err
		}
		t.members[i].text = nil
		return t, nil
	}
	return nil, errors.New("it has no statement")
}

// membersOf is an object's members in their order, each with its bytes.
func membersOf(object []byte) ([]trustMember, error) {
	d := json.NewDecoder(bytes.NewReader(object))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("it is no JSON object")
	}
	var all []trustMember
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, err
		}
		m := trustMember{}
		m.name, _ = t.(string)
		if err := d.Decode(&m.text); err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, nil
}

func (t *trustPolicy) document() string {
	var b strings.Builder
	for i, m := range t.members {
		b.WriteString(map[bool]string{true: "{", false: ","}[i == 0])
		name, _ := json.Marshal(m.name)
		b.Write(name)
		b.WriteByte(':')
		if m.text != nil {
			b.Write(m.text)
			continue
		}
		b.WriteByte('[')
		for j, s := range t.statements {
			if j > 0 {
				b.WriteByte(',')
			}
			b.Write(s)
		}
		b.WriteByte(']')
	}
	return b.String() + "}"
}

// sidOf names the statement of a request: BG1042 for BG-1042, since a Sid has letters and digits only.
func sidOf(id store.ID) string { return strings.ReplaceAll(string(id), "-", "") }

var requestSid = regexp.MustCompile(`^BG[1-9][0-9]*$`)

// trusted is what one of our statements says.
type trusted struct {
	Sid, Effect string
	Principal   struct{ AWS values }
	Action      values
	Condition   conditions
}

// UnmarshalJSON reads a text or a list of texts.
func (v *values) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*v = values{one}
		return nil
	}
	var many []string
	err := json.Unmarshal(b, &many)
	*v = many
	return err
}

// oursIn reads a statement that stands for a request. ok is false for everybody else's.
func oursIn(s json.RawMessage) (id store.ID, t trusted, ok bool) {
	var head struct{ Sid string }
	if json.Unmarshal(s, &head) != nil || !requestSid.MatchString(head.Sid) {
		return "", t, false
	}
	_ = json.Unmarshal(s, &t) // what cannot be read is not right, and so says Assigned
	return store.ID("BG-" + head.Sid[len("BG"):]), t, true
}

// admits is the statement that lets one IAM user in, for one session that must bear the request's id: with MFA, until its end. The guard of the
// role (guarddoc.go) refuses that session from then on.
func admits(g store.Grant) json.RawMessage {
	principal, _ := json.Marshal(map[string]string{"AWS": g.IAMUser})
	text, _ := json.Marshal(statement{Sid: sidOf(g.Request), Effect: "Allow", Principal: principal, Action: values{"sts:AssumeRole"}, Condition: conditions{
		"Bool":         {"aws:MultiFactorAuthPresent": {"true"}},
		"DateLessThan": {"aws:CurrentTime": {iso(g.Until.UTC().Truncate(time.Second))}},
		"StringEquals": {"sts:RoleSessionName": {string(g.Request)}},
	}})
	return text
}

// right says whether a statement of ours still asks for all it must.
func (t trusted) right(id store.ID) bool {
	is := func(op, key, value string) bool { return slices.Equal(t.Condition[op][key], values{value}) }
	return t.Effect == "Allow" && len(t.Principal.AWS) == 1 && strings.Contains(t.Principal.AWS[0], ":user/") && slices.Equal(t.Action, values{"sts:AssumeRole"}) &&
		is("Bool", "aws:MultiFactorAuthPresent", "true") && is("StringEquals", "sts:RoleSessionName", string(id)) && len(t.Condition["DateLessThan"]["aws:CurrentTime"]) == 1
}

// find is the statement of a request.
func (t *trustPolicy) find(id store.ID) (trusted, bool) {
	for _, s := range t.statements {
		if other, said, ok := oursIn(s); ok && other == id {
			return said, true
		}
	}
	return trusted{}, false
}

// set makes a statement that of a request, in the place of the one that it has; nil takes it away. It says whether there was one.
func (t *trustPolicy) set(id store.ID, s json.RawMessage) (was bool) {
	kept := t.statements[:0:0]
	for _, old := range t.statements {
		other, said, ok := oursIn(old)
		switch {
		case ok && other == id && !was:
			if was = true; s != nil {
				kept = append(kept, s)
			}
		case ok && other == id:
		case ok && departed(said):
			// The user was deleted: IAM has put an id in the place of its ARN, and takes no document with that back ("Invalid principal in policy").
			// It lets nobody in.
		default:
			kept = append(kept, old)
		}
	}
	if !was && s != nil {
		kept = append(kept, s)
	}
	t.statements = kept
	t.close()
	return was
}

func departed(t trusted) bool {
	return len(t.Principal.AWS) == 1 && t.Principal.AWS[0] != "" && !strings.HasPrefix(t.Principal.AWS[0], "arn:")
}

// in are the requests that the policy lets in.
func (t *trustPolicy) in() (ids values) {
	for _, s := range t.statements {
		if id, _, ok := oursIn(s); ok {
			ids = append(ids, string(id))
		}
	}
	slices.Sort(ids)
	return ids
}

// shut is what a trust policy says that lets nobody in: IAM takes none without a statement.
const shut = `{"Effect":"Deny","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}`

// close keeps a role that was found shut to everybody shut to everybody else. A Deny without a condition wins over every Allow, so while
// somebody is in it speaks of all sessions but theirs, and afterwards of all again.
func (t *trustPolicy) close() {
	ids := t.in()
	for i, s := range t.statements {
		if open, ok := except(s, ids); ok {
			t.statements[i] = open
		}
	}
	if len(t.statements) == 0 {
		t.statements = []json.RawMessage{json.RawMessage(shut)}
	}
}

// except gives a statement that denies everybody the condition that excepts these requests' sessions, or takes it away where there are none. ok
// is false for any other statement.
func except(s json.RawMessage, ids values) (json.RawMessage, bool) {
	var d struct {
		Effect    string
		Principal json.RawMessage
		Condition conditions
	}
	if json.Unmarshal(s, &d) != nil || d.Effect != "Deny" || !everybody(d.Principal) {
		return nil, false
	}
	if _, is := d.Condition["StringNotEquals"]["sts:RoleSessionName"]; len(d.Condition) > 0 && (!is || len(d.Condition) > 1 || len(d.Condition["StringNotEquals"]) > 1) {
		return nil, false // somebody's own condition
	}
	all, err := membersOf(s)
	if err != nil {
		return nil, false
	}
	if len(d.Condition) == 0 && len(ids) == 0 {
		return s, true
	}
	all = slices.DeleteFunc(all, func(m trustMember) bool { return m.name == "Condition" })
	if len(ids) > 0 {
		c, _ := json.Marshal(conditions{"StringNotEquals": {"sts:RoleSessionName": ids}})
		all = append(all, trustMember{"Condition", c})
	}
	var b strings.Builder
	for i, m := range all {
		name, _ := json.Marshal(m.name)
		fmt.Fprintf(&b, "%s%s:%s", map[bool]string{true: "{", false: ","}[i == 0], name, m.text)
	}
	return json.RawMessage(b.String() + "}"), true
}

func everybody(principal json.RawMessage) bool {
	var text string
	var by struct{ AWS values }
	if json.Unmarshal(principal, &text) == nil {
		return text == "*"
	}
	return json.Unmarshal(principal, &by) == nil && slices.Equal(by.AWS, values{"*"})
}
