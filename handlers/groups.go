package handlers

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/slack-go/slack"
)

// How long user groups are remembered, and how long Slack is left alone after it did not answer. usergroups.list allows some twenty
// calls a minute (Tier 2), shared by all messages.
const (
	groupMemory = 10 * time.Minute
	groupPause  = time.Minute
	groupWait   = 5 * time.Second
)

// groups knows the ids of Slack's user groups by their handles. They say whom to mention, never who may decide, so an old answer will
// do, and none makes plain text of a mention.
type groups struct {
	api slackAPI
	now func() time.Time
	log *slog.Logger

	asking sync.Mutex // held while Slack is asked, so that many messages at once ask once

	mu    sync.Mutex
	ids   map[string]string // handle without @, lower case -> id
	until time.Time
}

func newGroups(api slackAPI, now func() time.Time, log *slog.Logger) *groups {
	return &groups{api: api, now: now, log: log}
}

// id is the group's id by its handle ("@platform-leads"), "" where Slack knows none.
func (g *groups) id(ctx context.Context, handle string) string {
	handle = strings.ToLower(strings.TrimPrefix(strings.TrimSpace(handle), "@"))
	if handle == "" {
		return ""
	}
	if ids, fresh := g.known(); fresh {
		return ids[handle]
	}
	g.asking.Lock()
	defer g.asking.Unlock()
	ids, fresh := g.known() // somebody else may have asked meanwhile
	if !fresh {
		ids = g.ask(ctx)
	}
	return ids[handle]
}

// known is what was answered last, and whether that is recent enough.
func (g *groups) known() (map[string]string, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.ids, g.now().Before(g.until)
}

// ask keeps the last answer where there is no new one: groups change rarely, and a mention too many does no harm.
func (g *groups) ask(ctx context.Context) map[string]string {
	ctx, cancel := context.WithTimeout(ctx, groupWait)
	defer cancel()
	list, err := g.api.GetUserGroupsContext(ctx, slack.GetUserGroupsOptionIncludeDisabled(false))
	g.mu.Lock()
	defer g.mu.Unlock()
	if err != nil {
		g.log.Warn("Slack did not list its user groups; approvers are mentioned by name where they were not known before", "err", err)
		g.until = g.now().Add(groupPause)
		return g.ids
	}
	ids := make(map[string]string, len(list))
	for _, x := range list {
		ids[strings.ToLower(x.Handle)] = x.ID
	}
	g.ids, g.until = ids, g.now().Add(groupMemory)
	return ids
}
