// Package manifest is the Slack app as Slack wants it described: name, commands, shortcuts, scopes, events, each with its
// reason.
//
// It must not know the bot. The words the two share (commands, callback ids) are the product's contract with people and are
// written down on both sides; whole-program tests hold them together.
package manifest

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/goccy/go-yaml"
)

// What people type and press. Slack sends these words with each command and shortcut.
const (
	CommandRequest      = "/breakglass"
	CommandAccess       = "/access"
	ShortcutRequest     = "breakglass_request"      // global
	ShortcutFromMessage = "breakglass_from_message" // on a message
)

// A Manifest is Slack's app manifest (docs.slack.dev/reference/app-manifest), as far as this app uses it. The limits are those of the
// JSON schema in slackapi/manifest-schema, which is stricter than the page.
type Manifest struct {
	Metadata Metadata `json:"_metadata"`
	Display  Display  `json:"display_information"`
	Features Features `json:"features"`
	OAuth    OAuth    `json:"oauth_config"`
	Settings Settings `json:"settings"`
}

// Metadata is the version of the manifest's schema.
type Metadata struct {
	Major int `json:"major_version"`
	Minor int `json:"minor_version"`
}

// Display is what people see in the app's profile.
type Display struct {
	Name            string `json:"name"`             // at most 35 characters
	Description     string `json:"description"`      // 140
	LongDescription string `json:"long_description"` // 175 to 4000
	BackgroundColor string `json:"background_color"`
}

// Features are the ways into the app.
type Features struct {
	Home      Home       `json:"app_home"`
	BotUser   BotUser    `json:"bot_user"`
	Shortcuts []Shortcut `json:"shortcuts"`
	Commands  []Command  `json:"slash_commands"`
}

// Home is the App Home. Without its messages tab no direct message reaches anyone (messages_tab_disabled); it is read-only
// because the bot reads no messages.
type Home struct {
	Home     bool `json:"home_tab_enabled"`
	Messages bool `json:"messages_tab_enabled"`
	ReadOnly bool `json:"messages_tab_read_only_enabled"`
}

// BotUser is the name messages come from.
type BotUser struct {
	Name         string `json:"display_name"` // at most 80 characters
	AlwaysOnline bool   `json:"always_online"`
}

// Shortcut is an entry in Slack's menus.
type Shortcut struct {
	Name        string `json:"name"` // at most 24 characters, which the documentation does not say and Slack enforces
	Type        string `json:"type"` // global or message
	CallbackID  string `json:"callback_id"`
	Description string `json:"description"` // 150
}

// Command is a slash command. With Escape, "@alice" arrives as her id and not as a name that somebody else may take tomorrow.
type Command struct {
	Command     string `json:"command"`     // at most 32 characters
	Description string `json:"description"` // 2000
	Hint        string `json:"usage_hint"`  // 1000
	Escape      bool   `json:"should_escape"`
}

// OAuth holds the scopes of the bot token.
type OAuth struct {
	Scopes BotScopes `json:"scopes"`
}

// BotScopes are scopes of the bot token alone: nobody is asked for a token of their own.
type BotScopes struct {
	Bot []string `json:"bot"`
}

// Settings are the app's switches.
type Settings struct {
	Subscriptions Subscriptions `json:"event_subscriptions"`
	Interactivity Interactivity `json:"interactivity"`
	OrgDeploy     bool          `json:"org_deploy_enabled"`
	SocketMode    bool          `json:"socket_mode_enabled"`
	TokenRotation bool          `json:"token_rotation_enabled"`
}

// Subscriptions are the events Slack sends.
type Subscriptions struct {
	Bot []string `json:"bot_events"`
}

// Interactivity must be on for buttons and forms, over Socket Mode too.
type Interactivity struct {
	Enabled bool `json:"is_enabled"`
}

// App is the manifest of this app. Each call makes a new one, so that a caller may change it.
func App() Manifest {
	m := Manifest{
		Metadata: Metadata{Major: 1, Minor: 1},
		Display: Display{
			Name:        "Break Glass",
			Description: "Time-boxed, approved and audited emergency access to AWS",
			LongDescription: "Ask for emergency access to an AWS account with /breakglass and have it approved by the right people. " +
				"Every session expires, is revoked on time and is summarised in the request's thread. " +
				"See who has access right now with /access status.",
			BackgroundColor: "#7A1F1F",
		},
		Features: Features{
			Home:    Home{Home: true, Messages: true, ReadOnly: true},
			BotUser: BotUser{Name: "breakglass", AlwaysOnline: true},
			Shortcuts: []Shortcut{
				{"Request break-glass", "global", ShortcutRequest, "Ask for time-boxed emergency access to AWS"},
				{"Break glass for this", "message", ShortcutFromMessage, "Start a request with this message as its context"},
			},
			Commands: []Command{
				{CommandRequest, "Ask for emergency access to AWS", "[help | SCENARIO [ACCOUNT [DURATION]]]", true},
				{CommandAccess, "Show, end or extend emergency access",
					"status [@user | account] | end [ID] | extend [ID] [DURATION] | ticket ID KEY | history | lockdown [lift] | help", true},
			},
		},
		Settings: Settings{
			Interactivity: Interactivity{Enabled: true},
			SocketMode:    true,  // no public endpoint
			OrgDeploy:     false, // one workspace: users of others are refused by their team
			TokenRotation: false, // tokens come by reference and are replaced by hand
		},
	}
	for _, s := range Scopes() {
		m.OAuth.Scopes.Bot = append(m.OAuth.Scopes.Bot, s.Name)
	}
	for _, e := range Events() {
		m.Settings.Subscriptions.Bot = append(m.Settings.Subscriptions.Bot, e.Name)
	}
	return m
}

// JSON renders the manifest for apps.manifest.create and .validate.
func (m Manifest) JSON() ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(m); err != nil {
		return nil, fmt.Errorf("render the manifest: %w", err)
	}
	return buf.Bytes(), nil
}

// YAML renders the manifest for "Create an app from a manifest", with the reason of each scope and event behind it.
func (m Manifest) YAML() ([]byte, error) {
	why := yaml.CommentMap{
		"$.features.app_home":      {yaml.HeadComment(" Without the messages tab, direct messages of the bot fail.")},
		"$.settings.interactivity": {yaml.HeadComment(" Buttons and forms need it, over Socket Mode too.")},
		"$.settings.socket_mode_enabled": {yaml.HeadComment(
			" No public endpoint. The app-level token is made by hand, on the page Basic Information,",
			" with the one scope "+AppTokenScope().Name+".")},
	}
	reasons := map[string]string{}
	for _, s := range Scopes() {
		reasons[s.Name] = s.Reason
	}
	for _, e := range Events() {
		reasons[e.Name] = e.Reason
	}
	explain := func(path string, names []string) {
		for i, name := range names {
			if reason, ok := reasons[name]; ok {
				why[fmt.Sprintf("%s[%d]", path, i)] = []*yaml.Comment{yaml.LineComment(" " + reason)}
			}
		}
	}
	explain("$.oauth_config.scopes.bot", m.OAuth.Scopes.Bot)
	explain("$.settings.event_subscriptions.bot_events", m.Settings.Subscriptions.Bot)
	out, err := yaml.MarshalWithOptions(m, yaml.WithComment(why), yaml.IndentSequence(true))
	if err != nil {
		return nil, fmt.Errorf("render the manifest: %w", err)
	}
	return out, nil
}
