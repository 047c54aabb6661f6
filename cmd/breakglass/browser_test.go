package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// picture is where TestBrowser puts the README's picture. A relative path starts at this folder:
//
//	go test ./cmd/breakglass -run TestBrowser -count=1 -picture ../../deploy/sandbox/sandbox.png
var picture = flag.String("picture", "", "write the README's picture to this file, from TestBrowser")

// patience is how long a person waits for one thing to appear. It is long because the machine may be busy with other tests; what is there
// is seen at once.
const patience = 15 * time.Second

// TestBrowser clicks through the sandbox's page as the README tells a newcomer to. It holds together what no other test sees at once: the
// script of the page, its Content-Security-Policy, the words that the page and the product each write down for themselves, and the program as it is started by hand.
func TestBrowser(t *testing.T) {
	e := openSandbox(t, findBrowser(t))

	e.dana()
	e.deciders()
	e.work()
	e.end()
	e.noTrouble()
}

// dana asks. What is wrong with the ticket is said in the form, and what she typed stays there.
func (e *eyes) dana() {
	const reason = "api is down <script>alert(1)</script> & nobody else is awake"
	e.click("person-dana")
	e.click("channel-platform-support")
	e.keys("composer", "/breakglass")
	e.click("send")
	e.choose("field-Scenario", "EC2")
	e.search("field-Account", "wealth", "prod-wealth")
	e.choose("field-Duration", "1 h")
	e.keys("field-Reason", reason)
	e.keys("field-Ticket", "ops one")
	e.click("submit")
	e.sees("error-Ticket", "OPS")
	for field, want := range map[string]string{"field-Reason": reason, "field-Ticket": "ops one", "field-Account": "prod-wealth"} {
		e.holds("what was typed in "+field, fmt.Sprintf(`at(%q)?.value.includes(%q)`, field, want))
	}
	e.keys("field-Ticket", "OPS-1")
	e.click("submit")
	e.gone("modal")
	e.sees("message", "prod-wealth", reason)
}

// deciders are the one who has no say, and the one who has.
func (e *eyes) deciders() {
	e.click("person-oscar")
	e.click("channel-platform-support")
	e.click("button-Approve")
	e.sees("message[data-ephemeral]", "Oscar")
	e.click("person-lee")
	e.click("channel-dm")
	e.sees("message", "Dana Ruiz", "prod-wealth")
	e.click("button-Approve")
	e.holds("the buttons are gone", `!at("button-Approve")`)
}

// work is what Dana does with it: one thing that the permission set allows, and one that it does not.
func (e *eyes) work() {
	const set = "prod-wealth-Forge-Prod-BreakGlass-EC2"
	e.click("person-dana")
	e.click("channel-dm")
	e.sees("message", "aws", "prod-wealth")
	e.click("tab-access")
	e.click("signin-" + set)
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
	e.click("skip-30m")
	e.click("channel-platform-support")
	e.click("replies")
	e.sees("thread-message", "iam:CreateUser")
}
