package main

import (
	"github.com/spf13/cobra"

	"breakglass/deploy/manifest"
)

func manifestCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "manifest",
		Short: "Print the Slack app's manifest, with the reason of every scope",
		Long: `Print the manifest to paste at api.slack.com/apps, Create New App, From a manifest. It asks for every scope that later versions need as well, each with
its reason, so that the app is approved once. The app-level token (connections:write) is made by hand afterwards.`,
		Args: exactly(0, ""),
		RunE: func(c *cobra.Command, _ []string) error {
			app := manifest.App()
			render := app.YAML
			if asJSON {
				render = app.JSON
			}
			out, err := render()
			if err != nil {
				return err
			}
			_, err = c.OutOrStdout().Write(out)
			return err
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}
