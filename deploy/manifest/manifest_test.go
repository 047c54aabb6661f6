package manifest

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"github.com/slack-go/slack"
	"github.com/slack-go/slack/slackevents"
)

// The limits of slackapi/manifest-schema, version 1.
func TestWithinSlacksLimits(t *testing.T) {
	m := App()
	within := func(what, s string, least, most int) {
		t.Helper()
		if n := utf8.RuneCountInString(s); n < least || n > most {
			t.Errorf("%s has %d characters, allowed are %d to %d: %q", what, n, least, most, s)
		}
	}
	within("name", m.Display.Name, 1, 35)
	within("description", m.Display.Description, 1, 140)
	within("long description", m.Display.LongDescription, 175, 4000)
	within("bot name", m.Features.BotUser.Name, 1, 80)
	if !regexp.MustCompile(`^#[0-9a-fA-F]{6}$`).MatchString(m.Display.BackgroundColor) {
		t.Errorf("background colour %q", m.Display.BackgroundColor)
	}
	for _, s := range m.Features.Shortcuts {
		within("shortcut", s.Name, 1, 24)
		within("callback id", s.CallbackID, 1, 255)
		within("description of "+s.Name, s.Description, 1, 150)
		if s.Type != "global" && s.Type != "message" {
			t.Errorf("shortcut %s has type %q", s.Name, s.Type)
		}
	}
	if n := len(m.Features.Shortcuts); n < 1 || n > 10 {
		t.Errorf("%d shortcuts, allowed are 1 to 10", n)
	}
	for _, c := range m.Features.Commands {
		within("command", c.Command, 2, 32)
		within("description of "+c.Command, c.Description, 1, 2000)
		within("hint of "+c.Command, c.Hint, 1, 1000)
		if !strings.HasPrefix(c.Command, "/") || !c.Escape {
			t.Errorf("command %+v must begin with a slash and be escaped", c)
		}
	}
	for _, name := range slices.Concat(m.OAuth.Scopes.Bot, m.Settings.Subscriptions.Bot) {
		within("scope or event", name, 1, 50)
	}
}

func TestScopesAndEvents(t *testing.T) {
	var scopes []string
	for _, s := range Scopes() {
		if slices.Contains(scopes, s.Name) || s.Reason == "" {
			t.Errorf("scope %s stands twice or has no reason", s.Name)
		}
		scopes = append(scopes, s.Name)
	}
	for _, s := range scopes {
		if strings.HasSuffix(s, ":history") || s == "chat:write.customize" || s == "chat:write.public" {
			t.Errorf("scope %s is more than the bot needs", s)
		}
	}
	var events []string
	for _, e := range Events() {
		if slices.Contains(events, e.Name) || e.Reason == "" {
			t.Errorf("event %s stands twice or has no reason", e.Name)
		}
		events = append(events, e.Name)
		if e.Scope != "" && !slices.Contains(scopes, e.Scope) {
			t.Errorf("event %s needs the scope %s, which is not asked for", e.Name, e.Scope)
		}
		if _, ok := slackevents.EventsAPIInnerEventMapping[slackevents.EventsAPIType(e.Name)]; !ok {
			t.Errorf("slack-go cannot decode %s", e.Name)
		}
	}
}

// slack-go's own type of a manifest, read strictly, knows every field, and gives the same back.
func TestJSONIsAManifest(t *testing.T) {
	js, err := App().JSON()
	if err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(bytes.NewReader(js))
	dec.DisallowUnknownFields()
	var theirs slack.Manifest
	if err := dec.Decode(&theirs); err != nil {
		t.Fatal(err)
	}
	if !theirs.Settings.SocketModeEnabled || !theirs.Settings.Interactivity.IsEnabled || theirs.Settings.OrgDeployEnabled {
		t.Errorf("settings: %+v", theirs.Settings)
	}
	if d := cmp.Diff(App().OAuth.Scopes.Bot, theirs.OAuthConfig.Scopes.Bot); d != "" {
		t.Error(d)
	}
}

func TestYAMLSaysTheSameAndWhy(t *testing.T) {
	js, err := App().JSON()
	if err != nil {
		t.Fatal(err)
	}
	out, err := App().YAML()
	if err != nil {
		t.Fatal(err)
	}
	back, err := yaml.YAMLToJSON(out)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var a, b any
	if err := json.Unmarshal(js, &a); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(back, &b); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(a, b); d != "" {
		t.Errorf("YAML and JSON differ: %s", d)
	}
	for _, s := range Scopes() {
		if !strings.Contains(string(out), "- "+s.Name+" # "+s.Reason+"\n") {
			t.Errorf("the reason of %s is not in the YAML", s.Name)
		}
	}
	for _, e := range Events() {
		if !strings.Contains(string(out), "- "+e.Name+" # "+e.Reason+"\n") {
			t.Errorf("the reason of %s is not in the YAML", e.Name)
		}
	}
	if !strings.HasPrefix(string(out), "_metadata:") {
		t.Errorf("the YAML begins with %.40q", out)
	}
}
