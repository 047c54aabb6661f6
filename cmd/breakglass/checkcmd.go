package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/slack-go/slack"
	"github.com/spf13/cobra"

	"breakglass/bot"
	"breakglass/deploy/manifest"
	"breakglass/handlers"
	"breakglass/store"
	"breakglass/workflows/aws"
	"breakglass/workflows/policy"
)

func checkCommand() *cobra.Command {
	var asJSON, proves, tier3 bool
	var on canary
	c := &cobra.Command{
		Use:   "check",
		Short: "Ask Slack and AWS for all that the policy will need",
		Long: `Ask Slack and AWS whether everything the policy and the environment name is there: each row says what was looked at, what was found, what is needed and
what to do about it: the policy and Slack, who is who, what ends access, and what the evidence needs (CloudTrail, the key that signs, the archive, mail). Of the
ends it makes a schedule far in the future and removes it again; nothing else is changed. The exit code is 0 when every row is well, 1 when one is not.

With --prove it also tries the ends in AWS itself, which takes a few minutes and gives nobody access: a schedule must take a permission set from an empty
group, and a guard must end the session of a role that may do nothing. What was seen is dated in the store, and check says when.`,
		Args: exactly(0, ""),
		RunE: func(c *cobra.Command, _ []string) error {
			if tier3 {
				return usagef("--tier3 is not built yet")
			}
			env, err := readEnvironment()
			if err != nil {
				return err
			}
			if err := env.needed(); err != nil {
				return err
			}
			pol, _, err := readPolicy(env.Policy)
			if err != nil {
				return err
			}
			told := func(aws.Row) {}
			if isTerminal(c.ErrOrStderr()) {
				told = func(r aws.Row) { fmt.Fprintf(c.ErrOrStderr(), "\r\033[Kchecked %s", printable(r.What)) }
			}
			rows, err := checkAll(c.Context(), env, pol, told)
			if isTerminal(c.ErrOrStderr()) {
				fmt.Fprint(c.ErrOrStderr(), "\r\033[K")
			}
			if err != nil {
				return err
			}
			if proves {
				seen, err := prove(c.Context(), c.ErrOrStderr(), env, pol, on)
				if err != nil {
					return err
				}
				rows = append(rows, seen...)
			} else {
				rows = append(rows, proofs(c.Context(), env)...)
			}
			return showRows(c.OutOrStdout(), rows, asJSON)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().BoolVar(&proves, "prove", false, "also try the ends in AWS: a schedule on an empty group, a guard on a powerless role")
	c.Flags().StringVar(&on.group, "canary", "grp-breakglass-canary", "the empty group that --prove gives a permission set to")
	c.Flags().StringVar(&on.account, "canary-account", "", "the account, by its name in the policy, in which --prove tries (default: the first that has a permission set)")
	c.Flags().BoolVar(&tier3, "tier3", false, "also check what Tier 3 needs (not built yet)")
	return c
}

func showRows(w io.Writer, rows []aws.Row, asJSON bool) error {
	bad := slices.ContainsFunc(rows, func(r aws.Row) bool { return !r.OK })
	if asJSON {
		if err := printJSON(w, struct {
			OK   bool      `json:"ok"`
			Rows []aws.Row `json:"rows"`
		}{!bad, rows}); err != nil {
			return err
		}
	} else {
		t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
		fmt.Fprintln(t, "\tWHAT\tFOUND\tNEEDED\tREMEDY")
		for _, r := range rows {
			mark := "ok"
			switch {
			case !r.OK:
				mark = "NO"
			case r.Remedy != "":
				mark = "!"
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", mark, printable(r.What), printable(r.Found), printable(r.Needed), printable(r.Remedy))
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	if bad {
		return errQuiet
	}
	return nil
}

// checkAll is every row: the policy, the ends, Slack, AWS.
func checkAll(ctx context.Context, env environment, pol *policy.Policy, told func(aws.Row)) ([]aws.Row, error) {
	conn, err := connect(ctx, env, pol)
	if err != nil {
		return nil, err
	}
	rows := checkPolicy(pol)
	for _, r := range rows {
		told(r)
	}
	slackRows := checkSlack(ctx, env, pol, conn)
	for _, r := range slackRows {
		told(r)
	}
	rows = append(rows, slackRows...)
	n := needs(pol)
	rows = append(rows, conn.Check(ctx, n, told)...)
	rows = append(rows, conn.CheckEnds(ctx, n.Accounts, guardRows(conn, env, pol), told)...)
	return append(rows, checkEvidence(ctx, env, pol, conn, told)...), nil
}

// checkEvidence asks for what a report is made from, signed with, kept in and sent by.
func checkEvidence(ctx context.Context, env environment, pol *policy.Policy, conn *aws.Connection, told func(aws.Row)) (rows []aws.Row) {
	add := func(more ...aws.Row) {
		for _, r := range more {
			told(r)
		}
		rows = append(rows, more...)
	}
	add(trailOf(conn, pol).Ready(ctx)...)
	add(signingRow(ctx, env, conn))
	if archive, err := conn.Archive(env.archiveAt(pol)); err != nil {
		add(aws.Row{What: "archive", Found: err.Error(), Needed: "a place that nobody can rewrite", Remedy: "mend report.archive in the policy, or BREAKGLASS_ARCHIVE"})
	} else {
		add(archive.Ready(ctx)...)
	}
	if mailer, err := conn.Mailer(env.Mail, pol.Report.From); err != nil {
		add(aws.Row{What: "mail", Found: err.Error(), Needed: "a way to send reports", Remedy: "mend BREAKGLASS_MAIL, or report.from in the policy"})
	} else {
		add(mailer.Ready(ctx, recipients(pol))...)
	}
	add(trackerRow(ctx, env, pol, conn)...)
	return rows
}

// trailOf is CloudTrail where the policy has it read.
func trailOf(conn *aws.Connection, pol *policy.Policy) *aws.Trail {
	return conn.TrailFrom(pol.Trail.LogGroup, pol.Trail.Table, pol.Trail.Workgroup)
}

// recipients are the addresses in the policy that mail goes to.
func recipients(pol *policy.Policy) []string {
	all := slices.Clone(pol.Report.Email)
	for _, s := range pol.Scenarios {
		for _, who := range s.Notify {
			all = append(all, pol.People[who].Emails...)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// connect is AWS as the bot itself would use it.
func connect(ctx context.Context, env environment, pol *policy.Policy) (*aws.Connection, error) {
	return aws.Connect(ctx, aws.Config{
		Region: pol.IdentityCenter.Region, InstanceARN: pol.IdentityCenter.InstanceARN, MemberRole: env.MemberRole, OwnerRole: env.OwnerRole,
		Guard: env.Guard, DeadManRole: env.DeadmanRole, Now: theClock(),
	})
}

func checkPolicy(pol *policy.Policy) []aws.Row {
	rows := []aws.Row{{What: "policy", Found: fmt.Sprintf("%d scenarios, hash %.12s", len(pol.Scenarios), pol.Hash), OK: true}}
	for _, s := range pol.Scenarios {
		if what := pol.Unbuilt(s); what != "" {
			rows = append(rows, aws.Row{What: "scenario " + s.Name, Found: "asks for " + what, Needed: "what this version does",
				Remedy: "none yet: it is refused at the form as not offered", OK: true})
		}
	}
	return append(rows, aws.Row{What: "end: the bot", Found: "stands while it runs", OK: true})
}

// needs is what the policy names of AWS, each once.
func needs(pol *policy.Policy) aws.Needs {
	n := aws.Needs{Groups: pol.Groups(), Elsewhere: pol.Trail.Source != policy.TrailLookup}
	for _, a := range pol.Accounts {
		n.Accounts = append(n.Accounts, store.Account{Name: a.Name, ID: a.ID, Regions: a.Regions, Sensitive: a.Sensitive})
	}
	for _, s := range pol.Scenarios {
		if s.Grant.Kind == policy.GrantPermissionSet && !slices.Contains(n.Sets, s.Grant.Name) {
			n.Sets = append(n.Sets, s.Grant.Name)
		}
	}
	for _, set := range pol.People {
		for _, e := range set.Emails {
			if !slices.Contains(n.Emails, e) {
				n.Emails = append(n.Emails, e)
			}
		}
	}
	slices.Sort(n.Emails)
	return n
}

// checkSlack asks Slack about the tokens, the scopes and the channels.
func checkSlack(ctx context.Context, env environment, pol *policy.Policy, conn *aws.Connection) []aws.Row {
	var tokens [2]string
	for i, ref := range []string{env.BotToken, env.AppToken} {
		value, err := aws.Secret(ctx, conn, ref)
		if err != nil {
			return []aws.Row{{What: "Slack tokens", Found: err.Error(), Needed: "both tokens", Remedy: "mend SLACK_BOT_TOKEN or SLACK_APP_TOKEN"}}
		}
		tokens[i] = value
	}
	cfg := bot.Config{BotToken: tokens[0], AppToken: tokens[1], APIURL: env.SlackURL}
	api := bot.NewAPI(cfg)
	who, err := api.AuthTestContext(ctx)
	if err != nil {
		return []aws.Row{{What: "Slack bot token", Found: err.Error(), Needed: "a token of this app's bot (xoxb-)",
			Remedy: "install the app to the workspace and copy its Bot User OAuth Token into SLACK_BOT_TOKEN"}}
	}
	rows := []aws.Row{{What: "Slack bot token", Found: fmt.Sprintf("%s in %s", who.User, who.Team), OK: true}}
	rows = append(rows, scopeRow(who.Header["X-Oauth-Scopes"]))
	if _, _, err := api.StartSocketModeContext(ctx); err != nil {
		rows = append(rows, aws.Row{What: "Slack app-level token", Found: err.Error(), Needed: "connections:write, Socket Mode on",
			Remedy: "make an app-level token with connections:write and set SLACK_APP_TOKEN; switch Socket Mode on"})
	} else {
		rows = append(rows, aws.Row{What: "Slack app-level token", Found: "opens a connection", OK: true})
	}
	for role, name := range map[string]string{handlers.RoleRequests: pol.Channels.Requests, handlers.RoleIncidents: pol.Channels.Incidents} {
		rows = append(rows, channelRow(ctx, api, role, name))
	}
	slices.SortStableFunc(rows[len(rows)-2:], func(a, b aws.Row) int { return strings.Compare(a.What, b.What) })
	return rows
}

func scopeRow(header []string) aws.Row {
	row := aws.Row{What: "Slack scopes", Needed: "those of breakglass manifest"}
	have := map[string]bool{}
	for _, line := range header {
		for s := range strings.SplitSeq(line, ",") {
			have[strings.TrimSpace(s)] = true
		}
	}
	var missing []string
	for _, s := range manifest.Scopes() {
		if !have[s.Name] {
			missing = append(missing, s.Name+" ("+s.Reason+")")
		}
	}
	switch {
	case len(header) == 0:
		row.Found, row.Remedy = "Slack did not say", "compare them by hand with breakglass manifest"
		row.OK = true
	case len(missing) > 0:
		row.Found = "missing " + strings.Join(missing, ", ")
		row.Remedy = "update the app from breakglass manifest and install it again"
	default:
		row.Found, row.OK = fmt.Sprintf("all %d", len(manifest.Scopes())), true
	}
	return row
}

func channelRow(ctx context.Context, api *slack.Client, role, name string) aws.Row {
	row := aws.Row{What: "channel " + role, Needed: name + ", with the bot in it, not shared with others"}
	ch, err := handlers.FindChannel(ctx, api, name)
	switch {
	case err != nil:
		row.Found, row.Remedy = err.Error(), "make the channel, and invite the bot: /invite @breakglass"
	case ch.IsExtShared:
		row.Found, row.Remedy = "shared with another organisation", "name another channel in the policy: people of the other organisation could press its buttons"
	case !ch.IsMember:
		row.Found, row.Remedy = "the bot is not in it", "invite it: /invite @breakglass"
	default:
		row.Found, row.OK = "#"+ch.Name+" ("+ch.ID+")", true
	}
	return row
}
