package iam

import (
	"encoding/base64"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Context holds the condition keys of a request, in lower case, each with its values. Set writes to it.
type Context map[string][]string

// Set gives a key its values. Key names have no case.
func (c Context) Set(key string, values ...string) { c[strings.ToLower(key)] = values }

func (c Context) values(key string) []string { return c[strings.ToLower(key)] }

// operators, each with the operator of which it is the negation ("" for those that are none).
func negated(op string) (positive string, not bool) {
	switch op {
	case "stringnotequals":
		return "stringequals", true
	case "stringnotequalsignorecase":
		return "stringequalsignorecase", true
	case "stringnotlike":
		return "stringlike", true
	case "numericnotequals":
		return "numericequals", true
	case "datenotequals":
		return "dateequals", true
	case "notipaddress":
		return "ipaddress", true
	case "arnnotequals", "arnnotlike":
		return "arnlike", true
	}
	return op, false
}

func known(op string) bool {
	positive, _ := negated(op)
	switch positive {
	case "stringequals", "stringequalsignorecase", "stringlike", "bool", "null", "ipaddress", "arnequals", "arnlike", "binaryequals",
		"numericequals", "numericlessthan", "numericlessthanequals", "numericgreaterthan", "numericgreaterthanequals",
		"dateequals", "datelessthan", "datelessthanequals", "dategreaterthan", "dategreaterthanequals":
		return true
	}
	return false
}

// holds says whether a condition is met. What absent keys do is where policies go wrong, so once more in words: a
// positive operator fails, a negated one succeeds, IfExists succeeds, ForAllValues succeeds, ForAnyValue fails, and Null asks for just that.
func (c Condition) holds(ctx Context, variables bool) bool {
	have := ctx.values(c.Key)
	positive, not := negated(c.Operator)
	if c.Operator == "null" {
		absent := len(have) == 0
		return c.any(func(v string) bool { return strings.EqualFold(v, strconv.FormatBool(absent)) })
	}
	one := func(value string) bool {
		hit := c.any(func(want string) bool { return compare(positive, want, value, ctx, variables) })
		return hit != not
	}
	if len(have) == 0 || (c.ForAll || c.ForAny) && !some(have, func(v string) bool { return v != "" }) {
		// To a set operator, values that are all empty are no values.
		switch {
		case c.ForAny:
			return c.IfExists
		case c.ForAll, c.IfExists:
			return true
		}
		return not
	}
	switch {
	case c.ForAll:
		return all(have, one)
	case c.ForAny:
		return some(have, one)
	case not: // several values without a set operator: none of them may be listed
		return all(have, one)
	}
	return some(have, one)
}

func (c Condition) any(f func(string) bool) bool { return some(c.Values, f) }

func some(vs []string, f func(string) bool) bool {
	for _, v := range vs {
		if f(v) {
			return true
		}
	}
	return false
}

func all(vs []string, f func(string) bool) bool {
	for _, v := range vs {
		if !f(v) {
			return false
		}
	}
	return true
}

// compare is one positive comparison of a policy's value with a request's.
func compare(op, want, value string, ctx Context, variables bool) bool {
	switch op {
	case "stringlike":
		return like(want, value, ctx, variables)
	case "arnlike", "arnequals": // the two behave alike, says the guide
		return arnLike(want, value, ctx, variables, true)
	case "stringequals", "stringequalsignorecase", "bool", "binaryequals":
		return compareText(op, want, value, ctx, variables)
	case "ipaddress":
		return within(want, value)
	}
	if rest, ok := strings.CutPrefix(op, "numeric"); ok {
		a, err1 := strconv.ParseFloat(value, 64)
		b, err2 := strconv.ParseFloat(want, 64)
		return err1 == nil && err2 == nil && ordered(rest, cmp(a, b))
	}
	if rest, ok := strings.CutPrefix(op, "date"); ok {
		a, ok1 := date(value)
		b, ok2 := date(want)
		return ok1 && ok2 && ordered(rest, a.Compare(b))
	}
	return false
}

func compareText(op, want, value string, ctx Context, variables bool) bool {
	literal, ok := fill(want, ctx, variables)
	switch {
	case !ok:
		return false
	case op == "stringequals":
		return literal == value
	case op == "binaryequals":
		a, err1 := base64.StdEncoding.DecodeString(literal)
		b, err2 := base64.StdEncoding.DecodeString(value)
		return err1 == nil && err2 == nil && string(a) == string(b)
	}
	return strings.EqualFold(literal, value)
}

// fill replaces variables and leaves wildcards as characters.
func fill(s string, ctx Context, variables bool) (string, bool) {
	tokens, ok := expand(s, ctx, variables)
	if !ok {
		return "", false
	}
	var b strings.Builder
	for _, t := range tokens {
		if t.wild != 0 {
			b.WriteByte(t.wild)
		} else {
			b.WriteRune(t.lit)
		}
	}
	return b.String(), true
}

func cmp(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func ordered(relation string, c int) bool {
	switch relation {
	case "equals":
		return c == 0
	case "lessthan":
		return c < 0
	case "lessthanequals":
		return c <= 0
	case "greaterthan":
		return c > 0
	case "greaterthanequals":
		return c >= 0
	}
	return false
}

// date reads the W3C profile of ISO 8601 that IAM takes, or seconds since 1970.
func date(s string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04Z07:00", "2006-01-02", "2006-01", "2006-01-02T15:04:05", "20060102T150405Z"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil && len(s) > 4 {
		return time.Unix(n, 0), true
	}
	if t, err := time.Parse("2006", s); err == nil {
		return t, true
	}
	return time.Time{}, false
}

func within(want, value string) bool {
	ip, err := netip.ParseAddr(value)
	if err != nil {
		return false
	}
	if p, err := netip.ParsePrefix(want); err == nil {
		return p.Masked().Contains(ip)
	}
	one, err := netip.ParseAddr(want)
	return err == nil && one == ip
}
