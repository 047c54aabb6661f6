package awstwin

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Types of SQL, by their names.
const (
	sqlText   = "varchar"
	sqlNumber = "integer"
	sqlBool   = "boolean"
	sqlTime   = "timestamp(3) with time zone"
	sqlJSON   = "json"
	sqlStruct = "row"
	sqlArray  = "array"
)

// sqlRow is an event.
type sqlRow map[string]any

// sqlExpr is an expression with its type. Its value is nil where SQL has NULL.
type sqlExpr struct {
	kind  string
	named string // the column it is, if it is one
	value func(sqlRow) any
}

// structure is a value of type row: fields in the order of the table's definition.
type structure struct {
	fields []shape
	tree   map[string]any
}

// shape is a field of a structure; one with kids is a structure itself.
type shape struct {
	name string
	kids []shape
}

// trailColumns are the columns of the table (Athena user guide, "Create a table for CloudTrail logs").
var trailColumns = strings.Fields("eventversion useridentity eventtime eventsource eventname awsregion sourceipaddress useragent errorcode errormessage " +
	"requestparameters responseelements additionaleventdata requestid eventid resources eventtype apiversion readonly recipientaccountid serviceeventdetails " +
	"sharedeventid vpcendpointid vpcendpointaccountid eventcategory addendum sessioncredentialfromconsole edgedevicedetails tlsdetails")

func leaves(names string) (all []shape) {
	for n := range strings.FieldsSeq(names) {
		all = append(all, shape{name: n})
	}
	return all
}

// identityShape is that of useridentity, resourceShape that of each of resources. What an event has beyond them is not in the table.
func identityShape() []shape {
	return append(leaves("type principalid arn accountid invokedby accesskeyid username"),
		shape{"onbehalfof", leaves("userid identitystorearn")},
		shape{"sessioncontext", append([]shape{{"attributes", leaves("mfaauthenticated creationdate")}, {"sessionissuer", leaves("type principalid arn accountid username")}},
			leaves("ec2roledelivery")...)})
}

func resourceShape() []shape { return leaves("arn accountid type") }

// columnOf reads a column out of an event. CloudTrail's serializer hands objects on as their JSON, and everything else as text.
func columnOf(name string) sqlExpr {
	field := func(r sqlRow) (any, bool) { return dig(r["tree"], []string{name}, true) }
	switch name {
	case "useridentity":
		return sqlExpr{sqlStruct, name, func(r sqlRow) any {
			if v, ok := field(r); ok {
				if m, ok := v.(map[string]any); ok {
					return structure{identityShape(), m}
				}
			}
			return nil
		}}
	case "resources":
		return sqlExpr{sqlArray, name, func(r sqlRow) any {
			list, _ := field(r)
			items, ok := list.([]any)
			if !ok {
				return nil
			}
			out := []any{}
			for _, x := range items {
				m, _ := x.(map[string]any)
				out = append(out, structure{resourceShape(), m})
			}
			return out
		}}
	}
	return sqlExpr{sqlText, name, func(r sqlRow) any {
		if v, ok := field(r); ok {
			return flatText(v)
		}
		return nil
	}}
}

func (s structure) field(name string) (shape, any, bool) {
	for _, f := range s.fields {
		if f.name == name {
			v, _ := dig(s.tree, []string{name}, true)
			if f.kids == nil {
				if v == nil {
					return f, nil, true
				}
				return f, flatText(v), true
			}
			if m, ok := v.(map[string]any); ok {
				return f, structure{f.kids, m}, true
			}
			return f, nil, true
		}
	}
	return shape{}, nil, false
}

// path goes on from a structure to one of its fields.
func path(e sqlExpr, fields []shape, names []string) (sqlExpr, error) {
	for _, name := range names {
		i := slices.IndexFunc(fields, func(f shape) bool { return f.name == name })
		if e.kind != sqlStruct || i < 0 {
			return e, fmt.Errorf("COLUMN_NOT_FOUND: line 1:1: Column '%s.%s' cannot be resolved", e.named, name)
		}
		of, kind := e.value, sqlText
		if fields = fields[i].kids; fields != nil {
			kind = sqlStruct
		}
		e = sqlExpr{kind, name, func(r sqlRow) any {
			s, ok := of(r).(structure)
			if !ok {
				return nil
			}
			_, v, _ := s.field(name)
			return v
		}}
	}
	return e, nil
}

// predicate is a comparison, BETWEEN, IN, LIKE or IS NULL.
func (p *sqlParser) predicate() (sqlExpr, error) {
	left, err := p.primary()
	if err != nil {
		return left, err
	}
	if p.word("is") {
		negated := p.word("not")
		if !p.word("null") {
			return left, p.bad()
		}
		return sqlExpr{kind: sqlBool, value: func(r sqlRow) any { return (left.value(r) == nil) != negated }}, nil
	}
	negated := p.word("not")
	var e sqlExpr
	switch t := p.peek(); {
	case p.word("between"):
		e, err = p.between(left)
	case p.word("in"):
		e, err = p.in(left)
	case p.word("like"):
		e, err = p.like(left)
	case !negated && slices.Contains([]string{"=", "<", ">", "<=", ">=", "<>", "!="}, t.text) && t.kind != 's':
		p.at++
		var right sqlExpr
		if right, err = p.primary(); err == nil {
			return compared(left, t.text, right)
		}
	case negated:
		return left, p.bad()
	default:
		return left, nil
	}
	if negated {
		e = negate(e)
	}
	return e, err
}

func compared(a sqlExpr, op string, b sqlExpr) (sqlExpr, error) {
	if a.kind != b.kind || a.kind == sqlStruct || a.kind == sqlArray {
		return a, fmt.Errorf("TYPE_MISMATCH: line 1:1: Cannot apply operator: %s %s %s", a.kind, op, b.kind)
	}
	return sqlExpr{kind: sqlBool, value: func(r sqlRow) any {
		x, y := a.value(r), b.value(r)
		if x == nil || y == nil {
			return nil
		}
		n := sqlCompare(x, y)
		switch op {
		case "=":
			return n == 0
		case "<>", "!=":
			return n != 0
		case "<":
			return n < 0
		case "<=":
			return n <= 0
		case ">":
			return n > 0
		}
		return n >= 0
	}}, nil
}

func sqlCompare(x, y any) int {
	switch a := x.(type) {
	case time.Time:
		return a.Compare(y.(time.Time))
	case float64:
		return cmp.Compare(a, y.(float64))
	case bool:
		return strings.Compare(strconv.FormatBool(a), strconv.FormatBool(y.(bool)))
	}
	return strings.Compare(fmt.Sprint(x), fmt.Sprint(y))
}

func (p *sqlParser) between(left sqlExpr) (sqlExpr, error) {
	low, err := p.primary()
	if err != nil {
		return left, err
	}
	if !p.word("and") {
		return left, p.bad()
	}
	high, err := p.primary()
	if err != nil {
		return left, err
	}
	a, err := compared(left, ">=", low)
	if err != nil {
		return left, err
	}
	b, err := compared(left, "<=", high)
	return sqlExpr{kind: sqlBool, value: func(r sqlRow) any {
		x, y := a.value(r), b.value(r)
		if x == false || y == false {
			return false
		}
		return both(x, y)
	}}, err
}

func (p *sqlParser) in(left sqlExpr) (sqlExpr, error) {
	if !p.sign("(") {
		return left, p.bad()
	}
	var one []sqlExpr
	for {
		right, err := p.primary()
		if err != nil {
			return left, err
		}
		is, err := compared(left, "=", right)
		if err != nil {
			return left, err
		}
		one = append(one, is)
		if p.sign(")") {
			break
		}
		if !p.sign(",") {
			return left, p.bad()
		}
	}
	return sqlExpr{kind: sqlBool, value: func(r sqlRow) any {
		if left.value(r) == nil {
			return nil
		}
		return slices.ContainsFunc(one, func(e sqlExpr) bool { return e.value(r) == true })
	}}, nil
}

// like: % is any text, _ one character, both as themselves after ESCAPE's character.
func (p *sqlParser) like(left sqlExpr) (sqlExpr, error) {
	pattern, err := p.primary()
	if err != nil {
		return left, err
	}
	if left.kind != sqlText || pattern.kind != sqlText {
		return left, fmt.Errorf("TYPE_MISMATCH: line 1:1: Left side of LIKE expression must evaluate to a varchar (actual: %s)", left.kind)
	}
	escape := ""
	if p.word("escape") {
		escape = p.next().text
	}
	return sqlExpr{kind: sqlBool, value: func(r sqlRow) any {
		text, ok := left.value(r).(string)
		like, ok2 := pattern.value(r).(string)
		if !ok || !ok2 {
			return nil
		}
		var b strings.Builder
		for i := 0; i < len(like); i++ {
			switch c := like[i : i+1]; {
			case c == escape && i+1 < len(like):
				i++
				b.WriteString(regexp.QuoteMeta(like[i : i+1]))
			case c == "%":
				b.WriteString(".*")
			case c == "_":
				b.WriteString(".")
			default:
				b.WriteString(regexp.QuoteMeta(c))
			}
		}
		hit, err := regexp.MatchString("(?s)^(?:"+b.String()+")$", text)
		return err == nil && hit
	}}, nil
}

// asJSON is a value as CAST(… AS JSON) makes it: structures as objects, with all fields of their type.
func asJSON(v any) json.RawMessage {
	switch t := v.(type) {
	case structure:
		var b bytes.Buffer
		b.WriteByte('{')
		for i, f := range t.fields {
			if i > 0 {
				b.WriteByte(',')
			}
			_, x, _ := t.field(f.name)
			b.Write(encoded(f.name))
			b.WriteByte(':')
			b.Write(asJSON(x))
		}
		b.WriteByte('}')
		return b.Bytes()
	case []any:
		parts := []string{}
		for _, x := range t {
			parts = append(parts, string(asJSON(x)))
		}
		return json.RawMessage("[" + strings.Join(parts, ",") + "]")
	case json.RawMessage:
		return t
	}
	return encoded(v)
}

// sqlCell is a value as a result has it. Structures lose their quotes there: {type=AssumedRole, arn=…}, which nothing can read back.
func sqlCell(v any) *string {
	var text string
	switch t := v.(type) {
	case nil:
		return nil
	case structure:
		var parts []string
		for _, f := range t.fields {
			_, x, _ := t.field(f.name)
			part := "null"
			if s := sqlCell(x); s != nil {
				part = *s
			}
			parts = append(parts, f.name+"="+part)
		}
		text = "{" + strings.Join(parts, ", ") + "}"
	case []any:
		var parts []string
		for _, x := range t {
			parts = append(parts, *sqlCell(x))
		}
		text = "[" + strings.Join(parts, ", ") + "]"
	case json.RawMessage:
		text = string(t)
	case time.Time:
		text = t.UTC().Format("2006-01-02 15:04:05.000 UTC")
	case string:
		text = t
	default:
		text = fmt.Sprint(v)
	}
	return &text
}
