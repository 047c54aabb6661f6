// Package page is the web page of the sandbox: a chat client for each of Forge's people, what AWS knows of them, and a clock to skip.
//
// It shows what the twins say and does what people do there; it must not know the product. Where it names a command or a button of the
// product (the walk for newcomers, what the message box suggests) these are words on the screen and nothing else.
//
// # How it is drawn
//
// The server renders the whole page for one person, one conversation and one open thread, all of which stand in the address. A
// small script fetches the same part again after every change (Server-Sent Events under /events say when) and moves what differs
// into the page in place, so that what is being typed, the focus and the scroll positions stay. Everything from Slack and AWS goes through
// html/template as text: there is no template.HTML in this package.
//
// # Who may ask
//
// Only requests whose Host is loopback are answered, so that no page on the web can reach in by a name that points here. What changes
// something is POST, same-origin by http.CrossOriginProtection, and JSON. A Content-Security-Policy allows what is embedded here and
// nothing else. Mails and archived reports, which somebody else wrote, are documents of their own in sandboxed frames or windows, without
// scripts and without a network.
//
// # Hooks
//
// Tests find things by data-testid:
//
//	person-KEY            the switch to a person (person-dana); badge-KEY is the number on it
//	channel-NAME          a channel (channel-platform-support); channel-dm: direct messages with the app; channel-home: App Home
//	composer, send        the message box and its button; thread-composer, thread-send in an open thread; suggestion-N below it
//	composer-note         what Slack says where a command failed
//	message               each message in the middle; data-ts, data-ephemeral; replies: opens its thread
//	thread, thread-close  the open thread; its messages are thread-message
//	button-TEXT           a button of a block (button-Approve); its data-broken says that the click did not arrive
//	confirm, confirm-ok, confirm-cancel   the dialog a button asks with
//	shortcut-ID           a global shortcut; message-shortcut-ID the same in the menu of a message (message-menu opens it)
//	modal, modal-title    the form on top; submit, modal-close, modal-x; modal-trouble: Slack's sentence where the app did not answer
//	field-LABEL           the control of a field (field-Reason); error-LABEL what is wrong with it; option-VALUE in a search list
//	home                  the App Home
//	unsupported           a block this page cannot draw
//	clock, skip-5m, skip-30m, skip-1h, skip-3h   the time and its buttons; offset is how far it is ahead
//	tab-access, tab-org, tab-mail, tab-archive, tab-log, tab-faults   the parts of the AWS panel
//	access                what the chosen person can enter; access-ACCOUNT-SET one line; signin-ACCOUNT-SET its button
//	assume                the button of a person who has an IAM user: the break-glass role, with MFA
//	session               a session that was opened; act-NAME what to do with it (act-describe-instances …); result in data-allowed;
//	                      refused-by where a policy denies it everything, outlived where none does and its assignment is gone
//	assignments           the table of the organisation; instances; ssm-sessions; schedules; guards
//	mails, mail           the messages that were sent; mail-html: the frame that shows one as HTML
//	archive, folder, object   the bucket of evidence
//	alarm                 what holds everything up just now (Config.Alarm)
//	log                   what happened, newest first; since-skip: the part of it that came after the last skip
//	walk, walk-N          the five-minute walk and its steps, data-done; walk-go-N its links; walk-dismiss
//	fault-slack, fault-aws, fault-sockets   the switches of the faults panel
//	bot                   whether the app is connected, data-connected
package page
