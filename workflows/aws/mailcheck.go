package aws

import (
	"context"
	"fmt"
	"net/mail"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"
)

// Ready asks for what the mail will need, and sends nothing. to are those whom the policy names; they matter in SES's sandbox only, where
// recipients must be verified as well.
func (m *Mailer) Ready(ctx context.Context, to []string) []Row {
	switch {
	case m.ses != nil:
		return m.checkSES(ctx, to)
	case m.smtp != nil:
		return []Row{m.checkSMTP(ctx)}
	}
	return []Row{{What: "mail", Found: "switched off", OK: true, Remedy: "set BREAKGLASS_MAIL to ses or smtp://host:port: without it reports are in Slack and in the archive only"}}
}

// checkSES asks for the account's standing and for the sender; in the sandbox, which every account begins in, for the recipients too.
func (m *Mailer) checkSES(ctx context.Context, to []string) []Row {
	account := Row{What: "mail by SES in " + m.c.base.Region, Needed: "an account that may send to anybody"}
	out, err := call(ctx, m.c, m.c.mailCalls, "GetAccount", reading, func(ctx context.Context) (*sesv2.GetAccountOutput, error) {
		return m.ses.GetAccount(ctx, &sesv2.GetAccountInput{})
	})
	sandbox := false
	switch {
	case err != nil:
		account = mayNotAsk(account, err, "ses:GetAccount")
	case !out.SendingEnabled || sdk.ToString(out.EnforcementStatus) == "SHUTDOWN":
		account.Found, account.Remedy = "sending is switched off", "see the account's standing in the console of SES, and have sending resumed"
	case !out.ProductionAccessEnabled:
		sandbox = true
		account.OK, account.Found = true, "in the sandbox: mail goes to verified addresses only, at most 200 a day"
		account.Remedy = "request production access for SES in this Region"
	default:
		account.OK, account.Found = true, "may send to anybody"
	}
	rows := []Row{account, m.checkIdentity(ctx, "mail sender "+m.from, m.from)}
	if sandbox {
		for _, address := range to {
			rows = append(rows, m.checkIdentity(ctx, "mail recipient "+address, address))
		}
	}
	return rows
}

// checkIdentity asks for an address, and then for its domain and those above it: whichever is verified will do.
func (m *Mailer) checkIdentity(ctx context.Context, what, address string) Row {
	r := Row{What: clean(what, 300), Needed: "verified with SES"}
	a, err := mail.ParseAddress(address)
	if err != nil {
		r.Found, r.Remedy = "no e-mail address", "correct it in the policy"
		return r
	}
	domain := domainOf(address)
	for _, name := range append([]string{a.Address}, parents(domain)...) {
		out, err := call(ctx, m.c, m.c.mailCalls, "GetEmailIdentity", reading, func(ctx context.Context) (*sesv2.GetEmailIdentityOutput, error) {
			return m.ses.GetEmailIdentity(ctx, &sesv2.GetEmailIdentityInput{EmailIdentity: &name})
		})
		switch {
		case code(err) == "NotFoundException":
		case err != nil:
			return mayNotAsk(r, err, "ses:GetEmailIdentity")
		case out.VerifiedForSendingStatus:
			r.OK, r.Found = true, name+" is verified"
			return r
		}
	}
	r.Found, r.Remedy = "not verified", fmt.Sprintf("verify the domain %s (or the address) with SES in %s", domain, m.c.base.Region)
	return r
}

// parents are a domain and those above it, down to two labels.
func parents(domain string) []string {
	var all []string
	for strings.Contains(domain, ".") {
		all = append(all, domain)
		_, domain, _ = strings.Cut(domain, ".")
	}
	return all
}

// mayNotAsk is the row of something that could not be asked for. Not being allowed to is no fault of the mail's.
func mayNotAsk(r Row, err error, action string) Row {
	if c := code(err); c == "AccessDeniedException" || c == "AccessDenied" {
		r.OK, r.Found, r.Remedy = true, "not known: the bot may not ask", "optional: "+action+", so that this is known before it is needed"
		return r
	}
	r.Found, r.Remedy = plain(err), "try again: SES did not answer this"
	return r
}

// checkSMTP connects, with TLS and password where they are set, and says goodbye.
func (m *Mailer) checkSMTP(ctx context.Context) Row {
	r := Row{What: "mail by " + m.smtp.String(), Needed: "a server that takes mail"}
	client, err := m.smtp.client()
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, mailTimeout)
		defer cancel()
		if err = client.DialWithContext(ctx); err == nil {
			err = client.Close()
		}
	}
	if err != nil {
		r.Found, r.Remedy = clean(err.Error(), 300), "check BREAKGLASS_MAIL: host, port, and user and password where the server asks for them"
		return r
	}
	r.Found, r.OK = "answers", true
	return r
}
