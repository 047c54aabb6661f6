package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"breakglass/deploy/sandbox"
	"breakglass/store"
)

// flow is one workflow, as a script. Adding one is adding it to flows.
type flow struct {
	name   string
	env    []string                // besides that of every cell
	policy func(was string) string // changes the example policy; nil: leaves it
	bucket bool                    // the archive is a bucket, and what is put there is a row; else it is a folder
	first  bool                    // the effects of the start are rows here; everywhere else they are the same
	play   func(*cell)
}

// flows are the workflows whose every effect is struck in every way.
var flows = []*flow{
	{name: "tier 1, to its expiry", play: func(c *cell) {
		c.begun()
		id := c.opened("dana", "ec2", "prod-wealth", "lee")
		c.expires(id)
		c.reported(id)
	}},
	{name: "first start, denied", first: true, play: func(c *cell) {
		c.begun()
		var id store.ID
		c.in("ask", func() { id = c.ask("dana", "ec2", "prod-wealth", "1h") })
		c.in("deny", func() {
			c.answer("lee", "Deny", id, c.stands(id, store.Closed), [2]string{"Reason", "use the replica"})
		})
	}},
	{name: "tier 0, End now", play: func(c *cell) {
		c.begun()
		var id store.ID
		c.in("ask", func() {
			id = c.ask("alice", "emergency", "prod-cash", "1h")
			c.active(id)
		})
		c.enter("alice", id)
		c.in("end", func() {
			c.pass(5 * time.Minute)
			c.press("alice", "End now", id, c.stands(id, store.Revoking, store.Revoked))
			c.becomes("ended", c.stands(id, store.Revoked))
		})
		c.reported(id)
	}},
	{name: "two sessions of one access", policy: oneAccess, play: func(c *cell) {
		c.begun()
		first := c.opened("dana", "ec2", "prod-wealth", "lee")
		c.pass(30 * time.Minute)
		second := c.openedIn("second ", "dana", "console", "prod-wealth", "sam")
		c.in("remind", func() { c.near(first, 10*time.Minute-time.Second) })
		c.in("first ends", func() {
			c.near(first, 200*time.Millisecond)
			c.becomes("ended", c.stands(first, store.Revoked))
		})
		c.in("second remind", func() { c.near(second, 10*time.Minute-time.Second) })
		c.in("second ends", func() {
			c.near(second, 200*time.Millisecond)
			c.becomes("ended", c.stands(second, store.Revoked))
		})
		c.reported(second)
	}},
	{name: "extended", policy: under("ec2", "max_extensions: 1", "max_total: 3h"), play: func(c *cell) {
		c.begun()
		id := c.opened("dana", "ec2", "prod-wealth", "lee")
		c.in("ask for more", func() {
			c.pass(30 * time.Minute)
			c.types("dana", "/access extend "+string(id)+" 1h", c.extension(id, store.ExtensionAsked, store.ExtensionApproved, store.ExtensionGranted))
		})
		c.in("more", func() {
			c.press("lee", "Approve", id, c.extension(id, store.ExtensionApproved, store.ExtensionGranted))
			c.becomes("longer", c.extension(id, store.ExtensionGranted))
		})
		c.expires(id)
		c.reported(id)
	}},
	{name: "revoked by another", play: func(c *cell) {
		c.begun()
		id := c.opened("dana", "ec2", "prod-wealth", "lee")
		c.in("revoke", func() {
			c.pass(5 * time.Minute)
			c.answer("pat", "Revoke", id, c.stands(id, store.Revoking, store.Revoked), [2]string{"Reason", "wrong account"})
			c.becomes("ended", c.stands(id, store.Revoked))
		})
		c.reported(id)
	}},
	{name: "lockdown and lift", play: func(c *cell) {
		c.begun()
		id := c.opened("dana", "ec2", "prod-wealth", "lee")
		c.in("lockdown", func() {
			c.pass(5 * time.Minute)
			c.fills("sec", "/access lockdown", c.stands(id, store.Revoking, store.Revoked), [2]string{"Reason", "a laptop was stolen"})
			c.becomes("ended", c.stands(id, store.Revoked))
		})
		c.in("lift", func() {
			c.fills("sec", "/access lockdown lift", c.reads("platform-incidents", "lifted"), [2]string{"Reason", "found again"})
		})
		c.reported(id)
	}},
	{name: "membership of a group", play: func(c *cell) {
		c.begun()
		id := c.opened("dana", "vpn-prod-wealth", "", "pat")
		c.expires(id)
		c.reported(id)
	}},
	{name: "IAM role", play: func(c *cell) {
		c.begun()
		var id store.ID
		c.in("ask", func() { id = c.ask("alice", "admin-role", "prod-wealth", "1h") })
		c.in("first word", func() { c.press("sec", "Approve", id, c.decided(id, 1)) })
		c.in("approve", func() {
			c.press("inc", "Approve", id, c.decided(id, 2))
			c.active(id)
		})
		c.enter("alice", id)
		c.expires(id)
		c.reported(id)
	}},
	{name: "granted along", policy: under("ec2", "with: [vpn-prod-wealth]"), play: func(c *cell) {
		c.begun()
		id := c.opened("dana", "ec2", "prod-wealth", "lee")
		c.in("along", func() { c.short = !c.opensAtAll(next(id)) })
		c.in("end", func() {
			c.pass(5 * time.Minute)
			c.press("dana", "End now", id, c.stands(id, store.Revoking, store.Revoked))
			c.becomes("ended", c.stands(id, store.Revoked))
			c.becomes("ended too", c.stands(next(id), store.Revoked, store.Reported, store.Closed))
		})
		c.reported(id)
		c.in("close too", func() { c.becomes("closed", c.stands(next(id), store.Closed)) })
	}},
	{name: "what nothing explains", policy: revokesUnexplained, play: func(c *cell) {
		c.begun()
		id := c.opened("dana", "ec2", "prod-wealth", "lee")
		c.in("found", func() {
			c.again(func() {
				c.world.AWS.SetPolicy(sandbox.ProdWealth, sandbox.Guard("Forge-Prod-BreakGlass-RDS"), sandbox.FirstGuard("somebody's own"))
				c.world.AWS.Assign(c.world.Person("oscar").AWS, sandbox.ProdCash, "Forge-Prod-BreakGlass-EC2")
			})
			c.becomes("found", c.reads("platform-incidents", "Oscar"))
		})
		c.in("looked again", func() { // what could not be done is done by the next comparison, which a start makes as well
			was := 0
			compared := func() int { return strings.Count(c.log.String(), `"reconciled"`) }
			c.again(func() { was = compared() })
			c.becomes("compared", func() bool { return compared() > was })
		})
		c.expires(id)
		c.reported(id)
	}},
	{name: "evidence", bucket: true, env: []string{"BREAKGLASS_ARCHIVE=s3://" + sandbox.ArchiveBucket}, policy: owing("ec2"), play: func(c *cell) {
		c.begun()
		id := c.opened("dana", "ec2", "prod-wealth", "lee")
		c.expires(id)
		c.in("report", func() {
			c.pass(16 * time.Minute)
			c.becomes("reported", c.stands(id, store.Reported))
		})
		c.in("again", func() { c.pass(2 * time.Hour) })
		c.in("post-mortem", func() {
			c.answer("dana", "Write post-mortem", id, c.stands(id, store.Closed), [2]string{"What happened", "a deploy"}, [2]string{"What was done", "rolled back"})
			c.pass(6 * time.Minute)
		})
	}},
}

// owing has a scenario owe a post-mortem.
func owing(scenario string) func(string) string {
	return func(was string) string {
		head := "\n  " + scenario + ":\n"
		return strings.Replace(was, head+"    post_mortem: false\n", head, 1)
	}
}

// oneAccess makes two scenarios grant the same.
func oneAccess(was string) string {
	return strings.NewReplacer("grant: {permission_set: Forge-Prod-ReadOnly}", "grant: {permission_set: Forge-Prod-BreakGlass-EC2}",
		"guard: timed                          # this set", "guard: closed # this set").Replace(was)
}

func revokesUnexplained(was string) string {
	return strings.Replace(was, "unexplained: announce", "unexplained: revoke", 1)
}

// under writes lines into a scenario of the policy.
func under(scenario string, lines ...string) func(string) string {
	return func(was string) string {
		head := "\n  " + scenario + ":\n"
		return strings.Replace(was, head, head+"    "+strings.Join(lines, "\n    ")+"\n", 1)
	}
}

// next is the id after another.
func next(id store.ID) store.ID {
	n, _ := strconv.Atoi(strings.TrimPrefix(string(id), "BG-"))
	return store.ID(fmt.Sprint("BG-", n+1))
}

// begun waits until the first start has compared what stands with what must.
func (c *cell) begun() {
	c.in("start", func() {
		c.await("the first comparison", 60*time.Second, func() bool { return strings.Contains(c.log.String(), `"reconciled"`) })
	})
}

// again stops the program in order, does something meanwhile, and starts it.
func (c *cell) again(meanwhile func()) {
	if err := c.rest(); err != nil {
		panic(stuck(err.Error()))
	}
	meanwhile()
	c.life.Lock()
	defer c.life.Unlock()
	if err := c.start(); err != nil {
		panic(stuck(err.Error()))
	}
}

// opened is a request that somebody asked for, somebody else approved, and AWS granted.
func (c *cell) opened(who, scenario, account, approver string) (id store.ID) {
	return c.openedIn("", who, scenario, account, approver)
}

func (c *cell) openedIn(step, who, scenario, account, approver string) (id store.ID) {
	c.in(step+"ask", func() { id = c.ask(who, scenario, account, "1h") })
	c.in(step+"approve", func() {
		c.press(approver, "Approve", id, c.stands(id, store.Approved, store.Granting, store.Active))
		c.active(id)
	})
	c.enter(who, id)
	return id
}

// expires lets a session run to its end: a reminder, then the expiry.
func (c *cell) expires(id store.ID) {
	c.in("remind", func() { c.near(id, 10*time.Minute-time.Second) })
	c.in("expire", func() {
		c.near(id, 200*time.Millisecond)
		c.becomes("ended", c.stands(id, store.Revoked))
	})
}

// reported lets the case go on to its close.
func (c *cell) reported(id store.ID) {
	c.in("report", func() {
		c.pass(16 * time.Minute)
		c.becomes("reported", c.stands(id, store.Reported, store.Closed))
	})
	c.in("close", func() {
		c.pass(2 * time.Hour)
		c.becomes("closed", c.stands(id, store.Closed))
	})
}
