package smtptwin_test

import (
	"crypto/tls"
	"errors"
	"net/http/httptest"
	"net/smtp"
	"net/textproto"
	"strings"
	"testing"

	gomail "github.com/wneessen/go-mail"

	"breakglass/deploy/sandbox/smtptwin"
)

func start(t *testing.T, cfg smtptwin.Config) *smtptwin.Server {
	t.Helper()
	s, err := smtptwin.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func code(err error) int {
	var answer *textproto.Error
	if errors.As(err, &answer) {
		return answer.Code
	}
	return 0
}

const plain = "From: a@forge.example\r\nTo: b@forge.example\r\nSubject: hello\r\n\r\n.a line that begins with a dot\r\n"

func send(s *smtptwin.Server, to ...string) error {
	return smtp.SendMail(s.Addr(), nil, "a@forge.example", to, []byte(plain))
}

// TestWhatItMaySay: taken, refused for one, refused for now, refused for good, away, and cut off when it was taken already.
func TestWhatItMaySay(t *testing.T) {
	s := start(t, smtptwin.Config{Largest: 1000})
	if err := send(s, "b@forge.example", "hidden@forge.example"); err != nil {
		t.Fatal(err)
	}
	m := s.Mails()[0]
	if m.From != "a@forge.example" || len(m.To) != 2 || m.Subject != "hello" || m.Text != ".a line that begins with a dot\n" || m.Encrypted {
		t.Errorf("%+v", m)
	}
	s.RefuseTo("b@forge.example", "No such user")
	if err := send(s, "b@forge.example"); code(err) != 550 {
		t.Error(err)
	}
	s.RefuseTo("b@forge.example", "")
	for verb, c := range map[string]int{"MAIL": 451, "RCPT": 450, "DATA": 452, ".": 554} {
		s.FailNext(verb, c, "not now")
		if err := send(s, "b@forge.example"); code(err) != c {
			t.Errorf("%s: %v", verb, err)
		}
	}
	s.Away(true)
	if err := send(s, "b@forge.example"); code(err) != 421 {
		t.Error(err)
	}
	s.Away(false)
	s.Refuse("Go away")
	if err := send(s, "b@forge.example"); code(err) != 554 {
		t.Error(err)
	}
	s.Refuse("")
	big := plain + strings.Repeat("x", 2000) + "\r\n"
	if err := smtp.SendMail(s.Addr(), nil, "a@forge.example", []string{"b@forge.example"}, []byte(big)); code(err) != 552 {
		t.Error(err)
	}
	if n := len(s.Mails()); n != 1 {
		t.Fatalf("%d mails", n)
	}
	s.CutNext(".")
	if err := send(s, "b@forge.example"); err == nil || len(s.Mails()) != 2 {
		t.Errorf("taken, and nobody said so: %v, %d mails", err, len(s.Mails()))
	}
}

// TestAPictureInAMailOverTLS: a client that somebody else wrote, with STARTTLS, a password, and HTML that shows a picture.
func TestAPictureInAMailOverTLS(t *testing.T) {
	web := httptest.NewTLSServer(nil)
	t.Cleanup(web.Close)
	s := start(t, smtptwin.Config{User: "bot", Password: "s3cret", TLS: &tls.Config{Certificates: web.TLS.Certificates}})
	m := gomail.NewMsg()
	_ = m.From("bot@forge.example")
	_ = m.To("sec@forge.example")
	m.Subject("BG-1042: résumé")
	m.SetBodyString(gomail.TypeTextPlain, "in words")
	m.AddAlternativeString(gomail.TypeTextHTML, `<img src="cid:timeline.png">`)
	_ = m.EmbedReader("timeline.png", strings.NewReader("PNG"), gomail.WithFileContentID("timeline.png"))
	host, port, _ := strings.Cut(s.Addr(), ":")
	dial := func(password string) error {
		n := 0
		for _, c := range port {
			n = n*10 + int(c-'0')
		}
		c, err := gomail.NewClient(host, gomail.WithPort(n), gomail.WithSMTPAuth(gomail.SMTPAuthPlain), gomail.WithUsername("bot"), gomail.WithPassword(password),
			gomail.WithTLSConfig(&tls.Config{InsecureSkipVerify: true}), gomail.WithTLSPolicy(gomail.TLSMandatory))
		if err != nil {
			return err
		}
		return c.DialAndSend(m)
	}
	if err := dial("wrong"); err == nil {
		t.Error("a wrong password was taken")
	}
	if err := dial("s3cret"); err != nil {
		t.Fatal(err)
	}
	got := s.Mails()[0]
	if !got.Encrypted || got.User != "bot" || got.Subject != "BG-1042: résumé" || got.Text != "in words" || got.HTML != `<img src="cid:timeline.png">` ||
		len(got.Attachments) != 1 || got.Attachments[0].ContentID != "timeline.png" || !got.Attachments[0].Inline || string(got.Attachments[0].Content) != "PNG" {
		t.Errorf("%+v", got)
	}
}
