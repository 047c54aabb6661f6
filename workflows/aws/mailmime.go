package aws

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/mail"
	"regexp"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"

	"breakglass/store"
)

// maxMail is the size in bytes of a message with its pictures, as most servers take it (SES itself takes four times that).
const maxMail = 10 << 20

// What a picture may be called and be. Its name becomes a header, and the address by which the HTML shows it.
var (
	pictureName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)
	pictureType = regexp.MustCompile(`^image/(png|jpeg|gif)$`)
)

// compose makes the message for these recipients, and its bytes. The text always comes along, first, for whoever reads no HTML; the HTML and its
// pictures belong together (multipart/related). Where it is too large, the pictures stay away: the HTML is readable without them.
func (m *Mailer) compose(msg store.Mail, to []string) (*gomail.Msg, []byte, error) {
	out, raw, err := m.mime(msg, to)
	if err == nil && len(raw) > maxMail && len(msg.Inline) > 0 {
		m.c.log.Warn("a mail is too large and goes without its pictures", "subject", msg.Subject, "bytes", len(raw))
		msg.Inline = nil
		out, raw, err = m.mime(msg, to)
	}
	if err == nil && len(raw) > maxMail {
		err = &store.Refusal{Code: CodeTooLarge, Message: fmt.Sprintf("the mail has %d bytes, and at most %d are sent", len(raw), maxMail)}
	}
	return out, raw, err
}

func (m *Mailer) mime(msg store.Mail, to []string) (*gomail.Msg, []byte, error) {
	out := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	if err := errors.Join(out.From(m.from), out.To(to...)); err != nil {
		return nil, nil, &store.Refusal{Code: "BadAddress", Message: clean(err.Error(), 500)}
	}
	now := m.c.now()
	out.Subject(msg.Subject)
	out.SetDateWithValue(now)
	out.SetMessageIDWithValue(m.messageID(msg, to, now))
	out.SetGenHeader("Auto-Submitted", "auto-generated") // no out-of-office notes in reply (RFC 3834)
	text := msg.Text
	if strings.TrimSpace(text) == "" {
		text = msg.Subject
	}
	out.SetBodyString(gomail.TypeTextPlain, text)
	if msg.HTML != "" {
		out.AddAlternativeString(gomail.TypeTextHTML, msg.HTML)
		for _, p := range msg.Inline {
			if !pictureName.MatchString(p.Name) || !pictureType.MatchString(p.Type) {
				return nil, nil, &store.Refusal{Code: "BadPicture", Message: fmt.Sprintf("%q (%q) is no picture for a mail", clean(p.Name, 100), clean(p.Type, 100))}
			}
			out.EmbedReadSeeker(p.Name, bytes.NewReader(p.Data), gomail.WithFileContentType(gomail.ContentType(p.Type)), gomail.WithFileContentID("<"+p.Name+">"))
		}
	}
	var raw bytes.Buffer
	if _, err := out.WriteTo(&raw); err != nil {
		return nil, nil, fmt.Errorf("composing a message: %w", err)
	}
	return out, raw.Bytes(), nil
}

// messageID is the same for the same message within an hour, so that one that is sent again because its receipt was lost is shown once by most
// mailboxes. The machine's name stays out of it. SES puts its own in its place.
func (m *Mailer) messageID(msg store.Mail, to []string, now time.Time) string {
	h := sha256.New()
	for _, s := range append([]string{now.UTC().Format("2006-01-02T15"), msg.Subject, msg.Text, msg.HTML}, to...) {
		fmt.Fprintf(h, "%d:%s", len(s), s)
	}
	return hex.EncodeToString(h.Sum(nil)[:16]) + "@" + cmp.Or(domainOf(m.from), "localhost")
}

// domainOf is what stands behind the @ of an address, with or without a name in front of it.
func domainOf(address string) string {
	a, err := mail.ParseAddress(address)
	if err != nil {
		return ""
	}
	return strings.ToLower(a.Address[strings.LastIndexByte(a.Address, '@')+1:])
}
