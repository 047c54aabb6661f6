package slacktwin_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/slack-go/slack"
	"github.com/slack-go/slack/slackevents"

	"breakglass/deploy/sandbox/slacktwin"
)

// Tokens in header and form, the wrong one, none, and the scopes that a call needs and that each answer lists.
func TestTokensAndScopes(t *testing.T) {
	w := slacktwin.New(slacktwin.Config{Scopes: []string{"chat:write"}})
	call := func(method, header string, form url.Values) (string, http.Header) {
		req := httptest.NewRequest("POST", "/api/"+method, strings.NewReader(form.Encode()))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if header != "" {
			req.Header.Set("Authorization", "Bearer "+header)
		}
		rec := httptest.NewRecorder()
		w.ServeHTTP(rec, req)
		return rec.Body.String(), rec.Header()
	}
	form := func(token string) url.Values { return url.Values{"token": {token}} }
	for _, c := range []struct{ method, header, form, want string }{
		{"auth.test", "xoxb-twin", "", `"ok":true`},
		{"auth.test", "", "xoxb-twin", `"ok":true`},
		{"auth.test", "", "", `"error":"not_authed"`},
		{"auth.test", "xoxb-stolen", "", `"error":"invalid_auth"`},
		{"chat.postMessage", "xapp-twin", "", `"error":"not_allowed_token_type"`},
		{"apps.connections.open", "xoxb-twin", "", `"error":"not_allowed_token_type"`},
		{"users.info", "xoxb-twin", "", `"error":"missing_scope","needed":"users:read","ok":false,"provided":"chat:write"`},
		{"conversations.list", "xoxb-twin", "", `"needed":"channels:read"`},
		{"no.such.method", "xoxb-twin", "", `"error":"unknown_method"`},
	} {
		body, header := call(c.method, c.header, form(c.form))
		has(t, body, c.want)
		scopes := map[bool]string{true: "connections:write", false: "chat:write"}[c.header == "xapp-twin"]
		want(t, "x-oauth-scopes", header.Get("X-OAuth-Scopes"), scopes)
	}
	for _, c := range w.Calls() {
		if strings.Contains(string(c.Args), "xoxb") {
			t.Errorf("a token in the journal: %s", c.Args)
		}
	}
	want(t, "calls", len(w.Calls()), 9)
	call("auth.test", "xoxb-twin", url.Values{"note": {"see xoxb-12-ab and http://x/actions/T1/secret/9"}})
	has(t, string(w.Calls()[9].Args), "see [redacted] and http://x[redacted]")
}

// The quotas of the tiers and of a channel, with Retry-After; time brings them back; they can be lifted.
func TestQuotas(t *testing.T) {
	inBubble(t, slacktwin.Config{}, func(t *testing.T, w *world) {
		limited := func(f func() error) (int, time.Duration) {
			for n := 0; ; n++ {
				var rl *slack.RateLimitedError
				if err := f(); errors.As(err, &rl) {
					return n, rl.RetryAfter
				} else if err != nil {
					t.Fatal(err)
				}
				if n == 500 {
					return n, 0
				}
			}
		}
		post := func() error { _, _, err := w.api.PostMessage(w.ops, slack.MsgOptionText("x", false)); return err }
		groups := func() error { _, err := w.api.GetUserGroups(); return err }
		n, after := limited(post)
		want(t, "messages at once", n, 10)
		want(t, "Retry-After", after, time.Second)
		time.Sleep(2 * time.Second)
		n, _ = limited(post)
		want(t, "messages after two seconds", n, 2)
		n, after = limited(groups)
		want(t, "calls of tier 2", n, 20)
		want(t, "its Retry-After", after, 3*time.Second)
		w.SetQuotas(false)
		n, _ = limited(groups)
		want(t, "lifted", n, 500)
	})
}

// Faults that were asked for: error words, statuses, limits, silence after the work was done, slowness.
func TestFaults(t *testing.T) {
	inBubble(t, slacktwin.Config{}, func(t *testing.T, w *world) {
		post := func(ctx context.Context) error {
			_, _, err := w.api.PostMessageContext(ctx, w.ops, slack.MsgOptionText("x", false))
			return err
		}
		w.FailNext("chat.postMessage", "fatal_error", 1)
		w.FailNext("chat.postMessage", "503", 1)
		w.FailNext("chat.postMessage", "ratelimited:30", 1)
		want(t, "word", errText(post(t.Context())), "fatal_error")
		var status slack.StatusCodeError
		if err := post(t.Context()); !errors.As(err, &status) || status.Code != 503 {
			t.Errorf("status: %v", err)
		}
		var rl *slack.RateLimitedError
		if err := post(t.Context()); !errors.As(err, &rl) || rl.RetryAfter != 30*time.Second {
			t.Errorf("limit: %v", err)
		}
		want(t, "nothing was posted", len(w.Messages(w.ops)), 0)
		w.FailNext("chat.postMessage", slacktwin.FailTimeout, 1)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := post(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("timeout: %v", err)
		}
		want(t, "posted all the same", len(w.Messages(w.ops)), 1)
		w.Delay("chat.postMessage", 5*time.Second)
		start := time.Now()
		want(t, "slow", errText(post(t.Context())), "")
		want(t, "how slow", time.Since(start), 5*time.Second)
		w.clean(t) // what was asked for is no refusal
	})
}

// Ten sockets at most; a ticket is used once; a payload goes to any one socket, each in turn.
func TestTickets(t *testing.T) {
	inBubble(t, slacktwin.Config{}, func(t *testing.T, w *world) {
		dial := func(url string) (*websocket.Conn, string) {
			d := websocket.Dialer{NetDialContext: w.net.DialContext}
			c, _, err := d.Dial(url, nil)
			if err != nil {
				return nil, err.Error()
			}
			_, frame, err := c.ReadMessage()
			if err != nil {
				t.Fatal(err)
			}
			return c, string(frame)
		}
		open := func() string {
			_, url, err := w.api.StartSocketModeContext(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return url
		}
		var conns []*websocket.Conn
		for n := 2; n <= 10; n++ {
			c, hello := dial(open())
			conns = append(conns, c)
			has(t, hello, `"type":"hello"`, fmt.Sprintf(`"num_connections":%d`, n))
		}
		c, frame := dial(open())
		has(t, frame, `"disconnect"`, "too_many_websockets")
		c.Close()
		conns[0].Close()
		if err := w.WaitFor(t.Context(), func() bool { return w.Sockets() == 9 }); err != nil {
			t.Fatal(err)
		}
		url := open()
		c, _ = dial(url)
		conns = append(conns, c)
		_, err := dial(url)
		has(t, err, "bad handshake")
		for range 10 {
			go w.alice.Command(t.Context(), "/breakglass")
		}
		time.Sleep(4 * time.Second)
		want(t, "of ten commands, the app's own socket got", len(w.got("slash_commands")), 1)
		for _, c := range conns {
			c.Close()
		}
	})
}

// An acknowledgement of 20 KB is dropped without a word, one byte less is taken; a socket that does not answer PINGs is
// given up after half a minute.
func TestBareSocket(t *testing.T) {
	inBubble(t, slacktwin.Config{}, func(t *testing.T, w *world) {
		w.stop() // the bare socket below is to be the only one
		_, url, err := w.api.StartSocketModeContext(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		d := websocket.Dialer{NetDialContext: w.net.DialContext}
		c, _, err := d.Dial(url, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		var pings, size atomic.Int64
		var silent atomic.Bool
		c.SetPingHandler(func(data string) error {
			pings.Add(1)
			if silent.Load() {
				return nil
			}
			return c.WriteControl(websocket.PongMessage, []byte(data), time.Now().Add(time.Second))
		})
		go func() {
			for {
				var env struct {
					ID   string `json:"envelope_id"`
					Type string
				}
				if c.ReadJSON(&env) != nil {
					return
				}
				if env.Type == "slash_commands" {
					frame := func(n int) string { return `{"text":"` + strings.Repeat("x", n) + `"}` }
					c.WriteMessage(websocket.TextMessage, []byte(`{"envelope_id":"`+env.ID+`","payload":`+frame(int(size.Load())-len(frame(0)))+`}`))
				}
			}
		}()
		if err := w.WaitFor(t.Context(), func() bool { return w.Sockets() == 1 }); err != nil { // the dial may end first
			t.Fatal(err)
		}
		size.Store(20<<10 - 1)
		r, err := w.alice.Command(t.Context(), "/x")
		if err != nil || len(r.Text) < 20_000 {
			t.Errorf("just below 20 KB: %v", err)
		}
		size.Add(1)
		if _, err = w.alice.Command(t.Context(), "/x"); !errors.Is(err, slacktwin.ErrOperationTimeout) {
			t.Errorf("20 KB: %v", err)
		}
		w.refusedOnly(t, "ack_too_large")
		pause(time.Minute)
		if pings.Load() < 12 || w.Sockets() != 1 {
			t.Errorf("%d PINGs in a minute, %d sockets", pings.Load(), w.Sockets())
		}
		silent.Store(true)
		pause(45 * time.Second)
		want(t, "sockets left", w.Sockets(), 0)
	})
}

// The directory: people in pages, by e-mail with its scope, groups, channels by kind.
func TestDirectory(t *testing.T) {
	inBubble(t, slacktwin.Config{}, func(t *testing.T, w *world) {
		for i := range 5 {
			w.AddUser(slacktwin.User{Name: fmt.Sprint("dev", i), Email: fmt.Sprintf("dev%d@forge.example", i)})
		}
		all, err := w.api.GetUsers(slack.GetUsersOptionLimit(3))
		want(t, "users.list", errText(err), "")
		want(t, "people, bots among them", len(all), 9)
		u, err := w.api.GetUserByEmail("Alice@forge.example")
		if err != nil || u.ID != "UALICE" || u.TZ != "America/New_York" || !u.IsEmailConfirmed {
			t.Errorf("by e-mail: %+v, %v", u, err)
		}
		_, err = w.api.GetUserByEmail("nobody@forge.example")
		want(t, "nobody", errText(err), "users_not_found")
		w.AddUserGroup(slacktwin.UserGroup{ID: "S1", Handle: "leads", Members: []string{"UBOB"}})
		members, err := w.api.GetUserGroupMembers("S1")
		want(t, "group", fmt.Sprint(members, err), "[UBOB] <nil>")
		w.AddChannel(slacktwin.Channel{Name: "secret", Private: true})
		w.AddChannel(slacktwin.Channel{Name: "shared", Private: true, ExtShared: true, Members: []string{w.BotUserID()}})
		list, _, err := w.api.GetConversations(&slack.GetConversationsParameters{Types: []string{"public_channel", "private_channel"}})
		want(t, "channels", fmt.Sprint(len(list), err), "2 <nil>")
		want(t, "shared with another company", list[1].IsExtShared, true)
		ids, _, err := w.api.GetUsersInConversation(&slack.GetUsersInConversationParameters{ChannelID: w.ops})
		want(t, "members", fmt.Sprint(len(ids), err), "3 <nil>")
		w.SetScopes([]string{"users:read"})
		u, _ = w.api.GetUserInfo("UALICE")
		want(t, "without users:read.email", u.Profile.Email, "")
		want(t, "conversations of alice", len(w.alice.Conversations()), 2)
	})
}

// Events of the workspace reach an app that subscribed to them.
func TestWorkspaceEvents(t *testing.T) {
	inBubble(t, slacktwin.Config{}, func(t *testing.T, w *world) {
		w.SetEvents([]string{"channel_rename", "subteam_members_changed", "user_change", "message.channels", "channel_shared"})
		w.SetScopes(append(slacktwin.DefaultScopes(), "channels:history"))
		var kinds []string
		w.listen(func(ev slackevents.EventsAPIEvent) {
			w.mu.Lock()
			defer w.mu.Unlock()
			kinds = append(kinds, ev.InnerEvent.Type)
		})
		steps := []func(){
			func() { w.RenameChannel(w.ops, "ops") },
			func() { w.UpdateUser("UBOB", func(u *slacktwin.User) { u.Deleted = true }) },
			func() { w.AddUserGroup(slacktwin.UserGroup{ID: "S1", Handle: "x"}) },
			func() { w.AddUserGroup(slacktwin.UserGroup{ID: "S1", Handle: "x", Members: []string{"UALICE"}}) },
			func() { w.alice.Say(w.ops, "", "hello") },
			func() { w.ShareChannel(w.ops, "TOTHER") },
		}
		for _, step := range steps {
			step()
			pause(time.Second)
		}
		want(t, "events", strings.Join(kinds, " "), "channel_rename user_change subteam_members_changed message channel_shared")
		want(t, "new name", w.ChannelID("#ops"), w.ops)
		want(t, "old name", w.ChannelID("platform-support"), "")
	})
}

// Reactions and pins, with their scopes; commands that are not registered.
func TestSmallThings(t *testing.T) {
	inBubble(t, slacktwin.Config{Commands: []string{"/breakglass"}, Journal: 5}, func(t *testing.T, w *world) {
		ts := w.post(t, w.ops, slack.MsgOptionText("x", false))
		ref := slack.NewRefToMessage(w.ops, ts)
		want(t, "without the scope", errText(w.api.AddReaction("eyes", ref)), "missing_scope")
		w.SetScopes([]string{"commands", "reactions:write", "pins:write", "team:read"})
		want(t, "reaction", errText(w.api.AddReaction("eyes", ref)), "")
		want(t, "again", errText(w.api.AddReaction("eyes", ref)), "already_reacted")
		want(t, "pin", errText(w.api.AddPin(w.ops, ref)), "")
		m, _ := w.Message(w.ops, ts)
		want(t, "shown", fmt.Sprint(m.Reactions["eyes"], m.Pinned), "["+w.BotUserID()+"] true")
		team, err := w.api.GetTeamInfo()
		want(t, "team", fmt.Sprint(team.Name, err), "Twin<nil>")
		if _, err := w.alice.Command(t.Context(), "/access"); !errors.Is(err, slacktwin.ErrNotAllowed) {
			t.Errorf("a command nobody registered: %v", err)
		}
		for range 20 {
			w.api.AuthTest()
		}
		if n := len(w.Calls()); n < 5 || n > 6 {
			t.Errorf("%d calls in a journal of 5", n)
		}
	})
}

// Quiet comes when calls and changes have ended, and not before.
func TestQuiet(t *testing.T) {
	inBubble(t, slacktwin.Config{}, func(t *testing.T, w *world) {
		changes, stop := w.Subscribe()
		defer stop()
		w.Delay("chat.postMessage", 10*time.Second)
		start := time.Now()
		go w.api.PostMessage(w.ops, slack.MsgOptionText("x", false))
		time.Sleep(time.Second)
		if err := w.Quiet(t.Context(), 100*time.Millisecond); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(start); d < 10*time.Second || d > 11*time.Second {
			t.Errorf("quiet after %v", d)
		}
		select {
		case <-changes:
		default:
			t.Error("the message was not announced")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := w.WaitFor(ctx, func() bool { return false }); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("waiting in vain: %v", err)
		}
	})
}

// Timestamps are identities: unique and increasing, also when the clock stands still or jumps.
func TestTimestamps(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	w := slacktwin.New(slacktwin.Config{Now: func() time.Time { return now }})
	id := w.AddChannel(slacktwin.Channel{Name: "x"})
	user := w.AddUser(slacktwin.User{Name: "a"})
	last := ""
	for i := range 100 {
		ts, err := w.PostAs(user, id, "x", nil, nil)
		if err != nil || ts <= last {
			t.Fatalf("%q after %q, %v", ts, last, err)
		}
		if last = ts; i == 50 {
			now = now.Add(time.Hour)
		}
	}
	want(t, "all are there", len(w.Messages(id)), 100)
}
