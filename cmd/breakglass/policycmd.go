package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"breakglass/store"
	"breakglass/workflows/aws"
	"breakglass/workflows/policy"
)

// otherEnds are the ends besides the bot that the environment leaves switched on.
func otherEnds(env environment) policy.Ends {
	return policy.Ends{Guard: env.Guard != "", Schedules: env.DeadmanRole != "", SSM: true}
}

func policyCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "policy",
		Short: "Check and explain the policy file",
		Args:  exactly(0, "check|explain"),
		RunE: func(c *cobra.Command, _ []string) error {
			return usagef("usage: %s check|explain", c.CommandPath())
		},
	}
	c.AddCommand(policyCheckCommand(), policyExplainCommand())
	return c
}

func policyCheckCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "check [FILE]",
		Short: "Find every fault of the policy file, with line and column",
		Long:  "Read the policy as strictly as the bot does and print every fault at once. It asks nobody: breakglass check does that.",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usagef("usage: %s [FILE]", c.CommandPath())
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			path, err := policyPath(args)
			if err != nil {
				return err
			}
			data, err := os.ReadFile(path)
			if err != nil {
				return usagef("read the policy: %w. Name the file, or set BREAKGLASS_POLICY; deploy/policy.yaml of the source is one to start from", err)
			}
			p, err := policy.Parse(path, data)
			if asJSON {
				return faultsJSON(c.OutOrStdout(), p, err)
			}
			if err != nil {
				fmt.Fprintln(c.ErrOrStderr(), err)
				return errQuiet
			}
			fmt.Fprintf(c.OutOrStdout(), "%s: no faults. %d scenarios, %d accounts, hash %.12s.\n", path, len(p.Scenarios), len(p.Accounts), p.Hash)
			for _, s := range p.Scenarios {
				if what := p.Unbuilt(s); what != "" {
					fmt.Fprintf(c.OutOrStdout(), "  %s is not offered yet: it asks for %s.\n", s.Name, what)
				}
				for _, note := range p.Notes(s) {
					fmt.Fprintf(c.OutOrStdout(), "  %s: %s\n", s.Name, note)
				}
			}
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func faultsJSON(w io.Writer, p *policy.Policy, err error) error {
	var faults policy.Faults
	if err != nil && !errors.As(err, &faults) {
		return err
	}
	out := struct {
		OK     bool          `json:"ok"`
		Hash   string        `json:"hash,omitempty"`
		Faults policy.Faults `json:"faults"`
	}{OK: err == nil, Faults: append(policy.Faults{}, faults...)}
	if p != nil {
		out.Hash = p.Hash
	}
	if jerr := printJSON(w, out); jerr != nil {
		return jerr
	}
	if err != nil {
		return errQuiet
	}
	return nil
}

func policyPath(args []string) (string, error) {
	if len(args) == 1 {
		return args[0], nil
	}
	env, err := readEnvironment()
	return env.Policy, err
}

// question is what `policy explain` was asked.
type question struct {
	user, scenario, account string
	duration                time.Duration
	approvers, groups       []string
	asJSON                  bool
}

func policyExplainCommand() *cobra.Command {
	var q question
	c := &cobra.Command{
		Use:   "explain [SCENARIO ACCOUNT [DURATION]]",
		Short: "Say in sentences who may ask for what, and on whose word",
		Long: `Without --user, put the whole policy into words. With --user, say what that person may ask for; with a scenario and an account as well,
what would become of that request and who could approve it. People are looked up in Identity Center, unless --in says which groups they are in.`,
		Example: `  breakglass policy explain
  breakglass policy explain --user dana@forge.example
  breakglass policy explain ec2 prod-wealth 2h --user dana@forge.example --approver lee@forge.example`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 3 {
				return usagef("usage: %s", c.UseLine())
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if err := q.read(args); err != nil {
				return err
			}
			return q.answer(c.Context(), c.OutOrStdout())
		},
	}
	c.Flags().StringVar(&q.user, "user", "", "e-mail address in Identity Center of the person who asks")
	c.Flags().StringSliceVar(&q.approvers, "approver", nil, "e-mail address of somebody who would approve; may be repeated")
	c.Flags().StringSliceVar(&q.groups, "in", nil, "ask no directory: the person is in these groups")
	c.Flags().BoolVar(&q.asJSON, "json", false, "print JSON")
	return c
}

func (q *question) read(args []string) error {
	switch {
	case q.groups != nil && q.user == "":
		return usagef("--in says which groups a person is in: --user is needed as well")
	case q.groups != nil && len(q.approvers) > 0:
		return usagef("--approver is looked up in Identity Center, and --in says to ask nobody: use one of them")
	}
	if len(args) > 0 && q.user == "" {
		return usagef("--user is needed to explain a request: who asks?")
	}
	for i, a := range args {
		switch i {
		case 0:
			q.scenario = a
		case 1:
			q.account = a
		case 2:
			d, err := time.ParseDuration(a)
			if err != nil {
				return usagef("the duration %q: write it like 30m, 1h or 1h30m", a)
			}
			q.duration = d
		}
	}
	return nil
}

// explanation is any of the three answers.
type explanation interface{ WriteText(io.Writer) error }

func (q *question) answer(ctx context.Context, w io.Writer) error {
	env, err := readEnvironment()
	if err != nil {
		return err
	}
	p, _, err := readPolicy(env.Policy)
	if err != nil {
		return err
	}
	var e explanation = p.Explain(otherEnds(env))
	if q.user != "" {
		people, err := q.people(ctx, env, p)
		if err != nil {
			return err
		}
		e = p.ExplainPerson(people[0])
		if q.scenario != "" {
			if s, ok := p.Scenario(q.scenario); ok && q.duration == 0 {
				q.duration = p.DefaultDuration(s)
			}
			e = p.ExplainRequest(q.scenario, q.account, q.duration, people[0], people[1:], otherEnds(env))
		}
	}
	if q.asJSON {
		return printJSON(w, e)
	}
	return e.WriteText(w)
}

// people are the one who asks and those who would approve.
func (q *question) people(ctx context.Context, env environment, p *policy.Policy) ([]policy.Person, error) {
	if q.groups != nil {
		in := map[string]bool{}
		for _, g := range q.groups {
			in[g] = true
		}
		return []policy.Person{{UserID: q.user, UserName: q.user, Email: q.user, Enabled: true, Groups: in}}, nil
	}
	conn, err := aws.Connect(ctx, aws.Config{Region: p.IdentityCenter.Region, InstanceARN: p.IdentityCenter.InstanceARN})
	if err != nil {
		return nil, err
	}
	dir := conn.Directory()
	var out []policy.Person
	for _, email := range append([]string{q.user}, q.approvers...) {
		found, err := dir.Find(ctx, email, p.Groups())
		if errors.Is(err, store.ErrNobody) {
			return nil, usagef("%s: nobody in Identity Center has that e-mail address", email)
		}
		if err != nil {
			return nil, fmt.Errorf("look up %s: %w", email, err)
		}
		out = append(out, policy.Person{UserID: found.UserID, UserName: found.UserName, Email: found.Email, DisplayName: found.DisplayName,
			Enabled: found.Enabled, ManagerID: found.ManagerID, Groups: found.Groups})
	}
	return out, nil
}
