// The part of SQL that a reader of a trail needs: SELECT columns FROM table WHERE … ORDER BY … LIMIT n, with parameters that are literals. Types are
// minded as Athena minds them, so that a query that would fail there fails here, whatever the rows.

package awstwin

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// sqlQuery is a query that was read.
type sqlQuery struct {
	database, table string
	columns         []sqlColumn
	where           func(sqlRow) any
	orders          []sqlOrder
	limit           int // negative: none
}

type sqlColumn struct {
	name string
	sqlExpr
}

type sqlOrder struct {
	sqlExpr
	down bool
}

type sqlParser struct {
	tokens []sqlToken
	at     int
	params []string
	used   int
}

type sqlToken struct {
	kind byte // w word, i quoted identifier, s string, n number, or the sign
	text string
	pos  int
}

func parseSQL(text string, params []string) (*sqlQuery, error) {
	tokens, err := sqlTokens(text)
	if err != nil {
		return nil, err
	}
	p := &sqlParser{tokens: tokens, params: params}
	q, err := p.query()
	if err != nil {
		return nil, err
	}
	if p.used != len(params) {
		return nil, fmt.Errorf("INVALID_PARAMETER_USAGE: line 1:1: Incorrect number of parameters: expected %d but found %d", p.used, len(params))
	}
	return q, nil
}

func (p *sqlParser) peek() sqlToken {
	if p.at < len(p.tokens) {
		return p.tokens[p.at]
	}
	return sqlToken{text: "<EOF>"}
}

func (p *sqlParser) next() sqlToken { t := p.peek(); p.at++; return t }

// word takes a keyword, if it is next.
func (p *sqlParser) word(words ...string) bool {
	for i, w := range words {
		if p.at+i >= len(p.tokens) || p.tokens[p.at+i].kind != 'w' || !strings.EqualFold(p.tokens[p.at+i].text, w) {
			return false
		}
	}
	p.at += len(words)
	return true
}

func (p *sqlParser) sign(s string) bool {
	if t := p.peek(); t.kind != 's' && t.kind != 'i' && t.text == s {
		p.at++
		return true
	}
	return false
}

func (p *sqlParser) bad() error {
	t := p.peek()
	return fmt.Errorf("SYNTAX_ERROR: line 1:%d: mismatched input '%s'. The sandbox knows SELECT, FROM one table, WHERE, ORDER BY and LIMIT", t.pos+1, t.text)
}

func (p *sqlParser) query() (*sqlQuery, error) {
	q := &sqlQuery{limit: -1}
	if !p.word("select") {
		return nil, p.bad()
	}
	if err := p.columns(q); err != nil {
		return nil, err
	}
	if !p.word("from") {
		return nil, p.bad()
	}
	if err := p.table(q); err != nil {
		return nil, err
	}
	if p.word("where") {
		e, err := p.or()
		if err != nil {
			return nil, err
		}
		if e.kind != sqlBool {
			return nil, fmt.Errorf("TYPE_MISMATCH: line 1:1: WHERE clause must evaluate to a boolean: actual type %s", e.kind)
		}
		q.where = e.value
	}
	if p.word("order", "by") {
		if err := p.orderBy(q); err != nil {
			return nil, err
		}
	}
	if p.word("limit") {
		n, err := strconv.Atoi(p.peek().text)
		if err != nil || n < 0 {
			return nil, p.bad()
		}
		p.at++
		q.limit = n
	}
	p.sign(";")
	if p.at < len(p.tokens) {
		return nil, p.bad()
	}
	return q, nil
}

func (p *sqlParser) columns(q *sqlQuery) error {
	if p.sign("*") {
		for _, name := range trailColumns {
			q.columns = append(q.columns, sqlColumn{name, columnOf(name)})
		}
		return nil
	}
	for {
		start := p.peek()
		e, err := p.or()
		if err != nil {
			return err
		}
		name := "_col" + strconv.Itoa(len(q.columns))
		if e.named != "" && (start.kind == 'w' || start.kind == 'i') {
			name = e.named
		}
		if p.word("as") {
			if t := p.peek(); t.kind != 'w' && t.kind != 'i' {
				return p.bad()
			}
			name = strings.ToLower(p.next().text)
		}
		q.columns = append(q.columns, sqlColumn{name, e})
		if !p.sign(",") {
			return nil
		}
	}
}

// table is a name of one to three parts: catalog, database, table.
func (p *sqlParser) table(q *sqlQuery) error {
	var parts []string
	for {
		t := p.peek()
		if t.kind != 'w' && t.kind != 'i' {
			return p.bad()
		}
		parts = append(parts, strings.ToLower(p.next().text))
		if !p.sign(".") {
			break
		}
	}
	if len(parts) > 3 || (len(parts) == 3 && parts[0] != "awsdatacatalog") {
		return fmt.Errorf("CATALOG_NOT_FOUND: line 1:1: Catalog '%s' does not exist", parts[0])
	}
	q.table = parts[len(parts)-1]
	if len(parts) > 1 {
		q.database = parts[len(parts)-2]
	}
	return nil
}

// orderBy: a name is that of a column of the result before it is one of the table.
func (p *sqlParser) orderBy(q *sqlQuery) error {
	for {
		var e sqlExpr
		i := slices.IndexFunc(q.columns, func(c sqlColumn) bool { return strings.EqualFold(c.name, p.peek().text) })
		if t := p.peek(); i >= 0 && (t.kind == 'w' || t.kind == 'i') && (p.at+1 >= len(p.tokens) || p.tokens[p.at+1].text != ".") {
			p.at++
			e = q.columns[i].sqlExpr
		} else {
			var err error
			if e, err = p.primary(); err != nil {
				return err
			}
		}
		if e.kind == sqlStruct || e.kind == sqlArray {
			return fmt.Errorf("TYPE_MISMATCH: line 1:1: Type %s is not orderable", e.kind)
		}
		down := p.word("desc")
		if !down {
			p.word("asc")
		}
		q.orders = append(q.orders, sqlOrder{e, down})
		if !p.sign(",") {
			return nil
		}
	}
}

// sort puts rows in order; without ORDER BY they come as the files have them. Nothing comes last.
func (q *sqlQuery) sort(rows []sqlRow) {
	slices.SortStableFunc(rows, func(a, b sqlRow) int {
		for _, o := range q.orders {
			x, y := o.value(a), o.value(b)
			n := 0
			switch {
			case x == nil && y == nil:
				continue
			case x == nil:
				return 1
			case y == nil:
				return -1
			default:
				n = sqlCompare(x, y)
			}
			if o.down {
				n = -n
			}
			if n != 0 {
				return n
			}
		}
		return 0
	})
}

func (p *sqlParser) or() (sqlExpr, error) {
	return p.chain("or", p.and, func(a, b any) any {
		if a == true || b == true {
			return true
		}
		return both(a, b)
	})
}

func (p *sqlParser) and() (sqlExpr, error) {
	return p.chain("and", p.not, func(a, b any) any {
		if a == false || b == false {
			return false
		}
		return both(a, b)
	})
}

// both is what remains of two truths of which neither decides: unknown, if one is.
func both(a, b any) any {
	if a == nil || b == nil {
		return nil
	}
	return a
}

func (p *sqlParser) chain(word string, part func() (sqlExpr, error), join func(a, b any) any) (sqlExpr, error) {
	left, err := part()
	for err == nil && p.word(word) {
		var right sqlExpr
		if right, err = part(); err != nil {
			break
		}
		if left.kind != sqlBool || right.kind != sqlBool {
			return left, fmt.Errorf("TYPE_MISMATCH: line 1:1: Logical expression term must evaluate to a boolean")
		}
		a, b := left.value, right.value
		left = sqlExpr{kind: sqlBool, value: func(r sqlRow) any {
			x := a(r)
			if y := join(x, x); y != nil && (y == true) == (word == "or") {
				return y // it is decided, and the rest need not be looked at
			}
			return join(x, b(r))
		}}
	}
	return left, err
}

func (p *sqlParser) not() (sqlExpr, error) {
	if !p.word("not") {
		return p.predicate()
	}
	e, err := p.not()
	if err == nil && e.kind != sqlBool {
		err = fmt.Errorf("TYPE_MISMATCH: line 1:1: Value of logical NOT expression must evaluate to a boolean")
	}
	return negate(e), err
}

func negate(e sqlExpr) sqlExpr {
	return sqlExpr{kind: sqlBool, value: func(r sqlRow) any {
		if b, ok := e.value(r).(bool); ok {
			return !b
		}
		return nil
	}}
}

func sqlTokens(s string) ([]sqlToken, error) {
	var all []sqlToken
	word := func(c byte) bool {
		return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')
	}
	for i := 0; i < len(s); {
		c, start := s[i], i
		switch {
		case c == ' ' || c == '\n' || c == '\t' || c == '\r':
			i++
		case strings.HasPrefix(s[i:], "--"):
			for i < len(s) && s[i] != '\n' {
				i++
			}
		case c == '\'' || c == '"':
			text, n := sqlQuoted(s[i:])
			if n == 0 {
				return nil, fmt.Errorf("SYNTAX_ERROR: line 1:%d: mismatched input '%c'", i+1, c)
			}
			kind := byte('s')
			if c == '"' {
				kind = 'i'
			}
			all, i = append(all, sqlToken{kind, text, start}), i+n
		case word(c):
			for i < len(s) && (word(s[i]) || (s[i] == '.' && c >= '0' && c <= '9')) {
				i++
			}
			kind := byte('w')
			if c >= '0' && c <= '9' {
				kind = 'n'
			}
			all = append(all, sqlToken{kind, s[start:i], start})
		case strings.IndexByte("=<>!(),.*?;", c) >= 0:
			if i++; i < len(s) && strings.Contains("<= >= <> !=", s[start:i+1]) && len(s[start:i+1]) == 2 && c != ' ' && s[i] != ' ' {
				i++
			}
			all = append(all, sqlToken{c, s[start:i], start})
		default:
			return nil, fmt.Errorf("SYNTAX_ERROR: line 1:%d: extraneous input '%c'", i+1, c)
		}
	}
	return all, nil
}

// sqlQuoted reads what is between two marks, of which a doubled one is the mark itself.
func sqlQuoted(s string) (string, int) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		if s[i] != s[0] {
			b.WriteByte(s[i])
		} else if i+1 < len(s) && s[i+1] == s[0] {
			b.WriteByte(s[i])
			i++
		} else {
			return b.String(), i + 1
		}
	}
	return "", 0
}
