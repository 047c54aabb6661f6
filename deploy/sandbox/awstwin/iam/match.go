package iam

import (
	"strings"
	"unicode/utf8"
)

// token is one place of a pattern: a literal character, any one character, or any number of them.
type token struct {
	lit  rune
	wild byte // 0, '?' or '*'
}

// expand turns a pattern into tokens with its policy variables filled in. What a variable stands for is literal, wildcards
// in it included. ok is false where a variable has no value: then the pattern matches nothing.
func expand(pattern string, ctx Context, variables bool) (tokens []token, ok bool) {
	for len(pattern) > 0 {
		if variables && strings.HasPrefix(pattern, "${") {
			name, rest, closed := strings.Cut(pattern[2:], "}")
			if closed {
				value, found := resolve(name, ctx)
				if !found {
					return nil, false
				}
				for _, r := range value {
					tokens = append(tokens, token{lit: r})
				}
				pattern = rest
				continue
			}
		}
		r, n := utf8.DecodeRuneInString(pattern)
		pattern = pattern[n:]
		if r == '*' || r == '?' {
			tokens = append(tokens, token{wild: byte(r)})
		} else {
			tokens = append(tokens, token{lit: r})
		}
	}
	return tokens, true
}

// resolve gives the value of a policy variable: ${key}, ${key, 'default'}, and ${*}, ${?}, ${$} for the characters themselves.
// A key with several values cannot stand in a variable.
func resolve(name string, ctx Context) (string, bool) {
	if name == "*" || name == "?" || name == "$" {
		return name, true
	}
	key, def, hasDefault := strings.Cut(name, ",")
	values := ctx.values(strings.TrimSpace(key))
	if len(values) == 1 {
		return values[0], true
	}
	if hasDefault {
		return strings.Trim(strings.TrimSpace(def), "'"), true
	}
	return "", false
}

// glob matches tokens against a whole text, without recursion on the number of stars.
func glob(p []token, text []rune) bool {
	pi, ti, star, mark := 0, 0, -1, 0
	for ti < len(text) {
		switch {
		case pi < len(p) && p[pi].wild == '*':
			star, mark = pi, ti
			pi++
		case pi < len(p) && (p[pi].wild == '?' || (p[pi].wild == 0 && p[pi].lit == text[ti])):
			pi++
			ti++
		case star >= 0:
			mark++
			pi, ti = star+1, mark
		default:
			return false
		}
	}
	for pi < len(p) && p[pi].wild == '*' {
		pi++
	}
	return pi == len(p)
}

// like is a wildcard match with case.
func like(pattern, text string, ctx Context, variables bool) bool {
	p, ok := expand(pattern, ctx, variables)
	return ok && glob(p, []rune(text))
}

// actionLike compares action names, which have no case.
func actionLike(pattern, action string) bool {
	return like(strings.ToLower(pattern), strings.ToLower(action), nil, false)
}

// arnLike compares the six parts of an ARN one by one, so that a wildcard does not run over a colon, except in the last
// part, which has colons of its own. Where either side has fewer parts, a condition (strict) does not match unless the
// pattern is a lone star. A Resource element is compared as a whole then, and also where each of its stars is the last
// character of its part: such a star "can expand to match beyond the colon boundaries" (user guide, Resource).
func arnLike(pattern, arn string, ctx Context, variables, strict bool) bool {
	p, ok := expand(pattern, ctx, variables)
	if !ok {
		return false
	}
	pp, ap := splitTokens(p), strings.SplitN(arn, ":", 6)
	if len(pp) != 6 || len(ap) != 6 {
		return (!strict || pattern == "*") && glob(p, []rune(arn))
	}
	for i := range pp {
		if !glob(pp[i], []rune(ap[i])) {
			return !strict && starsAtEnds(p) && glob(p, []rune(arn))
		}
	}
	return true
}

// starsAtEnds: no wildcard stands anywhere but a star before a colon or at the end.
func starsAtEnds(p []token) bool {
	for i, t := range p {
		last := i+1 == len(p) || p[i+1].wild == 0 && p[i+1].lit == ':'
		if t.wild == '?' || t.wild == '*' && !last {
			return false
		}
	}
	return true
}

func splitTokens(p []token) [][]token {
	var parts [][]token
	start := 0
	for i, t := range p {
		if t.wild == 0 && t.lit == ':' && len(parts) < 5 {
			parts = append(parts, p[start:i])
			start = i + 1
		}
	}
	return append(parts, p[start:])
}
