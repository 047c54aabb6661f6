// The part of the language of Logs Insights that a reader of a trail needs: fields, display, filter, sort, limit. Other commands of the real
// language (stats, parse, dedup, …) are not modelled and are refused as if they were no commands at all.

package awstwin

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// token is a piece of a query: a word, a text in quotes, a field in backticks, a pattern between slashes, or a sign.
type token struct {
	kind byte // w, ", `, /, or the sign's first character
	text string
}

type insightsParser struct {
	tokens []token
	at     int
	query  *insightsQuery
}

func parseInsights(text string) (*insightsQuery, error) {
	tokens, err := insightsTokens(text)
	if err != nil {
		return nil, err
	}
	p := &insightsParser{tokens: tokens, query: &insightsQuery{}}
	for {
		if err := p.command(); err != nil {
			return nil, err
		}
		switch t := p.next(); {
		case t.kind == 0:
			return p.query, nil
		case t.kind != '|':
			return nil, unexpected(t)
		}
	}
}

func unexpected(t token) error {
	if t.kind == 0 {
		return fmt.Errorf("unexpected end of the query")
	}
	return fmt.Errorf("unexpected symbol found %s", t.text)
}

func (p *insightsParser) peek() token {
	if p.at < len(p.tokens) {
		return p.tokens[p.at]
	}
	return token{}
}

func (p *insightsParser) next() token {
	t := p.peek()
	p.at++
	return t
}

// word takes one of these keywords, if it is next.
func (p *insightsParser) word(words ...string) bool {
	t := p.peek()
	if t.kind == 'w' && slices.Contains(words, strings.ToLower(t.text)) {
		p.at++
		return true
	}
	return false
}

func (p *insightsParser) sign(kind byte) bool {
	if p.peek().kind == kind {
		p.at++
		return true
	}
	return false
}

func (p *insightsParser) command() error {
	switch {
	case p.word("fields", "display"):
		return p.fields()
	case p.word("filter"):
		f, err := p.or()
		p.query.filters = append(p.query.filters, f)
		return err
	case p.word("sort"):
		return p.sort()
	case p.word("limit", "head"):
		t := p.next()
		n, err := strconv.Atoi(t.text)
		if err != nil || n < 1 || n > insightsMost {
			return fmt.Errorf("limit %s is not between 1 and %d", t.text, insightsMost)
		}
		p.query.limit = n
		return nil
	}
	return unexpected(p.next())
}

func (p *insightsParser) fields() error {
	for {
		f, err := p.field()
		if err != nil {
			return err
		}
		if p.word("as") {
			f.as = p.next().text
		}
		p.query.fields = append(p.query.fields, f)
		if !p.sign(',') {
			return nil
		}
	}
}

func (p *insightsParser) sort() error {
	for {
		f, err := p.field()
		if err != nil {
			return err
		}
		down := true // desc is what sort means without a word
		if p.word("asc") {
			down = false
		} else {
			p.word("desc")
		}
		p.query.sorts = append(p.query.sorts, insightsOrder{f, down})
		if !p.sign(',') {
			return nil
		}
	}
}

// field is a name of letters, digits, dots, underscores and @; one with anything else, as a hyphen, needs backticks.
func (p *insightsParser) field() (insightsField, error) {
	t := p.next()
	if t.kind != 'w' && t.kind != '`' {
		return insightsField{}, unexpected(t)
	}
	if t.kind == 'w' && (strings.ContainsRune("0123456789.", rune(t.text[0])) || strings.Contains(t.text, "-")) {
		return insightsField{}, unexpected(t)
	}
	return insightsField{name: t.text, path: strings.Split(t.text, ".")}, nil
}

func (p *insightsParser) or() (func(*record) bool, error) {
	left, err := p.and()
	for err == nil && p.word("or") {
		var right func(*record) bool
		right, err = p.and()
		a := left
		left = func(r *record) bool { return a(r) || right(r) }
	}
	return left, err
}

func (p *insightsParser) and() (func(*record) bool, error) {
	left, err := p.not()
	for err == nil && p.word("and") {
		var right func(*record) bool
		right, err = p.not()
		a := left
		left = func(r *record) bool { return a(r) && right(r) }
	}
	return left, err
}

func (p *insightsParser) not() (func(*record) bool, error) {
	if p.word("not") {
		f, err := p.not()
		return func(r *record) bool { return !f(r) }, err
	}
	if p.sign('(') {
		f, err := p.or()
		if err == nil && !p.sign(')') {
			err = unexpected(p.next())
		}
		return f, err
	}
	return p.comparison()
}

func (p *insightsParser) comparison() (func(*record) bool, error) {
	if t := p.peek(); t.kind == 'w' && slices.Contains([]string{"ispresent", "isempty", "isblank"}, strings.ToLower(t.text)) {
		return p.presence()
	}
	f, err := p.field()
	if err != nil {
		return nil, err
	}
	negated := p.word("not")
	keep := func(g func(*record) bool, err error) (func(*record) bool, error) {
		if negated {
			return func(r *record) bool { return !g(r) }, err
		}
		return g, err
	}
	switch {
	case p.word("like"):
		return keep(p.like(f, false))
	case p.word("in"):
		return keep(p.in(f))
	case negated:
		return nil, unexpected(p.next())
	}
	switch t := p.next(); {
	case t.kind == '=' && t.text == "=~":
		return p.like(f, true)
	case strings.IndexByte("=!<>", t.kind) >= 0 && t.kind != 0:
		want, err := p.literal()
		return compareField(f, t.text, want), err
	default:
		return nil, unexpected(t)
	}
}

func (p *insightsParser) presence() (func(*record) bool, error) {
	name := strings.ToLower(p.next().text)
	if !p.sign('(') {
		return nil, unexpected(p.next())
	}
	f, err := p.field()
	if err == nil && !p.sign(')') {
		err = unexpected(p.next())
	}
	return func(r *record) bool {
		v, ok := r.get(f)
		switch name {
		case "ispresent":
			return ok
		case "isempty":
			return v == ""
		}
		return strings.TrimSpace(v) == ""
	}, err
}

// like takes a text, or a pattern between slashes.
func (p *insightsParser) like(f insightsField, onlyPattern bool) (func(*record) bool, error) {
	t := p.next()
	if t.kind == '/' {
		pattern, err := regexp.Compile(t.text)
		if err != nil {
			return nil, fmt.Errorf("invalid regular expression %s", t.text)
		}
		return likeField(f, "", pattern), nil
	}
	if t.kind != '"' || onlyPattern {
		return nil, unexpected(t)
	}
	return likeField(f, t.text, nil), nil
}

func (p *insightsParser) in(f insightsField) (func(*record) bool, error) {
	if !p.sign('[') {
		return nil, unexpected(p.next())
	}
	var any []func(*record) bool
	for {
		want, err := p.literal()
		if err != nil {
			return nil, err
		}
		any = append(any, compareField(f, "=", want))
		if p.sign(']') {
			break
		}
		if !p.sign(',') {
			return nil, unexpected(p.next())
		}
	}
	return func(r *record) bool {
		return slices.ContainsFunc(any, func(is func(*record) bool) bool { return is(r) })
	}, nil
}

// literal is a text in quotes or a number; a bare word would be another field, which a trail's reader has no use for.
func (p *insightsParser) literal() (string, error) {
	t := p.next()
	if t.kind == '"' {
		return t.text, nil
	}
	if t.kind == 'w' {
		if _, err := strconv.ParseFloat(t.text, 64); err == nil {
			return t.text, nil
		}
	}
	return "", unexpected(t)
}

const insightsWord = "@._-abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

func insightsTokens(s string) ([]token, error) {
	var all []token
	for i := 0; i < len(s); {
		ch := s[i]
		switch {
		case ch == ' ' || ch == '\t' || ch == '\n' || ch == '\r':
			i++
		case ch == '#':
			for i < len(s) && s[i] != '\n' {
				i++
			}
		case ch == '"' || ch == '\'' || ch == '`' || (ch == '/' && afterLike(all)):
			text, n := quoted(s[i:])
			if n == 0 {
				return nil, fmt.Errorf("unterminated %c", ch)
			}
			if ch == '\'' {
				ch = '"'
			}
			all, i = append(all, token{ch, text}), i+n
		case strings.IndexByte(insightsWord, ch) >= 0:
			n := i
			for n < len(s) && strings.IndexByte(insightsWord, s[n]) >= 0 {
				n++
			}
			all, i = append(all, token{'w', s[i:n]}), n
		case strings.IndexByte("=!<>|,()[]", ch) >= 0:
			n := i + 1
			if n < len(s) && (s[n] == '=' || (s[n] == '~' && ch == '=')) && strings.IndexByte("=!<>", ch) >= 0 {
				n++
			}
			if s[i:n] == "!" {
				return nil, fmt.Errorf("unexpected symbol found %s", s[i:n])
			}
			all, i = append(all, token{ch, s[i:n]}), n
		default:
			return nil, fmt.Errorf("unexpected symbol found %c", ch)
		}
	}
	return all, nil
}

// afterLike: only there a slash begins a pattern.
func afterLike(all []token) bool {
	if len(all) == 0 {
		return false
	}
	t := all[len(all)-1]
	return strings.EqualFold(t.text, "like") || t.text == "=~"
}

// quoted reads what stands between a mark and its next occurrence without a backslash before it. In a text the backslash goes, in a pattern it stays.
func quoted(s string) (string, int) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s):
			if i++; s[0] == '/' && s[i] != '/' {
				b.WriteByte('\\')
			}
			b.WriteByte(s[i])
		case s[i] == s[0]:
			return b.String(), i + 1
		default:
			b.WriteByte(s[i])
		}
	}
	return "", 0
}
