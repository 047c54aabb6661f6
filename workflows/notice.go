package workflows

// Kinds of notices: what people are told. The facts are in the request and in Notice.Data; handlers has the words.
//
// Messages that are posted once and edited through the life of a request (Notice.Message is not empty):
const (
	NoticeCard = "card" // the one message of a request, in the requests channel
	NoticeAsk  = "ask"  // direct message to an approver (To), with the same buttons; they vanish with the decision
	NoticePass = "pass" // direct message to the requester: how to get in, End now; ends with the session
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
)
