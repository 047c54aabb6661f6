package policy

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the expected faults in testdata anew")

// mark stands in the changed text where the fault must be pointed at.
const mark = "§"

// TestFaults changes one thing of the example and expects the faults it brings, and no other.
func TestFaults(t *testing.T) {
	type change struct {
		name, from, to string
		want           string // FIELD: PROBLEM [; REMEDY], of the only fault; parts of it
	}
	const ec2 = "    grant: {permission_set: Forge-Prod-BreakGlass-EC2}"
	const adminApproval = "approval: {all_of: [security-lead, incident-manager]}"
	const vpnApproval = "approval: {any_of: [platform-leads]}"
	tests := []change{
		// keys
		{"unknown key", "lockdown: [", "§lokdown: [", `lokdown: unknown key "lokdown"; did you mean lockdown?`},
		{"unknown key inside", "    instant: true", "    §instnat: true", `scenarios.emergency.instnat: unknown key "instnat"; did you mean instant?`},
		{"unknown key of nothing known", "    instant: true", "    §xyzzyfoobar: true", `there are 23, none of them like it`},
		{"key twice", "    tier: 0", "    tier: 0\n    §tier: 1", `scenarios.emergency.tier: stands twice; the first is in line 59`},
		{"section twice", "lockdown: [", "lockdown: []\n§lockdown: [", `lockdown: stands twice`},
		{"merge key", "    tier: 0", "    tier: 0\n    §<<: {instant: false}", `a merge key`},
		{"tag", "    tier: 0", "    tier: §!!int 0", `has a YAML tag`},
		{"anchor twice", "eligible: [sre-oncall]", "eligible: &a [sre-oncall]\n    may_assume: §&a [x]", `a second anchor "a"`},
		{"no such anchor", "    tier: 0", "    tier: 0\n    with: §*nothing", `no anchor "nothing"`},
		{"complex key", "    tier: 0", "    tier: 0\n    ? [a, b]\n    §: c", `not YAML: found an invalid key for this map`},
		{"explicit key", "    tier: 0", "    tier: 0\n    §? instant2\n    : c", `a key that is no plain word`},
		// types
		{"text for number", "    tier: 0", `    tier: §"0"`, `scenarios.emergency.tier: must be a number and is text; write a number, without quotes`},
		{"number for text", `    title: "P1: site down"`, "    title: §112", `must be text and is a number; put it in quotes: "112"`},
		{"flag for text", `    title: "P1: site down"`, "    title: §true", `must be text and is true or false; put it in quotes: "true"`},
		{"text for flag", "    instant: true", `    instant: §"true"`, `must be true or false and is text`},
		{"yes for flag", "    instant: true", `    instant: §yes`, `must be true or false and is text; write true or false`},
		{"text for list", "    eligible: [sre-oncall]", "    eligible: §sre-oncall", `scenarios.emergency.eligible: must be a list and is text; write a list: [sre-oncall]`},
		{"list for mapping", `tracker: {pattern: "^(OPS|SEC)-[0-9]+$"}`, "tracker: §[a]", `tracker: must be a mapping and is a list`},
		{"nothing", "    title: \"P1: site down\"", "    §title:", `has no value; give one or remove the key`},
		{"channel taken for a comment", `  incidents: "#platform-incidents"`, `  §incidents: #platform-incidents`, `"#" begins a comment`},
		{"fraction", "    tier: 0", "    tier: §0.5", `is 0.5; write a whole number from 0 to 3`},
		// text
		{"title too long", `"P1: site down"`, "§" + strings.Repeat("x", 76), `has 76 characters, more than 75`},
		{"title too long in Slack's count", `"P1: site down"`, `§"` + strings.Repeat("🔥", 38) + `"`, `has 76 characters`},
		{"title with a line break", `"P1: site down"`, `§"P1\nsite"`, `a line break`},
		{"empty title", `"P1: site down"`, `§" "`, `is empty`},
		{"padded title", `"P1: site down"`, `§"P1 "`, `white space`},
		{"same title", `"P1: site down"`, `"EKS: kubectl logs, exec, describe"`, ``},
		// sections
		{"bad region", "  region: us-east-1  ", "  region: §useast1  ", `identity_center.region: "useast1" is not an AWS region`},
		{"portal", "https://forge.awsapps.com/start", "§http://forge.awsapps.com/start", `"http://forge.awsapps.com/start" is not a web address`},
		{"channel without its sign", `"#platform-support"`, "§platform-support", `channels.requests: "platform-support" is not a Slack channel`},
		{"channel in capitals", `"#platform-support"`, `§"#Platform"`, `is not a Slack channel`},
		{"timezone", "#: timezone: UTC", "timezone: §Mars/Olympus", `"Mars/Olympus" is not a time zone`},
		{"timezone of the machine", "#: timezone: UTC", "timezone: §Local", `"Local" is not a time zone`},
		{"domain", "#: slack: {domains: []}", "slack: {domains: [§nodots]}", `slack.domains[0]: "nodots" is not an e-mail domain`},
		{"identity", "#: identities: {}", "identities: {§bob: bob@forge.example}", `identities.bob: "bob" is not a Slack user id`},
		{"identity's address", "#: identities: {}", "identities: {U012ABCDEF: §bob}", `"bob" is not an e-mail address`},
		// accounts
		{"id without quotes", `"100000000001"`, "§100000000001", `accounts.dev.id: is a number, which loses zeros; put it in quotes: id: "100000000001"`},
		{"short id", `"100000000001"`, `§"10000000001"`, `"10000000001" is not an AWS account id; write its twelve digits in quotes`},
		{"id twice", `"100000000002"`, `§"100000000001"`, `accounts.qa.id: "100000000001" is the id of dev too`},
		{"no id", `dev:          {id: "100000000001", `, `§dev:          {`, `accounts.dev.id: is missing`},
		{"no regions", `"100000000001", regions: [us-east-1]`, `"100000000001", regions: §[]`, `accounts.dev.regions: is empty`},
		{"region twice", `regions: [us-east-1, us-west-2]`, `regions: [us-east-1, §us-east-1]`, `accounts.prod-wealth.regions[1]: "us-east-1" stands twice`},
		{"account in another case", "  qa:  ", "  §DEV:  ", `accounts.DEV: differs from "dev" in case only`},
		{"account's name", "  qa:  ", `  §"q a":  `, `"q a" is not a name`},
		{"source of both kinds", "#: accounts_from: []", "accounts_from: [§{ou: ou-ab12-cdef3456, tag: a=b}]", `must have one of ou and tag`},
		{"source's unit", "#: accounts_from: []", "accounts_from: [{ou: §prod}]", `"prod" is not an organisational unit`},
		// people
		{"manager is reserved", "  senior-engineers:", "  §manager: {groups: [a]}\n  senior-engineers:", `people.manager: is a reserved word`},
		{"nobody", "  senior-engineers:", "  §none: {}\n  senior-engineers:", `people.none: has nobody in it`},
		{"nobody, at length", "  senior-engineers:", "  §nobody: {groups: [], emails: []}\n  senior-engineers:", `has nobody in it`},
		{"bad address", "security.lead@forge.example]", "§security.lead]", `people.security-lead.emails[0]: "security.lead" is not an e-mail address`},
		{"address that looks like one", "security.lead@forge.example]", "§\u212aim@forge.example]", `is not an e-mail address`},
		{"address twice", "[incident.manager@forge.example]", "[a@forge.example, §A@forge.example]", `"A@forge.example" stands twice`},
		{"mention", `mention: "@sre-oncall"`, `mention: §"sre oncall"`, `is not a Slack user group`},
		{"iam user", "arn:aws:iam::100000000003:user/oncall", "§oncall", `iam_users.oncall@forge.example: "oncall" is not the ARN of an IAM user`},
		{"iam user of two", "/oncall\n", "/oncall\n  b@forge.example: §arn:aws:iam::100000000003:user/oncall\n", `is the user of oncall@forge.example too`},
		// scenarios
		{"named help", "  emergency:", "  §help:", `/breakglass help is a command`},
		{"tier", "    tier: 0", "    tier: §4", `is 4; write a whole number from 0 to 3`},
		{"no tier", "    tier: 0\n", "", ``},
		{"unknown account", "accounts: [prod-wealth, prod-cash, prod-9squid]\n    eligible: [sre-oncall]", "accounts: [prod-wealth, §prod-cahs]\n    eligible: [sre-oncall]", `scenarios.emergency.accounts[1]: unknown account "prod-cahs"; did you mean prod-cash?`},
		{"account twice", "accounts: [prod-wealth, prod-cash, prod-9squid]", "accounts: [prod-wealth, §prod-wealth]", `"prod-wealth" stands twice`},
		{"no account", "accounts: [prod-wealth, prod-cash, prod-9squid]", "accounts: §[]", `scenarios.emergency.accounts: is empty`},
		{"account of a group", "    grant: {group: grp-forge-vpn-prod-cash}", "    grant: {group: grp-forge-vpn-prod-cash}\n    accounts: §[dev]", `a group is not granted in an account`},
		{"unknown set", "eligible: [sre-oncall]", "eligible: [§sre-oncal]", `scenarios.emergency.eligible[0]: unknown set of people "sre-oncal"; did you mean sre-oncall?`},
		{"address for a set", "notify: [security-lead, incident-manager]", "notify: [§a@forge.example]", `"a@forge.example" is no set of people; addresses go into a set under people`},
		{"manager asks", "eligible: [sre-oncall]", "eligible: [§manager]", `"manager" means nobody here`},
		{"nobody may ask", "eligible: [sre-oncall]", "eligible: §[]", `scenarios.emergency.eligible: is empty`},
		{"mention only may ask", "  senior-engineers: {groups: [grp-forge-platform-admins]}", `  senior-engineers: {mention: "@seniors"}`, ``},
		// grants
		{"no grant", ec2 + "\n", "", ``},
		{"two grants", ec2, "    grant: §{permission_set: A, iam_role: B}", `scenarios.ec2.grant: must grant one thing`},
		{"empty grant", ec2, "    grant: §{}", `must grant one thing`},
		{"grant's kind", ec2, "    grant: {§permisson_set: A}", `unknown key "permisson_set"; did you mean permission_set?`},
		{"permission set's name", ec2, "    grant: {permission_set: §" + strings.Repeat("x", 33) + "}", `is not the name of a permission set`},
		{"permission set's letters", ec2, `    grant: {permission_set: §"Forge Prod"}`, `is not the name of a permission set`},
		{"group of people", "{group: grp-forge-vpn-prod-cash}", "{group: §grp-forge-developers}", `stands in people.developers too`},
		{"standing group", "{group: grp-forge-vpn-prod-cash}", "{group: §grp-forge-wealth-prod}", `stands in reconcile.standing too`},
		{"anchor group", "{group: grp-forge-vpn-prod-cash}", "{group: §grp-forge-breakglass-anchor}", `stands in reconcile.anchors too`},
		{"role for nobody", "iam_users:                                # e-mail -> IAM user with MFA, for grants of kind iam_role\n  oncall@forge.example: arn:aws:iam::100000000003:user/oncall\n", "\n\n", ``},
		{"guard of a group", "    grant: {group: grp-forge-vpn-prod-cash}", "    grant: {group: grp-forge-vpn-prod-cash}\n    guard: §timed", `only permission sets have a guard`},
		{"guard's value", "    guard: timed                          # must", "    guard: §open # must", `unknown value "open"; known are closed, timed and none`},
		{"two guards", ec2, "    grant: {permission_set: Forge-Prod-Emergency}", ``},
		// approval
		{"no approval", "    approval: none ", "    #", ``},
		{"empty approval", "    approval: none ", "    approval: §{} ", `must have one of any_of and all_of`},
		{"approval of nobody", vpnApproval, "approval: {any_of: §[]}", `approval.any_of: is empty`},
		{"approval's value", "    approval: none ", "    approval: §nobody ", `is neither none nor a mapping`},
		{"approval both", vpnApproval, "approval: §{any_of: [platform-leads], all_of: [platform-leads]}", `must have one of`},
		{"count of all", adminApproval, "approval: {all_of: [security-lead, incident-manager], count: §2}", `goes with any_of only`},
		{"count of none", vpnApproval, "approval: {any_of: [platform-leads], count: §0}", `is 0; write a whole number from 1`},
		{"count too high", adminApproval, "approval: §{any_of: [security-lead, incident-manager], count: 3}", `can never be given: it takes 3 different people`},
		{"manager is one person", adminApproval, "approval: §{any_of: [manager], count: 2}", `can never be given: it takes 2 different people`},
		{"count with manager", adminApproval, "approval: {any_of: [manager, security-lead], count: 2}", ``},
		{"all of one person", "[incident.manager@forge.example]", "[Security.Lead@forge.example]", ``},
		{"two people for three sets", "    approval: {all_of: [security-lead, incident-manager]}", "    approval: §{all_of: [one, two, three]}", `can never be given: it takes 3 different people`},
		{"set twice", adminApproval, "approval: {all_of: [security-lead, §security-lead]}", `stands twice`},
		{"requester alone", "    eligible: [sre-oncall]\n    grant: {iam_role: BreakGlassAdminRole}        # trust opened for the requester's IAM user, with MFA, until the expiry\n    approval: {all_of: [security-lead, incident-manager]}",
			"    eligible: [security-lead]\n    grant: {iam_role: X}\n    approval: §{any_of: [security-lead]}", `"security.lead@forge.example" may ask for this, and without them too few are left`},
		{"requester of all", "    eligible: [sre-oncall]\n    grant: {iam_role: BreakGlassAdminRole}        # trust opened for the requester's IAM user, with MFA, until the expiry\n    approval: {all_of",
			"    eligible: [security-lead]\n    grant: {iam_role: X}\n    approval: §{all_of", `"security.lead@forge.example" may ask for this`},
		{"requester with others", "    eligible: [sre-oncall]\n    grant: {iam_role: BreakGlassAdminRole}        # trust opened for the requester's IAM user, with MFA, until the expiry\n    approval: {all_of",
			"    eligible: [security-lead]\n    grant: {iam_role: X}\n    approval: {any_of", ``},
		// durations
		{"number", "max_duration: 1h\n    ticket: {within", "max_duration: §3600\n    ticket: {within", `is the number 3600 without a unit; write it as 90s, 15m, 2h`},
		{"days", "max_duration: 1h\n    ticket: {within", "max_duration: §1d\n    ticket: {within", `"1d" is not a duration; write it as 90s, 15m, 2h or 1h30m; there are no days: 24h is one`},
		{"too short", "max_duration: 1h\n    ticket: {within", "max_duration: §59s\n    ticket: {within", `"59s" is too short; write 1m or more`},
		{"negative", "max_duration: 1h\n    ticket: {within", "max_duration: §-1h\n    ticket: {within", `"-1h" is negative`},
		{"zero", "max_duration: 1h\n    ticket: {within", `max_duration: §0` + "\n    ticket: {within", `is the number 0 without a unit`},
		{"part of a second", "max_duration: 1h\n    ticket: {within", "max_duration: §61500ms\n    ticket: {within", `is not a whole number of seconds`},
		{"overflow", "max_duration: 1h\n    ticket: {within", "max_duration: §9999999999h\n    ticket: {within", `is not a duration`},
		{"eternity", "max_duration: 1h\n    ticket: {within", "max_duration: §999999h\n    ticket: {within", `is too long`},
		{"no duration", "    max_duration: 1h\n    ticket: {within", "    ticket: {within", ``},
		{"past the longest", "durations: [30m, 1h, 4h]", "durations: [30m, 1h, §5h]", `scenarios.console.durations[2]: 5h is past max_duration, 4h`},
		{"not rising", "durations: [30m, 1h, 4h]", "durations: [1h, §30m]", `30m does not come after 1h`},
		{"no steps", "durations: [30m, 1h, 4h]", "durations: §[]", `is empty`},
		{"total below", "durations: [30m, 1h, 4h]", "max_total: §3h", `3h is less than max_duration, 4h`},
		{"extensions", "durations: [30m, 1h, 4h]", "max_extensions: §-1", `is -1; write a whole number from 0 to 100`},
		// the rest of a scenario
		{"ticket", "    ticket: required\n    guide: ec2-ssm", "    ticket: §optional\n    guide: ec2-ssm", `is neither required nor {within: ...}`},
		{"ticket's time", "ticket: {within: 1h}", "ticket: {within: §soon}", `"soon" is not a duration`},
		{"empty ticket", "ticket: {within: 1h}", "§ticket: {}", `ticket.within: is missing`},
		{"guide", "guide: ec2-ssm", "guide: §ec2-smm", `unknown value "ec2-smm"; did you mean ec2-ssm?`},
		{"start", "    tier: 2", "    tier: 2\n    start: §tomorrow", `unknown value "tomorrow"`},
		{"with itself", "    tier: 2", "    tier: 2\n    with: [§console]", `is the scenario itself`},
		{"with a stranger", "    tier: 2", "    tier: 2\n    with: [§vpn]", `unknown scenario "vpn"`},
		{"escalate to a stranger", "    tier: 2", "    tier: 2\n    escalate: [{after: 5m, to: [§board]}]", `escalate[0].to[0]: unknown set of people "board"`},
		{"escalate to nobody", "    tier: 2", "    tier: 2\n    escalate: [§{after: 5m}]", `escalate[0].to: is missing`},
		{"escalate backwards", "    tier: 2", "    tier: 2\n    escalate: [{after: 5m, to: [manager]}, {after: §5m, to: [manager]}]", `does not come after the step before`},
		{"ask's name", "name: instance,", "name: §Instance-ID,", `"Instance-ID" is not a field's name`},
		{"ask's name is taken", "name: instance,", "name: §reason,", `"reason" is a field already`},
		{"ask without a label", `{name: instance, label: "Instance", optional: true}`, `§{name: instance}`, `ask[0].label: is missing`},
		{"instant with a ticket", "ticket: {within: 1h}", "ticket: required", ``},
		{"may assume", "[developer-rds-access]", `[§"*"]`, `"*" is not a role`},
		// what the scenarios leave open
		{"remind too late", "remind: [5m, 20m]", "remind: §[5m, 2h]", `2h is not before the request expires, after 1h`},
		{"lockdown of strangers", "lockdown: [security-lead, incident-manager]", "lockdown: [§strangers]", `lockdown[0]: unknown set of people "strangers"`},
		{"unexplained", "unexplained: announce", "unexplained: §ignore", `unknown value "ignore"`},
		{"standing account", "account: prod-wealth, permission_set: Forge-Prod-ReadOnly", "account: §prod-welth, permission_set: Forge-Prod-ReadOnly", `reconcile.standing[0].account: unknown account "prod-welth"; did you mean prod-wealth?`},
		{"anchor with people in it", "anchors: [grp-forge-breakglass-anchor]", "anchors: §[grp-forge-developers]", `stands in people.developers too`},
		{"pattern", `"^(OPS|SEC)-[0-9]+$"`, `§"^(OPS"`, `tracker.pattern: "^(OPS" is not a regular expression`},
		{"tracker without its address", `tracker: {pattern: "^(OPS|SEC)-[0-9]+$"}`, `§tracker: {kind: jira}`, `tracker.url: is missing`},
		{"tracker's kind", `tracker: {pattern: "^(OPS|SEC)-[0-9]+$"}`, `tracker: {kind: §github, url: "https://x.example"}`, `unknown value "github"; known are jira and servicenow`},
		{"watched", `"*Emergency*"`, `§"[a-z"`, `watch.roles[1]: "[a-z" is not a role name`},
		{"trail", "#: trail: {source: lookup}", "§trail: {athena: t, logs_insights: g}", `is not one source`},
		{"trail's source", "#: trail: {source: lookup}", "trail: {source: §s3}", `unknown value "s3"`},
		{"again too soon", "again: [2h]", "again: §[10m]", `10m is not after the first reading, at 15m`},
		{"mail from nobody", "  from: breakglass@forge.example\n", "", ``},
		{"archive", "s3://forge-breakglass-archive", "§forge-archive", `"forge-archive" is not an archive`},
		{"retention", "retain: 8760h", "retain: §1h", `is too short; write 24h or more`},
		{"calendar", `"0 9 1 * *"`, `§"0 25 1 * *"`, `"0 25 1 * *" is not a calendar line`},
		{"calendar with a zone", `"0 9 1 * *"`, `§"TZ=0 9 1 * *"`, `is not a calendar line`},
		{"interval", `"0 9 1 * *"`, `§"@every 5s"`, `is not a calendar line`},
		{"never", `"0 9 1 * *"`, `§"0 9 31 2 *"`, `never comes`},
		{"action", "  #: sensitive_actions: []", "  sensitive_actions: [§TerminateInstances]", `is not an action`},
		{"contact who cannot be reached", "- {role: Emergency hotline, phone: \"+1 555 0199\"}", "- §{role: Emergency hotline}", `contacts[3]: cannot be reached`},
		{"contact's number", `phone: "+1 555 0199"`, `phone: §15550199`, `contacts[3].phone: must be text and is a number`},
	}
	// Where the place or the number of faults follows from elsewhere, they are written out.
	special := map[string][]string{
		"count with manager":    nil,
		"requester with others": nil,
		"same title":            {`101:12: scenarios.eks.title: is the title of emergency too; a requester must be able to tell them apart`},
		"no tier":               {`57:3: scenarios.emergency.tier: is missing; write 0, 1, 2 or 3`},
		"no grant":              {`70:3: scenarios.ec2.grant: is missing; write one of {permission_set: NAME}, {group: NAME}, {iam_role: NAME} and {sealed_user: NAME}`},
		"no approval":           {`57:3: scenarios.emergency.approval: is missing; write none, {any_of: [...]}, {any_of: [...], count: 2} or {all_of: [...]}`},
		"no duration":           {`57:3: scenarios.emergency.max_duration: is missing; say how long a session may last, as 1h`},
		"mail from nobody":      {`190:1: report.from: is missing; say which address the mail comes from`},
		"instant with a ticket": {`64:14: scenarios.emergency.instant: a confirmation cannot give the ticket that is required; write ticket: {within: 1h}, or instant: false`},
		"two guards":            {`70:3: scenarios.ec2.guard: is closed and emergency, which grants Forge-Prod-Emergency as well, says timed; say the same in both: the guard belongs to the permission set`},
		"all of one person":     {`152:15: scenarios.admin-role.approval: can never be given: it takes 2 different people, one for each set, and the sets have not as many; add people to the sets, or ask for fewer`},
		"mention only may ask":  {`119:25: scenarios.console.approval.any_of[0]: "senior-engineers" has neither groups nor emails, so nobody is in it; give it groups or emails: a Slack user group decides nothing`},
		"role for nobody":       {`151:23: scenarios.admin-role.grant.iam_role: can be granted to nobody: iam_users names none; add the requesters' IAM users to iam_users`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text := changed(t, tt.from, tt.to)
			if strings.Contains(text, "[one, two, three]") {
				pair := "{emails: [x@forge.example, y@forge.example]}"
				text = strings.Replace(text, "  senior-engineers:", "  one: "+pair+"\n  two: "+pair+"\n  three: "+pair+"\n  senior-engineers:", 1)
			}
			var want []string
			before, _, marked := strings.Cut(text, mark)
			if listed, ok := special[tt.name]; ok && !marked {
				want = listed
			} else {
				line := strings.Count(before, "\n") + 1
				column := len([]rune(before[strings.LastIndex(before, "\n")+1:])) + 1
				want = []string{fmt.Sprintf("%d:%d: ", line, column) + mark + tt.want}
			}
			_, err := Parse("p", []byte(strings.Replace(text, mark, "", 1)))
			var got Faults
			if err != nil && !errors.As(err, &got) {
				t.Fatal(err)
			}
			if len(got) != len(want) {
				t.Fatalf("got %d faults, want %d:\n%v", len(got), len(want), err)
			}
			for i := range want {
				line := strings.TrimPrefix(got[i].String(), "p:")
				at, what, _ := strings.Cut(want[i], mark)
				if !strings.HasPrefix(line, at) || !strings.Contains(line, what) {
					t.Errorf("got  %s\nwant %s %s", line, at, what)
				}
			}
		})
	}
}

// TestFaultFiles reads whole files, and compares all their faults.
func TestFaultFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no testdata", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			if _, err := Parse(filepath.Base(file), data); err != nil {
				got = err.Error() + "\n"
			}
			golden := strings.TrimSuffix(file, ".yaml") + ".faults"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
