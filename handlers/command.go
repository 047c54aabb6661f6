package handlers

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"unicode"

	"github.com/slack-go/slack"

	"breakglass/store"
	"breakglass/workflows/policy"
)

// The commands, as Slack sends them.
const (
	commandForm   = "/breakglass"
	commandAccess = "/access"
)

// private is the answer to a command: a message that only the person sees who typed it. It travels in the acknowledgement.
type private struct {
	ResponseType string        `json:"response_type"`
	Text         string        `json:"text"`
	Blocks       []slack.Block `json:"blocks,omitempty"`
}

// privately makes an answer within Slack's limits: blocks that no longer fit into an acknowledgement are left out, and it says so.
func privately(text string, blocks ...slack.Block) *private {
	p := &private{ResponseType: slack.ResponseTypeEphemeral, Text: cut(text, limitTop)}
	size := len(text) + 200
	for i, b := range blocks {
		raw, err := json.Marshal(b)
		if size += len(raw) + 1; err != nil || size > mostAck || i == limitBlocks-1 && len(blocks) > limitBlocks {
			p.Blocks = append(p.Blocks, note(fmt.Sprintf("… and %d more that do not fit here.", len(blocks)-i)))
			break
		}
		p.Blocks = append(p.Blocks, b)
	}
	return p
}

// sorry is a sentence as an answer.
func sorry(why string) *private { return privately(inert(why, limitTop), note(why)) }

// Command answers a slash command. Everything it shows comes from the store and the policy, so it answers while AWS does not.
func (h *Handlers) Command(ctx context.Context, c slack.SlashCommand) (any, error) {
	if p := h.answer(ctx, c); p != nil {
		return p, nil
	}
	return nil, nil
}

func (h *Handlers) answer(ctx context.Context, c slack.SlashCommand) *private {
	if !isUser(c.UserID) || !h.home.admits(c.TeamID) {
		return sorry(strangerOther().Why)
	}
	words := fields(c.Text)
	// The form asks about the channel while it is being filled, so that it opens at once. All else asks first.
	shared, _ := h.people.glanceShared(c.ChannelID)
	if shared || c.Command != commandForm && h.inSharedChannel(ctx, c.ChannelID) {
		return sorry(sharedRefusal().Why)
	}
	switch c.Command {
	case commandForm:
		return h.breakglass(ctx, c, words)
	case commandAccess:
		return h.access(ctx, c, words)
	}
	return h.help(ctx, c, oneLine(c.Command, 40)+" is no command of Breakglass.")
}

// mostWords bounds what is read of a command; mostWord a single word of it.
const (
	mostWords = 20
	mostWord  = 200
)

// fields are the words of a command. Slack's clients put other spaces and curly quotes into what is pasted.
func fields(text string) []string {
	text = strings.Map(func(c rune) rune {
		switch c {
		case '“', '”', '"', '`':
			return -1
		}
		if unicode.IsSpace(c) {
			return ' '
		}
		return c
	}, cut(text, mostTyped))
	words := strings.Fields(text)
	unescape := strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&") // as should_escape has it
	for i := range words {
		words[i] = cut(unescape.Replace(words[i]), mostWord)
	}
	return words[:min(len(words), mostWords)]
}

// breakglass opens the form, filled in as far as the words say.
func (h *Handlers) breakglass(ctx context.Context, c slack.SlashCommand, words []string) *private {
	if len(words) == 1 && isHelp(words[0]) {
		return h.help(ctx, c, "")
	}
	d, strange := prefill(h.policy(), words)
	if strange != "" {
		return h.help(ctx, c, fmt.Sprintf("“%s” was not understood.", oneLine(strange, 60)))
	}
	err := h.openForm(ctx, clicker{user: c.UserID, team: c.TeamID, channel: c.ChannelID}, c.TriggerID, d)
	if err != nil {
		h.log.Warn("cannot open the form", "err", err)
		return sorry("The form could not be opened. Type /breakglass again.")
	}
	return nil
}

func isHelp(word string) bool {
	w := strings.ToLower(word)
	return w == "help" || w == "?" || w == "--help" || w == "-h"
}

// prefill reads SCENARIO [ACCOUNT [DURATION]]. Whoever leaves the scenario out is understood as well. strange is the first word that is none of
// them. Whether this person may ask for it is not said here: nobody has looked yet.
func prefill(p *policy.Policy, words []string) (d draft, strange string) {
	for i := 0; i < len(words); i++ {
		w := words[i]
		if s, ok := named1(p.Scenarios, w, func(s policy.Scenario) string { return s.Name }); ok && d.Scenario == "" {
			d.Scenario = s.Name
			continue
		}
		if a, ok := accountWord(p, w); ok && d.Account == "" {
			d.Account = a.Name
			continue
		}
		if d.Duration == "" {
			if t, ok := readDuration(strings.Join(words[i:], " ")); ok { // "45 minutes" are two words
				d.Duration = spell(t)
				return d, ""
			}
		}
		return draft{}, w
	}
	return d, ""
}

func accountWord(p *policy.Policy, w string) (policy.Account, bool) {
	if a, ok := p.AccountByID(w); ok {
		return a, true
	}
	return named1(p.Accounts, w, func(a policy.Account) string { return a.Name })
}

// named1 finds the one thing of that name: the name itself in any case, else the only one that begins with it.
func named1[V any](all []V, word string, name func(V) string) (found V, ok bool) {
	w := asciiLower(word)
	n := 0
	for _, v := range all {
		switch have := asciiLower(name(v)); {
		case have == w:
			return v, true
		case w != "" && strings.HasPrefix(have, w):
			found = v
			n++
		}
	}
	return found, n == 1
}

// access is the other command: a verb, then what it is about.
func (h *Handlers) access(ctx context.Context, c slack.SlashCommand, words []string) *private {
	verb := "status"
	if len(words) > 0 {
		verb, words = strings.ToLower(words[0]), words[1:]
	}
	if isHelp(verb) {
		return h.help(ctx, c, "")
	}
	if err := h.member(ctx, c.UserID); err != nil {
		return sorry(h.sentence("identify who asks", err))
	}
	switch verb {
	case "status":
		return h.status(c, words)
	case "end":
		return h.end(ctx, c, words)
	case "ticket":
		return h.addTicket(ctx, c, words)
	case "history":
		return h.history(c)
	case "extend":
		return h.extend(ctx, c, words)
	case "lockdown":
		return h.lockdown(ctx, c, words)
	}
	return h.help(ctx, c, fmt.Sprintf("“%s” was not understood.", oneLine(verb, 60)))
}

// member refuses everybody who may not even look.
func (h *Handlers) member(ctx context.Context, slackID string) error {
	_, err := h.people.glance(ctx, slackID)
	return err
}

// own says whether a request is this Slack account's, or that of the person it was matched to.
func own(r store.Request, slackID, userID string) bool {
	return r.Requester.SlackID == slackID || userID != "" && r.Requester.UserID == userID
}

// userOf is whom a Slack account was matched to; not to know it only hides what another account of theirs asked for.
func (h *Handlers) userOf(slackID string) string {
	id, err := h.people.UserOf(slackID)
	if err != nil {
		h.log.Warn("cannot read whom an account was matched to", "err", err)
	}
	return id
}

// end ends a session of one's own.
func (h *Handlers) end(ctx context.Context, c slack.SlashCommand, words []string) *private {
	if len(words) > 1 {
		return sorry("Write /access end, or /access end and the session, as /access end BG-1042.")
	}
	if len(words) == 1 {
		id, err := store.ParseID(words[0])
		if err != nil {
			return sorry(fmt.Sprintf("“%s” is not a request: they look like BG-1042.", oneLine(words[0], 60)))
		}
		r, err := h.book.Request(id)
		if err != nil {
			return sorry(h.sentence("read a request", err))
		}
		if why := notEndable(r); why != "" {
			return sorry(why)
		}
		return h.endOne(ctx, c, r)
	}
	mine, err := h.running(c.UserID)
	if err != nil {
		return sorry(h.sentence("read the sessions", err))
	}
	switch len(mine) {
	case 0:
		return sorry("You have no running session.")
	case 1:
		return h.endOne(ctx, c, mine[0])
	}
	blocks := []slack.Block{note("You have several sessions. Which one?")}
	for _, r := range mine {
		blocks = append(blocks, paragraph(sessionLine(r)), actions(endButton(r)))
	}
	return privately("You have several sessions. Which one?", blocks...)
}

// endOne hands in the end of a session, or of one that is about to be opened.
func (h *Handlers) endOne(ctx context.Context, c slack.SlashCommand, r store.Request) *private {
	done := fmt.Sprintf("%s is being ended. Its thread says when the access is gone.", r.ID)
	if r.State == store.Approved {
		done = fmt.Sprintf("%s is being stopped before it is opened. Its thread says when that is done.", r.ID)
	}
	return h.handIn(ctx, c, store.Click{Kind: store.ClickEnd, Request: r.ID}, done)
}

// running are somebody's sessions, and those about to be opened.
func (h *Handlers) running(slackID string) (mine []store.Request, err error) {
	open, err := h.book.Open()
	user := h.userOf(slackID)
	for _, r := range open {
		if own(r, slackID, user) && notEndable(r) == "" {
			mine = append(mine, r)
		}
	}
	return mine, err
}

// addTicket adds a ticket by words.
func (h *Handlers) addTicket(ctx context.Context, c slack.SlashCommand, words []string) *private {
	if len(words) != 2 {
		return sorry("Write /access ticket, the request and the ticket, as /access ticket BG-1042 OPS-7.")
	}
	id, err := store.ParseID(words[0])
	if err != nil {
		return sorry(fmt.Sprintf("“%s” is not a request: they look like BG-1042.", oneLine(words[0], 60)))
	}
	if why := h.ticketFault(id, words[1]); why != "" {
		return sorry(why)
	}
	return h.handIn(ctx, c, store.Click{Kind: store.ClickTicket, Request: id, Text: words[1]},
		fmt.Sprintf("The ticket is being added to %s. Its thread says so when it is done.", id))
}

// handIn records what a command asks for, like a click.
func (h *Handlers) handIn(ctx context.Context, c slack.SlashCommand, k store.Click, done string) *private {
	k.Key = "command:" + cmp.Or(c.TriggerID, reference())
	k.SlackID, k.TeamID, k.Channel, k.At = c.UserID, c.TeamID, c.ChannelID, h.now()
	if err := h.desk.Receive(ctx, k); err != nil {
		return sorry(h.sentence("record a command", err) + " Nothing was recorded.")
	}
	return sorry(done)
}
