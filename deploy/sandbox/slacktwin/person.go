package slacktwin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// What a person is told who does something Slack does not let them do.
var (
	ErrNotAllowed = errors.New("not offered to this person here")
	ErrNoView     = errors.New("no form is open")
)

// Person acts in the workspace as one user. Handles are cheap: what a person sees and has typed is kept by the
// workspace, so two handles of one user share it. Methods that reach the app return after its acknowledgement, with
// ErrOperationTimeout, ErrDispatchFailed or ErrOutage where there is none.
type Person struct {
	w       *Workspace
	id      string
	channel string // where commands are typed
}

// As returns a handle for a user. An unknown id is a handle that may do nothing.
func (w *Workspace) As(userID string) *Person { return &Person{w: w, id: userID} }

// In returns the same person with the given channel open: commands are typed there.
func (p *Person) In(channel string) *Person { return &Person{p.w, p.id, channel} }

// ID is the user id.
func (p *Person) ID() string { return p.id }

// here is the channel the person looks at: the one In chose, else their direct messages with the app. The caller holds
// mu.
func (p *Person) here() *Channel {
	if c := p.w.channels.get(p.channel); c != nil {
		return c
	}
	return p.w.dm(p.id)
}

// able returns the user if they can use the app's features at all: people of this workspace, guests among them. People
// of other companies have neither its commands nor its shortcuts (docs: Slack Connect). The caller holds mu.
func (p *Person) able() (*User, error) {
	u := p.w.users.get(p.id)
	if u == nil || u.Deleted || u.Bot {
		return nil, fmt.Errorf("%s: %w", p.id, ErrNotAllowed)
	}
	return u, nil
}

func (p *Person) member() (*User, error) {
	u, err := p.able()
	if err == nil && (u.TeamID != p.w.cfg.TeamID || u.Stranger) {
		return nil, fmt.Errorf("%s is of another workspace: %w", u.Name, ErrNotAllowed)
	}
	return u, err
}

// Reply is what a slash command has brought so far.
type Reply struct {
	Text   string // of the first message, empty if the app said nothing yet
	Blocks json.RawMessage
	TS     string

	w   *Workspace
	url *responseURL
	to  string
}

// Messages returns what the command has brought until now: the acknowledgement's message first, if it had one, then
// those of the response_url as they came. In the channel they stand in the order they arrived.
func (r *Reply) Messages() []Message {
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	var out []Message
	for _, ts := range r.url.posted {
		if m := r.w.message(r.url.channel, ts); m != nil {
			out = append(out, r.w.show(m, r.to))
		}
	}
	return out
}

// Await waits until the command has brought a message and returns the first. It may come by the response_url long
// after the acknowledgement.
func (r *Reply) Await(ctx context.Context) (Message, error) {
	var got []Message
	err := r.w.WaitFor(ctx, func() bool { got = r.Messages(); return len(got) > 0 })
	if err != nil {
		return Message{}, fmt.Errorf("waiting for the command's reply: %w", err)
	}
	return got[0], nil
}

// Command types a slash command ("/breakglass prod 1h") and waits for the acknowledgement. Mentions typed as @name and
// #channel arrive escaped, as with should_escape.
func (p *Person) Command(ctx context.Context, line string) (*Reply, error) {
	p.w.mu.Lock()
	u, err := p.member()
	ch := p.here()
	name, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	switch {
	case err != nil:
	case !strings.HasPrefix(name, "/") || p.w.cfg.Commands != nil && !slices.Contains(p.w.cfg.Commands, name) || !p.w.scopes["commands"]:
		err = fmt.Errorf("%s is not a valid command: %w", name, ErrNotAllowed)
	case !p.w.sees(u, ch):
		err = fmt.Errorf("%s does not see the channel: %w", u.Name, ErrNotAllowed)
	}
	if err != nil {
		p.w.mu.Unlock()
		return nil, err
	}
	r := &Reply{w: p.w, to: p.id, url: &responseURL{user: p.id, channel: ch.ID}}
	channelName := ch.Name
	if ch.IM != "" {
		channelName = "directmessage"
	}
	payload := obj{"token": "verification", "team_id": p.w.cfg.TeamID, "team_domain": p.w.domain(), "channel_id": ch.ID,
		"channel_name": channelName, "user_id": u.ID, "user_name": u.Name, "command": name, "text": p.w.escape(strings.TrimSpace(rest)),
		"api_app_id": p.w.cfg.AppID, "is_enterprise_install": "false", "response_url": p.w.newResponseURL("commands", r.url),
		"trigger_id": p.w.newTrigger(u.ID, "")}
	p.w.mu.Unlock()
	_, err = p.w.deliver(ctx, envelope{kind: "slash_commands", payload: payload, accepts: true,
		done: func(ack json.RawMessage) { p.w.slashAck(r, ack) }})
	if err != nil {
		return nil, fmt.Errorf("%s failed: %w", name, err)
	}
	if posted := r.Messages(); len(posted) > 0 {
		r.Text, r.Blocks, r.TS = posted[0].Text, posted[0].Blocks, posted[0].TS
	}
	return r, nil
}

// slashAck posts the message in a command's acknowledgement, if there is one. The caller holds mu.
func (w *Workspace) slashAck(r *Reply, payload json.RawMessage) {
	ack, _ := decode(payload).(obj)
	if len(ack) == 0 {
		return
	}
	if problems := lintSlashAck(ack); len(problems) > 0 {
		w.refuse("ack:slash_commands", invalid("invalid_response", problems), string(payload))
	} else if err := w.answerInteraction(r.url, &call{args: ack}); err != nil {
		w.refuse("ack:slash_commands", err, string(payload))
	} else { // a response_url may have been quicker; the acknowledgement's message is the reply's first all the same
		p := r.url.posted
		last := len(p) - 1
		r.url.posted = append([]string{p[last]}, p[:last]...)
	}
}

var mention = regexp.MustCompile(`[@#][\w.-]+`)

// escape writes a typed line as should_escape sends it: mentions as ids, markup characters as entities. The caller
// holds mu.
func (w *Workspace) escape(line string) string {
	line = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(line)
	return mention.ReplaceAllStringFunc(line, func(word string) string {
		name := word[1:]
		if word[0] == '#' {
			if c := w.channelByName(name); c != nil {
				return "<#" + c.ID + "|" + c.Name + ">"
			}
			return word
		}
		if u := w.userByHandle(name); u != nil {
			return "<@" + u.ID + "|" + u.Name + ">"
		}
		for _, g := range w.groups.all() {
			if g.Handle == name {
				return "<!subteam^" + g.ID + "|@" + g.Handle + ">"
			}
		}
		return word
	})
}

// act is the part every interactive payload has in common. The caller holds mu.
func (w *Workspace) act(kind string, u *User, fromView string) obj {
	return obj{"type": kind, "token": "verification", "api_app_id": w.cfg.AppID,
		"team": obj{"id": w.cfg.TeamID, "domain": w.domain()}, "enterprise": nil, "is_enterprise_install": false,
		"user":       obj{"id": u.ID, "username": u.Name, "name": u.Name, "team_id": u.TeamID},
		"trigger_id": w.newTrigger(u.ID, fromView)}
}

// Shortcut chooses a global shortcut of the app.
func (p *Person) Shortcut(ctx context.Context, callbackID string) error {
	p.w.mu.Lock()
	u, err := p.member()
	if err != nil {
		p.w.mu.Unlock()
		return err
	}
	payload := p.w.act("shortcut", u, "")
	payload["callback_id"], payload["action_ts"] = callbackID, p.w.eventTS()
	p.w.mu.Unlock()
	return p.w.interact(ctx, payload)
}

// MessageShortcut chooses a shortcut from the menu of a message.
func (p *Person) MessageShortcut(ctx context.Context, callbackID, channel, ts string) error {
	p.w.mu.Lock()
	u, err := p.member()
	ch, m := p.w.channels.get(channel), p.w.message(channel, ts)
	if err == nil && (m == nil || !p.w.sees(u, ch)) {
		err = fmt.Errorf("%s sees no message %s in %s: %w", u.Name, ts, channel, ErrNotAllowed)
	}
	if err != nil {
		p.w.mu.Unlock()
		return err
	}
	payload := p.w.act("message_action", u, "")
	payload["callback_id"], payload["action_ts"], payload["message_ts"] = callbackID, p.w.eventTS(), ts
	payload["message"], payload["channel"] = p.w.messageJSON(m), channelRef(ch)
	payload["response_url"] = p.w.newResponseURL("actions", &responseURL{user: p.id, channel: channel})
	p.w.mu.Unlock()
	return p.w.interact(ctx, payload)
}

// channelRef is how payloads name a channel.
func channelRef(c *Channel) obj {
	switch {
	case c.IM != "":
		return obj{"id": c.ID, "name": "directmessage"}
	case c.Private:
		return obj{"id": c.ID, "name": "privategroup"}
	}
	return obj{"id": c.ID, "name": c.Name}
}

// interact delivers an interaction whose acknowledgement carries nothing.
func (w *Workspace) interact(ctx context.Context, payload obj) error {
	ack, err := w.deliver(ctx, envelope{kind: "interactive", payload: payload})
	if err != nil {
		return fmt.Errorf("%s: %w", str(payload, "type"), err)
	}
	if m, _ := decode(ack).(obj); len(m) > 0 {
		w.mu.Lock()
		w.refuse("ack:"+str(payload, "type"), &apiError{code: "unexpected_payload", messages: []string{"this acknowledgement carries nothing"}}, string(ack))
		w.mu.Unlock()
	}
	return nil
}

// OpenHome looks at the app's Home tab. The app learns of it by app_home_opened; the call does not wait for it.
func (p *Person) OpenHome(_ context.Context) error {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	u, err := p.member()
	if err != nil {
		return err
	}
	ev := obj{"type": "app_home_opened", "user": u.ID, "channel": p.w.dm(u.ID).ID, "tab": "home", "event_ts": p.w.eventTS()}
	if v := p.w.homes[u.ID]; v != nil {
		ev["view"] = p.w.viewJSON(v)
	}
	p.w.emit(ev)
	return nil
}

// Conversation is a line in a person's sidebar.
type Conversation struct {
	ID, Name                         string // Name without #; for direct messages the bot's name
	IM, Private, Archived, ExtShared bool
	Messages                         int // at top level
	Latest                           string
}

// Conversations lists the channels a person is in and, last, their direct messages with the app.
func (p *Person) Conversations() []Conversation {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	var out []Conversation
	add := func(c *Channel, name string) {
		v := Conversation{ID: c.ID, Name: name, IM: c.IM != "", Private: c.Private, Archived: c.Archived, ExtShared: c.ExtShared}
		for _, m := range p.w.messages[c.ID] {
			if m.To == "" && !m.Deleted {
				v.Messages, v.Latest = v.Messages+1, m.TS
			}
		}
		out = append(out, v)
	}
	for _, c := range p.w.channels.all() {
		if c.IM == "" && slices.Contains(c.Members, p.id) {
			add(c, c.Name)
		}
	}
	add(p.w.dm(p.id), p.w.cfg.BotName)
	return out
}

// Messages is Workspace.Messages as this person reads it, their own ephemeral messages among them; nothing where they
// cannot look.
func (p *Person) Messages(channel string) []Message {
	return p.read(channel, func(m *Message) bool {
		return (m.To == "" || m.To == p.id) && (m.ThreadTS == "" || m.ThreadTS == m.TS || m.Broadcast) && (!m.Deleted || m.Replies > 0)
	})
}

// Thread is Workspace.Thread as this person reads it.
func (p *Person) Thread(channel, ts string) []Message {
	return p.read(channel, func(m *Message) bool {
		return (m.To == "" || m.To == p.id) && (m.TS == ts || m.ThreadTS == ts) && (!m.Deleted || m.TS == ts)
	})
}

// DM returns the person's direct messages with the app.
func (p *Person) DM() []Message { return p.w.DM(p.id) }

// Ephemerals returns what only this person sees in a channel; "" is every channel.
func (p *Person) Ephemerals(channel string) []Message {
	channels := []string{channel}
	if channel == "" {
		p.w.mu.Lock()
		channels = slices.Clone(p.w.channels.order)
		p.w.mu.Unlock()
	}
	var out []Message
	for _, c := range channels {
		out = append(out, p.w.filter(c, p.id, func(m *Message) bool { return m.To == p.id && !m.Deleted })...)
	}
	return out
}

func (p *Person) read(channel string, pass func(*Message) bool) []Message {
	p.w.mu.Lock()
	can := p.w.sees(p.w.users.get(p.id), p.w.channels.get(channel))
	p.w.mu.Unlock()
	if !can {
		return nil
	}
	return p.w.filter(channel, p.id, pass)
}
