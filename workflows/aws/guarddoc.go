package aws

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
	"unicode"

	"breakglass/store"
)

// Limits of IAM on policies, in characters without white space (IAM user guide, "IAM and AWS STS quotas").
const (
	managedPolicyLimit = 6144
	roleInlineLimit    = 10240
	trustPolicyLimit   = 2048
)

// nobody is no user id of Identity Center. Lists that would be empty name it: StringNotEquals also matches a request without the key
// (IAM user guide, "Condition operators"), so a closed guard refuses whoever comes without one.
const nobody = "nobody"

// statement is one statement of a policy document. Its fields are written in this order, so that what says the same is the same bytes.
type statement struct {
	Sid         string          `json:"Sid"`
	Effect      string          `json:"Effect"`
	Principal   json.RawMessage `json:"Principal,omitempty"`
	Action      values          `json:"Action,omitempty"`
	NotAction   values          `json:"NotAction,omitempty"`
	Resource    values          `json:"Resource,omitempty"`
	NotResource values          `json:"NotResource,omitempty"`
	Condition   conditions      `json:"Condition,omitempty"`
}

// conditions are by operator and key. All of them must hold; of the values of one, any (IAM user guide, "Conditions with multiple context keys or
// values").
type conditions map[string]map[string]values

// values are one or several texts. One is written without a list, which saves the brackets.
type values []string

// MarshalJSON writes a text, or a list where there are several.
func (v values) MarshalJSON() ([]byte, error) {
	if len(v) == 1 {
		return json.Marshal(v[0])
	}
	return json.Marshal([]string(v))
}

// policyVersion is the version of the policy language in which policy variables are read.
const policyVersion = "2012-10-17"

// policyText is a policy document as compact as JSON allows. It cannot fail: there is nothing in it but texts.
func policyText(all []statement) string {
	out, err := json.Marshal(struct {
		Version   string
		Statement []statement
	}{policyVersion, all})
	if err != nil {
		panic("a policy document of texts: " + err.Error())
	}
	return string(out)
}

// dense is the size of a document as IAM counts it.
func dense(s string) (n int) {
	for _, r := range s {
		if !unicode.IsSpace(r) {
			n++
		}
	}
	return n
}

// guardDocument is what a guard says, as a function of nothing but g.
//
// Each line is a refusal of everything, by identitystore:userId for a permission set (Identity Center user guide, "Revoke active IAM role sessions
// created by permission sets": the key is the person's, whatever session they open) and by the end of aws:userid, which is the
// session's name, for a role. Lines that end together share a statement. Since all conditions of a statement must hold, a person with
// both an end and an earlier session's credentials to refuse stands in two.
func guardDocument(g store.Guard) string {
	var out []string
	until, before := map[time.Time][]string{}, map[time.Time][]string{}
	for _, l := range g.Lines {
		// A line without an end would let somebody in for good: that is no end that anybody meant.
		if l.Out || l.Until.IsZero() {
			out = append(out, l.Who)
			continue
		}
		// IAM compares whole seconds. The end is rounded down, what is refused of an earlier session up: both refuse rather too much.
		end := l.Until.UTC().Truncate(time.Second)
		until[end] = append(until[end], l.Who)
		if !l.Before.IsZero() {
			issued := l.Before.UTC().Add(time.Second - 1).Truncate(time.Second)
			before[issued] = append(before[issued], l.Who)
		}
	}
	of := personsOf
	if g.Role != "" {
		of = sessionsOf
	}
	var all []statement
	if len(out) > 0 {
		all = append(all, refuse("Out", of(out), nil))
	}
	for _, t := range inOrder(until) {
		all = append(all, refuse("End"+stamp(t), of(until[t]), conditions{"DateGreaterThanEquals": {"aws:CurrentTime": {iso(t)}}}))
	}
	for _, t := range inOrder(before) {
		all = append(all, refuse("Earlier"+stamp(t), of(before[t]), conditions{"DateLessThan": {"aws:TokenIssueTime": {iso(t)}}}))
	}
	if g.Closed && g.Role == "" {
		all = append(all, refuse("Closed", conditions{"StringNotEquals": {"identitystore:userId": someone(letIn(g.Lines))}}, nil))
	}
	if len(all) == 0 { // IAM takes no document without a statement
		all = append(all, refuse("Nobody", of([]string{nobody}), nil))
	}
	return policyText(all)
}

// letIn is whom a closed guard does not refuse by itself. Somebody who is out by one line is not in by another.
func letIn(lines []store.Line) (in []string) {
	out := map[string]bool{}
	for _, l := range lines {
		out[l.Who] = out[l.Who] || l.Out || l.Until.IsZero()
	}
	for who, is := range out {
		if !is {
			in = append(in, who)
		}
	}
	return in
}

// refuse is a statement that denies everything under both conditions.
func refuse(sid string, who, when conditions) statement {
	c := conditions{}
	for _, some := range []conditions{who, when} {
		for op, keys := range some {
			c[op] = keys
		}
	}
	return statement{Sid: sid, Effect: "Deny", Action: values{"*"}, Resource: values{"*"}, Condition: c}
}

func personsOf(who []string) conditions {
	return conditions{"StringEquals": {"identitystore:userId": someone(who)}}
}

// sessionsOf are the sessions whose name is the id of one of these requests: the trust policy gives them no other (see role.go).
func sessionsOf(requests []string) conditions {
	var patterns values
	for _, r := range someone(requests) {
		patterns = append(patterns, "*:"+pattern(r))
	}
	return conditions{"StringLike": {"aws:userid": patterns}}
}

// someone are these ids, each once and in order; nobody where there are none.
func someone(who []string) values {
	if len(who) == 0 {
		return values{nobody}
	}
	var v values
	for _, id := range slices.Sorted(slices.Values(who)) {
		v = append(v, literal(id))
	}
	return slices.Compact(v)
}

// literal keeps a text from being read as a policy variable: ${$} stands for a dollar sign (IAM user guide, "Policy variables").
func literal(s string) string { return strings.ReplaceAll(s, "$", "${$}") }

// pattern keeps a literal from being read as a pattern as well.
func pattern(s string) string {
	return strings.NewReplacer("*", "${*}", "?", "${?}").Replace(s)
}

func inOrder(m map[time.Time][]string) []time.Time {
	all := make([]time.Time, 0, len(m))
	for t := range m {
		all = append(all, t)
	}
	slices.SortFunc(all, time.Time.Compare)
	return all
}

// iso is a time as IAM's date operators take it; stamp the same for a Sid, which has letters and digits only.
func iso(t time.Time) string   { return t.UTC().Format("2006-01-02T15:04:05Z") }
func stamp(t time.Time) string { return t.UTC().Format("20060102T150405Z") }
