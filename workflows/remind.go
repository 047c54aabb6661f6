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

// mostAsked is how many approvers get a direct message.
const mostAsked = 10

// waiting looks after a request that nobody has decided yet.
func (e *Engine) waiting(_ context.Context, r store.Request) error {
	now := e.now()
	switch {
	case r.Over(store.ClockExpire, now):
		_, err := e.DB.Transition(e.by(), r.ID, store.Pending, store.Expired, func(c *store.Change) error {
			return errors.Join(card(c), asks(c), line(c, NoticeOver, nil), direct(c, NoticeResult, c.Request.Requester.SlackID, nil))
		})
		return err
	default:
		return e.askAgain(r)
	}
}

// findPatience is how long people who cannot be found are looked for before those who can are told.
const findPatience = 5 * time.Minute

// tellStep finds people and tells them, by itself: the directory may be slow, and neither a grant nor a revocation waits for it.
func (e *Engine) tellStep(ctx context.Context, id store.ID) {
	r, err := e.DB.Request(id)
	if err != nil {
		e.broken("read a request", err)
		return
	}
	if !r.Over(store.ClockTell, e.now()) {
		return
	}
	switch {
	case r.State == store.Pending:
		err = e.summon(ctx, r)
	case r.State == store.Active && waits(r) && r.Counts["longer asked"] == 0 && (len(r.Notify) == 0 || r.Counts["told begin"] > 0):
		err = e.summonLonger(ctx, r)
	case r.State.MayHaveAccess():
		err = e.tellNamed(ctx, r, "begin")
	default:
		err = e.tellNamed(ctx, r, "end")
	}
	var moved *store.TransitionError
	if err == nil || ctx.Err() != nil || errors.As(err, &moved) {
		e.hear()
		return
	}
	e.Log.Warn("people could not be found and will be looked for again", "request", r.ID, "err", err)
	_, err = e.DB.Touch(e.by(), r.ID, r.State, func(c *store.Change) error {
		q := c.Request
		if q.Counts == nil {
			q.Counts = map[string]int64{}
		}
		q.Counts["tell tries"]++
		next := c.By.At.Add(backoff(int(q.Counts["tell tries"])))
		q.Set(store.ClockTell, next)
		e.wake(next)
		return nil
	})
	if err != nil && !errors.As(err, &moved) {
		e.broken("record that people could not be found", err)
	}
}

// patient says whether to look once more for people who could not be found, because a directory did not answer.
func (e *Engine) patient(since time.Time, failed int) error {
	if failed > 0 && e.now().Before(since.Add(findPatience)) {
		return fmt.Errorf("%d people or groups could not be looked up", failed)
	}
	return nil
}

// summon asks the approvers: the manager first, ten at most. It runs after the request stands in the channel, since it needs the directory
// and the channel does not.
func (e *Engine) summon(ctx context.Context, r store.Request) error {
	p := e.Policy()
	s, ok := scenario(p, r)
	if !ok {
		_, err := e.DB.Touch(e.by(), r.ID, store.Pending, func(c *store.Change) error { c.Request.Stop(store.ClockTell); return nil })
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	requester, err := e.Directory.Look(ctx, r.Requester.UserID, p.Groups())
	if err != nil {
		return fmt.Errorf("look up the requester's manager: %w", err)
	}
	sets := p.Approvers(s, who(requester))
	people, silent, failed := e.find(ctx, p, sets.Manager, sets.Sets, r.Requester.UserID)
	if err := e.patient(r.SubmittedAt, failed); err != nil {
		return err
	}
	silent += failed
	data := map[string]string{}
	if sets.ManagerMissing {
		data["no_manager"] = "true"
	}
	if silent > 0 {
		data["silent"] = fmt.Sprint(silent)
	}
	_, err = e.DB.Touch(e.by(), r.ID, store.Pending, func(c *store.Change) error {
		c.Request.Asked = people
		c.Request.Stop(store.ClockTell)
		return errors.Join(c.Log("asked", map[string]string{"people": fmt.Sprint(len(people))}), asks(c), line(c, NoticeAsked, data))
	})
	return err
}

// find finds people in Slack: the manager first, then the sets in their order, at most mostAsked. Whoever cannot be found is left out
// and counted: silent have no Slack account, of failed nobody knows. The channel has the request as well.
func (e *Engine) find(ctx context.Context, p *policy.Policy, manager string, sets []string, but string) (people []store.Person, silent, failed int) {
	add := func(as string, p store.Principal, err error) {
		known := func(o store.Person) bool { return o.UserID == p.UserID }
		switch {
		case errors.Is(err, store.ErrNobody), errors.Is(err, store.ErrSeveral):
			silent++
			return
		case err != nil:
			failed++
			return
		case !p.Enabled || p.UserID == but || len(people) == mostAsked || slices.ContainsFunc(people, known):
			return
		}
		id, err := e.People.SlackOf(ctx, p)
		if err != nil {
			failed++
			return
		}
		if id == "" {
			silent++
			return
		}
		person := p.Person(id)
		person.As = as
		people = append(people, person)
	}
	if manager != "" {
		who, err := e.Directory.Look(ctx, manager, nil)
		add(policy.Manager, who, err)
	}
	for _, name := range sets {
		for _, m := range p.People[name].Emails {
			if len(people) < mostAsked {
				who, err := e.Directory.Find(ctx, m, nil)
				add(name, who, err)
			}
		}
		for _, g := range p.People[name].Groups {
			if len(people) == mostAsked {
				return people, silent, failed
			}
			members, err := e.Directory.Members(ctx, g, mostAsked+1)
			if err != nil {
				failed++
			}
			for _, m := range members {
				add(name, m, nil)
			}
		}
	}
	return people, silent, failed
}

// askAgain mentions the approvers once more and sets the next reminder.
func (e *Engine) askAgain(r store.Request) error {
	p := e.Policy()
	_, err := e.DB.Touch(e.by(), r.ID, store.Pending, func(c *store.Change) error {
		q := c.Request
		if q.Counts == nil {
			q.Counts = map[string]int64{}
		}
		q.Counts["reminded"]++
		q.Stop(store.ClockRemind)
		for _, after := range p.Requests.Remind {
			if at := q.SubmittedAt.Add(after); at.After(c.By.At) {
				q.Set(store.ClockRemind, at)
				break
			}
		}
		left := ""
		if at, ok := q.At(store.ClockExpire); ok {
			left = at.Sub(c.By.At).Round(time.Minute).String()
		}
		return errors.Join(c.Log(store.EventReminded, map[string]string{"of": "the decision"}), line(c, NoticeReminder, map[string]string{"left": left}))
	})
	return err
}

// tellNamed tells whom the policy names for this scenario that access began or ended. It is a step of its own: it needs the directory, and
// neither the grant nor the revocation may wait for that. Who cannot be found is told by the report's mail instead.
func (e *Engine) tellNamed(ctx context.Context, r store.Request, when string) error {
	p := e.Policy()
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	people, _, failed := e.find(ctx, p, "", r.Notify, "")
	since := r.GrantedAt
	if when == "end" {
		since = r.EndedAt
	}
	if err := e.patient(since, failed); err != nil {
		return err
	}
	_, err := e.DB.Touch(e.by(), r.ID, r.State, func(c *store.Change) error {
		q := c.Request
		q.Stop(store.ClockTell)
		if q.Counts == nil {
			q.Counts = map[string]int64{}
		}
		if q.Counts["told "+when]++; q.State == store.Active && waits(*q) && len(q.Asked) == 0 {
			q.Set(store.ClockTell, c.By.At) // people are to be found for an extension as well
		}
		var errs []error
		to := addresses(p, r.Notify)
		for _, person := range people {
			errs = append(errs, direct(c, NoticeTold, person.SlackID, map[string]string{"when": when}))
			if person.Email != "" && !slices.ContainsFunc(to, func(s string) bool { return strings.EqualFold(s, person.Email) }) {
				to = append(to, person.Email)
			}
		}
		return errors.Join(append(errs, mail(c, when, to))...)
	})
	return err
}

// addresses are the e-mail addresses that sets of people name.
func addresses(p *policy.Policy, sets []string) (out []string) {
	for _, name := range sets {
		out = append(out, p.People[name].Emails...)
	}
	return out
}

// ticketDue asks for a ticket that may follow, and escalates when its time is over. A session is not ended for it: it is owed, not needed.
func (e *Engine) ticketDue(_ context.Context, r store.Request) error {
	_, err := e.DB.Touch(e.by(), r.ID, r.State, func(c *store.Change) error {
		q := c.Request
		if q.Ticket != "" {
			q.Stop(store.ClockTicket)
			return keepMoving(q, c.By.At)
		}
		if c.By.At.Before(q.TicketBy) {
			q.Set(store.ClockTicket, q.TicketBy)
			data := map[string]string{"by": q.TicketBy.Format(time.RFC3339)}
			return errors.Join(c.Log(store.EventTicket, map[string]string{"asked": "again"}), direct(c, NoticeAskTicket, q.Requester.SlackID, data))
		}
		q.Stop(store.ClockTicket)
		if _, set := q.At(store.ClockOwed); !set && !q.State.MayHaveAccess() {
			q.Set(store.ClockOwed, c.By.At) // the manager is told
		}
		return errors.Join(
			keepMoving(q, c.By.At),
			c.Log(store.EventTicket, map[string]string{"missing": "escalated"}),
			line(c, NoticeNoTicket, nil), direct(c, NoticeAskTicket, q.Requester.SlackID, map[string]string{"late": "true"}),
			c.Tell(store.Notice{Kind: NoticeTicketOut, Lane: lane(q, "incidents")}),
		)
	})
	return err
}

// keepMoving makes sure that a case that only waited for its ticket is closed.
func keepMoving(q *store.Request, now time.Time) error {
	if q.State == store.Reported && q.DueBut(store.ClockTell) == 0 {
		q.Set(store.ClockReport, now)
	}
	return nil
}

// addTicket adds the ticket to the record. Only the requester may, and only once: a ticket is evidence.
func (e *Engine) addTicket(ctx context.Context, c store.Click) error {
	r, err := e.DB.Request(c.Request)
	if err != nil {
		return err
	}
	p := e.Policy()
	switch {
	case r.State.Ended():
		return &Refusal{RefusedState, Standing(r)}
	case r.Ticket != "":
		return &Refusal{RefusedState, fmt.Sprintf("%s has the ticket %s already.", r.ID, r.Ticket)}
	}
	s, _ := p.Scenario(r.Scenario)
	ticket := strings.TrimSpace(c.Text)
	if v := p.CheckTicket(s, ticket); !v.OK || ticket == "" {
		return &Refusal{RefusedState, orElse(v.Why, "Name the ticket.")}
	}
	person, err := e.requester(ctx, c, r, "add its ticket")
	if err != nil {
		return err
	}
	_, err = e.DB.Touch(e.named(person), r.ID, r.State, func(ch *store.Change) error {
		q := ch.Request
		if q.Ticket != "" {
			return errMoved
		}
		q.Ticket = ticket
		q.Stop(store.ClockTicket)
		return errors.Join(
			settled(q, ch.By.At), ch.Done(c.Seq), ch.Log(store.EventTicket, map[string]string{"ticket": ticket}),
			card(ch), line(ch, NoticeTicket, nil), afterwards(ch, store.PartTicket), toTicket(ch, p),
		)
	})
	return err
}

// afterwards adds to the archive what came after the session's own part of it.
func afterwards(c *store.Change, kind string) error {
	if c.Request.State != store.Reported {
		return nil // what is still to be drawn up will have it
	}
	return c.Archive(kind)
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
