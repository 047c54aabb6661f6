package main

import (
	"cmp"
	"context"

	"golang.org/x/mod/sumdb/note"

	"breakglass/store"
	"breakglass/store/ledger"
	"breakglass/workflows"
	"breakglass/workflows/policy"
)

// archiveAt is where evidence goes: what the environment says, else the policy, else a directory beside the program.
func (e environment) archiveAt(pol *policy.Policy) string {
	return cmp.Or(e.Archive, pol.Report.Archive, "file:archive")
}

// keyAt is which key signs checkpoints; beside the store where nothing is said.
func (e environment) keyAt(storePath string) string { return cmp.Or(e.Key, "file:"+storePath+".key") }

// spoolAt is where evidence waits for the archive. It is as precious as the store, so it is beside it.
func spoolAt(storePath string) string { return storePath + ".spool" }

// evidence joins what evidence needs to the engine. A fault of the archive's address ends the start only where nobody may have access.
func (p *program) evidence(c *workflows.Config, pol *policy.Policy) error {
	c.Trail, c.ShellLogs, c.Spool = trails{p}, p.aws.Shells(), spoolAt(p.db.Path())
	c.Signer = func(ctx context.Context) (note.Signer, string, error) {
		return p.aws.Signer(ctx, p.env.keyAt(p.db.Path()), ledger.KeyName(p.db.ID()))
	}
	archive, err := p.aws.Archive(p.env.archiveAt(pol))
	if err != nil {
		return stay(p.db, p.log, usagef("the archive (BREAKGLASS_ARCHIVE, or report.archive in the policy): %w", err))
	}
	c.Archive = archive
	return nil
}

// trails reads CloudTrail where the policy in force says.
type trails struct{ p *program }

// Collect implements workflows.Trail.
func (t trails) Collect(ctx context.Context, q store.Query, r store.Resume, each func(string, store.Record) error, mark func(store.Mark) error) []store.Source {
	return trailOf(t.p.aws, t.p.pol.Load()).Collect(ctx, q, r, each, mark)
}

// report renders a report's mail from what the store knows now.
func (p *program) report(_ context.Context, n store.Notice, r store.Request) (store.Mail, error) {
	if month := n.Data["month"]; month != "" {
		review, err := p.engine.Review(month, p.engine.Moment())
		if err != nil {
			return store.Mail{}, err
		}
		return review.Mail(nil)
	}
	c, err := p.engine.Case(r, p.engine.Moment())
	if err != nil {
		return store.Mail{}, err
	}
	return c.Mail(nil)
}
