package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/slack-go/slack"

	"breakglass/store"
)

// Errors of a channel that the policy names. Each is something for the platform engineer, not for whoever asked.
var (
	// ErrNoChannel: no channel of that name can be seen by the bot.
	ErrNoChannel = errors.New("no such channel, or the bot is not in it")
	// ErrSharedChannel: people of another organisation are in it.
	ErrSharedChannel = errors.New("the channel is shared with another organisation")
)

// Channels are the two channels of the policy. A name is pinned to its id at first sight: whoever renames a channel, or makes
// another one of the old name, does not move what the bot says.
type Channels struct {
	api   *slack.Client
	facts facts
	names func() (requests, incidents string) // as the policy has them
	now   func() time.Time

	mu    sync.Mutex
	known map[string]pinned // by role
}

// The roles of channels.
const (
	RoleRequests  = "requests"
	RoleIncidents = "incidents"
)

// pinned is what is remembered of a channel.
type pinned struct {
	Name string `json:"name"` // as the policy had it when it was pinned
	ID   string `json:"id"`
	Now  string `json:"now"` // what it was last called in Slack
}

// NewChannels makes them; nothing is asked until ID is called.
func NewChannels(api *slack.Client, f facts, names func() (requests, incidents string), now func() time.Time) *Channels {
	return &Channels{api: api, facts: f, names: names, now: now, known: map[string]pinned{}}
}

func (c *Channels) named(role string) string {
	requests, incidents := c.names()
	if role == RoleIncidents {
		return incidents
	}
	return requests
}

// ID is the id of a channel. It asks Slack only for a name that was never seen before.
func (c *Channels) ID(ctx context.Context, role string) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	name := c.named(role)
	if p, ok := c.known[role]; ok && p.Name == name {
		return p.ID, nil
	}
	p, known, err := c.remembered(role)
	if err != nil {
		return "", err
	}
	if !known || p.Name != name {
		if p, err = c.pin(ctx, role, name, p); err != nil {
			return "", err
		}
	}
	c.known[role] = p
	return p.ID, nil
}

func (c *Channels) remembered(role string) (p pinned, known bool, err error) {
	v, known, err := c.facts.Fact("channel:" + role)
	if err != nil || !known {
		return p, false, err
	}
	return p, true, json.Unmarshal([]byte(v), &p)
}

func (c *Channels) pin(ctx context.Context, role, name string, was pinned) (pinned, error) {
	ch, err := FindChannel(ctx, c.api, name)
	if err != nil {
		return pinned{}, fmt.Errorf("channels.%s: %s: %w", role, name, err)
	}
	if ch.IsExtShared {
		return pinned{}, fmt.Errorf("channels.%s: %s: %w: name one that is not", role, name, ErrSharedChannel)
	}
	p := pinned{Name: name, ID: ch.ID, Now: ch.Name}
	return p, c.remember(role, p, map[string]string{"role": role, "name": name, "id": ch.ID, "was": was.ID})
}

func (c *Channels) remember(role string, p pinned, data map[string]string) error {
	v, err := json.Marshal(p)
	if err != nil {
		return err
	}
	by := store.By{Actor: store.Bot(), At: store.Moment(c.now())}
	return c.facts.SetFact(by, "channel:"+role, string(v), store.EventChannel, data)
}

// FindChannel looks a channel up by id or by name. A name costs a walk through all channels the bot can see (conversations.list, 20 a minute), which is
// why it is pinned.
func FindChannel(ctx context.Context, api *slack.Client, name string) (slack.Channel, error) {
	if !strings.HasPrefix(name, "#") {
		ch, err := api.GetConversationInfoContext(ctx, &slack.GetConversationInfoInput{ChannelID: name})
		if err != nil {
			return slack.Channel{}, fmt.Errorf("%w (%w)", ErrNoChannel, err)
		}
		return *ch, nil
	}
	want := strings.TrimPrefix(name, "#")
	params := &slack.GetConversationsParameters{Types: []string{"public_channel", "private_channel"}, ExcludeArchived: true, Limit: 999}
	for {
		list, next, err := api.GetConversationsContext(ctx, params)
		if err != nil {
			return slack.Channel{}, fmt.Errorf("list the channels: %w", err)
		}
		for _, ch := range list {
			if ch.Name == want {
				return ch, nil
			}
		}
		if next == "" {
			return slack.Channel{}, ErrNoChannel
		}
		params.Cursor = next
	}
}

// Renamed takes note of a channel's new name. role is "" for a channel that is not ours.
func (c *Channels) Renamed(id, name string) (role, was string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, role := range []string{RoleRequests, RoleIncidents} {
		p, known, err := c.remembered(role)
		if err != nil {
			return "", "", err
		}
		if !known || p.ID != id || p.Now == name {
			continue
		}
		was, p.Now = p.Now, name
		c.known[role] = p
		return role, was, c.remember(role, p, map[string]string{"role": role, "id": id, "name": name, "was": was})
	}
	return "", "", nil
}

// Moved follows a channel to its new id (Slack gives one when a channel is shared or moved in a Grid).
func (c *Channels) Moved(was, is string) (role string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, role := range []string{RoleRequests, RoleIncidents} {
		p, known, err := c.remembered(role)
		if err != nil {
			return "", err
		}
		if known && p.ID == was {
			p.ID = is
			c.known[role] = p
			return role, c.remember(role, p, map[string]string{"role": role, "id": is, "was": was})
		}
	}
	return "", nil
}
