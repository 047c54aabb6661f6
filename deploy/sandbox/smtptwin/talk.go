package smtptwin

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strings"
	"time"

	"breakglass/deploy/sandbox/letter"
)

// patience is how long a client may be silent.
const patience = 5 * time.Minute

// dialogue is one connection.
type dialogue struct {
	s         *Server
	conn      net.Conn
	in        *bufio.Reader
	encrypted bool
	user      string
	from      string
	mailing   bool
	to        []string
}

func (s *Server) talk(c net.Conn) {
	d := &dialogue{s: s, conn: c, in: bufio.NewReader(c)}
	s.mu.Lock()
	away := s.away
	s.mu.Unlock()
	if away != "" {
		d.say("%s", away)
		return
	}
	d.say("220 mail.sandbox ESMTP")
	for {
		line, err := d.line()
		if err != nil {
			return
		}
		verb, rest, _ := strings.Cut(line, " ")
		verb = strings.ToUpper(verb)
		if answer, failed := s.takeFailure(verb); failed {
			if answer == "" {
				return
			}
			d.say("%s", answer)
			continue
		}
		if !d.do(verb, strings.TrimSpace(rest)) {
			return
		}
	}
}

func (s *Server) takeFailure(verb string) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, f := range s.next {
		if f.verb == verb || (f.verb == "" && verb != ".") {
			s.next = append(s.next[:i:i], s.next[i+1:]...)
			return f.answer, true
		}
	}
	return "", false
}

func (d *dialogue) say(format string, args ...any) {
	_, _ = fmt.Fprintf(d.conn, format+"\r\n", args...)
}

func (d *dialogue) line() (string, error) {
	_ = d.conn.SetDeadline(time.Now().Add(patience))
	return textproto.NewReader(d.in).ReadLine()
}

// do answers one command; false ends the connection.
func (d *dialogue) do(verb, rest string) bool {
	switch verb {
	case "HELO":
		d.say("250 mail.sandbox")
	case "EHLO":
		d.hello()
	case "STARTTLS":
		return d.encrypt()
	case "AUTH":
		d.auth(rest)
	case "MAIL":
		d.mail(rest)
	case "RCPT":
		d.recipient(rest)
	case "DATA":
		return d.data()
	case "RSET":
		d.from, d.mailing, d.to = "", false, nil
		d.say("250 2.0.0 OK")
	case "NOOP":
		d.say("250 2.0.0 OK")
	case "QUIT":
		d.say("221 2.0.0 Bye")
		return false
	default:
		d.say("502 5.5.1 Command not implemented")
	}
	return true
}

func (d *dialogue) hello() {
	lines := []string{"mail.sandbox", fmt.Sprintf("SIZE %d", d.s.cfg.Largest), "8BITMIME"}
	if d.s.cfg.TLS != nil && !d.encrypted {
		lines = append(lines, "STARTTLS")
	}
	if d.s.cfg.User != "" && (d.encrypted || d.s.cfg.TLS == nil) {
		lines = append(lines, "AUTH PLAIN LOGIN")
	}
	for i, l := range lines {
		mark := "-"
		if i == len(lines)-1 {
			mark = " "
		}
		d.say("250%s%s", mark, l)
	}
}

func (d *dialogue) encrypt() bool {
	if d.s.cfg.TLS == nil || d.encrypted {
		d.say("502 5.5.1 Command not implemented")
		return true
	}
	d.say("220 2.0.0 Ready to start TLS")
	c := tls.Server(d.conn, d.s.cfg.TLS)
	if c.Handshake() != nil {
		return false
	}
	*d = dialogue{s: d.s, conn: c, in: bufio.NewReader(c), encrypted: true} // what was said before does not count
	return true
}

func (d *dialogue) auth(rest string) {
	if d.s.cfg.TLS != nil && !d.encrypted {
		d.say("538 5.7.11 Encryption required for requested authentication mechanism")
		return
	}
	how, initial, _ := strings.Cut(rest, " ")
	var user, password string
	switch strings.ToUpper(how) {
	case "PLAIN":
		if initial == "" {
			initial = d.ask("")
		}
		parts := strings.Split(unpacked(initial), "\x00")
		if len(parts) == 3 {
			user, password = parts[1], parts[2]
		}
	case "LOGIN":
		user = unpacked(initial)
		if initial == "" {
			user = unpacked(d.ask("Username:"))
		}
		password = unpacked(d.ask("Password:"))
	default:
		d.say("504 5.5.4 Unrecognized authentication type")
		return
	}
	if d.s.cfg.User == "" || user != d.s.cfg.User || password != d.s.cfg.Password {
		d.say("535 5.7.8 Authentication credentials invalid")
		return
	}
	d.user = user
	d.say("235 2.7.0 Authentication successful")
}

func (d *dialogue) ask(what string) string {
	d.say("334 %s", base64.StdEncoding.EncodeToString([]byte(what)))
	line, _ := d.line()
	return line
}

func unpacked(s string) string {
	b, _ := base64.StdEncoding.DecodeString(s)
	return string(b)
}

// path is the address of MAIL FROM:<…> or RCPT TO:<…>, without its parameters.
func path(rest, word string) (string, bool) {
	if len(rest) < len(word) || !strings.EqualFold(rest[:len(word)], word) {
		return "", false
	}
	address, _, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(rest[len(word):]), "<"), ">")
	return address, ok
}

func (d *dialogue) mail(rest string) {
	from, ok := path(rest, "FROM:")
	switch {
	case d.s.cfg.User != "" && d.user == "":
		d.say("530 5.7.0 Authentication required")
	case !ok:
		d.say("501 5.5.4 Syntax: MAIL FROM:<address>")
	default:
		var size int
		if _, after, ok := strings.Cut(strings.ToUpper(rest), "SIZE="); ok {
			_, _ = fmt.Sscanf(after, "%d", &size)
		}
		if size > d.s.cfg.Largest {
			d.say("552 5.3.4 Message size exceeds fixed limit")
			return
		}
		d.from, d.mailing, d.to = from, true, nil
		d.say("250 2.1.0 OK")
	}
}

func (d *dialogue) recipient(rest string) {
	to, ok := path(rest, "TO:")
	d.s.mu.Lock()
	refused := d.s.refused[strings.ToLower(to)]
	d.s.mu.Unlock()
	switch {
	case !d.mailing:
		d.say("503 5.5.1 MAIL first")
	case !ok || to == "":
		d.say("501 5.5.4 Syntax: RCPT TO:<address>")
	case refused != "":
		d.say("%s", refused)
	default:
		d.to = append(d.to, to)
		d.say("250 2.1.5 OK")
	}
}

// data takes the message. It is kept before it is answered: a sender that hears nothing does not know, and sends again.
func (d *dialogue) data() bool {
	if len(d.to) == 0 {
		d.say("503 5.5.1 RCPT first")
		return true
	}
	d.say("354 End data with <CR><LF>.<CR><LF>")
	body := textproto.NewReader(d.in).DotReader()
	raw, err := io.ReadAll(io.LimitReader(body, int64(d.s.cfg.Largest)+1))
	if err != nil {
		return false
	}
	if _, err := io.Copy(io.Discard, body); err != nil {
		return false
	}
	m := Mail{At: d.s.cfg.Now(), From: d.from, To: d.to, Raw: raw, Encrypted: d.encrypted, User: d.user}
	d.from, d.mailing, d.to = "", false, nil
	if len(raw) > d.s.cfg.Largest {
		d.say("552 5.3.4 Message size exceeds fixed limit")
		return true
	}
	answer, failed := d.s.takeFailure(".")
	if failed && answer != "" {
		d.say("%s", answer)
		return true
	}
	if l, err := letter.Read(raw); err == nil {
		m.Letter = *l
	}
	d.s.mu.Lock()
	d.s.mails = append(d.s.mails, m)
	n := len(d.s.mails)
	d.s.mu.Unlock()
	if failed {
		return false
	}
	d.say("250 2.0.0 OK queued as %d", n)
	return true
}
