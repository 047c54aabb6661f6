package trackertwin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"
)

// mostText is how many characters a comment may have, as Java counts them ("The entered text is too long" is Jira's answer to one more).
const mostText = 32_767

// adfNode is a node of the Atlassian Document Format. The schema allows no other fields (additionalProperties is false).
type adfNode struct {
	Type    string          `json:"type"`
	Version *int            `json:"version,omitempty"`
	Text    *string         `json:"text,omitempty"`
	Content *[]adfNode      `json:"content,omitempty"`
	Attrs   json.RawMessage `json:"attrs,omitempty"`
	Marks   []adfNode       `json:"marks,omitempty"`
}

// blocks and inlines are the nodes that this twin knows, of those that Jira does. What may stand inside a block: text and other inlines, or blocks.
func blocks(name string) (known, ofText bool) {
	switch name {
	case "paragraph", "heading", "codeBlock":
		return true, true
	case "blockquote", "bulletList", "orderedList", "listItem", "panel", "rule":
		return true, false
	}
	return false, false
}

func inline(name string) bool {
	return slices.Contains([]string{"text", "hardBreak", "mention", "emoji", "inlineCard", "date", "status"}, name)
}

// reading is a document as a person reads it.
type reading struct {
	lines  []string
	markup []string
	fault  string
}

func (d *reading) text() string { return strings.Join(d.lines, "\n") }

func (d *reading) wrong(format string, args ...any) {
	if d.fault == "" {
		d.fault = "Comment body is not valid! " + fmt.Sprintf(format, args...)
	}
}

// readDocument reads the body of a comment, or says why Jira would refuse it.
func readDocument(raw json.RawMessage) (*reading, string) {
	d := &reading{}
	var root adfNode
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&root); err != nil {
		d.wrong("it is no document: %v", err)
		return d, d.fault
	}
	if root.Type != "doc" || root.Version == nil || *root.Version != 1 || root.Content == nil || root.Text != nil {
		d.wrong(`the root must have "type":"doc", "version":1 and content`)
		return d, d.fault
	}
	for _, n := range *root.Content {
		d.block(n)
	}
	if d.fault == "" && strings.TrimSpace(d.text()) == "" {
		d.fault = "Comment body can not be empty!"
	}
	if n := len(utf16.Encode([]rune(d.text()))); d.fault == "" && n > mostText {
		d.fault = fmt.Sprintf("The entered text is too long. It exceeds the allowed limit of 32,767 characters. (%d)", n)
	}
	return d, d.fault
}

func (d *reading) block(n adfNode) {
	known, ofText := blocks(n.Type)
	if !known || n.Version != nil || n.Text != nil {
		d.wrong("%q is no block, or has what a block has not", n.Type)
		return
	}
	if n.Type != "paragraph" {
		d.markup = append(d.markup, n.Type)
	}
	var content []adfNode
	if n.Content != nil {
		content = *n.Content
	}
	if !ofText {
		for _, c := range content {
			d.block(c)
		}
		return
	}
	line := ""
	for _, c := range content {
		line += d.inline(c)
	}
	d.lines = append(d.lines, line)
}

func (d *reading) inline(n adfNode) string {
	if !inline(n.Type) || n.Version != nil || n.Content != nil {
		d.wrong("%q is no inline node, or has what one has not", n.Type)
		return ""
	}
	for _, m := range n.Marks {
		d.markup = append(d.markup, "mark "+m.Type)
	}
	switch n.Type {
	case "text":
		if n.Text == nil || *n.Text == "" {
			d.wrong("a text node is empty")
			return ""
		}
		return *n.Text
	case "hardBreak":
		return "\n"
	}
	d.markup = append(d.markup, n.Type)
	var attrs struct {
		Text string `json:"text"`
		URL  string `json:"url"`
	}
	_ = json.Unmarshal(n.Attrs, &attrs)
	return attrs.Text + attrs.URL
}

// doc is the document of a text that was typed at the screen.
func doc(text string) map[string]any {
	content := []any{}
	for line := range strings.SplitSeq(text, "\n") {
		p := map[string]any{"type": "paragraph"}
		if line != "" {
			p["content"] = []any{map[string]any{"type": "text", "text": line}}
		}
		content = append(content, p)
	}
	return map[string]any{"type": "doc", "version": 1, "content": content}
}
