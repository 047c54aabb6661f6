package awstwin

import (
	"bytes"
	"encoding/base64"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"strings"
)

// readRaw takes a MIME message apart, as far as tests and the page need it: addresses that the call left to the headers,
// subject, text, HTML and attachments.
func (m *Mail) readRaw(data []byte) error {
	m.Raw = data
	msg, err := mail.ReadMessage(bytes.NewReader(data))
	if err != nil {
		return err
	}
	if s, err := new(mime.WordDecoder).DecodeHeader(msg.Header.Get("Subject")); err == nil {
		m.Subject = s
	}
	if m.From == "" {
		m.From = msg.Header.Get("From")
	}
	if len(m.To)+len(m.Cc)+len(m.Bcc) == 0 {
		m.To, m.Cc, m.Bcc = addresses(msg.Header, "To"), addresses(msg.Header, "Cc"), addresses(msg.Header, "Bcc")
	}
	return m.readPart(msg.Header.Get, msg.Body)
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

func (m *Mail) readPart(header func(string) string, body io.Reader) error {
	kind, params, err := mime.ParseMediaType(header("Content-Type"))
	if err != nil {
		kind = "text/plain"
	}
	if strings.HasPrefix(kind, "multipart/") {
		r := multipart.NewReader(body, params["boundary"])
		for {
			p, err := r.NextRawPart()
			if err == io.EOF {
				return nil
			}
			if err != nil {
				return err
			}
			if err := m.readPart(p.Header.Get, p); err != nil {
				return err
			}
		}
	}
	content, err := decode(header("Content-Transfer-Encoding"), body)
	if err != nil {
		return err
	}
	how, names, _ := mime.ParseMediaType(header("Content-Disposition"))
	switch {
	case how == "attachment" || names["filename"] != "":
		m.Attachments = append(m.Attachments, Attachment{names["filename"], kind, content})
	case kind == "text/html":
		m.HTML += string(content)
	case kind == "text/plain":
		m.Text += string(content)
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
