package workflows

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"breakglass/store"
	"breakglass/workflows/policy"
)

// What a requester owes when their session has ended: a post-mortem, and a ticket that was to follow. Both are asked for, then their manager is told, who may
// close the case without them. Until then it stays open: what nobody asks for is never written.

// owedAgain is between two reminders once the time is over; after a few of them it is a week.
const (
	owedAgain = 24 * time.Hour
	owedOften = 3
)

// owes begins the time within which the post-mortem is owed, at the end of a session that somebody was in.
func owes(c *store.Change, p *policy.Policy) error {
	q := c.Request
	if q.Standing || q.VerifiedAt.IsZero() {
		q.Owes = false
	}
	if !q.Owes {
		return nil
	}
	within := p.Report.PostMortem.Within
	q.PostMortemBy = c.By.At.Add(within)
	next := halfway(q)
	if q.Ticket == "" && q.TicketBy.After(c.By.At) && q.TicketBy.Before(next) {
		next = q.TicketBy
	}
	q.Set(store.ClockOwed, next)
	return line(c, NoticeOwing, map[string]string{"by": q.PostMortemBy.Format(time.RFC3339)})
}

// halfway is when the requester is reminded of the post-mortem.
func halfway(q *store.Request) time.Time {
	return q.PostMortemBy.Add(-q.PostMortemBy.Sub(q.EndedAt) / 2)
}

// outstanding is what a request still owes.
func outstanding(r *store.Request) (all []string) {
	if r.Owes && r.PostMortem == nil && !r.Waives(store.OwedPostMortem) {
		all = append(all, store.OwedPostMortem)
	}
	if !r.TicketBy.IsZero() && r.Ticket == "" && !r.Waives(store.OwedTicket) {
		all = append(all, store.OwedTicket)
	}
	return all
}

// overdue is what of it is past its time.
func overdue(r *store.Request, now time.Time) (all []string) {
	for _, what := range outstanding(r) {
		by := r.PostMortemBy
		if what == store.OwedTicket {
			by = r.TicketBy
		}
		if !by.After(now) {
			all = append(all, what)
		}
	}
	return all
}

// owedDue asks for what is owed, and when its time is over tells the manager.
func (e *Engine) owedDue(ctx context.Context, r store.Request) error {
	now := e.now()
	late := overdue(&r, now)
	var managers []store.Person
	label := ""
	if len(late) > 0 {
		var err error
		if managers, label, err = e.answerable(ctx, r); err != nil && r.Counts["owed tries"] < owedOften {
			_, terr := e.DB.Touch(e.by(), r.ID, r.State, func(c *store.Change) error {
				count(c.Request, "owed tries")
				c.Request.Set(store.ClockOwed, now.Add(findPatience))
				return nil
			})
			return terr
		}
	}
	_, err := e.DB.Touch(e.by(), r.ID, r.State, func(c *store.Change) error {
		q := c.Request
		left := outstanding(q)
		if len(left) == 0 {
			q.Stop(store.ClockOwed)
			return keepMoving(q, c.By.At)
		}
		if len(late) == 0 {
			return e.remindOwed(c)
		}
		if late = overdue(q, c.By.At); len(late) == 0 { // what was late came while the manager was looked up
			return e.remindOwed(c)
		}
		return escalateOwed(c, late, managers, label)
	})
	return err
}

// remindOwed is the reminder before the time is over.
func (e *Engine) remindOwed(c *store.Change) error {
	q := c.Request
	next := q.PostMortemBy
	if next.IsZero() || !q.TicketBy.IsZero() && q.TicketBy.After(c.By.At) && q.TicketBy.Before(next) {
		next = q.TicketBy
	}
	if !next.After(c.By.At) {
		next = c.By.At.Add(owedAgain)
	}
	q.Set(store.ClockOwed, next)
	if !slices.Contains(outstanding(q), store.OwedPostMortem) {
		return nil
	}
	data := map[string]string{"by": q.PostMortemBy.Format(time.RFC3339)}
	return errors.Join(c.Log(store.EventOwed, map[string]string{"what": store.OwedPostMortem, "asked": "again"}), direct(c, NoticeAskMortem, q.Requester.SlackID, data))
}

func escalateOwed(c *store.Change, late []string, managers []store.Person, label string) error {
	q := c.Request
	delete(q.Counts, "owed tries")
	next := 7 * owedAgain
	var errs []error
	for _, what := range late {
		n := count(q, "escalated "+what)
		if n <= owedOften {
			next = owedAgain
		}
		errs = append(errs, c.Log(store.EventOwed, map[string]string{"what": what, "missing": "escalated", "to": label}))
		switch {
		case what == store.OwedPostMortem:
			if n == 1 {
				errs = append(errs, line(c, NoticeNoMortem, map[string]string{"manager": label}))
			}
			errs = append(errs, direct(c, NoticeAskMortem, q.Requester.SlackID, map[string]string{"by": q.PostMortemBy.Format(time.RFC3339), "late": "true"}))
		case n > 1: // the first time it was asked for when its time was over
			errs = append(errs, direct(c, NoticeAskTicket, q.Requester.SlackID, map[string]string{"late": "true"}))
		}
		for _, m := range managers {
			errs = append(errs, direct(c, NoticeOwed, m.SlackID, map[string]string{"what": what}))
		}
	}
	at := c.By.At.Add(next)
	for _, by := range []time.Time{halfway(q), q.PostMortemBy, q.TicketBy} { // what else is owed may be late sooner
		if by.After(c.By.At) && by.Before(at) {
			at = by
		}
	}
	q.Set(store.ClockOwed, at)
	return errors.Join(append(errs, card(c))...)
}

// count counts something about a request.
func count(q *store.Request, what string) int64 {
	if q.Counts == nil {
		q.Counts = map[string]int64{}
	}
	q.Counts[what]++
	return q.Counts[what]
}

// answerable are those who may close a case without what it owes: the requester's manager, and where the directory knows none, the people of the lockdown.
func (e *Engine) answerable(ctx context.Context, r store.Request) (people []store.Person, label string, err error) {
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	p := e.Policy()
	who, err := e.Directory.Look(ctx, r.Requester.UserID, nil)
	if err != nil && !errors.Is(err, store.ErrNobody) {
		return nil, "", fmt.Errorf("look up the requester's manager: %w", err)
	}
	if who.ManagerID != "" {
		people, _, failed := e.find(ctx, p, who.ManagerID, nil, r.Requester.UserID)
		if failed > 0 {
			return nil, "", errors.New("look up the requester's manager: the directory does not answer")
		}
		if len(people) > 0 {
			return people, people[0].Label(), nil
		}
	}
	people, _, failed := e.find(ctx, p, "", p.Lockdown, r.Requester.UserID)
	if failed > 0 && len(people) == 0 {
		return nil, "", errors.New("look up who answers for it: the directory does not answer")
	}
	return people, "", nil
}

// writeMortem takes the requester's post-mortem. It is evidence: there is one, and it is never replaced.
func (e *Engine) writeMortem(ctx context.Context, c store.Click) error {
	r, err := e.DB.Request(c.Request)
	if err != nil {
		return err
	}
	switch {
	case r.PostMortem != nil:
		return &Refusal{RefusedState, fmt.Sprintf("%s has its post-mortem already.", r.ID)}
	case r.State != store.Revoked && r.State != store.Reported:
		return &Refusal{RefusedState, Standing(r)}
	}
	m := store.PostMortem{Happened: strings.TrimSpace(c.Form["happened"]), Done: strings.TrimSpace(c.Form["done"]), FollowUps: strings.TrimSpace(c.Form["follow_ups"])}
	if m.Happened == "" || m.Done == "" {
		return &Refusal{RefusedState, "Say what happened and what was done."}
	}
	person, err := e.requester(ctx, c, r, "write its post-mortem")
	if err != nil {
		return err
	}
	_, err = e.DB.Touch(e.named(person), r.ID, r.State, func(ch *store.Change) error {
		q := ch.Request
		if q.PostMortem != nil {
			return errMoved
		}
		given := m
		given.By, given.At = person, ch.By.At
		q.PostMortem = &given
		data := map[string]string{"what": store.OwedPostMortem, "happened": m.Happened, "done": m.Done, "follow_ups": m.FollowUps}
		return errors.Join(settled(q, ch.By.At), ch.Done(c.Seq), ch.Log(store.EventOwed, data), card(ch), line(ch, NoticeMortem, nil), ch.Archive(store.PartMortem))
	})
	return err
}

// waive closes a case without something it owes, on the word of whoever answers for the requester.
func (e *Engine) waive(ctx context.Context, c store.Click) error {
	r, err := e.DB.Request(c.Request)
	if err != nil {
		return err
	}
	what, why := c.Reason, strings.TrimSpace(c.Text)
	if !slices.Contains(outstanding(&r), what) {
		return &Refusal{RefusedState, fmt.Sprintf("%s does not owe a %s any more.", r.ID, what)}
	}
	if !slices.Contains(overdue(&r, e.now()), what) {
		return &Refusal{RefusedState, fmt.Sprintf("The time for the %s of %s is not over yet.", what, r.ID)}
	}
	if why == "" {
		return &Refusal{RefusedState, "Say why it is closed without it."}
	}
	p := e.Policy()
	principal, person, err := e.match(ctx, p, c)
	if err != nil {
		return err
	}
	if err := e.mayWaive(ctx, p, r, principal); err != nil {
		return err
	}
	kind := store.PartMortem
	if what == store.OwedTicket {
		kind = store.PartTicket
	}
	_, err = e.DB.Touch(e.named(person), r.ID, r.State, func(ch *store.Change) error {
		q := ch.Request
		if !slices.Contains(outstanding(q), what) {
			return errMoved
		}
		q.Waived = append(q.Waived, store.Waiver{What: what, By: person, At: ch.By.At, Reason: why})
		data := map[string]string{"what": what, "waived": why}
		return errors.Join(settled(q, ch.By.At), ch.Done(c.Seq), ch.Log(store.EventOwed, data), card(ch), line(ch, NoticeWaived, nil), ch.Archive(kind))
	})
	return err
}

// mayWaive: the requester's manager as the directory has it now, else the people of the lockdown; never the requester.
func (e *Engine) mayWaive(ctx context.Context, p *policy.Policy, r store.Request, by store.Principal) error {
	if by.UserID == r.Requester.UserID {
		return &Refusal{RefusedNotYours, "Nobody closes a case without what they owe themselves. Your manager may."}
	}
	ctx, cancel := context.WithTimeout(ctx, lookupPatience)
	defer cancel()
	asked, err := e.Directory.Look(ctx, r.Requester.UserID, nil)
	if err != nil && !errors.Is(err, store.ErrNobody) {
		return asRefusal(err)
	}
	if asked.ManagerID != "" && by.UserID == asked.ManagerID || p.MayLockDown(who(by)).OK {
		return nil
	}
	return &Refusal{RefusedNotYours, fmt.Sprintf("Only the manager of %s, or those who may declare a lockdown, may close it without that.", r.Requester.Label())}
}

// settled stops asking where nothing is owed any more, and lets the case go on to its close.
func settled(q *store.Request, now time.Time) error {
	left := outstanding(q)
	if !slices.Contains(left, store.OwedTicket) {
		q.Stop(store.ClockTicket)
	}
	if len(left) > 0 {
		return nil
	}
	q.Stop(store.ClockOwed)
	return keepMoving(q, now)
}
