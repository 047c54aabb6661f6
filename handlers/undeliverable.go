package handlers

import (
	"errors"
	"net/http"
	"time"

	"github.com/slack-go/slack"

	"breakglass/store"
)

// Undeliverable is why something could not be said. Get it with errors.As.
type Undeliverable struct {
	// Permanent: the same message will be refused again until somebody changes something in Slack or in the policy. It is
	// false for everything that may pass by itself: rate limits, faults on Slack's side, a network that is away.
	Permanent  bool
	RetryAfter time.Duration // how long Slack wants to be left alone; 0 where it did not say
	Code       string        // Slack's error code, or one of ours; "" for the network
	Kind       string        // of the notice
	err        error
}

func (u *Undeliverable) Error() string {
	return "deliver " + u.Kind + ": " + u.err.Error()
}

func (u *Undeliverable) Unwrap() error { return u.err }

// undeliverable gives every error of a delivery its class.
func undeliverable(n store.Notice, err error) *Undeliverable {
	if u, ok := errors.AsType[*Undeliverable](err); ok {
		u.Kind = n.Kind
		return u
	}
	u := &Undeliverable{Kind: n.Kind, Code: slackCode(err), err: err}
	u.Permanent = permanent(u.Code)
	if limit, ok := errors.AsType[*slack.RateLimitedError](err); ok {
		u.RetryAfter = limit.RetryAfter
	}
	return u
}

// slackCode is the code with which Slack refused a call, "" where it did not get as far as that.
func slackCode(err error) string {
	if r, ok := errors.AsType[slack.SlackErrorResponse](err); ok {
		return r.Err
	}
	if limit, ok := errors.AsType[*slack.RateLimitedError](err); ok && limit != nil {
		return "ratelimited"
	}
	if status, ok := errors.AsType[slack.StatusCodeError](err); ok {
		return http.StatusText(status.Code)
	}
	return ""
}

// permanent says which refusals stay. A code that is not known here may pass: trying in vain is better than losing a message.
// Source: the error tables of chat.postMessage, chat.update, chat.postEphemeral and conversations.open.
func permanent(code string) bool {
	switch code {
	case "channel_not_found", "is_archived", "not_in_channel", "user_not_in_channel", "restricted_action",
		"restricted_action_read_only_channel", "restricted_action_thread_only_channel", "restricted_action_non_threadable_channel",
		"restricted_action_thread_locked", "channel_type_not_supported", "not_allowed_in_dm",
		"invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired", "missing_scope", "no_permission",
		"not_allowed_token_type", "access_denied", "ekm_access_denied", "team_access_not_granted", "two_factor_setup_required",
		"user_not_found", "user_not_visible", "user_disabled", "users_not_found", "cannot_dm_bot", "messages_tab_disabled",
		"invalid_users", "invalid_user_combination", "missing_argument", "invalid_arguments", "invalid_arg_name", "invalid_channel",
		"no_dual_broadcast_content_update", "thread_not_found", "unknown_notice":
		return true
	}
	return malformed(code)
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

// uneditable says which refusals of chat.update mean that this message will never be edited again. Its channel may still be
// written to.
func uneditable(code string) bool {
	switch code {
	case "message_not_found", "cant_update_message", "edit_window_closed", "is_inactive", "block_mismatch",
		"cannot_update_bot_message", "channel_not_found", "thread_not_found":
		return true
	}
	return false
}
