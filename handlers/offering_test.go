package handlers

import (
	"strings"
	"testing"

	"breakglass/store"
	"breakglass/workflows/policy"
)

// What cannot be granted is not offered; whoever names it is told why.
func TestFormOffersWhatCanBeGranted(t *testing.T) {
	inBubble(t, example(t, nil), func(t *testing.T, r *rig) {
		_, err := r.alice.Command(t.Context(), "/breakglass offline")
		must(t, err)
		settle()
		v := r.alice.View()
		if !strings.Contains(v.PlainText(), "not yet offered") {
			t.Errorf("the form does not say so:\n%s", v.PlainText())
		}
		if got := strings.Join(v.Labels(), ", "); got != "Scenario, Reason, Ticket" || v.Field("Scenario").Value != "" {
			t.Errorf("the form shows %s", got)
		}
		for _, o := range v.Field("Scenario").Options {
			if o.Value == "offline" || o.Value == "admin-role" { // she has no IAM user
				t.Errorf("%s is offered", o.Value)
			}
		}
		must(t, r.alice.CloseAll(t.Context()))
		_, err = r.alice.Command(t.Context(), "/breakglass admin-role prod-wealth")
		must(t, err)
		settle()
		if v := r.alice.View(); !strings.Contains(v.PlainText(), "the policy names none of yours") {
			t.Errorf("the form does not say so:\n%s", v.PlainText())
		}
	})
}

// Somebody who has an access already is offered the scenario without that account.
func TestFormLeavesOutWhatStands(t *testing.T) {
	inBubble(t, example(t, nil), func(t *testing.T, r *rig) {
		r.dir.set(func() {
			r.dir.by["eve@forge.example"] = principal("eve", "grp-forge-developers", "grp-forge-wealth-prod")
		})
		_, err := r.eve.Command(t.Context(), "/breakglass console prod-wealth")
		must(t, err)
		settle()
		v := r.eve.View()
		if !strings.Contains(v.PlainText(), "You have this access already") || v.Field("Account").Value != "" {
			t.Errorf("the form says\n%s", v.PlainText())
		}
		for _, o := range v.Field("Account").Options {
			if o.Value == "prod-wealth" {
				t.Error("the form offers what she has")
			}
		}
		fill(t, r.eve, "Account", "prod-cash", "Reason", "r")
		if errs := submit(t, r.eve); len(errs) > 0 {
			t.Errorf("the form is refused: %v", errs)
		}
	})
}

// Where nothing at all can be had, the reason is the policy's.
func TestNothingOffered(t *testing.T) {
	p := example(t, func(s string) string {
		i, j := strings.Index(s, "  emergency:\n"), strings.Index(s, "  console:\n")
		k, l := strings.Index(s, "  vpn-prod-wealth:\n"), strings.Index(s, "# What the scenarios leave open")
		return strings.Replace(s[:i]+s[j:k]+s[l:], "accounts: [prod-wealth, prod-cash, prod-9squid]", "accounts: [prod-wealth]", 1)
	})
	eve := principal("eve", "grp-forge-developers", "grp-forge-wealth-prod")
	for _, g := range p.Groups() {
		if !eve.Groups[g] {
			eve.Groups[g] = false // asked about, and not in it
		}
	}
	o := offeringOf(p, eve, store.Person{Name: "Eve"})
	if why := nothingOffered(o); len(o.scenarios) > 0 || !strings.Contains(why, "You have this access already") {
		t.Errorf("%d scenarios, %q", len(o.scenarios), why)
	}
	stranger := offeringOf(p, principal("mallory"), store.Person{Name: "Mallory"})
	if why := nothingOffered(stranger); !strings.Contains(why, "no scenario of the policy is open to Mallory") {
		t.Error(why)
	}
}

// The policy may change while a form is open.
func TestFormOfAnotherPolicy(t *testing.T) {
	inBubble(t, example(t, nil), func(t *testing.T, r *rig) {
		_, err := r.alice.Command(t.Context(), "/breakglass ec2 prod-cash 1h")
		must(t, err)
		settle()
		fill(t, r.alice, "Reason", "r", "Ticket", "OPS-7")
		r.policy = example(t, func(s string) string {
			return strings.Replace(s, "grant: {permission_set: Forge-Prod-BreakGlass-EC2}", "grant: {sealed_user: break-glass-ec2}", 1)
		})
		if s, _ := r.policy.Scenario("ec2"); s.Grant.Kind == policy.GrantPermissionSet {
			t.Fatal("the policy is as it was")
		}
		submit(t, r.alice)
		if e := r.alice.View().Field("Scenario").Error; !strings.Contains(e, "not offered yet: it asks for a grant of kind sealed_user") {
			t.Errorf("the error is %q", e)
		}
	})
}
