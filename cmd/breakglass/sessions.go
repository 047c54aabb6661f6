package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"breakglass/store"
	"breakglass/workflows"
	"breakglass/workflows/policy"
)

// tell sends a command to the running bot, or carries it out on the store itself where none runs. In that case nothing is done to AWS yet: the
// next start of the bot does what is recorded, before anything else.
func tell(ctx context.Context, c command) (a answer, running bool, err error) {
	env, err := readEnvironment()
	if err != nil {
		return a, false, err
	}
	path, err := env.storePath()
	if err != nil {
		return a, false, err
	}
	a, running, err = ask(ctx, path, c)
	if err == nil && !running {
		a, err = alone(env, path, c)
	}
	switch {
	case err != nil:
		return a, running, err
	case a.Refused != "":
		return a, running, usagef("%s", a.Refused)
	case a.Error != "":
		return a, running, errors.New(a.Error)
	}
	return a, running, nil
}

func alone(env environment, path string, c command) (answer, error) {
	now := theClock()
	db, err := openStore(path, now())
	if err != nil {
		return answer{}, err
	}
	defer db.Close()
	pol := &policy.Policy{}
	if c.Do == "force-close" || c.Do == "report" { // the time of the report, and of a month, is the policy's
		if pol, _, err = readPolicy(env.Policy); err != nil {
			return answer{}, err
		}
	}
	e := workflows.New(workflows.Config{DB: db, Policy: func() *policy.Policy { return pol }, Now: now})
	return do(e, db, officer(whoami(), e.Moment()), c), nil
}

func sessionsCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "sessions",
		Short: "Show who is in, who waits, and what is being ended",
		Long:  "Show every request that is not at its end. It asks the running bot, or reads the store where none runs.",
		Args:  exactly(0, ""),
		RunE: func(c *cobra.Command, _ []string) error {
			a, _, err := tell(c.Context(), command{Do: "sessions"})
			if err != nil {
				return err
			}
			if asJSON {
				if a.Sessions == nil {
					a.Sessions = []store.Request{}
				}
				return printJSON(c.OutOrStdout(), a.Sessions)
			}
			return printSessions(c.OutOrStdout(), a, theClock()())
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

const dateAndTime = "2006-01-02 15:04 MST"

func printSessions(w io.Writer, a answer, now time.Time) error {
	if l := a.Lockdown; l != nil {
		why := ""
		if l.Why != "" {
			why = " (" + printable(l.Why) + ")"
		}
		fmt.Fprintf(w, "LOCKED DOWN by %s since %s%s: nothing is granted until it is lifted.\n", printable(l.By.Label()), l.At.Format(dateAndTime), why)
	}
	if len(a.Sessions) == 0 {
		_, err := fmt.Fprintln(w, "Nobody is in, and nobody waits.")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "ID\tSTATE\tWHO\tACCOUNT\tGRANT\tSCENARIO\tUNTIL\tTROUBLE")
	for _, r := range a.Sessions {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.ID, r.State, printable(r.Requester.Label()), orDash(r.Account.Name), orDash(printable(r.Granted())),
			r.Scenario, endsWhen(r, now), orDash(printable(trouble(r))))
	}
	return t.Flush()
}

// endsWhen is when a session ends, and whether it is to last longer.
func endsWhen(r store.Request, now time.Time) string {
	at := r.ExpiresAt.Format(dateAndTime)
	switch left := r.ExpiresAt.Sub(now); {
	case r.ExpiresAt.IsZero():
		return "-"
	case !r.EndedAt.IsZero():
		return "ended " + r.EndedAt.Format(dateAndTime)
	case r.State == store.Revoking:
		return "ending since " + r.End.At.Format(dateAndTime)
	case left <= 0:
		return at + " (over)"
	default:
		at += " (" + policy.Span(left.Round(time.Minute)) + " left"
	}
	_, x := r.Extending()
	switch {
	case x == nil:
	case x.State == store.ExtensionApproved:
		at += ", " + policy.Span(x.By) + " more approved, its ends are being made"
	default:
		at += ", " + policy.Span(x.By) + " more asked for"
	}
	return at + ")"
}

// trouble is what an operator should know of a session: what fails, and which end does not stand although it should.
func trouble(r store.Request) string {
	var all []string
	if r.Ends.Unguarded && r.State.MayHaveAccess() {
		all = append(all, "unguarded: the guard policy is not written yet")
	}
	if r.Work.Error != "" {
		all = append(all, r.Work.Error)
	}
	return strings.Join(all, "; ")
}

// printable keeps what others wrote from steering a terminal.
func printable(s string) string {
	out := []rune(s)
	for i, r := range out {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			out[i] = '?'
		}
	}
	return string(out)
}

func endCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "end ID",
		Short: "End a session now, when Slack is not there",
		Long: `End a session: its access is taken away. The running bot does it at once; where none runs it is recorded, and the next start does it first.
The actor in the log is you, the operating system's user.`,
		Args: exactly(1, "ID"),
		RunE: func(c *cobra.Command, args []string) error {
			id, err := store.ParseID(args[0])
			if err != nil {
				return usageError{err}
			}
			return carryOut(c, command{Do: "end", ID: id})
		},
	}
}

func forceCloseCommand() *cobra.Command {
	var verified string
	c := &cobra.Command{
		Use:   "force-close ID --verified REASON",
		Short: "Close a revocation that AWS will never answer, on your word",
		Long: `Close a session whose revocation cannot be proved, as when its AWS account no longer exists. Use it only after you looked and found
that no access is left; say in --verified how. It is in the log under your name, and the incidents channel is told.`,
		Example: `  breakglass force-close BG-1042 --verified "account 111122223333 was closed on 2026-11-20, case 4711"`,
		Args:    exactly(1, "ID --verified REASON"),
		RunE: func(c *cobra.Command, args []string) error {
			id, err := store.ParseID(args[0])
			if err != nil {
				return usageError{err}
			}
			if verified == "" {
				return usagef("--verified is needed: say how you verified that no access is left")
			}
			return carryOut(c, command{Do: "force-close", ID: id, Verified: verified})
		},
	}
	c.Flags().StringVar(&verified, "verified", "", "how you verified that no access is left")
	return c
}

func lockdownCommand() *cobra.Command {
	var why string
	c := &cobra.Command{
		Use:   "lockdown [lift]",
		Short: "End every session and refuse new ones, or lift that",
		Long: `End every session at once and grant nothing until it is lifted, as /access lockdown does, when Slack is not there. The running bot does it at once; where
none runs it is recorded, and the next start does it first. The actor in the log is you, the operating system's user; both channels are told.`,
		Example: `  breakglass lockdown --why "leaked laptop, case 4711"
  breakglass lockdown lift`,
		ValidArgs: []string{"lift"},
		Args:      cobra.MatchAll(cobra.MaximumNArgs(1), cobra.OnlyValidArgs),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 {
				return carryOut(c, command{Do: "lift", Why: why})
			}
			return carryOut(c, command{Do: "lockdown", Why: why})
		},
	}
	c.Flags().StringVar(&why, "why", "", "why, for the log and for everybody who is told")
	return c
}

func carryOut(c *cobra.Command, what command) error {
	a, running, err := tell(c.Context(), what)
	if a.Said != "" {
		fmt.Fprintln(c.OutOrStdout(), a.Said)
	}
	if err != nil {
		return err
	}
	if !running && (what.Do == "end" || what.Do == "lockdown") {
		fmt.Fprintln(c.ErrOrStderr(), "No bot runs on this store: nothing has been done to AWS yet. Start it (breakglass serve), or take access away by hand.")
	}
	return nil
}

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
