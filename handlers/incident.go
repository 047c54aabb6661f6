package handlers

import (
	"strings"
	"time"

	"github.com/slack-go/slack"

	"breakglass/store"
	"breakglass/workflows"
)

// incident is a message to a channel that stands outside any request's thread. ok is false for a kind that is none.
func incident(n store.Notice, r store.Request, f setting) (m message, ok bool) {
	switch n.Kind {
	case workflows.NoticeTierZero:
		return tierZero(r, f), true
	case workflows.NoticeStuck:
		return stuck(n, r, f), true
	case workflows.NoticeUnstuck:
		return unstuck(n, r), true
	case workflows.NoticeTicketOut:
		return ticketOut(r), true
	case workflows.NoticePolicy:
		return policyChanged(n), true
	case workflows.NoticePerson:
		return personChanged(n), true
	case workflows.NoticeChannel:
		return channelRenamed(n), true
	case workflows.NoticeLockdown:
		return lockdownTold(n), true
	case workflows.NoticeFound:
		return found(n), true
	case workflows.NoticeEnds:
		return withoutEnd(n, r), true
	case workflows.NoticeWitness:
		return witness(n), true
	case workflows.NoticeArchive:
		return archiveFault(n), true
	case workflows.NoticeRolled:
		return rolledBack(n), true
	case workflows.NoticeMoved:
		return archiveMoved(n), true
	}
	return message{}, false
}

// tierZero is the price of access without a second person: everybody in the incidents channel knows at once.
func tierZero(r store.Request, f setting) message {
	blocks := []slack.Block{header(string(r.ID) + ": access without anybody's word")}
	blocks = append(blocks, about(r, f)...)
	w := say("Nobody has to approve this. ")
	switch {
	case r.ExpiresAt.IsZero():
		w = w.say("Access is opened now and ends after ").bold(sayDuration(r.Duration)).say(".")
	default:
		w = w.say("Access ends ").date(r.ExpiresAt, dateForm).say(".")
	}
	if f.requests != "" {
		w = w.say(" All else is in ").channel(f.requests).say(".")
	}
	blocks = append(blocks, paragraph(w.say("\n"+reach(r, f))), small(identity(r)))
	return message{
		text:   string(r.ID) + ": " + named(r.Requester) + " opens " + accessText(r) + " without anybody's word: " + inert(r.Reason, 200),
		blocks: blocks,
	}
}

// stuck is the alarm that matters most: somebody may have access past its end. It carries the way out for a person with rights of
// their own, because the bot's may be what is broken.
func stuck(n store.Notice, r store.Request, f setting) message {
	since, _ := time.Parse(time.RFC3339, n.Data["since"])
	w := words{}.who(r.Requester).say(" may still have ").grant(r).say(". Its end began").on(r.End.At).say(": ").ending(r.End).say(". AWS has not done it").onSince(since).
		say(": " + reasonOf(or(n.Data["error"], r.Work.Error)) + " It is tried until it is done.")
	if r.Ends.Guard {
		w = w.say(" Its guard stands, so IAM refuses what is still tried with it.")
	}
	how, command := byHand(r, f)
	return message{
		text: string(r.ID) + ": " + accessText(r) + " cannot be taken away",
		blocks: []slack.Block{
			header(string(r.ID) + ": access is not taken away"),
			paragraph(w),
			paragraph(say(how)),
			listing(manyLines(or(n.Data["command"], command), 1500)),
			paragraph(say("Breakglass sees that by itself. Only where it cannot ask AWS at all, vouch for it:")),
			listing("breakglass force-close " + shellQuote(string(r.ID)) + " --verified 'HOW YOU MADE SURE'"),
		},
	}
}

// byHand is how a person does what the bot cannot get through. Source: AWS CLI reference, sso-admin delete-account-assignment, identitystore
// delete-group-membership, iam update-assume-role-policy.
func byHand(r store.Request, f setting) (how, command string) {
	switch {
	case r.Group != "":
		return "If it cannot wait, take the user out of the group in IAM Identity Center, under Groups, or by:",
			"aws identitystore get-group-membership-id --identity-store-id '<IDENTITY_STORE_ID>' --group-id '<ID_OF_" + quoteless(oneLine(r.Group, limitName)) +
				">' --member-id " + shellQuote("UserId="+oneLine(r.Requester.UserID, limitName)) +
				"\naws identitystore delete-group-membership --identity-store-id '<IDENTITY_STORE_ID>' --membership-id '<MEMBERSHIP_ID>'"
	case r.Role != "":
		return "If it cannot wait, take the statement that names " + string(r.ID) + " out of the role's trust policy in IAM, in account " + oneLine(r.Account.ID, 20) + ", or by:",
			"aws iam get-role --role-name " + shellQuote(oneLine(r.Role, limitName)) + " --query Role.AssumeRolePolicyDocument > trust.json" +
				"\naws iam update-assume-role-policy --role-name " + shellQuote(oneLine(r.Role, limitName)) + " --policy-document file://trust.json"
	}
	return "If it cannot wait, take the user's assignment away in IAM Identity Center, under AWS accounts, or by:", byHandAssignment(r, f)
}

// quoteless keeps a name inside single quotes that are not its own.
func quoteless(s string) string { return strings.ReplaceAll(s, "'", "") }

func byHandAssignment(r store.Request, f setting) string {
	return "aws sso-admin delete-account-assignment --region " + shellQuote(or(oneLine(f.ssoRegion, 40), "<REGION>")) +
		" --instance-arn " + shellQuote(or(oneLine(f.instance, 200), "<INSTANCE_ARN>")) +
		" --permission-set-arn '<ARN_OF_" + quoteless(oneLine(r.PermissionSet, limitName)) + ">'" +
		" --target-type AWS_ACCOUNT --target-id " + shellQuote(oneLine(r.Account.ID, 20)) +
		" --principal-type USER --principal-id " + shellQuote(oneLine(r.Requester.UserID, limitName))
}

// unstuck takes the alarm back. Without it people go on looking.
func unstuck(n store.Notice, r store.Request) message {
	w := words{}.bold(string(r.ID)).say(": what ").who(r.Requester).say(" had, ").access(r).say(",")
	if forced := n.Data["forced"]; forced != "" {
		w = w.say(" is closed by an operator's word: ").say(reasonOf(forced))
	} else {
		w = w.say(" is gone after all").on(r.EndedAt).say(".")
	}
	return message{text: string(r.ID) + ": " + accessText(r) + " is gone after all", blocks: []slack.Block{paragraph(w)}}
}

// ticketOut escalates a ticket that never came. The session is not touched for it.
func ticketOut(r store.Request) message {
	w := words{}.bold(string(r.ID)).say(": ").who(r.Requester).say(" had ").access(r).say(" and has not given the ticket that was owed").on(r.TicketBy).say(".")
	m := message{text: string(r.ID) + ": the ticket is missing", blocks: []slack.Block{paragraph(w), quoted(r.Reason, limitReason)}}
	if owesTicket(r) {
		m.blocks = append(m.blocks, actions(ticketButton(r)))
	}
	return m
}

// policyChanged shows what is different, so that a change nobody knows of is seen by those it governs.
func policyChanged(n store.Notice) message {
	hash := oneLine(n.Data["hash"], 13) // enough of it to compare by eye
	blocks := []slack.Block{paragraph(say("The policy changed. Requests and decisions go by ").code(hash).say(" from now on; open sessions are as they were."))}
	if diff := manyLines(n.Data["diff"], limitSection-100); diff != "" {
		blocks = append(blocks, listing(diff))
	}
	return message{text: "The policy changed: " + inert(hash, 64), blocks: blocks}
}

// personChanged is either a clean-up in a directory or somebody trying to become another person: people have to tell which.
func personChanged(n store.Notice) message {
	w := say("The Slack account ").who(store.Person{SlackID: n.Data["slack"], Name: n.Data["slack"]}).
		say(" now matches another AWS user than before, and is refused until the policy's identities name one: it was ").
		code(oneLine(or(n.Data["was"], nothingToShow), limitName)).say(", it is ").code(oneLine(or(n.Data["is"], nothingToShow), limitName)).say(".")
	return message{text: "A Slack account matches another AWS user than before, and is refused", blocks: []slack.Block{paragraph(w)}}
}

// channelRenamed: the bot follows the id, so nothing moves, but the name in the policy now misleads its readers.
func channelRenamed(n store.Notice) message {
	w := say("This channel was ").bold("#" + oneLine(or(n.Data["was"], nothingToShow), limitName)).say(" and is ").
		bold("#" + oneLine(or(n.Data["is"], nothingToShow), limitName)).say(". Breakglass goes on in it; change the name in the policy as well.")
	return message{text: "A channel of Breakglass has a new name", blocks: []slack.Block{paragraph(w)}}
}
