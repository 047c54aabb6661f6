// Package smtptwin is a mail server on loopback that keeps what it is sent: for programs that send by SMTP, and for what a server may say to
// them. It forwards nothing, and knows nothing of the program it is a twin for.
//
// It speaks RFC 5321 with SIZE, 8BITMIME, AUTH (PLAIN and LOGIN) and STARTTLS, as far as a sender meets them. Refusals are asked for by Refuse, RefuseTo,
// FailNext, CutNext and Away.
package smtptwin

import (
	"crypto/tls"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"breakglass/deploy/sandbox/letter"
)

// Config is what a server is made of. Its zero value is one on a free port of 127.0.0.1 that lets everybody send.
type Config struct {
	// Now is the clock of Mail.At. Default time.Now.
	Now func() time.Time
	// User and Password, where set, must be given before a mail is taken.
	User, Password string
	// TLS, where set, is offered by STARTTLS. With it AUTH is offered only once the connection is encrypted, as servers do.
	TLS *tls.Config
	// Largest is the size in bytes of the largest mail. Default 25 MB.
	Largest int
}

// Mail is a message that was taken.
type Mail struct {
	At        time.Time
	From      string   // of the envelope
	To        []string // of the envelope: Bcc among them
	Raw       []byte   // as it came, without the dots, and with \n at the ends of lines
	Encrypted bool
	User      string // who gave a password
	letter.Letter
}

// Server is a running server.
type Server struct {
	cfg  Config
	l    net.Listener
	done sync.WaitGroup

	mu      sync.Mutex // guards everything below
	mails   []Mail
	refused map[string]string // recipient -> answer
	next    []failure
	away    string
	conns   map[net.Conn]bool
	closed  bool
}

// failure is what one of the next commands is answered. An empty answer cuts the connection.
type failure struct{ verb, answer string }

// Start begins to listen.
func Start(cfg Config) (*Server, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Largest == 0 {
		cfg.Largest = 25 << 20
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening for mail: %w", err)
	}
	s := &Server{cfg: cfg, l: l, refused: map[string]string{}, conns: map[net.Conn]bool{}}
	s.done.Go(s.accept)
	return s, nil
}

// Addr is the host and port of the server.
func (s *Server) Addr() string { return s.l.Addr().String() }

// URL is the server as programs are told of it: smtp://host:port.
func (s *Server) URL() string { return "smtp://" + s.Addr() }

// Close ends the server and every connection, and waits for them.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	_ = s.l.Close()
	for c := range s.conns {
		_ = c.Close()
	}
	s.mu.Unlock()
	s.done.Wait()
}

// Mails are the messages that were taken, oldest first.
func (s *Server) Mails() []Mail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.mails)
}

// FailNext answers the next command of a verb (MAIL, RCPT, DATA, AUTH, …; "." is the end of a message, "" any) with a code and a text: 4xx may be tried
// again, 5xx not.
func (s *Server) FailNext(verb string, code int, text string) {
	s.fail(failure{verb, fmt.Sprintf("%d %s", code, text)})
}

// CutNext cuts the connection at the next command of a verb; at "." the message was taken and nobody says so.
func (s *Server) CutNext(verb string) { s.fail(failure{verb, ""}) }

func (s *Server) fail(f failure) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next = append(s.next, f)
}

// RefuseTo refuses one recipient from now on (550, no such user); an empty text takes it back.
func (s *Server) RefuseTo(address, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if text == "" {
		delete(s.refused, strings.ToLower(address))
		return
	}
	s.refused[strings.ToLower(address)] = "550 5.1.1 " + text
}

// Refuse greets everybody with 554 and a text until it is taken back by an empty one.
func (s *Server) Refuse(text string) { s.greetWith("554 ", text) }

// Away greets everybody with 421, as a server that is being restarted, until it is taken back.
func (s *Server) Away(on bool) {
	s.greetWith("421 4.3.2 ", map[bool]string{true: "Service not available, closing transmission channel"}[on])
}

func (s *Server) greetWith(code, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away = ""; text != "" {
		s.away = code + text
	}
}

func (s *Server) accept() {
	for {
		c, err := s.l.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		if s.closed {
			_ = c.Close()
		}
		s.conns[c] = true
		s.mu.Unlock()
		s.done.Go(func() {
			s.talk(c)
			_ = c.Close()
			s.mu.Lock()
			delete(s.conns, c)
			s.mu.Unlock()
		})
	}
}
