package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/note"

	"breakglass/store"
	"breakglass/store/ledger"
	"breakglass/workflows"
	"breakglass/workflows/aws"
)

func auditCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "audit",
		Short: "Prove the log and the archive, and export the log",
		Long: `Prove that nothing in the log or the archive was changed, left out or added later (verify), and print the log for other systems (export). verify needs no bot
and no store: the program, a copy of the archive and the public key are enough.`,
		Args: exactly(0, "verify | export"),
		RunE: func(c *cobra.Command, _ []string) error { return usagef("usage: %s verify | export", c.CommandPath()) },
	}
	c.AddCommand(verifyCommand(), exportCommand())
	return c
}

// verification is what audit verify was asked.
type verification struct {
	archive     string
	checkpoints []string
	keys        []string
	offline     bool
	asJSON      bool

	brought ledgerAnswer // what the store says of its archive
	at      string       // the archive that is read, as the store would call it
}

func verifyCommand() *cobra.Command {
	var v verification
	c := &cobra.Command{
		Use:   "verify",
		Short: "Prove that nothing in the archive or the log was changed, left out or added later",
		Long: `Recompute everything: the log line by line, every checkpoint over it, every session's folder with its manifest, files and proofs. Each thing that does not
hold is named with its object and the first line it concerns. The exit code is 0 when everything holds, 1 when something does not.

Where there is a store (or a running bot), its own log is compared with the archived one as well: a store restored from an older copy shows. On any other
machine --offline, or no store, leaves that out: the program, the archive or a copy of it, and the public key are enough.

What no checkpoint vouches for is believed in nothing, and said: a line that was added after the last one that was signed looks the same as one whose checkpoint was not
there yet when the copy was taken. Where it may be the second, take the copy again. A folder that the log says is on its way is no fault.

--checkpoint takes a checkpoint that stood somewhere nobody could change it, as in the message of the requests channel: the log must go on from it.
--key takes a public key, as breakglass config prints it, or a file with one on each line. Without it the keys that the store's own log names are
trusted, which proves nothing against whoever has the store.`,
		Example: `  breakglass audit verify
  breakglass audit verify --offline --archive file:COPY --key KEY
  breakglass audit verify --offline --archive s3://BUCKET/PREFIX --key KEY --checkpoint FILE`,
		ValidArgsFunction: cobra.NoFileCompletions,
		Args:              exactly(0, "[--archive URL] [--checkpoint FILE] [--key KEY]"),
		RunE:              func(c *cobra.Command, _ []string) error { return v.run(c.Context(), c.OutOrStdout(), c.ErrOrStderr()) },
	}
	c.Flags().StringVar(&v.archive, "archive", "", "s3://BUCKET/PREFIX or file:PATH; what serve uses when empty")
	c.Flags().StringArrayVar(&v.checkpoints, "checkpoint", nil, "a file with a witnessed checkpoint; may be said several times")
	c.Flags().StringArrayVar(&v.keys, "key", nil, "a public key, or a file of them; may be said several times")
	c.Flags().BoolVar(&v.offline, "offline", false, "look at the archive alone")
	c.Flags().BoolVar(&v.asJSON, "json", false, "print JSON")
	return c
}

func (v *verification) run(ctx context.Context, out, errOut io.Writer) error {
	env, err := readEnvironment()
	if err != nil {
		return err
	}
	o := ledger.Options{}
	if isTerminal(errOut) {
		o.Progress = func(what string, n, of int) { fmt.Fprintf(errOut, "\r\033[K%s %d of %d", printable(what), n, of) }
		defer fmt.Fprint(errOut, "\r\033[K")
	}
	if o.Keys, err = readKeys(v.keys); err != nil {
		return err
	}
	for _, name := range v.checkpoints {
		b, err := os.ReadFile(name)
		if err != nil {
			return usagef("--checkpoint: %w", err)
		}
		o.Witnessed = append(o.Witnessed, ledger.Named{Name: name, Note: b})
	}
	if !v.offline {
		if err := v.live(ctx, env, &o, errOut); err != nil {
			return err
		}
	}
	if len(o.Keys) == 0 {
		return usagef("there is no public key to verify with: name it with --key (breakglass config prints it where the bot runs)")
	}
	archive, err := v.open(ctx, env)
	if err != nil {
		return err
	}
	if v.brought.Place == v.at {
		o.Put = ledger.Put{Epoch: v.brought.Epoch, Lines: v.brought.Lines}
	}
	r, err := ledger.Verify(ctx, archive, o)
	if err != nil {
		return err
	}
	if v.asJSON {
		if err := printJSON(out, r); err != nil {
			return err
		}
	} else if err := printVerified(out, r); err != nil {
		return err
	}
	if !r.OK {
		return errUnverified
	}
	return nil
}

// errUnverified ends audit verify after it has said what does not hold.
var errUnverified = errors.New("something does not hold")

// readKeys reads public keys, each itself or a file of them.
func readKeys(named []string) (keys []note.Verifier, err error) {
	for _, k := range named {
		text := k
		if b, err := os.ReadFile(k); err == nil {
			text = string(b)
		}
		for line := range strings.Lines(text) {
			if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
				continue
			}
			if strings.HasPrefix(line, "PRIVATE+KEY+") {
				return nil, usagef("--key: that is the private key, which stays where the bot runs; breakglass config prints the public one")
			}
			v, err := note.NewVerifier(line)
			if err != nil {
				return nil, usagef("--key: %.80q is neither a public key (they look like breakglass/0123456789abcdef+01234567+Abc…) nor a file of them", printable(line))
			}
			keys = append(keys, v)
		}
	}
	return keys, nil
}

// live adds the store's own log, from the running bot or from the file, and the keys it names where none were given.
func (v *verification) live(ctx context.Context, env environment, o *ledger.Options, errOut io.Writer) error {
	first, _, err := tell(ctx, command{Do: "ledger"})
	if errors.Is(err, store.ErrNoStore) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the log of the store (--offline leaves it out): %w", err)
	}
	o.Store = first.Ledger.Store
	if len(o.Keys) == 0 {
		fmt.Fprintln(errOut, "The keys are those that the store's own log names. Name the one you know with --key to trust nobody.")
		if o.Keys, err = readKeys(first.Ledger.Keys); err != nil {
			return err
		}
	}
	o.Live, v.brought = liveLines(ctx), first.Ledger
	return nil
}

// linesAtOnce is how many lines of the log one answer of the bot has.
const linesAtOnce = 2000

func liveLines(ctx context.Context) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for from := uint64(1); ; {
			a, _, err := tell(ctx, command{Do: "lines", From: from})
			if err != nil {
				yield(nil, err)
				return
			}
			for _, l := range a.Lines {
				if !yield(l, nil) {
					return
				}
				from++
			}
			if len(a.Lines) < linesAtOnce {
				return
			}
		}
	}
}

// open is the archive to read: the one that is named, or the one that serve uses.
func (v *verification) open(ctx context.Context, env environment) (ledger.Archive, error) {
	at := cmp.Or(v.archive, env.Archive)
	if at == "" {
		pol, _, err := readPolicy(env.Policy)
		if err != nil {
			return nil, fmt.Errorf("which archive? --archive names one; else the policy does: %w", err)
		}
		at = env.archiveAt(pol)
	}
	v.at = workflows.Place(at)
	if dir, ok := strings.CutPrefix(at, "file:"); ok {
		if st, err := os.Stat(dir); err != nil || !st.IsDir() {
			return nil, usagef("there is no archive at %s", at)
		}
		return ledger.Dir(dir), nil
	}
	if !aws.ArchiveNeedsAWS(at) {
		return nil, usagef("the archive is %q; use s3://BUCKET/PREFIX or file:PATH", at)
	}
	conn, err := connectAnywhere(ctx, env)
	if err != nil {
		return nil, err
	}
	a, err := conn.Archive(at)
	if err != nil {
		return nil, usagef("%w", err)
	}
	return bucketOf{a}, nil
}

// bucketOf is a bucket as the verification reads it.
type bucketOf struct{ a *aws.Archive }

func (b bucketOf) List(ctx context.Context) (out []ledger.Object, err error) {
	all, err := b.a.Objects(ctx, "")
	for _, o := range all {
		out = append(out, ledger.Object{Name: o.Name, Size: o.Size, Versions: o.Versions, Deleted: o.Deleted})
	}
	return out, err
}

func (b bucketOf) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	return b.a.Open(ctx, name)
}

func printVerified(w io.Writer, r ledger.Report) error {
	for _, f := range r.Findings {
		line := ""
		switch {
		case f.Last > f.Line:
			line = fmt.Sprintf(", lines %d to %d", f.Line, f.Last)
		case f.Line > 0:
			line = fmt.Sprintf(", line %d", f.Line)
		}
		fmt.Fprintf(w, "%s%s: %s [%s]\n", printable(f.Object), line, printable(f.Text), f.Code)
	}
	if r.More > 0 {
		fmt.Fprintf(w, "and %d more\n", r.More)
	}
	for _, n := range r.Notes {
		fmt.Fprintf(w, "Note: %s: %s\n", printable(n.Object), printable(n.Text))
	}
	for _, u := range r.Uncovered {
		fmt.Fprintf(w, "Not covered by a checkpoint yet: %s: %s\n", printable(u.Object), printable(u.Text))
	}
	fmt.Fprintf(w, "%d lines, %d checkpoints, %d sessions, %d manifests, %d files, %d bytes read in %v.\n",
		r.Lines, r.Checkpoints, r.Sessions, r.Manifests, r.Files, r.Bytes, r.Took)
	if n := r.Newest; n != nil {
		fmt.Fprintf(w, "The newest checkpoint: %d lines, root %s, %s.\n", n.Size, n.Root, n.At.Format(dateAndTime))
	}
	elsewhere := false
	for _, n := range r.Notes {
		elsewhere = elsewhere || n.Code == ledger.CodeElsewhere
	}
	for _, l := range r.Logs {
		if l.Live > 0 {
			fmt.Fprintf(w, "The last %d lines are in the store alone: the archive gets them with the next checkpoint.\n", l.Live)
		}
		if l.Unproven > 0 {
			fmt.Fprintf(w, "%d checkpoints could not be compared, since the log does not hold before them.\n", l.Unproven)
		}
	}
	said := "Everything holds."
	switch {
	case !r.OK:
		said = "SOMETHING DOES NOT HOLD."
	case elsewhere:
		said = "Everything that is here holds. What went to another archive before must be verified there."
	}
	_, err := fmt.Fprintln(w, said)
	return err
}

// ledgerAnswer is what a verification asks of a store besides its lines.
type ledgerAnswer struct {
	Store string   `json:"store"`
	Keys  []string `json:"keys,omitempty"`  // that the log names
	Place string   `json:"place,omitempty"` // the archive that it was brought to; empty: none yet
	Epoch int      `json:"epoch,omitempty"`
	Lines uint64   `json:"lines,omitempty"` // of it, that are there
}

func readLedger(db *store.DB) (a ledgerAnswer, err error) {
	a.Store = db.ID()
	if a.Place, a.Epoch, a.Lines, err = workflows.BroughtTo(db); err != nil {
		return a, err
	}
	for after := uint64(0); ; {
		events, err := db.Events(after, 5000)
		if err != nil {
			return a, err
		}
		if len(events) == 0 {
			break
		}
		for _, e := range events {
			if after = e.Seq; e.Kind == store.EventKey {
				a.Keys = append(a.Keys, e.Data["key"])
			}
		}
	}
	return a, nil
}

func readLines(db *store.DB, from uint64) (out []json.RawMessage, err error) {
	lines, err := db.Lines(from, linesAtOnce)
	for _, l := range lines {
		out = append(out, l.Text)
	}
	return out, err
}
