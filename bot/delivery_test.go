package bot

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/slack-go/slack"
)

func TestKeysOfDeliveries(t *testing.T) {
	keyOf := func(env map[string]any) string {
		js, _ := json.Marshal(env["payload"])
		var in slack.InteractionCallback
		if err := json.Unmarshal(js, &in); err != nil {
			t.Fatal(err)
		}
		return clickKey(in, env["envelope_id"].(string))
	}
	with := func(env map[string]any, change func(p map[string]any)) map[string]any {
		change(env["payload"].(map[string]any))
		return env
	}
	shortcut := func(id, trigger string) map[string]any {
		return envelopeOf(id, "interactive", map[string]any{"type": "shortcut", "callback_id": "breakglass_request",
			"trigger_id": trigger, "user": map[string]any{"id": "U1"}})
	}
	legacy := func(id, ts string) map[string]any {
		return envelopeOf(id, "interactive", map[string]any{"type": "interactive_message", "callback_id": "deployment_1",
			"action_ts": ts, "message_ts": "9.9", "channel": map[string]any{"id": "C1"}, "user": map[string]any{"id": "U1"},
			"actions": []any{map[string]any{"name": "go", "type": "button", "value": "v"}}})
	}
	for name, tc := range map[string]struct {
		a, b map[string]any
		same bool
	}{
		"a click delivered twice":    {click("1", "U1", "1.1"), click("2", "U1", "1.1"), true},
		"a second click":             {click("1", "U1", "1.1"), click("2", "U1", "1.2"), false},
		"another person's click":     {click("1", "U1", "1.1"), click("2", "U2", "1.1"), false},
		"another button":             {click("1", "U1", "1.1"), with(click("2", "U1", "1.1"), func(p map[string]any) { p["actions"].([]any)[0].(map[string]any)["action_id"] = "deny" }), false},
		"a form delivered twice":     {submission("1", true), submission("2", true), true},
		"a form corrected":           {submission("1", true), with(submission("2", true), func(p map[string]any) { p["view"].(map[string]any)["state"] = nil }), false},
		"another form":               {submission("1", true), with(submission("2", true), func(p map[string]any) { p["view"].(map[string]any)["id"] = "V2" }), false},
		"a shortcut delivered twice": {shortcut("1", trigger), shortcut("2", trigger), true},
		"a shortcut again":           {shortcut("1", trigger), shortcut("2", "x"), false},
		"an old button twice":        {legacy("1", "1.1"), legacy("2", "1.1"), true},
		"an old button again":        {legacy("1", "1.1"), legacy("2", "1.2"), false},
	} {
		a, b := keyOf(tc.a), keyOf(tc.b)
		if (a == b) != tc.same {
			t.Errorf("%s: %q and %q", name, a, b)
		}
		if strings.Contains(a, "SECRET") {
			t.Errorf("%s: the key %q holds a secret", name, a)
		}
	}
}
