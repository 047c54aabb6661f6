package bot

// Envelopes, with the fields Slack sends.

func envelopeOf(id, outer string, payload any) map[string]any {
	return map[string]any{"envelope_id": id, "type": outer, "payload": payload, "accepts_response_payload": outer == "slash_commands"}
}

func command(id string) map[string]any {
	return envelopeOf(id, "slash_commands", map[string]any{
		"token": "t", "team_id": "T1", "user_id": "U1", "command": "/breakglass", "text": typedText,
		"trigger_id": trigger, "response_url": "https://hooks.slack.com/commands/T1/1/SECRETURL", "is_enterprise_install": "false",
	})
}

func click(id, user, ts string) map[string]any {
	return envelopeOf(id, "interactive", map[string]any{
		"type": "block_actions", "user": map[string]any{"id": user, "team_id": "T1"}, "trigger_id": trigger,
		"response_url": "https://hooks.slack.com/actions/T1/1/SECRETURL",
		"container":    map[string]any{"type": "message", "message_ts": "1700000000.000100", "channel_id": "C1"},
		"actions":      []any{map[string]any{"type": "button", "block_id": "b", "action_id": "approve", "value": "BG-1", "action_ts": ts}},
	})
}

func submission(id string, withInput bool) map[string]any {
	blocks := []any{map[string]any{"type": "section", "block_id": "head", "text": map[string]any{"type": "mrkdwn", "text": "x"}}}
	if withInput {
		blocks = append(blocks, map[string]any{
			"type": "input", "block_id": "reason", "label": map[string]any{"type": "plain_text", "text": "Reason"},
			"element": map[string]any{"type": "plain_text_input", "action_id": "reason"},
		})
	}
	return envelopeOf(id, "interactive", map[string]any{
		"type": "view_submission", "user": map[string]any{"id": "U1"}, "trigger_id": trigger,
		"view": map[string]any{"id": "V1", "type": "modal", "hash": "1.a", "blocks": blocks, "state": map[string]any{
			"values": map[string]any{"reason": map[string]any{"reason": map[string]any{"type": "plain_text_input", "value": typedText}}},
		}},
	})
}

func homeOpened(id, eventID string) map[string]any {
	return envelopeOf(id, "events_api", map[string]any{
		"type": "event_callback", "team_id": "T1", "api_app_id": "A1", "event_id": eventID,
		"event": map[string]any{"type": "app_home_opened", "user": "U1", "channel": "D1", "tab": "home", "event_ts": "1.2"},
	})
}
