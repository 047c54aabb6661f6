package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"breakglass/deploy/sandbox/awstwin"
	"breakglass/store"
	"breakglass/store/ledger"
)

// What must hold once all faults are over and everything had time to end.

// finish mends everything, waits until all is closed, and asserts the rest.
func (h *history) finish() {
	h.mend()
	h.rest()
	if len(h.wrong) == 0 && h.again {
		h.lifeGoesOn()
		h.rest()
	}
	if len(h.wrong) > 0 {
		return
	}
	db := h.db()
	if db == nil {
		h.fault("the program does not come up")
		return
	}
	if !h.quiet(db) {
		open, _ := db.Open()
		for _, r := range slices.DeleteFunc(open, rests) {
			h.fault("%s is still %s (%+v, clocks %v)", r.ID, r.State, r.Work, r.Clocks)
		}
		notices, _ := db.Notices(0, 3)
		for _, n := range notices {
			h.fault("still to be told: %+v", n)
		}
		return
	}
	h.pass(time.Minute)
	h.heard(db)
	h.archiveHolds(db)
	for id := 1001; ; id++ {
		r, err := db.Request(store.ID(fmt.Sprintf("BG-%d", id)))
		if errors.Is(err, store.ErrNotFound) {
			break
		}
		if err != nil {
			h.fault("read BG-%d: %v", id, err)
			return
		}
		h.ended(db, r)
	}
	h.said(db)
	h.record()
	h.stop()
	end, err := store.Open(h.store, time.Now())
	if err != nil {
		h.fault("open the store at the end: %v", err)
		return
	}
	defer end.Close()
	if err := end.Check(); err != nil {
		h.fault("the store: %v", err)
	}
}

// rest lets time pass until nothing is left to be done, a day or two at most, and lifts a lockdown.
func (h *history) rest() {
	for range 300 {
		h.pass(10 * time.Minute)
		if len(h.wrong) > 0 {
			return
		}
		db := h.db()
		if db == nil {
			continue
		}
		if _, on, err := db.Lockdown(); err == nil && on {
			by := store.By{Actor: store.Officer("root"), At: store.Moment(h.clock.now())}
			if err := h.run.p.Load().engine.Unlock(by, "it is over"); err != nil {
				h.fault("lift the lockdown: %v", err)
			}
		}
		if h.quiet(db) {
			return
		}
	}
}

// archiveHolds: whatever failed, an auditor finds nothing wrong with the archive.
func (h *history) archiveHolds(db *store.DB) {
	r, err := verifyWith(db, twinBucket{h.world.AWS})
	if err != nil && !errors.Is(err, ledger.ErrNoKey) {
		h.fault("the archive: %v", err)
	}
	for _, f := range r.Findings {
		h.fault("the archive: %s, line %d: %s [%s]", f.Object, f.Line, f.Text, f.Code)
	}
}

// quiet: nothing is open, nothing is left to be said or acted on.
func (h *history) quiet(db *store.DB) bool {
	open, err1 := db.Open()
	notices, err2 := db.Notices(0, 1)
	clicks, err3 := db.Clicks(1)
	if err := errors.Join(err1, err2, err3); err != nil {
		h.fault("read the store: %v", err)
	}
	open = slices.DeleteFunc(open, rests)
	return len(open)+len(notices)+len(clicks) == 0
}

// rests says whether a request only waits for a ticket that its requester owes, and nobody here ever adds later.
func rests(r store.Request) bool {
	_, owed := r.At(store.ClockOwed)
	return r.State == store.Reported && owed && len(r.Clocks) == 1
}

// ended asserts what must be true of one request that is over.
func (h *history) ended(db *store.DB, r store.Request) {
	h.count(string(r.State))
	h.readings += len(r.Readings)
	if !r.State.Ended() && !rests(r) {
		h.fault("%s is %s", r.ID, r.State)
	}
	events, err := db.EventsOf(r.ID)
	if err != nil {
		h.fault("read the log of %s: %v", r.ID, err)
		return
	}
	moved, intents, shared := map[string]int{}, map[string]int{}, false
	for _, e := range events {
		switch e.Kind {
		case store.EventMoved:
			moved[string(e.From)+"->"+string(e.To)]++
		case store.EventIntent:
			intents[e.Data["effect"]]++
		case store.EventOutcome:
			shared = shared || e.Data["shared"] != "" || e.Data["standing"] == "true"
		}
	}
	for step, n := range moved {
		if n > 1 {
			h.fault("%s went %s %d times", r.ID, step, n)
		}
	}
	if intents["assign"] > 1 {
		h.fault("%s has %d intents to grant in its log", r.ID, intents["assign"])
	}
	if r.GrantedAt.IsZero() {
		return
	}
	h.count("grants")
	if len(r.Decisions) > 0 {
		h.count("approved by others")
	}
	if intents["assign"] != 1 {
		h.fault("%s was granted and its log has no intent", r.ID)
	}
	if why := h.judge(r); why != "" {
		h.fault("%s was granted: %s", r.ID, why)
	}
	h.longer(r)
	if r.PermissionSet != "" && r.Standing != h.stoodBefore(r.Tuple()) {
		h.fault("%s says that %s had it before (%v), and that is wrong", r.ID, h.name(r.Tuple()), r.Standing)
	}
	if shared || r.Standing {
		h.count("shared")
		return
	}
	h.onTime(r)
}

// longer: extensions had their words, and the session stayed within what the policy allows.
func (h *history) longer(r store.Request) {
	s, _ := h.pol.Scenario(r.Scenario)
	n := 0
	for _, x := range r.Extensions {
		if x.State != store.ExtensionGranted {
			continue
		}
		n++
		h.count("extensions")
		if why := h.judgeLonger(r, x); why != "" {
			h.fault("%s was extended: %s", r.ID, why)
		}
	}
	if total := r.ExpiresAt.Sub(r.GrantedAt); n > s.MaxExtensions || n > 0 && total > s.MaxTotal || n == 0 && total > r.Duration {
		h.fault("%s lasted %v with %d extensions; asked for %v, at most %v with %d", r.ID, total, n, r.Duration, s.MaxTotal, s.MaxExtensions)
	}
}

func (h *history) stoodBefore(t store.Tuple) bool {
	return slices.ContainsFunc(h.begin, func(b awstwin.Assignment) bool {
		return b.PrincipalID == t.UserID && b.AccountID == t.Account && b.PermissionSet == t.Set
	})
}

// lifeGoesOn: once everything is right again, somebody can ask, get in and end it.
func (h *history) lifeGoesOn() {
	for h.undo != nil {
		h.undo()
	}
	h.snapDirectory()
	p := h.world.Person("alice")
	h.askFor(p, "console", false)
	for range 3 {
		if r, ok := h.among(store.Pending); ok {
			h.helpfulWord(r)
			h.pass(5 * time.Second)
		}
	}
	h.pass(2 * time.Minute)
	r, ok := h.among(store.Active)
	if !ok {
		h.fault("all faults are over, and nothing can be granted any more")
		return
	}
	h.count("life goes on")
	if h.click(p, r, "End now") {
		h.acked(p, r.ID, "End now")
	}
}

// onTime: the deletion was on the wire soon after the end. A session that was never seen to begin may wait for its creation first: the bound at
// every step is for those.
func (h *history) onTime(r store.Request) {
	if r.VerifiedAt.IsZero() || r.PermissionSet == "" || r.State == store.Failed {
		return
	}
	due := h.due(r)
	limit := h.allow(due, r.Account.ID).Add(onWire)
	granted := h.real(r, "granted", r.GrantedAt)
	var first time.Time
	for _, w := range h.wires {
		if w.op == "DeleteAccountAssignment" && w.tuple == r.Tuple() && !w.at.Before(granted) {
			first = w.at
			break
		}
	}
	switch {
	case first.IsZero():
		h.fault("%s has ended and its deletion was never on the wire", r.ID)
	case first.After(limit):
		h.fault("the deletion of %s was on the wire %v after its end (%s, allowed %v)", r.ID, first.Sub(due), r.End.Why, limit.Sub(due))
	default:
		h.count("ends on time")
	}
}

// heard: whatever was acknowledged is in the store: as a request, as a line of the log that it led to, or as a refusal.
func (h *history) heard(db *store.DB) {
	found := map[press]int{}
	events, err := db.Events(0, 1_000_000)
	if err != nil {
		h.fault("read the log: %v", err)
	}
	type instant struct {
		press
		at time.Time
	}
	seen := map[instant]bool{}
	for _, e := range events {
		if e.Actor.Who != store.APerson || e.Actor.Person.SlackID == "" {
			continue
		}
		k := press{e.Actor.Person.SlackID, e.Request}
		switch e.Kind {
		case store.EventSubmitted:
			found[press{k.slack, ""}]++
		case store.EventRefused:
			found[k]++
		default:
			if at := (instant{k, e.At}); !seen[at] { // one click, several lines
				seen[at] = true
				found[k]++
			}
		}
	}
	for k, n := range h.acks {
		if found[k] < n {
			h.fault("%d presses of %s on %s were acknowledged and %d are in the store", n, k.slack, k.id, found[k])
		}
	}
}

// said: no message stands twice but where the log says that it may.
func (h *history) said(db *store.DB) {
	events, err := db.Events(0, 1_000_000)
	if err != nil {
		h.fault("read the log: %v", err)
	}
	allowed := h.readings // each is told of, mostly in the same words
	cards := map[store.ID]int{}
	for _, e := range events {
		switch e.Kind {
		case store.EventRepeated:
			allowed++
			if e.Data["message"] == "card" {
				cards[e.Request]++
			}
		case store.EventReminded, store.EventFault, store.EventRefused:
			allowed++
		}
	}
	type place struct{ channel, thread, text string }
	seen := map[place]int{}
	heads := map[store.ID]int{}
	again := 0
	var what string
	note := func(p place) {
		if seen[p]++; seen[p] == 2 { // the log says once that it may stand again, however often
			again++
			what = p.text
		}
	}
	for _, name := range []string{"platform-support", "platform-incidents"} {
		channel := h.world.Slack.ChannelID(name)
		for _, m := range h.world.Slack.Messages(channel) {
			id, _, ok := strings.Cut(strings.TrimSpace(m.PlainText()), ":")
			if ok && name == "platform-support" && strings.HasPrefix(id, "BG-") {
				heads[store.ID(id)]++
			} else {
				note(place{channel, "", m.PlainText()})
			}
			for _, reply := range h.world.Slack.Thread(channel, m.TS) {
				if reply.TS != m.TS && !reply.Ephemeral() {
					note(place{channel, m.TS, reply.PlainText()})
				}
			}
		}
	}
	if again > allowed {
		h.fault("%d messages stand twice and the log allows for %d: %q", again, allowed, what)
	}
	for id, n := range heads {
		if n > 1 && cards[id] == 0 {
			h.fault("the card of %s stands %d times, and the log does not say that it may", id, n)
		}
	}
}
