package workflows

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"breakglass/store"
	"breakglass/workflows/report"
)

// The monthly review: how often the glass was broken, drawn up by the calendar, said in the requests channel, sent and archived. Whoever looked through it
// says so with a button.

// calendarEvery is how often the calendar is looked at. Its last slot is in the store: one that was missed is made up for once, at the next start.
const calendarEvery = "@every 1m"

const slotFact = "monthly"

func reviewedFact(month string) string { return "reviewed " + month }

// calendar draws up the review whose time has come.
func (e *Engine) calendar() {
	if err := e.reviewDue(); err != nil {
		e.broken("draw up the monthly review", err)
	}
}

func (e *Engine) reviewDue() error {
	p := e.Policy()
	if p.Report.Monthly == "" {
		return nil
	}
	every, err := cron.ParseStandard(p.Report.Monthly)
	if err != nil {
		return fmt.Errorf("report.monthly %q: %w", p.Report.Monthly, err)
	}
	zone := p.Timezone
	if zone == nil {
		zone = time.UTC
	}
	now := e.now().In(zone)
	s, known, err := e.DB.Fact(slotFact)
	if err != nil {
		return err
	}
	last, perr := time.Parse(time.RFC3339, s)
	if !known || perr != nil || last.After(now) { // nothing was ever missed before the first start, nor while a clock was ahead
		return e.DB.Jot(e.by(), slotFact, now.Format(time.RFC3339))
	}
	slot := time.Time{}
	for next := every.Next(last.In(zone)); !next.IsZero() && !next.After(now); next = every.Next(next) {
		slot = next
	}
	if slot.IsZero() {
		return nil
	}
	month := slot.AddDate(0, 0, -slot.Day()).Format("2006-01") // the last day of the month before
	r, err := e.Review(month, now)
	if err != nil {
		return err
	}
	notices := []store.Notice{{Kind: NoticeReview, Lane: "review", Message: "review " + month, Data: map[string]string{"month": month, "text": strings.Join(r.Lines(), "\n")}}}
	if len(p.Report.Email) > 0 {
		notices = append(notices, store.Notice{Kind: NoticeReport, Lane: "review" + mailLane, To: strings.Join(p.Report.Email, ","), Data: map[string]string{"month": month}})
	}
	err = e.DB.ArchiveReview(e.by(), month, store.PartDrawn, store.EventReview, map[string]string{slotFact: slot.Format(time.RFC3339)}, 0, notices...)
	e.hear()
	e.file()
	return err
}

// Month reads a month as people write it, 2026-10, in the policy's time zone.
func (e *Engine) Month(month string) (from, to time.Time, err error) {
	zone := e.Policy().Timezone
	if zone == nil {
		zone = time.UTC
	}
	from, err = time.ParseInLocation("2006-01", month, zone)
	return from, from.AddDate(0, 1, 0), err
}

// Reviewable says whether a month can be reviewed at a time: it has begun. The words of the refusal name the months that can be had.
func (e *Engine) Reviewable(month string, at time.Time) error {
	from, _, err := e.Month(month)
	if err != nil {
		return noMonth(month)
	}
	if !at.Before(from) {
		return nil
	}
	this := at.In(from.Location()).Format("2006-01")
	begins, known, err := e.logBegins()
	if err != nil {
		return err
	}
	had := "the last that has is " + this
	if first := begins.In(from.Location()).Format("2006-01"); known && first < this {
		had = fmt.Sprintf("there are reviews of %s to %s, the last as far as it goes", first, this)
	} else if known {
		had = fmt.Sprintf("there is a review of %s, as far as it goes", this)
	}
	return &Refusal{RefusedUnknown, fmt.Sprintf("%s has not begun: %s.", month, had)}
}

func noMonth(month string) error {
	return &Refusal{RefusedUnknown, fmt.Sprintf("%.40q is no month: they look like 2026-10.", month)}
}

// logBegins is the time of the log's first line.
func (e *Engine) logBegins() (at time.Time, known bool, err error) {
	events, err := e.DB.Events(0, 1)
	if err != nil || len(events) == 0 {
		return at, false, err
	}
	return events[0].At, true, nil
}

// trend is how many months a review looks back, its own among them.
const trend = 12

// Review draws up a month from the store.
func (e *Engine) Review(month string, at time.Time) (*report.Review, error) {
	from, to, err := e.Month(month)
	if err != nil {
		return nil, noMonth(month)
	}
	m := report.Month{From: from, To: to, At: at, Found: make([]int, trend), Escalated: map[store.ID]bool{}}
	if m.Begins, _, err = e.logBegins(); err != nil {
		return nil, err
	}
	if e.Archive != nil {
		m.Archive = e.Archive.String() + "/reviews/" + month
	}
	if err := e.monthsEvents(&m); err != nil {
		return nil, err
	}
	var bad error
	m.Requests = func(yield func(store.Request) bool) {
		bad = e.DB.EachRequest(func(r store.Request) bool { return yield(r) })
	}
	r := report.NewReview(m)
	return r, bad
}

// monthsEvents counts what was found and refused, and which tickets had to be asked for of others.
func (e *Engine) monthsEvents(m *report.Month) error {
	first := m.From.AddDate(0, 1-trend, 0)
	for after := uint64(0); ; {
		events, err := e.DB.Events(after, 5000)
		if err != nil || len(events) == 0 {
			return err
		}
		for _, ev := range events {
			after = ev.Seq
			at := ev.At.In(m.From.Location())
			if ev.Kind == store.EventTicket && ev.Data["missing"] != "" && !at.Before(m.From) { // a month's last tickets are due in the next
				m.Escalated[ev.Request] = true
			}
			if at.Before(first) || !at.Before(m.To) {
				continue
			}
			in := !at.Before(m.From)
			switch {
			case ev.Kind == store.EventRefused && in:
				m.Refused++
			case ev.Kind == store.EventFound:
				ago := (m.From.Year()-at.Year())*12 + int(m.From.Month()) - int(at.Month())
				if ago >= 0 && ago < trend {
					m.Found[trend-1-ago]++
				}
				if in {
					d := ev.Data
					m.Findings = append(m.Findings, report.Finding{At: ev.At, What: d["what"], Where: d["account"], Granted: d["granted"], Who: d["who"], Detail: d["detail"], Done: d["done"]})
				}
			}
		}
	}
}

// reviewed records who looked through a month.
func (e *Engine) reviewed(ctx context.Context, c store.Click) error {
	month := c.Text
	if _, _, err := e.Month(month); err != nil {
		return &Refusal{RefusedUnknown, "There is no such month."}
	}
	base, err := e.DB.Filed("reviews/" + month)
	if err != nil {
		return err
	}
	if base.Parts == 0 {
		return &Refusal{RefusedUnknown, "There is no review of " + month + "."}
	}
	if _, known, err := e.DB.Fact(reviewedFact(month)); err != nil || known {
		if err == nil {
			err = &Refusal{RefusedState, month + " was reviewed already."}
		}
		return err
	}
	p := e.Policy()
	principal, person, err := e.match(ctx, p, c)
	if err != nil {
		return err
	}
	if v := p.MayLockDown(who(principal)); !v.OK {
		return &Refusal{RefusedNotYours, "Those who may declare a lockdown review the month: they answer for all of it."}
	}
	e.reviewing.Lock() // of two who press it at once one is the reviewer
	defer e.reviewing.Unlock()
	if _, known, err := e.DB.Fact(reviewedFact(month)); err != nil || known {
		return errors.Join(err, errMoved)
	}
	by := e.named(person)
	r, err := e.Review(month, by.At)
	if err != nil {
		return err
	}
	told, err := json.Marshal(map[string]any{"month": month, "by": person, "at": by.At})
	if err != nil {
		return err
	}
	n := store.Notice{Kind: NoticeReview, Lane: "review", Message: "review " + month, Data: map[string]string{
		"month": month, "text": strings.Join(r.Lines(), "\n"), "by": person.Label(), "at": by.At.Format(time.RFC3339)}}
	err = e.DB.ArchiveReview(by, month, store.PartReviewed, store.EventReviewed, map[string]string{reviewedFact(month): string(told)}, c.Seq, n)
	e.hear()
	e.file()
	return err
}
