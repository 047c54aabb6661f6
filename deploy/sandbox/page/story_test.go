package page

import (
	"bufio"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/slack-go/slack"

	"breakglass/deploy/sandbox"
)

// hostile is what an attacker would like the page to run.
const hostile = `"><script>alert(1)</script><img src=x onerror=alert(2)>' onmouseover='alert(3) javascript:alert(4) {{.}} </textarea></title>`

func TestWhatOthersWroteIsOnlyText(t *testing.T) {
	r := newRig(t)
	dana, bot := r.world.Person("dana"), r.world.Slack.BotUserID()
	ch := r.channel("platform-support")
	text := map[string]any{"type": "plain_text", "text": hostile[:100]}
	r.post(dana.Slack, ch, hostile, nil, nil)
	r.post(dana.Slack, ch, "<https://a.example/\"onx=|"+hostile+"> <javascript:alert(5)|x> *"+hostile+"* `"+hostile+"`", nil, nil)
	r.post(bot, ch, "x", []any{
		map[string]any{"type": "section", "block_id": `b"><script>`, "text": map[string]any{"type": "mrkdwn", "text": hostile}, "fields": []any{text},
			"accessory": map[string]any{"type": "button", "text": map[string]any{"type": "plain_text", "text": hostile[:70]}, "action_id": hostile, "url": "javascript:alert(6)",
				"confirm": map[string]any{"title": text, "text": text, "confirm": map[string]any{"type": "plain_text", "text": "<b>"}, "deny": map[string]any{"type": "plain_text", "text": "\""}}}},
		map[string]any{"type": "rich_text", "elements": []any{map[string]any{"type": "rich_text_section", "elements": []any{
			map[string]any{"type": "text", "text": hostile}, map[string]any{"type": "link", "url": "javascript:alert(7)", "text": hostile},
			map[string]any{"type": "date", "timestamp": 5, "format": "<script>", "fallback": hostile}, map[string]any{"type": "emoji", "name": hostile},
			map[string]any{"type": "usergroup", "usergroup_id": hostile}}}}},
	}, []any{map[string]any{"color": `#000"/><script>`, "title": hostile, "title_link": "javascript:alert(8)", "text": hostile, "callback_id": hostile, "footer": hostile,
		"fields": []any{map[string]any{"title": hostile, "value": hostile}}, "actions": []any{map[string]any{"name": hostile, "type": "button", "text": hostile}}}})
	out := r.look("dana", ch)
	hasNot(t, out, "<script>alert", "<script>\"", "<img", "onerror=alert(2)>", `href="javascript`, `data-href="javascript`, "' onmouseover='", "</textarea></title>", `fill="#000&#34;`)
	has(t, out, "&lt;script&gt;alert(1)")
	if strings.Count(out, "<script") != 1 { // the list of commands, which is data
		t.Error("there is a script in the page")
	}
	out = r.get("/view?as=" + `%22%3E%3Cscript%3E` + "&in=%22%3E%3Cscript%3E&thread=%22%3E%3Cscript%3Ealert&tab=%3Cscript%3E")
	hasNot(t, out, "<script>")
}

// askForm is what the app of these stories opens.
func askForm() slack.ModalViewRequest {
	zero := 0
	opt := func(text, value string) *slack.OptionBlockObject {
		return slack.NewOptionBlockObject(value, plainObj(text), nil)
	}
	scenario := slack.NewInputBlock("scenario", plainObj("Scenario"), nil,
		slack.NewOptionsSelectBlockElement(slack.OptTypeStatic, plainObj("Pick"), "pick", opt("P1: site down", "p1"), opt("EC2 shell", "ec2")))
	scenario.DispatchAction = true
	account := slack.NewOptionsSelectBlockElement(slack.OptTypeExternal, plainObj("Search"), "find")
	account.MinQueryLength = &zero
	reason := slack.NewPlainTextInputBlockElement(plainObj("Why?"), "text")
	reason.Multiline = true
	ticket := slack.NewInputBlock("ticket", plainObj("Ticket"), nil, slack.NewPlainTextInputBlockElement(nil, "t"))
	ticket.Optional = true
	return slack.ModalViewRequest{Type: slack.VTModal, CallbackID: "request", Title: plainObj("Ask"), Submit: plainObj("Send"), Close: plainObj("Close"),
		Blocks: slack.Blocks{BlockSet: []slack.Block{scenario, slack.NewInputBlock("account", plainObj("Account"), nil, account),
			slack.NewInputBlock("reason", plainObj("Reason"), plainObj("Seen by all"), reason), ticket}}}
}

// requestApp opens the form on a command, adds a line to it when a scenario is chosen, wants a long reason and posts a message.
func (r *rig) requestApp(clicked *atomic.Value) {
	ch := r.channel("platform-support")
	r.app(func(data any) any {
		switch d := data.(type) {
		case slack.SlashCommand:
			if d.Text == "help" {
				return map[string]any{"text": "Only *you* see this"}
			}
			_, _ = r.api.OpenView(d.TriggerID, askForm())
		case slack.InteractionCallback:
			switch d.Type {
			case slack.InteractionTypeBlockSuggestion:
				return slack.OptionsResponse{Options: []*slack.OptionBlockObject{slack.NewOptionBlockObject("acct-1", plainObj("prod-"+d.Value), nil)}}
			case slack.InteractionTypeViewSubmission:
				reason := d.View.State.Values["reason"]["text"].Value
				if len(reason) < 10 {
					return slack.NewErrorsViewSubmissionResponse(map[string]string{"reason": "Say <more>."})
				}
				go func() { // a client of the twin's own server may not be waited for in an acknowledgement
					yes := slack.NewButtonBlockElement("yes", "1", plainObj("Approve")).WithStyle(slack.StylePrimary)
					again := slack.NewButtonBlockElement("yes2", "2", plainObj("Approve"))
					_, _, _ = r.api.PostMessage(ch, slack.MsgOptionText("asked: "+reason, false), slack.MsgOptionBlocks(
						slack.NewSectionBlock(slack.NewTextBlockObject("mrkdwn", "<@"+d.User.ID+"> asks: "+reason, false, false), nil, nil),
						slack.NewActionBlock("first", yes), slack.NewActionBlock("second", again)))
				}()
			case slack.InteractionTypeBlockActions:
				a := d.ActionCallback.BlockActions[0]
				clicked.Store(a.ActionID + "=" + a.Value)
				if a.ActionID == "pick" {
					v := askForm()
					v.Blocks.BlockSet = append(v.Blocks.BlockSet, slack.NewSectionBlock(plainObj("Two hours at most"), nil, nil))
					_, _ = r.api.UpdateView(v, "", d.View.Hash, d.View.ID)
				}
			}
		}
		return nil
	})
}

func TestAskAndApprove(t *testing.T) {
	r := newRig(t)
	var clicked atomic.Value
	r.requestApp(&clicked)
	ch, dana := r.channel("platform-support"), r.world.Person("dana")
	p := r.world.Slack.As(dana.Slack)

	if out := r.do("say", request{As: "dana", In: ch, Text: "/breakglass help"}); out.Error != "" {
		t.Fatal(out.Error)
	}
	has(t, r.look("dana", ch), "Only visible to you", `Only <span class="b">you</span> see this`)
	hasNot(t, r.look("lee", ch), "Only visible to you")

	if out := r.do("say", request{As: "dana", In: ch, Text: "/breakglass"}); out.Error != "" {
		t.Fatal(out.Error)
	}
	r.until("the form", func() bool { return p.View() != nil })
	view := p.View().ID
	has(t, r.look("dana", ch), `data-testid="modal"`, `data-testid="field-Scenario"`, `data-testid="field-Account"`, `data-testid="field-Reason"`,
		`<span class="optional">(optional)</span>`, "Seen by all", `placeholder="Why?"`, `<option value="ec2"`, `data-testid="submit"`)
	hasNot(t, r.look("lee", ch), `data-testid="modal"`)

	fill := func(block, action, value string) {
		t.Helper()
		if out := r.do("fill", request{As: "dana", View: view, Block: block, Action: action, Value: value}); out.Error != "" {
			t.Fatal(out.Error)
		}
	}
	if out := r.do("submit", request{As: "dana", View: view}); out.Errors != 3 {
		t.Errorf("%d errors for three empty fields", out.Errors)
	}
	has(t, r.look("dana", ch), `data-testid="error-Scenario" role="alert">Please complete this required field.`)
	fill("reason", "text", "short")
	fill("scenario", "pick", "ec2")
	r.until("the changed form", func() bool { return strings.Contains(p.View().PlainText(), "Two hours") })
	has(t, r.look("dana", ch), "Two hours at most", "\nshort</textarea>", `<option value="ec2" selected`)
	found := r.do("options", request{As: "dana", View: view, Block: "account", Action: "find", Value: "we"})
	if len(found.Groups) != 1 || found.Groups[0].Options[0].Text != "prod-we" {
		t.Fatalf("the search found %+v", found)
	}
	fill("account", "find", "prod-")
	// The submit brings along what was typed a moment ago.
	out := r.do("submit", request{As: "dana", View: view, Fields: []entry{{"reason", "text", "shorter"}, {"scenario", "pick", "ec2"}, {"nowhere", "x", "y"}}})
	if out.Errors != 1 || out.Error != "" {
		t.Errorf("submit: %+v", out)
	}
	has(t, r.look("dana", ch), "Say &lt;more&gt;.", "\nshorter</textarea>", `aria-invalid="true"`)
	if out := r.do("submit", request{As: "dana", View: view, Fields: []entry{{"reason", "text", "the site is down"}}}); out.Errors != 0 || out.Error != "" {
		t.Errorf("submit: %+v", out)
	}
	r.until("the message", func() bool { return len(r.world.Slack.Messages(ch)) == 1 })
	m := r.world.Slack.Messages(ch)[0]
	page := r.look("lee", ch)
	has(t, page, `<span class="mention ">@Dana Ruiz</span> asks: the site is down`, `class="btn primary"`, `data-want="yes2" data-nth="0"`, `data-testid="walk-1" data-done="true"`)
	hasNot(t, r.look("dana", ch), `data-testid="modal"`)
	r.do("click", request{As: "lee", Surface: "message", Channel: ch, TS: m.TS, Want: "yes2"})
	if got := clicked.Load(); got != "yes2=2" {
		t.Errorf("the app heard of %v", got)
	}
}

// The page and the twin must count buttons alike, or a click would reach another.
func TestButtonsAreCountedAsTheTwinDoes(t *testing.T) {
	r := newRig(t)
	var clicked atomic.Value
	clicked.Store("")
	r.app(func(data any) any {
		if d, ok := data.(slack.InteractionCallback); ok {
			if len(d.ActionCallback.BlockActions) > 0 {
				a := d.ActionCallback.BlockActions[0]
				clicked.Store(a.Value + a.SelectedOption.Value)
			} else {
				clicked.Store(d.ActionCallback.AttachmentActions[0].Value)
			}
		}
		return nil
	})
	press := func(text, action, value string) any {
		return map[string]any{"type": "button", "text": map[string]any{"type": "plain_text", "text": text}, "action_id": action, "value": value}
	}
	row := func(id string, elements ...any) any {
		return map[string]any{"type": "actions", "block_id": id, "elements": elements}
	}
	entry := func(text, value string) any {
		return map[string]any{"text": map[string]any{"type": "plain_text", "text": text}, "value": value}
	}
	more := map[string]any{"type": "overflow", "action_id": "more", "options": []any{entry("Same", "o1"), entry("Else", "o2")}}
	ch := r.channel("platform-support")
	ts := r.post(r.world.Slack.BotUserID(), ch, "x", []any{row("a", press("Same", "s1", "1"), more, press("more", "s2", "2")), row("b", press("X", "s1", "3"))},
		[]any{map[string]any{"callback_id": "cb", "fallback": "f", "blocks": []any{row("c", press("Y", "s1", "4"))},
			"actions": []any{map[string]any{"name": "s1", "type": "button", "text": "Z", "value": "5"}}}})
	m, _ := r.world.Slack.Message(ch, ts)
	s := testSite(t)
	on := &surface{w: writer{s, ""}, kind: "message", ch: ch, ts: ts}
	var all []*button
	for _, b := range on.blocks(decode(m.Blocks)) {
		all = collect(all, b.Elements)
	}
	for _, a := range on.attachments(decode(m.Attachments)) {
		for _, b := range a.Blocks {
			all = collect(all, b.Elements)
		}
		all = collect(all, a.Buttons)
	}
	for i, want := range []string{"1", "o1", "o2", "2", "3", "4", "5"} {
		r.do("click", request{As: "lee", Surface: "message", Channel: ch, TS: ts, Want: all[i].Want, Nth: all[i].Nth})
		if got := clicked.Load(); got != want {
			t.Errorf("button %d (%s, %d) reached %v, want %s", i, all[i].Want, all[i].Nth, got, want)
		}
	}
}

func collect(all []*button, es []element) []*button {
	for _, e := range es {
		if e.Button != nil {
			all = append(all, e.Button)
		}
		all = append(all, e.Menu...)
	}
	return all
}

func TestWhatSlackSaysWhenTheAppIsAway(t *testing.T) {
	r := newRig(t)
	ch := r.channel("platform-support")
	has(t, r.look("dana", ch), "bot not connected")
	out := r.do("say", request{As: "dana", In: ch, Text: "/breakglass"})
	if want := "/breakglass failed with the error “dispatch_failed”."; out.Error != want || out.Where != "composer" {
		t.Errorf("%+v, want %q", out, want)
	}
	if out := r.do("say", request{As: "dana", In: ch, Text: "plain & <b>words</b>"}); out.Error != "" {
		t.Error(out.Error)
	}
	has(t, r.look("lee", ch), "plain &amp; &lt;b&gt;words&lt;/b&gt;")
	if out := r.do("say", request{As: "dana", In: ch, Thread: "1.1", Text: "/breakglass"}); out.Where != "thread" {
		t.Errorf("a command in a thread: %+v", out)
	}
	r.do("fault", request{As: "dana", Name: "slack", On: true})
	if out := r.do("say", request{As: "dana", In: ch, Text: "/breakglass"}); !strings.Contains(out.Error, "Slack is away") {
		t.Errorf("with Slack away: %+v", out)
	}
	has(t, r.get("/view?as=dana&tab=faults"), `aria-checked="true" aria-label="Slack is away"`)
}

func TestAccessFromBeginningToEnd(t *testing.T) {
	r := newRig(t)
	dana := r.world.Person("dana")
	set := "Forge-Prod-BreakGlass-EC2"
	has(t, r.get("/view?as=dana"), "Nothing.", `data-testid="walk-2" data-done="false"`)
	has(t, r.get("/view?as=gus"), "is a guest of the Slack workspace")
	r.world.AWS.Assign(dana.AWS, sandbox.ProdWealth, set)
	has(t, r.get("/view?as=lee&tab=org"), "15 name nobody.")
	r.guard(dana.AWS, set, r.clock.Now().Add(30*time.Minute))
	has(t, r.get("/view?as=lee&tab=org"), `data-testid="guards"`, "refuses everybody but Dana Ruiz<br>refuses Dana Ruiz from ", "14 more name nobody.")
	has(t, r.get("/view?as=dana"), `data-testid="access-prod-wealth-`+set+`"`, "until when, AWS does not know", `data-testid="walk-2" data-done="true"`)
	has(t, r.get("/view?as=lee&tab=org"), `data-testid="assigned"><td>Dana Ruiz`, `<span class="pill">standing</span>`)

	if out := r.do("signin", request{As: "lee", Account: sandbox.ProdWealth, Set: set}); !strings.Contains(out.Error, "ForbiddenException") {
		t.Errorf("Lee signed in: %+v", out)
	}
	if out := r.do("signin", request{As: "dana", Account: sandbox.ProdWealth, Set: set}); out.Error != "" {
		t.Fatal(out.Error)
	}
	act := func(name string) string {
		t.Helper()
		if out := r.do("act", request{As: "dana", N: 1, Name: name}); out.Error != "" {
			t.Fatal(out.Error)
		}
		page := r.get("/view?as=dana")
		_, page, _ = strings.Cut(page, `data-testid="tried"`)
		page, _, _ = strings.Cut(page, "</li>")
		return page
	}
	has(t, act("describe-instances"), `data-allowed="true"`, "prod-wealth-worker-1 running")
	has(t, act("stop-instance"), `data-allowed="true"`, "stopped")
	has(t, act("start-instance"), `data-allowed="true"`)
	has(t, act("read-log"), "connection pool exhausted")
	has(t, act("list-buckets"), `data-allowed="true"`)
	has(t, act("start-shell"), `data-allowed="true"`, "Connected to i-0")
	has(t, act("create-user"), `data-allowed="false"`, "AccessDenied", "iam:CreateUser")
	has(t, act("delete-table"), `data-allowed="false"`)
	has(t, r.get("/view?as=dana&tab=org"), `data-testid="ssm-sessions"`, "open since")
	has(t, r.get("/view?as=dana"), `data-testid="walk-3" data-done="true"`)

	r.world.AWS.Unassign(dana.AWS, sandbox.ProdWealth, set)
	has(t, r.get("/view?as=dana"), `data-testid="outlived"`, `data-testid="walk-4" data-done="true"`)
	has(t, act("describe-instances"), `data-allowed="true"`)
	r.do("skip", request{As: "dana", By: "30m"})
	has(t, r.get("/view?as=dana"), `data-testid="refused-by"`, sandbox.Guard(set)+"</span> in prod-wealth says so")
	hasNot(t, r.get("/view?as=dana"), `data-testid="outlived"`)
	has(t, act("describe-instances"), `data-allowed="false"`, "explicit deny")
	has(t, r.get("/view?as=dana&tab=org"), "open since") // the shell is no call: nothing has closed it
	if out := r.do("skip", request{As: "dana", By: "1h"}); out.Error != "" {
		t.Fatal(out.Error)
	}
	has(t, r.get("/view?as=dana"), "Its credentials expired at", "pretended: 1 hour 30 minutes ahead", `data-testid="since-skip"`, "Since you skipped 1 hour")
	hasNot(t, r.get("/view?as=dana"), `data-testid="outlived"`, `data-testid="refused-by"`)
	has(t, act("describe-instances"), `data-allowed="false"`, "xpired")
	has(t, r.get("/view?as=dana&tab=log"), "You skipped 1 hour", "Dana Ruiz no longer has "+set+" in prod-wealth", "Dana Ruiz: iam:CreateUser in prod-wealth was refused")
	r.do("since", request{As: "dana"})
	hasNot(t, r.get("/view?as=dana"), `data-testid="since-skip"`)
	if out := r.do("skip", request{As: "dana", By: "99h"}); out.Error == "" {
		t.Error("the clock was moved by 99 hours")
	}
}

func TestBadgesAndLanding(t *testing.T) {
	r := newRig(t)
	lee := r.world.Person("lee")
	ch, bot := r.channel("platform-incidents"), r.world.Slack.BotUserID()
	has(t, r.get("/view?as=lee"), `data-testid="channel-platform-support" class="chosen"`)
	r.post(bot, ch, "look, <@"+lee.Slack+">", nil, nil)
	has(t, r.get("/view?as=dana"), `data-testid="badge-lee" aria-label="1 unread">1<`)
	has(t, r.get("/view?as=lee"), `data-testid="channel-platform-incidents" class="chosen"`)
	hasNot(t, r.get("/view?as=dana"), `data-testid="badge-lee"`)
	top := r.world.Slack.Messages(ch)[0].TS
	if _, err := r.world.Slack.ReplyAs(bot, ch, top, "and here, <@"+lee.Slack+">"); err != nil {
		t.Fatal(err)
	}
	has(t, r.look("lee", ch), `<span class="new">1 for you</span>`)
	has(t, r.get("/view?as=lee&in="+ch+"&thread="+top), `data-testid="thread"`, `data-testid="thread-message"`)
	hasNot(t, r.look("lee", ch), `class="new"`)
}

func TestTheStreamTellsOfChanges(t *testing.T) {
	r := newRig(t)
	resp, err := http.Get(r.url + "/events")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	heard := make(chan string, 10)
	go func() {
		defer close(heard)
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			if lines.Text() == "event: change" {
				heard <- lines.Text()
			}
		}
	}()
	expect := func(what string) {
		t.Helper()
		select {
		case <-heard:
		case <-time.After(5 * time.Second):
			t.Fatal("nothing was told of " + what)
		}
	}
	expect("the beginning")
	r.post(r.world.Person("dana").Slack, r.channel("platform-support"), "hello", nil, nil)
	expect("a message")
	r.world.AWS.Assign(r.world.Person("dana").AWS, sandbox.ProdCash, "Forge-Prod-ReadOnly")
	expect("an assignment")
	r.clock.Skip(time.Minute)
	expect("a skip")
	r.do("fault", request{As: "dana", Name: "aws", On: true})
	expect("a fault")
}
