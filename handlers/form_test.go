package handlers

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"breakglass/deploy/sandbox/slacktwin"
	"breakglass/store"
)

// must ends the test on an error.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func fill(t *testing.T, p *slacktwin.Person, pairs ...string) {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if err := p.Fill(t.Context(), pairs[i], pairs[i+1]); err != nil {
			t.Fatalf("fill in %s: %v", pairs[i], err)
		}
		settle()
	}
}

func submit(t *testing.T, p *slacktwin.Person) map[string]string {
	t.Helper()
	errs, err := p.Submit(t.Context())
	must(t, err)
	settle()
	return errs
}

func requests(t *testing.T, r *rig) []store.Request {
	t.Helper()
	open, err := r.db.Open()
	must(t, err)
	return open
}

func TestFormFromCommandToRequest(t *testing.T) {
	inBubble(t, example(t, nil), func(t *testing.T, r *rig) {
		_, err := r.alice.Command(t.Context(), "/breakglass")
		must(t, err)
		settle()
		v := r.alice.View()
		if got := strings.Join(v.Labels(), ", "); got != "Scenario, Reason, Ticket" {
			t.Fatalf("the form shows %s", got)
		}
		fill(t, r.alice, "Reason", "Site is down")
		fill(t, r.alice, "Scenario", "EC2: logs, processes, env vars over SSM")
		v = r.alice.View()
		if got := strings.Join(v.Labels(), ", "); got != "Scenario, Account, Duration, Reason, Ticket, Instance" {
			t.Fatalf("after the scenario the form shows %s", got)
		}
		if got := v.Field("Reason").Value; got != "Site is down" {
			t.Errorf("the reason is lost: %q", got)
		}
		if got := v.Field("Duration").Value; got != "1h" {
			t.Errorf("the duration begins as %q", got)
		}
		if !strings.Contains(v.PlainText(), "your manager") {
			t.Errorf("whose word it takes is not said:\n%s", v.PlainText())
		}
		fill(t, r.alice, "Account", "prod-wealth")
		if got := strings.Join(r.alice.View().Labels(), ", "); got != "Scenario, Account, Region, Duration, Reason, Ticket, Instance" {
			t.Fatalf("after the account the form shows %s", got)
		}
		fill(t, r.alice, "Duration", "45 minutes", "Region", "us-west-2", "Ticket", "nonsense")
		if errs := submit(t, r.alice); len(errs) != 1 || !strings.Contains(r.alice.View().Field("Ticket").Error, "not a ticket") {
			t.Fatalf("a wrong ticket brings %v", errs)
		}
		fill(t, r.alice, "Ticket", "OPS-7")
		if errs := submit(t, r.alice); len(errs) > 0 {
			t.Fatalf("the form is refused: %v", errs)
		}
		if r.alice.View() != nil {
			t.Error("the form is still open")
		}
		all := requests(t, r)
		if len(all) != 1 {
			t.Fatalf("%d requests were recorded", len(all))
		}
		q := all[0]
		if q.Scenario != "ec2" || q.Account.Name != "prod-wealth" || q.Region != "us-west-2" || q.Duration != 45*time.Minute ||
			q.Reason != "Site is down" || q.Ticket != "OPS-7" || q.Requester.UserID != "aws-alice" || q.Requester.TimeZone != "Europe/Berlin" {
			t.Errorf("recorded: %+v", q)
		}
	})
}

// The form is there at once, however slow the directory is, and what is typed meanwhile stays.
func TestFormBeforeTheDirectoryAnswers(t *testing.T) {
	inBubble(t, example(t, nil), func(t *testing.T, r *rig) {
		r.dir.set(func() { r.dir.delay = 8 * time.Second })
		begun := time.Now()
		_, err := r.alice.Command(t.Context(), "/breakglass ec2 prod-cash 90m")
		must(t, err)
		if took := time.Since(begun); took > time.Second {
			t.Errorf("the command took %v", took)
		}
		fill(t, r.alice, "Reason", "typed while waiting")
		if !strings.Contains(r.alice.View().PlainText(), "Looking up") {
			t.Error("nothing says that it is being looked up")
		}
		if errs := submit(t, r.alice); len(errs) == 0 {
			t.Error("a form that is not filled was taken")
		}
		time.Sleep(9 * time.Second)
		settle()
		v := r.alice.View()
		for label, want := range map[string]string{"Scenario": "ec2", "Account": "prod-cash", "Duration": "1h30m", "Reason": "typed while waiting"} {
			if f := v.Field(label); f == nil || f.Value != want {
				t.Errorf("%s is %+v, not %q", label, f, want)
			}
		}
		r.dir.set(func() { r.dir.delay = 0 })
		fill(t, r.alice, "Ticket", "OPS-7")
		if errs := submit(t, r.alice); len(errs) > 0 {
			t.Errorf("the form is refused: %v", errs)
		}
	})
}

func TestFormWithoutADirectory(t *testing.T) {
	inBubble(t, example(t, nil), func(t *testing.T, r *rig) {
		r.dir.set(func() { r.dir.delay = time.Hour })
		_, err := r.alice.Command(t.Context(), "/breakglass ec2")
		must(t, err)
		fill(t, r.alice, "Reason", "typed while waiting")
		time.Sleep(21 * time.Second)
		settle()
		v := r.alice.View()
		if !strings.Contains(v.PlainText(), "did not answer") {
			t.Fatalf("the form says nothing:\n%s", v.PlainText())
		}
		r.dir.set(func() { r.dir.delay = 0 })
		must(t, r.alice.ClickView(t.Context(), "Try again", -1))
		settle()
		v = r.alice.View()
		if f := v.Field("Scenario"); f == nil || f.Value != "ec2" {
			t.Fatalf("after trying again the form shows\n%s", v.PlainText())
		}
		if got := v.Field("Reason").Value; got != "typed while waiting" {
			t.Errorf("the reason is lost: %q", got)
		}
		// It goes away again and its last answer grows old before the form is sent: nothing is recorded, nothing is lost.
		fill(t, r.alice, "Account", "prod-wealth", "Ticket", "OPS-7")
		r.dir.set(func() { r.dir.delay = time.Hour })
		time.Sleep(61 * time.Second)
		begun := time.Now()
		errs := submit(t, r.alice)
		if took := time.Since(begun); took > 2500*time.Millisecond {
			t.Errorf("the answer took %v", took)
		}
		if len(errs) != 1 || !strings.Contains(r.alice.View().Field("Scenario").Error, "Nothing was sent") {
			t.Errorf("errors: %v", errs)
		}
		if n := len(requests(t, r)); n != 0 {
			t.Errorf("%d requests were recorded", n)
		}
		r.dir.set(func() { r.dir.delay = 0 })
		if errs := submit(t, r.alice); len(errs) > 0 {
			t.Errorf("the form is refused: %v", errs)
		}
	})
}

func TestFormRefusals(t *testing.T) {
	inBubble(t, example(t, nil), func(t *testing.T, r *rig) {
		r.AddUser(slacktwin.User{ID: "UGUEST", Name: "guest", Email: "guest@forge.example", EmailConfirmed: true, Restricted: true})
		r.UpdateChannel(r.ops, func(c *slacktwin.Channel) { c.Members = append(c.Members, "UGUEST") })
		for who, want := range map[string]string{
			"UEVE":   "nothing you may ask for",
			"UNEW":   "Nobody in AWS Identity Center",
			"UGUEST": "Guests",
		} {
			p := r.As(who).In(r.ops)
			_, err := p.Command(t.Context(), "/breakglass")
			must(t, err)
			settle()
			v := p.View()
			if !strings.Contains(v.PlainText(), want) || v.Submit != "" || len(v.Fields()) > 0 {
				t.Errorf("%s sees\n%s", who, v.PlainText())
			}
		}
	})
}

// A wish for a scenario that is not theirs is answered in the form, which then offers what is.
func TestFormWishRefused(t *testing.T) {
	inBubble(t, example(t, nil), func(t *testing.T, r *rig) {
		r.dir.set(func() { r.dir.by["eve@forge.example"] = principal("eve", "grp-forge-developers") })
		_, err := r.eve.Command(t.Context(), "/breakglass emergency")
		must(t, err)
		settle()
		v := r.eve.View()
		if !strings.Contains(v.PlainText(), "not among those who may ask") || v.Field("Scenario").Value != "" {
			t.Errorf("the form says\n%s", v.PlainText())
		}
		for _, o := range v.Field("Scenario").Options {
			if o.Value == "emergency" {
				t.Error("the form offers what is not hers")
			}
		}
	})
}

func TestFormOneScenarioIsChosen(t *testing.T) {
	p := example(t, func(s string) string {
		i, j := strings.Index(s, "  ec2:\n"), strings.Index(s, "# What the scenarios leave open")
		s = s[:i] + s[j:]
		return strings.Replace(s, "accounts: [prod-wealth, prod-cash, prod-9squid]", "accounts: [prod-cash]", 1)
	})
	inBubble(t, p, func(t *testing.T, r *rig) {
		_, err := r.alice.Command(t.Context(), "/breakglass")
		must(t, err)
		settle()
		fill(t, r.alice, "Reason", "down")
		if errs := submit(t, r.alice); len(errs) > 0 {
			t.Fatal(errs)
		}
		if q := requests(t, r); len(q) != 1 || q[0].Scenario != "emergency" || q[0].Account.Name != "prod-cash" || q[0].State != store.Approved {
			t.Errorf("recorded: %+v", q)
		}
	})
}

// Two quick choices: the later one stands, whichever answer comes first.
func TestFormChoicesOvertake(t *testing.T) {
	inBubble(t, example(t, nil), func(t *testing.T, r *rig) {
		_, err := r.alice.Command(t.Context(), "/breakglass")
		must(t, err)
		settle()
		r.Delay("views.update", 2*time.Second)
		for _, s := range []string{"ec2", "rds", "eks"} {
			must(t, r.alice.Fill(t.Context(), "Scenario", s))
		}
		time.Sleep(20 * time.Second)
		settle()
		v := r.alice.View()
		if got := strings.Join(v.Labels(), ", "); got != "Scenario, Account, Duration, Reason, Ticket, EKS cluster" || v.Field("Scenario").Value != "eks" {
			t.Errorf("the form shows %s", got)
		}
	})
}

// An answer that comes after a later choice was drawn is dropped.
func TestFormDrawsNoEarlierChoice(t *testing.T) {
	inBubble(t, example(t, nil), func(t *testing.T, r *rig) {
		_, err := r.alice.Command(t.Context(), "/breakglass")
		must(t, err)
		settle()
		v, o := r.alice.View(), ofTheHouse(r.policy)
		for _, c := range []struct {
			order    order
			scenario string
		}{{order{"1700000009.000000", 1}, "eks"}, {order{"1700000008.000000", 2}, "rds"}, {order{"", 3}, "ec2"}, {order{"999999999.000000", 4}, "ec2"}} {
			r.h.show(t.Context(), v.ID, "", c.order, formView(o, draft{Scenario: c.scenario}))
		}
		if got := r.alice.View(); got.Field("EKS cluster") == nil {
			t.Errorf("the form shows %q", got.Labels())
		}
	})
}

func TestShortcutFromMessage(t *testing.T) {
	inBubble(t, example(t, nil), func(t *testing.T, r *rig) {
		ts, err := r.PostAs("UBOB", r.ops, "p99 is *through* the roof <https://grafana.forge.example/d/1|dashboard> &amp; rising", nil, nil)
		must(t, err)
		must(t, r.alice.MessageShortcut(t.Context(), "breakglass_from_message", r.ops, ts))
		settle()
		v := r.alice.View()
		if got := v.Field("Reason").Value; got != "About this message: p99 is *through* the roof dashboard & rising" {
			t.Errorf("the reason is %q", got)
		}
		fill(t, r.alice, "Scenario", "console", "Account", "prod-cash")
		if errs := submit(t, r.alice); len(errs) > 0 {
			t.Fatal(errs)
		}
		q := requests(t, r)[0]
		if !strings.HasSuffix(q.Context, "/archives/COPS/p"+strings.ReplaceAll(ts, ".", "")) {
			t.Errorf("the link is %q", q.Context)
		}
		must(t, r.alice.Shortcut(t.Context(), "breakglass_request"))
		settle()
		if v := r.alice.View(); v == nil || v.Field("Scenario") == nil {
			t.Error("the global shortcut opens no form")
		}
	})
}

func TestFormInASharedChannel(t *testing.T) {
	inBubble(t, example(t, nil), func(t *testing.T, r *rig) {
		r.ShareChannel(r.ops, "T0OTHERS")
		_, err := r.alice.Command(t.Context(), "/breakglass")
		must(t, err)
		settle()
		if v := r.alice.View(); !strings.Contains(v.PlainText(), "shared with another organisation") {
			t.Errorf("the form says\n%s", v.PlainText())
		}
	})
}

func TestClosingWaitsForForms(t *testing.T) {
	inBubble(t, example(t, nil), func(t *testing.T, r *rig) {
		r.dir.set(func() { r.dir.delay = 5 * time.Second })
		_, err := r.alice.Command(t.Context(), "/breakglass")
		must(t, err)
		begun := time.Now()
		r.h.Close(context.Background())
		if took := time.Since(begun); took < 4*time.Second || took > 6*time.Second {
			t.Errorf("closing took %v", took)
		}
		if r.alice.View().Field("Scenario") == nil {
			t.Error("the form was left unfilled")
		}
		r.h.work.spawn(time.Second, func(context.Context) { t.Error("something began after the end") })
		settle()
	})
}

func TestUnknownErrorsGiveNothingAway(t *testing.T) {
	inBubble(t, example(t, nil), func(t *testing.T, r *rig) {
		why := r.h.sentence("test", errors.New("dial tcp 10.0.0.7: secret detail"))
		if strings.Contains(why, "secret") || !strings.Contains(r.log.String(), "secret detail") {
			t.Errorf("people read %q, the log has %q", why, r.log.String())
		}
	})
}
