// Package letter takes a mail apart as it travels, as far as somebody who looks at it needs: addresses, subject, text, HTML, and what is
// attached or shown in it. It knows nothing of who sent it or how.
package letter

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"strings"
)

// Letter is a mail in parts.
type Letter struct {
	From                 string // as the header has it
	To, Cc, Bcc, ReplyTo []string
	Subject, Text, HTML  string
	Header               mail.Header
	Attachments          []Attachment
}

// Attachment is a file of a mail. ContentID is without its brackets; the HTML shows such a part by cid:.
type Attachment struct {
	Name, ContentType string
	ContentID         string
	Inline            bool
	Content           []byte
}

// deepest is how far multiparts may lie in one another.
const deepest = 10

// Read takes a MIME message apart.
func Read(data []byte) (*Letter, error) {
	msg, err := mail.ReadMessage(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("reading a mail: %w", err)
	}
	l := &Letter{From: msg.Header.Get("From"), Header: msg.Header, Subject: msg.Header.Get("Subject")}
	if s, err := new(mime.WordDecoder).DecodeHeader(l.Subject); err == nil {
		l.Subject = s
	}
	l.To, l.Cc, l.Bcc, l.ReplyTo = addresses(msg.Header, "To"), addresses(msg.Header, "Cc"), addresses(msg.Header, "Bcc"), addresses(msg.Header, "Reply-To")
	if err := l.part(msg.Header.Get, msg.Body, 0); err != nil {
		return nil, fmt.Errorf("reading a mail: %w", err)
	}
	return l, nil
}

func addresses(h mail.Header, name string) []string {
	list, err := h.AddressList(name)
	if err != nil {
		return nil
	}
	var all []string
	for _, a := range list {
		all = append(all, a.Address)
	}
	return all
}

func (l *Letter) part(header func(string) string, body io.Reader, depth int) error {
	kind, params, err := mime.ParseMediaType(header("Content-Type"))
	if err != nil {
		kind = "text/plain"
	}
	if strings.HasPrefix(kind, "multipart/") && depth < deepest {
		r := multipart.NewReader(body, params["boundary"])
		for {
			p, err := r.NextRawPart()
			if err == io.EOF {
				return nil
			}
			if err != nil {
				return err
			}
			if err := l.part(p.Header.Get, p, depth+1); err != nil {
				return err
			}
		}
	}
	content, err := decode(header("Content-Transfer-Encoding"), body)
	if err != nil {
		return err
	}
	how, names, _ := mime.ParseMediaType(header("Content-Disposition"))
	name := names["filename"]
	if name == "" {
		name = params["name"]
	}
	switch {
	case how == "attachment" || name != "" || !strings.HasPrefix(kind, "text/"):
		l.Attachments = append(l.Attachments, Attachment{Name: name, ContentType: kind, ContentID: strings.Trim(header("Content-Id"), "<> "),
			Inline: how == "inline", Content: content})
	case kind == "text/html":
		l.HTML += string(content)
	default:
		l.Text += string(content)
	}
	return nil
}

func decode(encoding string, body io.Reader) ([]byte, error) {
	switch strings.ToLower(encoding) {
	case "base64":
		return io.ReadAll(base64.NewDecoder(base64.StdEncoding, body))
	case "quoted-printable":
		return io.ReadAll(quotedprintable.NewReader(body))
	}
	return io.ReadAll(body)
}
