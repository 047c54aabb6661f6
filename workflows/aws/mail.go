package aws

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/url"
	"slices"
	"strconv"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"
	"github.com/aws/aws-sdk-go-v2/service/sesv2/types"
	"github.com/aws/smithy-go"
	gomail "github.com/wneessen/go-mail"

	"breakglass/store"
)

// Mailer sends mail by SES, by SMTP, or not at all.
type Mailer struct {
	c    *Connection
	from string
	ses  *sesv2.Client
	smtp *smtpServer
}

type smtpServer struct {
	host, user, password string
	port                 int
}

// recipients is how many SES takes in one message (SES developer guide, quotas).
const recipients = 50

// mailTimeout is for one message over SMTP, greeting to goodbye.
const mailTimeout = 30 * time.Second

// Mailer reads BREAKGLASS_MAIL: "ses" (in the bot's own Region), "smtp://host:port" (with user:password@ where the server asks
// for it; then only over TLS), or "none". from is the address of the policy; it must be verified with SES.
func (c *Connection) Mailer(kind, from string) (*Mailer, error) {
	m := &Mailer{c: c, from: from}
	if kind == "none" {
		return m, nil
	}
	if _, err := mail.ParseAddress(from); err != nil {
		return nil, fmt.Errorf("mail needs a sender (report.from in the policy): %w", err)
	}
	if kind == "ses" || kind == "" {
		m.ses = sesv2.NewFromConfig(c.base, func(o *sesv2.Options) { o.Retryer = sdk.NopRetryer{} })
		return m, nil
	}
	var err error
	m.smtp, err = parseSMTP(kind)
	return m, err
}

// parseSMTP never repeats the URL in an error: a password may be in it.
func parseSMTP(s string) (*smtpServer, error) {
	wrong := errors.New("BREAKGLASS_MAIL must be ses, none or smtp://host:port")
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "smtp" || u.Hostname() == "" {
		return nil, wrong
	}
	srv := &smtpServer{host: u.Hostname(), port: 25, user: u.User.Username()}
	srv.password, _ = u.User.Password()
	if p := u.Port(); p != "" {
		if srv.port, err = strconv.Atoi(p); err != nil {
			return nil, wrong
		}
	}
	return srv, nil
}

// Send sends one message to all its recipients: text alone, or text and HTML with its pictures. A *store.Refusal means that sending it again will
// not help: the sender is not verified, the account may not send, an address is no address, it is too large.
func (m *Mailer) Send(ctx context.Context, msg store.Mail) error {
	for _, to := range msg.To {
		if _, err := mail.ParseAddress(to); err != nil {
			return fmt.Errorf("sending mail: %w", &store.Refusal{Code: "BadAddress", Message: clean(to, 254) + " is no e-mail address"})
		}
	}
	msg.Subject = clean(msg.Subject, 250) // no line may end in it: that would begin another header
	switch {
	case len(msg.To) == 0:
		return nil
	case m.ses != nil:
		return m.bySES(ctx, msg)
	case m.smtp != nil:
		return m.bySMTP(ctx, msg)
	}
	m.c.log.Debug("mail is switched off", "subject", msg.Subject)
	return nil
}

// bySES sends at most fifty recipients a message. A failure in between leaves the earlier ones sent: the whole is repeated, and
// somebody reads it twice rather than nobody.
func (m *Mailer) bySES(ctx context.Context, msg store.Mail) error {
	for to := range slices.Chunk(msg.To, recipients) {
		content, err := m.contentOf(msg, to)
		if err != nil {
			return err
		}
		in := &sesv2.SendEmailInput{FromEmailAddress: &m.from, Destination: &types.Destination{ToAddresses: to}, Content: content}
		_, err = call(ctx, m.c, m.c.mailCalls, "SendEmail", writing, func(ctx context.Context) (*sesv2.SendEmailOutput, error) {
			return m.ses.SendEmail(ctx, in)
		})
		var api smithy.APIError
		if errors.As(err, &api) && sesRefusals[api.ErrorCode()] {
			return fmt.Errorf("sending mail: %w", &store.Refusal{Code: api.ErrorCode(), Message: clean(api.ErrorMessage(), 500)})
		}
		if err != nil {
			return explain("sending mail", err)
		}
	}
	return nil
}

// contentOf leaves text alone to SES, which needs no more than ses:SendEmail for it: what is urgent is sent so. HTML is composed here, as it is
// for SMTP, so that it looks the same whichever way it goes; for that SES asks for ses:SendRawEmail as well.
func (m *Mailer) contentOf(msg store.Mail, to []string) (*types.EmailContent, error) {
	if msg.HTML == "" {
		return &types.EmailContent{Simple: &types.Message{Subject: utf8(msg.Subject), Body: &types.Body{Text: utf8(msg.Text)}}}, nil
	}
	_, raw, err := m.compose(msg, to)
	if err != nil {
		return nil, fmt.Errorf("sending mail: %w", err)
	}
	return &types.EmailContent{Raw: &types.RawMessage{Data: raw}}, nil
}

// sesRefusals are SES's answers that last (API reference of SendEmail).
var sesRefusals = map[string]bool{
	"AccountSuspendedException": true, "SendingPausedException": true, "MessageRejected": true,
	"MailFromDomainNotVerifiedException": true, "NotFoundException": true, "BadRequestException": true,
}

// utf8 is SES's form of a text; without a charset it takes seven-bit ASCII only.
func utf8(s string) *types.Content {
	return &types.Content{Data: sdk.String(s), Charset: sdk.String("UTF-8")}
}

// bySMTP makes a connection for each message: they are a few a day. TLS is used where the server offers it, and insisted on where a
// password is sent.
func (m *Mailer) bySMTP(ctx context.Context, msg store.Mail) error {
	out, _, err := m.compose(msg, msg.To)
	if err != nil {
		return fmt.Errorf("sending mail: %w", err)
	}
	client, err := m.smtp.client()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, mailTimeout)
	defer cancel()
	begun := time.Now()
	err = client.DialAndSendWithContext(ctx, out)
	outcome := "ok"
	if err != nil {
		outcome = "fault"
	}
	m.c.meter.calls.WithLabelValues("smtp", "Send", outcome).Inc()
	m.c.meter.seconds.WithLabelValues("smtp", "Send").Observe(time.Since(begun).Seconds())
	var se *gomail.SendError
	if errors.As(err, &se) && !se.IsTemp() && se.ErrorCode() >= 500 {
		return fmt.Errorf("sending mail: %w", &store.Refusal{Code: strconv.Itoa(se.ErrorCode()), Message: clean(se.Error(), 500)})
	}
	if err != nil {
		return fmt.Errorf("sending mail by %s: %w", m.smtp, err)
	}
	return nil
}

func (s *smtpServer) client() (*gomail.Client, error) {
	opts := []gomail.Option{gomail.WithPort(s.port), gomail.WithTLSPolicy(gomail.TLSOpportunistic), gomail.WithTimeout(mailTimeout)}
	if s.user != "" {
		opts = append(opts, gomail.WithTLSPolicy(gomail.TLSMandatory), gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover),
			gomail.WithUsername(s.user), gomail.WithPassword(s.password))
	}
	client, err := gomail.NewClient(s.host, opts...)
	if err != nil {
		return nil, fmt.Errorf("preparing to send mail: %w", err)
	}
	return client, nil
}

func (s *smtpServer) String() string { return net.JoinHostPort(s.host, strconv.Itoa(s.port)) }
