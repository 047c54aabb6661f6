package awstwin

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"net/http"
)

// node is an XML element: the answers are built as trees, which takes less than a struct for each of them.
type node struct {
	name string
	ns   string
	text string
	kids []node
}

// el is an element with children, val one with text. Children that are empty nodes (no name) are left out.
func el(name string, kids ...node) node { return node{name: name, kids: kids} }

func val(name string, v any) node { return node{name: name, text: fmt.Sprint(v)} }

// opt is val, or nothing where the text is empty.
func opt(name, v string) node {
	if v == "" {
		return node{}
	}
	return val(name, v)
}

// list wraps each item's children into an element: <outer><item>…</item>…</outer>.
func list[T any](outer, item string, all []T, each func(T) []node) node {
	n := node{name: outer}
	for _, v := range all {
		n.kids = append(n.kids, el(item, each(v)...))
	}
	return n
}

func (n node) in(ns string) node { n.ns = ns; return n }

func (n node) write(b *bytes.Buffer) {
	if n.name == "" {
		return
	}
	b.WriteString("<" + n.name)
	if n.ns != "" {
		b.WriteString(` xmlns="` + n.ns + `"`)
	}
	b.WriteByte('>')
	_ = xml.EscapeText(b, []byte(n.text))
	for _, k := range n.kids {
		k.write(b)
	}
	b.WriteString("</" + n.name + ">")
}

func writeXML(w http.ResponseWriter, status int, n node) {
	var b bytes.Buffer
	b.WriteString(xml.Header)
	n.write(&b)
	w.Header().Set("Content-Type", "text/xml")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes())
}

// queryAnswer wraps a result as <OpResponse><OpResult>…; operations without output have no result.
func queryAnswer(c *call, out any) node {
	n := el(c.op + "Response").in(c.svc.xmlns)
	if kids, ok := out.([]node); ok {
		n.kids = append(n.kids, el(c.op+"Result", kids...))
	}
	n.kids = append(n.kids, el("ResponseMetadata", val("RequestId", c.id)))
	return n
}

func ec2Answer(c *call, out any) node {
	kids, _ := out.([]node)
	return el(c.op+"Response", append([]node{val("requestId", c.id)}, kids...)...).in("http://ec2.amazonaws.com/doc/2016-11-15/")
}

func queryError(c *call, e *Error) node {
	kind := "Sender"
	if e.Status >= 500 {
		kind = "Receiver"
	}
	return el("ErrorResponse", el("Error", val("Type", kind), val("Code", e.Code), val("Message", e.Message)),
		val("RequestId", c.id)).in(c.svc.xmlns)
}

func ec2Error(c *call, e *Error) node {
	return el("Response", el("Errors", el("Error", val("Code", e.Code), val("Message", e.Message))), val("RequestID", c.id))
}

func s3Error(c *call, e *Error) node {
	return el("Error", val("Code", e.Code), val("Message", e.Message), val("Resource", c.req.URL.Path), val("RequestId", c.id))
}
