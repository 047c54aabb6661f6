package slacktwin

import (
	"fmt"
	"slices"
)

// lintAttachments checks legacy attachments and the blocks in them.
func lintAttachments(atts []any) []problem {
	l := &lint{on: onMessage, blockIDs: map[string]bool{}}
	items(0, maxAttachments, attachment)(l, "/attachments", atts)
	return l.problems
}

// attachment: the legacy fields (docs: "Reference: Secondary message attachments"), interactive ones among them.
func attachment(l *lint, ptr string, v any) {
	words, long, url := may(text(0, 3000)), may(text(0, 8000)), may(text(0, 3000))
	table := fields{"color": words, "fallback": long, "pretext": long, "text": long, "title": words, "title_link": url,
		"author_name": words, "author_link": url, "author_icon": url, "author_subname": words, "author_id": words,
		"image_url": url, "thumb_url": url, "footer": may(text(0, 300)), "footer_icon": url, "ts": may(anything),
		"mrkdwn_in": may(items(0, 10, text(0, 255))), "markdown_in": may(items(0, 10, text(0, 255))),
		"attachment_type": may(oneOf("default")), "callback_id": may(text(1, 255)), "id": may(anything),
		"fields": may(items(0, 100, attachmentField)), "actions": may(items(0, 5, attachmentAction)),
		"blocks":       may(func(l *lint, ptr string, v any) { items(0, messageBlocks, block)(l, ptr, v) }),
		"service_name": words, "service_icon": url, "from_url": url, "original_url": url}
	if !l.object(ptr, v, table) {
		return
	}
	if len(list(v, "actions")) > 0 && str(v, "callback_id") == "" {
		l.bad(ptr, "missing required field: callback_id")
	}
}

func attachmentField(l *lint, ptr string, v any) {
	l.object(ptr, v, fields{"title": may(text(0, 3000)), "value": may(text(0, 8000)), "short": may(boolean)})
}

// attachmentAction is a legacy button or menu.
func attachmentAction(l *lint, ptr string, v any) {
	switch kind := str(v, "type"); kind {
	case "button", "select":
	default:
		l.bad(ptr+"/type", "unsupported type: %s", kind)
		return
	}
	l.object(ptr, v, fields{"name": must(text(1, 300)), "text": must(text(1, 300)), "style": may(oneOf("default", "primary", "danger", "")),
		"value": may(text(0, 2000)), "url": may(text(0, 3000)), "id": may(anything), "data_source": may(anything),
		"options": may(items(1, 100, legacyOption)), "confirm": may(legacyConfirm)})
}

func legacyOption(l *lint, ptr string, v any) {
	l.object(ptr, v, fields{"text": must(text(1, 75)), "value": must(text(1, 2000)), "description": may(text(0, 75))})
}

func legacyConfirm(l *lint, ptr string, v any) {
	l.object(ptr, v, fields{"title": may(text(0, 100)), "text": must(text(1, 300)), "ok_text": may(text(0, 30)), "dismiss_text": may(text(0, 30))})
}

// lintSubmissionAck checks the answer to a view_submission against the view it is for.
func lintSubmissionAck(body, ack obj) []problem {
	l := &lint{}
	if len(ack) == 0 {
		return nil
	}
	action := str(ack, "response_action")
	table := fields{"response_action": must(oneOf("clear", "update", "push", "errors"))}
	switch action {
	case "errors":
		table["errors"] = must(anything)
	case "update", "push":
		table["view"] = must(anything)
	}
	if !l.object("", ack, table) || len(l.problems) > 0 {
		return l.problems
	}
	switch action {
	case "errors":
		l.ackErrors(body, ack["errors"])
	case "update", "push":
		v, _ := ack["view"].(obj)
		if err := checkView(v); err != nil {
			l.bad("/view", "%s", err.Error())
		} else if str(v, "type") != "modal" {
			l.bad("/view/type", "must be modal")
		}
	}
	return l.problems
}

// ackErrors: each key is the block id of an input block, each value a text. Anything else and the person sees nothing
// but "We had some trouble connecting".
func (l *lint) ackErrors(body obj, v any) {
	errs, ok := v.(obj)
	if !ok || len(errs) == 0 {
		l.bad("/errors", "must provide an object with at least one error")
		return
	}
	var inputs []string
	for _, b := range list(body, "blocks") {
		if str(b, "type") == "input" {
			inputs = append(inputs, str(b, "block_id"))
		}
	}
	for block, said := range errs {
		if !slices.Contains(inputs, block) {
			l.bad("/errors/"+block, "is not the block_id of an input block")
		}
		text(1, 2000)(l, "/errors/"+block, said)
	}
}

// lintOptionsAck checks the answer to a block_suggestion.
func lintOptionsAck(ack obj) []problem {
	l := &lint{}
	if (ack["options"] == nil) == (ack["option_groups"] == nil) {
		return []problem{{"", "must define either `options` or `option_groups`"}}
	}
	l.object("", ack, fields{"options": may(items(0, 100, option(false, false))), "option_groups": may(items(0, 100, optionGroup))})
	return l.problems
}

// lintSlashAck checks the message in the acknowledgement of a slash command.
func lintSlashAck(ack obj) []problem {
	l := &lint{on: onMessage, blockIDs: map[string]bool{}}
	l.object("", ack, fields{"text": may(text(0, textTruncated)), "response_type": may(oneOf("ephemeral", "in_channel")),
		"blocks": may(items(0, messageBlocks, block)), "attachments": may(items(0, maxAttachments, attachment)),
		"mrkdwn": may(boolean), "unfurl_links": may(boolean), "unfurl_media": may(boolean), "thread_ts": may(text(0, 64)),
		"replace_original": may(boolean), "delete_original": may(boolean), "metadata": may(anything), "parse": may(text(0, 64)),
		"link_names": may(anything)})
	if str(ack, "text") == "" && len(list(ack, "blocks")) == 0 && len(list(ack, "attachments")) == 0 {
		l.bad(fmt.Sprintf("/%s", "text"), "no_text")
	}
	return l.problems
}
