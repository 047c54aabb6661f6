package main

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"reflect"
	"strings"
	"text/tabwriter"

	"github.com/kelseyhightower/envconfig"
	"github.com/robfig/cron/v3"
	"github.com/spf13/cobra"
)

// environment is all that the program reads from its environment besides the AWS SDK's own variables.
type environment struct {
	BotToken    string `envconfig:"SLACK_BOT_TOKEN" secret:"true" need:"yes" desc:"Slack bot token, xoxb-…; or ssm:/name, secretsmanager:name, file:/path"`
	AppToken    string `envconfig:"SLACK_APP_TOKEN" secret:"true" need:"yes" desc:"Slack app-level token, xapp-… with connections:write; or a reference like the above"`
	SlackURL    string `envconfig:"SLACK_API_URL" desc:"another Web API, for tests; Slack's when empty"`
	Policy      string `envconfig:"BREAKGLASS_POLICY" default:"policy.yaml" desc:"the policy file"`
	Store       string `envconfig:"BREAKGLASS_STORE" default:"bolt:breakglass.db" desc:"bolt:PATH (dynamodb:TABLE is not built yet)"`
	Archive     string `envconfig:"BREAKGLASS_ARCHIVE" desc:"s3://BUCKET/PREFIX or file:PATH; from the policy, else file:archive"`
	Key         string `envconfig:"BREAKGLASS_KEY" secret:"true" desc:"key that signs checkpoints: file:PATH, secretsmanager:NAME or kms:KEY; a file beside the store when empty"`
	Mail        string `envconfig:"BREAKGLASS_MAIL" default:"ses" desc:"ses, smtp://host:port or none"`
	Tracker     string `envconfig:"BREAKGLASS_TRACKER" secret:"true" desc:"account in the tracker that the policy names: EMAIL:TOKEN (Jira Cloud), USER:PASSWORD (ServiceNow) or a token; or a reference like the above"`
	Events      string `envconfig:"BREAKGLASS_EVENTS" desc:"URL of the SQS queue that EventBridge fills (not built yet)"`
	Listen      string `envconfig:"BREAKGLASS_LISTEN" default:"127.0.0.1:9464" desc:"address of /livez, /readyz and /metrics; empty: none"`
	LogLevel    string `envconfig:"BREAKGLASS_LOG" default:"info" desc:"debug, info, warn or error; JSON unless on a terminal"`
	Sweep       string `envconfig:"BREAKGLASS_SWEEP" default:"@every 5s" desc:"cron spec of the sweep for due work"`
	MemberRole  string `envconfig:"BREAKGLASS_MEMBER_ROLE" default:"breakglass-bot-member" desc:"role assumed in each account; empty: the bot's own credentials"`
	OwnerRole   string `envconfig:"BREAKGLASS_OWNER_ROLE" desc:"role in the account that owns Identity Center, for portal events; empty: the bot's own credentials"`
	DeadmanRole string `envconfig:"BREAKGLASS_DEADMAN_ROLE" desc:"ARN of the role the dead man's schedules act by; empty: no schedules, said loudly"`
	Guard       string `envconfig:"BREAKGLASS_GUARD" default:"BreakGlassGuard" desc:"prefix of the guard policies; empty: none, said loudly"`
}

// readEnvironment reads it. What is missing is said where it is needed: most commands need little of it.
func readEnvironment() (environment, error) {
	var env environment
	if err := envconfig.Process("", &env); err != nil {
		return env, usagef("the environment: %w", err)
	}
	return env, nil
}

// needed lists required variables that are empty.
func (e environment) needed() error {
	var missing []string
	t, v := reflect.TypeFor[environment](), reflect.ValueOf(e)
	for i := range t.NumField() {
		if t.Field(i).Tag.Get("need") == "yes" && v.Field(i).String() == "" {
			missing = append(missing, t.Field(i).Tag.Get("envconfig"))
		}
	}
	if len(missing) > 0 {
		return usagef("%s must be set; breakglass config says what to", strings.Join(missing, " and "))
	}
	return nil
}

// faults are those that show before anything is opened or called.
func (e environment) faults() error {
	if err := e.needed(); err != nil {
		return err
	}
	if _, _, err := net.SplitHostPort(e.Listen); err != nil && e.Listen != "" {
		return usagef("BREAKGLASS_LISTEN: %w", err)
	}
	if _, err := cron.ParseStandard(e.Sweep); err != nil && e.Sweep != "" {
		return usagef("BREAKGLASS_SWEEP: %w", err)
	}
	return nil
}

// storePath is where the bbolt store is.
func (e environment) storePath() (string, error) {
	path, ok := strings.CutPrefix(e.Store, "bolt:")
	switch {
	case ok && path != "":
		return path, nil
	case strings.HasPrefix(e.Store, "dynamodb:"):
		return "", usagef("BREAKGLASS_STORE: dynamodb: is not built yet; use bolt:PATH")
	}
	return "", usagef("BREAKGLASS_STORE is %q; use bolt:PATH", e.Store)
}

func (e environment) level() (slog.Level, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(e.LogLevel)); err != nil {
		return l, usagef("BREAKGLASS_LOG is %q; use debug, info, warn or error", e.LogLevel)
	}
	return l, nil
}

// logger writes lines for people on a terminal and JSON for machines.
func (e environment) logger(w io.Writer) (*slog.Logger, error) {
	level, err := e.level()
	if err != nil {
		return nil, err
	}
	opts := &slog.HandlerOptions{Level: level}
	if isTerminal(w) {
		return slog.New(slog.NewTextHandler(w, opts)), nil
	}
	return slog.New(slog.NewJSONHandler(w, opts)), nil
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice != 0
}

// variable is a row of the table that `config` prints.
type variable struct {
	Name     string `json:"name"`
	Value    string `json:"value"`
	Default  string `json:"default,omitempty"`
	Required bool   `json:"required,omitempty"`
	What     string `json:"what"`
}

func (e environment) table() []variable {
	var rows []variable
	t, v := reflect.TypeFor[environment](), reflect.ValueOf(e)
	for i := range t.NumField() {
		tag := t.Field(i).Tag
		value := v.Field(i).String()
		if tag.Get("secret") == "true" && value != "" && !isReference(value) {
			value = notShown
		}
		if u, err := url.Parse(value); err == nil && u.User != nil { // the password of a mail server
			value = u.Redacted()
		}
		rows = append(rows, variable{
			Name: tag.Get("envconfig"), Value: value, Default: tag.Get("default"),
			Required: tag.Get("need") == "yes", What: tag.Get("desc"),
		})
	}
	return rows
}

// notShown stands for a secret.
const notShown = "(set, not shown)"

// isReference says whether a value names a place instead of holding the secret.
func isReference(v string) bool {
	for _, p := range []string{"ssm:", "secretsmanager:", "file:", "kms:"} {
		if strings.HasPrefix(v, p) {
			return true
		}
	}
	return false
}

func configCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "config",
		Short: "Print what the environment says, what each variable is for, and the public key",
		Long: `Print every variable with the value in force, and the public key that an auditor verifies the log with. The running bot, or the store where none runs, is
asked which keys its log names. Secrets are not shown.

Where BREAKGLASS_KEY names a file that is not there, a key is made in it:

  BREAKGLASS_KEY=file:signing.key breakglass config`,
		Args: exactly(0, ""),
		RunE: func(c *cobra.Command, _ []string) error {
			env, err := readEnvironment()
			if err != nil {
				return err
			}
			key := readSigning(c.Context(), env)
			if asJSON {
				return printJSON(c.OutOrStdout(), struct {
					Variables []variable `json:"variables"`
					Signing   signing    `json:"signing"`
				}{env.table(), key})
			}
			w := tabwriter.NewWriter(c.OutOrStdout(), 0, 4, 2, ' ', 0)
			fmt.Fprintln(w, "VARIABLE\tVALUE\tDEFAULT\tWHAT")
			for _, r := range env.table() {
				value := r.Value
				if value == "" && r.Required {
					value = "(missing)"
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", r.Name, orDash(value), orDash(r.Default), r.What)
			}
			if err := w.Flush(); err != nil {
				return err
			}
			fmt.Fprintln(c.OutOrStdout(), "\nAWS is configured by the SDK's own variables (AWS_PROFILE, AWS_REGION, AWS_ENDPOINT_URL and the like).")
			key.print(c.OutOrStdout())
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
