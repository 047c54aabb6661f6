package awstwin

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// primary is a literal, a parameter, a column, a function, a CAST, or something in brackets.
func (p *sqlParser) primary() (sqlExpr, error) {
	t := p.next()
	switch {
	case t.kind == 's':
		return literal(sqlText, t.text), nil
	case t.kind == 'n':
		n, err := strconv.ParseFloat(t.text, 64)
		return literal(sqlNumber, n), err
	case t.kind == '?':
		return p.parameter()
	case t.kind == '(':
		e, err := p.or()
		if err == nil && !p.sign(")") {
			err = p.bad()
		}
		e.named = ""
		return e, err
	case t.kind == 'i' || t.kind == 'w':
		p.at--
		return p.named()
	}
	p.at--
	return sqlExpr{}, p.bad()
}

func literal(kind string, v any) sqlExpr {
	return sqlExpr{kind: kind, value: func(sqlRow) any { return v }}
}

// parameter: what is put in for a question mark is a literal of SQL, a text with its quotes.
func (p *sqlParser) parameter() (sqlExpr, error) {
	p.used++
	if p.used > len(p.params) {
		return sqlExpr{}, fmt.Errorf("INVALID_PARAMETER_USAGE: line 1:1: Incorrect number of parameters: expected %d but found %d", p.used, len(p.params))
	}
	tokens, err := sqlTokens(p.params[p.used-1])
	if err != nil {
		return sqlExpr{}, err
	}
	if len(tokens) != 1 {
		return sqlExpr{}, fmt.Errorf("SYNTAX_ERROR: line 1:1: '%s' is not a constant", p.params[p.used-1])
	}
	inner := &sqlParser{tokens: tokens}
	switch tokens[0].kind {
	case 's', 'n':
		return inner.primary()
	case 'w':
		if inner.word("true") || inner.word("false") {
			return literal(sqlBool, strings.EqualFold(tokens[0].text, "true")), nil
		}
	}
	return sqlExpr{}, fmt.Errorf("COLUMN_NOT_FOUND: line 1:1: Column '%s' cannot be resolved", tokens[0].text)
}

// named is what begins with a word.
func (p *sqlParser) named() (sqlExpr, error) {
	t := p.next()
	word := strings.ToLower(t.text)
	if t.kind == 'w' {
		switch {
		case word == "true" || word == "false":
			return literal(sqlBool, word == "true"), nil
		case word == "cast" && p.sign("("):
			return p.cast()
		case word == "timestamp" && p.peek().kind == 's':
			at, err := time.Parse("2006-01-02 15:04:05", p.next().text)
			return literal(sqlTime, at), err
		case p.sign("("):
			return p.function(word)
		case slices.Contains([]string{"select", "from", "where", "group", "having", "join", "union", "case", "exists", "with", "null"}, word):
			p.at--
			return sqlExpr{}, p.bad()
		}
	}
	if !slices.Contains(trailColumns, word) {
		return sqlExpr{}, fmt.Errorf("COLUMN_NOT_FOUND: line 1:%d: Column '%s' cannot be resolved", t.pos+1, word)
	}
	e := columnOf(word)
	var names []string
	for p.sign(".") {
		names = append(names, strings.ToLower(p.next().text))
	}
	if len(names) == 0 {
		return e, nil
	}
	if word != "useridentity" {
		return e, fmt.Errorf("TYPE_MISMATCH: line 1:%d: Expression %s is not of type ROW", t.pos+1, word)
	}
	return path(e, identityShape(), names)
}

func (p *sqlParser) cast() (sqlExpr, error) {
	e, err := p.or()
	if err != nil {
		return e, err
	}
	if !p.word("as") {
		return e, p.bad()
	}
	to := strings.ToLower(p.next().text)
	if !p.sign(")") {
		return e, p.bad()
	}
	of := e.value
	switch {
	case to == "json":
		return sqlExpr{kind: sqlJSON, value: func(r sqlRow) any {
			if v := of(r); v != nil {
				return asJSON(v)
			}
			return nil
		}}, nil
	case to == "varchar" && e.kind != sqlStruct && e.kind != sqlArray:
		return sqlExpr{kind: sqlText, value: func(r sqlRow) any {
			if s := sqlCell(of(r)); s != nil {
				return *s
			}
			return nil
		}}, nil
	}
	return e, fmt.Errorf("TYPE_MISMATCH: line 1:1: Cannot cast %s to %s", e.kind, to)
}

// sqlFunction is a function with the types that it takes. It is not called with NULL.
type sqlFunction struct {
	takes []string
	gives string
	do    func([]any) any
}

func sqlFunctions() map[string]sqlFunction {
	text := func(v any) string { s, _ := v.(string); return s }
	return map[string]sqlFunction{
		"lower":       {[]string{sqlText}, sqlText, func(a []any) any { return strings.ToLower(text(a[0])) }},
		"upper":       {[]string{sqlText}, sqlText, func(a []any) any { return strings.ToUpper(text(a[0])) }},
		"strpos":      {[]string{sqlText, sqlText}, sqlNumber, func(a []any) any { return float64(strings.Index(text(a[0]), text(a[1])) + 1) }},
		"starts_with": {[]string{sqlText, sqlText}, sqlBool, func(a []any) any { return strings.HasPrefix(text(a[0]), text(a[1])) }},
		"json_format": {[]string{sqlJSON}, sqlText, func(a []any) any { return string(a[0].(json.RawMessage)) }},
		"json_parse":  {[]string{sqlText}, sqlJSON, func(a []any) any { return json.RawMessage(text(a[0])) }},
		"split_part": {[]string{sqlText, sqlText, sqlNumber}, sqlText, func(a []any) any {
			parts, n := strings.Split(text(a[0]), text(a[1])), int(a[2].(float64))
			if n < 1 || n > len(parts) {
				return nil
			}
			return parts[n-1]
		}},
		"regexp_like": {[]string{sqlText, sqlText}, sqlBool, func(a []any) any {
			hit, err := regexp.MatchString(text(a[1]), text(a[0]))
			return err == nil && hit
		}},
		"json_extract_scalar": {[]string{sqlText, sqlText}, sqlText, func(a []any) any { return jsonScalar(text(a[0]), text(a[1])) }},
		"from_iso8601_timestamp": {[]string{sqlText}, sqlTime, func(a []any) any {
			if at, err := time.Parse(time.RFC3339Nano, text(a[0])); err == nil {
				return at
			}
			return nil
		}},
	}
}

// jsonScalar reads $.a.b[0] out of a JSON text; of anything but a scalar there is none.
func jsonScalar(text, jsonPath string) any {
	names := strings.FieldsFunc(strings.TrimPrefix(jsonPath, "$"), func(r rune) bool { return strings.ContainsRune(`.[]"'`, r) })
	v, ok := dig(json.RawMessage(text), names, false)
	if !ok {
		return nil
	}
	switch v.(type) {
	case string, float64, bool:
		return flatText(v)
	}
	return nil
}

// function calls one: of json_extract_scalar also with JSON, of coalesce with anything.
func (p *sqlParser) function(name string) (sqlExpr, error) {
	var args []sqlExpr
	for !p.sign(")") {
		if len(args) > 0 && !p.sign(",") {
			return sqlExpr{}, p.bad()
		}
		e, err := p.or()
		if err != nil {
			return e, err
		}
		args = append(args, e)
	}
	var kinds []string
	for _, a := range args {
		kinds = append(kinds, a.kind)
	}
	if name == "coalesce" && len(args) > 1 && len(slices.Compact(slices.Clone(kinds))) == 1 {
		return sqlExpr{kind: kinds[0], value: func(r sqlRow) any {
			for _, a := range args {
				if v := a.value(r); v != nil {
					return v
				}
			}
			return nil
		}}, nil
	}
	f, known := sqlFunctions()[name]
	if !known {
		return sqlExpr{}, fmt.Errorf("FUNCTION_NOT_FOUND: line 1:1: Function '%s' not registered", name)
	}
	if name == "json_extract_scalar" && len(args) == 2 && kinds[0] == sqlJSON {
		of := args[0].value
		args[0] = sqlExpr{kind: sqlText, value: func(r sqlRow) any {
			if v, ok := of(r).(json.RawMessage); ok {
				return string(v)
			}
			return nil
		}}
		kinds[0] = sqlText
	}
	if !slices.Equal(kinds, f.takes) {
		return sqlExpr{}, fmt.Errorf("FUNCTION_NOT_FOUND: line 1:1: Unexpected parameters (%s) for function %s. Expected: %s(%s)", strings.Join(kinds, ", "), name, name, strings.Join(f.takes, ", "))
	}
	return sqlExpr{kind: f.gives, value: func(r sqlRow) any {
		var values []any
		for _, a := range args {
			v := a.value(r)
			if v == nil {
				return nil
			}
			values = append(values, v)
		}
		return f.do(values)
	}}, nil
}
