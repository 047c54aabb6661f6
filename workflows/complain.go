package workflows

import (
	"errors"
	"fmt"
	"time"

	"breakglass/store"
)

// When people hear that a step still does not work: after a minute, and again ever more rarely.
var complaints = []time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour}

// complain adds to a failed try what people must hear of it by now. A revocation that fails is the incidents channel's business; a grant that
// takes long is the thread's.
func (e *Engine) complain(c *store.Change, now time.Time) error {
	q := c.Request
	w := &q.Work
	if w.Since.IsZero() {
		w.Since = now
	}
	heard := w.Announced
	var due time.Time
	for _, after := range complaints {
		if at := w.Since.Add(after); heard.Before(at) && !at.After(now) {
			due = at
		}
	}
	if last := complaints[len(complaints)-1]; due.IsZero() && !heard.IsZero() && now.Sub(heard) >= last {
		due = now
	}
	if due.IsZero() {
		return nil
	}
	w.Announced = now
	data := map[string]string{"error": w.Error, "since": w.Since.Format(time.RFC3339), "attempts": fmt.Sprint(w.Attempts)}
	if e.ByHand != nil {
		data["command"] = e.ByHand(q.Tuple())
	}
	if err := c.Log(store.EventFault, data); err != nil {
		return err
	}
	if q.State == store.Revoking {
		e.meters.stuck.Inc()
		return errors.Join(line(c, NoticeUncertain, data), c.Tell(store.Notice{Kind: NoticeStuck, Lane: lane(q, "incidents"), Data: data}))
	}
	if q.State == store.Approved || q.State == store.Granting {
		return line(c, NoticeUncertain, data)
	}
	return nil
}
