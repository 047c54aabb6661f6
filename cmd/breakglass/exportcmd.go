package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
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
		Long: `Print the log as JSON lines: exactly the lines that the archive has and the proofs are of. It asks the running bot, or reads the store where none runs.

With --format ocsf each line becomes an event of the Open Cybersecurity Schema Framework, version 1.3.0, for a SIEM:
  3005  User Access Management: access was given or taken away, or could not be given; user, privileges and resource say whose, which and where
  3004  Entity Management: every other line; entity is the request, or what else it is about (policy, key, guard, channel, lockdown, person)
  6002  Application Lifecycle: the bot started or stopped
An approval and a denial have their own activity_name; of a denial status_id is 2. metadata.correlation_uid is the request. What has no place there is
under unmapped.

Where no line matches, it says so on the error output and how much log there is; a request that does not exist is an error.`,
		Example: `  breakglass audit export --since 24h --format ocsf
  breakglass audit export --session BG-1042
  breakglass audit export --user dana@forge.example`,
		ValidArgsFunction: cobra.NoFileCompletions,
		Args:              exactly(0, "[--since WHEN] [--session ID] [--user WHO] [--format json|ocsf]"),
		RunE: func(c *cobra.Command, _ []string) error {
			return x.run(liveLines(c.Context()), theClock()(), c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	c.Flags().StringVar(&x.since, "since", "", "from then on: a date (2026-11-01), a time (RFC 3339), or how long ago (48h)")
	c.Flags().StringVar(&x.session, "session", "", "of one request: BG-1042")
	c.Flags().StringVar(&x.user, "user", "", "by or about one person: e-mail, user name, or Slack or Identity Center id")
	c.Flags().StringVar(&x.format, "format", "json", "json or ocsf")
	_ = c.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"json", "ocsf"}, cobra.ShellCompDirectiveNoFileComp))
	return c
}

func (x export) run(lines iter.Seq2[[]byte, error], now time.Time, out, errOut io.Writer) error {
	if x.format != "json" && x.format != "ocsf" {
		return usagef("--format is %q; use json or ocsf", x.format)
	}
	since, err := readSince(x.since, now)
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
	read, printed, err := x.print(lines, since, id, w)
	if err = errors.Join(err, w.Flush()); err != nil {
		return err
	}
	if id != "" && !read.session {
		return usagef("there is no request %s: no line matches; %s", id, read)
	}
	if printed == 0 { // silence would look like nothing happened
		fmt.Fprintf(errOut, "no line matches %s; %s\n", x.filters(), read)
	}
	return nil
}

// logRead is what was read of the log, whatever was printed.
type logRead struct {
	lines    int
	from, to time.Time
	session  bool // the one that was asked for is there
}

func (l logRead) String() string {
	if l.lines == 0 {
		return "the log has no line yet"
	}
	return fmt.Sprintf("the log has %d lines from %s to %s", l.lines, l.from.UTC().Format(dateAndTime), l.to.UTC().Format(dateAndTime))
}

// filters are those that were given, as they were typed.
func (x export) filters() string {
	var out []string
	for _, f := range [][2]string{{"--since", x.since}, {"--session", x.session}, {"--user", x.user}} {
		if f[1] != "" {
			out = append(out, f[0]+" "+printable(f[1]))
		}
	}
	return cmp.Or(strings.Join(out, " "), "at all")
}

func (x export) print(lines iter.Seq2[[]byte, error], since time.Time, id store.ID, w io.Writer) (read logRead, printed int, err error) {
	grants := newGrants()
	about := map[store.ID]bool{} // requests of that person
	for line, err := range lines {
		if err != nil {
			return read, printed, err
		}
		var e store.Event
		if err := json.Unmarshal(line, &e); err != nil {
			return read, printed, fmt.Errorf("a line of the log cannot be read: %w", err)
		}
		grants.learn(e)
		if read.lines++; read.lines == 1 {
			read.from = e.At
		}
		read.to, read.session = e.At, read.session || e.Request == id
		by := x.user == "" || isBy(e.Actor, x.user)
		if by && e.Kind == store.EventSubmitted {
			about[e.Request] = true
		}
		if e.At.Before(since) || id != "" && e.Request != id || !by && !about[e.Request] {
			continue
		}
		if x.format == "ocsf" {
			if line, err = json.Marshal(grants.event(e)); err != nil {
				return read, printed, err
			}
		}
		if _, err := fmt.Fprintf(w, "%s\n", line); err != nil {
			return read, printed, err
		}
		printed++
	}
	return read, printed, nil
}

func isBy(a store.Actor, who string) bool {
	for _, s := range []string{a.Name, a.Person.Email, a.Person.UserName, a.Person.UserID, a.Person.SlackID} {
		if s != "" && strings.EqualFold(s, who) {
			return true
		}
	}
	return false
}

// readSince reads a date, a time, or how long ago. What has not come yet matches nothing, now or ever: it is a slip.
func readSince(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	for _, form := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(form, s); err == nil {
			if t.After(now) {
				return time.Time{}, usagef("--since is %s, in the future: it is %s now", s, now.UTC().Format(dateAndTime))
			}
			return t, nil
		}
	}
	if d, err := time.ParseDuration(s); err == nil && d > 0 {
		return now.Add(-d), nil
	}
	return time.Time{}, usagef("--since is %q; use a date (2026-11-01), a time (2026-11-01T02:00:00Z) or how long ago (48h)", s)
}
