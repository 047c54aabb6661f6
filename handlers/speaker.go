package handlers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/slack-go/slack"

	"breakglass/store"
	"breakglass/workflows"
	"breakglass/workflows/policy"
)

// slackAPI is what speaking needs of Slack; *slack.Client has it.
type slackAPI interface {
	PostMessageContext(ctx context.Context, channel string, options ...slack.MsgOption) (string, string, error)
	UpdateMessageContext(ctx context.Context, channel, ts string, options ...slack.MsgOption) (string, string, string, error)
	PostEphemeralContext(ctx context.Context, channel, user string, options ...slack.MsgOption) (string, error)
	OpenConversationContext(ctx context.Context, params *slack.OpenConversationParameters) (*slack.Channel, bool, bool, error)
	GetUserGroupsContext(ctx context.Context, options ...slack.GetUserGroupsOption) ([]slack.UserGroup, error)
}

// SpeakerConfig is what a Speaker is made of. Mail, Counted and Log may be missing.
type SpeakerConfig struct {
	API    slackAPI
	Policy func() *policy.Policy
	// Channels resolves the ids of the requests and the incidents channel, as they were pinned.
	Channels func(ctx context.Context) (requests, incidents string, err error)
	// Card finds where the card of a request stands: its thread is the request's thread.
	Card func(id store.ID) (store.Ref, bool)
	// Ends says which of the ends the operator has switched on, for what is said before they are made; nil: it is not known.
	Ends *policy.Ends
	Mail workflows.Mailer // nil: mail is not configured, and notices of mail are dropped with a line in the log
	// Report renders the mail of a NoticeReport; a To it leaves empty is the notice's. An error that is no *workflows.Undelivered is tried again.
	// nil: reports are dropped like other mail that is not configured.
	Report func(ctx context.Context, n store.Notice, r store.Request) (store.Mail, error)
	// Ticket adds the report of a NoticeTracker to its ticket. An error that is no *workflows.Undelivered is tried again. nil: there is no tracker.
	Ticket func(ctx context.Context, n store.Notice, r store.Request) error
	// Workspace is where links to threads lead; without its URL there are none.
	Workspace Workspace
	// Counted is told of what an operator wants counted: "plain" (a message was refused as it was and sent in a short
	// form), "moved" (a message could not be edited any more and was posted anew).
	Counted func(what string)
	Now     func() time.Time
	Log     *slog.Logger
}

// Speaker says things to people in Slack and by mail. It implements workflows.Speaker. It remembers nothing but the ids
// of user groups and of direct-message channels, which can be asked for again.
type Speaker struct {
	SpeakerConfig
	groups *groups
	dms    *memo[string] // Slack user id -> channel id of the direct messages with them
}

// dmMemory is how long the channel of direct messages is remembered. It never changes; this bounds the memory.
const dmMemory = 24 * time.Hour

// NewSpeaker makes a Speaker. It asks Slack for nothing until there is something to say.
func NewSpeaker(c SpeakerConfig) *Speaker {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Counted == nil {
		c.Counted = func(string) {}
	}
	return &Speaker{SpeakerConfig: c, groups: newGroups(c.API, c.Now, c.Log), dms: newMemo[string](dmMemory, c.Now)}
}

// Deliver says what a notice is about, in the words that fit the request as it is now. ref is where the notice's message stands
// already, if it was posted before: then it is edited. It returns where the message stands.
// Every error is a *workflows.Undelivered. It is permanent only where neither time nor a repair can help: while the bot is out of a channel, or
// its token is no good, messages wait.
func (s *Speaker) Deliver(ctx context.Context, n store.Notice, r store.Request, ref store.Ref) (store.Ref, error) {
	out, err := s.deliver(ctx, n, r, ref)
	if err != nil {
		return ref, undelivered(n, err)
	}
	return out, nil
}

// deliver sorts notices by where they go. Only the card, the questions, the pass and extensions are edited; all else is said once.
func (s *Speaker) deliver(ctx context.Context, n store.Notice, r store.Request, ref store.Ref) (store.Ref, error) {
	switch n.Kind {
	case workflows.NoticeMail:
		return ref, s.mail(ctx, n, r)
	case workflows.NoticeReport:
		return ref, s.report(ctx, n, r)
	case workflows.NoticeTracker:
		if s.Ticket == nil {
			return ref, nil
		}
		return ref, s.Ticket(ctx, n, r)
	}
	f := s.setting(ctx, n, r)
	switch n.Kind {
	case workflows.NoticeCard:
		return s.stand(ctx, n, card(r, f), ref, toChannel(f.requests), true)
	case workflows.NoticeAsk:
		return s.stand(ctx, n, ask(r, f, n.To, n.Data["why"]), ref, s.toPerson(n.To), false)
	case workflows.NoticePass:
		return s.stand(ctx, n, pass(r, f), ref, s.toPerson(or(n.To, r.Requester.SlackID)), false)
	case workflows.NoticeRefusal:
		return ref, s.refuse(ctx, n)
	case workflows.NoticeExtension:
		if n.To != "" {
			return s.stand(ctx, n, extension(n, r, f), ref, s.toPerson(n.To), false)
		}
		return s.standInThread(ctx, n, r, extension(n, r, f), ref, f)
	case workflows.NoticeReview:
		return s.stand(ctx, n, review(n), ref, toChannel(f.requests), false)
	case workflows.NoticeExtended:
		if n.To != "" {
			return s.post(ctx, n, s.toPerson(n.To), "", extended(n, r, f))
		}
	}
	if m, ok := threadLine(n, r, f); ok {
		return s.inThread(ctx, n, r, m, f)
	}
	if m, ok := incident(n, r, f); ok {
		to := f.incidents
		if ofRequests(n) {
			to = f.requests
		}
		return s.post(ctx, n, toChannel(to), "", m)
	}
	if m, ok := direct(n, r, f); ok {
		return s.post(ctx, n, s.toPerson(n.To), "", m)
	}
	return ref, &workflows.Undelivered{Permanent: true, Certain: true, Err: fmt.Errorf("no words for a notice of kind %q", n.Kind)}
}

// ofRequests says which of these stand in the requests channel; all others are for the incidents channel.
func ofRequests(n store.Notice) bool {
	switch n.Kind {
	case workflows.NoticePolicy, workflows.NoticeChannel, workflows.NoticeWitness:
		return true
	}
	return n.Kind == workflows.NoticeLockdown && n.Data["channel"] == RoleRequests
}

// direct is a direct message that is posted once. ok is false for a kind that is none.
func direct(n store.Notice, r store.Request, f setting) (m message, ok bool) {
	switch n.Kind {
	case workflows.NoticeAskMortem:
		return askMortem(n, r, f), true
	case workflows.NoticeOwed:
		return owedNotice(n, r, f), true
	case workflows.NoticeAskTicket:
		return askTicket(r, n.Data["late"] != ""), true
	case workflows.NoticeResult:
		return result(r, n.Data["why"]), true
	case workflows.NoticeWarning:
		return warning(r, f), true
	case workflows.NoticeGoodbye:
		return goodbye(n, r), true
	case workflows.NoticeTold:
		return told(r, n.Data["when"]), true
	}
	return message{}, false
}

// place finds where a message goes. It is asked only when something is posted: an edit knows its place.
type place func(ctx context.Context) (channel string, err error)

// toChannel: a channel that is not known now may be known in a minute, so the message waits for it.
func toChannel(id string) place {
	return func(context.Context) (string, error) {
		if id == "" {
			return "", &workflows.Undelivered{Certain: true, Err: errors.New("the channel is not known: Slack did not answer, or the policy names none that exists")}
		}
		return id, nil
	}
}

// toPerson opens the direct messages with somebody. It is asked for once a day for each person, not for each message: the call is one of
// Slack's slower ones, and its limit is fifty a minute (Tier 3).
func (s *Speaker) toPerson(slackID string) place {
	return func(ctx context.Context) (string, error) {
		if !isUser(slackID) {
			return "", &workflows.Undelivered{Permanent: true, Certain: true, Err: errors.New("nobody to send a direct message to")}
		}
		if id, ok := s.dms.get(slackID); ok {
			return id, nil
		}
		c, _, _, err := s.API.OpenConversationContext(ctx, &slack.OpenConversationParameters{Users: []string{slackID}})
		if err != nil {
			return "", fmt.Errorf("conversations.open: %w", err)
		}
		s.dms.put(slackID, c.ID)
		return c.ID, nil
	}
}

// setting collects what the words need besides the request. What Slack does not answer is left out of the words; only a missing
// channel keeps a message from being sent.
func (s *Speaker) setting(ctx context.Context, n store.Notice, r store.Request) setting {
	f, sc, known := s.terms(n, r)
	requests, incidents, err := s.Channels(ctx)
	if err != nil {
		s.Log.Warn("channels are not known", "err", err)
	}
	f.requests, f.incidents = requests, incidents
	if n.Kind == workflows.NoticeOwed || n.Kind == workflows.NoticeAskMortem {
		f.thread = s.thread(r.ID)
	}
	if !known {
		return f
	}
	p := s.Policy()
	f.each = len(sc.Approval.AllOf) > 0
	f.need = max(sc.Approval.Count, 1)
	if f.each {
		f.need = len(sc.Approval.AllOf)
	}
	for _, name := range sc.Approval.Sets() {
		a := approvers{name: name, handle: p.People[name].Mention}
		a.group = s.groups.id(ctx, a.handle)
		f.sets = append(f.sets, a)
	}
	return f
}

// terms is the part of it that the policy knows alone, with the scenario as this request sees it.
func (s *Speaker) terms(n store.Notice, r store.Request) (f setting, sc policy.Scenario, known bool) {
	p := s.Policy()
	f = setting{
		portal: p.IdentityCenter.AccessPortal, ssoRegion: p.IdentityCenter.Region,
		instance: p.IdentityCenter.InstanceARN, missing: n.Data["missing"], ends: s.Ends,
	}
	f.room, _ = room(p, r, s.Now())
	if sc, known = p.Scenario(r.Scenario); !known {
		return f, sc, false
	}
	if r.Second || n.Kind == workflows.NoticeExtension { // an extension takes somebody's word where the session took nobody's
		sc = sc.Second()
	}
	f.mayAssume, f.guard = sc.MayAssume, sc.Guard
	for _, name := range sc.With {
		title := name
		if w, ok := p.Scenario(name); ok {
			title = w.Title
		}
		f.with = append(f.with, title)
	}
	return f, sc, true
}

// stand posts a message that is edited through the life of its request, or edits it. Where Slack will not have it edited any
// more, or the policy names another channel since and the old one is closed to us, it is posted anew; the thread of a new card
// says why there are two.
func (s *Speaker) stand(ctx context.Context, n store.Notice, m message, ref store.Ref, to place, isCard bool) (store.Ref, error) {
	if ref.TS == "" {
		return s.post(ctx, n, to, "", m)
	}
	err := s.edit(ctx, n, m, ref)
	if err == nil {
		ref.Said = m.said()
		return ref, nil
	}
	if code := slackCode(err); !uneditable(code) && !(closed(code) && moved(ctx, to, ref)) {
		return ref, fmt.Errorf("chat.update: %w", err)
	}
	s.Log.Warn("message cannot be edited any more, posting it anew", "request", n.Request, "message", n.Message, "err", err)
	s.Counted("moved")
	next, err := s.post(ctx, n, to, "", m)
	if err != nil || !isCard {
		return next, err
	}
	why := message{text: "This message goes on for an earlier one", blocks: []slack.Block{paragraph(
		say("The first message of this request could no longer be changed. This one goes on for it; what the first one says may be out of date."))}}
	if _, err := s.post(ctx, n, toChannel(next.Channel), next.TS, why); err != nil {
		s.Log.Warn("cannot say that a message goes on for another", "request", n.Request, "err", err)
	}
	return next, nil
}

func (s *Speaker) edit(ctx context.Context, n store.Notice, m message, ref store.Ref) error {
	return s.send(n, m, func(opts ...slack.MsgOption) error {
		_, _, _, err := s.API.UpdateMessageContext(ctx, ref.Channel, ref.TS, opts...)
		return err
	})
}

// moved says whether messages of this kind go to another channel now than to the one where this one stands.
func moved(ctx context.Context, to place, ref store.Ref) bool {
	now, err := to(ctx)
	return err == nil && now != ref.Channel
}

// post sends a new message, to a thread where thread is not "".
func (s *Speaker) post(ctx context.Context, n store.Notice, to place, thread string, m message) (store.Ref, error) {
	channel, err := to(ctx)
	if err != nil {
		u := undelivered(n, err)
		u.Certain = true // nothing was sent yet
		return store.Ref{}, u
	}
	var ref store.Ref
	err = s.send(n, m, func(opts ...slack.MsgOption) error {
		if thread != "" {
			opts = append(opts, slack.MsgOptionTS(thread))
		}
		opts = append(opts, slack.MsgOptionDisableLinkUnfurl(), slack.MsgOptionDisableMediaUnfurl(), slack.MsgOptionMetadata(mark(n)))
		c, ts, err := s.API.PostMessageContext(ctx, channel, opts...)
		ref = store.Ref{Channel: c, TS: ts, Said: m.said()}
		return err
	})
	if err != nil {
		return store.Ref{}, fmt.Errorf("chat.postMessage: %w", err)
	}
	return ref, nil
}

// mark lets a message be found again: which notice it is.
func mark(n store.Notice) slack.SlackMetadata {
	return slack.SlackMetadata{EventType: "breakglass", EventPayload: map[string]any{"notice": n.Seq, "request": string(n.Request)}}
}

// send tries the message as it is, and where Slack finds fault with its form, as one plain paragraph: said badly is better than
// not said. It is a defect of ours each time.
func (s *Speaker) send(n store.Notice, m message, with func(...slack.MsgOption) error) error {
	err := with(slack.MsgOptionText(m.text, false), slack.MsgOptionBlocks(m.blocks...))
	if err == nil || !malformed(slackCode(err)) {
		return err
	}
	s.Log.Error("Slack refused the form of a message, sending it in short", "kind", n.Kind, "request", n.Request, "err", err)
	s.Counted("plain")
	short := shortForm(n, m)
	return with(slack.MsgOptionText(short.text, false), slack.MsgOptionBlocks(short.blocks...))
}

// refuse answers a click where it was made, for that person's eyes. Slack refuses such messages where the person is no member;
// then, and in direct messages, where nobody else reads, it is an ordinary direct message.
func (s *Speaker) refuse(ctx context.Context, n store.Notice) error {
	m, channel := refusal(n.Data["why"]), n.Data["channel"]
	if isChannel(channel) && isUser(n.To) {
		err := s.send(n, m, func(opts ...slack.MsgOption) error {
			_, err := s.API.PostEphemeralContext(ctx, channel, n.To, opts...)
			return err
		})
		if err == nil || !noEphemeral(slackCode(err)) {
			return err
		}
	}
	_, err := s.post(ctx, n, s.toPerson(n.To), "", m)
	return err
}
