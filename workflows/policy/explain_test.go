package policy

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// TestExplain compares what people read with testdata, where it can be read as they would.
func TestExplain(t *testing.T) {
	p := example(t)
	stand := Ends{Guard: true, Schedules: true, SSM: true}
	dev := somebody("dev", "developers")
	dev.ManagerID = "boss"
	boss, lead := somebody("boss"), somebody("lead", "platform-leads")
	silent := dev
	silent.Groups = nil
	for name, e := range map[string]interface{ WriteText(io.Writer) error }{
		"policy":      p.Explain(stand),
		"policy-bot":  p.Explain(Ends{}),
		"developer":   p.ExplainPerson(dev),
		"outsider":    p.ExplainPerson(somebody("outsider")),
		"silent":      p.ExplainPerson(silent),
		"may":         p.ExplainRequest("ec2", "prod-wealth", time.Hour, dev, []Person{boss, lead, dev, somebody("x")}, stand),
		"may-alone":   p.ExplainRequest("ec2", "prod-wealth", time.Hour, somebody("dev", "developers"), nil, stand),
		"may-at-once": p.ExplainRequest("emergency", "prod-cash", 30*time.Minute, somebody("on call", "sre-oncall"), nil, Ends{}),
		"too-long":    p.ExplainRequest("ec2", "prod-wealth", 9*time.Hour, dev, nil, stand),
		"group":       p.ExplainRequest("vpn-prod-cash", "", time.Hour, dev, nil, stand),
		"role":        p.ExplainRequest("admin-role", "prod-wealth", time.Hour, somebody("oncall", "sre-oncall"), nil, stand),
		"role-alone":  p.ExplainRequest("admin-role", "prod-wealth", time.Hour, somebody("oncall", "sre-oncall"), nil, Ends{}),
		"unbuilt":     p.ExplainRequest("offline", "prod-wealth", 0, somebody("oncall", "sre-oncall"), nil, stand),
		"standing":    p.ExplainPerson(somebody("dev", "developers", "wealth-prod")),
		"oncall":      p.ExplainPerson(somebody("bob", "sre-oncall")),
		"rich":        rich(t).Explain(stand),
		"rich-timed":  rich(t).Explain(Ends{Guard: true}),
		"rich-person": rich(t).ExplainPerson(somebody("dev", "developers")),
		"rich-stand":  rich(t).ExplainRequest("rds", "prod-wealth", time.Hour, dev, nil, stand),
		"rich-may":    rich(t).ExplainRequest("ec2", "prod-wealth", time.Hour, dev, nil, stand),
		"unknown":     p.ExplainRequest("ec\x1b[2J", "", 0, dev, nil, stand),
	} {
		var b bytes.Buffer
		if err := e.WriteText(&b); err != nil {
			t.Fatal(err)
		}
		golden := "testdata/explain-" + name + ".txt"
		if *update {
			if err := os.WriteFile(golden, b.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), b.String()); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if bytes.ContainsRune(b.Bytes(), 0x1b) || !utf8.Valid(b.Bytes()) {
			t.Errorf("%s: control characters", name)
		}
		if _, err := json.Marshal(e); err != nil {
			t.Error(err)
		}
	}
}

func TestExplainJSON(t *testing.T) {
	p := example(t)
	got, err := json.Marshal(p.ExplainRequest("ec2", "prod-wealth", 9*time.Hour, somebody("dev", "developers"), nil, Ends{}))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"person":"User dev","scenario":"ec2","account":"prod-wealth","duration":"9h","verdict":{"ok":false,"code":"duration",` +
		`"why":"9h is too long: EC2: logs, processes, env vars over SSM lasts 2h at most. Ask for 1m to 2h."}}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
