package handlers

import (
	"strings"

	"github.com/slack-go/slack"

	"breakglass/store"
)

// shortForm is what can be said of any message in the simplest form there is. It is rich_text like the messages themselves: an edit that
// takes all rich_text away is refused (block_mismatch).
func shortForm(n store.Notice, m message) message {
	s := "Something about " + oneLine(string(n.Request), 40) + " could not be shown (" + oneLine(n.Kind, 40) + "). See /access status."
	if t := strings.TrimSpace(flatten(m)); t != "" {
		s = t
	}
	return message{text: inert(s, 300), blocks: []slack.Block{paragraph(say(oneLine(s, 600)))}}
}

// flatten is the text of a message without its form.
func flatten(m message) string {
	var b strings.Builder
	add := func(es []slack.RichTextSectionElement) {
		for _, e := range es {
			if t, ok := e.(*slack.RichTextSectionTextElement); ok {
				b.WriteString(t.Text)
			}
			if t, ok := e.(*slack.RichTextSectionDateElement); ok && t.Fallback != nil {
				b.WriteString(*t.Fallback)
			}
			if t, ok := e.(*slack.RichTextSectionUserElement); ok {
				b.WriteString(t.UserID)
			}
		}
		b.WriteString(" ")
	}
	for _, bl := range m.blocks {
		switch bl := bl.(type) {
		case *slack.HeaderBlock:
			b.WriteString(bl.Text.Text + ". ")
		case *slack.RichTextBlock:
			for _, e := range bl.Elements {
				if sec, ok := e.(*slack.RichTextSection); ok {
					add(sec.Elements)
				}
			}
		}
	}
	return b.String()
}
