package main

import (
	"time"

	"breakglass/deploy/sandbox/slacktwin"
)

// What goes wrong around the program in a history. All of it passes: AWS and Slack come back, a killed program is started again.

// The calls of AWS's that a fault or a kill waits for; those that change something more often.
var awsCalls = []string{
	"CreateAccountAssignment", "CreateAccountAssignment", "CreateAccountAssignment", "DeleteAccountAssignment", "DeleteAccountAssignment", "DeleteAccountAssignment",
	"ListAccountAssignmentsForPrincipal", "ListAccountAssignments", "DescribeAccountAssignmentCreationStatus", "DescribeAccountAssignmentDeletionStatus",
	"DescribeUser", "IsMemberInGroups", "GetUserId", "CreatePolicyVersion", "CreatePolicyVersion", "DeletePolicyVersion", "GetPolicyVersion", "ListPolicyVersions",
	"CreateSchedule", "CreateSchedule", "DeleteSchedule", "AssumeRole", "TerminateSession", "DescribeSessions",
}

func (h *history) set(t *trap) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.traps = append(h.traps, t)
}

func (h *history) awsFault() {
	if h.chance(6) {
		d := h.pick(0, 100*time.Millisecond, 700*time.Millisecond, 2*time.Second)
		h.say("each call to AWS takes %v", d)
		h.world.AWS.SetDelay(d)
		return
	}
	if h.chance(8) {
		kind := h.word("create", "delete")
		h.say("the next %s is accepted and fails", kind)
		h.world.AWS.FailAsyncNext(kind, "Received a 500 status error: try later", 1)
		return
	}
	how := h.word("ConflictException", "ThrottlingException", "InternalServerException", "ServiceUnavailable", trapDrop, trapDrop, trapStall, trapHang)
	t := &trap{op: h.word(awsCalls...), how: how, left: 1 + h.rnd.IntN(2)}
	h.say("a fault waits for %s: %s (%d times)", t.op, t.how, t.left)
	h.set(t)
}

// awsAway is an outage of AWS for a while.
func (h *history) awsAway() {
	d := h.pick(5*time.Second, 30*time.Second, 3*time.Minute, 12*time.Minute)
	service := h.word("", "sso-admin", "identitystore", "iam", "scheduler")
	cut := h.chance(2)
	h.say("AWS (%q) is away for %v, unreachable: %v", service, d, cut)
	now := time.Now()
	h.suspend(now, now.Add(d), "AWS was away")
	turn := h.world.AWS.Outage
	if cut {
		turn = h.world.AWS.Unreachable
	}
	turn(service, true)
	h.away.Add(1)
	h.back(d, func() { turn(service, false); h.away.Add(-1) })
}

// back ends something after a while, whatever the history does meanwhile.
func (h *history) back(after time.Duration, end func()) {
	h.ends = append(h.ends, time.AfterFunc(after, end))
}

func (h *history) slackFault() {
	if h.chance(4) {
		h.say("Slack drops the sockets")
		h.world.Slack.DropSockets(h.word("refresh_requested", "warning", ""))
		return
	}
	t := &trap{op: h.word("chat.postMessage", "chat.postMessage", "chat.update", "views.open", "views.update", "users.info", "conversations.open", "apps.connections.open"),
		how: h.word("ratelimited:30", "ratelimited:2", "internal_error", "503", slacktwin.FailTimeout, slacktwin.FailTimeout), left: 1 + h.rnd.IntN(3)}
	h.say("a fault waits for %s: %s (%d times)", t.op, t.how, t.left)
	h.set(t)
}

func (h *history) slackAway() {
	d := h.pick(10*time.Second, 2*time.Minute, 20*time.Minute)
	h.say("Slack is away for %v", d)
	h.world.Slack.Outage(true)
	h.away.Add(1)
	h.back(d, func() { h.world.Slack.Outage(false); h.away.Add(-1) })
}

func (h *history) downtime() time.Duration {
	return h.pick(0, 0, time.Second, 10*time.Second, time.Minute, 15*time.Minute)
}

func (h *history) killAtCall() {
	t := &trap{op: h.word(awsCalls...), how: h.word(trapKillBefore, trapKillAfter, trapKillAfter), after: h.downtime(), left: 1}
	if h.chance(8) {
		t.op, t.how = h.word("chat.postMessage", "chat.update"), trapKillAfter
	}
	h.say("the program will be %s: %s", t.how, t.op)
	h.set(t)
}

// killSoon kills the program at one of the next looks at the clock.
func (h *history) killSoon() { h.killWithin(h.run, h.pickInt(3, 20, 80)) }

func (h *history) killWithin(r *flight, looks int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.after = h.downtime()
	r.dieAt = r.looks + 1 + h.rnd.IntN(looks)
	h.say("the program will be killed in %d looks at the clock", r.dieAt-r.looks)
}

// killAtClick kills it while the next click is being taken.
func (h *history) killAtClick() {
	h.say("the program will be killed at the next click")
	h.deathly = true
}

func (h *history) pickInt(of ...int) int { return of[h.rnd.IntN(len(of))] }

func (h *history) restart() {
	h.say("SIGTERM, and started again")
	from := time.Now()
	h.stop()
	h.suspend(from, time.Now(), "the program was restarted")
	h.launch(false)
	h.pass(3 * time.Second)
}

// moveClock sets the machine's clock wrong, or right again.
func (h *history) moveClock() {
	d := h.pick(0, 0, 10*time.Minute, time.Hour, 5*time.Second, -2*time.Minute, -10*time.Minute, -time.Hour, -6*time.Hour)
	h.say("the machine's clock is off by %v from now on", d)
	h.clock.set(d)
	h.count("clock jumps")
}

// mend ends all faults.
func (h *history) mend() {
	h.say("all faults end")
	h.mu.Lock()
	h.traps, h.deathly = nil, false
	h.mu.Unlock()
	for _, e := range h.ends {
		e.Stop()
	}
	h.world.AWS.ClearFaults()
	for _, kind := range []string{"create", "delete"} {
		h.world.AWS.FailAsyncNext(kind, "", 0)
	}
	h.world.Slack.Outage(false)
	h.clock.set(0)
	h.run.mu.Lock()
	h.run.dieAt = 0
	h.run.mu.Unlock()
}
