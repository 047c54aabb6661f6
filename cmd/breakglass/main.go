// Command breakglass gives engineers emergency access to AWS from Slack, and takes it away again.
//
// This package is the program: the environment, the commands, and the wiring of the rooms. It decides nothing itself: what may
// happen is in workflows, what is true is in store, what people read is in handlers.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// Exit codes: scripts and supervisors act by them.
const (
	exitOK     = 0
	exitFailed = 1 // it did not work; the message says what to do
	exitUsage  = 2 // the command's words, the environment or the policy are wrong: trying again will not help
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// usageError is a fault of whoever typed: the command's words, the environment, the policy.
type usageError struct{ err error }

func (u usageError) Error() string { return u.err.Error() }
func (u usageError) Unwrap() error { return u.err }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// errQuiet ends the program with a failure whose reason was printed already.
var errQuiet = errors.New("already said")

func run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	err := root.ExecuteContext(ctx)
	var usage usageError
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errQuiet):
		return exitFailed
	case errors.As(err, &usage):
		fmt.Fprintln(errOut, "breakglass:", err)
		return exitUsage
	}
	fmt.Fprintln(errOut, "breakglass:", err)
	return exitFailed
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "breakglass",
		Short: "Emergency access to AWS, asked for in Slack, that ends on time",
		Long: `Breakglass is a Slack bot that gives engineers emergency access to AWS accounts and takes it away again.

Try it with nothing but this program:   breakglass sandbox
Set it up:                              breakglass config, manifest, policy check, check
Run it:                                 breakglass serve --init   (the first time), breakglass serve`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("%q is no command; breakglass --help lists them", args[0])
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usagef("%w (see %s --help)", err, c.CommandPath())
	})
	root.AddCommand(
		serveCommand(), sandboxCommand(), checkCommand(), policyCommand(),
		sessionsCommand(), endCommand(), lockdownCommand(), forceCloseCommand(),
		reportCommand(), auditCommand(),
		configCommand(), manifestCommand(), storeCommand(), versionCommand(),
	)
	return root
}

// exactly is cobra.ExactArgs with our exit code and a hint.
func exactly(n int, usage string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) != n {
			return usagef("usage: %s %s", c.CommandPath(), usage)
		}
		return nil
	}
}
