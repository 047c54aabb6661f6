package main

import (
	"fmt"
	"path/filepath"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func storeCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "store",
		Short: "Look after the store",
		Args:  exactly(0, "backup FILE"),
		RunE: func(c *cobra.Command, _ []string) error {
			return usagef("usage: %s backup FILE", c.CommandPath())
		},
	}
	c.AddCommand(&cobra.Command{
		Use:   "backup FILE",
		Short: "Copy the store while it is in use, and read the copy",
		Long:  "Write a consistent copy of the store to FILE, also while the bot runs. The copy is read and checked before it takes the place of an older FILE.",
		Args:  exactly(1, "FILE"),
		RunE: func(c *cobra.Command, args []string) error {
			path, err := filepath.Abs(args[0]) // the bot may run in another folder
			if err != nil {
				return err
			}
			return carryOut(c, command{Do: "backup", Path: path})
		},
	})
	return c
}

// released is set by the linker in a release build: -X main.released=v1.2.3
var released string

// version is the release, or what the Go tool knows of the commit.
func version() string {
	if released != "" {
		return released
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			v = "commit " + s.Value[:12]
		}
	}
	if v == "" {
		v = "(devel)"
	}
	return v
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  exactly(0, ""),
		RunE: func(c *cobra.Command, _ []string) error {
			goVersion := "unknown Go"
			if info, ok := debug.ReadBuildInfo(); ok {
				goVersion = info.GoVersion
			}
			_, err := fmt.Fprintf(c.OutOrStdout(), "breakglass %s (%s)\n", version(), goVersion)
			return err
		},
	}
}
