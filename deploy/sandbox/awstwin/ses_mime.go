package awstwin

import "breakglass/deploy/sandbox/letter"

// readRaw takes a MIME message apart, as far as tests and the page need it. Addresses come from its headers where the call left them out.
func (m *Mail) readRaw(data []byte) error {
	l, err := letter.Read(data)
	if err != nil {
		return err
	}
	m.Raw, m.Subject, m.Text, m.HTML, m.Attachments = data, l.Subject, l.Text, l.HTML, l.Attachments
	if m.From == "" {
		m.From = l.From
	}
	if len(m.To)+len(m.Cc)+len(m.Bcc) == 0 {
		m.To, m.Cc, m.Bcc = l.To, l.Cc, l.Bcc
	}
	return nil
}
