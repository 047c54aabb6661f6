package workflows

// Kinds of notices: what people are told. The facts are in the request and in Notice.Data; handlers has the words.
//
// Messages that are posted once and edited through the life of a request (Notice.Message is not empty):
const (
	NoticeCard = "card" // the one message of a request, in the requests channel
	NoticeAsk  = "ask"  // direct message to an approver (To), with the same buttons; they vanish with the decision
	NoticePass = "pass" // direct message to the requester: how to get in, End now; ends with the session
	// In the thread: an extension that is asked for, with Approve and Deny, then what became of it. Data "number": place in request.Extensions.
	// Its Message is "extension" and the number; with To, the same as a direct message to an approver.
	NoticeExtension = "extension"
)

// Lines in the thread of a request.
const (
	NoticeAsked     = "asked"          // whom we asked by direct message (request.Asked); Data "no_manager", "silent": why fewer
	NoticeReminder  = "reminder"       // approvers are mentioned again; Data "left": time until it expires
	NoticeDecided   = "decided"        // the newest of request.Decisions; Data "missing": whose word is still needed
	NoticeGranted   = "granted"        // access was verified; Data "standing", "shared" (id of another session with the same access)
	NoticeFailed    = "failed"         // the grant failed, nothing was created; Data "why"
	NoticeEnding    = "ending"         // revocation has begun; request.End says why
	NoticeEnded     = "ended"          // absence was verified; Data "shared", "standing"
	NoticeOver      = "over"           // request ended without access: cancelled or expired
	NoticeTicket    = "ticket"         // a ticket was added
	NoticeNoTicket  = "no_ticket"      // the ticket is missing and its time is over (thread; also sent to the incidents channel)
	NoticeSummary   = "summary"        // a reading; Data "reading": index in request.Readings
	NoticeUncertain = "uncertain"      // a grant or a revocation takes long; Data "error"
	NoticeLate      = "late"           // it was announced as not working, and now is done
	NoticeAskTicket = "ask_ticket"     // direct message to the requester (To): the ticket is still missing; Data "by"
	NoticeResult    = "result"         // direct message to the requester (To): denied, expired, failed
	NoticeWarning   = "warning"        // direct message to the requester (To): ten minutes left
	NoticeGoodbye   = "goodbye"        // direct message to the requester (To): access has ended
	NoticeRefusal   = "refusal"        // to the person who clicked (To), where they clicked (Data "channel"); Data "why"
	NoticeTold      = "told"           // direct message to somebody `notify` names (To); Data "when": begin | end
	NoticeTierZero  = "tier_zero"      // incidents channel: access without anybody's word
	NoticeStuck     = "stuck"          // incidents channel: a revocation still fails; Data "error", "since", "command"
	NoticeUnstuck   = "unstuck"        // incidents channel: it is done after all
	NoticeTicketOut = "ticket_missing" // incidents channel: the ticket never came
	NoticePolicy    = "policy"         // requests channel: the policy changed; Data "hash", "diff" (lines)
	NoticePerson    = "person"         // incidents channel: a Slack account matches another AWS user than before; Data "slack", "was", "is"
	NoticeMail      = "mail"           // e-mail; To: addresses, comma separated; Data "what": tier_zero | begin | end
	NoticeChannel   = "channel"        // requests channel: a pinned channel changed its name; Data "was", "is"
	NoticeExtended  = "extended"       // the session ends later: request.ExpiresAt; Data "number"
	NoticeEnds      = "ends"           // thread and incidents channel: access was opened without one of the three ends; Data "why", "incidents": true in the channel
	NoticeWith      = "with"           // thread of the lead: how a request granted along with it stands; Data "id", "granted", "kind": group | set | role, "state": active | failed | ended, "why"

	NoticeLockdown = "lockdown" // requests and incidents channel: everything is being ended, or may begin again; Data "by" (label), "why", "lift": true, "ended": how many sessions, "channel": requests | incidents

	// Incidents channel: what a reconciliation found. Data "what" (one of Found), "account" (name or id), "granted", "who" (label), "detail", "done": what was done about it, for people.
	NoticeFound = "found"
	NoticeGone  = "vanished" // thread: the assignment of a session is gone behind our back
)

// Evidence, and what is owed for it.
const (
	NoticeAskMortem = "ask_post_mortem" // direct message to the requester (To), with Write post-mortem; Data "by": RFC 3339, "late": true once its time is over
	NoticeMortem    = "post_mortem"     // thread: it was written (request.PostMortem)
	NoticeNoMortem  = "no_post_mortem"  // thread: its time is over, and the manager hears of it; Data "manager": label, or "" where nobody can be found
	NoticeOwed      = "owed"            // direct message to the requester's manager (To), with Close without it; Data "what": store.OwedPostMortem or OwedTicket
	NoticeWaived    = "waived"          // thread: the newest of request.Waived
	NoticeOwing     = "owing"           // thread, with Write post-mortem: the session has ended and a post-mortem is owed; Data "by": RFC 3339
	NoticeReview    = "review"          // requests channel, with Reviewed; Message "review 2026-10"; Data "month", "text": the figures in lines, "by": who reviewed it (label), "at"
	NoticeWitness   = "witness"         // requests channel, once a day: Data "note": the checkpoint, "size", "root"
	NoticeArchive   = "archive"         // incidents channel: evidence cannot be put into the archive; Data "error", "since", "waiting": how many parts; or "done": true
	NoticeRolled    = "rolled_back"     // incidents channel: the archive has a checkpoint that is no part of this log; Data "archive", "log": sizes, "why"
	NoticeMoved     = "archive_moved"   // incidents channel: evidence goes to another place from now on; Data "archive", "was"
	NoticeTracker   = "tracker"         // the tracker that the policy names, where the report is added to the ticket; Data "reading"
	NoticeReport    = "report"          // e-mail; To: addresses, comma separated; Data "reading": index of the newest, or "month"
)

// What a reconciliation can find.
const (
	FoundUnexplained = "unexplained" // an assignment of a break-glass permission set, or a member of a granted group, that no request explains
	FoundAnchor      = "anchor"      // an anchor group has a member
	FoundGuard       = "guard"       // a guard did not say what it must
	FoundFence       = "fence"       // a fence did not say what it must
	FoundSchedule    = "schedule"    // a dead man's schedule was missing, or one of nobody's was there
	FoundVanished    = "vanished"    // the assignment of a session is gone
)
