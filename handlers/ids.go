// Package handlers reads people and writes blocks: a file for each thing a person does, and every message and view a pure function of
// what the store says.
//
// It must not decide who may (workflows/policy does) nor do anything to AWS. It turns what Slack delivers into calls of
// workflows, and what workflows wants said into messages that keep Slack's limits. It implements bot.Handler, and
// workflows.People and workflows.Speaker.
package handlers

// What Slack sends back to us: action ids of buttons and fields, callback ids of forms. A button's value is the request's id, with the place of an
// extension after a slash where it is about one, or a month, and nothing more; whatever else comes back is not trusted. They are stable: messages posted
// by an older version keep working.
const (
	actionApprove = "approve"
	actionDeny    = "deny"
	actionCancel  = "cancel"
	actionEnd     = "end"
	actionTicket  = "ticket"
	actionRequest = "request" // App Home and help: opens the form
	actionRevoke  = "revoke"
	actionExtend  = "extend"
	actionLonger  = "extend_approve" // BG-1042/0: the word for the request's first extension
	actionNoMore  = "extend_deny"

	actionMortem      = "post_mortem"
	actionWaiveMortem = "waive_post_mortem" // closes the case without it
	actionWaiveTicket = "waive_ticket"
	actionReview      = "reviewed" // its value is a month, as 2026-10

	callbackRequest     = "breakglass_request"      // the form; also the global shortcut
	callbackFromMessage = "breakglass_from_message" // the message shortcut
	callbackDeny        = "breakglass_deny"
	callbackTicket      = "breakglass_ticket"
	callbackRevoke      = "breakglass_revoke"
	callbackExtend      = "breakglass_extend"
	callbackNoMore      = "breakglass_extend_deny"
	callbackLock        = "breakglass_lockdown"
	callbackUnlock      = "breakglass_lockdown_lift"
	callbackMortem      = "breakglass_post_mortem"
	callbackWaive       = "breakglass_waive"
)
