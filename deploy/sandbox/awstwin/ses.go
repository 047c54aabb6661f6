// SES, which refuses more than it sends until an account is out of its sandbox: that state is for each Region, and every new
// account begins in it.

package awstwin

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"breakglass/deploy/sandbox/letter"
)

// Mail is a message that SES has taken.
type Mail struct {
	At                   time.Time
	AccountID, Region    string
	MessageID            string
	From                 string
	To, Cc, Bcc, ReplyTo []string
	Subject, Text, HTML  string
	Raw                  []byte // the whole MIME message, where it was sent so
	Attachments          []Attachment
}

// Attachment is a file of a mail.
type Attachment = letter.Attachment

// sesLargest is the largest message that SES takes, encoded as it travels (SES developer guide, quotas).
const sesLargest = 40 << 20

type mailbox struct{ mails []Mail }

// Mails are all messages that SES has taken, oldest first.
func (o *Organization) Mails() []Mail {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]Mail(nil), o.mail.mails...)
}

// SetSES says which addresses and domains are verified in an account and Region, and whether SES is out of its sandbox
// there. An account begins inside, with nothing verified, as in AWS.
func (o *Organization) SetSES(accountID, region string, production bool, verified ...string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.settle(o.cfg.Now())
	r := o.must(accountID).in(region)
	r.production = production
	for _, v := range verified {
		r.identities[strings.ToLower(v)] = true
	}
}

// SetSESPaused stops (or resumes) sending in an account and Region, as AWS does with accounts that draw complaints.
func (o *Organization) SetSESPaused(accountID, region string, paused bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.settle(o.cfg.Now())
	o.must(accountID).in(region).paused = paused
}

func sesService() *service {
	return &service{name: "sesv2", scope: "ses", source: "ses.amazonaws.com", prefix: "ses", proto: protoREST, route: sesRoute,
		ops: map[string]*operation{
			"SendEmail":           sendOn(writes(sendEmail)),
			"GetAccount":          reads(getSESAccount),
			"GetEmailIdentity":    reads(getEmailIdentity),
			"ListEmailIdentities": reads(listEmailIdentities),
			"CreateEmailIdentity": writes(createEmailIdentity),
		}}
}

func sesRoute(c *call) string {
	path := strings.TrimPrefix(c.req.URL.EscapedPath(), "/v2/email/")
	first, rest, _ := strings.Cut(path, "/")
	switch {
	case path == "outbound-emails" && c.req.Method == "POST":
		return "SendEmail"
	case path == "account" && c.req.Method == "GET":
		return "GetAccount"
	case first == "identities" && rest != "" && c.req.Method == "GET":
		c.vars["identity"], _ = url.PathUnescape(rest)
		return "GetEmailIdentity"
	case path == "identities" && c.req.Method == "GET":
		return "ListEmailIdentities"
	case path == "identities" && c.req.Method == "POST":
		return "CreateEmailIdentity"
	}
	return ""
}

// sendOn authorises on the sender's identity, with the sender's address as ses:FromAddress.
func sendOn(op *operation) *operation {
	op.data = true // SendEmail is a data event
	op.context = func(c *call, extra map[string]string) {
		var in struct{ FromEmailAddress string }
		_ = json.Unmarshal(c.body, &in)
		extra["ses:FromAddress"] = bare(in.FromEmailAddress)
	}
	return op.on(func(c *call) []string {
		var in struct{ FromEmailAddress string }
		_ = json.Unmarshal(c.body, &in)
		from := bare(in.FromEmailAddress)
		if _, domain, ok := strings.Cut(from, "@"); ok && !c.place().identities[from] && c.place().identities[domain] {
			from = domain
		}
		return []string{c.place().arn("ses", "identity/"+from)}
	})
}

// verified: the address itself, or its domain.
func (r *regional) verified(address string) bool {
	a := bare(address)
	_, domain, _ := strings.Cut(a, "@")
	return r.identities[a] || r.identities[domain]
}

// bare is an address without its display name, in lower case.
func bare(address string) string {
	if i := strings.LastIndexByte(address, '<'); i >= 0 {
		address = strings.TrimSuffix(address[i+1:], ">")
	}
	return strings.ToLower(strings.TrimSpace(address))
}

type content struct{ Data, Charset string }

type emailInput struct {
	FromEmailAddress string
	ReplyToAddresses []string
	Destination      struct{ ToAddresses, CcAddresses, BccAddresses []string }
	Content          struct {
		Simple *struct {
			Subject     content
			Body        struct{ Text, Html *content }
			Attachments []struct {
				FileName, ContentType, ContentId string
				ContentDisposition               string
				RawContent                       []byte
			}
		}
		Raw      *struct{ Data []byte }
		Template *struct{}
	}
}

func sendEmail(c *call, in *emailInput) (any, error) {
	m := Mail{At: c.at, AccountID: c.who.account, Region: c.region, From: in.FromEmailAddress, To: in.Destination.ToAddresses,
		Cc: in.Destination.CcAddresses, Bcc: in.Destination.BccAddresses, ReplyTo: in.ReplyToAddresses}
	switch {
	case in.Content.Simple != nil:
		s := in.Content.Simple
		m.Subject = s.Subject.Data
		if s.Body.Text != nil {
			m.Text = s.Body.Text.Data
		}
		if s.Body.Html != nil {
			m.HTML = s.Body.Html.Data
		}
		for _, a := range s.Attachments {
			if a.FileName == "" || !slices.Contains([]string{"", "ATTACHMENT", "INLINE"}, a.ContentDisposition) {
				return nil, fail("BadRequestException", "The attachment %q is not one: a file name, and ATTACHMENT or INLINE.", a.FileName)
			}
			m.Attachments = append(m.Attachments, Attachment{Name: a.FileName, ContentType: a.ContentType, ContentID: strings.Trim(a.ContentId, "<>"),
				Inline: a.ContentDisposition == "INLINE", Content: a.RawContent})
		}
		if m.Text == "" && m.HTML == "" {
			return nil, fail("BadRequestException", "Must have at least one of text or html body.")
		}
	case in.Content.Raw != nil:
		if err := m.readRaw(in.Content.Raw.Data); err != nil {
			return nil, fail("BadRequestException", "The message is not MIME: %v", err)
		}
	default:
		return nil, fail("BadRequestException", "Templates are not modelled")
	}
	if size := m.size(); size > sesLargest {
		return nil, fail("BadRequestException", "Message length is more than %d bytes long: '%d'.", sesLargest, size)
	}
	if err := c.place().accepts(c, &m); err != nil {
		return nil, err
	}
	m.MessageID = "0100" + c.org.hex(12) + "-" + c.org.uuid() + "-000000"
	c.place().sent = append(c.place().sent, c.at)
	c.org.mail.mails = append(c.org.mail.mails, m)
	return map[string]any{"MessageId": m.MessageID}, nil
}

// size is how long the message is on its way. SES encodes what Simple gives it in base64.
func (m *Mail) size() int {
	if m.Raw != nil {
		return len(m.Raw)
	}
	n := len(m.Text) + len(m.HTML)
	for _, a := range m.Attachments {
		n += base64.StdEncoding.EncodedLen(len(a.Content))
	}
	return n
}

// accepts applies SES's rules: a verified sender always, verified recipients and 200 messages a day in the sandbox, 50
// recipients for each message.
func (r *regional) accepts(c *call, m *Mail) error {
	all := slices.Concat(m.To, m.Cc, m.Bcc)
	if r.paused {
		return fail("SendingPausedException", "Email sending for the account is currently disabled.")
	}
	if len(all) == 0 || len(all) > 50 {
		return fail("BadRequestException", "Recipient count must be between 1 and 50.")
	}
	check := []string{m.From}
	if !r.production {
		check = append(check, all...)
	}
	var bad []string
	for _, a := range check {
		if !r.verified(a) {
			bad = append(bad, bare(a))
		}
	}
	if len(bad) > 0 {
		return fail("MessageRejected", "Email address is not verified. The following identities failed the check in region %s: %s",
			strings.ToUpper(c.region), strings.Join(bad, ", "))
	}
	if !r.production && r.sentSince(c.at.Add(-24*time.Hour)) >= 200 {
		return fail("TooManyRequestsException", "Daily message quota exceeded.").status(429)
	}
	return nil
}

func (r *regional) sentSince(t time.Time) int {
	n := 0
	for _, s := range r.sent {
		if s.After(t) {
			n++
		}
	}
	return n
}

func getSESAccount(c *call, _ *empty) (any, error) {
	r := c.place()
	quota, rate := 200.0, 1.0
	if r.production {
		quota, rate = 50000, 14
	}
	return map[string]any{"ProductionAccessEnabled": r.production, "SendingEnabled": !r.paused, "EnforcementStatus": "HEALTHY",
		"DedicatedIpAutoWarmupEnabled": false,
		"SendQuota":                    map[string]any{"Max24HourSend": quota, "MaxSendRate": rate, "SentLast24Hours": float64(r.sentSince(c.at.Add(-24 * time.Hour)))}}, nil
}

func identityType(name string) string {
	if strings.Contains(name, "@") {
		return "EMAIL_ADDRESS"
	}
	return "DOMAIN"
}

func status(verified bool) string {
	if verified {
		return "SUCCESS"
	}
	return "PENDING"
}

func getEmailIdentity(c *call, _ *empty) (any, error) {
	name := strings.ToLower(c.vars["identity"])
	ok, known := c.place().identities[name]
	if !known {
		return nil, fail("NotFoundException", "Email identity %s does not exist.", name).status(404)
	}
	return map[string]any{"IdentityType": identityType(name), "VerifiedForSendingStatus": ok, "VerificationStatus": status(ok), "FeedbackForwardingStatus": true}, nil
}

func listEmailIdentities(c *call, _ *empty) (any, error) {
	all := []any{}
	for _, name := range slices.Sorted(maps.Keys(c.place().identities)) {
		ok := c.place().identities[name]
		all = append(all, map[string]any{"IdentityName": name, "IdentityType": identityType(name), "SendingEnabled": ok, "VerificationStatus": status(ok)})
	}
	return map[string]any{"EmailIdentities": all}, nil
}

func createEmailIdentity(c *call, in *struct{ EmailIdentity string }) (any, error) {
	name := strings.ToLower(in.EmailIdentity)
	if _, known := c.place().identities[name]; known {
		return nil, fail("AlreadyExistsException", "Email identity %s already exist.", name)
	}
	c.place().identities[name] = false
	return map[string]any{"IdentityType": identityType(name), "VerifiedForSendingStatus": false}, nil
}
