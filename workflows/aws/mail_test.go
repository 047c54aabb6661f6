package aws

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"breakglass/store"
)

// postOffice is SES's SendEmail: it keeps what it is given, or answers with a code.
type postOffice struct {
	code string
	got  []map[string]any
}

func (p *postOffice) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if p.code != "" {
		w.Header().Set("X-Amzn-Errortype", p.code)
		w.WriteHeader(400)
		fmt.Fprint(w, `{"message":"no\nway"}`)
		return
	}
	b, _ := io.ReadAll(r.Body)
	var m map[string]any
	if r.URL.Path != "/v2/email/outbound-emails" || json.Unmarshal(b, &m) != nil {
		w.WriteHeader(404)
		return
	}
	p.got = append(p.got, m)
	fmt.Fprint(w, `{"MessageId":"m-1"}`)
}

func TestMailBySES(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		office := &postOffice{}
		w.wire.to = office
		m, err := w.conn.Mailer("ses", "breakglass@forge.example")
		if err != nil {
			t.Fatal(err)
		}
		var to []string
		for i := range recipients + 1 {
			to = append(to, fmt.Sprintf("p%d@forge.example", i))
		}
		if err := m.Send(t.Context(), store.Mail{To: to, Subject: "Access\r\nBcc: x@evil.example", Text: "Ünï"}); err != nil {
			t.Fatal(err)
		}
		if len(office.got) != 2 {
			t.Fatalf("%d messages", len(office.got))
		}
		b, _ := json.Marshal(office.got[1])
		for _, want := range []string{`"ToAddresses":["p50@forge.example"]`, `"FromEmailAddress":"breakglass@forge.example"`, `"Access  Bcc: x@evil.example"`, `Ünï`} {
			if !strings.Contains(string(b), want) {
				t.Errorf("no %s in %s", want, b)
			}
		}
		for code, lasts := range map[string]bool{"MessageRejected": true, "MailFromDomainNotVerifiedException": true, "AccessDeniedException": true,
			"LimitExceededException": false, "InternalFailure": false} {
			office.code = code
			err := m.Send(t.Context(), store.Mail{To: []string{"a@b.example"}})
			if lasts {
				isRefusal(t, err, code)
			} else {
				isFault(t, err)
			}
		}
		office.code = ""
		isRefusal(t, m.Send(t.Context(), store.Mail{To: []string{"not an address"}}), "BadAddress")
	})
}

func TestMailSwitchedOff(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		m, err := w.conn.Mailer("none", "")
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Send(t.Context(), store.Mail{To: []string{"a@b.example"}}); err != nil {
			t.Error(err)
		}
		for _, kind := range []string{"smtps://x:1", "smtp://", "smtp://u:geheim@h:port", "mailto:x", "smtp"} {
			if _, err := w.conn.Mailer(kind, "a@b.example"); err == nil || strings.Contains(err.Error(), "geheim") {
				t.Errorf("%s: %v", kind, err)
			}
		}
		if _, err := w.conn.Mailer("ses", ""); err == nil {
			t.Error("mail without a sender")
		}
	})
}

// smtpServer takes one message; to a recipient that begins with "no" it says 550.
func takeMail(t *testing.T, l net.Listener, got chan<- string) {
	c, err := l.Accept()
	if err != nil {
		return
	}
	defer c.Close()
	say := func(s string) { fmt.Fprint(c, s, "\r\n") }
	say("220 here")
	var data strings.Builder
	in := bufio.NewScanner(c)
	for reading := false; in.Scan(); {
		line := in.Text()
		switch verb := strings.ToUpper(line); {
		case reading && line == ".":
			reading = false
			got <- data.String()
			say("250 kept")
		case reading:
			data.WriteString(line + "\n")
		case strings.HasPrefix(verb, "EHLO"):
			say("250 here")
		case strings.HasPrefix(verb, "RCPT TO:<NO"):
			say("550 no such person")
		case verb == "DATA":
			reading = true
			say("354 go on")
		case verb == "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

func TestMailBySMTP(t *testing.T) {
	env(t)
	w := newWorld(t, twinDefaults, Config{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Skip("no loopback: ", err)
	}
	defer l.Close()
	got := make(chan string, 1)
	m, err := w.conn.Mailer("smtp://"+l.Addr().String(), "Breakglass <breakglass@forge.example>")
	if err != nil {
		t.Fatal(err)
	}
	go takeMail(t, l, got)
	if err := m.Send(t.Context(), store.Mail{To: []string{"a@forge.example"}, Subject: "Access\nX: y", Text: "Hello\n.\nWörld"}); err != nil {
		t.Fatal(err)
	}
	letter := <-got
	for _, want := range []string{"Subject: Access X: y\n", "To: <a@forge.example>", "From: \"Breakglass\" <breakglass@forge.example>", "Hello"} {
		if !strings.Contains(letter, want) {
			t.Errorf("no %q in\n%s", want, letter)
		}
	}
	go takeMail(t, l, got)
	isRefusal(t, m.Send(t.Context(), store.Mail{To: []string{"nobody@forge.example"}, Subject: "x"}), "550")
	l.Close()
	isFault(t, m.Send(t.Context(), store.Mail{To: []string{"a@forge.example"}, Subject: "x"}))
}
