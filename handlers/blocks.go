package handlers

import (
	"net/url"
	"strings"
	"time"

	"github.com/slack-go/slack"

	"breakglass/store"
)

// message is what is posted or edited: blocks for those who look, and a text for notifications, screen readers and old clients.
type message struct {
	text   string // mrkdwn, made of inert pieces and our own tokens
	blocks []slack.Block
}

// words are the elements of one rich_text section. All our sentences are made of them: names and dates are typed elements and
// text is only text, so there is nothing to escape and nothing to forget.
type words []slack.RichTextSectionElement

// say begins a sentence of our own.
func say(s string) words { return words{}.say(s) }

// say adds text of our own. Slack refuses an element without text, so an empty one is left out, here and in the next two.
func (w words) say(s string) words {
	if s == "" {
		return w
	}
	return append(w, slack.NewRichTextSectionTextElement(s, nil))
}

// bold is our own text, or a short name, in bold.
func (w words) bold(s string) words {
	if s == "" {
		return w
	}
	return append(w, slack.NewRichTextSectionTextElement(s, &slack.RichTextSectionTextStyle{Bold: true}))
}

// code sets what people copy or compare by eye: ids, names of roles, error codes.
func (w words) code(s string) words {
	if s == "" {
		return w
	}
	return append(w, slack.NewRichTextSectionTextElement(s, &slack.RichTextSectionTextStyle{Code: true}))
}

// their is user text inside a sentence.
func (w words) their(s string, most int) words { return w.say(oneLine(s, most)) }

// who names a person: a mention where we know their Slack account, else their name.
func (w words) who(p store.Person) words {
	if isUser(p.SlackID) {
		return append(w, slack.NewRichTextSectionUserElement(p.SlackID, nil))
	}
	return w.bold(oneLine(p.Label(), limitName))
}

// by names whoever caused something: a person, an operator on the machine, or the bot.
func (w words) by(a store.Actor) words {
	if a.Who == store.APerson {
		return w.who(a.Person)
	}
	return w.bold(oneLine(a.Label(), limitName))
}

// date is a time that each reader sees in their own zone. Slack takes none before 1970, the zero time among them.
func (w words) date(t time.Time, form string) words {
	if t.Unix() <= 0 {
		return w.say(noTime)
	}
	fallback := utc(t)
	return append(w, slack.NewRichTextSectionDateElement(t.Unix(), form, nil, &fallback))
}

// channel names a channel; where its id is not known the sentence stays whole.
func (w words) channel(id string) words {
	if !isChannel(id) {
		return w.say("the channel")
	}
	return append(w, slack.NewRichTextSectionChannelElement(id, nil))
}

// link is a link with our own words on it. What is no https address stays text: the words only.
func (w words) link(address, on string) words {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || u.Host == "" || width(address) > limitSection {
		return w.say(on)
	}
	return append(w, slack.NewRichTextSectionLinkElement(address, on, nil))
}

// more appends one sentence to another.
func (w words) more(v words) words { return append(w, v...) }

// paragraph is one block with one sentence or several. Slack refuses an empty one.
func paragraph(w words) slack.Block {
	if len(w) == 0 {
		w = say(nothingToShow)
	}
	return slack.NewRichTextBlock("", slack.NewRichTextSection(w...))
}

// quoted is a block that quotes a person. Their lines stay inside the quote.
func quoted(s string, most int) slack.Block {
	t := manyLines(s, most)
	if t == "" {
		t = nothingToShow
	}
	return slack.NewRichTextBlock("", quote(t))
}

func quote(t string) *slack.RichTextQuote {
	return &slack.RichTextQuote{Type: slack.RTEQuote, Elements: say(t)}
}

// listing is one block of lines to copy: commands, or a file's content. Each line is ours, with its values quoted.
func listing(lines ...string) slack.Block {
	return slack.NewRichTextBlock("", &slack.RichTextPreformatted{
		Type: slack.RTEPreformatted, Elements: say(strings.Join(lines, "\n")),
	})
}

// bullets is a block with one line for each.
func bullets(lines ...words) slack.Block {
	items := make([]slack.RichTextElement, len(lines))
	for i, l := range lines {
		items[i] = slack.NewRichTextSection(l...)
	}
	return slack.NewRichTextBlock("", &bulletList{Type: slack.RTEList, Style: slack.RTEListBullet, Elements: items})
}

// bulletList is a bulleted list of rich text. slack-go's own always writes `offset`, which the types that Slack publishes do not have
// (@slack/types, RichTextList).
type bulletList struct {
	Type     slack.RichTextElementType     `json:"type"`
	Style    slack.RichTextListElementType `json:"style"`
	Elements []slack.RichTextElement       `json:"elements"`
}

// RichTextElementType makes it an element of rich text.
func (l *bulletList) RichTextElementType() slack.RichTextElementType { return l.Type }

// header is the first thing a phone shows of a message: the id and where things stand, nothing a person typed.
func header(s string) slack.Block { return slack.NewHeaderBlock(plain(s, limitHeader)) }

// small is a line in small grey type, of user text and our own.
func small(lines ...string) slack.Block {
	var es []slack.MixedElement
	for _, l := range lines {
		if l != "" && len(es) < limitContext {
			es = append(es, plain(l, limitField))
		}
	}
	return slack.NewContextBlock("", es...)
}

// button makes a button. label is what a screen reader says instead of its one word.
func button(action, text string, id store.ID, label string) *slack.ButtonBlockElement {
	b := slack.NewButtonBlockElement(action, string(id), plain(text, limitButton))
	b.AccessibilityLabel = oneLine(label, limitButton)
	return b
}

// confirm is the dialog that stands before a button that cannot be taken back.
func confirm(title, text, yes string) *slack.ConfirmationBlockObject {
	return slack.NewConfirmationBlockObject(
		plain(title, 100), plain(text, limitConfirm), plain(yes, 30), plain("Go back", 30))
}

// actions is a row of buttons. Slack wants each action id once in it.
func actions(bs ...*slack.ButtonBlockElement) slack.Block {
	es := make([]slack.BlockElement, len(bs))
	for i, b := range bs {
		es[i] = b
	}
	return slack.NewActionBlock("", es...)
}
