package handlers

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"breakglass/deploy/sandbox/slacktwin"
	"breakglass/store"
)

func command(t *testing.T, p *slacktwin.Person, line string) string {
	t.Helper()
	reply, err := p.Command(t.Context(), line)
	must(t, err)
	settle()
	all := reply.Messages()
	if len(all) == 0 {
		return ""
	}
	if !all[0].Ephemeral() {
		t.Errorf("%s is answered for all to see", line)
	}
	return all[0].PlainText()
}

func TestStatus(t *testing.T) {
	inBubble(t, example(t, nil), func(t *testing.T, r *rig) {
		if got := command(t, r.alice, "/access status"); !strings.Contains(got, "Nobody has access") {
			t.Errorf("with nothing going on: %s", got)
		}
		bobs := record(t, r, "bob", "ec2", "prod-wealth", store.Active)
		mine := record(t, r, "alice", "ec2", "prod-cash", store.Active)
		waits := record(t, r, "eve", "console", "prod-9squid", store.Pending)
		over := record(t, r, "eve", "ec2", "prod-9squid", store.Revoked)
		r.dir.set(func() { r.dir.delay = time.Hour }) // status asks nobody
		got := command(t, r.alice, "/access")
		i, j, k := strings.Index(got, string(mine.ID)), strings.Index(got, string(bobs.ID)), strings.Index(got, string(waits.ID))
		if i < 0 || j < i || k < j || strings.Contains(got, string(over.ID)) {
			t.Errorf("own first, then others, then who waits:\n%s", got)
		}
		if strings.Count(got, "End now") != 1 {
			t.Errorf("one session is hers to end:\n%s", got)
		}
		for line, want := range map[string]store.ID{
			"/access status @bob": bobs.ID, "/access status prod-cash": mine.ID, "/access status 100000000003": bobs.ID,
			"/access status prod-9squid": waits.ID,
		} {
			got := command(t, r.alice, line)
			for _, q := range []store.Request{mine, bobs, waits} {
				if strings.Contains(got, string(q.ID)) != (q.ID == want) {
					t.Errorf("%s:\n%s", line, got)
				}
			}
		}
		if got := command(t, r.alice, "/access status <!channel>"); !strings.Contains(got, "neither a person nor an account") {
			t.Errorf("nonsense: %s", got)
		}
	})
}

func TestEnd(t *testing.T) {
	inBubble(t, example(t, nil), func(t *testing.T, r *rig) {
		if got := command(t, r.alice, "/access end"); !strings.Contains(got, "no running session") {
			t.Error(got)
		}
		one := record(t, r, "alice", "ec2", "prod-wealth", store.Active)
		bobs := record(t, r, "bob", "ec2", "prod-wealth", store.Active)
		if got := command(t, r.alice, "/access end"); !strings.Contains(got, string(one.ID)+" is being ended") {
			t.Error(got)
		}
		two := record(t, r, "alice", "ec2", "prod-cash", store.Active)
		got := command(t, r.alice, "/access end")
		if !strings.Contains(got, "Which one") || !strings.Contains(got, string(one.ID)) || !strings.Contains(got, string(two.ID)) || strings.Contains(got, string(bobs.ID)) {
			t.Error(got)
		}
		command(t, r.alice, "/access end "+strings.ToLower(string(two.ID)))
		command(t, r.alice, "/access end "+string(bobs.ID)) // handed on: the engine refuses it
		for line, want := range map[string]string{
			"/access end BG-9999": "no such request", "/access end *x*": "is not a request", "/access end 1 2": "Write /access end",
		} {
			if got := command(t, r.alice, line); !strings.Contains(got, want) {
				t.Errorf("%s: %s", line, got)
			}
		}
		var ended []string
		for _, c := range clicks(t, r) {
			ended = append(ended, c.Kind+" "+string(c.Request))
		}
		if got, want := strings.Join(ended, ", "), fmt.Sprintf("end %s, end %s, end %s", one.ID, two.ID, bobs.ID); got != want {
			t.Errorf("recorded %s, not %s", got, want)
		}
	})
}

func TestTicketByWords(t *testing.T) {
	inBubble(t, example(t, nil), func(t *testing.T, r *rig) {
		q := record(t, r, "alice", "ec2", "prod-wealth", store.Active)
		for line, want := range map[string]string{
			"/access ticket": "Write /access ticket", "/access ticket BG-1": "Write", "/access ticket x OPS-1": "is not a request",
			"/access ticket BG-9999 OPS-1": "no such request", "/access ticket " + string(q.ID) + " <!here>": "is not a ticket",
		} {
			if got := command(t, r.alice, line); !strings.Contains(got, want) {
				t.Errorf("%s: %s", line, got)
			}
		}
		command(t, r.alice, "/access ticket "+string(q.ID)+" OPS-1")
		if c := clicks(t, r); len(c) != 1 || c[0].Text != "OPS-1" || c[0].Kind != store.ClickTicket {
			t.Errorf("recorded: %+v", c)
		}
	})
}

func TestHelpAndUnknownWords(t *testing.T) {
	inBubble(t, example(t, nil), func(t *testing.T, r *rig) {
		for _, line := range []string{"/breakglass help", "/access help", "/access nonsense", "/breakglass nonsense", "/breakglass ec2 prod-cash soon"} {
			got := command(t, r.alice, line)
			for _, want := range []string{"/access status", "ec2", "your manager", "Emergency hotline"} {
				if !strings.Contains(got, want) {
					t.Errorf("%s lacks %q:\n%s", line, want, got)
				}
			}
			if strings.Contains(got, "offline") || strings.Contains(got, "admin-role") {
				t.Errorf("%s shows what cannot be granted to her:\n%s", line, got)
			}
			if strings.Contains(line, "help") == strings.Contains(got, "was not understood") {
				t.Errorf("%s: %s", line, got)
			}
		}
		if got := command(t, r.eve, "/breakglass help"); !strings.Contains(got, "No scenario of the policy is open to you") {
			t.Error(got)
		}
		r.dir.set(func() { r.dir.delay = time.Hour })
		begun := time.Now()
		if got := command(t, r.bob, "/breakglass help"); !strings.Contains(got, "could not be looked up") || !strings.Contains(got, "emergency") ||
			!strings.Contains(got, "offline Identity Center is down: sealed IAM user: not offered yet") {
			t.Error(got)
		}
		if took := time.Since(begun); took > 2*time.Second {
			t.Errorf("help took %v", took)
		}
	})
}

func TestHistory(t *testing.T) {
	inBubble(t, example(t, nil), func(t *testing.T, r *rig) {
		if got := command(t, r.alice, "/access history"); !strings.Contains(got, "not asked for anything") {
			t.Error(got)
		}
		match(t, r, "UALICE", "")
		for range mostHistory + 3 {
			record(t, r, "alice", "ec2", "prod-wealth", store.Pending)
		}
		bobs := record(t, r, "bob", "ec2", "prod-wealth", store.Pending)
		got := command(t, r.alice, "/access history")
		if strings.Count(got, "BG-") != mostHistory || strings.Contains(got, string(bobs.ID)) {
			t.Errorf("%d lines:\n%s", strings.Count(got, "BG-"), got)
		}
	})
}

func TestCommandsOfGuests(t *testing.T) {
	inBubble(t, example(t, nil), func(t *testing.T, r *rig) {
		r.UpdateUser("UEVE", func(u *slacktwin.User) { u.Restricted = true })
		record(t, r, "bob", "ec2", "prod-wealth", store.Active)
		for _, line := range []string{"/access status", "/access end", "/access history", "/access help", "/breakglass help", "/access ticket BG-1001 OPS-1"} {
			if got := command(t, r.eve, line); !strings.Contains(got, "Guests") || strings.Contains(got, "BG-") {
				t.Errorf("%s: %s", line, got)
			}
		}
	})
}

func TestPrefill(t *testing.T) {
	p := example(t, nil)
	for line, want := range map[string]draft{
		"":                             {},
		"ec2":                          {Scenario: "ec2"},
		"EC2 PROD-CASH 90m":            {Scenario: "ec2", Account: "prod-cash", Duration: "1h30m"},
		"emer prod-w":                  {Scenario: "emergency", Account: "prod-wealth"},
		"ec2 100000000004 45 minutes":  {Scenario: "ec2", Account: "prod-cash", Duration: "45m"},
		"prod-cash":                    {Account: "prod-cash"},
		"ec2 2h":                       {Scenario: "ec2", Duration: "2h"},
		"eks prod-wealth 1 hour 30min": {Scenario: "eks", Account: "prod-wealth", Duration: "1h30m"},
	} {
		got, strange := prefill(p, fields(line))
		if got != want || strange != "" {
			t.Errorf("%q: %+v, %q", line, got, strange)
		}
	}
	for line, want := range map[string]string{
		"e": "e", "nope": "nope", "ec2 prod": "prod", "ec2 prod-cash soon": "soon", "ec2 ec2": "ec2", "ec2 prod-cash 1h more": "1h", "vpn": "vpn", "ec2 0s": "0s",
	} {
		if _, strange := prefill(p, fields(line)); strange != want {
			t.Errorf("%q: %q was not understood, not %q", line, strange, want)
		}
	}
}

func TestReadDuration(t *testing.T) {
	for s, want := range map[string]time.Duration{
		"90m": 90 * time.Minute, "1h30m": 90 * time.Minute, "45 minutes": 45 * time.Minute, " 2 Hours ": 2 * time.Hour, "1 hour, 5 min": 65 * time.Minute,
		"90s": 90 * time.Second, "1d": 24 * time.Hour,
	} {
		if got, ok := readDuration(s); !ok || got != want {
			t.Errorf("%q is %v, %v", s, got, ok)
		}
	}
	for _, s := range []string{"", "90", "m", "1.5h", "-1h", "1h-", "59s", "1y", "999999d", "9999999999999999999h", "h1", "soon", "1h\x00", "１h"} {
		if d, ok := readDuration(s); ok {
			t.Errorf("%q is %v", s, d)
		}
	}
}

func TestHome(t *testing.T) {
	inBubble(t, example(t, nil), func(t *testing.T, r *rig) {
		must(t, r.bob.OpenHome(t.Context()))
		settle()
		if v := r.bob.Home(); v == nil || !strings.Contains(v.PlainText(), "no running session") {
			t.Fatalf("the page is %+v", v)
		}
		waits := record(t, r, "alice", "ec2", "prod-9squid", store.Pending)
		running := record(t, r, "bob", "ec2", "prod-cash", store.Active)
		own := record(t, r, "bob", "console", "prod-cash", store.Pending)
		r.h.Refresh(t.Context(), "UBOB", "UBOB", "UALICE", "nobody")
		settle()
		v := r.bob.Home()
		text := v.PlainText()
		if !strings.Contains(text, "Needs your decision") || !strings.Contains(text, string(waits.ID)) {
			t.Errorf("the page:\n%s", text)
		}
		if got := strings.Join(v.Buttons(), ", "); got != "Request access, Approve, Deny, End now, Cancel request" {
			t.Errorf("buttons: %s", got)
		}
		must(t, r.bob.ClickHome(t.Context(), "Approve", -1))
		must(t, r.bob.ClickHome(t.Context(), "End now", -1))
		must(t, r.bob.ClickHome(t.Context(), "Cancel request", -1))
		settle()
		var got []string
		for _, c := range clicks(t, r) {
			got = append(got, c.Kind+" "+string(c.Request)+c.Channel)
		}
		if want := fmt.Sprintf("approve %s, end %s, cancel %s", waits.ID, running.ID, own.ID); strings.Join(got, ", ") != want {
			t.Errorf("recorded %v, not %s", got, want)
		}
		must(t, r.bob.ClickHome(t.Context(), "Deny", -1))
		settle()
		if v := r.bob.View(); v == nil || v.CallbackID != callbackDeny {
			t.Error("Deny opens no form")
		}
		must(t, r.bob.CloseAll(t.Context()))
		must(t, r.bob.ClickHome(t.Context(), "Request access", -1))
		settle()
		if v := r.bob.View(); v == nil || v.CallbackID != callbackRequest {
			t.Error("Request access opens no form")
		}
		// Requests that somebody has decided on are theirs no more.
		_, err := r.db.Touch(store.By{Actor: store.Bot(), At: time.Now()}, waits.ID, store.Pending, func(c *store.Change) error {
			c.Request.Decisions = []store.Decision{{By: store.Person{SlackID: "UBOB", UserID: "aws-bob"}, Approved: true}}
			return nil
		})
		must(t, err)
		r.h.Refresh(t.Context(), "UBOB")
		settle()
		if text := r.bob.Home().PlainText(); strings.Contains(text, "Needs your decision") {
			t.Errorf("the page:\n%s", text)
		}
	})
}

func TestHomeOfAGuest(t *testing.T) {
	inBubble(t, example(t, nil), func(t *testing.T, r *rig) {
		r.UpdateUser("UEVE", func(u *slacktwin.User) { u.Restricted = true })
		record(t, r, "bob", "ec2", "prod-cash", store.Active)
		must(t, r.eve.OpenHome(t.Context()))
		settle()
		if v := r.eve.Home(); v == nil || !strings.Contains(v.PlainText(), "Guests") || strings.Contains(v.PlainText(), "BG-") {
			t.Errorf("the page: %+v", v)
		}
	})
}
