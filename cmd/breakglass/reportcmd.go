package main

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"time"

	"github.com/spf13/cobra"

	"breakglass/store"
	"breakglass/workflows"
	"breakglass/workflows/report"
)

// isMonth is how a month is written.
var isMonth = regexp.MustCompile(`^\d{4}-\d{2}$`)

func reportCommand() *cobra.Command {
	var asJSON, asHTML bool
	c := &cobra.Command{
		Use:   "report SESSION|MONTH",
		Short: "Print the report of a session, or the review of a month",
		Long: `Print who was let in by whom, why, and what they did (report BG-1042), or how often the glass was broken in a month (report 2026-10). It is drawn from
what the store knows now; what was drawn at the end of the session is in the archive. The review of a month that is not over says until when it goes.
It asks the running bot, or reads the store where none runs.`,
		Example: `  breakglass report BG-1042
  breakglass report 2026-10 --html > october.html`,
		ValidArgsFunction: cobra.NoFileCompletions,
		Args:              exactly(1, "SESSION|MONTH"),
		RunE: func(c *cobra.Command, args []string) error {
			form := "text"
			switch {
			case asJSON && asHTML:
				return usagef("--json or --html, not both")
			case asJSON:
				form = "json"
			case asHTML:
				form = "html"
			}
			return printReport(c.Context(), c.OutOrStdout(), args[0], form)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().BoolVar(&asHTML, "html", false, "print a page")
	return c
}

func printReport(ctx context.Context, out io.Writer, of, form string) error {
	ask := command{Do: "report", Form: form}
	if isMonth.MatchString(of) {
		if _, err := time.Parse("2006-01", of); err != nil {
			return usagef("%q is no month: they look like 2026-10, with 01 for January to 12 for December", of)
		}
		ask.Month = of
	} else {
		id, err := store.ParseID(of)
		if err != nil {
			return usagef("%q is neither a session (BG-1042) nor a month (2026-10)", printable(of))
		}
		ask.ID = id
	}
	a, _, err := tell(ctx, ask)
	if err != nil {
		return err
	}
	_, err = io.WriteString(out, a.Report)
	return err
}

// drawn is what both kinds of report can be.
type drawn interface {
	Write(report.Place) (html, text string, err error)
	JSON() ([]byte, error)
}

// drawReport draws what a command asked for.
func drawReport(e *workflows.Engine, db *store.DB, c command, now time.Time) (string, error) {
	var d drawn
	if c.Month != "" {
		if err := e.Reviewable(c.Month, now); err != nil {
			return "", err
		}
		r, err := e.Review(c.Month, now)
		if err != nil {
			return "", err
		}
		d = r
	} else {
		r, err := db.Request(c.ID)
		if err != nil {
			return "", err
		}
		if d, err = e.Case(r, now); err != nil {
			return "", err
		}
	}
	if c.Form == "json" {
		b, err := d.JSON()
		return string(b), err
	}
	html, text, err := d.Write(report.Filed)
	switch c.Form {
	case "html":
		return html, err
	case "text":
		return text, err
	}
	return "", fmt.Errorf("a report is text, html or json, not %q", c.Form)
}
