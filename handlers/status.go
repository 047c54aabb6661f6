package handlers

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/slack-go/slack"

	"breakglass/store"
	"breakglass/workflows/policy"
)

// overview is what is going on, sorted for one reader.
type overview struct {
	mine    []store.Request // their running sessions
	others  []store.Request // everybody else's
	waiting []store.Request // for a decision, everybody's
	owed    []store.Request // their cases that are over and still owe something
}

func overviewFor(open []store.Request, slackID, userID string) overview {
	var o overview
	for _, r := range open {
		switch {
		case r.State == store.Pending:
			o.waiting = append(o.waiting, r)
		case owing(r) && own(r, slackID, userID):
			o.owed = append(o.owed, r)
		case r.State != store.Approved && !r.State.MayHaveAccess():
		case own(r, slackID, userID):
			o.mine = append(o.mine, r)
		default:
			o.others = append(o.others, r)
		}
	}
	soonest := func(a, b store.Request) int {
		return cmp.Or(a.ExpiresAt.Compare(b.ExpiresAt), strings.Compare(string(a.ID), string(b.ID)))
	}
	slices.SortStableFunc(o.mine, soonest)
	slices.SortStableFunc(o.others, soonest)
	slices.SortStableFunc(o.owed, soonest)
	return o
}

// sessionLine is who is where until when, on whose word.
func sessionLine(r store.Request) words {
	w := words{}.bold(string(r.ID)).say(" ").who(r.Requester).say(" · ").their(title(r), limitName).where(r)
	switch r.State {
	case store.Active:
		w = w.say(" until ").date(r.ExpiresAt, dateForm)
		if _, x := r.Extending(); x != nil {
			w = w.say(" (" + sayDuration(x.By) + " more asked for)")
		}
	case store.Approved, store.Granting:
		w = w.say(", being opened")
	case store.Revoking:
		w = w.say(", being taken away")
	case store.Pending:
		w = w.say(", since ").date(r.SubmittedAt, dateForm)
	default:
		w = w.say(", " + strings.ToLower(standing(r)))
	}
	if yes := approvals(r); len(yes) > 0 {
		w = w.say(", approved by ").people(yes[:min(len(yes), 3)])
	} else if r.NoWord {
		w = w.say(", no approval needed")
	}
	if s := unrefused(r); s != "" {
		w = w.say("; " + s)
	}
	return w
}

// status shows who is in, then who waits. It asks nobody: it must answer when everything else is down.
func (h *Handlers) status(c slack.SlashCommand, words []string) *private {
	open, err := h.book.Open()
	if err != nil {
		return sorry(h.sentence("read the sessions", err))
	}
	of := ""
	if len(words) > 0 {
		keep, what, ok := h.narrow(words)
		if !ok {
			return sorry(fmt.Sprintf("“%s” is neither a person nor an account of the policy. Write /access status @somebody, or /access status and an account.",
				oneLine(strings.Join(words, " "), 60)))
		}
		open = slices.DeleteFunc(open, func(r store.Request) bool { return !keep(r) })
		of = what
	}
	return statusAnswer(overviewFor(open, c.UserID, h.userOf(c.UserID)), of, h.scene())
}

// narrow reads @user or account. A mention arrives as <@U123|name>, since the command is escaped by Slack.
func (h *Handlers) narrow(words []string) (keep func(store.Request) bool, what string, ok bool) {
	word := strings.Join(words, " ")
	if id, is := userMention(word); is {
		user := h.userOf(id)
		return func(r store.Request) bool { return own(r, id, user) }, " of this person", true
	}
	if len(words) != 1 {
		return nil, "", false
	}
	a, known := accountWord(h.policy(), word)
	if !known {
		a = policy.Account{Name: word, ID: word} // an account that has left the policy can still be in use
	}
	keep = func(r store.Request) bool {
		return r.Account.Name != "" && asciiLower(r.Account.Name) == asciiLower(a.Name) || r.Account.ID == a.ID ||
			r.Group != "" && asciiLower(r.Group) == asciiLower(word)
	}
	if known {
		return keep, " on " + a.Name, true
	}
	open, err := h.book.Open()
	return keep, " on " + oneLine(word, limitName), err == nil && slices.ContainsFunc(open, keep)
}

// userMention reads <@U123> and <@U123|name>.
func userMention(s string) (id string, ok bool) {
	rest, ok := strings.CutPrefix(s, "<@")
	rest, closed := strings.CutSuffix(rest, ">")
	if !ok || !closed {
		return "", false
	}
	id, _, _ = strings.Cut(rest, "|")
	return id, isUser(id)
}

func statusAnswer(o overview, of string, s scene) *private {
	l := sheet{size: 400}
	total := len(o.mine) + len(o.others)
	head := fmt.Sprintf("Who has access now%s: %d. Waiting for a decision: %d.", of, total, len(o.waiting))
	l.add(header("Emergency access" + oneLine(of, limitName)))
	if s.lock.on {
		head = "A lockdown is in force. " + head
		l.add(s.lock.banner()...)
	}
	if total == 0 {
		l.add(note("Nobody has access" + of + "."))
	}
	if len(o.mine) > 0 {
		l.add(note("Your sessions"))
		l.each(o.mine, func(r store.Request) []slack.Block {
			return withActions(sessionLine(r), s.buttons(r))
		})
	}
	if len(o.others) > 0 {
		if len(o.mine) > 0 {
			l.add(note("Everybody else's"))
		}
		if len(o.others) <= mostRevocable {
			l.each(o.others, revocable)
		} else {
			l.list(o.others)
		}
	}
	if len(o.waiting) > 0 {
		l.add(note("Waiting for a decision"))
		l.list(o.waiting)
	}
	l.owed(o.owed)
	return &private{ResponseType: slack.ResponseTypeEphemeral, Text: inert(head, limitTop), Blocks: l.blocks}
}

// mostRevocable is up to how many sessions of others stand one by one, each with the button that revokes it; more are a plain list.
const mostRevocable = 8

// revocable is somebody else's session.
func revocable(r store.Request) []slack.Block {
	if r.State != store.Active {
		return withActions(sessionLine(r), nil)
	}
	return withActions(sessionLine(r), []*slack.ButtonBlockElement{revokeButton(r)})
}

// withActions is a line with its buttons, where it has any.
func withActions(w words, bs []*slack.ButtonBlockElement) []slack.Block {
	if len(bs) == 0 {
		return []slack.Block{paragraph(w)}
	}
	return []slack.Block{paragraph(w), actions(bs...)}
}

// sheet builds an answer that stays within the acknowledgement and within Slack's number of blocks, and says how much it left out.
type sheet struct {
	blocks []slack.Block
	size   int
}

// reserve is kept for what must still be said after a list was cut: two headings and two counts.
const reserve = 1200

func sizeOf(blocks ...slack.Block) int {
	n := 0
	for _, b := range blocks {
		raw, err := json.Marshal(b)
		if err != nil {
			return mostAck
		}
		n += len(raw) + 1
	}
	return n
}

func (l *sheet) add(bs ...slack.Block) {
	l.blocks = append(l.blocks, bs...)
	l.size += sizeOf(bs...)
}

func (l *sheet) fits(bytes, blocks int) bool {
	return l.size+bytes <= mostAck-reserve && len(l.blocks)+blocks <= limitBlocks-8
}

// each adds what a request is shown as, while there is room.
func (l *sheet) each(rs []store.Request, show func(store.Request) []slack.Block) {
	for i, r := range rs {
		bs := show(r)
		if !l.fits(sizeOf(bs...), len(bs)) {
			l.add(andMore(len(rs) - i))
			return
		}
		l.add(bs...)
	}
}

// mostOwed is how many cases that owe something stand in an answer, each with its buttons; the App Home has more of them.
const mostOwed = 5

// owed adds the cases that owe something, each with the buttons that give it.
func (l *sheet) owed(rs []store.Request) {
	if len(rs) == 0 {
		return
	}
	l.add(note("What you still owe"))
	shown := 0
	for _, r := range rs[:min(len(rs), mostOwed)] {
		bs := withActions(owedLine(r), owedButtons(r))
		if !l.fits(sizeOf(bs...), len(bs)) {
			break
		}
		l.add(bs...)
		shown++
	}
	if left := len(rs) - shown; left > 0 {
		l.add(note(fmt.Sprintf("… and %d more: see the App Home of Breakglass.", left)))
	}
}

// list adds requests as the lines of one block, while there is room.
func (l *sheet) list(rs []store.Request) {
	var shown []words
	bytes := 0
	for _, r := range rs {
		w := sessionLine(r)
		n := sizeOf(bullets(w))
		if !l.fits(bytes+n, 1) {
			break
		}
		bytes += n
		shown = append(shown, w)
	}
	if len(shown) > 0 {
		l.add(bullets(shown...))
	}
	if left := len(rs) - len(shown); left > 0 {
		l.add(andMore(left))
	}
}

func andMore(n int) slack.Block {
	return note(fmt.Sprintf("… and %d more. Narrow it down with /access status @somebody, or /access status and an account.", n))
}

// mostHistory is how many of their requests a person is shown.
const mostHistory = 25

// history shows a person their own last requests.
func (h *Handlers) history(c slack.SlashCommand) *private {
	user := h.userOf(c.UserID)
	if user == "" {
		return sorry("You have not asked for anything yet.")
	}
	rs, err := h.book.OfPerson(user, mostHistory)
	if err != nil {
		return sorry(h.sentence("read somebody's requests", err))
	}
	if len(rs) == 0 {
		return sorry("You have not asked for anything yet.")
	}
	return historyAnswer(rs)
}

func historyAnswer(rs []store.Request) *private {
	l := sheet{size: 400}
	l.add(header("Your last requests"))
	if owed := slices.DeleteFunc(slices.Clone(rs), func(r store.Request) bool { return !owing(r) }); len(owed) > 0 {
		l.owed(owed)
		l.add(note("All of them"))
	}
	shown := make([]words, 0, len(rs))
	for _, r := range rs {
		shown = append(shown, historyLine(r))
	}
	for len(shown) > 0 && !l.fits(sizeOf(bullets(shown...)), 1) {
		shown = shown[:len(shown)-1]
	}
	l.add(bullets(shown...))
	return &private{ResponseType: slack.ResponseTypeEphemeral, Text: "Your last requests", Blocks: l.blocks}
}

func historyLine(r store.Request) words {
	w := words{}.bold(string(r.ID)).say(" ").date(r.SubmittedAt, dateForm).say(" · ").their(title(r), limitName).where(r)
	if r.Duration > 0 {
		w = w.say(" for " + sayDuration(r.Duration))
	}
	w = w.say(": " + strings.ToLower(standing(r)))
	if s := owedShort(r); s != "" {
		w = w.say("; " + s)
	}
	return w
}
