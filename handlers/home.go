package handlers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/slack-go/slack"

	"breakglass/store"
	"breakglass/workflows"
	"breakglass/workflows/policy"
)

// paintPatience is how long one App Home may take to be drawn and published.
const paintPatience = 20 * time.Second

// How much of each kind an App Home shows: Slack takes 100 blocks in a view.
const (
	mostMine     = 10
	mostDecide   = 10
	mostEveryone = 40
)

// Refresh draws the App Home of these people anew, soon. Whoever changes a request calls it with those it concerns.
func (h *Handlers) Refresh(_ context.Context, slackIDs ...string) {
	for _, id := range slackIDs {
		if !isUser(id) || !h.paints.begin(id) {
			continue
		}
		h.work.spawn(paintPatience, func(ctx context.Context) { h.paint(ctx, id) })
	}
}

// Repaint is Refresh for those of them who have opened their App Home since the start.
func (h *Handlers) Repaint(ctx context.Context, slackIDs ...string) {
	for _, id := range slackIDs {
		if h.paints.looking(id) {
			h.Refresh(ctx, id)
		}
	}
}

// paint publishes what the store says now, and again if it was asked to meanwhile, so that the last one to be published is never an old one.
func (h *Handlers) paint(ctx context.Context, slackID string) {
	finished := false
	defer func() {
		if !finished { // out of time, or a panic: the next one to ask paints
			h.paints.stop(slackID)
		}
	}()
	for again := true; again; again = h.paints.again(slackID) {
		v := h.homeView(ctx, slackID)
		_, err := h.slack.PublishViewContext(ctx, slack.PublishViewContextRequest{UserID: slackID, View: v})
		if err != nil {
			h.log.Warn("cannot publish an App Home", "err", err)
		}
		if ctx.Err() != nil {
			return
		}
	}
	finished = true
}

func (h *Handlers) homeView(ctx context.Context, slackID string) slack.HomeTabViewRequest {
	if err := h.member(ctx, slackID); err != nil {
		why := h.sentence("identify whose App Home it is", err)
		if r, ok := errors.AsType[*workflows.Refusal](err); ok && r.Code == workflows.RefusedNoAnswer {
			why = "Slack did not say who you are. Open this page again in a minute."
		}
		return homeTab(note(why))
	}
	open, err := h.book.Open()
	if err != nil {
		return homeTab(note(h.sentence("read the sessions", err)))
	}
	return homeTab(homeBlocks(open, slackID, h.userOf(slackID), h.scene())...)
}

func homeTab(blocks ...slack.Block) slack.HomeTabViewRequest {
	return slack.HomeTabViewRequest{Type: slack.VTHomeTab, Blocks: slack.Blocks{BlockSet: blocks}}
}

// scene is what a page of sessions needs besides them.
type scene struct {
	policy *policy.Policy
	now    time.Time
	lock   lock
}

func (h *Handlers) scene() scene { return scene{policy: h.policy(), now: h.now(), lock: h.locked()} }

// buttons are what the requester of a session can do about it.
func (s scene) buttons(r store.Request) []*slack.ButtonBlockElement {
	if notRunning(r) != "" {
		return nil
	}
	most, _ := room(s.policy, r, s.now)
	return sessionButtons(r, most)
}

// homeBlocks is one person's page.
func homeBlocks(open []store.Request, slackID, userID string, s scene) []slack.Block {
	o := overviewFor(open, slackID, userID)
	request := slack.NewButtonBlockElement(actionRequest, "", plain("Request access", limitButton)).WithStyle(slack.StylePrimary)
	request.AccessibilityLabel = "Request emergency access to AWS"
	blocks := append([]slack.Block{header("Emergency access to AWS")}, s.lock.banner()...)
	blocks = append(blocks, actions(request))

	var decide, asked []store.Request
	for _, r := range o.waiting {
		if own(r, slackID, userID) {
			asked = append(asked, r)
		} else if awaits(r, r.Decisions, slackID, userID) {
			decide = append(decide, r)
		}
	}
	for _, r := range o.others { // of a session that runs, more time may be asked for
		if _, x := r.Extending(); x != nil && x.State == store.ExtensionAsked && !x.NoWord && awaits(r, x.Decisions, slackID, userID) {
			decide = append(decide, r)
		}
	}
	blocks = append(blocks, part("Needs your decision", decide, mostDecide, "", toDecide)...)
	blocks = append(blocks, part("Your sessions", o.mine, mostMine, "You have no running session.", func(r store.Request) []slack.Block {
		return withButtons(r, sessionLine(r), s.buttons(r))
	})...)
	blocks = append(blocks, part("What you still owe", o.owed, mostMine, "", func(r store.Request) []slack.Block {
		return withActions(owedLine(r), owedButtons(r))
	})...)
	blocks = append(blocks, part("Your requests", asked, mostMine, "", func(r store.Request) []slack.Block {
		b := button(actionCancel, "Cancel request", r.ID, "Cancel request "+string(r.ID))
		return []slack.Block{paragraph(sessionLine(r)), actions(b)}
	})...)
	return append(blocks, everyone(o.mine, o.others)...)
}

// awaits says whether somebody was asked for their word and has not given it: on the request, or on an extension of it.
func awaits(r store.Request, given []store.Decision, slackID, userID string) bool {
	same := func(p store.Person) bool { return p.SlackID == slackID || userID != "" && p.UserID == userID }
	return slices.ContainsFunc(r.Asked, same) &&
		!slices.ContainsFunc(given, func(d store.Decision) bool { return same(d.By) })
}

// toDecide is a request, or the extension of a session, with the buttons that decide it.
func toDecide(r store.Request) []slack.Block {
	n, x := r.Extending()
	if r.State == store.Pending || x == nil {
		return append(decisionText(r), actions(decisionButtons(r)...))
	}
	w := words{}.bold(string(r.ID)).say(" ").who(r.Requester).say(asks(*x)).bold(sayDuration(x.By)+" more").say(" of ").their(title(r), limitName).where(r).
		say(", until ").date(x.Until, dateForm).say(".")
	blocks := []slack.Block{paragraph(w)}
	if x.Reason != "" {
		blocks = append(blocks, quoted(x.Reason, limitReason))
	}
	return append(blocks, actions(extensionButtons(r, n, *x)...))
}

func decisionText(r store.Request) []slack.Block {
	w := words{}.bold(string(r.ID)).say(" ").more(subject(r))
	if r.Ticket != "" {
		w = w.say(" Ticket ").bold(oneLine(r.Ticket, limitName)).say(".")
	}
	return []slack.Block{paragraph(w), quoted(r.Reason, limitReason)}
}

func withButtons(r store.Request, w words, bs []*slack.ButtonBlockElement) []slack.Block {
	if owesTicket(r) {
		bs = append(bs, ticketButton(r))
	}
	return withActions(w, bs)
}

// part is a heading and the requests below it; nothing at all where there are none and nothing is to be said of that.
func part(head string, rs []store.Request, most int, none string, show func(store.Request) []slack.Block) []slack.Block {
	if len(rs) == 0 {
		if none == "" {
			return nil
		}
		return []slack.Block{slack.NewDividerBlock(), header(head), note(none)}
	}
	blocks := []slack.Block{slack.NewDividerBlock(), header(head)}
	for _, r := range rs[:min(len(rs), most)] {
		blocks = append(blocks, show(r)...)
	}
	if left := len(rs) - most; left > 0 {
		blocks = append(blocks, note(fmt.Sprintf("… and %d more: see /access status.", left)))
	}
	return blocks
}

// everyone is who has access. While others are few, their sessions stand with the button that revokes them; beyond that /access status has it.
func everyone(mine, others []store.Request) []slack.Block {
	blocks := []slack.Block{slack.NewDividerBlock(), header("Who has access now")}
	rs := slices.Clone(mine)
	if len(others) > mostRevocable {
		rs = append(rs, others...)
	}
	if len(mine)+len(others) == 0 {
		return append(blocks, note("Nobody."))
	}
	if len(rs) > 0 {
		blocks = append(blocks, inList(rs)...)
	}
	if len(others) <= mostRevocable {
		for _, r := range others {
			blocks = append(blocks, revocable(r)...)
		}
	}
	return blocks
}

func inList(rs []store.Request) []slack.Block {
	var ls []words
	for _, r := range rs[:min(len(rs), mostEveryone)] {
		ls = append(ls, sessionLine(r))
	}
	blocks := []slack.Block{bullets(ls...)}
	if left := len(rs) - mostEveryone; left > 0 {
		blocks = append(blocks, note(fmt.Sprintf("… and %d more: see /access status.", left)))
	}
	return blocks
}

// paints keeps one painter for each App Home.
type paints struct {
	mu    sync.Mutex
	at    map[string]bool // somebody paints; true: and has to again
	looks map[string]bool // who has opened it since the start
}

func newPaints() *paints { return &paints{at: map[string]bool{}, looks: map[string]bool{}} }

// opened takes note that somebody looks at their App Home; looking says whether they ever did. views.publish has a quota (100 a
// minute), which is not spent on those who never look: they get theirs when they open it.
func (p *paints) opened(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.looks[id] = true
}

func (p *paints) looking(id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.looks[id]
}

// begin says whether the caller is to paint. Where somebody does already, they will do it again.
func (p *paints) begin(id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, busy := p.at[id]; busy {
		p.at[id] = true
		return false
	}
	p.at[id] = false
	return true
}

// again says whether the painter has to paint once more; if not, it is done.
func (p *paints) again(id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.at[id] {
		p.at[id] = false
		return true
	}
	delete(p.at, id)
	return false
}

func (p *paints) stop(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.at, id)
}
