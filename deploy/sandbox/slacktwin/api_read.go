package slacktwin

import (
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
)

// domain is the workspace's part of its address.
func (w *Workspace) domain() string {
	return strings.ToLower(strings.ReplaceAll(w.cfg.TeamName, " ", "-"))
}

func authTest(w *Workspace, c *call) (obj, *apiError) {
	o := obj{"url": "https://" + w.domain() + ".slack.com/", "team": w.cfg.TeamName, "team_id": w.cfg.TeamID,
		"app_name": w.cfg.BotName, "app_id": w.cfg.AppID, "is_enterprise_install": false}
	if c.token == w.cfg.BotToken {
		for k, v := range (obj{"user": w.cfg.BotName, "user_id": w.cfg.BotUserID, "bot_id": w.cfg.BotID}) {
			o[k] = v
		}
	}
	return o, nil
}

func teamInfo(w *Workspace, _ *call) (obj, *apiError) {
	return obj{"team": obj{"id": w.cfg.TeamID, "name": w.cfg.TeamName, "domain": w.domain(), "email_domain": "", "icon": obj{}}}, nil
}

func botsInfo(w *Workspace, c *call) (obj, *apiError) {
	if b := c.str("bot"); b != "" && b != w.cfg.BotID {
		return nil, fail("bot_not_found")
	}
	return obj{"bot": w.botJSON()}, nil
}

// page cuts one page out of a list by Slack's cursors. An unknown cursor is an error, as there.
func page[T any](c *call, all []T, size int) ([]T, obj, *apiError) {
	from := 0
	if cursor := c.str("cursor"); cursor != "" {
		b, err := base64.StdEncoding.DecodeString(cursor)
		n, err2 := strconv.Atoi(strings.TrimPrefix(string(b), "next:"))
		if err != nil || err2 != nil || n > len(all) {
			return nil, nil, fail("invalid_cursor")
		}
		from = n
	}
	if n, ok := number(c.args["limit"]); ok && n > 0 {
		size = min(n, 1000)
	}
	to := min(from+size, len(all))
	next := ""
	if to < len(all) {
		next = base64.StdEncoding.EncodeToString([]byte("next:" + strconv.Itoa(to)))
	}
	return all[from:to], obj{"next_cursor": next}, nil
}

func conversationsInfo(w *Workspace, c *call) (obj, *apiError) {
	ch, err := w.readable(c, (*Channel).readScope)
	if err != nil {
		return nil, err
	}
	o := w.channelJSON(ch)
	if !c.flag("include_num_members", false) {
		delete(o, "num_members")
	}
	return obj{"channel": o}, nil
}

// readable finds the channel of a call and checks the scope that shows it. The caller holds mu.
func (w *Workspace) readable(c *call, scope func(*Channel) string) (*Channel, *apiError) {
	ch := w.visible(c.str("channel"))
	if ch == nil {
		return nil, fail("channel_not_found")
	}
	if err := w.need(scope(ch)); err != nil {
		return nil, err
	}
	return ch, nil
}

func conversationsList(w *Workspace, c *call) (obj, *apiError) {
	types := c.str("types")
	if types == "" {
		types = "public_channel"
	}
	kinds := map[string]bool{}
	for t := range strings.SplitSeq(types, ",") {
		kind, ok := map[string]string{"public_channel": "channels", "private_channel": "groups", "im": "im", "mpim": "mpim"}[strings.TrimSpace(t)]
		if !ok {
			return nil, fail("invalid_types")
		}
		if err := w.need(kind + ":read"); err != nil {
			return nil, err
		}
		kinds[kind] = true
	}
	all := []obj{}
	for _, ch := range w.channels.all() {
		if !kinds[ch.kind()] || w.visible(ch.ID) == nil || ch.Archived && c.flag("exclude_archived", false) {
			continue
		}
		if c.method == "users.conversations" && !w.botIn(ch) {
			continue
		}
		all = append(all, w.channelJSON(ch))
	}
	part, meta, err := page(c, all, 100)
	if err != nil {
		return nil, err
	}
	return obj{"channels": part, "response_metadata": meta}, nil
}

func conversationsOpen(w *Workspace, c *call) (obj, *apiError) {
	if id := c.str("channel"); id != "" {
		ch := w.channels.get(id)
		if ch == nil || ch.IM == "" {
			return nil, fail("channel_not_found")
		}
		return obj{"no_op": true, "already_open": true, "channel": w.opened(c, ch)}, nil
	}
	users := c.str("users")
	if users == "" {
		return nil, fail("users_list_not_supplied")
	}
	if strings.Contains(users, ",") {
		if err := w.need("mpim:write"); err != nil {
			return nil, err
		}
		return nil, fail("twin_has_no_group_direct_messages")
	}
	u := w.users.get(users)
	switch {
	case u == nil:
		return nil, fail("user_not_found")
	case u.Deleted:
		return nil, fail("user_disabled")
	case u.Bot:
		return nil, fail("cannot_dm_bot")
	case u.Stranger:
		return nil, fail("user_not_visible")
	}
	return obj{"channel": w.opened(c, w.dm(u.ID))}, nil
}

// opened is the short or the long form of a direct message channel. The caller holds mu.
func (w *Workspace) opened(c *call, ch *Channel) obj {
	if c.flag("return_im", false) {
		return w.channelJSON(ch)
	}
	return obj{"id": ch.ID}
}

func conversationsJoin(w *Workspace, c *call) (obj, *apiError) {
	ch := w.visible(c.str("channel"))
	switch {
	case ch == nil:
		return nil, fail("channel_not_found")
	case ch.Archived:
		return nil, fail("is_archived")
	case ch.Private || ch.IM != "":
		return nil, fail("method_not_supported_for_channel_type")
	case w.botIn(ch):
		return obj{"channel": w.channelJSON(ch), "warning": "already_in_channel",
			"response_metadata": obj{"warnings": []string{"already_in_channel"}}}, nil
	}
	ch.Members = append(ch.Members, w.cfg.BotUserID)
	w.changed()
	return obj{"channel": w.channelJSON(ch)}, nil
}

func conversationsMembers(w *Workspace, c *call) (obj, *apiError) {
	ch, err := w.readable(c, (*Channel).readScope)
	if err != nil {
		return nil, err
	}
	part, meta, err := page(c, append([]string{}, ch.Members...), 100)
	if err != nil {
		return nil, err
	}
	return obj{"members": part, "response_metadata": meta}, nil
}

func conversationsHistory(w *Workspace, c *call) (obj, *apiError) {
	ch, err := w.readable(c, (*Channel).historyScope)
	if err != nil {
		return nil, err
	}
	if !w.botIn(ch) {
		return nil, fail("not_in_channel")
	}
	return w.listMessages(c, ch, true, func(m *Message) bool {
		return m.ThreadTS == "" || m.ThreadTS == m.TS || m.Broadcast
	})
}

func conversationsReplies(w *Workspace, c *call) (obj, *apiError) {
	ch, err := w.readable(c, (*Channel).historyScope)
	if err != nil {
		return nil, err
	}
	parent := w.message(ch.ID, c.str("ts"))
	if parent == nil || parent.To != "" {
		return nil, fail("thread_not_found")
	}
	thread := parent.TS
	if parent.ThreadTS != "" {
		thread = parent.ThreadTS
	}
	return w.listMessages(c, ch, false, func(m *Message) bool { return m.TS == thread || m.ThreadTS == thread })
}

// listMessages is the common part of history (newest first) and replies (oldest first): range, metadata, pages. The
// caller holds mu.
func (w *Workspace) listMessages(c *call, ch *Channel, newestFirst bool, pass func(*Message) bool) (obj, *apiError) {
	oldest, latest, inclusive := c.str("oldest"), c.str("latest"), c.flag("inclusive", false)
	all := []obj{}
	for _, m := range w.messages[ch.ID] {
		if !pass(m) || m.To != "" || m.Deleted && m.Replies == 0 || !within(m.TS, oldest, latest, inclusive) {
			continue
		}
		o := w.messageJSON(m)
		if !c.flag("include_all_metadata", false) {
			delete(o, "metadata")
		}
		all = append(all, o)
	}
	if newestFirst {
		slices.Reverse(all)
	}
	part, meta, err := page(c, all, 100)
	if err != nil {
		return nil, err
	}
	return obj{"messages": part, "has_more": meta["next_cursor"] != "", "response_metadata": meta}, nil
}

// within says whether ts lies between the bounds; an empty bound, or "0", is none.
func within(ts, oldest, latest string, inclusive bool) bool {
	num := func(s string) float64 { f, _ := strconv.ParseFloat(s, 64); return f }
	t, lo, hi := num(ts), num(oldest), num(latest)
	if lo != 0 && (t < lo || t == lo && !inclusive) {
		return false
	}
	return hi == 0 || t < hi || t == hi && inclusive
}

func usersInfo(w *Workspace, c *call) (obj, *apiError) {
	u := w.users.get(c.str("user"))
	if u == nil {
		return nil, fail("user_not_found")
	}
	return obj{"user": w.userJSON(u)}, nil
}

func usersList(w *Workspace, c *call) (obj, *apiError) {
	all := []obj{}
	for _, u := range w.users.all() {
		if u.TeamID == w.cfg.TeamID {
			all = append(all, w.userJSON(u))
		}
	}
	part, meta, err := page(c, all, 1000)
	if err != nil {
		return nil, err
	}
	return obj{"members": part, "cache_ts": w.cfg.Now().Unix(), "response_metadata": meta}, nil
}

func lookupByEmail(w *Workspace, c *call) (obj, *apiError) {
	for _, u := range w.users.all() {
		if u.Email != "" && strings.EqualFold(u.Email, c.str("email")) && !u.Deleted && !u.Bot && !u.Stranger {
			return obj{"user": w.userJSON(u)}, nil
		}
	}
	return nil, fail("users_not_found")
}

func usergroupsList(w *Workspace, c *call) (obj, *apiError) {
	all := []obj{}
	for _, g := range w.groups.all() {
		if !g.Disabled || c.flag("include_disabled", false) {
			all = append(all, w.groupJSON(g, c.flag("include_users", false)))
		}
	}
	return obj{"usergroups": all}, nil
}

func usergroupsUsers(w *Workspace, c *call) (obj, *apiError) {
	g := w.groups.get(c.str("usergroup"))
	if g == nil || g.Disabled && !c.flag("include_disabled", false) {
		return nil, fail("no_such_subteam")
	}
	return obj{"users": append([]string{}, g.Members...)}, nil
}
