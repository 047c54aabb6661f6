package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"breakglass/deploy/sandbox"
	"breakglass/store"
	"breakglass/workflows/policy"
)

// What can happen in a history. To add something: a line in simulationDeeds, and a function that does it and says so.

// mood makes some things likelier: what is rare by chance alone, as a kill just after AWS made an assignment, is what the product is built for.
type mood struct {
	name     string
	overlaps bool           // two scenarios give one and the same access
	longer   bool           // every scenario can be extended
	more     map[string]int // deed -> how much likelier
}

var moods = []mood{
	{name: "everything"},
	{name: "overlaps", overlaps: true, more: map[string]int{"case": 4, "approve": 2, "cancel or end": 2}},
	{name: "kills", more: map[string]int{"kill at a call": 6, "kill soon": 4, "kill at a click": 6, "case": 3}},
	{name: "faults", more: map[string]int{"AWS fault": 5, "Slack fault": 3, "AWS away": 2, "case": 3}},
	{name: "extensions", longer: true, more: map[string]int{"case": 3, "extend": 5, "decide an extension": 6, "kill at a call": 2, "revoke": 2}},
	{name: "clocks", more: map[string]int{"clock": 5, "case": 3}},
	{name: "kills and overlaps", overlaps: true, more: map[string]int{"kill at a call": 5, "case": 4, "approve": 2, "cancel or end": 2}},
}

// deed is something that can happen.
type deed struct {
	name   string
	weight int
	do     func(*history)
}

func simulationDeeds() []deed {
	return []deed{
		{"ask", 5, (*history).ask},
		{"case", 6, (*history).wholeCase},
		{"approve", 6, (*history).approve},
		{"deny", 1, (*history).deny},
		{"cancel or end", 3, (*history).endOrCancel},
		{"extend", 3, (*history).extend},
		{"decide an extension", 3, (*history).decideLonger},
		{"revoke", 1, (*history).revoke},
		{"lockdown", 1, (*history).lockdown},
		{"add a ticket", 1, (*history).addTicket},
		{"sign in", 3, (*history).signIn},
		{"time", 6, (*history).letTimePass},
		{"AWS fault", 3, (*history).awsFault},
		{"AWS away", 1, (*history).awsAway},
		{"Slack fault", 2, (*history).slackFault},
		{"Slack away", 1, (*history).slackAway},
		{"kill at a call", 2, (*history).killAtCall},
		{"kill soon", 2, (*history).killSoon},
		{"kill at a click", 1, (*history).killAtClick},
		{"restart", 1, (*history).restart},
		{"clock", 1, (*history).moveClock},
		{"directory", 1, (*history).moveSomebody},
	}
}

// deed draws one and does it, and lets some time pass.
func (h *history) deed() {
	all, sum := simulationDeeds(), 0
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
	h.askFor(p, h.word("emergency", "ec2", "ec2", "console", "rds"), h.chance(3))
}

// wholeCase is somebody asking who may, and people who may deciding at once.
func (h *history) wholeCase() {
	p, name := h.somebody("dana", "alice"), h.word("emergency", "ec2", "ec2", "console", "console", "rds")
	if h.mood.overlaps {
		p, name = h.somebody("dana", "dana", "dana", "alice"), h.word("ec2", "console")
	}
	h.askFor(p, name, h.chance(3))
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
func (h *history) askFor(p *sandbox.Person, name string, shorter bool) {
	s, _ := h.pol.Scenario(name)
	d := s.MaxDuration
	if shorter {
		d = max(time.Minute, h.between(time.Minute, s.MaxDuration+time.Second).Round(time.Minute))
	}
	account := s.Accounts[h.rnd.IntN(len(s.Accounts))]
	if h.mood.overlaps {
		account = s.Accounts[0]
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	h.tidy(p)
	sp := h.world.Slack.As(p.Slack).In(h.channel())
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
