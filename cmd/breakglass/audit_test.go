package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"breakglass/deploy/sandbox"
	"breakglass/deploy/sandbox/awstwin"
	"breakglass/deploy/sandbox/slacktwin"
	"breakglass/store"
	"breakglass/store/ledger"
)

// auditedOffice is an office whose archive is a folder on the bot's machine, and whose bot has told the requests channel its first checkpoint.
func auditedOffice(t *testing.T) (*office, *botProcess) {
	o := newOffice(t)
	o.env = append(o.env, "BREAKGLASS_ARCHIVE=file:archive")
	bot := o.serve("--init")
	o.await("the first checkpoint in the channel", func() bool { return len(o.witnessed()) == 1 })
	return o, bot
}

// witnessed are the checkpoints in the requests channel, saved to the letter as somebody would who keeps them.
func (o *office) witnessed() (notes []string) {
	for _, m := range o.world.Slack.Messages(o.world.Slack.ChannelID("platform-support")) {
		if !strings.Contains(m.PlainText(), "audit verify --checkpoint") {
			continue
		}
		var blocks []struct {
			Elements []struct{ Elements []struct{ Text string } }
		}
		if json.Unmarshal(m.Blocks, &blocks) != nil {
			o.t.Fatalf("%s", m.Blocks)
		}
		for _, b := range blocks {
			for _, e := range b.Elements {
				for _, x := range e.Elements {
					if strings.HasPrefix(x.Text, "breakglass/") {
						notes = append(notes, x.Text)
					}
				}
			}
		}
	}
	return notes
}

// session lets dana in, has her do something, and ends it; it returns when CloudTrail was read.
func (o *office) session(id store.ID) {
	o.t.Helper()
	const set = "Forge-Prod-BreakGlass-EC2"
	o.ask("dana", "ec2", "prod-wealth")
	o.press("lee", "Approve")
	o.await("active", func() bool { return o.state(id) == store.Active })
	s, err := o.world.AWS.SignIn(o.world.Person("dana").AWS, sandbox.ProdWealth, set)
	if err != nil {
		o.t.Fatal(err)
	}
	_ = s.Do(context.Background(), awstwin.Action{Service: "s3", Name: "ListBuckets"})
	_ = s.Do(context.Background(), awstwin.Action{Service: "iam", Name: "CreateUser", Params: map[string]any{"UserName": "mallory"}})
	o.wants(exitOK, nil, "end", string(id))
	o.await("revoked", func() bool { return o.state(id) == store.Revoked })
	o.clock.Skip(20 * time.Minute)
	o.await("reported", func() bool { return o.state(id) == store.Reported })
	o.archived("sessions/" + string(id) + "/002-ended")
}

// archived waits for a folder of the archive.
func (o *office) archived(folder string) {
	o.t.Helper()
	o.await(folder+" in the archive", func() bool {
		_, err := os.Stat(filepath.Join(o.dir, "archive", folder, ledger.ManifestName))
		return err == nil
	})
}

func (o *office) stop(b *botProcess) {
	o.t.Helper()
	if err := b.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		o.t.Fatal(err)
	}
	if err := <-b.done; err != nil {
		o.t.Errorf("SIGTERM: %v", err)
	}
}

// keys is what config says of the key that signs.
func (o *office) keys() (s struct{ Signing signing }) {
	o.t.Helper()
	if err := json.Unmarshal([]byte(o.wants(exitOK, nil, "config", "--json")), &s); err != nil {
		o.t.Fatal(err)
	}
	return s
}

// auditor is another machine: the program, and a folder with nothing but a copy of the archive and the public key.
type auditor struct {
	*office
	key string
}

func (o *office) auditor(key string) *auditor {
	a := *o
	a.dir = o.t.TempDir()
	a.env = []string{"HOME=" + o.t.TempDir()}
	if err := os.WriteFile(filepath.Join(a.dir, "KEY"), []byte("# of the bot\n"+key+"\n"), 0o600); err != nil {
		o.t.Fatal(err)
	}
	return &auditor{&a, "KEY"}
}

// whole waits until the bot has nothing under way to its archive, so that a copy is not of half a folder.
func (a *auditor) whole(archive string) {
	a.t.Helper()
	a.await("an archive that is whole", func() bool {
		_, _, code := a.command("audit", "verify", "--offline", "--archive", "file:"+archive, "--key", a.key)
		return code == exitOK
	})
}

// copied takes a copy of the archive along.
func (a *auditor) copied(name, from string) {
	a.t.Helper()
	if err := os.CopyFS(filepath.Join(a.dir, name), os.DirFS(from)); err != nil {
		a.t.Fatal(err)
	}
}

func (a *auditor) verifies(code int, words []string, archive string, more ...string) string {
	a.t.Helper()
	return a.wants(code, words, append([]string{"audit", "verify", "--offline", "--archive", "file:" + archive, "--key", a.key}, more...)...)
}

// TestAudit is a session from the request to the close, and then the auditor: at the bot's machine while it runs and when it does not, and on another machine with a
// copy of the archive and the public key.
func TestAudit(t *testing.T) {
	t.Parallel()
	o, bot := auditedOffice(t)
	o.session("BG-1001")
	o.wantsReports()
	o.writes("dana")
	o.archived("sessions/BG-1001/003-post-mortem")
	o.clock.Skip(2 * time.Hour)
	o.archived("sessions/BG-1001/004-again")
	o.await("closed", func() bool { return o.state("BG-1001") == "" })

	key := o.keys().Signing
	if key.Public == "" || len(key.Named) != 1 || key.Named[0] != key.Public || len(key.Missing) > 0 {
		t.Errorf("config: %+v", key)
	}
	o.wants(exitOK, []string{key.Public, "breakglass.db.key"}, "config")
	o.wants(exitOK, []string{"Everything holds.", "1 sessions, 4 manifests", "Name the one you know with --key"}, "audit", "verify")
	o.wants(exitOK, []string{"key that signs checkpoints", "signs, kept at"}, "check")
	o.exports()
	o.stop(bot)
	o.wants(exitOK, []string{"Everything holds."}, "audit", "verify", "--key", key.Public)
	o.wants(exitOK, []string{"Dana Ruiz", "CreateUser"}, "report", "BG-1001")
	o.wants(exitUsage, []string{"There is no request BG-7"}, "report", "7")
	o.wants(exitUsage, []string{"neither a session"}, "report", "nonsense")
	private, err := os.ReadFile(filepath.Join(o.dir, "breakglass.db.key"))
	if err != nil {
		t.Fatal(err)
	}
	if out, errOut, code := o.command("audit", "verify", "--key", "breakglass.db.key"); code != exitUsage || strings.Contains(out+errOut, strings.TrimSpace(string(private))) {
		t.Errorf("the private key is taken, or shown: exit %d, %s%s", code, out, errOut)
	}

	a := o.auditor(key.Public)
	a.copied("COPY", filepath.Join(o.dir, "archive"))
	a.verifies(exitOK, []string{"Everything holds."}, "COPY")
	var r ledger.Report
	if err := json.Unmarshal([]byte(a.verifies(exitOK, nil, "COPY", "--json")), &r); err != nil || !r.OK || r.Sessions != 1 || r.Lines == 0 {
		t.Errorf("--json: %v, %+v", err, r)
	}
	a.wants(exitUsage, []string{"no public key"}, "audit", "verify", "--offline", "--archive", "file:COPY")
	a.wants(exitUsage, []string{"no archive at"}, "audit", "verify", "--offline", "--archive", "file:nowhere", "--key", "KEY")
	a.wants(exitUsage, []string{"file:PATH"}, "audit", "verify", "--offline", "--archive", "COPY", "--key", "KEY")
	a.wants(exitUsage, []string{"nor a file of them"}, "audit", "verify", "--offline", "--archive", "file:COPY", "--key", "nokey")
	a.tampers()
}

// writes has somebody write the post-mortem that they were asked for.
func (o *office) writes(who string) {
	o.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	p := o.world.Slack.As(o.world.Person(who).Slack)
	var asked slacktwin.Message
	o.await("the question for a post-mortem", func() bool {
		for _, m := range p.DM() {
			for _, b := range m.Buttons() {
				if b == "Write post-mortem" {
					asked = m
				}
			}
		}
		return asked.TS != ""
	})
	if err := p.Click(ctx, asked.Channel, asked.TS, "Write post-mortem"); err != nil {
		o.t.Fatal(err)
	}
	o.await("the form", func() bool { v := p.View(); return v != nil && v.Field("What happened") != nil })
	for label, text := range map[string]string{"What happened": "a deploy filled the disk", "What was done": "rolled it back"} {
		if err := p.Fill(ctx, label, text); err != nil {
			o.t.Fatal(err)
		}
	}
	if errs, err := p.Submit(ctx); err != nil || len(errs) > 0 {
		o.t.Fatal(errs, err)
	}
}

// wantsReports asks for the report of the session and of its month in each form.
func (o *office) wantsReports() {
	o.t.Helper()
	month := o.clock.Now().UTC().Format("2006-01")
	o.wants(exitOK, []string{"Dana Ruiz", "it is down", "CreateUser", "Lee"}, "report", "BG-1001")
	o.wants(exitOK, []string{"<html", "Actions in the account"}, "report", "BG-1001", "--html")
	o.wants(exitOK, []string{"BG-1001"}, "report", month)
	o.wants(exitOK, []string{"<html", "BG-1001"}, "report", month, "--html")
	for _, of := range []string{"BG-1001", month} {
		if out := o.wants(exitOK, nil, "report", of, "--json"); !json.Valid([]byte(out)) {
			o.t.Errorf("report %s --json: %.300s", of, out)
		}
	}
	o.wants(exitUsage, []string{"not both"}, "report", "BG-1001", "--json", "--html")
	o.wants(exitUsage, []string{"has not begun"}, "report", "2099-01")
	o.wants(exitUsage, []string{"look like 2026-10"}, "report", "2026-13")
}

// exports prints the log, whole and in part.
func (o *office) exports() {
	o.t.Helper()
	lines := func(args ...string) (all []map[string]any) {
		o.t.Helper()
		for line := range strings.Lines(o.wants(exitOK, nil, append([]string{"audit", "export"}, args...)...)) {
			var m map[string]any
			if err := json.Unmarshal([]byte(line), &m); err != nil {
				o.t.Fatalf("audit export %v: %v: %s", args, err, line)
			}
			all = append(all, m)
		}
		return all
	}
	all := lines()
	of, dana, lee := lines("--session", "bg-1001"), lines("--user", "dana@forge.example"), lines("--user", "LEE@forge.example")
	if len(of) == 0 || len(of) >= len(all) || len(dana) < len(of) || len(lee) == 0 || len(lee) >= len(of) {
		o.t.Errorf("%d lines, %d of the session, %d of dana, %d of lee", len(all), len(of), len(dana), len(lee))
	}
	if n := len(lines("--since", "1h")); n == 0 || n >= len(all) {
		o.t.Errorf("%d of %d lines are of the last hour", n, len(all))
	}
	o.exportsForSIEM(lines("--format", "ocsf"), all)
	for _, nobody := range [][]string{{"--user", "nobody@forge.example"}, {"--session", "BG-1001", "--since", "1ms"}} {
		args := append([]string{"audit", "export"}, nobody...)
		if out := o.wants(exitOK, []string{"no line matches", nobody[1], fmt.Sprintf("the log has %d lines from ", len(all))}, args...); out != "" {
			o.t.Errorf("%v prints %q", nobody, out)
		}
	}
	for said, args := range map[string][]string{"there is no request BG-9999": {"--session", "bg-9999"}, "in the future": {"--since", "2199-01-01"}} {
		if out := o.wants(exitUsage, []string{said}, append([]string{"audit", "export"}, args...)...); out != "" {
			o.t.Errorf("%v prints %q", args, out)
		}
	}
	o.wants(exitUsage, []string{"json or ocsf"}, "audit", "export", "--format", "xml")
	o.wants(exitUsage, []string{"--since"}, "audit", "export", "--since", "yesterday")
	o.wants(exitUsage, []string{"look like BG-1042"}, "audit", "export", "--session", "x")
}

// tampers does to copies of the archive what whoever holds it may do; each time the auditor is told where.
func (a *auditor) tampers() {
	a.t.Helper()
	log := filepath.Join(a.dir, "COPY", "log")
	segments, err := os.ReadDir(log)
	if err != nil || len(segments) == 0 {
		a.t.Fatalf("no log in the archive: %v", err)
	}
	first := "log/" + segments[0].Name()
	for _, x := range []struct {
		name  string
		words []string
		do    func(dir string)
	}{
		{"a byte", []string{"sessions/BG-1001/002-ended/events.jsonl", "[file]"}, func(dir string) {
			a.rewrite(filepath.Join(dir, "sessions/BG-1001/002-ended/events.jsonl"), func(b []byte) []byte { b[len(b)/2] ^= 1; return b })
		}},
		{"a line", []string{first, "line 2"}, func(dir string) {
			a.rewrite(filepath.Join(dir, first), func(b []byte) []byte {
				lines := bytes.SplitAfter(b, []byte("\n"))
				return bytes.Join(append(lines[:1:1], lines[2:]...), nil)
			})
		}},
		{"a folder", []string{"sessions/BG-1001/002-ended", "[folder-missing]"}, func(dir string) {
			if err := os.RemoveAll(filepath.Join(dir, "sessions/BG-1001/002-ended")); err != nil {
				a.t.Fatal(err)
			}
		}},
		{"an added file", []string{"sessions/BG-1001/002-ended/more.txt", "[unlisted]"}, func(dir string) {
			if err := os.WriteFile(filepath.Join(dir, "sessions/BG-1001/002-ended/more.txt"), []byte("x"), 0o600); err != nil {
				a.t.Fatal(err)
			}
		}},
	} {
		dir := "COPY of " + x.name
		a.copied(dir, filepath.Join(a.dir, "COPY"))
		x.do(filepath.Join(a.dir, dir))
		a.verifies(exitFailed, append(x.words, "SOMETHING DOES NOT HOLD"), dir)
		var r ledger.Report
		if err := json.Unmarshal([]byte(a.verifies(exitFailed, nil, dir, "--json")), &r); err != nil || r.OK || len(r.Findings) == 0 {
			a.t.Errorf("%s, --json: %v, %+v", x.name, err, r)
		}
	}
}

func (a *auditor) rewrite(path string, change func([]byte) []byte) {
	a.t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		a.t.Fatal(err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		a.t.Fatal(err)
	}
	if err := os.WriteFile(path, change(b), 0o600); err != nil {
		a.t.Fatal(err)
	}
}

// TestKeyBeforeTheStore makes a key for a secret, as the error of a secret that is not there says to.
func TestKeyBeforeTheStore(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.wants(exitOK, []string{"there is no store yet", "the first start makes it"}, "config")
	o.env = append(o.env, "BREAKGLASS_KEY=file:signing.key")
	made := o.keys().Signing.Public
	if _, err := readKeys([]string{made}); err != nil || made == "" {
		t.Fatalf("%q: %v", made, err)
	}
	if again := o.keys().Signing.Public; again != made {
		t.Errorf("%s, and then %s", made, again)
	}
	b, err := os.ReadFile(filepath.Join(o.dir, "signing.key"))
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{string(b), "secretsmanager:none", "nowhere"} {
		o.env = append(o.env, "BREAKGLASS_KEY="+strings.TrimSpace(key), "BREAKGLASS_MAIL=smtp://bot:hunter2@mail.example:587")
		out := o.wants(exitOK, []string{"BREAKGLASS_SWEEP", "Note: "}, "config")
		if strings.Contains(out, "PRIVATE+KEY") || strings.Contains(out, "hunter2") {
			t.Errorf("a secret is shown:\n%s", out)
		}
	}
}
