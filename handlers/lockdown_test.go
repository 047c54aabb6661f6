package handlers

import (
	"strings"
	"testing"
	"time"

	"breakglass/store"
)

func lockNow(t *testing.T, r *rig) {
	t.Helper()
	by := store.By{Actor: store.Somebody(store.Person{SlackID: "UBOB", UserID: "aws-bob", Name: "Bob"}), At: time.Now()}
	must(t, r.db.Lock(by, "a laptop was *stolen*", 0))
}

func TestLockdown(t *testing.T) {
	inBubble(t, example(t, nil), func(t *testing.T, r *rig) {
		running := record(t, r, "alice", "ec2", "prod-cash", store.Active)
		record(t, r, "eve", "console", "prod-cash", store.Pending)
		if got := command(t, r.bob, "/access lockdown now"); !strings.Contains(got, "Write /access lockdown") {
			t.Error(got)
		}
		if got := command(t, r.bob, "/access lockdown lift"); !strings.Contains(got, "No lockdown is in force") {
			t.Error(got)
		}
		command(t, r.bob, "/access lockdown")
		v := r.bob.View()
		if v == nil {
			t.Fatal("no form")
		}
		for _, want := range []string{"1 session will be ended at once", "1 request that waits", string(running.ID), "Only security-lead and incident-manager may do this"} {
			if !strings.Contains(v.PlainText(), want) {
				t.Errorf("the form does not say %q:\n%s", want, v.PlainText())
			}
		}
		if errs := submit(t, r.bob); len(errs) != 1 {
			t.Errorf("no reason brings %v", errs)
		}
		fill(t, r.bob, "Reason", "a laptop was *stolen*")
		if errs := submit(t, r.bob); len(errs) > 0 || r.bob.View() != nil {
			t.Fatal(errs)
		}
		want(t, r, store.Click{Kind: store.ClickLock, SlackID: "UBOB", Channel: r.ops, Text: "a laptop was *stolen*"})
	})
}

// While a lockdown is in force every way in says so, and the form refuses without losing what was written.
func TestLockdownIsSaid(t *testing.T) {
	inBubble(t, example(t, nil), func(t *testing.T, r *rig) {
		_, err := r.alice.Command(t.Context(), "/breakglass ec2 prod-cash")
		must(t, err)
		settle()
		lockNow(t, r)
		fill(t, r.alice, "Reason", "checkout is down", "Ticket", "OPS-1")
		submit(t, r.alice)
		if e := r.alice.View().Field("Scenario").Error; !strings.Contains(e, "A lockdown is in force") || r.alice.View().Field("Reason").Value != "checkout is down" {
			t.Errorf("the form says %q", e)
		}
		must(t, r.alice.CloseAll(t.Context()))
		_, err = r.alice.Command(t.Context(), "/breakglass")
		must(t, err)
		settle()
		if got := r.alice.View().PlainText(); !strings.Contains(got, "A lockdown is in force") {
			t.Errorf("the form:\n%s", got)
		}
		if len(requests(t, r)) != 0 {
			t.Error("a request was recorded")
		}
		must(t, r.bob.OpenHome(t.Context()))
		settle()
		if got := r.bob.Home().PlainText(); !strings.Contains(got, "A lockdown is in force") {
			t.Errorf("the page:\n%s", got)
		}
		for _, line := range []string{"/access status", "/access lockdown"} {
			if got := command(t, r.alice, line); !strings.Contains(got, "A lockdown is in force") {
				t.Errorf("%s: %s", line, got)
			}
		}
	})
}

func TestLockdownIsLifted(t *testing.T) {
	inBubble(t, example(t, nil), func(t *testing.T, r *rig) {
		lockNow(t, r)
		command(t, r.alice, "/access lockdown lift")
		fill(t, r.alice, "Reason", "it was found")
		if errs := submit(t, r.alice); len(errs) > 0 {
			t.Fatal(errs)
		}
		want(t, r, store.Click{Kind: store.ClickUnlock, SlackID: "UALICE", Channel: r.ops, Text: "it was found"})
		command(t, r.bob, "/access lockdown lift")
		must(t, r.db.Unlock(store.By{Actor: store.Bot(), At: time.Now()}, "found", 0))
		fill(t, r.bob, "Reason", "it was found")
		if errs := submit(t, r.bob); len(errs) != 1 || !strings.Contains(r.bob.View().Field("Reason").Error, "somebody has lifted it") {
			t.Errorf("the form says %v", errs)
		}
	})
}
