package manifest

// A Scope is a permission and why the app asks for it.
type Scope struct{ Name, Reason string }

// Scopes are what the bot token must carry, all of it from the first day: a scope that is added later asks for a new
// installation.
//
// Not asked for, on purpose: channels:history and groups:history (the bot reads no conversation; the text of an alert comes
// with its button or shortcut), chat:write.customize (no other name or picture than its own), chat:write.public (it
// speaks where it was invited), channels:join, channels:manage, usergroups:write, and every scope of a user token.
func Scopes() []Scope {
	return []Scope{
		{"commands", "the slash commands " + CommandRequest + " and " + CommandAccess + ", and both shortcuts"},
		{"chat:write", "post requests, decisions and reports where the bot was invited, and edit its own messages"},
		{"im:write", "open direct messages to requesters and approvers"},
		{"users:read", "tell members from guests, strangers, bots and deactivated users before anyone asks or decides"},
		{"users:read.email", "match a Slack user with the one Identity Center user who has the same confirmed address"},
		{"usergroups:read", "mention the approvers' group by its handle, and hear when its members change"},
		{"channels:read", "find public channels by name, see whether they are shared outside, hear when they change"},
		{"groups:read", "the same for private channels that the bot was invited to"},
		{"files:write", "put the timeline of a session and the pictures of the monthly review into their threads"},
	}
}

// AppTokenScope is what the app-level token (xapp-) must carry. No manifest can make that token. It should carry nothing
// else: authorizations:read and app_configurations:write would serve only who steals it.
func AppTokenScope() Scope {
	return Scope{"connections:write", "open the Socket Mode connections"}
}

// An Event is something Slack tells the app, the scope without which it does not, and why the app wants to hear it.
type Event struct{ Name, Scope, Reason string }

// Events are the subscriptions. Each is an event that slack-go can decode; one that it cannot would be acknowledged unread.
//
// user_change is left out: it comes with every change of a status, and people are looked up again when they decide.
func Events() []Event {
	return []Event{
		{"app_home_opened", "", "show the App Home: what waits for this person, who has access now"},
		{"channel_id_changed", "groups:read", "a private channel gets another id when it is shared: follow it, and say so"},
		{"channel_shared", "channels:read", "outsiders may press buttons in a shared channel: stop using it, and say so"},
		{"channel_unshared", "channels:read", "the channel may be used again"},
		{"channel_rename", "channels:read", "say that a configured channel has another name; its id stays pinned"},
		{"group_rename", "groups:read", "the same for a private channel"},
		{"channel_archive", "channels:read", "say that a configured channel is gone before a message needs it"},
		{"group_archive", "groups:read", "the same for a private channel"},
		{"channel_left", "channels:read", "say that the bot was removed from a configured channel"},
		{"group_left", "groups:read", "the same for a private channel"},
		{"subteam_members_changed", "usergroups:read", "say that the group that is mentioned for approvals has changed"},
	}
}
