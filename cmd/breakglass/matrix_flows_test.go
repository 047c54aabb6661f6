package main

import (
	"time"

	"breakglass/store"
)

// flow is one workflow, as a script. Adding one is adding it to flows.
type flow struct {
	name   string
	env    []string                // besides that of every cell
	policy func(was string) string // changes the example policy; nil: leaves it
	play   func(*cell)
}

// flows are the workflows whose every effect is struck in every way.
var flows = []*flow{
	{name: "tier 1, to its expiry", play: func(c *cell) {
		id := c.opened("dana", "ec2", "prod-wealth", "lee")
		c.expires(id)
		c.reported(id)
	}},
	{name: "tier 0, End now", play: func(c *cell) {
		var id store.ID
		c.in("ask", func() {
			id = c.ask("alice", "emergency", "prod-cash", "1h")
			c.becomes("active", c.stands(id, store.Active))
		})
		c.enter("alice", id)
		c.in("end", func() {
			c.pass(5 * time.Minute)
			c.press("alice", "End now", id, c.stands(id, store.Revoking, store.Revoked))
			c.becomes("ended", c.stands(id, store.Revoked))
		})
		c.reported(id)
	}},
	{name: "denied", play: func(c *cell) {
		var id store.ID
		c.in("ask", func() { id = c.ask("dana", "ec2", "prod-wealth", "1h") })
		c.in("deny", func() {
			c.answer("lee", "Deny", id, c.stands(id, store.Closed), [2]string{"Reason", "use the replica"})
		})
	}},
}

// opened is a request that somebody asked for, somebody else approved, and AWS granted.
func (c *cell) opened(who, scenario, account, approver string) (id store.ID) {
	c.in("ask", func() { id = c.ask(who, scenario, account, "1h") })
	c.in("approve", func() {
		c.press(approver, "Approve", id, c.stands(id, store.Approved, store.Granting, store.Active))
		c.becomes("active", c.stands(id, store.Active))
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
