package handlers

import (
	"fmt"
	"strings"

	"github.com/slack-go/slack"

	"breakglass/store"
	"breakglass/workflows"
)

// withoutEnd says that access was opened without one of the three ends, and what that means. In the incidents channel it says whose.
func withoutEnd(n store.Notice, r store.Request) message {
	var w words
	if n.Data["incidents"] != "" {
		w = w.bold(string(r.ID)).say(": ").who(r.Requester).say(" has ").grant(r)
		if !r.ExpiresAt.IsZero() {
			w = w.say(" until ").date(r.ExpiresAt, dateForm)
		}
		w = w.say(". ")
	}
	if n.Data["stands"] != "" { // what an emergency did not wait for is there
		return oneLiner(r, "every end stands now", w.say("The guard that was missing is written: IAM refuses this session after its end."))
	}
	w = w.say("Not every end of this session stands: " + reasonOf(or(n.Data["why"], r.Ends.Why)))
	switch {
	case !r.Ends.Guard && r.Group == "":
		w = w.say(" IAM will not refuse it after its end: once the bot has taken it away, credentials already taken work on for up to the session duration.")
	case !r.Ends.Schedules && r.Role == "":
		w = w.say(" No schedule stands by: if the bot is gone when it ends, it stays until the bot is back")
		if r.Ends.Guard {
			w = w.say(", and IAM refuses its use meanwhile")
		}
		w = w.say(".")
	}
	if !r.Ends.Guard && !r.Ends.Schedules {
		w = w.say(" The bot alone ends it: see that it runs then, or end it by hand.")
	}
	return oneLiner(r, "opened without every end standing", w)
}

// withLine says in the lead's thread how a request stands that was granted along with it.
func withLine(n store.Notice, r store.Request) message {
	id, what := oneLine(n.Data["id"], 40), oneLine(n.Data["granted"], limitName)
	kind := map[string]string{"group": "membership of group ", "set": "permission set ", "role": "role "}[n.Data["kind"]]
	w := say("Along with it: " + kind).bold(what)
	if id != "" {
		w = w.say(" (").their(id, 40).say(")")
	}
	text := "granted along with it: " + inert(what, limitName)
	switch n.Data["state"] {
	case "active":
		w = w.say(" is open.")
		if n.Data["kind"] == "group" {
			w = w.say(" AWS may take up to an hour to make the membership count.")
		}
		text += " is open"
	case "failed":
		w = w.say(" could not be opened: " + reasonOf(n.Data["why"]) + " The session itself goes on.")
		text += " could not be opened"
	case "ended":
		w = w.say(" has ended.")
		if n.Data["kind"] == "group" {
			w = w.say(" " + slowRemoval)
		}
		text += " has ended"
	default:
		w = w.say(": " + oneLine(or(n.Data["state"], nothingToShow), limitName) + ".")
	}
	return oneLiner(r, text, w)
}

// gone says in the thread that somebody took the access of a session away in AWS.
func gone(r store.Request) message {
	w := words{}.who(r.Requester).say(": AWS no longer lists your ").access(r).
		say(". Breakglass did not take it away: somebody did so in AWS. The session is ended here, and the incidents channel was told. If you still need it, ask anew with ").
		code("/breakglass").say(".")
	return oneLiner(r, "its access is gone in AWS", w)
}

// found is what a reconciliation found in AWS that is not as it must be: what it is, what it means, what was done and what is left to do.
func found(n store.Notice) message {
	head, w, left := finding(n)
	if detail := oneLine(n.Data["detail"], 600); detail != "" {
		w = w.say(" In detail: " + reasonOf(detail))
	}
	blocks := []slack.Block{header(head), paragraph(w)}
	done := words{}.bold("Done: ").say(reasonOf(or(n.Data["done"], "nothing yet")))
	if left != "" {
		done = done.say("\n").bold("To do: ").say(left)
	}
	text := head
	if at := subjectText(n); at != "" {
		text += ": " + inert(at, limitName)
	}
	return message{text: text, blocks: append(blocks, paragraph(done))}
}

// subjectText is what a finding is about, by its name and its account.
func subjectText(n store.Notice) string {
	granted, account := oneLine(n.Data["granted"], limitName), oneLine(n.Data["account"], limitName)
	if granted != "" && account != "" {
		return granted + " on " + account
	}
	return or(granted, account)
}

// subjectOf is the same in a sentence.
func (w words) subjectOf(n store.Notice) words {
	granted, account := oneLine(n.Data["granted"], limitName), oneLine(n.Data["account"], limitName)
	switch {
	case granted == "" && account == "":
		return w.say("something Breakglass grants")
	case granted == "":
		return w.bold(account)
	case account == "":
		return w.say("group ").code(granted)
	}
	return w.code(granted).say(" on ").bold(account)
}

// finding has the words for each kind, and what is left for people to do.
func finding(n store.Notice) (head string, w words, left string) {
	who := oneLine(or(n.Data["who"], "somebody"), limitName)
	switch n.Data["what"] {
	case workflows.FoundUnexplained:
		return "Access that no request explains", words{}.bold(who).say(" has ").subjectOf(n).
				say(", and no request of Breakglass explains it. Somebody gave it by hand, or a list of what may stand is not up to date."),
			"ask them and whoever administers Identity Center. Take it away there, or add it to reconcile.standing of the policy if it is meant to stand."
	case workflows.FoundAnchor:
		return "An anchor group has a member", words{}.bold(who).say(" is a member of ").subjectOf(n).
				say(". The group must stay empty: it only keeps roles in place, and whoever is in it has the access without any request."),
			"take them out of it in Identity Center, under Groups, and find out who put them in."
	case workflows.FoundGuard:
		return "A guard did not say what it must", say("The guard policy of ").subjectOf(n).
				say(" was changed by somebody else, or is not there. It is what makes IAM refuse sessions after their end."),
			"look in CloudTrail for who changed it (CreatePolicyVersion, SetDefaultPolicyVersion, PutRolePolicy)."
	case workflows.FoundFence:
		return "A fence did not say what it must", say("The fence of ").subjectOf(n).
				say(" was changed by somebody else, or is not there. It is what keeps a session from undoing its own end."),
			"look in CloudTrail for who changed it, and at what the sessions open meanwhile have done."
	case workflows.FoundSchedule:
		return "The schedules in AWS were not as they must be", say("A dead man's schedule for ").subjectOf(n).whose(n).
				say(" was missing, or one stood there that belongs to nobody. They take access away if the bot is gone."),
			"look in CloudTrail for who changed the schedules, if it was not Breakglass."
	case workflows.FoundVanished:
		return "The access of a session is gone", words{}.bold(who).say(" had ").subjectOf(n).
				say(" by a request that is still running, and AWS no longer lists it. Somebody took it away in AWS, not here."),
			"tell them. If it was a mistake they ask anew with /breakglass."
	}
	return "Something in AWS is not as it must be", words{}.subjectOf(n).whose(n).say(fmt.Sprintf(" (%s).", oneLine(or(n.Data["what"], "not said what"), limitName))), ""
}

func (w words) whose(n store.Notice) words {
	if s := oneLine(n.Data["who"], limitName); s != "" {
		return w.say(" of ").bold(s)
	}
	return w
}

// shellsEnded is how many open shells were ended with a session, and that others may still be open where nobody could look; "" for neither.
func shellsEnded(n store.Notice, r store.Request) string {
	s := shellsCounted(n, r)
	if unseen := unseenShells(n, r); unseen != "" {
		s += " " + unseen
	}
	return s
}

// unseenShells says where and why open shells could not be looked for. A shell outlives the credentials it was opened with.
func unseenShells(n store.Notice, r store.Request) string {
	why := or(n.Data["no_look"], r.Ends.NoLook)
	if why == "" {
		return ""
	}
	return "Open shells (SSM sessions) could not be looked for everywhere, so some may still be open: " + reasonOf(why) +
		" Whoever administers the account can find them in Session Manager, and end them."
}

func shellsCounted(n store.Notice, r store.Request) string {
	k := r.Ends.Shells
	if s := strings.TrimSpace(n.Data["shells"]); s != "" {
		if _, err := fmt.Sscan(s, &k); err != nil {
			return ""
		}
	}
	switch {
	case k <= 0:
		return ""
	case k == 1:
		return " 1 open shell (SSM session) was ended with it."
	}
	return fmt.Sprintf(" %d open shells (SSM sessions) were ended with it.", k)
}

// stillOpen is what an end does not reach, where this end took the access away at all.
func stillOpen(n store.Notice, r store.Request) string {
	if r.Standing || n.Data["standing"] != "" || n.Data["shared"] != "" || r.GrantedAt.IsZero() {
		return ""
	}
	return " " + reached(r)
}
