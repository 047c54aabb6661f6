package iam

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Document is a parsed policy.
type Document struct {
	Name       string // the caller's name for it, given back in decisions
	Version    string // 2012-10-17 or 2008-10-17; only the former has policy variables
	Statements []Statement
}

// Statement is one statement of a document. Of Actions and NotActions, Resources and NotResources, one of each is set.
type Statement struct {
	Sid          string
	Deny         bool
	Principals   *Principals
	NotPrincipal bool
	Actions      []string
	NotActions   []string
	Resources    []string
	NotResources []string
	Conditions   []Condition
}

// Principals is who a statement of a resource-based policy speaks of.
type Principals struct {
	Everyone  bool
	AWS       []string
	Service   []string
	Federated []string
}

// Condition is one operator on one key with its values.
type Condition struct {
	Operator string // base operator, lower case: stringequals
	Key      string // lower case
	Values   []string
	IfExists bool
	ForAll   bool
	ForAny   bool
}

// ErrMalformed is wrapped by every error of Parse and Check.
var ErrMalformed = errors.New("malformed policy document")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, args...))
}

type rawStatement struct {
	Sid          string
	Effect       string
	Principal    json.RawMessage
	NotPrincipal json.RawMessage
	Action       oneOrMany
	NotAction    oneOrMany
	Resource     oneOrMany
	NotResource  oneOrMany
	Condition    map[string]map[string]oneOrMany
}

// oneOrMany is a JSON string, number or bool, or a list of them.
type oneOrMany []string

// UnmarshalJSON reads what IAM accepts as a value: true and "true" are the same.
func (v *oneOrMany) UnmarshalJSON(b []byte) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var x any
	if err := d.Decode(&x); err != nil {
		return err
	}
	list, ok := x.([]any)
	if !ok {
		list = []any{x}
	}
	*v = make([]string, 0, len(list))
	for _, item := range list {
		switch t := item.(type) {
		case string:
			*v = append(*v, t)
		case bool, json.Number:
			*v = append(*v, fmt.Sprint(t))
		default:
			return malformed("a value is neither text, number nor bool")
		}
	}
	return nil
}

// Parse reads a document strictly: unknown elements, operators and effects are errors, as they are to IAM.
func Parse(text []byte) (*Document, error) {
	var raw struct {
		Version, Id string
		Statement   json.RawMessage
	}
	if err := strict(text, &raw); err != nil {
		return nil, err
	}
	if err := onceEach(text); err != nil {
		return nil, err
	}
	switch raw.Version {
	case "", "2008-10-17", "2012-10-17":
	default:
		return nil, malformed("unknown version %q", raw.Version)
	}
	var all []rawStatement
	if s := bytes.TrimSpace(raw.Statement); len(s) > 0 && s[0] == '{' {
		all = make([]rawStatement, 1)
		if err := strict(s, &all[0]); err != nil {
			return nil, err
		}
	} else if err := strict(s, &all); err != nil {
		return nil, err
	}
	doc := &Document{Version: raw.Version}
	for _, r := range all {
		s, err := r.statement()
		if err != nil {
			return nil, err
		}
		doc.Statements = append(doc.Statements, s)
	}
	if len(doc.Statements) == 0 {
		return nil, malformed("no statement")
	}
	return doc, nil
}

func strict(text []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return malformed("%v", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return malformed("text after the document")
	}
	return nil
}

func (r rawStatement) statement() (Statement, error) {
	s := Statement{Sid: r.Sid, Deny: r.Effect == "Deny", Actions: r.Action, NotActions: r.NotAction, Resources: r.Resource, NotResources: r.NotResource}
	if r.Effect != "Allow" && r.Effect != "Deny" {
		return s, malformed("effect %q", r.Effect)
	}
	if (len(r.Action) > 0) == (len(r.NotAction) > 0) {
		return s, malformed("statement %q needs one of Action and NotAction", r.Sid)
	}
	for _, a := range append(append([]string{}, r.Action...), r.NotAction...) {
		if vendor, _, ok := strings.Cut(a, ":"); a != "*" && (!ok || vendor == "" || strings.ContainsAny(vendor, "*?")) {
			return s, malformed("action %q must be prefaced by a vendor", a)
		}
	}
	if len(r.Resource) > 0 && len(r.NotResource) > 0 {
		return s, malformed("statement %q has both Resource and NotResource", r.Sid)
	}
	if err := s.readPrincipals(r); err != nil {
		return s, err
	}
	return s, s.readConditions(r.Condition)
}

func (s *Statement) readPrincipals(r rawStatement) error {
	raw := r.Principal
	if len(raw) == 0 {
		raw, s.NotPrincipal = r.NotPrincipal, len(r.NotPrincipal) > 0
	}
	if len(raw) == 0 {
		return nil
	}
	var everyone string
	if json.Unmarshal(raw, &everyone) == nil {
		if everyone != "*" {
			return malformed("principal %q", everyone)
		}
		s.Principals = &Principals{Everyone: true}
		return nil
	}
	var byKind struct {
		AWS, Service, Federated, CanonicalUser oneOrMany
	}
	if err := strict(raw, &byKind); err != nil {
		return err
	}
	s.Principals = &Principals{AWS: byKind.AWS, Service: byKind.Service, Federated: byKind.Federated}
	for _, a := range byKind.AWS {
		s.Principals.Everyone = s.Principals.Everyone || a == "*"
	}
	return nil
}

func (s *Statement) readConditions(all map[string]map[string]oneOrMany) error {
	for op, keys := range all {
		c := Condition{Operator: strings.ToLower(op)}
		if rest, ok := strings.CutPrefix(c.Operator, "forallvalues:"); ok {
			c.Operator, c.ForAll = rest, true
		} else if rest, ok := strings.CutPrefix(c.Operator, "foranyvalue:"); ok {
			c.Operator, c.ForAny = rest, true
		}
		if rest, ok := strings.CutSuffix(c.Operator, "ifexists"); ok {
			c.Operator, c.IfExists = rest, true
		}
		if !known(c.Operator) || (c.Operator == "null" && c.IfExists) {
			return malformed("condition operator %q", op)
		}
		for key, values := range keys {
			c := c
			c.Key, c.Values = strings.ToLower(key), values
			s.Conditions = append(s.Conditions, c)
		}
	}
	return nil
}
