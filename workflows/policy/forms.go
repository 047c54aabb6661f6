package policy

import (
	"net/url"
	"regexp"
	"strings"
)

// form is what a piece of text must look like. Matching is by anchored expressions without backtracking
// and by the standard library's parsers.
type form struct {
	what   string // as in: "x" is not WHAT
	remedy string
	match  func(string) bool // nil: any text
	most   int               // characters; 0: 256
	fold   bool              // two that differ in ASCII case only are the same
}

func (f form) limit() int {
	if f.most == 0 {
		return 256
	}
	return f.most
}

func (f form) same(s string) string {
	if f.fold {
		return lower(s)
	}
	return s
}

// lower folds ASCII only. Unicode knows letters that fold onto ASCII ones (the Kelvin sign onto k), and
// an address that merely looks like an approver's must not become the approver's.
func lower(s string) string {
	return strings.Map(func(c rune) rune {
		if 'A' <= c && c <= 'Z' {
			return c + 'a' - 'A'
		}
		return c
	}, s)
}

func shaped(expression string) func(string) bool {
	return regexp.MustCompile(`\A(?:` + expression + `)\z`).MatchString
}

// forms are made once for each reading: compiled expressions are no constants, and globals are not kept.
type forms struct {
	any, title, label, name, email, domain, region, accountID, portal, instance, channel,
	group, mention, slackUser, permissionSet, role, assumable, iamUser, ou, tag,
	watched, action, archive, link, askName form
}

func newForms() forms {
	const iamName = `[A-Za-z0-9_+=,.@-]`
	return forms{
		any:   form{},
		title: form{most: 75}, // an option's text in a Slack select: 75 characters
		label: form{most: 75},
		name: form{what: "a name", remedy: "use letters, digits, - _ and . (it is typed in /breakglass)", most: 60, fold: true,
			match: shaped(`[A-Za-z0-9][A-Za-z0-9._-]*`)},
		email: form{what: "an e-mail address", remedy: "write it as somebody@example.com", most: 254, fold: true,
			match: emailAddress},
		domain: form{what: "an e-mail domain", remedy: "write it as example.com", fold: true, match: hostname},
		region: form{what: "an AWS region", remedy: "write it as us-east-1",
			match: shaped(`[a-z]{2,4}(?:-[a-z]+){1,2}-[0-9]{1,2}`)},
		accountID: form{what: "an AWS account id", remedy: "write its twelve digits in quotes", match: shaped(`[0-9]{12}`)},
		portal:    form{what: "a web address", remedy: "write it as https://example.awsapps.com/start", match: webAddress},
		instance: form{what: "an Identity Center instance ARN", remedy: "write it as arn:aws:sso:::instance/ssoins-1234567890abcdef",
			match: shaped(`arn:aws[a-z-]*:sso:::instance/(?:sso)?ins-[A-Za-z0-9.-]{16}`)},
		// A name is at most 80 characters, lower case (conversations.create); ids begin with C or G.
		channel: form{what: "a Slack channel", remedy: `write "#name", in quotes, or the channel's id`,
			most:  81,
			match: shaped(`#[\p{Ll}\p{Lo}\p{Lm}\p{M}\p{N}_-]+|[CG][A-Z0-9]{8,20}`)},
		group: form{what: "the name of a group", remedy: "write its name in Identity Center"},
		mention: form{what: "a Slack user group", remedy: `write "@handle", in quotes, or the user group's id`,
			match: shaped(`@[a-z0-9][a-z0-9._-]*|S[A-Z0-9]{8,20}`)},
		slackUser: form{what: "a Slack user id", remedy: "write it as U012ABCDEF; it stands in the person's profile",
			match: shaped(`[UW][A-Z0-9]{2,20}`)},
		// CreatePermissionSet: Name has 1 to 32 characters.
		permissionSet: form{what: "the name of a permission set", remedy: "use 1 to 32 letters, digits and _ + = , . @ -",
			match: shaped(iamName + `{1,32}`)},
		// CreateRole, CreateUser: 64 characters.
		role:      form{what: "an IAM name", remedy: "use 1 to 64 letters, digits and _ + = , . @ -", match: shaped(iamName + `{1,64}`)},
		assumable: form{what: "a role", remedy: "write its name or its ARN", match: shaped(iamName + `{1,64}|arn:aws[a-z-]*:iam::[0-9]{12}:role/(?:[!-~]+/)?` + iamName + `{1,64}`), most: 700},
		iamUser: form{what: "the ARN of an IAM user", remedy: "write it as arn:aws:iam::123456789012:user/name",
			match: shaped(`arn:aws[a-z-]*:iam::[0-9]{12}:user/(?:[!-~]+/)?` + iamName + `{1,64}`), most: 700},
		ou: form{what: "an organisational unit", remedy: "write its id, as ou-ab12-cdef3456",
			match: shaped(`ou-[0-9a-z]{4,32}-[0-9a-z]{8,32}|r-[0-9a-z]{4,32}`)},
		tag:     form{what: "a tag", remedy: "write it as KEY=VALUE", match: shaped(`[^=]+=.*`), most: 400},
		watched: form{what: "a role name", remedy: "use the characters of IAM names, * and ?", match: shaped(`[A-Za-z0-9_+=,.@*?-]{1,64}`)},
		action:  form{what: "an action", remedy: "write it as EC2:TerminateInstances", match: shaped(`[A-Za-z0-9-]+:[A-Za-z0-9*]+`)},
		archive: form{what: "an archive", remedy: "write s3://BUCKET, s3://BUCKET/PREFIX or file:PATH", most: 1100,
			match: shaped(`s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](?:/[!-~]*)?|file:.+`)},
		link:    form{what: "a web address", remedy: "write it as https://example.com/page", most: 2000, match: webAddress},
		askName: form{what: "a field's name", remedy: "use lower case letters, digits and _", match: shaped(`[a-z][a-z0-9_]{0,39}`)},
	}
}

// emailAddress takes what mail and Identity Center use, in ASCII: no quoted names, no bare hosts.
func emailAddress(s string) bool {
	at := strings.LastIndexByte(s, '@')
	return at > 0 && !strings.ContainsFunc(s[:at], func(c rune) bool {
		return !alphanumeric(c) && !strings.ContainsRune(".!#$%&'*+/=?^_`{|}~-", c)
	}) && hostname(s[at+1:])
}

// hostname has at least two labels, in ASCII.
func hostname(s string) bool {
	labels := strings.Split(s, ".")
	for _, l := range labels {
		if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' ||
			strings.ContainsFunc(l, func(c rune) bool { return !alphanumeric(c) && c != '-' }) {
			return false
		}
	}
	return len(labels) > 1
}

func alphanumeric(c rune) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// webAddress takes https, and http where nothing leaves the machine (the sandbox).
func webAddress(s string) bool {
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || u.User != nil || strings.ContainsAny(s, " <>|\"`\\") {
		return false
	}
	host := u.Hostname()
	return u.Scheme == "https" || u.Scheme == "http" && (host == "localhost" || host == "127.0.0.1" || host == "::1")
}
