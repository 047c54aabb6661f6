package handlers

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestTypes checks the golden messages and views against the types that Slack publishes for JavaScript (@slack/types): unknown fields, wrong
// enums and missing ones show there. Lengths do not; the workspace twin refuses those.
func TestTypes(t *testing.T) {
	const folder = "../deploy/sandbox/slacktwin/testdata/bolt"
	skip := t.Skip
	if strings.Contains(os.Getenv("BREAKGLASS_MUST_RUN"), "bolt") {
		skip = t.Fatal
	}
	node, err := exec.LookPath("node")
	if err != nil {
		skip("skipped: node is not here")
	}
	if _, err := os.Stat(filepath.Join(folder, "node_modules", "@slack", "types")); err != nil {
		skip("skipped: run npm ci in " + folder + " first")
	}
	golden, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(node, "types.mjs", golden)
	cmd.Dir = folder
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("the types of @slack/types do not hold: %v\n%s", err, out)
	}
	t.Logf("%s", out)
}
