package policy

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/goccy/go-yaml/ast"
)

// tree turns the parser's nodes into ours. What YAML allows beyond plain values is settled here: a
// value may be anchored and used again; merge keys, tags, and keys that are no plain words are
// refused, because a reader of a policy must see in one place all that a scenario says.
type tree struct {
	r       *reader
	anchors map[string]*node
	spent   bool // maxNodes is used up: said once
}

func place(n ast.Node) pos {
	if m, ok := n.(*ast.MappingNode); ok && !m.IsFlowStyle && len(m.Values) > 0 {
		return place(m.Values[0].Key) // the node's own token is the first colon
	}
	if m, ok := n.(*ast.MappingValueNode); ok {
		return place(m.Key)
	}
	if n == nil {
		return pos{1, 1}
	}
	tk := n.GetToken()
	if tk == nil || tk.Position == nil {
		return pos{1, 1}
	}
	return pos{tk.Position.Line, tk.Position.Column}
}

// value converts one node. It never returns nil; what cannot be used is noted and comes back spoilt.
func (t *tree) value(n ast.Node, path string) *node {
	out := &node{size: 1}
	if n == nil {
		return out
	}
	out.at = place(n)
	switch n := n.(type) {
	case *ast.StringNode:
		out.kind, out.text = isText, n.Value
	case *ast.LiteralNode:
		out.kind = isText
		if n.Value != nil {
			out.text = n.Value.Value
		}
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		out.kind, out.text = isNumber, strings.TrimSpace(n.GetToken().Value)
	case *ast.BoolNode:
		out.kind, out.flag, out.text = isFlag, n.Value, n.GetToken().Value
	case *ast.NullNode:
	case *ast.SequenceNode:
		out.kind = isList
		for i, item := range n.Values {
			child := t.value(item, fmt.Sprintf("%s[%d]", path, i))
			out.items = append(out.items, child)
			t.count(out, child)
		}
	case *ast.MappingNode:
		t.mapping(out, n.Values, path)
	case *ast.MappingValueNode:
		t.mapping(out, []*ast.MappingValueNode{n}, path)
	case *ast.AnchorNode:
		return t.anchor(n, path)
	case *ast.AliasNode:
		return t.alias(n, path)
	case *ast.TagNode:
		t.r.fault(out.at, path, "has a YAML tag, "+quote(n.GetToken().Value), "remove the tag; text goes in quotes")
		out = t.value(n.Value, path)
	default:
		t.r.fault(out.at, path, "is no plain value", "write text, a number, a list or a mapping")
		out.kind = isSpoilt
	}
	return out
}

// mapping converts keys and values; of a key that stands twice the first holds.
func (t *tree) mapping(out *node, values []*ast.MappingValueNode, path string) {
	out.kind = isMap
	seen := make(map[string]pos, len(values))
	for _, v := range values {
		name, ok := t.key(v.Key, path)
		if !ok {
			continue
		}
		at, field := place(v.Key), join(path, name)
		if first, twice := seen[name]; twice {
			t.r.fault(at, field, fmt.Sprintf("stands twice; the first is in line %d", first.line), "keep one of them")
			continue
		}
		seen[name] = at
		child := t.value(v.Value, field)
		if child.kind == isNull {
			child.at = at // an absent value has no place of its own
		}
		out.keys = append(out.keys, entry{name: name, at: at, value: child})
		t.count(out, child)
	}
}

// key is the text of a key that is one plain word.
func (t *tree) key(k ast.MapKeyNode, path string) (string, bool) {
	switch k := k.(type) {
	case *ast.StringNode:
		return k.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return k.GetToken().Value, true
	case *ast.MergeKeyNode:
		t.r.fault(place(k), path, "a merge key (<<)", "write the keys out: all that an entry says must be seen where it stands")
	case nil:
	default:
		t.r.fault(place(k), path, "a key that is no plain word", "write it as name: value")
	}
	return "", false
}

// anchor remembers a value for aliases. It is known only once it is whole, so none can contain itself.
func (t *tree) anchor(n *ast.AnchorNode, path string) *node {
	out := t.value(n.Value, path)
	if n.Name == nil {
		return out
	}
	name := n.Name.GetToken().Value
	if _, twice := t.anchors[name]; twice {
		t.r.fault(place(n), path, "a second anchor "+quote(name), "give each anchor its own name")
		return out
	}
	t.anchors[name] = out
	return out
}

func (t *tree) alias(n *ast.AliasNode, path string) *node {
	name := ""
	if n.Value != nil {
		name = n.Value.GetToken().Value
	}
	if target, ok := t.anchors[name]; ok {
		return target
	}
	t.r.fault(place(n), path, "no anchor "+quote(name)+" before this alias", "anchor the value with &"+name+" where it first stands")
	return &node{kind: isSpoilt, at: place(n), size: 1}
}

// count adds a child's size, aliases in full: what a few lines of aliases stand for can be larger than
// memory, and everything after this walks it.
func (t *tree) count(out, child *node) {
	out.size += child.size
	if out.size > maxNodes && !t.spent {
		t.spent = true
		t.r.fault(child.at, "", fmt.Sprintf("more than %d values, aliases counted in full", maxNodes), "write out what is meant")
	}
	out.size = min(out.size, maxNodes+1)
}

// join names a field. A key is somebody's text: one that could break a line or fill a page is quoted.
func join(path, name string) string {
	if len(name) > 60 || strings.ContainsFunc(name, func(c rune) bool { return !unicode.IsPrint(c) || c == ' ' }) {
		name = quote(name)
	}
	if path == "" {
		return name
	}
	return path + "." + name
}
