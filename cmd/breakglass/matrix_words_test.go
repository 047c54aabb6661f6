package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"breakglass/deploy/sandbox/slacktwin"
	"breakglass/store"
)

// The words of the matrix's workflows. People do what people do: a click that was not acknowledged is made again, unless it can be seen that
// it was taken; one that was acknowledged is not, and must have its effect.

// await waits, by the real clock, until something is so. A life in which it never is ends there.
func (c *cell) await(what string, within time.Duration, is func() bool) {
	for end := time.Now().Add(within); !is(); time.Sleep(35 * time.Millisecond) {
		c.prowl()
		if time.Now().After(end) {
			panic(stuck(fmt.Sprintf("in step %q never: %s", c.step, what)))
		}
	}
}

// becomes waits until something is so.
func (c *cell) becomes(what string, is func() bool) { c.await(what, 50*time.Second, is) }

// until does something until it is so. do returns nil where it was acknowledged; then it is not done again.
func (c *cell) until(what string, is func() bool, do func(context.Context) error) {
	var last error
	for range 15 {
		if is() {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
		last = do(ctx)
		cancel()
		if last == nil {
			c.await(what+", although it was acknowledged", 40*time.Second, is)
			return
		}
		for end := time.Now().Add(400 * time.Millisecond); time.Now().Before(end) && !is(); time.Sleep(25 * time.Millisecond) {
			c.prowl()
		}
	}
	if !is() {
		panic(stuck(fmt.Sprintf("in step %q never: %s; the last try: %v", c.step, what, last)))
	}
}

// in begins a step of the workflow, plays it, and waits until what it leads to has come: what it says, and where nothing has gone wrong yet,
// what it does. A step whose words do not come is no reason to stop: people go on too, and the aftermath tells.
func (c *cell) in(step string, play func()) {
	c.mu.Lock()
	c.step = step
	c.mu.Unlock()
	play()
	c.mu.Lock()
	c.last = time.Now()
	c.mu.Unlock()
	if c.expect == nil {
		c.await("quiet", 60*time.Second, func() bool { return c.quiet(1600 * time.Millisecond) }) // a sweep comes every second
		c.mu.Lock()
		defer c.mu.Unlock()
		c.after[step] = c.spoken()
		return
	}
	for end := time.Now().Add(25 * time.Second); time.Now().Before(end); time.Sleep(40 * time.Millisecond) {
		c.prowl()
		still := 100 * time.Millisecond
		if c.struckAt().IsZero() { // what is to be struck may come with the next sweep
			still = 1600 * time.Millisecond
		}
		if (c.struckAt().IsZero() && c.allCame(step) || c.quiet(still)) && len(c.unsaid(c.expect.after[step])) == 0 {
			return
		}
	}
}

// quiet says whether nothing was seen for so long.
func (c *cell) quiet(d time.Duration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.hanging && time.Since(c.last) > d
}

func (c *cell) allCame(step string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.expect.rows {
		if e.Step == step && !c.came[e] {
			return false
		}
	}
	return true
}

func (c *cell) as(who string) *slacktwin.Person {
	return c.world.Slack.As(c.world.Person(who).Slack).In(c.world.Slack.ChannelID("platform-support"))
}

// request is the newest open request of somebody for a scenario; ok is false where there is none, or nobody answers.
func (c *cell) request(who, scenario string) (r store.Request, ok bool) {
	all, _ := c.sessions()
	for _, q := range all {
		if q.Requester.SlackID == c.world.Person(who).Slack && q.Scenario == scenario {
			r, ok = q, true
		}
	}
	return r, ok
}

// stands says whether a request is in one of some states. Closed is that it was there and is no longer open: ids holds those that were seen.
func (c *cell) stands(id store.ID, states ...store.State) func() bool {
	return func() bool {
		all, answered := c.sessions()
		if !answered {
			return false
		}
		now := store.Closed
		for _, r := range all {
			if r.ID == id {
				now = r.State
			}
		}
		for _, s := range states {
			if s == now || s == store.Closed && now.Ended() {
				return true
			}
		}
		return false
	}
}

// ask fills in the form and sends it.
func (c *cell) ask(who, scenario, account, duration string) store.ID {
	var id store.ID
	recorded := func() bool {
		r, ok := c.request(who, scenario)
		id = r.ID
		return ok
	}
	c.until("the request is recorded", recorded, func(ctx context.Context) error {
		p := c.as(who)
		line := "/breakglass " + scenario
		if account != "" {
			line += " " + account + " " + duration
		}
		if _, err := p.Command(ctx, line); err != nil {
			return err
		}
		if err := shortly(func() bool { v := p.View(); return v != nil && v.Field("Duration") != nil }); err != nil {
			return err
		}
		fields := [][2]string{{"Reason", "it is down"}, {"Ticket", "OPS-1"}}
		if account == "" {
			fields = append(fields, [2]string{"Duration", duration})
		}
		for _, f := range fields {
			if err := p.Fill(ctx, f[0], f[1]); err != nil {
				return err
			}
		}
		return formError(p.Submit(ctx))
	})
	return id
}

// shortly waits for what people wait for: a few seconds.
func shortly(is func() bool) error {
	for end := time.Now().Add(4 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if is() {
			return nil
		}
	}
	return errors.New("it did not come")
}

// press presses a button on the newest message about a request that has it, in the channel or in somebody's direct messages.
func (c *cell) press(who, button string, id store.ID, taken func() bool) {
	c.until(who+" presses "+button, taken, func(ctx context.Context) error { return c.click(ctx, who, button, id) })
}

func (c *cell) click(ctx context.Context, who, button string, id store.ID) error {
	p := c.as(who)
	channel := c.world.Slack.ChannelID("platform-support")
	var found *slacktwin.Message
	err := shortly(func() bool {
		places := append(p.Messages(channel), p.DM()...)
		for _, m := range p.Messages(channel) {
			if m.Replies > 0 {
				places = append(places, p.Thread(channel, m.TS)[1:]...)
			}
		}
		for i, m := range places {
			if m.User != c.world.Slack.BotUserID() || !strings.Contains(m.PlainText(), string(id)) {
				continue
			}
			for _, b := range m.Buttons() {
				if b == button {
					found = &places[i]
				}
			}
		}
		return found != nil
	})
	if err != nil {
		return fmt.Errorf("a button %q about %s: %w", button, id, err)
	}
	return p.Click(ctx, found.Channel, found.TS, button)
}

// types types a command.
func (c *cell) types(who, line string, taken func() bool) {
	c.until(who+" types "+line, taken, func(ctx context.Context) error {
		_, err := c.as(who).Command(ctx, line)
		return err
	})
}

// fills types a command that opens a form, fills it in and sends it.
func (c *cell) fills(who, line string, taken func() bool, fields ...[2]string) {
	c.until(who+" types "+line, taken, func(ctx context.Context) error {
		p := c.as(who)
		_ = p.CloseView(ctx)
		if _, err := p.Command(ctx, line); err != nil {
			return err
		}
		return fillIn(ctx, p, fields)
	})
}

// fillIn fills in the form that is about to open, and sends it.
func fillIn(ctx context.Context, p *slacktwin.Person, fields [][2]string) error {
	if err := shortly(func() bool { v := p.View(); return v != nil && v.Field(fields[0][0]) != nil }); err != nil {
		return err
	}
	for _, f := range fields {
		if err := p.Fill(ctx, f[0], f[1]); err != nil {
			return err
		}
	}
	return formError(p.Submit(ctx))
}

// reads says whether somebody can read something in a channel.
func (c *cell) reads(channel, word string) func() bool {
	return func() bool {
		for _, m := range c.world.Slack.Messages(c.world.Slack.ChannelID(channel)) {
			if strings.Contains(m.PlainText(), word) {
				return true
			}
		}
		return false
	}
}

// decided says whether so many people have given their word.
func (c *cell) decided(id store.ID, n int) func() bool {
	return func() bool {
		all, _ := c.sessions()
		for _, r := range all {
			if r.ID == id && len(r.Decisions) >= n {
				return true
			}
		}
		return false
	}
}

// extension says whether the newest extension of a session is in one of some states.
func (c *cell) extension(id store.ID, states ...store.ExtensionState) func() bool {
	return func() bool {
		all, _ := c.sessions()
		for _, r := range all {
			if n := len(r.Extensions); r.ID == id && n > 0 && slices.Contains(states, r.Extensions[n-1].State) {
				return true
			}
		}
		return false
	}
}

// answer presses a button that opens a form, fills it in and sends it.
func (c *cell) answer(who, button string, id store.ID, taken func() bool, fields ...[2]string) {
	c.until(who+" presses "+button, taken, func(ctx context.Context) error {
		p := c.as(who)
		_ = p.CloseView(ctx)
		if err := c.click(ctx, who, button, id); err != nil {
			return err
		}
		return fillIn(ctx, p, fields)
	})
}

// pass lets time pass. The program asks what time it is every 20 ms at most: what people do next they do after it knows.
func (c *cell) pass(d time.Duration) {
	c.clock.Skip(d)
	time.Sleep(30 * time.Millisecond)
}

// near lets time pass until shortly before (or, negative, after) the end of a session. What remains passes by itself, so that how late something is can be
// measured.
func (c *cell) near(id store.ID, before time.Duration) {
	c.mu.Lock()
	end, known := c.ends[id]
	c.mu.Unlock()
	if !known {
		panic(stuck(fmt.Sprintf("the end of %s is not known", id)))
	}
	c.clock.Skip(end.Add(-before).Sub(c.clock.Now()))
}

// active waits until access is open. Where an end could not be made it may be taken away at once: then nothing of the workflow is left but its end.
func (c *cell) active(id store.ID) {
	if !c.opensAtAll(id) {
		panic(cutShort(id))
	}
}

// opensAtAll waits until a session is open (true), or over before it was.
func (c *cell) opensAtAll(id store.ID) (open bool) {
	over := c.stands(id, store.Revoked, store.Reported, store.Closed)
	c.becomes("active", func() bool {
		open = c.stands(id, store.Active)()
		return open || c.stroke != nil && over()
	})
	return open
}

// cutShort is how a workflow goes on whose session never was.
type cutShort store.ID

func (c *cell) shortened(id store.ID) {
	c.short = true
	c.in("cut short", func() {
		c.pass(16 * time.Minute)
		c.becomes("reported", c.stands(id, store.Reported, store.Closed))
		c.pass(2 * time.Hour)
		c.becomes("closed", c.stands(id, store.Closed))
	})
}

// aftermath waits until everything has been said that the workflow says, and stops the program in order. What the store then still holds is for the
// next start: so it is started until nothing is left.
func (c *cell) aftermath() {
	c.mu.Lock()
	c.step = "afterwards"
	c.mu.Unlock()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(40 * time.Millisecond) {
		if c.quiet(300*time.Millisecond) && (c.expect == nil || c.short || len(c.unsaid(c.expect.spoken)) == 0) {
			break
		}
		c.clock.Skip(2 * time.Second) // what was put off is put off by the twins' clock
	}
	for range 5 {
		if err := c.rest(); err != nil {
			panic(stuck(err.Error()))
		}
		if left := c.left(); left == "" {
			break
		}
		c.clock.Skip(2 * time.Minute)
		c.life.Lock()
		err := c.start()
		c.life.Unlock()
		if err != nil {
			panic(stuck(err.Error()))
		}
		c.mu.Lock()
		c.last = time.Now()
		c.mu.Unlock()
		// A start puts off what is to be said until Slack has answered, by seconds of the twins' clock.
		c.await("quiet", 30*time.Second, func() bool {
			c.clock.Skip(2 * time.Second)
			return c.quiet(1500 * time.Millisecond)
		})
	}
	if c.expect == nil || c.short {
		return
	}
	for _, m := range c.unsaid(c.expect.spoken) {
		c.breaks("never said: %s", m)
	}
}
