// Package slacktwin is a Slack workspace in one process, over Slack's own protocols: the Web API under /api/, Socket
// Mode, response URLs, and a Go API for the people in it.
//
// An app that works with Slack works with the twin by no more than another API URL; the official Bolt for JavaScript
// does (bolt_test.go). The twin serves the sandbox, where people click through its page, and tests, where they are
// methods: w.As("UALICE").Command(ctx, "/breakglass"). It runs over loopback, and over a wire.Net inside a
// testing/synctest bubble, where hours pass in no time.
//
// It must not know the product: it shares no code with it, and none with the client library the product uses, so that
// the two cannot be wrong together. What it refuses, Slack would refuse, by the same name; Refusals keeps a list that a
// story demands to be empty at its end.
//
// # A story
//
//	w := slacktwin.New(slacktwin.Config{})
//	alice := w.AddUser(slacktwin.User{Name: "alice", Email: "alice@forge.example", EmailConfirmed: true})
//	ops := w.AddChannel(slacktwin.Channel{Name: "ops", Members: []string{alice, w.BotUserID()}})
//	go http.ListenAndServe("127.0.0.1:4040", w)       // and start the app with API URL http://127.0.0.1:4040/api/
//	p := w.As(alice).In(ops)
//	_, err := p.Command(ctx, "/breakglass")           // ErrDispatchFailed, ErrOperationTimeout as people see them
//	w.WaitFor(ctx, func() bool { return p.View() != nil })
//	err = p.Fill(ctx, "Reason", "the site is down")   // by the label above the field
//	errs, err := p.Submit(ctx)                        // what the form shows under its fields
//	w.WaitFor(ctx, func() bool { return len(w.Messages(ops)) == 1 })
//	err = p.Click(ctx, ops, w.Messages(ops)[0].TS, "Approve")
//
// # Time
//
// Business time is Config.Now: message timestamps, the 3 s of a trigger, the 30 min of a response URL, quotas, dates as
// people read them. What a network does runs on plain timers: the 3 s of an acknowledgement, PINGs, redelivery of events,
// delays. So a clock that is moved forward ages messages and does not cut connections.
//
// # What is modelled
//
//	Web API         token in header or form; bot and app-level tokens (not_allowed_token_type); scopes (missing_scope
//	                with needed and provided, x-oauth-scopes on every answer); form, JSON and query arguments; cursors
//	                auth.test, apps.connections.open, team.info, bots.info, chat.postMessage, chat.update, chat.delete,
//	                chat.postEphemeral, chat.getPermalink, conversations.info, list, open, join, members, history,
//	                replies, users.conversations, users.info, users.list, users.lookupByEmail, usergroups.list,
//	                usergroups.users.list, views.open, push, update, publish, reactions.add, pins.add, api.test
//	Quotas          a bucket for each method by its tier, one message a second for each channel after a burst of 10;
//	                429 with Retry-After; SetQuotas lifts them
//	Messages        threads, broadcasts, metadata, unfurl flags (kept, nothing is unfurled), tombstones, ephemeral
//	                messages, legacy attachments with buttons, text of 40,000 (cut) and 4,000 (chat.update),
//	                "(edited)", block_mismatch, is_archived, is_inactive, not_in_channel, channel_not_found
//	Block Kit       header, section, context, actions, divider, input, rich_text, image; button, overflow, static, external
//	                and users selects, single and multi, checkboxes, radio buttons, date and time pickers, text input:
//	                every length, count, required field, unique id and place, with Slack's words and JSON pointers.
//	                Fields and types it does not know are refused
//	Socket Mode     single-use tickets, hello, PING each 5 s and patience of 30 s for the PONG, up to ten sockets
//	                (too_many_websockets), a payload to one of them in turn, 3 s for the acknowledgement on any, payloads
//	                of 20 KB dropped, disconnect reasons, half-open sockets
//	Events          app_home_opened, channel_rename, group_rename, channel_shared, user_change, subteam_members_changed,
//	                message.channels, .groups and .im, as far as subscribed; again at once, after 1 min and 5 min
//	Commands        should_escape, answer in the acknowledgement or by response_url (5 uses, 30 min), never sent again
//	Forms           stack of three, triggers (expired, exchanged), hash_conflict, external_id, input kept over an update,
//	                required fields and lengths checked before sending, response_action errors, update, push, clear,
//	                block_suggestion with min_query_length, dispatch_action, view_closed, private_metadata
//	People          deactivated, guests, other companies' people (they click, they have no commands), bots, private and
//	                externally shared channels, zones, user groups, confirm dialogs
//	Faults          Outage, DropSockets, HangSockets, FailNext, Delay; Refusals and Calls tell what happened
//
// # What is not
//
//	OAuth, token rotation, Enterprise Grid, more than one app, user tokens
//	group direct messages, files, canvases, lists, workflows, unfurling, search, presence, reminders
//	blocks newer than the classic ones; markdown_text; legacy menus can be shown, not chosen from
//	inputs outside forms (menus in messages are shown, not chosen from; on Home and in forms they work)
//	selects of conversations and channels; number, e-mail, URL and rich text inputs; file inputs
//	editing and deleting by people, reactions by people, joining and leaving by people: UpdateChannel does it in silence
//	the sanitising Slack does to text it hands back (links it finds, entities)
//	debug_reconnects, app_rate_limited, delivery of one event more than once by mistake
//
// Where Slack publishes no number the twin's is marked in the code: burst of a channel (10), text of all blocks of a
// message (13,200), metadata (64 KB). Where Slack's answer is undocumented the twin is strict: a reply to a message that
// is not there, or to a reply, is cannot_reply_to_message.
package slacktwin
