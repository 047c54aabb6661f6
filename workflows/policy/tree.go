package policy

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Bounds on a policy file, far above any that people write. The parser takes quadratic time in the
// depth of nesting and in the keys of one block, and recurses; the lexer does neither, so the bounds
// are checked on its tokens first.
const (
	maxBytes  = 1 << 20 // 1 MiB: about 15,000 accounts
	maxFlow   = 16      // [ and { inside each other
	maxIndent = 200     // columns before a line's first word: bounds the depth of blocks
	maxRun    = 16      // structural marks on one line, or anchors and tags on end
	maxKeys   = 20_000  // keys in block style
	maxNodes  = 200_000 // values in the file, each alias counted with all that it stands for
)

type kind int

const (
	isNull kind = iota
	isText
	isNumber
	isFlag
	isList
	isMap
	isSpoilt // its fault is noted already; nothing more is said of it
)

func (k kind) String() string {
	return [...]string{"empty", "text", "a number", "true or false", "a list", "a mapping", "unreadable"}[k]
}

// node is a value of the file with its place: what is left of YAML once it has been found harmless.
type node struct {
	kind  kind
	at    pos
	text  string // of a scalar, as written for numbers
	flag  bool
	items []*node
	keys  []entry
	size  int // values under it and itself, aliases counted in full
}

type entry struct {
	name  string
	at    pos // of the key
	value *node
}

// get finds the value of a key, or nil.
func (n *node) get(name string) *entry {
	for i := range n.keys {
		if n.keys[i].name == name {
			return &n.keys[i]
		}
	}
	return nil
}

// document reads the bytes into a tree. It is nil when there is nothing to go on with; the faults are
// then noted.
func (r *reader) document(data []byte) (root *node) {
	// The parser is somebody else's, and people's files pass through it before the bot starts: whatever
	// it may still panic about is a fault of the file and not the end of a running bot.
	defer func() {
		if p := recover(); p != nil {
			r.fault(pos{1, 1}, "", "not YAML that can be read", "check the indentation and the quotes")
			root = nil
		}
	}()
	if len(data) > maxBytes {
		r.fault(pos{1, 1}, "", fmt.Sprintf("the file has %d bytes, more than %d", len(data), maxBytes), "a policy is smaller than that")
		return nil
	}
	if !utf8.Valid(data) {
		r.fault(pos{1 + strings.Count(string(data[:validPrefix(data)]), "\n"), 1}, "", "not UTF-8", "save the file as UTF-8")
		return nil
	}
	tokens := lexer.Tokenize(strings.TrimPrefix(string(data), "\ufeff"))
	if !r.bounded(tokens) {
		return nil
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		r.syntax(err)
		return nil
	}
	return r.body(file)
}

func validPrefix(data []byte) int {
	i := 0
	for i < len(data) {
		c, n := utf8.DecodeRune(data[i:])
		if c == utf8.RuneError && n == 1 {
			break
		}
		i += n
	}
	return i
}

// body is the one document of a file.
func (r *reader) body(file *ast.File) *node {
	var body ast.Node
	for _, d := range file.Docs {
		if d == nil || d.Body == nil {
			continue
		}
		if body != nil {
			r.fault(place(d.Body), "", "a second document", "a policy is one YAML document; remove the --- line")
			return nil
		}
		body = d.Body
	}
	if body == nil {
		r.fault(pos{1, 1}, "", "the file is empty", "start from the example policy")
		return nil
	}
	t := tree{r: r, anchors: map[string]*node{}}
	root := t.value(body, "")
	if t.spent {
		return nil
	}
	if root.kind != isMap {
		r.fault(root.at, "", "the file is "+root.kind.String(), "a policy is a mapping that begins with identity_center:")
		return nil
	}
	return root
}

// syntax turns the parser's error into a fault at its place.
func (r *reader) syntax(err error) {
	at, message := pos{1, 1}, "not YAML"
	var y yaml.Error
	if errors.As(err, &y) {
		message = "not YAML: " + y.GetMessage()
		if len(message) > 200 { // it may quote the file at any length
			message = message[:200] + "..."
		}
		if tk := y.GetToken(); tk != nil && tk.Position != nil {
			at = pos{tk.Position.Line, tk.Position.Column}
		}
	}
	r.fault(at, "", message, "check indentation, brackets and quotes; nothing after this place is checked until then")
}

// bounded refuses what the parser could not read in good time. It looks at tokens alone.
func (r *reader) bounded(tokens token.Tokens) bool {
	flow, run, marks, line, keys, documents := 0, 0, 0, 0, 0, 0
	for _, tk := range tokens {
		at := pos{tk.Position.Line, tk.Position.Column}
		if at.line != line {
			line, marks = at.line, 0
			if flow == 0 && at.col > maxIndent && tk.Type != token.CommentType {
				r.fault(at, "", "indented too deep", "a policy needs a few columns only")
				return false
			}
		}
		switch tk.Type {
		case token.DocumentHeaderType:
			if documents++; documents > 1 {
				r.fault(at, "", "a second document", "a policy is one YAML document; remove the --- line")
				return false
			}
		case token.MappingStartType, token.SequenceStartType:
			flow++
		case token.MappingEndType, token.SequenceEndType:
			flow = max(flow-1, 0)
		case token.AnchorType, token.TagType, token.MappingKeyType, token.AliasType:
			run, marks = run+1, marks+1
		case token.SequenceEntryType:
			marks++
		case token.MappingValueType:
			run = 0
			if flow == 0 {
				marks, keys = marks+1, keys+1
			}
		case token.CollectEntryType:
			run = 0
		}
		if flow > maxFlow || run > maxRun || (flow == 0 && marks > maxRun) {
			r.fault(at, "", "nested too deep", "a policy is a few levels deep")
			return false
		}
		if keys > maxKeys {
			r.fault(at, "", fmt.Sprintf("more than %d keys", maxKeys), "write accounts in one line each, as {id: ..., regions: [...]}")
			return false
		}
	}
	return true
}
