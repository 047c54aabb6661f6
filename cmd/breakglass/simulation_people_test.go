package main

import (
	"context"
	"slices"
	"strconv"
	"time"

	"breakglass/deploy/sandbox"
	"breakglass/deploy/sandbox/awstwin"
	"breakglass/store"
	"breakglass/workflows"
)

// What people do about requests that are there: they press buttons, sign in, and come and go in the directory.

// press is what somebody clicked and Slack was told that it arrived.
type press struct {
	slack string
	id    store.ID
}

func (h *history) acked(p *sandbox.Person, id store.ID, what string) {
	h.count("clicks acknowledged")
	h.mu.Lock()
	defer h.mu.Unlock()
	h.acks[press{p.Slack, id}]++
}

// clicked says whether that person pressed a button of that request at all, acknowledged or not.
func (h *history) clicked(slack string, id store.ID) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.tried[press{slack, id}]
}

// click presses a button of a request's card.
func (h *history) click(p *sandbox.Person, r store.Request, button string) bool {
	db := h.db()
	if db == nil {
		return false
	}
	ref, known, err := db.Ref(r.ID, workflows.NoticeCard)
	return err == nil && known && h.press(p, r, ref, button)
}

// press presses a button of a message.
func (h *history) press(p *sandbox.Person, r store.Request, ref store.Ref, button string) bool {
	h.mu.Lock()
	h.tried[press{p.Slack, r.ID}] = true
	h.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if h.chance(8) {
		h.world.Slack.RepeatNext(1)
	}
	if h.deathly {
		h.deathly = false
		h.killWithin(h.run, 4)
	}
	err := h.world.Slack.As(p.Slack).In(h.channel()).Click(ctx, ref.Channel, ref.TS, button)
	h.say("%s presses %s on %s (%s): %v", p.Key, button, r.ID, r.State, orOK(err))
	return err == nil
}

func orOK(err error) string {
	if err == nil {
		return "ok"
	}
	return err.Error()
}

func (h *history) approve() {
	r, ok := h.among(store.Pending)
	if !ok {
		return
	}
	if h.chance(2) {
		h.helpfulWord(r)
		return
	}
	p := h.somebody("lee", "pat", "sam", "sec", "inc", "casey", "alice")
	switch h.rnd.IntN(8) {
	case 0:
		p = h.anybody()
	case 1: // themselves
		for _, o := range h.world.People {
			if o.Slack == r.Requester.SlackID {
				p = o
			}
		}
	}
	if h.click(p, r, "Approve") {
		h.acked(p, r.ID, "Approve")
	}
}

// form presses a button that opens a form with one field, and sends that.
func (h *history) form(p *sandbox.Person, r store.Request, button, label, value string) {
	h.tidy(p)
	if !h.click(p, r, button) {
		return
	}
	h.pass(time.Second)
	if h.send(p, label, value) {
		h.acked(p, r.ID, button)
	}
}

// tidy closes the forms that somebody left open.
func (h *history) tidy(p *sandbox.Person) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_ = h.world.Slack.As(p.Slack).In(h.channel()).CloseAll(ctx)
}

// send fills in the form that is open and sends it.
func (h *history) send(p *sandbox.Person, label, value string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	sp := h.world.Slack.As(p.Slack).In(h.channel())
	if err := sp.Fill(ctx, label, value); err != nil {
		h.say("%s cannot fill in %s: %v", p.Key, label, err)
		_ = sp.CloseAll(ctx)
		return false
	}
	errs, err := sp.Submit(ctx)
	h.say("%s sends %s: %v %v", p.Key, label, orOK(err), errs)
	return err == nil && len(errs) == 0
}

func (h *history) extend() {
	r, ok := h.among(store.Active)
	for range 5 {
		if s, _ := h.pol.Scenario(r.Scenario); ok && s.MaxExtensions == 0 {
			r, ok = h.among(store.Active) // rather one that can be
		}
	}
	if !ok {
		return
	}
	p := h.requester(r)
	if h.chance(8) {
		p = h.anybody()
	}
	h.form(p, r, "Extend", "Duration", h.word("1m", "5m", "20m"))
	for range h.rnd.IntN(4) {
		h.pass(h.pick(time.Second, 5*time.Second))
		h.decideLonger()
	}
}

// decideLonger is somebody's word on an extension that waits.
func (h *history) decideLonger() {
	db := h.db()
	if db == nil {
		return
	}
	open, err := db.Open()
	if err != nil {
		h.fault("read what is open: %v", err)
		return
	}
	for _, r := range open {
		n, x := r.Extending()
		if x == nil || x.State != store.ExtensionAsked {
			continue
		}
		ref, known, err := db.Ref(r.ID, "extension "+strconv.Itoa(n))
		if err != nil || !known {
			continue
		}
		p := h.anybody()
		for _, o := range h.shuffled(h.world.People) {
			if !h.chance(4) && o.AWS != r.Requester.UserID && h.mayHelp(o, r) && !slices.ContainsFunc(x.Decisions, func(d store.Decision) bool { return d.By.UserID == o.AWS }) {
				p = o
			}
		}
		if h.chance(8) {
			h.tidy(p)
			if h.press(p, r, ref, "Deny") {
				h.pass(time.Second)
				if h.send(p, "Reason", "no longer") {
					h.acked(p, r.ID, "Deny")
				}
			}
			return
		}
		if h.press(p, r, ref, "Approve") {
			h.acked(p, r.ID, "Approve")
		}
		return
	}
}

func (h *history) revoke() {
	if r, ok := h.among(store.Active); ok {
		h.form(h.somebody("lee", "pat", "sam", "sec", "inc", "dana", "oscar"), r, "Revoke", "Reason", "enough")
	}
}

// lockdown locks everything down, or lifts that.
func (h *history) lockdown() {
	p, line := h.somebody("sec", "inc", "sec", "inc", "lee"), "/access lockdown"
	if db := h.db(); db != nil {
		if _, on, _ := db.Lockdown(); on {
			line += " lift"
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	h.tidy(p)
	_, err := h.world.Slack.As(p.Slack).In(h.channel()).Command(ctx, line)
	h.say("%s types %s: %v", p.Key, line, orOK(err))
	if err != nil {
		return
	}
	h.pass(time.Second)
	if h.send(p, "Reason", "to be sure") {
		h.acked(p, "", line)
	}
}

func (h *history) deny() {
	if r, ok := h.among(store.Pending); ok {
		h.form(h.somebody("lee", "pat", "sam", "alice", "oscar"), r, "Deny", "Reason", "not now")
	}
}

func (h *history) addTicket() {
	if r, ok := h.among(store.Active, store.Revoking, store.Revoked, store.Reported); ok && r.Ticket == "" {
		h.form(h.requester(r), r, "Add ticket", "Ticket", "OPS-2")
	}
}

func (h *history) requester(r store.Request) *sandbox.Person {
	for _, p := range h.world.People {
		if p.Slack == r.Requester.SlackID {
			return p
		}
	}
	return h.world.People[0]
}

func (h *history) endOrCancel() {
	r, ok := h.among(store.Pending, store.Active, store.Active, store.Granting)
	if !ok {
		return
	}
	p := h.requester(r)
	if h.chance(6) {
		p = h.anybody()
	}
	button := "End now"
	if r.State == store.Pending {
		button = "Cancel request"
	}
	if h.click(p, r, button) {
		h.acked(p, r.ID, button)
	}
}

// seat is somebody signed in.
type seat struct {
	session *awstwin.Session
	who     *sandbox.Person
	tuple   store.Tuple
	id      store.ID
}

// signIn takes credentials with an access that somebody has, as they would at once.
func (h *history) signIn() {
	r, ok := h.among(store.Active)
	if !ok || r.PermissionSet == "" {
		return
	}
	p := h.requester(r)
	s, err := h.world.AWS.SignIn(r.Requester.UserID, r.Account.ID, r.PermissionSet)
	if err != nil {
		if u, _ := h.world.AWS.GetUser(r.Requester.UserID); !u.Disabled {
			h.fault("%s is active and %s cannot sign in: %v", r.ID, p.Key, err)
		}
		return
	}
	h.say("%s signs in with %s", p.Key, r.ID)
	h.count("sessions")
	h.seats = append(h.seats, &seat{s, p, r.Tuple(), r.ID})
}

func (h *history) drawStanding() {
	for _, key := range []string{"dana", "alice"} {
		if h.chance(4) {
			set := h.word("Forge-Prod-BreakGlass-EC2", "Forge-Prod-Emergency", "Forge-Prod-BreakGlass-RDS")
			h.world.AWS.Assign(h.world.Person(key).AWS, sandbox.ProdWealth, set)
			h.say("%s had %s in prod-wealth before", key, set)
		}
	}
	h.begin = h.world.AWS.Assignments()
}

// moveSomebody changes the directory, or takes the last change back.
func (h *history) moveSomebody() {
	if undo := h.undo; undo != nil && h.chance(2) {
		h.say("the last change to the directory is taken back")
		undo()
		h.snapDirectory()
		return
	}
	p := h.somebody("dana", "alice", "lee", "pat", "sam")
	if u, ok := h.world.AWS.GetUser(p.AWS); ok && h.chance(2) {
		was := u
		u.Disabled = !u.Disabled
		h.world.AWS.UpdateUser(u)
		h.later(func() { h.world.AWS.UpdateUser(was) })
		h.say("%s is disabled in the directory: %v", p.Key, u.Disabled)
	} else {
		group := h.word("grp-forge-developers", "grp-forge-sre-oncall", "grp-forge-platform-leads", "grp-forge-eng-managers", "grp-forge-platform-admins")
		for _, g := range h.world.AWS.Groups() {
			if g.Name != group {
				continue
			}
			if slices.Contains(g.Members, p.AWS) {
				h.world.AWS.RemoveMember(group, p.AWS)
				h.later(func() { h.world.AWS.AddMember(group, p.AWS) })
				h.say("%s leaves %s", p.Key, group)
			} else {
				h.world.AWS.AddMember(group, p.AWS)
				h.later(func() { h.world.AWS.RemoveMember(group, p.AWS) })
				h.say("%s joins %s", p.Key, group)
			}
		}
	}
	h.snapDirectory()
}

// later is how the last change to the directory is taken back, with those before it.
func (h *history) later(undo func()) {
	before := h.undo
	h.undo = func() {
		undo()
		h.undo = before
	}
}
