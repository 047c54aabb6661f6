package slacktwin

import (
	"slices"
	"strings"
	"time"
)

// Channel is a conversation: a public or private channel, or the direct messages of a person with the app's bot.
type Channel struct {
	ID        string // C... (G... and D... too); made up where empty
	Name      string // without #; empty for direct messages
	Private   bool
	ExtShared bool // shared with another company (Slack Connect)
	Archived  bool
	Members   []string // user ids; the app's bot is one only where it stands here
	IM        string   // the person, for direct messages
	Created   time.Time
}

// AddChannel adds or replaces a channel and returns its id.
func (w *Workspace) AddChannel(c Channel) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.ID == "" {
		c.ID = w.id("C")
	}
	c.Name = strings.TrimPrefix(c.Name, "#")
	c.Members = slices.Clone(c.Members)
	c.Created = w.cfg.Now()
	w.channels.put(c.ID, &c)
	w.changed()
	return c.ID
}

// UpdateChannel changes a channel without a word to the app. An unknown id is ignored.
func (w *Workspace) UpdateChannel(id string, f func(*Channel)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c := w.channels.get(id); c != nil {
		f(c)
		w.changed()
	}
}

// RenameChannel gives a channel another name. The app hears of it (channel_rename, group_rename) where it subscribed
// and may see the channel.
func (w *Workspace) RenameChannel(id, name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.channels.get(id)
	if c == nil {
		return
	}
	c.Name = strings.TrimPrefix(name, "#")
	kind, scope := "channel_rename", "channels:read"
	if c.Private {
		kind, scope = "group_rename", "groups:read"
	}
	if w.scopes[scope] && (!c.Private || w.botIn(c)) {
		w.emit(obj{"type": kind, "channel": obj{"id": c.ID, "name": c.Name, "created": c.Created.Unix()}, "event_ts": w.eventTS()})
	}
	w.changed()
}

// ShareChannel makes a channel one that is shared with another company; the app gets channel_shared if it subscribed.
func (w *Workspace) ShareChannel(id, withTeam string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.channels.get(id)
	if c == nil {
		return
	}
	c.ExtShared = true
	w.emit(obj{"type": "channel_shared", "channel": id, "connected_team_id": withTeam, "event_ts": w.eventTS()})
	w.changed()
}

// ChannelID finds a channel by its name (with or without #); empty where there is none.
func (w *Workspace) ChannelID(name string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c := w.channelByName(name); c != nil {
		return c.ID
	}
	return ""
}

// Channels returns every channel that is not a direct message.
func (w *Workspace) Channels() []Channel {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []Channel
	for _, c := range w.channels.all() {
		if c.IM == "" {
			all = append(all, c.copy())
		}
	}
	return all
}

func (c *Channel) copy() Channel {
	d := *c
	d.Members = slices.Clone(c.Members)
	return d
}

// channelByName: the caller holds mu.
func (w *Workspace) channelByName(name string) *Channel {
	name = strings.TrimPrefix(name, "#")
	for _, c := range w.channels.all() {
		if c.IM == "" && c.Name == name && name != "" {
			return c
		}
	}
	return nil
}

// botIn says whether the app may post and read here. The caller holds mu.
func (w *Workspace) botIn(c *Channel) bool {
	return c.IM != "" || slices.Contains(c.Members, w.cfg.BotUserID)
}

// visible is the channel if the app can know of it: private ones it was not invited to do not exist for it. The caller
// holds mu.
func (w *Workspace) visible(id string) *Channel {
	c := w.channels.get(id)
	if c == nil || c.Private && !w.botIn(c) {
		return nil
	}
	return c
}

// dm returns the direct messages of a person with the app's bot, made at first use. The caller holds mu.
func (w *Workspace) dm(user string) *Channel {
	for _, c := range w.channels.all() {
		if c.IM == user {
			return c
		}
	}
	c := &Channel{ID: w.id("D"), IM: user, Members: []string{user, w.cfg.BotUserID}, Created: w.cfg.Now()}
	w.channels.put(c.ID, c)
	return c
}

// sees says whether a person can look into a channel: members, and for public channels everyone of the workspace who is
// no guest. The caller holds mu.
func (w *Workspace) sees(u *User, c *Channel) bool {
	if u == nil || c == nil || u.Deleted {
		return false
	}
	if slices.Contains(c.Members, u.ID) {
		return true
	}
	return !c.Private && c.IM == "" && u.TeamID == w.cfg.TeamID && !u.Restricted && !u.UltraRestricted
}

// readScope is the scope that shows a channel of this kind.
func (c *Channel) readScope() string { return c.kind() + ":read" }

// historyScope is the scope that shows its messages.
func (c *Channel) historyScope() string { return c.kind() + ":history" }

func (c *Channel) kind() string {
	switch {
	case c.IM != "":
		return "im"
	case c.Private:
		return "groups"
	}
	return "channels"
}

// channelJSON is a conversation as conversations.info shows it. The caller holds mu.
func (w *Workspace) channelJSON(c *Channel) obj {
	if c.IM != "" {
		return obj{"id": c.ID, "created": c.Created.Unix(), "is_archived": c.Archived, "is_im": true, "is_org_shared": false,
			"user": c.IM, "context_team_id": w.cfg.TeamID, "is_user_deleted": w.users.get(c.IM) != nil && w.users.get(c.IM).Deleted}
	}
	return obj{"id": c.ID, "name": c.Name, "name_normalized": c.Name, "created": c.Created.Unix(),
		"is_channel": !c.Private, "is_group": false, "is_im": false, "is_mpim": false, "is_private": c.Private,
		"is_archived": c.Archived, "is_general": false, "is_member": w.botIn(c), "is_shared": c.ExtShared,
		"is_ext_shared": c.ExtShared, "is_org_shared": false, "is_pending_ext_shared": false,
		"context_team_id": w.cfg.TeamID, "creator": "USLACKBOT", "unlinked": 0, "num_members": len(c.Members),
		"topic": obj{"value": "", "creator": "", "last_set": 0}, "purpose": obj{"value": "", "creator": "", "last_set": 0}}
}
