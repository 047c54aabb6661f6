package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"breakglass/deploy/sandbox"
	"breakglass/deploy/sandbox/awstwin"
	"breakglass/store"
	"breakglass/workflows"
	"breakglass/workflows/policy"
)

// What can happen in a history. To add something: a line in deeds, and a function that does it and says so.

// mood makes some things likelier: what is rare by chance alone, as a kill just after AWS made an assignment, is what the product is built for.
type mood struct {
	name     string
	overlaps bool
	more     map[string]int // deed -> how much likelier
}

var moods = []mood{
	{name: "everything"},
	{name: "overlaps", overlaps: true, more: map[string]int{"case": 4, "approve": 2, "cancel or end": 2}},
	{name: "kills", more: map[string]int{"kill at a call": 6, "kill soon": 4, "case": 3}},
	{name: "faults", more: map[string]int{"AWS fault": 5, "Slack fault": 3, "AWS away": 2, "case": 3}},
	{name: "clocks", more: map[string]int{"clock": 5, "case": 3}},
	{name: "kills and overlaps", overlaps: true, more: map[string]int{"kill at a call": 5, "case": 4, "approve": 2, "cancel or end": 2}},
}

// deed is something that can happen.
type deed struct {
	name   string
	weight int
	do     func(*history)
}

func deeds() []deed {
	return []deed{
		{"ask", 5, (*history).ask},
		{"case", 6, (*history).wholeCase},
		{"approve", 6, (*history).approve},
		{"deny", 1, (*history).deny},
		{"cancel or end", 3, (*history).endOrCancel},
		{"add a ticket", 1, (*history).addTicket},
		{"sign in", 3, (*history).signIn},
		{"time", 6, (*history).letTimePass},
		{"AWS fault", 3, (*history).awsFault},
		{"AWS away", 1, (*history).awsAway},
		{"Slack fault", 2, (*history).slackFault},
		{"Slack away", 1, (*history).slackAway},
		{"kill at a call", 2, (*history).killAtCall},
		{"kill soon", 2, (*history).killSoon},
		{"restart", 1, (*history).restart},
		{"clock", 1, (*history).moveClock},
		{"directory", 1, (*history).moveSomebody},
	}
}

// deed draws one and does it, and lets some time pass.
func (h *history) deed() {
	all, sum := deeds(), 0
	for i := range all {
		all[i].weight *= max(1, h.mood.more[all[i].name])
		sum += all[i].weight
	}
	n := h.rnd.IntN(sum)
	for _, d := range all {
		if n -= d.weight; n < 0 {
			d.do(h)
			break
		}
	}
	h.pass(h.pick(0, time.Second, time.Second, 3*time.Second, 10*time.Second, 40*time.Second, 2*time.Minute))
}

func (h *history) letTimePass() {
	d := h.pick(30*time.Second, 2*time.Minute, 9*time.Minute, 20*time.Minute, time.Hour)
	h.say("%v pass", d)
	h.pass(d)
}

func (h *history) somebody(keys ...string) *sandbox.Person { return h.world.Person(h.word(keys...)) }

func (h *history) anybody() *sandbox.Person {
	return h.world.People[h.rnd.IntN(len(h.world.People))]
}

// ask is somebody asking for something.
func (h *history) ask() {
	p := h.somebody("dana", "dana", "alice", "alice", "lee", "oscar", "gus")
	if h.chance(3) {
		p = h.anybody()
	}
	h.askFor(p, h.word("emergency", "ec2", "ec2", "console", "rds"))
}

// wholeCase is somebody asking who may, and people who may deciding at once.
func (h *history) wholeCase() {
	p, name := h.somebody("dana", "alice"), h.word("emergency", "ec2", "ec2", "console", "console", "rds")
	if h.mood.overlaps {
		p, name = h.somebody("dana", "dana", "dana", "alice"), h.word("ec2", "console")
	}
	h.askFor(p, name)
	for range 2 {
		if r, ok := h.among(store.Pending); ok && r.Requester.SlackID == p.Slack {
			h.helpfulWord(r)
			h.pass(h.pick(0, time.Second, 4*time.Second))
		}
	}
}

// helpfulWord is the word of somebody whose word counts, if there is one who has not spoken yet.
func (h *history) helpfulWord(r store.Request) {
	for _, p := range h.shuffled(h.world.People) {
		if p.AWS == r.Requester.UserID || h.clicked(p.Slack, r.ID) {
			continue
		}
		if h.mayHelp(p, r) {
			if h.click(p, r, "Approve") {
				h.acked(p, r.ID, "Approve")
			}
			return
		}
	}
}

// mayHelp says whether somebody stands in one of the lists of a request's approval.
func (h *history) mayHelp(p *sandbox.Person, r store.Request) bool {
	s, ok := h.pol.Scenario(r.Scenario)
	if !ok {
		return false
	}
	sets := s.Approval.Sets()
	if r.Second {
		sets = s.Eligible
	}
	d := h.dirs[len(h.dirs)-1]
	m := d.who[p.AWS]
	return m.enabled && slices.ContainsFunc(sets, func(set string) bool {
		return set == policy.Manager && p.AWS == d.who[r.Requester.UserID].manager || h.in(m, set)
	})
}

func (h *history) shuffled(of []*sandbox.Person) []*sandbox.Person {
	out := slices.Clone(of)
	h.rnd.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// askFor opens the form by command, fills it in and sends it.
func (h *history) askFor(p *sandbox.Person, name string) {
	s, _ := h.pol.Scenario(name)
	d := s.MaxDuration
	if h.chance(3) {
		d = max(time.Minute, h.between(time.Minute, s.MaxDuration+time.Second).Round(time.Minute))
	}
	account := s.Accounts[h.rnd.IntN(len(s.Accounts))]
	if h.mood.overlaps {
		account = s.Accounts[0]
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	sp := h.world.Slack.As(p.Slack).In(h.channel())
	_ = sp.CloseAll(ctx)
	line := fmt.Sprintf("/breakglass %s %s %s", name, account, d)
	_, err := sp.Command(ctx, line)
	h.pass(2 * time.Second)
	fields := [][2]string{{"Reason", "it burns"}}
	if s.Ticket.Required || h.chance(2) {
		fields = append(fields, [2]string{"Ticket", "OPS-1"})
	}
	for _, q := range s.Ask {
		if !q.Optional {
			fields = append(fields, [2]string{q.Label, "x"})
		}
	}
	for _, f := range fields {
		if err == nil {
			err = sp.Fill(ctx, f[0], f[1])
		}
	}
	if err != nil {
		h.say("%s types %s: %v", p.Key, line, err)
		return
	}
	errs, err := sp.Submit(ctx)
	if err != nil || len(errs) > 0 {
		h.say("%s types %s and sends: %v %v", p.Key, line, err, errs)
		return
	}
	h.say("%s asks: %s", p.Key, line)
	h.acked(p, "", "submit")
	h.pass(time.Second)
}

func (h *history) channel() string { return h.world.Slack.ChannelID("platform-support") }

// among picks a request that stands in one of these states.
func (h *history) among(states ...store.State) (r store.Request, ok bool) {
	db := h.db()
	if db == nil {
		return r, false
	}
	open, err := db.Open()
	if err != nil {
		h.fault("read what is open: %v", err)
	}
	open = slices.DeleteFunc(open, func(r store.Request) bool { return !slices.Contains(states, r.State) })
	if len(open) == 0 {
		return r, false
	}
	return open[h.rnd.IntN(len(open))], true
}

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
	if err != nil || !known {
		return false
	}
	h.mu.Lock()
	h.tried[press{p.Slack, r.ID}] = true
	h.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if h.chance(8) {
		h.world.Slack.RepeatNext(1)
	}
	err = h.world.Slack.As(p.Slack).In(h.channel()).Click(ctx, ref.Channel, ref.TS, button)
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
	if !h.click(p, r, button) {
		return
	}
	h.pass(time.Second)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	sp := h.world.Slack.As(p.Slack).In(h.channel())
	if err := sp.Fill(ctx, label, value); err != nil {
		h.say("%s cannot fill in %s: %v", p.Key, label, err)
		return
	}
	errs, err := sp.Submit(ctx)
	h.say("%s sends %s: %v %v", p.Key, label, orOK(err), errs)
	if err == nil && len(errs) == 0 {
		h.acked(p, r.ID, button)
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
		h.undo = nil
		h.say("the directory is as it was")
		undo()
		h.snapDirectory()
		return
	}
	p := h.somebody("dana", "alice", "lee", "pat", "sam")
	if u, ok := h.world.AWS.GetUser(p.AWS); ok && h.chance(2) {
		was := u
		u.Disabled = !u.Disabled
		h.world.AWS.UpdateUser(u)
		h.undo = func() { h.world.AWS.UpdateUser(was) }
		h.say("%s is disabled in the directory: %v", p.Key, u.Disabled)
	} else {
		group := h.word("grp-forge-developers", "grp-forge-sre-oncall", "grp-forge-platform-leads", "grp-forge-eng-managers", "grp-forge-platform-admins")
		for _, g := range h.world.AWS.Groups() {
			if g.Name != group {
				continue
			}
			if slices.Contains(g.Members, p.AWS) {
				h.world.AWS.RemoveMember(group, p.AWS)
				h.undo = func() { h.world.AWS.AddMember(group, p.AWS) }
				h.say("%s leaves %s", p.Key, group)
			} else {
				h.world.AWS.AddMember(group, p.AWS)
				h.say("%s joins %s", p.Key, group)
			}
		}
	}
	h.snapDirectory()
}
