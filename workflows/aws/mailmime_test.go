package aws

import (
	"bytes"
	"encoding/base64"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"strings"
	"testing"
	"time"

	"breakglass/deploy/sandbox/awstwin"
	"breakglass/store"
)

// part is a piece of a message, taken apart.
type part struct {
	header map[string][]string
	kind   string
	body   string
	parts  []part
}

// letter takes a message apart as a mail reader does.
func letter(t *testing.T, raw []byte) (mail.Header, part) {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	return m.Header, takeApart(t, m.Header, m.Body)
}

func takeApart(t *testing.T, h map[string][]string, r io.Reader) part {
	t.Helper()
	get := func(k string) string { return mail.Header(h).Get(k) }
	kind, params, err := mime.ParseMediaType(get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	p := part{header: h, kind: kind}
	if strings.HasPrefix(kind, "multipart/") {
		mr := multipart.NewReader(r, params["boundary"])
		for {
			sub, err := mr.NextRawPart()
			if err == io.EOF {
				return p
			}
			if err != nil {
				t.Fatal(err)
			}
			p.parts = append(p.parts, takeApart(t, sub.Header, sub))
		}
	}
	switch get("Content-Transfer-Encoding") {
	case "base64":
		r = base64.NewDecoder(base64.StdEncoding, r)
	case "quoted-printable":
		r = quotedprintable.NewReader(r)
	default:
		t.Errorf("sent as %q", get("Content-Transfer-Encoding"))
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	p.body = strings.ReplaceAll(string(b), "\r\n", "\n")
	return p
}

var report = store.Mail{To: []string{"a@forge.example", "b@forge.example"}, Subject: "BG-1042: Ünsicher\r\nBcc: x@evil.example",
	Text: "What was done:\n\n.\nnothing – really\n", HTML: `<h1>Ünsicher</h1><img src="cid:timeline.png" alt="timeline">` + strings.Repeat("<p>long</p>", 300),
	Inline: []store.Picture{{Name: "timeline.png", Type: "image/png", Data: []byte("\x89PNG\r\n\x1a\n\x00 picture")}}}

// whole checks the message that everybody gets, however it was sent.
func whole(t *testing.T, raw []byte, at time.Time) mail.Header {
	t.Helper()
	for line := range bytes.SplitSeq(raw, []byte("\r\n")) {
		if len(line) > 998 || bytes.ContainsAny(line, "\r\n\x00") {
			t.Fatalf("a line of %d bytes: %.60q", len(line), line)
		}
	}
	h, p := letter(t, raw)
	if s, err := new(mime.WordDecoder).DecodeHeader(h.Get("Subject")); s != "BG-1042: Ünsicher  Bcc: x@evil.example" || err != nil {
		t.Errorf("%q, %v", s, err)
	}
	if date, err := h.Date(); err != nil || !date.Equal(at.Truncate(time.Second)) {
		t.Errorf("%s, %v", date, err)
	}
	if h.Get("Bcc") != "" || h.Get("Auto-Submitted") != "auto-generated" || h.Get("Mime-Version") != "1.0" || !strings.HasSuffix(h.Get("Message-Id"), "@forge.example>") {
		t.Errorf("%v", h)
	}
	if p.kind != "multipart/related" || len(p.parts) != 2 || p.parts[0].kind != "multipart/alternative" || len(p.parts[0].parts) != 2 {
		t.Fatalf("%+v", p)
	}
	text, html, picture := p.parts[0].parts[0], p.parts[0].parts[1], p.parts[1]
	if text.kind != "text/plain" || text.body != report.Text || html.kind != "text/html" || html.body != report.HTML {
		t.Errorf("%+v\n%+v", text, html)
	}
	if ph := mail.Header(picture.header); picture.kind != "image/png" || ph.Get("Content-Id") != "<timeline.png>" || !strings.HasPrefix(ph.Get("Content-Disposition"), "inline") ||
		picture.body != strings.ReplaceAll(string(report.Inline[0].Data), "\r\n", "\n") {
		t.Errorf("%+v", picture)
	}
	return h
}

func TestHTMLBySES(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.SetSES(management, "us-east-1", true, "forge.example")
		m, err := w.conn.Mailer("ses", "Breakglass <breakglass@forge.example>")
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Send(t.Context(), report); err != nil {
			t.Fatal(err)
		}
		got := w.Mails()
		if len(got) != 1 || got[0].Raw == nil || strings.Join(got[0].To, " ") != "a@forge.example b@forge.example" {
			t.Fatalf("%+v", got)
		}
		h := whole(t, got[0].Raw, time.Now())
		if h.Get("To") != "<a@forge.example>, <b@forge.example>" || h.Get("From") != `"Breakglass" <breakglass@forge.example>` {
			t.Errorf("%v", h)
		}
		// The same again within the hour has the same id; another mail has another.
		if err := m.Send(t.Context(), report); err != nil {
			t.Fatal(err)
		}
		other := report
		other.Text += "more"
		if err := m.Send(t.Context(), other); err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, x := range w.Mails() {
			h, _ := letter(t, x.Raw)
			ids = append(ids, h.Get("Message-Id"))
		}
		if ids[0] != ids[1] || ids[0] == ids[2] {
			t.Errorf("%q", ids)
		}
	})
}

func TestHTMLBySMTP(t *testing.T) {
	env(t)
	at := time.Date(2026, 11, 21, 9, 30, 0, 0, time.UTC)
	w := newWorld(t, twinDefaults, Config{Now: func() time.Time { return at }})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Skip("no loopback: ", err)
	}
	defer l.Close()
	m, err := w.conn.Mailer("smtp://"+l.Addr().String(), "breakglass@forge.example")
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan string, 1)
	go takeMail(t, l, got)
	if err := m.Send(t.Context(), report); err != nil {
		t.Fatal(err)
	}
	// The line's ends and the doubled dots are SMTP's.
	raw := strings.ReplaceAll(strings.ReplaceAll("\n"+<-got, "\n..", "\n."), "\n", "\r\n")
	whole(t, []byte(raw[2:]), at)
}

func TestMailThatIsTooLarge(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.SetSES(management, "us-east-1", true, "forge.example")
		m, err := w.conn.Mailer("ses", "breakglass@forge.example")
		if err != nil {
			t.Fatal(err)
		}
		large := report
		large.Inline = []store.Picture{{Name: "a.png", Type: "image/png", Data: make([]byte, maxMail)}}
		if err := m.Send(t.Context(), large); err != nil {
			t.Fatal(err)
		}
		if _, p := letter(t, w.Mails()[0].Raw); p.kind != "multipart/alternative" || p.parts[1].body != report.HTML {
			t.Errorf("%+v", p)
		}
		large.HTML = strings.Repeat("x", maxMail)
		isRefusal(t, m.Send(t.Context(), large), CodeTooLarge)
	})
}

func TestPicturesThatAreNone(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.SetSES(management, "us-east-1", true, "forge.example")
		m, err := w.conn.Mailer("ses", "breakglass@forge.example")
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range []store.Picture{{Name: "a\r\nX: y", Type: "image/png"}, {Name: "../a.png", Type: "image/png"}, {Name: "", Type: "image/png"},
			{Name: "a.png", Type: "text/html"}, {Name: "a.png", Type: "image/png\r\nX: y"}, {Name: "a.svg", Type: "image/svg+xml"}} {
			bad := report
			bad.Inline = []store.Picture{p}
			isRefusal(t, m.Send(t.Context(), bad), "BadPicture")
		}
		bare := report
		bare.Text, bare.Inline = "", nil
		if err := m.Send(t.Context(), bare); err != nil {
			t.Fatal(err)
		}
		if _, p := letter(t, w.Mails()[0].Raw); p.parts[0].kind != "text/plain" || strings.TrimSpace(p.parts[0].body) == "" {
			t.Errorf("no text: %+v", p)
		}
	})
}

func TestMailIsReady(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		m, err := w.conn.Mailer("ses", "Breakglass <breakglass@mail.forge.example>")
		if err != nil {
			t.Fatal(err)
		}
		to := []string{"audit@forge.example", "out@other.example", "none"}
		look := func(want string) {
			t.Helper()
			got := ""
			for _, r := range m.Ready(t.Context(), to) {
				switch {
				case !r.OK:
					got += "-"
				case r.Remedy != "":
					got += "!"
				default:
					got += "+"
				}
				if r.Found == "" || (got[len(got)-1] != '+' && r.Remedy == "") {
					t.Errorf("%+v", r)
				}
			}
			if got != want {
				t.Errorf("%s, want %s", got, want)
			}
		}
		look("!----")
		w.SetSES(management, "us-east-1", false, "forge.example")
		look("!++--")
		w.SetSES(management, "us-east-1", true)
		look("++")
		w.SetSESPaused(management, "us-east-1", true)
		look("-+")
		w.SetBotPolicy(map[string]string{"bot": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ses:SendEmail","Resource":"*"}]}`})
		look("!!")
		if len(w.Mails()) != 0 {
			t.Error("the check sent something")
		}
		if m, err = w.conn.Mailer("none", ""); err != nil {
			t.Fatal(err)
		}
		look("!")
	})
}

func TestMailServerIsReady(t *testing.T) {
	env(t)
	w := newWorld(t, awstwin.Config{}, Config{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Skip("no loopback: ", err)
	}
	m, err := w.conn.Mailer("smtp://"+l.Addr().String(), "breakglass@forge.example")
	if err != nil {
		t.Fatal(err)
	}
	go takeMail(t, l, nil)
	if rows := m.Ready(t.Context(), nil); len(rows) != 1 || !rows[0].OK {
		t.Errorf("%+v", rows)
	}
	l.Close()
	if rows := m.Ready(t.Context(), nil); len(rows) != 1 || rows[0].OK || rows[0].Remedy == "" {
		t.Errorf("%+v", rows)
	}
}
