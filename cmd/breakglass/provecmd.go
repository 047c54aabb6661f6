package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"breakglass/store"
	"breakglass/workflows/aws"
	"breakglass/workflows/policy"
)

// What only AWS itself can show is shown there, with nobody's access: a schedule takes an assignment from an empty group, and a guard ends the session of a
// role that may do nothing. The day it was last seen is a fact of the store, and a row of check.

// The names of the proofs among the facts.
const (
	proofSchedule = "proof schedule"
	proofGuard    = "proof guard"
)

// canary is what the proofs are tried on.
type canary struct {
	group   string
	account string // its name in the policy; "" is the first one a permission set is granted in
}

// prove tries both ends in AWS and dates what was seen. Each step is said as it comes: it takes a few minutes.
func prove(ctx context.Context, w io.Writer, env environment, pol *policy.Policy, c canary) ([]aws.Row, error) {
	account, set, err := c.place(pol)
	if err != nil {
		return nil, err
	}
	conn, err := connect(ctx, env, pol)
	if err != nil {
		return nil, err
	}
	say := func(s string) { fmt.Fprintln(w, printable(s)) }
	var rows []aws.Row
	if env.DeadmanRole != "" {
		fmt.Fprintf(w, "Proving the dead man's schedules with the group %s, %s in %s.\n", c.group, set, account.Name)
		rows = append(rows, proved(ctx, "proof: a schedule takes an assignment away", proofSchedule, conn.DeadMan().Prove(ctx, c.group, account.ID, set, say),
			"make an empty group "+c.group+" in Identity Center, or name one with --canary; then see the row of the dead man's schedules"))
	}
	if env.Guard != "" {
		fmt.Fprintf(w, "Proving the guard with the role BreakGlassCanary in %s.\n", account.Name)
		rows = append(rows, proved(ctx, "proof: a guard ends a live session", proofGuard, conn.Guards().Prove(ctx, account.ID, say),
			"lay the role BreakGlassCanary in that account, trusting the bot, as the Terraform does; then see the rows of the guards"))
	}
	return rows, nil
}

// place is where the proofs are tried.
func (c canary) place(pol *policy.Policy) (policy.Account, string, error) {
	for _, s := range pol.Scenarios {
		if s.Grant.Kind != policy.GrantPermissionSet {
			continue
		}
		for _, name := range s.Accounts {
			if a, ok := pol.Account(name); ok && (c.account == "" || c.account == name) {
				return a, s.Grant.Name, nil
			}
		}
	}
	if c.account != "" {
		return policy.Account{}, "", usagef("--canary-account: no scenario grants a permission set in %q", c.account)
	}
	return policy.Account{}, "", usagef("the policy grants no permission set, so there is nothing to prove")
}

// proved is the row of a proof, which is dated where it was seen.
func proved(ctx context.Context, what, fact string, err error, remedy string) aws.Row {
	row := aws.Row{What: what, Needed: "seen in AWS"}
	if err != nil {
		row.Found, row.Remedy = err.Error(), remedy
		return row
	}
	row.Found, row.OK = "seen", true
	if _, _, err := tell(ctx, command{Do: "proved", Why: fact}); err != nil {
		row.Remedy = "it could not be dated in the store: " + err.Error()
	}
	return row
}

// proofs are the rows that say when each was last seen.
func proofs(ctx context.Context, env environment) []aws.Row {
	a, _, err := tell(ctx, command{Do: "proofs"})
	var rows []aws.Row
	for _, p := range []struct {
		what, fact string
		on         bool
	}{{"proof: a schedule takes an assignment away", proofSchedule, env.DeadmanRole != ""}, {"proof: a guard ends a live session", proofGuard, env.Guard != ""}} {
		if !p.on {
			continue
		}
		row := aws.Row{What: p.what, Found: "never seen in this AWS organisation", Needed: "seen in AWS", Remedy: "run breakglass check --prove; it takes a few minutes and gives nobody access", OK: true}
		if at := a.Proofs[p.fact]; err == nil && at != "" {
			row.Found, row.Remedy = "seen "+at, ""
		}
		rows = append(rows, row)
	}
	return rows
}

// recordProof dates a proof.
func recordProof(db *store.DB, by store.By, fact string) error {
	if !slices.Contains([]string{proofSchedule, proofGuard}, fact) {
		return fmt.Errorf("%q is no proof", fact)
	}
	return db.SetFact(by, fact, by.At.UTC().Format(time.RFC3339), store.EventProof, map[string]string{"seen": fact})
}

func readProofs(db *store.DB) (map[string]string, error) {
	out := map[string]string{}
	for _, fact := range []string{proofSchedule, proofGuard} {
		at, _, err := db.Fact(fact)
		if err != nil {
			return nil, err
		}
		out[fact] = at
	}
	return out, nil
}

// guardRows say whether the guard of each permission set can be read where the policy grants it.
func guardRows(conn *aws.Connection, env environment, pol *policy.Policy) (asks []func(context.Context) aws.Row) {
	if env.Guard == "" {
		return []func(context.Context) aws.Row{func(context.Context) aws.Row {
			return aws.Row{What: "end: guard policies", Found: "switched off", Needed: "IAM refuses a live session after its expiry", OK: true,
				Remedy: "set BREAKGLASS_GUARD: without guards, credentials that were taken live on for as long as their session lasts"}
		}}
	}
	guards := conn.Guards()
	for _, set := range pol.BreakGlassSets() {
		for _, a := range pol.Opens(policy.Grant{Kind: policy.GrantPermissionSet, Name: set}) {
			rule, _ := pol.GuardOf(set, a.ID)
			if rule.Mode == policy.GuardNone {
				continue
			}
			asks = append(asks, func(ctx context.Context) aws.Row {
				row := aws.Row{What: fmt.Sprintf("end: guard of %s in %s", set, a.Name), Needed: fmt.Sprintf("the policy %s-%s, carried by that set alone", env.Guard, set)}
				if _, err := guards.Inspect(ctx, store.Guard{Account: a.ID, Set: set}); err != nil {
					row.Found = err.Error()
					row.Remedy = "lay the policy in the account and attach it to the permission set, as the Terraform does; the member role needs iam:GetPolicy, GetPolicyVersion, " +
						"ListPolicyVersions, CreatePolicyVersion and DeletePolicyVersion on it"
					return row
				}
				row.Found, row.OK = "there ("+rule.Mode+")", true
				return row
			})
		}
	}
	return asks
}
