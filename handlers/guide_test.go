package handlers

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"breakglass/store"
)

// The programs of the guides, as functions of the shell: they write down how they were called, a line for each word, and "evil" writes that it
// was run at all. There is no PATH, so nothing else can be.
const stage = `
say() { printf 'CALL %s\n' "$1"; shift; for w; do printf 'WORD %s\n' "$w"; done; }
aws() { say aws "$@" >&2; printf 'KEY\tSECRET\tTOKEN'; }
psql() { say psql "$@" >&2; printf 'PASSWORD %s\n' "$PGPASSWORD" >&2; }
kubectl() { say kubectl "$@" >&2; }
curl() { say curl "$@" >&2; }
cut() { printf 'part'; }
evil() { printf 'EVIL\n' >&2; }
`

// perform runs all commands of a guide on the stage and returns what was called.
func perform(t interface{ Fatalf(string, ...any) }, shell, dir string, r store.Request, f setting) []string {
	var script strings.Builder
	script.WriteString(stage)
	for _, s := range guide(r, f) {
		for _, l := range s.lines {
			if word, _, _ := strings.Cut(l, " "); commandWord(word) {
				script.WriteString(l + "\n")
			}
		}
	}
	cmd := exec.Command(shell, "-c", script.String())
	cmd.Env, cmd.Dir = []string{"PATH=/nonexistent"}, dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, script.String(), out)
	}
	return strings.Split(string(out), "\n")
}

func commandWord(w string) bool {
	return w == "aws" || w == "kubectl" || w == "curl" || w == "[" || strings.HasPrefix(w, "CREDS=") || strings.HasPrefix(w, "DB_TOKEN=") || strings.HasPrefix(w, "PGPASSWORD=")
}

func guided(name string, answers map[string]string) store.Request {
	r := in(store.Active)
	r.Guide, r.Answers = name, nil
	for k, v := range answers {
		r.Answers = append(r.Answers, store.Answer{Name: k, Value: v})
	}
	return r
}

func has(lines []string, want string) bool {
	for _, l := range lines {
		if l == want {
			return true
		}
	}
	return false
}

func TestGuidesNeverRunAnotherCommand(t *testing.T) {
	sh, dir := shells(t)[0], t.TempDir()
	f := forgeSetting()
	f.mayAssume = []string{rdsRole}
	rapid.Check(t, func(t *rapid.T) {
		answers := map[string]string{}
		for _, name := range []string{"instance", "endpoint", "database", "db_user", "bastion", "cluster"} {
			answers[name] = nastyText().Draw(t, name)
		}
		r := guided(rapid.SampledFrom([]string{guideEC2, guideRDS, guideEKS, "", "unknown"}).Draw(t, "guide"), answers)
		r.Region = nastyText().Draw(t, "region")
		r.PermissionSet = nastyText().Draw(t, "set")
		if rapid.Bool().Draw(t, "is a role") {
			r.Role, r.IAMUser = nastyText().Draw(t, "role"), rapid.SampledFrom([]string{"", "arn:aws:iam::1:user/"}).Draw(t, "arn")+nastyText().Draw(t, "user")
			r.Account.ID = nastyText().Draw(t, "account")
		}
		calls := perform(t, sh, dir, r, f)
		if has(calls, "EVIL") {
			t.Fatalf("an answer ran a command: %q", calls)
		}
		for _, l := range calls {
			if w, ok := strings.CutPrefix(l, "WORD "); ok && (w == "--profile=evil" || strings.HasPrefix(w, "file://")) {
				t.Fatalf("an answer became an option or a file: %q", calls)
			}
		}
	})
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("a command left something behind: %v %v", left, err)
	}
}

// The role is taken on under the request's id, with the requester's own device, whatever the partition.
func TestGuideForARole(t *testing.T) {
	r := admin(store.Active)
	r.IAMUser = "arn:aws-cn:iam::100000000009:user/people/night shift/oncall"
	for _, shell := range shells(t) {
		calls := perform(t, shell, t.TempDir(), r, forgeSetting())
		for _, want := range []string{
			"WORD assume-role", "WORD arn:aws-cn:iam::100000000003:role/BreakGlassAdminRole", "WORD BG-1061", "WORD arn:aws-cn:iam::100000000009:mfa/oncall",
			"WORD <CODE>", "WORD get-caller-identity",
		} {
			if !has(calls, want) {
				t.Errorf("no %s in %q", want, calls)
			}
		}
	}
	var all strings.Builder
	for _, s := range guide(r, forgeSetting()) {
		all.WriteString(strings.Join(s.lines, "\n") + "\n")
	}
	for _, want := range []string{"role_session_name = BG-1061\n", "mfa_serial = arn:aws-cn:iam::100000000009:mfa/oncall\n", "[profile bg-1061]\n", "unset AWS_ACCESS_KEY_ID"} {
		if !strings.Contains(all.String(), want) {
			t.Errorf("no %q in\n%s", want, all.String())
		}
	}
	if got := mfaSerial("nobody"); got != "<MFA_SERIAL>" {
		t.Errorf("nobody's device is %s", got)
	}
}

func TestGuideForAGroup(t *testing.T) {
	steps := guide(member(store.Active), forgeSetting())
	if len(steps) != 1 || len(steps[0].lines) != 0 || !strings.Contains(steps[0].say, "nothing to type") || !strings.Contains(steps[0].say, "up to an hour") {
		t.Errorf("%+v", steps)
	}
	if link := portalLink(member(store.Active), forgeSetting()); link != "" {
		t.Errorf("a group is in no account, and has a link to one: %s", link)
	}
}

func TestGuideWords(t *testing.T) {
	f := forgeSetting()
	f.mayAssume = []string{rdsRole}
	odd := "my instance's"
	for _, shell := range shells(t) {
		t.Run(filepath.Base(shell), func(t *testing.T) {
			calls := perform(t, shell, t.TempDir(), guided(guideEC2, map[string]string{"instance": odd}), f)
			if !has(calls, "WORD "+odd) || !has(calls, "WORD us-west-2") || !has(calls, "WORD bg-1042") {
				t.Errorf("ec2: %q", calls)
			}
			calls = perform(t, shell, t.TempDir(), guided(guideEC2, nil), f)
			if !has(calls, "WORD <INSTANCE_ID>") || !has(calls, "WORD describe-instance-information") {
				t.Errorf("ec2 without an instance: %q", calls)
			}
			calls = perform(t, shell, t.TempDir(), guided(guideEKS, map[string]string{"cluster": odd}), f)
			if !has(calls, "WORD "+odd) {
				t.Errorf("eks: %q", calls)
			}
			answers := map[string]string{"endpoint": "db.example", "database": "x sslmode=disable host=evil", "db_user": `o'b\rien`, "bastion": "i-0b"}
			calls = perform(t, shell, t.TempDir(), guided(guideRDS, answers), f)
			for _, want := range []string{
				`WORD host=db.example port=5432 user='o\'b\\rien' dbname='x sslmode=disable host=evil' sslmode=verify-full sslrootcert=global-bundle.pem`,
				`WORD host=db.example hostaddr=127.0.0.1 port=15432 user='o\'b\\rien' dbname='x sslmode=disable host=evil' sslmode=verify-full sslrootcert=global-bundle.pem`,
				`WORD {"host":["db.example"],"localPortNumber":["15432"],"portNumber":["5432"]}`,
				`WORD arn:aws:iam::100000000003:role/developer-rds-access`,
			} {
				if !has(calls, want) {
					t.Errorf("rds: no %s in %q", want, calls)
				}
			}
		})
	}
}

// What cannot be a name is not put into a command at all.
func TestAnswersThatAreNoNames(t *testing.T) {
	for _, v := range []string{"", " ", "\u200b", "-h", "--profile=evil", "file:///etc/passwd", "https://evil.example", strings.Repeat("x", 301), strings.Repeat("'", 100)} {
		if got := arg(guided(guideEC2, map[string]string{"instance": v}), "instance", "<INSTANCE_ID>"); got != "'<INSTANCE_ID>'" {
			t.Errorf("%.20q became %s", v, got)
		}
	}
	if got := arg(guided(guideEC2, map[string]string{"instance": " i-0a\u202e "}), "instance", ""); got != "i-0a" {
		t.Errorf("i-0a became %s", got)
	}
}

// A tunnel's parameters are JSON: an answer cannot add a key to them.
func TestTunnelParameters(t *testing.T) {
	r := guided(guideRDS, map[string]string{"endpoint": `x"],"portNumber":["22`, "bastion": "i-0b"})
	for _, s := range guide(r, forgeSetting()) {
		for _, l := range s.lines {
			_, words, ok := strings.Cut(l, "--parameters ")
			if !ok {
				continue
			}
			var got map[string][]string
			if err := json.Unmarshal([]byte(lex(t, shells(t)[0], words)), &got); err != nil || got["portNumber"][0] != "5432" || got["host"][0] != `x"],"portNumber":["22` {
				t.Errorf("%s: %v %v", words, got, err)
			}
			return
		}
	}
	t.Error("no tunnel")
}

func TestGuideRegionAndPortal(t *testing.T) {
	r := guided(guideConsole, nil)
	if len(guide(r, forgeSetting())) != 0 {
		t.Error("the console guide has commands")
	}
	r.Region = ""
	if got := regionOf(r); got != "us-east-1" {
		t.Errorf("region = %q", got)
	}
	r.PermissionSet = "a b&c#d"
	want := "https://forge.awsapps.com/start/#/console?account_id=100000000003&role_name=a%20b%26c%23d" +
		"&destination=https%3A%2F%2Fus-east-1.console.aws.amazon.com%2Fconsole%2Fhome%3Fregion%3Dus-east-1"
	if got := portalLink(r, forgeSetting()); got != want {
		t.Errorf("portal link = %s\nwant %s", got, want)
	}
}
