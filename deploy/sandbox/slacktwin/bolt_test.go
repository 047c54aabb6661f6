package slacktwin_test

import (
	"bufio"
	"context"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"breakglass/deploy/sandbox/slacktwin"
)

const boltDir = "testdata/bolt"

// node returns how to run a script of boltDir, or skips the test by name.
func node(t *testing.T) string {
	t.Helper()
	skip := t.Skip
	if strings.Contains(os.Getenv("BREAKGLASS_MUST_RUN"), "bolt") {
		skip = t.Fatal // where everything is said to be installed, a skip would hide that it is not
	}
	path, err := exec.LookPath("node")
	if err != nil {
		skip("skipped: node is not here")
	}
	if _, err := os.Stat(filepath.Join(boltDir, "node_modules", "@slack", "bolt")); err != nil {
		skip("skipped: run npm ci in deploy/sandbox/slacktwin/testdata/bolt first")
	}
	return path
}

// startBolt runs app.mjs against the twin until the test ends.
func startBolt(t *testing.T, w *slacktwin.Workspace, url, channel string) {
	t.Helper()
	cmd := exec.Command(node(t), "app.mjs")
	cmd.Dir = boltDir
	cmd.Env = append(os.Environ(), "SLACK_API_URL="+url+"/api/", "SLACK_BOT_TOKEN=xoxb-twin", "SLACK_APP_TOKEN=xapp-twin", "CHANNEL="+channel)
	cmd.Stderr = t.Output()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		stop := time.AfterFunc(5*time.Second, func() { cmd.Process.Kill() })
		defer stop.Stop()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the Bolt app: %v", err)
		}
	})
	ready, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil || strings.TrimSpace(ready) != "ready" {
		t.Fatalf("the Bolt app did not start: %q, %v", ready, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := w.WaitFor(ctx, func() bool { return w.Sockets() == 1 }); err != nil {
		t.Fatal(err)
	}
}

// Slack's own framework finds in the twin what it expects of Slack: a command with an answer, a form with an external
// select, an error and an acceptance, a button, a legacy button, a message shortcut and the Home tab.
func TestBolt(t *testing.T) {
	node(t)
	w := &world{Workspace: slacktwin.New(slacktwin.Config{})}
	w.people()
	srv := httptest.NewServer(w)
	t.Cleanup(srv.Close)
	t.Cleanup(w.Close)
	startBolt(t, w.Workspace, srv.URL, w.ops)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	reply, err := w.alice.Command(ctx, "/breakglass help")
	must(err)
	must(w.WaitFor(ctx, func() bool { return len(reply.Messages()) == 2 }))
	want(t, "acknowledgement", reply.Messages()[0].Text, "Ask for *access*")
	want(t, "response_url", reply.Messages()[1].Text, "and wait")

	_, err = w.alice.Command(ctx, "/breakglass emergency")
	must(err)
	must(w.WaitFor(ctx, func() bool { return w.alice.View() != nil }))
	want(t, "private_metadata", w.alice.View().PrivateMetadata, "emergency")
	must(w.alice.Fill(ctx, "Account", "prod-c"))
	must(w.alice.Fill(ctx, "Reason", "down"))
	errs, err := w.alice.Submit(ctx)
	must(err)
	want(t, "error under the input", errs["Reason"], "Say more.")
	must(w.alice.Fill(ctx, "Reason", "the site is down"))
	errs, err = w.alice.Submit(ctx)
	must(err)
	want(t, "errors at the second try", len(errs), 0)

	must(w.WaitFor(ctx, func() bool { return len(w.Messages(w.ops)) == 1 }))
	m := w.Messages(w.ops)[0]
	has(t, m.PlainText(), "@alice asks for acct-prod-cash: the site is down", "[Approve] [Deny]", "[Break Glass]")
	has(t, string(m.Metadata), "BG-1")
	must(w.bob.Click(ctx, w.ops, m.TS, "Break Glass"))
	must(w.bob.Click(ctx, w.ops, m.TS, "Approve"))
	must(w.bob.MessageShortcut(ctx, "from_message", w.ops, m.TS))
	must(w.bob.OpenHome(ctx))
	must(w.WaitFor(ctx, func() bool {
		return len(w.Thread(w.ops, m.TS)) == 3 && w.bob.Home() != nil && strings.HasPrefix(w.Messages(w.ops)[0].PlainText(), "Approved by @bob")
	}))
	var thread string
	for _, r := range w.Thread(w.ops, m.TS) {
		thread += r.PlainText() + "\n"
	}
	has(t, thread, "legacy open prod by @bob", "from: ")
	want(t, "home", w.bob.Home().PlainText(), "Nothing is broken.")
	w.clean(t)
}

// The type check takes what Slack's types allow and names what they do not.
func TestTypes(t *testing.T) {
	path := node(t)
	check := func(dir string) (string, error) {
		cmd := exec.Command(path, "types.mjs", dir)
		cmd.Dir = boltDir
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := check("samples"); err != nil {
		t.Errorf("the samples: %v\n%s", err, out)
	}
	dir := t.TempDir()
	bad := `[{"type": "section", "text": {"type": "mrkdwn", "text": "x"}, "colour": "red"}]`
	if err := os.WriteFile(filepath.Join(dir, "message-bad.json"), []byte(bad), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := check(dir)
	if err == nil {
		t.Error("an unknown field was taken")
	}
	has(t, out, "message-bad", "colour")
}
