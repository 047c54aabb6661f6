package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"breakglass/deploy/manifest"
)

// picture is where TestBrowser puts the README's picture. A relative path starts at this folder:
//
//	go test ./cmd/breakglass -run TestBrowser -count=1 -picture ../../deploy/sandbox/sandbox.png
var picture = flag.String("picture", "", "write the README's picture to this file, from TestBrowser")

// patience is how long a person waits for one thing to appear. It is long because the machine may be busy with other tests; what is there
// is seen at once.
const patience = 45 * time.Second

// TestBrowser clicks through the sandbox's page as the README tells a newcomer to. It holds together what no other test sees at once: the
// script of the page, its Content-Security-Policy, the words that the page and the product each write down for themselves, and the
// program as it is started by hand.
func TestBrowser(t *testing.T) {
	e := openSandbox(t, findBrowser(t))

	e.words()
	e.dana()
	e.deciders()
	e.work()
	e.end()
	e.noTrouble()
	e.paint()
}

// words holds the page's list of commands and shortcuts, which it keeps for itself, against the app's manifest.
func (e *eyes) words() {
	e.t.Helper()
	var commands, shortcuts []string
	app := manifest.App()
	for _, c := range app.Features.Commands {
		commands = append(commands, c.Command)
	}
	for _, s := range app.Features.Shortcuts {
		if s.Type == "global" {
			shortcuts = append(shortcuts, "shortcut-"+s.CallbackID+" "+s.Name)
		}
	}
	for _, c := range []struct {
		what, has string
		want      []string
	}{
		{"commands", `[...new Set(JSON.parse(document.querySelector(".commands").textContent).map(c => c.Line.split(" ")[0]))]`, commands},
		{"shortcuts", `all('[data-testid^="shortcut-"]').map(el => el.dataset.testid + " " + el.querySelector(".name").innerText)`, shortcuts},
	} {
		got, err := evaluate[[]string](e, c.has)
		if err != nil {
			e.fail("the page's %s: %v", c.what, err)
		}
		if diff := cmp.Diff(c.want, got, cmpopts.SortSlices(strings.Compare)); diff != "" {
			e.t.Errorf("the manifest's %s and the page's (-manifest +page):\n%s", c.what, diff)
		}
	}
}

// dana asks. What is wrong with the ticket is said in the form, and what she typed stays there.
func (e *eyes) dana() {
	const reason = "Logins time out for <everybody> since 01:40 & the on-call does not answer"
	e.be("dana", "channel-platform-support")
	e.keys("composer", "/breakglass")
	e.click("send")
	e.choose("field-Scenario", "EC2")
	e.choose("field-Account", "prod-wealth")
	e.choose("field-Region", "us-east-1") // comes when the account is known, and moves what stands below it
	e.search("field-Duration", "1h", "1 hour")
	e.keys("field-Reason", reason)
	e.keys("field-Ticket", "ops one")
	e.click("submit")
	e.sees("error-Ticket", "OPS")
	for field, want := range map[string]string{"field-Reason": reason, "field-Ticket": "ops one", "field-Duration": "1 hour"} {
		e.holds("what was typed in "+field, fmt.Sprintf(`at(%q)?.value.includes(%q)`, field, want))
	}
	e.keys("field-Ticket", "OPS-1")
	e.click("submit")
	e.gone("modal")
	e.sees("message", "prod-wealth", reason)
}

// deciders are the one who has no say, and the one who has.
func (e *eyes) deciders() {
	e.be("oscar", "channel-platform-support")
	e.click("button-Approve")
	e.click("confirm-ok") // prod-wealth is sensitive
	e.sees("message[data-ephemeral]", "Your word does not count", "manager")
	e.be("lee", "channel-dm")
	e.sees("message", "Dana Ruiz", "prod-wealth")
	e.click("button-Approve")
	e.click("confirm-ok") // prod-wealth is sensitive
	e.holds("the buttons are gone", `!at("button-Approve")`)
}

// work is what Dana does with it: one thing that the permission set allows, and one that it does not.
func (e *eyes) work() {
	const set = "prod-wealth-Forge-Prod-BreakGlass-EC2"
	e.be("dana", "channel-dm")
	e.sees("message", "aws", "prod-wealth")
	e.click("tab-access")
	e.click("signin-" + set)
	e.click("act-list-buckets")
	e.sees("tried[data-allowed=true]", "s3:ListBuckets")
	e.click("act-stop-instance")
	e.sees("tried[data-allowed=true]", "ec2:StopInstances")
	e.click("act-create-user")
	e.sees("tried[data-allowed=false]", "iam:CreateUser", "AccessDenied")
}

// end is what time does.
func (e *eyes) end() {
	e.click("skip-1h")
	e.gone("access-prod-wealth-Forge-Prod-BreakGlass-EC2")
	e.sees("access", "Nothing.")
	e.be("dana", "channel-platform-support")
	e.click("replies")
	e.sees("thread-message", "Access has ended", "Identity Center no longer lists it") // the settling time counts from here
	e.click("skip-30m")
	e.sees("thread-message", "What was done", "iam:CreateUser", "AccessDenied", "ec2:StopInstances")
	e.holds("all five steps of the walk are ticked off", `all('[data-testid^="walk-"][data-done="true"]').length === 5`)
}

// noTrouble checks what a person does not see: the page drew every block it was given, and the browser had nothing to complain of, such as an
// exception, a request that failed or a violation of the Content-Security-Policy.
func (e *eyes) noTrouble() {
	e.t.Helper()
	e.gone("unsupported")
	if said := e.console.String(); said != "" {
		e.fail("the browser's console has:\n%s", said)
	}
}

// paint writes the README's picture, where it was asked for: the end of the story, in its thread and on the AWS side.
func (e *eyes) paint() {
	e.t.Helper()
	if *picture == "" {
		return
	}
	e.click("walk-dismiss")
	e.holds("the last notice went away", `document.getElementById("toast").hidden`)
	e.holds("nothing has the focus and the thread is at its end", `(() => {
		document.activeElement?.blur();
		const thread = at("thread").querySelector(".scroll");
		thread.scrollTop = thread.scrollHeight;
		return true;
	})()`)
	err := chromedp.Do(e.ctx, chromedp.MouseEvent(chromedp.MouseMoved, 700, 16))
	if err != nil {
		e.fail("move the mouse away: %v", err)
	}
	shot, err := chromedp.Run(e.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		e.fail("the picture: %v", err)
	}
	if err := os.WriteFile(*picture, shot, 0o644); err != nil {
		e.t.Fatal(err)
	}
}
