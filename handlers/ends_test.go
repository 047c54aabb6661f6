package handlers

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"breakglass/store"
	"breakglass/workflows"
	"breakglass/workflows/policy"
)

// member is a timed membership of a group, and admin an IAM role, anywhere in their lives.
func member(s store.State) store.Request {
	r := in(s)
	r.ID, r.Scenario, r.Title, r.Guide = "BG-1060", "vpn-prod-wealth", "VPN: Prod-Wealth network", ""
	r.Account, r.Region, r.PermissionSet, r.Answers = store.Account{}, "", "", nil
	r.Group, r.Duration = "grp-forge-vpn-prod-wealth", 4*time.Hour
	r.Guard, r.Ends.Guard = policy.GuardNone, false
	return r
}

func admin(s store.State) store.Request {
	r := in(s)
	r.ID, r.Scenario, r.Title, r.Guide = "BG-1061", "admin-role", "BreakGlassAdminRole: administrator, MFA", "assume-role"
	r.PermissionSet, r.Region, r.Answers = "", "us-east-1", nil
	r.Role, r.IAMUser, r.Duration = "BreakGlassAdminRole", "arn:aws:iam::100000000003:user/people/oncall", time.Hour
	r.Guard, r.Ends.Schedules = policy.GuardNone, false
	return r
}

func wish(s store.ExtensionState) store.Extension {
	x := store.Extension{By: 30 * time.Minute, Reason: "The rollback <is> slow.", State: s, AskedAt: noon.Add(90 * time.Minute), Until: noon.Add(154 * time.Minute)}
	switch s {
	case store.ExtensionApproved, store.ExtensionGranted:
		x.Decisions = []store.Decision{{By: bob, Approved: true, At: noon.Add(95 * time.Minute)}}
	case store.ExtensionDenied:
		x.Decisions = []store.Decision{{By: carol, At: noon.Add(95 * time.Minute), Comment: "Hand over to the day shift."}}
	}
	if s != store.ExtensionAsked {
		x.DoneAt = noon.Add(96 * time.Minute)
	}
	return x
}

func finds() []string {
	return []string{
		workflows.FoundUnexplained, workflows.FoundAnchor, workflows.FoundGuard, workflows.FoundFence, workflows.FoundSchedule, workflows.FoundVanished,
	}
}

// ends are the messages about how access ends, what does not end it, and the other kinds of grant.
func ends(all map[string]message, f setting) {
	room := f
	room.room = 2 * time.Hour
	active := in(store.Active)
	all["card-active-extendable"] = card(active, room)
	all["pass-extendable"] = pass(active, room)
	all["direct-warning-extendable"] = warning(active, room)
	open := active
	open.Ends = store.Ends{Schedules: true, Why: "the guard policy of Forge-Prod-BreakGlass-EC2 is full"}
	all["card-active-no-guard"] = card(open, f)
	all["pass-no-guard"] = pass(open, f)
	known := f
	known.ends = &policy.Ends{Guard: true}
	all["ask-pending-guard"] = ask(asking(), known, "UBOB", policy.Manager)
	known.guard = policy.GuardNone
	all["ask-pending-no-guard"] = ask(asking(), known, "UBOB", policy.Manager)
	along := f
	along.with = []string{"VPN: Prod-Wealth network"}
	all["card-pending-with"] = card(asking(), along)
	led := active
	led.With = []store.ID{"BG-1043"}
	all["card-active-with"] = card(led, along)
	child := member(store.Active)
	child.Lead = "BG-1042"
	all["card-active-led"] = card(child, f)
	otherKinds(all, f)
	wishes(all, room)
	notices(all, f)
	partly(all, f)
}

func oneKind(all map[string]message, f setting, name string, make func(store.State) store.Request) {
	all["card-"+name+"-pending"] = card(make(store.Pending), f)
	all["card-"+name+"-active"] = card(make(store.Active), f)
	all["ask-"+name+"-pending"] = ask(make(store.Pending), f, "UBOB", policy.Manager)
	all["pass-"+name] = pass(make(store.Active), f)
	all["pass-"+name+"-ended"] = pass(make(store.Revoked), f)
	all["direct-warning-"+name] = warning(make(store.Active), f)
	all["direct-goodbye-"+name] = goodbye(store.Notice{}, make(store.Revoked))
	all["direct-told-"+name] = told(make(store.Active), "begin")
	all["direct-result-"+name] = result(make(store.Denied), "")
	for what, kind := range map[string]string{"granted": workflows.NoticeGranted, "ended": workflows.NoticeEnded} {
		state := map[string]store.State{"granted": store.Active, "ended": store.Revoked}[what]
		all["thread-"+what+"-"+name], _ = threadLine(store.Notice{Kind: kind}, make(state), f)
	}
	all["incident-stuck-"+name], _ = incident(store.Notice{Kind: workflows.NoticeStuck, Data: map[string]string{"error": "AccessDeniedException"}}, make(store.Revoking), f)
}

func otherKinds(all map[string]message, f setting) {
	oneKind(all, f, "group", member)
	oneKind(all, f, "role", admin)
}

func wishes(all map[string]message, f setting) {
	for _, s := range []store.ExtensionState{
		store.ExtensionAsked, store.ExtensionApproved, store.ExtensionGranted, store.ExtensionDenied, store.ExtensionLapsed,
	} {
		r := in(store.Active)
		r.Extensions = []store.Extension{wish(s)}
		n := store.Notice{Kind: workflows.NoticeExtension, Data: map[string]string{"number": "0"}}
		all["thread-extension-"+string(s)] = extension(n, r, f)
		n.To = "UBOB"
		all["direct-extension-"+string(s)] = extension(n, r, f)
		all["card-active-extension-"+string(s)] = card(r, f)
	}
	r := in(store.Active)
	r.Extensions = []store.Extension{wish(store.ExtensionGranted)}
	r.ExpiresAt = r.Extensions[0].Until
	all["thread-extended"] = extended(store.Notice{Data: map[string]string{"number": "0"}}, r, f)
	all["direct-extended"] = extended(store.Notice{To: "UALICE", Data: map[string]string{"number": "0"}}, r, setting{})
}

func notices(all map[string]message, f setting) {
	add := func(name, kind string, r store.Request, data map[string]string) {
		n := store.Notice{Kind: kind, Data: data}
		if m, ok := threadLine(n, r, f); ok {
			all["thread-"+name] = m
		} else if m, ok := incident(n, r, f); ok {
			all["incident-"+name] = m
		}
	}
	bare, locked, led := in(store.Active), in(store.Revoking), member(store.Revoked)
	bare.Ends = store.Ends{Why: "IAM did not answer within 10 seconds"}
	locked.End = store.End{Why: store.EndLockdown, By: store.Somebody(carol), At: noon.Add(time.Hour), Note: "a laptop was stolen"}
	led.End = store.End{Why: store.EndLead, By: store.Bot(), At: noon.Add(time.Hour)}
	gone := in(store.Revoking)
	gone.End = store.End{Why: store.EndVanished, By: store.Bot(), At: noon.Add(time.Hour)}
	add("ends", workflows.NoticeEnds, bare, map[string]string{"why": "IAM did not answer within 10 seconds"})
	add("ends", workflows.NoticeEnds, bare, map[string]string{"why": "IAM did not answer within 10 seconds", "incidents": "true"})
	scheduled := in(store.Active)
	scheduled.Ends = store.Ends{Guard: true}
	add("ends-stand", workflows.NoticeEnds, bare, map[string]string{"stands": "true", "incidents": "true"})
	add("ends-no-schedules", workflows.NoticeEnds, scheduled, map[string]string{"why": "BREAKGLASS_DEADMAN_ROLE is not set"})
	for _, state := range []string{"active", "failed", "ended"} {
		add("with-"+state, workflows.NoticeWith, in(store.Active), map[string]string{
			"id": "BG-1043", "granted": "grp-forge-vpn-prod-wealth", "kind": "group", "state": state, "why": "the group is not there",
		})
	}
	add("gone", workflows.NoticeGone, in(store.Revoking), nil)
	add("ending-lockdown", workflows.NoticeEnding, locked, nil)
	add("ending-vanished", workflows.NoticeEnding, gone, nil)
	add("ended-lead", workflows.NoticeEnded, led, nil)
	add("ended-shells", workflows.NoticeEnded, in(store.Revoked), map[string]string{"shells": "2"})
	for _, lift := range []string{"", "true"} {
		add("lockdown"+map[string]string{"true": "-lift"}[lift], workflows.NoticeLockdown, store.Request{}, map[string]string{
			"by": "Carol Cole", "why": "A laptop was <stolen>.", "lift": lift, "ended": "3", "channel": "requests",
		})
	}
	for _, what := range finds() {
		data := map[string]string{"what": what, "account": "prod-wealth", "granted": "Forge-Prod-Emergency", "who": "mallory", "done": "it was put right"}
		switch what {
		case workflows.FoundAnchor:
			data["granted"], data["account"], data["done"] = "grp-forge-breakglass-anchor", "", ""
		case workflows.FoundFence:
			data["granted"], data["detail"] = "", "the statement on roles is missing"
		}
		add("found-"+what, workflows.NoticeFound, store.Request{}, data)
	}
}

// What somebody approves and what they asked for is named, in every message of every kind, and a group is never in an account.
func TestKindsAreNamed(t *testing.T) {
	all := messages()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		group, role := strings.Contains(name, "-group"), strings.Contains(name, "-role")
		if !group && !role || name == "pass-rds-no-role" || strings.HasPrefix(name, "thread-ended") { // the thread is its request's
			continue
		}
		text := flatten(all[name]) + all[name].text
		if group && !strings.Contains(text, "grp-forge-vpn-prod-wealth") || role && !strings.Contains(text, "BreakGlassAdminRole") {
			t.Errorf("%s does not say what it is about: %s", name, text)
		}
		if group && (strings.Contains(text, "()") || strings.Contains(text, " on .") || strings.Contains(text, "Permission set")) {
			t.Errorf("%s speaks of an account: %s", name, text)
		}
	}
}

// What the ends of a session do not reach is said to the approver and to the requester, before and after.
func TestReachIsSaid(t *testing.T) {
	all := messages()
	for name, want := range map[string]string{
		"ask-pending-guard":      openConnections,
		"ask-pending-no-guard":   oldCredentials,
		"ask-pending":            "where the guard stands",
		"pass-ec2":               openConnections,
		"pass-no-guard":          oldCredentials,
		"ask-group-pending":      slowGroup,
		"pass-group":             slowGroup,
		"card-group-pending":     slowGroup,
		"direct-goodbye-group":   slowRemoval,
		"thread-ended-group":     slowRemoval,
		"ask-role-pending":       needsMFA,
		"pass-role":              needsMFA,
		"card-role-active":       "no schedule can act in another account",
		"thread-ended":           openConnections,
		"direct-goodbye":         openConnections,
		"thread-ending":          "IAM is told first to refuse them outright",
		"thread-ended-shells":    "2 open shells",
		"card-active-no-guard":   "is full",
		"direct-warning-group":   slowRemoval,
		"thread-ends":            "The bot alone ends it",
		"thread-ending-lockdown": "lockdown by",
		"card-active-full":       "(its guard is full): a schedule in AWS and the bot",
		"card-active-unguarded":  "(its guard is not written yet)",
		"thread-ends-full":       "IAM will not refuse it after its end",
		"pass-anew-console":      "sign out of the access portal and in again",
		"pass-role-anew":         "Take on the role anew",
		"direct-goodbye-no-look": "may still be open: us-west-2",
		"thread-ended-no-look":   "may still be open: us-west-2",
		"thread-summary-no-look": "may still be open: us-west-2",
		"card-ended-no-look":     "could not be looked for everywhere",
		"direct-result-stopped":  "Stopped by Carol Cole before access was opened: wrong <account>",
	} {
		m, ok := all[name]
		if !ok {
			t.Errorf("no message %s", name)
			continue
		}
		raw := string(indented(t, m.blocks)) // what stands in grey is not in the flattened text
		if !strings.Contains(raw, want) {
			t.Errorf("%s does not say %q: %s", name, want, flatten(m))
		}
	}
	for _, name := range []string{"thread-ended-shared"} {
		if strings.Contains(string(indented(t, all[name].blocks)), "may last") {
			t.Errorf("%s: the access is still there, and what outlives it is not the question", name)
		}
	}
}
