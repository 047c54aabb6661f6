package awstwin

import "time"

// settle brings the organisation up to now: statuses that end and schedules that fire, in the order of their times, each
// seeing what those before it left. There is no goroutine behind it, so hours that are skipped cost nothing and happen
// in order. Lock held.
func (o *Organization) settle(now time.Time) {
	defer func() { o.settling = time.Time{} }()
	defer o.endShells(now)
	for {
		change := o.changes.nextDue(now)
		fire, at := o.schedules.nextDue(now)
		switch {
		case change == nil && fire == nil:
			return
		case fire == nil || (change != nil && !change.due.After(at)):
			o.settling = change.due
			o.finish()
		default:
			o.settling = at
			o.fire(fire, at)
		}
		o.changed()
	}
}

// moment is the time at which things happen: now, or while what was due is being done, when it was due. Lock held.
func (o *Organization) moment() time.Time {
	if !o.settling.IsZero() {
		return o.settling
	}
	return o.cfg.Now()
}
