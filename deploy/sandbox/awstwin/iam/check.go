package iam

import (
	"bytes"
	"encoding/json"
	"strings"
)

// onceEach refuses an object that has the same key twice, of which encoding/json would silently keep the last: IAM refuses it too ("Individual
// elements must not contain multiple instances of the same key", grammar of the policy language). text is valid JSON.
func onceEach(text []byte) error {
	type level struct {
		object, value bool // value: a key of the object has been read, and its value comes next
		seen          map[string]bool
	}
	d := json.NewDecoder(bytes.NewReader(text))
	var levels []*level
	for {
		token, err := d.Token()
		if err != nil {
			return nil
		}
		delim, isDelim := token.(json.Delim)
		if isDelim && (delim == '}' || delim == ']') {
			levels = levels[:len(levels)-1]
			continue
		}
		if n := len(levels); n > 0 && levels[n-1].object {
			in := levels[n-1]
			if in.value = !in.value; in.value {
				key, _ := token.(string)
				if in.seen[key] {
					return malformed("%q stands twice in the same element", key)
				}
				in.seen[key] = true
				continue
			}
		}
		if isDelim {
			levels = append(levels, &level{object: delim == '{', seen: map[string]bool{}})
		}
	}
}

// checkSids: letters and digits, each once in a policy (IAM user guide, "IAM JSON policy elements: Sid").
func (d *Document) checkSids() error {
	const alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	seen := map[string]bool{}
	for _, s := range d.Statements {
		switch {
		case strings.Trim(s.Sid, alphabet) != "":
			return malformed("statement IDs (SID) must be alpha-numeric: %q", s.Sid)
		case s.Sid != "" && seen[s.Sid]:
			return malformed("statement IDs (SID) in a single policy must be unique: %q", s.Sid)
		}
		seen[s.Sid] = true
	}
	return nil
}

// CheckIdentity says whether the document may stand as an identity-based policy: resources, and no principals.
func (d *Document) CheckIdentity() error {
	for _, s := range d.Statements {
		if s.Principals != nil {
			return malformed("policy document should not specify a principal")
		}
		if len(s.Resources) == 0 && len(s.NotResources) == 0 {
			return malformed("statement %q has no resource", s.Sid)
		}
		for _, r := range append(append([]string{}, s.Resources...), s.NotResources...) {
			if r != "*" && !strings.HasPrefix(r, "arn:") {
				return malformed("resource %s must be in ARN format or \"*\"", r)
			}
		}
	}
	return d.checkSids()
}

// CheckTrust says whether the document may stand as a role's trust policy: principals, named and not excepted, and no resources.
func (d *Document) CheckTrust() error {
	for _, s := range d.Statements {
		if s.Principals == nil {
			return malformed("assume role policy must contain principals")
		}
		if s.NotPrincipal { // "You cannot use NotPrincipal in an IAM role trust policy", user guide
			return malformed("AssumeRolepolicy contained an invalid principal: NotPrincipal")
		}
		if len(s.Resources) > 0 || len(s.NotResources) > 0 {
			return malformed("has prohibited field Resource")
		}
	}
	return d.checkSids()
}
