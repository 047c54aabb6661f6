package main

import (
	"github.com/spf13/cobra"

	"breakglass/deploy/manifest"
	"breakglass/deploy/sandbox/slacktwin"
)

func sandboxCommand() *cobra.Command { return &cobra.Command{Use: "sandbox"} }

// slackConfig is a workspace in which the app is installed as its manifest says.
func slackConfig(base string) slacktwin.Config {
	cfg := slacktwin.Config{BaseURL: base}
	for _, s := range manifest.Scopes() {
		cfg.Scopes = append(cfg.Scopes, s.Name)
	}
	for _, e := range manifest.Events() {
		cfg.Events = append(cfg.Events, e.Name)
	}
	return cfg
}
