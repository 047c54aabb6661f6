package handlers

import (
	"context"
	"strings"

	"github.com/slack-go/slack"
)

// sharedOutside says whether a channel is known to be open to another organisation (Slack Connect). Members of that organisation see
// and can press our buttons there. Where Slack does not say, the answer is no: who acts is looked up anyway, and people of
// other workspaces are refused as such; this only keeps access from being discussed before strangers.
func (d *Identity) sharedOutside(ctx context.Context, channel string) bool {
	if is, known := d.glanceShared(channel); known {
		return is
	}
	c, err := d.p.Slack.GetConversationInfoContext(ctx, &slack.GetConversationInfoInput{ChannelID: channel})
	if err != nil {
		// A private channel we are not in answers channel_not_found, and will again: remembered, so that a command there
		// does not ask each time.
		if ctx.Err() == nil {
			d.shared.put(channel, false)
		}
		return false
	}
	d.shared.put(channel, c.IsExtShared)
	return c.IsExtShared
}

// glanceShared is sharedOutside as far as it is known without asking.
func (d *Identity) glanceShared(channel string) (is, known bool) {
	if channel == "" || strings.HasPrefix(channel, "D") {
		return false, true
	}
	return d.shared.get(channel)
}

// channelChanged forgets what is known of channels.
func (d *Identity) channelChanged(ids ...string) { d.shared.drop(ids...) }
