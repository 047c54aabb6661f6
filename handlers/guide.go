package handlers

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"

	"breakglass/store"
)

// The guides a scenario can name. What is not one of them gets the way in that always works: portal and CLI.
const (
	guideEC2     = "ec2-ssm"
	guideRDS     = "rds-iam"
	guideEKS     = "eks-kubectl"
	guideConsole = "console"
)

// rdsRole is the role through which databases are reached, where the scenario lets a session go on to assume it.
const rdsRole = "developer-rds-access"

// ssoSession is the section of ~/.aws/config that the profiles of all requests sign in by.
const ssoSession = "breakglass"

// rdsBundle are the certificates of RDS in all Regions. Source: RDS user guide, "Using SSL/TLS to encrypt a connection".
const rdsBundle = "https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem"

// Ports of the database and of the local end of a tunnel to it.
const (
	rdsPort   = "5432"
	localPort = "15432"
)

// longestArg is longer than any name in AWS (a host name has at most 253 characters), and keeps a message of many of them short.
const longestArg = 300

// step is one thing to do: a sentence, and commands to copy. There are no comments among the commands: a line that begins with # is
// an error in zsh as it is set up by default.
type step struct {
	say   string
	lines []string
}

// guide is how to get in, with what was asked for filled in. Every value is one word to a POSIX shell, whatever it holds.
func guide(r store.Request, f setting) []step {
	if r.Group != "" {
		return guideForGroup(r)
	}
	if r.Role != "" {
		return append(guideForRole(r), append(furtherSteps(r, f), dropCredentials())...)
	}
	if r.Guide == guideConsole {
		return nil // the portal link is the whole of it
	}
	return append(profile(r, f), furtherSteps(r, f)...)
}

// furtherSteps are those of the guide that the scenario names.
func furtherSteps(r store.Request, f setting) []step {
	switch r.Guide {
	case guideEC2:
		return guideForEC2(r)
	case guideRDS:
		return guideForRDS(r, f)
	case guideEKS:
		return guideForEKS(r)
	}
	return nil
}

// profileName is the CLI profile of a request: bg-1042.
func profileName(r store.Request) string { return strings.ToLower(oneLine(string(r.ID), 40)) }

// regionOf is where the commands go: what was asked for, or the account's first. What has not the form of a Region is passed over: it
// becomes part of addresses.
func regionOf(r store.Request) string {
	for _, region := range append([]string{r.Region}, r.Account.Regions...) {
		if isRegion(region) {
			return region
		}
	}
	return "us-east-1"
}

// isRegion goes by the form alone: which Regions there are changes, and AWS says no to the others.
func isRegion(s string) bool {
	for _, c := range s {
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-') {
			return false
		}
	}
	return s != "" && len(s) <= 40 && s[0] != '-'
}

// profile is the sign-in by the AWS CLI. The section of ~/.aws/config is for aws sso login of the CLI 2; sso_role_name is
// the permission set's name, not that of the role it makes. Source: AWS CLI user guide, "IAM Identity Center".
func profile(r store.Request, f setting) []step {
	p := shellQuote(profileName(r))
	enter := step{say: "Then sign in:", lines: []string{"aws sso login --profile " + p, "aws sts get-caller-identity --profile " + p}}
	if r.Ends.Anew { // they have signed in by then
		enter = step{say: "Then see that it works:", lines: enter.lines[1:]}
	}
	return []step{{
		say: "Add this to ~/.aws/config:",
		lines: []string{
			"[sso-session " + ssoSession + "]",
			"sso_start_url = " + oneLine(f.portal, 500),
			"sso_region = " + oneLine(f.ssoRegion, 40),
			"sso_registration_scopes = sso:account:access",
			"[profile " + profileName(r) + "]",
			"sso_session = " + ssoSession,
			"sso_account_id = " + oneLine(r.Account.ID, 20),
			"sso_role_name = " + oneLine(r.PermissionSet, limitName),
			"region = " + regionOf(r),
		},
	}, enter}
}

// anew says how to get credentials that are not refused, where the guard refuses those of an earlier session. aws sso logout takes no session or
// profile: it drops the tokens and the temporary credentials of all of them. Source: AWS CLI reference, sso logout and sso login.
func anew(r store.Request) []step {
	const refused = "credentials from an earlier session are refused, however long they say they last."
	switch {
	case !r.Ends.Anew || r.Group != "":
		return nil
	case r.Role != "":
		return []step{{say: "Take on the role anew: " + refused + " Do so, as below, also in shells that have its credentials already."}}
	}
	portal := step{say: "Sign in anew first: " + refused + " In the browser, sign out of the access portal and in again, and open the console from there."}
	if r.Guide == guideConsole {
		return []step{portal}
	}
	return []step{portal, {
		say: "With the CLI, sign out and in again; this signs out all profiles that sign in by the portal. If ~/.aws/config has no [sso-session " + ssoSession +
			"] yet, first add the lines that stand below.",
		lines: []string{"aws sso logout", "aws sso login --sso-session " + ssoSession},
	}}
}

// arg is an answer as one shell word that the AWS CLI takes as it is. A value that begins with a dash would be read as an option, and
// one with :// makes the CLI read a file or an address instead: those, like one that is empty or too long to be a name, become the
// placeholder.
// Source: AWS CLI user guide, "Loading a parameter from a file".
func arg(r store.Request, name, placeholder string) string {
	return shellQuote(answer(r, name, placeholder))
}

// answer is arg before it is quoted, for values that are quoted by another rule first.
func answer(r store.Request, name, placeholder string) string {
	v := neutral(r.Answer(name), false)
	if v == "" || strings.HasPrefix(v, "-") || strings.Contains(v, "://") || width(shellQuote(v)) > longestArg {
		return placeholder
	}
	return v
}

// guideForEC2 helps to find the instance where the form did not name one.
func guideForEC2(r store.Request) []step {
	to := arg(r, "instance", "<INSTANCE_ID>")
	p, region := shellQuote(profileName(r)), shellQuote(regionOf(r))
	var steps []step
	if r.Answer("instance") == "" {
		steps = append(steps, step{
			say: "Find the instance:",
			lines: []string{"aws ssm describe-instance-information --profile " + p + " --region " + region +
				" --query 'InstanceInformationList[].[InstanceId,ComputerName,PingStatus]' --output table"},
		})
	}
	steps = append(steps, step{
		say:   "Open a shell on it (needs the session-manager-plugin):",
		lines: []string{"aws ssm start-session --profile " + p + " --region " + region + " --target " + to},
	})
	return steps
}

// guideForEKS gives each request a context of its own, so that a forgotten one cannot be mistaken for the everyday cluster.
func guideForEKS(r store.Request) []step {
	p, region := shellQuote(profileName(r)), shellQuote(regionOf(r))
	return []step{{
		say: "Point kubectl at the cluster:",
		lines: []string{
			"aws eks update-kubeconfig --name " + arg(r, "cluster", "<CLUSTER>") + " --region " + region + " --profile " + p + " --alias " + p,
			"kubectl --context " + p + " get pods --all-namespaces",
			"kubectl --context " + p + " --namespace '<NAMESPACE>' logs '<POD>'",
			"kubectl --context " + p + " --namespace '<NAMESPACE>' exec -it '<POD>' -- sh",
		},
	}}
}

// guideForRDS uses no password that stands anywhere: the token is the password, and it is made by whoever has the access.
func guideForRDS(r store.Request, f setting) []step {
	var steps []step
	// With the role, the token is made with its credentials, which the environment then carries instead of the profile.
	with := " --profile " + shellQuote(profileName(r))
	if slices.Contains(f.mayAssume, rdsRole) {
		steps = append(steps, assumeRDSRole(r))
		with = ""
	}
	host := answer(r, "endpoint", "<RDS_ENDPOINT>")
	steps = append(steps, step{
		say:   "Get the certificates of RDS, once:",
		lines: []string{"curl --fail --remote-name " + rdsBundle},
	}, step{
		say: "Connect with a token instead of a password. A token opens connections for 15 minutes; make a new one by running this again:",
		lines: []string{
			dbToken(r, host, with),
			connect(r, conninfo("host", host)+" port="+rdsPort),
		},
	})
	if r.Answer("bastion") != "" {
		steps = append(steps, tunnel(r, host, with)...)
	}
	return steps
}

// exportCredentials brings what an assume-role wrote, tab by tab, into the environment; nothing where it failed.
const exportCredentials = `[ -n "$CREDS" ] && export AWS_ACCESS_KEY_ID="$(printf %s "$CREDS" | cut -f1)" AWS_SECRET_ACCESS_KEY="$(printf %s "$CREDS" | cut -f2)" AWS_SESSION_TOKEN="$(printf %s "$CREDS" | cut -f3)"`

// assumeRDSRole takes the credentials of the role into the environment of this shell, word by word and without a file.
func assumeRDSRole(r store.Request) step {
	role := "arn:aws:iam::" + oneLine(r.Account.ID, 20) + ":role/" + rdsRole
	return step{
		say: "Take on the role that may reach databases, in this shell:",
		lines: []string{
			"CREDS=$(aws sts assume-role --profile " + shellQuote(profileName(r)) + " --role-arn " + shellQuote(role) +
				" --role-session-name " + shellQuote(profileName(r)) + " --query 'Credentials.[AccessKeyId,SecretAccessKey,SessionToken]' --output text)",
			exportCredentials,
		},
	}
}

// dbToken asks for the real host name, through a tunnel as well: it is signed. Source: RDS user guide, IAM database authentication.
func dbToken(r store.Request, host, with string) string {
	return "DB_TOKEN=$(aws rds generate-db-auth-token" + with + " --hostname " + shellQuote(host) + " --port " + rdsPort +
		" --region " + shellQuote(regionOf(r)) + " --username " + arg(r, "db_user", "<DB_USER>") + ")"
}

// connect gives psql one connection string. Its --dbname alone would be read as such a string too, so that a "database" could
// name another host to send the token to; inside the string a value cannot do that. TLS is needed, with the
// server's name checked. Source: PostgreSQL, libpq connection strings.
func connect(r store.Request, where string) string {
	return `PGPASSWORD="$DB_TOKEN" psql ` + shellQuote(where+" "+conninfo("user", answer(r, "db_user", "<DB_USER>"))+" "+
		conninfo("dbname", answer(r, "database", "<DB_NAME>"))+" sslmode=verify-full sslrootcert=global-bundle.pem")
}

// conninfo is one key and value of a libpq connection string, quoted where the value is not plain.
func conninfo(key, value string) string {
	odd := func(c rune) bool { return !alnum(c) && c != '.' && c != '_' && c != '-' }
	if value != "" && !strings.ContainsFunc(value, odd) {
		return key + "=" + value
	}
	return key + "='" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(value) + "'"
}

// tunnel goes through the bastion by Session Manager; nothing on it is opened or changed. The parameters are made by the JSON encoder and
// then quoted, so an answer can neither add a parameter nor a word.
func tunnel(r store.Request, host, with string) []step {
	ports, err := json.Marshal(map[string][]string{"host": {host}, "portNumber": {rdsPort}, "localPortNumber": {localPort}})
	if err != nil {
		return nil // strings always marshal
	}
	return []step{
		{
			say: "If the database cannot be reached from where you are, open a tunnel in a second shell:",
			lines: []string{"aws ssm start-session --profile " + shellQuote(profileName(r)) + " --region " + shellQuote(regionOf(r)) +
				" --target " + arg(r, "bastion", "<INSTANCE_ID>") + " --document-name AWS-StartPortForwardingSessionToRemoteHost --parameters " + shellQuote(string(ports))},
		},
		{
			say: "and connect through it:",
			lines: []string{
				dbToken(r, host, with),
				connect(r, conninfo("host", host)+" hostaddr=127.0.0.1 port="+localPort),
			},
		},
	}
}

// portalLink opens the account's console through the access portal, in the right Region. It works only while the person has the assignment.
// Source: IAM Identity Center user guide, "Creating shortcut links to AWS account console destinations".
func portalLink(r store.Request, f setting) string {
	start := strings.TrimRight(f.portal, "/#")
	if start == "" || r.Group != "" || r.Role != "" { // the portal knows permission sets alone
		return ""
	}
	region := regionOf(r)
	return start + "/#/console?account_id=" + escapeQuery(r.Account.ID) + "&role_name=" + escapeQuery(r.PermissionSet) +
		"&destination=" + escapeQuery("https://"+region+".console.aws.amazon.com/console/home?region="+region)
}

// escapeQuery writes a space as %20: in a fragment a plus sign is a plus sign.
func escapeQuery(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
