package handlers

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"breakglass/store"
	"breakglass/workflows"
)

const blind = "us-west-2 did not answer (RequestCanceled), eu-west-1: AccessDeniedException <ssm:DescribeSessions>"

// halted is a request that somebody stopped after it had its word.
func halted(why string) store.Request {
	r := in(store.Failed)
	r.End = store.End{Why: "failed", By: store.Somebody(carol), At: noon.Add(5 * time.Minute), Note: "Stopped by Carol Cole before access was opened: " + why + "."}
	return r
}

// partly are the messages about ends that do not all stand, credentials that are refused, and what was stopped.
func partly(all map[string]message, f setting) {
	full := in(store.Active)
	full.Ends = store.Ends{Schedules: true, Full: true, Why: "the guard of Forge-Prod-BreakGlass-EC2 has no room for another line"}
	all["card-active-full"] = card(full, f)
	all["pass-full"] = pass(full, f)
	all["thread-ends-full"], _ = threadLine(store.Notice{Kind: workflows.NoticeEnds, Data: map[string]string{"why": full.Ends.Why}}, full, f)
	all["card-active-unguarded"] = card(unwritten(), f)

	back := in(store.Active)
	back.Ends.Anew = true
	all["pass-anew"] = pass(back, f)
	console := back
	console.Guide, console.PermissionSet = guideConsole, "Forge-Prod-ReadOnly"
	all["pass-anew-console"] = pass(console, f)
	role := admin(store.Active)
	role.Ends.Anew = true
	all["pass-role-anew"] = pass(role, f)

	unseen := in(store.Reported)
	unseen.Ends.NoLook, unseen.Ends.Shells, unseen.Readings = blind, 1, []store.Reading{reading()}
	all["card-ended-no-look"] = card(unseen, f)
	all["direct-goodbye-no-look"] = goodbye(store.Notice{}, unseen)
	all["thread-ended-no-look"], _ = threadLine(store.Notice{Kind: workflows.NoticeEnded, Data: map[string]string{"no_look": blind}}, in(store.Revoked), f)
	all["thread-summary-no-look"], _ = threadLine(store.Notice{Kind: workflows.NoticeSummary, Data: map[string]string{"reading": "0"}}, unseen, f)

	r := halted("wrong <account>, *sorry* <!channel>")
	n := store.Notice{Kind: workflows.NoticeFailed, Data: map[string]string{"why": r.End.Note}}
	all["card-stopped"] = card(r, f)
	all["thread-stopped"], _ = threadLine(n, r, f)
	all["direct-result-stopped"] = result(r, r.End.Note)
	r = halted(strings.Repeat("It is a long story. ", 40))
	n.Data["why"] = r.End.Note
	all["thread-stopped-long"], _ = threadLine(n, r, f)
}

// Old credentials are no way in: the way to new ones comes first, and the commands do not sign in twice.
func TestAnewComesFirst(t *testing.T) {
	r := guided("", nil)
	r.Ends.Anew = true
	var lines []string
	for _, b := range pass(r, forgeSetting()).blocks {
		lines = append(lines, string(indented(t, b)))
	}
	text := strings.Join(lines, "")
	first, last := strings.Index(text, "aws sso logout"), strings.Index(text, "[profile bg-1042]")
	if first < 0 || last < first || strings.Count(text, "aws sso login") != 1 || !strings.Contains(text, "aws sso login --sso-session breakglass\"") {
		t.Errorf("the way in:\n%s", text)
	}
	if r.Ends.Anew = false; len(anew(r)) != 0 {
		t.Error("everybody is told to sign in anew")
	}
	group := member(store.Active)
	group.Ends.Anew = true
	if len(anew(group)) != 0 {
		t.Error("a group has no credentials of its own")
	}
}

// What was approved and is not open yet can be stopped: by others on the card, by its requester by command.
func TestStopBeforeItOpens(t *testing.T) {
	inBubble(t, example(t, nil), func(t *testing.T, r *rig) {
		q := record(t, r, "alice", "ec2", "prod-9squid", store.Approved)
		ts := show(t, r, q)
		must(t, r.bob.Click(t.Context(), r.ops, ts, "Revoke"))
		settle()
		if v := r.bob.View(); v == nil || !strings.Contains(v.PlainText(), "before it is opened") || strings.Contains(v.PlainText(), "credentials already taken") {
			t.Fatalf("the form is %+v", v)
		}
		fill(t, r.bob, "Reason", "wrong account")
		if errs := submit(t, r.bob); len(errs) > 0 || r.bob.View() != nil {
			t.Fatalf("the form is refused: %v", errs)
		}
		if got := command(t, r.alice, "/access end"); !strings.Contains(got, "stopped before it is opened") {
			t.Error(got)
		}
		if got := command(t, r.alice, "/access end "+string(q.ID)); !strings.Contains(got, "stopped before it is opened") {
			t.Error(got)
		}
		end := store.Click{Kind: store.ClickEnd, Request: q.ID, SlackID: "UALICE", TeamID: "T0000TWIN", Channel: r.ops}
		revoke := store.Click{Kind: store.ClickRevoke, Request: q.ID, SlackID: "UBOB", TeamID: "T0000TWIN", Channel: r.ops, TS: ts, Text: "wrong account"}
		if diff := cmp.Diff([]store.Click{revoke, end, end}, clicks(t, r), anyKey); diff != "" {
			t.Error(diff)
		}
		waits := record(t, r, "alice", "ec2", "prod-cash", store.Pending)
		if got := command(t, r.alice, "/access end "+string(waits.ID)); !strings.Contains(got, "not a running session") {
			t.Error(got)
		}
	})
}

// An extension that waits for a word stands on the page of those who were asked, until they have spoken.
func TestHomeHasExtensions(t *testing.T) {
	inBubble(t, extendable(t), func(t *testing.T, r *rig) {
		q := record(t, r, "alice", "ec2", "prod-9squid", store.Active) // Bob was asked
		put := func(x store.Extension) {
			_, err := r.db.Touch(store.By{Actor: store.Bot(), At: time.Now()}, q.ID, store.Active, func(c *store.Change) error {
				c.Request.Extensions = []store.Extension{wish(store.ExtensionDenied), x}
				return nil
			})
			must(t, err)
			r.h.Refresh(t.Context(), "UBOB", "UALICE")
			settle()
		}
		put(wish(store.ExtensionAsked))
		text := r.bob.Home().PlainText()
		if !strings.Contains(text, "Needs your decision") || !strings.Contains(text, "30 minutes more") {
			t.Errorf("the page:\n%s", text)
		}
		if text := r.alice.Home().PlainText(); strings.Contains(text, "Needs your decision") {
			t.Errorf("she decides on her own:\n%s", text)
		}
		must(t, r.bob.ClickHome(t.Context(), "Approve", -1))
		must(t, r.bob.ClickHome(t.Context(), "Deny", -1))
		settle()
		if v := r.bob.View(); v == nil || v.CallbackID != callbackNoMore {
			t.Errorf("Deny opens %+v", v)
		}
		want(t, r, store.Click{Kind: store.ClickLonger, Request: q.ID, Number: 1, SlackID: "UBOB"})
		said, free := wish(store.ExtensionAsked), wish(store.ExtensionAsked)
		said.Decisions, free.NoWord = []store.Decision{{By: store.Person{SlackID: "UBOB"}, Approved: true}}, true
		for name, x := range map[string]store.Extension{"spoken": said, "nobody's": free, "approved": wish(store.ExtensionApproved)} {
			put(x)
			if text := r.bob.Home().PlainText(); strings.Contains(text, "Needs your decision") {
				t.Errorf("%s:\n%s", name, text)
			}
		}
	})
}
