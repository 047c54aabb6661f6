package handlers

import (
	"context"
	"time"

	"github.com/slack-go/slack"

	"breakglass/store"
)

// mostReview bounds the figures of a month in the channel; a whole message holds about 13,000 characters.
const mostReview = 8000

// review is the message about a month in the requests channel. It is edited once: when somebody has looked through it.
func review(n store.Notice) message {
	month := monthName(n.Data["month"])
	m := message{text: "Access review of " + inert(month, limitName), blocks: []slack.Block{header("Access review: " + month)}}
	text := neutral(n.Data["text"], true)
	if text == "" {
		text = "The figures of this month are not at hand."
	}
	m.blocks = append(m.blocks, paragraph(say(cut(text, mostReview))))
	if width(text) > mostReview {
		m.blocks = append(m.blocks, small("It is cut short here. The whole review stands in the archive."))
	}
	if by := n.Data["by"]; by != "" {
		at, _ := time.Parse(time.RFC3339, n.Data["at"])
		m.text += ": reviewed by " + inert(by, limitName)
		m.blocks = append(m.blocks, paragraph(words{}.bold("Reviewed").say(" by ").bold(oneLine(by, limitName)).on(at).say(".")))
		return m
	}
	if isMonth(n.Data["month"]) {
		m.text += ": waiting for a reviewer"
		m.blocks = append(m.blocks, small("Whoever has looked through it presses Reviewed: their name and the time go into the log."), actions(reviewButton(n.Data["month"])))
	}
	return m
}

func reviewButton(month string) *slack.ButtonBlockElement {
	b := button(actionReview, "Reviewed", store.ID(month), "Record that you have reviewed "+monthName(month)).WithStyle(slack.StylePrimary)
	b.Confirm = confirm("Reviewed "+monthName(month)+"?", "You say that you have looked through this month. Your name and the time are recorded, and stay.", "Reviewed")
	return b
}

// isMonth says whether s is a month as 2026-10, and nothing else.
func isMonth(s string) bool {
	t, err := time.Parse("2006-01", s)
	return err == nil && t.Format("2006-01") == s
}

// monthName is a month for people, as October 2026.
func monthName(s string) string {
	if t, err := time.Parse("2006-01", s); err == nil && isMonth(s) {
		return t.Format("January 2006")
	}
	return or(oneLine(s, 40), "a month that is not known")
}

// reviewed takes the click. Who may is decided afterwards.
func (h *Handlers) reviewed(ctx context.Context, in *slack.InteractionCallback, a *slack.BlockAction, key string) error {
	if !isMonth(a.Value) {
		h.tell(clickerOf(in), in, "This button does not belong to any month.")
		return nil
	}
	return h.take(ctx, in, key, store.Click{Kind: store.ClickReview, Text: a.Value})
}
