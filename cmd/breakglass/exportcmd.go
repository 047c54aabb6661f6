package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"breakglass/store"
)

// export is what audit export was asked.
type export struct {
	since, session, user, format string
}

func exportCommand() *cobra.Command {
	var x export
	c := &cobra.Command{
		Use:   "export",
		Short: "Print the log, a line of JSON for each event",
		Long: `Print the log as JSON lines: exactly the lines that the archive has and the proofs are of. With --format ocsf each becomes an event of the Open Cybersecurity
Schema Framework 1.3 (User Access Management for what gives and takes access, Entity Management for everything about a request, Application Lifecycle for
starts and stops), for a SIEM. It asks the running bot, or reads the store where none runs.`,
		Example: `  breakglass audit export --since 24h --format ocsf
  breakglass audit export --session BG-1042
  breakglass audit export --user dana@forge.example`,
		ValidArgsFunction: cobra.NoFileCompletions,
		Args:              exactly(0, "[--since WHEN] [--session ID] [--user WHO] [--format json|ocsf]"),
		RunE:              func(c *cobra.Command, _ []string) error { return x.run(c.Context(), c.OutOrStdout()) },
	}
	c.Flags().StringVar(&x.since, "since", "", "from then on: a date (2026-11-01), a time (RFC 3339), or how long ago (48h)")
	c.Flags().StringVar(&x.session, "session", "", "of one request: BG-1042")
	c.Flags().StringVar(&x.user, "user", "", "by or about one person: e-mail, user name, or Slack or Identity Center id")
	c.Flags().StringVar(&x.format, "format", "json", "json or ocsf")
	_ = c.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"json", "ocsf"}, cobra.ShellCompDirectiveNoFileComp))
	return c
}

func (x export) run(ctx context.Context, out io.Writer) error {
	if x.format != "json" && x.format != "ocsf" {
		return usagef("--format is %q; use json or ocsf", x.format)
	}
	since, err := readSince(x.since, theClock()())
	if err != nil {
		return err
	}
	id := store.ID("")
	if x.session != "" {
		if id, err = store.ParseID(x.session); err != nil {
			return usagef("--session: %w", err)
		}
	}
	w := bufio.NewWriter(out)
	about := map[store.ID]bool{} // requests of that person
	for line, err := range liveLines(ctx) {
		if err != nil {
			return err
		}
		var e store.Event
		if err := json.Unmarshal(line, &e); err != nil {
			return fmt.Errorf("a line of the log cannot be read: %w", err)
		}
		by := x.user == "" || isBy(e.Actor, x.user)
		if by && e.Kind == store.EventSubmitted {
			about[e.Request] = true
		}
		if e.At.Before(since) || id != "" && e.Request != id || !by && !about[e.Request] {
			continue
		}
		if x.format == "ocsf" {
			if line, err = json.Marshal(ocsf(e)); err != nil {
				return err
			}
		}
		if _, err := fmt.Fprintf(w, "%s\n", line); err != nil {
			return err
		}
	}
	return w.Flush()
}

func isBy(a store.Actor, who string) bool {
	for _, s := range []string{a.Name, a.Person.Email, a.Person.UserName, a.Person.UserID, a.Person.SlackID} {
		if s != "" && strings.EqualFold(s, who) {
			return true
		}
	}
	return false
}

// readSince reads a date, a time, or how long ago.
func readSince(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	for _, form := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(form, s); err == nil {
			return t, nil
		}
	}
	if d, err := time.ParseDuration(s); err == nil && d > 0 {
		return now.Add(-d), nil
	}
	return time.Time{}, usagef("--since is %q; use a date (2026-11-01), a time (2026-11-01T02:00:00Z) or how long ago (48h)", s)
}

// Classes and activities of OCSF 1.3 (schema.ocsf.io) that the log's lines become.
const (
	ocsfEntity    = 3004 // Entity Management
	ocsfAccess    = 3005 // User Access Management
	ocsfLifecycle = 6002 // Application Lifecycle

	ocsfCreate, ocsfUpdate = 1, 3 // of an entity
	ocsfAssign, ocsfRevoke = 1, 2 // of access
	ocsfStart, ocsfStop    = 3, 4 // of an application
)

type ocsfEvent struct {
	ClassUID    int               `json:"class_uid"`
	CategoryUID int               `json:"category_uid"`
	ActivityID  int               `json:"activity_id"`
	TypeUID     int               `json:"type_uid"`
	SeverityID  int               `json:"severity_id"`
	StatusID    int               `json:"status_id"`
	Time        int64             `json:"time"` // milliseconds
	Message     string            `json:"message"`
	Metadata    map[string]any    `json:"metadata"`
	Actor       map[string]any    `json:"actor"`
	Entity      map[string]any    `json:"entity,omitempty"`
	User        map[string]any    `json:"user,omitempty"`
	Privileges  []string          `json:"privileges,omitempty"`
	App         map[string]any    `json:"app,omitempty"`
	Unmapped    map[string]string `json:"unmapped,omitempty"`
}

// ocsf is a line of the log as an event of OCSF. What has no place there is under unmapped.
func ocsf(e store.Event) ocsfEvent {
	class, activity, severity, status := ocsfEntity, ocsfUpdate, 1, 1
	switch {
	case e.Kind == store.EventSubmitted:
		activity = ocsfCreate
	case e.Kind == store.EventStarted:
		class, activity = ocsfLifecycle, ocsfStart
	case e.Kind == store.EventStopped:
		class, activity = ocsfLifecycle, ocsfStop
	case e.Kind == store.EventOutcome && e.Data["effect"] == "assign" && e.Data["verified"] != "":
		class, activity = ocsfAccess, ocsfAssign
	case e.Kind == store.EventOutcome && e.Data["effect"] == "unassign" && (e.Data["verified"] != "" || e.Data["forced"] != ""):
		class, activity = ocsfAccess, ocsfRevoke
	case e.Kind == store.EventRefused, e.Kind == store.EventFault:
		severity, status = 3, 2
	case e.Kind == store.EventFound, e.Kind == store.EventLockdown:
		severity = 4
	}
	x := ocsfEvent{
		ClassUID: class, CategoryUID: class / 1000, ActivityID: activity, TypeUID: class*100 + activity, SeverityID: severity, StatusID: status, Time: e.At.UnixMilli(),
		Message:  strings.TrimSpace(fmt.Sprintf("%s %s %s", e.Request, e.Kind, e.To)),
		Metadata: map[string]any{"version": "1.3.0", "product": map[string]string{"name": "Breakglass", "vendor_name": "Breakglass"}, "sequence": e.Seq, "uid": fmt.Sprint(e.Seq)},
		Actor:    map[string]any{"user": ocsfUser(e.Actor)}, Unmapped: e.Data,
	}
	switch class {
	case ocsfEntity:
		x.Entity = map[string]any{"name": string(e.Request), "type": "Request", "uid": string(e.Request)}
	case ocsfAccess:
		x.User, x.Privileges = map[string]any{"uid": e.Data["user"]}, []string{e.Data["granted"]}
		x.Entity = map[string]any{"name": string(e.Request), "type": "Request", "uid": string(e.Request)}
	case ocsfLifecycle:
		x.App = map[string]any{"name": "Breakglass", "version": e.Data["version"]}
	}
	return x
}

func ocsfUser(a store.Actor) map[string]any {
	u := map[string]any{"name": a.Label()}
	if a.Person.UserID != "" {
		u["uid"], u["email_addr"] = a.Person.UserID, a.Person.Email
	}
	return u
}
