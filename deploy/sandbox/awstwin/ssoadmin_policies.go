// The policies of a permission set.

package awstwin

import (
	"strings"
	"unicode"
)

type inlineInput struct {
	setInput
	InlinePolicy string
}

func getInlinePolicy(c *call, in *inlineInput) (any, error) {
	s, err := in.set(c)
	if err != nil {
		return nil, err
	}
	text := ""
	if s.inline != nil {
		text = s.inline.text
	}
	return map[string]any{"InlinePolicy": text}, nil
}

// putInlinePolicy changes the set alone; roles follow with ProvisionPermissionSet or the next assignment.
// 32,768 bytes and 10,240 characters that are not white space at most (Identity Center quotas).
func putInlinePolicy(c *call, in *inlineInput) (any, error) {
	s, err := in.set(c)
	if err != nil {
		return nil, err
	}
	if n := len(in.InlinePolicy); n < 1 || n > 32768 {
		return nil, invalid("inlinePolicy", "…", "Member must have length between 1 and 32768")
	}
	if dense(in.InlinePolicy) > 10240 {
		return nil, fail("ServiceQuotaExceededException", "The inline policy exceeds 10240 non-whitespace characters")
	}
	p, perr := parsePolicy("inline policy of "+s.name, in.InlinePolicy)
	if perr != nil {
		return nil, fail("ValidationException", "Inline policy document is invalid: %v", perr)
	}
	s.inline, s.version = p, s.version+1
	return empty{}, nil
}

func deleteInlinePolicy(c *call, in *setInput) (any, error) {
	s, err := in.set(c)
	if err != nil {
		return nil, err
	}
	s.inline, s.version = nil, s.version+1
	return empty{}, nil
}

// dense counts the characters that AWS counts against a policy's limit: all but white space.
func dense(s string) int {
	n := 0
	for _, r := range s {
		if !unicode.IsSpace(r) {
			n++
		}
	}
	return n
}

func listManaged(c *call, in *setInput) (any, error) {
	s, err := in.set(c)
	if err != nil {
		return nil, err
	}
	all, next, err := page(append([]string(nil), s.managed...), self, in.paging, 100, "managed"+s.arn, badToken)
	if err != nil {
		return nil, err
	}
	views := []any{}
	for _, arn := range all {
		views = append(views, map[string]any{"Name": arn[strings.LastIndexByte(arn, '/')+1:], "Arn": arn})
	}
	return withNext(map[string]any{"AttachedManagedPolicies": views}, next), nil
}

func listCustomerManaged(c *call, in *setInput) (any, error) {
	s, err := in.set(c)
	if err != nil {
		return nil, err
	}
	all, next, err := page(append([]customerRef(nil), s.customer...), func(r customerRef) string { return r.Path + r.Name },
		in.paging, 100, "customer"+s.arn, badToken)
	if err != nil {
		return nil, err
	}
	return withNext(map[string]any{"CustomerManagedPolicyReferences": some(all)}, next), nil
}

type attachInput struct {
	setInput
	CustomerManagedPolicyReference customerRef
}

func attachCustomerManaged(c *call, in *attachInput) (any, error) {
	s, err := in.set(c)
	if err != nil {
		return nil, err
	}
	ref := in.CustomerManagedPolicyReference
	if ref.Path == "" {
		ref.Path = "/"
	}
	for _, have := range s.customer {
		if have == ref {
			return nil, fail("ConflictException", "The policy %s is already attached", ref.Name)
		}
	}
	if len(s.customer)+len(s.managed) >= 20 {
		return nil, fail("ServiceQuotaExceededException", "A permission set takes 20 managed policies at most")
	}
	s.customer, s.version = append(s.customer, ref), s.version+1
	return empty{}, nil
}

func getBoundary(c *call, in *setInput) (any, error) {
	s, err := in.set(c)
	if err != nil {
		return nil, err
	}
	if s.boundary == nil {
		return nil, fail("ResourceNotFoundException", "PermissionsBoundary not found")
	}
	return map[string]any{"PermissionsBoundary": map[string]any{"ManagedPolicyArn": managedARN(s.boundary.name)}}, nil
}
