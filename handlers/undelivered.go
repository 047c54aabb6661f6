package handlers

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/slack-go/slack"

	"breakglass/store"
	"breakglass/workflows"
)

// repairPause is how long a message waits for somebody to put something right: to invite the bot again, to give it a token that works.
const repairPause = time.Minute

// undelivered gives every error of a delivery its class. Three things matter to the engine: whether the message can ever be delivered (else
// it is dropped), whether it certainly does not stand (else it may stand twice), and how long to wait.
func undelivered(n store.Notice, err error) *workflows.Undelivered {
	if u, ok := errors.AsType[*workflows.Undelivered](err); ok {
		return u
	}
	err = fmt.Errorf("deliver %s: %w", n.Kind, err)
	u := &workflows.Undelivered{Err: err}
	if limit, ok := errors.AsType[*slack.RateLimitedError](err); ok {
		u.Certain, u.After = true, limit.RetryAfter
		return u
	}
	if _, ok := errors.AsType[*store.Refusal](err); ok { // of a mail that SES will not take
		u.Permanent, u.Certain = true, true
		return u
	}
	if code := slackCode(err); code != "" {
		u.Certain = !vague(code)
		u.Permanent = hopeless(code) || malformed(code)
		if repairable(code) {
			u.After = repairPause
		}
		return u
	}
	if dial, ok := errors.AsType[*net.OpError](err); ok && dial.Op == "dial" {
		u.Certain = true
	}
	return u
}

// slackCode is the code with which Slack refused a call, "" where it gave none: a rate limit, a fault of its own, no answer.
func slackCode(err error) string {
	if r, ok := errors.AsType[slack.SlackErrorResponse](err); ok {
		return r.Err
	}
	return ""
}

// hopeless says which refusals no time and no repair will change, because they are about the one person a message is for.
// Everything not listed here or in malformed may pass: trying in vain is better than losing a message.
// Source of all the codes in this file: the error tables of chat.postMessage, chat.update, chat.postEphemeral and conversations.open.
func hopeless(code string) bool {
	switch code {
	case "user_not_found", "users_not_found", "user_not_visible", "user_disabled", "cannot_dm_bot", "invalid_users", "invalid_user_combination",
		"missing_argument", "invalid_arguments", "invalid_arg_name":
		return true
	}
	return false
}

// repairable says which refusals last until somebody changes something in Slack or in the policy, and no longer. The message
// waits for that: a channel that the bot was put out of by mistake gets everything once it is invited again.
func repairable(code string) bool {
	switch code {
	case "invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired", "missing_scope", "no_permission",
		"not_allowed_token_type", "access_denied", "ekm_access_denied", "team_access_not_granted", "two_factor_setup_required",
		"messages_tab_disabled", "channel_type_not_supported":
		return true
	}
	return closed(code)
}

// closed says which refusals are about a channel as a whole.
func closed(code string) bool {
	switch code {
	case "channel_not_found", "is_archived", "not_in_channel", "restricted_action", "restricted_action_read_only_channel",
		"restricted_action_thread_only_channel", "restricted_action_non_threadable_channel", "restricted_action_thread_locked":
		return true
	}
	return false
}

// malformed says which refusals find fault with the message itself.
func malformed(code string) bool {
	switch code {
	case "invalid_blocks", "invalid_blocks_format", "msg_too_long", "msg_blocks_too_long", "no_text", "block_mismatch",
		"invalid_attachments", "too_many_attachments", "metadata_too_large", "invalid_metadata_format", "invalid_metadata_schema":
		return true
	}
	return false
}

// vague says which refusals leave open whether something was done.
func vague(code string) bool {
	switch code {
	case "internal_error", "fatal_error", "service_unavailable", "request_timeout":
		return true
	}
	return false
}

// uneditable says which refusals of chat.update mean that this message will never be edited again, while its channel can still be
// written to.
func uneditable(code string) bool {
	switch code {
	case "message_not_found", "cant_update_message", "edit_window_closed", "is_inactive", "block_mismatch":
		return true
	}
	return false
}

// noEphemeral says which refusals mean that this person cannot be shown a message in this channel.
func noEphemeral(code string) bool {
	return code == "user_not_in_channel" || code == "messages_tab_disabled" || closed(code)
}
