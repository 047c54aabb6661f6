package aws

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"breakglass/store"
)

// Lines reads what a guard says now and takes it apart into lines, sorted by Who: for a store that was restored, which may not know all of it. Only
// what guardDocument could have written counts, by its meaning and not by its Sids; the list of a closed guard says nothing that the other
// statements do not. Times come back as IAM has them, in whole seconds. A policy, role or inline policy that does not exist has no lines.
func (g *Guards) Lines(ctx context.Context, account, set, role string) ([]store.Line, error) {
	if g.prefix == "" {
		return nil, nil
	}
	p := g.policyOf(store.Guard{Account: account, Set: set, Role: role})
	if err := p.turn.take(ctx); err != nil {
		return nil, fmt.Errorf("waiting for another change of %s: %w", p.name, err)
	}
	defer p.turn.leave()
	have, err := g.read(ctx, p)
	if refusalCode(err) == codeNoEntity {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the guard's lines: %w", err)
	}
	if have != p.document {
		p.document = "" // somebody else's stands: the next write must not take its own for it
	}
	return linesOf(have, role != ""), nil
}

// linesOf is the reverse of guardDocument, as far as a document is in our form.
func linesOf(doc string, role bool) []store.Line {
	var d struct {
		Version   string
		Statement []json.RawMessage
	}
	if json.Unmarshal([]byte(doc), &d) != nil || d.Version != policyVersion {
		return nil
	}
	said := map[string]store.Line{}
	before := map[string]time.Time{}
	for _, text := range d.Statement {
		var s statement
		if json.Unmarshal(text, &s) != nil || !s.refusesAll() {
			continue
		}
		who, ok := whoOf(s.Condition, role)
		if !ok {
			continue
		}
		kind, at, ok := whenOf(s.Condition)
		for _, id := range who {
			l := said[id]
			switch {
			case !ok || id == nobody:
				continue
			case kind == "":
				l = store.Line{Out: true} // whatever else is said of them
			case kind == "aws:TokenIssueTime":
				if at.After(before[id]) {
					before[id] = at
				}
				continue
			case !l.Out && (l.Until.IsZero() || at.Before(l.Until)):
				l.Until = at // of two ends the first is the one that is felt
			}
			said[id] = l
		}
	}
	var all []store.Line
	for _, id := range slices.Sorted(maps.Keys(said)) {
		l := said[id]
		if l.Who = id; !l.Out {
			l.Before = before[id]
		}
		all = append(all, l)
	}
	return all
}

// refusesAll says whether a statement refuses everything to those of its condition.
func (s statement) refusesAll() bool {
	all := values{"*"}
	return s.Effect == "Deny" && s.Principal == nil && s.NotAction == nil && s.NotResource == nil && slices.Equal(s.Action, all) && slices.Equal(s.Resource, all)
}

// whoOf are the people, or the requests, that a condition speaks of. One of another form speaks of nobody.
func whoOf(c conditions, role bool) ([]string, bool) {
	op, key, prefix, escape := "StringEquals", "identitystore:userId", "", literal
	if role {
		op, key, prefix, escape = "StringLike", "aws:userid", "*:", func(s string) string { return pattern(literal(s)) }
	}
	if len(c[op]) != 1 || len(c[op][key]) == 0 {
		return nil, false
	}
	plain := strings.NewReplacer("${$}", "$", "${*}", "*", "${?}", "?")
	var who []string
	for _, v := range c[op][key] {
		id, ok := strings.CutPrefix(v, prefix)
		if said := plain.Replace(id); ok && said != "" && escape(said) == id {
			who = append(who, said)
		}
	}
	return who, true
}

// whenOf is the time beside them, with the key that it is compared with: "" where they are refused whatever the time. ok is false for any other form.
func whenOf(c conditions) (key string, at time.Time, ok bool) {
	if len(c) == 1 {
		return "", at, true
	}
	for op, key := range map[string]string{"DateGreaterThanEquals": "aws:CurrentTime", "DateLessThan": "aws:TokenIssueTime"} {
		if v := c[op][key]; len(c) == 2 && len(c[op]) == 1 && len(v) == 1 {
			at, err := time.Parse("2006-01-02T15:04:05Z", v[0])
			return key, at, err == nil
		}
	}
	return "", at, false
}

// Lasts is how long credentials of a permission set's session may be valid, from the moment they are taken: the longest session duration that AWS was
// seen to have for the set since the start of this process, so that one that was shortened counts only for what comes after. Twelve hours,
// which is the most there is, for a set that was not read yet and for roles, with "". It makes no call.
func (g *Guards) Lasts(set string) time.Duration {
	return cmp.Or(g.c.sets.lasting(set), longestSession)
}
